"""The pieces that the schema of a dataset.yml is made of: names, words, lengths of time, drivers, the usual periods."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from churnlib import text
from churnlib.about import Baseline, Period

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(days?|months?|gaps?|天|日|个月|月|倍间隔|倍)")
_UNITS = dict.fromkeys("d天日", "days") | dict.fromkeys("m个月", "months") | dict.fromkeys("g倍", "gaps")
_NAME = re.compile(r"[^\W\d_]\w{0,59}")


@dataclass(frozen=True)
class Duration:
    """A length of time: whole days, calendar months, or a multiple of a customer's own usual gap."""

    n: float  # whole for days and months
    unit: str  # "days", "months" or "gaps"

    def __str__(self) -> str:
        return f"{self.n:g} {self.unit}"


def _duration(value: Any) -> Duration:
    match = _DURATION.fullmatch(str(value).strip())
    if not match or float(match[1]) <= 0 or (match[2][0] not in "g倍" and "." in match[1]):
        raise PydanticCustomError("schema.bad_duration", "duration", {"value": str(value)})
    return Duration(float(match[1]), _UNITS[match[2][0]])


def _label(value: Any) -> text.Label:
    if isinstance(value, text.Label):
        return value
    is_named = isinstance(value, str) and bool(value.strip())
    if isinstance(value, dict):
        is_named = bool(value) and set(value) <= {"zh", "en"} and all(isinstance(v, str) for v in value.values())
    if is_named:
        return text.Label.of(value)
    raise PydanticCustomError("schema.bad_label", "label", {"value": str(value)})


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise PydanticCustomError("schema.bad_name", "name", {"value": str(value)})
    return value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _period(value: Any) -> Period:
    try:
        return Period.parse(str(value))
    except text.UsageError:
        raise PydanticCustomError("schema.bad_period", "period", {"value": str(value)}) from None


Name = Annotated[str, PlainValidator(_name)]
Words = Annotated[text.Label, PlainValidator(_label)]
Length = Annotated[Duration, PlainValidator(_duration)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_listed)]
OnePeriod = Annotated[Period, PlainValidator(_period)]


class Part(BaseModel):
    """A part of the description: unknown keys are errors, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def given(self, *names: str) -> tuple[str, ...]:
        """Give those of some keys that have a value."""
        return tuple(name for name in names if getattr(self, name) is not None)


class Driver(Part):
    """Something that may go with churn, known before it: where it is seen, and which group of reasons it belongs to.

    Exactly one source: a kind of contact, a change of an assignment, a kind (or name) of event on the customers of its
    scope, the end of a contract's term, activity that falls against the customer's own base, a segment, or a column.
    """

    label: Words | None = None
    group: str
    modifiable: bool = True
    contact: str | None = None
    resolved: bool | None = None  # contacts: only those resolved, or only those not
    assignment: str | None = None
    departed: bool = False  # assignments: only changes from a value that nobody holds any more (a manager who left)
    event: str | None = None
    term: str | None = None  # column of customers with the contract's term in months, or words for it
    terms: dict[str, int] | None = None  # such a word -> months
    activity: Literal["amount", "frequency"] | None = None
    below: float = Field(0.7, gt=0, lt=1)  # activity: share of the own base
    lag: int = Field(1, ge=0)  # activity: months before the opening that are not looked at
    segment: str | None = None
    column: str | None = None
    bins: tuple[float, ...] | None = Field(None, min_length=1)
    levels: Strings | None = None  # exposed levels of a segment or column; all but the reference if not given
    reference: str | None = None  # the first level if not given; beside levels: the one they are compared with
    since: date | None = None  # a segment or column that counts from this day on
    months: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _one(self) -> Driver:
        if len(self.source) != 1:
            raise PydanticCustomError("schema.one_driver", "driver")
        if self.bins and list(self.bins) != sorted(set(self.bins)):
            raise PydanticCustomError("schema.not_rising", "bins")
        belongs = {"resolved": "contact", "departed": "assignment", "terms": "term", "bins": "column"}
        belongs |= {name: "segment or column" for name in ("levels", "reference", "since")}
        for name, owner in belongs.items():
            if name in self.model_fields_set and self.source[0] not in owner:
                raise PydanticCustomError("schema.driver_option", "option", {"option": name, "source": owner})
        return self

    @property
    def source(self) -> tuple[str, ...]:
        """The key that says where it is seen."""
        return self.given("contact", "assignment", "event", "term", "activity", "segment", "column")


class BaselineSpec(Part):
    """The periods that are declared usual: the control charts' limits stay frozen to them."""

    first: OnePeriod = Field(alias="from")
    last: OnePeriod = Field(alias="to")
    without: Annotated[tuple[OnePeriod, ...], BeforeValidator(_listed)] = ()  # a crisis, for instance

    @model_validator(mode="after")
    def _ordered(self) -> BaselineSpec:
        if self.last.last < self.first.first:
            ends = {"first": str(self.first), "last": str(self.last)}
            raise PydanticCustomError("schema.baseline_order", "order", ends)
        for period in self.without:
            if period.last < self.first.first or period.first > self.last.last:
                raise PydanticCustomError("schema.baseline_without", "without", {"value": str(period)})
        return self

    @property
    def periods(self) -> Baseline:
        """The same as every count carries it."""
        return Baseline(self.first, self.last, self.without)
