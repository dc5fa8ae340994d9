"""The months before leaving: what customers did then, beside those who stayed at the same time."""

from __future__ import annotations

from typing import Any

from churnlib import text
from churnlib.about import Segment
from churnlib.counts import definitions
from churnlib.counts.base import Counts, about
from churnlib.counts.panel import TENURE, make_months, make_trials, tenure_band
from churnlib.counts.tenure import BLOCKS

STEP, BACK, MONTHS = 30, 6, 12  # days of a stretch; stretches looked back at; months in which customers left

# One row per month of leaving, band of tenure, left or stayed, block and stretch of 30 days before the month's opening
# (under an inactivity rule: before the day of activity that was the last one, or was not). Adds over blocks.
PROFILES = """
WITH facts AS (
  {activity}
  SELECT customer, date AS day, 0 AS n_active, CAST(0 AS BIGINT) AS amount,
    CASE WHEN kind = 'complaint' THEN 1 ELSE 0 END AS n_complaints,
    CASE WHEN kind = 'return' THEN 1 ELSE 0 END AS n_returns
  FROM {contacts}
),
watched AS (
  SELECT customer, number, seen_on, churned, {band} AS band, customer % {blocks} AS block FROM trials
  WHERE tenure >= {back} AND number >= $first AND seen_on >= CAST($observed_from AS DATE) + {days}
),
sizes AS (
  SELECT number, band, churned, block, count(*) AS n FROM watched GROUP BY number, band, churned, block
),
sums AS (
  SELECT w.number, w.band, w.churned, w.block,
    CAST(floor((date_diff('day', f.day, w.seen_on) - 1) / {step}.0) AS INTEGER) + 1 AS back,
    sum(f.n_active) AS n_active, sum(f.amount) AS amount, sum(f.n_complaints) AS n_complaints,
    sum(f.n_returns) AS n_returns
  FROM watched AS w JOIN facts AS f ON f.customer = w.customer AND f.day < w.seen_on AND f.day >= w.seen_on - {days}
  GROUP BY w.number, w.band, w.churned, w.block, back
)
SELECT z.number, z.band, z.churned, z.block, b.back, z.n, coalesce(s.n_active, 0) AS n_active,
  coalesce(s.amount, 0) AS amount, coalesce(s.n_complaints, 0) AS n_complaints, coalesce(s.n_returns, 0) AS n_returns
FROM sizes AS z CROSS JOIN (SELECT DISTINCT back FROM sums) AS b
LEFT JOIN sums AS s ON s.number = z.number AND s.band = z.band AND s.churned = z.churned AND s.block = z.block
  AND s.back = b.back
ORDER BY number NULLS LAST, band NULLS LAST, churned NULLS LAST, block NULLS LAST, back NULLS LAST
"""
ACTIVITY = """SELECT customer, date AS day, 1 AS n_active, CAST(coalesce(amount, 0) AS BIGINT) AS amount,
    0 AS n_complaints, CASE WHEN kind = 'return' THEN 1 ELSE 0 END AS n_returns
  FROM activity WHERE date <= $as_of
  UNION ALL """
NO_CONTACTS = "(SELECT 0 AS customer, DATE '0001-01-01' AS date, '' AS kind) AS nobody"


def profile_counts(data: Any, *, definition: str | None = None) -> Counts:
    """Add up what customers did in the half year before they left, and what those did who stayed.

    Returns
    -------
    Counts
        One row per month (`number`) of the last twelve, `band` of tenure, `churned`, `block` and `back` (1: the 30 days
        before, ... 6): customers `n`, days of activity `n_active`, `amount` (minor units), `n_complaints`, `n_returns`.
        Customers of less than six months of tenure have no half year to look at. Adds over blocks.
    """
    if not data.has("activity"):
        raise text.DataError("definitions.needs_activity")
    name = definitions.spells(data, definition)
    periods = make_months(data, name)
    make_trials(data, name, definitions.declared_definition(data, name)[1])
    contacts = "contacts WHERE kind IN ('complaint', 'return')" if data.has("contacts") else NO_CONTACTS
    how = {"activity": ACTIVITY, "contacts": contacts, "band": tenure_band("tenure", TENURE), "blocks": BLOCKS}
    values = {"first": max(len(periods) - MONTHS, 0), "observed_from": data.observed_from, "as_of": data.as_of}
    frame = data.con.frame(PROFILES.format(back=BACK, days=STEP * BACK, step=STEP, **how), values)
    data.con.run("DROP TABLE trials")
    told = about(data, Segment(), "month", name)
    return Counts(frame, told, ("number", "band", "churned", "block", "back"), ("block",))
