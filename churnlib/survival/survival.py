"""How long customers stay: Kaplan-Meier curves with late entry, read where they can be trusted.

First spells make the curves; churn of every outcome ends them (apart: `churnlib.survival.incidence`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtri

from churnlib import text
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Kpi, Result, Statement
from churnlib.survival.curves import (
    LevelCurve,
    close_interval,
    gap_interval,
    level_curves,
    merge_small_steps,
    quantile_with_interval,
)
from churnlib.survival.estimators import nelson_aalen
from churnlib.survival.jackknife import log_survival_variance
from churnlib.survival.lifetable import ALL, LifeTable, anniversary, life_table
from churnlib.text import Label

MONTHS = (1, 3, 6, 12, 24, 36, 60)  # at which survival is read
EARLY, FIRST_YEAR = 3, 12  # months: early life is set against the rest of the first year
RETENTION = (12, 24)  # months whose retention is a figure of the period, the first that the definition can tell
DRAWN = 200  # points of a drawn curve at most
LINES = 5  # curves in one figure at most


class SurvivalResult(Result):
    """What the results of this module share: level names and the notes on time, late entry and small risk sets."""

    module: ClassVar[str] = "survival"

    def level(self, value: str) -> Label:
        return text.label("survival.all") if value == ALL else self.about.segment.label_of(value)

    def _cell_text(self, column: Column, value, language: str) -> str:
        return self.level(value).to(language) if column.kind == "level" else super()._cell_text(column, value, language)

    def shown_columns(self) -> list[Column]:
        shown = self.shown
        # one row of "all customers" after another says nothing
        whole = "level" in shown and set(shown["level"]) <= {ALL}
        return [c for c in self.columns if c.name in shown and not (whole and c.name == "level")]

    def too_small(self) -> Finding:
        """Say that nothing can be shown."""
        values = {"segment": self.about.segment.label, "n": self.about.min_denominator}
        return Finding("survival.too_small", values)

    def withheld(self, table: pd.DataFrame, known, keep, hides: tuple[str, ...]) -> pd.DataFrame:
        """Blank the columns `hides` of readings not kept, and say why in `flag`: too few customers, or privacy."""
        flag = np.where(keep, disclosure.SHOWN, np.where(known, disclosure.HIDDEN, disclosure.SMALL))
        blanked = {name: table[name].where(keep) for name in hides}
        # how many are at risk says nothing of who left: only small numbers are blanked
        blanked["n_at_risk"] = table["n_at_risk"].where(table["n_at_risk"] >= self.about.min_denominator)
        return table.assign(flag=flag, **blanked)

    def kept(self, table: pd.DataFrame, value: str, curves: int = 1, anchored: bool = True) -> tuple:
        """Tell which readings are known, and which of these may be shown (see `merge_small_steps`).

        `table` has one row per level, curve (so many a level: its outcomes) and month, `n_events` up to each; all have
        the same months. The curves of all customers are shown together or not at all.
        """
        levels = table["level"].nunique()
        known = table[value].notna() & (table["n_at_risk"] >= self.about.min_denominator)
        lost = table["n_events"].where(known).to_numpy(float).reshape(levels * curves, -1)
        milestones = np.isin(table["months"].to_numpy()[: lost.shape[1]], MONTHS) if anchored else None
        keep = merge_small_steps(lost, self.about.privacy_k, levels == 1 < curves, milestones)
        return known, keep.ravel()

    def _time_notes(self) -> tuple[Statement, ...]:
        notes = [Statement("survival.note.interval"), Statement("survival.note.cut", {"n": self.about.min_denominator})]
        # the long conventions stand once, under the curve of all customers
        whole = not self.about.segment.name
        time = [Statement(f"survival.note.time_{self.about.time_unit}"), *self._rule_notes()] if whole else []
        warning = [Statement("survival.note.snapshot")] if self.about.snapshot else []
        return (*time, *notes, *warning)

    def _move_notes(self) -> tuple[Statement, ...]:
        """Say how customers who changed level are counted."""
        ruled = [Statement("survival.note.moved_ruled")] if self.about.earliest_churn else []
        return (Statement("survival.note.moved"), *ruled)

    def _rule_notes(self) -> tuple[Statement, ...]:
        rule = self.about.earliest_churn
        return (Statement("survival.note.rule", {"months": rule}),) if rule else ()


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

    columns: ClassVar[tuple[Column, ...]] = (
        Column("level", "level"),
        Column("months", "number", 0),
        Column("n_at_risk", "whole"),
        Column("n_events", "whole"),
        Column("survival", "pct", 1),
        Column("ci_lower", "pct", 1),
        Column("ci_upper", "pct", 1),
    )

    @property
    def shown(self) -> pd.DataFrame:
        """One row per level and month: at risk just after it, churned since the row before, survival with interval.

        Readings that would tell of 1 to k - 1 churned customers are left to the next; a level too small is left out.
        """
        grid, every = self._grid()
        at_risk, lost = self.life.at_risk_after(grid), self.life.at(self.life.n_events.cumsum(axis=1), grid)
        conf_level = self.about.conf_level
        read = [close_interval(c.read(grid), n, conf_level) for c, n in zip(self.curves, at_risk, strict=True)]
        known = np.array([~np.isnan(r["survival"]) for r in read]) & (at_risk >= self.about.min_denominator)
        milestones = np.isin(grid, anniversary(MONTHS, self.life.unit))
        keep = merge_small_steps(np.where(known, lost, np.nan), self.about.privacy_k, anchors=milestones)
        # where a curve begins later, that day is a row of its own alone
        own = [every | (grid == curve.start) for curve in self.curves]
        rows = [
            self._rows(g, curve, grid, at_risk[g], lost[g], read[g])[keep[g] & own[g]]
            for g, curve in enumerate(self.curves)
        ]
        frame = pd.concat(rows, ignore_index=True)
        return frame.assign(n_events=frame.groupby("level", sort=False)["lost"].diff().fillna(0.0)).drop(columns="lost")

    def _rows(self, g: int, curve: LevelCurve, grid, at_risk, lost, read: dict) -> pd.DataFrame:
        months = np.round(self.life.months(grid), 2)
        frame = pd.DataFrame(
            {"level": curve.level, "tenure": grid, "months": months, "n_at_risk": at_risk, "lost": lost}
        )
        return frame.assign(**{c: read[c] for c in ("survival", "ci_lower", "ci_upper")})

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
        n = self.life.n_entered.sum()
        values = {
            "segment": self.about.segment.label,
            "as_of": self.about.as_of,
            "n": n,
            "lost": self.life.n_events.sum(),
        }
        return Statement("survival.subtitle", values)

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
        drawn = len(self._drawn(self.shown))
        left_out = len(self.curves) - drawn
        if drawn == LINES and left_out:
            notes.append(Statement("survival.note.drawn", {"n": LINES, "left_out": left_out}))
        if self.by_blocks:
            notes.append(Statement("survival.note.jackknife"))
        if self.kind == "simultaneous":
            notes.append(Statement("survival.note.simultaneous"))
        return (*self._time_notes(), *notes)

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = [curve for curve in self.curves if len(curve.tenure)]
        if not told:
            return (self.too_small(),)
        if not self.life.n_events.sum():
            return (Finding("survival.no_events", {"n": self.life.n_entered.sum()}),)
        if len(self.curves) > 1:
            return (self._rank_finding(told),)
        found = (self._median_finding(told[0]), self._early_finding(told[0]))
        warning = (Finding("survival.snapshot", grade="weak"),) if self.about.snapshot else ()
        return tuple(f for f in found if f is not None) + warning

    def _median_finding(self, curve: LevelCurve) -> Finding:
        median, lower, upper = self.life.months(quantile_with_interval(curve)).tolist()
        end = curve.tenure[-1]
        remain = curve.read(end)
        values = {"median": median, "lower": lower, "upper": upper, "end": float(self.life.months(end))}
        values |= {"remain": float(remain["survival"]), "n": self.life.n_entered.sum()}
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
        tone, grade = "worse" if key == "high" else "steady", "moderate" if clear else "descriptive"
        lost = self.life.at(self.life.n_events.cumsum(axis=1), anniversary([EARLY], self.life.unit)).sum()
        weight = float(lost * (1 - rate1 / rate0) / self.about.years) if key == "high" else 0.0
        return Finding(f"survival.early.{key}", values, grade=grade, tone=tone, weight=weight)

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
        read = self.curves[0].read(anniversary(months, self.life.unit))
        known = self.curves[0].start == 0 and not np.isnan(read["survival"])
        value, lower, upper = (float(read[c]) if known else np.nan for c in ("survival", "ci_lower", "ci_upper"))
        kpi = Kpi(
            f"retention_{months}",
            value=value,
            ci_lower=lower,
            ci_upper=upper,
            n=int(self.life.n_entered.sum()),
            unit="share",
            rise_is="better",
            target=self.about.target(f"retention_{months}"),
            flag="" if known else "small",
        )
        return (kpi,)

    def plot(self, ax=None):
        shown = self.shown
        drawn = self._drawn(shown)
        if not drawn:
            return None
        ticks = tick_months(float(shown["months"].max()))
        at_risk = self.life.at_risk_after(anniversary(ticks, self.life.unit))
        at_risk = np.where(at_risk < max(self.about.privacy_k, 1), np.nan, at_risk)
        curves = []
        for g in drawn:
            rows = shown[shown["level"] == self.life.levels[g]]
            counts = [None if np.isnan(n) else int(n) for n in at_risk[g]]
            name = str(self.level(self.life.levels[g])) if len(self.curves) > 1 else ""
            said = text.show(rows["survival"].iloc[-1], "pct", digits=0)
            band = [rows[end].to_numpy() for end in ("ci_lower", "ci_upper")]
            x, y = rows["months"].to_numpy(), rows["survival"].to_numpy()
            curves.append(plots.Curve(name, x, y, *band, at_risk=counts, said=said))
        return plots.steps(curves, ticks=ticks, x_label=text.say("survival.axis.months"), ax=ax)

    def _drawn(self, shown: pd.DataFrame) -> list[int]:
        """The levels on the figure: those with a curve, at most the five with most customers."""
        sizes = self.life.n_customers
        told = [g for g, curve in enumerate(self.curves) if (shown["level"] == curve.level).sum() > 1]
        return sorted(sorted(told, key=lambda g: -sizes[g])[:LINES])


def tick_months(last: float) -> list[int]:
    """Choose the months written under an axis that goes to `last`: at most a dozen steps."""
    step = next((m for m in (1, 3, 6, 12, 24, 60) if last <= 12 * m), 120)
    return list(range(0, int(np.ceil(last / step)) * step + 1, step))


def readable(about, months=MONTHS) -> tuple[int, ...]:
    """Give the months at which the definition can tell of churn: until its rule has run, all are still there."""
    return tuple(m for m in months if m > about.earliest_churn)


def main_month(about, told=None) -> int:
    """Give the month whose reading comes first: 12, or the next after a longer rule has run; the nearest of `told`."""
    main = next((m for m in readable(about) if m >= FIRST_YEAR), MONTHS[-1])
    return main if told is None else min(map(int, told), key=lambda m: (abs(m - main), m))


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
    tables = [_curve_table(life, curve) for curve in curves]
    table = pd.concat(tables, ignore_index=True)
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


def grown(kind: type, result: Result, **more):
    """Give a result as one of a kind that holds more."""
    return kind(**{field.name: getattr(result, field.name) for field in fields(result)} | more)
