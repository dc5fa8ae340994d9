"""The verdict: even churn or patterned, by which rule, where, since when, and which customers."""

import re
from dataclasses import replace

import numpy as np
import pytest
from counted import ABOUT, by_level, period_counts
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlib import text
from churnlib.about import Baseline, Period, Segment
from churnlib.intervals import benjamini_hochberg
from churnlib.text import Label
from churnlib.trend.control import control_chart

BAD = re.compile(r"\bnan\b|\binf\b|None(?! of)|NaT|[{}]")  # what no sentence may hold
USUAL = [200, 190, 210, 205, 195, 188, 212, 201, 199, 207, 193, 204] * 3


def keys(result):
    return [finding.key for finding in result.findings]


def divided(levels, name="region", label=("大区", "Region"), kind=""):
    counts = by_level(levels)
    segment = Segment(name, Label(*label), tuple(levels), tuple(Label(k, k) for k in levels), kind)
    counts.about = replace(counts.about, segment=segment)
    return counts


def test_usual_variation_is_even_churn_and_says_do_not_explain():
    result = control_chart(period_counts(USUAL))
    assert keys(result) == ["control.even.whole"]
    assert "不必解释" in result.findings[0].say("zh") and "do not explain" in result.findings[0].say("en")


@pytest.mark.parametrize(("last", "side", "tone"), [(300, "high", "worse"), (110, "low", "better")])
def test_a_month_beyond_its_limits_is_patterned_churn(last, side, tone):
    head = control_chart(period_counts([*USUAL[:-1], last])).findings[0]
    assert (head.key, head.tone, head.grade) == (f"control.patterned.{side}", tone, "moderate")
    assert head.weight == pytest.approx(abs(last - 200), rel=0.1)


def test_three_years_of_quarters_are_held_against_the_first_two():
    quarters = [f"{year}-Q{q}" for year in (2023, 2024, 2025) for q in (1, 2, 3, 4)]
    counts = period_counts([600, 610, 590, 605, 595, 603, 598, 607, 600, 760, 780, 790])
    counts.frame["period"], counts.about = quarters, replace(counts.about, period=Period.parse("2025-Q4"))
    result = control_chart(counts)
    assert keys(result)[0] == "control.patterned.high"
    assert result.table.loc[result.table["in_baseline"], "period"].tolist() == quarters[:8]


def test_since_when_is_the_first_of_the_run():
    result = control_chart(period_counts([*USUAL[:-3], 290, 305, 300]))
    since = result.findings[1]
    assert since.key == "control.since.high" and str(since.values["first"]) == "2025-10" and since.values["n"] == 3


def test_a_rate_that_came_back_says_since_when():
    result = control_chart(period_counts([*USUAL[:-6], 290, 305, 300, 200, 195, 204]))
    assert keys(result) == ["control.even.whole", "control.back"]
    assert [str(result.findings[1].values[k]) for k in ("first", "last", "back")] == ["2025-07", "2025-09", "2025-10"]
    values = result.findings[1].values  # the usual is 200 a month of 10,000
    assert values["excess"] == pytest.approx(290 + 305 + 300 - 600, abs=15) and str(values["top"]) == "2025-08"
    assert values["top_rate"] == 0.0305


def test_a_single_month_beyond_the_limits_is_told_as_one():
    result = control_chart(period_counts([*USUAL[:-6], 290, 200, 205, 200, 195, 204]))
    assert keys(result) == ["control.even.whole", "control.back.only"]
    assert "only July 2025" in result.findings[1].say("en")


def test_a_lasting_shift_within_the_limits_is_patterned():
    # no run rules (mistake 25e): lasting shifts belong to the change-point search
    rng = np.random.default_rng(8)
    lost = np.concatenate([rng.normal(200, 26, 36), rng.normal(262, 15, 7)]).round().astype(int)
    result = control_chart(period_counts(lost))
    assert not result.table["beyond"].iloc[-1]
    assert result.verdict == "control.patterned.shift_high"
    assert "持续变化" in result.findings[0].say("zh")
    faded = control_chart(period_counts([*lost[:-1], 203]))  # one month near the usual does not undo the change
    assert faded.verdict == "control.even.faded_high" and faded.findings[0].tone == "steady"


def test_one_group_beyond_its_limits_is_patterned_though_the_whole_is_not():
    levels = {"a": (USUAL, 10_000), "b": ([40] * 35 + [80], 2_000), "c": (USUAL, 10_000)}
    whole = period_counts([sum(values[0][i] for values in levels.values()) for i in range(36)], opening=22_000)
    result = control_chart(whole, [divided(levels)])
    assert result.verdict == "control.patterned.group_high"
    assert "大区：b" in result.findings[0].say("zh") and "Region: b" in result.findings[0].say("en")
    assert result.groups.table["level"].iloc[0] == "b"  # ordered by deviation
    assert keys(result.groups) == ["control.groups.high.one"]


def test_loyal_customers_who_leave_are_named_by_the_kind_of_segment_not_by_its_name():
    usual, left = (USUAL, 10_000), ([*USUAL[:-1], 320], 10_000)
    whole = period_counts([3 * d for d in USUAL], opening=30_000)

    def said(levels, kind="tenure"):
        return keys(control_chart(whole, [divided(levels, "seniority", ("客龄", "Seniority"), kind)]).groups)

    assert "control.groups.loyal" in said({"new": usual, "old": left, "unknown": usual})
    assert "control.groups.loyal" not in said({"new": usual, "old": left, "unknown": usual}, kind="")
    assert "control.groups.loyal" not in said({"new": left, "old": usual, "unknown": usual})
    assert "control.groups.loyal" not in said({"new": usual, "old": usual, "unknown": left})  # nobody knows how long


@pytest.mark.parametrize(("size", "word"), [(13_500, "alike"), (9_000, "higher"), (20_000, "lower")])
def test_half_of_the_lost_are_told_with_their_share_of_the_customers(size, word):
    # mistake 29: the young are 57 % of the lost; whether they leave more depends on how many they are
    levels = {"young": ([d + 65 for d in USUAL], size), "adult": ([100] * 36, 5_000), "old": ([100] * 36, 5_000)}
    groups = control_chart(period_counts([d + 265 for d in USUAL], opening=10_000 + size), [divided(levels)]).groups
    half = groups.findings[-1]
    assert half.key == f"control.groups.half.{word}" and half.grade == "descriptive"
    lost = sum(USUAL[-12:]) + 12 * 65
    assert half.values["share"] == pytest.approx(lost / (lost + 2_400)) and half.values["n"] == 12
    assert half.values["rate"] == pytest.approx(lost / 12 / size) and half.values["rest"] == pytest.approx(0.02)
    assert half.values["base"] == size / (size + 10_000)


def test_many_groups_without_a_cause_name_nobody():
    # mistake 22
    rng, named = np.random.default_rng(3), 0
    for _ in range(8):
        levels = {f"s{i}": (list(rng.binomial(5_000, 0.02, 36)), 5_000) for i in range(20)}
        named += len(control_chart(period_counts(USUAL), [divided(levels)]).groups.signals) > 0
    assert named <= 2  # nominal .05


def test_false_discoveries_are_those_of_the_paper():
    # Benjamini and Hochberg (1995), section 4: 15 p-values, four of them believed at .05
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590]
    assert benjamini_hochberg(np.array([*p, 1.0]), 0.05).sum() == 4
    assert not benjamini_hochberg(np.array([np.nan, 0.9]), 0.05).any()


def test_hidden_groups_raise_no_signal():
    levels = {"a": (USUAL, 10_000), "b": (USUAL, 10_000), "tiny": ([0] * 35 + [4], 40)}
    result = control_chart(period_counts(USUAL), [divided(levels)])
    tiny = result.groups.table.set_index("level").loc["tiny"]
    assert tiny["flag"] == "hidden" and np.isnan(tiny["churn_rate"]) and tiny["beyond"] == 0


def test_a_declared_baseline_is_frozen():
    first = control_chart(period_counts(USUAL, last="2025-11"), baseline="2023-01..2024-06").table
    later = control_chart(period_counts([*USUAL[1:], 900]), baseline="2023-01..2024-06").table
    row = [t.set_index("period").loc["2025-06", ["expected", "upper"]].tolist() for t in (first, later)]
    assert row[0] == pytest.approx(row[1], rel=0.02)  # the same months, shifted by one in the toy series
    result = control_chart(period_counts(USUAL), baseline="2023-01..2024-06")
    assert result.declared and result.usual.inside.sum() == 18
    assert result.notes[0].key == "control.note.baseline.declared"


@pytest.mark.parametrize("wrong", ["2024-01..2024-03", "2024-12..2023-01", "long ago"])
def test_a_baseline_that_cannot_be_used_is_said(wrong):
    with pytest.raises(text.UsageError):
        control_chart(period_counts(USUAL), baseline=wrong)


def test_the_data_set_s_baseline_is_taken_and_its_crisis_left_out():
    crisis = [*USUAL[:20], 400, 380, 300, *USUAL[23:]]
    declared = Baseline.parse("2023-01..2025-06", ["2024-09", "2024-10", "2024-11"])
    result = control_chart(period_counts(crisis, about=replace(ABOUT, baseline=declared)))
    assert result.declared == declared and result.usual.inside.sum() == 27
    notes = {note.key: note for note in result.notes}
    assert notes["control.note.left_out"].values["periods"] == ["2024-09", "2024-10", "2024-11"]
    assert Baseline.parse("2023..2024").holds(Period.parse("2023-Q4"))  # of any unit
    early = replace(ABOUT, baseline=Baseline.parse("2025-10..2025-12"))
    assert control_chart(period_counts(USUAL, about=early)).notes[0].key == "control.note.baseline.unusable"


def test_a_found_baseline_does_not_contain_a_crisis():
    # two months of a crisis hide each other from a test of one at a time; its shoulders are less remarkable
    lost = [*USUAL[:19], 262, 520, 540, 258, *USUAL[:13]]
    result = control_chart(period_counts(lost))
    gone = result.table["period"].iloc[[19, 20, 21, 22]].tolist()
    assert not result.table.set_index("period").loc[gone, "in_baseline"].any()
    assert result.usual.inside.sum() >= 19 and result.usual.sigma < 1.2


def test_a_found_baseline_ends_before_what_an_event_changed_half_a_year_ago():
    lost = [*USUAL[:16], *[int(1.4 * d) for d in USUAL[:8]], *USUAL[:12]]
    result = control_chart(period_counts(lost))
    assert result.table.loc[result.table["in_baseline"], "period"].iloc[-1] == "2024-04"
    assert result.table["beyond"].iloc[16:24].all()


def test_a_found_baseline_starts_after_the_last_lasting_change():
    lost = [*[300] * 18, *(USUAL[:30])]
    result = control_chart(period_counts(lost))
    assert result.table.loc[result.table["in_baseline"], "period"].iloc[0] >= "2023-06"


def test_too_little_history_is_said_and_not_judged():
    assert keys(control_chart(period_counts([200] * 5))) == ["control.short"]
    assert keys(control_chart(period_counts([2] * 24, opening=20))) == ["control.not_shown"]
    assert keys(control_chart(period_counts([0] * 24, opening=0))) == ["control.not_shown"]


@settings(max_examples=12)
@given(st.lists(st.integers(0, 900), min_size=1, max_size=40), st.sampled_from([0, 25, 3_000, 50_000]))
def test_every_sentence_can_be_said_in_both_languages(lost, opening):
    lost = [min(d, opening) for d in lost]
    levels = {"a": ([d // 3 for d in lost], opening // 2), "b": ([d // 2 for d in lost], opening // 2)}
    result = control_chart(period_counts(lost, opening=opening, about=ABOUT), [divided(levels)])
    told = [*result.findings, *result.notes]
    told += [*result.groups.findings, *result.groups.notes] if result.groups else []
    for statement in told:
        for language in text.LANGUAGES:
            assert not BAD.search(statement.say(language))
    if result.verdict == "control.patterned.high":
        assert lost[-1] / opening > result.table["expected"].iloc[-1]
