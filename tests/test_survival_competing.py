"""Outcomes compete: cumulative incidence, time lost by cause and Gray's test, as in R's etm, survival and cmprsk."""

import numpy as np
import pytest
from survival_cases import counts, oracle

from churnlib.survival.competing import aalen_johansen, time_lost
from churnlib.survival.estimators import restricted_mean
from churnlib.survival.gray import gray_scores, gray_statistic
from churnlib.survival.lifetable import OUTCOMES, life_table

EXACT = {"rtol": 1e-8, "atol": 1e-10}
CASES = ["mgus2", "ties", "begin"]


def rows_of(name):
    if name == "mgus2":
        return oracle("competing_rows")
    rows = oracle("survival_rows")
    rows = rows[rows["case"] == "ties"]
    return rows[rows["entry"] == 0] if name == "begin" else rows


def levels(name):
    """Life table and events by outcome of each level of a case."""
    life = life_table(counts(rows_of(name)))
    for g, level in enumerate(life.levels):
        yield level, life, np.stack([life.outcomes[o][g] for o in OUTCOMES]), life.n_at_risk[g]


@pytest.mark.parametrize("name", CASES)
def test_incidence_and_its_variance_are_those_of_r(name):
    answers = oracle("competing_incidence")
    for level, life, d, n in levels(name):
        ours = aalen_johansen(d, n)
        r = answers[(answers["case"] == name) & (answers["level"] == level)]
        for outcome, rows in r.groupby("outcome"):
            at, k = np.searchsorted(life.tenure, rows["tenure"]), OUTCOMES.index(outcome)
            np.testing.assert_allclose(ours.incidence[k, at], rows["incidence"], **EXACT)
            np.testing.assert_allclose(np.sqrt(ours.variance[k, at]), rows["std_error"], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_the_outcomes_and_the_survival_add_to_one(name):
    for _, _, d, n in levels(name):
        survival, incidence, _ = aalen_johansen(d, n)
        np.testing.assert_allclose(survival + incidence.sum(axis=0), 1, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_restricted_means_are_those_of_r(name):
    answers = oracle("competing_means")
    for level, life, d, n in levels(name):
        r = answers[(answers["case"] == name) & (answers["level"] == level)].set_index("outcome")
        horizon = r["horizon"].iloc[0]
        mean, variance = restricted_mean(life.tenure, d.sum(axis=0), n, horizon)
        np.testing.assert_allclose([mean, variance**0.5], r.loc["all", ["mean", "std_error"]].astype(float), **EXACT)
        lost, lost_variance = time_lost(life.tenure, d, n, horizon)
        for outcome in r.index.drop("all"):
            k = OUTCOMES.index(outcome)
            expected = r.loc[outcome, ["mean", "std_error"]].astype(float)
            np.testing.assert_allclose([lost[k], lost_variance[k] ** 0.5], expected, **EXACT)
        np.testing.assert_allclose(mean + lost.sum(), horizon, rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_grays_test_is_that_of_cmprsk_and_with_late_entry_that_of_its_formulas(name):
    life, answers = life_table(counts(rows_of(name))), oracle("competing_gray")
    for r in answers[answers["case"] == name].itertuples():
        d = life.outcomes[r.outcome]
        statistic, df, p_value = gray_statistic(*gray_scores(d, life.n_events - d, life.n_at_risk))
        assert df == r.df
        np.testing.assert_allclose([statistic, p_value], [r.statistic, r.p_value], **EXACT)
