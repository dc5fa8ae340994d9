"""Who stayed how long, by the period in which they started: customers and money."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import Period, Segment
from churnlib.counts import cohortages, definitions
from churnlib.counts.base import Counts, about, has_fee, segment, unit_of
from churnlib.counts.cohortages import STEP
from churnlib.counts.cohortsteps import MEASURES, Steps
from churnlib.counts.periods import withheld
from churnlib.counts.revenue import revenue_note
from churnlib.counts.tenure import BLOCKS

# One row per day on which somebody began.
STARTS = """
SELECT start_date AS day, count(*) AS n FROM spells
WHERE definition = $definition AND spell = 1 AND start_date >= $observed_from
GROUP BY start_date ORDER BY day NULLS LAST
"""


@dataclass(frozen=True)
class CohortCounts(Counts):
    """Counts by cohort and age.

    Attributes
    ----------
    late : pandas.DataFrame
        One row per level, cohort, `age` completed last and `day` after it, from the last complete age on: `n_lost`,
        `n_censored` (last observed then). What the estimate of a partly observed cell is made of.
    measure : {"customers", "revenue", "quantity"}
    mode : str
        What being retained means: "stay" (still a customer), "in" (active in the step), "after" (in it or later), or
        brackets of steps, such as "1-3, 4-6, 7-12".
    follow_up : int or None
        Steps after which activity is not looked at.
    is_regular : bool
        Whether activity comes step after step; not known of customers alone.
    blocks : numpy.ndarray of int64, shape (n_blocks, n_rows, 3)
        Of money and quantity: the base, what is kept of it and all that was brought, of each block of customers (code
        modulo 50), for jackknife intervals; else no block.
    """

    late: pd.DataFrame
    measure: str = "customers"
    mode: str = "stay"
    follow_up: int | None = None
    is_regular: bool = True
    blocks: np.ndarray | None = None


def cohort_counts(
    data: Any,
    by: str | None = None,
    unit: str | None = None,
    measure: str = "customers",
    *,
    mode: str = "stay",
    follow_up: int | None = None,
    definition: str | None = None,
) -> CohortCounts:
    """Count who is still there at each age, by the period of the start.

    Parameters
    ----------
    data : Dataset
    by : str, optional
        Name of a declared segment (channel, campaign of acquisition, plan ...), read on the day of entry.
    unit : {"week", "month", "quarter", "year"}, optional
        Of cohorts and ages; the report's own if not given.
    measure : {"customers", "revenue", "quantity", "money"}
        Revenue and quantity are what activity brought between one anniversary and the next: age 0 is the first step.
        Money is revenue where activity has amounts, else the fees of the customers.
    mode : str
        Of customers: "stay" (still a customer when the age is completed), "in" (active in the step), "after" (active in
        it or later), or brackets of steps counted from 1, such as "1-3, 4-6, 7-12" (active in the bracket).
    follow_up : int, optional
        Steps; activity after them is not looked at, so that "after" is complete when every member was followed so long.
    definition : str, optional

    Returns
    -------
    CohortCounts
        One row per level, cohort and age, from 0 to what the first member has completed: `cohort`, `age` in completed
        steps, `n_start`, `n_observed` (members who have completed the age under observation), `n_retained` (of those,
        still in their first spell), `n_returned` (of those, back in a later spell); `first_completes`, `last_completes`
        (days on which the first and the last possible member complete the age), `is_complete`, `is_truncated` (the
        cohort began before ends were recorded: its early losses are not known). By activity the row is the step after
        the age (or the bracket that ends with it, with its `first_step`), complete one age later, with `n_active` and,
        of the `n_observed` whose step is over, `n_active_observed`. With money or quantity also `amount`, `amount_base`
        (each member's first whole step, or the fee) and `amount_kept` (at most that, or the fees of those who never
        left). Adds over levels.
    """
    is_money = measure != "customers"
    if measure == "money":
        measure = "revenue" if data.has("activity.amount") else "customers"
    if measure not in MEASURES:
        raise text.UsageError("counts.unknown_option", value=measure)
    brackets, is_activity = _brackets(mode), measure != "customers" or mode != "stay"
    unit, name = unit_of(data, unit), definitions.spells(data, definition)
    source, division = segment(data, by)
    is_by_fee = is_money and not is_activity and has_fee(data)
    stayed = cohortages.stayed(data, name, source, unit, BLOCKS if is_by_fee else 1)
    frame, sums, is_regular = stayed.frame(is_activity), stayed.fees if is_by_fee else None, True
    if is_activity:
        steps = Steps(data, name, source, unit, measure, stayed)
        frame, sums, is_regular = *steps.joined(frame, mode, brackets, follow_up), steps.is_regular
    if sums is not None:
        frame = frame.assign(**dict(zip(("amount_base", "amount_kept", "amount"), sums.sum(axis=0).T, strict=True)))
    undone = 0 if is_activity else definitions.settling(data, name)
    frame = _dated(frame, data, unit, int(is_activity), follow_up if mode == "after" else None, undone)
    told = replace(withheld(data, about(data, division, unit, name)), revenue_note=revenue_note(data))
    how = {"measure": measure, "mode": mode, "follow_up": follow_up, "is_regular": is_regular, "blocks": sums}
    return CohortCounts(frame, told, ("level", "cohort", "age"), ("level",), stayed.late, **how)


def cohort_mode(data: Any, definition: str | None = None) -> str:
    """Give what being retained usually means: still a customer, or active where churn is a silence, as a silence can
    be no churn before its limit."""
    _, declared = definitions.declared_definition(data, definition)
    return "in" if declared.kind == "inactivity" else "stay"


def cohort_unit(data: Any, definition: str | None = None) -> str:
    """Give the shortest unit, from the report's own on, of which the usual cohort is large enough and may be shown."""
    name, least = definitions.spells(data, definition), data.about.min_denominator
    starts = data.con.frame(STARTS, {"definition": name, "observed_from": data.observed_from})
    units = list(STEP)[list(STEP).index(data.about.period.unit) :]
    sizes = {unit: starts["n"].groupby(starts["day"].dt.to_period(unit[0].upper())).sum() for unit in units}
    enough = [unit for unit in units if sizes[unit].median() >= least] or units[-1:]
    return enough[1] if len(enough) > 1 and enough[0] == units[0] and _mostly_hidden(data, starts, name) else enough[0]


def _mostly_hidden(data: Any, starts: pd.DataFrame, name: str) -> bool:
    """Tell whether the cohorts of most customers would give back a handful who left in a period of the report's own."""
    told = withheld(data, about(data, Segment(), definition=name))
    own = (str(Period.containing(day.date(), told.period.unit)) for day in starts["day"])
    hidden = [("", "new", period) in told.withheld for period in own]
    return 2 * starts["n"][hidden].sum() > starts["n"].sum()


def _brackets(mode: str) -> list[tuple[int, int]]:
    """Read brackets of steps, "1-3, 4-6": first and last, counted from 0; none for the named modes."""
    if mode in ("stay", "in", "after"):
        return []
    try:
        parts = [tuple(int(step) - 1 for step in part.replace("–", "-").split("-")) for part in mode.split(",")]
        brackets = [(part[0], part[-1]) for part in parts]
    except ValueError:
        brackets = [(-1, -1)]
    if any(not 0 <= first <= last for first, last in brackets):
        raise text.UsageError("counts.bad_brackets", mode=mode)
    return brackets


def _dated(frame: pd.DataFrame, data: Any, unit: str, later: int, follow_up: int | None, undone: int) -> pd.DataFrame:
    """Name the cohorts, and say on which days the first and the last member have been watched for what a cell needs,
    and so many days longer as an end may be undone."""
    periods = {day: Period(day.date(), unit) for day in frame["cohort"].unique()}
    age = (frame["age"] if follow_up is None else frame["age"].clip(lower=follow_up)) + later
    last_day = pd.to_datetime(frame["cohort"].map({day: period.last for day, period in periods.items()}))
    first, last = (anniversary(frame[c], age, unit) - pd.Timedelta(days=1) for c in ("first_start", "last_start"))
    frame["first_completes"] = first
    last = last.where(last > last_day, last_day)  # until its last day somebody may still join
    frame["last_completes"] = last + pd.Timedelta(days=undone)
    frame["is_complete"] = frame["last_completes"] <= pd.Timestamp(data.as_of)
    frame["is_truncated"] = frame["cohort"] < pd.Timestamp(data.observed_from)
    frame["cohort"] = frame["cohort"].map({day: str(period) for day, period in periods.items()})
    return frame.drop(columns=["place", "first_start", "last_start"])


def anniversary(start: pd.Series, age: pd.Series, unit: str) -> pd.Series:
    """Give the day after a number of steps since a start; the 31st falls on the last day of short months."""
    if unit == "week":
        return start + pd.to_timedelta(7 * age, unit="D")
    day = start.to_numpy().astype("datetime64[D]")
    month = day.astype("datetime64[M]") + STEP[unit] * age.to_numpy()
    of_month = day - day.astype("datetime64[M]").astype("datetime64[D]")
    last = (month + 1).astype("datetime64[D]") - 1
    return pd.Series(np.minimum(month.astype("datetime64[D]") + of_month, last), start.index).astype(start.dtype)
