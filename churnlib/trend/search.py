"""The search behind `slices`: scores of many slices, the threshold that makes it honest, and shrinkage.

Many slices are looked at, so the best of them always looks remarkable. A slice is named only when it stands out more
than the best slice of 98 in 100 searches through data in which nobody stands out, and its size is shrunk by what all
slices together say about real differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import ndtri
from scipy.stats import binom

from churnlib.trend.comparison import Cells

SEARCHES = 999  # through data in which nobody stands out
DRAWS = 4_000_000  # random numbers at most: fewer searches when very many combinations occur
MOST_FOUND = 4
LEAST = 10  # lost customers of both periods together in a slice that is looked at
ERROR = 0.02  # small: the first page also holds what the search for changes finds, and all its rules share 5 %
CLEAR = 1.96  # standard errors by which a pair of levels must differ from the rest of either


@dataclass(frozen=True)
class Slices:
    """All slices that are looked at: every level of every segment, and every pair of levels of two segments."""

    keys: list[tuple[tuple[str, str], ...]]  # ((segment, level),) or ((segment, level), (segment, level))
    families: list[np.ndarray]  # for each segment and pair of segments, the number of the slice that each cell is in
    noise: np.ndarray  # variance of the factor by which each slice's rate differs from period to period by itself

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Add cells (the first axis) up by slice."""
        n = len(self.keys)
        if values.ndim == 1:
            return sum(np.bincount(family, values, n) for family in self.families)
        from scipy.sparse import csr_matrix

        rows, columns = np.concatenate(self.families), np.tile(np.arange(len(values)), len(self.families))
        member = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(n, len(values)))
        return member @ values


def all_slices(segments: Sequence[str], cells: Cells, noise: dict[tuple[str, str], float]) -> Slices:
    """List the slices of some cells; a pair of levels has the noise of both."""
    keys, families, singles = [], [], [(j,) for j in range(len(segments))]
    for taken in [*singles, *combinations(range(len(segments)), 2)]:
        shape = [len(cells.names[j]) for j in taken]
        found, family = np.unique(np.ravel_multi_index(cells.levels[:, taken].T, shape), return_inverse=True)
        families.append(family + len(keys))
        for codes in zip(*np.unravel_index(found, shape), strict=True):
            keys.append(tuple((segments[j], cells.names[j][code]) for j, code in zip(taken, codes, strict=True)))
    return Slices(keys, families, np.array([sum(noise.get(part, 0.0) for part in key) for key in keys]))


@dataclass(frozen=True)
class Scores:
    """How every slice's change compares with that of all other customers; each of shape (n_slices,)."""

    z: np.ndarray  # signed, in standard errors; 0 where a slice is not looked at
    excess: np.ndarray  # change of the rate of all customers that is due to it
    log_ratio: np.ndarray  # logarithm of the factor by which it changed, against that of all others
    log_error: np.ndarray  # its standard error
    used: np.ndarray  # which are looked at
    sigma: np.ndarray  # overdispersion


def scores(cells: Cells, slices: Slices, active: np.ndarray, least_base: float, least_count: float) -> Scores:
    """Compare every slice with all other customers, among the active cells.

    Given how many a slice lost in both stretches, the number lost in the second is binomial when its rate changed by
    the same factor as that of the others (a conditional score test, with the slice's overdispersion).
    """
    n1, d1, n0, d0 = (np.where(active, x, 0.0) for x in (cells.n1, cells.d1, cells.n0, cells.d0))
    N1, D1, N0, D0 = (x.sum() for x in (n1, d1, n0, d0))
    m1, e1, m0, e0 = (slices.sums(x) for x in (n1, d1, n0, d0))
    sigma = np.sqrt(1 + slices.noise * (e1 + e0) / 2 / cells.periods)  # beyond chance, by what a period loses
    lost, others1, others0 = e1 + e0, D1 - e1, D0 - e0
    used = (lost >= LEAST) & (np.minimum(m1, m0) >= least_base) & (np.minimum(e1, e0) >= least_count)
    used &= (np.minimum(others1, others0) >= max(least_count, 1)) & (np.minimum(N1 - m1, N0 - m0) >= least_base)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = others1 / (N1 - m1) / (others0 / (N0 - m0))  # of all other customers
        expected = ratio * m1 / (ratio * m1 + m0)
        z = _score(e1, lost, expected, lost / (D1 + D0)) / sigma
        weight = (m1 / cells.n1.sum() + m0 / cells.n0.sum()) / 2
        excess = weight * (e1 / m1 - ratio * e0 / m0)
        log_ratio = np.log((e1 + 0.5) / (m1 + 1) / ((e0 + 0.5) / (m0 + 1)) / ratio)
        log_error = sigma * np.sqrt(1 / (e1 + 0.5) + 1 / (e0 + 0.5) + 1 / others1 + 1 / others0)
    return Scores(np.where(used, z, 0.0), np.where(used, excess, 0.0), log_ratio, log_error, used, sigma)


def _score(d: np.ndarray, lost: np.ndarray, expected: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Signed normal scores of binomial counts (mid-p), less what a slice shares with the whole that it is held against.

    Exact tails for small counts; in large ones the normal approximation, whose tails do not underflow.
    """
    mean, spread = lost * expected, np.sqrt(lost * expected * (1 - expected))
    z = (d - mean) / spread
    small = np.isfinite(z) & (lost < 2_000) & (np.abs(z) < 6)
    k, n, p = d[small], lost[small], expected[small]
    middle = binom.cdf(k, n, p) - binom.pmf(k, n, p) / 2
    z[small] = ndtri(np.clip(middle, 1e-12, 1 - 1e-12))
    return z * np.sqrt(1 - part)  # the others' losses are counts too


def threshold(cells: Cells, slices: Slices, used: np.ndarray) -> float:
    """Give the score that the best slice exceeds in 2 of 100 searches through data in which nobody stands out.

    Every lost customer is given one of the two stretches at random, whatever the slice: what slices share, they share
    in the random data too.
    """
    lost = cells.d1 + cells.d0
    held = np.flatnonzero(lost > 0)
    if not used.any() or not held.size:
        return np.inf
    searches = int(np.clip(DRAWS // held.size, 199, SEARCHES))
    p = cells.d1.sum() / lost.sum()
    rng = np.random.default_rng(0)
    drawn = rng.binomial(lost[held].astype(np.int64)[:, None], p, (held.size, searches)).astype(np.float32)
    inside = Slices(slices.keys, [family[held] for family in slices.families], slices.noise)
    e1, total = inside.sums(drawn)[used], inside.sums(lost[held])[used]
    share = total / lost.sum()
    spread = np.sqrt(total * p * (1 - p) * (1 - share))
    centre = total[:, None] * p + share[:, None] * (drawn.sum(axis=0) - lost.sum() * p)
    best = (np.abs(e1 - centre) / spread[:, None]).max(axis=0)
    return float(np.quantile(best, 1 - ERROR, method="higher"))


@dataclass(frozen=True)
class Found:
    """A slice that stands out."""

    key: tuple[tuple[str, str], ...]
    cells: np.ndarray  # without those of slices found before
    z: float
    excess: float
    shrunk: float  # share of the excess that is to be believed


def search(
    cells: Cells, slices: Slices, least_base: float = 30, least_count: float = 5
) -> tuple[list[Found], int, float]:
    """Find the slices that stand out, the clearest first, each looked for among the customers of none found before.

    Returns
    -------
    found : list of Found
    n_looked : int
    limit : float
        The score that a slice must exceed.
    """
    active, found = np.ones(len(cells.n1), bool), []
    scored = first = scores(cells, slices, active, least_base, least_count)
    limit = threshold(cells, slices, first.used)
    way = np.sign(cells.d1.sum() * cells.n0.sum() - cells.d0.sum() * cells.n1.sum())
    while len(found) < MOST_FOUND and (best := _best(cells, slices, active, scored, limit, way)) is not None:
        mine = active & _members(slices, best)
        keep = shrinkage(scored)[best]
        found.append(Found(slices.keys[best], mine, float(scored.z[best]), float(scored.excess[best]), float(keep)))
        active &= ~mine
        scored = scores(cells, slices, active, least_base, least_count)
    return found, int(first.used.sum()), limit


def _best(cells: Cells, slices: Slices, active: np.ndarray, scored: Scores, limit: float, way: float) -> int | None:
    """The slice that stands out most; those that went the way of the whole first: what did not change is no cause."""
    towards = scored.z * way if (scored.z * way > limit).any() else np.abs(scored.z)
    best = int(towards.argmax())
    if not towards[best] > limit:
        return None
    # a pair of levels is named only where it differs clearly from the rest of either level
    parents = [slices.keys.index((part,)) for part in slices.keys[best] if len(slices.keys[best]) == 2]
    for parent in sorted((i for i in parents if towards[i] > limit), key=lambda i: -towards[i]):
        inside, whole = (active & _members(slices, i) for i in (best, parent))
        if abs(_contrast(cells, inside, whole & ~inside)) < CLEAR * scored.sigma[best]:
            return parent
    return best


def _contrast(cells: Cells, one: np.ndarray, other: np.ndarray) -> float:
    """Compare the changes of two groups of cells: the difference of their log rate ratios, in standard errors."""
    sums = [[x[group].sum() for x in (cells.d1, cells.n1, cells.d0, cells.n0)] for group in (one, other)]
    change = [np.log((d1 + 0.5) / (n1 + 1)) - np.log((d0 + 0.5) / (n0 + 1)) for d1, n1, d0, n0 in sums]
    return float((change[0] - change[1]) / np.sqrt(sum(1 / (d1 + 0.5) + 1 / (d0 + 0.5) for d1, _, d0, _ in sums)))


def _members(slices: Slices, number: int) -> np.ndarray:
    return next(family == number for family in slices.families if (family == number).any())


def shrinkage(scored: Scores) -> np.ndarray:
    """Give the share of each slice's departure that is to be believed (empirical Bayes).

    Most slices change as all others do, a few do not: departures are a mixture of chance alone and of chance and real
    differences of a common variance, fitted to all slices. What is believed is the expected real difference.

    References
    ----------
    Efron, B. (2010). Large-Scale Inference. Cambridge University Press, ch. 1 and 2.
    """
    y2, v = scored.log_ratio[scored.used] ** 2, scored.log_error[scored.used] ** 2
    part, real = 0.1, max(float((y2 - v).max(initial=0.0)), 1e-6)  # of slices that differ; variance of the differences
    for _ in range(200):
        chance = _real(y2, v, part, real)
        part = float(np.clip(chance.mean(), 1 / (len(y2) + 1), 0.5))
        weight = chance / (v + real) ** 2  # each slice counts by how well it tells the variance
        real = max(float((weight * (y2 - v)).sum() / max(weight.sum(), 1e-300)), 1e-6)
    with np.errstate(invalid="ignore", over="ignore"):
        square, error = scored.log_ratio**2, scored.log_error**2
        return np.nan_to_num(_real(square, error, part, real) * real / (real + error))


def _real(y2: np.ndarray, v: np.ndarray, part: float, real: float) -> np.ndarray:
    """The probability that a departure is not of chance alone."""
    log_odds = np.log(part / (1 - part)) + np.log(v / (v + real)) / 2 + y2 / 2 * (1 / v - 1 / (v + real))
    return 1 / (1 + np.exp(-np.clip(log_odds, -500, 500)))
