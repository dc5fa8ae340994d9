"""How long will they stay: retention by age carried on beyond the data, and how well that would have worked so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.cohorts.backtest import (
    Backtest,
    age_totals,
    backtest,
    complete_cells,
    fit_ages,
    nothing_projected,
    safe_ages,
    unit_label,
)
from churnlib.cohorts.lifemodel import LifeModel, residual_months
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement

ALIKE = 0.5  # steps of residual lifetime that are no difference worth a word


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
        The one that did better in the backtest; None when too few ages are observed or neither was usable.
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
        out = self.table.assign(n_at_risk=disclosure.in_tens(self.table["n_at_risk"], self.about))
        return out.assign(**{name: out[name].astype(float).where(told) for name in ("n_at_risk", "observed")})

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

        lower, upper = self.model.interval(lambda p: np.array([mean(p)]), self.about.conf_level)
        return mean(), float(lower[0]), float(upper[0])

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.model is None:
            return (nothing_projected(self.backtest),)
        mean, lower, upper = self.mean_stay()
        end = self.table.iloc[-1]
        values = {"horizon": self.horizon, "mean": mean, "lower": lower, "upper": upper, "unit": unit_label(self.about)}
        values |= {"left": end.projected, "left_lower": end.ci_lower, "left_upper": end.ci_upper}
        values |= {"observed": self.observed_to}
        grade = "moderate" if self.backtest.held else "weak"
        word = "beyond" if self.horizon > self.observed_to else "within"
        return (Finding(f"projection.stay_{word}", values, grade=grade),)

    @property
    def subtitle(self) -> Statement | None:
        if self.model is None:
            return None
        return Statement("projection.subtitle", {"unit": unit_label(self.about)})

    @property
    def notes(self) -> tuple[Statement, ...]:
        if self.model is None:
            return ()
        values = {"n": int(self.shown["n_at_risk"].max()), "definition": self.about.definition_note}
        notes = [Statement(f"projection.note.{self.model.kind}", values)]
        if begin := self.model.begin:
            notes.append(Statement("projection.note.begin", {"begin": begin, "unit": unit_label(self.about)}))
        return tuple(notes)

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
    ages = age_totals(cells, counts.about.min_denominator)
    tested = backtest(cells, ages, counts.about)
    table = pd.DataFrame({"age": np.arange(horizon + 1)}).merge(ages, on="age", how="left")
    table.loc[0, "observed"] = 1.0
    if not tested.usable:
        table = table.assign(projected=np.nan, ci_lower=np.nan, ci_upper=np.nan)
        return Projection(about=counts.about, table=table, name="projection", model=None, backtest=tested)
    model = fit_ages(tested.best, cells, ages, safe_ages(ages, counts.about))
    lower, upper = model.survival_interval(horizon, counts.about.conf_level)
    table = table.assign(projected=model.survival(horizon), ci_lower=lower, ci_upper=upper)
    return Projection(about=counts.about, table=table, name="projection", model=model, backtest=tested)


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
    backtest: Backtest
    module: ClassVar[str] = "projection"
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
            return (nothing_projected(self.backtest),)
        first, last = self.table.iloc[0], self.table.iloc[-1]
        values = {"unit": unit_label(self.about), "steps": self.steps, "age": int(last.age)}
        gap = round(last.ahead, 1) - round(first.ahead, 1)  # of the figures that are printed
        values |= {"new": first.ahead, "old": last.ahead, "change": abs(gap)}
        word = "alike" if abs(gap) < ALIKE else "longer" if gap > 0 else "shorter"
        return (Finding(f"projection.ahead_{word}", values),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        if self.table.empty:
            return ()
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
    rows = []
    for age in ages:
        survival = model.survival(age + steps)
        value = residual_months(survival, age, steps, a_step)

        def again(p: np.ndarray, age: int = age) -> np.ndarray:
            return np.array([residual_months(model.survival(age + steps, p), age, steps, a_step)])

        lower, upper = model.interval(again, about.conf_level)
        in_the_middle = (1 - survival[-1] / survival[age]) / 2  # of a step: when who leaves does so, as in `mean_stay`
        rows.append((age, residual_months(survival, age, steps) + in_the_middle, value, lower[0], upper[0]))
    table = pd.DataFrame(rows, columns=["age", "ahead", "discounted", "ci_lower", "ci_upper"])
    told = {"steps": steps, "discount": discount, "backtest": projection.backtest}
    return ResidualLifetime(about=about, table=table, name="residual_lifetime", **told)


def step_discount(discount: float, unit: str) -> float:
    """Turn a discount a year into one a step."""
    return (1 + discount) ** (1 / {"week": 52, "month": 12, "quarter": 4, "year": 1}[unit]) - 1
