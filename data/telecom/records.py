"""The company's own records of the market: customer master, contracts, assignments and bills, as tables of text."""

from types import SimpleNamespace

import market
import numpy as np
import pandas as pd
import parameters as p
import pyarrow as pa
import pyarrow.compute as pc
from market import NEVER
from people import FIRST_DAY, LAST_DAY, OBSERVED, month_of
from simulation import days

SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨"
TRADES = ("贸易", "餐饮", "物流", "建材", "教育")
LEVELS = ("普通", "银卡", "金卡", "钻石")
OUTCOME_WORDS = {"voluntary": "主动离网", "involuntary": "欠费离网", "natural": "自然离网", "unknown": "不详", "": ""}
PLAN_NAMES, BRAND_NAMES, REGION_NAMES = (np.array(list(names), object) for names in (p.PLANS, p.BRANDS, p.REGIONS))
LAST_BILL = len(p.MONTHS) - 2  # the bills of January 2026 are not written yet


def ids(customer: np.ndarray) -> np.ndarray:
    """Return customer numbers as text of eight digits, in the order of joining."""
    return np.array([f"{k:08d}" for k in np.asarray(customer) + 1201], object)


def manager_names(code: np.ndarray) -> np.ndarray:
    """Return the names of account managers, "" for customers without one."""
    return np.array([*(f"经理{k + 1:02d}" for k in range(p.N_MANAGERS)), ""], object)[code]


def customers(rng: np.random.Generator, who: SimpleNamespace, s: market.State, last: pd.DataFrame) -> pd.DataFrame:
    """Return the customer master: one row per customer who was there since ends are recorded.

    `last` holds each customer's last spell, indexed by customer.
    """
    k = last.index.to_numpy()
    n = len(k)
    upgraded = (s.plan[k] != who.plan[k]) & ~who.large[k]
    fee = np.where(upgraded, np.rint(who.fee[k] * p.UPGRADE_FEE), who.fee[k])
    cost = (12 + 0.22 * fee) * rng.lognormal(0, 0.25, n)
    cost = np.where(rng.random(n) < p.NEGATIVE_MARGIN, fee * rng.uniform(1.05, 1.8, n), np.minimum(cost, 0.95 * fee))
    level = np.minimum(3, np.searchsorted((60, 120, 250), fee * rng.lognormal(0, 0.3, n)))
    cities = np.array(
        [cities[c] for (_, _, cities), c in zip(_of(p.REGIONS, who.region[k]), who.city[k], strict=True)], object
    )
    terms = {months: name for name, (_, months) in p.CONTRACTS.items()}
    return pd.DataFrame(
        {
            "客户编号": ids(k),
            "客户名称": _names(rng, who, k),
            "联系电话": np.array(
                [f"1000000{d:04d}" for d in rng.integers(0, 10000, n)], object
            ),  # no such numbers exist
            "性别": np.where(who.large[k], "", np.where(who.female[k], "女", "男")),
            "年龄": who.age[k].astype(str),
            "大区": REGION_NAMES[who.region[k]],
            "城市": cities,
            "客户类型": np.where(who.large[k], "集团", "个人"),
            "品牌": BRAND_NAMES[s.brand[k]],
            "套餐": PLAN_NAMES[s.plan[k]],
            "付费方式": np.where(who.prepaid[k], "预付费", "后付费"),
            "会员等级": np.array(LEVELS, object)[level],
            "合约期": np.array([terms[t] for t in who.term[k]], object),
            "月租": np.array([f"￥{f:,.2f}" for f in fee], object),
            "服务成本": np.array([f"{c:.2f}" for c in cost], object),
            "有效联系方式": np.where(who.contactable[k], "是", "否"),
            "客户经理": manager_names(s.manager[k]),
            "入网渠道": np.where(
                who.promotion[k],
                "促销活动",
                np.array(["营业厅", "网上营业厅", "代理商"], object)[rng.integers(0, 3, n)],
            ),
            "入网日期": days(who.start[k]),
            "离网日期": days(last["end"], never=NEVER),
            "离网类型": last["outcome"].map(OUTCOME_WORDS).to_numpy(object),
        }
    )


def _of(table: dict, code: np.ndarray) -> list:
    rows = list(table.values())
    return [rows[c] for c in code]


def _names(rng: np.random.Generator, who: SimpleNamespace, k: np.ndarray) -> np.ndarray:
    """Return names that nobody could take for real ones: 李某某, 示例贸易公司0123."""
    person = np.array([f"{a}某{b}" for a in SURNAMES for b in ("", "某")], object)[
        rng.integers(0, 2 * len(SURNAMES), len(k))
    ]
    trade = np.array(TRADES, object)[rng.integers(0, len(TRADES), len(k))]
    company = np.array([f"示例{t}公司{c % 10000:04d}" for t, c in zip(trade, k, strict=True)], object)
    return np.where(who.large[k], company, person)


def contracts(
    rng: np.random.Generator, who: SimpleNamespace, spells: pd.DataFrame, moves: pd.DataFrame
) -> pd.DataFrame:
    """Return the contracts: a move between brands closes one and opens the next on the following day; so does a return
    after weeks or months. Some customers have broadband beside it, and some of those close it earlier."""
    transfer = moves[moves["transfer"]].set_index("customer")["day"]
    rows = spells[["customer", "spell", "start", "end", "outcome"]].copy()
    day = rows["customer"].map(transfer).fillna(NEVER).to_numpy().astype(int)
    inside = (day < NEVER) & (day > rows["start"]) & (day <= rows["end"])
    rows["moved"] = False
    rows["product"] = BRAND_NAMES[np.where(day < rows["start"], 2, who.brand[rows["customer"]])]
    old, new = rows[inside].copy(), rows[inside].copy()
    old["end"], old["outcome"], old["moved"] = day[inside] - 1, "transfer", True
    new["start"], new["product"] = day[inside], "133"
    table = pd.concat([rows[~inside], old, new, _broadband(rng, rows)])
    table = table.sort_values(["customer", "start", "product"], kind="stable", ignore_index=True)
    table["contract"] = [f"HT{k:07d}" for k in range(1, len(table) + 1)]
    successor = table[table["product"] == "133"].set_index(["customer", "start"])["contract"]
    keys = pd.MultiIndex.from_arrays([table["customer"], table["end"] + 1])
    words = {**OUTCOME_WORDS, "transfer": "转品牌"}
    return pd.DataFrame(
        {
            "合同编号": table["contract"],
            "客户编号": ids(table["customer"]),
            "产品": table["product"],
            "开始日期": _dates(table["start"]),
            "终止日期": _dates(table["end"]),
            "终止原因": table["outcome"].map(words),
            "转入合同": np.where(table["moved"], successor.reindex(keys).fillna("").to_numpy(object), ""),
        }
    )


def _broadband(rng: np.random.Generator, rows: pd.DataFrame) -> pd.DataFrame:
    chosen = rows[(rows["spell"] == 1).to_numpy() & (rng.random(len(rows)) < p.BROADBAND[0])].copy()
    start = chosen["start"].to_numpy() + rng.integers(0, 200, len(chosen))
    wait = np.floor(rng.standard_exponential(len(chosen)) / p.BROADBAND[1] * p.DAYS_PER_MONTH).astype(int)
    end = np.maximum(start, FIRST_DAY[OBSERVED]) + wait
    early = end < np.minimum(chosen["end"].to_numpy(), LAST_DAY[-1])
    chosen["outcome"] = np.where(early, "voluntary", chosen["outcome"])
    chosen["start"], chosen["end"] = start, np.where(early, end, chosen["end"])
    chosen["product"] = "宽带"
    return chosen[start <= np.minimum(chosen["end"], LAST_DAY[-1])]


def _dates(day: pd.Series) -> np.ndarray:
    return (
        np.where(day < NEVER, np.minimum(day, LAST_DAY[-1]), np.datetime64("NaT").astype(int))
        .astype("datetime64[D]")
        .astype("datetime64[s]")
    )


def assignments(who: SimpleNamespace, last: pd.DataFrame, moves: pd.DataFrame, changes: pd.DataFrame) -> pd.DataFrame:
    """Return who held which plan and which account manager, and when: one row per period."""
    k = last.index.to_numpy()
    first = pd.DataFrame({"customer": k, "from": who.start[k], "value": PLAN_NAMES[who.plan[k]], "attribute": "套餐"})
    later = pd.DataFrame({"customer": moves["customer"], "from": moves["day"], "value": "5G畅享", "attribute": "套餐"})
    held = k[who.manager[k] >= 0]
    staff = pd.DataFrame({"customer": held, "from": who.start[held], "value": manager_names(who.manager[held])})
    next_ = pd.DataFrame(
        {"customer": changes["customer"], "from": changes["day"], "value": manager_names(changes["new"])}
    )
    rows = pd.concat([first, later, staff.assign(attribute="客户经理"), next_.assign(attribute="客户经理")])
    rows = rows.sort_values(["customer", "attribute", "from"], ignore_index=True)
    follows = (rows["customer"].shift(-1) == rows["customer"]) & (rows["attribute"].shift(-1) == rows["attribute"])
    to = np.where(
        follows, rows["from"].shift(-1).fillna(0) - 1, last["end"].reindex(rows["customer"]).to_numpy()
    ).astype(int)
    columns = {"客户编号": ids(rows["customer"]), "属性": rows["attribute"], "值": rows["value"]}
    return pd.DataFrame({**columns, "起始日期": days(rows["from"]), "结束日期": days(to, never=NEVER)})


def bills(rng: np.random.Generator, who: SimpleNamespace, spells: pd.DataFrame, moves: pd.DataFrame) -> pd.DataFrame:
    """Return one bill per customer and month: customer, month, day, amount in fen, minutes used, kind, decline.

    The last bill covers the days until the end. Usage falls before many voluntary ends: a symptom, made from the end
    itself, not a cause of it.
    """
    start, end = spells["start"].to_numpy(), spells["end"].to_numpy()
    ended = end < NEVER
    last_month = np.where(ended, month_of(np.minimum(end, LAST_DAY[-1])), LAST_BILL)
    first = np.maximum(month_of(start), OBSERVED)
    n = np.maximum(last_month - first + 1, 0)
    row = np.repeat(np.arange(len(spells)), n)
    m = np.arange(len(row)) - np.repeat(n.cumsum() - n, n) + first[row]
    k = spells["customer"].to_numpy()[row]
    closing = ended[row] & (m == last_month[row])
    day = np.where(closing, np.minimum(end[row], LAST_DAY[-1]), LAST_DAY[m])
    lived = (day - np.maximum(start[row], FIRST_DAY[m]) + 1) / (LAST_DAY[m] - FIRST_DAY[m] + 1)
    moved = (
        pd.Series(month_of(moves["day"].to_numpy()), moves["customer"].to_numpy())
        .reindex(np.arange(who.n))
        .fillna(NEVER)
        .to_numpy()
    )
    decline = _decline_months(rng, who)
    fee = who.fee[k] * np.where((m > moved[k]) & ~who.large[k], p.UPGRADE_FEE, 1.0)
    fee *= np.where(who.prepaid[k] & (m >= p.month(next(iter(p.PRICE_RISE)))), p.PRICE_RISE_FACTOR, 1.0)
    fee *= np.where(m >= decline[k], p.DECLINE_TO, 1.0)
    silent = who.silent_from[k] <= m
    symptom = _symptom(rng, spells["cause"].to_numpy(), last_month - 0, row, m)
    amount = np.rint(100 * fee * lived * symptom * np.where(silent, 0.6, 1.0) * rng.lognormal(0, 0.1, len(row))).astype(
        int
    )
    usage = np.rint(np.exp(rng.normal(5.2, 0.4, len(row))) * lived * symptom + 1).astype(int) * ~silent
    arrears = (spells["cause"].to_numpy()[row] == market.N_VOLUNTARY) & (m >= last_month[row] - 1)
    table = {"customer": k, "month": m, "day": day, "amount": amount, "usage": usage, "arrears": arrears}
    return pd.DataFrame(table | {"declined": m >= decline[k], "from_decline": m == decline[k]}).sort_values(
        ["month", "customer"], kind="stable", ignore_index=True
    )


def _decline_months(rng: np.random.Generator, who: SimpleNamespace) -> np.ndarray:
    """Return the month in which a high-value customer falls to a low value for good, NEVER for the others."""
    factor, plan, since = p.DECLINE_WAVE
    waited = rng.standard_exponential(who.n) / p.DECLINE_ONSET  # months at the ordinary rate
    begin = np.maximum(who.joined, OBSERVED) + 6  # half a year of bills to fall from
    touched = (who.plan == list(p.PLANS).index(plan)) & (begin + waited > since)
    late = np.maximum(begin, since)
    month = np.where(touched, late + (waited - (late - begin)) / factor, begin + waited)
    return np.where(who.fee >= p.DECLINE_FEE, np.floor(month), NEVER).astype(int)


def _symptom(rng, cause: np.ndarray, last_month: np.ndarray, row: np.ndarray, m: np.ndarray) -> np.ndarray:
    shows = (cause >= 0) & (cause < market.N_VOLUNTARY) & (rng.random(len(cause)) < p.SYMPTOM[0])
    levels = np.array([*p.SYMPTOM[1], 1.0])
    before_end = np.clip(last_month[row] - m, 0, len(levels) - 1)
    return np.where(shows[row], levels[before_end], 1.0)


def bill_lines(rng: np.random.Generator, bills: pd.DataFrame) -> pd.DataFrame:
    """Return the bills as text, with refunds; large amounts carry a currency sign and a thousands separator."""
    refund = np.flatnonzero(rng.random(len(bills)) < 0.0015)
    back = bills.iloc[refund].assign(amount=-rng.integers(500, 6000, len(refund)), usage=0, kind="退费")
    table = pd.concat([bills.assign(kind=np.where(bills["arrears"], "欠费", "账单")), back])
    table = table.sort_values(["month", "customer", "kind"], kind="stable", ignore_index=True)
    amount = _money(table["amount"].to_numpy())
    large = np.flatnonzero(table["amount"].to_numpy() >= 100_000)
    amount[large] = [f"￥{fen / 100:,.2f}" for fen in table["amount"].to_numpy()[large]]
    columns = {
        "账单日期": days(table["day"]),
        "金额": amount,
        "通话分钟": _whole(table["usage"]),
        "类型": table["kind"],
    }
    number = ids(np.arange(table["customer"].max() + 1))
    return pd.DataFrame({"客户编号": number[table["customer"]], **columns})


def _money(fen: np.ndarray) -> np.ndarray:
    cents = pc.utf8_lpad(pa.array(np.abs(fen) % 100).cast(pa.string()), 2, "0")
    yuan = pa.array(np.abs(fen) // 100).cast(pa.string())
    text = pc.binary_join_element_wise(pa.array(np.where(fen < 0, "-", "")), yuan, ".", cents, "")
    return text.to_numpy(zero_copy_only=False)


def _whole(values: pd.Series) -> np.ndarray:
    return pa.array(values).cast(pa.string()).to_numpy(zero_copy_only=False)
