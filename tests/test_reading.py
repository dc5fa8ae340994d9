"""Files as users have them: every row is used, or set aside by name and line, or one clear message says why not."""

from __future__ import annotations

import pandas as pd
import pytest
from dirty_files import Dirty, dirty_files

from churnlib import text
from churnlib.engine import Engine
from churnlib.reading import read_source
from churnlib.schema import Source
from churnlib.typed import refused, type_table, typed

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
    for file in raw.files:
        n_used = (table["_file"] == file.file).sum()
        assert file.n_rows_in == n_used + (raw.rejected["file"] == file.file).sum()


def _plain(cell):
    if pd.isna(cell):
        return None
    return cell.date() if hasattr(cell, "date") else cell
