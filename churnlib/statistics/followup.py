"""What came of following the lost customers up, and to whom they went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib.about import Period
from churnlib.intervals import wilson
from churnlib.show import disclosure
from churnlib.show.results import Column, Finding, Result, Statement
from churnlib.statistics.reasons import ANSWERED, within


@dataclass(frozen=True, kw_only=True)
class FollowUp(Result):
    """What came of following the lost customers up: answered, refused, not asked, or not reached, by kind.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per kind: `n_customers` in the window, `share` of the lost customers with interval, `n_before`,
        `share_before` and `change` against the window before.
    window : tuple of Period
    """

    window: tuple[Period, Period]
    module: ClassVar[str] = "reasons"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("follow_up", "term", prefix="reasons.follow_up"),
        Column("n_customers", "whole"),
        Column("share", "pct", 1),
        Column("ci_lower", "pct", 1),
        Column("ci_upper", "pct", 1),
        Column("n_before", "whole"),
        Column("change", "points", 1),
    )
    folded: ClassVar[bool] = False

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_customers", "share", "ci_lower", "ci_upper", "n_before", "share_before", "change")
        table = self.table.assign(whole="")
        return disclosure.protect(
            table, self.about, count="n_customers", base="n_churned", hides=hides, within=("whole",)
        ).drop(columns="whole")

    @property
    def findings(self) -> tuple[Finding, ...]:
        n, churned = self.table["n_customers"], int(self.table["n_customers"].sum())
        if not churned:
            return (Finding("reasons.nobody_lost"),)
        silent = int(n[self.table["follow_up"] != ANSWERED].sum())
        return (Finding("reasons.silent", {"n": silent, "churned": churned, "share": silent / churned}),)

    @property
    def subtitle(self) -> Statement:
        first, last = self.window
        return Statement("reasons.follow_up_subtitle", {"first": first, "last": last})


def follow_up(response, *, window: int = 3) -> FollowUp:
    """Count what came of following the lost customers up.

    Parameters
    ----------
    response : Counts
        From `response_counts(data)`: one row per period and follow-up outcome with `n_customers`.
    window : int
        Periods taken together, ending with the report's.

    Returns
    -------
    FollowUp
        One row per kind of outcome; the kinds add up to the lost customers.
    """
    about = response.about
    last, first = about.period, about.period.shift(1 - window)
    now = response.frame[within(response.frame, first, last)].groupby("follow_up")["n_customers"].sum()
    past = response.frame[within(response.frame, first.shift(-window), last.shift(-window))]
    before = past.groupby("follow_up")["n_customers"].sum().reindex(now.index).fillna(0)
    n, n_before = int(now.sum()), int(past["n_customers"].sum())
    lower, upper = wilson(now.to_numpy(), np.full(len(now), n), about.conf_level)
    table = pd.DataFrame(
        {
            "follow_up": now.index,
            "n_customers": now.to_numpy(),
            "n_churned": n,
            "share": now.to_numpy() / n if n else np.nan,
            "ci_lower": lower,
            "ci_upper": upper,
            "n_before": before.to_numpy(int),
            "share_before": before.to_numpy() / n_before if n_before else np.nan,
        }
    )
    table["change"] = table["share"] - table["share_before"]
    table = table.sort_values(["n_customers", "follow_up"], ascending=[False, True], kind="stable").reset_index(
        drop=True
    )
    return FollowUp(about=about, table=table, name="follow_up", window=(first, last))
