"""What the customers lost in a year used to bring: by segment, and by the reason that they gave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from churnlib.about import YEAR, Period
from churnlib.counts import definitions
from churnlib.counts.base import EVERYBODY, Counts, about, has_fee, segment
from churnlib.counts.histories import monthly_revenue
from churnlib.counts.reasons import lost_customers

# One row per spell that ended in some days: its level on the last day and the customer's fee.
LOST_SPELLS = """
SELECT s.customer, s.spell, s.end_date, l.level, {fee} AS fee
FROM spells AS s
JOIN customers AS c ON c.customer = s.customer
JOIN {segment} AS l ON l.customer = s.customer AND s.end_date BETWEEN l.from_date AND l.to_date
WHERE s.definition = $definition AND s.end_date BETWEEN $first AND $last
ORDER BY s.customer NULLS LAST, s.spell NULLS LAST
"""

# One row per level: who was there at the opening of the first of some days, their fees, and those of them lost since.
THERE = """
SELECT l.level, count(*) AS n_base, sum({fee}) AS fee_base,
  sum(CASE WHEN s.end_date <= $last THEN {fee} ELSE 0 END) AS fee_base_lost
FROM spells AS s
JOIN customers AS c ON c.customer = s.customer
JOIN {segment} AS l ON l.customer = s.customer AND $first BETWEEN l.from_date AND l.to_date
WHERE s.definition = $definition AND s.start_date < $first AND (s.end_date IS NULL OR s.end_date >= $first)
GROUP BY l.level ORDER BY level NULLS LAST
"""

# One row per lost customer and group of reasons that they named.
GROUPS = """
SELECT DISTINCT l.customer, l.spell, g.code
FROM lost AS l
JOIN exit_reasons AS r ON r.survey = l.survey
JOIN reason_lists AS g ON g.reason = r.reason AND g.level_of_list = 'group'
WHERE l.follow_up = 'answered'
ORDER BY l.customer NULLS LAST, l.spell NULLS LAST, g.code NULLS LAST
"""

NOT_TOLD = ""


def loss_counts(data: Any, by: str | None = None, *, definition: str | None = None) -> Counts:
    """Count what was lost in the twelve months to the end of the report's period.

    Parameters
    ----------
    data : Dataset
    by : str, optional
        Name of a declared segment, read on the last day as a customer; the data set's default if not given.
    definition : str, optional

    Returns
    -------
    Counts
        One row per `split` ("segment" or "reason") and `level` (of the segment, or group of reasons; "" for those who
        did not tell): `n_lost` (who named several reasons counts for each), `fee_lost` a month in minor units (the fee;
        without fees a twelfth of the revenue of the year up to the last bill; shared equally between the reasons that
        one customer named, so that either split adds up to the whole), `n_base` and `fee_base` of those there a year
        ago and what of it was lost since, `fee_base_lost` (0 for reasons, and fees without any). Adds over levels
        within a split.
    """
    name, (source, division) = definitions.spells(data, definition), segment(data, by or _default(data))
    last = Period.containing(data.about.period.last)
    window = {"definition": name, "first": last.shift(1 - YEAR["month"]).first, "last": last.last}
    fee = "coalesce(c.monthly_fee, 0)" if has_fee(data) else "0"
    lost = data.con.frame(LOST_SPELLS.format(segment=source, fee=fee), window)
    base = data.con.frame(THERE.format(segment=source, fee=fee), window)
    if not has_fee(data):
        lost["fee"] = _usual(data, lost, name)
    rows = lost.groupby("level").agg(n_lost=("fee", "size"), fee_lost=("fee", "sum"))
    rows = rows.join(base.set_index("level"), how="outer").fillna(0)
    parts = [rows.rename_axis("level").reset_index().assign(split="segment")]
    if data.has("exit_survey"):
        parts.append(_by_reason(data, lost, name).assign(split="reason", n_base=0, fee_base=0, fee_base_lost=0))
    frame = pd.concat(parts, ignore_index=True)
    numbers = ["n_lost", "fee_lost", "n_base", "fee_base", "fee_base_lost"]
    frame = frame[["split", "level", *numbers]].astype(dict.fromkeys(numbers, "int64"))
    return Counts(frame, about(data, division, None, name), ("split", "level"), ("level",))


def _default(data: Any) -> str | None:
    return data.spec.segment or next(iter(data.spec.segments), None)


def _usual(data: Any, lost: pd.DataFrame, name: str) -> np.ndarray:
    """A twelfth of the revenue of the year up to each customer's last bill before the end."""
    monthly = monthly_revenue(data, name)
    if monthly is None or lost.empty:
        return np.zeros(len(lost), np.int64)
    bills = monthly.amount[:, np.searchsorted(monthly.customers, lost["customer"].to_numpy())].T
    first, end = monthly.months[0].first, lost["end_date"].dt
    ended = (end.year * 12 + end.month - first.year * 12 - first.month).to_numpy()
    places = np.arange(bills.shape[1])
    billed = (bills != 0) & (places <= ended[:, None])
    last = len(places) - 1 - billed[:, ::-1].argmax(axis=1)
    inside = (places <= last[:, None]) & (places > last[:, None] - YEAR["month"]) & billed.any(axis=1)[:, None]
    return np.rint(np.where(inside, bills, 0).sum(axis=1) / YEAR["month"]).astype(np.int64)


def _by_reason(data: Any, lost: pd.DataFrame, name: str) -> pd.DataFrame:
    with lost_customers(data, EVERYBODY, "month", name):
        named = data.con.frame(GROUPS)
    rows = lost.merge(named, on=["customer", "spell"], how="left").fillna({"code": NOT_TOLD})
    own = rows.groupby(["customer", "spell"])["fee"]
    n, place = own.transform("size"), own.cumcount()
    rows["fee"] = rows["fee"] // n + (place < rows["fee"] % n)  # to the last cent
    told = rows.groupby("code").agg(n_lost=("fee", "size"), fee_lost=("fee", "sum"))
    return told.rename_axis("level").reset_index()
