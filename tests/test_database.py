"""Rows from the user's own database: exact, read only, and never a word about its address."""

from __future__ import annotations

import sqlite3
from datetime import date

import pytest

from churnlib import text
from churnlib.engine import Engine
from churnlib.model.schema import Source
from churnlib.sources import database
from churnlib.sources.reading import read_source
from churnlib.sources.typed import type_table, typed

SECRET = "s3cret-pass"


@pytest.fixture(scope="module")
def engine():
    engine = Engine(threads=1)
    yield engine
    engine.close()


@pytest.fixture
def crm(tmp_path, monkeypatch):
    """A customer database with everything that SQLite allows in a column."""
    path = tmp_path / "crm-of-the-company.db"
    with sqlite3.connect(path) as db:
        db.execute('CREATE TABLE "客户 表" (编号, 入网, 月费, 大区)')
        rows = [
            ("001", "2024-03-05", 100.5, "华南"),
            (2, 20240306, 200, None),
            ("003", "2024/3/7", "￥-30", b"\xe5\x8d\x8e"),
        ]
        db.executemany('INSERT INTO "客户 表" VALUES (?, ?, ?, ?)', rows)
    monkeypatch.setenv("CRM_URL", f"sqlite:///{path}")
    return path


def read(engine, folder, **sql):
    columns = {"id": "编号", "start": "入网", "fee": "月费", "region": "大区"}
    source = Source.model_validate({"sql": {"url_env": "CRM_URL"} | sql, "columns": columns})
    return read_source(engine, source, folder, "raw")


def problem_of(engine, folder, **sql):
    with pytest.raises(text.DataError) as problem:
        read(engine, folder, **sql)
    said = [text.say(problem.value.key, lang, **problem.value.values) for lang in ("zh", "en")]
    assert all("\n" not in line and "CRM_URL" in line for line in said)
    return problem.value, " ".join(said)


@pytest.mark.parametrize("sql", [{"table": "客户 表"}, {"query": 'SELECT * FROM "客户 表";'}])
def test_a_table_or_query_is_read_with_its_values(engine, crm, tmp_path, sql):
    raw = read(engine, tmp_path, **sql)
    kinds = {"编号": "id", "入网": "date", "月费": "money", "大区": "category"}
    type_table(engine, "raw", "out", {name: typed(engine, "raw", name, kind) for name, kind in kinds.items()})
    found = engine.con.sql("SELECT _line, 编号, 入网, 月费, 大区 FROM out ORDER BY _line").fetchall()
    assert found == [
        (1, "001", date(2024, 3, 5), 10050, "华南"),
        (2, "2", date(2024, 3, 6), 20000, None),
        (3, "003", date(2024, 3, 7), -3000, "华"),
    ]
    assert raw.files[0].n_rows_in == 3 and raw.rejected.empty and str(tmp_path) not in repr(raw.files)


def test_many_rows_come_in_parts(engine, crm, tmp_path, monkeypatch):
    monkeypatch.setattr(database, "ROWS", 2)
    assert read(engine, tmp_path, table="客户 表").files[0].n_rows_in == 3
    assert engine.value("SELECT list(_line ORDER BY _line) FROM raw") == [1, 2, 3]


@pytest.mark.parametrize(
    "query",
    [
        'DELETE FROM "客户 表"',
        'SELECT * FROM "客户 表"; DROP TABLE "客户 表"',
        "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
        "SELECT * INTO copy FROM t",
        "ATTACH 'x' AS y",
        "PRAGMA writable_schema = 1",
    ],
)
def test_a_query_that_changes_something_is_refused(engine, crm, tmp_path, query):
    assert problem_of(engine, tmp_path, query=query)[0].key == "reading.not_a_select"
    assert sqlite3.connect(crm).execute('SELECT count(*) FROM "客户 表"').fetchone() == (3,)


@pytest.mark.parametrize(
    "query", ["select 1 as a", "WITH x AS (SELECT 1 AS a) SELECT ';' AS b FROM x", "SELECT a::int FROM t"]
)
def test_a_query_that_only_asks_is_one_select(query):
    assert database.is_one_select(query)


def test_an_address_that_is_missing_or_wrong_is_told_by_its_variable(engine, tmp_path, monkeypatch):
    monkeypatch.delenv("CRM_URL", raising=False)
    assert problem_of(engine, tmp_path, table="t")[0].key == "reading.no_address"
    monkeypatch.setenv("CRM_URL", f"no address {SECRET}")
    problem, said = problem_of(engine, tmp_path, table="t")
    assert problem.key == "reading.bad_address" and SECRET not in said


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "mysql+pymysql", "nosuchdb", "sqlite"])
def test_a_failure_never_shows_a_part_of_the_address(engine, tmp_path, monkeypatch, driver, capsys):
    monkeypatch.setenv(
        "CRM_URL", f"{driver}://clerk:{SECRET}@db.example.invalid:1/crm" + ("/x/y.db" if driver == "sqlite" else "")
    )
    problem, said = problem_of(engine, tmp_path, table="t")
    for secret in (SECRET, "clerk", "db.example.invalid"):
        assert secret not in said and secret not in repr(problem.values)
    chain, seen = problem, []
    while chain is not None:  # a traceback would print what an error was raised from
        seen.append(str(chain))
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    assert SECRET not in " ".join(seen)
    assert SECRET not in capsys.readouterr().err


def test_a_query_that_fails_says_why(engine, crm, tmp_path):
    problem, said = problem_of(engine, tmp_path, query="SELECT * FROM nowhere")
    assert problem.key == "reading.query_failed" and "nowhere" in said and crm.name not in said


def test_a_column_that_the_query_lacks_is_named(engine, crm, tmp_path):
    with pytest.raises(text.DataError) as problem:
        read(engine, tmp_path, query='SELECT 编号, 入网, 月费 FROM "客户 表"')
    assert problem.value.key == "reading.no_column" and problem.value.values["column"] == "大区"
