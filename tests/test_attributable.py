"""Attributable losses: against R, against Levin's published example, against what was simulated, adding up."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from attributable_cases import counted, simulated
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlib import text
from churnlib.reasons.attributable import UNEXPLAINED, attributable_reasons
from churnlib.reasons.attribution import attributed, discoveries, levin, losses_alone, panel_of
from churnlib.reasons.drivermodel import _columns, _maximise, fit_drivers

ORACLES = Path(__file__).parent / "oracles"
LEVIN = ((0.2, 5, 0.444444444444444), (0.5, 2, 0.333333333333333), (0.5, 10, 0.818181818181818))


@pytest.fixture(scope="module")
def oracle():
    """Counts that attributable.R simulated, and what R makes of them (20 blocks, the last two of four months)."""
    rows = pd.read_csv(ORACLES / "attributable_patterns.csv")
    expected = pd.read_csv(ORACLES / "attributable_expected.csv").set_index("quantity")
    sizes = {"month": 4, "tenure": 2, "a": 2, "b": 2, "c": 3}
    return counted(rows, sizes, groups={"a": "price", "b": "service", "c": "service"}), expected


def test_effects_and_losses_agree_with_r(oracle):
    counts, expected = oracle
    panel = panel_of(counts)
    fit = fit_drivers(panel)
    assert not fit.adds and fit.converged
    effects = [fit.theta[c[c >= 0]] for c in fit.columns[2:]]
    assert np.allclose(
        np.concatenate(effects), expected.loc[["beta_a", "beta_b", "beta_c1", "beta_c2"], "value"], atol=1e-6
    )
    result = attributable_reasons(counts, window=2).table
    own = result[result["driver"].notna()].set_index("driver")
    for name, row in own.iterrows():
        assert row["attributable"] == pytest.approx(expected.loc[f"path_{name}", "value"], rel=1e-5)
        assert row["alone"] == pytest.approx(expected.loc[f"alone_{name}", "value"], rel=1e-6)
        assert row["risk"] * row["n_exposed"] == pytest.approx(row["attributable"])  # of the exposed, standardised
    everything = result.loc[result["reason_group"] == UNEXPLAINED, ["n_churned", "attributable"]].iloc[0]
    assert everything["n_churned"] - everything["attributable"] == pytest.approx(expected.loc["all", "value"], rel=1e-6)


def test_one_step_intervals_agree_with_refits_without_each_block(oracle):
    counts, expected = oracle
    table = attributable_reasons(counts, window=2).table
    own = table[table["driver"].notna()].set_index("driver")
    for name, row in own.iterrows():
        width = row["ci_upper"] - row["ci_lower"]
        assert width / (2 * 2.093) == pytest.approx(expected.loc[f"path_{name}", "se"], rel=0.05), name  # t, 19 df


def test_effects_that_add_agree_with_a_general_optimiser(oracle):
    counts, expected = oracle
    panel = panel_of(counts)
    fit = _maximise(panel, *_columns(panel), adds=True)
    assert fit.loglik == pytest.approx(expected.loc["loglik_adds", "value"], abs=1e-6)
    effects = np.concatenate([fit.theta[c[c >= 0]] for c in fit.columns[2:]])
    wanted = expected.loc[["excess_a", "excess_b", "excess_c1", "excess_c2"], "value"]
    assert np.allclose(effects, wanted, atol=2e-4)


@pytest.mark.parametrize(("exposed", "ratio", "published"), LEVIN)
def test_levins_textbook_fractions(exposed, ratio, published):
    assert levin(exposed, ratio) == pytest.approx(published, abs=1e-9)


def test_without_controls_and_overlap_the_model_is_levins_formula():
    counts, _ = simulated(np.random.default_rng(1), excess=(1.5,), n_months=1, n_segments=1)
    row = attributable_reasons(counts, window=1).table.query("driver == 'd0'").iloc[0]
    assert row["alone"] == pytest.approx(row["attributable"], rel=1e-9)
    assert row["crude"] == pytest.approx(row["attributable"], rel=0.02)  # hazards for chances: 1 - exp(-h)


@settings(max_examples=30)
@given(st.lists(st.floats(-0.6, 2.0), min_size=1, max_size=4), st.booleans(), st.integers(0, 99))
def test_drivers_groups_and_the_rest_add_up_to_all_losses(excess, multiplies, seed):
    counts, _ = simulated(np.random.default_rng(seed), tuple(excess), multiplies=multiplies)
    result = attributable_reasons(counts)
    table = result.table.assign(attributable=result.table["attributable"].fillna(0))
    own, groups = table[table["driver"].notna()], table[table["driver"].isna()]
    assert groups["attributable"].sum() == pytest.approx(result.n_churned)
    sums = own.groupby("reason_group")["attributable"].sum()
    named = groups[groups["reason_group"] != UNEXPLAINED].set_index("reason_group")["attributable"]
    assert np.allclose(sums.reindex(named.index), named)
    known = own[own["state"] == "estimated"]
    assert (known["ci_lower"] <= known["attributable"]).all() and (known["attributable"] <= known["ci_upper"]).all()


def test_losses_shared_by_two_drivers_are_split_and_never_counted_twice():
    counts, truth = simulated(np.random.default_rng(2), (2.0, 2.0), overlap=0.9, size=200)
    table = attributable_reasons(counts).table.set_index("driver")
    alone = table.loc[["d0", "d1"], "alone"]
    assert table.loc[["d0", "d1"], "attributable"].sum() <= alone.sum() * 1.02
    assert np.allclose(table.loc[["d0", "d1"], "attributable"], truth, rtol=0.15)


def test_a_driver_that_is_the_calendar_itself_is_said_to_be_entangled():
    counts, _ = simulated(np.random.default_rng(3), (1.0, 0.5))
    patterns = counts.patterns.assign(d1=(counts.patterns["month"] >= 6).astype(int))
    table = attributable_reasons(replace(counts, patterns=patterns)).table.set_index("driver")
    assert table.loc["d1", "state"] == "entangled" and np.isnan(table.loc["d1", "attributable"])
    assert table.loc["d0", "state"] == "estimated"


def test_a_driver_with_few_losses_or_none_exposed_is_not_estimated():
    counts, _ = simulated(np.random.default_rng(4), (1.0, 0.5), size=40)
    few = counts.frame.assign(
        n_churned=np.where(counts.patterns["d1"][counts.frame["pattern"]] > 0, 0, counts.frame["n_churned"])
    )
    table = attributable_reasons(replace(counts, frame=few)).table.set_index("driver")
    assert table.loc["d1", "state"] == "few"
    nobody = replace(counts, patterns=counts.patterns.assign(d1=0))
    assert attributable_reasons(nobody).table.set_index("driver").loc["d1", "state"] == "absent"


def test_intervals_hold_the_simulated_losses_and_nothing_is_reported_without_a_driver():
    rng = np.random.default_rng(5)
    hits, false = [], 0
    for _ in range(200):
        counts, truth = simulated(rng, (1.0, 0.6, 0.0), n_months=3, n_segments=2, size=300, n_blocks=20)
        own = attributable_reasons(counts).table.set_index("driver").loc[["d0", "d1", "d2"]]
        hits.append((own["ci_lower"].to_numpy() <= truth) & (truth <= own["ci_upper"].to_numpy()))
        null, _ = simulated(rng, (0.0, 0.0, 0.0), n_months=3, n_segments=2, size=300, n_blocks=20)
        false += attributable_reasons(null).table["reported"].any()
    assert (np.mean(hits, axis=0) > 0.90).all()  # 2,000 replicates: tests/calibrate
    assert false <= 17  # 5 % of 200 and two standard errors


def test_discoveries_are_benjamini_and_hochbergs():
    p = [0.01, 0.04, 0.03, 0.005, 0.5]  # sorted: .005 <= .01, .01 <= .02, .03 <= .03, .04 <= .04, .5 > .05
    assert discoveries(p, 0.05).tolist() == [True, True, True, True, False]
    assert not discoveries([0.04, 0.2, np.nan], 0.05).any()


def test_shares_of_a_pattern_are_those_of_its_drivers():
    counts, _ = simulated(np.random.default_rng(6), (0.8, 0.8))
    panel = panel_of(counts)
    for adds in (False, True):
        fit = _maximise(panel, *_columns(panel), adds=adds)
        chance, parts = attributed(fit, panel.codes, panel.n_controls, fit.theta)
        none = [k if f < panel.n_controls else 0 * k for f, k in enumerate(panel.codes)]
        base, _ = attributed(fit, none, panel.n_controls, fit.theta)
        assert np.allclose(parts.sum(axis=0), chance - base)
        inside = np.ones(len(panel.n), bool)
        assert losses_alone(panel, fit, inside).shape == (2,)


@pytest.mark.parametrize("language", text.LANGUAGES)
@pytest.mark.parametrize(
    ("excess", "size", "key"),
    [
        ((1.5, 0.0), 40, "attributable.more"),
        ((-0.7, 0.0), 400, "attributable.less"),
        ((0.0, 0.0), 40, "attributable.nothing"),
        ((1.0,), 0.02, "attributable.few"),
        ((), 40, "attributable.no_driver"),
    ],
)
def test_every_outcome_has_its_sentence(excess, size, key, language):
    counts, _ = simulated(np.random.default_rng(8), excess, size=size)
    result = attributable_reasons(counts)
    first = result.findings[0]
    assert first.key == key
    said = " ".join(s.say(language) for s in (*result.findings, *result.notes, result.subtitle))
    assert "nan" not in said and "caused by" not in said and "导致" not in said
    assert len(result.summary(language)) == len(result.table)
