"""From executed notebooks to chapters: blocks and tagged prose, and nothing else that a kernel wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from churnlib.reporting.run import Notebook
from churnlib.text import LANGUAGES, Label

BLOCK = "application/vnd.churn.block+json"
BETWEEN = " · "  # between the Chinese and the English half of a heading
# headlines that say only what the data lack: told at the end of the report, not in the place of a figure
UNANSWERED = (
    *("trend.segment.none", "trend.segment.too_small", "impact.no_events", "forecast.short", "forecast.not_shown"),
    *("units.few", "companions.none", "market.none", "market.no_overlap"),
    *("across.level.one", "across.period.one", "across.version.one", "together.none", "reasons.place.too_few"),
    *("texts.few.complaint", "texts.few.exit_survey", "leaving.few", "holders.few", "holders.no_attribute"),
    *("attributable.no_driver", "attributable.few"),
    *("survival.incidence.only_unknown", "survival.no_weights", "survival.returned.none", "survival.returned.few"),
    *("survival.projection.snapshot", "survival.projection.too_short"),
    *("survival.model.none", "survival.model.too_few", "survival.ratios.too_few"),
    *("decompose.none.previous", "decompose.none.year_ago", "decompose.none.peak", "decompose.not_shown"),
    *("slices.no_before", "slices.too_small", "reconcile.levels.neither"),
    *("rivals.only_one", "rivals.no_segment", "rivals.too_few"),
    *("moneyretention.unknown", "departures.too_short", "projection.too_short"),
    *("bridge.not_shown", "value.no_fee", "value.bridge.not_shown", "quiet.unknown", "value.bands.unknown"),
    *("value.bands.not_shown", "losses.unknown", "value.best.unknown", "value.cost.unknown", "value.clv.unknown"),
    *("purchases.no_model", "buying.no_model"),
)
# headlines of what is there for analysts, or in which nothing stands out: figure, table and notes are folded away
QUIET = (
    *("units.none", "companions.usual", "leaving.alike", "departures.none", "quiet.none"),
    *("projection.unfit", "projection.backtest.held", "projection.backtest.failed", "projection.backtest.unfit"),
    *("purchases.unfit_over", "purchases.unfit_under", "survival.projection.none_better"),
    *("survival.projection.too_uncertain", "survival.ratios.change", "survival.ratios.small", "survival.ratios.steady"),
)


@dataclass
class Chapter:
    """One chapter of the report.

    Attributes
    ----------
    items : list of dict
        In the order of the notebook: {"block": BLOCK} or {"prose": {"zh", "en"}}.
    unanswered : list of (dict, dict)
        Questions that the data cannot answer: the heading, and what is lacking, in both languages.
    """

    id: str
    title: Label
    notebook: str  # its folder under tables/
    items: list[dict[str, Any]] = field(default_factory=list)
    unanswered: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)

    @property
    def blocks(self) -> list[dict[str, Any]]:
        """Its figures and tables."""
        return [item["block"] for item in self.items if "block" in item]


def chapter(notebook: Notebook, executed: Path) -> Chapter:
    """Collect the chapter that an executed notebook holds.

    Headings are bilingual lines; other prose stands in cells tagged `zh` or `en`. A cell tagged neither speaks to
    whoever opens the notebook and is left out, as are code, streams, errors and every output that is not a block.
    """
    made = Chapter(notebook.chapter, notebook.title, notebook.name)
    seen, items, heading = set(), [], notebook.title._asdict()
    for cell in json.loads(executed.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            items += _prose(_source(cell), cell.get("metadata", {}).get("tags", ()))
            heading = next((item["prose"] for item in items[-1:] if _is_heading(item)), heading)
            continue
        items.append({"code": True})
        for block in _blocks(cell):
            if not seen.isdisjoint(said := _said(block)):  # shown or said before in this notebook, printed once
                continue
            seen |= said
            if _key(block) in UNANSWERED:
                title = {language: words.lstrip("# ") for language, words in heading.items()}
                made.unanswered.append((title, block["findings"][0]["text"]))
            else:
                items.append({"block": block | {"tucked": True} if _key(block) in QUIET else block})
    made.items = list(_joined(_answered(items)))
    return made


def _key(block: dict[str, Any]) -> str:
    return block["findings"][0]["key"] if block["findings"] else ""


def _said(block: dict[str, Any]) -> set[str]:
    """What makes a block the same as another: its name, and its headline where there is no drawing to look at."""
    alone = block["findings"] and not (block["svg"] or block["png"])
    return {block["id"], *([block["findings"][0]["text"]["zh"]] if alone else [])}


def _answered(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Drop the sections whose cells showed nothing, with their words; a section of words alone stays."""
    sections: list[list[dict[str, Any]]] = [[]]
    for item in items:
        if _is_heading(item):
            sections.append([])
        sections[-1].append(item)
    for i, section in enumerate(sections):
        asked, shown = (any(kind in item for item in section) for kind in ("code", "block"))
        if shown or not asked or not i:
            yield from (item for item in section if "code" not in item)


def _source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def _blocks(cell: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for output in cell.get("outputs", ()):
        block = output.get("data", {}).get(BLOCK)
        if block is not None:
            yield json.loads("".join(block)) if isinstance(block, str | list) else block


def _prose(source: str, tags: list[str]) -> list[dict[str, Any]]:
    for language in LANGUAGES:
        if language in tags:
            return [{"prose": {language: source.strip()}}]
    headings = [line for line in source.splitlines() if line.startswith("##")]  # the first level is the chapter's title
    return [{"prose": _halves(line)} for line in headings]


def _halves(heading: str) -> dict[str, str]:
    marks, _, words = heading.partition(" ")
    zh, between, en = words.partition(BETWEEN)
    return {"zh": f"{marks} {zh.strip()}", "en": f"{marks} {(en if between else zh).strip()}"}


def _joined(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Put a paragraph and its other language into one item; drop a heading under which nothing stands."""
    waiting: dict[str, Any] | None = None
    for item in items:
        prose = item.get("prose")
        if waiting and prose and not set(waiting["prose"]) & set(prose):
            waiting["prose"].update(prose)
            continue
        if waiting and not (_is_heading(waiting) and _is_heading(item) and _level(item) <= _level(waiting)):
            yield waiting
        waiting = item if prose else None
        if not prose:
            yield item
    if waiting and not _is_heading(waiting):
        yield waiting


def _is_heading(item: dict[str, Any]) -> bool:
    return "prose" in item and all(part.startswith("##") and "\n" not in part for part in item["prose"].values())


def _level(item: dict[str, Any]) -> int:
    return len(next(iter(item["prose"].values())).partition(" ")[0])
