"""How many months customers stay up to a horizon, and how many are lost to each outcome.

The mean over a whole life is beyond the data (some are still here); the mean up to a stated horizon is not, and it adds
up: months stayed + months lost to each outcome = the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtri

from churnlib import text
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Statement, table_columns
from churnlib.survival.base import MONTHS, SurvivalResult
from churnlib.survival.competing import time_lost
from churnlib.survival.estimators import restricted_mean
from churnlib.survival.incidence import LevelIncidence, level_incidences, outcomes_of
from churnlib.survival.lifetable import anniversary, life_table, per_month, tidy

STAYED = "stayed"


@dataclass(frozen=True, kw_only=True)
class RestrictedMean(SurvivalResult):
    """Mean months stayed, and lost to each outcome, up to a horizon.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level and part ("stayed", then every outcome that occurs): `n_customers`, `n_events`, `mean` in
        months with `std_error`, `ci_lower`, `ci_upper`; the parts of a level add to the horizon.
    contrasts : pandas.DataFrame
        One row per level but the reference (the one with most customers): `difference` in months stayed and `ratio`,
        each with an interval widened for their number (Bonferroni).
    horizon : int
        In months.
    reference : str
    """

    contrasts: pd.DataFrame
    horizon: int
    reference: str

    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "level",
        Column("part", "term", prefix="survival.part"),
        "n_customers mean:number.2 ci_lower:number.2 ci_upper:number.2 flag",
    )

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_events", "mean", "std_error", "ci_lower", "ci_upper")
        # the parts of a level add to the horizon: one hidden alone would follow from the others
        how = {"count": "n_events", "base": "n_customers", "hides": hides, "within": ("level",)}
        return disclosure.protect(self.table, self.about, **how)

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.shown.dropna(subset="mean")
        stayed = told[told["part"] == STAYED]
        if stayed.empty:
            return (self.too_small(),)
        if self.table["level"].nunique() == 1:
            return (self._whole_finding(stayed.iloc[0], told[told["part"] != STAYED]),)
        return (self._contrast_finding(stayed),)

    def _whole_finding(self, stayed: pd.Series, lost: pd.DataFrame) -> Finding:
        values = {"horizon": self.horizon, "stayed": stayed["mean"], "lower": stayed.ci_lower, "upper": stayed.ci_upper}
        if lost.empty:
            return Finding("survival.mean.none_lost", values)
        main = lost.loc[lost["mean"].idxmax()]
        values |= {"lost": self.horizon - stayed["mean"], "outcome": text.label(f"survival.part.{main.part}")}
        return Finding("survival.mean.lost", values | {"main": main["mean"]}, weight=float(stayed.n_events))

    def _contrast_finding(self, stayed: pd.DataFrame) -> Finding:
        means = stayed.set_index("level")["mean"]
        clear = self.contrasts[self.contrasts["level"].isin(means.index)]
        clear = clear[(clear["lower"] > 0) | (clear["upper"] < 0)]
        values = {"horizon": self.horizon, "n": len(stayed), "reference": self.level(self.reference)}
        if clear.empty or self.reference not in means:
            key = "alike" if self.reference in means and len(means) > 1 else "too_few"
            return Finding(f"survival.mean.{key}", values | {"segment": self.about.segment.label})
        far = clear.loc[clear["difference"].abs().idxmax()]
        values |= {"level": self.level(far.level), "mean": means[far.level], "reference_mean": means[self.reference]}
        lower, upper = sorted((abs(far.lower), abs(far.upper)))
        values |= {"gap": abs(far.difference), "lower": lower, "upper": upper}
        tone, key = ("worse", "shorter") if far.difference < 0 else ("better", "longer")
        customers = float(stayed.set_index("level")["n_customers"][far.level])
        weight = customers * abs(far.difference) / self.horizon / self.about.years
        return Finding(f"survival.mean.{key}", values, grade="moderate", tone=tone, weight=weight)

    @property
    def subtitle(self) -> Statement:
        return Statement("survival.mean.subtitle", {"horizon": self.horizon, "segment": self.about.segment.label})

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("survival.note.mean", {"horizon": self.horizon}),)

    def plot(self, ax=None):
        """Months stayed by level; nothing for one level, whose table says it better."""
        told = self.shown[self.shown["part"] == STAYED].dropna(subset="mean").sort_values("mean")
        if len(told) < 2:
            return None
        labels = [str(self.level(level)) for level in told["level"]]
        sizes = [text.show(n, "number", digits=0) for n in told["n_customers"]]
        columns = [(text.say("results.column.n_customers"), sizes)]
        low, high = told["ci_lower"], told["ci_upper"]
        return plots.bars(labels, told["mean"], lower=low, upper=high, columns=columns, kind="number", digits=1, ax=ax)


def months_stayed(counts, *, horizon: int | None = None) -> RestrictedMean:
    """Work out the mean months stayed up to a horizon and the months lost to each outcome, with late entry.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=...)`.
    horizon : int, optional
        In months; if not given, the longest of 1, 3, 6, 12, 24, 36, 60 that the curve of every level reaches (levels
        with too few customers or a later start apart).

    Returns
    -------
    RestrictedMean
        One row per level and part.
    """
    about, life = counts.about, life_table(counts)
    curves, names = level_incidences(life, about.min_denominator), outcomes_of(life)
    horizon = horizon or common_horizon([c for c in curves if c.start == 0 and len(c.tenure)], life.unit)
    mean, variance = np.stack([_means(c, len(names), anniversary(horizon, life.unit)) for c in curves], axis=1)
    mean, std_error = mean / per_month(life.unit), np.sqrt(variance) / per_month(life.unit)
    half = ndtri((1 + about.conf_level) / 2) * std_error
    events = np.stack([life.n_events, *(life.outcomes[name] for name in names)], axis=1).sum(axis=-1)
    values = {"n_customers": life.n_customers[:, None], "n_events": events, "mean": mean, "std_error": std_error}
    values |= {"ci_lower": np.maximum(mean - half, 0.0), "ci_upper": np.minimum(mean + half, float(horizon))}
    table = tidy({"level": life.levels, "part": (STAYED, *names)}, **values)
    stayed = table[table["part"] == STAYED].set_index("level").dropna(subset="mean")
    reference = stayed["n_customers"].idxmax() if len(stayed) else ""
    has = {"contrasts": contrasts(stayed, reference, about.conf_level), "reference": reference, "horizon": horizon}
    return RestrictedMean(about=about, table=table, name=about.named("months_stayed"), **has)


def common_horizon(curves: list[LevelIncidence], unit: str) -> int:
    """Give the longest reading in months that every curve reaches; 0 if there is none."""
    last = min((c.tenure[-1] for c in curves), default=0.0)
    return max((m for m in MONTHS if anniversary(m, unit) <= last), default=0)


def _means(curve: LevelIncidence, n_outcomes: int, end: float) -> np.ndarray:
    """Time stayed and lost to each outcome, and their variances, shape (2, 1 + K); NaN if the curve does not reach."""
    if not end or curve.start > 0 or not len(curve.tenure) or curve.tenure[-1] < end:
        return np.full((2, 1 + n_outcomes), np.nan)
    stayed = restricted_mean(curve.tenure, curve.d.sum(axis=0), curve.n, end)
    return np.column_stack([stayed, np.stack(time_lost(curve.tenure, curve.d, curve.n, end))])


def contrasts(stayed: pd.DataFrame, reference: str, conf_level: float = 0.95) -> pd.DataFrame:
    """Compare the months stayed of every level with the reference's.

    Parameters
    ----------
    stayed : pandas.DataFrame
        One row per level (the index): `mean`, `std_error`.
    reference : str
    conf_level : float
        Held by all intervals together (Bonferroni).

    Returns
    -------
    pandas.DataFrame
        One row per other level: `difference` (months) with `lower`, `upper`; `ratio` with `ratio_lower`, `ratio_upper`.
    """
    others = stayed.drop(index=reference, errors="ignore")
    if others.empty or reference not in stayed.index:
        return pd.DataFrame(columns=["level", "difference", "lower", "upper", "ratio", "ratio_lower", "ratio_upper"])
    z = ndtri(1 - (1 - conf_level) / 2 / len(others))
    base = stayed.loc[reference]
    gap = others["mean"] - base["mean"]
    se = np.hypot(others["std_error"], base["std_error"])
    ratio = others["mean"] / base["mean"]
    log_se = np.hypot(others["std_error"] / others["mean"], base["std_error"] / base["mean"])
    columns = {"difference": gap, "lower": gap - z * se, "upper": gap + z * se, "ratio": ratio}
    columns |= {"ratio_lower": ratio * np.exp(-z * log_se), "ratio_upper": ratio * np.exp(z * log_se)}
    return pd.DataFrame(columns).rename_axis("level").reset_index()
