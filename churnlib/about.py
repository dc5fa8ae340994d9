"""What a number is about: periods, segments and the definition note (口径) that go with every count to the report."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from churnlib.text import Label, UsageError

UNITS = ("week", "month", "quarter", "year")
BETWEEN = "\x1f"  # between the levels of crossed segments: the unit separator stands in nobody's levels
YEAR = {"week": 52, "month": 12, "quarter": 4, "year": 1}  # periods of a year
_MONTHS_IN = {"month": 1, "quarter": 3, "year": 12}
_SHAPES = {
    "week": re.compile(r"(\d{4})-W(\d{2})"),
    "month": re.compile(r"(\d{4})-(\d{2})"),
    "quarter": re.compile(r"(\d{4})-Q([1-4])"),
    "year": re.compile(r"(\d{4})"),
}


@dataclass(frozen=True, order=True)
class Period:
    """A week (Monday to Sunday), month, quarter or year.

    Attributes
    ----------
    first : date
        Its first day.
    unit : {"week", "month", "quarter", "year"}
    """

    first: date
    unit: str = "month"

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read "2025-12", "2025-Q4", "2025" or "2025-W49"; raises UsageError for anything else."""
        for unit, shape in _SHAPES.items():
            if match := shape.fullmatch(text.strip()):
                year, step = int(match[1]), int(match[2]) if match.lastindex == 2 else 1
                try:
                    if unit == "week":
                        return cls(date.fromisocalendar(year, step, 1), unit)
                    return cls(date(year, (step - 1) * _MONTHS_IN[unit] + 1 if unit != "year" else 1, 1), unit)
                except ValueError:
                    break
        raise UsageError("about.bad_period", period=text)

    @classmethod
    def containing(cls, day: date, unit: str = "month") -> Period:
        """Give the period of a unit in which a day lies."""
        if unit == "week":
            return cls(day - timedelta(days=day.weekday()), unit)
        size = _MONTHS_IN[unit]
        return cls(date(day.year, (day.month - 1) // size * size + 1, 1), unit)

    @property
    def last(self) -> date:
        """Its last day."""
        if self.unit == "week":
            return self.first + timedelta(days=6)
        month = self.first.month + _MONTHS_IN[self.unit] - 1
        return date(self.first.year, month, calendar.monthrange(self.first.year, month)[1])

    @property
    def days(self) -> int:
        """Its length in days."""
        return (self.last - self.first).days + 1

    def shift(self, steps: int) -> Period:
        """Give the period that many steps later (earlier if negative)."""
        if self.unit == "week":
            return Period(self.first + timedelta(weeks=steps), self.unit)
        months = self.first.year * 12 + self.first.month - 1 + steps * _MONTHS_IN[self.unit]
        return Period(date(months // 12, months % 12 + 1, 1), self.unit)

    def holds(self, other: Period) -> bool:
        """Tell whether a whole other period, of any unit, lies in it."""
        return self.first <= other.first and other.last <= self.last

    def year_before(self) -> Period:
        """Give the same period a year earlier (for weeks: 52 weeks)."""
        return self.shift(-YEAR[self.unit])

    def __str__(self) -> str:
        if self.unit == "week":
            year, week, _ = self.first.isocalendar()
            return f"{year:04d}-W{week:02d}"
        if self.unit == "quarter":
            return f"{self.first.year:04d}-Q{(self.first.month + 2) // 3}"
        return f"{self.first.year:04d}" + (f"-{self.first.month:02d}" if self.unit == "month" else "")

    def say(self, language: str) -> str:
        """Name the period as readers write it."""
        year, month = self.first.year, self.first.month
        if self.unit == "week":
            year, week, _ = self.first.isocalendar()
            return f"{year} 年第 {week} 周" if language == "zh" else f"week {week} of {year}"
        if self.unit == "quarter":
            quarter = (month + 2) // 3
            return f"{year} 年第 {quarter} 季度" if language == "zh" else f"Q{quarter} {year}"
        if self.unit == "year":
            return f"{year} 年" if language == "zh" else str(year)
        return f"{year} 年 {month} 月" if language == "zh" else f"{calendar.month_name[month]} {year}"


@dataclass(frozen=True)
class Segment:
    """A way to divide customers.

    Attributes
    ----------
    name : str
        Canonical name, such as "region"; "" stands for all customers together.
    label : Label
    levels : tuple of str
        Level codes in their order of listing.
    labels : tuple of Label
        The levels' names, in the same order.
    kind : {"", "tenure"}
        "tenure": the levels go from the newest customers to the most loyal ones.
    parts : tuple of Segment
        Those that are crossed, if several are: each level is then one of each, joined by `BETWEEN`.
    """

    name: str = ""
    label: Label = Label("全部客户", "all customers")
    levels: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()
    kind: str = ""
    parts: tuple[Segment, ...] = ()

    @property
    def loyal(self) -> str:
        """The level of those who have stayed longest, if the levels tell; never that of nobody knows how long."""
        known = [level for level in self.levels if level != "unknown"]
        return known[-1] if self.kind == "tenure" and len(known) > 1 else ""

    def label_of(self, level: str) -> Label:
        """Name one level in both languages."""
        names = dict(zip(self.levels, self.labels, strict=True))
        return names.get(level) or Label.of(level)

    def named(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """Give the levels that people mean by some words: codes or names, 25-34 for 25–34 and for 25 至 34 岁."""
        words = {_plain(word) for word in wanted}
        return tuple(v for v in self.levels if words & {_plain(w) for w in (v, *self.label_of(v))})

    def within(self, scope: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
        """Give the levels that a scope names by this segment; of crossed ones, those that lie in all that it names."""
        wanted = [part.named(scope[part.name]) if part.name in scope else None for part in self.parts or (self,)]
        if not any(wanted):
            return ()
        cells = [(level, level.split(BETWEEN) if self.parts else [level]) for level in self.levels]
        return tuple(v for v, cell in cells if all(w is None or c in w for c, w in zip(cell, wanted, strict=True)))


def _plain(word: str) -> str:
    return re.sub(r"\s*[–—~至到]\s*", "-", word).replace("岁", "").strip()


@dataclass(frozen=True)
class Event:
    """A company event drawn on the time axis: first day, last day (or None), kind, name, what it touched."""

    date: date
    label: Label
    kind: str = ""
    end: date | None = None
    scope: str = ""

    @property
    def named(self) -> dict[str, tuple[str, ...]]:
        """Segment -> values that the scope names.

        Examples
        --------
        >>> Event(date(2025, 5, 1), Label("", ""), scope="region=华东,西南; age=25-34").named
        {'region': ('华东', '西南'), 'age': ('25-34',)}
        """
        parts = [part.partition("=") for part in re.split(r"[;；]", self.scope) if "=" in part]
        return {n.strip(): tuple(v.strip() for v in re.split(r"[,，、]", w) if v.strip()) for n, _, w in parts}


@dataclass(frozen=True)
class Baseline:
    """The periods that are declared usual, frozen from report to report.

    Attributes
    ----------
    first, last : Period
    without : tuple of Period
        Left out of them, such as a crisis.
    """

    first: Period
    last: Period
    without: tuple[Period, ...] = ()

    @classmethod
    def parse(cls, text: str, without: Iterable[str] = ()) -> Baseline:
        """Read "2023-01..2024-12"; raises UsageError for anything that is no period, or for periods in no order."""
        first, _, last = (part.strip() for part in text.partition(".."))
        ends = Period.parse(first), Period.parse(last or first)
        if ends[1].last < ends[0].first:
            raise UsageError("about.bad_baseline", baseline=text)
        return cls(*ends, tuple(Period.parse(period) for period in without))

    def holds(self, period: Period) -> bool:
        """Tell whether a whole period, of any unit, belongs to it."""
        is_between = self.first.first <= period.first and period.last <= self.last.last
        return is_between and not any(p.first <= period.last and period.first <= p.last for p in self.without)


@dataclass(frozen=True)
class About:
    """What every count and result carries to the reader.

    Attributes
    ----------
    dataset : str
        Name of the data set's folder.
    title : Label
        Name of the data set for readers.
    as_of, observed_from : date
        Last day covered; since when ends were recorded.
    period : Period
        The report's period, always complete.
    definition : str
        Name of the churn definition; `definition_label` and `definition_note` (口径) are its words.
    revenue_note : Label
        What counts as revenue, where the counts hold any.
    segment : Segment
    filters : tuple of (Label, Label)
        Attribute and value of each restriction made by `where`.
    reason_groups : tuple of (str, Label)
        The company's own groups of reasons, where it declares any.
    reason_lists : tuple of (str, str, Label, tuple of str)
        Coarser lists of reasons: list, code, its name, the groups or reasons that it takes together.
    reason_actions : tuple of (str, Label)
        What the company itself recommends for a group of reasons.
    earliest_churn : float
        Months of tenure before which the definition can show no churn: the limit of an inactivity rule; 0 where ends
        are recorded as such.
    baseline : Baseline or None
        What the data set declares as usual.
    delay : (int, int, int)
        Days after an event from which churn due to it may be counted, from which most of it is, and from which all of
        it is: under an inactivity definition one limit less two usual gaps, less one, and one limit; none where the
        contract's end is recorded.
    reported : Period or None
        The report's own period, where these counts are by another unit.
    min_denominator, privacy_k : int
        Customers under which a rate is not shown; count under which a cell is hidden.
    withheld : frozenset of (str, str, str)
        Segment, level and period of cells hidden because other tables of this report, or of other reports of the same
        release, would give them back. Of all customers (segment "") the level names what is hidden: "" the churned of
        the opening base, "churned" all the churned, "new" who came new (see `churnlib.handfuls`).
    """

    dataset: str
    title: Label
    as_of: date
    observed_from: date
    period: Period
    definition: str = "contract_end"
    definition_label: Label = Label("合约终止", "contract end")
    definition_note: Label = Label("", "")
    revenue_note: Label = Label("", "")
    currency: str = "CNY"
    time_unit: str = "day"
    snapshot: bool = False
    simulated: bool = False
    segment: Segment = field(default_factory=Segment)
    filters: tuple[tuple[Label, Label], ...] = ()
    events: tuple[Event, ...] = ()
    targets: tuple[tuple[str, float], ...] = ()
    reason_groups: tuple[tuple[str, Label], ...] = ()
    reason_lists: tuple[tuple[str, str, Label, tuple[str, ...]], ...] = ()
    reason_actions: tuple[tuple[str, Label], ...] = ()
    baseline: Baseline | None = None
    delay: tuple[int, int, int] = (0, 0, 0)
    reported: Period | None = None
    earliest_churn: float = 0.0
    min_denominator: int = 30
    privacy_k: int = 5
    conf_level: float = 0.95
    withheld: frozenset[tuple[str, str, str]] = frozenset()

    @property
    def years(self) -> float:
        """Years that the records span up to the end of the report's period, one at least."""
        return max((self.period.last - self.observed_from).days / 365.25, 1.0)

    def by(self, segment: Segment) -> About:
        """Give the same with another segment."""
        return replace(self, segment=segment)

    def named(self, result: str) -> str:
        """Name a result's table: "survival", and "survival_by_region" where a segment divides it."""
        return f"{result}_by_{self.segment.name}" if self.segment.name else result

    def target(self, kpi: str) -> float | None:
        """Give the declared target (目标值) of a figure, if there is one."""
        return dict(self.targets).get(kpi)
