"""How much of a curve may be shown: no reading, and no step between two, may tell of a handful of churned customers."""

from __future__ import annotations

import numpy as np
import pandas as pd


def merge_small_steps(lost: np.ndarray, k: int, together: bool = False, anchors=None) -> np.ndarray:
    """Choose the readings that may be shown: none may tell of 1 to k - 1 churned customers since the one before.

    Where just one level would be withheld at a reading, the next smallest is withheld with it: all customers together
    are shown too, and the one would follow by subtraction. Readings that are also shown by themselves (the anchors) are
    chosen first and among themselves; the others have to fit between them.

    Parameters
    ----------
    lost : numpy.ndarray, shape (G, M)
        Churned up to each reading; NaN where a level's curve is not shown at all.
    k : int
    together : bool
        Whether a reading is shown for all or for none: the outcomes of one curve, which add up to it.
    anchors : numpy.ndarray of bool, shape (M,), optional

    Returns
    -------
    numpy.ndarray of bool, shape (G, M)
    """
    chosen, ahead = np.zeros(lost.shape[1], bool), np.full(lost.shape, np.nan)
    keep = np.zeros(lost.shape, bool)
    if anchors is not None and anchors.any():
        chosen = anchors
        keep[:, chosen] = merge_small_steps(lost[:, chosen], k, together)
        ahead = pd.DataFrame(np.where(keep, lost, np.nan)).bfill(axis=1).to_numpy()
    last = np.zeros(len(lost))
    for m in range(lost.shape[1]):
        known, since, left = ~np.isnan(lost[:, m]), lost[:, m] - last, ahead[:, m] - lost[:, m]
        if not chosen[m]:
            risky = known & (((since > 0) & (since < k)) | ((left > 0) & (left < k)))
            others = np.flatnonzero(known & ~risky & (since > 0))
            if together and risky.any():
                risky[:] = True
            elif risky.sum() == 1 and len(others):
                risky[others[np.argmin(since[others])]] = True
            keep[:, m] = known & ~risky
        last = np.where(keep[:, m], lost[:, m], last)
    return keep


def hide_partners(lost: np.ndarray, hidden: np.ndarray, read: np.ndarray) -> np.ndarray:
    """Hide a second number wherever just one is hidden between two readings of the running total: the next smallest.

    Parameters
    ----------
    lost : numpy.ndarray, shape (G, M)
        What was lost in each step; NaN where nothing is shown.
    hidden : numpy.ndarray of bool, shape (G, M)
        Steps that may not be shown.
    read : numpy.ndarray of bool, shape (G, M)
        Whether the total is shown after the step (see `merge_small_steps`).

    Returns
    -------
    numpy.ndarray of bool, shape (G, M)
    """
    out = hidden.copy()
    for g, row in enumerate(lost):
        span = np.r_[0, read[g].cumsum()[:-1]]  # a reading ends its span
        for each in np.unique(span[hidden[g]]):
            others = np.flatnonzero((span == each) & ~hidden[g] & (row > 0))
            if hidden[g][span == each].sum() == 1 and len(others):
                out[g, others[np.argmin(row[others])]] = True
    return out
