"""Case 1 of the telecom operator: where the rise of July 2025 comes from, held against the truth it was made from."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import churnlib as churn

pytestmark = pytest.mark.slow  # reads the whole data set

TRUTH = Path(__file__).parent.parent / "data" / "telecom" / "truth.json"
SPRING = ("2025-05", "2025-06", "2025-07")


@pytest.fixture(scope="module")
def data():
    return churn.open_dataset("telecom", period="2025-07")


@pytest.fixture(scope="module")
def truth(data):
    return json.loads(TRUTH.read_text("utf-8"))


def sums(truth: dict, segment: str, level: str, causes, months=SPRING) -> float:
    row = truth["expected"][segment][level]
    return sum(row[cause][truth["months"].index(month)] for cause in causes for month in months)


def test_contributions_of_the_regions_cover_the_truth(data, truth):
    result = churn.decompose_change(churn.crossed_counts(data, "region"))
    now, before = (truth["months"].index(month) for month in ("2025-07", "2024-07"))
    regions = pd.DataFrame(truth["expected"]["region"]).T
    n1, n0, d1, d0 = (
        np.array([row[at] for row in regions[column]])
        for column, at in (
            ("n_opening", now),
            ("n_opening", before),
            *(("expected_without_noise", m) for m in (now, before)),
        )
    )
    effect = (n1 / n1.sum() + n0 / n0.sum()) / 2 * (d1 / n1 - d0 / n0)
    rates = result.table[result.table["kind"] == "rate"].set_index("item").loc[regions.index]
    assert ((rates["ci_lower"] <= effect) & (effect <= rates["ci_upper"])).all()
    assert result.findings[0].key == "decompose.rise" and "华南" in result.findings[1].say("zh")


def test_the_search_finds_whom_the_causes_reached_and_its_intervals_cover_them(data, truth):
    found = churn.find_slices(churn.slice_counts(data)).found
    named = [item.zh for item in found["item"]]
    assert any("华南" in name for name in named) and any("25–34" in name for name in named)
    base = sum(truth["expected"]["all"]["all"]["n_opening"][truth["months"].index(month)] for month in SPRING)
    competitor = sums(truth, "age", "25-35", ["competitor"]) / base
    young = found[[("25–34" in name) for name in named]].iloc[0]
    assert young.ci_lower <= competitor <= young.ci_upper
    network = sums(truth, "region", "华南", ["outage", "complaint_wave"]) / base
    south = found[[("华南" in name) for name in named]].iloc[0]
    assert south.ci_lower <= network <= south.ci_upper


def test_satisfaction_and_complaints_leave_their_range_in_april(data):
    signals = churn.companion_signals(churn.period_counts(data), churn.companion_counts(data))
    said = [finding.say("en") for finding in signals.findings]
    assert "coincide" in said[0] and all("April 2025" in words for words in said[1:4])
