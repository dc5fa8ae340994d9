"""Survival read at the months that matter, from the start and from what has been reached already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.show.results import Column, Finding, Kpi, Statement, table_columns
from churnlib.survival.base import MONTHS, SurvivalResult, main_month, readable, with_intervals
from churnlib.survival.curves import close_interval, level_curves, read_levels
from churnlib.survival.estimators import survival_interval
from churnlib.survival.lifetable import anniversary, life_table, tidy
from churnlib.survival.quantiles import TenureQuantiles, tenure_quantiles

GIVEN = (0, 1, 3, 6, 12, 24)  # months stayed, from which the next ones are looked at
ESTIMATES = ("survival", "std_error", "ci_lower", "ci_upper")


@dataclass(frozen=True, kw_only=True)
class SurvivalTable(SurvivalResult):
    """Survival at monthly anniversaries.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level and reading: `months`, `tenure` (the day read, or the month), `n_at_risk` just after it,
        `n_events` (churned up to it, under observation), `survival` with `std_error`, `ci_lower`, `ci_upper` in
        [0, 1]; missing where the curve does not reach.
    whole : TenureQuantiles
        The levels as wholes: how many customers each has and, for a snapshot, the share of them that has churned.
    """

    whole: TenureQuantiles

    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "level months:whole n_at_risk survival:pct.1 ci_lower:pct.1 ci_upper:pct.1 flag"
    )
    folded: ClassVar[bool] = False

    @property
    def is_wide(self) -> bool:
        """Several groups are read one a row, a reading a column; kept they are one row per reading."""
        return self.table["level"].nunique() > 1

    def read_columns(self) -> list[Column]:
        if not self.is_wide:
            return super().read_columns()
        return [*self._beside(), *(Column(f"month_{m}", "pct") for m in self.table["months"].unique())]

    def _beside(self) -> list[Column]:
        """What stands beside the readings of several groups: name and size; for a snapshot the share churned."""
        wanted = ("level", "n_customers", "share_churned")
        return [column for column in self.whole.shown_columns() if column.name in wanted]

    def summary(self, language: str | None = None) -> pd.DataFrame:
        if not self.is_wide:
            return super().summary(language)
        language = language or text.language()
        shown, wide = self.shown, self.whole.shown.set_index("level", drop=False)
        table = pd.DataFrame(dict(self._column_text(c, wide[c.name], language) for c in self._beside()))
        cells = with_intervals(shown[["survival", "ci_lower", "ci_upper"]], language, "pct")
        for months, rows in shown.assign(cell=cells).groupby("months", sort=False):
            table[text.say("survival.at_month", language, months=months)] = rows["cell"].to_numpy()
        return table

    @property
    def shown(self) -> pd.DataFrame:
        """`flag` says why a reading is missing: too few at risk, or too few churned since the reading before."""
        known, keep = self.kept(self.table, "survival", anchored=False)
        return self.withheld(self.table, known, keep, (*ESTIMATES, "n_events"))

    @property
    def findings(self) -> tuple[Finding, ...]:
        share = self.whole.share_findings  # a snapshot's own figure comes before the readings of its curve
        told = self.shown.dropna(subset="survival")
        return (*share, self.too_small() if told.empty else self._reading_finding(told))

    def _reading_finding(self, told: pd.DataFrame) -> Finding:
        months = main_month(self.about, told["months"])
        read = told[told["months"] == months]
        low, high = read.loc[read["survival"].idxmin()], read.loc[read["survival"].idxmax()]
        values = {"months": months, "rate": low.survival, "lower": low.ci_lower, "upper": low.ci_upper, "n": len(read)}
        if len(read) == 1:
            key = "level" if self.about.segment.name else "read"
            return Finding(f"survival.table.{key}", values | {"level": self.level(low.level)})
        names = {"worst": self.level(low.level), "best": self.level(high.level), "best_rate": high.survival}
        return Finding("survival.table.range", values | names | {"segment": self.about.segment.label})

    @property
    def kpis(self) -> tuple[Kpi, ...]:
        return self.whole.kpis

    @property
    def notes(self) -> tuple[Statement, ...]:
        warning = (Statement("survival.note.snapshot"),) if self.about.snapshot else ()
        missing = (Statement("survival.note.missing"),) if self.shown["survival"].isna().any() else ()
        return (Statement(f"survival.note.read_{self.about.time_unit}"), *missing, *self._rule_notes(), *warning)


def survival_table(counts, *, months: tuple[int, ...] = MONTHS) -> SurvivalTable:
    """Read the Kaplan-Meier curves at monthly anniversaries.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=...)`.
    months : tuple of int
        Those at which the definition can tell of no churn yet are left out, unless none would be left.

    Returns
    -------
    SurvivalTable
        One row per level and reading.
    """
    about, life = counts.about, life_table(counts)
    months = readable(about, months) or months
    tenure = anniversary(months, life.unit)
    at_risk, lost = life.at_risk_after(tenure), life.lost_by(tenure)
    read = read_levels(level_curves(life, about.min_denominator, about.conf_level), tenure, unconditional=True)
    read = close_interval(read, at_risk, about.conf_level)
    read["std_error"] = read["survival"] * np.sqrt(read["log_variance"])
    values = {"tenure": tenure, "n_at_risk": at_risk, "n_events": lost} | {name: read[name] for name in ESTIMATES}
    table = tidy({"level": life.levels, "months": months}, **values)
    return SurvivalTable(about=about, table=table, name=about.named("survival_table"), whole=tenure_quantiles(counts))


@dataclass(frozen=True, kw_only=True)
class ConditionalSurvival(SurvivalResult):
    """Share that stays a stated time longer, among those who have stayed so far.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level and `given` (months stayed): `n_at_risk` just after it, `n_events` in the months that follow,
        `survival` over them with `std_error`, `ci_lower`, `ci_upper` in [0, 1]; missing beyond the curve.
    months : int
        How much longer.
    """

    months: int

    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "level given:whole n_at_risk survival:pct.1 ci_lower:pct.1 ci_upper:pct.1 flag"
    )
    folded: ClassVar[bool] = False

    @property
    def shown(self) -> pd.DataFrame:
        table = self.table
        known = table["survival"].notna() & (table["n_at_risk"] >= self.about.min_denominator)
        lost = table["n_events"].to_numpy(float)
        keep = known & ~((lost > 0) & (lost < self.about.privacy_k))
        return self.withheld(table, known, keep, (*ESTIMATES, "n_events"))

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.shown.dropna(subset="survival")
        if told["level"].nunique() > 1:
            return ()
        if len(told) < 2:
            return (self.too_small(),)
        first, last = told.iloc[0], told.iloc[-1]
        values = {"months": self.months, "given": int(first.given), "rate": first.survival, "later": int(last.given)}
        values |= {"later_rate": last.survival}
        key = "rises" if last.ci_lower > first.ci_upper else "falls" if last.ci_upper < first.ci_lower else "even"
        grade = "descriptive" if key == "even" else "moderate"
        return (Finding(f"survival.conditional.{key}", values, grade=grade),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("survival.note.given"),)


def conditional_survival(counts, *, months: int = 12, given: tuple[int, ...] = GIVEN) -> ConditionalSurvival:
    """Work out the share that stays so many months longer, having stayed so long.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=...)`.
    months : int
        How much longer.
    given : tuple of int
        Months stayed so far.

    Returns
    -------
    ConditionalSurvival
        One row per level and `given`.
    """
    about, life = counts.about, life_table(counts)
    begin, end = (anniversary(np.asarray(given) + m, life.unit) for m in (0, months))
    curves = level_curves(life, about.min_denominator, about.conf_level)
    now, then = read_levels(curves, begin), read_levels(curves, end)
    with np.errstate(divide="ignore", invalid="ignore"):
        survival, variance = then["survival"] / now["survival"], then["log_variance"] - now["log_variance"]
    lower, upper = survival_interval(survival, variance, about.conf_level)
    values = {"n_at_risk": life.at_risk_after(begin), "n_events": life.lost_by(end) - life.lost_by(begin)}
    values |= {"survival": survival, "std_error": survival * np.sqrt(variance), "ci_lower": lower, "ci_upper": upper}
    table = tidy({"level": life.levels, "given": given}, **values)
    return ConditionalSurvival(about=about, table=table, name=about.named("conditional_survival"), months=months)
