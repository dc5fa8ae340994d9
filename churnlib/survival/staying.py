"""The answers that a manager asks for, one figure each: how long customers stay, who stays longer, how they leave.

Each puts together what other modules work out: curve, readings, months stayed and tests are also there one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from churnlib import text
from churnlib.show.results import Finding, Kpi, Statement
from churnlib.survival.base import grown, main_month, readable, with_intervals
from churnlib.survival.gray import GrayTest, gray_test
from churnlib.survival.incidence import CumulativeIncidence, cumulative_incidence
from churnlib.survival.logrank import LogRank, logrank_test
from churnlib.survival.milestones import SurvivalTable, survival_table
from churnlib.survival.restricted import STAYED, RestrictedMean, months_stayed
from churnlib.survival.survival import SurvivalCurve, kaplan_meier

WIDE = (3, 12, 24, 36, 60)  # months read where each stands in a column
MEAN = ["mean", "ci_lower", "ci_upper"]


@dataclass(frozen=True, kw_only=True)
class LengthOfStay(SurvivalCurve):
    """Survival curves with the readings that matter; by segment also the months stayed and the tests.

    `table` is that of `SurvivalCurve`; `readings`, `means`, `test` and `gray` are the results beside it.
    """

    readings: SurvivalTable
    means: RestrictedMean
    test: LogRank
    gray: GrayTest
    folded: ClassVar[bool] = False

    def summary(self, language: str | None = None) -> pd.DataFrame:
        """Readings at the months that matter, one a row; of several levels one row a level."""
        language = language or text.language()
        table = self.readings.summary(language)
        if not self.readings.is_wide:
            return table
        told = self._told_months()
        left_out = [m for m in self.readings.table["months"].unique() if m not in told]
        table = table.drop(columns=[text.say("survival.at_month", language, months=m) for m in left_out])
        return self._with_means(table, language)

    def read_columns(self):
        return self.readings.read_columns()

    def _told_months(self) -> list[int]:
        """The main reading, the next and the last one: more columns would be unreadable."""
        reached = self.readings.shown.dropna(subset="survival")["months"].unique().tolist()
        later = [m for m in reached if m > main_month(self.about, reached)] if reached else []
        return [main_month(self.about, reached), later[0], later[-1]] if later else reached[-3:]

    def _with_means(self, table: pd.DataFrame, language: str) -> pd.DataFrame:
        stayed = self.means.shown[self.means.shown["part"] == STAYED].set_index("level")
        if not self.means.horizon:
            return table
        gaps = self.means.contrasts.set_index("level").reindex(stayed.index)[["difference", "lower", "upper"]]
        gaps = gaps.where(stayed["mean"].notna(), axis=0)
        ratios = self.test.shown.set_index("level")["ratio"]
        columns = (
            with_intervals(stayed[MEAN], language),
            with_intervals(gaps, language, "signed"),
            [text.show(ratio, "ratio", language) for ratio in ratios[stayed.index]],
        )
        headings = (
            text.say("survival.means.stayed", language, horizon=self.means.horizon),
            text.say("survival.means.gap", language, reference=self.level(self.means.reference)),
            text.say("survival.column.ratio", language),
        )
        return table.assign(**dict(zip(headings, columns, strict=True)))

    @property
    def findings(self) -> tuple[Finding, ...]:
        found = (*self.readings.whole.share_findings, *super().findings)
        far = [f for f in self.means.findings if f.key in ("survival.mean.shorter", "survival.mean.longer")]
        return (*found, *far) if self.readings.is_wide else found

    @property
    def kpis(self) -> tuple[Kpi, ...]:
        return (*super().kpis, *self.readings.kpis)

    @property
    def notes(self) -> tuple[Statement, ...]:
        if not self.readings.is_wide:
            return super().notes
        mean = self.means.notes if self.means.horizon else ()
        return (*super().notes, *mean, *self.test.notes, *self.gray.result_notes)


def length_of_stay(counts) -> LengthOfStay:
    """Estimate how long customers stay, with late entry: curve, readings, and by segment mean months and tests.

    For more, or other options, see `kaplan_meier`, `survival_table`, `tenure_quantiles`, `months_stayed`,
    `logrank_test` and `gray_test`.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=...)`.

    Returns
    -------
    LengthOfStay
        One row per level and tenure at which somebody left.
    """
    has = {"readings": survival_table(counts), "means": months_stayed(counts)}
    return grown(LengthOfStay, kaplan_meier(counts), **has, test=logrank_test(counts), gray=gray_test(counts))


@dataclass(frozen=True, kw_only=True)
class WaysOfLeaving(CumulativeIncidence):
    """Share of the customers that has left by each outcome, and the months that each costs.

    `table` is that of `CumulativeIncidence`; `means` the months stayed and lost.
    """

    means: RestrictedMean
    folded: ClassVar[bool] = False

    @property
    def findings(self) -> tuple[Finding, ...]:
        several = self.is_whole and len(self.outcomes) > 1
        lost = [f for f in self.means.findings if f.key == "survival.mean.lost"] if several else []
        return (*super().findings, *lost)

    @property
    def notes(self) -> tuple[Statement, ...]:
        mean = self.means.notes if self.means.horizon else ()
        return (*super().notes, *mean) if len(self.outcomes) > 1 else mean  # one outcome competes with none

    def summary(self, language: str | None = None) -> pd.DataFrame:
        """One row an outcome, the months that matter in columns, the months lost last; by segment the readings."""
        if not self.is_whole or self.table.empty:
            return super().summary(language)
        language, outcomes = language or text.language(), list(self.outcomes)
        shown, lost = self.shown.set_index("outcome"), self.means.shown.set_index("part")
        words = [text.say(f"results.outcome.{outcome}", language) for outcome in outcomes]
        table = {text.say("results.column.outcome", language): words}
        for months in readable(self.about, WIDE):
            rows = shown.loc[shown["months"] == months, ["incidence", "ci_lower", "ci_upper"]]
            if len(rows):
                heading = text.say("survival.at_month", language, months=months)
                table[heading] = with_intervals(rows.loc[outcomes], language, "pct")
        if self.means.horizon:
            heading = text.say("survival.means.lost", language, horizon=self.means.horizon)
            table[heading] = with_intervals(lost.loc[outcomes, MEAN], language)
        return pd.DataFrame(table)

    def plot(self, ax=None):
        """Nothing where no outcome is recorded: the survival curve has said it."""
        return None if self.outcomes == ("unknown",) else super().plot(ax)


def ways_of_leaving(counts) -> WaysOfLeaving:
    """Estimate how many customers leave by each outcome, and how many months each outcome costs, with late entry.

    For one of the two by itself see `cumulative_incidence` and `months_stayed`.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data)`.

    Returns
    -------
    WaysOfLeaving
        One row per level, outcome and month.
    """
    return grown(WaysOfLeaving, cumulative_incidence(counts), means=months_stayed(counts))
