"""The disclosure gate: nothing unreliable is shown, and nothing hidden can be had by subtraction."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnlib.about import About, Period
from churnlib.show.disclosure import HIDDEN, SMALL, protect
from churnlib.text import Label

ABOUT = About("toy", Label("玩具", "toy"), date(2025, 12, 31), date(2023, 1, 1), Period(date(2025, 12, 1)))


def protected(rows, within=("period",)):
    table = pd.DataFrame(rows, columns=["level", "n", "d"]).assign(period="2025-12")
    table["rate"] = table["d"] / table["n"]
    return protect(table, ABOUT, count="d", base="n", hides=("d", "rate"), within=within)


def test_a_rate_of_few_customers_is_not_shown():
    shown = protected([("a", 29, 10), ("b", 30, 10)])
    assert list(shown["flag"]) == [SMALL, ""]
    assert np.isnan(shown["rate"][0]) and shown["rate"][1] == pytest.approx(1 / 3)


def test_a_small_count_is_hidden_together_with_a_partner():
    # total 4 + 20 + 90: with only "a" hidden, 114 - 110 would give it back
    shown = protected([("a", 500, 4), ("b", 500, 20), ("c", 500, 90)])
    assert list(shown["flag"]) == [HIDDEN, HIDDEN, ""]


def test_two_small_counts_hide_each_other():
    assert list(protected([("a", 500, 4), ("b", 500, 2), ("c", 500, 90)])["flag"]) == [HIDDEN, HIDDEN, ""]


def test_no_loss_and_no_customers_are_no_secret():
    assert list(protected([("a", 500, 0), ("b", 500, 90)])["flag"]) == ["", ""]


def test_all_but_a_few_lost_is_hidden_too():
    assert protected([("a", 100, 98), ("b", 500, 90), ("c", 500, 40)])["flag"][0] == HIDDEN


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=2, max_size=8))
def test_no_hidden_count_can_be_told_from_the_total(cells):
    shown = protected([(str(i), max(n, d), min(n, d)) for i, (n, d) in enumerate(cells)])
    missing = shown["d"].isna() & (shown["flag"] == HIDDEN)
    others = (shown["n"] > 0).sum()
    assert missing.sum() != 1 or others == 1  # one alone only where nobody else is in the total
