"""How long survival takes: N customers in Parquet to curves, tests and restricted means, and an exact Efron Cox model.

    python benchmarks/survival.py                # 1 million customers, about 30 MB in a temporary folder
    python benchmarks/survival.py --rows 10000000 --without cox coxph lifelines_cox

Prints CPU-seconds, seconds and peak memory of each step, a process of its own, and the ratios that matter: curves
against one scan (sum and max over every column used) and against lifelines on one row per customer; the whole chain
from a data set of customers with dates (read once before), which has to end in the same counts; our Cox model against
R's coxph (survival package; skipped where R is not installed) with the largest difference of their coefficients, and
against lifelines with late entry on fewer customers.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import duckdb
import numpy as np

CUSTOMERS = 1_000_000
# six categorical covariates and the log hazard ratios of their levels, the first 0
EFFECTS = {
    "plan": (0, 0.25, -0.3),
    "channel": (0, 0.2, -0.2, 0.4),
    "region": (0, 0.1, -0.1, 0.15, -0.15),
    "contract": (0, -0.6, -1.1),
    "age": (0, -0.1, -0.2, -0.3),
    "price": (0, 0.2, 0.35),
}
OUTCOMES = ("voluntary", "involuntary", "natural", "unknown")
STEPS = ("chain", "lifelines", "cox", "coxph", "lifelines_cox")
# Weibull lives (shape 0.8), starts over ten years, ends recorded in the last five (1826 days): late entry, daily ties.
MADE = """
WITH drawn AS (
  SELECT i, {levels}, CAST(hash(i * 31 + 1) % 3652 AS INTEGER) AS start,
    (hash(i * 31 + 2) % 1000000 + 0.5) / 1000000 AS u, hash(i * 31 + 3) % 10 AS way
  FROM range({rows}) AS r(i)),
lives AS (
  SELECT *, CAST(greatest(0, 1826 - start) AS INTEGER) AS entry, CAST(3652 - start AS INTEGER) AS seen,
    ceil(1200 * pow(-ln(u) / exp({risk}), 1.25)) AS life
  FROM drawn)
SELECT {names}, start, entry, CAST(least(life, seen) AS INTEGER) AS leaving,
  CASE WHEN life > seen THEN 'censored' WHEN way < 6 THEN 'voluntary' WHEN way < 9 THEN 'involuntary' ELSE 'natural' END
    AS what
FROM lives WHERE life > entry LIMIT {wanted}
"""
MOVES = """
WITH moves AS (
  SELECT {by}, entry AS tenure, 'entered' AS what, count(*) AS n FROM read_parquet('{path}') GROUP BY ALL
  UNION ALL SELECT {by}, leaving, what, count(*) FROM read_parquet('{path}') GROUP BY ALL)
SELECT {by}, tenure, {sums} FROM moves GROUP BY ALL ORDER BY ALL
"""
# the same customers with dates, as a company would hand them in
DATED = """
COPY (SELECT row_number() OVER () AS customer_id, DATE '2015-01-01' + start AS start_date, plan,
  CASE WHEN what <> 'censored' THEN DATE '2015-01-01' + (start + leaving - 1) END AS end_date,
  nullif(what, 'censored') AS outcome
  FROM read_parquet('{path}')) TO '{folder}/customers.parquet' (FORMAT parquet)
"""
DECLARED = """
title: {zh: 性能, en: benchmark}
as_of: 2024-12-30
observed_from: 2020-01-01
tables:
  customers:
    file: customers.parquet
    columns:
      customer_id: customer_id
      start_date: start_date
      end_date: end_date
      outcome: outcome
      plan: plan
definitions:
  contract_end: {kind: contract_end}
segments:
  plan: {column: plan, label: {zh: 套餐, en: plan}}
"""
COXPH = """
library(survival)
d <- read.csv("{path}", colClasses = c(rep("factor", 6), "integer", "integer", "integer"))
began <- proc.time()
fit <- coxph(Surv(entry, leaving, event) ~ plan + channel + region + contract + age + price, d)
took <- proc.time() - began
cat(took[["user.self"]] + took[["sys.self"]], took[["elapsed"]], "\\n")
cat(sprintf("%.12f", coef(fit)), sprintf("%.8f", fit$loglik[2]), "\\n")
"""


def make(path: Path, rows: int) -> None:
    """Write the customers; every value is a hash of the row number."""
    names = list(EFFECTS)
    levels = [f"hash(i * 31 + {10 + k}) % {len(EFFECTS[name])} AS {name}" for k, name in enumerate(names)]
    risk = [f"list_extract({list(map(float, EFFECTS[name]))}, CAST({name} AS INTEGER) + 1)" for name in names]
    as_text = [f"concat('{name}_', {name}) AS {name}" for name in names]
    drawn = int(1.4 * rows)  # some had left before they were observed
    query = MADE.format(
        rows=drawn, wanted=rows, levels=", ".join(levels), risk=" + ".join(risk), names=", ".join(as_text)
    )
    duckdb.connect().sql(query).write_parquet(str(path))


def moves(path: Path, names: tuple[str, ...]):
    """Count by these columns and tenure what `tenure_counts` would, straight from the file."""
    events = [f"what = '{o}'" for o in OUTCOMES]
    wanted = dict(zip((f"n_{o}" for o in OUTCOMES), events, strict=True))
    wanted |= {"n_entered": "what = 'entered'", "n_censored": "what = 'censored'"}
    wanted["n_events"] = "what <> 'entered' AND what <> 'censored'"
    sums = ", ".join(f"CAST(sum(CASE WHEN {c} THEN n ELSE 0 END) AS BIGINT) AS {name}" for name, c in wanted.items())
    return duckdb.connect().sql(MOVES.format(by=", ".join(names), path=path, sums=sums)).df()


TENURE = [f"churnlib.survival.{m}" for m in ("milestones", "hazard", "incidence", "restricted", "gray")]
# what a step imports is not timed: at this size it would be most of the scan's and of the curves' time
LOADED = {
    "scan": ("duckdb",),
    "curves": ("pandas", *TENURE),
    "read": ("churnlib",),
    "scan_dated": ("duckdb",),
    "chain": ("pandas", "churnlib.model.dataset", "churnlib.counts", *TENURE),
    "lifelines": ("pandas", "lifelines", "lifelines.statistics"),
    "lifelines_cox": ("pandas", "lifelines"),
    "cox": ("pandas", "churnlib.survival.cox"),
}


def about():
    """Say what the counts are about."""
    from churnlib.about import About, Period, Segment
    from churnlib.text import Label

    levels = tuple(f"plan_{i}" for i in range(3))
    segment = Segment("plan", Label("套餐", "plan"), levels, tuple(Label(v, v) for v in levels))
    days = {"as_of": date(2024, 12, 31), "observed_from": date(2020, 1, 1), "period": Period.parse("2024-12")}
    return About(dataset="benchmark", title=Label("性能", "benchmark"), segment=segment, **days)


def scan(path: Path) -> None:
    """Sum or max over every column that the curves use."""
    used = ("sum(entry)", "max(entry)", "sum(leaving)", "max(leaving)", "max(plan)", "max(what)")
    rows_of(path, ", ".join(used)).fetchall()


def rows_of(path: Path, columns: str):
    """Select from the file."""
    return duckdb.connect().read_parquet(str(path)).project(columns)


def curves(path: Path) -> None:
    """All curves, tests and restricted means of three segments."""
    frame = moves(path, ("plan",)).rename(columns={"plan": "level"})
    print(all_results(SimpleNamespace(frame=frame, about=about())))


def all_results(counts) -> str:
    """Work everything out and tell the counts by their hash."""
    import pandas as pd

    import churnlib as churn

    for verb in (churn.kaplan_meier, churn.survival_table, churn.tenure_quantiles, churn.hazard_by_tenure):
        verb(counts)
    for verb in (churn.cumulative_incidence, churn.months_stayed, churn.logrank_test, churn.gray_test):
        verb(counts)
    told = counts.frame[["level", "tenure", "n_entered", *(f"n_{o}" for o in OUTCOMES), "n_censored"]]
    return str(pd.util.hash_pandas_object(told, index=False).sum())


def read(path: Path) -> None:
    """Read the customers with dates as a company's data set is read, once; not measured against anything."""
    import churnlib as churn

    folder = path.parent / "data" / "dated"
    folder.mkdir(parents=True, exist_ok=True)
    duckdb.connect().execute(DATED.format(path=path, folder=folder))
    (folder / "dataset.yml").write_text(DECLARED, "utf-8")
    churn.open_dataset("dated")


def scan_dated(path: Path) -> None:
    """Sum or max over every column that the chain uses."""
    days = ("start_date", "end_date")
    used = ["sum(customer_id)", "max(outcome)", "max(plan)"]
    used += [f"{how}(date_diff('day', DATE '2000-01-01', {day}))" for day in days for how in ("sum", "max")]
    rows_of(path.parent / "data" / "dated" / "customers.parquet", ", ".join(used)).fetchall()


def chain(path: Path) -> None:
    """From the data set as it was read: spells, counts, all results."""
    import churnlib as churn

    print(all_results(churn.tenure_counts(churn.open_dataset("dated"), by="plan")))


def lifelines(path: Path) -> None:
    """Kaplan-Meier and log-rank of the same segments on one row per customer."""
    from lifelines import KaplanMeierFitter
    from lifelines.statistics import multivariate_logrank_test

    rows = rows_of(path, "plan, entry, leaving, what").df()
    rows["event"] = rows["what"] != "censored"
    for _, part in rows.groupby("plan"):
        KaplanMeierFitter().fit(part["leaving"], part["event"], entry=part["entry"])
    multivariate_logrank_test(rows["leaving"], rows["plan"], rows["event"])  # it knows no late entry


def lifelines_cox(path: Path) -> None:
    """Cox model with the same covariates and late entry on one row per customer."""
    import pandas as pd
    from lifelines import CoxPHFitter

    rows = rows_of(path, f"{', '.join(EFFECTS)}, entry, leaving, what").df()
    rows["event"] = rows.pop("what") != "censored"
    rows = pd.get_dummies(rows, columns=list(EFFECTS), drop_first=True, dtype=float)
    CoxPHFitter().fit(rows, "leaving", "event", entry_col="entry")


def cox(path: Path) -> None:
    """Exact Efron Cox model with six covariates, from the file on."""
    from churnlib.survival.cox import fit_cox, number_patterns

    frame, began = moves(path, tuple(EFFECTS)), time.process_time()
    fit = fit_cox(*number_patterns(frame, list(EFFECTS)), references={name: f"{name}_0" for name in EFFECTS}).fit
    print(json.dumps([time.process_time() - began, *fit.beta.tolist(), fit.loglik]))
    assert fit.converged


def coxph(path: Path) -> tuple[float, float, list[float]] | None:
    """R's coxph on one row per customer: CPU-seconds and seconds of the fit alone, coefficients and log likelihood."""
    if not shutil.which("Rscript"):
        return None
    rows = path.with_suffix(".csv")
    columns = (*EFFECTS, "entry", "leaving", "CAST(what <> 'censored' AS INTEGER) AS event")
    rows_of(path, ", ".join(columns)).write_csv(str(rows))
    made = subprocess.run(["Rscript", "-e", COXPH.format(path=rows)], stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        return None
    took, answer = made.stdout.strip().splitlines()
    return *map(float, took.split()), [float(v) for v in answer.split()]


def step(act: str, path: Path) -> None:
    """Do one step and print its measurements: CPU-seconds, peak memory in GB, seconds."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    for module in LOADED[act]:
        importlib.import_module(module)
    began, cpu = time.perf_counter(), time.process_time()
    {f.__name__: f for f in (scan, curves, read, scan_dated, chain, lifelines, lifelines_cox, cox)}[act](path)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, seconds)


def measured(act: str, path: Path) -> tuple[float, str]:
    """Run one step in a process of its own, print it; gives CPU-seconds (without imports) and what else it printed."""
    command = [sys.executable, __file__, "--step", act, str(path)]
    home = os.environ | {"CHURN_HOME": str(path.parent)}
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=home).stdout
    said, _, numbers = printed.strip().rpartition("\n")
    cpu, memory, seconds = map(float, numbers.split())
    print(f"{act:10} {cpu:7.2f} CPU-s {seconds:7.2f} s {memory:6.2f} GB", flush=True)
    return cpu, said


def main() -> None:
    """Make the customers, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=CUSTOMERS)
    parser.add_argument("--without", nargs="*", default=[], help=f"steps to leave out: {', '.join(STEPS)}")
    parser.add_argument("--lifelines-rows", type=int, default=10_000, help="customers of lifelines' Cox model")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        return step(given.step[0], Path(given.step[1]))
    with tempfile.TemporaryDirectory(prefix="churn-survival-") as folder:
        path = Path(folder) / "customers.parquet"
        make(path, given.rows)
        print(f"{given.rows:,} customers, {path.stat().st_size / 1e6:.0f} MB")
        one_scan, (ours, counted) = measured("scan", path)[0], measured("curves", path)
        print(f"  curves: {ours / one_scan:.1f} x one scan")
        if "chain" not in given.without:
            measured("read", path)
            one_scan, (whole, again) = measured("scan_dated", path)[0], measured("chain", path)
            print(f"  chain: {whole / one_scan:.1f} x one scan of its columns, the same counts: {counted == again}")
        if "lifelines" not in given.without:
            print(f"  lifelines: {measured('lifelines', path)[0] / ours:.1f} x our CPU")
        if "cox" not in given.without:
            compare_cox(path, "coxph" not in given.without)
        if "lifelines_cox" not in given.without:
            few = path.with_name("few.parquet")
            make(few, given.lifelines_rows)
            theirs, said = measured("lifelines_cox", few)[0], measured("cox", few)[1]
            times = theirs / json.loads(said)[0]
            print(f"  lifelines' Cox model of {given.lifelines_rows:,} customers: {times:.0f} x the CPU of our fit")


def compare_cox(path: Path, with_r: bool) -> None:
    """Measure our Cox model, and R's beside it."""
    _, said = measured("cox", path)
    cpu, *ours = json.loads(said)
    theirs = coxph(path) if with_r else None
    if theirs is None:
        return print("  coxph: left out (no R with the survival package here, or not wanted)")
    r_cpu, seconds, answer = theirs
    gap = np.abs(np.subtract(ours, answer))
    print(f"{'coxph':10} {r_cpu:7.2f} CPU-s {seconds:7.2f} s for the fit alone, ours {cpu:.2f}: {r_cpu / cpu:.1f} x")
    print(f"  largest difference: coefficients {gap[:-1].max():.1e}, log likelihood {gap[-1]:.1e} of {answer[-1]:.0f}")


if __name__ == "__main__":
    main()
