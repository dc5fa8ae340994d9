"""Shares weighted for response: those who answered stand for those who are like them and did not.

Each answer weighs 1 / its estimated chance of coming (a logistic regression on what is known of all lost customers). It
removes the bias that these things explain, and no other: whoever keeps silent *because of* the reason is seen by the
bounds alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnlib.intervals import wilson

FEWEST = 5  # answers under which a level is left out, silences under which it has no chance of its own
FLOOR = 0.1  # the least chance, as a share of the mean one: no answer stands for more than ten usual ones
STEPS = 50


@dataclass(frozen=True)
class Propensity:
    """Chance of an answer by cell.

    Attributes
    ----------
    cells : pandas.DataFrame
        One row per cell, indexed by its levels: `n_customers`, `n_respondents`, `chance` in (0, 1].
    design : numpy.ndarray, shape (n_cells, n_terms)
    unheard : int
        Customers in levels of which (almost) nobody answered: nothing is known of them, the shares leave them out.
    """

    cells: pd.DataFrame
    design: np.ndarray
    unheard: int

    @property
    def is_flat(self) -> bool:
        """Whether nothing that is known tells the silent from the others."""
        return self.design.shape[1] == 1


def propensity(answers) -> Propensity:
    """Estimate the chance of an answer in every cell of `answer_counts`.

    Levels with fewer than five answers cannot be spoken for and are left out; those with fewer than five silences have
    the chance of the most frequent level.
    """
    names = [segment.name for segment in answers.segments]
    rows = answers.frame[answers.frame["reason"] == ""]
    cells = rows.set_index(names)[["n_customers", "n_respondents"]].astype(float)
    heard = np.ones(len(cells), bool)
    for name in names:
        codes = cells.index.get_level_values(name)
        heard &= (cells["n_respondents"].groupby(codes).sum().reindex(codes) >= FEWEST).to_numpy()
    unheard, cells = int(cells.loc[~heard, "n_customers"].sum()), cells[heard]
    design = np.column_stack([np.ones(len(cells)), *(c for name in names for c in _columns(cells, name))])
    chance = _fit(design, cells["n_respondents"].to_numpy(), cells["n_customers"].to_numpy())
    return Propensity(cells.assign(chance=chance), design, unheard)


def _columns(cells: pd.DataFrame, name: str) -> list[np.ndarray]:
    """One column per level whose chance can be told from that of the most frequent one."""
    codes = cells.index.get_level_values(name)
    sums = cells.groupby(codes)[["n_customers", "n_respondents"]].sum()
    told = sums[sums["n_customers"] - sums["n_respondents"] >= FEWEST]
    return [(codes == level).astype(float) for level in told.index if level != sums["n_customers"].idxmax()]


def _fit(x: np.ndarray, answered: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Fit a logistic regression to grouped counts by Newton's steps; gives the chances, floored."""
    mean = answered.sum() / n.sum() if n.sum() else 0.0
    if not 0 < mean < 1:
        return np.full(len(n), max(mean, 1e-12))
    beta = np.zeros(x.shape[1])
    beta[0] = np.log(mean / (1 - mean))
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-x @ beta))
        information = (x.T * (n * p * (1 - p))) @ x + 1e-9 * np.eye(len(beta))  # levels may repeat each other
        step = np.linalg.solve(information, x.T @ (answered - n * p))
        beta = beta + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    return np.maximum(1 / (1 + np.exp(-x @ beta)), FLOOR * mean)


def weighted_shares(answers, level: str, model: Propensity | None = None) -> pd.DataFrame:
    """Weigh the shares of one list for response.

    The estimator is Hajek's, sum(y / chance) / sum(1 / chance) over the respondents. Its variance is that of its
    influence function, which also holds what estimating the chances adds (or, usually, takes away); the interval is
    Wilson's at the effective number of answers that the variance amounts to.

    Parameters
    ----------
    answers : AnswerCounts
    level : str
        List of reasons: "group", "reason", "own" ...
    model : Propensity, optional

    Returns
    -------
    pandas.DataFrame
        One row per reason, indexed by it: `weighted` share of all lost customers, `weighted_lower`, `weighted_upper`.

    References
    ----------
    Kim, J. K. and Kim, J. J. (2007). Nonresponse weighting adjustment using estimated response probability. Canadian
    Journal of Statistics 35, 501-514.
    Korn, E. L. and Graubard, B. I. (1998). Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data. Survey Methodology 24, 193-201.
    """
    model = model or propensity(answers)
    rows = answers.frame[answers.frame["level_of_list"] == level]
    keys = [*model.cells.index.names, "reason"]
    named = rows.groupby(keys)["n_named"].sum().unstack("reason", fill_value=0)
    named = named.reindex(model.cells.index, fill_value=0).fillna(0)
    estimates = [_weighted(model, named[reason].to_numpy(float), answers.about.conf_level) for reason in named]
    columns = ["weighted", "weighted_lower", "weighted_upper"]
    return pd.DataFrame(estimates, index=pd.Index(named.columns, name="reason"), columns=columns)


def _weighted(model: Propensity, named: np.ndarray, conf_level: float) -> tuple[float, float, float]:
    n, answered, chance = model.cells.to_numpy().T
    weight = 1 / chance
    total = (answered * weight).sum()
    if not total:
        return np.nan, np.nan, np.nan
    share = (named * weight).sum() / total
    x = model.design
    # what an answer's score moves when the chances are estimated (Kim and Kim 2007, equation 10)
    information = (x.T * (n * chance * (1 - chance))) @ x + 1e-9 * np.eye(x.shape[1])
    slope = np.linalg.solve(information, x.T @ ((1 - chance) * weight * (named - answered * share)))
    shift = x @ slope
    kinds = (  # customers of a cell, by what they did, with their influence on the sum
        (named, weight * (1 - share) - (1 - chance) * shift),
        (answered - named, -weight * share - (1 - chance) * shift),
        (n - answered, chance * shift),
    )
    variance = sum((count * influence**2).sum() for count, influence in kinds) / total**2
    kish = total**2 / (answered * weight**2).sum()
    effective = min(share * (1 - share) / variance, answered.sum() * 4) if variance > 1e-15 else kish
    lower, upper = wilson(share * effective, effective, conf_level)
    return float(share), float(lower), float(upper)
