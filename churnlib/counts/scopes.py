"""Whom an event touched, held fast: customers who change level because of the event stay with those it touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from churnlib.about import Event
from churnlib.counts import definitions
from churnlib.counts.base import Counts, segment, unit_of
from churnlib.counts.periods import counted

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
    """Period counts by a segment that events name.

    Attributes
    ----------
    event : Event or None
        The event from which on the levels are held fast; None where customers are counted as they stand.
    """

    event: Event | None = None


def scope_counts(data: Any, unit: str | None = None) -> list[ScopeCounts]:
    """Count customers by whom each event touched.

    By every segment that an event names; and again for each event that names levels which customers can change: until
    the event by the level they are in at each opening; from its day on, those in its scope are held in it, wherever
    they go. Levels by tenure are not held: they pass by themselves.

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
    named = {n: None for event in data.about.events for n in event.named if n in data.spec.segments}
    made = [_scope(counted(data, *segment(data, n), unit, name)) for n in named]
    for event in data.about.events:
        for named, wanted in event.named.items():
            declared = data.spec.segments.get(named)
            if declared is None or declared.assignment is None:
                continue
            source, division = segment(data, named)
            values = {f"level_{i}": level for i, level in enumerate(division.named(wanted))}
            if values:
                marks = ", ".join(f"${mark}" for mark in values)
                data.con.run(HELD.format(segment=source, levels=marks), values | {"day": event.date})
                made.append(_scope(counted(data, "held", division, unit, name), event))
    return made


def _scope(counts: Counts, event: Event | None = None) -> ScopeCounts:
    return ScopeCounts(counts.frame, counts.about, counts.grain, counts.adds_over, event)
