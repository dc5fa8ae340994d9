"""What customers say beside what the data show, and where the two disagree; changes stand in `reasonchanges`.

A stated share is of those who answered, and several reasons may be named; an attributable share is of all losses, and
with the unexplained it adds to one. They are never added up, and neither is a cause: customers *say*, data are
*associated with*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import Period
from churnlib.reasons.attributable import drivers_of
from churnlib.reasons.reasons import reason_label, spans
from churnlib.show import plots
from churnlib.show.results import Column, Finding, Result, Statement, table_columns
from churnlib.text import Label

REST = ("unexplained", "unknown")  # groups without anything that could be done, told last
NOTEWORTHY = 0.05  # a group named by clearly more than this share of the respondents is evidence to act upon
NAMED = 3
SAID = ["n_named", "share", "ci_lower", "ci_upper", "bound_lower", "bound_upper"]
SHOWN = ["attributable", "attributable_lower", "attributable_upper", "part", "part_lower", "part_upper"]
APART = ("more_said", "more_shown", "fewer")


@dataclass(frozen=True, kw_only=True)
class ReasonLevels(Result):
    """Stated shares beside attributable customers, group by group.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per reason group, the largest disagreement first, the unexplained last: `n_named`, `share` of the
        respondents with `ci_lower`, `ci_upper`, `bound_lower`, `bound_upper`; `attributable` customers and their `part`
        of all losses with intervals, `reported` (beyond chance); `verdict`: "more_said" or "more_shown" (the intervals
        do not meet), "fewer" (what was measured goes with fewer losses), "alike" (the intervals meet), "said_only",
        "shown_only" (the other was not measured), "neither"; `drivers` that were measured; `firm`
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
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "label:label share:pct.1",
        Column("ci_lower", "pct", 1, read=False),
        Column("ci_upper", "pct", 1, read=False),
        "part:pct.1",
        Column("part_lower", "pct", 1, read=False),
        Column("part_upper", "pct", 1, read=False),
        "attributable:number.0",
        Column("verdict", "term", prefix="reconcile.verdict"),
        Column("evidence", "term", prefix="reconcile.evidence"),
        "action:label",
    )

    @property
    def findings(self) -> tuple[Finding, ...]:
        seen = set(self.table["verdict"])
        both = self.table[self.table["verdict"].isin([*APART, "alike"])]
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
        values |= {"n": self.n_respondents}
        if row.verdict == "fewer":
            least, most = sorted((abs(row.attributable_lower), abs(row.attributable_upper)))
            values |= {"drivers": row.drivers, "fewer": abs(row.attributable), "least": least, "most": most}
            return Finding("reconcile.levels.fewer", values, grade="weak", weight=abs(row.attributable))
        values |= {"part": row.part, "part_lower": row.part_lower, "part_upper": row.part_upper}
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
        windows = zip(("said", "shown"), self.windows, strict=True)
        notes += [Statement(f"reconcile.note.{key}", {"first": w[0], "last": w[1]}) for key, w in windows if w]
        told = self.table["action"].notna().any()
        return (*notes, Statement("reconcile.note.action", {"least": NOTEWORTHY})) if told else tuple(notes)

    @property
    def _drawn(self) -> pd.DataFrame | None:
        rows = self.table[self.table["part"].notna() | self.table["share"].notna()]
        rows = rows[rows["reason_group"] != "unexplained"]
        return rows if rows["part"].notna().any() and rows["share"].notna().any() else None

    def plot(self, ax=None):
        rows = self._drawn
        if rows is None:
            return None
        labels = [str(label) for label in rows["label"]]
        names = (text.say("reconcile.said"), text.say("reconcile.shown"))
        columns = [
            (text.say("reconcile.column.share"), spans(rows, "ci_lower", "ci_upper")),
            (text.say("reconcile.column.part"), spans(rows, "part_lower", "part_upper")),
        ]
        return plots.dumbbell(labels, rows["share"], rows["part"], names, columns=columns, ax=ax)


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
    table = _said(stated).join(_shown(revealed), how="outer")
    table["reported"] = table["reported"].eq(True)
    table["verdict"] = [_verdict(row) for row in table.itertuples()]
    more_said = (table["verdict"] == "more_said") & (table["bound_lower"] > table["part_upper"])
    more_shown = (table["verdict"] == "more_shown") & (table["bound_upper"] < table["part_lower"])
    table["firm"] = more_said | more_shown
    says, shows = table["ci_lower"] > NOTEWORTHY, table["reported"] & (table["part_lower"] > 0)
    table["evidence"] = np.select([says & shows, says, shows], ["both", "said", "shown"], "none")
    table = table.reset_index(names="reason_group")
    backed = (table["evidence"] != "none") & ~table["reason_group"].isin(REST)
    groups = zip(table["reason_group"], backed, strict=True)
    table["action"] = [_action(about, group) if is_backed else None for group, is_backed in groups]
    table.insert(1, "label", [_label(group) for group in table["reason_group"]])
    gap = (table["share"] - table["part"]).abs().where(table["verdict"].isin(APART), -1)
    order = np.lexsort((-table["share"].fillna(-1), -gap.fillna(-1), table["reason_group"].isin(REST)))
    windows = tuple(result.window if result is not None else None for result in (stated, revealed))
    has = {"n_respondents": stated.n_respondents if stated is not None else 0, "windows": windows}
    table = table.iloc[order].reset_index(drop=True)
    return ReasonLevels(about=about, table=table, name="reasons_reconciled", **has)


def _said(stated) -> pd.DataFrame:
    if stated is None:
        return pd.DataFrame(columns=SAID, index=pd.Index([], dtype=object), dtype=float)
    return stated.shown.set_index("reason")[SAID].astype(float)


def _shown(revealed) -> pd.DataFrame:
    if revealed is None:
        return pd.DataFrame(columns=[*SHOWN, "reported", "drivers"], index=pd.Index([], dtype=object), dtype=float)
    rows = revealed.shown[revealed.shown["driver"].isna()]
    names = ["attributable", "ci_lower", "ci_upper", "share", "share_ci_lower", "share_ci_upper"]
    frame = rows.set_index("reason_group")[[*names, "reported"]]
    if "state" in rows:  # what could not be estimated says nothing
        frame.loc[(rows["state"] != "estimated").to_numpy() & (frame.index != "unexplained"), names] = np.nan
    frame = frame.set_axis([*SHOWN, "reported"], axis=1)
    return frame.assign(drivers=[drivers_of(revealed.table, group) for group in frame.index])


def _verdict(row) -> str:
    said, shown = np.isfinite(row.share), np.isfinite(row.part) and row.Index != "unexplained"
    if not (said and shown):
        return "said_only" if said else "shown_only" if shown else "neither"
    if row.ci_lower > row.part_upper:
        return "fewer" if row.reported and row.part_upper < 0 else "more_said"
    return "more_shown" if row.reported and row.part_lower > row.ci_upper else "alike"


def _label(group: str) -> Label:
    return text.label("reconcile.unexplained") if group == "unexplained" else reason_label(group)


def _action(about, group: str) -> Label | None:
    """What is recommended for a group of reasons: by the company, or else by the catalogue."""
    key = f"reconcile.action.{group}"
    return dict(about.reason_actions).get(group) or (text.label(key) if text.known(key) else None)
