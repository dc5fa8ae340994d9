"""Reasons, outcomes and places by segment, month and version; named together; gone to whom."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from counted import ABOUT, months
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlib import text
from churnlib.about import Segment
from churnlib.reasons.across import follow_up_across, lost_to_across, reasons_across
from churnlib.reasons.followup import lost_to
from churnlib.reasons.together import reasons_together
from churnlib.show.disclosure import protect
from churnlib.text import Label

REGION = Segment("region", Label("大区", "Region"), ("s", "n"), (Label("华南", "South"), Label("华北", "North")))


def counts(rows, columns, segment=None):
    return SimpleNamespace(
        frame=pd.DataFrame(rows, columns=columns), about=replace(ABOUT, segment=segment or Segment())
    )


def stated(by_column, over="level"):
    """Lay out column -> (respondents, {reason: named}) as reasons and responses of December 2025."""
    place = {
        "level": lambda c: (c, "2025-12", "1"),
        "version": lambda c: ("", "2025-12", c),
        "period": lambda c: ("", c, "1"),
    }
    named = [(*place[over](c), "group", r, k) for c, (_, reasons) in by_column.items() for r, k in reasons.items()]
    asked = [(*place[over](c), n) for c, (n, _) in by_column.items()]
    segment = REGION if over == "level" else None
    return (
        counts(named, ["level", "period", "version", "level_of_list", "reason", "n_named"], segment),
        counts(asked, ["level", "period", "version", "n_respondents"], segment),
    )


def sentences(result):
    return [s.say(language) for s in (*result.findings, *result.notes, result.subtitle) for language in text.LANGUAGES]


@pytest.mark.parametrize(("over", "columns"), [("level", "sn"), ("version", ("2023", "2025")), ("period", months(2))])
def test_a_clear_difference_is_told_and_noise_is_not(over, columns):
    first, second = columns
    clear = reasons_across(*stated({first: (200, {"price": 120}), second: (200, {"price": 40})}, over), over)
    assert clear.findings[0].key == f"across.{over}.more" and clear.findings[0].values["share"] == 0.6
    less = reasons_across(*stated({first: (100, {"price": 10}), second: (400, {"price": 240})}, over), over)
    assert less.findings[0].key == f"across.{over}.less"
    noise = reasons_across(*stated({first: (200, {"price": 62}), second: (200, {"price": 55})}, over), over)
    assert noise.findings[0].key == f"across.{over}.none"
    few = reasons_across(*stated({first: (200, {"price": 62}), second: (9, {"price": 8})}, over), over)
    assert few.findings[0].key == f"across.{over}.one"
    for result in (clear, less, noise, few):
        assert not any("{" in said or "nan" in said for said in sentences(result))


def test_versions_keep_their_own_base():
    # a reason that only the new list has: its share is of those who saw it
    columns = {"old": (300, {"price": 150}), "new": (100, {"price": 40, "trust": 30})}
    table = reasons_across(*stated(columns, "version"), "version").table.set_index(["code", "column"])
    assert table.loc[("trust", "new"), "share"] == 0.3 and table.loc[("trust", "old"), "n"] == 0


def test_the_wide_table_has_a_column_a_level_in_their_order():
    wide = reasons_across(*stated({"n": (50, {"price": 30}), "s": (100, {"price": 20})})).summary("en")
    assert list(wide.columns) == ["Kind", "South (n = 100)", "North (n = 50)"]
    assert wide.iloc[0].tolist() == ["Price", "20 (20.0%)", "30 (60.0%)"]


def test_the_size_of_a_tiny_level_is_hidden():
    wide = reasons_across(*stated({"s": (100, {"price": 20}), "n": (3, {"price": 2})})).summary("en")
    assert list(wide.columns) == ["Kind", "South", "North"]  # 102 in all would give North's away
    assert (wide.iloc[:, 1:] == "—").all(axis=None)


def test_outcomes_add_up_in_every_month():
    rows = [("", p, k, n) for p in months(3) for k, n in (("answered", 60), ("wrong_number", 41), ("no_answer", 20))]
    table = follow_up_across(counts(rows, ["level", "period", "follow_up", "n_customers"])).table
    assert table.groupby("column")["share"].sum().tolist() == pytest.approx([1, 1, 1])
    assert (table["n_base"] == 121).all()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(0, 40), min_size=3, max_size=3), min_size=3, max_size=3))
def test_no_hidden_cell_stands_alone_in_its_row_or_column(cells):
    rows = [(i, j, n) for i, row in enumerate(cells) for j, n in enumerate(row)]
    table = pd.DataFrame(rows, columns=["row", "column", "n"]).assign(base=sum(map(sum, cells)))
    out = protect(table, ABOUT, count="n", base="base", hides=("n",), within=("column",), across=("row",))
    hidden = out.pivot(index="row", columns="column", values="flag").eq("hidden")
    for line in (*hidden.to_numpy(), *hidden.to_numpy().T):
        assert line.sum() != 1 or len(line) == 1


def test_places_are_shares_of_the_known_with_bounds_for_all():
    rows = [("", "2025-12", place, n, n * 100) for place, n in (("甲", 60), ("乙", 20), ("", 15), ("不清楚", 5))]
    result = lost_to(counts(rows, ["level", "period", "lost_to", "n_customers", "fee_lost"]))
    first, last = result.table.iloc[0], result.table.iloc[-1]
    assert (first.share, first.bound_lower, first.bound_upper) == (0.75, 0.6, 0.8)
    assert last.n_customers == 20 and np.isnan(last.share) and "甲" in result.findings[0].say("en")
    few = lost_to(counts(rows[2:], ["level", "period", "lost_to", "n_customers", "fee_lost"]))
    assert few.findings[0].key == "reasons.place.too_few"
    across = lost_to_across(
        counts([("s", *r[1:4]) for r in rows], ["level", "period", "lost_to", "n_customers"], REGION)
    )
    assert across.table["share"].sum() == pytest.approx(1)


def pairs_of(n_both, n_a, n_b, n):
    pairs = counts([("", "2025-12", "group", "price", "service", n_both)],
                   ["level", "period", "level_of_list", "reason_a", "reason_b", "n_both"])  # fmt: skip
    return pairs, *stated({"1": (n, {"price": n_a, "service": n_b})}, "version")


def test_odds_ratio_of_a_pair_by_hand():
    # 40 both, 20 the first alone, 30 the second alone, 110 neither; Haldane's halves
    row = reasons_together(*pairs_of(40, 60, 70, 200)).table.iloc[0]
    assert row.expected == 21 and row.ratio == pytest.approx(40.5 * 110.5 / (20.5 * 30.5))
    half = 1.959964 * np.sqrt(1 / 40.5 + 1 / 20.5 + 1 / 30.5 + 1 / 110.5)
    assert np.log(row.ratio_upper / row.ratio) == pytest.approx(half, rel=1e-5)


@pytest.mark.parametrize(("both", "key"), [(45, "more"), (21, "chance"), (2, "none")])
def test_pairs_are_told_by_what_chance_would_do(both, key):
    result = reasons_together(*pairs_of(both, 60, 70, 200))
    assert result.findings[0].key == f"together.{key}"
    assert not any("{" in said or "nan" in said for said in sentences(result))
