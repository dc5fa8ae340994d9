"""Leaving has several outcomes that compete: estimators of how many leave by each, and of the time that each costs.

To treat the other outcomes as censoring (1 - Kaplan-Meier per outcome) would answer how many would leave if nobody
left otherwise; those shares can add to more than 1. Here the parts and the survival add to 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from churnlib.survival.estimators import product_limit, survival_interval


class Incidence(NamedTuple):
    """Cumulative incidence just after each tenure.

    Attributes
    ----------
    survival : numpy.ndarray, shape (T,)
    incidence, variance : numpy.ndarray, shape (K, T)
        Share that has left by each outcome, in [0, 1], and its variance.
    """

    survival: np.ndarray
    incidence: np.ndarray
    variance: np.ndarray


class _Pulls(NamedTuple):
    """How one customer's leaving at a tenure pulls at a later number g, which is linear in it.

    Leaving by the outcome itself moves it by (own - slope * g), by another outcome by (other - slope * g).
    """

    own: np.ndarray
    other: np.ndarray
    slope: np.ndarray


def aalen_johansen(d: np.ndarray, n: np.ndarray) -> Incidence:
    """Estimate the cumulative incidence of each outcome: the sum of S(t-) d_k(t) / n(t).

    Parameters
    ----------
    d : numpy.ndarray, shape (K, T)
        Customers who left by each outcome at each tenure.
    n : numpy.ndarray, shape (T,)
        Customers at risk.

    Returns
    -------
    Incidence
        The variance is Greenwood's: the outcomes of one tenure are multinomial, the tenures independent.

    References
    ----------
    Andersen, P. K., Borgan, O., Gill, R. D. and Keiding, N. (1993). Statistical Models Based on Counting Processes,
    section IV.4.1. Allignol, A., Schumacher, M. and Beyersmann, J. (2010). A note on variance estimation of the
    Aalen-Johansen estimator. Biometrical Journal 52, 126-137.
    """
    d, n = np.asarray(d, float), np.asarray(n, float)
    after = product_limit(d.sum(axis=0), n).survival
    before = np.r_[1.0, after[:-1]]
    incidence = np.where(d > 0, before * d / np.where(n > 0, n, 1.0), 0.0).cumsum(axis=1)
    variance = [_incidence_variance(d, n, k, before, after, incidence[k]) for k in range(len(d))]
    return Incidence(after, incidence, np.array(variance).reshape(d.shape))


def _incidence_variance(d, n, k, before, after, incidence) -> np.ndarray:
    """Sum over the tenures s <= t of the variance that what happened at s gives to F_k(t).

    One more leaving at s by outcome k adds S(s-)/n and takes the share (F_k(t) - F_k(s)) / S(s) from what follows.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(after > 0, before / after, 0.0)
    pulls = _Pulls(before + slope * incidence, slope * incidence, slope)
    constant, linear, square = _pull_moments(d, n, k, pulls)
    # rounding must not leave a negative variance where everything is known
    return np.maximum(constant.cumsum() - 2 * incidence * linear.cumsum() + incidence**2 * square.cumsum(), 0.0)


def _pull_moments(d, n, k, pulls: _Pulls) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the variance of what one tenure adds, as a quadratic in g: constant - 2 g linear + g^2 square."""
    own, rest = d[k], d.sum(axis=0) - d[k]
    cube = np.where(n > 0, n, 1.0) ** 3
    v_own, v_rest, cov = own * (n - own) / cube, rest * (n - rest) / cube, -own * rest / cube
    v_all = v_own + v_rest + 2 * cov
    constant = pulls.own**2 * v_own + pulls.other**2 * v_rest + 2 * pulls.own * pulls.other * cov
    linear = pulls.slope * (pulls.own * (v_own + cov) + pulls.other * (v_rest + cov))
    return constant, linear, pulls.slope**2 * v_all


def incidence_interval(incidence, variance, conf_level: float = 0.95):
    """Give the pointwise interval of a cumulative incidence, log-log transformed so that it stays in [0, 1].

    Returns
    -------
    lower, upper : numpy.ndarray
        NaN where nobody, or everybody, has left by the outcome.

    References
    ----------
    Marubini, E. and Valsecchi, M. G. (1995). Analysing Survival Data, section 10.2.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return survival_interval(incidence, variance / np.square(incidence), conf_level)


def time_lost(tenure: np.ndarray, d: np.ndarray, n: np.ndarray, horizon: float, start: float = 0.0):
    """Give the mean time lost to each outcome up to a horizon: the area under its cumulative incidence.

    The times lost to all outcomes and the restricted mean add to the horizon (less `start`).

    Parameters
    ----------
    tenure, n : numpy.ndarray, shape (T,)
    d : numpy.ndarray, shape (K, T)
    horizon, start : float

    Returns
    -------
    lost, variance : numpy.ndarray, shape (K,)

    References
    ----------
    Andersen, P. K. (2013). Decomposition of number of life years lost according to causes of death. Statistics in
    Medicine 32, 5278-5285.
    """
    used = tenure <= horizon
    t, d, n = tenure[used], np.asarray(d, float)[:, used], np.asarray(n, float)[used]
    after, incidence, _ = aalen_johansen(d, n)
    before = np.r_[1.0, after[:-1]]
    width = np.diff(np.r_[t, horizon])  # each incidence holds until the next tenure
    lost = (incidence * width).sum(axis=1)
    variance = []
    for k in range(len(d)):
        rest = (incidence[k] * width)[::-1].cumsum()[::-1]  # the area from each tenure on
        time = horizon - t
        with np.errstate(divide="ignore", invalid="ignore"):
            later = np.where(after > 0, before / after * (rest - incidence[k] * time), 0.0)
        pulls = _Pulls(before * time - later, -later, np.zeros_like(later))
        variance.append(_pull_moments(d, n, k, pulls)[0].sum())
    return lost, np.array(variance)
