"""What members of cohorts did and brought, step by step since their start."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.counts.cohortages import STEP, Stayed, placed
from churnlib.counts.histories import completed, is_regular, stepwise
from churnlib.counts.revenue import among, make_revenue
from churnlib.counts.tenure import BLOCKS

# One row per member.
EVERY_MEMBER = """
SELECT s.customer, {level} AS level, s.start_date
FROM spells AS s {levels} WHERE s.definition = $definition AND s.spell = 1
"""

THOUSANDTHS = "CAST(round(1000 * coalesce(quantity, 0)) AS BIGINT)"
MEASURES = {"customers": ("activity", "1"), "revenue": ("revenue", "amount"), "quantity": ("activity", THOUSANDTHS)}


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
        members = data.con.frame(EVERY_MEMBER.format(**where), {"definition": name})
        block = members["customer"].to_numpy() % BLOCKS
        group = stayed.places(members["level"], members["start_date"]) * BLOCKS + block
        self.sizes = np.bincount(group, minlength=len(stayed.ages) * BLOCKS).reshape(-1, BLOCKS)
        small = group.astype(np.min_scalar_type(self.sizes.size))  # sorted in one pass
        order = np.argsort(small, kind="stable")  # cohort by cohort, and in it block by block
        ends = self.sizes.sum(axis=1).cumsum()[:-1]
        members_of = np.split(members["customer"].to_numpy()[order], ends)
        self.size = STEP[unit] if unit != "week" else 0
        if measure == "customers":  # steps that each member has completed
            over = completed(members["start_date"].to_numpy(), data.as_of + timedelta(days=1), self.size)
            self.over = np.split(over.astype(np.int16)[order], ends)
        brought = stepwise(data, members, self.size, source=table, value=value, kinds=kinds)
        self.amounts = [brought.of(*cohort) for cohort in zip(members_of, stayed.ages, strict=True)]
        self.measure, self.active = measure, [amount != 0 for amount in self.amounts]
        self.is_regular = is_regular(*self.active)

    def joined(
        self, frame: pd.DataFrame, mode: str, brackets: list, follow_up: int | None
    ) -> tuple[pd.DataFrame, np.ndarray | None]:
        """Lay what was active and what it brought beside the cells of each age; brackets keep their last age."""
        active, n_ages = self.active, max(map(len, self.active))
        if mode == "after":
            n_ages = min(n_ages, follow_up + 1) if follow_up is not None else n_ages
            active = [np.logical_or.accumulate(seen[:n_ages][::-1], axis=0)[::-1] for seen in active]
            frame = frame[frame["age"] < n_ages]
        elif brackets:
            ends = {last: first + 1 for first, last in brackets}
            frame = frame[frame["age"].isin(ends)].assign(first_step=lambda kept: kept["age"].map(ends))
            active = [np.array([seen[first : last + 1].any(axis=0) for first, last in brackets]) for seen in active]
        step = frame["age"].map({last: i for i, (_, last) in enumerate(brackets)}) if brackets else frame["age"]
        is_money = self.measure != "customers"
        cells = frame["place"], step
        n_active = _table([np.count_nonzero(seen, axis=1) for seen in (self.active if is_money else active)])[*cells]
        frame, sums = frame.assign(n_active=n_active), self._money()[:, *cells] if is_money else None
        if is_money or mode == "after":
            return frame, sums
        lasts = np.array([last for _, last in brackets] or range(n_ages))[:, None]
        watched = [seen & (over > lasts[: len(seen)]) for seen, over in zip(active, self.over, strict=True)]
        observed = _table([np.count_nonzero(seen, axis=1) for seen in watched])
        return frame.assign(n_active_observed=observed[*cells]), sums

    def _money(self) -> np.ndarray:
        """By block, cohort and step sum the base, what is kept of it, all amounts."""
        out = np.zeros((BLOCKS, len(self.amounts), max(map(len, self.amounts)), 3), np.int64)
        for cohort, (amount, there) in enumerate(zip(self.amounts, self.sizes > 0, strict=True)):
            firsts, ages = (self.sizes[cohort].cumsum() - self.sizes[cohort])[there], len(amount)
            base = np.maximum(self._base(amount), 0)
            out[there, cohort, :, 0] = np.add.reduceat(base, firsts)[:, None]
            out[there, cohort, :ages, 2] = np.add.reduceat(amount, firsts, axis=1).T
            out[there, cohort, :ages, 1] = np.add.reduceat(np.minimum(amount, base), firsts, axis=1).T
        return out

    def _base(self, amount: np.ndarray) -> np.ndarray:
        """What each member's later steps are measured by: the first step; where bills are regular the second one, if
        there is one, because the first bill is often for a part of a month, which in a year is little."""
        is_second = self.is_regular and self.size < STEP["year"] and len(amount) > 1
        return np.where(amount[1] != 0, amount[1], amount[0]) if is_second else amount[0]


def _table(rows: list[np.ndarray]) -> np.ndarray:
    """Lay rows of different length below each other; what is missing is 0."""
    out = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for place, row in enumerate(rows):
        out[place, : len(row)] = row
    return out
