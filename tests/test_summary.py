"""The executive summary says what the numbers say, whatever they are, and the same in both languages."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_home import block, both, finding, kpi

from churnlib import text
from churnlib.about import Period
from churnlib.reporting import summary
from churnlib.reporting.collect import Chapter
from churnlib.reporting.notes import Decision, Notes
from churnlib.show import display, results
from churnlib.text import LANGUAGES, Label

DECEMBER = Period.parse("2025-12")
NEVER = re.compile(r"nan|inf|None|-0\.00|−0\.00%|\{|\}")


def chapter(name, *blocks):
    return Chapter(name, Label(name, name), name, [{"block": b} for b in blocks])


def verdict(**given_):
    made = summary.summarise([chapter("trend", block(findings=[], kpis=[kpi(**given_)]))], DECEMBER)
    return made.verdict, made.tone


POINTS = "percentage points"
CASES = {
    "rise": ((0.0231, 0.0180, True), "上升 0.51 个百分点", f"up 0.51 {POINTS}", "worse"),
    "fall": ((0.0150, 0.0180, True), "下降 0.30 个百分点", f"down 0.30 {POINTS}", "better"),
    "flat": ((0.0181, 0.0180, False), "没有明显变化", "no clear change", "steady"),
    "same": ((0.0180, 0.0180, False), "与上期相同", "the same as", "steady"),
    "clear but invisible": ((0.018001, 0.0180, True), "与上期相同", "the same as", "steady"),
    "rise from zero": ((0.0100, 0.0, True), "上升 1.00 个百分点", f"up 1.00 {POINTS}", "worse"),
    "nobody left": ((0.0, 0.0180, True), "0.00%", "0.00%", "better"),
    "first report ever": ((0.0231, None, None), "没有可比的上期", "no previous period", "none"),
    "cannot be told": ((0.0231, 0.018, None), "不足以判断", "cannot tell", "none"),
    "too few": ((None, None, None), "不予显示", "not shown", "none"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_verdict_follows_the_numbers(case):
    (value, previous, clear), zh, en, tone = CASES[case]
    said, meant = verdict(value=value, previous=previous, clear=clear)
    assert zh in said["zh"] and en in said["en"] and meant == tone


SHARES = st.one_of(st.none(), st.floats(0, 1))
CLEAR = st.sampled_from([True, False, None])
COUNTS = st.one_of(st.none(), st.integers(0, 10**9).map(float))


@given(SHARES, SHARES, CLEAR, st.sampled_from(["better", "worse", "steady"]))
def test_direction_comes_from_the_sign_and_certainty_from_the_interval(value, previous, clear, good):
    figure = kpi(value=value, previous=previous, clear=clear, rise_is=good)
    said, tone = verdict(value=value, previous=previous, clear=clear, rise_is=good)
    moved = summary.direction(figure)
    assert ("a clear change" in said["en"]) == ("变化明显" in said["zh"]) == (moved in ("rise", "fall"))
    assert "signal" not in said["en"] and "信号" not in said["zh"]  # that is for the control chart to say
    assert ("**up " in said["en"]) == ("**上升" in said["zh"]) == (moved == "rise")
    assert ("**down " in said["en"]) == ("**下降" in said["zh"]) == (moved == "fall")
    if moved in ("rise", "fall"):
        assert clear and (value > previous) == (moved == "rise")
        assert tone == good if moved == "rise" or good == "steady" else {tone, good} == {"better", "worse"}
    else:
        assert tone == ("steady" if moved in ("flat", "same") else "none")


@given(COUNTS, COUNTS, st.sampled_from(["customers", "months", "money"]), CLEAR)
def test_no_verdict_shows_a_broken_number(value, previous, unit, clear):
    said, _ = verdict(value=value, previous=previous, unit=unit, clear=clear)
    for language in LANGUAGES:
        assert not NEVER.search(said[language])


def test_every_number_of_the_verdict_is_the_figure_at_its_rounding():
    said, _ = verdict(value=0.023149, previous=0.018011, clear=True)
    for language in LANGUAGES:
        assert re.findall(r"\d+\.\d+", said[language]) in (["2.31", "1.80", "0.51"], ["2.31", "0.51", "1.80"])


def test_the_verdict_says_where():
    where = finding("trend.segment.highest", both("**华南**最高。", "**South** is highest."))
    made = summary.summarise([chapter("trend", block(findings=[where], kpis=[kpi()]))], DECEMBER)
    assert made.verdict["zh"].endswith("**华南**最高。") and made.verdict["en"].endswith(" **South** is highest.")
    assert made.findings == []  # told once


def test_signal_or_not_is_the_control_charts_answer():
    even = finding("control.even", both("均匀流失。", "Even churn."), "descriptive", "steady")
    high = finding("control.patterned.high", both("需要调查。", "To be investigated."), tone="worse")
    where = finding("control.where", both("在华南。", "In South."), "descriptive", "steady")
    back = finding("control.back", both("5 月起恢复。", "Back since May."), "descriptive", "steady")
    high["asks"] = both("批准调查。", "Approve an investigation.")
    rate, south = (
        of("trend.rate.rise", weight=99.0, asks=both("查明。", "Find out.")),
        finding("slices.found", weight=5.0),
    )
    for findings, tone, answer, before, asked in (
        ((even, back), "steady", "Even churn.", "Back since May. ", []),
        ((high, where), "worse", "To be investigated. In South.", "", ["Approve an investigation."]),
    ):
        blocks = block("churn_rate", [rate, south], [kpi()]), block("control", list(findings))
        made = summary.summarise([chapter("trend", *blocks)], DECEMBER)
        assert (made.tone, made.verdict["en"]) == (tone, answer)
        assert made.beside["en"] == f"{before}The previous period: 1.80%."
        assert [f.key for f in made.findings] == ["slices.found"]
        assert [words["en"] for words, _ in made.decisions] == asked  # a rise that is no signal asks for nothing
        assert ("investigat" in made.verdict["en"]) == (tone == "worse")


def test_a_report_without_figures_has_a_verdict_all_the_same():
    made = summary.summarise([chapter("quality", block(findings=[]))], DECEMBER)
    assert "December 2025" in made.verdict["en"] and made.kpis == [] and made.findings == []


def test_a_snapshot_is_judged_by_its_share_churned():
    share = kpi("share_churned", 0.2654, None, None, label=both("已流失占比", "Share churned"))
    figures = [kpi("retention_12", 0.8), share]
    made = summary.summarise([chapter("survival", block(findings=[], kpis=figures))], DECEMBER)
    assert made.verdict["en"].startswith("Share churned in the extract of December 2025: **26.54%**")
    assert made.tone == "none"


def of(key, grade="moderate", weight=10.0, tone="worse", asks=None):
    return finding(key, both(key, key), grade, tone, weight, asks)


def test_what_is_beyond_chance_is_ranked_by_customers_and_answers_different_questions():
    chapters = [
        chapter("trend", block("a", [of("trend.rate.rise", weight=999), of("slices.found", weight=20)])),
        chapter("reasons", block("b", [of("reasons.top", "weak", 500), of("reasons.rise", "weak", 30)])),
        chapter("survival", block("c", [of("survival.rank.clear", weight=80), of("survival.early.high", weight=70)])),
        chapter("cohort", block("d", [of("cohort.newest.fall", "strong", 5)])),
    ]
    told = summary.summarise(chapters, DECEMBER).findings
    assert [f.key for f in told] == ["survival.rank.clear", "slices.found", "cohort.newest.fall"]
    assert [(f.chapter, f.block) for f in told] == [("survival", "c"), ("trend", "a"), ("cohort", "d")]


def test_each_event_is_a_story_of_its_own_and_the_course_is_told_once():
    outage, offer = (
        finding("impact.consistent.more", both(name, name), weight=w) for name, w in (("A", 60), ("B", 50))
    )
    bend = of("changepoint.slope.peak", weight=500, tone="better")
    even, back = (finding(k, both(k, k), "descriptive", "steady", 0.0) for k in ("control.even", "control.back"))
    reasons = chapter("reasons", block("b", [of("attributable.more", weight=55)]))
    course, events = block("control", [even, back]), block("events", [outage, offer])
    told = [
        summary.summarise([chapter("trend", first, block("changes", [bend]), events), reasons], DECEMBER).findings
        for first in (course, block("control", [even]))
    ]
    assert [f.text["en"] for f in told[0]] == ["A", "attributable.more", "B"]  # the verdict says when it was back
    assert [f.text["en"] for f in told[1]] == ["changepoint.slope.peak", "A", "attributable.more"]
    where = finding("control.where", both("在华南。", "In South."), "descriptive", "steady")
    high, south = of("control.patterned.high"), block("rates", [of("trend.segment.highest", weight=99.0)])
    shown = [summary.summarise([chapter("trend", block("c", c), south)], DECEMBER) for c in ([high], [high, where])]
    assert [len(s.findings) for s in shown] == [1, 0]  # the verdict says where


def test_a_long_chapter_begins_with_its_answer():
    blocks = [
        block("a", [of("trend.rate.rise", weight=999)]),
        block("b", [of("control.even", "descriptive", 0.0, "steady"), of("control.back", "descriptive", 0.0)]),
        block("c", [of("impact.consistent.more", weight=30), of("impact.consistent.less", weight=20, tone="better")]),
        block("d", [of("changepoint.slope.peak", weight=39, tone="better"), of("changepoint.slope.rise", weight=40)]),
        block("e", [of("forecast.flat", "weak", 50)]),
    ]
    told = summary.answer(chapter("trend", *blocks))  # its judgement first, then one finding a figure, the best proven
    assert [f.key for f in told] == ["control.even", "changepoint.slope.peak", "impact.consistent.more"]
    assert summary.answer(chapter("trend", *blocks[:3])) == []


def test_a_plain_count_about_nobody_is_no_finding():
    chapters = [chapter("reasons", block("b", [of("reasons.too_few", "descriptive", 0.0, "steady")]))]
    assert summary.summarise(chapters, DECEMBER).findings == []


@given(
    st.lists(
        st.tuples(st.sampled_from(results.GRADES), st.sampled_from([None, math.nan, 0.0, 1.0, 7.5, 1e9])), max_size=8
    ),
    st.randoms(),
)
def test_the_ranking_does_not_depend_on_the_order_within_a_chapter(findings, random):
    made = [of(f"survival.x{i}", grade, weight) for i, (grade, weight) in enumerate(findings)]
    best = summary.summarise([chapter("survival", block("c", made))], DECEMBER).findings
    random.shuffle(made)
    again = summary.summarise([chapter("survival", block("c", made))], DECEMBER).findings
    assert [(f.grade, f.weight) for f in best] == [(f.grade, f.weight) for f in again] and len(best) <= 1


def test_the_order_of_grades_is_that_of_the_results():
    assert summary.GRADES == results.GRADES


def test_at_most_six_tiles_and_figures_about_the_data_last():
    figures = [kpi(f"k{i}") for i in range(6)]
    about_data = [kpi("rows_set_aside"), kpi("response_rate")]
    chapters = [chapter("quality", block("q", [], about_data)), chapter("trend", block("t", [], figures))]
    assert [k["id"] for k in summary.summarise(chapters, DECEMBER).kpis] == [f"k{i}" for i in range(6)]
    assert [k["id"] for k in summary.tiles([kpi("rows_set_aside"), kpi("churn_rate")])] == [
        "churn_rate",
        "rows_set_aside",
    ]


def test_a_rate_that_may_not_be_shown_keeps_its_tile():
    assert [k["id"] for k in summary.tiles([kpi("churn_rate", None), kpi("other", None)])] == ["churn_rate"]


def test_decisions_follow_from_the_keys_of_findings():
    rise, south, even = (both(word, word) for word in ("Find out.", "Name an owner.", "Nothing."))
    findings = [of("trend.rate.rise", weight=99.0, asks=rise), of("trend.segment.highest", asks=south)]
    late = chapter("cohort", block("d", [of("cohort.newest.fall", weight=1.0, asks=south), of("x", "weak", asks=even)]))
    asked = summary.summarise([chapter("trend", block("t", findings)), late], DECEMBER).decisions
    assert [words["en"] for words, _ in asked] == ["Find out.", "Name an owner."]  # once, and of what the page tells
    assert all(d.owner == d.due == "" for _, d in asked)


def test_a_decision_names_what_its_finding_is_about():
    values = {"event": Label("故障", "Outage")}
    asked = display._asked(results.Finding("impact.coincides.more", values))
    assert asked["zh"].startswith("**故障**") and asked["en"].startswith("**Outage**")
    assert display._asked(results.Finding("impact.coincides.less", values)) is None  # nothing to make amends for
    assert display._asked(results.Finding("changepoint.step.rise.exact", {"period": DECEMBER}))  # of its family
    found = {"slices": Label("华南", "South")}
    asked = [display._asked(results.Finding("slices.found.one", found, tone=tone)) for tone in ("worse", "better")]
    assert asked[0]["en"].endswith("what to do.") and asked[1] is None  # what got better needs no owner
    assert display._asked(results.Finding("impact.consistent.less", values, tone="better"))


def test_the_decisions_of_the_notes_come_first_with_owner_and_date():
    notes = Notes(sections={"决定": "- 华南续约专项 | 王五 | 2026-02-15\n- 复核口径"})
    assert notes.decisions == [Decision("华南续约专项", "王五", "2026-02-15"), Decision("复核口径")]
    decided = [(both(d.text, d.text), d) for d in notes.decisions]
    chapters = [chapter("trend", block("t", [of("trend.segment.highest", asks=both("问", "ask"))]))]
    asked = summary.summarise(chapters, DECEMBER, decided).decisions
    assert [d.owner for _, d in asked] == ["王五", "", ""]
    assert (
        len(summary.summarise(chapters, DECEMBER, decided * 2).decisions) == 4
    )  # his own, and no more than a sheet holds


def test_every_decision_can_be_asked_with_what_its_findings_say():
    def fields(key):
        return set(re.findall(r"{(\w+)", words[key]["zh"] + words[key]["en"]))

    words = text.catalogue()
    rules = {key: key.split(".", 2)[2] for key in words if key.startswith(("summary.decision.", "summary.extend."))}
    assert rules
    for asked, said in rules.items():
        findings = [key for key in words if key == said or key.startswith(f"{said}.")]
        assert findings and all(fields(asked) <= fields(key) for key in findings), asked
