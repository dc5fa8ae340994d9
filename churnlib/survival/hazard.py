"""When customers leave: the risk of leaving, month by month of tenure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.stats import binom, chi2

from churnlib.show.results import Column, Finding, Statement, table_columns
from churnlib.survival.base import LINES, MONTHS, SurvivalResult, by_tenure, curve_of
from churnlib.survival.lifetable import LifeTable, anniversary, life_table, per_month, tidy
from churnlib.survival.logrank import holm
from churnlib.survival.suppression import hide_partners, merge_small_steps

RATE = ("n_events", "hazard", "ci_lower", "ci_upper")


def exposure_months(life: LifeTable, bounds: np.ndarray) -> np.ndarray:
    """Add up the time at risk in each window of tenure, in customer-months.

    Parameters
    ----------
    life : LifeTable
    bounds : numpy.ndarray, shape (M + 1,)
        Tenures; window m is (bounds[m], bounds[m + 1]].

    Returns
    -------
    numpy.ndarray, shape (G, M)
    """
    # at risk is constant between two tenures of the table: its integral is a broken line
    steps = np.diff(life.tenure, prepend=min(0.0, life.tenure[0]))
    integral = (life.n_at_risk * steps).cumsum(axis=1)
    reached = np.stack([np.interp(bounds, np.r_[0.0, life.tenure], np.r_[0.0, row]) for row in integral])
    return np.diff(reached, axis=1) / per_month(life.unit)


def rate_interval(events, exposure, conf_level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Give the exact Poisson interval of a rate, events / exposure.

    References
    ----------
    Garwood, F. (1936). Fiducial limits for the Poisson distribution. Biometrika 28, 437-442.
    """
    d, time = np.asarray(events, float), np.asarray(exposure, float)
    tail = (1 - conf_level) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        lower = np.where(d > 0, chi2.ppf(tail, 2 * d), 0.0) / 2 / time
        upper = chi2.ppf(1 - tail, 2 * d + 2) / 2 / time
    return np.where(time > 0, lower, np.nan), np.where(time > 0, upper, np.nan)


def spikes(events: np.ndarray, exposure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Set every month against its neighbours, the two before and the two after.

    Parameters
    ----------
    events, exposure : numpy.ndarray, shape (M,)
        Months in order.

    Returns
    -------
    p_value : numpy.ndarray, shape (M,)
        That so many, or more, of the events of the five months fall into this one: binomial, given their sum; NaN for
        the first and last two, and within two months after one in which nobody left.
    usual : numpy.ndarray, shape (M,)
        Rate of the neighbours.
    """
    near = np.array([1.0, 1, 0, 1, 1])
    d, time = (np.convolve(x, near, mode="full")[2:-2] for x in (events, exposure))
    with np.errstate(divide="ignore", invalid="ignore"):
        share, usual = exposure / (exposure + time), d / time
    p_value = binom.sf(events - 1, events + d, share)
    # with neighbours on one side only, the usual fall of the first months would pass for a spike
    p_value[:2], p_value[-2:] = np.nan, np.nan
    # where nobody could leave yet (inside the limit of an inactivity rule) the rule itself would pass for a spike
    nobody = events == 0
    p_value[1:][nobody[:-1]], p_value[2:][nobody[:-2]] = np.nan, np.nan
    return p_value, usual


@dataclass(frozen=True, kw_only=True)
class TenureHazard(SurvivalResult):
    """The hazard: how many leave per customer-month, by month of tenure.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level and month of tenure (`months`: 1 is the first): `n_at_risk` when it begins, `n_events`,
        `exposure` in customer-months, `hazard` per customer-month with `ci_lower`, `ci_upper`; missing where the risk
        set is under the minimum.
    """

    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "level months:whole n_at_risk n_events exposure:whole hazard:pct ci_lower ci_upper flag"
    )

    @property
    def shown(self) -> pd.DataFrame:
        table, k = self.table, self.about.privacy_k
        known = table["hazard"].notna()
        lost = table["n_events"].where(known).to_numpy(float).reshape(table["level"].nunique(), -1)
        hidden = (lost > 0) & (lost < k)
        # the survival curve is read at months too: between two readings one month hidden alone would follow
        months = table["months"].to_numpy().reshape(lost.shape)[0]
        read = merge_small_steps(lost.cumsum(axis=1), k, anchors=np.isin(months, MONTHS))
        keep = known & ~hide_partners(lost, hidden, read).ravel()
        return self.withheld(table, known, keep, RATE)

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.shown.dropna(subset="hazard")
        if told.empty:
            return (self.too_small(),)
        # months in which the rule can show no churn are no measure of the others
        told = told[told["months"] > self.about.earliest_churn]
        if told["level"].nunique() != 1:
            return ()
        return tuple(f for f in (self._peak_finding(told), self._spike_finding(told)) if f is not None)

    def _peak_finding(self, told: pd.DataFrame) -> Finding:
        # the highest of many months is looked at: intervals widened for their number, and judged by their lower end
        widened = 1 - (1 - self.about.conf_level) / len(told)
        lower, _ = rate_interval(told["n_events"], told["exposure"], widened)
        best = int(np.argmax(lower))
        peak, rest = told.iloc[best], told.drop(told.index[best])
        usual = rest["n_events"].sum() / rest["exposure"].sum() if len(rest) else np.nan
        values = {"months": int(peak.months), "hazard": peak.hazard, "lower": peak.ci_lower, "upper": peak.ci_upper}
        values |= {"usual": usual, "times": peak.hazard / usual if usual else np.nan}
        if not lower[best] > usual:
            return Finding("survival.hazard.even", values)
        weight = float(peak.n_events - usual * peak.exposure) / self.about.years
        # the first month that a rule can count holds all whose silence began at the start: the time is the rule's
        is_first = 0 < self.about.earliest_churn and peak.months < self.about.earliest_churn + 2
        key = "survival.hazard.first" if is_first else "survival.hazard.peak"
        return Finding(key, values, grade="moderate", tone="worse", weight=weight)

    def _spike_finding(self, told: pd.DataFrame) -> Finding | None:
        """Months that stand out from the two before and the two after: contract ends show in this way."""
        p, usual = spikes(told["n_events"].to_numpy(float), told["exposure"].to_numpy(float))
        clear = holm(p) < 1 - self.about.conf_level
        if not clear.any():
            return None
        rows, time = told[clear], told["exposure"][clear].sum()
        lost, expected = rows["n_events"].sum(), float((usual[clear] * rows["exposure"]).sum())
        excess = float(lost - expected)
        values = {"months": [int(m) for m in rows["months"]], "hazard": lost / time, "usual": expected / time}
        values |= {"excess": excess}
        weight = excess / self.about.years
        return Finding("survival.hazard.spikes", values, grade="moderate", tone="worse", weight=weight)

    @property
    def subtitle(self) -> Statement:
        return Statement("survival.hazard.subtitle", {"segment": self.about.segment.label})

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("survival.note.hazard"), self._cut_note(), *self._rule_notes())

    def plot(self, ax=None):
        told = self.shown.dropna(subset="hazard")
        if not (told["level"].value_counts() > 1).any():
            return None
        levels, curves = told["level"].unique()[:LINES], []
        for level in levels:
            rows = self.shown[self.shown["level"] == level]
            known = np.flatnonzero(rows["hazard"].notna())
            rows = rows.iloc[known[0] : known[-1] + 1]  # months withheld in between leave a gap
            name = str(self.level(level)) if self.table["level"].nunique() > 1 else ""
            # the step of a month is drawn from its beginning
            curves.append(curve_of(rows.assign(months=rows["months"] - 1), "hazard", name, banded=len(levels) == 1))
        return by_tenure(curves, float(told["months"].max()), ax)


def hazard_by_tenure(counts) -> TenureHazard:
    """Work out the risk of leaving in each month of tenure.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=...)`.

    Returns
    -------
    TenureHazard
        One row per level and month of tenure.
    """
    about, life = counts.about, life_table(counts)
    months = np.arange(max(int(np.ceil(life.months(life.tenure.max(initial=0.0)))), 1) + 1)
    bounds = anniversary(months, life.unit)
    if life.unit == "month":
        bounds[0] = min(-1.0, life.tenure[0])  # who left at tenure 0 left in the first month
    exposure = exposure_months(life, bounds)
    lost = np.diff(life.lost_by(bounds), axis=1)
    at_risk = life.at_risk_after(bounds)[:, :-1]
    at_risk[:, 0] = life.n_started
    enough = np.minimum(at_risk, exposure) >= about.min_denominator  # at its beginning and on average
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.where(enough, lost / exposure, np.nan)
    lower, upper = (np.where(enough, end, np.nan) for end in rate_interval(lost, exposure, about.conf_level))
    values = {"n_at_risk": at_risk, "n_events": lost, "exposure": exposure, "hazard": hazard}
    table = tidy({"level": life.levels, "months": months[1:]}, **values, ci_lower=lower, ci_upper=upper)
    return TenureHazard(about=about, table=table, name=about.named("hazard"))
