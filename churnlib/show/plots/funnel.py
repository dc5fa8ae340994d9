"""A funnel: many units by their size, between the limits of what chance and usual differences would do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from churnlib import text
from churnlib.show.plots.canvas import end_labels, put, said, scale, sheet, span, styled, to_pixels, value_axis
from churnlib.show.plots.labels import LINE, SIZE, SMALL, widest, width
from churnlib.show.plots.palette import PALETTE

MOST_NAMED = 12  # marked units whose names are written


@styled
def funnel(
    sizes_of_units: Sequence[float],
    values: Sequence[float],
    labels: Sequence[str],
    *,
    marked: Sequence[int],
    centre: float,
    centre_label: str,
    sizes: Sequence[float],
    inner: Sequence[Sequence[float]],
    outer: Sequence[Sequence[float]],
    size_label: str,
    kind: str = "pct",
    height: float = 340,
    ax=None,
):
    """Draw units by size and rate, with the limits of the funnel; marked units are named.

    Parameters
    ----------
    sizes_of_units, values : sequence of float
        One a unit.
    labels : sequence of str
    marked : sequence of int
        1 above the outer limits, -1 below, 0 within.
    centre : float
        The rate of all units, drawn as a line with `centre_label`.
    sizes : sequence of float
        Where the limits are given, ascending.
    inner, outer : pair of sequences
        Lower and upper limits at those sizes.
    size_label : str
        What the horizontal axis measures.

    Returns
    -------
    matplotlib.axes.Axes
    """
    x, y, marks = np.asarray(sizes_of_units, float), np.asarray(values, float), np.asarray(marked, int)
    top = np.percentile(np.asarray(outer[1]), 90)  # the narrow end of a funnel may be very wide
    axis = scale([*y, max(top, y.max(initial=0.0)), 0.0], kind, zero=True)
    edge = (text.say("plots.funnel_outer"), PALETTE["mute"], False)
    ends = [(outer[1][-1], *edge), (outer[0][-1], *edge)]
    ends.append((centre, f"{centre_label} {said(centre, kind)}", PALETTE["ink"], True))
    right = widest([label for _, label, *_ in ends], SIZE, bold=True) + 18
    ax = sheet(height, axis.room, right, 14, 52, ax)
    ax.set_xscale("log")
    ax.set_xlim(sizes[0], sizes[-1])
    value_axis(ax, axis)
    ax.fill_between(sizes, *outer, color=PALETTE["shade"], linewidth=0, zorder=1)
    ax.fill_between(sizes, *inner, color=PALETTE["band"], linewidth=0, zorder=2)
    ax.axhline(centre, color=PALETTE["ink"], linewidth=1.2, zorder=3)
    for side, role in ((0, "plain"), (1, "worse"), (-1, "better")):
        ax.plot(x[marks == side], y[marks == side], "o", ms=8, color=PALETTE[role], mec=PALETTE["paper"], zorder=4)
    _size_axis(ax, sizes, size_label)
    _name(ax, x, y, labels, marks)
    end_labels(ax, ends)
    return ax


def _size_axis(ax, sizes: Sequence[float], label: str) -> None:
    low, high = sizes[0], sizes[-1]
    for multiples in ((1, 2, 5), range(1, 10), np.arange(1, 10, 0.1)):  # the finer, the narrower the range
        at = [m * 10.0**k for k in range(9) for m in multiples if low <= m * 10.0**k <= high]
        if len(at) > 2:
            break
    at = at[:: max(1, -(-len(at) // 8))] or [low]
    ax.set_xticks(at, labels=[""] * len(at))
    ax.minorticks_off()
    for place in at:
        words = text.show(place, "number", digits=0)
        put(ax, words, place, 0, "x", dy=-8, va="top", ha="center", fontsize=SMALL, color=PALETTE["mute"])
    how = {"va": "top", "ha": "right", "fontsize": SMALL, "color": PALETTE["mute"]}
    put(ax, label, 1, 0, "axes", dy=-8 - LINE, **how)


def _name(ax, x, y, labels, marks) -> None:
    """Write the names of marked units beside their points, where no other name is in the way."""
    wide, up = span(ax)[0], to_pixels(ax, y)
    low, high = np.log(ax.get_xlim())
    across = (np.log(x) - low) / (high - low) * wide
    taken: list[tuple[float, float, float]] = []
    shown = [i for i in np.argsort(-np.abs(y - np.median(y))) if marks[i]][:MOST_NAMED]
    for i in shown:
        size = width(labels[i], SMALL) + 4
        left = across[i] + 10 + size > wide
        begin = across[i] - 10 - size if left else across[i] + 10
        if any(abs(up[i] - h) < LINE - 3 and begin < e and s < begin + size for s, e, h in taken):
            continue
        taken.append((begin, begin + size, up[i]))
        side = {"dx": -9, "ha": "right"} if left else {"dx": 9, "ha": "left"}
        put(ax, labels[i], x[i], y[i], halo=True, fontsize=SMALL, **side)
