"""The simulated car dealer: churn by silence, counted from its files, is the churn that happened."""

import numpy as np
import pytest
from simulated import Truths, causes, company

import churnlib as churn
from churnlib.counts import definitions

RULES = {  # rule of the reader -> what the simulation calls the same rows
    ("customers", "duplicate_customer"): "duplicate vehicles",
    ("activity", "unknown_customer"): "visits of unknown vehicles",
    ("activity", "duplicate_activity"): "duplicate visits",
}
FOLLOW_UPS = {"已回访": "answered", "拒绝回答": "declined", "号码有误": "wrong_number", "空号": "empty_number"}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A quarter of the dealer."""
    return company(
        "dealer", 0.25, tmp_path_factory.mktemp("dealer"), ("warranty", "province", "distance", "model"), RULES
    )


@pytest.fixture(scope="module")
def truth(small):
    return small.truth


class TestDealer(Truths):
    """What every company has to keep."""


def test_pass_by_vehicles_and_vehicles_never_seen_are_left_out_and_counted(small):
    data, truth = small.data, small.truth
    why = definitions.excluded(data).set_index("why")["n_customers"]
    assert why["pass_by"] == truth["n_pass_by"]
    assert why["no_records"] == truth["n_without_records"]


def test_a_cause_acts_a_year_before_it_is_counted_and_on_its_own_vehicles_only(truth):
    months, warranty = truth["months"], truth["expected"]["warranty"]
    out, near = warranty["保外"], truth["expected"]["distance"]
    opened = months.index("2025-03")  # the chain opens in March 2024
    assert sum(out["chain_shop"][:opened]) == 0 < min(out["chain_shop"][opened:])
    assert {level for level, row in near.items() if sum(row["chain_shop"]) > 0} <= {"0-15", "15-30"}
    price = np.array(out["price"])
    rise = slice(months.index("2024-07"), months.index("2025-01"))  # the price rise of July to December 2023
    assert price[rise].mean() > 3 * np.delete(price, np.r_[rise]).mean()
    waiting = np.array(truth["expected"]["all"]["all"]["waiting"])
    assert waiting[months.index("2025-10") : -1].mean() < 0.5 * waiting[: months.index("2025-10")].mean()


def test_in_warranty_other_stations_take_them_and_out_of_warranty_repair_shops(truth):
    lost = {level: {c: sum(v) for c, v in causes(row).items()} for level, row in truth["expected"]["warranty"].items()}
    assert max(lost["保内"], key=lost["保内"].get) == "other_station"
    assert lost["保外"]["repair_shop"] > lost["保外"]["other_station"]
    province = truth["expected"]["province"]
    rate = {level: sum(row["other_station"]) / sum(row["n_opening"]) for level, row in province.items()}
    assert min(rate, key=rate.get) == "安徽"


def test_what_came_of_every_call_is_counted_by_kind_and_month(small):
    data, truth = small.data, small.truth
    counted = churn.response_counts(data).frame.set_index(["period", "follow_up"])["n_customers"]
    for month in truth["months"][:-1]:  # those lost in the last days are not called yet
        for word, kind in FOLLOW_UPS.items():
            assert counted.get((month, kind), 0) == truth["follow_up"][month].get(word, 0), (month, word)


def test_about_three_in_ten_of_the_lost_cannot_be_reached(truth):
    calls = [row for month, row in truth["follow_up"].items() if month < "2026-01"]
    reached = sum(row.get("已回访", 0) + row.get("拒绝回答", 0) for row in calls)
    assert 0.26 < 1 - reached / sum(sum(row.values()) for row in calls) < 0.36


def test_the_reasons_counted_are_the_ones_that_were_ticked(small):
    data, truth = small.data, small.truth
    counted = churn.reason_counts(data).frame.query("level_of_list == 'reason' and period < '2026-01'")
    named = counted[counted["period"].str[:4] == "2025"].groupby("reason")["n_named"].sum()
    said = truth["reasons"]["2025"]
    for reason, share in said["among_respondents"].items():
        assert named.get(reason, 0) == round(share * said["n_answered"]), reason


def test_vehicles_come_two_and_a_half_times_a_year(truth):
    assert 2.3 < 365.25 / truth["median_gap_days"] < 2.7


def test_the_win_back_lists_bring_more_of_the_called_back_than_of_the_control(truth):
    for name, rows in truth["campaigns"].items():
        came = {arm: rows[arm]["n_events"] / rows[arm]["n"] for arm in ("treated", "control")}
        assert came["treated"] > came["control"], name
