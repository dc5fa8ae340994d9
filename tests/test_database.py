"""Rows from the user's own database: exact, read only, and never a word about its address."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from datetime import date
from pathlib import Path

import pytest
from dirty_case import refused, type_table

from churnlib import text
from churnlib.engine import Engine
from churnlib.model.schema import Source
from churnlib.sources import database
from churnlib.sources.reading import read_source
from churnlib.sources.typed import typed

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


@pytest.fixture(scope="module")
def postgres():
    """The address of a PostgreSQL server of our own, on a socket in its own folder, run by a user without rights."""
    homes = [
        Path(p).resolve().parent
        for p in (shutil.which("initdb"), *Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if p
    ]
    if not homes:
        pytest.skip("no PostgreSQL server on this machine: install postgresql")
    import pwd  # no such module on Windows

    nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None  # the server refuses to run as root
    # not tmp_path: its parents are closed to others, and a socket's path must be short
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "password").write_text(SECRET)
        if nobody:
            for path in (folder, f"{folder}/password"):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)

        def run(program, *options):
            who = {"user": nobody.pw_uid, "group": nobody.pw_gid} if nobody else {}
            command = [homes[0] / program, "-D", f"{folder}/data", *options]
            subprocess.run(command, check=True, capture_output=True, cwd=folder, **who)

        try:
            run(
                "initdb", "-U", "clerk", f"--pwfile={folder}/password", "-A", "scram-sha-256", "-E", "UTF8", "--no-sync"
            )
            where = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c datestyle=SQL,DMY"
            run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", where, "start")
        except (OSError, subprocess.CalledProcessError) as problem:  # a machine that lets nobody start a server
            pytest.skip(f"PostgreSQL does not start here: {getattr(problem, 'stderr', None) or problem}")
        try:
            yield f"postgresql://clerk:{SECRET}@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")


@pytest.fixture
def ledger(postgres, monkeypatch):
    """A table with every type that a company's PostgreSQL has in it."""
    import psycopg

    with psycopg.connect(postgres) as db:
        db.execute('DROP SCHEMA IF EXISTS "客户 库" CASCADE; CREATE SCHEMA "客户 库"; CREATE SEQUENCE "客户 库".序号')
        db.execute("""CREATE TABLE "客户 库"."客户""档案" (
            编号 bigint, 入网 timestamptz, 离网 date, 月费 numeric(20, 4), 大区 char(6), 在用 boolean)""")
        db.execute("SET timezone = 'Asia/Shanghai'")
        db.execute("""INSERT INTO "客户 库"."客户""档案" VALUES
            (430102199001011234, '2024-03-05 00:30', 'infinity', 100.5000, '华南', true),
            (430102199001011235, '2024-03-06 23:59:59.5', '2025-01-31', NULL, NULL, false),
            (9223372036854775807, NULL, '0044-03-15 BC', -30, '百分%', NULL)""")
    monkeypatch.setenv("CRM_URL", postgres)
    return postgres


COLUMNS = {"编号": "id", "入网": "date", "离网": "date", "月费": "money", "大区": "category", "在用": "flag"}


@pytest.mark.parametrize(
    "sql",
    [{"table": '客户 库.客户"档案'}, {"query": 'SELECT * FROM "客户 库"."客户""档案" WHERE 编号::text LIKE \'%\''}],
)
def test_a_real_postgresql_is_read_exactly(engine, ledger, tmp_path, sql):
    source = Source.model_validate(
        {"sql": {"url_env": "CRM_URL"} | sql, "columns": {f"c{i}": name for i, name in enumerate(COLUMNS)}}
    )
    raw = read_source(engine, source, tmp_path, "raw")
    columns = {n: typed(engine, "raw", n, kind, zone="Asia/Shanghai") for n, kind in COLUMNS.items()}
    type_table(engine, "raw", "out", columns)
    found = engine.con.sql("SELECT 编号, 入网, 离网, 月费, 大区, 在用 FROM out ORDER BY _line").fetchall()
    assert found == [
        ("430102199001011234", date(2024, 3, 5), None, 10050, "华南", True),
        ("430102199001011235", date(2024, 3, 6), date(2025, 1, 31), None, None, False),
        ("9223372036854775807", None, None, -3000, "百分%", None),
    ]
    assert [*refused(engine, "raw", columns)["rule"]] == ["not_a_date"]  # the day before Christ, and that row alone
    assert raw.files[0].n_rows_in == 3 and SECRET not in repr(raw.files)


def test_a_real_postgresql_changes_nothing_and_tells_nothing(engine, ledger, tmp_path, monkeypatch):
    _, said = problem_of(
        engine, tmp_path, query="SELECT nextval('\"客户 库\".序号') AS 编号, 1 AS 入网, 1 AS 月费, 1 AS 大区"
    )
    assert "read-only" in said
    _, said = problem_of(engine, tmp_path, table="nowhere")
    assert "nowhere" in said and SECRET not in said
    monkeypatch.setenv("CRM_URL", ledger.replace(SECRET, "wr0ng-pass"))
    problem, said = problem_of(engine, tmp_path, table="t")
    assert problem.key == "reading.no_connection" and "wr0ng-pass" not in said + repr(problem.values)
