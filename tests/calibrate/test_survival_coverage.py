"""Every interval of the survival chapter holds its 95 %, every test its 5 %, in 2,000 businesses observed late."""

import numpy as np
import pytest
from survival_replicates import FAMILIES, one_comparison, one_contrast, one_curve, one_purse, shares
from test_survival_projected import MONTH, business, business_from, project_survival, weibull

pytestmark = pytest.mark.calibrate

REPLICATES = 2_000


@pytest.mark.parametrize("simulation", [one_curve, one_contrast, one_purse])
def test_intervals_hold_their_coverage(simulation):
    found = shares(simulation, 100, REPLICATES)
    print(found)
    assert all(0.925 <= share <= 0.975 for share in found.values()), found


def test_tests_hold_their_size():
    found = shares(one_comparison, 101, REPLICATES)
    print(found)
    families = {name: found.pop(name) for name in FAMILIES}
    assert all(0.035 <= share <= 0.065 for share in found.values()), found
    assert all(share <= 0.065 for share in families.values()), families


def one_projection(rng) -> dict[str, bool]:
    """Whether what came lies in the intervals of a projection; its risk falls with tenure and stays as it was."""
    start, lives = rng.integers(0, 3650, 3_000), np.ceil(weibull(3_000, rng, 0.6))
    result = project_survival(business_from(start, lives))
    if result.fit is None:
        return {}
    here = lives > start + 1
    came, last = (here & (lives <= start + 1 + 365)).sum(), result.table.iloc[-1]
    truth = np.exp(-((last.months / 40) ** 0.6))
    return {"ahead": bool(result.ahead["lower"] <= came <= result.ahead["upper"])} | {
        "beyond": bool(last.ci_lower <= truth <= last.ci_upper)
    }


def test_projections_hold_what_came():
    """Wider than 95 %: past misses of the level are added, though three of them cannot tell that it was steady."""
    found = shares(one_projection, 102, REPLICATES // 5)
    print(found)
    assert all(0.925 <= share for share in found.values()), found


def test_a_constant_risk_is_projected_in_few_cases():
    def projected(rng):
        return {"projected": project_survival(business(rng.exponential(25 * MONTH, 1_500), rng)).fit is not None}

    found = shares(projected, 103, REPLICATES // 5)
    print(found)
    assert found["projected"] <= 0.05
