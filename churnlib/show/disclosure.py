"""The one gate before findings, plots and files: what is too small to be reliable, and what would give a person away.

Two thresholds, declared in dataset.yml: `min_denominator` (a rate of fewer customers is not shown: it says nothing) and
`privacy_k` (a count of 1 to k - 1 is hidden, with whatever would give it back: see `churnlib.handfuls`).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from churnlib.about import About
from churnlib.handfuls import is_risky, with_partners

SHOWN, SMALL, HIDDEN = "", "small", "hidden"


def protect(
    table: pd.DataFrame,
    about: About,
    *,
    hides: tuple[str, ...],
    count: str = "n_churned_opening",
    base: str = "n_opening",
    within: tuple[str, ...] = (),
    across: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Hide what may not be shown.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per cell.
    count, base : str
        Columns with the cell's count (the events) and its denominator, in customers.
    hides : tuple of str
        Columns from which the count could be told (the count, its rate, the interval).
    within : tuple of str
        Columns within which the cells add up to a published total; empty when no total is published, "all" (or any
        name that is no column) for one total of all cells.
    across : tuple of str
        Of a two-way table, the columns of the other margin's totals.

    Returns
    -------
    pandas.DataFrame
        The same rows; `flag` is "" (shown), "small" (below the minimum denominator) or "hidden" (privacy), and the
        columns `hides` are missing wherever it is not "".
    """
    out = table.copy()
    n, d = out[base].to_numpy(float), out[count].to_numpy(float)
    risky = is_risky(n, d, about.privacy_k) | _withheld(out, about)
    margins = [[out[c] if c in out else out[base] * 0 for c in names] for names in (within, across) if names]
    hidden = with_partners(risky, n, d, margins)
    flag = np.where(hidden, HIDDEN, np.where(n < about.min_denominator, SMALL, SHOWN))
    out["flag"] = flag
    for column in hides:
        if column in out.columns:
            out[column] = out[column].astype(float).where(flag == SHOWN)
    return out


def _withheld(table: pd.DataFrame, about: About) -> np.ndarray:
    """Tell for each row whether other tables of the report, or of its release, would give it back."""
    if not about.withheld:
        return np.zeros(len(table), dtype=bool)
    levels = table["level"] if "level" in table and about.segment.name else [""] * len(table)
    periods = table["period"] if "period" in table else [about.period] * len(table)
    cells = zip(levels, map(str, periods), strict=True)
    held = np.array([(about.segment.name, level, period) in about.withheld for level, period in cells], dtype=bool)
    # a level tells of the total that is hidden
    return held | held_back(about, table["period"]) if "period" in table else held


def in_tens(n: pd.Series | float, about: About) -> pd.Series | float:
    """Round a sum of customers who came new where those of single periods are hidden: the sum would give one back."""
    return 10 * np.rint(n / 10) if any(cell == ("", "new", cell[2]) for cell in about.withheld) else n


def held_back(about: About, periods: Iterable[object], cell: str = "") -> np.ndarray:
    """Tell for each period whether a number of all its customers is hidden: see `About.withheld` for its names."""
    return np.array([("", cell, str(period)) in about.withheld for period in periods], dtype=bool)
