"""The one gate before findings, plots and files: what is too small to be reliable, and what would give a person away.

Two thresholds, declared in dataset.yml: `min_denominator` (a rate of fewer customers is not shown: it says nothing) and
`privacy_k` (a count of 1 to k - 1 is hidden). Where one hidden cell could be had by subtraction from its total, a
second one is hidden with it (secondary suppression; Hundepool et al. 2012, Statistical Disclosure Control, ch. 4).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from churnlib.about import About

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


def is_risky(n: np.ndarray, d: np.ndarray, k: int) -> np.ndarray:
    """Tell for each cell of `d` events among `n` customers whether it could give a person away."""
    few = ((d > 0) & (d < k)) | ((n > 0) & (n < k))
    # the complement gives a person away just as well: all but one of the customers left
    return few | ((n - d > 0) & (n - d < k) & (d > 0))


def _withheld(table: pd.DataFrame, about: About) -> np.ndarray:
    """Tell for each row whether the release that this report is a part of must not show it (`About.withheld`)."""
    if not about.withheld:
        return np.zeros(len(table), dtype=bool)
    levels = table["level"] if "level" in table and about.segment.name else [""] * len(table)
    periods = table["period"] if "period" in table else [about.period] * len(table)
    cells = zip(levels, periods, strict=True)
    return np.array([(about.segment.name, level, str(period)) in about.withheld for level, period in cells], dtype=bool)


def with_partners(risky: np.ndarray, n: np.ndarray, d: np.ndarray, margins: list[list[pd.Series]]) -> np.ndarray:
    """Hide further cells until none can be had by subtraction from a total.

    Parameters
    ----------
    risky : array of bool
        One a cell.
    n, d : array
        Its customers and events.
    margins : list of list of pandas.Series
        For each kind of total, the columns that name it.
    """
    hidden, before = risky, None
    while before is None or (hidden != before).any():  # a partner in its row may stand alone in its column
        before = hidden
        for keys in margins:
            hidden = _with_partners(hidden, n, d, keys)
    return hidden


def _with_partners(risky: np.ndarray, n: np.ndarray, d: np.ndarray, keys: list[pd.Series]) -> np.ndarray:
    """Hide a second cell wherever exactly one is hidden in a total: the one with the smallest count."""
    hidden = risky.copy()
    groups = pd.DataFrame({str(i): key.to_numpy() for i, key in enumerate(keys)}).groupby(
        [str(i) for i in range(len(keys))]
    )
    for rows in groups.indices.values():
        lone = [i for i in rows if risky[i]]
        others = [i for i in rows if not risky[i] and n[i] > 0]
        if len(lone) == 1 and others:
            hidden[min(others, key=lambda i: (d[i] == 0, d[i], n[i]))] = True
    return hidden
