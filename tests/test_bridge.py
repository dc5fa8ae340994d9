"""Money from bills: the bridge balances to the cent for every data set, rare buyers have not stopped."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import ACTIVITY, BARE, canonical, toy

import churnlib
from churnlib import counts, text
from churnlib.trend.ledger import customer_ledger
from churnlib.value.bridge import billed_bridge
from churnlib.value.quiet import quiet_customers
from churnlib.value.value import revenue_bridge

FLOWS = ("new", "expansion", "reactivated", "contraction", "churned")


def check(frame):
    gains = frame["new"] + frame["expansion"] + frame["reactivated"]
    assert (frame["opening"] + gains - frame["contraction"] - frame["churned"] == frame["closing"]).all()
    assert (frame["opening"].to_numpy()[1:] == frame["closing"].to_numpy()[:-1]).all()
    came = frame["n_opening"] + frame["n_new"] + frame["n_reactivated"]
    assert (came - frame["n_closing"] >= frame["n_churned"]).all()  # who left, and who was billed nothing


@pytest.mark.parametrize("name", ["telecom", "cdnow", "dairy", "distributor", "dealer", "logistics"])
def test_the_bridge_balances_and_closes_on_the_revenue_of_the_ledger(name):
    data = churnlib.open_dataset(name)
    for unit in ("month", "quarter", None):
        frame = counts.bridge_counts(data, unit).frame
        check(frame)
        billed_bridge(counts.bridge_counts(data, unit))
    ledger = counts.period_counts(data, unit="month").frame.set_index("period")["revenue"]
    monthly = counts.bridge_counts(data, "month").frame.set_index("period")["closing"]
    both = monthly.index.intersection(ledger.index)
    late = both[3:]  # the ledger also books who never enters observation
    assert len(late) and np.abs(ledger[late] - monthly[late]).max() <= 0.001 * monthly.max()


@pytest.mark.parametrize("name", ["telecom", "bank", "cdnow", "dairy", "dealer", "distributor", "logistics"])
def test_the_books_of_every_data_set_balance_in_customers_and_in_fees(name):
    ledger = counts.period_counts(churnlib.open_dataset(name), unit="quarter")
    for book in (customer_ledger, revenue_bridge) if "fee_closing" in ledger.frame else (customer_ledger,):
        book(ledger)  # refuses a period that does not balance, or does not open on the last one's closing


def test_numbers_do_not_depend_on_how_many_rows_or_customers_are_summed_at_a_time(monkeypatch):
    # and rows that tell nothing of the time looked at, or bring no amount, change none: only then are they looked for
    def told(data):
        bridge, quiet = counts.bridge_counts(data, "month"), counts.quiet_counts(data)
        cohorts = [counts.cohort_counts(data, **how) for how in ({"measure": "revenue"}, {"mode": "in"})]
        return [each.frame for each in (bridge, quiet, *cohorts)]

    whole = told(toy())
    monkeypatch.setattr("churnlib.counts.bridge.BATCH", 3)  # of some 15 customers
    monkeypatch.setattr("churnlib.engine.BATCH", 2)  # of 19 rows
    outside = [(1, "2025-01-13", 77700), (1, "1990-05-05", 88800), (6, "2024-05-05", None)]
    for data in (toy(), toy(tables={"activity": [*ACTIVITY, *outside[:2]]})):
        for frame, same in zip(told(data), whole, strict=True):
            pd.testing.assert_frame_equal(frame, same)
    money = toy(tables={"activity": [*ACTIVITY, outside[2]]})
    pd.testing.assert_frame_equal(counts.bridge_counts(money, "month").frame, whole[0])
    pd.testing.assert_frame_equal(counts.cohort_counts(money, measure="revenue").frame, whole[2])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 11), st.integers(-300, 900)), max_size=40))
def test_the_bridge_balances_for_any_bills(bills):
    rows = [(who, f"2024-{month + 1:02d}-15", amount) for who, month, amount in bills]
    people = [(i, "2024-01-01", None if i % 2 else f"2024-{i + 4:02d}-20") for i in range(1, 6)]
    data = canonical({"customers": people, "activity": rows}, {**BARE, "as_of": "2024-12-31"})
    if not rows:
        return
    frame = counts.bridge_counts(data, "month").frame
    if len(frame):
        check(frame)
        spent = sum(amount for _, month, amount in bills if f"2024-{month + 1:02d}" == frame["period"].iloc[-1])
        assert frame["closing"].iloc[-1] == spent


def test_each_flow_by_hand():
    people = [
        (1, "2024-01-01", None),
        (2, "2024-01-01", "2024-03-20"),
        (3, "2024-01-01", None),
        (4, "2024-03-02", None),
    ]
    bills = [(1, "2024-02-05", 100), (2, "2024-02-05", 50), (3, "2024-01-05", 30), (3, "2024-02-05", 0)]
    bills += [(1, "2024-03-05", 130), (3, "2024-03-05", 20), (4, "2024-03-05", 7)]
    data = canonical({"customers": people, "activity": bills}, {**BARE, "as_of": "2024-04-10"})
    march = counts.bridge_counts(data, "month").frame.set_index("period").loc["2024-03"]
    assert march[["opening", *FLOWS, "closing"]].tolist() == [150, 7, 30, 20, 0, 50, 157]
    february = counts.bridge_counts(data, "month").frame.set_index("period").loc["2024-02"]
    assert february[["opening", *FLOWS, "closing"]].tolist() == [30, 150, 0, 0, 30, 0, 150]  # 3 is still a customer


def monthly_bills(who, amounts, **columns):
    months = [f"{2023 + k // 12}-{k % 12 + 1:02d}-10" for k in range(len(amounts))]
    return [(who, day, amount, None, 10.0) for day, amount in zip(months, amounts, strict=True) if amount is not None]


def test_silent_churn_by_hand_and_rare_buyers_are_left_alone():
    steady = [100] * 24
    bills = monthly_bills(1, steady) + monthly_bills(2, [*[100] * 21, 40, 40, 40])
    bills += monthly_bills(3, [*[100] * 21, None, None, None])  # nothing any more
    bills += monthly_bills(4, [100 if k % 4 == 0 else None for k in range(24)])  # every four months, last in September
    bills += [
        (5, day, 100, None, 0.0 if day >= "2024-10" else 9.0) for _, day, *_ in monthly_bills(5, steady)
    ]  # unused
    bills += [row for who in range(6, 30) for row in monthly_bills(who, steady)]
    people = [(i, "2022-12-01", None) for i in range(1, 30)]
    spec = {**BARE, "as_of": "2025-01-05", "observed_from": "2023-01-01"}
    data = canonical({"customers": people, "activity": bills}, spec)
    assert counts.band_window(data) == 3
    told = counts.quiet_counts(data, months=3).frame.set_index("what")
    assert told["n_customers"].to_dict() == {"fallen": 1, "none": 1, "steady": 26, "unused": 1}
    assert told.loc["fallen", ["amount_before", "amount_now"]].tolist() == [100, 40]


def test_bills_that_cease_for_everybody_are_a_gap_in_the_records():
    bills = [row for who in range(1, 30) for row in monthly_bills(who, [100] * 21)]
    spec = {**BARE, "as_of": "2025-01-05", "observed_from": "2023-01-01"}
    data = canonical({"customers": [(i, "2022-12-01", None) for i in range(1, 30)], "activity": bills}, spec)
    (told,) = quiet_customers(counts.quiet_counts(data, months=3), months=3).findings
    assert told.key == "quiet.no_bills" and all(told.say(language) for language in ("zh", "en"))


def test_the_zero_usage_lines_of_the_telecom_operator_are_found():
    # the simulation's truth counts all lines with a bill and no call in December, also those here for less than a year
    data = churnlib.open_dataset("telecom")
    truth = json.loads((data.folder / "truth.json").read_text("utf-8"))["zero_usage_lines"]["2025-12"]
    told = counts.quiet_counts(data, months=3).frame.set_index("what")["n_customers"]
    assert 0.75 * truth < told["unused"] <= truth


def test_every_word_is_there():
    for name in ("telecom", "dealer", "distributor", "bank"):
        data = churnlib.open_dataset(name)
        months = counts.band_window(data)
        results = [quiet_customers(counts.quiet_counts(data, months=months), months=months)]
        bridge = counts.bridge_counts(data)
        results += [billed_bridge(bridge)] if len(bridge.frame) else []
        for result in results:
            for statement in (*result.findings, *result.notes, *([result.subtitle] if result.subtitle else [])):
                assert all(statement.say(language) for language in text.LANGUAGES)
            assert len(result.summary("en")) == len(result.shown)


def test_a_bridge_that_does_not_balance_is_refused():
    broken = counts.bridge_counts(churnlib.open_dataset("distributor"))
    frame = broken.frame.copy()
    frame.loc[1, "churned"] += 1
    with pytest.raises(text.DataError):
        billed_bridge(replace(broken, frame=frame))


def test_without_amounts_there_is_no_bridge_from_bills():
    assert counts.bridge_counts(toy(tables={"activity": None})).frame.empty
