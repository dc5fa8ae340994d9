"""Results as a typed Excel workbook: one sheet a result, and a sheet of notes (说明) that says what the numbers are."""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any

from churnlib import text
from churnlib.show.results import Column, Result
from churnlib.text import Label

# how a column's kind is written in Excel: the number stays a number
FORMATS = {"count": "#,##0", "whole": "#,##0", "money": "#,##0.00", "date": "yyyy-mm-dd", "p": "0.0000"}
_SIGNED = {"points": "", "change": "%", "signed": ""}
_FORBIDDEN = re.compile(r"[\[\]:*?/\\']")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of the files in the archive: the same bytes on every run


def write_workbook(path: str | Path, results: Iterable[Result]) -> Path:
    """Write results as one Excel workbook, in the current language.

    Parameters
    ----------
    path : str or Path
    results : iterable of Result
        One sheet each: what `Result.shown` holds, under the readers' headings, as numbers, dates and text with their
        formats; money in major units, differences of shares in percentage points. The first sheet holds findings,
        definitions and notes.

    Returns
    -------
    Path
        The file; the same bytes for the same results.
    """
    from openpyxl import Workbook

    results, book = list(results), Workbook()
    notes = book.active
    notes.title = text.say("excel.notes")
    names = _sheet_names(results, notes.title)
    for result, name in zip(results, names, strict=True):
        _write_table(book.create_sheet(name), result)
    _write_notes(notes, results, names)
    Path(path).write_bytes(_same_bytes(book))
    return Path(path)


def _sheet_names(results: list[Result], taken: str) -> list[str]:
    """Names that Excel accepts (31 characters, no brackets), each once."""
    names: list[str] = []
    for result in results:
        stem = _FORBIDDEN.sub("_", result.name)[:28] or "table"
        seen = [taken.casefold(), *(name.casefold() for name in names)]
        names.append(next(n for n in (stem, *(f"{stem}_{k}" for k in range(2, 99))) if n.casefold() not in seen))
    return names


def _write_table(sheet, result: Result) -> None:
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    columns, shown = result.shown_columns(), result.shown
    for j, column in enumerate(columns, start=1):
        number_format = _number_format(column)
        cells = [_value(result, column, value) for value in shown[column.name]]
        head = sheet.cell(1, j, _text(_heading(result, column)))
        head.font, head.alignment = Font(bold=True), Alignment(wrap_text=True, vertical="bottom")
        for i, value in enumerate(cells, start=2):
            cell = sheet.cell(i, j)
            cell.value = value
            if number_format and isinstance(value, int | float | date):
                cell.number_format = number_format
        sheet.column_dimensions[get_column_letter(j)].width = _width(head.value, cells)
    sheet.freeze_panes = "B2"  # headings and the first column stay
    if columns and len(shown):
        sheet.auto_filter.ref = sheet.dimensions


def _heading(result: Result, column: Column) -> str:
    heading = column.label(result.module).to(text.language())
    units = {"money": result.about.currency, "points": text.say("excel.points")}
    unit = units.get(column.kind)
    return text.say("excel.with_unit", heading=heading, unit=unit) if unit else heading


def _number_format(column: Column) -> str | None:
    if column.kind == "pct":
        return _decimals(column, 2) + "%"
    if column.kind in _SIGNED:
        body = _decimals(column, 2 if column.kind == "points" else 1) + _SIGNED[column.kind]
        return f"+{body};-{body};{body}"
    if column.kind in ("number", "ratio"):
        return "#,##" + _decimals(column, 1 if column.kind == "number" else 2)
    return FORMATS.get(column.kind)


def _decimals(column: Column, usual: int) -> str:
    digits = usual if column.digits is None else column.digits
    return "0." + "0" * digits if digits else "0"


def _value(result: Result, column: Column, value: Any) -> Any:
    """One cell: numbers as numbers, words in the reader's language, a missing value as an empty cell."""
    if hasattr(value, "item"):
        value = value.item()
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if column.kind in ("money", "points"):
        return value / 100 if column.kind == "money" else value * 100
    if column.kind == "level":
        return _text(result.level(value).to(text.language()))
    if column.kind == "term":
        return _text(text.say(f"{column.prefix}.{value}"))
    if isinstance(value, Label):
        return _text(value.to(text.language()))
    if isinstance(value, datetime):
        return None if value != value else value.date()  # NaT differs from itself
    return value if isinstance(value, bool | int | float | date) else _text(str(value))


def _text(said: str) -> str:
    """Text that a spreadsheet never runs as a formula, without the characters that its files cannot hold."""
    clean = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", said)
    return f"'{clean}" if clean[:1] in tuple("=+-@\t\r") else clean


def _width(heading: str, cells: list[Any]) -> float:
    """A column's width in characters, Han ones counting twice."""
    longest = max((_length(str(cell)) for cell in cells if isinstance(cell, str)), default=0)
    return min(max(_length(heading) * 0.8, longest, 10) + 2, 60)


def _length(said: str) -> int:
    return sum(2 if ord(char) > 0x2E7F else 1 for char in said)


def _write_notes(sheet, results: list[Result], names: list[str]) -> None:
    """What the workbook is about, and for each sheet its findings, measure and notes."""
    from openpyxl.styles import Alignment, Font

    rows = _about_rows(results[0]) if results else []
    for result, name in zip(results, names, strict=True):
        said = [finding.say() for finding in result.findings]
        said += [result.subtitle.say()] if result.subtitle else []
        said += [note.say() for note in result.notes]
        rows += [("", ""), *((name if k == 0 else "", text.strip_marks(line)) for k, line in enumerate(said or [""]))]
    for i, (label, said) in enumerate(rows, start=1):
        sheet.cell(i, 1, _text(label)).font = Font(bold=True)
        cell = sheet.cell(i, 2, _text(said))
        cell.alignment = Alignment(wrap_text=True, vertical="top")
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 28, 100
    sheet.freeze_panes = "B1"


def _about_rows(result: Result) -> list[tuple[str, str]]:
    about = result.about
    facts = {
        "dataset": text.show(about.title),
        "period": text.show(about.period),
        "as_of": text.show(about.as_of, "date"),
        "definition": text.show(about.definition_label),
        "definition_note": text.show(about.definition_note),
        "filters": "；".join(f"{name}: {value}" for name, value in about.filters),
        "thresholds": text.say("results.note.small", n=about.min_denominator, k=about.privacy_k),
    }
    return [(text.say(f"excel.{name}"), said) for name, said in facts.items() if said]


def _same_bytes(book) -> bytes:
    """The workbook as bytes that depend on its content only: no clock in the archive or its properties."""
    book.properties.created = book.properties.modified = datetime(*_EPOCH[:3])
    buffer, out = io.BytesIO(), io.BytesIO()
    book.save(buffer)
    with zipfile.ZipFile(buffer) as made, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as kept:
        for entry in sorted(made.namelist()):
            content = made.read(entry)
            if entry == "docProps/core.xml":  # openpyxl writes the time of saving
                content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>1980-01-01T00:00:00Z", content)
            info = zipfile.ZipInfo(entry, date_time=_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            kept.writestr(info, content)
    return out.getvalue()
