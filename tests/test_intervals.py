"""Intervals: equal to published values, and they cover what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnlib.intervals import difference, jeffreys, overdispersion, wilson


def test_wilson_agrees_with_newcombes_published_table():
    # Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3 (score, no continuity correction)
    lower, upper = wilson([81, 15, 0, 1], [263, 148, 20, 29])
    assert lower == pytest.approx([0.2553, 0.0624, 0.0, 0.0061], abs=5e-5)
    assert upper == pytest.approx([0.3662, 0.1605, 0.1611, 0.1718], abs=5e-5)


def test_difference_agrees_with_newcombes_published_table():
    # Newcombe (1998), Statistics in Medicine 17, 873-890, table II, method 10
    lower, upper = difference([56, 9, 10], [70, 10, 10], [48, 3, 0], [80, 10, 10])
    assert lower == pytest.approx([0.0524, 0.1705, 0.6075], abs=5e-5)
    assert upper == pytest.approx([0.3339, 0.8090, 1.0], abs=5e-5)


def test_a_share_of_nobody_has_no_interval():
    assert np.isnan(wilson(0, 0)).all() and np.isnan(jeffreys(0, 0)).all()


@given(st.integers(1, 10**7), st.floats(0, 1))
def test_intervals_hold_their_share_and_stay_inside_0_and_1(n, share):
    d = round(n * share)
    for lower, upper in (wilson(d, n), jeffreys(d, n)):
        assert 0 <= lower <= d / n <= upper <= 1


@pytest.mark.parametrize(("p", "n"), [(0.01, 100), (0.02, 150), (0.003, 1_000)])
def test_wilson_covers_small_rates_where_wald_does_not(p, n):
    # mistake 30: with one to three expected events Wald's interval covers as little as 63 %
    d = np.random.default_rng(20250101).binomial(n, p, 20_000)
    lower, upper = wilson(d, n)
    assert np.mean((lower <= p) & (p <= upper)) >= 0.92
    half = 1.96 * np.sqrt(d / n * (1 - d / n) / n)
    assert np.mean((d / n - half <= p) & (p <= d / n + half)) < 0.96 * np.mean((lower <= p) & (p <= upper))


def test_pure_chance_is_not_overdispersed_and_noise_is():
    rng = np.random.default_rng(7)
    n = np.full(36, 200_000)
    noisy = 1 / (1 + np.exp(-(np.log(0.02 / 0.98) + rng.normal(0, 0.1, 36))))
    assert overdispersion(rng.binomial(n, 0.02), n) < 1.4
    assert 4 < overdispersion(rng.binomial(n, noisy), n) < 9  # sd of z = .1 * sqrt(n p (1 - p)) = 6.3


def test_a_clear_change_needs_more_than_the_usual_wobble():
    # mistake 25d: 2.0 % -> 2.1 % of 200,000 is "clear" to a binomial interval, not beside a logit noise of .1 a month
    plain = difference(4200, 200_000, 4000, 200_000)
    usual = difference(4200, 200_000, 4000, 200_000, sigma=6.3)
    assert plain[0] > 0 and usual[0] < 0 < usual[1]
