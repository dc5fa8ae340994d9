"""The money of cohorts, in steps as long as customers take from one bill to the next."""

from __future__ import annotations

from typing import Any

from churnlib.counts.bridge import UNITS, regular_unit
from churnlib.counts.cohorts import CohortCounts, cohort_counts


def money_counts(
    data: Any, by: str | None = None, unit: str | None = None, *, definition: str | None = None
) -> CohortCounts:
    """Count what cohorts bring, in steps of a unit or, where money does not come step after step, of a longer one.

    Parameters
    ----------
    data : Dataset
    by : str, optional
        Name of a declared segment, read on the day of entry.
    unit : {"week", "month", "quarter", "year"}, optional
        The shortest; the report's own if not given. Who pays once a year seems to bring nothing in three quarters of
        four. Where no unit is regular, as of purchases now and then, it stays this one.
    definition : str, optional

    Returns
    -------
    CohortCounts
        One row per level, cohort and age, by money: see `cohort_counts`.
    """
    how = {"measure": "money", "definition": definition}
    counted = cohort_counts(data, by, unit, **how)
    own = counted.about.period.unit
    longer = UNITS[UNITS.index(own) + 1 :] if own in UNITS else UNITS
    found = None if counted.is_regular else regular_unit(data, longer, definition)
    return cohort_counts(data, by, found, **how) if found else counted
