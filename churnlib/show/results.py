"""What every result shares: a tidy table, findings as keys and numbers, a summary for readers, a plot, and export.

A result is a frozen dataclass that a function builds. The object that an analyst holds is the object that the report
prints: shown in JupyterLab or collected by the report, it becomes one *block* (see `churnlib.show.display`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import About, Period
from churnlib.text import Label, Money

GRADES = ("strong", "moderate", "weak", "descriptive")


@dataclass(frozen=True)
class Statement:
    """A catalogue key with the numbers that it needs; the words are chosen by the catalogue, in either language."""

    key: str
    values: dict[str, Any] = field(default_factory=dict)

    def say(self, language: str | None = None) -> str:
        """Give the sentence in one language."""
        return text.say(self.key, language, **self.values)


@dataclass(frozen=True)
class Finding(Statement):
    """A statement that a reader may act on.

    Attributes
    ----------
    grade : {"strong", "moderate", "weak", "descriptive"}
        How good the evidence is: randomised or exact; beyond an interval; suggestive; a plain count.
    tone : {"better", "worse", "steady"}
        What it means for the company.
    weight : float
        Customers lost more, or fewer, than otherwise, in the periods that it tells of, in an average year where it
        tells of all records (or the equivalent in customers): the executive summary ranks by it.
    """

    grade: str = "descriptive"
    tone: str = "steady"
    weight: float = 0.0


@dataclass(frozen=True)
class Kpi:
    """One figure of the period, as kpis.json and the tiles hold it.

    Attributes
    ----------
    id : str
        Stable name, such as "churn_rate"; its label is the catalogue's "kpi.<id>" and its 口径 "kpi.<id>.note".
    value, ci_lower, ci_upper : float
    n : int
        The denominator, in customers (or what `counted` says).
    unit : {"share", "customers", "months", "money"}
        Money in minor units.
    previous, year_ago : float
        The same figure in the previous period and a year before; NaN if not known.
    change_clear, year_change_clear : bool or None
        Whether the difference lies beyond its interval; None when it cannot be told.
    rise_is : {"better", "worse", "steady"}
        What a rise means for the company.
    series : tuple of float
        Up to 13 periods, oldest first, for the spark line.
    """

    id: str
    value: float
    n: int
    unit: str
    ci_lower: float = float("nan")
    ci_upper: float = float("nan")
    previous: float = float("nan")
    year_ago: float = float("nan")
    change_clear: bool | None = None
    year_change_clear: bool | None = None
    rise_is: str = "worse"
    series: tuple[float, ...] = ()
    target: float | None = None
    flag: str = ""
    counted: str = "customers"


@dataclass(frozen=True)
class Column:
    """How a table's column is shown: its name, its kind (see `churnlib.text.show`) and its decimals.

    Further kinds: "level" (of the segment), "term" (a catalogue word, "<prefix>.<value>"), "whole" (a count that keeps
    all its digits, as tables need); "by_row" and "change_by_row" for tables of figures, where the table's column `kind`
    says what each row is. A column that is not `read` stands in files alone: a page has no room for every limit.
    """

    name: str
    kind: str = "text"
    digits: int | None = None
    prefix: str = ""
    read: bool = True

    def label(self, module: str) -> Label:
        """Give the heading: the module's own word for the column, or the common one."""
        own = f"{module}.column.{self.name}"
        return text.label(own if text.known(own) else f"results.column.{self.name}")


def table_columns(*columns: str | Column) -> tuple[Column, ...]:
    """Declare a table's columns, several in one text, each as the catalogue writes its fields: name:kind.digits.

    The kind need not be said of a column whose name tells it: `n_...` counts, `..._rate` and bounds are shares.

    Examples
    --------
    >>> [(c.name, c.kind, c.digits) for c in table_columns("period n_opening churn_rate", "gap:points.3")]
    [('period', 'period', None), ('n_opening', 'whole', None), ('churn_rate', 'pct', None), ('gap', 'points', 3)]
    """
    found = [[c] if isinstance(c, Column) else [_column(*c.partition(":")[::2]) for c in c.split()] for c in columns]
    return tuple(column for several in found for column in several)


def _column(name: str, how: str) -> Column:
    kind, _, digits = how.partition(".")
    terms = {"flag": "results.flag", "is_complete": "results.complete"}
    kinds = {"period": "period", "level": "level", "p_value": "p"} | dict.fromkeys(terms, "term")
    ends = {"n": "whole", "change": "points", "rate": "pct", "lower": "pct", "upper": "pct"}
    usual = kinds.get(name) or ends["n" if name.startswith("n_") else name.rpartition("_")[2]] if not kind else kind
    return Column(name, usual, int(digits) if digits else None, terms.get(name, ""))


@dataclass(frozen=True, kw_only=True)
class Result:
    """The members that every result has.

    Attributes
    ----------
    about : About
        Data set, definition, period, segment: what the numbers are about.
    table : pandas.DataFrame
        Tidy, full precision, sums kept. For readers use `summary`, which has passed the disclosure rules.
    name : str
        Stable name of the block, its figure and its CSV file.
    """

    about: About
    table: pd.DataFrame
    name: str

    module: ClassVar[str] = "results"
    columns: ClassVar[tuple[Column, ...]] = ()
    folded: ClassVar[bool] = True
    tucked: ClassVar[bool] = False  # the report shows the findings alone until the reader asks for the rest

    def __init_subclass__(cls, **kwargs: Any):
        """Let every kind of result work out what is shown once: findings, figures, tables and files all ask for it."""
        super().__init_subclass__(**kwargs)
        if isinstance(shown := vars(cls).get("shown"), property):
            cls.shown = cached_property(shown.fget)
            cls.shown.__set_name__(cls, "shown")

    @property
    def shown(self) -> pd.DataFrame:
        """The table after the disclosure rules: what findings, plots, summaries and files are made from."""
        return self.table

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Statements as data, the headline first."""
        return ()

    @property
    def subtitle(self) -> Statement | None:
        """Measure, unit, coverage, period."""
        return None

    @property
    def notes(self) -> tuple[Statement, ...]:
        """Definition, n, method, caveats: printed under the figure."""
        return ()

    @property
    def small_note(self) -> Statement:
        """What is not shown because it is too small: rates that mean nothing, counts that would give somebody away."""
        values = {"n": self.about.min_denominator, "k": self.about.privacy_k}
        return Statement("results.note.small" if self.about.privacy_k > 1 else "results.note.unreliable", values)

    @property
    def kpis(self) -> tuple[Kpi, ...]:
        """Figures of the period for the tiles and kpis.json."""
        return ()

    def plot(self, ax=None):
        """Draw the result; None when a table says it better."""
        return None

    def shown_columns(self) -> list[Column]:
        """Give the columns that the table has."""
        return [column for column in self.columns if column.name in self.shown.columns]

    def read_columns(self) -> list[Column]:
        """Give the columns of `summary`: those of `shown`, unless a result is read in another shape than it is kept."""
        return [column for column in self.shown_columns() if column.read]

    def summary(self, language: str | None = None) -> pd.DataFrame:
        """Give the table as readers see it: labelled, rounded, as text, in one language.

        Returns
        -------
        pandas.DataFrame
            One row per row of `shown`, one text column per column that is read; money columns name their unit.
        """
        language = language or text.language()
        shown, out = self.shown, {}
        for column in (c for c in self.shown_columns() if c.read):
            heading, cells = self._column_text(column, shown[column.name], language)
            out[heading] = cells
        return pd.DataFrame(out, index=shown.index)

    def _column_text(self, column: Column, values: pd.Series, language: str) -> tuple[str, list[str]]:
        heading = column.label(self.module).to(language)
        if column.kind in ("by_row", "change_by_row"):  # a table of figures: each row has a kind of its own
            show = self._figure if column.kind == "by_row" else _change
            return heading, [
                show(value, kind, language) for value, kind in zip(values, self.table["kind"], strict=True)
            ]
        if column.kind == "money":
            size, unit = _money_unit(values, self.about.currency, language)
            digits = 0 if size == 1 else 2
            cells = [text.show(None if pd.isna(v) else v / 100 / size, "number", language, digits) for v in values]
            return f"{heading} ({unit})" if language == "en" else f"{heading}（{unit}）", cells
        if column.kind == "points":  # the unit stands in the heading once, not in every cell
            digits = 2 if column.digits is None else column.digits
            cells = [text.show(None if pd.isna(v) else 100 * v, "signed", language, digits) for v in values]
            return (f"{heading} (pp)" if language == "en" else f"{heading}（个百分点）"), cells
        said = {value: self._cell_text(column, value, language) for value in values.dropna().unique().tolist()}
        return heading, [said.get(value, text.MISSING) for value in values.tolist()]

    def _cell_text(self, column: Column, value: Any, language: str) -> str:
        if column.kind == "level":
            return self.level(value).to(language)
        if column.kind == "term":
            return text.say(f"{column.prefix}.{value}", language)
        if column.kind == "period":
            return str(value)
        if column.kind == "whole":
            return text.show(value, "number", language, 0)
        return text.show(value, column.kind, language, column.digits)

    def _figure(self, value: float, kind: str, language: str) -> str:
        if kind == "money":
            return text.show(None if pd.isna(value) else self.money(value), "money", language, 2)
        return text.show(value, "number", language, 0) if kind == "whole" else text.show(value, kind, language)

    def money(self, minor: float) -> Money:
        """Give an amount in minor units with the data set's currency, for a finding."""
        return Money(minor, self.about.currency)

    def level(self, value: str) -> Label:
        """Name a level of the segment."""
        return self.about.segment.label_of(value)

    def to_csv(self, path: str | Path) -> Path:
        """Write `shown` as CSV (UTF-8 with BOM, so that Excel reads Chinese), columns under their canonical names."""
        safe_cells(self.shown).to_csv(path, index=False, encoding="utf-8-sig", lineterminator="\n")
        return Path(path)

    def to_excel(self, path: str | Path) -> Path:
        """Write `shown` as a typed Excel workbook with a frozen header and a notes sheet (说明)."""
        from churnlib.show.excel_out import write_workbook

        return write_workbook(path, [self])

    def to_png(self, path: str | Path) -> Path:
        """Write the figure as a picture, in the current language; raises UsageError where a table says it better."""
        from churnlib.show.display import picture

        drawn = picture(self)
        if drawn is None:
            raise text.UsageError("excel.no_figure", name=self.name)
        Path(path).write_bytes(drawn)
        return Path(path)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, Any]:
        from churnlib.show.display import mimebundle  # the display stands above the results

        return mimebundle(self)


def _money_unit(values: pd.Series, currency: str, language: str) -> tuple[float, str]:
    """Choose one unit for a money column from its largest amount (minor units in, size of the unit out)."""
    largest = float(np.nanmax(np.abs(values.astype(float)))) / 100 if values.notna().any() else 0.0
    if language == "zh":
        name = {"CNY": "元", "USD": "美元", "EUR": "欧元"}.get(currency, currency)
        size, unit = next(((s, u) for s, u in ((1e8, "亿"), (1e4, "万")) if largest >= 10 * s), (1, ""))
        return size, unit + name
    size, unit = next(((s, u) for s, u in ((1e6, "M "), (1e3, "K ")) if largest >= 10 * s), (1, ""))
    return size, unit + currency


def _change(value: float, kind: str, language: str) -> str:
    """A change: of shares in points, of all else in per cent."""
    return text.show(value, "points" if kind == "pct" else "change", language)


def safe_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep text that begins like a formula from being run by a spreadsheet: it gets a leading apostrophe."""
    out = frame.copy()
    for name in out.select_dtypes("object").columns:
        out[name] = [f"'{v}" if isinstance(v, str) and v[:1] in tuple("=+-@\t\r") else v for v in out[name]]
    return out


def period_values(periods: Iterable[str]) -> list[Period]:
    """Read a column of period names."""
    return [Period.parse(p) for p in periods]
