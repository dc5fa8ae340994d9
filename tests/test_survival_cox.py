"""Cox's partial likelihood from counts is R's, ties and late entry included."""

import numpy as np
import pandas as pd
import pytest
from survival_cases import counts, oracle, simulate

from churnlib.survival.cox import proportionality_test
from churnlib.survival.efron import PartialLikelihood, RiskCounts, maximise
from churnlib.survival.hazardratios import proportional_hazards

CASES = ["heart", "veteran", "lung", "colon", "pbc", "ties"]


def patterns(name):
    """Counts per pattern and tenure of a case, and its design (R's treatment coding)."""
    rows = oracle("cox_rows").astype({"a": str, "b": str})
    rows = rows[rows["case"] == name]
    keys = rows[["a", "b"]].drop_duplicates().sort_values(["a", "b"]).reset_index(drop=True)
    pattern = rows[["a", "b"]].merge(keys.reset_index(), on=["a", "b"], how="left")["index"].to_numpy()
    n, event = rows["n"].to_numpy(), (rows["outcome"] != "censored").to_numpy()
    zero = np.zeros(len(rows), int)
    risk = RiskCounts.of(
        np.r_[pattern, pattern],
        np.r_[rows["exit"], rows["entry"]],
        np.r_[zero, n],
        np.r_[n * event, zero],
        np.r_[n * ~event, zero],
        len(keys),
    )
    return risk, pd.get_dummies(keys, drop_first=True, dtype=float, prefix_sep="")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_coefficients_errors_and_likelihood_are_those_of_coxph(name, ties):
    risk, design = patterns(name)
    fit = maximise(PartialLikelihood(risk, design.to_numpy(), ties))
    r = oracle("cox_fits")
    r = r[(r["case"] == name) & (r["ties"] == ties)].set_index("term").loc[design.columns]
    assert fit.converged and not fit.separated.any()
    np.testing.assert_allclose(fit.beta, r["beta"], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(fit.std_error, r["std_error"], rtol=1e-7)
    np.testing.assert_allclose(
        [fit.loglik, fit.loglik_null], r[["loglik", "loglik_null"]].iloc[0].astype(float), rtol=1e-10
    )


@pytest.mark.parametrize("name", CASES)
def test_the_proportionality_test_is_that_of_cox_zph(name):
    risk, design = patterns(name)
    likelihood = PartialLikelihood(risk, design.to_numpy())
    ours = proportionality_test(likelihood, maximise(likelihood), [term[0] for term in design.columns])
    r = oracle("cox_zph")
    r = r[r["case"] == name].set_index("term")
    for row in ours.itertuples():
        answer = r.loc[row.covariate or "GLOBAL"]
        assert row.df == answer["df"]
        np.testing.assert_allclose(
            [row.statistic, row.p_value], answer[["statistic", "p_value"]].astype(float), rtol=1e-4
        )


def test_lifelines_agrees_on_rows_with_late_entry():
    lifelines = pytest.importorskip("lifelines")
    rows = oracle("cox_rows").query("case == 'heart'")
    frame = rows.assign(event=rows["outcome"] != "censored", a=rows["a"] == "1", b=rows["b"] == "1")
    frame = frame.loc[frame.index.repeat(frame["n"]), ["a", "b", "entry", "exit", "event"]].astype(float)
    theirs = lifelines.CoxPHFitter().fit(frame, "exit", "event", entry_col="entry")
    risk, design = patterns("heart")
    fit = maximise(PartialLikelihood(risk, design.to_numpy()))
    np.testing.assert_allclose(fit.beta, theirs.params_, rtol=1e-3)


def steady(rng, n, **risks):
    return pd.concat([simulate(n, rng, level=level, monthly_risk=risk) for level, risk in risks.items()])


def test_the_hazard_ratio_of_a_segment_is_recovered_with_late_entry():
    result = proportional_hazards(counts(steady(np.random.default_rng(30), 6_000, a=0.03, b=0.045)))
    row = result.table.set_index("level")
    ours = row.loc["b"] if row.loc["a", "is_reference"] else row.loc["a"]
    truth = 1.5 if row.loc["a", "is_reference"] else 1 / 1.5
    assert ours.ci_lower < truth < ours.ci_upper
    assert result.findings[0].key in ("survival.ratio.higher", "survival.ratio.lower")
    assert proportional_hazards(counts(steady(np.random.default_rng(31), 3_000, a=0.03, b=0.03))).findings[0].key == (
        "survival.ratio.alike"
    )


def test_a_level_that_nobody_leaves_is_called_separated_not_estimated():
    rng = np.random.default_rng(32)
    never = simulate(500, rng, level="c").assign(outcome="censored")
    result = proportional_hazards(counts(pd.concat([steady(rng, 2_000, a=0.03, b=0.05), never])))
    row = result.table.set_index("level").loc["c"]
    assert row.is_separated and np.isnan(row.hazard_ratio) and np.isnan(row.std_error)
    assert result.findings[-1].key == "survival.ratio.separated"
    assert result.fit.converged
    others = result.table.set_index("level")["hazard_ratio"].drop("c")
    assert others.notna().all()


def test_a_ratio_that_changes_with_tenure_is_seen_in_the_check():
    rng = np.random.default_rng(33)
    early, late = simulate(8_000, rng, monthly_risk=0.08), simulate(8_000, rng, monthly_risk=0.03)
    b = pd.concat([early[early["exit"] <= 300], late[late["entry"] >= 300]]).assign(level="b")
    result = proportional_hazards(counts(pd.concat([simulate(16_000, rng, monthly_risk=0.05, level="a"), b])))
    assert result.proportional.iloc[-1].p_value < 0.001
    windows = result.checks.set_index("months")["hazard_ratio"]
    assert windows.max() / windows.min() > 2
    for statement in (*result.findings, *result.notes):
        assert "nan" not in statement.say("en") + statement.say("zh")
    assert result.plot() is not None
