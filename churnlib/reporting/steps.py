"""What an operator sees of a run: one line a step with seconds and peak memory, and a progress bar on a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from churnlib import text

BAR = 24  # characters


class Steps:
    """Tells the steps of one run on a stream (standard error, so that standard output ends with the report's path).

    Parameters
    ----------
    stream : TextIO, optional
    log : Path, optional
        A file to which each step adds one line of JSON.

    Attributes
    ----------
    seconds : dict of str to float
        Seconds of each step, for the manifest.
    """

    def __init__(self, stream: TextIO | None = None, log: Path | None = None):
        self.stream, self.log = stream or sys.stderr, log
        self.seconds: dict[str, float] = {}
        self._start = time.monotonic()

    @contextmanager
    def step(self, name: str, **values) -> Iterator[dict]:
        """Time a step and tell it when it is done; the fields of its line may be added while it runs."""
        start = time.monotonic()
        yield values
        self.seconds[name] = round(time.monotonic() - start, 2)
        self.tell(name, values, self.seconds[name], peak_memory())

    def tell(self, name: str, values: dict, seconds: float, megabytes: float) -> None:
        """Write one line: the time of day, what was done, seconds and peak memory; and one of JSON in the log."""
        self._note({"step": name, **values, "seconds": round(seconds, 2), "megabytes": round(megabytes)})
        line = text.say(f"run.step.{name}", **values)
        cost = text.say("run.cost", seconds=seconds, megabytes=megabytes)
        clear = "\r\x1b[K" if self.is_terminal else ""
        print(f"{clear}{datetime.now().astimezone():%H:%M:%S} {line} {cost}", file=self.stream, flush=True)

    def note(self, outcome: str, **values) -> None:
        """Note how the run ended, in the log only: the reader is told by others."""
        self._note(
            {"step": "end", "outcome": outcome, **values, "seconds": self.total, "megabytes": round(peak_memory())}
        )

    def _note(self, line: dict) -> None:
        if self.log is not None:
            plain = {name: str(value) if isinstance(value, text.Label) else value for name, value in line.items()}
            told = {"time": datetime.now().astimezone().isoformat(timespec="seconds"), **plain}
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(told, ensure_ascii=False, default=str) + "\n")

    def bar(self, done: int, total: int, name: str = "") -> None:
        """Draw the progress bar, on a terminal only: cron would mail it."""
        if self.is_terminal:
            full = BAR * done // max(total, 1)
            drawn = f"[{'#' * full}{'.' * (BAR - full)}]"
            print(f"\r\x1b[K{drawn} {done}/{total} {name}", end="", file=self.stream, flush=True)

    @property
    def is_terminal(self) -> bool:
        """Whether somebody is looking."""
        return self.stream.isatty()

    @property
    def total(self) -> float:
        """Seconds since the run began."""
        return round(time.monotonic() - self._start, 2)


def peak_memory() -> float:
    """Give the largest memory (MB) that this process or one of its finished children has held."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    used = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(used) / (1024**2 if sys.platform == "darwin" else 1024)
