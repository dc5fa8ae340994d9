"""Effects that change with tenure: the complementary log-log model of whole days (or months), beside the Cox model.

Every customer at risk on a day is a trial, leaving is its success. With a risk of its own for every month of tenure and
a ratio of its own for every level and stretch of tenure, trials and events summed by month and level hold all that the
likelihood needs, late entry included; exp(coefficient) is a hazard ratio, as Cox's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import chi2

from churnlib import text
from churnlib.show.results import Column, Finding, Statement, table_columns
from churnlib.survival.base import SurvivalResult, with_intervals
from churnlib.survival.cox import WINDOWS
from churnlib.survival.lifetable import LifeTable, anniversary, life_table
from churnlib.survival.ratios import stretches


def trials_by_month(life: LifeTable) -> tuple[np.ndarray, np.ndarray]:
    """Add up trials (customers at risk, day by day or month by month) and events by month of tenure.

    Parameters
    ----------
    life : LifeTable
        Tenures in whole days or months.

    Returns
    -------
    trials, events : numpy.ndarray, shape (G, M)
        Month m is the m-th of tenure; who left at tenure 0 left in the first.
    """
    grid = np.arange(int(life.tenure.max(initial=0)) + 1)
    at_risk, events = life.at_risk_after(grid - 1), np.diff(life.lost_by(grid), axis=1, prepend=0.0)
    if life.unit == "month":  # whole months begin with month 0; the first day is day 1
        at_risk[:, 0] = life.n_started
    bounds = anniversary(np.arange(1, int(np.ceil(life.months(grid[-1]))) + 1), life.unit)
    first = np.searchsorted(grid, np.r_[0, bounds[:-1] + 1]) if len(bounds) else np.zeros(1, int)
    first = first[first < len(grid)]
    return np.add.reduceat(at_risk, first, axis=1), np.add.reduceat(events, first, axis=1)


class CloglogFit(NamedTuple):
    """A fitted complementary log-log model.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level but the reference and stretch of tenure (from `months`): `n_events`, `log_ratio`,
        `std_error`; missing where `is_separated`: nobody of the level, or of the reference, left in the stretch.
    statistic, df, p_value : float
        Likelihood ratio test against ratios that hold for the whole life.
    converged : bool
    """

    table: pd.DataFrame
    statistic: float
    df: int
    p_value: float
    converged: bool


@np.errstate(over="ignore")  # the risk of a month in which all who were left leave has no end
def fit_cloglog(trials: np.ndarray, events: np.ndarray, reference: int) -> CloglogFit:
    """Fit a risk for every month and a ratio for every level and stretch; test whether the ratios change.

    A month, or a level's stretch, without events has its maximum at a risk of 0, where it adds nothing to the
    likelihood: it is left out, and the stretch is called separated.

    Parameters
    ----------
    trials, events : numpy.ndarray, shape (G, M)
    reference : int
        Row of the level that the others are compared with.

    Returns
    -------
    CloglogFit

    References
    ----------
    Prentice, R. L. and Gloeckler, L. A. (1978). Regression analysis of grouped survival data. Biometrics 34, 57-67.
    """
    n_levels, n_months = trials.shape
    stretch = np.searchsorted(WINDOWS, np.arange(n_months), side="right") - 1
    n_stretches = int(stretch.max(initial=0)) + 1
    lost = np.stack([np.bincount(stretch, row, n_stretches) for row in events])
    others = [g for g in range(n_levels) if g != reference]
    free = {(g, w): lost[g, w] > 0 and lost[reference, w] > 0 for g in others for w in range(n_stretches)}
    level, month = (x.ravel() for x in np.indices(trials.shape))
    usable = np.array([g == reference or free[g, w] for g, w in zip(level, stretch[month], strict=True)])
    usable &= (trials > 0).ravel()
    # a month in which nobody of the usable rows left has a risk of 0
    left = np.bincount(month[usable], events.ravel()[usable], n_months)
    usable &= left[month] > 0
    rows = (level[usable], month[usable], stretch[month[usable]])
    terms = [key for key, is_free in free.items() if is_free]
    varying = [(rows[0] == g) & (rows[2] == w) for g, w in terms]
    constant = [rows[0] == g for g in others if any(t[0] == g for t in terms)]
    y, n = events.ravel()[usable], trials.ravel()[usable]
    full, plain = _glm(y, n, rows[1], varying), _glm(y, n, rows[1], constant)
    estimates = dict(zip(terms, zip(full.params, full.bse, strict=True), strict=False)) if full else {}  # ratios first
    table = _ratio_table(free, lost, estimates)
    df = len(varying) - len(constant)
    statistic = 2 * (full.llf - plain.llf) if full and df > 0 else np.nan
    converged = bool(full is None or (full.converged and plain.converged))
    return CloglogFit(table, statistic, df, float(chi2.sf(statistic, max(df, 1))), converged)


def _ratio_table(free: dict, lost: np.ndarray, estimates: dict) -> pd.DataFrame:
    """One row per level but the reference and stretch of tenure."""
    rows = [
        (g, WINDOWS[w], lost[g, w], not is_free, *estimates.get((g, w), (np.nan, np.nan)))
        for (g, w), is_free in free.items()
    ]
    return pd.DataFrame(rows, columns=["level", "months", "n_events", "is_separated", "log_ratio", "std_error"])


def _glm(events: np.ndarray, trials: np.ndarray, month: np.ndarray, columns: list[np.ndarray]):
    """Fit by statsmodels: the ratios first, then a risk for every month; None without anything to compare."""
    if not columns:
        return None
    import statsmodels.api as sm  # slow to import

    months = [month == m for m in np.unique(month)]
    design = np.column_stack([*columns, *months]).astype(float)
    family = sm.families.Binomial(sm.families.links.CLogLog())
    start = np.r_[np.zeros(len(columns)), np.full(len(months), np.log(events.sum() / trials.sum()))]
    model = sm.GLM(np.column_stack([events, trials - events]), design, family=family)
    return model.fit(start_params=start, maxiter=100, tol=1e-12, rtol=1e-12)


@dataclass(frozen=True, kw_only=True)
class DiscreteHazard(SurvivalResult):
    """Hazard ratios by stretch of tenure from the complementary log-log model, with a test that they change.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level but the reference and stretch of tenure (from `months`): `n_events`, `hazard_ratio` with
        `ci_lower`, `ci_upper`, `log_ratio`, `std_error`, `is_separated`.
    fit : CloglogFit
    """

    fit: CloglogFit

    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "level stretch:text hazard_ratio:ratio ci_lower:ratio ci_upper:ratio"
    )

    @property
    def shown(self) -> pd.DataFrame:
        keep = self.table["n_events"] >= max(self.about.privacy_k, 1)
        hides = ("n_events", "hazard_ratio", "ci_lower", "ci_upper", "log_ratio", "std_error")
        shown = {name: self.table[name].where(keep) for name in hides}
        return self.table.assign(stretch=stretches(self.table["months"]), **shown)

    def read_columns(self) -> list[Column]:
        return [Column("level", "level"), *(Column(s, "ratio") for s in dict.fromkeys(self.shown["stretch"]))]

    def summary(self, language: str | None = None) -> pd.DataFrame:
        """One row per level, a column per stretch of tenure."""
        language = language or text.language()
        shown = self.shown
        estimates = shown[["hazard_ratio", "ci_lower", "ci_upper"]]
        shown = shown.assign(cell=with_intervals(estimates, language, "ratio", digits=2))
        heading = Column("level", "level").label(self.module).to(language)
        table = {heading: [self.level(v).to(language) for v in shown["level"].unique()]}
        for stretch, rows in shown.groupby("stretch", sort=False):
            table[text.say("survival.in_months", language, stretch=stretch)] = rows["cell"].tolist()
        return pd.DataFrame(table)

    @property
    def findings(self) -> tuple[Finding, ...]:
        values = {"segment": self.about.segment.label, "p": self.fit.p_value}
        if not self.fit.converged:
            return (Finding("survival.discrete.not_converged", values),)
        if np.isnan(self.fit.p_value):
            return (Finding("survival.discrete.none", values),)
        key = "change" if self.fit.p_value < 1 - self.about.conf_level else "steady"
        return (Finding(f"survival.discrete.{key}", values, grade="weak" if key == "change" else "descriptive"),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        values = {"statistic": self.fit.statistic, "df": self.fit.df, "p": self.fit.p_value}
        test = (Statement("survival.note.discrete_test", values),) if not np.isnan(self.fit.p_value) else ()
        gone = (Statement("survival.note.separated"),) if self.table["is_separated"].any() else ()
        return (Statement("survival.note.discrete"), *test, *gone)


def discrete_hazard(counts) -> DiscreteHazard:
    """Fit the complementary log-log model with effects that change with tenure.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=...)`.

    Returns
    -------
    DiscreteHazard
        One row per level (against the one with most customers) and stretch of tenure.
    """
    about, life = counts.about, life_table(counts)
    fit = fit_cloglog(*trials_by_month(life), int(life.n_customers.argmax()))
    z = ndtri((1 + about.conf_level) / 2)
    table = fit.table.assign(level=[life.levels[g] for g in fit.table["level"]])
    with np.errstate(over="ignore"):  # an age at which hardly anybody leaves may bear any ratio
        table["hazard_ratio"] = np.exp(table["log_ratio"])
        table["ci_lower"] = np.exp(table["log_ratio"] - z * table["std_error"])
        table["ci_upper"] = np.exp(table["log_ratio"] + z * table["std_error"])
    return DiscreteHazard(about=about, table=table, name=about.named("discrete_hazard"), fit=fit)
