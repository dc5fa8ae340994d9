"""What the lost customers said: reasons, who could be asked at all, and to whom they went."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import pyarrow as pa

from churnlib import text
from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, has_fee, make_calendar, segment, unit_of
from churnlib.counts.periods import first_countable, make_pieces, withheld
from churnlib.model.vocabulary import REASONS

# One row per lost customer and spell: level and period of the churn as in the ledger, and the survey about it. A survey
# is about the end nearest to it; of several about one end, an answer counts before silence and the last one before
# others.
LOST = """
CREATE OR REPLACE TEMP TABLE lost AS
WITH near AS (
  SELECT x.survey, x.customer, s.spell, x.follow_up, x.date, x.lost_to, x.version,
    row_number() OVER (PARTITION BY x.survey ORDER BY abs(date_diff('day', s.end_date, x.date)) NULLS LAST,
      s.spell DESC NULLS LAST) AS distance
  FROM exit_survey AS x JOIN spells AS s ON s.customer = x.customer
  WHERE s.definition = $definition AND s.end_date IS NOT NULL AND (x.date IS NULL OR x.date <= $as_of)
),
told AS (
  SELECT *, row_number() OVER (PARTITION BY customer, spell ORDER BY CASE WHEN follow_up = 'answered' THEN 0 ELSE 1 END
    NULLS LAST, date DESC NULLS LAST, survey DESC NULLS LAST) AS choice
  FROM near WHERE distance = 1
)
SELECT p.level, d.number, p.customer, p.spell, p.fee, p.to_date AS lost_on, t.survey, t.lost_to,
  coalesce(t.version, '') AS version, coalesce(t.follow_up, 'not_asked') AS follow_up
FROM pieces AS p
JOIN days AS d ON d.day = p.to_date
LEFT JOIN told AS t ON t.customer = p.customer AND t.spell = p.spell AND t.choice = 1
WHERE NOT p.moved_out
"""

# One row per level, period, outcome of the follow-up and version of the list ('' but for answers). Adds over all of
# them; sums to the churned of the ledger.
RESPONSES = """
SELECT l.level, l.number, l.follow_up, CASE WHEN r.survey IS NULL THEN '' ELSE l.version END AS version,
  count(*) AS n_customers, count(r.survey) AS n_respondents, sum(l.fee) AS fee_lost,
  sum(CASE WHEN r.survey IS NULL THEN 0 ELSE l.fee END) AS fee_told, {square} AS fee_told2
FROM lost AS l
LEFT JOIN (SELECT DISTINCT survey FROM exit_reasons) AS r ON r.survey = l.survey AND l.follow_up = 'answered'
GROUP BY l.level, l.number, l.follow_up, CASE WHEN r.survey IS NULL THEN '' ELSE l.version END
ORDER BY level NULLS LAST, number NULLS LAST, follow_up NULLS LAST, version NULLS LAST
"""

# One row per level, period, version of the list, list and code: a respondent with two reasons of one group counts once
# for the group. Adds over levels and periods, never over codes.
MENTIONS = """
WITH named AS (
  SELECT l.level, l.number, l.customer, l.spell, l.fee, l.version, g.level_of_list, g.code, count(*) AS n_mentions
  FROM lost AS l
  JOIN exit_reasons AS r ON r.survey = l.survey
  JOIN reason_lists AS g ON g.reason = r.reason
  WHERE l.follow_up = 'answered'
  GROUP BY l.level, l.number, l.customer, l.spell, l.fee, l.version, g.level_of_list, g.code
)
SELECT level, number, version, level_of_list, code AS reason, count(*) AS n_named, sum(n_mentions) AS n_mentions,
  sum(fee) AS fee_lost, {square} AS fee_lost2
FROM named GROUP BY level, number, version, level_of_list, code
ORDER BY level NULLS LAST, number NULLS LAST, version NULLS LAST, level_of_list NULLS LAST, reason NULLS LAST
"""

# the sum of squares of whole numbers, exact where it matters: for intervals of shares of money
SQUARE = "CAST(sum(CAST({fee} AS DECIMAL(18, 0)) * CAST({fee} AS DECIMAL(18, 0))) AS DOUBLE)"

# One row per level, period and pair of codes of one list that one respondent named together.
PAIRS = """
WITH named AS (
  SELECT DISTINCT l.level, l.number, l.survey, g.level_of_list, g.code
  FROM lost AS l
  JOIN exit_reasons AS r ON r.survey = l.survey
  JOIN reason_lists AS g ON g.reason = r.reason
  WHERE l.follow_up = 'answered'
)
SELECT a.level, a.number, a.level_of_list, a.code AS reason_a, b.code AS reason_b, count(*) AS n_both
FROM named AS a
JOIN named AS b ON b.survey = a.survey AND b.level_of_list = a.level_of_list AND b.code > a.code
GROUP BY a.level, a.number, a.level_of_list, a.code, b.code
ORDER BY level NULLS LAST, number NULLS LAST, level_of_list NULLS LAST, reason_a NULLS LAST, reason_b NULLS LAST
"""

# One row per level, period and place that the customer went to ('' where it is not known). Adds over all of them.
LOST_TO = """
SELECT level, number, coalesce(lost_to, '') AS lost_to, count(*) AS n_customers, sum(fee) AS fee_lost
FROM lost GROUP BY level, number, coalesce(lost_to, '')
ORDER BY level NULLS LAST, number NULLS LAST, lost_to NULLS LAST
"""


def reason_counts(
    data: Any, by: str | None = None, unit: str | None = None, *, definition: str | None = None
) -> Counts:
    """Count the respondents who named each reason, by the period of their churn.

    Returns
    -------
    Counts
        One row per level, period, `version` of the list, `level_of_list` ("reason", "group", "own" for the company's
        own grouping, "type" and "initiative" for the coarse ones) and `reason` ("price.too_high", "price", ...):
        `n_named` (respondents), `n_mentions` and `fee_lost` (monthly fees of those who named it, minor units; missing
        without fees) with `fee_lost2` (sum of their squares). Adds over levels, periods and versions; never over
        reasons, because a customer can name several.
    """
    keys = ("version", "level_of_list", "reason")
    sql = MENTIONS.format(square=SQUARE.format(fee="fee"))
    return _counted(data, by, unit, definition, sql, keys, ("level", "period", "version"))


def response_counts(
    data: Any, by: str | None = None, unit: str | None = None, *, definition: str | None = None
) -> Counts:
    """Count what came of following the lost customers up.

    Returns
    -------
    Counts
        One row per level, period of the churn, `follow_up` (answered, declined, not_asked, or why nobody was reached)
        and `version` of the list that was answered ("" for the others): `n_customers`, `n_respondents` (answered, and
        named at least one reason), `fee_lost`, `fee_told` and `fee_told2` (fees of the respondents and their squares).
        Adds over all; sums to `n_churned` of `period_counts`.
    """
    sql = RESPONSES.format(square=SQUARE.format(fee="CASE WHEN r.survey IS NULL THEN 0 ELSE l.fee END"))
    keys = ("follow_up", "version")
    return _counted(data, by, unit, definition, sql, keys, ("level", "period", *keys))


def reason_pair_counts(
    data: Any, by: str | None = None, unit: str | None = None, *, definition: str | None = None
) -> Counts:
    """Count the respondents who named two reasons together.

    Returns
    -------
    Counts
        One row per level, period, `level_of_list` and pair `reason_a` < `reason_b`: `n_both`. Adds over levels and
        periods.
    """
    return _counted(data, by, unit, definition, PAIRS, ("level_of_list", "reason_a", "reason_b"), ("level", "period"))


def lost_to_counts(
    data: Any, by: str | None = None, unit: str | None = None, *, definition: str | None = None
) -> Counts:
    """Count to whom the lost customers went.

    Returns
    -------
    Counts
        One row per level, period of the churn and `lost_to` ("" where it is not known): `n_customers`, `fee_lost`. Adds
        over all.
    """
    return _counted(data, by, unit, definition, LOST_TO, ("lost_to",), ("level", "period", "lost_to"))


def _counted(
    data: Any,
    by: str | None,
    unit: str | None,
    definition: str | None,
    sql: str,
    keys: tuple[str, ...],
    adds_over: tuple[str, ...],
) -> Counts:
    """Run one statement over the lost customers of the ledger's periods."""
    if not data.has("exit_survey"):
        raise text.DataError("counts.no_survey")
    unit, name = unit_of(data, unit), definitions.spells(data, definition)
    source, division = segment(data, by)
    with lost_customers(data, source, unit, name) as periods:
        frame = data.con.frame(sql).merge(periods[["number", "period"]], on="number").drop(columns="number")
    if not has_fee(data):
        frame = frame.assign(**{c: float("nan") for c in frame if c.startswith("fee_")})
    grain = ("level", "period", *keys)
    frame = frame[[*grain, *(c for c in frame if c not in grain)]]
    return Counts(frame, withheld(data, about(data, division, unit, name)), grain, adds_over)


@contextmanager
def lost_customers(data: Any, source: str, unit: str, name: str) -> Iterator[pd.DataFrame]:
    """Keep the tables `lost` and `reason_lists` for as long as the block runs; gives the calendar's periods."""
    periods = make_calendar(data, unit, first_countable(data, name, unit))
    make_pieces(data, name, source)
    data.con.run(LOST, {"definition": name, "as_of": data.as_of})
    data.con.load("reason_lists", reason_lists(data.spec))
    yield periods
    for table in ("lost", "pieces", "reason_lists"):
        data.con.run(f"DROP TABLE {table}")


def reason_lists(spec: Any) -> pa.Table:
    """Which code each reason has on the lists: itself, its group, and its places on the coarser lists."""
    rows = [(reason, "reason", reason) for reason in REASONS]
    rows += [(reason, "group", reason.partition(".")[0]) for reason in REASONS]
    for level, groups in spec.reasons.lists.items():
        placed = set()
        for name, group in groups.items():
            inside = [r for r in REASONS if r in group.members or r.partition(".")[0] in group.members]
            rows += [(reason, level, name) for reason in inside]
            placed |= set(inside)
        rows += [(reason, level, "other") for reason in REASONS if reason not in placed]
    reason, level, code = zip(*rows, strict=True)
    return pa.table({"reason": reason, "level_of_list": level, "code": code})
