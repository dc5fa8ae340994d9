"""Where it is unusual: a control chart for every group of customers, with false-discovery control."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import YEAR, About, Event, Period, Segment
from churnlib.intervals import benjamini_hochberg, difference
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement, period_values, table_columns
from churnlib.text import Label
from churnlib.trend.pchart import SHORTEST, Usual, control_limits, screened
from churnlib.trend.series import complete_periods
from churnlib.trend.shrinkage import beta_posterior, count_tails, shrunk_departures, shrunk_variation

FALSE_DISCOVERY = 0.01  # of the reports without a cause: as rare as the alarms of the whole
MOST = 0.6  # of its days that a quarter has to have in the baseline's months
FEWEST = 3  # levels from which on their rates are drawn together
PANELS = 12
PLOTTED = 25
HIDES = ("n_churned_opening", "churn_rate", "expected", "lower", "upper", "spread", "deviation", "p_value")


@dataclass(frozen=True, kw_only=True)
class GroupCharts(Result):
    """Groups of customers against the limits of their own usual variation in the report's period.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per group, those that stand out first, then by deviation: `segment`, `level`, `group` (both, named),
        counts, `churn_rate`, `expected`, `lower`, `upper`, `deviation`, `p_value`, `beyond` (-1, 0, 1: beyond its
        limits, false discoveries among all groups held at 1 %), `excess` (customers more than usual, drawn towards what
        all groups show), `since` (first period of the unbroken run of signals).
    courses : pandas.DataFrame
        One row per group and complete period, the same columns.
    loyal : tuple of (str, str)
        Segment and level of those who have stayed longest.
    events : dict
        Segment and level -> the company events that touched it.
    """

    courses: pd.DataFrame
    loyal: tuple[tuple[str, str], ...] = ()
    events: dict[tuple[str, str], tuple[Event, ...]] = field(default_factory=dict)
    module = "control"
    columns = table_columns(
        "group:text n_opening n_churned_opening churn_rate lower upper deviation:signed.1",
        Column("beyond", "term", prefix="control.beyond"),
        "excess:signed since:period flag",
    )

    @property
    def shown(self) -> pd.DataFrame:
        return self.table  # protected when it was made: only what may be shown can be a signal

    @property
    def signals(self) -> pd.DataFrame:
        """The groups beyond their limits."""
        return self.table[self.table["beyond"] != 0]

    @property
    def n_judged(self) -> int:
        """Groups that are large enough and have a baseline."""
        return int(self.table["deviation"].notna().sum())

    def named(self, most: int) -> list[Label]:
        """Name the groups that stand out, the largest departure first."""
        return self.signals["group"].tolist()[:most]

    @property
    def findings(self) -> tuple[Finding, ...]:
        if not self.n_judged:
            return (Finding("control.groups.too_small", {"n": len(self.table)}),)
        told = [f for f in (self._side(1), self._loyal(), self._side(-1)) if f is not None]
        return (*(told or [Finding("control.groups.none", {"n": self.n_judged})]), *self._half())

    def _side(self, side: int) -> Finding | None:
        found = self.signals[self.signals["beyond"] == side]
        if not len(found):
            return None
        top = found.iloc[0]
        values = {"n": len(found), "all": self.n_judged, "group": top.group, "others": found["group"].tolist()[1:5]}
        values |= {"rate": top.churn_rate, "lower": top.lower, "upper": top.upper, "excess": abs(top.excess)}
        word, tone = ("high", "worse") if side > 0 else ("low", "better")
        key = f"control.groups.{word}" + (".one" if len(found) == 1 else "")
        return Finding(key, values, grade="moderate", tone=tone, weight=abs(top.excess))

    def _loyal(self) -> Finding | None:
        """Loyal customers who leave in numbers: the pattern that the texts warn of first."""
        high = self.signals[self.signals["beyond"] > 0].itertuples()
        row = next((row for row in high if (row.segment, row.level) in self.loyal), None)
        if row is None:
            return None
        values = {"group": row.group, "rate": row.churn_rate, "upper": row.upper, "excess": row.excess}
        return Finding("control.groups.loyal", values, grade="moderate", tone="worse", weight=row.excess)

    def _half(self) -> tuple[Finding, ...]:
        """The group that half of the last year's lost or more belong to: a share is no rate, so both are told."""
        counts, found = ["n_churned_opening", "n_opening"], []
        periods = sorted(self.courses["period"].unique())[-YEAR[self.about.period.unit] :]
        for _, rows in self.courses[self.courses["period"].isin(periods)].groupby("segment", sort=False):
            sums = rows.groupby("group", sort=False)[counts].sum()
            if len(sums) >= FEWEST and (rows["flag"] == "").all() and sums["n_churned_opening"].sum():
                top = sums["n_churned_opening"].idxmax()
                found.append((top, *sums.loc[top], *sums.sum()))
        group, d, n, lost, base = max(found, key=lambda row: row[1] / row[3], default=(None, 0, 1, 1, 1))
        if d < lost / 2 or n >= base:
            return ()
        lower, upper = difference(d, n, lost - d, base - n, conf_level=1 - (1 - self.about.conf_level) / len(found))
        word = "higher" if lower > 0 else "lower" if upper < 0 else "alike"
        values = {"group": group, "share": d / lost, "base": n / base, "rate": d / n, "rest": (lost - d) / (base - n)}
        return (Finding(f"control.groups.half.{word}", values | {"n": len(periods), "period": self.about.period}),)

    @property
    def subtitle(self) -> Statement:
        n = min(len(self._panels()), PANELS)
        return Statement("control.groups.subtitle", {"period": self.about.period, "n": n})

    @property
    def notes(self) -> tuple[Statement, ...]:
        values = {"share": FALSE_DISCOVERY, "n": self.n_judged}
        coarser = (Statement("control.groups.coarser", {"period": self.about.period}),) if self.about.reported else ()
        return (*coarser, Statement("control.groups.note", values), self.small_note)

    def _panels(self) -> pd.DataFrame:
        """The groups that are drawn: those that stand out, and those that lose enough for a course to be seen."""
        enough = self.table["expected"] * self.table["n_opening"] >= self.about.privacy_k
        return self.table[self.table["deviation"].notna() & (enough | (self.table["beyond"] != 0))]

    def plot(self, ax=None):
        chosen = self._panels().head(PANELS)
        if not len(chosen):
            return None
        periods = sorted(self.courses["period"].unique())[-PLOTTED:]
        panels = [self._panel(row, periods) for row in chosen.itertuples()]
        return plots.small_multiples(panels, period_values(periods), ax=ax)

    def _panel(self, row, periods: list[str]) -> plots.Panel:
        own = self.courses[(self.courses["segment"] == row.segment) & (self.courses["level"] == row.level)]
        own = own.set_index("period").reindex(periods)
        tone = {1: "worse", -1: "better"}.get(row.beyond, "steady")
        return plots.Panel(
            str(row.group),
            own["churn_rate"].tolist(),
            own["lower"].tolist(),
            own["upper"].tolist(),
            said=text.show(row.churn_rate, "pct"),
            tone=tone,
            signals=[i for i, beyond in enumerate(own["beyond"]) if beyond in (1, -1)],
            events=self.events.get((row.segment, row.level), ()),
        )


def group_charts(groups: Sequence, baseline: list[str], about: About, screen: bool = True) -> GroupCharts:
    """Hold every group against the limits of its own baseline, what it varies by drawn towards what all groups do.

    Parameters
    ----------
    groups : sequence of Counts
        From `period_counts(data, by=...)`, one for each segment.
    baseline : list of str
        The periods that say what is usual, the same for all groups.
    about : About
    screen : bool
        Set a group's own outstanding periods aside (not of a declared baseline).

    Returns
    -------
    GroupCharts
        One row per group.
    """
    about = replace(about, period=groups[0].about.period, reported=groups[0].about.reported)
    usual = period_values(baseline)
    series = [level for counts in groups for level in _levels(counts, usual, screen)]
    courses = [_course(level, usual) for level, usual in zip(series, _borrowed(series), strict=True)]
    frame = _false_discoveries(_protected(pd.concat(courses, ignore_index=True), about))
    now = frame[frame["period"] == str(about.period)].copy()
    drawn = shrunk_departures(now["deviation"].to_numpy(float))
    now["excess"] = drawn * now["spread"] * np.sqrt(now["expected"] * (1 - now["expected"]) * now["n_opening"])
    since = {key: _since(rows) for key, rows in frame.groupby(["segment", "level"], sort=False)}
    now["since"] = [since[key] for key in zip(now["segment"], now["level"], strict=True)]
    order = np.lexsort((-now["deviation"].abs().fillna(-1).to_numpy(), (now["beyond"] == 0).to_numpy()))
    segments = [counts.about.segment for counts in groups]
    return GroupCharts(
        about=about,
        table=now.iloc[order].reset_index(drop=True),
        name="control_by_group",
        courses=frame,
        loyal=tuple((s.name, s.loyal) for s in segments if s.loyal),
        events={(s.name, v): _touching(about.events, s, v) for s in segments for v in s.levels},
    )


def _touching(events: Sequence[Event], segment: Segment, level: str) -> tuple[Event, ...]:
    """The events that touched a level, as far as they name its segment, and those for everybody."""
    return tuple(event for event in events if not event.scope or level in segment.within(event.named))


@dataclass(frozen=True)
class _Level:
    """One group: its complete periods, those of its baseline, and what they say (None: too few)."""

    segment: str
    level: str
    label: Label
    series: pd.DataFrame
    inside: np.ndarray
    time_unit: str
    usual: Usual | None


def _levels(counts, baseline: Sequence[Period], screen: bool) -> Iterator[_Level]:
    segment, unit = counts.about.segment, counts.about.time_unit
    names = counts.frame["period"].unique()
    usual = {name: _is_usual(period, baseline) for name, period in zip(names, period_values(names), strict=True)}
    for level, rows in counts.frame.groupby("level", sort=False):
        series = complete_periods(rows, counts.about)
        inside = series["period"].map(usual).to_numpy(bool)
        if screen and inside.sum() >= SHORTEST:
            inside = screened(series, inside, unit)
        label = Label.joined((segment.label, segment.label_of(level)), ": ", "：")
        yield _Level(segment.name, level, label, series, inside, unit, control_limits(series, inside, unit)[1])


def _is_usual(period: Period, baseline: Sequence[Period]) -> bool:
    """Tell whether most days of a period, of any unit, lie in the periods of a baseline."""
    return sum(p.days for p in baseline if period.holds(p)) >= MOST * period.days


def _borrowed(levels: Sequence[_Level]) -> list[Usual | None]:
    """What each group varies by, drawn towards what all groups do; its rate, towards the other levels' of its segment.

    Both weigh a group's own by how well it is known: a rate by its baseline's losses, less what months vary by.
    """
    judged = [i for i, level in enumerate(levels) if level.usual is not None]
    found = [level.usual for level in levels]
    if judged:
        own = np.array([(found[i].variance, found[i].freedom, found[i].expected) for i in judged])
        for i, variance, freedom in zip(judged, *shrunk_variation(*own.T), strict=True):
            found[i] = replace(found[i], variance=float(variance), freedom=float(freedom))
    for name in dict.fromkeys(levels[i].segment for i in judged):
        known = [i for i in judged if levels[i].segment == name]
        if len(known) >= FEWEST:
            for i, usual in zip(known, _pooled([levels[i] for i in known], [found[i] for i in known]), strict=True):
                found[i] = usual
    return found


def _pooled(levels: Sequence[_Level], usuals: Sequence[Usual]) -> Iterator[Usual]:
    """The usual rates of a segment's levels, drawn towards each other: beta-binomial, less what months vary by."""
    columns = ["n_churned_opening", "n_opening"]
    d, n = np.array([level.series.loc[level.inside, columns].sum() for level in levels], float).T
    variance = np.array([usual.sigma**2 for usual in usuals])
    after, before = beta_posterior(d / variance, n / variance), np.maximum(d, 0.5) / n
    drawn, own = after[0] / sum(after) / before, n / variance / sum(after)
    return (replace(u, drawn=float(r), own=float(o)) for u, r, o in zip(usuals, drawn, own, strict=True))


def _course(level: _Level, usual: Usual | None) -> pd.DataFrame:
    """One group's chart; its limits reach at least as far as chance does in small counts."""
    table, _ = control_limits(level.series, level.inside, level.time_unit, usual)
    if usual is not None:
        n = table["n_opening"].to_numpy(float)
        spread, expected = table["spread"].to_numpy(), table["expected"].to_numpy() * n
        p_value, lowest, highest = count_tails(table["n_churned_opening"].to_numpy(), expected, spread)
        table["lower"], table["upper"] = np.minimum(table["lower"], lowest / n), np.maximum(table["upper"], highest / n)
        table["p_value"] = np.maximum(table["p_value"], p_value)
        is_inside = table["churn_rate"].between(table["lower"], table["upper"])
        table["beyond"] = table["beyond"].where(~is_inside, 0)
    return table.assign(segment=level.segment, level=level.level, group=[level.label] * len(table))


def _protected(charts: pd.DataFrame, about: About) -> pd.DataFrame:
    """The groups' charts as they may be shown: only what may be shown can be a signal."""
    shown = disclosure.protect(charts, about, hides=HIDES, within=("segment", "period"))
    return shown.assign(beyond=shown["beyond"].where(shown["flag"] == "", 0))


def _false_discoveries(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep a signal only where it survives the number of groups that were looked at in its period."""
    out = frame.copy()
    for _, rows in out.groupby("period"):
        real = benjamini_hochberg(rows["p_value"].to_numpy(float), FALSE_DISCOVERY)
        out.loc[rows.index[~real], "beyond"] = 0
    return out


def run_of_signals(beyond: pd.Series) -> int:
    """Give where the unbroken run of signals on one side begins that ends with the last period."""
    sides = beyond.to_numpy()
    first = len(sides) - 1
    while first > 0 and sides[first - 1] == sides[-1] != 0:
        first -= 1
    return first


def _since(rows: pd.DataFrame) -> str | None:
    return rows["period"].iloc[run_of_signals(rows["beyond"])] if rows["beyond"].iloc[-1] else None
