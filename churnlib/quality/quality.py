"""Can the numbers be trusted: what was read, what was set aside and why, and what exactly is counted (口径)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from churnlib import text
from churnlib.show.results import Column, Finding, Kpi, Result, Statement, table_columns

LONG = 15  # files, beyond which their table is folded away


@dataclass(frozen=True, kw_only=True)
class FilesRead(Result):
    """Every file with its rows: rows in = rows used + rows set aside.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per file and table: `file`, `table`, `read_as` (encoding and delimiter, or sheet), `n_rows_in`,
        `n_rows_used`, `n_rows_set_aside`.
    """

    module: ClassVar[str] = "quality"
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "file:text",
        Column("table", "term", prefix="quality.table"),
        "read_as:text n_rows_in n_rows_used n_rows_set_aside",
    )

    @property
    def folded(self) -> bool:
        """A folder of monthly files is a long table."""
        return len(self.table) > LONG

    @property
    def findings(self) -> tuple[Finding, ...]:
        rows, aside = int(self.table["n_rows_in"].sum()), int(self.table["n_rows_set_aside"].sum())
        values = {"rows": rows, "files": len(self.table), "aside": aside, "share": aside / rows if rows else 0.0}
        return (Finding("quality.files.all_used" if aside == 0 else "quality.files.set_aside", values),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("quality.note.files", {"as_of": self.about.as_of, "first": self.about.observed_from}),)

    @property
    def kpis(self) -> tuple[Kpi, ...]:
        rows, aside = int(self.table["n_rows_in"].sum()), float(self.table["n_rows_set_aside"].sum())
        share = aside / rows if rows else float("nan")
        return (Kpi("rows_set_aside", share, n=rows, unit="share", rise_is="worse", counted="rows"),)


@dataclass(frozen=True, kw_only=True)
class RulesApplied(Result):
    """Every rule that met a row: what it found, and what was done.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per table and rule: `table`, `rule` (in words), `severity` (set_aside, keep, stop), `n_rows` (0 for what
        is odd about a header), `examples` (masked).
    """

    module: ClassVar[str] = "quality"
    folded: ClassVar[bool] = False
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        Column("table", "term", prefix="quality.table"),
        "rule:label",
        Column("severity", "term", prefix="quality.severity"),
        "n_rows examples:text",
    )

    @property
    def findings(self) -> tuple[Finding, ...]:
        met = self.table[self.table["n_rows"] > 0]
        if met.empty:
            return (Finding("quality.rules.none"),)
        most = met.loc[met["n_rows"].idxmax()]
        values = {"n": len(met), "rows": int(met["n_rows"].sum()), "rule": most.rule, "most": int(most.n_rows)}
        return (Finding("quality.rules.met", values),)

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("quality.note.rules"),)


@dataclass(frozen=True, kw_only=True)
class Definitions(Result):
    """What exactly is counted: the definition of churn, the period, the population, the thresholds.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per item: `item` (catalogue word), `meaning` (a `Statement` or `Label`).
    """

    module: ClassVar[str] = "quality"
    folded: ClassVar[bool] = False
    columns: ClassVar[tuple[Column, ...]] = table_columns(
        Column("item", "term", prefix="quality.item"), "meaning:label"
    )

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (Finding("quality.definition", {"definition": self.about.definition_label}),)


def files_read(data) -> FilesRead:
    """Show what was read of each file.

    Parameters
    ----------
    data : Dataset

    Returns
    -------
    FilesRead
        One row per file and table.
    """
    return FilesRead(about=data.about, table=data.files.reset_index(drop=True), name="files_read")


def rules_applied(data) -> RulesApplied:
    """Show which rules met which rows.

    Parameters
    ----------
    data : Dataset

    Returns
    -------
    RulesApplied
        One row per table and rule that met a row or a header.
    """
    rules = data.rules.assign(rule=data.rules["meaning"])
    return RulesApplied(about=data.about, table=rules.drop(columns=["meaning", "reasons"]), name="rules_applied")


def what_is_counted(data, excluded: pd.DataFrame | None = None) -> Definitions:
    """Show what exactly is counted.

    Parameters
    ----------
    data : Dataset
    excluded : pandas.DataFrame, optional
        One row per exclusion: `label`, `n_customers`; from `excluded(data)`.

    Returns
    -------
    Definitions
        One row per item.
    """
    about = data.about
    thresholds = "thresholds" if about.privacy_k > 1 else "thresholds_open"
    items = {
        "population": about.title,
        "churn": about.definition_note,
        "churn_rate": text.label("quality.meaning.churn_rate"),
        "net_rate": text.label("quality.meaning.net_rate"),
        "period": text.label("quality.meaning.period", period=about.period, as_of=about.as_of),
        "observed": text.label("quality.meaning.observed", first=about.observed_from),
        "tenure": text.label(f"quality.meaning.tenure_{about.time_unit}"),
        "thresholds": text.label(f"quality.meaning.{thresholds}", n=about.min_denominator, k=about.privacy_k),
    }
    if about.snapshot:  # one list knows no periods
        items = {item: items[item] for item in ("population", "churn", "period", "tenure", "thresholds")}
    rows = [{"item": item, "meaning": meaning} for item, meaning in items.items()]
    for _, row in excluded.iterrows() if excluded is not None else ():
        said = text.label("quality.meaning.excluded", label=text.Label.of(row["label"]), n=int(row["n_customers"]))
        rows.append({"item": "excluded", "meaning": said})
    return Definitions(about=about, table=pd.DataFrame(rows), name="definitions")
