"""Simulate the sample telecom operator: write its files, and the truth behind them, into the current folder.

Run as `python simulate.py`, or with another seed and size as `python simulate.py 7 0.1`; same seed, same bytes.
`parameters.py` says what is true, `people.py` and `market.py` let it happen, `records.py` and `voices.py` keep the
company's books, `dirt.py` adds dirt, and `truth.py` writes down what an analysis must find (truth.json).
"""

import json
import sys
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

sys.path.append(str(Path(__file__).resolve().parents[1]))  # data/: the writers of all simulated data sets

import dirt
import market
import parameters as p
import people
import records
import truth
import voices
from market import NEVER
from people import OBSERVED
from simulation import write_csv, write_xlsx


def stream(name: str) -> np.random.Generator:
    """Return the random numbers of one part of the simulation: a change in one part leaves the others as they are."""
    return np.random.default_rng([p.SEED, 3, *name.encode()])


def simulate() -> SimpleNamespace:
    """Let the market happen once, and again without each cause; return everything that is to be written down."""
    who = people.people(stream("people"))
    season, noise = people.calendar(stream("calendar"))
    state, watch = market.State.of(who), truth.Watch(who)
    market.run(who, season, noise, range(OBSERVED), state)  # before ends are recorded
    log, at = market.Log(), {}
    for begin, end in ((OBSERVED, p.OUTDATED_FROM), (p.OUTDATED_FROM, p.STORY_FROM), (p.STORY_FROM, len(p.MONTHS))):
        at[begin] = deepcopy(state)
        for kind, rows in market.run(who, season, noise, range(begin, end), state, watch=watch).items():
            log[kind] += rows
    del at[OBSERVED]  # no cause is taken away before 2024
    world = SimpleNamespace(who=who, state=state, log=log, watch=watch, noise=noise, spells=_spells(log, state))
    world.without = market.worlds(who, season, noise, at)
    world.last = world.spells.groupby("customer").last()
    world.moves, world.changes = log.frame("move"), log.frame("manager")
    world.retention, world.win_back = log.frame("retention"), log.frame("win_back")
    world.bills = records.bills(stream("bills"), who, world.spells, world.moves)
    world.forms = voices.stated(stream("stated"), who, world.spells[world.spells["end"] < NEVER])
    return world


def _spells(log: market.Log, state: market.State) -> pd.DataFrame:
    """Return every spell that was alive since ends are recorded: one row each, those still running with end NEVER."""
    k = np.flatnonzero(state.active)
    running = {
        "customer": k,
        "spell": state.spell[k],
        "start": state.start[k],
        "end": NEVER,
        "cause": -1,
        "outcome": "",
    }
    spells = pd.concat([log.frame("spell"), pd.DataFrame(running)], ignore_index=True)
    return spells.sort_values(["customer", "spell"], ignore_index=True)


def tables(world: SimpleNamespace, counts: dict[str, int]) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """Return the company's tables by file name, dirt included (counted in `counts`), and the broken contact lines."""
    who, spells = world.who, world.spells
    master = records.customers(stream("customers"), who, world.state, world.last)
    master = dirt.customers(stream("dirt customers"), master, counts)
    contracts = records.contracts(stream("contracts"), who, spells, world.moves)
    lines = dirt.bills(stream("dirt bills"), records.bill_lines(stream("lines"), world.bills), counts)
    said = [world.log.frame(kind) for kind in ("complaint", "satisfaction")]
    contacts, broken = dirt.contacts(
        stream("dirt contacts"), voices.contacts(stream("contacts"), *said, world.changes), counts
    )
    return {
        "客户档案.csv": master,
        "月账单.csv": lines,
        "接触记录.csv": contacts,
        "归属变更.csv": records.assignments(who, world.last, world.moves, world.changes),
        "挽留活动.csv": voices.campaigns(stream("campaigns"), world.retention, world.win_back, spells, world.bills),
        "行业对比.csv": voices.benchmarks(),
        "产品合约.xlsx": dirt.contracts(contracts, master, counts),
        "离网回访.xlsx": voices.exit_forms(stream("exit"), who, world.forms),
        "公司事件.xlsx": voices.events(),
    }, broken


def write(written: dict[str, pd.DataFrame], broken: tuple[str, ...]) -> None:
    """Write the tables as the company keeps them: GBK text, and workbooks with titles, notes and a footer."""
    for name, table in written.items():
        if name.endswith(".csv"):
            encoding = "utf-8-sig" if name == "行业对比.csv" else "gb18030"
            write_csv(name, table, encoding, broken if name == "接触记录.csv" else ())
    contracts, forms = written["产品合约.xlsx"], written["离网回访.xlsx"]
    note = ([], pd.DataFrame({"说明": ["转品牌（130、131转133）不算离网", "同一客户可有多份合同"]}), [])
    footer = [["合计", f"{len(contracts)}份"], ["制表人：示例", "", "", "审核：示例"]]
    titled = (["产品合约明细表", "导出日期：2026-01-12"], contracts, footer)
    write_xlsx("产品合约.xlsx", {"说明": note, "合约明细": titled})
    help_ = ([], pd.DataFrame({"离网原因": ["可多选，用；分开"]}), [])
    write_xlsx("离网回访.xlsx", {"回访明细": ([], forms, []), "填写说明": help_})
    write_xlsx("公司事件.xlsx", {"事件": (["公司大事记"], written["公司事件.xlsx"], [])})


def the_truth(world: SimpleNamespace, rows: dict[str, int], counts: dict[str, int]) -> dict:
    """Return what truth.json says; README.md explains each part."""
    ended = pd.Series(people.month_of(world.log.frame("spell")["end"].to_numpy())).value_counts()
    by_month = {
        "zero_usage_lines": world.bills[world.bills["usage"] == 0].groupby("month").size(),
        "value_declines": world.bills[world.bills["from_decline"]].groupby("month").size(),
    }
    return {
        "rows": rows,
        "dirt": counts,
        "n_customers": len(world.last),
        "months": [str(m) for m in p.MONTHS[OBSERVED:]],
        "noise": [round(float(v), 5) for v in world.noise[OBSERVED:]],
        "ledger": truth.ledger(world.spells),
        "expected": world.watch.expected(),
        "excess": truth.excess(ended, world.without),
        "survival": world.watch.survival(),
        "reasons": voices.truth_of_reasons(world.forms),
        "campaigns": truth.campaigns(world.spells, world.retention, world.win_back),
    } | {name: {str(p.MONTHS[m]): int(n) for m, n in table.items()} for name, table in by_month.items()}


def main() -> None:
    """Simulate, and write all files into the current folder."""
    world, counts = simulate(), {}
    written, broken = tables(world, counts)
    write(written, broken)
    rows = {name: len(table) for name, table in written.items()}
    rows["接触记录.csv"] += len(broken)
    text = json.dumps(the_truth(world, rows, counts), ensure_ascii=False, indent=1)
    Path("truth.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name, value in zip(("SEED", "SIZE"), sys.argv[1:], strict=False):
        setattr(p, name, type(getattr(p, name))(value))
    main()
