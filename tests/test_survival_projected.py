"""Formulas equal to R's, found again in simulated businesses, and chosen by what they would have foretold."""

from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from survival_cases import about, case, oracle, visitors
from toy import toy

from churnlib import text
from churnlib.counts import origin_counts, tenure_counts
from churnlib.counts.origins import OriginCounts, origins
from churnlib.survival.lifetable import life_table
from churnlib.survival.parametric import LOG_SURVIVAL, Clock, Grouped, fit_curve
from churnlib.survival.projected import project_survival

MONTH = 365.25 / 12


# ---- the fits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),  # survreg knows no share that never leaves
    [*(("veteran", k) for k in LOG_SURVIVAL if k != "cure"), *(("ties", k) for k in LOG_SURVIVAL)],
)
def test_fits_are_those_of_survreg_and_of_the_likelihood_of_rows(name, kind):
    r = oracle("parametric")
    r = r[(r["case"] == name) & (r["model"] == kind)]
    clock = Clock("day", 0.0)
    fit = fit_curve(kind, Grouped.of(case(name).frame, clock))
    assert fit.loglik == pytest.approx(r["loglik"].iloc[0], abs=1e-5)
    np.testing.assert_allclose(fit.log_survival(clock.time(r["tenure"])), r["log_survival"], rtol=1e-3)
    if kind != "cure":  # nobody is cured there: its maximum lies at the edge
        assert fit.covariance[0, 0] ** 0.5 == pytest.approx(r["std_error"].iloc[0], rel=1e-3)


def test_expected_losses_of_a_constant_risk_add_to_those_that_came():
    data = Grouped.of(case("untied").frame, Clock("day", 0.0))
    assert fit_curve("exponential", data).expected(data).sum() == pytest.approx(data.n_events.sum(), rel=1e-3)


# ---- earlier days ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "as_of", "days", "step"),
    [
        (date(2023, 1, 1), date(2026, 1, 12), [date(2023, 12, 31), date(2024, 12, 31)], 12),
        (date(2019, 1, 1), date(2025, 12, 31), [date(y, 12, 31) for y in (2022, 2023, 2024)], 12),
        (date(1997, 7, 1), date(1998, 6, 30), [date(1997, 10, 31), date(1998, 2, 28)], 4),
        (date(2025, 6, 1), date(2026, 1, 31), [], 0),
    ],
)
def test_earlier_days_lie_a_year_apart_or_a_third_of_the_data(first, as_of, days, step):
    assert origins(first, as_of) == (tuple(days), step)


@pytest.mark.parametrize("definition", ["contract_end", "silent", "own_gap", "value", "mobile"])
def test_stretches_add_up_to_the_tenure_counts(definition):
    data = toy()
    parts, whole = origin_counts(data, definition=definition), tenure_counts(data, definition=definition)
    assert len(parts.origins) == 2 or definition != "contract_end"
    together = life_table(SimpleNamespace(frame=parts.frame.assign(level=""), about=parts.about))
    apart = life_table(whole)
    at = np.isin(together.tenure, apart.tenure)
    np.testing.assert_array_equal(together.n_events[:, at], apart.n_events)
    np.testing.assert_array_equal(together.n_at_risk[:, at], apart.n_at_risk)
    assert together.n_events.sum() == apart.n_events.sum()


def test_who_is_known_on_an_earlier_day_is_what_the_data_of_that_day_would_have_held():
    data = toy()
    then = tenure_counts(toy(as_of=str(origin_counts(data).origins[-1])))
    known = origin_counts(data).frame.query("stretch < 2").assign(level="")
    before = life_table(SimpleNamespace(frame=known, about=then.about))
    np.testing.assert_array_equal(
        before.n_events[before.n_events > 0], life_table(then).n_events[life_table(then).n_events > 0]
    )


def test_an_inactivity_rule_is_tried_from_the_day_on_from_which_it_sees_everybody():
    counts = origin_counts(visitors(300, 3650 - 3 * 365))
    assert counts.step == 9 and len(counts.origins) == 2  # 29 whole months are left of 36 less the limit, by thirds


# ---- known truth -----------------------------------------------------------------------------------------------------


def business(lives: np.ndarray, rng, window=1461, reach=3650) -> OriginCounts:
    """Watch lives (in days) for the last four of ten years, cut a year, two and three before the end."""
    start = rng.integers(0, reach, len(lives))  # days before as_of
    lives, cuts, parts = np.ceil(lives), [window, 1096, 731, 366, 0], []
    for stretch, (first, last) in enumerate(zip(cuts, cuts[1:], strict=False)):
        entry, end = np.maximum(0, start - first), start - last + (last == 0)
        here = (lives > entry) & (end > entry)
        left = here & (lives <= end)
        moves = pd.concat(
            [
                pd.DataFrame({"tenure": entry[here], "n_entered": 1}),
                pd.DataFrame({"tenure": lives[left], "n_events": 1}),
                pd.DataFrame({"tenure": end[here & ~left], "n_censored": 1}),
            ]
        )
        parts.append(moves.fillna(0).groupby("tenure", as_index=False).sum().assign(stretch=stretch))
    days = tuple(date(2026, 1, 12).replace(year=y) for y in (2023, 2024, 2025))
    frame = pd.concat(parts, ignore_index=True)
    return OriginCounts(frame, about(), ("stretch", "tenure"), ("stretch",), days, 12)


def weibull(n, rng, shape, months=40.0):
    return MONTH * months * rng.weibull(shape, n)


TRUTHS = {
    "weibull": lambda n, rng: weibull(n, rng, 0.6),
    "lognormal": lambda n, rng: MONTH * 24 * rng.lognormal(0, 1.0, n),
    "cure": lambda n, rng: np.where(rng.random(n) < 0.4, 1e6, weibull(n, rng, 1.3, 12.0)),
}


@pytest.mark.parametrize("truth", TRUTHS)
def test_the_formula_behind_the_lives_is_chosen_and_projects_them(truth):
    rng = np.random.default_rng(3)
    result = project_survival(business(TRUTHS[truth](20_000, rng), rng))
    assert result.fit.kind == truth and result.trials.loc[result.trials["is_chosen"], "model"].item() == truth
    last = result.table.iloc[-1]
    assert last.months == result.observed_to + 12
    true = np.mean(TRUTHS[truth](400_000, rng) > last.months * MONTH)
    assert last.ci_lower < true < last.ci_upper
    if truth == "cure":
        cured = 1 / (1 + np.exp(-result.fit.estimates[2]))
        assert cured == pytest.approx(0.4, abs=0.03)


def test_nothing_is_projected_where_the_risk_is_constant():
    rng, projected = np.random.default_rng(4), []
    for _ in range(6):
        result = project_survival(business(rng.exponential(25 * MONTH, 1_500), rng))
        projected.append(result.fit is not None)
    assert sum(projected) <= 1  # the true share is in tests/calibrate
    assert result.why == "none_better" and result.plot() is None and not result.table["is_projected"].any()


def test_forecasts_that_were_far_off_are_not_told():
    """The risk grows with the calendar, which no formula of tenure can foretell."""
    rng = np.random.default_rng(5)
    start = rng.integers(0, 3650, 6_000)
    calm = weibull(6_000, rng, 0.6, 60.0)
    hit = rng.random(6_000) < 0.45
    lives = np.where(hit & (calm > start - 300), np.minimum(calm, np.maximum(start - 200, 1)), calm)
    result = project_survival(business_from(start, lives))
    assert result.why == "too_uncertain" and result.ahead == {}


def business_from(start, lives):
    class Given:
        def integers(self, low, high, n):
            return start

    return business(lives, Given())


@pytest.mark.parametrize(("n", "change", "why"), [(60, {}, "too_short"), (3_000, {"snapshot": True}, "snapshot")])
def test_too_little_to_try_a_formula_on_is_said(n, change, why):
    rng = np.random.default_rng(6)
    made = business(weibull(n, rng, 0.6), rng)
    result = project_survival(OriginCounts(made.frame, about(**change), made.grain, made.adds_over, made.origins, 12))
    assert result.why == why and result.fit is None
    for language in text.LANGUAGES:
        words = [s.say(language) for s in (*result.findings, *result.notes)]
        assert words and not any("nan" in said for said in words)
        assert result.summary(language).empty or why == "snapshot"


def test_customers_of_today_are_looked_ahead_by_their_own_tenure():
    rng = np.random.default_rng(7)
    start, lives = rng.integers(0, 3650, 20_000), np.ceil(weibull(20_000, rng, 0.6))
    result = project_survival(business_from(start, lives))
    here = lives > start + 1
    here &= start + 1 > 0
    came = (here & (lives <= start + 1 + 365)).sum()
    assert result.ahead["n"] == here.sum()
    assert result.ahead["lower"] < came < result.ahead["upper"]
    assert [f.key for f in result.findings] == ["survival.projection.ahead", "survival.projection.beyond"]
    for language in text.LANGUAGES:
        assert not any("nan" in s.say(language) for s in (*result.findings, *result.notes, result.subtitle))
    assert result.plot() is not None
