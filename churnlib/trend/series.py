"""The series that the chapter judges: the complete periods of one level, and how they are shown and said."""

from __future__ import annotations

from typing import Any

import pandas as pd

from churnlib.show import disclosure

PLOTTED = 37  # periods of a chart: three years of months and the one before them, or the incomplete one


def complete_periods(frame: pd.DataFrame, about) -> pd.DataFrame:
    """Give the complete periods of one level up to the report's own, in order, with their `churn_rate`."""
    usable = frame["is_complete"].astype(bool) & (frame["n_opening"] > 0) & (frame["period"] <= str(about.period))
    rows = frame[usable].sort_values("period", kind="stable").reset_index(drop=True)
    return rows.assign(churn_rate=rows["n_churned_opening"] / rows["n_opening"])


def shown_series(series: pd.DataFrame, about) -> pd.DataFrame:
    """Give a series after the disclosure rules."""
    return disclosure.protect(series, about, hides=("n_churned_opening", "churn_rate"))


def covered(series: pd.DataFrame, about) -> dict[str, Any]:
    """Say whom a series covers, from when to when: what a subtitle needs."""
    first, last = series["period"].iloc[[0, -1]]
    return {"segment": about.segment.label, "first": first, "last": last}
