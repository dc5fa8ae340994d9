"""Estimators on risk sets: plain functions of the numbers who left (d) and could have left (n) at each tenure.

Arrays have the shape (..., T): one row a level, tenures ascending along the last axis. All are equal to R's survival
package (tests/oracles).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

TOLERANCE = np.sqrt(np.finfo(float).eps)  # R's: how close a survival must be to 0.5 to be 0.5


class StepCurve(NamedTuple):
    """A survival curve just after each tenure.

    Attributes
    ----------
    survival : numpy.ndarray, shape (..., T)
        In [0, 1].
    log_variance : numpy.ndarray, shape (..., T)
        Greenwood's variance of log survival; infinite once survival is 0.
    """

    survival: np.ndarray
    log_variance: np.ndarray

    @property
    def std_error(self) -> np.ndarray:
        """Standard error of the survival."""
        with np.errstate(invalid="ignore"):
            return self.survival * np.sqrt(self.log_variance)


def product_limit(d: np.ndarray, n: np.ndarray) -> StepCurve:
    """Kaplan-Meier: the product of (1 - d / n), with Greenwood's variance, the sum of d / (n (n - d)).

    Parameters
    ----------
    d, n : numpy.ndarray, shape (..., T)
        Customers who churned at each tenure and who were at risk at it.

    Returns
    -------
    StepCurve

    References
    ----------
    Kaplan, E. L. and Meier, P. (1958). Nonparametric estimation from incomplete observations. JASA 53, 457-481.
    Klein, J. P. and Moeschberger, M. L. (2003). Survival Analysis, 2nd ed., sections 4.2 and 4.6 (late entry).
    """
    d, n = np.asarray(d, float), np.asarray(n, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        survival = np.where(d > 0, 1 - d / n, 1.0).cumprod(axis=-1)
        log_variance = np.where(d > 0, d / (n * (n - d)), 0.0).cumsum(axis=-1)
    return StepCurve(survival, log_variance)


def nelson_aalen(d: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the cumulative hazard, the sum of d / n, and its variance, the sum of d / n^2.

    Parameters
    ----------
    d, n : numpy.ndarray, shape (..., T)
        As in `product_limit`.

    Returns
    -------
    cumulative, variance : numpy.ndarray, shape (..., T)

    References
    ----------
    Aalen, O. O. (1978). Nonparametric inference for a family of counting processes. Annals of Statistics 6, 701-726.
    """
    d, n = np.asarray(d, float), np.asarray(n, float)
    safe = np.where(n > 0, n, 1.0)
    return (d / safe).cumsum(axis=-1), (d / safe**2).cumsum(axis=-1)


def survival_interval(survival, log_variance, conf_level: float = 0.95, kind: str = "log-log"):
    """Give the interval of a survival, tenure by tenure or for the whole curve at once.

    Parameters
    ----------
    survival, log_variance : array-like
        As in `StepCurve`; for a simultaneous band one curve, shape (T,).
    conf_level : float
    kind : {"log-log", "plain", "simultaneous"}
        log-log stays in [0, 1] and holds its coverage with few events; plain is symmetric; simultaneous is a log-log
        band that holds the whole curve with this confidence.

    Returns
    -------
    lower, upper : numpy.ndarray
        The shape of the input; NaN where the transformation has no value (log-log at survival 0 or 1; both at 0).
    """
    s = np.asarray(survival, float)
    z = simultaneous_factor(log_variance, conf_level) if kind == "simultaneous" else ndtri((1 + conf_level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(log_variance)
        if kind == "plain":
            return np.maximum(s - z * se * s, 0.0), np.minimum(s + z * se * s, 1.0)
        s = np.where((s > 0) & (s < 1), s, np.nan)
        spread = np.exp(z * se / np.abs(np.log(s)))
        return s**spread, s ** (1 / spread)


def simultaneous_factor(log_variance: np.ndarray, conf_level: float = 0.95) -> float:
    """Give what takes the place of the normal quantile in an equal-precision band from the first to the last event.

    The curve less its truth, over its standard error, is a standardised Brownian bridge in u = n v / (1 + n v); the
    chance that it leaves (-c, c) is 4 f(c) / c + f(c) (c - 1 / c) log(v_last / v_first), f the normal density: n
    cancels, so that the band holds with late entry too.

    References
    ----------
    Nair, V. N. (1984). Confidence bands for survival functions with censored data. Technometrics 26, 265-275.
    Miller, R. and Siegmund, D. (1982). Maximally selected chi square statistics. Biometrics 38, 1011-1016.
    """
    v = np.asarray(log_variance, float)
    v = v[np.isfinite(v) & (v > 0)]
    plain = ndtri((1 + conf_level) / 2)
    if not len(v) or v.max() == v.min():
        return plain
    stretch = np.log(v.max() / v.min())

    def excess(c: float) -> float:
        density = np.exp(-(c**2) / 2) / np.sqrt(2 * np.pi)
        return 4 * density / c + density * (c - 1 / c) * stretch - (1 - conf_level)

    return float(brentq(excess, plain, 10.0)) if excess(plain) > 0 else plain


def quantile_tenure(tenure: np.ndarray, lost: np.ndarray, p: float, start: float = 0.0) -> float:
    """Give the tenure by which a share `p` has left, by R's rule.

    The first tenure at which the share lost reaches p; when the curve runs exactly along p for a while, the middle of
    that stretch. For the interval's ends give 1 - the ends of the survival's interval.

    Parameters
    ----------
    tenure : numpy.ndarray, shape (T,)
    lost : numpy.ndarray, shape (T,)
        1 - survival (or 1 - a bound of it), NaN where not known.
    p : float
        In (0, 1).
    start : float
        Tenure at which the curve begins.

    Returns
    -------
    float
        NaN when the share is not reached.

    References
    ----------
    Brookmeyer, R. and Crowley, J. (1982). A confidence interval for the median survival time. Biometrics 38, 29-41.
    """
    x, y = np.r_[start, tenure], np.r_[0.0, lost]
    known = ~np.isnan(y)
    if not known.any() or y[known].max() < p:
        return np.nan
    levels, first = np.unique(y[known], return_index=True)  # sorted, each with its first tenure
    begins = x[known][first]
    reached, passed = np.searchsorted(levels, p - TOLERANCE), np.searchsorted(levels, p + TOLERANCE)
    if known[-1] and abs(p - y[-1]) < TOLERANCE:
        return float(begins[reached] + x[-1]) / 2
    return float(begins[reached] + begins[passed]) / 2 if passed < len(levels) else np.nan


def restricted_mean(tenure: np.ndarray, d: np.ndarray, n: np.ndarray, horizon: float, start: float = 0.0):
    """Give the mean time as a customer up to a horizon: the area under the survival curve.

    Parameters
    ----------
    tenure, d, n : numpy.ndarray, shape (T,)
        Tenures, customers who left at them and at risk.
    horizon : float
        In the unit of `tenure`; not beyond the last tenure observed.
    start : float
        Tenure from which the time is counted.

    Returns
    -------
    mean, variance : float

    References
    ----------
    Klein, J. P. and Moeschberger, M. L. (2003). Survival Analysis, 2nd ed., section 4.5.
    """
    used = tenure <= horizon
    t, d, n = tenure[used], np.asarray(d, float)[used], np.asarray(n, float)[used]
    survival = product_limit(d, n).survival
    steps = np.r_[1.0, survival] * np.diff(np.r_[start, t, horizon])
    left_over = steps[::-1].cumsum()[::-1][1:]  # the area from each tenure to the horizon
    with np.errstate(divide="ignore", invalid="ignore"):
        # who are all gone leave no area and no uncertainty behind
        greenwood = np.where((d > 0) & (n > d), d / (n * (n - d)), 0.0)
    return float(steps.sum()), float((left_over**2 * greenwood).sum())
