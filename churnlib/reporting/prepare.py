"""The data, read once before any kernel starts: what they are about, what they hold, and which rows were set aside."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from churnlib import text
from churnlib.about import About
from churnlib.reporting.request import Request

LEDGER = ("period", "is_complete", "n_opening", "n_churned_opening", "n_churned")


@dataclass(frozen=True)
class Prepared:
    """What the report has to know of its data; small enough to come from another process.

    Attributes
    ----------
    ledger : list of dict or None
        One a period: exact numbers of customers, from which a later report tells what was restated; never shown as
        they are. None without a history of ends.
    """

    about: About
    holds: dict[str, bool]  # for each thing that a notebook needs, whether the data set has it
    n_rows_in: int  # read, over all files
    n_rows_set_aside: int
    files: list[dict[str, Any]] = field(default_factory=list)  # name and table of each
    ledger: list[dict[str, Any]] | None = None

    def has(self, need: str) -> bool:
        """Tell whether the data set serves a need."""
        return self.holds.get(need, False)


def prepare(request: Request, private: Path) -> Prepared:
    """Open the data set (which fills its cache, so that kernels only read); write what was set aside to `private`."""
    from churnlib.model.dataset import open_dataset

    tempfile.tempdir = str(private.parent)  # what a killed run leaves is swept by the next one
    needs = {part for book in request.notebooks for need in book.needs for part in need.split("|")}
    data = open_dataset(
        request.folder,
        definition=request.definition,
        period=str(request.period),
        is_refreshed=request.is_forced,
    )
    try:
        holds = {need: _holds(data, need) for need in needs}
        files = data.files
        write_set_aside(data, private / "set-aside")
        return Prepared(
            about=data.about,
            holds=holds,
            n_rows_in=int(files["n_rows_in"].sum()),
            n_rows_set_aside=int(files["n_rows_set_aside"].sum()),
            files=files[["file", "table"]].to_dict("records"),
            ledger=_ledger(data),
        )
    finally:
        data.close()


def _ledger(data: Any) -> list[dict[str, Any]] | None:
    from churnlib.counts import period_counts

    if data.about.snapshot:
        return None
    frame = period_counts(data).frame
    columns = [frame[name].tolist() for name in LEDGER]
    return [dict(zip(LEDGER, row, strict=True)) for row in zip(*columns, strict=True)]


def _holds(data: Any, need: str) -> bool:
    """Tell whether the data set serves a need: a table, a column, dates, several definitions, one by inactivity."""
    if need == "history":
        return not data.about.snapshot
    if need == "silence":
        return any(declared.kind == "inactivity" for declared in data.spec.definitions.values())
    return len(data.spec.definitions) > 1 if need == "rivals" else data.has(need)


def write_set_aside(data: Any, folder: Path) -> None:
    """Write the rows set aside, one CSV a table, in the words of the run's language; for its owner's eyes only."""
    from churnlib.show.results import safe_cells

    folder.mkdir(parents=True, mode=0o700)
    names = ["file", "line", "meaning", "column", "value", "rule"]
    found = data.set_aside.assign(meaning=[text.show(words) for words in data.set_aside["meaning"]])
    for table, rows in found.groupby("table"):
        rows = rows[names].set_axis([text.say(f"dataset.check.{name}") for name in names], axis=1)
        path = folder / f"{table}.csv"
        safe_cells(rows).to_csv(path, index=False, encoding="utf-8-sig", lineterminator="\n")
        path.chmod(0o600)
