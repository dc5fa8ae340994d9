"""Delimited text files -> columns of text: delimiter, quotes, records, and the line of every one of them.

Line feeds, delimiters and quotes are counted in whole blocks; only records that have exactly as many fields as the
header go on. A block whose quotes break the rules (RFC 4180) is read again line by line, so that one stray quote costs
one line and not the rest of the file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

from churnlib import text
from churnlib.sources.encoding import SAMPLE, Block, Encoding, blocks
from churnlib.sources.header import SEARCHED, Rejects, score
from churnlib.sources.written import trim

DELIMITERS = (",", "\t", ";", "|")
BLANKS = " "  # one or more, in files laid out in columns
LONGEST_RECORD, MOST_LINES = 1 << 20, 1000  # beyond it a quote was forgotten

_FEED, _QUOTE = 10, 34


@dataclass(frozen=True)
class Shape:
    """How the records of one file are written."""

    delimiter: str
    n_fields: int  # of the header; every record must have as many
    skipped: int = 0  # lines up to the end of the header


class Records(NamedTuple):
    """Good records of one block: UTF-8 bytes that a CSV parser reads without a doubt, and the line of each."""

    data: bytes
    lines: np.ndarray
    quoted: bool


class Row(NamedTuple):
    """One record of the first lines: where it begins and ends, and its cells."""

    first_line: int
    last_line: int
    cells: list[str]


def first_rows(block: Block, delimiter: str) -> list[Row]:
    """Read the first records of a file with a delimiter, whatever their number of fields; blank lines are none."""
    rows: list[Row] = []
    lines = _squeezed(block, delimiter).data[:SAMPLE].split(b"\n")[:-1]
    i = 0
    while i < len(lines) and len(rows) < SEARCHED:
        last, _ = _end_of_record(lines, i, delimiter)
        record = b"\n".join(lines[i : last + 1])
        cells = _cells(record, delimiter)
        if cells is None:
            last, cells = i, lines[i].decode("utf-8", "replace").split(delimiter)
        if any(cell.strip() for cell in cells):
            rows.append(Row(block.first_line + i, block.first_line + last, cells))
        i = last + 1
    return rows


def find_delimiter(block: Block, wanted: Sequence[str] = ()) -> str:
    """Find the delimiter: the one that yields most wanted headers, then the one that cuts most lines alike."""
    best, best_score = DELIMITERS[0], (0, 0.0, 0)
    for delimiter in DELIMITERS:
        rows = [row.cells for row in first_rows(block, delimiter)]
        widths = [len(cells) for cells in rows]
        usual = max(set(widths), key=lambda w, widths=widths: (w > 1, widths.count(w), w), default=1)
        named = max((score([cells], wanted) for cells in rows), default=0)
        found = (named, widths.count(usual) / len(widths) if usual > 1 else 0.0, usual)
        if found > best_score:
            best, best_score = delimiter, found
    widths = [] if best_score[1] else [len(row.cells) for row in first_rows(block, BLANKS)]
    return BLANKS if len(widths) > 1 and len(set(widths)) == 1 < widths[0] else best


def records(
    path: Path, encoding: Encoding, shape: Shape, rejects: Rejects
) -> Iterator[tuple[list[pa.Array], np.ndarray]]:
    """Read a file's records after the header.

    Yields
    ------
    list of pyarrow string arrays, numpy.ndarray
        The columns of one block of rows and the line of each row. Rows that cannot be read go to `rejects`.
    """
    rest, source = Block(b"", 1, []), blocks(path, encoding)
    block, following = next(source, None), next(source, None)
    with ThreadPoolExecutor(1) as ahead:
        while block is not None:
            after_next = ahead.submit(next, source, None)  # decoded while this block is parsed and stored
            block = _after(_joined(rest, _squeezed(block, shape.delimiter)), shape.skipped)
            found, rest = split(block, shape, rejects, final=following is None)
            if len(found.lines):
                yield _columns(found, shape), found.lines
            block, following = following, after_next.result()


def split(block: Block, shape: Shape, rejects: Rejects, final: bool) -> tuple[Records, Block]:
    """Cut a block into records; what is left is a record that goes on in the next block."""
    data = np.frombuffer(block.data, np.uint8)
    marks = _marks(data, shape)
    if marks is None or (final and marks.rest):
        return _split_carefully(block, shape, rejects, final)
    end, line = int(marks.feeds[-1]) + 1 if len(marks.feeds) else 0, block.first_line + int(marks.line_of[-1])
    rest = Block(block.data[end:], line, [bad for bad in block.bad_lines if bad >= line])
    whole = block._replace(bad_lines=[bad for bad in block.bad_lines if bad < line])
    return _kept(whole, data, marks, shape, rejects), rest


class _Marks(NamedTuple):
    feeds: np.ndarray  # ends of records
    cuts: np.ndarray  # delimiters between fields
    line_of: np.ndarray  # lines before each record, and before what is left
    rest: bool  # a record goes on after the block
    quoted: bool


def _marks(data: np.ndarray, shape: Shape) -> _Marks | None:
    """Tell line feeds and delimiters inside of quotes from those between records and fields; None if quotes are odd."""
    cut = ord(shape.delimiter)
    all_feeds, all_cuts = np.flatnonzero(data == _FEED), np.flatnonzero(data == cut)
    quotes = np.flatnonzero(data == _QUOTE)
    if not len(quotes):
        return _Marks(all_feeds, all_cuts, np.arange(len(all_feeds) + 1), False, False)
    opening, closing = quotes[0::2], quotes[1::2]
    before, after = np.where(opening > 0, data[opening - 1], _FEED), data[closing + 1]
    if not (np.isin(before, (cut, _FEED, _QUOTE)).all() and np.isin(after, (cut, _FEED, _QUOTE)).all()):
        return None
    outside = np.searchsorted(quotes, all_feeds) % 2 == 0
    feeds = all_feeds[outside]
    line_of = np.concatenate(([0], np.flatnonzero(outside) + 1))
    rest = bool(len(all_feeds)) and not outside[-1]
    end = feeds[-1] + 1 if len(feeds) else 0
    if rest and (len(data) - end > LONGEST_RECORD or len(all_feeds) - line_of[-1] > MOST_LINES):
        return None
    heights = np.diff(line_of)
    if (tall := heights > 1).any():
        raw = np.diff(np.searchsorted(all_cuts, feeds), prepend=0)
        # lines that would each be a whole record: two stray quotes have swallowed them
        if shape.n_fields > 2 and (raw == heights * (shape.n_fields - 1))[tall].any() or heights.max() > MOST_LINES:
            return None
    return _Marks(feeds, all_cuts[np.searchsorted(quotes, all_cuts) % 2 == 0], line_of, rest, True)


def _kept(block: Block, data: np.ndarray, marks: _Marks, shape: Shape, rejects: Rejects) -> Records:
    """Keep the records that have as many fields as the header; set the others aside."""
    feeds, lines = marks.feeds, block.first_line + marks.line_of[:-1]
    if not len(feeds):
        return Records(b"", lines, marks.quoted)
    starts = np.concatenate(([0], feeds[:-1] + 1))
    n_cuts = np.diff(np.searchsorted(marks.cuts, feeds), prepend=0)
    blank = feeds - starts == n_cuts  # nothing but delimiters
    good = (n_cuts == shape.n_fields - 1) & ~blank
    damaged = _damaged(block, data, feeds, lines)
    good[list(damaged)] = False
    if good.all():
        return Records(block.data[: int(feeds[-1]) + 1], lines, marks.quoted)
    for i in np.flatnonzero(~good & ~blank):
        written = block.data[int(starts[i]) : int(feeds[i])].decode("utf-8", "replace")
        _set_aside(rejects, lines[i], written, damaged.get(int(i)), int(n_cuts[i]) + 1, shape)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], good.view(np.int8), [0]))))
    runs = [block.data[int(starts[a]) : int(feeds[b - 1]) + 1] for a, b in zip(edges[0::2], edges[1::2], strict=True)]
    return Records(b"".join(runs), lines[good], marks.quoted)


def _set_aside(rejects: Rejects, line: int, written: str, damage: str | None, n: int | None, shape: Shape) -> None:
    """Set aside a record of n fields; what holds nothing but blanks (or the end mark of old DOS files) is no record."""
    if damage:
        rejects.add(line, "undecodable", damage, written)
    elif trim(written.replace(shape.delimiter, "").replace("\x1a", "")):
        detail = "stray_quote" if n is None else "too_few_fields" if n < shape.n_fields else "too_many_fields"
        rejects.add(line, "wrong_field_count", detail, written)


def _damaged(block: Block, data: np.ndarray, feeds: np.ndarray, lines: np.ndarray) -> dict[int, str]:
    """Records that hold NUL bytes or lines that could not be decoded: index -> detail."""
    found = {}
    if b"\0" in block.data:
        found |= dict.fromkeys(np.searchsorted(feeds, np.flatnonzero(data == 0)).tolist(), "nul_bytes")
    if block.bad_lines:
        found |= dict.fromkeys((np.searchsorted(lines, block.bad_lines, "right") - 1).tolist(), "undecodable")
    return {i: detail for i, detail in found.items() if i < len(feeds)}


def _split_carefully(block: Block, shape: Shape, rejects: Rejects, final: bool) -> tuple[Records, Block]:
    """Cut a block into records line by line: the slow twin of `split`, for blocks whose quotes break the rules."""
    lines, kept, numbers, i, doubtful = block.data.split(b"\n")[:-1], [], [], 0, -1
    rest = Block(b"", block.first_line + len(lines), [])
    while i < len(lines):
        last, is_open = _end_of_record(lines, i, shape.delimiter)
        if is_open and last == len(lines) - 1 and not final and _may_go_on(lines[i:]):
            rest = Block(b"\n".join(lines[i:]) + b"\n", block.first_line + i, block.bad_lines)
            break
        record = _record(lines[i : last + 1], shape, lenient=i > doubtful)
        if record is None and last > i:  # the quote that opened here was a stray one: this line alone is set aside
            last, doubtful = i, max(doubtful, last)
        if _is_good(record, block, i, lines[i : last + 1], shape, rejects):
            kept.append(record)
            numbers.append(block.first_line + i)
        i = last + 1
    return _gathered(kept, numbers, shape.delimiter), rest


def _is_good(
    record: list[str] | None, block: Block, i: int, lines: list[bytes], shape: Shape, rejects: Rejects
) -> bool:
    """Tell whether a record can be used; set it aside if it cannot and is none of nothing but delimiters."""
    first, whole = block.first_line + i, b"\n".join(lines)
    is_undecoded = any(first <= line < first + len(lines) for line in block.bad_lines)
    damage = "undecodable" if is_undecoded else "nul_bytes" if b"\0" in whole else None
    if not damage and record is not None and len(record) == shape.n_fields:
        return bool(whole.strip(shape.delimiter.encode()))
    n_fields = None if record is None else len(record)
    _set_aside(rejects, first, whole.decode("utf-8", "replace"), damage, n_fields, shape)
    return False


def _record(lines: list[bytes], shape: Shape, lenient: bool) -> list[str] | None:
    """The cells of one record; None if its quotes make no sense."""
    whole = b"\n".join(lines)
    if not re.fullmatch(_strict_form(shape.delimiter), whole):
        return _cells(whole, shape.delimiter) if lenient and len(lines) == 1 else None
    # lines that would each be a whole record: two stray quotes have swallowed them
    whole_lines = all(line.count(shape.delimiter.encode()) == shape.n_fields - 1 for line in lines)
    if len(lines) > 1 and shape.n_fields > 2 and whole_lines:
        return None
    return _cells(whole, shape.delimiter, strict=True)


@cache
def _strict_form(delimiter: str) -> re.Pattern[bytes]:
    cut = re.escape(delimiter.encode())
    cell = rb'(?:"(?:[^"]|"")*"|[^"' + cut + rb"\n]*)"
    return re.compile(cell + rb"(?:" + cut + cell + rb")*")


def _cells(record: bytes, delimiter: str, strict: bool = False) -> list[str] | None:
    """Parse one record; unless it has to be strict, a blank may stand before an opening quote."""
    written = record.decode("utf-8", "replace").replace("\0", "\ufffd")
    try:
        return next(csv.reader([written], delimiter=delimiter, strict=True, skipinitialspace=not strict), [])
    except csv.Error:
        return None


def _end_of_record(lines: list[bytes], i: int, delimiter: str) -> tuple[int, bool]:
    """Index of the line that closes the quotes of line i (i itself if none does), and whether they are open there."""
    open_ = lines[i].count(b'"') % 2 == 1 and _cells(lines[i], delimiter) is None
    last, size = i, len(lines[i])
    while open_ and last + 1 < len(lines) and last - i < MOST_LINES and size <= LONGEST_RECORD:
        last += 1
        size += len(lines[last])
        open_ ^= lines[last].count(b'"') % 2 == 1
    return (i if open_ and last + 1 < len(lines) else last), open_


def _may_go_on(lines: list[bytes]) -> bool:
    return len(lines) <= MOST_LINES and sum(map(len, lines)) <= LONGEST_RECORD


def _gathered(kept: list[list[str]], numbers: list[int], delimiter: str) -> Records:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(kept)
    return Records(out.getvalue().encode("utf-8", "replace"), np.array(numbers, np.int64), True)


def _columns(found: Records, shape: Shape) -> list[pa.Array]:
    names = [str(j) for j in range(shape.n_fields)]
    rows = pyarrow.csv.read_csv(
        pa.py_buffer(found.data),
        pyarrow.csv.ReadOptions(column_names=names, block_size=max(1 << 20, len(found.data) + 1)),
        pyarrow.csv.ParseOptions(
            delimiter=shape.delimiter,
            quote_char='"' if found.quoted else False,
            newlines_in_values=found.quoted,
            ignore_empty_lines=False,
        ),
        pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )
    if rows.num_rows != len(found.lines):
        raise text.DataError("reading.cannot_split", line=int(found.lines[0]), rows=len(found.lines))
    return [column.combine_chunks() for column in rows.columns]


def _joined(rest: Block, block: Block) -> Block:
    if not rest.data:
        return block
    return Block(rest.data + block.data, rest.first_line, rest.bad_lines + block.bad_lines)


def _squeezed(block: Block, delimiter: str) -> Block:
    """Leave one blank between columns that are parted by blanks, and none at the edges."""
    if delimiter != BLANKS:
        return block
    return block._replace(data=re.sub(rb" *\n *", b"\n", re.sub(rb" +", b" ", b"\n" + block.data))[1:])


def _after(block: Block, skipped: int) -> Block:
    """Leave out the lines up to the header."""
    while block.first_line <= skipped and block.data:
        cut = block.data.find(b"\n") + 1
        block = Block(block.data[cut:], block.first_line + 1, block.bad_lines)
    return block._replace(bad_lines=[line for line in block.bad_lines if line > skipped])
