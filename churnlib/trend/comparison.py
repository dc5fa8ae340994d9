"""Two periods side by side: which one to compare with, their cells, and how much groups vary anyway."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import chi2

from churnlib.about import Period
from churnlib.trend.standardise import Cells

PEAK_WITHIN = 24  # periods among which the highest rate is looked for


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


def two_periods(counts, now: Period, before: Period) -> tuple[Cells, tuple[str, ...]]:
    """Lay the cells of two periods side by side; the codes of the first segment's levels are given too."""
    keys = [segment.name for segment in counts.segments]
    frame = counts.frame[counts.frame["period"].isin([str(now), str(before)])]
    wide = frame.pivot_table(
        index=keys, columns="period", values=["n_opening", "n_churned_opening"], aggfunc="sum", fill_value=0, sort=True
    )
    columns = [(c, str(p)) for p in (now, before) for c in ("n_opening", "n_churned_opening")]
    n1, d1, n0, d0 = (wide[c].to_numpy(float) if c in wide else np.zeros(len(wide)) for c in columns)
    codes, levels = zip(*(pd.factorize(wide.index.get_level_values(key), sort=True) for key in keys), strict=True)
    is_daily = counts.about.time_unit == "day"  # data that only know months have months of equal length
    days = (now.days, before.days) if is_daily else (1, 1)
    return Cells(np.column_stack(codes), n1, d1, n0, d0, *days), tuple(levels[0])


def level_sigma(counts, usual: pd.Series, levels: tuple[str, ...]) -> list[float]:
    """Measure how much more each level varies than by chance, beyond what all levels do at once.

    Returns
    -------
    list of float
        One a level, at least 1; 1 where fewer than 6 periods are there to tell.
    """
    frame = counts.frame[counts.frame["period"].isin(set(usual))]
    key = counts.segments[0].name
    n, d = (
        frame.pivot_table(index=key, columns="period", values=c, aggfunc="sum", fill_value=0).reindex(levels).fillna(0)
        for c in ("n_opening", "n_churned_opening")
    )
    n, d = n.to_numpy(float), d.to_numpy(float)
    return list(own_sigma(n, d))


def own_sigma(n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Give the overdispersion of each row (level) of counts by period beyond what all rows share, at least 1."""
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
    """Each row's variance over that of chance, its mean losses a period, and the periods less one."""
    freedom = max(n.shape[1] - 1, 1)
    if n.shape[1] < 6 or n.shape[0] < 2:
        return np.ones(len(n)), d.mean(axis=1), freedom
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = d.sum(axis=1) / n.sum(axis=1)
        expected = n * rate[:, None]
        expected *= d.sum(axis=0) / np.nansum(expected, axis=0)
        # a level is part of what all levels share: its own share of the variation is taken off
        free = expected * (1 - rate[:, None]) * (1 - expected / np.nansum(expected, axis=0))
        z2 = np.where(free > 0, (d - expected) ** 2 / free, np.nan)
        used = np.isfinite(z2).sum(axis=1)
        return (
            np.nansum(z2, axis=1) / np.where(used > 0, used, np.nan) * n.shape[1] / freedom,
            expected.mean(axis=1),
            freedom,
        )
