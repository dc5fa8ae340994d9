"""One declared table: its files read, its headers matched, its values typed, what cannot be read recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from churnlib import text
from churnlib.engine import Engine, quote
from churnlib.model import rowbook, rules
from churnlib.model.churn_form import forms_table
from churnlib.model.schema import Column, Source, Spec
from churnlib.model.vocabulary import OUTCOMES, STILL_HERE, TABLES, TICKS
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

# One row per value that could not be read and sets its row aside.
REFUSED = """
INSERT INTO broken SELECT $tbl, {at}, $place, $rule, $severity, $col, {shown}, {reason}, NULL
FROM {raw} AS raw {join} WHERE {reason} IS NOT NULL
"""


class Intake(NamedTuple):
    """What was taken in of one canonical table.

    Attributes
    ----------
    table : str
    columns : dict
        Column of the typed table -> kind: canonical columns (`who` stands for customer_id) and attributes.
    declared : set of str
        The columns that a file gives.
    files : pandas.DataFrame
        One row per source and file: table, source, file, encoding, delimiter, sheet, header_line, n_rows_in.
    """

    table: str
    columns: dict[str, str]
    declared: set[str]
    files: pd.DataFrame


def take_in(engine: Engine, spec: Spec, folder: Path, table: str) -> Intake:
    """Read all sources of a table into `typed_<table>`, recording refused values, twins and remarks.

    Parameters
    ----------
    engine : Engine
        With an open book of rows.
    spec : Spec
    folder : Path
        The data set's folder.
    table : str
        Canonical table.

    Returns
    -------
    Intake
    """
    sources = [_with_ticks(spec, source) if table == "exit_survey" else source for source in spec.tables[table]]
    declared = {"reasons" if name.startswith(TICK) else name for source in sources for name in source.columns}
    kinds = {name: known.kind for name, known in TABLES[table].items()}
    if table == "customers":
        kinds |= {name: _attribute_kind(spec, name, column) for name, column in spec.attributes.items()}
    found = []
    for i, source in enumerate(sources):
        read = forms_table if source.layout == "churn_form" else reading.read_source
        raw = read(engine, source, folder, f"raw_{table}_{i}", allow_outside=spec.allow_outside)
        rowbook.enter_files(engine, table, i, [file.file for file in raw.files])
        found.append(raw)
    columns = {"who" if name == "customer_id" else name: kind for name, kind in kinds.items()}
    types = ", ".join(
        f"{quote(n)} {'INTEGER' if n == 'who' else _SQL_TYPES.get(k, 'VARCHAR')}" for n, k in columns.items()
    )
    engine.run(f"CREATE TABLE {quote(f'typed_{table}')} (_at BIGINT, _twin UBIGINT, {types})")
    for i, (source, raw) in enumerate(zip(sources, found, strict=True)):
        _take_source(engine, spec, table, i, source, raw, kinds, list(columns))
    if table == "customers":
        rules.set_aside_twins(engine, spec, table, columns)
    files = [(i, file) for i, raw in enumerate(found) for file in raw.files]
    rows = [asdict(file) | {"read_as": file.read_as, "table": table, "source": i} for i, file in files]
    return Intake(table, columns, declared, pd.DataFrame(rows).drop(columns=["columns", "notes"]))


def _with_ticks(spec: Spec, source: Source) -> Source:
    """The source of a form with its ticked reason columns, so that the reader looks for them, too."""
    if source.layout == "churn_form":
        return source
    ticks = {f"{TICK}{header}": Column(column=header, values=dict(TICKS)) for header in spec.reasons.columns}
    return source.model_copy(update={"columns": source.columns | ticks})


def _take_source(
    engine: Engine,
    spec: Spec,
    table: str,
    number: int,
    source: Source,
    found: reading.RawTable,
    kinds: dict[str, str],
    columns: list[str],
) -> None:
    """Type one source's raw table into the typed table, enter what cannot be used in the book, drop the raw table."""
    raw = found.name
    if not sum(file.n_rows_in for file in found.files):
        raise text.DataError("dataset.empty_file", file="、".join(file.file for file in found.files))
    rowbook.set_aside_rejected(engine, spec, table, number, found.rejected)
    for file in found.files:
        for note, value in file.notes:
            if note == "unit_in_header" and any(c.unit != 1 for c in source.columns.values() if c.column == value):
                continue  # declared
            rowbook.add_flag(engine, table, note, "", 0, f"{file.file}:{file.header_line or 1} ({value})")
    hows = {}
    for name, column in source.columns.items():
        header = column.column or _constant(engine, raw, name, column)
        hows[name] = _how(engine, spec, table, source, raw, header, name, column, kinds.get(name, "flag"))
    read = {how.column for how in hows.values()}
    unread = [] if table == "customers" else [column for column in found.columns if column not in read]
    if "customer_id" in hows:
        how = hows["customer_id"]
        distinct = f"(SELECT DISTINCT {quote(how.column)} FROM {quote(raw)})"  # noqa: S608 (quoted): each id once
        engine.run(MEET.format(value=how.value, raw=distinct, join=how.join))
    _fill(engine, spec, table, number, source, raw, hows, unread)
    private = {n for n, kind in kinds.items() if n in spec.roles.personal or kind == "id"}
    for name, how in hows.items():
        is_attribute = table == "customers" and name not in TABLES[table]
        rule = "bad_attribute" if is_attribute else _REFUSALS[how.kind]
        _record_refusals(engine, spec, table, number, raw, name, how, rule, name in private)
    _record_remarks(engine, table, raw, hows, private)
    if table != "customers":
        rules.set_aside_twins(engine, spec, table, columns, number, unread)
    engine.run(f"DROP TABLE {quote(raw)}")


def _how(engine, spec, table, source, raw, header, name, column, kind) -> Typed:
    known = TABLES[table].get(name)
    words: dict[str, str | None] = {}
    if known and known.codes:
        words = {word: code for code, others in known.codes.items() for word in (code, *others)}
        words |= dict.fromkeys(STILL_HERE) if known.codes is OUTCOMES else {}
    words |= column.values or {}
    return typed(
        engine,
        raw,
        header,
        "text" if kind == "reasons" else kind,
        order=column.order or source.date_order,
        zone=spec.timezone,
        currency=spec.currency,
        decimal=source.decimal,
        unit=column.unit,
        words=words,
        default=column.default,
        closed=bool(known and known.closed),
    )


def _attribute_kind(spec: Spec, name: str, column: Column) -> str:
    if column.type not in (None, "text"):
        return str(column.type)
    # names and addresses differ from row to row: making their spelling uniform would only cost time
    return "text" if name in (*spec.roles.personal, *spec.roles.free_text) else "category"


def _constant(engine: Engine, raw: str, name: str, column: Column) -> str:
    """Give the raw table a column that holds the declared value in every row, or names the row."""
    header = f"{TICK}{name}"
    engine.run(f"ALTER TABLE {quote(raw)} ADD COLUMN {quote(header)} VARCHAR")
    value = "_file || ':' || CAST(_line AS VARCHAR)" if column.numbered else "$value"
    sql = f"UPDATE {quote(raw)} SET {quote(header)} = {value}"  # noqa: S608 (quoted)
    engine.run(sql, rules.named(sql, value=column.value))
    return header


def _fill(
    engine: Engine,
    spec: Spec,
    table: str,
    number: int,
    source: Source,
    raw: str,
    hows: Mapping[str, Typed],
    unread: Iterable[str],
) -> None:
    values = {name: how.value for name, how in hows.items() if not name.startswith(TICK)}
    for name, column in source.columns.items():
        if column.times:  # one of the two missing: the product is missing too
            values[name] = f"CAST(round({hows[name].value} * {hows[column.times].value}) AS BIGINT)"
    # the codes come from the vocabulary, so they are safe to write out
    marks = [
        f"CASE WHEN {how.value} THEN '{spec.reasons.columns[name.removeprefix(TICK)]}' END"
        for name, how in hows.items()
        if name.startswith(TICK)
    ]
    if marks:
        cell = [values["reasons"]] if "reasons" in values else []
        values["reasons"] = f"nullif(concat_ws(chr(31), {', '.join(cell + marks)}), '')"
    joins = [how.join for how in hows.values()]
    same = [*values.values(), *(f"raw.{quote(c)}" for c in unread)]
    if "customer_id" in values:
        joins.append(f"LEFT JOIN who_is AS who_is ON who_is.customer_id = {values.pop('customer_id')}")
        values["who"] = "who_is.who"
    sql = FILL.format(
        into=quote(f"typed_{table}"),
        names=", ".join(quote(name) for name in values),
        at=rowbook.at(number),
        same=", ".join(same),
        values=", ".join(values.values()),
        raw=quote(raw),
        joins=" ".join(joins),
    )
    engine.run(sql)


def _record_refusals(engine, spec, table, number, raw, name, how: Typed, rule: str, is_private: bool) -> None:
    if how.rule == "NULL":
        return
    severity = spec.severity(rule)
    shown = rowbook.masked(how.text) if is_private else how.text
    if severity != "keep":
        values = {"tbl": table, "col": name, "rule": rule, "severity": severity, "place": rowbook.place(rule)}
        sql = REFUSED.format(at=rowbook.at(number), shown=shown, reason=how.rule, raw=quote(raw), join=how.join)
        engine.run(sql, values)
        return
    rows = f"FROM {quote(raw)} AS raw {how.join} WHERE {how.rule} IS NOT NULL"
    n, examples = rowbook.count_with_examples(engine, table, rowbook.at(number), shown, rows)
    if n:
        rowbook.add_flag(engine, table, rule, name.strip(TICK), n, examples)


def _record_remarks(engine: Engine, table: str, raw: str, hows: Mapping[str, Typed], private: set[str]) -> None:
    for row in remarks(engine, raw, hows).itertuples():
        example = "" if row.column in private else f"{row.column}: {row.text} → {row.value}"
        rowbook.add_flag(engine, table, row.flag, row.column, row.n_rows, example)
