"""Why customers say they left: shares of those who answered, what the silent could change, who was not reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import YEAR, About, Period
from churnlib.intervals import wilson
from churnlib.reasons.reasonshares import add_up, changes, shares, window_of, within
from churnlib.reasons.response import propensity, weighted_shares
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Kpi, Result, Statement, table_columns
from churnlib.text import Label

ANSWERED = "answered"
PLOTTED = 12  # bars of the chart; the table has them all
UNKNOWN = ("unknown", "unknown.other", "other")


def reason_label(reason: str, about: About | None = None, level: str = "group") -> Label:
    """Name a reason group ("price"), a reason ("price.too_high"), or a code of one of the coarser lists."""
    listed = {code: label for name, code, label, _ in (about.reason_lists if about else ()) if name == level}
    if reason in listed:
        return listed[reason]
    key = f"reasons.{level if level in ('type', 'initiative') else 'code'}.{reason}"
    key = "reasons.code.unknown" if reason == "other" and not text.known(key) else key
    return text.label(key) if text.known(key) else Label.of(reason)


@dataclass(frozen=True, kw_only=True)
class StatedReasons(Result):
    """Stated reasons of the customers lost in a window of periods; a customer can name several.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per reason (or reason group): `n_named` (respondents who named it), `n_respondents`, `share` of
        respondents with `ci_lower`, `ci_upper`, `share_mentions` (of all mentions), `bound_lower`, `bound_upper` (share
        of *all* lost customers if none, or every one, of those without an answer had named it), where answers were
        weighted `weighted` (share of all lost customers) with `weighted_lower`, `weighted_upper`; `fee_lost` (monthly
        revenue of those who named it, minor units) and `fee_share` of the respondents' revenue with `fee_lower`,
        `fee_upper`; and the window before: `share_before`, `change` with `change_lower`, `change_upper` and
        `change_clear`. All shares in [0, 1]; shares of respondents add up to more than 1. "unknown" is always a row.
    n_churned, n_respondents, n_mentions : int
        Lost customers of the window, those who gave a reason, reasons given.
    window : tuple of Period
        First and last period.
    versions, versions_before : dict of str to int
        Respondents of the window, and of the one before, by version of the list.
    by : tuple of Label
        What the answers were weighted by; empty if they were not.
    unheard : int
        Lost customers of whom so few are like any respondent that the weighted shares leave them out.
    level : str
        The list of reasons.
    """

    n_churned: int
    n_respondents: int
    n_mentions: int
    window: tuple[Period, Period]
    versions: dict[str, int]
    versions_before: dict[str, int]
    by: tuple[Label, ...]
    unheard: int
    level: str
    module: ClassVar[str] = "reasons"
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "reason_label:label n_named share:pct.1 ci_lower:pct.1 ci_upper:pct.1 share_mentions:pct.1 weighted:pct.1",
        Column("weighted_lower", "pct", 1, read=False),
        Column("weighted_upper", "pct", 1, read=False),
        "bound_lower:pct.1 bound_upper:pct.1 fee_lost:money fee_share:pct.1",
        Column("fee_lower", "pct", 1, read=False),
        Column("fee_upper", "pct", 1, read=False),
        "change:points.1",
        Column("change_lower", "points", 1, read=False),
        Column("change_upper", "points", 1, read=False),
    )

    @property
    def tucked(self) -> bool:
        """Whether this is a closer look: the groups are the chapter's figure, the other lists are beside it."""
        return self.level != "group"

    @property
    def shown(self) -> pd.DataFrame:
        kept = ("reason_label", "reason", "n_respondents", "n_mentions", "change_clear")
        hides = tuple(column for column in self.table if column not in kept)
        # a respondent can name several reasons: customers add up to no total, so none can be had by subtraction ...
        out = disclosure.protect(self.table, self.about, count="n_named", base="n_respondents", hides=hides)
        few = out["n_before"].between(1, self.about.privacy_k - 1)  # of a change from a handful the handful follows
        moves = [c for c in out if c.startswith("change") or c == "share_before"]
        out = out.assign(**{c: out[c].mask(few, False if c == "change_clear" else np.nan) for c in moves})
        hidden = out["share"].isna() & (out["n_mentions"] > 0)
        if hidden.sum() == 1 and (~hidden).sum() > 1:  # ... but mentions do: a second share of them is left out
            out.loc[out.loc[~hidden & (out["n_mentions"] > 0), "n_mentions"].idxmin(), "share_mentions"] = np.nan
        return out

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.shown[self.shown["share"].notna()]
        if self.n_respondents < self.about.min_denominator or told.empty:
            return (Finding("reasons.too_few", {"n": self.n_respondents, "churned": self.n_churned}),)
        top = told.iloc[0]
        values = {"reason": top.reason_label, "share": top.share, "lower": top.ci_lower, "upper": top.ci_upper}
        values["n"] = self.n_respondents
        second = told.iloc[1] if len(told) > 1 else None
        alone = second is None or second.ci_upper < top.ci_lower
        key = "reasons.top" if alone else "reasons.top_together"
        if self.level != "group":
            key = key.replace("top", "listed")
            values["list"] = text.label(f"reasons.list.{self.level}")
        values |= {} if alone else {"second": second.reason_label, "second_share": second.share}
        head = Finding(key, values, grade="weak", tone="worse", weight=float(top.n_named))
        if self.tucked:  # the silent and the weights are spoken of where the groups are
            return (head, *self._moved(told))
        bounds = {"reason": top.reason_label, "bound_lower": top.bound_lower, "bound_upper": top.bound_upper}
        bounds["answered"] = self.n_respondents / self.n_churned
        found = [head, Finding("reasons.bounds", bounds)]
        if self.by and np.isfinite(top.weighted):
            values = {"reason": top.reason_label, "raw": top.share, "weighted": top.weighted}
            values |= {"lower": top.weighted_lower, "upper": top.weighted_upper}
            moved = not top.ci_lower <= top.weighted <= top.ci_upper
            found.append(Finding(f"reasons.weighted.{'moved' if moved else 'same'}", values))
        return (*found, *self._money(told), *self._moved(told))

    def _money(self, told: pd.DataFrame) -> tuple[Finding, ...]:
        """Say so when what costs most is clearly not what is named most."""
        if told["fee_share"].isna().all():
            return ()
        top, costly = told.iloc[0], told.loc[told["fee_share"].idxmax()]
        if costly.reason == top.reason or costly.fee_lower <= top.fee_share:
            return ()
        values = {"reason": costly.reason_label, "share": costly.fee_share, "fee": self.money(costly.fee_lost)}
        values |= {"lower": costly.fee_lower, "upper": costly.fee_upper, "named": costly.share}
        values["first"] = top.reason_label
        return (Finding("reasons.money", values, grade="weak", tone="worse", weight=float(costly.n_named)),)

    def _moved(self, told: pd.DataFrame) -> tuple[Finding, ...]:
        lists = {"before": self.versions_before, "now": self.versions}
        if self.versions_before and set(self.versions) != set(self.versions_before):
            names = {when: [Label.of(v or text.MISSING) for v in versions] for when, versions in lists.items()}
            return (Finding("reasons.list_changed", names),)
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
        notes = [Statement("reasons.note.shares", values), Statement("reasons.note.bounds")]
        notes += [Statement("reasons.note.weighted", {"by": list(self.by)})] if self.by else []
        notes += [Statement("reasons.note.unheard", {"unheard": self.unheard})] if self.by and self.unheard else []
        if len(self.versions) > 1:
            named = {v or text.MISSING: n for v, n in self.versions.items()}
            sizes = [Label(f"{v}（n = {n}）", f"{v} (n = {n})") for v, n in named.items()]
            notes.append(Statement("reasons.note.versions", {"versions": sizes}))
        notes += [Statement(f"reasons.note.{self.level}")] if self.level in ("type", "initiative") else []
        members = [_members(label, codes) for level, _, label, codes in self.about.reason_lists if level == self.level]
        if members:
            said = Label("；".join(m.zh for m in members), "; ".join(m.en for m in members))
            notes.append(Statement("reasons.note.members", {"members": said}))
        return tuple(notes)

    @property
    def kpis(self) -> tuple[Kpi, ...]:
        share = self.n_respondents / self.n_churned if self.n_churned else np.nan
        ends = map(float, wilson(self.n_respondents, self.n_churned))
        return (Kpi("response_rate", share, self.n_churned, "share", *ends, rise_is="better"),)

    def plot(self, ax=None):
        told = self.shown[self.shown["share"].notna()]
        if told.empty:
            return None
        rest = told.iloc[PLOTTED:]
        told = pd.concat([told.head(PLOTTED), rest[rest["reason"].isin(UNKNOWN)]])  # never hidden
        weighted = [text.show(value, "pct", digits=1) for value in told.get("weighted", ())]
        beside = [(text.say("reasons.column.weighted"), weighted)] if weighted else []
        return share_bars(told, "reason_label", "n_named", beside, ax)


def stated_reasons(mentions, response, answers=None, *, level: str = "group", window: int = 3) -> StatedReasons:
    """Work out which reasons the lost customers of the last periods gave.

    Parameters
    ----------
    mentions : Counts
        From `reason_counts(data)`: one row per period, version of the list and reason.
    response : Counts
        From `response_counts(data)`: one row per period, follow-up outcome and version.
    answers : AnswerCounts, optional
        From `answer_counts(data, window)`, of the same window: then shares are weighted for response, too.
    level : {"group", "reason", "own", "type", "initiative"}
        Which of the two levels of the list, the company's own groups, or one of the coarse mappings.
    window : int
        Periods, ending with the report's, that are taken together; compared with as many before them, unless these
        were asked by another version of the list.

    Returns
    -------
    StatedReasons
        One row per reason, the most named first.
    """
    about = mentions.about
    first, last = window_of(about, window)
    now = add_up(mentions, response, level, first, last)
    before = add_up(mentions, response, level, first.shift(-window), last.shift(-window))
    alike = replace(before, n_respondents=0) if set(before.versions) != set(now.versions) else before
    table = changes(shares(now, about.conf_level), shares(alike, about.conf_level), about.conf_level)
    model = propensity(answers) if answers is not None and now.n_respondents else None
    by = ()
    if model is not None and not model.is_flat:
        table = table.merge(weighted_shares(answers, level, model), on="reason", how="left")
        by = tuple(segment.label for segment in answers.segments)
    table = table.sort_values(["n_named", "reason"], ascending=[False, True], kind="stable").reset_index(drop=True)
    table.insert(0, "reason_label", [reason_label(r, about, level) for r in table["reason"]])
    return StatedReasons(
        about=about,
        table=table,
        name=f"stated_{level}s",
        n_churned=now.n_churned,
        n_respondents=now.n_respondents,
        n_mentions=int(now.mentions["n_mentions"].sum()),
        window=(first, last),
        versions=now.versions,
        versions_before=before.versions,
        by=by,
        unheard=model.unheard if by else 0,
        level=level,
    )


def share_bars(rows: pd.DataFrame, label: str, n: str, beside: Sequence = (), ax=None):
    """Draw shares of customers with their intervals; beside them how many named it, and the bounds for all lost."""
    customers = [text.show(count, "number", digits=0) for count in rows[n]]
    columns = [(text.say(f"reasons.column.{n}"), customers), *beside]
    columns.append((text.say("reasons.column.bounds"), spans(rows, "bound_lower", "bound_upper", 1)))
    names, how = [str(name) for name in rows[label]], {"columns": columns, "digits": 1, "ax": ax}
    return plots.bars(names, rows["share"], lower=rows["ci_lower"], upper=rows["ci_upper"], **how)


def spans(rows: pd.DataFrame, lower: str, upper: str, digits: int = 0) -> list[str]:
    """Write intervals of shares: 12%–15%, or −3% to 1%."""
    said = []
    for low, high in rows[[lower, upper]].to_numpy(float):
        ends = [text.show(end, "pct", digits=digits) for end in (low, high)]
        between = text.say("reasons.span", low=ends[0], high=ends[1]) if low < 0 else "–".join(ends)
        said.append(text.MISSING if np.isnan(low) else between)
    return said


def enough_periods(response, window: int = 3) -> int:
    """Give the number of periods to take together: as asked, or a year of them where too few answered for shares."""
    first, last = window_of(response.about, window)
    n = response.frame.loc[within(response.frame, first, last), "n_respondents"].sum()
    return window if n >= response.about.min_denominator else max(window, YEAR[last.unit])


def _members(label: Label, codes: tuple[str, ...]) -> Label:
    """A group of a coarser list with what it takes together: 竞争压力型（竞争、价格）."""
    inside = [reason_label(code) for code in codes]
    zh, en = (text.show([name.to(language) for name in inside], "list", language) for language in text.LANGUAGES)
    return Label(f"{label.zh}（{zh}）", f"{label.en} ({en})")
