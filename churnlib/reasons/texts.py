"""What people wrote, coded by words: how often, in whose words, and how far people code it alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import Period
from churnlib.intervals import wilson
from churnlib.reasons.agreement import cohens_kappa
from churnlib.reasons.reasons import reason_label
from churnlib.reasons.reasonshares import window_of, within
from churnlib.show import disclosure
from churnlib.show.results import Column, Finding, Result, Statement, table_columns
from churnlib.text import Label

UNCODED = "uncoded"
SAID = 12  # frequent words of uncoded texts that are listed


@dataclass(frozen=True, kw_only=True)
class CodedTexts(Result):
    """Texts of one kind by reason.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per reason group (or reason), the most frequent first, "uncoded" last: `n_texts` of `n_all`, `share`
        with `ci_lower`, `ci_upper` (a text can name several), `quote` (typical, masked; "" for none).
    source : {"complaint", "exit_survey"}
    window : tuple of Period
    words : tuple of str
        The most frequent words of uncoded texts.
    """

    source: str
    window: tuple[Period, Period]
    words: tuple[str, ...]
    module: ClassVar[str] = "texts"
    tucked: ClassVar[bool] = True
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "reason_label:label n_texts share:pct.1 ci_lower:pct.1 ci_upper:pct.1 quote:label"
    )

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_texts", "share", "ci_lower", "ci_upper")
        out = disclosure.protect(self.table, self.about, count="n_texts", base="n_all", hides=hides)
        quotes = zip(out["quote"], out["share"].notna(), strict=True)
        return out.assign(quote=[quote if is_shown else Label("", "") for quote, is_shown in quotes])

    @property
    def findings(self) -> tuple[Finding, ...]:
        n = int(self.table["n_all"].max()) if len(self.table) else 0
        told = self.shown[self.shown["share"].notna()] if n else self.table
        named = told[told["reason"] != UNCODED]
        if n < self.about.min_denominator or named.empty:
            return (Finding(f"texts.few.{self.source}", {"n": n}),)
        top = named.iloc[0]
        values = {"reason": top.reason_label, "share": top.share, "lower": top.ci_lower, "upper": top.ci_upper, "n": n}
        left = self.table.loc[self.table["reason"] == UNCODED, "n_texts"].sum()
        coded = Finding("texts.uncoded", {"n": int(left), "share": left / n})
        return (Finding(f"texts.top.{self.source}", values, grade="weak"), *((coded,) if left else ()))

    @property
    def subtitle(self) -> Statement | None:
        values = {"first": self.window[0], "last": self.window[1]}
        return Statement(f"texts.subtitle.{self.source}", values) if len(self.table) else None

    @property
    def notes(self) -> tuple[Statement, ...]:
        if self.table.empty:
            return ()
        words = (Statement("texts.note.words", {"words": [Label.of(w) for w in self.words]}),) if self.words else ()
        return (Statement("texts.note.rules"), *words)


def coded_texts(texts, source: str = "complaint", *, level: str = "group", window: int = 12) -> CodedTexts:
    """Work out what texts are about.

    Parameters
    ----------
    texts : TextCounts
        From `text_counts(data, window)`.
    source : {"complaint", "exit_survey"}
        Complaints (of all customers), or remarks on exit forms.
    level : {"group", "reason", "own", "type"}
    window : int
        Periods taken together, ending with the report's; no more than were counted.

    Returns
    -------
    CodedTexts
        One row per reason, and the uncoded; empty without texts.
    """
    about = texts.about
    first, last = window_of(about, window)
    rows = texts.frame[(texts.frame["source"] == source) & within(texts.frame, first, last)]
    n = int(rows.loc[rows["reason"] == "", "n_texts"].sum())
    sums = rows[rows["level_of_list"] == level].groupby("reason")["n_texts"].sum()
    if n and UNCODED not in sums.index:
        sums.loc[UNCODED] = 0
    order = sorted(sums.index, key=lambda code: (code == UNCODED, -sums[code], code))
    quotes = texts.quotes[texts.quotes["source"] == source].drop_duplicates("reason").set_index("reason")["quote"]
    d = sums.reindex(order).to_numpy(int)
    lower, upper = wilson(d, np.full(len(d), n), about.conf_level)
    table = pd.DataFrame({"reason": order, "n_texts": d, "n_all": n, "share": d / max(n, 1)})
    table = table.assign(ci_lower=lower, ci_upper=upper, quote=[Label.of(quotes.get(code, "")) for code in order])
    labels = [text.label("texts.uncoded_label") if c == UNCODED else reason_label(c, about, level) for c in order]
    table.insert(0, "reason_label", labels)
    words = texts.words[(texts.words["source"] == source) & (texts.words["n_texts"] >= about.privacy_k)]
    has = {"source": source, "window": (first, last), "words": tuple(words["word"].head(SAID)) if len(words) else ()}
    return CodedTexts(about=about, table=table, name=f"texts_{source}", **has)


@dataclass(frozen=True, kw_only=True)
class TextAgreement(Result):
    """The table of words against people who coded the same texts.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per source and reason that either used: `n_judged` texts, `n_by_human`, `n_by_words`, `n_both`;
        `precision` (of those coded by words, the people did, too) and `recall` (of the people's, found by words) with
        intervals; Cohen's `kappa` with `kappa_lower`, `kappa_upper` (NaN where one side never used the code).
    """

    module: ClassVar[str] = "texts"
    tucked: ClassVar[bool] = True
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        Column("source", "term", prefix="texts.source"),
        "reason_label:label n_judged n_by_human n_by_words precision:pct.1 recall:pct.1",
        "kappa:ratio kappa_lower:ratio kappa_upper:ratio",
    )

    @property
    def shown(self) -> pd.DataFrame:
        kept = ("source", "reason", "reason_label", "n_judged", "n_most")
        rows = self.table.assign(n_most=self.table[["n_by_human", "n_by_words"]].max(axis=1))
        hides = tuple(column for column in self.table if column not in kept)
        return disclosure.protect(rows, self.about, count="n_most", base="n_judged", hides=hides)

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.table.empty:
            return (Finding("texts.agreement.none"),)
        told = []
        for source, rows in self.table.groupby("source", sort=True):
            both, human, words = (int(rows[c].sum()) for c in ("n_both", "n_by_human", "n_by_words"))
            kappas = rows["kappa"].dropna()
            if rows["n_judged"].max() < self.about.min_denominator or not words or kappas.empty:
                continue
            values = {"source": text.label(f"texts.source.{source}"), "n": int(rows["n_judged"].max())}
            values |= {"precision": both / words, "recall": both / max(human, 1)}
            values |= {"low": kappas.min(), "high": kappas.max()}
            told.append(Finding("texts.agreement.found", values))
        return tuple(told) or (Finding("texts.agreement.none"),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("texts.note.agreement"),) if len(self.table) else ()


def text_agreement(texts, level: str = "group") -> TextAgreement:
    """Compare codes by words with the codes that people gave to the same texts.

    Parameters
    ----------
    texts : TextCounts
        From `text_counts(data, window)`: boxes ticked beside a remark, categories of complaints.
    level : {"group", "reason"}

    Returns
    -------
    TextAgreement
        One row per source and reason; empty where nobody coded anything.
    """
    rows = texts.agreement[texts.agreement["level_of_list"] == level].reset_index(drop=True)
    both, human, words, n = (rows[c].to_numpy(int) for c in ("n_both", "n_human", "n_words", "n_judged"))
    table = pd.DataFrame({"source": rows["source"], "reason": rows["reason"], "n_judged": n, "n_both": both})
    table = table.assign(n_by_human=both + human, n_by_words=both + words)
    for name, base in (("precision", both + words), ("recall", both + human)):
        lower, upper = wilson(both, base, texts.about.conf_level)
        share = np.divide(both, base, out=np.full(len(base), np.nan), where=base > 0)
        table = table.assign(**{name: share, f"{name}_lower": lower, f"{name}_upper": upper})
    cells = np.stack([both, human, words, n - both - human - words], axis=1).reshape(-1, 2, 2)
    kappas = np.array([cohens_kappa(cell, texts.about.conf_level) for cell in cells]).reshape(-1, 3)
    table = table.assign(kappa=kappas[:, 0], kappa_lower=kappas[:, 1], kappa_upper=kappas[:, 2])
    table.insert(1, "reason_label", [reason_label(code) for code in table["reason"]])
    return TextAgreement(about=texts.about, table=table, name="text_agreement")
