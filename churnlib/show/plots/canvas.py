"""The sheet that figures are drawn on: style, size, text, value axes.

One point of a figure is one pixel of the page at its content width, so every size is what the reader sees. All text
comes in through `put`, one line at a time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, wraps

import numpy as np

from churnlib import text
from churnlib.show.plots.labels import LINE, SIZE, SMALL, spread, widest
from churnlib.show.plots.palette import PALETTE

WIDTH = 860  # of the report's content column
SALT = "churn"
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
