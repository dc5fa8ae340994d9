"""Laney's p' chart: a frozen baseline, its own spread, and what further periods may show by chance alone.

One level of customers at a time; `churnlib.trend.control` makes charts and a verdict of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.stats import t

from churnlib.about import YEAR
from churnlib.show.results import period_values
from churnlib.trend.season import YEARS, lengths, season_terms

SHORTEST = 6  # periods of a baseline
LONGEST = 60
FALSE_ALARM = 0.0027  # of one period beyond the limits, both sides together: the three sigma of the book
OUTLIER = 0.01  # chance, over the whole baseline, of setting usual periods aside
MOST_ASIDE = 6  # one period in so many may be set aside as an outlier


@dataclass(frozen=True)
class Usual:
    """What a baseline says is usual."""

    inside: np.ndarray  # the periods of the baseline
    variance: float  # of their z-scores; 1 by chance alone
    freedom: float  # periods less what was estimated from them
    seasonal: bool
    expected: float  # losses expected in one of them, on average
    drawn: float = 1.0  # by which the usual rate is drawn towards that of other groups; 1 when it is all its own
    own: float = 1.0  # share of it that is the group's own: the rest is known from the others

    @property
    def sigma(self) -> float:
        """How many times as much as by chance they vary, at least 1 (Laney's sigma z)."""
        return float(np.sqrt(max(self.variance, 1.0)))


def laney_limits(expected, n, sigma, factor=3.0) -> tuple[np.ndarray, np.ndarray]:
    """Give the limits of Laney's p' chart, in [0, 1].

    Parameters
    ----------
    expected, n : array-like
        Usual rate of each period, and customers at its start.
    sigma, factor : float or array-like
        Overdispersion (the standard deviation of the baseline's z-scores), and standard deviations from the centre.

    References
    ----------
    Laney, D. B. (2002). Improved control charts for attributes. Quality Engineering 14, 531-537.
    """
    p, n = np.asarray(expected, float), np.asarray(n, float)
    half = np.asarray(factor) * np.asarray(sigma) * np.sqrt(p * (1 - p) / n)
    return np.clip(p - half, 0, 1), np.clip(p + half, 0, 1)


def control_limits(series: pd.DataFrame, inside: np.ndarray, time_unit: str = "day", known: Usual | None = None):
    """Hold every period of a level against what its baseline says is usual.

    The centre follows the length of the periods and, from three years of baseline on, the season with the Spring
    Festival. The spread is the baseline's own standard deviation, not its moving range, which sees too little of it
    when neighbouring months are alike. Limits are prediction limits: 0.27 % of further periods lie beyond them also
    when the baseline is short, and they come down to Laney's three sigma as it grows. What months vary by beyond chance
    does not shrink when the base of customers grows.

    Parameters
    ----------
    series : pandas.DataFrame
        One row per complete period in order, with `period`, `n_opening` (over 0), `n_churned_opening`.
    inside : numpy.ndarray of bool
        The periods of the baseline.
    time_unit : {"day", "month"}
    known : Usual, optional
        Variance and freedom to be taken instead of the baseline's own, and what is drawn of the rate.

    Returns
    -------
    table : pandas.DataFrame
        The same rows with `churn_rate`, `expected`, `lower`, `upper` (rates), `spread` (of a further period, in units
        of chance), `deviation` (from the expected, in standard deviations of a further period), `p_value` (two-sided),
        `beyond` (-1, 0 or 1) and `in_baseline`; missing without a baseline.
    usual : Usual or None
    """
    n, lost = (series[c].to_numpy(float) for c in ("n_opening", "n_churned_opening"))
    rate, beyond, usual = lost / n, np.zeros(len(n), int), None
    expected = deviation = spread = lower = upper = found = np.full(len(n), np.nan)
    if inside.sum() >= SHORTEST:
        expected, deviation, spread, usual = _deviations(series, inside, time_unit, known)
        lower, upper = laney_limits(expected, n, spread, t.ppf(1 - FALSE_ALARM / 2, usual.freedom))
        found = 2 * t.sf(np.abs(deviation), usual.freedom)
        beyond = np.where(inside, 0, (rate > upper).astype(int) - (rate < lower).astype(int))
    columns = {"churn_rate": rate, "in_baseline": inside, "spread": spread, "expected": expected, "lower": lower}
    columns |= {"upper": upper, "deviation": deviation, "p_value": found, "beyond": beyond}
    return pd.DataFrame(dict(series) | columns), usual


def _deviations(series: pd.DataFrame, inside: np.ndarray, time_unit: str, known: Usual | None = None):
    """Expected rates, deviations in standard deviations of a further period, and their spread in units of chance."""
    lost, n = (series[c].to_numpy(float) for c in ("n_churned_opening", "n_opening"))
    days, season, year = _calendar(tuple(series["period"]), time_unit)
    seasonal = inside.sum() >= YEARS * year
    design = season if seasonal else season[:, :1]
    drawn, own = (known.drawn, known.own) if known else (1.0, 1.0)
    expected = np.clip(_expected(lost, n * days, design, inside) * days * drawn, 1e-9, 1 - 1e-9)
    chance = np.sqrt(expected * (1 - expected) / n)
    z = (lost / n - expected) / chance
    freedom = int(inside.sum()) - design.shape[1]
    variance = float(((z[inside] - z[inside].mean()) ** 2).sum() / freedom)
    usual = Usual(inside, variance, freedom, bool(seasonal), float((n * expected)[inside].mean()))
    usual = usual if known is None else replace(usual, variance=known.variance, freedom=known.freedom)
    # beyond chance, the variance of the rate stays what it is when the base grows: in units of chance it grows with n
    at_size = np.sqrt(1 + (usual.sigma**2 - 1) * n / n[inside].mean())
    spread = at_size * np.sqrt(1 + own * _leverage(design * np.sqrt(n * expected)[:, None], inside))
    return expected, z / spread, spread, usual


def _expected(lost: np.ndarray, exposed: np.ndarray, design: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Usual rates by a Poisson regression on the baseline; without a season that is its pooled rate."""
    # nobody lost so far is no proof that nobody ever will be: half a customer at least
    pooled = max(lost[inside].sum(), 0.5) / exposed[inside].sum()
    if design.shape[1] == 1 or not lost[inside].any():
        return np.full(len(lost), pooled)
    x, effect = design[inside], np.zeros(design.shape[1])
    effect[0] = np.log(pooled)
    for _ in range(25):  # Newton's steps: a dozen lines where a model object a group and month would take seconds
        mean = exposed[inside] * np.exp(x @ effect)
        step = np.linalg.lstsq(x.T @ (x * mean[:, None]), x.T @ (lost[inside] - mean), rcond=None)[0]
        effect = effect + step
        if np.abs(step).max() < 1e-10:
            break
    return np.exp(design @ effect)


@lru_cache(maxsize=64)
def _calendar(names: tuple[str, ...], time_unit: str) -> tuple[np.ndarray, np.ndarray, int]:
    """The periods' lengths, their season beside a column of ones, and how many make a year."""
    periods = period_values(names)
    return (
        lengths(periods, time_unit),
        np.column_stack([np.ones(len(names)), season_terms(periods)]),
        YEAR[periods[0].unit],
    )


def _leverage(weighted: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """What the uncertainty of the centre adds to a further period's variance, as a multiple of its own."""
    inverse = np.linalg.pinv(weighted[inside].T @ weighted[inside])
    return np.einsum("ij,jk,ik->i", weighted, inverse, weighted)


def screened(
    series: pd.DataFrame, inside: np.ndarray, time_unit: str, doubted: np.ndarray | bool = False
) -> np.ndarray:
    """Set periods of a baseline aside that stand out from all others of it: what happened in them is not usual.

    The generalised extreme Studentised deviate test looks for several at once, so that two months of a crisis do not
    hide each other. Their neighbours, and periods after an event, are then held against the others one by one.

    Parameters
    ----------
    series, inside, time_unit
        As of `control_limits`.
    doubted : numpy.ndarray of bool, optional
        Periods after an event.

    Returns
    -------
    numpy.ndarray of bool
        What is left of the baseline.

    References
    ----------
    Rosner, B. (1983). Percentage points for a generalized ESD many-outlier procedure. Technometrics 25, 165-172.
    """
    kept, aside, found, m = inside.copy(), [], 0, int(inside.sum())
    for _ in range(min(max(3, m // MOST_ASIDE), m - max(SHORTEST, 2 * m // 3))):
        _, deviation, spread, usual = _deviations(series, kept, time_unit)
        residual = np.abs(deviation) * spread / usual.sigma  # in the baseline's own standard deviations
        worst, freedom = int(np.where(kept, residual, 0.0).argmax()), usual.freedom
        share = min(residual[worst] ** 2 / freedom, 1 - 1e-9)  # of the residual sum of squares
        deleted = np.sqrt((freedom - 1) * share / (1 - share))
        aside.append(worst)
        if usual.sigma > 1.0 and t.sf(deleted, freedom - 1) * 2 * kept.sum() <= OUTLIER:
            found = len(aside)
        kept[worst] = False
    kept = inside.copy()
    kept[aside[:found]] = False
    gone = np.pad(inside & ~kept, 1)
    beside = gone[:-2] | gone[2:]
    suspected = kept & (doubted | beside)
    others = kept & ~suspected
    if not suspected.any() or others.sum() < 2 * SHORTEST:
        return kept
    _, deviation, _, usual = _deviations(series, others, time_unit)
    found = 2 * t.sf(np.abs(deviation), usual.freedom) < np.where(beside, OUTLIER, FALSE_ALARM)
    return kept & ~(suspected & found)
