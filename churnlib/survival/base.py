"""What the results of this folder share: names of levels, months that are read, what may be shown, notes on time."""

from __future__ import annotations

from dataclasses import fields
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement
from churnlib.survival.lifetable import ALL
from churnlib.survival.suppression import merge_small_steps
from churnlib.text import Label

MONTHS = (1, 3, 6, 12, 24, 36, 60)  # at which survival is read
FIRST_YEAR = 12  # months: the main reading, where the definition can tell
LINES = 5  # curves in one figure at most


class SurvivalResult(Result):
    """A result by level and tenure."""

    module: ClassVar[str] = "survival"

    def level(self, value: str) -> Label:
        return text.label("survival.all") if value == ALL else super().level(value)

    def shown_columns(self) -> list[Column]:
        # one row of "all customers" after another says nothing
        whole = "level" in self.shown and set(self.shown["level"]) <= {ALL}
        return [column for column in super().shown_columns() if not (whole and column.name == "level")]

    def too_small(self) -> Finding:
        """Say that nothing can be shown."""
        values = {"segment": self.about.segment.label, "n": self.about.min_denominator}
        return Finding("survival.too_small", values)

    def withheld(self, table: pd.DataFrame, known, keep, hides: tuple[str, ...]) -> pd.DataFrame:
        """Blank the columns `hides` of readings not kept, and say why in `flag`: too few customers, or privacy."""
        flag = np.where(keep, disclosure.SHOWN, np.where(known, disclosure.HIDDEN, disclosure.SMALL))
        blanked = {name: table[name].where(keep) for name in hides}
        # how many are at risk says nothing of who left: only small numbers are blanked
        blanked["n_at_risk"] = table["n_at_risk"].where(table["n_at_risk"] >= self.about.min_denominator)
        return table.assign(flag=flag, **blanked)

    def kept(self, table: pd.DataFrame, value: str, curves: int = 1, anchored: bool = True) -> tuple:
        """Tell which readings are known, and which of these may be shown (see `merge_small_steps`).

        `table` has one row per level, curve (so many a level: its outcomes) and month, `n_events` up to each; all have
        the same months. The curves of all customers are shown together or not at all.
        """
        levels = table["level"].nunique()
        known = table[value].notna() & (table["n_at_risk"] >= self.about.min_denominator)
        lost = table["n_events"].where(known).to_numpy(float).reshape(levels * curves, -1)
        milestones = np.isin(table["months"].to_numpy()[: lost.shape[1]], MONTHS) if anchored else None
        keep = merge_small_steps(lost, self.about.privacy_k, levels == 1 < curves, milestones)
        return known, keep.ravel()

    def _time_notes(self) -> tuple[Statement, ...]:
        # the long conventions stand once, under the curve of all customers
        whole = not self.about.segment.name
        time = (Statement(f"survival.note.time_{self.about.time_unit}"), *self._rule_notes()) if whole else ()
        warning = (Statement("survival.note.snapshot"),) if self.about.snapshot else ()
        return (*time, Statement("survival.note.interval"), self._cut_note(), *warning)

    def _cut_note(self) -> Statement:
        return Statement("survival.note.cut", {"n": self.about.min_denominator})

    def _move_notes(self) -> tuple[Statement, ...]:
        """Say how customers who changed level are counted."""
        ruled = (Statement("survival.note.moved_ruled"),) if self.about.earliest_churn else ()
        return (Statement("survival.note.moved"), *ruled)

    def _rule_notes(self) -> tuple[Statement, ...]:
        rule = self.about.earliest_churn
        return (Statement("survival.note.rule", {"months": rule}),) if rule else ()


def with_intervals(estimates: pd.DataFrame, language: str, kind: str = "number", digits: int = 1) -> list[str]:
    """Write estimates with their intervals, three columns: "78.1% (77.5–78.6)", "−2.6 (−3.6 to −1.6)"."""
    times, plain = (100, "number") if kind == "pct" else (1, kind)
    between = "–" if kind != "signed" else " 至 " if language == "zh" else " to "
    before, after = "（）" if language == "zh" else (" (", ")")
    cells = []
    for value, *ends in estimates.to_numpy(float).tolist():
        said = text.show(value, kind, language, digits)
        interval = between.join(text.show(times * end, plain, language, digits) for end in ends)
        cells.append(said if np.isnan([value, ends[0]]).any() else f"{said}{before}{interval}{after}")
    return cells


def curve_of(rows: pd.DataFrame, value: str, name: str = "", banded: bool = True, **how) -> plots.Curve:
    """Give the curve of a table's rows by `months`, with the interval as its band."""
    band = [rows[end].to_numpy(float) for end in ("ci_lower", "ci_upper")] if banded else ()
    return plots.Curve(name, rows["months"].to_numpy(float), rows[value].to_numpy(float), *band, **how)


def by_tenure(curves: list[plots.Curve], last: float, ax=None, **how):
    """Draw step curves over months of tenure, up to the tick after the last one."""
    return plots.steps(curves, ticks=tick_months(last), x_label=text.say("survival.axis.months"), ax=ax, **how)


def tick_months(last: float) -> list[int]:
    """Choose the months written under an axis that goes to `last`: at most a dozen steps."""
    step = next((m for m in (1, 3, 6, 12, 24, 60) if last <= 12 * m), 120)
    return list(range(0, int(np.ceil(last / step)) * step + 1, step))


def readable(about, months=MONTHS) -> tuple[int, ...]:
    """Give the months at which the definition can tell of churn: until its rule has run, all are still there."""
    return tuple(m for m in months if m > about.earliest_churn)


def main_month(about, told=None) -> int:
    """Give the month whose reading comes first: 12, or the next after a longer rule has run; the nearest of `told`."""
    main = next((m for m in readable(about) if m >= FIRST_YEAR), MONTHS[-1])
    return main if told is None else min(map(int, told), key=lambda m: (abs(m - main), m))


def grown(kind: type, result: Result, **more):
    """Give a result as one of a kind that holds more."""
    return kind(**{field.name: getattr(result, field.name) for field in fields(result)} | more)
