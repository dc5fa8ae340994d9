"""The mathematics of the forecast: two methods, tried again from the past, on many series of one calendar at once.

Every array of series has the periods on its last axis; in front of it may stand as many series as one likes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter
from scipy.stats import t

from churnlib.about import YEAR, Period
from churnlib.trend.season import YEARS, lengths, season_terms

AHEAD = 3
ORIGINS = 12  # forecasts made again from the past, to see how far off they would have been
SHORTEST = 8  # complete periods
METHODS = ("year_ago", "level")
ALPHAS = np.linspace(0.0, 1.0, 21)  # how fast the level follows the series; 0: the mean of all that came before
FENCE, NEAR_FENCE = 3.0, 1.5  # quartile distances (of Tukey's fences) that make an outlier; the near one after an event
RECENT = 3  # last periods that are never called outliers: something new may have begun


@dataclass(frozen=True)
class Calendar:
    """The periods of the series and `AHEAD` further ones."""

    days: np.ndarray  # length of each period
    season: np.ndarray  # one row per period
    year: int  # periods in a year
    doubted: np.ndarray  # which periods of the series follow an event

    @classmethod
    def of(cls, periods: Sequence[Period], time_unit: str, doubted: np.ndarray) -> Calendar:
        """Make the calendar of complete periods in a row."""
        longer = [*periods, *(periods[-1].shift(k + 1) for k in range(AHEAD))]
        return cls(lengths(longer, time_unit), season_terms(longer), YEAR[periods[0].unit], doubted)


def usual_roots(lost: np.ndarray, opening: np.ndarray, calendar: Calendar, origin: int) -> np.ndarray:
    """Give the roots of the first `origin` periods (see `roots`), those that stand out at their usual course."""
    y = roots(lost[..., :origin], opening[..., :origin], calendar.days[:origin])
    flat, doubted = y.reshape(-1, origin), calendar.doubted[:origin]
    return np.stack([_clean(row, calendar.year, doubted) for row in flat]).reshape(y.shape)


def forecast(y: np.ndarray, calendar: Calendar, method: str) -> np.ndarray:
    """Forecast from roots of the rate per day (see `usual_roots`).

    Some losses follow the days and others the bill at the month's end: the rate is that of the way, by days or by
    periods, which has erred less; the interval holds those of both.

    Returns
    -------
    numpy.ndarray, shape (..., AHEAD, 3)
        Rates, lower and upper.
    """
    days, origin, made = calendar.days, y.shape[-1], []
    for way in (days, np.ones(len(days))):
        own = y * np.sqrt(days[:origin] / way[:origin])
        centre, spread, freedom = (_year_ago if method == "year_ago" else _level)(own, calendar)
        half = t.ppf(0.975, freedom) * spread
        edges = np.stack([centre, centre - half, centre + half], -1).clip(0)
        made.append((spread[..., 0], (edges**2 * way[origin : origin + AHEAD, None]).clip(0, 1)))
    (by_days, rates), (by_period, others) = made
    best = np.where((by_days <= by_period)[..., None], rates[..., 0], others[..., 0])
    lower, upper = np.minimum(rates[..., 1], others[..., 1]), np.maximum(rates[..., 2], others[..., 2])
    return np.stack([best, lower, upper], -1)


def roots(lost: np.ndarray, opening: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Give the square root of the rate per day of usual length, which steadies the spread (3/8: Anscombe's)."""
    return np.sqrt((lost + 0.375) / (np.maximum(opening, 0.5) * days))


def origins(n: int, year: int) -> range:
    """Give the origins from which forecasts are made again: the last twelve with a year and a half before them."""
    found = range(max(SHORTEST, year + year // 2, n - ORIGINS), n)
    return found if len(found) >= ORIGINS // 2 else range(0)


def tried(lost: np.ndarray, opening: np.ndarray, calendar: Calendar) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Forecast again from each origin with what was known then: origin, method -> forecasts of what came."""
    n = lost.shape[-1]
    for origin in origins(n, calendar.year):
        y = usual_roots(lost, opening, calendar, origin)
        yield origin, {method: forecast(y, calendar, method)[..., : n - origin, :] for method in METHODS}


def is_year_ago_as_good(trials: Sequence[tuple[int, dict[str, np.ndarray]]], rate: np.ndarray) -> np.ndarray:
    """Tell whether the seasonal naive forecast has erred no more than the level, on average; no where none was tried.

    `trials` are those of `tried`, `rate` is what came, of shape (..., n).
    """
    if not trials:
        return np.zeros(rate.shape[:-1], bool)
    errors = [
        [np.abs(made[method][..., 0] - rate[..., origin : origin + AHEAD]) for origin, made in trials]
        for method in METHODS
    ]
    year_ago, level = (np.concatenate(gaps, -1).mean(-1) for gaps in errors)
    return year_ago <= level


def _year_ago(y: np.ndarray, calendar: Calendar) -> tuple[np.ndarray, np.ndarray, int]:
    n, year = y.shape[-1], calendar.year
    gaps = y[..., year:] - y[..., :-year]
    at = [n + k - year * (1 + k // year) for k in range(AHEAD)]
    spread = np.sqrt((gaps**2).mean(-1, keepdims=True))
    return y[..., at], np.repeat(spread, AHEAD, -1), gaps.shape[-1]


def _level(y: np.ndarray, calendar: Calendar) -> tuple[np.ndarray, np.ndarray, int]:
    n, season, spent = y.shape[-1], np.zeros(y.shape[-1] + AHEAD), 2
    if n >= (YEARS + 1) * calendar.year and calendar.season.shape[1]:
        terms = calendar.season[: n + AHEAD] - calendar.season[:n].mean(0)
        design = np.column_stack([np.ones(n), np.linspace(-1, 1, n), terms[:n]])
        season = (y @ np.linalg.pinv(design)[2:].T) @ terms.T
        spent += terms.shape[1]
    level, errors, alpha = _smooth(y - season[..., :n])
    freedom = max(errors.shape[-1] - spent, 1)
    growth = 1 + np.arange(AHEAD) * alpha[..., None] ** 2
    spread = np.sqrt((errors**2).sum(-1)[..., None] / freedom * growth)
    return level[..., None] + season[..., n:], spread, freedom


def _smooth(y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The level at the end, the errors one period ahead, and the speed that makes them smallest."""
    burn = max(3, y.shape[-1] // 4)
    levels, errors = np.repeat(y[..., :1], len(ALPHAS), -1), []
    for i in range(1, y.shape[-1]):
        if i >= burn:
            errors.append(y[..., i, None] - levels)
        gain = np.maximum(ALPHAS, 1.0 / (i + 1))  # at first, and for ever with alpha 0, the mean of what there is
        levels = levels + gain * (y[..., i, None] - levels)
    errors = np.stack(errors, -1)  # (..., alphas, periods)
    best = (errors**2).sum(-1).argmin(-1)
    chosen = np.take_along_axis(errors, best[..., None, None], -2)[..., 0, :]
    return np.take_along_axis(levels, best[..., None], -1)[..., 0], chosen, ALPHAS[best]


def _clean(y: np.ndarray, year: int, doubted: np.ndarray) -> np.ndarray:
    seasonal = year > 1 and len(y) > 2 * year
    if not (seasonal or doubted.any()):
        return y
    course = sum(decomposed(y, year)) if seasonal else median_filter(y, 7, mode="mirror")
    # of what a season from three values leaves over too much is nought: the scale is that of differences over a year
    scale = (y[year:] - y[:-year]) / np.sqrt(2) if seasonal else y - course
    reach = np.where(doubted, NEAR_FENCE, FENCE if seasonal else np.inf) * np.ptp(np.quantile(scale, [0.25, 0.75]))
    out = np.abs(y - course) > reach
    out[-RECENT:] = False
    return np.where(out, course, y)


def decomposed(y: np.ndarray, year: int) -> tuple[np.ndarray, np.ndarray]:
    """Split a series into season, the same every year, and trend, neither of which a few outliers move: robust STL.

    References
    ----------
    Cleveland, R. B., Cleveland, W. S., McRae, J. E. and Terpenning, I. (1990). STL. J. Official Statistics 6, 3-73.
    """
    from statsmodels.tsa.seasonal import STL

    found = STL(y, period=year, seasonal=10 * len(y) + 1, seasonal_deg=0, robust=True).fit(inner_iter=1, outer_iter=15)
    return found.seasonal, found.trend
