"""Series one below the other on one time axis, each on its own scale: signals that accompany each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from churnlib.about import Event, Period
from churnlib.show.plots.canvas import end_labels, numbers, put, said, scale, sheet, span, styled, value_axis
from churnlib.show.plots.events import draw_key, draw_line, draw_notes, key_height, lay_out
from churnlib.show.plots.labels import LINE, SIZE, SMALL, widest, wrap
from churnlib.show.plots.palette import PALETTE
from churnlib.show.plots.time import time_axis

HEAD = 30  # above a track, for its title
ROOM = 260  # the widest label of a reference line


@dataclass(frozen=True)
class Track:
    """One series.

    Attributes
    ----------
    title : str
    values, lower, upper : sequence of float
    kind : str
        How its numbers are written (see `churnlib.text.show`).
    digits : int, optional
    references : sequence of (str, sequence of float)
        Lines to compare with, dashed and named at their right end.
    """

    title: str
    values: Sequence[float | None]
    lower: Sequence[float | None] | None = None
    upper: Sequence[float | None] | None = None
    kind: str = "pct"
    digits: int | None = None
    references: Sequence[tuple[str, Sequence[float | None]]] = ()


@styled
def aligned(
    tracks: Sequence[Track], periods: Sequence[Period], *, events: Sequence[Event] = (), height: float = 110, ax=None
):
    """Draw series one below the other.

    Parameters
    ----------
    tracks : sequence of Track
        The first on top.
    periods : sequence of Period
        The same for all.
    events : sequence of Event
        Drawn through all tracks, named above the first.
    height : float
        Of one track, in pixels.

    Returns
    -------
    matplotlib.axes.Axes
        The frame that holds the tracks (`child_axes`).
    """
    n = len(periods)
    axes = [scale([*numbers(t.values, n), *_all(t, n)], t.kind, ticks=3) for t in tracks]
    labels = [_labels(track, n) for track in tracks]
    left = max(it.room for it in axes)
    right = min(widest([words for rows in labels for _, words, *_ in rows], SIZE, bold=True), ROOM) + 20
    notes, key = lay_out(periods, np.ones(n, bool), events)
    foot, top = 46 + key_height(key), LINE * max((note.row + 1 for note in notes), default=0)
    frame = sheet(len(tracks) * (height + HEAD) + top + foot, left, right, top, foot, ax)
    frame.set_axis_off()
    _, h = span(frame)
    for k, (track, it) in enumerate(zip(tracks, axes, strict=True)):
        bottom = 1 - ((k + 1) * h / len(tracks)) / h
        inner = frame.inset_axes((0, bottom, 1, (h / len(tracks) - HEAD) / h))
        _draw(inner, track, it, n)
        end_labels(inner, labels[k])
        inner.set_xticks([])
        if k == 0:
            draw_notes(inner, notes, h / len(tracks) - HEAD, HEAD - 10)
        else:
            for note in notes:
                draw_line(inner, note.place)
        if k == len(tracks) - 1:
            time_axis(inner, periods, span(frame)[0])
    draw_key(frame, key)
    return frame


def _all(track: Track, n: int) -> list[float]:
    series = [track.lower, track.upper, *(values for _, values in track.references)]
    return [v for values in series for v in numbers(values, n)]


def _labels(track: Track, n: int) -> list[tuple[float, str, str, bool]]:
    """The last value of the series and of every line to compare with, named at the right."""
    rows = []
    for name, values in (("", track.values), *track.references):
        y = numbers(values, n)
        known = np.flatnonzero(np.isfinite(y))
        if known.size:
            words = wrap(f"{name} {said(y[known[-1]], track.kind, track.digits)}".strip(), ROOM, SIZE, 1)[0]
            rows.append((y[known[-1]], words, PALETTE["mute" if name else "ink"], not name))
    return rows


def _draw(ax, track: Track, it, n: int) -> None:
    x, y = np.arange(n), numbers(track.values, n)
    ax.set_xlim(-0.6, n - 0.4)
    value_axis(ax, it)
    ax.fill_between(x, numbers(track.lower, n), numbers(track.upper, n), color=PALETTE["band"], linewidth=0, zorder=2)
    for _, values in track.references:
        how = {"linewidth": 1.4, "linestyle": (0, (5, 3)), "drawstyle": "steps-mid"}
        ax.plot(x, numbers(values, n), color=PALETTE["mute"], zorder=3, **how)
    ax.plot(x, y, color=PALETTE["ink"], linewidth=2, zorder=4)
    known = np.flatnonzero(np.isfinite(y))
    ax.plot(known[-1:], y[known[-1:]], "o", ms=7, color=PALETTE["ink"], mec=PALETTE["paper"], mew=1.2, zorder=5)
    clear = {"facecolor": PALETTE["paper"], "linewidth": 0, "pad": 1}  # of the events' lines
    put(ax, track.title, 0, 1, "axes", dy=8, va="bottom", ha="left", fontweight="bold", fontsize=SMALL, bbox=clear)
