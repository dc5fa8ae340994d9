"""Texts as people write them: blanks, full-width signs, invisible characters and the words for "no value"."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, NamedTuple

BLANKS = frozenset(
    r"无 空 空值 (空) 暂无 — —— – - -- --- / \n n/a #n/a null (null) none nan nat <na> <null>".split()
) | {""}
NO_VALUE = BLANKS | {"na"}  # NA is no date and no number, but may be a name
EXCEL_ERRORS = frozenset(["#div/0!", "#ref!", "#value!", "#name?", "#num!", "#null!", "#spill!", "#calc!", "#formula!"])

# blanks that people cannot see: no-break and ideographic spaces, zero-width characters, byte order marks
EDGES = " \t\r\n\v\f\x1c-\x1f\x85\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f\u2060\u2066-\u2069\u3000\ufeff"
_EDGES = re.compile(f"^[{EDGES}]+|[{EDGES}]+$")
# full-width forms to ASCII and nothing else: NFKC would also turn 5² into 52
_NARROW = {0xFF01 + i: 0x21 + i for i in range(94)} | {0x3000: 0x20, 0xA0: 0x20, 0xFFE5: 0xA5}
_NARROW |= dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2212), 0x2D)
_EXCEL_TEXT = re.compile(r'="(.*)"|\'(.*[^\'])')  # ="00123" and '00123 keep Excel from taking a text for a number


class Read(NamedTuple):
    """What a text means.

    Attributes
    ----------
    value
        None if the text is a blank.
    flag : str or None
        A reading that the report mentions: "open_end", "month_only", "rounded", "normalised" ...
    """

    value: Any
    flag: str | None = None


def trim(text: str) -> str:
    """Take away surrounding blanks, the invisible ones too."""
    return _EDGES.sub("", text)


def plain(text: str) -> str:
    """Write full-width letters, digits and signs in ASCII; take away surrounding blanks and Excel's text marks.

    Examples
    --------
    >>> plain("　１２．５ "), plain('="00123"')
    ('12.5', '00123')
    """
    written = trim(text if text.isascii() else text.translate(_NARROW))
    if written[:1] in ("=", "'") and (match := _EXCEL_TEXT.fullmatch(written)):
        written = trim(match[1] if match[1] is not None else match[2])
    return written


def fold(text: str) -> str:
    """Give the form in which two spellings of one word are equal: NFKC, single blanks, no case.

    Examples
    --------
    >>> fold(" ＶＩＰ  客户 ")
    'vip 客户'
    """
    return re.sub(r"\s+", " ", trim(unicodedata.normalize("NFKC", text))).casefold()


def tidy(text: str) -> str:
    """Write a word as `fold` compares it, but keep its case."""
    return re.sub(r"\s+", " ", trim(unicodedata.normalize("NFKC", text)))


def is_blank(text: str) -> bool:
    """Tell whether a text says that there is no value (无, —, N/A, NULL, #N/A, 空 ...)."""
    return plain(text).lower() in BLANKS


def refuse(reason: str) -> Any:
    """Refuse a value, in the middle of an expression."""
    raise ValueError(reason)
