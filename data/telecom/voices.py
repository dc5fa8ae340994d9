"""What customers say and what the company does about it: complaints, satisfaction, exit forms, campaigns, events."""

import numpy as np
import pandas as pd
import parameters as p
from market import CAUSES, NEVER
from people import FIRST_DAY, LAST_DAY, month_of, pick
from records import ids
from simulation import days

REASONS = list(p.WORDS)
COMPLAINTS = {  # category -> share, texts
    "账单": (0.30, ("本月账单多扣了费用，要求核实。", "套餐外扣费没有提前告知。", "话费突然变多，请查清楚。")),
    "网络": (0.25, ("家里信号很差，电话经常断。", "上网速度太慢，无法使用。", "手机没有信号，打不通电话。")),
    "服务态度": (0.20, ("营业厅人员态度不好，说话很冲。", "客服推诿，没人解决问题。", "排队一个小时没人理。")),
    "资费": (0.15, ("套餐太贵，想换便宜的不给办。", "优惠到期没有通知，价格翻倍。", "老用户没有优惠，不公平。")),
    "其他": (0.10, ("携号转网一直办不下来。", "积分兑换不了。")),
}
MASK_ME = "请回电1000000{:04d}，王某某。"  # some texts carry a number and a name: readers must never see them
UNREACHED = {
    "无人接听": 0.30,
    "停机": 0.20,
    "关机": 0.14,
    "无法接通": 0.12,
    "拒接": 0.09,
    "有事忙": 0.06,
    "呼转": 0.04,
    "人在外地": 0.03,
    "其他": 0.02,
}
NO_CONTACT = {"空号": 0.55, "号码有误": 0.45}
OPERATORS = ("甲运营商", "乙运营商", "丙运营商", "不清楚")
OPINIONS = {
    "price.too_high": "月租太贵，别家便宜一半。",
    "price.unstable": "突然涨价，没有通知。",
    "competitor.offer": "朋友推荐了别家的优惠活动。",
    "access.network": "信号一直不好，在家打不了电话。",
    "service.complaint_unresolved": "投诉了三次没人处理，很失望。",
    "service.attitude": "营业厅态度差。",
    "product.outdated": "套餐太老，流量不够用。",
    "natural.moved": "搬到外地工作了。",
}


def contacts(
    rng: np.random.Generator, complaints: pd.DataFrame, asked: pd.DataFrame, changes: pd.DataFrame
) -> pd.DataFrame:
    """Return the contact log: complaints, the monthly satisfaction sample (blank score: no answer), manager changes."""
    n = len(complaints)
    words = list(COMPLAINTS)
    category = np.array(words, object)[pick(rng, [share for share, _ in COMPLAINTS.values()], n)]
    category = np.where(complaints["wave"] & (rng.random(n) < 0.8), "网络", category)
    choice, number = rng.integers(0, 3, n), rng.integers(0, 10000, n)
    text = [COMPLAINTS[c][1][j % len(COMPLAINTS[c][1])] for c, j in zip(category, choice, strict=True)]
    masked = rng.random(n) < 0.05
    text = [t + MASK_ME.format(k) if hide else t for t, k, hide in zip(text, number, masked, strict=True)]
    solved = complaints["resolved"].to_numpy()
    rows = [
        complaints.assign(
            接触类型="投诉", 评分="", 是否解决=np.where(solved, "是", "否"), 投诉类别=category, 内容=text
        ),
        asked.assign(
            接触类型="满意度调查",
            评分=[f"{v:.0f}" if v else "" for v in asked["score"]],
            是否解决="",
            投诉类别="",
            内容="",
        ),
        changes.assign(
            接触类型="客户经理变更",
            评分="",
            是否解决="",
            投诉类别="",
            内容=np.where(changes["left"], "原客户经理离职", ""),
        ),
    ]
    table = pd.concat(rows).sort_values(["day", "customer"], kind="stable", ignore_index=True)
    columns = {"客户编号": ids(table["customer"]), "日期": days(table["day"])}
    return pd.DataFrame(columns | {c: table[c] for c in ("接触类型", "评分", "是否解决", "投诉类别", "内容")})


def stated(rng: np.random.Generator, who, ended: pd.DataFrame) -> pd.DataFrame:
    """Return what everybody who left would say, and who was asked and answered: one row per ended spell.

    Boolean columns, one per reason: ticked or not. The main reason follows the true cause with known misreport, others
    are ticked beside it; whether somebody answers depends on the cause and the segment.
    """
    n, cause = len(ended), ended["cause"].to_numpy()
    main = (rng.random((n, 1)) > main_shares()[cause].cumsum(1)).sum(1).clip(max=len(REASONS) - 1)
    ticked = rng.random((n, len(REASONS))) < np.array([extra for _, extra in p.WORDS.values()])
    ticked[np.arange(n), main] = True
    table = pd.DataFrame(ticked, columns=REASONS)
    table["asked"] = rng.random(n) < p.ASKED
    table["chance"] = answer_chance(who, ended)
    table["answered"] = table["asked"] & (rng.random(n) < table["chance"])
    return pd.concat([ended.reset_index(drop=True), table], axis=1)


def main_shares() -> np.ndarray:
    """Return the share of main reasons stated by those who left for each true cause: causes x reasons."""
    ordinary = pd.Series(p.ORDINARY_REASONS).reindex(REASONS).fillna(0)
    rows = []
    for cause in CAUSES:
        own = pd.Series(p.MAIN_REASON[cause], dtype=float).reindex(REASONS).fillna(0)
        rows.append(own + (1 - own.sum()) * ordinary / ordinary.sum())
    return np.array(rows)


def answer_chance(who, ended: pd.DataFrame) -> np.ndarray:
    """Return each leaver's chance of answering when asked: by true cause, region, payment, age and contact data."""
    k = ended["customer"].to_numpy()
    chance = np.array([p.ANSWER_BY_CAUSE.get(c, 1.0) for c in CAUSES])[ended["cause"]] * p.ANSWER
    chance = chance * np.where(who.region[k] == list(p.REGIONS).index("华南"), p.ANSWER_BY_SEGMENT["华南"], 1)
    chance = chance * np.where(who.prepaid[k], p.ANSWER_BY_SEGMENT["prepaid"], 1)
    chance = chance * np.where(who.band[k] == 1, p.ANSWER_BY_SEGMENT["25-34"], 1)
    return np.where(who.contactable[k], chance, 0.0)


def exit_forms(rng: np.random.Generator, who, forms: pd.DataFrame) -> pd.DataFrame:
    """Return the exit forms of those who left: the calls made until as_of, reasons in one cell, 流向, free text."""
    n, k = len(forms), forms["customer"].to_numpy()
    day = forms["end"].to_numpy() + rng.integers(5, 26, n)
    reached = forms["answered"].to_numpy()
    kinds = _words(rng, UNREACHED, n)
    kinds = np.where(who.contactable[k], kinds, _words(rng, NO_CONTACT, n))
    declined = who.contactable[k] & (rng.random(n) < 0.25)
    outcome = np.select([~forms["asked"], reached, declined], ["未回访", "已回访", "拒绝回答"], kinds)
    new_form = day >= FIRST_DAY[p.month("2025-01")]
    words = [[w, p.RENAMED.get(w, w)] for w, _ in p.WORDS.values()]
    ticked = forms[REASONS].to_numpy()
    cells = [
        "；".join(words[j][v] for j in np.flatnonzero(row)) for row, v in zip(ticked, new_form.astype(int), strict=True)
    ]
    competitor = forms["competitor.offer"].to_numpy()
    lost_to = np.array(OPERATORS, object)[pick(rng, (0.45, 0.30, 0.15, 0.10), n)]
    tells = rng.random(n) < 0.3
    first = [REASONS[j] for j in ticked.argmax(1)]
    text = [OPINIONS.get(reason, "没有特别的原因。") for reason in first]
    table = pd.DataFrame(
        {
            "客户编号": ids(k),
            "离网日期": forms["end"].to_numpy().astype("datetime64[D]").astype("datetime64[s]"),
            "回访日期": day.astype("datetime64[D]").astype("datetime64[s]"),
            "回访结果": outcome,
            "离网原因": np.where(reached, cells, ""),
            "流向运营商": np.where(reached & (competitor | (rng.random(n) < 0.4)), lost_to, ""),
            "客户意见": np.where(reached & tells, text, ""),
            "表单版本": np.where(new_form, "2025版", "2023版"),
        }
    )
    return table[day <= LAST_DAY[-1]].sort_values(["回访日期", "客户编号"], kind="stable", ignore_index=True)


def _words(rng: np.random.Generator, shares: dict, n: int) -> np.ndarray:
    return np.array(list(shares), object)[pick(rng, list(shares.values()), n)]


def campaigns(
    rng, retention: pd.DataFrame, win_back: pd.DataFrame, spells: pd.DataFrame, bills: pd.DataFrame
) -> pd.DataFrame:
    """Return both campaigns' lists: one row per customer called or held out, with return and revenue afterwards."""
    keep, back = _called(rng, retention, "2025年9月挽留", 45), _called(rng, win_back, "离网召回", 30)
    starts = spells[spells["spell"] > 1][["customer", "start"]].merge(back[["customer", "day"]], on="customer")
    returned = starts[(starts["start"] > starts["day"]) & (starts["start"] <= starts["day"] + 90)]
    returned = returned.groupby(["customer", "day"])["start"].min().rename("return").reset_index()
    back = back.merge(returned, on=["customer", "day"], how="left")
    gone = spells[spells["end"] < NEVER].groupby("customer")["end"].max().reindex(keep["customer"]).to_numpy()
    until = LAST_DAY[p.month(p.RETENTION["month"]) + p.RETENTION["months"] - 1]
    left = (gone >= keep["day"]) & (gone <= until)
    keep["outcome"] = np.where(
        keep["answered"], np.where(left, "已离网", "已挽留"), np.where(keep["treated"], "未接通", "")
    )
    came = back["return"].notna()
    back["outcome"] = np.where(
        back["answered"] | came, np.where(came, "已回流", "未回流"), np.where(back["treated"], "未接通", "")
    )
    table = pd.concat([keep, back], ignore_index=True)
    paid = _revenue_after(table, bills)
    return pd.DataFrame(
        {
            "客户编号": ids(table["customer"]),
            "活动名称": table["name"],
            "组别": np.where(table["treated"], "试验组", "对照组"),
            "联系日期": days(table["day"]),
            "渠道": table["channel"],
            "客服": table["adviser"],
            "优惠": np.where(
                table["treated"], np.where(table["name"] == "离网召回", "回网首月免月租", "三个月月租八折"), ""
            ),
            "成本": [f"{c:.2f}" for c in table["cost"]],
            "结果": table["outcome"],
            "回网日期": days(table["return"].fillna(NEVER).astype(int), never=NEVER),
            "后三月收入": [f"{fen / 100:.2f}" for fen in paid],
        }
    )


def _called(rng: np.random.Generator, listed: pd.DataFrame, name: str, cost: float) -> pd.DataFrame:
    n, treated = len(listed), listed["treated"].to_numpy()
    channel = np.where(treated, _words(rng, {"电话": 0.6, "短信": 0.4}, n), "")
    adviser = np.where(channel == "电话", np.array([f"客服{j:02d}" for j in rng.integers(1, 13, n)], object), "")
    answered = treated & ((channel == "短信") | (rng.random(n) < 0.7))
    spent = np.where(treated, np.where(channel == "电话", 6.0, 0.1) + answered * cost, 0.0)
    return listed.assign(name=name, channel=channel, adviser=adviser, answered=answered, cost=spent)


def _revenue_after(table: pd.DataFrame, bills: pd.DataFrame) -> np.ndarray:
    """Return what each listed customer paid in the three months from the contact (or the return) on, in fen."""
    since = month_of(table["return"].fillna(table["day"]).to_numpy().astype(int))
    some = bills[bills["customer"].isin(table["customer"]) & (bills["month"] >= since.min())]
    pairs = table[["customer"]].assign(row=np.arange(len(table)), since=since).merge(some, on="customer")
    inside = pairs[(pairs["month"] >= pairs["since"]) & (pairs["month"] < pairs["since"] + 3)]
    return inside.groupby("row")["amount"].sum().reindex(np.arange(len(table))).fillna(0).to_numpy()


EVENTS = [
    ("2023-06-15", "", "价格调整", "旧4G套餐停止新入网", "old 4G plan closed to new customers", ""),
    ("2024-01-01", "", "竞争对手优惠", "竞争对手推出同价5G套餐", "competitors: 5G at old 4G prices", "plan=旧4G套餐"),
    ("2024-03-15", "", "员工离职", "客户经理07离职", "account manager 07 leaves", "manager=经理07"),
    ("2024-09-15", "", "员工离职", "客户经理15离职", "account manager 15 leaves", "manager=经理15"),
    ("2025-02-15", "", "员工离职", "客户经理22离职", "account manager 22 leaves", "manager=经理22"),
    ("2025-04-02", "2025-04-09", "故障", "华南核心网故障", "core network outage in South China", "region=华南"),
    ("2025-05-01", "2025-10-31", "竞争对手优惠", "竞争对手青年半价优惠", "competitor's half-price offer (ages 25-34)",
     "region=华东,西南; age=25-34"),
    ("2025-07-01", "", "涨价", "预付费资费上调12%", "prepaid prices up 12 %", "payment=预付费"),
    ("2025-09-01", "2025-11-30", "公司措施", "重点客户挽留活动", "retention campaign", ""),
    ("2025-10-15", "", "公司措施", "投诉专项整治", "complaints put right", "region=华南"),
    ("2025-11-01", "", "新产品", "5G换机计划上市", "5G upgrade programme launched", "plan=旧4G套餐,4G畅享"),
]  # fmt: skip


def events() -> pd.DataFrame:
    """Return the company's calendar of events: date, end, kind, words in both languages, whom it touches."""
    names = ["日期", "结束日期", "类型", "事件", "英文说明", "影响范围"]
    table = pd.DataFrame(EVENTS, columns=names)
    for name in names[:2]:
        table[name] = pd.to_datetime(table[name].replace("", None)).astype("datetime64[s]")
    return table


def benchmarks() -> pd.DataFrame:
    """Return the market's monthly churn rate by year, from an invented association."""
    rows = [
        ("移动通信", year, rate, "示例行业协会（模拟数据）", "Mobile telephony", "Sample association (simulated data)")
        for year, rate in (("2023", "1.9%"), ("2024", "1.9%"), ("2025", "2.0%"))
    ]
    return pd.DataFrame(rows, columns=["行业", "期间", "月流失率", "来源", "行业英文", "来源英文"])


def truth_of_reasons(forms: pd.DataFrame) -> dict:
    """Return, by year of leaving: true causes, and the shares that tick each reason, of all and of those who answered.

    `if_all_answered` less `among_respondents` is the bias of non-response; the true causes beside them show the
    misreport. The expected shares are what the model implies for those who left, the others what chance made of them.
    """
    main, extra = main_shares(), np.array([e for _, e in p.WORDS.values()])
    chance = (main + (1 - main) * extra)[forms["cause"]]  # of ticking each reason
    out = {}
    year = p.MONTHS[month_of(forms["end"].to_numpy())].astype("datetime64[Y]").astype(str)
    for name in ("all", *sorted(set(year))):
        rows = np.ones(len(forms), bool) if name == "all" else year == name
        some, answered = forms[rows], forms["answered"].to_numpy()[rows]
        weight = some["chance"].to_numpy() * some["asked"].to_numpy()
        out[name] = {
            "n_left": len(some), "n_asked": int(some["asked"].sum()), "n_answered": int(answered.sum()),
            "true_cause": {c: int((some["cause"] == j).sum()) for j, c in enumerate(CAUSES)},
            "if_all_answered": _shares(some[REASONS].to_numpy().mean(0)),
            "if_all_answered_expected": _shares(chance[rows].mean(0)),
            "among_respondents": _shares(some[REASONS].to_numpy()[answered].mean(0)),
            "among_respondents_expected": _shares(weight @ chance[rows] / weight.sum()),
        }  # fmt: skip
    return out


def _shares(values: np.ndarray) -> dict[str, float]:
    return {reason: round(float(v), 4) for reason, v in zip(REASONS, values, strict=True)}
