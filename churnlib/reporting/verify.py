"""The last look before a report is published: what a reader must never meet."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from churnlib import text

MAX_BYTES = 1_500_000
HAN = re.compile(r"[\u3400-\u9fff\u3000-\u303f\uff00-\uffef]+")
_HAN_NAME = re.compile(rf"{HAN.pattern}(?:[\w.·-]*{HAN.pattern})*")
_TAG = re.compile(r"(<[^>]*>)")
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_BROKEN = re.compile(r"(?<![\w.])(?:nan|NaN|NaT|None(?! [a-z])|inf|-?Infinity|[-−]0(?:\.0+)?%?)(?![\w.])")
_KEY = re.compile(r"\b[a-z_]+(?:\.[a-z_0-9]+)+\b")
_FIELD = re.compile(r"\{[a-z_]+(?::[a-z.0-9]+)?\}")
_REMOTE = re.compile(
    r"^\s*(?:https?:|ftp:|//|javascript:|vbscript:)|url\(\s*['\"]?(?:https?:|//)|@import", re.IGNORECASE
)
_LANDMARKS = ("figure", "table", "section", "svg", "h1", "h2", "h3", "h4")


class Unfit(text.ChurnError):
    """A page that may not be published (exit code 1)."""


@dataclass
class Page(HTMLParser):
    """What one page holds."""

    html: str
    ids: list[str] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)  # targets of links within the page
    levels: list[int] = field(default_factory=list)  # of headings, in order
    words: list[str] = field(default_factory=list)  # texts and spoken attributes in the page's own language
    tags: Counter = field(default_factory=Counter)  # how many of each landmark
    faults: list[tuple[str, str]] = field(default_factory=list)  # catalogue key and detail of what is wrong

    def __post_init__(self):
        super().__init__()
        self._open: list[tuple[str, bool]] = []  # open tags; whether each begins a part in another language
        self.feed(self.html)
        self.close()
        if self._open or not self.html.rstrip().endswith("</html>"):
            self.faults.append(("render.unfit.not_whole", self._open[-1][0] if self._open else "html"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self._open.append((tag, tag not in ("html", "body") and any(name == "lang" for name, _ in attrs)))
        self._look(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if not self._open or self._open[-1][0] != tag:
            self.faults.append(("render.unfit.not_whole", tag))
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        inside = {tag for tag, _ in self._open}
        if data.strip() and not inside & {"style", "script"} and not any(foreign for _, foreign in self._open):
            self.words.append(data.strip())
        if "style" in inside and _REMOTE.search(data):
            self.faults.append(("render.unfit.remote", _REMOTE.search(data)[0]))

    def _look(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.update([tag] if tag in _LANDMARKS else [])
        if re.fullmatch(r"h[1-6]", tag):
            self.levels.append(int(tag[1]))
        for name, value in attrs:
            value = value or ""
            if name == "id":
                self.ids.append(value)
            elif name in ("href", "xlink:href") and value.startswith("#"):
                self.anchors.append(value[1:])
            elif name in ("src", "srcset", "href", "xlink:href", "action", "style", "poster") and _REMOTE.search(value):
                self.faults.append(("render.unfit.remote", value[:80]))
            elif name.startswith("on"):
                self.faults.append(("render.unfit.script", f"{name}="))
            elif name in ("alt", "title", "aria-label", "aria-description"):
                self.words.append(value)


def verify(pages: dict[str, str], names: Iterable[str]) -> None:
    """Look at the pages of one report; raises Unfit at the first fault.

    Parameters
    ----------
    pages : dict of str to str
        Language -> HTML.
    names : iterable of str
        What users named (in dataset.yml and in the data): may stand in either language.
    """
    doubtful = {name for name in names if any(mark.search(name) for mark in (HAN, _BROKEN, _KEY, _FIELD))}
    given = sorted(doubtful, key=lambda name: (-len(name), name))
    read = {language: Page(html) for language, html in pages.items()}
    for language, page in read.items():
        for key, detail in _faults(page, language, given):
            raise Unfit(key, language=language, detail=detail)
    first, *others = read.items()
    for language, page in others:
        for tag in _LANDMARKS:
            if page.tags[tag] != first[1].tags[tag]:
                detail = f"<{tag}>: {first[0]} {first[1].tags[tag]}, {language} {page.tags[tag]}"
                raise Unfit("render.unfit.differ", language=language, detail=detail)


def _faults(page: Page, language: str, names: list[str]) -> Iterator[tuple[str, str]]:
    yield from page.faults
    size = len(page.html.encode())
    if size > MAX_BYTES:
        yield "render.unfit.too_large", f"{size / 1e6:.2f} MB"
    twice = [name for name, n in Counter(page.ids).items() if n > 1]
    dangling = [anchor for anchor in page.anchors if anchor and anchor not in set(page.ids)]
    if twice:
        yield "render.unfit.id_twice", twice[0]
    if dangling:
        yield "render.unfit.dangling", dangling[0]
    if page.levels.count(1) != 1 or any(b > a + 1 for a, b in zip([0, *page.levels], page.levels, strict=False)):
        yield "render.unfit.headings", " ".join(map(str, page.levels))
    yield from _wrong_words(page.words, language, names)


def _wrong_words(words: list[str], language: str, names: list[str]) -> Iterator[tuple[str, str]]:
    for said in words:
        rest = _without(said, names)
        if any(rest.removesuffix("…") in name for name in names):  # a line of a long label in a figure
            continue
        if broken := _BROKEN.search(rest):
            yield "render.unfit.broken_number", _around(rest, broken)
        if key := next((m for m in _KEY.finditer(rest) if text.known(m[0])), None):
            yield "render.unfit.key", key[0]
        if field_ := _FIELD.search(rest):
            yield "render.unfit.key", field_[0]
        if language == "en" and (han := HAN.search(rest)):
            yield "render.unfit.han", _around(rest, han)


def _without(said: str, names: list[str]) -> str:
    for name in names:
        if name in said:
            said = said.replace(name, " ")
    return said


def _around(said: str, match: re.Match) -> str:
    return said[max(match.start() - 20, 0) : match.end() + 20].strip()


def names_in(value: Any) -> Iterator[str]:
    """Give every text in a description, at any depth: what a page may hold because a user named it so.

    Of a label in both languages only the English half may stand on an English page.
    """
    if isinstance(value, text.Label):
        yield value.en
    elif isinstance(value, str):
        yield value
    elif hasattr(value, "model_fields_set"):  # a part of dataset.yml
        yield from names_in(dict(value))
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from names_in(key)
            yield from names_in(inner)
    elif isinstance(value, list | tuple | set):
        for inner in value:
            yield from names_in(inner)


def marked(html: str) -> str:
    """Say of every Chinese name on a verified English page in which language it is, for those who hear the page.

    Examples
    --------
    >>> marked('<p>in 华东1号店 and <b lang="zh-CN">华南</b></p>')
    '<p>in <span lang="zh-CN">华东1号店</span> and <b lang="zh-CN">华南</b></p>'
    """
    parts, above = _TAG.split(html), []  # for each open tag, whether text in it is to be left alone
    for i, part in enumerate(parts):
        tag = re.match(r"</?([\w!-]*)", part)[1] if i % 2 else ""
        if part.startswith("</"):
            above.pop()
        elif tag and tag not in (*_VOID, "!DOCTYPE") and not part.endswith("/>"):
            is_other = tag in ("style", "script", "title") or (" lang=" in part and tag != "html")
            above.append((tag, is_other or any(left for _, left in above)))
        elif not tag and not (above and above[-1][1]):
            mark = "tspan" if above and above[-1][0] == "text" else "span"
            parts[i] = _HAN_NAME.sub(rf'<{mark} lang="zh-CN">\g<0></{mark}>', part)
    return "".join(parts)
