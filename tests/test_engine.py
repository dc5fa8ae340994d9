"""The engine gives exact integers, reads only its folders, and cannot be talked into running a user's text."""
# ruff: noqa: S608 (these tests build statements on purpose)

import pandas as pd
import pytest

from churnlib.engine import Engine, quote
from churnlib.text import DataError


@pytest.fixture
def engine():
    engine = Engine()
    yield engine
    engine.close()


def test_sums_of_money_stay_exact_integers(engine):
    engine.run("CREATE TABLE bills AS SELECT 9007199254740993 AS amount UNION ALL SELECT 0")  # 2^53 + 1
    frame = engine.frame("SELECT sum(amount) AS amount, count(*) AS n, sum((amount % 7)::INTEGER) AS rest FROM bills")
    assert frame.dtypes.astype(str).to_dict() == {"amount": "int64", "n": "int64", "rest": "int64"}
    assert frame.amount[0] == 9007199254740993


def test_values_are_parameters(engine):
    engine.run("CREATE TABLE customers AS SELECT '''; DROP TABLE customers; --' AS region")
    frame = engine.frame(
        "SELECT count(*) AS n FROM customers WHERE region = $region", {"region": "'; DROP TABLE customers; --"}
    )
    assert frame.n[0] == 1
    assert engine.table_exists("customers")


@pytest.mark.parametrize("name", ['a"b', "地区; DROP TABLE t", "select", "大区 (新)", '"', "a.b"])
def test_a_column_name_can_only_be_a_name(engine, name):
    engine.run(f"CREATE TABLE t AS SELECT 1 AS {quote(name)}")
    assert engine.columns("t") == (name,)
    assert list(engine.frame(f"SELECT {quote(name)} FROM t").columns) == [name]


def test_a_name_that_no_table_can_have_is_refused():
    with pytest.raises(DataError):
        quote("a\0b")


def test_only_the_given_folders_can_be_read(tmp_path):
    for name in ("given", "other"):
        (tmp_path / name).mkdir()
        pd.DataFrame({"a": [1]}).to_parquet(tmp_path / name / "x.parquet")
    engine = Engine([tmp_path / "given"])
    assert len(engine.frame(f"SELECT * FROM '{tmp_path}/given/x.parquet'")) == 1
    for sql in (
        f"SELECT * FROM '{tmp_path}/other/x.parquet'",
        f"SELECT * FROM '{tmp_path}/given/../other/x.parquet'",
        "SELECT * FROM read_text('/etc/hostname')",
        f"COPY (SELECT 1) TO '{tmp_path}/other/y.csv'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
    ):
        with pytest.raises(Exception, match="disabled|locked"):
            engine.run(sql)
    engine.close()


def test_a_python_variable_is_not_a_table(engine):
    secret = pd.DataFrame({"a": [1]})  # noqa: F841
    with pytest.raises(Exception, match="does not exist"):
        engine.frame("SELECT * FROM secret")


def test_a_loaded_frame_is_a_table_of_its_own(engine):
    rows = pd.DataFrame({"a": [1, 2]})
    engine.load("t", rows)
    rows.loc[0, "a"] = 100
    assert engine.value("SELECT sum(a) FROM t") == 3
    assert not engine.table_exists("_loading")


def test_too_little_memory_is_said_in_one_line():
    engine = Engine(memory_limit="1MB")
    with pytest.raises(DataError, match="CHURN_MEMORY_LIMIT"):
        engine.run("CREATE TABLE t AS SELECT range AS a, hash(range) AS b FROM range(3000000)")
    engine.close()
