"""Whom an event touched, held fast: customers who change level because of the event stay with those it touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from churnlib.about import BETWEEN, Event, Segment
from churnlib.counts import definitions
from churnlib.counts.base import Counts, segment, unit_of
from churnlib.counts.crossed import crossing
from churnlib.counts.periods import counted
from churnlib.text import Label

# One row per customer and stretch in a level. Whoever was in the event's scope on its day, or came into it later, stays
# in that level for good: a successor takes over the customers of the account manager who left, not their past.
HELD = """
CREATE OR REPLACE TEMP TABLE held AS
WITH touched AS (
  SELECT customer, min(from_date) AS since FROM {segment}
  WHERE level IN ({levels}) AND to_date >= $day GROUP BY customer
)
SELECT s.customer, s.level, s.from_date, CASE WHEN s.from_date = t.since THEN DATE '9999-12-31' ELSE s.to_date END
  AS to_date
FROM {segment} AS s LEFT JOIN touched AS t ON t.customer = s.customer
WHERE t.since IS NULL OR s.from_date <= t.since
"""


@dataclass(frozen=True)
class ScopeCounts(Counts):
    """Period counts by what an event names: a segment, or several crossed.

    Attributes
    ----------
    event : Event or None
        The event from which on the levels are held fast; None where customers are counted as they stand.
    """

    event: Event | None = None


def scope_counts(data: Any, unit: str | None = None) -> list[ScopeCounts]:
    """Count customers by whom each event touched.

    By every segment, or crossing of several, that an event names; and again for each event that names levels which
    customers can change: until the event by the level they are in at each opening; from its day on, those in its scope
    are held in it, wherever they go. Levels by tenure are not held: they pass by themselves.

    Parameters
    ----------
    data : Dataset
    unit : {"week", "month", "quarter", "year"}, optional

    Returns
    -------
    list of ScopeCounts
        Columns as of `period_counts`.
    """
    unit, name = unit_of(data, unit), definitions.spells(data)
    declared = data.spec.segments
    scopes = {event: tuple(n for n in declared if n in event.named) for event in data.about.events}
    divisions = {names: _division(data, names) for names in scopes.values() if names}
    made = [_scope(counted(data, *division, unit, name)) for division in divisions.values()]
    for event, names in scopes.items():
        if not any(declared[n].assignment for n in names):
            continue
        source, division = divisions[names]
        values = {f"level_{i}": level for i, level in enumerate(division.within(event.named))}
        if values:
            marks = ", ".join(f"${mark}" for mark in values)
            data.con.run(HELD.format(segment=source, levels=marks), values | {"day": event.date})
            made.append(_scope(counted(data, "held", division, unit, name), event))
    return made


def _division(data: Any, names: tuple[str, ...]) -> tuple[str, Segment]:
    """The source of levels of one segment or of several crossed, of which only the cells are levels that occur."""
    found = [segment(data, name) for name in names]
    if len(found) == 1:
        return found[0]
    source, parts = crossing([source for source, _ in found]), tuple(part for _, part in found)
    levels = tuple(data.con.frame(f"SELECT DISTINCT level FROM {source} ORDER BY level NULLS LAST")["level"])  # noqa: S608 (quoted)
    cells = [[part.label_of(v) for part, v in zip(parts, level.split(BETWEEN), strict=True)] for level in levels]
    labels = tuple(Label.joined(cell, " · ") for cell in cells)
    label = Label.joined([part.label for part in parts], " × ")
    return source, Segment(" × ".join(names), label, levels, labels, parts=parts)


def _scope(counts: Counts, event: Event | None = None) -> ScopeCounts:
    return ScopeCounts(counts.frame, counts.about, counts.grain, counts.adds_over, event)
