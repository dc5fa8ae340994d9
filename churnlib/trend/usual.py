"""What is usual: the periods, declared or found, that every judgement of a later one is held against."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd

from churnlib.about import YEAR, Baseline
from churnlib.show import disclosure
from churnlib.show.results import period_values
from churnlib.trend.changepoint import change_points
from churnlib.trend.pchart import LONGEST, SHORTEST, control_limits, screened
from churnlib.trend.series import complete_periods
from churnlib.trend.touched import after_events

ENOUGH = 12  # periods of a stretch that is preferred to an older one, or two years of them where those are fewer


def usual_periods(series: pd.DataFrame, about, declared: Baseline | None = None) -> tuple[np.ndarray, bool]:
    """Tell which complete periods say what is usual, and whether they are the declared ones.

    Those are taken where they hold six complete periods; else a baseline is found, without a hidden period alone in it.
    """
    inside = declared_periods(series, declared)
    is_declared = bool(inside.sum() >= SHORTEST)
    inside = inside if is_declared or not len(series) else _found(series, about)
    held = inside & disclosure.held_back(about, series["period"])
    # the losses of a hidden one that is alone among them would follow from what they let expect
    return (inside & ~held if held.sum() == 1 else inside), is_declared


def usual_and_beyond(rates: pd.DataFrame, about) -> tuple[pd.DataFrame, set[str] | None]:
    """Judge all customers together, from the counts of one level or of several that add up to them.

    Returns
    -------
    pandas.DataFrame
        One row per usual period: `period`, `n_opening`, `n_churned_opening`.
    set of str or None
        The periods beyond the control limits; None where too few periods say what is usual.
    """
    rows = rates[rates["is_complete"].astype(bool)]
    sums = rows.groupby("period", as_index=False)[["n_opening", "n_churned_opening"]].sum().assign(is_complete=True)
    series = complete_periods(sums, about)
    inside, _ = usual_periods(series, about, about.baseline)
    table, usual = control_limits(series, inside, about.time_unit)
    return series[inside], None if usual is None else set(table.loc[table["beyond"] != 0, "period"])


def declared_periods(series: pd.DataFrame, declared: Baseline | None) -> np.ndarray:
    """Give the complete periods that a declared baseline holds."""
    periods = period_values(series["period"])
    return np.array([declared is not None and declared.holds(period) for period in periods], bool)


def _found(series: pd.DataFrame, about) -> np.ndarray:
    """The latest stretch without a lasting change before the last year, without what stands out in it.

    Of stretches shorter than 12 periods the longest is taken: what an event of the year before last has changed is not
    usual yet.
    """
    n, year = len(series), YEAR[about.period.unit]
    doubted = after_events(series["period"].tolist(), about, lambda event: not event.scope)  # of those for everybody
    enough = max(min(ENOUGH, 2 * year), SHORTEST)
    end = n - year if n - year >= enough else min(ENOUGH, n - 1)
    start, place = max(0, end - LONGEST), np.arange(n)
    if end - start > ENOUGH:
        # a crisis of a few periods is no lasting change: without it the series has none
        before = series.iloc[:end]
        kept = screened(before, place[:end] >= start, about.time_unit, doubted[:end])
        changes = change_points(SimpleNamespace(frame=before[kept], about=about)).table["period"]
        starts = [start, *(p for p in sorted(series.index[series["period"].isin(changes)]) if p > start)]
        stretches = list(zip(starts, [*starts[1:], end], strict=True))
        long = [s for s in stretches if s[1] - s[0] >= ENOUGH]
        start, end = long[-1] if long else max(stretches, key=lambda s: s[1] - s[0])
    return screened(series, (place >= start) & (place < end), about.time_unit, doubted)
