"""Columns of text -> columns of dates, amounts, identifiers: the parsers of `values` in the engine's hands.

The usual form (2024-03-05, 1200.50) is read by SQL; only the distinct texts that are written otherwise go through
Python, once each, into a lookup table that is joined back. Twelve million rows hold a few thousand of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

from churnlib.engine import Engine, literal, quote
from churnlib.sources import dates, doubts, values
from churnlib.sources.doubts import RawColumn
from churnlib.sources.usual import listed, nothing, usual
from churnlib.sources.written import EXCEL_ERRORS, Read, fold, is_blank

Kind = Literal["date", "money", "number", "flag", "id", "category", "text"]
Meaning = tuple[Any, str | None, str | None]  # value, why it was refused, what the report mentions

_ARROW = {"date": pa.date32(), "money": pa.int64(), "number": pa.float64(), "flag": pa.bool_()}
_numbers = itertools.count(1)


@dataclass(frozen=True)
class How:
    """What is declared about the writing of a column; see also `dates.parse_date` and `values.parse_amount`."""

    order: str | None = None  # "dmy", "mdy" or "ymd"; without it every file's dates have to prove the same one
    zone: str | None = None
    currency: str = "CNY"
    decimal: str = "."
    unit: float = 1
    words: Mapping[str, str | None] = field(default_factory=dict)  # the file's -> ours, for any kind (永久: null)
    default: str | None = None  # for categories that `words` does not name
    closed: bool = False  # refuse such categories when there is no default


@dataclass(frozen=True)
class Typed:
    """How one raw column becomes its meaning, in SQL: ``SELECT {value} FROM {table} AS raw {join}``."""

    column: str  # the raw one
    kind: Kind
    value: str  # the meaning; NULL where the text is a blank or was refused
    text: str  # the text as written
    rule: str = "NULL"  # why the value was refused: not_a_date, date_order ...
    flag: str = "NULL"  # what the report mentions of a value that was read: month_only, rounded, normalised ...
    join: str = ""  # the lookup of what Python read; empty if no text needs one


def typed(engine: Engine, table: str, column: str, kind: Kind, **writing: Any) -> Typed:
    """Find how to read one column of a raw table; no row is touched yet.

    Parameters
    ----------
    engine : Engine
    table, column : str
        A table made by `reading.read_source` and one of its columns.
    kind : {"date", "money", "number", "flag", "id", "category", "text"}
    **writing
        What is declared about the writing: the fields of `How`.

    Returns
    -------
    Typed

    Examples
    --------
    >>> start = typed(engine, "raw_customers", "入网日期", "date", order="dmy")  # doctest: +SKIP
    >>> engine.frame(f"SELECT {start.value} AS day FROM raw_customers AS raw {start.join}")  # doctest: +SKIP
    """
    how = How(**{name: declared for name, declared in writing.items() if declared is not None})
    kind = "category" if kind == "text" and how.words else kind
    native = str(engine.con.sql(f"SELECT {quote(column)} FROM {quote(table)} LIMIT 0").types[0])  # noqa: S608 (quoted)
    raw = f"raw.{quote(column)}"
    text = raw if native == "VARCHAR" else f"CAST({raw} AS VARCHAR)"
    read = usual(raw, text, native, kind, how.decimal, how.unit, how.zone)
    if how.words and kind not in ("flag", "category"):  # a declared word is never read as something else
        read = f"CASE WHEN {text} NOT IN ({listed(how.words)}) THEN {read} END"
    found = Typed(column, kind, read, text)
    written = RawColumn(engine, table, text, read)
    if kind == "text" or not (counts := written.counts()):
        return found
    if kind == "category":
        return _looked_up(engine, found, [*counts], _categories(counts, how))
    if kind == "date" and native == "VARCHAR" and doubts.are_swapped(written, [*counts]):
        written = replace(written, usual=nothing("date"))
        counts = written.counts()
        doubtful = {text: "date_order" for text in counts if not is_blank(text)}
    else:
        how, doubtful = _doubts(written, [*counts], kind, how, native)
    declared, reader = {fold(word): ours for word, ours in how.words.items()}, _reader(kind, how)
    meanings = [_meaning(text, reader, declared, doubtful) for text in counts]
    return _looked_up(engine, replace(found, value=written.usual), [*counts], meanings)


def remarks(engine: Engine, table: str, columns: Mapping[str, Typed]) -> pd.DataFrame:
    """Count the values that were read in a way that the report mentions.

    Returns
    -------
    pandas.DataFrame
        One row per column and flag: column, flag, n_rows, text (an example as written), value (the same as read).
    """
    parts = [
        f'SELECT {literal(name)} AS "column", {how.flag} AS flag, count(*) AS n_rows, min({how.text}) AS text,'  # noqa: S608
        f" CAST(arg_min({how.value}, {how.text}) AS VARCHAR) AS value"
        f" FROM {quote(table)} AS raw {how.join} WHERE {how.flag} IS NOT NULL GROUP BY ALL"
        for name, how in columns.items()
        if how.flag != "NULL"
    ]
    if not parts:
        return pd.DataFrame(columns=["column", "flag", "n_rows", "text", "value"])
    return engine.frame(" UNION ALL ".join(parts) + " ORDER BY ALL")


# --- what Python reads, once per distinct text ---


def _doubts(column: RawColumn, texts: list[str], kind: Kind, how: How, native: str) -> tuple[How, dict[str, str]]:
    """Look at the column as a whole: what it proves, and which texts it makes doubtful."""
    if kind == "date":
        return replace(how, order=how.order or doubts.order_of_days(column, texts)), doubts.doubtful_dates(texts)
    if kind in ("money", "number") and how.decimal == "." and native == "VARCHAR":
        return how, doubts.doubtful_numbers(column, texts, kind == "money")
    return how, doubts.doubtful_ids(texts) if kind == "id" else {}


def _reader(kind: Kind, how: How) -> Callable[[str], Read]:
    return {
        "date": lambda text: dates.read_date(text, how.order, how.zone),
        "money": lambda text: values.read_amount(text, how.currency, how.decimal, how.unit),
        "number": lambda text: values.read_number(text, how.decimal, how.unit),
        "flag": lambda text: Read(values.parse_flag(text)),
        "id": values.read_id,
    }[kind]


def _meaning(text: str, reader: Callable[[str], Read], declared: Mapping[str, str | None], doubtful) -> Meaning:
    if declared and (word := fold(text)) in declared:
        if (ours := declared[word]) is None:
            return None, None, None
        text = ours
    elif text in doubtful:
        return None, doubtful[text], None
    try:
        value, flag = reader(text)
    except ValueError as refusal:
        return None, str(refusal), None
    return value, None, flag


def _categories(counts: dict[str, int], how: How) -> list[Meaning]:
    declared, spelled = {fold(word) for word in how.words}, values.spellings(counts, how.words)
    return [_category(text, word, fold(text) in declared, how) for text, word in spelled.items()]


def _category(text: str, word: str | None, is_declared: bool, how: How) -> Meaning:
    if fold(text) in EXCEL_ERRORS and not is_declared:
        return None, "excel_error", None
    if is_declared or not how.words or is_blank(text):
        return word, None, "normalised" if word not in (text, None) and not is_declared else None
    if how.default is not None:
        return how.default, None, "unmapped"
    return (None, "unknown_category", None) if how.closed else (word, None, "unmapped")


def _looked_up(engine: Engine, how: Typed, texts: list[str], meanings: list[Meaning]) -> Typed:
    """Store what was read as a lookup table and give the SQL that joins it."""
    name = f"_read_{next(_numbers)}"
    found, rules, flags = zip(*meanings, strict=True)
    text, rule, flag = (pa.array(words, pa.string()) for words in (texts, rules, flags))
    value = pa.array(found, _ARROW.get(how.kind, pa.string()))
    engine.load(name, pa.table({"text": text, "value": value, "rule": rule, "flag": flag}))
    return replace(
        how,
        value=f"coalesce({how.value}, {name}.value)",
        rule=f"{name}.rule" if any(rules) else "NULL",
        flag=f"{name}.flag" if any(flags) else "NULL",
        join=f"LEFT JOIN {quote(name)} AS {name} ON {name}.text = {how.text}",
    )
