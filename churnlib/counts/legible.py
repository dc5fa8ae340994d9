"""Few customers: the calendar unit in which counts are large enough to be shown and judged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from churnlib.about import YEAR
from churnlib.counts.base import Counts
from churnlib.counts.crossed import MANY
from churnlib.counts.periods import period_counts

COARSER = {"week": "month", "month": "quarter"}
ENOUGH = 0.5  # of the customers of the last two years have to stand in cells that may be shown
YEARS = 2


def legible_counts(data: Any) -> Counts:
    """Keep the ledger of all customers by the report's unit, or by the next coarser one where that shows too little.

    Parameters
    ----------
    data : Dataset

    Returns
    -------
    Counts
        As of `period_counts`. Its period is the last whole one within the report's.
    """
    return _legible(data, (None,))[0]


def divided_counts(data: Any) -> list[Counts]:
    """Keep the ledger by every declared segment, all in one unit: the report's own, or the next coarser one.

    Segments of many small units (see `unit_counts`) follow; they do not decide.

    Parameters
    ----------
    data : Dataset

    Returns
    -------
    list of Counts
        One for each segment, as of `period_counts`.
    """
    return _legible(data, tuple(data.spec.segments))


def _legible(data: Any, names: Iterable[str | None]) -> list[Counts]:
    """Counts in the report's unit, or in the coarser one if more of the customers can be shown in it."""
    unit = data.about.period.unit
    counts = [period_counts(data, by=name) for name in names]
    if unit not in COARSER or not counts or _share_shown(counts) >= ENOUGH:
        return counts
    coarser = [period_counts(data, by=name, unit=COARSER[unit]) for name in names]
    return coarser if _share_shown(coarser) > _share_shown(counts) else counts


def _share_shown(divided: Iterable[Counts]) -> float:
    """The share of customers, over the periods of the last two years, whose cell is neither small nor hidden."""
    shown = n = 0.0
    for counts in divided:
        about, segment = counts.about, counts.about.segment
        if len(segment.levels) > MANY:
            continue
        rows = counts.frame[counts.frame["is_complete"] & (counts.frame["period"] <= str(about.period))]
        last = sorted(rows["period"].unique())[-YEARS * YEAR[about.period.unit] :]
        rows = rows[rows["period"].isin(last)]
        n += rows["n_opening"].sum()
        shown += rows.loc[_may_be_shown(rows, about), "n_opening"].sum()
    return shown / n if n else 1.0


def _may_be_shown(rows: pd.DataFrame, about: Any) -> pd.Series:
    lost = rows["n_churned_opening"]
    return (rows["n_opening"] >= about.min_denominator) & ((lost == 0) | (lost >= about.privacy_k))
