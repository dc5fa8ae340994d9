"""Simulated businesses: which of the survival chapter's intervals hold the truth, which of its tests give false alarms.

Looked at 2,000 times by tests/calibrate, 200 times by tests/test_survival_intervals.py.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm
from survival_cases import OUTCOMES, counts, simulate

from churnlib.survival.competing import aalen_johansen, incidence_interval, time_lost
from churnlib.survival.cox import proportionality_test
from churnlib.survival.curves import gap_interval, level_curves, quantile_with_interval
from churnlib.survival.discrete import discrete_hazard
from churnlib.survival.efron import PartialLikelihood, RiskCounts, maximise
from churnlib.survival.estimators import restricted_mean
from churnlib.survival.gray import gray_scores, gray_statistic
from churnlib.survival.hazard import hazard_by_tenure
from churnlib.survival.lifetable import DAYS_PER_MONTH, anniversary, life_table
from churnlib.survival.logrank import logrank_scores, pairwise_tests, stratified_scores
from churnlib.survival.milestones import conditional_survival
from churnlib.survival.moneysurvival import money_survival
from churnlib.survival.restricted import months_stayed
from churnlib.survival.survival import kaplan_meier

CUSTOMERS, RISK, VOLUNTARY = 600, 0.04, 0.6
FAMILIES = ("pairs", "peak", "spikes")  # corrected for many looks: at most 5 %


def covers(lower, upper, truth):
    return bool(lower <= truth <= upper)


def normal(value, variance, truth):
    return bool(abs(value - truth) <= 1.959964 * variance**0.5)


def left(months, risk=RISK):
    """Share still here at a monthly anniversary."""
    return np.exp(-risk * anniversary(months, "day") / DAYS_PER_MONTH)


def area(days, risk=RISK):
    """Mean days stayed of the first so many; lives are rounded up to whole days."""
    gone = 1 - np.exp(-risk * days / DAYS_PER_MONTH)
    return gone / risk * DAYS_PER_MONTH + 0.5 * gone


def one_curve(rng) -> dict[str, bool]:
    """Intervals of one business observed late."""
    data = counts(simulate(CUSTOMERS, rng, monthly_risk=RISK), min_denominator=1)
    life = life_table(data)
    (curve,) = level_curves(life)
    months = np.array([6, 12, 24])
    read, days = curve.read(anniversary(months, "day")), anniversary(months, "day")
    ends = zip(months, read["ci_lower"], read["ci_upper"], left(months), strict=True)
    hits = {f"survival {m}": covers(*rest) for m, *rest in ends}
    _, lower, upper = quantile_with_interval(curve)
    hits["median"] = covers(lower, upper, np.log(2) / RISK * DAYS_PER_MONTH)
    d, n = np.stack([life.outcomes[o][0] for o in OUTCOMES]), life.n_at_risk[0]
    steps, year = aalen_johansen(d, n), np.searchsorted(life.tenure, days[1], side="right") - 1
    ends = incidence_interval(steps.incidence[0, year], steps.variance[0, year])
    hits["incidence 12"] = covers(*ends, VOLUNTARY * (1 - left(12)))
    stayed, lost = restricted_mean(life.tenure, d.sum(axis=0), n, 730), time_lost(life.tenure, d, n, 730)
    hits["months stayed"] = normal(*stayed, area(730))
    hits["months lost"] = normal(lost[0][0], lost[1][0], VOLUNTARY * (730 - area(730)))
    later = conditional_survival(data, months=12, given=(6,)).table.iloc[0]
    hits["conditional"] = covers(later.ci_lower, later.ci_upper, left(18) / left(6))
    month = hazard_by_tenure(data).table.iloc[11]
    hits["hazard 12"] = covers(month.ci_lower, month.ci_upper, DAYS_PER_MONTH * (1 - np.exp(-RISK / DAYS_PER_MONTH)))
    (band,) = level_curves(life, 30, kind="simultaneous")
    truth, known = np.exp(-RISK * band.tenure / DAYS_PER_MONTH), ~np.isnan(band.lower)
    hits["simultaneous"] = bool(((band.lower < truth) & (truth < band.upper))[known].all())
    return hits


def one_contrast(rng) -> dict[str, bool]:
    """Intervals of what two different groups differ in."""
    risks = {"a": RISK, "b": 1.5 * RISK}
    data = counts(
        pd.concat([simulate(CUSTOMERS, rng, monthly_risk=r, level=v) for v, r in risks.items()]), min_denominator=1
    )
    means = months_stayed(data, horizon=24)
    row, other = means.contrasts.iloc[0], means.reference
    stayed = {v: area(730, r) / DAYS_PER_MONTH for v, r in risks.items()}
    truth = stayed[row.level] - stayed[other], stayed[row.level] / stayed[other]
    hits = {"difference": covers(row.lower, row.upper, truth[0])}
    hits["ratio"] = covers(row.ratio_lower, row.ratio_upper, truth[1])
    low, high = (curve.read(365) for curve in reversed(level_curves(life_table(data))))
    hits["gap"] = covers(*gap_interval(low, high, 2), left(12) - left(12, risks["b"]))
    _, fit = halves(data.frame)
    hits["hazard ratio"] = normal(fit.beta[0], fit.std_error[0] ** 2, np.log(1.5))
    # against the level with most customers, whichever that is
    late = discrete_hazard(data).table.set_index("months").loc[12]
    hits["discrete ratio"] = covers(late.ci_lower, late.ci_upper, 1.5 if late.level == "b" else 1 / 1.5)
    return hits


def one_purse(rng) -> dict[str, bool]:
    """Intervals from blocks: of money, where a third pay four times as much and leave sooner; of repeated spells."""
    from test_survival_money import weighted

    risks, fees = np.array([RISK, 1.5 * RISK]), np.array([1.0, 4.0])
    rows = [simulate(n, rng, monthly_risk=r).assign(fee=f) for n, r, f in zip((600, 300), risks, fees, strict=True)]
    rows = pd.concat(rows, ignore_index=True)
    rows["block"] = np.arange(len(rows)) % 50
    row = money_survival(weighted(rows)).table.iloc[12]
    heads, paid = np.exp(-risks * 365 / DAYS_PER_MONTH) * [2, 1], fees * [2, 1]
    money = fees @ heads / paid.sum()
    hits = {"money": covers(row.ci_lower, row.ci_upper, money)}
    hits["money gap"] = covers(row.gap_lower, row.gap_upper, money - heads.sum() / 3)
    frailty = np.repeat(rng.gamma(2, 0.5, 300), rng.integers(1, 4, 300))  # up to three spells of one customer
    life = np.ceil(rng.exponential(DAYS_PER_MONTH / RISK, len(frailty)) / frailty)
    end = rng.integers(200, 1500, len(life))
    outcome = np.where(life <= end, "voluntary", "censored")
    spells = pd.DataFrame({"level": "", "entry": 0, "exit": np.minimum(life, end), "outcome": outcome, "fee": 1.0})
    spells["block"] = (np.cumsum(np.r_[True, np.diff(frailty) != 0]) % 50).astype(int)
    read = kaplan_meier(weighted(spells)).curves[0].read(365)
    hits["repeated spells"] = covers(read["ci_lower"], read["ci_upper"], (1 + RISK * 365 / DAYS_PER_MONTH / 2) ** -2)
    return hits


def halves(frame):
    """Cox's model of group b against a."""
    pattern = (frame["level"] == "b").astype(int)
    moves = (frame[c] for c in ("tenure", "n_entered", "n_events", "n_censored"))
    likelihood = PartialLikelihood(RiskCounts.of(pattern, *moves, 2), np.array([[0.0], [1.0]]))
    return likelihood, maximise(likelihood)


def one_comparison(rng) -> dict[str, bool]:
    """False alarms of the tests between alike parts of one business, and of its findings about tenure."""
    rows = simulate(CUSTOMERS, rng, monthly_risk=RISK)
    rows = rows.assign(level=rng.choice(["a", "b"], len(rows)), stratum=rng.choice(["x", "y"], len(rows)))
    data = counts(rows.drop(columns="stratum"))
    life = life_table(data)
    d, n, voluntary = life.n_events, life.n_at_risk, life.outcomes["voluntary"]
    parts = [counts(part.drop(columns="stratum")).frame.assign(stratum=s) for s, part in rows.groupby("stratum")]
    likelihood, fit = halves(data.frame)
    three = counts(rows.drop(columns="stratum").assign(level=rng.choice(["a", "b", "c"], len(rows))))
    p = {
        "log-rank": logrank_scores(d, n).test()[2],
        "rho 1": logrank_scores(d, n, rho=1).test()[2],
        "gamma 1": logrank_scores(d, n, gamma=1).test()[2],
        "stratified": stratified_scores(pd.concat(parts), life.levels).test()[2],
        "gray": gray_statistic(*gray_scores(voluntary, d - voluntary, n))[2],
        "proportional": proportionality_test(likelihood, fit, ["level"])["p_value"].iloc[0],
        "cox": 2 * norm.sf(abs(fit.beta[0] / fit.std_error[0])),
        "pairs": pairwise_tests(three)["p_holm"].min(),
    }
    alarms = {name: bool(value <= 0.05) for name, value in p.items()}
    whole = counts(rows.drop(columns=["stratum", "level"]), min_denominator=10, privacy_k=0)
    alarms["early"] = any(f.key in ("survival.early.high", "survival.early.low") for f in kaplan_meier(whole).findings)
    said = {f.key for f in hazard_by_tenure(whole).findings}
    return alarms | {"peak": "survival.hazard.peak" in said, "spikes": "survival.hazard.spikes" in said}


def shares(simulation, seed: int, replicates: int) -> dict[str, float]:
    """How often each came true."""
    rng = np.random.default_rng(seed)
    hits = pd.DataFrame([simulation(rng) for _ in range(replicates)])
    return {name: round(float(share), 4) for name, share in hits.mean().items()}
