"""Drawings: plain data in, axes out. No arithmetic on the data, no words but those handed in or in `plots.yml`.

Every function draws on `ax`, or on a new figure of the report's content width when there is none, and gives the axes
back. Rates are shares in [0, 1]; `kind` and `digits` say how numbers are written (see `churnlib.text.show`).
"""

from churnlib.show.plots.aligned import Track, aligned
from churnlib.show.plots.bars import bars, dumbbell, forest
from churnlib.show.plots.canvas import style
from churnlib.show.plots.funnel import funnel
from churnlib.show.plots.life import Curve, heat_map, stacked, steps
from churnlib.show.plots.palette import PALETTE
from churnlib.show.plots.time import Panel, line, small_multiples

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
