"""What the data show: churned customers attributable to each driver and reason group, with intervals, adding up.

Attributable is what would not have been lost, by the model, with the drivers at their reference levels. Of a customer
whom several drivers meet, each takes its part: the mean over all paths from "none of them" to "all of them", so that
drivers add up to their groups, and groups and the unexplained rest to all losses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import Period
from churnlib.reasons.attribution import (
    calibrated,
    discoveries,
    exposed_losses,
    intervals,
    losses_alone,
    losses_with,
    panel_of,
)
from churnlib.reasons.drivermodel import Fit, Panel, fit_drivers
from churnlib.reasons.reasons import reason_label
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement, table_columns
from churnlib.text import Label

UNEXPLAINED = "unexplained"
WINDOW = 12
NAMED = 3


@dataclass(frozen=True, kw_only=True)
class AttributableReasons(Result):
    """Churned customers attributable to drivers and to groups of reasons.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per driver, one per `reason_group` (`driver` is null) and one for the rest (`reason_group`
        "unexplained"). `n_exposed` (customer-months at risk under it, in the window), `n_churned` (lost in them; of the
        rest's row: all of both), `attributable` with `ci_lower`, `ci_upper` (customers), `share` of all losses with
        `share_ci_lower`, `share_ci_upper`, `risk` with `risk_lower`, `risk_upper` (standardised risk difference of the
        exposed: `attributable` by `n_exposed`), `p_value`, `reported` (beyond chance, all groups and drivers), `alone`
        (attributable if it alone were at its reference), `crude` (Levin's formula, a check), `modifiable`, `state`
        ("estimated", "few" events, "entangled" with the calendar or other drivers, "absent").
    calibration : pandas.DataFrame
        One row per tenth of the expected losses by rising risk: `n_at_risk`, `n_churned`, `expected`.
    calibration_p : float
        That observed and expected differ so much by chance.
    adds : bool
        The drivers' effects add up rather than multiply: the better of the two in likelihood.
    n_churned : int
        Losses of the window.
    window : tuple of Period
    controls : tuple of Label
        What drivers were compared within; `left_out`: segments for which there was no room.
    """

    calibration: pd.DataFrame
    calibration_p: float
    adds: bool
    n_churned: int
    window: tuple[Period, Period]
    controls: tuple[Label, ...]
    left_out: tuple[Label, ...]
    silent: bool
    module: ClassVar[str] = "attributable"
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "label:label n_exposed n_churned attributable:number.0 ci_lower:number.0 ci_upper:number.0",
        "share:pct.1 share_ci_lower:pct.1 share_ci_upper:pct.1 risk:points.2",
        Column("risk_lower", "points", 2, read=False),
        Column("risk_upper", "points", 2, read=False),
        Column("verdict", "term", prefix="attributable.verdict"),
    )

    @property
    def shown(self) -> pd.DataFrame:
        kept = ("reason_group", "driver", "label", "n_exposed", "reported", "modifiable", "state")
        hides = tuple(column for column in self.table if column not in kept)
        table = disclosure.protect(self.table, self.about, count="n_churned", base="n_exposed", hides=hides)
        estimated = np.where(table["reported"], "reported", "chance")
        names = zip(table["label"], table["driver"].notna(), strict=True)
        table["label"] = [Label(*(f"· {word}" for word in label)) if own else label for label, own in names]
        verdict = np.where(table["state"] == "estimated", estimated, table["state"])
        return table.assign(verdict=np.where(table["reason_group"] == UNEXPLAINED, None, verdict))

    @property
    def _groups(self) -> pd.DataFrame:
        shown = self.shown
        return shown[shown["driver"].isna() & (shown["reason_group"] != UNEXPLAINED) & shown["attributable"].notna()]

    @property
    def findings(self) -> tuple[Finding, ...]:
        known = self._groups[self._groups["state"] == "estimated"]
        if self.n_churned < self.about.min_denominator or known.empty:
            key = "attributable.few" if self.n_churned < self.about.min_denominator else "attributable.no_driver"
            return (Finding(key, {"n": self.n_churned}),)
        clear = known[known["reported"]]
        if clear.empty:
            return (Finding("attributable.nothing", {"churned": self.n_churned, "drivers": len(known)}),)
        more = clear["attributable"] > 0  # what goes with leaving first, then what goes with staying
        told = pd.concat([clear[more], clear[~more][::-1]])
        return (*(self._finding(row) for row in told.head(NAMED).itertuples()), self._rest(more.all()))

    def _finding(self, row) -> Finding:
        more = row.attributable > 0
        lower, upper = sorted((abs(row.ci_lower), abs(row.ci_upper)))
        values = {"reason": row.label, "drivers": drivers_of(self.table, row.reason_group), "n": abs(row.attributable)}
        values |= {"lower": lower, "upper": upper, "share": abs(row.share), "churned": self.n_churned}
        word, tone = ("more", "worse") if more else ("less", "better")
        if more and not row.modifiable:  # no decision can be asked for
            word, tone = "given", "steady"
        return Finding(f"attributable.{word}", values, grade="moderate", tone=tone, weight=abs(float(row.attributable)))

    def _rest(self, only_more: bool) -> Finding:
        rest = self.table[self.table["reason_group"] == UNEXPLAINED].iloc[0]
        share = float(np.clip(rest.share, 0, 1))
        key = "attributable.unexplained" if only_more else "attributable.net"
        return Finding(key, {"n": rest.attributable, "share": share})

    @property
    def subtitle(self) -> Statement | None:
        first, last = self.window
        return Statement("attributable.subtitle", {"first": first, "last": last, "n": self.n_churned})

    @property
    def notes(self) -> tuple[Statement, ...]:
        form = "adds" if self.adds else "multiplies"
        out = [Statement("attributable.note.scale"), Statement(f"attributable.note.{form}")]
        out.append(Statement("attributable.note.controls", {"controls": self.controls}))
        out += [Statement("attributable.note.left_out", {"segments": self.left_out})] if self.left_out else []
        out += [Statement("attributable.note.silent")] if self.silent else []
        if np.isfinite(self.calibration_p):
            key = "calibrated" if self.calibration_p >= 1 - self.about.conf_level else "uncalibrated"
            worst = (self.calibration["n_churned"] / self.calibration["expected"] - 1).abs().max()
            out.append(Statement(f"attributable.note.{key}", {"p": self.calibration_p, "worst": worst}))
        return tuple(out)

    def plot(self, ax=None):
        shown = self.shown.assign(label=self.table["label"])
        rows = shown[shown["driver"].notna() & (shown["state"] == "estimated") & shown["attributable"].notna()]
        if rows.empty:
            return None
        tones = ["steady" if not r.reported else "worse" if r.attributable > 0 else "better" for r in rows.itertuples()]
        sides = (text.say("attributable.fewer"), text.say("attributable.greater"))
        shares = [text.show(share, "pct", digits=1) for share in rows["share"]]
        how = {"sides": sides, "tones": tones, "columns": [(text.say("attributable.column.share"), shares)]}
        estimates = (rows[name] for name in ("attributable", "ci_lower", "ci_upper"))
        return plots.forest([str(label) for label in rows["label"]], *estimates, **how, kind="number", digits=0, ax=ax)


def drivers_of(table: pd.DataFrame, group: str) -> Label:
    """Name the drivers of a group of reasons: those beyond chance, or all where none is."""
    own = table[(table["reason_group"] == group) & table["driver"].notna()]
    names = own.loc[own["reported"].eq(True) | ~own["reported"].eq(True).any(), "label"]
    return Label(*(text.show([name.to(k) for name in names], "list", k) for k in text.LANGUAGES))


def attributable_reasons(counts, *, window: int = WINDOW) -> AttributableReasons:
    """Work out the churned customers of the last months that go with each driver.

    A hazard model is fitted to all months; the losses of the last ones are set against those expected with the drivers
    at their reference levels, for the same customers in the same months. These are associations, not effects: whatever
    goes along with a driver and is not among the controls is counted with it.

    Parameters
    ----------
    counts : PanelCounts
        From `panel_counts(data)`.
    window : int
        Complete months, ending with the report's.

    Returns
    -------
    AttributableReasons
        Intervals are from the jackknife over blocks of customers; a group is `reported` when its interval excludes zero
        after control of false discoveries over the groups, a driver when its group is and so does its own.

    References
    ----------
    Aumann, R. J. and Shapley, L. S. (1974). Values of non-atomic games. Princeton.
    Eide, G. E. and Gefeller, O. (1995). Sequential and average attributable fractions. J. Clin. Epidemiol. 48, 645-655.
    Benichou, J. (2001). A review of adjusted estimators of attributable risk. Stat. Meth. Med. Research 10, 195-216.
    Benjamini, Y. and Hochberg, Y. (1995). Controlling the false discovery rate. JRSS B 57, 289-300.
    """
    about, n_controls = counts.about, sum(not f.group for f in counts.factors)
    panel, drivers = panel_of(counts), counts.factors[n_controls:]
    months = counts.months[-window:]
    inside = panel.codes[0] >= len(counts.months) - len(months)
    n_churned = int(panel.y[inside].sum())
    fit = fit_drivers(panel)
    groups = list(dict.fromkeys(f.group for f in drivers))
    member = np.array([[f.group == g for f in drivers] for g in groups], bool).reshape(len(groups), len(drivers))
    parts = np.vstack([np.eye(len(drivers), dtype=bool), member, np.ones((1, len(drivers)), bool)])
    whole, without = losses_with(panel, fit, inside, parts)
    table = intervals(whole, without, about.conf_level)
    table["n_exposed"], table["n_churned"], table["crude"] = exposed_losses(panel, inside, parts)
    table["alone"] = [*losses_alone(panel, fit, inside), *[np.nan] * (len(groups) + 1)]
    table["state"] = _states(panel, fit, inside, parts)
    table.loc[table.index[-1], "n_exposed"] = int(panel.n[inside].sum())
    table = _named(table, drivers, groups, n_churned, about)
    calibration, p = calibrated(panel, fit, inside)
    return AttributableReasons(
        about=about,
        table=table,
        name="attributable_reasons",
        calibration=calibration,
        calibration_p=p,
        adds=fit.adds,
        n_churned=n_churned,
        window=tuple(Period.parse(months[i]) for i in (0, -1)) if months else (about.period, about.period),
        controls=tuple(f.label for f in counts.factors[:n_controls]),
        left_out=tuple(counts.left_out),
        silent=counts.silent,
    )


def _states(panel: Panel, fit: Fit, inside: np.ndarray, parts: np.ndarray) -> list[str]:
    """Say of every set of drivers whether it could be estimated."""
    states = []
    for f in range(panel.n_controls, len(panel.codes)):
        met = inside & (panel.codes[f] > 0)
        why = "entangled" if fit.aliased[f].any() else "few"
        estimated = fit.converged and (met & fit.used & (fit.columns[f][panel.codes[f]] >= 0)).any()
        states.append("absent" if not panel.n[met].any() else "estimated" if estimated else why)
    known = np.array(states) == "estimated"
    sets = parts[len(states) :]
    return states + [
        "estimated" if known[s].any() else states[int(np.flatnonzero(s)[0])] if s.any() else "absent" for s in sets
    ]


def _named(table: pd.DataFrame, drivers, groups: list[str], n_churned: int, about) -> pd.DataFrame:
    """Name the rows, turn the last one (all drivers) into the unexplained rest, and judge what is beyond chance."""
    k, total, own = len(drivers), table.index[-1], dict(about.reason_groups)
    rows = [(f.group, f.name, f.label, f.modifiable) for f in drivers]
    for group in groups:
        label = reason_label(group, about, "own" if group in own else "group")
        rows.append((group, None, label, any(f.modifiable for f in drivers if f.group == group)))
    rows.append((UNEXPLAINED, None, text.label("attributable.rest"), False))
    table = table.join(pd.DataFrame(rows, columns=["reason_group", "driver", "label", "modifiable"]))
    table.loc[table["state"] != "estimated", ["attributable", "ci_lower", "ci_upper", "p_value", "alone"]] = np.nan
    low, value, high = (np.nan_to_num(table.loc[total, c]) for c in ("ci_lower", "attributable", "ci_upper"))
    table.loc[total, ["attributable", "ci_lower", "ci_upper"]] = n_churned - value, n_churned - high, n_churned - low
    table.loc[total, ["n_churned", "p_value", "crude", "state"]] = n_churned, np.nan, np.nan, "estimated"
    exposed = table["n_exposed"].where((table["n_exposed"] > 0) & (table.index != total))
    for end, source in (("", "attributable"), ("_lower", "ci_lower"), ("_upper", "ci_upper")):
        table[f"share_ci{end}" if end else "share"] = table[source] / n_churned if n_churned else np.nan
        table[f"risk{end}"] = table[source] / exposed
    level = 1 - about.conf_level
    found = np.zeros(len(table), bool)
    found[k : k + len(groups)] = discoveries(table["p_value"].iloc[k : k + len(groups)], level)
    for i, group in enumerate(groups):
        rows = [j for j in range(k) if drivers[j].group == group]
        found[rows] = found[k + i] & discoveries(table["p_value"].iloc[rows], level)
    return _ordered(table.assign(reported=found))


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Groups by their attributable number, each with its drivers beneath it, the rest last."""
    rows = table.assign(size=table["attributable"].fillna(-np.inf), rest=table["reason_group"] == UNEXPLAINED)
    rows["rank"] = rows["reason_group"].map(rows[rows["driver"].isna()].set_index("reason_group")["size"])
    rows["own"] = rows["driver"].isna()
    keys = {"rest": True, "rank": False, "reason_group": True, "own": False, "size": False}
    columns = [
        *("reason_group", "driver", "label", "n_exposed", "n_churned", "attributable", "ci_lower", "ci_upper"),
        *("share", "share_ci_lower", "share_ci_upper", "risk", "risk_lower", "risk_upper", "p_value", "reported"),
        *("alone", "crude", "modifiable", "state"),
    ]
    return rows.sort_values(list(keys), ascending=list(keys.values()), kind="stable")[columns].reset_index(drop=True)
