"""What events did: customers lost beyond the expected after each company event, and how far that may be put down to it.

The wording is a scale: *coincides with* (nothing to compare with, or other events at the same time), *consistent with*
(beyond the interval, against customers whom the event did not touch, calibrated by placebo dates), *caused* (only from
a randomised comparison, and therefore never here: see the campaigns).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import Event, Period
from churnlib.show import plots
from churnlib.show.results import Column, Finding, Result, Statement, period_values
from churnlib.statistics.changepoint import complete_periods
from churnlib.statistics.interrupted import BEFORE, PLACEBOS, Effect, Series, effect_of
from churnlib.statistics.season import YEAR, YEARS, lengths, season_terms
from churnlib.statistics.touched import AFTER, JOINT, Case, earlier_cases, event_cases, other_cases, window
from churnlib.text import Label

RECENT = 24  # periods back to which an event is told of
NAMED = 3
ESTIMATED = ("consistent", "coincides", "unclear")
VAGUE = 0.5  # an interval wider than this part of the expected on either side that holds 0 says nothing ...
ABSURD = 2.0  # ... and one wider than this says nothing wherever it lies


@dataclass(frozen=True, kw_only=True)
class EventEffects(Result):
    """What was lost beyond the expected after each event.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per event, or per group of events that cannot be told apart, the latest first: `event` (name), `touched`
        (customers), `first`, `last` (periods judged), `state` ("consistent", "coincides", "unclear"; or why there is no
        estimate: "short", "recent", "entangled", "nobody", "small"; or why it is not identified: "few", "course",
        "placebo", see `interrupted.Effect`), `n_lost`, `excess` with `ci_lower`, `ci_upper` (customers),
        `rate_ratio` with `ratio_lower`, `ratio_upper` (lost / expected), `p_value` (calibrated), `n_placebos`,
        `level`, `slope` (rate ratios of the step and per further period), `has_control`.
    """

    module: ClassVar[str] = "impact"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("event", "text"),
        Column("touched", "text"),
        Column("first", "period"),
        Column("last", "period"),
        Column("excess", "signed"),
        Column("ci_lower", "signed"),
        Column("ci_upper", "signed"),
        Column("rate_ratio", "ratio"),
        Column("p_value", "p"),
        Column("state", "term", prefix="impact.state"),
    )

    @property
    def findings(self) -> tuple[Finding, ...]:
        if not len(self.table):
            return (Finding("impact.no_events"),)
        known = self.table[self.table["state"].isin(ESTIMATED)]
        since = str(self.about.period.shift(1 - RECENT))
        clear = known[known["state"].isin(ESTIMATED[:2]) & (known["last"] >= since)]
        order = np.lexsort((-clear["excess"].abs().to_numpy(), (clear["state"] != "consistent").to_numpy()))
        told = [self._finding(row) for row in clear.iloc[order[:NAMED]].itertuples()]
        if told:
            return tuple(told)
        key = "impact.none_clear" if len(known) else "impact.none_estimated"
        return (Finding(key, {"n": len(known), "all": len(self.table)}),)

    def _finding(self, row) -> Finding:
        more = row.excess > 0
        low, high = sorted((abs(row.ci_lower), abs(row.ci_upper)))
        values = {
            "event": row.event,
            "touched": row.touched,
            "first": Period.parse(row.first),
            "last": Period.parse(row.last),
            "excess": abs(row.excess),
            "lower": low,
            "upper": high,
            "ratio": row.rate_ratio,
            "p": row.p_value,
        }
        side, grade = "more" if more else "less", "moderate" if row.state == "consistent" else "weak"
        return Finding(
            f"impact.{row.state}.{side}",
            values,
            grade=grade,
            tone="worse" if more else "better",
            weight=abs(row.excess),
        )

    @property
    def subtitle(self) -> Statement | None:
        return Statement("impact.subtitle") if self._drawn is not None else None

    @property
    def notes(self) -> tuple[Statement, ...]:
        if not len(self.table):
            return ()
        _, first, full = self.about.delay
        late = (Statement("impact.note.delay", {"first": first, "full": full}),) if full else ()
        method = Statement("impact.note.method", {"before": BEFORE})
        placebo = Statement("impact.note.placebo", {"least": PLACEBOS, "vague": VAGUE})
        return (*late, method, placebo, Statement("impact.note.scale"))

    @property
    def tucked(self) -> bool:
        return self._drawn is None

    @property
    def _drawn(self) -> pd.DataFrame | None:
        known = self.table[self.table["state"].isin(ESTIMATED)] if len(self.table) else self.table
        return known if len(known) else None

    def plot(self, ax=None):
        known = self._drawn
        if known is None:
            return None
        tone = {"unclear": "steady"}
        tones = [tone.get(r.state, "worse" if r.excess > 0 else "better") for r in known.itertuples()]
        return plots.forest(
            [str(row.event) for row in known.itertuples()],
            known["rate_ratio"].tolist(),
            known["ratio_lower"].tolist(),
            known["ratio_upper"].tolist(),
            reference=1.0,
            sides=(text.say("impact.fewer"), text.say("impact.more")),
            tones=tones,
            columns=[
                (text.say("impact.column.excess"), [text.show(v, "signed") for v in known["excess"]]),
            ],
            kind="ratio",
            digits=2,
            log=True,
            ax=ax,
        )


def event_effects(counts, scopes: Iterable = ()) -> EventEffects:
    """Estimate what every company event did, by interrupted time series of counts.

    An event that names the customers it touched (`scope`, such as "region=华南") is judged against the other levels of
    that segment, without those that other events touched at the time: season, Spring Festival and whatever meets
    everybody cancel out. An event for all customers has no such comparison: season (from three years of data before it)
    and trend are fitted, and it is never more than a coincidence. Periods before the event say what was to be expected;
    the effect may take any course; it is summed to the report's period, to the next event on the same customers or over
    one year. Where churn is counted later than its occasion (`About.delay`), so is the effect.

    Parameters
    ----------
    counts : Counts
        From `period_counts(data)`: all customers, with the events in its `about`.
    scopes : iterable of ScopeCounts
        From `scope_counts(data)`: by the segments that events name, in the same unit.

    Returns
    -------
    EventEffects
        One row per event, or per group of events on the same customers within three periods: their joint effect.
    """
    about = counts.about
    scopes = list(scopes)
    divided = {s.about.segment.name: s for s in scopes if s.event is None}
    periods = complete_periods(counts.frame, about)["period"].tolist()
    cases = event_cases(about.events, divided, periods, about.delay)
    held = {(s.event, s.about.segment.name): s for s in scopes}
    sources = [held.get((c.events[0], c.segment)) or divided.get(c.segment, counts) for c in cases]
    rows = [_row(case, cases, source, divided, periods) for case, source in zip(cases, sources, strict=True)]
    table = pd.DataFrame(rows, columns=_COLUMNS).sort_values("first", ascending=False, kind="stable", ignore_index=True)
    return EventEffects(about=about, table=table, name="event_effects")


_INTERVALS = ("excess", "ci_lower", "ci_upper", "rate_ratio", "ratio_lower", "ratio_upper")
_COLUMNS = [
    *("event", "touched", "first", "last", "state", "n_lost", *_INTERVALS),
    *("p_value", "n_placebos", "level", "slope", "has_control"),
]


def _row(case: Case, cases: list[Case], source, divided: dict, periods: list[str]) -> dict:
    about, n = source.about, len(periods)
    end, controls = window(case, cases, divided, n, YEAR[about.period.unit])
    names = [*periods, str(about.period.shift(1))]
    row = dict.fromkeys(_COLUMNS, np.nan) | {"event": _name(case.events), "touched": _who(case, divided)}
    row |= {"first": names[case.at], "last": names[max(case.at, end)], "has_control": bool(controls)}
    others = other_cases(case, cases, end)
    state = _unfit(case, controls, others, end)
    if state:
        return row | {"state": state}
    series, size = _series(case, controls, earlier_cases(case, cases, controls), source, periods)
    lost = float(series.lost[case.at : end + 1].sum())
    if size < about.min_denominator or lost < about.privacy_k:
        return row | {"state": "small"}
    effect = effect_of(series, case.at, end, skip=case.at - case.clean)
    state = _state(effect, bool(controls), bool(others))
    if state not in ESTIMATED:
        return row | {"state": state, "n_lost": lost, "n_placebos": effect.n_placebos}
    ratio = [1 + v / effect.expected for v in (effect.excess, effect.ci_lower, effect.ci_upper)]
    intervals = (effect.excess, effect.ci_lower, effect.ci_upper, *np.maximum(ratio, 0.01))
    row |= dict(zip(_INTERVALS, intervals, strict=True)) | {"p_value": effect.p_value, "n_placebos": effect.n_placebos}
    return row | {"n_lost": lost, "level": effect.level[0], "slope": effect.slope[0], "state": state}


def _state(effect: Effect, has_control: bool, has_others: bool) -> str:
    """How much may be said, or why nothing."""
    half = (effect.ci_upper - effect.ci_lower) / 2 / max(effect.expected, 1e-9)
    is_unclear = effect.ci_lower <= 0 <= effect.ci_upper
    if half > (VAGUE if is_unclear else ABSURD):
        return effect.doubt
    if is_unclear:
        return "unclear"
    sound = has_control and not has_others and effect.n_placebos >= PLACEBOS
    return "consistent" if sound else "coincides"


def _unfit(case: Case, controls: list[str], others: list[Case], end: int) -> str:
    """Why an event cannot be judged, if so."""
    if case.segment == "?":
        return "nobody"
    if case.clean < BEFORE:
        return "short"
    if end - case.at + 1 < AFTER:
        return "recent"
    near = [c for c in others if case.at - JOINT * 2 <= c.at]
    return "entangled" if not controls and near else ""


def _series(case: Case, controls, earlier: list[Case], source, periods: list[str]):
    """The counts of those touched and of those compared with, and how many were touched at the event."""
    about, year = source.about, YEAR[source.about.period.unit]
    days = lengths(period_values(periods), about.time_unit)
    lost, n = _summed(source.frame, case.levels, periods)
    compared = _summed(source.frame, controls, periods) if controls else (None, None)
    i = np.arange(len(periods))
    terms = [(i >= c.at) * 1.0 for c in earlier]
    # a slope that was seen for less than a year is not carried on for another
    terms += [np.clip(i - c.at, 0, None) / 12 for c in earlier if case.at - c.at >= BEFORE]
    columns = np.column_stack(terms) if terms else np.empty((len(i), 0))
    if not controls and case.at >= YEARS * year:
        columns = np.column_stack([season_terms(period_values(periods)), columns])
    exposed = np.maximum(n * days, 0.5)
    control_exposed = None if compared[1] is None else np.maximum(compared[1] * days, 0.5)
    return Series(lost, exposed, compared[0], control_exposed, columns), n[case.at]


def _summed(frame: pd.DataFrame, levels: Sequence[str], periods: list[str]) -> tuple[np.ndarray, np.ndarray]:
    rows = frame[frame["level"].isin(levels)] if levels else frame
    sums = rows.groupby("period")[["n_churned_opening", "n_opening"]].sum().reindex(periods, fill_value=0)
    return sums["n_churned_opening"].to_numpy(float), sums["n_opening"].to_numpy(float)


def _name(events: Sequence[Event]) -> Label:
    return Label(" + ".join(e.label.zh for e in events), " + ".join(e.label.en for e in events))


def _who(case: Case, divided: dict) -> Label:
    if not case.segment:
        return text.label("impact.everybody")
    if case.segment == "?":
        return Label(case.events[0].scope, case.events[0].scope)
    segment = divided[case.segment].about.segment
    names = [segment.label_of(level) for level in case.levels]
    zh, en = "、".join(n.zh for n in names), ", ".join(n.en for n in names)
    return Label(f"{zh}（{segment.label.zh}）的客户", f"{segment.label.en}: {en}")
