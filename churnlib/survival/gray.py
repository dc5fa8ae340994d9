"""Do segments differ in how many of their customers leave by one outcome: Gray's test, late entry included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.stats import chi2

from churnlib import text
from churnlib.show.results import Column, Finding, Statement, table_columns
from churnlib.survival.base import SurvivalResult
from churnlib.survival.competing import aalen_johansen
from churnlib.survival.incidence import level_incidences, outcomes_of
from churnlib.survival.lifetable import life_table
from churnlib.survival.logrank import holm


def gray_scores(d: np.ndarray, other: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compare the subdistribution hazards of one outcome between levels.

    A customer who has left by another outcome can no longer leave by this one, but stays in the comparison: the risk
    set of level g is n_g(t) (1 - F_g(t-)) / S_g(t-), which equals the number of customers who have not left by this
    outcome when all are observed from the start, and estimates it when some enter late (Geskus 2011).

    Parameters
    ----------
    d, other : numpy.ndarray, shape (G, T)
        Customers who left by the outcome, and by any other, at each tenure.
    n : numpy.ndarray, shape (G, T)
        At risk.

    Returns
    -------
    scores : numpy.ndarray, shape (G,)
        Observed less expected.
    covariance : numpy.ndarray, shape (G, G)

    References
    ----------
    Gray, R. J. (1988). A class of K-sample tests for comparing the cumulative incidence of a competing risk. Annals of
    Statistics 16, 1141-1154; the variance with its corrections for ties as in the author's R package cmprsk.
    """
    used = (d + other).sum(axis=0) > 0
    d, other, n = d[:, used].astype(float), other[:, used].astype(float), n[:, used].astype(float)
    curves = [aalen_johansen(np.stack(left), at_risk) for *left, at_risk in zip(d, other, n, strict=True)]
    after, own = np.stack([c.survival for c in curves]), np.stack([c.incidence[0] for c in curves])
    before, own_before = np.c_[np.ones(len(n)), after[:, :-1]], np.c_[np.zeros(len(n)), own[:, :-1]]
    there = n > 0
    size = np.where(there, n / np.where(before > 0, before, 1.0), 0.0)  # as if nobody had left before
    all_d, all_size = d.sum(axis=0), size.sum(axis=0)
    pooled = (all_d / np.where(all_size > 0, all_size, 1.0)).cumsum()
    pooled_before = np.r_[0.0, pooled[:-1]]
    waiting = size * (1 - own_before)
    expected = all_d * waiting / np.where(waiting.sum(axis=0) > 0, waiting.sum(axis=0), 1.0)
    scores = np.where(there, d - expected, 0.0).sum(axis=1)
    return scores, _gray_covariance(d, other, n, before, after, size, pooled, pooled_before)


def _gray_covariance(d, other, n, before, after, size, pooled, pooled_before) -> np.ndarray:
    """Sum over tenures and levels of squared influences: through the score itself and through the later curves."""
    there, (g, _) = n > 0, d.shape
    total = np.where(size.sum(axis=0) > 0, size.sum(axis=0), 1.0)
    all_d = d.sum(axis=0)
    a = np.eye(g)[:, :, None] * size[:, None, :] - size[:, None, :] * size[None, :, :] / total  # (G, G, T)
    left_pooled = 1 - pooled_before
    # once everybody has left by the outcome nothing can differ any more
    hazard = np.where(left_pooled > 1e-9, all_d / (total * np.maximum(left_pooled, 1e-9)), 0.0)
    c = (a * hazard).cumsum(axis=2)
    safe_n, safe_after = np.where(there, n, 1.0), np.where(after > 0, after, 1.0)
    left = np.where(after > 0, (1 - pooled) / safe_after, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ties_own = np.where(all_d > 1, 1 - (all_d - 1) / (total * before - 1), 1.0)
        ties_other = np.where(other > 1, 1 - (other - 1) / (safe_n - 1), 1.0)
    own_variance = np.where(there & (all_d > 0), ties_own * before * all_d / (total * safe_n), 0.0)
    other_variance = np.where((after > 0) & (other > 0), ties_other * before**2 * other / safe_n**2, 0.0)
    pull = a - (1 - left) * c
    direct = np.einsum("ikt,jkt,kt->ij", pull, pull, own_variance)
    direct += np.einsum("ikt,jkt,kt->ij", left * c, left * c, other_variance)
    mixed = np.einsum("ikt,kt->ik", pull, (1 - left) * own_variance)
    mixed -= np.einsum("ikt,kt->ik", left * c, left * other_variance)
    later = ((1 - left) ** 2 * own_variance + left**2 * other_variance).sum(axis=1)
    end = c[:, :, -1]
    return direct + (end * later) @ end.T + end @ mixed.T + mixed @ end.T


def gray_statistic(scores: np.ndarray, covariance: np.ndarray) -> tuple[float, int, float]:
    """Give chi-squared statistic, degrees of freedom and p-value; NaN where nothing can be compared."""
    df = len(scores) - 1
    if df < 1 or np.linalg.matrix_rank(covariance[:-1, :-1], hermitian=True) < df:
        return np.nan, max(df, 0), np.nan
    statistic = float(scores[:-1] @ np.linalg.solve(covariance[:-1, :-1], scores[:-1]))
    return statistic, df, float(chi2.sf(statistic, df))


@dataclass(frozen=True, kw_only=True)
class GrayTest(SurvivalResult):
    """Gray's test of every outcome between the levels of a segment.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per outcome: `outcome`, `n_events`, `statistic` (chi-squared), `df`, `p_value` and `p_holm` (adjusted
        for the number of outcomes).
    start : float
        Tenure from which the levels are compared: 0 unless the first risk sets of one are too small.
    """

    start: float

    columns: ClassVar[tuple[Column, ...]] = table_columns(
        Column("outcome", "term", prefix="results.outcome"), "n_events statistic:ratio df:whole p_holm:p"
    )
    folded: ClassVar[bool] = False

    @property
    def shown(self) -> pd.DataFrame:
        table = self.table
        return table.assign(n_events=table["n_events"].where(table["n_events"] >= self.about.privacy_k))

    @property
    def findings(self) -> tuple[Finding, ...]:
        values, clear = {"segment": self.about.segment.label, "n": len(self.table)}, self._clear
        if self.table["p_holm"].isna().all():
            return (Finding("survival.gray.none", values),)
        if len(self.table) == 1:
            return (Finding("survival.gray.single", values),)
        if clear.empty:
            return (Finding("survival.gray.alike", values),)
        values["outcomes"] = [text.label(f"results.outcome.{o}") for o in clear["outcome"]]
        return (Finding("survival.gray.differ", values, grade="moderate", weight=float(clear["n_events"].sum())),)

    @property
    def _clear(self) -> pd.DataFrame:
        return self.table[self.table["p_holm"] < 1 - self.about.conf_level]

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("survival.note.gray"),)

    @property
    def result_notes(self) -> tuple[Statement, ...]:
        """The tests in one line, for a result that prints them beside other things; none without two outcomes."""
        n, clear = self.table["p_holm"].count(), self._clear
        if n < 2:
            return ()
        values = {"n": int(n), "outcomes": [text.label(f"results.outcome.{o}") for o in clear["outcome"]]}
        return (Statement("survival.note.gray_clear" if len(clear) else "survival.note.gray_alike", values),)


def gray_test(counts) -> GrayTest:
    """Test, outcome by outcome, whether the levels of a segment lose the same share of their customers to it.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=...)`.

    Returns
    -------
    GrayTest
        One row per outcome that occurs.
    """
    about, life = counts.about, life_table(counts)
    # from the first tenure on from which every level that is large enough has enough customers at risk
    start = max((c.start for c in level_incidences(life, about.min_denominator) if len(c.tenure)), default=0.0)
    later = life.tenure > start if start else np.ones(len(life.tenure), bool)
    rows = []
    for name in outcomes_of(life):
        d, n = life.outcomes[name][:, later], life.n_at_risk[:, later]
        statistic, df, p_value = gray_statistic(*gray_scores(d, life.n_events[:, later] - d, n))
        rows.append({"outcome": name, "n_events": d.sum(), "statistic": statistic, "df": df, "p_value": p_value})
    table = pd.DataFrame(rows, columns=["outcome", "n_events", "statistic", "df", "p_value"])
    table = table.assign(p_holm=holm(table["p_value"].to_numpy(float)))
    return GrayTest(about=about, table=table, name=about.named("gray"), start=start)
