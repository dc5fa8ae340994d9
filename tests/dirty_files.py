"""Dirty files, one defect each, as tired clerks and careless programs make them, in Chinese and in English.

Every case is the same little table of three customers with one thing wrong, and says exactly what has to come of it:
the right values, a row set aside by name and line, a value refused by name and line, or one clear message. Text files
are here, workbooks and folders in `dirty_tables`; how single values are written is in test_values.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import chain

import dirty_habits
import dirty_tables
from dirty_case import (
    ALL,
    ALL_EN,
    EN,
    EN1,
    FIRST,
    HEAD,
    HEAD_EN,
    ROW1,
    ROW2,
    ROW3,
    SECOND,
    TABLE,
    TABLE_EN,
    THIRD,
    ZH,
    Dirty,
    en,
    second_aside,
    zh,
)


def dirty_files() -> list[Dirty]:
    """All cases."""
    parts = (encodings, delimiters, field_counts, quotes, headers, edges)
    return [*chain.from_iterable(part() for part in parts), *dirty_tables.cases(), *dirty_habits.cases()]


def encodings() -> Iterator[Dirty]:
    """Bytes that are not what one expects."""
    big5 = "客戶,日期,月費,大區\n0001,2024-03-05,100.50,臺南\n0002,2024-03-06,200,臺中\n0003,2024-03-07,-30,臺北\n"
    big5_rows = tuple((*row[:3], region) for row, region in zip(ALL, ("臺南", "臺中", "臺北"), strict=True))
    big5_headers = {"id": "客戶", "start": "日期", "fee": "月費", "region": "大區"}
    accents = TABLE_EN.replace("South", "Málaga").replace("North", "Cádiz").replace("East", "León")
    accent_rows = tuple((*row[:3], region) for row, region in zip(ALL, ("Málaga", "Cádiz", "León"), strict=True))
    damaged = TABLE.encode().replace("华北".encode(), b"\xe5\x8d")
    yield zh("a byte order mark before UTF-8", TABLE, "utf-8-sig")
    yield zh("GBK without any mark", TABLE, "gbk")
    yield zh(
        "a character of four bytes",
        TABLE.replace("华东", "㐀州"),
        "gb18030",
        rows=(FIRST, SECOND, (*THIRD[:3], "㐀州")),
    )
    yield zh("GBK declared as gb2312", TABLE, "gbk", options={"encoding": "GB2312"})
    yield zh("UTF-16, big end first, declared", TABLE, "utf-16-be", options={"encoding": "utf-16-be"})
    yield zh(
        "UTF-16 with neither mark nor word", TABLE_EN, "utf-16-le", error="reading.looks_like_utf16", says=("客户.csv",)
    )
    yield zh(
        "UTF-16 that ends in half a character", TABLE.encode("utf-16")[:-3], rows=ALL[:2], aside=((4, "undecodable"),)
    )
    yield zh("Big5, declared", big5, "big5", options={"encoding": "big5"}, headers=big5_headers, rows=big5_rows)
    yield zh(
        "Big5, not declared",
        big5,
        "big5",
        error="reading.encoding_unsure",
        headers=big5_headers,
        says=("客户.csv", "1"),
    )
    yield en("the Windows encoding of Western Europe", accents, "cp1252", error="reading.encoding_unsure", says=("2",))
    yield en("the same, declared", accents, "cp1252", options={"encoding": "cp1252"}, rows=accent_rows)
    yield en("accents in UTF-8", accents, rows=accent_rows)
    yield en(
        "a GBK word that is also UTF-8",
        EN1.join((HEAD_EN, "")).encode() + b"0002,2024-03-06,200,\xc5\xae\n",
        error="reading.encoding_of_two",
        says=("女",),
    )
    yield zh("half a character in one row of UTF-8", damaged, **second_aside("undecodable"))
    yield zh(
        "half a character in one row of GBK",
        TABLE.encode("gbk").replace("华北".encode("gbk"), b"\xbb"),
        **second_aside("undecodable"),
    )
    yield zh(
        "one row of GBK among rows of UTF-8",
        (HEAD + ROW1).encode() + ROW2.encode("gbk") + ROW3.encode(),
        **second_aside("undecodable"),
    )
    yield zh(
        "one row of UTF-8 among rows of GBK",
        (HEAD + ROW1).encode("gbk")
        + ROW2.encode()
        + (ROW3 * 1).encode("gbk")
        + "0004,2024-03-08,5,华中\n".encode("gbk"),
        rows=(FIRST, THIRD, ("0004", date(2024, 3, 8), 500, "华中")),
        aside=((3, "undecodable"),),
    )
    yield zh(
        "an encoding that does not exist",
        TABLE,
        options={"encoding": "utf-9"},
        error="reading.unknown_encoding",
        says=("utf-9",),
    )
    yield zh(
        "a declared encoding that is wrong",
        TABLE.encode("gbk"),
        options={"encoding": "utf-8"},
        error="reading.header_undecodable",
        says=("utf-8", "1"),
    )
    yield zh("zero bytes in a row", TABLE.replace("华北", "华\0北"), **second_aside("nul_bytes"))
    yield zh(
        "marks in the middle, of files that were joined",
        TABLE + "\ufeff" + TABLE.replace("000", "001"),
        rows=ALL + tuple((f"001{row[0][-1]}", *row[1:]) for row in ALL),
        aside=((5, "repeated_header"),),
    )


def delimiters() -> Iterator[Dirty]:
    """Fields cut by another sign than the comma, and lines that end otherwise."""
    for sign, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        yield zh(f"{name} between the fields", TABLE.replace(",", sign))
    yield zh(
        "bars in GBK, where characters hold the same byte",
        TABLE.replace(",", "|").replace("华东", "約東"),
        "gbk",
        rows=(FIRST, SECOND, (*THIRD[:3], "約東")),
    )
    yield en(
        "semicolons and decimal commas",
        TABLE_EN.replace(",", ";").replace("100.50", "100,50"),
        writing={"decimal": ","},
    )
    yield zh(
        "a delimiter declared that cuts nothing",
        TABLE,
        options={"delimiter": "|"},
        error="reading.no_column",
        says=("客户编号",),
    )
    yield zh(
        "a delimiter that no file can have",
        TABLE,
        options={"delimiter": "，"},
        error="reading.bad_delimiter",
        says=("，",),
    )
    yield zh("lines of Windows", TABLE.replace("\n", "\r\n"))
    yield en("lines of old Macs", TABLE_EN.replace("\n", "\r"))
    yield zh("no line end at the end", TABLE.rstrip("\n"))
    yield en("the end mark of DOS", TABLE_EN + "\x1a")
    yield zh("a carriage return inside a field", TABLE.replace("华北", "华北\r"), rows=ALL)


def field_counts() -> Iterator[Dirty]:
    """Rows with more or fewer fields than the header."""
    yield zh(
        "a row with a field too few", TABLE.replace(ROW2, "0002,2024-03-06,200\n"), **second_aside("too_few_fields")
    )
    yield en(
        "an amount with a comma and no quotes",
        TABLE_EN.replace("200", "1,200"),
        **second_aside("too_many_fields", ALL_EN),
    )
    yield zh("a file cut off in its last row", TABLE[:-8], rows=ALL[:2], aside=((4, "too_few_fields"),))
    yield zh("blank lines between the rows", TABLE.replace(ROW2, f"\n{ROW2}\n  \n"))
    yield zh("rows of nothing but delimiters", TABLE + ",,,\n" * 20)
    yield en("blanks and delimiters only", TABLE_EN + " , ,\t, \n")
    yield zh(
        "a delimiter too many at every row's end",
        TABLE.replace("\n", ",\n").replace(HEAD.rstrip() + ",", HEAD.rstrip()),
    )
    yield zh("a delimiter too many at one row's end", TABLE.replace("华北", "华北,"), **second_aside("too_many_fields"))
    yield en(
        "no row that fits the header",
        HEAD_EN + "0001,2024-03-05\n0002,2024-03-06\n",
        error="reading.most_rows_rejected",
        says=("customers.csv", "2"),
    )
    yield zh("an empty file", "", error="reading.empty_file", says=("客户.csv",))
    yield zh("a file of blanks", "\ufeff \n\n\t\n", error="reading.empty_file", says=("客户.csv",))
    yield zh("a header and no rows", HEAD, rows=())
    yield en("a header and no rows, in English", HEAD_EN.rstrip(), rows=())


def quotes() -> Iterator[Dirty]:
    """Quotes where they should not be."""
    yield zh(
        "a line break inside of quotes", TABLE.replace("华北", '"华\n北"'), rows=(FIRST, (*SECOND[:3], "华 北"), THIRD)
    )
    yield en(
        "every field in quotes",
        "".join(",".join(f'"{c}"' for c in line.split(",")) + "\n" for line in TABLE_EN.splitlines()),
    )
    yield en("blanks before the quotes", TABLE_EN.replace(",North", ', "North"'))
    yield zh("a quote that is never closed", TABLE.replace("华北", '"华北'), **second_aside("stray_quote"))
    yield en("a quote in the last row", TABLE_EN.replace("East", '"East'), rows=ALL_EN[:2], aside=((4, "stray_quote"),))
    yield zh(
        "a stray quote above rows with true ones",
        TABLE.replace("华南", '"华南').replace("华东", '"华东"'),
        rows=(SECOND, THIRD),
        aside=((2, "stray_quote"),),
    )
    yield zh(
        "two stray quotes that fit each other",
        TABLE.replace("0001,", '"0001,').replace("华北", '华北"'),
        rows=(THIRD,),
        aside=((2, "stray_quote"), (3, "stray_quote")),
    )
    yield en(
        "inches inside of a field",
        TABLE_EN.replace("North", '5" North'),
        rows=(ALL_EN[0], (*ALL_EN[1][:3], '5" North'), ALL_EN[2]),
    )
    yield en(
        "text after a closing quote", TABLE_EN.replace("North", '"North"west'), **second_aside("stray_quote", ALL_EN)
    )


def headers() -> Iterator[Dirty]:
    """Headers that are there twice, not at all, or not quite."""
    ordered = (
        "大区,月费,客户编号,入网日期\n华南,100.50,0001,2024-03-05\n华北,200,0002,2024-03-06\n华东,-30,0003,2024-03-07\n"
    )
    wider = "".join(f"{a},{b}\n" for a, b in zip(TABLE.splitlines(), ("备注,备注", "x,y", "x,y", "x,y"), strict=True))
    yield zh("columns in another order", ordered)
    yield zh("blanks around the headers", TABLE.replace("入网日期,", " 入网日期　,"))
    yield zh("a line break in a header", TABLE.replace("入网日期,", '"入网\n日期",'))
    yield en("headers in another case", TABLE_EN.replace("Customer,Start", "CUSTOMER,start"))
    yield zh("full-width signs in a header", TABLE.replace("月费", "月费（元）"), headers=ZH | {"fee": "月费(元)"})
    yield zh(
        "two columns of a needed name",
        TABLE.replace("大区", "月费"),
        error="reading.duplicate_header",
        headers={k: ZH[k] for k in ("id", "start", "fee")},
        says=("月费", "3", "4"),
    )
    yield zh("two columns of a name that nobody needs", wider)
    yield zh("a column without a name", "".join(f"{line},\n" for line in TABLE.splitlines()))
    yield zh(
        "a column that is missing",
        TABLE.replace("月费", "资费"),
        error="reading.no_column",
        says=("月费", "资费", "客户.csv"),
    )
    yield en("no header at all", TABLE_EN.partition("\n")[2], error="reading.no_column", says=("Customer",))
    yield zh(
        "a header that is SQL",
        TABLE.replace("大区", '"大区""; DROP TABLE raw; --"'),
        headers=ZH | {"region": '大区"; DROP TABLE raw; --'},
    )
    yield en(
        "a header that is a formula or HTML",
        TABLE_EN.replace("Region", "<b>=1+1</b>"),
        headers=EN | {"region": "<b>=1+1</b>"},
    )


def edges() -> Iterator[Dirty]:
    """What people write above and below a table."""
    title = "客户流失统计表（模拟数据）,,,\n制表日期：2024-04-01,,,\n"
    yield zh("title rows above the header", title + TABLE)
    yield zh("a title of one cell and a blank line", "客户名单\n\n" + TABLE)
    yield en("a title above the header", "Customer list (simulated)\n" + TABLE_EN)
    yield zh("the header's row declared", "客户编号,入网日期,月费,大区（旧）\n" + TABLE, options={"header_row": 2})
    yield zh(
        "a header row that is not there", TABLE, options={"header_row": 40}, error="reading.no_header_row", says=("40",)
    )
    yield zh("a total below the rows", TABLE + "合计,,270.50,\n", aside=((5, "footer"),))
    yield zh("a total with a blank inside", TABLE + "合　计,,270.50,\n", aside=((5, "footer"),))
    yield zh("a subtotal between the rows", TABLE.replace(ROW3, "华北小计,,200,\n" + ROW3), aside=((4, "footer"),))
    yield zh("a total in the second column", TABLE + ",总计,270.50,\n", aside=((5, "footer"),))
    yield zh("signatures below the rows", TABLE + "制表人：某某,,审核：某某,\n", aside=((5, "footer"),))
    yield zh("a signature of one cell", TABLE + "审核：某某\n", aside=((5, "too_few_fields"),))
    yield en("a total below the rows, in English", TABLE_EN + "Total,,270.50,\n", aside=((5, "footer"),))
    yield en(
        "a grand total and a subtotal",
        TABLE_EN + "South Subtotal,,100.50,\nGrand Total,,270.50,\n",
        aside=((5, "footer"), (6, "footer")),
    )
    yield zh("a note below the rows", TABLE + "备注：数据截至三月,,,\n", aside=((5, "footer"),))
    yield zh("a count below the rows", TABLE + "共 3 条记录,,,\n", aside=((5, "footer"),))
    yield zh("the header once more between the rows", TABLE.replace(ROW3, HEAD + ROW3), aside=((4, "repeated_header"),))
    yield zh(
        "a footer that dataset.yml declares",
        TABLE + "x,y,z,w\n",
        options={"skip_footer": 1},
        aside=((5, "skipped_footer"),),
    )
    yield zh(
        "a customer whose name begins like a total",
        TABLE.replace("0002", "合计科技"),
        rows=(FIRST, ("合计科技", *SECOND[1:]), THIRD),
    )
