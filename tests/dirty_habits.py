"""Dirty files that come of habits: how clerks of many companies write values, and lay out sheets for people to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, time
from typing import Any

import openpyxl
from dirty_case import ALL, FIRST, HEAD, ROW1, ROW2, ROW3, SECOND, TABLE, TABLE_EN, THIRD, ZH, Dirty, en, excel, zh

DAYS = ("2024-03-05", "2024-03-06", "2024-03-07")
FEES = ("100.50", "200", "-30")
ROWS = (("0001", date(2024, 3, 5), 100.5, "华南"), ("0002", date(2024, 3, 6), 200, "华北"))
ROWS = [*map(list, ROWS), ["0003", date(2024, 3, 7), -30, "华东"]]


def cases() -> Iterator[Dirty]:
    """All cases."""
    for part in (days, amounts, identifiers, layouts, text_files, sheets):
        yield from part()


def _written(place: int, texts: tuple[str, ...], table: str = TABLE) -> str:
    """The table with other texts in one of its columns."""
    lines = [line.split(",") for line in table.splitlines()]
    quoted = [f'"{text}"' if "," in text else text for text in texts]
    for line, text in zip(lines[1:], quoted, strict=True):
        line[place] = text
    return "\n".join(map(",".join, lines)) + "\n"


def _with(place: int, *values: Any) -> tuple[tuple[Any, ...], ...]:
    """The three customers with other values in one of their columns."""
    return tuple((*row[:place], value, *row[place + 1 :]) for row, value in zip(ALL, values, strict=True))


def _refusals(column: str, *rules: str | None) -> tuple[tuple[int, str, str], ...]:
    return tuple((line, column, rule) for line, rule in enumerate(rules, 2) if rule)


def days() -> Iterator[Dirty]:
    """Dates; what could be another day is refused, never guessed."""
    for name, texts, found, rules, writing in (
        ("days that no month has", ("2024-02-31", "20240231", "2023年2月29日"), (None,) * 3, ("not_a_date",) * 3, {}),
        ("a leap day", ("2024-02-29", "2024.2.29", "240229"), (29, 29, None), (None, None, "two_digit_year"), {}),
        ("months without a day", ("2024-3", "2024年3月", "24.3.5"), (1, 1, None), (None, None, "two_digit_year"), {}),
        ("day and month that could change places", ("03/04/2024", "05/06/2024", "07/07/2024"), (None, None, "7/7"),
         ("date_order", "date_order", None), {}),
        ("day and month in a declared order", ("05/03/2024", "06/03/2024", "7/3/2024"), (5, 6, 7),
         (None,) * 3, {"order": "dmy"}),
        ("years of two digits in a declared order", ("5/03/24", "6-Mar-24 08:00", "07.03.24"), (5, 6, 7), (None,) * 3,
         {"order": "dmy"}),
        ("years of two digits that come first", ("24.3.5", "24年3月6日", "24-Mar-07"), (5, 6, None),
         (None, None, "not_a_date"), {"order": "ymd"}),
        ("times of other zones", ("2024-03-04T16:30:00Z", "2024-03-06 23:00:00+0800", "2024-03-06T16:00:00.000+00:00"),
         (5, 6, 7), (None,) * 3, {"zone": "Asia/Shanghai"}),
        ("halves of the day", ("2024-03-05 下午 3:30", "2024/3/6 11:59:59 PM", "2024-03-07 24:00:00"), (5, 6, 7),
         (None,) * 3, {}),
        ("what programs print", ("1709596800000", "Wed Mar  6 00:00:00 CST 2024", "2024-W10"), (None,) * 3,
         ("not_a_date",) * 3, {}),
        ("years that no customer has", ("0024-03-05", "2204-03-06", "民国113年3月7日"), (None,) * 3,
         ("date_range", "date_range", "not_a_date"), {}),
    ):  # fmt: skip
        values = [day and date(2024, 7, 7) if day == "7/7" else _day(name, day) for day in found]
        yield zh(name, _written(1, texts), rows=_with(1, *values), refused=_refusals("start", *rules), writing=writing)


def _day(name: str, day: int | None) -> date | None:
    return day and date(2024, 2 if "leap" in name else 3, day)


def amounts() -> Iterator[Dirty]:
    """Amounts; what is no amount of this currency is refused."""
    for name, texts, found, rules in (
        ("thousands parted by blanks", ("1 200.50", "1\u00a0200", "−1\u202f234\u2009567"), (120050, 120000, -123456700),
         ()),
        ("thousands parted by marks", ("1'200.50", "1,200", "12’000"), (120050, 120000, 1200000), ()),
        ("groups that are no thousands", ("1,20,000", "1 20", "12,00"), (None,) * 3,
         ("not_an_amount", "not_an_amount", "decimal_comma")),
        ("ten thousands and hundred millions", ("1.2亿", "１．２万元", "3千"), (12000000000, 1200000, 300000), ()),
        ("brackets and minus signs in full width", ("（３０．００）", "－２００", "￥１００．５０元"),
         (-3000, -20000, 10050), ()),
        ("a minus behind, a credit and dollars", ("200-", "100.50 CR", "$30"), (-20000, None, None),
         (None, "not_an_amount", "other_currency")),
        ("shares and amounts in words", ("12%", "壹佰元整", "两百"), (None,) * 3, ("not_an_amount",) * 3),
        ("an error, a blank and a formula", ("#DIV/0!", "——", "=A1*2"), (None,) * 3,
         ("excel_error", None, "not_an_amount")),
    ):  # fmt: skip
        yield zh(name, _written(2, texts), rows=_with(2, *found), refused=_refusals("fee", *rules))


def identifiers() -> Iterator[Dirty]:
    """Identifiers and categories as spreadsheets leave them."""
    yield zh(
        "identifiers that Excel made numbers of",
        _written(0, ("1.23457E+17", "4.30102E+17", "1001.0")),
        rows=_with(0, None, None, "1001"),
        refused=_refusals("id", "precision_lost", "precision_lost"),
    )
    marked = HEAD + "'0001,2024-03-05,100.50,华南\n\t0002\u200b,2024-03-06,200,华北\n" + '="0003",2024-03-07,-30,华东\n'
    yield zh("marks that keep Excel from reading a number", marked)
    yield zh("identifiers in full width", _written(0, ("０００１", "0002\u00a0", "\ufeff0003")))
    yield zh("words for nothing as identifiers", _written(0, ("NULL", "-", "无")), rows=_with(0, None, None, None))
    formulas = ("=HYPERLINK(1)", "+1+cmd|' /C calc'!A0", "@SUM(A1)")
    yield zh("categories that are formulas", _written(3, formulas), rows=_with(3, *formulas))
    one = ("华南", "华　南 ", "华 南")
    yield zh("categories that differ by blanks", _written(3, one), rows=_with(3, "华南", "华 南", "华 南"))
    yield en(
        "categories that differ by case and width",
        _written(3, ("North", "NORTH", "Ｎorth"), TABLE_EN),
        rows=_with(3, "North", "North", "North"),
    )


def layouts() -> Iterator[Dirty]:
    """Text files laid out for people."""
    middle = HEAD + ROW1 + "华南小计,,100.50,\n" + ROW2 + "本页合计,,300.5,\n" + ROW3 + "制表人：某某,审核：某某,,\n"
    yield zh("totals of pages in the middle", middle, aside=((3, "footer"), (5, "footer"), (7, "footer")))
    yield zh(
        "a page break and the header again",
        TABLE + "\f\n" + HEAD + ROW1.replace("0001", "0004"),
        rows=(*ALL, ("0004", *FIRST[1:])),
        aside=((6, "repeated_header"),),
    )
    yield zh("a line that tells Excel the delimiter", "sep=,\n" + TABLE)
    yield zh("remarks above the header", "# 导出时间 2024-04-01\n# 共三行\n" + TABLE)
    yield zh("a delimiter too many in the header alone", HEAD.replace("\n", ",\n") + ROW1 + ROW2 + ROW3)
    yield zh("two delimiters between the fields", TABLE.replace(",", "||"))
    yield zh("columns parted by blanks", TABLE.replace(",", "    ").replace("0002", "  0002"))
    for sign, name in (("，", "commas in full width"), ("^", "carets")):
        yield zh(f"{name} between the fields", TABLE.replace(",", sign), error="reading.no_column", says=("客户编号",))
    yield zh(
        "a unit behind the header", TABLE.replace("月费", "月费(元)"), error="reading.no_column", says=("月费(元)",)
    )
    many = ",".join(f"c{i}" for i in range(16_400))
    yield zh(
        "more columns than a sheet can have",
        HEAD.replace("\n", f",{many}\n") + ROW1,
        error="reading.too_many_columns",
        says=("16,404",),
    )


def text_files() -> Iterator[Dirty]:
    """Bytes, lines and quotes."""
    yield zh(
        "line breaks inside of quotes in GBK",
        TABLE.replace("华北", '"华\n北"'),
        "gbk",
        rows=_with(3, "华南", "华 北", "华东"),
    )
    yield zh(
        "quotes doubled and delimiters inside of them",
        TABLE.replace("华北", '"华""北,区"'),
        "gbk",
        rows=_with(3, "华南", '华"北,区', "华东"),
    )
    yield zh("tabs in UTF-16 with lines of Windows", TABLE.replace(",", "\t").replace("\n", "\r\n"), "utf-16")
    yield zh(
        "quotes behind a backslash",
        TABLE.replace("华南", '"华\\"南"'),
        rows=(SECOND, THIRD),
        aside=((2, "stray_quote"),),
    )
    yield zh(
        "a line end of an old Mac among others",
        HEAD + ROW1 + ROW2.replace("\n", "\r") + ROW3,
        rows=(FIRST,),
        aside=((3, "too_many_fields"),),
    )
    yield zh(
        "the euro sign of Windows in GBK",
        TABLE.encode("gbk").replace(b"100.50", b"\x80100"),
        rows=ALL[1:],
        aside=((2, "undecodable"),),
    )
    yield zh(
        "UTF-8 that was encoded twice",
        TABLE.encode().decode("latin1").encode(),
        error="reading.no_column",
        says=("客户编号",),
    )
    yield zh(
        "a line of another encoding at the end",
        TABLE.encode() + "0004,2024-03-08,1,华中地区\n".encode("gbk"),
        aside=((5, "undecodable"),),
    )
    yield zh("signs in a header that nobody sees", TABLE.replace("入网日期", "\u202e入网\u200b日期\u200f"))
    for name, start in (("HTML", "<div>Session expired</div>"), ("JSON", '[{"客户编号": "1"}]')):
        yield zh(f"{name} that a server sent instead", start, error="reading.not_a_table", says=(name,))
    yield zh("nothing but zero bytes", b"\0" * 99, error="reading.empty_file", says=("客户.csv",))
    yield Dirty(
        "monthly files in three encodings",
        {
            "月/1.csv": (HEAD + ROW1).encode("gbk"),
            "月/2.csv": (HEAD + ROW2).encode("utf-16"),
            "月/3.csv": (HEAD + ROW3).encode("utf-8-sig"),
        },
        options={"file": "月/*.csv"},
    )


def sheets() -> Iterator[Dirty]:
    """Sheets laid out for people."""

    def sheet(*rows: list[Any], merge: tuple[str, ...] = (), title: str = "名单", **cells: Any) -> Callable:
        def build(book: openpyxl.Workbook) -> None:
            book.active.title = title
            for row in rows:
                book.active.append(row)
            for cell in merge:
                book.active.merge_cells(cell)
            for cell, (value, number_format) in cells.items():
                book.active[cell] = value
                book.active[cell].number_format = number_format

        return build

    head = [*ZH.values()]
    grouped = [
        ["客户台账"],
        ["制表日期：2024-04-01", None, "单位：元"],
        ["基本信息", None, "业务信息", None],
        head,
        *ROWS,
    ]
    yield excel("two titles and groups above the header", sheet(*grouped, merge=("A1:D1", "A3:B3", "C3:D3")))
    deep = [["台账"], ["客户编号", "业务信息"], [None, "时间", None, "大区"], [None, "入网日期", "月费"], *ROWS]
    yield excel("a header of three rows", sheet(*deep, merge=("A1:D1", "A2:A4", "B2:D2", "B3:C3", "D3:D4")))
    name = '客户\'s "表"<1>&'
    yield excel("a sheet's name with quotes and signs", sheet(head, *ROWS, title=name), options={"sheet": name})
    below = (["2024年4月新增"], head, ["0004", date(2024, 3, 5), 1, "华中"])
    yield excel(
        "a second table below the first",
        sheet(head, *ROWS, [], *below),
        rows=(*ALL, ("2024年4月新增", None, None, None), ("0004", FIRST[1], 100, "华中")),
        aside=((7, "repeated_header"),),
    )
    totals = sheet(head, ROWS[0], ["合计", None, 100.5], *ROWS[1:], [None, None, 270.5], ["注：以上为模拟数据"])
    yield excel(
        "totals with a name and without",
        totals,
        rows=(*ALL, (None, None, 27050, None)),
        aside=((3, "footer"), (7, "footer")),
    )
    noted = sheet([*head, None, "说明"], [*ROWS[0], None, "第一行是说明"], *ROWS[1:])
    yield excel("a remark beside the table", noted)
    texts = (
        ["0001", "2024-03-05", "100.50 ", "华南"],
        ["0002", "2024.3.6", "200元", "华北"],
        ["0003", "45358", "(30)", "华东"],
    )
    yield excel("dates and amounts as texts", sheet(head, *texts))
    formats = {"B2": (45356, 'yyyy"年"m"月"'), "B3": (45357, "[$-804]aaaa"), "B4": (time(8, 0), "h:mm")}
    yield excel(
        "formats of a date that show a part of it",
        sheet(head, *ROWS, **formats),
        rows=_with(1, FIRST[1], SECOND[1], None),
        refused=((4, "start", "not_a_date"),),
    )
    shares = {"C3": (0.12, "0%"), "C2": (100.5, '0.00,"千元"'), "C4": (-30, "#,##0;[Red](#,##0)")}
    yield excel(
        "formats of a number that show another one", sheet(head, *ROWS, **shares), rows=_with(2, 10050, 12, -3000)
    )
    yield excel(
        "a cell at the far end of the sheet",
        sheet(head, *ROWS, XFD1048576=("x", "General")),
        error="reading.far_cells",
        says=("1,048,576", "16,384"),
    )
    yield excel(
        "a row that a filter hides",
        lambda book: (sheet(head, *ROWS)(book), setattr(book.active.row_dimensions[3], "hidden", True)),
    )
