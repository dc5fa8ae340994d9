"""Churn of value: still a customer, but bringing lastingly less than before (价值流失, 隐性流失).

Amounts are read by complete calendar months, months without any count as zero. A customer's base is the mean of the
months before the fall, and stays frozen from then on; the fall must last for the declared number of months. It is dated
on the last day of the month in which it has lasted long enough, a recovery on the last day of the month that shows it,
so that what a period shows never changes afterwards. Customers whose base is too low to fall are not at risk: they
enter when it is not. Who has left brings nothing any more and is lost to this definition too, as soon as that has
lasted.
"""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from churnlib import text
from churnlib.about import Period

# One row per customer with activity: the first month that was seen whole.
FIRST_MONTHS = """
CREATE OR REPLACE TEMP TABLE first_months AS
WITH firsts AS (
  SELECT customer, min(date) AS first_day FROM activity WHERE date <= $as_of {kinds} GROUP BY customer
),
started AS (
  SELECT f.customer, least(f.first_day, coalesce(c.start_date, f.first_day)) AS start_date
  FROM firsts AS f LEFT JOIN customers AS c ON c.customer = f.customer
),
seen AS (
  SELECT customer, start_date, greatest(start_date, $observed_from) AS seen_from FROM started
)
SELECT customer, start_date,
  year(seen_from) * 12 + month(seen_from) + CASE WHEN day(seen_from) = 1 THEN 0 ELSE 1 END AS month
FROM seen
"""

# One row per customer and complete month from then on, silent months included; amounts in minor units.
MONTHLY = """
CREATE OR REPLACE TEMP TABLE monthly AS
WITH sums AS (
  SELECT customer, year(date) * 12 + month(date) AS month, CAST(sum(amount) AS BIGINT) AS amount
  FROM activity WHERE date <= $as_of {kinds} GROUP BY customer, year(date) * 12 + month(date)
)
SELECT f.customer, m.month, coalesce(s.amount, 0) AS amount
FROM first_months AS f
JOIN calendar_months AS m ON m.month >= f.month
LEFT JOIN sums AS s ON s.customer = f.customer AND s.month = m.month
"""

# One row per customer and month with a whole base before it that can fall: below `threshold` the amount counts as
# fallen; `falls`: this month and the following ones, as many as declared, are all below it.
BASES = """
CREATE OR REPLACE TEMP TABLE bases AS
WITH running AS (
  SELECT customer, month, amount, sum(amount) OVER (PARTITION BY customer ORDER BY month NULLS LAST
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS total
  FROM monthly
),
around AS (
  SELECT customer, month, row_number() OVER ordered AS number,
    CAST(lag(total, 1) OVER ordered - coalesce(lag(total, 1 + {base}) OVER ordered, 0) AS BIGINT) AS before,
    {highest} AS highest, lead(amount, {others}) OVER ordered AS last
  FROM running
  WINDOW ordered AS (PARTITION BY customer ORDER BY month NULLS LAST)
),
judged AS (
  SELECT customer, month, {threshold} AS threshold, highest, last FROM around WHERE number > {base} AND before > 0
)
SELECT customer, month, threshold, last IS NOT NULL AND highest < threshold AS falls
FROM judged WHERE threshold IS NOT NULL
"""

# One row per customer: the first spell, at risk from the first month with a base that can fall.
FIRST_SPELLS = """
CREATE OR REPLACE TEMP TABLE standing AS
SELECT f.customer, 1 AS spell, f.start_date, m.first_day AS entry_date, b.month AS ready_month
FROM first_months AS f
LEFT JOIN (SELECT customer, min(month) AS month FROM bases GROUP BY customer) AS b ON b.customer = f.customer
LEFT JOIN calendar_months AS m ON m.month = b.month
"""

# One row per standing spell that falls: the month in which the fall has lasted long enough, and the first month back.
FALLEN = """
CREATE OR REPLACE TEMP TABLE fallen AS
WITH first_falls AS (
  SELECT s.customer, min(b.month) AS month
  FROM standing AS s JOIN bases AS b ON b.customer = s.customer AND b.month >= s.ready_month
  WHERE b.falls GROUP BY s.customer
),
frozen AS (
  SELECT f.customer, f.month + {others} AS month, b.threshold
  FROM first_falls AS f JOIN bases AS b ON b.customer = f.customer AND b.month = f.month
)
SELECT f.customer, f.month, min(m.month) AS back_month
FROM frozen AS f
LEFT JOIN monthly AS m ON m.customer = f.customer AND m.month > f.month AND m.amount >= f.threshold
GROUP BY f.customer, f.month
"""

# One row per customer and spell, round after round.
ADD_SPELLS = """
INSERT INTO candidates
SELECT s.customer, s.spell, s.start_date, s.entry_date, m.last_day AS end_date,
  CASE WHEN m.last_day IS NULL THEN NULL WHEN c.end_date <= m.last_day THEN coalesce(c.outcome, 'unknown')
    ELSE 'unknown' END AS outcome,
  CASE WHEN f.back_month IS NULL THEN CAST(m.last_day + INTERVAL '{sustained}' MONTH AS DATE) END AS settled_on
FROM standing AS s
LEFT JOIN fallen AS f ON f.customer = s.customer
LEFT JOIN calendar_months AS m ON m.month = f.month
LEFT JOIN customers AS c ON c.customer = s.customer
"""

# One row per customer who is back: the next spell, with a base of its own.
NEXT_SPELLS = """
CREATE OR REPLACE TEMP TABLE standing AS
SELECT s.customer, s.spell + 1 AS spell, m.last_day AS start_date, m.last_day AS entry_date,
  f.back_month + {base} AS ready_month
FROM standing AS s
JOIN fallen AS f ON f.customer = s.customer
JOIN calendar_months AS m ON m.month = f.back_month
"""


def candidates(data: Any, name: str, declared: Any) -> None:
    """Make the table `candidates` of a value-decline definition."""
    con = data.con
    if not data.has("activity.amount"):
        raise text.DataError("definitions.needs_amounts", name=name)
    sizes = {"base": declared.base_months, "others": months_in(declared.sustained) - 1}
    _monthly(data, declared)
    ahead = ["amount", *(f"lead(amount, {step}) OVER ordered" for step in range(1, sizes["others"] + 1))]
    con.run(BASES.format(threshold=_threshold(declared), highest=f"greatest({', '.join(ahead)})", **sizes))
    con.run(FIRST_SPELLS)
    con.run(
        "CREATE OR REPLACE TEMP TABLE candidates (customer INTEGER, spell INTEGER, start_date DATE, entry_date DATE,"
        " end_date DATE, outcome VARCHAR, settled_on DATE)"
    )
    while con.value("SELECT count(*) FROM standing"):  # each round finds everybody's next spell
        con.run(FALLEN.format(**sizes))
        con.run(ADD_SPELLS.format(sustained=months_in(declared.sustained)))
        con.run(NEXT_SPELLS.format(**sizes))
    for table in ("first_months", "monthly", "bases", "standing", "fallen", "calendar_months"):
        con.run(f"DROP TABLE {table}")


def _monthly(data: Any, declared: Any) -> None:
    """Make the tables `calendar_months`, `first_months` and `monthly`."""
    wanted = {f"kind_{i}": kind for i, kind in enumerate(declared.activity or ())}
    condition = f"AND kind IN ({', '.join('$' + mark for mark in wanted)})" if wanted else ""
    data.con.load("calendar_months", _calendar(data.observed_from, data.as_of))
    values = {"as_of": data.as_of, **wanted}
    data.con.run(FIRST_MONTHS.format(kinds=condition), {"observed_from": data.observed_from, **values})
    data.con.run(MONTHLY.format(kinds=condition), values)


def _calendar(first: date, as_of: date) -> pa.Table:
    """One row per complete calendar month: a running number, first and last day."""
    months, month = [], Period.containing(first)
    while month.last <= as_of:
        months.append(month)
        month = month.shift(1)
    return pa.table(
        {
            "month": pa.array([m.first.year * 12 + m.first.month for m in months], pa.int64()),
            "first_day": pa.array([m.first for m in months], pa.date32()),
            "last_day": pa.array([m.last for m in months], pa.date32()),
        }
    )


def _threshold(declared: Any) -> str:
    """Give the amount below which a month counts as fallen, in SQL over the base's sum; null where nothing can fall."""
    base = declared.base_months
    if declared.below:
        return f"{declared.below!r} * before / {base}"
    edges = sorted(declared.bands)[1:]  # in the lowest band nothing can fall
    cases = " ".join(f"WHEN before >= {edge * 100 * base!r} THEN {edge * 100!r}" for edge in reversed(edges))
    return f"CASE {cases} END"


def months_in(duration: Any) -> int:
    """How many calendar months a fall must last."""
    if duration.unit == "gaps":
        raise text.DataError("definitions.sustained_in_gaps")
    return int(duration.n) if duration.unit == "months" else math.ceil(duration.n / 31)


def countable_from(data: Any, declared: Any) -> date:
    """Give the first day by which a base and a lasting fall fit in."""
    month = Period.containing(data.observed_from - timedelta(days=1)).shift(1)  # the first whole month
    return month.shift(declared.base_months + months_in(declared.sustained)).first
