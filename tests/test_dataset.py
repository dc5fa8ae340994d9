"""A data set is opened by name, read once, kept as verified Parquet, and restricted without surprises."""

import random
import sqlite3
import subprocess
import sys
from datetime import date

import pytest
from datasets import CUSTOMERS, GOOD_ACTIVITY, GOOD_CUSTOMERS, SPEC, write_dataset, write_table

from churnlib import text
from churnlib.model import cache
from churnlib.model.dataset import check_text, open_dataset
from churnlib.model.scope import VARIABLE, Scope
from churnlib.model.segments import bin_codes, segment_table


@pytest.fixture
def folder(tmp_path):
    return write_dataset(tmp_path / "set")


def stored_bytes(data):
    return {p.relative_to(data.stored.path).as_posix(): p.read_bytes() for p in data.stored.path.rglob("*.parquet")}


def canonical(data):
    names = ("customers", "ids", "activity/")
    return {name: content for name, content in stored_bytes(data).items() if name.startswith(names)}


# --- what an analyst holds ---


def test_the_canonical_tables_hold_codes_and_integer_money(folder):
    data = open_dataset(folder)
    ids = data.con.frame("SELECT * FROM ids ORDER BY customer")
    assert ids["customer"].tolist() == [1, 2, 3] and ids["customer_id"].tolist() == ["C0001", "C0002", "C0003"]
    activity = data.con.frame("SELECT * FROM activity ORDER BY customer")
    assert activity["amount"].tolist() == [12050, 8000, 120050]
    assert activity["kind"].tolist() == ["bill"] * 3
    assert data.con.columns("activity") == ("customer", "date", "amount", "kind", "quantity", "item")
    assert data.has("activity") and data.has("activity.amount") and not data.has("activity.item")
    assert not data.has("contracts")


def test_the_first_thing_shown_says_what_it_is(folder):
    data = open_dataset(folder)
    shown = repr(data)
    assert "示例公司" in shown and "2025 年 12 月" in shown and data.version[:8] in shown
    assert "<p>" in data._repr_html_()


def test_what_every_count_is_about_comes_from_the_description(folder):
    about = open_dataset(folder, period="2025-Q3").about
    assert (about.as_of, about.observed_from, str(about.period)) == (date(2026, 1, 12), date(2023, 1, 1), "2025-Q3")
    assert about.definition == "contract_end" and about.definition_label.en == "contract end"
    assert about.definition_note.zh


def test_events_are_part_of_what_counts_are_about(folder):
    write_table(folder / "事件.csv", ["日期", "事件", "类型"], [["2025-05-01", "竞品降价", "竞品优惠"]])
    events = {"file": "事件.csv", "columns": {"date": "日期", "label_zh": "事件", "kind": "类型"}}
    (event,) = open_dataset(write_dataset(folder, tables={**SPEC["tables"], "events": events})).about.events
    assert (event.date, event.label.zh, event.label.en) == (date(2025, 5, 1), "竞品降价", "竞品降价")
    assert event.kind == "competitor"


def test_check_prints_files_rules_and_what_to_do(folder):
    write_dataset(folder, [*GOOD_CUSTOMERS, ["", *GOOD_CUSTOMERS[0][1:]]])
    shown = check_text(open_dataset(folder))
    assert "客户档案.csv" in shown and "缺少客户编号" in shown and "客户档案.csv:5" in shown


def test_without_a_declared_beginning_ends_were_recorded_since_the_first_one(tmp_path):
    spec = {key: value for key, value in SPEC.items() if key != "observed_from"}
    folder = write_dataset(tmp_path / "set")
    text_ = (folder / "dataset.yml").read_text("utf-8").replace("observed_from: '2023-01-01'\n", "")
    (folder / "dataset.yml").write_text(text_, "utf-8")
    assert "observed_from" not in text_ and spec
    assert open_dataset(folder).observed_from == date(2024, 2, 29)


# --- periods and names ---


@pytest.mark.parametrize("language", text.LANGUAGES)
@pytest.mark.parametrize(
    "wanted, problem, named",
    [
        ({"period": "2026-01"}, text.PeriodError, "2025-12"),
        ({"period": "2027"}, text.PeriodError, "2025"),
        ({"period": "2022-05"}, text.UsageError, "2023-01-01"),
        ({"period": "2025-13"}, text.UsageError, "2025-13"),
        ({"period": "last"}, text.UsageError, "last"),
        ({"definition": "contract_and"}, text.UsageError, "contract_end"),
        ({"where": {"regoin": "华南"}}, text.UsageError, "region"),
        ({"where": {"region": "华男"}}, text.UsageError, "华南"),
        ({"where": {"phone": "13800000001"}}, text.UsageError, "phone"),
    ],
)
def test_a_wrong_name_or_period_is_told_in_one_line(folder, language, wanted, problem, named):
    before = text.language()
    text.set_language(language)
    try:
        with pytest.raises(problem) as told:
            open_dataset(folder, **wanted)
        assert named in str(told.value) and "\n" not in str(told.value)
    finally:
        text.set_language(before)


def test_the_period_is_the_last_complete_month(folder):
    assert str(open_dataset(folder).period) == "2025-12"
    assert str(open_dataset(write_dataset(folder, as_of="2025-12-31")).period) == "2025-12"
    assert str(open_dataset(write_dataset(folder, as_of="2025-12-30")).period) == "2025-11"


def test_before_the_first_complete_month_there_is_no_period_yet(folder):
    with pytest.raises(text.PeriodError):
        open_dataset(write_dataset(folder, observed_from="2026-01-01"))


def test_a_snapshot_has_one_period(folder):
    write_dataset(folder, snapshot="true")
    assert str(open_dataset(folder).period) == "2026-01"
    with pytest.raises(text.UsageError):
        open_dataset(folder, period="2025-12")


def test_an_unknown_data_set_lists_those_that_there_are(folder, monkeypatch):
    (folder.parent / "data").mkdir()
    folder.rename(folder.parent / "data" / "telecom")
    monkeypatch.setenv("CHURN_HOME", str(folder.parent))
    assert open_dataset("telecom").name == "telecom"
    with pytest.raises(text.UsageError) as told:
        open_dataset("telcom")
    assert "telecom" in str(told.value)


@pytest.mark.parametrize(
    "name, content, named",
    [
        ("客户档案.csv", "客户号,入网时间,离网日期,离网类型,大区,年龄,手机\n1,2023-01-01,,,,,\n", "客户编号"),
        ("客户档案.csv", "客户编号,入网日期,离网日期,离网类型,大区,年龄,手机\n", "客户档案.csv"),
        ("账单.csv", "", "账单.csv"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(folder, name, content, named):
    (folder / name).write_text(content, "utf-8")
    with pytest.raises(text.DataError) as told:
        open_dataset(folder)
    assert named in str(told.value) and "\n" not in str(told.value)


def test_a_missing_file_is_told_with_those_that_there_are(folder):
    (folder / "账单.csv").rename(folder / "账单2.csv")
    with pytest.raises(text.DataError) as told:
        open_dataset(folder)
    assert "账单2.csv" in str(told.value)


# --- the cache ---


def test_the_order_of_rows_and_columns_in_files_changes_no_byte(tmp_path):
    rng = random.Random(1)
    customers = [[f"C{i:04d}", "2023-05-01", "", "", rng.choice(["华南", "华北"]), str(i % 80), ""] for i in range(300)]
    customers += [["C0007", "2023-06-01", "", "", "华北", "9", ""], ["C0007", "2023-06-01", "", "", "华南", "", ""]]
    activity = [[f"C{i % 310:04d}", f"2024-{i % 12 + 1:02d}-01", str(i % 7), "账单", str(i)] for i in range(900)]
    first = canonical(open_dataset(write_dataset(tmp_path / "a", customers, activity)))
    rng.shuffle(customers)
    rng.shuffle(activity)
    assert canonical(open_dataset(write_dataset(tmp_path / "b", customers, activity))) == first
    assert sum(name.startswith("activity/") for name in first) == 12


def test_an_unchanged_data_set_is_not_read_again(folder, monkeypatch):
    first = open_dataset(folder)
    monkeypatch.setattr("churnlib.model.canonical.write_canonical", lambda *_: pytest.fail("read again"))
    assert open_dataset(folder).stored.path == first.stored.path


@pytest.mark.parametrize("damage", ["flipped byte", "edited by hand", "file missing", "file added", "manifest broken"])
def test_a_damaged_cache_is_noticed_and_made_again(folder, damage):
    data = open_dataset(folder)
    before, path = stored_bytes(data), data.stored.path
    data.close()
    target = path / "customers.parquet"
    if damage == "flipped byte":
        content = bytearray(target.read_bytes())
        content[len(content) // 2] ^= 0xFF
        target.write_bytes(content)
    elif damage == "edited by hand":
        target.write_bytes((path / "ids.parquet").read_bytes())
    elif damage == "file missing":
        target.unlink()
    elif damage == "file added":
        (path / "activity" / "2030-01.parquet").write_bytes(target.read_bytes())
    else:
        (path / cache.MANIFEST).write_text("{")
    assert stored_bytes(open_dataset(folder)) == before


def test_new_data_make_a_new_folder_and_old_ones_go(folder):
    paths = []
    for i in range(4):
        data = open_dataset(write_dataset(folder, [*GOOD_CUSTOMERS, [f"N{i}", *GOOD_CUSTOMERS[1][1:]]]))
        paths.append(data.stored.path)
        data.close()
        del data
    assert len(set(paths)) == 4
    assert [p.exists() for p in paths] == [False, False, True, True]
    assert not list(folder.glob(".cache/.staging-*"))


def test_a_folder_that_somebody_still_reads_is_not_removed(folder):
    held = open_dataset(folder)
    for i in range(3):
        open_dataset(write_dataset(folder, [*GOOD_CUSTOMERS, [f"N{i}", *GOOD_CUSTOMERS[1][1:]]])).close()
    assert held.con.value("SELECT count(*) FROM customers") == 3


def test_two_processes_may_open_at_once(folder):
    script = (
        "import sys; from churnlib.model.dataset import open_dataset; print(open_dataset(sys.argv[1]).tables['ids'])"
    )
    command = [sys.executable, "-c", script, str(folder)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [run.communicate()[0].strip() for run in runs] == ["3", "3", "3"]
    assert len(list(folder.glob(".cache/*/manifest.json"))) == 1


def test_a_folder_that_cannot_be_written_is_told(folder, monkeypatch):
    (folder / ".cache").write_text("in the way")
    with pytest.raises(text.DataError) as told:
        open_dataset(folder)
    assert ".cache" in str(told.value)


# --- scripts ---

SCRIPT = """
from pathlib import Path
runs = Path("runs.txt"); runs.write_text((runs.read_text() if runs.exists() else "") + "x")
Path("客户档案.csv").write_text("客户编号,入网日期\\nC1,2023-05-01\\n", "utf-8")
"""


@pytest.fixture
def made(tmp_path):
    table = {"file": "客户档案.csv", "columns": {"customer_id": "客户编号", "start_date": "入网日期"}}
    folder = write_dataset(
        tmp_path / "set", None, None, tables={"customers": table}, make="simulate.py", segments={}, roles={}
    )
    (folder / "simulate.py").write_text(SCRIPT, "utf-8")
    return folder


def test_a_script_runs_once_and_again_when_it_changes_or_its_file_is_gone(made):
    for _ in range(2):
        assert open_dataset(made).tables["customers"] == 1
    assert (made / "runs.txt").read_text() == "x"
    (made / "simulate.py").write_text(SCRIPT.replace("C1", "C2"), "utf-8")
    assert open_dataset(made).con.value("SELECT customer_id FROM ids") == "C2"
    (made / "客户档案.csv").unlink()
    open_dataset(made)
    assert (made / "runs.txt").read_text() == "xxx"


def test_a_script_that_fails_is_told_and_tried_again(made):
    (made / "simulate.py").write_text(SCRIPT + "raise SystemExit('the server said no')", "utf-8")
    for _ in range(2):
        with pytest.raises(text.DataError) as told:
            open_dataset(made)
        assert "the server said no" in str(told.value)
    (made / "simulate.py").write_text(SCRIPT, "utf-8")
    assert open_dataset(made).tables["customers"] == 1


# --- databases ---


def test_a_query_is_asked_once_for_each_last_day_and_its_address_is_kept_nowhere(tmp_path, monkeypatch):
    base = tmp_path / "crm-secret.db"
    with sqlite3.connect(base) as crm:
        crm.execute("CREATE TABLE customers (id TEXT, joined TEXT)")
        crm.executemany("INSERT INTO customers VALUES (?, ?)", [("007", "2023-05-01"), ("008", "2023-06-01")])
    monkeypatch.setenv("CRM_URL", f"sqlite:///{base}")
    source = {
        "sql": {"url_env": "CRM_URL", "table": "customers"},
        "columns": {"customer_id": "id", "start_date": "joined"},
    }
    changes = {"tables": {"customers": source}, "segments": {}, "roles": {}}
    folder = write_dataset(tmp_path / "set", None, None, **changes)
    assert open_dataset(folder).con.frame("SELECT customer_id FROM ids ORDER BY 1")["customer_id"].tolist() == [
        "007",
        "008",
    ]
    with sqlite3.connect(base) as crm:
        crm.execute("DELETE FROM customers WHERE id = '008'")
    assert open_dataset(folder).tables["customers"] == 2
    assert open_dataset(folder, is_refreshed=True).tables["customers"] == 1
    monkeypatch.delenv("CRM_URL")
    assert open_dataset(folder).tables["customers"] == 1
    kept = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"crm-secret" in path.read_bytes()]
    with pytest.raises(text.DataError) as told:
        open_dataset(write_dataset(folder, None, None, **changes, as_of="2026-02-12"))
    assert "CRM_URL" in str(told.value)


# --- restrictions and segments ---


@pytest.mark.parametrize(
    "filters",
    [{"region": "华南"}, {"大区": "华南"}, {"region": "South China"}, {"Region": ["华南"]}, {"age": ["25-45", "45+"]}],
)
def test_a_data_set_can_be_restricted_by_canonical_or_chinese_name(folder, filters):
    data = open_dataset(folder)
    part = data.where(**filters)
    assert part.con.frame("SELECT customer FROM customers ORDER BY 1")["customer"].tolist() == [1, 2]
    assert part.con.frame("SELECT DISTINCT customer FROM activity ORDER BY 1")["customer"].tolist() == [1, 2]
    assert data.con.value("SELECT count(*) FROM customers") == 3
    assert part.about.filters and not data.about.filters
    assert str(part.about.filters[0][1]) in repr(part)


def test_restrictions_add_up(folder):
    part = open_dataset(folder).where(region="华南").where(age="45+")
    assert part.con.frame("SELECT customer FROM customers")["customer"].tolist() == [2]
    assert len(part.about.filters) == 2


def test_a_restriction_and_a_report_of_the_same_segment_hold_together(folder, tmp_path, monkeypatch):
    Scope({"region": ("华南",)}).write(tmp_path / "scope.json")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "scope.json"))
    parts = {region: open_dataset(folder, where={"region": region}) for region in ("华南", "华北")}
    counted = {region: part.con.value("SELECT count(*) FROM ids") for region, part in parts.items()}
    assert counted == {"华南": 2, "华北": 0}


def levels(data, name):
    """Give the segment and its stretches: one row per customer and stretch."""
    table, segment = segment_table(data, name)
    return segment, data.con.frame(f'SELECT * FROM "{table}" ORDER BY customer, from_date')  # noqa: S608


def level_on(rows, customer, day):
    day = date.fromisoformat(day)
    mine = rows[rows["customer"] == customer]
    (level,) = [r.level for r in mine.itertuples() if r.from_date.date() <= day <= r.to_date.date()]
    return level


def test_segments_cover_every_customer_and_missing_values_are_a_level(folder):
    data = open_dataset(folder)
    segment, rows = levels(data, "age")
    assert segment.levels == ("25-45", "45+", "unknown")
    assert [label.zh for label in segment.labels] == ["25–44", "45 及以上", "未知"]
    assert rows["customer"].tolist() == [1, 2, 3]
    assert bin_codes([0, 2.5]) == ["<0", "0-2.5", "2.5+"]
    with pytest.raises(text.UsageError):
        segment_table(data, "agee")


def test_an_assignment_holds_from_its_day_until_the_next_one(folder):
    rows = [
        ["C0001", "张三", "2021-04-01", "2022-12-31"],
        ["C0001", "李四", "2022-06-01", ""],
        ["C0002", "张三", "2022-05-01", "2023-04-30"],
    ]
    write_table(folder / "客户经理.csv", ["客户", "经理", "起", "止"], rows)
    columns = {"customer_id": "客户", "value": "经理", "from_date": "起", "to_date": "止"}
    source = {"file": "客户经理.csv", "columns": {**columns, "attribute": {"value": "manager"}}}
    tables = {**SPEC["tables"], "assignments": source}
    data = open_dataset(write_dataset(folder, tables=tables, segments={"manager": {"assignment": "manager"}}))
    _, held = levels(data, "manager")
    days = {"2021-03-31": "unknown", "2022-05-31": "张三", "2022-06-01": "李四", "2026-01-12": "李四"}
    assert {day: level_on(held, 1, day) for day in days} == days
    assert level_on(held, 2, "2023-05-01") == "unknown" and level_on(held, 3, "2023-05-01") == "unknown"
    assert data.where(manager="李四").con.value("SELECT count(*) FROM customers") == 1


def test_tenure_is_in_completed_months(folder):
    segment, held = levels(open_dataset(write_dataset(folder, segments={"t": {"tenure_months": [0, 6, 12]}})), "t")
    assert segment.levels == ("0-6", "6-12", "12+")
    # joined on 31 March: six months are completed on 30 September
    assert [level_on(held, 1, day) for day in ("2021-09-29", "2021-09-30")] == ["0-6", "6-12"]


# --- exit surveys ---


def test_reasons_come_from_cells_with_several_and_from_ticked_columns(folder):
    header = ["客户", "日期", "原因", "回访", "价格", "服务"]
    rows = [
        ["C0001", "2024-03-01", "价格偏高；搬迁/外地;手续费高", "已回访", "", "√"],
        ["C0002", "2024-03-01", "", "空号", "", ""],
        ["C0003", "2024-03-01", "说不清楚", "", "☑", ""],
    ]
    write_table(folder / "离网回访.csv", header, rows)
    columns = {"customer_id": "客户", "date": "日期", "reasons": "原因", "follow_up": "回访"}
    tables = {**SPEC["tables"], "exit_survey": {"file": "离网回访.csv", "columns": columns}}
    reasons = {
        "values": {"搬迁/外地": "natural.moved"},
        "columns": {"价格": "price.too_high", "服务": "service.attitude"},
    }
    data = open_dataset(write_dataset(folder, tables=tables, reasons=reasons))
    found = data.con.frame("SELECT customer, reason FROM exit_reasons ORDER BY 1, 2").values.tolist()
    assert found == [
        [1, "natural.moved"],
        [1, "price.fees"],
        [1, "price.too_high"],
        [1, "service.attitude"],
        [3, "price.too_high"],
        [3, "unknown.other"],
    ]
    follow_up = data.con.frame("SELECT follow_up FROM exit_survey ORDER BY survey")["follow_up"].tolist()
    assert follow_up == ["answered", "empty_number", "answered"]
    assert "说不清楚" in data.rules.set_index("rule").loc["unknown_reason", "examples"]


# --- names and values from files are never code ---

EVIL = ['"; DROP TABLE ids; --', "$tbl", "{typed}", "%s", "'", "<script>alert(1)</script>", "a;b"]


@pytest.mark.parametrize("evil", EVIL)
def test_headers_and_values_are_never_sql_or_html(tmp_path, evil):
    quoted = '"' + evil.replace('"', '""') + '"'
    folder = write_dataset(tmp_path / "set", [[*GOOD_CUSTOMERS[0][:4], quoted, "1", quoted], *GOOD_CUSTOMERS[1:]])
    path = folder / "客户档案.csv"
    path.write_text(path.read_text("utf-8").replace("大区", quoted), "utf-8")
    description = (folder / "dataset.yml").read_text("utf-8")
    changed = description.replace("region: 大区", "region: '" + evil.replace("'", "''") + "'")
    (folder / "dataset.yml").write_text(changed, "utf-8")
    data = open_dataset(folder)
    assert data.con.value("SELECT region FROM customers WHERE customer = 1") == evil
    assert data.where(region=evil).con.value("SELECT count(*) FROM customers") == 1
    assert "<script>" not in data.where(region=evil)._repr_html_()
    assert len(CUSTOMERS) and len(GOOD_ACTIVITY)


def test_a_file_may_have_a_name_with_quotes(tmp_path):
    folder = write_dataset(tmp_path / "o'clock")
    (folder / "账单.csv").rename(folder / "账'单.csv")
    tables = {**SPEC["tables"], "activity": {**SPEC["tables"]["activity"], "file": "账'单.csv"}}
    data = open_dataset(write_dataset(folder, activity=None, tables=tables))
    assert data.tables["activity"] == 3


def test_a_last_day_long_after_the_last_record_is_doubted(tmp_path):
    write_table(
        tmp_path / "a.csv", ["id", "start", "end"], [[f"{i}", "2023-01-05", "2023-10-31" * (i < 9)] for i in range(99)]
    )
    columns = "columns: {customer_id: id, start_date: start, end_date: end}"
    for as_of, is_doubted in (("2023-12-31", False), ("2024-12-31", True)):
        description = f"title: x\nas_of: {as_of}\ntables: {{customers: {{file: a.csv, {columns}}}}}\n"
        (tmp_path / "dataset.yml").write_text(description, "utf-8")
        assert ("late_as_of" in set(open_dataset(tmp_path).rules["rule"])) == is_doubted


def test_a_data_set_without_a_usable_customer_says_so(tmp_path):
    write_table(tmp_path / "a.csv", ["id", "start"], [["1", ""], ["2", "2030-01-05"]])
    columns = "columns: {customer_id: id, start_date: start}"
    description = (
        f"title: x\nas_of: 2024-01-31\nobserved_from: 2023-01-01\ntables: {{customers: {{file: a.csv, {columns}}}}}\n"
    )
    (tmp_path / "dataset.yml").write_text(description, "utf-8")
    assert open_dataset(tmp_path, must_be_complete=False).tables["customers"] == 0
    with pytest.raises(text.DataError, match="make check"):
        open_dataset(tmp_path)
