"""Repeat buying: how often, how recently and for how long each customer could have bought, as counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pandas as pd

from churnlib import text
from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, segment
from churnlib.counts.histories import monthly_revenue
from churnlib.counts.revenue import make_revenue, revenue_note

BOUGHT = ("purchase", "visit")

# One row per number of repeat days, day of the last one, days observed and state. Customers add over all of them; a day
# with several purchases counts once. Who first bought before observed_from is left out: the start of the clock is not
# known.
REPEATS = """
WITH days_bought AS (
  SELECT DISTINCT customer, date AS day FROM activity WHERE date <= $as_of {bought}
),
bought AS (
  SELECT customer, count(*) - 1 AS n_repeat, date_diff('day', min(day), max(day)) AS recency,
    date_diff('day', min(day), CAST($as_of AS DATE)) AS age, min(day) AS first_day
  FROM days_bought GROUP BY customer
),
last_spells AS (
  SELECT customer, max(spell) AS spell FROM spells WHERE definition = $definition GROUP BY customer
)
SELECT CASE WHEN s.end_date IS NULL THEN 'active' ELSE 'churned' END AS state, b.n_repeat, b.recency, b.age,
  count(*) AS n_customers
FROM bought AS b
JOIN last_spells AS l ON l.customer = b.customer
JOIN spells AS s ON s.customer = l.customer AND s.spell = l.spell AND s.definition = $definition
WHERE b.first_day >= $observed_from
GROUP BY CASE WHEN s.end_date IS NULL THEN 'active' ELSE 'churned' END, b.n_repeat, b.recency, b.age
ORDER BY state NULLS LAST, n_repeat NULLS LAST, recency NULLS LAST, age NULLS LAST
"""


# One row per number of repeat days, day of the last one and days observed, as known on a day: customers, what they
# spent with its squares (of a day's and of a customer's sum), and on how many days they bought for how much afterwards,
# with the squares of both.
HISTORIES = """
WITH days_bought AS (
  SELECT customer, date AS day, sum(amount) AS spent FROM revenue
  WHERE date <= $as_of AND date >= $observed_from AND customer NOT IN (SELECT customer FROM spells_excluded)
  GROUP BY customer, date HAVING sum(amount) > 0
),
bought AS (
  SELECT customer, count(CASE WHEN day <= $until THEN 1 END) - 1 AS n_repeat, min(day) AS first_day,
    date_diff('day', min(day), max(CASE WHEN day <= $until THEN day END)) AS recency,
    date_diff('day', min(day), CAST($until AS DATE)) AS age, count(CASE WHEN day > $until THEN 1 END) AS n_later,
    sum(CASE WHEN day <= $until THEN spent ELSE 0 END) AS spent,
    sum(CASE WHEN day <= $until THEN 0 ELSE spent END) AS later,
    sum(CASE WHEN day <= $until THEN CAST(spent AS DECIMAL(18, 0)) * CAST(spent AS DECIMAL(18, 0)) ELSE 0 END) AS spent2
  FROM days_bought GROUP BY customer HAVING min(day) <= $until
)
SELECT b.n_repeat, b.recency, b.age, count(*) AS n_customers, sum(b.n_later) AS n_later, sum(b.spent) AS spent,
  CAST(sum(b.spent2) AS DOUBLE) AS spent2,
  CAST(sum(CAST(b.spent AS DECIMAL(18, 0)) * CAST(b.spent AS DECIMAL(18, 0))) AS DOUBLE) AS total2,
  CAST(sum(b.n_later * b.n_later) AS DOUBLE) AS n_later2, sum(b.later) AS later,
  CAST(sum(CAST(b.later AS DECIMAL(18, 0)) * CAST(b.later AS DECIMAL(18, 0))) AS DOUBLE) AS later2
FROM bought AS b LEFT JOIN customers AS c ON c.customer = b.customer
WHERE c.start_date IS NULL OR c.start_date >= $observed_from
GROUP BY b.n_repeat, b.recency, b.age
ORDER BY n_repeat NULLS LAST, recency NULLS LAST, age NULLS LAST
"""


@dataclass(frozen=True)
class PurchaseCounts(Counts):
    """Buying histories now, and as they were known half-way.

    Attributes
    ----------
    then : pandas.DataFrame
        The same as `frame` as of the middle of the data, with the purchases that came afterwards.
    days : int
        From the middle to as_of.
    """

    then: pd.DataFrame
    days: int


def purchase_counts(data: Any, *, definition: str | None = None) -> PurchaseCounts:
    """Count the buying histories of customers without a contract, now and half-way through the data.

    Returns
    -------
    PurchaseCounts
        One row per `n_repeat` (days with a purchase after the first), `recency` (days from the first to the last) and
        `age` (days from the first to as_of): `n_customers`, `n_later` and `later` (their days with a purchase after the
        middle of the data, and what they spent on them; 0 now) with the sums of squares by customer `n_later2` and
        `later2`, `spent` in minor units with `spent2` and `total2` (sums of squares by day and by customer). Who first
        bought before observed_from is left out. Adds over all. Empty where ends are recorded
        or customers are billed regularly: there a silence is no question.
    """
    name, declared = definitions.declared_definition(data, definition)
    definitions.spells(data, name)
    told, names = about(data, segment(data, None)[1], data.about.period.unit, name), ["n_repeat", "recency", "age"]
    monthly = monthly_revenue(data, name)
    columns = [*names, "n_customers", "n_later", "spent", "spent2", "total2", "n_later2", "later", "later2"]
    if declared.kind != "inactivity" or monthly is None or monthly.is_regular:
        nothing = pd.DataFrame(columns=columns)
        return PurchaseCounts(nothing, told, tuple(names), tuple(names), nothing, 0)
    make_revenue(data)
    middle = date.fromordinal((data.as_of.toordinal() + data.observed_from.toordinal()) // 2)
    window = {"as_of": data.as_of, "observed_from": data.observed_from}
    now, then = (data.con.frame(HISTORIES, {**window, "until": until}) for until in (data.as_of, middle))
    told = replace(told, revenue_note=revenue_note(data))
    return PurchaseCounts(now, told, tuple(names), tuple(names), then, (data.as_of - middle).days)


def repeat_counts(data: Any, *, definition: str | None = None) -> Counts:
    """Count the customers of each buying history, and what the declared rule calls them.

    Parameters
    ----------
    data : Dataset
    definition : str, optional
        Whose states stand beside; the data set's own if not given.

    Returns
    -------
    Counts
        One row per `state` under the rule ("active", "churned"), `n_repeat` (days with a purchase after the first),
        `recency` (days from the first purchase to the last) and `age` (days from the first purchase to as_of):
        `n_customers`. Adds over all of them. Purchases are the kinds of activity that the definition counts, else
        purchases and visits.

    Raises
    ------
    DataError
        If the data set has no activity.
    """
    if not data.has("activity"):
        raise text.DataError("definitions.needs_activity")
    name = definitions.spells(data, definition)
    values = {"as_of": data.as_of, "observed_from": data.observed_from, "definition": name}
    bought = ""
    if "kind" in data.con.columns("activity"):
        kinds = getattr(data.spec.definitions[name], "activity", None) or BOUGHT
        marks = {f"kind_{i}": kind for i, kind in enumerate(kinds)}
        bought = f"AND (kind IS NULL OR kind IN ({', '.join('$' + mark for mark in marks)}))"
        values |= marks
    frame = data.con.frame(REPEATS.format(bought=bought), values)
    _, everybody = segment(data, None)
    grain = ("state", "n_repeat", "recency", "age")
    return Counts(frame, about(data, everybody, data.about.period.unit, name), grain, grain)
