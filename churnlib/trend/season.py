"""The calendar's part of a series: lengths of periods, the season of the year, the moving Spring Festival (春节)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from churnlib.about import Period

YEARS = 3  # of history from which a season may be told: ratios from two years raise false alarms to 12 % a month
PAIRS = 2  # harmonic pairs: a yearly and a half-yearly wave
HOLIDAY = (7, 14)  # days before and after the festival's first day in which people move, travel and close accounts

# First day of the lunar year, 1990 to 2050, month and day. Source: Hong Kong Observatory, Gregorian-Lunar Calendar
# Conversion Table (1901-2100), which follows GB/T 33661-2017. tests/test_season.py holds every date against the new
# moon; ICU's Chinese calendar is a day off in 2027 and 2030, where it falls near midnight.
_FIRST = 1990
_FESTIVALS = (
    "0127 0215 0204 0123 0210 0131 0219 0207 0128 0216 "  # 1990
    "0205 0124 0212 0201 0122 0209 0129 0218 0207 0126 "  # 2000
    "0214 0203 0123 0210 0131 0219 0208 0128 0216 0205 "  # 2010
    "0125 0212 0201 0122 0210 0129 0217 0206 0126 0213 "  # 2020
    "0203 0123 0211 0131 0219 0208 0128 0215 0204 0124 "  # 2030
    "0212 0201 0122 0210 0130 0217 0206 0126 0214 0202 0123"  # 2040 to 2050
).split()
SPRING_FESTIVAL = {_FIRST + i: date(_FIRST + i, int(d[:2]), int(d[2:])) for i, d in enumerate(_FESTIVALS)}


def lengths(periods: Sequence[Period], time_unit: str = "day") -> np.ndarray:
    """Give how long each period is, relative to their mean: February has 0.92 of a month's days to leave in.

    Data that only know whole months (`time_unit`) have months of equal length.
    """
    if time_unit == "month":
        return np.ones(len(periods))
    usual = {"week": 7.0, "month": 365.2425 / 12, "quarter": 365.2425 / 4, "year": 365.2425}
    return np.array([period.days / usual[period.unit] for period in periods])


def festival_share(period: Period) -> float:
    """Give the share of a period's days that lie around a Spring Festival; 0 outside the years 1990 to 2050."""
    before, after = HOLIDAY
    days = 0
    for year in {period.first.year, period.last.year}:
        if year in SPRING_FESTIVAL:
            first = SPRING_FESTIVAL[year] - timedelta(days=before)
            last = SPRING_FESTIVAL[year] + timedelta(days=after)
            days += max(0, (min(last, period.last) - max(first, period.first)).days + 1)
    return days / period.days


def season_terms(periods: Sequence[Period]) -> np.ndarray:
    """Give the season's regressors: harmonic pairs of the year and the Spring Festival's share of each period.

    Returns
    -------
    numpy.ndarray
        One row per period; no columns for years. A quarter has three (two waves, of which one alternates), a month and
        a week four, each with one more for the festival.

    References
    ----------
    Lopez Bernal, J., Cummins, S. and Gasparrini, A. (2017). Interrupted time series regression for the evaluation of
    public health interventions. IJE 46, 348-355: two harmonic pairs.
    """
    unit = periods[0].unit if periods else "month"
    if unit == "year":
        return np.empty((len(periods), 0))
    # the place in the year, from the calendar and not from a counter: a series may begin anywhere
    place = np.array([_place(period) for period in periods])
    waves = [wave(2 * np.pi * k * place) for k in range(1, PAIRS + 1) for wave in (np.sin, np.cos)]
    if unit == "quarter":
        waves = [waves[0], waves[1], np.cos(4 * np.pi * place)]
    return np.column_stack([*waves, [festival_share(period) for period in periods]])


def _place(period: Period) -> float:
    if period.unit == "week":
        return (period.first - date(period.first.year, 1, 1)).days / 365.25
    return (period.first.month - 1) / 12
