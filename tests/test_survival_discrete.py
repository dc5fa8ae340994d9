"""The complementary log-log model from counts is R's glm, and stands beside Cox's ratios."""

import numpy as np
import pandas as pd
import pytest
from survival_cases import case, counts, oracle, simulate

from churnlib import text
from churnlib.survival.discrete import discrete_hazard, fit_cloglog, trials_by_month
from churnlib.survival.hazardratios import proportional_hazards
from churnlib.survival.lifetable import life_table


def test_ratios_errors_and_test_are_those_of_glm():
    result, r = discrete_hazard(case("ties", min_denominator=1)), oracle("discrete_fit")
    ours = result.table.merge(r.rename(columns={"stretch": "months"}), on=["level", "months"], suffixes=("", "_r"))
    assert len(ours) == len(r) == len(result.table)
    np.testing.assert_allclose(ours["log_ratio"], ours["log_ratio_r"], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(ours["std_error"], ours["std_error_r"], rtol=1e-6)
    np.testing.assert_allclose(result.fit.statistic, r["statistic"][0], rtol=1e-6)
    assert result.fit.df == r["df"][0]


@pytest.fixture(scope="module")
def groups():
    rng = np.random.default_rng(51)
    return pd.concat([simulate(8_000, rng, level=level, monthly_risk=r) for level, r in {"a": 0.03, "b": 0.05}.items()])


def test_it_stands_beside_cox_and_a_ratio_that_holds_is_not_said_to_change(groups):
    ours, cox = discrete_hazard(counts(groups)), proportional_hazards(counts(groups)).checks
    np.testing.assert_allclose(ours.table["hazard_ratio"], cox["hazard_ratio"], rtol=0.02)
    assert ours.findings[0].key == "survival.discrete.steady" and ours.fit.converged


def test_trials_are_customer_days(groups):
    life = life_table(counts(groups))
    trials, events = trials_by_month(life)
    assert trials.sum() == (groups["exit"] - groups["entry"]).sum()
    assert events.sum() == (groups["outcome"] != "censored").sum()


def test_a_stretch_in_which_nobody_left_is_called_separated_not_estimated(groups):
    quiet = groups.assign(outcome=groups["outcome"].where((groups["level"] == "a") | (groups["exit"] > 91), "censored"))
    result = discrete_hazard(counts(quiet))
    row = result.table.set_index("months").loc[0]
    assert row.is_separated and np.isnan(row.hazard_ratio)
    assert result.table["hazard_ratio"].notna().sum() == 3 and result.fit.converged
    assert "survival.note.separated" in [note.key for note in result.notes]


@pytest.mark.parametrize("events", [np.zeros((2, 5)), np.array([[1.0, 0, 2, 0, 0], [0, 0, 0, 0, 0]])])
def test_without_events_to_compare_there_is_no_estimate(events):
    fit = fit_cloglog(np.full((2, 5), 100.0), events, 0)
    assert fit.table["is_separated"].all() and np.isnan(fit.p_value) and fit.converged


@pytest.mark.parametrize("rows", ["groups", "one", "nobody"])
def test_every_statement_can_be_said(rows, groups):
    data = {"groups": groups, "one": groups.assign(level=""), "nobody": groups.head(1)}[rows]
    made = counts(data)
    made.frame = made.frame.head(0) if rows == "nobody" else made.frame
    result = discrete_hazard(made)
    for statement in (*result.findings, *result.notes):
        assert all("nan" not in statement.say(language) for language in text.LANGUAGES)
    result.summary("zh")


def test_whole_months_are_trials_too():
    trials, events = trials_by_month(life_table(case("months", unit="month")))
    assert trials.shape[1] == life_table(case("months", unit="month")).tenure.max()
    assert (events <= trials).all()


def test_a_million_customers_converge_too(groups):
    few, many = discrete_hazard(counts(groups)), discrete_hazard(counts(groups.assign(n=2_000)))
    assert many.fit.converged
    np.testing.assert_allclose(many.table["log_ratio"], few.table["log_ratio"], atol=1e-7)
