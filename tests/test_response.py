"""Weighting for response: known truth by simulation from counts, and identities."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from counted import ABOUT

from churnlib.about import Segment
from churnlib.intervals import wilson
from churnlib.reasons.response import propensity, weighted_shares

# three regions, two ways of paying: who answers and what they say both differ by them
REGIONS, PAYS = ("e", "n", "s"), ("post", "pre")
CUSTOMERS = np.array([[300, 200], [260, 240], [300, 200]])
CHANCE = np.array([[0.62, 0.40], [0.48, 0.27], [0.30, 0.15]])  # logit-additive in its two factors, nearly
SAYS = {"price": np.array([[0.20, 0.45], [0.30, 0.55], [0.35, 0.60]]), "moved": np.full((3, 2), 0.04)}
TRUTH = {reason: float((CUSTOMERS * share).sum() / CUSTOMERS.sum()) for reason, share in SAYS.items()}


def counted(n, answered, named):
    """Lay cells out as `answer_counts` does."""
    rows = [(r, p, "", "", n[i, j], answered[i, j], 0) for i, r in enumerate(REGIONS) for j, p in enumerate(PAYS)]
    for reason, count in named.items():
        rows += [(r, p, "group", reason, 0, 0, count[i, j]) for i, r in enumerate(REGIONS) for j, p in enumerate(PAYS)]
    columns = ["region", "payment", "level_of_list", "reason", "n_customers", "n_respondents", "n_named"]
    segments = (Segment("region", levels=REGIONS), Segment("payment", levels=PAYS))
    return SimpleNamespace(frame=pd.DataFrame(rows, columns=columns), segments=segments, about=ABOUT)


def drawn(rng):
    """Draw who was lost, who answered, who named what."""
    n = rng.multinomial(CUSTOMERS.sum(), (CUSTOMERS / CUSTOMERS.sum()).ravel()).reshape(3, 2)
    answered = rng.binomial(n, CHANCE)
    return counted(n, answered, {reason: rng.binomial(answered, share) for reason, share in SAYS.items()})


def coverage(replicates, seed):
    """Share of replicates whose interval holds the truth: weighted, and raw, by reason."""
    rng, held = np.random.default_rng(seed), {reason: [0, 0] for reason in SAYS}
    for _ in range(replicates):
        answers = drawn(rng)
        shares = weighted_shares(answers, "group")
        sums = answers.frame.groupby("reason")[["n_respondents", "n_named"]].sum()
        for reason, truth in TRUTH.items():
            row = shares.loc[reason]
            held[reason][0] += row.weighted_lower <= truth <= row.weighted_upper
            lower, upper = wilson(sums.loc[reason, "n_named"], sums.loc["", "n_respondents"])
            held[reason][1] += lower <= truth <= upper
    return {reason: (a / replicates, b / replicates) for reason, (a, b) in held.items()}


def test_weighted_intervals_cover_where_raw_ones_do_not():
    found = coverage(200, 7)
    assert all(weighted >= 0.905 for weighted, _ in found.values()), found  # 3 standard errors under .95
    assert found["price"][1] < 0.6  # the bias of non-response is large here


def test_equal_chances_leave_the_raw_shares():
    n = np.full((3, 2), 100)
    answered, named = np.full((3, 2), 40), np.array([[4, 30], [12, 20], [8, 16]])
    answers = counted(n, answered, {"price": named})
    row = weighted_shares(answers, "group").loc["price"]
    assert row.weighted == pytest.approx(named.sum() / answered.sum())
    # what they say depends on the cell, so knowing the cells can only narrow the interval
    lower, upper = wilson(named.sum(), answered.sum())
    assert row.weighted_upper - row.weighted_lower < upper - lower


def test_the_weights_of_the_answers_add_up_to_all_customers():
    # the score equations of a logistic regression hold for the chances; 1 / chance sums to n up to the fit
    model = propensity(drawn(np.random.default_rng(3)))
    c = model.cells
    assert (c["n_customers"] * c["chance"]).sum() == pytest.approx(c["n_respondents"].sum())
    for level in REGIONS:
        part = c[c.index.get_level_values("region") == level]
        assert (part["n_customers"] * part["chance"]).sum() == pytest.approx(part["n_respondents"].sum())


def test_a_saturated_model_is_poststratification():
    # one variable: its levels' shares weighted by their customers (Holt and Smith 1979)
    n = np.array([[400, 0], [300, 0], [100, 0]])
    answered, named = np.array([[200, 0], [60, 0], [10, 0]]), np.array([[50, 0], [30, 0], [8, 0]])
    row = weighted_shares(counted(n, answered, {"price": named}), "group").loc["price"]
    assert row.weighted == pytest.approx((400 * 50 / 200 + 300 * 30 / 60 + 100 * 8 / 10) / 800)


def test_a_level_that_nobody_answered_for_is_told_and_left_out():
    n, answered = np.array([[100, 0], [100, 0], [50, 0]]), np.array([[50, 0], [50, 0], [0, 0]])
    answers = counted(n, answered, {"price": np.array([[10, 0], [20, 0], [0, 0]])})
    model = propensity(answers)
    assert model.unheard == 50
    assert weighted_shares(answers, "group").loc["price", "weighted"] == pytest.approx(0.3)


@pytest.mark.parametrize("answered", [0, 100])
def test_nobody_and_everybody_answering_is_no_accident(answered):
    n = np.array([[100, 0], [0, 0], [0, 0]])
    answers = counted(n, n // 100 * answered, {"price": n // 100 * (answered // 2)})
    row = weighted_shares(answers, "group").loc["price"]
    assert np.isnan(row.weighted) if not answered else row.weighted == pytest.approx(0.5)


def test_too_few_answers_give_no_weighted_share():
    n = np.full((3, 2), 20)
    answers = counted(n, np.array([[1, 0], [1, 0], [1, 1]]), {"price": np.array([[1, 0], [0, 0], [0, 1]])})
    assert propensity(answers).unheard == 120 and weighted_shares(answers, "group")["weighted"].isna().all()
