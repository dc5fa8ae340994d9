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
RAYS = 72  # on which the edge of a region of parameters is looked for
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
        Widened by the overdispersion of the counts; it only scales the search of `region`.
    loglik : float
    n_at_risk, n_lost : numpy.ndarray, shape (n_ages - begin,)
        What it was fitted to.
    dispersion : float
    begin : int
        Steps at the start in which nobody can leave, because a rule needs so long to see it: the model's own first step
        is the next one.
    """

    kind: str
    estimates: np.ndarray
    covariance: np.ndarray
    loglik: float
    n_at_risk: np.ndarray
    n_lost: np.ndarray
    dispersion: float
    begin: int = 0

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
        hazard = _HAZARDS[self.kind](p, np.arange(1.0, max(ages - self.begin, 0) + 1))
        left = np.append(np.ones(self.begin + 1), np.cumprod(1 - np.clip(hazard, TINY, 1 - TINY)))
        return left[: ages + 1]

    def region(self, conf_level: float) -> np.ndarray:
        """Give the edge of the region of parameters that the likelihood does not refuse.

        Parameters
        ----------
        conf_level : float
            Of an interval for any one quantity (chi-squared with one degree of freedom).

        Returns
        -------
        numpy.ndarray, shape (n_points, 2)
            On rays from the estimates, where twice the fall of the log-likelihood, over the dispersion, reaches the
            limit (or where the parameters end). The least and the greatest value of a quantity on it are the ends of
            its profile-likelihood interval.
        """
        angle = np.linspace(0, 2 * np.pi, RAYS, endpoint=False)
        values, vectors = np.linalg.eigh(self.covariance)
        scale = vectors * np.sqrt(np.maximum(values, values.max() * 1e-8))
        rays = np.column_stack([np.cos(angle), np.sin(angle)]) @ scale.T
        limit = self.dispersion * ndtri((1 + conf_level) / 2) ** 2
        inside, outside = np.zeros(RAYS), np.full(RAYS, 1.0)
        for _ in range(12):  # far enough out on every ray
            outside = np.where(self._deviance(self._bounded(outside, rays)) < limit, outside * 2, outside)
        for _ in range(40):
            middle = (inside + outside) / 2
            is_in = self._deviance(self._bounded(middle, rays)) < limit
            inside, outside = np.where(is_in, middle, inside), np.where(is_in, outside, middle)
        return self._bounded(inside, rays)

    def _bounded(self, radius: np.ndarray, rays: np.ndarray) -> np.ndarray:
        low, high = np.array(_BOUNDS[self.kind], float).T
        return np.clip(self.estimates + radius[:, None] * rays, low, high)

    def _deviance(self, points: np.ndarray) -> np.ndarray:
        """Twice the fall of the log-likelihood from its maximum at each of some points."""
        t = np.arange(1.0, len(self.n_lost) + 1)
        h = np.clip(_HAZARDS[self.kind](points.T[:, :, None], t), TINY, 1 - TINY)
        return 2 * (self.loglik - (np.log(h) @ self.n_lost + np.log1p(-h) @ (self.n_at_risk - self.n_lost)))

    def interval(self, of: Callable[[np.ndarray], np.ndarray], conf_level: float) -> tuple[np.ndarray, np.ndarray]:
        """Give the profile-likelihood interval of anything worked out from the parameters.

        Parameters
        ----------
        of : callable
            Parameters, shape (2,), to values, shape (n,).

        Returns
        -------
        lower, upper : numpy.ndarray, shape (n,)

        References
        ----------
        Venzon, D. J. and Moolgavkar, S. H. (1988). A method for computing profile-likelihood-based confidence
        intervals. Applied Statistics 37, 87-94; with the quasi-likelihood scale of McCullagh and Nelder (1989), 4.5.
        """
        values = np.array([of(p) for p in (self.estimates, *self.region(conf_level))])
        return values.min(axis=0), values.max(axis=0)

    def survival_interval(self, ages: int, conf_level: float, extra=0.0) -> tuple[np.ndarray, np.ndarray]:
        """Give the profile-likelihood interval of the survival at ages 0 ... `ages`.

        Parameters
        ----------
        extra : float or numpy.ndarray, shape (ages + 1,)
            Further variance of log S: of an observed share that is to lie in the interval. Added on the scale of
            log(-log S), which keeps the bounds in [0, 1].
        """
        first = self.begin + 1
        told = self.interval(lambda p: self.survival(ages, p)[first:], conf_level)
        log_s = np.log(self.survival(ages)[first:])
        chance = ndtri((1 + conf_level) / 2) ** 2 * np.broadcast_to(extra, ages + 1)[first:] / log_s**2
        halves = [np.log(np.log(np.clip(bound, TINY, 1 - TINY)) / log_s) for bound in told]
        bounds = [np.exp(log_s * np.exp(np.sign(h) * np.sqrt(h**2 + chance))) for h in halves]
        lower, upper = np.minimum(bounds[0], told[0]), np.maximum(bounds[1], told[1])
        return tuple(np.append(np.ones(min(first, ages + 1)), bound) for bound in (lower, upper))


def fit_life(kind: str, n_at_risk, n_lost, dispersion: float = 1.0, begin: int = 0) -> LifeModel:
    """Fit one model by maximum likelihood.

    Parameters
    ----------
    kind : {"sbg", "weibull"}
    n_at_risk, n_lost : array-like, shape (n_ages,)
        Customers who completed age t - 1 and were observed at age t, and those of them lost by then, for t = 1, 2 ...
    dispersion : float
        Variance of the counts as a multiple of the binomial one (see `churnlib.cohorts.backtest.overdispersion`).
    begin : int
        First steps in which nobody can leave; they are left out.

    Returns
    -------
    LifeModel

    References
    ----------
    Fader, P. S. and Hardie, B. G. S. (2007). How to project customer retention. Journal of Interactive Marketing 21,
    76-90. Nakagawa, T. and Osaki, S. (1975). The discrete Weibull distribution. IEEE Trans. Reliability 24, 300-301.
    """
    n, d = np.asarray(n_at_risk, float)[begin:], np.asarray(n_lost, float)[begin:]
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
    spread = dispersion * np.linalg.pinv(information)
    return LifeModel(kind, best.x, spread, -best.fun * n.sum(), n, d, dispersion, begin)


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
