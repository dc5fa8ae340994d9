"""Money lost by segment and by reason: both splits are the whole, and a share is never taken for a rate."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from counted import ABOUT
from toy import ACTIVITY, toy

import churnlib
from churnlib import counts, text
from churnlib.about import Segment
from churnlib.text import Label
from churnlib.value.losses import lost_money


def test_the_money_lost_by_hand():
    # 2024: 2 (50, price and service), 3 (30), 5 (20), 7 twice (70, price) and 9 (10, natural) left
    frame = counts.loss_counts(toy(), "region").frame.set_index(["split", "level"])
    assert frame.loc[("segment", "north"), ["n_lost", "fee_lost"]].tolist() == [4, 5000 + 2000 + 2 * 7000]
    assert frame.loc[("segment", "south"), ["n_lost", "fee_lost"]].tolist() == [2, 3000 + 1000]
    assert frame.loc[("segment", "north"), ["n_base", "fee_base"]].tolist() == [2, 15000]  # 1 and 2 on January 1
    assert frame.loc["segment", "fee_base_lost"].tolist() == [5000, 3000]  # 2 and 3: the others were new
    reasons = frame.loc["reason"]
    assert reasons["fee_lost"].to_dict() == {"": 12_000, "natural": 1000, "price": 9500, "service": 2500}
    assert reasons.loc["price", "n_lost"] == 2  # 2's half and 7's second end, which the form is about


@pytest.mark.parametrize("name", ["telecom", "bank", "distributor", "dealer", "logistics", "dairy"])
def test_either_split_is_the_whole_and_the_ledgers(name):
    data = churnlib.open_dataset(name)
    frame = counts.loss_counts(data).frame
    sums = frame.groupby("split")["fee_lost"].sum()
    assert sums.nunique() == 1 and sums.iloc[0] > 0
    ledger = counts.period_counts(data, unit="month").frame
    year = ledger[(ledger["period"] <= str(data.about.period)) & ledger["is_complete"]].tail(12)
    assert frame.loc[frame["split"] == "segment", "n_lost"].sum() == year["n_churned"].sum()
    if "fee_churned" in year:
        assert sums.iloc[0] == year["fee_churned"].sum()


def test_without_fees_a_year_of_bills_stands_for_them():
    people = [(i, "2023-01-01", "2024-12-20" if i == 1 else None, None, None, "north") for i in (1, 2)]
    data = toy(tables={"customers": people, "activity": [a for a in ACTIVITY if a[0] == 1], "exit_survey": None})
    lost = counts.loss_counts(data, "region").frame
    assert lost["fee_lost"].sum() == 10_000  # twelve bills of 100, a twelfth


def split(rates):
    """Two levels: a large one that brings 90 % of the money, and the others."""
    rows = [("segment", "big", 100, round(9e6 * rates[0]), 1000, 9_000_000)]
    rows += [("segment", "small", 100, round(1e6 * rates[1]), 1000, 1_000_000)]
    names = ["split", "level", "n_lost", "fee_lost", "n_base", "fee_base"]
    table = pd.DataFrame(rows, columns=names).assign(fee_base_lost=lambda lost: lost["fee_lost"])
    segment = Segment("size", Label("规模", "Size"), ("big", "small"), (Label("大", "Big"), Label("小", "Small")))
    return SimpleNamespace(frame=table, about=replace(ABOUT, segment=segment))


@pytest.mark.parametrize(("rates", "word"), [((0.3, 0.1), "higher"), ((0.1, 0.3), "lower"), ((0.2, 0.2), "alike")])
def test_a_share_is_not_a_rate(rates, word):
    result = lost_money(split(rates))
    assert result.findings[1].key == f"losses.segment.{word}" and result.findings[1].values["level"].en == "Big"
    assert result.plot() is not None
    for statement in (*result.findings, *result.notes, result.subtitle):
        assert all(statement.say(language) for language in text.LANGUAGES)


def test_a_handful_tells_no_money():
    few = split((0.2, 0.2))
    few.frame["n_lost"] = [2, 3]
    assert lost_money(few).shown["fee_lost"].isna().all() and lost_money(few).findings[0].key == "losses.unknown"
