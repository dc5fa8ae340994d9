"""A short look at what `make calibrate` looks at 2,000 times: every interval and every test of the survival chapter."""

import pytest
from survival_replicates import FAMILIES, one_comparison, one_contrast, one_curve, one_purse, shares


@pytest.mark.parametrize("simulation", [one_curve, one_contrast, one_purse])
def test_intervals_hold_their_coverage(simulation):
    found = shares(simulation, 200, 200 if simulation is one_curve else 100)
    assert all(0.88 <= share <= 0.995 for share in found.values()), found


def test_tests_hold_their_size():
    found = shares(one_comparison, 201, 100)
    assert all(share <= 0.12 for share in found.values()), found
    assert sum(found[name] for name in found if name not in FAMILIES) / (len(found) - len(FAMILIES)) > 0.015, found
