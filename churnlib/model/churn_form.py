"""The churn form (客户流失情况分析表), one a sheet, as people fill it in: boxes ticked before or after the words.

A form is read by its labels, wherever they stand; what is ticked comes out in the words of the form, which the data
set's mapping of reasons turns into codes. `form_print` prints the empty form of a customer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from churnlib import text
from churnlib.engine import Engine
from churnlib.model.schema import Source
from churnlib.model.vocabulary import EVALUATIONS, FORM_COLUMNS, MEASURES, RELATIONSHIPS, codes_of
from churnlib.sources.excel import open_sheet
from churnlib.sources.files import find_files, shown_name
from churnlib.sources.reading import FileFound, Opened, RawTable, as_columns, load
from churnlib.sources.written import fold

CHOICES = ("reasons", "measures", "relationship", "evaluation", "follow_up", "business_condition", "lost_to")
_OTHER_LABELS = {  # what other companies' forms call a field
    "customer_id": "客户号 客户代码 客户编码 会员号".split(),
    "name": "客户 名称 单位名称 客户姓名 姓名".split(),
    "legal_representative": ["法人"],
    "phone": "电话 手机 联系方式".split(),
    "manager": "业务员 销售代表 服务顾问 经办人".split(),
    "start_date": "业务开始时间 合作起始时间 入网日期 开户日期".split(),
    "end_date": "业务结束时间 合作终止时间 离网日期 流失日期 流失时间".split(),
    "monthly_fee": "每月销量 月均消费 月消费额 月销量 每月销售额".split(),
    "relationship": "客户关系 客情关系 与该客户的关系".split(),
    "reasons": "流失原因 流失的原因 原因 客户流失原因".split(),
    "measures": "采取措施 已采取措施 已采取的措施 处理措施 措施".split(),
    "evaluation": "客户评价 评估 处理意见 今后打算 后续意见".split(),
    "lost_to": "流向 去向 转向 流失去处 现服务商".split(),
    "follow_up": "回访情况 回访状态 联系结果".split(),
    "text": "备注 说明 详细情况 具体情况 原因说明".split(),
    "author": "制表人 填报人 报告人".split(),
    "date": "日期 制表日期 填报日期 填表时间 报告日期".split(),
}
_ON = r"[☑☒■√✓✔✅●◉]|[\[(（【]\s*[xXvV√✓✔]\s*[\])）】]"
_OFF = r"[□☐○◯]|[\[(（【]\s*[\])）】]"
_TOKEN = re.compile(rf"(?P<on>{_ON})|(?P<off>{_OFF})|(?P<gap>\t|\n|\s{{2,}})")
_TYPED = 4  # so many words without any box are an answer that was typed, more are the printed choices


@dataclass(frozen=True)
class ChurnForm:
    """One form as it was filled in."""

    file: str
    sheet: str
    fields: dict[str, str] = field(default_factory=dict)  # customer_id, date, text ... -> what was written
    ticked: dict[str, tuple[str, ...]] = field(default_factory=dict)  # field of `CHOICES` -> the words ticked

    def cell(self, name: str) -> str:
        """Give one field as a raw table holds it: ticked words on lines of their own, measures as codes."""
        if name == "measures":
            return "；".join(_code(word, MEASURES) for word in self.ticked.get(name, ()))
        if name in ("relationship", "evaluation"):
            codes = RELATIONSHIPS if name == "relationship" else EVALUATIONS
            return " / ".join(_code(word, codes) for word in self.ticked.get(name, ()))
        return "\n".join(self.ticked[name]) if name in self.ticked else self.fields.get(name, "")


def read_forms(path: Path, shown: str | None = None) -> list[ChurnForm]:
    """Read every form of a workbook, one a sheet; empty sheets are passed over.

    Raises
    ------
    DataError
        A sheet is filled in but no churn form, or the file is no workbook.
    """
    import python_calamine as calamine

    shown = shown or path.name
    try:
        names = calamine.CalamineWorkbook.from_path(str(path)).sheet_names
    except (calamine.CalamineError, OSError, ValueError) as problem:
        raise text.DataError("reading.no_workbook", file=shown, reason=type(problem).__name__) from None
    forms = []
    for name in names:
        rows = list(open_sheet(path, shown, name).rows())
        if any(any(row) for row in rows):
            forms.append(read_form(rows, shown, name))
    return forms


def read_form(rows: Iterable[list[str]], file: str, sheet: str) -> ChurnForm:
    """Read one form from the cells of its sheet.

    Raises
    ------
    DataError
        The cells hold no label of a customer id, or none of reasons.
    """
    written: dict[str, list[str]] = {}
    for name, cells in _sections(rows):
        written.setdefault(name, []).append(cells)
    if not {"customer_id", "reasons"} <= set(written):
        raise text.DataError("churn_form.not_a_form", file=file, sheet=sheet)
    ticked = {name: ticked_words("\n".join(written[name])) for name in CHOICES if name in written}
    fields = {name: " ".join(" ".join(parts).split()) for name, parts in written.items() if name not in CHOICES}
    return ChurnForm(file, sheet, fields, ticked)


def ticked_words(written: str) -> tuple[str, ...]:
    """Give the ticked ones of a list of choices, whether the boxes stand before or after the words.

    Examples
    --------
    >>> ticked_words("☑价格偏高 □质量不稳定 ☑服务差")
    ('价格偏高', '服务差')
    >>> ticked_words("价格偏高 √  质量不稳定  服务差 √")
    ('价格偏高', '服务差')
    """
    tokens = list(_tokens(written))
    words = [word for kind, word in tokens if kind == "word"]
    marks = [kind for kind, _ in tokens if kind in ("on", "off")]
    if not marks:  # nothing to tick: a few words are an answer, many are the printed choices
        typed = re.split(r"[、，,；;/]", words[0]) if len(words) == 1 else words
        return tuple(word for w in typed if (word := _answer(w))) if len(typed) <= _TYPED else ()
    is_before = next(kind for kind, _ in tokens if kind != "gap") != "word"
    chosen, mark, last = [], "", ""
    for kind, word in tokens:
        if kind == "word":
            if is_before and mark == "on":
                chosen.append(word)
            mark, last = "", word
        elif kind in ("on", "off"):
            if not is_before and kind == "on" and last:
                chosen.append(last)
            mark, last = kind, ""
    return tuple(dict.fromkeys(word for w in chosen if (word := _answer(w))))


def forms_table(engine: Engine, source: Source, folder: Path, into: str, *, allow_outside: bool = False) -> RawTable:
    """Load churn forms as a raw table, one row per form; `_line` is the number of the sheet in its workbook."""
    paths = find_files(source.patterns, folder, allow_outside)
    return load(engine, [_opened(path, shown_name(path, folder)) for path in paths], into)


def _opened(path: Path, shown: str) -> Opened:
    forms = read_forms(path, shown)
    columns = as_columns([[form.cell(name) for name in FORM_COLUMNS] for form in forms], len(FORM_COLUMNS))
    return Opened(FileFound(shown, columns=FORM_COLUMNS), lambda rejects: [(columns, np.arange(1, len(forms) + 1))])


@cache
def _labels() -> dict[str, str]:
    """Folded label -> field, in both languages and as other companies' forms have it."""
    prefix = "churn_form.label."
    known = {key.removeprefix(prefix): entry for key, entry in text.catalogue().items() if key.startswith(prefix)}
    labels = {_bare(words): name for name, entry in known.items() for words in entry.values()}
    return labels | {_bare(word): name for name, words in _OTHER_LABELS.items() for word in words}


def _sections(rows: Iterable[list[str]]) -> Iterator[tuple[str, str]]:
    """Field and what stands right of its label; rows that begin without a label go on with the field above."""
    current = ""
    for row in rows:
        parts: list[str] = []
        for cell in dict.fromkeys(filter(None, row)):  # a cell merged over several columns is one
            name, rest = _label(cell)
            if name:
                if current and parts:
                    yield current, "\t".join(parts)
                current, parts = name, [rest] if rest else []
                yield name, ""
            else:
                parts.append(cell)
        if current and parts:
            yield current, "\t".join(parts)


def _label(cell: str) -> tuple[str | None, str]:
    """A cell that is a label, or begins with one before a colon: 客户编号：C001."""
    if name := _labels().get(_bare(cell)):
        return name, ""
    head, colon, rest = cell.partition("：") if "：" in cell else cell.partition(":")
    return (_labels().get(_bare(head)), rest.strip()) if colon else (None, "")


def _bare(label: str) -> str:
    """A label without what stands in brackets, colons, numbers before it and blanks."""
    return re.sub(r"^[0-9一二三四五六七八九十]+[、.．)）]|[(（\[【].*?[)）\]】]|[\s:：*]", "", fold(label))


def _tokens(written: str) -> Iterator[tuple[str, str]]:
    end = 0
    for match in _TOKEN.finditer(written):
        if word := written[end : match.start()].strip():
            yield "word", word
        yield str(match.lastgroup), ""
        end = match.end()
    if word := written[end:].strip():
        yield "word", word


def _answer(word: str) -> str:
    """What a choice says: 其他：店面搬迁 says 店面搬迁; blanks to write on say nothing."""
    word = re.sub(r"_{2,}|＿+", " ", word).strip(" 、，,；;。")
    other = re.fullmatch(r"(?:其他|其它|other)\s*[:：(（]\s*(.*?)\s*[)）]?", word, re.IGNORECASE)
    return (other[1] or "其他") if other else word


def _code(word: str, codes: dict[str, tuple[str, ...]]) -> str:
    return {fold(known): code for known, code in codes_of(codes).items()}.get(fold(word), word)
