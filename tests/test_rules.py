"""Every row is used, or set aside by a named rule; what a rule does can be changed; nothing is lost."""

from datetime import date

import pytest
from datasets import ACTIVITY, CUSTOMERS, GOOD_ACTIVITY, GOOD_CUSTOMERS, SPEC, write_dataset, write_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churnlib import text
from churnlib.model.dataset import check_text, open_dataset
from churnlib.quality.quality import rules_applied
from churnlib.reporting.prepare import write_set_aside

NEW = ["C0009", "2024-01-01", "", "", "华东", "40", "13800000009"]


def changed(row, **cells):
    """A customer row with some cells written otherwise."""
    return [cells.get(name, cell) for name, cell in zip(CUSTOMERS, row, strict=True)]


def rule_counts(data):
    return {(row.table, row.rule): row.n_rows for row in data.rules.itertuples()}


def assert_reconciled(data):
    files = data.files
    assert (files["n_rows_in"] == files["n_rows_used"] + files["n_rows_set_aside"]).all()
    assert len(data.set_aside) == files["n_rows_set_aside"].sum()
    aside = data.rules[data.rules["severity"] == "set_aside"]
    assert aside["n_rows"].sum() == len(data.set_aside)


@pytest.mark.parametrize(
    "rule, row",
    [
        ("missing_id", changed(NEW, 客户编号="")),
        ("missing_id", changed(NEW, 客户编号="无")),
        ("missing_start", changed(NEW, 入网日期="")),
        ("missing_start", changed(NEW, 入网日期="N/A")),
        ("bad_date", changed(NEW, 入网日期="2024-02-30")),
        ("bad_date", changed(NEW, 离网日期="2025-02-29")),
        ("bad_date", changed(NEW, 入网日期="很久以前")),
        ("start_after_as_of", changed(NEW, 入网日期="2026-01-13")),
        ("end_before_start", changed(NEW, 离网日期="2023-12-31", 离网类型="主动离网")),
        ("outcome_without_end", changed(NEW, 离网类型="主动离网")),
        ("duplicate_customer", GOOD_CUSTOMERS[1]),
        ("conflicting_customer", changed(GOOD_CUSTOMERS[1], 大区="华北", 入网日期="2022-04-01")),
        ("wrong_field_count", NEW[:4]),
        ("wrong_field_count", [*NEW, "多余"]),
    ],
)
@pytest.mark.parametrize("language", text.LANGUAGES)
def test_a_customer_row_that_cannot_be_used_is_set_aside_by_name(tmp_path, rule, row, language):
    data = open_dataset(write_dataset(tmp_path / "set", [*GOOD_CUSTOMERS, row]))
    assert rule_counts(data) == {("customers", rule): 1}
    line = data.set_aside.iloc[0]
    assert (line.file, line.line, line.rule) == ("客户档案.csv", 5, rule)
    assert data.tables["customers"] == 3
    assert text.say(f"rules.{rule}", language)
    assert_reconciled(data)


@pytest.mark.parametrize(
    "rule, row",
    [
        ("missing_id", ["", "2023-05-01", "10", "账单", "9"]),
        ("missing_date", ["C0001", "—", "10", "账单", "9"]),
        ("bad_date", ["C0001", "2023-13-01", "10", "账单", "9"]),
        ("bad_date", ["C0001", "03/04/2023", "10", "账单", "9"]),
        ("bad_amount", ["C0001", "2023-05-01", "十块", "账单", "9"]),
        ("future_date", ["C0001", "2026-01-13", "10", "账单", "9"]),
        ("unknown_customer", ["C0777", "2023-05-01", "10", "账单", "9"]),
        ("duplicate_activity", GOOD_ACTIVITY[0]),
        ("wrong_field_count", ["C0001", "2023-05-01"]),
    ],
)
def test_an_activity_row_that_cannot_be_used_is_set_aside_by_name(tmp_path, rule, row):
    data = open_dataset(write_dataset(tmp_path / "set", activity=[*GOOD_ACTIVITY, row]))
    assert rule_counts(data) == {("activity", rule): 1}
    assert data.con.value("SELECT count(*) FROM activity") == 3
    assert_reconciled(data)


def test_a_good_data_set_breaks_no_rule(tmp_path):
    data = open_dataset(write_dataset(tmp_path / "set"))
    assert data.rules.empty and data.set_aside.empty
    assert_reconciled(data)


def test_rows_that_differ_in_a_column_that_is_not_read_are_no_duplicates(tmp_path):
    again = [*GOOD_ACTIVITY[0][:4], "another receipt"]
    data = open_dataset(write_dataset(tmp_path / "set", activity=[*GOOD_ACTIVITY, again]))
    assert data.rules.empty and data.tables["activity"] == 4


def test_the_activity_of_a_customer_who_was_set_aside_is_told_from_that_of_a_stranger(tmp_path):
    activity = [*GOOD_ACTIVITY, ["C0009", "2024-05-01", "10", "账单", "8"], ["C0777", "2024-05-01", "1", "账单", "9"]]
    customers = [*GOOD_CUSTOMERS, changed(NEW, 入网日期="2024-02-30")]
    data = open_dataset(write_dataset(tmp_path / "set", customers, activity))
    assert rule_counts(data) == {
        ("customers", "bad_date"): 1,
        ("activity", "customer_set_aside"): 1,
        ("activity", "unknown_customer"): 1,
    }
    assert_reconciled(data)


def test_of_conflicting_rows_the_latest_start_is_kept_wherever_it_stands(tmp_path):
    later = changed(GOOD_CUSTOMERS[1], 入网日期="2023-07-01", 大区="华北")
    for place in (0, 3):
        rows = [*GOOD_CUSTOMERS[:place], later, *GOOD_CUSTOMERS[place:]]
        data = open_dataset(write_dataset(tmp_path / str(place), rows))
        kept = data.con.frame("SELECT c.* FROM customers c JOIN ids i USING (customer) WHERE customer_id = 'C0002'")
        assert kept["region"].tolist() == ["华北"]
        assert rule_counts(data)[("customers", "conflicting_customer")] == 1


def test_an_end_after_the_last_day_covered_has_not_happened_yet(tmp_path):
    rows = [*GOOD_CUSTOMERS, changed(NEW, 离网日期="2026-02-01"), changed(NEW, 客户编号="C0010", 离网日期="9999-12-31")]
    data = open_dataset(write_dataset(tmp_path / "set", rows))
    ends = data.con.frame("SELECT end_date, outcome FROM customers ORDER BY customer DESC LIMIT 2")
    assert ends["end_date"].isna().all() and ends["outcome"].isna().all()
    assert rule_counts(data)[("customers", "end_after_as_of")] == 1


def test_an_end_without_an_outcome_is_unknown_and_a_leap_day_is_a_day(tmp_path):
    data = open_dataset(
        write_dataset(tmp_path / "set", [changed(NEW, 入网日期="2024-02-29", 离网日期="2024-02-29")], None)
    )
    only = data.con.frame("SELECT * FROM customers").iloc[0]
    assert (only.start_date.date(), only.end_date.date(), only.outcome) == (
        date(2024, 2, 29),
        date(2024, 2, 29),
        "unknown",
    )


def test_words_without_a_mapping_are_kept_and_flagged(tmp_path):
    rows = [
        *GOOD_CUSTOMERS,
        changed(NEW, 离网日期="2024-05-01", 离网类型="说不清"),
        changed(NEW, 客户编号="C10", 年龄="四十"),
    ]
    data = open_dataset(write_dataset(tmp_path / "set", rows))
    assert rule_counts(data) == {("customers", "unknown_category"): 1, ("customers", "bad_attribute"): 1}
    assert data.tables["customers"] == 5
    assert data.con.value("SELECT outcome FROM customers WHERE end_date = DATE '2024-05-01'") == "unknown"


def test_activity_before_the_start_or_after_the_end_is_kept_and_flagged(tmp_path):
    late = ["C0001", "2024-03-01", "10", "账单", "8"]
    data = open_dataset(write_dataset(tmp_path / "set", activity=[*GOOD_ACTIVITY, late]))
    assert rule_counts(data) == {("activity", "activity_outside_life"): 1}
    assert data.tables["activity"] == 4


# --- dataset.yml can change what a rule does ---


def test_an_end_before_the_start_may_be_kept_as_leaving_on_the_first_day(tmp_path):
    rows = [changed(NEW, 离网日期="2023-12-31", 离网类型="主动离网")]
    data = open_dataset(write_dataset(tmp_path / "set", rows, None, rules={"end_before_start": "keep"}))
    assert data.con.value("SELECT end_date FROM customers").isoformat() == "2024-01-01"
    assert rule_counts(data) == {("customers", "end_before_start"): 1}
    assert data.rules["severity"].tolist() == ["keep"]


def test_a_customer_without_a_start_may_start_with_the_first_activity(tmp_path):
    rows = [*GOOD_CUSTOMERS[:2], changed(GOOD_CUSTOMERS[2], 入网日期=""), changed(NEW, 入网日期="")]
    data = open_dataset(write_dataset(tmp_path / "set", rows, rules={"missing_start": "keep"}))
    assert data.con.value("SELECT max(start_date) FROM customers") == date(2024, 6, 1)
    assert data.tables["customers"] == 3  # nobody has ever seen C0009
    assert_reconciled(data)


def test_strangers_may_become_customers_from_their_first_activity(tmp_path):
    activity = [*GOOD_ACTIVITY, ["C0777", "2024-05-02", "10", "账单", "8"], ["C0777", "2024-05-01", "10", "账单", "9"]]
    data = open_dataset(write_dataset(tmp_path / "set", activity=activity, rules={"unknown_customer": "keep"}))
    assert data.tables["customers"] == 4 and data.tables["activity"] == 5
    assert data.con.value("SELECT max(customer) FROM ids WHERE customer_id = 'C0777'") == 4
    assert_reconciled(data)


def test_without_a_customer_table_customers_start_with_their_first_activity(tmp_path):
    data = open_dataset(write_dataset(tmp_path / "set", None, definitions={}, segments={}, roles={}))
    starts = data.con.frame("SELECT start_date FROM customers ORDER BY customer")["start_date"]
    assert [start.date() for start in starts] == [date(2023, 2, 1), date(2023, 2, 1), date(2024, 6, 1)]
    assert data.definition == "inactive" and not data.has("contracts")


def test_duplicates_may_be_kept(tmp_path):
    twice = [*GOOD_ACTIVITY, GOOD_ACTIVITY[0]]
    data = open_dataset(write_dataset(tmp_path / "set", activity=twice, rules={"duplicate_activity": "keep"}))
    assert data.tables["activity"] == 4


@pytest.mark.parametrize("language", text.LANGUAGES)
def test_a_rule_that_stops_says_what_where_and_what_to_do(tmp_path, language):
    rows = [*GOOD_CUSTOMERS, changed(NEW, 离网日期="2023-12-31")]
    with pytest.raises(text.DataError) as problem:
        open_dataset(write_dataset(tmp_path / "set", rows, rules={"end_before_start": "stop"}))
    before = text.language()
    text.set_language(language)
    message = str(problem.value)
    text.set_language(before)
    assert "客户档案.csv:5" in message and "2024-01-01" in message and "rules.end_before_start" in message


# --- nothing is lost, whatever the rows ---

_cell = st.sampled_from(["", "无", "2024-01-01", "2024年3月5日", "2023-02-30", "2027-01-01", "9999-12-31", "主动", "x"])
_id = st.sampled_from(["C0001", "C0002", "C0003", "０００４", "", "—", "长" * 30, "'; DROP TABLE ids; --"])
_amount = st.sampled_from(["1", "￥2.50", "(3)", "一", "", "1e5", "1.2万", '"'])
_customer = st.lists(st.tuples(_id, _cell, _cell, _cell, _cell, _amount, _cell).map(list), max_size=8)
_activity = st.lists(st.tuples(_id, _cell, _amount, _cell, _cell).map(list), max_size=8)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(customers=_customer, activity=_activity)
def test_rows_in_are_rows_used_plus_rows_set_aside_whatever_they_hold(tmp_path_factory, customers, activity):
    folder = tmp_path_factory.mktemp("dirty")
    good = [NEW[:1] + NEW[1:]]
    data = open_dataset(write_dataset(folder, [*good, *customers], [*GOOD_ACTIVITY, *activity]))
    assert_reconciled(data)
    assert data.con.value("SELECT count(*) FROM ids") == data.con.value("SELECT count(DISTINCT customer_id) FROM ids")
    assert data.con.value("SELECT count(*) FROM activity WHERE customer NOT IN (SELECT customer FROM customers)") == 0
    assert data.con.value("SELECT count(*) FROM customers WHERE end_date < start_date OR start_date IS NULL") == 0
    data.close()


def test_identifiers_in_examples_are_masked(tmp_path):
    rows = [*GOOD_CUSTOMERS, ["123456789012345678", *NEW[1:6], "13800000009"]]
    activity = [*GOOD_ACTIVITY, ["998877665544332211", "2024-05-01", "1", "账单", "9"]]
    data = open_dataset(write_dataset(tmp_path / "set", [*rows, rows[-1]], activity))
    shown = " ".join([*data.rules["examples"], *data.set_aside["value"]])
    assert "12**************78" in shown and "99**************11" in shown
    assert "345678" not in shown and "887766" not in shown and "13800000009" not in shown


@pytest.mark.parametrize(
    ("language", "why"), [("zh", "日期无法读懂：不是日期"), ("en", "date not understood: no date")]
)
def test_what_was_found_is_told_in_the_words_of_the_reader(tmp_path, language, why):
    text.set_language(language)
    folder = write_dataset(tmp_path / "set", [*GOOD_CUSTOMERS, changed(NEW, 入网日期="2024-02-30", 大区="=1+1")])
    head, _, rows = (folder / "客户档案.csv").read_text("utf-8-sig").partition("\n")
    (folder / "客户档案.csv").write_text(f"{head},备注,备注,\n" + rows.replace("\n", ",,,\n"), "utf-8")
    data = open_dataset(folder)
    shown = rules_applied(data).summary().to_csv()
    assert why in shown and why in check_text(data) and text.say("rules.duplicate_header") in shown
    assert text.say("rules.empty_header") in check_text(data) and "utf-8 [,]" in check_text(data)
    write_set_aside(data, tmp_path / "aside")
    written = (tmp_path / "aside" / "customers.csv").read_text("utf-8-sig")
    assert why in written and "客户档案.csv,5," in written and "2024-02-30,bad_date" in written


def test_two_tables_can_come_from_several_files_of_different_layout(tmp_path):
    folder = write_dataset(tmp_path / "set")
    write_table(
        folder / "投诉.csv", ["客户", "日期", "处理"], [["C0001", "2023-05-01", "是"], ["C0404", "2023-05-01", "否"]]
    )
    write_table(folder / "满意度.csv", ["号码", "时间", "得分"], [["C0002", "2023-05-02", "4.5"]])
    contacts = [
        {
            "file": "投诉.csv",
            "columns": {"customer_id": "客户", "date": "日期", "resolved": "处理", "kind": {"value": "complaint"}},
        },
        {
            "file": "满意度.csv",
            "columns": {"customer_id": "号码", "date": "时间", "score": "得分", "kind": {"value": "满意度"}},
        },
    ]
    data = open_dataset(write_dataset(folder, tables={**SPEC["tables"], "contacts": contacts}))
    rows = data.con.frame("SELECT kind, score, resolved FROM contacts ORDER BY date")
    assert rows["kind"].tolist() == ["complaint", "satisfaction"]
    assert rows["score"].tolist()[1] == 4.5 and bool(rows["resolved"].tolist()[0])
    assert ACTIVITY and len(data.files) == 4
    assert_reconciled(data)
