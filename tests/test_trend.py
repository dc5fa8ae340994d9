"""The churn rate, its changes and its words."""

import numpy as np
import pytest
from counted import by_level, period_counts
from hypothesis import given, settings
from hypothesis import strategies as st
from noise import losses

from churnlib import text
from churnlib.show.disclosure import HIDDEN
from churnlib.trend.control import control_chart
from churnlib.trend.segmentrates import segment_rates
from churnlib.trend.trend import churn_trend


def keys(result):
    return [finding.key for finding in result.findings]


def test_the_churn_rate_is_of_the_opening_base():
    # mistake 8: 200 of 10,000, whatever joined or left since
    row = churn_trend(period_counts([200] * 24, new=3_000)).current
    assert row.churn_rate == 0.02
    assert row.net_rate == pytest.approx((205 - 10) / 10_000)


def test_the_interval_is_wilsons():
    row = churn_trend(period_counts([15] * 24, opening=148)).current
    assert (row.ci_lower, row.ci_upper) == pytest.approx((0.0624, 0.1605), abs=5e-5)  # Newcombe (1998), table I


@pytest.mark.parametrize(
    ("last", "key", "tone"), [(300, "rise", "worse"), (100, "fall", "better"), (205, "flat", "steady")]
)
def test_words_follow_the_sign_and_the_interval(last, key, tone):
    # mistake 33: a sentence written for a rise printed over a fall
    head = churn_trend(period_counts([200] * 35 + [last])).findings[0]
    assert (head.key, head.tone) == (f"trend.rate.{key}", tone)


def test_where_nobody_knows_what_is_usual_a_clear_change_is_one_beyond_chance():
    result = churn_trend(period_counts([200, 205, 300]))
    assert keys(result)[0] == "trend.rate.rise.chance" and "too few periods" in result.findings[0].say("en")


def test_a_first_report_has_nothing_to_compare_with():
    assert keys(churn_trend(period_counts([200]))) == ["trend.rate.no_previous"]


def test_a_base_too_small_shows_no_rate():
    trend = churn_trend(period_counts([2] * 24, opening=20))
    assert trend.findings[0].key == "trend.rate.not_shown"
    assert trend.shown["churn_rate"].isna().all()


def test_an_empty_base_gives_no_rate_and_no_infinity():
    trend = churn_trend(period_counts([0] * 24, opening=0))
    assert trend.table["churn_rate"].isna().all()
    assert trend.findings[0].key == "trend.rate.not_shown"


def test_zero_churn_is_exactly_zero():
    # mistake 9: perfectly loyal customers
    trend = churn_trend(period_counts([0] * 24))
    assert trend.current.churn_rate == 0 and trend.findings[0].key == "trend.rate.flat"


def test_an_incomplete_period_is_compared_with_nothing():
    # mistake 10: twelve days of January are not a month
    trend = churn_trend(period_counts([200] * 24 + [70], last="2026-01", complete=[True] * 24 + [False]))
    last = trend.table.iloc[-1]
    assert np.isnan(last.previous_change) and not last.previous_clear
    assert keys(trend)[0] == "trend.rate.flat"


def test_an_overdispersed_series_calls_no_wobble_a_change():
    # mistake 25d: months vary by 10 %; the last one is 8 % above the one before
    rng = np.random.default_rng(1)
    lost = [*(20_000 * np.exp(rng.normal(0, 0.1, 35))).round().astype(int), 0]
    lost[-1] = round(lost[-2] * 1.08)
    trend = churn_trend(period_counts(lost, opening=1_000_000))
    assert trend.current.sigma > 5 and trend.findings[0].key == "trend.rate.flat"


def test_two_months_within_the_control_limits_differ_by_usual_variation_only():
    # mistake 25d: 95 of 100 differences lie in an interval, so that one month in twenty would contradict the chart
    rng, clear = np.random.default_rng(11), 0
    for _ in range(30):
        counts = period_counts(list(losses(rng, 36, 200_000)), opening=200_000)
        trend, chart = churn_trend(counts), control_chart(counts)
        beyond = chart.table["beyond"].tail(2).any() or chart.table["beyond"].iloc[-13]
        assert beyond or not (trend.current.previous_clear or trend.current.year_ago_clear)
        clear += trend.current.previous_clear
    assert clear <= 3


def test_share_and_rate_are_both_shown():
    # mistake 29: the large group has most of the losses, the small one the risk
    rates = segment_rates(by_level({"big": ([100] * 24, 10_000), "small": ([60] * 24, 1_000)}))
    table = rates.table.set_index("level")
    assert table.loc["big", "share_lost"] == pytest.approx(100 / 160) and table.loc["big", "churn_rate"] == 0.01
    assert keys(rates) == ["trend.segment.highest", "trend.segment.most_lost"]
    assert rates.findings[0].weight == pytest.approx(12 * (60 - 1_000 * 0.01))  # in a year, beyond the others' rate
    assert "Small" in rates.findings[0].say("en") and "big" in rates.findings[1].say("en")


def test_equal_segments_name_nobody():
    # mistake 22: under the null, the worst of twenty is not shown as if it stood out
    rng, named = np.random.default_rng(3), 0
    for _ in range(30):
        levels = {f"s{i}": ([rng.binomial(2_000, 0.02)], 2_000) for i in range(20)}
        named += keys(segment_rates(by_level(levels)))[0] == "trend.segment.highest"
    assert named <= 6  # at the nominal .05 in all, more happens once in a thousand times


def test_segments_add_up_to_the_whole():
    rates = segment_rates(by_level({"a": ([100] * 24, 9_000), "b": ([60] * 24, 1_000)}))
    assert rates.table["share_lost"].sum() == pytest.approx(1) and rates.total_rate == 160 / 10_000


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 5_000), min_size=1, max_size=40),
    st.integers(0, 50_000),
)
def test_every_sentence_can_be_said_in_both_languages(lost, opening):
    trend = churn_trend(period_counts([min(d, opening) for d in lost], opening=opening))
    for finding in trend.findings:
        for language in text.LANGUAGES:
            words = finding.say(language)
            assert not any(bad in words for bad in ("nan", "inf", "None", "−0.00", "{", "NaT"))
        change = finding.values.get("change")
        if finding.key.endswith(("rise", "fall")):
            assert (change > 0) == finding.key.endswith("rise")


@given(st.lists(st.integers(0, 12), min_size=14, max_size=30))
def test_no_hidden_count_can_be_told_from_another_period(lost):
    shown = churn_trend(period_counts(lost, 500)).shown
    assert shown.loc[shown["flag"] == HIDDEN, ["n_churned_opening", "churn_rate", "net_rate"]].isna().all(axis=None)
    for steps, prefix in ((1, "previous"), (12, "year_ago")):
        hidden = (shown["flag"] == HIDDEN).shift(steps, fill_value=False)
        assert shown.loc[hidden, [prefix, f"{prefix}_change", f"{prefix}_lower"]].isna().all(axis=None)
    summed = shown["rolling_rate"].notna()
    assert not (summed & (shown["flag"] == HIDDEN).rolling(12, min_periods=1).max().astype(bool)).any()
