"""The ledger of every period and the states of customers, by hand on the toy customers."""

from __future__ import annotations

import pandas as pd
import pytest
from toy import CUSTOMERS, SPEC, balances, row, toy

from churnlib.counts import Counts, period_counts, state_counts
from churnlib.text import PeriodError, UsageError

DEFINITIONS, SEGMENTS, UNITS = list(SPEC["definitions"]), list(SPEC["segments"]), ("week", "month", "quarter", "year")


@pytest.fixture(scope="module")
def data():
    return toy()


# the ledger, by hand


def test_the_ledger_of_the_toy_customers(data):
    ledger = period_counts(data)
    columns = ["n_opening", "n_new", "n_reactivated", "n_churned", "n_churned_opening", "n_closing", "exposure_days"]
    expected = {
        "2024-01": [3, 2, 0, 2, 1, 3, 65],  # 1, 2, 3 are there; 5 and 6 join; 3 and 5 leave; 31 + 31 + 1 + 1 + 1 days
        "2024-02": [3, 2, 0, 1, 1, 4, 29 + 10 + 29 + 20 + 1],
        "2024-03": [4, 1, 0, 1, 0, 4, 4 * 31 + 20],  # 9 is new and lost in the same month
        "2024-05": [4, 0, 0, 1, 1, 3, 3 * 31 + 9],
        "2024-07": [4, 0, 1, 0, 0, 5, 5 * 31],  # 7 is back
        "2024-12": [5, 0, 0, 0, 0, 5, 5 * 31],
        "2025-01": [5, 0, 0, 1, 1, 4, 4 * 12 + 5],  # unfinished: the data end on the 12th
    }
    for period, numbers in expected.items():
        assert row(ledger, period=period)[columns].tolist() == numbers, period


def test_the_unfinished_period_is_marked(data):
    frame = period_counts(data).frame
    assert frame["period"].iloc[[0, -1]].tolist() == ["2024-01", "2025-01"]
    assert frame["is_complete"].tolist() == [True] * 12 + [False]
    assert str(period_counts(data).about.period) == "2024-12"


def test_money_follows_the_customers(data):
    february = row(period_counts(data), period="2024-02")
    assert february[["fee_opening", "fee_new", "fee_churned", "fee_churned_opening", "fee_closing"]].tolist() == [
        21000,
        16000,
        5000,
        5000,
        32000,
    ]
    assert february.revenue == 10000 + 7000
    assert row(period_counts(data), period="2024-07").revenue == 10000 - 2000  # a refund


def test_money_is_left_out_where_the_data_have_none():
    poor = [(*c[:4], None, *c[5:]) for c in CUSTOMERS]
    frame = period_counts(toy(tables={"activity": None, "customers": poor})).frame
    assert not [c for c in frame if c == "revenue" or c.startswith("fee_")]


def test_outcomes_add_up_to_all_churned(data):
    frame = period_counts(data).frame
    outcomes = frame[["n_voluntary", "n_involuntary", "n_natural", "n_unknown"]].sum(axis=1)
    assert (outcomes == frame["n_churned"]).all()
    assert (frame["n_churned_opening"] + frame["n_churned_new"] == frame["n_churned"]).all()


@pytest.mark.parametrize("by", SEGMENTS)
@pytest.mark.parametrize("definition", ["contract_end", "silent"])
def test_segments_add_up_to_the_whole(data, by, definition):
    parts, whole = period_counts(data, by, definition=definition), period_counts(data, definition=definition)
    numbers = [c for c in whole.frame.select_dtypes("integer") if "moved" not in c]
    balances(parts.frame)
    pd.testing.assert_frame_equal(parts.total("level").frame[numbers], whole.frame[numbers])
    moved = parts.frame.groupby("period")[["n_moved_in", "n_moved_out", "fee_moved_in", "fee_moved_out"]].sum()
    assert (moved.n_moved_in == moved.n_moved_out).all() and (moved.fee_moved_in == moved.fee_moved_out).all()


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_every_definition_balances_in_customers_and_money(data, definition, unit):
    frame = period_counts(data, unit=unit, definition=definition).frame
    assert len(frame) and (frame[["n_opening", "n_closing", "exposure_days"]] >= 0).all().all()
    balances(frame)


def test_a_change_of_level_takes_effect_at_the_next_opening(data):
    managers = period_counts(data, "manager")
    # 1 changes on the first of March: in February's ledger Li hands over, in March's Wang has two from the opening on
    assert row(managers, level="Li", period="2024-02")[["n_moved_out", "n_churned", "n_closing"]].tolist() == [1, 1, 1]
    assert row(managers, level="Wang", period="2024-02")[["n_moved_in", "n_closing"]].tolist() == [1, 2]
    # 6 changes on 15 March: a customer of Wang until the end of March
    assert row(managers, level="Wang", period="2024-03")[["n_opening", "n_moved_out", "exposure_days"]].tolist() == [
        2,
        1,
        62,
    ]


def test_who_changes_the_level_twice_in_a_period_moves_once():
    hops = [(1, "manager", name, f"2024-03-{day}", None) for name, day in (("A", "05"), ("B", "12"), ("C", "25"))]
    frame = period_counts(toy(tables={"assignments": hops}), "manager").frame
    march = frame[frame.period == "2024-03"].set_index("level")
    assert march.n_moved_in.to_dict() == {"A": 0, "B": 0, "C": 1, "unknown": 0}


def test_who_leaves_after_a_change_leaves_the_level_of_the_opening():
    changed = [(2, "manager", "Li", "2023-06-01", "2024-02-04"), (2, "manager", "Wang", "2024-02-05", None)]
    managers = period_counts(toy(tables={"assignments": changed}), "manager")
    assert row(managers, level="Li", period="2024-02").n_churned == 1
    assert not managers.frame[managers.frame.level == "Wang"][["n_opening", "n_moved_in", "n_churned"]].any().any()


def test_levels_by_tenure_move_with_time(data):
    frame = period_counts(data, "tenure", unit="quarter").frame
    first = frame[frame.period == "2024-Q1"].set_index("level")
    assert first.n_opening.to_dict() == {"0-3": 1, "3+": 2}  # 3 joined the day before
    assert first.n_moved_in["3+"] == 0  # 6 completes three months on 30 April
    assert row(Counts(frame, None, (), ()), level="3+", period="2024-Q2").n_moved_in == 2  # 6 and 8


def test_a_definition_that_needs_a_limit_begins_its_ledger_later(data):
    assert period_counts(data, definition="silent").frame["period"].iloc[0] == "2024-04"
    assert period_counts(data, definition="value").frame["period"].iloc[0] == "2024-05"
    frame = period_counts(data, definition="silent").frame.set_index("period")
    assert frame.n_opening["2024-04"] == 6 and frame.n_reactivated["2024-07"] == 1
    assert frame.is_provisional["2024-11"] and not frame.is_provisional["2024-05"]


def test_data_shorter_than_the_limit_cannot_be_counted_yet():
    with pytest.raises(PeriodError, match="2024-03-31"):
        period_counts(toy(as_of="2024-03-20"), definition="silent")
    with pytest.raises(PeriodError, match="2024-04"):  # the report's period is March, the ledger begins in April
        period_counts(toy(as_of="2024-04-20"), definition="silent")


def test_the_unit_of_the_report_is_the_default(data):
    assert period_counts(data).about.period.unit == "month"
    quarter = period_counts(data, unit="quarter")
    assert str(quarter.about.period) == "2024-Q4" and quarter.frame["period"].iloc[0] == "2024-Q1"
    with pytest.raises(UsageError, match="week"):
        period_counts(data, unit="decade")


def test_what_counts_are_about_names_the_definition_and_the_segment(data):
    about = period_counts(data, "region", definition="silent").about
    assert about.segment.name == "region" and about.definition == "silent" and "90" in about.definition_note.zh
    assert period_counts(data).about.segment.name == ""


def test_numbers_that_do_not_add_are_not_added(data):
    with pytest.raises(ValueError, match="period"):
        period_counts(data).total("period")


def test_excluded_customers_are_nowhere():
    with_test = toy(exclusions={})
    assert period_counts(with_test).frame["n_new"].sum() == period_counts(toy()).frame["n_new"].sum() + 1


# states


@pytest.mark.parametrize("definition", ["silent", "silent_months", "own_gap", "contract_end"])
def test_states_add_up_to_the_closing(data, definition):
    state, ledger = state_counts(data, definition=definition).frame, period_counts(data, definition=definition).frame
    states = state[["n_retained", "n_reactivated", "n_at_risk"]]
    assert (states >= 0).all().all() and (states.sum(axis=1) == ledger["n_closing"]).all()


def test_states_by_hand(data):
    state = state_counts(data, definition="silent").frame.set_index("period")
    # end of August: 12 is silent since 06-10, 7 since its return on 07-15, 1 came this month; 2, 5, 6, 8, 9 are lost
    assert state.loc["2024-08", ["n_retained", "n_reactivated", "n_at_risk", "n_lost"]].tolist() == [1, 0, 2, 5]
    assert state.loc["2024-09", "n_reactivated"] == 1  # 6 is back
