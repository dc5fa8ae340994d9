"""Where a data set's rows come from: its files found and kept inside, its script run, its queries fetched once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from churnlib import text
from churnlib.engine import Engine, literal, quote
from churnlib.model import cache
from churnlib.model.places import scripts
from churnlib.model.schema import Source, Spec
from churnlib.sources import reading
from churnlib.sources.files import find_files


def source_files(folder: Path, spec: Spec) -> list[Path]:
    """Give all files of a data set; raises DataError for a declared file that is not there or not allowed."""
    sources = [source for sources in spec.tables.values() for source in sources]
    return list(dict.fromkeys(p for s in sources for p in find_files(s.patterns, folder, spec.allow_outside)))


def run_make(folder: Path, spec: Spec) -> None:
    """Run the data set's script when a declared file is missing or the script has changed since.

    The script and the modules beside it are compared by hash with what they were when they last ran to the end.
    """
    if spec.make is None:
        return
    script, memory = folder / spec.make, folder / ".cache" / "made.json"
    if not script.is_file():
        raise text.DataError("dataset.no_script", script=spec.make, folder=folder.name)
    if not _is_stale(folder, spec, memory):
        return
    with cache.lock(folder / ".cache"):
        if not _is_stale(folder, spec, memory):
            return  # another process ran it while this one waited
        cache.write_json(memory, {"done": False})  # a script that is interrupted leaves half its files
        run = subprocess.run(
            [sys.executable, spec.make],
            cwd=folder,
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        if run.returncode:
            said = [line for line in (run.stderr + run.stdout).splitlines() if line.strip()]
            why = said[-1].strip() if said else f"exit {run.returncode}"
            raise text.DataError("dataset.make_failed", script=spec.make, folder=folder.name, why=why)
        cache.write_json(memory, {"done": True, "scripts": _scripts(folder)})


def fetch_queries(folder: Path, spec: Spec, is_refreshed: bool = False) -> Spec:
    """Fetch what dataset.yml asks of databases, once for each as_of, and give the description that reads the copies.

    Every notebook of a run must see the same rows, and a query asked again tomorrow may answer otherwise: its answer is
    kept in the cache until the query, its table's columns or as_of change, or `is_refreshed` asks anew.
    """
    tables = {
        table: tuple(
            _fetched(folder, spec, f"{source.sql.url_env}.{table}-{i}", source, is_refreshed) if source.sql else source
            for i, source in enumerate(sources)
        )
        for table, sources in spec.tables.items()
    }
    return spec.model_copy(update={"tables": tables})


def _fetched(folder: Path, spec: Spec, name: str, source: Source, is_refreshed: bool) -> Source:
    key = cache.key_of(source.sql.model_dump(), spec.as_of)
    copy = folder / ".cache" / "queries" / f"{name}-{key}.parquet"
    if is_refreshed or not copy.is_file():
        with cache.lock(folder / ".cache"):
            copy.parent.mkdir(mode=0o700, exist_ok=True)
            engine = Engine([copy.parent])
            reading.read_source(engine, source, folder, "raw")
            for old in copy.parent.glob(f"{name}-*.parquet"):
                old.unlink()
            new = copy.with_suffix(".new")
            columns = ", ".join(quote(c) for c in engine.columns("raw") if c not in ("_file", "_line"))
            engine.run(f"COPY (SELECT {columns} FROM raw ORDER BY _line) TO {literal(new)} (FORMAT parquet)")  # noqa: S608
            engine.close()
            os.replace(new, copy)
    return source.model_copy(update={"sql": None, "file": copy.relative_to(folder).as_posix()})


def _is_stale(folder: Path, spec: Spec, memory: Path) -> bool:
    try:
        files = source_files(folder, spec)
    except text.DataError:
        return True  # one is missing
    made = cache.read_json(memory)
    if made:
        return not made.get("done") or made.get("scripts") != _scripts(folder)
    # nothing is remembered (the cache may be deleted at any time): files younger than the script are its work
    newest = max(p.stat().st_mtime for p in scripts(folder))
    return newest > min(p.stat().st_mtime for p in files)


def _scripts(folder: Path) -> dict[str, str]:
    return {Path(os.path.relpath(p, folder)).as_posix(): cache.digest(p) for p in scripts(folder)}
