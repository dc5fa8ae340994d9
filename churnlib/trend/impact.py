"""What events did: customers lost beyond the expected after each company event, and how far that may be put down to it.

The wording is a scale: *coincides with* (nothing to compare with, or other events at the same time), *consistent with*
(beyond the interval, against customers whom the event did not touch, calibrated by placebo dates), *caused* (only from
a randomised comparison, and therefore never here: see the campaigns).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import YEAR, Event, Period, Segment
from churnlib.show import plots
from churnlib.show.results import Column, Finding, Result, Statement, period_values, table_columns
from churnlib.text import Label
from churnlib.trend.interrupted import BEFORE, DRIFT, PLACEBOS, Effect, Series, effect_of, pooled
from churnlib.trend.season import YEARS, lengths, season_terms
from churnlib.trend.series import complete_periods
from churnlib.trend.touched import AFTER, Case, earlier_cases, event_cases, other_cases, window

RECENT = 24  # periods back to which an event is told of
NAMED = 3
ESTIMATED = ("consistent", "coincides", "unclear")
VARIOUS = ("", "other", "measure")  # kinds of events that have nothing in common
VAGUE = 0.5  # an interval wider than this part of the expected on either side that holds 0 says nothing ...
ABSURD = 2.0  # ... and one wider than this part of expected or lost says nothing wherever it lies


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
        `level`, `slope` (rate ratios of the step and per further period), `has_control`, `is_cut` (judged only to the
        next event on some of these customers, or of those compared with), `within` (the row that it is part of).
    """

    module = "impact"
    columns = table_columns(
        "event:text touched:text first:period last:period excess:signed ci_lower:signed ci_upper:signed",
        "rate_ratio:ratio p_value",
        Column("state", "term", prefix="impact.state"),
    )

    @property
    def findings(self) -> tuple[Finding, ...]:
        if not len(self.table):
            return (Finding("impact.no_events"),)
        known, since = self.known, str(self.about.period.shift(1 - RECENT))
        is_clear = known["state"].isin(ESTIMATED[:2]) & (known["last"] >= since)
        wholes = set(known.loc[is_clear, "event"])  # what is told together is not told again one by one
        alone = known.loc[[whole not in wholes for whole in known["within"]]]
        clear = alone[is_clear.loc[alone.index]]
        order = np.lexsort((-clear["excess"].abs().to_numpy(), (clear["state"] != "consistent").to_numpy()))
        told = [self._finding(row) for row in clear.iloc[order[:NAMED]].itertuples()]
        key = "impact.none_clear" if len(known) else "impact.none_estimated" + (".one" if len(self.table) == 1 else "")
        told = told or [Finding(key, {"n": len(known), "all": len(self.table)})]
        open_ = alone[(alone["state"] == "unclear") & (alone["last"] >= since)].sort_values("p_value", kind="stable")
        return (*told, *map(self._unclear, open_.head(NAMED - len(told)).itertuples()))

    def _unclear(self, row) -> Finding:
        """What cannot be told from nothing is not told to be nothing."""
        values = {"event": row.event, "touched": row.touched, "excess": row.excess, "last": Period.parse(row.last)}
        values |= {"first": Period.parse(row.first), "lower": row.ci_lower, "upper": row.ci_upper}
        return Finding("impact.unclear.cut" if row.is_cut else "impact.unclear", values, grade="descriptive")

    def _finding(self, row) -> Finding:
        more = row.excess > 0
        low, high = sorted((abs(row.ci_lower), abs(row.ci_upper)))
        values = {"event": row.event, "touched": row.touched, "ratio": row.rate_ratio, "p": row.p_value}
        values |= {"first": Period.parse(row.first), "last": Period.parse(row.last)}
        values |= {"excess": abs(row.excess), "lower": low, "upper": high}
        side, tone = ("more", "worse") if more else ("less", "better")
        # that more were lost is beyond chance either way: of what is due to the event, the words say how much
        grade = "moderate" if row.n_placebos >= PLACEBOS else "weak"
        return Finding(f"impact.{row.state}.{side}", values, grade=grade, tone=tone, weight=abs(row.excess))

    @property
    def subtitle(self) -> Statement | None:
        return Statement("impact.subtitle") if len(self.known) else None

    @property
    def notes(self) -> tuple[Statement, ...]:
        if not len(self.table):
            return ()
        _, first, full = self.about.delay
        late = (Statement("impact.note.delay", {"first": first, "full": full}),) if full else ()
        method = Statement("impact.note.method", {"before": BEFORE, "drift": DRIFT})
        placebo = Statement("impact.note.placebo", {"least": PLACEBOS, "vague": VAGUE})
        return (*late, method, placebo, Statement("impact.note.scale"))

    @property
    def tucked(self) -> bool:
        return not len(self.known)

    @property
    def known(self) -> pd.DataFrame:
        """The events of which there is an estimate."""
        return self.table[self.table["state"].isin(ESTIMATED)]

    def plot(self, ax=None):
        known = self.known
        if known.empty:
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
            columns=[(text.say("impact.column.excess"), [text.show(v, "signed") for v in known["excess"]])],
            kind="ratio",
            digits=2,
            log=True,
            ax=ax,
        )


def event_effects(counts, scopes: Iterable = ()) -> EventEffects:
    """Estimate what every company event did, by interrupted time series of counts.

    An event that names the customers it touched (`scope`, such as "region=华南; age=25-34": those in both) is judged
    against the other levels of what it names, those that met the same other events: season, Spring Festival and
    whatever meets everybody cancel out; a drift apart is allowed for. An event for all customers has no such
    comparison: season (from three years of data before it) and trend are fitted, and it is never more than a
    coincidence. Periods before the event say what was to be expected; the effect may take any course; it is summed to
    the report's period, to the next event on the same customers or over one year, and of an event that has an end to
    that, half a year at least. Where churn is counted later than its occasion (`About.delay`), so is the effect.

    Parameters
    ----------
    counts : Counts
        From `period_counts(data)`: all customers, with the events in its `about`.
    scopes : iterable of ScopeCounts
        From `scope_counts(data)`: by the segments that events name, in the same unit.

    Returns
    -------
    EventEffects
        One row per event, or per group of events on the same customers within three periods: their joint effect. Events
        of one kind on different customers, of which some say too little one by one, have a row together besides.

    References
    ----------
    Rambachan, A. and Roth, J. (2023). A more credible approach to parallel trends. Review of Economic Studies 90,
    2555-2591: what is not known of trends belongs into the interval.
    """
    about = counts.about
    held = {(s.event, s.about.segment.name): s for s in scopes}
    divided = {segment: s for (event, segment), s in held.items() if event is None}
    periods = complete_periods(counts.frame, about)["period"].tolist()
    cases = event_cases(about.events, divided, periods, about.delay)
    sources = [held.get((c.events[0], c.segment)) or divided.get(c.segment, counts) for c in cases]
    judged = [_judged(case, cases, source, divided, periods) for case, source in zip(cases, sources, strict=True)]
    together = [_together(alike) for alike in _alike(judged, about)]
    within = {id(part): _name(whole) for whole in together for part in whole.of}
    rows = [_row(one, divided, about, periods) | {"within": within.get(id(one), "")} for one in (*judged, *together)]
    table = pd.DataFrame(rows, columns=_COLUMNS).sort_values("first", ascending=False, kind="stable", ignore_index=True)
    return EventEffects(about=about, table=table, name="event_effects")


_INTERVALS = ("excess", "ci_lower", "ci_upper", "rate_ratio", "ratio_lower", "ratio_upper")
_COLUMNS = [
    *("event", "touched", "first", "last", "state", "n_lost", *_INTERVALS),
    *("p_value", "n_placebos", "level", "slope", "has_control", "is_cut", "within"),
]


@dataclass(frozen=True)
class _Judged:
    """A case with its window and what came of it; the effect is None where it cannot be judged for a reason given."""

    case: Case
    end: int
    has_control: bool
    has_others: bool
    unfit: str = ""
    effect: Effect | None = None
    lost: float = 0.0
    size: float = 0.0
    of: tuple[_Judged, ...] = ()

    def state(self, about) -> str:
        """How much may be said, or why nothing."""
        if self.unfit:
            return self.unfit
        if self.size < about.min_denominator or self.lost < about.privacy_k:
            return "small"
        effect = self.effect
        is_unclear = effect.ci_lower <= 0 <= effect.ci_upper
        if effect.half > (VAGUE * effect.expected if is_unclear else ABSURD * max(effect.expected, self.lost)):
            return effect.doubt
        if is_unclear:
            return "unclear"
        sound = self.has_control and not self.has_others and effect.n_placebos >= PLACEBOS
        return "consistent" if sound else "coincides"


def _judged(case: Case, cases: list[Case], source, divided: dict, periods: list[str]) -> _Judged:
    end, controls = window(case, cases, divided, len(periods))
    others = other_cases(case, cases, controls, end)
    earlier = earlier_cases(case, cases, controls)
    # an earlier effect that is still young may fade by itself, whatever this event did
    has_others = bool(others) or any(case.at - c.at < BEFORE for c in earlier)
    one = _Judged(case, end, bool(controls), has_others, _unfit(case, controls, others, end))
    if one.unfit:
        return one
    series, size = _series(case, controls, earlier, source, periods)
    effect = effect_of(series, case.at, end, skip=case.at - case.clean)
    return replace(one, effect=effect, lost=float(series.lost[case.at : end + 1].sum()), size=float(size))


def _alike(judged: Sequence[_Judged], about) -> Iterator[list[_Judged]]:
    """Events of one kind on different customers, of which one by one not all are told: together they may be."""
    kinds: dict[tuple[str, str], list[_Judged]] = {}
    for one in judged:
        if one.effect is not None and one.has_control and one.case.events[0].kind not in VARIOUS:
            kinds.setdefault((one.case.segment, one.case.events[0].kind), []).append(one)
    for found in kinds.values():
        levels = [level for one in found for level in one.case.levels]
        untold = any(one.state(about) in ("small", "few", "course") for one in found)
        if len(found) > 1 and len(levels) == len(set(levels)) and untold:
            yield found


def _together(alike: Sequence[_Judged]) -> _Judged:
    """The joint effect of events on different customers."""
    first = min(alike, key=lambda one: one.case.at)
    levels = tuple(level for one in alike for level in one.case.levels)
    case = replace(first.case, events=tuple(e for one in alike for e in one.case.events), levels=levels)
    return _Judged(
        case,
        end=max(one.end for one in alike),
        has_control=True,
        has_others=any(one.has_others for one in alike),
        effect=pooled([one.effect for one in alike]),
        lost=sum(one.lost for one in alike),
        size=sum(one.size for one in alike),
        of=tuple(alike),
    )


def _row(one: _Judged, divided: dict, about, periods: list[str]) -> dict:
    case, effect, state = one.case, one.effect, one.state(about)
    names = [*periods, str(about.period.shift(1))]
    row = dict.fromkeys(_COLUMNS, np.nan) | {"event": _name(one), "touched": _who(case, divided), "state": state}
    row |= {"first": names[case.at], "last": names[max(case.at, one.end)], "has_control": one.has_control}
    row["is_cut"] = one.end < min(case.until, len(periods) - 1)
    if effect is None or state == "small":
        return row
    row |= {"n_lost": one.lost, "n_placebos": effect.n_placebos}
    if state not in ESTIMATED:
        return row
    ratio = [1 + v / effect.expected for v in (effect.excess, effect.ci_lower, effect.ci_upper)]
    intervals = (effect.excess, effect.ci_lower, effect.ci_upper, *np.maximum(ratio, 0.01))
    row |= dict(zip(_INTERVALS, intervals, strict=True)) | {"p_value": effect.p_value}
    return row | {"level": effect.level[0], "slope": effect.slope[0]}


def _unfit(case: Case, controls: list[str], others: list[Case], end: int) -> str:
    """Why an event cannot be judged, if so."""
    if case.segment == "?":
        return "nobody"
    if case.clean < BEFORE:
        return "short"
    if end - case.at + 1 < AFTER:
        return "recent"
    return "entangled" if others and not controls else ""


def _series(case: Case, controls, earlier: list[Case], source, periods: list[str]):
    """The counts of those touched and of those compared with, and how many were touched at the event."""
    about, year = source.about, YEAR[source.about.period.unit]
    days = lengths(period_values(periods), about.time_unit)
    lost, n = _summed(source.frame, case.levels, periods)
    compared = _summed(source.frame, controls, periods) if controls else (None, None)
    i = np.arange(len(periods))
    has_season = not controls and case.at >= YEARS * year
    terms = [season_terms(period_values(periods)) if has_season else np.empty((len(i), 0))]
    terms += [(i >= c.at) * 1.0 for c in earlier]
    # a slope that was seen for less than a year is not carried on for another
    terms += [np.clip(i - c.at, 0, None) / year for c in earlier if case.at - c.at >= BEFORE]
    columns, exposed = np.column_stack(terms), np.maximum(n * days, 0.5)
    control_exposed = None if compared[1] is None else np.maximum(compared[1] * days, 0.5)
    return Series(lost, exposed, compared[0], control_exposed, columns, year, tuple(c.at for c in earlier)), n[case.at]


def _summed(frame: pd.DataFrame, levels: Sequence[str], periods: list[str]) -> tuple[np.ndarray, np.ndarray]:
    rows = frame[frame["level"].isin(levels)] if levels else frame
    sums = rows.groupby("period")[["n_churned_opening", "n_opening"]].sum().reindex(periods, fill_value=0)
    return sums["n_churned_opening"].to_numpy(float), sums["n_opening"].to_numpy(float)


def _name(one: _Judged) -> Label:
    joint = Label.joined((e.label for e in one.case.events), " + ")
    return text.label("impact.together", n=len(one.of), events=joint) if one.of else joint


def _who(case: Case, divided: dict) -> Label:
    if not case.segment:
        return text.label("impact.everybody")
    if case.segment == "?":
        return Label(case.events[0].scope, case.events[0].scope)
    segment = divided[case.segment].about.segment
    whom = Label.joined(_parts(segment, case.events), "; ", "且")
    return text.label("impact.whom", whom=whom)


def _parts(segment: Segment, events: Sequence[Event]) -> Iterator[Label]:
    """Name what events touched of each segment."""
    for part in segment.parts or (segment,):
        levels = dict.fromkeys(v for event in events for v in part.named(event.named[part.name]))
        names = Label.joined((part.label_of(v) for v in list(levels)[:NAMED]), ", ", "、")
        key = "impact.levels" if len(levels) <= NAMED else "impact.levels_and_more"
        yield text.label(key, segment=part.label, levels=names, n=len(levels) - NAMED)
