"""Many small units (branches, dealers, account managers): which ones differ by more than chance, without a ranking.

A league table of small units ranks luck. A funnel plot shows what chance and the usual differences between units would
do at every size; shrinkage says how much of a unit's departure is to be believed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from churnlib import text
from churnlib.about import YEAR, Period
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement, table_columns
from churnlib.trend.shrinkage import shrink

FEWEST = 10  # units below which bars say more than a funnel
INNER, OUTER = 0.95, 0.998  # limits of the funnel, the usual two and three standard deviations
WINSOR = 0.10  # of the units at either end, whose scores do not count more than their neighbours'
NAMED = 5
NOBODY = "unknown"  # the level of customers without a unit: no unit itself


@dataclass(frozen=True, kw_only=True)
class UnitFunnel(Result):
    """Units against what chance and the usual differences between units would do.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per unit with customers, those that stand out first: `level`, `n_opening` and `n_churned_opening` (sums
        over the periods), `churn_rate`; `shrunk` with `shrunk_lower`, `shrunk_upper` (beta-binomial, in [0, 1]);
        `score` (standard deviations from the centre, the usual differences included), `lower`, `upper`, `inner_lower`,
        `inner_upper` (the funnel at the unit's size), `beyond` (-1, 0, 1: outside the outer limits).
    centre : float
        The rate of all units together.
    tau : float
        Standard deviation of the usual differences between units.
    first : Period
        First of the periods taken together; the last is the report's.
    """

    centre: float
    tau: float
    first: Period
    module = "units"
    columns = table_columns(
        "level n_opening n_churned_opening churn_rate lower upper",
        Column("beyond", "term", prefix="units.beyond"),
        "shrunk:pct shrunk_lower shrunk_upper flag",
    )

    @property
    def tucked(self) -> bool:
        return len(self.table) < FEWEST

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_churned_opening", "churn_rate", "score", "shrunk", "shrunk_lower", "shrunk_upper")
        return disclosure.protect(self.table, self.about, hides=hides, within=("all",))

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.shown[self.shown["churn_rate"].notna()]
        if len(self.table) < FEWEST or len(told) < FEWEST:
            return (Finding("units.few", {"n": len(told) if len(self.table) > 1 else 0, "least": FEWEST}),)
        values = {"n": len(told), "segment": self.about.segment.label, "rate": self.centre}
        sides = (("units.high", 1, "worse"), ("units.low", -1, "better"))
        out = [(key, told[told["beyond"] == side], values, tone) for key, side, tone in sides]
        return tuple(self._named(*side) for side in out if len(side[1])) or (Finding("units.none", values),)

    def _named(self, key: str, rows: pd.DataFrame, values: dict, tone: str) -> Finding:
        top = rows.loc[rows["score"].abs().sort_values(ascending=False, kind="stable").index[:NAMED]]
        names, more = text.shown([self.level(level) for level in top["level"]], "list"), len(rows) - len(top)
        names = text.label("units.and_more", units=names, n=more) if more else names
        weight = float(((rows["shrunk"] - self.centre).abs() * rows["n_opening"]).sum())
        return Finding(key, values | {"units": names, "found": len(rows)}, grade="moderate", tone=tone, weight=weight)

    @property
    def subtitle(self) -> Statement | None:
        if len(self.table) < FEWEST:
            return None
        values = {"segment": self.about.segment.label, "first": self.first, "last": self.about.period}
        return Statement("units.subtitle.one" if self.first == self.about.period else "units.subtitle", values)

    @property
    def notes(self) -> tuple[Statement, ...]:
        if len(self.table) < FEWEST:
            return ()
        return (Statement("units.note.funnel", {"tau": self.tau}), Statement("units.note.shrunk"), self.small_note)

    def plot(self, ax=None):
        told = self.shown[self.shown["churn_rate"].notna()]
        if len(self.table) < FEWEST or told.empty:
            return None
        sizes = np.geomspace(max(told["n_opening"].min() * 0.9, 1), told["n_opening"].max() * 1.05, 60)
        bands = [funnel_limits(self.centre, sizes, self.tau, level) for level in (INNER, OUTER)]
        return plots.funnel(
            told["n_opening"].tolist(),
            told["churn_rate"].tolist(),
            [str(self.level(level)) for level in told["level"]],
            marked=[int(side) for side in told["beyond"]],
            centre=self.centre,
            centre_label=text.say("units.centre"),
            sizes=sizes.tolist(),
            inner=[band.tolist() for band in bands[0]],
            outer=[band.tolist() for band in bands[1]],
            size_label=text.say("units.size"),
            ax=ax,
        )


def unit_funnel(counts) -> UnitFunnel:
    """Hold many units against what chance and the usual differences between units would do.

    Parameters
    ----------
    counts : Counts
        From `unit_counts(data, by)`: one row per unit and period; the complete periods of a year are taken together.

    Returns
    -------
    UnitFunnel
        One row per unit; customers without one are left out. Says who differs, not why: units with other customers have
        other rates.
    """
    about = counts.about
    frame = counts.frame[counts.frame["is_complete"] & (counts.frame["period"] <= str(about.period))]
    names = sorted(frame["period"].unique())[-YEAR[about.period.unit] :]
    sums = frame[frame["period"].isin(names)].groupby("level", sort=True)[["n_opening", "n_churned_opening"]].sum()
    sums = sums[(sums["n_opening"] > 0) & (sums.index != NOBODY)].reset_index()
    n, d = sums["n_opening"].to_numpy(float), sums["n_churned_opening"].to_numpy(float)
    centre = d.sum() / max(n.sum(), 1)
    tau = usual_differences(d, n, centre)
    table = sums.assign(churn_rate=d / n, score=scores(d, n, centre, tau))
    for prefix, level in (("inner_", INNER), ("", OUTER)):
        table[f"{prefix}lower"], table[f"{prefix}upper"] = funnel_limits(centre, n, tau, level)
    table["beyond"] = (table["churn_rate"] > table["upper"]).astype(int) - (table["churn_rate"] < table["lower"])
    table["shrunk"], table["shrunk_lower"], table["shrunk_upper"] = shrink(d, n, about.conf_level)
    order = table["score"].abs().sort_values(ascending=False, kind="stable").index
    first = Period.parse(names[0]) if names else about.period
    name = f"units_{about.segment.name or 'none'}"
    return UnitFunnel(
        about=about, table=table.loc[order].reset_index(drop=True), name=name, centre=centre, tau=tau, first=first
    )


def usual_differences(d: np.ndarray, n: np.ndarray, centre: float) -> float:
    """Measure how much units usually differ beyond chance: the standard deviation of their true rates.

    The moment estimate from winsorised scores, so that a few outlying units do not widen the funnel for themselves.

    References
    ----------
    Spiegelhalter, D. J. (2005). Handling over-dispersion of performance indicators. Quality and Safety in Health Care
    14, 347-351.
    """
    if len(n) < FEWEST or not 0 < centre < 1:
        return 0.0
    variance = centre * (1 - centre) / n
    z = (d / n - centre) / np.sqrt(variance)
    cut = int(WINSOR * len(z))
    ordered = np.sort(z)
    z = np.clip(z, ordered[cut], ordered[-cut - 1])
    phi, w = float((z**2).mean()), 1 / variance
    spare = w.sum() - (w**2).sum() / w.sum()
    return float(np.sqrt(max(0.0, (len(z) * phi - (len(z) - 1)) / spare))) if spare > 0 else 0.0


def scores(d: np.ndarray, n: np.ndarray, centre: float, tau: float) -> np.ndarray:
    """Give each unit's departure in standard deviations of chance and of the usual differences together."""
    spread = np.sqrt(np.maximum(centre * (1 - centre) / n + tau**2, 1e-300))
    return (d / n - centre) / spread if 0 < centre < 1 else np.zeros(len(n))


def funnel_limits(centre: float, n, tau: float, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Give the funnel at sizes n: where a unit's rate lies with this probability when it is one of the usual ones.

    Wilson's form of the limits of chance (exact enough at small n, never below zero), widened by the usual differences.

    References
    ----------
    Spiegelhalter, D. J. (2005). Funnel plots for comparing institutional performance. Statistics in Medicine 24,
    1185-1202.
    """
    n = np.asarray(n, float)
    z = ndtri((1 + level) / 2)
    half = z * np.sqrt(centre * (1 - centre) / n + tau**2)
    skew = (1 - 2 * centre) * (z**2 - 1) / (6 * n)  # Cornish-Fisher: counts of rare losses lean to the right
    return np.clip(centre - half + skew, 0, 1), np.clip(centre + half + skew, 0, 1)
