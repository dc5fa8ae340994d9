"""What stands above a time axis: company events, and the word for periods that are not complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from churnlib import text
from churnlib.about import Event, Period
from churnlib.show.plots.canvas import WIDTH, put, span
from churnlib.show.plots.labels import LINE, SMALL, lanes, widest, width, wrap
from churnlib.show.plots.palette import PALETTE

ROOM = WIDTH - 160  # the axis' width, about: what is left between the labels at both sides
MAX_ROWS = 3  # of labels; more events are numbered, with a key under the axis
LABEL = 190  # the widest label


@dataclass(frozen=True)
class Note:
    """A label above the axes: its place on the time axis, side and row; with or without a line below it."""

    place: float
    label: str
    side: str = "left"
    row: int = 0
    has_line: bool = True


def place_of(periods: Sequence[Period], day: date) -> float | None:
    """Give where a day lies on the axis of periods (0 is the middle of the first); None outside it."""
    for i, period in enumerate(periods):
        if period.first <= day <= period.last:
            return i - 0.5 + (day - period.first).days / period.days
    return None


def lay_out(
    periods: Sequence[Period], done: np.ndarray, events: Sequence[Event], projected: int | None = None
) -> tuple[list[Note], list[str]]:
    """Place the events' labels so that none touches another.

    Returns
    -------
    list of Note
        In order of time.
    list of str
        The key, where the events are so many that they are numbered; else empty.
    """
    placed = [(place, event) for event in events if (place := place_of(periods, event.date)) is not None]
    found = sorted(placed, key=lambda pair: pair[0])  # two events of one day have no order of their own
    last = [] if done.all() else [_word("plots.incomplete", np.flatnonzero(~done)[-1])]
    last += [] if projected is None else [_word("plots.forecast", len(periods) - 1)]
    named = [Note(place, wrap(str(event.label), LABEL, SMALL, 1)[0]) for place, event in found]
    notes = _in_rows([*named, *last], len(periods))
    if max((note.row for note in notes), default=0) < MAX_ROWS:
        return notes, []
    numbered = [Note(place, str(k), "center") for k, (place, _) in enumerate(found, start=1)]
    key = [
        text.say("plots.event", n=k, label=event.label, when=event.date.strftime("%Y-%m"))
        for k, (_, event) in enumerate(found, start=1)
    ]
    return _in_rows([*numbered, *last], len(periods)), key


def _word(key: str, i: int) -> Note:
    """A word above the end of a period."""
    return Note(i + 0.5, text.say(key), "right", has_line=False)


def _in_rows(notes: list[Note], n: int) -> list[Note]:
    """Choose side and row of each label."""
    step = ROOM / max(n, 1)
    notes = sorted(notes, key=lambda note: note.place)
    marks, starts, ends = [], [], []
    for i, note in enumerate(notes):
        x, w = (note.place + 0.5) * step, width(note.label, SMALL) + 4
        if note.side == "left" and x + w > ROOM:
            notes[i] = note = replace(note, side="right")
        left = {"left": x, "right": x - w, "center": x - w / 2}[note.side]
        marks.append(x)
        starts.append(left)
        ends.append(left + w)
    gap = 6 if any(note.side == "center" for note in notes) else 12
    return [replace(note, row=row) for note, row in zip(notes, lanes(marks, starts, ends, gap), strict=True)]


def draw_line(ax, place: float, top: float = 1.0) -> None:
    """Draw the thin dashed line of an event, from the axis up to a share of its height."""
    how = {"color": PALETTE["mute"], "linewidth": 0.9, "linestyle": (0, (3, 3)), "clip_on": False, "zorder": 1}
    ax.plot([place] * 2, [0, top], transform=ax.get_xaxis_transform(), **how)


def draw_notes(ax, notes: Sequence[Note], height: float | None = None, lift: float = 0) -> None:
    """Draw the line of each event up to its label, `lift` pixels above axes of a height."""
    height = height or span(ax)[1]
    for note in notes:
        above = 5 + lift + LINE * note.row
        if note.has_line:
            draw_line(ax, note.place, 1 + (above + (0 if note.side == "center" else SMALL - 2)) / height)
        dx = {"left": 4, "right": -4, "center": 0}[note.side] if note.has_line else 0
        how = {"fontsize": SMALL, "color": PALETTE["mute"], "va": "bottom", "ha": note.side}
        put(ax, note.label, note.place, 1, "x", dx=dx, dy=above, **how)


def _columns(key: Sequence[str]) -> int:
    return max(1, min(len(key), int(WIDTH / (widest(key, SMALL) + 18))))


def key_height(key: Sequence[str]) -> float:
    """Give the pixels that the key needs under the axis."""
    return 8 + LINE * -(-len(key) // _columns(key)) if key else 0


def draw_key(ax, key: Sequence[str]) -> None:
    """Write the key of numbered events under the axis, column by column."""
    if not key:
        return
    columns = _columns(key)
    rows = -(-len(key) // columns)
    left = -ax.get_position().x0 * WIDTH + 2
    for k, label in enumerate(key):
        column, row = divmod(k, rows)
        how = {"fontsize": SMALL, "color": PALETTE["mute"], "ha": "left", "va": "top"}
        put(ax, label, 0, 0, "axes", dx=left + column * WIDTH / columns, dy=-50 - LINE * row, **how)
