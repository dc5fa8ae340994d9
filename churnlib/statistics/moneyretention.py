"""What of a cohort's money stays: gross and net revenue retention by age."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.show import plots
from churnlib.show.results import Column, Finding, Result, Statement
from churnlib.statistics.cohortcells import COMPLETE, SMALL, cell_states, pooled_retention

PLOTTED_AGES = 24


@dataclass(frozen=True, kw_only=True)
class MoneyRetention(Result):
    """Gross and net retention of what each cohort brought in its first step.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level, cohort and age: `n_start` customers, `base` (what they brought in their first whole step),
        `net` (what all of them brought in this step, returned ones included, over the base), `gross` (at most each
        customer's own base, over the base: without what others pay more), `state`; shares, missing unless complete.
    pooled : pandas.DataFrame
        One row per age: `gross`, `net` of the cohorts complete at each age (see `pooled_retention`), `n_cohorts`,
        `n_start`.
    of : {"revenue", "quantity", "fee"}
        What is measured.
    """

    pooled: pd.DataFrame
    of: str
    module: ClassVar[str] = "moneyretention"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("level", "level"),
        Column("cohort", "period"),
        Column("age", "whole"),
        Column("n_start", "whole"),
        Column("gross", "pct", 1),
        Column("net", "pct", 1),
        Column("state", "term", prefix="cohort.state"),
    )

    @property
    def shown(self) -> pd.DataFrame:
        return self.table if self.about.segment.name else self.table.drop(columns="level")

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.pooled[self.pooled["age"].isin((1, 3, 6, 12, 24))].dropna(subset=["net", "gross"])
        told = told[told["n_start"] >= self.about.min_denominator]
        if told.empty:
            return (Finding("moneyretention.unknown"),)
        row = told.iloc[-1]
        values = {"age": int(row.age), "gross": row.gross, "net": row.net, "cohorts": int(row.n_cohorts)}
        values |= {"n": int(row.n_start), **self._words}
        word = "more" if row.net > 1 else "less"
        return (Finding(f"moneyretention.{word}", values, tone="better" if row.net > 1 else "steady"),)

    @property
    def _words(self) -> dict:
        unit = self.about.period.unit
        return {"unit": text.label(f"cohort.unit.{unit}"), "of": text.label(f"moneyretention.of.{self.of}")}

    @property
    def subtitle(self) -> Statement:
        return Statement("moneyretention.subtitle", self._words)

    @property
    def notes(self) -> tuple[Statement, ...]:
        key = "fee" if self.of == "fee" else "activity"
        return (Statement(f"moneyretention.note.{key}", {"revenue": self.about.revenue_note, **self._words}),)

    def plot(self, ax=None):
        pooled = self.pooled[(self.pooled["age"] <= PLOTTED_AGES) & self.pooled["net"].notna()]
        pooled = pooled[pooled["n_start"] >= self.about.min_denominator]
        if len(pooled) < 2:
            return None
        ages = pooled["age"].tolist()
        curves = [
            plots.Curve(
                text.say(f"moneyretention.column.{name}"),
                ages,
                pooled[name].tolist(),
                said=text.show(pooled[name].iloc[-1], "pct", digits=0),
            )
            for name in ("net", "gross")
        ]
        ticks = np.unique(np.linspace(0, ages[-1], 7).astype(int)).tolist()
        return plots.steps(curves, ticks=ticks, x_label=text.say("cohort.axis.stay", **self._words), ax=ax)


def money_retention(counts) -> MoneyRetention:
    """Work out the gross and net revenue retention of each cohort by age.

    Parameters
    ----------
    counts : CohortCounts
        From `cohort_counts(data, measure="money")`, or by revenue or quantity; by customers their fees are taken, which
        do not change: net then differs from gross by those who came back.

    Returns
    -------
    MoneyRetention
        One row per level, cohort and age. The base is each customer's first whole step (see `cohort_counts`), so
        that a first bill for part of a month is no growth afterwards.
    """
    about, frame = counts.about, counts.frame[~counts.frame["is_truncated"]].reset_index(drop=True)
    of = {"customers": "fee"}.get(counts.measure, counts.measure)
    if "amount" in frame:
        frame = frame.assign(base=frame["amount_base"], gross=frame["amount_kept"], net=frame["amount"])
        frame = frame[frame["age"] > 0].reset_index(drop=True)  # the base is of the first steps themselves
    elif "fee_start" in frame:
        net = frame["fee_retained"] + frame["fee_returned"]
        frame = frame.assign(base=frame["fee_start"], gross=frame["fee_retained"], net=net)
    else:
        frame = frame.iloc[:0].assign(base=0, gross=0, net=0)
    state = cell_states(frame, about.as_of, about.min_denominator)
    pooled = _pooled(frame, state, counts.is_regular)
    shares = {c: (frame[c] / frame["base"].where(frame["base"] > 0)).where(state == COMPLETE) for c in ("gross", "net")}
    table = frame.assign(state=state, **shares)
    table = table[["level", "cohort", "age", "n_start", "base", "gross", "net", "state"]]
    return MoneyRetention(about=about, table=table, name="money_retention", pooled=pooled, of=of)


def _pooled(frame: pd.DataFrame, state: np.ndarray, is_chained: bool) -> pd.DataFrame:
    """Add all levels and the cohorts complete at each age up; chained where money comes step after step."""
    told = frame[np.isin(state, (COMPLETE, SMALL)) & (frame["base"] > 0)]
    sums = told.groupby(["cohort", "age"], as_index=False)[["n_start", "base", "gross", "net"]].sum()
    done = np.full(len(sums), COMPLETE)
    parts = {}
    for name in ("gross", "net"):
        cells = sums.assign(n_start=sums["base"], n_retained=sums[name])
        parts[name] = pooled_retention(cells, done, is_chained=is_chained)
    customers = sums.groupby("age")["n_start"].sum()
    out = parts["gross"][["age", "n_cohorts"]].assign(gross=parts["gross"]["retention"], net=parts["net"]["retention"])
    return out.assign(n_start=out["age"].map(customers))
