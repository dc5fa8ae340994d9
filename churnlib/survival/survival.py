"""How long customers stay: Kaplan-Meier curves with late entry, read where they can be trusted.

First spells make the curves; churn of every outcome ends them (apart: `churnlib.survival.incidence`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtri

from churnlib import text
from churnlib.show.results import Column, Finding, Kpi, Statement, table_columns
from churnlib.survival.base import (
    FIRST_YEAR,
    LINES,
    MONTHS,
    SurvivalResult,
    by_tenure,
    curve_of,
    main_month,
    readable,
    tick_months,
)
from churnlib.survival.curves import (
    LevelCurve,
    close_interval,
    gap_interval,
    level_curves,
    quantile_with_interval,
    read_levels,
)
from churnlib.survival.estimators import nelson_aalen
from churnlib.survival.jackknife import log_survival_variance
from churnlib.survival.lifetable import LifeTable, anniversary, life_table, tidy
from churnlib.survival.suppression import merge_small_steps

EARLY = 3  # months that are set against the rest of the first year
RETENTION = (12, 24)  # months whose retention is a figure of the period, the first that the definition can tell
DRAWN = 200  # points of a drawn curve at most


@dataclass(frozen=True, kw_only=True)
class SurvivalCurve(SurvivalResult):
    """Kaplan-Meier curves, one a level.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level and tenure at which somebody left, on the trusted part of the curve: `tenure` (days or
        completed months), `months`, `n_at_risk`, `n_events`, `n_censored`, `survival` with `std_error`, `ci_lower`,
        `ci_upper` in [0, 1], and `cumulative_hazard` (Nelson-Aalen) with `cumulative_hazard_std_error`.
    life : LifeTable
        The counts behind it.
    curves : tuple of LevelCurve
    kind : {"log-log", "plain", "simultaneous"}
        Of interval.
    by_blocks : bool
        Whether the intervals allow for several spells of one customer.
    """

    life: LifeTable
    curves: tuple[LevelCurve, ...]
    kind: str = "log-log"
    by_blocks: bool = False

    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "level months:number.0 n_at_risk n_events survival:pct.1 ci_lower:pct.1 ci_upper:pct.1"
    )

    @property
    def shown(self) -> pd.DataFrame:
        """One row per level and month: at risk just after it, churned since the row before, survival with interval.

        Readings that would tell of 1 to k - 1 churned customers are left to the next; a level too small is left out.
        """
        (grid, every), about = self._grid(), self.about
        at_risk, lost = self.life.at_risk_after(grid), self.life.lost_by(grid)
        read = close_interval(read_levels(self.curves, grid), at_risk, about.conf_level)
        known = ~np.isnan(read["survival"]) & (at_risk >= about.min_denominator)
        milestones = np.isin(grid, anniversary(MONTHS, self.life.unit))
        keep = merge_small_steps(np.where(known, lost, np.nan), about.privacy_k, anchors=milestones)
        # where a curve begins later, that day is a row of its own alone
        keep &= every | (grid == np.array([[curve.start] for curve in self.curves]))
        values = {"months": np.round(self.life.months(grid), 2), "n_at_risk": at_risk, "lost": lost}
        values |= {name: read[name] for name in ("survival", "ci_lower", "ci_upper")}
        rows = tidy({"level": self.life.levels, "tenure": grid}, **values)[keep.ravel()].reset_index(drop=True)
        return rows.assign(n_events=rows.groupby("level", sort=False)["lost"].diff().fillna(0.0)).drop(columns="lost")

    @property
    def n_followed(self) -> float:
        """Customers who came under observation, each once."""
        return float(self.life.n_entered.sum())

    def _grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Monthly anniversaries as far as the curves go (every tenure when they go no further than a year), and starts.

        Also tells which are read on every curve.
        """
        last = max((float(c.tenure[-1]) for c in self.curves if len(c.tenure)), default=0.0)
        if self.life.months(last) < FIRST_YEAR:
            inner = self.life.tenure[(self.life.tenure > 0) & (self.life.tenure <= last)]
        else:
            inner = anniversary(np.arange(1, int(self.life.months(last)) + 1), self.life.unit)
        starts = [c.start for c in self.curves if len(c.tenure)]
        inner = inner[:: len(inner) // DRAWN + 1]
        grid = np.unique(np.r_[0.0, starts, inner])
        return grid, np.isin(grid, inner)

    @property
    def subtitle(self) -> Statement:
        values = {"segment": self.about.segment.label, "as_of": self.about.as_of}
        return Statement("survival.subtitle", values | {"n": self.n_followed, "lost": self.life.n_events.sum()})

    @property
    def notes(self) -> tuple[Statement, ...]:
        late = self.life.n_entered[:, self.life.tenure > 0].sum()
        values = {"n": late, "since": self.about.observed_from}
        key = "survival.note.late_entry_rule" if self.about.earliest_churn else "survival.note.late_entry"
        notes = [Statement(key, values)] if late and not self.about.segment.name else []
        notes += self._move_notes() if self.life.n_moved.any() else ()
        for curve in self.curves:
            if curve.start > 0 and len(curve.tenure):
                values = {"level": self.level(curve.level), "months": float(self.life.months(curve.start))}
                notes.append(Statement("survival.note.conditional", values | {"n": self.about.min_denominator}))
        left_out = len(self.curves) - LINES
        if left_out > 0 and len(self._drawn()) == LINES:
            notes.append(Statement("survival.note.drawn", {"n": LINES, "left_out": left_out}))
        notes += [Statement("survival.note.jackknife")] if self.by_blocks else []
        notes += [Statement("survival.note.simultaneous")] if self.kind == "simultaneous" else []
        return (*self._time_notes(), *notes)

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = [curve for curve in self.curves if len(curve.tenure)]
        if not told:
            return (self.too_small(),)
        if not self.life.n_events.sum():
            return (Finding("survival.no_events", {"n": self.n_followed}),)
        if len(self.curves) > 1:
            return (self._rank_finding(told),)
        found = (self._median_finding(told[0]), self._early_finding(told[0]))
        warning = (Finding("survival.snapshot", grade="weak"),) if self.about.snapshot else ()
        return tuple(f for f in found if f is not None) + warning

    def _median_finding(self, curve: LevelCurve) -> Finding:
        median, lower, upper = self.life.months(quantile_with_interval(curve)).tolist()
        values = {"median": median, "lower": lower, "upper": upper, "end": float(self.life.months(curve.tenure[-1]))}
        values |= {"remain": float(curve.steps.survival[-1]), "n": self.n_followed}
        reached = "not_reached" if np.isnan(median) else "reached" if np.isfinite(upper) else "reached_open"
        return Finding(f"survival.median.{reached}", values, weight=self.life.n_events.sum())

    def _early_finding(self, curve: LevelCurve) -> Finding | None:
        """The risk a month in the first three months against that in the rest of the first year."""
        early, year = (curve.read(anniversary(m, self.life.unit)) for m in (EARLY, FIRST_YEAR))
        if self.about.earliest_churn or curve.start > 0 or not 0 < year["survival"] < 1 or np.isnan(year["survival"]):
            return None
        h0, h1 = -np.log(early["survival"]), np.log(early["survival"]) - np.log(year["survival"])
        # increments of the cumulative hazard are independent, so their variances add
        v0, v1 = early["log_variance"], year["log_variance"] - early["log_variance"]
        rate0, rate1 = h0 / EARLY, h1 / (FIRST_YEAR - EARLY)
        se = np.sqrt(v0 / EARLY**2 + v1 / (FIRST_YEAR - EARLY) ** 2)
        clear = abs(rate0 - rate1) > ndtri((1 + self.about.conf_level) / 2) * se
        key = "even" if not clear else "high" if rate0 > rate1 else "low"
        share = (1 - early["survival"]) / (1 - year["survival"])
        values = {"share": float(share), "early": float(1 - np.exp(-rate0)), "later": float(1 - np.exp(-rate1))}
        values |= {"months": EARLY, "year": FIRST_YEAR}
        if key != "high":
            return Finding(f"survival.early.{key}", values, grade="moderate" if clear else "descriptive")
        lost = self.life.lost_by([anniversary(EARLY, self.life.unit)]).sum()
        weight = float(lost * (1 - rate1 / rate0) / self.about.years)
        return Finding("survival.early.high", values, grade="moderate", tone="worse", weight=weight)

    def _rank_finding(self, told: list[LevelCurve]) -> Finding:
        """Who stays longest and shortest, at the main reading or the latest before it that two levels reach."""
        segment = self.about.segment.label
        for months in readable(self.about, [m for m in MONTHS[::-1] if m <= main_month(self.about)]):
            read = [(curve, curve.read(anniversary(months, self.life.unit))) for curve in told if curve.start == 0]
            read = [(c, r) for c, r in read if not np.isnan(r["survival"])]
            if len(read) > 1:
                break
        else:
            return Finding("survival.rank.too_small", {"segment": segment, "n": self.about.min_denominator})
        (low, low_read), (high, high_read) = (f(read, key=lambda x: float(x[1]["survival"])) for f in (min, max))
        s0, s1 = float(low_read["survival"]), float(high_read["survival"])
        gap, (lower, upper) = s1 - s0, gap_interval(low_read, high_read, len(read), self.about.conf_level)
        values = {"segment": segment, "best": self.level(high.level), "worst": self.level(low.level), "months": months}
        values |= {"best_rate": s1, "worst_rate": s0, "gap": gap, "lower": lower, "upper": upper, "n": len(read)}
        if lower <= 0:
            return Finding("survival.rank.alike", values)
        weight = gap * self.life.n_customers[self.life.levels.index(low.level)] / self.about.years
        return Finding("survival.rank.clear", values, grade="moderate", tone="worse", weight=weight)

    @property
    def kpis(self) -> tuple[Kpi, ...]:
        """Retention of all customers at 12 months, or at 24 where the definition can tell no churn by then."""
        months = main_month(self.about)
        if len(self.curves) != 1 or months not in RETENTION:
            return ()
        tenure = [anniversary(months, self.life.unit)]
        read = read_levels(self.curves, tenure, unconditional=True)
        read = close_interval(read, self.life.at_risk_after(tenure), self.about.conf_level)
        names = {"value": "survival", "ci_lower": "ci_lower", "ci_upper": "ci_upper"}
        told = {name: float(read[column][0, 0]) for name, column in names.items()}
        told |= {"flag": "small" if np.isnan(told["value"]) else "", "target": self.about.target(f"retention_{months}")}
        return (Kpi(f"retention_{months}", n=int(self.n_followed), unit="share", rise_is="better", **told),)

    def plot(self, ax=None):
        shown, drawn = self.shown, self._drawn()
        if not drawn:
            return None
        last, curves = float(shown["months"].max()), []
        at_risk = self.life.at_risk_after(anniversary(tick_months(last), self.life.unit))
        for g in drawn:
            rows = shown[shown["level"] == self.life.levels[g]]
            told = [int(n) if n >= max(self.about.privacy_k, 1) else None for n in at_risk[g]]
            name = str(self.level(self.life.levels[g])) if len(self.curves) > 1 else ""
            said = text.show(rows["survival"].iloc[-1], "pct", digits=0)
            curves.append(curve_of(rows, "survival", name, at_risk=told, said=said))
        return by_tenure(curves, last, ax)

    def _drawn(self) -> list[int]:
        """The levels on the figure: those with a curve, at most the five with most customers."""
        points = self.shown["level"].value_counts()
        told = [g for g, level in enumerate(self.life.levels) if points.get(level, 0) > 1]
        return sorted(sorted(told, key=lambda g: -self.life.n_customers[g])[:LINES])


def kaplan_meier(counts, *, kind: str = "log-log") -> SurvivalCurve:
    """Estimate how long customers stay, with late entry.

    Counts by block (`tenure_counts(..., blocks=True)`) give intervals that allow for several spells of one customer:
    for spells after a return (`spells="later"`), whose clock starts again.

    Each curve is drawn where at least `min_denominator` customers are at risk; if the first such tenure is not 0 (only
    customers of long standing were observed), it is conditional on having stayed that long, and its notes say so.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=...)`.
    kind : {"log-log", "plain", "simultaneous"}
        Of interval: for each tenure by itself, or a band that holds the whole curve.

    Returns
    -------
    SurvivalCurve
    """
    about, life = counts.about, life_table(counts)
    robust = log_survival_variance(counts.frame, life) if "block" in counts.frame else None
    curves = tuple(level_curves(life, about.min_denominator, about.conf_level, kind, robust))
    table = pd.concat([_curve_table(life, curve) for curve in curves], ignore_index=True)
    has = {"life": life, "curves": curves, "kind": kind, "by_blocks": robust is not None}
    return SurvivalCurve(about=about, table=table, name=about.named("survival"), **has)


def _curve_table(life: LifeTable, curve: LevelCurve) -> pd.DataFrame:
    frame = {"level": curve.level, "tenure": curve.tenure, "months": life.months(curve.tenure)}
    frame |= {name: getattr(curve, name) for name in ("n_at_risk", "n_events", "n_censored")}
    frame |= {"survival": curve.steps.survival, "std_error": curve.steps.std_error}
    frame |= {"ci_lower": curve.lower, "ci_upper": curve.upper}
    cumulative, variance = nelson_aalen(curve.n_events, curve.n_at_risk)
    frame |= {"cumulative_hazard": cumulative, "cumulative_hazard_std_error": np.sqrt(variance)}
    table = pd.DataFrame(frame)
    return table[(table["n_events"] > 0) | (table["n_censored"] > 0)]
