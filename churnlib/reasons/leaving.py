"""Before leaving: the profile of the half year before, against customers who stayed, in the same month and tenure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.stats import t as student

from churnlib import text
from churnlib.intervals import block_variance
from churnlib.show import plots
from churnlib.show.results import Column, Finding, Result, Statement, table_columns

MEASURES = ("n_active", "amount", "n_complaints", "n_returns")
NOTEWORTHY = 0.05  # of the ratio: smaller gaps may be clear and mean nothing
FEWEST = 30  # customers who left, and rows of a measure, below which nothing is said
WIDEST = 3  # times the largest ratio: intervals that reach beyond would squeeze the scale, and are not drawn


@dataclass(frozen=True, kw_only=True)
class LeavingProfile(Result):
    """What those who left did before, beside those who stayed.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per `measure` ("n_active": days of activity, "amount", "n_complaints", "n_returns") and `back` (months
        of 30 days before, 6 to 1): per customer `left` and `stayed` (amounts in minor units), `ratio` with `ci_lower`,
        `ci_upper` and `clear` (beyond chance, all rows considered).
    n_left : int
        Customers who left and were compared.
    """

    n_left: int
    module: ClassVar[str] = "leaving"
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        Column("measure", "term", prefix="leaving.measure"),
        "back:whole left:number.3 stayed:number.3 ratio:pct.0 ci_lower:pct.0 ci_upper:pct.0",
    )

    @property
    def shown(self) -> pd.DataFrame:
        """Amounts in whole units of money: this is a table of several measures."""
        scale = np.where(self.table["measure"] == "amount", 100.0, 1.0)
        return self.table.assign(left=self.table["left"] / scale, stayed=self.table["stayed"] / scale)

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.n_left < max(FEWEST, self.about.min_denominator) or self.table.empty:
            return (Finding("leaving.few", {"n": self.n_left}),)
        told = [f for _, rows in self.table.groupby("measure", sort=False) for f in self._of(rows)]
        return tuple(told) or (Finding("leaving.alike", {"n": self.n_left}),)

    def _of(self, rows: pd.DataFrame) -> tuple[Finding, ...]:
        """Say since when a measure has clearly been another, without a break up to the end."""
        rows, since = rows.sort_values("back"), 0
        side = np.sign(rows["ratio"] - 1).to_numpy() * rows["clear"].to_numpy()
        while since < len(side) and side[since] == side[0] != 0:
            since += 1
        last = rows.iloc[0]
        if not since or abs(last["ratio"] - 1) < NOTEWORTHY:
            return ()
        lower, upper = sorted((abs(last["ci_lower"] - 1), abs(last["ci_upper"] - 1)))
        measure, back = text.label(f"leaving.measure.{last['measure']}"), int(rows["back"].iloc[since - 1])
        values = {"measure": measure, "back": back, "change": abs(last["ratio"] - 1)}
        values |= {"lower": lower, "upper": upper, "n": self.n_left}
        key = "leaving.more" if last["ratio"] > 1 else "leaving.less"
        return (Finding(key, values, grade="moderate", weight=float(self.n_left * min(values["change"], 1))),)

    @property
    def subtitle(self) -> Statement | None:
        return Statement("leaving.subtitle", {"n": self.n_left}) if len(self.table) else None

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("leaving.note.matched"), Statement("leaving.note.symptom")) if len(self.table) else ()

    def plot(self, ax=None):
        if self.n_left < max(FEWEST, self.about.min_denominator) or self.table.empty:
            return None
        panels, told = [], self.table["ci_upper"] <= WIDEST * max(self.table["ratio"].max(), 1)
        drawn = self.table.assign(**{end: self.table[end].where(told) for end in ("ci_lower", "ci_upper")})
        for measure, rows in drawn.groupby("measure", sort=False):
            rows = rows.sort_values("back", ascending=False)
            marks = np.flatnonzero(rows["clear"]).tolist()
            said = text.show(rows["ratio"].iloc[-1], "pct", digits=0)
            bounds = {"lower": rows["ci_lower"].tolist(), "upper": rows["ci_upper"].tolist()}
            title = text.say(f"leaving.measure.{measure}")
            panels.append(plots.Panel(title, rows["ratio"].tolist(), said=said, signals=marks, **bounds))
        backs = sorted(self.table["back"].unique(), reverse=True)
        places = [text.say("leaving.back", n=int(k)) for k in backs]
        return plots.small_multiples(
            panels, places, reference=[1.0] * len(backs), reference_label=text.say("leaving.stayed"), columns=2, ax=ax
        )


def leaving_profile(counts) -> LeavingProfile:
    """Compare the half year before leaving with the same half year of customers who stayed.

    Those who stayed are weighted to the months and bands of tenure of those who left (exact matching), so season, price
    changes and the course of tenure cancel out. It shows how leaving looks, not why: a fall may be the leaving itself.

    Parameters
    ----------
    counts : Counts
        From `profile_counts(data)`.

    Returns
    -------
    LeavingProfile
        Intervals of the ratio by the jackknife over blocks of customers; `clear` after Bonferroni over all rows.

    References
    ----------
    Rosenbaum, P. R. and Rubin, D. B. (1983). The central role of the propensity score. Biometrika 70, 41-55, section 3
    (subclassification on the balancing score; here the strata themselves).
    """
    frame = counts.frame
    stratum = frame.groupby(["number", "band"]).ngroup().to_numpy()
    backs, blocks = np.unique(frame["back"]), int(frame["block"].max()) + 1 if len(frame) else 0
    shape = (int(stratum.max()) + 1 if len(frame) else 0, 2, len(backs), blocks)
    at = (stratum, frame["churned"].to_numpy(int), np.searchsorted(backs, frame["back"]), frame["block"].to_numpy())
    sums = np.zeros((1 + len(MEASURES), *shape))
    for i, column in enumerate(("n", *MEASURES)):
        np.add.at(sums[i], at, frame[column].to_numpy(float))
    whole = sums.sum(axis=-1)
    used = [m for i, m in enumerate(MEASURES, 1) if (whole[i].sum(axis=(0, 2)) > 0).all()] if len(frame) else []
    n_left = int(whole[0][:, 1, 0].sum()) if len(backs) else 0
    left, stayed = matched_means(whole)
    with np.errstate(divide="ignore", invalid="ignore"):
        without = [np.log(np.divide(*matched_means(whole - sums[..., b]))) for b in range(blocks)]
    rows, n_rows = [], len(used) * len(backs)
    for i, j in product([MEASURES.index(m) for m in used], reversed(range(len(backs)))):
        row = {"measure": MEASURES[i], "back": int(backs[j]), "left": left[i, j], "stayed": stayed[i, j]}
        logs = np.array([each[i, j] for each in without])
        rows.append(row | _interval(logs, left[i, j] / stayed[i, j], counts.about, n_rows))
    columns = ["measure", "back", "left", "stayed", "ratio", "ci_lower", "ci_upper", "clear"]
    table = pd.DataFrame(rows, columns=columns)
    return LeavingProfile(about=counts.about, table=table, name="before_leaving", n_left=n_left)


def matched_means(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give what one customer does, and one of the others, weighted to the customers' strata (exact matching).

    `sums`, of shape (1 + measures, strata, 2, ...), hold how many there are and what they did: the others first, then
    the customers. Both means have the shape (measures, ...).
    """
    n, values = sums[0], sums[1:]
    both = (n[:, 0] > 0) & (n[:, 1] > 0)
    weight = np.where(both, n[:, 1], 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(both, values[:, :, 1], 0).sum(axis=1) / weight.sum(axis=0)
        stayed = np.where(both, values[:, :, 0] / n[:, 0] * weight, 0).sum(axis=1) / weight.sum(axis=0)
    return left, stayed


def _interval(logs: np.ndarray, ratio: float, about, n_rows: int) -> dict:
    b = len(logs)
    se = np.sqrt(block_variance(logs)) if np.isfinite(logs).all() else np.nan
    reach, strict = (student.ppf(1 - (1 - about.conf_level) / 2 / k, b - 1) * se for k in (1, max(n_rows, 1)))
    ends = {"ci_lower": ratio * np.exp(-reach), "ci_upper": ratio * np.exp(reach)}
    return {"ratio": ratio, **ends, "clear": bool(abs(np.log(ratio)) > strict) if np.isfinite(se) else False}
