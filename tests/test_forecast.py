"""What next: intervals that hold, and the simpler method where it is not beaten."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from counted import ABOUT, months, period_counts
from hypothesis import given, settings
from hypothesis import strategies as st
from noise import LIKENESS, SIZES, losses

from churnlib import text
from churnlib.about import Period
from churnlib.trend.ahead import (
    AHEAD,
    METHODS,
    Calendar,
    decomposed,
    forecast,
    is_year_ago_as_good,
    tried,
    usual_roots,
)
from churnlib.trend.forecast import churn_forecast

ORACLES = Path(__file__).parent / "oracles"


def test_three_periods_are_forecast_after_the_last_complete_one():
    lost = [200] * 36 + [70]
    result = churn_forecast(period_counts(lost, last="2026-01", complete=[True] * 36 + [False]))
    assert result.table["period"].tolist() == ["2026-01", "2026-02", "2026-03"]
    assert (result.table["ci_lower"] <= result.table["churn_rate"]).all()
    assert (result.table["churn_rate"] <= result.table["ci_upper"]).all()


def test_a_strong_season_is_told_by_the_year_before():
    wave = 1 + 0.5 * np.cos(2 * np.pi * np.arange(36) / 12)
    result = churn_forecast(period_counts(list(np.random.default_rng(1).poisson(2_000 * wave)), opening=100_000))
    assert result.method == "year_ago" and result.errors["year_ago"] < result.errors["level"]


def test_a_level_wins_where_nothing_comes_back_every_year():
    result = churn_forecast(period_counts(list(losses(np.random.default_rng(2), 36, 20_000)), opening=20_000))
    assert result.method == "level" and result.errors["level"] < result.errors["year_ago"]


def test_the_backtest_knows_only_what_was_known_then():
    lost = list(losses(np.random.default_rng(3), 36, 20_000))
    before = churn_forecast(period_counts(lost, opening=20_000)).backtest
    lost[-1] = 20 * lost[-1]
    after = churn_forecast(period_counts(lost, opening=20_000)).backtest
    columns = ["origin", "ahead", "method", "forecast", "lower", "upper"]
    assert before[columns].equals(after[columns])  # the last month was forecast from those before it


def test_coverage_is_printed():
    result = churn_forecast(period_counts(list(losses(np.random.default_rng(4), 40, 20_000)), opening=20_000))
    inside, n = result.coverage
    assert n == 33 and 0 <= inside <= n
    note = next(note for note in result.notes if note.key == "forecast.note.backtest")
    assert f"{inside} of {n}" in note.say("en")


def test_a_clear_fall_is_called_one():
    result = churn_forecast(period_counts([200, 201, 199, 200] * 9 + [600]))
    assert result.findings[0].key in ("forecast.fall", "forecast.flat")
    rate, now = (result.findings[0].values[k] for k in ("rate", "now"))
    assert rate < now and (result.findings[0].key == "forecast.flat" or result.findings[0].values["upper"] < now)


def test_a_short_history_gives_none_and_a_middling_one_no_backtest():
    assert churn_forecast(period_counts([200] * 7)).findings[0].key == "forecast.short"
    result = churn_forecast(period_counts([200, 190, 210] * 4))
    assert any(note.key == "forecast.note.untested" for note in result.notes)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 900), min_size=1, max_size=40))
def test_every_sentence_can_be_said_in_both_languages(lost):
    result = churn_forecast(period_counts(lost, about=ABOUT))
    for statement in (*result.findings, *result.notes):
        for language in text.LANGUAGES:
            assert not any(bad in statement.say(language) for bad in ("nan", "inf", "None", "{"))


def test_a_one_off_spike_does_not_come_back_a_year_later():
    wave = 1 + 0.25 * np.cos(2 * np.pi * np.arange(36) / 12)
    lost = np.random.default_rng(5).poisson(2_000 * wave)
    usual = churn_forecast(period_counts(list(lost), opening=100_000))
    lost[24] = 2 * lost[24]  # January 2025: the next forecast is for January 2026
    result = churn_forecast(period_counts(list(lost), opening=100_000))
    assert result.table["churn_rate"].iloc[0] == pytest.approx(usual.table["churn_rate"].iloc[0], rel=0.06)


def test_a_peak_of_every_year_is_no_spike():
    lost = ([200] * 11 + [420]) * 3
    lost = [d + i % 3 for i, d in enumerate(lost)]
    result = churn_forecast(period_counts(lost[:-1], last="2025-11", opening=20_000))
    assert result.table["churn_rate"].iloc[0] == pytest.approx(0.021, abs=0.001)


def test_the_simpler_method_is_kept_only_where_it_erred_no_more():
    for seed in range(5):
        result = churn_forecast(period_counts(list(losses(np.random.default_rng(seed), 40, 20_000)), opening=20_000))
        errors = result.errors
        assert (result.method == "year_ago") == (errors["year_ago"] <= errors["level"])


def test_season_and_trend_are_those_of_r():
    r = pd.read_csv(ORACLES / "series_stl.csv")  # stl(co2, "periodic", robust): Mauna Loa, 1959 to 1997
    season, trend = decomposed(r["co2"].to_numpy(), 12)
    np.testing.assert_allclose(trend, r["trend"], rtol=1e-6)
    np.testing.assert_allclose(season, r["seasonal"], atol=1e-4)


def coverage(size, likeness, replicates, n=36, seed=9):
    """How often the intervals of the chosen method hold what came: all replicates at once."""
    rng = np.random.default_rng(seed)
    lost = np.stack([losses(rng, n + AHEAD, size, likeness) for _ in range(replicates)]).astype(float)
    calendar = Calendar.of([Period.parse(m) for m in months(n)], "day", np.zeros(n, bool))
    past, opening = lost[:, :n], np.full((replicates, n), float(size))
    y = usual_roots(past, opening, calendar, n)
    is_simple = is_year_ago_as_good(list(tried(past, opening, calendar)), past / opening)
    year_ago, level = (forecast(y, calendar, method) for method in METHODS)
    chosen = np.where(is_simple[:, None, None], year_ago, level)
    came = lost[:, n:] / size
    return ((came >= chosen[..., 1]) & (came <= chosen[..., 2])).mean()


def test_one_series_and_many_give_the_same():
    lost = losses(np.random.default_rng(6), 36, 20_000)
    one = churn_forecast(period_counts(list(lost), opening=20_000))
    calendar = Calendar.of([Period.parse(m) for m in months(36)], "day", np.zeros(36, bool))
    both = np.stack([lost, lost[::-1]]) * 1.0, np.full((2, 36), 2e4)
    many = forecast(usual_roots(*both, calendar, 36), calendar, one.method)
    np.testing.assert_allclose(many[0], one.table[["churn_rate", "ci_lower", "ci_upper"]])


@pytest.mark.parametrize("likeness", LIKENESS)
def test_intervals_hold(likeness):
    assert 0.895 <= coverage(20_000, likeness, 200) <= 0.995


@pytest.mark.calibrate
@pytest.mark.parametrize("likeness", LIKENESS)
@pytest.mark.parametrize("size", SIZES)
def test_prediction_intervals_hold_95_per_cent(size, likeness):
    assert 0.925 <= coverage(size, likeness, 2_000) <= 0.985  # conservative: whether losses follow days is not known
