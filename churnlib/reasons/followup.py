"""What came of following the lost customers up, and to whom they went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import Period
from churnlib.intervals import wilson
from churnlib.reasons.reasons import ANSWERED, share_bars
from churnlib.reasons.reasonshares import window_of, within
from churnlib.show import disclosure
from churnlib.show.results import Column, Finding, Result, Statement, table_columns
from churnlib.text import Label

ASKED = (ANSWERED, "declined", "not_asked")  # all other outcomes: not reached
NOWHERE = ("", "不清楚", "不详", "未知", "不知道", "unknown", "not known")  # of places: nothing is known


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
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        Column("follow_up", "term", prefix="reasons.follow_up"),
        "n_customers share:pct.1 ci_lower:pct.1 ci_upper:pct.1 n_before change:points.1",
    )
    tucked: ClassVar[bool] = True

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_customers", "share", "ci_lower", "ci_upper", "n_before", "share_before", "change")
        before = self.table.assign(base=self.table["n_before"].sum())
        before = disclosure.protect(before, self.about, count="n_before", base="base", hides=(), within=("all",))
        names = {"count": "n_customers", "base": "n_churned", "hides": hides}
        out = disclosure.protect(self.table, self.about, **names, within=("all",))
        return out.assign(**{c: out[c].mask(before["flag"] == disclosure.HIDDEN) for c in hides[-3:]})

    @property
    def findings(self) -> tuple[Finding, ...]:
        n, churned = self.table["n_customers"], int(self.table["n_customers"].sum())
        if not churned:
            return (Finding("reasons.nobody_lost"),)
        silent = int(n[self.table["follow_up"] != ANSWERED].sum())
        head = Finding("reasons.silent", {"n": silent, "churned": churned, "share": silent / churned})
        return (head, *self._unreached(churned))

    def _unreached(self, churned: int) -> tuple[Finding, ...]:
        """How many could not be reached, and the commonest kind of it."""
        rows = self.shown[~self.shown["follow_up"].isin(ASKED)]
        n = int(self.table.loc[~self.table["follow_up"].isin(ASKED), "n_customers"].sum())
        if rows.empty or rows[["n_customers", "n_before"]].iloc[0].isna().any() or n < self.about.privacy_k:
            return ()
        kind = next(rows.itertuples())
        values = {"n": n, "share": n / churned, "n_kind": kind.n_customers, "before": kind.n_before}
        values["kind"] = text.label(f"reasons.follow_up.{kind.follow_up}")
        return (Finding("reasons.unreached", values),)

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
    first, last = window_of(about, window)
    now = response.frame[within(response.frame, first, last)].groupby("follow_up")["n_customers"].sum()
    past = response.frame[within(response.frame, first.shift(-window), last.shift(-window))]
    before = past.groupby("follow_up")["n_customers"].sum()
    kinds = now.index.union(before.index) if len(now) else now.index
    now, before = now.reindex(kinds, fill_value=0), before.reindex(kinds, fill_value=0)
    n, n_before = int(now.sum()), int(past["n_customers"].sum())
    lower, upper = wilson(now.to_numpy(), np.full(len(now), n), about.conf_level)
    table = pd.DataFrame({"follow_up": now.index, "n_customers": now.to_numpy(), "n_churned": n})
    table["share"] = now.to_numpy() / n if n else np.nan
    table = table.assign(ci_lower=lower, ci_upper=upper, n_before=before.to_numpy(int))
    table["share_before"] = before.to_numpy() / n_before if n_before else np.nan
    table["change"] = table["share"] - table["share_before"]
    order = {"by": ["n_customers", "follow_up"], "ascending": [False, True]}
    table = table.sort_values(**order, kind="stable", ignore_index=True)
    return FollowUp(about=about, table=table, name="follow_up", window=(first, last))


def place_label(place: str) -> Label:
    """Name a place that customers went to, as the data have it."""
    return text.label("reasons.place.unknown") if place in NOWHERE else Label.of(place)


@dataclass(frozen=True, kw_only=True)
class LostTo(Result):
    """To whom the lost customers went: competitors, provinces, repair shops.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per place, the most frequent first, the unknown last: `n_customers`, `share` of those whose place is
        known with `ci_lower`, `ci_upper` (missing for the unknown), `bound_lower`, `bound_upper` (share of *all* lost
        customers if none, or every one, of the unknown went there), `fee_lost` (minor units).
    n_churned, n_known : int
    window : tuple of Period
    """

    n_churned: int
    n_known: int
    window: tuple[Period, Period]
    module: ClassVar[str] = "reasons"
    tucked: ClassVar[bool] = True
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "place_label:label n_customers share:pct.1 ci_lower:pct.1 ci_upper:pct.1 bound_lower:pct.1 bound_upper:pct.1",
        "fee_lost:money",
    )

    @property
    def shown(self) -> pd.DataFrame:
        hides = tuple(column for column in self.table if column not in ("place_label", "place", "n_base"))
        names = {"count": "n_customers", "base": "n_base", "hides": hides}
        return disclosure.protect(self.table, self.about, **names, within=("all",))

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.shown[self.shown["share"].notna()]
        values = {"n": self.n_known, "churned": self.n_churned}
        if self.n_known < self.about.min_denominator or told.empty:
            return (Finding("reasons.place.too_few", values),)
        top = told.iloc[0]
        values |= {"place": top.place_label, "share": top.share, "lower": top.ci_lower, "upper": top.ci_upper}
        values |= {"bound_lower": top.bound_lower, "bound_upper": top.bound_upper}
        return (Finding("reasons.place.top", values, grade="weak", tone="worse", weight=float(top.n_customers)),)

    @property
    def subtitle(self) -> Statement:
        values = {"first": self.window[0], "last": self.window[1], "n": self.n_known}
        return Statement("reasons.place.subtitle", values)

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("reasons.place.note", {"definition": self.about.definition_note}),)

    def plot(self, ax=None):
        shown = self.shown
        if shown["share"].isna().all():
            return None
        return share_bars(shown, "place_label", "n_customers", ax=ax)


def lost_to(places, *, window: int = 12) -> LostTo:
    """Work out to whom the lost customers went.

    Parameters
    ----------
    places : Counts
        From `lost_to_counts(data)`: one row per period and place.
    window : int
        Periods taken together, ending with the report's.

    Returns
    -------
    LostTo
        One row per place; the unknown are always one of them.
    """
    about = places.about
    first, last = window_of(about, window)
    rows = places.frame[within(places.frame, first, last)]
    rows = rows.assign(place=rows["lost_to"].where(~rows["lost_to"].isin(NOWHERE), ""))
    sums = rows.groupby("place")[["n_customers", "fee_lost"]].sum(min_count=1)
    n, unknown = int(sums["n_customers"].sum()), int(sums["n_customers"].get("", 0))
    known = sums.drop(index="", errors="ignore").sort_values("n_customers", ascending=False, kind="stable")
    known, n_known = known.reset_index(), n - unknown
    d = known["n_customers"].to_numpy(int)
    lower, upper = wilson(d, np.full(len(d), n_known), about.conf_level)
    known = known.assign(n_base=n_known, share=d / max(n_known, 1), ci_lower=lower, ci_upper=upper)
    known = known.assign(bound_lower=d / max(n, 1), bound_upper=(d + unknown) / max(n, 1))
    fee = sums["fee_lost"].get("", 0 if sums["fee_lost"].notna().any() else np.nan)
    silent = pd.DataFrame({"place": [""], "n_customers": [unknown], "fee_lost": [fee], "n_base": [n]})
    table = pd.concat([known, silent], ignore_index=True)
    table.insert(0, "place_label", [place_label(place) for place in table["place"]])
    return LostTo(about=about, table=table, name="lost_to", n_churned=n, n_known=n_known, window=(first, last))
