"""Does the money stay as long as the customers: survival weighted by what each customer paid at the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtri

from churnlib import text
from churnlib.intervals import jackknife_variance
from churnlib.show.results import Column, Finding, Statement, table_columns
from churnlib.survival.base import SurvivalResult, by_tenure, curve_of, main_month
from churnlib.survival.curves import level_curves, read_levels
from churnlib.survival.estimators import StepCurve, product_limit, survival_interval
from churnlib.survival.jackknife import without_each_block
from churnlib.survival.lifetable import LifeTable, anniversary, arrange, life_table, tidy
from churnlib.text import UsageError


def weighted_product_limit(w_d, w_n, w2_d, w2_n) -> StepCurve:
    """Kaplan-Meier with a weight per customer: the product of (1 - h), h = sum of the churned's weights / at risk.

    The variance of log survival adds, tenure by tenure, sum w^2 (left - h)^2 / (W (1 - h))^2, from sums of squared
    weights alone; with weights of 1 it is Greenwood's. It takes the weights as independent of who leaves when; for
    weights that are not, use blocks (see `jackknife`).

    Parameters
    ----------
    w_d, w_n, w2_d, w2_n : numpy.ndarray, shape (..., T)
        Weights, and squared weights, of those who churned and of those at risk.

    Returns
    -------
    StepCurve
    """
    h = np.where(w_n > 0, w_d / np.where(w_n > 0, w_n, 1.0), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = w2_d * (1 - h) ** 2 + (w2_n - w2_d) * h**2
        added = np.where(w_d > 0, squares / (w_n * (1 - h)) ** 2, 0.0)
    return StepCurve((1 - h).cumprod(axis=-1), added.cumsum(axis=-1))


@dataclass(frozen=True, kw_only=True)
class MoneySurvival(SurvivalResult):
    """Survival of the money beside that of the customers.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level and month: `months`, `tenure`, `n_at_risk`, `n_events` (up to it), `survival` (customers) and
        `money_survival` with `ci_lower`, `ci_upper`, both in [0, 1]; `gap`, the second less the first, with
        `gap_lower`, `gap_upper` from the blocks (missing without them).
    """

    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "level months:whole n_at_risk survival:pct.1 money_survival:pct.1 ci_lower:pct.1 ci_upper:pct.1 gap:points.1"
    )

    @property
    def shown(self) -> pd.DataFrame:
        return self.table[self.kept(self.table, "survival")[1]]

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.shown[self.shown["months"] > 0]
        if told.empty:
            return (self.too_small(),)
        if told["level"].nunique() > 1:
            return ()
        row = told[told["months"] == main_month(self.about, told["months"])].iloc[0]
        values = {"months": int(row.months), "customers": row.survival, "money": row.money_survival, "gap": row.gap}
        values |= {"lower": row.gap_lower, "upper": row.gap_upper}
        key, grade, tone = "alike", "descriptive", "steady"
        if row.gap_lower > 0 or row.gap_upper < 0:
            key, grade, tone = ("longer", "moderate", "better") if row.gap > 0 else ("shorter", "moderate", "worse")
        weight = abs(row.gap) * float(row.n_at_risk) / self.about.years
        return (Finding(f"survival.money.{key}", values, grade, tone, weight),)

    @property
    def subtitle(self) -> Statement:
        return Statement("survival.money.subtitle", {"segment": self.about.segment.label})

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("survival.note.money"), self._cut_note())

    def plot(self, ax=None):
        """Money and customers as two curves, for all customers; by segment the table says it better."""
        shown = self.shown.assign(**self.shown[["ci_lower", "ci_upper"]].fillna(1))
        if shown["level"].nunique() != 1 or len(shown) < 2:
            return None
        money = curve_of(shown, "money_survival", text.say("survival.money.money"))
        customers = curve_of(shown, "survival", text.say("survival.money.customers"), banded=False, role="ink")
        return by_tenure([money, customers], float(shown["months"].max()), ax)


def money_survival(counts) -> MoneySurvival:
    """Estimate how long the money stays, beside how long the customers stay.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=..., weight="monthly_fee", blocks=True)`; without blocks the money has its
        interval, but the gap has none.

    Returns
    -------
    MoneySurvival
        One row per level and month.
    """
    if "w_entered" not in counts.frame:
        raise UsageError("survival.no_weights")
    about, life = counts.about, life_table(counts)
    w, w2 = (arrange(counts.frame, life.levels, life.unit, prefix) for prefix in ("w", "w2"))
    steps = weighted_product_limit(w.n_events, w.n_at_risk, w2.n_events, w2.n_at_risk)
    gap_variance = np.full(steps.survival.shape, np.nan)
    if "block" in counts.frame:
        steps, gap_variance = _by_blocks(counts.frame, life, steps)
    months = np.arange(int(life.months(life.tenure.max(initial=0.0))) + 1)
    tenure = anniversary(months, life.unit)
    # the run of tenures to be trusted is that of the customers
    curves = level_curves(life, about.min_denominator, about.conf_level)
    customers = read_levels(curves, tenure, unconditional=True)["survival"]
    lower, upper = survival_interval(*steps, about.conf_level)
    money, *ends = (
        np.where(np.isnan(customers), np.nan, life.at(values, tenure, before))
        for values, before in ((steps.survival, 1.0), (lower, np.nan), (upper, np.nan))
    )
    gap, half = money - customers, ndtri((1 + about.conf_level) / 2) * np.sqrt(life.at(gap_variance, tenure))
    values = {"tenure": tenure, "n_at_risk": life.at_risk_after(tenure), "n_events": life.lost_by(tenure)}
    values |= {"survival": customers, "money_survival": money, "ci_lower": ends[0], "ci_upper": ends[1]}
    values |= {"gap": gap, "gap_lower": gap - half, "gap_upper": gap + half}
    table = tidy({"level": life.levels, "months": months}, **values)
    return MoneySurvival(about=about, table=table, name=about.named("money_survival"))


def _by_blocks(frame: pd.DataFrame, life: LifeTable, steps: StepCurve) -> tuple[StepCurve, np.ndarray]:
    """Replace the variance by that of the blocks; give the variance of the gap too."""
    money, customers = (product_limit(*without_each_block(frame, life, p)).survival for p in ("w", "n"))
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = steps._replace(log_variance=jackknife_variance(np.log(money)))
    return steps, jackknife_variance(money - customers)
