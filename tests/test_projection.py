"""Projected retention: the published fits, an honest backtest, and nothing said of what was not seen."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from counted import ABOUT
from scipy.special import hyp2f1

from churnlib import text
from churnlib.about import Period
from churnlib.cohorts.backtest import complete_cells, overdispersion
from churnlib.cohorts.lifemodel import MODELS, fit_life, residual_months
from churnlib.cohorts.projection import project_retention, residual_lifetime


def published(name):
    # Fader and Hardie (2007), "Regular" and "High End"; maximum recomputed with R's optim
    told = json.loads((Path(__file__).parent / "oracles" / f"sbg_{name}.json").read_text())
    return told["inputs"], told["expected"]


def fit(percent, kind="sbg"):
    left = 10 * np.asarray(percent)
    return fit_life(kind, left[:-1], -np.diff(left))


@pytest.mark.parametrize("name", ["regular", "high_end"])
def test_the_shifted_beta_geometric_equals_its_publication(name):
    given, told = published(f"{name}_mle")
    model = fit(given["percent_surviving"])
    # five digits: the optimum, not its neighbourhood (one public implementation tests .688, which is not the maximum)
    assert (model.alpha, model.beta) == pytest.approx((told["alpha"], told["beta"]), rel=1e-5)
    assert model.loglik == pytest.approx(told["loglik"], abs=1e-6)
    twelve = model.survival(12)
    assert twelve[[8, 10, 12]] == pytest.approx([told["surv_8"], told["surv_10"], told["surv_12"]], abs=1e-5)


@pytest.mark.parametrize("name", ["regular_actual_vs_naive", "high_end_actual"])
def test_five_held_out_years_come_as_projected(name):
    given, told = published(name)
    projected = fit(given["fit_on"]).survival(12)[8:]
    error = np.abs(projected - np.array(given["actual_8_12"]) / 100).max()
    assert error == pytest.approx(told["max_abs_error_sbg"], abs=1e-4)


def test_a_constant_risk_is_recovered_by_both_models():
    left = 100_000 * 0.98 ** np.arange(25)
    for kind in MODELS:
        model = fit_life(kind, left[:-1], -np.diff(left))
        assert model.survival(60) == pytest.approx(0.98 ** np.arange(61), abs=2e-5)
        lower, upper = model.survival_interval(60, 0.95)
        assert (lower[1:] < 0.98 ** np.arange(1, 61)).all() and (upper[1:] > 0.98 ** np.arange(1, 61)).all()


@pytest.mark.parametrize("kind", MODELS)
def test_intervals_are_those_of_the_profile_likelihood(kind):
    # against a fine grid: the range of S(12) over all parameters that the likelihood does not refuse
    percent = np.asarray(published("regular_mle")[0]["percent_surviving"])
    model = fit_life(kind, percent[:-1], -np.diff(percent))  # a hundred customers: far from a normal approximation
    lower, upper = model.survival_interval(12, 0.95)
    spread = 5 * np.sqrt(np.diag(model.covariance))
    grid = [np.linspace(e - s, e + s, 121) for e, s in zip(model.estimates, spread, strict=True)]
    found = []
    for p in np.array(np.meshgrid(*grid)).reshape(2, -1).T:
        if kind == "sbg" and p[1] < 0:
            continue
        left = model.survival(7, p)
        deaths, chances = -np.diff(percent), -np.diff(left)
        loglik = deaths @ np.log(chances) + percent[-1] * np.log(left[-1])
        if 2 * (model.loglik - loglik) <= 3.841459:
            found.append(model.survival(12, p)[12])
    assert (lower[12], upper[12]) == pytest.approx((min(found), max(found)), abs=0.004)


def test_the_residual_lifetime_equals_its_closed_form():
    # Fader and Hardie (2010), equation 6, Regular: customers who have completed n - 1 renewals, 10 % a year
    model, discount = fit(published("regular_mle")[0]["percent_surviving"]), 0.1
    a, b = model.alpha, model.beta
    for n in (1, 2, 5):
        closed = (b + n - 1) / (a + b + n - 1) * hyp2f1(1, b + n, a + b + n, 1 / (1 + discount))
        assert residual_months(model.survival(400), n - 1, 390, discount) == pytest.approx(closed, rel=1e-6)


def cohorts(survival, starts=24, size=1000):
    """Count cohorts of equal size, one a month, observed to the end of 2025; losses as expected."""
    rows, survival = [], np.asarray(survival, float)
    for back in range(starts, 0, -1):
        month = Period(ABOUT.period.first).shift(1 - back)
        for age in range(back):
            left = round(size * survival[age])
            start, end = month.shift(age).first, month.shift(age).last
            rows.append((str(month), age, size, left, start, end, False))
    names = ["cohort", "age", "n_start", "n_retained", "first_completes", "last_completes", "is_truncated"]
    return SimpleNamespace(frame=pd.DataFrame(rows, columns=names), about=replace(ABOUT))


def beta_geometric(alpha, beta, ages):
    t = np.arange(1, ages + 1)
    return np.append(1.0, np.cumprod((beta + t - 1) / (alpha + beta + t - 1)))


def test_held_out_ages_lie_in_the_interval_when_the_model_is_true():
    rng, truth = np.random.default_rng(5), beta_geometric(1.0, 12.0, 24)
    counts, tests = cohorts(truth), []
    chances = np.append(-np.diff(truth), truth[-1])
    for _ in range(12):
        for _, rows in counts.frame.groupby("cohort"):
            lost = rng.multinomial(1000, chances).cumsum()
            counts.frame.loc[rows.index, "n_retained"] = 1000 - np.append(0, lost)[: len(rows)]
        tests.append(project_retention(counts, horizon=36).backtest.table.iloc[0])
    covered = sum(t.n_inside for t in tests) / sum(t.n_tested for t in tests)
    assert 0.83 <= covered <= 1  # 95 % nominal; ages of one simulation are correlated: about 5 points' error


def test_a_course_that_no_model_foresees_fails_the_backtest():
    survival = np.append(0.99 ** np.arange(13), 0.99**12 * 0.5 * 0.9 ** np.arange(12))  # half leave at a contract's end
    result = project_retention(cohorts(survival, size=5000))
    assert not result.backtest.held and result.backtest.findings[0].key == "projection.backtest.unfit"
    assert result.findings[0].key == residual_lifetime(result).findings[0].key == "projection.unfit"
    assert result.plot() is None and all(f.say(language) for f in result.findings for language in text.LANGUAGES)


def test_a_projection_that_was_a_little_off_is_shown_with_a_warning():
    survival = np.append(0.98 ** np.arange(13), 0.98**12 * 0.976 ** np.arange(1, 12))
    result = project_retention(cohorts(survival, size=20_000))
    assert result.backtest.findings[0].key == "projection.backtest.failed" and result.findings[0].grade == "weak"


def test_the_mean_stay_lies_between_nothing_and_the_horizon():
    result = project_retention(cohorts(beta_geometric(1.0, 12.0, 24)), horizon=60)
    mean, lower, upper = result.mean_stay()
    assert 0 < lower < mean < upper < 60 and result.mean_stay(0.01)[0] < mean
    ahead = residual_lifetime(result).table
    assert (np.diff(ahead["ahead"]) > 0).all()  # those who stayed are the loyal ones
    assert (ahead["discounted"] < ahead["ahead"]).all()
    assert ahead["ahead"].iloc[0] == pytest.approx(result.mean_stay()[0])  # one figure for new customers


def test_a_rule_that_needs_half_a_year_shows_no_churn_before_and_the_models_begin_after_it():
    # half a year in which nobody can be lost, then 6 % of the first step and fewer: no curve from 0 on looks like that
    survival = np.append(np.ones(6), beta_geometric(1.0, 15.0, 24))
    counts = cohorts(survival, starts=30)
    counts.about = replace(ABOUT, earliest_churn=5.5)
    result = project_retention(counts, horizon=60)
    assert result.model.begin == 6 and result.backtest.held
    assert result.backtest.table["fitted_to"].eq(6 + (result.observed_to - 6) // 2).all()
    table = result.table.set_index("age")
    assert (table.loc[:6, ["projected", "ci_lower", "ci_upper"]] == 1).all(axis=None)
    assert table.loc[len(survival) - 1, "projected"] == pytest.approx(survival[-1], abs=0.02)
    assert residual_lifetime(result).table["ahead"].iloc[1] < residual_lifetime(result).table["ahead"].iloc[0]
    counts.about = replace(ABOUT, earliest_churn=0.0)
    assert project_retention(counts).backtest.table["largest_error"].abs().min() > 0.05


def test_only_complete_cells_are_used():
    counts = cohorts(beta_geometric(1.0, 12.0, 24))
    counts.about = replace(ABOUT, as_of=date(2025, 12, 15))  # December is still open for who joined late in a month
    open_cells = pd.to_datetime(counts.frame["last_completes"]) > pd.Timestamp(counts.about.as_of)
    before = complete_cells(counts)
    assert open_cells.sum() == 24
    counts.frame.loc[open_cells, "n_retained"] = 0
    pd.testing.assert_frame_equal(complete_cells(counts), before)


def test_equal_cohorts_are_not_overdispersed_and_unlike_ones_are():
    alike = complete_cells(cohorts(beta_geometric(1.0, 12.0, 24)))
    unlike = alike.assign(n_lost=alike["n_lost"] * np.where(alike["cohort"] < "2025", 1.5, 0.5))
    assert overdispersion(alike) == 1 and overdispersion(unlike) > 3


@pytest.mark.parametrize("survival", [np.ones(24), beta_geometric(1.0, 12.0, 24)[:5], [1.0]])
def test_nothing_is_projected_from_too_little(survival):
    result = project_retention(cohorts(survival, starts=len(survival)))
    assert [f.key for f in result.findings] == ["projection.too_short"] and result.plot() is None
    assert residual_lifetime(result).findings[0].key == "projection.too_short"


def test_every_sentence_can_be_said_in_both_languages():
    result = project_retention(cohorts(beta_geometric(1.0, 12.0, 24)), horizon=12)
    assert result.findings[0].key == "projection.stay_within"
    for part in (result, result.backtest, residual_lifetime(result)):
        for statement in (*part.findings, *part.notes):
            assert all(statement.say(language) for language in text.LANGUAGES)
        assert len(part.summary("en")) == len(part.table)
