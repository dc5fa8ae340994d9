"""Whom an event touched, and whom it may be compared with: events put together, windows and controls."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from churnlib.about import YEAR, Event
from churnlib.show.results import period_values

JOINT = 3  # events on the same customers that begin within so many periods are one joint effect
AFTER = 2  # periods judged, at least


@dataclass(frozen=True)
class Case:
    """Events on the same customers that begin too close to be told apart.

    Attributes
    ----------
    events : tuple of Event
    segment : str
        The segment by which they are judged; "" for all customers, "?" when nobody known is named.
    levels : tuple of str
        Whom they touched, in that segment.
    named : dict
        Segment -> levels, of every segment that their scope names: none of these is a clean comparison.
    clean : int
        Index of the first period in which some of their effect may be counted: what was before says what is usual.
    at : int
        Index of the first period in which their effect can be counted; the number of periods when none has come yet.
    full : int
        Index of the period by which it is counted in full: later than `at` under an inactivity definition.
    """

    events: tuple[Event, ...]
    segment: str
    levels: tuple[str, ...]
    named: dict[str, tuple[str, ...]]
    clean: int
    at: int
    full: int

    def meets(self, other: Case) -> bool:
        """Tell whether another case named some of these customers by the same segment, or these are everybody."""
        return not self.segment or bool(set(self.levels) & set(other.named.get(self.segment, ())))

    def same(self, other: Case) -> bool:
        """Tell whether another case touched the same customers."""
        return (self.segment, self.levels) == (other.segment, other.levels)


def event_cases(events: Sequence[Event], divided: dict, periods: list[str], delay: tuple[int, ...]) -> list[Case]:
    """Put events on the same customers together that begin within `JOINT` periods of each other.

    Events whose effect was counted before the first period, or that lie after the last one, are left out.
    """
    found: list[Case] = []
    for event in sorted(events, key=lambda e: e.date):
        clean, at, full = (place(event, days, periods) for days in delay)
        if at is None or event.date > period_values(periods[-1:])[0].last:
            continue
        case = Case((event,), *touched(event, divided), clean=clean or 0, at=at, full=full)
        joined = next((c for c in reversed(found) if c.same(case)), None)
        if joined is not None and at - joined.at < JOINT:
            both = replace(joined, events=(*joined.events, event), full=full, named=joined.named | case.named)
            found[found.index(joined)] = both
        else:
            found.append(case)
    return found


def place(event: Event, days: int, periods: list[str]) -> int | None:
    """Give the place of the period that lies so many days after an event; their number where it has not come yet."""
    starts, day = [p.first for p in period_values(periods)], event.date + timedelta(days=days)
    if not starts or day < starts[0]:
        return None
    return len(starts) if day > period_values(periods[-1:])[0].last else bisect_right(starts, day) - 1


def after_events(periods: list[str], about, counts: Callable[[Event], bool] = bool) -> np.ndarray:
    """Tell which periods lie in the year after an event, of those that count."""
    after = np.zeros(len(periods), bool)
    for event in filter(counts, about.events):
        at = place(event, about.delay[0], periods)
        if at is not None:
            after[at : at + YEAR[about.period.unit]] = True
    return after


def touched(event: Event, divided: dict) -> tuple[str, tuple[str, ...], dict[str, tuple[str, ...]]]:
    """The segment and the levels that an event names, of several segments the one with the fewest customers; and all.

    All customers are ("", ()); what an event names but the counts do not have is ("?", ()): nobody known.
    """
    found = []
    for name, wanted in event.named.items():
        levels = divided[name].about.segment.named(wanted) if name in divided else ()
        if levels:
            frame = divided[name].frame
            found.append((frame.loc[frame["level"].isin(levels), "n_opening"].sum(), name, levels))
    named = {name: levels for _, name, levels in found}
    return (*(min(found)[1:] if found else ("?" if event.scope else "", ())), named)


def window(case: Case, cases: list[Case], divided: dict, n: int, year: int) -> tuple[int, list[str]]:
    """Give the last period judged, and the levels of the same segment to compare with.

    Judged is up to a year after the effect is counted in full, but not beyond the next event on the same customers.
    Where that would leave nobody whom no event has touched at the time, it ends before the event that touches the last
    of them; and where there was nobody at all, those are taken whom an earlier event touched, its course allowed for.
    """
    later = [c.at for c in cases if case.same(c) and c.at > case.at]
    end = min([n - 1, case.full + year - 1, *(at - 1 for at in later)])
    shorter = sorted({c.at - 1 for c in cases if case.at + AFTER - 1 < c.at <= end}, reverse=True)
    for last in (end, *shorter):
        controls = _untouched(case, cases, divided, case.at - 2 * JOINT, last)
        if controls:
            return last, controls
    return end, _untouched(case, cases, divided, case.at - JOINT + 1, end)


def other_cases(case: Case, cases: list[Case], end: int) -> list[Case]:
    """Other events at the time that touched some of these customers more than the ones compared with."""
    return [c for c in cases if not case.same(c) and case.meets(c) and case.at - 2 * JOINT <= c.at <= end]


def earlier_cases(case: Case, cases: list[Case], controls: Sequence[str]) -> list[Case]:
    """Events before it that touched exactly these customers, or of late those who are compared with them."""
    return [
        c
        for c in cases
        if c.at < case.at
        and (c.same(case) or (c.at >= case.at - 2 * JOINT and set(controls) & set(c.named.get(case.segment, ()))))
    ]


def _untouched(case: Case, cases: list[Case], divided: dict, since: int, end: int) -> list[str]:
    """Levels of the same segment that neither this event nor another one of that time has touched."""
    if case.segment not in divided:
        return []
    met = set(case.levels)
    for c in cases:
        if since <= c.at <= end:
            met |= set(c.named.get(case.segment, ()))
    return [level for level in divided[case.segment].about.segment.levels if level not in met]
