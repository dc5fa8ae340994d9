"""The contract's end: contracts that overlap or follow each other are one spell, of all products or of one.

Where customers have no contracts, their own dates make their spells (`definitions`).
"""

from __future__ import annotations

from typing import Any

from churnlib import text

# One row per contract; customers without any contract keep their own dates.
CONTRACTS = """
CREATE OR REPLACE TEMP TABLE stretches AS
SELECT customer, contract_id, start_date, CASE WHEN end_date <= $as_of THEN end_date END AS end_date,
  outcome, transferred_to
FROM contracts
WHERE start_date <= $as_of
UNION ALL
SELECT customer, '', start_date, CASE WHEN end_date <= $as_of THEN end_date END, outcome, CAST(NULL AS VARCHAR)
FROM customers
WHERE start_date <= $as_of AND customer NOT IN (SELECT customer FROM contracts)
"""

# One row per contract of one product.
PRODUCT = """
CREATE OR REPLACE TEMP TABLE stretches AS
SELECT customer, contract_id, start_date, CASE WHEN end_date <= $as_of THEN end_date END AS end_date,
  outcome, transferred_to
FROM contracts
WHERE start_date <= $as_of AND product = $product
"""

# One row per customer and spell: contracts that overlap or follow within the grace days are one spell; a contract that
# was transferred reaches to the customer's next one. Never-ending contracts end on the last day of the calendar.
JOIN_CONTRACTS = """
CREATE OR REPLACE TEMP TABLE candidates AS
WITH chained AS (
  SELECT *, lead(start_date) OVER (
    PARTITION BY customer ORDER BY start_date NULLS LAST, end_date NULLS LAST, contract_id NULLS LAST) AS next_start
  FROM stretches
),
reaching AS (
  SELECT *, CASE WHEN end_date IS NULL THEN DATE '9999-12-31'
    WHEN transferred_to IS NOT NULL AND next_start > end_date THEN next_start ELSE end_date END AS reaches
  FROM chained
),
covered AS (
  SELECT *, max(reaches) OVER (
    PARTITION BY customer ORDER BY start_date NULLS LAST, end_date NULLS LAST, contract_id NULLS LAST
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered_to
  FROM reaching
),
numbered AS (
  SELECT *, sum(CASE WHEN covered_to IS NULL OR date_diff('day', covered_to, start_date) > 1 + $grace THEN 1 ELSE 0 END)
    OVER (PARTITION BY customer ORDER BY start_date NULLS LAST, end_date NULLS LAST, contract_id NULLS LAST
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS spell
  FROM covered
),
joined AS (
  SELECT customer, spell, min(start_date) AS start_date, max(reaches) AS reaches
  FROM numbered GROUP BY customer, spell
),
outcomes AS (
  SELECT j.customer, j.spell, min(CASE WHEN n.outcome <> 'unknown' THEN n.outcome END) AS outcome
  FROM joined AS j JOIN numbered AS n ON n.customer = j.customer AND n.spell = j.spell AND n.end_date = j.reaches
  GROUP BY j.customer, j.spell
)
SELECT j.customer, CAST(j.spell AS INTEGER) AS spell, j.start_date,
  greatest(j.start_date, $observed_from) AS entry_date,
  CASE WHEN j.reaches < DATE '9999-12-31' THEN j.reaches END AS end_date,
  CASE WHEN j.reaches < DATE '9999-12-31'
    THEN coalesce(o.outcome, CASE WHEN c.end_date = j.reaches THEN c.outcome END, 'unknown') END AS outcome,
  CASE WHEN j.reaches < DATE '9999-12-31' THEN CAST(j.reaches + INTERVAL '{settle}' DAY AS DATE) END AS settled_on
FROM joined AS j
LEFT JOIN outcomes AS o ON o.customer = j.customer AND o.spell = j.spell
LEFT JOIN customers AS c ON c.customer = j.customer
"""


def candidates(data: Any, name: str, declared: Any) -> None:
    """Make the table `candidates` of a definition by the end of all contracts."""
    data.con.run(CONTRACTS, {"as_of": data.as_of})
    _join(data, declared.grace_days)


def of_product(data: Any, name: str, declared: Any) -> None:
    """Make the table `candidates` of a definition by the end of one product."""
    if not data.has("contracts.product"):
        raise text.DataError("definitions.needs_products", name=name)
    data.con.run(PRODUCT, {"as_of": data.as_of, "product": declared.product})
    _join(data, grace_days=0)


def _join(data: Any, grace_days: int) -> None:
    values = {"grace": grace_days, "observed_from": data.observed_from}
    data.con.run(JOIN_CONTRACTS.format(settle=grace_days + 1), values)
    data.con.run("DROP TABLE stretches")
