"""What was read of every file and what every rule met, as a table in plain text that a person can act on."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

import pandas as pd

from churnlib import text

if TYPE_CHECKING:
    from churnlib.model.dataset import Dataset


def check_text(data: Dataset) -> str:
    """Say what was read, set aside and kept with a flag, with examples: two tables and what to do."""
    rows_in, aside = int(data.files["n_rows_in"].sum()), int(data.files["n_rows_set_aside"].sum())
    is_open = data.period.last > data.as_of and not data.spec.snapshot
    key = "dataset.check.head_open" if is_open else "dataset.check.head"
    head = text.say(key, title=data.spec.title, name=data.name, as_of=data.as_of, period=data.period)
    total = text.say("dataset.check.total", rows=rows_in, used=rows_in - aside, aside=aside, files=len(data.files))
    parts = [head, "", _files(data.files), "", total]
    if len(data.rules):
        parts += ["", _rules(data.rules), "", text.say("dataset.check.what_to_do")]
    else:
        parts += ["", text.say("dataset.check.nothing_found")]
    return "\n".join(parts)


def _files(files: pd.DataFrame) -> str:
    words, numbers = ["file", "table", "read_as"], ["n_rows_in", "n_rows_used", "n_rows_set_aside"]
    rows = [[*row[:3], *map(_count, row[3:])] for row in files[words + numbers].values.tolist()]
    return table_text([text.say(f"dataset.check.{name}") for name in words + numbers], rows, right={3, 4, 5})


def _rules(rules: pd.DataFrame) -> str:
    names = ["table", "rule", "severity", "n_rows", "examples"]
    rows = [
        [r.table, text.show(r.meaning), text.say(f"dataset.check.{r.severity}"), _count(r.n_rows), r.examples or ""]
        for r in rules.itertuples()
    ]
    return table_text([text.say(f"dataset.check.{name}") for name in names], rows, right={3})


def _count(n: int) -> str:
    return text.show(n, "number", digits=0)


@cache
def rule_label(rule: str, reasons: str) -> text.Label:
    """Name a rule in both languages, with why values or lines could not be read where that says more."""
    told = [reason for reason in reasons.split(", ") if reason != rule]
    keys = [key for reason in told for key in (f"values.{reason}", f"reading.{reason}")]
    words = [text.label(key) for key in keys if text.known(key)]
    named = text.label(f"rules.{rule}") if text.known(f"rules.{rule}") else text.Label.of(rule)
    if not words:
        return named
    return text.Label(*(text.say("dataset.check.why", lang, rule=named, reasons=words) for lang in text.LANGUAGES))


def table_text(heads: list[str], rows: list[list[str]], right: set[int] = frozenset()) -> str:
    """Set a table in columns for a terminal, where a Chinese character is two columns wide."""
    cells = [[_clean(cell) for cell in row] for row in [heads, *rows]]
    widths = [max(width(row[i]) for row in cells) for i in range(len(heads))]
    lines = []
    for row in cells:
        gaps = [" " * (w - width(cell)) for w, cell in zip(widths, row, strict=True)]
        parts = [gap + cell if i in right else cell + gap for i, (cell, gap) in enumerate(zip(row, gaps, strict=True))]
        lines.append("  ".join(parts).rstrip())
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def width(shown: str) -> int:
    """Give the number of terminal columns of a text."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in shown)


def _clean(cell: object) -> str:
    """A cell on one line: control characters from a file must not steer the terminal."""
    shown = "" if cell is None or cell != cell else str(cell)
    return "".join(c if c.isprintable() else "·" for c in shown)[:120]
