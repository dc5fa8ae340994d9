"""Intervals for a share: of one group, between two, when months vary by more than chance; variances from blocks; which
of many findings to believe."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, stdtrit
from scipy.stats import beta, false_discovery_control


def wilson(events, n, conf_level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Give the Wilson score interval of a share.

    Parameters
    ----------
    events, n : array-like
        Customers with the event and customers in all, the same shape.
    conf_level : float

    Returns
    -------
    lower, upper : numpy.ndarray
        The shape of the input, in [0, 1]; NaN where n is 0.

    References
    ----------
    Wilson, E. B. (1927). Probable inference. JASA 22, 209-212.
    """
    d, n = np.asarray(events, float), np.asarray(n, float)
    z2 = ndtri((1 + conf_level) / 2) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        p = d / n
        centre = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = np.sqrt(z2 * p * (1 - p) / n + z2**2 / (4 * n**2)) / (1 + z2 / n)
    # rounding must not take the bound past a share of exactly 0 or 1
    lower = np.where(d == 0, 0.0, centre - half)
    upper = np.where(d == n, 1.0, centre + half)
    return np.where(n > 0, lower, np.nan), np.where(n > 0, upper, np.nan)


def jeffreys(events, n, conf_level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Give the Jeffreys interval of a share (equal-tailed, closed at 0 and at n).

    References
    ----------
    Brown, L. D., Cai, T. T. and DasGupta, A. (2001). Interval estimation for a binomial proportion. Statistical
    Science 16, 101-133, section 3.1.2.
    """
    d, n = np.asarray(events, float), np.asarray(n, float)
    tail = (1 - conf_level) / 2
    lower = np.where(d == 0, 0.0, beta.ppf(tail, d + 0.5, n - d + 0.5))
    upper = np.where(d == n, 1.0, beta.ppf(1 - tail, d + 0.5, n - d + 0.5))
    return np.where(n > 0, lower, np.nan), np.where(n > 0, upper, np.nan)


def overdispersion(events, n) -> float:
    """Measure how much more a series of shares varies than chance alone would make it vary.

    The standard deviation of the series' z-scores about its pooled share, never below 1: the sigma_z of Laney's p'
    chart, from the standard deviation instead of the moving range (which calls false alarms when neighbouring months
    are alike).

    Parameters
    ----------
    events, n : array-like, shape (n_periods,)
        A baseline of periods without a known disturbance.

    Returns
    -------
    float
        1 for pure chance; 1 too when fewer than 6 periods are there to tell.

    References
    ----------
    Laney, D. B. (2002). Improved control charts for attributes. Quality Engineering 14, 531-537.
    """
    d, n = np.asarray(events, float), np.asarray(n, float)
    used = n > 0
    if used.sum() < 6:
        return 1.0
    d, n = d[used], n[used]
    p = d.sum() / n.sum()
    if p in (0.0, 1.0):
        return 1.0
    z = (d / n - p) / np.sqrt(p * (1 - p) / n)
    return float(max(1.0, z.std(ddof=1)))


def difference(d1, n1, d0, n0, sigma: float = 1.0, conf_level: float = 0.95):
    """Give the interval of a difference of two shares, share 1 less share 0.

    Newcombe's score interval, both halves widened by the overdispersion `sigma`.

    Parameters
    ----------
    d1, n1, d0, n0 : array-like
        Events and customers of the later and of the earlier group.
    sigma : float
        See `overdispersion`; 1 for two groups of the same period.

    Returns
    -------
    lower, upper : numpy.ndarray
        In [-1, 1]; NaN where a group is empty.

    References
    ----------
    Newcombe, R. G. (1998). Interval estimation for the difference between independent proportions. Statistics in
    Medicine 17, 873-890, method 10.
    """
    d1, n1, d0, n0 = (np.asarray(x, float) for x in (d1, n1, d0, n0))
    with np.errstate(divide="ignore", invalid="ignore"):
        p1, p0 = d1 / n1, d0 / n0
    (l1, u1), (l0, u0) = wilson(d1, n1, conf_level), wilson(d0, n0, conf_level)
    gap = p1 - p0
    lower = gap - sigma * np.sqrt((p1 - l1) ** 2 + (u0 - p0) ** 2)
    upper = gap + sigma * np.sqrt((u1 - p1) ** 2 + (p0 - l0) ** 2)
    return np.maximum(lower, -1.0), np.minimum(upper, 1.0)


def block_variance(estimates: np.ndarray) -> np.ndarray:
    """Give the variance of an estimate from what it is without each block of customers (the first axis).

    References
    ----------
    Efron, B. and Stein, C. (1981). The jackknife estimate of variance. Annals of Statistics 9, 586-596.
    """
    b = max(len(estimates), 1)
    return (b - 1) / b * np.square(estimates - estimates.mean(axis=0)).sum(axis=0)


def jackknife_variance(estimates: np.ndarray, conf_level: float = 0.95) -> np.ndarray:
    """Turn the estimates without each block, along the first axis, into a variance for normal intervals.

    It is widened so that these have the coverage of the t interval that few blocks call for.
    """
    b = len(estimates)
    if b < 2:
        return np.full(estimates.shape[1:], np.nan)
    widen = stdtrit(b - 1, (1 + conf_level) / 2) / ndtri((1 + conf_level) / 2)
    return block_variance(estimates) * widen**2


def benjamini_hochberg(p_values: np.ndarray, share: float) -> np.ndarray:
    """Tell which of many findings to believe, so that at most a share of those believed is false.

    References
    ----------
    Benjamini, Y. and Hochberg, Y. (1995). Controlling the false discovery rate. JRSS B 57, 289-300.
    """
    found = np.isfinite(p_values)
    found[found] = false_discovery_control(p_values[found]) <= share
    return found
