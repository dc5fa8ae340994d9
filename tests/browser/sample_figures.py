"""The sample report's figures: one of every kind, with the cases that make layouts break."""

from __future__ import annotations

import math
from datetime import date

from churnlib import text
from churnlib.about import Event, Period
from churnlib.show import plots
from churnlib.text import Label

MONTHS = [Period(date(2023, 12, 1)).shift(i) for i in range(26)]  # the last one is not complete
RATES = [
    *(0.0141, 0.0146, 0.0159, 0.0138, 0.0144, 0.0149, 0.0151, 0.0143, 0.0147, 0.0152, 0.0148, 0.0145, 0.0150),
    *(0.0153, 0.0168, 0.0147, 0.0155, 0.0161, 0.0172, 0.0188, 0.0197, 0.0193, 0.0181, 0.0176, 0.0171),
]
EVENTS = (
    Event(date(2025, 3, 18), Label("资费调整", "price change")),
    Event(date(2025, 5, 6), Label("竞争对手推出融合套餐", "competitor launches a bundle")),
    Event(date(2025, 8, 12), Label("挽留计划启动", "retention programme")),
)
REGIONS = [
    Label("华南", "South"),
    Label("华东", "East"),
    Label("华北", "North"),
    Label("西南", "Southwest"),
    Label("东北", "Northeast"),
    Label("西北（含新疆、青海试点营业部）", "Northwest, with the pilot branches"),
]


def _said(*pairs: tuple[str, str]) -> list[str]:
    """Names in the language that is set."""
    return [str(Label(*pair)) for pair in pairs]


def _one(zh: str, en: str) -> str:
    return str(Label(zh, en))


def churn_rate():
    rates = [*RATES, None]
    return plots.line(
        MONTHS,
        rates,
        lower=[r and r - 0.0006 for r in rates],
        upper=[r and r + 0.0006 for r in rates],
        year_ago=[None] * 12 + RATES[: len(MONTHS) - 12],
        complete=[True] * (len(MONTHS) - 1) + [False],
        target=0.015,
        events=EVENTS,
    )


def panels():
    shown = []
    for k, name in enumerate([*REGIONS[:5], Label("港澳台业务", "Cross-border")]):
        values = [r * (1.3 - 0.1 * k) + 0.0008 * math.sin(i * (k + 1)) for i, r in enumerate(RATES)]
        mean = sum(values[:12]) / 12
        limits = [mean - 0.002] * 25, [mean + 0.002] * 25
        marks = {"tone": "worse", "signals": (19, 20, 21)} if k == 0 else {}
        shown.append(plots.Panel(str(name), values, *limits, said=text.show(values[-1], "pct"), **marks))
    return plots.small_multiples(shown, MONTHS[:-1], reference=RATES, reference_label=_one("全部", "all"))


def rate_by_region():
    rates = [0.0231, 0.0178, 0.0169, 0.0161, 0.0152, 0.0149]
    return plots.bars(
        [str(region) for region in REGIONS],
        rates,
        lower=[r - 0.001 - 0.0004 * i for i, r in enumerate(rates)],
        upper=[r + 0.001 + 0.0004 * i for i, r in enumerate(rates)],
        tones=["worse", *["steady"] * 3, "better", "steady"],
        reference=0.0171,
        reference_label=_one("全部客户", "all customers"),
        columns=[(_one("期初客户", "customers"), ["39,871", "45,120", "31,004", "21,877", "17,230", "9,710"])],
    )


def contributions():
    labels = _said(
        ("华南 · 4G 套餐", "South · 4G plans"),
        ("西南 · 融合宽带", "Southwest · bundles"),
        ("华东 · 5G 畅享", "East · 5G"),
        ("其余 8 项", "8 others"),
        ("客户结构变化", "Change of the mix"),
        ("合计", "Total"),
    )
    values = [0.0013, 0.0002, -0.0004, 0.0001, -0.0007, 0.0005]
    tones = ["worse", "worse", "better", "worse", "better", "actual"]
    return plots.bars(labels, values, tones=tones, total=True, kind="points")


def stated():
    shares = [0.41, 0.34, 0.22, 0.15, 0.11, 0.07]
    labels = _said(
        ("价格", "Price"),
        ("竞争", "Competition"),
        ("网络与便利", "Network and access"),
        ("服务", "Service"),
        ("产品", "Product"),
        ("诚信", "Trust"),
    )
    bounds = ["25–64%", "21–59%", "14–52%", "9–47%", "7–45%", "4–42%"]
    named = ["412", "341", "221", "150", "112", "70"]
    return plots.bars(
        labels,
        shares,
        lower=[s - 0.03 for s in shares],
        upper=[s + 0.03 for s in shares],
        digits=0,
        columns=[(_one("提及人数", "named by"), named), (_one("下界–上界", "bounds"), bounds)],
    )


def both():
    labels = _said(
        ("价格 / 优惠", "Price and offers"),
        ("合约到期无人跟进", "Nobody called at contract end"),
        ("网络质量", "Network quality"),
        ("服务等待", "Waiting for service"),
        ("友商挖转", "Poached"),
    )
    names = (_one("客户自述", "stated"), _one("行为证据", "revealed"))
    return plots.dumbbell(labels, [0.41, 0.09, 0.22, 0.15, 0.10], [0.19, 0.34, 0.29, 0.15, 0.14], names)


def survival():
    kinds = [
        ("两年合约", "two-year contract", 0.006),
        ("一年合约", "one-year contract", 0.012),
        ("按月付费", "month to month", 0.0285),
        ("预付费", "prepaid", 0.0275),
    ]
    ticks, curves = list(range(0, 61, 6)), []
    for k, (zh, en, hazard) in enumerate(kinds):
        end = 60 - 9 * k
        x = list(range(end))
        y = [math.exp(-hazard * t) * (0.93 if t >= 12 and k == 1 else 1) for t in x]
        lower = [v - 0.002 - 0.0005 * t for t, v in zip(x, y, strict=True)]
        upper = [min(1.0, v + 0.002 + 0.0005 * t) for t, v in zip(x, y, strict=True)]
        at_risk = [int(52000 / (k + 1) * math.exp(-0.05 * t)) if t < end else None for t in ticks]
        curves.append(plots.Curve(_one(zh, en), x, y, lower, upper, at_risk, text.show(y[-1], "pct", digits=0)))
    return plots.steps(curves, ticks=ticks, x_label=_one("入网后月数", "months since the start"))


def incidence():
    x = list(range(0, 61))
    parts = [
        ("主动流失", "voluntary", 0.30),
        ("非自愿流失", "involuntary", 0.09),
        ("自然流失", "natural", 0.05),
        ("结局未知", "unknown", 0.02),
    ]
    layers = [(_one(zh, en), [top * (1 - math.exp(-t / 26)) for t in x]) for zh, en, top in parts]
    x_label, rest = _one("入网后月数", "months since the start"), _one("仍在网", "still here")
    return plots.stacked(x, layers, ticks=list(range(0, 61, 12)), x_label=x_label, rest=rest)


def cohorts():
    states = [[_state(i, age) for age in range(1, 25)] for i in range(24)]
    values = [
        [_retention(age, i) if state == "complete" else None for age, state in enumerate(row, start=1)]
        for i, row in enumerate(states)
    ]
    return plots.heat_map(
        [str(month) for month in MONTHS[:24]],
        [str(age) for age in range(1, 25)],
        values,
        states,
        n=[24 if i == 5 else 3120 + 171 * (i * 7 % 11) for i in range(24)],
        row_header=_one("入网", "started"),
        column_header=_one("入网后满月数", "completed months since the start"),
        footer=(_one("合计", "all"), [_retention(age, 0) if age < 24 else None for age in range(1, 25)]),
    )


def _state(cohort: int, age: int) -> str:
    left = 24 - cohort - age
    if left <= 0:
        return {0: "partly", -1: "open"}.get(left, "empty")
    return "small" if cohort == 5 else "complete"


def _retention(age: int, cohort: int) -> float:
    return 0.995 - 0.012 * age - 0.03 * (age > 11) - 0.004 * (cohort > 14) * age


def effects():
    labels = _said(
        ("续约关怀电话", "Renewal call"),
        ("网络专项修复", "Network repair"),
        ("5G 升级礼包", "5G upgrade gift"),
        ("短信优惠券", "Text-message coupon"),
    )
    arms = ["1,820 / 1,795", "980 / 960", "4,100 / 4,088", "8,240 / 8,190"]
    return plots.forest(
        labels,
        [-0.019, -0.008, -0.005, 0.001],
        [-0.031, -0.018, -0.016, -0.009],
        [-0.007, 0.002, 0.006, 0.011],
        sides=(_one("流失减少", "fewer leave"), _one("流失增加", "more leave")),
        tones=["better", "steady", "steady", "steady"],
        columns=[(_one("试验 / 对照", "treated / control"), arms)],
    )


FIGURES = {
    draw.__name__: draw
    for draw in (churn_rate, panels, rate_by_region, contributions, stated, both, survival, incidence, cohorts, effects)
}
