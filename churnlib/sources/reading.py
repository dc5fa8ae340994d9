"""Files as the company has them -> raw tables of text, nothing lost: every row is in the table or rejected by name.

The only module that knows where data come from. It reads with Python and Arrow and hands columns to the engine, so that
no SQL statement ever opens a file, and a header is only ever a quoted name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from churnlib import text
from churnlib.engine import Engine, literal, quote
from churnlib.sources.delimited import Row, Shape, find_delimiter, first_rows, records
from churnlib.sources.encoding import Block, blocks, find_encoding
from churnlib.sources.files import find_files, kind_of, shown_name
from churnlib.sources.header import SEARCHED, Rejects, find_header, key, require, score, set_footers_aside

SHEET_ROWS = 20_000  # of a sheet, turned into columns at a time
MOST_COLUMNS = 16_384  # as many as a sheet can have
MOST_REJECTS = 100_000  # beyond it a file of which most rows do not fit is refused

Batch = tuple[list[pa.Array], np.ndarray]


@dataclass(frozen=True)
class FileFound:
    """What was found out about one file."""

    file: str  # path inside the data set's folder
    encoding: str | None = None  # this and the next three as found or declared, where the kind of file has them
    delimiter: str | None = None
    sheet: str | None = None
    header_line: int | None = None  # line or row, from 1
    n_rows_in: int = 0  # data rows, rejected ones included; blank lines are no rows
    columns: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()  # what was unusual: ("duplicate_header", name), ("empty_header", position)

    @property
    def read_as(self) -> str:
        """What the file was taken for, for readers: encoding and delimiter, or the sheet."""
        sign = "Tab" if self.delimiter == "\t" else self.delimiter
        return f"{self.encoding} [{sign}]" if self.encoding else self.sheet or ""


@dataclass(frozen=True)
class RawTable:
    """A table as it stands in the files.

    `rejected` has one row per rejected row: file, line, rule (undecodable, wrong_field_count, footer), value (its
    beginning), detail (too_few_fields, stray_quote ...: words in the catalogue).
    """

    name: str  # the engine's table: _file, _line and the columns
    columns: tuple[str, ...]  # header texts, in the declared spelling where dataset.yml names them
    files: tuple[FileFound, ...]
    rejected: pd.DataFrame


class Opened(NamedTuple):
    """One source of rows, its header read and its rows still to come."""

    found: FileFound  # its counts of rows are still 0
    batches: Callable[[Rejects], Iterable[Batch]]  # gives columns and the line of each row; the others go to `Rejects`
    header: tuple[str, ...] = ()  # as written, to know it again among the rows
    kinds: Sequence[str] = ()  # the engine's type of each column; all are text if none is given


def read_source(engine: Engine, source: Any, folder: Path, into: str, *, allow_outside: bool = False) -> RawTable:
    """Load every row of one declared source into a table of the engine.

    Parameters
    ----------
    engine : Engine
    source : schema.Source
        Files or query, and what is declared about them; what is not declared is found.
    folder : Path
        The data set's folder.
    into : str
        Name of the table to make: _file, _line (from 1, in the original file) and one column per header.
    allow_outside : bool
        Whether files may lie outside of the folder (links are followed).

    Returns
    -------
    RawTable
        Rows in = rows of the table + rejected rows, for every file.

    Raises
    ------
    DataError
        In one line: what cannot be used, where, and what to do.
    """
    wanted = tuple(dict.fromkeys(c.column for c in source.columns.values() if c.column is not None))
    if source.sql is not None:
        from churnlib.sources.database import Query

        query = Query(source.sql)
        opened = [_open_table(query, query.shown, ())]
    else:
        paths = find_files(source.patterns, folder, allow_outside)
        opened = [_open_file(path, shown_name(path, folder), source, wanted) for path in paths]
    for one in opened:
        require(one.found.columns, wanted, one.found.file)
        if (n := len(one.found.columns)) > MOST_COLUMNS:
            raise text.DataError("reading.too_many_columns", file=one.found.file, n=n, most=MOST_COLUMNS)
    return load(engine, opened, into, source.skip_footer or 0)


def load(engine: Engine, opened: Sequence[Opened], into: str, skip_footer: int = 0) -> RawTable:
    """Load what was opened into one table (see `read_source`), without the last rows of each file that are skipped."""
    spelled: dict[str, str] = {}  # the engine does not tell upper from lower case, in whichever file they stand
    names = [tuple(spelled.setdefault(key(name), name) for name in one.found.columns) for one in opened]
    columns = _create(engine, into, opened, names)
    files, rejected = [], []
    for one, listed in zip(opened, names, strict=True):
        rejects = Rejects(one.found.file)
        n_rows = sum(_insert(engine, into, one.found.file, listed, batch) for batch in _batches(one, rejects))
        n_rows -= _skip_footer(engine, into, listed, rejects, skip_footer) if skip_footer else 0
        if not n_rows and any(rule != "footer" for rule in rejects.rules):
            _refuse(n_rows, rejects)
        files.append(replace(one.found, n_rows_in=n_rows + len(rejects.lines)))
        rejected.append(rejects)
    return RawTable(into, columns, tuple(files), _frame(rejected))


# --- one file, by what it is and not by what it is called ---


def _open_file(path: Path, shown: str, source: Any, wanted: tuple[str, ...]) -> Opened:
    openers = {"parquet": _open_parquet, "workbook": _open_workbook, "text": _open_text}
    try:
        return openers[kind_of(path, shown)](path, shown, source, wanted)
    except OSError as problem:
        raise text.DataError("reading.cannot_open", file=shown, reason=problem.strerror or "") from None


def _open_text(path: Path, shown: str, source: Any, wanted: tuple[str, ...]) -> Opened:
    encoding = find_encoding(path, shown, source.encoding)
    block = next(blocks(path, encoding), Block(b"", 1, []))
    delimiter = source.delimiter or find_delimiter(block, wanted)
    if not delimiter.isascii() or delimiter in '"\n\r' or delimiter.isalnum():
        raise text.DataError("reading.bad_delimiter", file=shown, delimiter=delimiter)
    rows = first_rows(block, delimiter)
    if not rows:
        raise text.DataError("reading.empty_file", file=shown)
    cells = [row.cells for row in rows]
    _refuse_undecodable_header(block, rows, wanted, shown, encoding.name)
    header = find_header(cells, wanted, shown, declared=_declared_row(source, [r.first_line for r in rows], shown))
    names, below = list(header.names), cells[header.last + 1 :]
    if below and all(len(row) == len(header.cells) + 1 and not row[-1].strip() for row in below):
        names.append(f"#{len(names) + 1}")  # every row ends with a delimiter that the header lacks: `a,b` over `1,2,`
    elif not header.cells[-1].strip() and all(len(row) == len(names) - 1 for row in below):
        names.pop()  # the other way round: `a,b,` over `1,2`
    shape = Shape(delimiter, len(names), rows[header.last].last_line)
    line = rows[header.first].first_line
    found = FileFound(shown, encoding.name, delimiter, None, line, columns=tuple(names), notes=header.notes)
    return Opened(found, lambda rejects: records(path, encoding, shape, rejects), header.cells)


def _refuse_undecodable_header(block: Block, rows: list[Row], wanted: tuple[str, ...], shown: str, name: str) -> None:
    """Tell a wrong encoding by its own name, before the headers that it spoiled are missed."""
    bad = block.bad_lines
    is_found = any(score([row.cells], wanted) for row in rows) if wanted else bad[:1] != [rows[0].first_line]
    if bad and not is_found:
        raise text.DataError("reading.header_undecodable", file=shown, encoding=name, line=bad[0])


def _declared_row(source: Any, lines: list[int], shown: str) -> int | None:
    if source.header_row is None:
        return None
    if source.header_row not in lines:
        raise text.DataError("reading.no_header_row", file=shown, line=source.header_row)
    return lines.index(source.header_row)


def _open_workbook(path: Path, shown: str, source: Any, wanted: tuple[str, ...]) -> Opened:
    from churnlib.sources.excel import open_sheet

    sheet = open_sheet(path, shown, source.sheet)
    first = [*islice(sheet.rows(), SEARCHED)]
    filled, spans = sheet.header_rows(first)
    width = max((j + 1 for row in filled for j, cell in enumerate(row) if cell.strip()), default=0)
    if not width:
        raise text.DataError("reading.empty_file", file=shown)
    filled = [row[:width] for row in filled]  # formats without a cell may reach as far as column XFD
    header = find_header(filled, wanted, shown, spans, _declared_row(source, [*range(1, len(first) + 1)], shown))
    found = FileFound(shown, sheet=sheet.name, header_line=header.first + 1, columns=header.names, notes=header.notes)
    return Opened(found, lambda rejects: _sheet_batches(sheet.rows(), header.last, width, rejects), header.cells)


def _sheet_batches(rows: Iterator[list[str]], last: int, width: int, rejects: Rejects) -> Iterator[Batch]:
    lines: list[int] = []
    cells: list[list[str]] = []
    for i, row in enumerate(rows):
        if i <= last or not any(row):
            continue
        if any(cell.strip() for cell in row[width:]):
            rejects.add(i + 1, "wrong_field_count", "too_many_fields", "|".join(row))
            continue
        lines.append(i + 1)
        cells.append((row + [""] * width)[:width])
        if len(lines) == SHEET_ROWS:
            yield as_columns(cells, width), np.array(lines)
            lines, cells = [], []
    if lines:
        yield as_columns(cells, width), np.array(lines)


def as_columns(rows: Sequence[Sequence[str | None]], width: int) -> list[pa.Array]:
    """Turn rows of texts into columns."""
    return [pa.array([row[j] for row in rows], pa.string()) for j in range(width)]


def _open_parquet(path: Path, shown: str, source: Any, wanted: tuple[str, ...]) -> Opened:
    from churnlib.sources.parquet import ParquetTable

    return _open_table(ParquetTable(path, shown), shown, wanted)


def _open_table(table: Any, shown: str, wanted: tuple[str, ...]) -> Opened:
    """What a program wrote: no header to look for, no footers."""
    header = find_header([table.names], wanted, shown, declared=0)
    found = FileFound(shown, columns=header.names, notes=header.notes)
    return Opened(found, lambda rejects: table.batches(), kinds=table.kinds)


# --- into the engine ---


def _batches(one: Opened, rejects: Rejects) -> Iterator[Batch]:
    n_rows = 0
    for columns, lines in one.batches(rejects):
        keep = set_footers_aside(columns, lines, one.header, rejects) if one.header else None
        if keep is not None:
            columns, lines = [column.filter(pa.array(keep)) for column in columns], lines[keep]
        n_rows += len(lines)
        if len(rejects.lines) > MOST_REJECTS and len(rejects.lines) > n_rows:
            _refuse(n_rows, rejects)
        yield columns, lines


def _create(engine: Engine, into: str, opened: Sequence[Opened], names: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Make the table and give its columns; one that has different types in different files is text."""
    kinds: dict[str, set[str]] = {}
    for one, listed in zip(opened, names, strict=True):
        for name, kind in zip(listed, one.kinds or ["VARCHAR"] * len(listed), strict=True):
            kinds.setdefault(name, set()).add(kind)
    # a list of names takes one byte a row where the texts would take thirty
    files = ", ".join(literal(one.found.file) for one in opened)
    types = ", ".join(f"{quote(n)} {k.pop() if len(k) == 1 else 'VARCHAR'}" for n, k in kinds.items())
    engine.run(f"CREATE OR REPLACE TABLE {quote(into)} (_file ENUM({files}), _line BIGINT, {types})")
    return tuple(kinds)


def _insert(engine: Engine, into: str, file: str, listed: Sequence[str], batch: Batch) -> int:
    columns, lines = batch
    names = [f"c{j}" for j in range(len(columns))]  # never a header as a name in Arrow: two may be equal there
    engine.con.register("_incoming", pa.table([pa.array(lines), *columns], ["_line", *names]))
    engine.run(
        f"INSERT INTO {quote(into)} (_file, _line, {', '.join(map(quote, listed))})"  # noqa: S608 (quoted)
        f" SELECT $file, _line, {', '.join(names)} FROM _incoming",
        {"file": file},
    )
    engine.con.unregister("_incoming")
    return len(lines)


def _skip_footer(engine: Engine, into: str, names: tuple[str, ...], rejects: Rejects, n: int) -> int:
    """Set the last rows of a file aside, as dataset.yml declares; gives how many of them were still in the table."""
    where = {"file": rejects.file}
    last = engine.frame(
        f"SELECT _line, concat_ws('|', {', '.join(map(quote, names))}) AS written FROM {quote(into)}"  # noqa: S608
        f" WHERE _file = $file ORDER BY _line DESC LIMIT {int(n)}",
        where,
    )
    lines = sorted([*last["_line"], *rejects.lines])[-n:]
    last = last[last["_line"].isin(lines)]
    for line, written in zip(last["_line"], last["written"], strict=True):
        rejects.add(line, "footer", "skipped_footer", written)
    if len(last):
        sql = f"DELETE FROM {quote(into)} WHERE _file = $file AND _line >= $line"  # noqa: S608 (quoted)
        engine.run(sql, where | {"line": int(last["_line"].min())})
    return len(last)


def _refuse(n_rows: int, rejects: Rejects) -> None:
    first = next(i for i, rule in enumerate(rejects.rules) if rule != "footer")
    detail = text.label(f"reading.{rejects.details[first]}")
    numbers = {"n": len(rejects.lines), "of": n_rows + len(rejects.lines), "line": rejects.lines[first]}
    raise text.DataError("reading.most_rows_rejected", file=rejects.file, detail=detail, **numbers)


def _frame(rejected: Sequence[Rejects]) -> pd.DataFrame:
    rows = [(r.file, *row) for r in rejected for row in zip(r.lines, r.rules, r.values, r.details, strict=True)]
    frame = pd.DataFrame(rows, columns=["file", "line", "rule", "value", "detail"]).astype({"line": "int64"})
    return frame.sort_values(["file", "line"], kind="stable", ignore_index=True)
