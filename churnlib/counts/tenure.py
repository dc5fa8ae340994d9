"""Who left at which tenure, by levels that may change on the way.

A customer who changes level is counted in each for the time spent in it (a counting process: left-truncated pieces), so
that nobody is credited with the time before they came into it, the "immortal time". A change takes effect on the day
after: who leaves on the very day of it leaves from the level before. What is counted as *customers* counts each once
(`n_entered` over all levels, `sizes` within a level); moves between levels are apart, in `n_moved_in`, `n_moved_out`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from churnlib import text
from churnlib.about import Segment
from churnlib.counts import definitions
from churnlib.counts.base import OUTCOMES, Counts, about, has_fee, segment
from churnlib.counts.crossed import BETWEEN, crossing, is_tenure
from churnlib.counts.recent import Recent, recent_levels
from churnlib.model.segments import changes_over_time
from churnlib.text import Label

BLOCKS = 50  # customer code modulo this: a delete-a-block jackknife needs no customer row

# One row per spell with its tenure at entry and exit and its level, which cannot change.
TENURES = """
SELECT l.level, {block} AS block, 'entered' AS began, {what} AS what,
  CAST({weight} AS DECIMAL(18, 0)) AS weight, {entry} AS entry, {leaving} AS leaving
FROM {spells} AS s
{fees}
JOIN {segment} AS l ON l.customer = s.customer AND s.entry_date BETWEEN l.from_date AND l.to_date
WHERE s.definition = $definition AND {wanted}
"""

# One row per spell and stretch of tenure in one level. Of several changes within one month, where the data know no
# days, the last one counts.
PIECES = """
WITH stretches AS (
  SELECT s.customer, s.spell, l.level, l.from_date, l.from_date <= s.entry_date AS is_first, {what} AS what,
    CAST({weight} AS DECIMAL(18, 0)) AS weight, {leaving} AS leaving,
    CASE WHEN l.from_date <= s.entry_date THEN {entry} ELSE {change} END AS entry
  FROM {spells} AS s
  {fees}
  JOIN {segment} AS l ON l.customer = s.customer AND l.to_date >= s.entry_date
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
SELECT s.customer, s.spell, s.level, {block} AS block, CASE WHEN s.is_first THEN 'entered' ELSE 'moved_in' END AS began,
  CASE WHEN s.next_entry IS NULL THEN s.what ELSE 'moved_out' END AS what, s.weight, s.entry,
  coalesce(s.next_entry, s.leaving) AS leaving
FROM changed AS s
"""

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
  SELECT level, block, entry AS tenure, began AS what, count(*) AS n, sum(weight) AS w, sum(weight * weight) AS w2
  FROM tenures GROUP BY level, block, entry, began
  UNION ALL
  SELECT level, block, leaving, what, count(*), sum(weight), sum(weight * weight)
  FROM tenures GROUP BY level, block, leaving, what
)
SELECT level, block, tenure, {sums}
FROM moves GROUP BY level, block, tenure
ORDER BY level NULLS LAST, block NULLS LAST, tenure NULLS LAST
"""

# One row per level of one of the segments: customers (after a return: their spells) do not add over levels that change.
SIZES = """
SELECT level, count(*) AS n_customers
FROM (SELECT DISTINCT customer, spell, {level} AS level FROM tenures) AS seen GROUP BY level ORDER BY level NULLS LAST
"""

# Whole days: a spell of one day has exit 1, so that nobody who ended on the first day drops out.
_DAYS = "date_diff('day', s.start_date, {0})"
DAYS = {
    "entry": _DAYS.format("s.entry_date"),
    "change": _DAYS.format("l.from_date") + " + 1",
    "leaving": _DAYS.format("coalesce(s.end_date, $as_of)") + " + 1",
}
# Whole months, where the data know no days: from the month of the start. Ends in the month of entry were seen, so who
# entered late is at risk from that month on.
_MONTHS = "(year({0}) * 12 + month({0}) - year(s.start_date) * 12 - month(s.start_date))"
MONTHS = {
    "entry": f"greatest({_MONTHS.format('s.entry_date')} - 1, 0)",
    "change": _MONTHS.format("l.from_date"),
    "leaving": _MONTHS.format("coalesce(s.end_date, $as_of)"),
}
WANTED = {"first": "s.spell = 1", "later": "s.spell > 1"}
# the table of customers is read only where it is needed: with ten million of them it is a third of the time
WEIGHTED = {"fees": "JOIN customers AS c ON c.customer = s.customer", "weight": "coalesce(c.monthly_fee, 0)"}
UNWEIGHTED = {"fees": "", "weight": "0"}
WHATS = ("entered", *OUTCOMES, "censored")
MOVES = ("moved_in", "moved_out")


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
    name = definitions.spells(data, definition)
    sources, segments, changing = _divided(data, by)
    changes = any(changing)
    block = f"s.customer % {BLOCKS}" if blocks else "0"
    chosen = {"wanted": WANTED[spells], "block": block} | (WEIGHTED if weight else UNWEIGHTED)
    place = _place(data, name, crossing(sources), PIECES if changes else TENURES, chosen)
    values, sums = {"definition": name, "as_of": data.as_of}, ", ".join(_sums(weight, MOVES if changes else ()))
    if changes:  # kept for a moment, because customers have to be counted by level too
        data.con.run(f"CREATE OR REPLACE TEMP TABLE tenures AS {place}", values)
        frame, sizes = data.con.frame(TENURE_COUNTS.format(tenures="", sums=sums)), _sizes(data, segments, changing)
        data.con.run("DROP TABLE tenures")
    else:
        frame, sizes = data.con.frame(TENURE_COUNTS.format(tenures=f"tenures AS ({place}),", sums=sums), values), None
    frame = frame if blocks else frame.drop(columns="block")
    key, division, patterns = "level", segments[0], None
    if len(segments) > 1:
        key, division, (frame, patterns) = "pattern", _together(segments), _patterns(frame, segments)
    grain = (key, "block", "tenure") if blocks else (key, "tenure")
    told = about(data, division, definition=name)
    return TenureCounts(frame, told, grain, grain[:-1], segments, patterns, sizes)


def _divided(
    data: Any, by: str | Recent | Sequence[str | Recent] | None
) -> tuple[list[str], tuple[Segment, ...], list[bool]]:
    """Whatever divides the customers: sources of levels, their segments, and whether a customer can change in each."""
    wanted = [by] if isinstance(by, str | Recent) else list(dict.fromkeys(by or ()))
    if len(wanted) > 1 and any(is_tenure(data, each) for each in wanted):
        raise text.UsageError("counts.tenure_covariate", name=next(each for each in wanted if is_tenure(data, each)))
    found = [
        recent_levels(data, each) if isinstance(each, Recent) else segment(data, each) for each in wanted or [None]
    ]
    changing = [isinstance(each, Recent) or changes_over_time(data.spec.segments[each]) for each in wanted]
    return [source for source, _ in found], tuple(division for _, division in found), changing


def _place(data: Any, name: str, source: str, statement: str, chosen: dict[str, str]) -> str:
    """Fill in the statement that places spells, or pieces of them, by level and tenure."""
    clock = MONTHS if data.about.time_unit == "month" else DAYS
    what = "CASE WHEN s.end_date IS NULL THEN 'censored' ELSE s.outcome END"
    return statement.format(**clock, **chosen, segment=source, spells=spells_at_risk(data, name), what=what)


def spells_at_risk(data: Any, name: str) -> str:
    """Give the source of spells for a FROM clause: each from the day on from which the risk set is whole."""
    if data.spec.definitions[name].kind != "inactivity":
        return "spells"
    whole_from = definitions.countable_from(data, name)
    return WHOLE_FROM.format(observed_from=data.observed_from, whole_from=whole_from, as_of=data.as_of)


def _sums(weight: str | None, moves: tuple[str, ...]) -> list[str]:
    """One sum per kind of move, the events together after their outcomes."""
    ended = "what NOT IN ('entered', 'censored', 'moved_in', 'moved_out')"
    wanted = {what: f"what = '{what}'" for what in WHATS[:-1]} | {"events": ended, "censored": "what = 'censored'"}
    wanted |= {what: f"what = '{what}'" for what in moves}
    kinds = {"n": "BIGINT"} | ({"w": "BIGINT", "w2": "DOUBLE"} if weight else {})
    return [
        f"CAST(sum(CASE WHEN {condition} THEN {kind} ELSE 0 END) AS {type_}) AS {kind}_{what}"
        for kind, type_ in kinds.items()
        for what, condition in wanted.items()
    ]


def _sizes(data: Any, segments: tuple[Segment, ...], changing: list[bool]) -> pd.DataFrame:
    """Count the customers of every level of the segments in which a customer can change, each once."""
    parts = []
    for i, division in enumerate(segments, start=1):
        if changing[i - 1]:
            level = f"split_part(level, '{BETWEEN}', {i})" if len(segments) > 1 else "level"
            parts.append(data.con.frame(SIZES.format(level=level)).assign(segment=division.name))
    return pd.concat(parts, ignore_index=True).set_index(["segment", "level"])


def _patterns(frame: pd.DataFrame, segments: tuple[Segment, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Number the combinations of levels: texts of many columns, once each, apart from the counts."""
    codes, levels = pd.factorize(frame["level"], sort=True)
    names = [division.name for division in segments]
    patterns = pd.DataFrame([level.split(BETWEEN) for level in levels], columns=names)
    frame = frame.drop(columns="level")
    frame.insert(0, "pattern", codes)
    return frame, patterns


def _together(segments: tuple[Segment, ...]) -> Segment:
    """One name for several segments, without levels of its own."""
    labels = [division.label for division in segments]
    return replace(Segment(), label=Label("、".join(v.zh for v in labels), ", ".join(v.en for v in labels)))
