"""Between reports: the one that is being made is held against earlier ones, or any two against each other."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from churnlib import text
from churnlib.about import About, Period
from churnlib.reporting import publish
from churnlib.reporting.differences import ChangedDefinitions, Restated, Side, differences
from churnlib.show.results import Finding, Result

FORECAST = "churn_forecast.csv"


def side(revision: Path) -> Side:
    """Read a published revision; its ledger only where this user may read the private folder."""
    manifest, told = _read(revision)
    forecasts = sorted(revision.glob(f"tables/*/{FORECAST}"))
    return Side(
        name=text.label("between.report", period=Period.parse(manifest["period"]), revision=manifest["revision"]),
        kpis=told["kpis"],
        declared=manifest.get("declared", {}),
        definition=told["definition"],
        ledger=read_ledger(revision),
        forecast=pd.read_csv(forecasts[0], dtype={"period": str}) if forecasts else None,
    )


def _read(revision: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    manifest, told = (json.loads((revision / name).read_text("utf-8")) for name in ("manifest.json", "kpis.json"))
    return manifest, told


def now(about: About, revision: int, kpis: list[dict[str, Any]], declared: dict[str, str], ledger: Any) -> Side:
    """Give the report that is being made."""
    name = text.label("between.report", period=about.period, revision=revision)
    return Side(name, kpis, declared, about.definition, _frame(ledger))


def read_ledger(revision: Path) -> pd.DataFrame | None:
    """Give the exact ledger of a published revision; None if it was not kept or may not be read."""
    path = revision.parent.with_name(f"{revision.parent.name}.private") / publish.LEDGER.format(revision.name)
    try:
        return _frame(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError):
        return None


def _frame(rows: list[dict[str, Any]] | None) -> pd.DataFrame | None:
    return pd.DataFrame(rows) if rows else None


def differ(a: Path, b: Path) -> list[Result]:
    """Compare two published revisions; thresholds and currency are those of the second."""
    manifest, told = _read(b)
    period = Period.parse(manifest["period"])
    title = text.Label.of(manifest.get("title", manifest["dataset"]))
    limits = told.get("thresholds", {}) | {"currency": told["currency"], "definition": told["definition"]}
    about = About(manifest["dataset"], title, period.last, period.first, period, **limits)
    return differences(about, side(a), side(b))


def diff_text(results: Iterable[Result], language: str) -> str:
    """Write differences for a terminal: the finding, then the table, in one language."""
    from churnlib.model.checktable import table_text

    parts = []
    for result in results:
        parts += [text.strip_marks(finding.say(language)) for finding in result.findings]
        if len(result.table):
            shown = result.summary(language)
            parts += ["", table_text(list(shown.columns), shown.to_numpy().tolist())]
        parts.append("")
    return "\n".join(parts).rstrip()


@dataclass(frozen=True)
class Since:
    """What the report that is being made says on the earlier ones: `results` for its chapter, and findings on
    `new_rules` of counting for a warning on its first page.
    """

    results: list[Result] = field(default_factory=list)
    new_rules: list[Finding] = field(default_factory=list)


def since(about: About, earlier: Iterable[Path], made: Side) -> Since:
    """Compare the report that is being made with earlier ones: the one that it replaces, the newest of before."""
    results, new_rules = [], []
    for i, revision in enumerate(earlier):
        try:
            then = side(revision)
        except (OSError, ValueError, KeyError):
            continue  # with a damaged report nothing can be compared
        for result in differences(about, then, made):
            if not len(result.table) and not isinstance(result, Restated):
                continue
            if isinstance(result, ChangedDefinitions):
                new_rules += result.findings
            results.append(replace(result, name=f"{result.name}_{i + 1}") if i else result)
    return Since(results, new_rules)
