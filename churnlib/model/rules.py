"""The row rules: every row is used, or set aside by the first rule that it breaks; what is kept with a flag is counted.

The rules work on the typed tables (`typed_<table>`: one row per row read) and write to the book of rows. In
`vocabulary.RULES` stand their order and what dataset.yml may choose.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from churnlib.engine import Engine, quote
from churnlib.model.rowbook import FILE_BITS, LINE_BITS, USED, Met, at, flag, place, set_aside
from churnlib.model.vocabulary import TABLES

# One row per hash of a row that several rows share.
SUSPECTS = """
CREATE OR REPLACE TABLE suspects AS SELECT t._twin FROM {typed} AS t GROUP BY t._twin HAVING count(*) > 1
"""

# One row per row with an identical twin above it (same values in every column, the unread ones too).
TWINS = """
INSERT INTO broken
WITH numbered AS (
  SELECT t._at, {who} AS who, row_number() OVER (PARTITION BY {same} ORDER BY t._at) AS nth
  FROM {typed} AS t JOIN suspects AS s ON s._twin = t._twin {raw}
)
SELECT $tbl, _at, $place, $rule, $severity, '', NULL, NULL, who FROM numbered WHERE nth > 1
"""

# One row per customer row that contradicts the one kept: the latest start wins, then the later (or open) end, then the
# row that says more; the values themselves decide what is left, so that the order of rows never matters.
CONFLICTS = """
INSERT INTO broken
WITH numbered AS (
  SELECT t._at, t.who, row_number() OVER (
    PARTITION BY t.who, {among}
    ORDER BY t.start_date DESC NULLS LAST, t.end_date DESC NULLS FIRST, {filled} DESC, {values}, t._at) AS nth
  FROM typed_customers AS t WHERE {used}
)
SELECT 'customers', _at, $place, 'conflicting_customer', $severity, 'customer_id', NULL, NULL, who
FROM numbered WHERE nth > 1
"""

# One row per row of a customer who has no code: set aside with its customer, or never heard of.
STRANGERS = """
INSERT INTO broken
WITH lost AS (
  SELECT t._at, t.who FROM {typed} AS t
  WHERE t.who IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ids AS i WHERE i.who = t.who)
)
SELECT $tbl, t._at, CASE WHEN c.who IS NULL THEN $unknown_place ELSE $aside_place END,
  CASE WHEN c.who IS NULL THEN 'unknown_customer' ELSE 'customer_set_aside' END,
  CASE WHEN c.who IS NULL THEN $severity ELSE 'set_aside' END, 'customer_id', NULL, NULL, t.who
FROM lost AS t LEFT JOIN (SELECT DISTINCT who FROM typed_customers) AS c ON c.who = t.who
"""


class Check(NamedTuple):
    """One rule on one table: its name, the column it looks at, the SQL condition, the SQL of the value to show."""

    rule: str
    column: str
    condition: str
    value: str = "''"


def checks(table: str, declared: Iterable[str]) -> list[Check]:
    """Give the rules that one row of a table can break by itself; a column that no file declares breaks none."""
    declared, found = set(declared), []
    for column, known in TABLES[table].items():
        if column not in declared:
            continue
        if column == "customer_id":
            found.append(Check("missing_id", column, "t.who IS NULL"))
        elif column == "start_date":
            found.append(Check("missing_start", column, "t.start_date IS NULL"))
            found.append(Check("start_after_as_of", column, "t.start_date > $as_of", _shown(column)))
        elif known.required:
            rule = "missing_date" if known.kind == "date" else "missing_value"
            found.append(Check(rule, column, f"t.{quote(column)} IS NULL"))
    spans = {"assignments": ("from_date", "to_date"), "events": ("date", "end_date")}
    first, last = spans.get(table, ("start_date", "end_date"))
    if {first, last} <= declared:
        shown = f"{_shown(first)} || ' > ' || {_shown(last)}"
        found.append(Check("end_before_start", last, f"t.{last} < t.{first}", shown))
    if {"outcome", "end_date"} <= declared:
        condition = "t.outcome IS NOT NULL AND t.end_date IS NULL"
        found.append(Check("outcome_without_end", "end_date", condition, "t.outcome"))
    if {"date", "customer_id"} <= declared:
        found.append(Check("future_date", "date", "t.date > $as_of", _shown("date")))
    if {"customer_id", "end_date"} <= declared:
        found.append(Check("end_after_as_of", "end_date", "t.end_date > $as_of", _shown("end_date")))
    return found


def set_aside_rows(engine: Engine, spec: Any, table: str, declared: Iterable[str]) -> None:
    """Enter the rows of a typed table that break a rule by themselves and are not kept."""
    for check in checks(table, declared):
        # a contract without a start cannot be kept; a customer's start may be had from activity: that is tried later
        if spec.severity(check.rule) != "keep" or (check.rule == "missing_start" and table != "customers"):
            set_aside_where(engine, spec, table, check)


def set_aside_where(engine: Engine, spec: Any, table: str, check: Check, rows: str | None = None) -> None:
    """Enter the rows that meet a condition; `rows` is SQL for more than the typed table, if the check needs it."""
    met = Met(f"FROM {rows or quote(f'typed_{table}')} AS t WHERE {check.condition}", value=check.value)
    set_aside(engine, spec, table, check.rule, check.column, met, as_of=spec.as_of)


def flag_rows(engine: Engine, spec: Any, table: str, declared: Iterable[str]) -> None:
    """Count the used rows that break a rule by themselves and are kept with a flag."""
    for check in checks(table, declared):
        if spec.severity(check.rule) == "keep":
            flag_where(engine, spec, table, check)


def flag_where(engine: Engine, spec: Any, table: str, check: Check, rows: str | None = None) -> None:
    """Count the used rows that meet a condition, with a few examples."""
    used = f"FROM {rows or quote(f'typed_{table}')} AS t WHERE ({check.condition}) AND {USED.format(table=table)}"
    flag(engine, table, check.rule, check.column, Met(used, value=check.value), as_of=spec.as_of)


def set_aside_twins(
    engine: Engine, spec: Any, table: str, columns: Iterable[str], source: int | None = None, unread: Iterable[str] = ()
) -> None:
    """Enter rows that are identical to a row above them, in all sources or in one.

    The columns are those of the typed table; `unread` ones of the source's raw table must be the same, too.
    """
    rule = {"customers": "duplicate_customer", "activity": "duplicate_activity"}.get(table, "duplicate_row")
    if spec.severity(rule) == "keep":
        return
    typed, columns, unread = quote(f"typed_{table}"), list(columns), list(unread)
    if source is not None:
        typed = f"(SELECT * FROM {typed} WHERE _at >> {FILE_BITS + LINE_BITS} = {int(source)})"  # noqa: S608 (a number)
    engine.run(SUSPECTS.format(typed=typed))
    if not engine.value("SELECT count(*) FROM suspects"):
        return
    sql = TWINS.format(
        typed=typed,
        who="t.who" if "who" in columns else "NULL",
        same=", ".join([f"t.{quote(c)}" for c in columns] + [f"r.{quote(c)}" for c in unread]),
        raw=f"JOIN {quote(f'raw_{table}_{source}')} AS r ON {at(source, 'r')} = t._at" if unread else "",
    )
    engine.run(sql, {"tbl": table, "place": place(rule), "rule": rule, "severity": spec.severity(rule)})


def set_aside_conflicts(engine: Engine, spec: Any, columns: Iterable[str], among: str) -> None:
    """Enter all but one of the rows that say different things about one customer, `among` the rows that SQL tells."""
    names = [f"t.{quote(c)}" for c in columns]
    sql = CONFLICTS.format(
        filled=" + ".join(f"CASE WHEN {n} IS NULL THEN 0 ELSE 1 END" for n in names),
        values=", ".join(f"{n} NULLS LAST" for n in names),
        used=USED.format(table="customers"),
        among=among,
    )
    rule = "conflicting_customer"
    engine.run(sql, {"place": place(rule), "severity": spec.severity(rule)})


def set_aside_strangers(engine: Engine, spec: Any, table: str) -> None:
    """Enter rows whose customer has no code in table `ids`."""
    severity = "stop" if spec.severity("unknown_customer") == "stop" else "set_aside"
    places = {"unknown_place": place("unknown_customer"), "aside_place": place("customer_set_aside")}
    sql = STRANGERS.format(typed=quote(f"typed_{table}"))
    engine.run(sql, {"tbl": table, "severity": severity, **places})


def _shown(column: str) -> str:
    return f"CAST(t.{quote(column)} AS VARCHAR)"
