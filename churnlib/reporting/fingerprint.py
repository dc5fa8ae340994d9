"""When a report is up to date: one key over everything that could change a byte of it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from churnlib.model import cache
from churnlib.model.places import scripts
from churnlib.model.schema import Source
from churnlib.reporting import publish
from churnlib.reporting.request import Request

PACKAGE = Path(__file__).resolve().parents[1]


def hash_of(value: Any) -> str:
    """Give the SHA-256 of plain data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def ingredients(request: Request) -> dict[str, Any]:
    """Give the hash of each thing that a report is made from.

    Returns
    -------
    dict
        One entry a thing: `tables` (table -> file -> hash), `description` (dataset.yml, reason_words.yml, scripts),
        `notes`, `parameters`, `recipe`, `code`, `notebooks`, `template`, `lock`, `python`, and
        `previous`, the report of the period before, with which this one compares itself.
    """
    books = [book.path for book in request.notebooks]
    previous = publish.before(request.reports, request.period)
    return {
        **data_hashes(request),
        "parameters": request.parameters(),
        "recipe": hash_of([request.title, [book.chapter for book in request.notebooks], request.scope.plain()]),
        "code": hash_of(_hashes([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.yml")], PACKAGE)),
        "notebooks": _hashes(books, books[0].parent),
        "template": hash_of(_hashes([p for p in (PACKAGE / "show/template").rglob("*") if p.is_file()], PACKAGE)),
        "lock": _hashes([PACKAGE.parent / "requirements.lock"], PACKAGE.parent),
        "python": platform.python_version(),
        "previous": cache.digest(previous / publish.MANIFEST) if previous else None,
    }


def data_hashes(request: Request) -> dict[str, Any]:
    """Give those of `ingredients` that stand in the data set's folder.

    A query on a database counts by the answer that is kept of it: a new answer makes a new report.
    """
    folder = request.folder
    return {
        "tables": {
            table: _hashes(_files(folder, table, sources), folder) for table, sources in request.spec.tables.items()
        },
        "description": _hashes([folder / "dataset.yml", folder / "reason_words.yml", *scripts(folder)], folder),
        "notes": _hashes((folder / "notes").glob(f"{request.period}*.md"), folder),
    }


def run_key(things: dict[str, Any]) -> str:
    """Give the key of a report: the same key, the same report."""
    return hash_of(things)


def declared(spec: Any, definition: str) -> dict[str, str]:
    """Give what dataset.yml declares of everything that decides numbers: dotted key -> value as text.

    Of the rival definitions only the report's own counts.
    """
    names = ("exclusions", "start_tenure_days", "thresholds", "targets", "segments", "observed_from", "reasons")
    own = {"definition": definition, "definitions": {definition: spec.definitions[definition]}}
    return dict(_flat("", {name: getattr(spec, name) for name in names} | own))


def _flat(key: str, value: Any) -> Iterable[tuple[str, str]]:
    if hasattr(value, "model_fields_set"):  # a part of dataset.yml
        value = {name: inner for name, inner in value if name not in ("label", "note", "labels")}  # words
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}" if key else str(name), inner)
    elif value is not None and value != () and value != {}:
        yield key, ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _files(folder: Path, table: str, sources: Iterable[Source]) -> list[Path]:
    """Give the files of a table: declared, or kept of a query; found without `reading`, a second's import."""
    patterns = {pattern for source in sources for pattern in source.patterns}
    patterns |= {f".cache/queries/{source.sql.url_env}.{table}-*.parquet" for source in sources if source.sql}
    return [path for pattern in sorted(patterns) for path in _matching(folder / pattern)]


def _matching(declared: Path) -> list[Path]:
    if declared.is_file():
        return [declared]
    if declared.is_dir():  # a folder of monthly files
        return list(declared.rglob("*"))
    anchor = Path(declared.anchor)
    return list(anchor.glob(str(declared.relative_to(anchor))))


def _hashes(paths: Iterable[Path], root: Path) -> dict[str, str]:
    """Give path (seen from `root`) -> hash, for those that exist."""
    found = sorted({path for path in paths if path.is_file()})
    known = cache.digests(found, root / ".cache" / "hashes.json")
    return {Path(os.path.relpath(path, root)).as_posix(): known[str(path)] for path in found}
