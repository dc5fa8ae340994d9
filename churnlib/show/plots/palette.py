"""Colours by role. Each hex occurs once, so that the SVG can name the role and the page choose its colour.

Blue is better and orange worse: red and green fail twice, for colour-blind readers, and because red is "up" in China.
Colour never speaks alone: a sign, a word or a place says the same. tests/test_plots.py holds the contrasts.
"""

from __future__ import annotations

PALETTE = {
    "ink": "#17212b",
    "mute": "#5a6672",
    "grid": "#e6e9ed",
    "axis": "#a9b3bc",
    "better": "#0b64a4",
    "worse": "#b64708",
    "previous": "#8e99a3",
    "plain": "#7f92a7",
    "band": "#d3dfea",
    "shade": "#f0f2f4",
    "paper": "#fffffe",
    # curves and layers, in this order: no blue and no orange, which mean something; told apart by those who see fewer
    # hues too
    "c1": "#1f7f74",
    "c2": "#a03fc4",
    "c3": "#806200",
    "c4": "#6a0f24",
    "c5": "#2a1f5e",
    # a ramp on which ink reaches 4.5:1 at every step
    "heat0": "#f2f7fb",
    "heat1": "#e3eef7",
    "heat2": "#d3e5f3",
    "heat3": "#c1daee",
    "heat4": "#aecfe9",
    "heat5": "#9ac3e3",
    "heat6": "#86b6dc",
    "heat7": "#73a9d5",
}

DARK = {
    "ink": "#e7ebef",
    "mute": "#a3aeb9",
    "grid": "#2a333d",
    "axis": "#5d6975",
    "better": "#6db4ea",
    "worse": "#f2a065",
    "previous": "#7c8792",
    "plain": "#8799ae",
    "band": "#2c3f50",
    "shade": "#1f272f",
    "paper": "#12171c",
    "c1": "#2fae9e",
    "c2": "#c77df0",
    "c3": "#dcc53c",
    "c4": "#fbe3ff",
    "c5": "#7f9140",
    "heat0": "#1a232c",
    "heat1": "#1b2b3a",
    "heat2": "#1d3448",
    "heat3": "#1f3d57",
    "heat4": "#214665",
    "heat5": "#244f73",
    "heat6": "#275880",
    "heat7": "#2b628d",
}

HEAT = tuple(PALETTE[f"heat{step}"] for step in range(8))
SERIES = ("c1", "c2", "c3", "c4", "c5")
# what a mark means, and the colour of a number beside it
TONES = {"better": "better", "worse": "worse", "steady": "plain", "actual": "ink", "previous": "previous"}
SAID = {"better": "better", "worse": "worse", "steady": "ink", "actual": "ink", "previous": "mute"}
