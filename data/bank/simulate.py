"""Simulate the sample rural commercial bank: write its files, and the truth behind them, into the current folder.

Run as `python simulate.py`, or with another seed and size as `python simulate.py 7 0.1`; same seed, same bytes. Every
number that the bank is made from stands at the top. The causes of a month add up to a customer's chance to leave in it;
who joins or returns in a month is at risk from the next one on.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

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
    stated_truth,
    tick,
    words,
    write_csv,
    write_xlsx,
    yuan,
)

SEED, SIZE = 5, 1.0
MONTHS = np.arange("2021-01", "2026-01", dtype="datetime64[M]").astype(int)
AS_OF = day_of("2025-12-31")
OPENING, JOIN = 9_000, 185  # customers at the start of 2021; new ones in a month
AGES = {
    "18-25": (0.08, 0.11),
    "25-35": (0.44, 0.63),
    "35-45": (0.23, 0.13),
    "45-60": (0.17, 0.09),
    "60-85": (0.08, 0.04),
}
BORROWERS, RISK = 0.45, {"A": 0.45, "B": 0.40, "C": 0.15}
BRANCHES = 12  # those with an even number were drawn for the training
MARGIN_DEPOSIT, MARGIN_LOAN, FLAT = 0.012, 0.018, 8  # a year; yuan a month

# cause -> monthly chance; what stands beside it below multiplies it
CAUSES = {
    "ordinary": 0.0022,
    "new": 0.0140,  # first half year; half of it in the second
    "waiting": 0.0010,  # in 2021, for all branches; rises to WAITING_GROWS times of it
    "terms": 0.0009,  # in 2021; rises to TERMS_GROW times; twice for a total of 5-100 万
    "rate": 0.065,  # loans of 100 万 and more; a quarter of it for 20-100 万; since RIVAL
    "natural": 0.0012,
    "arrears": 0.0007,
}
WAITING_GROWS, TERMS_GROW = 5.0, 3.0  # times, evenly from January 2021 to December 2025
RIVAL, RIVAL_TAKES = "2024-04", {"A": 1.0, "B": 0.3, "C": 0.0}  # a rival lends cheaper, but only to good risks
CUT, CUT_LEAVES = "2025-06", 0.7  # the central bank's cut narrows the gap: that share of "rate" is left
TRAINING, TRAINING_LEAVES = "2025-03", 0.35  # trained branches: that share of "waiting" is left
PRODUCTS, PRODUCTS_LEAVE = "2025-07", 0.3  # new products for those with 5-100 万: that share of "terms" is left
LOAN_ONLY = 0.004, 0.5  # loan repaid while the customer stays: chance, and share of "rate" beside it
RETURNS = 0.05, 60, 400  # share of the voluntary leavers who come back after so many days

WORDS = {  # word on the form -> reason, chance of being ticked beside the main one
    "贷款利率高": ("price.rate_inflexible", 0.10),
    "他行利率更低": ("competitor.offer", 0.08),
    "手续费高": ("price.fees", 0.12),
    "排队等待久": ("service.efficiency", 0.10),
    "手续繁琐": ("service.procedure", 0.06),
    "产品千篇一律": ("product.homogeneous", 0.07),
    "期限额度不合需要": ("product.needs_mismatch", 0.07),
    "没人联系我": ("relationship.no_contact", 0.06),
    "网点太远": ("access.distance", 0.04),
    "搬到外地": ("natural.moved", 0.01),
    "其他": ("unknown.other", 0.02),
}
SAYS = {  # true cause -> main reason on the form; the rest tick whatever people tick
    "ordinary": {},
    "new": {"期限额度不合需要": 0.25, "没人联系我": 0.30, "手续费高": 0.15},
    "waiting": {"排队等待久": 0.60, "手续繁琐": 0.20},
    "terms": {"产品千篇一律": 0.35, "期限额度不合需要": 0.35},
    "rate": {"贷款利率高": 0.50, "他行利率更低": 0.35},
    "natural": {"搬到外地": 0.80},
    "arrears": {"手续费高": 0.30},
}
ANSWERED = {"waiting": 0.55, "natural": 0.65, "arrears": 0.10}  # the others 0.45; by whom they are asked at all: 80 %
OUTCOMES = np.array([*["主动销户"] * 5, "自然流失", "欠费销户"], object)
EVENTS = [
    ("2024-04-01", "竞争对手", "他行降低贷款利率", "a rival lends at lower rates", "loan=100以上"),
    ("2025-03-01", "公司措施", "六家网点服务培训", "service training in six branches", "trained=是"),
    ("2025-06-01", "政策", "市场利率下调", "market rates cut", "loan=100以上"),
    ("2025-07-01", "新产品", "差异化产品上线", "differentiated products", "value=5-20,20-100"),
]


def stream(name: str) -> np.random.Generator:
    """Return the random numbers of one part of the simulation: a change in one part leaves the others as they are."""
    return np.random.default_rng([SEED, *name.encode()])


def at(month: str) -> int:
    """Return a month as months since 1970."""
    return int(np.datetime64(month, "M").astype(int))


def customers(rng: np.random.Generator) -> SimpleNamespace:
    """Return everybody who ever was a customer since 2021: arrays, one entry each, in the order of joining."""
    old, joins = round(OPENING * SIZE), rng.poisson(JOIN * SIZE, len(MONTHS))
    n = old + int(joins.sum())
    start = np.repeat(first_of(MONTHS), joins) + rng.integers(0, 28, n - old)
    before = day_of("2021-01-01") - 1 - np.minimum(rng.exponential(1100, old), 4000).astype(int)
    who = SimpleNamespace(n=n, start=np.concatenate([np.sort(before), np.sort(start)]))
    new, u = np.arange(n) >= old, rng.random(n)
    bands, (shares_old, shares_new) = [band.split("-") for band in AGES], np.array(list(AGES.values())).T
    band = np.where(new, np.searchsorted(shares_new.cumsum(), u), np.searchsorted(shares_old.cumsum(), u)).clip(max=4)
    low, high = np.array(bands, int).T[:, band]
    who.age = low + np.floor(rng.random(n) * (high - low)).astype(int)
    who.deposit = np.round(rng.lognormal(1.5 + 0.012 * (who.age - 35), 1.3, n), 1)
    who.loan = np.where(rng.random(n) < BORROWERS, np.round(rng.lognormal(3.4, 1.2, n), 1), 0.0)
    who.risk, who.branch = words(rng, RISK, n), rng.integers(0, BRANCHES, n)
    fee = (MARGIN_DEPOSIT * who.deposit + MARGIN_LOAN * who.loan) * 10_000 / 12 * rng.lognormal(0, 0.2, n) + FLAT
    who.fee = 100 * np.rint(fee).astype(int)  # contribution a month, fen
    who.trained = who.branch % 2 == 1
    return who


def chances(who: SimpleNamespace, k: np.ndarray, m: int, since: np.ndarray, borrows: np.ndarray) -> np.ndarray:
    """Return the chance to leave in month m by each cause: customers k x causes."""
    q = np.tile(np.array(list(CAUSES.values())), (len(k), 1))
    place, passed, tenure = list(CAUSES).index, (m - MONTHS[0]) / (len(MONTHS) - 1), m - month_of(since)
    q[:, place("new")] *= np.select([tenure <= 6, tenure <= 12], [1.0, 0.5], 0.0)
    left = np.where(who.trained[k] & (m >= at(TRAINING)), TRAINING_LEAVES, 1.0)
    q[:, place("waiting")] *= (1 + (WAITING_GROWS - 1) * passed) * left
    total = who.deposit[k] + who.loan[k]
    middle = (total >= 5) & (total < 100)
    left = 2 * PRODUCTS_LEAVE if m >= at(PRODUCTS) else 2.0
    q[:, place("terms")] *= (1 + (TERMS_GROW - 1) * passed) * np.where(middle, left, 1.0)
    size = np.select([who.loan[k] >= 100, who.loan[k] >= 20], [1.0, 0.25], 0.0)
    offered = (m >= at(RIVAL)) * (CUT_LEAVES if m >= at(CUT) else 1.0)
    q[:, place("rate")] *= size * borrows * offered * np.array([RIVAL_TAKES[r] for r in who.risk[k]])
    return q


def histories(rng: np.random.Generator, who: SimpleNamespace) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Return spells (customer, number, entry, end, cause), the chances of every customer and month, and loan ends."""
    since, number, back = who.start.copy(), np.ones(who.n, int), np.full(who.n, NEVER)
    there, borrows, repaid = np.zeros(who.n, bool), who.loan > 0, np.full(who.n, NEVER)
    lost, risks = [], []
    for m in MONTHS:
        k = np.flatnonzero(there | ((month_of(who.start) < m) & (number == 1) & (back == NEVER)))
        q = chances(who, k, m, since[k], borrows[k])
        cause = (rng.random((len(k), 1)) > q.cumsum(1)).sum(1)
        day = first_of(m) + rng.integers(0, 28, len(k))
        gone = cause < len(CAUSES)
        loan_only = ~gone & borrows[k] & (rng.random(len(k)) < LOAN_ONLY[0] + LOAN_ONLY[1] * q[:, 4])
        repaid[k[loan_only]], borrows[k[loan_only]] = day[loan_only], False
        share, low, high = RETURNS
        returns = (rng.random(len(k)) < share) & (cause < 5)
        back[k[gone]] = np.where(returns, day + rng.integers(low, high, len(k)), NEVER + 1)[gone]
        lost.append(np.column_stack([k, number[k], since[k], day, cause])[gone])
        risks.append(pd.DataFrame(q, columns=list(CAUSES)).assign(customer=k, m=m))
        there[k[gone]] = False
        again = np.flatnonzero((month_of(back) == m) & ~there)
        there[again], since[again], number[again], back[again] = True, back[again], number[again] + 1, NEVER
    spells = pd.DataFrame(np.concatenate(lost), columns=["customer", "number", "entry", "end", "cause"])
    k = np.flatnonzero(there | ((number == 1) & (back == NEVER)))
    open_ = {"customer": k, "number": number[k], "entry": since[k], "end": NEVER, "cause": -1}
    spells = pd.concat([spells, pd.DataFrame(open_)]).sort_values(["customer", "number"], ignore_index=True)
    return spells.assign(is_first=spells["number"] == 1), pd.concat(risks, ignore_index=True), repaid


def accounts(rng: np.random.Generator, who: SimpleNamespace, spells: pd.DataFrame, repaid: np.ndarray) -> pd.DataFrame:
    """Return the accounts, several a customer: savings last as long as the customer, others may end earlier."""
    k, entry, end = (spells[name].to_numpy() for name in ("customer", "entry", "end"))
    rows = [spells.assign(product="储蓄")]
    first = spells["is_first"].to_numpy()
    rows.append(spells.assign(product="贷款", end=np.minimum(end, repaid[k]))[first & (who.loan[k] > 0)])
    for product, chance in (("信用卡", 0.4), ("理财", np.where(who.deposit[k] >= 5, 0.5, 0.05))):
        early = entry + 90 + rng.integers(0, 4000, len(k))
        rows.append(spells.assign(product=product, end=np.minimum(end, early))[rng.random(len(k)) < chance])
    table = pd.concat(rows)
    table["end"] = table["end"].where(table["end"] <= AS_OF, NEVER)
    table = table[(table["end"] >= day_of("2021-01-01")) | (table["product"] == "储蓄")]
    return table.sort_values(["customer", "number", "product"], kind="stable", ignore_index=True)


def forms(rng: np.random.Generator, spells: pd.DataFrame) -> pd.DataFrame:
    """Return what everybody who left would tick, and `follow_up`: who was asked, and who answered."""
    lost = spells[spells["end"] < NEVER].sort_values(["end", "customer"], ignore_index=True)
    cause, n = lost["cause"].to_numpy(int), len(lost)
    extra = {word: chance for word, (_, chance) in WORDS.items()}
    ticked = tick(rng, cause, main_reasons(SAYS, extra), np.array(list(extra.values())))
    u, chance = rng.random(n), np.array([ANSWERED.get(c, 0.45) for c in CAUSES])[cause]
    others = words(rng, {"无人接听": 40, "停机": 20, "空号": 10, "拒绝回答": 30}, n)
    lost["follow_up"] = np.select([rng.random(n) < 0.2, u < chance], ["未调查", "已回访"], others)
    return pd.concat([lost, pd.DataFrame(ticked, columns=list(WORDS))], axis=1)


def contacts(rng: np.random.Generator, who: SimpleNamespace, risks: pd.DataFrame) -> pd.DataFrame:
    """Return a satisfaction call to a random sample of each month (45 % answer), and complaints about waiting."""
    ill = risks["waiting"].to_numpy() / CAUSES["waiting"]  # waiting times against those of 2021
    asked = rng.random(len(risks)) < 0.02
    angry = rng.random(len(risks)) < 0.002 * ill
    score = np.clip(np.rint(8.9 - 0.5 * ill + rng.normal(0, 1, len(risks))), 1, 10).astype(int).astype(str)
    score = np.where(rng.random(len(risks)) < 0.45, score, "")
    minutes = np.rint(11 * ill * rng.lognormal(0, 0.3, len(risks))).astype(int)
    table = risks[["customer", "m"]].assign(day=first_of(risks["m"]) + rng.integers(0, 28, len(risks)))
    polls = table[asked].assign(kind="满意度", score=score[asked], solved="", text="")
    solved = np.where(rng.random(len(table)) < 0.7, "是", "否")
    said = np.array([f"排队等了{n}分钟" for n in minutes[angry]], object)
    angry = table[angry].assign(kind="投诉", score="", solved=solved[angry], text=said)
    return pd.concat([polls, angry]).sort_values(["day", "customer", "kind"], ignore_index=True)


def ids(customer: np.ndarray) -> np.ndarray:
    """Return customer numbers as text of ten digits with leading zeros."""
    return np.array([f"{k + 20_001:010d}" for k in customer], object)


def excel_dates(day: np.ndarray) -> np.ndarray:
    """Return days as dates for a workbook, empty where they never come."""
    known = np.asarray(day) < NEVER
    return np.where(known, day, np.datetime64("NaT").astype(int)).astype("datetime64[D]").astype("datetime64[s]")


def write(world: SimpleNamespace) -> dict:
    """Write the bank's files, dirt included; return their rows and the planted defects."""
    rng, who, counts, few = stream("dirt"), world.who, {}, max(3, round(20 * SIZE))
    last = world.spells.groupby("customer").last()
    k, ended = last.index.to_numpy(), (last["end"] < NEVER).to_numpy()
    master = {
        "客户号": ids(k), "性别": np.where(rng.random(len(k)) < 0.5, "女", "男"), "年龄": who.age[k].astype(str),
        "网点": [f"网点{b + 1:02d}" for b in who.branch[k]], "培训网点": np.where(who.trained[k], "是", "否"),
        "风险等级": who.risk[k], "存款(万元)": who.deposit[k].astype(str), "贷款(万元)": who.loan[k].astype(str),
        "总额(万元)": np.round(who.deposit[k] + who.loan[k], 1).astype(str), "月均贡献": yuan(who.fee[k]),
        "开户日期": days(who.start[k], "%Y/%m/%d"), "销户日期": days(last["end"], "%Y/%m/%d", NEVER),
        "销户类型": np.where(ended, OUTCOMES[last["cause"]], ""),
    }  # fmt: skip
    master = pd.DataFrame(master)
    rewrite(rng, master, "开户日期", 20 * few, lambda v: v.replace("/", ""), counts, "dates written 20240305")
    rewrite(rng, master, "月均贡献", 20 * few, lambda v: f"￥{float(v):,.2f}", counts, "amounts with a currency sign")
    rewrite(rng, master, "性别", 10 * few, lambda v: "—", counts, "gender left blank, written as a dash")
    master = repeat(rng, master, few, counts, "duplicate customers")
    a = world.accounts
    book = {"账号": [f"ZH{i:07d}" for i in range(1, len(a) + 1)], "客户号": ids(a["customer"]), "产品": a["product"]}
    book = pd.DataFrame(book | {"开立": excel_dates(a["entry"]), "结清": excel_dates(a["end"])})
    wrong = pd.DataFrame({"账号": [f"CW{i:03d}" for i in range(few)], "客户号": ids(k[:few]), "产品": "信用卡"})
    counts["accounts that end before they start"] = few
    wrong = wrong.assign(开立=np.datetime64("2022-05-01"), 结清=np.datetime64("2022-03-01"))
    book = pd.concat([book, wrong], ignore_index=True)
    f, c = world.forms[world.forms["end"] < AS_OF - 20], world.contacts
    cells = ["；".join(np.array(list(WORDS))[row]) for row in f[list(WORDS)].to_numpy(bool)]
    called = excel_dates(f["end"] + rng.integers(2, 20, len(f)))
    sheet = {"客户号": ids(f["customer"]), "回访日期": called, "结果": f["follow_up"].to_numpy()}
    sheet["销户原因"] = np.where(f["follow_up"] == "已回访", cells, "")
    said = {"客户号": ids(c["customer"]), "日期": days(c["day"]), "类型": c["kind"], "评分": c["score"]}
    said = pd.DataFrame(said | {"已解决": c["solved"], "内容": c["text"]})
    write_csv("客户档案.csv", master)
    write_csv("客户回访.csv", said)
    footer = [["合计", f"{len(book)}户"], ["制表人：示例"]]
    write_xlsx("账户明细.xlsx", {"账户": (["示例农商银行账户明细（模拟数据）"], book, footer)})
    write_xlsx("销户调查.xlsx", {"调查": ([], pd.DataFrame(sheet), [])})
    events = pd.DataFrame(EVENTS, columns=["日期", "类型", "事件", "英文说明", "影响范围"])
    write_xlsx("大事记.xlsx", {"大事记": ([], events.assign(日期=events["日期"].astype("datetime64[s]")), [])})
    rows = {"客户档案.csv": len(master), "账户明细.xlsx": len(book), "销户调查.xlsx": len(f), "客户回访.csv": len(c)}
    return {"rows": rows, "dirt": counts, "n_customers": len(k)}


def band(values: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    """Return the names of the bands that the workbook gives: 0-5, 5-20, ..., 100+."""
    names = np.array([*(f"{a}-{b}" for a, b in zip(edges, edges[1:], strict=False)), f"{edges[-1]}+"], object)
    return names[np.searchsorted(edges, values, side="right") - 1]


def the_truth(world: SimpleNamespace) -> dict:
    """Return what truth.json says; README.md explains each part."""
    who, spells, told = world.who, world.spells, world.forms
    levels = {"all": np.full(who.n, "all"), "age": band(who.age, (0, 25, 35, 45, 60)), "risk": who.risk}
    levels |= {"loan": band(who.loan, (0, 0.05, 20, 100)), "trained": who.trained.astype(str)}
    levels["value"] = band(who.deposit + who.loan, (0, 5, 20, 100))
    year, answered = (
        told["end"].to_numpy().astype("datetime64[D]").astype("datetime64[Y]").astype(str),
        told["follow_up"],
    )
    reasons = [reason for reason, _ in WORDS.values()]
    out: dict = {"reasons": {}, "true_cause": {}, "fee": {"fee_opening": [], "fee_churned_opening": []}}
    for name in ("all", *np.unique(year)):
        rows = (year == name) | (name == "all")
        ticked = told.loc[rows, list(WORDS)].to_numpy(bool)
        out["reasons"][str(name)] = stated_truth(reasons, ticked, (answered == "已回访").to_numpy()[rows])
        out["true_cause"][str(name)] = told["cause"][rows].map(lambda c: list(CAUSES)[int(c)]).value_counts().to_dict()
    fee = who.fee[spells["customer"]]
    for m in MONTHS:
        there = ((spells["entry"] < first_of(m)) & (spells["end"] >= first_of(m))).to_numpy()
        out["fee"]["fee_opening"].append(int(fee[there].sum()))
        out["fee"]["fee_churned_opening"].append(int(fee[there & (month_of(spells["end"]) == m)].sum()))
    q, total = world.risks, (who.deposit + who.loan)[world.risks["customer"]]
    helped = {  # losses that the measures and the cut avoided directly, expected
        "training": (q["waiting"], TRAINING, TRAINING_LEAVES, who.trained[q["customer"]]),
        "products": (q["terms"], PRODUCTS, PRODUCTS_LEAVE, (total >= 5) & (total < 100)),
        "cut": (q["rate"], CUT, CUT_LEAVES, True),
    }
    out["avoided"] = {
        name: round(float(chance[(q["m"] >= at(since)) & reached].sum() * (1 / left - 1)), 1)
        for name, (chance, since, left, reached) in helped.items()
    }
    months = [str(np.datetime64(int(m), "M")) for m in MONTHS]
    book = {"months": months, "ledger": silent_ledger(spells, MONTHS)}
    return out | book | {"expected": expected_losses(spells, world.risks, MONTHS, levels)}


def simulate() -> SimpleNamespace:
    """Let five years happen; return everything that is to be written down."""
    who = customers(stream("customers"))
    spells, risks, repaid = histories(stream("histories"), who)
    world = SimpleNamespace(who=who, spells=spells, risks=risks)
    world.accounts = accounts(stream("accounts"), who, spells, repaid)
    world.forms, world.contacts = forms(stream("forms"), spells), contacts(stream("contacts"), who, risks)
    return world


if __name__ == "__main__":
    SEED = int(sys.argv[1]) if len(sys.argv) > 1 else SEED
    SIZE = float(sys.argv[2]) if len(sys.argv) > 2 else SIZE
    made = simulate()
    text = json.dumps(write(made) | the_truth(made), ensure_ascii=False, indent=1)
    Path("truth.json").write_text(text, encoding="utf-8")
