"""Curves with a formula, fitted to grouped counts with late entry: only these can be carried on beyond the data.

Time is in months. Somebody who left at a tenure left at some time up to it and after the one before it, so that the
likelihood is that of intervals; it needs only who entered, left and was last seen at each tenure:
sum of events log(S(t-) - S(t)) + censored log S(t) - entered log S(t).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import approx_fprime, minimize
from scipy.special import log_expit, log_ndtr, logit

from churnlib.about import About
from churnlib.survival.lifetable import anniversary, per_month, risk_set

STEP = 1e-4  # of the numerical second derivatives
TINY = 1e-300


def _exponential(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    """S = exp(-rate t): the risk is the same at every tenure."""
    return -np.exp(p[0]) * t


def _weibull(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    """S = exp(-(rate t)^shape): the risk falls, or rises, as a power of tenure."""
    return -((np.exp(p[0]) * t) ** np.exp(p[1]))


def _lognormal(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    """S = Phi(-(log t + log rate) / sigma): the risk rises to a peak and falls for good."""
    return log_ndtr(-(np.log(np.maximum(t, TINY)) + p[0]) / np.exp(p[1]))


def _cure(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    """S = cured + (1 - cured) Weibull: a share of the customers never leaves."""
    return np.logaddexp(log_expit(p[2]), log_expit(-p[2]) + _weibull(p, t))


LOG_SURVIVAL = {"exponential": _exponential, "weibull": _weibull, "lognormal": _lognormal, "cure": _cure}
SIMPLE = "exponential"  # what the others have to do better than
MODELS = tuple(name for name in LOG_SURVIVAL if name != SIMPLE)
_REST = {"exponential": [], "weibull": [0.0], "lognormal": [0.0], "cure": [0.0, logit(0.1)]}


class Clock(NamedTuple):
    """From tenures in the data's unit to the models' time in months.

    Attributes
    ----------
    unit : {"day", "month"}
        Who left in calendar month m of tenure, 0 the first, left in the (m + 1)th.
    begins : float
        Tenure at which the clock starts: under a rule by which nobody can be lost before it.
    """

    unit: str
    begins: float

    @classmethod
    def of(cls, about: About) -> Clock:
        """Give the clock of some counts."""
        return cls(about.time_unit, float(anniversary(about.earliest_churn, about.time_unit)))

    def time(self, tenure, back: float = 0.0) -> np.ndarray:
        """Give the time just after tenures, or `back` units before."""
        shift = 1.0 if self.unit == "month" else 0.0
        passed = np.maximum(np.asarray(tenure, float) + shift - self.begins, 1.0 if back else 0.0) - back
        return passed / per_month(self.unit)


class Grouped(NamedTuple):
    """Counts by tenure with their times: `time` just after the tenure, `before` it, and `entry` of who enters at it.

    Every attribute is an array of shape (T,); `n_at_risk` as in a life table.
    """

    time: np.ndarray
    before: np.ndarray
    entry: np.ndarray
    n_entered: np.ndarray
    n_events: np.ndarray
    n_censored: np.ndarray
    n_at_risk: np.ndarray

    @classmethod
    def of(cls, frame: pd.DataFrame, clock: Clock) -> Grouped:
        """Arrange counts; rows of one tenure are added."""
        sums = frame.groupby("tenure")[["n_entered", "n_events", "n_censored"]].sum()
        tenure, n = sums.index.to_numpy(float), [sums[c].to_numpy(float) for c in sums]
        entry = np.where(tenure > 0, clock.time(tenure), 0.0)
        at_risk = risk_set(tenure, n[0], n[1] + n[2])
        return cls(clock.time(tenure), clock.time(tenure, back=1.0), entry, *n, at_risk)


@dataclass(frozen=True)
class LifeFit:
    """A fitted curve.

    Attributes
    ----------
    kind : {"exponential", "weibull", "lognormal", "cure"}
    estimates : numpy.ndarray, shape (K,)
        Log rate, then log shape (or log sigma), then the logit of the share that never leaves.
    covariance : numpy.ndarray, shape (K, K)
    loglik : float
    """

    kind: str
    estimates: np.ndarray
    covariance: np.ndarray
    loglik: float

    def log_survival(self, time, estimates: np.ndarray | None = None) -> np.ndarray:
        """Give log S at times in months."""
        return LOG_SURVIVAL[self.kind](self.estimates if estimates is None else estimates, np.asarray(time, float))

    def variance(self, of) -> float:
        """Give the variance of a number that depends on the estimates (delta method)."""
        slope = approx_fprime(self.estimates, lambda p: np.atleast_1d(of(p)), 1e-6)
        return max(float((slope @ self.covariance @ slope.T).squeeze()), 0.0)

    def expected(self, data: Grouped) -> np.ndarray:
        """Give the events to be expected among those at risk, tenure by tenure."""
        # nobody comes or goes between two tenures of the counts: those at risk at one were so since the one before
        since = np.r_[0.0, data.time[:-1]]
        return data.n_at_risk * (self.log_survival(since) - self.log_survival(data.time))


def log_likelihood(kind: str, estimates: np.ndarray, data: Grouped) -> float:
    """Give the log likelihood of grouped counts with late entry."""
    of = LOG_SURVIVAL[kind]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        after, before, entry = (of(estimates, t) for t in (data.time, data.before, data.entry))
        left = before + np.log(np.maximum(-np.expm1(after - before), TINY))
        terms = (data.n_events, left), (data.n_censored, after), (-data.n_entered, entry)
        total = sum(float((n * np.where(n != 0, value, 0.0)).sum()) for n, value in terms)
    return total if np.isfinite(total) else -1e12


def fit_curve(kind: str, data: Grouped) -> LifeFit:
    """Fit one curve by maximum likelihood.

    Parameters
    ----------
    kind : {"exponential", "weibull", "lognormal", "cure"}
    data : Grouped

    Returns
    -------
    LifeFit

    References
    ----------
    Klein, J. P. and Moeschberger, M. L. (2003). Survival Analysis, 2nd ed., sections 3.5 and 12.1-12.3. Boag, J. W.
    (1949). Maximum likelihood estimates of the proportion of patients cured by cancer therapy. JRSS B 11, 15-53.
    """
    steps = np.diff(data.time, prepend=0.0)
    rate = data.n_events.sum() / max(float((data.n_at_risk * steps).sum()), TINY)
    scale = max(data.n_events.sum(), 1.0)

    def minus(p: np.ndarray) -> float:
        return -log_likelihood(kind, p, data) / scale

    best = minimize(minus, np.array([np.log(max(rate, 1e-9)), *_REST[kind]]), method="BFGS", options={"gtol": 1e-7})
    information = scale * _second_derivatives(minus, best.x)
    return LifeFit(kind, best.x, np.linalg.pinv(information, hermitian=True), -best.fun * scale)


def _second_derivatives(of, p: np.ndarray) -> np.ndarray:
    """Give the Hessian by central differences."""
    e = STEP * np.eye(len(p))
    cross = [[of(p + a + b) - of(p + a - b) - of(p - a + b) + of(p - a - b) for b in e] for a in e]
    return np.array(cross) / (4 * STEP**2)
