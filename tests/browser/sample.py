"""A report with every kind of figure, from made-up but plausible numbers: what the browser tests and the eye look at.

`PYTHONPATH=tests python -m browser.look OUT` prints it to pictures. Its words and figures are in sample.yml, its
drawings in sample_figures.py.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from churnlib import text
from churnlib.show import plots, svg

from .sample_figures import FIGURES, MONTHS, RATES

NO_KPI = ("ci_lower", "ci_upper", "previous", "year_ago", "change_clear", "year_change_clear", "target")
NOTE = {
    "zh": "流失率 = 期初在网、当期流失的客户数 ÷ 期初在网客户数。来源：计费系统，截至 2026-01-12。",
    "en": "Churn rate = customers at the start of the period who left in it ÷ customers at its start. "
    "Source: billing system, to 2026-01-12.",
}
REMARK = {"zh": "<p>本月数据含 12 月促销活动。</p>", "en": "<p>The month includes the December offer.</p>"}
COLUMNS = (
    ("period", "期间", "Period", "text"),
    ("n_opening", "期初客户", "At start", "number"),
    ("churn_rate", "流失率", "Churn rate", "number"),
)


@cache
def said() -> dict:
    """The words and figures."""
    return yaml.safe_load((Path(__file__).parent / "sample.yml").read_text("utf-8"))


def report(lang: str) -> dict:
    """The report's dictionary in one language, as `churnlib.reporting.page.render` takes it."""
    other = {"zh": "en", "en": "zh"}[lang]
    return {
        "meta": {
            "language": lang,
            "title": {"zh": "客户流失分析报告", "en": "Customer churn report"},
            "org": {"zh": "示例电信（模拟数据）", "en": "Sample telecom (simulated data)"},
            "period": MONTHS[-2].say(lang),
            "status": "final",
            "revision": 2,
            "data_through": "2026-01-12",
            "generated": "2026-01-13 06:00",
            "classification": {"zh": "内部资料", "en": "Internal"},
            "run_id": "20260113T060002Z-7f3a",
            "other": {"language": other, "href": f"churn_2025-12.{other}.html"},
            "warnings": [],
        },
        "summary": said()["summary"] | {"kpis": kpis()},
        "chapters": [
            chapter | {"items": [_item(name, lang) for name in chapter["items"]]} for chapter in said()["chapters"]
        ],
        "left_out": said()["left_out"],
        "record": said()["record"],
    }


def kpis() -> list[dict]:
    """The figures of the period, as blocks hold them."""
    common = dict.fromkeys(NO_KPI) | {"currency": "CNY", "flag": ""}
    return [common | kpi | {"note": kpi["label"]} for kpi in said()["kpis"]]


def _item(name: str, lang: str) -> dict:
    if name == "note":
        return {"html": REMARK}
    if name.startswith("#"):
        zh, en = name.split(" · ")
        return {"prose": {"zh": zh, "en": f"## {en}"}}
    return {"block": block(name, lang)}


def block(name: str, lang: str) -> dict:
    """A block with its drawing in one language."""
    words = said()["words"][name]
    alt = {k: f"{words['finding'][k]} {words['subtitle'][k]}".replace("**", "") for k in text.LANGUAGES}
    has_figure = name in FIGURES
    rows = [[str(month), f"{158_000 + 310 * i:,}", f"{100 * RATES[i]:.2f}%"] for i, month in enumerate(MONTHS[:-1])]
    columns = [{"name": n, "label": {"zh": zh, "en": en}, "kind": kind} for n, zh, en, kind in COLUMNS]
    return {
        "id": name,
        "module": "sample",
        "findings": [{"key": "sample", "text": words["finding"], "grade": "moderate", "tone": "steady", "weight": 1.0}],
        "subtitle": words["subtitle"],
        "notes": [NOTE],
        "alt": alt,
        "svg": dict.fromkeys(text.LANGUAGES, drawing(name, lang, alt[lang])) if has_figure else None,
        "png": None,
        "table": {
            "columns": columns,
            "rows": dict.fromkeys(text.LANGUAGES, rows if has_figure else rows[-6:]),
            "folded": has_figure,
            "more": 0,
        },
        "data": {"name": f"{name}.csv", "columns": [], "csv": "\n".join(",".join(row) for row in rows)},
        "kpis": [],
    }


@cache
def drawing(name: str, lang: str = "zh", alt: str = "") -> str:
    """One figure as SVG in one language."""
    before = text.language()
    text.set_language(lang)
    try:
        with plots.style():
            return svg.inline(FIGURES[name]().figure, alt)
    finally:
        text.set_language(before)
