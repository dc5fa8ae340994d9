"""What explains the change: how much comes from the groups' own rates, how much from who the customers are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import t

from churnlib import text
from churnlib.about import Period, Segment
from churnlib.intervals import difference, overdispersion
from churnlib.show import disclosure, plots
from churnlib.show.results import Finding, Result, Statement, table_columns
from churnlib.text import Label
from churnlib.trend.comparison import Cells, by_period, compared_period, own_sigma, two_periods
from churnlib.trend.standardise import decompose, variance
from churnlib.trend.usual import usual_and_beyond

LISTED = 10  # levels with a bar of their own; the others together
AGAINST = ("previous", "year_ago", "peak")
COUNTED = ("n_opening", "n_churned_opening", "n_before", "n_churned_before")


@dataclass(frozen=True, kw_only=True)
class ChangeExplained(Result):
    """The change of the churn rate between two periods, taken apart.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per part: `kind` ("rate": a level's own rate; "mix": the distribution over a segment; "days": the
        periods' lengths; "size": the number of customers; "total"), `item` (level or segment), `contribution` to the
        change of the rate with `ci_lower`, `ci_upper` (shares; the parts add up to the total), `n_lost`, the same in
        customers lost (adds up to the change of their number; whole customers in `shown`), and for levels the counts
        and rates of both periods. Empty when there is nothing to compare with.
    before : Period or None
        The period compared with.
    against : str
        "previous", "year_ago", "peak" or a period's name.
    clear : bool
        Whether the change lies beyond its interval, and one of the periods beyond its control limits.
    segments : tuple of Segment
        Those that were taken apart, the first by level.
    """

    before: Period | None
    against: str
    clear: bool
    segments: tuple[Segment, ...]
    module = "decompose"
    columns = table_columns(
        "part:label contribution:points.3 ci_lower:points.3 ci_upper:points.3 n_lost:signed churn_rate",
        "rate_before:pct share:pct.1 share_before:pct.1",
    )

    @property
    def tucked(self) -> bool:
        """What is within the usual variation is not there to be explained, and a period not to be shown twice."""
        now = self.about.period
        shown = {"peak": (now.shift(-1), now.year_before()), "previous": (now.year_before(),)}
        return not self.clear or self.before in shown.get(self.against, ())

    @property
    def shown(self) -> pd.DataFrame:
        """The parts as shown: small levels together, and no more than ten by themselves."""
        if self.table.empty or not self.is_told:
            return self.table.iloc[:0]
        rates, rest = self.table[self.table["kind"] == "rate"], self.table[self.table["kind"] != "rate"]
        folded = _small(rates, self.about)
        alone = rates[~folded]
        alone = alone.loc[alone["contribution"].abs().sort_values(ascending=False, kind="stable").index]
        kept, others = alone.iloc[:LISTED], pd.concat([alone.iloc[LISTED:], rates[folded]])
        kept = kept.sort_values("contribution", ascending=self.change < 0, kind="stable")
        rows = [kept, _together(others), rest] if len(others) else [kept, rest]
        out = pd.concat(rows, ignore_index=True)
        out["part"] = [self._name(row.kind, row.item) for row in out.itertuples()]
        out["n_lost"] = whole(out["n_lost"].to_numpy())
        return out

    def _name(self, kind: str, item: str) -> Label:
        names = {segment.name: segment.label for segment in self.segments}
        if kind == "rate":
            return self.segments[0].label_of(item)
        return text.label(f"decompose.part.{kind}", **({"segment": names[item]} if kind == "mix" else {}))

    @property
    def change(self) -> float:
        """The change of the churn rate; NaN when there is nothing to compare with."""
        return float("nan") if self.table.empty else float(self.table["contribution"].iloc[-1])

    @property
    def is_told(self) -> bool:
        """Whether both periods have enough customers and losses for their rates to be shown."""
        total = self.table.iloc[[-1]]
        few = any(flags.any() for flags in _flags(total, self.about))
        return not few and not disclosure.held_back(self.about, (self.about.period, self.before)).any()

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.table.empty:
            return (Finding(f"decompose.none.{self.against if self.against in AGAINST else 'period'}"),)
        total = self.table.iloc[-1]
        if not self.is_told:
            return (Finding("decompose.not_shown", {"period": self.about.period, "before": self.before}),)
        way = "flat" if not self.clear else "rise" if self.change > 0 else "fall"
        values = {"before": self.before, "now": total.churn_rate, "then": total.rate_before, "change": self.change}
        parts = {kind: self.table["kind"] == kind for kind in ("rate", "mix", "days")}
        values |= {kind: float(self.table.loc[rows, "contribution"].sum()) for kind, rows in parts.items()}
        tone = {"flat": "steady", "rise": "worse", "fall": "better"}[way]
        key = f"decompose.{way}.days" if parts["days"].any() else f"decompose.{way}"
        # that a rate is below its peak is no news, whatever the size of the peak was
        is_news = self.clear and self.against != "peak"
        grade, weight = ("moderate", abs(self.change) * total.n_opening) if is_news else ("descriptive", 0.0)
        head = Finding(key, values, grade=grade, tone=tone, weight=weight)
        return tuple(f for f in (head, self._largest(), self._customers()) if f is not None)

    def _largest(self) -> Finding | None:
        """The level whose own rate contributes most, when that is beyond chance among all levels."""
        told = self.shown[self.shown["kind"] == "rate"]
        if len(told) < 2:
            return None
        clear = told[self._is_clear(told)]
        if clear.empty:
            return Finding("decompose.no_level", {"n": len(told), "segment": self.segments[0].label})
        top = clear.loc[clear["contribution"].abs().idxmax()]
        values = {"level": top.part, "part": top.contribution, "lower": top.ci_lower, "upper": top.ci_upper}
        rates = {"now": top.churn_rate, "then": top.rate_before, "share": top.share}
        way, tone = ("up", "worse") if top.contribution > 0 else ("down", "better")
        grade = "descriptive" if self.against == "peak" else "moderate"
        return Finding(f"decompose.level.{way}", values | rates, grade=grade, tone=tone)

    def _is_clear(self, rows: pd.DataFrame) -> pd.Series:
        """Which parts are beyond chance: levels among all levels (Bonferroni); longer months are nobody's doing."""
        tail, levels = (1 - self.about.conf_level) / 2, rows["kind"] == "rate"
        widening = np.where(levels, ndtri(1 - tail / max(levels.sum(), 1)) / ndtri(1 - tail), 1.0)
        half = (rows["ci_upper"] - rows["ci_lower"]) / 2 * widening
        return (rows["contribution"].abs() > half) & (rows["kind"] != "days")

    def _customers(self) -> Finding:
        rows = self.shown.replace({"kind": {"others": "rate"}})  # small levels have a rate of their own too
        sums = {kind: rows.loc[rows["kind"] == kind, "n_lost"].sum() for kind in ("rate", "mix", "days", "size")}
        total = self.table.iloc[-1]
        counts = {"n": total.n_churned_opening, "n_before": total.n_churned_before, "n_change": rows["n_lost"].iloc[-1]}
        key = "decompose.customers.days" if (rows["kind"] == "days").any() else "decompose.customers"
        return Finding(key, counts | sums)

    @property
    def subtitle(self) -> Statement | None:
        if self.shown.empty:
            return None
        values = {"segment": self.segments[0].label, "period": self.about.period, "before": self.before}
        return Statement("decompose.subtitle", values)

    @property
    def notes(self) -> tuple[Statement, ...]:
        if self.shown.empty:
            return ()
        segments = text.shown([segment.label for segment in self.segments], "list")
        days = ("days",) if (self.table["kind"] == "days").any() else ()
        notes = (Statement(f"decompose.note.{what}") for what in (*days, "interval", "cause"))
        return (Statement("decompose.note.method", {"segments": segments}), *notes, self.small_note)

    def plot(self, ax=None):
        if self.shown.empty:
            return None
        rows = self.shown[self.shown["kind"] != "size"]
        told = zip(self._is_clear(rows), rows["contribution"], strict=True)
        tones = [("worse" if part > 0 else "better") if clear else "steady" for clear, part in told]
        share = [text.show(v, "pct", digits=1) if pd.notna(v) else "" for v in rows["share"]]
        return plots.bars(
            [str(part) for part in rows["part"]],
            rows["contribution"].tolist(),
            lower=rows["ci_lower"].tolist(),
            upper=rows["ci_upper"].tolist(),
            tones=tones,
            total=True,
            columns=[(text.say("decompose.column.share"), share)],
            kind="points",
            ax=ax,
        )


def _small(rates: pd.DataFrame, about) -> np.ndarray:
    """Levels that are too small, or would give a person away, in either period."""
    now, before = _flags(rates.assign(all=""), about, ("all",))
    # a new level, or one that has gone, has no change of rate: its part is mix
    return now | before | ((rates["n_opening"] == 0) | (rates["n_before"] == 0)).to_numpy()


def _flags(rows: pd.DataFrame, about, within: tuple[str, ...] = ()) -> list[np.ndarray]:
    """Which rows may not be shown, now and before."""
    return [
        (disclosure.protect(rows, about, count=count, base=base, hides=(), within=within)["flag"] != "").to_numpy()
        for count, base in (("n_churned_opening", "n_opening"), ("n_churned_before", "n_before"))
    ]


def _together(others: pd.DataFrame) -> pd.DataFrame:
    """One row for levels that are not shown by themselves; different levels' losses are independent."""
    half = float(np.sqrt((((others["ci_upper"] - others["ci_lower"]) / 2) ** 2).sum()))
    part = others["contribution"].sum()
    row = {"kind": "others", "item": "", "contribution": part, "ci_lower": part - half, "ci_upper": part + half}
    return pd.DataFrame([row | {"n_lost": others["n_lost"].sum(), "share": others["share"].sum()}])


def whole(parts: np.ndarray) -> np.ndarray:
    """Round parts so that the last, their sum, is still their sum (largest remainders)."""
    values, total = np.asarray(parts[:-1], float), round(float(parts[-1]))
    floor = np.floor(values)
    missing = int(total - floor.sum())
    order = np.argsort(-(values - floor), kind="stable")
    floor[order[:missing]] += 1
    return np.append(floor, total).astype(int)


def decompose_change(counts, against: str = "year_ago") -> ChangeExplained:
    """Take the change of the churn rate between two periods apart, exactly.

    Parameters
    ----------
    counts : CrossedCounts
        From `crossed_counts(data, by)`: the first segment is told by level, the others by their mix alone.
    against : str
        "previous", "year_ago", "peak" (the complete period with the highest rate in two years) or a period's name.

    Returns
    -------
    ChangeExplained
        One row per part. Says what numbers explain, never what caused it.

    References
    ----------
    Kitagawa (1955) for one segment, Das Gupta (1993) ch. 5 for several: see `churnlib.trend.standardise`.
    """
    about = counts.about
    totals = counts.frame.groupby("period", sort=True)[["n_opening", "n_churned_opening"]].sum()
    totals["is_complete"] = counts.frame.groupby("period")["is_complete"].first()
    before = compared_period(totals, about.period, against)
    name = f"change_{against.replace('-', '_').lower()}"
    told = {"about": about, "name": name, "before": before, "against": against, "segments": counts.segments}
    if before is None or not totals["n_opening"].get(str(about.period), 0):
        return ChangeExplained(table=pd.DataFrame(), clear=False, **told | {"before": None})
    cells = two_periods(counts, about.period, before)
    usual, beyond = usual_and_beyond(totals.reset_index(), about)
    common = overdispersion(usual["n_churned_opening"], usual["n_opening"])
    varied = by_period(counts.frame, counts.segments[0].name, set(usual["period"]))
    sigma = own_sigma(*(x.reindex(cells.names[0], fill_value=0.0).to_numpy() for x in varied))
    parts = decompose(cells)
    tail, n = (1 + about.conf_level) / 2, len(usual)  # Student's where the spread was estimated from n periods
    errors = float(t.ppf(tail, n - 1) if n >= 6 else ndtri(tail))
    half = errors * np.sqrt(variance(parts, cells, sigma, common))
    table = _table(cells, parts.effects, half, counts.segments)
    table = _with_customers(pd.concat([table, _totals(cells, common, about)], ignore_index=True), cells)
    low, high = table[["ci_lower", "ci_upper"]].iloc[-1]
    # what the chart calls usual twice has not changed
    is_clear = (low > 0 or high < 0) and (beyond is None or bool({str(before), str(about.period)} & beyond))
    return ChangeExplained(table=table, clear=bool(is_clear), **told)


def _table(cells: Cells, effects: np.ndarray, half: np.ndarray, segments) -> pd.DataFrame:
    """The parts, levels in their order of listing, with intervals of these half-widths."""
    levels, names = list(cells.names[0]), [segment.name for segment in segments]
    table = pd.DataFrame(
        {
            "kind": ["rate"] * len(levels) + ["mix"] * len(names) + ["days"],
            "item": [*levels, *names, ""],
            "contribution": effects,
            "ci_lower": effects - half,
            "ci_upper": effects + half,
        }
    )
    for column, x in zip(COUNTED, (cells.n1, cells.d1, cells.n0, cells.d0), strict=True):
        table[column] = pd.Series(np.bincount(cells.levels[:, 0], x))
    place = {level: i for i, level in enumerate(segments[0].levels)}
    listed = table["item"].where(table["kind"] == "rate").map(place).fillna(len(place))
    table = table.iloc[np.argsort(listed, kind="stable")]
    return table[(table["kind"] != "days") | (cells.days1 != cells.days0)]


def _totals(cells: Cells, common: float, about) -> pd.DataFrame:
    """The rows of the number of customers and of the total; the total's interval is that of the trend's comparison."""
    n1, d1, n0, d0 = sums = [x.sum() for x in (cells.n1, cells.d1, cells.n0, cells.d0)]
    lower, upper = difference(d1, n1, d0, n0, sigma=common, conf_level=about.conf_level)
    change = cells.rates[0] - cells.rates[1]
    total = {"kind": "total", "item": "", "contribution": change, "ci_lower": float(lower), "ci_upper": float(upper)}
    return pd.DataFrame([{"kind": "size", "item": ""}, total | dict(zip(COUNTED, sums, strict=True))])


def _with_customers(table: pd.DataFrame, cells: Cells) -> pd.DataFrame:
    """Add rates, shares, and the parts in customers: of n x rate, with n changing too."""
    n1, n0 = cells.n1.sum(), cells.n0.sum()
    out = table.assign(
        churn_rate=table["n_churned_opening"] / table["n_opening"].where(table["n_opening"] > 0),
        rate_before=table["n_churned_before"] / table["n_before"].where(table["n_before"] > 0),
        share=table["n_opening"] / n1,
        share_before=table["n_before"] / n0,
        n_lost=table["contribution"] * (n1 + n0) / 2,
    )
    out.loc[out["kind"] == "size", "n_lost"] = sum(cells.rates) / 2 * (n1 - n0)
    out.loc[out["kind"] == "total", "n_lost"] = cells.d1.sum() - cells.d0.sum()
    return out
