"""How far a cohort's cells have been observed, what is estimated of the last ones, and the mean of the whole ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtri

from churnlib.intervals import wilson

COMPLETE, PARTLY, OPEN, EMPTY, SMALL = "complete", "partly", "open", "empty", "small"


def cell_states(frame: pd.DataFrame, as_of, min_denominator: int) -> np.ndarray:
    """Tell of each cohort cell how far it has been observed.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per cohort and age with `n_start` and the days on which the first and the last member complete the age,
        `first_completes` and `last_completes`.
    as_of : date
        Last day that the data cover.
    min_denominator : int
        Customers under which a cell is not shown.

    Returns
    -------
    numpy.ndarray of str
        "complete" when the *last* member of the cohort has been observed that long, "partly" when only some have,
        "open" when none has, "empty" for a cohort without customers, "small" for a complete one with too few.
    """
    as_of = pd.Timestamp(as_of)
    last, first = pd.to_datetime(frame["last_completes"]), pd.to_datetime(frame["first_completes"])
    return np.select(
        [frame["n_start"] == 0, first > as_of, last > as_of, frame["n_start"] < min_denominator],
        [EMPTY, OPEN, PARTLY, SMALL],
        COMPLETE,
    )


def late_retention(frame: pd.DataFrame, late: pd.DataFrame, state: np.ndarray, about) -> pd.DataFrame:
    """Estimate the cells that only some members of the cohort have been observed for (Kaplan-Meier).

    From the last complete age on, the members' own days count: who was last observed in between is at risk until then,
    so that nobody is taken for retained or lost beyond what was seen.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per level, cohort and age with `n_start`, `n_retained`.
    late : pandas.DataFrame
        One row per level, cohort, `age` and `day` after it: `n_lost`, `n_censored` (see `CohortCounts`).
    state : numpy.ndarray of str, shape (n_rows,)

    Returns
    -------
    pandas.DataFrame
        `retention`, `ci_lower`, `ci_upper` in the index of `frame`; missing but for partly observed cells that enough
        members are still watched for.

    References
    ----------
    Kaplan, E. L. and Meier, P. (1958). JASA 53, 457-481. Interval: log(-log), Greenwood's variance (Kalbfleisch and
    Prentice 2002, section 1.4).
    """
    out = pd.DataFrame(np.nan, index=frame.index, columns=["retention", "ci_lower", "ci_upper"])
    days = dict(list(late.groupby(["level", "cohort"])))
    for key, cells in frame[np.isin(state, (COMPLETE, PARTLY))].groupby(["level", "cohort"]):
        done, partly = cells[state[cells.index] == COMPLETE], cells[state[cells.index] == PARTLY]
        if done.empty or partly.empty or key not in days:
            continue
        last = done.iloc[-1]
        steps = days[key][days[key]["age"] >= last.age]
        reached = np.searchsorted(steps["age"], partly["age"])
        kept, variance, n = (values[reached] for values in _carried_on(last.n_start, last.n_retained, steps))
        told = np.column_stack([kept, *log_log_bounds(kept, variance, about.conf_level)])
        told[(n < about.min_denominator) | (kept <= 0)] = np.nan
        out.loc[partly.index] = told
    return out


def watched_share(frame: pd.DataFrame, state: np.ndarray, about) -> pd.DataFrame:
    """Estimate the partly observed cells of activity: the share among the members whose step is over.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per level, cohort and age with `n_observed`, `n_active_observed` (see `CohortCounts`).
    state : numpy.ndarray of str, shape (n_rows,)

    Returns
    -------
    pandas.DataFrame
        As of `late_retention`; the interval is Wilson's. Neither a handful nor all but a handful is told.
    """
    n, active, k = frame["n_observed"], frame["n_active_observed"], about.privacy_k
    told = (
        (state == PARTLY) & (n >= about.min_denominator) & ~active.between(1, k - 1) & ~(n - active).between(1, k - 1)
    )
    lower, upper = wilson(active, n, about.conf_level)
    estimates = {"retention": active / n.where(n > 0), "ci_lower": lower, "ci_upper": upper}
    return pd.DataFrame(estimates, index=frame.index).where(told)


def _carried_on(n_start: int, n_retained: int, steps: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give retention, its variance / retention^2 and those still watched, at the start and after each of the days."""
    n_lost, n_censored = (steps[column].to_numpy() for column in ("n_lost", "n_censored"))
    # last observed on the eve: not watched on this day
    n = n_retained - n_censored.cumsum() - n_lost.cumsum() + n_lost
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.append(np.divide(n_retained, n_start), np.where(n_lost, 1 - n_lost / n, 1.0)).cumprod()
        added = np.where(n_lost, n_lost / (n * (n - n_lost)), 0.0)
        variance = np.append((1 - kept[0]) / (kept[0] * n_start), added).cumsum()
    return kept, variance, np.append(n_retained, n - n_lost)


def pooled_retention(
    frame: pd.DataFrame, state: np.ndarray, conf_level: float, *, is_chained: bool = True
) -> pd.DataFrame:
    """Give the mean retention over cohorts, weighted by customers, from complete cells only.

    Chained over ages: from each age to the next, only cohorts complete at the later age are followed (the sum of those
    retained at the later age / the sum retained at the earlier age), so that a changing set of cohorts never bends the
    line. With every cohort complete it is the pooled rate. Activity, which comes and goes, is not chained: it is the
    pooled rate of the cohorts complete at each age.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per cohort and age with `n_start` and `n_retained`.
    state : numpy.ndarray of str, shape (n_rows,)

    Returns
    -------
    pandas.DataFrame
        One row per age: `retention` in [0, 1] with `ci_lower`, `ci_upper` (log(-log) with Greenwood's variance; of
        activity Wilson's), `n_cohorts` complete at that age, their `n_start`; `n_kept` of the `n_before` that the last
        step starts from.

    References
    ----------
    Mack, T. (1993). Distribution-free calculation of the standard error of chain ladder reserve estimates. ASTIN
    Bulletin 23, 213-225, section 2: the chain-ladder factor as a weighted mean. With customers it is Kaplan and Meier's
    estimate, a cohort being censored at its last complete age.
    """
    told = frame[np.isin(state, (COMPLETE, SMALL))].pivot(index="cohort", columns="age", values="n_retained")
    told = told.reindex(sorted(frame["cohort"].unique()))
    start = frame.groupby("cohort")["n_start"].first()
    is_told = told.notna().to_numpy()
    cells = told.fillna(0).to_numpy(), start.to_numpy(), is_told, is_chained
    retention, (n_kept, n_before) = pooled_shares(*cells), _steps(*cells)
    if is_chained:
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = ((n_before - n_kept) / (n_before * n_kept)).cumsum()
        lower, upper = log_log_bounds(retention, variance, conf_level)
    else:
        lower, upper = wilson(n_kept, n_before, conf_level)
    n_start = (is_told * start.to_numpy()[:, None]).sum(axis=0)
    rows = {"age": told.columns, "retention": retention, "ci_lower": lower, "ci_upper": upper}
    rows |= {"n_cohorts": is_told.sum(axis=0), "n_start": n_start, "n_kept": n_kept, "n_before": n_before}
    return pd.DataFrame(rows).rename_axis(columns=None)


def log_log_bounds(share: np.ndarray, variance: np.ndarray, conf_level: float) -> tuple[np.ndarray, np.ndarray]:
    """Give the interval of a chained share from the variance of its logarithm; none where nobody was lost."""
    with np.errstate(divide="ignore", invalid="ignore"):
        half = ndtri((1 + conf_level) / 2) * np.sqrt(variance) / -np.log(share)
        return tuple(np.where(share < 1, share ** np.exp(side * half), share) for side in (1, -1))


def pooled_shares(kept: np.ndarray, start: np.ndarray, told: np.ndarray, is_chained: bool) -> np.ndarray:
    """Pool what cohorts kept at each age (see `pooled_retention`).

    Parameters
    ----------
    kept : numpy.ndarray, shape (..., n_cohorts, n_ages)
    start : numpy.ndarray, shape (..., n_cohorts)
    told : numpy.ndarray of bool, shape (n_cohorts, n_ages)
        Which cells are complete.

    Returns
    -------
    numpy.ndarray, shape (..., n_ages)
        Missing from the age on at which nothing is left to compare with.
    """
    now, before = _steps(kept, start, told, is_chained)
    shares = np.divide(now, before, out=np.full(now.shape, np.nan), where=before > 0)
    return shares.cumprod(axis=-1) if is_chained else shares


def _steps(kept: np.ndarray, start: np.ndarray, told: np.ndarray, is_chained: bool) -> tuple[np.ndarray, np.ndarray]:
    """Sum over cohorts what is kept at each age, and what it is a share of: one age before, or at the start."""
    before = np.broadcast_to(start[..., None], kept.shape)
    if is_chained:
        before = np.concatenate([start[..., None], kept[..., :-1]], axis=-1)
    return (kept * told).sum(axis=-2), (before * told).sum(axis=-2)
