"""Columns of values: what SQL reads, what Python reads, and what only the column as a whole can tell."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import chain

import pandas as pd
import pyarrow as pa
import pytest
from dirty_case import refused, type_table
from hypothesis import given, settings
from hypothesis import strategies as st
from test_values import AMOUNTS, BLANKS, DATES, DAY, NO_AMOUNTS, NO_DATES

from churnlib import text
from churnlib.engine import Engine
from churnlib.sources.dates import read_date
from churnlib.sources.typed import remarks, typed
from churnlib.sources.values import read_amount, read_id, read_number


@pytest.fixture(scope="module")
def engine():
    engine = Engine(threads=1)
    yield engine
    engine.close()


def column(engine, texts, kind, files=None, **writing):
    """Read one column: its values, what was refused (line -> rule), what is mentioned (flag -> rows)."""
    lines, files = range(2, len(texts) + 2), files or ["a.csv"] * len(texts)
    rows = pd.DataFrame({"_file": files, "_line": lines, "x": pd.Series(texts, dtype=object)})
    engine.load("raw", rows.astype({"x": "string"}))
    how = {"x": typed(engine, "raw", "x", kind, **writing)}
    type_table(engine, "raw", "out", how)
    found = engine.frame("SELECT x FROM out ORDER BY _line")["x"]
    found = [None if pd.isna(v) else v.date() if kind == "date" else v for v in found]
    wrong, seen = refused(engine, "raw", how), remarks(engine, "raw", how)
    assert all(len({*text.label(f"values.{rule}")}) == 2 for rule in wrong["rule"])  # in both languages
    assert all(text.known(f"rules.{flag}") for flag in seen["flag"])
    rules = dict(zip(wrong["line"], wrong["rule"], strict=True))
    return found, rules, dict(zip(seen["flag"], seen["n_rows"], strict=True))


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{1,4})?", fullmatch=True),
            st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2})?", fullmatch=True),
            st.sampled_from([*DATES, *AMOUNTS, *BLANKS, *chain(*NO_DATES.values(), *NO_AMOUNTS.values())]),
            st.text("0123456789-/.:, eE+年A\u3000", max_size=11),
        ),
        min_size=1,
    )
)
def test_what_sql_reads_by_itself_is_what_python_reads(engine, texts):
    for kind, read in (("date", read_date), ("id", read_id)):
        texts_ = [t for t in texts if len(t) <= 15 and len(t) != 6]  # what the column decides is tested below
        found, _, _ = column(engine, texts_, kind, **({"order": "ymd"} if kind == "date" else {}))
        assert found == [_or_none(read, t) for t in texts_]
    for kind, read in (("money", read_amount), ("number", read_number)):
        numbers = [t for t in texts if "," not in t and "，" not in t] + ["12.5"]
        assert column(engine, numbers, kind)[0] == [_or_none(read, t) for t in numbers]


def _or_none(read, written):
    try:
        return read(written).value
    except ValueError:
        return None


def test_a_column_may_mix_every_form_of_a_date(engine):
    found, wrong, seen = column(engine, [*DATES, "无", None], "date")
    assert found == [DAY] * len(DATES) + [None, None] and not wrong
    assert seen == {"serial": 2}


def test_one_day_above_twelve_proves_the_order_of_a_whole_column(engine):
    found, wrong, _ = column(engine, ["03/04/2024", "13/04/2024", "31/12/2024"], "date")
    assert found == [date(2024, 4, 3), date(2024, 4, 13), date(2024, 12, 31)] and not wrong
    found, wrong, _ = column(engine, ["03/04/2024", "04/13/2024"], "date")
    assert found == [date(2024, 3, 4), date(2024, 4, 13)] and not wrong


def test_day_and_month_are_never_guessed(engine):
    assert column(engine, ["03/04/2024", "05/06/2024", "05/05/2024"], "date")[1] == {2: "date_order", 3: "date_order"}
    # two clerks: each unambiguous date is read, the others are refused
    found, wrong, _ = column(engine, ["13/04/2024", "04/13/2024", "03/04/2024"], "date")
    assert found == [date(2024, 4, 13), date(2024, 4, 13), None] and wrong == {4: "date_order"}
    # a file that proves nothing is not read by what another file proves
    files = ["a.csv", "a.csv", "b.csv"]
    assert column(engine, ["13/04/2024", "03/04/2024", "03/04/2024"], "date", files)[1] == {
        3: "date_order",
        4: "date_order",
    }


def test_days_and_months_that_a_spreadsheet_swapped_are_refused(engine):
    true_days = [date(2024, 4, 1) + timedelta(i) for i in range(60)]
    # an American Excel reads 03/04/2024 as the 4th of March, and leaves 13/04/2024 alone
    written = [f"{d:%d/%m/%Y}" if d.day > 12 else str(date(d.year, d.day, d.month)) for d in true_days]
    found, wrong, _ = column(engine, [*written, "无"], "date")
    assert set(wrong.values()) == {"date_order"} and len(wrong) == 60 and found == [None] * 61


def test_six_digits_are_months_unless_one_is_a_day(engine):
    assert column(engine, ["202403", "202312"], "date")[0] == [date(2024, 3, 1), date(2023, 12, 1)]
    assert column(engine, ["200305", "201231"], "date")[1] == {2: "two_digit_year", 3: "two_digit_year"}


def test_twelve_hundred_is_never_read_as_one_point_two(engine):
    assert column(engine, ["1.200", "3.500", "850"], "money")[1] == {2: "decimal_comma", 3: "decimal_comma"}
    assert column(engine, ["1,200", "12,5"], "money")[1] == {2: "decimal_comma", 3: "decimal_comma"}
    assert column(engine, ["1.200", "12.50"], "money")[0] == [120, 1250]
    assert column(engine, ["1,200", "12.50"], "money")[0] == [120000, 1250]
    assert column(engine, ["1.200,50", "1.200"], "money", decimal=",")[0] == [120050, 120000]
    assert column(engine, ["0.125", "1.250"], "number")[0] == [0.125, 1.25]


def test_identifiers_whose_last_digits_are_zeros_all_over_the_column_are_refused(engine):
    lost = ["430102199001011000", "430102199101015000"]
    assert column(engine, lost, "id")[1] == {2: "precision_lost", 3: "precision_lost"}
    assert column(engine, [*lost, "430102199001011234"], "id")[0] == [*lost, "430102199001011234"]


def test_spellings_of_a_category_become_one_and_are_counted(engine):
    found, wrong, seen = column(engine, ["North", "North", "north ", "ＮＯＲＴＨ", "South", "无", None], "category")
    assert found == ["North"] * 4 + ["South", None, None] and not wrong and seen == {"normalised": 2}


def test_a_category_follows_the_declared_mapping(engine):
    words = {"主动离网": "voluntary", "欠费": "involuntary", "无": None}
    texts = ["主动离网", " 主动离网", "欠费", "无", "不详", None]
    assert column(engine, texts, "category", words=words)[2] == {"unmapped": 1}
    found, wrong, _ = column(engine, texts, "category", words=words, closed=True)
    assert found == ["voluntary", "voluntary", "involuntary", None, None, None] and wrong == {6: "unknown_category"}
    assert column(engine, texts, "category", words=words, default="unknown")[0][4] == "unknown"


def test_a_declared_word_is_never_read_as_something_else(engine):
    words = {"1900-01-01": None, "永久": "9999-12-31"}
    found, wrong, seen = column(engine, ["1900-01-01", "永久", "2024-03-05"], "date", words=words)
    assert found == [None, None, DAY] and not wrong and seen == {"open_end": 1}
    assert column(engine, ["有", "无", "是"], "flag", words={"有": "是", "无": "否"})[0] == [True, False, True]


def test_text_keeps_its_words_and_loses_its_edges(engine):
    found, _, _ = column(engine, ["　服务差\u200b", "无", "N/A", "A  b", None], "text")
    assert found == ["服务差", None, None, "A  b", None]


def test_an_empty_column_has_no_values(engine):
    for kind in ("date", "money", "number", "flag", "id", "category", "text"):
        assert column(engine, [None, ""], kind)[0] == [None, None]
        assert column(engine, [], kind)[0] == []


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (pa.array([1200, -3, None]), "money", [120000, -300, None]),
        (pa.array([1200.5, 0.1 + 0.2, 1e300, float("nan")]), "money", [120050, 30, None, None]),
        (pa.array([Decimal("1200.50"), Decimal("-0.01")]), "money", [120050, -1]),
        (pa.array([1001.0, 1002.0, None]), "id", ["1001", "1002", None]),
        (pa.array([1001, 7]), "id", ["1001", "7"]),
        (pa.array([20240305, 45356]), "date", [DAY, DAY]),
        (pa.array([DAY, date(9999, 12, 31), date(1, 1, 1)]), "date", [DAY, None, None]),
        (pa.array([True, None, False]), "flag", [True, None, False]),
        (pa.array([1, 0]), "flag", [True, False]),
        (pa.array([0.5, float("inf")]), "number", [0.5, None]),
    ],
)
def test_columns_that_are_no_text_are_read_too(engine, values, kind, expected):
    engine.con.register("typed_rows", pa.table({"x": values}))
    engine.run("CREATE OR REPLACE TABLE raw AS SELECT 'a' AS _file, row_number() OVER () AS _line, x FROM typed_rows")
    type_table(engine, "raw", "out", {"x": typed(engine, "raw", "x", kind)})
    found = engine.frame("SELECT x FROM out ORDER BY _line")["x"]
    assert [None if pd.isna(v) else v.date() if kind == "date" else v for v in found] == expected
