"""Who of each cohort was lost in which calendar period: what tells a bad month from a bad cohort."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from churnlib.about import Period
from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, make_calendar, segment, unit_of
from churnlib.counts.periods import first_countable, withheld

# One row per period of the start and period of the end (0: still here, or ended in no period of the calendar). Adds
# over both.
ENDS = """
SELECT b.number AS started, coalesce(e.number, 0) AS ended, count(*) AS n
FROM spells AS s
JOIN days AS b ON b.day = s.start_date
LEFT JOIN days AS e ON e.day = s.end_date
WHERE s.definition = $definition AND s.spell = 1
GROUP BY b.number, coalesce(e.number, 0)
ORDER BY started NULLS LAST, ended NULLS LAST
"""


def cohort_period_counts(data: Any, unit: str | None = None, *, definition: str | None = None) -> Counts:
    """Count the losses of each cohort by calendar period; cohorts that started after ends began to be recorded.

    Returns
    -------
    Counts
        One row per `cohort` and later complete `period`: `age` (periods between them), `n_at_risk` (in their first
        spell at the opening), `n_lost`. Adds over cohorts.
    """
    unit, name = unit_of(data, unit), definitions.spells(data, definition)
    periods = make_calendar(data, unit, min(first_countable(data, name, unit), _first_start(data, unit)))
    ends = data.con.frame(ENDS, {"definition": name})
    told = withheld(data, about(data, segment(data, None)[1], unit, name))
    names = periods.set_index("number")["period"]
    frame = _at_risk(ends, int(periods["is_complete"].sum()))
    frame = frame.assign(cohort=frame["started"].map(names), period=frame["number"].map(names))
    return Counts(frame[_NAMES], told, ("cohort", "period"), ("cohort",))


_NAMES = ["cohort", "period", "age", "n_at_risk", "n_lost"]


def _first_start(data: Any, unit: str) -> Any:
    """The first whole period in which starts and ends are both recorded."""
    period = Period.containing(data.observed_from, unit)
    return (period if period.first >= data.observed_from else period.shift(1)).first


def _at_risk(ends: pd.DataFrame, complete: int) -> pd.DataFrame:
    """Give one row per cohort and later complete period, by their numbers."""
    cohorts = np.unique(ends["started"])
    lost = np.zeros((len(cohorts), complete + 1), np.int64)
    inside = ends[ends["ended"].between(1, complete)]
    np.add.at(lost, (np.searchsorted(cohorts, inside["started"]), inside["ended"]), inside["n"])
    size = ends.groupby("started")["n"].sum().to_numpy()
    at_risk = size[:, None] - lost.cumsum(axis=1) + lost
    i, number = np.nonzero(np.arange(complete + 1) > cohorts[:, None])
    columns = {"started": cohorts[i], "number": number, "age": number - cohorts[i]}
    return pd.DataFrame(columns | {"n_at_risk": at_risk[i, number], "n_lost": lost[i, number]})
