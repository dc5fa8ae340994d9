"""The book of rows: what happened to every row of every file. Rows in = rows used + rows set aside, checked each time.

A row is known by one number, `_at`: its source and file (table `file_codes`) and its line. Customers are known by one
number, `who`, until they get their codes; ids as text are in table `who_is` only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd

from churnlib import text
from churnlib.engine import Engine
from churnlib.model.vocabulary import RULES, TABLES

EXAMPLES = 3
LINE_BITS = 40  # a file may have 10^12 lines
FILE_BITS = 16  # a source may have 65,536 files

CREATE = """
CREATE TABLE who_is (who INTEGER, customer_id VARCHAR);
CREATE TABLE file_codes (tbl VARCHAR, code BIGINT, source INTEGER, file VARCHAR);
CREATE TABLE broken (
  tbl VARCHAR, at_row BIGINT, place INTEGER, rule VARCHAR, severity VARCHAR, col VARCHAR, value VARCHAR, reason VARCHAR,
  who INTEGER);
CREATE TABLE flagged (tbl VARCHAR, rule VARCHAR, col VARCHAR, n_rows BIGINT, examples VARCHAR)
"""

# A row of a typed table that no rule has set aside so far.
USED = "NOT EXISTS (SELECT 1 FROM broken AS b WHERE b.tbl = '{table}' AND b.at_row = t._at)"

# One row per row that breaks a rule.
BREAK = """
INSERT INTO broken SELECT $tbl, {at}, $place, $rule, $severity, $col, {value}, {reason}, NULL {rows}
"""

# One row per row set aside, with the first rule that it broke.
ASIDE = """
CREATE OR REPLACE TABLE aside AS
WITH first_rule AS (
  SELECT tbl, at_row, min({{'place': place, 'rule': rule, 'severity': severity, 'col': col,
    'value': coalesce(value, ''), 'reason': coalesce(reason, ''), 'who': who}}) AS f
  FROM broken GROUP BY tbl, at_row
)
SELECT r.tbl, c.source, c.file, r.at_row % {lines} AS line, f.place, f.rule, f.severity, f.col, f.reason,
  coalesce({masked}, f.value) AS value
FROM first_rule AS r JOIN file_codes AS c ON c.tbl = r.tbl AND c.code = r.at_row // {lines}
LEFT JOIN who_is AS w ON w.who = f.who
"""

# One row per table and rule that met a row.
SUMMARY = """
WITH counted AS (
  SELECT tbl, rule, severity, count(*) AS n_rows FROM aside GROUP BY tbl, rule, severity
),
why AS (
  SELECT tbl, rule, string_agg(reason, ', ' ORDER BY n DESC, reason) AS reasons
  FROM (SELECT tbl, rule, reason, count(*) AS n FROM aside WHERE reason <> '' GROUP BY tbl, rule, reason)
  GROUP BY tbl, rule
),
shown AS (
  SELECT tbl, rule, string_agg(
    file || ':' || CAST(line AS VARCHAR) || CASE WHEN value <> '' THEN ' (' || value || ')' ELSE '' END, '; '
    ORDER BY file, line) AS examples
  FROM (SELECT *, row_number() OVER (PARTITION BY tbl, rule ORDER BY file, line, source) AS nth FROM aside)
  WHERE nth <= {examples} GROUP BY tbl, rule
)
SELECT c.tbl AS "table", c.rule, c.severity, c.n_rows, s.examples, coalesce(w.reasons, '') AS reasons FROM counted AS c
JOIN shown AS s ON s.tbl = c.tbl AND s.rule = c.rule
LEFT JOIN why AS w ON w.tbl = c.tbl AND w.rule = c.rule
UNION ALL SELECT tbl, rule, 'keep', sum(n_rows), string_agg(examples, '; ' ORDER BY col, examples), '' FROM flagged
GROUP BY tbl, rule
"""

# One row per source and file: the rows of a typed table that no rule set aside.
COUNT_USED = """
SELECT CAST($tbl AS VARCHAR) AS "table", c.source, c.file, n.n_rows_used FROM (
  SELECT t._at // {lines} AS code, count(*) AS n_rows_used FROM typed_{table} AS t WHERE {used} GROUP BY 1) AS n
JOIN file_codes AS c ON c.tbl = $tbl AND c.code = n.code
"""


def open_book(engine: Engine) -> None:
    """Make the empty tables of the book."""
    engine.run(CREATE)


def enter_files(engine: Engine, table: str, source: int, files: Iterable[str]) -> None:
    """Give the files of a source their numbers."""
    rows = [(table, (source << FILE_BITS) + i, source, file) for i, file in enumerate(files)]
    engine.con.executemany("INSERT INTO file_codes VALUES (?, ?, ?, ?)", rows)


def at(source: int, raw: str = "raw") -> str:
    """Give the SQL of a raw row's number: its file is an ENUM whose values are in the order of `enter_files`."""
    return f"(({source << FILE_BITS} + CAST(enum_code({raw}._file) AS BIGINT)) << {LINE_BITS}) + {raw}._line"


def set_aside_rejected(engine: Engine, spec: Any, table: str, source: int, rejected: pd.DataFrame) -> None:
    """Enter the rows that the reader could not put into its table: file, line, rule, value, detail."""
    if rejected.empty:
        return
    rows = rejected.assign(place=rejected["rule"].map(place), severity=rejected["rule"].map(spec.severity))
    engine.load("_rejected", rows)
    # the line itself is not kept: it may hold names and numbers of people; file and line are enough to find it
    engine.run(
        f"""INSERT INTO broken
        SELECT $tbl, (c.code << {LINE_BITS}) + CAST(r.line AS BIGINT), r.place, r.rule, r.severity, '', '', r.detail,
          NULL
        FROM _rejected AS r JOIN file_codes AS c ON c.tbl = $tbl AND c.source = $source AND c.file = r.file""",  # noqa: S608
        {"tbl": table, "source": source},
    )
    engine.run("DROP TABLE _rejected")


class Met(NamedTuple):
    """Rows that break a rule, in SQL."""

    rows: str  # FROM ... WHERE ...
    at: str = "t._at"  # the row's number
    value: str = "''"  # what is shown of it
    reason: str = "NULL"  # why a value could not be read


def set_aside(engine: Engine, spec: Any, table: str, rule: str, column: str, met: Met, **params: Any) -> None:
    """Enter rows that a rule sets aside, or that stop the reading."""
    severity = "stop" if spec.severity(rule) == "stop" else "set_aside"
    values = {"tbl": table, "col": column, "place": place(rule), "rule": rule, "severity": severity}
    sql = BREAK.format(**met._asdict())
    engine.run(sql, named(sql, **values, **params))


def flag(engine: Engine, table: str, rule: str, column: str, met: Met, **params: Any) -> None:
    """Count rows that break a rule and are kept, with the first few as file:line (value)."""
    sql = f"SELECT count(*) AS n, min({{'at': {met.at}, 'value': {met.value}}}, {EXAMPLES}) AS few {met.rows}"
    found = engine.frame(sql, named(sql, **params)).iloc[0]
    if found["n"]:
        names = engine.frame("SELECT code, file FROM file_codes WHERE tbl = ?", [table]).set_index("code")["file"]
        few = [_shown(names[e["at"] >> LINE_BITS], e["at"] % (1 << LINE_BITS), e["value"]) for e in found["few"]]
        add_flag(engine, table, rule, column, int(found["n"]), "; ".join(few))


def add_flag(engine: Engine, table: str, rule: str, column: str, n_rows: int, examples: str) -> None:
    """Enter that rows were kept with a flag."""
    engine.run("INSERT INTO flagged VALUES (?, ?, ?, ?, ?)", [table, rule, column, n_rows, examples])


def named(sql: str, **values: Any) -> dict[str, Any] | None:
    """Give the parameters that a statement uses: DuckDB refuses the others."""
    return {k: v for k, v in values.items() if re.search(rf"\${k}\b", sql)} or None


def _shown(file: str, line: int, value: str | None) -> str:
    return f"{file}:{line}" + (f" ({value})" if value else "")


def settle(engine: Engine) -> None:
    """Decide for every broken row by which rule it is set aside; raises DataError where a rule says stop."""
    engine.run(ASIDE.format(lines=1 << LINE_BITS, masked=masked("w.customer_id")))
    stop = engine.frame("SELECT * FROM aside WHERE severity = 'stop' ORDER BY place, tbl, file, line")
    if not stop.empty:
        first = stop.iloc[0]
        n = int(((stop["rule"] == first["rule"]) & (stop["tbl"] == first["tbl"])).sum())
        words, example = text.label(f"rules.{first['rule']}"), _shown(first["file"], first["line"], first["value"])
        raise text.DataError("rules.stop", table=first["tbl"], n=n, rule=words, name=first["rule"], example=example)


def reconcile(engine: Engine, files: pd.DataFrame) -> pd.DataFrame:
    """Check that every row of every file was used or set aside; raises DataError otherwise.

    Returns
    -------
    pandas.DataFrame
        One row per table, source and file, as in `files`, with n_rows_used and n_rows_set_aside.
    """
    used = [
        engine.frame(COUNT_USED.format(table=t, used=USED.format(table=t), lines=1 << LINE_BITS), {"tbl": t})
        for t in files["table"].unique()
    ]
    aside = engine.frame('SELECT tbl AS "table", source, file, count(*) AS n_rows_set_aside FROM aside GROUP BY ALL')
    keys, counts = ["table", "source", "file"], ["n_rows_used", "n_rows_set_aside"]
    merged = files.merge(pd.concat(used), on=keys, how="left").merge(aside, on=keys, how="left")
    merged[counts] = merged[counts].fillna(0).astype("int64")
    wrong = merged[merged["n_rows_in"] != merged["n_rows_used"] + merged["n_rows_set_aside"]]
    if len(wrong) or aside["n_rows_set_aside"].sum() != merged["n_rows_set_aside"].sum():
        row = (wrong if len(wrong) else merged).iloc[0]
        numbers = {"rows_in": row.n_rows_in, "used": row.n_rows_used, "aside": row.n_rows_set_aside}
        raise text.DataError("rules.does_not_add_up", file=row.file, table=row.table, **numbers)
    return merged


def summary(engine: Engine) -> pd.DataFrame:
    """Count the rows that each rule met.

    Returns
    -------
    pandas.DataFrame
        One row per table and rule: table, rule, severity, n_rows, examples (identifiers masked), reasons (why a value
        or line could not be read: words in the catalogue under values or reading).
    """
    frame = engine.frame(SUMMARY.format(examples=EXAMPLES))
    frame = frame.assign(a=frame["table"].map([*TABLES].index), b=frame["rule"].map(place))
    order = ["a", "severity", "b", "rule"]
    return frame.sort_values(order, ascending=[True, False, True, True]).drop(columns=["a", "b"]).reset_index(drop=True)


def place(rule: str) -> int:
    """Give the place of a rule in the order in which they are tried."""
    return list(RULES).index(rule) if rule in RULES else len(RULES)


def masked(expression: str) -> str:
    """Give the SQL that hides an identifier but for its first two and last two characters."""
    n = f"length({expression})"
    return (
        f"CASE WHEN {n} <= 4 THEN left({expression}, 1) || repeat('*', greatest({n} - 1, 0)) "
        f"ELSE left({expression}, 2) || repeat('*', {n} - 4) || right({expression}, 2) END"
    )
