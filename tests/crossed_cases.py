"""Businesses simulated by combination of levels and month: what `crossed_counts` would have counted."""

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
from counted import ABOUT, months

from churnlib.about import Segment
from churnlib.text import Label

SEGMENTS = {
    "region": ("east", "north", "south", "west", "centre"),
    "payment": ("prepaid", "postpaid"),
    "age": ("young", "adult", "old"),
    "tenure": ("0-6", "6-24", "24+"),
}


def segment(name: str, levels) -> Segment:
    return Segment(name, Label(name, name), tuple(levels), tuple(Label(level, level) for level in levels))


def counts(frame: pd.DataFrame, segments: dict, period=None):
    """Give a frame the form of `crossed_counts`."""
    told = tuple(segment(name, levels) for name, levels in segments.items())
    about = replace(ABOUT, segment=told[0], **({"period": period} if period else {}))
    if "is_complete" not in frame:
        frame = frame.assign(is_complete=True)
    return SimpleNamespace(frame=frame, about=about, segments=told)


def simulate(
    rng, n_months=37, customers=20_000, risk=0.018, noise=0.1, extra=None, last="2025-12", own=0.0, segments=None
):
    """Simulate losses by month and cell.

    Parameters
    ----------
    noise, own : float
        Standard deviation of each month's logit, shared by all and for each level of region.
    extra : callable, optional
        (month from the end, dict of levels) -> factor of the rate.

    Returns
    -------
    counts, expected : the counts, and the frame's losses expected without the months' noise
    """
    segments = segments or SEGMENTS
    cells = pd.DataFrame(list(product(*segments.values())), columns=list(segments))
    size = rng.dirichlet(np.full(len(cells), 3.0)) * customers
    base = risk * np.exp(rng.normal(0, 0.2, len(cells)))
    base *= risk / (base @ size / size.sum())
    shape, first = (n_months, len(cells)), next(iter(segments))
    n = rng.poisson(size * np.exp(rng.normal(0, 0.03, shape)))
    rate = np.tile(base, (n_months, 1))
    if extra is not None:
        rows = cells.to_dict("records")
        rate = rate * [[extra(n_months - 1 - i, row) for row in rows] for i in range(n_months)]
    place = cells[first].map({level: k for k, level in enumerate(segments[first])}).to_numpy()
    shock = rng.normal(0, noise, (n_months, 1)) + rng.normal(0, own, (n_months, len(segments[first])))[:, place]
    lost = rng.binomial(n, 1 / (1 + (1 - rate) / rate * np.exp(-shock)))
    frame = pd.concat([cells] * n_months, ignore_index=True)
    frame = frame.assign(period=np.repeat(months(n_months, last), len(cells)), n_opening=n.ravel())
    frame = frame.assign(n_churned_opening=lost.ravel(), expected=(n * rate).ravel())
    frame = frame[frame["n_opening"] > 0].reset_index(drop=True)
    return counts(frame.drop(columns="expected"), segments), frame
