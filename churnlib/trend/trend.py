"""How many customers leave, period by period: rates with intervals, changes, and which segments stand out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.about import YEAR, Period
from churnlib.handfuls import hidden_in_books
from churnlib.intervals import difference, overdispersion, wilson
from churnlib.show import disclosure, plots
from churnlib.show.results import Finding, Kpi, Result, Statement, period_values, table_columns
from churnlib.trend.series import PLOTTED, covered
from churnlib.trend.usual import usual_and_beyond

BASELINE = 24  # periods among which one is ranked
SPARK = 13  # periods of a spark line: the period, its year-ago twin and all between


def churn_rates(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the churn rate of the opening base, with its interval, to period counts.

    Returns
    -------
    pandas.DataFrame
        One row per level and period, as given, with `churn_rate`, `ci_lower`, `ci_upper` (Wilson, 95 %) and `net_rate`,
        the texts' own rate 1 - (closing - new) / opening = (all churned - reactivated) / opening, all as shares of the
        opening customers.
    """
    opening = frame["n_opening"].where(frame["n_opening"] > 0)
    lower, upper = wilson(frame["n_churned_opening"], frame["n_opening"])
    return frame.assign(
        churn_rate=frame["n_churned_opening"] / opening,
        ci_lower=lower,
        ci_upper=upper,
        net_rate=(frame["n_churned"] - frame["n_reactivated"]) / opening,
    )


def without_handfuls(rates: pd.DataFrame, about) -> pd.DataFrame:
    """Blank what would tell the churned of periods in which they are a handful (see `handfuls.hidden_in_books`).

    Parameters
    ----------
    rates : pandas.DataFrame
        From `churn_rates`: one row per period, all of them.
    about : About

    Returns
    -------
    pandas.DataFrame
        The same rows. Where only the losses among new customers are few, the rate of the opening base stays.
    """
    few = hidden_in_books(rates, about)
    hides = {
        "n_churned_opening": ("churn_rate", "ci_lower", "ci_upper", "fee_churned_opening"),
        "n_churned": ("fee_new", "fee_reactivated", "fee_churned"),
        "n_new": ("net_rate",),  # new customers would follow from it
    }
    hidden = few | {column: few[flow] for flow, columns in hides.items() for column in columns}
    return rates.assign(**{c: rates[c].astype(float).mask(is_few) for c, is_few in hidden.items() if c in rates})


def compare(rates: pd.DataFrame, steps: int, prefix: str) -> pd.DataFrame:
    """Compare each period with the one `steps` rows earlier.

    Parameters
    ----------
    rates : pandas.DataFrame
        One row per level and period, each level's periods in order of time without gaps, with `sigma`, the level's
        overdispersion: an ordinary interval would call every wobble of a large base a change; and `flag`, from
        `disclosure.protect`.
    steps : int
        1 for the previous period (环比), 12 months, 4 quarters or 52 weeks for the year before (同比).
    prefix : str
        "previous" or "year_ago": the names of the new columns.

    Returns
    -------
    pandas.DataFrame
        The same rows with `<prefix>` (the earlier rate), `<prefix>_change` (in shares), its interval and
        `<prefix>_clear`: whether the change lies beyond it. Incomplete periods are compared with nothing, and nothing
        with a period whose count is hidden: its count could be told from the change.
    """
    compared = ["n_churned_opening", "n_opening"]
    earlier = rates.groupby("level", sort=False)[[*compared, "churn_rate", "flag"]].shift(steps)
    lower, upper = difference(*(f[c] for f in (rates, earlier) for c in compared), sigma=rates["sigma"].to_numpy())
    usable = rates["is_complete"] & earlier["churn_rate"].notna() & (earlier["flag"] != disclosure.HIDDEN)
    return rates.assign(
        **{
            prefix: earlier["churn_rate"].where(usable),
            f"{prefix}_change": (rates["churn_rate"] - earlier["churn_rate"]).where(usable),
            f"{prefix}_lower": pd.Series(lower, rates.index).where(usable),
            f"{prefix}_upper": pd.Series(upper, rates.index).where(usable),
            f"{prefix}_clear": usable & ((lower > 0) | (upper < 0)),
        }
    )


@dataclass(frozen=True, kw_only=True)
class ChurnTrend(Result):
    """The churn rate by period.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per period: the counts, `churn_rate` with `ci_lower`, `ci_upper` in [0, 1], `net_rate`, the comparisons
        of `compare` (prefixes previous, year_ago), `sigma`, `rolling_rate` (all churned of the opening base of the
        last year / the sum of the openings) and `is_complete`.
    has_usual : bool
        Whether enough periods say what is usual; else a clear change is one beyond chance.
    """

    has_usual: bool = True
    module = "trend"
    columns = table_columns(
        "period n_opening n_churned_opening churn_rate ci_lower ci_upper previous_change year_ago_change",
        "rolling_rate is_complete",
    )

    @property
    def current(self) -> pd.Series:
        """The row of the report's period."""
        return self.shown.set_index("period").loc[str(self.about.period)]

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_churned_opening", "churn_rate", "ci_lower", "ci_upper", "net_rate", "fee_churned_opening")
        hides += comparisons(self.table)
        return disclosure.protect(self.table, self.about, hides=hides)

    @property
    def findings(self) -> tuple[Finding, ...]:
        now = self.current
        head = self._change_finding(now)
        year = self._year_finding(now)
        return tuple(f for f in (head, year, self._rank_finding()) if f is not None)

    def _change_finding(self, now: pd.Series) -> Finding:
        values = {"period": self.about.period, "previous": self.about.period.shift(-1), "change": now.previous_change}
        values |= {"rate": now.churn_rate, "lower": now.ci_lower, "upper": now.ci_upper}
        values |= {"n": now.n_churned_opening, "opening": now.n_opening}
        moved = abs(now.previous_change) * now.n_opening if pd.notna(now.previous_change) else 0.0
        key, tone = self._direction("trend.rate", now, "previous")
        return Finding(key, values, grade="moderate" if now.previous_clear else "descriptive", tone=tone, weight=moved)

    def _year_finding(self, now: pd.Series) -> Finding | None:
        if pd.isna(now.year_ago_change):
            return None
        key, tone = self._direction("trend.year", now, "year_ago")
        values = {"change": now.year_ago_change, "year_ago": now.year_ago, "before": self.about.period.year_before()}
        weight = abs(now.year_ago_change) * now.n_opening
        return Finding(key, values, grade="moderate" if now.year_ago_clear else "descriptive", tone=tone, weight=weight)

    def _direction(self, stem: str, row: pd.Series, prefix: str) -> tuple[str, str]:
        """Choose the words for a change from its sign and its interval: the key and what it means."""
        change, clear = row[f"{prefix}_change"], row[f"{prefix}_clear"]
        if pd.isna(row.churn_rate):
            return f"{stem}.not_shown", "steady"
        if pd.isna(change):
            return f"{stem}.no_previous", "steady"
        if not clear:
            return f"{stem}.flat", "steady"
        side, tone = ("rise", "worse") if change > 0 else ("fall", "better")
        return f"{stem}.{side}" if self.has_usual else f"{stem}.{side}.chance", tone

    def _rank_finding(self) -> Finding | None:
        """Where the period stands among the complete ones, when that is worth a sentence: first, last or in between."""
        past = self.shown[self.shown["is_complete"] & self.shown["churn_rate"].notna()].tail(BASELINE)
        if len(past) < 6 or str(self.about.period) not in set(past["period"]):
            return None
        rank = int((past["churn_rate"] > self.current.churn_rate).sum()) + 1
        key = "trend.rank.highest" if rank == 1 else "trend.rank.lowest" if rank == len(past) else "trend.rank.between"
        top = past.loc[past["churn_rate"].idxmax()]
        values = {"rank": rank, "n": len(past), "top": Period.parse(top.period), "top_rate": top.churn_rate}
        return Finding(key, values, weight=0.0)

    @property
    def subtitle(self) -> Statement:
        unit = text.label(f"trend.unit.{self.about.period.unit}")
        return Statement("trend.subtitle", covered(self.table, self.about) | {"unit": unit})

    @property
    def notes(self) -> tuple[Statement, ...]:
        coarser = (Statement("trend.note.coarser", {"period": self.about.period}),) if self.about.reported else ()
        return (
            *coarser,
            Statement("trend.note.rate", {"definition": self.about.definition_note}),
            Statement("trend.note.interval", {"sigma": self.table["sigma"].iloc[0]}),
        )

    @property
    def kpis(self) -> tuple[Kpi, ...]:
        now, period = self.current, self.about.period
        rate = self._kpi("churn_rate", "share", now.previous, now.year_ago)
        rate = replace(rate, ci_lower=now.ci_lower, ci_upper=now.ci_upper)
        if self.about.reported:  # sums of a longer period would be taken for those of the report's own
            return (replace(rate, id="churn_rate_longer"),)
        sums = [("n_churned_opening", "customers"), ("fee_churned_opening", "money")]
        known = [(c, unit) for c, unit in sums if c in self.table and self.table[c].notna().any()]
        values, earlier = self.shown.set_index("period"), (str(period.shift(-1)), str(period.year_before()))
        return rate, *(self._kpi(c, unit, *(values[c].get(p, np.nan) for p in earlier)) for c, unit in known)

    def _kpi(self, column: str, unit: str, previous: float, year_ago: float) -> Kpi:
        """A sum has no interval of its own; whether it moved clearly is what the rate says."""
        now = self.current
        return Kpi(
            column,
            value=now[column],
            n=int(now.n_opening),
            unit=unit,
            previous=previous,
            year_ago=year_ago,
            change_clear=None if pd.isna(previous) else bool(now.previous_clear),
            year_change_clear=None if pd.isna(year_ago) else bool(now.year_ago_clear),
            series=tuple(self.shown.loc[self.shown["period"] <= str(self.about.period), column].tail(SPARK)),
            target=self.about.target(column),
            flag=now.flag,
        )

    def plot(self, ax=None):
        shown = self.shown.tail(PLOTTED)
        return plots.line(
            period_values(shown["period"]),
            shown["churn_rate"].tolist(),
            lower=shown["ci_lower"].tolist(),
            upper=shown["ci_upper"].tolist(),
            year_ago=shown["year_ago"].tolist(),
            complete=shown["is_complete"].tolist(),
            current=shown["period"].tolist().index(str(self.about.period)),
            tone=self.findings[0].tone,
            target=self.about.target("churn_rate"),
            events=self.about.events,
            ax=ax,
        )


def churn_trend(counts) -> ChurnTrend:
    """Work out the churn rate of the opening base by period.

    Parameters
    ----------
    counts : Counts
        From `period_counts(data)`: all customers, one row per period.

    Returns
    -------
    ChurnTrend
        One row per period.
    """
    about, year = counts.about, YEAR[counts.about.period.unit]
    usual, beyond = usual_and_beyond(counts.frame, about)
    table = _as_charted(_compared(counts.frame, about, usual), beyond, year)
    told = table["is_complete"] & (table["flag"] != disclosure.HIDDEN)  # a hidden count could be had from a sum with it
    complete = table[["n_churned_opening", "n_opening"]].where(told).rolling(year).sum()
    table = table.assign(rolling_rate=complete["n_churned_opening"] / complete["n_opening"])
    return ChurnTrend(about=about, table=table, name="churn_rate", has_usual=beyond is not None)


def level_rates(frame: pd.DataFrame, about) -> pd.DataFrame:
    """Work out rates and comparisons of every level's periods: one row per level and period, in order."""
    return _compared(frame, about, usual_and_beyond(frame, about)[0])


def _compared(frame: pd.DataFrame, about, usual: pd.DataFrame) -> pd.DataFrame:
    rates = churn_rates(frame.sort_values(["level", "period"], kind="stable").reset_index(drop=True))
    usual = rates[rates["period"].isin(usual["period"])]
    counted = {level: rows[["n_churned_opening", "n_opening"]] for level, rows in usual.groupby("level", sort=False)}
    sigma = {level: overdispersion(*rows.to_numpy().T) for level, rows in counted.items()}
    rates = rates.assign(sigma=rates["level"].map(sigma).fillna(1.0))
    rates = disclosure.protect(rates, about, hides=(), within=("period",) if rates["level"].nunique() > 1 else ())
    return compare(compare(rates, 1, "previous"), YEAR[about.period.unit], "year_ago")


def _as_charted(rates: pd.DataFrame, beyond: set[str] | None, year: int) -> pd.DataFrame:
    """Call no difference clear between two periods that the control chart calls usual both."""
    if beyond is None:
        return rates
    is_beyond = rates["period"].isin(beyond)
    for prefix, steps in (("previous", 1), ("year_ago", year)):
        either = is_beyond | is_beyond.shift(steps, fill_value=False)
        rates = rates.assign(**{f"{prefix}_clear": rates[f"{prefix}_clear"] & either})
    return rates


def comparisons(table: pd.DataFrame) -> tuple[str, ...]:
    """Name the columns that tell something of other periods."""
    return tuple(c for c in table.columns if c.startswith(("previous", "year_ago")) and not c.endswith("_clear"))
