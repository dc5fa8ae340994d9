"""When a quarter, half and three quarters of the customers have left; of a snapshot, the share that has churned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib.intervals import wilson
from churnlib.show import disclosure
from churnlib.show.results import Column, Finding, Kpi, Statement, table_columns
from churnlib.survival.base import SurvivalResult
from churnlib.survival.curves import LevelCurve, level_curves, quantile_with_interval
from churnlib.survival.lifetable import LifeTable, life_table


@dataclass(frozen=True, kw_only=True)
class TenureQuantiles(SurvivalResult):
    """When a quarter, half and three quarters of the customers have left.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level: `n_customers`, `n_events`, `start` (months that everybody on the curve has reached; 0 unless
        the curve is conditional), `q25`, `median` with `median_lower`, `median_upper`, `q75`, all in months, missing
        when not reached; for snapshots also `share_churned`, in [0, 1]: a share of the list, not a churn rate.
    """

    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "level n_customers n_events share_churned:pct start:number.1 q25:number.1 median:number.1",
        "median_lower:number.1 median_upper:number.1 q75:number.1 flag",
    )
    folded: ClassVar[bool] = False

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_events", "share_churned", "q25", "median", "median_lower", "median_upper", "q75")
        within = ("all",) if len(self.table) > 1 else ()
        how = {"count": "n_events", "base": "n_customers", "hides": hides, "within": within}
        shown = disclosure.protect(self.table, self.about, **how)
        return shown if shown["start"].any() else shown.drop(columns="start")

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (*self.share_findings, self._median_finding())

    @property
    def _told(self) -> pd.DataFrame:
        return self.shown[self.shown["flag"] == disclosure.SHOWN]

    @property
    def share_findings(self) -> tuple[Finding, ...]:
        """For a snapshot, the share churned; nothing for data with dates."""
        told = self._told
        if not self.about.snapshot or told.empty:
            return ()
        low, high = told.loc[told["share_churned"].idxmin()], told.loc[told["share_churned"].idxmax()]
        if len(told) == 1:
            return (Finding("survival.snapshot.share", {"n": low.n_customers, "share": low.share_churned}),)
        values = {"segment": self.about.segment.label, "low": low.share_churned, "high": high.share_churned}
        values |= {"best": self.level(low.level), "worst": self.level(high.level)}
        return (Finding("survival.snapshot.share_range", values),)

    def _median_finding(self) -> Finding:
        told = self._told
        reached = told.dropna(subset="median")
        values = {"segment": self.about.segment.label, "n": len(told), "n_reached": len(reached)}
        if told.empty:
            return self.too_small()
        if reached.empty:
            return Finding("survival.quantiles.none" if len(told) > 1 else "survival.quantiles.not_reached", values)
        first, last = reached.loc[reached["median"].idxmin()], reached.loc[reached["median"].idxmax()]
        values |= {"level": self.level(first.level), "median": first["median"]}
        values |= {"last": self.level(last.level), "last_median": last["median"]}
        key = "only" if len(told) == 1 else "one" if len(reached) == 1 else "some"
        return Finding(f"survival.quantiles.{key}", values)

    @property
    def kpis(self) -> tuple[Kpi, ...]:
        """For a snapshot, the share of its customers that has churned."""
        if not self.about.snapshot or len(self.table) != 1:
            return ()
        row = self.shown.iloc[0]
        ends = map(float, wilson(row.n_events, row.n_customers, self.about.conf_level))
        return (Kpi("share_churned", row.share_churned, int(row.n_customers), "share", *ends, flag=row.flag),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("survival.note.quantiles"),)


def tenure_quantiles(counts) -> TenureQuantiles:
    """Give the tenures by which a quarter, half and three quarters of the customers have left, by R's rules.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=...)`.

    Returns
    -------
    TenureQuantiles
        One row per level.
    """
    about, life = counts.about, life_table(counts)
    curves = level_curves(life, about.min_denominator, about.conf_level)
    table = pd.DataFrame([_quantile_row(life, g, curve) for g, curve in enumerate(curves)])
    if about.snapshot:
        table["share_churned"] = table["n_events"] / table["n_customers"]
    return TenureQuantiles(about=about, table=table, name=about.named("tenure_quantiles"))


def _quantile_row(life: LifeTable, g: int, curve: LevelCurve) -> dict:
    row = {"level": curve.level, "n_customers": life.n_customers[g], "n_events": life.n_events[g].sum()}
    empty = not len(curve.tenure)
    q25, median, q75 = ((np.nan,) * 3 if empty else quantile_with_interval(curve, p) for p in (0.25, 0.5, 0.75))
    names = ("start", "q25", "median", "median_lower", "median_upper", "q75")
    return row | dict(zip(names, life.months([curve.start, q25[0], *median, q75[0]]).tolist(), strict=True))
