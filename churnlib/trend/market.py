"""How do we compare: the user's benchmarks as reference lines with their source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import UNITS, YEAR, Period
from churnlib.intervals import overdispersion, wilson
from churnlib.show import plots
from churnlib.show.results import Finding, Result, Statement, period_values, table_columns
from churnlib.trend.series import PLOTTED, complete_periods
from churnlib.trend.usual import usual_and_beyond

DOUBTFUL = 5  # times our rate: more likely another unit of time than another market


@dataclass(frozen=True, kw_only=True)
class MarketComparison(Result):
    """Our churn rate beside benchmarks.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per benchmark, the latest first: `industry`, `period` (as written), `benchmark` (per period of the
        report's unit), `churn_rate` (ours, over the same stretch) with `ci_lower`, `ci_upper`, `gap` (ours less the
        benchmark), `is_clear`, `source`.
    course : pandas.DataFrame
        One row per complete period up to the report's: `period`, `churn_rate`.
    """

    course: pd.DataFrame
    module = "market"
    folded = False
    columns = table_columns(
        "industry:label stretch:text benchmark:pct churn_rate ci_lower ci_upper gap:points source:label"
    )

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.table.empty:
            return (Finding("market.none"),)
        told = self.table[self.table["churn_rate"].notna()]
        if told.empty:
            return (Finding("market.no_overlap"),)
        return tuple(self._of(row) for row in told.groupby("industry", sort=False).head(1).head(3).itertuples())

    def _of(self, row) -> Finding:
        ratio = max(row.benchmark, 1e-12) / max(row.churn_rate, 1e-12)
        names = ("industry", "stretch", "benchmark", "churn_rate", "gap", "source")
        values = {name: getattr(row, name) for name in names}
        if not 1 / DOUBTFUL <= ratio <= DOUBTFUL:
            return Finding("market.doubt", values)
        if not row.is_clear:
            return Finding("market.same", values)
        way, tone = ("above", "worse") if row.gap > 0 else ("below", "better")
        return Finding(f"market.{way}", values, grade="weak", tone=tone, weight=abs(row.gap) * row.n_opening)

    @property
    def subtitle(self) -> Statement | None:
        return Statement("market.subtitle") if len(self.table) and len(self.course) else None

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("market.note.source"), Statement("market.note.ours")) if len(self.table) else ()

    def plot(self, ax=None):
        if self.table.empty or self.course.empty:
            return None
        shown = self.course.tail(PLOTTED)
        periods = period_values(shown["period"])
        lines = [(name, _line(rows, periods)) for name, rows in self.table.groupby("industry", sort=False)]
        known = [(str(name), values) for name, values in lines if np.isfinite(values).any()]
        own = plots.Track(text.say("market.ours"), shown["churn_rate"].tolist(), references=known)
        return plots.aligned([own], periods, events=self.about.events, height=240, ax=ax)


def _line(rows: pd.DataFrame, periods: list[Period]) -> list[float]:
    """A benchmark over the periods that it covers; one without a period covers all."""
    out = np.full(len(periods), np.nan)
    for row in rows.iloc[::-1].itertuples():
        stretch = _stretch(row.period)
        out[[stretch is None or stretch.holds(period) for period in periods]] = row.benchmark
    return out.tolist()


def _stretch(written) -> Period | None:
    try:
        return Period.parse(written) if isinstance(written, str) else None
    except text.UsageError:
        return None


def market_comparison(counts, benchmarks, per: str | None = None) -> MarketComparison:
    """Hold our churn rate against benchmarks.

    Parameters
    ----------
    counts : Counts
        From `period_counts(data)`.
    benchmarks : Counts
        From `benchmark_rows(data)`.
    per : {"week", "month", "quarter", "year"}, optional
        Of which time the benchmarks' rates are; the report's unit if not given. Rates of another length are converted
        at a constant risk.

    Returns
    -------
    MarketComparison
        One row per benchmark.
    """
    about, unit = counts.about, counts.about.period.unit
    if per and per not in UNITS:
        raise text.UsageError("market.unknown_unit", unit=per, known=list(UNITS))
    frame = complete_periods(counts.frame, about)
    usual, _ = usual_and_beyond(frame, about)
    sigma = overdispersion(usual["n_churned_opening"], usual["n_opening"])
    steps = YEAR[per or unit] / YEAR[unit]  # a month is a twelfth of the year that a yearly rate is of
    rows = [_compared(row, frame, sigma, steps, about) for row in benchmarks.frame.itertuples()]
    table = pd.DataFrame(rows)
    if len(table):
        earlier = [1 if (s := _stretch(p)) is None else -s.last.toordinal() for p in table["period"]]
        table = table.iloc[np.argsort(earlier, kind="stable")].reset_index(drop=True)
    enough = frame["n_opening"] >= about.min_denominator
    course = frame.loc[enough, ["period", "churn_rate"]]
    return MarketComparison(about=about, table=table, name="market_comparison", course=course)


def _compared(row, frame: pd.DataFrame, sigma: float, steps: float, about) -> dict:
    stretch = _stretch(row.period)
    periods = period_values(frame["period"])
    if stretch is None:  # without a period of its own: the last year
        inside = np.arange(len(periods)) >= len(periods) - YEAR[about.period.unit]
    else:
        inside = np.array([stretch.holds(period) for period in periods], bool)
        covered = sum(p.days for p, is_in in zip(periods, inside, strict=True) if is_in)
        inside &= covered >= stretch.days  # part of a year is not the year
    n, d = (float(frame.loc[inside, c].sum()) for c in ("n_opening", "n_churned_opening"))
    shown, rate, lower, upper = n >= about.min_denominator and d >= about.privacy_k, np.nan, np.nan, np.nan
    if shown:
        rate, (lower, upper) = d / n, map(float, wilson(d / sigma**2, n / sigma**2, about.conf_level))
    benchmark = 1 - (1 - min(row.churn_rate, 1.0)) ** steps
    return {
        "industry": _named(row, "industry"),
        "period": row.period,
        "stretch": stretch or (row.period if isinstance(row.period, str) else text.label("market.any_time")),
        "benchmark": benchmark,
        "churn_rate": rate,
        "ci_lower": lower,
        "ci_upper": upper,
        "gap": rate - benchmark,
        "is_clear": bool(shown and not lower <= benchmark <= upper),
        "n_opening": n / max(int(inside.sum()), 1),
        "source": _named(row, "source"),
    }


def _named(row, column: str) -> text.Label:
    """Give a name in both languages, where the user has given both."""
    told = [name for name in (getattr(row, column), getattr(row, f"{column}_en", None)) if isinstance(name, str)]
    return text.Label(told[0], told[-1]) if told else text.Label.of(text.MISSING)
