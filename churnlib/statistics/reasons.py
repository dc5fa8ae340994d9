"""Why customers say they left: shares of those who answered, what the silent could change, who was not reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import Period
from churnlib.intervals import difference, wilson
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Kpi, Result, Statement
from churnlib.text import Label

ANSWERED = "answered"
PLOTTED = 12  # bars of the chart; the table has them all


def reason_label(reason: str, own: tuple[tuple[str, Label], ...] = ()) -> Label:
    """Name a reason group ("price") or a reason ("price.too_high") of the two-level list, or of the company's own."""
    if reason in dict(own):
        return dict(own)[reason]
    key = "reasons.code.unknown" if reason == "other" else f"reasons.code.{reason}"
    return text.label(key) if text.known(key) else Label.of(reason)


@dataclass(frozen=True, kw_only=True)
class StatedReasons(Result):
    """Stated reasons of the customers lost in a window of periods; a customer can name several.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per reason (or reason group): `n_named` (respondents who named it), `n_respondents`, `share` of
        respondents with `ci_lower`, `ci_upper`, `share_mentions` (of all mentions), `bound_lower`, `bound_upper` (share
        of *all* lost customers if none, or every one, of those without an answer had named it), `fee_lost` (monthly
        revenue of those who named it, minor units), and the same window before: `share_before`, `change` with interval
        and `change_clear`. All shares in [0, 1]; shares of respondents add up to more than 1.
    n_churned, n_respondents, n_mentions : int
        Lost customers of the window, those who gave a reason, reasons given.
    window : tuple of Period
        First and last period.
    """

    n_churned: int
    n_respondents: int
    n_mentions: int
    window: tuple[Period, Period]
    module: ClassVar[str] = "reasons"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("reason_label", "label"),
        Column("n_named", "whole"),
        Column("share", "pct", 1),
        Column("ci_lower", "pct", 1),
        Column("ci_upper", "pct", 1),
        Column("share_mentions", "pct", 1),
        Column("bound_lower", "pct", 1),
        Column("bound_upper", "pct", 1),
        Column("fee_lost", "money"),
        Column("change", "points", 1),
    )

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_named", "share", "ci_lower", "ci_upper", "share_mentions", "bound_lower", "bound_upper", "fee_lost")
        hides += ("share_before", "change", "change_lower", "change_upper")
        # a respondent can name several reasons: the cells add up to no total, so none can be had by subtraction
        return disclosure.protect(self.table, self.about, count="n_named", base="n_respondents", hides=hides)

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.shown[self.shown["share"].notna()]
        if self.n_respondents < self.about.min_denominator or told.empty:
            return (Finding("reasons.too_few", {"n": self.n_respondents, "churned": self.n_churned}),)
        top = told.iloc[0]
        values = {
            "reason": top.reason_label,
            "share": top.share,
            "lower": top.ci_lower,
            "upper": top.ci_upper,
            "n": self.n_respondents,
        }
        second = told.iloc[1] if len(told) > 1 else None
        alone = second is None or second.ci_upper < top.ci_lower
        key = "reasons.top" if alone else "reasons.top_together"
        values |= {} if alone else {"second": second.reason_label, "second_share": second.share}
        head = Finding(key, values, grade="weak", tone="worse", weight=float(top.n_named))
        bounds = {"reason": top.reason_label, "bound_lower": top.bound_lower, "bound_upper": top.bound_upper}
        bounds["answered"] = self.n_respondents / self.n_churned
        return (head, Finding("reasons.bounds", bounds), *self._moved(told))

    def _moved(self, told: pd.DataFrame) -> tuple[Finding, ...]:
        clear = told[told["change_clear"].astype(bool) & told["change"].notna()]
        if clear.empty:
            return (Finding("reasons.no_change"),) if told["change"].notna().any() else ()
        row = clear.loc[clear["change"].abs().idxmax()]
        word, tone = ("rise", "worse") if row.change > 0 else ("fall", "better")
        values = {"reason": row.reason_label, "share": row.share, "before": row.share_before, "change": row.change}
        weight = abs(row.change) * self.n_respondents
        return (Finding(f"reasons.{word}", values, grade="weak", tone=tone, weight=weight),)

    @property
    def subtitle(self) -> Statement:
        first, last = self.window
        return Statement("reasons.subtitle", {"first": first, "last": last, "n": self.n_respondents})

    @property
    def notes(self) -> tuple[Statement, ...]:
        values = {"churned": self.n_churned, "n": self.n_respondents, "mentions": self.n_mentions}
        return (Statement("reasons.note.shares", values), Statement("reasons.note.bounds"))

    @property
    def kpis(self) -> tuple[Kpi, ...]:
        share = self.n_respondents / self.n_churned if self.n_churned else np.nan
        lower, upper = wilson(self.n_respondents, self.n_churned)
        answered = Kpi("response_rate", share, n=self.n_churned, unit="share", rise_is="better")
        return (Kpi(**{**answered.__dict__, "ci_lower": float(lower), "ci_upper": float(upper)}),)

    def plot(self, ax=None):
        told = self.shown[self.shown["share"].notna()]
        told = told.head(PLOTTED)
        return plots.bars(
            [str(label) for label in told["reason_label"]],
            told["share"].tolist(),
            lower=told["ci_lower"].tolist(),
            upper=told["ci_upper"].tolist(),
            columns=[
                (text.say("reasons.column.n_named"), [text.show(n, "number", digits=0) for n in told["n_named"]]),
                (
                    text.say("reasons.column.share_mentions"),
                    [text.show(v, "pct", digits=1) for v in told["share_mentions"]],
                ),
            ],
            digits=1,
            ax=ax,
        )


def stated_reasons(mentions, response, *, level: str = "group", window: int = 3) -> StatedReasons:
    """Work out which reasons the lost customers of the last periods gave.

    Parameters
    ----------
    mentions : Counts
        From `reason_counts(data)`: one row per period and reason with `n_named`, `n_mentions` and `fee_lost`.
    response : Counts
        From `response_counts(data)`: one row per period and follow-up outcome with `n_customers` and `n_respondents`.
    level : {"group", "reason", "own"}
        Which of the two levels of the list, or the company's own groups of reasons.
    window : int
        Periods, ending with the report's, that are taken together; compared with as many before them.

    Returns
    -------
    StatedReasons
        One row per reason, the most named first.
    """
    about = mentions.about
    last = about.period
    first = last.shift(1 - window)
    now = _window(mentions, response, level, first, last)
    before = _window(mentions, response, level, first.shift(-window), last.shift(-window))
    table = _shares(now, about.conf_level)
    table = _change(table, _shares(before, about.conf_level), about.conf_level)
    table = table.sort_values(["n_named", "reason"], ascending=[False, True], kind="stable").reset_index(drop=True)
    table.insert(
        0, "reason_label", [reason_label(r, about.reason_groups if level == "own" else ()) for r in table["reason"]]
    )
    return StatedReasons(
        about=about,
        table=table,
        name=f"stated_{level}s",
        n_churned=now.n_churned,
        n_respondents=now.n_respondents,
        n_mentions=int(now.mentions["n_mentions"].sum()),
        window=(first, last),
    )


@dataclass(frozen=True)
class _Window:
    mentions: pd.DataFrame
    n_churned: int
    n_respondents: int


def _window(mentions, response, level: str, first: Period, last: Period) -> _Window:
    """Add the periods of a window up: mentions, respondents and lost customers add over periods."""
    named = mentions.frame[(mentions.frame["level_of_list"] == level) & _within(mentions.frame, first, last)]
    asked = response.frame[_within(response.frame, first, last)]
    return _Window(
        mentions=named.groupby("reason", as_index=False)[["n_named", "n_mentions", "fee_lost"]].sum(),
        n_churned=int(asked["n_customers"].sum()),
        n_respondents=int(asked["n_respondents"].sum()),
    )


def _within(frame: pd.DataFrame, first: Period, last: Period) -> pd.Series:
    return frame["period"].between(str(first), str(last))


def _shares(window: _Window, conf_level: float) -> pd.DataFrame:
    """Shares of respondents and of mentions, and the worst and best case for those who did not answer."""
    named, n, mentions = window.mentions["n_named"], window.n_respondents, window.mentions["n_mentions"]
    lower, upper = wilson(named, np.full(len(named), n), conf_level)
    silent, churned = window.n_churned - n, max(window.n_churned, 1)
    return window.mentions.assign(
        n_respondents=n,
        share=named / n if n else np.nan,
        ci_lower=lower,
        ci_upper=upper,
        share_mentions=mentions / mentions.sum() if mentions.sum() else np.nan,
        bound_lower=named / churned,
        bound_upper=(named + silent) / churned,
    )


def _change(now: pd.DataFrame, before: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    """Set each share beside that of the window before; the intervals are Bonferroni's over the reasons."""
    earlier = (
        before.set_index("reason")[["n_named", "share"]].reindex(now["reason"]).fillna({"n_named": 0, "share": 0.0})
    )
    n_before = before["n_respondents"].iloc[0] if len(before) else 0
    conf = 1 - (1 - conf_level) / max(len(now), 1)
    lower, upper = difference(
        now["n_named"], now["n_respondents"], earlier["n_named"].to_numpy(), n_before, conf_level=conf
    )
    share_before = earlier["share"].to_numpy() if n_before else np.full(len(now), np.nan)
    return now.assign(
        share_before=share_before,
        change=now["share"] - share_before,
        change_lower=lower,
        change_upper=upper,
        change_clear=(np.asarray(lower) > 0) | (np.asarray(upper) < 0),
    )


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
    now = response.frame[_within(response.frame, first, last)].groupby("follow_up")["n_customers"].sum()
    past = response.frame[_within(response.frame, first.shift(-window), last.shift(-window))]
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
