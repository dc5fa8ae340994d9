"""Whom an event touched, and whom it may be compared with: events put together, windows and controls."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from churnlib.about import YEAR, Event
from churnlib.show.results import period_values

JOINT = 3  # events on the same customers that begin within so many periods are one joint effect
AFTER = 2  # periods judged, at least


@dataclass(frozen=True)
class Case:
    """Events on the same customers that begin too close to be told apart; periods are told by their places.

    Attributes
    ----------
    segment : str
        The segment by which they are judged, or the crossing of all that their scope names; "" for all customers, "?"
        when nobody known is named.
    levels : tuple of str
        Whom they touched, in that segment.
    named : dict
        Segment or crossing -> levels, of every one that their scope names: none of these is a clean comparison.
    clean : int
        The first period in which some of their effect may be counted: what was before says what is usual.
    at : int
        The first period in which their effect can be counted; the number of periods when none has come yet.
    until : int
        The last period judged if there are data so far and nothing else happens: a year after all of the effect can be
        counted, later than `at` under an inactivity definition; of an event that has an end, when that is counted in
        full, but half a year at least.
    """

    events: tuple[Event, ...]
    segment: str
    levels: tuple[str, ...]
    named: dict[str, tuple[str, ...]]
    clean: int
    at: int
    until: int

    def met(self, segment: str) -> set[str]:
        """Give the levels of a segment that they name."""
        return set(self.named.get(segment, ()))

    def meets(self, other: Case) -> bool:
        """Tell whether another case named some of these customers by the same segment, or these are everybody."""
        return not self.segment or bool(other.met(self.segment) & set(self.levels))

    def covers(self, other: Case) -> bool:
        """Tell whether these events named all customers of another case, by its own segment."""
        return set(other.levels) <= self.met(other.segment)

    def same(self, other: Case) -> bool:
        """Tell whether another case touched the same customers."""
        return (self.segment, self.levels) == (other.segment, other.levels)


def event_cases(events: Sequence[Event], divided: dict, periods: list[str], delay: tuple[int, ...]) -> list[Case]:
    """Put events on the same customers together that begin within `JOINT` periods of each other.

    Events whose effect was counted before the first period, or that lie after the last one, are left out.
    """
    found: list[Case] = []
    for event in sorted(events, key=lambda e: e.date):
        clean, at, full = (place(event.date, days, periods) for days in delay)
        if at is None or event.date > period_values(periods[-1:])[0].last:
            continue
        year = YEAR[period_values(periods[-1:])[0].unit]
        until = full + year - 1 if event.end is None else max(place(event.end, delay[-1], periods), at + year // 2 - 1)
        case = Case((event,), *touched(event, divided), clean=clean or 0, at=at, until=until)
        i = next((i for i in reversed(range(len(found))) if found[i].same(case)), None)
        if i is not None and at - found[i].at < JOINT:
            found[i] = replace(found[i], events=(*found[i].events, event), until=max(until, found[i].until))
        else:
            found.append(case)
    return found


def place(day: date, days: int, periods: list[str]) -> int | None:
    """Give the place of the period that lies so many days after another day; their number where it has not come yet."""
    starts, day = [p.first for p in period_values(periods)], day + timedelta(days=days)
    if not starts or day < starts[0]:
        return None
    return len(starts) if day > period_values(periods[-1:])[0].last else bisect_right(starts, day) - 1


def after_events(periods: list[str], about, counts: Callable[[Event], bool] = bool) -> np.ndarray:
    """Tell which periods lie in the year after an event, of those that count."""
    after = np.zeros(len(periods), bool)
    for event in filter(counts, about.events):
        at = place(event.date, about.delay[0], periods)
        if at is not None:
            after[at : at + YEAR[about.period.unit]] = True
    return after


def touched(event: Event, divided: dict) -> tuple[str, tuple[str, ...], dict[str, tuple[str, ...]]]:
    """The segment that an event names, or the crossing of all that it names, with the levels; and what it names of all.

    All customers are ("", ()); what an event names but the counts do not have is ("?", ()): nobody known.
    """
    segments = {name: counts.about.segment for name, counts in divided.items()}
    named = {name: levels for name, s in segments.items() if (levels := s.within(event.named))}
    parts = {name: [part.name for part in s.parts or (s,)] for name, s in segments.items()}
    exact = [name for name in segments if set(parts[name]) <= set(event.named)]
    finest = max(exact, key=lambda name: len(parts[name]), default="")
    nobody = "?" if event.scope else ""
    return (finest, named[finest], named) if finest in named else (nobody, (), named)


def window(case: Case, cases: list[Case], divided: dict, n: int) -> tuple[int, list[str]]:
    """Give the last period judged, and the levels of the same segment to compare with.

    Judged is as long as the effect is looked for (`Case.until`), but not beyond the next event on the same customers.
    Compared is with those whom the other events met as they met the customers touched, so that these cancel out: all
    events so far, or those of late; then with those whom no event of late has met, where earlier ones met the customers
    touched (their course is allowed for). Where that would leave nobody, the window ends before the event that meets
    the last of them; and where there was nobody at all, those are taken whom an earlier event met.
    """
    later = [c.at for c in cases if case.same(c) and c.at > case.at]
    end = min([n - 1, case.until, *(at - 1 for at in later)])
    shorter = sorted({c.at - 1 for c in cases if case.at + AFTER - 1 < c.at <= end}, reverse=True)
    late = case.at - 2 * JOINT
    for last in (end, *shorter):
        for since, cancels in ((0, True), (late, True), (late, False)):
            if controls := _compared(case, [c for c in cases if since <= c.at <= last], divided, cancels):
                return last, controls
    near = [c for c in cases if case.at - JOINT < c.at <= end]
    return end, _compared(case, near, divided, False)


def _compared(case: Case, cases: list[Case], divided: dict, cancels: bool) -> list[str]:
    """Levels of the same segment, other than the case's own, that each of some events met if it met these (cancels).

    Else those that none of them met, nor a later one should have met with these.
    """
    if case.segment not in divided:
        return []
    every, own = set(divided[case.segment].about.segment.levels), set(case.levels)
    left = every - own
    for c in cases:
        met, covered = c.met(case.segment), c.covers(case)
        if c is case:
            continue
        if covered and (cancels or c.at >= case.at):
            left &= met
        elif not covered:
            left = left - met if not (cancels and met & own) else set()
    return [level for level in divided[case.segment].about.segment.levels if level in left]


def other_cases(case: Case, cases: list[Case], controls: Sequence[str], end: int) -> list[Case]:
    """Other events at the time that met some of these customers more than the ones compared with."""
    near = [c for c in cases if not case.same(c) and case.meets(c) and case.at - 2 * JOINT <= c.at <= end]
    return [c for c in near if not (controls and c.covers(case) and set(controls) <= c.met(case.segment))]


def earlier_cases(case: Case, cases: list[Case], controls: Sequence[str]) -> list[Case]:
    """Events before it that met these customers and not those compared with, or of late the other way round."""

    def differs(c: Case) -> bool:
        met = c.met(case.segment) & set(controls)
        if c.covers(case):
            return c.same(case) or len(met) < len(controls)
        return bool(met) and c.at >= case.at - 2 * JOINT

    return [c for c in cases if c.at < case.at and (differs(c) if controls else c.same(case))]
