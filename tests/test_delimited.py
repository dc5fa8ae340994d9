"""The structure of text files: whatever the bytes, every line is accounted for, in whatever way it is read."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlib import text
from churnlib.engine import Engine
from churnlib.model.schema import Source
from churnlib.sources import delimited, encoding
from churnlib.sources.delimited import Shape, find_delimiter, records
from churnlib.sources.encoding import Block, Encoding, blocks, find_encoding
from churnlib.sources.header import Rejects
from churnlib.sources.reading import read_source

UTF8 = Encoding("utf-8", 0)
FILES = st.text('ab,"\n é', min_size=1, max_size=60)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("files") / "t.csv"


def rows_of(path, n_fields, encoding=UTF8):
    """Read a file: (line, cells) of every record, (line, detail) of every rejected one."""
    rejects, found = Rejects("t.csv"), []
    for columns, lines in records(path, encoding, Shape(",", n_fields), rejects):
        found += zip(lines.tolist(), zip(*(column.to_pylist() for column in columns), strict=True), strict=True)
    return found, [*zip(rejects.lines, rejects.details, strict=True)]


@settings(max_examples=150, deadline=None)
@given(FILES, st.integers(1, 4), st.integers(3, 40))
def test_the_size_of_the_blocks_changes_nothing(file, content, n_fields, size):
    file.write_bytes(content.encode())
    whole = rows_of(file, n_fields)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "BLOCK", size)
        assert rows_of(file, n_fields) == whole


@settings(max_examples=150, deadline=None)
@given(FILES, st.integers(1, 4))
def test_the_fast_way_and_the_careful_way_agree(file, content, n_fields):
    file.write_bytes(content.encode())
    fast = rows_of(file, n_fields)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_marks", lambda data, shape: None)
        assert rows_of(file, n_fields) == fast


@settings(max_examples=150, deadline=None)
@given(FILES, st.integers(1, 4))
def test_every_line_is_in_a_row_or_rejected_or_blank(file, content, n_fields):
    file.write_bytes(content.encode())
    rows, rejected = rows_of(file, n_fields)
    starts = sorted([line for line, _ in rows] + [line for line, _ in rejected])
    assert len(set(starts)) == len(starts)
    covered = {line + i for line, cells in rows for i in range(1 + sum(cell.count("\n") for cell in cells))}
    for line, written in enumerate(content.split("\n"), 1):
        if line not in covered and written.strip(' ,"'):  # then it is a line of a record that was rejected
            assert max(start for start in starts if start <= line) in dict(rejected)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text('ab,"\n é|;', max_size=5), min_size=2, max_size=2), min_size=1, max_size=8))
def test_what_a_program_writes_by_the_rules_is_read_as_it_was(file, table):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(table)
    file.write_bytes(out.getvalue().encode())
    rows, rejected = rows_of(file, 2)
    assert not rejected and [[*cells] for _, cells in rows if any(c.strip() for c in cells)] == [
        row for row in table if any(cell.strip() for cell in row)
    ]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([None, "utf-8", "gb18030", "utf-16", "big5", "cp1252"]))
def test_no_bytes_break_the_reader(tmp_path_factory, data, declared):
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "t.csv").write_bytes(b"a,b\n1,2\n" + data)
    engine = Engine(threads=1)
    try:
        source = Source.model_validate({"file": "t.csv", "encoding": declared, "columns": {"x": "a", "y": "b"}})
        raw = read_source(engine, source, folder, "raw")
        assert raw.files[0].n_rows_in == engine.value("SELECT count(*) FROM raw") + len(raw.rejected)
    except text.DataError as problem:
        assert "\n" not in str(problem)
    finally:
        engine.close()


def test_a_forgotten_quote_costs_one_line_however_long_the_file(file):
    lines = [f"{i},x{i}" for i in range(3000)]
    lines[7] = '7,"x7'
    file.write_text("\n".join(lines))
    rows, rejected = rows_of(file, 2)
    assert rejected == [(8, "stray_quote")] and len(rows) == 2999


def test_memory_stays_bounded_when_a_line_never_ends(file, monkeypatch):
    monkeypatch.setattr(encoding, "LONGEST_LINE", 1 << 20)
    monkeypatch.setattr(encoding, "BLOCK", 1 << 18)
    file.write_bytes(b"x" * (2 << 20))
    with pytest.raises(text.DataError) as problem:
        rows_of(file, 2)
    assert problem.value.key == "reading.line_too_long"


def test_lines_are_those_of_the_original_file(file):
    file.write_bytes('0\n\n1,"a\n\nb"\r\n2,c\n"3","d"\n4,"e\n'.encode("utf-16"))
    rows, rejected = rows_of(file, 2, find_encoding(file, "t.csv"))
    assert rows == [(3, ("1", "a\n\nb")), (6, ("2", "c")), (7, ("3", "d"))]
    assert rejected == [(1, "too_few_fields"), (8, "stray_quote")]


@pytest.mark.parametrize("damage", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_damaged_character_costs_its_line_and_no_other(file, damage):
    lines = [f"{i},客户\n".encode(damage) for i in range(1, 5)]
    half = {"utf-16-le": b"\x00\xd8", "utf-16-be": b"\xd8\x00"}.get(damage, b"\xff\xff\xff\xff")
    file.write_bytes("\ufeff".encode(damage) + lines[0] + half + b"".join(lines[1:]))
    rows, rejected = rows_of(file, 2, find_encoding(file, "t.csv"))
    assert [line for line, _ in rows] == [1, 3, 4] and rejected == [(2, "undecodable")]


def test_a_file_is_utf8_only_if_all_of_it_is(file, monkeypatch):
    monkeypatch.setattr(encoding, "BLOCK", 64)
    file.write_bytes(b"1,abc\n" * 100 + "2,客户\n".encode("gbk"))
    assert find_encoding(file, "t.csv").name == "gb18030"
    file.write_bytes(b"1,abc\n" * 100 + "2,客户\n".encode())
    assert find_encoding(file, "t.csv").name == "utf-8"


def test_text_that_is_no_chinese_is_not_read_as_chinese(file):
    for words, name in (("José,Müller,Nuñez", "cp1252"), ("客戶資料,離網日期,體驗", "big5")):
        file.write_bytes((words + "\n").encode(name))
        with pytest.raises(text.DataError) as problem:
            find_encoding(file, "t.csv")
        assert problem.value.key == "reading.encoding_unsure"


def test_the_delimiter_is_the_one_that_the_headers_tell(file):
    block = Block(b"a;b,c;d\n1;2,5;3\n", 1, [])
    assert find_delimiter(block, ["a", "b,c"]) == ";"
    assert find_delimiter(Block(b"a\n1\n", 1, []), ["a"]) == ","
    assert find_delimiter(Block(b"", 1, [])) == ","


def test_blocks_number_their_lines(file):
    file.write_bytes(b"a\r\nb\r\n\xff\r\nd")
    found = [*blocks(file, UTF8)]
    assert [block.first_line for block in found] == [1, 4] and found[0].bad_lines == [3]
    assert b"".join(block.data for block in found).count(b"\n") == 4
    assert isinstance(rows_of(file, 1)[0][0][0], int | np.integer)
