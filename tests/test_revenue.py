"""What counts as revenue: by kind of activity, declared or by default, and said."""

import pytest
from toy import ACTIVITY, row, toy

from churnlib import text
from churnlib.counts import period_counts
from churnlib.counts.revenue import revenue_kinds


def with_kinds(*kinds, **spec):
    """The toy data with one more activity of each kind in December 2024: 100, 200, 300 ... fen."""
    more = [(6, "2024-12-20", 100 * (i + 1), kind) for i, kind in enumerate(kinds)]
    return toy(tables={"activity": [*((*a, "bill") for a in ACTIVITY), *more]}, **spec)


def december(data):
    return row(period_counts(data), period="2024-12").revenue - 10_000  # customer 1's bill


@pytest.mark.parametrize(
    ("kinds", "brought"),
    [
        (("sale", "shipment"), 100),  # a shipment to the customer is only moved stock
        (("payment", "arrears", "deposit"), 0),  # paying a bill, not paying it, and lending money to a bank
        (("return", "refund"), -300),  # whichever sign they were recorded with
        (("own word",), 100),
    ],
)
def test_only_what_customers_bring_is_revenue(kinds, brought):
    assert december(with_kinds(*kinds)) == brought


def test_returns_already_negative_stay_negative():
    data = toy(tables={"activity": [*((*a, "bill") for a in ACTIVITY), (6, "2024-12-20", -700, "return")]})
    assert december(data) == -700


def test_where_nothing_else_is_recorded_payments_or_shipments_stand_in():
    data = toy(tables={"activity": [(1, "2024-12-05", 100, "shipment"), (1, "2024-12-06", 50, "arrears")]})
    assert revenue_kinds(data) == ("shipment",)


def test_the_data_set_has_the_last_word():
    assert december(with_kinds("sale", "shipment", revenue_kinds=["bill", "shipment"])) == 200
    with pytest.raises(text.DataError, match="shipmnt"):
        period_counts(with_kinds("sale", revenue_kinds=["shipmnt"]))


def test_the_note_names_what_counts_and_what_does_not():
    note = period_counts(with_kinds("sale", "shipment", "return")).about.revenue_note
    assert "账单" in note.zh and "不计为收入：发货" in note.zh
    assert "Deducted from it: returns" in note.en and "Not revenue: shipments" in note.en
