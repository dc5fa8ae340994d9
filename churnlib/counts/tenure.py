"""Who left at which tenure, by levels that may change on the way.

A customer who changes level is counted in each for the time spent in it (a counting process: left-truncated pieces), so
that nobody is credited with the time before they came into it, the "immortal time". A change takes effect on the day
after: who leaves on the very day of it leaves from the level before. What is counted as *customers* counts each once
(`n_entered` over all levels, `sizes` within a level); moves between levels are apart, in `n_moved_in`, `n_moved_out`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from churnlib import text
from churnlib.about import Segment
from churnlib.counts import definitions
from churnlib.counts.base import ALL, OUTCOMES, Counts, about, fixed_level, has_fee, segment
from churnlib.counts.crossed import crossing, is_tenure
from churnlib.counts.recent import NO, UNKNOWN, YES, Recent, recent_levels
from churnlib.text import Label

BLOCKS = 50  # customer code modulo this: a delete-a-block jackknife needs no customer row

# One row per spell with its tenure at entry and exit and its level, which cannot change.
TENURES = """
SELECT {level} AS level, {block} AS block, {entered} AS began, {what} AS what, {weight} AS weight, {entry} AS entry,
  {leaving} AS leaving
FROM {spells} AS s {codes}
WHERE s.definition = $definition AND {wanted}
"""

# One row per spell and stretch of tenure in one level. Of several changes within one month, where the data know no
# days, the last one counts.
PIECES = """
WITH stretches AS (
  SELECT s.customer, s.spell, {level} + l.level AS level, l.from_date, l.from_date <= s.entry_date AS is_first,
    {what} AS what, {weight} AS weight, {leaving} AS leaving,
    CASE WHEN l.from_date <= s.entry_date THEN {entry} ELSE {change} END AS entry
  FROM {spells} AS s {codes}
  JOIN {moving} AS l ON l.customer = s.customer AND l.to_date >= s.entry_date
    AND l.from_date <= coalesce(s.end_date, $as_of)
  WHERE s.definition = $definition AND {wanted}
),
ranked AS (
  SELECT *, row_number() OVER (
    PARTITION BY customer, spell, is_first, entry ORDER BY from_date DESC NULLS LAST) AS latest
  FROM stretches WHERE is_first OR entry < leaving
),
compared AS (
  SELECT *, lag(level) OVER (PARTITION BY customer, spell ORDER BY from_date NULLS LAST) AS level_before
  FROM ranked WHERE latest = 1
),
changed AS (
  SELECT *, lead(entry) OVER (PARTITION BY customer, spell ORDER BY from_date NULLS LAST) AS next_entry
  FROM compared WHERE level_before IS NULL OR level_before <> level
)
SELECT s.customer, s.spell, s.level, {block} AS block, CASE WHEN s.is_first THEN {entered} ELSE {moved_in} END AS began,
  CASE WHEN s.next_entry IS NULL THEN s.what ELSE {moved_out} END AS what, s.weight, s.entry,
  coalesce(s.next_entry, s.leaving) AS leaving
FROM changed AS s
"""

# One row per spell with its levels that cannot change, and its weight, where the customers' own dates do not give all.
SPELLS = """(
  SELECT s.*{columns} FROM {spells} AS s JOIN customers ON customers.customer = s.customer
)"""

# One row per customer and stretch, with the number of the level in place of its name.
CODED = """(
  SELECT t.customer, k.code AS level, t.from_date, t.to_date FROM {source} AS t
  JOIN level_codes AS k ON k.place = {place} AND k.level = t.level
)"""

# One row per spell. An inactivity rule sees a customer of old only at the next activity, and then loses nobody for
# one limit: at risk from such a day on would be those alone who are safe. From the day on by which all who had not
# churned have been active, the risk set is whole.
WHOLE_FROM = """(
  SELECT definition, customer, spell, start_date, end_date, outcome, CASE
    WHEN start_date < DATE '{observed_from}' AND entry_date < DATE '{whole_from}' THEN DATE '{whole_from}'
    ELSE entry_date END AS entry_date
  FROM spells
  WHERE start_date >= DATE '{observed_from}' OR coalesce(end_date, DATE '{as_of}') >= DATE '{whole_from}'
)"""

# One row per level, block and tenure at which somebody came or went. Adds over levels and blocks.
TENURE_COUNTS = """
WITH {tenures} moves AS (
  SELECT level, block, entry AS tenure, began AS what, count(*) AS n {weights}
  FROM tenures GROUP BY level, block, entry, began
  UNION ALL
  SELECT level, block, leaving, what, count(*) {weights}
  FROM tenures GROUP BY level, block, leaving, what
)
SELECT level, block, tenure, {sums}
FROM moves GROUP BY level, block, tenure
ORDER BY level NULLS LAST, block NULLS LAST, tenure NULLS LAST
"""
WEIGHTS = ", sum(weight) AS w, sum(weight * weight) AS w2"

# One row per level (its place) of one segment: customers (after a return: their spells) do not add over levels that
# change.
SIZES = """
SELECT level, count(*) AS n_customers
FROM (SELECT DISTINCT customer, spell, CAST(floor(level / {stride}) AS BIGINT) % {size} AS level FROM tenures) AS seen
GROUP BY level ORDER BY level NULLS LAST
"""

# Whole days: a spell of one day has exit 1, so that nobody who ended on the first day drops out.
_DAYS = "date_diff('day', s.start_date, {0})"
# Whole months, where the data know no days: from the month of the start.
_MONTHS = "(year({0}) * 12 + month({0}) - year(s.start_date) * 12 - month(s.start_date))"
WANTED = {"first": "s.spell = 1", "later": "s.spell > 1"}
# numbers in place of words: with millions of rows texts as keys take most of the time
WHATS = ("entered", *OUTCOMES, "censored", "moved_in", "moved_out")
NUMBER = {what: i for i, what in enumerate(WHATS)}


@dataclass(frozen=True)
class TenureCounts(Counts):
    """Counts by tenure, and the levels behind them.

    Attributes
    ----------
    segments : tuple of Segment
        Whatever divides the customers, in the order asked for.
    patterns : pandas.DataFrame
        One row per combination of levels that occurs, numbered by its index: the column `pattern` of `frame`; a column
        of level codes under the name of each segment. With one segment, its levels are in the frame itself.
    sizes : pandas.DataFrame
        One row per segment whose levels can change, and level (the index): `n_customers` who were ever counted in it.
        They add up to more than all customers; where nobody can change level, they are those who entered.
    """

    segments: tuple[Segment, ...] = ()
    patterns: pd.DataFrame | None = None
    sizes: pd.DataFrame | None = None


def tenure_counts(
    data: Any,
    by: str | Recent | Sequence[str | Recent] | None = None,
    *,
    spells: str = "first",
    weight: str | None = None,
    blocks: bool = False,
    definition: str | None = None,
) -> TenureCounts:
    """Count who came under observation and who left at each tenure.

    At risk at t are those with entry < t <= exit. Days: exit = end - start + 1 (or as_of - start + 1), entry = days
    from start to entry. Data that only know months: calendar months since that of the start.

    Parameters
    ----------
    data : Dataset
    by : str, Recent, or several of them, optional
        Names of declared segments, or what `recently` gives. Customers who change level are moved (see the module).
    spells : {"first", "later"}
        The customers' first spells, or those after a return, with the clock restarted.
    weight : {"monthly_fee"}, optional
        Also give sums of weights and of their squares.
    blocks : bool
        One row per block of customers too, for jackknife intervals.
    definition : str, optional

    Returns
    -------
    TenureCounts
        One row per level (or `pattern` of several) (and block) and tenure at which somebody came or went: `tenure`,
        `n_entered`, ended by outcome `n_voluntary`, `n_involuntary`, `n_natural`, `n_unknown`, together `n_events`,
        `n_censored`; where levels change also `n_moved_in`, `n_moved_out`; with weights `w_...` (minor units) and
        `w2_...` (their squares, float). Adds over levels and blocks; moves then cancel.
    """
    if spells not in WANTED or weight not in (None, "monthly_fee"):
        raise text.UsageError("counts.unknown_option", value=weight if spells in WANTED else spells)
    if weight and not has_fee(data):
        raise text.DataError("counts.no_fee")
    name, _ = definitions.declared_definition(data, definition)
    levels = _levels(data, by)
    segments, changes = tuple(level.segment for level in levels), any(level.source for level in levels)
    place = _place(data, name, levels, (PIECES if changes else TENURES), spells, bool(weight), blocks)
    values, sizes = {"definition": name, "as_of": data.as_of}, None
    sums = {"sums": ", ".join(_sums(weight, changes)), "weights": WEIGHTS if weight else ""}
    if changes:  # kept for a moment, because customers have to be counted by level too
        data.con.run(f"CREATE OR REPLACE TEMP TABLE tenures AS {place}", values)
        frame, sizes = data.con.frame(TENURE_COUNTS.format(tenures="", **sums)), _sizes(data, levels)
        data.con.run("DROP TABLE tenures")
    else:
        frame = data.con.frame(TENURE_COUNTS.format(tenures=f"tenures AS ({place}),", **sums), values)
    if frame.empty:
        definitions.spells(data, name)  # says so where nobody is followed at all
    frame, patterns = _named(frame if blocks else frame.drop(columns="block"), levels)
    key, division = ("level", _alone(segments[0])) if patterns is None else ("pattern", _together(segments))
    grain = (key, "block", "tenure") if blocks else (key, "tenure")
    told = about(data, division, definition=name)
    return TenureCounts(frame, told, grain, grain[:-1], segments, patterns, sizes)


class _Levels(NamedTuple):
    """The levels of one segment.

    Attributes
    ----------
    segment : Segment
    fixed : str
        The level as an expression over `customers`; "" where it can change.
    source : str
        The levels over time, for a FROM clause; "" where they cannot change.
    names : tuple of str
        Sorted: a level's number is its place here times `stride`, so that sums of numbers name combinations.
    stride : int
    """

    segment: Segment
    fixed: str = ""
    source: str = ""
    names: tuple[str, ...] = (ALL,)
    stride: int = 1


def _levels(data: Any, by: str | Recent | Sequence[str | Recent] | None) -> list[_Levels]:
    """The levels of whatever divides the customers; their numbers are in the table `level_codes`."""
    wanted = [by] if isinstance(by, str | Recent) else list(dict.fromkeys(by or ()))
    if len(wanted) > 1 and any(is_tenure(data, each) for each in wanted):
        raise text.UsageError("counts.tenure_covariate", name=next(each for each in wanted if is_tenure(data, each)))
    found = [_levels_of(data, each) for each in wanted] or [_Levels(Segment())]
    sizes = [len(level.names) for level in found]
    found = [level._replace(stride=prod(sizes[i + 1 :])) for i, level in enumerate(found)]
    rows = [(i, name, k * level.stride) for i, level in enumerate(found) for k, name in enumerate(level.names)]
    columns = zip(("place", "level", "code"), zip(*rows, strict=True), strict=True)
    data.con.load("level_codes", pa.table({name: list(column) for name, column in columns}))
    return found


def _levels_of(data: Any, each: str | Recent) -> _Levels:
    if isinstance(each, Recent):
        source, division = recent_levels(data, each)
    elif fixed := fixed_level(data, each):
        return _Levels(*fixed, names=tuple(sorted(fixed[0].levels)))
    else:
        source, division = segment(data, each)
    return _Levels(division, source=source, names=tuple(sorted(division.levels)))


def _place(data: Any, name: str, levels: list[_Levels], statement: str, spells: str, weighted: bool, blocks: bool):
    """Fill in the statement that places spells, or pieces of them, by level and tenure."""
    fixed = {i: level.fixed for i, level in enumerate(levels) if level.fixed}
    columns = {f"level_{i}": level for i, level in fixed.items()}
    columns |= {"fee": "coalesce(customers.monthly_fee, 0)"} if weighted else {}
    codes = [f"JOIN level_codes AS k{i} ON k{i}.place = {i} AND k{i}.level = s.level_{i}" for i in fixed]
    moving = [CODED.format(source=level.source, place=i) for i, level in enumerate(levels) if level.source]
    ended = " ".join(f"WHEN '{outcome}' THEN {NUMBER[outcome]}" for outcome in OUTCOMES)
    return statement.format(
        **clock(data.about.time_unit, "s.entry_date", "coalesce(s.end_date, $as_of)"),
        change=clock(data.about.time_unit, "", "l.from_date")["leaving"],
        **{what: NUMBER[what] for what in ("entered", "moved_in", "moved_out")},
        level=" + ".join(f"k{i}.code" for i in fixed) or "0",
        block=f"s.customer % {BLOCKS}" if blocks else "0",
        what=f"CASE s.outcome {ended} ELSE {NUMBER['censored']} END",
        weight="CAST(s.fee AS DECIMAL(18, 0))" if weighted else "0",
        wanted=WANTED[spells],
        spells=_spells(data, name, columns),
        codes=" ".join(codes),
        moving=crossing(moving, " + ") if moving else "",
    )


def _spells(data: Any, name: str, columns: dict[str, str]) -> str:
    """Give the spells with further columns of the customers: straight from their own dates where these make them."""
    if own := definitions.own_spells(data, name, columns):
        return own
    definitions.spells(data, name)
    spells = spells_at_risk(data, name)
    also = "".join(f", {expression} AS {column}" for column, expression in columns.items())
    return SPELLS.format(columns=also, spells=spells) if columns else spells


def clock(unit: str, entered: str, left: str) -> dict[str, str]:
    """Give the tenure of a spell `s` at entry and at the end of two days, in SQL."""
    if unit == "month":  # ends in the month of entry were seen, so who entered late is at risk from that month on
        return {"entry": f"greatest({_MONTHS.format(entered)} - 1, 0)", "leaving": _MONTHS.format(left)}
    return {"entry": _DAYS.format(entered), "leaving": _DAYS.format(left) + " + 1"}


def spells_at_risk(data: Any, name: str) -> str:
    """Give the source of spells for a FROM clause: each from the day on from which the risk set is whole."""
    if data.spec.definitions[name].kind != "inactivity":
        return "spells"
    whole_from = definitions.countable_from(data, name)
    return WHOLE_FROM.format(observed_from=data.observed_from, whole_from=whole_from, as_of=data.as_of)


def _sums(weight: str | None, changes: bool) -> list[str]:
    """One sum per kind of move, the events together after their outcomes."""
    wanted = {what: f"what = {number}" for what, number in NUMBER.items()}
    moved = {what: wanted.pop(what) for what in ("moved_in", "moved_out")}
    last = wanted.pop("censored")
    wanted |= {"events": f"what BETWEEN 1 AND {len(OUTCOMES)}", "censored": last} | (moved if changes else {})
    kinds = {"n": "BIGINT"} | ({"w": "BIGINT", "w2": "DOUBLE"} if weight else {})
    return [
        f"CAST(sum(CASE WHEN {condition} THEN {kind} ELSE 0 END) AS {type_}) AS {kind}_{what}"
        for kind, type_ in kinds.items()
        for what, condition in wanted.items()
    ]


def _sizes(data: Any, levels: list[_Levels]) -> pd.DataFrame:
    """Count the customers of every level of the segments in which a customer can change, each once."""
    parts = []
    for level in levels:
        if level.source:
            frame = data.con.frame(SIZES.format(stride=level.stride, size=len(level.names)))
            names = np.array(level.names, object)[frame["level"]]
            parts.append(frame.assign(level=names, segment=level.segment.name))
    return pd.concat(parts, ignore_index=True).set_index(["segment", "level"])


def _named(frame: pd.DataFrame, levels: list[_Levels]) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Name the levels again: in the counts, or of several segments in a table of patterns beside them."""
    if len(levels) == 1:
        return frame.assign(level=np.array(levels[0].names, object)[frame["level"]]), None
    present, pattern = np.unique(frame["level"].to_numpy(), return_inverse=True)
    places = np.unravel_index(present, [len(level.names) for level in levels])
    named = {v.segment.name: np.array(v.names, object)[at] for v, at in zip(levels, places, strict=True)}
    frame = frame.drop(columns="level")
    frame.insert(0, "pattern", pattern)
    return frame, pd.DataFrame(named)


def _alone(division: Segment) -> Segment:
    """Name the levels of what happened lately by itself: "yes" says nothing without the question."""
    if division.levels != (NO, YES, UNKNOWN):
        return division
    return replace(division, labels=(text.label("counts.recent.without"), division.label, division.labels[-1]))


def _together(segments: tuple[Segment, ...]) -> Segment:
    """One name for several segments, without levels of its own."""
    labels = [division.label for division in segments]
    return replace(Segment(), label=Label("、".join(v.zh for v in labels), ", ".join(v.en for v in labels)))
