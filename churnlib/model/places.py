"""Where things are and which period is meant: what must be known before anything heavy is imported."""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path

from churnlib import text
from churnlib.about import Period
from churnlib.model.schema import Spec
from churnlib.yamlfile import hint


def home() -> Path:
    """Give the folder above data/, notebooks/ and reports/: CHURN_HOME, else the folder above this package."""
    return Path(os.environ.get("CHURN_HOME") or Path(__file__).parents[2]).resolve()


def find_folder(name: str | Path) -> Path:
    """Find a data set by name under data/ or by path; raises UsageError with the list of data sets."""
    data = home() / "data"
    for folder in (data / str(name), Path(name)):
        if str(name) and (folder / "dataset.yml").is_file():
            return folder.resolve()
    known = sorted(path.parent.name for path in data.glob("*/dataset.yml"))
    raise text.UsageError("dataset.unknown", name=str(name), hint=hint(str(name), known))


def scripts(folder: Path) -> list[Path]:
    """Give the scripts that make a data set: those in its folder, and the modules beside it that they import."""
    own = sorted(folder.glob("*.py"))
    names = {name for path in own for name in re.findall(r"(?m)^\s*(?:from|import)\s+(\w+)", path.read_text("utf-8"))}
    return own + [path for name in sorted(names) if (path := folder.parent / f"{name}.py").is_file()]


def choose_period(spec: Spec, asked: Period | None, observed_from: date | None) -> Period:
    """Give the report's period: the one asked for, or the last complete month.

    Parameters
    ----------
    spec : Spec
    asked : Period or None
    observed_from : date or None
        Since when ends were recorded; None while that is not known yet.

    Raises
    ------
    PeriodError
        The period asked for, or every month so far, is incomplete.
    UsageError
        The period lies before the data.
    """
    if spec.snapshot:  # one extract: its period is the one in which it was taken
        taken = Period.containing(spec.as_of)
        if asked not in (None, taken):
            raise text.UsageError("dataset.only_period", period=str(asked), only=str(taken))
        return taken
    newest = Period.containing(spec.as_of, asked.unit if asked else "month")
    last = newest if newest.last <= spec.as_of else newest.shift(-1)
    if asked and asked.first > last.first:
        raise text.PeriodError("dataset.period_open", period=str(asked), as_of=spec.as_of, last=str(last))
    if observed_from and (asked or last).first < observed_from:
        if asked and last.first >= observed_from:
            raise text.UsageError("dataset.period_too_early", period=str(asked), since=observed_from)
        raise text.PeriodError("dataset.no_complete_period", since=observed_from, as_of=spec.as_of)
    return asked or last
