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
from churnlib.model.schema import Source
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
        `notes`, `parameters`, `code`, `notebooks`, `template`, `lock`, `python`.
    """
    books = [book.path for book in request.notebooks]
    return {
        **data_hashes(request),
        "parameters": request.parameters(),
        "code": hash_of(_hashes([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.yml")], PACKAGE)),
        "notebooks": _hashes(books, books[0].parent),
        "template": hash_of(_hashes([p for p in (PACKAGE / "show/template").rglob("*") if p.is_file()], PACKAGE)),
        "lock": _hashes([PACKAGE.parent / "requirements.lock"], PACKAGE.parent),
        "python": platform.python_version(),
    }


def data_hashes(request: Request) -> dict[str, Any]:
    """Give those of `ingredients` that stand in the data set's folder.

    A query on a database counts by its text and as_of: its answer is kept as long as they stay the same.
    """
    folder = request.folder
    return {
        "tables": {table: _hashes(_files(folder, sources), folder) for table, sources in request.spec.tables.items()},
        "description": _hashes([folder / "dataset.yml", folder / "reason_words.yml", *folder.glob("*.py")], folder),
        "notes": _hashes((folder / "notes").glob(f"{request.period}*.md"), folder),
    }


def run_key(things: dict[str, Any]) -> str:
    """Give the key of a report: the same key, the same report."""
    return hash_of(things)


def _files(folder: Path, sources: Iterable[Source]) -> list[Path]:
    """Give the files that a table declares; found without `reading`, which takes a second to import."""
    return [path for source in sources for pattern in source.patterns for path in _matching(folder / pattern)]


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
