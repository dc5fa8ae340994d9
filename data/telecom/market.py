"""The simulated market: people join, are lost to named causes day by day, move between brands, and come back.

All random numbers of a month belong to the month and the customer, so the same market can be run again without a cause
and every difference is that cause's doing.
"""

from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import parameters as p
from people import FIRST_DAY, LAST_DAY, OBSERVED, month_of

CAUSES = (
    "ordinary", "contract_end", "promotion", "silent", "complaint", "manager_left",
    "complaint_wave", "outage", "competitor", "outdated", "price_rise", "involuntary", "natural",
)  # fmt: skip
N_VOLUNTARY = len(CAUSES) - 2
NEVER = 2**30
TENURE_LEVEL = np.array([level for _, level in p.TENURE])[
    np.searchsorted([start for start, _ in p.TENURE], np.arange(len(p.MONTHS)), side="right") - 1
]
PLAN_LEVEL = np.array([level for _, _, level, _ in p.PLANS.values()])
_REGIONS, _PLANS = list(p.REGIONS), list(p.PLANS)
OUTAGE_REGION = _REGIONS.index(p.OUTAGE_REGION)
COURTED = np.array([region in p.COMPETITOR_REGIONS for region in p.REGIONS])  # regions of the competitor's offer


@dataclass
class State:
    """What holds for every customer on the first day of a month; days since 1970, months by number."""

    active: np.ndarray
    start: np.ndarray  # of the present or last spell
    end: np.ndarray  # last day of the last spell
    spell: np.ndarray
    term: np.ndarray  # months of the running contract; none after a return
    plan: np.ndarray
    brand: np.ndarray
    manager: np.ndarray
    complained: np.ndarray  # month of the last complaint
    unresolved: np.ndarray  # month of the last complaint that stayed unresolved
    wave: np.ndarray  # that complaint would not be there without the outage
    manager_left: np.ndarray  # month in which the account manager left
    protected: np.ndarray  # last month in which the retention campaign works
    voluntary: np.ndarray  # recorded outcome of the last end
    return_day: np.ndarray

    @classmethod
    def of(cls, who: SimpleNamespace) -> "State":
        long_ago, no, never = np.full(who.n, -99), np.zeros(who.n, bool), np.full(who.n, NEVER)
        codes = {name: getattr(who, name).copy() for name in ("start", "term", "plan", "brand", "manager")}
        months = {name: long_ago.copy() for name in ("complained", "unresolved", "manager_left", "protected", "end")}
        flags = {name: no.copy() for name in ("active", "wave", "voluntary")}
        return cls(**codes, **months, **flags, spell=np.zeros(who.n, int), return_day=never)


class Log(defaultdict):
    """What happened, as lists of columns that become one frame per kind of happening."""

    def __init__(self):
        super().__init__(list)

    def add(self, kind: str, **columns) -> None:
        self[kind].append(columns)

    def frame(self, kind: str) -> pd.DataFrame:
        rows = self[kind]
        n = [len(row["customer"]) for row in rows]
        return pd.DataFrame(
            {c: np.concatenate([np.broadcast_to(r[c], k) for r, k in zip(rows, n, strict=True)]) for c in rows[0]}
        )


def relative_excess(who, s: State, i: np.ndarray, m: int, tenure: np.ndarray, without=frozenset()) -> np.ndarray:
    """Return the relative excess hazard of every voluntary cause: one row per cause, one column per customer of `i`."""
    label, x = str(p.MONTHS[m]), dict.fromkeys(CAUSES[:N_VOLUNTARY], 0.0)
    region, age, prepaid = who.region[i], who.age[i], who.prepaid[i]
    past_end = np.where(s.term[i] > 0, tenure - s.term[i], -1)
    x["contract_end"] = sum(excess * (past_end == late) for late, excess in p.CONTRACT_END.items())
    x["promotion"] = p.PROMOTION_EXCESS * (who.promotion[i] & (tenure < p.PROMOTION_MONTHS) & (s.spell[i] == 1))
    x["silent"] = p.SILENT_EXCESS * (who.silent_from[i] <= m)
    open_complaint = (s.unresolved[i] >= m - p.COMPLAINT_MONTHS) & (s.unresolved[i] < m)
    x["complaint"] = p.COMPLAINT_EXCESS * (open_complaint & ~s.wave[i])
    x["complaint_wave"] = p.COMPLAINT_EXCESS * (open_complaint & s.wave[i])
    left = s.manager_left[i]
    x["manager_left"] = p.MANAGER_LEFT_EXCESS * ((left < m) & (left >= m - p.MANAGER_LEFT_MONTHS))
    x["outage"] = p.OUTAGE.get(label, 0) * (region == OUTAGE_REGION)
    x["competitor"] = p.COMPETITOR.get(label, 0) * (
        COURTED[region] & (age >= p.COMPETITOR_AGES[0]) & (age <= p.COMPETITOR_AGES[1])
    )
    slow = p.OUTDATED_SLOPE * max(0, m - p.OUTDATED_FROM + 1)
    x["outdated"] = slow * (s.plan[i] == _PLANS.index(p.OUTDATED_PLAN))
    x["price_rise"] = p.PRICE_RISE.get(label, 0) * prepaid
    x["ordinary"] = 1.0
    return np.stack([np.broadcast_to(0.0 if c in without else x[c], len(i)) for c in x])


def hazards(
    who, s: State, i: np.ndarray, m: int, tenure: np.ndarray, log_level: float, without=frozenset()
) -> np.ndarray:
    """Return the hazard per day of every cause: one row per cause, one column per customer of `i`."""
    lock = np.where(tenure < s.term[i], p.LOCK_IN, 1.0)
    measure = np.where(s.protected[i] >= m, 1 - p.RETENTION["effect"], 1.0)
    voluntary = p.BASE * who.level[i] * PLAN_LEVEL[s.plan[i]] * TENURE_LEVEL[tenure] * lock * measure
    arrears = np.where(who.prepaid[i], p.INVOLUNTARY["prepaid"], p.INVOLUNTARY["postpaid"])
    arrears = (
        arrears * np.where(who.contactable[i], 1.0, p.INVOLUNTARY_NOT_CONTACTABLE) * (tenure >= p.INVOLUNTARY_FROM)
    )
    natural = np.full(len(i), p.NATURAL)
    all_causes = np.vstack([voluntary * relative_excess(who, s, i, m, tenure, without), arrears, natural])
    return all_causes * (np.exp(log_level) / p.DAYS_PER_MONTH)


@dataclass(frozen=True)
class Part:
    """A month's days before (or from) the anniversary of the start: the hazard is constant in it."""

    first: np.ndarray
    days: np.ndarray
    tenure: np.ndarray  # completed months
    hazard: np.ndarray  # per day: causes x customers


def parts_of_month(who, s: State, i: np.ndarray, m: int, log_level: float, without=frozenset()) -> tuple[Part, Part]:
    """Split a month at the anniversary of each customer's start: tenure is a completed month more from there on."""
    f, last, start = FIRST_DAY[m], LAST_DAY[m], s.start[i]
    started = month_of(start)
    days_in_month = int((p.MONTHS[m] + 1).astype("datetime64[D]").astype(int)) - f
    anniversary = f + np.minimum(start - FIRST_DAY[started], days_in_month - 1)
    turn = np.where(started == m, start, np.minimum(anniversary, last + 1))
    age = m - started
    before = hazards(who, s, i, m, np.maximum(age - 1, 0), log_level, without)
    after = hazards(who, s, i, m, age, log_level, without)
    first = np.maximum(start, f)
    return Part(first, turn - first, np.maximum(age - 1, 0), before), Part(turn, last + 1 - turn, age, after)


def run(who, season, noise, months, s: State, without=frozenset(), watch=None) -> Log:
    """Run the market through `months`, changing the state in place; `watch` sees every month's hazards (the truth)."""
    log = Log()
    for m in months:
        u = _draws(who.n, m)
        _win_back(who, s, m, u, log, without)
        _arrive(who, s, m)
        _retention(who, s, m, u, log, without)
        i = np.flatnonzero(s.active)
        parts = parts_of_month(who, s, i, m, season[m] + noise[m], without)
        ends = _ends(parts, u, i)
        if watch is not None:
            watch.see(m, s, i, parts, ends, noise[m])
            _ask(who, s, i[s.start[i] < FIRST_DAY[m]], m, log)
        _complain(who, s, i, m, u, ends, log, without)
        _leave(who, s, i, m, u, parts, ends, log)
        _move(who, s, m, u, log)
        _change_managers(s, m, u, log)
    return log


def _draws(n: int, m: int) -> SimpleNamespace:
    rng = np.random.default_rng([p.SEED, 1, m])
    names = "cause outcome comes_back gap complaint complaint_day resolved upgrade transfer day manager"
    names += " listed arm win win_day"
    uniform = {name: rng.random(n, dtype=np.float32) for name in names.split()}
    return SimpleNamespace(**uniform, time=(rng.standard_exponential(n), rng.standard_exponential(n)))


def _arrive(who, s: State, m: int) -> None:
    """Start the first spell of those who join this month, and the next spell of those who return."""
    new = who.joined == m
    s.active[new], s.spell[new] = True, 1
    back = ~s.active & (s.return_day >= FIRST_DAY[m]) & (s.return_day <= LAST_DAY[m])
    s.active[back], s.start[back], s.term[back] = True, s.return_day[back], 0
    s.spell[back] += 1
    s.return_day[back] = NEVER


def _ends(parts: tuple[Part, Part], u: SimpleNamespace, i: np.ndarray) -> np.ndarray:
    """Draw each customer's last day in this month, or NEVER: exponential times within each part, cut to whole days."""
    end = np.full(len(i), NEVER)
    for part, time in zip(reversed(parts), reversed(u.time), strict=True):  # an end before the anniversary wins
        waited = np.floor(time[i] / part.hazard.sum(0))
        end = np.where(waited < part.days, part.first + waited, end).astype(int)
    return end


def _leave(who, s: State, i, m: int, u, parts, ends, log: Log) -> None:
    """Record the spells that end: true cause, outcome as recorded, and the day of a later return."""
    gone = np.flatnonzero(ends < NEVER)
    k = i[gone]
    after = ends[gone] >= parts[1].first[gone]
    hazard = np.where(after, parts[1].hazard[:, gone], parts[0].hazard[:, gone])
    cause = (u.cause[k] * hazard.sum(0) > hazard.cumsum(0)).sum(0)
    outcome = np.select([cause < N_VOLUNTARY, cause == N_VOLUNTARY], ["voluntary", "involuntary"], "natural")
    lost = u.outcome[k] < np.where(who.contactable[k], *p.UNKNOWN_OUTCOME)
    outcome = np.where(lost, "unknown", outcome)
    log.add("spell", customer=k, spell=s.spell[k], start=s.start[k], end=ends[gone], cause=cause, outcome=outcome,
            plan=s.plan[k])  # fmt: skip
    s.active[k], s.end[k], s.voluntary[k] = False, ends[gone], outcome == "voluntary"
    comes_back = (u.comes_back[k] < p.RETURN) & (cause < N_VOLUNTARY) & (m >= OBSERVED)
    gap = p.RETURN_DAYS[0] + np.floor(u.gap[k] * (p.RETURN_DAYS[1] - p.RETURN_DAYS[0])).astype(int)
    s.return_day[k] = np.where(comes_back, ends[gone] + gap, NEVER)


def _complain(who, s: State, i, m: int, u, ends, log: Log, without) -> None:
    """Draw the complaints of this month; they act on the hazard from the next month on."""
    ordinary_rate, ordinary_share = p.COMPLAINT_RATE, p.UNRESOLVED_SHARE
    rate, share = np.full(len(i), ordinary_rate), np.full(len(i), ordinary_share)
    wave = p.WAVE.get(str(p.MONTHS[m])) if "outage" not in without else None
    if wave:
        touched = who.region[i] == OUTAGE_REGION
        rate, share = np.where(touched, wave[0], rate), np.where(touched, wave[1], share)
    day = FIRST_DAY[m] + np.floor(u.complaint_day[i] * (LAST_DAY[m] - FIRST_DAY[m] + 1)).astype(int)
    there = (s.start[i] < FIRST_DAY[m]) & (day <= ends)
    now = there & (u.complaint[i] < rate)
    open_ = now & (u.resolved[i] < share)
    due_to_wave = now & ((u.complaint[i] >= ordinary_rate) | (open_ & (u.resolved[i] >= ordinary_share)))
    k = i[now]
    log.add("complaint", customer=k, day=day[now], resolved=~open_[now], wave=due_to_wave[now])
    s.complained[k] = m
    s.unresolved[i[open_]], s.wave[i[open_]] = m, due_to_wave[open_]


def _ask(who, s: State, opening: np.ndarray, m: int, log: Log) -> None:
    """Ask a random sample of the opening base how satisfied it is; the score is blank for those who do not answer."""
    if m < OBSERVED:
        return
    rng = np.random.default_rng([p.SEED, 2, m])
    k = np.sort(rng.choice(opening, int(p.SIZE * p.SAMPLE), replace=False))
    touched = who.region[k] == OUTAGE_REGION
    shift = p.SCORE_OUTAGE.get(str(p.MONTHS[m]), 0) * touched + p.SCORE["prepaid"] * who.prepaid[k]
    shift = shift + p.SCORE["unresolved"] * ((s.unresolved[k] >= m - p.COMPLAINT_MONTHS) & (s.unresolved[k] < m))
    score = np.clip(np.rint(rng.normal(p.SCORE["mean"] + shift, p.SCORE["sd"])), 1, 10)
    answers = rng.random(len(k)) < p.RESPONSE
    day = np.minimum(FIRST_DAY[m] + rng.integers(0, 3, len(k)), LAST_DAY[m])
    log.add("satisfaction", customer=k, day=day, score=np.where(answers, score, 0))


def _move(who, s: State, m: int, u, log: Log) -> None:
    """Let customers take a newer plan on a day inside the month; some change brand: a transfer, no churn."""
    if m < OBSERVED:
        return
    rate = p.UPGRADE_NEW_PRODUCT[0] if m >= p.UPGRADE_NEW_PRODUCT[1] else p.UPGRADE
    open_to_it = s.active & (s.start < FIRST_DAY[m]) & (s.plan <= _PLANS.index("4G畅享"))  # the two 4G plans
    k = np.flatnonzero(open_to_it & (u.upgrade < rate) & (LAST_DAY[m] - FIRST_DAY[m] > 27))
    day = FIRST_DAY[m] + 1 + np.floor(u.day[k] * 26).astype(int)
    moves = (s.brand[k] < 2) & (u.transfer[k] < p.TRANSFER)
    log.add("move", customer=k, day=day, old_plan=s.plan[k], transfer=moves, old_brand=s.brand[k])
    s.plan[k] = _PLANS.index("5G畅享")
    s.brand[k[moves]] = list(p.BRANDS).index("133")


def _change_managers(s: State, m: int, u, log: Log) -> None:
    """Give customers a new account manager: a few at random, all of a manager who left the company."""
    if m < OBSERVED:
        return
    leaving = [int(name[-2:]) - 1 for name, when in p.MANAGERS_LEFT.items() if when == str(p.MONTHS[m])]
    orphaned = s.active & np.isin(s.manager, leaving)
    k = np.flatnonzero(
        orphaned | (s.active & (s.manager >= 0) & (u.manager < p.MANAGER_CHANGE) & (s.start < FIRST_DAY[m]))
    )
    k = k[s.start[k] < FIRST_DAY[m]] if LAST_DAY[m] - FIRST_DAY[m] > 14 else k[:0]
    gone = [int(name[-2:]) - 1 for name, when in p.MANAGERS_LEFT.items() if p.month(when) <= m]
    staff = np.setdiff1d(np.arange(p.N_MANAGERS), gone)
    new = staff[np.floor(u.transfer[k] * len(staff)).astype(int)]
    log.add("manager", customer=k, day=FIRST_DAY[m] + 14, old=s.manager[k], new=new, left=orphaned[k])
    s.manager[k] = new
    s.manager_left[k] = np.where(orphaned[k], m, s.manager_left[k])


def _retention(who, s: State, m: int, u, log: Log, without) -> None:
    """Call a random part of the customers at risk on the first of the month; the others of the list are the control."""
    if str(p.MONTHS[m]) != p.RETENTION["month"]:
        return
    touched = (who.region == OUTAGE_REGION) & (s.complained >= m - p.COMPLAINT_MONTHS)
    courted = COURTED[who.region] & (who.band == 1)
    at_risk = s.active & (s.start < FIRST_DAY[m]) & (touched | courted) & (u.listed < p.RETENTION["share"])
    k = np.flatnonzero(at_risk & who.contactable)
    treated = u.arm[k] < p.RETENTION["treated"]
    log.add("retention", customer=k, day=FIRST_DAY[m], treated=treated)
    if "retention" not in without:
        s.protected[k[treated]] = m + p.RETENTION["months"] - 1


def _win_back(who, s: State, m: int, u, log: Log, without) -> None:
    """Call those who left in the three months before: a share of the called returns because of it."""
    if str(p.MONTHS[m]) not in p.WIN_BACK["months"]:
        return
    contact = FIRST_DAY[m] + 4
    recent = ~s.active & s.voluntary & (s.end >= FIRST_DAY[m] - 92) & (s.return_day > contact)
    k = np.flatnonzero(recent & who.contactable)
    treated = u.arm[k] < p.WIN_BACK["treated"]
    moved = treated & (u.win[k] < p.WIN_BACK["effect"]) & ("win_back" not in without)
    won = k[moved]
    s.return_day[won] = np.minimum(s.return_day[won], contact + 3 + np.floor(u.win_day[won] * 40).astype(int))
    log.add("win_back", customer=k, day=contact, treated=treated, won=moved)


def worlds(who, season, noise, at: dict[int, State]) -> dict[str, pd.Series]:
    """Run the market again without each cause: ended spells by month, under the same random numbers.

    `at` holds the state at the start of some months; each run begins at the last one before its cause acts.
    """
    outage = {"outage", "complaint_wave"}
    runs = {"outage": outage, "competitor": {"competitor"}, "outdated": {"outdated"}, "price_rise": {"price_rise"},
            "all_four": outage | {"competitor", "outdated", "price_rise"}, "retention": {"retention"}}  # fmt: skip
    ended = {}
    for name, causes in runs.items():
        begin = min(at) if "outdated" in causes else max(at)
        log = run(who, season, noise, range(begin, len(p.MONTHS)), deepcopy(at[begin]), frozenset(causes))
        ended[name] = pd.Series(month_of(log.frame("spell")["end"].to_numpy())).value_counts().sort_index()
    return ended
