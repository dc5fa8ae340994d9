"""Two models of how long customers stay, fitted to counts by age: shifted-beta-geometric and discrete Weibull.

Both see only customers at risk and lost at each age, so that a million customers are fitted in milliseconds. In the
first, each customer leaves with an own constant probability a step, beta distributed over customers: the risk of a
cohort falls because the frail leave first. In the second the risk of everybody rises or falls as a power of the age.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit, ndtri

STEP = 1e-6  # of numerical derivatives
TINY = 1e-12  # hazards stay inside (0, 1)


def _sbg(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Hazard alpha / (alpha + beta + t - 1), by its mean alpha / (alpha + beta) and 1 / (alpha + beta).

    The second is 0 when all customers are alike: the constant hazard is a regular point and not infinitely far away.
    """
    return expit(p[0]) / (1 + p[1] * (t - 1))


def _weibull(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Hazard of S(t) = exp(-scale t^shape) in step t, by the logarithms of scale and shape."""
    shape = np.exp(p[1])
    return -np.expm1(-np.exp(p[0]) * (t**shape - (t - 1) ** shape))


_HAZARDS = {"sbg": _sbg, "weibull": _weibull}
_BOUNDS = {"sbg": [(-14, 14), (0, 1e3)], "weibull": [(-14, 5), (-4, 3)]}
MODELS = tuple(_HAZARDS)


@dataclass(frozen=True)
class LifeModel:
    """A fitted model; ages in steps (months) completed since the start.

    Attributes
    ----------
    kind : {"sbg", "weibull"}
    estimates : numpy.ndarray, shape (2,)
        On the scale of the fit; see `alpha`, `beta` for the first model's own.
    covariance : numpy.ndarray, shape (2, 2)
        Widened by the overdispersion of the counts.
    loglik : float
    """

    kind: str
    estimates: np.ndarray
    covariance: np.ndarray
    loglik: float

    @property
    def alpha(self) -> float:
        """Of the beta distribution (shifted-beta-geometric only); infinite when all customers are alike."""
        return float(expit(self.estimates[0]) / self.estimates[1]) if self.estimates[1] else np.inf

    @property
    def beta(self) -> float:
        """Of the beta distribution (shifted-beta-geometric only)."""
        return float(expit(-self.estimates[0]) / self.estimates[1]) if self.estimates[1] else np.inf

    def survival(self, ages: int, estimates: np.ndarray | None = None) -> np.ndarray:
        """Give the survival at ages 0, 1 ... `ages`, in [0, 1]."""
        p = self.estimates if estimates is None else estimates
        hazard = _HAZARDS[self.kind](p, np.arange(1.0, ages + 1))
        return np.append(1.0, np.cumprod(1 - np.clip(hazard, TINY, 1 - TINY)))

    def std_error(self, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Give the standard error of anything worked out from the estimates (delta method).

        Parameters
        ----------
        of : callable
            Estimates, shape (2,), to values, shape (n,).
        """
        slopes = _slopes(of, self.estimates)
        return np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", slopes, self.covariance, slopes), 0.0))

    def survival_interval(self, ages: int, conf_level: float, extra=0.0) -> tuple[np.ndarray, np.ndarray]:
        """Give the interval of the survival at ages 0 ... `ages`, symmetric in log(-log S) so that it stays in [0, 1].

        Parameters
        ----------
        extra : float or numpy.ndarray, shape (ages + 1,)
            Further variance of log S: of an observed share that is to lie in the interval.
        """
        log_s = np.log(self.survival(ages)[1:])
        error = self.std_error(lambda p: np.log(-np.log(self.survival(ages, p)[1:])))
        extra = np.broadcast_to(extra, ages + 1)[1:]
        half = ndtri((1 + conf_level) / 2) * np.sqrt(error**2 + extra / log_s**2)
        return tuple(np.append(1.0, np.exp(log_s * np.exp(side * half))) for side in (1, -1))


def fit_life(kind: str, n_at_risk, n_lost, dispersion: float = 1.0) -> LifeModel:
    """Fit one model by maximum likelihood.

    Parameters
    ----------
    kind : {"sbg", "weibull"}
    n_at_risk, n_lost : array-like, shape (n_ages,)
        Customers who completed age t - 1 and were observed at age t, and those of them lost by then, for t = 1, 2 ...
    dispersion : float
        Variance of the counts as a multiple of the binomial one (see `churnlib.statistics.backtest.overdispersion`).

    Returns
    -------
    LifeModel

    References
    ----------
    Fader, P. S. and Hardie, B. G. S. (2007). How to project customer retention. Journal of Interactive Marketing 21,
    76-90. Nakagawa, T. and Osaki, S. (1975). The discrete Weibull distribution. IEEE Trans. Reliability 24, 300-301.
    """
    n, d = np.asarray(n_at_risk, float), np.asarray(n_lost, float)
    t, hazard = np.arange(1.0, len(n) + 1), _HAZARDS[kind]

    def minus_loglik(p: np.ndarray) -> tuple[float, np.ndarray]:
        h = np.clip(hazard(p, t), TINY, 1 - TINY)
        slope = _slopes(lambda q: hazard(q, t), p).T @ (d / h - (n - d) / (1 - h))
        return -float(d @ np.log(h) + (n - d) @ np.log1p(-h)) / n.sum(), -slope / n.sum()

    rate = np.clip(d.sum() / n.sum(), 1e-5, 1 - 1e-5)
    start = np.array([logit(rate), 0.1]) if kind == "sbg" else np.array([np.log(rate), 0.0])
    how = {"ftol": 1e-15, "gtol": 1e-9, "maxiter": 500}
    best = minimize(minus_loglik, start, jac=True, method="L-BFGS-B", bounds=_BOUNDS[kind], options=how)
    h = np.clip(hazard(best.x, t), TINY, 1 - TINY)
    slopes = _slopes(lambda q: hazard(q, t), best.x)
    information = slopes.T @ (slopes * (n / (h * (1 - h)))[:, None])
    return LifeModel(kind, best.x, dispersion * np.linalg.pinv(information), -best.fun * n.sum())


def _slopes(of: Callable[[np.ndarray], np.ndarray], p: np.ndarray) -> np.ndarray:
    """Derivatives by central differences, shape (n, 2)."""
    return np.column_stack([(of(p + e) - of(p - e)) / (2 * STEP) for e in STEP * np.eye(len(p))])


def residual_months(survival: np.ndarray, age: int, steps: int, discount: float = 0.0) -> float:
    """Give the expected further steps of a customer who has completed an age: the discounted residual lifetime (DERL).

    Parameters
    ----------
    survival : numpy.ndarray
        At ages 0 to at least age + steps.
    steps : int
        How far ahead is looked.
    discount : float
        Per step; the next step is not discounted, as its renewal is due now.

    References
    ----------
    Fader, P. S. and Hardie, B. G. S. (2010). Customer-base valuation in a contractual setting: the perils of ignoring
    heterogeneity. Marketing Science 29, 85-93, equation 5.
    """
    ahead = survival[age + 1 : age + steps + 1] / survival[age]
    return float(ahead @ (1 + discount) ** -np.arange(len(ahead)))
