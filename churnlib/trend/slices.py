"""Where the change is: the few slices of customers that changed more than all others, honestly searched for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import YEAR, Period, Segment
from churnlib.show import plots
from churnlib.show.results import Finding, Result, Statement, table_columns
from churnlib.text import Label
from churnlib.trend.comparison import Cells, by_period, own_noise, side_by_side
from churnlib.trend.search import Found, all_slices, search
from churnlib.trend.usual import usual_and_beyond

STRETCH = {"week": 8, "month": 3, "quarter": 1, "year": 1}  # periods taken together: one month alone tells little


@dataclass(frozen=True, kw_only=True)
class SlicesFound(Result):
    """The slices of customers whose churn rate changed otherwise than that of all others.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per slice found, the clearest first, then "others" (what all customers have in common, and what is left)
        and "total": `kind`, `item` (named levels), `contribution` to the change of the rate (shrunk; the rows add up),
        `excess` (as observed, before shrinking) with `ci_lower`, `ci_upper` (98 % for all slices looked at together),
        `score`, `n_opening`, `n_churned_opening`, `churn_rate`, `rate_before`, `rate_expected` (had the slice changed
        as all others did) and `n_excess`, customers lost a period more than that. A slice is counted without the
        customers of those above it.
    n_looked : int
        Slices looked at.
    limit : float
        The score that a slice must exceed.
    first, before_first, before_last : Period or None
        Ends of the two stretches; the later one ends with the report's period.
    """

    n_looked: int
    limit: float
    first: Period | None = None
    before_first: Period | None = None
    before_last: Period | None = None
    module = "slices"
    columns = table_columns(
        "item:label churn_rate rate_before:pct rate_expected:pct n_excess:signed contribution:points.3",
        "excess:points.3 ci_lower:points.3 ci_upper:points.3 score:signed.1",
    )

    @property
    def tucked(self) -> bool:
        return not len(self.found)

    @property
    def found(self) -> pd.DataFrame:
        """The slices that stand out."""
        return self.table[self.table["kind"] == "slice"] if len(self.table) else self.table

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.first is None:
            return (Finding("slices.no_before"),)
        if not self.n_looked:
            return (Finding("slices.too_small"),)
        total = self.table.iloc[-1]
        values = {"n": self.n_looked, "change": total.contribution, "found": len(self.found), "against": self._against}
        if self.found.empty:
            return (Finding("slices.none", values),)
        parts = self.found["contribution"]
        values |= {"part": parts.sum(), "slices": text.shown(self.found["item"].tolist(), "list")}
        tone = "worse" if parts.sum() > 0 else "better"
        key = "slices.found.one" if len(parts) == 1 else "slices.found"
        each = tuple(self._of(row) for row in self.found.itertuples())
        return (Finding(key, values, grade="moderate", tone=tone, weight=sum(f.weight for f in each)), *each)

    def _of(self, row) -> Finding:
        names = ("item", "churn_rate", "rate_before", "rate_expected", "contribution", "ci_lower", "ci_upper")
        values = {name: getattr(row, name) for name in names} | {"n": abs(row.n_excess)}
        way, tone = ("up", "worse") if row.contribution > 0 else ("down", "better")
        weight = abs(row.churn_rate - row.rate_expected) * row.n_opening * row.contribution / row.excess
        return Finding(f"slices.slice.{way}", values, grade="moderate", tone=tone, weight=weight)

    @property
    def subtitle(self) -> Statement | None:
        if self.first is None or self.found.empty:
            return None
        return Statement("slices.subtitle.one" if self._one_period else "slices.subtitle", self._stretches)

    @property
    def _stretches(self) -> dict[str, Period | None]:
        ends = {name: getattr(self, name) for name in ("first", "before_first", "before_last")}
        return ends | {"last": self.about.period}

    @property
    def _one_period(self) -> bool:
        return self.first == self.about.period

    @property
    def _against(self) -> text.Label:
        return text.label("slices.against.one" if self._one_period else "slices.against", **self._stretches)

    @property
    def notes(self) -> tuple[Statement, ...]:
        if not self.n_looked:
            return ()
        searched = Statement("slices.note.search", {"n": self.n_looked, "limit": self.limit})
        small = {"n": self.about.min_denominator, "k": self.about.privacy_k}
        return (searched, Statement("slices.note.shrunk"), Statement("slices.note.looked", small))

    def plot(self, ax=None):
        if self.found.empty:
            return None
        rows = list(self.table.itertuples())
        return plots.bars(
            [str(item) for item in self.table["item"]],
            self.table["contribution"].tolist(),
            lower=self.table["ci_lower"].tolist(),
            upper=self.table["ci_upper"].tolist(),
            tones=["steady" if r.kind != "slice" else "worse" if r.contribution > 0 else "better" for r in rows],
            total=True,
            columns=[(text.say("slices.column.rates"), [_arrow(r.rate_before, r.churn_rate) for r in rows])],
            kind="points",
            ax=ax,
        )


def _arrow(before: float, now: float) -> str:
    return "" if pd.isna(now) else f"{text.show(before, 'pct')} → {text.show(now, 'pct')}"


def find_slices(counts, against: str = "year_ago") -> SlicesFound:
    """Search levels of all segments, and pairs of them, for those that changed more than all other customers.

    Parameters
    ----------
    counts : CrossedCounts
        From `slice_counts(data)`.
    against : {"year_ago", "previous"}
        Compare with the same periods a year before, or with those right before.

    Returns
    -------
    SlicesFound
        At most 4 slices; in data in which nobody stands out, none in 98 of 100 cases.
    """
    about, unit = counts.about, counts.about.period.unit
    names = [segment.name for segment in counts.segments]
    frame = counts.frame[counts.frame["period"] <= str(about.period)]
    complete = frame.loc[frame["is_complete"], "period"].unique()
    n = STRETCH[unit]
    now, before = stretches(set(complete), about.period, n, YEAR[unit] if against == "year_ago" else n)
    empty = {"about": about, "name": f"slices_{against}", "table": pd.DataFrame(), "n_looked": 0, "limit": np.inf}
    if not before:
        return SlicesFound(**empty)
    cells = side_by_side(frame, names, {str(p) for p in now}, {str(p) for p in before})
    usual, _ = usual_and_beyond(frame, about)
    slices = all_slices(names, cells, _noise(frame, names, set(usual["period"])))
    found, n_looked, limit = search(cells, slices, about.min_denominator * len(now), about.privacy_k)
    table = _table(cells, found, limit, counts.segments)
    ends = {"first": now[0], "before_first": before[0], "before_last": before[-1]}
    return SlicesFound(**empty | {"table": table, "n_looked": n_looked, "limit": limit} | ends)


def stretches(complete: set[str], period: Period, n: int, back: int) -> tuple[list[Period], list[Period]]:
    """Give the periods of both stretches, as many as both have complete; nothing when not even one is there."""
    for size in range(n, 0, -1):
        now = [period.shift(i + 1 - size) for i in range(size)]
        before = [p.shift(-max(back, size) if back != n else -size) for p in now]
        if {str(p) for p in (*now, *before)} <= complete:
            return now, before
    return [], []


def _noise(frame: pd.DataFrame, names: list[str], usual: set[str]) -> dict[tuple[str, str], float]:
    """How much each level of each segment differs from period to period by itself, in the baseline."""
    out = {}
    for name in names:
        n, d = by_period(frame, name, usual)
        noise = own_noise(n.to_numpy(), d.to_numpy())
        out |= {(name, level): float(v) for level, v in zip(n.index, noise, strict=True)}
    return out


def _table(cells: Cells, found: list[Found], limit: float, segments: tuple[Segment, ...]) -> pd.DataFrame:
    """The slices found, what is left, and the total; contributions add up."""
    rate1, rate0 = (d.sum() / max(n.sum(), 1) for d, n in ((cells.d1, cells.n1), (cells.d0, cells.n0)))
    base = (cells.n1.sum() + cells.n0.sum()) / 2 / cells.periods
    rows = [_row(cells, slice_, limit, segments, base) for slice_ in found]
    rest = rate1 - rate0 - sum(row["contribution"] for row in rows)
    rows.append({"kind": "others", "item": text.label("slices.others"), "contribution": rest})
    total = {"kind": "total", "item": text.label("slices.total"), "contribution": rate1 - rate0}
    rows.append(total | {"churn_rate": rate1, "rate_before": rate0})
    table = pd.DataFrame(rows)
    wanted = ("excess", "ci_lower", "ci_upper", "score", "rate_expected", "n_excess", "churn_rate", "rate_before")
    return table.reindex(columns=[*table.columns, *(c for c in wanted if c not in table)])


def _row(cells: Cells, it: Found, limit: float, segments, base: float) -> dict:
    n1, d1, n0, d0 = (x[it.cells].sum() for x in (cells.n1, cells.d1, cells.n0, cells.d0))
    # test-based limits (Miettinen 1976): they leave zero out exactly when the slice stands out
    half = abs(it.excess / it.z) * limit
    share = (n1 / cells.n1.sum() + n0 / cells.n0.sum()) / 2
    return {
        "kind": "slice",
        "item": name_of(it.key, segments),
        "contribution": it.excess * it.shrunk,
        "excess": it.excess,
        "ci_lower": it.excess - half,
        "ci_upper": it.excess + half,
        "score": it.z,
        "n_opening": n1,
        "n_churned_opening": d1,
        "churn_rate": d1 / n1,
        "rate_before": d0 / n0,
        "rate_expected": d1 / n1 - it.excess / share,
        "n_excess": it.excess * it.shrunk * base,
    }


def name_of(key: tuple[tuple[str, str], ...], segments: tuple[Segment, ...]) -> Label:
    """Name a slice by its levels, each with its segment where the level alone says little."""
    by_name = {segment.name: segment for segment in segments}
    levels = [(by_name[name].label, by_name[name].label_of(level)) for name, level in key]
    return Label.joined((Label.joined(level, ": ", "：") for level in levels), " × ")
