"""What of a cohort's money stays: gross and net revenue retention by age."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtri

from churnlib import text
from churnlib.cohorts.cohortcells import COMPLETE, SMALL, cell_states, pooled_shares
from churnlib.intervals import jackknife_variance
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement

PLOTTED_AGES = 24


@dataclass(frozen=True, kw_only=True)
class MoneyRetention(Result):
    """Gross and net retention of what each cohort brought in its first step.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per level, cohort and age: `n_start` customers, `base` (what they brought in their first whole step),
        `net` (what all of them brought in this step, returned ones included, over the base), `gross` (at most each
        customer's own base, over the base: without what others pay more), `state`; shares, missing unless complete.
    pooled : pandas.DataFrame
        One row per age: `gross`, `net` of the cohorts complete at each age (see `pooled_retention`), `n_cohorts`,
        `n_start`.
    of : {"revenue", "quantity", "fee"}
        What is measured.
    is_regular : bool
        Whether it comes step after step: `pooled` is then chained over ages, and the base is the first whole step.
    """

    pooled: pd.DataFrame
    of: str
    is_regular: bool
    module: ClassVar[str] = "moneyretention"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("level", "level"),
        Column("cohort", "period"),
        Column("age", "whole"),
        Column("n_start", "whole"),
        Column("gross", "pct", 1),
        Column("gross_lower", "pct", 1),
        Column("gross_upper", "pct", 1),
        Column("net", "pct", 1),
        Column("net_lower", "pct", 1),
        Column("net_upper", "pct", 1),
        Column("state", "term", prefix="cohort.state"),
    )

    @property
    def shown(self) -> pd.DataFrame:
        out = self.table if self.about.segment.name else self.table.drop(columns="level")
        held = disclosure.held_back(self.about, out["cohort"], "new")
        hides = [c for c in out if c.startswith(("n_", "gross", "net"))]
        return out.assign(**{c: out[c].astype(float).mask(held) for c in hides})

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.pooled[self.pooled["age"].isin((1, 3, 6, 12, 24))].dropna(subset=["net", "gross"])
        told = told[told["n_start"] >= self.about.min_denominator]
        if told.empty:
            is_there = self.table["base"].sum() == 0 and len(self.table)
            return (Finding("moneyretention.no_base", self._words) if is_there else Finding("moneyretention.unknown"),)
        row = told.iloc[-1]
        values = {"age": int(row.age), "cohorts": int(row.n_cohorts)}
        values |= {c: row[c] for name in ("gross", "net") for c in (name, f"{name}_lower", f"{name}_upper")}
        values |= {"n": int(disclosure.in_tens(row.n_start, self.about)), **self._words}
        word = "more" if row.net > 1 else "less"
        return (Finding(f"moneyretention.{word}", values, tone="better" if row.net > 1 else "steady"),)

    @property
    def _words(self) -> dict:
        unit = self.about.period.unit
        return {"unit": text.label(f"cohort.unit.{unit}"), "of": text.label(f"moneyretention.of.{self.of}")}

    @property
    def subtitle(self) -> Statement:
        return Statement("moneyretention.subtitle", self._words)

    @property
    def notes(self) -> tuple[Statement, ...]:
        regular = "yearly" if self.about.period.unit == "year" else "regular"
        key = "fee" if self.of == "fee" else regular if self.is_regular else "irregular"
        return (Statement(f"moneyretention.note.{key}", {"revenue": self.about.revenue_note, **self._words}),)

    def plot(self, ax=None):
        pooled = self.pooled[(self.pooled["age"] <= PLOTTED_AGES) & self.pooled["net"].notna()]
        pooled = pooled[pooled["n_start"] >= self.about.min_denominator]
        if len(pooled) < 2:
            return None
        ages, is_told = pooled["age"].tolist(), pooled["net_lower"].notna().all()
        curves = [
            plots.Curve(
                text.say(f"moneyretention.column.{name}"),
                ages,
                pooled[name].tolist(),
                said=text.show(pooled[name].iloc[-1], "pct", digits=1),
                **{side: pooled[f"{name}_{side}"].tolist() for side in ("lower", "upper") if is_told},
            )
            for name in ("net", "gross")
        ]
        ticks = list(range(0, ages[-1] + 1, max(1, -(-ages[-1] // 8))))
        return plots.steps(curves, ticks=ticks, x_label=text.say("cohort.axis.stay", **self._words), ax=ax)


def money_retention(counts) -> MoneyRetention:
    """Work out the gross and net revenue retention of each cohort by age.

    Parameters
    ----------
    counts : CohortCounts
        From `cohort_counts(data, measure="money")`, or by revenue or quantity. Without amounts it is the fees, which do
        not change: net then differs from gross by those who came back.

    Returns
    -------
    MoneyRetention
        One row per level, cohort and age. The base is each customer's first whole step (see `cohort_counts`), so
        that a first bill for part of a month is no growth afterwards.
    """
    about, frame = counts.about, counts.frame.assign(row=np.arange(len(counts.frame)))
    frame = frame[~frame["is_truncated"]].reset_index(drop=True)
    of = {"customers": "fee"}.get(counts.measure, counts.measure)
    if "amount" not in frame:
        frame = frame.iloc[:0].assign(amount_base=0, amount_kept=0, amount=0)
    frame = frame.rename(columns={"amount_base": "base", "amount_kept": "gross", "amount": "net"})
    if of != "fee":  # the base is of the first steps themselves
        frame = frame[frame["age"] > 0].reset_index(drop=True)
    state = cell_states(frame, about.as_of, about.min_denominator)
    sums = frame[["base", "gross", "net"]].to_numpy(float)
    blocks = np.zeros((0, *sums.shape)) if counts.blocks is None else counts.blocks[:, frame["row"]]
    done = (state == COMPLETE) & (sums[:, 0] > 0)
    table = frame[["level", "cohort", "age", "n_start", "base"]].assign(state=state)
    for k, name in enumerate(("gross", "net"), start=1):
        every, without = (np.where(done, _share(part, k), np.nan) for part in (sums, sums - blocks))
        table = table.assign(**_with_interval(name, every, without, about.conf_level))
    pooled = _pooled(frame, state, sums, blocks, counts.is_regular, about.conf_level)
    given = {"pooled": pooled, "of": of, "is_regular": counts.is_regular}
    return MoneyRetention(about=about, table=table, name="money_retention", **given)


def _share(sums: np.ndarray, k: int) -> np.ndarray:
    return sums[..., k] / np.where(sums[..., 0] > 0, sums[..., 0], np.nan)


def _with_interval(name: str, share: np.ndarray, without: np.ndarray, conf_level: float) -> dict[str, np.ndarray]:
    """Give a share with its interval by the shares without each block of customers, on the logarithmic scale.

    References
    ----------
    Efron and Stein (1981), see `jackknife_variance`; a share of money is a ratio of two sums over customers (Cochran
    1977, Sampling Techniques, chapter 6).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(jackknife_variance(np.log(without), conf_level))
        half = np.exp(ndtri((1 + conf_level) / 2) * error)
    upper = np.minimum(share * half, 1.0) if name == "gross" else share * half
    return {name: share, f"{name}_lower": share / half, f"{name}_upper": upper}


def _pooled(frame, state, sums, blocks, is_chained: bool, conf_level: float) -> pd.DataFrame:
    """Add the cohorts of all levels up that are complete at each age; chained where money comes step after step."""
    told = np.isin(state, (COMPLETE, SMALL)) & (sums[:, 0] > 0)
    rows = frame[told]
    cohort, (age, ages) = rows.groupby(["level", "cohort"]).ngroup(), pd.factorize(rows["age"], sort=True)
    cells = np.zeros((len(blocks) + 1, cohort.nunique(), len(ages), 3))
    for out, part in zip(cells, (sums, *blocks), strict=True):
        out[cohort, age] = part[told]
    cells[1:] = cells[:1] - cells[1:]  # all, then without each block
    is_told, base = np.zeros(cells.shape[1:3], bool), cells[..., 0].max(axis=-1, initial=0)
    is_told[cohort, age] = True
    pooled = rows.groupby("age").agg(n_cohorts=("cohort", "nunique"), n_start=("n_start", "sum")).reset_index()
    for k, name in enumerate(("gross", "net"), start=1):
        shares = pooled_shares(cells[..., k], base, is_told, is_chained)
        pooled = pooled.assign(**_with_interval(name, shares[0], shares[1:], conf_level))
    return pooled
