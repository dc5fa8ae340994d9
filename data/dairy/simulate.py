"""Simulate the sample dairy brand's online shop: write its files, and the truth behind them, into the current folder.

Run as `python simulate.py`, or with another seed and size as `python simulate.py 7 0.1`; same seed, same bytes. Every
number that the shop is made from stands at the top. A member who buys decides there and then: leaves for a cause with a
known chance, begins to fade, or buys again after a gap; the food-safety crisis asks all who have not bought since.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy.special import gammaincc

sys.path.append(str(Path(__file__).resolve().parents[1]))  # data/: what the simulated data sets share

from simulation import (
    NEVER,
    by_arm,
    day_of,
    days,
    expected_losses,
    first_of,
    month_of,
    repeat,
    rewrite,
    silent_ledger,
    silent_spells,
    words,
    write_csv,
    yuan,
)

SEED, SIZE = 21, 1.0
OPENED, OBSERVED, AS_OF = day_of("2020-01-01"), day_of("2022-01-01"), day_of("2026-01-06")
MONTHS = np.arange("2022-04", "2026-01", dtype="datetime64[M]").astype(int)  # the first 90 days can show no churn
LIMIT = 90
JOIN = 270  # new members in a month
JOIN_AFTER = (
    (day_of("2024-09-10"), 0.45),
    (day_of("2025-01-01"), 0.8),
)  # share of them that still comes, from a day on
LINES = {"婴幼儿奶粉": 0.26, "常温奶": 0.44, "低温鲜奶": 0.30}
REGIONS = {"华东": 0.36, "华北": 0.26, "华南": 0.22, "西部": 0.16}
CHANNELS = {"小程序": 0.5, "门店扫码": 0.3, "直播间": 0.2}
GAP, SHAPE = {"婴幼儿奶粉": 30, "常温奶": 27, "低温鲜奶": 17}, 4  # days between two purchases
OCCASIONAL = 0.12, 2.6  # members who buy seldom: share, gaps times

CRISIS = day_of("2024-09-10")
SHOCK = {"婴幼儿奶粉": 0.30, "常温奶": 0.10, "低温鲜奶": 0.10}  # leave at once
DISTRUST = {"婴幼儿奶粉": 0.10, "常温奶": 0.03, "低温鲜奶": 0.03}  # and by purchase afterwards, fading with 120 days
MEASURES, MEASURES_LEAVE = day_of("2024-11-15"), 0.5  # traceability code and open factory: share of distrust left
SMALLER = 0.75, 240  # the amounts fall to that share on the day of the crisis, back with so many days
CAUSES = {"price": 0.006, "delivery": 0.007, "quality": 0.004, "competitor": 0.005, "life_stage": 0.0, "faded": 0.0}
ALL = [*CAUSES, "crisis", "rare"]  # "rare": not lost at all, a long gap
GROWN_UP = 0.014  # infant formula only: by purchase
LIVE = 2.5  # members from live streams: price times
FADING = 0.012, 0.22, 1.7  # begin to fade, leave once fading (both by purchase), gaps times
COMES_BACK = 0.10, 100, 300  # of the lost (no grown-up children), after so many days
VOUCHER, TREATED, WON = day_of("2025-02-10"), 0.6, (0.03, 0.15)  # lost to the crisis: back by themselves, by voucher

EVENTS = [
    ("2024-09-10", "", "危机", "行业食品安全事件曝光", "a food-safety crisis of the industry", ""),
    ("2024-11-15", "", "公司措施", "追溯码与开放工厂", "traceability code and open factory", ""),
]


def stream(name: str) -> np.random.Generator:
    """Return the random numbers of one part of the simulation: a change in one part leaves the others as they are."""
    return np.random.default_rng([SEED, *name.encode()])


def members(rng: np.random.Generator) -> SimpleNamespace:
    """Return all members in the order of joining, who join with a first purchase: arrays, one entry each."""
    months = np.arange(month_of(OPENED), MONTHS[-1] + 1)
    joined = np.repeat(first_of(months), rng.poisson(JOIN * SIZE, len(months)))
    joined = np.sort(joined + rng.integers(0, 28, len(joined)))
    share = np.ones(len(joined))
    for since, left in JOIN_AFTER:
        share[joined >= since] = left
    joined = joined[rng.random(len(joined)) < share]
    n = len(joined)
    who = SimpleNamespace(n=n, joined=joined, line=words(rng, LINES, n), region=words(rng, REGIONS, n))
    who.channel = words(rng, CHANNELS, n)
    share, times = OCCASIONAL
    gap = np.array([GAP[line] for line in who.line]) * rng.lognormal(0, 0.2, n)
    who.gap = gap * np.where(rng.random(n) < share, times, 1.0)
    return who


def chances(who: SimpleNamespace, k: np.ndarray, day: np.ndarray, fading: np.ndarray) -> np.ndarray:
    """Return the chance of being lost at a purchase: purchases x causes, the last one ("rare") zero."""
    q = np.tile(np.array([*CAUSES.values(), 0, 0]), (len(k), 1))
    at = ALL.index
    q[:, at("price")] *= np.where(who.channel[k] == "直播间", LIVE, 1.0)
    q[:, at("life_stage")] = np.where(who.line[k] == "婴幼儿奶粉", GROWN_UP, 0.0)
    q[:, at("faded")] = np.where(fading, FADING[1], 0.0)
    since = np.maximum(day - CRISIS, 0) / 120
    left = np.where(day >= MEASURES, MEASURES_LEAVE, 1.0) * (day >= CRISIS)
    q[:, at("crisis")] = np.array([DISTRUST[line] for line in who.line[k]]) * np.exp(-since) * left
    return q


def histories(rng: np.random.Generator, who: SimpleNamespace) -> pd.DataFrame:
    """Return every purchase until as_of with what followed: one row each, and a column per cause with its chance.

    Columns: customer, number, day, due (last day as a member if silence follows), next, cause, on_list, treated, won.
    """
    k, day, number, fading, rows = np.arange(who.n), who.joined, 0, np.zeros(who.n, bool), []
    while len(k):
        n, q, mean = len(k), chances(who, k, day, fading), who.gap[k] * np.where(fading, FADING[2], 1.0)
        cause = (rng.random((n, 1)) > q.cumsum(1)).sum(1).clip(max=len(ALL) - 1)
        lost = cause < ALL.index("rare")
        next_ = day + np.maximum(1, np.rint(rng.gamma(SHAPE, mean / SHAPE))).astype(int)
        asked, shock = (day < CRISIS) & (day + LIMIT >= CRISIS), np.array([SHOCK[line] for line in who.line[k]])
        waits = gammaincc(SHAPE, np.maximum(CRISIS - day - 0.5, 0) * SHAPE / mean)  # has not bought before the crisis
        rare = gammaincc(SHAPE, (LIMIT + 0.5) * SHAPE / mean) * np.where(asked, 1 - shock, 1.0)
        stays = 1 - q.sum(1)
        q[:, -1], q[:, -2] = stays * rare, q[:, -2] + stays * waits * shock * asked
        shocked = ~lost & asked & (next_ >= CRISIS) & (rng.random(n) < shock)
        cause = np.where(shocked, ALL.index("crisis"), cause)
        share, low, high = COMES_BACK
        returns = (rng.random(n) < share) & (cause != ALL.index("life_stage"))
        next_ = np.where(lost | shocked, np.where(returns, day + rng.integers(low, high, n), NEVER), next_)
        on_list = shocked & (day + LIMIT < VOUCHER) & (next_ > VOUCHER)
        treated, won = rng.random(n) < TREATED, rng.random(n)
        won = on_list & (won < np.where(treated, WON[1], WON[0]))
        next_ = np.where(won, np.minimum(next_, VOUCHER + rng.integers(2, 40, n)), next_)
        table = {"customer": k, "number": number, "day": day, "due": day + LIMIT, "next": next_, "cause": cause}
        rows.append(pd.DataFrame(table | {"on_list": on_list, "treated": treated, "won": won, "fading": fading}))
        rows[-1][ALL] = q
        fading = ~(lost | shocked) & (fading | (rng.random(n) < FADING[0]))
        again = next_ <= AS_OF
        k, day, fading, number = k[again], next_[again], fading[again], number + 1
    return pd.concat(rows, ignore_index=True)


def ids(customer: np.ndarray) -> np.ndarray:
    """Return member numbers as text with leading zeros."""
    return np.array([f"{k + 300_001:09d}" for k in np.asarray(customer)], object)


def write(world: SimpleNamespace) -> dict:
    """Write the shop's files, dirt included; return their rows and the planted defects."""
    rng, who, counts, few = stream("books"), world.who, {}, max(3, round(30 * SIZE))
    bought = world.visits[world.visits["day"] >= OBSERVED].sort_values(["day", "customer"], ignore_index=True)
    line, n = who.line[bought["customer"]], len(bought)
    after = np.where(
        bought["day"] >= CRISIS, 1 - (1 - SMALLER[0]) * np.exp(-(bought["day"] - CRISIS) / SMALLER[1]), 1.0
    )
    price = pd.Series(line).map({"婴幼儿奶粉": 298, "常温奶": 89, "低温鲜奶": 62}).to_numpy()
    fen = 100 * np.maximum(5, np.rint(price * after * rng.lognormal(0, 0.35, n))).astype(int)
    angry = np.isin(bought["cause"], (ALL.index("delivery"), ALL.index("quality")))
    back = rng.random(n) < np.where(angry, 0.35, 0.02)
    orders = bought[["customer", "day"]].assign(kind="购买", item=line, fen=fen)
    refunds = orders[back].assign(kind="退货", fen=-fen[back], day=orders["day"][back] + 4)
    table = pd.concat([orders, refunds[refunds["day"] <= AS_OF]]).sort_values(["day", "customer", "kind"])
    number = [f"DD{i:08d}" for i in range(1, len(table) + 1)]
    book = pd.DataFrame({"订单号": number, "会员号": ids(table["customer"]), "日期": days(table["day"])})
    book = book.assign(类型=table["kind"].to_numpy(), 产品线=table["item"].to_numpy(), 金额=yuan(table["fen"]))
    of_month = table["day"].to_numpy().astype("datetime64[D]").astype("datetime64[M]").astype(str)
    rewrite(rng, book, "金额", 20 * few, lambda v: f"￥{v}", counts, "amounts with a currency sign")
    rewrite(rng, book, "日期", 20 * few, lambda v: v.replace("-", "/"), counts, "dates written 2024/03/05")
    nobody = np.sort(rng.choice(len(book), 2 * few, replace=False))
    strange = book.iloc[nobody].assign(会员号=[f"9{i:08d}" for i in nobody])
    counts["purchases of unknown members"] = len(strange)
    doubled = np.sort(rng.choice(np.setdiff1d(np.arange(len(book)), nobody), 3 * few, replace=False))
    counts["purchases entered twice"] = len(doubled)
    book = pd.concat([book, strange, book.iloc[doubled]], ignore_index=True)
    of_month = np.concatenate([of_month, of_month[nobody], of_month[doubled]])
    for month in np.unique(of_month):
        write_csv(f"purchases/{month}.csv", book[of_month == month], "utf-8-sig")
    k = np.unique(bought["customer"])
    master = pd.DataFrame({"会员号": ids(k), "入会日期": days(who.joined[k]), "主购产品线": who.line[k]})
    master = master.assign(地区=who.region[k], 入会渠道=who.channel[k])
    write_csv("会员.csv", repeat(rng, master, few, counts, "duplicate members"), "utf-8")
    crisis = (bought["day"] >= CRISIS) & (bought["day"] < CRISIS + 90)
    calls = bought[rng.random(n) < np.where(angry, 0.40, np.where(crisis, 0.05, 0.012))]
    said = pd.DataFrame({"会员号": ids(calls["customer"]), "日期": days(np.minimum(calls["day"] + 2, AS_OF))})
    said["类型"] = "投诉"
    said = pd.concat([said, pd.DataFrame({"会员号": ids(refunds["customer"]), "日期": days(refunds["day"])})])
    said = said.fillna({"类型": "退货"})[said["日期"] <= days(np.array([AS_OF]))[0]]
    write_csv("客服记录.csv", said.sort_values(["日期", "会员号"]), "utf-8-sig")
    listed = bought[bought["on_list"]]
    came = (listed["next"] <= VOUCHER + 40).to_numpy()
    list_ = {"会员号": ids(listed["customer"]), "活动": "流失会员优惠券", "日期": days(np.full(len(listed), VOUCHER))}
    list_ |= {"组别": np.where(listed["treated"], "试验组", "对照组"), "渠道": np.where(listed["treated"], "短信", "")}
    list_["回购日期"] = np.where(came, days(np.minimum(listed["next"], AS_OF)), "")
    list_["成本"] = np.where(listed["treated"], np.where(came, "20.10", "0.10"), "0.00")
    write_csv("优惠券活动.csv", pd.DataFrame(list_), "utf-8-sig")
    names = ["日期", "结束日期", "类型", "事件", "英文说明", "影响范围"]
    write_csv("大事记.csv", pd.DataFrame(EVENTS, columns=names), "utf-8-sig")
    rows = {
        "purchases": len(book),
        "会员.csv": len(master) + few,
        "客服记录.csv": len(said),
        "优惠券活动.csv": len(listed),
    }
    return {"rows": rows, "dirt": counts, "n_customers": len(k)}


def the_truth(world: SimpleNamespace) -> dict:
    """Return what truth.json says; README.md explains each part."""
    who, visits, spells = world.who, world.visits, world.spells
    lost = visits[(visits["next"] > visits["due"]) & (visits["due"] <= AS_OF) & (visits["day"] >= OBSERVED)]
    quarter = lost["due"].to_numpy().astype("datetime64[D]").astype("datetime64[M]").astype(int) // 3
    cause = pd.Series(np.array(ALL, object)[lost["cause"]])
    names = np.array([f"{1970 + q // 4}-Q{q % 4 + 1}" for q in quarter], object)
    of_quarter = {str(q): cause[names == q].value_counts().to_dict() for q in np.unique(names)}
    crisis = lost[lost["cause"] == ALL.index("crisis")]
    listed = visits[visits["on_list"]]
    levels = {"all": np.full(who.n, "all"), "line": who.line, "region": who.region, "channel": who.channel}
    seen = visits[(visits["day"] >= OBSERVED) & (visits["due"] <= AS_OF)]
    chance = seen[["customer", *ALL]].assign(m=month_of(seen["due"]))
    gaps = (visits["next"] - visits["day"])[visits["cause"] == ALL.index("rare")]
    return {
        "crisis": {"n_lost": len(crisis), "n_back": int((crisis["next"] <= AS_OF).sum())},
        "campaign": by_arm(listed["treated"].to_numpy(), (listed["next"] <= VOUCHER + 40).to_numpy()),
        "true_cause": of_quarter,
        "median_gap_days": float(gaps.median()),
        "months": [str(np.datetime64(int(m), "M")) for m in MONTHS],
        "ledger": silent_ledger(spells, MONTHS),
        "expected": expected_losses(spells, chance, MONTHS, levels),
    }


def simulate() -> SimpleNamespace:
    """Let the years since the shop opened happen; return everything that is to be written down."""
    who = members(stream("members"))
    visits = histories(stream("histories"), who)
    spells = silent_spells(visits, lambda day: day + LIMIT, OBSERVED, AS_OF, who.joined)
    return SimpleNamespace(who=who, visits=visits, spells=spells)


if __name__ == "__main__":
    SEED = int(sys.argv[1]) if len(sys.argv) > 1 else SEED
    SIZE = float(sys.argv[2]) if len(sys.argv) > 2 else SIZE
    made = simulate()
    text = json.dumps(write(made) | the_truth(made), ensure_ascii=False, indent=1)
    Path("truth.json").write_text(text, encoding="utf-8")
