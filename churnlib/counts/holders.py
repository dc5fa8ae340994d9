"""Churn around a change of the person who holds the relationship: account manager, adviser, representative."""

from __future__ import annotations

from typing import Any

from churnlib import text
from churnlib.about import Segment
from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, has_fee
from churnlib.counts.drivers import drivers_of
from churnlib.counts.exposures import make_handovers
from churnlib.counts.panel import TENURE, make_months, make_trials, tenure_band
from churnlib.counts.tenure import BLOCKS
from churnlib.text import Label

WITHIN = 6  # months before and after a change
LARGE = 0.8  # share of the money that large customers bring together

# One row per month, band of tenure, size, phase, holder (the one who left, or was followed by another) and block, of
# customers at risk who have a holder. Phases: before or after a departure, after another change, or neither.
PHASES = """
WITH held AS (
  SELECT t.customer, t.number, t.seen_on, t.churned, {band} AS band, l.level AS holder
  FROM trials AS t JOIN {table} AS l ON l.customer = t.customer AND t.seen_on BETWEEN l.from_date AND l.to_date
  WHERE l.level <> 'unknown' AND t.tenure >= 0
),
changed AS (
  SELECT h.customer, h.seen_on, max(CASE WHEN v.departed THEN 1 ELSE 0 END) AS departed, max(v.former) AS former
  FROM held AS h JOIN handovers AS v ON v.customer = h.customer AND h.seen_on > v.from_date
    AND h.seen_on <= CAST(v.from_date + INTERVAL '{within}' MONTH AS DATE)
  GROUP BY h.customer, h.seen_on
),
leaves AS (SELECT DISTINCT former, opening FROM handovers WHERE departed),
leaving AS (
  SELECT DISTINCT h.holder, h.seen_on FROM (SELECT DISTINCT holder, seen_on FROM held) AS h
  JOIN leaves AS v ON v.former = h.holder AND h.seen_on <= v.opening
    AND h.seen_on > CAST(v.opening - INTERVAL '{within}' MONTH AS DATE)
),
worth AS (
  SELECT w.customer, CASE WHEN w.running - w.worth < {large} * w.total THEN 'large' ELSE 'small' END AS size
  FROM (
    SELECT customer, worth, sum(worth) OVER (ORDER BY worth DESC NULLS LAST, customer NULLS LAST
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running, sum(worth) OVER () AS total
    FROM ({worth}) AS amounts
  ) AS w
),
phased AS (
  SELECT h.number, h.band, coalesce(w.size, 'small') AS size, h.customer % {blocks} AS block, h.churned,
    CASE WHEN c.departed = 1 THEN 'after_departure' WHEN c.departed = 0 THEN 'after_change'
      WHEN g.holder IS NOT NULL THEN 'before_departure' ELSE 'neither' END AS phase,
    CASE WHEN c.customer IS NOT NULL THEN c.former WHEN g.holder IS NOT NULL THEN h.holder ELSE '' END AS holder
  FROM held AS h
  LEFT JOIN changed AS c ON c.customer = h.customer AND c.seen_on = h.seen_on
  LEFT JOIN leaving AS g ON g.holder = h.holder AND g.seen_on = h.seen_on
  LEFT JOIN worth AS w ON w.customer = h.customer
)
SELECT number, band, size, phase, holder, block, count(*) AS n_at_risk, count(CASE WHEN churned THEN 1 END) AS n_churned
FROM phased GROUP BY number, band, size, phase, holder, block
ORDER BY number NULLS LAST, band NULLS LAST, size NULLS LAST, phase NULLS LAST, holder NULLS LAST, block NULLS LAST
"""
FEES = """SELECT customer, coalesce(monthly_fee, 0) AS worth FROM customers
    WHERE customer IN (SELECT customer FROM {table} WHERE level <> 'unknown')"""
AMOUNTS = "SELECT customer, sum(amount) AS worth FROM activity GROUP BY customer"
ALIKE = "SELECT customer, 1 AS worth FROM customers"


def holder_attribute(data: Any) -> tuple[str, Label] | None:
    """Find the assigned attribute that names who holds the relationship.

    That of the first driver of the group "relationship", declared or proposed; None without any.
    """
    if not data.has("assignments"):
        return None
    named = {s.assignment: s.label or Label.of(n) for n, s in data.spec.segments.items() if s.assignment}
    for driver in drivers_of(data).values():
        if driver.assignment and driver.group == "relationship":
            return driver.assignment, named.get(driver.assignment, Label.of(driver.assignment))
    return None


def holder_counts(data: Any, attribute: str | None = None, *, definition: str | None = None) -> Counts:
    """Count churn before and after changes of the holder, and of customers at the same time whose holder stayed.

    Parameters
    ----------
    data : Dataset
    attribute : str, optional
        An attribute of the table assignments; else that of `holder_attribute`.
    definition : str, optional

    Returns
    -------
    Counts
        One row per month (`number`), `band` of tenure, `size` ("large": the customers who together bring 80 % of the
        money), `phase`, `holder` and `block`: `n_at_risk`, `n_churned`. "before_departure": customers of a holder who
        leaves within six months, as of each opening; "after_departure", "after_change": within six months of it;
        "neither": those to compare with (their `holder` is ""). Adds over all.
    """
    found = (attribute, Label.of(attribute)) if attribute else holder_attribute(data)
    if found is None:
        raise text.DataError("holders.no_attribute")
    name = definitions.spells(data, definition)
    make_months(data, name)
    make_trials(data, name, definitions.declared_definition(data, name)[1])
    table = make_handovers(data, found[0], name)
    worth = FEES.format(table=table) if has_fee(data) else AMOUNTS if data.has("activity.amount") else ALIKE
    how = {"band": tenure_band("t.tenure", TENURE), "blocks": BLOCKS, "within": WITHIN, "large": LARGE, "worth": worth}
    frame = data.con.frame(PHASES.format(table=table, **how))
    data.con.run("DROP TABLE trials")
    grain = ("number", "band", "size", "phase", "holder", "block")
    return Counts(frame, about(data, Segment(found[0], found[1]), "month", name), grain, grain)
