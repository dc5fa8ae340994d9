"""Excel workbooks (xlsx, xlsm, xlsb, xls) -> rows of text, as a reader of the sheet sees them.

A number is written as Excel shows it (15 digits, 1 and not 1.0), a date in ISO form. What Excel itself has lost stays
visible: a number of more than 15 digits is written as 1.23456789012346E+17, which no identifier is made of.
"""

from __future__ import annotations

import html
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import python_calamine as calamine

from churnlib import text
from churnlib.sources.written import trim

_CELL = re.compile(rb'<c r="([A-Z]+)([0-9]+)"([^>]*?)(?:/>|>(.*?)</c>)', re.DOTALL)
_VALUE = re.compile(rb"<v[^>]*>(.+?)</v>", re.DOTALL)
_COLUMN_ROW = re.compile(rb'<c r="([A-Z]+)')
_ROW = re.compile(rb'<row\b[^>]*?\br="([0-9]+)"')
_CHUNK = 4 << 20
MOST_CELLS = 50_000_000  # of a sheet's rectangle, unless a tenth of it is written in
LARGEST, TIGHTEST = 1 << 30, 100  # bytes and rate to which no workbook of a person is packed
NO_VALUE = "#FORMULA!"  # a formula that no program has computed yet


@dataclass(frozen=True)
class Sheet:
    """One sheet of a workbook."""

    name: str
    merged: tuple[tuple[int, int, int, int], ...]  # first row, first column, last row, last column; from 0
    _sheet: Any
    _defects: dict[int, dict[int, str]]  # row -> column -> what stands there

    def rows(self) -> Iterator[list[str]]:
        """Give the rows from the sheet's first one on; a cell merged over several rows has its value in all of them."""
        below: dict[int, tuple[int, str]] = {}  # column -> last row of the merged cell, its text
        starts = {(r0, c0): r1 for r0, c0, r1, _ in self.merged if r1 > r0}
        offset = self._sheet.start[1] if self._sheet.start else 0
        for i, row in enumerate(self._sheet.iter_rows()):
            cells = [""] * offset + [_text(cell) for cell in row]
            for c, defect in self._defects.get(i, {}).items():
                cells += [""] * (c + 1 - len(cells))
                cells[c] = defect
            for c, (last, written) in [*below.items()]:
                if i > last:
                    del below[c]
                elif c < len(cells):
                    cells[c] = written
            for c, cell in enumerate(cells):
                if (i, c) in starts:
                    below[c] = (starts[i, c], cell)
            yield cells

    def header_rows(self, rows: list[list[str]]) -> tuple[list[list[str]], list[int]]:
        """Fill the merged cells of the first rows sideways, and tell how many rows a header has that begins at each."""
        filled, spans = [list(row) for row in rows], [1] * len(rows)
        for r0, c0, r1, c1 in self.merged:
            if r0 >= len(rows):
                continue
            for r in range(r0, min(r1, len(rows) - 1) + 1):
                for c in range(c0, min(c1, len(filled[r]) - 1) + 1):
                    filled[r][c] = rows[r0][c0]
            if len({cell for cell in rows[r0] if cell}) > 1:  # more than a title
                below = rows[r0 + 1][c0 : c1 + 1] if r0 + 1 < len(rows) else []
                sideways = c1 > c0 and r1 == r0 and len({cell for cell in below if cell}) > 1
                spans[r0] = max(spans[r0], r1 - r0 + 1, 2 if sideways else 1)
        return filled, spans


def open_sheet(path: Path, shown: str, declared: str | None = None) -> Sheet:
    """Open a workbook at its declared sheet, or at the only one that holds anything.

    Raises
    ------
    DataError
        If the file is no workbook or locked by a password, or the sheet cannot be told: the message lists the sheets.
    """
    try:
        if zipfile.is_zipfile(path):
            _refuse_what_bursts(path, shown)
        workbook = calamine.CalamineWorkbook.from_path(str(path))
        sheet = _chosen(workbook, shown, declared)
        name = sheet.name
        merged = tuple((r0, c0, r1, c1) for (r0, c0), (r1, c1) in sheet.merged_cell_ranges or ())
    except calamine.PasswordError:
        raise text.DataError("reading.password", file=shown) from None
    except (calamine.CalamineError, zipfile.BadZipFile, OSError, ValueError) as problem:
        raise text.DataError("reading.no_workbook", file=shown, reason=type(problem).__name__) from None
    defects = _defects(path, shown, name) if zipfile.is_zipfile(path) else {}
    return Sheet(name, merged, sheet, defects)


def _refuse_what_bursts(path: Path, shown: str) -> None:
    """Refuse a workbook that would fill the memory: packed beyond belief, or two cells at the far ends of a sheet."""
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            if part.file_size > max(LARGEST, TIGHTEST * part.compress_size):
                raise text.DataError("reading.too_large", file=shown, size=part.file_size >> 20)
        for part in archive.namelist():
            if part.startswith("xl/worksheets/") and part.endswith(".xml"):
                n_cells, columns, last = 0, set(), 0
                for data in _chunks(archive, part):
                    n_cells += data.count(b"<c ")
                    columns |= set(_COLUMN_ROW.findall(data))
                    last = max([last, *map(int, _ROW.findall(data)[-1:])])
                width = max(map(_column, columns), default=0) + 1
                if last * width > max(MOST_CELLS, 10 * n_cells):
                    numbers = {"rows": last, "columns": width, "n": n_cells}
                    raise text.DataError("reading.far_cells", file=shown, **numbers)


def _chunks(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """The XML of a part in pieces that end with a cell."""
    with archive.open(part) as stream:
        rest = b""
        while chunk := stream.read(_CHUNK):
            data = rest + chunk
            end = data.rfind(b"</c>") + 4 if b"</c>" in data else len(data)
            yield data[:end]
            rest = data[end:]
        yield rest


def _chosen(workbook: Any, shown: str, declared: str | None) -> Any:
    sheets = [s for s in workbook.sheets_metadata if s.typ == calamine.SheetTypeEnum.WorkSheet]
    names = [s.name for s in sheets]
    if declared is not None:
        alike = [n for n in names if n == declared] or [n for n in names if trim(n).lower() == trim(declared).lower()]
        if len(alike) != 1:
            raise text.DataError("reading.no_sheet", file=shown, sheet=declared, sheets=names)
        return workbook.get_sheet_by_name(alike[0])
    visible = [s.name for s in sheets if s.visible == calamine.SheetVisibleEnum.Visible]
    for among in (visible, [name for name in names if name not in visible]):
        filled = [sheet for name in among if _is_filled(sheet := workbook.get_sheet_by_name(name))]
        if len(filled) > 1:
            raise text.DataError("reading.several_sheets", file=shown, sheets=[sheet.name for sheet in filled])
        if filled:
            return filled[0]
    raise text.DataError("reading.empty_file", file=shown)


def _is_filled(sheet: Any) -> bool:
    return any(cell not in ("", None) for row in sheet.iter_rows() for cell in row)


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, int | float):
        return _number(float(cell))
    if isinstance(cell, datetime):
        return cell.isoformat(" ", "seconds") if cell.time() != time() else cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)


def _number(value: float) -> str:
    if abs(value) >= 1e15:
        return f"{value:.14E}"  # Excel keeps 15 digits: the others are zeros, whatever was typed
    if value == int(value):
        return str(int(value))
    written = f"{value:.15g}"
    return written if "e" not in written else f"{value:.20f}".rstrip("0")


def _defects(path: Path, shown: str, name: str) -> dict[int, dict[int, str]]:
    """Find the cells that a reader of values gets as blanks: errors (#REF!) and formulas that were never computed."""
    found: dict[int, dict[int, str]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            part = _part(archive, shown, name)
            for data in _chunks(archive, part) if part else ():
                if b"<f" in data or b't="e"' in data:
                    for row, column, defect in _defects_of(data):
                        found.setdefault(row, {})[column] = defect
    except (zipfile.BadZipFile, KeyError, OSError, RuntimeError):
        return {}  # an xlsb, or a part that only its own program understands: its values are read as they are
    return found


def _defects_of(data: bytes) -> Iterator[tuple[int, int, str]]:
    for letters, row, attributes, body in (match.groups(b"") for match in _CELL.finditer(data)):
        value = _VALUE.search(body)
        if b't="e"' in attributes:
            yield int(row) - 1, _column(letters), (value[1] if value else b"#VALUE!").decode("utf-8", "replace")
        elif b"<f" in body and not value and b't="str"' not in attributes:
            yield int(row) - 1, _column(letters), NO_VALUE


def _column(letters: bytes) -> int:
    n = 0
    for letter in letters:
        n = 26 * n + letter - 64
    return n - 1


def _part(archive: zipfile.ZipFile, shown: str, name: str) -> str | None:
    """Find the file of a sheet inside the workbook, and refuse the calendar that begins in 1904."""
    book = archive.read("xl/workbook.xml").decode("utf-8", "replace")
    if re.search(r'date1904="(?:1|true)"', book):
        raise text.DataError("reading.date_1904", file=shown)
    links = archive.read("xl/_rels/workbook.xml.rels").decode("utf-8", "replace")
    targets = {
        found[1]: target[1]
        for link in re.findall(r"<Relationship\b[^>]*>", links)
        if (found := re.search(r'\bId="([^"]*)"', link)) and (target := re.search(r'\bTarget="([^"]*)"', link))
    }
    for sheet in re.findall(r"<(?:\w+:)?sheet\b[^>]*>", book):
        title, link = re.search(r'\bname="([^"]*)"', sheet), re.search(r'\br:id="([^"]*)"', sheet)
        if title and link and html.unescape(title[1]) == name and link[1] in targets:
            target = targets[link[1]]
            return target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    return None
