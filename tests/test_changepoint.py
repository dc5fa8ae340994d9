"""Since when: steps and slopes found, dated, and not found where there are none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from counted import ABOUT, period_counts
from hypothesis import given, settings
from hypothesis import strategies as st
from noise import LIKENESS, SIZES, losses

from churnlib import text
from churnlib.trend.changepoint import change_points, fit
from churnlib.trend.segmentation import segment
from churnlib.trend.series import complete_periods

ORACLES = Path(__file__).parent / "oracles"
RISE = np.log(1.25)


def found(lost, size=20_000):
    return change_points(period_counts(list(lost), opening=size))


def stepped(n, at, shift=RISE):
    return np.where(np.arange(n) >= at, shift, 0.0)


def test_the_nile_changed_after_1898():
    # strucchange: 1898, 1895 to 1902; by base R here
    r = pd.read_csv(ORACLES / "series_nile.csv")
    made = segment(r["flow"].to_numpy(float), np.ones(100), np.ones((100, 1)), least=0.0)
    (change,) = made.changes
    assert change.kind == "step" and 1871 + change.at - 1 == r["last_before"][0] == 1898
    assert 1895 <= 1871 + change.lower - 1 <= 1898 <= 1871 + change.upper - 1 <= 1902
    np.testing.assert_allclose([made.level[0], made.level[-1]], r[["mean_before", "mean_after"]].iloc[0], rtol=1e-12)


def test_a_step_is_found_dated_and_measured():
    rng = np.random.default_rng(1)
    result = found(losses(rng, 48, 200_000, log_shift=stepped(48, 36, np.log(1.5))), 200_000)
    row = result.table.iloc[0]
    assert len(result.table) == 1 and row["shape"] == "step.rise"
    assert row.lower <= "2025-01" <= row.upper
    assert row.after / row.before == pytest.approx(1.5, abs=0.12)
    assert result.findings[0].key.startswith("changepoint.step.rise") and result.findings[0].tone == "worse"


def test_a_ramp_and_its_recovery_are_changes_of_slope():
    # case 1 in outline: up from month 4 to month 7 of the last year, down again
    course = np.ones(36)
    course[27:31] = 1 + 0.15 * np.arange(1, 5)
    course[31:] = 1.6 - 0.12 * np.arange(1, 6)
    rng = np.random.default_rng(3)
    result = found(rng.binomial(100_000, 0.018 * course), 100_000)
    down, up = (result.table.iloc[k] for k in (0, 1))
    assert (down["shape"], up["shape"]) == ("slope.peak", "slope.rise")
    assert up.lower <= "2025-04" <= up.upper and down.lower <= "2025-08" <= down.upper
    assert str(result.findings[0].values["peak"]) in ("2025-07", "2025-06", "2025-08")


def test_a_steady_drift_is_no_change():
    rng = np.random.default_rng(4)
    result = found(rng.binomial(100_000, 0.015 * (1 + 0.01 * np.arange(48))), 100_000)
    assert not len(result.table) and result.findings[0].key == "changepoint.drift.rise"


def test_a_rise_of_years_that_has_ended_is_no_drift():
    # three years up, a step, then half a year down: a line through it all gains much, and misses the end
    course = np.concatenate([np.linspace(0.010, 0.012, 39), np.full(15, 0.016), np.full(6, 0.0125)])
    result = found(np.random.default_rng(3).binomial(12_000, course), 12_000)
    assert not result.drift and result.table["shape"].tolist() == ["step.fall", "step.rise"]
    fewer = (result.table["before"].iloc[0] - result.series["fitted"].tail(6)) * 12_000  # since July, in customers
    assert result.findings[0].weight == pytest.approx(fewer.sum()) and result.findings[1].weight == 0


def test_a_season_of_four_years_is_no_change():
    rng = np.random.default_rng(5)
    wave = 1 + 0.25 * np.sin(2 * np.pi * np.arange(60) / 12)
    result = found(rng.binomial(100_000, 0.018 * wave), 100_000)
    assert result.seasonal and not len(result.table)


def test_a_short_or_sparse_series_says_so():
    for counts in (period_counts([200] * 11), period_counts([2] * 40)):
        result = change_points(counts)
        assert result.findings[0].key == "changepoint.short" and result.plot() is None


def test_incomplete_periods_change_nothing():
    rng = np.random.default_rng(6)
    lost = list(losses(rng, 36, 20_000))
    with_part = period_counts([*lost, 20], opening=20_000, last="2026-01", complete=[True] * 36 + [False])
    pd.testing.assert_frame_equal(change_points(with_part).table, found(lost).table)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=40))
def test_every_sentence_can_be_said_in_both_languages(lost):
    result = change_points(period_counts(lost, about=ABOUT))
    for statement in (*result.findings, *result.notes):
        for language in text.LANGUAGES:
            words = statement.say(language)
            assert not any(bad in words for bad in ("nan", "inf", "None", "{", "—"))
    for finding in result.findings:
        rises = finding.values.get("after", 0) > finding.values.get("before", 0)
        if ".rise" in finding.key or ".fall" in finding.key or ".peak" in finding.key:
            assert rises == (".rise" in finding.key)


def share_with_change(n, size, likeness, replicates, seed=111):
    rng, counts = np.random.default_rng(seed), period_counts([1] * n, opening=size)
    series = complete_periods(counts.frame, counts.about)
    draws = (series.assign(n_churned_opening=losses(rng, n, size, likeness)) for _ in range(replicates))
    return np.mean([len(fit(draw, counts.about, n >= 48).changes) > 0 for draw in draws])


def share_found(size, replicates, seed=112):
    """How often a rise of 25 % that lasts is found in one of the six reports after it."""
    rng, n_found = np.random.default_rng(seed), 0
    for _ in range(replicates):
        lost = losses(rng, 42, size, log_shift=stepped(42, 36))
        reports = (found(lost[:end], size).table for end in range(42, 37, -1))
        n_found += any(((table["change"] > 0) & (table["period"] >= "2025-01")).any() for table in reports)
    return n_found / replicates


def share_dated(replicates, seed=113):
    """How often the interval holds the month of a +40 % step."""
    rng, hits, n = np.random.default_rng(seed), 0, 0
    for _ in range(replicates):
        table = found(losses(rng, 48, 20_000, log_shift=stepped(48, 33, 0.34))).table
        near = table[table["period"].between("2024-04", "2025-06")]
        n += len(near) > 0
        hits += len(near) > 0 and ((near["lower"] <= "2024-10") & (near["upper"] >= "2024-10")).any()
    return hits / n


@pytest.mark.parametrize("likeness", LIKENESS)
def test_series_without_a_change_show_few(likeness):
    assert share_with_change(42, 20_000, likeness, 200) <= 0.09


def test_a_lasting_rise_by_a_quarter_is_found_within_six_months():
    assert share_found(20_000, 40) >= 0.65


@pytest.mark.calibrate
@pytest.mark.parametrize("n", [36, 48, 60])
@pytest.mark.parametrize("likeness", LIKENESS)
@pytest.mark.parametrize("size", SIZES)
def test_false_changes_are_at_most_five_per_cent(n, size, likeness):
    assert share_with_change(n, size, likeness, 2_000) <= 0.05


@pytest.mark.calibrate
@pytest.mark.parametrize("size", SIZES[1:])
def test_a_lasting_rise_by_a_quarter_is_found_in_four_cases_of_five(size):
    assert share_found(size, 2_000) >= 0.8


@pytest.mark.calibrate
def test_the_interval_holds_the_date():
    assert share_dated(2_000) >= 0.925
