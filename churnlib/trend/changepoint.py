"""Since when: the periods from which the churn rate took a new level or course, each with an interval for its date."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnlib.about import YEAR, Period
from churnlib.show import plots
from churnlib.show.results import Column, Finding, Result, Statement, period_values, table_columns
from churnlib.trend.season import YEARS, lengths, season_terms
from churnlib.trend.segmentation import SINGLE, Segmentation, segment
from churnlib.trend.series import PLOTTED, complete_periods, covered, shown_series

SHORTEST = 12  # complete periods needed
LONGEST = 160  # periods looked at: three years of weeks
FEWEST = 5.0  # customers lost in a period, on average: below, the series is made of chance
TOLD = 3  # changes told as findings, the latest first


@dataclass(frozen=True, kw_only=True)
class ChangePoints(Result):
    """The lasting changes of the churn rate.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per change, the latest first: `period` (the first one under the new rule) with `lower`, `upper` (95 %),
        `kind` ("step" or "slope"), `shape` (what happens from then on, see `_shape`), the fitted rate `before` (in the
        period before it) and `after` (a step's new level; where a slope has led to, at the next change or the end),
        `change` = after - before, `slope` (a period, in shares).
    series : pandas.DataFrame
        One row per complete period looked at: `period`, counts, `churn_rate`, `fitted` (the course without season and
        length of month).
    noise : float
        Overdispersion, with the factor for correlated neighbours, as a multiple of chance variance; NaN if too short.
    drift : float
        Slope per period that has lasted since the series began; 0 if there is none to speak of.
    seasonal : bool
        Whether a season was fitted beside the changes.
    drawn : bool
        Whether it has a figure of its own; beside a control chart that shows the dates it has none.
    """

    series: pd.DataFrame
    noise: float = float("nan")
    drift: float = 0.0
    seasonal: bool = False
    drawn: bool = True
    module = "changepoint"
    folded = False
    columns = table_columns(
        "period lower:period upper:period",
        Column("shape", "term", prefix="changepoint.shape"),
        "before:pct after:pct change",
    )

    @property
    def tucked(self) -> bool:
        return not self.drawn and not len(self.table)

    @property
    def findings(self) -> tuple[Finding, ...]:
        n = len(self.series)
        if np.isnan(self.noise):
            return (Finding("changepoint.short", {"n": n, "least": SHORTEST}),)
        if not len(self.table) and self.drift:
            return (self._drift_finding(),)
        if not len(self.table):
            values = {"first": Period.parse(self.series["period"].iloc[0]), "n": n, "least": self.detectable()}
            return (Finding("changepoint.none", values),)
        return tuple(self._finding(row) for row in self.table.head(TOLD).itertuples())

    def _drift_finding(self) -> Finding:
        before, after = self.series["fitted"].iloc[[0, -1]]
        values = {"first": Period.parse(self.series["period"].iloc[0]), "n": len(self.series), "slope": self.drift}
        values |= {"before": before, "after": after}
        way, tone = ("rise", "worse") if self.drift > 0 else ("fall", "better")
        weight = self._customers(0, before)
        return Finding(f"changepoint.drift.{way}", values, grade="moderate", tone=tone, weight=weight)

    def _finding(self, row) -> Finding:
        names = ("period", "lower", "upper")
        values = {name: Period.parse(getattr(row, name)) for name in names}
        values |= {name: getattr(row, name) for name in ("before", "after", "change", "slope")}
        values["peak"] = values["period"].shift(-1)
        tone = {"rise": "worse", "level": "steady"}.get(row.shape.partition(".")[2], "better")
        is_last = row.Index == 0  # what came before it is history, however large it was
        since = int((self.series["period"] < row.period).sum())
        weight = self._customers(since, row.before) if is_last else 0.0
        dated = "" if row.lower != row.upper else ".exact"
        return Finding(f"changepoint.{row.shape}{dated}", values, grade="moderate", tone=tone, weight=weight)

    def _customers(self, since: int, before: float) -> float:
        """How many more, or fewer, the last year has lost from a period on than at the level before it."""
        rows = self.series.iloc[max(since, len(self.series) - YEAR[self.about.period.unit]) :]
        return abs(float(((rows["fitted"] - before) * rows["n_opening"]).sum()))

    def detectable(self) -> float:
        """Give the lasting step of the last six periods that would just be found, in shares."""
        n, size = len(self.series), self.series["n_opening"].mean()
        rate = self.series["n_churned_opening"].sum() / self.series["n_opening"].sum()
        variance = self.noise * rate * (1 - rate) / size * (1 / 6 + 1 / max(n - 6, 1))
        return float(np.sqrt(SINGLE * variance))

    @property
    def subtitle(self) -> Statement | None:
        if not len(self.series) or not self.drawn:
            return None
        return Statement("changepoint.subtitle", covered(self.series, self.about))

    @property
    def notes(self) -> tuple[Statement, ...]:
        if np.isnan(self.noise):
            return ()
        method = Statement("changepoint.note.method", {"noise": self.noise, "penalty": SINGLE})
        power = Statement("changepoint.note.power", {"least": self.detectable()})
        season = Statement("changepoint.note." + ("season" if self.seasonal else "no_season"), {"years": YEARS + 1})
        return (method, power, season)

    def spans(self, periods: list[str]) -> list[tuple[int, int]]:
        """Give the places, among some periods in a row, between which each change is dated."""
        place = {period: i for i, period in enumerate(periods)}
        return [(place.get(row.lower, 0), place[row.upper]) for row in self.table.itertuples() if row.upper in place]

    def plot(self, ax=None):
        shown = shown_series(self.series, self.about).tail(PLOTTED)
        if not self.drawn or np.isnan(self.noise) or shown["churn_rate"].isna().all():
            return None
        periods = shown["period"].tolist()
        return plots.line(
            period_values(periods),
            shown["churn_rate"].tolist(),
            fitted=shown["fitted"].tolist(),
            spans=self.spans(periods),
            tone=self.findings[0].tone,
            events=self.about.events,
            ax=ax,
        )


def change_points(counts) -> ChangePoints:
    """Find since when the churn rate has had its level or course.

    Steps and changes of slope of the monthly rate, by penalised least squares on overdispersed counts: the penalty and
    the noise are justified in `segmentation.segment`. The length of months is allowed for where that makes the
    series smoother; a season (two waves and the Spring Festival) is fitted beside the changes when there are four years
    of data, the last of them being what is judged.

    Parameters
    ----------
    counts : Counts
        From `period_counts(data)`: one level, one row per period.

    Returns
    -------
    ChangePoints
        One row per change. With fewer than 12 complete periods, or fewer than 5 customers lost in a period on average,
        no change is looked for, and a finding says so.
    """
    about = counts.about
    series = complete_periods(counts.frame, about).tail(LONGEST).reset_index(drop=True)
    seasonal = len(series) >= (YEARS + 1) * YEAR[about.period.unit]
    found = Segmentation((), *[np.full(len(series), np.nan)] * 3, noise=float("nan"), drift=0.0)
    if len(series) >= SHORTEST and series["n_churned_opening"].mean() >= FEWEST:
        found = fit(series, about, seasonal)
    return ChangePoints(
        about=about,
        table=_table(found, series["period"].tolist()),
        name="change_points",
        series=series.assign(fitted=found.level),
        noise=found.noise,
        drift=found.drift,
        seasonal=seasonal,
    )


def fit(series: pd.DataFrame, about, seasonal: bool) -> Segmentation:
    """Find the changes of one level's complete periods.

    In shares of the opening base, for a period of usual length.
    """
    periods = period_values(series["period"])
    lost = series["n_churned_opening"].to_numpy(float)
    exposed = _exposed(lost, series["n_opening"].to_numpy(float), lengths(periods, about.time_unit))
    rate = min(max(lost.sum() / exposed.sum(), 1e-9), 1 - 1e-9)
    base = np.ones((len(series), 1))
    if seasonal:
        season = season_terms(periods)
        base = np.column_stack([base, season - season.mean(0)])  # the level stays that of an average month
    return segment(lost / exposed, exposed / (rate * (1 - rate)), base)


def _exposed(lost: np.ndarray, n: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Customers times days, or customers alone: some losses follow the days, others the bill at the month's end.

    The smoother series is the truer one, by its differences from period to period, which a change hardly touches.
    """
    return min((n * days, n), key=lambda exposed: float((np.diff(lost / exposed) ** 2).sum()))


_COLUMNS = ["period", "lower", "upper", "kind", "shape", "before", "after", "change", "slope"]


def _table(found: Segmentation, periods: list[str]) -> pd.DataFrame:
    rows = []
    for k, change in enumerate(found.changes):
        end = found.changes[k + 1].at - 1 if k + 1 < len(found.changes) else len(periods) - 1
        start, slope = found.level[change.at], found.slope[change.at]
        before = start - (change.size if change.kind == "step" else slope)  # where it would be without the change
        after = start if change.kind == "step" else found.level[end]
        shape = _shape(change, found.slope[change.at - 1], slope, found.slope_error[change.at])
        dates = (periods[place] for place in (change.at, change.lower, change.upper))
        rows.append((*dates, change.kind, shape, before, after, after - before, slope))
    return pd.DataFrame(rows[::-1], columns=_COLUMNS)


def _shape(change, earlier: float, slope: float, error: float) -> str:
    """Name what happens from a change on; a slope that cannot be told from none has levelled off."""
    if change.kind == "step":
        return "step.rise" if change.size > 0 else "step.fall"
    if abs(slope) < 2 * error:
        return "slope.level"
    if slope > 0:
        return "slope.rise"
    return "slope.peak" if earlier > 0 else "slope.fall"
