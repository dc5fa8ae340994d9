"""Simulate the sample distributor: write its files, and the truth behind them, into the current folder.

Run as `python simulate.py`, or with another seed and size as `python simulate.py 7 0.5`; same seed, same bytes.
`parameters.py` says what is true, this script lets it happen, `records.py` keeps the distributor's books.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy.special import gammaincc, ndtri

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
MONTHS = np.arange(month_of(OBSERVED) + 3, month_of(AS_OF) + 1)  # the first three months can show no churn
CAUSES = [*p.CAUSES, *p.STAYS]
LIMIT, DAYS_PER_MONTH = 3, 30.4375
HALF_YEARS = 6 * np.arange(month_of(day_of(p.OPENED)) // 6, month_of(AS_OF) // 6 + 1)  # their first months


def stream(name: str) -> np.random.Generator:
    """Return the random numbers of one part of the simulation: a change in one part leaves the others as they are."""
    return np.random.default_rng([p.SEED, *name.encode()])


def customers(rng: np.random.Generator) -> SimpleNamespace:
    """Return everybody who ever became a customer, in the order of joining: arrays, one entry each."""
    opened = month_of(day_of(p.OPENED))
    month = np.repeat(np.arange(opened, MONTHS[-1]), rng.poisson(p.JOIN * p.SIZE, MONTHS[-1] - opened))
    n = len(month)
    who = SimpleNamespace(n=n, joined=first_of(month) + rng.integers(0, 28, n))
    who.region = words(rng, {name: share for name, (share, _) in p.REGIONS.items()}, n)
    # the sizes are the quantiles themselves, so that the share of the largest fifth is no accident
    who.size = p.MEDIAN * np.exp(p.SIGMA * ndtri((rng.permutation(n) + 0.5) / n))
    who.band = (12 * who.size[:, None] < np.array(list(p.BANDS.values()))).sum(1)
    edges = np.cumsum(p.KIND_BY_SIZE, 1)[who.band]
    who.kind = np.array(p.KINDS, object)[(rng.random((n, 1)) > edges).sum(1).clip(max=len(p.KINDS) - 1)]
    staff, first = {}, 1
    for region, (_, n_staff) in p.REGIONS.items():
        staff[region], first = [f"代表{first + j:02d}" for j in range(n_staff)], first + n_staff
    who.rep = np.array([staff[r][int(u * len(staff[r]))] for r, u in zip(who.region, rng.random(n), strict=True)])
    who.left = np.array([day_of(p.LEAVES[r]) if r in p.LEAVES else NEVER for r in who.rep])
    rare = (who.band == 3) & (rng.random(n) < p.RARE[0])
    who.gap = np.array(p.GAP_DAYS)[who.band] * rng.lognormal(0, 0.1, n) * np.where(rare, p.RARE[1], 1.0)
    who.on_desk = (who.band == 3) & (rng.random(n) < p.DESK[1])
    who.condition = words(rng, p.CONDITIONS, n)[:, None].repeat(len(HALF_YEARS), 1)
    for j in range(1, len(HALF_YEARS)):
        changes = rng.random(n) < p.CONDITION_CHANGES
        who.condition[:, j] = np.where(changes, words(rng, p.CONDITIONS, n), who.condition[:, j - 1])
    who.declined = np.maximum(who.joined, OBSERVED) + 200 + rng.exponential(DAYS_PER_MONTH / p.DECLINES, n).astype(int)
    fallen = (who.left > who.joined) & (who.left < NEVER) & (rng.random(n) < p.FALLS[0])
    who.declined = np.where(fallen, np.minimum(who.left + 1, who.declined), who.declined)
    return who


def _within(day: np.ndarray, first: str, last: str) -> np.ndarray:
    return (day >= day_of(first)) & (day <= day_of(last))


def hazards(who: SimpleNamespace, k: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Return the monthly hazard of being lost at an order: orders x causes."""
    h = np.array(list(p.CAUSES.values())).T[who.band[k]]
    at = list(p.CAUSES).index
    weak = who.condition[k, month_of(day) // 6 - HALF_YEARS[0] // 6] == "一般"
    h[:, at("solvency")] *= np.where(weak, 10.0, 1.0)
    h[:, at("neglected")] *= np.where(who.on_desk[k] & (day >= day_of(p.DESK[0])), p.DESK[2], 1.0)
    orphaned = (day > who.left[k]) & (day <= who.left[k] + p.TAKEN[1])
    h[:, at("staff_left")] = np.array(p.TAKEN[0])[who.band[k]] * orphaned
    pharmacy = np.isin(who.kind[k], ("连锁药店", "单体药店"))
    h[:, at("grey_market")] = p.GREY[2] * (pharmacy & (who.region[k] == "华东") & _within(day, *p.GREY[:2]))
    h[:, at("rebate")] = p.REBATE[2] * ((who.kind[k] == "连锁药店") & _within(day, *p.REBATE[:2]))
    return h


def histories(rng: np.random.Generator, who: SimpleNamespace) -> pd.DataFrame:
    """Return every order until as_of: one row each, with what followed.

    customer, number, day, due (last day as a customer if silence follows), next, until (the stock lasts), cause (of the
    loss; "rare" or "pushed" for those not lost), and one column per cause: the chance of churning by it at `due`.
    """
    k, day, number, orders = np.arange(who.n), who.joined.copy(), 0, []
    while len(k):
        n, due = len(k), add_months(day, LIMIT)
        q, may = chances(who, k, day, due)
        cause = (rng.random((n, 1)) > q[:, : len(p.CAUSES)].cumsum(1)).sum(1)
        pushed = may & (rng.random(n) < p.PUSH[3])
        cause = np.where(cause < len(p.CAUSES), cause, len(p.CAUSES) + pushed)
        gap = np.maximum(2, np.rint(rng.gamma(p.GAP_SHAPE, who.gap[k] / p.GAP_SHAPE))).astype(int) + p.PUSH[4] * pushed
        chance, low, high = p.COMES_BACK
        back = (rng.random(n) < chance) & (cause != CAUSES.index("closed"))
        back = np.where(back, day + rng.integers(low, high, n), NEVER)
        next_ = np.where(cause < len(p.CAUSES), back, day + gap)
        orders.append(pd.DataFrame({"customer": k, "number": number, "day": day, "due": due, "next": next_}))
        orders[-1]["until"] = np.minimum(day + gap, next_)
        orders[-1][["cause", *CAUSES]] = np.column_stack([cause, q])
        k, day, number = k[next_ <= AS_OF], next_[next_ <= AS_OF], number + 1
    return pd.concat(orders, ignore_index=True)


def chances(who: SimpleNamespace, k: np.ndarray, day: np.ndarray, due: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the chance of churning at `due`: orders x causes; and to whom stock may be pushed."""
    h, months = hazards(who, k, day), who.gap[k] / DAYS_PER_MONTH
    lost = 1 - np.exp(-h.sum(1) * months)
    region, first, last, share, stock = p.PUSH
    may = (who.region[k] == region) & _within(day, first, last)
    late = [gammaincc(p.GAP_SHAPE, (due - day - more + 0.5).clip(0) * p.GAP_SHAPE / who.gap[k]) for more in (0, stock)]
    by_cause = h / np.maximum(h.sum(1, keepdims=True), 1e-12) * lost[:, None]
    rare, pushed = (1 - lost) * (1 - share * may) * late[0], (1 - lost) * share * may * late[1]
    return np.column_stack([by_cause, rare, pushed]), may


def on_file(who: SimpleNamespace, orders: pd.DataFrame) -> tuple[SimpleNamespace, pd.DataFrame]:
    """Leave out who never ordered since the records begin; the others are numbered anew."""
    kept = np.unique(orders["customer"][orders["day"] >= OBSERVED])
    rest = SimpleNamespace(**{name: v[kept] for name, v in vars(who).items() if name != "n"}, n=len(kept))
    orders = orders[orders["customer"].isin(kept)].reset_index(drop=True)
    return rest, orders.assign(customer=np.searchsorted(kept, orders["customer"]))


def rep_on(who: SimpleNamespace, day: int) -> np.ndarray:
    """Return everybody's representative on a day."""
    swapped, a, b = p.SWAP
    rep = who.rep.copy()
    if day >= day_of(swapped):
        rep = np.select([who.rep == a, who.rep == b], [b, a], rep)
    for (name, left), next_ in zip(p.LEAVES.items(), p.SUCCESSORS, strict=True):
        rep = np.where((who.rep == name) & (day > day_of(left)), next_, rep)
    return rep


def stated(rng: np.random.Generator, who: SimpleNamespace, lost: pd.DataFrame) -> pd.DataFrame:
    """Return what the forms of all lost customers would say, and which of them were filled in, in `follow_up`."""
    cause, n = lost["cause"].to_numpy(int), len(lost)
    main = main_reasons({c: p.SAYS[c] for c in CAUSES}, {w: 0.02 + extra for w, (_, extra) in p.WORDS.items()})
    table = pd.DataFrame(tick(rng, cause, main, np.array([e for _, e in p.WORDS.values()])), columns=list(p.WORDS))
    chance, u = np.array(p.ANSWERED)[who.band[lost["customer"]]], rng.random(n)
    others = words(rng, {"未回访": 50, "无人接听": 25, "拒绝回答": 15, "停机": 10}, n)
    table["follow_up"] = np.where(u < chance, "已回访", others)
    table["filled"] = lost["due"].to_numpy() + rng.integers(2, 20, n)
    return pd.concat([lost.reset_index(drop=True), table], axis=1)


def sell_through(rng: np.random.Generator, who: SimpleNamespace, orders: pd.DataFrame) -> pd.DataFrame:
    """Return the sales by the customers while their stock lasts: customer, month, day (its last), amount (fen)."""
    first, last = month_of(orders["day"].to_numpy()), month_of(orders["until"].to_numpy())
    n = last - first + 1
    months = np.arange(n.sum()) - np.repeat(n.cumsum() - n, n) + np.repeat(first, n)
    table = pd.DataFrame({"customer": np.repeat(orders["customer"].to_numpy(), n), "month": months}).drop_duplicates()
    table = table[(table["month"] >= month_of(OBSERVED)) & (table["month"] < month_of(AS_OF))]
    table = table.sort_values(["month", "customer"], ignore_index=True)
    k, m = table["customer"].to_numpy(), table["month"].to_numpy()
    level = who.size[k] * np.array(p.SEASON)[m % 12] * np.where(month_of(who.declined[k]) < m, p.FALLS[1], 1.0)
    amount = 100 * np.maximum(1, np.rint(level * rng.lognormal(0, 0.15, len(k)))).astype(int)
    return table.assign(day=first_of(m + 1) - 1, amount=amount)


def departures(who: SimpleNamespace, lost: pd.DataFrame, orders: pd.DataFrame, spells: pd.DataFrame) -> dict:
    """Return by representative who left: customers on that day, those of them lost within nine months, and expected."""
    out = {}
    for name, left in p.LEAVES.items():
        day = day_of(left)
        k = spells["customer"][(spells["entry"] <= day) & (spells["end"] >= day)]
        k = k[who.rep[k] == name]
        rows = orders[orders["customer"].isin(k) & (orders["day"] > day) & (orders["day"] <= day + p.TAKEN[1])]
        gone = lost[lost["customer"].isin(k) & (lost["day"] > day) & (lost["day"] <= day + p.TAKEN[1])]
        taken = int((gone["cause"] == CAUSES.index("staff_left")).sum())
        chance = float(rows["staff_left"].sum().round(2))
        numbers = {"n_customers": len(k), "n_lost": len(gone), "n_taken": taken, "n_taken_expected": chance}
        out[name] = {"left": left, **numbers, "n_declined": int((who.declined[k] == day + 1).sum())}
    return out


def the_truth(world: SimpleNamespace) -> dict:
    """Return what truth.json says; README.md explains each part."""
    who, orders, sales, there = world.who, world.orders, world.sales, world.spells
    seen = orders[(orders["day"] >= OBSERVED) & (orders["due"] <= AS_OF)]
    levels = {"all": np.full(who.n, "all"), "region": who.region, "kind": who.kind}
    levels |= {"band": np.array(list(p.BANDS))[who.band], "representative": lambda first: rep_on(who, int(first))}
    of_2025 = sales[sales["day"] >= day_of("2025-01-01")].groupby("customer")["amount"].sum().sort_values()
    sold = sales[sales["day"] >= OBSERVED][["customer", "day"]]
    listed = there[(there["entry"] < day_of(p.DESK[0])) & (there["end"] >= day_of(p.DESK[0]))]
    listed = listed[who.band[listed["customer"]] == 3]
    gone = (listed["end"] <= day_of("2025-12-31")).to_numpy()
    ledgers = {"inactive": there, "sell_through": silent_spells(sold, LIMIT, OBSERVED, AS_OF, who.joined)}
    return stated_by_year(world.lost, {word: reason for word, (reason, _) in p.WORDS.items()}, CAUSES) | {
        "months": [str(np.datetime64(int(m), "M")) for m in MONTHS],
        "ledger": {name: silent_ledger(spells, MONTHS) for name, spells in ledgers.items()},
        "expected": expected_losses(there, seen[["customer", *CAUSES]].assign(m=month_of(seen["due"])), MONTHS, levels),
        "departures": departures(who, world.lost, orders, there),
        "share_of_largest_fifth": round(float(of_2025.iloc[-round(len(of_2025) / 5) :].sum() / of_2025.sum()), 4),
        "desk": by_arm(who.on_desk[listed["customer"]], gone) | {"neglect_left": p.DESK[2]},
        "declines": {str(d): int(n) for d, n in _declines(who, sales).items()},
    }


def _declines(who: SimpleNamespace, sales: pd.DataFrame) -> pd.Series:
    """Return by month the customers whose lasting fall to a third begins, and who go on selling for a year."""
    last = sales.groupby("customer")["month"].max().reindex(np.arange(who.n)).fillna(0).to_numpy()
    month = month_of(np.minimum(who.declined, NEVER)) + 1
    return pd.Series(month[last >= month + 12].astype("datetime64[M]").astype(str)).value_counts().sort_index()


def simulate() -> SimpleNamespace:
    """Let it happen since the distributor opened; return everything that is to be written down."""
    who = customers(stream("customers"))
    who, orders = on_file(who, histories(stream("histories"), who))
    spells = silent_spells(orders, LIMIT, OBSERVED, AS_OF, who.joined)
    lost = orders[(orders["next"] > orders["due"]) & (orders["due"] <= AS_OF) & (orders["day"] >= OBSERVED)]
    lost = stated(stream("stated"), who, lost.sort_values(["due", "customer"], kind="stable"))
    sales = sell_through(stream("sales"), who, orders)
    return SimpleNamespace(who=who, orders=orders, spells=spells, lost=lost, sales=sales)


def main() -> None:
    """Simulate, and write all files into the current folder."""
    world = simulate()
    told = records.write(world, stream, rep_on)
    text = json.dumps(told | the_truth(world), ensure_ascii=False, indent=1)
    Path("truth.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name, value in zip(("SEED", "SIZE"), sys.argv[1:], strict=False):
        setattr(p, name, type(getattr(p, name))(value))
    main()
