"""Benchmarks with their source, and signals that accompany churn without being its cause."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from counted import ABOUT, by_level, months, period_counts

from churnlib import text
from churnlib.about import Event, Period
from churnlib.show.results import period_values
from churnlib.text import Label, UsageError
from churnlib.trend.companions import companion_signals, lead_lag, surprises
from churnlib.trend.control import control_chart
from churnlib.trend.market import market_comparison


def benchmarks(*rows):
    frame = pd.DataFrame(rows, columns=["industry", "period", "churn_rate", "source"])
    return SimpleNamespace(frame=frame, about=ABOUT)


def test_a_benchmark_is_named_in_both_languages_where_both_are_given():
    rows = benchmarks(("电信", "2025", 0.015, "协会")).frame.assign(industry_en="telecom", source_en=None)
    market = market_comparison(period_counts([200] * 24), SimpleNamespace(frame=rows, about=ABOUT))
    said = market.findings[0].say("en")
    assert "telecom" in said and "电信" not in said and "协会" in said and "电信" in market.findings[0].say("zh")


def keys(result):
    return [finding.key for finding in result.findings]


@pytest.mark.parametrize(("rate", "key"), [(0.015, "above"), (0.025, "below"), (0.0202, "same"), (0.20, "doubt")])
def test_words_follow_the_side_of_the_benchmark(rate, key):
    # mistake 33; and a yearly rate held against months is doubted, not celebrated
    result = market_comparison(period_counts([200] * 24), benchmarks(("telecom", "2025", rate, "an association")))
    assert keys(result) == [f"market.{key}"] and "an association" in result.findings[0].say("zh")


def test_a_yearly_benchmark_is_converted_when_it_is_said_to_be_one():
    yearly = 1 - 0.98**12
    result = market_comparison(period_counts([200] * 24), benchmarks(("telecom", "2025", yearly, "x")), per="year")
    assert result.table["benchmark"].iloc[0] == pytest.approx(0.02) and keys(result) == ["market.same"]
    with pytest.raises(UsageError):
        market_comparison(period_counts([200] * 24), benchmarks(), per="decade")


def test_part_of_a_year_is_not_held_against_the_year():
    # mistake 10: the ledger covers July to December of 2024 only
    result = market_comparison(period_counts([200] * 18), benchmarks(("telecom", "2024", 0.02, "x")))
    assert keys(result) == ["market.no_overlap"] and result.table["churn_rate"].isna().all()


def test_the_latest_benchmark_speaks_and_all_are_drawn():
    rows = [("telecom", str(year), 0.02, "x") for year in (2024, 2025)] + [("banks", None, 0.01, None)]
    result = market_comparison(period_counts([300] * 24), benchmarks(*rows))
    assert [str(f.values["industry"]) for f in result.findings] == ["telecom", "banks"]
    assert str(result.findings[0].values["stretch"]) == "2025" and result.plot() is not None


def test_without_benchmarks_one_sentence_says_what_is_missing():
    result = market_comparison(period_counts([200] * 24), benchmarks())
    assert keys(result) == ["market.none"] and result.plot() is None and result.notes == ()


def contacts(n, rng, score=8.0, complaints=None):
    """Signals by period: a survey of 600 answers and some complaints."""
    asked = np.full(n, 600)
    means = score + rng.normal(0, 0.06, n) if np.isscalar(score) else np.asarray(score)
    complaints = rng.poisson(160, n) if complaints is None else complaints
    frame = pd.DataFrame({"period": months(n), "n_complaints": complaints, "n_unresolved": complaints // 4})
    frame["n_asked"], frame["n_scores"], frame["score_sum"] = 1500, asked, asked * means
    frame["score_sum2"] = asked * (means**2 + 4)
    return SimpleNamespace(frame=frame, about=ABOUT)


def test_signals_that_leave_their_range_with_churn_are_told_as_coinciding():
    rng = np.random.default_rng(1)
    lost = [*(200 + rng.integers(-8, 8, 28)), *[320] * 6, 205, 201]
    score = np.array([*(8 + rng.normal(0, 0.05, 27)), *[7.2] * 7, 8.0, 8.0])
    result = companion_signals(period_counts([int(x) for x in lost]), contacts(36, rng, score))
    head, stretch = (finding.say("en") for finding in result.findings[:2])
    assert "Satisfaction" in head and "Complaints" not in head and "coincide" in head
    assert "Satisfaction: April 2025 to October 2025" in stretch
    assert all(finding.weight == 0 for finding in result.findings)


def test_a_report_knows_nothing_of_later_months():
    about = replace(ABOUT, period=Period.parse("2025-06"))
    counted = period_counts([200] * 30 + [400] * 6, about=about)
    signals = companion_signals(counted, contacts(36, np.random.default_rng(1), np.array([8.0] * 30 + [5.0] * 6)))
    assert signals.course["period"].max() == "2025-06" and signals.findings[0].key == "companions.usual"
    market = market_comparison(counted, benchmarks(("telecom", "2025", 0.02, "x"), ("telecom", "2024", 0.02, "x")))
    assert str(market.findings[0].values["stretch"]) == "2024"


def test_signals_that_stay_as_usual_are_said_to_do_so():
    rng = np.random.default_rng(2)
    lost = [int(x) for x in rng.binomial(10_000, 0.02, 36)]
    assert keys(companion_signals(period_counts(lost), contacts(36, rng))) == ["companions.usual", "companions.no_lead"]


def test_a_signal_that_moves_before_churn_is_found_at_its_lag():
    rng = np.random.default_rng(3)
    shock = rng.normal(0, 1, 62)
    lost = [int(200 + 25 * x) for x in shock[:60]]  # follows what complaints showed two months before
    complaints = np.array([int(300 + 80 * x) for x in shock[2:62]])
    result = companion_signals(period_counts(lost), contacts(60, rng, complaints=complaints))
    finding = next(f for f in result.findings if f.key == "companions.leads.same")
    assert (
        finding.values["lag"] == 2
        and finding.values["correlation"] > 0.8
        and "Before is not because" in finding.say("en")
    )


def falsely_found(replicates, seed, slope=0.7):
    rng, found = np.random.default_rng(seed), 0
    periods = period_values(months(48))
    for _ in range(replicates):
        drifting = np.zeros((2, 48))
        for i in range(1, 48):
            drifting[:, i] = slope * drifting[:, i - 1] + rng.normal(0, 1, 2)
        (x, fitted), (y, _) = (surprises(series, periods) for series in drifting)
        found += any(row["is_clear"] for row in lead_lag(x, y, looked=10, fitted=fitted))
    return found / replicates


def test_two_series_that_drift_by_themselves_are_not_related():
    assert falsely_found(200, seed=4) <= 0.085  # nominal .05, three standard errors for 200


@pytest.mark.calibrate
@pytest.mark.parametrize("slope", [0.0, 0.5, 0.9])
def test_unrelated_series_hold_the_error_rate(slope):
    share = falsely_found(2_000, seed=5, slope=slope)
    print(slope, share)
    assert share <= 0.06


def test_without_contacts_one_sentence_says_what_is_missing():
    result = companion_signals(period_counts([200] * 24), None)
    assert keys(result) == ["companions.none"] and result.plot() is None


def test_few_answers_show_no_signal_and_every_sentence_can_be_said():
    for n in (3, 13, 30):
        counted = contacts(n, np.random.default_rng(n), complaints=np.full(n, 3))
        counted.frame[["n_scores", "score_sum", "score_sum2"]] = [4, 32, 260]
        result = companion_signals(period_counts([200] * n), counted)
        assert result.signals == [] and keys(result) == ["companions.none"]
        result = companion_signals(period_counts([200] * n), contacts(n, np.random.default_rng(n)))
        for language in text.LANGUAGES:
            assert not any(bad in f.say(language) for f in result.findings for bad in ("nan", "inf", "{"))


def test_benchmarks_are_named_lines_and_every_signal_has_its_own_scale():
    market = market_comparison(period_counts([200] * 24), benchmarks(("telecom", "2025", 0.025, "x")))
    (track,) = market.plot().child_axes
    assert "telecom 2.50%" in {label.get_text() for label in track.texts}
    tracks = companion_signals(period_counts([200] * 36), contacts(36, np.random.default_rng(1))).plot().child_axes
    assert len(tracks) == 4 and len({axes.get_ylim() for axes in tracks}) == 4


def test_events_stand_on_every_track_and_in_the_panels_of_those_they_touched():
    everybody = Event(date(2025, 4, 2), Label("故障", "outage"))
    south = Event(date(2025, 6, 2), Label("降价", "offer"), scope="region=south")
    counts = period_counts([200] * 36, about=replace(ABOUT, events=(everybody, south)))

    def places(axes) -> list[int]:
        ends = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
        return sorted(round(float(x[0])) for x in ends if x[0] == x[1])

    for track in companion_signals(counts, contacts(36, np.random.default_rng(1))).plot().child_axes:
        assert places(track) == [27, 29]
    groups = control_chart(counts, [by_level({"south": ([90] * 36, 5_000), "north": ([110] * 36, 5_000)})]).groups
    panels = {panel.texts[0].get_text(): places(panel) for panel in groups.plot().child_axes}
    assert sorted(len(places) for places in panels.values()) == [1, 2]  # of the last 25 months
