"""The churn form is read as people fill it in, and printed for a customer; what is printed can be read again."""

import openpyxl
import pytest
from datasets import SPEC, write_dataset

from churnlib import text
from churnlib.model.churn_form import read_form, read_forms, ticked_words
from churnlib.model.dataset import open_dataset
from churnlib.model.form_print import print_form
from churnlib.model.propose import propose

FORM = [
    ["客户流失情况分析表"],
    ["客户编号：C0001", "", "客户名称", "示例商贸"],
    ["业务起始时间", "2021-03-31", "业务终止时间", "2024-02-29"],
    ["与客户关系", "□好 ☑良好 □一般"],
    ["一、流失原因（可多选）", "☑价格偏高  □质量不稳定", "√ 送货不及时"],
    ["", "□承诺不兑现  ☑其他：店面太小"],
    ["已采取的措施", "☑已向公司汇报 ☑与客户沟通 □改进服务"],
    ["评价", "重建业务 √  不再合作  以后再定"],
    ["流失去向", "竞争对手甲"],
    ["情况说明", "老板说下个月再看"],
    ["填表人", "张三", "填表日期", "2024年3月5日"],
]


def save(path, *forms):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for i, form in enumerate(forms):
        sheet = book.create_sheet(f"表{i + 1}")
        for row in form:
            sheet.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize(
    "written, ticked",
    [
        ("☑价格 □服务 ☑距离", ("价格", "距离")),
        ("□价格 ■服务", ("服务",)),
        ("√价格 服务  √距离", ("价格 服务", "距离")),
        ("√ 价格\t服务\t√ 距离", ("价格", "距离")),
        ("价格√ 服务√", ("价格", "服务")),
        ("价格 √  服务  距离 √", ("价格", "距离")),
        ("价格□ 服务☑ 距离□", ("服务",)),
        ("[x] too expensive  [ ] quality", ("too expensive",)),
        ("（√）价格（ ）服务", ("价格",)),
        ("□价格 □服务", ()),
        ("价格\t服务\t距离\t质量\t态度", ()),
        ("价格、服务", ("价格", "服务")),
        ("☑其他：____搬家了____", ("搬家了",)),
        ("☑其他：______", ("其他",)),
        ("", ()),
    ],
)
def test_ticks_before_after_and_beside_the_words(written, ticked):
    assert ticked_words(written) == ticked


def test_a_form_is_read_by_its_labels(tmp_path):
    (form,) = read_forms(save(tmp_path / "form.xlsx", FORM))
    assert form.fields["customer_id"] == "C0001" and form.fields["date"] == "2024年3月5日"
    assert form.ticked["reasons"] == ("价格偏高", "送货不及时", "店面太小")
    assert (form.cell("relationship"), form.cell("measures"), form.cell("evaluation")) == (
        "fair",
        "reported；talked",
        "rebuild",
    )
    assert form.cell("lost_to") == "竞争对手甲"


@pytest.mark.parametrize("language", text.LANGUAGES)
def test_a_sheet_that_is_no_form_is_told(language):
    before = text.language()
    text.set_language(language)
    try:
        with pytest.raises(text.DataError) as told:
            read_form([["客户编号", "金额"], ["1", "2"]], "账单.xlsx", "Sheet1")
        assert "账单.xlsx" in str(told.value) and "Sheet1" in str(told.value)
    finally:
        text.set_language(before)


def test_forms_are_a_source_of_exit_surveys(tmp_path):
    folder = write_dataset(tmp_path / "set")
    (folder / "表单").mkdir()
    other = [["客户编号", "C0002"], ["流失原因", "□价格偏高 □服务差"], ["回访结果", "空号"], ["填表日期", "2024/4/1"]]
    stranger = [["客户编号", "C0999"], ["流失原因", "☑价格偏高"], ["填表日期", "2024/4/1"]]
    save(folder / "表单" / "三月.xlsx", FORM, other)
    save(folder / "表单" / "四月.xlsx", stranger)
    survey = {"file": "表单/*.xlsx", "layout": "churn_form"}
    reasons = {"values": {"店面太小": "company.management"}}
    data = open_dataset(write_dataset(folder, tables={**SPEC["tables"], "exit_survey": survey}, reasons=reasons))
    found = data.con.frame("SELECT customer, reason FROM exit_reasons ORDER BY 1, 2")["reason"].tolist()
    assert found == ["company.management", "price.too_high", "unknown.other"]
    row = data.con.frame("SELECT * FROM exit_survey ORDER BY survey").iloc[0]
    assert (row.relationship, row.measures, row.evaluation) == ("fair", "reported；talked", "rebuild")
    assert (
        data.con.frame("SELECT follow_up FROM exit_survey ORDER BY survey")["follow_up"].tolist()[1] == "empty_number"
    )
    forms = data.files[data.files["table"] == "exit_survey"].set_index("file")
    assert forms.loc["表单/三月.xlsx", "n_rows_used"] == 2 and forms.loc["表单/四月.xlsx", "n_rows_set_aside"] == 1


@pytest.mark.parametrize("language", text.LANGUAGES)
def test_a_printed_form_can_be_filled_in_and_read_again(tmp_path, language):
    data = open_dataset(write_dataset(tmp_path / "set"))
    before = text.language()
    text.set_language(language)
    try:
        path = print_form(data, "C0001", tmp_path / "form.xlsx")
        with pytest.raises(text.UsageError):
            print_form(data, "C0404", tmp_path / "none.xlsx")
        price = text.say("reasons.code.price.too_high")
    finally:
        text.set_language(before)
    assert path.stat().st_mode & 0o077 == 0
    book = openpyxl.load_workbook(path)
    for row in book.active.iter_rows():
        for cell in row:
            if isinstance(cell.value, str) and f"□ {price}" in cell.value:
                cell.value = cell.value.replace(f"□ {price}", f"☑ {price}")
    book.save(path)
    (form,) = read_forms(path)
    assert form.fields["customer_id"] == "C0001" and form.ticked["reasons"] == (price,)
    assert form.fields["start_date"] == "2021-03-31" and form.ticked["measures"] == ()


def test_forms_are_known_among_unknown_files(tmp_path, monkeypatch):
    monkeypatch.setenv("CHURN_HOME", str(tmp_path))
    folder = write_dataset(tmp_path / "from")
    (folder / "dataset.yml").unlink()
    save(folder / "三月.xlsx", FORM)
    save(folder / "四月.xlsx", [["客户编号", "C0002"], ["流失原因", "☑服务差"]])
    propose("mine", folder)
    data = open_dataset("mine")
    assert data.spec.tables["exit_survey"][0].layout == "churn_form"
    assert data.con.value("SELECT count(*) FROM exit_survey") == 2


def test_a_name_that_looks_like_a_formula_is_a_name(tmp_path):
    tables = {"customers": {**SPEC["tables"]["customers"], "columns": {**SPEC["tables"]["customers"]["columns"]}}}
    tables["customers"]["columns"]["name"] = "大区"
    del tables["customers"]["columns"]["region"]
    rows = [["C0001", "2021-03-31", "", "", "=1+1", "30", "1"]]
    data = open_dataset(write_dataset(tmp_path / "set", rows, None, tables=tables, segments={}))
    sheet = openpyxl.load_workbook(print_form(data, "C0001", tmp_path / "form.xlsx")).active
    (cell,) = [c for row in sheet.iter_rows() for c in row if c.value == "=1+1"]
    assert cell.data_type == "s"
