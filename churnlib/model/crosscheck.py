"""What single keys of a dataset.yml cannot know: names that refer to each other, codes, paths that stay inside."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path, PurePosixPath, PureWindowsPath

from churnlib import text
from churnlib.model.schema import Inactivity, Reasons, Source, Spec, ValueDecline
from churnlib.model.vocabulary import OUR_COLUMNS, REASON_GROUPS, REASONS, RULES, TABLES
from churnlib.yamlfile import YamlFile, hint

A_YEAR = timedelta(366)
SEGMENTABLE = ("outcome", "monthly_fee", "service_cost", "margin")  # canonical columns that can divide customers


def problems(spec: Spec, file: YamlFile, folder: Path) -> Iterator[text.DataError]:
    """Give the problems between keys, in the order in which a reader would want to hear of them."""
    yield from _problems_of_tables(spec, file, folder)
    yield from _problems_of_names(spec, file)
    yield from _problems_of_codes(spec, file)
    yield from _problems_of_drivers(spec, file)
    if spec.as_of > date.today() + A_YEAR:  # a slip of the pen; the clock decides nothing else
        yield file.problem(("as_of",), "schema.future_as_of", as_of=spec.as_of)
    if spec.observed_from and spec.observed_from > spec.as_of:
        yield file.problem(("observed_from",), "schema.observed_after_as_of", as_of=spec.as_of)
    if not _is_zone(spec.timezone):
        yield file.problem(("timezone",), "schema.bad_timezone", value=spec.timezone)
    if spec.make is not None and (_leaves(spec.make) or len(PurePosixPath(spec.make).parts) != 1):
        yield file.problem(("make",), "schema.outside", path=spec.make, folder=folder.name)


def _problems_of_tables(spec: Spec, file: YamlFile, folder: Path) -> Iterator[text.DataError]:
    for table, sources in spec.tables.items():
        if table not in TABLES:
            yield file.unknown_key(("tables", table), TABLES)
            continue
        for i, source in enumerate(sources):
            where = ("tables", table) if len(sources) == 1 else ("tables", table, i)
            for pattern in source.patterns:
                if not spec.allow_outside and not stays_inside(folder, pattern):
                    key = "file" if source.file else "files"
                    yield file.problem((*where, key), "schema.outside", path=pattern, folder=folder.name)
            if source.layout == "churn_form" and (table != "exit_survey" or source.sql):
                yield file.problem((*where, "layout"), "schema.form_is_exit_survey")
            yield from _problems_of_columns(table, source, file, (*where, "columns"))
    lists = spec.tables.get("customers", ())
    told = {name for source in lists for name in source.columns}
    if "churned" in told and not {"tenure", "end_date"} & told:  # a start alone does not tell when they left
        i = next(i for i, source in enumerate(lists) if "churned" in source.columns)
        where = ("tables", "customers", i) if len(lists) > 1 else ("tables", "customers")
        yield file.problem((*where, "columns", "churned"), "schema.churned_needs_tenure")
    if not {"customers", "contracts", "activity"} & set(spec.tables):
        yield file.problem(("tables",), "schema.no_table")


def _problems_of_columns(table: str, source: Source, file: YamlFile, where: tuple) -> Iterator[text.DataError]:
    known = TABLES[table]
    for name in source.columns:
        if name not in known and (table != "customers" or is_slip(name, known)):
            yield file.problem((*where, name), "schema.unknown_column", table=table, key=name, hint=hint(name, known))
    for name, column in source.columns.items():
        if name in known and known[name].closed:
            for word, code in [*(column.values or {}).items(), ("default", column.default)]:
                if code is not None:
                    yield from _unknown(code, known[name].codes, file, (*where, name, "values", word))
    numbers = [n for n in source.columns if n in known and known[n].kind == "number"]
    for name, column in source.columns.items():
        is_amount = name in known and known[name].kind == "money"
        if column.times is not None and not (is_amount and column.times in numbers):
            yield file.problem((*where, name, "times"), "schema.bad_times", value=column.times, numbers=numbers)
        if table == "customers" and name in OUR_COLUMNS:
            yield file.problem((*where, name), "schema.reserved_name", name=name)
    for name, column in known.items():
        ticked = name == "reasons" and table == "exit_survey"
        if column.required and name not in source.columns and not ticked:
            yield file.problem(where, "schema.missing_column", table=table, key=name)


def _problems_of_names(spec: Spec, file: YamlFile) -> Iterator[text.DataError]:
    declared = {name for source in spec.tables.get("customers", ()) for name in source.columns}
    attributes = {**spec.attributes, **{name: None for name in SEGMENTABLE if name in declared}}
    references = [("segments", n, "column", s.column) for n, s in spec.segments.items() if s.column is not None]
    references += [("exclusions", n, "where", c) for n, e in spec.exclusions.items() for c in e.where]
    for block, name, key, column in references:
        if column not in attributes:
            where = (block, name, key) if key == "column" else (block, name, key, column)
            yield file.problem(where, "schema.no_attribute", name=column, hint=hint(column, attributes))
        elif block == "segments" and column in (*spec.roles.personal, *spec.roles.free_text):
            yield file.problem((block, name, key), "schema.personal_segment", name=column)
    for name, segment in spec.segments.items():
        if segment.assignment is not None and "assignments" not in spec.tables:
            yield file.problem(("segments", name, "assignment"), "schema.no_assignments")
        if segment.bins and _is_no_number(spec, segment.column):
            yield file.problem(("segments", name, "bins"), "schema.bins_need_number", name=segment.column)
    for key, options in (("definition", spec.definitions), ("segment", spec.segments)):
        if spec.given(key):
            yield from _unknown(getattr(spec, key), options, file, (key,))
    for name in spec.roles.personal:
        if name not in attributes:
            yield file.problem(("roles", "personal"), "schema.no_attribute", name=name, hint=hint(name, attributes))


def _is_no_number(spec: Spec, name: str | None) -> bool:
    """Whether an attribute is known and cannot be cut into bins."""
    column = spec.attributes.get(name or "")
    return column is not None and column.type not in ("number", "money")


def _problems_of_codes(spec: Spec, file: YamlFile) -> Iterator[text.DataError]:
    yield from _problems_of_reasons(spec.reasons, file)
    for rule, severity in spec.rules.items():
        if rule not in RULES:
            yield file.unknown_key(("rules", rule), RULES)
        elif severity not in RULES[rule].allowed:
            options = list(RULES[rule].allowed)
            yield file.problem(("rules", rule), "schema.severity", rule=rule, value=severity, options=options)
    for name, definition in spec.definitions.items():
        if isinstance(definition, ValueDecline) and (definition.below is None) == (definition.bands is None):
            yield file.problem(("definitions", name), "schema.below_or_bands")
        if isinstance(definition, Inactivity):
            first, second = definition.at_risk, definition.limit
            if first.unit == second.unit and first.n >= second.n:
                yield file.problem(("definitions", name, "at_risk"), "schema.at_risk_too_long", limit=second)


def _problems_of_reasons(reasons: Reasons, file: YamlFile) -> Iterator[text.DataError]:
    either = [*REASON_GROUPS, *REASONS]
    named = [(("values", word), code, REASONS) for word, code in reasons.values.items()]
    named += [(("columns", word), code, REASONS) for word, code in reasons.columns.items()]
    named += [(("categories", word), code, either) for word, code in reasons.categories.items()]
    named += [(("actions", group), group, REASON_GROUPS) for group in reasons.actions]
    for name, version in reasons.versions.items():
        named += [(("versions", name, "values", word), code, REASONS) for word, code in version.values.items()]
    for block in ("groups", "types", "initiative"):
        for name, group in getattr(reasons, block).items():
            named += [((block, name, "members"), member, either) for member in group.members]
    for where, code, known in named:
        yield from _unknown(code, known, file, ("reasons", *where), "schema.unknown_reason")
    since = [version.since for version in reasons.versions.values()]
    if len(set(since)) < len(since):
        yield file.problem(("reasons", "versions"), "schema.versions_alike")


DRIVER_TABLES = {"contact": "contacts", "assignment": "assignments", "event": "events", "activity": "activity"}


def _problems_of_drivers(spec: Spec, file: YamlFile) -> Iterator[text.DataError]:
    groups = [*REASON_GROUPS, *spec.reasons.groups]
    for name, driver in (spec.drivers or {}).items():
        where, (source,) = ("drivers", name), driver.source
        yield from _unknown(driver.group, groups, file, (*where, "group"))
        table, given = DRIVER_TABLES.get(source), getattr(driver, source)
        if table and table not in spec.tables:
            yield file.problem((*where, source), "schema.driver_needs_table", table=table)
        kinds = _kinds(spec, "contacts") if source == "contact" else spec.segments if source == "segment" else None
        if source in ("term", "column"):
            kinds = spec.attributes
            if given in (*spec.roles.personal, *spec.roles.free_text):
                yield file.problem((*where, source), "schema.personal_segment", name=given)
            if driver.bins and _is_no_number(spec, given):
                yield file.problem((*where, "bins"), "schema.bins_need_number", name=given)
        if kinds is not None:
            yield from _unknown(given, kinds, file, (*where, source))


def _unknown(
    name: str, known: Iterable[str], file: YamlFile, where: tuple, key: str = "schema.not_one_of"
) -> Iterator[text.DataError]:
    """The problem of a name that is none of the known ones."""
    if name not in known:
        yield file.problem(where, key, value=name, hint=hint(name, known))


def _kinds(spec: Spec, table: str) -> list[str]:
    """The kinds that rows of a table may have: the known ones, and those that its columns map words to."""
    declared = [source.columns["kind"] for source in spec.tables.get(table, ()) if "kind" in source.columns]
    own = [code for c in declared for code in (*(c.values or {}).values(), c.default, c.value) if code]
    return [*TABLES[table]["kind"].codes, *own]


def stays_inside(folder: Path, declared: str) -> bool:
    """Tell whether a declared path (or pattern) stays inside a folder, links followed."""
    if _leaves(declared):
        return False
    # the part before the first wildcard exists on disk; what a pattern finds is checked again when it is read
    fixed = PurePosixPath(re.split(r"[*?\[]", declared)[0])
    root = folder.resolve()
    return (root / fixed).resolve().is_relative_to(root)


def _leaves(declared: str) -> bool:
    posix, windows = PurePosixPath(declared), PureWindowsPath(declared)
    absolute = posix.is_absolute() or windows.is_absolute() or bool(windows.drive) or declared.startswith("~")
    return absolute or ".." in posix.parts or ".." in windows.parts or "\0" in declared


def is_slip(name: str, known: Iterable[str]) -> bool:
    """Tell whether an attribute's name is a canonical one mistyped: any name will do, but not `strat_date`."""
    return name not in known and bool(difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.85))


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo

    try:
        return bool(ZoneInfo(name))
    except (ValueError, OSError, KeyError):
        return False
