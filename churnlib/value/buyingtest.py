"""Whether customers without a contract bought as expected after the data that a model was fitted to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import ndtri

from churnlib.value.buying import WEEK, BuyTillYouDie

STEP = 0.01  # of the logarithm of a parameter, for the slope of what is expected


def held_out(
    model: BuyTillYouDie,
    history: pd.DataFrame,
    group: np.ndarray,
    weeks: float,
    spend: pd.Series,
    error: float,
    conf_level: float,
) -> pd.DataFrame:
    """Set the purchases and amounts that came beside those expected, by group of customers.

    The interval is of what should have come: chance, as large as customers of the same history differed from what was
    expected of them (their squares are counted), and the uncertainty of the model, by the delta method.

    Parameters
    ----------
    model : BuyTillYouDie
        Fitted to the first half.
    history : pandas.DataFrame
        One row per history as known half-way, with what came after (see `purchase_counts`).
    group : numpy.ndarray, shape (n_histories,)
    weeks : float
        Length of the second half.
    spend : pandas.Series, shape (n_histories,)
        Expected amount of a purchase.
    error : float
        Relative standard error of the mean amount.

    Returns
    -------
    pandas.DataFrame
        One row per `what` ("purchases", "amount") and group, the index: `n_customers`, `expected`, `lower`, `upper`,
        `came`; sums over customers.

    References
    ----------
    Residual variance of a predicted total: Valliant, R., Dorfman, A. H., Royall, R. M. (2000). Finite Population
    Sampling and Inference, chapter 5.
    """
    n, z = history["n_customers"].to_numpy(), ndtri((1 + conf_level) / 2)
    each = _later(model, history, weeks)
    slopes = np.array([_later(up, history, weeks) - _later(down, history, weeks) for up, down in _beside(model)])
    slopes /= 2 * STEP

    def sums(values: np.ndarray) -> np.ndarray:
        return np.bincount(group, values)

    parts = {"purchases": (1.0, "n_later", 0.0), "amount": (spend.to_numpy(), "later", error)}
    told = {}
    for what, (worth, name, error_of_worth) in parts.items():
        own, came = each * worth, history[name].to_numpy()
        squares = history[f"{name}2"].to_numpy() - 2 * own * came + n * own**2
        expected, slope = sums(n * own), np.array([sums(n * worth * each_slope) for each_slope in slopes])
        chance = sums(squares) - (sums(came) - expected) ** 2 / sums(n)
        fitted = np.einsum("ig,ij,jg->g", slope, model.covariance, slope) + (error_of_worth * expected) ** 2
        half = z * np.sqrt(np.maximum(chance, 0) + np.maximum(fitted, 0))
        columns = {"n_customers": sums(n), "expected": expected, "came": sums(came)}
        told[what] = pd.DataFrame(columns | {"lower": np.maximum(expected - half, 0), "upper": expected + half})
    return pd.concat(told, names=["what", "group"])


def _later(model: BuyTillYouDie, history: pd.DataFrame, weeks: float) -> np.ndarray:
    """Expected purchases of one customer of each history in some weeks after it."""
    recency, age = history["recency"] / WEEK, history["age"] / WEEK
    return model.expected_later(history["n_repeat"], recency, age, weeks)


def _beside(model: BuyTillYouDie) -> list[tuple[BuyTillYouDie, BuyTillYouDie]]:
    """The model with each parameter a step higher and lower."""
    names = ("r", "alpha", "a", "b")
    return [
        tuple(replace(model, **{name: getattr(model, name) * np.exp(step)}) for step in (STEP, -STEP)) for name in names
    ]
