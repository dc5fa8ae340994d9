"""Where a table begins and ends in a file made for people: titles above the header, names in it, footers below.

Everything works on the cells of the first rows and on columns of text, whatever kind of file they came from.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churnlib import text
from churnlib.sources.written import EDGES, trim

SEARCHED = 50  # rows that may stand above the header
VALUE_LENGTH = 200  # of a rejected row as it is shown and stored

_GAP = "[\\s\u3000]*"  # 合　计
_TOTALS = "|".join(_GAP.join(word) for word in ("合计", "总计", "小计"))
_SIGNATURES = (
    "制表人?|审核人?|复核人?|填表人?|制单人?|填报人?|打印人?|导出人?|经办人|负责人|单位负责人",
    "(?:打印|制表|填表|填报|导出|统计|报表)(?:时间|日期|单位|口径)|数据来源|备注|附注|注释?|说明",
    "notes?|source|prepared by|printed(?: by| on)?|exported(?: by| on)?",
)
_FOOTERS = (
    rf"(?:.{{0,20}}\s*)?(?:{_TOTALS})\s*(?:[:：].*|\(.*\)|（.*）)?",  # 合计, 华南 小计, 合计（元）, 总计：120
    r"(?:总和|汇总|累计|共计|本页合计|平均|平均值)\s*(?:[:：].*)?",
    rf"(?:{'|'.join(_SIGNATURES)})\s*[:：].*|制表人?|审核人?|复核人?",
    r"共\s*[0-9,]+\s*(?:条|行|户|人|笔|页|家).*|第\s*[0-9]+\s*页.*|page\s+[0-9]+.*",
    r"(?:.{1,30}\s)?(?:grand\s+total|sub-?\s?totals?|totals?)\s*(?:[:：].*|\(.*\))?",
)
FOOTER = f"(?is)^(?:{'|'.join(_FOOTERS)})$"
_UNIT = re.compile(r"[(（/](?:千元|万元|百万元|亿元|分|角|k|thousand|million|cents)[)）]?$", re.IGNORECASE)


@dataclass
class Rejects:
    """Rows of one file that are set aside while reading; a row is either here or in the table."""

    file: str
    lines: list[int] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)

    def add(self, line: int, rule: str, detail: str, value: str) -> None:
        """Set one row aside: rule as in the data set's rules, detail as in the catalogue."""
        self.lines.append(int(line))
        self.rules.append(rule)
        self.details.append(detail)
        self.values.append(trim(value)[:VALUE_LENGTH])


@dataclass(frozen=True)
class Header:
    """Where the header stands and what the columns are called."""

    names: tuple[str, ...]  # one per column, in the file's order; the declared spelling where there is one
    first: int  # index of its first row among the rows that were searched
    last: int
    cells: tuple[str, ...]  # the texts of its last row, as written
    notes: tuple[tuple[str, str], ...] = ()  # "duplicate_header", "empty_header" or "unit_in_header", and which


def key(name: str) -> str:
    """Give the form in which two spellings of a header are equal: no blanks, no case, no width, no required mark."""
    return re.sub(rf"[{EDGES}*]", "", unicodedata.normalize("NFKC", name)).casefold()


def find_header(
    rows: Sequence[Sequence[str]],
    wanted: Iterable[str],
    shown: str,
    spans: Sequence[int] = (),
    declared: int | None = None,
) -> Header:
    """Find the header among the first rows.

    Parameters
    ----------
    rows : sequence of rows of cells
        The first rows; cells merged in the file are filled.
    wanted : iterable of str
        The headers that dataset.yml names; without any the first row that looks like names is taken.
    shown : str
        The file's name for messages.
    spans : sequence of int
        Rows that the header would have if it began at this row (more than 1 for merged cells).
    declared : int, optional
        Index of the header row that dataset.yml gives.

    Raises
    ------
    DataError
        If a wanted column is there twice; `require` tells of missing ones.
    """
    wanted, spans = tuple(dict.fromkeys(wanted)), [*spans] + [1] * (len(rows) - len(spans))
    first = declared
    if first is None:
        scores = [score(rows[i : i + spans[i]], wanted) for i in range(len(rows))] if wanted else [0]
        first = scores.index(max(scores)) if max(scores) else _likely(rows)
    part = rows[first : first + spans[first]]
    names, notes = _named(part, wanted, shown)
    return Header(tuple(names), first, first + len(part) - 1, tuple(part[-1]), tuple(notes))


def require(names: Iterable[str], wanted: Iterable[str], shown: str) -> None:
    """Check that a file has every wanted column; raises DataError that names the first one it lacks, and the others."""
    names, lacking = [name for name in names if name], []
    for name in wanted:
        if name not in names:
            close = difflib.get_close_matches(key(name), [key(n) for n in names], n=1, cutoff=0.6)
            hint = [n for n in names if key(n) in close] or names[:12]
            lacking.append(text.DataError("reading.no_column", file=shown, column=name, columns=hint))
    text.raise_all(lacking)


def set_footers_aside(
    cells: Sequence[pa.Array], lines: np.ndarray, header: Sequence[str], rejects: Rejects
) -> np.ndarray | None:
    """Set aside totals, signatures and repeated headers of a block; say which rows stay, None for all of them.

    `header` holds the cells of the header's last row, as written. Entirely blank rows are no rows and go nowhere.
    """
    words = _first_words(cells)
    blank = pc.equal(words, "")
    footer = pc.match_substring_regex(words, FOOTER)
    again = pc.equal(words, next((trim(cell) for cell in header if trim(cell)), "\0"))
    doubtful = np.flatnonzero(pc.or_(pc.or_(blank, footer), again).to_numpy(zero_copy_only=False))
    if not len(doubtful):
        return None
    keep = np.ones(len(lines), bool)
    titles = [trim(cell) for cell in header] + [""] * (len(cells) - len(header))
    for i in doubtful:
        row = [trim(column[int(i)].as_py() or "") for column in cells]
        detail = "repeated_header" if row == titles else "footer" if footer[int(i)].as_py() else ""
        keep[i] = any(row) and not detail
        if any(row) and detail:
            rejects.add(lines[i], "footer", detail, "|".join(row))
    return keep


def _first_words(cells: Sequence[pa.Array]) -> pa.Array:
    """The first cell of each row that is not blank, trimmed."""
    words = _trimmed(cells[0])
    for column in cells[1:]:
        if not pc.any(blank := pc.equal(words, "")).as_py():
            break
        words = pc.if_else(blank, _trimmed(column), words)
    return words


def _trimmed(column: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(pc.fill_null(column, ""), f"^[{EDGES}]+|[{EDGES}]+$", "")


def score(part: Sequence[Sequence[str]], wanted: Sequence[str]) -> int:
    """Count the wanted names that stand in these header rows."""
    found = {key(joined) for joined in _joined(part)} | {key(cell) for cell in part[-1]}
    return sum(key(name) in found for name in wanted)


def _likely(rows: Sequence[Sequence[str]]) -> int:
    """The first row whose cells are filled, differ and are words, as wide as the rows below it."""
    widths = [sum(bool(trim(cell)) for cell in row) for row in rows]
    usual = max(set(widths), key=lambda w: (widths.count(w) if w > 1 else 0, w), default=0)
    for i, row in enumerate(rows):
        filled = [trim(cell) for cell in row if trim(cell)]
        if len(filled) >= max(1, usual) and len(set(filled)) == len(filled) and not any(map(_is_number, filled)):
            return i
    return widths.index(max(widths)) if widths else 0


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+￥¥$0-9.,/:年月日% ]*[0-9][-+0-9.,/:年月日% ]*", unicodedata.normalize("NFKC", cell)))


def _joined(part: Sequence[Sequence[str]]) -> list[str]:
    """Names of a header of several rows: 联系方式/电话; what is merged over the rows is said once."""
    width = max(map(len, part))
    columns = [[_clean(row[j]) if j < len(row) else "" for row in part] for j in range(width)]
    return ["/".join(dict.fromkeys(cell for cell in column if cell)) for column in columns]


def _clean(cell: str) -> str:
    """A header without invisible signs and line breaks: none between Chinese characters, a blank between words."""
    cell = re.sub(r"[\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]", "", cell)
    cell = re.sub(r"(?<=[^\x00-\x7f])\s*\n\s*|\s*\n\s*(?=[^\x00-\x7f])", "", trim(cell))
    return re.sub(r"\s*\n\s*", " ", cell)


def _named(part: Sequence[Sequence[str]], wanted: Sequence[str], shown: str) -> tuple[list[str], list[tuple[str, str]]]:
    joined, bottom = _joined(part), [_clean(cell) for cell in part[-1]]
    bottom += [""] * (len(joined) - len(bottom))
    names, notes = list(joined), []
    for name in wanted:
        places = _places(name, joined) or _places(name, bottom)
        if len(places) > 1:
            raise text.DataError("reading.duplicate_header", file=shown, column=name, places=[p + 1 for p in places])
        for place in places:
            names[place] = name
    taken = {key("_file"), key("_line")}
    for j, name in enumerate(names):
        if not name:
            notes.append(("empty_header", str(j + 1)))
            name = f"#{j + 1}"
        elif key(name) in taken:
            notes.append(("duplicate_header", name))
        elif name in wanted and _UNIT.search(name):
            notes.append(("unit_in_header", name))
        names[j] = _unlike(name, taken)
        taken.add(key(names[j]))
    return names, notes


def _unlike(name: str, taken: set[str]) -> str:
    """A name that no other column has; the engine does not tell upper from lower case."""
    n, found = 1, name
    while key(found) in taken:
        n += 1
        found = f"{name} ({n})"
    return found


def _places(name: str, cells: Sequence[str]) -> list[int]:
    """Columns of this name: spelled exactly so, else spelled alike."""
    return [j for j, cell in enumerate(cells) if cell == name] or [
        j for j, cell in enumerate(cells) if cell and key(cell) == key(name)
    ]
