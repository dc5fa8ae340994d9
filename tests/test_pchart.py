"""Limits of usual variation: Laney's p' chart and its prediction limits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from counted import months, period_counts
from noise import LIKENESS, SIZES, losses

from churnlib.intervals import overdispersion
from churnlib.trend.pchart import control_limits, laney_limits, screened
from churnlib.trend.series import complete_periods

ORACLES = Path(__file__).parent / "oracles"


def series(lost, opening=10_000, last="2025-12"):
    counts = period_counts(list(lost), opening=opening, last=last)
    return complete_periods(counts.frame, counts.about)


def limits(lost, n_baseline, opening=10_000, time_unit="day", screen=True):
    frame = series(lost, opening)
    inside = np.arange(len(frame)) < n_baseline
    inside = screened(frame, inside, time_unit) if screen and n_baseline >= 6 else inside
    return control_limits(frame, inside, time_unit)


def test_laney_limits_are_those_of_r():
    r = pd.read_csv(ORACLES / "series_laney.csv")
    sigma = overdispersion(r["d"], r["n"])
    lower, upper = laney_limits(r["d"].sum() / r["n"].sum(), r["n"], sigma)
    np.testing.assert_allclose(sigma, r["sigma"], rtol=1e-12)
    np.testing.assert_allclose([lower, upper], [r["lower"], r["upper"]], rtol=1e-12)


def test_laney_limits_by_hand():
    # p = .02, n = 10,000: chance is .0014; twice that much spread, three of it on either side
    assert laney_limits(0.02, 10_000, 2.0) == (pytest.approx(0.02 - 0.0084), pytest.approx(0.02 + 0.0084))


def test_limits_of_a_short_baseline_are_prediction_limits():
    r = pd.read_csv(ORACLES / "series_prediction.csv")
    table, usual = limits([*r["d"], 190], len(r), time_unit="month")
    assert usual.freedom == 7 and usual.sigma > 1
    np.testing.assert_allclose(table["expected"].iloc[-1], r["centre"][0], rtol=1e-12)
    np.testing.assert_allclose(table[["lower", "upper"]].iloc[-1], r[["lower", "upper"]].iloc[0], rtol=1e-9)


def test_limits_come_down_to_three_sigma_as_the_baseline_grows():
    width = {}
    for n in (8, 24, 60):
        lost = [*([180, 220] * 30)[:n], 200]
        table, usual = limits(lost, n, time_unit="month", screen=False)
        row = table.iloc[-1]
        chance = usual.sigma * np.sqrt(row.expected * (1 - row.expected) / 10_000)
        width[n] = (row.upper - row.expected) / chance
    assert width[8] > width[24] > width[60] > 3.0


def test_a_baseline_under_six_periods_sets_no_limits():
    table, usual = limits([200] * 8, 5)
    assert usual is None and table["upper"].isna().all() and not table["beyond"].any()


def test_a_growing_base_does_not_narrow_what_varies_beyond_chance():
    # an ordinary p' chart would: its limits shrink with 1 / sqrt(n) though months vary as much as before
    rng, alarms = np.random.default_rng(5), []
    sizes = np.linspace(500_000, 2_000_000, 48).astype(int)
    for _ in range(200):
        lost = [losses(rng, 1, n)[0] for n in sizes]
        alarms.append((limits(lost, 36, list(sizes))[0]["beyond"].iloc[36:] != 0).mean())
    assert np.mean(alarms) <= 0.02


def test_one_disturbed_month_does_not_hide_the_next_one():
    lost = [200, 195, 205, 198, 203, 190, 210, 202, 197, 204, 199, 201, 420, 196, 206, 200, 260]
    screened, usual = limits(lost, 16)
    assert not usual.inside[12] and screened["beyond"].iloc[-1] == 1
    assert limits(lost, 16, screen=False)[0]["beyond"].iloc[-1] == 0


def test_a_season_is_no_signal_after_three_years_of_it():
    # mistake 25e: not from two years
    wave = 1 + 0.3 * np.cos(2 * np.pi * np.arange(48) / 12)
    rng = np.random.default_rng(2)
    lost = rng.poisson(2_000 * wave)
    table, usual = limits(lost, 36, 100_000, time_unit="month")
    assert usual.seasonal and not table["beyond"].any()
    assert not limits(lost[12:], 24, 100_000)[1].seasonal


def false_alarms(n_baseline, size, likeness, replicates, seed=7):
    rng, alarms = np.random.default_rng(seed), 0
    frame = series([1] * (n_baseline + 12), size, months(1, "2025-12")[0])
    inside = np.arange(len(frame)) < n_baseline
    for _ in range(replicates):
        frame["n_churned_opening"] = losses(rng, len(frame), size, likeness)
        alarms += (
            control_limits(frame, screened(frame, inside, "day"))[0]["beyond"].to_numpy()[n_baseline:] != 0
        ).sum()
    return alarms / (12 * replicates)


@pytest.mark.parametrize("likeness", LIKENESS)
@pytest.mark.parametrize("size", SIZES)
def test_months_without_a_cause_raise_few_alarms(size, likeness):
    # mistake 13: an ordinary p chart calls 21 of 36 months at two million customers
    assert false_alarms(36, size, likeness, 200) <= 0.018


@pytest.mark.calibrate
@pytest.mark.parametrize("likeness", LIKENESS)
@pytest.mark.parametrize("size", SIZES)
def test_false_alarms_are_at_most_one_per_cent_a_month(size, likeness):
    assert false_alarms(36, size, likeness, 2_000) <= 0.01
