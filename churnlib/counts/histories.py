"""What each customer brought, step by step: one pass over activity that cohorts and value share.

A table of customers x steps is summed here from activity read some months at a time, because a statement that groups by
customer and month costs nine scans and this costs two. It never leaves the counts: they sum it over customers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from churnlib.about import Period
from churnlib.counts import definitions
from churnlib.counts.revenue import make_revenue

LONGEST = 37  # calendar months that are looked at: three years and the month before them
AT_ONCE = 4_000_000  # rows of activity in memory, about
REGULAR = 0.8  # share of the steps between a customer's first and last bill that have one, in regular billing

# One row per activity of some days; the day as a number from the first of them.
ROWS = """
SELECT customer, CAST(date_diff('day', CAST($first AS DATE), date) AS INTEGER) AS day, {value} AS value
FROM {source} WHERE date BETWEEN $first AND $last {kinds}
"""

# One row per spell.
SPELLS = """
SELECT customer, start_date, end_date FROM spells WHERE definition = $definition
ORDER BY customer NULLS LAST, start_date NULLS LAST
"""
_MONTHLY: WeakKeyDictionary = WeakKeyDictionary()


@dataclass(frozen=True)
class Monthly:
    """Revenue by customer and calendar month.

    Attributes
    ----------
    customers : numpy.ndarray, shape (n_customers,)
        Their codes, ascending.
    months : tuple of Period
        Up to the report's period.
    amount : numpy.ndarray of int64, shape (n_customers, n_months)
        Minor units.
    spells : pandas.DataFrame
        One row per spell: `row` of its customer, `start_date`, `end_date`.
    """

    customers: np.ndarray
    months: tuple[Period, ...]
    amount: np.ndarray
    spells: pd.DataFrame

    def here(self, day: date) -> np.ndarray:
        """Tell who was a customer after a day, shape (n_customers,)."""
        start, end = self.spells["start_date"], self.spells["end_date"]
        told = np.zeros(len(self.customers), bool)
        told[self.spells["row"][(start <= pd.Timestamp(day)) & ~(end <= pd.Timestamp(day))]] = True
        return told

    def place(self, month: Period) -> int:
        """Give the column of a month; negative if it lies before the first."""
        return -1 if month < self.months[0] else self.months.index(month)


def is_regular(active: np.ndarray) -> bool:
    """Tell whether customers are billed step after step, or buy now and then; `active` is customers x steps."""
    active = active[active.any(axis=1)]
    first, last = active.argmax(axis=1), active[:, ::-1].argmax(axis=1)
    between = (active.shape[1] - last - first).sum()
    return bool(between and active.sum() >= REGULAR * between)


def monthly_revenue(data: Any, definition: str | None = None) -> Monthly | None:
    """Sum revenue by customer and calendar month, once; None where activity has no amounts in those months."""
    name = definitions.spells(data, definition)
    if not data.has("activity.amount"):
        return None
    kept = _MONTHLY.setdefault(data.con, {})
    if name not in kept:
        make_revenue(data)
        kept[name] = _monthly(data, name)
    return kept[name]


def _monthly(data: Any, name: str) -> Monthly | None:
    last = Period.containing(data.about.period.last)
    first_day = data.con.value("SELECT min(date) FROM revenue")
    begin = Period.containing(max(first_day or data.as_of, data.observed_from))
    begin = begin if begin.first >= data.observed_from else begin.shift(1)
    begin = max(begin, last.shift(1 - LONGEST))
    if begin > last:
        return None
    spells = data.con.frame(SPELLS, {"definition": name})
    customers = spells["customer"].unique()
    rows = _rows_of(customers)
    months = tuple(_months(begin, last))
    amount = np.zeros((len(customers), len(months)), np.int64, order="F")
    flat = amount.reshape(-1, order="F")  # the same memory
    for at, days, day, value in _read(data, rows, begin.first, last.last, "revenue", "amount"):
        month = (days.astype("datetime64[M]") - np.datetime64(begin.first, "M")).astype(int)
        np.add.at(flat, month[day] * len(customers) + at, value)
    spells["row"] = rows[spells["customer"].to_numpy()]
    return Monthly(customers, months, amount, spells)


def stepwise(data: Any, members: pd.DataFrame, steps: int, size: int, **source: str) -> np.ndarray:
    """Sum activity by customer and step since the customer's start.

    Parameters
    ----------
    data : Dataset
    members : pandas.DataFrame
        One row per customer: `customer`, `start_date`.
    steps : int
        How many.
    size : int
        Months of a step; 0 for weeks.
    **source
        `source` (table), `value` (whole numbers, in SQL) and `kinds` (a condition) of `ROWS`.

    Returns
    -------
    numpy.ndarray of int64, shape (n_members, steps)
        Who joined on the 31st completes a step on the last day of a shorter month.
    """
    rows, n = _rows_of(members["customer"].to_numpy()), len(members)
    start = members["start_date"].to_numpy().astype("datetime64[D]")
    start_month = start.astype("datetime64[M]").astype(int).astype(np.int32)
    start_day = (start - start.astype("datetime64[M]")).astype(np.int32)
    sums = np.zeros(n * steps, np.int64)
    for at, days, day, value in _read(data, rows, start.min().item(), data.as_of, **source):
        if size:
            first = days.astype("datetime64[M]")
            of_month, length = (days - first).astype(int), ((first + 1).astype("datetime64[D]") - first).astype(int)
            # on the last day of a month everybody has completed it
            of_month = np.where(of_month == length - 1, 31, of_month).astype(np.int32)
            month = first.astype(int).astype(np.int32)
            step = (month[day] - start_month[at] - (of_month[day] < start_day[at])) // size
            used = (step >= 0) & (step < steps)
        else:
            step = (days.astype(int)[day] - start.astype(int)[at]) // 7
            used = (step >= 0) & (step < steps)
        cell = step.astype(np.int64) * n + at  # step by step: neighbours in the file are neighbours in memory
        np.add.at(sums, *((cell, value) if used.all() else (cell[used], value[used])))
    return sums.reshape(steps, n).T


def _read(
    data: Any, rows: np.ndarray, first: date, last: date, source: str, value: str, kinds: str = ""
) -> Iterator[tuple[np.ndarray, ...]]:
    """Give activity of known customers some months at a time: their rows, the days of the span, the place of each
    activity's day among them, its value."""
    extent = data.con.frame("SELECT count(*) AS n, min(date) AS first, max(date) AS last FROM activity").iloc[0]
    if not extent["n"]:
        return
    first, last = max(first, extent["first"].date()), min(last, extent["last"].date())
    months = list(_months(Period.containing(first), Period.containing(last)))
    size = max(1, int(AT_ONCE * len(months) // extent["n"]))
    for k in range(0, len(months), size):
        inside = {"first": max(months[k].first, first), "last": min(months[k : k + size][-1].last, last)}
        bought = data.con.arrays(ROWS.format(source=source, value=value, kinds=kinds), inside)
        at = rows[np.minimum(bought["customer"], len(rows) - 1)]
        known, all_days = at >= 0, np.arange(inside["first"], inside["last"] + timedelta(days=1))
        value_of = np.ma.filled(bought["value"], 0)
        if known.all():
            yield at, all_days, bought["day"], value_of
        else:
            yield at[known], all_days, bought["day"][known], value_of[known]


def _months(first: Period, last: Period) -> Iterator[Period]:
    while first <= last:
        yield first
        first = first.shift(1)


def _rows_of(customers: np.ndarray) -> np.ndarray:
    """Give the row of each customer code, -1 for codes that are not among them."""
    rows = np.full(int(customers.max(initial=0)) + 2, -1, np.int32)
    rows[customers] = np.arange(len(customers))
    return rows
