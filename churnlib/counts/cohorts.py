"""Who stayed how long, by the period in which they started: customers and money."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import Period
from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, has_fee, segment, unit_of

STEP = {"week": 1, "month": 1, "quarter": 3, "year": 12}  # of an age: weeks, else months

# One row per customer with a first spell: the cohort, and the last age completed under observation (seen) and as a
# customer (kept). A customer who ended on the day before an anniversary has not completed that age.
MEMBERS = """
CREATE OR REPLACE TEMP TABLE members AS
SELECT s.customer, l.level, CAST(date_trunc('{unit}', s.start_date) AS DATE) AS cohort, s.start_date,
  {seen} AS seen, CASE WHEN s.end_date IS NULL THEN {seen} ELSE {kept} END AS kept, {fee} AS fee
FROM spells AS s
JOIN customers AS c ON c.customer = s.customer
JOIN {segment} AS l ON l.customer = s.customer AND s.entry_date BETWEEN l.from_date AND l.to_date
WHERE s.definition = $definition AND s.spell = 1
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

# One row per level, cohort and age step: members with activity in it, what it amounts to, and how much of each member's
# first step is kept. Customers are counted per step first: they never add over time.
ACTIVE = """
WITH steps AS (
  SELECT a.customer, {age} AS age, sum(a.{measure}) AS amount
  FROM activity AS a JOIN members AS m ON m.customer = a.customer
  WHERE a.date >= m.start_date AND a.date <= $as_of
  GROUP BY a.customer, {age}
)
SELECT m.level, m.cohort, t.age, count(*) AS n_active, sum(t.amount) AS amount,
  sum(greatest(least(t.amount, coalesce(b.amount, 0)), 0)) AS amount_kept
FROM steps AS t
JOIN members AS m ON m.customer = t.customer
LEFT JOIN steps AS b ON b.customer = t.customer AND b.age = 0
GROUP BY m.level, m.cohort, t.age
ORDER BY level NULLS LAST, cohort NULLS LAST, age NULLS LAST
"""


def cohort_counts(
    data: Any,
    by: str | None = None,
    unit: str | None = None,
    measure: str = "customers",
    *,
    definition: str | None = None,
) -> Counts:
    """Count who is still there at each age, by the period of the start.

    Parameters
    ----------
    data : Dataset
    by : str, optional
        Name of a declared segment, read on the day of entry.
    unit : {"week", "month", "quarter", "year"}, optional
        Of cohorts and ages; the report's own if not given.
    measure : {"customers", "revenue", "quantity"}
        Money and quantity are what activity brought between one anniversary and the next: age 0 is the first step.
    definition : str, optional

    Returns
    -------
    Counts
        One row per level, cohort and age, from 0 to what the first member has completed: `cohort`, `age` in completed
        steps, `n_start`, `n_observed` (members who have completed the age under observation), `n_retained` (of those,
        still in their first spell), `n_returned` (of those, back in a later spell), with fees `fee_start`,
        `fee_observed`, `fee_retained`, `fee_returned`; `first_completes`, `last_completes` (days on which the first and
        the last possible member complete the age), `is_complete`, `is_truncated` (the cohort began before ends were
        recorded: its early losses are not known). With money or quantity also `n_active`, `amount` and `amount_kept`
        (at most each member's first step) of the step, which is complete one age later. Adds over levels.
    """
    if measure not in ("customers", "revenue", "quantity"):
        raise text.UsageError("counts.unknown_option", value=measure)
    unit, name = unit_of(data, unit), definitions.spells(data, definition)
    source, division = segment(data, by)
    _make_members(data, name, source, unit)
    frame = _by_age(data.con.frame(COHORTS), _returns(data, name, unit), step=measure != "customers")
    if measure != "customers":
        frame = frame.join(_active(data, measure, unit).reindex(frame.index, fill_value=0))
    data.con.run("DROP TABLE members")
    frame = _dated(frame.reset_index(), data, unit, step=measure != "customers")
    frame = frame if has_fee(data) else frame[[c for c in frame if not c.startswith("fee_")]]
    return Counts(frame, about(data, division, unit, name), ("level", "cohort", "age"), ("level",))


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
    sql = MEMBERS.format(segment=source, unit=unit, seen=seen, kept=kept, fee=fee)
    data.con.run(sql, {"definition": name, "as_of": data.as_of})


def _returns(data: Any, name: str, unit: str) -> pd.DataFrame:
    back = completed("m.start_date", "CAST(s.start_date - INTERVAL '1' DAY AS DATE)", unit)
    left = completed("m.start_date", "s.end_date", unit)
    return data.con.frame(RETURNS.format(back=back, left=left), {"definition": name})


def _active(data: Any, measure: str, unit: str) -> pd.DataFrame:
    """Activity by (level, cohort, age): members active, amount, amount kept."""
    column = {"revenue": "amount", "quantity": "quantity"}[measure]
    if not data.has(f"activity.{column}"):
        raise text.DataError("counts.no_measure", measure=measure, column=column)
    age = completed("m.start_date", "a.date", unit)
    frame = data.con.frame(ACTIVE.format(age=age, measure=column), {"as_of": data.as_of})
    return frame.set_index(["level", "cohort", "age"])


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


def _dated(frame: pd.DataFrame, data: Any, unit: str, step: bool) -> pd.DataFrame:
    """Name the cohorts, and say on which days the first and the last member complete each age."""
    periods = {day: Period(day.date(), unit) for day in frame["cohort"].unique()}
    age = frame["age"] + (1 if step else 0)
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
