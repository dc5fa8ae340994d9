"""What next: the churn rate of the next three periods with intervals, by a method that has been tried on the past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnlib.about import Period
from churnlib.show import plots
from churnlib.show.results import Finding, Result, Statement, period_values, table_columns
from churnlib.trend.ahead import (
    AHEAD,
    METHODS,
    SHORTEST,
    Calendar,
    forecast,
    is_year_ago_as_good,
    tried,
    usual_roots,
)
from churnlib.trend.series import PLOTTED, complete_periods, covered, shown_series
from churnlib.trend.touched import after_events


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
    module = "forecast"
    columns = table_columns("period churn_rate ci_lower ci_upper n_churned_opening n_lower n_upper")

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
        now, row = shown_series(self.series, self.about)["churn_rate"].iloc[-1], self.table.iloc[0]
        if np.isnan(now):
            return (Finding("forecast.not_shown"),)
        values = {"period": Period.parse(row.period), "rate": row.churn_rate, "now": now, "n": row.n_churned_opening}
        values |= {"lower": row.ci_lower, "upper": row.ci_upper, "n_lower": row.n_lower, "n_upper": row.n_upper}
        values["opening"] = row.n_opening
        if row.ci_lower <= now <= row.ci_upper:
            return (Finding("forecast.flat", values),)
        way, tone = ("rise", "worse") if row.ci_lower > now else ("fall", "better")
        weight = abs(row.churn_rate - now) * row.n_opening
        return (Finding(f"forecast.{way}", values, grade="weak", tone=tone, weight=weight),)

    @property
    def subtitle(self) -> Statement | None:
        return Statement("forecast.subtitle", covered(self.table, self.about)) if self.method else None

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
        shown = shown_series(self.series, self.about).tail(PLOTTED)
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
    data on the series without its season). Periods that stand out, less so after an event, are taken at their usual
    course. Each method is tried from up to twelve origins of the past, with what was known then; the seasonal naive
    one is kept where it has erred no more. Intervals come from each method's own past errors. Both assume that the
    next periods are like the past: no new event, no new course.

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
        empty, untried = (
            pd.DataFrame(columns=c) for c in (["period", "churn_rate", "ci_lower", "ci_upper"], _BACKTEST)
        )
        return ChurnForecast(about=about, table=empty, name="churn_forecast", series=series, backtest=untried)
    periods = period_values(series["period"])
    calendar = Calendar.of(periods, about.time_unit, after_events(series["period"].tolist(), about))
    lost, n = (series[c].to_numpy(float) for c in ("n_churned_opening", "n_opening"))
    trials = list(tried(lost, n, calendar))
    method = METHODS[0] if is_year_ago_as_good(trials, lost / n) else METHODS[1]
    rates = forecast(usual_roots(lost, n, calendar, len(series)), calendar, method)
    return ChurnForecast(
        about=about,
        table=_table(rates, series, counts.frame),
        name="churn_forecast",
        series=series,
        backtest=_backtest(trials, lost / n),
        method=method,
    )


def _backtest(trials: list[tuple[int, dict[str, np.ndarray]]], rate: np.ndarray) -> pd.DataFrame:
    """Forecasts from the last origins beside what came."""
    rows = [
        (origin, k + 1, method, rate[origin + k], *made[method][k])
        for origin, made in trials
        for method in METHODS
        for k in range(len(made[method]))
    ]
    return pd.DataFrame(rows, columns=_BACKTEST)


_BACKTEST = ["origin", "ahead", "method", "actual", "forecast", "lower", "upper"]


def _table(rates: np.ndarray, series: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    last = Period.parse(series["period"].iloc[-1])
    made = pd.DataFrame(rates, columns=["churn_rate", "ci_lower", "ci_upper"])
    made.insert(0, "period", [str(last.shift(k + 1)) for k in range(AHEAD)])
    later = frame.loc[frame["period"] == made["period"].iloc[0], "n_opening"]
    opening = int(later.iloc[0]) if len(later) else int(series["n_opening"].iloc[-1])
    lost = {
        "n_churned_opening": (made["churn_rate"] * opening).round().astype(int),
        "n_lower": np.floor(made["ci_lower"] * opening).astype(int),
        "n_upper": np.ceil(made["ci_upper"] * opening).astype(int),
    }
    return made.assign(n_opening=opening, **lost)
