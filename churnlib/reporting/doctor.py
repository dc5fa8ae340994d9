"""Look at the machine: can it make a report, and what will be missing if it does."""

from __future__ import annotations

import json
import locale
import os
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from churnlib import text

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("CHURN_HOME") or ROOT)
OLDEST = (3, 11)
GIB = 1024**3
# below the first figure nothing works, below the second large data will not
MEMORY = (0.5, 2.0)
DISK = (0.2, 2.0)
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "msedge",
    "chrome",
)
BROWSER_FILES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
# families that draw Chinese; a server without them still gives right HTML, drawn with the reader's fonts
CHINESE_FONTS = (
    *("Noto Sans CJK", "Noto Serif CJK", "Source Han", "WenQuanYi", "Droid Sans Fallback", "AR PL"),
    *("PingFang", "Heiti", "Hiragino Sans GB", "Songti", "Microsoft YaHei", "SimHei", "SimSun", "Arial Unicode"),
)


class Check(NamedTuple):
    """One thing looked at."""

    state: str  # "ok"; "note" takes something away (PDF, large data); "bad" stops the report
    key: str  # what is said of it, a key of the catalogue
    values: dict  # the numbers and names in that sentence


def report() -> tuple[str, bool]:
    """Examine the machine.

    Returns
    -------
    lines : str
        One line a check, in the current language: a word for its state, what was found, and what to do.
    ok : bool
        Whether nothing stands in the way of a report.
    """
    checks = examine()
    lines = [f"{text.say('doctor.state.' + check.state)}  {text.say(check.key, **check.values)}" for check in checks]
    ok = all(check.state != "bad" for check in checks)
    return "\n".join([*lines, text.say("doctor.verdict.ok" if ok else "doctor.verdict.bad")]), ok


def examine() -> list[Check]:
    """Run every check, in the order in which one would mend what they find."""
    return [python(), packages(), kernel(), writable(), memory(), disk(), encoding(), browser(), fonts()]


def python() -> Check:
    """Look at the interpreter."""
    state = "ok" if sys.version_info[:2] >= OLDEST else "bad"
    version = ".".join(map(str, sys.version_info[:3]))
    return Check(state, f"doctor.python.{state}", {"version": version, "path": sys.executable})


def locked(lock: Path) -> dict[str, str]:
    """Read the names and versions that the lock holds for this machine."""
    from packaging.requirements import Requirement

    lines = (line.rstrip("\\ ") for line in lock.read_text("utf-8").splitlines() if "==" in line.split(";")[0])
    wanted = [Requirement(line) for line in lines]
    return {r.name: next(iter(r.specifier)).version for r in wanted if r.marker is None or r.marker.evaluate()}


def packages() -> Check:
    """Compare what is installed with the lock."""
    wanted, different = locked(ROOT / "requirements.lock"), []
    for name, version in wanted.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = None
        if found != version:
            different.append(f"{name} {text.show(found)} (≠ {version})")
    if different:
        return Check("note", "doctor.packages.note", {"n": len(different), "which": different[:5]})
    return Check("ok", "doctor.packages.ok", {"n": len(wanted)})


def kernel() -> Check:
    """Look for the environment's own kernel: a kernel of the same name elsewhere would run other packages."""
    spec = Path(sys.prefix) / "share/jupyter/kernels/python3/kernel.json"
    try:
        runs = json.loads(spec.read_text("utf-8"))["argv"][0]
    except (OSError, ValueError, LookupError):
        return Check("bad", "doctor.kernel.bad", {"path": spec.parent})
    return Check("ok", "doctor.kernel.ok", {"path": spec.parent, "runs": runs})


def writable() -> Check:
    """Try to write where reports go: permissions alone do not tell (quotas, read-only disks)."""
    folder = HOME / "reports"
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        return Check("bad", "doctor.reports.bad", {"path": folder, "why": problem.strerror})
    return Check("ok", "doctor.reports.ok", {"path": folder})


def memory() -> Check:
    """Look at the memory that a run may use."""
    return _amount("memory", free_memory() / GIB, *MEMORY)


def free_memory() -> float:
    """Give the bytes that a run may use; a container may have less than its machine."""
    import psutil

    free = psutil.virtual_memory().available
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (bytes_allowed := limit.read_text().strip()).isdigit():
        free = min(free, int(bytes_allowed))
    return free


def disk() -> Check:
    """Look at the free space beside the data: caches and revisions grow there."""
    return _amount("disk", shutil.disk_usage(HOME).free / GIB, *DISK)


def _amount(what: str, free: float, least: float, enough: float) -> Check:
    """Judge gigabytes."""
    state = "bad" if free < least else "note" if free < enough else "ok"
    return Check(state, f"doctor.{what}.{state}", {"free": free, "least": least, "enough": enough})


def encoding() -> Check:
    """Look at the locale: files are always read and written as declared, only a terminal can garble Chinese."""
    name = (getattr(sys.stdout, "encoding", None) or locale.getpreferredencoding(False)).lower()
    state = "ok" if name.replace("-", "") in ("utf8", "gb18030", "gbk", "cp936") else "note"
    return Check(state, f"doctor.encoding.{state}", {"name": name})


def find_browser() -> str | None:
    """Find a browser of Chromium's kind: the one named by CHROMIUM, else one on the path or where systems put it."""
    named = os.environ.get("CHROMIUM")
    if named:
        return shutil.which(named)
    found = (shutil.which(name) for name in BROWSERS)
    return next((path for path in found if path), next((path for path in BROWSER_FILES if Path(path).exists()), None))


def browser() -> Check:
    """Look for Chromium, which the browser tests and PDF files need."""
    path = find_browser()
    return Check("ok", "doctor.browser.ok", {"path": path}) if path else Check("note", "doctor.browser.note", {})


def fonts() -> Check:
    """Look for a font with Chinese characters, which PDF and PNG files need; HTML uses its reader's."""
    from matplotlib import font_manager

    families = sorted({font.name for font in font_manager.fontManager.ttflist})
    found = [name for name in families if name.startswith(CHINESE_FONTS)]
    return Check("ok", "doctor.fonts.ok", {"which": found[:3]}) if found else Check("note", "doctor.fonts.note", {})
