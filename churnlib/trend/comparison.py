"""Two stretches of time side by side: which one to compare with, their cells, and how much levels vary anyway."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import chi2

from churnlib.about import Period

PEAK_WITHIN = 24  # periods among which the highest rate is looked for
COUNTS = ["n_opening", "n_churned_opening"]


@dataclass(frozen=True)
class Cells:
    """Customers by combination of levels, in two stretches of time: now (1) and before (0)."""

    levels: np.ndarray  # codes, shape (n_cells, n_segments)
    n1: np.ndarray  # opening customers of each cell, summed over the periods; it may be empty in one of the stretches
    d1: np.ndarray  # their losses
    n0: np.ndarray
    d0: np.ndarray
    days1: float = 1.0  # a longer month has more days to leave in
    days0: float = 1.0
    periods: int = 1  # of each stretch
    names: tuple[Sequence[str], ...] = ()  # each segment's levels, in the order of their codes

    @property
    def rates(self) -> tuple[float, float]:
        """The rate of all customers, now and before."""
        return self.d1.sum() / self.n1.sum(), self.d0.sum() / self.n0.sum()


def side_by_side(frame: pd.DataFrame, segments: Sequence[str], now: set[str], before: set[str]) -> Cells:
    """Lay two stretches of periods side by side, cell by cell, in the order of their levels."""
    used = frame[frame["period"].isin(now | before)]
    codes, names = zip(*(pd.factorize(used[segment], sort=True) for segment in segments), strict=True)
    _, first, cell = np.unique(
        np.ravel_multi_index(codes, [len(levels) for levels in names]), return_index=True, return_inverse=True
    )
    is_now = used["period"].isin(now).to_numpy()
    n1, d1, n0, d0 = (np.bincount(cell, used[c] * inside) for inside in (is_now, ~is_now) for c in COUNTS)
    return Cells(np.column_stack(codes)[first], n1, d1, n0, d0, periods=len(now), names=names)


def two_periods(counts, now: Period, before: Period) -> Cells:
    """Lay two periods side by side; data that only know months have months of equal length."""
    cells = side_by_side(counts.frame, [segment.name for segment in counts.segments], {str(now)}, {str(before)})
    return cells if counts.about.time_unit == "month" else replace(cells, days1=now.days, days0=before.days)


def compared_period(totals: pd.DataFrame, now: Period, against: str) -> Period | None:
    """Find the period to compare with; None if the data do not have it complete and with customers."""
    usable = totals[totals["is_complete"] & (totals["n_opening"] > 0)]
    if against == "peak":
        past = usable[usable.index < str(now)].tail(PEAK_WITHIN)
        rates = past["n_churned_opening"] / past["n_opening"]
        return Period.parse(rates.idxmax()) if len(past) else None
    named = {"previous": now.shift(-1), "year_ago": now.year_before()}
    before = named.get(against) or Period.parse(against)
    return before if str(before) in usable.index and before != now else None


def by_period(frame: pd.DataFrame, segment: str, periods: Collection[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the opening customers, and their losses: one row per level, one column per period."""
    rows = frame[frame["period"].isin(periods)]
    (level, levels), (at, when) = (pd.factorize(rows[c], sort=True) for c in (segment, "period"))
    shape = len(levels), len(when)
    sums = (np.bincount(level * len(when) + at, rows[c], shape[0] * shape[1]).reshape(shape) for c in COUNTS)
    n, d = (pd.DataFrame(x, levels, when) for x in sums)
    return n, d


def own_sigma(n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Give the overdispersion of each row (level) of counts by period beyond what all rows do at once, at least 1."""
    return np.sqrt(np.fmax(_dispersion(n, d)[0], 1.0))


def own_noise(n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Give the variance of the factor by which each row's rate differs from period to period by itself.

    One variance for all rows, which many rows tell better than each; a row that clearly varies more has its own.
    """
    dispersion, expected, freedom = _dispersion(n, d)
    known = np.isfinite(dispersion) & (expected > 0)
    if not known.any():
        return np.zeros(len(n))
    shared = max(0.0, float((dispersion[known] - 1).sum() / expected[known].sum()))
    usual = (1 + shared * expected) * chi2.ppf(0.99, freedom) / freedom
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known & (dispersion > usual), (dispersion - 1) / expected, shared)


def _dispersion(n: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Each row's variance over that of chance (1 where fewer than 6 periods tell), its mean losses, the periods - 1."""
    freedom = max(n.shape[1] - 1, 1)
    if n.shape[1] < 6 or n.shape[0] < 2:
        return np.ones(len(n)), d.sum(axis=1) / max(d.shape[1], 1), freedom
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = d.sum(axis=1) / n.sum(axis=1)
        expected = n * rate[:, None]
        expected *= d.sum(axis=0) / np.nansum(expected, axis=0)
        # a level is part of what all levels share: its own share of the variation is taken off
        free = expected * (1 - rate[:, None]) * (1 - expected / np.nansum(expected, axis=0))
        z2 = np.where(free > 0, (d - expected) ** 2 / free, np.nan)
        used = np.isfinite(z2).sum(axis=1)
        dispersion = np.nansum(z2, axis=1) / np.where(used > 0, used, np.nan) * n.shape[1] / freedom
    return dispersion, expected.mean(axis=1), freedom
