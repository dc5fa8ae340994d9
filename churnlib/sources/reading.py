"""Files as the company has them -> raw tables of text, nothing lost: every row is in the table or rejected by name.

The only module that knows where data come from. It reads with Python and Arrow and hands columns to the engine, so that
no SQL statement ever opens a file, and a header is only ever a quoted name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from churnlib import text
from churnlib.engine import Engine, quote
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
    """What was found out about one file.

    Attributes
    ----------
    file : str
        Path inside the data set's folder.
    encoding, delimiter, sheet : str or None
        As found or declared; None where the kind of file has none.
    header_line : int or None
        Line (row) of the header, from 1.
    n_rows_in : int
        Data rows, rejected ones included; blank lines are no rows.
    n_rejected : int
    columns : tuple of str
    notes : tuple of (str, str)
        What was unusual: ("duplicate_header", name), ("empty_header", position) ...
    """

    file: str
    encoding: str | None
    delimiter: str | None
    sheet: str | None
    header_line: int | None
    n_rows_in: int
    n_rejected: int = 0
    columns: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def read_as(self) -> str:
        """What the file was taken for, for readers: encoding and delimiter, or the sheet."""
        sign = "Tab" if self.delimiter == "\t" else self.delimiter
        return f"{self.encoding} [{sign}]" if self.encoding else self.sheet or ""


@dataclass(frozen=True)
class RawTable:
    """A table as it stands in the files.

    Attributes
    ----------
    name : str
        The engine's table: _file, _line and the columns.
    columns : tuple of str
        Header texts, in the declared spelling where dataset.yml names them.
    files : tuple of FileFound
    rejected : pandas.DataFrame
        One row per rejected row: file, line, rule (undecodable, wrong_field_count, footer), value (its beginning),
        detail (too_few_fields, stray_quote ...: words in the catalogue).
    """

    name: str
    columns: tuple[str, ...]
    files: tuple[FileFound, ...]
    rejected: pd.DataFrame


@dataclass
class _Opened:
    """One source of rows, its header read and its rows still to come."""

    found: FileFound
    names: tuple[str, ...]
    batches: Callable[[Rejects], Iterator[Batch]]
    header: tuple[str, ...] = ()  # as written, to know it again among the rows; none where kinds are kept
    kinds: dict[str, str] = field(default_factory=dict)  # the engine's types of columns that are no text


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
        opened = [_open_query(source.sql)]
    else:
        paths = find_files(source.patterns, folder, allow_outside)
        opened = [_open_file(path, shown_name(path, folder), source, wanted) for path in paths]
    spelled: dict[str, str] = {}  # the engine does not tell upper from lower case, in whichever file they stand
    for one in opened:
        require(one.names, wanted, one.found.file)
        if len(one.names) > MOST_COLUMNS:
            raise text.DataError("reading.too_many_columns", file=one.found.file, n=len(one.names), most=MOST_COLUMNS)
        one.names = tuple(spelled.setdefault(key(name), name) for name in one.names)
    columns = tuple(dict.fromkeys(name for one in opened for name in one.names))
    _create(engine, into, columns, opened)
    files, rejected = [], []
    for one in opened:
        rejects = Rejects(one.found.file)
        n_rows = sum(_insert(engine, into, one, batch) for batch in _batches(one, rejects))
        if source.skip_footer:
            n_rows -= _skip_footer(engine, into, one.names, rejects, source.skip_footer)
        _refuse_if_unusable(one.found.file, n_rows, rejects)
        files.append(replace(one.found, n_rows_in=n_rows + len(rejects.lines), n_rejected=len(rejects.lines)))
        rejected.append(rejects)
    return RawTable(into, columns, tuple(files), _frame(rejected))


# --- one file, by what it is and not by what it is called ---


def _open_file(path: Path, shown: str, source: Any, wanted: tuple[str, ...]) -> _Opened:
    openers = {"parquet": _open_parquet, "workbook": _open_workbook, "text": _open_text}
    try:
        return openers[kind_of(path, shown)](path, shown, source, wanted)
    except OSError as problem:
        raise text.DataError("reading.cannot_open", file=shown, reason=problem.strerror or "") from None


def _open_text(path: Path, shown: str, source: Any, wanted: tuple[str, ...]) -> _Opened:
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
    names = list(header.names)
    if _ends_with_one_more(cells[header.last], cells[header.last + 1 :]):
        names.append(f"#{len(names) + 1}")
    elif not header.cells[-1].strip() and all(len(row) == len(names) - 1 for row in cells[header.last + 1 :]):
        names.pop()  # the other way round: `a,b,` over `1,2`
    shape = Shape(delimiter, len(names), rows[header.last].last_line)
    found = FileFound(
        shown, encoding.name, delimiter, None, rows[header.first].first_line, 0, 0, tuple(names), header.notes
    )
    return _Opened(found, tuple(names), lambda rejects: records(path, encoding, shape, rejects), header.cells)


def _refuse_undecodable_header(block: Block, rows: list[Row], wanted: tuple[str, ...], shown: str, name: str) -> None:
    """Tell a wrong encoding by its own name, before the headers that it spoiled are missed."""
    is_found = (
        any(score([row.cells], wanted) for row in rows) if wanted else block.bad_lines[:1] != [rows[0].first_line]
    )
    if block.bad_lines and not is_found:
        raise text.DataError("reading.header_undecodable", file=shown, encoding=name, line=block.bad_lines[0])


def _ends_with_one_more(header: list[str], rows: list[list[str]]) -> bool:
    """Tell whether every row below the header ends with a delimiter that the header lacks: `a,b` over `1,2,`."""
    return bool(rows) and all(len(row) == len(header) + 1 and not row[-1].strip() for row in rows)


def _declared_row(source: Any, lines: list[int], shown: str) -> int | None:
    if source.header_row is None:
        return None
    if source.header_row not in lines:
        raise text.DataError("reading.no_header_row", file=shown, line=source.header_row)
    return lines.index(source.header_row)


def _open_workbook(path: Path, shown: str, source: Any, wanted: tuple[str, ...]) -> _Opened:
    from churnlib.sources.excel import open_sheet

    sheet = open_sheet(path, shown, source.sheet)
    first = []
    for row in sheet.rows():
        first.append(row)
        if len(first) == SEARCHED:
            break
    filled, spans = sheet.header_rows(first)
    width = max((j + 1 for row in filled for j, cell in enumerate(row) if cell.strip()), default=0)
    if not width:
        raise text.DataError("reading.empty_file", file=shown)
    filled = [row[:width] for row in filled]  # formats without a cell may reach as far as column XFD
    header = find_header(filled, wanted, shown, spans, _declared_row(source, [*range(1, len(first) + 1)], shown))
    found = FileFound(shown, None, None, sheet.name, header.first + 1, 0, 0, header.names, header.notes)
    return _Opened(
        found, header.names, lambda rejects: _sheet_batches(sheet.rows(), header.last, width, rejects), header.cells
    )


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
            yield _as_columns(cells, width), np.array(lines)
            lines, cells = [], []
    if lines:
        yield _as_columns(cells, width), np.array(lines)


def _as_columns(cells: list[list[str]], width: int) -> list[pa.Array]:
    return [pa.array([row[j] for row in cells], pa.string()) for j in range(width)]


def _open_parquet(path: Path, shown: str, source: Any, wanted: tuple[str, ...]) -> _Opened:
    from churnlib.sources.parquet import ParquetTable

    table = ParquetTable(path, shown)
    header = find_header([table.names], wanted, shown, declared=0)
    kinds = dict(zip(header.names, table.kinds, strict=True))
    found = FileFound(shown, None, None, None, None, 0, 0, header.names, header.notes)
    return _Opened(found, header.names, lambda rejects: table.batches(), kinds=kinds)


def _open_query(declared: Any) -> _Opened:
    from churnlib.sources.database import Query

    query = Query(declared)
    header = find_header([query.names], (), query.shown, declared=0)
    found = FileFound(query.shown, None, None, None, None, 0, 0, header.names, header.notes)
    return _Opened(found, header.names, lambda rejects: query.batches())


# --- into the engine ---


def _batches(one: _Opened, rejects: Rejects) -> Iterator[Batch]:
    n_rows = 0
    for columns, lines in one.batches(rejects):
        keep = set_footers_aside(columns, lines, one.header, rejects) if one.header else None
        if keep is not None:
            columns, lines = [column.filter(pa.array(keep)) for column in columns], lines[keep]
        n_rows += len(lines)
        if len(rejects.lines) > MOST_REJECTS and len(rejects.lines) > n_rows:
            _refuse(one.found.file, n_rows, rejects)
        yield columns, lines


def _create(engine: Engine, into: str, columns: tuple[str, ...], opened: list[_Opened]) -> None:
    """Make the table; a column that has different types in different files is text."""
    kinds = {name: {one.kinds.get(name, "VARCHAR") for one in opened if name in one.names} for name in columns}
    # a list of names takes one byte a row where the texts would take thirty
    files = ", ".join("'" + one.found.file.replace("'", "''") + "'" for one in opened)
    types = ", ".join(f"{quote(n)} {next(iter(k)) if len(k) == 1 else 'VARCHAR'}" for n, k in kinds.items())
    engine.run(f"CREATE OR REPLACE TABLE {quote(into)} (_file ENUM({files}), _line BIGINT, {types})")


def _insert(engine: Engine, into: str, one: _Opened, batch: Batch) -> int:
    columns, lines = batch
    names = [f"c{j}" for j in range(len(columns))]  # never a header as a name in Arrow: two may be equal there
    engine.con.register("_incoming", pa.table([pa.array(lines), *columns], ["_line", *names]))
    listed = ", ".join(map(quote, one.names))
    engine.run(
        f"INSERT INTO {quote(into)} (_file, _line, {listed}) SELECT $file, _line, {', '.join(names)} FROM _incoming",  # noqa: S608
        {"file": one.found.file},
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


def _refuse_if_unusable(shown: str, n_rows: int, rejects: Rejects) -> None:
    if not n_rows and any(rule != "footer" for rule in rejects.rules):
        _refuse(shown, n_rows, rejects)


def _refuse(shown: str, n_rows: int, rejects: Rejects) -> None:
    first = next(i for i, rule in enumerate(rejects.rules) if rule != "footer")
    detail = text.label(f"reading.{rejects.details[first]}")
    numbers = {"n": len(rejects.lines), "of": n_rows + len(rejects.lines), "line": rejects.lines[first]}
    raise text.DataError("reading.most_rows_rejected", file=shown, detail=detail, **numbers)


def _frame(rejected: list[Rejects]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"file": r.file, "line": r.lines, "rule": r.rules, "value": r.values, "detail": r.details})
        for r in rejected
        if r.lines
    ]
    if not parts:
        return pd.DataFrame({"file": [], "line": [], "rule": [], "value": [], "detail": []}).astype({"line": "int64"})
    return pd.concat(parts).sort_values(["file", "line"], kind="stable").reset_index(drop=True)
