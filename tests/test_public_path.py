"""From the files to the notebook's results, against base R alone: a growing company, in months and in weeks."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import write_dataset, write_table

import churnlib as churn

ORACLES = Path(__file__).parent / "oracles"
BASELINES = {"month": "2022-07..2023-12", "week": "2022-W27..2023-W52"}
LAST = {"month": "2024-12", "week": "2024-W52"}
SPEC = {
    "title": "按R核对",
    "as_of": "2025-01-05",
    "observed_from": "2022-01-01",
    "segments": {"region": {"label": "大区", "column": "region"}, "plan": {"label": "套餐", "column": "plan"}},
    "roles": {},
    "tables": {
        "customers": {
            "file": "customers.csv",
            "columns": {
                "customer_id": "customer",
                "start_date": "start",
                "end_date": "end",
                "region": "region",
                "plan": "plan",
            },
        },
        "events": {"file": "事件.csv", "columns": {"date": "日期", "label_zh": "事件"}},
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_dataset(tmp_path_factory.mktemp("public") / "company", None, None, **SPEC)
    shutil.copy(ORACLES / "public_customers.csv", folder / "customers.csv")
    write_table(folder / "事件.csv", ["日期", "事件"], [["2024-05-01", "涨价"]])
    return folder


@pytest.fixture(scope="module", params=["month", "week"])
def case(request, folder):
    expected = pd.read_csv(ORACLES / "public_periods.csv").query("unit == @request.param").set_index("period")
    data = churn.open_dataset(folder, period=LAST[request.param])
    return data, request.param, expected


def test_rates_and_limits_of_months_and_weeks_are_those_that_r_counts_and_computes(case):
    data, unit, expected = case
    chart = churn.control_chart(churn.period_counts(data), baseline=BASELINES[unit])
    table = chart.table.set_index("period")
    assert list(table.index) == list(expected.index)
    assert (table["n_opening"] == expected["n"]).all() and (table["n_churned_opening"] == expected["d"]).all()
    for ours, theirs in {"churn_rate": "rate", "expected": "centre", "lower": "lower", "upper": "upper"}.items():
        np.testing.assert_allclose(table[ours], expected[theirs], rtol=1e-9, err_msg=ours)
    assert chart.usual.sigma == pytest.approx(expected["sigma"].iloc[0], rel=1e-9)
    inside = table["in_baseline"].astype(bool)
    outside = ((table["churn_rate"] > table["upper"]) | (table["churn_rate"] < table["lower"])) & ~inside
    assert ((table["beyond"] != 0) == outside).all() and outside.any()


def test_the_change_between_two_octobers_is_taken_apart_as_by_kitagawa_and_das_gupta(folder):
    data = churn.open_dataset(folder, period="2024-10")
    parts = churn.decompose_change(churn.crossed_counts(data, by=["region", "plan"])).table
    found = parts.set_index(["kind", "item"])["contribution"]
    expected = pd.read_csv(ORACLES / "public_parts.csv", keep_default_na=False).set_index(["kind", "item"])
    assert set(expected.index) == set(found.index) - {("size", "")}
    for at, value in expected["contribution"].items():
        assert found[at] == pytest.approx(value, abs=1e-12), at


def test_what_followed_an_event_is_that_of_a_quasi_poisson_regression(folder):
    data = churn.open_dataset(folder, period="2024-12")
    row = churn.event_effects(churn.period_counts(data), churn.scope_counts(data)).table.iloc[0]
    r = pd.read_csv(ORACLES / "public_event.csv").iloc[0]
    assert (row["first"], row["last"], row["n_lost"]) == ("2024-05", "2024-12", r["n_lost"])
    for ours, theirs in (("level", "level"), ("slope", "slope"), ("excess", "excess")):
        assert row[ours] == pytest.approx(r[theirs], rel=1e-6), ours
    assert row["state"] in ("coincides", "unclear")  # nobody to compare with: never more
