"""A data set: opened by name, read once, kept as verified Parquet, and looked at as a whole or restricted."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from churnlib import text
from churnlib.about import About, Event, Period
from churnlib.engine import Engine, literal, quote
from churnlib.model import cache, origins, schema, scope
from churnlib.model.checktable import check_text, rule_label
from churnlib.model.places import choose_period, find_folder
from churnlib.model.views import opened
from churnlib.text import Label
from churnlib.yamlfile import hint

__all__ = ["Dataset", "check_text", "choose_period", "find_folder", "open_dataset"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set as analysts hold it: `data.where(region="华南")` gives the same kind of object.

    Attributes
    ----------
    name : str
        Name of its folder.
    folder : Path
    spec : Spec
        The parsed dataset.yml.
    con : Engine
        The engine, with one view per canonical table.
    period : Period
        The report's period, always complete.
    definition : str
        Name of the churn definition.
    filters : tuple of (Label, Label)
        Attribute and values of every restriction.
    """

    name: str
    folder: Path
    spec: schema.Spec
    stored: cache.Stored
    con: Engine
    period: Period
    definition: str
    filters: tuple[tuple[Label, Label], ...] = ()
    chosen: tuple[tuple[str, tuple[str, ...]], ...] = ()
    cut: scope.Cut | None = None  # where the rows of these customers alone stand, if somebody has cut them out

    @property
    def as_of(self) -> date:
        """Last day that the data cover."""
        return self.spec.as_of

    @property
    def observed_from(self) -> date:
        """First day since when ends were recorded."""
        return date.fromisoformat(self._meta["observed_from"])

    @property
    def segment(self) -> str | None:
        """Name of the default segment, None if no segment is declared."""
        return self.spec.segment or next(iter(self.spec.segments), None)

    @property
    def version(self) -> str:
        """Fingerprint of the data as read: files, dataset.yml and the code that read them."""
        return self.stored.path.name

    @property
    def tables(self) -> dict[str, int]:
        """Canonical table -> number of rows in the whole data set."""
        return dict(self._meta["rows"])

    def has(self, need: str) -> bool:
        """Tell whether the data set has a canonical table ("activity") or one of its columns ("activity.amount")."""
        table, _, column = need.partition(".")
        if not self.tables.get(table):
            return False
        if not column:
            return True
        one = f"SELECT 1 FROM {quote(table)} WHERE {quote(column)} IS NOT NULL LIMIT 1"  # noqa: S608 (quoted)
        found = f"SELECT count(*) FROM ({one})"  # noqa: S608
        return self.con.once(("has", need), lambda: column in self.con.columns(table) and self.con.value(found) > 0)

    @cached_property
    def files(self) -> pd.DataFrame:
        """One row per file and table: file, table, encoding, delimiter, sheet, and its rows in, used and set aside."""
        return self._record("files")

    @cached_property
    def rules(self) -> pd.DataFrame:
        """One row per table and rule that met a row or a header: table, rule, severity, n_rows, examples (masked).

        `reasons` tells why values could not be read, `meaning` all of it in words (a `Label`).
        """
        return _in_words(self._record("rules"), "reasons")

    @cached_property
    def set_aside(self) -> pd.DataFrame:
        """One row per row set aside: file, line, table, rule, column, value (identifiers masked), reason, meaning."""
        return _in_words(self._record("set_aside"), "reason")

    @cached_property
    def about(self) -> About:
        """What every count of this data set is about."""
        # words only; the definitions themselves build on this module
        from churnlib.counts.definitions import definition_note, earliest_churn

        declared = self.spec.definitions[self.definition]
        return About(
            dataset=self.name,
            title=self.spec.title,
            as_of=self.as_of,
            observed_from=self.observed_from,
            period=self.period,
            definition=self.definition,
            definition_label=declared.label or text.label(f"dataset.definition.{declared.kind}"),
            definition_note=definition_note(self.spec, self.definition),
            earliest_churn=earliest_churn(declared),
            currency=self.spec.currency,
            time_unit=self.spec.time_unit,
            snapshot=self.spec.snapshot,
            simulated=self.spec.simulated,
            filters=self.filters,
            events=self._events(),
            baseline=self.spec.baseline.periods if self.spec.baseline else None,
            targets=tuple(self.spec.targets.items()),
            reason_groups=tuple((name, group.label) for name, group in self.spec.reasons.groups.items()),
            reason_lists=tuple(
                (name, code, group.label, group.members)
                for name, groups in self.spec.reasons.lists.items()
                for code, group in groups.items()
            ),
            reason_actions=tuple(self.spec.reasons.actions.items()),
            min_denominator=self.spec.thresholds.min_denominator,
            privacy_k=self.spec.thresholds.privacy_k,
            conf_level=self.spec.thresholds.conf_level,
            withheld=frozenset(scope.current().withheld),
        )

    def where(self, **filters: str | Iterable[str]) -> Dataset:
        """Restrict the data set to customers with certain values.

        Parameters
        ----------
        **filters
            Attribute or segment, by its canonical or Chinese name, = a value or several (any of them): region="华南",
            大区=["华南", "华北"]. What changes over time (plan, tenure) is taken as of the last day covered.

        Returns
        -------
        Dataset
            The same tables with the rows of these customers; company events and benchmarks stay.

        Raises
        ------
        UsageError
            For a name or value that the data set does not have, with near misses.
        """
        several = {name: [v] if isinstance(v, str) or not isinstance(v, Iterable) else v for name, v in filters.items()}
        chosen = (*self.chosen, *((name, tuple(map(str, values))) for name, values in several.items()))
        con, names = opened(self.stored.path, self.spec, chosen, self.cut)
        return replace(self, con=con, filters=tuple(names), chosen=chosen)

    def close(self) -> None:
        """Let go of the engine and its temporary files."""
        self.con.close()

    @cached_property
    def _meta(self) -> dict[str, Any]:
        return json.loads((self.stored.path / "meta.json").read_text("utf-8"))

    def _record(self, name: str) -> pd.DataFrame:
        path = literal(self.stored.path / f"{name}.parquet")
        return self.con.frame(f"SELECT * FROM read_parquet({path})")  # noqa: S608 (our own path)

    def _events(self) -> tuple[Event, ...]:
        if not self.has("events"):
            return ()
        rows = self.con.frame("SELECT * FROM events ORDER BY date, end_date NULLS LAST, label_zh, label_en")
        ends = [None if pd.isna(end) else end.date() for end in rows["end_date"]]
        return tuple(
            Event(row.date.date(), Label(row.label_zh, row.label_en), row.kind or "", end, row.scope or "")
            for row, end in zip(rows.itertuples(), ends, strict=True)
        )

    def __repr__(self) -> str:
        rows = [f"{table} {text.show(n, 'count')}" for table, n in self.tables.items() if table in self.spec.tables]
        filters = [f"{name} = {value}" for name, value in self.filters] or [text.say("dataset.all_customers")]
        known = {"title": self.spec.title, "name": self.name, "as_of": self.as_of, "version": self.version[:8]}
        return text.say("dataset.shown", rows=rows, filters=filters, period=self.period, **known)

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>"


def open_dataset(
    name: str | Path,
    definition: str | None = None,
    period: str | None = None,
    where: Mapping[str, Any] | None = None,
    is_refreshed: bool = False,
    must_be_complete: bool = True,
) -> Dataset:
    """Open a data set: read its files when they have changed, else the Parquet made of them last time.

    Parameters
    ----------
    name : str or Path
        Name of a folder under data/, or the path of a folder with a dataset.yml.
    definition : str, optional
        A definition declared in dataset.yml; its default one if not given.
    period : str, optional
        "2025-12", "2025-Q4", "2025" or "2025-W49"; the last complete month if not given.
    where : mapping, optional
        Restriction of the customers, as in `Dataset.where`.
    is_refreshed : bool
        Ask databases anew instead of using the answer kept for this as_of.
    must_be_complete : bool
        With False, data that cover no complete month yet are opened at the month of as_of: to look at, not to count.

    Returns
    -------
    Dataset

    Raises
    ------
    UsageError
        Unknown data set, definition, period or value.
    DataError
        The description or the data cannot be used.
    PeriodError
        The period is not complete yet.
    """
    folder = find_folder(name)
    spec = schema.load(folder / "dataset.yml")
    if definition and definition not in spec.definitions:
        raise text.UsageError("dataset.unknown_definition", name=definition, hint=hint(definition, spec.definitions))
    asked = Period.parse(period) if period else None  # before any file is read
    chosen = _period(spec, asked, spec.observed_from, must_be_complete)
    stored = store(folder, spec, is_refreshed)
    con, _ = opened(stored.path, spec)
    limited = scope.current()  # by the recipe of a report; nothing for an analyst
    data = Dataset(folder.name, folder, spec, stored, con, chosen, definition or spec.definition, cut=limited.cut)
    data = replace(data, period=_period(spec, asked, data.observed_from, must_be_complete))
    if must_be_complete and not data.tables["customers"]:
        raise text.DataError("dataset.no_customers", name=folder.name)
    for filters in (limited.where, where):  # both hold, also where they name the same segment
        data = data.where(**filters) if filters else data
    return replace(data, spec=limited.applied(spec))


def _period(spec: schema.Spec, asked: Period | None, observed: date | None, must_be_complete: bool) -> Period:
    try:
        return choose_period(spec, asked, observed)
    except text.PeriodError:
        if must_be_complete:
            raise
        return Period.containing(spec.as_of)


def store(folder: Path, spec: schema.Spec, is_refreshed: bool = False) -> cache.Stored:
    """Give the verified canonical Parquet of a data set, made now if anything it was made from has changed."""
    origins.run_make(folder, spec)
    spec = origins.fetch_queries(folder, spec, is_refreshed)
    files = origins.source_files(folder, spec)
    root = folder / ".cache"
    hashes = cache.digests(files, root / "hashes.json")
    inputs = sorted((os.path.relpath(path, folder), sha) for path, sha in hashes.items())
    key = cache.key_of(inputs, cache.digest(folder / "dataset.yml"), _code())

    def make(into: Path) -> None:
        from churnlib.model.canonical import write_canonical  # only needed when something has changed

        # SQL opens no file of the user's: `reading` hands it columns
        with contextlib.closing(Engine([into])) as engine:
            write_canonical(engine, spec, folder, into)

    return cache.stored(root, key, make)


def _in_words(rows: pd.DataFrame, reasons: str) -> pd.DataFrame:
    """Add what each row's rule and reasons mean."""
    return rows.assign(meaning=[rule_label(*pair) for pair in zip(rows["rule"], rows[reasons], strict=True)])


def _code() -> dict[str, str]:
    """The hash of every module that decides what the canonical tables hold."""
    package = Path(__file__).parents[1]
    modules = [package / "engine.py", *(package / "sources").glob("*.py"), *(package / "model").glob("*.py")]
    words = package / "catalogue" / "reasons.yml"  # a reason may be written by its name in the catalogue
    return {str(path.relative_to(package)): cache.digest(path) for path in sorted([*modules, words])}
