"""Write tables as a company has them: GBK text and Excel, the same bytes on every run."""

import os
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

EXCEL_DAY_0 = -25569  # Excel counts days from 1899-12-30
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINK = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_LINKS = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {  # the smallest workbook that Excel opens; SHEETS stands for one entry per sheet
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>SHEETS</Types>',
    "_rels/.rels": f'<Relationships xmlns="{_LINKS}"><Relationship Id="rId1" Type="{_LINK}/officeDocument" '
    'Target="xl/workbook.xml"/></Relationships>',
    "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts>'
    '<fills count="1"><fill><patternFill/></fill></fills><borders count="1"><border/></borders>'
    '<cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="2"><xf/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs>'  # the second one is a date
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0"/></cellStyles></styleSheet>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_LINK}"><sheets>SHEETS</sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_LINKS}">SHEETS'
    f'<Relationship Id="rId0" Type="{_LINK}/styles" Target="styles.xml"/></Relationships>',
}
_PER_SHEET = {
    "[Content_Types].xml": f'<Override PartName="/xl/worksheets/sheet{{i}}.xml" ContentType="{_TYPE}.worksheet+xml"/>',
    "xl/workbook.xml": '<sheet name="{name}" sheetId="{i}" r:id="rId{i}"/>',
    "xl/_rels/workbook.xml.rels": f'<Relationship Id="rId{{i}}" Type="{_LINK}/worksheet" '
    'Target="worksheets/sheet{i}.xml"/>',
}


def write_csv(path: str, table: pd.DataFrame, encoding: str = "gb18030", broken: tuple[str, ...] = ()) -> None:
    """Write a frame of text; `broken` lines are added as they are, spread over the file."""
    columns = [_quoted(pa.array(table[name], pa.string())) for name in table.columns]
    lines = pc.binary_join_element_wise(*columns, ",").to_pylist()
    for k, line in enumerate(broken):
        lines.insert((k + 1) * len(lines) // (len(broken) + 1), line)
    _replace(path, "\r\n".join([",".join(table.columns), *lines, ""]).encode(encoding))


def _quoted(column: pa.Array) -> pa.Array:
    column = pc.fill_null(column, "")
    special = pc.match_substring_regex(column, '[",\r\n]')
    if not pc.any(special).as_py():
        return column
    inner = pc.replace_substring(column, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise('"', inner, '"', ""), column)


def write_xlsx(path: str, sheets: dict[str, tuple[list[str], pd.DataFrame, list[list[str]]]]) -> None:
    """Write sheets: for each name the title lines above the header, the table, and the rows below it (合计, 制表人).

    Dates (datetime64) become true Excel dates, numbers true numbers, everything else text. The time stamps in the file
    are fixed, and strings stand in the cells, so that equal tables give equal bytes.
    """
    names = [{"i": i, "name": escape(name)} for i, name in enumerate(sheets, 1)]
    parts = dict(_PARTS)
    for part, row in _PER_SHEET.items():
        parts[part] = parts[part].replace("SHEETS", "".join(row.format(**name) for name in names))
    for i, (titles, table, footer) in enumerate(sheets.values(), 1):
        parts[f"xl/worksheets/sheet{i}.xml"] = _sheet(titles, table, footer)
    part_file = Path(path + ".part")
    with zipfile.ZipFile(part_file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, xml in parts.items():
            info = zipfile.ZipInfo(name, (2026, 1, 12, 8, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n' + xml)
    os.replace(part_file, path)


def _sheet(titles: list[str], table: pd.DataFrame, footer: list[list[str]]) -> str:
    rows = [f"<row>{_text(title)}</row>" for title in titles]
    rows.append(f"<row>{''.join(map(_text, table.columns))}</row>")
    cells = zip(*(_cells(table[name]) for name in table.columns), strict=True)
    rows += [f"<row>{''.join(row)}</row>" for row in cells]
    rows += [f"<row>{''.join(map(_text, row))}</row>" for row in footer]
    last = chr(ord("A") + len(table.columns) - 1)
    merged = "".join(f'<mergeCell ref="A{i}:{last}{i}"/>' for i in range(1, len(titles) + 1))
    merges = f'<mergeCells count="{len(titles)}">{merged}</mergeCells>' if titles else ""
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(rows)}</sheetData>{merges}</worksheet>'


def _cells(column: pd.Series) -> list[str]:
    """Return the cells of one column as XML; each distinct value is formatted once."""
    codes, values = pd.factorize(column, use_na_sentinel=True)
    if np.issubdtype(values.dtype, np.datetime64):
        serial = np.asarray(values, "datetime64[D]").astype(int) - EXCEL_DAY_0
        xml = [f'<c s="1"><v>{day}</v></c>' for day in serial]
    elif np.issubdtype(values.dtype, np.number):
        xml = [f"<c><v>{value}</v></c>" for value in values]
    else:
        xml = [_mixed(value) for value in values]
    return np.array([*xml, "<c/>"], object)[codes].tolist()


def _mixed(value) -> str:
    if isinstance(value, np.datetime64 | pd.Timestamp):
        return f'<c s="1"><v>{int(np.datetime64(value, "D").astype(int)) - EXCEL_DAY_0}</v></c>'
    return _text(str(value))


def _text(value: str) -> str:
    return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>' if value else "<c/>"


def _replace(path: str, content: bytes) -> None:
    part = Path(path + ".part")  # an interrupted run leaves no half file under the declared name
    part.write_bytes(content)
    os.replace(part, path)


def days(day: np.ndarray, pattern: str = "%Y-%m-%d", never: int | None = None) -> np.ndarray:
    """Return days since 1970 as text, "" where the day is `never` or later."""
    day = np.asarray(day)
    known = np.ones(len(day), bool) if never is None else day < never
    distinct, codes = np.unique(np.where(known, day, 0), return_inverse=True)
    words = pd.to_datetime(distinct, unit="D").strftime(pattern).to_numpy(object)
    return np.where(known, words[codes], "")
