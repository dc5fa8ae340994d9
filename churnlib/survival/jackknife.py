"""Intervals that allow for several spells, or any weight, of one customer: leave out one block of customers at a time.

Counts come in blocks of customers (customer code modulo 50), so that no customer row is needed. All spells of a
customer are in one block, and blocks are independent: what leaving one out changes measures the sampling error.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from churnlib.intervals import jackknife_variance
from churnlib.survival.estimators import product_limit
from churnlib.survival.lifetable import LifeTable, arrange


def without_each_block(frame: pd.DataFrame, life: LifeTable, prefix: str = "n") -> tuple[np.ndarray, np.ndarray]:
    """Give events and risk sets with each block left out in turn.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per level, block and tenure.
    life : LifeTable
        The same counts, arranged.
    prefix : {"n", "w"}
        Customers or their weights.

    Returns
    -------
    d, n : numpy.ndarray, shape (B, G, T)
    """
    blocks = sorted(frame["block"].unique())
    keyed = frame.assign(level=list(zip(frame["level"], frame["block"], strict=True)))
    parts = arrange(keyed, tuple((level, block) for block in blocks for level in life.levels), life.unit, prefix)
    shape = (len(blocks), len(life.levels), len(life.tenure))
    d, n = parts.n_events.reshape(shape), parts.n_at_risk.reshape(shape)
    return d.sum(axis=0) - d, n.sum(axis=0) - n


def log_survival_variance(frame: pd.DataFrame, life: LifeTable, prefix: str = "n") -> np.ndarray:
    """Give the variance of log survival, shape (G, T); not finite once a block's survival is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return jackknife_variance(np.log(product_limit(*without_each_block(frame, life, prefix)).survival))
