"""The revenue bridge from bills: what became of the revenue of the period before, to the last cent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from churnlib import text
from churnlib.about import YEAR, Period
from churnlib.show import plots
from churnlib.show.results import Column, Finding, Result, Statement

GAINS, LOSSES = ("new", "expansion", "reactivated"), ("contraction", "churned")
FLOWS = ("new", "expansion", "reactivated", "contraction", "churned")
SHOWN = 13  # periods


@dataclass(frozen=True, kw_only=True)
class BilledBridge(Result):
    """Revenue of the period before, what was added and taken away, revenue of the period.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per period: `opening`, `new`, `expansion`, `reactivated`, `contraction`, `churned`, `closing` in minor
        units, each with its customers `n_...`; of the opening, `gross_retention` (less contraction and churned) and
        `net_retention` (also with expansion).
    """

    module: ClassVar[str] = "bridge"
    folded: ClassVar[bool] = True
    columns: ClassVar[tuple[Column, ...]] = (
        Column("period", "period"),
        *(Column(name, "money") for name in ("opening", *FLOWS, "closing")),
        Column("gross_retention", "pct", 1),
        Column("net_retention", "pct", 1),
    )

    @property
    def shown(self) -> pd.DataFrame:
        """The last periods; no flows of a period in which one is of a handful, as they would tell single bills."""
        shown, k = self.table.tail(SHOWN).reset_index(drop=True), self.about.privacy_k
        few = pd.concat([shown[f"n_{flow}"].between(1, k - 1) for flow in FLOWS], axis=1).any(axis=1)
        hides = (*FLOWS, "gross_retention", "net_retention")
        return shown.assign(**{name: shown[name].astype(float).mask(few) for name in hides})

    @property
    def current(self) -> pd.Series:
        """The last period."""
        return self.shown.iloc[-1]

    @property
    def _period(self) -> Period:
        return Period.parse(self.current.period)

    @property
    def findings(self) -> tuple[Finding, ...]:
        now = self.current
        if not now.opening or pd.isna(now.churned):
            return (Finding("bridge.not_shown", {"period": self._period}),)
        growth = now.closing - now.opening
        word = "grew" if growth > 0 else "shrank" if growth < 0 else "level"
        values = {"period": self._period, "share": abs(growth) / now.opening, "change": self.money(abs(growth))}
        values |= {name: self.money(now[name]) for name in ("opening", *FLOWS, "closing")}
        tone = {"grew": "better", "shrank": "worse"}.get(word, "steady")
        weight = abs(growth) / now.opening * now.n_opening
        base = Finding(f"bridge.{word}", values, tone=tone, weight=weight)
        return (base, self._stayers(now))

    def _stayers(self, now: pd.Series) -> Finding:
        """Set what customers of both periods bring more or less beside what those who left took along.

        Where a silence must last longer than a period to be churn, nobody who bought can be lost in the next.
        """
        net = now.expansion - now.contraction
        word = "more" if net > 0 else "less" if net < 0 else "alike"
        values = {"stayed": self.money(abs(net)), "churned": self.money(now.churned), "period": self._period}
        values |= {"gross": now.gross_retention, "net": now.net_retention}
        if not now.churned and self.about.earliest_churn >= 12 / YEAR[self.about.period.unit]:
            return Finding("bridge.stayers.silent", {"months": self.about.earliest_churn, "net": now.net_retention})
        return Finding(f"bridge.stayers.{word}", values)

    @property
    def subtitle(self) -> Statement:
        return Statement("bridge.subtitle", {"period": self._period})

    @property
    def notes(self) -> tuple[Statement, ...]:
        values = {"definition": self.about.definition_note, "revenue": self.about.revenue_note}
        return (Statement("bridge.note", values),)

    def plot(self, ax=None):
        now = self.current
        if not now.opening or pd.isna(now.churned):
            return None
        amounts = [*(now[flow] for flow in GAINS), *(-now[flow] for flow in LOSSES), now.closing - now.opening]
        labels = [text.say(f"bridge.column.{flow}") for flow in FLOWS] + [text.say("bridge.net")]
        said = [text.show(self.money(amount), "money") for amount in amounts]
        counts = [text.show(now[f"n_{flow}"], "number", digits=0) for flow in FLOWS] + [""]
        return plots.bars(
            labels,
            [amount / now.opening for amount in amounts],
            tones=[*["better"] * len(GAINS), *["worse"] * len(LOSSES), "steady"],
            total=True,
            columns=[(text.say("bridge.amount"), said), (text.say("plots.customers"), counts)],
            ax=ax,
        )


def billed_bridge(counts) -> BilledBridge:
    """Check the bridge and give it.

    Parameters
    ----------
    counts : Counts
        From `bridge_counts(data)`: one row per period.

    Returns
    -------
    BilledBridge
        One row per period.

    Raises
    ------
    DataError
        If opening + new + expansion + reactivated - contraction - churned is not closing, to the cent.
    """
    table = counts.frame.copy()
    closing = table["opening"] + sum(table[flow] for flow in GAINS) - sum(table[flow] for flow in LOSSES)
    following = table["opening"].shift(-1, fill_value=table["closing"].iloc[-1])
    wrong = (closing != table["closing"]) | (following != table["closing"])
    if wrong.any():
        raise text.DataError("ledger.does_not_balance", period=table.loc[wrong, "period"].iloc[0])
    opening = table["opening"].where(table["opening"] > 0)
    lost = table["contraction"] + table["churned"]
    table["gross_retention"] = 1 - lost / opening
    table["net_retention"] = 1 - (lost - table["expansion"]) / opening
    return BilledBridge(about=counts.about, table=table, name="revenue_bridge")
