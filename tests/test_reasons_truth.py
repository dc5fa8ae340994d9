"""Stated reasons of the simulated operator against its truth: who answered, what all would have said."""

import pytest
from simulated import company

import churnlib as churn
from churnlib import text

WINDOW = 37  # all months of the data


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return company("telecom", 0.1, tmp_path_factory.mktemp("telecom"), (), {})


@pytest.fixture(scope="module")
def stated(small):
    data = small.data
    answers = churn.answer_counts(data, WINDOW)
    mentions, response = churn.reason_counts(data), churn.response_counts(data)
    return churn.stated_reasons(mentions, response, answers, level="reason", window=WINDOW)


@pytest.fixture(scope="module")
def said(small):
    return small.truth["reasons"]["all"]


def test_raw_shares_are_those_of_who_answered(stated, said):
    rows = stated.table.set_index("reason")
    for reason, share in said["among_respondents"].items():
        # the window ends with the last complete month, the truth with the last day
        assert rows["share"].get(reason, 0) == pytest.approx(share, abs=0.02), reason


def test_bounds_hold_what_all_would_have_said(stated, said):
    rows = stated.table.set_index("reason")
    for reason, share in said["if_all_answered"].items():
        assert rows.loc[reason, "bound_lower"] - 0.01 <= share <= rows.loc[reason, "bound_upper"] + 0.01, reason


def test_weights_do_not_see_who_is_silent_for_the_reason(stated, said):
    # who left for arrears hardly answers: purchasing power is named by too few, and nothing known tells so
    row = stated.table.set_index("reason").loc["natural.purchasing_power"]
    assert row.weighted_upper < said["if_all_answered_expected"]["natural.purchasing_power"] + 0.01
    assert row.bound_upper > said["if_all_answered_expected"]["natural.purchasing_power"]


def test_most_weighted_intervals_hold_what_all_would_have_said(stated, said):
    rows = stated.table.set_index("reason")
    truth = said["if_all_answered_expected"]
    held = [rows.loc[r, "weighted_lower"] <= share <= rows.loc[r, "weighted_upper"] for r, share in truth.items()]
    assert sum(held) >= len(held) - 4  # those whose silence has to do with the reason itself


def test_words_find_what_people_ticked(small):
    table = churn.text_agreement(churn.text_counts(small.data, WINDOW)).table.set_index(["source", "reason"])
    assert table.loc[("complaint", "access"), ["precision", "recall"]].tolist() == [1, 1]
    remarks = table.loc["exit_survey"]
    assert (remarks["n_both"].sum() / remarks["n_by_words"].sum()) > 0.95  # a remark tells the first box that is ticked
    assert table["kappa"].dropna().between(-1, 1).all()


def test_the_chapters_sentences_are_said_in_both_languages(small, stated):
    data = small.data
    by = churn.reason_counts(data, "region"), churn.response_counts(data, "region")
    texts = churn.text_counts(data)
    results = [
        stated,
        churn.reasons_across(*by),
        churn.lost_to(churn.lost_to_counts(data)),
        churn.text_agreement(texts),
    ]
    results += [churn.coded_texts(texts, source) for source in ("complaint", "exit_survey")]
    results += [churn.follow_up_across(churn.response_counts(data)), churn.reconcile_levels(stated)]
    for result in results:
        for statement in (*result.findings, *result.notes):
            for language in text.LANGUAGES:
                said = statement.say(language)
                assert "{" not in said and "nan" not in said, said
