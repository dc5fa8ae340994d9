"""Stated reasons: shares of those who answered, and what the silent could change."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from counted import ABOUT, months

from churnlib import text
from churnlib.model.vocabulary import MAPPINGS
from churnlib.reasons.followup import follow_up
from churnlib.reasons.reasons import enough_periods, stated_reasons


def counted(named: dict, answered: int, silent: dict, periods=("2025-12",), version="1", fee=100_00):
    """Count reasons made by hand, the same in every period: code -> customers; follow-up kind -> customers."""
    mentions = [
        (p, version, code, "reason" if "." in code else "group", n, n, n * fee, float(n * fee**2))
        for p in periods
        for code, n in named.items()
    ]
    kinds = {"answered": answered} | silent
    asked = [
        (p, version if n_told else "", kind, n, n_told, n_told * fee, float(n_told * fee**2))
        for p in periods
        for kind, n in kinds.items()
        for n_told in [n if kind == "answered" else 0]
    ]
    return (
        SimpleNamespace(
            frame=pd.DataFrame(
                mentions,
                columns=[
                    *("period", "version", "reason", "level_of_list", "n_named", "n_mentions", "fee_lost", "fee_lost2")
                ],
            ),
            about=ABOUT,
        ),
        SimpleNamespace(
            frame=pd.DataFrame(
                asked,
                columns=["period", "version", "follow_up", "n_customers", "n_respondents", "fee_told", "fee_told2"],
            ),
            about=ABOUT,
        ),
    )


def test_shares_of_respondents_and_of_mentions_are_both_given():
    # mistake 18: 100 answered, 120 mentions
    reasons = stated_reasons(*counted({"price": 70, "service": 50}, 100, {"no_answer": 100}))
    assert reasons.table["share"].tolist() == [0.7, 0.5, 0.0]  # unknown is always a row
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
    single = stated_reasons(mentions, response, level="reason")
    assert single.findings[0].key == "reasons.listed" and single.tucked
    for result in (single, follow_up(response)):
        for statement in (*result.findings, *result.notes, result.subtitle):
            for language in text.LANGUAGES:
                assert "{" not in statement.say(language) and "nan" not in statement.say(language)


def test_shares_under_another_version_of_the_list_are_not_compared():
    # mistake 18: a renamed reason is never merged silently
    old, new = (
        counted({"price": n}, 50, {}, months(3, last), version)
        for n, last, version in ((30, "2025-09", "old"), (45, "2025-12", "new"))
    )
    both = [SimpleNamespace(frame=pd.concat([a.frame, b.frame]), about=ABOUT) for a, b in zip(old, new, strict=True)]
    reasons = stated_reasons(*both)
    assert reasons.table["change"].isna().all() and reasons.findings[-1].key == "reasons.list_changed"
    joint = stated_reasons(*both, window=6)
    assert "old (n = 150)" in joint.notes[-1].say("en") and joint.table.iloc[0].n_named == 225


def test_money_is_told_where_it_disagrees_with_heads():
    mentions, response = counted({"price": 60, "service": 40}, 100, {})
    frame = mentions.frame
    frame.loc[frame["reason"] == "service", ["fee_lost", "fee_lost2"]] = [40 * 900_00, 40.0 * 900_00**2]
    frame.loc[frame["reason"] == "price", ["fee_lost", "fee_lost2"]] = [60 * 100_00, 60.0 * 100_00**2]
    fees = {"fee_told": 40 * 900_00 + 60 * 100_00, "fee_told2": 40.0 * 900_00**2 + 60.0 * 100_00**2}
    response.frame = response.frame.assign(**fees)
    reasons = stated_reasons(mentions, response)
    row = reasons.table.set_index("reason").loc["service"]
    assert row.fee_share == pytest.approx(360 / 420)
    # by hand: sum of fee^2 (y - R)^2 over the 100, over the total squared
    ratio = 360 / 420
    variance = (40 * 900**2 * (1 - ratio) ** 2 + 60 * 100**2 * ratio**2) / 42_000**2
    assert row.fee_upper - row.fee_lower == pytest.approx(2 * 1.96 * variance**0.5, rel=0.1)
    assert "reasons.money" in [f.key for f in reasons.findings]


def test_equal_fees_give_the_shares_of_heads():
    table = stated_reasons(*counted({"price": 60, "service": 40}, 100, {})).table
    assert table["fee_share"].tolist() == pytest.approx(table["share"].tolist())
    assert table["fee_lower"].tolist() == pytest.approx(table["ci_lower"].tolist())


def test_coarse_types_print_their_mapping():
    lists = tuple(
        ("type", code, text.label(f"reasons.type.{code}"), members) for code, members in MAPPINGS["type"].items()
    )
    mentions, response = counted({}, 100, {})
    frame = counted({"satisfaction": 60, "other": 20}, 100, {})[0].frame.assign(level_of_list="type")
    mentions = SimpleNamespace(frame=frame, about=replace(ABOUT, reason_lists=lists))
    reasons = stated_reasons(mentions, response, level="type")
    assert reasons.findings[0].values["reason"].zh == "客户满意度下降型"
    assert "Competitive pressure (Competitor, Price)" in reasons.notes[-1].say("en")


def test_a_window_with_too_few_answers_is_widened_to_a_year():
    few, many = (counted({"price": n}, n, {}, months(12))[1] for n in (5, 10))
    assert (enough_periods(few), enough_periods(many), enough_periods(few, 24)) == (12, 3, 24)


def test_no_hidden_reason_can_be_had_from_the_mentions():
    shown = stated_reasons(*counted({"price": 60, "service": 30, "trust": 12, "product": 3}, 100, {})).shown
    rows = shown.set_index("reason")
    assert rows.loc[["price", "service", "trust"], "share"].notna().all() and np.isnan(rows.loc["product", "share"])
    assert np.isnan(rows.loc["trust", "share_mentions"])  # else 105 mentions less the others' would be product's
    plain = stated_reasons(*counted({"price": 60, "service": 30, "trust": 12}, 100, {})).shown
    assert plain.set_index("reason").loc[["price", "service", "trust"], "share_mentions"].notna().all()


def test_without_fees_no_money_is_told():
    mentions, response = counted({"price": 60}, 100, {})
    mentions.frame[["fee_lost", "fee_lost2"]] = np.nan
    response.frame[["fee_told", "fee_told2"]] = np.nan
    table = stated_reasons(mentions, response).table
    assert table[["fee_lost", "fee_share"]].isna().all(axis=None)
