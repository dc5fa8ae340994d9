"""Gross and net retention of money: the intervals cover the truth, in cells and over all cohorts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from counted import ABOUT

from churnlib.cohorts.moneyretention import money_retention

STAYS, SPREAD, AGES, COHORTS = 0.94, 0.5, 6, 3
# whoever is still here brings the own base times exp(N(0, SPREAD)): the mean of it, and of what is at most 1
MORE = np.exp(SPREAD**2 / 2)
LESS = 0.5 + MORE * (1 - 0.6914624612740131)  # 0.5 + E[u; u < 1] = exp(s^2 / 2) Phi(-s), here s = 0.5


def simulated(rng, n=150):
    """Counts of three cohorts whose customers' bases differ as widely as bills do, in 50 blocks."""
    rows, blocks = [], []
    for cohort in range(COHORTS):
        base = np.round(np.exp(rng.normal(8, 1, n)))
        there = rng.geometric(1 - STAYS, n)[None] > np.arange(AGES + 1)[:, None]
        there[0] = True
        amount = np.round(base * np.exp(rng.normal(0, SPREAD, there.shape)) * there)
        sums = np.stack([np.broadcast_to(base, amount.shape), np.minimum(amount, base), amount], axis=-1)
        blocks.append(np.stack([sums[:, block::50].sum(axis=1) for block in range(50)]).astype(np.int64))
        rows += [("", f"2024-{cohort + 1:02d}", age, n) for age in range(AGES + 1)]
    frame = pd.DataFrame(rows, columns=["level", "cohort", "age", "n_start"])
    blocks = np.concatenate(blocks, axis=1)
    frame["amount_base"], frame["amount_kept"], frame["amount"] = blocks.sum(axis=0).T
    day = pd.Timestamp("2024-12-31")
    frame = frame.assign(first_completes=day, last_completes=day, is_truncated=False)
    return SimpleNamespace(frame=frame, blocks=blocks, about=ABOUT, measure="revenue", is_regular=False)


@pytest.mark.parametrize("is_regular", [False, True])
def test_a_level_not_yet_complete_is_in_no_part_of_the_share_of_all(is_regular):
    # the base of a level that is still open would lower what the others kept
    made = simulated(np.random.default_rng(3))
    made.is_regular = is_regular

    def pooled(months):
        told = made.frame["cohort"].isin(months)
        frame = made.frame[told].assign(level=made.frame["cohort"], cohort="2024-01")
        frame.loc[(frame["level"] == "2024-03") & (frame["age"] >= 4), "last_completes"] = pd.Timestamp("2030-01-01")
        counts = SimpleNamespace(**vars(made) | {"frame": frame, "blocks": made.blocks[:, told]})
        shares = money_retention(counts).pooled.set_index("age")[["gross", "net"]]
        return shares.pct_change() if is_regular else shares  # chained: from one age to the next

    together, alone = pooled(("2024-01", "2024-03")), pooled(("2024-01",))
    assert len(alone.loc[5:]) == 2 and np.allclose(together.loc[5:], alone.loc[5:])
    assert not np.allclose(together.loc[2], alone.loc[2])


def covered(replicates: int) -> pd.Series:
    """How often the truth lay in the interval, by share and by one cohort or all of them."""
    told = []
    for seed in range(replicates):
        made = money_retention(simulated(np.random.default_rng(seed)))
        for where, table in (("one", made.table[made.table["cohort"] == "2024-02"]), ("all", made.pooled)):
            row = table.set_index("age").loc[AGES]
            truth = {"gross": LESS * STAYS**AGES, "net": MORE * STAYS**AGES}
            told.append({f"{k} of {where}": row[f"{k}_lower"] <= v <= row[f"{k}_upper"] for k, v in truth.items()})
    return pd.DataFrame(told).apply(lambda inside: inside.dropna().astype(float).mean())


def test_intervals_cover_the_truth():
    assert covered(200).between(0.90, 0.99).all()  # three binomial deviations about .95


@pytest.mark.calibrate
def test_intervals_cover_the_truth_as_often_as_stated():
    assert covered(2000).between(0.925, 0.975).all()


def test_the_interval_by_blocks_is_that_of_a_ratio_of_sums():
    # Cochran (1977), chapter 6: the variance of a ratio from its residuals; 15,000 customers, so that both are near
    made = simulated(np.random.default_rng(7), n=15_000)
    row = money_retention(made).table.query("cohort == '2024-01' and age == 1").iloc[0]
    rng = np.random.default_rng(7)
    base = np.round(np.exp(rng.normal(8, 1, 15_000)))
    there = rng.geometric(1 - STAYS, 15_000)[None] > np.arange(AGES + 1)[:, None]
    there[0] = True
    amount = np.round(base * np.exp(rng.normal(0, SPREAD, there.shape)) * there)[1]
    ratio = amount.sum() / base.sum()
    error = np.sqrt(np.sum((amount - ratio * base) ** 2)) / base.sum()
    assert row["net"] == pytest.approx(ratio)
    assert (row["net_upper"] - row["net_lower"]) / 2 == pytest.approx(1.96 * error, rel=0.3)
