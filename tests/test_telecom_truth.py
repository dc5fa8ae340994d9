"""The simulated operator: its files say exactly what its truth says, and its story is the one that is told about it."""

import numpy as np
import pytest
from simulated import Truths, causes, company

import churnlib as churn

SEGMENTS = ("region", "age", "plan", "payment", "contract", "contactable", "tenure")
CAUSES = ("outage", "complaint_wave", "competitor", "outdated", "price_rise")
RULES = {  # rule of the reader -> what the simulation calls the same rows
    ("customers", "duplicate_customer"): "duplicate customers",
    ("customers", "end_before_start"): "customers that end before they start",
    ("contracts", "end_before_start"): "contracts that end before they start",
    ("activity", "unknown_customer"): "bills of unknown customers",
    ("activity", "duplicate_activity"): "duplicate bills",
    ("contacts", "wrong_field_count"): "contact lines with a field too many",
    ("contacts", "future_date"): "contacts in the future",
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A tenth of the operator."""
    return company("telecom", 0.1, tmp_path_factory.mktemp("telecom"), SEGMENTS, RULES)


@pytest.fixture(scope="module")
def truth(small):
    return small.truth


class TestTelecom(Truths):
    """What every company has to keep."""


def months(truth: dict, first: str, last: str) -> slice:
    return slice(truth["months"].index(first), truth["months"].index(last) + 1)


def rates(truth: dict) -> np.ndarray:
    """The churn rate of each month as the hazards have it, without the month's own noise."""
    all_ = truth["expected"]["all"]["all"]
    return np.divide(all_["expected_without_noise"], all_["n_opening"])


def test_survival_with_late_entry_recovers_the_hazards_that_were_simulated(small):
    data, truth = small.data, small.truth
    for segment in ("payment", "contract", "region"):
        curve = churn.kaplan_meier(churn.tenure_counts(data, by=segment)).table
        for level, expected in truth["survival"][segment].items():
            rows = curve[curve["level"] == level]
            for month, survival in zip(expected["at_months"], expected["survival"], strict=True):
                read = rows[rows["tenure"] <= np.floor(month * 365.25 / 12)].iloc[-1]
                chance = np.sqrt(survival * (1 - survival) / read["n_at_risk"])  # nobody may have left yet
                assert abs(read["survival"] - survival) < 4 * max(read["std_error"], chance), (level, month)


def test_what_goes_with_leaving_sooner_is_what_was_planted_and_nothing_else(small):
    model = churn.proportional_hazards(churn.tenure_counts(small.data, by=churn.features(small.data)))
    ours = model.table.set_index(["covariate", "level"])
    unresolved, resolved = (ours.loc[(f"complaint-{state}-3m", "yes")] for state in ("unresolved", "resolved"))
    # five times as much again while it acts; it begins on the first of the next month, and not every loss is voluntary
    assert 2.5 < unresolved.hazard_ratio < 6 and unresolved.ci_lower > 2
    assert abs(resolved.log_ratio) < 3 * resolved.std_error  # one that was put right does nothing
    early = model.checks[(model.checks["level"] == "促销活动") & (model.checks["months"] == 0)].iloc[0]
    assert early.ci_lower > 2  # joined by a promotion: gone within three months
    assert ours.loc[("plan", "5G尊享"), "hazard_ratio"] < 0.95 and ours.loc[("payment", "预付费"), "ci_lower"] > 1
    channels = ours.loc["channel"].drop(["促销活动"]).dropna(subset="p_value")  # the others are all alike
    assert (channels["log_ratio"].abs() < 3 * channels["std_error"]).all()


def test_the_causes_add_up_to_the_expected_losses(truth):
    row = truth["expected"]["all"]["all"]
    assert np.allclose(np.sum(list(causes(row).values()), axis=0), row["expected"], atol=0.01)


def test_churn_is_steady_to_march_rises_from_april_tops_in_july_and_is_back_in_december(truth):
    year = rates(truth)[months(truth, "2025-01", "2025-12")]
    steady = year[:3].mean()
    assert np.ptp(year[:3]) < 0.2 * steady  # February is short
    assert year[3] > 1.08 * steady
    assert year.argmax() == 6
    assert (year[4:10] > 1.15 * steady).all()
    assert (year[10:] < 1.08 * steady).all()


def test_each_cause_reaches_its_own_segment_only(truth):
    year, expected = months(truth, "2025-01", "2025-12"), truth["expected"]
    reached = {
        "outage": ("region", {"华南"}),
        "complaint_wave": ("region", {"华南"}),
        "competitor": ("age", {"25-35"}),
        "outdated": ("plan", {"旧4G套餐"}),
        "price_rise": ("payment", {"预付费"}),
    }
    for cause, (segment, levels) in reached.items():
        lost = {level: sum(row[cause][year]) for level, row in expected[segment].items()}
        assert {level for level, n in lost.items() if n > 0} == levels, cause
    courted = {level for level, row in expected["region"].items() if sum(row["competitor"][year]) > 0}
    assert courted == {"华东", "西南"}


def test_taking_a_cause_away_saves_about_the_customers_attributed_to_it(truth):
    row, since = truth["expected"]["all"]["all"], truth["months"].index(truth["excess"]["from_month"])
    attributed = sum(sum(row[cause][since:]) for cause in CAUSES)
    saved = sum(truth["excess"]["n_churned"]["all_four"])
    assert abs(saved - attributed) < 0.35 * attributed  # some of the saved leave later for another reason


def test_who_answers_depends_on_why_they_left_so_stated_shares_are_biased(truth):
    said = truth["reasons"]["all"]
    bias = {
        reason: said["among_respondents_expected"][reason] - share
        for reason, share in said["if_all_answered_expected"].items()
    }
    assert bias["service.complaint_unresolved"] < 0 < bias["natural.moved"]
    assert said["n_answered"] < 0.6 * said["n_asked"] < said["n_left"]


def test_some_lines_fall_silent_and_some_customers_decline_while_they_stay(truth):
    silent = list(truth["zero_usage_lines"].values())
    assert silent[0] < silent[-2]
    assert sum(truth["value_declines"].values()) > 50
