"""Three simulated companies with another seed, as files through the whole chain; 20 seeds are in tests/calibrate.

The operator is there with more questions: test_reasons_truth, test_attributable_truth, test_events_truth.
"""

import pandas as pd
import pytest
from company_replicates import drawn


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    sizes = {"bank": 0.2, "dealer": 0.2, "distributor": 0.5}
    found = pd.concat(drawn(name, 100, tmp_path_factory.mktemp(name), share) for name, share in sizes.items())
    found = found[found["ci_lower"].notna()].set_index(["name", "kind"]).sort_index()
    return found.assign(held=(found["ci_lower"] <= found["truth"]) & (found["truth"] <= found["ci_upper"]))


@pytest.mark.parametrize("name", ["bank", "dealer", "distributor"])
def test_bounds_hold_what_all_would_have_said(rows, name):
    assert rows.loc[(name, "bounds"), "held"].all()


@pytest.mark.parametrize("name", ["dealer", "distributor"])
def test_weights_correct_what_is_known_of_the_silent(rows, name):
    own = rows.loc[(name, "weighted")]
    assert own["held"].mean() > 0.9 and len(own) > 8


@pytest.mark.parametrize("name", ["bank", "dealer", "distributor"])
def test_attributable_losses_hold_those_that_each_cause_took(rows, name):
    own = rows.loc[(name, "attributable")].set_index("item")
    assert own["held"].mean() >= 0.8, own
    strongest = own["truth"].abs().idxmax()
    assert own.loc[strongest, "estimate"] * own.loc[strongest, "truth"] > 0
