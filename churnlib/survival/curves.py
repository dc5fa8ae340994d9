"""One level's survival curve: where it can be trusted, what it reads, when a share has left, how much may be shown."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from churnlib.survival.estimators import StepCurve, product_limit, quantile_tenure, survival_interval
from churnlib.survival.lifetable import LifeTable, reliable_run


class LevelCurve(NamedTuple):
    """One level's curve, where enough customers are at risk.

    Attributes
    ----------
    level : str
    start : float
        Tenure that everybody on the curve has reached: 0, or later when the early risk sets are too small.
    tenure : numpy.ndarray, shape (T,)
        In the data's unit.
    n_at_risk, n_events, n_censored : numpy.ndarray, shape (T,)
    steps : StepCurve
    lower, upper : numpy.ndarray, shape (T,)
        Interval of the survival.
    """

    level: str
    start: float
    tenure: np.ndarray
    n_at_risk: np.ndarray
    n_events: np.ndarray
    n_censored: np.ndarray
    steps: StepCurve
    lower: np.ndarray
    upper: np.ndarray

    def read(self, tenure) -> dict[str, np.ndarray]:
        """Read survival, log variance and interval just after given tenures; NaN beyond the curve's ends."""
        tenure = np.asarray(tenure, float)
        at = np.searchsorted(self.tenure, tenure, side="right") - 1
        known = (tenure >= self.start) & (tenure <= (self.tenure[-1] if len(self.tenure) else -1.0))
        values = {
            "survival": (self.steps.survival, 1.0),
            "log_variance": (self.steps.log_variance, 0.0),
            "ci_lower": (self.lower, np.nan),
            "ci_upper": (self.upper, np.nan),
        }
        return {name: np.where(known, np.r_[v, before][at], np.nan) for name, (v, before) in values.items()}


def level_curves(
    life: LifeTable, minimum: int = 0, conf_level: float = 0.95, kind: str = "log-log", log_variance=None
) -> list[LevelCurve]:
    """Estimate one curve a level, each on its reliable run of tenures (see `lifetable.reliable_run`).

    Parameters
    ----------
    life : LifeTable
    minimum : int
        Customers that have to be at risk; 0 for every tenure at which anybody is.
    conf_level : float
    kind : {"log-log", "plain", "simultaneous"}
    log_variance : numpy.ndarray, shape (G, T), optional
        Variance of log survival from `jackknife.log_survival_variance`, in place of Greenwood's.

    Returns
    -------
    list of LevelCurve
        In the order of the levels; an empty curve where a level is too small throughout.
    """
    given = log_variance if log_variance is not None else [None] * len(life.levels)
    return [_level_curve(life, g, minimum, conf_level, kind, given[g]) for g in range(len(life.levels))]


def _level_curve(life: LifeTable, g: int, minimum: int, conf_level: float, kind: str, log_variance) -> LevelCurve:
    first, stop = reliable_run(life.n_at_risk[g], life.n_events[g], minimum) if minimum else (0, len(life.tenure))
    run = slice(first, stop)
    d, n = life.n_events[g, run], life.n_at_risk[g, run]
    steps = product_limit(d, n)
    # blocks cannot tell what a curve that begins later would do: it keeps Greenwood's variance
    if log_variance is not None and first == 0:
        steps = steps._replace(log_variance=log_variance[run])
    lower, upper = survival_interval(*steps, conf_level, kind)
    start = life.tenure[first - 1] if first else 0.0
    return LevelCurve(life.levels[g], start, life.tenure[run], n, d, life.n_censored[g, run], steps, lower, upper)


def quantile_with_interval(curve: LevelCurve, p: float = 0.5) -> tuple[float, float, float]:
    """Give the tenure by which a share p has left, and its interval, by R's rules (NaN: not reached).

    The interval holds the tenures at which the survival's own interval covers 1 - p.
    """
    lost = (1 - curve.steps.survival, 1 - curve.lower, 1 - curve.upper)
    middle, lower, upper = (quantile_tenure(curve.tenure, y, p, curve.start) for y in lost)
    return middle, lower, upper


def close_interval(read: dict, n_at_risk, conf_level: float = 0.95) -> dict:
    """Give readings at which nobody has left yet an interval: the exact binomial one of those still at risk.

    There the log-log interval has no value (R leaves it missing), but a survival of 1 among 40 is not certain.
    """
    n = np.asarray(n_at_risk, float)
    full = (read["survival"] == 1) & (n > 0)
    lowest = ((1 - conf_level) / 2) ** (1 / np.where(full, n, 1.0))
    lower = np.where(full, lowest, read["ci_lower"])
    return read | {"ci_lower": lower, "ci_upper": np.where(full, 1.0, read["ci_upper"])}


def gap_interval(low: dict, high: dict, n_compared: int, conf_level: float = 0.95) -> tuple[float, float]:
    """Give the interval of high less low survival (readings of two levels), widened for picking them out of several.

    Bonferroni over the pairs of `n_compared` levels, so that levels that are alike name nobody.
    """
    pairs = max(n_compared * (n_compared - 1) / 2, 1)
    z = ndtri(1 - (1 - conf_level) / 2 / pairs)
    variance = sum(float(r["survival"]) ** 2 * float(r["log_variance"]) for r in (low, high))
    gap = float(high["survival"] - low["survival"])
    return gap - z * variance**0.5, gap + z * variance**0.5


def merge_small_steps(lost: np.ndarray, k: int, together: bool = False, anchors=None) -> np.ndarray:
    """Choose the readings that may be shown: none may tell of 1 to k - 1 churned customers since the one before.

    Where just one level would be withheld at a reading, the next smallest is withheld with it: all customers together
    are shown too, and the one would follow by subtraction. Readings that are also shown by themselves (the anchors) are
    chosen first and among themselves; the others have to fit between them.

    Parameters
    ----------
    lost : numpy.ndarray, shape (G, M)
        Churned up to each reading; NaN where a level's curve is not shown at all.
    k : int
    together : bool
        Whether a reading is shown for all or for none: the outcomes of one curve, which add up to it.
    anchors : numpy.ndarray of bool, shape (M,), optional

    Returns
    -------
    numpy.ndarray of bool, shape (G, M)
    """
    chosen, ahead = np.zeros(lost.shape[1], bool), np.full(lost.shape, np.nan)
    keep = np.zeros(lost.shape, bool)
    if anchors is not None and anchors.any():
        chosen = anchors
        keep[:, chosen] = merge_small_steps(lost[:, chosen], k, together)
        ahead = _next_shown(np.where(keep, lost, np.nan))
    last = np.zeros(len(lost))
    for m in range(lost.shape[1]):
        known, since, left = ~np.isnan(lost[:, m]), lost[:, m] - last, ahead[:, m] - lost[:, m]
        if not chosen[m]:
            risky = known & (((since > 0) & (since < k)) | ((left > 0) & (left < k)))
            others = np.flatnonzero(known & ~risky & (since > 0))
            if together and risky.any():
                risky[:] = True
            elif risky.sum() == 1 and len(others):
                risky[others[np.argmin(since[others])]] = True
            keep[:, m] = known & ~risky
        last = np.where(keep[:, m], lost[:, m], last)
    return keep


def hide_partners(lost: np.ndarray, hidden: np.ndarray, read: np.ndarray) -> np.ndarray:
    """Hide a second number wherever just one is hidden between two readings of the running total: the next smallest.

    Parameters
    ----------
    lost : numpy.ndarray, shape (G, M)
        What was lost in each step; NaN where nothing is shown.
    hidden : numpy.ndarray of bool, shape (G, M)
        Steps that may not be shown.
    read : numpy.ndarray of bool, shape (G, M)
        Whether the total is shown after the step (see `merge_small_steps`).

    Returns
    -------
    numpy.ndarray of bool, shape (G, M)
    """
    out = hidden.copy()
    for g, row in enumerate(lost):
        span = np.r_[0, read[g].cumsum()[:-1]]  # a reading ends its span
        for each in np.unique(span[hidden[g]]):
            others = np.flatnonzero((span == each) & ~hidden[g] & (row > 0))
            if hidden[g][span == each].sum() == 1 and len(others):
                out[g, others[np.argmin(row[others])]] = True
    return out


def _next_shown(shown: np.ndarray) -> np.ndarray:
    """Give for every position the next value along the last axis that is not NaN."""
    at = np.where(np.isnan(shown), shown.shape[1], np.arange(shown.shape[1]))
    following = np.minimum.accumulate(at[:, ::-1], axis=1)[:, ::-1]
    return np.take_along_axis(np.c_[shown, np.full(len(shown), np.nan)], following, axis=1)
