"""Versions of a company's list of reasons: told apart by the form, or by the date, and never merged unseen."""

import pytest
from datasets import SPEC, write_dataset, write_table

from churnlib import text
from churnlib.model import schema
from churnlib.model.dataset import open_dataset
from churnlib.model.propose import propose

HEADER = ["客户", "日期", "原因", "表单"]
ROWS = [
    ["C0001", "2024-03-01", "贵；其他", "旧版"],
    ["C0002", "2025-03-01", "贵", "新版"],
    ["C0003", "2025-06-01", "套餐", ""],
]
VERSIONS = {
    "旧版": {"values": {"贵": "price.too_high"}},
    "新版": {"since": "2025-01-01", "values": {"贵": "price.fees"}},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine").mkdir()
    write_table(tmp_path / "mine/离网回访.csv", HEADER, ROWS)
    return tmp_path / "mine"


def opened(folder, columns=(), **reasons):
    given = {"customer_id": "客户", "date": "日期", "reasons": "原因"} | dict(columns)
    tables = {**SPEC["tables"], "exit_survey": {"file": "离网回访.csv", "columns": given}}
    return open_dataset(write_dataset(folder, tables=tables, reasons=reasons))


def named(data):
    return data.con.frame("SELECT customer, reason, version FROM exit_reasons ORDER BY ALL").to_numpy().tolist()


def test_one_word_means_what_it_means_in_its_version(folder):
    reasons = {"values": {"套餐": "product.outdated"}, "versions": VERSIONS}
    by_column = named(opened(folder, {"version": "表单"}, **reasons))
    assert by_column == [
        [1, "price.too_high", "旧版"],
        [1, "unknown.other", "旧版"],
        [2, "price.fees", "新版"],
        [3, "product.outdated", "新版"],  # no version on the form: the one in use on that day
    ]


def test_without_a_column_the_date_decides(folder):
    data = opened(folder, versions=VERSIONS)
    assert [row[1:] for row in named(data)][:3:2] == [["price.too_high", "旧版"], ["price.fees", "新版"]]
    assert data.con.frame("SELECT version FROM exit_survey ORDER BY survey")["version"].tolist() == [
        "旧版",
        "新版",
        "新版",
    ]


def test_a_declared_version_stands_for_all(folder):
    assert {row[2] for row in named(opened(folder, version="2023"))} == {"2023"}


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        ({"versions": {"新版": {"values": {"贵": "price.to_high"}}}}, ("price.to_high", "price.too_high")),
        ({"versions": {"a": {}, "b": {}}}, ("since",)),
        ({"values": {"贵": "price.to_high"}}, ("price.to_high", "price.too_high")),
        ({"categories": {"服务态度": "servise"}}, ("servise", "service")),
        ({"actions": {"prise": "x"}}, ("prise", "price")),
        ({"types": {"x": {"label": "x", "members": ["competitors"]}}}, ("competitors", "competitor")),
    ],
)
def test_a_wrong_code_is_told_with_its_line_and_near_misses(folder, reasons, words):
    with pytest.raises(text.DataError) as told:
        opened(folder, **reasons)
    for language in text.LANGUAGES:
        said = text.say(told.value.key, language, **told.value.values)
        assert "dataset.yml" in said and all(word in said for word in words)
        assert str(told.value.values["line"]) in said and told.value.values["line"] > 1


def test_the_category_of_a_complaint_is_kept(folder):
    write_table(folder / "投诉.csv", ["客户", "日期", "分类"], [["C0001", "2024-01-05", "网络"]])
    columns = {"customer_id": "客户", "date": "日期", "kind": {"value": "complaint"}, "category": "分类"}
    tables = {**SPEC["tables"], "contacts": {"file": "投诉.csv", "columns": columns}}
    data = open_dataset(write_dataset(folder, tables=tables, reasons={"categories": {"网络": "access"}}))
    assert data.has("contacts.category") and data.con.value("SELECT min(category) FROM contacts") == "网络"


def test_a_new_data_set_knows_both_columns_by_their_usual_names(tmp_path, monkeypatch):
    monkeypatch.setenv("CHURN_HOME", str(tmp_path))
    files = tmp_path / "files"
    files.mkdir()
    write_table(files / "客户档案.csv", ["客户编号", "入网日期", "离网日期"], [["A1", "2020-01-01", "2024-01-01"]])
    complaint = ["A1", "2023-01-01", "投诉", "网络", "信号差"]
    write_table(files / "投诉记录.csv", ["客户编号", "日期", "接触类型", "投诉类别", "内容"], [complaint])
    form = ["A1", "2024-01-10", "价格偏高", "2023版"]
    write_table(files / "离网回访.csv", ["客户编号", "回访日期", "离网原因", "表单版本"], [form])
    spec = schema.load(propose("mine", files))
    assert spec.tables["contacts"][0].columns["category"].column == "投诉类别"
    assert spec.tables["exit_survey"][0].columns["version"].column == "表单版本"
