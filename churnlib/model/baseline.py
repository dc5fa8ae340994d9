"""The periods that a data set declares usual: `baseline: {from: 2023-01, to: 2024-12, without: [2024-09]}`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from churnlib import text
from churnlib.about import Baseline, Period
from churnlib.model.parts import Part


def _period(value: Any) -> Period:
    try:
        return Period.parse(str(value))
    except text.UsageError:
        raise PydanticCustomError("schema.bad_period", "period", {"value": str(value)}) from None


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


OnePeriod = Annotated[Period, PlainValidator(_period)]


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
