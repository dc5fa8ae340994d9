"""Levels with levels, changes with changes: agreement, disagreement, no evidence, small n, in both languages."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from counted import ABOUT, months
from test_reasons import counted

from churnlib import text
from churnlib.about import Event, Period, Segment
from churnlib.reasons.reasonchanges import reconcile_changes
from churnlib.reasons.reasons import stated_reasons
from churnlib.reasons.reconcile import reconcile_levels
from churnlib.show import display
from churnlib.text import Label


def revealed(**groups):
    """Attributable numbers made by hand: group -> (share, lower, upper, reported) of 1,000 losses."""
    rows = [
        (group, None, 5000, 400, 1000 * s, 1000 * low, 1000 * high, s, low, high, reported, "estimated")
        for group, (s, low, high, reported) in groups.items()
    ]
    rows += [("price", "fee_rise", 500, 40, 100, 80, 120, 0.1, 0.08, 0.12, True, "estimated")]
    rows += [("unexplained", None, 90_000, 1000, 500, 400, 600, 0.5, 0.4, 0.6, False, "estimated")]
    columns = ["reason_group", "driver", "n_exposed", "n_churned", "attributable", "ci_lower", "ci_upper"]
    columns += ["share", "share_ci_lower", "share_ci_upper", "reported", "state"]
    table = pd.DataFrame(rows, columns=columns).assign(label=[Label("涨价", "Rise of fees")] * len(rows))
    return SimpleNamespace(about=ABOUT, table=table, shown=table, window=(Period(date(2025, 1, 1)), ABOUT.period))


def stated(named, answered=400, silent=100, **options):
    return stated_reasons(*counted(named, answered, {"no_answer": silent}, **options))


def sentences(result):
    said = [*result.findings, *result.notes, *([result.subtitle] if result.subtitle else [])]
    return [s.say(language) for s in said for language in text.LANGUAGES]


def check(result):
    for said in sentences(result):
        assert "{" not in said and "nan" not in said and "None" not in said, said
    for language in text.LANGUAGES:
        assert not result.summary(language).astype(str).map(lambda cell: cell in ("nan", "None")).any(axis=None)
    display.block(result)


def test_disagreements_are_put_into_words():
    result = reconcile_levels(
        stated({"price": 164, "service": 36}),
        revealed(price=(0.12, 0.09, 0.15, True), service=(0.31, 0.26, 0.36, True)),
    )
    check(result)
    price, service = (result.table.set_index("reason_group").loc[g] for g in ("price", "service"))
    assert (price.verdict, price.firm, service.verdict, service.firm) == ("more_said", True, "more_shown", False)
    words = " ".join(f.say("en") for f in result.findings)
    assert "is named by 41%" in words and "associated with 12% of the losses" in words
    assert "is named by only 9.0%" in words and "associated with 31.0%" in words
    assert not any(cause in words for cause in ("caused", "because of", "due to"))


def test_intervals_that_meet_are_no_disagreement():
    result = reconcile_levels(stated({"price": 164}), revealed(price=(0.38, 0.30, 0.46, True)))
    check(result)
    assert result.findings[0].key == "reconcile.levels.alike"


def test_what_the_silent_could_undo_is_said():
    silent = stated({"price": 40}, answered=100, silent=900)  # bounds from .04 to .94
    result = reconcile_levels(silent, revealed(price=(0.12, 0.09, 0.15, True)))
    check(result)
    assert result.findings[0].key == "reconcile.levels.more_said.open"


def test_a_driver_without_association_is_called_so():
    result = reconcile_levels(stated({"price": 164}), revealed(price=(0.01, -0.02, 0.04, False)))
    check(result)
    assert result.findings[0].key == "reconcile.levels.not_shown.firm"


def test_a_driver_that_goes_with_fewer_losses_is_no_share_of_them():
    result = reconcile_levels(stated({"price": 164}), revealed(price=(-0.08, -0.12, -0.04, True)))
    check(result)
    assert result.findings[0].key == "reconcile.levels.fewer" and result.table.iloc[0].evidence == "said"
    assert "Rise of fees" in sentences(result)[1] and "about 80 fewer (95% interval 40–120)" in sentences(result)[1]


@pytest.mark.parametrize(
    ("said", "shown", "key"),
    [
        (stated({"price": 164}), None, "said_only"),
        (None, revealed(price=(0.12, 0.09, 0.15, True)), "shown_only"),
        (stated({"price": 9}, answered=12), revealed(price=(0.12, 0.09, 0.15, True)), "shown_only"),
        (stated({"price": 9}, answered=12), None, "neither"),
        (stated({"natural": 164}), revealed(price=(0.12, 0.09, 0.15, True)), "apart"),
        (stated({"natural": 164}), revealed(), "said_only"),
    ],
)
def test_one_answer_alone_is_held_against_nothing(said, shown, key):
    result = reconcile_levels(said, shown)
    check(result)
    assert result.findings[0].key == f"reconcile.levels.{key}" and len(result.findings) == 1


def test_no_action_without_evidence():
    result = reconcile_levels(
        stated({"price": 164, "trust": 10, "natural": 12}),
        revealed(service=(0.02, -0.01, 0.05, False), access=(0.2, 0.15, 0.25, True), trust=(0.1, 0.05, 0.15, True)),
    )
    rows = result.table.set_index("reason_group")
    assert rows["evidence"].to_dict() == {
        "price": "said",
        "trust": "shown",  # 10 of 400: not clearly more than one in twenty
        "natural": "none",
        "service": "none",
        "access": "shown",
        "unknown": "none",
        "unexplained": "none",
    }
    assert rows["action"].notna().to_dict() == {g: e != "none" for g, e in rows["evidence"].items()}
    assert rows.index[-1] in ("unexplained", "unknown")


def test_a_companys_own_action_replaces_the_shipped_one():
    said = stated({"price": 164})
    said = replace(said, about=replace(ABOUT, reason_actions=(("price", Label("送券", "Send a voucher")),)))
    assert reconcile_levels(said).table.iloc[0].action.en == "Send a voucher"


# changes

EVENTS = (
    Event(date(2025, 10, 1), Label("涨价", "Prices up"), "price", scope="region=s"),
    Event(date(2025, 10, 9), Label("断网", "Outage"), "outage", scope="region=n"),
    Event(date(2025, 10, 9), Label("整改", "Measure"), "measure"),
)
EVENT_ABOUT = replace(ABOUT, events=EVENTS)


def effects(*rows):
    columns = ["event", "touched", "first", "last", "state", "excess", "ci_lower", "ci_upper"]
    return SimpleNamespace(about=EVENT_ABOUT, table=pd.DataFrame(rows, columns=columns))


def effect(event, excess, state="consistent"):
    half = abs(excess) / 3
    return (event.label, "x", "2025-10", "2025-12", state, float(excess), excess - half, excess + half)


def moved(**shares):
    """Stated shares of two windows of three months: reason -> (named before, named now) of 100 a month."""
    mentions, response = counted({r: now for r, (_, now) in shares.items()}, 100, {}, months(6))
    for reason, (before, _) in shares.items():
        early = (mentions.frame["period"] < "2025-10") & (mentions.frame["reason"] == reason)
        mentions.frame.loc[early, "n_named"] = before
    made = stated_reasons(mentions, response)
    return replace(made, about=EVENT_ABOUT)


@pytest.mark.parametrize(
    ("shares", "excess", "state", "key"),
    [
        ((30, 50), 90, "consistent", "together"),
        ((50, 30), 90, "consistent", "opposed"),
        ((40, 41), 90, "coincides", "event_only"),
        ((30, 50), 90, "unclear", "said_only"),
        ((40, 41), 90, "unclear", "none"),
    ],
)
def test_changes_by_what_is_clear(shares, excess, state, key):
    result = reconcile_changes(moved(price=shares), effects(effect(EVENTS[0], excess, state)))
    check(result)
    assert result.findings[0].key == f"reconcile.changes.{key}"


def test_an_event_of_no_group_is_held_against_nothing():
    result = reconcile_changes(moved(price=(40, 41)), effects(effect(EVENTS[2], -90)))
    check(result)
    assert result.findings[0].key == "reconcile.changes.event_alone"


def test_the_scale_of_words_follows_the_evidence():
    say = lambda state, excess: " ".join(  # noqa: E731
        f.say("en")
        for f in reconcile_changes(moved(price=(40, 41)), effects(effect(EVENTS[0], excess, state))).findings
    )
    assert "is consistent with about 90" in say("consistent", 90) and "coincides with about 90" in say("coincides", 90)
    assert "coincides with a fall of about 90" in say("coincides", -90)


def test_events_take_the_contribution_of_those_they_touched():
    segment = Segment("region", Label("大区", "Region"), ("s", "n"), (Label("华南", "South"), Label("华北", "North")))
    parts = pd.DataFrame(
        {"kind": ["rate", "rate", "mix", "total"], "item": ["s", "n", "region", ""], "n_lost": [50.0, -10.0, 4.0, 44.0]}
    )
    explained = SimpleNamespace(about=EVENT_ABOUT, table=parts, shown=parts, segments=(segment,))
    result = reconcile_changes(moved(price=(40, 41)), effects(*(effect(e, 60) for e in EVENTS)), explained)
    rows = result.table.set_index("reason_group")
    assert (rows.loc["price", "contribution"], rows.loc["access", "contribution"]) == (50, -10)
    assert result.table.iloc[-1].contribution == 44 and result.table.iloc[-1].verdict == "total"
    assert np.isnan(result.table.loc[result.table["event"].map(str) == "整改", "contribution"].iloc[0])
    check(result)


@pytest.mark.parametrize("which", [0, 1])
def test_changes_work_with_one_answer_alone(which):
    alone = reconcile_changes(moved(price=(30, 50))) if which else reconcile_changes(effects=effects())
    check(alone)
    assert alone.findings[0].key == ("reconcile.changes.said_only" if which else "reconcile.changes.none")


def test_events_before_both_windows_are_left_out():
    old = (EVENTS[0].label, "x", "2025-01", "2025-05", "consistent", 90.0, 60.0, 120.0)
    assert reconcile_changes(moved(price=(40, 41)), effects(old)).findings[0].key == "reconcile.changes.none"
