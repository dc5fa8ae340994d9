"""How many customers leave by which outcome: voluntary, involuntary, natural, unknown, which compete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.show import plots
from churnlib.show.results import Column, Finding, Statement, table_columns
from churnlib.survival.base import MONTHS, SurvivalResult, main_month, readable, tick_months
from churnlib.survival.competing import Incidence, aalen_johansen, incidence_interval
from churnlib.survival.lifetable import OUTCOMES, LifeTable, anniversary, life_table, read_curve, read_steps, tidy
from churnlib.text import Label

ESTIMATES = ("n_events", "incidence", "std_error", "ci_lower", "ci_upper")


class LevelIncidence(NamedTuple):
    """One level's cumulative incidences, where enough customers are at risk.

    Attributes
    ----------
    level : str
    start : float
        Tenure that everybody has reached; 0 unless the early risk sets are too small.
    tenure : numpy.ndarray, shape (T,)
    d : numpy.ndarray, shape (K, T)
        Events by outcome.
    n : numpy.ndarray, shape (T,)
        At risk.
    steps : Incidence
    """

    level: str
    start: float
    tenure: np.ndarray
    d: np.ndarray
    n: np.ndarray
    steps: Incidence

    def read(self, tenure) -> np.ndarray:
        """Read incidence and variance just after given tenures, one row an outcome; NaN beyond the ends."""
        return read_curve(self.start, self.tenure, np.stack([self.steps.incidence, self.steps.variance]), tenure, 0.0)


def outcomes_of(life: LifeTable) -> tuple[str, ...]:
    """Name the outcomes that occur."""
    return tuple(o for o in OUTCOMES if o in life.outcomes and life.outcomes[o].sum() > 0)


def level_incidences(life: LifeTable, minimum: int = 0) -> list[LevelIncidence]:
    """Estimate the incidence of every outcome, level by level, on the tenures that can be trusted."""
    names, out = outcomes_of(life), []
    for g, level in enumerate(life.levels):
        start, run = life.trusted(g, minimum)
        tenure, n = life.tenure[run], life.n_at_risk[g, run]
        d = np.array([life.outcomes[o][g, run] for o in names]).reshape(len(names), len(tenure))
        out.append(LevelIncidence(level, start, tenure, d, n, aalen_johansen(d, n)))
    return out


@dataclass(frozen=True, kw_only=True)
class CumulativeIncidence(SurvivalResult):
    """Share of the customers that has left by each outcome.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level, outcome and month: `months`, `tenure`, `n_at_risk` just after it, `n_events` (left by the
        outcome up to it), `incidence` with `std_error`, `ci_lower`, `ci_upper` in [0, 1]; missing beyond the curve.
        The incidences of a level and its survival add to 1.
    outcomes : tuple of str
    """

    outcomes: tuple[str, ...]

    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "level months:whole",
        Column("outcome", "term", prefix="results.outcome"),
        "n_at_risk incidence:pct.1 ci_lower:pct.1 ci_upper:pct.1 flag",
    )

    @property
    def is_whole(self) -> bool:
        """All customers together, not by segment."""
        return self.table["level"].nunique() <= 1

    @property
    def shown(self) -> pd.DataFrame:
        """For all customers every month that may be shown; by segment the months of the survival table."""
        if self.table.empty:
            return self.table
        table = self.table if self.is_whole else self.table[self.table["months"].isin(readable(self.about) or MONTHS)]
        known, keep = self.kept(table, "incidence", max(len(self.outcomes), 1))
        return table[keep] if self.is_whole else self.withheld(table, known, keep, ESTIMATES)

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.shown.dropna(subset="incidence")
        told = told[told["months"] > 0]
        if told.empty:
            return (self.too_small(),)
        months = main_month(self.about, told["months"])
        read = told[told["months"] == months]
        if self.is_whole:
            return (self._whole_finding(read, months),)
        return (self._level_finding(read, months),) if read["level"].nunique() > 1 else ()

    def _whole_finding(self, read: pd.DataFrame, months: int) -> Finding:
        parts = read.sort_values("incidence", ascending=False)
        main = parts.iloc[0]
        values = {"months": months, "all": parts["incidence"].sum(), "outcome": _outcome(main.outcome)}
        values |= {"rate": main.incidence, "lower": main.ci_lower, "upper": main.ci_upper}
        if len(parts) == 1:
            return Finding(f"survival.incidence.only{'_unknown' if main.outcome == 'unknown' else ''}", values)
        values |= {"second": _outcome(parts["outcome"].iloc[1]), "second_rate": parts["incidence"].iloc[1]}
        return Finding("survival.incidence.main", values, weight=float(main.n_events))

    def _level_finding(self, read: pd.DataFrame, months: int) -> Finding:
        main = read.groupby("outcome", sort=False)["n_events"].sum().idxmax()
        of_main = read[read["outcome"] == main]
        low, high = of_main.loc[of_main["incidence"].idxmin()], of_main.loc[of_main["incidence"].idxmax()]
        values = {"months": months, "outcome": _outcome(main), "n": len(of_main)}
        values |= {"worst": self.level(high.level), "rate": high.incidence, "best": self.level(low.level)}
        return Finding("survival.incidence.range", values | {"best_rate": low.incidence})

    @property
    def subtitle(self) -> Statement:
        values = {"segment": self.about.segment.label, "as_of": self.about.as_of}
        return Statement("survival.incidence.subtitle", values)

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("survival.note.incidence"), self._cut_note())

    def plot(self, ax=None):
        """The outcomes stacked, for all customers; by segment the table says it better."""
        shown = self.shown
        if not self.is_whole or shown["months"].nunique() < 2:
            return None
        wide, last = shown.pivot(index="months", columns="outcome", values="incidence"), shown["months"].max()
        layers = [(text.say(f"results.outcome.{o}"), wide[o].to_numpy()) for o in self.outcomes]
        how = {"ticks": [m for m in tick_months(last) if m <= last], "x_label": text.say("survival.axis.months")}
        return plots.stacked(wide.index.to_numpy(), layers, **how, rest=text.say("survival.incidence.rest"), ax=ax)


def _outcome(name: str) -> Label:
    return text.label(f"results.outcome.{name}")


def cumulative_incidence(counts) -> CumulativeIncidence:
    """Estimate how many customers leave by each outcome (Aalen-Johansen), with late entry.

    Unlike 1 - Kaplan-Meier of one outcome with the others censored, these shares add up: they are what happens, not
    what would happen if nobody left otherwise.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=...)`.

    Returns
    -------
    CumulativeIncidence
        One row per level, outcome and month.
    """
    about, life = counts.about, life_table(counts)
    months = np.arange(int(life.months(life.tenure.max(initial=0.0))) + 1)
    tenure, names = anniversary(months, life.unit), outcomes_of(life)
    curves = level_incidences(life, about.min_denominator)
    unconditional = np.where([[c.start == 0] for c in curves], tenure, np.nan)
    incidence, variance = np.stack([c.read(at) for c, at in zip(curves, unconditional, strict=True)], axis=1)
    lower, upper = incidence_interval(incidence, variance, about.conf_level)
    events = np.array([life.outcomes[name] for name in names]).reshape(len(names), *life.n_events.shape)
    lost = read_steps(life.tenure, events.cumsum(axis=-1), tenure)
    values = {"tenure": tenure, "n_at_risk": life.at_risk_after(tenure)[:, None], "n_events": lost.swapaxes(0, 1)}
    values |= {"incidence": incidence, "std_error": np.sqrt(variance), "ci_lower": lower, "ci_upper": upper}
    table = tidy({"level": life.levels, "outcome": names, "months": months}, **values)
    return CumulativeIncidence(about=about, table=table, name=about.named("incidence"), outcomes=names)
