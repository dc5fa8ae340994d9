"""What SQL reads by itself: the usual form of dates, amounts, numbers and identifiers; NULL for every other text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from churnlib.engine import literal
from churnlib.sources import dates
from churnlib.sources.written import BLANKS, EDGES

_IN_RANGE = f"BETWEEN DATE '{dates.FIRST_YEAR}-01-01' AND DATE '{dates.LAST_YEAR}-12-31'"
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_NOTHING = {"date": "DATE", "money": "BIGINT", "number": "DOUBLE", "flag": "BOOLEAN"}


def nothing(kind: str) -> str:
    """Give the SQL that reads no text at all."""
    return f"CAST(NULL AS {_NOTHING.get(kind, 'VARCHAR')})"


def usual(raw: str, text: str, native: str, kind: str, decimal: str, unit: float, zone: str | None) -> str:
    """Give the SQL that reads the usual form of one kind of value (see `typed.typed` and `typed.How`).

    `raw` and `text` are SQL of the raw column and of the same as text; `native` is its type.
    """
    if kind == "date":
        return _date(raw, text, native, zone)
    if kind == "money":
        return _money(raw, text, native, decimal, unit)
    if kind == "number":
        return _number(raw, text, native, decimal, unit)
    if kind == "id":  # it ends with a digit, so it is no word for a blank; longer ones may have lost their last digits
        return f"CASE WHEN length({text}) <= 15 AND regexp_full_match({text}, '[0-9A-Za-z_-]*[0-9]') THEN {text} END"
    if kind == "text":
        trimmed = f"regexp_replace({text}, {literal(f'^[{EDGES}]+|[{EDGES}]+$')}, '', 'g')"
        return f"CASE WHEN lower({trimmed}) NOT IN ({listed(sorted(BLANKS))}) THEN {trimmed} END"
    return raw if kind == "flag" and native == "BOOLEAN" else nothing(kind)


def listed(texts: Iterable[str]) -> str:
    """Write texts as a list of SQL literals."""
    return ", ".join(map(literal, texts))


def _date(raw: str, text: str, native: str, zone: str | None) -> str:
    if native == "TIMESTAMP WITH TIME ZONE":
        raw = f"timezone({literal(zone or 'UTC')}, {raw})"
    if native == "DATE" or native.startswith("TIMESTAMP"):
        return f"CASE WHEN CAST({raw} AS DATE) {_IN_RANGE} THEN CAST({raw} AS DATE) END"
    day = f"try_cast({text} AS DATE)"
    # the written day: 24:00 ends it, while the engine takes it for the next one
    moment = f"CASE WHEN try_cast({text} AS TIMESTAMP) IS NOT NULL THEN try_cast(left({text}, 10) AS DATE) END"
    return (
        f"CASE WHEN {text} LIKE '____-__-__' THEN CASE WHEN {day} {_IN_RANGE} THEN {day} END"
        f" WHEN {text} LIKE '____-__-__ __:__:__' THEN CASE WHEN {moment} {_IN_RANGE} THEN {moment} END END"
    )


def _money(raw: str, text: str, native: str, decimal: str, unit: float) -> str:
    minor = 100 * unit
    if decimal != "." or minor != int(minor) or minor > 10**8:
        return nothing("money")  # fractions of a cent are exact in Python only
    if native in _INTEGERS:
        whole = f"CAST({raw} AS BIGINT)"
        return f"CASE WHEN {whole} BETWEEN -10000000000 AND 10000000000 THEN {whole} * {int(minor)} END"
    if (exact := re.fullmatch(r"DECIMAL\(([0-9]+),([0-2])\)", native)) and int(exact[1]) <= 12:
        return f"CAST({raw} * {int(minor)} AS BIGINT)"
    if native == "DOUBLE":  # 1200.5 is the double nearest to 120050 / 100, so that it stands for no other amount
        cents = f"CAST(round({raw} * 100) AS BIGINT)"
        is_exact = f"CAST({cents} AS DOUBLE) / CAST(100 AS DOUBLE) = {raw}"
        return f"CASE WHEN abs({raw}) < 1e10 THEN CASE WHEN {is_exact} THEN {cents} * {int(minor)} // 100 END END"
    form = f"regexp_full_match({text}, '-?[0-9]{{1,10}}(\\.[0-9]{{1,2}})?')"
    return f"CASE WHEN {form} THEN CAST(try_cast({text} AS DECIMAL(18, 2)) * {int(minor)} AS BIGINT) END"


def _number(raw: str, text: str, native: str, decimal: str, unit: float) -> str:
    if native in (*_INTEGERS, "DOUBLE", "FLOAT") or native.startswith("DECIMAL"):
        return f"CASE WHEN isfinite(CAST({raw} AS DOUBLE)) THEN CAST({raw} AS DOUBLE) * {float(unit)!r} END"
    if decimal != ".":
        return nothing("number")
    form = f"regexp_full_match({text}, '-?[0-9]{{1,15}}(\\.[0-9]{{1,15}})?')"
    unsure = (
        f"regexp_full_match({text}, '-?[0-9]{{1,3}}\\.[0-9]{{3}}')"  # 1.200 may be twelve hundred: the column tells
    )
    return f"CASE WHEN {form} AND NOT {unsure} THEN try_cast({text} AS DOUBLE) * {float(unit)!r} END"
