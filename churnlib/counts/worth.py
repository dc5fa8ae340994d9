"""What customers bring and cost: ranked by their monthly fee, and between bands of what they were billed."""

from __future__ import annotations

from typing import Any

import pandas as pd

from churnlib import text
from churnlib.about import Period
from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, has_fee, segment

# One row per hundredth of the customers who were there after a day, the best payers first. Adds over hundredths.
HUNDREDTHS = """
WITH there AS (
  SELECT s.customer, coalesce(c.monthly_fee, 0) AS fee, {cost} AS cost,
    CASE WHEN s.end_date <= $until THEN 1 ELSE 0 END AS lost
  FROM spells AS s JOIN customers AS c ON c.customer = s.customer
  WHERE s.definition = $definition AND s.start_date <= $day AND (s.end_date IS NULL OR s.end_date > $day)
),
ranked AS (
  SELECT fee, cost, lost, row_number() OVER (ORDER BY fee DESC NULLS LAST, customer NULLS LAST) AS place,
    count(*) OVER () AS n_all
  FROM there
)
SELECT (100 * (place - 1)) // nullif(n_all, 0) AS hundredth, count(*) AS n_customers, sum(lost) AS n_lost,
  sum(fee) AS fee, sum(lost * fee) AS fee_lost, count(cost) AS n_costed, coalesce(sum(cost), 0) AS cost,
  sum(CASE WHEN cost IS NOT NULL THEN fee ELSE 0 END) AS fee_costed,
  sum(CASE WHEN cost > fee THEN 1 ELSE 0 END) AS n_unprofitable,
  sum(CASE WHEN cost > fee THEN cost - fee ELSE 0 END) AS shortfall
FROM ranked GROUP BY (100 * (place - 1)) // nullif(n_all, 0)
ORDER BY hundredth NULLS LAST
"""

# One row per customer who was there all through the earlier window: what was billed in it and in the later one.
BILLED = """
CREATE OR REPLACE TEMP TABLE billed AS
WITH amounts AS (
  SELECT customer, sum(CASE WHEN date <= $base_last THEN amount ELSE 0 END) AS earlier,
    sum(CASE WHEN date >= $first THEN amount ELSE 0 END) AS later
  FROM activity WHERE date BETWEEN $base_first AND $base_last OR date BETWEEN $first AND $last
  GROUP BY customer
)
SELECT s.customer, coalesce(a.earlier, 0) AS earlier, coalesce(a.later, 0) AS later, t.customer IS NULL AS is_gone
FROM spells AS s
LEFT JOIN amounts AS a ON a.customer = s.customer
LEFT JOIN spells AS t ON t.customer = s.customer AND t.definition = $definition AND t.start_date <= $last
  AND (t.end_date IS NULL OR t.end_date > $last)
WHERE s.definition = $definition AND s.start_date <= $base_first AND (s.end_date IS NULL OR s.end_date > $base_last)
"""

# One row: the least amount of the upper and of the middle third of those who were billed anything.
EDGES = """
WITH ranked AS (
  SELECT earlier, row_number() OVER (ORDER BY earlier DESC NULLS LAST, customer NULLS LAST) AS place,
    count(*) OVER () AS n_all
  FROM billed WHERE earlier > 0
)
SELECT min(CASE WHEN 3 * place <= n_all + 2 THEN earlier END) AS high,
  min(CASE WHEN 3 * place <= 2 * n_all + 1 THEN earlier END) AS middle
FROM ranked
"""

# One row per band before and band now. Adds over both.
MOVES = """
WITH placed AS (
  SELECT earlier, later,
    CASE WHEN earlier <= 0 THEN 'none' WHEN earlier >= $high THEN 'high' WHEN earlier >= $middle THEN 'middle'
      ELSE 'low' END AS band_before,
    CASE WHEN is_gone THEN 'left' WHEN later <= 0 THEN 'none' WHEN later >= $high THEN 'high'
      WHEN later >= $middle THEN 'middle' ELSE 'low' END AS band_now
  FROM billed
)
SELECT band_before, band_now, count(*) AS n_customers, sum(earlier) AS amount_before, sum(later) AS amount_now
FROM placed GROUP BY band_before, band_now
ORDER BY band_before NULLS LAST, band_now NULLS LAST
"""


def worth_counts(data: Any, *, years_back: int = 0, definition: str | None = None) -> Counts:
    """Count customers by hundredths of the monthly fee, with what they pay, cost, and who of them left.

    Parameters
    ----------
    data : Dataset
    years_back : int
        0 ranks those who were there at the end of the report's period; 1 those of a year before.
    definition : str, optional

    Returns
    -------
    Counts
        One row per hundredth (0: those who pay most): `n_customers`, `fee` a month; `n_lost`, `fee_lost` (of those,
        lost by the end of the report's period); `n_costed` (with a service cost), their `fee_costed` and `cost`,
        `n_unprofitable` (cost more than they pay) and their `shortfall`. Money in minor units. Adds over hundredths.

    Raises
    ------
    DataError
        If customers have no monthly fee.
    """
    if not has_fee(data):
        raise text.DataError("value.no_fee")
    name, (_, everybody) = definitions.spells(data, definition), segment(data, None)
    until = data.about.period
    day = until
    for _ in range(years_back):
        day = day.year_before()
    cost = "c.service_cost" if data.has("customers.service_cost") else "CAST(NULL AS BIGINT)"
    frame = data.con.frame(HUNDREDTHS.format(cost=cost), {"definition": name, "day": day.last, "until": until.last})
    return Counts(frame, about(data, everybody, None, name), ("hundredth",), ("hundredth",))


def band_window(data: Any, *, definition: str | None = None) -> int:
    """Give the months over which bills are compared: 3, or 12 where customers without a contract buy now and then."""
    name = definition or data.about.definition
    return 12 if data.spec.definitions[name].kind == "inactivity" else 3


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
    told = about(data, everybody, None, name)
    names = ["band_before", "band_now", "n_customers", "amount_before", "amount_now"]
    grain = ("band_before", "band_now")
    last = Period.containing(told.period.last)
    first, base_last = last.shift(1 - months), last.year_before()
    base_first = first.year_before()
    if not data.has("activity.amount") or data.con.value("SELECT min(date) FROM activity") > base_first.first:
        return Counts(pd.DataFrame(columns=names), told, grain, grain)
    window = {"base_first": base_first.first, "base_last": base_last.last, "first": first.first, "last": last.last}
    data.con.run(BILLED, {**window, "definition": name})
    edges = data.con.frame(EDGES).iloc[0]
    limits = {"high": int(edges["high"]), "middle": int(edges["middle"])} if edges.notna().all() else {}
    frame = data.con.frame(MOVES, limits) if limits else pd.DataFrame(columns=names)
    data.con.run("DROP TABLE billed")
    return Counts(frame, told, grain, grain)
