"""Who of the lost answered, by all that is known of everybody: what weighting for response is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from churnlib import text
from churnlib.about import Segment
from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, has_fee, segment, unit_of
from churnlib.counts.crossed import BETWEEN, crossing, is_tenure, tenure_bands
from churnlib.counts.reasons import lost_customers

FEW = 8  # levels of a segment that can be weighted by; more are many small units
MOST = 10_000  # combinations of levels; far fewer occur
FEE = "fee_band"

# One row: the least monthly fee of the upper and of the middle third of the lost customers.
EDGES = """
WITH ranked AS (
  SELECT fee, row_number() OVER (ORDER BY fee DESC NULLS LAST) AS place, count(*) OVER () AS n_all
  FROM lost WHERE number BETWEEN $first AND $last
)
SELECT min(CASE WHEN 3 * place <= n_all + 2 THEN fee END) AS high,
  min(CASE WHEN 3 * place <= 2 * n_all + 1 THEN fee END) AS middle
FROM ranked
"""

# One row per cell: lost customers and those who named a reason.
CELLS = """
SELECT l.level, {band} AS fee_band, count(*) AS n_customers, count(r.survey) AS n_respondents
FROM lost AS l
LEFT JOIN (SELECT DISTINCT survey FROM exit_reasons) AS r ON r.survey = l.survey AND l.follow_up = 'answered'
WHERE l.number BETWEEN $first AND $last
GROUP BY l.level, {band}
ORDER BY level NULLS LAST, fee_band NULLS LAST
"""

# One row per cell, list and code: the respondents who named it.
NAMED = """
WITH named AS (
  SELECT DISTINCT l.level, {band} AS fee_band, l.survey, g.level_of_list, g.code
  FROM lost AS l
  JOIN exit_reasons AS r ON r.survey = l.survey
  JOIN reason_lists AS g ON g.reason = r.reason
  WHERE l.follow_up = 'answered' AND l.number BETWEEN $first AND $last
)
SELECT level, fee_band, level_of_list, code AS reason, count(*) AS n_named
FROM named GROUP BY level, fee_band, level_of_list, code
ORDER BY level NULLS LAST, fee_band NULLS LAST, level_of_list NULLS LAST, reason NULLS LAST
"""


@dataclass(frozen=True)
class AnswerCounts(Counts):
    """Answers by cells of what is known of all lost customers.

    Attributes
    ----------
    segments : tuple of Segment
        What the cells are made of; `frame` has a column of level codes under the name of each.
    window : int
        Periods taken together, ending with the report's.
    """

    segments: tuple[Segment, ...] = ()
    window: int = 3


def answer_counts(data: Any, window: int = 3, unit: str | None = None) -> AnswerCounts:
    """Count answers by segments, tenure and thirds of the monthly fee at once.

    Parameters
    ----------
    data : Dataset
    window : int
        Periods taken together, ending with the report's.
    unit : str, optional

    Returns
    -------
    AnswerCounts
        One row per combination of levels at the churn, `level_of_list` and `reason`. Rows with `reason` "" hold
        `n_customers` (lost) and `n_respondents` (named a reason), the others `n_named`. Segments are taken in the order
        of their declaration, those of up to eight levels, while there are at most 10,000 combinations. Adds over the
        segments; never over reasons.

    Raises
    ------
    DataError
        Without an exit survey.
    """
    if not data.has("exit_survey"):
        raise text.DataError("counts.no_survey")
    unit, name = unit_of(data, unit), definitions.spells(data)
    found = _known_of_all(data)
    last = about(data, found[0][1], unit).period
    with lost_customers(data, crossing([source for source, _ in found]), unit, name) as periods:
        inside = periods["period"].between(str(last.shift(1 - window)), str(last))
        numbers = periods.loc[inside, "number"]
        values = {"first": int(numbers.min()), "last": int(numbers.max())} if len(numbers) else {"first": 0, "last": -1}
        band, limits = "'all'", {}
        if has_fee(data) and len(edges := data.con.frame(EDGES, values).dropna()):
            limits = {name: int(edges[name].iloc[0]) for name in ("high", "middle")}
            band = "CASE WHEN l.fee >= $high THEN 'high' WHEN l.fee >= $middle THEN 'middle' ELSE 'low' END"
            found.append(("", Segment(FEE, text.label("counts.fee_band"), ("high", "middle", "low"), ())))
        frames = [data.con.frame(sql.format(band=band), values | limits) for sql in (CELLS, NAMED)]
    frame = pd.concat(frames, ignore_index=True).fillna({"level_of_list": "", "reason": ""})
    numbers = ["n_customers", "n_respondents", "n_named"]
    frame[numbers] = frame[numbers].fillna(0).astype("int64")
    segments = tuple(division for _, division in found)
    keys = tuple(s.name for s in segments)
    codes = [code.split(BETWEEN) for code in frame.pop("level")]
    levels = pd.DataFrame(codes, columns=[k for k in keys if k != FEE], index=frame.index)
    frame = pd.concat([levels, frame], axis=1)[[*keys, "level_of_list", "reason", *numbers]]
    told = about(data, Segment(), unit, name)
    return AnswerCounts(frame, told, (*keys, "level_of_list", "reason"), keys, segments, window)


def _known_of_all(data: Any) -> list[tuple[str, Segment]]:
    """What may tell those who answer from the others: tenure, and the segments with few levels."""
    found = [tenure_bands(data)]
    cells = len(found[0][1].levels)
    for name in data.spec.segments:
        source, division = segment(data, name)
        n = len(division.levels)
        if 1 < n <= FEW and cells * n <= MOST and not is_tenure(data, name):
            found.append((source, division))
            cells *= n
    return found
