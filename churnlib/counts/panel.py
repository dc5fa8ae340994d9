"""The panel: every customer and month at risk, with what was known before the month began, added up to patterns.

The rows never leave the engine. What leaves it are numbers of customer-months at risk, and of those lost, by every
combination of controls and drivers that occurs, and by block of customers (for intervals without customer rows).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from churnlib import text
from churnlib.about import Segment
from churnlib.counts import definitions, inactivity
from churnlib.counts.base import Counts, about, make_calendar, segment
from churnlib.counts.drivers import (
    Factor,
    drivers_of,
    exposed_levels,
    is_levelled,
    level_places,
    levelled,
    needed_controls,
)
from churnlib.counts.exposures import lay_out
from churnlib.counts.periods import first_countable
from churnlib.counts.tenure import BLOCKS
from churnlib.model.segments import changes_over_time

TENURE = (0, 1, 3, 6, 12, 24, 36, 60)  # months of tenure from which the bands begin
MONTHS = 36  # of the panel, the last ones: groups of customers drift apart, and older months tell of other times
MANY = 20  # levels above which a segment is no control
MOST = 2_000  # combinations of levels of all controls but the month and tenure

# One row per customer and month at risk: those of the ledger's opening. What is known is what was before its first day.
OPENINGS = """
CREATE OR REPLACE TEMP TABLE trials AS
WITH present AS (
  SELECT customer, start_date, end_date,
    CASE WHEN entry_date <= $countable_from THEN start_date ELSE entry_date END AS joined
  FROM spells WHERE definition = $definition
)
SELECT p.customer, m.number, m.first_day AS seen_on, coalesce(p.end_date < m.next_day, FALSE) AS churned,
  year(m.first_day) * 12 + month(m.first_day) - year(p.start_date) * 12 - month(p.start_date)
    - CASE WHEN day(p.start_date) > 1 THEN 1 ELSE 0 END AS tenure
FROM present AS p JOIN panel_months AS m ON m.first_day > p.joined AND m.first_day <= coalesce(p.end_date, $as_of)
"""

# One row per customer and day of activity, under an inactivity rule: each could have been the last before a silence.
# The month is that in which the ledger counts it: the day + the limit. Days too late to be judged are left out.
ACTIVE_DAYS = """
CREATE OR REPLACE TEMP TABLE trials AS
WITH judged AS (
  SELECT f.customer, f.day, f.next_day, s.start_date, s.end_date, CAST(f.day + {limit} AS DATE) AS due
  FROM followed AS f JOIN spells AS s ON s.customer = f.customer AND s.definition = $definition
    AND f.day >= greatest(s.start_date, s.entry_date) AND f.day <= coalesce(s.end_date, $as_of)
  WHERE f.next_day IS NULL OR f.next_day > f.day
),
dated AS (
  SELECT customer, day, start_date, end_date IS NOT NULL AND (next_day IS NULL OR next_day > end_date) AS churned,
    CASE WHEN end_date IS NOT NULL AND (next_day IS NULL OR next_day > end_date) THEN end_date ELSE due END AS due
  FROM judged WHERE due <= $as_of
)
SELECT d.customer, m.number, d.day AS seen_on, d.churned,
  greatest(year(d.day) * 12 + month(d.day) - year(d.start_date) * 12 - month(d.start_date)
    - CASE WHEN day(d.start_date) > day(d.day) THEN 1 ELSE 0 END, 0) AS tenure
FROM dated AS d JOIN panel_months AS m ON d.due >= m.first_day AND d.due < m.next_day
"""

# One row per customer and day at risk on which anything was in force: the levels of all drivers in one number.
EXPOSED = """
CREATE OR REPLACE TEMP TABLE exposed AS
WITH hits AS (
  SELECT i.customer, o.seen_on, i.driver, max(i.level) AS level
  FROM stretches_exposed AS i JOIN {days} AS o ON {same} o.seen_on BETWEEN i.from_date AND i.to_date
  GROUP BY i.customer, o.seen_on, i.driver
)
SELECT h.customer, h.seen_on, CAST(sum(h.level * w.weight) AS BIGINT) AS code
FROM hits AS h JOIN driver_weights AS w ON w.driver = h.driver
GROUP BY h.customer, h.seen_on
"""
MONTHS_THEMSELVES = {"days": "(SELECT first_day AS seen_on FROM panel_months)", "same": ""}
OWN_DAYS = {"days": "(SELECT DISTINCT customer, seen_on FROM trials)", "same": "o.customer = i.customer AND"}

# One row per pattern and block. Adds over everything.
PATTERNS = """
SELECT t.number + {months} * ({band} + {bands} * ({fixed})) AS stratum, coalesce(e.code, 0) + {moving} AS exposure,
  t.customer % {blocks} AS block, count(*) AS n_at_risk, count(CASE WHEN t.churned THEN 1 END) AS n_churned
FROM trials AS t {joins}
LEFT JOIN exposed AS e ON e.customer = t.customer AND e.seen_on = t.seen_on
WHERE t.tenure >= 0
GROUP BY stratum, exposure, block
ORDER BY stratum NULLS LAST, exposure NULLS LAST, block NULLS LAST
"""


@dataclass(frozen=True)
class PanelCounts(Counts):
    """The panel as numbers of customer-months by covariate pattern and block of customers.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per `pattern` and `block`: `n_at_risk`, `n_churned`. Adds over both.
    patterns : pandas.DataFrame
        One row per pattern, in their order: one column per factor with the index of its level.
    factors : tuple of Factor
        The months, bands of tenure and controls, then the drivers.
    months : tuple of str
        Periods of the factor "month", in their order.
    silent : bool
        The definition is one of inactivity: at risk are days of activity, seen as of that day.
    left_out : tuple of Label
        Segments that are no controls, because there would be too many combinations.
    """

    patterns: pd.DataFrame = field(default_factory=pd.DataFrame)
    factors: tuple[Factor, ...] = ()
    months: tuple[str, ...] = ()
    silent: bool = False
    left_out: tuple = ()


def panel_counts(data: Any, *, definition: str | None = None) -> PanelCounts:
    """Count customer-months at risk, and losses, by every pattern of controls and drivers.

    At risk are the customers of each opening of the last 36 complete months; what they are exposed to is read as of it.
    Under an inactivity rule churn is counted when the limit has run out, long after it happened: there every day of
    activity is a trial (was it the last?), exposures are read as of that day, and the month is that of the ledger.

    Returns
    -------
    PanelCounts
        Controls are the calendar month, bands of tenure (eight, or fewer where tenure itself is a driver), and the
        declared segments of up to 20 levels: those that events and drivers name first, as long as they have no more
        than 2,000 combinations together.
    """
    name, drivers = definitions.spells(data, definition), drivers_of(data)
    declared = definitions.declared_definition(data, name)[1]
    silent = declared.kind == "inactivity"
    periods = make_months(data, name, MONTHS)
    make_trials(data, name, declared)
    factors = lay_out(data, drivers, name, silent)
    (controls, left_out), bands = _controls(data, drivers), _bands(data, drivers)
    frame = _patterns(data, silent, len(periods), bands, controls, factors, drivers)
    for table in ("trials", "exposed", "stretches_exposed"):
        data.con.run(f"DROP TABLE {table}")
    months = tuple(periods["period"])
    shown = [
        Factor("month", text.label("attributable.month"), months),
        Factor("tenure", text.label("counts.tenure"), tuple(map(str, bands))),
        *(Factor(n, s.label, s.levels) for n, (_, s) in controls.items()),
        *factors,
    ]
    first = (frame["stratum"].diff().ne(0) | frame["exposure"].diff().ne(0)).to_numpy()
    frame.insert(0, "pattern", np.cumsum(first) - 1)
    patterns = _decoded(frame.loc[first], shown, len(factors))
    told, grain = about(data, Segment(), "month", name), ("pattern", "block")
    frame = frame.drop(columns=["stratum", "exposure"])
    return PanelCounts(frame, told, grain, grain, patterns, tuple(shown), months, silent, left_out)


def make_months(data: Any, name: str, most: int | None = None) -> pd.DataFrame:
    """Make the table `panel_months`: the (last) complete months up to the report's period, numbered from 0."""
    periods = make_calendar(data, "month", first_countable(data, name, "month"))
    last = np.datetime64(data.about.period.last)
    periods = periods[periods["is_complete"] & (periods["last_day"] <= last)].iloc[-(most or len(periods)) :]
    days = {c: pa.array(periods[c].dt.date, pa.date32()) for c in ("first_day", "next_day")}
    number = pa.array(range(len(periods)), pa.int32())
    data.con.load("panel_months", pa.table({"number": number, **days}))
    return periods


def make_trials(data: Any, name: str, declared: Any) -> None:
    """Make the table `trials`: customer, number (of the month), seen_on, churned, tenure."""
    values = {"definition": name, "as_of": data.as_of}
    if declared.kind == "inactivity":
        inactivity.follow(data, declared.activity)
        usual = data.con.value("SELECT max(days) FROM usual_gaps WHERE definition = ?", [name])
        data.con.run(ACTIVE_DAYS.format(limit=inactivity.after(declared.limit, str(usual))), values)
        data.con.run("DROP TABLE followed")
    else:
        data.con.run(OPENINGS, values | {"countable_from": definitions.countable_from(data, name)})


def _bands(data: Any, drivers: dict) -> tuple[int, ...]:
    """Give the edges of the bands of tenure without those inside or beside what a driver by tenure counts as exposed.

    With them the control would be the driver over again, and leave it nothing to explain.
    """
    kept = TENURE
    for name, driver in drivers.items():
        edges = data.spec.segments[driver.segment].tenure_months if driver.segment and is_levelled(driver) else None
        for level in exposed_levels(data, name, driver, levelled(data, name, driver)[1]) if edges else ():
            low = int(level.rstrip("+").partition("-")[0])
            high = next((edge for edge in edges if edge > low), np.inf)
            kept = tuple(edge for edge in kept if edge == 0 or not low <= edge <= high)
    return kept


def _controls(data: Any, drivers: dict) -> tuple[dict[str, tuple[str, Segment]], tuple]:
    """Choose the segments that drivers are compared within: name -> (table, levels); and what there is no room for."""
    always = [d for d in drivers.values() if is_levelled(d)]  # their levels are the driver itself
    columns = {d.column or data.spec.segments[d.segment].column for d in always} - {None}
    taken = {d.segment for d in always} | {n for n, s in data.spec.segments.items() if s.column in columns}
    first = [*needed_controls(data, drivers.values()), *([data.spec.segment] if data.spec.segment else [])]
    chosen, left_out, cells = {}, [], 1
    for name in dict.fromkeys([*first, *data.spec.segments]):
        if name in taken or data.spec.segments[name].tenure_months:
            continue
        table, found = segment(data, name)
        if 1 < len(found.levels) <= MANY and cells * len(found.levels) <= MOST:
            chosen[name] = (table, found)
            cells *= len(found.levels)
        elif len(found.levels) > 1:
            left_out.append(found.label)
    return chosen, tuple(left_out)


def _patterns(
    data: Any, silent: bool, n_months: int, bands: tuple, controls: dict, factors: list[Factor], drivers: dict
) -> pd.DataFrame:
    """Run PATTERNS: every factor has its place in one of two whole numbers, the controls in the first."""
    sizes = [len(f.levels) for f in factors]
    weights = np.concatenate([[1], np.cumprod(sizes, dtype=object)[:-1]]).tolist() if factors else []
    numbers = pa.array(range(len(weights)), pa.int32())
    data.con.load("driver_weights", pa.table({"driver": numbers, "weight": pa.array(weights, pa.int64())}))
    data.con.run(EXPOSED.format(**(OWN_DAYS if silent else MONTHS_THEMSELVES)))
    fixed, moving, joins, codes, place = ["0"], ["0"], [], [], 1
    moving_of = {n: changes_over_time(data.spec.segments[n]) for n in controls}
    for name, (table, found) in controls.items():
        places = {level: i for i, level in enumerate(found.levels)}
        fixed.append(f"{place} * {_join(table, moving_of[name], places, joins, codes)}")
        place *= len(found.levels)
    for factor, weight in zip(factors, weights, strict=True):
        driver = drivers[factor.name]
        if is_levelled(driver):
            moves = bool(driver.segment) and changes_over_time(data.spec.segments[driver.segment])
            table, _ = levelled(data, factor.name, driver)
            places = level_places(data, factor.name, driver)
            moving.append(f"{weight} * {_join(table, moves, places, joins, codes)}")
    number, level, code = zip(*codes, strict=True) if codes else ((), (), ())
    loaded = {"factor": pa.array(number, pa.int32()), "level": pa.array(level, pa.string())}
    data.con.load("panel_codes", pa.table({**loaded, "code": pa.array(code, pa.int64())}))
    how = {
        "months": n_months,
        "band": tenure_band("t.tenure", bands),
        "bands": len(bands),
        "blocks": BLOCKS,
        "joins": " ".join(joins),
    }
    return data.con.frame(PATTERNS.format(fixed=" + ".join(fixed), moving=" + ".join(moving), **how))


def _join(table: str, moves: bool, places: dict[str, int], joins: list[str], codes: list[tuple]) -> str:
    """Add the join that gives the place of a customer's level, and name it."""
    i = len(joins)
    codes += [(i, level, place) for level, place in places.items()]
    within = f"AND t.seen_on BETWEEN l{i}.from_date AND l{i}.to_date" if moves else ""
    joins.append(
        f"LEFT JOIN {table} AS l{i} ON l{i}.customer = t.customer {within}"
        f" LEFT JOIN panel_codes AS c{i} ON c{i}.factor = {i} AND c{i}.level = l{i}.level"
    )
    return f"coalesce(c{i}.code, 0)"


def tenure_band(column: str, edges: tuple[int, ...]) -> str:
    """Give the SQL of a band's index by completed months of tenure."""
    whens = " ".join(f"WHEN {column} >= {months} THEN {i}" for i, months in reversed(list(enumerate(edges))))
    return f"CASE {whens} ELSE 0 END"


def _decoded(rows: pd.DataFrame, factors: list[Factor], n_drivers: int) -> pd.DataFrame:
    """Read the two numbers of a pattern back into one column of level indices per factor."""
    split, out = len(factors) - n_drivers, {}
    for column, part in (("stratum", factors[:split]), ("exposure", factors[split:])):
        rest = rows[column].to_numpy(np.int64)
        for factor in part:
            rest, code = np.divmod(rest, max(len(factor.levels), 1))
            out[factor.name] = code.astype(np.int16)
    return pd.DataFrame(out)
