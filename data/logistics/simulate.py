"""Simulate the sample freight platform: write its files, and the truth behind them, into the current folder.

Run as `python simulate.py`, or with another seed and size as `python simulate.py 7 0.1`; same seed, same bytes. Every
number that the platform is made from stands at the top. A user who orders (a shipper) or takes an order (a driver)
decides there and then: leaves for a cause with a known chance, or comes again after a gap.
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
    day_of,
    days,
    expected_losses,
    first_of,
    main_reasons,
    month_of,
    repeat,
    rewrite,
    silent_ledger,
    silent_spells,
    stated_truth,
    tick,
    words,
    write_csv,
    write_xlsx,
    yuan,
)

SEED, SIZE = 9, 1.0
OPENED, OBSERVED, AS_OF = day_of("2021-01-01"), day_of("2023-01-01"), day_of("2026-01-05")
MONTHS = np.arange("2023-04", "2026-01", dtype="datetime64[M]").astype(int)  # the first 60 days can show no churn
LIMIT = 60
JOIN = {"货主": 95, "车主": 130}  # new users in a month
GAP, SHAPE = {"货主": 16, "车主": 12}, 3  # days between two orders
ROUTES = {"华东": 0.34, "华南": 0.26, "华北": 0.22, "西北": 0.18}

# cause -> chance by order: shippers, drivers
CAUSES = {
    "stale": (0.004, 0.006),  # listings that are false or taken already; more since LAX, until REVIEW
    "fees": (0.004, 0.004),  # the platform's share; more since FEES
    "service": (0.007, 0.006),  # refused loads, damage, rude service
    "no_vehicle": (0.003, 0.0),  # times the route
    "freight": (0.004, 0.005),  # price of freight: too high for one side, too low for the other
    "rival": (0.003, 0.002),  # subsidies for drivers
    "closed": (0.004, 0.004),  # the trade is given up
}
ALL = [*CAUSES, "rare"]  # "rare": not lost at all, a long gap
THIN = {"西北": 5.0}  # no vehicles on a route
LAX, LAX_TIMES = day_of("2024-06-01"), 5.0  # listings go online without review: drivers drive in vain
REVIEW, REVIEW_TIMES = day_of("2025-06-01"), 1.6  # they are reviewed again
FEES, FEES_ADDED = (day_of("2025-03-01"), day_of("2025-06-30")), 0.006  # for shippers, while it is news
SUBSIDY, SUBSIDY_ADDED = (day_of("2024-11-01"), day_of("2025-01-31")), 0.015  # for drivers
COMES_BACK = 0.12, 70, 250  # of the lost (whose trade goes on), after so many days

WORDS = {  # column of the form -> reason, chance of being ticked beside the main one
    "信息虚假或过时": ("access.stale_information", 0.12),
    "平台抽成高": ("price.fees", 0.14),
    "软件不好用": ("product.function", 0.06),
    "承诺不兑现": ("trust.promise_broken", 0.05),
    "客服态度差": ("service.attitude", 0.08),
    "投诉没人处理": ("service.complaint_unresolved", 0.07),
    "货物破损": ("service.damaged", 0.05),
    "拒绝装车": ("access.order_refused", 0.05),
    "运价不合理": ("price.too_high", 0.16),
    "线路没有车": ("access.transport", 0.05),
    "别的平台补贴": ("competitor.offer", 0.06),
    "转行停业": ("natural.closed", 0.01),
}
SAYS = {  # true cause -> main reason on the form; the rest tick whatever people tick
    "stale": {"信息虚假或过时": 0.65, "承诺不兑现": 0.10},
    "fees": {"平台抽成高": 0.60, "运价不合理": 0.20},
    "service": {"客服态度差": 0.25, "投诉没人处理": 0.25, "货物破损": 0.20, "拒绝装车": 0.20},
    "no_vehicle": {"线路没有车": 0.75},
    "freight": {"运价不合理": 0.75},
    "rival": {"别的平台补贴": 0.50, "运价不合理": 0.25},
    "closed": {"转行停业": 0.85},
    "rare": {"运价不合理": 0.20},
}
ANSWERED = {"service": 0.30, "closed": 0.60, "rare": 0.60}  # the others 0.45
EVENTS = [
    ("2024-06-01", "", "政策", "货源信息免审上线", "listings without review", "side=车主"),
    ("2024-11-01", "2025-01-31", "竞争对手", "竞争平台补贴车主", "a rival subsidises drivers", "side=车主"),
    ("2025-03-01", "", "涨价", "货主抽成上调", "higher fees for shippers", "side=货主"),
    ("2025-06-01", "", "公司措施", "恢复货源审核", "listings are reviewed again", "side=车主"),
]


def stream(name: str) -> np.random.Generator:
    """Return the random numbers of one part of the simulation: a change in one part leaves the others as they are."""
    return np.random.default_rng([SEED, *name.encode()])


def users(rng: np.random.Generator) -> SimpleNamespace:
    """Return all users in the order of joining: arrays, one entry each."""
    months, joined, side = np.arange(month_of(OPENED), MONTHS[-1] + 1), [], []
    for name, n in JOIN.items():
        first = np.repeat(first_of(months), rng.poisson(n * SIZE, len(months)))
        joined.append(first + rng.integers(0, 28, len(first)))
        side += [name] * len(first)
    order = np.argsort(np.concatenate(joined), kind="stable")
    n, side = len(order), np.array(side, object)[order]
    who = SimpleNamespace(n=n, joined=np.concatenate(joined)[order], side=side, route=words(rng, ROUTES, n))
    who.is_driver = side == "车主"
    who.gap = np.array([GAP[s] for s in side]) * rng.lognormal(0, 0.25, n)
    return who


def chances(who: SimpleNamespace, k: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Return the chance of being lost at an order: orders x causes, the last one ("rare") zero."""
    driver, at = who.is_driver[k], ALL.index
    shippers, drivers = np.array([*CAUSES.values(), (0, 0)]).T
    q = np.where(driver[:, None], drivers, shippers)
    q[:, at("stale")] *= np.select([~driver, day >= REVIEW, day >= LAX], [1.0, REVIEW_TIMES, LAX_TIMES], 1.0)
    q[:, at("no_vehicle")] *= np.array([THIN.get(route, 1.0) for route in who.route[k]])
    q[:, at("fees")] += FEES_ADDED * (~driver & (day >= FEES[0]) & (day <= FEES[1]))
    q[:, at("rival")] += SUBSIDY_ADDED * (driver & (day >= SUBSIDY[0]) & (day <= SUBSIDY[1]))
    return q


def histories(rng: np.random.Generator, who: SimpleNamespace) -> pd.DataFrame:
    """Return every order until as_of with what followed: one row each, and a column per cause with its chance.

    Columns: customer, day, due (last day as a user if silence follows), next, cause. The first row is the joining.
    """
    k, day, rows = np.arange(who.n), who.joined, []
    while len(k):
        n, q = len(k), chances(who, k, day)
        cause = (rng.random((n, 1)) > q.cumsum(1)).sum(1).clip(max=len(ALL) - 1)
        next_ = day + np.maximum(1, np.rint(rng.gamma(SHAPE, who.gap[k] / SHAPE))).astype(int)
        share, low, high = COMES_BACK
        returns = (rng.random(n) < share) & (cause != ALL.index("closed"))
        lost = cause < ALL.index("rare")
        next_ = np.where(lost, np.where(returns, day + rng.integers(low, high, n), NEVER), next_)
        q[:, -1] = (1 - q.sum(1)) * gammaincc(SHAPE, (LIMIT + 0.5) * SHAPE / who.gap[k])
        rows.append(pd.DataFrame({"customer": k, "day": day, "due": day + LIMIT, "next": next_, "cause": cause}))
        rows[-1][ALL] = q
        again = next_ <= AS_OF
        k, day = k[again], next_[again]
    return pd.concat(rows, ignore_index=True)


def forms(rng: np.random.Generator, visits: pd.DataFrame) -> pd.DataFrame:
    """Return the lost with what each of them would tick, and `follow_up`: who answered the call."""
    lost = visits[(visits["next"] > visits["due"]) & (visits["due"] <= AS_OF) & (visits["day"] >= OBSERVED)]
    lost = lost.sort_values(["due", "customer"], ignore_index=True)
    cause, n = lost["cause"].to_numpy(), len(lost)
    extra = {word: chance for word, (_, chance) in WORDS.items()}
    ticked = tick(rng, cause, main_reasons({c: SAYS[c] for c in ALL}, extra), np.array(list(extra.values())))
    chance = np.array([ANSWERED.get(c, 0.45) for c in ALL])[cause]
    others = words(rng, {"无人接听": 45, "拒接": 20, "停机": 15, "空号": 12, "拒绝回答": 8}, n)
    lost["follow_up"] = np.where(rng.random(n) < chance, "已回访", others)
    return pd.concat([lost, pd.DataFrame(ticked, columns=list(WORDS))], axis=1)


def ids(who: SimpleNamespace, k: np.ndarray) -> np.ndarray:
    """Return user numbers as text: H for shippers (货主), C for drivers (车主)."""
    return np.array([f"{'C' if who.is_driver[c] else 'H'}{c:07d}" for c in np.asarray(k)], object)


def write(world: SimpleNamespace) -> dict:
    """Write the platform's files, dirt included; return their rows and the planted defects."""
    rng, who, counts, few = stream("books"), world.who, {}, max(3, round(25 * SIZE))
    done = world.visits[world.visits["day"] >= OBSERVED].sort_values(["day", "customer"], ignore_index=True)
    freight = 100 * np.rint(900 * rng.lognormal(0, 0.5, len(done))).astype(int)
    rows = {}
    for side, column in (("货主", "发单"), ("车主", "接单")):
        own = (who.side[done["customer"]] == side).nonzero()[0]
        number = [f"{'F' if side == '货主' else 'J'}{i:08d}" for i in range(1, len(own) + 1)]
        book = pd.DataFrame({f"{column}号": number, f"{side}编号": ids(who, done["customer"].iloc[own])})
        book = book.assign(**{f"{column}日期": days(done["day"].iloc[own]), "运费": yuan(freight[own])})
        rewrite(rng, book, "运费", 20 * few, lambda v: f"{float(v):,.2f}元", counts, f"amounts with 元, {side}")
        strange = book.iloc[: 2 * few].assign(**{f"{side}编号": [f"X{i:07d}" for i in range(2 * few)]})
        counts[f"orders of unknown users, {side}"] = 2 * few
        book = pd.concat([repeat(rng, book, 3 * few, counts, f"orders entered twice, {side}"), strange])
        write_csv(f"{side}{column}.csv", book)
        rows[f"{side}{column}.csv"] = len(book)
    k = np.unique(done["customer"])
    master = pd.DataFrame({"用户编号": ids(who, k), "角色": who.side[k], "常跑线路": who.route[k]})
    master["注册日期"] = days(who.joined[k], "%Y/%m/%d")
    rewrite(rng, master, "角色", 4 * few, lambda v: f" {v}", counts, "side written with a blank before it")
    write_csv("用户档案.csv", repeat(rng, master, few, counts, "duplicate users"))
    f = world.forms[world.forms["due"] < AS_OF - 15]
    called = (f["due"] + rng.integers(2, 14, len(f))).to_numpy().astype("datetime64[D]").astype("datetime64[s]")
    sheet = pd.DataFrame({"用户编号": ids(who, f["customer"]), "回访日期": called, "结果": f["follow_up"]})
    answered = (f["follow_up"] == "已回访").to_numpy()
    for word in WORDS:
        sheet[word] = np.where(answered, np.where(f[word].to_numpy(bool), "☑", "☐"), "")
    footer = [["合计", str(len(f))], ["制表人：示例"]]
    write_xlsx("流失回访.xlsx", {"回访": (["流失用户回访表（模拟数据）"], sheet, footer)})
    events = pd.DataFrame(EVENTS, columns=["日期", "结束日期", "类型", "事件", "英文说明", "影响范围"])
    write_csv("大事记.csv", events)
    rows |= {"用户档案.csv": len(master) + few, "流失回访.xlsx": len(f)}
    return {"rows": rows, "dirt": counts, "n_customers": len(k)}


def the_truth(world: SimpleNamespace) -> dict:
    """Return what truth.json says; README.md explains each part."""
    who, visits, told = world.who, world.visits, world.forms
    levels = {"all": np.full(who.n, "all"), "side": who.side, "route": who.route}
    seen = visits[(visits["day"] >= OBSERVED) & (visits["due"] <= AS_OF)]
    chance = seen[["customer", *ALL]].assign(m=month_of(seen["due"]))
    year = told["due"].to_numpy().astype("datetime64[D]").astype("datetime64[Y]").astype(str)
    answered, side = (told["follow_up"] == "已回访").to_numpy(), who.side[told["customer"]]
    reasons = [reason for reason, _ in WORDS.values()]
    out: dict = {"reasons": {}, "true_cause": {}}
    for name in ("all", *np.unique(year), *JOIN):
        rows = (year == name) | (name == "all") | (side == name)
        out["reasons"][str(name)] = stated_truth(reasons, told.loc[rows, list(WORDS)].to_numpy(bool), answered[rows])
        out["true_cause"][str(name)] = told["cause"][rows].map(lambda c: ALL[int(c)]).value_counts().to_dict()
    months = [str(np.datetime64(int(m), "M")) for m in MONTHS]
    book = {"months": months, "ledger": silent_ledger(world.spells, MONTHS)}
    return out | book | {"expected": expected_losses(world.spells, chance, MONTHS, levels)}


def simulate() -> SimpleNamespace:
    """Let the years since the platform opened happen; return everything that is to be written down."""
    who = users(stream("users"))
    visits = histories(stream("histories"), who)
    spells = silent_spells(visits, lambda day: day + LIMIT, OBSERVED, AS_OF, who.joined)
    return SimpleNamespace(who=who, visits=visits, spells=spells, forms=forms(stream("forms"), visits))


if __name__ == "__main__":
    SEED = int(sys.argv[1]) if len(sys.argv) > 1 else SEED
    SIZE = float(sys.argv[2]) if len(sys.argv) > 2 else SIZE
    made = simulate()
    text = json.dumps(write(made) | the_truth(made), ensure_ascii=False, indent=1)
    Path("truth.json").write_text(text, encoding="utf-8")
