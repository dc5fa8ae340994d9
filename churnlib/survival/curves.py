"""One survival curve a level: where it can be trusted, what it reads, when a share has left, how far two lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from churnlib.survival.estimators import StepCurve, product_limit, quantile_tenure, survival_interval
from churnlib.survival.lifetable import LifeTable, read_curve


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
        values, before = np.stack([*self.steps, self.lower, self.upper]), [[1.0], [0.0], [np.nan], [np.nan]]
        read = read_curve(self.start, self.tenure, values, tenure, before)
        return dict(zip(("survival", "log_variance", "ci_lower", "ci_upper"), read, strict=True))


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
    curves = []
    for g, level in enumerate(life.levels):
        start, run = life.trusted(g, minimum)
        d, n = life.n_events[g, run], life.n_at_risk[g, run]
        steps = product_limit(d, n)
        # blocks cannot tell what a curve that begins later would do: it keeps Greenwood's variance
        if log_variance is not None and not run.start:
            steps = steps._replace(log_variance=log_variance[g, run])
        interval = survival_interval(*steps, conf_level, kind)
        curves.append(LevelCurve(level, start, life.tenure[run], n, d, life.n_censored[g, run], steps, *interval))
    return curves


def read_levels(curves: Sequence[LevelCurve], tenure, unconditional: bool = False) -> dict[str, np.ndarray]:
    """Read every level's curve, shape (G, M); unconditional: not those that begin later, which are no share of all."""
    reads = [curve.read(np.where(unconditional and curve.start > 0, np.nan, tenure)) for curve in curves]
    return {name: np.stack([read[name] for read in reads]) for name in reads[0]}


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
