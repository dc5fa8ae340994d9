"""Stated reasons in 2,000 replicates drawn as counts: what the intervals promise, they hold."""

import numpy as np
import pytest
from test_response import CHANCE, CUSTOMERS, SAYS, coverage

pytestmark = pytest.mark.calibrate


def test_weighted_shares_cover_at_the_nominal_rate():
    found = coverage(2000, 11)
    assert all(0.925 <= weighted <= 0.975 for weighted, _ in found.values()), found


def test_bounds_hold_the_share_of_all_the_lost():
    # silence depends on the reason itself: nothing but the bounds can hold then
    rng, held = np.random.default_rng(12), 0
    for _ in range(2000):
        n = rng.multinomial(CUSTOMERS.sum(), (CUSTOMERS / CUSTOMERS.sum()).ravel()).reshape(3, 2)
        named = rng.binomial(n, SAYS["price"])
        told = rng.binomial(named, CHANCE / 3).sum()
        others = rng.binomial(n - named, CHANCE).sum()
        silent = n.sum() - told - others
        held += told / n.sum() <= named.sum() / n.sum() <= (told + silent) / n.sum()
    assert held / 2000 >= 0.925
