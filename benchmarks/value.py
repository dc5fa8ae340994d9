"""How long cohorts and money take: N customers x 24 monthly bills in Parquet to all tables of both notebooks.

    python benchmarks/value.py                   # 1 million customers, 24 million bills, about 250 MB
    python benchmarks/value.py --rows 100000

Prints CPU-seconds, seconds and peak memory of one scan (sum or max over every column that the notebooks use) and of the
code cells of 3-cohort and 6-value, each in a process of its own, and the ratio that matters.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import duckdb

HOME = Path(__file__).resolve().parent.parent
NOTEBOOKS = ("3-cohort", "6-value")
FORMAT = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
SPEC = {
    "title": "benchmark",
    "as_of": "2025-12-31",
    "observed_from": "2022-01-01",
    "definitions": {"contract_end": {"kind": "contract_end"}},
    "segments": {"channel": {"column": "channel"}},
    "tables": {
        "customers": {"file": "c", "columns": {"customer_id": "id", "start_date": "s", "channel": "channel"}},
        "activity": {"file": "a", "columns": {"customer_id": "id", "date": "d", "amount": "a"}},
    },
}
# every value is a hash of the row number: starts over four years, one in three leaves, one in fifty is back
CUSTOMERS = """
SELECT CAST(i + 1 AS INTEGER) AS customer, DATE '2022-01-01' + CAST(hash(i) % 1400 AS INTEGER) AS start_date,
  CASE WHEN hash(i * 3 + 1) % 3 = 0 AND hash(i) % 1400 + hash(i * 5) % 900 < 1461
    THEN DATE '2022-01-01' + CAST(hash(i) % 1400 + hash(i * 5) % 900 AS INTEGER) END AS end_date,
  CASE WHEN hash(i * 3 + 1) % 3 = 0 AND hash(i) % 1400 + hash(i * 5) % 900 < 1461 THEN 'voluntary' END AS outcome,
  CAST(3000 + hash(i * 7) % 20000 AS BIGINT) AS monthly_fee, CAST(1000 + hash(i * 11) % 6000 AS BIGINT) AS service_cost,
  concat('channel ', hash(i * 13) % 4) AS channel
FROM range({rows}) AS r(i)
"""
BILLS = """
SELECT CAST(i + 1 AS INTEGER) AS customer, DATE '{month}-01' + CAST(hash(i) % 28 AS INTEGER) AS date,
  CAST(3000 + hash(i * 7) % 20000 + hash(i * 17 + {k}) % 1500 AS BIGINT) AS amount,
  CASE WHEN hash(i * 19 + {k}) % 200 = 0 THEN 'refund' ELSE 'bill' END AS kind,
  CAST(hash(i * 23 + {k}) % 400 AS DOUBLE) AS quantity
FROM range({rows}) AS r(i) ORDER BY ALL
"""
SCAN = """
SELECT sum(customer), max(date), sum(amount), max(kind), sum(quantity) FROM read_parquet('{path}/activity/*.parquet')
UNION ALL SELECT sum(customer), max(start_date), sum(monthly_fee) + sum(service_cost), max(channel),
  CAST(count(end_date) AS DOUBLE) FROM read_parquet('{path}/customers.parquet')
"""


def make(path: Path, rows: int) -> None:
    """Write the canonical tables of a data set: a bill a month of everybody in 2024 and 2025."""
    (path / "activity").mkdir()
    con = duckdb.connect()
    con.execute(f"COPY ({CUSTOMERS.format(rows=rows)}) TO '{path}/customers.parquet' {FORMAT}")
    for k in range(24):
        month = f"{2024 + k // 12}-{k % 12 + 1:02d}"
        con.execute(f"COPY ({BILLS.format(month=month, k=k, rows=rows)}) TO '{path}/activity/{month}.parquet' {FORMAT}")
    meta = {"rows": {"customers": rows, "activity": 24 * rows}, "observed_from": SPEC["observed_from"]}
    (path / "meta.json").write_text(json.dumps(meta))


def opened(path: Path):
    """Open the tables as a data set, without reading files anew."""
    from churnlib.about import Period
    from churnlib.model import cache, dataset, schema, views

    spec = schema._with_definition(schema.Spec.model_validate(SPEC))
    con, _ = views.opened(path, spec)
    period = Period(date(2025, 12, 1))
    return dataset.Dataset("benchmark", path, spec, cache.Stored(path, False), con, period, "contract_end")


def notebook(name: str, path: Path) -> None:
    """Run the code cells of a notebook on the data; every result gives what its reader sees."""
    from churnlib.show.results import Result

    cells = json.loads((HOME / "notebooks" / f"{name}.ipynb").read_text("utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    names: dict = {}
    exec(sources[0], names)
    exec("import churnlib as churn", names)
    names["data"] = opened(path)
    for source in sources[2:]:
        began = time.perf_counter()
        *rest, last = source.split("\n")
        exec("\n".join(rest), names)
        result = eval(last, names)
        if isinstance(result, Result):
            assert result.findings and result.summary("en") is not None
        print(f"    {time.perf_counter() - began:6.2f} s  {last[:90]}", file=sys.stderr)


def measured(act: str, path: Path) -> float:
    """Run one step in a process of its own and print it; gives CPU-seconds without imports."""
    command = [sys.executable, __file__, "--step", act, str(path)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    cpu, memory, seconds = map(float, printed.split())
    print(f"{act:10} {cpu:7.2f} CPU-s {seconds:7.2f} s {memory:6.2f} GB", flush=True)
    return cpu


def step(act: str, path: Path) -> None:
    """Do one step and print its measurements: CPU-seconds, peak memory in GB, seconds."""
    sys.path.insert(0, str(HOME))
    if act != "scan":
        import churnlib

        for verb in churnlib.__all__:
            getattr(churnlib, verb)
        churnlib.text.catalogue()  # words are loaded once, as modules are
    began, cpu = time.perf_counter(), time.process_time()
    duckdb.connect().sql(SCAN.format(path=path)).fetchall() if act == "scan" else notebook(act, path)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, seconds)


def main() -> None:
    """Make the data, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="customers")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        return step(given.step[0], Path(given.step[1]))
    with tempfile.TemporaryDirectory(prefix="churn-value-") as folder:
        path = Path(folder)
        make(path, given.rows)
        size = sum(file.stat().st_size for file in path.rglob("*.parquet")) / 1e6
        print(f"{given.rows:,} customers, {24 * given.rows:,} bills, {size:.0f} MB")
        one_scan = measured("scan", path)
        all_tables = sum(measured(name, path) for name in NOTEBOOKS)
        print(f"  all tables of both notebooks: {all_tables / one_scan:.1f} x one scan")


if __name__ == "__main__":
    main()
