"""How long reading and typing take: a million customers, twelve million activity rows, in GB18030 CSV and Parquet.

    python benchmarks/reading.py            # all of it, about 700 MB in a temporary folder
    python benchmarks/reading.py --rows 1000000

Prints seconds, peak memory and the ratio to one plain DuckDB scan of the same file. Every measurement is a process of
its own. Identifiers are texts; one amount in a thousand is written 1,200.50 and one date in a thousand 2024年3月5日.
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
  CAST(DATE '2019-01-01' + CAST(hash(i) % 2000 AS INTEGER) AS VARCHAR) AS 入网日期,
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
KINDS = {
    "客户编号": "id",
    "入网日期": "date",
    "交易日期": "date",
    "金额": "money",
    "类型": "category",
    "大区": "category",
}


def make(folder: Path, n_rows: int) -> list[str]:
    """Write the files; gives their names."""
    con, numbers = duckdb.connect(), {"rows": n_rows, "customers": max(1, n_rows // 12)}
    for name, query in (("customers", CUSTOMERS), ("activity", ACTIVITY)):
        con.sql(query.format(**numbers, **WRITTEN)).write_csv(str(folder / f"{name}.utf8"))
        recode(folder / f"{name}.utf8", folder / f"{name}.csv")
    con.sql(ACTIVITY.format(**numbers, date="day", amount="yuan")).write_parquet(str(folder / "activity.parquet"))
    return ["customers.csv", "activity.csv", "activity.parquet"]


def recode(path: Path, into: Path) -> None:
    """Write a UTF-8 file in GB18030 and remove it."""
    with path.open(encoding="utf-8", newline="") as source, into.open("w", encoding="gb18030", newline="") as target:
        while block := source.read(1 << 24):
            target.write(block)
    path.unlink()


def read(path: Path) -> int:
    """Read and type one file as a data set does; gives the number of rows."""
    from churnlib.engine import Engine
    from churnlib.model.schema import Source
    from churnlib.sources.reading import read_source
    from churnlib.sources.typed import type_table, typed

    headers = ["客户编号", "入网日期", "大区"] if path.stem == "customers" else ["客户编号", "交易日期", "金额", "类型"]
    source = Source.model_validate({"file": path.name, "columns": {f"c{i}": name for i, name in enumerate(headers)}})
    engine, began = Engine([path.parent]), time.perf_counter()
    raw = read_source(engine, source, path.parent, "raw")
    middle = time.perf_counter()
    type_table(engine, "raw", "typed", {name: typed(engine, "raw", name, KINDS[name]) for name in headers})
    print(f"  read {middle - began:.1f} s, typed {time.perf_counter() - middle:.1f} s")
    return raw.files[0].n_rows_in


def scan(path: Path) -> int:
    """Let DuckDB read the file once, as bytes: no line numbers, no check of the encoding, no types."""
    parquet, csv = "read_parquet(?)", "read_csv(?, all_varchar = true, encoding = 'latin-1')"
    query = f"SELECT count(*), max(hash(COLUMNS(*))) FROM {parquet if path.suffix == '.parquet' else csv}"  # noqa: S608
    return duckdb.connect().execute(query, [str(path)]).fetchall()[0][0]


def step(act: str, path: Path) -> None:
    """Do one step and print its measurements: CPU-seconds, peak memory in GB, seconds."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    began = time.perf_counter()
    print(f"  {({'read': read, 'scan': scan}[act])(path):,} rows")
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
        for name in make(Path(folder), given.rows):
            path = Path(folder) / name
            plain_cpu, _, plain, _ = measured("scan", path)
            cpu, memory, seconds, said = measured("read", path)
            print(f"{name:17} {path.stat().st_size / 1e6:6.0f} MB {seconds:6.1f} s {cpu:6.1f} CPU-s {memory:5.2f} GB")
            print(
                f"  a plain scan {plain:.1f} s, {plain_cpu:.1f} CPU-s: {seconds / plain:.1f} x, {cpu / plain_cpu:.1f} x"
            )
            print(said)


if __name__ == "__main__":
    main()
