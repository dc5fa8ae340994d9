"""The simulated bank, dairy shop and freight platform: their files say exactly what their truths say."""

import pytest
from simulated import Truths, causes, company

SEGMENTS = {
    "bank": ("age", "loan", "value", "risk"),
    "dairy": ("line", "region", "channel"),
    "logistics": ("side", "route"),
}
RULES = {  # rule of the reader -> what the simulations call the same rows
    "bank": {
        ("customers", "duplicate_customer"): ["duplicate customers"],
        ("contracts", "end_before_start"): ["accounts that end before they start"],
    },
    "dairy": {
        ("customers", "duplicate_customer"): ["duplicate members"],
        ("activity", "unknown_customer"): ["purchases of unknown members"],
        ("activity", "duplicate_activity"): ["purchases entered twice"],
    },
    "logistics": {
        ("customers", "duplicate_customer"): ["duplicate users"],
        ("activity", "unknown_customer"): ["orders of unknown users, 货主", "orders of unknown users, 车主"],
        ("activity", "duplicate_activity"): ["orders entered twice, 货主", "orders entered twice, 车主"],
    },
}


@pytest.fixture(scope="module", params=list(SEGMENTS))
def small(request, tmp_path_factory):
    """A tenth of each company."""
    name = request.param
    return company(name, 0.1, tmp_path_factory.mktemp(name), SEGMENTS[name], RULES[name])


class TestMore(Truths):
    """What every company has to keep."""


def rate(row: dict, truth: dict, first: str, last: str) -> float:
    """The churn rate of some months, as the chances have it."""
    at = slice(truth["months"].index(first), truth["months"].index(last) + 1)
    return sum(sum(values[at]) for values in causes(row).values()) / sum(row["n_opening"][at])


def test_each_story_is_in_its_truth(small):
    name, truth = small.name, small.truth
    expected = truth["expected"]
    if name == "bank":
        large = [
            rate(expected["loan"]["100+"], truth, *year) for year in (("2023-01", "2023-12"), ("2024-04", "2025-03"))
        ]
        assert large[1] > 2 * large[0]  # the rival's rates
        assert expected["risk"]["C"]["rate"] == [0] * 60  # who takes only good risks
        fee = truth["fee"]
        lost = sum(fee["fee_churned_opening"][39:]) / sum(fee["fee_opening"][39:])
        assert lost > rate(expected["all"]["all"], truth, "2024-04", "2025-12")  # more money than heads
    elif name == "dairy":
        before, worst, after = (
            rate(expected["all"]["all"], truth, *span)
            for span in (("2023-09", "2024-08"), ("2024-11", "2024-12"), ("2025-07", "2025-12"))
        )
        assert worst > 2 * before
        assert after < 1.2 * before  # the rate recovers, the number of members does not
        book = dict(zip(truth["months"], truth["ledger"]["n_closing"], strict=True))
        assert book["2025-12"] < book["2024-08"]
    else:
        drivers, shippers = (
            [rate(expected["side"][side], truth, *span) for span in (("2023-07", "2024-06"), ("2024-09", "2025-06"))]
            for side in ("车主", "货主")
        )
        assert drivers[1] > 1.5 * drivers[0]
        assert shippers[1] < 1.3 * shippers[0]
