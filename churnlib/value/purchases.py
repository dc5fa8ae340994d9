"""What customers without a contract will still bring: purchases expected x what one brings, tried on the past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement
from churnlib.value.buying import WEEK, fit_buying
from churnlib.value.buyingtest import held_out
from churnlib.value.value import own_margin

YEAR = 52.0  # weeks that are looked ahead
BOUGHT = (0, 1, 2, 3, 5)  # repeat purchases from which on a group begins
LEAST = 100  # repeat buyers under which no model is fitted
USABLE = 0.25  # error of all purchases of the held-out half, relative, beyond which nothing is valued


@dataclass(frozen=True, kw_only=True)
class ExpectedValue(Result):
    """Expected purchases and their value by how often customers have bought.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per group of repeat purchases (`group`): of the customers known half-way through the data `n_tested`,
        purchases `expected` afterwards with `lower`, `upper`, and those that `came`, a customer; the same of amounts,
        `amount_expected` ...; of those of now `n_customers`, `next_year` (expected purchases a customer in the coming
        52 weeks), `spend` (a purchase, minor units), `value` (a customer, after margin) and `value_all`.
    tests : pandas.DataFrame or None
        One row per `what` ("purchases", "amount"): of all customers known half-way, `expected`, `lower`, `upper`,
        `came`; of the groups `n_inside` whose sum came within its interval, of `n_groups`. See `held_out`.
    error : float
        Expected less actual purchases of the second half, over the actual.
    margin : float
        Share of a purchase that is left.
    is_own_margin : bool
        Whether it was found in the data, or is the parameter.
    weeks : float
        Length of the second half.
    """

    tests: pd.DataFrame | None
    error: float
    margin: float
    is_own_margin: bool
    weeks: float
    module: ClassVar[str] = "purchases"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("group", "text"),
        Column("n_tested", "whole"),
        Column("expected", "number", 2),
        Column("lower", "number", 2),
        Column("upper", "number", 2),
        Column("came", "number", 2),
        Column("amount_expected", "money"),
        Column("amount_lower", "money", read=False),
        Column("amount_upper", "money", read=False),
        Column("amount_came", "money"),
        Column("n_customers", "whole"),
        Column("next_year", "number", 2),
        Column("spend", "money"),
        Column("value", "money"),
        Column("value_all", "money"),
    )

    @property
    def is_usable(self) -> bool:
        """Whether the second half came about as expected."""
        return bool(abs(self.error) <= USABLE)

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("next_year", "spend", "value", "value_all") if self.is_usable else ()
        table = (
            self.table
            if self.is_usable
            else self.table.drop(columns=["next_year", "value", "value_all"], errors="ignore")
        )
        return disclosure.protect(table, self.about, count="n_customers", base="n_customers", hides=hides)

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.table.empty:
            return (Finding("purchases.no_model"),)
        tested = {"weeks": round(self.weeks), "error": abs(self.error), "usable": USABLE} | self._tested
        word = "over" if self.error > 0 else "under"
        if not self.is_usable:
            return (Finding(f"purchases.unfit_{word}", tested),)
        once, sums = self.table.iloc[0], self.table[["n_customers", "value_all"]].sum()
        values = {"n": int(sums.n_customers), "value": self.money(sums.value_all), "margin": self.margin}
        mean = {"mean": self.money(sums.value_all / sums.n_customers), "share": once.value_all / sums.value_all}
        grade = "moderate" if abs(self.error) <= USABLE / 2 else "weak"
        head = Finding("purchases.value", values | mean | {"once": int(once.n_customers)}, grade=grade)
        return (head, Finding("purchases.tested", tested))

    @property
    def _tested(self) -> dict:
        """What was expected of the second half and what came, in words' fields."""
        bought, spent = self.tests.loc["purchases"], self.tests.loc["amount"]
        told = {c: bought[c] for c in ("expected", "lower", "upper", "came")}
        told |= {f"amount_{c}": self.money(spent[c]) for c in ("expected", "lower", "upper", "came")}
        return told | {"inside": bought.n_inside, "amount_inside": spent.n_inside, "groups": bought.n_groups}

    @property
    def notes(self) -> tuple[Statement, ...]:
        if self.table.empty:
            return ()
        source = "own" if self.is_own_margin else "given"
        values = {"margin": self.margin, "revenue": self.about.revenue_note}
        return (Statement("purchases.note", values), Statement(f"value.clv.margin_{source}", values))

    @property
    def subtitle(self) -> Statement | None:
        return Statement("purchases.subtitle", {"weeks": round(self.weeks)}) if len(self.table) else None

    def plot(self, ax=None):
        if self.table.empty:
            return None
        names = (text.say("purchases.column.expected"), text.say("purchases.column.came"))
        n = [text.show(v, "number", digits=0) for v in self.table["n_tested"]]
        columns = [(text.say("plots.customers"), n)]
        groups = [text.say("purchases.group", bought=group) for group in self.table["group"]]
        expected, came = self.table["expected"].tolist(), self.table["came"].tolist()
        return plots.dumbbell(groups, expected, came, names, columns=columns, kind="number", digits=2, ax=ax)


def expected_value(counts, worth=None, *, margin: float = 0.4) -> ExpectedValue:
    """Value the customers by what they will still buy, after trying the model on the second half of the data.

    Parameters
    ----------
    counts : PurchaseCounts
        From `purchase_counts(data)`.
    worth : Counts, optional
        From `worth_counts(data)`: the customers' own margins and service costs.
    margin : float
        Share of a purchase that is left after costs; only where the data have none of their own.

    Returns
    -------
    ExpectedValue
        One row per group of repeat purchases. The model takes rhythms to stay as they are, without season.

    References
    ----------
    Fader, Hardie and Lee (2005), see `BuyTillYouDie`. Spend: Bühlmann, H. (1967). Experience rating and credibility.
    ASTIN Bulletin 4, 199-207: each customer's mean drawn to that of all, linear as in the gamma-gamma model (Fader and
    Hardie 2013) and therefore worked out from sums.
    """
    now, then = _history(counts.frame), _history(counts.then)
    own = own_margin(worth, counts.about.min_denominator)
    margin = margin if own is None else own
    given = {"about": counts.about, "name": "expected_value", "margin": margin, "weeks": counts.days / WEEK}
    given |= {"is_own_margin": own is not None}
    models = [_fitted(history) for history in (then, now)]
    if None in models:
        nothing = pd.DataFrame(columns=["group", "n_customers"])
        return ExpectedValue(table=nothing, tests=None, error=np.nan, **given)
    groups, tests = _tested(models[0], then, counts.days / WEEK, counts.about.conf_level)
    known = now.assign(next_year=_later(models[1], now, YEAR), spend=_spend(now))
    known["value_all"] = margin * known["next_year"] * known["spend"]
    known["spend"] *= known["n_customers"]
    valued = _summed(known)
    n = valued["n_customers"].where(valued["n_customers"] > 0)
    each = valued[["next_year", "spend", "value_all"]].div(n, axis=0).rename(columns={"value_all": "value"})
    table = pd.concat([groups, valued[["n_customers", "value_all"]], each], axis=1)
    table.insert(0, "group", [_name(g) for g in range(len(BOUGHT))])
    error = tests.loc["purchases", "expected"] / max(tests.loc["purchases", "came"], 1) - 1
    return ExpectedValue(table=table, tests=tests, error=float(error), **given)


def _tested(model, then: pd.DataFrame, weeks: float, conf_level: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give what was expected and what came: a customer of each group; all together, with how many groups came in."""
    mean, within, between = _credibility(then)
    m, n = then["n_repeat"] + 1, then["n_customers"]
    purchases = (m * n).sum()
    error = np.sqrt(between * (m**2 * n).sum() / purchases**2 + within / purchases) / mean
    how = {"weeks": weeks, "spend": _spend(then), "error": error, "conf_level": conf_level}
    groups = held_out(model, then, _group(then), **how).unstack("what").reindex(range(len(BOUGHT)))
    columns = {"n_tested": groups["n_customers", "purchases"].fillna(0)}
    inside = groups["came"].ge(groups["lower"]) & groups["came"].le(groups["upper"])
    for what, prefix in (("purchases", ""), ("amount", "amount_")):
        for name in ("expected", "lower", "upper", "came"):
            columns[f"{prefix}{name}"] = groups[name, what] / groups["n_customers", what].where(lambda n: n > 0)
    tests = held_out(model, then, np.zeros(len(then), int), **how).droplevel("group")
    is_there = groups["n_customers"] > 0
    return pd.DataFrame(columns), tests.assign(n_inside=(inside & is_there).sum(), n_groups=is_there.sum())


def _history(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(
        dict.fromkeys(["n_repeat", "recency", "age", "n_customers", "n_later", "spent", "later"], float)
    )


def _fitted(history: pd.DataFrame):
    """Fit the model; None without enough repeat buyers or where it does not converge."""
    if history.loc[history["n_repeat"] > 0, "n_customers"].sum() < LEAST:
        return None
    x, recency, age = history["n_repeat"], history["recency"] / WEEK, history["age"] / WEEK
    model = fit_buying(x, recency, age, history["n_customers"])
    return model if model.converged else None


def _later(model, history: pd.DataFrame, weeks: float) -> pd.Series:
    """Expected purchases of all customers of each history in some weeks after it."""
    each = model.expected_later(history["n_repeat"], history["recency"] / WEEK, history["age"] / WEEK, weeks)
    return each * history["n_customers"]


def _spend(history: pd.DataFrame) -> pd.Series:
    """Expected spend a purchase by history: the customers' own mean drawn to that of all by how little is known."""
    mean, within, between = _credibility(history)
    m = history["n_repeat"] + 1
    weight = m * between / (m * between + within) if between + within else 0.0
    return weight * history["spent"] / (m * history["n_customers"]) + (1 - weight) * mean


def _credibility(history: pd.DataFrame) -> tuple[float, float, float]:
    """Give the mean of a purchase, and its variance within and between customers."""
    m = history["n_repeat"] + 1
    n, purchases = history["n_customers"].sum(), (m * history["n_customers"]).sum()
    mean = history["spent"].sum() / purchases
    own = (history["total2"] / m).sum()  # of each customer: purchases x squared mean
    within = (history["spent2"].sum() - own) / max(purchases - n, 1)
    square = (m**2 * history["n_customers"]).sum()
    between = max((own - purchases * mean**2 - (n - 1) * within) / max(purchases - square / purchases, 1), 0.0)
    return mean, within, between


def _summed(history: pd.DataFrame) -> pd.DataFrame:
    sums = history.drop(columns=["n_repeat", "recency", "age"]).groupby(_group(history)).sum()
    return sums.reindex(range(len(BOUGHT)), fill_value=0.0)


def _group(history: pd.DataFrame) -> np.ndarray:
    """Tell the group of repeat purchases of each history."""
    return np.searchsorted(BOUGHT, history["n_repeat"], side="right") - 1


def _name(group: int) -> str:
    first = BOUGHT[group]
    if group == len(BOUGHT) - 1:
        return f"{first}+"
    last = BOUGHT[group + 1] - 1
    return str(first) if first == last else f"{first}–{last}"
