"""Reasons that are named together, and whether more often than two unrelated reasons would be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtri

from churnlib.about import Period
from churnlib.intervals import wilson
from churnlib.reasons.reasons import reason_label
from churnlib.reasons.reasonshares import window_of, within
from churnlib.show import disclosure
from churnlib.show.results import Column, Finding, Result, Statement, table_columns


@dataclass(frozen=True, kw_only=True)
class ReasonsTogether(Result):
    """Pairs of reasons of one respondent.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per pair that somebody named, the most frequent first: `reason_a`, `reason_b`, `n_both` of
        `n_respondents`, `share` with `ci_lower`, `ci_upper`, `n_a`, `n_b`, `expected` (customers, were the two
        unrelated), `ratio` (odds ratio) with `ratio_lower`, `ratio_upper` (Bonferroni over the pairs), `differs`.
    window : tuple of Period
    """

    n_respondents: int
    window: tuple[Period, Period]
    module: ClassVar[str] = "together"
    tucked: ClassVar[bool] = True
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "label_a:label label_b:label n_both share:pct.1 ci_lower:pct.1 ci_upper:pct.1 expected:number.1",
        "ratio:ratio ratio_lower:ratio ratio_upper:ratio",
    )

    @property
    def shown(self) -> pd.DataFrame:
        kept = ("label_a", "label_b", "reason_a", "reason_b", "n_respondents", "differs")
        hides = tuple(column for column in self.table if column not in kept)
        return disclosure.protect(self.table, self.about, count="n_both", base="n_respondents", hides=hides)

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.shown[self.shown["share"].notna()]
        if told.empty:
            return (Finding("together.none", {"n": self.n_respondents}),)
        beyond = told[told["differs"].astype(bool) & (told["ratio"] > 1)]
        row = beyond.iloc[0] if len(beyond) else told.iloc[0]
        values = {"a": row.label_a, "b": row.label_b, "n": int(row.n_both), "all": row.n_respondents}
        values |= {"share": row.share, "lower": row.ci_lower, "upper": row.ci_upper, "expected": row.expected}
        return (Finding("together.more" if len(beyond) else "together.chance", values, grade="weak"),)

    @property
    def subtitle(self) -> Statement:
        return Statement("together.subtitle", {"first": self.window[0], "last": self.window[1]})

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("together.note"),)


def reasons_together(pairs, mentions, response, *, level: str = "group", window: int = 12) -> ReasonsTogether:
    """Work out which reasons are named together.

    Parameters
    ----------
    pairs, mentions, response : Counts
        From `reason_pair_counts(data)`, `reason_counts(data)`, `response_counts(data)`.
    level : {"group", "reason", "own", "type"}
    window : int
        Periods taken together, ending with the report's.

    Returns
    -------
    ReasonsTogether
        One row per pair that was named. The odds ratio is Woolf's with Haldane's half customers.

    References
    ----------
    Woolf, B. (1955). On estimating the relation between blood group and disease. Annals of Human Genetics 19, 251-253.
    """
    about = pairs.about
    first, last = window_of(about, window)
    rows = pairs.frame[(pairs.frame["level_of_list"] == level) & within(pairs.frame, first, last)]
    both = rows.groupby(["reason_a", "reason_b"], as_index=False)["n_both"].sum()
    named = mentions.frame[(mentions.frame["level_of_list"] == level) & within(mentions.frame, first, last)]
    singles = named.groupby("reason")["n_named"].sum()
    n = int(response.frame.loc[within(response.frame, first, last), "n_respondents"].sum())
    x = both["n_both"].to_numpy(float)
    a, b = (singles.reindex(both[side]).to_numpy(float) for side in ("reason_a", "reason_b"))
    cells = np.array([x, a - x, b - x, n - a - b + x]) + 0.5
    centre, error = np.log(cells[0] * cells[3] / (cells[1] * cells[2])), np.sqrt((1 / cells).sum(axis=0))
    z = ndtri(1 - (1 - about.conf_level) / 2 / max(len(both), 1))
    lower, upper = wilson(x, np.full(len(x), n), about.conf_level)
    ends = {"ratio_lower": np.exp(centre - z * error), "ratio_upper": np.exp(centre + z * error)}
    table = both.assign(n_respondents=n, n_a=a, n_b=b, share=x / max(n, 1), ci_lower=lower, ci_upper=upper)
    table = table.assign(expected=a * b / max(n, 1), ratio=np.exp(centre), **ends, differs=np.abs(centre) > z * error)
    for side in "ba":
        table.insert(0, f"label_{side}", [reason_label(code, about, level) for code in table[f"reason_{side}"]])
    order = {"by": ["n_both", "reason_a", "reason_b"], "ascending": [False, True, True]}
    table = table.sort_values(**order, kind="stable", ignore_index=True)
    has = {"name": f"{level}s_together", "n_respondents": n, "window": (first, last)}
    return ReasonsTogether(about=about, table=table, **has)
