"""What each customer brought, step by step: one pass over activity that cohorts and value share.

A table of steps x customers is summed here from activity as it is read, because a statement that groups by customer and
month costs eight scans and this costs one and a half. It never leaves the counts: they sum it over customers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from churnlib.about import Period
from churnlib.counts import definitions
from churnlib.counts.revenue import make_revenue

LONGEST = 37  # calendar months that are looked at: three years and the month before them
REGULAR = 0.8  # share of the steps between a customer's first and last bill that have one, in regular billing

# One row per activity of some days.
ROWS = "SELECT customer, date, {value} AS value FROM {source} WHERE {within} {kinds}"
OUTSIDE = "SELECT count(*) FROM (SELECT 1 FROM activity WHERE date < $first OR date > $last LIMIT 1) AS one"
FIRST_BILL = "SELECT date FROM revenue ORDER BY date NULLS LAST LIMIT 1"

# One row per day with revenue.
DAILY = """
SELECT date, sum(amount) AS revenue FROM revenue
WHERE date <= $as_of {kept} GROUP BY date ORDER BY date NULLS LAST
"""

# One row per spell; the days as numbers.
SPELLS = """
SELECT customer, date_diff('day', DATE '1970-01-01', start_date) AS first,
  date_diff('day', DATE '1970-01-01', coalesce(end_date, DATE '9999-12-31')) AS last
FROM spells WHERE definition = $definition
"""


@dataclass(frozen=True)
class Monthly:
    """Revenue by customer and calendar month.

    Attributes
    ----------
    customers : numpy.ndarray, shape (n_customers,)
        Their codes, ascending.
    months : tuple of Period
        Up to the report's period.
    amount : numpy.ndarray of int64, shape (n_months, n_customers)
        Minor units.
    row, first, last : numpy.ndarray, shape (n_spells,)
        Of each spell, one of every customer before all others: the column of its customer, its first and last day as
        numbers; the last one is far off while it lasts.
    """

    customers: np.ndarray
    months: tuple[Period, ...]
    amount: np.ndarray
    row: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @cached_property
    def is_regular(self) -> bool:
        """Whether customers are billed month after month (see `is_regular`)."""
        return is_regular(self.amount != 0)

    def through(self, first: date, last: date) -> np.ndarray:
        """Tell who was a customer from the end of one day to the end of another, shape (n_customers,)."""
        is_through = (self.first <= number(first)) & (self.last > number(last))
        told, more = np.split(is_through, [len(self.customers)])
        told[self.row[len(told) :][more]] = True
        return told

    def here(self, day: date) -> np.ndarray:
        """Tell who was a customer after a day, shape (n_customers,)."""
        return self.through(day, day)

    def place(self, month: Period) -> int:
        """Give the row of a month; negative if it lies before the first."""
        return -1 if month < self.months[0] else self.months.index(month)


@dataclass(frozen=True)
class Stepwise:
    """Activity by customer and step since the start, kept by the calendar month (or week) in which the step begins.

    Attributes
    ----------
    amount : numpy.ndarray of int64, shape (n_rows * n_codes,)
        Month after month.
    first : numpy.ndarray of int64, shape (n_codes,)
        Where each customer's first month lies.
    size : int
        Rows of a step.
    silent : int
        Rows before the first activity of all.
    """

    amount: np.ndarray
    first: np.ndarray
    size: int
    silent: int

    def of(self, customers: np.ndarray, steps: int) -> np.ndarray:
        """Give the sums of some customers, shape (steps, n_customers)."""
        first, n = self.first[customers], len(self.first)
        found = np.zeros((steps * self.size, len(first)), self.amount.dtype)
        for row in range(max(self.silent - first.max() // n, 0), len(found)):  # records may begin after the customers
            self.amount[row * n :].take(first, out=found[row], mode="clip")
        return found if self.size == 1 else found.reshape(steps, self.size, -1).sum(axis=1)


def number(day: date) -> int:
    """Give the days since 1970-01-01."""
    return day.toordinal() - EPOCH


EPOCH = date(1970, 1, 1).toordinal()


def is_regular(*tables: np.ndarray) -> bool:
    """Tell whether customers are billed step after step, or buy now and then; in tables of who was active, steps x
    customers."""
    between = 0
    for active in tables:
        # from the first to the last bill = begun and not over = begun + not over - ever billed, summed over steps
        begun, not_over = _reached(active), _reached(active[::-1])
        between += begun.sum() + not_over.sum() - begun[-1] * len(active)
    return bool(between and sum(map(np.count_nonzero, tables)) >= REGULAR * between)


def _reached(active: np.ndarray) -> np.ndarray:
    """Count who has been active up to each step."""
    told, counts = np.zeros(active.shape[1], bool), np.zeros(len(active), np.int64)
    for step, is_active in enumerate(active):
        told |= is_active
        counts[step] = np.count_nonzero(told)
    return counts


def daily_revenue(data: Any) -> pd.DataFrame:
    """Sum revenue by day, once: one row per `date` with `revenue`, without the customers whom exclusions name."""
    make_revenue(data)
    kept = "AND customer NOT IN (SELECT customer FROM spells_excluded)" if data.spec.exclusions else ""
    return data.con.once("daily revenue", lambda: data.con.frame(DAILY.format(kept=kept), {"as_of": data.as_of}))


def monthly_revenue(data: Any, definition: str | None = None) -> Monthly | None:
    """Sum revenue by customer and calendar month, once; None where activity has no amounts in those months."""
    name = definitions.spells(data, definition)
    if not data.has("activity.amount"):
        return None
    make_revenue(data)
    last = Period.containing(data.about.period.last)
    return data.con.once(("monthly", name, last), lambda: _monthly(data, name, last))


def _monthly(data: Any, name: str, last: Period) -> Monthly | None:
    bill = data.con.frame(FIRST_BILL)["date"]
    begin = Period.containing(max(bill[0].date() if len(bill) else data.as_of, data.observed_from))
    begin = begin if begin.first >= data.observed_from else begin.shift(1)
    begin = max(begin, last.shift(1 - LONGEST))
    if begin > last:
        return None
    spells = data.con.frame(SPELLS, {"definition": name})
    months, size = tuple(_months(begin, last)), codes(data)
    amount = np.zeros((len(months), size), np.int64)
    days = np.arange(number(begin.first), number(last.last) + 1)
    cell = (days.astype("datetime64[D]").astype("datetime64[M]") - np.datetime64(begin.first, "M")).astype(int) * size
    daily = np.zeros(len(days), np.int64)
    for customer, day, value in _activity(data, begin.first, last.last, "revenue", "amount"):
        day = day - days[0]
        # month by month: neighbours in the file are neighbours in memory
        np.add.at(amount.reshape(-1), cell[day] + customer, value)
        np.add.at(daily, day, value)
    if len(bill) and bill[0].date() >= begin.first and last.last >= data.as_of and not data.spec.exclusions:
        dates = days.astype("datetime64[D]").astype("datetime64[s]")
        data.con.once("daily revenue", lambda: pd.DataFrame({"date": dates, "revenue": daily}))  # all of it was seen
    row, first, last_day = (spells[column].to_numpy(np.int32) for column in ("customer", "first", "last"))
    one = np.full(size, -1)
    one[row] = np.arange(len(row))  # a spell of each customer
    customers = np.flatnonzero(one >= 0)
    more = np.flatnonzero(one[row] != np.arange(len(row)))
    order = np.concatenate([one[customers], more])
    row, first, last_day = row[order], first[order], last_day[order]
    everybody = size - customers[0] == len(customers)
    amount = amount[:, customers[0] :] if everybody else amount[:, customers]
    return Monthly(customers, months, amount, np.searchsorted(customers, row), first, last_day)


def stepwise(data: Any, members: pd.DataFrame, size: int, **source: str) -> Stepwise:
    """Sum activity by customer and step since the customer's start.

    Parameters
    ----------
    data : Dataset
    members : pandas.DataFrame
        One row per customer: `customer`, `start_date`.
    size : int
        Months of a step; 0 for weeks.
    **source
        `source` (table), `value` (whole numbers, in SQL) and `kinds` (a condition) of `ROWS`.

    Returns
    -------
    Stepwise
        Who joined on the 31st completes a step on the last day of a shorter month.
    """
    n, start = codes(data), members["start_date"].to_numpy().astype("datetime64[D]")
    days = np.arange(start.min(), np.datetime64(data.as_of) + 1)
    of_day, of_start = (_clock(days, True), _clock(days)) if size else (days.astype(int), days.astype(int))
    of_start = of_start.take((start - days[0]).astype(int))
    length = 32 if size else 7
    before = of_start.min() // length - 1  # this row takes what lies before every start
    first, phase = np.zeros(n, np.int64), np.zeros(n, np.int32)
    first[members["customer"]] = (of_start // length - before) * n + members["customer"]
    phase[members["customer"]] = of_start % length
    row = (of_day[:, None] - np.arange(length)) // length - before  # where a step falls, by day and phase of the start
    cell = row.reshape(-1) * n
    amount = np.zeros((row.max() + 1 + 2 * max(size, 1)) * n, np.int64)  # the last steps end after the last day
    begin, earliest = days[0].item(), len(days)
    for customer, day, value in _activity(data, begin, data.as_of, **source):
        # month by month, as in `_monthly`: step by step would be all over the memory
        day = day - number(begin)
        earliest = min(earliest, day.min(initial=earliest))
        np.add.at(amount, cell.take(day * length + phase.take(customer)) + customer, value)
    return Stepwise(amount, first, max(size, 1), row[earliest:].min(initial=row.max()))


def completed(start: np.ndarray, day: date, size: int) -> np.ndarray:
    """Give the steps that customers have completed before a day, by the days they started on (see `stepwise`)."""
    start, day = start.astype("datetime64[D]"), np.array([np.datetime64(day, "D")])
    if not size:
        return (day.astype(int) - start.astype(int)) // 7
    return (_clock(day, True) - _clock(start)) // 32 // size


def _clock(days: np.ndarray, is_reached: bool = False) -> np.ndarray:
    """Give 32 x the month + the day of it, so that a difference // 32 is the whole months between two days; on the last
    day of a month everybody has completed it."""
    month = days.astype("datetime64[M]")
    of_month = (days - month).astype(int)
    if is_reached:
        of_month = np.where((days + 1).astype("datetime64[M]") > month, 31, of_month)
    return 32 * month.astype(int) + of_month


def codes(data: Any) -> int:
    """One more than the largest code of a customer."""
    tables = "(SELECT customer FROM customers UNION ALL SELECT customer FROM spells) AS known"
    return data.con.value(f"SELECT coalesce(max(customer), 0) FROM {tables}") + 1  # noqa: S608 (our own words)


def _activity(
    data: Any, first: date, last: date, source: str, value: str, kinds: str = ""
) -> Iterator[list[np.ndarray]]:
    """Give customers, days as numbers and values of activity, many at a time."""
    days, within = {"first": first, "last": last}, "date BETWEEN $first AND $last"
    if not data.con.value(OUTSIDE, days):  # known from the files' own statistics; to look at every day takes time
        days, within = None, "TRUE"
    return data.con.batches(ROWS.format(source=source, value=value, within=within, kinds=kinds), days)


def _months(first: Period, last: Period) -> Iterator[Period]:
    while first <= last:
        yield first
        first = first.shift(1)
