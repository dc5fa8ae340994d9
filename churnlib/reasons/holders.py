"""Relationship holders: churn before and after the account manager changes or leaves, against those of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.stats import t as student

from churnlib import text
from churnlib.intervals import block_variance, wilson
from churnlib.reasons.leaving import matched_means
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement, table_columns
from churnlib.trend.units import shrink

PHASES = ("before_departure", "after_departure", "after_change")
SIZES = ("all", "large", "small")
STRATUM = ["number", "band", "size"]


@dataclass(frozen=True, kw_only=True)
class HolderChanges(Result):
    """Churn around changes of the holder.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per `phase` and `size` of customers: `n_at_risk` (customer-months), `n_churned`, `churn_rate` and
        `matched` (of customers at the same time, of the same tenure and size, whose holder stayed) a month,
        `difference` with `ci_lower`, `ci_upper`, and `excess` customers lost beyond the matched rate.
    """

    module: ClassVar[str] = "holders"
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        Column("phase", "term", prefix="holders.phase"),
        Column("size", "term", prefix="holders.size"),
        "n_at_risk n_churned churn_rate:pct.1 matched:pct.1 difference:points.1 ci_lower:points.1 ci_upper:points.1",
        "excess:signed.0",
    )

    @property
    def tucked(self) -> bool:
        return all(finding.grade == "descriptive" for finding in self.findings)

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_churned", "churn_rate", "difference", "ci_lower", "ci_upper", "excess")
        how = {"count": "n_churned", "base": "n_at_risk", "hides": hides, "within": ("phase",)}
        return disclosure.protect(self.table, self.about, **how)

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.shown[(self.shown["size"] == "all") & self.shown["difference"].notna()]
        after = told[told["phase"] != "before_departure"]
        if after.empty:
            return (Finding("holders.few", {"holder": self.about.segment.label}),)
        return tuple(self._finding(row) for row in after.itertuples())

    def _finding(self, row) -> Finding:
        clear = row.ci_lower > 0 or row.ci_upper < 0
        key = ("more" if row.difference > 0 else "less") if clear else "none"
        values = {"holder": self.about.segment.label, "rate": row.churn_rate, "matched": row.matched}
        values |= {"lower": row.ci_lower, "upper": row.ci_upper, "n": row.n_at_risk, "excess": abs(row.excess)}
        tone = {"more": "worse", "less": "better"}.get(key, "steady")
        weight = abs(float(row.excess)) if clear else 0.0
        return Finding(f"holders.{row.phase}.{key}", values, "moderate" if clear else "descriptive", tone, weight)

    @property
    def subtitle(self) -> Statement | None:
        return Statement("holders.subtitle", {"holder": self.about.segment.label}) if len(self.table) else None

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("holders.note.matched"), Statement("holders.note.size")) if len(self.table) else ()

    def plot(self, ax=None):
        rows = self.shown[self.shown["difference"].notna()]
        if rows.empty:
            return None
        named = zip(rows["phase"], rows["size"], strict=True)
        labels = [f"{text.say(f'holders.phase.{phase}')} · {text.say(f'holders.size.{size}')}" for phase, size in named]
        clear = (rows["ci_lower"] > 0).astype(int) - (rows["ci_upper"] < 0)
        tones = [{1: "worse", -1: "better"}.get(c, "steady") for c in clear]
        sides = (text.say("attributable.fewer"), text.say("attributable.greater"))
        lost = (text.say("holders.column.n_churned"), [text.show(n, "count") for n in rows["n_churned"]])
        estimates = (rows[name] for name in ("difference", "ci_lower", "ci_upper"))
        return plots.forest(labels, *estimates, sides=sides, tones=tones, columns=[lost], ax=ax)


@dataclass(frozen=True, kw_only=True)
class HolderUnits(Result):
    """What became of the customers of each holder who left or was followed by another.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per former `holder`: `n_at_risk` (customer-months within half a year of the change), `n_churned`,
        `churn_rate` a month, `matched` (see `HolderChanges`), `shrunk` with `shrunk_lower`, `shrunk_upper`
        (beta-binomial: what of the rate is to be believed).
    """

    module: ClassVar[str] = "holders"
    tucked: ClassVar[bool] = True
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "holder:text n_at_risk n_churned churn_rate:pct.1 matched:pct.1",
        "shrunk:pct.1 shrunk_lower:pct.1 shrunk_upper:pct.1",
    )

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_churned", "churn_rate", "shrunk", "shrunk_lower", "shrunk_upper")
        how = {"count": "n_churned", "base": "n_at_risk", "hides": hides, "within": ("all",)}
        return disclosure.protect(self.table, self.about, **how)

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.shown[self.shown["churn_rate"].notna()]
        high = told[told["shrunk_lower"] > told["matched"]]
        values = {"n": len(told), "found": len(high)}
        if told.empty:
            return (Finding("holders.few", {"holder": self.about.segment.label}),)
        if high.empty:
            return (Finding("holders.units.none", values),)
        names = text.Label(*(text.show(high["holder"].head(5).tolist(), "list", k) for k in text.LANGUAGES))
        return (Finding("holders.units.high", values | {"names": names}, "moderate", "worse", float(len(high))),)


def holder_changes(counts) -> HolderChanges:
    """Compare churn before and after a change of the holder with customers whose holder stayed.

    Parameters
    ----------
    counts : Counts
        From `holder_counts(data)`.

    Returns
    -------
    HolderChanges
        Matched on month, band of tenure and size by weighting. Before a departure the customers are those of the holder
        who will leave: had they been others all along, the difference would have been there before.

    References
    ----------
    Newcombe, R. G. (1998). Interval estimation for the difference between independent proportions. Statistics in
    Medicine 17, 873-890: the two intervals put together, Wilson's and that of the jackknife over blocks of customers.
    """
    frame = counts.frame
    rows = []
    for phase in PHASES:
        for size in SIZES:
            part = frame if size == "all" else frame[frame["size"] == size]
            if (part["phase"] == phase).any():
                rows.append({"phase": phase, "size": size} | _compared(part, part["phase"] == phase, counts.about))
    columns = ["phase", "size", "n_at_risk", "n_churned", "churn_rate", "matched", "difference", "ci_lower"]
    table = pd.DataFrame(rows, columns=[*columns, "ci_upper", "excess"])
    return HolderChanges(about=counts.about, table=table, name="holder_changes")


def holder_units(counts) -> HolderUnits:
    """Look at the customers of each former holder, shrunk towards each other."""
    frame = counts.frame
    after = frame["phase"].isin(PHASES[1:])
    sums = frame[after].groupby("holder", sort=True)[["n_at_risk", "n_churned"]].sum().reset_index()
    neither = frame[frame["phase"] == "neither"]
    matched = [_matched(frame[after & (frame["holder"] == name)], neither) for name in sums["holder"]]
    n, d = sums["n_at_risk"].to_numpy(float), sums["n_churned"].to_numpy(float)
    shrunk = shrink(d, n, counts.about.conf_level) if len(sums) else (np.empty(0),) * 3
    shrunk = dict(zip(("shrunk", "shrunk_lower", "shrunk_upper"), shrunk, strict=True))
    table = sums.assign(churn_rate=d / n, matched=np.array(matched, float), **shrunk)
    table = table.sort_values("shrunk", ascending=False, kind="stable", ignore_index=True)
    return HolderUnits(about=counts.about, table=table, name="holder_units")


def _matched(part: pd.DataFrame, neither: pd.DataFrame) -> float:
    """The rate of those whose holder stayed, weighted to the strata of a part."""
    weight = part.groupby(STRATUM)["n_at_risk"].sum()
    others = neither.groupby(STRATUM)[["n_at_risk", "n_churned"]].sum().reindex(weight.index)
    rate = others["n_churned"] / others["n_at_risk"]
    return float((rate * weight)[rate.notna()].sum() / max(weight[rate.notna()].sum(), 1))


def _compared(frame: pd.DataFrame, chosen: pd.Series, about) -> dict:
    """Rates of the chosen rows and of those matched to them, and the difference with its interval."""
    strata = frame.groupby(STRATUM).ngroup().to_numpy()
    kept = (chosen | (frame["phase"] == "neither")).to_numpy()
    blocks = int(frame["block"].max()) + 1
    sums = np.zeros((2, strata.max() + 1, 2, blocks))
    at = (strata[kept], chosen.to_numpy(int)[kept], frame["block"].to_numpy()[kept])
    for into, column in zip(sums, ("n_at_risk", "n_churned"), strict=True):
        np.add.at(into, at, frame[column].to_numpy(float)[kept])
    whole = sums.sum(axis=-1)
    (rate,), (matched,) = matched_means(whole)
    others = np.array([matched_means(whole - sums[..., b])[1][0] for b in range(blocks)])
    others = others[np.isfinite(others)]
    reach = student.ppf((1 + about.conf_level) / 2, blocks - 1) * np.sqrt(block_variance(others))
    n, lost = whole[:, :, 1].sum(axis=-1)
    low, high = wilson(lost, n, about.conf_level)  # few are lost: none lost is no proof of none
    gap, low, high = rate - matched, np.hypot(rate - low, reach), np.hypot(high - rate, reach)
    row = {"n_at_risk": int(n), "n_churned": int(lost), "churn_rate": rate, "matched": matched, "difference": gap}
    return row | {"ci_lower": gap - low, "ci_upper": gap + high, "excess": gap * n}
