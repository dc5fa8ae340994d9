"""Counts: the ledger, tenures, cohorts, reasons and tracking, by hand on the toy customers and against plain Python."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy import CUSTOMERS, SPEC, canonical, toy

from churnlib.about import Period
from churnlib.counts import (
    Counts,
    campaign_counts,
    cohort_counts,
    companion_counts,
    lost_to_counts,
    period_counts,
    reason_counts,
    reason_pair_counts,
    response_counts,
    state_counts,
    tenure_counts,
    tracking_counts,
)
from churnlib.counts.cohorts import anniversary, completed
from churnlib.text import DataError, UsageError

FEW = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DEFINITIONS, SEGMENTS, UNITS = list(SPEC["definitions"]), list(SPEC["segments"]), ("week", "month", "quarter", "year")


@pytest.fixture(scope="module")
def data():
    return toy()


def row(counts: Counts, **key) -> pd.Series:
    frame = counts.frame
    for column, value in key.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1, (key, len(frame))
    return frame.iloc[0]


def balances(frame: pd.DataFrame) -> None:
    for kind in ("n", "fee"):
        came = frame[f"{kind}_new"] + frame[f"{kind}_reactivated"] + frame[f"{kind}_moved_in"]
        went = frame[f"{kind}_churned"] + frame[f"{kind}_moved_out"]
        assert (frame[f"{kind}_opening"] + came - went == frame[f"{kind}_closing"]).all()
        for _, level in frame.groupby("level"):
            assert (level[f"{kind}_opening"].iloc[1:].to_numpy() == level[f"{kind}_closing"].iloc[:-1].to_numpy()).all()


# the ledger, by hand


def test_the_ledger_of_the_toy_customers(data):
    ledger = period_counts(data)
    columns = ["n_opening", "n_new", "n_reactivated", "n_churned", "n_churned_opening", "n_closing", "exposure_days"]
    expected = {
        "2024-01": [3, 2, 0, 2, 1, 3, 65],  # 1, 2, 3 are there; 5 and 6 join; 3 and 5 leave; 31 + 31 + 1 + 1 + 1 days
        "2024-02": [3, 2, 0, 1, 1, 4, 29 + 10 + 29 + 20 + 1],
        "2024-03": [4, 1, 0, 1, 0, 4, 4 * 31 + 20],  # 9 is new and lost in the same month
        "2024-05": [4, 0, 0, 1, 1, 3, 3 * 31 + 9],
        "2024-07": [4, 0, 1, 0, 0, 5, 5 * 31],  # 7 is back
        "2024-12": [5, 0, 0, 0, 0, 5, 5 * 31],
        "2025-01": [5, 0, 0, 1, 1, 4, 4 * 12 + 5],  # unfinished: the data end on the 12th
    }
    for period, numbers in expected.items():
        assert row(ledger, period=period)[columns].tolist() == numbers, period


def test_the_unfinished_period_is_marked(data):
    frame = period_counts(data).frame
    assert frame["period"].iloc[[0, -1]].tolist() == ["2024-01", "2025-01"]
    assert frame["is_complete"].tolist() == [True] * 12 + [False]
    assert str(period_counts(data).about.period) == "2024-12"


def test_money_follows_the_customers(data):
    february = row(period_counts(data), period="2024-02")
    assert february[["fee_opening", "fee_new", "fee_churned", "fee_churned_opening", "fee_closing"]].tolist() == [
        21000,
        16000,
        5000,
        5000,
        32000,
    ]
    assert february.revenue == 10000 + 7000
    assert row(period_counts(data), period="2024-07").revenue == 10000 - 2000  # a refund


def test_money_is_left_out_where_the_data_have_none():
    poor = [(*c[:4], None, *c[5:]) for c in CUSTOMERS]
    frame = period_counts(toy(tables={"activity": None, "customers": poor})).frame
    assert not [c for c in frame if c == "revenue" or c.startswith("fee_")]


def test_outcomes_add_up_to_all_churned(data):
    frame = period_counts(data).frame
    outcomes = frame[["n_voluntary", "n_involuntary", "n_natural", "n_unknown"]].sum(axis=1)
    assert (outcomes == frame["n_churned"]).all()
    assert (frame["n_churned_opening"] + frame["n_churned_new"] == frame["n_churned"]).all()


@pytest.mark.parametrize("by", SEGMENTS)
@pytest.mark.parametrize("definition", ["contract_end", "silent"])
def test_segments_add_up_to_the_whole(data, by, definition):
    parts, whole = period_counts(data, by, definition=definition), period_counts(data, definition=definition)
    numbers = [c for c in whole.frame.select_dtypes("integer") if "moved" not in c]
    balances(parts.frame)
    pd.testing.assert_frame_equal(parts.total("level").frame[numbers], whole.frame[numbers])
    moved = parts.frame.groupby("period")[["n_moved_in", "n_moved_out", "fee_moved_in", "fee_moved_out"]].sum()
    assert (moved.n_moved_in == moved.n_moved_out).all() and (moved.fee_moved_in == moved.fee_moved_out).all()


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_every_definition_balances_in_customers_and_money(data, definition, unit):
    frame = period_counts(data, unit=unit, definition=definition).frame
    assert len(frame) and (frame[["n_opening", "n_closing", "exposure_days"]] >= 0).all().all()
    balances(frame)


def test_a_change_of_level_takes_effect_at_the_next_opening(data):
    managers = period_counts(data, "manager")
    # 1 changes on the first of March: in February's ledger Li hands over, in March's Wang has two from the opening on
    assert row(managers, level="Li", period="2024-02")[["n_moved_out", "n_churned", "n_closing"]].tolist() == [1, 1, 1]
    assert row(managers, level="Wang", period="2024-02")[["n_moved_in", "n_closing"]].tolist() == [1, 2]
    # 6 changes on 15 March: a customer of Wang until the end of March
    assert row(managers, level="Wang", period="2024-03")[["n_opening", "n_moved_out", "exposure_days"]].tolist() == [
        2,
        1,
        62,
    ]


def test_who_changes_the_level_twice_in_a_period_moves_once():
    hops = [(1, "manager", name, f"2024-03-{day}", None) for name, day in (("A", "05"), ("B", "12"), ("C", "25"))]
    frame = period_counts(toy(tables={"assignments": hops}), "manager").frame
    march = frame[frame.period == "2024-03"].set_index("level")
    assert march.n_moved_in.to_dict() == {"A": 0, "B": 0, "C": 1, "unknown": 0}


def test_who_leaves_after_a_change_leaves_the_level_of_the_opening():
    changed = [(2, "manager", "Li", "2023-06-01", "2024-02-04"), (2, "manager", "Wang", "2024-02-05", None)]
    managers = period_counts(toy(tables={"assignments": changed}), "manager")
    assert row(managers, level="Li", period="2024-02").n_churned == 1
    assert not managers.frame[managers.frame.level == "Wang"][["n_opening", "n_moved_in", "n_churned"]].any().any()


def test_levels_by_tenure_move_with_time(data):
    frame = period_counts(data, "tenure", unit="quarter").frame
    first = frame[frame.period == "2024-Q1"].set_index("level")
    assert first.n_opening.to_dict() == {"0-3": 1, "3+": 2}  # 3 joined the day before
    assert first.n_moved_in["3+"] == 0  # 6 completes three months on 30 April
    assert row(Counts(frame, None, (), ()), level="3+", period="2024-Q2").n_moved_in == 2  # 6 and 8


def test_a_definition_that_needs_a_limit_begins_its_ledger_later(data):
    assert period_counts(data, definition="silent").frame["period"].iloc[0] == "2024-04"
    assert period_counts(data, definition="value").frame["period"].iloc[0] == "2024-05"
    frame = period_counts(data, definition="silent").frame.set_index("period")
    assert frame.n_opening["2024-04"] == 6 and frame.n_reactivated["2024-07"] == 1
    assert frame.is_provisional["2024-11"] and not frame.is_provisional["2024-05"]


def test_the_unit_of_the_report_is_the_default(data):
    assert period_counts(data).about.period.unit == "month"
    quarter = period_counts(data, unit="quarter")
    assert str(quarter.about.period) == "2024-Q4" and quarter.frame["period"].iloc[0] == "2024-Q1"
    with pytest.raises(UsageError, match="week"):
        period_counts(data, unit="decade")


def test_what_counts_are_about_names_the_definition_and_the_segment(data):
    about = period_counts(data, "region", definition="silent").about
    assert about.segment.name == "region" and about.definition == "silent" and "90" in about.definition_note.zh
    assert period_counts(data).about.segment.name == ""


def test_numbers_that_do_not_add_are_not_added(data):
    with pytest.raises(ValueError, match="period"):
        period_counts(data).total("period")


def test_excluded_customers_are_nowhere():
    with_test = toy(exclusions={})
    assert period_counts(with_test).frame["n_new"].sum() == period_counts(toy()).frame["n_new"].sum() + 1


# against plain Python


def day(n: int) -> date:
    return date(2024, 1, 1) + timedelta(days=n)


def ledger_in_python(customers, first, as_of, unit="month"):
    """Openings, arrivals and losses by looking at every customer and period; one contract a customer."""
    rows, period = [], Period.containing(first, unit)
    while period.first <= as_of:
        f, t = period.first, min(period.last, as_of)
        there = [(s, e) for s, e in customers if s < f and (e is None or e >= f)]
        came = [(s, e) for s, e in customers if f <= s <= t]
        left = [(s, e) for s, e in there + came if e is not None and e <= t]
        days = sum((min(e or t, t) - max(s, f)).days + 1 for s, e in there + came)
        lost = sum(e is not None and e <= t for _, e in there)
        rows.append((str(period), len(there), len(came), len(left), lost, len(there) + len(came) - len(left), days))
        period = period.shift(1)
    return rows


BARE = {
    "title": "t",
    "observed_from": "2024-01-01",
    "definitions": {"contract_end": {"kind": "contract_end"}},
    "definition": "contract_end",
    "segments": {"region": {"column": "region"}},
    "tables": {"customers": {"file": "c", "columns": {"customer_id": "id", "region": "region"}}},
}
lives = st.lists(
    st.tuples(st.integers(-100, 200), st.integers(0, 150), st.booleans(), st.sampled_from(["a", "b", None])),
    min_size=1,
    max_size=12,
)


def bare(customers, as_of, threads=1):
    rows = [(i, s, e, "voluntary" if e else None, 100, region) for i, (s, e, region) in enumerate(customers)]
    return canonical({"customers": rows}, {**BARE, "as_of": str(as_of)}, threads)


def known(lives, as_of):
    """Customers as they are known on a day."""
    told = [(day(s), day(s + length) if ends else None, region) for s, length, ends, region in lives]
    return [(s, e if e and e <= as_of else None, region) for s, e, region in told if s <= as_of]


@FEW
@given(lives, st.integers(1, 220), st.sampled_from(UNITS))
def test_the_ledger_agrees_with_plain_python(lives, length, unit):
    as_of = day(length)
    customers = [c for c in known(lives, as_of) if not c[1] or c[1] >= day(0)]
    if not customers:
        return
    frame = period_counts(bare(customers, as_of), unit=unit).frame
    expected = {r[0]: list(r[1:]) for r in ledger_in_python([c[:2] for c in customers], day(0), as_of, unit)}
    columns = ["n_opening", "n_new", "n_churned", "n_churned_opening", "n_closing", "exposure_days"]
    for found in frame.itertuples():
        assert [getattr(found, c) for c in columns] == expected[found.period], found.period


@FEW
@given(lives, st.integers(60, 200), st.integers(1, 40))
def test_moving_as_of_never_changes_a_closed_period(lives, length, later):
    """Nor a published complete cohort cell."""
    then, now = day(length), day(length + later)
    if not any(not c[1] or c[1] >= day(0) for c in known(lives, then)):
        return
    before, after = (bare(known(lives, as_of), as_of) for as_of in (then, now))
    for count in (lambda d: period_counts(d, "region"), lambda d: cohort_counts(d)):
        old, new = count(before), count(after)
        closed = old.frame[old.frame["is_complete"]].drop(columns=["n_observed"], errors="ignore")
        key = [*old.grain]
        same = closed[key].merge(new.frame, on=key, how="left")[closed.columns]
        pd.testing.assert_frame_equal(same, closed.reset_index(drop=True), check_dtype=False)


@FEW
@given(
    st.lists(st.tuples(st.integers(-50, 100), st.lists(st.integers(-50, 260), max_size=6)), min_size=1, max_size=6),
    st.integers(150, 250),
    st.integers(1, 30),
)
def test_moving_as_of_never_changes_a_closed_period_of_an_inactivity_rule(customers, length, later):
    spec = BARE | {
        "definitions": {"s": {"kind": "inactivity", "at_risk": "10 days", "limit": "40 days"}},
        "definition": "s",
    }

    def counted(as_of):
        tables = {
            "customers": [(i, day(s)) for i, (s, _) in enumerate(customers) if day(s) <= as_of],
            "activity": [
                (i, day(n), 1) for i, (s, days) in enumerate(customers) for n in days if n >= s and day(n) <= as_of
            ],
        }
        frame = period_counts(canonical(tables, spec | {"as_of": str(as_of)})).frame
        balances(frame.assign(**{c.replace("n_", "fee_", 1): 0 for c in frame if c.startswith("n_")}))
        return frame

    try:
        old, new = counted(day(length)), counted(day(length + later))
    except DataError:  # nobody was ever seen
        return
    closed = old[old["is_complete"]].drop(columns="is_provisional").reset_index(drop=True)
    same = closed[["level", "period"]].merge(new, on=["level", "period"], how="left")[closed.columns]
    pd.testing.assert_frame_equal(same, closed, check_dtype=False)


# truths


def simulated(n, daily_hazard, growth, seed=1):
    """Customers who join ever more often and leave at a constant hazard, with late entry; two years."""
    rng = np.random.default_rng(seed)
    joined = (np.log1p(rng.random(n) * np.expm1(3 * growth)) / growth * 365 - 365).astype(int)
    life = rng.geometric(daily_hazard, n)
    return [
        (day(s), day(s + d - 1) if s + d - 1 <= 730 else None, None)
        for s, d in zip(joined.tolist(), life.tolist(), strict=True)
    ]


def test_constant_hazard_with_growth_gives_a_flat_rate_and_the_truth():
    hazard = 0.002
    data = bare(simulated(40_000, hazard, growth=1.2), day(730), threads=2)
    frame = period_counts(data).frame.query("is_complete")
    per_day = frame["n_churned"] / frame["exposure_days"]
    z = (per_day - hazard) / np.sqrt(hazard / frame["exposure_days"])
    assert abs(frame["n_churned"].sum() / frame["exposure_days"].sum() / hazard - 1) < 0.02
    assert (z.abs() < 4).all()
    days = (frame["last_day"] - frame["first_day"]).dt.days + 1
    rate, truth = frame["n_churned_opening"] / frame["n_opening"], 1 - (1 - hazard) ** days
    assert ((rate - truth).abs() < 4 * np.sqrt(truth * (1 - truth) / frame["n_opening"])).all()
    assert frame["n_opening"].iloc[-1] > 2 * frame["n_opening"].iloc[0]  # it did grow


def test_tenure_counts_recover_a_constant_hazard_from_late_entrants():
    hazard = 0.002
    frame = tenure_counts(bare(simulated(40_000, hazard, growth=0.5), day(730), threads=2)).frame
    left = frame["n_events"] + frame["n_censored"]
    at_risk = frame["n_entered"].cumsum() - frame["n_entered"] - (left.cumsum() - left)  # entry < t <= exit
    assert (at_risk >= frame["n_events"]).all()
    gaps = frame["tenure"].diff().fillna(0)
    assert abs(frame["n_events"].sum() / (at_risk * gaps).sum() / hazard - 1) < 0.02


def test_zero_churn_data_give_exactly_zero():
    stays = [(day(n % 300 - 100), None, "a") for n in range(50)]
    data = bare(stays, day(400))
    frame = period_counts(data, "region").frame
    assert frame["n_churned"].sum() == frame["n_churned_opening"].sum() == 0
    assert tenure_counts(data).frame["n_events"].sum() == 0
    cells = cohort_counts(data).frame
    assert (cells["n_retained"] == cells["n_observed"]).all()


def test_the_order_of_rows_and_the_number_of_threads_do_not_matter():
    customers = simulated(300, 0.004, 1.0)
    one, other = bare(customers, day(730)), bare(customers, day(730), threads=2)
    other.con.run("CREATE OR REPLACE TABLE customers AS SELECT * FROM customers ORDER BY hash(customer)")
    for count in (period_counts, tenure_counts, cohort_counts):
        pd.testing.assert_frame_equal(count(one).frame, count(other).frame)


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
    assert february.fee_retained[2] == 16000 and february.fee_returned[5] == 7000


def test_a_cell_is_complete_when_the_last_member_has_been_observed_that_long():
    for as_of, complete, observed in (("2024-05-27", False, 1), ("2024-05-28", True, 2)):  # 8 joined on 02-29
        counts = cohort_counts(toy(as_of=as_of))
        cell = row(counts, cohort="2024-02", age=3)
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


# states


@pytest.mark.parametrize("definition", ["silent", "silent_months", "own_gap", "contract_end"])
def test_states_add_up_to_the_closing(data, definition):
    state, ledger = state_counts(data, definition=definition).frame, period_counts(data, definition=definition).frame
    states = state[["n_retained", "n_reactivated", "n_at_risk"]]
    assert (states >= 0).all().all() and (states.sum(axis=1) == ledger["n_closing"]).all()


def test_states_by_hand(data):
    state = state_counts(data, definition="silent").frame.set_index("period")
    # end of August: 12 is silent since 06-10, 7 since its return on 07-15, 1 came this month; 2, 5, 6, 8, 9 are lost
    assert state.loc["2024-08", ["n_retained", "n_reactivated", "n_at_risk", "n_lost"]].tolist() == [1, 0, 2, 5]
    assert state.loc["2024-09", "n_reactivated"] == 1  # 6 is back


# reasons


def test_reasons_count_respondents_and_mentions(data):
    counts = reason_counts(data, unit="year")
    price = row(counts, period="2024", level_of_list="group", reason="price")
    assert price[["n_named", "n_mentions", "fee_lost", "version"]].tolist() == [
        2,
        3,
        12000,
        "2023",
    ]  # 2 named two of the group
    assert row(counts, reason="price.too_high").n_named == 2 and row(counts, reason="service").n_named == 1
    assert "period" in counts.adds_over and "reason" not in counts.adds_over


def test_everybody_lost_is_answered_for(data):
    for by, unit in ((None, None), ("region", "quarter"), ("manager", "month")):
        responses, ledger = response_counts(data, by, unit).frame, period_counts(data, by, unit).frame
        keys = ["level", "period"]
        lost = ledger[ledger.n_churned > 0].set_index(keys)["n_churned"].sort_index()
        found = responses.groupby(keys)["n_customers"].sum().sort_index()
        pd.testing.assert_series_equal(found, lost, check_names=False)


def test_the_answer_counts_before_an_attempt_that_failed(data):
    responses = response_counts(data, unit="year")
    assert row(responses, period="2024", follow_up="answered").n_customers == 3  # 2, 7 and 9, who was reached later
    assert row(responses, period="2024", follow_up="not_asked").n_customers == 2  # 5, and 7 after its first spell
    assert row(responses, period="2024", follow_up="wrong_number").n_customers == 1


def test_own_groups_of_the_company_are_a_list_of_their_own():
    own = {"groups": {"platform": {"label": "p", "members": ["price", "service.attitude"]}}}
    counts = reason_counts(toy(reasons=own), unit="year")
    assert row(counts, level_of_list="own", reason="platform").n_named == 2
    assert row(counts, level_of_list="own", reason="other").n_named == 1


def test_reasons_named_together_and_places_gone_to(data):
    pairs = reason_pair_counts(data, unit="year")
    assert row(pairs, level_of_list="group").n_both == 1
    assert row(pairs, reason_a="price.fees", reason_b="price.too_high").n_both == 1
    places = lost_to_counts(data, unit="year")
    assert row(places, period="2024", lost_to="rival").n_customers == 2
    assert places.frame["n_customers"].sum() == period_counts(data).frame["n_churned"].sum()


def test_reasons_without_a_survey_are_told():
    with pytest.raises(DataError, match="exit_survey"):
        reason_counts(toy(tables={"exit_survey": None}))


# tracking


def test_companion_signals_by_hand(data):
    february = row(companion_counts(data), period="2024-02")
    assert february[["n_complaints", "n_unresolved", "n_asked", "n_scores", "score_sum"]].tolist() == [2, 1, 3, 2, 7.5]
    assert february.score_sum2 == 4.5**2 + 3**2


def test_new_customers_are_judged_when_three_months_have_passed(data):
    frame = tracking_counts(data, unit="quarter").frame.set_index("period")
    assert frame.loc["2024-Q1", ["n_new_judged", "n_new_regular"]].tolist() == [5, 2]  # 5, 7, 9 left; 6, 8 stayed
    assert frame.loc["2024-Q4", "n_new_judged"] == 0  # 11 joined less than three months before the data end


def test_campaigns_by_period_and_arm(data):
    march = row(tracking_counts(data), period="2024-03")
    assert march[
        ["campaign_n_treated", "campaign_n_control", "campaign_cost", "campaign_revenue_treated"]
    ].tolist() == [
        2,
        0,
        600,
        9000,
    ]
    arms = campaign_counts(data).frame.set_index("arm")
    assert arms.n_returned.to_dict() == {"control": 0, "treated": 1} and arms.revenue_after_sum2["treated"] == 9000.0**2


def test_the_tracking_sums_stand_beside_the_ledger(data):
    ledger, tracked = period_counts(data).frame, tracking_counts(data).frame
    assert tracked["period"].tolist() == ledger["period"].tolist()
    assert set(tracked) & set(ledger) == {"period"}
    assert (tracked["n_new_judged"] <= ledger["n_new"]).all()


def test_tracking_leaves_out_what_the_data_lack():
    frame = tracking_counts(toy(tables={"contacts": None, "campaigns": None})).frame
    assert list(frame) == ["period", "n_new_judged", "n_new_regular"]
    with pytest.raises(DataError, match="contacts"):
        companion_counts(toy(tables={"contacts": None}))
    with pytest.raises(DataError, match="campaigns"):
        campaign_counts(toy(tables={"campaigns": None}))
