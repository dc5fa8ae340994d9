"""What churn is: customers and their contracts or activity in, spells out.

A spell is a stretch of time as a customer under one definition. Its last day, `end_date`, is what every later count
calls churn; a customer who comes back afterwards opens the next spell. Each kind of definition finds its candidates in
a module of its own (`contracts`, `inactivity`, `decline`); here are the customers' own dates, and what all definitions
share: exclusions, late entry, the start tenure, the definition note (口径).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

import pandas as pd

from churnlib import text
from churnlib.counts import contracts, decline, inactivity
from churnlib.engine import Engine, quote
from churnlib.text import Label

# Candidates: every spell that the records show, one row per customer and spell, before anybody is left out.
#   entry_date: first day on which an end would have been seen; settled_on: until then a return may still undo the churn
CREATE_SPELLS = """
CREATE TABLE IF NOT EXISTS spells (
  definition VARCHAR, customer INTEGER, spell INTEGER, start_date DATE, entry_date DATE, end_date DATE,
  outcome VARCHAR, provisional BOOLEAN)
"""

CREATE_LEFT_OUT = """
CREATE TABLE IF NOT EXISTS spells_left_out (
  definition VARCHAR, customer INTEGER, spell INTEGER, start_date DATE, end_date DATE, why VARCHAR)
"""

# One row per customer, where nothing is known but their own dates: one spell, and nothing that could undo its end. Ends
# planned for later than as_of have not happened yet.
OWN_DATES = """
SELECT customer, 1 AS spell, start_date, greatest(start_date, DATE '{observed_from}') AS entry_date,
  CASE WHEN end_date <= $as_of THEN end_date END AS end_date,
  CASE WHEN end_date <= $as_of THEN coalesce(outcome, 'unknown') END AS outcome, CAST(NULL AS DATE) AS settled_on{also}
FROM customers
WHERE start_date <= $as_of
"""

# One row per customer and exclusion that applies; a customer can meet several.
EXCLUDED = """
INSERT INTO spells_excluded
SELECT customer, $exclusion FROM customers WHERE {conditions}
"""

# The first day at risk: everybody enters at the start tenure, so that nobody is left out for what came later.
BEGIN = """(CASE WHEN start_date + INTERVAL '{days}' DAY > entry_date
  THEN CAST(start_date + INTERVAL '{days}' DAY AS DATE) ELSE entry_date END)"""

# One row per spell that is not followed, with the one reason that comes first.
LEAVE_OUT = """
INSERT INTO spells_left_out
SELECT $definition, customer, spell, start_date, end_date, CASE
  WHEN customer IN (SELECT customer FROM spells_excluded) THEN 'excluded'
  WHEN end_date < entry_date THEN 'ended_before_observation'
  WHEN end_date < {begin} THEN 'early_loss' ELSE 'not_entered' END
FROM {candidates} AS c
WHERE customer IN (SELECT customer FROM spells_excluded) OR end_date < {begin} OR {begin} > $as_of OR entry_date IS NULL
"""

# One row per spell that is followed.
FOLLOWED = """
SELECT $definition AS definition, customer, spell, start_date, {begin} AS entry_date, end_date, outcome,
  coalesce(settled_on > $as_of, FALSE) AS provisional{also}
FROM {candidates} AS c
WHERE (end_date IS NULL OR end_date >= {begin}) AND {begin} <= $as_of {included}
"""
INCLUDED = "AND customer NOT IN (SELECT customer FROM spells_excluded)"

# One row per reason to leave out; customers do not add over reasons.
COUNT_LEFT_OUT = """
SELECT e.exclusion AS why, count(DISTINCT e.customer) AS n_customers, count(l.spell) AS n_spells
FROM spells_excluded AS e
LEFT JOIN spells_left_out AS l ON l.customer = e.customer AND l.definition = $definition
GROUP BY e.exclusion
UNION ALL
SELECT CASE WHEN why = 'excluded' THEN 'all_exclusions' ELSE why END, count(DISTINCT customer), count(*)
FROM spells_left_out WHERE definition = $definition GROUP BY why
UNION ALL
SELECT 'no_records', count(*), 0
FROM customers
WHERE customer NOT IN (SELECT customer FROM spells WHERE definition = $definition)
  AND customer NOT IN (SELECT customer FROM spells_left_out WHERE definition = $definition)
  AND customer NOT IN (SELECT customer FROM spells_excluded)
HAVING count(*) > 0
ORDER BY why NULLS LAST
"""


def spells(data: Any, definition: str | None = None) -> str:
    """Make the spells of one definition, once: rows of table `spells` in the data set's engine.

    Parameters
    ----------
    data : Dataset
    definition : str, optional
        Name of a declared definition; the data set's own if not given.

    Returns
    -------
    str
        The definition's name: what column `definition` holds. The table has one row per customer and spell:
        `start_date` to `end_date` (the *last* day as a customer; null while open), `entry_date` (first day on which the
        end would have been seen), `outcome` (null while open) and `provisional` (a return may still undo this churn).
        Excluded customers, spells that ended before entry and losses before the start tenure are not in it: see
        `excluded`.
    """
    name, declared = declared_definition(data, definition)
    con = data.con
    con.run(CREATE_SPELLS)
    con.run(CREATE_LEFT_OUT)
    if _is_made(con, name):
        return name
    exclude(data)
    candidates = _own_dates(data, declared)
    if not candidates:
        _MAKERS[declared.kind](data, name, declared)
    values = {"definition": name, "as_of": data.as_of}
    con.run("DELETE FROM spells_left_out WHERE definition = ?", [name])
    con.run(LEAVE_OUT.format(begin=_begin(data), candidates=candidates or "candidates"), values)
    con.run(f"INSERT INTO spells {_followed(data, candidates or 'candidates')}", values)  # noqa: S608
    con.run("DROP TABLE IF EXISTS candidates")
    if not _is_made(con, name):
        raise text.DataError("definitions.nobody", name=name)
    return name


def own_spells(data: Any, name: str, columns: Mapping[str, str]) -> str:
    """Give the spells of a definition as a source for a FROM clause that reads the customers once and keeps nothing.

    Parameters
    ----------
    data : Dataset
    name : str
        Name of a declared definition.
    columns : mapping of str to str
        Further columns: name to expression over `customers`.

    Returns
    -------
    str
        With the columns of table `spells` and the further ones; parameters `definition` and `as_of`. "" where more than
        the customers' own dates makes the spells.
    """
    candidates = _own_dates(data, data.spec.definitions[name], columns)
    if not candidates:
        return ""
    exclude(data)
    return f"({_followed(data, candidates, also=''.join(f', {column}' for column in columns))})"


def _own_dates(data: Any, declared: Any, columns: Mapping[str, str] = MappingProxyType({})) -> str:
    """Give the candidates where the customers' own dates are all that makes them; else ""."""
    if declared.kind != "contract_end" or data.has("contracts"):
        return ""
    also = "".join(f", {expression} AS {column}" for column, expression in columns.items())
    return f"({OWN_DATES.format(observed_from=data.observed_from, also=also)})"


def _followed(data: Any, candidates: str, also: str = "") -> str:
    included = INCLUDED if data.spec.exclusions else ""
    return FOLLOWED.format(begin=_begin(data), candidates=candidates, included=included, also=also)


def _begin(data: Any) -> str:
    days = data.spec.start_tenure_days
    return BEGIN.format(days=days) if days else "entry_date"


def _is_made(con: Engine, name: str) -> bool:
    return con.value("SELECT count(*) FROM spells WHERE definition = ?", [name]) > 0


def declared_definition(data: Any, definition: str | None = None) -> tuple[str, Any]:
    """Find a definition by name (the data set's own if not given): its name and what dataset.yml declares."""
    name = definition or data.about.definition
    if name not in data.spec.definitions:
        raise text.UsageError("definitions.unknown", name=name, known=list(data.spec.definitions))
    return name, data.spec.definitions[name]


def countable_from(data: Any, definition: str | None = None) -> date:
    """Give the day from which a ledger of this definition can be kept: all who were there before have entered by then.

    For the contract's end it is the day since when ends were recorded; for inactivity one limit-length later, because
    the first limit-length of the data can show no churn; for falling value, when a base and a lasting fall fit in.
    """
    name, declared = declared_definition(data, definition)
    spells(data, name)
    if declared.kind == "inactivity":
        return inactivity.countable_from(data, name, declared)
    if declared.kind == "value_decline":
        return decline.countable_from(data, declared)
    return data.observed_from


def delay(data: Any, definition: str | None = None) -> tuple[int, int, int]:
    """Give how many days after its occasion churn may be counted, mostly is, and is in full (see `About`)."""
    name, declared = declared_definition(data, definition)
    spells(data, name)
    if declared.kind == "inactivity":
        return inactivity.delay(data, name, declared)
    if declared.kind == "value_decline":
        months = decline.months_in(declared.sustained)
        first = round((months - 1) * inactivity.MONTH)
        return first, first, round(months * inactivity.MONTH)
    return 0, 0, 0


def settling(data: Any, definition: str | None = None) -> int:
    """Give the days after an end in which a new contract may still undo it; 0 where nothing can."""
    _, declared = declared_definition(data, definition)
    is_joined = declared.kind == "partial" or (declared.kind == "contract_end" and data.has("contracts"))
    return getattr(declared, "grace_days", 0) + 1 if is_joined else 0


_MAKERS = {
    "contract_end": contracts.candidates,
    "partial": contracts.of_product,
    "inactivity": inactivity.candidates,
    "value_decline": decline.candidates,
}


def exclude(data: Any) -> None:
    """Make the table `spells_excluded`, once: the customers whom the declared exclusions name."""
    if data.con.table_exists("spells_excluded"):
        return
    data.con.run("CREATE TABLE spells_excluded (customer INTEGER, exclusion VARCHAR)")
    for name, exclusion in data.spec.exclusions.items():
        values: dict[str, Any] = {"exclusion": name}
        conditions = []
        for column, wanted in exclusion.where.items():
            marks = {f"value_{len(values) + i}": value for i, value in enumerate(wanted)}
            conditions.append(f"CAST({quote(column)} AS VARCHAR) IN ({', '.join('$' + mark for mark in marks)})")
            values |= marks
        data.con.run(EXCLUDED.format(conditions=" AND ".join(conditions)), values)


def excluded(data: Any, definition: str | None = None) -> pd.DataFrame:
    """Count what a definition leaves out, and why.

    Returns
    -------
    pandas.DataFrame
        One row per reason: `why` (a declared exclusion's name, "ended_before_observation", "early_loss", "not_entered",
        "no_records"), `label`, `n_customers`, `n_spells`. A customer who meets two exclusions counts in
        both rows, so the rows do not add up; "all_exclusions" counts everybody excluded once.
    """
    name = spells(data, definition)
    frame = data.con.frame(COUNT_LEFT_OUT, {"definition": name})
    labels = {n: e.label or Label.of(n) for n, e in data.spec.exclusions.items()}
    words = [labels.get(why) or text.label(f"definitions.left_out.{why}") for why in frame["why"]]
    frame.insert(1, "label", words)
    return frame


def definition_note(spec: Any, name: str | None = None) -> Label:
    """Say what exactly a definition counts (口径), in both languages: what management sees beside every figure."""
    name = name or spec.definition
    return Label(*(_note(spec, spec.definitions[name], language) for language in text.LANGUAGES))


def _note(spec: Any, declared: Any, language: str) -> str:
    """Put the note together: the rule, then the start tenure and the exclusions where there are any."""
    sentences = [declared.note.to(language) if declared.note else _rule(declared, language, spec.currency)]
    if spec.start_tenure_days:
        sentences.append(text.say("definitions.note.start_tenure", language, days=spec.start_tenure_days))
    if spec.exclusions:
        names = [e.label or Label.of(n) for n, e in spec.exclusions.items()]
        sentences.append(text.say("definitions.note.exclusions", language, names=names))
    return ("" if language == "zh" else " ").join(sentences)


def _rule(declared: Any, language: str, currency: str) -> str:
    if declared.kind == "contract_end":
        key = "contract_end_grace" if declared.grace_days else "contract_end"
        return text.say(f"definitions.note.{key}", language, days=declared.grace_days)
    if declared.kind == "partial":
        return text.say("definitions.note.partial", language, product=declared.product)
    if declared.kind == "inactivity":
        limits = {"limit": length(declared.limit, language), "at_risk": length(declared.at_risk, language)}
        said = text.say("definitions.note.inactivity", language, **limits)
        if not declared.activity:
            return said
        known = {kind: f"revenue.kind.{kind}" for kind in declared.activity}
        kinds = [text.say(key, language) if text.known(key) else kind for kind, key in known.items()]
        return said + ("" if language == "zh" else " ") + text.say("definitions.note.kinds", language, kinds=kinds)
    values = {"base": declared.base_months, "sustained": length(declared.sustained, language)}
    if declared.bands:
        return text.say("definitions.note.bands", language, edges=[f"{e:g}" for e in declared.bands], **values)
    return text.say("definitions.note.below", language, share=declared.below, **values)


def earliest_churn(declared: Any) -> float:
    """Give the months of tenure before which a definition can show no churn: what its rule needs; 0 without a rule."""
    if declared.kind == "inactivity":
        # gaps are a customer's own: of each is known only that it is a day at least
        return declared.limit.n if declared.limit.unit == "months" else declared.limit.n * 12 / 365.25
    return float(declared.base_months + declared.sustained.n) if declared.kind == "value_decline" else 0.0


def length(duration: Any, language: str) -> str:
    """Say a length of time: "90 days", "12 个月"."""
    return text.say(f"definitions.length.{duration.unit}", language, n=duration.n)
