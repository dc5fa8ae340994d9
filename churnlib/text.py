"""Words: every sentence, label and number format that a reader meets, in Chinese and in English.

The catalogue is the folder ``catalogue/``: one flat YAML file a module, key -> {zh, en}. Everything else in the package
speaks in keys and numbers.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

LANGUAGES = ("zh", "en")
MINUS = "−"
MISSING = "—"
_current = "zh"


class Label(NamedTuple):
    """A name in both languages; what a user wrote in one language only is the same in both."""

    zh: str
    en: str

    def __str__(self) -> str:
        return self[LANGUAGES.index(_current)]

    def to(self, language: str) -> str:
        """Give the name in one language."""
        return self[LANGUAGES.index(language)]

    @classmethod
    def of(cls, value: Any) -> Label:
        """Make a label of a {zh, en} mapping, a pair or a plain text."""
        if isinstance(value, Label):
            return value
        if isinstance(value, dict):
            zh, en = value.get("zh"), value.get("en")
            return cls(str(zh if zh is not None else en), str(en if en is not None else zh))
        return cls(str(value), str(value))

    @classmethod
    def joined(cls, labels: Iterable[Label], between: str, zh: str = "") -> Label:
        """Join names by what stands between them, in Chinese by something else if given."""
        labels = list(labels)
        return cls((zh or between).join(label.zh for label in labels), between.join(label.en for label in labels))


class Money(NamedTuple):
    """An amount in minor units (fen, cents) with its currency."""

    minor: float
    currency: str = "CNY"


class ChurnError(Exception):
    """A problem told to the reader in one line: a catalogue key and the values it names."""

    exit_code = 1
    also: Sequence[ChurnError] = ()  # further problems, found together with it

    def __init__(self, key: str, /, **values: Any):
        self.key, self.values = key, values
        super().__init__(key)

    def __str__(self) -> str:
        return say(self.key, **self.values)


def raise_all(problems: Sequence[ChurnError]) -> None:
    """Raise the first of some problems, with the others; nothing if there are none."""
    if problems:
        problems[0].also = problems[1:]
        raise problems[0]


class UsageError(ChurnError):
    """A wrong parameter, data set or period name."""

    exit_code = 2


class DataError(ChurnError):
    """Data that cannot be used."""

    exit_code = 3


class PeriodError(ChurnError):
    """A period that the data do not cover completely yet."""

    exit_code = 4


def language() -> str:
    """Give the language in which things are shown now."""
    return _current


def set_language(name: str) -> None:
    """Set the language of everything shown from now on: "zh" or "en"."""
    global _current
    if name not in LANGUAGES:
        raise UsageError("text.unknown_language", name=name)
    _current = name


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Read the whole catalogue: key -> {zh, en}."""
    entries: dict[str, dict[str, str]] = {}
    for path in sorted((Path(__file__).parent / "catalogue").glob("*.yml")):
        for key, entry in (yaml.load(path.read_text("utf-8"), yaml.CSafeLoader) or {}).items():
            if key in entries:
                raise KeyError(f"{path.name}: the key {key} is in the catalogue twice")
            entries[key] = entry
    return entries


def known(key: str) -> bool:
    """Tell whether the catalogue has this key."""
    return key in catalogue()


def say(key: str, /, lang: str | None = None, **values: Any) -> str:
    """Say one catalogue entry in one language, with its numbers formatted.

    Parameters
    ----------
    key : str
        Catalogue key, such as "trend.rate.rise".
    lang : {"zh", "en"}, optional
        The current language if not given.
    **values
        The entry's fields. A template formats them by name: ``{rate:pct}``, ``{n:count}``, ``{lost:money}``.

    Returns
    -------
    str
        Plain text; ``**bold**`` is the only markup, resolved where HTML is made.
    """
    entry = catalogue().get(key)
    if entry is None:
        raise KeyError(f"no words for {key!r} in the catalogue")
    lang = lang or _current
    said = _Words(lang).vformat(entry[lang], (), values)
    return _spaced(said) if lang == "zh" else _begun(said) if _BEGINS.match(entry[lang]) else said


def label(key: str, /, **values: Any) -> Label:
    """Give a catalogue entry as a label in both languages."""
    return Label(say(key, "zh", **values), say(key, "en", **values))


def shown(value: Any, kind: str, digits: int | None = None) -> Label:
    """Write a value as a label in both languages (see `show`)."""
    return Label(show(value, kind, "zh", digits), show(value, kind, "en", digits))


class _Words(string.Formatter):
    """Format fields by kind ("pct", "count" ...) in one language."""

    def __init__(self, lang: str):
        self.lang = lang

    def format_field(self, value: Any, spec: str) -> str:
        kind, _, digits = spec.partition(".")
        shown = show(value, kind or "text", self.lang, int(digits) if digits else None)
        return f"{_OPEN}{shown}{_CLOSE}{_NUMBER if kind else ''}" if self.lang == "zh" else shown


_BEGINS = re.compile(r"\**\{.*\.$", re.DOTALL)  # an English sentence that begins with a field


def _begun(said: str) -> str:
    """Begin a sentence with a capital letter, but neither a file's name nor one with capitals of its own."""
    return re.sub(r"^(\**)([a-z])(?=[a-z'’-]*([^\w./]|$))", lambda m: m[1] + m[2].upper(), said)


_OPEN, _CLOSE, _NUMBER = "\ue000", "\ue001", "\ue002"  # about the fields of a Chinese sentence, until it is spaced
_HAN = "[\u3400-\u9fff]"
_BEFORE = re.compile(rf"(?<={_HAN})(\**){_OPEN}(?=[0-9A-Za-z+{MINUS}¥$€])")
_AFTER = re.compile(rf"(?<=[0-9A-Za-z%]){_CLOSE}{_NUMBER}?(\**)(?={_HAN})")
_UNIT = re.compile(rf"(?<={_HAN}){_CLOSE}{_NUMBER} (\**)(?={_HAN})")  # a number that ends with its unit


def _spaced(said: str) -> str:
    """Put a blank between Han characters and a field of digits or Latin letters, and none after a unit in Han."""
    said = _UNIT.sub(r"\1", _AFTER.sub(r"\1 ", _BEFORE.sub(r" \1", said)))
    return re.sub(f"[{_OPEN}{_CLOSE}{_NUMBER}]", "", said)


def show(value: Any, kind: str = "text", lang: str | None = None, digits: int | None = None) -> str:
    """Format one value as readers see it: the only place where numbers become text.

    Parameters
    ----------
    value
        A number, date, `Label`, `Money`, `Period` or text; missing values are shown as "—".
    kind : str
        A key of ``FORMATS`` (text, count, pct, points, size, change, ratio, number, signed, money, date ...) or list.
    lang : {"zh", "en"}, optional
    digits : int, optional
        Decimals, where the kind has them.
    """
    lang = lang or _current
    if kind == "list":
        return ("、" if lang == "zh" else ", ").join(show(v, "text", lang) for v in value) or MISSING
    if _is_missing(value):
        return MISSING
    return FORMATS[kind](value, lang, digits)


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, Money):
        value = value.minor
    try:
        return bool(value != value) or value in (float("inf"), float("-inf"))  # NaN and NaT differ from themselves
    except (TypeError, ValueError):
        return True  # pandas' NA has no truth value


def _fixed(x: float, digits: int, sign: bool = False) -> str:
    """Fixed decimals, thousands separated, a true minus, never "-0.00"."""
    body = f"{abs(x):,.{digits}f}"
    negative = x < 0 and any(c in "123456789" for c in body)
    return (MINUS if negative else "+" if sign and any(c in "123456789" for c in body) else "") + body


def _text(value: Any, lang: str, digits: int | None) -> str:
    if isinstance(value, Label):
        return value.to(lang)
    if hasattr(value, "say"):  # a Period
        return value.say(lang)
    if isinstance(value, date):
        return _date(value, lang, None)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _count(value: float, lang: str, digits: int | None) -> str:
    if lang == "zh" and abs(value) >= 1e8:
        return _fixed(value / 1e8, 2) + " 亿"
    if lang == "zh" and abs(value) >= 1e5:
        return _fixed(value / 1e4, 2) + " 万"
    return _fixed(value, digits or 0)


def _money(value: Any, lang: str, digits: int | None) -> str:
    amount, currency = (value.minor / 100, value.currency) if isinstance(value, Money) else (value / 100, "CNY")
    if lang == "zh":
        unit = {"CNY": "元", "USD": "美元", "EUR": "欧元"}.get(currency, currency)
        for size, name in ((1e8, "亿"), (1e4, "万")):
            if abs(amount) >= size:
                return f"{_fixed(amount / size, 2 if digits is None else digits)} {name}{unit}"
        return f"{_fixed(amount, digits or 0)} {unit}"
    sign = {"CNY": "¥", "USD": "$", "EUR": "€"}.get(currency, currency + " ")
    minus, size = (MINUS if amount < 0 else ""), abs(amount)
    for limit, letter in ((1e9, "B"), (1e6, "M"), (1e4, "K")):
        if size >= limit:
            scale = 1e3 if letter == "K" else limit
            return f"{minus}{sign}{_fixed(size / scale, 2 if letter != 'K' else 1)}{letter}"
    return f"{minus}{sign}{_fixed(size, digits or 0)}"


def _date(value: Any, lang: str, digits: int | None) -> str:
    day = value if isinstance(value, date) else date.fromisoformat(str(value)[:10])
    return f"{day.year:04d}-{day.month:02d}-{day.day:02d}"


def _p(value: float, lang: str, digits: int | None) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


FORMATS = {
    "text": _text,
    "label": _text,
    "period": _text,
    "date": _date,
    "count": _count,
    "money": _money,
    "number": lambda v, lang, d: _fixed(v, 1 if d is None else d),
    "signed": lambda v, lang, d: _fixed(v, 0 if d is None else d, sign=True),
    "ratio": lambda v, lang, d: _fixed(v, 2 if d is None else d),
    "pct": lambda v, lang, d: _fixed(100 * v, 2 if d is None else d) + "%",
    "points": lambda v, lang, d: (
        _fixed(100 * v, 2 if d is None else d, sign=True) + (" 个百分点" if lang == "zh" else " pp")
    ),
    "pp": lambda v, lang, d: _fixed(100 * v, 2 if d is None else d, sign=True),  # points, the unit said after the next
    "size": lambda v, lang, d: (
        _fixed(abs(100 * v), 2 if d is None else d) + (" 个百分点" if lang == "zh" else " percentage points")
    ),
    "change": lambda v, lang, d: _fixed(100 * v, 1 if d is None else d, sign=True) + "%",
    "p": _p,
}


def plural(n: float, one: str, many: str) -> str:
    """Choose the English form by number."""
    return one if n == 1 else many


def to_html(plain: str) -> str:
    """Escape plain text for HTML and turn ``**bold**`` into markup."""
    from html import escape

    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(plain))


def strip_marks(plain: str) -> str:
    """Give text without its bold marks, for alt texts and files."""
    return plain.replace("**", "")
