"""A column as a whole: what its texts prove about each other, and which of them it makes doubtful.

One text is read by `dates` and `values`; here are the questions that one text cannot answer: is 03/04 the third of
April, is 1.200 twelve hundred, did a spreadsheet lose the last digits of the identifiers, did it swap days and months.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from churnlib.engine import Engine, quote
from churnlib.sources.dates import FIRST_YEAR, LAST_YEAR
from churnlib.sources.written import plain

_PARTED_DATE = "[0-9０-９]{1,2}[-/.－／．][0-9０-９]{1,2}[-/.－／．][0-9０-９]{4}"
_PARTS = re.compile(r"([0-9]{1,2})[-/.]([0-9]{1,2})[-/.][0-9]{4}(?![0-9])")
_SIX_DIGITS = re.compile(r"[0-9]{6}")
_HAS_COMMA = re.compile(r"[0-9],[0-9]{1,2}(?![0-9,.])|\.[0-9]{3},[0-9]")  # 12,5 and 1.200,50
_HAS_POINT = re.compile(r"\.[0-9]{1,2}(?![0-9.,])|,[0-9]{3}\.|(?<![0-9])0?\.[0-9]")  # 12.5, 1,200.500 and 0.125
_HAS_EITHER = re.compile(r"(?<![0-9.,])[0-9]{1,3}[.,][0-9]{3}(?![0-9.,])")  # 1,200 and 1.200
_ENOUGH = 5  # values that rule out an accident


@dataclass(frozen=True)
class RawColumn:
    """A raw column and the SQL that reads its usual form, over the table under the alias ``raw``."""

    engine: Engine
    table: str
    text: str  # SQL of the text as written
    usual: str  # SQL of what is read by SQL itself; NULL for every other text

    def counts(self) -> dict[str, int]:
        """The distinct texts that SQL does not read -> rows."""
        rows = self.engine.frame(
            f"SELECT {self.text} AS text, count(*) AS n FROM {quote(self.table)} AS raw"  # noqa: S608 (quoted)
            f" WHERE {self.text} IS NOT NULL AND ({self.usual}) IS NULL GROUP BY ALL ORDER BY text"
        )
        return dict(zip(rows["text"].tolist(), rows["n"].tolist(), strict=True))


def order_of_days(column: RawColumn, texts: list[str]) -> str | None:
    """Find the order of day and month, "dmy" or "mdy", that every file with such dates proves; else None."""
    if not any(map(_is_unsure, texts)):
        return None
    rows = column.engine.frame(
        f"SELECT DISTINCT CAST(raw._file AS VARCHAR) AS file, {column.text} AS text"  # noqa: S608 (quoted)
        f" FROM {quote(column.table)} AS raw"
        f" WHERE ({column.usual}) IS NULL AND regexp_matches({column.text}, '{_PARTED_DATE}')"
    )
    proofs = [_proven(part["text"]) for _, part in rows.groupby("file")]
    found = set().union(*proofs)
    return found.pop() if len(found) == 1 and all(proofs) else None


def are_swapped(column: RawColumn, texts: list[str]) -> bool:
    """Tell whether a spreadsheet has swapped days and months of a part of the dates.

    An American Excel turns 03/04/2024 into the 4th of March and leaves 13/04/2024 a text: then every text has a part
    above 12, and no true date has a day above 12.
    """
    if any(map(_is_unsure, texts)) or sum(bool(_proven([text])) for text in texts) < _ENOUGH:
        return False
    days = column.engine.frame(
        f"SELECT count(DISTINCT d) AS n, max(extract('day' FROM d)) AS last FROM"  # noqa: S608 (quoted)
        f" (SELECT {column.usual} AS d FROM {quote(column.table)} AS raw)"
    )
    return bool(days["n"][0] >= _ENOUGH and days["last"][0] <= 12)


def doubtful_dates(texts: list[str]) -> dict[str, str]:
    """Six digits are months (202403), unless one of them can only be a day with a two-digit year (240305)."""
    six = {text: written for text in texts if _SIX_DIGITS.fullmatch(written := plain(text))}
    if all(FIRST_YEAR <= int(t[:4]) <= LAST_YEAR and 1 <= int(t[4:]) <= 12 for t in six.values()):
        return {}
    return dict.fromkeys(six, "two_digit_year")


def doubtful_numbers(column: RawColumn, texts: list[str], is_money: bool) -> dict[str, str]:
    """1.200 and 1,200 are doubtful beside 12,5; an amount 1.200 is doubtful if no amount has one or two decimals."""
    unsure = [text for text in texts if _HAS_EITHER.search(plain(text))]
    has_commas = any(_HAS_COMMA.search(plain(text)) for text in texts)
    if not unsure or not (has_commas or is_money):
        return {}
    points = f"SELECT count(*) FROM {quote(column.table)} AS raw WHERE ({column.usual}) IS NOT NULL"  # noqa: S608
    if column.engine.value(f"{points} AND {column.text} LIKE '%.%'") or any(_HAS_POINT.search(plain(t)) for t in texts):
        return {}
    return {text: "decimal_comma" for text in unsure if has_commas or "." in text}


def doubtful_ids(texts: list[str]) -> dict[str, str]:
    """Long identifiers whose last digits are zeros all over the column.

    Excel keeps 15 digits: 430102199001011234 is saved as 430102199001011000. One such number can be true; when every
    number of more than 15 digits looks like this, none of them can be trusted.
    """
    long = [text for text in texts if len(text) > 15 and text.isascii() and text.isdigit()]
    return dict.fromkeys(long, "precision_lost") if all(set(text[15:]) == {"0"} for text in long) else {}


def _proven(texts: Iterable[str]) -> set[str]:
    """The orders of day and month that dates prove by a part above 12."""
    parts = [(int(match[1]), int(match[2])) for text in texts if (match := _PARTS.match(plain(text)))]
    return {"dmy" if a > 12 else "mdy" for a, b in parts if (a > 12) != (b > 12)}


def _is_unsure(text: str) -> bool:
    """Whether a text is a date whose day and month could change places."""
    match = _PARTS.match(plain(text))
    return bool(match) and int(match[1]) <= 12 and int(match[2]) <= 12 and int(match[1]) != int(match[2])
