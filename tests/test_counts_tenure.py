"""Tenures and cohorts, by hand on the toy customers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from survival_cases import counts as counted
from survival_cases import visitors
from toy import BARE, CUSTOMERS, canonical, row, toy

import churnlib as churn
from churnlib.counts import cohort_counts, definitions, tenure_counts
from churnlib.counts.cohortages import completed
from churnlib.counts.cohorts import anniversary
from churnlib.survival.curves import level_curves
from churnlib.survival.lifetable import life_table
from churnlib.text import DataError, UsageError

UNITS = ("week", "month", "quarter", "year")


@pytest.fixture(scope="module")
def data():
    return toy()


# tenure


def test_tenures_by_hand(data):
    counts = tenure_counts(data).frame.set_index("tenure")
    assert counts.n_entered[0] == 7  # 5, 6, 7, 8, 9, 11, 12 are seen from their start
    assert counts.n_voluntary[1] == 1  # 5: one day as a customer
    assert (counts.n_entered[1], counts.n_involuntary[2]) == (1, 1)  # 3: entered after a day, left on the second
    assert counts.n_events[20] == 1 and counts.n_involuntary[90] == 1  # 9; 7 until its return
    assert counts.n_censored[348] == 1  # 6: from 2024-01-31 to 2025-01-12, both included
    assert counts.n_entered.sum() == counts.n_events.sum() + counts.n_censored.sum() == 10
    later = tenure_counts(data, spells="later").frame.set_index("tenure")
    assert (later.n_entered[0], later.n_voluntary[92]) == (1, 1)


@pytest.mark.parametrize(
    ("definition", "months"),
    [("contract_end", 0), ("silent", 90 / 30.4375), ("silent_months", 3), ("own_gap", 3 / 30.4375), ("value", 4)],
)
def test_a_definition_says_before_which_tenure_nobody_can_be_lost(data, definition, months):
    counts = tenure_counts(data, definition=definition)
    assert counts.about.earliest_churn == pytest.approx(months)
    lost = counts.frame.loc[counts.frame["n_events"] > 0, "tenure"]
    assert lost.min() > months * 28


def test_old_customers_seen_only_while_they_are_safe_do_not_raise_the_curve():
    """Without the delay of their entry by one limit, S(36 months) of the last three years was .19 instead of .14."""
    read = []
    for observed in (0, 3650 - 3 * 365):
        life = life_table(tenure_counts(visitors(5_000, observed)))
        (curve,) = level_curves(life)
        read.append(curve.read([365, 730, 1095]))
    assert read[0]["log_variance"].max() < read[1]["log_variance"].max()  # the window holds fewer customers
    assert (read[1]["ci_lower"] < read[0]["survival"]).all() and (read[0]["survival"] < read[1]["ci_upper"]).all()


VERBS = ("length_of_stay", "ways_of_leaving", "hazard_by_tenure", "months_stayed", "logrank_test", "gray_test")


def test_shuffled_customers_other_threads_and_counts_by_hand_give_the_same_tables_to_the_last_bit():
    rng, n, as_of = np.random.default_rng(6), 12_000, pd.Timestamp("2025-12-31")
    start = as_of - pd.to_timedelta(rng.integers(0, 2500, n), unit="D")
    end = start + pd.to_timedelta(rng.exponential(700, n).astype(int), unit="D")
    seen = end >= "2024-01-01"  # who left before is in no file
    said = [[str(day)[:10] if day <= as_of else None for day in days[seen]] for days in (start, end)]
    outcome = rng.choice(["voluntary", "involuntary", "natural"], n, p=[0.6, 0.3, 0.1])[seen]
    region = rng.choice(["north", "south"], n)[seen]
    rows = list(zip(range(seen.sum()), *said, np.where(end[seen] <= as_of, outcome, None), strict=True))
    rows = [(*row, None, place) for row, place in zip(rows, region, strict=True)]
    mixed = [rows[i] for i in rng.permutation(len(rows))]
    spec = {**BARE, "as_of": "2025-12-31"}
    one, other = (canonical({"customers": r}, spec, threads=t) for r, t in ((rows, 1), (mixed, 3)))
    made = [tenure_counts(data, "region") for data in (one, other)]
    days = {"entry": np.maximum((pd.Timestamp("2024-01-01") - start[seen]).days, 0)}
    days |= {"exit": (end.where(end <= as_of, as_of) - start)[seen].days + 1, "level": region}
    by_hand = counted(pd.DataFrame(days | {"outcome": np.where(end[seen] <= as_of, outcome, "censored")}), by="region")
    pd.testing.assert_frame_equal(made[0].frame, made[1].frame)
    tables = [[getattr(churn, verb)(replace(made[0], frame=c.frame)).table for verb in VERBS] for c in (*made, by_hand)]
    for again in tables[1:]:
        for mine, theirs in zip(tables[0], again, strict=True):
            pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
    many = made[0].frame.set_index(["level", "tenure"]).mul(1024).reset_index()  # ten million of the same
    more = churn.kaplan_meier(replace(made[0], frame=many)).table.merge(tables[0][0], on=["level", "tenure"])
    assert (more["survival_x"] == more["survival_y"]).all() and (more["std_error_x"] <= more["std_error_y"]).all()


def test_blocks_and_weights_add_up(data):
    plain, heavy = tenure_counts(data), tenure_counts(data, "region", weight="monthly_fee", blocks=True)
    assert set(heavy.frame["block"]) <= set(range(50)) and heavy.grain == ("level", "block", "tenure")
    together = heavy.total("block").total("level").frame
    pd.testing.assert_frame_equal(together[list(plain.frame.columns[1:])], plain.frame.drop(columns="level"))
    assert together["w_events"].sum() == 2000 + 3000 + 1000 + 4000 + 7000 + 5000
    assert together["w2_censored"].sum() == 11000**2 + 9000**2 + 6000**2 + 10000**2


def test_weights_need_a_fee():
    with pytest.raises(DataError, match="monthly_fee"):
        tenure_counts(toy(tables={"customers": [(*c[:4], None, *c[5:]) for c in CUSTOMERS]}), weight="monthly_fee")
    with pytest.raises(UsageError):
        tenure_counts(toy(), spells="all")


def test_data_that_only_know_months_have_tenure_in_months():
    customers = [
        (1, "2024-03-01", "2024-03-01", "voluntary"),  # left in the month of joining: counted at tenure 0
        (2, "2024-01-01", "2024-06-01", "voluntary"),
        (3, "2023-10-01", "2024-01-01", "voluntary"),  # seen from January on: at risk at tenure 3
        (4, "2024-02-01", None, None),
    ]
    data = canonical({"customers": customers}, {**BARE, "as_of": "2024-07-31", "time_unit": "month"})
    counts = tenure_counts(data).frame.set_index("tenure")
    assert counts.n_events.to_dict() == {0: 1, 2: 0, 3: 1, 5: 1}
    assert counts.n_entered.to_dict() == {0: 3, 2: 1, 3: 0, 5: 0} and counts.n_censored[5] == 1


# cohorts


def test_cohorts_by_hand(data):
    cells = cohort_counts(data)
    march = cells.frame[cells.frame.cohort == "2024-03"]
    assert march["n_retained"].tolist()[:2] == [1, 0]  # 9 did not complete a month
    february = cells.frame[cells.frame.cohort == "2024-02"].set_index("age")  # 7 (02-10 to 05-09, back 07-01) and 8
    assert february.n_retained.tolist()[:4] == [2, 2, 2, 1]  # 7 left a day before completing three months
    assert february.n_returned.tolist()[:9] == [0, 0, 0, 0, 0, 1, 1, 1, 0]  # at 07-10, 08-10, 09-10, not at 10-10
    money = cohort_counts(toy(tables={"activity": None}), measure="money").frame.query("cohort == '2024-02'")
    money = money.set_index("age")  # without activity it is the fees
    assert money.amount_base[0] == money.amount_kept[2] == 16000 and money.amount[5] - money.amount_kept[5] == 7000


def test_a_cell_is_complete_when_the_last_member_has_been_observed_that_long():
    # 8 joined on 02-29; a contract from the day after an end would undo the end, so that day has to be seen too
    own = {"contracts": None}
    for tables, as_of, complete, observed in (
        (own, "2024-05-27", False, 1),
        (own, "2024-05-28", True, 2),
        ({}, "2024-05-28", False, 2),
        ({}, "2024-05-29", True, 2),
    ):
        cell = row(cohort_counts(toy(as_of=as_of, tables=tables)), cohort="2024-02", age=3)
        assert (bool(cell.is_complete), cell.n_observed) == (complete, observed), as_of


def test_a_cohort_whose_period_still_runs_is_never_complete():
    frame = cohort_counts(toy(as_of="2024-03-30")).frame
    assert not frame[frame.cohort == "2024-03"]["is_complete"].any()
    assert frame[frame.cohort == "2024-02"].set_index("age").is_complete[0]


def test_cohorts_from_before_observation_are_marked(data):
    frame = cohort_counts(data).frame
    assert set(frame[frame.is_truncated]["cohort"]) == {"2023-03", "2023-06", "2023-12"}


@pytest.mark.parametrize("unit", UNITS)
def test_retention_falls_and_nobody_is_observed_twice(data, unit):
    for _, cells in cohort_counts(data, "region", unit).frame.groupby(["level", "cohort"]):
        assert cells["n_retained"].is_monotonic_decreasing and cells["n_observed"].is_monotonic_decreasing
        assert (cells["n_retained"] + cells["n_returned"] <= cells["n_start"]).all()
        assert cells["age"].tolist() == list(range(len(cells)))


def test_revenue_of_a_cohort_is_what_each_step_brought(data):
    frame = cohort_counts(data, measure="revenue").frame
    january = frame[frame.cohort == "2024-01"].set_index("age")  # 6: 01-31, 03-01, 09-01; 5 brought nothing
    assert january.amount[0] == 6000 and january.amount[1] == 6000 and january.amount[7] == 6000
    assert january.n_active.sum() == 3 and january.amount_kept.sum() == 18000
    assert not january.is_complete[11] and january.is_complete[10]  # 6 completes a twelfth month on 2025-01-30


def test_a_measure_the_data_lack_is_told():
    with pytest.raises(DataError, match="amount"):
        cohort_counts(toy(tables={"activity": None}), measure="revenue")
    with pytest.raises(UsageError):
        cohort_counts(toy(), measure="profit")


def test_who_joined_on_the_31st_completes_a_month_on_its_last_day():
    starts = pd.to_datetime(pd.Series(["2024-01-31", "2023-12-31", "2024-02-29"]))
    found = anniversary(starts, pd.Series([1, 2, 12]), "month")
    assert found.dt.strftime("%Y-%m-%d").tolist() == ["2024-02-29", "2024-02-29", "2025-02-28"]


def test_completed_months_agree_with_anniversaries(data):
    rng = np.random.default_rng(2)
    starts = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1800, 3000), unit="D")
    days = starts + pd.to_timedelta(rng.integers(0, 900, 3000), unit="D")
    data.con.load("pairs", pd.DataFrame({"start": starts, "day": days}))
    sql = f"SELECT start, day, {completed('start', 'day', 'month')} AS months FROM pairs ORDER BY start, day"  # noqa: S608
    pairs = data.con.frame(sql)
    reached, following = (anniversary(pairs["start"], pairs["months"] + step, "month") for step in (0, 1))
    assert (reached <= pairs["day"]).all() and (pairs["day"] < following).all()


EXCLUDING = {"exclusions": {"n": {"where": {"region": ["n"]}}}}


@pytest.mark.parametrize("changes", [{}, {"start_tenure_days": 30}, EXCLUDING])
def test_spells_straight_from_the_customers_give_the_counts_of_the_table_of_spells(changes, monkeypatch):
    rng, n = np.random.default_rng(7), 400
    start = pd.Timestamp("2025-06-30") - pd.to_timedelta(rng.integers(-30, 900, n), unit="D")
    end = (start + pd.to_timedelta(rng.exponential(400, n).astype(int), unit="D")).where(rng.random(n) < 0.8)
    days = ([None if pd.isna(day) else str(day)[:10] for day in days] for days in (start, end))
    rest = (rng.choice(values, n) for values in (["natural", None], [100, None], ["n", "s", None]))
    segments = {**BARE["segments"], "age": {"tenure_months": [0, 6]}}
    spec = {**BARE, "as_of": "2025-06-30", "segments": segments, **changes}
    data = canonical({"customers": list(zip(range(n), *days, *rest, strict=True))}, spec)
    heavy, asked = {"weight": "monthly_fee", "blocks": True}, (None, "region", "age", ["region"])
    made = [[tenure_counts(data, by, **how).frame for by in asked for how in ({}, heavy)]]
    assert not data.con.table_exists("spells")
    monkeypatch.setattr(definitions, "own_spells", lambda *_: "")
    made.append([tenure_counts(data, by, **how).frame for by in asked for how in ({}, heavy)])
    assert data.con.value("SELECT count(*) FROM spells") == made[0][0]["n_entered"].sum() > 100
    for straight, from_table in zip(*made, strict=True):
        pd.testing.assert_frame_equal(straight, from_table)
