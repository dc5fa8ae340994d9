"""Folders of derived files under data/<name>/.cache/: named by a hash of what they were made from, verified when read.

A stored folder appears by one rename, complete with a manifest of the hashes of its files; a damaged or hand-edited
file is noticed and the folder is made again. Two processes may ask for the same folder at once: one makes it, the other
waits. A folder that somebody still reads is never removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from churnlib import text

try:
    import fcntl
except ImportError:  # Windows: no locks, the rename alone keeps folders whole
    fcntl = None

MANIFEST = "manifest.json"
KEPT = 1  # older folders kept beside the newest one, for the analyst who switches back and forth
_BIG = 32 * 2**20  # files up to this size are hashed every time; a bigger one only when size or time changed
_KEY = re.compile("[0-9a-f]{20}")
_RECENT = 2.0  # seconds in which a file may change again without a new time stamp


@dataclass(frozen=True)
class Stored:
    """A verified folder; nobody removes it as long as this object lives."""

    path: Path
    lock: int  # file descriptor of the shared lock

    def __del__(self):
        if self.lock >= 0:
            with contextlib.suppress(OSError):
                os.close(self.lock)


def digest(path: Path) -> str:
    """Give the SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digests(paths: Iterable[Path], memory: Path) -> dict[str, str]:
    """Give path as text -> SHA-256; the JSON file `memory` keeps that of big files by size and time of change."""
    known = read_json(memory)
    found, fresh = {}, {}
    for path in paths:
        name, state = str(path), path.stat()
        stamp, is_big = [state.st_size, state.st_mtime_ns, state.st_ino], state.st_size > _BIG
        is_known = is_big and known.get(name, {}).get("stamp") == stamp
        found[name] = known[name]["sha256"] if is_known else digest(path)
        if is_big and time.time() - state.st_mtime > _RECENT:
            fresh[name] = {"stamp": stamp, "sha256": found[name]}
    if fresh and fresh != known:
        with contextlib.suppress(OSError):  # only a memory
            memory.parent.mkdir(mode=0o700, exist_ok=True)
            write_json(memory, fresh)
    return found


def key_of(*parts: object) -> str:
    """Give the name of a folder made from these parts: 20 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:20]


def stored(root: Path, key: str, make: Callable[[Path], None]) -> Stored:
    """Give the folder of a key, made now if it is missing, damaged or edited by hand.

    Parameters
    ----------
    root : Path
        The cache folder of a data set.
    key : str
        From `key_of`.
    make : callable
        Writes all files into the new, empty folder that it is given.
    """
    if ready := _verified(root / key):
        return ready
    with lock(root):
        if ready := _verified(root / key):
            return ready  # another process made it while this one waited
        staging = root / f".staging-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            staging.mkdir()
            make(staging)
            write_json(staging / MANIFEST, {"key": key, "files": _hashes(staging)})
            _replace(staging, root / key)
        except OSError as problem:
            raise text.DataError("dataset.cannot_write", folder=root, why=problem.strerror or problem) from problem
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        _remove_old(root, key)
        ready = _verified(root / key)
    if ready is None:
        raise text.DataError("dataset.cannot_write", folder=root, why="SHA-256")
    return ready


@contextlib.contextmanager
def lock(root: Path) -> Iterator[None]:
    """Hold the cache folder for writing; ends with the process, however that ends."""
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        stream = (root / ".lock").open("a")
    except OSError as problem:
        raise text.DataError("dataset.cannot_write", folder=root, why=problem.strerror) from problem
    with stream:
        if fcntl:
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def write_json(path: Path, content: object) -> None:
    """Write a small JSON file by one rename."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True), "utf-8")
    os.replace(temporary, path)


def read_json(path: Path) -> dict:
    """Read a small JSON file; an empty dict if there is none or it is damaged."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _verified(folder: Path) -> Stored | None:
    """The folder, held, if every file is as its manifest says."""
    try:
        handle = os.open(folder / MANIFEST, os.O_RDONLY)
    except OSError:
        return None
    if fcntl:
        fcntl.flock(handle, fcntl.LOCK_SH)  # before looking: from here on nobody removes it
    held = Stored(folder, handle)
    files = read_json(folder / MANIFEST).get("files")
    return held if files and files == _hashes(folder) else None


def _hashes(folder: Path) -> dict[str, str]:
    """Relative path -> SHA-256 of every file but the manifest."""
    from concurrent.futures import ThreadPoolExecutor

    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    with ThreadPoolExecutor(4) as pool:  # hashing leaves Python's lock: the cores share it
        return {str(p.relative_to(folder)): h for p, h in zip(paths, pool.map(digest, paths), strict=True)}


def _replace(staging: Path, target: Path) -> None:
    if target.exists():  # damaged: out of the way first, a rename does not replace a folder
        _remove(target)
    staging.rename(target)


def _remove(folder: Path) -> None:
    """Remove a folder that nobody sees half removed."""
    broken = folder.with_name(f".broken-{secrets.token_hex(4)}")
    folder.rename(broken)
    shutil.rmtree(broken, ignore_errors=True)


def _remove_old(root: Path, key: str) -> None:
    """Remove what interrupted runs left, and all but the newest folders that nobody reads. Called under the lock."""
    for left in [*root.glob(".staging-*"), *root.glob(".broken-*")]:
        shutil.rmtree(left, ignore_errors=True)
    others = [m.parent for m in root.glob(f"*/{MANIFEST}") if m.parent.name != key and _KEY.fullmatch(m.parent.name)]
    for old in sorted(others, key=lambda p: p.stat().st_mtime, reverse=True)[KEPT:]:
        if not _in_use(old):
            _remove(old)


def _in_use(folder: Path) -> bool:
    if not fcntl:
        return False
    with (folder / MANIFEST).open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
