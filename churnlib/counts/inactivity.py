"""Churn by silence: no activity for a limit.

Churn is dated at the last activity + limit, so that what a period shows never changes afterwards; the first
limit-length of the data can show no churn, and a recent one may still be undone by a return. The evidence for choosing
the limit is in `evidence`.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from churnlib import text
from churnlib.engine import quote

MONTH = 365.2425 / 12  # days

# One row per customer and day with activity; signing up counts as activity, where the day of it was observed.
#   A sign-up before observed_from is left truncated: such customers enter with their first activity from then on.
#   `followed` has the next day with activity beside each; several rows of one day only add gaps of 0.
FOLLOWED = """
CREATE OR REPLACE TEMP TABLE followed AS
WITH active AS (
  SELECT customer, date AS day FROM activity WHERE date <= $as_of {kinds}
  UNION ALL
  SELECT customer, start_date FROM customers WHERE start_date BETWEEN $observed_from AND $as_of
)
SELECT customer, day, lead(day) OVER (PARTITION BY customer ORDER BY day NULLS LAST) AS next_day FROM active
"""

# One row per silence longer than the at-risk limit, the one still going on included:
#   quiet_on: last day before the customer counts as at risk; due: last day as a customer, if nothing happens until then
SILENCES = """
CREATE OR REPLACE TABLE {table} AS
WITH limited AS (
  SELECT customer, day, next_day, CAST(day + {at_risk} AS DATE) AS quiet_on, CAST(day + {limit} AS DATE) AS due
  FROM {followed}
)
SELECT * FROM limited WHERE next_day IS NULL OR next_day > quiet_on OR next_day > due
"""

# The usual gap of each customer as known on each day, never the later gaps: a subquery that stands for `followed`. It
# is the median of the last five gaps, or of the last three until there are five, as sums of smallest and greatest: a
# tenth of the time of a median over a window.
USUAL = """(
  SELECT customer, day, next_day, CASE WHEN e IS NOT NULL
      THEN greatest(least(low, high), least(greatest(low, high), e))
    WHEN c IS NOT NULL THEN greatest(least(a, b), least(greatest(a, b), c)) ELSE {usual} END AS gap
  FROM (
    SELECT *, greatest(least(a, b), least(c, d)) AS low, least(greatest(a, b), greatest(c, d)) AS high
    FROM (
      SELECT customer, day, next_day, gap AS a, lag(gap, 1) OVER past AS b, lag(gap, 2) OVER past AS c,
        lag(gap, 3) OVER past AS d, lag(gap, 4) OVER past AS e
      FROM (
        SELECT customer, day, next_day, date_diff('day', lag(day) OVER past, day) AS gap
        FROM followed WHERE next_day IS NULL OR next_day > day
        WINDOW past AS (PARTITION BY customer ORDER BY day NULLS LAST)
      ) AS gaps
      WINDOW past AS (PARTITION BY customer ORDER BY day NULLS LAST)
    ) AS last_five
  ) AS halved
)"""

# The usual gap of all customers, in whole days.
TYPICAL_GAP = """
SELECT coalesce(CAST(round(median(date_diff('day', day, next_day))) AS BIGINT), 1) FROM followed WHERE next_day > day
"""

# One row per customer and spell. A customer who signed up before observed_from and was then silent for more than the
# limit had already churned unseen: what begins with the first activity is the second spell.
CANDIDATES = """
CREATE OR REPLACE TEMP TABLE candidates AS
WITH firsts AS (
  SELECT customer, min(day) AS first_day, min(CASE WHEN day >= $observed_from THEN day END) AS first_observed
  FROM followed GROUP BY customer
),
origins AS (
  SELECT f.customer, f.first_day, f.first_observed,
    CASE WHEN c.start_date < f.first_day AND f.first_day >= $countable_from THEN 1 ELSE 0 END AS unseen,
    CASE WHEN c.start_date < f.first_day AND f.first_day < $countable_from THEN c.start_date ELSE f.first_day END
      AS origin
  FROM firsts AS f LEFT JOIN customers AS c ON c.customer = f.customer
),
ends AS (
  SELECT customer, day AS last_day, next_day, due,
    row_number() OVER (PARTITION BY customer ORDER BY day NULLS LAST) AS number,
    lag(next_day) OVER (PARTITION BY customer ORDER BY day NULLS LAST) AS back_on
  FROM {table}
  WHERE next_day IS NULL OR next_day > due
),
dated AS (
  SELECT e.customer, CAST(e.number + o.unseen AS INTEGER) AS spell, coalesce(e.back_on, o.origin) AS start_date,
    CASE WHEN coalesce(e.back_on, o.origin) >= $observed_from THEN coalesce(e.back_on, o.origin)
      WHEN e.last_day >= $observed_from THEN o.first_observed END AS entry_date,
    CASE WHEN e.due <= $as_of THEN e.due END AS end_date, e.next_day,
    CAST(e.due + date_diff('day', e.last_day, e.due) * INTERVAL '1' DAY AS DATE) AS settled_on
  FROM ends AS e JOIN origins AS o ON o.customer = e.customer
)
SELECT d.customer, d.spell, d.start_date, d.entry_date, d.end_date,
  CASE WHEN d.end_date IS NULL THEN NULL WHEN d.next_day IS NULL THEN coalesce(c.outcome, 'unknown') ELSE 'unknown' END
    AS outcome,
  CASE WHEN d.end_date IS NOT NULL AND d.next_day IS NULL THEN d.settled_on END AS settled_on
FROM dated AS d LEFT JOIN customers AS c ON c.customer = d.customer
"""


COUNTABLE_FROM = """
SELECT CAST(CAST($day AS DATE) + {limit} AS DATE) AS day
"""


def candidates(data: Any, name: str, declared: Any) -> None:
    """Make the table `candidates` of an inactivity definition, and its silences (see `silences_of`)."""
    con = data.con
    follow(data, declared.activity)
    usual = con.value(TYPICAL_GAP)
    con.run("CREATE TABLE IF NOT EXISTS usual_gaps (definition VARCHAR, days INTEGER)")
    con.run("INSERT INTO usual_gaps VALUES (?, ?)", [name, usual])
    own = "gaps" in (declared.limit.unit, declared.at_risk.unit)
    followed = with_own_gap(usual) if own else "followed"
    table = silences_of(name)
    con.run(
        SILENCES.format(table=table, followed=followed, at_risk=after(declared.at_risk), limit=after(declared.limit))
    )
    begin = countable_from(data, name, declared)
    values = {"as_of": data.as_of, "observed_from": data.observed_from, "countable_from": begin}
    con.run(CANDIDATES.format(table=table), values)
    con.run("DROP TABLE followed")


def follow(data: Any, kinds: tuple[str, ...] | None = None) -> None:
    """Make the table `followed`: every active day with the customer's next one; `kinds` of activity only, if given."""
    if not data.has("activity"):
        raise text.DataError("definitions.needs_activity")
    wanted = {f"kind_{i}": kind for i, kind in enumerate(kinds or ())}
    condition = f"AND kind IN ({', '.join('$' + mark for mark in wanted)})" if wanted else ""
    values = {"as_of": data.as_of, "observed_from": data.observed_from, **wanted}
    data.con.run(FOLLOWED.format(kinds=condition), values)


def with_own_gap(usual: int) -> str:
    """Give the SQL that stands for `followed` with each customer's usual gap; `usual` until they have three gaps."""
    return USUAL.format(usual=usual)


def silences_of(name: str) -> str:
    """Name the table of an inactivity definition's silences longer than the at-risk limit."""
    return quote(f"silences_{name}")


def after(duration: Any, gap: str = "gap") -> str:
    """Give a length of time as an SQL interval; a multiple of a usual gap (a column or number) in whole days, up."""
    if duration.unit == "gaps":
        return f"CAST(ceil({duration.n:g} * {gap}) AS INTEGER) * INTERVAL '1' DAY"
    return f"INTERVAL '{int(duration.n)}' {'MONTH' if duration.unit == 'months' else 'DAY'}"


def countable_from(data: Any, name: str, declared: Any) -> date:
    """Give the first day by which all who were customers at observed_from have been seen, or have churned."""
    usual = data.con.value("SELECT max(days) FROM usual_gaps WHERE definition = ?", [name])
    return data.con.value(COUNTABLE_FROM.format(limit=after(declared.limit, str(usual))), {"day": data.observed_from})


def delay(data: Any, name: str, declared: Any) -> tuple[int, int, int]:
    """Give after how many days churn due to an event may be counted, mostly is, and is in full.

    Who stays away because of it was last there up to a usual gap before it, some two; one limit later that silence is
    churn.
    """
    usual = data.con.value("SELECT max(days) FROM usual_gaps WHERE definition = ?", [name])
    days = {"days": 1.0, "months": MONTH, "gaps": usual}[declared.limit.unit] * declared.limit.n
    return max(round(days - 2 * usual), 0), max(round(days - usual), 0), round(days)
