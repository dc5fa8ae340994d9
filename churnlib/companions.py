"""What accompanies churn: satisfaction and complaints on the same time axis, and who moves first; never as a cause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtri

from churnlib import plots, text
from churnlib.about import YEAR
from churnlib.intervals import wilson
from churnlib.results import Column, Finding, Result, Statement, period_values
from churnlib.trend import PLOTTED

LAGS = range(-3, 7)  # periods by which the signal moves before churn
ENOUGH = 24  # periods without which nothing is said about leads and lags
FEWEST = 10  # answers or complaints of a period without which its signal is not shown
SIGNALS = {"satisfaction": ("number", 2), "complaints": ("number", 1), "unresolved": ("pct", 0)}


@dataclass(frozen=True, kw_only=True)
class CompanionSignals(Result):
    """Signals that accompany churn.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per signal and lag: `signal`, `lag` (periods by which the signal is before the churn rate),
        `correlation` of their surprises with `ci_lower`, `ci_upper` (95 % for all lags and signals together),
        `n_pairs`, `is_clear`.
    course : pandas.DataFrame
        One row per complete period: `churn_rate`, and of each signal that the data have the value with its interval:
        `satisfaction` (mean score), `complaints` (per 1,000 opening customers), `unresolved` (share of complaints).
    """

    course: pd.DataFrame
    module: ClassVar[str] = "companions"
    folded: ClassVar[bool] = True
    columns: ClassVar[tuple[Column, ...]] = (
        Column("signal", "term", prefix="companions.signal"),
        Column("lag", "signed"),
        Column("correlation", "signed", 2),
        Column("ci_lower", "signed", 2),
        Column("ci_upper", "signed", 2),
        Column("n_pairs", "whole"),
    )

    @property
    def signals(self) -> list[str]:
        """The signals that the data have."""
        return [name for name in SIGNALS if name in self.course and self.course[name].notna().any()]

    @property
    def findings(self) -> tuple[Finding, ...]:
        if not self.signals:
            return (Finding("companions.none"),)
        now = tuple(f for f in (self._now(name) for name in self.signals) if f is not None)
        if self.table.empty:
            return (*now, Finding("companions.short", {"n": len(self.course), "least": ENOUGH}))
        clear = self.table[self.table["is_clear"]]
        if clear.empty:
            return (*now, Finding("companions.no_lead"))
        best = clear.loc[clear.groupby("signal", sort=False)["correlation"].agg(lambda r: r.abs().idxmax())]
        return (*now, *(self._leads(row) for row in best.itertuples()))

    def _now(self, name: str) -> Finding | None:
        values = self.course.set_index("period")[name]
        now, before = (values.get(str(p), np.nan) for p in (self.about.period, self.about.period.year_before()))
        if pd.isna(now):
            return None
        return Finding(f"companions.now.{name}", {"now": now, "before": before})

    def _leads(self, row) -> Finding:
        when = "leads" if row.lag > 0 else "lags" if row.lag < 0 else "same"
        way = "same" if row.correlation > 0 else "opposite"
        names = ("correlation", "ci_lower", "ci_upper")
        values = {name: getattr(row, name) for name in names} | {"lag": abs(row.lag)}
        signal = text.label(f"companions.signal.{row.signal}")
        return Finding(f"companions.{when}.{way}", values | {"signal": signal}, grade="weak")

    @property
    def subtitle(self) -> Statement | None:
        return Statement("companions.subtitle") if self.signals else None

    @property
    def notes(self) -> tuple[Statement, ...]:
        if not self.signals:
            return ()
        told = () if self.table.empty else (Statement("companions.note.surprises"),)
        return (Statement("companions.note.cause"), *told, Statement("companions.note.survey", {"least": FEWEST}))

    def plot(self, ax=None):
        if not self.signals:
            return None
        shown = self.course.tail(PLOTTED)
        tracks = [plots.Track(text.say("companions.churn_rate"), shown["churn_rate"].tolist())]
        for name in self.signals:
            kind, digits = SIGNALS[name]
            ends = [shown[f"{name}_{end}"].tolist() for end in ("lower", "upper")]
            tracks.append(
                plots.Track(
                    text.say(f"companions.signal.{name}"), shown[name].tolist(), *ends, kind=kind, digits=digits
                )
            )
        return plots.aligned(tracks, period_values(shown["period"]), ax=ax)


def companion_signals(counts, companions) -> CompanionSignals:
    """Lay satisfaction and complaints beside the churn rate and ask which of them moves first.

    Parameters
    ----------
    counts : Counts
        From `period_counts(data)`.
    companions : Counts or None
        From `companion_counts(data)`; None where the data have no contacts.

    Returns
    -------
    CompanionSignals
        One row per signal and lag. What moves together need not be cause and effect.
    """
    about = counts.about
    course = signal_course(counts.frame, None if companions is None else companions.frame, about)
    names = [name for name in SIGNALS if name in course and course[name].notna().sum() >= ENOUGH]
    days = np.array([p.days for p in period_values(course["period"])], float) if len(course) else np.array([])
    scale = {"churn_rate": days, "complaints": days}  # a longer month has more of both
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = {n: surprises(course[n].to_numpy(float) / scale.get(n, 1.0), about) for n in ("churn_rate", *names)}
    rows = [
        {"signal": name, **row}
        for name in names
        for row in lead_lag(surprise[name], surprise["churn_rate"], len(names) * len(LAGS), about.conf_level)
    ]
    return CompanionSignals(about=about, table=pd.DataFrame(rows), name="companion_signals", course=course)


def signal_course(frame: pd.DataFrame, companions: pd.DataFrame | None, about) -> pd.DataFrame:
    """Work out the signals by complete period, each with its interval."""
    rows = frame[frame["is_complete"] & (frame["n_opening"] >= max(about.min_denominator, 1))]
    rows = rows.sort_values("period").reset_index(drop=True)
    out = pd.DataFrame({"period": rows["period"], "churn_rate": rows["n_churned_opening"] / rows["n_opening"]})
    if companions is None:
        return out
    both = out[["period"]].merge(companions, on="period", how="left").fillna(0)
    n, z = both["n_scores"].where(both["n_scores"] >= FEWEST), ndtri((1 + about.conf_level) / 2)
    mean = both["score_sum"] / n
    half = z * np.sqrt((both["score_sum2"] / n - mean**2).clip(lower=0) / (n - 1))
    out = out.assign(satisfaction=mean, satisfaction_lower=mean - half, satisfaction_upper=mean + half)
    told = both["n_complaints"] >= FEWEST
    base = rows["n_opening"] / 1000
    half = z * np.sqrt(both["n_complaints"]) / base
    rate = (both["n_complaints"] / base).where(told)
    out = out.assign(complaints=rate, complaints_lower=(rate - half).clip(lower=0), complaints_upper=rate + half)
    lower, upper = wilson(both["n_unresolved"], both["n_complaints"], about.conf_level)
    share = (both["n_unresolved"] / both["n_complaints"]).where(told)
    known = told & (both["n_unresolved"].sum() > 0)  # where nobody notes it, none is unresolved
    ends = {f"unresolved_{end}": pd.Series(v).where(known) for end, v in (("lower", lower), ("upper", upper))}
    return out.assign(unresolved=share.where(known), **ends)


def surprises(values: np.ndarray, about) -> np.ndarray:
    """Give what could not be told from the period before: the residuals of a first-order autoregression.

    Two series that only drift are correlated at every lag; their surprises are not. Where three years are known, the
    usual differences between the months of the year are taken off first.
    """
    y = np.asarray(values, float).copy()
    year = YEAR[about.period.unit]
    if 1 < year <= 12 and np.isfinite(y).sum() >= 3 * year:
        for month in range(year):
            y[month::year] -= np.nanmean(y[month::year])
    x0, x1 = y[:-1], y[1:]
    known = np.isfinite(x0) & np.isfinite(x1)
    out = np.full(len(y), np.nan)
    if known.sum() < 3 or np.nanstd(x0[known]) == 0:
        return out
    slope = np.polyfit(x0[known], x1[known], 1)
    out[1:] = np.where(known, x1 - np.polyval(slope, x0), np.nan)
    return out


def lead_lag(signal: np.ndarray, churn: np.ndarray, looked: int, conf_level: float = 0.95) -> list[dict]:
    """Correlate two series of surprises at several lags.

    Parameters
    ----------
    signal, churn : numpy.ndarray
        As long as each other, NaN where unknown.
    looked : int
        Correlations that are looked at in all: the intervals hold for all of them together.

    Returns
    -------
    list of dict
        One a lag.

    References
    ----------
    Haugh, L. D. (1976). Checking the independence of two covariance-stationary time series. JASA 71, 378-385.
    """
    z, rows = ndtri(1 - (1 - conf_level) / 2 / looked), []
    for lag in LAGS:
        x, y = (signal[: len(signal) - lag], churn[lag:]) if lag >= 0 else (signal[-lag:], churn[:lag])
        known = np.isfinite(x) & np.isfinite(y)
        n = int(known.sum())
        if n < ENOUGH // 2 or np.std(x[known]) == 0 or np.std(y[known]) == 0:
            continue
        r = float(np.clip(np.corrcoef(x[known], y[known])[0, 1], -0.9999, 0.9999))
        low, high = (float(np.tanh(np.arctanh(r) + side * z / np.sqrt(n - 3))) for side in (-1, 1))
        ends = {"ci_lower": low, "ci_upper": high, "n_pairs": n, "is_clear": low > 0 or high < 0}
        rows.append({"lag": lag, "correlation": r, **ends})
    return rows
