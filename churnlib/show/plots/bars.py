"""Figures with one row a group: bars from zero, dumbbells, forests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from churnlib import text
from churnlib.show.plots.canvas import finite, numbers, put, said, scale, sheet, span, styled, to_pixels
from churnlib.show.plots.labels import LINE, SIZE, SMALL, widest, width, wrap
from churnlib.show.plots.palette import PALETTE, TONES

ROW = 32  # height of a row in pixels
LABEL_ROOM = 230  # the widest label; longer ones break into two lines

Columns = Sequence[tuple[str, Sequence[str]]]


@styled
def bars(
    labels: Sequence[str],
    values: Sequence[float | None],
    *,
    lower: Sequence[float | None] | None = None,
    upper: Sequence[float | None] | None = None,
    tones: Sequence[str] | None = None,
    total: bool = False,
    reference: float | None = None,
    reference_label: str = "",
    columns: Columns = (),
    kind: str = "pct",
    digits: int | None = None,
    ax=None,
):
    """Draw horizontal bars from zero with intervals and values: a ranking, a Pareto, contributions and their total.

    Parameters
    ----------
    labels : sequence of str
        One a bar, the first on top.
    values, lower, upper : sequence of float
        A missing value is written as "—".
    tones : sequence of {"better", "worse", "steady", "actual", "previous"}, optional
        What each bar means; "steady" (a quiet slate) for all if not given.
    total : bool
        The last bar is the sum of the others: set off by a rule, in ink.
    reference : float, optional
        A value for comparison (all customers together), drawn as a dashed line with `reference_label`.
    columns : sequence of (heading, texts)
        Further figures at the right, one text a bar (customers, cumulative share).

    Returns
    -------
    matplotlib.axes.Axes
    """
    n = len(labels)
    x, low, high = numbers(values, n), numbers(lower, n), numbers(upper, n)
    words = [said(v, kind, digits) for v in x]
    head = LINE + 10 if reference is not None or any(name for name, _ in columns) else 4
    ax = _rows_sheet(labels, columns, head, 8, ax)
    _zero_based_limits(ax, np.fmin(x, low), np.fmax(x, high), words, reference)
    colors = [PALETTE[TONES[tone]] for tone in tones or ["steady"] * n]
    if total:
        colors[-1] = PALETTE["ink"]
        ax.axhline(0.5, color=PALETTE["axis"], linewidth=1, clip_on=False)
    at = _places(n)
    ax.barh(at, np.nan_to_num(x), height=0.56, color=colors, zorder=2)
    ax.hlines(at, low, high, color=PALETTE["ink"], linewidth=1.3, zorder=3)
    ax.axvline(0, color=PALETTE["ink"], linewidth=1, zorder=4)
    for i in range(n):
        left = x[i] < 0
        edge = 0.0 if np.isnan(x[i]) else np.fmin(x[i], low[i]) if left else np.fmax(x[i], high[i])
        bold = total and i == n - 1
        side = {"dx": -7, "ha": "right"} if left else {"dx": 7, "ha": "left"}
        put(ax, words[i], edge, at[i], halo=True, fontweight="bold" if bold else "normal", **side)
    if reference is not None:
        _reference_line(ax, reference, f"{reference_label} {said(reference, kind, digits)}".strip())
    return ax


def _places(n: int) -> np.ndarray:
    """The rows' heights: the first on top."""
    return np.arange(n)[::-1].astype(float)


def _rows_sheet(labels: Sequence[str], columns: Columns, top: float, bottom: float, ax, room: float = 0):
    """Axes with one row a label: labels at the left, columns of figures at the right."""
    rows = [wrap(label, LABEL_ROOM) for label in labels]
    left = max((widest(row) for row in rows), default=0) + 14
    widths = [max(widest(texts), width(name, SMALL)) + 22 for name, texts in columns]
    ax = sheet(max(len(labels), 1) * ROW + top + bottom, left, sum(widths) + 6 + room, top, bottom, ax)
    ax.set_ylim(-0.5, max(len(labels), 1) - 0.5)
    ax.set_yticks([])
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    for place, row in zip(_places(len(labels)), rows, strict=True):
        for k, part in enumerate(row):
            rise = (len(row) - 1) / 2 - k
            put(ax, part, 0, place, "y", dx=-12, dy=rise * (SIZE + 2), ha="right")
    edge = 6 + room
    for (name, texts), w in zip(columns, widths, strict=True):
        edge += w
        put(ax, name, 1, 1, "axes", dx=edge, dy=6, va="bottom", ha="right", fontsize=SMALL, color=PALETTE["mute"])
        for place, words in zip(_places(len(labels)), texts, strict=True):
            put(ax, words, 1, place, "y", dx=edge, ha="right", color=PALETTE["mute"])
    return ax


def _zero_based_limits(ax, low: np.ndarray, high: np.ndarray, words: Sequence[str], reference: float | None) -> None:
    """Set the limits so that the bars, their intervals and the values written beside them have room."""
    least, most = min([0.0, *finite(low)]), max([0.0, *finite(high), reference or 0.0])
    most = most if most > least else least + 1.0
    left = max((width(s, SIZE, True) + 12 for s, v in zip(words, low, strict=True) if v < 0), default=0.0)
    right = max((width(s, SIZE, True) + 12 for s, v in zip(words, high, strict=True) if not v < 0), default=0.0)
    pixel = (most - least) / max(span(ax)[0] - left - right, 50)
    ax.set_xlim(least - left * pixel, most + right * pixel)


def _reference_line(ax, value: float, label: str) -> None:
    """Draw a dashed vertical line and name it above, on the side where there is room."""
    ax.axvline(value, color=PALETTE["mute"], linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    low, high = ax.get_xlim()
    rest = (high - value) / (high - low) * span(ax)[0]
    side = "left" if rest > width(label, SMALL) else "right"
    put(ax, label, value, 1, "x", dy=6, va="bottom", ha=side, fontsize=SMALL, color=PALETTE["mute"])


@styled
def dumbbell(
    labels: Sequence[str],
    first: Sequence[float | None],
    second: Sequence[float | None],
    names: tuple[str, str],
    *,
    columns: Columns = (),
    kind: str = "pct",
    digits: int | None = 0,
    ax=None,
):
    """Draw two values a row joined by a line: stated beside revealed, before beside now.

    Parameters
    ----------
    labels : sequence of str
        One a row, the first on top.
    first, second : sequence of float
        Drawn as an open and as a filled point.
    names : (str, str)
        What they are, written above the first row in which both are known.

    Returns
    -------
    matplotlib.axes.Axes
    """
    n = len(labels)
    a, b = numbers(first, n), numbers(second, n)
    ax = _rows_sheet(labels, columns, LINE + 12, 34, ax)
    edges = [f"{names[0]} 100%", f"{names[1]} 100%"]  # room for the widest label at either end
    axis = scale([*a, *b], kind, zero=True)
    pixel = (axis.high - axis.low) / max(span(ax)[0] - 2 * widest(edges) * 0.5, 50)
    pad = widest(edges) * 0.5 * pixel
    ax.set_xlim(axis.low - pad * 0.4, axis.high + pad)
    _bottom_axis(ax, axis)
    at = _places(n)
    ax.hlines(at, np.fmin(a, b), np.fmax(a, b), color=PALETTE["previous"], linewidth=2, zorder=2)
    ax.plot(a, at, "o", ms=10, mfc=PALETTE["paper"], mec=PALETTE["ink"], mew=1.8, zorder=3)
    ax.plot(b, at, "o", ms=10, color=PALETTE["c1"], zorder=3)
    both = np.flatnonzero(np.isfinite(a) & np.isfinite(b))
    for i in range(n):
        for own, other, color in ((a, b, PALETTE["ink"]), (b, a, PALETTE["c1"])):
            if np.isfinite(own[i]):
                before = own[i] < other[i] or (own[i] == other[i] and own is a)
                side = {"dx": -10, "ha": "right"} if before else {"dx": 10, "ha": "left"}
                put(ax, said(own[i], kind, digits), own[i], at[i], color=color, **side)
    if both.size:
        _name_points(ax, names, (a[both[0]], b[both[0]]))
    return ax


def _name_points(ax, names: tuple[str, str], values: tuple[float, float]) -> None:
    """Name the two kinds of points above the rows, each outward from its point, within the axes and apart."""
    whole, gap = span(ax)[0], 10
    marked = [("○ " + names[0], values[0], PALETTE["ink"]), ("● " + names[1], values[1], PALETTE["c1"])]
    (left, low, left_color), (right, high, right_color) = marked if values[0] <= values[1] else reversed(marked)
    end, start = to_pixels(ax, [low, high], "x")
    start = min(max(start, max(end, width(left, SMALL)) + gap), whole - width(right, SMALL))
    end = min(max(end, width(left, SMALL)), start - gap)
    for name, place, ha, color in ((left, end, "right", left_color), (right, start, "left", right_color)):
        put(ax, name, place / whole, 1, "axes", dy=6, va="bottom", ha=ha, fontsize=SMALL, color=color)


def _bottom_axis(ax, it) -> None:
    """Label the value axis under the rows, with a vertical grid."""
    ax.set_xticks(it.at, labels=[""] * len(it.at))
    ax.tick_params(axis="x", length=0)
    ax.grid(True, axis="x")
    for place, label in zip(it.at, it.labels, strict=True):
        put(ax, label, place, 0, "x", dy=-8, va="top", ha="center", fontsize=SMALL, color=PALETTE["mute"])


@styled
def forest(
    labels: Sequence[str],
    values: Sequence[float | None],
    lower: Sequence[float | None],
    upper: Sequence[float | None],
    *,
    reference: float = 0.0,
    sides: tuple[str, str] = ("", ""),
    tones: Sequence[str] | None = None,
    columns: Columns = (),
    kind: str = "points",
    digits: int | None = 1,
    log: bool = False,
    ax=None,
):
    """Draw estimates with their intervals against a reference: effects, hazard ratios.

    Parameters
    ----------
    labels : sequence of str
        One a row, the first on top.
    reference : float
        "No effect": 0 for differences, 1 for ratios.
    sides : (str, str)
        What lies left and right of it, such as "fewer leave" and "more leave".
    tones : sequence of str, optional
        "better" or "worse" where the interval clears the reference; "steady" for all if not given.
    columns : sequence of (heading, texts)
        Figures at the right, one text a row; the estimate with its interval is always the first.
    log : bool
        Ratios on a logarithmic axis.

    Returns
    -------
    matplotlib.axes.Axes
    """
    n = len(labels)
    x, low, high = numbers(values, n), numbers(lower, n), numbers(upper, n)
    estimates = [_with_interval(*row, kind, digits) for row in zip(x, low, high, strict=True)]
    columns = ((text.say("plots.estimate"), estimates), *columns)
    foot = 34 + (LINE if any(sides) else 0)
    ax = _rows_sheet(labels, columns, LINE + 10, foot, ax, room=12)
    axis = scale([*x, *low, *high, reference], kind)
    ax.set_xscale("log" if log else "linear")
    ax.set_xlim(
        *(
            (min(finite([*low, reference])) * 0.9, max(finite([*high, reference])) * 1.1)
            if log
            else (axis.low, axis.high)
        )
    )
    _bottom_axis(ax, axis if not log else _ratio_axis(ax.get_xlim()))
    ax.minorticks_off()  # a short logarithmic axis would label its minor ticks
    at = _places(n)
    colors = [PALETTE[TONES[tone]] for tone in tones or ["steady"] * n]
    ax.axvline(reference, color=PALETTE["ink"], linewidth=1, zorder=2)
    ax.hlines(at, low, high, color=colors, linewidth=2.2, zorder=3)
    ax.scatter(x, at, s=64, marker="s", color=colors, zorder=4)
    for label, side, arrow in zip(sides, (-8, 8), ("← {}", "{} →"), strict=True):
        if label:
            how = {"va": "top", "ha": "right" if side < 0 else "left", "fontsize": SMALL, "color": PALETTE["mute"]}
            put(ax, arrow.format(label), reference, 0, "x", dx=side, dy=-10 - LINE, **how)
    return ax


def _with_interval(value: float, low: float, high: float, kind: str, digits: int | None) -> str:
    """Write an estimate with its interval: "−1.9 (−3.1 to −0.7)"; the unit is in the axis."""
    plain = {"points": "signed", "change": "signed", "pct": "number"}.get(kind, kind)
    factor = 100.0 if kind in ("points", "change", "pct") else 1.0
    show = [text.show(v * factor, plain, digits=digits) for v in (value, low, high)]
    return text.say("plots.interval", value=show[0], lower=show[1], upper=show[2])


_RATIOS = (1, 0.5, 2, 0.2, 5, 0.1, 10, 20, 3, 0.8, 1.5, 1.25, 0.9, 1.1)  # the first ones are written first
_APART = 1 / 14  # of the axis: labels nearer to each other would touch


def _ratio_axis(limits: tuple[float, float]):
    """Round ratios within the limits: the axis is logarithmic."""
    from churnlib.show.plots.canvas import Scale

    apart, chosen = np.log(limits[1] / limits[0]) * _APART, []
    for v in _RATIOS:
        if limits[0] <= v <= limits[1] and all(abs(np.log(v / other)) >= apart for other in chosen):
            chosen.append(v)
    at = tuple(sorted(chosen)) or (1.0,)
    return Scale(limits[0], limits[1], at, tuple(f"{v:g}" for v in at))
