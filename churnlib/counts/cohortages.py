"""Who stayed how long, by cohort: the ages that members have completed, summed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import Period
from churnlib.counts import definitions
from churnlib.counts.base import EVERYBODY, fee_of

STEP = {"week": 1, "month": 1, "quarter": 3, "year": 12}  # of an age: weeks, else months

# One row per level, block of customers and dates of first spells (a few hundred thousand for a million customers): the
# cohort, the last age completed under observation (seen) and as a customer (kept), with the days from there to the end
# (of observation, or as a customer). A customer who ended on the day before an anniversary has not completed that age.
MEMBERS = """
CREATE OR REPLACE TEMP TABLE members AS
WITH placed AS (
  SELECT {level} AS level, {block} AS block, s.start_date, s.end_date, {fee} AS fee
  FROM spells AS s {fees} {levels}
  WHERE s.definition = $definition AND s.spell = 1
),
dates AS (
  SELECT level, block, start_date, end_date, count(*) AS n, sum(fee) AS fee
  FROM placed GROUP BY level, block, start_date, end_date
),
ages AS (
  SELECT *, CAST(date_trunc('{unit}', start_date) AS DATE) AS cohort, {seen} AS seen,
    CASE WHEN end_date IS NULL THEN {seen} ELSE {kept} END AS kept
  FROM dates
)
SELECT *, date_diff('day', CAST(start_date + kept * INTERVAL {step} AS DATE),
  coalesce(end_date, CAST($as_of + INTERVAL '1' DAY AS DATE))) AS days
FROM ages
"""

# One row per level, cohort, block and pair of last ages. Adds over all of them.
COHORTS = """
SELECT level, cohort, block, seen, kept, sum(n) AS n, sum(fee) AS fee, min(start_date) AS first_start,
  max(start_date) AS last_start
FROM members GROUP BY level, cohort, block, seen, kept
ORDER BY level NULLS LAST, cohort NULLS LAST, block NULLS LAST, seen NULLS LAST, kept NULLS LAST
"""

# One row per level, cohort, block and stretch of ages at which members were back in a later spell. Adds over all of
# them.
RETURNS = """
WITH stretches AS (
  SELECT {level} AS level, CAST(date_trunc('{unit}', s.start_date) AS DATE) AS cohort, {block} AS block,
    {back} + 1 AS first_age, CASE WHEN r.end_date IS NULL THEN {seen} ELSE least({left}, {seen}) END AS last_age,
    {fee} AS fee
  FROM spells AS r
  JOIN spells AS s ON s.customer = r.customer AND s.definition = r.definition AND s.spell = 1 {fees} {levels}
  WHERE r.definition = $definition AND r.spell > 1
)
SELECT level, cohort, block, first_age, last_age, count(*) AS n, sum(fee) AS fee
FROM stretches WHERE first_age <= last_age GROUP BY level, cohort, block, first_age, last_age
ORDER BY level NULLS LAST, cohort NULLS LAST, block NULLS LAST, first_age NULLS LAST, last_age NULLS LAST
"""

# One row per level, cohort, last age completed and day after it on which members left or were last observed, from the
# last age on that every member has completed for good. Adds over all of them.
LATE = """
SELECT m.level, m.cohort, m.kept AS age, m.days AS day, sum(CASE WHEN m.end_date IS NULL THEN 0 ELSE m.n END) AS n_lost,
  sum(CASE WHEN m.end_date IS NULL THEN m.n ELSE 0 END) AS n_censored
FROM members AS m
JOIN (SELECT level, cohort, min(seen) - {later} AS age FROM members GROUP BY level, cohort) AS o
  ON o.level = m.level AND o.cohort = m.cohort AND m.kept >= o.age
GROUP BY m.level, m.cohort, m.kept, m.days
ORDER BY level NULLS LAST, cohort NULLS LAST, age NULLS LAST, day NULLS LAST
"""


@dataclass(frozen=True)
class Stayed:
    """Who stayed how long, by cohort.

    Attributes
    ----------
    keys : pandas.MultiIndex
        Levels and the first days of cohorts.
    ages : numpy.ndarray, shape (n_cohorts,)
        How many ages of each there are: from 0 to what its first member has completed.
    customers, money : dict of str to numpy.ndarray, shape (n_blocks, n_cohorts, n_ages)
        Members and their fees: of all ("start"), "observed", "retained", "returned".
    starts : pandas.DataFrame
        One row per cohort: `first_start`, `last_start`.
    late : pandas.DataFrame
        See `CohortCounts`.
    """

    keys: pd.MultiIndex
    ages: np.ndarray
    customers: dict[str, np.ndarray]
    money: dict[str, np.ndarray]
    starts: pd.DataFrame
    late: pd.DataFrame

    @property
    def cells(self) -> tuple[np.ndarray, np.ndarray]:
        """The place of the cohort, and the age, of each cell."""
        return np.repeat(np.arange(len(self.ages)), self.ages), np.concatenate([np.arange(n) for n in self.ages])

    def frame(self, is_activity: bool) -> pd.DataFrame:
        """Give one row per cohort (with its `place` among them) and age; of activity, the step after the age is what
        has to be observed."""
        place, age = self.cells
        frame = self.keys.take(place).to_frame(index=False).assign(place=place, age=age)
        for name, sums in self.customers.items():
            whole = sums.sum(axis=0)
            if is_activity and name == "observed":
                whole = np.column_stack([whole[:, 1:], np.zeros(len(whole), np.int64)])
            frame[f"n_{name}"] = whole[place, age]
        return frame.assign(**{c: self.starts[c].to_numpy()[place] for c in self.starts})

    @property
    def fees(self) -> np.ndarray:
        """The fees at the start, of those who stayed, and of those with the returned, by block: see `CohortCounts`."""
        start, kept, back = (self.money[name][:, *self.cells] for name in ("start", "retained", "returned"))
        return np.stack([start, kept, kept + back], axis=-1)

    def places(self, level: pd.Series, day: pd.Series) -> np.ndarray:
        """Give the places among `keys` of members' cohorts, by their levels and any day of their cohorts."""
        levels, cohorts = self.keys.levels
        place = np.full((len(levels), len(cohorts)), -1)
        place[self.keys.codes[0], self.keys.codes[1]] = np.arange(len(self.keys))
        level = pd.Categorical(level, categories=levels).codes if len(levels) > 1 else 0
        return place[level, np.searchsorted(cohorts, day, side="right") - 1]


def stayed(data: Any, name: str, source: str, unit: str, blocks: int) -> Stayed:
    """Count who stayed how long, once, together (1) or by so many blocks of customers, then with their fees."""
    key = ("cohorts", name, source, unit, blocks)
    return data.con.once(key, lambda: _counted(data, name, source, unit, blocks))


def _counted(data: Any, name: str, source: str, unit: str, blocks: int) -> Stayed:
    day_after = "CAST($as_of + INTERVAL '1' DAY AS DATE)"
    words = {"unit": unit, "step": "'7' DAY" if unit == "week" else f"'{STEP[unit]}' MONTH", **placed(source)}
    words |= {"block": f"s.customer % {blocks}", **(fee_of(data) if blocks > 1 else {"fee": "0", "fees": ""})}
    window = {"definition": name, "as_of": data.as_of}
    ages = {"seen": completed("start_date", day_after, unit), "kept": completed("start_date", "end_date", unit)}
    back = {"back": "r.start_date", "left": "r.end_date", "seen": day_after}  # back before the age is completed
    back = {name: completed("s.start_date", day, unit) for name, day in back.items()}
    data.con.run(MEMBERS.format(**words, **ages), window)
    later = 1 + definitions.settling(data, name) // 7  # steps of which the last ends may be undone
    members, late = data.con.frame(COHORTS), data.con.frame(LATE.format(later=later))
    data.con.run("DROP TABLE members")
    if members.empty:
        raise text.DataError("counts.no_cohorts")
    returns = data.con.frame(RETURNS.format(**words, **back), window)
    late["cohort"] = late["cohort"].map({day: str(Period(day.date(), unit)) for day in late["cohort"].unique()})
    return _by_age(members, returns, late, blocks)


def placed(source: str) -> dict[str, str]:
    """Give the level on the day of entry, in SQL, and the join that it needs."""
    if source == EVERYBODY:
        return {"level": "''", "levels": ""}
    on_entry = "l.customer = s.customer AND s.entry_date BETWEEN l.from_date AND l.to_date"
    return {"level": "l.level", "levels": f"JOIN {source} AS l ON {on_entry}"}


def _by_age(members: pd.DataFrame, returns: pd.DataFrame, late: pd.DataFrame, blocks: int) -> Stayed:
    """Turn last ages into customers at each age: sums over all who got at least so far."""
    cohorts = members.groupby(["level", "cohort"])
    starts = cohorts.agg(first_start=("first_start", "min"), last_start=("last_start", "max"))
    ages = cohorts["seen"].max().to_numpy() + 1
    made = Stayed(starts.index, ages, {}, {}, starts, late)
    for rows in (members, returns):
        rows["place"] = made.places(rows["level"], rows["cohort"])

    def table(rows: pd.DataFrame, age: str, numbers: str, later: int = 0) -> np.ndarray:
        out = np.zeros((blocks, len(ages), ages.max() + 1), np.int64)
        np.add.at(out, (rows["block"], rows["place"], rows[age] + later), rows[numbers])
        return out

    for sums, numbers in ((made.customers, "n"), (made.money, "fee")):
        for name, age in (("observed", "seen"), ("retained", "kept")):
            sums[name] = table(members, age, numbers)[..., ::-1].cumsum(axis=-1)[..., ::-1]
        back = table(returns, "first_age", numbers) - table(returns, "last_age", numbers, 1)
        sums |= {"returned": back.cumsum(axis=-1), "start": np.broadcast_to(sums["observed"][..., :1], back.shape)}
    return made


def completed(start: str, day: str, unit: str) -> str:
    """Give the SQL of the steps completed by a day: who joined on the 31st completes a month on its last day."""
    if unit == "week":
        return f"(date_diff('day', {start}, {day}) // 7)"
    months = f"year({day}) * 12 + month({day}) - year({start}) * 12 - month({start})"
    short = f"CASE WHEN day({day}) < day({start}) AND {day} < last_day({day}) THEN 1 ELSE 0 END"
    return f"(({months} - {short}) // {STEP[unit]})"
