"""Retention curves on one axis: of those who started in each year, or of each level, what share stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import Period
from churnlib.cohorts.cohort import CohortRetention, mode_label
from churnlib.cohorts.cohortcells import COMPLETE, pooled_retention
from churnlib.show import disclosure, plots
from churnlib.show.results import Finding, Result, Statement, table_columns

DRAWN = 4  # curves that one figure holds, each named at its end
TOLD = (24, 12, 6, 3, 1)  # ages that a sentence speaks of


@dataclass(frozen=True, kw_only=True)
class RetentionCurves(Result):
    """What share of groups of cohorts stays.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per `started` (a year of starts, else a cohort) or `level`, and age: `n_start` customers of the cohorts
        complete at that age, `retention` with `ci_lower`, `ci_upper` in [0, 1].
    group : {"started", "level"}
    mode : str
        What being retained means: see `cohort_counts`.
    """

    group: str
    mode: str
    module: ClassVar[str] = "cohortcurves"
    columns = table_columns("level started:text age:whole n_start retention:pct.1 ci_lower:pct.1 ci_upper:pct.1")

    @property
    def shown(self) -> pd.DataFrame:
        """Without the points of a cohort that the table of cohorts hides; numbers of starts as told elsewhere."""
        told = {name: self.table[name].where(self.table["is_shown"]) for name in ("retention", "ci_lower", "ci_upper")}
        out = self.table.drop(columns="is_shown").assign(**told)
        return out.assign(n_start=disclosure.in_tens(out["n_start"], self.about))

    @property
    def findings(self) -> tuple[Finding, ...]:
        wide = self.shown.pivot(index="age", columns=self.group, values="retention")
        told = [age for age in TOLD if age in wide.index and wide.loc[age].count() > 1]
        if self.group == "level":
            told.sort(key=lambda age: -wide.loc[age].count())  # as many as can be told, at the longest age
        for age in told[:1]:
            names = wide.loc[age].dropna().index  # the oldest and the newest, or the levels that are apart most
            ends = names[[0, -1]] if self.group == "started" else wide.loc[age].agg(["idxmin", "idxmax"])
            rows = self.shown[self.shown["age"] == age].set_index(self.group).loc[list(ends)]
            values = {"age": age, **self._words}
            for end, (name, row) in zip(("first", "last"), rows.iterrows(), strict=True):
                named = self.level(name) if self.group == "level" else Period.parse(name)
                values |= {end: named, f"{end}_share": row.retention, f"{end}_n": int(row.n_start)}
                values |= {f"{end}_lower": row.ci_lower, f"{end}_upper": row.ci_upper}
            return (Finding(f"cohortcurves.{self.group}", values),)
        return (Finding("cohortcurves.too_few"),)

    @property
    def _words(self) -> dict:
        return {"mode": mode_label(self.mode), "unit": text.label(f"cohort.unit.{self.about.period.unit}")}

    @property
    def subtitle(self) -> Statement:
        return Statement("cohortcurves.subtitle", self._words)

    @property
    def notes(self) -> tuple[Statement, ...]:
        kind = "chained" if self.mode == "stay" else "pooled"
        return (Statement(f"cohortcurves.note.{kind}", {"definition": self.about.definition_note}),)

    def plot(self, ax=None):
        table = self.shown
        hidden = table["retention"].isna()[::-1].groupby(table[self.group]).cummax()
        told = table[~hidden.sort_index()]  # a curve begins after hidden ages
        sizes = told.groupby(self.group)["n_start"].agg(["size", "max"]).query("size > 1")["max"]
        names = sizes.index[-DRAWN:] if self.group == "started" else sizes.nlargest(DRAWN).index
        drawn = {name: told[told[self.group] == name].set_index("age") for name in names}
        if len(drawn) < 2:
            return None
        end = max(rows.index[-1] for rows in drawn.values())
        ticks = range(0, end + 1, next(step for step in (1, 2, 3, 6, 12, end) if end <= 10 * step))
        curves = [
            plots.Curve(
                str(self.level(name).to(text.language())) if self.group == "level" else name,
                rows.index.tolist(),
                *(rows[column].tolist() for column in ("retention", "ci_lower", "ci_upper")),
                said=text.show(rows["retention"].iloc[-1], "pct", digits=0),
            )
            for name, rows in drawn.items()
        ]
        axis = text.say("cohort.axis.stay", unit=self._words["unit"])
        return plots.steps(curves, ticks=list(ticks), x_label=axis, end=end, ax=ax)


def retention_curves(retention: CohortRetention) -> RetentionCurves:
    """Join cohorts to one curve for each year of starts, or for each level of the segment.

    Parameters
    ----------
    retention : CohortRetention
        From `cohort_retention(cohort_counts(data))`. Of starts in a single year each cohort has its own curve.

    Returns
    -------
    RetentionCurves
        One row per year (cohort, level) and age, as far as enough customers are followed. Customers are chained from
        age to age, cohorts leaving as they cease to be observed; activity is pooled over cohorts complete at an age.
    """
    about, group = retention.about, "level" if retention.about.segment.name else "started"
    cells = retention.cells.assign(is_hidden=retention.shown["retention"].isna())
    if group == "started":
        cells = cells[~disclosure.held_back(about, cells["cohort"], "new")]
    years = cells["cohort"].str[:4]
    cells["started"] = years if years[cells["age"] > 0].nunique() > 1 else cells["cohort"]
    curves = {name: _curve(part, about, is_chained=retention.mode == "stay") for name, part in cells.groupby(group)}
    parts = [curve.assign(**{group: name}) for name, curve in curves.items()]
    columns = [group, "age", "n_start", "retention", "ci_lower", "ci_upper", "is_shown"]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    return RetentionCurves(about=about, table=table[columns], name="retention_curves", group=group, mode=retention.mode)


def _curve(part: pd.DataFrame, about, *, is_chained: bool) -> pd.DataFrame:
    """Pool cohorts, as long as enough customers are followed; hidden is what would give one cell back, or a handful."""
    pooled = pooled_retention(part, np.full(len(part), COMPLETE), about.conf_level, is_chained=is_chained)
    lost = [pooled[name] - pooled["n_kept"] for name in ("n_start", "n_before")]
    few = np.logical_or(*(each.between(1, about.privacy_k - 1) for each in lost))
    n_hidden = pooled["age"].map(part.groupby("age")["is_hidden"].sum())
    pooled = pooled.assign(is_shown=(n_hidden != 1) & ~few)
    return pooled[(pooled["n_start"] >= about.min_denominator).cummin()]
