"""How long a silence is churn: what the customers' own gaps say about an inactivity limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.intervals import wilson
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement, table_columns

BEYOND = 0.10  # of the gaps between activities, how many may be longer than a limit: the others are the usual rhythm
TOLERATED = 0.10  # of the silences called churn, how many may end with a return: the recommendation's yardstick
DAYS = {"day": 1.0, "month": 365.25 / 12}
PERCENTILES = (0.5, 0.9, 0.95)


@dataclass(frozen=True, kw_only=True)
class LimitEvidence(Result):
    """What each inactivity limit would have called churn, and how often wrongly.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per limit, shortest first: `limit`, `exceeded` (share of completed gaps that are longer than it, in
        [0, 1]: usual rhythm, not silence), `n_judged` (silences longer than it that could be watched for
        another limit-length), `n_confirmed_wrong` (of those ended by a return within it), `wrong` (their share, in
        [0, 1], with `ci_lower`, `ci_upper`), `n_alive` (customers active in the last limit-length, who cannot have
        churned), `n_alive_flagged` and `flagged`, the share of them that the limit once called churned.
    percentiles : tuple of int
        Days that 50, 90 and 95 % of all completed gaps do not exceed.
    usual_gap : float
        Median over customers of their own median gap, in days; NaN if nobody has enough gaps.
    recommended : str
        The shortest limit of those tried that nine in ten gaps between activities do not reach, and under which at
        most one silence in ten ended with a return; "" if none.
    declared : str
        The limit in force, by the data set's definition; "" if there is none.
    """

    percentiles: tuple[int, int, int]
    usual_gap: float
    recommended: str
    declared: str
    module: ClassVar[str] = "limits"
    folded: ClassVar[bool] = False
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "limit:length exceeded:pct.0 n_judged n_confirmed_wrong wrong:pct.1 ci_lower:pct.1 ci_upper:pct.1 n_alive",
        "flagged:pct.1",
    )

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_confirmed_wrong", "wrong", "ci_lower", "ci_upper")
        return disclosure.protect(self.table, self.about, count="n_confirmed_wrong", base="n_judged", hides=hides)

    def _cell_text(self, column: Column, value, language: str) -> str:
        return say_length(value, language) if column.kind == "length" else super()._cell_text(column, value, language)

    @property
    def findings(self) -> tuple[Finding, ...]:
        half, ninety, most = self.percentiles
        gaps = Finding("limits.gaps", {"half": half, "ninety": ninety, "most": most, "usual": self.usual_gap})
        told = self.table[self.table["n_judged"] >= self.about.min_denominator]
        if told.empty:
            return (Finding("limits.too_short", {"n": int(self.table["n_judged"].max())}), gaps)
        named = {row.limit: _judged(row) for row in told.itertuples()}
        found = [Finding("limits.none", named[told["limit"].iloc[-1]])]
        if self.recommended:
            found = [Finding("limits.recommended", named[self.recommended], grade="moderate")]
        if self.declared in named and self.declared != self.recommended:
            tone = "worse" if named[self.declared]["wrong"] > TOLERATED else "steady"
            found.append(Finding("limits.declared", named[self.declared], tone=tone))
        return (*found, gaps)

    @property
    def subtitle(self) -> Statement:
        return Statement("limits.subtitle", {"n": int(self.table["n_judged"].max())})

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("limits.note", {"tolerated": TOLERATED}),)

    def plot(self, ax=None):
        told = self.shown[self.shown["wrong"].notna()]
        columns = [
            (text.say("limits.column.exceeded"), [text.show(share, "pct", digits=0) for share in told["exceeded"]]),
            (text.say("limits.column.n_judged"), [text.show(n, "number", digits=0) for n in told["n_judged"]]),
        ]
        tones = ["steady" if share <= BEYOND else "previous" for share in told["exceeded"]]
        how = {"reference": TOLERATED, "reference_label": text.say("limits.tolerated"), "columns": columns}
        how |= {"lower": told["ci_lower"], "upper": told["ci_upper"], "tones": tones, "digits": 1}
        return plots.bars([say_length(limit) for limit in told["limit"]], told["wrong"], **how, ax=ax)


def _judged(row) -> dict:
    """What the findings say about one limit."""
    limit = text.Label(*(say_length(row.limit, language) for language in text.LANGUAGES))
    values = {"wrong": row.wrong, "lower": row.ci_lower, "upper": row.ci_upper, "n": int(row.n_judged)}
    return {"limit": limit, **values}


def say_length(limit: str, language: str | None = None) -> str:
    """Say a limit such as "6 months" or "90 days" in words."""
    n, _, units = limit.partition(" ")
    unit = units.removesuffix("s")
    return text.say(f"limits.length.{unit}", language, n=n)


def _days(limit: str, usual_gap: float) -> float:
    n, _, units = limit.partition(" ")
    return float(n) * DAYS.get(units.removesuffix("s"), usual_gap)


def limit_evidence(evidence, about) -> LimitEvidence:
    """Judge the limits that were tried and recommend one, with its reason.

    Parameters
    ----------
    evidence : GapEvidence
        From `gap_evidence(data, limits)`.
    about : About

    Returns
    -------
    LimitEvidence
        One row per limit.
    """
    tried = evidence.limits.reset_index(drop=True)
    judged, gaps = tried["n_judged"], evidence.gaps
    lower, upper = wilson(tried["n_confirmed_wrong"], judged, about.conf_level)
    medians = evidence.medians
    usual = float(np.median(np.repeat(medians["days"], medians["n_customers"]))) if len(medians) else float("nan")
    longer = [gaps.loc[gaps["days"] > _days(limit, usual), "n_gaps"].sum() for limit in tried["limit"]]
    table = tried.assign(
        wrong=tried["n_confirmed_wrong"] / judged.where(judged > 0),
        ci_lower=lower,
        ci_upper=upper,
        flagged=tried["n_alive_flagged"] / tried["n_alive"].where(tried["n_alive"] > 0),
        exceeded=np.array(longer, float) / max(gaps["n_gaps"].sum(), 1),
    )
    # returns are only counted within one more limit: a limit inside the usual rhythm would look right by that alone
    is_long = table["exceeded"] <= BEYOND
    good = table[is_long & (table["wrong"] <= TOLERATED) & (judged >= about.min_denominator)]
    has = {"usual_gap": usual, "declared": evidence.declared, "recommended": good["limit"].iloc[0] if len(good) else ""}
    has["percentiles"] = tuple(evidence.percentile(share) for share in PERCENTILES) if len(gaps) else (0, 0, 0)
    return LimitEvidence(about=about, table=table, name="limit_evidence", **has)
