"""Silent churn: customers who are still here but bring nothing any more, use nothing, or lastingly bring less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from churnlib import text
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement

WHAT = ("none", "unused", "fallen")
MOST = 0.9  # share of the customers from which on bringing nothing is a gap in the records and no behaviour


@dataclass(frozen=True, kw_only=True)
class QuietCustomers(Result):
    """Customers still here who bring or use nothing, or under half of their own base.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level and `what` ("none", "unused", "fallen"): `n_customers` of `n_here` (here from the start of the
        base on), `share`, `amount_before` (a month of the base) and `lost` (a month: base less now).
    months : int
        Length of the window that is judged.
    """

    months: int
    module: ClassVar[str] = "quiet"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("level", "level"),
        Column("what", "term", prefix="quiet.what"),
        Column("n_here", "whole"),
        Column("n_customers", "whole"),
        Column("share", "pct", 1),
        Column("amount_before", "money"),
        Column("lost", "money"),
    )

    @property
    def shown(self) -> pd.DataFrame:
        table = self.table if self.about.segment.name else self.table.drop(columns="level")
        hides = ("n_customers", "share", "amount_before", "lost")
        return disclosure.protect(table, self.about, count="n_customers", base="n_here", hides=hides)

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.table.empty:
            return (Finding("quiet.unknown", {"months": self.months + 12}),)
        sums = self.table.groupby("what")[["n_customers", "amount_before", "lost"]].sum()
        n_here, k = int(self.table.groupby("level")["n_here"].first().sum()), self.about.privacy_k
        if sums.loc["none", "n_customers"] >= max(k, MOST * n_here):
            return (Finding("quiet.no_bills", {"months": self.months}),)
        told = [self._finding(what, sums.loc[what], n_here) for what in WHAT if sums.loc[what, "n_customers"] >= k]
        return tuple(told) or (Finding("quiet.nobody", {"n": n_here, "months": self.months}),)

    def _finding(self, what: str, row: pd.Series, n_here: int) -> Finding:
        values = {"n": int(row.n_customers), "all": n_here, "share": row.n_customers / n_here, "months": self.months}
        values |= {"before": self.money(row.amount_before), "lost": self.money(row.lost)}
        return Finding(f"quiet.{what}", values, tone="worse", weight=float(row.n_customers))

    @property
    def subtitle(self) -> Statement | None:
        n_here = int(self.table.groupby("level")["n_here"].first().sum())
        values = {"months": self.months, "period": self.about.period, "n": n_here}
        return Statement("quiet.subtitle", values) if n_here else None

    @property
    def notes(self) -> tuple[Statement, ...]:
        values = {"months": self.months, "period": self.about.period, "revenue": self.about.revenue_note}
        return (Statement("quiet.note", values),)

    def plot(self, ax=None):
        shown = self.shown
        if self.about.segment.name or shown["n_customers"].fillna(0).sum() == 0:
            return None
        said = [text.show(n, "number", digits=0) for n in shown["n_customers"]]
        labels = [text.say(f"quiet.what.{what}") for what in shown["what"]]
        columns = [(text.say("plots.customers"), said)]
        return plots.bars(labels, shown["share"].tolist(), columns=columns, tones=["worse"] * len(shown), ax=ax)


def quiet_customers(counts, *, months: int = 3) -> QuietCustomers:
    """Count the customers who are still here but bring or use nothing, or lastingly less than before.

    Parameters
    ----------
    counts : Counts
        From `quiet_counts(data, months=months)`.

    Returns
    -------
    QuietCustomers
        One row per level and kind; empty when bills do not reach back over the base and the window.
    """
    frame = counts.frame.astype({"n_customers": "int64"})
    n_here = frame.groupby("level")["n_customers"].sum()
    grid = pd.MultiIndex.from_product([n_here.index, WHAT], names=["level", "what"])
    table = frame.set_index(["level", "what"]).reindex(grid, fill_value=0).reset_index()
    table["n_here"] = table["level"].map(n_here)
    table["share"] = table["n_customers"] / table["n_here"]
    table["lost"] = table["amount_before"] - table["amount_now"]
    return QuietCustomers(about=counts.about, table=table, name="quiet_customers", months=months)
