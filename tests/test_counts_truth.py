"""Counts against plain Python, against simulated truths, and while the last day of the data moves."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy import BARE, balances, canonical

from churnlib.about import Period
from churnlib.counts import cohort_counts, period_counts, tenure_counts
from churnlib.text import DataError

FEW = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
UNITS = ("week", "month", "quarter", "year")


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
