"""The books balance, and the tracking table follows the texts' formulas."""

import pandas as pd
import pytest
from counted import period_counts

from churnlib import text
from churnlib.statistics.ledger import customer_ledger, tracking_table


def booked(lost, opening=10_000):
    """Count periods whose openings follow from the closings before."""
    counts = period_counts(lost, opening)
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


def test_figures_that_the_data_cannot_give_are_left_out():
    assert "csi" not in set(tracking_table(booked([200])).table["figure"])
    first = tracking_table(booked([200])).table
    assert first["previous"].isna().all() and isinstance(first, pd.DataFrame)
