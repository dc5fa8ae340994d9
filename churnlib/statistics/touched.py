"""Whom an event touched, and whom it may be compared with: events put together, scopes read, windows and controls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from churnlib.about import Event
from churnlib.show.results import period_values

JOINT = 3  # events on the same customers that begin within so many periods are one joint effect


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
    at : int
        Index of the first period.
    named : dict
        Segment -> levels, of every segment that their scope names: none of these is a clean comparison.
    """

    events: tuple[Event, ...]
    segment: str
    levels: tuple[str, ...]
    at: int
    named: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def meets(self, other: Case) -> bool:
        """Tell whether another case named some of these customers by the same segment, or these are everybody."""
        return not self.segment or bool(set(self.levels) & set(other.named.get(self.segment, ())))


def read_scope(scope: str) -> dict[str, tuple[str, ...]]:
    """Read "region=华东,西南; age=25-34".

    Examples
    --------
    >>> read_scope("region=华东,西南; age=25-34")
    {'region': ('华东', '西南'), 'age': ('25-34',)}
    """
    parts = [part.partition("=") for part in re.split(r"[;；]", scope) if "=" in part]
    return {n.strip(): tuple(v.strip() for v in re.split(r"[,，、]", values) if v.strip()) for n, _, values in parts}


def event_cases(events: Sequence[Event], divided: dict, periods: list[str]) -> list[Case]:
    """Put events on the same customers together that begin within `JOINT` periods of each other."""
    found: list[Case] = []
    for event in sorted(events, key=lambda e: e.date):
        at = _place(event, periods)
        if at is None:
            continue
        segment, levels, named = touched(event, divided)
        same = [c for c in found if (c.segment, c.levels) == (segment, levels)]
        if same and at - same[-1].at < JOINT:
            found[found.index(same[-1])] = Case(
                (*same[-1].events, event), segment, levels, same[-1].at, same[-1].named | named
            )
        else:
            found.append(Case((event,), segment, levels, at, named))
    return found


def _place(event: Event, periods: list[str]) -> int | None:
    return next((i for i, p in enumerate(period_values(periods)) if p.first <= event.date <= p.last), None)


def touched(event: Event, divided: dict) -> tuple[str, tuple[str, ...], dict[str, tuple[str, ...]]]:
    """The segment and the levels that an event names, of several segments the one with the fewest customers; and all.

    All customers are ("", ()); what an event names but the counts do not have is ("?", ()): nobody known.
    """
    scope, found = read_scope(event.scope), []
    for name, wanted in scope.items():
        if name in divided:
            segment, frame = divided[name].about.segment, divided[name].frame
            codes = {_plain(value) for value in wanted}
            levels = tuple(v for v in segment.levels if codes & {_plain(w) for w in (v, *segment.label_of(v))})
            if levels:
                found.append((frame.loc[frame["level"].isin(levels), "n_opening"].sum(), name, levels))
    named = {name: levels for _, name, levels in found}
    return (*(min(found)[1:] if found else ("?" if scope else "", ())), named)


def _plain(value: str) -> str:
    """A value as people write it: 25-34 is 25–34 and 25 至 34 岁."""
    return re.sub(r"\s*[–—~至到]\s*", "-", value).replace("岁", "").strip()


def last_judged(case: Case, cases: list[Case], n: int, year: int) -> int:
    """The last period judged: before the next event on the same customers, within a year, in the data."""
    later = [c.at for c in cases if (c.segment, c.levels) == (case.segment, case.levels) and c.at > case.at]
    return min([n - 1, case.at + year - 1, *(at - 1 for at in later)])


def other_cases(case: Case, cases: list[Case], end: int) -> list[Case]:
    """Other events at the time that touched some of these customers more than the ones compared with."""
    out = []
    for c in cases:
        same = (c.segment, c.levels) == (case.segment, case.levels)
        if c is not case and not same and case.meets(c) and case.at - 2 * JOINT <= c.at <= end:
            out.append(c)
    return out


def untouched(case: Case, cases: list[Case], divided: dict, end: int) -> list[str]:
    """Levels of the same segment that neither this event nor another one at the time has touched."""
    if case.segment not in divided:
        return []
    met = set(case.levels)
    for c in cases:
        if case.at - 2 * JOINT <= c.at <= end:
            met |= set(c.named.get(case.segment, ()))
    return [level for level in divided[case.segment].about.segment.levels if level not in met]
