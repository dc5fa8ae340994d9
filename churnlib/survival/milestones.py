"""Survival read at the months that matter, and the tenure by which a share of the customers has left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.intervals import wilson
from churnlib.show import disclosure
from churnlib.show.results import Column, Finding, Kpi, Statement
from churnlib.survival.curves import close_interval, level_curves, quantile_with_interval
from churnlib.survival.lifetable import LifeTable, anniversary, life_table
from churnlib.survival.survival import MONTHS, SurvivalResult, main_month, readable

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

    columns: ClassVar[tuple[Column, ...]] = (
        Column("level", "level"),
        Column("months", "whole"),
        Column("n_at_risk", "whole"),
        Column("survival", "pct", 1),
        Column("ci_lower", "pct", 1),
        Column("ci_upper", "pct", 1),
        Column("flag", "term", prefix="results.flag"),
    )
    folded: ClassVar[bool] = False

    @property
    def is_wide(self) -> bool:
        """Several groups are read one a row, a reading a column; kept they are one row per reading."""
        return self.table["level"].nunique() > 1

    def read_columns(self) -> list[Column]:
        if not self.is_wide:
            return super().read_columns()
        readings = [Column(f"month_{m}", "pct") for m in self.table["months"].unique()]
        return [Column("level", "level"), *self._whole_columns(), *readings]

    def _whole_columns(self) -> list[Column]:
        """What stands beside the readings of several groups: their size; for a snapshot the share churned."""
        wanted = ("n_customers", "share_churned")
        return [column for column in self.whole.shown_columns() if column.name in wanted]

    def summary(self, language: str | None = None) -> pd.DataFrame:
        if not self.is_wide:
            return super().summary(language)
        language = language or text.language()
        heading = Column("level", "level").label(self.module).to(language)
        beside, columns, rows = self.whole.shown.set_index("level"), self._whole_columns(), []
        for level, readings in self.shown.groupby("level", sort=False):
            cells = {
                text.say("survival.at_month", language, months=r.months): reading(
                    r.survival, r.ci_lower, r.ci_upper, language, "pct"
                )
                for r in readings.itertuples()
            }
            sizes = {
                c.label(self.module).to(language): self._cell_text(c, beside.at[level, c.name], language)
                for c in columns
            }
            rows.append({heading: self.level(level).to(language)} | sizes | cells)
        return pd.DataFrame(rows)

    @property
    def shown(self) -> pd.DataFrame:
        """`flag` says why a reading is missing: too few at risk, or too few churned since the reading before."""
        known, keep = self.kept(self.table, "survival", anchored=False)
        return self.withheld(self.table, known, keep, (*ESTIMATES, "n_events"))

    @property
    def findings(self) -> tuple[Finding, ...]:
        share = self.whole.share_findings  # a snapshot's own figure comes before the readings of its curve
        told = self.shown.dropna(subset="survival")
        if told.empty:
            return (*share, self.too_small())
        return (*share, self._reading_finding(told))

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


def survival_table(counts, *, months: tuple[int, ...] = MONTHS, kind: str = "log-log") -> SurvivalTable:
    """Read the Kaplan-Meier curves at monthly anniversaries.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=...)`.
    months : tuple of int
        Those at which the definition can tell of no churn yet are left out, unless none would be left.
    kind : {"log-log", "plain"}
        Of the pointwise interval.

    Returns
    -------
    SurvivalTable
        One row per level and reading.
    """
    about, life = counts.about, life_table(counts)
    months = readable(about, months) or months
    tenure = anniversary(months, life.unit)
    at_risk, lost = life.at_risk_after(tenure), life.at(life.n_events.cumsum(axis=1), tenure)
    rows = []
    for g, curve in enumerate(level_curves(life, about.min_denominator, about.conf_level, kind)):
        # a curve that begins later is conditional on its beginning: its readings are not shares of all who started
        read = curve.read(tenure) if curve.start == 0 else {k: np.full(len(tenure), np.nan) for k in curve.read(tenure)}
        read = close_interval(read, at_risk[g], about.conf_level)
        read["std_error"] = read["survival"] * np.sqrt(read.pop("log_variance"))
        rows.append(_reading_rows(curve.level, months, tenure, at_risk[g], lost[g], read))
    table, whole = pd.concat(rows, ignore_index=True), tenure_quantiles(counts, kind=kind)
    return SurvivalTable(about=about, table=table, name=about.named("survival_table"), whole=whole)


def _reading_rows(level, months, tenure, at_risk, lost, read) -> pd.DataFrame:
    frame = pd.DataFrame({"level": level, "months": months, "tenure": tenure, "n_at_risk": at_risk, "n_events": lost})
    return frame.assign(**{name: read[name] for name in ESTIMATES})


def reading(value, lower, upper, language: str, kind: str = "number") -> str:
    """Write an estimate with its interval: "78.1% (77.5–78.6)", "−2.6 (−3.6 to −1.6)"."""
    if pd.isna(value):
        return text.MISSING
    said = text.show(value, kind, language, 1)
    if pd.isna(lower):
        return said
    times, plain = (100, "number") if kind == "pct" else (1, kind)
    lower, upper = (text.show(times * bound, plain, language, 1) for bound in (lower, upper))
    between = "–" if plain == "number" else " 至 " if language == "zh" else " to "
    return f"{said}（{lower}{between}{upper}）" if language == "zh" else f"{said} ({lower}{between}{upper})"


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

    columns: ClassVar[tuple[Column, ...]] = (
        Column("level", "level"),
        Column("n_customers", "whole"),
        Column("n_events", "whole"),
        Column("share_churned", "pct"),
        Column("start", "number", 1),
        Column("q25", "number", 1),
        Column("median", "number", 1),
        Column("median_lower", "number", 1),
        Column("median_upper", "number", 1),
        Column("q75", "number", 1),
        Column("flag", "term", prefix="results.flag"),
    )
    folded: ClassVar[bool] = False

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_events", "share_churned", "q25", "median", "median_lower", "median_upper", "q75")
        table = self.table.assign(total="all")
        within = ("total",) if len(table) > 1 else ()
        shown = disclosure.protect(table, self.about, count="n_events", base="n_customers", hides=hides, within=within)
        unconditional = ["start"] if (shown["start"] == 0).all() else []
        return shown.drop(columns=["total", *unconditional])

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (*self.share_findings, self._median_finding(self._told()))

    def _told(self) -> pd.DataFrame:
        return self.shown[self.shown["flag"] == disclosure.SHOWN]

    @property
    def share_findings(self) -> tuple[Finding, ...]:
        """For a snapshot, the share churned; nothing for data with dates."""
        told = self._told()
        return (self._share_finding(told),) if self.about.snapshot and len(told) else ()

    def _share_finding(self, told: pd.DataFrame) -> Finding:
        low, high = told.loc[told["share_churned"].idxmin()], told.loc[told["share_churned"].idxmax()]
        if len(told) == 1:
            return Finding("survival.snapshot.share", {"n": low.n_customers, "share": low.share_churned})
        values = {"segment": self.about.segment.label, "low": low.share_churned, "high": high.share_churned}
        values |= {"best": self.level(low.level), "worst": self.level(high.level)}
        return Finding("survival.snapshot.share_range", values)

    def _median_finding(self, told: pd.DataFrame) -> Finding:
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
        lower, upper = wilson(row.n_events, row.n_customers, self.about.conf_level)
        interval = {"ci_lower": float(lower), "ci_upper": float(upper)}
        n = int(row.n_customers)
        return (Kpi("share_churned", value=row.share_churned, n=n, unit="share", flag=row.flag, **interval),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("survival.note.quantiles"),)


def tenure_quantiles(counts, *, kind: str = "log-log") -> TenureQuantiles:
    """Give the tenures by which a quarter, half and three quarters of the customers have left, by R's rules.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=...)`.
    kind : {"log-log", "plain"}
        Of the survival interval that is turned into the median's.

    Returns
    -------
    TenureQuantiles
        One row per level.
    """
    about, life = counts.about, life_table(counts)
    curves = level_curves(life, about.min_denominator, about.conf_level, kind)
    rows = [_quantile_row(life, g, curve) for g, curve in enumerate(curves)]
    table = pd.DataFrame(rows)
    if about.snapshot:
        table["share_churned"] = table["n_events"] / table["n_customers"]
    return TenureQuantiles(about=about, table=table, name=about.named("tenure_quantiles"))


def _quantile_row(life: LifeTable, g: int, curve) -> dict:
    row = {"level": curve.level, "n_customers": life.n_customers[g], "n_events": life.n_events[g].sum()}
    empty = not len(curve.tenure)
    q25, median, q75 = ((np.nan,) * 3 if empty else quantile_with_interval(curve, p) for p in (0.25, 0.5, 0.75))
    names = ("start", "q25", "median", "median_lower", "median_upper", "q75")
    return row | dict(zip(names, life.months([curve.start, q25[0], *median, q75[0]]).tolist(), strict=True))
