"""Figures: colours that everybody tells apart, labels that do not collide, text that does not depend on fonts."""

import itertools
import re
from datetime import date

import matplotlib.pyplot
import numpy as np
import pytest
from browser import sample
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlib import text
from churnlib.about import Event, Period
from churnlib.show import plots, svg
from churnlib.show.plots import canvas, labels
from churnlib.show.plots.palette import DARK, PALETTE, SERIES
from churnlib.show.plots.time import _time_ticks
from churnlib.text import Label

SCHEMES = [(PALETTE, "#ffffff"), (DARK, "#12171c")]
# how colours look with full sight, without the green and without the red cones (Machado et al. 2009, severity 1)
SIGHT = {
    "full": np.eye(3),
    "deutan": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "protan": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
}


def linear(color: str) -> np.ndarray:
    c = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(color: str, sight: str) -> np.ndarray:
    seen = np.clip(SIGHT[sight] @ linear(color), 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ seen / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize(("scheme", "ground"), SCHEMES)
def test_every_colour_that_writes_can_be_read(scheme, ground):
    for role in ("ink", "mute", "better", "worse", *SERIES):
        assert contrast(scheme[role], ground) >= 4.5, role


@pytest.mark.parametrize(("scheme", "ground"), SCHEMES)
def test_ink_can_be_read_on_every_cell_of_a_heat_map(scheme, ground):
    for role in (r for r in scheme if r.startswith("heat") or r == "shade"):
        assert contrast(scheme["ink"], scheme[role]) >= 4.5, role
    assert contrast(scheme["mute"], scheme["shade"]) >= 4.5


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize(("scheme", "ground"), SCHEMES)
def test_curves_and_meanings_are_told_apart_by_colour_blind_readers(scheme, ground, sight):
    for group in (SERIES, ("better", "worse", "plain", "ink")):
        for one, other in itertools.combinations(group, 2):
            distance = np.linalg.norm(lab(scheme[one], sight) - lab(scheme[other], sight))
            assert distance >= 20, (one, other)


@pytest.mark.parametrize(("scheme", "ground"), SCHEMES)
def test_no_curve_has_a_colour_that_means_better_or_worse(scheme, ground):
    for role, meaning in itertools.product(SERIES, ("better", "worse")):
        assert np.linalg.norm(lab(scheme[role], "full") - lab(scheme[meaning], "full")) >= 30, (role, meaning)


def test_every_role_has_its_own_colour_in_both_schemes():
    assert len(set(PALETTE.values())) == len(PALETTE)
    assert PALETTE.keys() == DARK.keys()


def test_labels_are_moved_apart_as_little_as_needed_and_stay_in_order():
    assert labels.spread([10, 12, 40], gap=10, low=0, high=100) == [6, 16, 40]
    assert labels.spread([0, 0, 0], gap=10, low=4, high=100) == [4, 14, 24]
    assert labels.spread([99, 99], gap=10, low=0, high=100) == [90, 100]
    assert labels.spread([40, 10], gap=10, low=0, high=100) == [40, 10]


def test_no_event_line_runs_through_another_events_label():
    marks, widths = [10, 40, 80, 300], [120, 90, 50, 60]
    ends = [m + w for m, w in zip(marks, widths, strict=True)]
    rows = labels.lanes(marks, marks, ends)
    for i, j in itertools.combinations(range(4), 2):
        if marks[j] < ends[i]:  # the later line stands within the earlier label
            assert rows[i] > rows[j]


def test_han_characters_are_measured_as_one_em_whatever_the_fonts():
    assert 39 <= labels.width("流失率", 13) <= 41
    assert 40 <= labels.width("“流失”", 10) <= 42


def test_long_labels_break_into_two_lines_that_fit():
    lines = labels.wrap("西北大区（含新疆、青海及各试点营业部的全部存量客户）", 150)
    assert len(lines) == 2
    assert all(labels.width(line) <= 150 for line in lines)
    assert lines[-1].endswith("…")
    assert labels.wrap("Northwest with pilot branches", 120) == ["Northwest with", "pilot branches"]


def test_a_label_is_cut_after_a_whole_word_and_leaves_room_for_what_stands_beside_its_last_line():
    said = "Value churn (bills under half of the own base)"
    assert labels.wrap(said, 120) == ["Value churn", "(bills under…"]
    assert labels.wrap(said, 150, lines=3, beside=100) == ["Value churn (bills", "under half of the own", "base)"]
    assert labels.wrap(said, 150, beside=60) == ["Value churn (bills", "under half…"]
    assert labels.wrap("Donaudampfschifffahrt", 60) == ["Donau…"]


def test_a_scale_writes_its_ticks_exactly_and_bars_begin_at_zero():
    it = canvas.scale([0.0141, 0.0197], "pct")
    assert it.low <= 0.0141 and it.high >= 0.0197
    assert len(set(it.labels)) == len(it.labels)
    assert canvas.scale([0.4, 0.6], "pct", zero=True).low == 0
    assert canvas.scale([0.0, 0.0], "pct").low == 0
    assert canvas.scale([None, float("nan")], "pct").at  # nothing known: still an axis


def test_months_are_ticked_from_january_on_every_figure():
    months = [Period(date(2023, 11, 1)).shift(i) for i in range(26)]
    at, labels, years = _time_ticks(months, 700)
    assert {months[i].first.month for i in at} <= {1, 4, 7, 10}
    assert labels[0] == "1 月"
    assert years[0] == (2, "2024 年")


@pytest.mark.parametrize("unit", ["week", "month", "quarter", "year"])
def test_a_line_can_be_drawn_for_every_unit_of_time(unit):
    periods = [Period.containing(date(2024, 2, 1), unit).shift(i) for i in range(9)]
    with plots.style():
        drawn = svg.inline(plots.line(periods, [0.01 + 0.001 * i for i in range(9)]).figure, "")
    assert "1.8%" in drawn


@pytest.mark.parametrize("values", [[], [None], [0.0], [0.02, None], [0.0, 0.0], [-0.01, 0.02]])
def test_bars_survive_missing_zero_and_single_values(values):
    labels = [f"组 {i}" for i in range(len(values))]
    with plots.style():
        drawn = svg.inline(plots.bars(labels, values).figure, "")
    assert drawn.count("—") == values.count(None)
    assert "nan" not in drawn


def test_an_incomplete_period_is_hatched_and_its_value_is_not_drawn():
    periods = [Period(date(2025, 1, 1)).shift(i) for i in range(4)]
    with plots.style():
        ax = plots.line(periods, [0.02, 0.021, 0.022, 0.001], complete=[True, True, True, False])
        assert ax.get_ylim()[0] > 0.01
        drawn = svg.inline(ax.figure, "")
    assert "期间未完整" in drawn and "<pattern" in drawn


def test_open_cells_are_hatched_and_small_ones_say_so():
    with plots.style():
        ax = plots.heat_map(["2025-01"], ["1", "2", "3"], [[0.97, None, None]], [["complete", "small", "open"]])
        drawn = svg.inline(ax.figure, "")
    assert ">97<" in drawn and ">·<" in drawn and "<pattern" in drawn


def test_a_long_curve_is_drawn_with_at_most_200_steps():
    x = list(range(2000))
    curve = plots.Curve("全部", x, [1 - i / 4000 for i in x], at_risk=[100, 50])
    with plots.style():
        ax = plots.steps([curve], ticks=[0, 2000])
        assert max(len(line.get_xdata()) for line in ax.lines) <= 202
        svg.inline(ax.figure, "")


def test_figures_are_drawn_in_the_language_that_is_set():
    periods = [Period(date(2025, 1, 1)).shift(i) for i in range(6)]
    events = (Event(date(2025, 3, 3), Label("资费调整", "price change")),)
    for lang, words in (("zh", ("资费调整", "4 月")), ("en", ("price change", "Apr"))):
        text.set_language(lang)
        with plots.style():
            drawn = svg.inline(plots.line(periods, [0.02] * 6, events=events).figure, "")
        assert all(word in drawn for word in words)


def test_a_dollar_sign_in_a_label_is_a_dollar_sign():
    with plots.style():
        assert "A$B$" in svg.inline(plots.bars(["A$B$"], [0.2]).figure, "")


def test_names_from_the_data_cannot_become_markup():
    with plots.style():
        drawn = svg.inline(plots.bars(["<script>alert(1)</script>"], [0.2]).figure, '"><script>')
    assert "<script" not in drawn


@pytest.mark.parametrize("name", sample.FIGURES)
def test_a_drawing_is_small_has_roles_for_colours_and_no_inline_style(name):
    drawn = sample.drawing(name)
    assert len(drawn.encode()) <= svg.LIMIT
    assert not re.search(r"#[0-9a-f]{6}\b", drawn)
    assert "style=" not in drawn and "font-family" not in drawn
    assert drawn == sample.drawing.__wrapped__(name)


def test_the_drawing_does_not_depend_on_the_fonts_of_the_machine(monkeypatch):
    from matplotlib import font_manager

    here = sample.drawing("survival")
    only = [font for font in font_manager.fontManager.ttflist if font.name.startswith("DejaVu")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", only)
    font_manager.fontManager._findfont_cached.cache_clear()
    assert sample.drawing.__wrapped__("survival") == here


def test_a_figure_can_be_drawn_on_axes_that_were_handed_in():
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2)
    assert plots.bars(["华南"], [0.02], ax=axes[0]) is axes[0]
    assert plots.line([Period(date(2025, 1, 1))], [0.02], ax=axes[1]) is axes[1]
    plt.close(figure)


@given(st.tuples(st.floats(0, 10), st.floats(0, 10)))
@settings(max_examples=25, deadline=None)
def test_the_names_of_two_points_stand_within_the_axes_and_apart(values):
    ax = plots.dumbbell(["one"], [values[0]], [values[1]], ("expected", "came"), kind="number", digits=2)
    whole, boxes = canvas.span(ax)[0], []
    for name in (said for said in ax.texts if said.get_text()[0] in "○●"):
        place, wide = name.get_position()[0] * whole, labels.width(name.get_text(), labels.SMALL)
        boxes.append((place - wide, place) if name.get_ha() == "right" else (place, place + wide))
    matplotlib.pyplot.close(ax.figure)
    (start, end), (begin, stop) = sorted(boxes)
    assert 0 <= start + 1e-6 and end < begin and stop <= whole + 1e-6
