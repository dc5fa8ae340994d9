"""A column as a whole: what its values prove about each other, and which of them it makes doubtful.

One value is read by `values`; here are the questions that one value cannot answer: is 03/04 the third of April, is
1.200 twelve hundred, did Excel lose the last digits of the identifiers, did it swap days and months.
"""

from __future__ import annotations

from dataclasses import dataclass

from churnlib.engine import Engine, quote
from churnlib.sources import dates, values

_PARTED_DATE = "[0-9０-９]{1,2}[-/.－／．][0-9０-９]{1,2}[-/.－／．][0-9０-９]{4}"
_ENOUGH = 5  # values that rule out an accident


@dataclass(frozen=True)
class RawColumn:
    """A raw column and the SQL that reads its usual form.

    Attributes
    ----------
    text : str
        SQL of the text as written, over the table under the alias ``raw``.
    usual : str
        SQL of what is read by SQL itself; NULL for every other text.
    """

    engine: Engine
    table: str
    text: str
    usual: str

    def counts(self) -> dict[str, int]:
        """The distinct texts that SQL does not read -> rows."""
        rows = self.engine.frame(
            f"SELECT {self.text} AS text, count(*) AS n FROM {quote(self.table)} AS raw"  # noqa: S608 (quoted)
            f" WHERE {self.text} IS NOT NULL AND ({self.usual}) IS NULL GROUP BY ALL ORDER BY text"
        )
        return dict(zip(rows["text"].tolist(), rows["n"].tolist(), strict=True))


def order_of_days(column: RawColumn) -> str | None:
    """Find the order of day and month that every file with such dates proves; None if one of them does not."""
    rows = column.engine.frame(
        f"SELECT DISTINCT CAST(raw._file AS VARCHAR) AS file, {column.text} AS text"  # noqa: S608 (quoted)
        f" FROM {quote(column.table)} AS raw"
        f" WHERE ({column.usual}) IS NULL AND regexp_matches({column.text}, '{_PARTED_DATE}')"
    )
    orders = {dates.order_of(part["text"].tolist()) for _, part in rows.groupby("file")}
    return orders.pop() if orders in ({"dmy"}, {"mdy"}) else None


def are_swapped(column: RawColumn, texts: list[str]) -> bool:
    """Tell whether a spreadsheet has swapped days and months of a part of the dates.

    An American Excel turns 03/04/2024 into the 4th of March and leaves 13/04/2024 a text: then every text has a part
    above 12, and no true date has a day above 12.
    """
    parted = [text for text in texts if dates.order_of([text]) or dates.is_unsure(text)]
    if len(parted) < _ENOUGH or any(map(dates.is_unsure, parted)):
        return False
    days = column.engine.frame(
        f"SELECT count(DISTINCT d) AS n, max(extract('day' FROM d)) AS last FROM"  # noqa: S608 (quoted)
        f" (SELECT {column.usual} AS d FROM {quote(column.table)} AS raw)"
    )
    return bool(days["n"][0] >= _ENOUGH and days["last"][0] <= 12)


def doubtful_dates(texts: list[str]) -> dict[str, str]:
    """Six digits are months (202403), unless one of them can only be a day with a two-digit year (240305)."""
    if dates.six_digits_are_months(texts):
        return {}
    return {text: "two_digit_year" for text in texts if dates.is_six_digits(text)}


def doubtful_numbers(column: RawColumn, texts: list[str], is_money: bool) -> dict[str, str]:
    """1.200 and 1,200 are doubtful beside 12,5; an amount 1.200 is doubtful if no amount has one or two decimals."""
    unsure = [text for text in texts if values.is_thousand_or_decimal(text)]
    has_commas = values.decimal_comma_is_proven(texts)
    if not unsure or not (has_commas or is_money):
        return {}
    points = f"SELECT count(*) FROM {quote(column.table)} AS raw WHERE ({column.usual}) IS NOT NULL"  # noqa: S608
    if column.engine.value(f"{points} AND {column.text} LIKE '%.%'") or any(map(values.decimal_point_is_proven, texts)):
        return {}
    return {text: "decimal_comma" for text in unsure if has_commas or "." in text}


def doubtful_ids(texts: list[str]) -> dict[str, str]:
    """Long identifiers whose last digits are zeros all over the column."""
    return dict.fromkeys(values.lost_digits(texts), "precision_lost")
