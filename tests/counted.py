"""Counts made by hand for tests of the statistics: what `churnlib.counts` would have counted."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pandas as pd

from churnlib.about import About, Period, Segment
from churnlib.text import Label

ABOUT = About(
    dataset="toy",
    title=Label("玩具数据（模拟）", "toy data (simulated)"),
    as_of=date(2026, 1, 12),
    observed_from=date(2023, 1, 1),
    period=Period(date(2025, 12, 1)),
    definition_note=Label("合约终止即流失。", "Churn is the contract's end."),
)


def months(n: int, last: str = "2025-12") -> list[str]:
    """Name n months in a row, the last one given."""
    end = Period.parse(last)
    return [str(end.shift(i + 1 - n)) for i in range(n)]


def period_counts(lost, opening=10_000, new=200, back=10, last="2025-12", level="", complete=None, about=ABOUT):
    """Count periods of which only the losses of the opening base vary; `opening` is a number or one a period."""
    n = len(lost)
    opening = [opening] * n if isinstance(opening, int) else list(opening)
    frame = pd.DataFrame({"level": level, "period": months(n, last), "n_opening": opening, "n_churned_opening": lost})
    frame["n_churned_new"] = 5
    frame["n_churned"] = frame["n_churned_opening"] + frame["n_churned_new"]
    frame["n_new"], frame["n_reactivated"] = new, back
    frame["n_closing"] = frame["n_opening"] + frame["n_new"] + frame["n_reactivated"] - frame["n_churned"]
    frame["is_complete"] = True if complete is None else complete
    return SimpleNamespace(frame=frame, about=about)


def by_level(levels: dict, **options):
    """Count periods of several levels of a segment: level -> (lost a period, opening)."""
    segment = Segment("region", Label("大区", "Region"), tuple(levels), tuple(Label(k, k) for k in levels))
    parts = [period_counts(lost, opening, level=level, **options).frame for level, (lost, opening) in levels.items()]
    return SimpleNamespace(frame=pd.concat(parts, ignore_index=True), about=replace(ABOUT, segment=segment))
