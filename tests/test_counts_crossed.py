"""Counts by several segments at once add up to those by one."""

import pytest
from toy import BARE, CUSTOMERS, canonical, toy

from churnlib.counts import benchmark_rows, crossed_counts, period_counts, slice_counts, unit_counts


@pytest.mark.parametrize("definition", ["contract_end", "silent"])
def test_crossed_counts_add_up_to_those_of_every_segment(definition):
    data = toy()
    crossed = crossed_counts(data, ["region", "age", "manager"], definition=definition)
    for segment in crossed.segments:
        summed = crossed.frame.groupby([segment.name, "period"])[["n_opening", "n_churned_opening"]].sum()
        summed.index.names = ["level", "period"]
        alone = period_counts(data, segment.name, definition=definition).frame.set_index(["level", "period"])
        both = alone[["n_opening", "n_churned_opening"]].join(summed, rsuffix="_crossed").fillna(0)
        assert (both["n_opening"] == both["n_opening_crossed"]).all()
        assert (both["n_churned_opening"] == both["n_churned_opening_crossed"]).all()


def test_a_level_is_the_one_of_the_opening():
    # customer 6 changes manager on 15 March: Wang at the opening of March, Li at that of April
    frame = crossed_counts(toy(), ["region", "manager"]).frame
    south = frame[(frame["region"] == "south") & frame["manager"].isin(["Li", "Wang"])]
    assert dict(zip(south["period"], south["manager"], strict=True))["2024-03"] == "Wang"
    assert dict(zip(south["period"], south["manager"], strict=True))["2024-04"] == "Li"


def test_tenure_is_always_crossed_with_its_own_bands_where_none_are_declared():
    data = canonical({"customers": CUSTOMERS, "contracts": []}, {**BARE, "as_of": "2025-01-12"})
    crossed = crossed_counts(data, "region")
    assert [s.name for s in crossed.segments] == ["region", "tenure"]
    assert set(crossed.frame["tenure"]) <= {"0-6", "6-12", "12-24", "24+"} and crossed.segments[1].label.zh == "客龄"
    assert crossed_counts(data).grain == ("period", "tenure")


def test_slices_take_every_segment_but_those_with_many_units():
    assert [s.name for s in slice_counts(toy()).segments] == ["region", "age", "manager", "tenure"]


def test_units_are_of_the_segment_with_more_than_twenty_levels():
    assert unit_counts(toy()).about.segment.name == ""
    assert unit_counts(toy(), by="manager").about.segment.name == "manager"


def test_a_data_set_without_benchmarks_has_no_rows_of_them():
    assert benchmark_rows(toy()).frame.empty
