"""Kaplan-Meier, its intervals and quantiles, and log-rank tests are those of R's survival package."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from survival_cases import about, case, counts, oracle

from churnlib.survival.curves import level_curves, quantile_with_interval
from churnlib.survival.efron import PartialLikelihood, RiskCounts, maximise
from churnlib.survival.estimators import nelson_aalen, quantile_tenure, restricted_mean, simultaneous_factor
from churnlib.survival.gray import gray_scores, gray_statistic
from churnlib.survival.incidence import level_incidences, outcomes_of
from churnlib.survival.lifetable import life_table
from churnlib.survival.logrank import logrank_test, pairwise_tests
from churnlib.survival.milestones import conditional_survival
from churnlib.survival.restricted import contrasts
from churnlib.survival.survival import kaplan_meier

CASES = ["veteran", "lung", "heart", "pbc", "colon", "mgus2", "ties", "untied", "months"]
EXACT = {"rtol": 1e-8, "atol": 1e-10}


def level_oracle(name, case_name, level):
    answers = oracle(name)
    return answers[(answers["case"] == case_name) & (answers["level"] == level)]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["log-log", "plain"])
def test_curves_and_intervals_are_those_of_survfit(name, kind):
    for curve in level_curves(life_table(case(name)), kind=kind):
        r = level_oracle("survival_curves", name, curve.level)
        read = curve.read(r["tenure"])
        at = np.isin(curve.tenure, r["tenure"])
        np.testing.assert_array_equal(curve.n_at_risk[at], r["n_at_risk"])
        np.testing.assert_array_equal(curve.n_events[at], r["n_events"])
        np.testing.assert_allclose(read["survival"], r["survival"], **EXACT)
        alive = r["survival"].to_numpy() > 0
        np.testing.assert_allclose(np.sqrt(read["log_variance"])[alive], r["log_std_error"][alive], **EXACT)
        stem = kind.replace("-", "")
        np.testing.assert_allclose(read["ci_lower"], r[f"{stem}_lower"], **EXACT)
        np.testing.assert_allclose(read["ci_upper"], r[f"{stem}_upper"], **EXACT)


@pytest.mark.parametrize("name", ["veteran", "lung", "ties", "untied"])
def test_the_band_of_the_whole_curve_is_that_of_nair(name):
    for curve in level_curves(life_table(case(name)), kind="simultaneous"):
        r = level_oracle("bands", name, curve.level)
        assert simultaneous_factor(curve.steps.log_variance) == pytest.approx(r["factor"].iloc[0], rel=1e-10)
        read = curve.read(r["tenure"])
        np.testing.assert_allclose([read["ci_lower"], read["ci_upper"]], [r["lower"], r["upper"]], rtol=1e-8)


def test_the_factor_of_the_band_is_the_published_one():
    for r in oracle("bands_nair").itertuples():  # from Nair's own table, rounded to four digits
        ours = simultaneous_factor(np.array([r.first / (1 - r.first), r.last / (1 - r.last)]))
        assert ours == pytest.approx(r.factor, abs=1e-4)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["log-log", "plain"])
def test_quantiles_follow_the_rules_of_survfit(name, kind):
    for curve in level_curves(life_table(case(name)), kind=kind):
        r = level_oracle("survival_quantiles", name, curve.level)
        for row in r[r["kind"] == kind].itertuples():
            ours = [
                quantile_tenure(curve.tenure, 1 - y, row.p) for y in (curve.steps.survival, curve.lower, curve.upper)
            ]
            np.testing.assert_allclose(ours, [row.tenure, row.lower, row.upper], **EXACT)


@pytest.mark.parametrize("name", CASES)
def test_the_logrank_test_is_that_of_r(name):
    test, r = logrank_test(case(name, min_denominator=1)), oracle("survival_logrank")
    r = r[r["case"] == name].set_index("level")
    np.testing.assert_allclose(test.statistic, r["statistic"].iloc[0], **EXACT)
    np.testing.assert_allclose(test.p_value, r["p_value"].iloc[0], **EXACT)
    assert test.df == r["df"].iloc[0]
    ours = test.table.set_index("level")
    np.testing.assert_allclose(ours["n_events"], r["observed"].loc[ours.index], **EXACT)
    np.testing.assert_allclose(ours["expected"], r["expected"].loc[ours.index], **EXACT)


# ---- weighted, stratified and pairwise tests -------------------------------------------------------------------------


def logrank_oracle(case_name, test):
    answers = oracle("logrank_tests")
    return answers[(answers["case"] == case_name) & (answers["test"] == test)].iloc[0]


@pytest.mark.parametrize("name", ["veteran", "ties"])
def test_fleming_harrington_weights_are_those_of_survdiff(name):
    test, r = logrank_test(case(name), rho=1), logrank_oracle(name, "rho")
    np.testing.assert_allclose([test.statistic, test.p_value], [r["statistic"], r["p_value"]], **EXACT)


@pytest.mark.parametrize("name", ["veteran", "ties"])
@pytest.mark.parametrize(("rho", "gamma"), [(0, 1), (1, 1), (0, 0.5), (1, 0.5)])
def test_weights_of_late_differences_are_those_of_the_hypergeometric_sum(name, rho, gamma):
    test, r = logrank_test(case(name), rho=rho, gamma=gamma), logrank_oracle(name, f"rho={rho} gamma={gamma:g}")
    np.testing.assert_allclose([test.statistic, test.p_value], [r["statistic"], r["p_value"]], **EXACT)


def test_the_stratified_test_is_that_of_survdiff():
    rows = oracle("logrank_rows").drop(columns="case")
    parts = [counts(part.drop(columns="stratum")).frame.assign(stratum=s) for s, part in rows.groupby("stratum")]
    both = counts(rows.drop(columns="stratum"))
    both.frame = pd.concat(parts, ignore_index=True)
    r = logrank_oracle("veteran", "strata")
    np.testing.assert_allclose(logrank_test(both).statistic, r["statistic"], **EXACT)


def test_pairwise_tests_are_adjusted_for_their_number():
    for pair in pairwise_tests(case("veteran")).itertuples():
        r = logrank_oracle("veteran", f"{pair.level_a} {pair.level_b}")
        ours = [pair.statistic, pair.p_value, pair.p_holm]
        np.testing.assert_allclose(ours, r[["statistic", "p_value", "p_holm"]].astype(float), **EXACT)


# ---- what follows for those who have stayed --------------------------------------------------------------------------


def test_conditional_survival_and_cumulative_hazard_are_those_of_a_later_start_in_r():
    life, answers = life_table(case("ties")), oracle("conditional")
    monthly = conditional_survival(case("ties", unit="month"), months=12, given=(0, 6, 13)).table
    for g, level in enumerate(life.levels):
        r = answers[answers["level"] == level].set_index("given")
        ours = monthly[monthly["level"] == level].set_index("given")[["survival", "std_error", "ci_lower", "ci_upper"]]
        np.testing.assert_allclose(ours, r[["survival", "std_error", "lower", "upper"]], **EXACT)
        whole = kaplan_meier(case("ties", min_denominator=1)).table.query("level == @level").set_index("tenure").loc[12]
        answer = r.loc[0, ["cumulative", "cumulative_std_error"]].astype(float)
        np.testing.assert_allclose(
            whole[["cumulative_hazard", "cumulative_hazard_std_error"]].astype(float), answer, **EXACT
        )
        for given in r.index:
            later = (life.tenure > given) & (life.tenure <= given + 12)
            cumulative, variance = nelson_aalen(life.n_events[g, later], life.n_at_risk[g, later])
            answer = r.loc[given, ["cumulative", "cumulative_std_error"]].astype(float)
            np.testing.assert_allclose([cumulative[-1], variance[-1] ** 0.5], answer, **EXACT)


# ---- 100,000 customers -----------------------------------------------------------------------------------------------


def test_a_hundred_thousand_customers_with_heavy_ties_give_the_answers_of_r():
    data = SimpleNamespace(frame=oracle("large_counts"), about=about(by="plan", levels=("a", "b", "c")))
    life, r = life_table(data), oracle("large_answers").fillna({"level": ""})
    r = r.set_index(["what", "level", "at"])["value"]
    for kind in ("loglog", "plain"):
        for g, curve in enumerate(level_curves(life, kind={"loglog": "log-log"}.get(kind, kind))):
            week = [4, 26, 52, 104]
            read = curve.read(week)
            for name, ours in (("survival", "survival"), (f"{kind}_lower", "ci_lower"), (f"{kind}_upper", "ci_upper")):
                np.testing.assert_allclose(read[ours], r[name][curve.level][week], **EXACT)
            at = np.searchsorted(life.tenure, week)
            np.testing.assert_array_equal(life.n_at_risk[g, at], r["at_risk"][curve.level][week])
            if kind == "loglog":
                for p in (0.25, 0.5, 0.75):
                    answer = [r[name][curve.level][p] for name in ("quantile", "quantile_lower", "quantile_upper")]
                    np.testing.assert_allclose(quantile_with_interval(curve, p), answer, **EXACT)
                mean, variance = restricted_mean(life.tenure, life.n_events[g], life.n_at_risk[g], 104)
                answer = [r["mean"][curve.level][104], r["mean_std_error"][curve.level][104]]
                np.testing.assert_allclose([mean, variance**0.5], answer, **EXACT)
    np.testing.assert_allclose(logrank_test(data).statistic, r["logrank"][""][0], **EXACT)
    np.testing.assert_allclose(logrank_test(data, rho=1).statistic, r["logrank_rho"][""][1], **EXACT)
    curves = level_incidences(life)
    for k, outcome in enumerate(outcomes_of(life)):
        ours = [curve.read([26, 104])[0][k] for curve in curves]
        np.testing.assert_allclose(ours, [r[f"incidence_{outcome}"][g][[26, 104]] for g in "abc"], **EXACT)
    means = {"mean": [r["mean"][g][104] for g in "abc"], "std_error": [r["mean_std_error"][g][104] for g in "abc"]}
    gaps = contrasts(pd.DataFrame(means, index=list("abc")), "a")
    np.testing.assert_allclose(gaps["difference"], [r["difference"][g][104] for g in "bc"], **EXACT)
    z = 2.2414027276  # 5 % in two comparisons
    errors = (gaps["upper"] - gaps["lower"]) / 2 / z
    np.testing.assert_allclose(errors, [r["difference_std_error"][g][104] for g in "bc"], rtol=1e-8)
    design = np.array([[0.0, 0], [1, 0], [0, 1]])
    moves = [data.frame[c] for c in ("tenure", "n_entered", "n_events", "n_censored")]
    risk = RiskCounts.of(data.frame["level"].map({"a": 0, "b": 1, "c": 2}), *moves, 3)
    for ties in ("efron", "breslow"):
        fit = maximise(PartialLikelihood(risk, design, ties))
        np.testing.assert_allclose(fit.beta, [r[f"beta_{ties}"][g][0] for g in "bc"], rtol=1e-7)
        np.testing.assert_allclose(fit.std_error, [r[f"std_error_{ties}"][g][0] for g in "bc"], rtol=1e-7)
        np.testing.assert_allclose(fit.loglik, r[f"loglik_{ties}"][""][0], rtol=1e-10)


def test_grays_test_of_many_customers_with_heavy_ties_is_that_of_cmprsk():
    life = life_table(
        SimpleNamespace(frame=oracle("large_begin_counts"), about=about(by="plan", levels=("a", "b", "c")))
    )
    r = oracle("large_answers").query("what == 'gray'").set_index("level")["value"]
    for outcome in outcomes_of(life):
        d = life.outcomes[outcome]
        statistic, df, _ = gray_statistic(*gray_scores(d, life.n_events - d, life.n_at_risk))
        np.testing.assert_allclose([statistic, df], [r[outcome], 2], **EXACT)
