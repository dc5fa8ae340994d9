"""The books balance, and the tracking table follows the texts' formulas."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from counted import ABOUT, period_counts

from churnlib import text
from churnlib.about import Period
from churnlib.trend.ledger import customer_ledger, tracking_table


def booked(lost, opening=10_000, **flows):
    """Count periods whose openings follow from the closings before."""
    counts = period_counts(lost, opening, **flows)
    for i in range(len(counts.frame)):
        if i:
            counts.frame.loc[i, "n_opening"] = counts.frame.loc[i - 1, "n_closing"]
        row = counts.frame.loc[i]
        counts.frame.loc[i, "n_closing"] = row.n_opening + row.n_new + row.n_reactivated - row.n_churned
    return counts


def test_opening_new_reactivated_less_churned_is_closing():
    books = customer_ledger(booked([200, 180, 220])).table
    assert (books.n_opening + books.n_new + books.n_reactivated - books.n_churned == books.n_closing).all()
    assert (books.n_opening.iloc[1:].to_numpy() == books.n_closing.iloc[:-1].to_numpy()).all()


def test_books_that_do_not_balance_are_refused():
    counts = booked([200, 180, 220])
    counts.frame.loc[1, "n_closing"] += 1
    with pytest.raises(text.DataError, match="2025-11"):
        customer_ledger(counts)


def test_the_two_churn_rates_reconcile():
    base, reconciled = customer_ledger(booked([200, 180, 220])).findings
    v = reconciled.values
    assert v["rate"] + v["new"] - v["back"] == pytest.approx(v["net"])
    assert base.key == "ledger.base_shrank"  # 200 new + 10 back - 225 churned


def test_the_tracking_table_gives_the_texts_figures():
    table = tracking_table(booked([200] * 14)).table.set_index("figure")
    assert table.loc["retention_rate", "value"] == pytest.approx(1 - table.loc["net_rate", "value"])
    assert table.loc["n_churned", "change"] == 0 and table.loc["churn_rate", "year_change"] < 0


def test_losses_per_customer_day_are_flat_under_a_constant_risk_whatever_grows():
    # 0.0006 a day; months of 28 to 31 days, a base that doubles
    counts = period_counts([0] * 14, opening=[10_000 + 700 * i for i in range(14)])
    days = [Period.parse(period).days for period in counts.frame["period"]]
    counts.frame["exposure_days"] = counts.frame["n_opening"] * days
    counts.frame["n_churned"] = 0.0006 * counts.frame["exposure_days"]
    row = tracking_table(counts).table.set_index("figure").loc["hazard"]
    assert (row["value"], row["previous"], row["year_ago"]) == pytest.approx((18.0, 18.0, 18.0))


def test_money_is_lost_gross_and_net():
    counts = booked([200] * 3)
    fees = {"fee_opening": 500_000, "fee_churned_opening": 9_000, "fee_churned": 9_500, "fee_reactivated": 500}
    table = tracking_table(type(counts)(frame=counts.frame.assign(**fees), about=counts.about)).table
    rate = table.set_index("figure")["value"]
    assert (rate["money_rate"], rate["net_money_rate"]) == pytest.approx((0.018, 0.018))
    assert rate["n_churned_new"] == 5


def test_few_losses_among_new_customers_are_not_told():
    counts = booked([200] * 3)
    counts.frame["n_churned_new"] = 3
    told = set(tracking_table(counts).table["figure"])
    assert {"churn_rate", "n_new", "net_rate"} < told  # what came back, of ten, hides them
    assert not told & {"n_churned_new", "n_churned", "n_reactivated"}
    counts.frame["n_reactivated"] = 0  # nobody came back: who came new has to
    told = set(tracking_table(counts).table["figure"])
    assert "churn_rate" in told and not told & {"n_churned_new", "n_churned", "n_new", "net_rate", "retention_rate"}


def test_the_books_give_back_no_handful_of_churned_customers():
    counts = booked([200, 3, 200])
    shown = customer_ledger(counts).shown.iloc[1]
    assert shown[["n_churned", "n_reactivated", "churn_rate"]].isna().all()  # one of the first two gives the other
    counts = booked([200, 3, 200], back=0)
    shown = customer_ledger(counts).shown.iloc[1]
    assert shown[["n_churned", "n_new", "churn_rate", "net_rate"]].isna().all()
    table = tracking_table(counts).table.set_index("figure")
    assert table.loc[["n_churned", "n_new", "churn_rate", "net_rate", "retention_rate"], "previous"].isna().all()


@pytest.mark.parametrize(("last", "later"), [("2025-12", 3), ("2025-Q4", 1), ("2025-W52", 14), ("2025", None)])
def test_new_customers_are_judged_three_months_after_they_joined(last, later):
    counts = period_counts([200] * 20, last=last, about=replace(ABOUT, period=Period.parse(last)))
    joined = counts.frame[["period"]].assign(n_new_judged=100, n_new_regular=range(20))
    table = tracking_table(counts, SimpleNamespace(frame=joined)).table.set_index("figure")["value"]
    assert table.get("conversion") == (later and (19 - later) / 100)


def test_figures_that_the_data_cannot_give_are_left_out():
    assert "csi" not in set(tracking_table(booked([200])).table["figure"])
    first = tracking_table(booked([200])).table
    assert first["previous"].isna().all() and isinstance(first, pd.DataFrame)
