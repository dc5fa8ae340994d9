"""The sheet that figures are drawn on: colours, type, room for text, and labels that do not collide.

One point of a figure is one pixel of the page at its content width, so every size below is what the reader sees.
Text is laid out by its own measure and never by the server's fonts: the SVG's text is drawn with the reader's.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, wraps

import numpy as np

from churnlib import text
from churnlib.plots.palette import PALETTE

WIDTH = 860  # of the report's content column
SIZE = 13  # of labels; 12 is the smallest, so that a phone's 720 px wide drawing still shows 10
SMALL = 12
LINE = 17  # height of a line of labels
SALT = "churn"
BREAKS = re.compile(r"[\u3400-\u9fff][，。；：、）》”]*|[^\u3400-\u9fff\s]+\s*|\s+")  # a line may break after each
HAN_FONTS = (
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
    "SimHei",
)


@contextmanager
def style(for_screen: bool = False) -> Iterator[None]:
    """Draw in the report's style inside this block.

    Parameters
    ----------
    for_screen : bool
        Also use the machine's own Han fonts, for pictures that this machine makes. The SVG does without: its text is
        drawn by the reader's fonts, and its bytes must not depend on the fonts of the machine that wrote it.
    """
    import matplotlib as mpl

    with mpl.rc_context(_settings()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from .*font")
        if for_screen:
            mpl.rcParams["font.family"] = ["DejaVu Sans", *_han_fonts()]
        yield


@cache
def _han_fonts() -> tuple[str, ...]:
    from matplotlib import font_manager

    here = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(name for name in HAN_FONTS if name in here)[:1]


def styled(draw: Callable) -> Callable:
    """Make a drawing function draw in the report's style, wherever it is called."""

    @wraps(draw)
    def drawn(*args, **kwargs):
        import matplotlib as mpl

        inside = mpl.rcParams["svg.hashsalt"] == SALT  # within `style` already
        with nullcontext() if inside else style(for_screen=True):
            return draw(*args, **kwargs)

    return drawn


def _settings() -> dict:
    ink, mute, axis, grid = (PALETTE[role] for role in ("ink", "mute", "axis", "grid"))
    return {
        "font.family": ["DejaVu Sans"],
        "font.size": SIZE,
        "text.color": ink,
        "text.parse_math": False,  # a "$" in a label would be read as a formula
        "axes.labelcolor": mute,
        "axes.labelsize": SIZE,
        "axes.edgecolor": axis,
        "axes.linewidth": 1.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.grid": False,
        "axes.axisbelow": True,
        "grid.color": grid,
        "grid.linewidth": 1.0,
        "xtick.color": axis,
        "xtick.labelcolor": mute,
        "xtick.labelsize": SMALL,
        "xtick.major.size": 4,
        "xtick.major.pad": 5,
        "ytick.color": axis,
        "ytick.labelcolor": mute,
        "ytick.labelsize": SMALL,
        "ytick.major.size": 0,
        "ytick.major.pad": 6,
        "hatch.linewidth": 0.8,
        "lines.solid_capstyle": "round",
        "lines.solid_joinstyle": "round",
        "figure.facecolor": "white",
        "axes.facecolor": "none",
        "svg.fonttype": "none",  # real text
        "svg.hashsalt": SALT,  # the same ids on every run
    }


def sheet(height: float, left: float, right: float, top: float, bottom: float, ax=None):
    """Give axes on a new figure of the content width with these margins in pixels; axes that were handed in stay.

    Returns
    -------
    matplotlib.axes.Axes
    """
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(WIDTH / 72, height / 72), dpi=72)
    box = (left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH, (height - top - bottom) / height)
    return figure.add_axes(box)


def width(label: str, size: float = SIZE, bold: bool = False) -> float:
    """Measure a label in pixels, generously: Han characters are one em, whatever fonts the reader has."""
    ems = sum(_em(char) for char in label)
    return size * ems * (1.08 if bold else 1.03)


def _em(char: str) -> float:
    if unicodedata.east_asian_width(char) in "WF" or char in "“”‘’…—·":
        return 1.0
    if char in "iljtfrI.,:;'|![]() ":
        return 0.36
    if char in "mwMW%@":
        return 0.95
    return 0.72 if char.isupper() else 0.60


def widest(labels: Sequence[str], size: float = SIZE, bold: bool = False) -> float:
    """Measure the widest of some labels."""
    return max((width(label, size, bold) for label in labels), default=0.0)


def wrap(label: str, room: float, size: float = SIZE, lines: int = 2) -> list[str]:
    """Break a label into the lines that its room needs; what does not fit on the last one ends with "…"."""
    rows = [""]
    for piece in BREAKS.findall(label):
        if rows[-1] and width((rows[-1] + piece).rstrip(), size) > room and len(rows) < lines:
            rows.append("")
        rows[-1] += piece
    rows = [row.strip() for row in rows]
    while width(rows[-1], size) > room and len(rows[-1]) > 1:
        rows[-1] = rows[-1].rstrip("…")[:-1] + "…"
    return rows


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels as little as needed so that neighbours are `gap` apart and all lie in [low, high].

    Parameters
    ----------
    wanted : sequence of float
        Where each label would best stand, in pixels.

    Returns
    -------
    list of float
        Where they stand, in the order given; labels keep their vertical order.

    Examples
    --------
    >>> spread([10, 12, 40], gap=10, low=0, high=100)
    [6.0, 16.0, 40.0]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    groups: list[tuple[float, int]] = []  # centre of the first label as it would best stand, number of labels
    for i in order:
        start, n = float(wanted[i]), 1
        while groups and groups[-1][0] + groups[-1][1] * gap > start:
            before, m = groups.pop()
            start, n = (before * m + (start - m * gap) * n) / (m + n), m + n
        groups.append((start, n))
    places = [start + k * gap for start, n in groups for k in range(n)]
    for k in range(len(places)):  # the bounds last: from below, then from above
        places[k] = max(places[k], low + k * gap)
    for k in reversed(range(len(places))):
        places[k] = min(places[k], high - (len(places) - 1 - k) * gap)
    out = [0.0] * len(wanted)
    for i, place in zip(order, places, strict=True):
        out[i] = place
    return out


def lanes(marks: Sequence[float], starts: Sequence[float], ends: Sequence[float], gap: float = 12) -> list[int]:
    """Stack labels that stand on lines: no label touches another, and no line runs through a label below its own.

    Parameters
    ----------
    marks : sequence of float
        Where each line stands, in ascending order.
    starts, ends : sequence of float
        Each label's ends; a label begins or ends at its line.

    Returns
    -------
    list of int
        The row of each label, 0 at the bottom.

    Examples
    --------
    >>> lanes([10, 50, 200], starts=[10, 50, 200], ends=[90, 120, 260])
    [1, 0, 0]
    """
    rightward = [
        i for i in reversed(range(len(marks))) if starts[i] >= marks[i]
    ]  # from the right: the left ones go above
    leftward = [i for i in range(len(marks)) if starts[i] < marks[i]]
    rows: dict[int, int] = {}
    for i in [*rightward, *leftward]:
        met = [row for j, row in rows.items() if starts[i] < ends[j] + gap and starts[j] < ends[i] + gap]
        rows[i] = max(met, default=-1) + 1
    return [rows[i] for i in range(len(marks))]


def span(ax) -> tuple[float, float]:
    """Give the width and height of the axes in pixels."""
    box = ax.get_position()
    w, h = ax.figure.get_size_inches() * 72
    return box.width * w, box.height * h


def to_pixels(ax, values: Sequence[float], axis: str = "y") -> np.ndarray:
    """Give where values lie on the axes, in pixels from the bottom or the left."""
    low, high = ax.get_ylim() if axis == "y" else ax.get_xlim()
    return (np.asarray(values, float) - low) / (high - low) * span(ax)[1 if axis == "y" else 0]


def put(
    ax,
    label: str,
    x: float,
    y: float,
    at: str = "data",
    dx: float = 0,
    dy: float = 0,
    va: str = "middle",
    halo: bool = False,
    **how,
) -> None:
    """Write one line at a place: the only way in which text comes into a figure.

    Parameters
    ----------
    at : {"data", "x", "y", "axes"}
        In what the place is given: both in the data, x in the data and y in the axes, the reverse, both in the axes.
    dx, dy : float
        Pixels by which the label stands off, to the right and up.
    halo : bool
        Keep it readable where it crosses a line.
    va : {"middle", "top", "bottom"}
        Part of the line that stands at the place, by the type's size alone: measured by the fonts of this machine it
        would be wrong for the reader's (so would the places of the further lines of a label: there are none).
    """
    if not label:
        return
    from matplotlib.transforms import ScaledTranslation

    size = how.setdefault("fontsize", SIZE)
    baseline = {"middle": -0.36, "top": -0.88, "bottom": 0.22}[va] * size
    place = {"data": ax.transData, "x": ax.get_xaxis_transform(), "y": ax.get_yaxis_transform(), "axes": ax.transAxes}[
        at
    ]
    off = ScaledTranslation(dx / 72, (dy + baseline) / 72, ax.figure.dpi_scale_trans)
    ax.text(x, y, label, transform=place + off, va="baseline", gid="halo" if halo else None, **how)


@dataclass(frozen=True)
class Scale:
    """A value axis: its limits, where its ticks are and what they say."""

    low: float
    high: float
    at: tuple[float, ...]
    labels: tuple[str, ...]

    @property
    def room(self) -> float:
        """Pixels that the labels need beside a vertical axis."""
        return widest(self.labels, SMALL) + 10


def scale(
    values: Sequence[float | None], kind: str, *, zero: bool = False, ticks: int = 5, room: float = 0.05
) -> Scale:
    """Choose round ticks around some values; the axis ends at its outer ticks.

    Parameters
    ----------
    zero : bool
        Begin at zero (bars must).
    room : float
        Part of the range left free at either end.
    """
    from matplotlib.ticker import MaxNLocator

    known = finite(values)
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    low, high = (min(low, 0.0), max(high, 0.0)) if zero else (low, high)
    pad = (high - low) * room or abs(high) * 0.1 or 0.01
    bottom = low if zero or (low >= 0 and low - pad < 0) else low - pad
    at = MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]).tick_values(bottom, high + pad if high else high or pad)
    at = tuple(float(t) for t in at)
    digits = tick_digits(at, kind)
    return Scale(at[0], at[-1], at, tuple(said(t + 0.0, kind, digits) for t in at))


def said(value: float | None, kind: str, digits: int | None = None) -> str:
    """Write a number in a figure: differences of shares without their unit, which the subtitle names."""
    if kind == "points" and value is not None:
        return text.show(value * 100, "signed", digits=2 if digits is None else digits)
    return text.show(value, kind, digits=digits)


def tick_digits(ticks: Sequence[float], kind: str) -> int | None:
    """Give the fewest decimals that write every tick exactly."""
    if kind in ("count", "money"):
        return None
    factor = 100.0 if kind in ("pct", "points", "change") else 1.0
    shown = np.asarray(ticks) * factor
    return next((digits for digits in range(4) if np.allclose(shown, shown.round(digits), atol=1e-9)), 4)


def value_axis(ax, it: Scale, labelled: bool = True) -> None:
    """Set the vertical axis, its labels and its horizontal grid."""
    ax.set_ylim(it.low, it.high)
    ax.set_yticks(it.at, labels=[""] * len(it.at))
    ax.grid(True, axis="y")
    for place, label in zip(it.at, it.labels, strict=True) if labelled else ():
        put(ax, label, 0, place, "y", dx=-8, ha="right", fontsize=SMALL, color=PALETTE["mute"])


def end_labels(ax, labels: Sequence[tuple[float, str, str, bool]], dx: float = 9, x: float = 1.0) -> None:
    """Write labels beside the right end of the axes at the height of their lines, moved apart where they would collide.

    Parameters
    ----------
    labels : sequence of (value, text, colour, bold)
    """
    height = span(ax)[1]
    wanted = to_pixels(ax, [value for value, *_ in labels])
    for place, (_, label, color, bold) in zip(spread(wanted, LINE, 4, height - 4), labels, strict=True):
        put(ax, label, x, place / height, "axes", dx=dx, color=color, fontweight="bold" if bold else "normal")


def finite(values: Sequence[float | None]) -> np.ndarray:
    """Give the known ones of some numbers."""
    array = np.asarray([np.nan if v is None else v for v in values], float)
    return array[np.isfinite(array)]


def numbers(values: Sequence[float | None] | None, n: int) -> np.ndarray:
    """Give numbers as an array, missing ones as NaN."""
    if values is None:
        return np.full(n, np.nan)
    return np.asarray([np.nan if v is None else v for v in values], float)
