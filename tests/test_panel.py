"""The panel: who is at risk and exposed, checked by hand on a dozen customers; nothing is known before it happened."""

from dataclasses import replace

import pandas as pd
import pytest
from test_sql import listening, problems
from toy import ACTIVITY, ASSIGNMENTS, CONTACTS, toy

from churnlib import counts, text
from churnlib.counts.drivers import drivers_of
from churnlib.model import schema
from churnlib.model.schema import Spec

DRIVERS = {
    "complaint": {"group": "service", "contact": "complaint", "resolved": "false", "months": "3"},
    "any_complaint": {"group": "service", "contact": "complaint", "months": "1"},
    "changed": {"group": "relationship", "assignment": "manager", "months": "2"},
    "left": {"group": "relationship", "assignment": "manager", "departed": "true", "months": "2"},
    "south": {"group": "access", "segment": "region", "levels": ["south"]},
    "old": {"group": "product", "column": "age", "bins": ["0", "40"], "since": "2024-06-01"},
    "falling": {"group": "product", "activity": "amount", "below": "0.6", "months": "2"},
    "rarer": {"group": "product", "activity": "frequency"},
}


def exposed(data, driver: str, definition: str = "contract_end") -> dict[str, tuple[int, int]]:
    """Month -> customer-months at risk and churned under a driver."""
    panel = counts.panel_counts(data, definition=definition)
    rows = panel.frame.merge(panel.patterns[["month", driver]], left_on="pattern", right_index=True)
    rows = rows[rows[driver] > 0].assign(month=[panel.months[m] for m in rows.loc[rows[driver] > 0, "month"]])
    sums = rows.groupby("month")[["n_at_risk", "n_churned"]].sum()
    return {str(month): tuple(map(int, row)) for month, row in zip(sums.index, sums.to_numpy(), strict=True)}


@pytest.mark.parametrize("definition", ["contract_end", "mobile", "value"])
def test_at_risk_and_lost_are_those_of_the_ledger(definition):
    data = toy(drivers=DRIVERS)
    panel, ledger = counts.panel_counts(data, definition=definition), counts.period_counts(data, definition=definition)
    rows = panel.frame.merge(panel.patterns[["month"]], left_on="pattern", right_index=True)
    sums = rows.groupby("month")[["n_at_risk", "n_churned"]].sum()
    book = ledger.frame[ledger.frame["is_complete"]].set_index("period")
    for month, row in sums.iterrows():
        there = book.loc[panel.months[month]]
        assert (row["n_at_risk"], row["n_churned"]) == (there["n_opening"], there["n_churned_opening"])
    assert book["n_opening"].sum() == sums["n_at_risk"].sum()


def test_a_complaint_counts_from_the_next_opening_for_its_months():
    data = toy(drivers=DRIVERS)
    # customer 1 complained on 3 February, unresolved; customer 2 the same day, resolved, and left on the 10th
    assert exposed(data, "complaint") == {"2024-03": (1, 0), "2024-04": (1, 0), "2024-05": (1, 0)}
    assert exposed(data, "any_complaint") == {"2024-03": (1, 0)}


def test_a_change_counts_from_the_day_after_it_and_a_departure_is_one_of_half_the_customers():
    data = toy(drivers=DRIVERS)
    # customer 1 changes on 1 March (not yet known at that opening), customer 6 on 15 March
    assert exposed(data, "changed") == {"2024-04": (2, 0), "2024-05": (2, 0)}
    # on the eve of March Li had 1 and 7 and keeps 7; Wang had 6, and Li got it
    assert exposed(data, "left") == {"2024-04": (2, 0), "2024-05": (2, 0)}
    kept = [(1, "manager", "Li", "2023-03-15", "2024-02-29"), (1, "manager", "Wang", "2024-03-01", None)]
    others = [(k, "manager", "Li", "2023-01-01", None) for k in (6, 7, 8)]
    assert exposed(toy(tables={"assignments": kept + others}, drivers=DRIVERS), "left") == {}


def test_levels_hold_as_of_the_opening_and_since_a_day():
    data = toy(drivers=DRIVERS)
    south = exposed(data, "south")
    # 3 (lost on 1 January) at the first opening; 6 and 8 joined in January and February, 9 joined and left in March
    assert (south["2024-01"], south["2024-02"], south["2024-03"]) == ((1, 1), (1, 0), (2, 0))
    old = exposed(data, "old")
    assert min(old) == "2024-07"  # customer 7 (50 years) is away in June, back on 1 July (not at its opening)


def test_falling_amounts_look_before_the_lag_and_need_a_whole_base():
    rows = [(1, f"2024-{m:02d}-05", 10000 if m < 9 else 1000) for m in range(1, 13)]
    data = toy(tables={"activity": rows}, drivers=DRIVERS)
    # months looked at end one month before the opening: October's is September's and August's share of March - August
    falling = exposed(data, "falling")
    assert min(falling) == "2024-11"  # August 100, September 10: 55 % of the base; October's opening sees July, August


def test_under_inactivity_every_day_of_activity_is_a_trial_and_losses_are_the_ledgers():
    data = toy(drivers=DRIVERS)
    panel, ledger = counts.panel_counts(data, definition="silent"), counts.period_counts(data, definition="silent")
    rows = panel.frame.merge(panel.patterns[["month"]], left_on="pattern", right_index=True)
    lost = rows.groupby("month")["n_churned"].sum()
    book = ledger.frame[ledger.frame["is_complete"]].set_index("period")["n_churned"]
    assert {panel.months[m]: n for m, n in lost.items() if n} == {k: n for k, n in book.items() if n}
    assert panel.silent and panel.frame["n_at_risk"].sum() < len(ACTIVITY) + 12


def test_what_happens_after_the_end_changes_nothing():
    before = counts.panel_counts(toy(drivers=DRIVERS)).frame
    later = [*CONTACTS, (2, "2024-02-11", "complaint", None, False), (7, "2024-10-05", "complaint", None, False)]
    moved = [*ASSIGNMENTS, (9, "manager", "Li", "2024-03-05", "2024-04-01"), (9, "manager", "Wang", "2024-04-02", None)]
    after = counts.panel_counts(toy(tables={"contacts": later, "assignments": moved}, drivers=DRIVERS)).frame
    pd.testing.assert_frame_equal(before, after)


@pytest.mark.parametrize("definition", ["contract_end", "silent"])
def test_every_statement_means_the_same_elsewhere(definition):
    data = listening(drivers=DRIVERS)
    counts.panel_counts(data, definition=definition)
    found = {sql: problems(sql) for sql in data.con.heard}
    assert not {sql: names for sql, names in found.items() if names}


def test_without_declared_drivers_the_tables_say_what_to_look_at():
    proposed = drivers_of(toy())
    assert proposed["complaint"].contact == "complaint" and proposed["complaint"].resolved is False
    assert drivers_of(toy(drivers={})) == {}


def test_a_level_that_nobody_has_is_named_with_near_misses():
    bad = DRIVERS | {"south": {"group": "access", "segment": "region", "levels": ["suoth"]}}
    with pytest.raises(text.DataError, match="south"):
        counts.panel_counts(toy(drivers=bad))


def test_part_of_the_customers_may_lack_a_level_that_a_driver_names():
    absent = {"south": {"group": "access", "segment": "region", "levels": ["east"]}}
    absent |= {"since": {"group": "access", "segment": "region", "reference": "east", "since": "2024-06-01"}}
    absent |= {"later": {"group": "access", "segment": "region", "levels": ["east"], "since": "2024-06-01"}}
    data = replace(toy(drivers=absent), filters=(("region", "north"),))
    assert exposed(data, "south") == exposed(data, "later") == {}
    assert exposed(data, "since")


def test_a_driver_has_one_source_and_its_options():
    for wrong in (
        {"group": "price"},
        {"group": "price", "contact": "a", "event": "b"},
        {"group": "price", "contact": "a", "bins": ["1"]},
    ):
        with pytest.raises(ValueError, match="driver|option"):
            Spec.model_validate({"title": "t", "as_of": "2025-01-01", "tables": {}, "drivers": {"d": wrong}})


DECLARED = """\
title: t
as_of: 2026-01-12
observed_from: 2024-01-01
tables:
  customers: {file: c.csv, columns: {customer_id: id, start_date: s, end_date: e, phone: p, age: a}}
  contacts: {file: k.csv, columns: {customer_id: id, date: d, kind: {column: k, values: {上门: home_visit}}}}
segments: {region: {column: age}}
drivers:
  visit: {group: service, contact: home_visit}
  young:
    group: product
    segment: region
roles: {personal: [phone]}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "named"),
    [
        ("group: product", "group: prodcut", 11, "product"),
        ("home_visit}\n", "home_vist}\n", 9, "home_visit"),
        ("segment: region", "segment: regoin", 12, "region"),
        ("segment: region", "column: phone", 12, "phone"),
        ("segment: region", "column: agge", 12, "age"),
        ("segment: region", "column: age\n    bins: [25]", 13, "age"),
        ("segment: region", "assignment: manager", 12, "assignments"),
        ("segment: region", "event: outage", 12, "events"),
        ("segment: region", "segmnet: region", 12, "segment"),
        ("segment: region", "months: 3", 10, "segment"),
        ("segment: region", "event: a\n    bins: [1]", 10, "bins"),
        ("segment: region", "segment: region\n    months: soon", 13, "soon"),
    ],
)
def test_a_wrong_driver_is_told_with_its_key_line_and_near_misses(tmp_path, old, new, line, named):
    path = tmp_path / "dataset.yml"
    path.write_text(DECLARED, "utf-8")
    schema.load(path)
    path.write_text(DECLARED.replace(old, new), "utf-8")
    for language in text.LANGUAGES:
        text.set_language(language)
        with pytest.raises(text.DataError) as problem:
            schema.load(path)
        assert named in str(problem.value) and f"{line}" in str(problem.value), str(problem.value)


def test_against_a_declared_reference_the_other_levels_stand_apart():
    source = {"group": "price", "segment": "region", "levels": ["south"], "reference": "north"}
    panel = counts.panel_counts(toy(drivers={"south": source}))
    (factor,) = [f for f in panel.factors if f.group]
    assert factor.levels == ("", "south", "other") and factor.beside
    del source["reference"]
    plain = counts.panel_counts(toy(drivers={"south": source}))
    sums = [
        p.frame.groupby(p.patterns["south"].reindex(p.frame["pattern"]).to_numpy())["n_at_risk"].sum()
        for p in (panel, plain)
    ]
    assert sums[0][1] == sums[1][1] and sums[0][0] + sums[0][2] == sums[1][0]


def test_tenure_is_no_control_where_it_is_the_driver():
    new = {"group": "relationship", "segment": "tenure", "levels": ["0-3"]}
    bands = {n: counts.panel_counts(toy(drivers=d)).factors[1].levels for n, d in (("new", {"new": new}), ("none", {}))}
    assert bands == {"none": ("0", "1", "3", "6", "12", "24", "36", "60"), "new": ("0", "6", "12", "24", "36", "60")}


def test_only_the_last_months_are_looked_at(monkeypatch):
    whole = counts.panel_counts(toy(drivers=DRIVERS))
    monkeypatch.setattr("churnlib.counts.panel.MONTHS", 3)
    panel = counts.panel_counts(toy(drivers=DRIVERS))
    assert panel.months == whole.months[-3:]
    late = whole.patterns["month"].reindex(whole.frame["pattern"]).to_numpy() >= len(whole.months) - 3
    columns = ["n_at_risk", "n_churned"]
    assert panel.frame[columns].sum().tolist() == whole.frame.loc[late, columns].sum().tolist()
