"""Who stayed how long, by the period in which they started: customers and money."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import Period
from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, has_fee, segment, unit_of
from churnlib.counts.histories import is_regular, stepwise
from churnlib.counts.revenue import among, make_revenue, revenue_note

STEP = {"week": 1, "month": 1, "quarter": 3, "year": 12}  # of an age: weeks, else months

# One row per customer with a first spell: the cohort, and the last age completed under observation (seen) and as a
# customer (kept), with the days from there to the end (of observation, or as a customer). A customer who ended on the
# day before an anniversary has not completed that age.
MEMBERS = """
CREATE OR REPLACE TEMP TABLE members AS
WITH ages AS (
  SELECT s.customer, l.level, CAST(date_trunc('{unit}', s.start_date) AS DATE) AS cohort, s.start_date, s.end_date,
    {seen} AS seen, CASE WHEN s.end_date IS NULL THEN {seen} ELSE {kept} END AS kept, {fee} AS fee
  FROM spells AS s
  JOIN customers AS c ON c.customer = s.customer
  JOIN {segment} AS l ON l.customer = s.customer AND s.entry_date BETWEEN l.from_date AND l.to_date
  WHERE s.definition = $definition AND s.spell = 1
)
SELECT *, date_diff('day', CAST(start_date + kept * INTERVAL {step} AS DATE),
  coalesce(end_date, CAST($as_of + INTERVAL '1' DAY AS DATE))) AS days
FROM ages
"""

# One row per level, cohort and pair of last ages. Adds over all of them.
COHORTS = """
SELECT level, cohort, seen, kept, count(*) AS n, sum(fee) AS fee, min(start_date) AS first_start,
  max(start_date) AS last_start
FROM members GROUP BY level, cohort, seen, kept
ORDER BY level NULLS LAST, cohort NULLS LAST, seen NULLS LAST, kept NULLS LAST
"""

# One row per level, cohort and stretch of ages at which members were back in a later spell. Adds over all of them.
RETURNS = """
WITH stretches AS (
  SELECT m.level, m.cohort, {back} + 1 AS first_age,
    CASE WHEN s.end_date IS NULL THEN m.seen ELSE least({left}, m.seen) END AS last_age, m.fee
  FROM members AS m JOIN spells AS s ON s.customer = m.customer
  WHERE s.definition = $definition AND s.spell > 1
)
SELECT level, cohort, first_age, last_age, count(*) AS n, sum(fee) AS fee
FROM stretches WHERE first_age <= last_age GROUP BY level, cohort, first_age, last_age
ORDER BY level NULLS LAST, cohort NULLS LAST, first_age NULLS LAST, last_age NULLS LAST
"""

# One row per level, cohort, last age completed and day after it on which members left or were last observed, from the
# last age on that every member has completed. Adds over all of them.
LATE = """
SELECT m.level, m.cohort, m.kept AS age, m.days AS day, count(m.end_date) AS n_lost,
  count(*) - count(m.end_date) AS n_censored
FROM members AS m
JOIN (SELECT level, cohort, min(seen) - 1 AS age FROM members GROUP BY level, cohort) AS o
  ON o.level = m.level AND o.cohort = m.cohort AND m.kept >= o.age
GROUP BY m.level, m.cohort, m.kept, m.days
ORDER BY level NULLS LAST, cohort NULLS LAST, age NULLS LAST, day NULLS LAST
"""

# One row per day on which somebody began.
STARTS = """
SELECT start_date AS day, count(*) AS n FROM spells
WHERE definition = $definition AND spell = 1 AND start_date >= $observed_from
GROUP BY start_date ORDER BY day NULLS LAST
"""

# One row per member.
EVERY_MEMBER = """
SELECT customer, level, cohort, start_date FROM members
ORDER BY level NULLS LAST, cohort NULLS LAST, customer NULLS LAST
"""

MEASURES = {"customers": ("activity", "1"), "revenue": ("revenue", "amount"), "quantity": ("activity", "{thousandths}")}


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
    """

    late: pd.DataFrame
    measure: str = "customers"
    mode: str = "stay"
    follow_up: int | None = None
    is_regular: bool = True


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
        still in their first spell), `n_returned` (of those, back in a later spell), with fees `fee_start`,
        `fee_observed`, `fee_retained`, `fee_returned`; `first_completes`, `last_completes` (days on which the first and
        the last possible member complete the age), `is_complete`, `is_truncated` (the cohort began before ends were
        recorded: its early losses are not known). By activity the row is the step after the age (or the bracket that
        ends with it, with its `first_step`), complete one age later, with `n_active`; with money or quantity also
        `amount`, `amount_base` (each member's first whole step) and `amount_kept` (at most that). Adds over levels.
    """
    if measure == "money":
        measure = "revenue" if data.has("activity.amount") else "customers"
    if measure not in MEASURES:
        raise text.UsageError("counts.unknown_option", value=measure)
    brackets, is_activity = _brackets(mode), measure != "customers" or mode != "stay"
    unit, name = unit_of(data, unit), definitions.spells(data, definition)
    source, division = segment(data, by)
    _make_members(data, name, source, unit)
    frame, steps = _by_age(data.con.frame(COHORTS), _returns(data, name, unit), step=is_activity), None
    if is_activity:
        declared = data.spec.definitions[name]
        steps = _Steps(data, declared, measure, unit, int(frame.index.get_level_values("age").max()) + 1)
        frame = steps.joined(frame, mode, brackets, follow_up)
    late = data.con.frame(LATE)
    data.con.run("DROP TABLE members")
    frame = _dated(frame.reset_index(), data, unit, int(is_activity), follow_up if mode == "after" else None)
    late["cohort"] = [str(Period(day.date(), unit)) for day in late["cohort"]]
    frame = frame if has_fee(data) else frame[[c for c in frame if not c.startswith("fee_")]]
    told = replace(about(data, division, unit, name), revenue_note=revenue_note(data))
    return CohortCounts(
        frame,
        told,
        ("level", "cohort", "age"),
        ("level",),
        late,
        measure,
        mode,
        follow_up,
        steps is None or steps.is_regular,
    )


def cohort_mode(data: Any, definition: str | None = None) -> str:
    """Give what being retained usually means: still a customer, or active where churn is a silence, as a silence can
    be no churn before its limit."""
    _, declared = definitions.declared_definition(data, definition)
    return "in" if declared.kind == "inactivity" else "stay"


def cohort_unit(data: Any, definition: str | None = None) -> str:
    """Give the shortest unit, from the report's own on, of which the usual cohort is large enough to be shown."""
    name, least = definitions.spells(data, definition), data.about.min_denominator
    starts = data.con.frame(STARTS, {"definition": name, "observed_from": data.observed_from})
    units = list(STEP)[list(STEP).index(data.about.period.unit) :]
    sizes = {
        unit: starts.groupby([str(Period.containing(day.date(), unit)) for day in starts["day"]])["n"].sum()
        for unit in units
    }
    return next((unit for unit in units if len(sizes[unit]) and sizes[unit].median() >= least), units[-1])


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


class _Steps:
    """Activity of the members by step since their start, summed over cohorts as asked."""

    def __init__(self, data: Any, definition: Any, measure: str, unit: str, steps: int):
        self.measure, members = measure, data.con.frame(EVERY_MEMBER)
        source, value = MEASURES[measure]
        column = {"revenue": "amount", "quantity": "quantity"}.get(measure)
        if not data.has(f"activity.{column}" if column else "activity"):
            raise text.DataError("counts.no_measure", measure=measure, column=column or "date")
        if measure == "revenue":
            make_revenue(data)
        value = value.format(thousandths="CAST(round(1000 * coalesce(quantity, 0)) AS BIGINT)")
        kinds = getattr(definition, "activity", None) if measure == "customers" else None
        kinds = f"AND ({among(kinds)})" if kinds else ""  # what the definition calls activity
        sizes = members.groupby(["level", "cohort"], sort=False).size()  # cohort by cohort, as they are ordered
        self.keys, self.starts = sizes.index, np.append(0, sizes.cumsum()[:-1])
        size = STEP[unit] if unit != "week" else 0
        self.sums = stepwise(data, members, steps, size, source=source, value=value, kinds=kinds)
        self.active = self.sums != 0
        self.is_regular = is_regular(self.active)

    def joined(self, frame: pd.DataFrame, mode: str, brackets: list, follow_up: int | None) -> pd.DataFrame:
        """Lay what was active and what it brought beside the cells of each age; brackets keep their last age."""
        active = self.active
        if mode == "after":
            seen = active[:, : follow_up + 1] if follow_up is not None else active
            active = np.maximum.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
        elif brackets:
            active = np.column_stack([active[:, first : last + 1].any(axis=1) for first, last in brackets])
        sums = {"n_active": active}
        if self.measure != "customers":
            base = np.maximum(self._base(), 0)
            sums |= {"amount": self.sums, "amount_base": base, "amount_kept": np.clip(self.sums, 0, base)}
        wide = [self._added(values).stack().rename(name) for name, values in sums.items()]
        told = pd.concat(wide, axis=1).rename_axis(["level", "cohort", "age"])
        if brackets:
            place = dict(enumerate(brackets))
            told = told.reset_index()
            told["first_step"] = told["age"].map(lambda i: place[i][0] + 1)
            told["age"] = told["age"].map(lambda i: place[i][1])
            told = told.set_index(["level", "cohort", "age"])
        return frame.join(told, how="inner")

    def _base(self) -> np.ndarray:
        """What each member's later steps are measured by: the first step; where bills are regular the second one, if
        there is one, because the first bill is often for a part of a month."""
        first, second = self.sums[:, :1], self.sums[:, 1:2]
        return np.where(second != 0, second, first) if second.size and self.is_regular else first

    def _added(self, values: np.ndarray) -> pd.DataFrame:
        """Sum a table of members x steps (or one number for all of them) by cohort: one row per level and cohort."""
        sums = np.column_stack([np.add.reduceat(column, self.starts, dtype=np.int64) for column in values.T])
        steps = self.sums.shape[1] if sums.shape[1] == 1 else sums.shape[1]
        return pd.DataFrame(np.broadcast_to(sums, (len(sums), steps)), index=self.keys)


def completed(start: str, day: str, unit: str) -> str:
    """Give the SQL of the steps completed by a day: who joined on the 31st completes a month on its last day."""
    if unit == "week":
        return f"(date_diff('day', {start}, {day}) // 7)"
    months = f"year({day}) * 12 + month({day}) - year({start}) * 12 - month({start})"
    short = f"CASE WHEN day({day}) < day({start}) AND {day} < last_day({day}) THEN 1 ELSE 0 END"
    return f"(({months} - {short}) // {STEP[unit]})"


def _make_members(data: Any, name: str, source: str, unit: str) -> None:
    seen = completed("s.start_date", "CAST($as_of + INTERVAL '1' DAY AS DATE)", unit)
    kept = completed("s.start_date", "s.end_date", unit)
    fee = "coalesce(c.monthly_fee, 0)" if has_fee(data) else "0"
    step = "'7' DAY" if unit == "week" else f"'{STEP[unit]}' MONTH"
    sql = MEMBERS.format(segment=source, unit=unit, seen=seen, kept=kept, fee=fee, step=step)
    data.con.run(sql, {"definition": name, "as_of": data.as_of})


def _returns(data: Any, name: str, unit: str) -> pd.DataFrame:
    back = completed("m.start_date", "CAST(s.start_date - INTERVAL '1' DAY AS DATE)", unit)
    left = completed("m.start_date", "s.end_date", unit)
    return data.con.frame(RETURNS.format(back=back, left=left), {"definition": name})


def _by_age(members: pd.DataFrame, returns: pd.DataFrame, step: bool) -> pd.DataFrame:
    """Turn last ages into customers at each age: sums over all who got at least so far. Index (level, cohort, age)."""
    back = dict(list(returns.groupby(["level", "cohort"])))
    parts = {}
    for key, cohort in members.groupby(["level", "cohort"]):
        size = int(cohort["seen"].max()) + 1
        part = {"first_start": cohort["first_start"].min(), "last_start": cohort["last_start"].max()}
        for prefix, numbers in (("n", "n"), ("fee", "fee")):
            observed = _at_least(cohort["seen"], cohort[numbers], size)
            part |= {f"{prefix}_start": int(cohort[numbers].sum())}
            part |= {f"{prefix}_observed": np.append(observed[1:], 0) if step else observed}
            part |= {f"{prefix}_retained": _at_least(cohort["kept"], cohort[numbers], size)}
            part |= {f"{prefix}_returned": _between(back.get(key, returns.iloc[:0]), numbers, size)}
        parts[key] = pd.DataFrame(part, index=pd.RangeIndex(size, name="age"))
    if not parts:
        raise text.DataError("counts.no_cohorts")
    return pd.concat(parts, names=["level", "cohort"])


def _at_least(ages: pd.Series, numbers: pd.Series, size: int) -> np.ndarray:
    """Sum the numbers of all whose last age is this one or a later one."""
    out = np.zeros(size, np.int64)
    np.add.at(out, ages.to_numpy(), numbers.to_numpy())
    return out[::-1].cumsum()[::-1]


def _between(stretches: pd.DataFrame, numbers: str, size: int) -> np.ndarray:
    """Sum the numbers of all whose stretch of ages holds this one."""
    change = np.zeros(size + 1, np.int64)
    np.add.at(change, stretches["first_age"].to_numpy(np.int64), stretches[numbers].to_numpy(np.int64))
    np.add.at(change, stretches["last_age"].to_numpy(np.int64) + 1, -stretches[numbers].to_numpy(np.int64))
    return change[:-1].cumsum()


def _dated(frame: pd.DataFrame, data: Any, unit: str, later: int, follow_up: int | None) -> pd.DataFrame:
    """Name the cohorts, and say on which days the first and the last member have been watched for what a cell needs."""
    periods = {day: Period(day.date(), unit) for day in frame["cohort"].unique()}
    age = (frame["age"] if follow_up is None else frame["age"].clip(lower=follow_up)) + later
    last_day = pd.to_datetime(frame["cohort"].map(lambda day: periods[day].last))
    first, last = (anniversary(frame[c], age, unit) - pd.Timedelta(days=1) for c in ("first_start", "last_start"))
    frame["first_completes"] = first
    frame["last_completes"] = last.where(last > last_day, last_day)  # until its last day somebody may still join
    frame["is_complete"] = frame["last_completes"] <= pd.Timestamp(data.as_of)
    frame["is_truncated"] = frame["cohort"] < pd.Timestamp(data.observed_from)
    frame["cohort"] = frame["cohort"].map(lambda day: str(periods[day]))
    return frame.drop(columns=["first_start", "last_start"])


def anniversary(start: pd.Series, age: pd.Series, unit: str) -> pd.Series:
    """Give the day after a number of steps since a start; the 31st falls on the last day of short months."""
    if unit == "week":
        return start + pd.to_timedelta(7 * age, unit="D")
    month = start.dt.year * 12 + start.dt.month - 1 + STEP[unit] * age
    first = pd.to_datetime({"year": month // 12, "month": month % 12 + 1, "day": 1})
    return first + pd.to_timedelta(np.minimum(start.dt.day, first.dt.days_in_month) - 1, unit="D")
