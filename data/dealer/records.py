"""The dealer's books: vehicle master, workshop visits, warranty, follow-up calls, win-back lists, satisfaction, events.

The dirt only adds rows that are nobody's, or writes the same value in another way.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import parameters as p
from simulation import NEVER, day_of, days, month_of, repeat, rewrite, words, write_files, yuan

OBSERVED, AS_OF = day_of(p.OBSERVED_FROM), day_of(p.AS_OF)
COMPANY = "示例汽车销售服务有限公司（模拟数据）"
SIGNED = ["制表人：示例", "", "审核：示例"]
FULL_WIDTH = str.maketrans("0123456789.", "０１２３４５６７８９．")
REPAIR_SHOPS = {"路边修理厂": 0.45, "熟人修理厂": 0.35, "轮胎店": 0.20}
LIST_NAMES = {"at_risk": "预警客户招揽", "lost": "流失客户招揽"}
EVENTS = [
    ("2023-07-01", "", "涨价", "工时费上调12%", "labour prices up 12 %", "warranty=保外"),
    ("2024-03-01", "", "竞争对手", "连锁快修进驻本市", "a repair chain opens in town", "warranty=保外; distance=0-15"),
    ("2024-06-01", "", "公司措施", "按月招揽流失与预警客户", "monthly win-back lists", ""),
    ("2024-10-01", "", "公司措施", "快修通道与预约制", "fast lane and appointments", ""),
]


def ids(customer: np.ndarray) -> np.ndarray:
    """Return vehicle numbers as text of 17 characters, as long as a real one and none of them."""
    return np.array([f"LSIM{k:013d}" for k in np.asarray(customer) + 1], object)


def _dates(day: np.ndarray) -> np.ndarray:
    known = np.asarray(day) < NEVER
    return np.where(known, day, np.datetime64("NaT").astype(int)).astype("datetime64[D]").astype("datetime64[s]")


def visit_rows(rng: np.random.Generator, world: SimpleNamespace) -> pd.DataFrame:
    """Return the workshop visits on record: customer, day, item, kind, amount in fen, minutes waited."""
    table = pd.concat([world.visits[world.visits["number"] > 0], world.passing])[["customer", "number", "day"]]
    table = table[table["day"] >= OBSERVED].sort_values(["day", "customer"], kind="stable", ignore_index=True)
    item = words(rng, {name: share for name, (share, _, _) in p.ITEMS.items()}, len(table))
    mean = np.array([p.ITEMS[name][2] for name in item])
    lane = table["day"].to_numpy() >= day_of(p.FAST_LANE[0])
    return table.assign(
        item=np.where((table["number"] == 1) & (item == "常规保养"), "首保", item),
        kind=np.array([p.ITEMS[name][1] for name in item], object),
        amount=100 * np.rint(mean * rng.lognormal(0, 0.35, len(table))).astype(int),
        minutes=np.rint(rng.gamma(6, np.where(lane, 14, 22))).astype(int),
    )


def master(rng: np.random.Generator, world: SimpleNamespace, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the vehicle master: everybody ever on file, with their mean monthly revenue and known ends."""
    who, lost = world.who, world.lost
    k = np.arange(who.n)
    spent, last = rows.groupby("customer")["amount"].sum(), rows.groupby("customer")["day"].max()
    since = np.maximum(who.joined, OBSERVED)
    months = np.maximum(6, (last.reindex(k).fillna(AS_OF).to_numpy() - since) / 30.4375 + 5)
    final = lost[(lost["next"] > AS_OF) & (lost["follow_up"] == "已回访") & (lost["called"] <= AS_OF)]
    final = final.set_index("customer")
    ends = [*("自然流失" if cause in p.GONE else "主动流失" for cause in p.CAUSES), "不详"]
    outcome = final["cause"].map(lambda c: ends[int(c)])
    fee = np.rint(spent.reindex(k).fillna(0).to_numpy() / months).astype(int) // 100 * 100
    fee = np.where(AS_OF - who.joined < 365, p.NEW_VALUE, fee)  # in the first year the budget's figure
    return pd.DataFrame(
        {
            "车架号": ids(k),
            "车主": np.array([f"{c}某" for c in "赵钱孙李周吴郑王"], object)[rng.integers(0, 8, who.n)],
            "手机": np.array([f"1000000{d:04d}" for d in rng.integers(0, 10_000, who.n)], object),
            "车型": who.model,
            "常用地": who.province,
            "距离": who.km,
            "客户类型": np.where(who.pass_by, "过路车", "本站客户"),
            "服务顾问": [f"顾问{a + 1:02d}" for a in who.adviser],
            "建档日期": days(who.joined, "%Y/%m/%d"),
            "月均产值": yuan(fee),
            "流失日期": days(final["due"].reindex(k).fillna(NEVER).to_numpy(int), never=NEVER),
            "流失类型": outcome.reindex(k).fillna("").to_numpy(object),
        }
    )


def work_orders(rng: np.random.Generator, world: SimpleNamespace, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the activity file: visits, and insurance renewals, which are payments by phone and no visit."""
    who = world.who
    buys = np.flatnonzero((rng.random(who.n) < p.INSURANCE[0]) & ~who.pass_by)
    year = 365 * rng.integers(1, 6, len(buys)) + rng.integers(-20, 1, len(buys))
    paid = pd.DataFrame({"customer": buys, "day": who.joined[buys] + year, "kind": "保险续保", "item": "续保"})
    paid["amount"] = 100 * np.rint(p.INSURANCE[1] * rng.lognormal(0, 0.2, len(buys))).astype(int)
    paid = paid[(paid["day"] >= OBSERVED) & (paid["day"] <= AS_OF)]
    table = pd.concat([rows, paid]).sort_values(["day", "customer"], kind="stable", ignore_index=True)
    return pd.DataFrame(
        {
            "工单号": [f"GD{i:07d}" for i in range(1, len(table) + 1)],
            "车架号": ids(table["customer"]),
            "进厂日期": days(table["day"]),
            "业务类型": table["kind"],
            "维修项目": table["item"],
            "结算金额": yuan(table["amount"]),
            "等待分钟": table["minutes"].map("{:.0f}".format).replace("nan", ""),
        }
    )


def standings(who: SimpleNamespace, rows: pd.DataFrame) -> pd.DataFrame:
    """Return by vehicle and dates: in or out of warranty (保内, 保外), and the last service item so far."""
    k = np.arange(who.n)
    out = k[who.warranty_end < AS_OF]
    inside = pd.DataFrame({"customer": k, "value": "保内", "from": who.joined, "to": who.warranty_end})
    after = pd.DataFrame({"customer": out, "value": "保外", "from": who.warranty_end[out] + 1, "to": NEVER})
    items = rows.sort_values(["customer", "day"], kind="stable").drop_duplicates(["customer", "day"], keep="last")
    until = items.groupby("customer")["day"].shift(-1).fillna(NEVER + 1).astype(int) - 1
    items = pd.DataFrame({"customer": items["customer"], "value": items["item"], "from": items["day"], "to": until})
    table = pd.concat(
        [inside.assign(name="保修状态"), after.assign(name="保修状态"), items.assign(name="最近维修项目")]
    )
    table = table.sort_values(["customer", "name", "from"], ignore_index=True)
    dates = {"起": days(table["from"]), "止": days(table["to"].to_numpy(), never=NEVER)}
    return pd.DataFrame({"车架号": ids(table["customer"]), "属性": table["name"], "值": table["value"], **dates})


def follow_ups(rng: np.random.Generator, world: SimpleNamespace) -> pd.DataFrame:
    """Return the call sheet of the lost: outcome, reasons in one cell, where the vehicle is served since."""
    lost, who = world.lost[world.lost["called"] <= AS_OF], world.who
    n, k = len(lost), lost["customer"].to_numpy()
    cause = np.array([*p.CAUSES, "rare"], object)[lost["cause"].to_numpy(int)]
    answered = (lost["follow_up"] == "已回访").to_numpy()
    said = [word for word, _ in p.WORDS.values()]
    cells = ["、".join(said[j] for j in np.flatnonzero(row)) for row in lost[list(p.WORDS)].to_numpy()]
    to = np.select(
        [cause == "other_station", cause == "chain_shop", np.isin(cause, ("repair_shop", "price"))],
        ["其他站（" + who.province[k] + "）", "连锁快修", words(rng, REPAIR_SHOPS, n)],
        "",
    )
    table = {
        "车架号": ids(k),
        "服务顾问": [f"顾问{a + 1:02d}" for a in who.adviser[k]],
        "末次进厂": _dates(lost["day"]),
        "回访日期": _dates(lost["called"]),
        "回访结果": lost["follow_up"].to_numpy(object),
        "未回厂原因": np.where(answered, cells, ""),
        "目前维修去处": np.where(answered, to, ""),
    }
    return pd.DataFrame(table).sort_values(["回访日期", "车架号"], kind="stable", ignore_index=True)


def campaigns(world: SimpleNamespace, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the win-back lists by adviser, with the control vehicles that nobody called."""
    lists = world.lists.sort_values(["day", "list", "customer"], ignore_index=True)
    treated, back = lists["treated"].to_numpy(), lists["next"].to_numpy()
    back = np.where(back <= np.minimum(lists["day"] + 90, AS_OF), back, NEVER)
    used = treated & (back < NEVER)
    pairs = lists[["customer"]].assign(row=lists.index, since=back).merge(rows[["customer", "day", "amount"]])
    pairs = pairs[(pairs["day"] >= pairs["since"]) & (pairs["day"] < pairs["since"] + 180)]
    after = pairs.groupby("row")["amount"].sum().reindex(lists.index).fillna(0).to_numpy(int)
    return pd.DataFrame(
        {
            "车架号": ids(lists["customer"]),
            "活动": lists["list"].map(LIST_NAMES),
            "组别": np.where(treated, "试验组", "对照组"),
            "名单日期": _dates(lists["day"]),
            "渠道": np.where(treated, "电话", ""),
            "服务顾问": [f"顾问{a + 1:02d}" for a in world.who.adviser[lists["customer"]]],
            "优惠": np.where(treated, "500元工时券", ""),
            "成本": (treated * p.CALL_COST + used * p.VOUCHER) / 100,
            "结果": np.select([back < NEVER, lists["reached"], treated], ["已回厂", "未回厂", "未接通"], ""),
            "回厂日期": _dates(back),
            "半年产值": after / 100,
        }
    )


def contacts(rng: np.random.Generator, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the satisfaction calls to a random sample of each month's visits, and the complaints."""
    order = rng.permutation(len(rows))
    month = month_of(rows["day"].to_numpy())[order]
    rank = pd.Series(month).groupby(month).cumcount().to_numpy()
    asked = rows.iloc[np.sort(order[rank < max(20, round(120 * p.SIZE))])]
    score = np.clip(np.rint(9.6 - 0.012 * asked["minutes"] + rng.normal(0, 0.9, len(asked))), 1, 10).astype(int)
    score = np.where(rng.random(len(asked)) < 0.55, score.astype(str), "")
    angry = rows[rng.random(len(rows)) < np.where(rows["item"] == "返修", 0.08, 0.012)]
    asked = pd.DataFrame({"customer": asked["customer"], "day": asked["day"] + 3, "kind": "满意度回访", "score": score})
    angry = pd.DataFrame({"customer": angry["customer"], "day": angry["day"] + 1, "kind": "投诉", "score": ""})
    angry["solved"] = np.where(rng.random(len(angry)) < 0.78, "是", "否")
    table = pd.concat([asked.assign(solved=""), angry])
    table = table[table["day"] <= AS_OF].sort_values(["day", "customer"], kind="stable", ignore_index=True)
    names = {"日期": days(table["day"]), "类型": table["kind"], "评分": table["score"], "已解决": table["solved"]}
    return pd.DataFrame({"车架号": ids(table["customer"]), **names})


def soil(rng: np.random.Generator, cars: pd.DataFrame, orders: pd.DataFrame, counts: dict) -> tuple:
    """Return vehicle master and work orders with their dirt, each kind counted."""
    few = max(3, round(12 * p.SIZE))
    for pattern in ("{}年{}月{}日", "{}-{}-{}"):
        name = "joined written as " + pattern.format(2024, 3, 5)
        rewrite(rng, cars, "建档日期", 20 * few, lambda v, w=pattern: w.format(*map(int, _parts(v))), counts, name)
    rewrite(rng, cars, "车架号", 2 * few, lambda v: f" {v} ", counts, "vehicle number between blanks")
    for how, name in (
        (lambda v: v.translate(FULL_WIDTH), "amounts in full-width digits"),
        (lambda v: f"￥{v}", "amounts with a currency sign"),
    ):
        rewrite(rng, orders, "结算金额", 20 * few, how, counts, name)
    nobody = orders.iloc[np.sort(rng.choice(len(orders), 5 * few, replace=False))]
    nobody = nobody.assign(车架号=[f"LSXX{k:013d}" for k in range(5 * few)], 工单号="")
    counts["visits of unknown vehicles"] = len(nobody)
    orders = pd.concat([repeat(rng, orders, 10 * few, counts, "duplicate visits"), nobody], ignore_index=True)
    return repeat(rng, cars, few, counts, "duplicate vehicles"), orders


def _parts(written: str) -> list[str]:
    for sign in "年月日/":
        written = written.replace(sign, "-")
    return written.strip("-").split("-")


def write(world: SimpleNamespace, stream) -> dict:
    """Write all files; return the number of rows of each, the dirt, and how many vehicles are on file."""
    counts: dict[str, int] = {}
    rows = visit_rows(stream("visits"), world)
    cars, orders = master(stream("master"), world, rows), work_orders(stream("orders"), world, rows)
    seen = np.isin(np.arange(world.who.n), rows["customer"]) | (world.who.joined >= OBSERVED)
    cars, orders = soil(stream("dirt"), cars, orders, counts)
    until = f"截止日期：{p.AS_OF}"
    books = {
        "车辆档案.xlsx": ("档案", [COMPANY, f"车辆档案　{until}"], cars, [["合计", f"{len(cars)}台"], SIGNED]),
        "流失回访.xlsx": ("回访", ["流失客户回访登记表"], follow_ups(stream("calls"), world), [SIGNED]),
        "招揽名单.xlsx": ("招揽", [COMPANY, "流失及预警客户招揽名单"], campaigns(world, rows), [SIGNED]),
        "大事记.xlsx": ("大事记", ["大事记"], _events(), []),
    }
    texts = {
        "进厂记录.csv": orders,
        "保修与维修.csv": standings(world.who, rows),
        "客户回访.csv": contacts(stream("calls2"), rows),
    }
    n = write_files(texts, books)
    silent = {"n_regular": int(world.who.n_regular), "n_pass_by": int(world.who.pass_by.sum())}
    return {"rows": n, "dirt": counts, **silent, "n_without_records": int((~seen[: world.who.n_regular]).sum())}


def _events() -> pd.DataFrame:
    table = pd.DataFrame(EVENTS, columns=["日期", "结束日期", "类型", "事件", "英文说明", "影响范围"])
    return table.assign(日期=pd.to_datetime(table["日期"]).astype("datetime64[s]"))
