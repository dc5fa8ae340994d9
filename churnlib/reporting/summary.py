"""The executive summary: a verdict, the figures, three findings and the decisions, chosen by the rules below.

The rules look at keys, grades, weights and intervals, never at words; the words are the catalogue's, in both languages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from churnlib import text
from churnlib.about import Period
from churnlib.reporting.collect import Chapter
from churnlib.reporting.notes import Decision
from churnlib.text import LANGUAGES, Money

HEADLINES = (
    "churn_rate",
    "churn_rate_longer",
    "share_churned",
)  # the figure that the verdict is about: the first that there is
EXTRACTS = ("share_churned",)  # of one extract: a share, which has no period before it
SIGNALS = ("control.patterned", "control.even")  # the control chart's answer: signal or not
COURSE = ("control.since", "control.back", "control.where")  # since when, until when, and where
BEFORE = ("control.back",)  # of these, what is past: beside the verdict
TOLD = ("trend.rate", "trend.year", *SIGNALS, *COURSE)  # what the verdict and its tile say themselves
WHERE = ("trend.segment.highest", "trend.segment.alike")  # says where, when there is no control chart
CHANGES = ("changepoint", "departures.across")
# the same once more, where the control chart has told since when, until when or where
AGAIN = {"control.since": CHANGES, "control.back": CHANGES, "control.where": WHERE}
EVENTS = ("impact",)
TESTS = ("survival.gray", "survival.logrank")  # that there is a difference; other findings say how large
GRADES = ("strong", "moderate", "weak", "descriptive")  # the order of churnlib.show.results.GRADES, without its imports
PROVEN = GRADES.index("moderate")  # up to here a finding is beyond chance, and its customers decide
N_FINDINGS, N_DECISIONS, FEWEST_TILES, MOST_TILES = 3, 3, 4, 6
MOST_DECISIONS = 4  # with the analyst's own: what a sheet holds
N_ANSWERS, FEWEST_BLOCKS = 3, 4  # sentences that a chapter begins with, unless it is as short as they are
LAST_TILES = ("response_rate", "rows_set_aside")  # about the data: tiles only where others are few

Words = dict[str, str]  # one text in each language


@dataclass(frozen=True)
class Told:
    """A finding and where it stands.

    Attributes
    ----------
    key, text, grade, tone, weight
        As in `churnlib.show.results.Finding`; `text` in both languages.
    chapter, block : str
        Ids of the chapter and of the block that proves it.
    asks : dict or None
        The decision that it calls for, in both languages.
    """

    key: str
    text: Words
    grade: str
    tone: str
    weight: float
    chapter: str
    block: str
    asks: Words | None = None

    @property
    def story(self) -> str:
        """What it is about: each event is a story of its own, all else in a chapter answers its one question."""
        return self.text["zh"] if _below(self.key, EVENTS) else self.chapter


@dataclass(frozen=True)
class Summary:
    """The first page of the report.

    Attributes
    ----------
    verdict, beside : dict
        One text in each language: the answer, and in smaller type what was before.
    tone : {"better", "worse", "steady", "none"}
    kpis : list of dict
        The figures for the tiles.
    findings : list of Told
    decisions : list of (Words, Decision)
        What is asked for, with its owner and due date (blank until somebody fills them in).
    """

    verdict: Words
    beside: Words
    tone: str
    kpis: list[dict[str, Any]]
    findings: list[Told]
    decisions: list[tuple[Words, Decision]] = field(default_factory=list)


def summarise(chapters: list[Chapter], period: Period, decided: Iterable[tuple[Words, Decision]] = ()) -> Summary:
    """Make the executive summary from the chapters' findings and figures.

    Parameters
    ----------
    chapters : list of Chapter
        In the report's order.
    period : Period
    decided : iterable of (Words, Decision)
        What the analyst's notes ask for: comes first.

    Returns
    -------
    Summary
    """
    kpis, told = all_kpis(chapters), all_findings(chapters)
    judged = _judgement(told)
    verdict, beside, tone = _verdict(kpis, period, judged)
    known = {*TOLD, *TESTS, *(again for f in judged for key in AGAIN if _below(f.key, [key]) for again in AGAIN[key])}
    ranked = ranking([f for f in told if f not in judged and not _below(f.key, known)])
    findings = one_of_each("story", ranked)[:N_FINDINGS]
    # a change that the control chart does not call a signal asks for nothing
    grounds = judged if _has_signal(judged) else [f for f in told if _below(f.key, TOLD)] + judged
    decided = list(decided)
    asked = decisions([*grounds, *findings])[: max(MOST_DECISIONS - len(decided), 0)]
    return Summary(verdict, beside, tone, tiles(kpis), findings, [*decided, *asked])


def all_kpis(chapters: Iterable[Chapter]) -> list[dict[str, Any]]:
    """Give every figure once, in the report's order."""
    kpis: dict[str, dict[str, Any]] = {}
    for chapter in chapters:
        for block in chapter.blocks:
            for kpi in block.get("kpis", ()):
                kpis.setdefault(kpi["id"], kpi)
    return list(kpis.values())


def all_findings(chapters: Iterable[Chapter]) -> list[Told]:
    """Give every finding in the report's order."""
    return [
        Told(f["key"], f["text"], f["grade"], f["tone"], _number(f["weight"]), chapter.id, block["id"], f.get("asks"))
        for chapter in chapters
        for block in chapter.blocks
        for f in block["findings"]
    ]


def ranking(findings: Iterable[Told]) -> list[Told]:
    """Order findings: beyond chance first, what got better or worse, by customers; a count about nobody is none."""
    said = [f for f in findings if f.weight > 0 or f.grade != "descriptive"]
    return sorted(said, key=lambda f: (max(PROVEN, GRADES.index(f.grade)), f.tone == "steady", -f.weight))  # stable


def one_of_each(what: str, findings: Iterable[Told]) -> list[Told]:
    """Keep the first finding of each story or block."""
    first: dict[str, Told] = {}
    for finding in findings:
        first.setdefault(getattr(finding, what), finding)
    return list(first.values())


def answer(chapter: Chapter) -> list[Told]:
    """Give what a long chapter begins with: its judgement, then what is best proven, one sentence an open figure."""
    if len(chapter.blocks) < FEWEST_BLOCKS:
        return []
    tucked = {block["id"] for block in chapter.blocks if block.get("tucked")}
    told = [finding for finding in all_findings([chapter]) if finding.block not in tucked]
    judged = _judgement(told)[:1]
    ranked = ranking([f for f in told if not _below(f.key, (*TOLD, *TESTS))])
    heads = {f.block: f for f in reversed(told) if f in ranked}  # a figure's own order: what was last comes first
    return one_of_each("block", [*judged, *(heads[f.block] for f in ranked)])[:N_ANSWERS]


def tiles(kpis: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Choose four to six figures: those that can be shown, in the report's order, figures about the data if need be."""
    shown = [kpi for kpi in kpis if not math.isnan(_number(kpi["value"], math.nan))]
    headline = _headline(kpis)
    if headline is not None and headline not in shown:
        shown.insert(0, headline)  # a rate that may not be shown says so in its tile
    first = [kpi for kpi in shown if kpi["id"] not in LAST_TILES]
    spare = [kpi for kpi in shown if kpi["id"] in LAST_TILES]
    return first[:MOST_TILES] if len(first) >= FEWEST_TILES else (first + spare)[:FEWEST_TILES]


def direction(kpi: dict[str, Any]) -> str:
    """Say in which way a figure changed on the previous period.

    Returns
    -------
    {"not_shown", "extract", "first", "same", "flat", "rise", "fall", "untested"}
        "rise" and "fall" only beyond the interval; "flat" within it; "same" for no difference to be seen.
    """
    now, before = (_number(kpi[name], math.nan) for name in ("value", "previous"))
    if math.isnan(now):
        return "not_shown"
    if kpi["id"] in EXTRACTS:
        return "extract"
    if math.isnan(before):
        return "first"
    if now == before or (kpi["unit"] == "share" and round(now, 4) == round(before, 4)):
        return "same"  # to a reader, who sees hundredths of a per cent
    if kpi["change_clear"] is None:
        return "untested"
    return ("rise" if now > before else "fall") if kpi["change_clear"] else "flat"


def tone_of(kpi: dict[str, Any]) -> str:
    """Say what a change means for the company: steady within the interval, none when nothing can be compared."""
    moved, good = direction(kpi), kpi["rise_is"]
    if moved in ("not_shown", "extract", "first", "untested"):
        return "none"
    if moved not in ("rise", "fall") or good == "steady":
        return "steady"
    return good if moved == "rise" else {"better": "worse", "worse": "better"}[good]


def _headline(kpis: list[dict[str, Any]]) -> dict[str, Any] | None:
    named = (kpi for headline in HEADLINES for kpi in kpis if kpi["id"] == headline)
    return next(named, kpis[0] if kpis else None)


def _judgement(told: list[Told]) -> list[Told]:
    """Give the findings that judge the headline: the control chart's, since when and where; else where it is high."""
    signal = next((f for f in told if _below(f.key, SIGNALS)), None)
    if signal is None:
        return [f for f in told if f.key in WHERE][:1]
    return [signal, *[f for f in told if _below(f.key, COURSE) and f.block == signal.block]]


def _has_signal(judged: list[Told]) -> bool:
    return any(_below(f.key, SIGNALS) for f in judged)


def _verdict(kpis: list[dict[str, Any]], period: Period, judged: list[Told]) -> tuple[Words, Words, str]:
    """Give the answer, what is said beside it, and what it means for the company."""
    kpi, nothing = _headline(kpis), dict.fromkeys(LANGUAGES, "")
    if kpi is None:
        return {lang: text.say("summary.verdict.no_figure", lang, period=period) for lang in LANGUAGES}, nothing, "none"
    has_signal = _has_signal(judged)
    said = {lang: _sentence(kpi, period, has_signal, lang) for lang in LANGUAGES}
    tone = judged[0].tone if has_signal else tone_of(kpi)
    if not _is_judged(kpi, has_signal):
        return _joined([said, *(f.text for f in judged)]), nothing, tone
    before = [f for f in judged if _below(f.key, BEFORE)]
    return _joined([f.text for f in judged if f not in before]), _joined([*(f.text for f in before), said]), tone


def _joined(sentences: list[Words]) -> Words:
    return {lang: between.join(said[lang] for said in sentences) for lang, between in (("zh", ""), ("en", " "))}


def _is_judged(kpi: dict[str, Any], has_signal: bool) -> bool:
    """Tell whether the control chart's sentence, which names the figure and the period, is the answer."""
    return has_signal and direction(kpi) in ("rise", "fall", "flat", "same", "untested")


def _sentence(kpi: dict[str, Any], period: Period, has_signal: bool, lang: str) -> str:
    values = {
        "period": period,
        "label": text.Label.of(kpi["label"]),
        "value": amount(kpi, kpi["value"], lang),
        "previous": amount(kpi, kpi["previous"], lang),
        "change": change(kpi, lang),
        "n": kpi["n"],
    }
    moved = "judged" if _is_judged(kpi, has_signal) else direction(kpi)
    return text.say(f"summary.verdict.{moved}", lang, **values)


def amount(kpi: dict[str, Any], value: float | None, lang: str) -> str:
    """Write a figure with its unit."""
    if value is None:
        return text.MISSING
    unit = kpi["unit"]
    if unit == "money":
        return text.show(Money(value, kpi.get("currency", "CNY")), "money", lang)
    if unit == "share":
        return text.show(value, "pct", lang)
    number = text.show(value, "count" if unit == "customers" else "number", lang)
    return text.say(f"summary.unit.{unit}", lang, number=number)


def change(kpi: dict[str, Any], lang: str) -> str:
    """Write the size of a change without its sign: shares in points, the rest in their unit."""
    now, before = (_number(kpi[name], math.nan) for name in ("value", "previous"))
    if math.isnan(now) or math.isnan(before):
        return text.MISSING
    return text.show(now - before, "size", lang) if kpi["unit"] == "share" else amount(kpi, abs(now - before), lang)


def decisions(grounds: Iterable[Told]) -> list[tuple[Words, Decision]]:
    """Ask for what the findings on the page call for, each once (the rules: `summary.decision` of the catalogue).

    Owner and due date are blank: somebody has to fill them in.
    """
    asked = {f.asks["zh"]: f.asks for f in grounds if f.asks}  # once
    return [(words, Decision(said)) for said, words in list(asked.items())[:N_DECISIONS]]


def _below(key: str, families: Iterable[str]) -> bool:
    return any(key == family or key.startswith(family + ".") for family in families)


def _number(value: Any, missing: float = 0.0) -> float:
    return missing if value is None or value != value else float(value)
