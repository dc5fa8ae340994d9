"""The evidence for an inactivity limit: how long gaps usually are, and how many customers come back after a silence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
from pydantic import TypeAdapter

from churnlib.counts import definitions
from churnlib.counts.inactivity import MONTH, TYPICAL_GAP, after, follow, with_own_gap
from churnlib.model.schema import Length

ENOUGH_GAPS = 3  # gaps after which a customer has a usual gap of their own

# One row per length of a completed gap, in days.
GAPS = """
SELECT date_diff('day', day, next_day) AS days, count(*) AS n_gaps
FROM followed WHERE next_day > day
GROUP BY days ORDER BY days NULLS LAST
"""

# One row per length of a customer's own median gap, in days; customers with enough gaps only.
CUSTOMER_MEDIANS = """
WITH own AS (
  SELECT customer, CAST(round(median(date_diff('day', day, next_day))) AS BIGINT) AS days
  FROM followed WHERE next_day > day GROUP BY customer HAVING count(*) >= {enough}
)
SELECT days, count(*) AS n_customers FROM own GROUP BY days ORDER BY days NULLS LAST
"""

# One row: what a limit would have done. Silences are judged when they could be watched for another limit-length;
# customers still active in the last limit-length are known not to have churned, so each of them that the limit once
# flagged is false.
LIMIT = """
WITH limited AS (
  SELECT customer, day, next_day, CAST(day + {limit} AS DATE) AS due, CAST(day + {limit} + {limit} AS DATE) AS judged_on
  FROM {followed}
),
flagged AS (
  SELECT * FROM limited WHERE due <= $as_of AND (next_day IS NULL OR next_day > due)
),
alive AS (
  SELECT customer FROM limited GROUP BY customer HAVING max(due) >= $as_of
)
SELECT count(*) AS n_flagged, count(next_day) AS n_returned,
  count(CASE WHEN judged_on <= $as_of THEN 1 END) AS n_judged,
  count(CASE WHEN judged_on <= $as_of AND next_day <= judged_on THEN 1 END) AS n_confirmed_wrong,
  (SELECT count(*) FROM alive) AS n_alive,
  (SELECT count(DISTINCT f.customer) FROM flagged AS f JOIN alive AS a ON a.customer = f.customer) AS n_alive_flagged
FROM flagged
"""


class GapEvidence(NamedTuple):
    """What the data say about an inactivity limit.

    Attributes
    ----------
    gaps : pandas.DataFrame
        One row per length of a completed gap: `days`, `n_gaps`. Adds over rows; percentiles are read off its running
        sum.
    medians : pandas.DataFrame
        One row per customers' own median gap: `days`, `n_customers` (with at least three gaps).
    limits : pandas.DataFrame
        One row per limit, shortest first: `limit`, `n_flagged` (silences longer than it), `n_returned` (of those ended
        by a return so far), `n_judged` (of those watched for another limit-length), `n_confirmed_wrong` (of those back
        within it), `n_alive` (customers active in the last limit-length, who cannot have churned), `n_alive_flagged`
        (of those once flagged: the false-churn rate on the customers' own history).
    declared : str
        The limit of the data set's definition by inactivity, which is always among them; "" without such a definition.
    """

    gaps: pd.DataFrame
    medians: pd.DataFrame
    limits: pd.DataFrame
    declared: str = ""

    def percentile(self, share: float) -> int:
        """Give the gap, in days, that this share of all completed gaps does not exceed."""
        running = self.gaps["n_gaps"].cumsum()
        return int(self.gaps["days"][(running >= share * running.iloc[-1]).idxmax()])


def gap_evidence(data: Any, limits: Sequence[str]) -> GapEvidence:
    """Count what is needed to choose an inactivity limit.

    Counted are the customers and the kinds of activity of the data set's definition by inactivity: its own, or the
    first that dataset.yml declares.

    Parameters
    ----------
    data : Dataset
    limits : sequence of str
        Limits to try, such as ["90 days", "6 months", "3 gaps"]; gaps are multiples of the customer's own usual gap.

    Returns
    -------
    GapEvidence
        Completed gaps are shorter than all gaps: those still open are not among them, only in `limits`.
    """
    con, declared = data.con, _declared(data)
    definitions.exclude(data)
    follow(data, declared.activity if declared else None)
    con.run("DELETE FROM followed WHERE customer IN (SELECT customer FROM spells_excluded)")
    usual = con.value(TYPICAL_GAP)
    tried = {str(limit): limit for limit in map(TypeAdapter(Length).validate_python, limits)}
    if declared:
        tried[str(declared.limit)] = declared.limit
    units = {"days": 1.0, "months": MONTH, "gaps": usual}
    rows = [
        con.frame(_limit(tried[name], usual), {"as_of": data.as_of}).assign(limit=name)
        for name in sorted(tried, key=lambda name: tried[name].n * units[tried[name].unit])
    ]
    evidence = GapEvidence(
        gaps=con.frame(GAPS),
        medians=con.frame(CUSTOMER_MEDIANS.format(enough=ENOUGH_GAPS)),
        limits=pd.concat(rows, ignore_index=True),
        declared=str(declared.limit) if declared else "",
    )
    con.run("DROP TABLE followed")
    return evidence


def _limit(limit: Any, usual: int) -> str:
    followed = with_own_gap(usual) if limit.unit == "gaps" else "followed"
    return LIMIT.format(limit=after(limit), followed=followed)


def _declared(data: Any) -> Any:
    """The definition by inactivity that the evidence is for: the data set's own, else the first one; None for none."""
    own = data.spec.definitions[data.about.definition]
    return next((d for d in (own, *data.spec.definitions.values()) if d.kind == "inactivity"), None)
