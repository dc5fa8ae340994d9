"""What churn is worth: the books in money, and what a customer is worth over the time that they stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import YEAR
from churnlib.cohorts.projection import Projection, step_discount
from churnlib.intervals import overdispersion, wilson
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement
from churnlib.trend.trend import SPARK
from churnlib.value.bridge import BilledBridge, billed_bridge

FLOWS = ("new", "reactivated", "churned")


@dataclass(frozen=True, kw_only=True)
class RevenueBridge(Result):
    """Monthly fees at the start, in, out and at the end of each period.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per period: `fee_opening`, `fee_new`, `fee_reactivated`, `fee_churned`, `fee_closing` in minor units a
        month; `gross_retention` (of the opening fees, those that did not leave in the period) and `is_complete`.
    """

    module: ClassVar[str] = "value"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("period", "period"),
        Column("fee_opening", "money"),
        Column("fee_new", "money"),
        Column("fee_reactivated", "money"),
        Column("fee_churned", "money"),
        Column("fee_closing", "money"),
        Column("gross_retention", "pct"),
        Column("is_complete", "term", prefix="results.complete"),
    )

    @property
    def shown(self) -> pd.DataFrame:
        """The last periods; no flows in a period in which a handful came or left, as they would tell single fees."""
        shown = self.table.tail(SPARK + 1).reset_index(drop=True)
        few = [shown[f"n_{flow}"].between(1, self.about.privacy_k - 1) for flow in FLOWS]
        told = ~np.logical_or.reduce([*few, disclosure.held_back(self.about, shown["period"], "churned")])
        hides = (*(f"fee_{flow}" for flow in FLOWS), "gross_retention")
        return shown.assign(**{name: shown[name].astype(float).where(told) for name in hides})

    @property
    def current(self) -> pd.Series:
        """The report's period."""
        return self.shown.set_index("period").loc[str(self.about.period)]

    @property
    def findings(self) -> tuple[Finding, ...]:
        now = self.current
        if not now.fee_opening or pd.isna(now.fee_churned):
            return (Finding("value.bridge.not_shown", {"period": self.about.period}),)
        growth = now.fee_closing - now.fee_opening
        word = "grew" if growth > 0 else "shrank" if growth < 0 else "level"
        values = {"period": self.about.period, "share": abs(growth) / now.fee_opening}
        money = {"opening": now.fee_opening, "closing": now.fee_closing, "change": abs(growth), "lost": now.fee_churned}
        money |= {"new": now.fee_new, "back": now.fee_reactivated}
        values |= {name: self.money(amount) for name, amount in money.items()}
        tone = {"grew": "better", "shrank": "worse"}.get(word, "steady")
        weight = abs(growth) / now.fee_opening * now.n_opening
        base = Finding(f"value.bridge.{word}", values, tone=tone, weight=weight)
        return (base, self._money_against_customers(now))

    def _money_against_customers(self, now: pd.Series) -> Finding:
        """Set the share of the fees lost beside the share of the customers lost."""
        money, customers = now.fee_churned_opening / now.fee_opening, now.n_churned_opening / now.n_opening
        gap = round(100 * money, 2) - round(100 * customers, 2)
        word = "alike" if gap == 0 else "dearer" if gap > 0 else "cheaper"
        return Finding(f"value.lost.{word}", {"money": money, "customers": customers, "period": self.about.period})

    @property
    def subtitle(self) -> Statement:
        return Statement("value.bridge.subtitle", {"period": self.about.period})

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("value.bridge.note", {"definition": self.about.definition_note}),)

    def plot(self, ax=None):
        now = self.current
        if not now.fee_opening or pd.isna(now.fee_churned):
            return None
        amounts = [now.fee_new, now.fee_reactivated, -now.fee_churned, now.fee_closing - now.fee_opening]
        labels = [text.say(f"value.flow.{name}") for name in (*FLOWS, "net")]
        said = [text.show(self.money(amount), "money") for amount in amounts]
        return plots.bars(
            labels,
            [amount / now.fee_opening for amount in amounts],
            tones=["better", "better", "worse", "steady"],
            total=True,
            columns=[(text.say("value.a_month"), said)],
            ax=ax,
        )


def revenue_bridge(counts, bills=None) -> RevenueBridge | BilledBridge:
    """Book what comes in of each period and check the books: opening + new + reactivated - churned = closing.

    Parameters
    ----------
    counts : Counts
        From `period_counts(data)`: all customers, one row per period, with monthly fees.
    bills : Counts, optional
        From `bridge_counts(data)`: where there are bills they are booked, with expansion and contraction, and not fees.

    Returns
    -------
    RevenueBridge or BilledBridge
        One row per period.

    Raises
    ------
    DataError
        If there are no fees, or the books do not balance.
    """
    if bills is not None and len(bills.frame):
        return billed_bridge(bills)
    table = counts.frame.sort_values("period", kind="stable").reset_index(drop=True)
    if "fee_closing" not in table:
        raise text.DataError("value.no_fee")
    closing = table["fee_opening"] + table["fee_new"] + table["fee_reactivated"] - table["fee_churned"]
    following = table["fee_opening"].shift(-1, fill_value=table["fee_closing"].iloc[-1])
    wrong = (closing != table["fee_closing"]) | (following != table["fee_closing"])
    if wrong.any():
        raise text.DataError("ledger.does_not_balance", period=table.loc[wrong, "period"].iloc[0])
    opening = table["fee_opening"].where(table["fee_opening"] > 0)
    table = table.assign(gross_retention=1 - table["fee_churned_opening"] / opening)
    return RevenueBridge(about=counts.about, table=table, name="revenue_bridge")


@dataclass(frozen=True, kw_only=True)
class CustomerValue(Result):
    """The worth of a new customer by the texts' simple formula and by survival.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per way of reckoning (`method`): `months` stayed that it takes (discounted ones where it discounts),
        `value` in minor units with `ci_lower`, `ci_upper`.
    fee : float
        Mean fee a month in minor units of customers at the opening.
    margin, discount : float
        Share of the fee that is left after costs; discount a year, a parameter.
    is_own_margin : bool
        Whether the margin was found in the data (margin and service cost of the customers), or is the parameter.
    n_lost : int
        Customers lost in the last twelve months.
    acquisition : float
        Parameter: what winning a customer costs, as a multiple of keeping one for a year.
    horizon : int
        In months, of the survival-based rows; 0 without a projection.
    is_rough : bool
        Whether the projection did not hold in its backtest.
    """

    fee: float
    margin: float
    discount: float
    horizon: int
    is_own_margin: bool
    n_lost: int
    acquisition: float
    is_rough: bool
    module: ClassVar[str] = "value"
    folded: ClassVar[bool] = False
    columns: ClassVar[tuple[Column, ...]] = (
        Column("method", "term", prefix="value.method"),
        Column("months", "number", 1),
        Column("value", "money"),
        Column("ci_lower", "money"),
        Column("ci_upper", "money"),
    )

    @property
    def findings(self) -> tuple[Finding, ...]:
        table = self.table.set_index("method")
        if pd.isna(self.fee) or table["value"].isna().all():
            return (Finding("value.clv.unknown"),)
        values = {"horizon": self.horizon, "margin": self.margin, "discount": self.discount}
        for method, row in table.iterrows():
            amounts = {"": row.value, "_lower": row.ci_lower, "_upper": row.ci_upper}
            values |= {f"{method}{end}": self.money(amount) for end, amount in amounts.items()}
            values |= {f"{method}_months": row.months}
        values |= {"fee": self.money(self.fee)}
        has_simple, has_survival = (pd.notna(table["value"].get(m, np.nan)) for m in ("simple", "survival"))
        word = "simple_only" if not has_survival else "both" if has_simple else "survival_only"
        return (Finding(f"value.clv.{word}", values), *self._replacing())

    def _replacing(self) -> tuple[Finding, ...]:
        """Put the rule of thumb about winning customers beside the customers lost: an assumption, never a result."""
        if not self.acquisition or self.n_lost < self.about.privacy_k:
            return ()
        values = {"n": self.n_lost, "multiple": self.acquisition, "kept": round(self.acquisition * self.n_lost)}
        return (Finding("value.replacing", values),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        values = {"margin": self.margin, "discount": self.discount, "revenue": self.about.revenue_note}
        source = "own" if self.is_own_margin else "given"
        rough = (Statement("value.clv.rough"),) if self.is_rough else ()
        return (*rough, Statement(f"value.clv.margin_{source}", values), Statement("value.clv.note", values))


def customer_value(
    counts, projection: Projection, worth=None, *, margin: float = 0.4, discount: float = 0.08, acquisition: float = 5.0
) -> CustomerValue:
    """Work out what a new customer is worth: the texts' formula beside the survival-based one.

    Parameters
    ----------
    counts : Counts
        From `period_counts(data, unit="month")`, with monthly fees or revenue.
    projection : Projection
        From `project_retention(cohort_counts(data, unit="month"))`.
    worth : Counts, optional
        From `worth_counts(data)`: the customers' own margins and service costs.
    margin : float
        Share of the fee that is left after the costs of serving, in (0, 1]; only where the data have none of their own.
    discount : float
        A year.
    acquisition : float
        What winning a customer costs as a multiple of keeping one; 0 to leave it out.

    Returns
    -------
    CustomerValue
        One row per way of reckoning. The simple formula takes the present churn rate as lasting for ever, so that it
        counts years that nobody has seen; the survival-based one stops at the projection's horizon.
    """
    about = counts.about
    frame = counts.frame[counts.frame["is_complete"] & (counts.frame["period"] <= str(about.period))]
    year = frame.sort_values("period", kind="stable").tail(YEAR["month"])
    fee, own = _monthly_fee(year), own_margin(worth, about.min_denominator)
    margin = margin if own is None else own
    rows = [("simple", *_months_at_a_constant_rate(year, about.conf_level))]
    horizon = 0
    if projection.model is not None:
        horizon = projection.horizon
        rows.append(("survival", *projection.mean_stay()))
        rows.append(("discounted", *projection.mean_stay(step_discount(discount, "month"))))
    table = pd.DataFrame(rows, columns=["method", "months", "ci_lower", "ci_upper"])
    worths = np.where(table["method"] == "discounted", fee * margin, fee)
    bounds = np.sort(table[["ci_lower", "ci_upper"]].to_numpy() * worths[:, None], axis=1)  # a margin may be negative
    table = table.assign(value=table["months"] * worths, ci_lower=bounds[:, 0], ci_upper=bounds[:, 1])
    given = {"fee": fee, "margin": margin, "discount": discount, "horizon": horizon, "is_own_margin": own is not None}
    given |= {"n_lost": int(year["n_churned"].sum()), "acquisition": acquisition}
    given["is_rough"] = projection.model is not None and not projection.backtest.held
    return CustomerValue(about=about, table=table, name="customer_value", **given)


def _monthly_fee(year: pd.DataFrame) -> float:
    """Mean fee of those there at the last opening; without fees, revenue a month and customer over the year."""
    now = year.iloc[-1]
    if "fee_opening" in year:
        return now.fee_opening / now.n_opening if now.n_opening else np.nan
    customers = (year["n_opening"] + year["n_closing"]).sum() / 2
    return year["revenue"].sum() / customers if "revenue" in year and customers else np.nan


def own_margin(worth, least: int) -> float | None:
    """Give what is left of the fees of customers with a recorded cost or margin; None if too few have one."""
    if worth is None or worth.frame["n_costed"].sum() < least or not worth.frame["fee_costed"].sum():
        return None
    return 1 - worth.frame["cost"].sum() / worth.frame["fee_costed"].sum()


def _months_at_a_constant_rate(year: pd.DataFrame, conf_level: float) -> tuple[float, float, float]:
    """Give 1 / churn rate of the last twelve months with its interval, widened by how much months vary."""
    lost, n = year["n_churned_opening"].sum(), year["n_opening"].sum()
    if not lost:
        return np.nan, np.nan, np.nan
    rate, sigma = lost / n, overdispersion(year["n_churned_opening"], year["n_opening"])
    lower, upper = (float(bound) for bound in wilson(lost, n, conf_level))
    low, high = max(rate - sigma * (rate - lower), 1e-9), min(rate + sigma * (upper - rate), 1.0)
    return 1 / rate, 1 / high, 1 / low
