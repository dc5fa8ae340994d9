"""What customers say beside what the data show: levels with levels, changes with changes, and where they disagree.

A stated share is of those who answered, and several reasons may be named; an attributable share is of all losses, and
with the unexplained it adds to one. They are never added up, and neither is a cause: customers *say*, data are
*associated with*.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import Period
from churnlib.show import plots
from churnlib.show.results import Column, Finding, Result, Statement
from churnlib.statistics.impact import ESTIMATED
from churnlib.statistics.reasons import reason_label
from churnlib.text import Label

REST = ("unexplained", "unknown")  # groups without anything that could be done, told last
NOTEWORTHY = 0.05  # a group named by clearly more than this share of the respondents is evidence to act upon
NAMED = 3
EVENT_GROUPS = {  # kind of event -> the group of reasons that would speak of it
    "price": "price",
    "outage": "access",
    "competitor": "competitor",
    "crisis": "external",
    "policy": "external",
    "new_product": "product",
    "staff_departure": "relationship",
}
SAID = ["n_named", "share", "ci_lower", "ci_upper", "bound_lower", "bound_upper"]
SHOWN = ["attributable", "attributable_lower", "attributable_upper", "part", "part_lower", "part_upper"]


@dataclass(frozen=True, kw_only=True)
class ReasonLevels(Result):
    """Stated shares beside attributable customers, group by group.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per reason group, the largest disagreement first, the unexplained last: `n_named`, `share` of the
        respondents with `ci_lower`, `ci_upper`, `bound_lower`, `bound_upper`; `attributable` customers and their `part`
        of all losses with intervals, `reported` (beyond chance); `verdict`: "more_said" or "more_shown" (the intervals
        do not meet), "alike" (they do), "said_only", "shown_only" (the other was not measured), "neither"; `firm`
        (whatever the silent would have said); `evidence` ("both", "said", "shown", "none") and, only where there is
        some, `action`.
    n_respondents : int
    windows : tuple of (Period, Period) or None
        Of what is said and of what is shown; None where there is nothing.
    """

    n_respondents: int
    windows: tuple[tuple[Period, Period] | None, tuple[Period, Period] | None]
    module: ClassVar[str] = "reconcile"
    folded: ClassVar[bool] = False
    columns: ClassVar[tuple[Column, ...]] = (
        Column("label", "label"),
        Column("share", "pct", 1),
        Column("ci_lower", "pct", 1),
        Column("ci_upper", "pct", 1),
        Column("part", "pct", 1),
        Column("part_lower", "pct", 1),
        Column("part_upper", "pct", 1),
        Column("attributable", "number", 0),
        Column("verdict", "term", prefix="reconcile.verdict"),
        Column("evidence", "term", prefix="reconcile.evidence"),
        Column("action", "label"),
    )

    @property
    def findings(self) -> tuple[Finding, ...]:
        seen = set(self.table["verdict"])
        both = self.table[self.table["verdict"].isin(["more_said", "more_shown", "alike"])]
        if both.empty:
            said, shown = "said_only" in seen, "shown_only" in seen
            key = "apart" if said and shown else "said_only" if said else "shown_only" if shown else "neither"
            return (Finding(f"reconcile.levels.{key}"),)
        apart = both[both["verdict"] != "alike"]
        if apart.empty:
            return (Finding("reconcile.levels.alike", {"n": len(both)}),)
        first = apart.drop_duplicates("verdict")  # the largest of either kind before others of one kind
        told = pd.concat([first, apart.drop(first.index)]).head(NAMED)
        return (*(self._finding(row) for row in told.itertuples()), *self._rest())

    def _rest(self) -> tuple[Finding, ...]:
        """Say how much no driver explains: what is named and not shown may not have been measured."""
        rest = self.table.loc[self.table["reason_group"] == "unexplained", "part"]
        return tuple(Finding("reconcile.levels.rest", {"part": np.clip(part, 0, 1)}) for part in rest[rest.notna()])

    def _finding(self, row) -> Finding:
        values = {"reason": row.label, "share": row.share, "lower": row.ci_lower, "upper": row.ci_upper}
        values |= {
            "n": self.n_respondents,
            "part": row.part,
            "part_lower": row.part_lower,
            "part_upper": row.part_upper,
        }
        values |= {"customers": row.attributable}
        how = row.verdict if row.verdict == "more_shown" or row.reported else "not_shown"
        sure = "firm" if row.firm else "open"
        return Finding(f"reconcile.levels.{how}.{sure}", values, grade="weak", weight=abs(row.attributable))

    @property
    def subtitle(self) -> Statement | None:
        return Statement("reconcile.levels.subtitle") if self._drawn is not None else None

    @property
    def notes(self) -> tuple[Statement, ...]:
        notes = [Statement("reconcile.note.levels")]
        for key, window in zip(("said", "shown"), self.windows, strict=True):
            if window:
                notes.append(Statement(f"reconcile.note.{key}", {"first": window[0], "last": window[1]}))
        if self.table["action"].notna().any():
            notes.append(Statement("reconcile.note.action", {"least": NOTEWORTHY}))
        return tuple(notes)

    def read_columns(self) -> list[Column]:
        return [c for c in self.shown_columns() if not c.name.endswith(("_lower", "_upper"))]

    def summary(self, language: str | None = None) -> pd.DataFrame:
        """One row per group, without the intervals: these stand in the figure and in the file."""
        names = [column.name for column in self.shown_columns()]
        return super().summary(language).iloc[:, [names.index(column.name) for column in self.read_columns()]]

    @property
    def _drawn(self) -> pd.DataFrame | None:
        rows = self.table[self.table["part"].notna() | self.table["share"].notna()]
        rows = rows[rows["reason_group"] != "unexplained"]
        return rows if rows["part"].notna().any() and rows["share"].notna().any() else None

    def plot(self, ax=None):
        rows = self._drawn
        if rows is None:
            return None
        return plots.dumbbell(
            [str(label) for label in rows["label"]],
            rows["share"].tolist(),
            rows["part"].tolist(),
            (text.say("reconcile.said"), text.say("reconcile.shown")),
            columns=[
                (text.say("reconcile.column.share"), _intervals(rows, "ci_lower", "ci_upper")),
                (text.say("reconcile.column.part"), _intervals(rows, "part_lower", "part_upper")),
            ],
            ax=ax,
        )


def _intervals(rows: pd.DataFrame, lower: str, upper: str) -> list[str]:
    pairs = zip(rows[lower], rows[upper], strict=True)
    said = ([text.show(v, "pct", digits=0) for v in pair] for pair in pairs)
    return [text.MISSING if low == text.MISSING else f"{low}–{high}" for low, high in said]


def reconcile_levels(stated=None, revealed=None) -> ReasonLevels:
    """Set what is said beside what is shown.

    Parameters
    ----------
    stated : StatedReasons, optional
        From `stated_reasons(..., level="group")`.
    revealed : AttributableReasons, optional
        From `attributable_reasons(...)`.

    Returns
    -------
    ReasonLevels
        One row per group of reasons that either knows. Two intervals that do not meet differ at less than 1 % by
        chance, which leaves room for the dozen groups that are looked at.
    """
    about = (stated or revealed).about
    said = _said(stated)
    shown = _shown(revealed)
    table = said.join(shown, how="outer")
    table["reported"] = table["reported"].eq(True)
    table["verdict"] = [_verdict(row) for row in table.itertuples()]
    more_said = (table["verdict"] == "more_said") & (table["bound_lower"] > table["part_upper"])
    more_shown = (table["verdict"] == "more_shown") & (table["bound_upper"] < table["part_lower"])
    table["firm"] = more_said | more_shown
    says, shows = table["ci_lower"] > NOTEWORTHY, table["reported"] & (table["part_lower"] > 0)
    table["evidence"] = np.select([says & shows, says, shows], ["both", "said", "shown"], "none")
    table = table.reset_index(names="reason_group")
    own = dict(about.reason_actions)
    table["action"] = [
        _action(own, r.reason_group) if r.evidence != "none" and r.reason_group not in REST else None
        for r in table.itertuples()
    ]
    table.insert(1, "label", [_label(group) for group in table["reason_group"]])
    gap = (table["share"] - table["part"]).abs().where(table["verdict"].isin(["more_said", "more_shown"]), -1)
    order = np.lexsort((-table["share"].fillna(-1), -gap.fillna(-1), table["reason_group"].isin(REST)))
    return ReasonLevels(
        about=about,
        table=table.iloc[order].reset_index(drop=True),
        name="reasons_reconciled",
        n_respondents=stated.n_respondents if stated is not None else 0,
        windows=(stated.window if stated is not None else None, revealed.window if revealed is not None else None),
    )


def _said(stated) -> pd.DataFrame:
    if stated is None:
        return pd.DataFrame(columns=SAID, index=pd.Index([], dtype=object), dtype=float)
    return stated.shown.set_index("reason")[SAID].astype(float)


def _shown(revealed) -> pd.DataFrame:
    if revealed is None:
        return pd.DataFrame(columns=[*SHOWN, "reported"], index=pd.Index([], dtype=object), dtype=float)
    rows = revealed.shown[revealed.shown["driver"].isna()]
    names = ["attributable", "ci_lower", "ci_upper", "share", "share_ci_lower", "share_ci_upper"]
    frame = rows.set_index("reason_group")[[*names, "reported"]]
    if "state" in rows:  # what could not be estimated says nothing
        frame.loc[(rows["state"] != "estimated").to_numpy() & (frame.index != "unexplained"), names] = np.nan
    return frame.set_axis([*SHOWN, "reported"], axis=1)


def _verdict(row) -> str:
    said, shown = np.isfinite(row.share), np.isfinite(row.part) and row.Index != "unexplained"
    if not (said and shown):
        return "said_only" if said else "shown_only" if shown else "neither"
    if row.ci_lower > row.part_upper:
        return "more_said"
    return "more_shown" if row.reported and row.part_lower > row.ci_upper else "alike"


def _label(group: str) -> Label:
    return text.label("reconcile.unexplained") if group == "unexplained" else reason_label(group)


def _action(own: dict[str, Label], group: str) -> Label | None:
    key = f"reconcile.action.{group}"
    return own.get(group) or (text.label(key) if text.known(key) else None)


@dataclass(frozen=True, kw_only=True)
class ReasonChanges(Result):
    """Changes of what is said beside what events and the arithmetic of the change account for.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per reason group and event of its kind (or the group alone), then one for all losses: `change` of the
        stated share with `change_lower`, `change_upper`, `change_clear`; `event`, `touched`, `excess` customers lost
        with `excess_lower`, `excess_upper` and `state` (see `EventEffects`); `contribution`, customers by which the
        levels that the event touched moved the number of losses; `verdict`: "together" or "opposed" (both clear, one
        way or against each other), "event_only", "said_only", "neither".
    window : tuple of Period or None
        Of the stated shares; compared with the window before.
    """

    window: tuple[Period, Period] | None
    module: ClassVar[str] = "reconcile"
    tucked: ClassVar[bool] = True
    columns: ClassVar[tuple[Column, ...]] = (
        Column("label", "label"),
        Column("change", "points", 1),
        Column("change_lower", "points", 1),
        Column("change_upper", "points", 1),
        Column("event", "text"),
        Column("touched", "text"),
        Column("excess", "signed"),
        Column("excess_lower", "signed"),
        Column("excess_upper", "signed"),
        Column("state", "term", prefix="impact.state"),
        Column("contribution", "signed"),
        Column("change_verdict", "term", prefix="reconcile.change_verdict"),
    )

    @property
    def shown(self) -> pd.DataFrame:
        return self.table.assign(change_verdict=self.table["verdict"])

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = [self._finding(row) for row in self.table.itertuples() if row.verdict not in ("neither", "total")]
        return tuple(told[:NAMED]) or (Finding("reconcile.changes.none"),)

    def _finding(self, row) -> Finding:
        values = {"reason": row.label}
        if row.verdict != "said_only":
            low, high = sorted((abs(row.excess_lower), abs(row.excess_upper)))
            values |= {"event": row.event, "excess": row.excess, "size": abs(row.excess), "lower": low, "upper": high}
            side = "more" if row.excess > 0 else "less"
            scale = row.state if row.state in ESTIMATED[:2] else "coincides"
            values["scale"] = text.label(f"reconcile.scale.{scale}.{side}")
        if row.verdict != "event_only":
            values |= {"change": row.change, "change_lower": row.change_lower, "change_upper": row.change_upper}
        weight = 0.0 if row.verdict == "said_only" else abs(row.excess)
        return Finding(f"reconcile.changes.{row.verdict}", values, grade="weak", weight=weight)

    @property
    def notes(self) -> tuple[Statement, ...]:
        notes = [Statement("reconcile.note.changes")]
        if self.window:
            notes.append(Statement("reconcile.note.said", {"first": self.window[0], "last": self.window[1]}))
        return tuple(notes)


def reconcile_changes(stated=None, effects=None, explained=None) -> ReasonChanges:
    """Set the changes of stated shares beside what events did and what the arithmetic of the change says.

    Parameters
    ----------
    stated : StatedReasons, optional
    effects : EventEffects, optional
        From `event_effects(...)`; events that were over before the two windows of `stated` are left out.
    explained : ChangeExplained, optional
        From `decompose_change(...)`.

    Returns
    -------
    ReasonChanges
        One row per reason group and event of its kind; events of no group have rows of their own.
    """
    about = next(result for result in (stated, effects, explained) if result is not None).about
    said = stated.shown.set_index("reason") if stated is not None else pd.DataFrame()
    cases = _cases(about, stated, effects)
    rows = []
    for group in dict.fromkeys([*said.index, *(case["reason_group"] for case in cases)]):
        row = {"reason_group": group, "label": reason_label(group) if group else text.label("reconcile.no_group")}
        if group in said.index:
            names = ("change", "change_lower", "change_upper", "change_clear")
            row |= {name: said.loc[group, name] for name in names}
        own = [case for case in cases if case["reason_group"] == group]
        rows += [row | case | {"contribution": _contribution(about, case["event"], explained)} for case in own]
        if not own and np.isfinite(row.get("change", np.nan)):
            rows.append(row)
    table = pd.DataFrame(rows, columns=_CHANGES)
    table["verdict"] = [_change_verdict(row) for row in table.itertuples()]
    order = table["verdict"].map(["together", "opposed", "event_only", "said_only", "neither"].index)
    table = table.iloc[np.argsort(order.to_numpy(int), kind="stable")]
    if explained is not None and len(explained.shown):
        total = {"reason_group": "", "label": text.label("reconcile.total"), "verdict": "total"}
        total["contribution"] = float(explained.shown["n_lost"].iloc[-1])
        table = pd.concat([table, pd.DataFrame([total])], ignore_index=True)[table.columns]
    window = stated.window if stated is not None else None
    return ReasonChanges(about=about, table=table.reset_index(drop=True), name="changes_reconciled", window=window)


_CHANGES = [
    *("reason_group", "label", "change", "change_lower", "change_upper", "change_clear", "event", "touched"),
    *("excess", "excess_lower", "excess_upper", "state", "contribution"),
]


def _cases(about, stated, effects) -> list[dict]:
    """The estimated events that reach into the two windows, with the group of reasons that would speak of them."""
    if effects is None or effects.table.empty:
        return []
    first = None
    if stated is not None:
        n = 1
        while stated.window[0].shift(n - 1) < stated.window[1]:
            n += 1
        first = stated.window[0].shift(-n).first
    found = []
    for row in effects.table[effects.table["state"].isin(ESTIMATED)].itertuples():
        if first and Period.parse(row.last).last < first:
            continue
        groups = {EVENT_GROUPS.get(event.kind, "") for event in _events(about, row.event)}
        case = {"event": row.event, "touched": row.touched, "excess": row.excess, "state": row.state}
        case |= {"excess_lower": row.ci_lower, "excess_upper": row.ci_upper}
        # events that cannot be told apart speak for no single group
        found.append(case | {"reason_group": groups.pop() if len(groups) == 1 else ""})
    return found


def _events(about, name: Label) -> list:
    return [event for event in about.events if event.label.zh in Label.of(name).zh]


def _contribution(about, name: Label, explained) -> float:
    """Customers by which the levels that an event touched moved the losses; missing for other segments."""
    if explained is None or explained.table.empty or not explained.segments:
        return np.nan
    segment, levels = explained.segments[0].name, set()
    for event in _events(about, name):
        for part in event.scope.split(";"):
            key, _, values = part.partition("=")
            if key.strip() == segment:
                levels |= {value.strip() for value in re.split("[,，、]", values)}
    rows = explained.table[(explained.table["kind"] == "rate") & explained.table["item"].isin(levels)]
    return float(rows["n_lost"].sum()) if len(rows) else np.nan


def _change_verdict(row) -> str:
    moved = bool(row.change_clear) if pd.notna(row.change_clear) else False
    moved = moved and np.isfinite(row.change)
    lost = pd.notna(row.state) and row.state in ESTIMATED[:2]
    if moved and lost:
        return "together" if (row.change > 0) == (row.excess > 0) else "opposed"
    return "event_only" if lost else "said_only" if moved else "neither"
