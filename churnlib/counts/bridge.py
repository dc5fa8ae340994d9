"""What became of the revenue of each period: who brings more, less, nothing any more, and who is new or back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from churnlib.about import Period
from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, segment
from churnlib.counts.histories import Monthly, is_regular, monthly_revenue, number
from churnlib.counts.revenue import revenue_note
from churnlib.engine import BATCH

UNITS = ("month", "quarter", "year")
FLOWS = (("new", 1), ("expansion", 1), ("reactivated", 1), ("contraction", -1), ("churned", -1))  # as they are coded


def bridge_counts(data: Any, unit: str | None = None, *, definition: str | None = None) -> Counts:
    """Set the revenue of every customer in each period against the one before.

    Parameters
    ----------
    data : Dataset
    unit : {"month", "quarter", "year"}, optional
        If not given, the shortest in which customers are billed regularly, so that who buys every four months does not
        seem lost and back again; the longest that the data hold twice if there is none.
    definition : str, optional

    Returns
    -------
    Counts
        One row per complete period after the first, of at most three years: `opening` (revenue of the period before),
        `new` (of customers never billed before), `reactivated` (billed before, not in the period before), `expansion`
        and `contraction` (of customers in both, contraction down to nothing while still a customer), `churned` (billed
        in the period before, not in this one, and no customer at its end by the definition), `closing`; each with its
        customers `n_...`. Minor units; contraction and churned are positive. opening + new + expansion + reactivated -
        contraction - churned = closing. Flows of different periods do not add. Empty without amounts.
    """
    name, (_, everybody) = definitions.spells(data, definition), segment(data, None)
    monthly = monthly_revenue(data, name)
    told = about(data, everybody, None, name)
    if monthly is None:
        return Counts(pd.DataFrame(columns=["period"]), told, ("period",), ())
    unit, periods, sums = _regular(monthly, (unit,) if unit else UNITS)
    told = about(data, everybody, unit, name)
    ever = _billed_earlier(monthly)
    parts = [slice(first, first + BATCH) for first in range(0, len(ever), BATCH)]
    rows = []
    for k in range(1, len(periods)):
        ever |= sums[k - 1] != 0
        each = sums[k - 1], sums[k], ever, monthly.here(periods[k].last)
        flows = sum(_flows(*(column[part] for column in each)) for part in parts)
        rows.append({"period": str(periods[k]), **_named(flows)})
    frame = pd.DataFrame(rows, columns=None if rows else ["period"])
    return Counts(frame, replace(told, revenue_note=revenue_note(data)), ("period",), ())


def regular_unit(data: Any, units: Iterable[str], definition: str | None = None) -> str | None:
    """Give the first of some units in which customers are billed period after period; None if there is none."""
    monthly = monthly_revenue(data, definition)
    tried = _tried(monthly, units) if monthly is not None else ()
    return next((unit for unit, _, _, is_it in tried if is_it), None)


def _regular(monthly: Monthly, units: Iterable[str]) -> tuple[str, list[Period], np.ndarray]:
    """Sum months to the first unit of regular bills; the longest that the data hold twice if there is none."""
    found = None
    for *one, is_it in _tried(monthly, units):
        found = one if found is None or len(one[1]) > 1 else found
        if is_it:
            break
    return tuple(found)


def _tried(monthly: Monthly, units: Iterable[str]) -> Iterator[tuple[str, list[Period], np.ndarray, bool]]:
    """Give each unit with its periods, the sums of customers in them, and whether bills come period after period."""
    for unit in units:
        periods, sums = _periods(monthly, unit)
        yield unit, periods, sums, len(periods) > 1 and is_regular(sums != 0)


def _periods(monthly: Monthly, unit: str) -> tuple[list[Period], np.ndarray]:
    """Sum months to the periods that they fill: periods x customers."""
    groups: dict[Period, list[int]] = {}
    for k, month in enumerate(monthly.months):
        groups.setdefault(Period.containing(month.first, unit), []).append(k)
    whole = [(p, months) for p, months in groups.items() if p.last <= monthly.months[-1].last]
    whole = [(p, months) for p, months in whole if monthly.months[months[0]].first == p.first]
    if unit == "month":
        return [p for p, _ in whole], monthly.amount
    return [p for p, _ in whole], np.array([monthly.amount[months].sum(axis=0) for _, months in whole])


def _billed_earlier(monthly: Monthly) -> np.ndarray:
    """Tell who was a customer before the first month that is looked at: their first bill here is not their first."""
    told = np.zeros(len(monthly.customers), bool)
    told[monthly.row[monthly.first < number(monthly.months[0].first)]] = True
    return told


def _named(flows: np.ndarray) -> dict[str, int]:
    """Name the sums of `_flows`; contraction and churned are told without their sign."""
    (opening, closing, *amounts), (n_opening, n_closing, *customers) = np.rint(flows).astype(np.int64).tolist()
    out = {"opening": opening, "closing": closing, "n_opening": n_opening, "n_closing": n_closing}
    for (name, sign), amount, n in zip(FLOWS, amounts, customers, strict=True):
        out |= {name: sign * amount, f"n_{name}": n}
    return out


def _flows(before: np.ndarray, now: np.ndarray, ever: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Put every customer to one flow: the amounts, and the customers, of the opening, the closing and each flow, shape
    (2, 7); amounts of one period stay far below what a double holds exactly."""
    was, is_, change = before != 0, now != 0, now - before
    told = was, is_, np.where(was, here, ever), change > 0, change < 0
    kind = sum(mark.view(np.uint8) << place for place, mark in enumerate(told)).astype(np.intp)
    flows = [np.bincount(FLOW_OF, np.bincount(kind, weights, len(FLOW_OF)), 6)[1:] for weights in (change, None)]
    return np.array([[before.sum(), now.sum(), *flows[0]], [was.sum(), is_.sum(), *flows[1]]])


def _flow(was: int, is_: int, stays: int, more: int, less: int) -> int:
    """The flow of who was billed before, or is now; `stays`: is still a customer, or of a new bill was one ever."""
    if was:
        return (2 if more else 4 if less else 0) if is_ or stays else 5
    return (3 if stays else 1) if is_ else 0


FLOW_OF = np.array([_flow(*(kind >> place & 1 for place in range(5))) for kind in range(32)])  # a byte a customer
