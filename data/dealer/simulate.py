"""Simulate the sample car dealer: write its files, and the truth behind them, into the current folder.

Run as `python simulate.py`, or with another seed and size as `python simulate.py 7 0.1`; same seed, same bytes.
`parameters.py` says what is true, this script lets it happen, `records.py` keeps the dealer's books.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy.special import gammaincc

sys.path.append(str(Path(__file__).resolve().parents[1]))  # data/: what the simulated data sets share

import parameters as p
import records
from simulation import (
    NEVER,
    add_months,
    by_arm,
    day_of,
    expected_losses,
    first_of,
    main_reasons,
    month_of,
    silent_ledger,
    silent_spells,
    stated_by_year,
    tick,
    words,
)

OBSERVED, AS_OF = day_of(p.OBSERVED_FROM), day_of(p.AS_OF)
MONTHS = np.arange(month_of(add_months(OBSERVED, 12)), month_of(AS_OF) + 1)  # the first year can show no churn
CAUSES = [*p.CAUSES, "rare"]
GONE = np.isin(CAUSES, p.GONE)


def stream(name: str) -> np.random.Generator:
    """Return the random numbers of one part of the simulation: a change in one part leaves the others as they are."""
    return np.random.default_rng([p.SEED, *name.encode()])


def vehicles(rng: np.random.Generator) -> SimpleNamespace:
    """Return all vehicles: arrays, one entry each, the first `n_regular` in the order of joining, then the pass-by."""
    opened, since = month_of(day_of(p.OPENED)), month_of(OBSERVED)
    months = [np.repeat(np.arange(opened, MONTHS[-1]), rng.poisson(p.JOIN * p.SIZE, MONTHS[-1] - opened))]
    months.append(np.repeat(np.arange(since, MONTHS[-1]), rng.poisson(p.PASS_BY[0] * p.SIZE, MONTHS[-1] - since)))
    month = np.concatenate(months)
    n = len(month)
    who = SimpleNamespace(n=n, n_regular=len(months[0]), joined=first_of(month) + rng.integers(0, 28, n))
    who.pass_by = np.arange(n) >= who.n_regular
    who.province = words(rng, {name: share for name, (share, _) in p.PROVINCES.items()}, n)
    who.model = words(rng, {name: share for name, (share, _) in p.MODELS.items()}, n)
    far = who.province != "安徽"
    who.km = np.clip(np.rint(np.where(far, rng.normal(130, 35, n), rng.lognormal(2.2, 0.8, n))), 1, 400).astype(int)
    who.adviser = rng.integers(0, p.ADVISERS, n)
    who.reach = np.linspace(*p.REACH, p.ADVISERS)[who.adviser]
    share, times = p.LOW_USE
    who.gap = p.GAP_DAYS * rng.lognormal(0, 0.15, n) * np.where(rng.random(n) < share, times, 1.0)
    who.warranty_end = add_months(who.joined, p.WARRANTY_MONTHS) - 1
    return who


def chances(who: SimpleNamespace, k: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Return the chance of being lost at a visit: visits x causes, the last one ("rare") zero.

    In or out of warranty counts at the time of the next service, half a year on.
    """
    out = day + 182 > who.warranty_end[k]
    inside, outside = np.array([*p.CAUSES.values(), (0, 0)]).T
    q = np.where(out[:, None], outside, inside)
    at = CAUSES.index
    q[:, at("other_station")] *= np.array([p.PROVINCES[name][1] for name in who.province[k]])
    q[:, at("repair_shop")] *= np.where(who.km[k] > 30, 1.5, 1.0)
    q[:, at("quality")] *= np.array([p.MODELS[name][1] for name in who.model[k]])
    first, last, added = p.PRICE_RISE
    q[:, at("price")] += added * (out & (day >= day_of(first)) & (day <= day_of(last)))
    q[:, at("chain_shop")] = p.CHAIN_OPENS[1] * (out & (who.km[k] <= 15) & (day >= day_of(p.CHAIN_OPENS[0])))
    q[:, at("waiting")] *= np.where(day >= day_of(p.FAST_LANE[0]), p.FAST_LANE[1], 1.0)
    return q


def histories(rng: np.random.Generator, who: SimpleNamespace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return every visit until as_of (the joining is number 0), with what followed, and who was on the win-back lists.

    Visits: customer, number, day, due (last day as a customer if silence follows), next, cause (of the loss; "rare" for
    those not lost), and `chance`: one column per cause, that of churning by it at `due`.
    """
    k, day, number = np.arange(who.n_regular), who.joined[: who.n_regular], 0
    visits, lists = [], []
    while len(k):
        q, due = chances(who, k, day), add_months(day, 12)
        cause = (rng.random((len(k), 1)) > q.cumsum(1)).sum(1).clip(max=len(CAUSES) - 1)
        next_ = day + np.maximum(2, np.rint(rng.gamma(p.GAP_SHAPE, who.gap[k] / p.GAP_SHAPE))).astype(int)
        share, low, high = p.COMES_BACK
        back = np.where(rng.random(len(k)) < share, day + rng.integers(low, high, len(k)), NEVER)
        lost = cause < CAUSES.index("rare")
        next_ = np.where(lost, np.where(GONE[cause], NEVER, back), next_)
        q[:, -1] = (1 - q.sum(1)) * gammaincc(p.GAP_SHAPE, (due - day + 0.5) * p.GAP_SHAPE / who.gap[k])
        for name, months in (("at_risk", 9), ("lost", 12)):
            listed, won = _list(rng, who, k, day, next_, cause, name, months)
            lists.append(listed)
            next_ = np.minimum(next_, won)
            if name == "at_risk":
                q = np.where(GONE, q, q * (1 - _saved(who, k, day))[:, None])
        visits.append(pd.DataFrame({"customer": k, "number": number, "day": day, "due": due, "next": next_}))
        visits[-1][["cause", *CAUSES]] = np.column_stack([cause, q])
        k, day, number = k[next_ <= AS_OF], next_[next_ <= AS_OF], number + 1
    return pd.concat(visits, ignore_index=True), pd.concat(lists, ignore_index=True)


def _list_day(day: np.ndarray, months: int) -> np.ndarray:
    return first_of(month_of(add_months(day, months)) + 1)


def _saved(who: SimpleNamespace, k: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Return the share of the silent whom the at-risk list brings back before they churn."""
    on = _list_day(day, 9)
    there = (on >= day_of(p.LISTS_FROM)) & (on <= AS_OF)
    return there * p.TREATED * who.reach[k] * p.WON["at_risk"]


def _list(rng, who, k, day, next_, cause, name: str, months: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Put the vehicles on a win-back list; return the list, and the day on which those who were won come back."""
    on, n = _list_day(day, months), len(k)
    listed = (next_ > on) & (on >= day_of(p.LISTS_FROM)) & (on <= AS_OF)
    treated, reached = rng.random(n) < p.TREATED, rng.random(n) < who.reach[k]
    won = listed & treated & reached & (rng.random(n) < p.WON[name]) & ~GONE[cause]
    back = np.where(won, on + rng.integers(3, 50, n), NEVER)
    table = {"customer": k, "day": on, "list": name, "treated": treated, "reached": reached & treated, "won": won}
    return pd.DataFrame(table | {"next": np.minimum(next_, back)})[listed], back


def passing(rng: np.random.Generator, who: SimpleNamespace) -> pd.DataFrame:
    """Return the visits of pass-by vehicles."""
    k = np.flatnonzero(who.pass_by)
    again = k[rng.random(len(k)) < p.PASS_BY[1]]
    day = np.concatenate([who.joined[k], who.joined[again] + rng.integers(1, 20, len(again))])
    return pd.DataFrame({"customer": np.concatenate([k, again]), "number": 1, "day": np.minimum(day, AS_OF)})


def stated(rng: np.random.Generator, lost: pd.DataFrame) -> pd.DataFrame:
    """Return what the lost would tick, and what came of calling them within a week of the list, in `follow_up`."""
    cause, n = lost["cause"].to_numpy(int), len(lost)
    main = main_reasons({c: p.SAYS[c] for c in CAUSES}, {r: 0.02 + extra for r, (_, extra) in p.WORDS.items()})
    table = pd.DataFrame(tick(rng, cause, main, np.array([e for _, e in p.WORDS.values()])), columns=list(p.WORDS))
    chance = p.ANSWERED * np.array([p.ANSWER_BY_CAUSE.get(c, 1.0) for c in CAUSES])[cause]
    u, kinds = rng.random(n), words(rng, p.UNREACHED, n)
    wrong = rng.random(n) < p.WRONG_NUMBER
    for month, quota in p.WRONG_NUMBERS.items():  # of the last months exactly so many
        inside = np.flatnonzero(
            (month_of(lost["due"]) == np.datetime64(month).astype(int)) & (u >= chance + p.DECLINED)
        )
        wrong[inside] = np.isin(inside, rng.permutation(inside)[: max(1, round(quota * p.SIZE))])
    table["follow_up"] = np.select(
        [u < chance, u < chance + p.DECLINED, wrong], ["已回访", "拒绝回答", "号码有误"], kinds
    )
    table["called"] = first_of(month_of(lost["due"]) + 1) + rng.integers(0, 7, n)
    return pd.concat([lost.reset_index(drop=True), table], axis=1)


def expected(who: SimpleNamespace, visits: pd.DataFrame, spells: pd.DataFrame) -> dict:
    """Return by segment, level and month: opening base, its losses, and those expected from the chances, by cause."""
    seen = visits[(visits["day"] >= OBSERVED) & (visits["due"] <= AS_OF)]
    levels = {
        "all": np.full(who.n, "all"),
        "warranty": lambda first: np.where(who.warranty_end >= first, "保内", "保外"),
        "province": who.province,
        "distance": np.select([who.km < 15, who.km < 30, who.km < 60], ["0-15", "15-30", "30-60"], "60+"),
        "model": who.model,
    }
    return expected_losses(spells, seen[["customer", *CAUSES]].assign(m=month_of(seen["due"])), MONTHS, levels)


def the_truth(world: SimpleNamespace) -> dict:
    """Return what truth.json says; README.md explains each part."""
    lost, lists, visits = world.lost, world.lists, world.visits
    month = month_of(lost["due"]).astype("datetime64[M]").astype(str)
    out = stated_by_year(lost, {reason: reason for reason in p.WORDS}, CAUSES) | {"campaigns": {}}
    for name, rows in lists[lists["day"] + 50 <= AS_OF].groupby("list"):
        came = (rows["next"] <= rows["day"] + 50).to_numpy()
        out["campaigns"][name] = by_arm(rows["treated"].to_numpy(), came) | {
            "n_because": int(rows["won"].sum()), "effect_if_reached": p.WON[name]}  # fmt: skip
    follow_up = lost.groupby([month, "follow_up"]).size()
    gaps = (visits["next"] - visits["day"])[(visits["number"] > 0) & (visits["cause"] == CAUSES.index("rare"))]
    return out | {
        "follow_up": {m: follow_up[m].astype(int).to_dict() for m in sorted(set(month))},
        "median_gap_days": float(gaps.median()),
        "months": [str(np.datetime64(int(m), "M")) for m in MONTHS],
        "ledger": silent_ledger(world.spells, MONTHS),
        "expected": expected(world.who, visits, world.spells),
    }


def simulate() -> SimpleNamespace:
    """Let five years (and the five before the records begin) happen; return everything that is to be written down."""
    who = vehicles(stream("vehicles"))
    visits, lists = histories(stream("histories"), who)
    active = visits[visits["number"] > 0]
    spells = silent_spells(active, 12, OBSERVED, AS_OF, who.joined[: who.n_regular])
    lost = visits[(visits["next"] > visits["due"]) & (visits["due"] <= AS_OF) & (visits["day"] >= OBSERVED)]
    lost = stated(stream("stated"), lost.sort_values(["due", "customer"], kind="stable"))
    return SimpleNamespace(
        who=who, visits=visits, lists=lists, spells=spells, lost=lost, passing=passing(stream("passing"), who)
    )


def main() -> None:
    """Simulate, and write all files into the current folder."""
    world = simulate()
    told = records.write(world, stream)
    text = json.dumps(told | the_truth(world), ensure_ascii=False, indent=1)
    Path("truth.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name, value in zip(("SEED", "SIZE"), sys.argv[1:], strict=False):
        setattr(p, name, type(getattr(p, name))(value))
    main()
