"""Which features go with a higher risk of leaving, all of them looked at together: Cox's proportional hazards model.

A hazard ratio says "associated with", never "causes". It is one number for the whole life; `check` says how far the
ratio changes with tenure, and by how much that matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import chi2

from churnlib import text
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Statement
from churnlib.tenure.efron import Fit, PartialLikelihood, RiskCounts, maximise
from churnlib.tenure.lifetable import ALL, DAYS_PER_MONTH, anniversary
from churnlib.tenure.survival import SurvivalResult

MOVES = ("tenure", "n_entered", "n_events", "n_censored")
WINDOWS = (0, 3, 12, 24)  # months: where the hazard ratios of the check begin


@dataclass(frozen=True, kw_only=True)
class HazardRatios(SurvivalResult):
    """Hazard ratios of a Cox model with categorical covariates.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per covariate and level, the reference (the level with most customers) first: `n_customers`,
        `n_events`, `hazard_ratio` against it with `ci_lower`, `ci_upper`, `log_ratio` with `std_error`, `p_value`;
        missing where the coefficient is separated.
    checks : pandas.DataFrame
        One row per covariate, level and window of tenure (from `months`): `n_events` of the level and `hazard_ratio`
        with its interval in it (see `churnlib.tenure.ratios`).
    proportional : pandas.DataFrame
        One row per covariate and "" (all): the score test that the ratios do not change with tenure, `statistic`,
        `df`, `p_value`. With very many customers the smallest change is significant: read `checks` with it.
    fit : Fit
    end : float
        Months of tenure at which the last customer was seen to leave.
    """

    checks: pd.DataFrame
    proportional: pd.DataFrame
    fit: Fit
    end: float = 0.0

    columns: ClassVar[tuple[Column, ...]] = (
        Column("covariate", "text"),
        Column("level", "level"),
        Column("n_customers", "whole"),
        Column("n_events", "whole"),
        Column("hazard_ratio", "ratio"),
        Column("ci_lower", "ratio"),
        Column("ci_upper", "ratio"),
        Column("p_value", "p"),
        Column("flag", "term", prefix="results.flag"),
    )
    folded: ClassVar[bool] = False

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_events", "hazard_ratio", "ci_lower", "ci_upper", "log_ratio", "std_error", "p_value")
        shown = disclosure.protect(
            self.table, self.about, count="n_events", base="n_customers", hides=hides, within=("covariate",)
        )
        one = self.table["covariate"].nunique() == 1
        return shown.drop(columns="covariate") if one else shown

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.shown.dropna(subset="p_value")
        if told.empty:
            return (self.too_small(),)
        # many levels are looked at: intervals widened for their number decide who is named
        z = ndtri(1 - (1 - self.about.conf_level) / 2 / len(told))
        clear = told[told["log_ratio"].abs() > z * told["std_error"]]
        if clear.empty:
            return (Finding("survival.ratio.alike", {"n": len(told)}), *self._separated())
        far = clear.loc[clear["log_ratio"].abs().idxmax()]
        values = {"level": self.level(far.level), "ratio": far.hazard_ratio, "lower": far.ci_lower}
        values |= {"upper": far.ci_upper, "reference": self.level(self._reference(far.name))}
        tone, key = ("worse", "higher") if far.log_ratio > 0 else ("better", "lower")
        weight = float(far.n_events * abs(1 - 1 / far.hazard_ratio))
        main = Finding(f"survival.ratio.{key}", values, grade="weak", tone=tone, weight=weight)
        return (main, *self._separated())

    def _reference(self, row: int) -> str:
        covariate = self.table.loc[row, "covariate"]
        return self.table.loc[self.table["covariate"] == covariate, "level"].iloc[0]

    def _separated(self) -> tuple[Finding, ...]:
        gone = self.table[self.table["is_separated"]]
        names = [self.level(level) for level in gone["level"]]
        return (Finding("survival.ratio.separated", {"levels": names}),) if names else ()

    @property
    def notes(self) -> tuple[Statement, ...]:
        overall = self.proportional.iloc[-1]
        told = self.checks[self.checks["n_events"] >= max(self.about.privacy_k, 1)]
        ratios = told.dropna(subset="hazard_ratio").groupby(["covariate", "level"])["hazard_ratio"]
        spread = float((ratios.max() / ratios.min()).max()) if len(ratios) else np.nan
        values = {"p": overall.p_value, "spread": spread}
        return (Statement("survival.note.cox"), Statement("survival.note.proportional", values))

    def plot(self, ax=None):
        told = self.shown.dropna(subset="p_value")
        if told.empty:
            return None
        labels = [str(self.level(level)) for level in told["level"]]
        tones = np.select([told["ci_lower"] > 1, told["ci_upper"] < 1], ["worse", "better"], "steady")
        columns = [
            (text.say("results.column.n_customers"), [text.show(n, "number", digits=0) for n in told["n_customers"]]),
            (text.say("results.column.n_events"), [text.show(n, "number", digits=0) for n in told["n_events"]]),
        ]
        sides = (text.say("survival.ratio.fewer"), text.say("survival.ratio.more"))
        values, how = (
            (told["hazard_ratio"], told["ci_lower"], told["ci_upper"]),
            {"kind": "ratio", "digits": 2, "log": True},
        )
        return plots.forest(labels, *values, reference=1, sides=sides, tones=list(tones), columns=columns, ax=ax, **how)


def proportional_hazards(counts, covariates: tuple[str, ...] = ("level",), *, ties: str = "efron") -> HazardRatios:
    """Fit Cox's model on categorical covariates, from counts per pattern and tenure.

    Exact for tied tenures and late entry. Assumes proportional hazards: see `checks` and `proportional`.

    Parameters
    ----------
    counts : Counts
        One row per combination of the covariates and tenure with `n_entered`, `n_events`, `n_censored`: with one
        covariate, `tenure_counts(data, by=...)` and its column `level`.
    covariates : tuple of str
        Columns of the counts.
    ties : {"efron", "breslow"}

    Returns
    -------
    HazardRatios
        One row per covariate and level.
    """
    about, names = counts.about, list(covariates)
    frame = counts.frame.astype({name: str for name in names})
    if frame.empty:  # nobody: one level without customers, so that the result can say so
        frame = pd.DataFrame([dict.fromkeys(names, ALL) | dict.fromkeys(MOVES, 0)])
    terms, likelihood, fit = fit_cox(frame, names, ties=ties)
    table = _ratio_table(frame, names, terms, fit, about.conf_level)
    checks = _ratios_by_window(likelihood, terms, about, ties)
    name = f"hazard_ratios_by_{about.segment.name}" if names == ["level"] else "hazard_ratios"
    proportional = proportionality_test(likelihood, fit, [c for c, _ in terms])
    left = frame.loc[frame["n_events"] > 0, "tenure"].max()
    end = float(left / DAYS_PER_MONTH if about.time_unit == "day" else left) if pd.notna(left) else 0.0
    has = {"checks": checks, "proportional": proportional, "fit": fit, "end": end}
    return HazardRatios(about=about, table=table, name=name, **has)


def fit_cox(
    frame: pd.DataFrame, names: list[str], *, ties: str = "efron", references: dict[str, str] | None = None
) -> tuple[list[tuple[str, str]], PartialLikelihood, Fit]:
    """Fit the model to one row of counts per combination of the covariates and tenure.

    Parameters
    ----------
    frame : pandas.DataFrame
    names : list of str
        Covariates; their columns hold text.
    ties : {"efron", "breslow"}
    references : dict of str to str, optional
        Covariate to its reference; the level with most customers if not given.

    Returns
    -------
    terms : list of (str, str), length K
        Covariate and level of every coefficient.
    likelihood : PartialLikelihood
    fit : Fit
    """
    coded = {name: pd.factorize(frame[name], sort=True) for name in names}
    entered = frame["n_entered"].to_numpy()
    most = {name: levels[np.bincount(codes, entered).argmax()] for name, (codes, levels) in coded.items()}
    references = most | (references or {})
    terms = [(name, level) for name, (_, levels) in coded.items() for level in levels if level != references[name]]
    # one number a combination: to compare texts of six columns row by row would take longer than the fit
    shape = [len(levels) for _, levels in coded.values()]
    cells = np.ravel_multi_index([codes for codes, _ in coded.values()], shape)
    present, pattern = np.unique(cells, return_inverse=True)
    of_pattern = dict(zip(names, np.unravel_index(present, shape), strict=True))
    columns = [of_pattern[name] == coded[name][1].get_loc(level) for name, level in terms]
    design = np.column_stack(columns).astype(float) if columns else np.zeros((len(present), 0))
    risk = RiskCounts.of(pattern, *(frame[c] for c in MOVES), len(present))
    likelihood = PartialLikelihood(risk, design, ties)
    return terms, likelihood, maximise(likelihood)


def _ratio_table(frame, names, terms, fit: Fit, conf_level: float) -> pd.DataFrame:
    """One row per covariate and level, each reference first."""
    rows = []
    for name in names:
        sums = frame.groupby(name, sort=True)[["n_entered", "n_events"]].sum()
        reference = sums["n_entered"].idxmax()
        for level in (reference, *(v for c, v in terms if c == name)):
            row = {"covariate": name, "level": level, "n_customers": sums["n_entered"][level]}
            row |= {"n_events": sums["n_events"][level], "is_reference": level == reference}
            rows.append(row | _estimate(fit, terms.index((name, level)) if level != reference else None, conf_level))
    return pd.DataFrame(rows)


def _estimate(fit: Fit, k: int | None, conf_level: float) -> dict:
    """Hazard ratio of one coefficient with its interval; 1 without one for a reference."""
    names = ("log_ratio", "std_error", "hazard_ratio", "ci_lower", "ci_upper", "p_value", "is_separated")
    if k is None:
        return dict(zip(names, (0.0, 0.0, 1.0, np.nan, np.nan, np.nan, False), strict=True))
    if fit.separated[k]:
        return dict(zip(names, (*[np.nan] * 6, True), strict=True))
    beta, se, z = fit.beta[k], fit.std_error[k], ndtri((1 + conf_level) / 2)
    ends = np.exp([beta - z * se, beta + z * se])
    return dict(zip(names, (beta, se, np.exp(beta), *ends, chi2.sf((beta / se) ** 2, 1), False), strict=True))


def _ratios_by_window(likelihood: PartialLikelihood, terms, about, ties: str) -> pd.DataFrame:
    """Hazard ratios of each window of tenure: the same model, on the events of the window only."""
    bounds, rows = [*anniversary(WINDOWS, about.time_unit).tolist(), np.inf], []
    bounds[0] = -1.0
    risk, design = likelihood.counts, likelihood.design
    for months, first, last in zip(WINDOWS, bounds, bounds[1:], strict=False):
        part = risk.within(first, last)
        if part.dead.sum() < about.min_denominator:
            continue
        fit = maximise(PartialLikelihood(part, design, ties))
        lost = part.dead.sum(axis=0) @ design
        for k, (covariate, level) in enumerate(terms):
            row = {"covariate": covariate, "level": level, "months": months, "n_events": lost[k]}
            rows.append(row | _estimate(fit, k, about.conf_level))
    names = ["covariate", "level", "months", "n_events", "hazard_ratio", "ci_lower", "ci_upper"]
    return pd.DataFrame(rows, columns=names)


def proportionality_test(likelihood: PartialLikelihood, fit: Fit, covariates: list[str]) -> pd.DataFrame:
    """Test that hazard ratios do not change with tenure: the score test for a linear trend of every log ratio.

    Parameters
    ----------
    likelihood : PartialLikelihood
    fit : Fit
        Its maximum.
    covariates : list of str, length K
        Coefficients of one covariate are tested together.

    Returns
    -------
    pandas.DataFrame
        One row per covariate, then "" for all together: `statistic` (chi-squared), `df`, `p_value`.

    References
    ----------
    Grambsch, P. M. and Therneau, T. M. (1994). Proportional hazards tests and diagnostics based on weighted residuals.
    Biometrika 81, 515-526; the exact score test as in cox.zph of R's survival 3.
    """
    kept = np.flatnonzero(~fit.separated)
    if not len(kept) or not len(likelihood.times):
        return pd.DataFrame([{"covariate": "", "statistic": np.nan, "df": 0, "p_value": np.nan}])
    named = [covariates[k] for k in kept]
    rows = [(name, np.flatnonzero([c == name for c in named])) for name in dict.fromkeys(named)]
    rows.append(("", np.arange(len(kept))))
    score, information = likelihood.by_tenure(fit.beta)
    score, information = score[:, kept], information[:, kept][:, :, kept]
    trend = likelihood.counts.tenure[likelihood.times]
    trend = (trend - np.average(trend, weights=likelihood.d)) / max(np.ptp(trend), 1.0)
    gap = trend @ score
    plain, once, twice = (np.tensordot(trend**p, information, axes=1) for p in (0, 1, 2))
    left = twice - once @ np.linalg.pinv(plain, hermitian=True) @ once
    out = []
    for name, at in rows:
        statistic = (
            float(gap[at] @ np.linalg.pinv(left[np.ix_(at, at)], hermitian=True) @ gap[at]) if len(at) else np.nan
        )
        out.append(
            {"covariate": name, "statistic": statistic, "df": len(at), "p_value": chi2.sf(statistic, max(len(at), 1))}
        )
    return pd.DataFrame(out)
