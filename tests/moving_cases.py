"""Customers who change plan on the way, as data sets, for tests of counts and curves by a level that changes."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
from toy import BARE, canonical

FIRST = date(2024, 1, 1)
SEGMENTS = {"region": {"column": "region"}, "plan": {"assignment": "plan"}, "tenure": {"tenure_months": [0, 6]}}


def day(n) -> str:
    return str(FIRST + timedelta(days=int(n)))


def moving(rows: pd.DataFrame, as_of=4_000, contacts=()):
    """Make a data set: `exit` is the last day of tenure, `change` the day of tenure on which plan a becomes b (or 0).

    All start on the first day; `entry` is the tenure at which they came under observation.
    """
    customers, given = [], []
    for i, row in enumerate(rows.to_dict("records")):
        entry = int(row.get("entry", 0))
        end = day(row["exit"] - 1) if row["event"] else None
        customers.append((i, day(0), end, "voluntary" if end else None, 100, str(row.get("region", "x"))))
        given.append((i, "plan", "a", day(-10 - entry), day(row["change"] - 2) if row["change"] else None))
        if row["change"]:
            given.append((i, "plan", "b", day(row["change"] - 1), None))
    spec = BARE | {"observed_from": day(0), "as_of": day(as_of), "segments": SEGMENTS}
    tables = {"customers": customers, "assignments": given}
    spec["tables"] = spec["tables"] | {"assignments": {"file": "a", "columns": dict.fromkeys(
        ("customer_id", "attribute", "value", "from_date"), "x")}}  # fmt: skip
    return canonical(tables | ({"contacts": list(contacts)} if contacts else {}), spec)


def random_changes(n, seed, ratio=1.0):
    """Customers who leave at 0.0015 a day, and `ratio` times that once a change has happened, unrelated otherwise."""
    rng = np.random.default_rng(seed)
    change, first = np.ceil(rng.exponential(500, n)).astype(int), np.ceil(rng.exponential(1 / 0.0015, n)).astype(int)
    later = change + np.ceil(rng.exponential(1 / (0.0015 * ratio), n)).astype(int)
    life = np.where(first <= change, first, later)
    end = rng.integers(300, 1500, n)
    rows = pd.DataFrame({"exit": np.minimum(life, end), "event": life <= end})
    return rows.assign(change=np.where(change < rows["exit"], change, 0))
