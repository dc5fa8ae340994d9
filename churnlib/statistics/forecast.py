"""What next: the churn rate of the next three periods with intervals, by a method that has been tried on the past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.stats import t

from churnlib.about import Period
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement, period_values
from churnlib.statistics.changepoint import complete_periods
from churnlib.statistics.season import YEAR, YEARS, lengths, season_terms

AHEAD = 3
ORIGINS = 12  # forecasts made again from the past, to see how far off they would have been
SHORTEST = 8  # complete periods
ALPHAS = np.linspace(0.0, 1.0, 21)  # how fast the level follows the series; 0: the mean of all that came before
BETTER = 0.95  # the level wins only with an error of at most this part of the seasonal naive's
PLOTTED = 37


@dataclass(frozen=True, kw_only=True)
class ChurnForecast(Result):
    """The churn rate expected next.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per period ahead: `period`, `churn_rate` with `ci_lower`, `ci_upper` (prediction interval), `n_opening`
        (assumed: the base as it is now), `n_churned_opening` with `n_lower`, `n_upper`.
    series : pandas.DataFrame
        One row per complete period up to the report's own.
    backtest : pandas.DataFrame
        One row per origin, period ahead and method ("year_ago", "level"): `actual`, `forecast`, `lower`, `upper`.
    method : {"year_ago", "level", ""}
        What was chosen; "" when the series is too short.
    """

    series: pd.DataFrame
    backtest: pd.DataFrame
    method: str = ""
    module: ClassVar[str] = "forecast"
    folded: ClassVar[bool] = False
    columns: ClassVar[tuple[Column, ...]] = (
        Column("period", "period"),
        Column("churn_rate", "pct"),
        Column("ci_lower", "pct"),
        Column("ci_upper", "pct"),
        Column("n_churned_opening", "whole"),
        Column("n_lower", "whole"),
        Column("n_upper", "whole"),
    )

    @property
    def shown_series(self) -> pd.DataFrame:
        """The series after the disclosure rules."""
        hides = ("n_churned_opening", "churn_rate")
        return disclosure.protect(self.series, self.about, count="n_churned_opening", base="n_opening", hides=hides)

    @property
    def errors(self) -> dict[str, float]:
        """Mean absolute error of each method in the backtest, in shares."""
        gap = (self.backtest["forecast"] - self.backtest["actual"]).abs()
        return gap.groupby(self.backtest["method"]).mean().to_dict()

    @property
    def coverage(self) -> tuple[int, int]:
        """How many of the backtest's actual rates lay in the chosen method's interval, and of how many."""
        own = self.backtest[self.backtest["method"] == self.method]
        return int(own["actual"].between(own["lower"], own["upper"]).sum()), len(own)

    @property
    def findings(self) -> tuple[Finding, ...]:
        if not self.method:
            return (Finding("forecast.short", {"n": len(self.series), "least": SHORTEST}),)
        now, row = self.shown_series["churn_rate"].iloc[-1], self.table.iloc[0]
        if np.isnan(now):
            return (Finding("forecast.not_shown"),)
        values = {"period": Period.parse(row.period), "rate": row.churn_rate, "now": now, "n": row.n_churned_opening}
        values |= {"lower": row.ci_lower, "upper": row.ci_upper, "n_lower": row.n_lower, "n_upper": row.n_upper}
        values |= {"opening": row.n_opening}
        key = "rise" if row.ci_lower > now else "fall" if row.ci_upper < now else "flat"
        tone = {"rise": "worse", "fall": "better", "flat": "steady"}[key]
        weight = abs(row.churn_rate - now) * row.n_opening if key != "flat" else 0.0
        return (
            Finding(f"forecast.{key}", values, grade="weak" if weight else "descriptive", tone=tone, weight=weight),
        )

    @property
    def subtitle(self) -> Statement | None:
        if not self.method:
            return None
        first, last = self.table["period"].iloc[[0, -1]]
        return Statement("forecast.subtitle", {"segment": self.about.segment.label, "first": first, "last": last})

    @property
    def notes(self) -> tuple[Statement, ...]:
        if not self.method:
            return ()
        method, assumed = Statement(f"forecast.note.{self.method}"), Statement("forecast.note.assumed")
        if not len(self.backtest):
            return (method, Statement("forecast.note.untested"), assumed)
        inside, n = self.coverage
        values = {"year_ago": self.errors["year_ago"], "level": self.errors["level"], "inside": inside, "n": n}
        return (method, Statement("forecast.note.backtest", values), assumed)

    def plot(self, ax=None):
        shown = self.shown_series.tail(PLOTTED)
        if not self.method or shown["churn_rate"].isna().all():
            return None
        blank = [None] * len(shown)
        return plots.line(
            period_values([*shown["period"], *self.table["period"]]),
            [*shown["churn_rate"], *self.table["churn_rate"]],
            lower=[*blank, *self.table["ci_lower"]],
            upper=[*blank, *self.table["ci_upper"]],
            projected=len(shown),
            events=self.about.events,
            ax=ax,
        )


def churn_forecast(counts) -> ChurnForecast:
    """Forecast the churn rate of the next three periods.

    Two methods, both on the square root of the rate (which steadies the spread) per day: the same period a year before
    (seasonal naive), and a level that follows the series (exponential smoothing, its speed fitted; with four years of
    data on the series without its season). Each is tried from up to twelve origins of the past; the level is chosen
    only where its mean absolute error is at least 5 % smaller. Intervals come from each method's own past errors. Both
    assume that the next periods are like the past: no new event, no new course.

    Parameters
    ----------
    counts : Counts
        From `period_counts(data)`: one level.

    Returns
    -------
    ChurnForecast
        One row per period ahead.

    References
    ----------
    Hyndman, R. J. and Athanasopoulos, G. (2021). Forecasting: principles and practice, 3rd ed., ch. 5.10 and 8.1.
    """
    about = counts.about
    series = complete_periods(counts.frame, about)
    if len(series) < SHORTEST:
        return ChurnForecast(about=about, table=_empty(), name="churn_forecast", series=series, backtest=_no_backtest())
    work = _Work.of(series, about)
    backtest = _backtest(work, series)
    error = (backtest["forecast"] - backtest["actual"]).abs().groupby(backtest["method"]).mean()
    method = "year_ago" if len(backtest) and error["level"] > BETTER * error["year_ago"] else "level"
    table = _table(work, method, series, counts.frame)
    return ChurnForecast(
        about=about, table=table, name="churn_forecast", series=series, backtest=backtest, method=method
    )


@dataclass(frozen=True)
class _Work:
    """The transformed series with `AHEAD` further periods' calendar.

    Attributes
    ----------
    roots : tuple of (numpy.ndarray, numpy.ndarray)
        Square roots of the rate, shape (n,), with the length of each period, shape (n + AHEAD,): once per day of usual
        length and once per period, since some losses follow the days and others the bill at the month's end.
    season : numpy.ndarray, shape (n + AHEAD, k)
    year : int
    """

    roots: tuple[tuple[np.ndarray, np.ndarray], ...]
    season: np.ndarray
    year: int
    periods: list[Period]

    @classmethod
    def of(cls, series: pd.DataFrame, about) -> _Work:
        periods = period_values(series["period"])
        periods += [periods[-1].shift(k + 1) for k in range(AHEAD)]
        lost, n = (series[c].to_numpy(float) for c in ("n_churned_opening", "n_opening"))
        ways = [lengths(periods, about.time_unit), np.ones(len(periods))]
        roots = [(np.sqrt((lost + 0.375) / (n * way[: len(n)])), way) for way in ways]  # 3/8: Anscombe's constant
        return cls(tuple(roots), season_terms(periods), YEAR[periods[0].unit], periods)

    def forecast(self, n: int, method: str, conf_level: float = 0.95) -> np.ndarray:
        """Forecast from the first n periods: rates, lower and upper, shape (AHEAD, 3).

        The rate is that of the way (by days, by periods) which has erred less; the interval holds those of both.
        """
        made = []
        for y, days in self.roots:
            centre, spread, freedom = (self._year_ago if method == "year_ago" else self._level)(y[:n])
            half = t.ppf((1 + conf_level) / 2, freedom) * spread
            edges = np.column_stack([centre, centre - half, centre + half]).clip(0)
            made.append((spread[0], (edges**2 * days[n : n + AHEAD, None]).clip(0, 1)))
        best = min(made, key=lambda way: way[0])[1][:, 0]
        lower, upper = (pick([rates[:, k] for _, rates in made], axis=0) for pick, k in ((np.min, 1), (np.max, 2)))
        return np.column_stack([best, lower, upper])

    def _year_ago(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        n, gaps = len(y), y[self.year :] - y[: -self.year]
        at = [n + k - self.year * (1 + k // self.year) for k in range(AHEAD)]
        return y[at], np.full(AHEAD, np.sqrt((gaps**2).mean())), len(gaps)

    def _level(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        n, season, spent = len(y), np.zeros(len(y) + AHEAD), 2
        if n >= (YEARS + 1) * self.year and self.season.shape[1]:
            terms = self.season - self.season[:n].mean(0)
            design = np.column_stack([np.ones(n), np.linspace(-1, 1, n), terms[:n]])
            season = terms[: n + AHEAD] @ np.linalg.lstsq(design, y, rcond=None)[0][2:]
            spent += self.season.shape[1]
        level, errors, alpha = _smooth(y - season[:n])
        freedom = max(len(errors) - spent, 1)
        spread = np.sqrt((errors**2).sum() / freedom * (1 + np.arange(AHEAD) * alpha**2))
        return level + season[n:], spread, freedom


def _smooth(y: np.ndarray) -> tuple[float, np.ndarray, float]:
    """The level at the end, the errors one period ahead, and the speed that makes them smallest."""
    burn = max(3, len(y) // 4)
    levels, errors = y[0] * np.ones_like(ALPHAS), []
    for i in range(1, len(y)):
        if i >= burn:
            errors.append(y[i] - levels)
        gain = np.maximum(ALPHAS, 1.0 / (i + 1))  # at first, and for ever with alpha 0, the mean of what there is
        levels = levels + gain * (y[i] - levels)
    errors = np.array(errors)
    best = int((errors**2).sum(0).argmin())
    return float(levels[best]), errors[:, best], float(ALPHAS[best])


def _backtest(work: _Work, series: pd.DataFrame) -> pd.DataFrame:
    """Forecast again from each of the last origins with what was known then."""
    n, rows = len(series), []
    least = max(SHORTEST, work.year + work.year // 2)
    actual = series["churn_rate"].to_numpy()
    for origin in range(max(least, n - ORIGINS), n):
        for method in ("year_ago", "level"):
            made = work.forecast(origin, method)
            for k in range(min(AHEAD, n - origin)):
                rows.append((origin, k + 1, method, actual[origin + k], *made[k]))
    if len({row[0] for row in rows}) < ORIGINS // 2:
        return _no_backtest()
    return pd.DataFrame(rows, columns=_BACKTEST)


_BACKTEST = ["origin", "ahead", "method", "actual", "forecast", "lower", "upper"]


def _no_backtest() -> pd.DataFrame:
    return pd.DataFrame(columns=_BACKTEST)


def _empty() -> pd.DataFrame:
    return pd.DataFrame(columns=["period", "churn_rate", "ci_lower", "ci_upper"])


def _table(work: _Work, method: str, series: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    n = len(series)
    made = pd.DataFrame(work.forecast(n, method), columns=["churn_rate", "ci_lower", "ci_upper"])
    made.insert(0, "period", [str(period) for period in work.periods[n:]])
    later = frame.loc[frame["period"] == made["period"].iloc[0], "n_opening"]
    opening = int(later.iloc[0]) if len(later) else int(series["n_opening"].iloc[-1])
    lost = {
        "n_churned_opening": (made["churn_rate"] * opening).round().astype(int),
        "n_lower": np.floor(made["ci_lower"] * opening).astype(int),
        "n_upper": np.ceil(made["ci_upper"] * opening).astype(int),
    }
    return made.assign(n_opening=opening, **lost)
