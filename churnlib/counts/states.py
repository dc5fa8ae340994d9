"""Which state customers are in at the end of every period: retained, at risk, reactivated, churned."""

from __future__ import annotations

from typing import Any

import pandas as pd

from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, make_calendar, segment, unit_of
from churnlib.counts.inactivity import silences_of
from churnlib.counts.periods import first_countable, make_pieces

# One row per period (number 0: before the first) and kind of change: customers who began (+) or ceased (-) to be in a
# first or a later spell, and who were seen for the first time. Adds over periods.
PRESENCE = """
WITH changes AS (
  SELECT from_date AS day, CASE WHEN spell = 1 THEN 'first' ELSE 'later' END AS what, 1 AS n FROM pieces
  UNION ALL
  SELECT to_date, CASE WHEN spell = 1 THEN 'first' ELSE 'later' END, -1 FROM pieces WHERE to_date IS NOT NULL
  UNION ALL
  SELECT min(from_date), 'ever', 1 FROM pieces GROUP BY customer
)
SELECT coalesce(d.number, 0) AS number, c.what, sum(c.n) AS n
FROM changes AS c LEFT JOIN days AS d ON d.day = c.day
GROUP BY coalesce(d.number, 0), c.what
ORDER BY number NULLS LAST, what NULLS LAST
"""

# The same for being at risk: from the day after the at-risk limit until the next activity or the churn. Who is at risk
# on the last day of a period counts in it.
AT_RISK = """
WITH stretches AS (
  SELECT CASE WHEN p.spell = 1 THEN 'first_at_risk' ELSE 'later_at_risk' END AS what,
    greatest(CAST(q.quiet_on + INTERVAL '1' DAY AS DATE), p.from_date) AS begins,
    CASE WHEN q.next_day <= q.due THEN q.next_day ELSE q.due END AS over
  FROM {silences} AS q
  JOIN pieces AS p ON p.customer = q.customer AND q.day <= coalesce(p.to_date, q.day) AND q.due >= p.from_date
  WHERE q.next_day IS NULL OR q.next_day > q.quiet_on
),
changes AS (
  SELECT begins AS day, what, 1 AS n FROM stretches WHERE begins < over AND begins <= $as_of
  UNION ALL
  SELECT over, what, -1 FROM stretches WHERE begins < over AND over <= $as_of
)
SELECT coalesce(d.number, 0) AS number, c.what, sum(c.n) AS n
FROM changes AS c LEFT JOIN days AS d ON d.day = c.day
GROUP BY coalesce(d.number, 0), c.what
ORDER BY number NULLS LAST, what NULLS LAST
"""


def state_counts(data: Any, unit: str | None = None, *, definition: str | None = None) -> Counts:
    """Count the customers in each state at the end of every period (of the unfinished one: on the last day covered).

    Returns
    -------
    Counts
        One row per period: `n_retained` (first spell, not at risk), `n_reactivated` (back in a later spell, not at
        risk), `n_at_risk` (silent for longer than the at-risk limit of an inactivity definition, not churned), together
        the closing of the ledger, and `n_lost` (everybody seen so far who is none of these). A state is no flow:
        nothing adds over periods.
    """
    unit, name = unit_of(data, unit), definitions.spells(data, definition)
    source, division = segment(data, None)
    periods = make_calendar(data, unit, first_countable(data, name, unit))
    make_pieces(data, name, source)
    changes = [data.con.frame(PRESENCE)]
    if definitions.declared_definition(data, name)[1].kind == "inactivity":
        changes.append(data.con.frame(AT_RISK.format(silences=silences_of(name)), {"as_of": data.as_of}))
    data.con.run("DROP TABLE pieces")
    frame = _states(pd.concat(changes), periods)
    return Counts(frame, about(data, division, unit, name), ("period",), ())


def _states(changes: pd.DataFrame, periods: pd.DataFrame) -> pd.DataFrame:
    """Add the changes up to customers in each state."""
    wide = changes.pivot_table(index="number", columns="what", values="n", aggfunc="sum", fill_value=0)
    wide = wide.reindex(columns=["ever", "first", "later", "first_at_risk", "later_at_risk"], fill_value=0)
    now = wide.reindex(range(len(periods) + 1), fill_value=0).cumsum().loc[1:].reset_index(drop=True)
    return periods[["period", "last_day", "is_complete"]].assign(
        n_retained=now["first"] - now["first_at_risk"],
        n_reactivated=now["later"] - now["later_at_risk"],
        n_at_risk=now["first_at_risk"] + now["later_at_risk"],
        n_lost=now["ever"] - now["first"] - now["later"],
    )
