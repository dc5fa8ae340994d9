"""Figures over calendar time: one line with its band, and small multiples with one scale."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from churnlib import text
from churnlib.about import Event, Period
from churnlib.show.plots.canvas import WIDTH, end_labels, numbers, put, said, scale, sheet, span, styled, value_axis
from churnlib.show.plots.events import draw_key, draw_line, draw_notes, key_height, lay_out, place_of
from churnlib.show.plots.labels import LINE, SIZE, SMALL, widest, width, wrap
from churnlib.show.plots.palette import PALETTE, SAID, TONES

MONTH_STEPS = (1, 2, 3, 6, 12)


@styled
def line(
    periods: Sequence[Period],
    values: Sequence[float | None],
    *,
    lower: Sequence[float | None] | None = None,
    upper: Sequence[float | None] | None = None,
    year_ago: Sequence[float | None] | None = None,
    complete: Sequence[bool] | None = None,
    current: int | None = None,
    tone: str = "actual",
    signals: Sequence[int] = (),
    target: float | None = None,
    events: Sequence[Event] = (),
    limits: bool = False,
    fitted: Sequence[float | None] | None = None,
    spans: Sequence[tuple[int, int]] = (),
    projected: int | None = None,
    kind: str = "pct",
    digits: int | None = None,
    zero: bool = False,
    height: float = 300,
    ax=None,
):
    """Draw a series with its interval band, the same periods a year before, company events and a target.

    Parameters
    ----------
    periods : sequence of Period
        Consecutive.
    values, lower, upper : sequence of float
        As long as `periods`; missing ones leave a gap.
    year_ago : sequence of float, optional
        The value of the same period a year before, drawn in grey under this period.
    complete : sequence of bool, optional
        Incomplete periods are hatched and their values not drawn.
    current : int, optional
        Index of the report's period, labelled with its value; the last complete one if not given.
    tone : {"actual", "better", "worse", "steady"}
        Colour of the current period's point.
    signals : sequence of int
        Indices of periods marked with a ring (beyond a control limit).
    target : float, optional
    events : sequence of Event
    limits : bool
        The band is made of control limits: they are named at its right end.
    fitted : sequence of float, optional
        A fitted course, drawn as a thin line over the series.
    spans : sequence of (int, int)
        First and last index of stretches to shade, such as the interval of a date.
    projected : int, optional
        Index from which on the values are forecasts: drawn dashed, under a label.
    zero : bool
        Begin the axis at zero.

    Returns
    -------
    matplotlib.axes.Axes
    """
    n = len(periods)
    done = np.ones(n, bool) if complete is None else np.asarray(complete, bool)
    y, low, high, before = (np.where(done, numbers(v, n), np.nan) for v in (values, lower, upper, year_ago))
    cut = n if projected is None else projected
    known = np.flatnonzero(np.isfinite(y[:cut]))
    now = current if current is not None else int(known[-1]) if known.size else None
    axis = scale([*y, *low, *high, *before, *numbers(fitted, n), target], kind, zero=zero)
    labels = _line_labels(y, before, now, target, kind, digits, tone)
    labels += _edge_labels(low, high, kind, digits) if limits else _end_label(y[cut:], kind, digits)
    notes, key = lay_out(periods, done, events, projected)
    foot = 46 + key_height(key)
    top = 12 + LINE * max((note.row + 1 for note in notes), default=0)
    right = max(widest([label for _, label, *_ in labels], SIZE, bold=True) + 18, 24)
    ax = sheet(height + top + foot - 46, axis.room, right, top, foot, ax)
    ax.set_xlim(-0.6, n - 0.4)
    value_axis(ax, axis)
    time_axis(ax, periods)
    _hatch(ax, np.flatnonzero(~done))
    draw_notes(ax, notes)
    draw_key(ax, key)
    x = np.arange(n)
    for first, last in spans:
        ax.axvspan(first - 0.5, last + 0.5, color=PALETTE["shade"], linewidth=0, zorder=0)
    ax.fill_between(x, low, high, color=PALETTE["band"], linewidth=0, zorder=2)
    ax.plot(x, before, color=PALETTE["previous"], linewidth=1.4, zorder=3)
    if target is not None:
        ax.axhline(target, color=PALETTE["mute"], linewidth=1, linestyle=(0, (5, 3)), zorder=3)
    ax.plot(x[:cut], y[:cut], color=PALETTE["ink"], linewidth=2.2, zorder=4)
    ax.plot(x[max(cut - 1, 0) :], y[max(cut - 1, 0) :], color=PALETTE["ink"], linewidth=1.8, ls=(0, (2, 2)), zorder=4)
    ax.plot(x, numbers(fitted, n), color=PALETTE["c1"], linewidth=1.6, zorder=5)
    ax.plot(list(signals), y[list(signals)], "o", ms=9, mfc="none", mec=PALETTE["worse"], mew=1.6, zorder=5)
    if now is not None and np.isfinite(y[now]):
        ax.plot([now], [y[now]], "o", ms=8, color=PALETTE[TONES[tone]], mec=PALETTE["paper"], mew=1.5, zorder=6)
    end_labels(ax, labels)
    return ax


def _line_labels(y, before, now, target, kind, digits, tone) -> list[tuple[float, str, str, bool]]:
    """The labels at the right end: the current value, the year before, the target."""
    labels = []
    if now is not None and np.isfinite(y[now]):
        labels.append((y[now], said(y[now], kind, digits), PALETTE[SAID[tone]], True))
        if np.isfinite(before[now]):
            words = text.say("plots.year_ago", value=said(before[now], kind, digits))
            labels.append((before[now], words, PALETTE["mute"], False))
    if target is not None:
        words = text.say("plots.target", value=said(target, kind, digits))
        labels.append((target, words, PALETTE["mute"], False))
    return labels


def _edge_labels(low, high, kind, digits) -> list[tuple[float, str, str, bool]]:
    """The names of the limits at the right end of their band."""
    ends = [(key, edge[np.isfinite(edge)]) for key, edge in (("upper_limit", high), ("lower_limit", low))]
    return [
        (edge[-1], text.say(f"plots.{key}", value=said(edge[-1], kind, digits)), PALETTE["mute"], False)
        for key, edge in ends
        if edge.size
    ]


def _end_label(projected, kind, digits) -> list[tuple[float, str, str, bool]]:
    """The last forecast at the right end."""
    known = projected[np.isfinite(projected)]
    words = [text.say("plots.forecast_value", value=said(v, kind, digits)) for v in known[-1:]]
    return [(known[-1], word, PALETTE["mute"], False) for word in words]


def _hatch(ax, incomplete: np.ndarray) -> None:
    """Hatch the incomplete periods."""
    for i in incomplete:
        ax.axvspan(i - 0.5, i + 0.5, facecolor="none", edgecolor=PALETTE["axis"], hatch="////", linewidth=0, zorder=1)


def time_axis(ax, periods: Sequence[Period], room: float | None = None) -> None:
    """Label a time axis: months or quarters in one line, years once in the line below."""
    at, labels, years = _time_ticks(periods, room or span(ax)[0])
    ax.set_xticks(at, labels=[""] * len(at))
    for place, label in zip(at, labels, strict=True):
        put(ax, label, place, 0, "x", dy=-8, va="top", ha="center", fontsize=SMALL, color=PALETTE["mute"])
    for place, year in years:
        put(ax, year, place, 0, "x", dy=-8 - LINE, va="top", ha="center", fontsize=SMALL, color=PALETTE["mute"])


def _time_ticks(periods: Sequence[Period], room: float) -> tuple[list[int], list[str], list[tuple[int, str]]]:
    unit, n = periods[0].unit, len(periods)
    names = [_short(period) for period in periods]
    fitting = max(1, int(room / (widest(names, SMALL) + 40)))
    step = next((s for s in MONTH_STEPS if n / s <= fitting), -(-n // fitting)) if unit == "month" else -(-n // fitting)
    at = [i for i in range(n) if _counts_from(periods[i], i, unit) % step == 0] or [0]
    years, told = [], None
    for i in at:
        if unit != "year" and periods[i].first.year != told:
            told = periods[i].first.year
            years.append((i, text.say("plots.year", year=str(told))))
    return at, [names[i] for i in at], years


def _counts_from(period: Period, i: int, unit: str) -> int:
    """Months are counted from January, so that the ticks of every figure stand on the same months."""
    return period.first.month - 1 if unit == "month" else i


def _short(period: Period) -> str:
    """Name a period within its year."""
    if period.unit == "month":
        month = period.first.month
        return f"{month} 月" if text.language() == "zh" else calendar.month_abbr[month]
    return str(period) if period.unit == "year" else str(period).partition("-")[2]


@dataclass(frozen=True)
class Panel:
    """One of the small multiples.

    Attributes
    ----------
    title : str
    values, lower, upper : sequence of float
        `lower` and `upper` bound the shaded band: an interval, or control limits.
    said : str
        Written after the title, such as the current value.
    tone : {"actual", "better", "worse", "steady"}
        Colour of what is said and of the last point.
    signals : sequence of int
        Indices of the marked periods.
    events : sequence of Event
        Drawn as thin dashed lines without their names.
    """

    title: str
    values: Sequence[float | None]
    lower: Sequence[float | None] | None = None
    upper: Sequence[float | None] | None = None
    said: str = ""
    tone: str = "actual"
    signals: Sequence[int] = ()
    events: Sequence[Event] = ()


@styled
def small_multiples(
    panels: Sequence[Panel],
    periods: Sequence[Period],
    *,
    reference: Sequence[float | None] | None = None,
    reference_label: str = "",
    kind: str = "pct",
    zero: bool = False,
    columns: int = 4,
    height: float = 128,
    ax=None,
):
    """Draw one small line chart a panel, in the order given, all on one scale.

    Parameters
    ----------
    panels : sequence of Panel
    periods : sequence of Period
        The same for all panels.
    reference : sequence of float, optional
        A series drawn in grey in every panel (the whole, to compare with), named by `reference_label` in the first.
    columns : int
        Panels in a row, at most.
    height : float
        Of one panel's plotting area, in pixels.

    Returns
    -------
    matplotlib.axes.Axes
        The frame that holds the panels (`child_axes`).
    """
    everything = [v for p in panels for series in (p.values, p.lower, p.upper) if series is not None for v in series]
    axis = scale([*everything, *(reference if reference is not None else ())], kind, zero=zero, ticks=4)
    rows = -(-len(panels) // columns)
    columns = -(-len(panels) // max(rows, 1))  # rows of the same length
    gap, foot, key = 24, 26, LINE + 6 if reference_label else 0
    each = (WIDTH - axis.room - 12 - gap * (columns - 1)) / max(columns, 1)
    beside = [width(p.said, SIZE, bold=True) + 8 for p in panels]  # the last value, at the end of the last line
    titles = [wrap(p.title, each, lines=3, beside=b, bold=True) for p, b in zip(panels, beside, strict=True)]
    head = 13 + LINE * max((len(title) for title in titles), default=1)
    frame = sheet(rows * (height + head + foot) + key, axis.room, 12, key, 0, ax)
    frame.set_axis_off()
    w, h = span(frame)
    each = (w - gap * (columns - 1)) / max(columns, 1)  # of axes that were handed in, too
    for k, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        row, column = divmod(k, columns)
        bottom = 1 - ((row + 1) * (h / rows) - foot) / h
        inner = frame.inset_axes((column * (each + gap) / w, bottom, each / w, (h / rows - head - foot) / h))
        _draw_panel(inner, panel, title, periods, axis, reference, labelled=column == 0)
    if reference_label:
        how = {"transform": frame.transAxes, "color": PALETTE["previous"], "linewidth": 1.4, "clip_on": False}
        frame.plot([0, 18 / w], [1 + (key - 10) / h] * 2, **how)
        put(frame, reference_label, 0, 1, "axes", dx=24, dy=key - 10, ha="left", fontsize=SMALL, color=PALETTE["mute"])
    return frame


def _draw_panel(ax, panel: Panel, title: list[str], periods, axis, reference, labelled: bool) -> None:
    x, n = np.arange(len(periods)), len(periods)
    y, marks = numbers(panel.values, n), list(panel.signals)
    ax.set_xlim(-0.6, n - 0.4)
    value_axis(ax, axis, labelled)
    ax.fill_between(x, numbers(panel.lower, n), numbers(panel.upper, n), color=PALETTE["band"], linewidth=0, zorder=2)
    if reference is not None:
        ax.plot(x, numbers(reference, n), color=PALETTE["previous"], linewidth=1.2, zorder=3)
    for event in panel.events:
        if (place := place_of(periods, event.date)) is not None:
            draw_line(ax, place)
    ax.plot(x, y, color=PALETTE["ink"], linewidth=1.8, zorder=4)
    ax.plot(marks, y[marks], "o", ms=8, mfc="none", mec=PALETTE["worse"], mew=1.5, zorder=5)
    known = np.flatnonzero(np.isfinite(y))
    if known.size:
        color = PALETTE[TONES[panel.tone]]
        ax.plot([known[-1]], [y[known[-1]]], "o", ms=7, color=color, mec=PALETTE["paper"], mew=1.2, zorder=6)
    how = {"va": "bottom", "fontweight": "bold"}
    for k, row in enumerate(reversed(title)):
        put(ax, row, 0, 1, "axes", dy=8 + LINE * k, ha="left", **how)
    put(ax, panel.said, 1, 1, "axes", dy=8, ha="right", color=PALETTE[SAID[panel.tone]], **how)
    ax.set_xticks([0, n - 1], labels=["", ""])
    for place, side in ((0, "left"), (n - 1, "right")):
        put(ax, str(periods[place]), place, 0, "x", dy=-7, va="top", ha=side, fontsize=SMALL, color=PALETTE["mute"])
