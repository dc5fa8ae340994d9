"""How long a data set takes from its files to spells: a million customers, twelve million activity rows.

    python benchmarks/reading.py            # all of it, about 700 MB in a temporary folder
    python benchmarks/reading.py --rows 1000000

Once as GB18030 CSV and once as Parquet: every row read, checked, stored, and turned into spells by a rule of
inactivity. Prints seconds, peak memory and the ratio to one plain DuckDB scan of the same files. Every measurement is a
process of its own. Identifiers are texts; in the CSV one amount in a thousand is written 1,200.50 and one date in a
thousand 2024年3月5日.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

ROWS = 12_000_000
CUSTOMERS = """
SELECT 'C' || lpad(CAST(i AS VARCHAR), 9, '0') AS 客户编号,
  CAST(DATE '2019-01-01' + CAST(hash(i) % 1700 AS INTEGER) AS VARCHAR) AS 入网日期,
  list_extract(['华南', '华北', '华东', '西南', '西北'], CAST(hash(i) % 5 AS INTEGER) + 1) AS 大区
FROM range({customers}) AS r(i)
"""
ACTIVITY = """
SELECT 'C' || lpad(CAST(hash(i) % {customers} AS VARCHAR), 9, '0') AS 客户编号, {date} AS 交易日期, {amount} AS 金额,
  list_extract(['消费', '缴费', '退货'], CAST(hash(i) % 3 AS INTEGER) + 1) AS 类型
FROM (
  SELECT i, DATE '2021-01-01' + CAST(hash(i * 7) % 1000 AS INTEGER) AS day, hash(i * 3) % 5000000 / 100 AS yuan
  FROM range({rows}) AS r(i))
"""
WRITTEN = {
    "date": "CASE WHEN i % 1000 = 7 THEN strftime(day, '%Y年%-m月%-d日') ELSE CAST(day AS VARCHAR) END",
    "amount": "CASE WHEN i % 1000 = 9 THEN '1,' || (100 + i % 900) || '.50' ELSE CAST(yuan AS VARCHAR) END",
}
DESCRIPTION = """
title: benchmark
as_of: 2023-09-30
observed_from: 2021-01-01
tables:
  customers: {{file: customers.{form}, columns: {{customer_id: 客户编号, start_date: 入网日期, region: 大区}}}}
  activity:
    file: activity.{form}
    columns: {{customer_id: 客户编号, date: 交易日期, amount: 金额, kind: {{column: 类型, values: {kinds}}}}}
definitions: {{silent: {{kind: inactivity, at_risk: 6 months, limit: 12 months}}}}
"""
KINDS = "{消费: purchase, 缴费: payment, 退货: return}"


def make(folder: Path, n_rows: int) -> list[Path]:
    """Write the two data sets; gives their folders."""
    con, numbers = duckdb.connect(), {"rows": n_rows, "customers": max(1, n_rows // 12)}
    for form, written in (("csv", WRITTEN), ("parquet", {"date": "day", "amount": "yuan"})):
        (folder / form).mkdir()
        (folder / form / "dataset.yml").write_text(DESCRIPTION.format(form=form, kinds=KINDS), "utf-8")
        for name, query in (("customers", CUSTOMERS), ("activity", ACTIVITY)):
            rows, path = con.sql(query.format(**numbers, **written)), folder / form / f"{name}.{form}"
            if form == "parquet":
                rows.write_parquet(str(path))
            else:
                rows.write_csv(f"{path}.utf8")
                recode(Path(f"{path}.utf8"), path)
    return [folder / "csv", folder / "parquet"]


def recode(path: Path, into: Path) -> None:
    """Write a UTF-8 file in GB18030 and remove it."""
    with path.open(encoding="utf-8", newline="") as source, into.open("w", encoding="gb18030", newline="") as target:
        while block := source.read(1 << 24):
            target.write(block)
    path.unlink()


def count(folder: Path) -> int:
    """Turn a data set into spells as a report does; gives the number of rows read."""
    from churnlib.counts import definitions
    from churnlib.model.dataset import open_dataset

    began = time.perf_counter()
    data = open_dataset(folder)
    middle = time.perf_counter()
    definitions.spells(data)
    n_spells = data.con.value("SELECT count(*) FROM spells")
    print(f"  read {middle - began:.1f} s, {n_spells:,} spells {time.perf_counter() - middle:.1f} s")
    return int(data.files["n_rows_in"].sum())


def scan(folder: Path) -> int:
    """Let DuckDB read the files once, as bytes: no line numbers, no check of the encoding, no types."""
    parquet, csv = "read_parquet(?)", "read_csv(?, all_varchar = true, encoding = 'latin-1')"
    paths = [path for path in folder.iterdir() if path.suffix in (".csv", ".parquet")]
    query = "SELECT count(*), max(hash(COLUMNS(*))) FROM {}"
    found = [query.format(parquet if path.suffix == ".parquet" else csv) for path in paths]
    return sum(
        duckdb.connect().execute(sql, [str(path)]).fetchall()[0][0] for sql, path in zip(found, paths, strict=True)
    )


def step(act: str, path: Path) -> None:
    """Do one step and print its measurements: CPU-seconds, peak memory in GB, seconds."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    began = time.perf_counter()
    n_rows = {"count": count, "scan": scan}[act](path)
    print(f"  {n_rows:,} rows")
    seconds, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6, seconds)


def measured(act: str, path: Path) -> tuple[float, float, float, str]:
    """Run one step in a process of its own: CPU-seconds, memory, seconds, and what else it printed."""
    command = [sys.executable, __file__, "--step", act, str(path)]
    said, _, numbers = (
        subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip().rpartition("\n")
    )
    cpu, memory, seconds = map(float, numbers.split())
    return cpu, memory, seconds, said


def main() -> None:
    """Make the files, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="activity rows; a twelfth as many customers")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        return step(given.step[0], Path(given.step[1]))
    with tempfile.TemporaryDirectory(prefix="churn-reading-") as folder:
        for path in make(Path(folder), given.rows):
            plain_cpu, _, plain, _ = measured("scan", path)
            cpu, memory, seconds, said = measured("count", path)
            print(f"{path.name:8} {seconds:6.1f} s {cpu:6.1f} CPU-s {memory:5.2f} GB")
            ratios = f"{seconds / plain:.1f} x, {cpu / plain_cpu:.1f} x"
            print(f"  a plain scan {plain:.1f} s, {plain_cpu:.1f} CPU-s: {ratios}\n{said}")


if __name__ == "__main__":
    main()
