# ruff: noqa: S608, E501
"""Measure attributable losses: a panel of customers and 36 months with 12 drivers, from canonical tables to intervals.

Run as `python benchmarks/attributable.py [customers]` (1,000,000 if not given; about 8 GB of disk). Prints one line of
JSON: seconds of counting and of fitting, processor seconds of both, peak memory, patterns and cells.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from churnlib import counts
from churnlib.about import About, Event, Period
from churnlib.engine import Engine
from churnlib.model.schema import Spec
from churnlib.reasons.attributable import attributable_reasons
from churnlib.text import Label

# Every value is a hash of the customer's number: lives of a constant risk, complaints, managers, monthly bills.
DAY = "CAST(DATE '{0}' + CAST({1} AS INTEGER) AS DATE)"
LIVES = "SELECT i, {start} AS began, -ln((hash(i * 31 + 7) % 1000000 + 0.5) / 1000000) * 1800 AS life FROM range({n}) AS r(i)"
MADE = {
    "customers": f"""SELECT CAST(i AS INTEGER) AS customer, began AS start_date,
        CASE WHEN began + CAST(life AS INTEGER) <= DATE '2026-01-05' THEN CAST(began + CAST(life AS INTEGER) AS DATE) END
          AS end_date, CAST(NULL AS VARCHAR) AS outcome, CAST(3000 + hash(i) % 9000 AS BIGINT) AS monthly_fee,
        concat('r', hash(i * 31 + 2) % 5) AS region, CAST(18 + hash(i * 31 + 3) % 60 AS DOUBLE) AS age,
        concat('c', hash(i * 31 + 4) % 4) AS channel, concat('p', hash(i * 31 + 5) % 3) AS payment,
        concat(12 * (hash(i * 31 + 6) % 3), 'm') AS contract
      FROM ({LIVES.replace("{start}", DAY.format("2022-01-01", "hash(i * 31 + 1) % 500"))}) AS lives""",
    "contacts": f"""SELECT CAST(hash(i * 17 + 1) % {{n}} AS INTEGER) AS customer,
        {DAY.format("2023-01-01", "hash(i * 17 + 2) % 1090")} AS date,
        CASE WHEN hash(i * 17 + 3) % 4 = 0 THEN 'return' ELSE 'complaint' END AS kind, CAST(NULL AS DOUBLE) AS score,
        hash(i * 17 + 4) % 3 > 0 AS resolved, '' AS text FROM range({{n}}) AS r(i)""",
    "assignments": f"""SELECT CAST(i AS INTEGER) AS customer, 'manager' AS attribute,
        concat('m', hash(i * 13 + k) % 800) AS value, CAST(NULL AS DATE) AS to_date,
        {DAY.format("2022-01-01", "k * 500 + hash(i * 13) % 800")} AS from_date
      FROM range({{n}}) AS r(i), range(2) AS s(k)""",
    "activity": f"""SELECT CAST(i AS INTEGER) AS customer, {DAY.format("2023-01-05", "30.4375 * k")} AS date,
        CAST(3000 + hash(i * 7 + k) % 4000 AS BIGINT) AS amount, 'bill' AS kind, 1.0 AS quantity, '' AS item
      FROM range({{n}}) AS r(i), range(36) AS s(k)""",
}
EVENTS = (
    Event(date(2025, 4, 2), Label("故障", "outage"), "outage", date(2025, 9, 30), "region=r1"),
    Event(date(2025, 7, 1), Label("调价", "price"), "price", None, "payment=p1"),
)
DRIVERS = {
    "complaint": {"group": "service", "contact": "complaint", "resolved": False},
    "resolved": {"group": "service", "contact": "complaint", "resolved": True},
    "returned": {"group": "product", "contact": "return"},
    "manager": {"group": "relationship", "assignment": "manager"},
    "manager_left": {"group": "relationship", "assignment": "manager", "departed": True},
    "outage": {"group": "access", "event": "outage"},
    "price": {"group": "price", "event": "price", "months": 4},
    "term": {"group": "competitor", "term": "contract", "terms": {"12m": 12, "24m": 24}},
    "channel": {"group": "access", "column": "channel", "levels": ["c3"]},
    "young": {"group": "competitor", "column": "age", "bins": [0, 25, 35], "levels": ["25-35"], "since": "2024-06-01"},
    "plan": {"group": "product", "segment": "payment", "levels": ["p2"], "since": "2024-01-01"},
    "falling": {"group": "price", "activity": "amount"},
}
SPEC = {
    "title": "benchmark",
    "as_of": "2026-01-05",
    "observed_from": "2023-01-01",
    "definitions": {"contract_end": {"kind": "contract_end"}},
    "definition": "contract_end",
    "segments": {"region": {"column": "region"}, "payment": {"column": "payment"}},
    "drivers": DRIVERS,
    "tables": {
        "customers": {
            "file": "c",
            "columns": {
                "customer_id": "id",
                **{name: name for name in ("region", "channel", "payment", "contract")},
                "age": {"column": "age", "type": "number"},
            },
        }
    },
}


@dataclass(frozen=True)
class Made:
    """What counting needs of a data set."""

    con: Engine
    spec: Spec = field(default_factory=lambda: Spec.model_validate(SPEC))
    as_of: date = date(2026, 1, 5)
    observed_from: date = date(2023, 1, 1)

    @property
    def about(self) -> About:
        """A year of events; the last complete month."""
        about = About("benchmark", Label("b", "b"), self.as_of, self.observed_from, Period(date(2025, 12, 1)))
        return About(**{**about.__dict__, "events": EVENTS})

    def has(self, need: str) -> bool:
        """Everything is there but contracts."""
        return need.partition(".")[0] in MADE


def main(customers: int) -> None:
    """Make the tables, count, fit, and print what it took."""
    with tempfile.TemporaryDirectory(prefix="churn-benchmark-") as folder:
        for table, sql in MADE.items():
            duckdb.connect().sql(sql.format(n=customers)).write_parquet(f"{folder}/{table}.parquet")
        con = Engine([folder])
        for table in MADE:
            con.run(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{Path(folder) / table}.parquet')")
        began, spent = time.perf_counter(), time.process_time()
        panel = counts.panel_counts(Made(con))
        counted = time.perf_counter() - began
        result = attributable_reasons(panel)
        took = time.perf_counter() - began
        told = {
            "customers": customers,
            "customer_months": int(panel.frame["n_at_risk"].sum()),
            "patterns": len(panel.patterns),
            "cells": len(panel.frame),
            "counting_s": round(counted, 1),
            "fitting_s": round(took - counted, 1),
            "total_s": round(took, 1),
            "cpu_s": round(time.process_time() - spent, 1),
            "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
            "estimated": int((result.table["state"] == "estimated").sum()),
        }
        print(json.dumps(told))
        con.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
