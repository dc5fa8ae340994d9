"""Interrupted time series of counts: what was lost after an event, against what was to be expected without it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t

BEFORE = 12  # periods needed before an event
WITH_TREND = 18  # periods before the event from which on a trend is fitted
WITH_SLOPE = 6  # periods after it from which on a change of slope is fitted
PLACEBO_AFTER = 6  # periods judged after a placebo date, at most
PLACEBOS = 5  # dates needed to calibrate by them
LAG_BIAS = 1.2  # n-ths that each term of a fit takes from the lag-1 correlation of its residuals


@dataclass(frozen=True)
class Fit:
    """A regression of counts.

    Attributes
    ----------
    effect, covariance : numpy.ndarray
        Coefficients, and their covariance with the overdispersion in it.
    dispersion : float
        Overdispersion, at least 1.
    likeness : float
        Factor by which the variance of a mean grows because neighbouring periods are alike, from 1 to 4.
    freedom : int
    """

    effect: np.ndarray
    covariance: np.ndarray
    dispersion: float
    likeness: float
    freedom: int

    def ratio(self, k: int, conf_level: float = 0.95, freedom: float = np.inf) -> tuple[float, float, float]:
        """Give a coefficient as a rate ratio with its Wald interval."""
        half = t.ppf((1 + conf_level) / 2, freedom) * np.sqrt(self.covariance[k, k])
        return tuple(float(np.exp(self.effect[k] + s * half)) for s in (0, -1, 1))


@dataclass(frozen=True)
class Series:
    """Counts of the customers that an event touched, and of those that it did not.

    Attributes
    ----------
    lost, exposed : numpy.ndarray, shape (n,)
        Touched customers lost, and at risk (times the length of the period).
    control_lost, control_exposed : numpy.ndarray or None
        The same of untouched customers. With them, season, festival and whatever meets everybody cancel out.
    terms : numpy.ndarray, shape (n, k)
        Season and festival (without a control), and the courses of earlier events.
    """

    lost: np.ndarray
    exposed: np.ndarray
    control_lost: np.ndarray | None
    control_exposed: np.ndarray | None
    terms: np.ndarray

    @property
    def offset(self) -> np.ndarray:
        base = self.exposed if self.control_exposed is None else self.exposed / self.control_exposed
        return np.log(base)

    def counterfactual(self, log_ratio: np.ndarray, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        """Expected losses of the touched customers, and the variance that chance gives observed less expected."""
        scale = 1.0 if self.control_lost is None else self.control_lost[rows]
        expected = scale * np.exp(self.offset[rows] + log_ratio)
        variance = np.maximum(self.lost[rows], expected)
        if self.control_lost is not None:
            variance = variance + expected**2 / np.maximum(self.control_lost[rows], 0.5)
        return expected, variance


@dataclass(frozen=True)
class Effect:
    """What an event did, in customers, from its first period to the last one judged.

    Attributes
    ----------
    excess : float
        Customers lost more than expected; `ci_lower`, `ci_upper`: 95 % interval.
    expected : float
    p_value : float
        Calibrated by the placebo dates.
    widening : float
        How much wider the placebo dates make the interval, at least 1; `n_placebos` of them.
    doubt : {"few", "course", "placebo"}
        What makes the interval as wide as it is, most of all: chance in few losses; what is not known of the course
        before, carried on; or the effects that placebo dates seem to have.
    level, slope : tuple of float
        Rate ratio at the event, and per further period, with intervals; the slope is (1, nan, nan) when not fitted.
    """

    excess: float
    ci_lower: float
    ci_upper: float
    expected: float
    p_value: float
    widening: float
    n_placebos: int
    doubt: str
    level: tuple[float, float, float]
    slope: tuple[float, float, float]


def fit_counts(lost, design, offset, control_lost=None) -> Fit:
    """Fit a Poisson regression of counts, or with a control a binomial one of the touched among all lost.

    Standard errors are widened by the overdispersion (Pearson's chi-square by its freedom, never below 1).

    Parameters
    ----------
    lost : array-like, shape (n,)
    design : array-like, shape (n, k)
    offset : array-like, shape (n,)
        Logarithm of the exposure, or of the ratio of exposures.
    control_lost : array-like, optional

    References
    ----------
    Lopez Bernal, J., Cummins, S. and Gasparrini, A. (2017). IJE 46, 348-355.
    """
    lost, design, offset = (np.asarray(values, float) for values in (lost, design, offset))
    n = None
    if control_lost is not None:  # a period in which neither side lost anybody says nothing about their ratio
        n = lost + np.asarray(control_lost, float)
        told = n > 0
        lost, n, design, offset = lost[told], n[told], design[told], offset[told]
    effect, mean, spread = _iterated(lost, design, offset, n)
    residual = (lost - mean) / np.sqrt(spread)
    freedom = max(len(lost) - design.shape[1], 1)
    dispersion = max(1.0, float(residual @ residual) / freedom)
    lag = float(residual[1:] @ residual[:-1] / max(residual @ residual, 1e-12))
    lag = min(max(lag + LAG_BIAS * (design.shape[1] + 1 + 3 * lag) / len(lost), 0.0), 0.6)
    covariance = np.linalg.pinv(design.T @ (design * spread[:, None])) * dispersion
    return Fit(effect, covariance, dispersion, (1 + lag) / (1 - lag), freedom)


def _iterated(y: np.ndarray, x: np.ndarray, offset: np.ndarray, n: np.ndarray | None):
    """Coefficients, means and variances by iterated least squares: log link, or logit of n trials.

    Some thirty lines of ours where a model object would take 5 ms a fit, and an event with its placebo dates takes a
    dozen fits.
    """
    mean = (y + max(y.mean(), 0.1)) / 2 if n is None else (y + 0.5) / (n + 1) * n
    effect = np.zeros(x.shape[1])
    for _ in range(50):
        spread = np.maximum(mean if n is None else mean * (1 - mean / n), 1e-10)
        eta = np.log(mean) if n is None else np.log(mean / (n - mean))
        root = np.sqrt(spread)
        before, effect = effect, np.linalg.lstsq(x * root[:, None], root * (eta - offset + (y - mean) / spread))[0]
        eta = np.clip(x @ effect + offset, -25, 25)
        mean = np.exp(eta) if n is None else n / (1 + np.exp(-eta))
        if np.abs(effect - before).max() < 1e-9:
            break
    return effect, mean, np.maximum(mean if n is None else mean * (1 - mean / n), 1e-12)


def effect_of(series: Series, at: int, end: int, skip: int = 0) -> Effect:
    """Estimate what happened from period `at` to `end` against what came before.

    The excess is what was lost less what the periods before lead to expect, whatever course the effect takes. Its
    standard error is calibrated by placebo dates: the same is done for dates before the event, where nothing
    happened, and where the placebo effects are larger than their standard errors, the real one's is widened as much.

    Parameters
    ----------
    series : Series
    at, end : int
        First and last period judged.
    skip : int
        Periods just before it that are taken neither for what came before nor for the effect.

    Returns
    -------
    Effect
    """
    excess, error, expected, freedom, carried = _excess(series, at, end, skip)
    placebos = [_excess(series, k, k + span, skip)[:2] for k, span in _placebo_dates(at, end, skip)]
    ratios = np.array([found / spread for found, spread in placebos])
    placebo = float((ratios**2).mean()) if len(ratios) >= PLACEBOS else 1.0
    widening = float(np.sqrt(max(1.0, placebo)))
    half = t.ppf(0.975, freedom) * widening * error
    p_value = float(2 * t.sf(abs(excess) / (widening * error), freedom))
    doubt = "placebo" if widening > 1.5 else "course" if carried > 0.5 else "few"
    course = _level_and_slope(series, at, end)
    return Effect(excess, excess - half, excess + half, expected, p_value, widening, len(ratios), doubt, *course)


def _placebo_dates(at: int, end: int, skip: int) -> list[tuple[int, int]]:
    """Dates that leave enough periods before them, with the length judged after them, all before the event."""
    span = min(end - at, PLACEBO_AFTER - 1)
    return [(k, span) for k in range(BEFORE + skip, at - skip - span)]


def _design(series: Series, rows: slice, trend: bool) -> np.ndarray:
    """Ones, trend in years about the start, further terms that vary within these rows."""
    n = len(series.lost)
    columns = [np.ones(n)] + ([np.arange(n) / 12] if trend else [])
    return np.column_stack([*columns, series.terms])[rows]


def _excess(series: Series, at: int, end: int, skip: int) -> tuple[float, float, float, int, float]:
    """Excess, its standard error, expected losses, freedom, and which part of the variance comes from the fit.

    All from a regression of the periods before.
    """
    before, after = slice(0, at - skip), slice(at, end + 1)
    trend = at - skip >= WITH_TREND
    design = _design(series, slice(None), trend)
    used = np.ptp(design[before], axis=0) > 0
    used[0] = True
    control = None if series.control_lost is None else series.control_lost[before]
    fit = fit_counts(series.lost[before], design[before][:, used], series.offset[before], control)
    later = design[after][:, used]
    expected, chance = series.counterfactual(later @ fit.effect, after)
    gradient = expected @ later
    carried, scattered = gradient @ fit.covariance @ gradient, fit.dispersion * chance.sum()
    excess, error = series.lost[after].sum() - expected.sum(), np.sqrt((carried + scattered) * fit.likeness)
    share = carried / max(carried + scattered, 1e-12)
    return float(excess), float(error), float(expected.sum()), fit.freedom, float(share)


def _level_and_slope(series: Series, at: int, end: int):
    """Rate ratios of the step at the event and of the slope after it."""
    rows = slice(0, end + 1)
    i = np.arange(len(series.lost))[rows]
    design = _design(series, rows, at >= WITH_TREND)
    used = np.ptp(design[:at], axis=0) > 0
    used[0] = True
    event = [(i >= at) * 1.0] + ([np.clip(i - at, 0, None) * 1.0] if end - at + 1 >= WITH_SLOPE else [])
    control = None if series.control_lost is None else series.control_lost[rows]
    columns = np.column_stack([design[:, used], *event])
    fit = fit_counts(series.lost[rows], columns, series.offset[rows], control)
    k = int(used.sum())
    slope = fit.ratio(k + 1, freedom=fit.freedom) if len(event) > 1 else (1.0, np.nan, np.nan)
    return fit.ratio(k, freedom=fit.freedom), slope
