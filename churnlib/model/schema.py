"""What a dataset.yml may say: the schema of a data set's description, checked before any data are read."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from churnlib import text
from churnlib.model.parts import BaselineSpec, Driver, Duration, Length, Name, Part, Strings, Words
from churnlib.model.vocabulary import FORM_COLUMNS, MAPPINGS, RULES, TABLES, Severity
from churnlib.yamlfile import YamlFile

_ENDS = {"end_date", "churned"}
DateOrder = Literal["ymd", "dmy", "mdy"]


def _values(value: Any) -> Any:
    return dict.fromkeys(value) if isinstance(value, list) else value  # a list gives the order only


class Column(Part):
    """Where one canonical column comes from: a header in the file, one value for all rows, or the row's own number."""

    column: str | None = None
    value: str | None = None
    numbered: bool = False  # file and line: in a list that names nobody each row is a customer
    type: Literal["text", "number", "money", "date", "flag"] | None = None
    values: dict[str, str | None] | None = None  # the file's words -> ours
    default: str | None = None  # for words that `values` does not name
    unit: float = Field(1, gt=0)  # 10000 for a column in 万元
    times: str | None = None  # canonical column of the same source: a unit price times its quantity is an amount
    order: DateOrder | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one(self) -> Column:
        if len(self.given("column", "value")) + self.numbered != 1:
            raise PydanticCustomError("schema.column_or_value", "column")
        return self


class Query(Part):
    """A table or query on the user's database; its address comes from an environment variable, never from a file."""

    url_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    query: str | None = None
    table: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Query:
        if len(self.given("query", "table")) != 1:
            raise PydanticCustomError("schema.query_or_table", "query")
        return self


class Source(Part):
    """One file, several files of one layout, or one query, and the columns taken from it.

    Churn forms (layout: churn_form, one form a sheet) need no columns: the form's fields are known.
    """

    file: str | None = None  # may be a pattern: activity/*.csv
    files: Strings | None = None
    sql: Query | None = None
    layout: Literal["table", "churn_form"] = "table"
    sheet: str | None = None
    encoding: str | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    header_row: int | None = Field(None, ge=1)
    skip_footer: int | None = Field(None, ge=0)
    date_order: DateOrder | None = None
    decimal: Literal[".", ","] = "."
    columns: dict[Name, Column] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _form(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("layout") == "churn_form":
            return {"columns": {name: name for name in FORM_COLUMNS}} | value
        return value

    @model_validator(mode="after")
    def _one(self) -> Source:
        if len(self.given("file", "files", "sql")) != 1:
            raise PydanticCustomError("schema.one_source", "source")
        return self

    @property
    def patterns(self) -> tuple[str, ...]:
        """The files as declared: paths or patterns inside the data set's folder; none for a query."""
        return self.files or ((self.file,) if self.file is not None else ())


class _Definition(Part):
    label: Words | None = None
    note: Words | None = None


class ContractEnd(_Definition):
    """Churn is the end of the contract; a transfer inside the company on or before the next day (+ grace) is none."""

    kind: Literal["contract_end"]
    grace_days: int = Field(0, ge=0)


class Inactivity(_Definition):
    """Churn is no activity for a limit; `activity` names the kinds that count as activity (all if not given)."""

    kind: Literal["inactivity"]
    at_risk: Length
    limit: Length
    activity: Strings | None = None


class ValueDecline(_Definition):
    """Churn is a lasting fall of the amount below a share of the customer's own base, or into a lower band."""

    kind: Literal["value_decline"]
    base_months: int = Field(6, ge=1)
    below: float | None = Field(None, gt=0, lt=1)
    bands: tuple[float, ...] | None = Field(None, min_length=2)
    sustained: Length = Duration(3, "months")
    activity: Strings | None = None


class Partial(_Definition):
    """Churn is the closing of one product while the customer stays."""

    kind: Literal["partial"]
    product: str


Definition = Annotated[ContractEnd | Inactivity | ValueDecline | Partial, Field(discriminator="kind")]


class Exclusion(Part):
    """Customers left out and counted: all conditions hold, each is column -> values."""

    where: dict[str, Strings] = Field(min_length=1)
    label: Words | None = None


class SegmentSpec(Part):
    """A way to divide customers: by a column (with bins for a number), by an assignment, or by completed tenure."""

    label: Words | None = None
    kind: Literal["tenure"] | None = None  # the levels go from the newest customers to the most loyal ones
    column: str | None = None
    assignment: str | None = None
    tenure_months: tuple[int, ...] | None = Field(None, min_length=1)
    bins: tuple[float, ...] | None = Field(None, min_length=1)
    values: Annotated[dict[str, Any] | None, BeforeValidator(_values)] = None  # value -> English name or {zh, en}
    labels: dict[Literal["zh", "en"], tuple[str, ...]] | None = None

    @model_validator(mode="after")
    def _one(self) -> SegmentSpec:
        if len(self.given("column", "assignment", "tenure_months")) != 1:
            raise PydanticCustomError("schema.one_segment", "segment")
        edges = self.tenure_months or self.bins
        if edges and list(edges) != sorted(set(edges)):
            raise PydanticCustomError("schema.not_rising", "bins")
        for names in (self.labels or {}).values():
            if len(names) != len(edges or ()):
                raise PydanticCustomError("schema.label_count", "labels", {"n": len(edges or ()), "m": len(names)})
        return self


class ReasonGroup(Part):
    """A group of reasons of the company's own: which groups or reasons of the common list it takes together."""

    label: Words
    members: Strings


class ReasonList(Part):
    """A version of the company's list: its own words, and since when it was used where the forms do not say."""

    since: date | None = None
    values: dict[str, str] = {}


class Reasons(Part):
    """The company's words for reasons, mapped onto the common two-level list.

    `types` and `initiative` replace the mappings that are shipped (see `vocabulary.MAPPINGS`); `actions` replaces what
    is recommended for a group of the common list.
    """

    values: dict[str, str] = {}  # in every version of the list
    separator: str = "；"
    columns: dict[str, str] = {}  # header of a ticked column -> reason
    categories: dict[str, str] = {}  # what contacts.category says -> reason or group
    version: str | None = None
    versions: dict[str, ReasonList] = {}
    groups: dict[Name, ReasonGroup] = {}
    types: dict[Name, ReasonGroup] = {}
    initiative: dict[Name, ReasonGroup] = {}
    actions: dict[str, Words] = {}

    @property
    def lists(self) -> dict[str, dict[str, ReasonGroup]]:
        """Give the coarser lists: the company's own groups, the types, who took the initiative; those in use."""
        lists = {"own": self.groups, "type": self.types, "initiative": self.initiative}
        for name, groups in MAPPINGS.items():
            lists[name] = lists[name] or {
                code: ReasonGroup(label=text.label(f"reasons.{name}.{code}"), members=members)
                for code, members in groups.items()
            }
        return {name: groups for name, groups in lists.items() if groups}


class Thresholds(Part):
    """Below these numbers nothing is shown."""

    min_denominator: int = Field(30, ge=1)
    privacy_k: int = Field(5, ge=1)
    conf_level: float = Field(0.95, ge=0.95, le=0.95)  # every sentence says 95 %


class Roles(Part):
    """Columns that need care; customer_id always counts as an identifier."""

    personal: Strings = ()
    free_text: Strings = ()


class Spec(Part):
    """A whole dataset.yml."""

    title: Words
    simulated: bool = False
    snapshot: bool = False  # one extract without a history of ends
    language: Literal["zh", "en"] = "zh"
    as_of: date
    observed_from: date | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "CNY"
    time_unit: Literal["day", "month"] = "day"
    timezone: str = "Asia/Shanghai"
    allow_outside: bool = False
    make: str | None = None
    tables: dict[str, Annotated[tuple[Source, ...], BeforeValidator(lambda v: [v] if isinstance(v, dict) else v)]]
    definition: str | None = None
    definitions: dict[Name, Definition] = {}
    exclusions: dict[Name, Exclusion] = {}
    start_tenure_days: int = Field(0, ge=0)
    segments: dict[Name, SegmentSpec] = {}
    segment: str | None = None
    reasons: Reasons = Reasons()
    drivers: dict[Name, Driver] | None = Field(None, max_length=20)  # proposed from the tables if not given
    thresholds: Thresholds = Thresholds()
    baseline: BaselineSpec | None = None
    targets: dict[str, float] = {}
    revenue_kinds: Strings | None = None  # kinds of activity that bring money; see counts/revenue.py for the default
    roles: Roles = Roles()
    rules: dict[str, Severity] = {}

    @property
    def attributes(self) -> dict[str, Column]:
        """The attributes of customers: every declared column that is no canonical one."""
        sources = self.tables.get("customers", ())
        return {name: c for source in sources for name, c in source.columns.items() if name not in TABLES["customers"]}

    def severity(self, rule: str) -> Severity:
        """What is done with the rows that break a rule: "set_aside", "keep" (with a flag) or "stop"."""
        return self.rules.get(rule, RULES[rule].severity)


def load(path: Path) -> Spec:
    """Read a dataset.yml; raises DataError with key, line and near misses of the first problem, and the others."""
    from churnlib.model.crosscheck import problems

    file = YamlFile(path)
    spec = file.check(Spec)
    text.raise_all(list(problems(spec, file, path.parent)))
    columns = {name for source in spec.tables.get("customers", ()) for name in source.columns}
    if columns & _ENDS == {"churned"}:  # marks without days: one extract
        spec = spec.model_copy(update={"snapshot": True})
    return _with_definition(spec)


def _with_definition(spec: Spec) -> Spec:
    """Fill in a definition when none is declared: the contract's end if ends are recorded, else inactivity."""
    if not spec.definitions:
        ends = "contracts" in spec.tables or any(_ENDS & set(s.columns) for s in spec.tables.get("customers", ()))
        silent = Inactivity(kind="inactivity", at_risk=Duration(6, "months"), limit=Duration(12, "months"))
        given = {"contract_end": ContractEnd(kind="contract_end")} if ends else {"inactive": silent}
        spec = spec.model_copy(update={"definitions": given})
    return spec.model_copy(update={"definition": spec.definition or next(iter(spec.definitions))})
