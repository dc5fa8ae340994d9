"""Dirt of the real kind, a little of each, counted: what reading must bring to light.

Dirt only adds rows that are nobody's, or writes the same value in another way. So once the rows that break a rule are
set aside, the records say exactly what the market did.
"""

import re

import numpy as np
import pandas as pd
from simulation import repeat, rewrite

FULL_WIDTH = str.maketrans("0123456789.,-", "０１２３４５６７８９．，－")
N_TEST_ACCOUNTS = 40


def customers(rng: np.random.Generator, table: pd.DataFrame, counts: dict) -> pd.DataFrame:
    """Return the customer master with test accounts, impossible ends, duplicates, and values written in many ways."""
    table = table.copy()
    tests = _strangers(rng, table, N_TEST_ACCOUNTS, "000000{:02d}").assign(
        客户名称="测试账户", 客户类型="测试", 离网日期="", 离网类型=""
    )
    wrong = _strangers(rng, table, 30, "9900{:04d}")
    wrong["离网日期"], wrong["离网类型"] = "2022-12-31", "主动离网"
    wrong["入网日期"] = "2024-06-01"
    table = pd.concat([tests, table, wrong], ignore_index=True)
    drawn = rng.random(len(table))
    for pattern, low, high in (
        ("{0}年{1}月{2}日", 0, 0.03),
        ("{0}{1:02d}{2:02d}", 0.03, 0.06),
        ("{0}/{1}/{2}", 0.06, 0.08),
    ):
        rows = np.flatnonzero((drawn >= low) & (drawn < high))
        table.loc[rows, "入网日期"] = [pattern.format(*map(int, day.split("-"))) for day in table["入网日期"][rows]]
        counts["start written as " + pattern.format(2024, 3, 5)] = len(rows)
    rewrite(rng, table, "月租", 45, lambda v: "￥" + v[1:].translate(FULL_WIDTH), counts, "fee in full-width digits")
    rewrite(rng, table, "大区", 40, lambda v: v + "　", counts, "region with a trailing full-width blank")
    rewrite(rng, table, "城市", 45, lambda v: "N/A", counts, "city not known, written N/A")
    for column, word, share in (("客户经理", "无", 0.05), ("客户经理", "—", 0.02), ("离网日期", "—", 0.003)):
        rows = np.flatnonzero((table[column] == "").to_numpy() & (rng.random(len(table)) < share))
        table.loc[rows, column] = word
        counts[f"{column} blank written {word}"] = len(rows)
    counts |= {"test accounts": N_TEST_ACCOUNTS, "customers that end before they start": len(wrong)}
    theirs = table.iloc[: -len(wrong)]
    return pd.concat(
        [repeat(rng, theirs, 45, counts, "duplicate customers"), table.iloc[-len(wrong) :]], ignore_index=True
    )


def _strangers(rng: np.random.Generator, table: pd.DataFrame, n: int, pattern: str) -> pd.DataFrame:
    rows = table.iloc[np.sort(rng.choice(len(table), n, replace=False))].reset_index(drop=True)
    return rows.assign(客户编号=[pattern.format(k + 1) for k in range(n)])


def contracts(table: pd.DataFrame, accounts: pd.DataFrame, counts: dict) -> pd.DataFrame:
    """Return the contracts with one for each test account, and a few that end before they start."""
    tests = accounts[accounts["客户类型"] == "测试"].drop_duplicates("客户编号")
    start = pd.Series([_day(written) for written in tests["入网日期"]])
    added = pd.DataFrame(
        {"合同编号": [f"HT99{k:05d}" for k in range(len(tests))], "客户编号": tests["客户编号"].to_numpy()}
    )
    added = added.assign(
        产品="133", 开始日期=start.to_numpy().astype("datetime64[s]"), 终止日期=pd.NaT, 终止原因="", 转入合同=""
    )
    wrong = table.iloc[500::4000].assign(终止原因="主动离网", 转入合同="")
    wrong["合同编号"] = [f"HT98{k:05d}" for k in range(len(wrong))]
    wrong["终止日期"] = wrong["开始日期"] - np.timedelta64(30, "D")
    counts["contracts that end before they start"] = len(wrong)
    return pd.concat([table, wrong, added.astype(table.dtypes.to_dict())], ignore_index=True)


def bills(rng: np.random.Generator, table: pd.DataFrame, counts: dict) -> pd.DataFrame:
    """Return the bills with duplicates, customers that nobody knows, and amounts written in other ways."""
    table = table.copy()
    rewrite(rng, table, "金额", 600, lambda v: v.translate(FULL_WIDTH), counts, "amounts in full-width digits")
    minus = np.flatnonzero(table["金额"].str.startswith("-"))[::2]
    table.loc[minus, "金额"] = "(" + table["金额"][minus].str[1:] + ")"
    counts["refunds written in brackets"] = len(minus)
    nobody = _strangers(rng, table, 150, "98{:06d}")
    counts["bills of unknown customers"] = len(nobody)
    return pd.concat([repeat(rng, table, 900, counts, "duplicate bills"), nobody], ignore_index=True)


def contacts(rng: np.random.Generator, table: pd.DataFrame, counts: dict) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the contact log with future dates, and the lines that have a field too many."""
    table = table.copy()
    rewrite(
        rng,
        table,
        "是否解决",
        300,
        lambda v: {"是": "已解决", "否": "未解决", "": "—"}[v],
        counts,
        "resolved in other words",
    )
    future = table.iloc[100::6000].assign(日期="2027-01-01")
    counts["contacts in the future"] = len(future)
    broken = tuple(
        f"{row.客户编号},{row.日期},投诉,,否,账单,扣费不对,请核实" for row in table.iloc[50::9000].itertuples()
    )
    counts["contact lines with a field too many"] = len(broken)
    return pd.concat([table, future], ignore_index=True), broken


def _day(written: str) -> np.datetime64:
    """Read 2024-03-05, 2024年3月5日, 2024/3/5 and 20240305."""
    parts = re.findall(r"\d+", written)
    year, month, day = parts if len(parts) == 3 else (written[:4], written[4:6], written[6:])
    return np.datetime64(f"{year}-{int(month):02d}-{int(day):02d}", "s")
