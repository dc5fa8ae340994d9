"""Exact decomposition of the change of a rate: what comes from the groups' own rates, what from who the customers are.

The arithmetic alone, on arrays of cells; `decompose` makes a result of it. Everything is linear in the cells'
rates for given customers, so that the delta method is exact for the intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np

from churnlib.trend.comparison import Cells


def shapley(worth: Callable[[frozenset[int]], np.ndarray | float], n: int) -> list[np.ndarray | float]:
    """Share the change between two situations fairly among its factors.

    Each factor is given the average, over all orders in which the factors may change one after the other, of what its
    own change adds. For a product of factors this is Das Gupta's (1993) general formula.

    Parameters
    ----------
    worth : callable
        The figure (or an array of figures) when the factors of a set stand as they are now, the others as before.
    n : int
        Number of factors, named 0 to n - 1.

    Returns
    -------
    list
        One a factor; they add up to worth(all) - worth(none).

    References
    ----------
    Das Gupta, P. (1993). Standardization and Decomposition of Rates: A User's Manual. US Bureau of the Census, P23-186.
    Shapley, L. S. (1953). A value for n-person games. Contributions to the Theory of Games II, 307-317.
    """
    sets = [frozenset(s) for size in range(n + 1) for s in combinations(range(n), size)]
    values = {s: worth(s) for s in sets}
    share = [factorial(size) * factorial(n - size - 1) / factorial(n) for size in range(n)]
    return [sum(share[len(s)] * (values[s | {i}] - values[s]) for s in sets if i not in s) for i in range(n)]


def mix_changes(levels: np.ndarray, share1: np.ndarray, share0: np.ndarray) -> np.ndarray:
    """Split the change of who the customers are among several segments.

    A segment's part is its Shapley value when its distribution changes to the present one: once with the other
    segments' distribution within its levels kept as before, once the other way round, averaged. For two segments this
    is Das Gupta's cross-classified form with arithmetic in place of geometric means: its shares always add up to one,
    so that equal rates give no mix effect at all, and combinations that nobody is in do no harm.

    Parameters
    ----------
    levels : numpy.ndarray of int, shape (n_cells, n_segments)
    share1, share0 : numpy.ndarray, shape (n_cells,)
        Shares of the customers now and before.

    Returns
    -------
    numpy.ndarray, shape (n_segments, n_cells)
        Change of each cell's share that is due to each segment; the rows add up to share1 - share0.
    """
    everything = frozenset(range(levels.shape[1]))

    def shares(changed: frozenset[int]) -> np.ndarray:
        one = _reweighted(levels, changed, to=share1, source=share0)
        other = _reweighted(levels, everything - changed, to=share0, source=share1)
        return (one + other) / 2

    return np.array(shapley(shares, len(everything)))


def _reweighted(levels: np.ndarray, segments: frozenset[int], to: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Give cells the joint distribution of some segments from `to`, the others' within them from `source`."""
    group = np.zeros(len(levels), int)
    for j in sorted(segments):
        _, group = np.unique(group * (levels[:, j].max() + 1) + levels[:, j], return_inverse=True)
    wanted, there = np.bincount(group, to), np.bincount(group, source)
    with np.errstate(divide="ignore", invalid="ignore"):
        # where the source has nobody to tell the others' distribution by, it is that of `to` itself
        return np.where(there[group] > 0, source / there[group] * wanted[group], to)


@dataclass(frozen=True)
class Parts:
    """What a change consists of.

    First the rate effect of every level of the first segment, then the mix effect of every segment, then the effect of
    the periods' lengths.
    """

    effects: np.ndarray  # they add up to the change
    now: np.ndarray  # their derivatives by the cells' rates, shape (n_parts, n_cells)
    before: np.ndarray


def decompose(cells: Cells) -> Parts:
    """Split the change of the churn rate between two periods, exactly.

    The lengths of the periods first (the daily risk is what compares), then rate and mix (Kitagawa, with all cells),
    then the rate effect by level of the first segment and the mix effect by segment. A cell that is empty in one period
    has no change of rate: it is all mix.

    References
    ----------
    Kitagawa, E. M. (1955). Components of a difference between two rates. JASA 50, 1168-1194.
    """
    s1, s0 = cells.n1 / cells.n1.sum(), cells.n0 / cells.n0.sum()
    r1, r0, r10, r01, slope1, slope0 = _comparable(cells)
    here, gone = cells.n1 > 0, cells.n0 > 0
    now, before = (r1 + r10) / 2, (r0 + r01) / 2  # at the average of the two lengths
    rise = now - before
    lengths = s1 * (r1 - r10) / 2 + s0 * (r01 - r0) / 2
    first = cells.levels[:, 0]
    member = (np.arange(first.max() + 1)[:, None] == first).astype(float)
    mean_share, mean_rate = (s1 + s0) / 2, (now + before) / 2
    change = mix_changes(cells.levels, s1, s0)
    # rates less their mean: the shares' changes add up to zero, rounding included
    effects = np.concatenate(
        [member @ (mean_share * rise), change @ (mean_rate - sum(cells.rates) / 2), [lengths.sum()]]
    )
    by_now = np.vstack([member * mean_share, change / 2, np.zeros(len(first))]) * (1 + slope1) / 2
    by_before = np.vstack([-member * mean_share, change / 2, np.zeros(len(first))]) * (1 + slope0) / 2
    by_now[-1], by_before[-1] = s1 * (1 - slope1) / 2, s0 * (slope0 - 1) / 2
    # an empty cell's rate is the other period's: what depends on it depends on that one
    extra_now, extra_before = by_before * ~gone * slope1, by_now * ~here * slope0
    return Parts(effects, by_now * here + extra_now * here, by_before * gone + extra_before * gone)


def _comparable(cells: Cells):
    """The cells' rates in both periods, each at both lengths, with the slopes of the change of length."""
    longer = cells.days0 / cells.days1
    with np.errstate(divide="ignore", invalid="ignore"):
        r1, r0 = cells.d1 / cells.n1, cells.d0 / cells.n0
    r0 = np.where(cells.n1 + cells.n0 > 0, r0, 0.0)  # a cell that is always empty has no weight
    r1 = np.where(cells.n1 > 0, r1, 1 - (1 - r0) ** (1 / longer))
    r0 = np.where(cells.n0 > 0, r0, 1 - (1 - r1) ** longer)
    if longer == 1:
        return r1, r0, r1, r0, np.ones(len(r1)), np.ones(len(r0))
    r10, r01 = 1 - (1 - r1) ** longer, 1 - (1 - r0) ** (1 / longer)
    # linear in the rate but for a term of its square; a cell in which everybody left has no tangent
    slope1, slope0 = np.full(len(r1), longer), np.full(len(r0), 1 / longer)
    return r1, r0, r10, r01, slope1, slope0


def variance(parts: Parts, cells: Cells, sigma: Sequence[float], common: float) -> np.ndarray:
    """Give the sampling variance of every part.

    Levels of the first segment are overdispersed by `sigma` beyond what all share; months differ by more than chance
    for everybody at once, by `common`.
    """
    own = np.asarray(sigma)[cells.levels[:, 0]] ** 2
    total = np.zeros(len(parts.effects))
    for weight, n, d, rate in ((parts.now, cells.n1, cells.d1, 0), (parts.before, cells.n0, cells.d0, 1)):
        pooled, size = cells.rates[rate], n.sum()
        p = (d + 2 * pooled) / (n + 2)  # towards the pooled rate: no cell is certain because nobody left
        total += weight**2 @ (own * p * (1 - p) / np.maximum(n, 1))
        if pooled > 0:
            shock = (common**2 - 1) * (1 - pooled) / (pooled * size)  # variance of the factor that all rates share
            total += shock * (weight @ (d / np.maximum(n, 1))) ** 2
    return total
