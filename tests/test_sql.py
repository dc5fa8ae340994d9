"""SQL that means the same on another engine: every statement that counting runs, parsed and looked at.

What is refused here was tried: translated to Spark it ran, and gave other numbers.
"""

from __future__ import annotations

import re

import pytest
import sqlglot
from sqlglot import exp
from toy import SPEC, Canonical, toy

from churnlib import counts
from churnlib.counts import definitions
from churnlib.counts.evidence import gap_evidence
from churnlib.counts.recent import features, recently
from churnlib.engine import Engine

TIME = {"number", "day", "date", "month", "age", "cohort", "tenure", "period"}


def problems(sql: str) -> list[str]:
    """Name what would not survive a translation."""
    tree = sqlglot.parse_one(sql, read="duckdb")
    return [name for name, found in CHECKS.items() if found(tree, sql)]


def _months(tree, sql) -> bool:
    return any((node.unit and node.unit.name or "DAY").upper() != "DAY" for node in tree.find_all(exp.DateDiff))


def _division(tree, sql) -> bool:
    def safe(divisor) -> bool:
        divisor = divisor.unnest()
        return isinstance(divisor, exp.Nullif) or (isinstance(divisor, exp.Literal) and float(divisor.this) != 0)

    return any(not safe(node.expression) for kind in (exp.Div, exp.IntDiv) for node in tree.find_all(kind))


def _nulls(tree, sql) -> bool:
    ordered = sum(not isinstance(node.this, exp.Literal) for node in tree.find_all(exp.Ordered))
    return len(re.findall(r"NULLS\s+(?:FIRST|LAST)", sql, re.I)) != ordered


def _distinct_over_time(tree, sql) -> bool:
    for count in tree.find_all(exp.Count):
        group = count.find_ancestor(exp.Select).args.get("group")
        if isinstance(count.this, exp.Distinct) and group:
            return any(column.name in TIME for column in group.find_all(exp.Column))
    return False


def _function(*names):
    pattern = re.compile(rf"\b(?:{'|'.join(names)})\b", re.I)
    return lambda tree, sql: bool(pattern.search(sql))


CHECKS = {
    "date_diff in months": _months,
    "isodow": _function("isodow"),
    "arg_max": _function("arg_max", "arg_min", "max_by", "min_by"),
    "quantile_cont": _function("quantile_cont", "percentile_cont"),
    "asof": _function("asof"),
    "generate_series": _function("generate_series", "unnest"),
    "clock or chance": _function("now", "current_date", "current_timestamp", "today", "random"),
    "division without nullif": _division,
    "order without nulls": _nulls,
    "count(distinct) over time": _distinct_over_time,
}


class Listening(Engine):
    """An engine that remembers what it was asked."""

    def frame(self, sql, params=None):
        self.heard.add(sql)
        return super().frame(sql, params)

    def run(self, sql, params=None):
        self.heard.add(sql)
        super().run(sql, params)

    def value(self, sql, params=None):
        self.heard.add(sql)
        return super().value(sql, params)


def listening(**changes) -> Canonical:
    data = toy(**changes)
    data.con.heard = set()
    data.con.__class__ = Listening
    return data


@pytest.fixture(scope="module")
def statements() -> list[str]:
    """Every statement of every definition and count over the toy data, segments included."""
    data = listening()
    for name in SPEC["definitions"]:
        definitions.excluded(data, name)
        definitions.countable_from(data, name)
        for count in (counts.period_counts, counts.tenure_counts, counts.cohort_counts):
            count(data, definition=name)
        counts.state_counts(data, definition=name)
        counts.origin_counts(data, definition=name)
    for by in (None, *SPEC["segments"]):
        counts.period_counts(data, by)
        counts.response_counts(data, by)
    for unit in ("week", "month", "quarter", "year"):
        counts.cohort_counts(data, unit=unit, measure="revenue")
    counts.tenure_counts(data, weight="monthly_fee", blocks=True, spells="later")
    happened = [recently("complaint", resolved=state) for state in (None, True, False)]
    happened += [recently("bill", table="activity"), recently("manager", table="assignments")]
    counts.tenure_counts(data, [*happened, "region", "manager"])
    features(data)
    for count in (counts.reason_counts, counts.reason_pair_counts, counts.lost_to_counts):
        count(data)
    for count in (counts.answer_counts, counts.text_counts):
        count(data)
    for count in (counts.companion_counts, counts.tracking_counts, counts.campaign_counts, counts.repeat_counts):
        count(data)
    for count in (counts.slice_counts, counts.unit_counts, counts.benchmark_rows):
        count(data)
    counts.crossed_counts(data, ["region", "manager"], unit="quarter")
    later = listening(as_of="2025-03-31")  # a year after the first bills
    counts.worth_counts(later, years_back=1)
    counts.band_counts(later, months=1)
    for count in (counts.bridge_counts, counts.quiet_counts, counts.loss_counts, counts.cohort_period_counts):
        count(data)
    counts.purchase_counts(data, definition="silent")
    for how in ({"mode": "in"}, {"mode": "1-3, 4-6"}, {"measure": "money"}):
        counts.cohort_counts(data, **how)
    counts.cohort_unit(data)
    data.con.heard |= later.con.heard
    for name in ("contract_end", "silent"):
        counts.panel_counts(data, definition=name)
        counts.profile_counts(data, definition=name)
        counts.holder_counts(data, "manager", definition=name)
    gap_evidence(data, ["90 days", "3 months", "2 gaps"])
    return sorted(sql for sql in data.con.heard if not sql.startswith("DROP"))


def test_every_statement_can_be_read_and_means_the_same_elsewhere(statements):
    assert len(statements) > 60
    found = {sql: problems(sql) for sql in statements}
    assert not {sql: names for sql, names in found.items() if names}


def test_every_statement_can_be_written_for_spark(statements):
    for sql in statements:
        written = sqlglot.transpile(sql, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE)
        assert len(written) == 1


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("SELECT date_diff('month', a, b) FROM t", "date_diff in months"),
        ("SELECT extract('isodow' FROM a) FROM t", "isodow"),
        ("SELECT arg_max(a, b) FROM t", "arg_max"),
        ("SELECT quantile_cont(a, 0.5) FROM t", "quantile_cont"),
        ("SELECT * FROM t ASOF JOIN s ON t.a >= s.a", "asof"),
        ("SELECT unnest(generate_series(1, 3))", "generate_series"),
        ("SELECT a FROM t WHERE a < current_date", "clock or chance"),
        ("SELECT a / b FROM t", "division without nullif"),
        ("SELECT a // (b + 1) FROM t", "division without nullif"),
        ("SELECT a FROM t ORDER BY a", "order without nulls"),
        ("SELECT lag(a) OVER (PARTITION BY b ORDER BY c) FROM t", "order without nulls"),
        ("SELECT month, count(DISTINCT customer) FROM t GROUP BY month", "count(distinct) over time"),
    ],
)
def test_the_lint_finds_what_it_looks_for(sql, name):
    assert name in problems(sql)


def test_the_lint_lets_the_right_idioms_pass():
    good = "SELECT date_diff('day', a, b) / nullif(c, 0), count(DISTINCT customer) FROM t ORDER BY a NULLS LAST"
    assert problems(good) == []
    assert problems("SELECT a / 2, lead(a) OVER (ORDER BY b NULLS FIRST) FROM t") == []
