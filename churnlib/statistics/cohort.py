"""Do newer customers stay better: retention by the period in which customers started, with honest cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import YEAR, Period
from churnlib.intervals import difference, wilson
from churnlib.show import plots
from churnlib.show.results import Column, Finding, Result, Statement

COMPLETE, PARTLY, OPEN, EMPTY, SMALL = "complete", "partly", "open", "empty", "small"
PLOTTED_AGES, PLOTTED_COHORTS = 12, 24  # what fits a page and is still readable
COMPARED = 3  # newest complete cohorts that are set against those of a year before


def cell_states(frame: pd.DataFrame, as_of, min_denominator: int) -> np.ndarray:
    """Tell of each cohort cell how far it has been observed.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per cohort and age with `n_start` and the days on which the first and the last member complete the age,
        `first_completes` and `last_completes`.
    as_of : date
        Last day that the data cover.
    min_denominator : int
        Customers under which a cell is not shown.

    Returns
    -------
    numpy.ndarray of str
        "complete" when the *last* member of the cohort has been observed that long, "partly" when only some have,
        "open" when none has, "empty" for a cohort without customers, "small" for a complete one with too few.
    """
    as_of = pd.Timestamp(as_of)
    last, first = pd.to_datetime(frame["last_completes"]), pd.to_datetime(frame["first_completes"])
    return np.select(
        [frame["n_start"] == 0, first > as_of, last > as_of, frame["n_start"] < min_denominator],
        [EMPTY, OPEN, PARTLY, SMALL],
        COMPLETE,
    )


@dataclass(frozen=True, kw_only=True)
class CohortRetention(Result):
    """Retention of each cohort by age.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per cohort and age: `cohort` (period), `age` in completed periods since the start, `n_start`,
        `n_retained`, `state` (see `cell_states`), `retention` with `ci_lower`, `ci_upper` in [0, 1], missing in every
        cell that is not complete.
    pooled : pandas.DataFrame
        One row per age: `retention`, the chained mean weighted by customers: at each age only cohorts complete at that
        age are followed from the age before, so that a changing set of cohorts never bends the line; `n_cohorts`,
        `n_start`.
    """

    pooled: pd.DataFrame
    module: ClassVar[str] = "cohort"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("cohort", "period"),
        Column("age", "whole"),
        Column("n_start", "whole"),
        Column("n_retained", "whole"),
        Column("retention", "pct", 1),
        Column("ci_lower", "pct", 1),
        Column("ci_upper", "pct", 1),
        Column("state", "term", prefix="cohort.state"),
    )

    @property
    def shown(self) -> pd.DataFrame:
        """Complete cells with enough customers; the lost of a cohort are hidden when a handful would show."""
        lost = self.table["n_start"] - self.table["n_retained"]
        k = self.about.privacy_k
        told = (self.table["state"] == COMPLETE) & ~lost.between(1, k - 1) & ~self.table["n_retained"].between(1, k - 1)
        out = self.table.copy()
        for column in ("n_retained", "retention", "ci_lower", "ci_upper"):
            out[column] = out[column].astype(float).where(told)
        return out

    @property
    def findings(self) -> tuple[Finding, ...]:
        compared = self._newest_against_year_before()
        level = self._pooled_finding()
        return tuple(f for f in (compared, level) if f is not None) or (Finding("cohort.too_short"),)

    def _pooled_finding(self) -> Finding | None:
        ages = self.pooled[self.pooled["age"].isin((1, 3, 6, 12, 24))].dropna(subset="retention")
        if ages.empty:
            return None
        row = ages.iloc[-1]
        values = {"age": int(row.age), "retention": row.retention, "n": int(row.n_start), "cohorts": int(row.n_cohorts)}
        return Finding("cohort.pooled", values)

    def _newest_against_year_before(self) -> Finding | None:
        """Compare the newest complete cohorts at the longest common age with the same ones a year before."""
        year = YEAR[self.about.period.unit]
        for age in (12, 6, 3, 1):
            cells = self.table[(self.table["age"] == age) & (self.table["state"] == COMPLETE)].sort_values("cohort")
            newest = cells.tail(COMPARED)
            twins = {str(Period.parse(c).shift(-year)) for c in newest["cohort"]}
            before = cells[cells["cohort"].isin(twins)]
            if len(newest) == len(before) == COMPARED:
                return self._compared(age, newest, before)
        return None

    def _compared(self, age: int, newest: pd.DataFrame, before: pd.DataFrame) -> Finding:
        kept, start = newest[["n_retained", "n_start"]].sum()
        kept_before, start_before = before[["n_retained", "n_start"]].sum()
        lower, upper = difference(kept, start, kept_before, start_before, conf_level=self.about.conf_level)
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
        return Finding(f"cohort.newest.{word}", values, grade=grade, tone=tone, weight=abs(change) * start)

    @property
    def subtitle(self) -> Statement:
        cohorts = self.table["cohort"]
        return Statement("cohort.subtitle", {"first": cohorts.min(), "last": cohorts.max()})

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (
            Statement("cohort.note.retention", {"definition": self.about.definition_note}),
            Statement("cohort.note.states", {"n": self.about.min_denominator}),
        )

    def plot(self, ax=None):
        shown = self.shown[self.shown["age"] <= PLOTTED_AGES]
        recent = sorted(shown.loc[shown["retention"].notna(), "cohort"].unique())[-PLOTTED_COHORTS:]
        if not recent:  # every cohort is too small to be shown
            return None
        shown = shown[shown["cohort"].isin(recent)]
        values = shown.pivot(index="cohort", columns="age", values="retention")
        states = shown.pivot(index="cohort", columns="age", values="state").reindex_like(values)
        states = states.mask((states == COMPLETE) & values.isna(), SMALL).fillna(OPEN)
        pooled = self.pooled.set_index("age")["retention"].reindex(values.columns)
        sizes = shown.groupby("cohort")["n_start"].first().reindex(values.index)
        return plots.heat_map(
            values.index.tolist(),
            [str(age) for age in values.columns],
            values.to_numpy().tolist(),
            states.to_numpy().tolist(),
            n=sizes.tolist(),
            row_header=text.say("cohort.column.cohort"),
            column_header=text.say("cohort.column.age"),
            footer=(text.say("cohort.all"), pooled.tolist()),
            ax=ax,
        )


def cohort_retention(counts) -> CohortRetention:
    """Work out the retention of each cohort by age.

    Parameters
    ----------
    counts : Counts
        From `cohort_counts(data)`: one row per cohort and age.

    Returns
    -------
    CohortRetention
        One row per cohort and age; cohorts that started before ends were recorded are left out, because their early
        losses cannot be known.
    """
    about, frame = counts.about, counts.frame
    frame = frame[~frame["is_truncated"]].sort_values(["cohort", "age"], kind="stable").reset_index(drop=True)
    state = cell_states(frame, about.as_of, about.min_denominator)
    complete = state == COMPLETE
    lower, upper = wilson(frame["n_retained"], frame["n_start"], about.conf_level)
    table = frame.assign(
        state=state,
        n_retained=frame["n_retained"].astype(float).where(complete),
        retention=(frame["n_retained"] / frame["n_start"].where(frame["n_start"] > 0)).where(complete),
        ci_lower=np.where(complete, lower, np.nan),
        ci_upper=np.where(complete, upper, np.nan),
    )
    return CohortRetention(about=about, table=table, name="cohort_retention", pooled=pooled_retention(frame, state))


def pooled_retention(frame: pd.DataFrame, state: np.ndarray) -> pd.DataFrame:
    """Chain the weighted mean retention over ages.

    From each age to the next, only cohorts complete at the later age are followed: the sum of those retained at the
    later age / the sum retained at the earlier age. With every cohort complete it is the pooled rate.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per cohort and age with `n_start` and `n_retained`, ages from 0.
    state : numpy.ndarray of str, shape (n_rows,)

    Returns
    -------
    pandas.DataFrame
        One row per age: `retention` in [0, 1], `n_cohorts` complete at that age, their `n_start`.

    References
    ----------
    Mack, T. (1993). Distribution-free calculation of the standard error of chain ladder reserve estimates. ASTIN
    Bulletin 23, 213-225, section 2: the chain-ladder factor as a weighted mean.
    """
    told = np.isin(state, (COMPLETE, SMALL))
    kept = frame.assign(n_retained=frame["n_retained"].where(told)).pivot(
        index="cohort", columns="age", values="n_retained"
    )
    start = frame.groupby("cohort")["n_start"].first()
    rows, retention = [], 1.0
    for age in kept.columns:
        followed = kept[age].notna()
        if not followed.any():
            break
        before = kept.loc[followed, age - 1].sum() if age - 1 in kept.columns else start[followed].sum()
        retention = retention * kept.loc[followed, age].sum() / before if before else np.nan
        rows.append((age, retention, int(followed.sum()), int(start[followed].sum())))
    return pd.DataFrame(rows, columns=["age", "retention", "n_cohorts", "n_start"])
