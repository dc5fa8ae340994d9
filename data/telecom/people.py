"""Who ever joins, and the level of every month: what is drawn before the market runs."""

from types import SimpleNamespace

import numpy as np
import parameters as p

FIRST_DAY = p.MONTHS.astype("datetime64[D]").astype(int)
LAST_DAY = np.minimum((p.MONTHS + 1).astype("datetime64[D]").astype(int) - 1, int(p.AS_OF.astype(int)))
OBSERVED = p.month(str(p.OBSERVED_FROM)[:7])
_MONTH_OF_DAY = np.arange(FIRST_DAY[0], LAST_DAY[-1] + 1).astype("datetime64[D]").astype("datetime64[M]").astype(int)


def month_of(day: np.ndarray) -> np.ndarray:
    """Return the number of the month that each day (days since 1970) lies in."""
    return _MONTH_OF_DAY[np.asarray(day) - FIRST_DAY[0]] - int(p.MONTHS[0].astype(int))


def _between(ends: tuple, at: np.ndarray) -> np.ndarray:
    return ends[0] + (ends[1] - ends[0]) * at


def pick(rng: np.random.Generator, shares, n: int) -> np.ndarray:
    """Return n codes, drawn with the given shares."""
    shares = np.asarray(shares, float)
    return rng.choice(len(shares), n, p=shares / shares.sum())


def people(rng: np.random.Generator) -> SimpleNamespace:
    """Draw everybody who ever joins: one entry per customer in every array, codes where there is a list of names."""
    trend = np.linspace(0, 1, len(p.MONTHS))
    calendar_month = p.MONTHS.astype(int) % 12
    length = LAST_DAY - FIRST_DAY + 1  # January 2026 ends with the data
    joins = rng.poisson(p.SIZE * _between(p.JOINS, trend) * p.JOIN_SEASON[calendar_month] * length / p.DAYS_PER_MONTH)
    joined = np.repeat(np.arange(len(p.MONTHS)), joins)
    n, at = len(joined), trend[joined]
    who = SimpleNamespace(n=n, joined=joined, start=np.sort(FIRST_DAY[joined] + rng.integers(0, length[joined])))
    who.region = pick(rng, [share for share, _, _ in p.REGIONS.values()], n)
    cities = np.array([len(cities) for _, _, cities in p.REGIONS.values()])
    who.city = rng.integers(0, cities[who.region])
    youngest = np.array([*p.AGE_BANDS, p.OLDEST + 1])
    who.band = pick(rng, [share for share, _ in p.AGE_BANDS.values()], n)
    who.age = rng.integers(youngest[who.band], youngest[who.band + 1])
    who.female = rng.random(n) < 0.48
    who.prepaid = rng.random(n) < _between(p.PREPAID, at)
    term = pick(rng, [share for share, _ in p.CONTRACTS.values()], n)
    who.term = np.where(who.prepaid, 0, np.array([months for _, months in p.CONTRACTS.values()])[term])
    who.plan = _plans(rng, who, at)
    who.large = (rng.random(n) < p.LARGE[0]) & ~who.prepaid & (who.age >= 25)
    plan_fees = np.array([fees for *_, fees in p.PLANS.values()])[who.plan, rng.integers(0, 3, n)]
    who.fee = np.where(who.large, rng.choice(p.LARGE[1], n), plan_fees)
    who.brand = pick(rng, list(p.BRANDS.values()), n)
    who.manager = np.where(who.large, rng.integers(0, p.N_MANAGERS, n), -1)
    who.promotion = rng.random(n) < np.where(joined < p.month("2024-01"), *p.PROMOTION)
    who.contactable = rng.random(n) >= p.NOT_CONTACTABLE[0]
    who.silent_from = joined + 2 + rng.geometric(p.SILENT_ONSET, n)
    who.level = _level(who)
    return who


def _plans(rng: np.random.Generator, who: SimpleNamespace, at: np.ndarray) -> np.ndarray:
    first, last = (np.array([plan[i] for plan in p.PLANS.values()]) for i in (0, 1))
    first = np.repeat(first[None], who.n, 0)
    first[who.joined >= p.OLD_PLAN_CLOSED, 0] = 0
    shares = first * (1 - at[:, None]) + last * at[:, None]
    drawn = (rng.random((who.n, 1)) * shares.sum(1, keepdims=True) > shares.cumsum(1)).sum(1)
    names = list(p.PLANS)
    return np.where((drawn == names.index("校园卡")) & (who.age >= 25), names.index("4G畅享"), drawn)


def _level(who: SimpleNamespace) -> np.ndarray:
    region = np.array([level for _, level, _ in p.REGIONS.values()])[who.region]
    age = np.array([level for _, level in p.AGE_BANDS.values()])[who.band]
    payment = np.where(who.prepaid, p.PREPAID[2], 1.0)
    return region * age * payment * np.where(who.contactable, 1.0, p.NOT_CONTACTABLE[1])


def calendar(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the log level of every month: season with the Spring Festival, and the month's own noise."""
    season = p.SEASON[p.MONTHS.astype(int) % 12].copy()
    height, before, after = p.SPRING_FESTIVAL
    for festival in p.SPRING_FESTIVALS:
        days = int(np.datetime64(festival).astype(int)) + np.arange(before, after)
        months = month_of(days[days <= LAST_DAY[-1]])
        season += height / len(days) * np.bincount(months, minlength=len(season))
    noise = np.where(np.arange(len(season)) < OBSERVED, 0.0, rng.normal(0, p.NOISE_SD, len(season)))
    return season, noise
