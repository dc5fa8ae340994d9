"""Texts in Chinese and English -> reasons, by a table of words that people can read and change (reason_words.yml)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from churnlib.model.schema import Part
from churnlib.model.vocabulary import REASONS
from churnlib.yamlfile import YamlFile, hint

FILE = "reason_words.yml"
SHIPPED = Path(__file__).with_name(FILE)
_CLAUSE = re.compile(r"[，。；！？、,;!?\n\r\t]+|\.(?=\s|$)|但是|可是|不过|\bbut\b|\bhowever\b")
_HAN = re.compile(r"[\u4e00-\u9fff]{2,}")
DEGREE = frozenset("太很偏最更真变好挺又")  # 太贵 is one word of jieba's, but two of ours
_NOT = re.compile(r"(?<=[a-z])n[’']t\b|\bcannot\b")

Words = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class Rule(Part):
    """By which words a text is coded; see the head of the shipped reason_words.yml."""

    words: Words
    unless: tuple[str, ...] = ()
    scope: Literal["all", "exit_survey", "complaint"] = "all"


def _short(value: Any) -> Any:
    return {"words": value} if isinstance(value, list) else value


class WordList(Part):
    """A whole reason_words.yml."""

    replace: bool = False
    negations: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    reasons: dict[str, Annotated[Rule, BeforeValidator(_short)]]


@dataclass(frozen=True)
class Coder:
    """The table as it is used."""

    phrases: dict[str, tuple[tuple[str, int], ...]]  # phrase -> the (reason, number of alternative) that ask for it
    needed: dict[tuple[str, int], int]  # (reason, number of alternative) -> how many phrases it asks for
    rules: dict[str, Rule]
    negations: frozenset[str]
    between: frozenset[str]
    by_start: dict[str, tuple[tuple[str, bool], ...]]  # first two characters -> phrases; whether all of it is Han

    def code(self, written: str, source: str = "exit_survey") -> tuple[frozenset[str], tuple[str, ...]]:
        """Give the reasons that a text names, and its words."""
        found, words = set(), []
        for clause in clauses(written):
            tokens = cut(clause)
            words += tokens
            met: dict[tuple[str, int], set[str]] = {}
            for phrase, at in self._phrases_in(clause, tokens):
                if tokens[at] in self.negations or not self._negated(tokens, at):
                    for asked in self.phrases[phrase]:
                        met.setdefault(asked, set()).add(phrase)
            for asked, phrases in met.items():
                rule = self.rules[asked[0]]
                if len(phrases) == self.needed[asked] and rule.scope in ("all", source):
                    if not any(word in clause for word in rule.unless):
                        found.add(asked[0])
        return frozenset(found), tuple(words)

    def _phrases_in(self, clause: str, tokens: list[str]) -> Iterable[tuple[str, int]]:
        """Phrases that begin with a word of the clause and end with one; Han characters may end inside a word."""
        ends = list(accumulate(map(len, tokens)))
        for i, begin in enumerate([0, *ends[:-1]]):
            for start in (clause[begin : begin + 2], clause[begin]):
                for phrase, is_han in self.by_start.get(start, ()):
                    if clause.startswith(phrase, begin) and (is_han or begin + len(phrase) in ends):
                        yield phrase, i

    def _negated(self, tokens: list[str], at: int) -> bool:
        """Whether a negation stands before the word, with nothing but words of degree between them."""
        for token in reversed(tokens[:at]):
            if token in self.negations:
                return True
            if not token.isspace() and token not in self.between:
                return False
        return False


def coder(folder: Path | None = None) -> Coder:
    """Read the shipped table, and what the data set's folder says instead.

    Raises
    ------
    DataError
        The folder's reason_words.yml has an unknown reason, an empty or doubled word: told with line and near misses.
    """
    shipped = _read(SHIPPED)
    own = _read(folder / FILE) if folder and (folder / FILE).is_file() else None
    rules = {} if own and own.replace else dict(shipped.reasons)
    rules |= own.reasons if own else {}
    rules = {r: rule.model_copy(update={"unless": tuple(map(plain, rule.unless))}) for r, rule in rules.items()}
    phrases: dict[str, list[tuple[str, int]]] = {}
    needed = {}
    for reason, rule in rules.items():
        for i, word in enumerate(rule.words):
            parts = {plain(part) for part in word.split("+")}
            needed[reason, i] = len(parts)
            for part in parts:
                phrases.setdefault(part, []).append((reason, i))
    both = [shipped, own] if own else [shipped]
    words = (frozenset(plain(w) for one in both for w in getattr(one, name)) for name in ("negations", "between"))
    by_start: dict[str, tuple[tuple[str, bool], ...]] = {}
    for phrase in phrases:
        by_start[phrase[:2]] = (*by_start.get(phrase[:2], ()), (phrase, bool(_HAN.fullmatch(phrase))))
    return Coder({phrase: tuple(asked) for phrase, asked in phrases.items()}, needed, rules, *words, by_start)


def _read(path: Path) -> WordList:
    file = YamlFile(path)
    listed = file.check(WordList)
    seen: dict[str, str] = {}
    for reason, rule in listed.reasons.items():
        where = ("reasons", reason)
        if reason not in REASONS:
            raise file.problem(where, "schema.unknown_reason", value=reason, hint=hint(reason, REASONS))
        for word in rule.words:
            parts = [plain(part) for part in word.split("+")]
            if not all(any(c.isalnum() for c in part) for part in parts):
                raise file.problem(where, "schema.empty_word", value=word)
            if any(plain(stop) in "+".join(parts) for stop in rule.unless):
                raise file.problem((*where, "unless"), "schema.word_excluded", value=word)
            key = "+".join(sorted(parts))
            if key in seen:
                raise file.problem(where, "schema.word_twice", value=word, other=seen[key])
            seen[key] = reason
    return listed


def clauses(written: str) -> list[str]:
    """Give the clauses of a text: half-width, lower case, n't as not."""
    return [part for part in _CLAUSE.split(plain(written)) if part.strip()]


def plain(written: str) -> str:
    """Give a text in one spelling: half-width, lower case, n't and cannot as two words."""
    folded = unicodedata.normalize("NFKC", written).casefold()
    if "'" not in folded and "’" not in folded and "cannot" not in folded:
        return folded.strip()
    return _NOT.sub(lambda found: "can not" if found[0] == "cannot" else " not", folded).strip()


def cut(clause: str) -> list[str]:
    """Cut a clause into words, Chinese and English; words of degree stand alone.

    Examples
    --------
    >>> cut("价格太贵")
    ['价格', '太', '贵']
    """
    words = _rjieba().cut(clause)
    if DEGREE.isdisjoint(clause):
        return words
    return [part for word in words for part in ((word[0], word[1:]) if word[0] in DEGREE and word[1:] else (word,))]


def tagged(written: str) -> list[tuple[str, str]]:
    """Cut a text into words, each with its part of speech as jieba names it ("nr": a person's name)."""
    return _rjieba().tag(written)


@cache
def _rjieba():
    import rjieba  # loads its dictionary: only where texts are coded

    return rjieba
