"""Typed tables -> canonical tables: rows ruled, customers coded, Parquet whose bytes depend on the rows alone."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from churnlib.about import Period
from churnlib.engine import Engine, literal, quote
from churnlib.model import customers, rowbook, rules
from churnlib.model.intake import Intake, take_in
from churnlib.model.reasoncells import load_reasons, version_of
from churnlib.model.rowbook import USED
from churnlib.model.schema import Spec
from churnlib.model.vocabulary import TABLES

LATE, ENOUGH = 62, 100  # days without a record after which the last day covered is doubted, given so many records
FORMAT = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
FILES = "file table sheet encoding delimiter header_line read_as n_rows_in n_rows_used n_rows_set_aside".split()

# One row per activity row of a known customer, with the days between which they were one.
LIVES = """(
  SELECT a.*, p.start_date AS _from, coalesce(p.end_date, DATE '9999-12-31') AS _to
  FROM typed_activity AS a JOIN people AS p ON p.who = a.who)"""

# One row per used row of a typed table.
CODED = """
SELECT i.customer, {columns} FROM {typed} AS t JOIN ids AS i ON i.who = t.who WHERE {used}
"""

# One row per customer and day of a survey; forms that list one reason a row are one survey.
SURVEYS = """
CREATE TABLE surveys AS
SELECT CAST(dense_rank() OVER (ORDER BY i.customer, t.date NULLS LAST) AS INTEGER) AS survey, i.customer, t.date,
  t.follow_up, t.lost_to, t.relationship, t.measures, t.evaluation, t.text, t.reasons, {version} AS version
FROM typed_exit_survey AS t JOIN ids AS i ON i.who = t.who WHERE {used}
"""

EXIT_SURVEY = """
SELECT survey, customer, date, coalesce(
    CASE WHEN max(CASE WHEN follow_up = 'answered' THEN 1 ELSE 0 END) = 1 THEN 'answered' ELSE min(follow_up) END,
    CASE WHEN count(reasons) > 0 THEN 'answered' ELSE 'not_asked' END) AS follow_up,
  min(lost_to) AS lost_to, min(relationship) AS relationship, min(measures) AS measures,
  min(evaluation) AS evaluation, min(text) AS text, min(version) AS version
FROM surveys GROUP BY survey, customer, date
"""

EXIT_REASONS = """
SELECT DISTINCT s.survey, s.customer, r.reason, s.version
FROM surveys AS s JOIN reason_of AS r ON r.cell = s.reasons AND r.version = coalesce(s.version, '')
"""

SET_ASIDE = """
SELECT file, line, tbl AS "table", rule, col AS "column", value, reason FROM aside
"""


def write_canonical(engine: Engine, spec: Spec, folder: Path, into: Path) -> None:
    """Make the canonical tables of a data set.

    Parameters
    ----------
    engine : Engine
        A new one, allowed to write `into`.
    spec : Spec
    folder, into : Path
        The data set's folder; an empty folder for the Parquet files and meta.json.

    Raises
    ------
    DataError
        A file or column is missing, a rule stops, or rows do not add up.
    """
    rowbook.open_book(engine)
    taken = {table: take_in(engine, spec, folder, table) for table in TABLES if table in spec.tables}
    if "customers" in taken:
        taken["customers"] = customers.with_dates(engine, spec, taken["customers"])
    for table, intake in taken.items():
        rules.set_aside_rows(engine, spec, table, intake.declared)
    customers.code_customers(engine, spec, taken)
    _check_against_customers(engine, spec, taken)
    rowbook.settle(engine)
    _doubt_as_of(engine, spec, taken)
    for table, intake in taken.items():
        rules.flag_rows(engine, spec, table, intake.declared)
    if "exit_survey" in taken:
        version, values = version_of(spec)
        engine.run(SURVEYS.format(used=USED.format(table="exit_survey"), version=version), values)
        load_reasons(engine, spec)
    rows = {table: _write(engine, spec, sql, into, table) for table, sql in _statements(spec, taken).items()}
    _write_records(engine, taken, into)
    meta = {"rows": rows, "observed_from": str(_observed_from(engine, spec, taken))}
    (into / "meta.json").write_text(json.dumps(meta, sort_keys=True, indent=1), "utf-8")


def _check_against_customers(engine: Engine, spec: Spec, taken: dict[str, Intake]) -> None:
    for table in taken:
        if "customer_id" in TABLES[table] and table != "customers":
            rules.set_aside_strangers(engine, spec, table)
    if "activity" in taken and "contracts" not in taken and "customers" in taken:
        condition = "t.date < t._from OR t.date > t._to"
        check = rules.Check("activity_outside_life", "date", condition, "CAST(t.date AS VARCHAR)")
        act = rules.flag_where if spec.severity(check.rule) == "keep" else rules.set_aside_where
        act(engine, spec, "activity", check, LIVES)


def _doubt_as_of(engine: Engine, spec: Spec, taken: dict[str, Intake]) -> None:
    """Flag a last day that lies long after the last record: rates of months that nobody recorded would be 0."""
    if spec.snapshot:
        return
    days = {"people": ("start_date", "end_date"), "typed_contracts": ("start_date",), "typed_activity": ("date",)}
    rows = [
        f"SELECT {day} AS day FROM {table}"  # noqa: S608 (our own words)
        for table, names in days.items()
        for day in names
        if table.removeprefix("typed_") in (*taken, "people")
    ]
    sql = f"SELECT max(day) AS last, count(day) AS n FROM ({' UNION ALL '.join(rows)}) WHERE day <= $as_of"  # noqa: S608
    found = engine.frame(sql, {"as_of": spec.as_of}).iloc[0]
    if found["n"] >= ENOUGH and (last := found["last"].date()) < spec.as_of - timedelta(LATE):
        rowbook.add_flag(engine, next(iter(taken)), "late_as_of", "as_of", 0, f"{last} < {spec.as_of}")


def _statements(spec: Spec, taken: dict[str, Intake]) -> dict[str, str]:
    """Canonical table -> the SELECT that gives its rows."""
    found = {"customers": _customers_sql(taken.get("customers")), "ids": "SELECT customer, customer_id FROM ids"}
    for table in taken:
        used = USED.format(table=table)
        if table == "exit_survey":
            found |= {"exit_survey": EXIT_SURVEY, "exit_reasons": EXIT_REASONS}
        elif table in ("events", "benchmarks"):
            columns = ", ".join(_labelled(name) for name in TABLES[table])
            found[table] = f"SELECT {columns} FROM typed_{table} AS t WHERE {used}"  # noqa: S608 (our own words)
        elif table != "customers":
            columns = ", ".join(_settled(table, name) for name in TABLES[table] if name != "customer_id")
            found[table] = CODED.format(columns=columns, typed=f"typed_{table}", used=used)
    return found


def _customers_sql(listed: Intake | None) -> str:
    names = dict.fromkeys(["start_date", "end_date", "outcome"])
    names |= dict.fromkeys(name for name in (listed.columns if listed else ()) if name in listed.declared)
    columns = ", ".join(_settled("customers", name) for name in names)
    return f"SELECT i.customer, {columns} FROM people AS t JOIN ids AS i ON i.who = t.who"  # noqa: S608


def _settled(table: str, name: str) -> str:
    """A column as it is stored: an end after the last day covered has not happened yet."""
    column = f"t.{quote(name)}"
    if not {"end_date", "outcome"} <= set(TABLES[table]) or name not in ("end_date", "outcome"):
        return f"{column} AS {quote(name)}"
    is_open = "t.end_date IS NULL OR t.end_date > CAST($as_of AS DATE)"
    # a contract that ended without an outcome may have been transferred: only a customer's end must have one
    outcome = "coalesce(t.outcome, 'unknown')" if table == "customers" else "t.outcome"
    ended = "greatest(t.end_date, t.start_date)" if name == "end_date" else outcome
    return f"CASE WHEN {is_open} THEN NULL ELSE {ended} END AS {name}"


def _labelled(name: str) -> str:
    """A column of events and benchmarks; an event's label in one language stands for both."""
    other = {"label_zh": "label_en", "label_en": "label_zh"}.get(name)
    return f"coalesce(t.{name}, t.{other}, t.kind) AS {name}" if other else f"t.{name} AS {name}"


def _write(engine: Engine, spec: Spec, statement: str, into: Path, table: str) -> int:
    """Write one table sorted by all its columns, so that its bytes never depend on the order of the rows read."""
    out = quote(f"out_{table}")
    engine.run(f"CREATE TABLE {out} AS {statement}", rowbook.named(statement, as_of=spec.as_of))
    if table == "activity":
        _write_months(engine, out, into / table)
    else:
        _copy(engine, f"SELECT * FROM {out} ORDER BY ALL", into / f"{table}.parquet")  # noqa: S608 (our own words)
    n = engine.value(f"SELECT count(*) FROM {out}")  # noqa: S608
    engine.run(f"DROP TABLE {out}")
    return n


def _write_months(engine: Engine, out: str, folder: Path) -> None:
    """Write activity as one file a month: most questions look at a few months only."""
    folder.mkdir()
    first = f"SELECT DISTINCT CAST(date_trunc('month', date) AS DATE) AS month FROM {out} ORDER BY month"  # noqa: S608
    months = [month.date() for month in engine.frame(first)["month"]]
    for month in months:
        inside = f"date BETWEEN DATE '{Period(month).first}' AND DATE '{Period(month).last}'"
        _copy(engine, f"SELECT * FROM {out} WHERE {inside} ORDER BY ALL", folder / f"{Period(month)}.parquet")  # noqa: S608
    if not months:
        _copy(engine, f"SELECT * FROM {out}", folder / "none.parquet")  # noqa: S608


def _copy(engine: Engine, query: str, path: Path) -> None:
    engine.run(f"COPY ({query}) TO {literal(path)} {FORMAT}")


def _write_records(engine: Engine, taken: dict[str, Intake], into: Path) -> None:
    """Write what happened to every row: files, rules, rows set aside."""
    files = rowbook.reconcile(engine, pd.concat([intake.files for intake in taken.values()], ignore_index=True))
    for name, frame in (("files", files[FILES]), ("rules", rowbook.summary(engine))):
        engine.load(f"out_{name}", frame.astype({c: "string" for c in frame.columns if frame[c].dtype == object}))
        _copy(engine, f"SELECT * FROM out_{name}", into / f"{name}.parquet")  # noqa: S608
    _copy(engine, f"{SET_ASIDE} ORDER BY ALL", into / "set_aside.parquet")


def _observed_from(engine: Engine, spec: Spec, taken: dict[str, Intake]) -> date:
    """Since when ends were recorded, if nobody says: the first end, else the first activity, else the first start.

    Customers who left earlier would be missing from the data without a trace, so the earliest start would be wrong.
    """
    if spec.observed_from:
        return spec.observed_from
    # a closed contract of a customer who stayed may be older than the record of customers who left
    shown = [("people", "end_date"), ("typed_contracts", "end_date"), ("typed_activity", "date")]
    for table, column in [*([] if spec.snapshot else shown), ("people", "start_date")]:  # its ends lie on one day
        if table.removeprefix("typed_") in (*taken, "people"):
            day = engine.value(f"SELECT min({column}) FROM {table} WHERE {column} <= $as_of", {"as_of": spec.as_of})  # noqa: S608
            if day is not None:
                return day
    return spec.as_of
