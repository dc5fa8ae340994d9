"""What next: intervals that hold, and the simpler method where it is not beaten."""

import numpy as np
import pytest
from counted import ABOUT, period_counts
from hypothesis import given, settings
from hypothesis import strategies as st
from noise import LIKENESS, SIZES, losses

from churnlib import text
from churnlib.statistics.forecast import churn_forecast


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


def coverage(size, likeness, replicates, n=36, seed=9):
    rng, held = np.random.default_rng(seed), np.zeros(3)
    for _ in range(replicates):
        lost = losses(rng, n + 3, size, likeness)
        table = churn_forecast(period_counts(list(lost[:n]), opening=size)).table
        held += (lost[n:] / size >= table["ci_lower"]) & (lost[n:] / size <= table["ci_upper"])
    return held.mean() / replicates


def test_intervals_hold():
    assert 0.85 <= coverage(20_000, 0.0, 30) <= 1.0


@pytest.mark.calibrate
@pytest.mark.parametrize("likeness", LIKENESS)
@pytest.mark.parametrize("size", SIZES)
def test_prediction_intervals_hold_95_per_cent(size, likeness):
    assert 0.925 <= coverage(size, likeness, 2_000) <= 0.985  # conservative: whether losses follow days is not known
