"""A dozen customers that every count can be checked on by hand, as canonical tables in an engine.

Observed since 2024-01-01, last day 2025-01-12. In words, by contract end:

 1 was there before, stays all the time
 2 was there before, leaves 2024-02-10 (voluntary)
 3 was there before, leaves on 2024-01-01, the first observed day (involuntary)
 4 left before observation began: never seen
 5 joins and leaves on 2024-01-01: one day as a customer
 6 joins on a 31st (2024-01-31), stays
 7 joins 2024-02-10, leaves 05-09, returns 07-01, leaves 09-30
 8 joins 2024-02-29, moves from plan 130 to 133 on 04-16, stays
 9 joins 2024-03-01, leaves 03-20: new and lost in one month
10 is a test account, joins 2024-01-15
11 joins 2024-11-15, leaves 2025-01-05, in the unfinished month
12 joins 2024-06-10, stays, region unknown
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa

from churnlib.about import About, Period
from churnlib.engine import Engine, quote
from churnlib.model.schema import Spec
from churnlib.text import Label

TYPES = {
    "customers": "customer INTEGER, start_date DATE, end_date DATE, outcome VARCHAR, monthly_fee BIGINT,"
    " region VARCHAR, age DOUBLE, customer_type VARCHAR",
    "contracts": "customer INTEGER, contract_id VARCHAR, product VARCHAR, start_date DATE, end_date DATE,"
    " outcome VARCHAR, transferred_to VARCHAR",
    "assignments": "customer INTEGER, attribute VARCHAR, value VARCHAR, from_date DATE, to_date DATE",
    "activity": "customer INTEGER, date DATE, amount BIGINT, kind VARCHAR, quantity DOUBLE, item VARCHAR",
    "contacts": "customer INTEGER, date DATE, kind VARCHAR, score DOUBLE, resolved BOOLEAN, text VARCHAR,"
    " category VARCHAR",
    "exit_survey": "survey INTEGER, customer INTEGER, date DATE, follow_up VARCHAR, lost_to VARCHAR, text VARCHAR,"
    " version VARCHAR",
    "exit_reasons": "survey INTEGER, customer INTEGER, reason VARCHAR, version VARCHAR",
    "campaigns": "customer INTEGER, campaign VARCHAR, arm VARCHAR, date DATE, channel VARCHAR, adviser VARCHAR,"
    " offer VARCHAR, cost BIGINT, outcome VARCHAR, return_date DATE, revenue_after BIGINT",
}

CUSTOMERS = [
    (1, "2023-03-15", None, None, 10000, "north", 30, "person"),
    (2, "2023-06-01", "2024-02-10", "voluntary", 5000, "north", 41, "person"),
    (3, "2023-12-31", "2024-01-01", "involuntary", 3000, "south", 22, "person"),
    (4, "2022-05-05", "2023-11-30", "natural", 8000, "south", 65, "person"),
    (5, "2024-01-01", "2024-01-01", "voluntary", 2000, "north", 19, "person"),
    (6, "2024-01-31", None, None, 6000, "south", 33, "person"),
    (7, "2024-02-10", "2024-09-30", "voluntary", 7000, "north", 50, "person"),
    (8, "2024-02-29", None, None, 9000, "south", 27, "person"),
    (9, "2024-03-01", "2024-03-20", "voluntary", 1000, "south", 24, "person"),
    (10, "2024-01-15", None, None, 100, "north", None, "test"),
    (11, "2024-11-15", "2025-01-05", "unknown", 4000, "north", 38, "person"),
    (12, "2024-06-10", None, None, 11000, None, None, "person"),
]
CONTRACTS = [
    (7, "a", "mobile", "2024-02-10", "2024-05-09", "involuntary", None),
    (7, "b", "mobile", "2024-07-01", "2024-09-30", "voluntary", None),
    (8, "c", "130", "2024-02-29", "2024-04-15", None, "d"),
    (8, "d", "133", "2024-04-16", None, None, None),
]
ASSIGNMENTS = [  # customer 6 changes manager in the middle of a month, customer 1 on the first of one
    (1, "manager", "Li", "2023-03-15", "2024-02-29"),
    (1, "manager", "Wang", "2024-03-01", None),
    (2, "manager", "Li", "2023-06-01", None),
    (6, "manager", "Wang", "2024-01-31", "2024-03-14"),
    (6, "manager", "Li", "2024-03-15", None),
    (7, "manager", "Li", "2024-02-10", None),
]
ACTIVITY = [  # day, amount in fen; customer 6 is silent from March to August
    *((1, f"2024-{month:02d}-05", 10000) for month in range(1, 13)),
    (2, "2024-01-20", 5000),
    (6, "2024-01-31", 6000),
    (6, "2024-03-01", 6000),
    (6, "2024-09-01", 6000),
    (7, "2024-02-15", 7000),
    (7, "2024-07-15", -2000),
    (8, "2024-03-05", 9000),
]
CONTACTS = [
    (1, "2024-02-03", "complaint", None, False),
    (2, "2024-02-03", "complaint", None, True),
    (1, "2024-02-20", "satisfaction", 4.5, None),
    (6, "2024-02-20", "satisfaction", None, None),
    (7, "2024-02-21", "satisfaction", 3.0, None),
]
SURVEYS = [  # 9 was not reached first and answered later; 5 was never asked
    (1, 2, "2024-02-15", "answered", "rival", "太贵，客服态度差，请回电13800000002", "2023"),
    (2, 7, "2024-10-10", "answered", None, "not expensive, but moved away", "2023"),
    (3, 9, "2024-03-22", "no_answer", None),
    (4, 9, "2024-03-25", "answered", "rival", "搬家了", "2023"),
    (5, 3, "2024-01-09", "wrong_number", None),
]
REASONS = [
    (1, 2, "price.too_high"),
    (1, 2, "price.fees"),
    (1, 2, "service.attitude"),
    (2, 7, "price.too_high"),
    (4, 9, "natural.moved"),
]
CAMPAIGNS = [
    (2, "spring", "treated", "2024-03-01", "call", "Li", "50 yuan", 300, None, "2024-04-01", 9000),
    (3, "spring", "treated", "2024-03-01", "call", "Li", "50 yuan", 300, None, None, 0),
    (9, "spring", "control", "2024-04-02", None, None, None, 0, None, None, 1000),
]
SPEC = {
    "title": {"zh": "玩具", "en": "Toy"},
    "as_of": "2025-01-12",
    "observed_from": "2024-01-01",
    "definition": "contract_end",
    "definitions": {
        "contract_end": {"kind": "contract_end"},
        "silent": {"kind": "inactivity", "at_risk": "30 days", "limit": "90 days"},
        "silent_months": {"kind": "inactivity", "at_risk": "1 months", "limit": "3 months"},
        "own_gap": {"kind": "inactivity", "at_risk": "2 gaps", "limit": "3 gaps"},
        "value": {"kind": "value_decline", "base_months": 2, "below": "0.5", "sustained": "2 months"},
        "mobile": {"kind": "partial", "product": "mobile"},
    },
    "exclusions": {
        "test_accounts": {"where": {"customer_type": ["test"]}, "label": {"zh": "测试账户", "en": "test accounts"}}
    },
    "segments": {
        "region": {"column": "region", "values": {"south": "South", "north": "North"}},
        "age": {"column": "age", "bins": [0, 25, 45]},
        "manager": {"assignment": "manager"},
        "tenure": {"tenure_months": [0, 3]},
    },
    "tables": {
        "customers": {
            "file": "customers.csv",
            "columns": {
                "customer_id": "id",
                "start_date": "start",
                "region": "region",
                "age": {"column": "age", "type": "number"},
                "customer_type": "type",
            },
        },
        "assignments": {
            "file": "assignments.csv",
            "columns": {"customer_id": "id", "attribute": "attribute", "value": "value", "from_date": "from"},
        },
    },
}
# one contract a customer, one segment, nothing else
BARE = {
    "title": "t",
    "observed_from": "2024-01-01",
    "definitions": {"contract_end": {"kind": "contract_end"}},
    "definition": "contract_end",
    "segments": {"region": {"column": "region"}},
    "tables": {"customers": {"file": "c", "columns": {"customer_id": "id", "region": "region"}}},
}


@dataclass(frozen=True)
class Canonical:
    """Canonical tables with what counting needs of a Dataset."""

    con: Engine
    spec: Spec
    about: About
    as_of: date
    observed_from: date
    filters: tuple = ()

    def has(self, need: str) -> bool:
        table, _, column = need.partition(".")
        rows = f"SELECT count({quote(column or 'customer')}) FROM {quote(table)}"  # noqa: S608
        return (column or "customer") in self.con.columns(table) and self.con.value(rows) > 0


def canonical(tables: dict[str, list[tuple]], spec: dict[str, Any], threads: int = 1) -> Canonical:
    """Make a data set of rows by canonical table; short rows are filled with nulls."""
    declared = Spec.model_validate(spec)
    con = Engine(threads=threads, memory_limit="500MB")
    for name, rows in tables.items():
        columns = [column.split()[0] for column in TYPES[name].split(",")]
        filled = [(*row, *[None] * (len(columns) - len(row))) for row in rows]
        texts = [[None if value is None else str(value) for value in column] for column in zip(*filled, strict=True)]
        con.run(f"CREATE TABLE {name} ({TYPES[name]})")
        if rows:
            con.load("rows", pa.table(dict(zip(columns, texts, strict=True))))
            con.run(f"INSERT INTO {name} SELECT * FROM rows")  # noqa: S608
    first = declared.observed_from or date(2024, 1, 1)
    period = Period.containing(declared.as_of)
    period = period if period.last <= declared.as_of else period.shift(-1)
    name = declared.definition or next(iter(declared.definitions))
    about = About("toy", Label.of(declared.title), declared.as_of, first, period, definition=name)
    about = replace(about, time_unit=declared.time_unit)
    return Canonical(con, declared, about, declared.as_of, first)


def toy(as_of: str = "2025-01-12", tables: dict[str, list[tuple]] | None = None, **changes: Any) -> Canonical:
    """Make the dozen customers, as known on a day.

    `tables` replaces some of the tables, or takes one out (None); `changes` replaces keys of dataset.yml.
    """
    rows = {
        "customers": CUSTOMERS,
        "contracts": CONTRACTS,
        "assignments": ASSIGNMENTS,
        "activity": ACTIVITY,
        "contacts": CONTACTS,
        "exit_survey": SURVEYS,
        "exit_reasons": [(*row, "2023") for row in REASONS],
        "campaigns": CAMPAIGNS,
        **(tables or {}),
    }
    return canonical({n: r for n, r in rows.items() if r is not None}, {**SPEC, "as_of": as_of, **changes})


def row(counts: Any, **key) -> pd.Series:
    """Give the one row of a count with these values."""
    frame = counts.frame
    for column, value in key.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1, (key, len(frame))
    return frame.iloc[0]


def balances(frame: pd.DataFrame) -> None:
    """Check the books: opening + in - out = closing = the next opening, in customers and in money."""
    for kind in ("n", "fee"):
        came = frame[f"{kind}_new"] + frame[f"{kind}_reactivated"] + frame[f"{kind}_moved_in"]
        went = frame[f"{kind}_churned"] + frame[f"{kind}_moved_out"]
        assert (frame[f"{kind}_opening"] + came - went == frame[f"{kind}_closing"]).all()
        for _, level in frame.groupby("level"):
            assert (level[f"{kind}_opening"].iloc[1:].to_numpy() == level[f"{kind}_closing"].iloc[:-1].to_numpy()).all()
