"""Do segments differ in how long their customers stay: log-rank tests on risk sets, late entry included.

The accepted entries are used, not dropped: the risk set of every tenure holds those with entry < tenure <= exit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import chi2

from churnlib.show import disclosure
from churnlib.show.results import Column, Finding, Statement, table_columns
from churnlib.survival.base import SurvivalResult
from churnlib.survival.estimators import product_limit
from churnlib.survival.lifetable import arrange, life_table
from churnlib.text import LANGUAGES, Label, UsageError

PAIRS = 6  # of levels that differ, named at most
RANK = 1e-10  # of the largest entry: the covariance of k levels has rank k - 1 by construction


class Scores(NamedTuple):
    """Observed against expected events, added over the tenures (and over strata).

    Attributes
    ----------
    observed, expected : numpy.ndarray, shape (G,)
        Weighted numbers of churned customers.
    covariance : numpy.ndarray, shape (G, G)
        Of observed less expected under equal hazards.
    """

    observed: np.ndarray
    expected: np.ndarray
    covariance: np.ndarray

    def __add__(self, other: Scores) -> Scores:
        return Scores(*(a + b for a, b in zip(self, other, strict=True)))

    def test(self) -> tuple[float, int, float]:
        """Give chi-squared statistic, degrees of freedom and p-value; NaN where nothing can be compared."""
        df = int(np.linalg.matrix_rank(self.covariance, tol=RANK * self.covariance.max(initial=0.0), hermitian=True))
        if not df:
            return np.nan, 0, np.nan
        gap = self.observed - self.expected
        statistic = float(gap @ np.linalg.pinv(self.covariance, rcond=RANK, hermitian=True) @ gap)
        return statistic, df, float(chi2.sf(statistic, df))


def logrank_scores(d: np.ndarray, n: np.ndarray, rho: float = 0.0, gamma: float = 0.0) -> Scores:
    """Compare k hazards: at each tenure the churned of each level against its share of those at risk.

    With weights w(t) = S(t-)^rho (1 - S(t-))^gamma of the pooled curve (Fleming and Harrington): rho = gamma = 0 is
    the log-rank test, rho = 1 stresses early differences, gamma = 1 late ones. The variance of a tenure is that of the
    multivariate hypergeometric distribution, which is what makes ties right.

    Parameters
    ----------
    d, n : numpy.ndarray, shape (G, T)
        Churned and at risk by level and tenure.
    rho, gamma : float

    Returns
    -------
    Scores

    References
    ----------
    Klein, J. P. and Moeschberger, M. L. (2003). Survival Analysis, 2nd ed., section 7.3.
    """
    d_all, n_all = d.sum(axis=0), n.sum(axis=0)
    used = (d_all > 0) & (n_all > 0)
    before = np.r_[1.0, product_limit(d_all, n_all).survival[:-1]][used]
    weight = before**rho * (1 - before) ** gamma
    d, n, d_all, n_all = d[:, used], n[:, used], d_all[used], n_all[used]
    share = n / n_all
    variance = weight**2 * d_all * (n_all - d_all) / np.maximum(n_all - 1, 1)
    covariance = np.diag(share @ variance) - (share * variance) @ share.T
    return Scores(d @ weight, share @ (weight * d_all), covariance)


@dataclass(frozen=True, kw_only=True)
class LogRank(SurvivalResult):
    """A log-rank test between the levels of a segment.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level: `n_customers`, `n_events`, `expected` (churned if all levels had the same risk at every
        tenure) and `ratio`, the first over the second.
    statistic, p_value : float
        Chi-squared with `df` degrees of freedom.
    df : int
    pairs : pandas.DataFrame
        One row per pair of levels: see `pairwise_tests`.
    strata : tuple of Label
        Segments within which the levels were compared.
    """

    statistic: float
    df: int
    p_value: float
    pairs: pd.DataFrame
    strata: tuple[Label, ...] = ()

    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "level n_customers n_events expected:number.1 ratio:ratio flag"
    )
    folded: ClassVar[bool] = False

    @property
    def shown(self) -> pd.DataFrame:
        how = {"count": "n_events", "base": "n_customers", "hides": ("n_events", "expected", "ratio")}
        return disclosure.protect(self.table, self.about, **how, within=("all",))

    @property
    def findings(self) -> tuple[Finding, ...]:
        values = {"segment": self.about.segment.label, "p": self.p_value, "n": len(self.table)}
        values |= {"statistic": self.statistic, "df": self.df}
        if not self.df:
            return (Finding("survival.logrank.none", values),)
        if not self.p_value < 1 - self.about.conf_level:
            return (Finding("survival.logrank.alike", values),)
        told = self.shown.dropna(subset="ratio")
        if told.empty:
            return (Finding("survival.logrank.differ_unnamed", values),)
        worst = told.loc[told["ratio"].idxmax()]
        values |= {"level": self.level(worst.level), "ratio": worst.ratio, "observed": worst.n_events}
        values |= {"expected": worst.expected}
        excess = float(worst.n_events - worst.expected)
        return (Finding("survival.logrank.differ", values, grade="moderate", tone="worse", weight=excess),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        tests = [Statement("survival.note.logrank", {"statistic": self.statistic, "df": self.df, "p": self.p_value})]
        tests += [Statement("survival.note.strata", {"names": list(self.strata)})] if self.strata else []
        clear = self.pairs[self.pairs["p_holm"] < 1 - self.about.conf_level]
        if len(self.pairs) < 2:
            return tuple(tests)
        values = {"n": len(self.pairs), "clear": len(clear)}
        if not 0 < len(clear) <= PAIRS:
            return (*tests, Statement("survival.note.pairs", values))
        both = [(self.level(a), self.level(b)) for a, b in zip(clear["level_a"], clear["level_b"], strict=True)]
        values["pairs"] = [Label(*(f"{a.to(x)} – {b.to(x)}" for x in LANGUAGES)) for a, b in both]
        return (*tests, Statement("survival.note.pairs_named", values))


def logrank_test(counts, *, strata: str | Sequence[str] = (), rho: float = 0.0, gamma: float = 0.0) -> LogRank:
    """Test whether the levels of a segment churn at the same rate at every tenure.

    Strongest when one level's hazard is a constant multiple of another's; curves that cross can hide from it (weights
    help: see `logrank_scores`).

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=...)`, by one segment and those of the strata.
    strata : str or sequence of str
        Segments of the counts within whose levels customers are compared.
    rho, gamma : float
        Fleming-Harrington weights; both 0 for the log-rank test.

    Returns
    -------
    LogRank
        One row per level.
    """
    strata = [strata] if isinstance(strata, str) else list(strata)
    if strata:
        counts = _within(counts, strata)
    about, life = counts.about, life_table(counts)
    scores = stratified_scores(counts.frame, life.levels, rho, gamma)
    test = dict(zip(("statistic", "df", "p_value"), scores.test(), strict=True))
    test["pairs"] = pairwise_tests(counts, rho, gamma)
    test["strata"] = tuple(s.label for s in getattr(counts, "segments", ()) if s.name in strata)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(scores.expected > 0, scores.observed / scores.expected, np.nan)
    numbers = {"n_events": scores.observed, "expected": scores.expected, "ratio": ratio}
    table = pd.DataFrame({"level": life.levels, "n_customers": life.n_customers} | numbers)
    return LogRank(about=about, table=table, name=about.named("logrank"), **test)


def _within(counts, strata: list[str]):
    """The counts by the one segment that is no stratum, with a column `stratum`."""
    segments = {s.name: s for s in getattr(counts, "segments", ())}
    compared = [segment for name, segment in segments.items() if name not in strata]
    if len(compared) != 1 or not set(strata) <= set(segments):
        raise UsageError("survival.logrank.strata", names=strata, known=list(segments))
    patterns, at = counts.patterns, counts.frame["pattern"].to_numpy()
    frame = counts.frame.assign(
        level=patterns[compared[0].name].to_numpy()[at], stratum=patterns.groupby(strata).ngroup().to_numpy()[at]
    )
    return replace(counts, frame=frame, about=counts.about.by(compared[0]))


def stratified_scores(frame: pd.DataFrame, levels: tuple[str, ...], rho: float = 0.0, gamma: float = 0.0) -> Scores:
    """Add the scores of the strata up; without a column `stratum` there is one."""
    strata = [rows for _, rows in frame.groupby("stratum")] if "stratum" in frame else [frame]
    lives = [arrange(rows, levels) for rows in strata]
    return reduce(Scores.__add__, [logrank_scores(life.n_events, life.n_at_risk, rho, gamma) for life in lives])


def pairwise_tests(counts, rho: float = 0.0, gamma: float = 0.0) -> pd.DataFrame:
    """Compare every two levels, the p-values adjusted for the number of pairs.

    Returns
    -------
    pandas.DataFrame
        One row per pair: `level_a`, `level_b`, `statistic`, `p_value` and `p_holm` (Holm 1979), in [0, 1].
    """
    rows = []
    for a, b in combinations(life_table(counts).levels, 2):
        frame = counts.frame[counts.frame["level"].isin((a, b))]
        statistic, _, p = stratified_scores(frame, (a, b), rho, gamma).test()
        rows.append({"level_a": a, "level_b": b, "statistic": statistic, "p_value": p})
    table = pd.DataFrame(rows, columns=["level_a", "level_b", "statistic", "p_value"])
    return table.assign(p_holm=holm(table["p_value"].to_numpy(float)))


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust p-values for their number: the chance of any false alarm stays below the level (NaN stays NaN)."""
    order = np.argsort(p)
    adjusted = np.full(len(p), np.nan)
    known = np.count_nonzero(~np.isnan(p))
    stepped = np.maximum.accumulate(p[order[:known]] * np.arange(known, 0, -1))
    adjusted[order[:known]] = np.minimum(stepped, 1.0)
    return adjusted
