"""Changes of what customers say beside what events did and what the arithmetic of the change accounts for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import Period
from churnlib.reasons.reasons import reason_label
from churnlib.show.results import Column, Finding, Result, Statement, table_columns
from churnlib.text import Label
from churnlib.trend.impact import ESTIMATED

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
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "label:label change:points.1 change_lower:points.1 change_upper:points.1 event:text touched:text",
        "excess:signed excess_lower:signed excess_upper:signed",
        Column("state", "term", prefix="impact.state"),
        "contribution:signed",
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
        key = row.verdict if row.reason_group else "event_alone"
        return Finding(f"reconcile.changes.{key}", values, grade="weak", weight=weight)

    @property
    def notes(self) -> tuple[Statement, ...]:
        first, last = self.window or (None, None)
        said = (Statement("reconcile.note.said", {"first": first, "last": last}),) if first else ()
        return (Statement("reconcile.note.changes"), *said)


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
    order = ["together", "opposed", "event_only", "said_only", "neither"]
    table = table.sort_values("verdict", key=lambda verdict: verdict.map(order.index), kind="stable")
    if explained is not None and len(explained.shown):
        total = {"reason_group": "", "label": text.label("reconcile.total"), "verdict": "total"}
        total["contribution"] = float(explained.shown["n_lost"].iloc[-1])
        table = pd.DataFrame([*table.to_dict("records"), total], columns=table.columns)
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
        n = next(n for n in count(1) if not stated.window[0].shift(n - 1) < stated.window[1])
        first = stated.window[0].shift(-n).first  # of the window before
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
    segment = explained.segments[0].name
    levels = {level for event in _events(about, name) for level in event.named.get(segment, ())}
    rows = explained.table[(explained.table["kind"] == "rate") & explained.table["item"].isin(levels)]
    return float(rows["n_lost"].sum()) if len(rows) else np.nan


def _change_verdict(row) -> str:
    moved = pd.notna(row.change_clear) and bool(row.change_clear) and np.isfinite(row.change)
    lost = pd.notna(row.state) and row.state in ESTIMATED[:2]
    if moved and lost:
        return "together" if (row.change > 0) == (row.excess > 0) else "opposed"
    return "event_only" if lost else "said_only" if moved else "neither"
