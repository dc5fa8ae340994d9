"""Repeat buying: how often, how recently and for how long each customer could have bought, as counts."""

from __future__ import annotations

from typing import Any

from churnlib import text
from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, segment

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
