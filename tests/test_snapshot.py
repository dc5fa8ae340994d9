"""A list without dates - a tenure and a mark of churn - becomes customers with a start and an end."""

import pytest
from datasets import write_table

from churnlib import text
from churnlib.counts import period_counts, tenure_counts, tracking_counts
from churnlib.model import schema
from churnlib.model.dataset import open_dataset
from churnlib.model.propose import propose

YML = """
title: {{zh: 名单, en: List}}
as_of: 2018-09-30
time_unit: {unit}
tables:
  customers: {{file: list.csv, columns: {{customer_id: ID, {columns}}}}}
"""
MARKED = "tenure: Tenure, churned: Churn"


@pytest.fixture
def listed(tmp_path):
    """Opens a data set of one list with a tenure and a mark."""

    def opened(rows, unit="month", columns=MARKED, header=("ID", "Tenure", "Churn")):
        write_table(tmp_path / "list.csv", list(header), rows)
        (tmp_path / "dataset.yml").write_text(YML.format(unit=unit, columns=columns), "utf-8")
        return open_dataset(tmp_path)

    return opened


def customers(data):
    days = data.con.frame("SELECT CAST(start_date AS VARCHAR) AS s, CAST(end_date AS VARCHAR) AS e FROM customers")
    return [(start, end) for start, end in days.astype(object).where(days.notna(), None).values.tolist()]


def test_whole_months_of_tenure_become_the_month_of_the_start(listed):
    data = listed([["1", "0", "No"], ["2", "2", "Yes"], ["3", "72", "No"]])
    assert data.about.snapshot
    assert customers(data) == [("2018-09-01", None), ("2018-07-01", "2018-09-30"), ("2012-09-01", None)]


@pytest.mark.parametrize("unit", ["month", "day"])
def test_everyone_leaves_or_is_censored_at_the_tenure_of_the_list(listed, unit):
    data = listed([["1", "5", "Yes"], ["2", "5", "No"], ["3", "1", "Yes"], ["4", "30", "No"]], unit)
    counts = tenure_counts(data).frame.set_index("tenure")
    assert counts["n_events"].loc[lambda n: n > 0].to_dict() == {1: 1, 5: 1}
    assert counts["n_censored"].loc[lambda n: n > 0].to_dict() == {5: 1, 30: 1}


@pytest.mark.parametrize(
    "yes, no", [("流失", "在网"), ("Attrited Customer", "Existing Customer"), ("True.", "False."), ("1", "0")]
)
def test_marks_of_churn_are_read_as_public_files_write_them(listed, yes, no):
    data = listed([["1", "3", yes], ["2", "3", no]])
    assert [end is not None for _, end in customers(data)] == [True, False]


def test_rows_without_a_tenure_or_a_mark_are_set_aside_not_guessed(listed):
    data = listed([["1", "-2", "No"], ["2", "", "No"], ["3", "4", ""], ["4", "4", "No"], ["5", "99999", "Yes"]])
    rules = dict(zip(data.set_aside["line"], data.set_aside["rule"], strict=True))
    assert rules == {2: "bad_number", 3: "missing_value", 4: "missing_value", 6: "bad_number"}
    assert len(customers(data)) == 1


def test_a_mark_beside_end_dates_never_makes_a_date_up(listed):
    header = ("ID", "Start", "End", "Churn")
    columns = "start_date: Start, end_date: End, churned: Churn"
    rows = [["1", "2018-01-01", "2018-05-31", "Yes"], ["2", "2018-01-01", "", "Yes"], ["3", "2018-01-01", "", "No"]]
    data = listed(rows, "day", columns, header)
    assert data.set_aside["rule"].tolist() == ["outcome_without_end"]
    assert customers(data) == [("2018-01-01", "2018-05-31"), ("2018-01-01", None)]
    assert not data.about.snapshot


@pytest.mark.parametrize("beside", ["", "start_date: Start, "])
def test_a_mark_that_does_not_say_when_is_refused_with_what_it_needs(listed, beside):
    # with a start alone all who left would seem to have left on the last day: half of those after 31 months, not 15
    with pytest.raises(text.DataError, match="tenure"):
        listed([["1", "2018-01-01", "Yes"]], columns=beside + "churned: Churn", header=("ID", "Start", "Churn"))


@pytest.mark.parametrize(
    "header, expected",
    [
        (["customerID", "PaymentMethod", "tenure", "Churn"], ("month", "payment")),
        (["CLIENTNUM", "Card_Category", "Months_on_book", "Attrition_Flag"], ("month", "card_category")),
        (["Phone", "State", "Account length", "Churn"], ("day", "phone")),  # a telephone number is no id
        (["Status", "Complains", "Subscription  Length", "Churn"], ("month", "status")),
        (["CustomerID", "MonthlyRevenue", "MonthsInService", "Churn"], ("month", "monthly_revenue")),
        (["客户编号", "套餐", "在网天数", "是否流失"], ("day", "plan")),
        (["会员卡号", "等级", "入会年限（年）", "流失标志"], ("month", "level")),
    ],
)
def test_public_layouts_are_recognised(tmp_path, monkeypatch, header, expected):
    monkeypatch.setenv("CHURN_HOME", str(tmp_path))
    (tmp_path / "from").mkdir()
    rows = [[f"C{i}", "ab"[i % 2], str(i), ("Yes", "No")[i % 3 > 0]] for i in range(40)]
    write_table(tmp_path / "from" / "list.csv", header, rows)
    spec = schema.load(propose("list", tmp_path / "from"))
    assert (spec.time_unit, next(iter(spec.attributes))) == expected
    assert spec.snapshot
    columns = spec.tables["customers"][0].columns
    assert {"tenure", "churned"} <= set(columns)
    assert columns["customer_id"].numbered == (header[0] in ("Phone", "Status"))  # no column names a customer
    assert open_dataset("list").tables["customers"] == 40


def test_a_snapshot_is_counted_by_tenure_and_never_by_period(listed):
    data = listed([["1", "5", "Yes"], ["2", "5", "No"]])
    for counted in (period_counts, tracking_counts):
        with pytest.raises(text.DataError, match="快照"):
            counted(data)
