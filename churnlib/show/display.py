"""From a result to a block: findings, figure and table in both languages, as data; and from a block to HTML.

A block is all that the report takes from a notebook (`application/vnd.churn.block+json`). JupyterLab shows the same
block through the same template as the report, in the language that is set.
"""

from __future__ import annotations

import base64
import io
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

from churnlib import text
from churnlib.show import excel_out, results, svg
from churnlib.text import LANGUAGES, Label

MIME = "application/vnd.churn.block+json"
TEMPLATE = Path(__file__).parent / "template"
MAX_ROWS = 120  # of a table in HTML; its CSV file has all
NUMERIC = ("count", "whole", "pct", "points", "change", "ratio", "number", "signed", "money", "p", "months")
NAMES = ("period", "date", "level", "term")  # kinds of columns that stand at the left even where they hold digits
# what a column's numbers are, for the notes beside a CSV: the catalogue's "results.unit.<unit>"
UNITS = {"pct": "share", "points": "points", "change": "share", "count": "count", "whole": "count", "money": "money"}
UNITS |= {"number": "number", "ratio": "number", "p": "p", "date": "date", "period": "period"}

_NUMBER = re.compile(rf"[{text.MINUS}+<¥$€]?\d[\d,.]*[^\d]*$|{text.MISSING}$|·$")

Words = dict[str, str]


def mimebundle(result: results.Result) -> dict[str, Any]:
    """Give what a notebook stores when it shows a result: HTML in the current language, plain text, and the block."""
    made, language = block(result), text.language()
    return {
        "text/html": notebook_html(made, language),
        "text/plain": text.strip_marks(_headline(result, language)) or result.name,
        MIME: made,
    }


def block(result: results.Result) -> dict[str, Any]:
    """Give a result as a block: JSON-able, in both languages, with the numbers worked out once.

    Returns
    -------
    dict
        `id`, `module`; `findings` (key, text, grade, tone, weight, `asks`, the decision that it calls for, if any, and
        the numbers that the text may hold); `subtitle` and `notes`: texts as {zh, en}, with their key and numbers;
        `alt`: {zh, en}; `svg`, `png`: drawings as {zh, en} or null (a picture only where the drawing would be larger
        than `svg.LIMIT`);
        `table`: columns (name, label, kind), rows of text by language, `folded`, and `more`, the rows left out;
        `data`: name and text of the CSV, columns (name, label, unit); `sheet`: the same for Excel, see
        `excel_out.sheet`; `kpis`; `names`, what the data call things. Missing numbers are null.
    """
    alt = {lang: _alt(result, lang) for lang in LANGUAGES}
    drawings = {lang: _draw(result, lang, alt[lang]) for lang in LANGUAGES}
    return {
        "id": result.name,
        "module": result.module,
        "tucked": result.tucked,
        "findings": [_finding(finding) for finding in result.findings],
        "subtitle": _both(result.subtitle) | _source(result.subtitle) if result.subtitle else None,
        "notes": [_both(note) | _source(note) for note in result.notes],
        "alt": alt,
        "svg": {lang: svg_ for lang, (svg_, _) in drawings.items()} if drawings["zh"][0] else None,
        "png": {lang: png for lang, (_, png) in drawings.items()} if drawings["zh"][1] else None,
        "table": _table(result),
        "data": _data(result),
        "sheet": excel_out.sheet(result),
        "kpis": [_kpi(kpi, result) for kpi in result.kpis],
        "names": sorted(_names(result)),
    }


def _names(result: results.Result) -> set[str]:
    """What the data call things: labels of the segment and of the findings, as an English page shows them."""
    told = [value for said in (*result.findings, *result.notes) for value in said.values.values()]
    told += [part for value in told if isinstance(value, list | tuple) for part in value]
    told += [
        *result.about.segment.labels,
        *(row for row in result.table.to_numpy().ravel() if isinstance(row, text.Label)),
    ]
    return {value.en for value in told if isinstance(value, text.Label)}


def _both(statement: results.Statement) -> Words:
    return {lang: statement.say(lang) for lang in LANGUAGES}


def _source(statement: results.Statement) -> dict[str, Any]:
    """What a sentence was made of: its key and the numbers that it may hold."""
    return {"key": statement.key, "numbers": _numbers([*statement.values.values()])}


def _finding(finding: results.Finding) -> dict[str, Any]:
    said = {"text": _both(finding), "grade": finding.grade, "tone": finding.tone, "weight": _number(finding.weight)}
    return said | {"asks": _asked(finding)} | _source(finding)


def _asked(finding: results.Finding) -> Words | None:
    """The decision that a finding calls for: its own in the catalogue, or that of the family of keys it belongs to."""
    parts, kind = finding.key.split("."), "extend" if finding.tone == "better" else "decision"
    rules = (".".join([f"summary.{kind}", *parts[:n]]) for n in range(len(parts), 0, -1))
    rule = next(filter(text.known, rules), None)
    return rule and _both(results.Statement(rule, finding.values))


_UNITS = {"%": 0.01, "万": 1e4, "亿": 1e8, "K": 1e3, "M": 1e6, "B": 1e9}


def _numbers(value: Any) -> list[float]:
    """The numbers of a sentence's value: its own, or those that stand in the name of something."""
    if isinstance(value, text.Money):
        return _numbers(value.minor)
    if isinstance(value, Label) or hasattr(value, "say"):
        names = value if isinstance(value, Label) else [value.say(lang) for lang in LANGUAGES]
        return [number for name in names for number in _numbers(name)]
    if isinstance(value, str) or hasattr(value, "isoformat"):
        found = re.findall(r"(\d+(?:\.\d+)?)\s?([%万亿KMB])?", str(value))
        return [float(digits) * _UNITS.get(unit, 1) for digits, unit in found]
    if isinstance(value, list | tuple):
        return [number for part in value for number in _numbers(part)]
    plain = _number(value)
    return [float(plain)] if isinstance(plain, int | float) else []


def _headline(result: results.Result, language: str) -> str:
    return next((finding.say(language) for finding in result.findings), "")


def _alt(result: results.Result, language: str) -> str:
    """What the figure shows, for those who cannot see it: the finding, and what is measured."""
    subtitle = result.subtitle.say(language) if result.subtitle else ""
    return " ".join(filter(None, [text.strip_marks(_headline(result, language)), subtitle]))


def _draw(result: results.Result, language: str, alt: str) -> tuple[str | None, str | None]:
    """Draw the figure in one language: as SVG, or as a picture when that would be too large; None without a figure."""
    from churnlib.show.plots.canvas import style  # with matplotlib

    before = text.language()
    text.set_language(language)
    try:
        with style():
            axes = result.plot()
            if axes is None:
                return None, None
            drawn = svg.inline(axes.figure, alt)
        if len(drawn.encode()) <= svg.LIMIT:
            return drawn, None
        return None, base64.b64encode(picture(result)).decode()
    finally:
        text.set_language(before)


def picture(result: results.Result) -> bytes | None:
    """Draw a result as PNG in the current language; None without a figure."""
    import matplotlib.pyplot as plt

    from churnlib.show.plots.canvas import style

    with style(for_screen=True):
        axes, buffer = result.plot(), io.BytesIO()
        if axes is None:
            return None
        axes.figure.savefig(buffer, format="png", dpi=144, metadata={"Software": None})
        plt.close(axes.figure)
    return buffer.getvalue()


def _table(result: results.Result) -> dict[str, Any]:
    """The table for readers: without empty columns; a very long one is cut, and says so."""
    tables = {lang: result.summary(lang).astype(str) for lang in LANGUAGES}
    zh, en = (tables[lang] for lang in LANGUAGES)
    names = [column.name for column in result.read_columns()]
    kinds = [column.kind for column in result.read_columns()]
    if len(names) != zh.shape[1]:  # a summary of its own making
        names, kinds = [f"c{i}" for i in range(zh.shape[1])], ["text"] * zh.shape[1]
    told = [i for i in range(zh.shape[1]) if zh.iloc[:, i].str.strip().any()]
    columns = [
        {
            "name": names[i],
            "label": {"zh": str(zh.columns[i]), "en": str(en.columns[i])},
            "kind": _kind(kinds[i], zh.iloc[:, i], is_first=i == 0),
        }
        for i in told
    ]
    rows = {lang: table.iloc[:MAX_ROWS, told].to_numpy().tolist() for lang, table in tables.items()}
    return {"columns": columns, "rows": rows, "folded": result.folded, "more": max(0, len(zh) - MAX_ROWS)}


def _kind(kind: str, cells, is_first: bool) -> str:
    """Numbers stand at the right; so does text that reads as numbers, but for the first column."""
    reads_as_number = kind not in NAMES and not is_first and cells.str.match(_NUMBER).all()
    return "number" if kind in NUMERIC or reads_as_number else "text"


def _data(result: results.Result) -> dict[str, Any]:
    """The CSV of the shown columns: what is not declared has not passed the disclosure rules."""
    declared = result.shown_columns()
    shown = result.shown[[column.name for column in declared]].map(_plain)
    csv = results.safe_cells(shown).to_csv(index=False, lineterminator="\n")
    columns = [
        {
            "name": c.name,
            "label": dict(zip(LANGUAGES, c.label(result.module), strict=True)),
            "unit": UNITS.get(c.kind, "text"),
        }
        for c in declared
    ]
    return {"name": f"{result.name}.csv", "columns": columns, "csv": csv}


def _plain(value: Any) -> Any:
    """A cell for a file: labels and periods as text."""
    if isinstance(value, Label):
        return value.zh if value.zh == value.en else f"{value.zh} · {value.en}"
    return str(value) if hasattr(value, "say") else value


def _kpi(kpi: results.Kpi, result: results.Result) -> dict[str, Any]:
    fields = {name: _number(value) for name, value in vars(kpi).items()}
    fields["series"] = [_number(value) for value in kpi.series]
    words = {"label": text.label(f"kpi.{kpi.id}"), "note": text.label(f"kpi.{kpi.id}.note")}
    both = {name: dict(zip(LANGUAGES, label, strict=True)) for name, label in words.items()}
    return fields | both | {"currency": result.about.currency}


def _number(value: Any) -> Any:
    """A value as JSON has it: plain numbers, null for a missing one."""
    if hasattr(value, "item"):  # numpy's
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


@cache
def templates():
    """Give the environment of the templates in `template/`: everything is escaped but what we marked as markup."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(TEMPLATE)
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701
    furnish(made)
    return made


def furnish(environment) -> None:
    """Give a Jinja environment the filters and words that the templates use."""
    from markupsafe import Markup

    from churnlib.show.plots.palette import DARK, PALETTE

    environment.filters["bold"] = lambda words: Markup(text.to_html(words))
    environment.filters["in"] = in_language
    environment.globals["palette"] = {"light": PALETTE, "dark": DARK}
    environment.globals["say"] = lambda key, lang, **values: text.say(f"template.{key}", lang, **values)
    environment.globals["word"] = lambda key, lang: text.say(f"results.{key}", lang)
    environment.globals["drawing"] = lambda markup, name: Markup(svg.named(markup, name))


def in_language(words: Any, language: str) -> str:
    """Give a text of the page's language: of {"zh", "en"}, of a `Label`, or the plain text that there is."""
    if words is None:
        return ""
    if isinstance(words, Label):
        return words.to(language)
    return str(words[language]) if isinstance(words, dict) else str(words)


def notebook_html(made: dict[str, Any], language: str) -> str:
    """Give a block as HTML for JupyterLab's output area, with its own small style sheet."""
    return templates().get_template("notebook.html.j2").render(block=made, lang=language)
