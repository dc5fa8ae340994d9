"""Is it unusual: control charts on a frozen baseline; the verdict, even churn (均匀流失) or patterned (规律性流失)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import Baseline, Event, Period, Segment
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement, period_values, table_columns
from churnlib.trend.changepoint import ChangePoints, change_points
from churnlib.trend.groups import HIDES, GroupCharts, group_charts, run_of_signals
from churnlib.trend.pchart import SHORTEST, Usual, control_limits
from churnlib.trend.season import YEARS
from churnlib.trend.series import complete_periods, covered
from churnlib.trend.usual import declared_periods, usual_periods

PLOTTED = 48
NAMED = 3  # groups named in the verdict


@dataclass(frozen=True, kw_only=True)
class ControlChart(Result):
    """The churn rate of all customers against the limits of its usual variation, and what is to be made of it.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per complete period: counts, `churn_rate`, `expected`, `lower`, `upper` in [0, 1], `deviation` (standard
        deviations of a further period), `p_value`, `beyond` (-1, 0, 1: below, within, above the limits; 0 in the
        baseline), `in_baseline`.
    groups : GroupCharts or None
        The same for groups of customers.
    usual : Usual or None
        What the baseline says; None when it is too short.
    declared : Baseline or None
        The declared baseline that the limits are frozen to; None where one was found.
    changes : ChangePoints
        The lasting changes of the rate; their dates are in the chart.
    """

    groups: GroupCharts | None
    usual: Usual | None
    declared: Baseline | None
    changes: ChangePoints
    module = "control"
    columns = table_columns(
        "period n_opening n_churned_opening churn_rate expected:pct lower upper deviation:signed.1",
        Column("beyond", "term", prefix="control.beyond"),
        Column("in_baseline", "term", prefix="results.complete"),
    )

    @property
    def shown(self) -> pd.DataFrame:
        return disclosure.protect(self.table, self.about, hides=HIDES)

    @property
    def verdict(self) -> str:
        """Give the key of the verdict: even churn, patterned churn by one of three rules, or why there is none."""
        now = self._now()
        if now is None or now.flag:
            return "control.not_shown"
        if self.usual is None:
            return "control.short"
        if now.beyond:
            return "control.patterned.high" if now.beyond > 0 else "control.patterned.low"
        found = self.groups.signals if self.groups is not None else ()
        if len(found):
            return "control.patterned.group_high" if found["beyond"].max() > 0 else "control.patterned.group_low"
        if self.shift:
            side, _, faded = self.shift
            return f"control.even.faded_{side}" if faded else f"control.patterned.shift_{side}"
        if self.changes.drift:
            return "control.even.drift"
        return "control.even" if self.groups is not None and self.groups.n_judged else "control.even.whole"

    @property
    def shift(self) -> tuple[str, Period, bool] | None:
        """A lasting change after the baseline, away from what is usual: "high" or "low", since when, whether it faded.

        It has when the rate is nearer to the usual again than to the new level, and is no signal then: its own end is
        dated later, when more periods have followed it.
        """
        if self.usual is None or not len(self.changes.table):
            return None
        last, rate = self.changes.table.iloc[0], self.table["churn_rate"].iloc[-1]
        usual = self._base["churn_rate"].mean()
        leads_away = abs(last["after"] - usual) > abs(last["before"] - usual)
        if last["period"] <= self._base["period"].iloc[-1] or not leads_away:
            return None
        faded = abs(rate - last["after"]) > abs(rate - usual)
        return "high" if last["change"] > 0 else "low", Period.parse(last["period"]), bool(faded)

    @property
    def _base(self) -> pd.DataFrame:
        """The periods of the baseline."""
        return self.table[self.table["in_baseline"].astype(bool)]

    @property
    def findings(self) -> tuple[Finding, ...]:
        key, now = self.verdict, self._now()
        values = self._values(now)
        head = Finding(key, values)
        if key.startswith("control.patterned"):
            tone = "worse" if key.endswith("high") else "better"
            # customers more or fewer than usual: of all, or of the groups that stand out
            weight = float(self.groups.signals["excess"].abs().max()) if "group" in key else values["excess"]
            head = replace(head, grade="moderate", tone=tone, weight=weight)
        if key in ("control.not_shown", "control.short"):
            return (head,)
        return tuple(f for f in (head, self._since(now), self._where(key)) if f is not None)

    def _now(self):
        rows = self.shown[self.shown["period"] == str(self.about.period)]
        return next(rows.itertuples(), None)

    def _values(self, now) -> dict:
        values = {"period": self.about.period, "least": SHORTEST, "n": len(self._base)}
        if now is None:
            return values | {"opening": 0}
        values |= {"rate": now.churn_rate, "lower": now.lower, "upper": now.upper, "opening": now.n_opening}
        values |= {"excess": abs(now.churn_rate - now.expected) * now.n_opening}
        if self.shift:
            values["since"] = self.shift[1]
        if self.groups is not None:
            values |= {"n_groups": self.groups.n_judged, "groups": self.groups.named(NAMED)}
        return values

    def _since(self, now) -> Finding | None:
        """Since when the rate has been beyond its limits, or when it came back."""
        judged = self.shown[~self.shown["in_baseline"].astype(bool)]
        first = run_of_signals(judged["beyond"])
        periods = period_values(judged["period"])
        if now.beyond and first < len(judged) - 1:
            side = "high" if now.beyond > 0 else "low"
            return Finding(f"control.since.{side}", {"first": periods[first], "n": len(judged) - first})
        past = np.flatnonzero((judged["beyond"] != 0) & judged["churn_rate"].notna())  # of those that may be shown
        if now.beyond or not past.size:
            return None
        start, last = run_of_signals(judged["beyond"].iloc[: past[-1] + 1]), past[-1]
        values = {"first": periods[start], "last": periods[last], "back": periods[last].shift(1), "n": int(past.size)}
        rows = judged.iloc[past]
        away = (rows["churn_rate"] - rows["expected"]) * rows["n_opening"]
        top = int((rows["churn_rate"] - judged["expected"].mean()).abs().to_numpy().argmax())
        values |= {"excess": away.sum(), "top": periods[past[top]], "top_rate": rows["churn_rate"].iloc[top]}
        key = "control.back.only" if past.size == 1 else "control.back.one" if start == last else "control.back"
        return Finding(key, values)

    def _where(self, key: str) -> Finding | None:
        """Which groups, when the verdict is about all customers."""
        if self.groups is None or key not in ("control.patterned.high", "control.patterned.low"):
            return None
        if not len(self.groups.signals):
            return Finding("control.where.everywhere", {"n_groups": self.groups.n_judged})
        return Finding("control.where", {"groups": self.groups.named(NAMED), "n": len(self.groups.signals)})

    @property
    def subtitle(self) -> Statement | None:
        return Statement("control.subtitle", covered(self.table, self.about)) if len(self.table) else None

    @property
    def notes(self) -> tuple[Statement, ...]:
        base = self._base
        if self.usual is None or not len(base):
            return ()
        values = {"first": base["period"].iloc[0], "last": base["period"].iloc[-1], "n": len(base)}
        between = self.table[self.table["period"].between(values["first"], values["last"])]
        gone = between.loc[~between["in_baseline"].astype(bool), "period"].tolist()
        left_out = (Statement("control.note.left_out", {"periods": gone}),) if gone else ()
        unusable = self.declared is None and self.about.baseline is not None
        kind = "declared" if self.declared else "unusable" if unusable else "found"
        season = "season" if self.usual.seasonal else "no_season"
        return (
            Statement(f"control.note.baseline.{kind}", values | {"least": SHORTEST}),
            *left_out,
            Statement("control.note.limits", {"sigma": self.usual.sigma}),
            Statement(f"control.note.{season}", {"years": YEARS}),
            Statement("control.note.rules"),
        )

    def plot(self, ax=None):
        shown = self.shown.tail(PLOTTED)
        if not len(shown) or shown["churn_rate"].isna().all():
            return None
        return plots.line(
            period_values(shown["period"]),
            shown["churn_rate"].tolist(),
            lower=shown["lower"].tolist(),
            upper=shown["upper"].tolist(),
            limits=True,
            signals=[i for i, beyond in enumerate(shown["beyond"]) if beyond],
            spans=self.changes.spans(shown["period"].tolist()),
            tone=self.findings[0].tone,
            events=(*self._end_of_baseline(), *self.about.events),
            ax=ax,
        )

    def _end_of_baseline(self) -> tuple[Event, ...]:
        if self.usual is None or not len(self._base):
            return ()
        return (Event(Period.parse(self._base["period"].iloc[-1]).last, text.label("control.baseline_ends")),)


def control_chart(counts, groups: Iterable = (), *, baseline: str = "") -> ControlChart:
    """Hold the churn rate against its usual variation and say whether it is even or patterned.

    Laney's p' chart with action limits from the baseline's own standard deviation and no run rules: those raise false
    alarms to 2-9 % a month, and lasting shifts are found by `change_points` better. Patterned churn is a period beyond
    its limits; or a group of customers beyond its own (false discoveries among all groups held at 1 %); or a lasting
    change of the last year away from what was usual. All else is even churn, which nobody needs to explain.

    Parameters
    ----------
    counts : Counts
        From `period_counts(data)`: all customers.
    groups : iterable of Counts
        From `period_counts(data, by=...)`, one for each segment to look into.
    baseline : str, optional
        "2023-01..2024-12": the periods that are declared usual, frozen from report to report; if not given, those that
        the data set declares. Else a baseline is found: the complete periods before the last year (at least half a year
        of them; with less, those before the report's period), from their last lasting change on, without periods that
        stand out from the others, such as a crisis.

    Returns
    -------
    ControlChart
        One row per complete period up to the report's own.

    Raises
    ------
    UsageError
        If the baseline named here is no two periods, or holds fewer than 6 complete ones of the report's unit. One that
        the data set declares is then left aside, and a note says so.
    """
    about = counts.about
    series = complete_periods(counts.frame, about)
    declared = Baseline.parse(baseline) if baseline else about.baseline
    inside, is_declared = usual_periods(series, about, declared)
    if baseline and not is_declared:
        n = int(declared_periods(series, declared).sum())
        raise text.UsageError("control.bad_baseline", baseline=baseline, least=SHORTEST, n=n)
    table, usual = control_limits(series, inside, about.time_unit)
    divided, charts = list(groups), None
    if divided and usual is not None:
        charts = group_charts(divided, series.loc[inside, "period"].tolist(), about, not is_declared)
    return ControlChart(
        about=about.by(Segment()) if not about.segment.name else about,
        table=table,
        name="control_chart",
        groups=charts,
        usual=usual,
        declared=declared if is_declared else None,
        changes=replace(change_points(counts), drawn=False),
    )
