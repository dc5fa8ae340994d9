"""Dividing customers: the level of each customer by an attribute, by an assignment over time, or by tenure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from churnlib import text
from churnlib.about import Segment
from churnlib.engine import Engine, quote
from churnlib.model import scope
from churnlib.model.vocabulary import TABLES
from churnlib.sources.written import fold
from churnlib.text import Label
from churnlib.yamlfile import hint

if TYPE_CHECKING:
    from churnlib.model.dataset import Dataset
    from churnlib.model.schema import SegmentSpec

UNKNOWN = "unknown"  # the level of customers without a value: shown, never dropped
ALWAYS = "DATE '0001-01-01' AS from_date, DATE '9999-12-31' AS to_date"

# One row per customer: the level by an attribute.
BY_COLUMN = """
SELECT customer, coalesce({level}, 'unknown') AS level, {always} FROM customers
"""

# One row per customer and stretch in which one value was assigned; where two overlap, the later one holds from its
# first day. Stretches without a value are unknown.
BY_ASSIGNMENT = """
WITH given AS (
  SELECT customer, from_date, max(value) AS value, max(coalesce(to_date, DATE '9999-12-31')) AS to_date
  FROM assignments WHERE attribute = $attribute AND value IS NOT NULL GROUP BY customer, from_date
),
cut AS (
  SELECT customer, value, from_date, least(to_date, coalesce(
    lead(from_date) OVER (PARTITION BY customer ORDER BY from_date NULLS LAST) - 1, DATE '9999-12-31')) AS to_date
  FROM given
),
gaps AS (
  SELECT customer, to_date + 1 AS from_date, coalesce(
    lead(from_date) OVER (PARTITION BY customer ORDER BY from_date NULLS LAST) - 1, DATE '9999-12-31') AS to_date
  FROM cut
),
before AS (SELECT customer, min(from_date) AS first_date FROM cut GROUP BY customer)
SELECT customer, value AS level, from_date, to_date FROM cut WHERE from_date <= to_date
UNION ALL SELECT customer, 'unknown', from_date, to_date FROM gaps WHERE from_date <= to_date
UNION ALL SELECT c.customer, 'unknown', DATE '0001-01-01', coalesce(b.first_date - 1, DATE '9999-12-31')
FROM customers AS c LEFT JOIN before AS b ON b.customer = c.customer
"""

# One row per customer and tenure band: completed months since the customer's start.
BY_TENURE = """
SELECT customer, CAST('{code}' AS VARCHAR) AS level, {begins} AS from_date, {ends} AS to_date FROM customers
"""


# The same rows, with a number in place of each level's name, in an order that tells nothing.
MASKED = """
SELECT t.customer, coalesce(n.code, t.level) AS level, t.from_date, t.to_date
FROM {table} AS t LEFT JOIN (
  SELECT level, '#' || lpad(CAST(row_number() OVER (ORDER BY md5(level) NULLS LAST) AS VARCHAR), 3, '0') AS code
  FROM (SELECT DISTINCT level FROM {table} WHERE level <> 'unknown') AS d
) AS n ON n.level = t.level
"""


def segment_table(data: Dataset, name: str) -> tuple[str, Segment]:
    """Make the table that gives each customer's level of a segment over time, once.

    Parameters
    ----------
    data : Dataset
    name : str
        Name of a declared segment; UsageError with near misses otherwise.

    Returns
    -------
    str
        Name of the table, to be quoted: one row per customer and stretch of days with `level`, `from_date`, `to_date`
        (both included). The stretches of a customer cover all days and never overlap; by an attribute there is one.
    Segment
        The levels that occur, in their order of listing, with their names; "unknown" comes last.
    """
    if name not in data.spec.segments:
        raise text.UsageError("dataset.unknown_segment", name=name, hint=hint(name, data.spec.segments))
    declared, table = data.spec.segments[name], f"segment {name}"
    if not data.con.table_exists(table):
        make_levels(data.con, data.spec, declared, table)
        if name in scope.current().masked:
            data.con.run(f"CREATE OR REPLACE TABLE {quote(table)} AS {MASKED.format(table=quote(table))}")
    return table, describe(data.con, data.spec, name, declared, table)


def changes_over_time(declared: SegmentSpec) -> bool:
    """Tell whether a customer can change level: then a day must be named, else any day will do."""
    return declared.column is None


def describe(con: Engine, spec: Any, name: str, declared: SegmentSpec, table: str) -> Segment:
    """Give the levels that occur in a table of `make_levels`, in their order of listing, with their names."""
    found = con.frame(f"SELECT DISTINCT level FROM {quote(table)} ORDER BY level NULLS LAST")["level"].tolist()  # noqa: S608 (quoted)
    codes, labels = _listing(declared, found, spec)
    kind = "tenure" if declared.tenure_months else declared.kind or ""
    return Segment(name, declared.label or Label.of(name), codes, labels, kind)


def make_levels(con: Engine, spec: Any, declared: SegmentSpec, table: str) -> None:
    """Make a table of levels (see `segment_table`) from the canonical views of an engine."""
    params: dict[str, Any] = {}
    if declared.assignment is not None:
        query, params = BY_ASSIGNMENT, {"attribute": declared.assignment}
    elif declared.tenure_months is not None:
        edges = (0, *(edge for edge in declared.tenure_months if edge > 0))
        query = " UNION ALL ".join(_tenure_bands(edges))
    else:
        query = BY_COLUMN.format(level=level_sql(declared, spec, "customers"), always=ALWAYS)
    con.run(f"CREATE TABLE {quote(table)} AS {query}", params or None)  # noqa: S608 (quoted)


def matching_customers(con: Engine, spec: Any, chosen: Iterable[tuple[str, tuple[str, ...]]], into: str) -> list:
    """Make a table of the customers with the chosen values of attributes or segments, as of the last day covered.

    `chosen` names each (canonical or in Chinese) and the values of which a customer must have one. The table has one
    row per customer who meets all of them. Gives name and values of each choice, for readers.
    """
    kept, shown = ["SELECT customer FROM customers"], []
    params: dict[str, Any] = {"as_of": spec.as_of}
    for i, (given, wanted) in enumerate(chosen):
        name, declared = _find(spec, given)
        table = f"choice {i}"
        make_levels(con, spec, declared, table)
        segment = describe(con, spec, name, declared, table)
        codes = [_find_level(segment, value) for value in wanted]
        params[f"levels_{i}"] = codes
        kept.append(
            f"SELECT customer FROM {quote(table)} WHERE list_contains($levels_{i}, level) "  # noqa: S608
            "AND $as_of BETWEEN from_date AND to_date"
        )
        shown.append((segment.label, Label.joined(map(segment.label_of, codes), ", ", "、")))
    con.run(f"CREATE TABLE {quote(into)} AS {' INTERSECT '.join(kept)}", params)
    return shown


def _find(spec: Any, given: str) -> tuple[str, SegmentSpec]:
    """A segment or attribute by its canonical name, its label in either language, or its header in the file."""
    from churnlib.model.schema import SegmentSpec

    private = (*spec.roles.personal, *spec.roles.free_text)
    by_name = {name: SegmentSpec(column=name) for name in spec.attributes if name not in private}
    names = {name: name for name in by_name} | {spec.attributes[name].column: name for name in by_name}
    for name, declared in spec.segments.items():
        by_name[name] = declared
        names |= {name: name} | {word: name for word in declared.label or ()}
    folded = {fold(word): name for word, name in names.items() if word}
    if fold(given) not in folded:
        raise text.UsageError("dataset.unknown_attribute", name=given, hint=hint(given, [n for n in names if n]))
    name = folded[fold(given)]
    return name, by_name[name]


def _find_level(segment: Segment, value: str) -> str:
    """A level by its code or its name in either language."""
    named = {fold(word): level for level, label in zip(segment.levels, segment.labels, strict=True) for word in label}
    folded = named | {fold(level): level for level in segment.levels}
    if fold(value) not in folded:
        known = [*segment.levels, *(label.en for label in segment.labels)]
        near = hint(value, dict.fromkeys(known))
        raise text.UsageError("dataset.unknown_value", value=value, name=segment.name, hint=near)
    return folded[fold(value)]


def level_sql(declared: SegmentSpec, spec: Any, alias: str) -> str:
    """Give the SQL expression of the level by an attribute, over the columns of `customers`."""
    column = f"{quote(alias)}.{quote(declared.column)}"
    kind = kind_of(spec, declared.column)
    if declared.bins:
        scale = 100 if kind == "money" else 1
        *codes, last = bin_codes(declared.bins)
        edges = [float(edge) * scale for edge in declared.bins]
        cases = [f"WHEN {column} < {edge!r} THEN '{code}'" for edge, code in zip(edges, codes, strict=True)]
        return f"CASE WHEN {column} IS NULL THEN NULL {' '.join(cases)} ELSE '{last}' END"
    if kind in ("number", "money"):
        whole = f"{column} = floor({column})"
        return f"CASE WHEN {whole} THEN CAST(CAST({column} AS BIGINT) AS VARCHAR) ELSE CAST({column} AS VARCHAR) END"
    return f"CAST({column} AS VARCHAR)"


def kind_of(spec: Any, column: str) -> str:
    """Give the kind of a customer column: text, number, money, date, flag."""
    if column in TABLES["customers"]:
        return TABLES["customers"][column].kind
    return spec.attributes[column].type or "text"


def bin_codes(edges: Sequence[float]) -> list[str]:
    """Give the codes of the bins: one below the first edge, one for each edge.

    Examples
    --------
    >>> bin_codes([0, 25, 60])
    ['<0', '0-25', '25-60', '60+']
    """
    shown = [f"{edge:g}" for edge in edges]
    inner = [f"{low}-{high}" for low, high in zip(shown, shown[1:], strict=False)]
    return [f"<{shown[0]}", *inner, f"{shown[-1]}+"]


def _tenure_bands(edges: Sequence[int]) -> list[str]:
    # months are added one by one to the start date: someone who joined on the 31st completes a month on its last day
    days = [f"CAST(start_date + INTERVAL '{edge}' MONTH AS DATE)" for edge in edges[1:]]
    starts, ends = ["DATE '0001-01-01'", *days], [*(f"{day} - 1" for day in days), "DATE '9999-12-31'"]
    bands = zip(bin_codes(edges)[1:], starts, ends, strict=True)
    return [BY_TENURE.format(code=code, begins=begin, ends=end) for code, begin, end in bands]


def _listing(declared: SegmentSpec, found: list[str], spec: Any) -> tuple[tuple[str, ...], tuple[Label, ...]]:
    """The levels that occur in their order: as declared, then what was not declared, unknown last."""
    edges = declared.bins or declared.tenure_months
    order = bin_codes(edges) if edges else list(declared.values or ())
    others = [code for code in found if code not in order and code != UNKNOWN]
    codes = [code for code in order if code in found] + others
    is_money = bool(declared.bins and declared.column and kind_of(spec, declared.column) == "money")
    names = {code: _name(code, declared, edges, is_money) for code in codes}
    if UNKNOWN in found:
        codes = [code for code in codes if code != UNKNOWN] + [UNKNOWN]
        names[UNKNOWN] = text.label("dataset.level.unknown")
    if not edges and declared.column and kind_of(spec, declared.column) == "flag":
        names |= {code: text.label(f"dataset.level.{code}") for code in codes if code in ("true", "false")}
    return tuple(codes), tuple(names[code] for code in codes)


def _name(code: str, declared: SegmentSpec, edges: Sequence[float] | None, is_money: bool) -> Label:
    if not edges:
        given = (declared.values or {}).get(code)
        if isinstance(given, str):
            return Label(code, given)
        return Label.of(given) if isinstance(given, dict) else Label.of(code)
    place = bin_codes(edges).index(code) - 1
    if declared.labels and place >= 0:
        either = next(iter(declared.labels.values()))
        return Label(declared.labels.get("zh", either)[place], declared.labels.get("en", either)[place])
    return _bin_name(place, edges, "tenure" if declared.tenure_months else "bin", is_money)


def _bin_name(place: int, edges: Sequence[float], kind: str, is_money: bool) -> Label:
    """Name a bin by its edges: whole ones as 25–34, others and money as 0.5 to under 1."""
    if place < 0:
        values, form = {"high": f"{edges[0]:g}"}, "below"
    elif place == len(edges) - 1:
        values, form = {"low": f"{edges[-1]:g}"}, "above"
    else:
        low, high = edges[place : place + 2]
        is_whole = not is_money and float(low).is_integer() and float(high).is_integer()
        values = {"low": f"{low:g}", "high": f"{high - 1 if is_whole else high:g}"}
        form = ("between" if values["low"] != values["high"] else "one") if is_whole else "part"
    key = f"dataset.{kind}.{form}"
    return Label(*(text.say(key, language, **values) for language in text.LANGUAGES))
