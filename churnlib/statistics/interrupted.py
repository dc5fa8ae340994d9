"""Interrupted time series of counts: what was lost after an event, against what was to be expected without it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t

BEFORE = 12  # periods needed before an event
AFTER = 2  # and from it on
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
    import statsmodels.api as sm

    lost = np.asarray(lost, float)
    if control_lost is not None:  # a period in which neither side lost anybody says nothing about their ratio
        told = lost + control_lost > 0
        lost, control_lost = lost[told], np.asarray(control_lost, float)[told]
        design, offset = np.asarray(design)[told], np.asarray(offset)[told]
    family = sm.families.Poisson() if control_lost is None else sm.families.Binomial()
    response = lost if control_lost is None else np.column_stack([lost, control_lost])
    fitted = sm.GLM(response, np.asarray(design, float), family=family, offset=np.asarray(offset, float)).fit()
    mean = fitted.fittedvalues if control_lost is None else fitted.fittedvalues * (lost + control_lost)
    spread = mean if control_lost is None else mean * (1 - fitted.fittedvalues)
    residual = (lost - mean) / np.sqrt(np.maximum(spread, 1e-12))
    # Pearson's statistic by hand: statsmodels leaves the number of trials out of a binomial's
    raw = float(residual @ residual) / max(fitted.df_resid, 1)
    dispersion = max(1.0, raw)
    lag = float(residual[1:] @ residual[:-1] / max(residual @ residual, 1e-12))
    lag = min(max(lag + LAG_BIAS * (design.shape[1] + 1 + 3 * lag) / len(lost), 0.0), 0.6)
    likeness = (1 + lag) / (1 - lag)
    return Fit(fitted.params, fitted.normalized_cov_params * dispersion, dispersion, likeness, int(fitted.df_resid))


def effect_of(series: Series, at: int, end: int, first: int = 0) -> Effect:
    """Estimate what happened from period `at` to `end` against what came before, from `first` on.

    The excess is what was lost less what the periods before lead to expect, whatever course the effect takes. Its
    standard error is calibrated by placebo dates: the same is done for dates before the event, where nothing
    happened, and where the placebo effects are larger than their standard errors, the real one's is widened as much.

    Parameters
    ----------
    series : Series
    at, end : int
        First and last period judged.

    Returns
    -------
    Effect
    """
    excess, error, expected, freedom = _excess(series, first, at, end)
    placebos = [_excess(series, first, k, k + span)[:2] for k, span in _placebo_dates(first, at, end)]
    ratios = np.array([found / spread for found, spread in placebos])
    placebo = float((ratios**2).mean()) if len(ratios) >= PLACEBOS else 1.0
    widening = float(np.sqrt(max(1.0, placebo)))
    half = t.ppf(0.975, freedom) * widening * error
    p_value = float(2 * t.sf(abs(excess) / (widening * error), freedom))
    level, slope = _level_and_slope(series, first, at, end)
    return Effect(excess, excess - half, excess + half, expected, p_value, widening, len(ratios), level, slope)


def _placebo_dates(first: int, at: int, end: int) -> list[tuple[int, int]]:
    """Dates that leave enough periods before them, with the length judged after them, all before the event."""
    span = min(end - at, PLACEBO_AFTER - 1)
    return [(k, span) for k in range(first + BEFORE, at - span)]


def _design(series: Series, rows: slice, trend: bool) -> np.ndarray:
    """Ones, trend in years about the start, further terms that vary within these rows."""
    n = len(series.lost)
    columns = [np.ones(n)] + ([np.arange(n) / 12] if trend else [])
    return np.column_stack([*columns, series.terms])[rows]


def _excess(series: Series, first: int, at: int, end: int) -> tuple[float, float, float, int]:
    """Excess, its standard error, expected losses, freedom: from a fit to the periods before."""
    before, after = slice(first, at), slice(at, end + 1)
    trend = at - first >= WITH_TREND
    design = _design(series, slice(None), trend)
    used = np.ptp(design[before], axis=0) > 0
    used[0] = True
    control = None if series.control_lost is None else series.control_lost[before]
    fit = fit_counts(series.lost[before], design[before][:, used], series.offset[before], control)
    later = design[after][:, used]
    expected, chance = series.counterfactual(later @ fit.effect, after)
    gradient = expected @ later
    variance = (fit.dispersion * chance.sum() + gradient @ fit.covariance @ gradient) * fit.likeness
    excess = float(series.lost[after].sum() - expected.sum())
    return excess, float(np.sqrt(variance)), float(expected.sum()), max(fit.freedom, 1)


def _level_and_slope(series: Series, first: int, at: int, end: int):
    """Rate ratios of the step at the event and of the slope after it."""
    rows = slice(first, end + 1)
    i = np.arange(len(series.lost))[rows]
    design = _design(series, rows, at - first >= WITH_TREND)
    used = np.ptp(design[: at - first], axis=0) > 0
    used[0] = True
    event = [(i >= at) * 1.0] + ([np.clip(i - at, 0, None) * 1.0] if end - at + 1 >= WITH_SLOPE else [])
    control = None if series.control_lost is None else series.control_lost[rows]
    columns = np.column_stack([design[:, used], *event])
    fit = fit_counts(series.lost[rows], columns, series.offset[rows], control)
    k = int(used.sum())
    slope = fit.ratio(k + 1, freedom=fit.freedom) if len(event) > 1 else (1.0, np.nan, np.nan)
    return fit.ratio(k, freedom=fit.freedom), slope
