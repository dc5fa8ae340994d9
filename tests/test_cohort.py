"""Cohort retention: honest cells, an honest mean."""

from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from counted import ABOUT
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlib.about import Period
from churnlib.cohorts.cohort import cohort_retention
from churnlib.cohorts.cohortcells import COMPLETE, EMPTY, OPEN, PARTLY, SMALL, cell_states
from churnlib.show.display import block


def cohorts(retained: dict, as_of=ABOUT.as_of, truncated=()):
    """Count cohorts made by hand: start month -> retained at ages 0, 1, 2 ...; members join on every day of it."""
    rows = []
    for month, kept in retained.items():
        for age, n in enumerate(kept):
            start = Period.parse(month)
            first, last = start.shift(age).first, start.shift(age).last
            rows.append((month, age, kept[0], n, first, last, month in truncated))
    names = ["cohort", "age", "n_start", "n_retained", "first_completes", "last_completes", "is_truncated"]
    frame = pd.DataFrame(rows, columns=names).assign(level="", n_returned=0)
    late = pd.DataFrame([], columns=["level", "cohort", "age", "day", "n_lost", "n_censored"])
    return SimpleNamespace(frame=frame, about=replace(ABOUT, as_of=as_of), late=late, mode="stay")


def test_a_cell_is_complete_when_its_last_member_has_been_observed_that_long():
    # mistake 6: who joined on November 30 completes one month on December 30
    frame = cohorts({"2025-11": [100, 90, 80]}).frame
    assert list(cell_states(frame, date(2025, 12, 29), 30)) == [COMPLETE, PARTLY, OPEN]
    assert list(cell_states(frame, date(2025, 12, 31), 30)) == [COMPLETE, COMPLETE, OPEN]


def test_an_open_cell_is_never_zero():
    # mistake 5
    result = cohort_retention(cohorts({"2025-10": [100, 90, 80, 70]}))
    assert np.isnan(result.table["retention"].iloc[-1]) and np.isnan(result.table["n_retained"].iloc[-1])


def test_empty_and_small_cohorts_are_told_apart():
    result = cohort_retention(cohorts({"2025-01": [0, 0], "2025-02": [29, 20], "2025-03": [30, 20]}))
    assert list(result.table.groupby("cohort")["state"].first()) == [EMPTY, SMALL, COMPLETE]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 400))
def test_a_published_cell_never_changes_when_as_of_moves_on(days):
    counts = cohorts({"2025-01": [100, 90, 80, 75], "2025-02": [200, 150, 140, 130]}, date(2025, 2, 1))
    before = cohort_retention(counts).table
    later = cohort_retention(replace_as_of(counts, date(2025, 2, 1) + timedelta(days=days))).table
    told = before["state"] == COMPLETE
    assert later.loc[told, "retention"].equals(before.loc[told, "retention"])


def replace_as_of(counts, as_of):
    return SimpleNamespace(**{**vars(counts), "about": replace(counts.about, as_of=as_of)})


def test_the_weighted_mean_is_the_pooled_rate():
    # mistake 7: 10 customers at 10 %, 990 at 90 %: pooled 89.2 %, unweighted 50 %
    result = cohort_retention(cohorts({"2025-01": [10, 1], "2025-02": [990, 891]}))
    assert result.pooled["retention"].tolist() == pytest.approx([1.0, 892 / 1000])


def test_a_changing_set_of_cohorts_does_not_bend_the_line():
    # mistake 7: the loyal old cohort alone reaches age 2; a plain mean would rise from 75 % to 90 %
    result = cohort_retention(cohorts({"2025-06": [100, 95, 90], "2025-11": [100, 55, 50]}))
    assert result.pooled["retention"].tolist() == pytest.approx([1.0, 0.75, 0.75 * 90 / 95])


def test_cohorts_from_before_ends_were_recorded_are_left_out():
    result = cohort_retention(cohorts({"2022-12": [50, 50], "2025-01": [100, 90]}, truncated=("2022-12",)))
    assert set(result.table["cohort"]) == {"2025-01"}


def test_newer_cohorts_are_compared_with_those_of_a_year_before():
    kept = {f"2024-{m:02d}": [1000, 900] for m in (9, 10, 11)} | {f"2025-{m:02d}": [1000, 800] for m in (9, 10, 11)}
    head = cohort_retention(cohorts(kept)).findings[0]
    assert head.key == "cohort.newest.fall" and head.tone == "worse"
    assert head.values["change"] == pytest.approx(-0.1) and head.values["upper"] < 0


def test_good_and_bad_months_are_no_better_or_worse_cohorts():
    # mistake 25d: 10,000 customers a cohort, months that vary by 10 %: the interval of chance alone called 40 % clear
    rng, names, told = np.random.default_rng(5), [str(ABOUT.period.shift(-i)) for i in range(47, -1, -1)], 0
    for _ in range(30):
        stay = 1 - 0.018 * np.exp(rng.normal(0, 0.1, 48))
        kept = {name: rng.binomial(10_000, [*np.append(1, stay[i : i + 13]).cumprod()]) for i, name in enumerate(names)}
        told += cohort_retention(cohorts(kept)).findings[0].key != "cohort.newest.flat"
    assert told <= 5  # nominal 1.5; more happen in 1 of 100 such tests


def test_a_full_heat_map_stays_a_small_drawing_with_text():
    # its hatching once made it so large that it became a picture
    kept = {str(ABOUT.period.shift(-i)): [1000 - 10 * age for age in range(i + 2)] for i in range(24)}
    made = block(cohort_retention(cohorts(kept)))
    assert made["svg"] and len(made["svg"]["zh"]) < 100_000 and made["png"] is None
