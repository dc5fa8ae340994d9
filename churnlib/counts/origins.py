"""Tenure counts cut at earlier days: what was known by then and what came after, to test a projection on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from churnlib.about import Period
from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, segment
from churnlib.counts.tenure import clock, spells_at_risk

STEP, ORIGINS, LEAST = 12, 3, 3  # months from one earlier day to the next at most; how many; months at least

# One row per stretch of the calendar and tenure at which somebody came or went; a first spell that goes on is censored
# at a stretch's last day and enters again on the next one's first, so that sums over stretches are the tenure counts.
ORIGIN_COUNTS = """
WITH pieces AS (
  SELECT w.stretch, {entry} AS entry, {leaving} AS leaving,
    CASE WHEN s.end_date <= w.last_day THEN 1 ELSE 0 END AS ended
  FROM {spells} AS s
  JOIN stretches AS w ON s.entry_date <= w.last_day AND coalesce(s.end_date, w.last_day) >= w.first_day
  WHERE s.definition = $definition AND s.spell = 1
),
moves AS (
  SELECT stretch, entry AS tenure, count(*) AS n_entered, 0 AS n_events, 0 AS n_censored
  FROM pieces GROUP BY stretch, entry
  UNION ALL
  SELECT stretch, leaving, 0, sum(ended), sum(1 - ended) FROM pieces GROUP BY stretch, leaving
)
SELECT stretch, tenure, CAST(sum(n_entered) AS BIGINT) AS n_entered, CAST(sum(n_events) AS BIGINT) AS n_events,
  CAST(sum(n_censored) AS BIGINT) AS n_censored
FROM moves GROUP BY stretch, tenure
ORDER BY stretch NULLS LAST, tenure NULLS LAST
"""
FIRST, LAST = "greatest(s.entry_date, w.first_day)", "least(coalesce(s.end_date, w.last_day), w.last_day)"


@dataclass(frozen=True)
class OriginCounts(Counts):
    """Tenure counts by stretch of the calendar.

    Attributes
    ----------
    origins : tuple of date
        Last days of all stretches but the last: none where the data are too short, or a snapshot without a calendar.
    step : int
        Months from one to the next.
    """

    origins: tuple[date, ...] = ()
    step: int = 0


def origin_counts(data: Any, *, definition: str | None = None) -> OriginCounts:
    """Count who came and who left at each tenure, stretch by stretch of the calendar.

    Parameters
    ----------
    data : Dataset
    definition : str, optional

    Returns
    -------
    OriginCounts
        One row per `stretch` (0 is the first) and `tenure`: `n_entered`, `n_events`, `n_censored` of first spells. Adds
        over stretches.
    """
    name = definitions.spells(data, definition)
    days, step = ((), 0) if data.about.snapshot else origins(definitions.countable_from(data, name), data.as_of)
    firsts = [date.min, *(day + timedelta(days=1) for day in days)]
    stretches = {"stretch": range(len(firsts)), "first_day": firsts, "last_day": [*days, data.as_of]}
    data.con.load("stretches", pa.table({k: pa.array(v) for k, v in stretches.items()}))
    sql = ORIGIN_COUNTS.format(spells=spells_at_risk(data, name), **clock(data.about.time_unit, FIRST, LAST))
    frame = data.con.frame(sql, {"definition": name})
    data.con.run("DROP TABLE stretches")
    told = about(data, segment(data, None)[1], definition=name)
    return OriginCounts(frame, told, ("stretch", "tenure"), ("stretch",), days, step)


def origins(first: date, as_of: date) -> tuple[tuple[date, ...], int]:
    """Choose the earlier days: ends of months, a year apart or a third of what the data cover, three at most.

    Returns
    -------
    days : tuple of date
        Ascending; none where less than three such steps are covered.
    step : int
        In months.
    """
    month = Period.containing(as_of)
    month = month if month.last == as_of else month.shift(-1)
    covered = (month.first.year - first.year) * 12 + month.first.month - first.month + (first.day == 1)
    step = min(STEP, covered // 3)
    if step < LEAST:
        return (), 0
    back = min(ORIGINS, covered // step - 1)
    return tuple(month.shift(-k * step).last for k in range(back, 0, -1)), step
