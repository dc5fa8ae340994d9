"""What happened to customers a short while ago, as levels that change with time: a complaint within the last three
months, a new account manager, a price change in force.

Somebody counts as "yes" from the day after the record until its months have run, and as "no" before and afterwards, so
that nobody is credited with the time in which it had not happened yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from churnlib import text
from churnlib.about import Event, Period, Segment
from churnlib.counts.base import segment
from churnlib.counts.crossed import BETWEEN, crossing, is_tenure
from churnlib.engine import quote
from churnlib.model.segments import changes_over_time
from churnlib.text import Label

NO, YES, UNKNOWN = "no", "yes", "unknown"
LATE = 31  # days: records that begin later than that after ends were recorded were not kept before
SIGNALS = ("complaint", "return", "manager_change")  # contacts that `features` looks for
FEW_LEVELS, MOST = 12, 1_000_000  # a segment with more levels is one of units; combinations of levels, at most

# One row per record, with the days on which it counts as recent.
CONTACTS = """
SELECT customer, date AS from_date, {until} AS to_date FROM contacts WHERE kind = $kind
"""
ACTIVITY = """
SELECT customer, date AS from_date, {until} AS to_date FROM activity WHERE kind = $kind
"""
# One row per change of an assigned value; the first value is no change.
ASSIGNMENTS = """
SELECT customer, date AS from_date, {until} AS to_date FROM (
  SELECT customer, from_date AS date, value,
    lag(value) OVER (PARTITION BY customer ORDER BY from_date NULLS LAST, value NULLS LAST) AS value_before
  FROM assignments WHERE attribute = $kind) AS given
WHERE value_before <> value
"""
# One row per customer (and stretch in the levels that its scope names) whom one event touched.
TOUCHED = """
SELECT customer, greatest(from_date, DATE '{first}') AS from_date, least(to_date, DATE '{last}') AS to_date
FROM {source} AS s WHERE from_date <= DATE '{last}' AND to_date >= DATE '{first}' {named}
"""

# One row per customer and stretch of days: what `segment_table` gives for a declared segment.
LEVELS = """
CREATE OR REPLACE TABLE {table} AS
WITH recent AS (
  SELECT customer, from_date,
    max(to_date) OVER (PARTITION BY customer ORDER BY from_date NULLS LAST, to_date NULLS LAST
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS reaches,
    lead(from_date) OVER (PARTITION BY customer ORDER BY from_date NULLS LAST, to_date NULLS LAST) AS next_date
  FROM ({records}) AS records WHERE from_date <= to_date
),
before AS (SELECT customer, min(from_date) AS first_date FROM recent GROUP BY customer)
SELECT customer, 'yes' AS level, from_date, least(reaches, coalesce(next_date - 1, reaches)) AS to_date
FROM recent WHERE next_date IS NULL OR next_date > from_date
UNION ALL
SELECT customer, 'no', reaches + 1, coalesce(next_date - 1, DATE '9999-12-31')
FROM recent WHERE next_date IS NULL OR next_date > reaches + 1
UNION ALL
SELECT c.customer, 'no', $since, coalesce(b.first_date - 1, DATE '9999-12-31')
FROM customers AS c LEFT JOIN before AS b ON b.customer = c.customer
WHERE b.first_date IS NULL OR b.first_date > $since
UNION ALL
SELECT c.customer, 'unknown', DATE '0001-01-01', least($since, coalesce(b.first_date, $since)) - 1
FROM customers AS c LEFT JOIN before AS b ON b.customer = c.customer
"""

MET = "SELECT count(DISTINCT customer) FROM {table} WHERE level = 'yes' AND to_date >= ? AND from_date < ?"


@dataclass(frozen=True)
class Recent:
    """Something that happened to a customer within the last months: see `recently`."""

    kind: str
    months: int = 3
    table: str = "contacts"
    resolved: bool | None = None

    @property
    def name(self) -> str:
        """Stable name, such as "complaint-unresolved-3m"; no declared segment can have it."""
        states = {None: "", True: "-resolved", False: "-unresolved"}
        return f"{self.kind}{states[self.resolved]}-{self.months}m"


def recently(kind: str, months: int = 3, *, table: str = "contacts", resolved: bool | None = None) -> Recent:
    """Declare a feature: whether something happened to the customer within the last months, day by day.

    Parameters
    ----------
    kind : str
        Of contact, activity or event, as the records have it ("complaint", "arrears", "price"); or the attribute of
        which the assigned value changed.
    months : int
        How long it counts as recent. An event counts from its day to its end, these months where it has none.
    table : {"contacts", "activity", "assignments", "events"}
        Where it is recorded. Events touch the customers whom their scope names.
    resolved : bool, optional
        Only contacts that were (or were not) resolved, as known on the last day covered.

    Returns
    -------
    Recent
        For `tenure_counts(data, by=[...])`: levels "no", "yes", and "unknown" before such records were kept.
    """
    if table not in _RECORDS or months < 1 or (resolved is not None and table != "contacts"):
        raise text.UsageError("counts.unknown_option", value=f"{kind} {table} {months} {resolved}")
    return Recent(kind, months, table, resolved)


def features(data: Any) -> list[str | Recent]:
    """Find what customers can be compared by, all at once: what was recorded as happening to them, and who they are.

    Returns
    -------
    list of str or Recent
        Contacts (complaints by whether they were resolved, returns, changes of account manager) and price changes that
        at least `min_denominator` customers met; then the declared segments with at most 12 levels, but for bands of
        tenure, as long as there are not more than a million combinations. Where a rule over activity says who is lost,
        only what cannot change: a record that comes with a visit would put the loss off by the rule itself.
    """
    is_ruled = data.spec.definitions[data.about.definition].kind in ("inactivity", "value_decline")
    found: list[str | Recent] = [] if is_ruled else [r for r in _signals(data) if _is_common(data, r)]
    cells = 2 ** len(found)
    for name, declared in data.spec.segments.items():
        n = len(segment(data, name)[1].levels)
        is_usable = not (is_tenure(data, name) or (is_ruled and changes_over_time(declared)))
        if is_usable and 1 < n <= FEW_LEVELS and n * cells <= MOST:
            found.append(name)
            cells *= n
    return found


def _signals(data: Any) -> Iterator[Recent]:
    for kind in SIGNALS if data.has("contacts") else ():
        states = (False, True) if kind == "complaint" and data.has("contacts.resolved") else (None,)
        yield from (recently(kind, resolved=state) for state in states)
    if any(event.kind == "price" for event in data.about.events):
        yield recently("price", table="events")


def _is_common(data: Any, recent: Recent) -> bool:
    table, _ = recent_levels(data, recent)
    return data.con.value(MET.format(table=table), [data.observed_from, data.as_of]) >= data.about.min_denominator


def recent_levels(data: Any, recent: Recent) -> tuple[str, Segment]:
    """Make the levels of a feature over time: a source and its segment, as `segment` gives them for a declared one."""
    name = f"recent {recent.table} {recent.name}"
    if not data.con.table_exists(name):
        if recent.table != "events" and not data.has(recent.table):
            raise text.DataError("counts.no_records", table=recent.table, kind=recent.kind)
        records, values = _RECORDS[recent.table](data, recent)
        made = LEVELS.format(table=quote(name), records=records)
        data.con.run(made, values | {"since": _recorded_from(data, recent.table)})
    levels = (NO, YES, UNKNOWN)
    labels = tuple(text.label(f"counts.recent.{level}") for level in levels)
    return quote(name), Segment(recent.name, _label(data, recent), levels, labels)


def _records(statement: str):
    def give(data: Any, recent: Recent) -> tuple[str, dict[str, Any]]:
        until = f"CAST(date + INTERVAL '{recent.months}' MONTH AS DATE) - 1"
        resolved = {None: "", True: "AND resolved", False: "AND NOT resolved"}[recent.resolved]
        return f"{statement.format(until=until)} {resolved}", {"kind": recent.kind}

    return give


def _events(data: Any, recent: Recent) -> tuple[str, dict[str, Any]]:
    """The customers whom each event touched, while it was in force; one that names nobody known touches nobody."""
    values: dict[str, Any] = {}
    parts = [
        _touched(data, event, recent.months, values)
        for event in data.about.events
        if event.kind == recent.kind and all(_named(data, event).values())
    ]
    if not parts:
        raise text.DataError("counts.no_records", table="events", kind=recent.kind)
    return " UNION ALL ".join(parts), values


def _named(data: Any, event: Event) -> dict[str, tuple[str, ...]]:
    """Segment -> levels that a scope names; no levels where the data set does not know them."""
    known = data.spec.segments
    return {n: segment(data, n)[1].named(wanted) if n in known else () for n, wanted in event.named.items()}


def _touched(data: Any, event: Event, months: int, values: dict[str, Any]) -> str:
    named = _named(data, event)
    conditions = []
    for i, levels in enumerate(named.values(), start=1):
        marks = {f"level_{len(values) + j}": level for j, level in enumerate(levels)}
        values |= marks
        level = f"split_part(level, '{BETWEEN}', {i})" if len(named) > 1 else "level"
        conditions.append(f"AND {level} IN ({', '.join('$' + mark for mark in marks)})")
    source = crossing([segment(data, name)[0] for name in named] or [segment(data, None)[0]])
    last = event.end or _later(event.date, months)
    return TOUCHED.format(first=event.date, last=last, source=source, named=" ".join(conditions))


def _later(day: date, months: int) -> date:
    """The last day of so many months from a day on."""
    first = Period(day.replace(day=1)).shift(months)
    return first.first + timedelta(days=min(day.day, first.days) - 2)


_RECORDS = {
    "contacts": _records(CONTACTS),
    "activity": _records(ACTIVITY),
    "assignments": _records(ASSIGNMENTS),
    "events": _events,
}


def _recorded_from(data: Any, table: str) -> date:
    """Since when such records were kept: from the first one on where they begin clearly later than the ends."""
    if table not in ("contacts", "activity"):
        return data.observed_from
    first = data.con.value(f"SELECT min(date) FROM {quote(table)}")  # noqa: S608 (one of two words)
    is_late = first is not None and first > data.observed_from + timedelta(days=LATE)
    return first if is_late else data.observed_from


def _label(data: Any, recent: Recent) -> Label:
    """Name it: "unresolved complaint in the last 3 months"."""
    what = Label.of(recent.kind)
    if recent.table == "assignments":
        named = (s.label for s in data.spec.segments.values() if s.assignment == recent.kind and s.label)
        what = next(named, what)
    elif text.known(f"counts.kind.{recent.kind}"):
        what = text.label(f"counts.kind.{recent.kind}")
    key = recent.table if recent.resolved is None else "resolved" if recent.resolved else "unresolved"
    words = {"months": recent.months}
    return Label(*(text.say(f"counts.recent.{key}", lang, what=what.to(lang), **words) for lang in text.LANGUAGES))
