"""Who brings the money: what the best customers pay and how many of them leave, and whom serving costs more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.intervals import difference
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement

BEST = 20  # hundredths of the customers that are called the best
FIFTH = 20  # hundredths in a fifth


def _fifths(frame: pd.DataFrame) -> pd.DataFrame:
    """Add hundredths up to fifths: one row per `fifth` from 1 (those who pay most)."""
    fifth = frame["hundredth"] // FIFTH + 1
    return frame.drop(columns="hundredth").groupby(fifth.rename("fifth")).sum().reset_index()


@dataclass(frozen=True, kw_only=True)
class Concentration(Result):
    """What each fifth of the customers brings, and how many of each fifth of a year ago have left.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per fifth of the customers, 1 those who pay most: `n_customers`, `fee` a month (minor units), `share` of
        all fees, `cumulative` share; of those who stood in that fifth a year before: `n_before`, `n_lost` since,
        `lost_share`.
    curve : pandas.DataFrame
        One row per hundredth of the customers, the best first: `customers` and `money`, cumulative shares in [0, 1].
    difference : tuple of float
        Lost share of the best fifth less that of the others, with its interval; missing when nobody was there then.
    """

    curve: pd.DataFrame
    difference: tuple[float, float, float]
    module: ClassVar[str] = "value"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("fifth", "term", prefix="value.fifth"),
        Column("n_customers", "whole"),
        Column("fee", "money"),
        Column("share", "pct", 1),
        Column("cumulative", "pct", 1),
        Column("n_before", "whole"),
        Column("lost_share", "pct", 1),
    )

    @property
    def shown(self) -> pd.DataFrame:
        """Without the lost share of a fifth in which a handful left, or which is too small."""
        hides = ("n_lost", "lost_share")
        shown = disclosure.protect(self.table, self.about, count="n_lost", base="n_before", hides=hides)
        few = shown["n_customers"] < self.about.privacy_k
        return shown.assign(**{name: shown[name].mask(few) for name in ("fee", "share", "cumulative")})

    @property
    def findings(self) -> tuple[Finding, ...]:
        best = self.shown.iloc[0] if len(self.shown) else None
        if best is None or pd.isna(best.share):
            return (Finding("value.best.unknown"),)
        values = {"share": best.share, "n": int(best.n_customers), "all": int(self.table["n_customers"].sum())}
        head = Finding("value.best.share", values | {"fee": self.money(best.fee)})
        gap, lower, upper = self.difference
        if pd.isna(gap) or pd.isna(best.lost_share):
            return (head,)
        word = "alike" if lower <= 0 <= upper else "more" if gap > 0 else "fewer"
        lost = {"lost": best.lost_share, "others": best.lost_share - gap, "n": int(best.n_before), "gap": gap}
        lost |= {"lower": lower, "upper": upper}
        tone = {"alike": "steady", "more": "worse", "fewer": "better"}[word]
        grade, weight = "descriptive" if word == "alike" else "moderate", abs(gap) * best.n_before
        return (head, Finding(f"value.best.{word}", lost, grade=grade, tone=tone, weight=weight))

    @property
    def subtitle(self) -> Statement:
        return Statement(
            "value.best.subtitle", {"period": self.about.period, "n": int(self.table["n_customers"].sum())}
        )

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("value.best.note", {"period": self.about.period, "definition": self.about.definition_note}),)

    def plot(self, ax=None):
        shown = self.shown.dropna(subset="share")
        if shown.empty or self.curve.empty:
            return None
        customers, money = ([0.0, *self.curve[name]] for name in ("customers", "money"))
        curves = [
            plots.Curve(text.say("value.curve"), customers, money),
            plots.Curve(text.say("value.curve_alike"), customers[:-1], customers[:-1]),  # its name under the other
        ]
        ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        n = int(self.table["n_customers"].sum())
        names = [f"{tick:.0%}" for tick in ticks]
        axis = text.say("value.curve_axis", n=n)
        return plots.steps(curves, ticks=ticks, tick_labels=names, x_label=axis, ax=ax)


def fee_concentration(now, before) -> Concentration:
    """Work out what each fifth of the customers brings, and whether the best leave more or less often.

    Parameters
    ----------
    now, before : Counts
        From `worth_counts(data)` and `worth_counts(data, years_back=1)`.

    Returns
    -------
    Concentration
        One row per fifth.
    """
    table, earlier = _fifths(now.frame), _fifths(before.frame)
    total = table["fee"].sum() or np.nan
    table = table[["fifth", "n_customers", "fee"]].assign(share=table["fee"] / total)
    table["cumulative"] = table["share"].cumsum()
    earlier = earlier.rename(columns={"n_customers": "n_before"})[["fifth", "n_before", "n_lost"]]
    table = table.merge(earlier, on="fifth", how="left").astype({"n_before": float, "n_lost": float})
    table["lost_share"] = table["n_lost"] / table["n_before"].where(table["n_before"] > 0)
    gap = _best_against_others(earlier, now.about.conf_level)
    sums = now.frame[["n_customers", "fee"]].cumsum()
    shares = sums / now.frame[["n_customers", "fee"]].sum().where(lambda total: total > 0)
    few = now.frame["n_customers"].min() < now.about.privacy_k  # steps of a handful would tell what single ones pay
    curve = shares.set_axis(["customers", "money"], axis=1)[(now.frame["hundredth"] % FIFTH == FIFTH - 1) | (not few)]
    return Concentration(about=now.about, table=table, name="concentration", curve=curve, difference=gap)


def _best_against_others(fifths: pd.DataFrame, conf_level: float) -> tuple[float, float, float]:
    best, others = fifths[fifths["fifth"] == 1], fifths[fifths["fifth"] > 1]
    numbers = (best["n_lost"].sum(), best["n_before"].sum(), others["n_lost"].sum(), others["n_before"].sum())
    if not (numbers[1] and numbers[3]):
        return np.nan, np.nan, np.nan
    lower, upper = difference(*numbers, conf_level=conf_level)
    return numbers[0] / numbers[1] - numbers[2] / numbers[3], float(lower), float(upper)


@dataclass(frozen=True, kw_only=True)
class ServiceCost(Result):
    """What customers pay beside what serving them costs.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per fifth of the customers, 1 those who pay most: `n_costed` (customers with a service cost),
        `fee_costed` and `cost` a month, `gross` (share of the fees left before service) and `margin` (after it),
        `n_unprofitable` (cost more than they pay),
        `unprofitable_share`, their `shortfall` a month.
    """

    module: ClassVar[str] = "value"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("fifth", "term", prefix="value.fifth"),
        Column("n_costed", "whole"),
        Column("fee_costed", "money"),
        Column("cost", "money"),
        Column("gross", "pct", 1),
        Column("margin", "pct", 1),
        Column("n_unprofitable", "whole"),
        Column("unprofitable_share", "pct", 1),
        Column("shortfall", "money"),
    )

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_unprofitable", "unprofitable_share", "shortfall", "gross", "margin", "cost", "fee_costed")
        told = disclosure.protect(self.table, self.about, count="n_unprofitable", base="n_costed", hides=hides)
        return told if self._has_both else told.drop(columns="gross")

    @property
    def _has_both(self) -> bool:
        """Whether the costs of service and other ones are both recorded, and the margin therefore depends on it."""
        return bool(self.table["gross"].lt(1).any() and self.table["gross"].ne(self.table["margin"]).any())

    @property
    def findings(self) -> tuple[Finding, ...]:
        sums = self.table.drop(columns="fifth").sum()
        n, bad = int(sums.get("n_costed", 0)), int(sums.get("n_unprofitable", 0))
        if n < self.about.min_denominator:
            return (Finding("value.cost.unknown"),)
        values = {"n": bad, "share": bad / n, "all": n, "margin": 1 - sums.cost / sums.fee_costed}
        values |= {"shortfall": self.money(sums.shortfall)}
        if not bad:
            return (Finding("value.cost.none", values),)
        if bad < self.about.privacy_k or n - bad < self.about.privacy_k:
            return (Finding("value.cost.not_shown", values),)
        return (Finding("value.cost.some", values, tone="worse", weight=float(bad)), *self._margins())

    def _margins(self) -> tuple[Finding, ...]:
        """Set the margin of the smallest customers beside that of the largest, after and before the cost of service."""
        told = self.shown.dropna(subset="margin").set_index("fifth")
        if not {1, 5} <= set(told.index):
            return ()
        kinds = {"net": "margin", "before": "gross"} if self._has_both else {"plain": "margin"}
        return tuple(_margin(kind, told.loc[5, column], told.loc[1, column]) for kind, column in kinds.items())

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("value.cost.note", {"period": self.about.period}),) if len(self.table) else ()


def _margin(kind: str, small: float, large: float) -> Finding:
    gap = round(100 * small, 1) - round(100 * large, 1)
    word = "alike" if gap == 0 else "higher" if gap > 0 else "lower"
    return Finding(f"value.margin.{word}", {"large": large, "small": small, "of": text.label(f"value.margin.{kind}")})


def service_cost(counts) -> ServiceCost:
    """Set what customers pay beside what serving them costs, by fifths of the fee.

    Parameters
    ----------
    counts : Counts
        From `worth_counts(data)`.

    Returns
    -------
    ServiceCost
        One row per fifth; empty when customers have no service cost.
    """
    names = ["fifth", "n_costed", "fee_costed", "cost", "service", "n_unprofitable", "shortfall"]
    table = _fifths(counts.frame)[names]
    table = table[table["n_costed"] > 0].reset_index(drop=True)
    fees = table["fee_costed"].where(table["fee_costed"] > 0)
    table["gross"] = 1 - (table["cost"] - table["service"]) / fees
    table["margin"] = 1 - table["cost"] / fees
    table["unprofitable_share"] = table["n_unprofitable"] / table["n_costed"]
    return ServiceCost(about=counts.about, table=table, name="service_cost")
