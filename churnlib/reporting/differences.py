"""In what two reports differ: rules of counting, months that were restated, forecasts that came due, figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import pandas as pd

from churnlib import text
from churnlib.about import About, Period
from churnlib.show.results import Column, Finding, Result, Statement, table_columns

KIND = {"share": "pct", "customers": "whole", "months": "number", "money": "money"}  # of a figure's unit


@dataclass(frozen=True)
class Side:
    """One report as it is compared with another.

    Attributes
    ----------
    ledger : pandas.DataFrame or None
        One row per period: `period`, `n_opening`, `n_churned_opening`, `is_complete`; exact, so never shown as it is.
    forecast : pandas.DataFrame or None
        One row per period ahead: `period`, `churn_rate`, `ci_lower`, `ci_upper`, as it was published.
    """

    name: text.Label  # "November 2025, revision 1"
    kpis: list[dict[str, Any]]  # as in kpis.json
    declared: dict[str, str]  # key of dataset.yml -> its value, for everything that decides numbers
    definition: str
    ledger: pd.DataFrame | None = None
    forecast: pd.DataFrame | None = None


@dataclass(frozen=True, kw_only=True)
class _Difference(Result):
    """A table of what differs from an earlier report, whose name is `since`."""

    since: text.Label
    topic: ClassVar[str]
    module = "between"
    folded = False

    def _say(self, key: str, **values: Any) -> Finding:
        return Finding(f"between.{self.topic}.{key}", {"since": self.since, **values})


def _is_few(n: pd.Series, lost: pd.Series, about: About) -> pd.Series:
    """Tell which rates may not be shown."""
    return (n < about.min_denominator) | lost.between(1, about.privacy_k - 1)


@dataclass(frozen=True, kw_only=True)
class Restated(_Difference):
    """Closed periods whose numbers are not what the earlier report said.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per restated period: `period`, `rate_then`, `rate_now`, and by how many customers lost and opening
        customers differ, `more_lost` and `more_opening`.
    n_compared : int
        Closed periods in both.
    """

    n_compared: int
    topic = "restated"
    columns = table_columns("period rate_then:pct rate_now:pct more_lost:signed more_opening:signed")

    @cached_property
    def shown(self) -> pd.DataFrame:
        """What may be shown: no rate of few customers, no difference of so few that somebody could be told by it."""
        out, k = self.table.copy(), self.about.privacy_k
        for when in ("then", "now"):
            few = _is_few(out[f"n_opening_{when}"], out[f"n_churned_opening_{when}"], self.about)
            out[f"rate_{when}"] = out[f"rate_{when}"].where(~few)
        for column in ("more_lost", "more_opening"):
            out[column] = out[column].astype(float).where(~out[column].abs().between(1, k - 1))
        return out[[column.name for column in self.columns]]

    @property
    def findings(self) -> tuple[Finding, ...]:
        if not len(self.table):
            return (self._say("none", n=self.n_compared),)
        largest = (self.table["rate_now"] - self.table["rate_then"]).abs().idxmax()
        row = self.shown.loc[largest]
        said = {"n": len(self.table), "of": self.n_compared, "period": Period.parse(row.period)}
        said |= {"then": row.rate_then, "now": row.rate_now}
        lost = row.more_lost
        key = "few" if pd.isna(lost) else "more" if lost > 0 else "fewer" if lost < 0 else "base"
        number = {"lost": abs(lost)} if key in ("more", "fewer") else {}
        return (self._say(key, **said, **number),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("between.restated.note", {"k": self.about.privacy_k}),)


def restated(about: About, then: Side, now: Side) -> Restated | None:
    """Compare the closed periods of two reports.

    Parameters
    ----------
    about : About
        Of the report in which it will be shown.
    then, now : Side

    Returns
    -------
    Restated or None
        One row per closed period whose opening base or losses differ; None where the definitions differ or an exact
        ledger is missing: then nothing can be said.
    """
    if then.ledger is None or now.ledger is None or then.definition != now.definition:
        return None
    closed = (side.ledger[side.ledger["is_complete"]] for side in (then, now))
    both = pd.merge(*closed, on="period", suffixes=("_then", "_now"))
    for when in ("then", "now"):
        both[f"rate_{when}"] = both[f"n_churned_opening_{when}"] / both[f"n_opening_{when}"].where(lambda n: n > 0)
    both["more_lost"] = both["n_churned_opening_now"] - both["n_churned_opening_then"]
    both["more_opening"] = both["n_opening_now"] - both["n_opening_then"]
    differ = both[(both["more_lost"] != 0) | (both["more_opening"] != 0)].reset_index(drop=True)
    return Restated(about=about, table=differ, name="restated", since=then.name, n_compared=len(both))


@dataclass(frozen=True, kw_only=True)
class KpiChanges(_Difference):
    """The figures that both reports give and that differ.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per figure: `figure` (its name), `then`, `now`, `change` (of shares in points, else relative), `kind`.
    """

    n_same: int
    topic = "kpi_changes"
    columns = table_columns("figure:label then:by_row now:by_row change:change_by_row")

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (self._say("some" if len(self.table) else "none", n=len(self.table), same=self.n_same),)


def kpi_changes(about: About, then: Side, now: Side) -> KpiChanges:
    """Compare the figures of two reports: one row per figure whose value differs."""
    before = {kpi["id"]: kpi for kpi in then.kpis}
    rows, n_same = [], 0
    for kpi in now.kpis:
        value, old = kpi["value"], before.get(kpi["id"], {}).get("value")
        if value == old or kpi["id"] not in before or kpi["unit"] != before[kpi["id"]]["unit"]:
            n_same += kpi["id"] in before and value == old
            continue
        known = value is not None and old is not None
        share = kpi["unit"] == "share"
        change = None if not known or not (share or old) else value - old if share else value / old - 1
        rows.append((text.Label.of(kpi["label"]), old, value, change, KIND[kpi["unit"]]))
    table = pd.DataFrame(rows, columns=["figure", "then", "now", "change", "kind"])
    numbers = ["then", "now", "change"]
    table[numbers] = table[numbers].astype(float)
    return KpiChanges(about=about, table=table, name="kpi_changes", since=then.name, n_same=n_same)


@dataclass(frozen=True, kw_only=True)
class ChangedDefinitions(_Difference):
    """What dataset.yml declares otherwise than it did.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per key: `key`, `then`, `now` ("—" where it was or is not declared).
    """

    topic = "changed_definitions"
    columns = table_columns("key:text then:text now:text")

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (
            self._say("some" if len(self.table) else "none", keys=sorted({_root(key) for key in self.table["key"]})),
        )


def changed_definitions(about: About, then: Side, now: Side) -> ChangedDefinitions:
    """Compare what two reports were told: one row per key of dataset.yml that decides numbers and differs."""
    keys = [key for key in sorted({*then.declared, *now.declared}) if then.declared.get(key) != now.declared.get(key)]
    if not then.declared:  # of before such things were kept
        keys = []
    rows = [(key, then.declared.get(key, text.MISSING), now.declared.get(key, text.MISSING)) for key in keys]
    table = pd.DataFrame(rows, columns=["key", "then", "now"])
    return ChangedDefinitions(about=about, table=table, name="changed_definitions", since=then.name)


def _root(key: str) -> str:
    return ".".join(key.split(".")[:2])


@dataclass(frozen=True, kw_only=True)
class ScoredForecasts(_Difference):
    """Forecasts of the earlier report whose periods have closed since.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per period: `period`, `forecast` with `ci_lower`, `ci_upper`, `actual`, `error` (actual - forecast, in
        shares) and `is_inside` (the interval holds the actual rate).
    """

    topic = "forecasts"
    columns = table_columns(
        "period forecast:pct ci_lower ci_upper actual:pct error:points",
        Column("is_inside", "term", prefix="between.inside"),
    )

    @property
    def findings(self) -> tuple[Finding, ...]:
        inside = int((self.table["is_inside"] == "yes").sum())
        return (self._say("result", n=len(self.table), inside=inside, error=self.table["error"].abs().mean()),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("between.forecasts.note"),)


def scored_forecasts(about: About, then: Side, now: Side) -> ScoredForecasts | None:
    """Score the earlier report's forecasts: one row per forecast period that has closed since; None without one."""
    if then.forecast is None or then.ledger is None or now.ledger is None or then.definition != now.definition:
        return None
    closed = {side.name: side.ledger[side.ledger["is_complete"]].set_index("period") for side in (then, now)}
    new = [p for p in then.forecast["period"] if p in closed[now.name].index and p not in closed[then.name].index]
    made, actual = then.forecast.set_index("period").loc[new], closed[now.name].loc[new]
    few = _is_few(actual["n_opening"], actual["n_churned_opening"], about)
    made, actual = made[~few], actual[~few]
    if not len(made):
        return None
    table = made[["churn_rate", "ci_lower", "ci_upper"]].rename(columns={"churn_rate": "forecast"})
    table["actual"] = actual["n_churned_opening"] / actual["n_opening"]
    table["error"] = table["actual"] - table["forecast"]
    inside = table["actual"].between(table["ci_lower"], table["ci_upper"])
    table["is_inside"] = inside.map({True: "yes", False: "no"})
    return ScoredForecasts(about=about, table=table.reset_index(), name="forecasts", since=then.name)


def differences(about: About, then: Side, now: Side) -> list[Result]:
    """Give everything in which two reports differ, in the order in which it is read."""
    made = (f(about, then, now) for f in (changed_definitions, restated, scored_forecasts, kpi_changes))
    return [result for result in made if result is not None]
