"""What a recipe restricts a report to: told to every notebook of a run by the file that CHURN_SCOPE names.

So the notebooks stay as they are: a data set that is opened under a scope holds the chosen customers, divides them by
the chosen segments only, and carries the stricter thresholds and the cells that this report must not show.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from churnlib.model.schema import Spec

VARIABLE = "CHURN_SCOPE"


@dataclass(frozen=True)
class Scope:
    """A restriction of a report.

    Attributes
    ----------
    where : dict
        Attribute or segment -> values, as in `Dataset.where`.
    segments : tuple of str or None
        The segments that customers may be divided by; None for all.
    thresholds : dict
        `min_denominator`, `privacy_k`: those of the data set at least.
    withheld : tuple of (str, str, str)
        Segment, level and period of cells that may not be shown ("" and "": everybody): other reports of the same
        release would give hidden ones back.
    masked : tuple of str
        Segments whose levels are numbered, not named: of account managers, for instance.
    """

    where: dict[str, tuple[str, ...]] = field(default_factory=dict)
    segments: tuple[str, ...] | None = None
    thresholds: dict[str, int] = field(default_factory=dict)
    withheld: tuple[tuple[str, str, str], ...] = ()
    masked: tuple[str, ...] = ()

    def applied(self, spec: Spec) -> Spec:
        """Give the description of a data set as the scope allows it."""
        limits = {name: max(value, getattr(spec.thresholds, name)) for name, value in self.thresholds.items()}
        kept = {name: s for name, s in spec.segments.items() if self.segments is None or name in self.segments}
        segment = spec.segment if spec.segment in kept else next(iter(kept), None)
        changed = {"thresholds": spec.thresholds.model_copy(update=limits), "segments": kept, "segment": segment}
        return spec.model_copy(update=changed)

    def plain(self) -> dict[str, Any]:
        """Give the scope as plain data, for its file and for the report's key."""
        where = {name: list(values) for name, values in sorted(self.where.items())}
        segments = None if self.segments is None else list(self.segments)
        rest = {"thresholds": self.thresholds, "withheld": sorted(self.withheld), "masked": list(self.masked)}
        return {"where": where, "segments": segments, **rest}

    @classmethod
    def read(cls, plain: dict[str, Any]) -> Scope:
        """Read a scope from plain data."""
        where = {name: tuple(values) for name, values in plain["where"].items()}
        segments = None if plain["segments"] is None else tuple(plain["segments"])
        return cls(where, segments, plain["thresholds"], _cells(plain["withheld"]), tuple(plain["masked"]))


def _cells(rows: Iterable[Iterable[str]]) -> tuple[tuple[str, str, str], ...]:
    return tuple((segment, level, period) for segment, level, period in rows)


def current() -> Scope:
    """Give the scope that CHURN_SCOPE names; none of its own for an analyst at a notebook."""
    path = os.environ.get(VARIABLE)
    return Scope.read(json.loads(Path(path).read_text("utf-8"))) if path else Scope()
