"""Dates as clerks write them: read, blank, or refused with a reason; never guessed."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from churnlib.sources.written import NO_VALUE, Read, plain

FIRST_YEAR, LAST_YEAR = 1900, 2199  # outside it a year is a slip of the pen
OPEN_YEAR = 9999  # 9999-12-31, 0000-00-00 and PostgreSQL's infinity mean "no end"
FIRST_SERIAL, LAST_SERIAL = 18264, 73050  # Excel's day numbers of 1950-01-01 and 2099-12-31

_TIME = (
    r"(?:T?\s*(?P<half>上午|下午|中午|晚上|凌晨|早上)?\s*(?P<hour>[0-9]{1,2})(?::|时|点)"
    r"(?:(?P<minute>[0-9]{1,2})(?:(?::|分)(?:(?P<second>[0-9]{1,2})(?:[.,][0-9]+)?秒?)?)?)?"
    r"\s*(?P<noon>AM|PM|am|pm)?\s*(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2}|[+-][0-9]{2})?)?"
)
_WEEKDAY = r"(?:\s*\(?(?:星期|周)[一二三四五六日天]\)?)?"
_FORMS = [
    (kind, re.compile(form + _WEEKDAY + r"(?:(?<=[^0-9])|(?=[^0-9]|$))" + _TIME))
    for kind, form in (
        ("ymd", r"(?P<y>[0-9]{4})\s*年\s*(?P<m>[0-9]{1,2})\s*月\s*(?P<d>[0-9]{1,2})\s*(?:日|号)?"),
        ("ymd", r"(?P<y>[0-9]{4})\s*(?P<s>[-/.])\s*(?P<m>[0-9]{1,2})\s*(?P=s)\s*(?P<d>[0-9]{1,2})"),
        ("ymd", r"(?P<y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})"),
        ("parts", r"(?P<a>[0-9]{1,2})(?P<s>[-/.])(?P<b>[0-9]{1,2})(?P=s)(?P<y>[0-9]{4})"),
        ("named", r"(?P<d>[0-9]{1,2})(?:st|nd|rd|th)?[-/ ](?P<name>[A-Za-z]{3,9})\.?[-/ ,]\s*(?P<y>[0-9]{4})"),
        ("named", r"(?P<name>[A-Za-z]{3,9})\.? (?P<d>[0-9]{1,2})(?:st|nd|rd|th)?,? (?P<y>[0-9]{4})"),
    )
]
_DIGITS_WITH_TIME = re.compile(r"([0-9]{8})T?(?:[01][0-9]|2[0-3])[0-5][0-9](?:[0-5][0-9])?")
_MONTH = re.compile(r"([0-9]{4})(?:\s*年\s*([0-9]{1,2})\s*月份?|[-/]([0-9]{1,2})|\.([0-9]{2})|([0-9]{2}))")
_SHORT_YEAR = re.compile(
    r"([0-9]{1,2})(\s*[-/.年]\s*(?:[0-9]{1,2}|[A-Za-z]{3,9})\s*[-/.月]\s*)([0-9]{1,2})(\s*[日号]?(?:[^0-9].*)?)"
)
_NO_END = re.compile(r"0000[-/.年]?00[-/.月]?00日?(?:[ T]00:00(?::00(?:\.0+)?)?)?|0|infinity")
_SERIAL = re.compile(r"([0-9]{5})(?:\.[0-9]+)?")
_NAMES = "january february march april may june july august september october november december".split()
_MONTHS = {short: i for i, name in enumerate(_NAMES, 1) for short in (name, name[:3], name[:4])}
_DIGITS = {c: i for i, c in enumerate("〇一二三四五六七八九")} | {"零": 0, "○": 0, "": 0}
_CHINESE = re.compile(
    r"([〇零○一二三四五六七八九]{4})年([一二三四五六七八九十]{1,3})月(?:([一二三四五六七八九十]{1,3})[日号])?"
)


def parse_date(text: str, order: str | None = None, zone: str | None = None) -> date | None:
    """Read one written date.

    Parameters
    ----------
    text : str
        2024年3月5日, 2024/3/5, 2024-03-05 08:00, 20240305, 2024.3.5, 5 Mar 2024, an Excel day number ...
    order : {"dmy", "mdy", "ymd"}, optional
        What 03/04/2024 and 03/04/24 mean; without it only a date with a year of four digits, and a part above 12 or two
        equal parts, is read. A year of two digits lies between 1969 and 2068, as in POSIX.
    zone : str, optional
        Time zone of the company: a time that carries another zone is dated by it. Without it the written day counts.

    Returns
    -------
    date or None
        None for a blank, and for 0000-00-00 and 9999-12-31, which mean that there is no end. A month without a day is
        its first day.

    Raises
    ------
    ValueError
        not_a_date, date_order, two_digit_year, year_only, date_range

    Examples
    --------
    >>> parse_date("2024年3月5日")
    datetime.date(2024, 3, 5)
    """
    return read_date(text, order, zone).value


def read_date(text: str, order: str | None = None, zone: str | None = None) -> Read:
    """Read one written date with the flag that it deserves; see `parse_date`."""
    written = plain(text)
    if written.lower() in NO_VALUE:
        return Read(None)
    if _NO_END.fullmatch(written):
        return Read(None, "open_end")
    written = _CHINESE.sub(_chinese_date, written)
    if digits := _DIGITS_WITH_TIME.fullmatch(written):
        written = digits[1]
    if order and (short := _SHORT_YEAR.fullmatch(written)):
        written = _long_year(short, order)
    for kind, form in _FORMS:
        if match := form.fullmatch(written):
            return _dated(match.groupdict(), kind, order, zone)
    return _other_date(written)


def _long_year(match: re.Match[str], order: str) -> str:
    """Write a year of two digits in four; one digit is no year."""
    first, middle, last, rest = match.groups()
    year = first if order == "ymd" else last
    full = f"{19 if int(year) > 68 else 20}{year}" if len(year) == 2 else year
    return f"{full}{middle}{last}{rest}" if order == "ymd" else f"{first}{middle}{full}{rest}"


def _dated(part: dict[str, Any], kind: str, order: str | None, zone: str | None) -> Read:
    if kind == "parts":
        day, month = _day_and_month(int(part["a"]), int(part["b"]), order)
    elif kind == "ymd":
        day, month = int(part["d"]), int(part["m"])
    elif (name := part["name"].lower()) in _MONTHS:
        day, month = int(part["d"]), _MONTHS[name]
    else:
        raise ValueError("not_a_date")
    if int(part["y"]) == OPEN_YEAR:
        return Read(None, "open_end")
    return _in_zone(_day(int(part["y"]), month, day), part, zone)


def _day_and_month(a: int, b: int, order: str | None) -> tuple[int, int]:
    if order in ("dmy", "mdy"):
        return (a, b) if order == "dmy" else (b, a)
    if a == b or a > 12 >= b:
        return a, b
    if b > 12 >= a:
        return b, a
    raise ValueError("date_order" if a <= 12 else "not_a_date")


def _day(year: int, month: int, day: int) -> date:
    try:
        found = date(year, month, day)
    except ValueError:
        raise ValueError("not_a_date") from None
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError("date_range")
    return found


def _in_zone(found: date, part: dict[str, Any], zone: str | None) -> Read:
    """Check the time of day; move the day where the time carries another zone than the company's."""
    if part["hour"] is None:
        return Read(found)
    hour, minute, second = (int(part[name] or 0) for name in ("hour", "minute", "second"))
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second)):
        raise ValueError("not_a_date")
    if (written := part["zone"]) is None or zone is None:
        return Read(found, "zone_ignored" if written else None)
    if hour < 12 and ((part["noon"] or "").lower() == "pm" or part["half"] in ("下午", "晚上")):
        hour += 12
    digits = "+0000" if written == "Z" else written.replace(":", "").ljust(5, "0")
    offset = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:]))
    if offset >= timedelta(hours=24):
        raise ValueError("not_a_date")
    midnight = datetime(found.year, found.month, found.day, tzinfo=timezone(-offset if digits[0] == "-" else offset))
    moment = midnight + timedelta(hours=hour, minutes=minute, seconds=second)
    here = moment.astimezone(ZoneInfo(zone)).date()
    return Read(here, "other_day" if here != found else None)


def _other_date(written: str) -> Read:
    """Excel's day numbers, months without a day, and the forms that are refused by name."""
    if serial := _SERIAL.fullmatch(written):
        if FIRST_SERIAL <= int(serial[1]) <= LAST_SERIAL:
            return Read(date(1899, 12, 30) + timedelta(days=int(serial[1])), "serial")
        raise ValueError("date_range")
    if month := _MONTH.fullmatch(written):
        return Read(_day(int(month[1]), int(next(part for part in month.groups()[1:] if part)), 1), "month_only")
    if re.fullmatch(r"(?:19|20)[0-9]{2}年?", written):
        raise ValueError("year_only")
    raise ValueError("two_digit_year" if _SHORT_YEAR.fullmatch(written) else "not_a_date")


def _chinese_date(match: re.Match[str]) -> str:
    day = f"{_chinese_number(match[3])}日" if match[3] else ""
    return f"{''.join(str(_DIGITS[c]) for c in match[1])}年{_chinese_number(match[2])}月{day}"


def _chinese_number(written: str) -> int:
    tens, ten, ones = written.partition("十")
    if tens not in _DIGITS or ones not in _DIGITS:
        raise ValueError("not_a_date")
    return (_DIGITS[tens] or 1) * 10 + _DIGITS[ones] if ten else _DIGITS[tens]
