"""Money and several spells of one customer: weights, and intervals from blocks of customers."""

import numpy as np
import pandas as pd
import pytest
from survival_cases import counts, simulate

from churnlib.survival.curves import level_curves
from churnlib.survival.jackknife import log_survival_variance
from churnlib.survival.lifetable import anniversary, life_table
from churnlib.survival.moneysurvival import money_survival, weighted_product_limit
from churnlib.survival.survival import kaplan_meier
from churnlib.text import UsageError


def weighted(rows, **values):
    """Count spells with a column `fee` and, where there is one, `block`, as the engine does."""
    keys = [c for c in ("level", "block") if c in rows]
    moves = [rows.assign(tenure=rows["entry"], what="entered"), rows.assign(tenure=rows["exit"], what=rows["outcome"])]
    moves = pd.concat(moves, ignore_index=True).assign(n=1, w=lambda d: d["fee"], w2=lambda d: d["fee"] ** 2)
    kinds = ("entered", "voluntary", "involuntary", "natural", "unknown", "censored")
    wide = moves.pivot_table(index=[*keys, "tenure"], columns="what", values=["n", "w", "w2"], aggfunc="sum").fillna(0)
    wide.columns = [f"{kind}_{what}" for kind, what in wide.columns]
    frame = wide.reindex(
        columns=[f"{k}_{what}" for k in ("n", "w", "w2") for what in kinds], fill_value=0
    ).reset_index()
    for kind in ("n", "w", "w2"):
        frame[f"{kind}_events"] = frame[[f"{kind}_{o}" for o in kinds[1:5]]].sum(axis=1)
    result = counts(rows.drop(columns=["fee", "block"], errors="ignore"), **values)
    result.frame = frame
    return result


def customers(n, seed, risk_of_rich=0.04, blocks=50):
    """Customers of whom a third pay four times as much, with their own risk."""
    rng = np.random.default_rng(seed)
    poor = simulate(2 * n, rng, monthly_risk=0.04).assign(fee=5_000)
    rich = simulate(n, rng, monthly_risk=risk_of_rich).assign(fee=20_000)
    rows = pd.concat([poor, rich], ignore_index=True)
    return rows.assign(block=rng.integers(0, blocks, len(rows)))


def test_equal_weights_give_greenwoods_variance():
    life = life_table(counts(simulate(500, np.random.default_rng(40))))
    d, n = life.n_events, life.n_at_risk
    ours, plain = weighted_product_limit(3 * d, 3 * n, 9 * d, 9 * n), level_curves(life)[0].steps
    np.testing.assert_allclose(ours.survival[0], plain.survival, rtol=1e-12)
    alive = plain.survival > 0
    np.testing.assert_allclose(ours.log_variance[0][alive], plain.log_variance[alive], rtol=1e-9)


def test_money_that_leaves_sooner_is_told_with_its_interval():
    truth = (2 * 5 * np.exp(-0.04 * 12) + 20 * np.exp(-0.06 * 12)) / 30
    result = money_survival(weighted(customers(6_000, 41, risk_of_rich=0.06)))
    row = result.table.set_index("months").loc[12]
    assert row.ci_lower < truth < row.ci_upper
    assert result.findings[0].key == "survival.money.shorter"
    assert money_survival(weighted(customers(3_000, 47))).findings[0].key == "survival.money.alike"
    for statement in (*result.findings, *result.notes, result.subtitle):
        assert statement.say("zh") and "nan" not in statement.say("en")
    assert result.plot() is not None


def test_counts_without_weights_are_refused_with_what_to_do():
    with pytest.raises(UsageError, match="monthly_fee"):
        money_survival(counts(simulate(100, np.random.default_rng(43))))


def test_blocks_of_independent_customers_give_the_usual_error():
    data = weighted(customers(3_000, 44))
    life = life_table(data)
    read = np.searchsorted(life.tenure, anniversary([6, 12, 24], "day"))
    ours, usual = log_survival_variance(data.frame, life)[0, read], level_curves(life)[0].steps.log_variance[read]
    np.testing.assert_allclose(np.sqrt(ours / usual), 1, atol=0.3)


def test_several_spells_of_one_customer_widen_the_interval():
    rows = customers(3_000, 45)
    twice = pd.concat([rows, rows], ignore_index=True)  # the extreme: each customer's second spell repeats the first
    once, double = kaplan_meier(weighted(rows)), kaplan_meier(weighted(twice))
    width = [float(np.diff([c.curves[0].read(365)[e] for e in ("ci_lower", "ci_upper")])[0]) for c in (once, double)]
    assert width[1] == pytest.approx(width[0], rel=1e-6)  # no information is gained by saying it twice
    naive = kaplan_meier(counts(twice)).curves[0].read(365)
    assert naive["ci_upper"] - naive["ci_lower"] < 0.8 * width[1]
    assert "survival.note.jackknife" in [note.key for note in double.notes]
