"""What events did, on the simulated companies in full: the intervals hold what is known to be due to each of them."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import churnlib as churn

DATA = Path(__file__).parent.parent / "data"


def lost_to(truth: dict, segment: str, levels: str, causes: list[str], first: str, last: str) -> float:
    """The losses that the simulation put down to some causes from one month to another, above those of the year before.

    The year before ends six months earlier, where nothing of the event can have been counted yet.
    """
    start, end = truth["months"].index(first), truth["months"].index(last) + 1
    rows = [truth["expected"][segment][level] for level in levels.split(",")]
    series = sum(np.array(row[cause]) for row in rows for cause in causes)
    return float(series[start:end].sum() - series[max(start - 18, 0) : start - 6].mean() * (end - start))


@cache
def effects(name: str):
    data = churn.open_dataset(name)
    table = churn.event_effects(churn.period_counts(data), churn.scope_counts(data)).table
    truth = json.loads((data.folder / "truth.json").read_text("utf-8"))
    return {str(row.event.en): row for row in table.itertuples()}, truth


OFFER = "age 25-35"  # its scope names two regions besides: the offer reached nobody else of that age
LEFT = "代表03,代表25,代表11,代表26,代表16,代表27,代表22,代表28"
CASES = [
    ("telecom", "core network outage in South China", "consistent", "region 华南", ["outage", "complaint_wave"]),
    ("telecom", "competitor's half-price offer (ages 25-34)", "consistent", OFFER, ["competitor"]),
    ("telecom", "prepaid prices up 12 %", "consistent", "payment 预付费", ["price_rise"]),
    ("bank", "a rival lends at lower rates", "consistent", "loan 100+", ["rate"]),
    ("dairy", "a food-safety crisis of the industry", "coincides", "all all", ["crisis"]),  # with the measures after it
    ("logistics", "listings without review", "coincides", "side 车主", ["stale"]),
    ("logistics", "a rival subsidises drivers", "coincides", "side 车主", ["rival"]),
    ("dealer", "a repair chain opens in town", "consistent", "warranty 保外", ["chain_shop"]),
    ("distributor", "4 events of one kind together", "consistent", f"representative {LEFT}", ["staff_left"]),
    ("distributor", "grey-market goods in East China", "consistent", "region 华东", ["grey_market"]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "event", "state", "touched", "causes"), CASES)
def test_intervals_hold_what_the_simulation_put_down_to_each_event(name, event, state, touched, causes):
    found, truth = effects(name)
    row = next(row for told, row in found.items() if told.startswith(event))
    due = lost_to(truth, *touched.split(), causes, row.first, row.last)
    assert row.state == state and row.ci_lower <= due <= row.ci_upper and due > 0


@pytest.mark.slow
def test_training_drawn_by_lot_kept_the_customers_that_it_kept():
    found, truth = effects("bank")
    row = found["service training in six branches"]
    assert row.state == "consistent" and row.ci_lower <= -truth["avoided"]["training"] <= row.ci_upper


@pytest.mark.slow
def test_case_1_is_dated_as_it_happened():
    # steady in January to March, rising from April, at its peak in July, back in the last two months of the year
    data = churn.open_dataset("telecom")
    chart = churn.control_chart(churn.period_counts(data), churn.divided_counts(data))
    fall, rise = chart.changes.table.iloc[0], chart.changes.table.iloc[1]
    assert rise["kind"] == "slope" and rise["lower"] <= "2025-04" <= rise["upper"] < "2025-07"  # a ramp, no step
    assert fall["shape"] == "slope.peak" and fall["lower"] <= "2025-08" <= fall["upper"]
    assert str(chart.changes.findings[0].values["peak"]) == "2025-07"
    beyond = chart.table.set_index("period")["beyond"]["2025-01":]
    assert (beyond[:"2025-03"] == 0).all() and (beyond["2025-05":"2025-09"] == 1).all()
    assert (beyond["2025-11":] == 0).all() and "October 2025" in chart.findings[1].say("en")
    assert chart.verdict == "control.even"  # nothing to explain any more


@pytest.mark.slow
def test_causes_too_close_on_the_same_customers_are_one_effect():
    found, _ = effects("dairy")  # the crisis, and two months later the measures against it
    assert [name.count(" + ") for name in found] == [1]
