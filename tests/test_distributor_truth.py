"""The simulated distributor: few large customers, two rules of silence, representatives who leave."""

import numpy as np
import pytest
from simulated import Truths, causes, company

import churnlib as churn
from churnlib.show import display

RULES = {  # rule of the reader -> what the simulation calls the same rows
    ("customers", "duplicate_customer"): "duplicate customers",
    ("activity", "unknown_customer"): "shipments to unknown customers",
    ("activity", "duplicate_activity"): "duplicate shipments",
}
SEGMENTS = {"annual_band": "band", "region": "region", "kind": "kind", "representative": "representative"}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Half of the distributor."""
    return company("distributor", 0.5, tmp_path_factory.mktemp("distributor"), SEGMENTS, RULES)


@pytest.fixture(scope="module")
def truth(small):
    return small.truth


class TestDistributor(Truths):
    """What every company has to keep."""


def test_the_largest_fifth_brings_four_fifths_of_the_sales(small):
    data, truth = small.data, small.truth
    sold = data.con.frame(
        "SELECT customer, sum(amount) AS amount FROM activity"
        " WHERE kind = 'sale' AND date BETWEEN DATE '2025-01-01' AND DATE '2025-12-31' GROUP BY customer"
    )["amount"].sort_values()
    share = sold.iloc[-round(len(sold) / 5) :].sum() / sold.sum()
    assert round(share, 4) == truth["share_of_largest_fifth"]
    assert 0.7 < share < 0.9


def test_small_customers_leave_most_and_bring_the_better_margin(small):
    data, truth = small.data, small.truth
    band = truth["expected"]["band"]
    rate = {level: sum(row["n_churned_opening"]) / sum(row["n_opening"]) for level, row in band.items()}
    margin = data.con.frame("SELECT annual_band, avg(margin) AS margin FROM customers GROUP BY annual_band")
    margin = margin.set_index("annual_band")["margin"]
    assert max(rate, key=rate.get) == margin.idxmax() == "10万元以下"


def test_stock_pushed_in_december_looks_like_churn_in_march_and_is_none(truth):
    at = truth["months"].index("2025-03")
    pushed = truth["expected"]["region"]["华南"]["pushed"]
    assert pushed[at] == sum(pushed) > 5
    bought, sold = truth["ledger"]["inactive"], truth["ledger"]["sell_through"]
    usual = np.mean(bought["n_churned"][:at])
    assert bought["n_churned"][at] > 2 * usual > sold["n_churned"][at] * 0.8
    assert sum(bought["n_reactivated"][at + 1 : at + 3]) > 5


def test_who_leaves_takes_customers_along_and_who_swaps_does_not(truth):
    for name, row in truth["departures"].items():
        assert row["n_lost"] >= row["n_taken"], name
        assert abs(row["n_taken"] - row["n_taken_expected"]) < 4 * np.sqrt(row["n_taken_expected"] + 1), name
    reps = truth["expected"]["representative"]
    taken = {level for level, row in reps.items() if sum(row["staff_left"]) > 0}
    assert taken == {"代表25", "代表26", "代表27", "代表28"}  # counted three months on, with the successor
    rate = {
        level: sum(np.sum(list(causes(reps[level]).values()), axis=0)) / sum(reps[level]["n_opening"]) for level in reps
    }
    assert min(rate[level] for level in taken) > 1.5 * np.mean([rate["代表05"], rate["代表06"]])


def test_lasting_falls_of_the_sales_are_value_churn_in_their_third_month(small):
    data, truth = small.data, small.truth
    counted = churn.period_counts(data, definition="value").frame.set_index("period")["n_churned"]
    for begins, n in truth["declines"].items():
        dated = str(np.datetime64(begins, "M") + 2)
        if dated in counted.index:
            assert counted[dated] >= n, begins


def test_the_reasons_ticked_in_columns_are_the_ones_that_were_ticked(small):
    data, truth = small.data, small.truth
    counted = churn.reason_counts(data).frame.query("level_of_list == 'reason' and period < '2025-12'")
    named = counted[counted["period"].str[:4] == "2024"].groupby("reason")["n_named"].sum()
    said = truth["reasons"]["2024"]
    for reason, share in said["among_respondents"].items():
        assert named.get(reason, 0) == round(share * said["n_answered"]), reason


def test_what_is_too_small_to_show_stops_no_chapter(small):
    data = small.data
    by_definition = {
        name: churn.period_counts(data, by="annual_band", definition=name) for name in ("inactive", "value")
    }
    for result in (churn.cohort_retention(churn.cohort_counts(data)), churn.rival_rankings(by_definition)):
        made = display.block(result)
        assert made["findings"] and all(made["alt"].values())
