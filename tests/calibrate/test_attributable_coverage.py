"""Every interval of attributable losses holds its 95 %, and no driver means nothing reported, in 2,000 panels."""

import numpy as np
import pytest
from attributable_cases import simulated

from churnlib.reasons.attributable import UNEXPLAINED, attributable_reasons

pytestmark = pytest.mark.calibrate

REPLICATES = 2_000
CASES = {
    "adding": {"excess": (1.0, 0.6, 0.0)},
    "multiplying": {"excess": (1.0, 0.6, 0.0), "multiplies": True},
    "overlapping": {"excess": (1.5, 0.8, 0.0), "overlap": 0.5},
    "few losses": {"excess": (1.0, 0.6, 0.0), "size": 30},
}


@pytest.mark.parametrize("case", CASES)
def test_intervals_hold_what_was_simulated(case):
    rng, hits = np.random.default_rng(11), []
    options = {"n_months": 3, "n_segments": 2, "size": 120} | CASES[case]
    for _ in range(REPLICATES):
        counts, truth = simulated(rng, **options)
        result = attributable_reasons(counts)
        table = result.table.set_index("driver")
        own = table.loc[["d0", "d1", "d2"]]
        rest = result.table[result.table["reason_group"] == UNEXPLAINED].iloc[0]
        inside = (own["ci_lower"].to_numpy() <= truth) & (truth <= own["ci_upper"].to_numpy())
        whole = rest["ci_lower"] <= result.n_churned - truth.sum() <= rest["ci_upper"]
        hits.append([*np.where(own["ci_lower"].isna(), np.nan, inside), whole])
    coverage = np.nanmean(hits, axis=0)
    assert ((coverage >= 0.925) & (coverage <= 0.975)).all(), coverage


@pytest.mark.parametrize("size", [30, 120])
def test_without_a_true_driver_hardly_anything_is_reported(size):
    rng, found = np.random.default_rng(12), 0
    for _ in range(REPLICATES):
        counts, _ = simulated(rng, (0.0,) * 4, n_months=3, n_segments=2, size=size)
        found += attributable_reasons(counts).table["reported"].any()
    assert found <= 0.05 * REPLICATES + 2 * np.sqrt(0.05 * 0.95 * REPLICATES), found
