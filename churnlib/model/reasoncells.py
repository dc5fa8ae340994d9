"""Cells that hold reasons, in the company's own words -> codes of the two-level list."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from churnlib import text
from churnlib.engine import Engine
from churnlib.model import rowbook
from churnlib.model.intake import TICK
from churnlib.model.vocabulary import OTHER_REASON, REASONS
from churnlib.sources.written import fold, is_blank

_ALIKE = {"；": "；;", ";": "；;", "，": "，,", ",": "，,", "、": "、", "|": "|｜", "/": "/／"}


def load_reasons(engine: Engine, spec: Any) -> None:
    """Make table `reason_of` (cell, version, reason): one row per distinct cell of exit surveys and reason it names.

    A reason that no mapping names is kept as "other", flagged by the rule unknown_reason, unless that says stop.
    """
    cells = engine.frame(
        "SELECT reasons, coalesce(version, '') AS version, count(*) AS n FROM surveys WHERE reasons IS NOT NULL "
        "GROUP BY ALL ORDER BY ALL"
    )
    lists = {version: known_words(spec, version) for version in cells["version"].unique()}
    rows, unknown = [], {}
    for cell, version, n in cells.itertuples(index=False):
        words = lists[version]
        for word in split_cell(cell, spec.reasons.separator):
            rows.append((cell, version, words.get(fold(word), OTHER_REASON)))
            if fold(word) not in words:
                unknown[word] = unknown.get(word, 0) + n
    named = pd.DataFrame(rows, columns=["cell", "version", "reason"]).astype("string").drop_duplicates()
    engine.load("reason_of", named)
    if unknown and spec.severity("unknown_reason") == "stop":
        word, n = min(unknown.items(), key=lambda item: (-item[1], item[0]))
        words = text.label("rules.unknown_reason")
        raise text.DataError("rules.stop", table="exit_survey", n=n, rule=words, name="unknown_reason", example=word)
    for word, n in sorted(unknown.items(), key=lambda item: (-item[1], item[0])):
        rowbook.add_flag(engine, "exit_survey", "unknown_reason", "reasons", n, word)


def version_of(spec: Any) -> tuple[str, dict[str, Any]]:
    """Give the SQL of a survey's version of the list, with its values: what the form says, else the one in use then."""
    dated = [(v.since, name) for name, v in spec.reasons.versions.items() if v.since is not None]
    values: dict[str, Any] = {"version": next((n for n, v in spec.reasons.versions.items() if v.since is None), None)}
    values["version"] = values["version"] or spec.reasons.version
    whens = []
    for i, (since, name) in enumerate(sorted(dated, reverse=True)):
        whens.append(f"WHEN t.date >= $since_{i} THEN $version_{i}")
        values |= {f"since_{i}": since, f"version_{i}": name}
    dates = f"CASE {' '.join(whens)} END" if whens else "NULL"
    return f"coalesce(t.version, {dates}, CAST($version AS VARCHAR))", values


def known_words(spec: Any, version: str = "") -> dict[str, str]:
    """Give folded word -> code: the codes, their names in both languages, the company's mapping, that of a version."""
    known = {fold(code): code for code in REASONS}
    for code in REASONS:
        key = f"reasons.code.{code}"
        if text.known(key):
            known |= {fold(text.say(key, language)): code for language in text.LANGUAGES}
    own = spec.reasons.versions.get(version) if spec else None
    mapped = {**(spec.reasons.values if spec else {}), **(own.values if own else {})}
    return known | {fold(word): code for word, code in mapped.items()}


def split_cell(cell: str, separator: str) -> list[str]:
    """Split a cell into its reasons; half- and full-width separators are one.

    Examples
    --------
    >>> split_cell("价格偏高;服务差；", "；")
    ['价格偏高', '服务差']
    """
    apart = re.escape(_ALIKE[separator]) if separator in _ALIKE else None
    pattern = f"[{apart}{TICK}\\n]" if apart else f"{re.escape(separator)}|[{TICK}\\n]"
    return [part.strip() for part in re.split(pattern, cell) if part.strip() and not is_blank(part)]
