"""The evidence for an inactivity limit: a limit is recommended with its reason, or none is."""

from types import SimpleNamespace

import pandas as pd
import pytest
from counted import ABOUT

from churnlib import text
from churnlib.quality.limits import limit_evidence


def evidence(*wrong, judged=1_000):
    """Gap evidence made by hand: the returns among 1,000 silences longer than 30, 60, 90 ... days."""
    limits = pd.DataFrame(
        {
            "limit": [f"{30 * (i + 1)} days" for i in range(len(wrong))],
            "n_judged": judged,
            "n_confirmed_wrong": wrong,
            "n_alive": 500,
            "n_alive_flagged": [n // 4 for n in wrong],
        }
    )
    gaps = pd.DataFrame({"days": [10, 20, 60], "n_gaps": [50, 45, 5]})
    medians = pd.DataFrame({"days": [10, 30], "n_customers": [30, 70]})
    percentile = lambda share: int(25 * share)  # noqa: E731
    return SimpleNamespace(limits=limits, gaps=gaps, medians=medians, percentile=percentile, declared="60 days")


@pytest.mark.parametrize(
    ("wrong", "key", "recommended"),
    [
        ((380, 190, 51), "limits.recommended", "90 days"),
        ((90, 40, 10), "limits.recommended", "30 days"),
        ((380, 290, 150), "limits.none", ""),
    ],
)
def test_the_shortest_limit_that_is_seldom_wrong_is_recommended(wrong, key, recommended):
    result = limit_evidence(evidence(*wrong), ABOUT)
    assert (result.findings[0].key, result.recommended) == (key, recommended)
    in_force = result.findings[1]  # two in ten that come back are too many, four in a hundred are not
    assert in_force.key == "limits.declared" and in_force.tone == ("worse" if wrong[1] > 100 else "steady")


def test_a_limit_is_not_judged_on_a_handful_of_silences():
    # mistakes 11 and 21
    assert limit_evidence(evidence(0, 0, judged=20), ABOUT).findings[0].key == "limits.too_short"


def test_a_limit_inside_the_usual_rhythm_is_not_recommended():
    # who comes every five months is seldom back within 60 days: 30 days would look right by that alone
    made = evidence(20, 15, 60)
    made.gaps = pd.DataFrame({"days": [55, 65, 90], "n_gaps": [50, 45, 5]})
    result = limit_evidence(made, ABOUT)
    assert result.recommended == "90 days" and result.table["exceeded"].tolist() == [1, 0.5, 0]


def test_customers_usual_gap_is_a_median_over_customers():
    assert limit_evidence(evidence(10), ABOUT).usual_gap == 30


def test_every_sentence_can_be_said_in_both_languages():
    for wrong in ((380, 51), (500, 400)):
        result = limit_evidence(evidence(*wrong), ABOUT)
        for statement in (*result.findings, *result.notes):
            for language in text.LANGUAGES:
                assert "{" not in statement.say(language)
        assert result.summary("zh").iloc[0, 0] == "30 天"
