"""What customers bring and cost: ranked by what they pay, and between bands of what they were billed."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import YEAR, Period
from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, has_fee, segment
from churnlib.counts.histories import Monthly, codes, monthly_revenue

# One row per hundredth of the customers who were there after a day, the best payers first. Adds over hundredths. The
# cost of a customer is the service cost and what the margin leaves to others, where either is recorded.
HUNDREDTHS = """
WITH there AS (
  SELECT s.customer, {fee} AS fee, CASE WHEN s.end_date <= $until THEN 1 ELSE 0 END AS lost, {service} AS service,
    {margin} AS margin
  FROM spells AS s JOIN customers AS c ON c.customer = s.customer {fees}
  WHERE s.definition = $definition AND s.start_date <= $day AND (s.end_date IS NULL OR s.end_date > $day)
),
costed AS (
  SELECT customer, fee, lost, CASE WHEN service IS NULL AND margin IS NULL THEN NULL
    ELSE coalesce(service, 0) + CAST(round(fee * (1 - coalesce(margin, 1))) AS BIGINT) END AS cost,
    coalesce(service, 0) AS service
  FROM there
),
ranked AS (
  SELECT fee, cost, service, lost, row_number() OVER (ORDER BY fee DESC NULLS LAST, customer NULLS LAST) AS place,
    (SELECT count(*) FROM there) AS n_all
  FROM costed
)
SELECT (100 * (place - 1)) // nullif(n_all, 0) AS hundredth, count(*) AS n_customers, sum(lost) AS n_lost,
  sum(fee) AS fee, sum(lost * fee) AS fee_lost, count(cost) AS n_costed, coalesce(sum(cost), 0) AS cost,
  sum(service) AS service,
  sum(CASE WHEN cost IS NOT NULL THEN fee ELSE 0 END) AS fee_costed,
  sum(CASE WHEN cost > fee THEN 1 ELSE 0 END) AS n_unprofitable,
  sum(CASE WHEN cost > fee THEN cost - fee ELSE 0 END) AS shortfall
FROM ranked GROUP BY (100 * (place - 1)) // nullif(n_all, 0)
ORDER BY hundredth NULLS LAST
"""

# One row per activity of some months of which it was recorded what was used.
USED = "SELECT customer, quantity FROM activity WHERE date BETWEEN $first AND $last AND quantity IS NOT NULL"

# A margin of 18 means 18 %.
MARGIN = "CASE WHEN c.margin > 1 THEN c.margin / 100 ELSE c.margin END"

BANDS = ("high", "middle", "low", "none", "left")  # in this order as they are coded
QUIET = ("none", "unused", "fallen", "steady")
FELL = 0.5  # share of the own base below which a customer's bills have fallen


def worth_counts(data: Any, *, years_back: int = 0, definition: str | None = None) -> Counts:
    """Count customers by hundredths of what they pay a month, with what they cost, and who of them left.

    Parameters
    ----------
    data : Dataset
    years_back : int
        0 ranks those who were there at the end of the report's period; 1 those of a year before.
    definition : str, optional

    Returns
    -------
    Counts
        One row per hundredth (0: those who pay most): `n_customers`, `fee` a month (where customers have none, their
        mean revenue a month over the year before); `n_lost`, `fee_lost` (of those, lost by the end of the report's
        period); `n_costed` (with a service cost or a margin), their `fee_costed` and `cost` (of which `service`),
        `n_unprofitable` (cost more than they pay) and their `shortfall`. Money in minor units. Adds over hundredths.

    Raises
    ------
    DataError
        If there are neither fees nor amounts.
    """
    name, (_, everybody) = definitions.spells(data, definition), segment(data, None)
    until = data.about.period
    day = until
    for _ in range(years_back):
        day = day.year_before()
    parts = {"fee": "coalesce(c.monthly_fee, 0)", "fees": ""}
    if not has_fee(data):
        _load_fees(data, name, day.last)
        parts = {"fee": "coalesce(f.fee, 0)", "fees": "LEFT JOIN mean_revenue AS f ON f.customer = s.customer"}
    parts["service"] = "c.service_cost" if data.has("customers.service_cost") else "CAST(NULL AS BIGINT)"
    parts["margin"] = MARGIN if data.has("customers.margin") else "CAST(NULL AS DOUBLE)"
    frame = data.con.frame(HUNDREDTHS.format(**parts), {"definition": name, "day": day.last, "until": until.last})
    return Counts(frame, about(data, everybody, None, name), ("hundredth",), ("hundredth",))


def _load_fees(data: Any, name: str, day: date) -> None:
    """Make the table `mean_revenue`: by customer, revenue a month over the year up to a day."""
    monthly = monthly_revenue(data, name)
    if monthly is None:
        raise text.DataError("value.no_fee")
    last = monthly.place(Period.containing(day)) + 1
    window = monthly.amount[max(last - YEAR["month"], 0) : last]
    fee = np.rint(window.sum(axis=0) / max(len(window), 1)).astype(np.int64)
    data.con.load("mean_revenue", pd.DataFrame({"customer": monthly.customers, "fee": fee}))


def band_window(data: Any, *, definition: str | None = None) -> int:
    """Give the months over which bills are compared: 3 where customers are billed every month, 12 where they buy now
    and then, so that a buyer every four months never looks like one who stopped."""
    monthly = monthly_revenue(data, definition)
    return 3 if monthly is not None and monthly.is_regular else 12


def _back_to(data: Any, name: str, months: int) -> tuple[Monthly, int] | None:
    """Give monthly revenue and one more than the row of the last month; None if it does not reach so many back."""
    monthly, last = monthly_revenue(data, name), Period.containing(data.about.period.last)
    if monthly is None or monthly.place(last.shift(1 - months)) < 0:
        return None
    return monthly, monthly.place(last) + 1


def _summed(rows: dict[str, Any], grain: tuple[str, str], words: dict[str, tuple[str, ...]]) -> pd.DataFrame:
    """Sum customers and amounts, and name the codes."""
    frame = pd.DataFrame(rows).groupby(list(grain), as_index=False).sum()
    for column, names in words.items():
        frame[column] = np.array(names, object)[frame[column]]
    return frame.sort_values(list(grain), ignore_index=True)


def band_counts(data: Any, *, months: int = 3, definition: str | None = None) -> Counts:
    """Count who moved between bands of the amount billed: the last months against the same months a year before.

    Parameters
    ----------
    data : Dataset
    months : int
        Length of either window; the later one ends with the report's period.

    Returns
    -------
    Counts
        One row per `band_before` and `band_now`: "high", "middle", "low" (thirds of those billed in the earlier window;
        the later amounts are judged by the same limits), "none" (nothing billed) and, now, "left": `n_customers`,
        `amount_before`, `amount_now` of the window in minor units. Only customers who were there all through the
        earlier window. Empty when activity has no amounts or does not reach back so far.
    """
    name, (_, everybody) = definitions.spells(data, definition), segment(data, None)
    told, grain = about(data, everybody, None, name), ("band_before", "band_now")
    names = [*grain, "n_customers", "amount_before", "amount_now"]
    found = _back_to(data, name, YEAR["month"] + months)
    if found is None:
        return Counts(pd.DataFrame(columns=names), told, grain, grain)
    monthly, end = found
    now, before = (slice(last - months, last) for last in (end, end - YEAR["month"]))
    stayed = _through(monthly, before)
    earlier, later = (monthly.amount[window].sum(axis=0)[stayed] for window in (before, now))
    billed = np.sort(earlier[earlier > 0])[::-1]
    if not billed.size:
        return Counts(pd.DataFrame(columns=names), told, grain, grain)
    high, middle = billed[(len(billed) + 2) // 3 - 1], billed[(2 * len(billed) + 1) // 3 - 1]
    gone = ~monthly.here(monthly.months[now.stop - 1].last)[stayed]
    bands = np.where(gone, BANDS.index("left"), _band(later, high, middle))
    rows = {"band_before": _band(earlier, high, middle), "band_now": bands}
    rows |= {"n_customers": np.ones(len(bands), int), "amount_before": earlier, "amount_now": later}
    return Counts(_summed(rows, grain, dict.fromkeys(grain, BANDS)), told, grain, grain)


def _through(monthly: Monthly, window: slice) -> np.ndarray:
    """Tell who was a customer from the first day of a window to its last."""
    opening, closing = monthly.months[window.start].first, monthly.months[window.stop - 1].last
    return monthly.through(opening, closing)


def _band(amount: np.ndarray, high: int, middle: int) -> np.ndarray:
    return np.select([amount <= 0, amount >= high, amount >= middle], [3, 0, 1], 2)


def quiet_counts(data: Any, by: str | None = None, *, months: int = 3, definition: str | None = None) -> Counts:
    """Count customers who are still here but bring nothing any more, or lastingly less than their own base.

    Parameters
    ----------
    data : Dataset
    by : str, optional
        Name of a declared segment, read at the end of the report's period.
    months : int
        Length of the window that ends with the report's period; the base is the year before it.

    Returns
    -------
    Counts
        One row per `level` and `what`: "none" (billed in the base without a gap as long as the window, nothing in the
        window), "unused" (billed in the window with a quantity of 0, such as no call), "fallen" (each month of the
        window, or the window as a whole where customers buy now and then, under half of the base), "steady" (all else):
        `n_customers`, `amount_before` (a month of the base), `amount_now` (a month of the window). Customers here from
        the start of the base on. Adds over both. Empty as `band_counts`.
    """
    name, (source, division) = definitions.spells(data, definition), segment(data, by)
    told, grain = about(data, division, None, name), ("level", "what")
    names = [*grain, "n_customers", "amount_before", "amount_now"]
    found = _back_to(data, name, YEAR["month"] + months)
    if found is None:
        return Counts(pd.DataFrame(columns=names), told, grain, grain)
    monthly, end = found
    last = monthly.months[end - 1]
    whole = slice(end - months - YEAR["month"], end)
    base, now = np.split(monthly.amount[whole], [YEAR["month"]])
    usual = base.sum(axis=0) / YEAR["month"]
    is_rare = _gap(base) >= months  # a buyer every four months has not stopped after three
    whole_year = months >= YEAR["month"]
    fallen = now.mean(axis=0) < FELL * usual if whole_year else (now < FELL * usual).all(axis=0) & ~is_rare
    none = (now <= 0).all(axis=0) & (usual > 0) & ~is_rare
    unused = _unused(data, monthly.months[end - months], last)[monthly.customers]
    what, stayed = np.select([none, unused & ~none, fallen & (usual > 0)], [0, 1, 2], 3), _through(monthly, whole)
    level = _levels_at(data, source, last.last, monthly.customers[stayed]) if by else ""
    rows = {"level": level, "what": what[stayed], "n_customers": np.ones(np.count_nonzero(stayed), int)}
    rows["amount_before"] = np.rint(usual[stayed]).astype(np.int64)
    rows["amount_now"] = np.rint(now.mean(axis=0)[stayed]).astype(np.int64)
    return Counts(_summed(rows, grain, {"what": QUIET}), told, grain, grain)


def _unused(data: Any, first: Period, last: Period) -> np.ndarray:
    """Tell by code whose activity of some months came to a quantity of 0, where quantities are recorded."""
    used, is_recorded = np.zeros(codes(data)), np.zeros(codes(data), bool)
    if data.has("activity.quantity"):
        for customer, quantity in data.con.batches(USED, {"first": first.first, "last": last.last}):
            np.add.at(used, customer, quantity)
            is_recorded[customer] = True
    return is_recorded & (used <= 0)


def _levels_at(data: Any, source: str, day: date, customers: np.ndarray) -> np.ndarray:
    sql = f"SELECT customer, level FROM {source} WHERE $day BETWEEN from_date AND to_date"  # noqa: S608 (quoted)
    return data.con.frame(sql, {"day": day}).set_index("customer")["level"].reindex(customers).to_numpy()


def _gap(amount: np.ndarray) -> np.ndarray:
    """Longest run of months without a bill, by customer."""
    longest = run = np.zeros(amount.shape[1], np.int16)
    for month in amount:
        run = np.where(month > 0, 0, run + 1)
        longest = np.maximum(longest, run)
    return longest
