"""Every interval of the survival chapter holds its 95 %, every test its 5 %, in 2,000 businesses observed late."""

import numpy as np
import pytest
from scipy.stats import norm
from survival_cases import OUTCOMES, counts, simulate

from churnlib.tenure.competing import aalen_johansen, incidence_interval, restricted_mean, time_lost
from churnlib.tenure.cox import proportionality_test
from churnlib.tenure.curves import level_curves, quantile_with_interval
from churnlib.tenure.efron import PartialLikelihood, RiskCounts, maximise
from churnlib.tenure.gray import gray_scores, gray_statistic
from churnlib.tenure.lifetable import DAYS_PER_MONTH, anniversary, life_table
from churnlib.tenure.logrank import logrank_scores
from churnlib.tenure.tenure_risk import conditional_survival, hazard_by_tenure

pytestmark = pytest.mark.calibrate

REPLICATES, CUSTOMERS, RISK, VOLUNTARY = 2_000, 600, 0.04, 0.6


def covers(lower, upper, truth):
    return bool(lower <= truth <= upper)


def normal(value, variance, truth):
    return bool(abs(value - truth) <= 1.959964 * variance**0.5)


def one_business(rng) -> dict[str, bool]:
    """Which intervals hold the truth in one simulated business."""
    data = counts(simulate(CUSTOMERS, rng, monthly_risk=RISK), min_denominator=1)
    life = life_table(data)
    (curve,) = level_curves(life)
    months = np.array([6, 12, 24])
    days = anniversary(months, "day")
    read, true = curve.read(days), np.exp(-RISK * days / DAYS_PER_MONTH)
    hits = {
        f"survival {m}": covers(*ends)
        for m, *ends in zip(months, read["ci_lower"], read["ci_upper"], true, strict=True)
    }
    _, lower, upper = quantile_with_interval(curve)
    hits["median"] = covers(lower, upper, np.log(2) / RISK * DAYS_PER_MONTH)
    d, n = np.stack([life.outcomes[o][0] for o in OUTCOMES]), life.n_at_risk[0]
    steps, year = aalen_johansen(d, n), np.searchsorted(life.tenure, 365, side="right") - 1
    ends = incidence_interval(steps.incidence[0, year], steps.variance[0, year])
    hits["incidence 12"] = covers(*ends, VOLUNTARY * (1 - true[1]))
    stayed, lost = restricted_mean(life.tenure, d.sum(axis=0), n, 730), time_lost(life.tenure, d, n, 730)
    area = (1 - true[2]) / RISK * DAYS_PER_MONTH + 0.5 * (1 - true[2])  # lives are rounded up to whole days
    hits["months stayed"] = normal(*stayed, area)
    hits["months lost"] = normal(lost[0][0], lost[1][0], VOLUNTARY * (730 - area))
    later = conditional_survival(data, months=12, given=(6,)).table.iloc[0]
    hits["conditional"] = covers(later.ci_lower, later.ci_upper, np.exp(-RISK * (547 - 182) / DAYS_PER_MONTH))
    month = hazard_by_tenure(data).table.iloc[11]
    hits["hazard 12"] = covers(month.ci_lower, month.ci_upper, DAYS_PER_MONTH * (1 - np.exp(-RISK / DAYS_PER_MONTH)))
    return hits


def one_comparison(rng) -> dict[str, bool]:
    """Which tests call two alike halves of a business different; whether the hazard ratio's interval holds 1."""
    rows = simulate(CUSTOMERS, rng, monthly_risk=RISK)
    data = counts(rows.assign(level=rng.choice(["a", "b"], len(rows))))
    life, frame = life_table(data), data.frame
    d = life.outcomes["voluntary"]
    p = {
        "log-rank": logrank_scores(life.n_events, life.n_at_risk).test()[2],
        "rho 1": logrank_scores(life.n_events, life.n_at_risk, rho=1).test()[2],
        "gray": gray_statistic(*gray_scores(d, life.n_events - d, life.n_at_risk))[2],
    }
    pattern = (frame["level"] == "b").astype(int)
    moves = (frame[c] for c in ("tenure", "n_entered", "n_events", "n_censored"))
    likelihood = PartialLikelihood(RiskCounts.of(pattern, *moves, 2), np.array([[0.0], [1.0]]))
    fit = maximise(likelihood)
    p["proportional"] = proportionality_test(likelihood, fit, ["level"])["p_value"].iloc[0]
    p["cox"] = 2 * norm.sf(abs(fit.beta[0] / fit.std_error[0]))
    return {name: value <= 0.05 for name, value in p.items()}


def shares(simulation, seed) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    hits = [simulation(rng) for _ in range(REPLICATES)]
    return {name: float(np.mean([h[name] for h in hits])) for name in hits[0]}


def test_intervals_hold_their_coverage():
    found = shares(one_business, 100)
    print(found)
    assert all(0.925 <= share <= 0.975 for share in found.values()), found


def test_tests_hold_their_size():
    found = shares(one_comparison, 101)
    print(found)
    assert all(0.035 <= share <= 0.065 for share in found.values()), found
