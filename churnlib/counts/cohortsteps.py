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
        sql = EVERY_MEMBER.format(unit=unit, **placed(source))
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
        whole = np.zeros((len(self.stayed.ages), int(self.stayed.ages.max())), np.int64)
        for cohort, members in enumerate(self.members):
            whole[cohort, : len(active)] = np.count_nonzero(active.take(members, axis=1), axis=1)
        frame = frame.assign(n_active=whole[frame["place"], step])
        if self.measure == "customers":
            return frame, None
        sums = self._money()[:, frame["place"], frame["age"]]
        base, kept, amount = sums.sum(axis=0).T
        return frame.assign(amount=amount, amount_base=base, amount_kept=kept), sums

    def _money(self) -> np.ndarray:
        """Sum the base, what is kept of it and all amounts by block, cohort and step."""
        out = np.zeros((BLOCKS, *self.sizes.shape[:1], len(self.sums), 3), np.int64)
        base = np.maximum(self._base(), 0)
        for cohort, (members, ages) in enumerate(zip(self.members, self.stayed.ages, strict=True)):
            amount, own, there = self.sums[:ages].take(members, axis=1), base[members], self.sizes[cohort] > 0
            firsts = (self.sizes[cohort].cumsum() - self.sizes[cohort])[there]
            out[there, cohort, :, 0] = np.add.reduceat(own, firsts)[:, None]
            out[there, cohort, :ages, 1] = np.add.reduceat(np.clip(amount, 0, own), firsts, axis=1).T
            out[there, cohort, :ages, 2] = np.add.reduceat(amount, firsts, axis=1).T
        return out

    def _base(self) -> np.ndarray:
        """What each member's later steps are measured by: the first step; where bills are regular the second one, if
        there is one, because the first bill is often for a part of a month."""
        first, second = self.sums[:1], self.sums[1:2]
        return (np.where(second != 0, second, first) if second.size and self.is_regular else first)[0]
