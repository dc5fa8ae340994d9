"""The analyst's hand: commentary and decisions from data/<name>/notes/<period>.md, as data and never as markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from churnlib import text
from churnlib.about import Period
from churnlib.text import Label

_DECISIONS = ("决定", "决策", "decisions")
_SUMMARY = ("管理摘要", "摘要", "executive summary", "summary")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)、])\s+(.*)")
# lines of one paragraph join with a blank, but not between Han characters
_HAN_BREAK = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])")
MAX_BYTES = 200_000


@dataclass(frozen=True)
class Decision:
    """A decision that the analyst asks for: what, by whom (in both languages, where both were written), by when."""

    text: str
    owner: str | Label = ""
    due: str = ""


@dataclass
class Notes:
    """The notes of one period in one language."""

    language: str = ""  # in which they are written; "" for a file whose name does not tell
    sections: dict[str, str] = field(default_factory=dict)  # heading as written ("" above the first) -> Markdown below

    def find(self, *headings: str) -> str:
        """Give the text under a heading (any of its names, in any case); "" if there is none."""
        wanted = {_plain(heading) for heading in headings}
        return next((body for heading, body in self.sections.items() if _names(heading) & wanted), "")

    def of_chapter(self, chapter_id: str, title: Label) -> str:
        """Give what the analyst wrote on a chapter, under its title or its code."""
        return self.find(chapter_id, *title)

    @property
    def of_summary(self) -> str:
        """What stands above the first heading or under the summary's."""
        return "\n\n".join(filter(None, [self.sections.get("", ""), self.find(*_SUMMARY)]))

    @property
    def decisions(self) -> list[Decision]:
        """The list under the heading of decisions: `- what | owner | due`."""
        items = (match[1] for line in self.find(*_DECISIONS).splitlines() if (match := _ITEM.match(line)))
        parts = ([part.strip() for part in item.replace("｜", "|").split("|")] for item in items)
        return [Decision(*(p + ["", ""])[:3]) for p in parts if p[0]]

    def words(self) -> Iterator[str]:
        """Give every piece of text as it may stand on a page: between bold marks, line ends and the bars of a list."""
        for heading, body in self.sections.items():
            yield heading
            for line in body.splitlines():
                match = _ITEM.match(line)
                yield from (piece.strip() for piece in re.split(r"\*\*|[|｜]", match[1] if match else line))

    def strangers(self, chapters: list[tuple[str, Label]]) -> list[str]:
        """Give the headings that belong to no chapter: their text would not be printed."""
        known = {_plain(name) for chapter_id, title in chapters for name in (chapter_id, *title)}
        known |= {_plain(name) for name in (*_DECISIONS, *_SUMMARY)}
        return [heading for heading in self.sections if heading and not _names(heading) & known]


def read_notes(folder: Path, period: Period, language: str) -> Notes:
    """Read a data set's notes on a period: <period>.<language>.md, else <period>.md, else none."""
    for suffix, written_in in ((f".{language}", language), ("", "")):
        path = folder / "notes" / f"{period}{suffix}.md"
        if path.is_file():
            return Notes(written_in, _sections(_content(path)))
    return Notes()


def _content(path: Path) -> str:
    raw = path.read_bytes()
    if len(raw) > MAX_BYTES:
        raise text.DataError("report.notes_too_long", file=path.name, limit=MAX_BYTES)
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return raw.decode("gb18030", "replace").replace("\r\n", "\n")  # Windows' Notepad


def _sections(content: str) -> dict[str, str]:
    sections, heading = {"": []}, ""
    for line in content.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
            sections.setdefault(heading, [])
        else:
            sections[heading].append(line)
    return {heading: body for heading, lines in sections.items() if (body := "\n".join(lines).strip())}


def _plain(heading: str) -> str:
    return re.sub(r"^[\d.、\s]+", "", heading).strip().casefold()


def _names(heading: str) -> set[str]:
    """A heading may be written in either language, or in both as the notebooks do."""
    return {_plain(heading), *(_plain(half) for half in heading.split("·"))}


def to_html(markdown: str, language: str = "") -> str:
    """Turn the small part of Markdown that notes may use into HTML: paragraphs, lists and bold; all else is text.

    It is marked with the language that it is written in, where that is known and not the page's.

    Examples
    --------
    >>> to_html("**South** <script>")
    '<p><b>South</b> &lt;script&gt;</p>'
    """
    mark = f' lang="{escape(language)}"' if language else ""
    return "\n".join(_block(block, mark) for block in re.split(r"\n\s*\n", markdown.strip()) if block.strip())


def _block(block: str, mark: str) -> str:
    lines = block.strip().splitlines()
    if all(_ITEM.match(line) for line in lines):
        kind = "ol" if lines[0].lstrip()[0].isdigit() else "ul"
        return (
            f"<{kind}{mark}>" + "".join(f"<li>{text.to_html(_ITEM.match(li)[1])}</li>" for li in lines) + f"</{kind}>"
        )
    return f"<p{mark}>{text.to_html(_HAN_BREAK.sub('', ' '.join(line.strip() for line in lines)))}</p>"
