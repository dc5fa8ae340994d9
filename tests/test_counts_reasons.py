"""Reasons, follow-up, satisfaction, conversion and campaigns, by hand on the toy customers."""

from __future__ import annotations

import pandas as pd
import pytest
from toy import ACTIVITY, row, toy

from churnlib.counts import (
    campaign_counts,
    companion_counts,
    lost_to_counts,
    period_counts,
    reason_counts,
    reason_pair_counts,
    response_counts,
    tracking_counts,
)
from churnlib.text import DataError


@pytest.fixture(scope="module")
def data():
    return toy()


# reasons


def test_reasons_count_respondents_and_mentions(data):
    counts = reason_counts(data, unit="year")
    price = row(counts, period="2024", level_of_list="group", reason="price")
    assert price[["n_named", "n_mentions", "fee_lost", "version"]].tolist() == [
        2,
        3,
        12000,
        "2023",
    ]  # 2 named two of the group
    assert row(counts, reason="price.too_high").n_named == 2 and row(counts, reason="service").n_named == 1
    assert "period" in counts.adds_over and "reason" not in counts.adds_over


def test_everybody_lost_is_answered_for(data):
    for by, unit in ((None, None), ("region", "quarter"), ("manager", "month")):
        responses, ledger = response_counts(data, by, unit).frame, period_counts(data, by, unit).frame
        keys = ["level", "period"]
        lost = ledger[ledger.n_churned > 0].set_index(keys)["n_churned"].sort_index()
        found = responses.groupby(keys)["n_customers"].sum().sort_index()
        pd.testing.assert_series_equal(found, lost, check_names=False)


def test_the_answer_counts_before_an_attempt_that_failed(data):
    responses = response_counts(data, unit="year")
    assert row(responses, period="2024", follow_up="answered").n_customers == 3  # 2, 7 and 9, who was reached later
    assert row(responses, period="2024", follow_up="not_asked").n_customers == 2  # 5, and 7 after its first spell
    assert row(responses, period="2024", follow_up="wrong_number").n_customers == 1


def test_own_groups_of_the_company_are_a_list_of_their_own():
    own = {"groups": {"platform": {"label": "p", "members": ["price", "service.attitude"]}}}
    counts = reason_counts(toy(reasons=own), unit="year")
    assert row(counts, level_of_list="own", reason="platform").n_named == 2
    assert row(counts, level_of_list="own", reason="other").n_named == 1


def test_reasons_named_together_and_places_gone_to(data):
    pairs = reason_pair_counts(data, unit="year")
    assert row(pairs, level_of_list="group").n_both == 1
    assert row(pairs, reason_a="price.fees", reason_b="price.too_high").n_both == 1
    places = lost_to_counts(data, unit="year")
    assert row(places, period="2024", lost_to="rival").n_customers == 2
    assert places.frame["n_customers"].sum() == period_counts(data).frame["n_churned"].sum()


def test_reasons_without_a_survey_are_told():
    with pytest.raises(DataError, match="exit_survey"):
        reason_counts(toy(tables={"exit_survey": None}))


# tracking


def test_companion_signals_by_hand(data):
    february = row(companion_counts(data), period="2024-02")
    assert february[["n_complaints", "n_unresolved", "n_asked", "n_scores", "score_sum"]].tolist() == [2, 1, 3, 2, 7.5]
    assert february.score_sum2 == 4.5**2 + 3**2


def test_new_customers_are_judged_when_three_months_have_passed(data):
    frame = tracking_counts(data, unit="quarter").frame.set_index("period")
    assert frame.loc["2024-Q1", ["n_new_judged", "n_new_regular"]].tolist() == [5, 2]  # 5, 7, 9 left; 6, 8 stayed
    assert frame.loc["2024-Q4", "n_new_judged"] == 0  # 11 joined less than three months before the data end


@pytest.mark.parametrize("day, again", [("2024-06-10", 0), ("2024-09-09", 1), ("2024-09-10", 0)])
def test_where_churn_is_a_silence_a_regular_customer_has_been_active_again(day, again):
    data = toy(tables={"activity": [*ACTIVITY, (12, day, 100)]})  # customer 12 joins on 2024-06-10
    june = row(tracking_counts(data, definition="silent"), period="2024-06")
    assert june[["n_new_judged", "n_new_again"]].tolist() == [1, again]


def test_campaigns_by_period_and_arm(data):
    march = row(tracking_counts(data), period="2024-03")
    assert march[
        ["campaign_n_treated", "campaign_n_control", "campaign_cost", "campaign_revenue_treated"]
    ].tolist() == [
        2,
        0,
        600,
        9000,
    ]
    arms = campaign_counts(data).frame.set_index("arm")
    assert arms.n_returned.to_dict() == {"control": 0, "treated": 1} and arms.revenue_after_sum2["treated"] == 9000.0**2


def test_the_tracking_sums_stand_beside_the_ledger(data):
    ledger, tracked = period_counts(data).frame, tracking_counts(data).frame
    assert tracked["period"].tolist() == ledger["period"].tolist()
    assert set(tracked) & set(ledger) == {"period"}
    assert (tracked["n_new_judged"] <= ledger["n_new"]).all()


def test_tracking_leaves_out_what_the_data_lack():
    frame = tracking_counts(toy(tables={"contacts": None, "campaigns": None})).frame
    assert list(frame) == ["period", "n_new_judged", "n_new_regular"]
    with pytest.raises(DataError, match="contacts"):
        companion_counts(toy(tables={"contacts": None}))
    with pytest.raises(DataError, match="campaigns"):
        campaign_counts(toy(tables={"campaigns": None}))
