"""What people wrote: complaints and remarks on exit forms, coded onto the list of reasons by the table of words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pandas as pd
import pyarrow as pa

from churnlib.counts import definitions
from churnlib.counts.base import Counts, about, make_calendar, segment, unit_of
from churnlib.counts.holders import holder_attribute
from churnlib.counts.masking import MASK, mask, may_name
from churnlib.counts.periods import first_countable
from churnlib.counts.reasons import reason_lists
from churnlib.engine import quote
from churnlib.model.reasonwords import Coder, coder, plain
from churnlib.sources.written import fold

UNCODED = "uncoded"
WORDS = 50  # most frequent words of uncoded texts that are kept
CANDIDATES = 200  # texts among which the most typical one is sought
QUOTED = 2  # quotations a source and group
LENGTHS = (4, 80)  # characters of a quotation
_STOP = frozenset(
    "我们 你们 他们 这个 那个 这里 那里 什么 没有 就是 还是 还有 但是 因为 所以 而且 如果 一个 一直 已经 可以 不能 "
    "不是 现在 时候 自己 觉得 知道 起来 某某 the and for that this was were are with have has had not but you your our "
    "they them she his her its it is in of to we my me on at be so as an or if from by do does did would could".split()
)

# One row per text of the window: a remark on an exit form, or a complaint.
TEXTS = "CREATE OR REPLACE TEMP TABLE texts AS {parts}"
REMARKS = """
SELECT 'exit_survey' AS source, x.survey AS item, x.customer, d.number, trim(x.text) AS text,
  CAST(NULL AS VARCHAR) AS category
FROM exit_survey AS x JOIN days AS d ON d.day = x.date
WHERE trim(x.text) <> '' AND d.number BETWEEN $first AND $last
  AND x.customer NOT IN (SELECT customer FROM spells_excluded)
"""
COMPLAINTS = """
SELECT 'complaint' AS source, row_number() OVER (ORDER BY k.customer NULLS LAST, k.date NULLS LAST, k.text NULLS LAST,
    {category} NULLS LAST) AS item, k.customer, d.number, trim(k.text) AS text, {category} AS category
FROM contacts AS k JOIN days AS d ON d.day = k.date
WHERE k.kind = 'complaint' AND trim(k.text) <> '' AND d.number BETWEEN $first AND $last
  AND k.customer NOT IN (SELECT customer FROM spells_excluded)
"""

# One row per source and different text.
DISTINCT = """
SELECT source, text, count(*) AS n FROM texts GROUP BY source, text ORDER BY source NULLS LAST, n DESC NULLS LAST,
  text NULLS LAST
"""

# One row per period, source, list and code ('' for all texts): a text with two reasons of one group counts once.
COUNTED = """
WITH coded AS (
  SELECT DISTINCT t.number, t.source, t.item, g.level_of_list, g.code
  FROM texts AS t
  JOIN text_codes AS c ON c.source = t.source AND c.text = t.text
  JOIN text_lists AS g ON g.reason = c.reason
)
SELECT number, source, level_of_list, code AS reason, count(*) AS n_texts
FROM coded GROUP BY number, source, level_of_list, code
ORDER BY number NULLS LAST, source NULLS LAST, level_of_list NULLS LAST, reason NULLS LAST
"""
ALL = """
SELECT number, source, '' AS level_of_list, '' AS reason, count(*) AS n_texts
FROM texts GROUP BY number, source ORDER BY number NULLS LAST, source NULLS LAST
"""

# One row per source, item and reason that a person gave to it: ticked beside the remark, or the complaint's category.
TICKED = """
SELECT t.source, t.item, r.reason FROM texts AS t JOIN exit_reasons AS r ON r.survey = t.item
WHERE t.source = 'exit_survey'
"""
CATEGORISED = """
SELECT t.source, t.item, k.reason FROM texts AS t JOIN category_of AS k ON k.category = t.category
WHERE t.source = 'complaint'
"""

# One row per source, list and code: texts that a person, the table of words, or both gave it, of those judged by both.
AGREED = """
WITH human AS ({human}),
by_human AS (
  SELECT h.source, h.item, g.level_of_list, g.code FROM human AS h JOIN text_lists AS g ON g.reason = h.reason
),
judged AS (SELECT DISTINCT source, item, level_of_list FROM by_human),
either AS (
  SELECT source, item, level_of_list, code, max(human) AS human, max(words) AS words
  FROM (
    SELECT source, item, level_of_list, code, 1 AS human, 0 AS words FROM by_human
    UNION ALL
    SELECT j.source, j.item, j.level_of_list, g.code, 0 AS human, 1 AS words
    FROM judged AS j
    JOIN texts AS t ON t.source = j.source AND t.item = j.item
    JOIN text_codes AS c ON c.source = t.source AND c.text = t.text
    JOIN text_lists AS g ON g.reason = c.reason AND g.level_of_list = j.level_of_list
  ) AS marks
  GROUP BY source, item, level_of_list, code
),
sizes AS (SELECT source, level_of_list, count(*) AS n_judged FROM judged GROUP BY source, level_of_list)
SELECT e.source, e.level_of_list, e.code AS reason, s.n_judged, sum(e.human * e.words) AS n_both,
  sum(e.human * (1 - e.words)) AS n_human, sum((1 - e.human) * e.words) AS n_words
FROM either AS e JOIN sizes AS s ON s.source = e.source AND s.level_of_list = e.level_of_list
WHERE e.level_of_list IN ('group', 'reason') AND e.code NOT IN ('uncoded', 'unknown', 'unknown.other')
GROUP BY e.source, e.level_of_list, e.code, s.n_judged
ORDER BY source NULLS LAST, level_of_list NULLS LAST, reason NULLS LAST
"""

# One row per text that is to be quoted and name that it holds: a customer's own, or of who holds the relationship.
NAMED = """
SELECT q.text, c.name FROM quoted AS q JOIN ({names}) AS c ON strpos(q.plain, lower(c.name)) > 0
WHERE length(c.name) > 1
GROUP BY q.text, c.name ORDER BY text NULLS LAST, name NULLS LAST
"""
OWN_NAMES = "SELECT {column} AS name FROM customers"
HOLDERS = "SELECT DISTINCT value AS name FROM assignments WHERE attribute = $attribute"


@dataclass(frozen=True)
class TextCounts(Counts):
    """Coded texts.

    Attributes
    ----------
    quotes : pandas.DataFrame
        One row per quotation: `source`, `reason` (group), `quote` (masked), the most typical of the group first.
    words : pandas.DataFrame
        One row per frequent word of uncoded texts: `source`, `word`, `n_texts`.
    agreement : pandas.DataFrame
        One row per source, list and code: `n_judged` texts that a person coded, too; `n_both`, `n_human` (the person
        alone), `n_words` (the table of words alone).
    """

    quotes: pd.DataFrame = field(default_factory=pd.DataFrame)
    words: pd.DataFrame = field(default_factory=pd.DataFrame)
    agreement: pd.DataFrame = field(default_factory=pd.DataFrame)


def text_counts(data: Any, window: int = 12, unit: str | None = None) -> TextCounts:
    """Code complaints and remarks on exit forms by the table of words, and count.

    Parameters
    ----------
    data : Dataset
        Its folder may hold a reason_words.yml of its own.
    window : int
        Periods of the texts, ending with the report's.
    unit : str, optional

    Returns
    -------
    TextCounts
        One row per period of the text, `source` ("exit_survey", "complaint"), `level_of_list` and `reason`: `n_texts`;
        all texts under list "" and reason "", those that no word matched under "uncoded" of every list. Adds over
        periods and sources, never over reasons. Empty without texts.
    """
    unit, name = unit_of(data, unit), definitions.spells(data)
    told = about(data, segment(data, None)[1], unit, name)
    periods = make_calendar(data, unit, first_countable(data, name, unit))
    inside = periods.loc[periods["period"].between(str(told.period.shift(1 - window)), str(told.period)), "number"]
    ends = {"first": int(inside.min()), "last": int(inside.max())} if len(inside) else {"first": 0, "last": -1}
    parts = _parts(data)
    grain = ("period", "source", "level_of_list", "reason")
    if not parts:
        empty = {"quotes": ["source", "reason", "quote"], "words": ["source", "word", "n_texts"]}
        frames = {key: pd.DataFrame(columns=columns) for key, columns in empty.items()}
        frames["agreement"] = pd.DataFrame(columns=_AGREEMENT)
        return TextCounts(pd.DataFrame(columns=[*grain, "n_texts"]), told, grain, grain[:2], **frames)
    data.con.run(TEXTS.format(parts=" UNION ALL ".join(parts)), ends)
    words, candidates = _code(data, coder(getattr(data, "folder", None)))
    data.con.load("text_lists", _with_groups(reason_lists(data.spec)))
    frame = pd.concat([data.con.frame(sql) for sql in (ALL, COUNTED)], ignore_index=True)
    frame = frame.merge(periods[["number", "period"]], on="number")[[*grain, "n_texts"]]
    agreement = _agreement(data)
    quotes = _quotes(data, candidates, told.privacy_k)
    for table in ("texts", "text_codes", "text_lists"):
        data.con.run(f"DROP TABLE {table}")
    return TextCounts(frame, told, grain, grain[:2], quotes, words, agreement)


_AGREEMENT = ["source", "level_of_list", "reason", "n_judged", "n_both", "n_human", "n_words"]


def _parts(data: Any) -> list[str]:
    parts = [REMARKS] if data.has("exit_survey.text") else []
    if data.has("contacts.text"):
        category = "k.category" if data.has("contacts.category") else "CAST(NULL AS VARCHAR)"
        parts.append(COMPLAINTS.format(category=category))
    return parts


def _with_groups(lists: pa.Table) -> pa.Table:
    """The lists with rows for texts without a code, and for categories that name a whole group."""
    frame = lists.to_pandas()
    groups = frame.loc[frame["level_of_list"] == "group", "code"].unique()
    levels = frame["level_of_list"].unique()
    more = [(UNCODED, level, UNCODED) for level in levels] + [(group, "group", group) for group in groups]
    return pa.Table.from_pandas(pd.concat([frame, pd.DataFrame(more, columns=frame.columns)]), preserve_index=False)


def _code(data: Any, table: Coder) -> tuple[pd.DataFrame, dict[tuple[str, str], list[tuple[str, tuple, int]]]]:
    """Make `text_codes`; gives frequent words of uncoded texts, and texts to quote from by source and group."""
    rows, unknown, candidates = [], {}, {}
    for source, written, n in data.con.frame(DISTINCT).itertuples(index=False):
        reasons, words = table.code(written, source)
        rows += [(source, written, reason) for reason in sorted(reasons) or [UNCODED]]
        if not reasons:
            unknown.setdefault(source, Counter()).update(dict.fromkeys(filter(_telling, words), int(n)))
        for group in {reason.partition(".")[0] for reason in reasons}:
            kept = candidates.setdefault((source, group), [])
            if len(kept) < CANDIDATES and LENGTHS[0] <= len(written) <= LENGTHS[1]:
                kept.append((written, words, int(n)))
    source, written, reason = zip(*rows, strict=True) if rows else ((), (), ())
    kinds = pa.schema([(name, pa.string()) for name in ("source", "text", "reason")])
    data.con.load("text_codes", pa.table([list(source), list(written), list(reason)], schema=kinds))
    frequent = [(source, word, n) for source, found in unknown.items() for word, n in found.most_common(WORDS)]
    frame = pd.DataFrame(frequent, columns=["source", "word", "n_texts"])
    return frame.sort_values(
        ["source", "n_texts", "word"], ascending=[True, False, True], ignore_index=True
    ), candidates


@cache
def _telling(word: str) -> bool:
    """Whether a word says something: no number, no name, no word of every sentence."""
    is_word = len(word.strip()) > 1 and word.isalpha() and word not in _STOP
    return is_word and mask(word) == word and not may_name(word)


def _agreement(data: Any) -> pd.DataFrame:
    human = [TICKED] if data.has("exit_reasons") else []
    if data.spec.reasons.categories:
        cells = data.con.frame("SELECT DISTINCT category FROM texts WHERE category IS NOT NULL ORDER BY 1 NULLS LAST")
        known = {fold(word): code for word, code in data.spec.reasons.categories.items()}
        rows = [(cell, known[fold(cell)]) for cell in cells["category"] if fold(cell) in known]
        schema = pa.schema([("category", pa.string()), ("reason", pa.string())])
        data.con.load("category_of", pa.table([[c for c, _ in rows], [r for _, r in rows]], schema=schema))
        human.append(CATEGORISED)
    return data.con.frame(AGREED.format(human=" UNION ALL ".join(human))) if human else pd.DataFrame(columns=_AGREEMENT)


def _quotes(data: Any, candidates: dict, least: int) -> pd.DataFrame:
    """The texts that share most words with the others of their source and group, masked."""
    chosen = []
    for (source, group), texts in sorted(candidates.items()):
        if sum(n for *_, n in texts) < least:
            continue
        common = Counter(
            word for _, words, n in texts for word in set(words) if _telling(word) for _ in range(min(n, 50))
        )
        typical = sorted(texts, key=lambda t: (-_typical(t[1], common) * min(t[2], 50), t[0]))
        chosen += [(source, group, written) for written, _, _ in typical[: 3 * QUOTED]]
    names = _names(data, sorted({written for *_, written in chosen}))
    used = Counter(word for texts in candidates.values() for _, words, _ in texts for word in set(words))
    usual = {word for word, n in used.items() if n >= least}
    rows = [(source, group, mask(written, names.get(written, ()))) for source, group, written in chosen]
    told = [row for row in rows if len(row[2].replace(MASK, "")) >= LENGTHS[0] and not may_name(row[2], usual)]
    frame = pd.DataFrame(told, columns=["source", "reason", "quote"]).drop_duplicates()
    return frame.groupby(["source", "reason"]).head(QUOTED).reset_index(drop=True)


def _names(data: Any, texts: list[str]) -> dict[str, list[str]]:
    """The names that each text holds: of customers, and of those who hold the relationship with them."""
    columns = {"text": texts, "plain": list(map(plain, texts))}  # a name may be written in full width, or in capitals
    data.con.load("quoted", pa.table(columns, schema=pa.schema([(name, pa.string()) for name in columns])))
    personal = [column for column in data.spec.roles.personal if data.has(f"customers.{column}")]
    asked = dict.fromkeys(OWN_NAMES.format(column=quote(column)) for column in personal)
    if holder := holder_attribute(data):
        asked[HOLDERS] = {"attribute": holder[0]}
    found: dict[str, list[str]] = {}
    for source, values in asked.items():
        for written, name in data.con.frame(NAMED.format(names=source), values).itertuples(index=False):
            found.setdefault(written, []).append(str(name))
    data.con.run("DROP TABLE quoted")
    return found


def _typical(words: tuple[str, ...], common: Counter) -> float:
    told = [word for word in set(words) if _telling(word)]
    return sum(common[word] for word in told) / (len(told) + 1)
