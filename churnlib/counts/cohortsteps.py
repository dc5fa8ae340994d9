"""What members of cohorts did and brought, step by step since their start."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.counts.cohortages import STEP, Stayed, placed
from churnlib.counts.histories import is_regular, stepwise
from churnlib.counts.revenue import among, make_revenue
from churnlib.counts.tenure import BLOCKS

# One row per member.
EVERY_MEMBER = """
SELECT s.customer, {level} AS level, CAST(date_trunc('{unit}', s.start_date) AS DATE) AS cohort, s.start_date
FROM spells AS s {levels} WHERE s.definition = $definition AND s.spell = 1
"""

MEASURES = {"customers": ("activity", "1"), "revenue": ("revenue", "amount"), "quantity": ("activity", "{thousandths}")}


class Steps:
    """Activity of the members by step since their start, summed over cohorts as asked."""

    def __init__(self, data: Any, name: str, source: str, unit: str, measure: str, stayed: Stayed):
        table, value = MEASURES[measure]
        column = {"revenue": "amount", "quantity": "quantity"}.get(measure)
        if not data.has(f"activity.{column}" if column else "activity"):
            raise text.DataError("counts.no_measure", measure=measure, column=column or "date")
        if measure == "revenue":
            make_revenue(data)
        kinds = getattr(data.spec.definitions[name], "activity", None) if measure == "customers" else None
        kinds = f"AND ({among(kinds)})" if kinds else ""  # what the definition calls activity
        where = placed(source)
        where["level"] = where["level"] if where["levels"] else "0"  # a word for every member would take time
        sql = EVERY_MEMBER.format(unit=unit, **where)
        members = data.con.frame(sql, {"definition": name})
        group = stayed.places(members) * BLOCKS + members["customer"].to_numpy() % BLOCKS
        self.sizes = np.bincount(group, minlength=len(stayed.ages) * BLOCKS).reshape(-1, BLOCKS)
        small = group.astype(np.min_scalar_type(self.sizes.size))  # sorted in one pass
        order = np.argsort(small, kind="stable")  # cohort by cohort, and in it block by block
        self.members = np.split(members["customer"].to_numpy()[order], self.sizes.sum(axis=1).cumsum()[:-1])
        size = STEP[unit] if unit != "week" else 0
        self.sums = stepwise(data, members, int(stayed.ages.max()), size, source=table, value=value, kinds=kinds)
        self.stayed, self.measure, self.active = stayed, measure, self.sums != 0
        self.is_regular = is_regular(self.active)

    def joined(
        self, frame: pd.DataFrame, mode: str, brackets: list, follow_up: int | None
    ) -> tuple[pd.DataFrame, np.ndarray | None]:
        """Lay what was active and what it brought beside the cells of each age; brackets keep their last age."""
        active = self.active
        if mode == "after":
            seen = active[: follow_up + 1] if follow_up is not None else active
            active, frame = np.logical_or.accumulate(seen[::-1], axis=0)[::-1], frame[frame["age"] < len(seen)]
        elif brackets:
            ends = {last: first + 1 for first, last in brackets}
            frame = frame[frame["age"].isin(ends)].assign(first_step=frame["age"].map(ends))
            active = np.array([active[first : last + 1].any(axis=0) for first, last in brackets])
        step = frame["age"].map({last: i for i, (_, last) in enumerate(brackets)}) if brackets else frame["age"]
        if self.measure != "customers":
            n_active, sums = self._money()
            return frame.assign(n_active=n_active[frame["place"], step]), sums[:, frame["place"], step]
        n_active = [np.count_nonzero(active.take(members, axis=1), axis=1) for members in self.members]
        return frame.assign(n_active=np.array(n_active)[frame["place"], step]), None

    def _money(self) -> tuple[np.ndarray, np.ndarray]:
        """Count who brought something by cohort and step; by block sum the base, what is kept of it, all amounts."""
        n_active = np.zeros((len(self.members), len(self.sums)), np.int64)
        out = np.zeros((BLOCKS, *n_active.shape, 3), np.int64)
        base = np.maximum(self._base(), 0)
        for cohort, (members, ages) in enumerate(zip(self.members, self.stayed.ages, strict=True)):
            amount, own, there = self.sums[:ages].take(members, axis=1), base[members], self.sizes[cohort] > 0
            firsts = (self.sizes[cohort].cumsum() - self.sizes[cohort])[there]
            n_active[cohort, :ages] = np.count_nonzero(amount, axis=1)
            out[there, cohort, :, 0] = np.add.reduceat(own, firsts)[:, None]
            out[there, cohort, :ages, 2] = np.add.reduceat(amount, firsts, axis=1).T
            out[there, cohort, :ages, 1] = np.add.reduceat(amount.clip(0, own, out=amount), firsts, axis=1).T
        return n_active, out

    def _base(self) -> np.ndarray:
        """What each member's later steps are measured by: the first step; where bills are regular the second one, if
        there is one, because the first bill is often for a part of a month."""
        first, second = self.sums[:1], self.sums[1:2]
        return (np.where(second != 0, second, first) if second.size and self.is_regular else first)[0]
