"""What accompanies churn: satisfaction and complaints on the same time axis, and who moves first; never as a cause."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import t

from churnlib import text
from churnlib.about import YEAR, Period
from churnlib.intervals import wilson
from churnlib.show import plots
from churnlib.show.results import Column, Finding, Result, Statement, period_values, table_columns
from churnlib.trend.pchart import SHORTEST
from churnlib.trend.season import YEARS, lengths, season_terms
from churnlib.trend.series import PLOTTED, complete_periods
from churnlib.trend.trend import BASELINE

LAGS = range(-3, 7)  # periods by which the signal moves before churn
ENOUGH = 24  # periods without which nothing is said about leads and lags
FALSE_ALARM = 0.05  # in a year, over all signals
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
        One row per complete period up to the report's: `churn_rate`, and of each signal that the data have the value
        with its interval: `satisfaction` (mean score), `complaints` (per 1,000 opening customers), `unresolved` (share
        of complaints).
    """

    course: pd.DataFrame
    module = "companions"
    columns = table_columns(
        Column("signal", "term", prefix="companions.signal"),
        "lag:signed correlation:signed.2 ci_lower:signed.2 ci_upper:signed.2 n_pairs",
    )

    @property
    def signals(self) -> list[str]:
        """The signals that the data have."""
        return [name for name in SIGNALS if name in self.course and self.course[name].notna().any()]

    @property
    def findings(self) -> tuple[Finding, ...]:
        if not self.signals:
            return (Finding("companions.none"),)
        return (*self._departed(), *self._order())

    def _departed(self) -> tuple[Finding, ...]:
        """Which signals left their usual range, and whether churn did."""
        names = ("churn_rate", *self.signals)
        left = {name: departure(self.course, name, self.about, len(names)) for name in names}
        churn = left.pop("churn_rate")
        said = {name: found for name, found in left.items() if found}
        if not said:
            key = "companions.usual" + (".one" if len(self.signals) == 1 else "")
            return (Finding(key, {"n": len(self.signals)}),)
        names = [text.label(f"companions.signal.{name}") for name in said]
        values = {"signals": text.shown(names, "list")}
        stretches = tuple(_stretch(name, *found) for name, found in said.items())
        if churn is None:
            return (Finding("companions.departed.alone", values, grade="weak"), *stretches)
        ends = {"first": churn[0], "last": churn[1]}
        return (Finding("companions.departed", values | ends, grade="weak"), *stretches)

    def _order(self) -> tuple[Finding, ...]:
        """Which signal moves before churn, as far as the data can tell."""
        if self.table.empty:
            known = max(int(self.course[name].notna().sum()) for name in self.signals)
            return (Finding("companions.short", {"n": known, "least": ENOUGH}),)
        clear = self.table[self.table["is_clear"]]
        if clear.empty:
            return (Finding("companions.no_lead"),)
        best = clear.loc[clear.groupby("signal", sort=False)["correlation"].agg(lambda r: r.abs().idxmax())]
        return tuple(self._leads(row) for row in best.itertuples())

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
        surprises = () if self.table.empty else ("surprises",)
        notes = (Statement(f"companions.note.{what}") for what in ("cause", "usual", *surprises))
        return (*notes, Statement("companions.note.survey", {"least": FEWEST}))

    def plot(self, ax=None):
        if not self.signals:
            return None
        shown = self.course.tail(PLOTTED)
        tracks = [plots.Track(text.say("companions.churn_rate"), shown["churn_rate"].tolist())]
        for name in self.signals:
            kind, digits = SIGNALS[name]
            values = (shown[column].tolist() for column in (name, f"{name}_lower", f"{name}_upper"))
            tracks.append(plots.Track(text.say(f"companions.signal.{name}"), *values, kind=kind, digits=digits))
        return plots.aligned(tracks, period_values(shown["period"]), events=self.about.events, ax=ax)


def _stretch(name: str, first: Period, last: Period, usual: float, extreme: float) -> Finding:
    """Since when, until when and how far a signal left its usual range."""
    kind, digits = SIGNALS[name]
    values = {"signal": text.label(f"companions.signal.{name}"), "first": first, "last": last}
    values |= {"usual": text.shown(usual, kind, digits), "extreme": text.shown(extreme, kind, digits)}
    return Finding("companions.stretch", values)


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
    periods, found = period_values(course["period"]), {}
    for name in ("churn_rate", *names) if names else ():
        found[name] = surprises(course[name].to_numpy(float) / _per_day(name, periods), periods)
    looked = len(names) * len(LAGS)
    rows = [
        {"signal": name, **row}
        for name in names
        for row in lead_lag(found[name][0], found["churn_rate"][0], looked, about.conf_level, found[name][1])
    ]
    return CompanionSignals(about=about, table=pd.DataFrame(rows), name="companion_signals", course=course)


def signal_course(frame: pd.DataFrame, companions: pd.DataFrame | None, about) -> pd.DataFrame:
    """Work out the signals by complete period, each with its interval."""
    rows = complete_periods(frame[frame["n_opening"] >= about.min_denominator], about)
    out = rows[["period", "churn_rate"]]
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


def departure(course: pd.DataFrame, name: str, about, looked: int) -> tuple[Period, Period, float, float] | None:
    """Tell when one of several series that are `looked` at left the range of its baseline within the last year.

    Returns
    -------
    tuple or None
        First and last period beyond prediction limits such that one false alarm in all series, all year, has a chance
        of 5 %; the usual level and the value farthest from it. None when it never left, or there is no baseline.
    """
    y, periods, year = course[name].to_numpy(float), period_values(course["period"]), YEAR[about.period.unit]
    scale = _per_day(name, periods)
    usual = (y / scale)[:-year]
    usual = usual[np.isfinite(usual)][-BASELINE:]
    if len(usual) < SHORTEST:
        return None
    limit = t.ppf(1 - FALSE_ALARM / 2 / year / looked, len(usual) - 1) * usual.std(ddof=1) * np.sqrt(1 + 1 / len(usual))
    away = y / scale - usual.mean()
    beyond = np.flatnonzero(np.abs(away) > limit)
    beyond = beyond[beyond >= len(y) - year]
    if not beyond.size:
        return None
    top = beyond[np.abs(away[beyond]).argmax()]
    return periods[beyond[0]], periods[beyond[-1]], float(usual.mean() * scale.mean()), float(y[top])


def _per_day(name: str, periods: list[Period]) -> np.ndarray:
    """A longer month has more losses and complaints; other signals are means and shares."""
    return lengths(periods) if name in ("churn_rate", "complaints") else np.ones(len(periods))


def surprises(values: np.ndarray, periods: list[Period]) -> tuple[np.ndarray, int]:
    """Give what could not be told from the period before: the residuals of a first-order autoregression.

    Two series that only drift are correlated at every lag; their surprises are not. Where three years are known, the
    season (with the Spring Festival) is taken off first: the second number is how many observations that has cost.
    """
    y, out = np.asarray(values, float), np.full(len(values), np.nan)
    known, season = np.isfinite(y), np.empty((len(y), 0))
    if known.sum() >= YEARS * YEAR[periods[0].unit] and 1 < YEAR[periods[0].unit] <= 12:
        season = season_terms(periods)
        season = season[:, np.ptp(season[known], axis=0) > 0]
        terms = np.column_stack([np.ones(len(y)), season])
        y = y - terms @ np.linalg.lstsq(terms[known], y[known], rcond=None)[0]
    before, now = y[:-1], y[1:]
    both = np.isfinite(before) & np.isfinite(now)
    if both.sum() >= 3 and np.std(before[both]) > 0:
        out[1:] = np.where(both, now - np.polyval(np.polyfit(before[both], now[both], 1), before), np.nan)
    return out, season.shape[1]


def lead_lag(
    signal: np.ndarray, churn: np.ndarray, looked: int, conf_level: float = 0.95, fitted: int = 0
) -> list[dict]:
    """Correlate two series of surprises, NaN where unknown, at several lags.

    Parameters
    ----------
    signal, churn : numpy.ndarray
    looked : int
        Correlations that are looked at in all: the intervals hold for all of them together.
    fitted : int
        Observations that the season has cost.

    References
    ----------
    Haugh, L. D. (1976). Checking the independence of two covariance-stationary time series. JASA 71, 378-385.
    """
    z, rows = ndtri(1 - (1 - conf_level) / 2 / looked), []
    for lag in LAGS:
        x, y = (signal[: len(signal) - lag], churn[lag:]) if lag >= 0 else (signal[-lag:], churn[:lag])
        known = np.isfinite(x) & np.isfinite(y)
        n = int(known.sum())
        if n - fitted < ENOUGH // 2 or np.std(x[known]) == 0 or np.std(y[known]) == 0:
            continue
        r = float(np.clip(np.corrcoef(x[known], y[known])[0, 1], -0.9999, 0.9999))
        low, high = (float(np.tanh(np.arctanh(r) + side * z / np.sqrt(n - 3 - fitted))) for side in (-1, 1))
        ends = {"ci_lower": low, "ci_upper": high, "n_pairs": n, "is_clear": low > 0 or high < 0}
        rows.append({"lag": lag, "correlation": r, **ends})
    return rows
