"""What a report was made from: the record that closes its page, and its manifest."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnlib.model.cache import digest
from churnlib.reporting import fingerprint, publish, render
from churnlib.reporting.request import Request
from churnlib.text import LANGUAGES

if TYPE_CHECKING:
    from churnlib.reporting.steps import Steps

PACKAGES = ("duckdb", "lifelines", "matplotlib", "nbconvert", "numpy", "pandas", "papermill", "scipy", "statsmodels")


def shown(request: Request, things: dict[str, Any], run_id: str) -> list[tuple[str, str]]:
    """Give the run record of the page: catalogue key of the label, value."""
    given = {name: value for name, value in request.parameters().items() if value is not None}
    told = "; ".join(f"{name}={','.join(v) if isinstance(v, list) else v}" for name, v in given.items())
    return [
        ("render.record.run", run_id),
        *([("render.record.reason", request.reason)] if request.reason else []),
        ("render.record.parameters", told),
        ("render.record.data", fingerprint.hash_of(things["tables"])[:16]),
        ("render.record.code", fingerprint.hash_of([things["code"], things["template"], things["notebooks"]])[:16]),
        ("render.record.lock", fingerprint.hash_of(things["lock"])[:16]),
        ("render.record.versions", ", ".join(f"{name} {version}" for name, version in versions().items())),
    ]


def manifest(content: render.Content, things: dict[str, Any], steps: Steps, made: Path) -> dict[str, Any]:
    """Give what manifest.json holds; `made` is the folder with everything that is published."""
    request, prepared = content.request, content.prepared
    files = sorted(path for path in made.rglob("*") if path.is_file())
    return {
        "run_id": content.run_id,
        "key": fingerprint.run_key(things),
        "dataset": request.name,
        "period": str(request.period),
        "revision": content.revision,
        "reason": _reason(request, things),
        "note": request.reason,
        "title": {language: render.organisation(content, language) for language in LANGUAGES},
        "status": render.status(request),
        "formats": list(request.formats),
        "declared": fingerprint.declared(request.spec, request.definition),
        "generated": content.generated.isoformat(timespec="seconds"),
        "parameters": request.parameters(),
        "ingredients": things,
        "commit": _commit(),
        "versions": versions(),
        "rows": {"in": prepared.n_rows_in, "set_aside": prepared.n_rows_set_aside},
        "chapters": [chapter.id for chapter in content.chapters],
        "left_out": [need for _, need in content.left_out],
        "warnings": content.warnings + content.doubts,
        "seconds": {**steps.seconds, "total": steps.total},
        "outputs": {path.relative_to(made).as_posix(): digest(path) for path in files},
    }


def _reason(request: Request, things: dict[str, Any]) -> list[str]:
    """Say why there is a revision: the ingredients that changed since the one before."""
    found = publish.published(request.reports, request.period)
    if found is None:
        return ["first"]
    before = found[1].get("ingredients", {})
    return [name for name, value in things.items() if before.get(name) != value] or ["forced"]


def versions() -> dict[str, str]:
    """Give the versions of Python and of the packages that make numbers or pages."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _commit() -> str | None:
    root = fingerprint.PACKAGE.parent
    with suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, timeout=5, check=True
        )
        return told.stdout.strip()
    return None
