"""Outcomes, months lost, and the risk month by month: what their tables and sentences have to get right."""

import numpy as np
import pandas as pd
import pytest
from survival_cases import OUTCOMES, case, counts, oracle, simulate

from churnlib import text
from churnlib.survival.competing import time_lost
from churnlib.survival.estimators import restricted_mean
from churnlib.survival.gray import gray_test
from churnlib.survival.hazard import exposure_months, hazard_by_tenure
from churnlib.survival.hazardratios import proportional_hazards
from churnlib.survival.incidence import cumulative_incidence
from churnlib.survival.lifetable import life_table
from churnlib.survival.logrank import logrank_test
from churnlib.survival.milestones import conditional_survival, survival_table
from churnlib.survival.quantiles import tenure_quantiles
from churnlib.survival.restricted import months_stayed
from churnlib.survival.survival import kaplan_meier

VERBS = (cumulative_incidence, gray_test, months_stayed, hazard_by_tenure, conditional_survival)


OTHERS = (kaplan_meier, survival_table, tenure_quantiles, logrank_test, proportional_hazards)


@pytest.fixture(scope="module")
def customers():
    return simulate(20_000, np.random.default_rng(20))


def test_the_outcomes_and_the_survival_add_to_one_at_every_month(customers):
    parts = cumulative_incidence(counts(customers)).table.pivot(index="months", columns="outcome", values="incidence")
    curve = kaplan_meier(counts(customers)).shown.set_index("months")["survival"]
    both = parts.sum(axis=1) + curve.reindex(parts.index)
    np.testing.assert_allclose(both.dropna(), 1, atol=1e-12)


def test_incidence_by_outcome_is_recovered_with_late_entry(customers):
    read = cumulative_incidence(counts(customers)).table.set_index(["months", "outcome"])
    left = 1 - np.exp(-0.04 * 24)
    for outcome, share in zip(OUTCOMES, (0.6, 0.3, 0.1), strict=False):
        row = read.loc[(24, outcome)]
        assert row.ci_lower < share * left < row.ci_upper


def test_a_competing_outcome_treated_as_censoring_says_too_much(customers):
    natural = counts(
        customers.assign(outcome=customers["outcome"].where(customers["outcome"] == "natural", "censored"))
    )
    wrong = 1 - kaplan_meier(natural).shown.set_index("months")["survival"][24]
    right = cumulative_incidence(counts(customers)).table.set_index(["months", "outcome"]).loc[(24, "natural")]
    assert wrong > right.ci_upper


def test_months_stayed_and_lost_add_to_the_horizon(customers):
    result = months_stayed(counts(customers), horizon=24)
    # the horizon is a day (730): in months of 30.4375 days it is 23.98
    assert result.table["mean"].sum() == pytest.approx(730 / (365.25 / 12), rel=1e-12)
    truth = (1 - np.exp(-0.04 * 24)) / 0.04
    stayed = result.table.set_index("part").loc["stayed"]
    assert stayed.ci_lower < truth < stayed.ci_upper


def test_the_standard_error_of_the_months_is_a_sampling_error():
    # mistake: the variance of lifetimes in place of that of their mean, twelve times too wide
    rng = np.random.default_rng(21)
    rows = simulate(1_200, rng).reset_index(drop=True)

    def estimate(sample):
        life = life_table(counts(sample))
        d = np.stack([life.outcomes[o][0] for o in OUTCOMES])
        stayed = restricted_mean(life.tenure, life.n_events[0], life.n_at_risk[0], 730)
        lost = time_lost(life.tenure, d, life.n_at_risk[0], 730)
        return np.r_[stayed[0], lost[0][:3]], np.r_[stayed[1], lost[1][:3]] ** 0.5

    draws = [estimate(rows.iloc[rng.integers(0, len(rows), len(rows))])[0] for _ in range(200)]
    np.testing.assert_allclose(estimate(rows)[1], np.std(draws, axis=0), rtol=0.2)


def test_segments_that_differ_in_months_are_told_with_their_interval():
    rng = np.random.default_rng(22)
    slow, fast = simulate(5_000, rng, level="a", monthly_risk=0.03), simulate(4_000, rng, level="b", monthly_risk=0.05)
    result = months_stayed(counts(pd.concat([slow, fast])), horizon=24)
    assert result.findings[0].key == "survival.mean.shorter"
    truth = [(1 - np.exp(-r * 24)) / r for r in (0.03, 0.05)]
    row = result.contrasts.iloc[0]
    assert row.lower < truth[1] - truth[0] < row.upper
    assert row.ratio_lower < truth[1] / truth[0] < row.ratio_upper


def test_grays_test_finds_the_outcome_that_differs_and_keeps_its_size_with_late_entry():
    rng = np.random.default_rng(23)
    a = simulate(4_000, rng, level="a")
    b = simulate(4_000, rng, level="b")
    b["outcome"] = b["outcome"].where(b["outcome"] != "natural", "voluntary")
    test = gray_test(counts(pd.concat([a, b]))).table.set_index("outcome")
    assert test.loc["natural", "p_holm"] < 0.001 and test.loc["involuntary", "p_holm"] > 0.001
    p = []
    for _ in range(120):
        rows = simulate(400, rng)
        null = gray_test(counts(rows.assign(level=rng.choice(["a", "b"], len(rows))))).table
        p.append(null.set_index("outcome").loc["voluntary", "p_value"])
    assert 0.005 < np.mean(np.array(p) < 0.05) < 0.12


def test_the_hazard_counts_customer_months():
    rows = pd.DataFrame({"entry": [0, 0, 30], "exit": [30, 61, 61], "outcome": ["voluntary", "voluntary", "censored"]})
    life = life_table(counts(rows))
    exposure = exposure_months(life, np.array([0.0, 30.0, 60.0])) * (365.25 / 12)
    assert exposure.tolist() == [[60.0, 60.0]]


def test_no_month_hidden_follows_from_the_curve_and_the_other_months():
    rng = np.random.default_rng(20)
    rows = pd.concat([simulate(300, rng, level="a"), simulate(250, rng, level="b")])
    for made in (counts(rows), counts(rows.assign(level=""))):
        risk, curve = hazard_by_tenure(made), kaplan_meier(made).shown
        for level, months in risk.table.groupby("level"):
            shown = risk.shown.loc[months.index, "n_events"].to_numpy()
            read = curve[(curve["level"] == level) & (curve["months"] % 1 == 0)]["months"].astype(int).tolist()
            for first, last in zip(read, read[1:], strict=False):
                gone = np.isnan(shown[first:last])
                alone = months["n_events"].to_numpy()[first:last][gone]
                assert gone.sum() != 1 or not 0 < alone.item() < 5


def test_a_contract_end_spike_is_found_and_an_even_risk_is_not_called_one():
    even = hazard_by_tenure(counts(simulate(20_000, np.random.default_rng(24))))
    assert [finding.key for finding in even.findings] == ["survival.hazard.even"]
    assert abs(even.table["hazard"].head(36).mean() - 0.04) < 0.003
    rows = simulate(20_000, np.random.default_rng(25))
    leaves = (rows["exit"] > 365) & (rows["entry"] < 360) & (np.arange(len(rows)) % 6 == 0)
    spike = rows.assign(exit=rows["exit"].mask(leaves, 360), outcome=rows["outcome"].mask(leaves, "voluntary"))
    peak, spikes = hazard_by_tenure(counts(spike)).findings
    assert (peak.key, peak.values["months"]) == ("survival.hazard.peak", 12)
    assert spikes.key == "survival.hazard.spikes" and 12 in spikes.values["months"]


def test_who_has_survived_the_first_months_stays_more_surely():
    rng = np.random.default_rng(26)
    rows = pd.concat([simulate(6_000, rng, monthly_risk=0.15), simulate(6_000, rng, monthly_risk=0.02)])
    assert conditional_survival(counts(rows)).findings[0].key == "survival.conditional.rises"
    assert conditional_survival(counts(simulate(6_000, rng))).findings[0].key == "survival.conditional.even"


@pytest.mark.parametrize("verb", VERBS)
def test_small_groups_and_small_counts_are_not_shown(verb):
    rng = np.random.default_rng(27)
    rows = pd.concat([simulate(2_000, rng, level="a"), simulate(30, rng, level="b")])
    shown = verb(counts(rows)).shown
    if "level" in shown:
        numbers = (
            shown[shown["level"] == "b"]
            .select_dtypes(float)
            .drop(columns=["n_at_risk", "n_customers"], errors="ignore")
        )
        estimates = [c for c in ("incidence", "mean", "hazard", "survival") if c in numbers]
        assert numbers[estimates].isna().all(axis=None)


@pytest.mark.parametrize("name", ["veteran", "heart", "ties", "months"])
@pytest.mark.parametrize("verb", VERBS)
def test_every_statement_can_be_said_in_both_languages(name, verb):
    for whole in (False, True):
        cases = case(name, unit="month" if name == "months" else "day")
        if whole:
            cases = counts(case_rows(name), unit=cases.about.time_unit)
        result = verb(cases)
        for statement in (*result.findings, *result.notes, *([result.subtitle] if result.subtitle else [])):
            for language in text.LANGUAGES:
                words = statement.say(language)
                assert words and "nan" not in words and "{" not in words
        result.plot()
        assert all(len(result.summary(language).columns) > 1 for language in text.LANGUAGES)


@pytest.mark.parametrize(
    "verb", [*VERBS, kaplan_meier, survival_table, tenure_quantiles, logrank_test, proportional_hazards]
)
def test_nobody_at_all_is_said_not_raised(verb):
    nobody = counts(simulate(50, np.random.default_rng(28)))
    nobody.frame = nobody.frame.head(0)
    result = verb(nobody)
    said = [s.say(language) for s in (*result.findings, *result.notes) for language in text.LANGUAGES]
    assert said and not any("nan" in words for words in said)
    assert result.plot() is None
    result.summary("zh")


def case_rows(name):
    rows = oracle("survival_rows")
    return rows[rows["case"] == name].drop(columns=["case", "level"])
