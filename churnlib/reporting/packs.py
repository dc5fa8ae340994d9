"""One report for each level of a segment (a region, a branch), several at once, from one reading of the data.

The data are cut into the levels once; each report then counts its own customers and reads no others'.

What the reports show together must not give away what one of them hides: the cells of all of them are counted once,
crossed, and hidden by the rules of a two-way table (Hundepool et al. 2012, ch. 4) before any report is made.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnlib import text
from churnlib.reporting import archive, publish, run
from churnlib.reporting.children import Child, finished
from churnlib.reporting.making import load_engines
from churnlib.reporting.report import Outcome, make_report
from churnlib.reporting.request import Request
from churnlib.reporting.steps import Steps, peak_memory

if TYPE_CHECKING:
    import pandas as pd

    from churnlib.model.scope import Cut
    from churnlib.reporting.recipe import Recipe
    from churnlib.text import Label

Cells = tuple[tuple[str, str, str], ...]


class SomeFailed(text.ChurnError):
    """Some of the reports were not made (exit code 1); the others are published."""

    is_outcome = True


def make_packs(request: Request, recipe: Recipe, moment: datetime, steps: Steps, at_once: int | None = None) -> Outcome:
    """Make a report for each level of the recipe's segment, several at once; the outcome's page is the index of all.

    Raises
    ------
    SomeFailed
        When all others are published.
    """
    with publish.lock(request.reports), publish.staging(request.reports) as work:
        with steps.step("plan", segment=recipe.each) as told:
            planning = Child(plan, request, recipe.each, recipe.levels, work / "cut")
            load_engines()  # once, for all
            units = planning.result()
            told["n"] = len(units)
        outcomes, failed = _make(units, moment, steps, at_once or run.at_once())
    index = archive.write_index(request.home / "reports")
    if failed:
        values = {"n": len(failed), "of": len(units), "names": list(failed), "error": next(iter(failed.values()))}
        raise SomeFailed("recipe.some_failed", **values)
    warnings = {warning["en"]: warning for outcome in outcomes.values() for warning in outcome.warnings}
    return Outcome(index, any(o.is_new for o in outcomes.values()), tuple(warnings.values()))


def _make(
    units: list[Request], moment: datetime, steps: Steps, at_once: int
) -> tuple[dict[str, Outcome], dict[str, str]]:
    """Make the reports; give the outcomes, and the problems of those that failed, by level."""
    outcomes, failed = {}, {}
    with closing(finished(units, lambda one: Child(make_one, one, moment, steps.log), at_once)) as done:
        for one, child in done:
            level, name = one.unit
            try:
                outcomes[level], seconds, megabytes = child.result()
                steps.tell("pack", {"name": name}, seconds, megabytes)
            except text.ChurnError as problem:
                failed[level] = str(problem)
            steps.bar(len(outcomes) + len(failed), len(units), level)
    return outcomes, failed


def make_one(request: Request, moment: datetime, log: Any) -> tuple[Outcome, float, float]:
    """Make one of the reports, its notebooks one after the other: the body of a child process."""
    steps = Steps(io.StringIO(), log)
    return make_report(request, moment, steps, at_once=1), steps.total, peak_memory()


def plan(request: Request, each: str, levels: Iterable[str] | None, folder: Path) -> list[Request]:
    """Cut the data, and give the request for each level with what it must not show: the body of a child process."""
    from churnlib.counts import crossed_counts, period_counts
    from churnlib.model.dataset import open_dataset
    from churnlib.model.views import cut

    tempfile.tempdir = str(folder.parent)  # what a killed run leaves is swept by the next one
    data = open_dataset(request.folder, request.definition, str(request.period), is_refreshed=request.is_forced)
    if request.scope.where:
        data = data.where(**request.scope.where)
    data, parts = cut(data, each, folder)
    total = period_counts(data, by=each)
    divided = [name for name in request.spec.segments if name != each]
    tables = [total.frame.rename(columns={"level": each})]
    tables += [crossed_counts(data, [each, name]).frame for name in divided]
    data.close()
    hidden = withheld(tables, each, divided, request.scope.thresholds.get("privacy_k", 0) or total.about.privacy_k)
    chosen = [level for level in total.about.segment.levels if levels is None or level in levels]
    if not chosen:
        raise text.DataError("recipe.no_levels", segment=each)
    label = total.about.segment.label_of
    return [_of(request, each, level, label(level), hidden.get(level, ()), parts[level]) for level in chosen]


def _of(request: Request, each: str, level: str, label: Label, withheld: Cells, cut: Cut) -> Request:
    own = {"where": {**request.scope.where, each: (level,)}, "withheld": withheld, "cut": cut}
    return replace(request, unit=(level, label), scope=replace(request.scope, **own))


def withheld(tables: list[pd.DataFrame], each: str, divided: list[str], k: int) -> dict[str, Cells]:
    """Find the cells that must be hidden so that no total gives back what any report hides.

    Parameters
    ----------
    tables : list of pandas.DataFrame
        The first: one row per level of `each` and period; then one per segment of `divided`: one row per level of
        `each`, level of the segment and period (rows that differ in other columns add up). All with `n_opening`,
        `n_churned_opening`.
    each : str
    divided : list of str
    k : int
        Counts below it are hidden.

    Returns
    -------
    dict
        Level of `each` -> cells as in `Scope.withheld`.
    """
    import numpy as np
    import pandas as pd

    from churnlib.show import disclosure

    counts = ["n_opening", "n_churned_opening"]
    alone = tables[0].groupby([each, "period"], as_index=False)[counts].sum().assign(segment="", level="")
    blocks = []
    for name, table in zip(divided or [""], tables[1:] or [None], strict=True):
        if table is None:
            blocks.append(alone)
            continue
        cells = table.groupby([each, name, "period"], as_index=False)[counts].sum().rename(columns={name: "level"})
        blocks.append(pd.concat([alone, cells.assign(segment=name)], ignore_index=True))
    totals, before = frozenset(), None
    hidden = [block.iloc[:0] for block in blocks]
    while totals != before:  # a report's total stands in the table of every segment
        before = totals
        for i, block in enumerate(blocks):
            n, d = (block[name].to_numpy(float) for name in counts)
            names = zip(block[each], block["period"], block["segment"], strict=True)
            known = [not segment and (unit, period) in totals for unit, period, segment in names]
            risky = disclosure.is_risky(n, d, k) | np.array(known, dtype=bool)
            margins = [[block[each], block["period"]], [block["level"], block["segment"], block["period"]]]
            hidden[i] = block[disclosure.with_partners(risky, n, d, margins)]
            own = hidden[i][hidden[i]["segment"] == ""]
            totals |= frozenset(zip(own[each], own["period"], strict=True))
    found: dict[str, set] = {}
    for block in hidden:
        for unit, segment, level, period in block[[each, "segment", "level", "period"]].itertuples(index=False):
            found.setdefault(unit, set()).add((segment, level, period))
    return {unit: tuple(sorted(cells)) for unit, cells in found.items()}
