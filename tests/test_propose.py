"""A folder of unknown files becomes a description that can be opened, with every guess marked."""

import openpyxl
import pytest
from datasets import write_table
from dirty_files import dirty_files
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churnlib import text
from churnlib.model import schema
from churnlib.model.dataset import open_dataset
from churnlib.model.propose import propose, what_to_check

CUSTOMERS = [
    [f"00{i}", f"2023-0{i % 9 + 1}-15", "", "", "华南" if i % 2 else "华北", str(20 + i), "139"] for i in range(1, 30)
]
CUSTOMERS[3][2:4] = ["2024-05-31", "欠费离网"]
CUSTOMERS[4][2:4] = ["2023-08-31", "主动离网"]
ACTIVITY = [[f"00{i % 29 + 1}", f"2024-{i % 12 + 1:02d}-03", f"￥{i}.50", "账单"] for i in range(90)]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CHURN_HOME", str(tmp_path))
    (tmp_path / "from").mkdir()
    return tmp_path


def chinese_files(folder):
    write_table(
        folder / "客户档案.csv", ["客户编号", "入网日期", "离网日期", "离网类型", "大区", "年龄", "联系电话"], CUSTOMERS
    )
    header = ["用户编号", "账单日期", "金额（元）", "类型"]
    write_table(folder / "账单2024上.csv", header, ACTIVITY[:40])
    write_table(folder / "账单2024下.csv", header, ACTIVITY[40:])
    write_table(folder / "投诉.csv", ["客户编号", "投诉日期", "投诉内容"], [["001", "2024-02-03", "信号差"]])
    book = openpyxl.Workbook()
    book.active.title = "回访"
    for row in (
        ["客户编号", "回访日期", "流失原因"],
        ["004", "2024-06-02", "资费太贵、搬迁"],
        ["005", "2024-06-03", "说不清"],
    ):
        book.active.append(row)
    book.create_sheet("说明").append(["只是说明"])
    book["说明"].append(["请勿修改"])
    book.save(folder / "回访.xlsx")


@pytest.mark.parametrize("language", text.LANGUAGES)
def test_chinese_files_become_a_data_set_that_opens(home, language):
    chinese_files(home / "from")
    before = text.language()
    text.set_language(language)
    try:
        path = propose("mine", home / "from")
        told = what_to_check(path)
    finally:
        text.set_language(before)
    spec = schema.load(path)
    assert path == home / "data" / "mine" / "dataset.yml"
    assert list(spec.tables) == ["customers", "activity", "contacts", "exit_survey"]
    customers, activity = spec.tables["customers"][0], spec.tables["activity"][0]
    assert {name: column.column for name, column in customers.columns.items()} == {
        "customer_id": "客户编号",
        "start_date": "入网日期",
        "end_date": "离网日期",
        "outcome": "离网类型",
        "region": "大区",
        "age": "年龄",
        "phone": "联系电话",
    }
    assert customers.columns["outcome"].values == {"主动离网": "voluntary", "欠费离网": "involuntary"}
    assert customers.columns["age"].type == "number" and customers.columns["phone"].type is None
    assert activity.files == ("账单2024上.csv", "账单2024下.csv")
    assert activity.columns["amount"].column == "金额（元）"
    assert spec.tables["contacts"][0].columns["kind"].value == "complaint"
    assert spec.reasons.values["资费太贵"] == "price.too_high" and spec.reasons.values["说不清"] == "unknown.other"
    assert (spec.as_of.isoformat(), spec.observed_from.isoformat()) == ("2024-12-03", "2023-08-31")
    assert spec.definition == "contract_end" and set(spec.segments) == {"region", "age", "tenure"}
    assert spec.roles.personal == ("phone",)
    assert "dataset.yml:" in told and "make check DATASET=mine" in told and "说不清" in told
    data = open_dataset("mine")
    assert data.tables["customers"] == 29 and data.tables["activity"] == 90
    assert data.con.value("SELECT count(*) FROM exit_reasons") == 3


def test_english_activity_alone_is_enough(home):
    rows = [[f"u{i % 9}", f"2024-0{i % 9 + 1}-03", str(i), "1"] for i in range(40)]
    write_table(home / "from" / "orders.csv", ["CustomerID", "Order Date", "Total Amount", "Qty"], rows)
    spec = schema.load(propose("shop", home / "from"))
    columns = {name: column.column for name, column in spec.tables["activity"][0].columns.items()}
    assert columns == {"customer_id": "CustomerID", "date": "Order Date", "amount": "Total Amount", "quantity": "Qty"}
    assert spec.definition == "inactive"
    assert open_dataset("shop").tables["customers"] == 9


def test_what_was_not_used_is_said(home):
    chinese_files(home / "from")
    (home / "from" / "broken.xlsx").write_bytes(b"PK\x03\x04 no workbook")
    write_table(home / "from" / "菜单.csv", ["菜名", "辣度"], [["鱼香肉丝", "2"]])
    content = propose("mine", home / "from").read_text("utf-8")
    assert "broken.xlsx" in content and "菜单.csv" in content and "[说明]" in content
    assert not (home / "data" / "mine" / "菜单.csv").exists()


def test_single_stray_dates_do_not_make_the_last_day(home):
    rows = [[f"u{i % 9}", f"2024-0{i % 9 + 1}-03", "1"] for i in range(6000)] + [["u1", "2025-11-11", "1"]]
    write_table(home / "from" / "orders.csv", ["customer_id", "date", "amount"], rows)
    assert schema.load(propose("shop", home / "from")).as_of.isoformat() == "2024-09-03"


@pytest.mark.parametrize(
    "name, kind",
    [("../evil", text.UsageError), ("", text.UsageError), (".cache", text.UsageError), ("a b", text.UsageError)],
)
def test_a_name_is_only_a_name(home, name, kind):
    chinese_files(home / "from")
    with pytest.raises(kind):
        propose(name, home / "from")


def test_nothing_is_overwritten_and_nothing_is_made_of_nothing(home):
    with pytest.raises(text.DataError):
        propose("mine", home / "from")
    with pytest.raises(text.UsageError):
        propose("mine", home / "nowhere")
    write_table(home / "from" / "菜单.csv", ["菜名", "辣度"], [["鱼香肉丝", "2"]])
    with pytest.raises(text.DataError) as told:
        propose("mine", home / "from")
    assert "菜单.csv" in str(told.value) and not (home / "data").exists()
    chinese_files(home / "from")
    propose("mine", home / "from")
    with pytest.raises(text.UsageError):
        propose("mine", home / "from")


_header = st.text(
    st.characters(codec="utf-8", exclude_characters='\n\r",;|\t\0', exclude_categories=["Cc", "Cs"]), max_size=12
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(headers=st.lists(_header, max_size=4, unique=True), values=st.lists(_header, min_size=4, max_size=4))
def test_whatever_headers_and_values_say_the_proposal_can_be_read(tmp_path_factory, monkeypatch, headers, values):
    home = tmp_path_factory.mktemp("home")
    (home / "from").mkdir()
    monkeypatch.setenv("CHURN_HOME", str(home))
    headers = [h for h in headers if h.strip()]
    rows = [[f"c{i}", f"2023-01-{i + 1:02d}", *[values[i % 4]] * len(headers)] for i in range(8)]
    write_table(home / "from" / "customers.csv", ["customer_id", "start_date", *headers], rows)
    try:
        path = propose("any", home / "from")
    except text.DataError:
        return  # the reader refused the file, in one line
    assert schema.load(path).tables["customers"]


def test_a_public_list_of_invoices_becomes_activity_with_amounts_and_american_dates(home):
    header = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]
    rows = [
        [
            f"{536365 + i}",
            "85123A",
            "RED MUG",
            f"{i % 5 - 1}",
            f"{i % 12 + 1}/{i % 28 + 1}/2011 8:26",
            "2.55",
            f"{i % 9}.0",
        ]
        for i in range(300)
    ]
    write_table(home / "from" / "data.csv", header, rows)
    data = open_dataset(propose("retail", home / "from").parent)
    sold = data.con.frame("SELECT amount, quantity, month(date) AS month FROM activity ORDER BY date, amount")
    assert (sold["amount"] == 255 * sold["quantity"]).all()  # fen: price times quantity, returns negative
    assert sorted(set(sold["month"])) == list(range(1, 13))  # 12/28/2011 settles what 3/4/2011 means
    assert data.set_aside.empty


def test_times_names_a_numeric_column_of_the_same_file(home):
    folder = home / "data" / "bad"
    folder.mkdir(parents=True)
    columns = "{customer_id: id, date: day, amount: {column: price, times: item}, item: what}"
    (folder / "dataset.yml").write_text(
        f"title: x\nas_of: 2024-01-31\ntables:\n  activity: {{file: a.csv, columns: {columns}}}\n", "utf-8"
    )
    with pytest.raises(text.DataError, match="times"):
        schema.load(folder / "dataset.yml")


@pytest.mark.parametrize("case", dirty_files()[::7], ids=lambda case: case.name)
def test_a_dirty_file_gives_a_description_or_one_clear_line(home, case):
    for name, data in case.files.items():
        (home / "from" / name).parent.mkdir(exist_ok=True)
        (home / "from" / name).write_bytes(data)
    try:
        path = propose("dirty", home / "from")
    except text.ChurnError as problem:
        assert "\n" not in str(problem)
    else:  # the little table has no end dates: it is said that nothing tells who has left
        assert "end_date" in what_to_check(path) and not schema.load(path).exclusions


def test_a_table_without_rows_stops_no_proposal(home):
    chinese_files(home / "from")
    (home / "from" / "空.csv").write_text("客户编号,入网日期\n", "utf-8")
    assert "activity" in schema.load(propose("mine", home / "from")).tables


def test_a_list_of_attributes_beside_activity_is_the_customers(home):
    write_table(home / "from" / "members.csv", ["msno", "city"], [[f"k{i}", "ab"[i % 2]] for i in range(40)])
    paid = [[f"k{i % 40}", f"2016{i % 12 + 1:02d}03", "149"] for i in range(400)]
    write_table(home / "from" / "paid.csv", ["msno", "transaction_date", "actual_amount_paid"], paid)
    spec = schema.load(propose("kk", home / "from"))
    assert set(spec.tables) == {"customers", "activity"}
    assert spec.segments["city"].column == "city"


def proposed(home, **files):
    """The description of a folder with these files: name -> header and rows."""
    for name, (header, rows) in files.items():
        write_table(home / "from" / f"{name}.csv", header, rows)
    return schema.load(propose("mine", home / "from"))


def test_lists_of_the_same_customers_complete_each_other(home):
    ids = [f"C{i:02d}" for i in range(40)]
    spec = proposed(
        home,
        demographics=(["Customer ID", "Gender", "Count"], [[i, "MF"[n % 2], "1"] for n, i in enumerate(ids)]),
        places=(["ID", "Population"], [[str(n), "9"] for n in range(99)]),
        归属=(
            ["客户编号", "属性", "内容", "起始日期", "截止日期"],
            [[i, "经理", "某", "2024-01-05", ""] for i in [*ids[1:], "C01"]],
        ),
        services=(["Customer ID", "Count", "Tenure in Months"], [[i, "1", str(n + 1)] for n, i in enumerate(ids)]),
        status=(["Customer ID", "Churn Label", "Churn Reason"], [[i, "YN"[n > 3], "-"] for n, i in enumerate(ids[1:])]),
    )
    assert [source.file for source in spec.tables["customers"]] == ["demographics.csv", "services.csv", "status.csv"]
    assert spec.tables["assignments"][0].columns["to_date"].column == "截止日期"  # some customers twice, so no list
    assert set(spec.attributes) == {"gender", "count"}  # each once, and no reason of those who left
    data = open_dataset("mine")
    assert data.tables["customers"] == 39 and data.about.snapshot  # nothing tells whether the first one left
    aside = data.set_aside[data.set_aside["table"] == "customers"]
    assert aside["file"].tolist() == ["demographics.csv", "services.csv"]
    rows = data.con.frame("SELECT count(*) AS n, count(gender) AS told, count(end_date) AS lost FROM customers")
    assert rows.iloc[0].tolist() == [39, 39, 4]


def test_lists_with_a_column_in_common_are_read_one_after_another(home):
    folder = home / "data" / "mine"
    folder.mkdir(parents=True)
    write_table(folder / "a.csv", ["id", "start", "plan"], [["1", "2024-01-01", "A"], ["2", "2024-01-01", "B"]])
    write_table(folder / "b.csv", ["id", "start"], [["2", "2024-02-01"], ["3", "2024-02-01"]])
    columns = "columns: {customer_id: id, start_date: start"
    sources = f"[{{file: a.csv, {columns}, plan: plan}}}}, {{file: b.csv, {columns}}}}}]"
    (folder / "dataset.yml").write_text(f"title: x\nas_of: 2024-03-31\ntables: {{customers: {sources}}}\n", "utf-8")
    data = open_dataset("mine")
    assert data.tables["customers"] == 3 and data.set_aside["rule"].tolist() == ["conflicting_customer"]


def test_a_sheet_a_year_is_one_table(home):
    book = openpyxl.Workbook()
    for year in (2010, 2011):
        sheet = book.create_sheet(f"Year {year}")
        sheet.append(["Invoice", "Customer ID", "InvoiceDate", "Price", "Quantity"])
        for i in range(40):
            sheet.append([i, float(i % 8), f"{year}-0{i % 9 + 1}-0{i % 7 + 1} 08:26:00", 2.5, 2])
    del book["Sheet"]
    book.save(home / "from" / "retail.xlsx")
    spec = proposed(home)
    assert [source.sheet for source in spec.tables["activity"]] == ["Year 2010", "Year 2011"]
    assert (spec.as_of.year, open_dataset("mine").tables["activity"]) == (2011, 80)
    assert str(spec.definitions["inactive"].limit) == "6 months"  # a quarter of the record of both years


def test_the_last_day_is_found_among_more_moments_than_are_looked_at(home):
    rows = [[f"c{i % 30}", f"2024-0{i // 1000 + 1}-1{i % 9} 0{i % 8}:{i % 60:02d}:{i % 47:02d}"] for i in range(6000)]
    spec = proposed(home, log=(["id", "date"], [*rows, ["c1", "2024-06-30 09:00:00"], ["c2", "2024-06-30 23:59:59"]]))
    assert str(spec.as_of) == "2024-06-30"


def test_a_list_a_month_is_activity_to_the_end_of_its_last_month(home):
    for month in (1, 2, 3):
        rows = [[f"2024{month:02d}", f"K{i}", "202305", "4G", "9.5", "在网"] for i in range(30 - month)]
        write_table(
            home / "from" / f"月表{month}.csv",
            ["统计月份", "用户编号", "入网年月", "套餐", "当月消费(元)", "用户状态"],
            rows,
        )
    spec = proposed(home)
    assert (list(spec.tables), str(spec.as_of)) == (["activity"], "2024-03-31")
    assert set(spec.tables["activity"][0].columns) == {"customer_id", "date", "amount"}


def test_several_subscriptions_of_a_customer_are_contracts(home):
    rows = [
        [f"s{i}", f"c{i % 30}", "pro", f"2023-0{i % 9 + 1}-01", f"2024-0{i % 6 + 1}-28" if i % 3 else ""]
        for i in range(60)
    ]
    spec = proposed(home, subscriptions=(["id", "customer", "plan", "start_date", "end_date"], rows))
    assert list(spec.tables) == ["contracts"]
    assert open_dataset("mine").tables["customers"] == 30


def test_what_is_known_of_the_lost_only_divides_nothing(home):
    header = ["客户编号", "开户日期", "终止合作日期", "状态", "销户原因", "网点", "余额"]
    rows = [
        [f"{i:03d}", "2023-01-05", "2024-02-03" if i % 3 else "", "销户" if i % 3 else "正常", "搬家"]
        + ["ABC"[i % 3], f"{i}200.50元"]
        for i in range(1, 40)
    ]
    spec = proposed(home, 客户=(header, rows))
    assert set(spec.segments) == {"网点", "tenure"} and spec.attributes["余额"].type == "money"
    assert {"start_date", "end_date"} <= set(spec.tables["customers"][0].columns)


def test_a_mark_of_churn_is_used_where_it_tells_when_and_explained_where_not(home):
    marks = [[f"c{i}", "01"[i % 2], "ab"[i % 2]] for i in range(40)]
    assert not proposed(home, list=(["id", "is_churn", "city"], marks)).snapshot
    assert "tenure" in (home / "data" / "mine" / "dataset.yml").read_text("utf-8")
    paid = [[f"c{i % 40}", f"2016-{i % 12 + 1:02d}-03", "149"] for i in range(400)]
    write_table(home / "from" / "paid.csv", ["id", "transaction_date", "price"], paid)
    assert not schema.load(propose("both", home / "from")).snapshot  # activity tells more than a mark


def test_policies_with_years_of_two_digits_in_a_western_encoding_are_read(home):
    ends = ["14-Feb-24", "", "03-Jan-24", "31-Mar-24"]
    lines = [f"P{i},H{i % 9},{i % 28 + 1:02d}-Mar-2{i % 3},{ends[i % 4]},Königs,£{i}.50" for i in range(40)]
    content = "PolicyNumber,PolicyHolderID,InceptionDate,CancellationDate,Product,Premium\n" + "\n".join(lines) + "\n"
    (home / "from" / "policies.csv").write_bytes(content.encode("cp1252"))
    spec = proposed(home)
    (source,) = spec.tables["contracts"]
    assert (source.encoding, source.columns["start_date"].order, spec.currency) == ("cp1252", "dmy", "GBP")
    assert str(spec.as_of) == "2024-03-31" and "Königs" in (home / "data" / "mine" / "dataset.yml").read_text("utf-8")
    products = open_dataset("mine").con.frame(
        "SELECT DISTINCT product, year(start_date) AS y FROM contracts ORDER BY 2"
    )
    assert products.to_numpy().tolist() == [["Königs", 2020], ["Königs", 2021], ["Königs", 2022]]


def test_no_in_a_reason_is_no_phrase_of_its_own(home):
    """`no longer needed` is one phrase; a reason that only holds its letters is taken for nothing."""
    ids = [f"C{i:02d}" for i in range(40)]
    reasons = ["Not enough features", "Unknown", "No longer needed"]
    spec = proposed(
        home,
        customers=(["customer_id", "start_date", "end_date"], [[i, "2024-01-02", "2025-01-02"] for i in ids]),
        exit_survey=(["customer_id", "date", "reason"], [[c, "2025-01-05", reasons[i % 3]] for i, c in enumerate(ids)]),
    )
    assert spec.reasons.values == {
        "Not enough features": "product.function",
        "Unknown": "unknown.other",
        "No longer needed": "natural.life_stage",
    }


def test_a_file_of_one_line_without_an_end_stops_no_proposal(home):
    chinese_files(home / "from")
    (home / "from" / "größe.csv").write_bytes("Größe,Länge".encode("cp1252"))
    assert "activity" in schema.load(propose("mine", home / "from")).tables


def test_lists_that_name_nobody_are_never_joined(home):
    marks = [[str(i % 70), ["Yes", "No"][i % 2]] for i in range(80)]
    first = (["tenure", "Churn", "plan"], [[*row, "AB"[i % 2]] for i, row in enumerate(marks)])
    second = (["tenure", "Churn", "region", "fee"], [[*row, "XY"[i % 2], str(i)] for i, row in enumerate(marks)])
    spec = proposed(home, first=first, second=second)
    (source,) = spec.tables["customers"]
    assert source.columns["customer_id"].numbered and not {"plan", "region"} <= set(source.columns)
