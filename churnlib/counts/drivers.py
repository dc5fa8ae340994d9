"""Which drivers of churn are looked at - declared, or proposed by what the tables hold - and their levels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from churnlib import text
from churnlib.about import Segment
from churnlib.counts.base import segment
from churnlib.engine import quote
from churnlib.model.parts import Driver
from churnlib.model.schema import SegmentSpec
from churnlib.model.segments import describe, make_levels
from churnlib.text import Label
from churnlib.yamlfile import hint

MANY = 10  # values of an assignment above which it is taken for the person who holds the relationship
GROUP_OF_EVENT = {  # the reason group to which a kind of event belongs, where drivers are proposed
    "price": "price",
    "outage": "access",
    "competitor": "competitor",
    "crisis": "external",
    "policy": "external",
}

# One row per kind of contact.
CONTACT_KINDS = """
SELECT kind, count(CASE WHEN NOT resolved THEN 1 END) AS n_unresolved FROM contacts
GROUP BY kind ORDER BY kind NULLS LAST
"""


@dataclass(frozen=True)
class Factor:
    """What customers at risk are told apart by: a driver, or a control that drivers are compared within.

    Attributes
    ----------
    name : str
    label : Label
    levels : tuple of str
        The first is the reference.
    group : str
        Reason group of a driver; "" for a control.
    modifiable : bool
    beside : bool
        The last level belongs to the controls (the contract still runs; a level that is not the declared reference).
    """

    name: str
    label: Label
    levels: tuple[str, ...]
    group: str = ""
    modifiable: bool = True
    beside: bool = False


def drivers_of(data: Any) -> dict[str, Driver]:
    """Give the declared drivers; where the key is absent, those that the tables offer.

    Proposed are unresolved complaints, returns, changes of the person who holds the relationship, and events that name
    whom they touched. Falling activity is not: it is what leaving looks like, more than why.
    """
    return dict(data.spec.drivers) if data.spec.drivers is not None else dict(_proposed(data))


def _proposed(data: Any) -> Iterator[tuple[str, Driver]]:
    if data.has("contacts"):
        told = data.con.frame(CONTACT_KINDS).set_index("kind")["n_unresolved"].to_dict()
        if "complaint" in told:
            open_ = {"resolved": False} if told["complaint"] else {}
            yield (
                "complaint",
                _driver("complaint_open" if open_ else "complaint", group="service", contact="complaint", **open_),
            )
        if "return" in told:
            yield "returned", _driver("returned", group="product", contact="return")
    for name, declared in data.spec.segments.items():
        if declared.assignment and len(segment(data, name)[1].levels) > MANY:
            label = {"label": declared.label} if declared.label else {}
            yield f"{name}_changed", Driver(group="relationship", assignment=declared.assignment, **label)
    for kind in dict.fromkeys(e.kind for e in data.about.events if e.named and e.kind in GROUP_OF_EVENT):
        yield f"event_{kind}", _driver(f"event_{kind}", group=GROUP_OF_EVENT[kind], event=kind, modifiable=False)


def _driver(word: str, **declared: Any) -> Driver:
    return Driver(label=text.label(f"attributable.driver.{word}"), **declared)


def is_levelled(driver: Driver) -> bool:
    """Tell whether a driver is a level of a segment or column at all times: it is joined, not laid out as stretches."""
    return driver.source[0] in ("segment", "column") and driver.since is None


def levelled(data: Any, name: str, driver: Driver) -> tuple[str, Segment]:
    """Give the table of levels (see `segment_table`) of a driver by segment or column, and its levels."""
    if driver.segment:
        return segment(data, driver.segment)
    return own_levels(data, name, SegmentSpec(column=driver.column, bins=driver.bins))


def own_levels(data: Any, name: str, declared: SegmentSpec) -> tuple[str, Segment]:
    """Make the levels of a column or assignment that is no segment, and give their table."""
    table = f"levels of {name}"
    if not data.con.table_exists(table):
        make_levels(data.con, data.spec, declared, table)
    return quote(table), describe(data.con, data.spec, name, declared, table)


def exposed_levels(data: Any, name: str, driver: Driver, found: Segment) -> tuple[str, ...]:
    """Give the levels that count as exposed, of those that occur: only a part of the customers may lack some."""
    for given in (*(driver.levels or ()), *([driver.reference] if driver.reference else ())):
        if not found.named((given,)) and not data.filters:
            near = hint(given, found.levels)
            raise text.DataError("attributable.unknown_level", name=name, value=given, hint=near)
    if driver.levels:
        return found.named(driver.levels)
    reference = found.named((driver.reference,)) if driver.reference else found.levels[:1]
    return tuple(level for level in found.levels if level not in reference)


def level_places(data: Any, name: str, driver: Driver) -> dict[str, int]:
    """Give the place of each level of a levelled driver: 0 the reference, exposed ones from 1 on.

    Where the exposed levels and the reference are both declared, the others stand behind them, apart: the exposed are
    compared with the reference alone.
    """
    found = levelled(data, name, driver)[1]
    exposed = exposed_levels(data, name, driver, found)
    apart = driver.levels and driver.reference
    kept = found.named((driver.reference,)) if apart else ()
    places = {level: 0 if level in kept or not apart else len(exposed) + 1 for level in found.levels}
    return places | {level: place for place, level in enumerate(exposed, 1)}


def needed_controls(data: Any, drivers: Iterable[Driver]) -> list[str]:
    """Name the segments without which drivers would be taken for the customers whom they met."""
    events = [e for d in drivers if d.event for e in data.about.events if d.event in (e.kind, *e.label)]
    named = [name for e in events for name in e.named] + [d.segment for d in drivers if d.segment and d.since]
    return [name for name in dict.fromkeys(named) if name in data.spec.segments]
