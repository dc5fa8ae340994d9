"""Buying without a contract: how likely is each customer still active, from how often and how recently they bought?

The model is BG/NBD: while active a customer buys at random at an own rate (rates gamma distributed), and after each
purchase may silently stop with an own probability (beta distributed). It assumes rates that do not change with season
or age, so it is set beside the declared rule and never replaces it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import betaln, expit, gammaln, hyp2f1

from churnlib.show import disclosure
from churnlib.show.results import Column, Finding, Result, Statement

WEEK = 7.0


@dataclass(frozen=True)
class BuyTillYouDie:
    """A fitted BG/NBD model; time in weeks.

    Attributes
    ----------
    r, alpha : float
        Shape and rate of the gamma distribution of purchases a week.
    a, b : float
        Of the beta distribution of stopping after a purchase.
    loglik : float
    converged : bool
    covariance : numpy.ndarray, shape (4, 4)
        Of the logarithms of r, alpha, a and b, from the curvature of the likelihood.
    """

    r: float
    alpha: float
    a: float
    b: float
    loglik: float
    converged: bool
    covariance: np.ndarray | None = None

    def probability_active(self, x, recency, age) -> np.ndarray:
        """Give the probability that a customer is still active.

        Parameters
        ----------
        x, recency, age : array-like
            Repeat purchases; weeks from the first purchase to the last, and to the end of observation.

        Returns
        -------
        numpy.ndarray
            In [0, 1]; NaN for x = 0: the model knows no stopping before a first repeat purchase, so that its
            "probability 1" for one-time buyers is an assumption and not an estimate.

        References
        ----------
        Fader, P. S., Hardie, B. G. S. (2008). Computing P(alive) using the BG/NBD model.
        """
        x, recency, age = (np.asarray(v, float) for v in (x, recency, age))
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = np.log(self.a / (self.b + x - 1)) + (self.r + x) * np.log(
                (self.alpha + age) / (self.alpha + recency)
            )
        return np.where(x > 0, expit(-odds), np.nan)

    def expected_purchases(self, weeks) -> np.ndarray:
        """Give the expected repeat purchases of a new customer in so many weeks (Fader, Hardie and Lee 2005, eq. 9)."""
        t, (r, alpha, a, b) = np.asarray(weeks, float), (self.r, self.alpha, self.a, self.b)
        still = (alpha / (alpha + t)) ** r * hyp2f1(r, b, a + b - 1, t / (alpha + t))
        return (a + b - 1) / (a - 1) * (1 - still)

    def expected_later(self, x, recency, age, weeks) -> np.ndarray:
        """Give the expected purchases of a customer in the weeks after the end of observation.

        Parameters
        ----------
        x, recency, age : array-like
            As in `probability_active`.
        weeks : float

        References
        ----------
        Fader, Hardie and Lee (2005), equation 10.
        """
        x, recency, age, t = (np.asarray(v, float) for v in (x, recency, age, weeks))
        r, alpha, b = self.r, self.alpha, self.b
        a = self.a if abs(self.a - 1) > 1e-6 else 1 + 1e-6  # a removable singularity
        still = ((alpha + age) / (alpha + age + t)) ** (r + x)
        drop = 1 - still * hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + age + t))
        odds = np.where(x > 0, a / (b + np.maximum(x, 1) - 1) * ((alpha + age) / (alpha + recency)) ** (r + x), 0.0)
        return (a + b + x - 1) / (a - 1) * drop / (1 + odds)


def fit_buying(x, recency, age, n) -> BuyTillYouDie:
    """Fit BG/NBD by maximum likelihood.

    Parameters
    ----------
    x, recency, age : array-like, shape (n_histories,)
        Repeat purchases; weeks from the first purchase to the last, and to the end of observation.
    n : array-like, shape (n_histories,)
        Customers with that history.

    Returns
    -------
    BuyTillYouDie

    References
    ----------
    Fader, P. S., Hardie, B. G. S. and Lee, K. L. (2005). "Counting your customers" the easy way: an alternative to the
    Pareto/NBD model. Marketing Science 24, 275-284, equation 6.
    """
    x, recency, age, n = (np.asarray(v, float) for v in (x, recency, age, n))

    def minus_loglik(theta: np.ndarray) -> float:
        return -float(n @ _loglik(np.exp(theta), x, recency, age)) / n.sum()

    best = minimize(minus_loglik, np.zeros(4), method="L-BFGS-B", bounds=[(-8, 8)] * 4, options={"ftol": 1e-13})
    r, alpha, a, b = np.exp(best.x)
    # a large b is no failure: all customers are equally likely to stop, and only a / b matters
    inside = (best.x > -7.9) & (best.x < (7.9, 7.9, 7.9, np.inf))
    converged = bool(best.success and inside.all())
    information = n.sum() * _curvature(minus_loglik, best.x)
    return BuyTillYouDie(r, alpha, a, b, -best.fun * n.sum(), converged, np.linalg.pinv(information, hermitian=True))


def _curvature(function: Callable[[np.ndarray], float], at: np.ndarray, step: float = 0.01) -> np.ndarray:
    """Second derivatives by central differences."""
    moves = step * np.eye(len(at))

    def across(u: np.ndarray, v: np.ndarray) -> float:
        return function(at + u + v) - function(at + u - v) - function(at - u + v) + function(at - u - v)

    return np.array([[across(u, v) for v in moves] for u in moves]) / (4 * step**2)


def _loglik(parameters: np.ndarray, x: np.ndarray, recency: np.ndarray, age: np.ndarray) -> np.ndarray:
    """The log-likelihood of each history: still active at the end, or stopped right after the last purchase."""
    r, alpha, a, b = parameters
    common = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - betaln(a, b)
    active = betaln(a, b + x) - (r + x) * np.log(alpha + age)
    stopped = betaln(a + 1, b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + recency)
    return common + np.where(x > 0, np.logaddexp(active, stopped), active)


@dataclass(frozen=True, kw_only=True)
class StillActive(Result):
    """What the declared rule calls customers, beside how likely they are active by their own buying rhythm.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per state under the rule and kind of buyer (`buyers`: "repeat" or "once"): `n_customers`, `p_active`
        (mean probability of being active in [0, 1]; missing for one-time buyers, for whom it is not identified),
        `n_doubtful` (customers that the rule calls active and the model below one half, or churned and above).
    model : BuyTillYouDie
    """

    model: BuyTillYouDie
    module: ClassVar[str] = "buying"
    folded: ClassVar[bool] = False
    columns: ClassVar[tuple[Column, ...]] = (
        Column("state", "term", prefix="buying.state"),
        Column("buyers", "term", prefix="buying.buyers"),
        Column("n_customers", "whole"),
        Column("p_active", "pct", 1),
        Column("n_doubtful", "whole"),
    )

    @property
    def shown(self) -> pd.DataFrame:
        return disclosure.protect(
            self.table, self.about, count="n_customers", base="n_customers", hides=("p_active", "n_doubtful")
        )

    @property
    def findings(self) -> tuple[Finding, ...]:
        repeat, once = (self.table[self.table["buyers"] == kind] for kind in ("repeat", "once"))
        if repeat.empty or not self.model.converged:
            return (Finding("buying.no_model", {"n": int(once["n_customers"].sum())}),)
        n = int(repeat["n_customers"].sum())
        doubtful = int(repeat["n_doubtful"].sum())
        values = {"n": n, "doubtful": doubtful, "share": doubtful / n, "definition": self.about.definition_label}
        once_values = {"n": int(once["n_customers"].sum()), "all": int(self.table["n_customers"].sum())}
        return (Finding("buying.doubtful", values), Finding("buying.once", once_values))

    @property
    def notes(self) -> tuple[Statement, ...]:
        if not self.model.converged:
            return ()
        fitted = {name: getattr(self.model, name) for name in ("r", "alpha", "a", "b")}
        return (Statement("buying.note", fitted),)


def still_active(counts) -> StillActive:
    """Set the declared rule beside the probability of being active.

    Parameters
    ----------
    counts : Counts
        From `repeat_counts(data)`.

    Returns
    -------
    StillActive
        One row per state and kind of buyer.
    """
    frame = counts.frame
    recency, age = frame["recency"] / WEEK, frame["age"] / WEEK
    model = fit_buying(frame["n_repeat"], recency, age, frame["n_customers"])
    p = model.probability_active(frame["n_repeat"], recency, age)
    wrong = np.where(frame["state"] == "active", p < 0.5, p > 0.5)
    told = frame.assign(
        buyers=np.where(frame["n_repeat"] > 0, "repeat", "once"),
        weighted=p * frame["n_customers"],
        n_doubtful=np.where(np.isnan(p), 0, wrong) * frame["n_customers"],
    )
    table = told.groupby(["state", "buyers"], as_index=False)[["n_customers", "weighted", "n_doubtful"]].sum()
    once = table["buyers"] == "once"
    table["p_active"] = (table.pop("weighted") / table["n_customers"]).mask(once)
    table["n_doubtful"] = table["n_doubtful"].astype(float).mask(once)
    return StillActive(about=counts.about, table=table, name="still_active", model=model)
