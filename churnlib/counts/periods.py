"""The ledger of every period: who was there, who came, who moved, who left, and what they were worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from churnlib import handfuls, text
from churnlib.about import About, Period, Segment
from churnlib.counts import definitions
from churnlib.counts.base import (
    ALL,
    EVERYBODY,
    OUTCOMES,
    Counts,
    about,
    fee_of,
    has_fee,
    make_calendar,
    segment,
    unit_of,
)
from churnlib.counts.histories import daily_revenue
from churnlib.counts.revenue import make_revenue, revenue_note

COLUMNS = (
    *("level", "period", "first_day", "last_day", "is_complete", "is_provisional", "n_opening", "n_new"),
    *("n_reactivated", "n_moved_in", "n_moved_out", "n_churned", "n_churned_opening", "n_churned_new"),
    *(f"n_{outcome}" for outcome in OUTCOMES),
    *("n_closing", "exposure_days", "revenue", "fee_opening", "fee_new", "fee_reactivated", "fee_moved_in"),
    *("fee_moved_out", "fee_churned", "fee_churned_opening", "fee_closing"),
)

# One row per stretch in which a customer stood in one level during one spell. Levels are read as of the opening of a
# period (for those who join in it: as of the day they join), so a change within a period takes effect at the next
# opening.
#   joined: first day in the ledger; from_date, to_date: first and last day in the level (to_date null: still there)
PIECES = """
CREATE OR REPLACE TEMP TABLE pieces AS
WITH present AS (
  SELECT s.customer, s.spell, s.end_date, s.outcome, s.provisional, {fee} AS fee,
    CASE WHEN s.entry_date <= $countable_from THEN s.start_date ELSE s.entry_date END AS joined
  FROM spells AS s {fees}
  WHERE s.definition = $definition
),
levels AS (
  SELECT l.customer, l.level, l.from_date, l.to_date, coalesce(b.opening, l.from_date) AS takes_effect,
    CASE WHEN l.to_date < $as_of THEN coalesce(e.opening, CAST(l.to_date + INTERVAL '1' DAY AS DATE)) END AS replaced_on
  FROM {segment} AS l
  LEFT JOIN days AS b ON b.day = l.from_date
  LEFT JOIN days AS e ON l.to_date < $as_of AND e.day = CAST(l.to_date + INTERVAL '1' DAY AS DATE)
  WHERE l.from_date <= $as_of
),
placed AS (
  SELECT p.*, l.level, CASE WHEN l.from_date <= p.joined THEN p.joined ELSE l.takes_effect END AS from_date,
    CASE WHEN p.end_date < l.replaced_on THEN NULL ELSE l.replaced_on END AS replaced_on
  FROM present AS p JOIN levels AS l ON l.customer = p.customer AND l.to_date >= p.joined
)
SELECT customer, spell, level, joined, from_date, fee, outcome, provisional, from_date > joined AS moved_in,
  replaced_on IS NOT NULL AS moved_out,
  CASE WHEN replaced_on IS NULL THEN end_date ELSE CAST(replaced_on - INTERVAL '1' DAY AS DATE) END AS to_date
FROM placed
WHERE (end_date IS NULL OR from_date <= end_date) AND (replaced_on IS NULL OR from_date < replaced_on)
"""

# The same where nobody is divided: one row per spell. Read as it is, because to write it costs more than two readings.
SPELLS = """(
  SELECT customer, spell, '' AS level, joined, joined AS from_date, fee, outcome, provisional, FALSE AS moved_in,
    FALSE AS moved_out, end_date AS to_date
  FROM (
    SELECT s.customer, s.spell, s.end_date, s.outcome, s.provisional, {fee} AS fee,
      CASE WHEN s.entry_date <= $countable_from THEN s.start_date ELSE s.entry_date END AS joined
    FROM spells AS s {fees}
    WHERE s.definition = $definition
  ) AS present
  WHERE end_date IS NULL OR joined <= end_date
)"""

# One row per level and period in which somebody came (number 0: before the first period). Adds over both.
ARRIVALS = """
SELECT p.level, coalesce(d.number, 0) AS number, count(*) AS n_arrived,
  count(CASE WHEN NOT p.moved_in AND p.spell = 1 THEN 1 END) AS n_new,
  count(CASE WHEN NOT p.moved_in AND p.spell > 1 THEN 1 END) AS n_reactivated,
  count(CASE WHEN p.moved_in THEN 1 END) AS n_moved_in,
  sum(p.fee) AS fee_arrived,
  sum(CASE WHEN NOT p.moved_in AND p.spell = 1 THEN p.fee ELSE 0 END) AS fee_new,
  sum(CASE WHEN NOT p.moved_in AND p.spell > 1 THEN p.fee ELSE 0 END) AS fee_reactivated,
  sum(CASE WHEN p.moved_in THEN p.fee ELSE 0 END) AS fee_moved_in,
  sum(date_diff('day', DATE '2000-01-01', least(p.from_date, $next_day))) AS day_arrived
FROM {pieces} AS p
LEFT JOIN days AS d ON d.day = CASE WHEN p.moved_in THEN CAST(p.from_date - INTERVAL '1' DAY AS DATE) ELSE p.from_date
END GROUP BY p.level, coalesce(d.number, 0)
ORDER BY level NULLS LAST, number NULLS LAST
"""

# One row per level and period in which somebody left it, by churn or to another level. Adds over both.
DEPARTURES = """
SELECT p.level, coalesce(d.number, 0) AS number, count(*) AS n_departed,
  count(CASE WHEN NOT p.moved_out THEN 1 END) AS n_churned,
  count(CASE WHEN NOT p.moved_out AND coalesce(j.number, 0) < d.number THEN 1 END) AS n_churned_opening,
  count(CASE WHEN NOT p.moved_out AND p.outcome = 'voluntary' THEN 1 END) AS n_voluntary,
  count(CASE WHEN NOT p.moved_out AND p.outcome = 'involuntary' THEN 1 END) AS n_involuntary,
  count(CASE WHEN NOT p.moved_out AND p.outcome = 'natural' THEN 1 END) AS n_natural,
  count(CASE WHEN NOT p.moved_out AND p.outcome = 'unknown' THEN 1 END) AS n_unknown,
  count(CASE WHEN NOT p.moved_out AND p.provisional THEN 1 END) AS n_provisional,
  count(CASE WHEN p.moved_out THEN 1 END) AS n_moved_out,
  sum(p.fee) AS fee_departed,
  sum(CASE WHEN NOT p.moved_out THEN p.fee ELSE 0 END) AS fee_churned,
  sum(CASE WHEN NOT p.moved_out AND coalesce(j.number, 0) < d.number THEN p.fee ELSE 0 END) AS fee_churned_opening,
  sum(CASE WHEN p.moved_out THEN p.fee ELSE 0 END) AS fee_moved_out,
  sum(date_diff('day', DATE '2000-01-01', least(CAST(p.to_date + INTERVAL '1' DAY AS DATE), $next_day))) AS day_departed
FROM {pieces} AS p
LEFT JOIN days AS d ON d.day = p.to_date
LEFT JOIN days AS j ON j.day = p.joined
WHERE p.to_date IS NOT NULL
GROUP BY p.level, coalesce(d.number, 0)
ORDER BY level NULLS LAST, number NULLS LAST
"""

# One row per level and period: what counts as revenue, by the level in force on the day. Adds over both.
REVENUE = """
SELECT l.level, d.number, sum(a.amount) AS revenue
FROM revenue AS a
JOIN days AS d ON d.day = a.date
JOIN {segment} AS l ON l.customer = a.customer AND a.date BETWEEN l.from_date AND l.to_date
WHERE a.date <= $as_of AND a.customer NOT IN (SELECT customer FROM spells_excluded)
GROUP BY l.level, d.number
ORDER BY level NULLS LAST, number NULLS LAST
"""


def period_counts(
    data: Any, by: str | None = None, unit: str | None = None, *, definition: str | None = None
) -> Counts:
    """Keep the ledger of every period: opening + new + reactivated + moved in - moved out - churned = closing.

    Parameters
    ----------
    data : Dataset
    by : str, optional
        Name of a declared segment; else everybody together.
    unit : {"week", "month", "quarter", "year"}, optional
        The report's own if not given.
    definition : str, optional
        Name of a declared definition; the data set's own if not given.

    Returns
    -------
    Counts
        One row per level and period, from the first period that can be counted (for inactivity: one limit-length after
        the data begin) to the one that holds as_of. `level`, `period`, `first_day`, `last_day`, `is_complete`,
        `is_provisional` (churn in it may still be undone); customers `n_opening`, `n_new`, `n_reactivated`,
        `n_moved_in`, `n_moved_out`, `n_churned`, of which `n_churned_opening` were there at the opening and
        `n_churned_new` joined in the period, `n_voluntary`, `n_involuntary`, `n_natural`, `n_unknown` (churned by
        outcome), `n_closing`; `exposure_days` (customer-days at risk). Money in minor units: `revenue` (see
        `counts.revenue`) where activity has amounts; where customers have a monthly fee, `fee_opening` ...
        `fee_closing` as for customers. Adds over levels; flows and exposure also add over periods, openings and
        closings do not.

    Raises
    ------
    PeriodError
        The report's period lies before the first that can be counted by this definition.
    """
    unit, name = unit_of(data, unit), definitions.spells(data, definition)
    source, division = segment(data, by)
    return counted(data, source, division, unit, name, with_revenue=True)


def counted(data: Any, source: str, division: Segment, unit: str, name: str, with_revenue: bool = False) -> Counts:
    """Keep the ledger by the levels of a table (see `base.segment`)."""
    periods = make_calendar(data, unit, first_countable(data, name, unit))
    if source == EVERYBODY:
        moved = moves(data, periods, SPELLS.format(**fee_of(data)), _spells_of(data, name))
    else:
        make_pieces(data, name, source)
        moved = moves(data, periods)
        data.con.run("DROP TABLE pieces")
    flows = _flows(data, moved, periods, division.levels or (ALL,))
    if with_revenue and data.has("activity.amount"):
        sums = _revenue(data, source, periods)
        flows["revenue"] = sums["revenue"].reindex(flows.index, fill_value=0)
    told = replace(about(data, division, unit, name), delay=definitions.delay(data, name))
    told = replace(told, revenue_note=revenue_note(data)) if "revenue" in flows else told
    if unit == data.about.period.unit and told.period.first < periods["first_day"].min().date():
        raise text.PeriodError("counts.period_too_early", period=told.period, first=periods["period"].min())
    frame = _ledger(flows, periods)
    return Counts(frame, _withheld(data, told, lambda: frame), ("level", "period"), ("level",))


def withheld(data: Any, told: About) -> About:
    """Say of counts by period or cohort what the books of all customers hide, so that nothing gives it back."""

    def books() -> pd.DataFrame | None:
        try:
            periods = make_calendar(data, unit, first_countable(data, name, unit))
        except (text.DataError, text.PeriodError):  # a snapshot, or nothing that the books could be kept of
            return None
        moved = moves(data, periods, SPELLS.format(fee="0", fees=""), _spells_of(data, name))
        return _ledger(_flows(data, moved, periods, (ALL,)), periods)

    name, unit = told.definition, told.period.unit
    return _withheld(data, told, books)


def _withheld(data: Any, told: About, books: Callable[[], pd.DataFrame | None]) -> About:
    """The same, judged by the ledger once for every definition and unit."""

    def judge() -> frozenset:
        frame = books()
        if frame is None:
            return frozenset()
        flows = [f"n_{c}" for c in ("opening", "new", "reactivated", "churned", "churned_opening", "churned_new")]
        whole = frame.groupby("period", as_index=False)[flows].sum()
        complete = frame.groupby("period")["is_complete"].first()
        return handfuls.withheld(whole.assign(is_complete=complete.to_numpy()), told)

    held = data.con.once(("withheld", told.definition, told.period.unit), judge)
    return replace(told, withheld=told.withheld | held)


def _revenue(data: Any, source: str, periods: pd.DataFrame) -> pd.DataFrame:
    """Sum revenue by level and number of the period."""
    if source != EVERYBODY:
        make_revenue(data)
        sums = data.con.frame(REVENUE.format(segment=source), {"as_of": data.as_of})
    else:
        sums = daily_revenue(data)
        sums = sums[sums["date"] >= periods["first_day"].min()].assign(level=ALL)
        sums["number"] = periods["number"].to_numpy()[np.searchsorted(periods["last_day"], sums["date"])]
    return sums.groupby(["level", "number"])[["revenue"]].sum()


def first_countable(data: Any, name: str, unit: str) -> date:
    """Give the day from which periods are counted: when the ledger can be kept, and somebody is there."""
    first = data.con.value("SELECT min(start_date) FROM spells WHERE definition = ?", [name])
    begin = definitions.countable_from(data, name)
    return max(begin, Period.containing(first, unit).first) if first else begin


def make_pieces(data: Any, name: str, source: str) -> None:
    """Make the table `pieces` of one definition and division (see PIECES)."""
    values, fee = _spells_of(data, name), fee_of(data)
    if source == EVERYBODY:
        data.con.run(f"CREATE OR REPLACE TEMP TABLE pieces AS SELECT * FROM {SPELLS.format(**fee)} AS p", values)  # noqa: S608
    else:
        data.con.run(PIECES.format(segment=source, **fee), values | {"as_of": data.as_of})


def _spells_of(data: Any, name: str) -> dict[str, Any]:
    return {"definition": name, "countable_from": definitions.countable_from(data, name)}


def moves(
    data: Any, periods: pd.DataFrame, pieces: str = "pieces", values: Mapping[str, Any] = MappingProxyType({})
) -> list[pd.DataFrame]:
    """Give arrivals and departures (see ARRIVALS, DEPARTURES) of a table of pieces."""
    values = {"next_day": periods["next_day"].max().date(), **values}
    return [data.con.frame(sql.format(pieces=pieces), values) for sql in (ARRIVALS, DEPARTURES)]


def _flows(data: Any, moved: list[pd.DataFrame], periods: pd.DataFrame, levels: tuple[str, ...]) -> pd.DataFrame:
    """Arrivals and departures by (level, number of the period), zeros included; number 0 is all that came before."""
    grid = pd.MultiIndex.from_product([sorted(levels), range(len(periods) + 1)], names=["level", "number"])
    flows = pd.concat([f.set_index(["level", "number"]).reindex(grid, fill_value=0) for f in moved], axis=1)
    return flows if has_fee(data) else flows[[c for c in flows if not c.startswith("fee_")]]


def _ledger(flows: pd.DataFrame, periods: pd.DataFrame) -> pd.DataFrame:
    """Add flows up to openings and closings: cumulative sums over dates, never customers x periods."""
    frame = flows.assign(n_churned_new=flows["n_churned"] - flows["n_churned_opening"])
    for kind in ("n", "fee") if "fee_arrived" in flows else ("n",):
        net = flows[f"{kind}_arrived"] - flows[f"{kind}_departed"]
        frame[f"{kind}_closing"] = net.groupby(level="level").cumsum()
        frame[f"{kind}_opening"] = frame[f"{kind}_closing"] - net
    net = flows["day_arrived"] - flows["day_departed"]
    frame["days_to_closing"] = net.groupby(level="level").cumsum()
    frame["days_to_opening"] = frame["days_to_closing"] - net
    frame = frame.reset_index().merge(periods, on="number")
    frame["is_provisional"] = frame["n_provisional"] > 0
    # customer-days before a day t = t x customers - the sum of their first days (+ the sum of the days they left on)
    before_closing = _ordinal(frame["next_day"]) * frame["n_closing"] - frame["days_to_closing"]
    before_opening = _ordinal(frame["first_day"]) * frame["n_opening"] - frame["days_to_opening"]
    frame["exposure_days"] = before_closing - before_opening
    frame = frame.sort_values(["level", "number"], kind="stable", ignore_index=True)
    return frame[[column for column in COLUMNS if column in frame]]


def _ordinal(day: pd.Series) -> pd.Series:
    return (day - pd.Timestamp("2000-01-01")).dt.days.astype("int64")
