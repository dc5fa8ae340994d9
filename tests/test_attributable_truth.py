"""A tenth of the simulated operator, from its files: attributable losses hold what its hazards say was lost."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import churnlib as churn

TELECOM = Path(__file__).parent.parent / "data" / "telecom"
CAUSES = {  # driver -> causes of the simulation; an unresolved complaint is one whatever it was about
    "complaint": ("complaint", "complaint_wave"),
    "outage": ("outage",),
    "competitor": ("competitor",),
    "outdated": ("outdated",),
    "price_rise": ("price_rise",),
}


@pytest.fixture(scope="module")
def revealed(tmp_path_factory):
    """The result for 2025, and the losses that the hazards ascribe to every cause in that year."""
    folder = tmp_path_factory.mktemp("telecom")
    subprocess.run([sys.executable, str(TELECOM / "simulate.py"), "7", "0.1"], cwd=folder, check=True)
    spec = yaml.safe_load((TELECOM / "dataset.yml").read_text("utf-8"))
    del spec["make"]
    (folder / "dataset.yml").write_text(yaml.safe_dump(spec, allow_unicode=True, sort_keys=False), "utf-8")
    truth = json.loads((folder / "truth.json").read_text("utf-8"))
    year = slice(truth["months"].index("2025-01"), truth["months"].index("2025-12") + 1)
    lost = {name: float(np.sum(row[year])) for name, row in truth["expected"]["all"]["all"].items()}
    return churn.open_dataset(folder), lost


@pytest.fixture(scope="module")
def result(revealed):
    return churn.attributable_reasons(churn.panel_counts(revealed[0]))


def test_intervals_hold_the_losses_that_the_hazards_ascribe_to_each_cause(result, revealed):
    table = result.table.set_index("driver")
    for driver, causes in CAUSES.items():
        expected = sum(revealed[1][cause] for cause in causes)
        assert table.loc[driver, "ci_lower"] <= expected <= table.loc[driver, "ci_upper"], driver


def test_what_is_beyond_chance_is_really_there_and_the_model_is_calibrated(result, revealed):
    own = result.table[result.table["driver"].notna()]
    assert set(own.loc[own["reported"], "driver"]) >= {"complaint", "outage", "competitor"}
    assert result.calibration_p > 0.01
    assert result.n_churned == revealed[1]["n_churned_opening"]


def test_bills_fall_before_the_end_as_they_were_made_to(revealed):
    profile = churn.leaving_profile(churn.profile_counts(revealed[0])).table
    amount = profile[profile["measure"] == "amount"].set_index("back")["ratio"]
    assert amount[1] < 0.85 * amount[6]  # 60 % of the voluntary leavers pay half in the last month
    days = profile[profile["measure"] == "n_active"]
    assert ((days["ratio"] - 1).abs() < 0.05).all()  # a bill is a bill: every month has one


def test_departures_are_found_among_all_changes_of_account_manager(revealed):
    counts = churn.holder_counts(revealed[0])
    after = counts.frame[counts.frame["phase"] == "after_departure"]
    assert set(after["holder"]) == {"经理07", "经理15", "经理22"}
    table = churn.holder_changes(counts).table
    assert (table["ci_lower"] <= table["difference"]).all() and (table["difference"] <= table["ci_upper"]).all()
