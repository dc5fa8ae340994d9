"""Room for text: measured by the type alone, wrapped, and moved apart.

Labels are laid out by their own measure and never by this machine's fonts: the SVG's text is drawn with the reader's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

SIZE = 13  # of labels; 12 is the smallest, so that a phone's 720 px wide drawing still shows 10
SMALL = 12
LINE = 17  # height of a line of labels
BREAKS = re.compile(r"[\u3400-\u9fff][，。；：、）》”]*|[^\u3400-\u9fff\s]+\s*|\s+")  # a line may break after each


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


def wrap(
    label: str, room: float, size: float = SIZE, lines: int = 2, *, beside: float = 0.0, bold: bool = False
) -> list[str]:
    """Break a label at blanks, and between Han characters, into the fewest lines that hold it.

    `beside` is room that something else takes on the last line. What no number of lines can hold ends with "…": after a
    whole word, unless not even one fits.
    """
    for n in range(1, lines + 1):
        rows, rest = [], BREAKS.findall(label)
        for limit in (*[room] * (n - 1), room - beside):
            row = ""
            while rest and width((row + rest[0]).rstrip(), size, bold) <= limit:
                row += rest.pop(0)
            rows.append(row.strip())
        if not rest:
            return rows
    last = rows[-1].rstrip(" ,，、(（") or rest[0]
    while width(last + "…", size, bold) > room - beside and len(last) > 1:
        last = last[:-1] if " " not in last else last.rpartition(" ")[0]
    return [*filter(None, rows[:-1]), last + "…"]


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
