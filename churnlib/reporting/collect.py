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


@dataclass
class Chapter:
    """One chapter of the report.

    Attributes
    ----------
    id : str
    title : Label
    notebook : str
        Its folder under tables/.
    items : list of dict
        In the order of the notebook: {"block": BLOCK} or {"prose": {"zh", "en"}}.
    """

    id: str
    title: Label
    notebook: str
    items: list[dict[str, Any]] = field(default_factory=list)

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
    seen = set()
    for cell in json.loads(executed.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            made.items += _prose(_source(cell), cell.get("metadata", {}).get("tags", ()))
        for block in _blocks(cell):
            if block["id"] not in seen:  # shown twice in a notebook, printed once
                seen.add(block["id"])
                made.items.append({"block": block})
    made.items = list(_joined(made.items))
    return made


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
    return [{"prose": dict(zip(LANGUAGES, _halves(line), strict=True))} for line in headings]


def _halves(heading: str) -> tuple[str, str]:
    marks, _, words = heading.partition(" ")
    zh, between, en = words.partition(BETWEEN)
    return f"{marks} {zh.strip()}", f"{marks} {(en if between else zh).strip()}"


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
    return all(part.startswith("##") and "\n" not in part for part in item.get("prose", {"": ""}).values())


def _level(item: dict[str, Any]) -> int:
    return len(next(iter(item["prose"].values())).partition(" ")[0])
