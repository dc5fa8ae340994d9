"""The calendar: lengths of months, the season, the Spring Festival."""

from datetime import date, datetime, timedelta
from math import radians, sin

import numpy as np
import pytest
from counted import months

from churnlib.show.results import period_values
from churnlib.trend.season import SPRING_FESTIVAL, festival_share, lengths, season_terms


def new_moon(k: int) -> datetime:
    """The k-th new moon after 2000 in Beijing time, to a minute or so: Meeus, Astronomical Algorithms, chapter 49."""
    t = k / 1236.85
    e = 1 - 0.002516 * t
    m, mp = radians(2.5534 + 29.1053567 * k), radians(201.5643 + 385.81693528 * k + 0.0107582 * t * t)
    f, o = radians(160.7108 + 390.67050284 * k - 0.0016118 * t * t), radians(124.7746 - 1.56375588 * k)
    day = 2451550.09766 + 29.530588861 * k + 0.00015437 * t * t
    day += -0.4072 * sin(mp) + 0.17241 * e * sin(m) + 0.01608 * sin(2 * mp) + 0.01039 * sin(2 * f)
    day += 0.00739 * e * sin(mp - m) - 0.00514 * e * sin(mp + m) + 0.00208 * e * e * sin(2 * m)
    day += -0.00111 * sin(mp - 2 * f) - 0.00057 * sin(mp + 2 * f) + 0.00056 * e * sin(2 * mp + m)
    day += -0.00042 * sin(3 * mp) + 0.00042 * e * sin(m + 2 * f) + 0.00038 * e * sin(m - 2 * f)
    day += -0.00024 * e * sin(2 * mp - m) - 0.00017 * sin(o) + 0.000325 * sin(radians(299.77 + 0.107408 * k))
    return datetime(2000, 1, 1) + timedelta(days=day - 2451544.5, seconds=-68, hours=8)


@pytest.mark.parametrize("year", SPRING_FESTIVAL)
def test_spring_festival_is_a_new_moon_between_january_21_and_february_20(year):
    day = SPRING_FESTIVAL[year]
    near = round(((day - date(2000, 1, 6)).days) / 29.530588861)
    assert day in [new_moon(k).date() for k in (near - 1, near, near + 1)]
    assert date(year, 1, 21) <= day <= date(year, 2, 20)


def test_the_festival_moves_between_january_and_february():
    shares = {p: festival_share(period_values([p])[0]) for p in ("2025-01", "2025-02", "2026-01", "2026-02", "2026-03")}
    assert shares["2025-01"] == pytest.approx(10 / 31) and shares["2025-02"] == pytest.approx(12 / 28)
    assert shares["2026-01"] == 0 and shares["2026-02"] == pytest.approx(19 / 28)
    assert shares["2026-03"] == pytest.approx(3 / 31)


def test_a_constant_daily_hazard_is_flat_whatever_the_month():
    # mistake 24
    periods = period_values(months(24))
    days = np.array([p.days for p in periods])
    assert np.ptp(0.0006 * days / lengths(periods)) < 1e-12
    assert (lengths(periods, "month") == 1).all()


def test_every_unit_has_its_season():
    shapes = {"2025-12": 5, "2025-Q4": 4, "2025-W49": 5, "2025": 0}
    for name, columns in shapes.items():
        periods = [period_values([name])[0].shift(-k) for k in range(8)]
        assert season_terms(periods).shape == (8, columns)
