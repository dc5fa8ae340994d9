"""One written value -> what it means: amounts, numbers, flags and identifiers as clerks write them (dates: `dates`).

Pure functions of one text. A value is read, or it is blank (None), or it is refused: `ValueError` with the name of the
reason, never a guess. `typed` applies them to whole columns through their distinct texts.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal

from churnlib.sources.written import BLANKS, EXCEL_ERRORS, NO_VALUE, Read, fold, is_blank, plain, refuse, tidy

_SIZES = {"百": 2, "千": 3, "k": 3, "万": 4, "w": 4, "十万": 5, "百万": 6, "m": 6, "千万": 7, "亿": 8, "万亿": 12}
_CURRENCIES = {
    "CNY": ("¥", "rmb", "cny", "人民币", "元", "圆", "块", "元整"),
    "USD": ("$", "usd", "us$", "美元"),
    "EUR": ("€", "eur", "欧元"),
    "GBP": ("£", "gbp", "英镑"),
    "JPY": ("¥", "jpy", "円", "日元"),
    "HKD": ("$", "hkd", "hk$", "港元", "港币"),
}
_SIGN = "|".join(sorted({re.escape(s) for signs in _CURRENCIES.values() for s in signs}, key=len, reverse=True))
_SIZE = "|".join(sorted(_SIZES, key=len, reverse=True))
_AMOUNT = re.compile(
    rf"(?P<s1>[+-]?)\s*(?P<c1>{_SIGN})?\s*(?P<s2>[+-]?)\s*(?P<digits>[0-9.,]*[0-9][0-9.,]*)\s*"
    rf"(?P<size>{_SIZE})?\s*(?P<c2>{_SIGN})?(?P<s3>-?)"
)
_IN_BRACKETS = re.compile(rf"({_SIGN})?\s*\((.*)\)\s*({_SIGN})?")  # (200), ¥(200), the bookkeeper's minus
_POINT = re.compile(r"(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.[0-9]*)?|\.[0-9]+")
_COMMA = re.compile(r"(?:[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+)(?:,[0-9]*)?|,[0-9]+")
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?e[+-]?[0-9]{1,3}")
_SPACED = re.compile(r"(?<![0-9.,])([0-9]{1,3}(?:[ '\u2019\u2009\u202f][0-9]{3})+)(?![0-9])")  # 1 200 and 1'200
_LARGEST = Decimal(9 * 10**16)  # minor units still fit 64 bits
_YES = frozenset(["是", "y", "yes", "true", "t", "1", "1.0", "√", "✓", "✔", "对"])
_NO = frozenset(["否", "n", "no", "false", "f", "0", "0.0", "×", "✗", "✘", "错", "不是"])


def parse_amount(text: str, currency: str = "CNY", decimal: str = ".", unit: float = 1) -> int | None:
    """Read one written amount of money, exactly.

    Parameters
    ----------
    text : str
        ￥1,200.50, 1.2万, 3亿, 1,200元, (200), -200, full-width digits ...
    currency : str
        The data set's currency; an amount that names another one is refused.
    decimal : {".", ","}
        The decimal sign; 1.200,50 is refused unless "," is declared.
    unit : float
        Major units that the number counts: 10000 for a column in 万元.

    Returns
    -------
    int or None
        Minor units (fen, cents), beyond two decimals rounded half to even; None for a blank.

    Raises
    ------
    ValueError
        not_an_amount, decimal_comma, other_currency, precision_lost, excel_error, amount_range

    Examples
    --------
    >>> parse_amount("￥1,200.50"), parse_amount("1.2万"), parse_amount("（200）")
    (120050, 1200000, -20000)
    """
    return read_amount(text, currency, decimal, unit).value


def read_amount(text: str, currency: str = "CNY", decimal: str = ".", unit: float = 1) -> Read:
    """Read one written amount with the flag that it deserves; see `parse_amount`."""
    found = _quantity(text, currency, decimal, "not_an_amount")
    if found is None:
        return Read(None)
    exact = found * Decimal(str(unit))
    if abs(exact) > _LARGEST:
        raise ValueError("amount_range")
    minor = (exact * 100).quantize(Decimal(1), ROUND_HALF_EVEN)
    return Read(int(minor), "rounded" if minor != exact * 100 else None)


def parse_number(text: str, decimal: str = ".", unit: float = 1) -> float | None:
    """Read one written number or percentage (5% is 0.05); None for a blank.

    Raises
    ------
    ValueError
        not_a_number, decimal_comma, excel_error
    """
    return read_number(text, decimal, unit).value


def read_number(text: str, decimal: str = ".", unit: float = 1) -> Read:
    """Read one written number; percentages are flagged."""
    written = plain(text)
    percent = written.endswith("%")
    found = _quantity(written.removesuffix("%"), None, decimal, "not_a_number")
    if found is None:
        return refuse("not_a_number") if percent else Read(None)
    return Read(float(found * Decimal(str(unit)) / (100 if percent else 1)), "percent" if percent else None)


def parse_flag(text: str) -> bool | None:
    """Read 是/否, Y/N, yes/no, TRUE/FALSE, 1/0, √/×; None for a blank.

    有/无 is refused: 无 also stands for a blank, so that only `values` in dataset.yml can say what it means.

    Raises
    ------
    ValueError
        not_a_flag
    """
    written = plain(text).lower()
    if written in NO_VALUE:
        return None
    return written in _YES or (False if written in _NO else refuse("not_a_flag"))


def read_id(text: str) -> Read:
    """Read one identifier: always text, leading zeros kept, full-width signs in ASCII.

    Returns
    -------
    Read
        None for a blank. "float" where Excel or pandas made 1001.0 of 1001; "normalised" where the text was changed.

    Raises
    ------
    ValueError
        precision_lost (1.23457E+17: the digits are gone), excel_error
    """
    written = plain(text)
    if written.lower() in BLANKS:
        return Read(None)
    if written.lower() in EXCEL_ERRORS:
        raise ValueError("excel_error")
    if re.fullmatch(r"[0-9](?:\.[0-9]+)?[eE]\+[0-9]+", written):
        raise ValueError("precision_lost")
    if re.fullmatch(r"[0-9]+\.0+", written):
        return Read(written.partition(".")[0], "float")
    return Read(written, "normalised" if written != text else None)


def spellings(counts: dict[str, int], values: dict[str, str | None] | None = None) -> dict[str, str | None]:
    """Choose one spelling for every word of a column.

    Parameters
    ----------
    counts : dict
        Text in the file -> number of rows.
    values : dict, optional
        The declared mapping, the file's word -> ours, compared without case, width and blanks.

    Returns
    -------
    dict
        Text -> the declared word, else its most frequent spelling (the smallest at equal numbers), None for blanks.
    """
    declared = {fold(word): ours for word, ours in (values or {}).items()}
    often: dict[str, dict[str, int]] = {}
    for text, n in counts.items():
        word = often.setdefault(fold(text), {})
        word[tidy(text)] = word.get(tidy(text), 0) + n
    chosen = {key: min(words, key=lambda w, words=words: (-words[w], w)) for key, words in often.items()}
    return {
        text: declared[fold(text)] if fold(text) in declared else None if is_blank(text) else chosen[fold(text)]
        for text in counts
    }


def _quantity(text: str, currency: str | None, decimal: str, refusal: str) -> Decimal | None:
    """Read sign, currency, digits and size; without a currency none is allowed, nor k, w and m (metres?)."""
    written = plain(text).lower()
    if written in NO_VALUE:
        return None
    if written in EXCEL_ERRORS:
        raise ValueError("excel_error")
    if _SCIENTIFIC.fullmatch(written):
        # Excel shows 123456.78 as 1.23457E+05: what a large number loses there is money
        return Decimal(written) if currency is None or "e-" in written else refuse("precision_lost")
    written = _SPACED.sub(lambda found: re.sub("[^0-9]", "", found[1]), written)
    brackets = _IN_BRACKETS.fullmatch(written)
    match = _AMOUNT.fullmatch("".join(part or "" for part in brackets.groups()) if brackets else written)
    if not match or sum(bool(match[s]) for s in ("s1", "s2", "s3")) > (0 if brackets else 1):
        raise ValueError(refusal)
    _check_unit(match, currency, refusal)
    digits = _digits(match["digits"], decimal, refusal).scaleb(_SIZES.get(match["size"], 0))
    return -digits if brackets or "-" in (match["s1"], match["s2"], match["s3"]) else digits


def _check_unit(match: re.Match[str], currency: str | None, refusal: str) -> None:
    signs = [sign for sign in (match["c1"], match["c2"]) if sign]
    if currency is None and (signs or match["size"] in ("k", "w", "m")):
        raise ValueError(refusal)
    known = _CURRENCIES.get(currency or "", ((currency or "").lower(),))
    if any(sign not in known for sign in signs):
        raise ValueError("other_currency")


def _digits(written: str, decimal: str, refusal: str) -> Decimal:
    form, other, thousands = (_POINT, _COMMA, ",") if decimal == "." else (_COMMA, _POINT, ".")
    if not form.fullmatch(written):
        raise ValueError("decimal_comma" if other.fullmatch(written) else refusal)
    return Decimal(written.replace(thousands, "").replace(",", "."))
