"""Figures over tenure: step curves with the customers at risk, cohorts, stacked outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from churnlib import text
from churnlib.show.plots.canvas import (
    WIDTH,
    Scale,
    end_labels,
    finite,
    numbers,
    put,
    scale,
    sheet,
    span,
    styled,
    value_axis,
)
from churnlib.show.plots.labels import LINE, SIZE, SMALL, widest, width
from churnlib.show.plots.palette import HEAT, PALETTE, SERIES

POINTS = 200  # of a drawn curve, at most
CELL = 58  # widest cell of a heat map
HATCHES = {"partly": "////", "open": "---"}


@dataclass(frozen=True)
class Curve:
    """A step curve: `y[i]` holds from `x[i]` on.

    Attributes
    ----------
    name : str
    x, y, lower, upper : sequence of float
        Ascending times; the curve and its band. They end where too few customers are at risk.
    at_risk : sequence of int or None
        Customers at risk at each of the figure's ticks; None (hidden, or beyond the data) is written as "·".
    said : str
        Written after the name at the curve's end, such as its last value.
    role : str
        What it is among the others: "ink" the actual, "mute" what they are compared with; "" one of several.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    lower: Sequence[float] | None = None
    upper: Sequence[float] | None = None
    at_risk: Sequence[int | None] = ()
    said: str = ""
    role: str = ""


@styled
def steps(
    curves: Sequence[Curve],
    *,
    ticks: Sequence[float],
    tick_labels: Sequence[str] | None = None,
    x_label: str = "",
    kind: str = "pct",
    zero: bool = True,
    end: float | None = None,
    height: float = 300,
    ax=None,
):
    """Draw survival or incidence curves with bands, named at their ends, over the table of customers at risk.

    Parameters
    ----------
    curves : sequence of Curve
        At most five.
    ticks : sequence of float
        Times labelled on the axis; each curve's `at_risk` has one number a tick.
    x_label : str
        What the axis counts, with its unit.
    end : float, optional
        Right end of the axis; the last tick if not given.

    Returns
    -------
    matplotlib.axes.Axes
    """
    names, series = [f"{curve.name} {curve.said}".strip() for curve in curves], iter(SERIES)
    roles = ["ink"] if len(curves) == 1 else [curve.role or next(series) for curve in curves]
    colors = [PALETTE[role] for role in roles]
    axis = scale([v for c in curves for s in (c.y, c.lower, c.upper) if s is not None for v in s], kind, zero=zero)
    if zero and kind == "pct" and axis.high > 1:
        axis = Scale(0.0, 1.0, (0, 0.2, 0.4, 0.6, 0.8, 1.0), tuple(text.show(v / 5, kind, digits=0) for v in range(6)))
    has_table = any(len(curve.at_risk) for curve in curves)
    table_names = [curve.name for curve in curves] if len(curves) > 1 else [text.say("plots.customers")]
    first = widest([text.show(v, "number", digits=0) for c in curves for v in c.at_risk[:1]], SMALL)
    left = max(axis.room, widest(table_names, SMALL) + first / 2 + 18 if has_table else 0)
    foot = 30 + LINE + (LINE * (len(curves) + 1) + 14 if has_table else 0)
    right = max(widest(names, SIZE, bold=True) + 20, 40)
    ax = sheet(height + foot, left, right, 10, foot, ax)
    ax.set_xlim(0, end if end is not None else ticks[-1])
    value_axis(ax, axis)
    for curve, color in zip(curves, colors, strict=True):
        _draw_curve(ax, curve, color)
    ends = zip(curves, names, colors, strict=True)
    end_labels(ax, [(curve.y[-1], name, color, True) for curve, name, color in ends])
    _tenure_axis(ax, ticks, tick_labels, x_label)
    if has_table:
        _at_risk(ax, curves, table_names, colors, ticks)
    return ax


def _draw_curve(ax, curve: Curve, color: str) -> None:
    x, y = np.asarray(curve.x, float), np.asarray(curve.y, float)
    keep = _thin(x)
    if curve.lower is not None and curve.upper is not None:
        low, high = np.asarray(curve.lower, float)[keep], np.asarray(curve.upper, float)[keep]
        ax.fill_between(x[keep], low, high, step="post", color=color, alpha=0.16, linewidth=0, zorder=2)
    ax.step(x[keep], y[keep], where="post", color=color, linewidth=2, zorder=3)
    right = ax.get_xlim()[1]
    if x[-1] < right:  # the eye needs a guide from a curve that ends early to its name
        ax.hlines(y[-1], x[-1], right, color=color, linewidth=0.8, linestyle=(0, (1, 3)), zorder=1)


def _thin(x: np.ndarray) -> np.ndarray:
    """Give the indices of at most `POINTS` points, evenly spread over the axis, the ends among them."""
    if len(x) <= POINTS:
        return np.arange(len(x))
    wanted = np.searchsorted(x, np.linspace(x[0], x[-1], POINTS), side="right") - 1
    return np.unique(np.r_[0, wanted, len(x) - 1])


def _tenure_axis(ax, ticks: Sequence[float], labels: Sequence[str] | None, x_label: str) -> None:
    said = labels or [f"{tick:g}" for tick in ticks]
    ax.set_xticks(list(ticks), labels=[""] * len(ticks))
    for tick, label in zip(ticks, said, strict=True):
        put(ax, label, tick, 0, "x", dy=-8, va="top", ha="center", fontsize=SMALL, color=PALETTE["mute"])
    put(ax, x_label, 1, 0, "axes", dy=-8 - LINE, va="top", ha="right", fontsize=SMALL, color=PALETTE["mute"])


def _at_risk(ax, curves: Sequence[Curve], names: Sequence[str], colors: Sequence[str], ticks: Sequence[float]) -> None:
    """Write the customers at risk under the same axis, one row a curve in the curve's colour."""
    head = -8 - 2 * LINE
    how = {"va": "top", "fontsize": SMALL}
    left = -ax.get_position().x0 * ax.figure.get_size_inches()[0] * 72 + 2
    put(ax, text.say("plots.at_risk"), 0, 0, "axes", dx=left, dy=head, ha="left", color=PALETTE["mute"], **how)
    room = min(np.diff(sorted(ticks)), default=1) / (ax.get_xlim()[1] - ax.get_xlim()[0]) * span(ax)[0]
    shown = [[text.show(v, "number", digits=0) if v is not None else "·" for v in curve.at_risk] for curve in curves]
    every = max(1, int(np.ceil((max(widest(row, SMALL) for row in shown) + 8) / room)))
    for k, (row, name, color) in enumerate(zip(shown, names, colors, strict=True)):
        put(ax, name, 0, 0, "axes", dx=left, dy=head - LINE * (k + 1), ha="left", color=color, **how)
        for i in range(0, len(row), every):
            put(ax, row[i], ticks[i], 0, "x", dy=head - LINE * (k + 1), ha="center", color=color, **how)


@styled
def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    states: Sequence[Sequence[str]],
    *,
    n: Sequence[int | None] = (),
    row_header: str = "",
    column_header: str = "",
    footer: tuple[str, Sequence[float | None]] | None = None,
    kind: str = "pct",
    digits: int = 0,
    ax=None,
):
    """Draw a table of coloured cells: cohorts by age.

    Parameters
    ----------
    rows, columns : sequence of str
        Names of the cohorts (first on top) and of the ages.
    values : one sequence a row
        Shown, without the unit, in cells whose state is "complete"; also, in grey on hatching, in "partly" ones.
    states : one sequence a row of {"complete", "partly", "open", "empty", "small"}
        Partly observed cells are hatched, open ones ruled, "small" ones show "·", "empty" ones nothing.
    n : sequence of int, optional
        Customers of each row, written beside its name.
    footer : (name, values), optional
        A last row, set off: the mean of the columns.

    Returns
    -------
    matplotlib.axes.Axes
    """
    grid = np.array([numbers(row, len(columns)) for row in values]).reshape(len(rows), len(columns))
    high = 26 if len(rows) <= 18 else 22 if len(rows) <= 26 else 19
    sizes = [text.show(v, "number", digits=0) for v in n]
    n_room = max(widest(sizes, SMALL), width(text.say("plots.customers"), SMALL)) + 16 if sizes else 0
    left = max(widest([*rows, footer[0] if footer else ""], SMALL), width(row_header, SMALL)) + n_room + 14
    bottom = high + 12 if footer else 6
    right = max(6, WIDTH - left - CELL * len(columns))
    ax = sheet(len(rows) * high + 44 + bottom, left, right, 44, bottom, ax)
    ax.set_xlim(0, len(columns))
    ax.set_ylim(len(rows), 0)
    ax.set_axis_off()
    room = span(ax)[0] / len(columns)
    known = finite(grid.ravel())
    bounds = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    for i, row in enumerate(grid):
        for j, value in enumerate(row):
            _cell(ax, j, i, value, states[i][j], bounds, room, kind, digits)
    _heads(ax, rows, sizes, columns, room, n_room, row_header, column_header)
    if footer:
        name, means = footer
        base = len(rows) + 10 / high
        put(ax, name, 0, base + 0.5, dx=-10 - n_room, ha="right", fontsize=SMALL, fontweight="bold")
        for j, value in enumerate(numbers(means, len(columns))):
            _cell(
                ax, j, base, value, "complete" if np.isfinite(value) else "empty", bounds, room, kind, digits, bold=True
            )
    return ax


def _cell(ax, x, y, value, state, bounds, room, kind, digits, bold: bool = False) -> None:
    """One cell: its colour or hatching, and what is written in it."""
    from matplotlib.patches import Rectangle

    if state == "empty":
        return
    filled = state == "complete" and np.isfinite(value)
    hatched = state in HATCHES
    low, high = bounds
    step = int(np.clip((value - low) / ((high - low) or 1) * len(HEAT), 0, len(HEAT) - 1)) if filled else 0
    face = HEAT[step] if filled else "none" if hatched else PALETTE["shade"]
    edge = {"hatch": HATCHES[state], "edgecolor": PALETTE["axis"]} if hatched else {"edgecolor": "none"}
    inset = 0.75 / room
    ax.add_artist(
        Rectangle((x + inset, y + 0.03), 1 - 2 * inset, 0.94, facecolor=face, linewidth=0, clip_on=False, **edge)
    )
    said = "·" if state == "small" else _bare(value, kind, digits) if np.isfinite(value) and state != "open" else ""
    if said and width(said, SMALL) <= room - 1:
        color = PALETTE["ink"] if filled else PALETTE["mute"]
        put(
            ax,
            said,
            x + 0.5,
            y + 0.5,
            ha="center",
            fontsize=SMALL,
            color=color,
            fontweight="bold" if bold else "normal",
        )


def _bare(value: float, kind: str, digits: int) -> str:
    """A cell's number without its unit, which the subtitle names."""
    return text.show(value * 100 if kind == "pct" else value, "number", digits=digits)


def _heads(ax, rows, sizes, columns, room, n_room, row_header, column_header) -> None:
    """Name the rows with their customers, and the columns as far as they have room."""
    how = {"fontsize": SMALL, "color": PALETTE["mute"]}
    every = max(1, int(np.ceil((widest(columns, SMALL) + 6) / room)))
    for j in range(0, len(columns), every):
        put(ax, columns[j], j + 0.5, 0, dy=5, va="bottom", ha="center", **how)
    put(ax, column_header, 0, 0, dx=2, dy=7 + LINE, va="bottom", ha="left", **how)
    put(ax, row_header, 0, 0, dx=-10 - n_room, dy=5, va="bottom", ha="right", **how)
    if sizes:
        put(ax, text.say("plots.customers"), 0, 0, dx=-10, dy=5, va="bottom", ha="right", **how)
    for i, row in enumerate(rows):
        put(ax, row, 0, i + 0.5, dx=-10 - n_room, ha="right", fontsize=SMALL)
        if sizes:
            put(ax, sizes[i], 0, i + 0.5, dx=-10, ha="right", **how)


@styled
def stacked(
    x: Sequence[float],
    layers: Sequence[tuple[str, Sequence[float]]],
    *,
    ticks: Sequence[float],
    tick_labels: Sequence[str] | None = None,
    x_label: str = "",
    rest: str = "",
    kind: str = "pct",
    digits: int = 0,
    height: float = 270,
    ax=None,
):
    """Draw layers on top of each other, named at the right with their last value: cumulative incidence by outcome.

    Parameters
    ----------
    x : sequence of float
        Ascending times.
    layers : sequence of (name, values)
        From the bottom up; at most five.
    rest : str
        Name of what is left above them, up to 1 (still here), written at the top with its share.

    Returns
    -------
    matplotlib.axes.Axes
    """
    values = np.array([numbers(layer, len(x)) for _, layer in layers])
    tops = np.cumsum(values, axis=0)
    axis = scale(tops[-1], kind, zero=True)
    bottoms = np.vstack([np.zeros(len(x)), tops])[:-1]
    names = [f"{name} {text.show(v[-1], kind, digits=digits)}" for (name, _), v in zip(layers, values, strict=True)]
    left_over = f"{rest} {text.show(1 - tops[-1][-1], kind, digits=digits)}" if rest else ""
    ax = sheet(height + 48, axis.room, widest([*names, left_over], SIZE, True) + 20, 10, 48, ax)
    ax.set_xlim(x[0], x[-1])
    keep = _thin(np.asarray(x, float))
    for k, (low, high) in enumerate(zip(bottoms, tops, strict=True)):
        color = PALETTE[SERIES[k]]
        ax.fill_between(np.asarray(x)[keep], low[keep], high[keep], step="post", color=color, alpha=0.85, linewidth=0)
    value_axis(ax, axis)
    labels = [
        ((b[-1] + t[-1]) / 2, name, PALETTE[SERIES[k]], True)
        for k, (b, t, name) in enumerate(zip(bottoms, tops, names, strict=True))
    ]
    if rest:
        labels.append((axis.high, left_over, PALETTE["mute"], False))
    end_labels(ax, labels)
    _tenure_axis(ax, ticks, tick_labels, x_label)
    return ax
