"""Files as users have them: every row is used, or set aside by name and line, or one clear message says why not."""

from __future__ import annotations

import pandas as pd
import pytest
from dirty_case import HEAD, TABLE, ZH, Dirty, refused, type_table
from dirty_files import dirty_files

from churnlib import text
from churnlib.engine import Engine
from churnlib.model.schema import Source
from churnlib.sources import encoding, reading
from churnlib.sources.reading import read_source
from churnlib.sources.typed import typed

KINDS = {"id": "id", "start": "date", "fee": "money", "region": "category"}


@pytest.fixture(scope="module")
def engine():
    engine = Engine(threads=1)
    yield engine
    engine.close()


def write(case: Dirty, folder):
    for name, data in case.files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


def source(case: Dirty) -> Source:
    return Source.model_validate({"file": next(iter(case.files)), "columns": case.headers} | case.options)


def read(case: Dirty, folder, engine: Engine):
    write(case, folder)
    raw = read_source(engine, source(case), folder, "raw")
    columns = {name: typed(engine, "raw", header, KINDS[name], **case.writing) for name, header in case.headers.items()}
    type_table(engine, "raw", "table", columns)
    return raw, engine.frame('SELECT * FROM "table" ORDER BY _file, _line'), refused(engine, "raw", columns)


@pytest.mark.parametrize("case", dirty_files(), ids=lambda case: case.name)
def test_a_dirty_file_has_exactly_one_outcome(case, tmp_path, engine):
    if case.error:
        with pytest.raises(text.DataError) as problem:
            read(case, tmp_path, engine)
        assert problem.value.key == case.error
        for language in ("zh", "en"):
            line = text.say(problem.value.key, language, **problem.value.values)
            assert "\n" not in line and all(word in line for word in case.says)
        return
    raw, table, wrong = read(case, tmp_path, engine)
    found = [tuple(_plain(cell) for cell in row) for row in table[list(case.headers)].itertuples(index=False)]
    assert found == [tuple(row[: len(case.headers)]) for row in case.rows]
    assert [*zip(raw.rejected["line"], raw.rejected["detail"], strict=True)] == list(case.aside)
    assert [*zip(wrong["line"], wrong["column"], wrong["rule"], strict=True)] == list(case.refused)
    assert all(text.known(f"reading.{detail}") for _, detail in case.aside)
    for file in raw.files:
        n_used = (table["_file"] == file.file).sum()
        assert file.n_rows_in == n_used + (raw.rejected["file"] == file.file).sum()


def _plain(cell):
    if pd.isna(cell):
        return None
    return cell.date() if hasattr(cell, "date") else cell


def test_no_case_is_there_twice_and_there_are_enough():
    names = [case.name for case in dirty_files()]
    assert len(set(names)) == len(names) >= 60


def test_a_file_outside_of_the_folder_is_refused_even_through_a_link(tmp_path, engine):
    inside, outside = tmp_path / "data", tmp_path / "private"
    for folder in (inside, outside):
        folder.mkdir()
    (outside / "客户.csv").write_text(TABLE, "utf-8")
    (inside / "客户.csv").symlink_to(outside / "客户.csv")
    columns = {"columns": ZH}
    for name in (
        "客户.csv",
        "../private/客户.csv",
        "../private/*.csv",
        str(outside / "客户.csv"),
        str(outside / "*.csv"),
    ):
        declared = Source.model_validate({"file": name} | columns)
        with pytest.raises(text.DataError) as problem:
            read_source(engine, declared, inside, "raw")
        assert problem.value.key == "reading.outside" and str(tmp_path) not in str(problem.value)
        assert read_source(engine, declared, inside, "raw", allow_outside=True).files[0].n_rows_in == 3


def test_what_was_found_out_about_a_file_is_recorded(tmp_path, engine):
    (tmp_path / "客户.csv").write_bytes(
        f"名单\n\n{HEAD.rstrip()},备注,备注,\n0001,2024-03-05,1,华南,a,b,\n".encode("gbk")
    )
    found = read_source(engine, Source.model_validate({"file": "客户.csv", "columns": ZH}), tmp_path, "raw").files[0]
    assert (found.encoding, found.delimiter, found.sheet, found.header_line, found.n_rows_in) == (
        "gb18030",
        ",",
        None,
        3,
        1,
    )
    assert found.columns == (*ZH.values(), "备注", "备注 (2)", "#7")
    assert found.notes == (("duplicate_header", "备注"), ("empty_header", "7"))
    assert engine.columns("raw") == ("_file", "_line", *found.columns)


def test_headers_that_differ_by_case_only_or_are_our_own_names_are_kept_apart(tmp_path, engine):
    (tmp_path / "a.csv").write_text("id,Note,note,_file,_LINE\n1,x,y,z,w\n")
    (tmp_path / "b.csv").write_text("ID,NOTE\n2,v\n")
    declared = Source.model_validate({"files": ["a.csv", "b.csv"], "columns": {"customer_id": "id"}})
    assert read_source(engine, declared, tmp_path, "raw").columns == (
        "id",
        "Note",
        "note (2)",
        "_file (2)",
        "_LINE (2)",
    )
    assert engine.con.sql('SELECT "Note" FROM raw ORDER BY id').fetchall() == [("x",), ("v",)]


def test_a_header_that_hides_a_unit_is_mentioned(tmp_path, engine):
    (tmp_path / "a.csv").write_text("id,销售额（万元）\n1,5\n", "utf-8")
    declared = Source.model_validate({"file": "a.csv", "columns": {"customer_id": "id", "sales": "销售额（万元）"}})
    assert read_source(engine, declared, tmp_path, "raw").files[0].notes == (("unit_in_header", "销售额（万元）"),)


def test_most_rows_rejected_stops_early(tmp_path, engine, monkeypatch):
    monkeypatch.setattr(reading, "MOST_REJECTS", 10)
    monkeypatch.setattr(encoding, "BLOCK", 200)
    (tmp_path / "a.csv").write_text("id,x\n1,2\n" + "1,2,3\n" * 500)
    with pytest.raises(text.DataError) as problem:
        read_source(engine, Source.model_validate({"file": "a.csv", "columns": {"customer_id": "id"}}), tmp_path, "raw")
    assert problem.value.key == "reading.most_rows_rejected" and problem.value.values["line"] == 3


def test_a_word_that_is_text_in_both_encodings_proves_neither(tmp_path):
    # 元 in GBK is the two bytes D4 AA, which are valid UTF-8 too; the header alone says which it is
    path = tmp_path / "订单.csv"
    rows = "".join(f"{i},{i}.5元\n" for i in range(400))
    path.write_bytes(("客户编号,金额\n" + rows).encode("gb18030"))
    assert encoding.find_encoding(path, "订单.csv").name == "gb18030"
