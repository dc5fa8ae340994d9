"""Figures of others to compare with: the user's own table of benchmarks, as it is."""

from __future__ import annotations

from typing import Any

import pandas as pd

from churnlib.counts.base import Counts, about, segment

COLUMNS = ("industry", "period", "churn_rate", "source", "industry_en", "source_en")

# One row per benchmark. Adds over nothing.
BENCHMARKS = """
SELECT industry, {period} AS period, churn_rate, {source} AS source, {industry_en} AS industry_en,
  {source_en} AS source_en
FROM benchmarks
WHERE churn_rate IS NOT NULL
ORDER BY industry NULLS LAST, period NULLS LAST, churn_rate NULLS LAST, source NULLS LAST
"""


def benchmark_rows(data: Any) -> Counts:
    """Give the benchmarks that the user supplied, if any.

    Returns
    -------
    Counts
        One row per benchmark: `industry`, `period` (as written, or None), `churn_rate` (a share), `source`, and the
        names in English, `industry_en`, `source_en`, where they are given. No rows where there are no benchmarks.
    """
    told = about(data, segment(data, None)[1])
    if not data.has("benchmarks"):
        return Counts(pd.DataFrame(columns=list(COLUMNS)), told, COLUMNS[:2], ())
    there = data.con.columns("benchmarks")
    optional = ("period", "source", "industry_en", "source_en")
    chosen = {name: name if name in there else "CAST(NULL AS VARCHAR)" for name in optional}
    return Counts(data.con.frame(BENCHMARKS.format(**chosen)), told, COLUMNS[:2], ())
