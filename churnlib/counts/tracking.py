"""What the operations tracking table needs beside the ledger: satisfaction, complaints, conversion, campaigns."""

from __future__ import annotations

from typing import Any

import pandas as pd

from churnlib import text
from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, make_calendar, segment, unit_of
from churnlib.counts.periods import first_countable

REGULAR_MONTHS = 3  # a new customer who is still one after so many months counts as a regular one

# One row per period with contacts. Scores are summed in thousandths, so that no order of rows shows in the last digit.
CONTACTS = """
SELECT d.number, count(CASE WHEN k.kind = 'complaint' THEN 1 END) AS n_complaints,
  count(CASE WHEN k.kind = 'complaint' AND NOT k.resolved THEN 1 END) AS n_unresolved,
  count(CASE WHEN k.kind = 'satisfaction' THEN 1 END) AS n_asked,
  count(CASE WHEN k.kind = 'satisfaction' THEN k.score END) AS n_scores,
  sum(CASE WHEN k.kind = 'satisfaction' AND k.score IS NOT NULL THEN CAST(round(1000 * k.score) AS BIGINT) ELSE 0 END)
    AS score_sum,
  sum(CASE WHEN k.kind = 'satisfaction' AND k.score IS NOT NULL
    THEN CAST(round(1000 * k.score) AS BIGINT) * CAST(round(1000 * k.score) AS BIGINT) ELSE 0 END) AS score_sum2
FROM contacts AS k JOIN days AS d ON d.day = k.date
WHERE k.customer NOT IN (SELECT customer FROM spells_excluded)
GROUP BY d.number
ORDER BY number NULLS LAST
"""

# One row per period of joining: first spells watched long enough to tell whether they became regular, and those that
# did.
CONVERSIONS = """
WITH joined AS (
  SELECT joined, end_date, CAST(joined + INTERVAL '{months}' MONTH AS DATE) AS regular_on
  FROM (
    SELECT end_date, CASE WHEN entry_date <= $countable_from THEN start_date ELSE entry_date END AS joined
    FROM spells WHERE definition = $definition AND spell = 1
  ) AS first_spells
)
SELECT d.number, count(CASE WHEN j.regular_on <= CAST($as_of + INTERVAL '1' DAY AS DATE) THEN 1 END) AS n_new_judged,
  count(CASE WHEN j.regular_on <= CAST($as_of + INTERVAL '1' DAY AS DATE)
    AND (j.end_date IS NULL OR j.end_date >= j.regular_on) THEN 1 END) AS n_new_regular
FROM joined AS j JOIN days AS d ON d.day = j.joined
GROUP BY d.number
ORDER BY number NULLS LAST
"""

# The same where churn is a silence: nobody is lost before the limit has run, so a regular one has been active again.
CONVERSIONS_BY_ACTIVITY = """
WITH joined AS (
  SELECT customer, joined, CAST(joined + INTERVAL '{months}' MONTH AS DATE) AS regular_on
  FROM (
    SELECT customer, CASE WHEN entry_date <= $countable_from THEN start_date ELSE entry_date END AS joined
    FROM spells WHERE definition = $definition AND spell = 1
  ) AS first_spells
),
again AS (
  SELECT DISTINCT j.customer FROM joined AS j JOIN activity AS a ON a.customer = j.customer
  WHERE a.date > j.joined AND a.date < j.regular_on
)
SELECT d.number, count(CASE WHEN j.regular_on <= CAST($as_of + INTERVAL '1' DAY AS DATE) THEN 1 END) AS n_new_judged,
  count(CASE WHEN j.regular_on <= CAST($as_of + INTERVAL '1' DAY AS DATE) THEN g.customer END) AS n_new_again
FROM joined AS j JOIN days AS d ON d.day = j.joined LEFT JOIN again AS g ON g.customer = j.customer
GROUP BY d.number
ORDER BY number NULLS LAST
"""

# One row per period of first contact: what campaigns did, treated and control apart.
CAMPAIGNS_BY_PERIOD = """
SELECT d.number, count(CASE WHEN k.arm = 'treated' THEN 1 END) AS campaign_n_treated,
  count(CASE WHEN k.arm = 'control' THEN 1 END) AS campaign_n_control, sum(coalesce(k.cost, 0)) AS campaign_cost,
  sum(CASE WHEN k.arm = 'treated' THEN coalesce(k.revenue_after, 0) ELSE 0 END) AS campaign_revenue_treated,
  sum(CASE WHEN k.arm = 'control' THEN coalesce(k.revenue_after, 0) ELSE 0 END) AS campaign_revenue_control
FROM campaigns AS k JOIN days AS d ON d.day = k.date
WHERE k.customer NOT IN (SELECT customer FROM spells_excluded)
GROUP BY d.number
ORDER BY number NULLS LAST
"""

# One row per campaign and arm. Adds over neither: a customer may be in several campaigns.
CAMPAIGNS = """
SELECT campaign, arm, count(*) AS n_customers, count(return_date) AS n_returned, sum(coalesce(cost, 0)) AS cost,
  sum(coalesce(revenue_after, 0)) AS revenue_after,
  CAST(sum(CAST(coalesce(revenue_after, 0) AS DECIMAL(18, 0)) * CAST(coalesce(revenue_after, 0) AS DECIMAL(18, 0)))
    AS DOUBLE) AS revenue_after_sum2
FROM campaigns
WHERE date <= $as_of AND customer NOT IN (SELECT customer FROM spells_excluded)
GROUP BY campaign, arm
ORDER BY campaign NULLS LAST, arm NULLS LAST
"""


def companion_counts(data: Any, unit: str | None = None, *, definition: str | None = None) -> Counts:
    """Count the signals that accompany churn: complaints and satisfaction by period.

    Returns
    -------
    Counts
        One row per period of the ledger: `n_complaints`, of which `n_unresolved`; `n_asked` for their satisfaction,
        `n_scores` given, `score_sum` and `score_sum2` (sum of the scores and of their squares, exact to a thousandth of
        a point). Contacts, not customers: adds over periods. Satisfaction comes from the survey alone, never from
        complaints.
    """
    if not data.has("contacts"):
        raise text.DataError("counts.no_contacts")
    frame, told = _by_period(data, unit, definition, {"contacts": CONTACTS})
    return Counts(_scored(frame), told, ("period",), ("period",))


def tracking_counts(data: Any, unit: str | None = None, *, definition: str | None = None) -> Counts:
    """Count what the operations tracking table (运营数据跟踪分析表) needs beside the ledger.

    Returns
    -------
    Counts
        One row per period of the ledger: `n_new_judged` (new customers of the period who could be watched for three
        months) and `n_new_regular` (those still there by then), or `n_new_again` under an inactivity definition (those
        active again by then); with contacts the columns of `companion_counts`; with campaigns, by the period of the
        contact, `campaign_n_treated`, `campaign_n_control`, `campaign_cost`, `campaign_revenue_treated`,
        `campaign_revenue_control` (minor units). Adds over periods.
    """
    wanted = {"contacts": CONTACTS, "campaigns": CAMPAIGNS_BY_PERIOD}
    sources = {table: sql for table, sql in wanted.items() if data.has(table)}
    _, declared = definitions.declared_definition(data, definition)
    conversions = CONVERSIONS_BY_ACTIVITY if declared.kind == "inactivity" else CONVERSIONS
    frame, told = _by_period(data, unit, definition, {"": conversions.format(months=REGULAR_MONTHS), **sources})
    return Counts(_scored(frame), told, ("period",), ("period",))


def campaign_counts(data: Any) -> Counts:
    """Count what came of each campaign, treated and control apart.

    Returns
    -------
    Counts
        One row per `campaign` and `arm`: `n_customers`, `n_returned`, `cost`, `revenue_after`, `revenue_after_sum2`
        (sum of squares, for intervals). Adds over neither: a customer may be in several campaigns.
    """
    if not data.has("campaigns"):
        raise text.DataError("counts.no_campaigns")
    definitions.spells(data)
    frame = data.con.frame(CAMPAIGNS, {"as_of": data.as_of})
    return Counts(frame, about(data, segment(data, None)[1]), ("campaign", "arm"), ())


def _by_period(data: Any, unit: str | None, definition: str | None, statements: dict[str, str]) -> tuple:
    """Run statements whose rows are periods, and lay them beside each other; periods without anything hold zeros."""
    unit, name = unit_of(data, unit), definitions.spells(data, definition)
    periods = make_calendar(data, unit, first_countable(data, name, unit)).set_index("number")
    frame = periods[["period"]]
    values = {"definition": name, "as_of": data.as_of, "countable_from": definitions.countable_from(data, name)}
    for sql in statements.values():
        rows = data.con.frame(sql, values if "$" in sql else None).set_index("number")
        frame = frame.join(rows.reindex(frame.index, fill_value=0))
    return frame.reset_index(drop=True), about(data, segment(data, None)[1], unit, name)


def _scored(frame: pd.DataFrame) -> pd.DataFrame:
    """Give sums of scores in points instead of thousandths."""
    if "score_sum" not in frame:
        return frame
    return frame.assign(score_sum=frame["score_sum"] / 1e3, score_sum2=frame["score_sum2"] / 1e6)
