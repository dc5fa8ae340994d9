"""Does the story depend on what is called churn: the same data under rival definitions, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import YEAR, Segment
from churnlib.intervals import difference
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement, period_values, table_columns
from churnlib.text import Label
from churnlib.trend.series import PLOTTED
from churnlib.trend.trend import churn_trend

RISE, FALL, FLAT, UNKNOWN = "rise", "fall", "flat", "unknown"


@dataclass(frozen=True, kw_only=True)
class RivalDefinitions(Result):
    """The headline of the period under each definition.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per definition: `level` (its name), `n_opening`, `n_churned_opening`, `churn_rate` with interval in
        [0, 1], the changes on the previous period and on the year before, `move` and `year_move` ("rise", "fall",
        "flat": within its interval, "unknown"), `is_provisional` (churn of the period that may still be undone).
    monthly : pandas.DataFrame
        One row per definition and period, for the chart.
    """

    monthly: pd.DataFrame
    module: ClassVar[str] = "rivals"
    folded: ClassVar[bool] = False
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "level n_opening n_churned_opening churn_rate ci_lower ci_upper previous_change year_ago_change",
        Column("year_move", "term", prefix="rivals.move"),
        Column("is_provisional", "term", prefix="rivals.provisional"),
    )

    @property
    def shown(self) -> pd.DataFrame:
        return _protected(self.table, self.about)

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.shown[self.shown["churn_rate"].notna()]
        if len(told) < 2:
            return (Finding("rivals.only_one"),)
        low, high = told.loc[told["churn_rate"].idxmin()], told.loc[told["churn_rate"].idxmax()]
        values = {"n": len(told), "low": low.churn_rate, "low_by": self.level(low.level)}
        values |= {"high": high.churn_rate, "high_by": self.level(high.level)}
        return (Finding("rivals.range", values), self._story(told))

    def _story(self, told: pd.DataFrame) -> Finding:
        """Whether the definitions agree on where the churn rate went against the year before."""
        moves = told[told["year_move"] != UNKNOWN]
        if len(moves) < 2:
            return Finding("rivals.no_year")
        if moves["year_move"].nunique() == 1:
            move = moves["year_move"].iloc[0]
            return Finding(f"rivals.same_{move}", {"n": len(moves)})
        named = {m: [self.level(v) for v in moves.loc[moves["year_move"] == m, "level"]] for m in (RISE, FALL, FLAT)}
        key = "rivals.opposed" if named[RISE] and named[FALL] else "rivals.partly"
        said = [text.label(f"rivals.moved.{move}", names=names) for move, names in named.items() if names]
        return Finding(key, {"moves": said}, tone="worse")

    @property
    def subtitle(self) -> Statement:
        return Statement("rivals.subtitle", {"period": self.about.period})

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("rivals.note"),)

    def plot(self, ax=None):
        shown = _protected(self.monthly, self.about)
        periods = sorted(shown["period"].unique())[-PLOTTED:]
        panels = []
        for level in self.about.segment.levels:
            rows = shown[shown["level"] == level].set_index("period").reindex(periods)
            rates = rows["churn_rate"].where(rows["is_complete"].fillna(False).astype(bool))
            panels.append(plots.Panel(str(self.level(level)), rates.tolist()))
        return plots.small_multiples(panels, period_values(periods), ax=ax)


def rival_definitions(counts: Mapping[str, object]) -> RivalDefinitions:
    """Set the churn rates of several definitions side by side.

    Parameters
    ----------
    counts : mapping of str to Counts
        Definition -> `period_counts(data, definition=...)`.

    Returns
    -------
    RivalDefinitions
        One row per definition.
    """
    about = next(iter(counts.values())).about
    # each by its own control chart, as in the chapter on the trend: "clear" must mean the same in both
    monthly = pd.concat([churn_trend(c).table.assign(level=name) for name, c in counts.items()], ignore_index=True)
    now = monthly[monthly["period"] == str(about.period)].set_index("level").reindex(list(counts)).reset_index()
    now = now[now["n_opening"].fillna(0) > 0].reset_index(drop=True)
    table = now.assign(move=_moves(now, "previous"), year_move=_moves(now, "year_ago"))
    table["is_provisional"] = table["is_provisional"].astype(bool) if "is_provisional" in table else False
    labels = tuple(Label.of(c.about.definition_label) for c in counts.values())
    segment = Segment("definition", Label("流失口径", "Definition of churn"), tuple(counts), labels)
    return RivalDefinitions(about=about.by(segment), table=table, name="rival_definitions", monthly=monthly)


def _moves(rows: pd.DataFrame, prefix: str) -> np.ndarray:
    """Name where the rate went: beyond its interval or not."""
    change, clear = rows[f"{prefix}_change"], rows[f"{prefix}_clear"].astype(bool)
    return np.select([change.isna(), ~clear, change > 0], [UNKNOWN, FLAT, RISE], FALL)


def _protected(table: pd.DataFrame, about) -> pd.DataFrame:
    hides = ("n_churned_opening", "churn_rate", "ci_lower", "ci_upper", "previous_change", "year_ago_change")
    return disclosure.protect(table, about, hides=hides)


@dataclass(frozen=True, kw_only=True)
class RivalRankings(Result):
    """The ranking of a segment's levels under each definition, over the last year.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level, with a pair of columns per definition: `rate_<i>` (mean of the year's periods, in [0, 1]) and
        `rank_<i>` (1: highest).
    definitions : tuple of Label
    agreement : float
        Smallest rank correlation (Kendall's tau-b) between two definitions, in [-1, 1].
    n_periods : int
        Complete periods that are counted together.
    is_clear : bool
        Whether two definitions contradict each other, beyond chance, about which of their first levels is higher.
    """

    definitions: tuple[Label, ...]
    agreement: float
    n_periods: int
    is_clear: bool
    module: ClassVar[str] = "rivals"
    folded: ClassVar[bool] = False

    def shown_columns(self) -> list[Column]:
        heading = _Named("level", "level", said=self.about.segment.label)
        return [heading, *(column for i in range(len(self.definitions)) for column in _pair(i, self.definitions))]

    @property
    def findings(self) -> tuple[Finding, ...]:
        if not self.about.segment.name:
            return (Finding("rivals.no_segment"),)
        if self.table.empty:
            return (Finding("rivals.too_few", {"segment": self.about.segment.label}),)
        tops = {self.table["level"][self.table[f"rank_{i}"].idxmin()] for i in range(len(self.definitions))}
        values = {"segment": self.about.segment.label, "tau": self.agreement, "n": len(self.definitions)}
        if len(tops) == 1:
            return (Finding("rivals.same_top", values | {"level": self.level(tops.pop())}),)
        values |= {"levels": [self.level(top) for top in sorted(tops)]}
        if not self.is_clear:
            return (Finding("rivals.unclear_top", values),)
        return (Finding("rivals.other_top", values, tone="worse"),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("rivals.note_ranks", {"period": self.about.period, "n": self.n_periods}),)


def _pair(i: int, names: tuple[Label, ...]) -> tuple[Column, Column]:
    rank = Label(f"{names[i].zh}：名次", f"{names[i].en}: rank")
    return _Named(f"rate_{i}", "pct", said=names[i]), _Named(f"rank_{i}", "whole", said=rank)


@dataclass(frozen=True)
class _Named(Column):
    """A column whose heading is a definition's name."""

    said: Label = Label("", "")

    def label(self, module: str) -> Label:
        return self.said


def rival_rankings(counts: Mapping[str, object]) -> RivalRankings:
    """Rank the levels of a segment under several definitions.

    Parameters
    ----------
    counts : mapping of str to Counts
        Definition -> `period_counts(data, by=..., definition=...)`.

    Returns
    -------
    RivalRankings
        One row per level that every definition can show.

    References
    ----------
    Kendall, M. G. (1945). The treatment of ties in ranking problems. Biometrika 33, 239-251.
    """
    from scipy.stats import kendalltau

    about = next(iter(counts.values())).about
    year = [_year(c, about) for c in counts.values()]
    table = pd.concat([rows["churn_rate"] for rows, _ in year], axis=1, keys=range(len(year))).dropna()
    pairs = [(i, j) for i in table.columns for j in table.columns if i < j]
    taus = [kendalltau(table[i], table[j]).statistic for i, j in pairs] if len(table) > 1 else []
    order = {level: place for place, level in enumerate(about.segment.levels)}
    table = table.loc[sorted(table.index, key=lambda level: order.get(level, len(order)))]
    wide = pd.DataFrame({"level": table.index})
    for i in table.columns:
        wide[f"rate_{i}"] = table[i].to_numpy()
        wide[f"rank_{i}"] = table[i].rank(ascending=False, method="min").to_numpy()
    has = {
        "definitions": tuple(Label.of(c.about.definition_label) for c in counts.values()),
        "agreement": float(np.nanmin(taus)) if taus else float("nan"),
        "n_periods": min(n for _, n in year),
        "is_clear": _is_clear([rows.loc[table.index] for rows, _ in year], about.conf_level),
    }
    return RivalRankings(about=about, table=wide, name=f"rival_rankings_by_{about.segment.name}", **has)


def _year(counts, about) -> tuple[pd.DataFrame, int]:
    """Pool each level's complete periods of the last year: one row per level; and how many periods there are."""
    frame = counts.frame[counts.frame["is_complete"] & (counts.frame["period"] <= str(about.period))]
    last = sorted(frame["period"].unique())[-YEAR[about.period.unit] :]
    pooled = frame[frame["period"].isin(last)].groupby("level")[["n_opening", "n_churned_opening"]].sum()
    rows = pooled.reset_index().assign(churn_rate=lambda rows: rows["n_churned_opening"] / rows["n_opening"])
    shown = disclosure.protect(rows, about, hides=("n_churned_opening", "churn_rate"))
    return shown.set_index("level"), len(last)


def _is_clear(rates: list[pd.DataFrame], conf_level: float) -> bool:
    """Tell whether two definitions contradict each other beyond chance about which of their first levels is higher."""

    def is_above(rows: pd.DataFrame, level: str, other: str) -> bool:
        counted = rows.loc[[level, other], ["n_churned_opening", "n_opening"]].to_numpy().ravel()
        return difference(*counted, conf_level=conf_level)[0] > 0

    firsts = [(rows, rows["churn_rate"].idxmax()) for rows in rates if len(rows)]
    return any(
        is_above(rows, first, other) and is_above(rivals, other, first)
        for (rows, first), (rivals, other) in combinations(firsts, 2)
    )
