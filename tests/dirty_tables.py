"""Dirty workbooks, Parquet files and folders; see `dirty_files`."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterator
from datetime import date, datetime
from itertools import chain
from typing import Any

import openpyxl
import pyarrow as pa
from dirty_case import ALL, FIRST, HEAD, ROW1, ROW2, ROW3, SECOND, TABLE, THIRD, ZH, Dirty, excel, parquet, saved


def cases() -> Iterator[Dirty]:
    """All cases of workbooks and folders."""
    return chain.from_iterable(part() for part in (workbooks, merged_cells, lost_in_excel, folders))


OLD_ROWS = (("1001", date(2024, 3, 5), 120050, "华南"), ("0007", date(2024, 3, 6), 1200000, "华南"))
# Excel 97: a title merged over the sheet, 1001 as a number, a region merged over two rows, a total, an empty sheet.
OLD_WORKBOOK = zlib.decompress(
    base64.b85decode(
        "".join(
            """
c-rk)TS!zv82;v*y_^koS5rv?Ga)V0ST(W&-
3rSm7i|r*qH^_MWvsIKP(7q&`xHXaQ_+iIK`(ZB=t36?dI$=PdI*9@3!i$5ih58_|NMK_%ckIh3Cj5n^Uusb^UeG-^Ur1X?O^Iq-
`(tC#Gw)@#tj!7Q*?rYE0*zq$_+y%W3fiTu&}7$(r6(ac05jg<CJSC*LxTW?$}<C1inx>fDZWELwfE4Vh7vMB%}=$!bZNQ;2MP#WU*aoESp&_X
L+0JK4H0yHN7k=sP2&1he4meaI@*hdzCycOCc%nfH@yoQ-Tb<l78HEQAF$7u|0gW>G&cm$gw4%AGD;^dPon;yc;*L3}_@2*VGhORShAXmb)Lnj
9lPnY+pamwe$<C7a;wg>3ZiZdW{w_UVmA!0o^bT3+c=eB;kZjmM9{*eor7mPX5CY-P(a8y53njij&e2%pk7sFAvI!nz8!W=U|5(YIYg6s5-
OjcYu<5U0v6RzN(d)*IKvqQdH2ml?veXddpo9rSPH@8_{{N3|i|ZjOauv!3I(~{Z!i@Xb4DdecuJyXY|PNOgnOtc_Su~Y=N88sk|LMG~&@)-
`~{)Ykh}U)6LgR^fFo_M-BsLC4<N*Tw-S_OA48>p5-}ibtR{>S*BA>it}qT%*3u9u5+GC^QoUQ#(Q7El=NCkN50iP%!z#Ut)uin_3-
KRfe*eu<k98WLVWr4phy&nt5+l*`C_p!kF8HEv;H~4G{s}uZkRW&8)Ljqp!tw^Msoz79r>xu5Hm0YGo*~>V)GfzDa?)KRLa@R-j%qvo?->-
QgPEQ58Zn&CHHl}Nm|KPn5~&?bp}gRX4}o)RJO!1k&~@Cd0ZOh)QK@kd(^m=Y}}H3fSgfejxD)VixHkxh54$vD^ye}X}B*<r^{dx^XGq<)&C~3
*!+*@3^UD{1q&7|Sg>GW2|+#)6@D;9pUigiLF6?5*BPTQZv9QNWU(9V^mWot%AE*N9LA}H{3jE35o=4#krVsBP@;i)52Fo1wxca!|D^}5m^z+0
6Fu{{g%a(5JP|wpbN_z<i02`$
""".split()
        )
    )
)


def _rows() -> list[list[Any]]:
    return [[row[0], row[1], row[2] / 100, row[3]] for row in ALL]


def _filled(*above: list[Any], below: tuple[list[Any], ...] = (), rows: list[list[Any]] | None = None) -> Callable:
    """Fill a workbook's sheet with titles, the header, three customers and footers."""

    def build(book: openpyxl.Workbook) -> None:
        for row in (*above, [*ZH.values()], *(rows or _rows()), *below):
            book.active.append(row)

    return build


def workbooks() -> Iterator[Dirty]:
    """Excel workbooks."""

    def sheets(*names: str, hidden: str | None = None) -> Callable:
        def build(book: openpyxl.Workbook) -> None:
            book.active.title = names[0]
            _filled()(book)
            for name in names[1:]:
                book.create_sheet(name).append(["代码", "说明"])
            book.create_sheet("空表")
            if hidden:
                book[hidden].sheet_state = "hidden"

        return build

    def shifted(book: openpyxl.Workbook) -> None:
        for i, row in enumerate(([*ZH.values()], *_rows())):
            for j, cell in enumerate(row):
                book.active.cell(i + 4, j + 3, cell)

    yield excel("a plain workbook", _filled())
    yield excel("one sheet that is not empty", sheets("名单"))
    yield excel(
        "several sheets and none declared",
        sheets("名单", "字典"),
        error="reading.several_sheets",
        says=("名单", "字典"),
    )
    yield excel("several sheets and one declared", sheets("名单", "字典"), options={"sheet": "名单 "})
    yield excel(
        "a declared sheet that is not there",
        sheets("名单", "字典"),
        options={"sheet": "客户"},
        error="reading.no_sheet",
        says=("客户", "字典"),
    )
    yield excel("a hidden sheet beside the table", sheets("名单", "字典", hidden="字典"))
    yield excel("a workbook without anything", lambda book: None, error="reading.empty_file", says=("客户.xlsx",))
    yield excel(
        "title rows, a total and a signature",
        _filled(["客户名单"], [], below=(["合计", None, 270.5], ["制表人：某某"])),
        aside=((7, "footer"), (8, "footer")),
    )
    yield excel("a table that begins in C4", shifted)
    yield excel(
        "blank rows between and below", _filled(rows=[_rows()[0], [None] * 4, *_rows()[1:]], below=([None, " "],))
    )
    yield Dirty("a workbook called csv", {"客户.csv": _workbook()})
    yield Dirty("a CSV file called xls", {"客户.xls": TABLE.replace(",", "\t").encode("gbk")})
    yield Dirty(
        "a web page called xls",
        {"客户.xls": b"<html><table><tr><td>1</td></tr></table></html>"},
        error="reading.not_a_table",
        says=("HTML",),
    )
    yield Dirty(
        "a broken workbook", {"客户.xlsx": b"PK\x03\x04" + b"x" * 99}, error="reading.no_workbook", says=("客户.xlsx",)
    )
    yield Dirty("a workbook of Excel 97", {"客户.xls": OLD_WORKBOOK}, rows=OLD_ROWS, aside=((5, "footer"),))
    yield Dirty("a packed file", {"客户.csv": b"\x1f\x8b\x08" + b"x" * 99}, error="reading.not_a_table", says=("gzip",))


def _workbook() -> bytes:
    book = openpyxl.Workbook()
    _filled()(book)
    return saved(book)


def merged_cells() -> Iterator[Dirty]:
    """Cells that Excel shows as one and stores as one value and blanks."""

    def two_rows(book: openpyxl.Workbook) -> None:
        sheet = book.active
        sheet.append(["客户名单（模拟数据）"])
        sheet.append(["客户编号", "业务", None, "大区"])
        sheet.append([None, "入网日期", "月费"])
        for row in _rows():
            sheet.append(row)
        for cells in ("A1:D1", "A2:A3", "B2:C2", "D2:D3"):
            sheet.merge_cells(cells)

    def no_upright(book: openpyxl.Workbook) -> None:
        sheet = book.active
        sheet.append(["客户编号", "业务", None, "大区"])
        sheet.append([None, "入网日期", "月费"])
        for row in _rows():
            sheet.append(row)
        sheet.merge_cells("B1:C1")

    def regions(book: openpyxl.Workbook) -> None:
        _filled(rows=[_rows()[0], [*_rows()[1][:3], "华北"], [*_rows()[2][:3], None]])(book)
        book.active.merge_cells("D3:D4")

    joined = {"id": "客户编号", "start": "业务/入网日期", "fee": "业务/月费", "region": "大区"}
    yield excel("a header of two rows, joined", two_rows, headers=joined)
    yield excel("a header of two rows, named by its lower row", two_rows)
    yield excel("a header of two rows without upright merges", no_upright, headers=joined)
    yield excel("a region merged over two rows", regions, rows=(FIRST, SECOND, (*THIRD[:3], "华北")))


def lost_in_excel() -> Iterator[Dirty]:
    """What Excel makes of identifiers, dates and formulas."""

    def changed(row: int, column: int, value: Any, number_format: str | None = None) -> Callable:
        def build(book: openpyxl.Workbook) -> None:
            _filled()(book)
            cell = book.active.cell(row, column, value)
            cell.number_format = number_format or cell.number_format

        return build

    def mac(book: openpyxl.Workbook) -> None:
        book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
        _filled()(book)

    def without(column: int) -> tuple[tuple[Any, ...], ...]:
        return (FIRST, tuple(None if j == column else cell for j, cell in enumerate(SECOND)), THIRD)

    yield excel("an identifier that became a number", changed(3, 1, 2.0), rows=(FIRST, ("2", *SECOND[1:]), THIRD))
    yield excel(
        "an identifier of 18 digits that lost three",
        changed(3, 1, 430102199001011234),
        rows=without(0),
        refused=((3, "id", "precision_lost"),),
    )
    yield excel("a date without its format", changed(3, 2, 45357, "General"))
    yield excel("a date with a time", changed(3, 2, datetime(2024, 3, 6, 8, 30)))
    yield excel("a date typed as text", changed(3, 2, "2024年3月6日"))
    yield excel(
        "a sum of halves that are none", changed(3, 3, 0.1 + 0.2), rows=(FIRST, ("0002", SECOND[1], 30, "华北"), THIRD)
    )
    yield excel(
        "a formula that nobody computed", changed(3, 3, "=A1"), rows=without(2), refused=((3, "fee", "excel_error"),)
    )
    yield excel("an error in a cell", changed(3, 3, "#REF!"), rows=without(2), refused=((3, "fee", "excel_error"),))
    yield excel("an error that means a blank", changed(3, 4, "#N/A"), rows=without(3))
    yield excel("days counted from 1904", mac, error="reading.date_1904", says=("1904",))


def folders() -> Iterator[Dirty]:
    """Monthly files, Parquet files, and files that should not be there."""
    many = {"options": {"file": "月/*.csv"}}
    text = [("客户编号", ["0001", "0002", "0003"]), ("大区", ["华南", "华北", "华东"])]
    kept = [*text, ("入网日期", [row[1] for row in ALL]), ("月费", [100.5, 200.0, -30.0])]
    other = "大区,客户编号,月费,入网日期,备注\n华北,0002,200,2024-03-06,x\n"
    yield Dirty(
        "monthly files with columns in another order",
        {"月/1.csv": (HEAD + ROW1).encode(), "月/2.csv": other.encode("gbk"), "月/3.csv": (HEAD + ROW3).encode()},
        **many,
    )
    yield Dirty(
        "a folder of monthly files and other things",
        {
            "月/1.csv": (HEAD + ROW1 + ROW2).encode(),
            "月/2.csv": (HEAD + ROW3).encode(),
            "月/~$2.xlsx": b"x",
            "月/.DS_Store": b"x",
            "月/README.md": b"x",
        },
        options={"file": "月"},
    )
    yield Dirty(
        "a monthly file without a column",
        {"月/1.csv": (HEAD + ROW1).encode(), "月/2.csv": "客户编号,入网日期,大区\n0002,2024-03-06,华北\n".encode()},
        **many,
        error="reading.no_column",
        says=("月/2.csv", "月费"),
    )
    yield Dirty("a monthly file without rows", {"月/1.csv": TABLE.encode(), "月/2.csv": HEAD.encode()}, **many)
    yield Dirty(
        "a monthly file that was saved twice",
        {"月/1.csv": TABLE.encode(), "月/1 - 副本.csv": TABLE.encode()},
        **many,
        error="reading.same_file_twice",
        says=("月/1.csv", "副本"),
    )
    yield Dirty(
        "no file of this name",
        {"别的.csv": TABLE.encode()},
        options={"file": "客户.csv"},
        error="reading.no_file",
        says=("客户.csv", "别的.csv"),
    )
    yield Dirty(
        "files of several kinds",
        {
            "月/1.csv": (HEAD + ROW1).encode(),
            "月/2.xlsx": _one_row(1),
            "月/3.parquet": parquet(*((n, v[2:]) for n, v in kept)),
        },
        options={"file": "月/*"},
    )
    yield Dirty("Parquet that keeps its types", {"客户.parquet": parquet(*kept)})
    yield Dirty(
        "Parquet of texts",
        {
            "客户.parquet": parquet(
                *text, ("入网日期", ["2024-03-05", "2024/3/6", "20240307"]), ("月费", ["100.5", "200", "(30)"])
            )
        },
    )
    yield Dirty(
        "Parquet of categories and exact decimals",
        {
            "客户.parquet": parquet(
                text[0],
                ("大区", pa.array(text[1][1]).dictionary_encode()),
                kept[2],
                ("月费", pa.array(["100.50", "200", "-30"]).cast(pa.decimal128(9, 2))),
            )
        },
    )
    yield Dirty(
        "Parquet with times in another zone",
        {
            "客户.parquet": parquet(
                *text,
                ("入网日期", pa.array([datetime(2024, 3, d, 16, 30) for d in (4, 5, 6)], pa.timestamp("us", "UTC"))),
                kept[3],
            )
        },
        writing={"zone": "Asia/Shanghai"},
    )
    yield Dirty(
        "Parquet files whose types differ",
        {
            "月/1.parquet": parquet(*((n, v[:2]) for n, v in kept)),
            "月/2.parquet": parquet(*((n, [str(v[2])]) for n, v in kept)),
        },
        options={"file": "月/*.parquet"},
    )
    yield Dirty(
        "a damaged Parquet file",
        {"客户.parquet": b"PAR1" + b"x" * 50 + b"PAR1"},
        error="reading.broken_parquet",
        says=("客户.parquet",),
    )


def _one_row(i: int) -> bytes:
    book = openpyxl.Workbook()
    _filled(rows=[_rows()[i]])(book)
    return saved(book)
