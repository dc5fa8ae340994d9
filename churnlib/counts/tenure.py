"""Who left at which tenure."""

from __future__ import annotations

from typing import Any

from churnlib import text
from churnlib.counts import definitions
from churnlib.counts.base import OUTCOMES, Counts, about, has_fee, segment

BLOCKS = 50  # customer code modulo this: a delete-a-block jackknife needs no customer row

# One row per spell with its tenure at entry and exit and its level on the day of entry.
TENURES = """
CREATE OR REPLACE TEMP TABLE tenures AS
SELECT l.level, {block} AS block, CASE WHEN s.end_date IS NULL THEN 'censored' ELSE s.outcome END AS what,
  CAST({weight} AS DECIMAL(18, 0)) AS weight, {entry} AS entry, {leaving} AS leaving
FROM {spells} AS s
JOIN customers AS c ON c.customer = s.customer
JOIN {segment} AS l ON l.customer = s.customer AND s.entry_date BETWEEN l.from_date AND l.to_date
WHERE s.definition = $definition AND {wanted}
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

# One row per level, block and tenure at which somebody entered or left. Adds over levels and blocks.
TENURE_COUNTS = """
WITH moves AS (
  SELECT level, block, entry AS tenure, 'entered' AS what, count(*) AS n, sum(weight) AS w, sum(weight * weight) AS w2
  FROM tenures GROUP BY level, block, entry
  UNION ALL
  SELECT level, block, leaving, what, count(*), sum(weight), sum(weight * weight)
  FROM tenures GROUP BY level, block, leaving, what
)
SELECT level, block, tenure, {sums}
FROM moves GROUP BY level, block, tenure
ORDER BY level NULLS LAST, block NULLS LAST, tenure NULLS LAST
"""

# Whole days: a spell of one day has exit 1, so that nobody who ended on the first day drops out.
DAYS = {
    "entry": "date_diff('day', s.start_date, s.entry_date)",
    "leaving": "date_diff('day', s.start_date, coalesce(s.end_date, $as_of)) + 1",
}
# Whole months, where the data know no days: from the month of the start. Ends in the month of entry were seen, so who
# entered late is at risk from that month on.
_MONTHS = "(year({0}) * 12 + month({0}) - year(s.start_date) * 12 - month(s.start_date))"
MONTHS = {
    "entry": f"greatest({_MONTHS.format('s.entry_date')} - 1, 0)",
    "leaving": _MONTHS.format("coalesce(s.end_date, $as_of)"),
}
WANTED = {"first": "s.spell = 1", "later": "s.spell > 1"}
WHATS = ("entered", *OUTCOMES, "censored")


def tenure_counts(
    data: Any,
    by: str | None = None,
    *,
    spells: str = "first",
    weight: str | None = None,
    blocks: bool = False,
    definition: str | None = None,
) -> Counts:
    """Count who came under observation and who left at each tenure.

    At risk at t are those with entry < t <= exit. Days: exit = end - start + 1 (or as_of - start + 1), entry = days
    from start to entry. Data that only know months: calendar months since that of the start.

    Parameters
    ----------
    data : Dataset
    by : str, optional
        Name of a declared segment, read on the day of entry.
    spells : {"first", "later"}
        The customers' first spells, or those after a return, with the clock restarted.
    weight : {"monthly_fee"}, optional
        Also give sums of weights and of their squares.
    blocks : bool
        One row per block of customers too, for jackknife intervals.
    definition : str, optional

    Returns
    -------
    Counts
        One row per level (and block) and tenure at which somebody entered or left: `tenure`, `n_entered`, ended by
        outcome `n_voluntary`, `n_involuntary`, `n_natural`, `n_unknown`, together `n_events`, `n_censored`; with
        weights `w_...` (minor units) and `w2_...` (their squares, float). Adds over levels and blocks.
    """
    if spells not in WANTED or weight not in (None, "monthly_fee"):
        raise text.UsageError("counts.unknown_option", value=weight if spells in WANTED else spells)
    if weight and not has_fee(data):
        raise text.DataError("counts.no_fee")
    name = definitions.spells(data, definition)
    source, division = segment(data, by)
    clock = MONTHS if data.about.time_unit == "month" else DAYS
    chosen = {
        "spells": spells_at_risk(data, name),
        "block": f"s.customer % {BLOCKS}" if blocks else "0",
        "weight": "coalesce(c.monthly_fee, 0)" if weight else "0",
    }
    made = TENURES.format(segment=source, wanted=WANTED[spells], **clock, **chosen)
    data.con.run(made, {"definition": name, "as_of": data.as_of})
    frame = data.con.frame(TENURE_COUNTS.format(sums=", ".join(_sums(weight))))
    data.con.run("DROP TABLE tenures")
    grain = ("level", "block", "tenure") if blocks else ("level", "tenure")
    frame = frame if blocks else frame.drop(columns="block")
    return Counts(frame, about(data, division, definition=name), grain, grain[:-1])


def spells_at_risk(data: Any, name: str) -> str:
    """Give the source of spells for a FROM clause: each from the day on from which the risk set is whole."""
    if data.spec.definitions[name].kind != "inactivity":
        return "spells"
    whole_from = definitions.countable_from(data, name)
    return WHOLE_FROM.format(observed_from=data.observed_from, whole_from=whole_from, as_of=data.as_of)


def _sums(weight: str | None) -> list[str]:
    """One sum per kind of move, the events together after their outcomes."""
    ended = "what <> 'entered' AND what <> 'censored'"
    wanted = {what: f"what = '{what}'" for what in WHATS[:-1]} | {"events": ended, "censored": "what = 'censored'"}
    kinds = {"n": "BIGINT"} | ({"w": "BIGINT", "w2": "DOUBLE"} if weight else {})
    return [
        f"CAST(sum(CASE WHEN {condition} THEN {kind} ELSE 0 END) AS {type_}) AS {kind}_{what}"
        for kind, type_ in kinds.items()
        for what, condition in wanted.items()
    ]
