"""Do newer customers stay better: retention by the period in which customers started, with honest cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.stats import t

from churnlib import text
from churnlib.about import YEAR, Period
from churnlib.cohorts.cohortcells import (
    COMPLETE,
    OPEN,
    PARTLY,
    SMALL,
    cell_states,
    late_retention,
    pooled_retention,
    watched_share,
)
from churnlib.intervals import difference, overdispersion, wilson
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement

PLOTTED_AGES, PLOTTED_COHORTS = 12, 24  # what fits a page and is still readable
COMPARED = 3  # newest complete cohorts that are set against those of a year before


@dataclass(frozen=True, kw_only=True)
class CohortRetention(Result):
    """Retention of each cohort by age.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level, cohort and age: `cohort` (period), `age` in completed periods since the start, `n_start`,
        `n_retained`, `n_returned` (left and back by then, no part of the retained), `state` (see `cell_states`),
        `retention` with `ci_lower`, `ci_upper` in [0, 1]. In a complete cell it is a share with Wilson's interval, in a
        partly observed one the estimate of `late_retention` or `watched_share`; missing in all others.
    pooled : pandas.DataFrame
        One row per level and age: `retention`, the mean weighted by customers over complete cells (see
        `pooled_retention`) with `ci_lower`, `ci_upper`, `n_cohorts`, `n_start`.
    mode : str
        What being retained means: see `cohort_counts`.
    cells : pandas.DataFrame
        One row per complete cell, small ones too: what `pooled` is made of, never shown itself.
    """

    pooled: pd.DataFrame
    mode: str
    cells: pd.DataFrame
    module: ClassVar[str] = "cohort"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("level", "level"),
        Column("cohort", "period"),
        Column("age", "whole"),
        Column("n_start", "whole"),
        Column("n_retained", "whole"),
        Column("retention", "pct", 1),
        Column("ci_lower", "pct", 1),
        Column("ci_upper", "pct", 1),
        Column("n_returned", "whole"),
        Column("state", "term", prefix="cohort.state"),
    )

    @property
    def shown(self) -> pd.DataFrame:
        """Cells with enough customers; the lost, the retained or the returned of a cohort are hidden if a handful, a
        cohort whose size would give back the losses of its period, and an age at which all lost a handful together.
        """
        k, table = self.about.privacy_k, self.table
        lost = table["n_start"] - table["n_retained"]
        out = table if self.about.segment.name else table.drop(columns="level")
        step = table.groupby(["level", "cohort"])["n_retained"].shift() - table["n_retained"]
        at_age = (step * (self.mode == "stay")).groupby([table["level"], table["age"]]).transform("sum")
        told = ~lost.between(1, k - 1) & ~table["n_retained"].between(1, k - 1) & ~at_age.between(1, k - 1)
        out = out.assign(n_returned=table["n_returned"].astype(float).mask(table["n_returned"].between(1, k - 1)))
        held = disclosure.held_back(self.about, table["cohort"], "new")
        for column in ("n_retained", "retention", "ci_lower", "ci_upper"):
            out[column] = out[column].astype(float).where(told)
        return out.assign(**{c: out[c].astype(float).mask(held) for c in out if c.startswith(("n_", "ret", "ci_"))})

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.mode == "after" and not (self.table["state"] == COMPLETE).any():
            return (Finding("cohort.after_open"),)
        compared = self._levels_compared() if self.about.segment.name else self._newest_against_year_before()
        told = [f for f in (compared, self._pooled_finding()) if f is not None]
        return tuple(told) or (Finding("cohort.too_short"),)

    def _pooled_finding(self) -> Finding | None:
        told = self.pooled[self.pooled["age"].isin(self._ages)].dropna(subset="retention")
        if told.empty or self.about.segment.name:
            return None
        row = told.iloc[-1]
        n = int(disclosure.in_tens(row.n_start, self.about))
        values = {"retention": row.retention, "lower": row.ci_lower, "upper": row.ci_upper, "n": n}
        values |= {"cohorts": int(row.n_cohorts)}
        return Finding(f"cohort.pooled.{self._said}", values | self._at(int(row.age)))

    @property
    def _ages(self) -> tuple[int, ...]:
        """Ages that a sentence speaks of: not those before which the definition can show no churn; every bracket."""
        if "first_step" in self.table:
            return tuple(self.pooled["age"])
        months = {"week": 12 / 52, "month": 1, "quarter": 3, "year": 12}[self.about.period.unit]
        ruled = self.about.earliest_churn if self.mode == "stay" else 0
        return tuple(age for age in (1, 3, 6, 12, 24) if age * months > ruled)

    @property
    def _said(self) -> str:
        """Which sentences speak of this mode."""
        return "stay" if self.mode == "stay" else "active"

    @property
    def _words(self) -> dict:
        return {"mode": mode_label(self.mode), "unit": text.label(f"cohort.unit.{self.about.period.unit}")}

    def _at(self, age: int) -> dict:
        """Give the words for an age: of a bracket its own steps and the last of them."""
        if "first_step" not in self.table:
            return {"age": age, **self._words}
        first = int(self.table.loc[self.table["age"] == age, "first_step"].iloc[0])
        return self._words | {"age": age + 1, "mode": mode_label(f"{first}–{age + 1}" if first <= age else str(first))}

    def _levels_compared(self) -> Finding | None:
        """Name the levels whose customers stay best and worst at the longest age that all have; by their intervals."""
        wide = self.pooled.pivot(index="age", columns="level", values="retention").dropna()
        wide = wide[wide.index.isin(self._ages)]
        if wide.empty or wide.shape[1] < 2:
            return None
        age, row = int(wide.index[-1]), wide.iloc[-1]
        n = self.pooled[self.pooled["age"] == age].set_index("level")["n_start"]
        row = row[n[row.index] >= self.about.min_denominator].sort_values()
        if len(row) < 2:
            return None
        best, worst = row.index[-1], row.index[0]
        lower, _ = difference(row[best] * n[best], n[best], row[worst] * n[worst], n[worst], 1.0, _widened(len(row)))
        values = {"best": self.level(best), "worst": self.level(worst), **self._at(age)}
        values |= {"high": row[best], "low": row[worst], "gap": row[best] - row[worst]}
        word = "apart" if lower > 0 else "alike"
        grade = "moderate" if lower > 0 else "descriptive"
        weight = float(n[worst] * values["gap"]) / self.about.years
        return Finding(f"cohort.levels.{word}", values, grade=grade, weight=weight)

    def _newest_against_year_before(self) -> Finding | None:
        """Compare the newest complete cohorts at the longest common age with the same ones a year before."""
        year = YEAR[self.about.period.unit]
        for age in [age for age in (12, 6, 3, 1) if age in self._ages]:
            cells = self.table[(self.table["age"] == age) & (self.table["state"] == COMPLETE)].sort_values("cohort")
            newest = cells.tail(COMPARED)
            twins = {str(Period.parse(c).shift(-year)) for c in newest["cohort"]}
            before = cells[cells["cohort"].isin(twins)]
            held = disclosure.held_back(self.about, [*newest["cohort"], *before["cohort"]], "new").any()
            if len(newest) == len(before) == COMPARED and not held:
                return self._compared(age, newest, before, months_differ_by(cells.iloc[:-COMPARED]))
        return None

    def _compared(self, age: int, newest: pd.DataFrame, before: pd.DataFrame, sigma: float) -> Finding:
        kept, start = newest[["n_retained", "n_start"]].sum()
        kept_before, start_before = before[["n_retained", "n_start"]].sum()
        lower, upper = difference(kept, start, kept_before, start_before, sigma, self.about.conf_level)
        change = kept / start - kept_before / start_before
        word, tone = (
            ("flat", "steady") if lower <= 0 <= upper else ("rise", "better") if change > 0 else ("fall", "worse")
        )
        values = {
            "first": Period.parse(newest["cohort"].iloc[0]),
            "last": Period.parse(newest["cohort"].iloc[-1]),
            "age": age,
            "now": kept / start,
            "before": kept_before / start_before,
            "change": change,
            "lower": lower,
            "upper": upper,
        }
        grade = "descriptive" if word == "flat" else "moderate"
        return Finding(
            f"cohort.newest.{word}", values | self._at(age), grade=grade, tone=tone, weight=abs(change) * start
        )

    @property
    def subtitle(self) -> Statement:
        cohorts = self.table["cohort"]
        return Statement("cohort.subtitle", {"first": cohorts.min(), "last": cohorts.max(), **self._words})

    @property
    def notes(self) -> tuple[Statement, ...]:
        values = {"definition": self.about.definition_note}
        return (
            Statement(f"cohort.note.{self._said}", values | self._words),
            Statement(f"cohort.note.states.{self._said}", {"n": self.about.min_denominator}),
            *((self.small_note,) if self.shown["n_start"].isna().any() else ()),
        )

    def plot(self, ax=None):
        by_level = bool(self.about.segment.name)
        values, states, sizes = self._grid_of_levels() if by_level else self._grid()
        if values.empty:  # every cohort is too small to be shown
            return None
        rows = [str(self.level(v).to(text.language())) for v in values.index] if by_level else values.index.tolist()
        pooled = self.pooled.groupby("age")["retention"].first().reindex(values.columns)
        return plots.heat_map(
            rows,
            self._age_names(values.columns),
            values.to_numpy().tolist(),
            states.to_numpy().tolist(),
            n=sizes.tolist(),
            row_header=str(self.about.segment.label.to(text.language()))
            if by_level
            else text.say("cohort.column.cohort"),
            column_header=text.say(f"cohort.axis.{self._said}", **self._words),
            footer=None if by_level else (text.say("cohort.all"), pooled.tolist()),
            ax=ax,
        )

    def _age_names(self, ages) -> list[str]:
        """Name the columns: completed steps, steps counted from 1, or brackets of them."""
        if self.mode in ("stay",):
            return [str(age) for age in ages]
        if "first_step" not in self.table:
            return [str(age + 1) for age in ages]
        first = self.table.groupby("age")["first_step"].first()
        return [f"{first[age]}–{age + 1}" if first[age] <= age else str(age + 1) for age in ages]

    def _grid(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
        shown = self.shown[self.shown["age"] <= max(PLOTTED_AGES, self.table["age"].min())]
        later = shown[shown["age"] > 0]
        if len(later) and shown.loc[shown["age"] == 0, "retention"].dropna().eq(1).all():
            shown = later  # all of them were there at the start
        told = shown.groupby("cohort")["retention"].count()
        inner = told[told.cumsum().gt(0) & told[::-1].cumsum().gt(0)]  # small ones between others too
        shown = shown[shown["cohort"].isin(inner.index[-PLOTTED_COHORTS:])]
        values = shown.pivot(index="cohort", columns="age", values="retention")
        states = shown.pivot(index="cohort", columns="age", values="state").reindex_like(values)
        states = states.mask((states == COMPLETE) & values.isna(), SMALL).fillna(OPEN)
        return values, states, shown.groupby("cohort")["n_start"].first().reindex(values.index)

    def _grid_of_levels(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
        pooled = self.pooled[self.pooled["age"] <= PLOTTED_AGES]
        pooled = pooled[pooled["n_start"] >= self.about.min_denominator]
        values = pooled.pivot(index="level", columns="age", values="retention")
        values = values.reindex([v for v in self.about.segment.levels if v in values.index])
        sizes = pooled.groupby("level")["n_start"].max().reindex(values.index)
        return values, values.isna().replace({True: OPEN, False: COMPLETE}), sizes


def _widened(n_levels: int) -> float:
    """A confidence level at which the largest gap between levels is judged (Bonferroni over all pairs)."""
    return 1 - 0.05 / (n_levels * (n_levels - 1) / 2)


def mode_label(mode: str) -> text.Label:
    """Name what being retained means."""
    if mode in ("stay", "in", "after"):
        return text.label(f"cohort.mode.{mode}")
    return text.Label(*(text.say("cohort.mode.brackets", language, brackets=mode) for language in text.LANGUAGES))


def months_differ_by(cells: pd.DataFrame) -> float:
    """Give the overdispersion of neighbouring cohorts taken together, from the cohorts before them at the same age.

    Neighbours live through the same months, good or bad, so what they vary by beyond chance does not shrink when they
    are added up; and some years of them have seen few months apart: Student's t, with one degree of freedom for six.
    """
    beyond = overdispersion(cells["n_retained"], cells["n_start"]) ** 2 - 1
    few = t.ppf(0.975, max(len(cells) / 6, 2)) / t.ppf(0.975, np.inf)
    return float(np.sqrt(1 + COMPARED * beyond * few**2))


def cohort_retention(counts) -> CohortRetention:
    """Work out the retention of each cohort by age.

    Parameters
    ----------
    counts : CohortCounts
        From `cohort_counts(data)`, customers: one row per level, cohort and age.

    Returns
    -------
    CohortRetention
        One row per level, cohort and age; cohorts that started before ends were recorded are left out, because their
        early losses cannot be known.
    """
    about, frame = counts.about, counts.frame
    frame = frame[~frame["is_truncated"]].sort_values(["level", "cohort", "age"], kind="stable").reset_index(drop=True)
    if counts.mode != "stay":
        frame = frame.assign(n_retained=frame["n_active"])
    state = cell_states(frame, about.as_of, about.min_denominator)
    told = state == COMPLETE
    if counts.mode == "after" and counts.follow_up is None:  # any later activity raises the cell: never complete
        state = np.where(told, PARTLY, state)
    lower, upper = wilson(frame["n_retained"], frame["n_start"], about.conf_level)
    table = frame.assign(
        state=state,
        n_retained=frame["n_retained"].astype(float).where(told),
        retention=(frame["n_retained"] / frame["n_start"].where(frame["n_start"] > 0)).where(told),
        ci_lower=np.where(told, lower, np.nan),
        ci_upper=np.where(told, upper, np.nan),
    )
    if counts.mode == "stay":
        table = table.fillna(late_retention(frame, counts.late, state, about))
    elif counts.mode != "after":
        table = table.fillna(watched_share(frame, state, about))
    keys = ["level", "cohort", "age", *(["first_step"] if "first_step" in frame else [])]
    table = table[[*keys, "n_start", "n_retained", "n_returned", "state", "retention", "ci_lower", "ci_upper"]]
    is_chained = counts.mode == "stay"
    pooled = [
        pooled_retention(part, state[part.index], about.conf_level, is_chained=is_chained).assign(level=level)
        for level, part in frame.groupby("level")
    ]
    pooled = pd.concat(pooled, ignore_index=True) if pooled else pooled_retention(frame, state, 0.95).assign(level="")
    cells = frame.loc[np.isin(state, (COMPLETE, SMALL)), ["level", "cohort", "age", "n_start", "n_retained"]]
    given = {"pooled": pooled, "mode": counts.mode, "cells": cells}
    return CohortRetention(about=about, table=table, name="cohort_retention", **given)
