"""Several segments at once: who was there at the opening of every period, and who of them left, by every combination
of levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import BETWEEN, Segment
from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, make_calendar, segment, unit_of
from churnlib.counts.periods import first_countable, make_pieces, moves, period_counts, withheld
from churnlib.engine import quote
from churnlib.model.schema import SegmentSpec
from churnlib.model.segments import describe, make_levels

TENURE = "tenure"
TENURE_MONTHS = (0, 6, 12, 24)  # bands of tenure where the data set declares none of its own
MANY = 20  # levels above which a segment is one of many small units
UNITS = 10  # levels from which on a segment may be one of units to compare
MOST = 100_000  # combinations of levels that may be crossed; far fewer occur

# One row per customer and stretch of days in which none of the levels changed: the levels joined into one.
CROSSED = """(
  SELECT s0.customer, {level} AS level, {from_date} AS from_date, {to_date} AS to_date
  FROM {first} AS s0 {joins}
)"""


@dataclass(frozen=True)
class CrossedCounts(Counts):
    """Counts with one column of levels per segment.

    Attributes
    ----------
    segments : tuple of Segment
        In the order in which they were asked for; `frame` has a column of level codes under the name of each.
    """

    segments: tuple[Segment, ...] = ()


def crossed_counts(
    data: Any, by: str | Sequence[str] | None = None, unit: str | None = None, *, definition: str | None = None
) -> CrossedCounts:
    """Count the opening base of every period, and its losses, by several segments and tenure at once.

    Parameters
    ----------
    data : Dataset
    by : str or sequence of str, optional
        Names of declared segments. Bands of tenure are always crossed with them: the declared ones if there are any,
        else 0, 6, 12 and 24 months.
    unit, definition : str, optional
        As in `period_counts`.

    Returns
    -------
    CrossedCounts
        One row per period and combination of levels that occurs at its opening: `period`, one column of level codes per
        segment, `n_opening`, `n_churned_opening`, `is_complete`. Levels are those of the opening. Adds over every
        segment: sums equal those of `period_counts`.
    """
    names = list(dict.fromkeys([by] if isinstance(by, str) else by or ()))
    unit, definition = unit_of(data, unit), definitions.spells(data, definition)
    found = [segment(data, name) for name in names]
    if not any(is_tenure(data, name) for name in names):
        found.append(tenure_bands(data))
    periods = make_calendar(data, unit, first_countable(data, definition, unit))
    make_pieces(data, definition, crossing([source for source, _ in found]))
    moved = moves(data, periods)
    data.con.run("DROP TABLE pieces")
    segments = tuple(division for _, division in found)
    frame = _openings(*moved, periods, [division.name for division in segments])
    told = withheld(data, about(data, segments[0], unit, definition))
    keys = tuple(division.name for division in segments)
    return CrossedCounts(frame, told, ("period", *keys), keys, segments)


def slice_counts(data: Any, unit: str | None = None, *, definition: str | None = None) -> CrossedCounts:
    """Count by all declared segments at once, but for those with many small units (see `unit_counts`).

    Returns
    -------
    CrossedCounts
        As `crossed_counts`. Segments are taken in the order of their declaration, as long as there are not more than
        100,000 combinations of levels.
    """
    chosen, cells = [], 1
    for name, division in _divisions(data):
        if 1 < len(division.levels) <= MANY and cells * len(division.levels) <= MOST:
            chosen.append(name)
            cells *= len(division.levels)
    return crossed_counts(data, chosen, unit, definition=definition)


def unit_counts(data: Any, by: str | None = None, unit: str | None = None) -> Counts:
    """Count by the segment with the most levels: branches, dealers, account managers.

    Parameters
    ----------
    data : Dataset
    by : str, optional
        Name of a declared segment; else the one with the most levels, if it has at least 10, apart from bands.

    Returns
    -------
    Counts
        As `period_counts`: everybody together where no segment has so many levels.
    """
    if not by:
        many = [(len(found.levels), name) for name, found in _divisions(data) if _has_units(data, name, found)]
        by = max(many)[1] if many else None
    return period_counts(data, by=by, unit=unit)


def _has_units(data: Any, name: str, division: Segment) -> bool:
    declared = data.spec.segments[name]
    return len(division.levels) >= UNITS and not (declared.bins or declared.tenure_months)


def _divisions(data: Any) -> list[tuple[str, Segment]]:
    return [(name, segment(data, name)[1]) for name in data.spec.segments]


def is_tenure(data: Any, name: str) -> bool:
    return name in data.spec.segments and data.spec.segments[name].tenure_months is not None


def tenure_bands(data: Any) -> tuple[str, Segment]:
    """The declared bands of tenure, or our own."""
    declared = next((name for name in data.spec.segments if is_tenure(data, name)), None)
    if declared:
        return segment(data, declared)
    bands, table = SegmentSpec(tenure_months=TENURE_MONTHS, label=text.label("counts.tenure")), "segment of tenure"
    if not data.con.table_exists(table):
        make_levels(data.con, data.spec, bands, table)
    return quote(table), describe(data.con, data.spec, TENURE, bands, table)


def crossing(sources: Sequence[str], between: str = f" || '{BETWEEN}' || ") -> str:
    """Join the stretches of several segments into those in which nothing changed: a source as of `segment`."""
    if len(sources) == 1:
        return sources[0]
    names = [f"s{i}" for i in range(len(sources))]
    joins = []
    for i, source in enumerate(sources[1:], start=1):
        joins.append(
            f"JOIN {source} AS s{i} ON s{i}.customer = s0.customer"
            f" AND s{i}.from_date <= {_each('least', names[:i], 'to_date')}"
            f" AND s{i}.to_date >= {_each('greatest', names[:i], 'from_date')}"
        )
    return CROSSED.format(
        level=between.join(f"{name}.level" for name in names),
        from_date=_each("greatest", names, "from_date"),
        to_date=_each("least", names, "to_date"),
        first=sources[0],
        joins=" ".join(joins),
    )


def _each(function: str, names: Iterable[str], column: str) -> str:
    columns = [f"{name}.{column}" for name in names]
    return columns[0] if len(columns) == 1 else f"{function}({', '.join(columns)})"


def _openings(arrivals: pd.DataFrame, departures: pd.DataFrame, periods: pd.DataFrame, names: list[str]):
    """Add moves up to openings; combinations with nobody at an opening have no row."""
    cells, where = np.unique(pd.concat([arrivals["level"], departures["level"]]).to_numpy(str), return_inverse=True)
    came, went = where[: len(arrivals)], where[len(arrivals) :]
    net, lost = np.zeros((2, len(cells), len(periods) + 1), np.int64)
    np.add.at(net, (came, arrivals["number"].to_numpy(int)), arrivals["n_arrived"].to_numpy(np.int64))
    np.add.at(net, (went, departures["number"].to_numpy(int)), -departures["n_departed"].to_numpy(np.int64))
    np.add.at(lost, (went, departures["number"].to_numpy(int)), departures["n_churned_opening"].to_numpy(np.int64))
    opening, lost = net.cumsum(axis=1)[:, :-1].T, lost[:, 1:].T  # by period and cell
    at, cell = np.nonzero(opening)
    levels = pd.DataFrame([code.split(BETWEEN) for code in cells], columns=names)
    return pd.DataFrame(
        {
            "period": periods["period"].to_numpy()[at],
            **{name: levels[name].to_numpy()[cell] for name in names},
            "n_opening": opening[at, cell],
            "n_churned_opening": lost[at, cell],
            "is_complete": periods["is_complete"].to_numpy()[at],
        }
    )
