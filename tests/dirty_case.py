"""What a dirty file is, and the little tables that get dirty."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from churnlib.engine import Engine, literal, quote
from churnlib.sources.typed import Typed

ZH = {"id": "客户编号", "start": "入网日期", "fee": "月费", "region": "大区"}
EN = {"id": "Customer", "start": "Start", "fee": "Fee", "region": "Region"}

FIRST = ("0001", date(2024, 3, 5), 10050, "华南")
SECOND = ("0002", date(2024, 3, 6), 20000, "华北")
THIRD = ("0003", date(2024, 3, 7), -3000, "华东")
ALL = (FIRST, SECOND, THIRD)
ALL_EN = tuple((*row[:3], region) for row, region in zip(ALL, ("South", "North", "East"), strict=True))

HEAD, HEAD_EN = "客户编号,入网日期,月费,大区\n", "Customer,Start,Fee,Region\n"
ROW1, ROW2, ROW3 = "0001,2024-03-05,100.50,华南\n", "0002,2024-03-06,200,华北\n", "0003,2024-03-07,-30,华东\n"
EN1, EN2, EN3 = "0001,2024-03-05,100.50,South\n", "0002,2024-03-06,200,North\n", "0003,2024-03-07,-30,East\n"
TABLE, TABLE_EN = HEAD + ROW1 + ROW2 + ROW3, HEAD_EN + EN1 + EN2 + EN3


@dataclass
class Dirty:
    """One case.

    Attributes
    ----------
    name : str
        The defect, in words.
    files : dict
        File name -> bytes.
    rows : tuple of tuples
        Identifier, start, fee in minor units and region of the rows that are used, in the order of files and lines.
    aside : tuple of (line, detail)
        Rows set aside while reading.
    refused : tuple of (line, column, rule)
        Values that could not be read; they are None in `rows`.
    error, says : str, tuple of str
        Key of the message where the data cannot be used, and what it must name.
    options : dict
        What dataset.yml declares besides the columns.
    writing : dict
        What it declares about the writing of all columns.
    """

    name: str
    files: dict[str, bytes]
    rows: tuple[tuple[Any, ...], ...] = ALL
    aside: tuple[tuple[int, str], ...] = ()
    refused: tuple[tuple[int, str, str], ...] = ()
    error: str | None = None
    says: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=lambda: ZH)
    writing: dict[str, Any] = field(default_factory=dict)


def zh(name: str, content: str | bytes, encoding: str = "utf-8", **outcome: Any) -> Dirty:
    """One CSV file in Chinese."""
    return Dirty(name, {"客户.csv": content if isinstance(content, bytes) else content.encode(encoding)}, **outcome)


def en(name: str, content: str | bytes, encoding: str = "utf-8", **outcome: Any) -> Dirty:
    """One CSV file in English."""
    data = content if isinstance(content, bytes) else content.encode(encoding)
    return Dirty(name, {"customers.csv": data}, **({"rows": ALL_EN, "headers": EN} | outcome))


def excel(name: str, build: Callable[[openpyxl.Workbook], None], **outcome: Any) -> Dirty:
    """One Excel workbook; `build` fills it."""
    book = openpyxl.Workbook()
    build(book)
    return Dirty(name, {"客户.xlsx": saved(book)}, **outcome)


def second_aside(detail: str, rows: tuple = ALL) -> dict[str, Any]:
    """The outcome of most defects: the second row, on line 3, is set aside while reading."""
    return {"rows": (rows[0], rows[2]), "aside": ((3, detail),)}


def parquet(*columns: tuple[str, list[Any]]) -> bytes:
    """A Parquet file of these columns."""
    out = pa.BufferOutputStream()
    pq.write_table(pa.table([values for _, values in columns], [name for name, _ in columns]), out)
    return out.getvalue().to_pybytes()


def saved(book: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def refused(engine: Engine, table: str, columns: Mapping[str, Typed]) -> pd.DataFrame:
    """The values that could not be read: one row per value, with file, line, column, rule and the text as written."""
    parts = [
        f'SELECT _file AS file, _line AS line, {literal(name)} AS "column", {how.rule} AS rule, {how.text} AS value'  # noqa: S608
        f" FROM {quote(table)} AS raw {how.join} WHERE {how.rule} IS NOT NULL"
        for name, how in columns.items()
    ]
    return engine.frame(" UNION ALL ".join(parts) + " ORDER BY ALL")


def type_table(engine: Engine, table: str, into: str, columns: Mapping[str, Typed]) -> None:
    """Make a table of meanings: one row per raw row, with _file, _line and the columns under their new names."""
    chosen = ", ".join(f"{how.value} AS {quote(name)}" for name, how in columns.items())
    joins = " ".join(how.join for how in columns.values())
    sql = f"SELECT _file, _line, {chosen} FROM {quote(table)} AS raw {joins}"  # noqa: S608 (quoted)
    engine.run(f"CREATE OR REPLACE TABLE {quote(into)} AS {sql}")
