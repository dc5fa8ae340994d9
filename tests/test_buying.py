"""Buying without a contract: BG/NBD equals its publication and claims nothing of one-time buyers."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from counted import ABOUT

import churnlib
from churnlib import counts, text
from churnlib.value.buying import fit_buying, still_active
from churnlib.value.purchases import _spend, expected_value

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


def test_the_expected_purchases_of_a_customer_equal_their_publication(model):
    # Fader, Hardie and Lee's spreadsheet note: E[Y(39) | x = 2, t_x = 30.43, T = 38.86] = 1.226
    assert model.expected_later(2, 30.43, 38.86, 39) == pytest.approx(1.226, abs=1e-3)
    # of a customer seen for no time at all it is that of a new one
    assert model.expected_later(0, 0, 0, 39) == pytest.approx(model.expected_purchases(39))


def test_one_time_buyers_have_no_probability(model):
    # mistake 27: P(alive) = 1 is an assumption of the model, not an estimate
    assert np.isnan(model.probability_active([0, 0], [0, 0], [5, 500])).all()


def test_a_longer_silence_never_makes_a_customer_more_active(model):
    p = model.probability_active(np.full(40, 5), np.full(40, 20.0), 20 + np.arange(40.0))
    assert (np.diff(p) < 0).all() and p[0] < 1


@pytest.mark.parametrize("everybody_alike", [False, True])
def test_simulated_parameters_are_recovered(everybody_alike):
    rng = np.random.default_rng(11)
    n, weeks = 30_000, 78.0
    rate, stop = rng.gamma(0.5, 1 / 6.0, n), np.full(n, 0.25) if everybody_alike else rng.beta(1.0, 3.0, n)
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
    assert fitted.converged  # also where b has no bound: all are equally likely to stop


def test_the_rule_and_the_rhythm_stand_side_by_side():
    frame = CDNOW.rename(columns={"x": "n_repeat", "n": "n_customers"})
    frame["state"] = np.where(frame["age"] - frame["recency"] > 180, "churned", "active")
    result = still_active(SimpleNamespace(frame=frame, about=ABOUT))
    assert result.table["n_customers"].sum() == 2357
    assert result.table.loc[result.table["buyers"] == "once", "p_active"].isna().all()
    assert [f.key for f in result.findings] == ["buying.doubtful", "buying.once"]


def test_the_second_half_of_cdnow_comes_as_expected():
    # all 23,570 customers: fitted to the first 39 weeks, the following 39 come within a few per cent
    result = expected_value(counts.purchase_counts(churnlib.open_dataset("cdnow")))
    assert abs(result.error) < 0.15 and result.is_usable
    # 68 of the 23,570 only had discs for nothing, two paid for the first ones in the second half
    assert (result.table["n_tested"].sum(), result.table["n_customers"].sum()) == (23_500, 23_502)
    assert (np.diff(result.table["came"]) > 0).all() and (np.diff(result.table["expected"]) > 0).all()
    for statement in (*result.findings, *result.notes, result.subtitle):
        assert all(statement.say(language) for language in text.LANGUAGES)
    assert result.plot() is not None and len(result.summary("zh")) == 5


def simulated(rng, n=4000, stop=(1.0, 3.0), halt=None, spread=0.4):
    """Purchase days and spends of customers who start together: histories at 52 weeks and purchases in 52 more."""
    rate, chance, mean = rng.gamma(1.0, 1 / 8, n), rng.beta(*stop, n), np.exp(rng.normal(8, spread, n))
    rows = {half: [] for half in ("then", "now")}
    for i in range(n):
        t, days = 0.0, [0.0]
        while True:
            t += rng.exponential(1 / rate[i])
            if t > 104 or (halt and t > halt):
                break
            days.append(t)
            if rng.random() < chance[i]:
                break
        spends = np.round(mean[i] * rng.gamma(4, 1 / 4, len(days)))
        for half, until in (("then", 52.0), ("now", 104.0)):
            seen = np.array(days) <= until
            s = spends[seen]
            later, spent = (~seen).sum(), spends[~seen].sum()
            told = (seen.sum() - 1, 7 * max(d for d in days if d <= until), 7 * until, 1, later)
            rows[half].append((*told, s.sum(), (s**2).sum(), s.sum() ** 2, later**2, spent, spent**2))
    names = ["n_repeat", "recency", "age", "n_customers", "n_later", "spent", "spent2", "total2"]
    names += ["n_later2", "later", "later2"]
    frames = {half: pd.DataFrame(row, columns=names) for half, row in rows.items()}
    return SimpleNamespace(frame=frames["now"], then=frames["then"], days=364, about=ABOUT), mean


def test_a_true_model_passes_its_test_and_spends_are_drawn_to_the_mean_of_all():
    made, mean = simulated(np.random.default_rng(2))
    result = expected_value(made, margin=1.0)
    assert abs(result.error) < 0.08
    told, own = _spend(made.frame), made.frame["spent"] / (made.frame["n_repeat"] + 1)
    assert np.mean((told - mean) ** 2) < 0.8 * np.mean((own - mean) ** 2)
    assert told.mean() == pytest.approx(mean.mean(), rel=0.03)
    # a margin of the customers' own goes before the parameter: 70 of 100 are cost
    worth = SimpleNamespace(frame=pd.DataFrame({"n_costed": [500], "fee_costed": [100_000], "cost": [70_000]}))
    owned = expected_value(made, worth, margin=0.9)
    assert owned.table["value_all"].sum() == pytest.approx(0.3 * result.table["value_all"].sum())
    assert owned.notes[1].key == "value.clv.margin_own" and result.notes[1].key == "value.clv.margin_given"


def covered(replicates: int, n: int = 1000) -> pd.DataFrame:
    """How often what came lay in its interval: purchases and amounts of all, and of the groups."""
    told = []
    for seed in range(replicates):
        made, _ = simulated(np.random.default_rng(seed), n=n)
        tests = expected_value(made).tests
        inside = tests["came"].between(tests["lower"], tests["upper"])
        told.append(inside.add_suffix("_all").to_dict() | (tests["n_inside"] / tests["n_groups"]).to_dict())
    return pd.DataFrame(told).mean()


def test_what_came_lies_in_its_interval():
    # of 24 replicates of a true model fewer than 18 inside would be seen once in ten thousand times at 95 %
    assert (covered(24, n=600) >= 18 / 24).all()


@pytest.mark.calibrate
def test_what_came_lies_in_its_interval_as_often_as_stated():
    assert covered(2000).between(0.925, 0.98).all()


def test_a_world_that_stops_fails_the_test_and_is_not_valued():
    result = expected_value(simulated(np.random.default_rng(3), n=2500, halt=54.0)[0])
    assert not result.is_usable and result.findings[0].key == "purchases.unfit_over"
    assert "value" not in result.shown and all(f.say("zh") and f.say("en") for f in result.findings)


@pytest.mark.parametrize("name", ["telecom", "distributor", "bank"])
def test_where_silence_is_no_question_nobody_is_valued_by_it(name):
    result = expected_value(counts.purchase_counts(churnlib.open_dataset(name)))
    assert [f.key for f in result.findings] == ["purchases.no_model"] and result.plot() is None
