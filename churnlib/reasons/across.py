"""One list across another: reasons, outcomes of the follow-up or places gone to, by segment, period or version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import YEAR, Period
from churnlib.intervals import difference, wilson
from churnlib.reasons.followup import NOWHERE, place_label
from churnlib.reasons.reasons import reason_label
from churnlib.reasons.reasonshares import window_of, within
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Result, Statement, table_columns
from churnlib.text import Label

WIDEST = 12  # columns that a heat map has room for
LISTED = 14  # rows
WINDOW = 3  # periods that other tables take together, and set against as many before
UNTOLD = ("", "not_asked")  # what is not known is in the table, but no finding


@dataclass(frozen=True, kw_only=True)
class SharesAcross(Result):
    """Shares of a list's codes in every column of another: who says what, where and when.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per code and column with customers: `code`, `column` (level, period or version), `n` of `n_base`
        customers, `share` with `ci_lower`, `ci_upper`, `share_others` (in all other columns together), `gap` with
        `gap_lower`, `gap_upper` and `differs` (beyond its interval, Bonferroni over all cells). The commonest codes and
        the columns in their own order come first. Shares in [0, 1].
    what : {"reason", "follow_up", "lost_to"}
    over : {"level", "period", "version"}
    level : str
        List of the reasons.
    window : tuple of Period
    """

    what: str
    over: str
    level: str
    window: tuple[Period, Period]
    module: ClassVar[str] = "across"
    tucked: ClassVar[bool] = True
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "code_label:label column_label:label n:whole n_base share:pct.1 ci_lower:pct.1 ci_upper:pct.1",
        "share_others:pct.1 gap:points.1",
    )

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n", "n_base", "share", "ci_lower", "ci_upper", "share_others", "gap", "gap_lower", "gap_upper")
        # a respondent can name several reasons, so they add up in their rows alone; others in columns, too
        margins = {"across": ("code", "stretch")} | ({} if self.what == "reason" else {"within": ("column",)})
        out = disclosure.protect(self._stretched, self.about, count="n", base="n_base", hides=hides, **margins)
        if self.over == "period" and self.what != "reason":  # the columns add up to all the churned of a period
            held = disclosure.held_back(self.about, out["column"], "churned")
            out.loc[held, [c for c in hides if c in out]] = np.nan
        return out

    @property
    def _stretched(self) -> pd.DataFrame:
        """The table with the sums that its rows are shown in: one, or one for each window that other tables take."""
        windows = {str(self.window[1].shift(-i)): i // WINDOW for i in range(YEAR[self.about.period.unit])}
        stretch = self.table["column"].map(windows).fillna(-1) if self.over == "period" else 0
        return self.table.assign(stretch=stretch)

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self.shown[self.shown["share"].notna()]
        values = {"n": told["column"].nunique()}
        if told["column"].nunique() < 2:
            return (Finding(f"across.{self.over}.one", values),)
        clear = told[told["differs"].astype(bool) & told["gap"].notna() & ~told["code"].isin(UNTOLD)]
        if clear.empty:
            return (Finding(f"across.{self.over}.none", values | {"what": text.label(f"across.what.{self.what}")}),)
        row = clear.loc[clear["gap"].abs().idxmax()]
        values = {"code": row.code_label, "column": row.column_label, "share": row.share, "others": row.share_others}
        values |= {"n": int(row.n_base), "lower": row.ci_lower, "upper": row.ci_upper, "clear": len(clear)}
        side = "more" if row.gap > 0 else "less"
        return (Finding(f"across.{self.over}.{side}", values, grade="weak", weight=abs(row.gap) * row.n_base),)

    @property
    def subtitle(self) -> Statement:
        values = {"first": self.window[0], "last": self.window[1], "over": self._over}
        return Statement(f"across.subtitle.{self.what}", values)

    @property
    def _over(self) -> Label:
        return self.about.segment.label if self.over == "level" else text.label(f"across.over.{self.over}")

    @property
    def notes(self) -> tuple[Statement, ...]:
        late = (Statement("across.note.late"),) if (self.what, self.over) == ("follow_up", "period") else ()
        return (Statement("across.note"), *late, self.small_note)

    def read_columns(self) -> list[Column]:
        return [Column("code_label", "label"), *(Column(c) for c in dict.fromkeys(self.table["column"]))]

    def summary(self, language: str | None = None) -> pd.DataFrame:
        """One row per code, a column per level, period or version: customers and share."""
        language, shown = language or text.language(), self.shown
        cells = [
            text.say("across.cell", language, n=row.n, share=row.share) if np.isfinite(row.share) else text.MISSING
            for row in shown.itertuples()
        ]
        sizes = shown.groupby("column")["n_base"].max()
        heads = dict(zip(shown["column"], shown["column_label"], strict=True))
        for column, label in heads.items():  # a size below the privacy threshold is hidden in all cells
            told = np.isfinite(sizes[column])
            said = text.say("across.head", language, column=label, n=sizes[column]) if told else label.to(language)
            heads[column] = said
        wide = shown.assign(cell=cells).pivot(index="code", columns="column", values="cell")
        names = dict(zip(shown["code"], shown["code_label"], strict=True))
        wide = wide.reindex(index=list(names), columns=list(heads)).fillna(text.MISSING)
        wide = wide.set_axis(list(heads.values()), axis=1).reset_index(drop=True)
        wide.insert(0, Column("code_label").label(self.module).to(language), [v.to(language) for v in names.values()])
        return wide

    def plot(self, ax=None):
        shown = self.shown
        rows, columns = list(dict.fromkeys(shown["code"]))[:LISTED], list(dict.fromkeys(shown["column"]))
        if not 1 < len(columns) <= WIDEST or shown["share"].isna().all():
            return None
        grid = shown.pivot(index="code", columns="column", values="share").reindex(index=rows, columns=columns)
        names = dict(zip(shown["code"], shown["code_label"], strict=True))
        heads = dict(zip(shown["column"], shown["column_label"], strict=True))
        states = np.where(grid.isna(), "small", "complete").tolist()
        labels = [c if self.over == "period" else str(heads[c]) for c in columns]
        how = {"column_header": str(self._over), "ax": ax}
        return plots.heat_map([str(names[r]) for r in rows], labels, grid.to_numpy(float).tolist(), states, **how)


def reasons_across(mentions, response, over: str = "level", *, level: str = "group", window: int = 3) -> SharesAcross:
    """Compare stated reasons between segment levels, periods, or versions of the list.

    Parameters
    ----------
    mentions, response : Counts
        From `reason_counts(data, by)` and `response_counts(data, by)`, the same `by`.
    over : {"level", "period", "version"}
        Versions are what keeps renamed reasons apart: each column counts the answers on one list alone.
    level : {"group", "reason", "own", "type", "initiative"}
    window : int
        Periods taken together, ending with the report's.

    Returns
    -------
    SharesAcross
        One row per reason and column: respondents who named it, of those who gave a reason.
    """
    named = mentions.frame[mentions.frame["level_of_list"] == level].rename(columns={"reason": "code", "n_named": "n"})
    base = response.frame[response.frame["n_respondents"] > 0].rename(columns={"n_respondents": "n_base"})
    return _across(mentions.about, named, base, "reason", over, level, window)


def follow_up_across(response, over: str = "period", *, window: int = 6) -> SharesAcross:
    """Compare the outcomes of the follow-up: which of the lost could not be reached, of what kind, month by month."""
    rows = response.frame.rename(columns={"follow_up": "code", "n_customers": "n"})
    return _across(response.about, rows, rows.assign(n_base=rows["n"]), "follow_up", over, "", window)


def lost_to_across(places, over: str = "level", *, window: int = 12) -> SharesAcross:
    """Compare where the lost went to, those whose place is not known among them (from `lost_to_counts(data, by)`)."""
    rows = places.frame.rename(columns={"lost_to": "code", "n_customers": "n"})
    rows["code"] = rows["code"].where(~rows["code"].isin(NOWHERE), "")
    return _across(places.about, rows, rows.assign(n_base=rows["n"]), "lost_to", over, "", window)


def _across(about, rows: pd.DataFrame, base: pd.DataFrame, what, over, level, window: int) -> SharesAcross:
    first, last = window_of(about, window)
    base = base[within(base, first, last)].groupby(over)["n_base"].sum()
    base = base[base > 0]
    order = [c for c in about.segment.levels if c in base.index] if over == "level" and about.segment.name else []
    base = base.reindex(order or sorted(base.index))
    counts = rows[within(rows, first, last)].groupby(["code", over])["n"].sum().unstack(over, fill_value=0)
    counts = counts.reindex(columns=base.index, fill_value=0)
    counts = counts.loc[sorted(counts.index, key=lambda code: (-counts.loc[code].sum(), code))]
    n, size = counts.to_numpy().ravel(), np.tile(base.to_numpy(), len(counts))
    others = np.repeat(counts.sum(axis=1).to_numpy(), len(base)) - n
    rest = base.sum() - size
    lower, upper = wilson(n, size, about.conf_level)
    gaps = difference(n, size, others, rest, conf_level=1 - (1 - about.conf_level) / max(len(n), 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        share, elsewhere = n / size, others / rest
    codes, columns = np.repeat(counts.index, len(base)), np.tile(base.index, len(counts))
    named = {"code": codes, "column": columns}
    named["code_label"] = [_code_label(code, what, level, about) for code in codes]
    named["column_label"] = [_column_label(column, over, about) for column in columns]
    numbers = {"n": n, "n_base": size, "share": share, "ci_lower": lower, "ci_upper": upper, "share_others": elsewhere}
    numbers |= {"gap": share - elsewhere, "gap_lower": gaps[0], "gap_upper": gaps[1]}
    table = pd.DataFrame(named | numbers | {"differs": (gaps[0] > 0) | (gaps[1] < 0)})
    name = f"{what}_by_{about.segment.name or 'level' if over == 'level' else over}"
    return SharesAcross(about=about, table=table, name=name, what=what, over=over, level=level, window=(first, last))


def _code_label(code: str, what: str, level: str, about) -> Label:
    if what == "reason":
        return reason_label(code, about, level)
    return place_label(code) if what == "lost_to" else text.label(f"reasons.follow_up.{code}")


def _column_label(column: str, over: str, about) -> Label:
    if over == "level":
        return about.segment.label_of(column)
    if over == "period":
        return Label(*(Period.parse(column).say(language) for language in text.LANGUAGES))
    return Label.of(column) if column else text.label("across.no_version")
