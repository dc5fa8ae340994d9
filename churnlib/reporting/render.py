"""From chapters to files: one page a language, the figures of the period, the tables behind every chart."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from churnlib import text
from churnlib.reporting.collect import Chapter
from churnlib.reporting.formats import name
from churnlib.reporting.notes import Notes, to_html
from churnlib.reporting.prepare import Prepared
from churnlib.reporting.request import Request
from churnlib.reporting.summary import Summary, Told, all_kpis, answer
from churnlib.reporting.verify import HAN

KPI_FIELDS = ("id", "label", "value", "ci_lower", "ci_upper", "n", "unit", "previous", "year_ago", "target", "flag")


@dataclass(frozen=True)
class Content:
    """All that a report says, before it is set in one language."""

    request: Request
    prepared: Prepared
    chapters: list[Chapter]
    left_out: list[tuple[text.Label, str]]  # title of a chapter that the data cannot serve, and what it would need
    summary: Summary
    notes: dict[str, Notes]  # the analyst's, by language
    record: list[tuple[str, str]]  # the run record: catalogue key of the label, value
    generated: datetime
    revision: int
    run_id: str
    warnings: list[dict[str, str]]  # in both languages
    doubts: list[dict[str, str]] = field(default_factory=list)  # for those who make the report, not for its readers


def page(content: Content, language: str) -> str:
    """Give the report in one language as HTML."""
    from churnlib.reporting import page as page_

    return page_.render(context(content, language))


def context(content: Content, language: str) -> dict[str, Any]:
    """Give what the template wants (its head says what that is)."""
    return {
        "meta": _meta(content, language),
        "summary": _summary(content, language),
        "chapters": [_chapter(chapter, content.notes[language], language) for chapter in content.chapters],
        "left_out": _left_out(content, language),
        "unanswered": [
            {"title": heading[language], "sentence": text.strip_marks(sentence[language])}
            for chapter in content.chapters
            for heading, sentence in chapter.unanswered
        ],
        "record": [{"label": text.say(key, language), "value": value} for key, value in content.record],
    }


def _left_out(content: Content, language: str) -> list[dict[str, str]]:
    """Name the chapters that the data cannot serve, those that lack the same thing together."""
    lacking: dict[str, list[text.Label]] = {}
    for title, need in content.left_out:
        lacking.setdefault(need, []).append(title)
    return [
        {
            "title": text.show(titles, "list", language),
            "sentence": text.say("render.left_out", language, need=need_label(need)),
        }
        for need, titles in lacking.items()
    ]


def _chapter(chapter: Chapter, notes: Notes, language: str) -> dict[str, Any]:
    title, words = chapter.title.to(language), _commentary(notes.of_chapter(chapter.id, chapter.title), language)
    answers = [_told(finding, language) for finding in answer(chapter)]
    items = [*([{"answers": answers}] if answers else []), *([{"html": words}] if words else [])]
    items += _items(chapter, language)
    return {"id": chapter.id, "title": title, "notebook": chapter.notebook, "items": items}


def _meta(content: Content, language: str) -> dict[str, Any]:
    about, request = content.prepared.about, content.request
    kind = "snapshot" if about.snapshot else about.period.unit
    title = text.label(f"render.title.{kind}")
    others = [other for other in request.languages if other != language]
    return {
        "language": language,
        "title": request.title.to(language) if request.title else title.to(language),
        "org": organisation(content, language),
        "period": about.period.say(language),
        "status": status(request),
        "revision": content.revision,
        "data_through": text.show(about.as_of, "date", language),
        "generated": f"{content.generated:%Y-%m-%d %H:%M}",
        "classification": text.say("render.classification", language),
        "run_id": content.run_id,
        "other": {"language": others[0], "href": name("html", about.period, others[0])} if others else None,
        "files": [
            {"label": text.say(f"render.file.{kind}", language), "href": name(kind, about.period, language)}
            for kind in request.formats
        ],
        "unit": about.period.unit,
        "warnings": [warning[language] for warning in content.warnings],
    }


def organisation(content: Content, language: str) -> str:
    """Name whom the report is about: the data set, and the customers that it is restricted to."""
    about, unit = content.prepared.about, content.request.unit
    parts = [unit[1]] if unit else [value for _, value in about.filters]
    return " · ".join([about.title.to(language), *(part.to(language) for part in parts)])


def status(request: Request) -> str:
    """Say whether churn counted now may still be undone: under any rule but the contract's end."""
    return "final" if request.spec.definitions[request.definition].kind == "contract_end" else "provisional"


def _summary(content: Content, language: str) -> dict[str, Any]:
    summary = content.summary
    return {
        "verdict": {"text": summary.verdict[language], "beside": summary.beside[language], "tone": summary.tone},
        "kpis": summary.kpis,
        "findings": [_told(finding, language) for finding in summary.findings],
        "decisions": [{"text": words[language], "owner": d.owner, "due": d.due} for words, d in summary.decisions],
        "notes": _commentary(content.notes[language].of_summary, language),
    }


def _told(finding: Told, language: str) -> dict[str, str]:
    place = f"{finding.chapter}/{finding.block}"
    return {"text": finding.text[language], "grade": finding.grade, "tone": finding.tone, "block": place}


def _items(chapter: Chapter, language: str) -> Iterable[dict[str, Any]]:
    for item in chapter.items:
        if "block" in item:
            yield item
        elif said := item["prose"].get(language):
            yield {"prose": said}


def _commentary(markdown: str, language: str) -> str:
    """Give the analyst's words as markup; words in the other language say so, for screen readers and for `verify`."""
    is_chinese = bool(HAN.search(markdown))
    return to_html(markdown, "zh-CN" if is_chinese and language == "en" else "") if markdown else ""


def need_label(need: str) -> text.Label:
    """Name what a chapter would need: a table, a column of a table, or the history of ends."""
    first = need.split("|")[0]
    if first in ("history", "rivals", "silence"):
        return text.label(f"render.need.{first}")
    table, _, column = first.partition(".")
    known = f"render.table.{table}"
    name = text.label(known) if text.known(known) else table
    return text.label(f"render.need.{'column' if column else 'table'}", table=name, code=table, column=column)


def write_tables(chapters: Iterable[Chapter], folder: Path) -> None:
    """Write the data behind every figure and table as CSV (UTF-8 with BOM), and what their columns mean.

    Each file is tables/<notebook>/<block>.csv; tables/columns.csv has one row per column of every file.
    """
    folder.mkdir(parents=True)
    with (folder / "columns.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "column", "label_zh", "label_en", "unit"])
        for chapter in chapters:
            for block in chapter.blocks:
                data = block["data"]
                path = folder / chapter.notebook / Path(data["name"]).name
                path.parent.mkdir(exist_ok=True)
                path.write_text("\ufeff" + data["csv"].removeprefix("\ufeff"), "utf-8", newline="\n")
                for column in data["columns"]:
                    label = text.Label.of(column["label"])
                    name = f"{chapter.notebook}/{path.name}"
                    writer.writerow([name, column["name"], *label, column.get("unit") or ""])


def kpis(content: Content) -> dict[str, Any]:
    """Give what kpis.json holds: every figure; shares in [0, 1], money in minor units, null where nothing is shown."""
    request, about = content.request, content.prepared.about
    figures = [{name: kpi.get(name) for name in KPI_FIELDS} for kpi in all_kpis(content.chapters)]
    return {
        "dataset": request.name,
        "period": str(request.period),
        "definition": request.definition,
        "currency": about.currency,
        "thresholds": {"min_denominator": about.min_denominator, "privacy_k": about.privacy_k},
        "kpis": figures,
    }


def write_json(path: Path, value: Any) -> None:
    """Write plain data, the same bytes for the same data; a number that is none is an error."""
    told = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False, default=str)
    path.write_text(told + "\n", "utf-8", newline="\n")
