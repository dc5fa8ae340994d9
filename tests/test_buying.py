"""Buying without a contract: BG/NBD equals its publication and claims nothing of one-time buyers."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from counted import ABOUT

from churnlib.statistics.buying import fit_buying, still_active

# histories of the CDNOW sample (2,357 customers, purchases to 1997-09-30, 39 weeks), counted from CDNOW_sample.txt in
# PyPI's lifetimes 0.11.3: repeat days, days from the first purchase to the last and to the end, customers
CDNOW = pd.read_csv(Path(__file__).parent / "oracles" / "cdnow_sample_histories.csv")


@pytest.fixture(scope="module")
def model():
    return fit_buying(CDNOW["x"], CDNOW["recency"] / 7, CDNOW["age"] / 7, CDNOW["n"])


def test_bg_nbd_on_the_cdnow_sample_equals_its_publication(model):
    # to the digits that the authors' spreadsheet gives; Fader, Hardie and Lee (2005), table 2:
    # r .243, alpha 4.414, a .793, b 2.426, log-likelihood -9582.4
    assert CDNOW["n"].sum() == 2357
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx((0.2426, 4.4135, 0.7929, 2.4258), abs=5e-4)
    assert model.loglik == pytest.approx(-9582.4, abs=0.05) and model.converged


def test_the_probability_of_being_active_equals_its_publication(model):
    # Fader, Hardie and Lee's spreadsheet note: x = 2, t_x = 30.43, T = 38.86 gives .7266
    assert model.probability_active(2, 30.43, 38.86) == pytest.approx(0.7266, abs=1e-4)


def test_one_time_buyers_have_no_probability(model):
    # mistake 27: P(alive) = 1 is an assumption of the model, not an estimate
    assert np.isnan(model.probability_active([0, 0], [0, 0], [5, 500])).all()


def test_a_longer_silence_never_makes_a_customer_more_active(model):
    p = model.probability_active(np.full(40, 5), np.full(40, 20.0), 20 + np.arange(40.0))
    assert (np.diff(p) < 0).all() and p[0] < 1


def test_simulated_parameters_are_recovered():
    rng = np.random.default_rng(11)
    n, weeks = 30_000, 78.0
    rate, stop = rng.gamma(0.5, 1 / 6.0, n), rng.beta(1.0, 3.0, n)
    x, last, t, alive = np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n, bool)
    while alive.any():
        t = t + rng.exponential(1 / rate)
        bought = alive & (t <= weeks)
        x[bought] += 1
        last[bought] = t[bought]
        alive = bought & (rng.random(n) > stop)
    fitted = fit_buying(x, last, np.full(n, weeks), np.ones(n))
    assert (fitted.r, fitted.alpha) == pytest.approx((0.5, 6.0), rel=0.08)
    assert fitted.a / (fitted.a + fitted.b) == pytest.approx(0.25, abs=0.03)


def test_the_rule_and_the_rhythm_stand_side_by_side():
    frame = CDNOW.rename(columns={"x": "n_repeat", "n": "n_customers"})
    frame["state"] = np.where(frame["age"] - frame["recency"] > 180, "churned", "active")
    result = still_active(SimpleNamespace(frame=frame, about=ABOUT))
    assert result.table["n_customers"].sum() == 2357
    assert result.table.loc[result.table["buyers"] == "once", "p_active"].isna().all()
    assert [f.key for f in result.findings] == ["buying.doubtful", "buying.once"]
