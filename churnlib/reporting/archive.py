"""All published reports: their index, the one that somebody means, and how many are kept."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from churnlib import text
from churnlib.about import Period
from churnlib.reporting import publish
from churnlib.reporting.summary import HEADLINES, amount
from churnlib.text import LANGUAGES
from churnlib.yamlfile import hint

INDEX = "index.html"
FIGURES = (*HEADLINES, "n_churned_opening", "fee_churned_opening", "retention_12")  # columns, those that occur
MOST_FIGURES = 4
TOLD = {"period", "revision", "generated"}  # what a manifest must say to be listed
KINDS = {"xlsx": "Excel", "pdf": "PDF"}
CODES = {"zh": "zh-CN", "en": "en"}


def folders(reports: Path) -> list[Path]:
    """Give the folder of every report, by name: of a data set, of a recipe, of one level of a recipe's segment."""
    found = {path.parents[2] for path in reports.glob("**/r*/" + publish.MANIFEST)}
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(reports).parts))


def find_revision(reports: Path, wanted: str) -> Path:
    """Find a published revision; raises UsageError with near misses.

    `wanted` is "telecom" (the latest), "telecom/2025-11" (its newest revision), "telecom/2025-11/r1", or such a path.
    """
    for folder in (reports / wanted, Path(wanted)):
        if (folder / publish.MANIFEST).is_file():
            return folder.resolve()
        with suppress(text.UsageError):
            if found := publish.published(folder.parent, Period.parse(folder.name)):
                return found[0].resolve()
        if newest := publish.latest(folder):
            return newest.resolve()
    pairs = [(folder, period) for folder in folders(reports) for period in publish.periods(folder)]
    known = [f"{folder.relative_to(reports).as_posix()}/{period}" for folder, period in pairs]
    raise text.UsageError("archive.unknown", name=wanted, hint=hint(wanted, known))


def write_index(reports: Path) -> Path:
    """Write `index.html` over all reports: newest period first, its figures, revision and why, links to every language.

    Called after a report has appeared; of several runs at once the last one to write sees what all have published.
    """
    from churnlib.show import display

    with publish.lock(reports, is_patient=True):
        told = [_report(folder, reports) for folder in folders(reports)]
        html = display.templates().get_template("archive.html.j2").render(reports=told)
        beside = reports / f".index-{secrets.token_hex(4)}"
        beside.write_text(html + "\n", "utf-8", newline="\n")
        os.replace(beside, reports / INDEX)
    return reports / INDEX


def _report(folder: Path, reports: Path) -> dict[str, Any]:
    newest = [publish.published(folder, period) for period in reversed(publish.periods(folder))]
    found = [pair for pair in newest if pair and pair[1].keys() >= TOLD]
    kpis = [_kpis(revision) for revision, _ in found]
    known = {name: figures[name] for figures in kpis for name in FIGURES if name in figures}
    names = [name for name in FIGURES if name in known][:MOST_FIGURES]
    title = (found[0][1].get("title") if found else None) or dict.fromkeys(LANGUAGES, folder.name)
    rows = [_row(*pair, [figures.get(n) for n in names], reports) for pair, figures in zip(found, kpis, strict=True)]
    heads = [known[name]["label"] for name in names]
    return {"name": folder.relative_to(reports).as_posix(), "title": title, "heads": heads, "rows": rows}


def _kpis(revision: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        told = json.loads((revision / "kpis.json").read_text("utf-8"))
        return {kpi["id"]: kpi | {"currency": told.get("currency", "CNY")} for kpi in told["kpis"]}
    return {}


def _row(revision: Path, manifest: dict[str, Any], figures: list, reports: Path) -> dict[str, Any]:
    return {
        "period": manifest["period"],
        "status": manifest.get("status", "final"),
        "figures": [_figure(kpi) if kpi else text.MISSING for kpi in figures],
        "revision": manifest["revision"],
        "reason": _reason(manifest),
        "generated": manifest["generated"][:16].replace("T", " "),
        "links": list(_links(revision, reports)),
    }


def _figure(kpi: dict[str, Any]) -> str:
    """Write a figure without words: its heading says what is counted."""
    is_count = kpi["unit"] == "customers" and kpi["value"] is not None
    return text.show(kpi["value"], "count", "en") if is_count else amount(kpi, kpi["value"], "en")


def _reason(manifest: dict[str, Any]) -> dict[str, str]:
    """Say why there is a revision: in the words of whoever asked for it, else what has changed."""
    if manifest.get("note") or manifest["revision"] == 1:
        return dict.fromkeys(LANGUAGES, manifest.get("note", ""))
    keys = [f"archive.reason.{name}" for name in manifest.get("reason", ())]
    known = [text.label(key) for key in keys if text.known(key)]
    return text.Label.joined(known, ", ", zh="、")._asdict()


def _links(revision: Path, reports: Path) -> Iterator[dict[str, Any]]:
    """Give the links to the pages, then to the other forms."""
    found = sorted(revision.glob("churn_*"), key=lambda path: (path.suffix != ".html", path.suffix, path.name))
    for i, path in enumerate(found):
        language, kind = path.stem.rpartition(".")[2], path.suffix.lstrip(".")
        is_page, breaks = kind == "html", i > 0 and path.suffix != found[i - 1].suffix
        label = text.say("template.this_language", language) if is_page else f"{KINDS.get(kind, kind)} {language}"
        href = quote(path.relative_to(reports).as_posix())
        yield {"href": href, "label": label, "lang": CODES[language] if is_page else "", "breaks": breaks}


def clean(reports: Path, keep: int) -> list[Path]:
    """Remove all but the newest periods of every report, and of each of them all but the newest revisions.

    Gives what was removed. A report that is being made is left alone.
    """
    removed = []
    for folder in folders(reports):
        with suppress(publish.Locked), publish.lock(folder):
            for old in _beyond(folder, keep):
                shutil.rmtree(old)
                private = old.parent.with_name(f"{old.parent.name}.private")
                (private / publish.LEDGER.format(old.name)).unlink(missing_ok=True)
                removed.append(old)
    if removed:
        write_index(reports)
    return removed


def _beyond(folder: Path, keep: int) -> Iterator[Path]:
    periods = publish.periods(folder)
    for period in periods[:-keep]:
        yield folder / str(period)
        if (private := folder / f"{period}.private").exists():
            yield private
    for period in periods[-keep:]:
        yield from list(publish.revisions(folder, period).values())[:-keep]
