"""A folder of unknown files, looked at: which tables there are, what their columns are called and what they hold."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from churnlib import text
from churnlib.about import Period
from churnlib.engine import Engine, quote
from churnlib.model.churn_form import read_forms
from churnlib.model.schema import Source
from churnlib.sources import dates, reading, values
from churnlib.sources.files import SUFFIXES
from churnlib.sources.written import is_blank

LOOKED_AT = 20_000_000  # bytes of a text file that are read to learn what it holds
MOST_COLUMNS = 500  # that are looked at
DISTINCT = 5000  # texts of a column that are looked at
_MOMENT = r"^(\d[^ T]{5,11}\d日?)[ T]+\d{1,2}[:时点]\d.*$"
_STRAY = 0.0002  # share of the rows beyond the first or last day that are slips of the pen
_UNTOLD = ("big5", "cp1252", "latin1")  # encodings that no byte proves, the strictest first
_LONG = {".xlsx", ".xlsm", ".xls", ".xlsb", ".parquet", ".pq"}


@dataclass(frozen=True)
class Column:
    """One column as it is."""

    header: str
    n: int  # rows that are not blank
    n_distinct: int  # different texts among them
    texts: dict[str, int]  # the most frequent texts and how often they occur

    def share(self, parse: Callable[[str], Any]) -> float:
        """Give the share of the rows looked at that a parser understands."""
        read = sum(n for written, n in self.texts.items() if _reads(parse, written) is not None)
        return read / (sum(self.texts.values()) or 1)

    @cached_property
    def order(self) -> str:
        """The order of day, month and year that reads most of the column, or else gives the narrowest span of days."""

        def fit(order: str) -> tuple[int, int]:
            read = [(_reads(lambda t: dates.parse_date(t, order), written), n) for written, n in self.texts.items()]
            days = [day.toordinal() for day, _ in read if day] or [0]
            return sum(n for day, n in read if day), min(days) - max(days)

        return max(("dmy", "mdy", "ymd"), key=fit)

    @cached_property
    def share_of_dates(self) -> float:
        """The share of dates; numbers alone (Excel's day numbers, 20240305) count as dates, too."""
        return self.share(lambda written: dates.parse_date(written, self.order))

    @cached_property
    def share_of_numbers(self) -> float:
        """The share of numbers."""
        return self.share(values.parse_number)

    @property
    def largest(self) -> float:
        """The largest number that was seen."""
        return max((n for t in self.texts if (n := _reads(values.parse_number, t)) is not None), default=0.0)

    def first_and_last(self, until: date) -> tuple[date, date] | None:
        """Give the first and the last day up to a day, single stray dates left aside; months end with a last day."""
        read = [(_reads(lambda t: dates.read_date(t, self.order), written), n) for written, n in self.texts.items()]
        days = sorted((found.value, n) for found, n in read if found and found.value and found.value <= until)
        if not days:
            return None
        strays = _STRAY * sum(n for _, n in days)
        last = _edge(days[::-1], strays)
        if all(found.flag == "month_only" for found, _ in read if found and found.value):
            last = min(Period(last).last, until)
        return _edge(days, strays), last


@dataclass(frozen=True)
class Found:
    """One table found: files of one layout (or a sheet of a workbook)."""

    files: tuple[str, ...]  # paths in the folder
    sheet: str | None = None  # given where a workbook has several
    n_rows: int = 0  # looked at
    columns: dict[str, Column] = field(default_factory=dict)
    problem: str = ""  # why the file cannot be used
    is_form: bool = False  # whether it holds churn forms, one a sheet
    encoding: str | None = None  # guessed, where the bytes do not tell

    @property
    def name(self) -> str:
        """What the table is called: the first file and the sheet."""
        return self.files[0] + (f" [{self.sheet}]" if self.sheet else "")


def look(folder: Path) -> list[Found]:
    """Look at every file in a folder, in the order of names; files with the same headers are taken together."""
    paths = sorted(p for p in folder.rglob("*") if _is_data(p, folder))
    together: dict[Any, Found] = {}
    for one in (one for path in paths for one in _sheets(path, folder)):
        alike = (*one.columns, Path(one.files[0]).suffix.lower(), one.encoding)
        key = "forms" if one.is_form else alike if one.columns and not one.sheet else one.name
        together[key] = _joined(together[key], one) if key in together else one
    return list(together.values())


def _is_data(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith((".", "~$")) for part in path.relative_to(folder).parts)
    return path.is_file() and not hidden and path.suffix.lower() in SUFFIXES


def _sheets(path: Path, folder: Path) -> list[Found]:
    """The tables of one file: several where a workbook has several sheets."""
    shown = path.relative_to(folder).as_posix()
    if forms := _forms(path, shown):
        return [Found((shown,), n_rows=forms, is_form=True)]
    try:
        return [_read(path, shown)]
    except text.DataError as problem:
        if problem.key == "reading.several_sheets":
            return [_read_sheet(path, shown, sheet) for sheet in problem.values["sheets"]]
        if problem.key == "reading.encoding_unsure":  # the analyst has no dataset.yml yet in which to declare it
            return [_read(path, shown, encoding=next(name for name in _UNTOLD if _decodes(path, name)))]
        return [Found((shown,), problem=str(problem))]


def _forms(path: Path, shown: str) -> int:
    """The number of churn forms in a workbook; 0 if it is none, or holds anything else."""
    if path.suffix.lower() not in _LONG or path.stat().st_size > LOOKED_AT:
        return 0
    try:
        return len(read_forms(path, shown))
    except text.DataError:
        return 0


def _read_sheet(path: Path, shown: str, sheet: str) -> Found:
    try:
        return _read(path, shown, sheet)
    except text.DataError as problem:
        return Found((shown,), sheet, problem=str(problem))


def _decodes(path: Path, encoding: str) -> bool:
    try:
        return bool(_start(path).decode(encoding))
    except UnicodeDecodeError:
        return False


def _read(path: Path, shown: str, sheet: str | None = None, encoding: str | None = None) -> Found:
    with contextlib.closing(Engine()) as engine, tempfile.TemporaryDirectory(prefix="churn-") as beginnings:
        if path.suffix.lower() not in _LONG and path.stat().st_size > LOOKED_AT:
            content = _start(path)
            path = Path(beginnings) / path.name
            path.write_bytes(content)
        # no columns are wanted yet
        source = Source.model_construct(file=path.name, sheet=sheet, encoding=encoding, columns={})
        raw = reading.read_source(engine, source, path.parent, "raw", allow_outside=True)
        columns = {header: _column(engine, header) for header in raw.columns[:MOST_COLUMNS]}
        return Found((shown,), sheet, engine.value("SELECT count(*) FROM raw"), columns, encoding=encoding)


def _start(path: Path) -> bytes:
    """The whole lines at the start of a text file."""
    with path.open("rb") as stream:
        content = stream.read(LOOKED_AT)
    return content[: content.rfind(b"\n") + 1] or content


def _column(engine: Engine, header: str) -> Column:
    counts = f"SELECT CAST({quote(header)} AS VARCHAR) AS written, count(*) AS n FROM raw GROUP BY ALL"  # noqa: S608
    rows = engine.frame(f"SELECT * FROM ({counts}) WHERE written IS NOT NULL ORDER BY n DESC, written")  # noqa: S608
    filled = rows[[not is_blank(written) for written in rows["written"]] if len(rows) else slice(None)]
    n_distinct = len(filled)
    if n_distinct > DISTINCT:  # of moments only the days, so that the last one is among those looked at
        days = filled["written"].str.replace(_MOMENT, r"\1", regex=True)
        filled = filled.assign(written=days).groupby("written", as_index=False)["n"].sum()
        filled = filled.sort_values(["n", "written"], ascending=[False, True])
    texts = dict(zip(filled["written"][:DISTINCT], filled["n"][:DISTINCT].astype(int), strict=True))
    return Column(header, int(filled["n"].sum()), n_distinct, texts)


def _joined(first: Found, second: Found) -> Found:
    pairs = {header: (first.columns[header], column) for header, column in second.columns.items()}
    columns = {
        header: Column(header, a.n + b.n, max(a.n_distinct, b.n_distinct), dict(Counter(a.texts) + Counter(b.texts)))
        for header, (a, b) in pairs.items()
    }
    files, n_rows = first.files + second.files, first.n_rows + second.n_rows
    return replace(first, files=files, sheet=None, n_rows=n_rows, columns=columns)


def _edge(days: list[tuple[date, int]], strays: float) -> date:
    """The first day that more rows than the strays reach."""
    reached = 0
    for day, n in days:
        reached += n
        if reached > strays:
            return day
    return days[-1][0]


def _reads(parse: Callable[[str], Any], written: str) -> Any:
    try:
        return parse(written)
    except ValueError:
        return None
