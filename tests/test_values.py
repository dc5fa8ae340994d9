"""Values as clerks write them: read exactly, or a blank, or refused with a reason; never guessed."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnlib import text
from churnlib.sources.dates import parse_date, read_date
from churnlib.sources.values import parse_amount, parse_flag, parse_number, read_amount, read_id, read_number, spellings

DAY = date(2024, 3, 5)
DATES = [
    "2024-03-05", "2024-3-5", "2024/3/5", "2024/03/05", "2024.3.5", "20240305", "2024年3月5日", "2024年03月05号",
    "2024 年 3 月 5 日", "二〇二四年三月五日", "２０２４年３月５日", "\u30002024-03-05\u200b", "2024-03-05 08:00",
    "2024-03-05 08:00:00", "2024-03-05T08:00:00.123", "2024/3/5 8:05", "2024年3月5日 下午3:20",
    "2024年3月5日8时30分", "2024/3/5 星期二", "20240305080000", "20240305 08:00:00", "2024-03-05 24:00", "45356",
    "45356.75", "5 Mar 2024", "Mar 5, 2024", "5-March-2024", "March 5th, 2024", "'2024-03-05", '="2024-03-05"',
]  # fmt: skip
NO_DATES = {
    "not_a_date": [
        "2023-02-29", "2024-02-30", "2024-13-01", "2024-3/5", "2024-03-05 25:00", "32/01/2024", "13/13/2024",
        "待定", "1709600000", "2024.1", "٢٠٢٤-٠٣-٠٥", "12:30", "2024-00-10", "05032024", "2024-03-05 08:00:00 BC",
        "-infinity", "epoch",
    ],
    "two_digit_year": [
        "24-03-05", "24年3月5日", "05/03/24", "5-Mar-24",
    ],
    "year_only": [
        "2024", "2024年",
    ],
    "date_order": [
        "03/04/2024", "3.4.2024", "03-04-2024 08:00",
    ],
    "date_range": [
        "1899-12-31", "0204-03-05", "2999-12-31", "99999",
    ],
}  # fmt: skip
BLANKS = [
    "", " ", "\u3000", "无", "—", "——", "-", "--", "N/A", "n/a", "NULL", "null", "None", "nan", "#N/A", "空", "/",
    "\\N", "\ufeff",
]  # fmt: skip
AMOUNTS = {
    "1200.50": 120050, "￥1,200.50": 120050, "¥1200.5": 120050, "1,200元": 120000, "RMB 1,200": 120000,
    "人民币1200元": 120000, "1.2万": 1200000, "1.2万元": 1200000, "3亿": 30000000000, "3千": 300000,
    "1.5w": 1500000, "2K": 200000, "(200)": -20000, "（200）": -20000, "(¥200.5)": -20050, "¥(200)": -20000,
    "-200": -20000, "−200": -20000, "－200": -20000, "200-": -20000, "-￥200": -20000, "￥-200": -20000, "+5": 500,
    "１，２００．５０": 120050, ".5": 50, "5.": 500, "0": 0, "-0": 0, "007": 700,
    "99999999999999.99": 9999999999999999, "1e-2": 1, "'12": 1200, "12,345,678.90": 1234567890,
    "1 200.50": 120050, "1\u202f200": 120000, "1'200": 120000, "1'234’567": 123456700,
}  # fmt: skip
NO_AMOUNTS = {
    "decimal_comma": [
        "1.200,50", "12,5", "1,2000", "1.234.567",
    ],
    "not_an_amount": [
        "1 20", "五百", "免费", "5²", "½", "1.2.3", "--5", "-(5)", "(-5)", "5%", "2024-03-05", "元", "1,,200",
        "1万亿亿", "１²", "0x10", "inf",
    ],
    "other_currency": [
        "$5", "5美元", "€5",
    ],
    "precision_lost": [
        "1.23457E+05", "1E10",
    ],
    "excel_error": [
        "#REF!",
    ],
    "amount_range": [
        "99999999999999999",
    ],
}  # fmt: skip


def category(written):
    """The spelling of a word that stands alone in its column."""
    return spellings({written: 1})[written]


def refusal(parse, written, **how):
    try:
        parse(written, **how)
    except ValueError as problem:
        return str(problem)
    return None


@pytest.mark.parametrize("written", DATES)
def test_a_date_is_read_however_it_is_written(written):
    assert parse_date(written) == DAY


@pytest.mark.parametrize(("rule", "written"), [(rule, t) for rule, texts in NO_DATES.items() for t in texts])
def test_what_is_no_date_is_refused_by_name(rule, written):
    assert refusal(parse_date, written) == rule


def test_every_leap_day_exists_and_no_other():
    for year in (1999, 2000, 2004, 2100, 2023, 2024):
        is_leap = year in (2000, 2004, 2024)
        assert refusal(parse_date, f"{year}年2月29日") == (None if is_leap else "not_a_date")


def test_a_declared_order_of_day_and_month_is_followed():
    assert parse_date("03/04/2024", order="dmy") == date(2024, 4, 3)
    assert parse_date("03/04/2024", order="mdy") == date(2024, 3, 4)
    assert refusal(parse_date, "13/04/2024", order="mdy") == "not_a_date"
    assert parse_date("13/04/2024") == parse_date("04/13/2024") == date(2024, 4, 13)
    assert parse_date("05/05/2024") == date(2024, 5, 5)


def test_an_open_end_is_no_date_and_is_mentioned():
    for written in ("9999-12-31", "99991231", "9999/12/31 00:00", "0000-00-00", "0000-00-00 00:00:00", "0", "infinity"):
        assert read_date(written) == (None, "open_end")


def test_a_month_is_its_first_day_and_is_mentioned():
    for written in ("2024年3月", "2024-03", "2024/3", "202403", "2024.03"):
        assert read_date(written) == (date(2024, 3, 1), "month_only")


def test_a_time_of_another_zone_is_dated_in_the_companys():
    assert read_date("2024-03-04T16:30:00Z", zone="Asia/Shanghai") == (DAY, "other_day")
    assert read_date("2024-03-05T08:00:00+08:00", zone="Asia/Shanghai") == (DAY, None)
    assert read_date("2024-03-04 23:30:00-0500", zone="Asia/Shanghai") == (DAY, "other_day")
    assert read_date("2024-03-05T23:30:00Z") == (DAY, "zone_ignored")


@pytest.mark.parametrize("written", BLANKS)
def test_a_blank_is_no_value_of_any_kind(written):
    for parse in (parse_date, parse_amount, parse_number, parse_flag, category):
        assert parse(written) is None


@pytest.mark.parametrize("written", AMOUNTS)
def test_an_amount_is_read_to_the_fen(written):
    assert read_amount(written) == (AMOUNTS[written], None)


@pytest.mark.parametrize(("rule", "written"), [(rule, t) for rule, texts in NO_AMOUNTS.items() for t in texts])
def test_what_is_no_amount_is_refused_by_name(rule, written):
    assert refusal(parse_amount, written) == rule


def test_more_than_two_decimals_are_rounded_half_to_even_and_mentioned():
    assert [read_amount(t) for t in ("1.005", "1.015", "1.0151", "-1.015")] == [
        (100, "rounded"), (102, "rounded"), (102, "rounded"), (-102, "rounded")
    ]  # fmt: skip
    assert read_amount("1.500") == (150, None)


def test_units_currencies_and_decimal_commas_are_declared():
    assert parse_amount("1.2", unit=10000) == 1200000
    assert parse_amount("$1,200", currency="USD") == 120000
    assert parse_amount("1.200,50", decimal=",") == 120050
    assert refusal(parse_amount, "1,200.50", decimal=",") == "decimal_comma"
    assert refusal(parse_amount, "5元", currency="USD") == "other_currency"


def test_numbers_and_percentages():
    assert [parse_number(t) for t in ("12.5", "-3", "5%", "50％", "(5)", "1.5e3", "1,200", "1.2万")] == [
        12.5, -3, 0.05, 0.5, -5, 1500, 1200, 12000
    ]  # fmt: skip
    assert read_number("5%").flag == "percent"
    for written in ("3m", "¥5", "%", "-%", "abc", "1,2"):
        assert refusal(parse_number, written) in ("not_a_number", "decimal_comma")


def test_flags():
    assert all(parse_flag(t) is True for t in ("是", "Y", "yes", "TRUE", "1", "1.0", "√", "ｙ"))
    assert all(parse_flag(t) is False for t in ("否", "N", "no", "False", "0", "×"))
    assert refusal(parse_flag, "有") == refusal(parse_flag, "2") == refusal(parse_flag, "男") == "not_a_flag"


def test_an_identifier_is_text_and_keeps_its_zeros():
    assert read_id("000123") == ("000123", None)
    assert read_id("430102199001011234\t") == ("430102199001011234", "normalised")
    assert read_id("　Ａ００１ ") == ("A001", "normalised")
    assert read_id('="00123"') == read_id("'00123") == ("00123", "normalised")
    assert read_id("1001.0") == ("1001", "float")
    assert read_id("NA") == ("NA", None)


def test_an_identifier_that_lost_its_digits_is_refused():
    for written in ("1.23457E+17", "4.30102E+17", "4.30102199001011e+17"):
        assert refusal(read_id, written) == "precision_lost"
    assert refusal(read_id, "#REF!") == "excel_error"


@given(st.dates(date(1900, 1, 1), date(2199, 12, 31)))
def test_every_day_is_read_from_every_full_form(day):
    y, m, d = day.year, day.month, day.day
    for written in (
        str(day),
        f"{y}/{m}/{d}",
        f"{y}{m:02}{d:02}",
        f"{y}年{m}月{d}日",
        f"{d} {day:%b} {y}",
        f"{y}.{m}.{d} 23:59",
    ):
        assert parse_date(written) == day
    assert parse_date(f"{d}/{m}/{y}", order="dmy") == parse_date(f"{m}-{d}-{y}", order="mdy") == day
    serial = (day - date(1899, 12, 30)).days
    if 18264 <= serial <= 73050:
        assert parse_date(str(serial)) == day


@given(st.decimals(-(10**9), 10**9, allow_nan=False, places=4))
def test_amounts_are_exact(amount):
    minor = int((amount * 100).quantize(Decimal(1), ROUND_HALF_EVEN))
    for written in (f"{amount:f}", f"¥{amount:,f}", f"{amount:f}元", f"{amount / 10000:f}万"):
        assert parse_amount(written) == minor


@given(st.text(max_size=12))
def test_no_text_breaks_a_parser(written):
    for read in (read_date, read_amount, read_number, read_id, lambda t: (parse_flag(t), category(t))):
        try:
            read(written)
        except ValueError as problem:
            assert text.known(f"values.{problem}")
