"""Which counts would give a person away, and what is hidden with them so that none can be worked out.

The rules alone, on plain frames: counting and showing both go by them (`show.disclosure` is the gate). Where one hidden
cell could be had by subtraction from its total, a second one is hidden with it (secondary suppression; Hundepool et al.
2012, Statistical Disclosure Control, ch. 4).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from churnlib.about import YEAR, About, Period

_COARSER = {"month": "quarter", "quarter": "year"}
_STRETCH = {"week": 4, "month": 3, "quarter": 4, "year": 2}  # periods: of these are the windows that chapters sum over


def is_risky(n: np.ndarray, d: np.ndarray, k: int) -> np.ndarray:
    """Tell for each cell of `d` events among `n` customers whether it could give a person away."""
    few = ((d > 0) & (d < k)) | ((n > 0) & (n < k))
    # the complement gives a person away just as well: all but one of the customers left
    return few | ((n - d > 0) & (n - d < k) & (d > 0))


def with_partners(
    risky: np.ndarray, n: np.ndarray, d: np.ndarray, margins: list[list[pd.Series]], least: int = 0
) -> np.ndarray:
    """Hide further cells until none can be had by subtraction from a total.

    Parameters
    ----------
    risky : array of bool
        One a cell.
    n, d : array
        Its customers and events.
    margins : list of list of pandas.Series
        For each kind of total, the columns that name it.
    least : int
        Events that the hidden cells of a total have to add up to, where they can.
    """
    hidden, before = risky, None
    while before is None or (hidden != before).any():  # a partner in its row may stand alone in its column
        before = hidden
        for keys in margins:
            hidden = _with_partners(hidden, n, d, keys, least)
    return hidden


def _with_partners(risky: np.ndarray, n: np.ndarray, d: np.ndarray, keys: list[pd.Series], least: int) -> np.ndarray:
    """Hide one more where one cell alone, or too few events, are hidden in a total: the one with the smallest count."""
    hidden = risky.copy()
    groups = pd.DataFrame({str(i): key.to_numpy() for i, key in enumerate(keys)}).groupby(
        [str(i) for i in range(len(keys))]
    )
    for rows in groups.indices.values():
        lone = [i for i in rows if risky[i]]
        others = [i for i in rows if not risky[i] and n[i] > 0]
        too_few = lone and d[lone].sum() < least and d[others].any()
        if others and (len(lone) == 1 or too_few):
            hidden[min(others, key=lambda i: (d[i] == 0, d[i], n[i]))] = True
    return hidden


def hidden_in_books(books: pd.DataFrame, about: About) -> dict[str, np.ndarray]:
    """Tell which flows of all customers are hidden, so that no chapter gives back what another one hides.

    The books give each flow from the others: opening + new + reactivated - churned = closing, and openings are shown
    everywhere. So where a handful left, of all or of the new, who came back is hidden with them; where so few come back
    that they hide nothing, who came new, and the cohort of the period. Quarters, the windows up to the report's period
    and the sums of everything give one period from those around it. So none is hidden alone.

    Parameters
    ----------
    books : pandas.DataFrame
        One row per period, in order: `period`, `is_complete`, `n_opening`, `n_new`, `n_reactivated`, `n_churned`,
        `n_churned_opening`, `n_churned_new`.
    about : About

    Returns
    -------
    dict
        Flow -> whether it is hidden, one value a period.
    """
    flows = ("opening", "churned_opening", "churned", "churned_new", "reactivated")
    opening, of_opening, of_all, of_new, back = (books[f"n_{flow}"].to_numpy(float) for flow in flows)
    k, unit, margins = about.privacy_k, about.period.unit, _stretches(books, about.period)
    own = (books["period"] == str(about.period)).to_numpy()

    def closed(risky: np.ndarray, by: np.ndarray = of_all, margins: list = margins) -> np.ndarray:
        return with_partners(risky, opening, np.where(own, np.inf, by), margins, k)  # the report's own period last

    first = closed(is_risky(opening, of_opening, k))
    few_new = (of_new > 0) & (of_new < k) & (about.reported is None)  # told of by the report's own unit alone
    every = closed(first | is_risky(opening, of_all, k) | few_new)
    # all the churned are told in windows of the last year: what these leave open is how many came back in them
    whole, last_year = margins[0][0], margins[1][0].where(lambda step: step * _STRETCH[unit] < YEAR[unit])
    wider = closed(every, back, [[whole], [last_year]])
    came = pd.Series(np.where(wider, back, np.nan))
    is_enough = all((came.groupby(keys).sum(min_count=1).dropna() >= k).all() for keys in (whole, last_year))
    every = wider if is_enough else every
    hidden = {"n_churned_opening": first, "n_churned": every, "n_churned_new": every}
    return hidden | {"n_reactivated": every & is_enough, "n_new": every & (not is_enough)}


def _stretches(books: pd.DataFrame, own: Period) -> list[list[pd.Series]]:
    """Name the sums that a period is part of: of all, of its stretch counted from the report's own, of its quarter."""
    periods, complete = [Period.parse(p) for p in books["period"]], books["is_complete"].to_numpy(bool)
    last = periods.index(own) if own in periods else len(periods) - 1
    steps = (last - np.arange(len(periods))) // _STRETCH[own.unit]
    steps -= steps == steps[0] if (steps == steps[0]).sum() == 1 else 0  # no period is left over at the start
    sums = [pd.Series("", range(len(periods))), pd.Series(steps).where(complete)]
    if own.unit in _COARSER:
        coarser = pd.Series([str(Period.containing(p.first, _COARSER[own.unit])) for p in periods])
        sums.append(coarser.where(coarser.map(coarser.value_counts()) == coarser.value_counts().max()))
    return [[keys] for keys in sums]


def withheld(books: pd.DataFrame, about: About) -> frozenset[tuple[str, str, str]]:
    """Name what `hidden_in_books` hides as cells of `About.withheld`."""
    hidden = hidden_in_books(books, about)
    return frozenset(
        ("", cell, period)
        for cell, flow in (("", "n_churned_opening"), ("churned", "n_churned"), ("new", "n_new"))
        for period in books.loc[hidden[flow], "period"]
    )
