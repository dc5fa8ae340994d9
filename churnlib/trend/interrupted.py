"""Interrupted time series of counts: what was lost after an event, against what was to be expected without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from churnlib.trend.segmentation import likeness

BEFORE = 12  # periods needed before an event
WITH_TREND = 18  # periods before the event from which on a trend is fitted, where there is nobody to compare with
DRIFT = 0.1  # standard deviation a year by which rates of comparable customers drift apart, in logarithms
WITH_SLOPE = 6  # periods after it from which on a change of slope is fitted
PLACEBO_AFTER = 6  # periods judged after a placebo date, at most
PLACEBOS = 5  # dates needed to calibrate by them
FAR = 50.0  # logarithm of a ratio beyond which none is told
LAG_BIAS = 1.2  # n-ths that each term of a fit takes from the lag-1 correlation of its residuals


@dataclass(frozen=True)
class Fit:
    """A regression of counts."""

    effect: np.ndarray
    covariance: np.ndarray  # of the coefficients, with the overdispersion in it
    dispersion: float  # overdispersion, at least 1
    likeness: float  # factor by which the variance of a mean grows as neighbouring periods are alike, from 1 to 4
    freedom: int

    def ratio(self, k: int, freedom: float = np.inf) -> tuple[float, float, float]:
        """Give a coefficient as a rate ratio with its 95 % Wald interval."""
        half = t.ppf(0.975, freedom) * np.sqrt(self.covariance[k, k])
        return tuple(float(np.exp(min(self.effect[k] + s * half, FAR))) for s in (0, -1, 1))


@dataclass(frozen=True)
class Series:
    """Counts of the customers that an event touched, and of those that it did not.

    With those untouched, season, festival and whatever meets everybody cancel out.
    """

    lost: np.ndarray
    exposed: np.ndarray  # at risk, times the length of the period
    control_lost: np.ndarray | None
    control_exposed: np.ndarray | None
    terms: np.ndarray  # shape (n, k): season and festival (without a control), and the courses of earlier events
    year: int = 12  # periods of a year
    starts: tuple[int, ...] = ()  # first periods of those earlier events

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
    """What an event did, in customers, from its first period to the last one judged."""

    excess: float  # lost more than expected
    error: float  # its standard error, as wide as the placebo dates make it
    expected: float
    freedom: float
    widening: float  # how much wider the placebo dates make the error, at least 1
    n_placebos: int
    carried: float  # share of the variance that comes from what is not known of the course before; the rest is chance
    level: tuple[float, float, float] = (np.nan,) * 3  # rate ratio at the event, with its interval
    slope: tuple[float, float, float] = (np.nan,) * 3  # per further period; (1, nan, nan) when not fitted

    @property
    def half(self) -> float:
        """Half of the 95 % interval's width."""
        return float(t.ppf(0.975, self.freedom)) * self.error

    @property
    def ci_lower(self) -> float:
        return self.excess - self.half

    @property
    def ci_upper(self) -> float:
        return self.excess + self.half

    @property
    def p_value(self) -> float:
        return float(2 * t.sf(abs(self.excess) / self.error, self.freedom))

    @property
    def doubt(self) -> str:
        """Give what makes the interval as wide as it is, most of all: placebo dates, the course before, few losses."""
        return "placebo" if self.widening > 1.5 else "course" if self.carried > 0.5 else "few"


def pooled(effects: Sequence[Effect]) -> Effect:
    """Add the effects of several events on different customers up.

    The freedom is Welch and Satterthwaite's; what the customers compared with are taken to share is not counted, as
    there are many more of them.
    """
    variance = np.array([e.error**2 for e in effects])
    return Effect(
        excess=sum(e.excess for e in effects),
        error=np.sqrt(variance.sum()),
        expected=sum(e.expected for e in effects),
        freedom=variance.sum() ** 2 / (variance**2 / [e.freedom for e in effects]).sum(),
        widening=max(e.widening for e in effects),
        n_placebos=sum(e.n_placebos for e in effects),
        carried=float(np.average([e.carried for e in effects], weights=variance)),
    )


def fit_counts(lost, design, offset, control_lost=None, spread=None) -> Fit:
    """Fit a Poisson regression of counts, or with a control a binomial one of the touched among all lost.

    Standard errors are widened by the overdispersion (Pearson's chi-square by its freedom, never below 1).

    Parameters
    ----------
    lost, control_lost : array-like, shape (n,)
    design : array-like, shape (n, k)
    offset : array-like, shape (n,)
        Logarithm of the exposure, or of the ratio of exposures.
    spread : array-like, shape (k,), optional
        Standard deviation about 0 that each coefficient is known to have beforehand (inf: nothing is known).

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
    known = np.zeros(design.shape[1]) if spread is None else np.asarray(spread, float) ** -2.0
    noise, alike, effect = 1.0, 1.0, None
    for _ in range(2 if known.any() else 1):  # what is known beforehand weighs against the noise of the counts
        held = known * noise * alike
        effect, mean, variance = _iterated(lost, design, offset, n, held, effect)
        residual = (lost - mean) / np.sqrt(variance)
        freedom = max(len(lost) - design.shape[1], 1)
        noise = max(1.0, float(residual @ residual) / freedom)
        # chance has no memory: only what is beyond it can be alike
        alike = likeness(residual, design.shape[1], LAG_BIAS, min(0.6, 1 - 1 / noise))
    covariance = np.linalg.pinv(design.T @ (design * variance[:, None]) + np.diag(held)) * noise
    return Fit(effect, covariance, noise, alike, freedom)


def _iterated(y, x, offset, n, held: np.ndarray, effect: np.ndarray | None = None):
    """Coefficients, means and variances by iterated least squares: log link, or logit of n trials.

    Some thirty lines of ours where a model object would take 5 ms a fit, and an event with its placebo dates takes a
    dozen fits. `held` is the precision that draws each coefficient to 0, `effect` where to start.
    """

    def means(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = np.exp(eta) if n is None else n / (1 + np.exp(-eta))
        return mean, np.maximum(mean if n is None else mean * (1 - mean / n), 1e-12)

    if effect is None:
        start = (y + max(y.mean(), 0.1)) / 2 if n is None else (y + 0.5) / (n + 1) * n
        eta, effect = np.log(start if n is None else start / (n - start)), np.zeros(x.shape[1])
    else:
        eta = x @ effect + offset
    ridge, zeros = np.diag(np.sqrt(held)), np.zeros(x.shape[1])
    for _ in range(50):
        mean, spread = means(eta)
        root = np.sqrt(spread)
        aim = np.concatenate([root * (eta - offset + (y - mean) / spread), zeros])
        before, effect = effect, np.linalg.lstsq(np.vstack([x * root[:, None], ridge]), aim)[0]
        eta = np.clip(x @ effect + offset, -25, 25)
        if np.abs(effect - before).max() < 1e-9:
            break
    return effect, *means(eta)


def effect_of(series: Series, at: int, end: int, skip: int = 0) -> Effect:
    """Estimate what happened from period `at` to `end` against what came before.

    The excess is what was lost less what the periods before lead to expect, whatever course the effect takes. Its
    standard error is calibrated by placebo dates: the same is done for dates before the event, where nothing
    happened, and where the placebo effects are larger than their standard errors, the real one's is widened as much.
    The last `skip` periods before it are taken neither for what came before nor for the effect.
    """
    excess, error, expected, freedom, carried = _excess(series, at, end, skip)
    placebos = [_excess(series, k, k + span, skip)[:2] for k, span in _placebo_dates(series, at, end, skip)]
    ratios = np.array([found / spread for found, spread in placebos])
    placebo = float((ratios**2).mean()) if len(ratios) >= PLACEBOS else 1.0
    widening = float(np.sqrt(max(1.0, placebo)))
    course = _level_and_slope(series, at, end)
    return Effect(excess, widening * error, expected, freedom, widening, len(ratios), carried, *course)


def _placebo_dates(series: Series, at: int, end: int, skip: int) -> list[tuple[int, int]]:
    """Dates that leave enough periods before them, with the length judged after them, all before the event.

    None at which an earlier event began: what it did is no error.
    """
    span = min(end - at, PLACEBO_AFTER - 1)
    dates = range(BEFORE + skip, at - skip - span)
    return [(k, span) for k in dates if not any(k - skip <= start <= k + span for start in series.starts)]


def _design(series: Series, rows: slice, at: int) -> tuple[np.ndarray, np.ndarray]:
    """Ones, trend in years and further terms that vary in the rows before an event; and what is known of each.

    Comparable customers may drift apart, but not at any pace: a few losses do not make a trend to be carried on.
    """
    n, has_control = len(series.lost), series.control_lost is not None
    trend = [np.arange(n) / series.year] if has_control or at >= WITH_TREND else []
    columns = np.column_stack([np.ones(n), *trend, series.terms])
    spread = np.full(columns.shape[1], np.inf)
    spread[1 : 1 + has_control] = DRIFT
    used = np.ptp(columns[:at], axis=0) > 0
    used[0] = True
    return columns[rows][:, used], spread[used]


def _excess(series: Series, at: int, end: int, skip: int) -> tuple[float, float, float, int, float]:
    """Excess, its standard error, expected losses, freedom, and which part of the variance comes from the fit.

    All from a regression of the periods before.
    """
    n, after = at - skip, slice(at, end + 1)
    design, spread = _design(series, slice(0, end + 1), n)
    control = None if series.control_lost is None else series.control_lost[:n]
    fit = fit_counts(series.lost[:n], design[:n], series.offset[:n], control, spread)
    later = design[after]
    expected, chance = series.counterfactual(later @ fit.effect, after)
    gradient = expected @ later
    carried, scattered = gradient @ fit.covariance @ gradient, fit.dispersion * chance.sum()
    excess, error = series.lost[after].sum() - expected.sum(), np.sqrt((carried + scattered) * fit.likeness)
    share = carried / max(carried + scattered, 1e-12)
    return float(excess), float(error), float(expected.sum()), fit.freedom, float(share)


def _level_and_slope(series: Series, at: int, end: int):
    """Rate ratios of the step at the event and of the slope after it."""
    rows = slice(0, end + 1)
    i = np.arange(end + 1)
    design, spread = _design(series, rows, at)
    event = [(i >= at) * 1.0] + ([np.clip(i - at, 0, None) * 1.0] if end - at + 1 >= WITH_SLOPE else [])
    control = None if series.control_lost is None else series.control_lost[rows]
    columns, k = np.column_stack([design, *event]), design.shape[1]
    spread = np.append(spread, np.full(len(event), np.inf))
    fit = fit_counts(series.lost[rows], columns, series.offset[rows], control, spread)
    slope = fit.ratio(k + 1, freedom=fit.freedom) if len(event) > 1 else (1.0, np.nan, np.nan)
    return fit.ratio(k, freedom=fit.freedom), slope
