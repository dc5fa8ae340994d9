"""Who was exposed to what, and when: the declared drivers of churn as stretches of days.

A stretch says on which days something counts as known: a complaint from the day after it on, never before. Whoever is
at risk on such a day is exposed. Nothing here looks at who left.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from churnlib import text
from churnlib.about import Event
from churnlib.counts import definitions
from churnlib.counts.base import segment
from churnlib.counts.drivers import Factor, exposed_levels, is_levelled, level_places, levelled, own_levels
from churnlib.engine import quote
from churnlib.model.parts import Driver
from churnlib.model.schema import SegmentSpec
from churnlib.model.segments import kind_of
from churnlib.text import Label
from churnlib.yamlfile import hint

CONTACT_MONTHS, EVENT_MONTHS, TERM_MONTHS, ACTIVITY_MONTHS, BASE_MONTHS = 3, 12, 2, 3, 6
AFTERMATH = 7  # days after activity within which a contact is about it
STAGES = (0, 3, 6, 12)  # months since an event began: its effect may fade or grow

# One row per customer, driver and stretch of days: from_date and to_date included.
CREATE = """
CREATE OR REPLACE TEMP TABLE stretches_exposed (
  customer INTEGER, driver INTEGER, from_date DATE, to_date DATE, level INTEGER)
"""

# A contact counts from {after} days after it for some months. Under an inactivity rule it also belongs to activity of
# the week before: what went wrong at a visit is often said a few days later.
CONTACTS = """
INSERT INTO stretches_exposed
SELECT customer, $driver, date + ({after}), CAST(date + INTERVAL '{months}' MONTH AS DATE), 1
FROM contacts WHERE kind = $kind {resolved}
"""

# One row per customer and change of a value. A value was given up when half of those who had it on the eve of a month
# got another one in that month: then its changes are departures (the account manager left).
HANDOVERS = """
CREATE OR REPLACE TEMP TABLE handovers AS
WITH changes AS (
  SELECT customer, former, from_date, CAST(date_trunc('month', from_date) AS DATE) AS opening
  FROM (
    SELECT customer, level, from_date, lag(level) OVER (PARTITION BY customer ORDER BY from_date NULLS LAST) AS former
    FROM {table}
  ) AS stretches
  WHERE former <> 'unknown' AND level <> 'unknown' AND level <> former
),
months AS (SELECT DISTINCT former, opening FROM changes),
given_up AS (
  SELECT m.former, m.opening
  FROM months AS m
  JOIN {table} AS l ON l.level = m.former AND m.opening - 1 BETWEEN l.from_date AND l.to_date
  JOIN spells AS s ON s.customer = l.customer AND s.definition = $definition
    AND m.opening - 1 BETWEEN s.start_date AND coalesce(s.end_date, DATE '9999-12-31')
  LEFT JOIN changes AS c ON c.customer = l.customer AND c.former = m.former AND c.opening = m.opening
  GROUP BY m.former, m.opening
  HAVING 2 * count(c.customer) >= count(*) AND count(c.customer) > 0
)
SELECT c.customer, c.former, c.from_date, c.opening, g.former IS NOT NULL AS departed
FROM changes AS c LEFT JOIN given_up AS g ON g.former = c.former AND g.opening = c.opening
"""

# A change counts from {after} days after it.
CHANGES = """
INSERT INTO stretches_exposed
SELECT customer, $driver, from_date + {after}, CAST(from_date + INTERVAL '{months}' MONTH AS DATE), 1
FROM handovers WHERE departed OR NOT {only_departed}
"""

# An event counts on the customers of its scope: levels as of the day. One stage of it a statement.
EVENTS = """
INSERT INTO stretches_exposed
SELECT {customer}, $driver, {from_date}, {to_date}, $level
FROM {scopes}
WHERE {from_date} <= {to_date}
"""

# A segment's levels from a day on, one stage a statement.
SINCE = """
INSERT INTO stretches_exposed
SELECT customer, $driver, greatest(from_date, CAST($first AS DATE)), least(to_date, CAST($last AS DATE)), $level
FROM {table} WHERE level IN ({levels}) AND from_date <= CAST($last AS DATE) AND to_date >= CAST($first AS DATE)
"""

# The month in which a contract's term ends and those after it: level 1. While the term runs: level 2.
TERMS = """
INSERT INTO stretches_exposed
WITH ends AS (
  SELECT c.customer, c.start_date, CAST(c.start_date + t.months * INTERVAL '1' MONTH AS DATE) AS ended
  FROM customers AS c JOIN driver_terms AS t ON t.value = {value}
)
SELECT customer, $driver, {opening}, CAST(ended + INTERVAL '{months}' MONTH AS DATE) - 1, 1 FROM ends
UNION ALL SELECT customer, $driver, start_date, {opening} - 1, 2 FROM ends WHERE start_date < {opening}
"""

# Those whose activity of late lies below a share of what it was before; `place` is a month or a day by number. Only who
# has been seen for the whole base can fall below it.
FALLING = """
INSERT INTO stretches_exposed
WITH facts AS (
  SELECT customer, {place} AS place, {measure} AS size, 1 AS seen, CAST(NULL AS DATE) AS seen_on FROM activity
  WHERE date <= $as_of {kinds}
  UNION ALL SELECT customer, {trial_place}, 0, 0, seen_on FROM trials
),
grid AS (
  SELECT customer, place, CAST(sum(size) AS BIGINT) AS size, max(seen) AS seen, max(seen_on) AS seen_on
  FROM facts GROUP BY customer, place
),
looked AS (
  SELECT customer, seen_on, place,
    min(CASE WHEN seen = 1 THEN place END) OVER (PARTITION BY customer) AS first_place,
    sum(size) OVER (PARTITION BY customer ORDER BY place NULLS LAST RANGE BETWEEN {recent}) AS recent,
    sum(size) OVER (PARTITION BY customer ORDER BY place NULLS LAST RANGE BETWEEN {base}) AS base
  FROM grid
)
SELECT customer, $driver, seen_on, seen_on, 1 FROM looked
WHERE seen_on IS NOT NULL AND base > 0 AND first_place <= place - {far}
  AND coalesce(recent, 0) * {base_months} < {below} * base * {months}
"""


def lay_out(data: Any, drivers: dict[str, Driver], definition: str, silent: bool) -> list[Factor]:
    """Make the table `stretches_exposed` of all drivers but the levelled ones.

    Parameters
    ----------
    silent : bool
        The definition is one of inactivity: a day at risk is one of activity, and what is known includes that day.

    Returns
    -------
    list of Factor
        One per driver, in order; a driver's level in the table is an index into its levels.
    """
    data.con.run(CREATE)
    out = []
    for number, (name, driver) in enumerate(drivers.items()):
        if is_levelled(driver):
            places = level_places(data, name, driver)
            exposed = exposed_levels(data, name, driver, levelled(data, name, driver)[1])
            beside = max(places.values(), default=0) > len(exposed)
            levels = ("", *exposed, *(("other",) if beside else ()))
        else:
            lay = {"contact": _contacts, "assignment": _changes, "event": _events, "term": _terms, "activity": _falling}
            with_levels = lay.get(driver.source[0], _since)(data, number, name, driver, definition, silent)
            levels, beside = with_levels or ("", "exposed"), driver.source[0] == "term"
        label = driver.label or Label.of(name)
        out.append(Factor(name, label, levels, driver.group, driver.modifiable, beside))
    return out


def _contacts(data: Any, number: int, name: str, driver: Driver, definition: str, silent: bool) -> None:
    resolved = "" if driver.resolved is None else "AND resolved" if driver.resolved else "AND NOT resolved"
    how = {"months": driver.months or CONTACT_MONTHS, "after": -AFTERMATH if silent else 1, "resolved": resolved}
    data.con.run(CONTACTS.format(**how), {"driver": number, "kind": driver.contact})


def _changes(data: Any, number: int, name: str, driver: Driver, definition: str, silent: bool) -> None:
    make_handovers(data, driver.assignment, definition)
    how = {"months": driver.months or CONTACT_MONTHS, "after": 0 if silent else 1, "only_departed": driver.departed}
    data.con.run(CHANGES.format(**how), {"driver": number})


def make_handovers(data: Any, attribute: str, definition: str) -> str:
    """Make the table `handovers` of an assigned attribute, and give the table of its levels (see `segment_table`)."""
    table, _ = own_levels(data, f"assigned {attribute}", SegmentSpec(assignment=attribute))
    data.con.run(HANDOVERS.format(table=table), {"definition": definition})
    return table


def _events(data: Any, number: int, name: str, driver: Driver, definition: str, silent: bool) -> tuple[str, ...]:
    """Lay out the events of a kind (or of a name) that say whom they touched; others meet everybody alike."""
    chosen = [e for e in data.about.events if driver.event in (e.kind, *e.label)]
    if not chosen:
        near = hint(driver.event, list(dict.fromkeys(e.kind for e in data.about.events)))
        raise text.DataError("attributable.unknown_event", name=name, value=driver.event, hint=near)
    for event in chosen:
        found = {name: segment(data, name) for name in event.named if name in data.spec.segments}
        scopes = [(table, levels.named(event.named[name])) for name, (table, levels) in found.items()]
        if scopes and all(levels for _, levels in scopes):
            for level, (first, last) in enumerate(_stages(event, driver, silent), 1):
                _lay_event(data, {"driver": number, "level": level, "first": first, "last": last}, scopes)
    return ("", *map(str, STAGES))


def _stages(event: Event, driver: Driver, silent: bool) -> list[tuple[str, str]]:
    """The first and last day of every stage of an event, as SQL dates; a month counts when an event is on in it."""
    day = f"DATE '{event.date}'"
    begin = day if silent else f"CAST(date_trunc('month', {day}) AS DATE)"
    months = driver.months or (0 if event.end else EVENT_MONTHS)
    last = "" if event.end else " - 1"
    over = f"CAST({f'DATE {event.end.isoformat()!r}' if event.end else day} + INTERVAL '{months}' MONTH AS DATE){last}"
    return _cut(begin, over)


def _cut(begin: str, over: str) -> list[tuple[str, str]]:
    edges = [f"CAST({begin} + INTERVAL '{m}' MONTH AS DATE)" for m in STAGES]
    ends = [*(f"least({edge} - 1, {over})" for edge in edges[1:]), over]
    return list(zip(edges, ends, strict=True))


def _lay_event(data: Any, at: dict[str, Any], scopes: list[tuple[str, tuple[str, ...]]]) -> None:
    values, sources, names = {"driver": at["driver"], "level": at["level"]}, [], []
    for i, (table, levels) in enumerate(scopes):
        marks = {f"level_{i}_{j}": level for j, level in enumerate(levels)}
        values |= marks
        part = f"(SELECT * FROM {table} WHERE level IN ({', '.join('$' + m for m in marks)})) AS s{i}"  # noqa: S608
        sources.append(part if i == 0 else f"JOIN {part} ON s{i}.customer = s0.customer")
        names.append(f"s{i}")
    how = {
        "customer": "s0.customer",
        "from_date": f"greatest({', '.join([f'{n}.from_date' for n in names] + [at['first']])})",
        "to_date": f"least({', '.join([f'{n}.to_date' for n in names] + [at['last']])})",
        "scopes": " ".join(sources),
    }
    data.con.run(EVENTS.format(**how), values)


def _since(data: Any, number: int, name: str, driver: Driver, definition: str, silent: bool) -> tuple[str, ...]:
    table, found = levelled(data, name, driver)
    marks = {f"level_{i}": level for i, level in enumerate(exposed_levels(data, name, driver, found))}
    sql = SINCE.format(table=table, levels=", ".join("$" + mark for mark in marks))
    for level, (first, last) in enumerate(_cut(f"DATE '{driver.since}'", f"DATE '{data.as_of}'"), 1):
        day = {"first": data.con.value(f"SELECT {first}"), "last": data.con.value(f"SELECT {last}")}  # noqa: S608
        if marks and day["first"] <= day["last"]:
            data.con.run(sql, {"driver": number, "level": level, **day, **marks})
    return ("", *map(str, STAGES))


def _terms(data: Any, number: int, name: str, driver: Driver, definition: str, silent: bool) -> tuple[str, ...]:
    column = f"c.{quote(driver.term)}"
    if kind_of(data.spec, driver.term) == "number":
        value, terms = f"CAST({column} AS INTEGER)", {m: m for m in range(1, 121)}
    else:
        value, terms = f"CAST({column} AS VARCHAR)", driver.terms or {}
    kinds = pa.int32() if value.endswith("INTEGER)") else pa.string()
    data.con.load("driver_terms", pa.table({"value": pa.array(list(terms), kinds), "months": list(terms.values())}))
    opening = "ended" if silent else "CAST(date_trunc('month', ended) AS DATE)"
    data.con.run(TERMS.format(value=value, opening=opening, months=driver.months or TERM_MONTHS), {"driver": number})
    return ("", "exposed", "running")


def _falling(data: Any, number: int, name: str, driver: Driver, definition: str, silent: bool) -> None:
    """Lay out whose activity falls: by months before the opening, or by days up to the last activity."""
    months, size = driver.months or ACTIVITY_MONTHS, 30 if silent else 1
    near = -1 if silent else driver.lag  # so many places are not looked at; the last activity itself is
    far = (months + BASE_MONTHS) * size + near
    declared = definitions.declared_definition(data, definition)[1]
    kinds = {f"kind_{i}": kind for i, kind in enumerate(getattr(declared, "activity", None) or ())}
    day = "date_diff('day', DATE '2000-01-01', {0})" if silent else "year({0}) * 12 + month({0})"
    how = {
        "place": day.format("date"),
        "trial_place": day.format("seen_on"),
        "measure": "amount" if driver.activity == "amount" else "1",
        "recent": f"{months * size + near} PRECEDING AND {_back(near + 1)}",
        "base": f"{far} PRECEDING AND {months * size + near + 1} PRECEDING",
        "kinds": f"AND kind IN ({', '.join('$' + m for m in kinds)})" if kinds else "",
        **{"far": far, "months": months, "base_months": BASE_MONTHS, "below": driver.below},
    }
    data.con.run(FALLING.format(**how), {"driver": number, "as_of": data.as_of, **kinds})


def _back(places: int) -> str:
    return f"{places} PRECEDING" if places else "CURRENT ROW"
