"""One declared table: its files read, its headers matched, its values typed, what cannot be read recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from churnlib import text
from churnlib.engine import Engine, quote
from churnlib.model import rowbook, rules
from churnlib.model.churn_form import forms_table
from churnlib.model.schema import Column, Source, Spec
from churnlib.model.vocabulary import OUTCOMES, STILL_HERE, TABLES, TICKS, codes_of
from churnlib.sources import reading
from churnlib.sources.typed import Typed, remarks, typed

TICK = "\x1f"  # marks columns of our own and stands between ticked reasons: no header and no cell holds it

_SQL_TYPES = {"date": "DATE", "money": "BIGINT", "number": "DOUBLE", "flag": "BOOLEAN"}
_REFUSALS = {
    "date": "bad_date",
    "money": "bad_amount",
    "number": "bad_number",
    "flag": "bad_flag",
    "id": "bad_id",
    "category": "unknown_category",
    "text": "unknown_category",
}

# One row per customer id not met so far.
MEET = """
INSERT INTO who_is
SELECT CAST((SELECT count(*) FROM who_is) + row_number() OVER () AS INTEGER), d.id
FROM (SELECT DISTINCT {value} AS id FROM {raw} AS raw {join}) AS d
WHERE d.id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM who_is AS w WHERE w.customer_id = d.id)
"""

# One row per raw row, in the canonical table's columns.
FILL = """
INSERT INTO {into} (_at, _twin, {names}) SELECT {at}, hash({same}), {values} FROM {raw} AS raw {joins}
"""


class Intake(NamedTuple):
    """What was taken in of one canonical table.

    `files` has one row per source and file: table, source, file, encoding, delimiter, sheet, header_line, n_rows_in.
    """

    columns: dict[str, str]  # of the typed table -> kind: canonical columns (`who`: customer_id) and attributes
    declared: set[str]  # those that a file gives
    files: pd.DataFrame


class _Part(NamedTuple):
    """One source of a table, read."""

    engine: Engine
    spec: Spec
    table: str
    number: int
    source: Source
    raw: reading.RawTable

    @property
    def at(self) -> str:
        return rowbook.at(self.number)

    @property
    def rows(self) -> str:
        return quote(self.raw.name)


def take_in(engine: Engine, spec: Spec, folder: Path, table: str) -> Intake:
    """Read all sources of a canonical table into `typed_<table>`; refused values, twins and remarks go to the book."""
    parts = [_read(engine, spec, folder, table, i, source) for i, source in enumerate(spec.tables[table])]
    kinds = {name: known.kind for name, known in TABLES[table].items()}
    if table == "customers":
        kinds |= {name: _attribute_kind(spec, name, column) for name, column in spec.attributes.items()}
    columns = {"who" if name == "customer_id" else name: kind for name, kind in kinds.items()}
    types = [f"{quote(n)} {'INTEGER' if n == 'who' else _SQL_TYPES.get(k, 'VARCHAR')}" for n, k in columns.items()]
    engine.run(f"CREATE TABLE {quote(f'typed_{table}')} (_at BIGINT, _twin UBIGINT, {', '.join(types)})")
    for part in parts:
        unread = _take_part(part, kinds)
        if table != "customers":
            rules.set_aside_twins(engine, spec, table, columns, part.number, unread)
        engine.run(f"DROP TABLE {part.rows}")
    if table == "customers":
        rules.set_aside_twins(engine, spec, table, columns)
    declared = {"reasons" if name.startswith(TICK) else name for part in parts for name in part.source.columns}
    found = [(part.number, file) for part in parts for file in part.raw.files]
    files = [asdict(file) | {"read_as": file.read_as, "table": table, "source": i} for i, file in found]
    return Intake(columns, declared, pd.DataFrame(files).drop(columns=["columns", "notes"]))


def _read(engine: Engine, spec: Spec, folder: Path, table: str, number: int, source: Source) -> _Part:
    if table == "exit_survey" and source.layout != "churn_form":  # the reader looks for ticked columns, too
        ticks = {f"{TICK}{header}": Column(column=header, values=TICKS) for header in spec.reasons.columns}
        source = source.model_copy(update={"columns": source.columns | ticks})
    read = forms_table if source.layout == "churn_form" else reading.read_source
    raw = read(engine, source, folder, f"raw_{table}_{number}", allow_outside=spec.allow_outside)
    rowbook.enter_files(engine, table, number, [file.file for file in raw.files])
    return _Part(engine, spec, table, number, source, raw)


def _take_part(part: _Part, kinds: Mapping[str, str]) -> list[str]:
    """Type a source into the typed table, enter what cannot be used in the book; give the columns left unread."""
    engine, spec, table, source, raw = part.engine, part.spec, part.table, part.source, part.raw
    if not sum(file.n_rows_in for file in raw.files):
        raise text.DataError("dataset.empty_file", file="、".join(file.file for file in raw.files))
    rowbook.set_aside_rejected(engine, spec, table, part.number, raw.rejected)
    in_units = {column.column for column in source.columns.values() if column.unit != 1}
    for file in raw.files:
        for note, value in file.notes:
            if note != "unit_in_header" or value not in in_units:  # not declared
                rowbook.add_flag(engine, table, note, "", 0, f"{file.file}:{file.header_line or 1} ({value})")
    hows = {name: _how(part, name, column, kinds.get(name, "flag")) for name, column in source.columns.items()}
    read = {how.column for how in hows.values()}
    unread = [] if table == "customers" else [column for column in raw.columns if column not in read]
    if "customer_id" in hows:
        how = hows["customer_id"]
        distinct = f"(SELECT DISTINCT {quote(how.column)} FROM {part.rows})"  # noqa: S608 (quoted): each id once
        engine.run(MEET.format(value=how.value, raw=distinct, join=how.join))
    _fill(part, hows, unread)
    private = {n for n, kind in kinds.items() if n in spec.roles.personal or kind == "id"}
    for name, how in hows.items():
        if how.rule != "NULL":
            _record_refusals(part, name, how, rowbook.masked(how.text) if name in private else how.text)
    for row in remarks(engine, raw.name, hows).itertuples():
        example = "" if row.column in private else f"{row.column}: {row.text} → {row.value}"
        rowbook.add_flag(engine, table, row.flag, row.column, row.n_rows, example)
    return unread


def _how(part: _Part, name: str, column: Column, kind: str) -> Typed:
    known = TABLES[part.table].get(name)
    words: dict[str, str | None] = {}
    if known and known.codes:
        words = codes_of(known.codes) | (dict.fromkeys(STILL_HERE) if known.codes is OUTCOMES else {})
    return typed(
        part.engine,
        part.raw.name,
        column.column or _constant(part, name, column),
        "text" if kind == "reasons" else kind,
        order=column.order or part.source.date_order,
        zone=part.spec.timezone,
        currency=part.spec.currency,
        decimal=part.source.decimal,
        unit=column.unit,
        words=words | (column.values or {}),
        default=column.default,
        closed=bool(known and known.closed),
    )


def _attribute_kind(spec: Spec, name: str, column: Column) -> str:
    if column.type not in (None, "text"):
        return column.type
    # names and addresses differ from row to row: making their spelling uniform would only cost time
    return "text" if name in (*spec.roles.personal, *spec.roles.free_text) else "category"


def _constant(part: _Part, name: str, column: Column) -> str:
    """Give the raw table a column that holds the declared value in every row, or names the row."""
    header = f"{TICK}{name}"
    part.engine.run(f"ALTER TABLE {part.rows} ADD COLUMN {quote(header)} VARCHAR")
    value = "_file || ':' || CAST(_line AS VARCHAR)" if column.numbered else "$value"
    sql = f"UPDATE {part.rows} SET {quote(header)} = {value}"  # noqa: S608 (quoted)
    part.engine.run(sql, rowbook.named(sql, value=column.value))
    return header


def _fill(part: _Part, hows: Mapping[str, Typed], unread: list[str]) -> None:
    values = {name: how.value for name, how in hows.items() if not name.startswith(TICK)}
    for name, column in part.source.columns.items():
        if column.times:  # one of the two missing: the product is missing too
            values[name] = f"CAST(round({hows[name].value} * {hows[column.times].value}) AS BIGINT)"
    # the codes come from the vocabulary, so they are safe to write out
    marks = [
        f"CASE WHEN {how.value} THEN '{part.spec.reasons.columns[name.removeprefix(TICK)]}' END"
        for name, how in hows.items()
        if name.startswith(TICK)
    ]
    if marks:
        cell = [values["reasons"]] if "reasons" in values else []
        values["reasons"] = f"nullif(concat_ws(chr(31), {', '.join(cell + marks)}), '')"
    joins, same = [how.join for how in hows.values()], [*values.values(), *(f"raw.{quote(c)}" for c in unread)]
    if "customer_id" in values:
        joins.append(f"LEFT JOIN who_is AS who_is ON who_is.customer_id = {values.pop('customer_id')}")
        values["who"] = "who_is.who"
    names, given = ", ".join(map(quote, values)), ", ".join(values.values())
    where = {"into": quote(f"typed_{part.table}"), "at": part.at, "raw": part.rows, "joins": " ".join(joins)}
    part.engine.run(FILL.format(names=names, same=", ".join(same), values=given, **where))


def _record_refusals(part: _Part, name: str, how: Typed, shown: str) -> None:
    is_attribute = part.table == "customers" and name not in TABLES["customers"]
    rule = "bad_attribute" if is_attribute else _REFUSALS[how.kind]
    met = rowbook.Met(f"FROM {part.rows} AS raw {how.join} WHERE {how.rule} IS NOT NULL", part.at, shown, how.rule)
    if part.spec.severity(rule) == "keep":
        rowbook.flag(part.engine, part.table, rule, name.strip(TICK), met)
    else:
        rowbook.set_aside(part.engine, part.spec, part.table, rule, name.strip(TICK), met)
