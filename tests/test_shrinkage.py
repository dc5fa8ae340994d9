"""Many groups at once: what is borrowed, what is kept, and how often chance alone is named."""

from dataclasses import replace

import numpy as np
import pytest
from counted import ABOUT, by_level, months
from noise import noise
from scipy.stats import nbinom, poisson

from churnlib.trend.groups import group_charts
from churnlib.trend.shrinkage import count_tails, shrunk_departures, shrunk_variation


def test_groups_that_vary_alike_take_the_common_variation():
    # 40 groups of any size, months varying by 10 % of the rate: 1 + .01 x expected losses
    rng = np.random.default_rng(1)
    expected, freedom = rng.uniform(5, 2_000, 40), np.full(40, 35.0)
    truth = 1 + 0.01 * expected
    drawn, more = shrunk_variation(truth * rng.chisquare(35, 40) / 35, freedom, expected)
    np.testing.assert_allclose(drawn, truth, rtol=0.25)
    assert more.min() > 35 * 2  # and know it far better than from their own months


def test_a_group_that_varies_in_its_own_way_keeps_it():
    expected, freedom = np.full(20, 500.0), np.full(20, 47.0)
    own = np.full(20, 6.0)
    own[7] = 60.0
    drawn, more = shrunk_variation(own, freedom, expected)
    assert drawn[7] > 40 and more[7] < 60


def test_departures_of_chance_shrink_to_nothing_and_a_real_one_stays():
    rng = np.random.default_rng(2)
    null = rng.normal(0, 1, 400)
    assert np.abs(shrunk_departures(null)).mean() < 0.2 * np.abs(null).mean()
    real = np.append(null[:30], 12.0)
    assert shrunk_departures(real)[-1] > 8
    assert np.isnan(shrunk_departures(np.array([np.nan, 1.0]))[0])


def test_tails_of_few_losses_are_those_of_counts():
    p, low, high = count_tails(np.array([6.0]), np.array([1.3]), np.array([1.0]))
    assert p[0] == pytest.approx(2 * poisson(1.3).sf(5), rel=1e-3)
    assert (low[0], high[0]) == (0, poisson(1.3).ppf(1 - 0.00135))
    p, _, _ = count_tails(np.array([90.0]), np.array([50.0]), np.array([2.0]))  # variance 200: size 50/3, p 1/4
    assert p[0] == pytest.approx(2 * nbinom(50 / 3, 0.25).sf(89))


def test_usual_rates_of_small_groups_are_drawn_towards_the_others_and_known_better():
    rng = np.random.default_rng(4)
    truth, sizes = rng.beta(40, 1_960, 30), np.array([40, 100, 400, 4_000, 40_000] * 6)
    levels = {
        f"s{i:02d}": (list(rng.binomial(n, p, 25)), int(n)) for i, (n, p) in enumerate(zip(sizes, truth, strict=True))
    }
    shown = replace(ABOUT, privacy_k=0, min_denominator=1)
    table = group_charts([by_level(levels)], months(25)[:24], shown).table.set_index("level").sort_index()
    drawn = table["expected"].to_numpy() * 30.44 / 31  # December
    own = np.array([np.mean(lost[:24]) / n for lost, n in levels.values()])
    few, many = sizes <= 100, sizes >= 40_000
    assert np.abs(drawn - truth)[few].mean() < 0.75 * np.abs(own - truth)[few].mean()
    np.testing.assert_allclose(drawn[many], own[many], rtol=0.02)


def named(n_segments, sizes, replicates, seed=3, change=0.0):
    """How often groups without a cause are named, and how often the one that has one is."""
    rng, n_false, n_found = np.random.default_rng(seed), 0, 0
    periods = months(48)
    for _ in range(replicates):
        common = noise(rng, 48, 0.5, 0.05)
        levels = {}
        for i in range(n_segments):
            logit = np.log(0.02 / 0.98) + common + noise(rng, 48, 0.0, 0.1)
            logit[-1] += change * (i == 0)
            levels[f"s{i}"] = (list(rng.binomial(sizes[i], 1 / (1 + np.exp(-logit)))), sizes[i])
        charts = group_charts([by_level(levels)], periods[:36], ABOUT)
        n_false += (charts.signals["level"] != "s0").any()
        n_found += (charts.signals["level"] == "s0").any()
    return n_false / replicates, n_found / replicates


SIZES = [4_000, *([60, 200, 800, 3_000, 20_000] * 4)][:20]


def test_of_twenty_groups_of_any_size_chance_names_few_and_a_cause_is_found():
    n_false, n_found = named(20, SIZES, 12, change=np.log(2.5))
    assert n_false <= 0.25 and n_found >= 0.75


@pytest.mark.calibrate
@pytest.mark.parametrize("seed", [3, 4])
def test_without_a_cause_one_report_in_a_hundred_names_a_group(seed):
    assert named(20, SIZES, 1_000, seed)[0] <= 0.016  # 1 % and two standard errors of 1,000 replicates


@pytest.mark.calibrate
def test_a_month_of_half_as_many_losses_again_is_found_in_one_group_of_twenty():
    assert named(20, [20_000, *SIZES[1:]], 200, change=np.log(1.6))[1] >= 0.5
