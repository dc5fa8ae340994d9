"""Measure both trend chapters on the counts of 20 segments over 60 months: aim, under two seconds.

Run as `python benchmarks/trend.py`. Prints processor seconds, libraries loaded before.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from crossed_cases import simulate
from test_impact import by_level, event, period_counts, with_events

from churnlib.trend.control import control_chart
from churnlib.trend.decompose import decompose_change
from churnlib.trend.forecast import churn_forecast
from churnlib.trend.impact import event_effects
from churnlib.trend.segmentrates import segment_rates
from churnlib.trend.slices import find_slices
from churnlib.trend.trend import churn_trend
from churnlib.trend.units import unit_funnel


def main() -> None:
    """Make the counts, compute everything twice, print the second time."""
    rng, names = np.random.default_rng(1), [f"s{i:02}" for i in range(20)]
    lost = rng.binomial(5_000, 0.018 * np.exp(rng.normal(0, 0.1, 60)), (20, 60))
    events = [event(f"2024-{m:02}-05", f"region=s{m:02}", f"e{m}") for m in (1, 4, 7, 10)] + [event("2025-03-05")]
    groups = with_events(by_level({n: (list(row), 5_000) for n, row in zip(names, lost, strict=True)}), *events)
    whole = with_events(period_counts(list(lost.sum(0)), opening=100_000), *events)
    segments = {"region": tuple(names), "tenure": ("a", "b", "c", "d"), "plan": ("x", "y", "z")}
    crossed, _ = simulate(rng, n_months=60, segments=segments)
    chapters = (
        lambda: churn_trend(whole),
        lambda: control_chart(whole, [groups]),
        lambda: segment_rates(groups),
        lambda: event_effects(whole, [groups]),
        lambda: churn_forecast(whole),
        *(lambda a=against: decompose_change(crossed, a) for against in ("year_ago", "previous", "peak")),
        lambda: find_slices(crossed, against="year_ago"),
        lambda: unit_funnel(groups),
    )
    for _ in range(2):  # the first time loads libraries
        start = time.process_time()
        told = [finding for make in chapters for finding in make().findings]
        seconds = time.process_time() - start
    print(f"20 segments x 60 months, {len(told)} findings: {seconds:.2f} CPU-s")


if __name__ == "__main__":
    main()
