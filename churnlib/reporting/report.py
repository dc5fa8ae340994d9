"""One report from one data set, unless the published one is up to date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from churnlib.reporting import archive, fingerprint, formats, publish, run
from churnlib.reporting.request import Request
from churnlib.reporting.steps import Steps


@dataclass(frozen=True)
class Outcome:
    """What came of a request."""

    page: Path  # the report in the first language
    is_new: bool = True  # False when the published report was up to date
    warnings: tuple[dict[str, str], ...] = ()  # in both languages


def make_report(request: Request, moment: datetime, steps: Steps, at_once: int | None = None) -> Outcome:
    """Make and publish a report, unless the published one is up to date.

    Parameters
    ----------
    request : Request
    moment : datetime
        Printed as the time of making.
    steps : Steps
        Where the run tells what it does.
    at_once : int, optional
        Notebooks at once; else as many as there are cores.

    Returns
    -------
    Outcome

    Raises
    ------
    ChurnError
        In one line, with its exit code; the published reports are then as they were.
    """
    if not request.is_forced and (page := up_to_date(request)) is not None:
        steps.note("up to date", page=page)
        return Outcome(page, is_new=False)
    try:
        return _made(request, moment, steps, at_once)
    except BaseException as problem:
        steps.note("failed", error=str(problem) or type(problem).__name__)
        raise


def _made(request: Request, moment: datetime, steps: Steps, at_once: int | None) -> Outcome:
    with publish.lock(request.reports), publish.staging(request.reports) as work:
        from churnlib.reporting.making import Making  # with pandas and all: "up to date" is told without them

        page, warnings = Making(request, moment, steps, at_once or run.at_once(), work).make()
    archive.write_index(request.home / "reports")
    steps.note("published", page=page)
    return Outcome(page, warnings=tuple(warnings))


def up_to_date(request: Request) -> Path | None:
    """Give the published report that the same ingredients made; None if there is none, or it is no longer whole."""
    found = publish.published(request.reports, request.period)
    if found is None:
        return None
    revision, manifest = found
    key = fingerprint.run_key(fingerprint.ingredients(request))
    has_forms = {*request.formats} <= {*manifest.get("formats", ())}
    if manifest.get("key") != key or not has_forms or not publish.is_whole(revision, manifest):
        return None
    return revision / formats.name("html", request.period, request.languages[0])
