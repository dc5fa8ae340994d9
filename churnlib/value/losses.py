"""Money lost: which customers took it along, and which reasons they gave for leaving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from churnlib import text
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement

ALIKE = 1.1  # ratio of two rates that is worth a word
MOST = 12  # levels in a figure


@dataclass(frozen=True, kw_only=True)
class LostMoney(Result):
    """What the customers lost in a year used to bring a month.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per segment level and per group of reasons (`split` says which): `level`, `label`, `n_lost`, `fee_lost`,
        `share` of the split's total; for segments `rate` (of the fees of those there a year ago, the part lost since).
    """

    module: ClassVar[str] = "losses"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("split", "term", prefix="losses.split"),
        Column("label", "label"),
        Column("n_lost", "whole"),
        Column("fee_lost", "money"),
        Column("share", "pct", 1),
        Column("rate", "pct", 1),
    )

    @property
    def shown(self) -> pd.DataFrame:
        base = self.table["n_base"].where(
            self.table["n_base"] > 0, self.table.groupby("split")["n_lost"].transform("sum")
        )
        hides = ("n_lost", "fee_lost", "share", "rate")
        table = self.table.assign(base=base)
        return disclosure.protect(table, self.about, count="n_lost", base="base", hides=hides, within=("split",))

    def _split(self, split: str) -> pd.DataFrame:
        told = self.shown[self.shown["split"] == split].dropna(subset="fee_lost")
        return told.sort_values("fee_lost", ascending=False, kind="stable")

    @property
    def findings(self) -> tuple[Finding, ...]:
        whole = self.table[self.table["split"] == "segment"][["n_lost", "fee_lost"]].sum()
        if not whole.fee_lost or whole.n_lost < self.about.min_denominator:
            return (Finding("losses.unknown"),)
        values = {"n": int(whole.n_lost), "money": self.money(whole.fee_lost), "period": self.about.period}
        head = Finding("losses.whole", values, tone="worse", weight=float(whole.n_lost))
        return (head, *self._of_segment(), *self._of_reason())

    def _of_segment(self) -> tuple[Finding, ...]:
        """Name the level that lost most money, with its share of the loss and its own rate beside the others'."""
        told = self._split("segment")
        if len(told) < 2 or not self.about.segment.name:
            return ()
        top, others = told.iloc[0], told.iloc[1:]
        values = {"level": top.label, "share": top.share, "segment": self.about.segment.label}
        rest = others["fee_base_lost"].sum() / others["fee_base"].sum() if others["fee_base"].sum() else float("nan")
        if pd.isna(top.rate) or pd.isna(rest) or not rest:
            return (Finding("losses.segment.share", values),)
        word = "higher" if top.rate > ALIKE * rest else "lower" if top.rate * ALIKE < rest else "alike"
        return (Finding(f"losses.segment.{word}", values | {"rate": top.rate, "others": rest}),)

    def _of_reason(self) -> tuple[Finding, ...]:
        told = self._split("reason")
        named = told[told["level"] != ""]
        if named.empty or not named["fee_lost"].sum():
            return ()
        top, whole = named.iloc[0], self.table.loc[self.table["split"] == "reason", "fee_lost"].sum()
        said = self.table.loc[(self.table["split"] == "reason") & (self.table["level"] != ""), "fee_lost"].sum()
        values = {"reason": top.label, "share": top.fee_lost / said, "told": said / whole}
        return (Finding("losses.reason", values | {"money": self.money(top.fee_lost)}),)

    @property
    def subtitle(self) -> Statement:
        return Statement("losses.subtitle", {"period": self.about.period})

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("losses.note", {"period": self.about.period, "definition": self.about.definition_note}),)

    def plot(self, ax=None):
        told = self._split("reason") if (self.table["split"] == "reason").any() else self._split("segment")
        told = told.head(MOST)
        if len(told) < 2 or not told["fee_lost"].sum():
            return None
        said = [text.show(self.money(amount), "money") for amount in told["fee_lost"]]
        return plots.bars(
            [label.to(text.language()) for label in told["label"]],
            told["share"].tolist(),
            columns=[(text.say("losses.column.fee_lost"), said)],
            digits=1,
            ax=ax,
        )


def lost_money(counts) -> LostMoney:
    """Tell what the customers lost in the last twelve months used to bring, by segment and by reason.

    Parameters
    ----------
    counts : Counts
        From `loss_counts(data)`.

    Returns
    -------
    LostMoney
        One row per segment level and per group of reasons.
    """
    about, table = counts.about, counts.frame.copy()
    table["share"] = table["fee_lost"] / table.groupby("split")["fee_lost"].transform("sum").replace(0, float("nan"))
    table["rate"] = table["fee_base_lost"] / table["fee_base"].where(table["fee_base"] > 0)
    table["label"] = [
        about.segment.label_of(level) if split == "segment" else _reason(level)
        for split, level in zip(table["split"], table["level"], strict=True)
    ]
    return LostMoney(about=about, table=table, name="lost_money")


def _reason(code: str) -> text.Label:
    return text.label(f"reasons.code.{code}") if code else text.label("losses.not_told")
