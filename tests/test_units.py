"""Many small units: a funnel and shrinkage instead of a league table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from counted import ABOUT, by_level, period_counts

from churnlib import text
from churnlib.trend.shrinkage import beta_prior, shrink
from churnlib.trend.units import funnel_limits, scores, unit_funnel, usual_differences

ORACLE = pd.read_csv(Path(__file__).parent / "oracles" / "decompose_units.csv")


def units(n_units, rng, risk=0.02, spread=0.0, odd=(), last="2025-12"):
    """A year of units: most of them alike up to `spread`, some given: index -> factor of the risk."""
    sizes = np.round(np.exp(rng.uniform(np.log(40), np.log(900), n_units))).astype(int)
    rates = risk * np.exp(rng.normal(0, spread, n_units)) * [dict(odd).get(i, 1.0) for i in range(n_units)]
    levels = {
        f"u{i:02}": (rng.binomial(sizes[i], min(rates[i], 1), 12).tolist(), int(sizes[i])) for i in range(n_units)
    }
    return by_level(levels)


def test_the_funnel_and_shrinkage_agree_with_r():
    d, n = ORACLE["d"].to_numpy(float), ORACLE["n"].to_numpy(float)
    centre = d.sum() / n.sum()
    tau = usual_differences(d, n, centre)
    assert tau == pytest.approx(ORACLE["tau"].iloc[0], rel=1e-12)
    assert scores(d, n, centre, tau) == pytest.approx(ORACLE["score"].to_numpy(), rel=1e-10)
    assert shrink(d, n)[0] == pytest.approx(ORACLE["shrunk"].to_numpy(), rel=1e-4)  # both by Nelder-Mead


def test_units_that_differ_by_chance_alone_are_not_named():
    rng = np.random.default_rng(1)
    named = sum(unit_funnel(units(40, rng)).findings[0].key != "units.none" for _ in range(20))
    assert named <= 5  # 40 units outside 99.8 % limits: 7.7 % of the funnels, more than 5 of 20 once in 300


def test_usual_differences_between_units_widen_the_funnel():
    rng = np.random.default_rng(2)
    funnel = unit_funnel(units(60, rng, spread=0.4))
    assert funnel.tau > 0.003 and abs(funnel.table["beyond"]).sum() <= 4


def test_a_unit_far_out_is_named_and_does_not_hide_itself():
    funnel = unit_funnel(units(40, np.random.default_rng(3), odd=((7, 4.0), (12, 3.5))))
    finding = funnel.findings[0]
    assert finding.key == "units.high" and "u07" in finding.say("en") and finding.tone == "worse"


def test_small_units_are_shrunk_more_than_large_ones():
    d, n = np.array([6.0, 600.0, *([20.0] * 20)]), np.array([100.0, 10_000.0, *([1000.0] * 20)])
    shrunk, lower, upper = shrink(d, n)
    assert 0.02 < shrunk[0] < shrunk[1] < 0.061 and (lower < shrunk).all() and (shrunk < upper).all()


@pytest.mark.parametrize("spread", [0, 0.003, 0.01])
def test_intervals_hold_the_rates_of_units_alike_and_apart(spread):
    rng, held = np.random.default_rng(5), []
    for _ in range(60):
        n = rng.integers(200, 6_000, 25).astype(float)
        rates = rng.beta(*(np.array([0.03, 0.97]) * (0.03 * 0.97 / spread**2 - 1)), 25) if spread else np.full(25, 0.03)
        _, lower, upper = shrink(rng.binomial(n.astype(int), rates).astype(float), n)
        held.append(((lower <= rates) & (rates <= upper)).mean())
    assert 0.92 <= np.mean(held) <= (1 if spread < 0.01 else 0.975)  # 1,500 rates: .95 within .01


def test_units_all_alike_are_shrunk_to_the_whole():
    shrunk, lower, upper = shrink(np.full(30, 20.0), np.full(30, 1000.0))
    assert shrunk == pytest.approx(0.02, abs=2e-4) and (upper - lower > 0.001).all()  # but not known exactly
    assert np.isfinite(beta_prior(np.zeros(5), np.full(5, 50.0))).all()


@pytest.mark.parametrize("n", [60, 300, 3_000])
def test_the_funnel_holds_its_limits(n):
    rng = np.random.default_rng(n)
    low, high = funnel_limits(0.02, np.array([n * 12]), 0.0, 0.95)
    rate = rng.binomial(n * 12, 0.02, 20_000) / (n * 12)
    assert 0.935 <= ((low <= rate) & (rate <= high)).mean() <= 0.985


def test_few_groups_are_no_funnel():
    funnel = unit_funnel(by_level({"a": ([100] * 24, 9_000), "b": ([60] * 24, 1_000)}))
    assert [f.key for f in funnel.findings] == ["units.few"] and funnel.plot() is None and funnel.subtitle is None


def test_customers_without_a_unit_are_no_unit():
    counted = units(30, np.random.default_rng(4))
    nobody = period_counts([500] * 12, opening=50_000, level="unknown").frame
    counted.frame = pd.concat([counted.frame, nobody], ignore_index=True)
    assert "unknown" not in set(unit_funnel(counted).table["level"])


def test_empty_and_lossless_units_are_said_without_infinities():
    counted = by_level({f"u{i:02}": ([0] * 12, 0 if i % 2 else 100) for i in range(24)})
    funnel = unit_funnel(counted)
    for language in text.LANGUAGES:
        assert not any(bad in f.say(language) for f in funnel.findings for bad in ("nan", "inf", "{"))
    funnel = unit_funnel(replace_about(period_counts([0] * 3)))
    assert funnel.findings[0].key == "units.few"


def replace_about(counted):
    counted.about = replace(ABOUT)
    return counted


def test_too_few_losses_of_a_unit_are_hidden():
    funnel = unit_funnel(
        by_level({f"u{i:02}": ([1 if i == 0 else 12] + [0 if i == 0 else 5] * 11, 300) for i in range(12)})
    )
    shown = funnel.shown.set_index("level")
    assert np.isnan(shown.loc["u00", "churn_rate"]) and shown["churn_rate"].isna().sum() >= 2


def test_the_funnel_names_the_units_outside_it_and_no_others():
    axes = unit_funnel(units(40, np.random.default_rng(3), odd=((7, 4.0), (12, 3.5)))).plot()
    written = {label.get_text() for label in axes.texts}
    assert {"u07", "u12"} <= written and "u20" not in written
