"""Whom an event touched stays touched: a successor takes over the customers, not their past. Counted by hand."""

from datetime import date

import pytest
from datasets import SPEC, write_dataset, write_table

import churnlib as churn


@pytest.fixture
def data(tmp_path):
    customers = [[f"m{i}", "2023-01-01", end, "", "", "", ""] for i, end in enumerate(["2024-05-10", "", "2024-02-20"])]
    customers += [[f"n{i}", "2023-01-01", end, "", "", "", ""] for i, end in enumerate(["2024-05-20", "", ""])]
    given = [[f"m{i}", "经理", "M", "2023-01-01", "2024-03-31"] for i in range(3)]
    given += [[f"m{i}", "经理", "S", "2024-04-01", ""] for i in range(2)]
    given += [[f"n{i}", "经理", "N", "2023-01-01", ""] for i in range(3)]
    folder = tmp_path / "toy"
    tables = dict(SPEC["tables"])
    del tables["activity"]
    columns = {"customer_id": "客户编号", "attribute": "属性", "value": "值", "from_date": "自", "to_date": "至"}
    tables["assignments"] = {"file": "归属.csv", "columns": columns}
    names = {"date": "日期", "label_zh": "事件", "kind": "类型", "scope": "范围"}
    tables["events"] = {"file": "事件.csv", "columns": names}
    segments = {"manager": {"label": "经理", "assignment": "经理"}}
    write_dataset(folder, customers, None, tables=tables, segments=segments)
    write_table(folder / "归属.csv", list(columns.values()), given)
    events = [["2024-03-15", "M离职", "staff_departure", "manager=M"]]
    write_table(folder / "事件.csv", list(names.values()), events)
    return churn.open_dataset(folder)


def test_customers_of_a_manager_who_leaves_stay_touched_when_the_successor_takes_over(data):
    plain, held = churn.scope_counts(data)
    assert plain.event is None and plain.frame.equals(
        churn.period_counts(data, by="manager").frame[plain.frame.columns]
    )
    assert held.event.date == date(2024, 3, 15)
    by_period = held.frame.set_index(["level", "period"])
    columns = ["n_opening", "n_churned_opening"]
    expected = {"2024-02": [3, 1], "2024-03": [2, 0], "2024-04": [2, 0], "2024-05": [2, 1], "2024-06": [1, 0]}
    for period, counts in expected.items():
        assert by_period.loc[("M", period), columns].tolist() == counts, period
    assert by_period.loc[("S", "2024-05"), columns].tolist() == [0, 0]
    assert by_period.loc[("N", "2024-05"), columns].tolist() == [3, 1]


def test_nobody_is_lost_or_counted_twice_by_holding(data):
    _, held = churn.scope_counts(data)
    sums = held.frame.groupby("period")[["n_opening", "n_churned_opening"]].sum()
    whole = churn.period_counts(data).frame.set_index("period")
    assert (sums == whole[["n_opening", "n_churned_opening"]]).all(axis=None)
