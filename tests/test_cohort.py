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

from churnlib.about import Period, Segment
from churnlib.cohorts.cohort import cohort_retention
from churnlib.cohorts.cohortcells import COMPLETE, EMPTY, OPEN, PARTLY, SMALL, cell_states
from churnlib.cohorts.cohortcurves import retention_curves
from churnlib.show.display import block
from churnlib.text import Label


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
    # of one step Greenwood's variance is the binomial one: R's survfit(conf.type = "log-log") of 892 of 1000
    assert result.pooled[["ci_lower", "ci_upper"]].iloc[1].tolist() == pytest.approx([0.8710, 0.9098], abs=1e-4)


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


def test_curves_by_year_are_the_pooled_retention_of_the_years_cohorts():
    # 2024: of 100 and 50 there are 90 and 40, then 80 and 20; 2025: of 60 there are 30, then 15
    made = cohorts({"2024-03": [100, 90, 80], "2024-05": [50, 40, 20], "2025-06": [60, 30, 15]})
    curves = retention_curves(cohort_retention(made)).table.set_index(["started", "age"])
    assert curves["retention"].to_dict() == pytest.approx(
        {
            ("2024", 0): 1,
            ("2024", 1): 130 / 150,
            ("2024", 2): 100 / 150,
            ("2025", 0): 1,
            ("2025", 1): 0.5,
            ("2025", 2): 0.25,
        }
    )
    whole = curves.loc[("2024", 2)]  # nobody censored: Greenwood's variance is the binomial one
    half = 1.959964 * np.sqrt(1 / 3 / (2 / 3) / 150) / -np.log(2 / 3)
    assert whole["ci_lower"] == pytest.approx((2 / 3) ** np.exp(half), abs=1e-6)


def test_curves_of_levels_are_their_pooled_retention_small_cohorts_too():
    made = cohorts({f"2025-{m:02d}": [20 + m, 18, 15, 12, 10] for m in range(1, 9)})
    names = Label("甲", "A"), Label("乙", "B")
    made.about = replace(made.about, segment=Segment("s", Label("分", "S"), ("a", "b"), names))
    made.frame["level"] = np.where(made.frame["cohort"] < "2025-05", "a", "b")
    result = cohort_retention(made)
    curves = retention_curves(result)
    both = curves.table.merge(result.pooled, on=["level", "age"], suffixes=("", "_pooled"))
    assert len(both) == len(curves.table) == 10 and np.allclose(both["retention"], both["retention_pooled"])
    assert curves.findings[0].key == "cohortcurves.level" and curves.plot() is not None


def test_curves_of_one_year_are_its_cohorts_and_open_cells_are_in_none():
    made = cohorts({"2025-08": [100, 90, 80, 70, 60], "2025-11": [100, 80, 70]})
    result = retention_curves(cohort_retention(made))
    assert result.table.groupby("started")["age"].max().to_dict() == {"2025-08": 4, "2025-11": 1}
    head = result.findings[0]
    assert (head.values["age"], head.values["first_share"], head.values["last_share"]) == (1, 0.9, 0.8)
    assert result.plot() is not None
    for statement in (head, result.subtitle, *result.notes):
        assert all(statement.say(language) for language in ("zh", "en"))


def test_a_curve_begins_after_the_ages_that_the_cohorts_hide():
    # 2 of 100 lost at age 1 are a handful: hidden there, and in the curve of the year, which would give them back
    made = cohorts({"2024-03": [100, 98, 80, 70], "2024-05": [100, 80, 70, 60], "2025-03": [100, 90, 80, 70]})
    result = retention_curves(cohort_retention(made))
    told = result.shown.set_index(["started", "age"])["retention"]
    assert np.isnan(told["2024", 1]) and told["2024", 2] == 0.75
    assert sorted(line.get_xdata()[0] for line in result.plot().get_lines() if len(line.get_xdata()) > 1)[:2] == [0, 2]
    nothing = retention_curves(cohort_retention(cohorts({"2025-12": [100, 90]})))
    assert nothing.findings[0].key == "cohortcurves.too_few" and nothing.plot() is None


def test_a_cohort_too_small_to_show_keeps_its_row_between_others():
    ax = cohort_retention(cohorts({"2025-01": [100, 90], "2025-02": [20, 15], "2025-03": [100, 80]})).plot()
    written = [text.get_text() for text in ax.texts]
    assert {"2025-01", "2025-02", "2025-03", "90", "80", "·"} <= set(written) and "75" not in written
    assert written.count("100") == 2  # two sizes, and no column of those who were all there at the start


def test_a_full_heat_map_stays_a_small_drawing_with_text():
    # its hatching once made it so large that it became a picture
    kept = {str(ABOUT.period.shift(-i)): [1000 - 10 * age for age in range(i + 2)] for i in range(24)}
    made = block(cohort_retention(cohorts(kept)))
    assert made["svg"] and len(made["svg"]["zh"]) < 100_000 and made["png"] is None
