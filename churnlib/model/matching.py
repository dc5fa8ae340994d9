"""Tables that were found -> the canonical tables they most likely are, with the columns matched by name and content."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from churnlib.model import synonyms
from churnlib.model.looking import Column, Found
from churnlib.model.vocabulary import TABLES
from churnlib.sources.written import fold

_NEEDED = {  # beyond the required columns: one of these makes a table what it is
    "customers": ("start_date", "end_date", "outcome", "monthly_fee", "churned"),
    "contracts": ("contract_id", "product"),
    "activity": ("amount", "kind", "quantity", "item"),
    "contacts": ("kind", "score", "resolved", "text"),
    "exit_survey": ("reasons", "follow_up", "lost_to"),
    "events": ("label_zh",),
}
_ONLY_A_LIST = -3.0  # any other table that fits is the better guess
_ALONE = ("customers", "contracts", "assignments", "activity", "events", "campaigns", "benchmarks")


@dataclass(frozen=True)
class Match:
    """A table that was found and what it is taken for.

    Attributes
    ----------
    found : Found
    table : str or None
        Canonical table; None if nothing fits.
    columns : dict of str to str
        Canonical column -> header.
    constants : dict of str to str
        Canonical column -> the one value of all rows (a file of complaints holds complaints).
    """

    found: Found
    table: str | None
    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    score: float = 0.0


def match_tables(found: Iterable[Found]) -> list[Match]:
    """Decide what every table is; of two that could be the same single table, the better one is taken.

    Returns
    -------
    list of Match
        One per table found that could be read, in their order.
    """
    matches = [_best(one) for one in found if not one.problem]
    for table in _ALONE:
        rivals = [m for m in matches if m.table == table]
        same_layout_twice = sorted(rivals, key=lambda m: (m.score, m.found.n_rows), reverse=True)[1:]
        matches = [Match(m.found, None) if m in same_layout_twice else m for m in matches]
    return matches


def find_column(concept: str, found: Found, taken: Iterable[str] = ()) -> str | None:
    """Find the header that stands for a concept: by its exact name, else by a name that contains it."""
    folded = {bare(header): header for header in found.columns if header not in taken}
    words = [bare(word) for word in synonyms.CONCEPTS.get(concept, (concept,))]
    for word in words:
        if word in folded:
            return folded[word]
    for word in words:
        if len(word) < (2 if not word.isascii() else 5):
            continue
        near = [header for name, header in folded.items() if word in name and len(name) <= len(word) + 4]
        if near:
            return near[0]
    return None


def _best(found: Found) -> Match:
    if found.is_form:
        return Match(found, "exit_survey", score=100)
    candidates = [m for table in TABLES if (m := _as_table(found, table))]
    return max(candidates, key=lambda m: m.score, default=Match(found, None))


def _as_table(found: Found, table: str) -> Match | None:
    """A table taken for a canonical one: None if a column it needs is missing."""
    columns: dict[str, str] = {}
    for name, known in TABLES[table].items():
        for concept in synonyms.COLUMNS[table].get(name, (name,)):
            header = find_column(concept, found, columns.values())
            if header and _holds(found.columns[header], known.kind):
                columns[name] = header
                break
    for told, by_date in (("tenure", "start_date"), ("churned", "end_date")):
        if by_date in columns:  # a date says more
            columns.pop(told, None)
    constants = _constants(found, table, columns)
    missing = [n for n, known in TABLES[table].items() if known.required and n not in {**columns, **constants}]
    telling = any(n in columns or n in constants for n in _NEEDED.get(table, TABLES[table]))
    is_list = table == "customers" and _fits_rows(found, table, columns) > 0  # ids once each, with any attributes
    if missing or not (telling or is_list):
        return None
    score = 0 if telling else _ONLY_A_LIST
    score += sum(2 if known.required else 1 for n, known in TABLES[table].items() if n in columns)
    score += _fits_rows(found, table, columns) + 4 * any(word in found.name.lower() for word in synonyms.FILES[table])
    # what a table has and another does not know speaks against it, but customers may have any attributes
    score -= 0 if table == "customers" else 0.25 * (len(found.columns) - len(columns))
    return Match(found, table, columns, constants, score)


def _fits_rows(found: Found, table: str, columns: dict[str, str]) -> float:
    """Customers are listed once, activity many times."""
    if "customer_id" not in columns or not found.n_rows:
        return 0.0
    column = found.columns[columns["customer_id"]]
    is_once = column.n_distinct >= 0.9 * column.n
    return {"customers": 4.0 if is_once else -4.0, "activity": -2.0 if is_once else 2.0}.get(table, 0.0)


def _holds(column: Column, kind: str) -> bool:
    """A column is believed if half of what it holds can be read; an empty one is believed by its name."""
    if not column.n:
        return True
    if kind == "date":
        return column.share_of_dates() >= 0.5
    if kind in ("money", "number"):
        return column.share_of_numbers() >= 0.5 or kind == "money" and column.share(_amount) >= 0.5
    return True


def _amount(written: str) -> int | None:
    from churnlib.sources.values import parse_amount

    return parse_amount(written)


def _constants(found: Found, table: str, columns: dict[str, str]) -> dict[str, str]:
    """A file of complaints has no column that says so."""
    if table != "contacts" or "kind" in columns:
        return {}
    name = Path(found.files[0]).stem.lower() + (found.sheet or "").lower()
    return next(({"kind": kind} for word, kind in synonyms.CONTACT_FILES.items() if word in name), {})


def bare(header: str) -> str:
    """A header without case, blanks, punctuation and what stands in brackets: 金额（元） is 金额."""
    return re.sub(r"[\W_]+", "", re.sub(r"[(（\[【].*?[)）\]】]", "", fold(header)))
