"""Would the projection have worked so far: each model fitted to the first half of the ages, tested on the second."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import YEAR
from churnlib.cohorts.cohortcells import COMPLETE, SMALL, cell_states
from churnlib.cohorts.lifemodel import MODELS, LifeModel, fit_life
from churnlib.show.results import Column, Finding, Result, Statement

LEAST_AGES = 6  # observed ages under which nothing is projected: three to fit on, three held out
TRUSTED = 0.8  # share of the held-out ages inside the interval, from which on a projection is said to have held
USABLE = 0.05  # largest error on held-out ages, in shares, beyond which a projection that did not hold is not shown


@dataclass(frozen=True, kw_only=True)
class Backtest(Result):
    """What each model would have projected from the first half of the ages, beside what came.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per model: `model`, `fitted_to` and `tested_to` (last ages of the fit and of the test), `n_tested` ages,
        `n_inside` (observed retention inside the projection's interval), `largest_error` (observed less projected, in
        shares), `last_observed`, `last_projected`.
    """

    module: ClassVar[str] = "projection"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("model", "term", prefix="projection.model"),
        Column("fitted_to", "whole"),
        Column("tested_to", "whole"),
        Column("last_observed", "pct", 1),
        Column("last_projected", "pct", 1),
        Column("largest_error", "points", 1),
        Column("n_tested", "whole"),
        Column("n_inside", "whole"),
    )

    @property
    def best(self) -> str:
        """The model whose largest error is the smallest."""
        return self.table.loc[self.table["largest_error"].abs().idxmin(), "model"] if len(self.table) else ""

    @property
    def held(self) -> bool:
        """Whether the best model's intervals held what came, in `TRUSTED` of the held-out ages."""
        if self.table.empty:
            return False
        row = self.table.set_index("model").loc[self.best]
        return bool(row.n_inside / row.n_tested >= TRUSTED)

    @property
    def usable(self) -> bool:
        """Whether the best model held, or was at least never far off."""
        return self.held or bool((self.table["largest_error"].abs() <= USABLE).any())

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.table.empty:
            return (Finding("projection.untested", {"least": LEAST_AGES}),)
        row = self.table.set_index("model").loc[self.best]
        values = {"model": text.label(f"projection.model.{self.best}"), "unit": unit_label(self.about)}
        values |= {"fitted": int(row.fitted_to), "first": int(row.fitted_to) + 1, "last": int(row.tested_to)}
        values |= {"error": abs(row.largest_error), "inside": int(row.n_inside), "tested": int(row.n_tested)}
        word = "held" if self.held else "failed" if self.usable else "unfit"
        return (Finding(f"projection.backtest.{word}", values),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("projection.note.backtest", {"trusted": TRUSTED}),)


def nothing_projected(tested: Backtest) -> Finding:
    """Say why there is no projection: too little seen, or no model that would have worked so far."""
    if tested.table.empty:
        return Finding("projection.too_short", {"least": LEAST_AGES})
    return Finding("projection.unfit", {"usable": USABLE})


def unit_label(about) -> text.Label:
    """Name the step of ages: months, weeks ..."""
    return text.label(f"projection.unit.{about.period.unit}")


def complete_cells(counts) -> pd.DataFrame:
    """Give, by cohort and age from 1, who was at risk and who was lost, from complete cells only.

    Returns
    -------
    pandas.DataFrame
        One row per cohort and age: `n_at_risk` (retained one age before), `n_lost`.
    """
    about, frame = counts.about, counts.frame
    frame = frame[~frame["is_truncated"]].sort_values(["cohort", "age"], kind="stable")
    told = np.isin(cell_states(frame, about.as_of, about.min_denominator), (COMPLETE, SMALL))
    frame = frame[told]
    before = frame.groupby("cohort")["n_retained"].shift()
    cells = frame.assign(n_at_risk=before, n_lost=before - frame["n_retained"])
    return cells.loc[cells["n_at_risk"] > 0, ["cohort", "age", "n_at_risk", "n_lost"]].reset_index(drop=True)


def age_totals(cells: pd.DataFrame, least: int) -> pd.DataFrame:
    """Give one row per age up to the last with enough customers at risk: sums over cohorts, chained retention."""
    ages = cells.groupby("age", as_index=False)[["n_at_risk", "n_lost"]].sum()
    ages = ages[(ages["n_at_risk"] >= least).cummin() & (ages["age"] == np.arange(1, len(ages) + 1))]
    return ages.assign(observed=(1 - ages["n_lost"] / ages["n_at_risk"]).cumprod())


def overdispersion(cells: pd.DataFrame) -> float:
    """Measure how much more the losses of cohorts of one age vary than chance: Pearson's statistic over its degrees.

    Never below 1; cells with fewer than one expected loss are left out.
    """
    sums = cells.groupby("age")[["n_at_risk", "n_lost"]].transform("sum")
    p = sums["n_lost"] / sums["n_at_risk"]
    expected = cells["n_at_risk"] * p
    used = (expected >= 1) & (p < 1)
    degrees = used.sum() - cells.loc[used, "age"].nunique()
    if degrees < 1:
        return 1.0
    pearson = ((cells["n_lost"] - expected) ** 2 / (expected * (1 - p)))[used].sum()
    return max(1.0, float(pearson / degrees))


def safe_ages(ages: pd.DataFrame, about) -> int:
    """Count the first ages at which nobody has left because the definition cannot show it so early."""
    steps = math.ceil(about.earliest_churn * YEAR[about.period.unit] / YEAR["month"])
    return int((ages["n_lost"].head(steps) == 0).cummin().sum())


def fit_ages(kind: str, cells: pd.DataFrame, ages: pd.DataFrame, begin: int) -> LifeModel:
    """Fit a model to some ages from `begin` on, its covariance widened by their overdispersion."""
    used = cells[cells["age"].isin(ages["age"])]
    return fit_life(kind, ages["n_at_risk"], ages["n_lost"], overdispersion(used), begin)


def backtest(cells: pd.DataFrame, ages: pd.DataFrame, about) -> Backtest:
    """Fit each model to the first half of the ages and see whether the later ones lie in its interval."""
    begin, end, rows = safe_ages(ages, about), len(ages), []
    cut, lost = begin + (end - begin) // 2, ages["n_lost"].to_numpy()
    if end - begin >= LEAST_AGES and lost[:cut].sum() >= about.privacy_k and (ages["observed"] > 0).all():
        came = np.append(1.0, ages["observed"])
        for kind in MODELS:
            model = fit_ages(kind, cells, ages[:cut], begin)
            extra = _chance(model, cells, ages, cut)
            lower, upper = model.survival_interval(end, about.conf_level, extra)
            projected, held_out = model.survival(end), np.arange(cut + 1, end + 1)
            errors = (came - projected)[held_out]
            inside = ((came >= lower) & (came <= upper))[held_out]
            largest = errors[np.abs(errors).argmax()]
            rows.append((kind, cut, end, len(held_out), inside.sum(), largest, came[end], projected[end]))
    names = ["model", "fitted_to", "tested_to", "n_tested", "n_inside", "largest_error"]
    table = pd.DataFrame(rows, columns=[*names, "last_observed", "last_projected"])
    return Backtest(about=about, table=table, name="projection_backtest")


def _chance(model: LifeModel, cells: pd.DataFrame, ages: pd.DataFrame, cut: int) -> np.ndarray:
    """Variance of the observed log retention after the cut, by chance alone: Greenwood's sum under the model."""
    survival = model.survival(len(ages))
    hazard = 1 - survival[1:] / survival[:-1]
    added = overdispersion(cells) * hazard / (1 - hazard) / ages["n_at_risk"].to_numpy()
    added[:cut] = 0.0
    return np.append(0.0, added.cumsum())
