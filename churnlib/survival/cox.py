"""Cox's model on features with levels, from counts per pattern of levels and tenure: fit, checks, robust errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import chi2

from churnlib.intervals import jackknife_variance
from churnlib.survival.efron import Fit, PartialLikelihood, RiskCounts, maximise, maximise_near
from churnlib.survival.lifetable import anniversary

MOVES = ("tenure", "n_entered", "n_events", "n_censored")
WINDOWS = (0, 3, 12, 24)  # months: where the hazard ratios of the check begin


class CoxModel(NamedTuple):
    """A fitted model.

    Attributes
    ----------
    terms : list of (str, str), length K
        Covariate and level of every coefficient.
    references : dict of str to str
        Covariate to the level that the others are set against.
    likelihood : PartialLikelihood
    fit : Fit
    """

    terms: list[tuple[str, str]]
    references: dict[str, str]
    likelihood: PartialLikelihood
    fit: Fit


def number_patterns(frame: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Number the combinations of levels that occur in columns of text.

    Returns
    -------
    pandas.DataFrame
        The counts with a column `pattern`.
    pandas.DataFrame
        One row per pattern (its index), one column of levels per name.
    """
    coded = [pd.factorize(frame[name], sort=True) for name in names]
    # one number a combination: to compare texts of six columns row by row would take longer than the fit
    shape = [max(len(levels), 1) for _, levels in coded]
    present, pattern = np.unique(np.ravel_multi_index([codes for codes, _ in coded], shape), return_inverse=True)
    codes = np.unravel_index(present, shape)
    patterns = {name: np.asarray(levels)[at] for name, (_, levels), at in zip(names, coded, codes, strict=True)}
    return frame.assign(pattern=pattern), pd.DataFrame(patterns)


def fit_cox(
    frame: pd.DataFrame,
    patterns: pd.DataFrame,
    *,
    references: dict[str, str] | None = None,
    orders: dict[str, Sequence[str]] | None = None,
    strata: Sequence[str] = (),
) -> CoxModel:
    """Fit the model to one row of counts per pattern of levels and tenure.

    Parameters
    ----------
    frame : pandas.DataFrame
        With `pattern`, `tenure`, `n_entered`, `n_events`, `n_censored`, and `n_moved_in`, `n_moved_out` where customers
        can change pattern.
    patterns : pandas.DataFrame
        One row per pattern (its index), one column of levels per covariate and stratum.
    references : dict of str to str, optional
        Covariate to its reference; if not given, the level in which most customers entered, of those that anybody left.
    orders : dict of str to sequence of str, optional
        Covariate to its levels in the order of the coefficients; sorted if not given.
    strata : sequence of str
        Columns of `patterns` within which customers are compared, each combination with a hazard of its own.

    Returns
    -------
    CoxModel
    """
    moves = frame.groupby("pattern")[["n_events", "n_entered"]].sum().reindex(patterns.index, fill_value=0)
    chosen, terms = {}, []
    for name in (name for name in patterns if name not in strata):
        sums = moves.groupby(patterns[name].to_numpy()).sum()
        # against a level that nobody left, every ratio would be infinite
        usable = (sums["n_events"] > 0) * (1 + sums["n_entered"])
        chosen[name] = (references or {}).get(name, usable.idxmax())
        order = [level for level in (orders or {}).get(name, ()) if level in sums.index]
        order += list(sums.index.difference(order))
        terms += [(name, level) for level in order if level != chosen[name]]
    columns = [patterns[name].to_numpy() == level for name, level in terms]
    design = np.column_stack(columns).astype(float) if columns else np.zeros((len(patterns), 0))
    likelihood = PartialLikelihood(risk_counts(frame, patterns, strata), design)
    return CoxModel(terms, chosen, likelihood, maximise(likelihood))


def risk_counts(frame: pd.DataFrame, patterns: pd.DataFrame, strata: Sequence[str] = ()) -> RiskCounts:
    """Arrange counts by the strata that their patterns belong to."""
    pattern, stratum = frame["pattern"].to_numpy(), 0
    if strata:
        stratum = number_patterns(patterns, list(strata))[0]["pattern"].to_numpy()[pattern]
    moved = frame["n_moved_in"] - frame["n_moved_out"] if "n_moved_in" in frame else 0
    return RiskCounts.of(pattern, *(frame[c] for c in MOVES), len(patterns), n_moved=moved, stratum=stratum)


def block_errors(
    frame: pd.DataFrame, patterns: pd.DataFrame, model: CoxModel, strata: Sequence[str] = ()
) -> np.ndarray:
    """Give standard errors (K,) that allow for several spells of a customer: the model without each block in turn.

    Not known where a coefficient cannot be estimated without some block.
    """
    fits = []
    for block in sorted(frame["block"].unique()):
        part = risk_counts(frame[frame["block"] != block], patterns, strata)
        fits.append(maximise_near(PartialLikelihood(part, model.likelihood.design), model.fit))
    return np.sqrt(jackknife_variance(np.array(fits)))


def estimates(model: CoxModel, std_error: np.ndarray, conf_level: float) -> pd.DataFrame:
    """Give the hazard ratios with their intervals: one row per coefficient, its `covariate` and `level` the index."""
    gone = model.fit.separated | model.fit.aliased
    beta, se, z = np.where(gone, np.nan, model.fit.beta), np.where(gone, np.nan, std_error), ndtri((1 + conf_level) / 2)
    columns = {"log_ratio": beta, "std_error": se, "hazard_ratio": np.exp(beta), "ci_lower": np.exp(beta - z * se)}
    columns |= {"ci_upper": np.exp(beta + z * se), "p_value": chi2.sf((beta / se) ** 2, 1)}
    columns |= {"is_separated": model.fit.separated, "is_aliased": model.fit.aliased}
    index = pd.MultiIndex.from_arrays([*zip(*model.terms, strict=True)] or [[], []], names=["covariate", "level"])
    return pd.DataFrame(columns, index=index)


def ratios_by_window(model: CoxModel, about) -> pd.DataFrame:
    """Estimate the hazard ratios of each window of tenure: the same model, on the events of the window only."""
    bounds, rows = [*anniversary(WINDOWS, about.time_unit).tolist(), np.inf], []
    bounds[0] = -1.0
    risk, design = model.likelihood.counts, model.likelihood.design
    for months, first, last in zip(WINDOWS, bounds, bounds[1:], strict=False):
        part = risk.within(first, last)
        if part.dead.sum() < about.min_denominator:
            continue
        fitted = model._replace(fit=maximise(PartialLikelihood(part, design)))
        found = estimates(fitted, fitted.fit.std_error, about.conf_level)
        rows.append(found.assign(months=months, n_events=part.dead.sum(axis=0) @ design).reset_index())
    names = ["covariate", "level", "months", "n_events", "hazard_ratio", "ci_lower", "ci_upper"]
    return pd.concat(rows, ignore_index=True)[names] if rows else pd.DataFrame(columns=names)


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
    kept = np.flatnonzero(~(fit.separated | fit.aliased))
    if not len(kept) or not len(likelihood.times):
        return pd.DataFrame([{"covariate": "", "statistic": np.nan, "df": 0, "p_value": np.nan}])
    named = [covariates[k] for k in kept]
    rows = [(name, np.flatnonzero([c == name for c in named])) for name in dict.fromkeys(named)]
    rows.append(("", np.arange(len(kept))))
    trend = likelihood.counts.tenure[likelihood.times]
    trend = (trend - np.average(trend, weights=likelihood.d)) / max(np.ptp(trend), 1.0)
    weighted = [likelihood.at(fit.beta, trend**power) for power in (0, 1, 2)]
    plain, once, twice = (information[np.ix_(kept, kept)] for _, _, information in weighted)
    gap = weighted[1][1][kept]
    left = twice - once @ np.linalg.pinv(plain, hermitian=True) @ once
    out = []
    for name, at in rows:
        statistic = float(gap[at] @ np.linalg.pinv(left[np.ix_(at, at)], hermitian=True) @ gap[at])
        out.append({"covariate": name, "statistic": statistic, "df": len(at), "p_value": chi2.sf(statistic, len(at))})
    return pd.DataFrame(out)
