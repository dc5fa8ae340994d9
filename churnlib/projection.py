"""How long will they stay: retention by age carried on beyond the data, and how well that would have worked so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtri

from churnlib import plots, text
from churnlib.cohort import COMPLETE, SMALL, cell_states
from churnlib.lifemodel import MODELS, LifeModel, fit_life, residual_months
from churnlib.results import Column, Finding, Result, Statement

LEAST_AGES = 6  # observed ages under which nothing is projected: three to fit on, three held out
TRUSTED = 0.8  # share of the held-out ages inside the interval, from which on a projection is said to have held
ALIKE = 0.5  # steps of residual lifetime that are no difference worth a word


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
    folded: ClassVar[bool] = False
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
    def findings(self) -> tuple[Finding, ...]:
        if self.table.empty:
            return (Finding("projection.untested", {"least": LEAST_AGES}),)
        row = self.table.set_index("model").loc[self.best]
        values = {"model": text.label(f"projection.model.{self.best}"), "unit": unit_label(self.about)}
        values |= {"fitted": int(row.fitted_to), "first": int(row.fitted_to) + 1, "last": int(row.tested_to)}
        values |= {"error": abs(row.largest_error), "inside": int(row.n_inside), "tested": int(row.n_tested)}
        return (Finding(f"projection.backtest.{'held' if self.held else 'failed'}", values),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("projection.note.backtest", {"trusted": TRUSTED}),)


@dataclass(frozen=True, kw_only=True)
class Projection(Result):
    """Retention by age, observed and projected.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per age from 0 to the horizon: `n_at_risk` (customers of cohorts complete at that age who were there one
        age before), `n_lost`, `observed` retention (chained over ages), `projected` with `ci_lower`, `ci_upper`, in
        [0, 1].
    model : LifeModel or None
        The one that did better in the backtest; None when too few ages are observed.
    backtest : Backtest
    """

    model: LifeModel | None
    backtest: Backtest
    module: ClassVar[str] = "projection"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("age", "whole"),
        Column("n_at_risk", "whole"),
        Column("observed", "pct", 1),
        Column("projected", "pct", 1),
        Column("ci_lower", "pct", 1),
        Column("ci_upper", "pct", 1),
    )

    @property
    def horizon(self) -> int:
        """Last age of the table."""
        return int(self.table["age"].max())

    @property
    def observed_to(self) -> int:
        """Last age that enough customers have been observed at."""
        return int(self.table["observed"].last_valid_index() or 0)

    @property
    def shown(self) -> pd.DataFrame:
        """Without the ages at which a handful left, which the steps of the observed retention would tell."""
        told = ~self.table["n_lost"].between(1, self.about.privacy_k - 1)
        return self.table.assign(
            **{name: self.table[name].astype(float).where(told) for name in ("n_at_risk", "observed")}
        )

    def mean_stay(self, discount: float = 0.0) -> tuple[float, float, float]:
        """Give the mean steps stayed up to the horizon, with its interval; who leaves does so in the middle of a step.

        Parameters
        ----------
        discount : float
            Per step: a step stayed counts less the later it is.
        """
        weights = (1 + discount) ** -(np.arange(self.horizon) + 0.5)

        def mean(p: np.ndarray | None = None) -> float:
            survival = self.model.survival(self.horizon, p)
            return float((survival[:-1] + survival[1:]) / 2 @ weights)

        value, error = mean(), self.model.std_error(lambda p: np.array([mean(p)]))[0]
        half = ndtri((1 + self.about.conf_level) / 2) * error
        return value, max(value - half, 0.0), min(value + half, float(weights.sum()))

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.model is None:
            return (Finding("projection.too_short", {"least": LEAST_AGES}),)
        mean, lower, upper = self.mean_stay()
        end = self.table.iloc[-1]
        values = {"horizon": self.horizon, "mean": mean, "lower": lower, "upper": upper, "unit": unit_label(self.about)}
        values |= {"left": end.projected, "left_lower": end.ci_lower, "left_upper": end.ci_upper}
        values |= {"observed": self.observed_to}
        grade = "moderate" if self.backtest.held else "weak"
        word = "beyond" if self.horizon > self.observed_to else "within"
        return (Finding(f"projection.stay_{word}", values, grade=grade),)

    @property
    def subtitle(self) -> Statement:
        return Statement("projection.subtitle", {"unit": unit_label(self.about)})

    @property
    def notes(self) -> tuple[Statement, ...]:
        if self.model is None:
            return ()
        values = {"n": int(self.table["n_at_risk"].max()), "definition": self.about.definition_note}
        return (Statement(f"projection.note.{self.model.kind}", values),)

    def plot(self, ax=None):
        if self.model is None:
            return None
        seen = self.shown.dropna(subset="observed")
        ages, projected = self.table["age"].tolist(), self.table["projected"].tolist()
        band = (self.table["ci_lower"].tolist(), self.table["ci_upper"].tolist())
        said = text.show(projected[-1], "pct", digits=0)
        curves = [
            plots.Curve(text.say("projection.observed"), seen["age"].tolist(), seen["observed"].tolist()),
            plots.Curve(text.say("projection.projected"), ages, projected, *band, said=said),
        ]
        ticks = np.unique(np.linspace(0, self.horizon, 6).astype(int)).tolist()
        unit = unit_label(self.about).to(text.language())
        return plots.steps(curves, ticks=ticks, x_label=text.say("projection.axis", unit=unit), ax=ax)


def unit_label(about) -> text.Label:
    """Name the step of ages: months, weeks ..."""
    return text.label(f"projection.unit.{about.period.unit}")


def project_retention(counts, *, horizon: int = 60) -> Projection:
    """Carry retention by age on to a horizon, by the model that did better on held-out ages.

    Parameters
    ----------
    counts : Counts
        From `cohort_counts(data)`, customers: one row per cohort and age.
    horizon : int
        In steps of the ages (months).

    Returns
    -------
    Projection
        One row per age. Assumes that customers who start later stay like those observed, and that the course of the
        observed ages goes on: nothing in the data can show that it does.
    """
    cells = complete_cells(counts)
    ages = _totals(cells, counts.about.min_denominator)
    tested = backtest(cells, ages, counts.about)
    table = pd.DataFrame({"age": np.arange(horizon + 1)}).merge(ages, on="age", how="left")
    table.loc[0, "observed"] = 1.0
    if tested.table.empty:
        table = table.assign(projected=np.nan, ci_lower=np.nan, ci_upper=np.nan)
        return Projection(about=counts.about, table=table, name="projection", model=None, backtest=tested)
    model = _fit(tested.best, cells, ages)
    lower, upper = model.survival_interval(horizon, counts.about.conf_level)
    table = table.assign(projected=model.survival(horizon), ci_lower=lower, ci_upper=upper)
    return Projection(about=counts.about, table=table, name="projection", model=model, backtest=tested)


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


def _totals(cells: pd.DataFrame, least: int) -> pd.DataFrame:
    """One row per age up to the last with enough customers at risk: sums over cohorts and the chained retention."""
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


def _fit(kind: str, cells: pd.DataFrame, ages: pd.DataFrame) -> LifeModel:
    used = cells[cells["age"].isin(ages["age"])]
    return fit_life(kind, ages["n_at_risk"], ages["n_lost"], overdispersion(used))


def backtest(cells: pd.DataFrame, ages: pd.DataFrame, about) -> Backtest:
    """Fit each model to the first half of the ages and see whether the later ones lie in its interval."""
    cut, end, rows = len(ages) // 2, len(ages), []
    lost = ages["n_lost"].to_numpy()
    if end >= LEAST_AGES and lost[:cut].sum() >= about.privacy_k and (ages["observed"] > 0).all():
        came = np.append(1.0, ages["observed"])
        for kind in MODELS:
            model = _fit(kind, cells, ages[:cut])
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


@dataclass(frozen=True, kw_only=True)
class ResidualLifetime(Result):
    """What customers who have already stayed some time still have ahead of them.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per age completed: `age`, `ahead` (expected further steps within the horizon), `discounted` (the same
        discounted: DERL) with `ci_lower`, `ci_upper` (of `discounted`).
    steps : int
        How far ahead is looked.
    discount : float
        A year.
    """

    steps: int
    discount: float
    module: ClassVar[str] = "projection"
    folded: ClassVar[bool] = False
    columns: ClassVar[tuple[Column, ...]] = (
        Column("age", "whole"),
        Column("ahead", "number", 1),
        Column("discounted", "number", 1),
        Column("ci_lower", "number", 1),
        Column("ci_upper", "number", 1),
    )

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.table.empty:
            return (Finding("projection.too_short", {"least": LEAST_AGES}),)
        first, last = self.table.iloc[0], self.table.iloc[-1]
        values = {"unit": unit_label(self.about), "steps": self.steps, "age": int(last.age)}
        gap = round(last.ahead, 1) - round(first.ahead, 1)  # of the figures that are printed
        values |= {"new": first.ahead, "old": last.ahead, "change": abs(gap)}
        word = "alike" if abs(gap) < ALIKE else "longer" if gap > 0 else "shorter"
        return (Finding(f"projection.ahead_{word}", values),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        values = {"discount": self.discount, "steps": self.steps, "unit": unit_label(self.about)}
        return (Statement("projection.note.derl", values),)


def residual_lifetime(projection: Projection, *, discount: float = 0.08) -> ResidualLifetime:
    """Work out the residual lifetime of customers by the age that they have completed.

    Parameters
    ----------
    projection : Projection
    discount : float
        A year: what is earned a year later is worth 1 / (1 + discount) of it.

    Returns
    -------
    ResidualLifetime
        One row per age, up to the last observed one; looks as far ahead as the projection's horizon.
    """
    about, steps, model = projection.about, projection.horizon, projection.model
    a_step = step_discount(discount, about.period.unit)
    ages = [] if model is None else [age for age in (0, 6, 12, 24, 36, 48, 60) if age <= projection.observed_to]
    z, rows = ndtri((1 + about.conf_level) / 2), []
    for age in ages:
        survival = model.survival(age + steps)
        value = residual_months(survival, age, steps, a_step)

        def again(p: np.ndarray, age: int = age) -> np.ndarray:
            return np.array([residual_months(model.survival(age + steps, p), age, steps, a_step)])

        half = z * float(model.std_error(again)[0])
        rows.append((age, residual_months(survival, age, steps), value, max(value - half, 0.0), value + half))
    table = pd.DataFrame(rows, columns=["age", "ahead", "discounted", "ci_lower", "ci_upper"])
    return ResidualLifetime(about=about, table=table, name="residual_lifetime", steps=steps, discount=discount)


def step_discount(discount: float, unit: str) -> float:
    """Turn a discount a year into one a step."""
    return (1 + discount) ** (1 / {"week": 52, "month": 12, "quarter": 4, "year": 1}[unit]) - 1
