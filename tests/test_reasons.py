"""Stated reasons: shares of those who answered, and what the silent could change."""

from types import SimpleNamespace

import pandas as pd
import pytest
from counted import ABOUT, months

from churnlib import text
from churnlib.statistics.reasons import follow_up, stated_reasons


def counted(named: dict, answered: int, silent: dict, periods=("2025-12",)):
    """Count reasons made by hand, the same in every period: code -> customers; follow-up kind -> customers."""
    mentions = [
        (p, code, "reason" if "." in code else "group", n, n, n * 100_00) for p in periods for code, n in named.items()
    ]
    kinds = {"answered": answered} | silent
    asked = [(p, kind, n, n if kind == "answered" else 0) for p in periods for kind, n in kinds.items()]
    return (
        SimpleNamespace(
            frame=pd.DataFrame(
                mentions, columns=["period", "reason", "level_of_list", "n_named", "n_mentions", "fee_lost"]
            ),
            about=ABOUT,
        ),
        SimpleNamespace(
            frame=pd.DataFrame(asked, columns=["period", "follow_up", "n_customers", "n_respondents"]), about=ABOUT
        ),
    )


def test_shares_of_respondents_and_of_mentions_are_both_given():
    # mistake 18: 100 answered, 120 mentions
    reasons = stated_reasons(*counted({"price": 70, "service": 50}, 100, {"no_answer": 100}))
    assert reasons.table["share"].tolist() == [0.7, 0.5]
    assert reasons.table["share_mentions"].sum() == pytest.approx(1)


def test_bounds_hold_whatever_the_silent_would_have_said():
    row = stated_reasons(*counted({"price": 60}, 100, {"no_answer": 70, "empty_number": 30})).table.iloc[0]
    assert (row.bound_lower, row.bound_upper) == (60 / 200, 160 / 200)
    for said_it in range(0, 101, 10):  # of the 100 silent
        assert row.bound_lower <= (60 + said_it) / 200 <= row.bound_upper


def test_a_reason_that_cannot_be_ranked_is_not_ranked():
    near = stated_reasons(*counted({"price": 52, "service": 50}, 100, {}))
    far = stated_reasons(*counted({"price": 90, "service": 30}, 100, {}))
    assert near.findings[0].key == "reasons.top_together" and far.findings[0].key == "reasons.top"


def test_few_answers_give_no_shares():
    reasons = stated_reasons(*counted({"price": 9}, 12, {"no_answer": 88}))
    assert reasons.findings[0].key == "reasons.too_few" and reasons.shown["share"].isna().all()


def test_nobody_lost_is_said():
    assert follow_up(counted({}, 0, {})[1]).findings[0].key == "reasons.nobody_lost"


def test_windows_are_summed_and_compared():
    mentions, response = counted({"price": 30, "service": 20}, 50, {"no_answer": 50}, months(6))
    later = mentions.frame["period"] > "2025-09"
    mentions.frame.loc[later & (mentions.frame["reason"] == "price"), "n_named"] = 45
    reasons = stated_reasons(mentions, response, window=3)
    row = reasons.table.iloc[0]
    assert (row.n_named, row.n_respondents, row.share_before) == (135, 150, 0.6)
    assert [f.key for f in reasons.findings] == ["reasons.top", "reasons.bounds", "reasons.rise"]


def test_follow_up_kinds_add_up_to_the_lost():
    kinds = follow_up(counted({}, 50, {"no_answer": 30, "wrong_number": 20})[1]).table
    assert kinds["n_customers"].sum() == 100 and kinds["share"].sum() == pytest.approx(1)


def test_every_sentence_can_be_said_in_both_languages():
    mentions, response = counted({"price.too_high": 60, "service.attitude": 20}, 100, {"no_answer": 100})
    for result in (stated_reasons(mentions, response, level="reason"), follow_up(response)):
        for statement in (*result.findings, *result.notes, result.subtitle):
            for language in text.LANGUAGES:
                assert "{" not in statement.say(language) and "nan" not in statement.say(language)
