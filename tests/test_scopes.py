"""Whom an event touched stays touched: a successor takes over the customers, not their past. Counted by hand."""

from datetime import date

import pytest
from datasets import SPEC, write_dataset, write_table

import churnlib as churn


@pytest.fixture
def data(tmp_path):
    ends = {"m0": ("2024-05-10", "华南"), "m1": ("", "华北"), "m2": ("2024-02-20", "华南")}
    ends |= {"n0": ("2024-05-20", "华南"), "n1": ("", "华南"), "n2": ("", "华北")}
    customers = [[name, "2023-01-01", end, "", region, "", ""] for name, (end, region) in ends.items()]
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
    segments = {"manager": {"label": "经理", "assignment": "经理"}, "region": SPEC["segments"]["region"]}
    write_dataset(folder, customers, None, tables=tables, segments=segments)
    write_table(folder / "归属.csv", list(columns.values()), given)
    events = [["2024-03-15", "M离职", "staff_departure", "manager=M"]]
    events += [["2024-03-15", "M在华南涨价", "price", "region=华南; manager=M"]]
    write_table(folder / "事件.csv", list(names.values()), events)
    return churn.open_dataset(folder)


def counted(data, name: str):
    """Counts by one division: as they stand, and held."""
    plain, held = sorted(
        (c for c in churn.scope_counts(data) if c.about.segment.name == name), key=lambda c: bool(c.event)
    )
    return plain, held


def test_customers_of_a_manager_who_leaves_stay_touched_when_the_successor_takes_over(data):
    plain, held = counted(data, "manager")
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
    whole = churn.period_counts(data).frame.set_index("period")
    for counts in churn.scope_counts(data):
        sums = counts.frame.groupby("period")[["n_opening", "n_churned_opening"]].sum()
        assert (sums == whole[["n_opening", "n_churned_opening"]]).all(axis=None)


def test_a_scope_that_names_two_segments_is_where_both_meet(data):
    plain, held = counted(data, "manager × region")
    division = plain.about.segment
    (level,) = division.within(held.event.named)
    assert division.label_of(level).en == "M · South China"
    by_period = held.frame.set_index(["level", "period"])[["n_opening", "n_churned_opening"]]
    # m0 alone is with M in South China at the event, and stays there under S; m2 has left before
    assert by_period.loc[(level, "2024-05")].tolist() == [1, 1]
    before = plain.frame.set_index(["level", "period"]).loc[(level, "2024-02"), "n_churned_opening"]
    assert before == by_period.loc[(level, "2024-02"), "n_churned_opening"] == 1
    assert set(division.within({"region": ("华南",)})) == {v for v in division.levels if v.endswith("华南")}
