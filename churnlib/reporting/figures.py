"""A linter over what is said: every number in a sentence is one that was worked out, at the rounding that is shown.

The numbers of findings, subtitles and notes come with them; a verdict's from the figures of the period. Digits that
stand in the catalogue's words ("95%", "12 months") are words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from churnlib import text
from churnlib.about import Period
from churnlib.reporting.collect import Chapter
from churnlib.reporting.summary import Summary
from churnlib.text import LANGUAGES

_TOKEN = re.compile(r"(?<![A-Za-z0-9_.])(\d[\d,]*(?:\.\d+)?)(?: ?(%|万|亿)|([KMB])(?![A-Za-z]))?(?![A-Za-z_])")
_FIELD = re.compile(r"\{[^{}]*\}")
# how a number may be written: as it is, in per cent or points, per thousand, in major units of money
_SCALES = {"": (1, 100, 1000, 0.01), "%": (100,), "万": (1e-4, 1e-6), "亿": (1e-8, 1e-10)}
_SCALES |= {"K": (1e-3, 1e-5), "M": (1e-6, 1e-8), "B": (1e-9, 1e-11)}
_KPI = ("value", "ci_lower", "ci_upper", "previous", "year_ago", "target", "n")


def unfounded(chapters: Iterable[Chapter], summary: Summary, period: Period) -> list[tuple[str, str]]:
    """Find numbers that nothing vouches for: where ("summary" or <chapter>/<block>), and as they are written."""
    chapters = list(chapters)
    kpis = [number for chapter in chapters for block in chapter.blocks for number in _of_kpis(block.get("kpis", ()))]
    told, found = [*kpis, *map(float, re.findall(r"\d+", str(period)))], []
    for chapter in chapters:
        for block in chapter.blocks:
            for said in _sentences(block):
                own = [*said["numbers"], *kpis]
                found += [(f"{chapter.id}/{block['id']}", number) for number in _strangers(said, own)]
            told += [number for finding in block["findings"] for number in finding.get("numbers", ())]
    keys = [f["key"] for chapter in chapters for block in chapter.blocks for f in block["findings"]]
    whole = {language: f"{summary.verdict[language]} {summary.beside[language]}" for language in LANGUAGES}
    verdict = {"text": whole, "key": "summary.verdict.rise"}
    words = {number for key in keys for language in LANGUAGES for number in constants(key, language)}
    found += [("summary", said) for said in _strangers(verdict, told) if said not in words]
    return list(dict.fromkeys(found))


def _sentences(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give what a block says: its findings, what is measured, its notes."""
    beside = [note | {"text": note} for note in (block["subtitle"], *block["notes"]) if note]
    return (said for said in (*block["findings"], *beside) if "numbers" in said)


def _of_kpis(kpis: Iterable[dict[str, Any]]) -> Iterator[float]:
    for kpi in kpis:
        known = {name: kpi[name] for name in _KPI if kpi.get(name) is not None}
        yield from known.values()
        for name in ("previous", "year_ago"):  # both kinds of change
            if "value" in known and name in known:
                yield known["value"] - known[name]
                yield known["value"] / known[name] - 1 if known[name] else 0.0


def _strangers(finding: dict[str, Any], numbers: list[float]) -> Iterator[str]:
    for language in LANGUAGES:
        words = constants(finding["key"], language)
        for match in _TOKEN.finditer(text.strip_marks(finding["text"][language])):
            if match[0] not in words and not _is_known(match, numbers):
                yield match[0]


def constants(key: str, language: str) -> set[str]:
    """Give the numbers that stand in the words themselves of a catalogue entry."""
    if not text.known(key):
        return set()
    return {match[0] for match in _TOKEN.finditer(text.strip_marks(_FIELD.sub("x", text.catalogue()[key][language])))}


def _is_known(match: re.Match, numbers: Iterable[float]) -> bool:
    shown = match[1].replace(",", "")
    value, half = float(shown), 0.5 * 10.0 ** -len(shown.partition(".")[2]) * (1 + 1e-6)
    scales = _SCALES[match[2] or match[3] or ""]
    if match.string[: match.start()].endswith("< "):  # p < 0.001
        return any(0 <= number < value for number in numbers)
    return any(abs(abs(number) * scale - value) <= half for number in numbers for scale in scales)
