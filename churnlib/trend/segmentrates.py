"""Which customers leave most: every group's share of the losses beside its own risk, and which group stands out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import YEAR
from churnlib.intervals import difference
from churnlib.show import disclosure, plots
from churnlib.show.results import Finding, Result, Statement, table_columns
from churnlib.trend.series import complete_periods
from churnlib.trend.trend import comparisons, level_rates


@dataclass(frozen=True, kw_only=True)
class SegmentRates(Result):
    """The churn rate by segment in the report's period, beside each segment's share of the lost customers.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level: `n_opening`, `n_churned_opening`, `churn_rate` with interval, `share_lost` (of all lost
        customers) and `share_base` (of all opening customers), both in [0, 1]; the comparisons of `compare`; `gap`,
        the rate less that of all other customers, with `gap_lower`, `gap_upper` and `gap_clear`; `year_excess`,
        customers that the last year lost more than at the others' rates.
    """

    module = "trend"
    columns = table_columns(
        "level n_opening n_churned_opening share_base:pct.1 share_lost:pct.1 churn_rate ci_lower ci_upper",
        "previous_change year_ago_change flag",
    )
    tucked = True

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_churned_opening", "churn_rate", "ci_lower", "ci_upper", "share_lost", "gap")
        return disclosure.protect(self.table, self.about, hides=hides + comparisons(self.table), within=("period",))

    @property
    def findings(self) -> tuple[Finding, ...]:
        if not self.about.segment.name:
            return (Finding("trend.segment.none"),)
        told = self.shown[self.shown["churn_rate"].notna()]
        if len(told) < 2 or not told["share_lost"].notna().any():
            return (Finding("trend.segment.too_small", {"segment": self.about.segment.label}),)
        worst, lost_most = told.loc[told["churn_rate"].idxmax()], told.loc[told["share_lost"].idxmax()]
        values = {"segment": self.about.segment.label, "level": self.level(worst.level), "rate": worst.churn_rate}
        values |= {"lower": worst.ci_lower, "upper": worst.ci_upper}
        values |= {"share_lost": worst.share_lost, "share_base": worst.share_base}
        if worst.gap_clear and worst.gap > 0:
            weight = max(worst.year_excess, 0.0)
            head = Finding("trend.segment.highest", values, grade="moderate", tone="worse", weight=weight)
        else:
            head = Finding("trend.segment.alike", {"segment": self.about.segment.label, "n": len(told)})
        share = {"level": self.level(lost_most.level), "share": lost_most.share_lost, "rate": lost_most.churn_rate}
        return (head, Finding("trend.segment.most_lost", share | {"base": lost_most.share_base}))

    @property
    def subtitle(self) -> Statement:
        return Statement("trend.segment.subtitle", {"segment": self.about.segment.label, "period": self.about.period})

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (
            Statement("trend.note.rate", {"definition": self.about.definition_note}),
            Statement("trend.note.share"),
            self.small_note,
        )

    def plot(self, ax=None):
        told = self.shown[self.shown["churn_rate"].notna()].sort_values("churn_rate", ascending=False)
        if told.empty:
            return None
        tones = [
            "steady" if not clear else "worse" if gap > 0 else "better"
            for gap, clear in zip(told["gap"], told["gap_clear"], strict=True)
        ]
        return plots.bars(
            [str(self.level(level)) for level in told["level"]],
            told["churn_rate"].tolist(),
            lower=told["ci_lower"].tolist(),
            upper=told["ci_upper"].tolist(),
            tones=tones,
            reference=self.total_rate,
            reference_label=text.say("trend.all_customers"),
            columns=[
                (text.say("trend.column.share_base"), [text.show(v, "pct", digits=1) for v in told["share_base"]]),
                (text.say("trend.column.share_lost"), [text.show(v, "pct", digits=1) for v in told["share_lost"]]),
            ],
            ax=ax,
        )

    @property
    def total_rate(self) -> float:
        """The rate of all customers together."""
        return self.table["n_churned_opening"].sum() / max(self.table["n_opening"].sum(), 1)


def segment_rates(counts) -> SegmentRates:
    """Work out the churn rate of every level of a segment in the report's period.

    Parameters
    ----------
    counts : Counts
        From `period_counts(data, by=...)`: one row per level and period.

    Returns
    -------
    SegmentRates
        One row per level.
    """
    about = counts.about
    now = level_rates(counts.frame, about)
    now = now[(now["period"] == str(about.period)) & (now["n_opening"] > 0)]
    place = {level: i for i, level in enumerate(about.segment.levels)}
    now = now.sort_values("level", key=lambda levels: levels.map(place), kind="stable").reset_index(drop=True)
    lost, base = now["n_churned_opening"], now["n_opening"]
    # many levels are looked at: the interval of each gap is Bonferroni's, so that null data name nobody
    conf = 1 - (1 - about.conf_level) / max(len(now), 1)
    lower, upper = difference(lost, base, lost.sum() - lost, base.sum() - base, conf_level=conf)
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = lost / base - (lost.sum() - lost) / (base.sum() - base)
    now = now.assign(
        share_lost=lost / lost.sum() if lost.sum() else np.nan,
        share_base=base / base.sum(),
        gap=gap,
        gap_lower=lower,
        gap_upper=upper,
        gap_clear=(lower > 0) | (upper < 0),
        year_excess=now["level"].map(_year_excess(counts.frame, about)),
    )
    return SegmentRates(about=about, table=now, name=f"churn_rate_by_{about.segment.name}")


def _year_excess(frame: pd.DataFrame, about) -> pd.Series:
    """Customers of each level that the complete periods of the last year lost more than at the others' rates."""
    rows = complete_periods(frame, about)
    rows = rows[rows["period"] > str(about.period.shift(-YEAR[about.period.unit]))]
    lost, n = rows["n_churned_opening"], rows["n_opening"]
    sums = rows.groupby("period")[["n_churned_opening", "n_opening"]].transform("sum")
    others = (sums["n_churned_opening"] - lost) / (sums["n_opening"] - n).replace(0, np.nan)
    return (lost - n * others).groupby(rows["level"]).sum()
