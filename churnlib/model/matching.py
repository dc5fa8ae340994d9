"""Tables that were found -> the canonical tables they most likely are, with the columns matched by name and content."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from churnlib.model import synonyms
from churnlib.model.looking import Column, Found
from churnlib.model.vocabulary import TABLES
from churnlib.sources.values import parse_amount
from churnlib.sources.written import fold

_NEEDED = {  # beyond the required columns: one of these makes a table what it is
    "customers": ("start_date", "end_date", "outcome", "monthly_fee", "churned", "tenure"),
    "contracts": ("contract_id", "end_date"),
    "activity": ("amount", "kind", "quantity", "item"),
    "contacts": ("kind", "score", "resolved", "text"),
    "exit_survey": ("reasons", "follow_up", "lost_to"),
    "events": ("label_zh",),
}
_ONLY_A_LIST = -3.0  # any other table that fits is the better guess
_ALONE = ("customers", "contracts", "assignments", "activity", "events", "campaigns", "benchmarks")
_SAME_CUSTOMERS = 0.5  # share of a list's customers that the main list must know, too
NUMBERED = "numbered"  # in the place of a value: each row is a customer of its own
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")  # PaymentMethod is payment method
_BRACKETS = re.compile(r"[(（\[【].*?[)）\]】]")


@dataclass(frozen=True)
class Match:
    """A table that was found and what it is taken for."""

    found: Found
    table: str | None  # canonical; None if nothing fits
    columns: dict[str, str] = field(default_factory=dict)  # canonical column -> header
    constants: dict[str, str] = field(default_factory=dict)  # canonical column -> the one value of all rows
    score: float = 0.0
    unused: tuple[str, str] | None = None  # a mark of churn: why it is not used (a doubt of the catalogue), its header


def match_tables(found: Iterable[Found]) -> list[Match]:
    """Decide what every table is.

    Of several that could be the same single table the best one is taken, with those of the same headers (a sheet a
    year) and, beside a list of customers, the lists that say more about the same customers.

    Returns
    -------
    list of Match
        One per table found that could be read, in their order.
    """
    matches = [_best(one) for one in found if not one.problem]
    for table in _ALONE:
        rivals = sorted((m for m in matches if m.table == table), key=lambda m: (m.score, m.found.n_rows), reverse=True)
        kept = rivals[:1]
        for rival in rivals[1:]:
            if set(rival.found.columns) == set(kept[0].found.columns):
                kept.append(rival)
            elif table == "customers" and _knows_the_same(kept[0], rival):
                taken = {name for m in kept for name in m.columns} - {"customer_id"}
                kept.append(replace(rival, columns={n: h for n, h in rival.columns.items() if n not in taken}))
        by_name = {m.found.name: m for m in kept}
        matches = [by_name.get(m.found.name, Match(m.found, None)) if m.table == table else m for m in matches]
    return _without_undated_marks(matches)


def _knows_the_same(main: Match, other: Match) -> bool:
    """Tell whether a list of customers, each once, has most of them in common with another, as far as was looked at."""
    if not all("customer_id" in m.columns for m in (main, other)):
        return False
    ids, others = (m.found.columns[m.columns["customer_id"]] for m in (main, other))
    known, asked = set(ids.texts), set(others.texts)
    is_once = others.n_distinct == others.n
    return is_once and len(known & asked) >= _SAME_CUSTOMERS * min(len(known), len(asked)) > 0


def _without_undated_marks(matches: list[Match]) -> list[Match]:
    """A mark of churn needs the tenure after which it was made; activity says when, and so says more."""
    dated = any("tenure" in m.columns for m in matches if m.table == "customers")
    why = "mark_undated" if any(m.table == "activity" for m in matches) else None if dated else "mark_alone"
    if why:
        for i, m in enumerate(matches):
            if m.table == "customers" and "churned" in m.columns:
                columns = {name: header for name, header in m.columns.items() if name != "churned"}
                matches[i] = replace(m, columns=columns, unused=(why, m.columns["churned"]))
    return matches


def find_column(concept: str, found: Found, taken: Iterable[str] = ()) -> str | None:
    """Find the header that stands for a concept: by its exact name, by a name that contains it, or by its form."""
    folded = {bare(header): header for header in found.columns if header not in taken}
    words = [bare(word) for word in synonyms.CONCEPTS.get(concept, (concept,))]
    for word in words:
        if word in folded:
            return folded[word]
    for word in words:
        near = [header for name, header in folded.items() if word in name and len(name) <= len(word) + 4]
        if near and len(word) >= (5 if word.isascii() else 2):
            return near[0]
    form = synonyms.PATTERNS.get(concept, "$.")
    return next((header for header in folded.values() if re.search(form, worded(header))), None)


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
    # ids once each, with any attributes; ids and days (of no beginning) many times
    may_fit = table == "customers" or table == "activity" and columns.get("date") != find_column("start", found)
    fits = may_fit and _fits_rows(found, table, columns) > 0
    if missing or not (telling or fits):
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
        return column.share_of_dates >= 0.5
    if kind in ("money", "number"):
        return column.share_of_numbers >= 0.5 or kind == "money" and column.share(parse_amount) >= 0.5
    return True


def _constants(found: Found, table: str, columns: dict[str, str]) -> dict[str, str]:
    """A file of complaints has no column that says so; a list of marks needs no name for a customer but its row."""
    if table == "customers" and "churned" in columns and "customer_id" not in columns:
        return {"customer_id": NUMBERED} if "tenure" in columns else {}
    if table != "contacts" or "kind" in columns:
        return {}
    name = Path(found.files[0]).stem.lower() + (found.sheet or "").lower()
    return next(({"kind": kind} for word, kind in synonyms.CONTACT_FILES.items() if word in name), {})


def worded(header: str) -> str:
    """A header as words parted by single blanks, no brackets: PolicyHolderID is policy holder id."""
    return re.sub(r"[\W_]+", " ", _BRACKETS.sub("", fold(CAMEL.sub(" ", header)))).strip()


def bare(header: str) -> str:
    """A header without case, blanks, punctuation and what stands in brackets: 金额（元） is 金额."""
    return re.sub(r"[\W_]+", "", _BRACKETS.sub("", fold(header)))
