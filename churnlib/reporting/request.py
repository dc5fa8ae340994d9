"""What an operator asks for, checked before anything starts: data set, period, languages, parameters."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from churnlib import text
from churnlib.about import Period
from churnlib.model import schema
from churnlib.model.places import choose_period, find_folder, home
from churnlib.model.scope import Scope
from churnlib.reporting import formats
from churnlib.reporting.formats import USUAL
from churnlib.reporting.run import Notebook, notebooks
from churnlib.text import LANGUAGES, Label
from churnlib.yamlfile import hint

FIXED = ("dataset", "period", "definition", "by", "language")  # parameters that have an option of their own


@dataclass(frozen=True)
class Request:
    """A checked request for one report."""

    home: Path  # the folder above data/, notebooks/ and reports/
    folder: Path  # of the data set; its name names the report
    spec: schema.Spec
    period: Period  # always complete
    definition: str
    by: str | None  # segment; None is the data set's own
    languages: tuple[str, ...]
    notebooks: tuple[Notebook, ...]  # in the report's order
    settings: dict[str, Any] = field(default_factory=dict)  # further parameters of notebooks, typed
    formats: tuple[str, ...] = USUAL  # beside the page, of `formats.FORMATS`
    recipe: str = ""  # its name; "" for a report without one
    title: Label | None = None  # the recipe's
    scope: Scope = field(default_factory=Scope)  # what the recipe restricts the report to
    unit: tuple[str, Label] | None = None  # the level that it is about, where a recipe makes a report for each
    is_forced: bool = False
    reason: str = ""  # why somebody asks for another revision, in their words

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.folder.name

    @property
    def reports(self) -> Path:
        """The folder of this data set's reports."""
        folder = self.home / "reports" / "-".join(filter(None, [self.name, self.recipe]))
        return folder / slug(self.unit[0]) if self.unit else folder

    def parameters(self, notebook: Notebook | None = None) -> dict[str, Any]:
        """Give the values for one notebook (those of its names), or all that make this report what it is."""
        # a notebook finds a folder elsewhere by its path; a report names the data set and no place on a disk
        is_elsewhere = notebook is not None and self.folder.parent != self.home / "data"
        values = {
            "dataset": str(self.folder) if is_elsewhere else self.name,
            "period": str(self.period),
            "definition": self.definition,
            "by": self.by,
            "language": self.languages[0],
            **self.settings,
        }
        if notebook is None:
            cooked = {"recipe": self.recipe, "where": {k: list(v) for k, v in self.scope.where.items()}}
            return values | {"languages": list(self.languages)} | {k: v for k, v in cooked.items() if v}
        # a segment that nobody asked for is left to the notebook
        return {k: v for k, v in values.items() if k in notebook.parameters and not (k == "by" and v is None)}


def slug(name: str) -> str:
    """Give a folder's name for what data call something: letters and digits of any script, else with a hash."""
    plain = re.sub(r"[^\w-]+", "_", name).strip("_")[:40]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def read_request(
    dataset: str,
    *,
    period: str | None = None,
    definition: str | None = None,
    by: str | None = None,
    languages: str | None = None,
    settings: Iterable[str] = (),
    has_pdf: bool = False,
    is_forced: bool = False,
    reason: str = "",
) -> Request:
    """Check what was typed; raises UsageError, DataError or PeriodError, each one line.

    Parameters
    ----------
    dataset : str
        Name or folder.
    period : str, optional
        Such as "2025-12"; else the last complete month.
    definition, by : str, optional
        Names from dataset.yml.
    languages : str
        "zh", "en" or "zh,en"; both if not given.
    settings : iterable of str
        "name=value" for any further parameter of a notebook.
    has_pdf : bool
        Print the pages as PDF too.
    is_forced : bool
        Make the report even when nothing has changed.
    reason : str
        Why: printed in the run record.

    Returns
    -------
    Request
    """
    folder = find_folder(dataset)
    spec = schema.load(folder / "dataset.yml")
    speak(spec)
    books = tuple(notebooks(_notebook_folder()))
    if not books:
        raise text.UsageError("report.no_notebooks", folder=_notebook_folder().name)
    if definition is not None and definition not in spec.definitions:
        raise _unknown("dataset.unknown_definition", definition, spec.definitions)
    if by is not None and by not in spec.segments:
        raise _unknown("dataset.unknown_segment", by, spec.segments)
    if has_pdf:
        formats.browser()
    return Request(
        home=home(),
        folder=folder,
        spec=spec,
        period=choose_period(spec, Period.parse(period) if period is not None else None, spec.observed_from),
        definition=definition or spec.definition,
        by=by,
        languages=_languages(languages or ",".join(LANGUAGES)),
        notebooks=books,
        settings=_settings(settings, books),
        formats=(*formats.USUAL, "pdf") if has_pdf else formats.USUAL,
        is_forced=is_forced,
        reason=reason,
    )


def speak(spec: schema.Spec) -> None:
    """Choose the language of messages: CHURN_LANGUAGE, else the data set's own."""
    wanted = os.environ.get("CHURN_LANGUAGE", "")
    text.set_language(wanted if wanted in LANGUAGES else spec.language)


def clock(given: str | None = None) -> datetime:
    """Give the time to print: the one asked for, that of SOURCE_DATE_EPOCH, or now."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        if given is not None:
            moment = datetime.fromisoformat(given)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now().astimezone()
    except (ValueError, OverflowError):
        raise text.UsageError("report.bad_clock", value=given if given is not None else epoch) from None


def _unknown(key: str, given: str, known: Iterable[str]) -> text.UsageError:
    return text.UsageError(key, name=given, hint=hint(given, known))


def _notebook_folder() -> Path:
    own = home() / "notebooks"
    return own if own.is_dir() else Path(__file__).resolve().parents[2] / "notebooks"


def _languages(given: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in given.split(",") if part.strip()))
    for name in names or ("",):
        if name not in LANGUAGES:
            raise _unknown("report.unknown_language", name, LANGUAGES)
    return names


def _settings(given: Iterable[str], books: Iterable[Notebook]) -> dict[str, Any]:
    known = {name: p for book in reversed(list(books)) for name, p in book.parameters.items() if name not in FIXED}
    values = {}
    for setting in given:
        name, equals, value = setting.partition("=")
        if not equals:
            raise text.UsageError("report.bad_setting", value=setting)
        if name in FIXED:
            raise text.UsageError("report.has_option", name=name)
        if name not in known:
            raise _unknown("report.unknown_parameter", name, known)
        values[name] = known[name].read(value)
    return values
