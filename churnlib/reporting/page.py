"""One page: from the report's plain dictionary to a self-contained HTML file, through our nbconvert template.

The dictionary is documented at the top of `template/index.html.j2`.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from churnlib import text
from churnlib.show import display
from churnlib.text import Money

MANY = 3  # folded figures and tables of one section that are folded away together
SMALL_CSV = 4_000  # bytes up to which a table's CSV is inside the page; longer ones are linked
_HEADING = re.compile(r"<(/?)h([1-5])\b")
_ALIGNED = re.compile(r' style="text-align:\s*(\w+);?"')


def render(report: dict[str, Any]) -> str:
    """Print the page of one language: the same bytes for the same report."""
    import nbformat

    lang = report["meta"]["language"]
    css, js = (_asset(name, report, lang) for name in ("page.css.j2", "page.js"))
    context = {"report": _numbered(report), "css": Markup(css), "js": Markup(js), "csp": _policy(css, js)}
    page, _ = _exporter().from_notebook_node(nbformat.v4.new_notebook(), resources=context)
    return tight(page) + "\n"


def tight(markup: str) -> str:
    """Without the empty lines that templates leave."""
    return re.sub(r"\n\s*\n", "\n", markup).strip()


def _exporter():
    from nbconvert.exporters.templateexporter import TemplateExporter

    class PageExporter(TemplateExporter):
        """nbconvert with our folder as its only template, and with everything escaped."""

        file_extension, output_mimetype = ".html", "text/html"

        def _create_environment(self):
            made = super()._create_environment()
            made.autoescape, made.trim_blocks, made.lstrip_blocks = True, True, True
            display.furnish(made)
            made.filters |= {"prose": prose, "tile": tile}
            return made

    folder = display.TEMPLATE
    return PageExporter(template_name=folder.name, extra_template_basedirs=[str(folder.parent)])


def _asset(name: str, report: dict[str, Any], lang: str) -> str:
    template = display.templates().get_template(name)
    meta = {key: display.in_language(value, lang) for key, value in report["meta"].items() if key != "other"}
    foot = " · ".join(filter(None, (meta.get(key, "") for key in ("org", "title", "period", "classification"))))
    return tight(template.render(foot=Markup(_css_string(foot)), lang=lang))  # tight first: its hash is in the policy


def _css_string(plain: str) -> str:
    """Quote a text for CSS: whatever could end the string or the style sheet is written as a code point."""
    return '"' + re.sub(r'["\\<>&\n\r]', lambda m: f"\\{ord(m[0]):x} ", plain) + '"'


def _policy(css: str, js: str) -> str:
    """The content security policy: nothing from anywhere but this one style sheet and this one script."""
    style, script = (base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (css, js))
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _numbered(report: dict[str, Any]) -> dict[str, Any]:
    """Number chapters, figures and tables in their order, and tell the findings where their proof stands."""
    lang, n = report["meta"]["language"], Counter()
    chapters, labels = [], {}
    for number, chapter in enumerate(report["chapters"], start=2):  # chapter 1 is the summary
        items, seen = [], set()
        for item in chapter["items"]:
            if "block" in item:
                item = _placed(item["block"], chapter, lang, n, seen)
                labels[f"{chapter['id']}/{item['block']['id']}"] = (item["name"], item["label"], number)
            items.append(item)
        chapters.append(chapter | {"number": number, "items": items})
    summary = report["summary"]
    for item in (item for chapter in chapters for item in chapter["items"] if "answers" in item):
        item["answers"] = _proven(item["answers"], labels)
    findings = _proven(summary["findings"], labels)
    chapters = [chapter | {"items": list(_gathered(chapter["items"]))} for chapter in chapters]
    return report | {"chapters": chapters, "summary": summary | {"findings": findings}}


def _proven(findings: list[dict[str, Any]], labels: dict[str, tuple]) -> list[dict[str, Any]]:
    return [finding | {"proof": labels.get(finding.get("block"))} for finding in findings]


def _gathered(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Put what follows the first figure or table of a section into one fold, where many are folded themselves."""
    for is_block, group in itertools.groupby(items, lambda item: "block" in item):
        blocks = list(group)
        if is_block and len(blocks) >= MANY and all(item["block"].get("tucked") for item in blocks):
            yield from (blocks[0], {"more": blocks[1:]})
        else:
            yield from blocks


def _placed(block: dict[str, Any], chapter: dict[str, Any], lang: str, n: Counter, seen: set[str]) -> dict[str, Any]:
    """Give a block its label (none where only a sentence stands), its name on the page and the address of its CSV."""
    kind = "figure" if block["svg"] or block["png"] else "table" if block["table"]["rows"][lang] else ""
    n[kind or "sentence"] += 1
    name = _slug(f"{chapter['id']}-{block['id']}")
    while name in seen:
        name += "-2"
    seen.add(name)
    label = text.say(f"template.{kind}", lang, n=n[kind]) if kind else ""
    return {"block": block, "name": name, "label": label, "link": _csv_link(block, chapter)}


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)


def _csv_link(block: dict[str, Any], chapter: dict[str, Any]) -> str:
    csv = "\ufeff" + block["data"]["csv"]
    if len(csv.encode()) <= SMALL_CSV:
        return "data:text/csv;charset=utf-8;base64," + base64.b64encode(csv.encode()).decode()
    return f"tables/{chapter['notebook']}/{block['data']['name']}"


def prose(markdown: str) -> Markup:
    """Turn our own Markdown into HTML: raw HTML in it is text, headings stand below the chapter's."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    html = MarkdownWithMath(renderer=IPythonRenderer(escape=True, exclude_anchor_links=True)).render(markdown)
    html = _HEADING.sub(lambda m: f"<{m[1]}h{max(3, int(m[2]) + 1)}", html)
    return Markup(_ALIGNED.sub(r' class="\1"', html))  # the renderer has escaped it


def tile(kpi: dict[str, Any], lang: str) -> dict[str, Any]:
    """Write a figure of the period for its tile.

    Returns
    -------
    dict
        `label`, `note`, `value`, `unit`, `interval`, `target`, `spark` (markup), `tone`, and
        `changes`: for 环比 and 同比 `label`, `sign` (▲ ▼ ≈ or nothing), `size`, `tone` and `word`.
    """
    shown, unit = _value(kpi, kpi["value"], lang)
    target = text.say("template.target", lang, value="".join(_value(kpi, kpi["target"], lang))) if kpi["target"] else ""
    compared = (("previous", kpi["change_clear"]), ("year_ago", kpi["year_change_clear"]))
    changes = [_change(kpi, name, kpi[name], clear, lang) for name, clear in compared]
    return {
        "label": display.in_language(kpi["label"], lang),
        "note": display.in_language(kpi["note"], lang),
        "value": shown,
        "unit": unit,
        "interval": _interval(kpi, lang),
        "target": target,
        "spark": _spark(kpi["series"], changes[0]["tone"]),
        "tone": changes[0]["tone"],
        "changes": changes,
    }


def _value(kpi: dict[str, Any], value: float | None, lang: str) -> tuple[str, str]:
    """A figure and its unit, apart: the number is set large."""
    if value is None:
        return text.MISSING, ""
    if kpi["unit"] == "money":
        said = text.show(Money(value, kpi.get("currency", "CNY")), "money", lang)
        number, _, unit = said.partition(" ") if lang == "zh" else (said, "", "")
        return number, unit
    if kpi["unit"] == "share":
        return text.show(value * 100, "number", lang, 2), "%"
    number = text.show(value, "count" if kpi["unit"] == "customers" else "number", lang)
    return number, text.say(f"template.unit.{kpi['unit']}", lang)


def _interval(kpi: dict[str, Any], lang: str) -> str:
    if kpi["ci_lower"] is None or kpi["ci_upper"] is None:
        counted = kpi.get("counted", "customers")
        return text.say(f"template.of.{counted}", lang, n=kpi["n"])
    low, high = ("".join(_value(kpi, kpi[end], lang)) for end in ("ci_lower", "ci_upper"))
    return text.say("template.interval", lang, lower=low.removesuffix("%"), upper=high)


def _change(kpi: dict[str, Any], name: str, before: float | None, clear: bool | None, lang: str) -> dict[str, str]:
    """A comparison in words: the sign from the numbers, better or worse only beyond the interval."""
    made = {"label": text.say(f"template.{name}", lang), "sign": "", "size": text.MISSING, "tone": "none"}
    if before is None or kpi["value"] is None or (kpi["unit"] != "share" and before == 0):
        return made | {"word": text.say("template.no_comparison", lang)}
    difference = kpi["value"] - before
    share = kpi["unit"] == "share"
    size = text.show(difference, "points", lang) if share else text.show(difference / before, "change", lang)
    tone = _tone(difference, clear, kpi["rise_is"])
    sign = "≈" if not clear else "▲" if difference > 0 else "▼"
    if not clear:
        said = "template.untested" if clear is None else "template.unclear"
    else:  # a clear change may be neither better nor worse
        said = "template.changed" if tone == "steady" else f"results.tone.{tone}"
    return made | {"sign": sign, "size": size, "tone": tone, "word": text.say(said, lang)}


def _tone(difference: float, clear: bool | None, rise_is: str) -> str:
    if not clear or rise_is == "steady" or difference == 0:
        return "steady"
    return rise_is if difference > 0 else {"better": "worse", "worse": "better"}[rise_is]


def _spark(values: list[float | None], tone: str) -> Markup:
    """The last periods as a small line that ends in a point; gaps stay gaps. It stretches with its box."""
    series = [math.nan if value is None else value for value in values]
    known = [value for value in series if value == value]
    if len(known) < 2:
        return Markup("")
    low, size = min(known), (max(known) - min(known)) or 1.0
    path, joined = "", False
    for i, value in enumerate(series):
        if value == value:
            x, y = 3 + 93 * i / (len(series) - 1), 35 - 30 * (value - low) / size
            path += f"{'L' if joined else 'M'}{x:.1f} {y:.1f}"
        joined = value == value
    color = tone if tone in ("better", "worse") else "ink"
    return Markup(
        '<svg class="spark" viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true">'
        f'<path d="{path}" fill="none" stroke="var(--previous)" stroke-width="1.6"/>'
        f'<path d="M{x:.1f} {y:.1f}h0" stroke="var(--{color})" stroke-width="7" stroke-linecap="round"/></svg>'
    )
