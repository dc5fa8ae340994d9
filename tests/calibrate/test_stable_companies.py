"""Companies in which nothing changes: how often the first page says that something did, all its rules together."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from crossed_cases import simulate
from noise import LIKENESS, noise
from report_home import both

from churnlib.about import Segment
from churnlib.reporting.collect import Chapter
from churnlib.reporting.summary import summarise
from churnlib.text import Label
from churnlib.trend.control import control_chart
from churnlib.trend.decompose import decompose_change
from churnlib.trend.slices import find_slices

pytestmark = pytest.mark.calibrate

REPLICATES = 400
CHANGES = ("control.patterned", "changepoint.", "decompose.", "slices.found")
NO_CHANGES = (".none", ".short", ".flat", ".not_shown")


def stable_company(rng, likeness: float):
    """Draw a company's size, history, season and months, and its losses by cell of four segments."""
    n_months, season, phase = int(rng.integers(20, 62)), rng.choice([0, 0, 0.1, 0.2]), rng.integers(12)
    common = noise(rng, n_months, likeness, rng.uniform(0, 0.1))
    wave = np.exp(common + season * np.cos(2 * np.pi * (np.arange(n_months) - phase) / 12))
    size, own = int(np.exp(rng.uniform(np.log(2_000), np.log(300_000)))), rng.uniform(0, 0.1)
    return simulate(rng, n_months, size, noise=0.0, own=own, extra=lambda ago, row: wave[ago])[0]


def ledger(crossed, segment=None):
    """Add the cells up as `period_counts` would have counted them."""
    keys, counted = ["period", "is_complete", *([segment.name] if segment else [])], ["n_opening", "n_churned_opening"]
    frame = crossed.frame.groupby(keys, as_index=False)[counted].sum()
    frame["level"] = frame.pop(segment.name) if segment else ""
    return SimpleNamespace(frame=frame, about=replace(crossed.about, segment=segment or Segment()))


def first_page(crossed):
    """Give the keys of what the verdict and the three findings rest on."""
    chart = control_chart(ledger(crossed), [ledger(crossed, segment) for segment in crossed.segments])
    results = [("trend", chart), ("trend", chart.groups), ("trend", chart.changes)]
    results += [("why", decompose_change(crossed, against="year_ago")), ("why", find_slices(crossed))]
    chapters = {name: Chapter(name, Label(name, name), name) for name in ("trend", "why")}
    for i, (name, result) in enumerate(results):
        told = [vars(f) | {"text": both(f.key, f.key)} for f in (result.findings if result else ())]
        chapters[name].items.append({"block": {"id": f"b{i}", "findings": told, "kpis": []}})
    page = summarise(list(chapters.values()), crossed.about.period)
    return chart.verdict, [finding.key for finding in page.findings]


@pytest.mark.parametrize("likeness", LIKENESS)
def test_a_stable_company_is_told_that_it_changed_in_few_cases(likeness):
    rng, verdicts, pages = np.random.default_rng(21), 0, 0
    for _ in range(REPLICATES):
        verdict, keys = first_page(stable_company(rng, likeness))
        is_told = [k.startswith(CHANGES) and not any(part in k for part in NO_CHANGES) for k in (verdict, *keys)]
        verdicts, pages = verdicts + is_told[0], pages + any(is_told)
    print(likeness, verdicts / REPLICATES, pages / REPLICATES)
    assert verdicts <= 0.05 * REPLICATES
    assert pages <= 0.05 * REPLICATES + 2 * np.sqrt(0.05 * 0.95 * REPLICATES)
