"""Drawings: plain data in, axes out. No arithmetic on the data, no words but those handed in or in `plots.yml`.

Every function draws on `ax`, or on a new figure of the report's content width when there is none, and gives the axes
back. Rates are shares in [0, 1]; `kind` and `digits` say how numbers are written (see `churnlib.text.show`).
"""

from churnlib.plots.aligned import Track, aligned
from churnlib.plots.bars import bars, dumbbell, forest
from churnlib.plots.canvas import style
from churnlib.plots.funnel import funnel
from churnlib.plots.life import Curve, heat_map, stacked, steps
from churnlib.plots.palette import PALETTE
from churnlib.plots.time import Panel, line, small_multiples

__all__ = [
    "PALETTE",
    "Curve",
    "Panel",
    "Track",
    "aligned",
    "bars",
    "dumbbell",
    "forest",
    "funnel",
    "heat_map",
    "line",
    "small_multiples",
    "stacked",
    "steps",
    "style",
]
