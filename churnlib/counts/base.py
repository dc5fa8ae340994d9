"""What all counts share: their form, the calendar of periods, and what they are about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa

from churnlib import text
from churnlib.about import UNITS, About, Period, Segment
from churnlib.counts import definitions
from churnlib.engine import quote
from churnlib.model import scope
from churnlib.model.segments import UNKNOWN, changes_over_time, describe, level_sql, segment_table

OUTCOMES = ("voluntary", "involuntary", "natural", "unknown")
ALL = ""  # the one level when customers are not divided

# One row per customer: the one level of everybody.
EVERYBODY = """(
  SELECT customer, '' AS level, DATE '0001-01-01' AS from_date, DATE '9999-12-31' AS to_date FROM customers
)"""


@dataclass(frozen=True)
class Counts:
    """Small additive numbers from the engine: all that statistics ever see of the customers.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per combination of `grain`, sorted by it; whole numbers as int64, money in minor units.
    about : About
        What the numbers are about; its period has the unit of the frame's periods.
    grain : tuple of str
        The columns that name a row.
    adds_over : tuple of str
        Those of them over which the numbers may be summed. Different customers never add over time or over reasons.
    """

    frame: pd.DataFrame
    about: About
    grain: tuple[str, ...]
    adds_over: tuple[str, ...]

    def total(self, over: str) -> Counts:
        """Add the rows up over one column of the grain.

        Raises
        ------
        ValueError
            If the numbers do not add over it.
        """
        if over not in self.adds_over:
            raise ValueError(f"these counts do not add over {over!r}, only over: {', '.join(self.adds_over)}")
        kept = [column for column in self.grain if column != over]
        numbers = self.frame.select_dtypes(include="number").columns.difference([*kept, over])
        frame = self.frame.groupby(kept, as_index=False, sort=True)[list(numbers)].sum()
        order = [column for column in self.frame.columns if column in frame.columns]
        return replace(
            self, frame=frame[order], grain=tuple(kept), adds_over=tuple(a for a in self.adds_over if a != over)
        )


def segment(data: Any, by: str | None) -> tuple[str, Segment]:
    """Give the source of levels: the quoted table of `segment_table`, or one level for everybody.

    Returns
    -------
    str
        For a FROM clause: customer, level, from_date, to_date; the stretches of a customer cover all days.
    Segment
    """
    if by is None:
        return EVERYBODY, Segment()
    name, found = segment_table(data, by)
    return quote(name), found


def fixed_level(data: Any, by: str) -> tuple[Segment, str] | None:
    """Give a segment by an attribute with the expression of its level over `customers`: to count without a table of it.

    None where a customer's level can change, or is shown by a number for its name.
    """
    declared = data.spec.segments.get(by)
    if declared is None or changes_over_time(declared) or by in scope.current().masked:
        return None
    level, view = f"coalesce({level_sql(declared, data.spec, 'customers')}, '{UNKNOWN}')", f"levels of {by}"
    data.con.run(f"CREATE OR REPLACE VIEW {quote(view)} AS SELECT {level} AS level FROM customers")  # noqa: S608
    return describe(data.con, data.spec, by, declared, view), level


def about(data: Any, division: Segment, unit: str | None = None, definition: str | None = None) -> About:
    """Say what counts are about: the data set's words with the segment, and the report's period in another unit."""
    period = Period.containing(data.about.period.last, unit or data.about.period.unit)
    period = period if period.last <= data.about.period.last else period.shift(-1)
    reported = data.about.period if period.unit != data.about.period.unit else None
    told = replace(data.about, segment=division, period=period, reported=reported)
    if definition is None or definition == data.about.definition:
        return told
    label = data.spec.definitions[definition].label or text.Label.of(definition)
    note = definitions.definition_note(data.spec, definition)
    words = {"definition": definition, "definition_label": label, "definition_note": note}
    return replace(told, **words, earliest_churn=definitions.earliest_churn(data.spec.definitions[definition]))


def unit_of(data: Any, unit: str | None) -> str:
    """Check a calendar unit; the report's own if none is given."""
    if unit is not None and unit not in UNITS:
        raise text.UsageError("counts.unknown_unit", unit=unit, known=list(UNITS))
    return unit or data.about.period.unit


def make_calendar(data: Any, unit: str, first: date) -> pd.DataFrame:
    """Make the table `days`, and give the periods.

    Returns
    -------
    pandas.DataFrame
        One row per period from the first that begins on or after `first` to the one that holds as_of: `number` from 1,
        `period`, `first_day`, `last_day`, `next_day` (the day after the last one that the data cover), `is_complete`.
        The table has one row per day of them: `day`, `number`, `opening` (the first opening of a period from that day
        on).

    Raises
    ------
    DataError
        The data are one snapshot: nobody knows when its customers left.
    """
    if data.about.snapshot:
        raise text.DataError("counts.snapshot")
    period = Period.containing(first - timedelta(days=1), unit).shift(1)
    rows, days = [], []
    while period.first <= data.as_of:
        number, following = len(rows) + 1, period.last + timedelta(days=1)
        covered = min(period.last, data.as_of) + timedelta(days=1)
        rows.append((number, str(period), period.first, period.last, covered, period.last <= data.as_of))
        dates = [period.first + timedelta(days=step) for step in range(period.days)]
        days += [(day, number, following if day > period.first else day) for day in dates]
        period = period.shift(1)
    if not rows:
        raise text.PeriodError("counts.no_period", first=first, as_of=data.as_of)
    day, number, opening = zip(*days, strict=True)
    data.con.load("days", pa.table({"day": pa.array(day, pa.date32()), "number": number, "opening": opening}))
    columns = ["number", "period", "first_day", "last_day", "next_day", "is_complete"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({c: "datetime64[s]" for c in ("first_day", "last_day", "next_day")} | {"is_complete": bool})


def has_fee(data: Any) -> bool:
    """Tell whether customers carry a monthly fee."""
    return data.has("customers.monthly_fee")


def fee_of(data: Any) -> dict[str, str]:
    """Give the monthly fee of the customer of a spell `s`, in SQL, and the join that it needs."""
    if not has_fee(data):
        return {"fee": "0", "fees": ""}
    return {"fee": "coalesce(c.monthly_fee, 0)", "fees": "JOIN customers AS c ON c.customer = s.customer"}
