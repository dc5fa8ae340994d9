"""What a recipe restricts a report to: told to every notebook of a run by the file that CHURN_SCOPE names.

So the notebooks stay as they are: a data set that is opened under a scope holds the chosen customers, divides them by
the chosen segments only, and carries the stricter thresholds and the cells that this report must not show.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from churnlib.model.schema import Spec

VARIABLE = "CHURN_SCOPE"


class Cut(NamedTuple):
    """Where the rows of some customers stand apart from all others' (see `churnlib.model.views.cut`): the folder and
    the number of their part."""

    folder: str
    part: int


@dataclass(frozen=True)
class Scope:
    """A restriction of a report."""

    where: dict[str, tuple[str, ...]] = field(default_factory=dict)  # attribute or segment -> values
    segments: tuple[str, ...] | None = None  # that customers may be divided by; None for all
    thresholds: dict[str, int] = field(default_factory=dict)  # min_denominator, privacy_k: the data set's at least
    # segment, level and period of cells that may not be shown ("" and "": everybody), for other reports of the same
    # release would give hidden ones back
    withheld: tuple[tuple[str, str, str], ...] = ()
    masked: tuple[str, ...] = ()  # segments whose levels are numbered, not named: of account managers, for instance
    cut: Cut | None = None  # where the rows of the customers that `where` chooses stand apart; changes no number

    def applied(self, spec: Spec) -> Spec:
        """Give the description of a data set as the scope allows it."""
        limits = {name: max(value, getattr(spec.thresholds, name)) for name, value in self.thresholds.items()}
        kept = {name: s for name, s in spec.segments.items() if self.segments is None or name in self.segments}
        segment = spec.segment if spec.segment in kept else next(iter(kept), None)
        changed = {"thresholds": spec.thresholds.model_copy(update=limits), "segments": kept, "segment": segment}
        return spec.model_copy(update=changed)

    def plain(self) -> dict[str, Any]:
        """Give the scope as plain data, for the report's key."""
        where = {name: list(values) for name, values in sorted(self.where.items())}
        segments = None if self.segments is None else list(self.segments)
        rest = {"thresholds": self.thresholds, "withheld": sorted(self.withheld), "masked": list(self.masked)}
        return {"where": where, "segments": segments, **rest}

    def write(self, path: Path) -> None:
        """Write the scope for the processes of a run, which find it by CHURN_SCOPE."""
        path.write_bytes(TypeAdapter(Scope).dump_json(self))

    @classmethod
    def read(cls, path: Path) -> Scope:
        """Read what `write` wrote."""
        return TypeAdapter(Scope).validate_json(path.read_bytes())


def current() -> Scope:
    """Give the scope that CHURN_SCOPE names; none of its own for an analyst at a notebook."""
    path = os.environ.get(VARIABLE)
    return Scope.read(Path(path)) if path else Scope()
