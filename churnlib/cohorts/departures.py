"""A bad month or a bad cohort: losses beyond what the age of the customers explains, by period and by cohort.

Age, period and cohort cannot be told apart as trends: one is the difference of the others. What can be told are
departures: one period in which cohorts of all ages lost more, one cohort that loses more than others of the same age
in the same periods. A steady drift is put to neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from churnlib import text
from churnlib.about import Period
from churnlib.intervals import benjamini_hochberg
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement

LEAST = 6  # periods (or cohorts) under which no departure can be told from a drift
FALSE_DISCOVERY = 0.1  # share of false ones among the departing periods that are named, and among the cohorts
EXPECTED = 5.0  # expected losses under which a period or cohort is not judged
ACROSS = 0.75  # share of cohorts above (or below) what is expected, from which on a period is said to touch all
TOLD = 3  # departures that the findings name
COLUMNS = "kind name n_at_risk n_lost expected ratio ci_lower ci_upper p_value n_cohorts n_alike is_departure".split()


@dataclass(frozen=True, kw_only=True)
class Departures(Result):
    """Periods and cohorts that depart from what age, and a steady drift, explain.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per period and per cohort judged: `kind` ("period", "cohort"), `name`, `n_at_risk` (customer-periods),
        `n_lost`, `expected` losses, `ratio` of the two with `ci_lower`, `ci_upper`, `p_value` (two-sided, widened by
        how much all of them vary), `is_departure` (false discoveries held to 10 % of each kind), `n_cohorts` and
        `n_alike` (cohorts of a period, and those of them on the same side).
    """

    module: ClassVar[str] = "departures"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("kind", "term", prefix="departures.kind"),
        Column("name", "period"),
        Column("n_at_risk", "whole"),
        Column("n_lost", "whole"),
        Column("expected", "number", 1),
        Column("ratio", "ratio", 2),
        Column("ci_lower", "ratio", 2),
        Column("ci_upper", "ratio", 2),
        Column("p_value", "p"),
        Column("is_departure", "term", prefix="departures.word"),
    )

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_lost", "expected", "ratio", "ci_lower", "ci_upper", "p_value")
        out = disclosure.protect(self.table, self.about, count="n_lost", base="n_at_risk", hides=hides)
        of_period, of_cohort = (disclosure.held_back(self.about, out["name"], cell) for cell in ("churned", "new"))
        held = np.where(out["kind"] == "period", of_period, of_cohort)
        return out.assign(**{c: out[c].astype(float).mask(held) for c in ("n_at_risk", *hides)})

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.table.empty:
            return (Finding("departures.too_short", {"least": LEAST}),)
        shown = self.shown
        told = shown[shown["is_departure"] & shown["ratio"].notna()]
        if told.empty:
            n = self.table.groupby("kind").size().reindex(["period", "cohort"], fill_value=0)
            word = "none" if n["cohort"] else "none_of_periods"
            return (Finding(f"departures.{word}", {"periods": int(n["period"]), "cohorts": int(n["cohort"])}),)
        order = (told["n_lost"] - told["expected"]).abs().sort_values(ascending=False, kind="stable").index
        return tuple(self._finding(told.loc[i]) for i in order[:TOLD])

    def _finding(self, row: pd.Series) -> Finding:
        word = "more" if row.ratio > 1 else "fewer"
        values = {"name": Period.parse(row["name"]), "ratio": row.ratio, "lower": row.ci_lower, "upper": row.ci_upper}
        values |= {"n": int(row.n_lost), "expected": row.expected, "alike": int(row.n_alike), "all": int(row.n_cohorts)}
        kind = row.kind if row.kind == "cohort" else "across" if row.n_alike >= ACROSS * row.n_cohorts else "period"
        tone = {"more": "worse", "fewer": "better"}[word]
        weight = abs(row.n_lost - row.expected)
        return Finding(f"departures.{kind}.{word}", values, grade="moderate", tone=tone, weight=weight)

    @property
    def subtitle(self) -> Statement:
        return Statement("departures.subtitle")

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("departures.note", {"definition": self.about.definition_note}),)

    def plot(self, ax=None):
        shown = self.shown
        told = shown[shown["is_departure"] & shown["ratio"].notna()].head(12)
        if told.empty:
            return None
        kinds = [text.say(f"departures.kind.{kind}") for kind in told["kind"]]
        return plots.forest(
            [f"{kind} {name}" for kind, name in zip(kinds, told["name"], strict=True)],
            told["ratio"].tolist(),
            told["ci_lower"].tolist(),
            told["ci_upper"].tolist(),
            reference=1.0,
            sides=(text.say("departures.fewer"), text.say("departures.more")),
            tones=["worse" if ratio > 1 else "better" for ratio in told["ratio"]],
            kind="ratio",
            digits=2,
            log=True,
            ax=ax,
        )


def cohort_departures(counts) -> Departures:
    """Look for periods and cohorts that lost more or fewer customers than their ages explain.

    Parameters
    ----------
    counts : Counts
        From `cohort_period_counts(data)`: one row per cohort and period.

    Returns
    -------
    Departures
        One row per period and per cohort with enough expected losses.

    References
    ----------
    Holford, T. R. (1983). The estimation of age, period and cohort effects for vital rates. Biometrics 39, 311-324:
    only departures from linearity are identified. Benjamini and Hochberg (1995). JRSS B 57, 289-300.
    """
    cells = counts.frame[counts.frame["n_at_risk"] > 0].copy()
    sums = cells.groupby("age")[["n_at_risk", "n_lost"]].transform("sum")
    cells["expected"] = cells["n_at_risk"] * sums["n_lost"] / sums["n_at_risk"]
    periods = _departing(cells, "period", counts.about.conf_level)
    # cohorts are judged within periods: what befell everybody in one month is nobody's own
    in_period = cells.groupby("period")[["n_lost", "expected"]].transform("sum")
    cells["expected"] *= np.where(in_period["expected"] > 0, in_period["n_lost"] / in_period["expected"], 0.0)
    cohorts = _departing(cells, "cohort", counts.about.conf_level)
    table = pd.concat([part for part in (periods, cohorts) if len(part)] or [periods], ignore_index=True)
    return Departures(about=counts.about, table=table, name="cohort_departures")


def _departing(cells: pd.DataFrame, kind: str, conf_level: float) -> pd.DataFrame:
    """Compare the losses of each period (or cohort) with what is expected and a steady drift; empty if they are few."""
    side = cells.assign(above=cells["n_lost"] > cells["expected"], judged=cells["expected"] > 0)
    sums = side.groupby(kind)[["n_at_risk", "n_lost", "expected", "above", "judged"]].sum().sort_index()
    sums = sums[sums["expected"] >= EXPECTED]
    if len(sums) < LEAST:
        return pd.DataFrame(columns=COLUMNS)
    lost = sums["n_lost"].to_numpy(float)
    expected = sums["expected"].to_numpy() * np.exp(_drift(np.log((lost + 0.5) / (sums["expected"] + 0.5))))
    # variance-stabilised: the square root of a count varies by one half
    z = 2 * (np.sqrt(lost + 0.375) - np.sqrt(expected + 0.375))
    sigma = max(1.0, 1.4826 * float(np.median(np.abs(z - np.median(z)))))
    half = ndtri((1 + conf_level) / 2) * sigma / 2
    root = np.sqrt(lost + 0.375)
    lower, upper = ((np.maximum(root + s * half, 0) ** 2 - 0.375).clip(0) / expected for s in (-1, 1))
    ratio = lost / expected
    alike = np.where(ratio > 1, sums["above"], sums["judged"] - sums["above"])
    out = pd.DataFrame({"kind": kind, "name": sums.index, "n_at_risk": sums["n_at_risk"], "n_lost": sums["n_lost"]})
    out = out.assign(
        expected=expected, ratio=ratio, ci_lower=lower, ci_upper=upper, p_value=2 * ndtr(-np.abs(z) / sigma)
    )
    out["is_departure"] = benjamini_hochberg(out["p_value"].to_numpy(float), FALSE_DISCOVERY)
    return out.assign(n_cohorts=sums["judged"], n_alike=alike).reset_index(drop=True)


def _drift(values: np.ndarray) -> np.ndarray:
    """Fit a straight line that single departures do not bend (Theil-Sen: the median of all slopes)."""
    values, x = np.asarray(values, float), np.arange(len(values), dtype=float)
    i, j = np.triu_indices(len(values), 1)
    slope = np.median((values[j] - values[i]) / (x[j] - x[i]))
    return np.median(values - slope * x) + slope * x
