"""The distributor's books: customer master, assignments, shipments, sell-through, visits, churn forms, events.

The dirt only adds rows that are nobody's, or writes the same value in another way.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import parameters as p
from simulation import NEVER, day_of, days, first_of, month_of, repeat, rewrite, words, write_files, yuan

OBSERVED, AS_OF = day_of(p.OBSERVED_FROM), day_of(p.AS_OF)
COMPANY = "示例医药分销有限公司（模拟数据）"
SIGNED = ["制表人：示例", "", "复核人：示例"]
FULL_WIDTH = str.maketrans("0123456789.", "０１２３４５６７８９．")
MEASURES = ("上门沟通；上报公司", "上报公司", "改进服务", "不再走访", "由新客户替代")
VERDICTS = {"重建业务": 0.35, "暂不决定": 0.40, "不再往来": 0.25}
EVENTS = [
    ("2024-03-01", "", "其他", "代表05与代表06客户互换", "reps 05 and 06 change customers",
     "representative=代表05,代表06"),
    ("2024-06-01", "2024-11-30", "窜货", "华东低价窜货", "grey-market goods in East China", "region=华东"),
    ("2024-12-01", "2024-12-31", "其他", "华南年末压货", "year-end stock push in South China", "region=华南"),
    ("2025-01-01", "", "政策", "连锁药店返点下调", "rebates for pharmacy chains cut", "kind=连锁药店"),
    ("2025-04-01", "", "公司措施", "小客户电话专席（半数试点）", "phone desk for half of the small customers",
     "annual_band=10万元以下"),
    *((day, "", "员工离职", f"{name}离职", f"rep {name[2:]} leaves", f"representative={name},{next_}")
      for (name, day), next_ in zip(p.LEAVES.items(), p.SUCCESSORS, strict=True)),
]  # fmt: skip


def ids(customer: np.ndarray) -> np.ndarray:
    """Return customer numbers as text with leading zeros."""
    return np.array([f"{k:06d}" for k in np.asarray(customer) * 7 + 1003], object)


def shipments(rng: np.random.Generator, world: SimpleNamespace) -> pd.DataFrame:
    """Return the shipments on record: customer, day, amount in fen (what the stock until the next order costs)."""
    table = world.orders[world.orders["day"] >= OBSERVED].sort_values(["day", "customer"], ignore_index=True)
    k = table["customer"].to_numpy()
    months = (table["until"] - table["day"]).to_numpy() / 30.4375
    level = world.who.size[k] * np.where(world.who.declined[k] < table["day"], p.FALLS[1], 1.0)
    return table.assign(amount=100 * np.maximum(1, np.rint(level * months * rng.lognormal(0, 0.2, len(k)))).astype(int))


def master(rng: np.random.Generator, world: SimpleNamespace, shipped: pd.DataFrame, rep_on) -> pd.DataFrame:
    """Return the customer master; 月均采购额 is the mean of the customer's own months on record."""
    who, k = world.who, np.arange(world.who.n)
    spent, last = shipped.groupby("customer")["amount"].sum(), shipped.groupby("customer")["until"].max()
    months = np.maximum(1.0, (np.minimum(last, AS_OF) - np.maximum(who.joined, OBSERVED)) / 30.4375)
    fee = (spent / months).astype(int).to_numpy() // 100 * 100
    final = world.lost[(world.lost["next"] > AS_OF) & (world.lost["follow_up"] == "已回访")].set_index("customer")
    final = final[final["filled"] <= AS_OF]
    kinds = {"closed": "自然", "solvency": "欠费", "rare": "不详", "pushed": "不详"}
    outcome = final["cause"].map(lambda c: kinds.get([*p.CAUSES, *p.STAYS][int(c)], "主动"))
    margin = np.array(p.MARGIN)[who.band] * rng.lognormal(0, 0.15, who.n)
    return pd.DataFrame(
        {
            "客户编号": ids(k),
            "客户名称": [f"示例{kind}{j:04d}" for kind, j in zip(who.kind, k, strict=True)],
            "法人代表": [f"{c}某" for c in np.array(list("赵钱孙李周吴郑王"))[rng.integers(0, 8, who.n)]],
            "联系电话": np.array([f"1000000{d:04d}" for d in rng.integers(0, 10_000, who.n)], object),
            "客户类别": who.kind,
            "区域": who.region,
            "销售代表": rep_on(who, AS_OF),
            "年销售量": np.array(list(p.BANDS), object)[who.band],
            "经营状况": who.condition[:, -1],
            "业务起始时间": days(who.joined, "%Y年%m月%d日"),
            "业务终止时间": days(final["due"].reindex(k).fillna(NEVER).to_numpy(int), never=NEVER),
            "终止类型": outcome.reindex(k).fillna("").to_numpy(object),
            "月均采购额": yuan(fee),
            "毛利率": [f"{100 * m:.1f}%" for m in margin],
            "月服务成本": yuan(100 * np.rint(180 + 0.01 * fee / 100 + 500 * np.array(p.VISITS)[who.band]).astype(int)),
        }
    )


def assignments(who: SimpleNamespace, rep_on) -> pd.DataFrame:
    """Return who held which representative and which business condition, from when to when."""
    k = np.arange(who.n)
    starts = [(day_of(p.SWAP[0]), "代表")] + [(day_of(left) + 1, "代表") for left in p.LEAVES.values()]
    parts = [
        pd.DataFrame({"customer": k, "attribute": "销售代表", "from": who.joined, "value": _at_start(who, rep_on)})
    ]
    for day, _ in starts:
        before, after = rep_on(who, day - 1), rep_on(who, day)
        moved = k[(before != after) & (who.joined < day)]
        parts.append(pd.DataFrame({"customer": moved, "attribute": "销售代表", "from": day, "value": after[moved]}))
    first = month_of(day_of(p.OPENED)) // 6
    since = np.maximum(who.joined, OBSERVED)
    for j in range(who.condition.shape[1]):
        begin, value = first_of(6 * (first + j)), who.condition[:, j]
        new = (begin > since) & (value != who.condition[:, j - 1]) if j else np.zeros(who.n, bool)
        new |= (since >= begin) & (since < first_of(6 * (first + j + 1)))
        rows = {"customer": k[new], "attribute": "经营状况", "from": np.maximum(since, begin)[new], "value": value[new]}
        parts.append(pd.DataFrame(rows))
    table = pd.concat(parts).sort_values(["customer", "attribute", "from"], ignore_index=True)
    next_ = table.groupby(["customer", "attribute"])["from"].shift(-1).fillna(NEVER + 1).to_numpy(int) - 1
    names = {"属性": table["attribute"], "内容": table["value"], "起始日期": days(table["from"])}
    return pd.DataFrame({"客户编号": ids(table["customer"]), **names, "截止日期": days(next_, never=NEVER)})


def _at_start(who: SimpleNamespace, rep_on) -> np.ndarray:
    by_day = {day: rep_on(who, int(day)) for day in np.unique(who.joined)}
    return np.array([by_day[day][j] for j, day in enumerate(who.joined)], object)


def contacts(rng: np.random.Generator, world: SimpleNamespace, rep_on) -> pd.DataFrame:
    """Return visits by representatives (hardly any to the small), complaints, and changes of representative."""
    who, sales = world.who, world.sales
    band = who.band[sales["customer"]]
    called = np.repeat(np.arange(len(sales)), rng.poisson(np.array(p.VISITS)[band]))
    angry = np.flatnonzero(rng.random(len(sales)) < 0.012)
    parts = []
    for rows, kind in ((called, "走访"), (angry, "投诉")):
        day = first_of(sales["month"].to_numpy()[rows]) + rng.integers(0, 28, len(rows))
        parts.append(pd.DataFrame({"customer": sales["customer"].to_numpy()[rows], "day": day, "kind": kind}))
    parts[1]["solved"] = words(rng, {"是": 70, "否": 30}, len(angry))
    for day, text in [(day_of(p.SWAP[0]), "内部调整")] + [(day_of(d) + 1, "原代表离职") for d in p.LEAVES.values()]:
        spells = world.spells
        there = spells["customer"][(spells["entry"] < day) & (spells["end"] >= day)].unique()
        moved = there[(rep_on(who, day) != rep_on(who, day - 1))[there]]
        parts.append(pd.DataFrame({"customer": moved, "day": day, "kind": "更换业务员", "text": text}))
    table = pd.concat(parts).fillna("").drop_duplicates(["day", "customer", "kind"])
    table = table.sort_values(["day", "customer", "kind"], ignore_index=True)
    names = {"日期": days(table["day"]), "类型": table["kind"], "已解决": table["solved"], "说明": table["text"]}
    return pd.DataFrame({"客户编号": ids(table["customer"]), **names})


def forms(rng: np.random.Generator, world: SimpleNamespace) -> pd.DataFrame:
    """Return the churn forms (客户流失情况分析表): one column per reason, ticked."""
    lost = world.lost[world.lost["filled"] <= AS_OF].sort_values(["filled", "customer"], ignore_index=True)
    n, k = len(lost), lost["customer"].to_numpy()
    answered = (lost["follow_up"] == "已回访").to_numpy()
    filled = lost["filled"].to_numpy().astype("datetime64[D]").astype("datetime64[s]")
    to = words(rng, {"甲医药": 4, "乙医药": 3, "厂家直供": 2, "不清楚": 1}, n)
    table = {"客户编号": ids(k), "区域": world.who.region[k], "填表日期": filled, "回访结果": lost["follow_up"]}
    table |= {word: np.where(answered & lost[word], "√", "") for word in p.WORDS}
    return pd.DataFrame(table).assign(
        与客户关系=words(rng, {"好": 3, "良好": 4, "一般": 3}, n),
        已采取措施=np.array(MEASURES, object)[rng.integers(0, len(MEASURES), n)],
        流向=np.where(answered & lost["竞品抢走"], to, ""),
        评估=words(rng, VERDICTS, n),
    )


def desk(world: SimpleNamespace, shipped: pd.DataFrame) -> pd.DataFrame:
    """Return the pilot list of the phone desk: small customers of its first day, half of them called."""
    day, spells, who = day_of(p.DESK[0]), world.spells, world.who
    k = spells["customer"][(spells["entry"] < day) & (spells["end"] >= day)].unique()
    k = np.sort(k[who.band[k] == 3])
    later = shipped[(shipped["day"] >= day) & (shipped["day"] < day + 183)].groupby("customer")["amount"].sum()
    treated = who.on_desk[k]
    return pd.DataFrame(
        {
            "客户编号": ids(k),
            "活动": "小客户电话专席",
            "组别": np.where(treated, "试验组", "对照组"),
            "开始日期": p.DESK[0],
            "渠道": np.where(treated, "电话", ""),
            "专员": np.where(treated, "专席01", ""),
            "成本": yuan(treated * 100 * 9 * p.DESK[3]),
            "半年采购额": yuan(later.reindex(k).fillna(0).to_numpy(int)),
        }
    )


def soil(rng: np.random.Generator, table: pd.DataFrame, sent: pd.DataFrame, counts: dict) -> tuple:
    """Return customer master and shipments with their dirt, each kind counted."""
    for pattern in ("{}/{}/{}", "{}{:02d}{:02d}"):
        name = "start written as " + pattern.format(2024, 3, 5)
        rewrite(rng, table, "业务起始时间", 40, lambda v, w=pattern: w.format(*_date(v)), counts, name)
    rewrite(rng, table, "区域", 25, lambda v: f"{v}　", counts, "region with a trailing full-width blank")
    for how, name in (
        (lambda v: v.translate(FULL_WIDTH), "amounts in full-width digits"),
        (lambda v: f"￥{v}", "amounts with a currency sign"),
    ):
        rewrite(rng, sent, "金额", 150, how, counts, name)
    nobody = sent.iloc[np.sort(rng.choice(len(sent), 40, replace=False))]
    nobody = nobody.assign(客户编号=[f"9{j:05d}" for j in range(40)])
    counts["shipments to unknown customers"] = len(nobody)
    sent = pd.concat([repeat(rng, sent, 90, counts, "duplicate shipments"), nobody], ignore_index=True)
    return repeat(rng, table, 6, counts, "duplicate customers"), sent


def _date(written: str) -> tuple[int, int, int]:
    parts = written.replace("年", "/").replace("月", "/").strip("日").split("/")
    return tuple(map(int, parts)) if len(parts) == 3 else (int(written[:4]), int(written[4:6]), int(written[6:]))


def sell_through(sales: pd.DataFrame) -> pd.DataFrame:
    """Return the monthly report of the sales by customers, in 万元."""
    month_end = sales["day"].to_numpy().astype("datetime64[D]").astype("datetime64[s]")
    flow = pd.DataFrame({"客户编号": ids(sales["customer"]), "月末": month_end})
    return flow.assign(品种数=1 + sales["amount"].to_numpy() % 37, 纯销金额=sales["amount"].to_numpy() / 1_000_000)


def write(world: SimpleNamespace, stream, rep_on) -> dict:
    """Write all files; return the number of rows of each, the dirt, and how many customers are on file."""
    counts: dict[str, int] = {}
    shipped, flow = shipments(stream("shipments"), world), sell_through(world.sales)
    sent = pd.DataFrame({"单号": [f"CK{i + 1:07d}" for i in range(len(shipped))], "客户编号": ids(shipped["customer"])})
    sent = sent.assign(发货日期=days(shipped["day"]), 金额=yuan(shipped["amount"]))
    table, sent = soil(stream("dirt"), master(stream("master"), world, shipped, rep_on), sent, counts)
    year, titles = sent["发货日期"].str[:4], [COMPANY, f"客户档案　截止日期：{p.AS_OF}"]
    texts = {f"发货明细/{y}年.csv": sent[year == y] for y in sorted(year.unique())} | {
        "业务归属.csv": assignments(world.who, rep_on),
        "走访投诉.csv": contacts(stream("contacts"), world, rep_on),
        "小客户专席.csv": desk(world, shipped),
    }
    total = ["合计", "", "", f"{flow['纯销金额'].sum():.2f}"]
    books = {
        "客户档案.xlsx": ("客户", titles, table, [["合计", f"{len(table)}户"], SIGNED]),
        "流向月报.xlsx": ("流向", ["下游客户纯销流向（单位：万元）"], flow, [total, SIGNED]),
        "客户流失情况分析表.xlsx": ("分析表", [COMPANY, "客户流失情况分析表"], forms(stream("forms"), world), [SIGNED]),
        "大事记.xlsx": ("大事记", ["大事记"], _events(), []),
    }
    return {"rows": write_files(texts, books), "dirt": counts, "n_customers": world.who.n}


def _events() -> pd.DataFrame:
    table = pd.DataFrame(sorted(EVENTS), columns=["日期", "结束日期", "类型", "事件", "英文说明", "影响范围"])
    for name in ("日期", "结束日期"):
        table[name] = pd.to_datetime(table[name].replace("", None)).astype("datetime64[s]")
    return table
