"""What to expect: the survival curve carried on beyond the data, by the formula that would have foretold the past best.

Each formula is fitted to what was known on an earlier day and scored on what came after (rolling origin). Nothing is
projected where none does better than a constant risk, or where the data are too short to tell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtri

from churnlib import text
from churnlib.show.results import Column, Finding, Statement, table_columns
from churnlib.survival.base import MONTHS, SurvivalResult, by_tenure, curve_of
from churnlib.survival.curves import LevelCurve, level_curves
from churnlib.survival.estimators import survival_interval
from churnlib.survival.lifetable import ALL, LifeTable, anniversary, life_table
from churnlib.survival.parametric import MODELS, SIMPLE, Clock, Grouped, LifeFit, fit_curve, log_likelihood
from churnlib.survival.suppression import merge_small_steps

BEATS = 1.92  # held-out log likelihood by which more parameters have to do better: half the 95% point of chi-squared(1)
NEEDED = 2  # earlier days on which the formulas are tried
USABLE = 0.5  # half the interval of the losses ahead, as a share of them, beyond which they are not told


@dataclass(frozen=True, kw_only=True)
class SurvivalProjection(SurvivalResult):
    """The survival curve, observed and projected.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per month to the horizon: `months`, `n_at_risk`, `n_events` up to it, `survival` with `ci_lower`,
        `ci_upper` in [0, 1], and whether it `is_projected`: from the end of the observed curve on.
    trials : pandas.DataFrame
        One row per formula: `model`; over all earlier days `gain`, its held-out log likelihood less that of a constant
        risk; `expected` events after them beside those that `came`; `is_chosen`.
    fit : LifeFit or None
        The chosen one; None where nothing is projected.
    why : {"", "none_better", "too_uncertain", "too_short", "snapshot"}
        Why nothing is projected.
    ahead : dict
        Of the customers of today (`n`): `lost` within `step` months with `lower`, `upper`; empty if not projected.
    step : int
        Months ahead that were tried, and that are projected.
    observed_to : int
        Months at which the observed curve ends.
    """

    trials: pd.DataFrame
    fit: LifeFit | None
    why: str
    ahead: dict
    step: int
    observed_to: int

    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "months:whole n_at_risk survival:pct.1 ci_lower:pct.1 ci_upper:pct.1 is_projected:text"
    )
    trial_columns: ClassVar[tuple[Column, ...]] = table_columns(
        Column("model", "term", prefix="survival.model"), "gain:signed.1 expected:whole came:whole"
    )
    folded: ClassVar[bool] = False

    def read_columns(self) -> list[Column]:
        return list(self.trial_columns)

    def summary(self, language: str | None = None) -> pd.DataFrame:
        """How the formulas did on what came after earlier days; the projection itself is in the figure and the file."""
        language, trials = language or text.language(), self.trials
        return pd.DataFrame(dict(self._column_text(c, trials[c.name], language) for c in self.trial_columns))

    @property
    def shown(self) -> pd.DataFrame:
        """The months that the survival curve shows, and those projected."""
        seen = self.table[~self.table["is_projected"]]
        milestones = np.isin(seen["months"], MONTHS)
        keep = merge_small_steps(seen[["n_events"]].to_numpy(float).T, self.about.privacy_k, anchors=milestones)[0]
        return self.table[np.r_[keep, np.ones(len(self.table) - len(seen), bool)]]

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.fit is None:
            values = {"needed": NEEDED, "n": self.about.min_denominator}
            return (Finding(f"survival.projection.{self.why}", values),)
        last, model = self.table.iloc[-1], text.label(f"survival.model.{self.fit.kind}")
        values = self.ahead | {"share": self.ahead["lost"] / self.ahead["n"], "step": self.step}
        ahead = Finding("survival.projection.ahead", values, grade="moderate", weight=self.ahead["lost"])
        values = {"observed": self.observed_to, "horizon": int(last.months), "model": model, "left": last.survival}
        values |= {"lower": last.ci_lower, "upper": last.ci_upper}
        return (ahead, Finding("survival.projection.beyond", values, grade="weak"))

    @property
    def subtitle(self) -> Statement | None:
        values = {"as_of": self.about.as_of, "n": int(self.ahead.get("n", 0))}
        return Statement("survival.projection.subtitle", values) if self.fit else None

    @property
    def notes(self) -> tuple[Statement, ...]:
        if self.trials.empty:
            return ()
        tried = Statement("survival.note.trials", {"n": int(self.trials["n_origins"].max()), "step": self.step})
        if self.fit is None:
            return (tried,)
        others = self.trials[(self.trials["gain"] > 0) & (self.trials["model"] != SIMPLE)]["left"]
        values = {"model": text.label(f"survival.model.{self.fit.kind}"), "margin": BEATS}
        values |= {"low": others.min(), "high": others.max(), "horizon": int(self.table["months"].max())}
        key = "chosen" if f"{others.min():.3f}" != f"{others.max():.3f}" else "chosen_alike"
        return (tried, Statement(f"survival.note.{key}", values), Statement("survival.note.projection"))

    def plot(self, ax=None):
        if self.fit is None:
            return None
        shown = self.shown.assign(**self.shown[["ci_lower", "ci_upper"]].fillna(1))
        seen, ahead = shown[~shown["is_projected"]], shown[shown["is_projected"]]
        ahead = pd.concat([seen.tail(1), ahead])  # the projection sets out from the last month shown
        said = text.show(ahead["survival"].iloc[-1], "pct", digits=0)
        curves = [
            curve_of(seen, "survival", text.say("survival.projection.observed"), role="ink"),
            curve_of(ahead, "survival", text.say("survival.projection.projected"), said=said),
        ]
        return by_tenure(curves, float(shown["months"].max()), ax)


def project_survival(counts) -> SurvivalProjection:
    """Carry the survival curve on, with the formula that would have foretold best what came after earlier days.

    Parameters
    ----------
    counts : OriginCounts
        From `origin_counts(data)`.

    Returns
    -------
    SurvivalProjection
        One row per month.

    References
    ----------
    Tashman, L. J. (2000). Out-of-sample tests of forecasting accuracy. International Journal of Forecasting 16,
    437-450 (rolling origins). Good, I. J. (1952). Rational decisions. JRSS B 14, 107-114 (the logarithmic score).
    """
    about, clock = counts.about, Clock.of(counts.about)
    frame, life = counts.frame, life_table(replace(counts, frame=counts.frame.assign(level=ALL)))
    (curve,) = level_curves(life, about.min_denominator, about.conf_level)
    end = int(life.months(curve.tenure[-1])) if len(curve.tenure) else 0
    trials = try_formulas(counts, clock)
    why, kind = _why_not(about, trials, curve), ""
    if not why:
        kind = choose(trials)
        why = "" if kind else "none_better"
    fit, ahead, step, left, level = None, {}, 0, np.nan, 0.0
    if kind:
        step, whole = counts.step, Grouped.of(frame, clock)
        fits = {k: fit_curve(k, whole) for k in trials["model"]}
        fit = replace(fits[kind], covariance=fits[kind].covariance * dispersion(fits[kind], frame, clock))
        row = trials.set_index("model").loc[kind]
        level = max(row.miss / row.n_origins, 0.0)  # how far off the level of all risks was after earlier days
        ahead = _losses_ahead(frame, fit, step, clock, about.conf_level, level)
        times = clock.time(anniversary([end, end + step], life.unit))
        seen = float(curve.read(anniversary(end, life.unit))["survival"])
        left = [seen * float(np.exp(np.diff(f.log_survival(times))[0])) for f in fits.values()]
        if ahead["upper"] - ahead["lost"] > USABLE * ahead["lost"]:
            fit, ahead, step, why = None, {}, 0, "too_uncertain"
    table = _carried_on(life, curve, end, step, fit, clock, about.conf_level, level)
    trials = trials.assign(left=left, is_chosen=trials["model"] == kind)
    has = {"trials": trials, "fit": fit, "why": why, "ahead": ahead}
    has |= {"step": counts.step, "observed_to": end}
    return SurvivalProjection(about=about, table=table, name="survival_projection", **has)


def try_formulas(counts, clock: Clock) -> pd.DataFrame:
    """Fit every formula to the stretches before each earlier day, and score it on the stretch after it.

    Returns
    -------
    pandas.DataFrame
        One row per formula, sums over the earlier days with enough events before and after them: `model`, `gain`,
        `expected`, `came`, `miss` (squared logarithm of came over expected, less what chance gives) and `n_origins`.
    """
    frame, rows = counts.frame, []
    for k in range(1, len(counts.origins) + 1):
        known, came = (Grouped.of(frame[at], clock) for at in (frame["stretch"] < k, frame["stretch"] == k))
        if min(known.n_events.sum(), came.n_events.sum()) < counts.about.min_denominator:
            continue
        fits = {kind: fit_curve(kind, known) for kind in (SIMPLE, *MODELS)}
        scores = {kind: log_likelihood(kind, fit.estimates, came) for kind, fit in fits.items()}
        for kind, fit in fits.items():
            gain, expected = scores[kind] - scores[SIMPLE], fit.expected(came).sum()
            n = came.n_events.sum()
            rows.append((kind, gain, expected, n, np.log(n / expected) ** 2 - 1 / n, 1))
    table = pd.DataFrame(rows, columns=["model", "gain", "expected", "came", "miss", "n_origins"])
    return table.groupby("model", sort=False, as_index=False).sum()


def choose(trials: pd.DataFrame) -> str:
    """Choose the formula with the greatest gain, where more parameters gain `BEATS` more; "" where none does."""
    gain = trials.set_index("model")["gain"]
    chosen = SIMPLE
    for names in (["weibull", "lognormal"], ["cure"]):
        best = gain[names].idxmax()
        chosen = best if gain[best] > gain[chosen] + BEATS else chosen
    return "" if chosen == SIMPLE else chosen


def _why_not(about, trials: pd.DataFrame, curve: LevelCurve) -> str:
    if about.snapshot:
        return "snapshot"
    short = trials.empty or trials["n_origins"].max() < NEEDED
    return "too_short" if short or curve.start > 0 or not len(curve.tenure) else ""


def dispersion(fit: LifeFit, frame: pd.DataFrame, clock: Clock) -> float:
    """Measure how much more the losses of stretches and years of tenure vary than chance, as a multiple; 1 at least."""
    cells = []
    for _, part in frame.groupby("stretch"):
        data = Grouped.of(part, clock)
        years = (data.time // 12).astype(int)
        cells.append(np.stack([np.bincount(years, data.n_events), np.bincount(years, fit.expected(data))]))
    observed, expected = np.concatenate(cells, axis=1)
    used = expected >= 5
    degrees = used.sum() - len(fit.estimates)
    pearson = ((observed - expected)[used] ** 2 / expected[used]).sum()
    return max(1.0, float(pearson / degrees)) if degrees > 0 else 1.0


def _carried_on(life: LifeTable, curve, end: int, step: int, fit, clock: Clock, conf_level, level) -> pd.DataFrame:
    """One row per month: the observed curve, then the formula's course from its end."""
    months = np.arange(end + step + 1)
    ahead, tenure = months > end, anniversary(months, life.unit)
    read = {name: v.copy() for name, v in curve.read(np.minimum(tenure, tenure[end])).items()}
    if fit:
        times, start = clock.time(tenure[ahead]), clock.time(tenure[end])
        further = fit.log_survival(times) - fit.log_survival(start)
        log_s = np.log(read["survival"][ahead]) + further
        own = [fit.variance(lambda p, t=t: fit.log_survival(t, p) - fit.log_survival(start, p)) for t in times]
        read["survival"][ahead] = np.exp(log_s)
        variance = read["log_variance"][ahead] + own + level * further**2
        ends = survival_interval(np.exp(log_s), variance, conf_level)
        read["ci_lower"][ahead], read["ci_upper"][ahead] = ends
    n = {"n_at_risk": life.at_risk_after(tenure)[0], "n_events": life.lost_by(tenure)[0]}
    table = {"months": months} | {name: np.where(ahead, np.nan, v) for name, v in n.items()}
    return pd.DataFrame(table | {c: read[c] for c in ("survival", "ci_lower", "ci_upper")} | {"is_projected": ahead})


def _losses_ahead(frame: pd.DataFrame, fit: LifeFit, step: int, clock: Clock, conf_level: float, level: float) -> dict:
    """Of the customers of today, how many are expected to leave within `step` months: by tenure, then added."""
    here = frame[(frame["stretch"] == frame["stretch"].max()) & (frame["n_censored"] > 0)]
    n, tenure = here["n_censored"].to_numpy(float), here["tenure"].to_numpy(float)
    now, then = clock.time(tenure), clock.time(tenure + anniversary(step, clock.unit))

    def leave(p: np.ndarray | None = None) -> np.ndarray:
        return -np.expm1(fit.log_survival(then, p) - fit.log_survival(now, p))

    share, slope = leave(), (fit.log_survival(now) - fit.log_survival(then)) * (1 - leave())
    chance = n @ (share * (1 - share))
    error = np.sqrt(fit.variance(lambda p: n @ leave(p)) + chance + level * (n @ slope) ** 2)
    lost, half = float(n @ share), ndtri((1 + conf_level) / 2) * error
    return {"n": n.sum(), "lost": lost, "lower": max(lost - half, 0.0), "upper": min(lost + half, n.sum())}
