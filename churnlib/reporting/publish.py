"""Publishing: one run at a time, a finished folder renamed into place, and a link that always shows a whole report."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from churnlib import text
from churnlib.about import Period
from churnlib.model.cache import digest

MANIFEST = "manifest.json"
FAILED = "failed"
LEDGER = "ledger.{}.json"  # in the private folder of a period, one a revision: exact numbers
_STAGING = ".staging-"
_REVISION = re.compile(r"r([1-9]\d*)")


class Locked(text.ChurnError):
    """Another run of the same report is at work."""

    exit_code = 75


@contextmanager
def lock(folder: Path, is_patient: bool = False) -> Iterator[None]:
    """Hold the reports of one data set; raises Locked at once if another run does, unless it is worth waiting for.

    The lock belongs to the process and ends with it, however it ends: there is no stale lock to remove by hand.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as file:
        try:
            _take(file, is_patient)
        except OSError:
            raise Locked("publish.locked", name=folder.name) from None
        yield


def _take(file, is_patient: bool) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if is_patient else msvcrt.LK_NBLCK, 1)
    else:
        # unlike flock's, this lock is not inherited by children
        fcntl.lockf(file, fcntl.LOCK_EX | (0 if is_patient else fcntl.LOCK_NB))


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Give a new folder to build a report in, and remove it (and what killed runs left behind) in the end.

    Call it under the lock only. Nobody else may look into it; what is to stay is renamed out of it.
    """
    for left in folder.glob(f"{_STAGING}*"):
        shutil.rmtree(left, ignore_errors=True)
    made = folder / f"{_STAGING}{secrets.token_hex(4)}"
    made.mkdir(parents=True, mode=0o700)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def revisions(folder: Path, period: Period) -> dict[int, Path]:
    """Give the published revisions of a period, oldest first."""
    found = ((_REVISION.fullmatch(path.name), path) for path in (folder / str(period)).glob("r*"))
    return dict(sorted((int(match[1]), path) for match, path in found if match))


def published(folder: Path, period: Period) -> tuple[Path, dict[str, Any]] | None:
    """Give the newest revision of a period with its manifest; None if there is none that can be read."""
    for path in reversed(revisions(folder, period).values()):
        with suppress(OSError, ValueError):
            return path, json.loads((path / MANIFEST).read_text("utf-8"))
    return None


def before(folder: Path, period: Period) -> Path | None:
    """Give the newest revision of the latest earlier period of the same length; None if there is none."""
    earlier = [p for p in periods(folder) if p.unit == period.unit and p < period]
    found = published(folder, max(earlier)) if earlier else None
    return found[0] if found else None


def periods(folder: Path) -> list[Period]:
    """Give the periods of which a report was published, earliest first."""
    found = []
    for name in {path.parent.name for path in folder.glob("*/r*")}:
        with suppress(text.UsageError):
            found.append(Period.parse(name))
    return sorted(found)


def is_whole(revision: Path, manifest: dict[str, Any]) -> bool:
    """Tell whether every file of a revision still is what was published."""
    try:
        return all(digest(revision / name) == told for name, told in manifest["outputs"].items())
    except (OSError, KeyError, AttributeError):
        return False


def publish(made: Path, folder: Path, period: Period) -> Path:
    """Rename a finished folder, on the same disk, into place as the period's next revision; turn the link to it."""
    for path in [*made.rglob("*"), made]:
        _sync(path)
    target = folder / str(period) / f"r{next_revision(folder, period)}"
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(made, target)
    _sync(target.parent)
    shutil.rmtree(folder / FAILED, ignore_errors=True)  # what stood in the way does so no longer
    point_to(folder / "latest", target)
    return target


def next_revision(folder: Path, period: Period) -> int:
    """Give the number of the revision that is published next."""
    return max(revisions(folder, period), default=0) + 1


def point_to(link: Path, target: Path) -> None:
    """Turn `latest` to a revision in one step, unless it shows a later period.

    Where links are not allowed (Windows), a small text file `latest.txt` names the folder instead.
    """
    relative = target.relative_to(link.parent)
    shown = latest(link.parent)
    if shown is not None and _begins(shown) > _begins(target):
        return
    beside = link.with_name(f".latest-{secrets.token_hex(4)}")
    try:
        beside.symlink_to(relative, target_is_directory=True)
        os.replace(beside, link)
    except OSError:
        beside.unlink(missing_ok=True)
        beside.write_text(relative.as_posix() + "\n", "utf-8")
        os.replace(beside, link.with_suffix(".txt"))
    _sync(link.parent)


def latest(folder: Path) -> Path | None:
    """Give the revision that `latest` (or latest.txt) shows; None if there is none."""
    link, file = folder / "latest", folder / "latest.txt"
    if link.is_symlink():
        named = os.readlink(link)
    elif file.is_file():
        named = file.read_text("utf-8").strip()
    else:
        return None
    return folder / named if (folder / named).is_dir() else None


def _begins(revision: Path) -> tuple:
    return (Period.parse(revision.parent.name).last,)


def put_private(made: Path, folder: Path, period: Period) -> None:
    """Replace the private folder of a period (rows set aside): only its owner may enter it.

    Exact ledgers are kept, and the lists that an analyst has exported.
    """
    target, old = folder / f"{period}.private", folder / f"{_STAGING}old-{secrets.token_hex(4)}"
    for kept in [*target.glob("ledger.*.json"), *target.glob("list.*.csv")]:
        shutil.copy2(kept, made)
    for path in [made, *made.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)
    if target.exists():
        os.rename(target, old)
    os.rename(made, target)
    shutil.rmtree(old, ignore_errors=True)


def keep_failed(executed: Path, folder: Path) -> Path:
    """Keep the executed notebook that failed, and its log, where they are found: <reports>/failed/."""
    kept = folder / FAILED / executed.name
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.parent.chmod(0o700)  # its outputs have not passed the checks of a report
    for path in (executed, executed.with_suffix(".log")):
        if path.is_file():
            os.replace(path, kept.with_name(path.name))
    return kept


def _sync(path: Path) -> None:
    """Write a file or a folder's entries through to the disk (Windows wants a file open for writing, and no folder)."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
