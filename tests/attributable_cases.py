"""Panels made by hand or simulated as counts, for tests of attributable losses."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from counted import ABOUT, months

from churnlib.counts.drivers import Factor
from churnlib.counts.panel import PanelCounts
from churnlib.text import Label

GROUPS = ("price", "service", "product", "access")


def counted(rows: pd.DataFrame, sizes: dict[str, int], groups: dict[str, str]) -> PanelCounts:
    """Make panel counts of rows with one column per factor, `block`, `n_at_risk` and `n_churned`."""
    names = list(sizes)
    keys = rows.groupby(names, sort=True).ngroup().to_numpy()
    patterns = rows[names].groupby(names, sort=True).size().reset_index()[names]
    factors = tuple(Factor(n, Label(n, n), tuple(map(str, range(k))), groups.get(n, "")) for n, k in sizes.items())
    frame = pd.DataFrame({"pattern": keys, **{c: rows[c].to_numpy() for c in ("block", "n_at_risk", "n_churned")}})
    return PanelCounts(
        frame, ABOUT, ("pattern", "block"), ("pattern", "block"), patterns, factors, tuple(months(sizes["month"]))
    )


def simulated(
    rng, excess=(1.0, 0.6, 0.0), *, multiplies=False, overlap=0.2, size=40, n_months=12, n_segments=3, n_blocks=50
) -> tuple[PanelCounts, np.ndarray]:
    """Simulate a year of months and segments in which drivers add to (or multiply) a monthly hazard of about 2 %.

    Returns
    -------
    PanelCounts
        About `size` customer-months in each month, segment and block.
    numpy.ndarray
        Losses expected from each driver, by its share of the hazard.
    """
    shape = (n_months, n_segments, *(2,) * len(excess))
    grid = pd.DataFrame(list(np.ndindex(*shape)), columns=["month", "segment", *(f"d{j}" for j in range(len(excess)))])
    x = grid[[f"d{j}" for j in range(len(excess))]].to_numpy(float)
    met = np.full(len(grid), 1.0)
    for j in range(x.shape[1]):  # later drivers meet more of those whom the first one meets
        chance = np.where(x[:, 0] > 0, max(overlap, 0.15), 0.15) if j else np.full(len(grid), 0.15)
        met *= np.where(x[:, j] > 0, chance, 1 - chance)
    base = 0.02 * np.exp(0.2 * np.sin(grid["month"]) + 0.15 * grid["segment"])
    rates = np.array(excess)
    factor = np.prod((1 + rates) ** x, axis=1) if multiplies else 1 + x @ rates
    chance = -np.expm1(-base * np.maximum(factor, 0.01))
    cells = SimpleNamespace(n=rng.poisson(size * met[:, None], (len(grid), n_blocks)))
    cells.y = rng.binomial(cells.n, chance.to_numpy()[:, None])
    effects = x * (np.log1p(rates) if multiplies else rates)  # where they overlap, each has its part of the whole
    parts = np.divide(
        effects, effects.sum(axis=1, keepdims=True), out=np.zeros_like(x), where=effects.sum(axis=1, keepdims=True) != 0
    )
    share = parts * (np.exp(-base) - np.exp(-base * np.maximum(factor, 0.01))).to_numpy()[:, None]
    at, block = np.nonzero(cells.n)
    rows = grid.iloc[at].assign(block=block, n_at_risk=cells.n[at, block], n_churned=cells.y[at, block])
    sizes = {"month": n_months, "segment": n_segments} | {f"d{j}": 2 for j in range(len(excess))}
    groups = {f"d{j}": GROUPS[j] for j in range(len(excess))}
    return counted(rows, sizes, groups), (share * cells.n.sum(axis=1)[:, None]).sum(axis=0)
