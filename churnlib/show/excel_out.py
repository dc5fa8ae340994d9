"""Results as a typed Excel workbook: one sheet a result, and a sheet of notes (说明) that says what the numbers are.

A sheet is first made as plain data in both languages, so that a report can carry it in a block and write it later.
"""

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
from churnlib.about import About
from churnlib.show.results import Column, Result
from churnlib.text import LANGUAGES, Label

# how a column's kind is written in Excel: the number stays a number
FORMATS = {"count": "#,##0", "whole": "#,##0", "money": "#,##0.00", "date": "yyyy-mm-dd", "p": "0.0000"}
_SIGNED = {"points": "", "change": "%", "signed": ""}
_FORBIDDEN = re.compile(r"[\[\]:*?/\\']")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of the files in the archive: the same bytes on every run

Words = dict[str, str]


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
    results = list(results)
    blocks = [{"id": result.name, "sheet": sheet(result), "notes": _told(result)} for result in results]
    facts = about_rows(results[0].about, text.language()) if results else []
    return write_blocks(path, blocks, facts, text.language())


def write_blocks(
    path: str | Path, blocks: Iterable[dict[str, Any]], facts: Iterable[tuple[str, str]], lang: str
) -> Path:
    """Write blocks as one Excel workbook in one language.

    Parameters
    ----------
    path : str or Path
    blocks : iterable of dict
        With `id`, `sheet` (see `sheet`) and `notes`, texts by language: those of `churnlib.show.display.block` will do.
    facts : iterable of (str, str)
        What the workbook is about: the head of its first sheet.
    lang : {"zh", "en"}

    Returns
    -------
    Path
        The file; the same bytes for the same blocks.
    """
    from openpyxl import Workbook

    blocks, book = list(blocks), Workbook()
    notes = book.active
    notes.title = text.say("excel.notes", lang)
    names = _sheet_names([block["id"] for block in blocks], notes.title)
    for block, name in zip(blocks, names, strict=True):
        _write_table(book.create_sheet(name), block["sheet"], lang)
    _write_notes(notes, list(facts), blocks, names, lang)
    Path(path).write_bytes(_same_bytes(book))
    return Path(path)


def sheet(result: Result) -> dict[str, Any]:
    """Give the shown table of a result as plain data of one sheet.

    Returns
    -------
    dict
        `columns`: label (in both languages) and formats (one, or one a row); `rows` of cells: number, text, null, a
        text in both languages, or {"date": ISO}.
    """
    shown, columns = result.shown, result.shown_columns()
    made, cells = [], []
    for column in columns:
        kinds = _kinds(result, column, len(shown))
        cells.append([_value(result, kind, value) for kind, value in zip(kinds, shown[column.name], strict=True)])
        formats = [_number_format(kind) for kind in kinds]
        if column.kind in ("by_row", "change_by_row"):  # no heading can name the unit of all its figures
            units = {"money": result.about.currency, "points": "pp"}
            formats = [f'{f} "{units[k.kind]}"' if k.kind in units else f for f, k in zip(formats, kinds, strict=True)]
        label = {lang: _heading(result, column, lang) for lang in LANGUAGES}
        made.append({"label": label, "formats": formats if len(set(formats)) > 1 else formats[:1]})
    return {"columns": made, "rows": [list(row) for row in zip(*cells, strict=True)]}


def about_rows(about: About, lang: str) -> list[tuple[str, str]]:
    """Say what numbers are about, as labels and words in one language."""
    facts = {
        "dataset": about.title.to(lang),
        "period": about.period.say(lang),
        "as_of": text.show(about.as_of, "date", lang),
        "definition": about.definition_label.to(lang),
        "definition_note": about.definition_note.to(lang),
        "filters": "; ".join(f"{name.to(lang)}: {value.to(lang)}" for name, value in about.filters),
        "thresholds": text.say("results.note.small", lang, n=about.min_denominator, k=about.privacy_k),
    }
    return [(text.say(f"excel.{name}", lang), said) for name, said in facts.items() if said]


def _told(result: Result) -> list[Words]:
    said = [*result.findings, *([result.subtitle] if result.subtitle else []), *result.notes]
    return [{lang: statement.say(lang) for lang in LANGUAGES} for statement in said]


def _kinds(result: Result, column: Column, n: int) -> list[Column]:
    """Give the kind of each cell: the column's, or in a table of figures that of each row's figure."""
    if column.kind not in ("by_row", "change_by_row"):
        return [column] * n
    kinds = result.table["kind"]
    if column.kind == "change_by_row":
        kinds = ["points" if kind == "pct" else "change" for kind in kinds]
    return [Column(column.name, kind) for kind in kinds]


def _sheet_names(ids: list[str], taken: str) -> list[str]:
    """Names that Excel accepts (31 characters, no brackets), each once."""
    names: list[str] = []
    for name in ids:
        stem = _FORBIDDEN.sub("_", name)[:28] or "table"
        seen = [taken.casefold(), *(name.casefold() for name in names)]
        names.append(next(n for n in (stem, *(f"{stem}_{k}" for k in range(2, 99))) if n.casefold() not in seen))
    return names


def _write_table(page, made: dict[str, Any], lang: str) -> None:
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    rows = [[_cell(value, lang) for value in row] for row in made["rows"]]
    for j, column in enumerate(made["columns"], start=1):
        head = page.cell(1, j, _text(column["label"][lang]))
        head.font, head.alignment = Font(bold=True), Alignment(wrap_text=True, vertical="bottom")
        formats = column["formats"]
        for i, row in enumerate(rows):
            cell = page.cell(i + 2, j, row[j - 1])
            number_format = formats[i if len(formats) > 1 else 0]
            if number_format and isinstance(cell.value, int | float | date):
                cell.number_format = number_format
        page.column_dimensions[get_column_letter(j)].width = _width(head.value, [row[j - 1] for row in rows])
    page.freeze_panes = "B2"  # headings and the first column stay
    if made["columns"] and rows:
        page.auto_filter.ref = page.dimensions


def _heading(result: Result, column: Column, lang: str) -> str:
    heading = column.label(result.module).to(lang)
    units = {"money": result.about.currency, "points": text.say("excel.points", lang)}
    unit = units.get(column.kind)
    return text.say("excel.with_unit", lang, heading=heading, unit=unit) if unit else heading


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
    """One cell as plain data: numbers as numbers, words in both languages, a missing value as null."""
    if hasattr(value, "item"):
        value = value.item()
    if value is None or value != value or (isinstance(value, float) and not math.isfinite(value)):
        return None  # NaN and NaT differ from themselves
    if column.kind in ("money", "points"):
        return value / 100 if column.kind == "money" else value * 100
    if column.kind == "level":
        return _words(result.level(value))
    if column.kind == "term":
        return _words(text.label(f"{column.prefix}.{value}"))
    if isinstance(value, Label):
        return _words(value)
    if isinstance(value, date):
        return {"date": value.isoformat()[:10]}
    return value if isinstance(value, bool | int | float) else str(value)


def _words(label: Label) -> str | Words:
    return label.zh if label.zh == label.en else dict(zip(LANGUAGES, label, strict=True))


def _cell(value: Any, lang: str) -> Any:
    """Give a cell of plain data as the workbook of one language holds it."""
    if isinstance(value, dict):
        return date.fromisoformat(value["date"]) if "date" in value else _text(value[lang])
    return _text(value) if isinstance(value, str) else value


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


def _write_notes(page, facts: list[tuple[str, str]], blocks: list[dict[str, Any]], names: list[str], lang: str) -> None:
    """What the workbook is about, and for each sheet its findings, measure and notes."""
    from openpyxl.styles import Alignment, Font

    rows = facts
    for block, name in zip(blocks, names, strict=True):
        said = [text.strip_marks(words[lang]) for words in block["notes"]] or [""]
        rows += [("", ""), *((name if k == 0 else "", line) for k, line in enumerate(said))]
    for i, (label, said) in enumerate(rows, start=1):
        head = page.cell(i, 1, _text(label))
        head.font = Font(bold=True)
        if label in names:
            head.hyperlink = f"#'{label}'!A1"
        cell = page.cell(i, 2, _text(said))
        cell.alignment = Alignment(wrap_text=True, vertical="top")
    page.column_dimensions["A"].width, page.column_dimensions["B"].width = 28, 100
    page.freeze_panes = "B1"


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
