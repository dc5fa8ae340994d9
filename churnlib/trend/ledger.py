"""The books: opening + new + reactivated - churned = closing; the operations tracking table (运营数据跟踪分析表)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.show.results import Column, Finding, Result, Statement, table_columns
from churnlib.trend.trend import SPARK, churn_rates, without_handfuls

REGULAR_AFTER = {"week": 14, "month": 3, "quarter": 1}  # periods in which all who joined in one have had three months
_REGULAR = {"conversion": "n_new_regular", "conversion_again": "n_new_again"}  # figure -> its count
_TRACKED = {  # kind of a figure's value -> figures; shares change in points, everything else in per cent
    "whole": "n_opening n_new n_reactivated n_churned n_churned_new n_closing",
    "pct": "retention_rate churn_rate net_rate money_rate net_money_rate conversion conversion_again csi_response",
    "ratio": "hazard csi complaints romi",
    "money": "revenue arpu",
}


@dataclass(frozen=True, kw_only=True)
class Ledger(Result):
    """Customers at the start, in, out and at the end of each period.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per period: `n_opening`, `n_new`, `n_reactivated`, `n_churned` (of which `n_churned_opening` and
        `n_churned_new`), `n_closing`, `churn_rate`, `net_rate` and `is_complete`.
    """

    module = "ledger"
    tucked = True
    columns = table_columns("period n_opening n_new n_reactivated n_churned n_closing churn_rate net_rate is_complete")

    @property
    def shown(self) -> pd.DataFrame:
        """The last periods up to the report's own and the incomplete one after it."""
        return self._told.tail(SPARK + 1).reset_index(drop=True)

    @property
    def _told(self) -> pd.DataFrame:
        return without_handfuls(self.table, self.about)

    @property
    def findings(self) -> tuple[Finding, ...]:
        now = self._told.set_index("period").loc[str(self.about.period)]
        if not now.n_opening:
            return (Finding("ledger.no_opening", {"period": self.about.period}),)
        values = {
            "period": self.about.period,
            "rate": now.churn_rate,
            "new": now.n_churned_new / now.n_opening,
            "back": now.n_reactivated / now.n_opening,
            "net": now.net_rate,
        }
        growth = now.n_closing - now.n_opening
        word = "grew" if growth > 0 else "shrank" if growth < 0 else "level"
        moved = {"opening": now.n_opening, "closing": now.n_closing, "change": abs(growth)}
        tone = {"grew": "better", "shrank": "worse"}.get(word, "steady")
        base = Finding(f"ledger.base_{word}", moved | {"period": self.about.period}, tone=tone, weight=abs(growth))
        return (base,) if np.isnan(now.n_churned) else (base, Finding("ledger.reconciled", values))

    @property
    def notes(self) -> tuple[Statement, ...]:
        hidden = (self.small_note,) if self.shown["n_churned"].isna().any() else ()
        return (Statement("ledger.note", {"definition": self.about.definition_note}), *hidden)


def customer_ledger(counts) -> Ledger:
    """Book the customers of each period and check the books.

    Parameters
    ----------
    counts : Counts
        From `period_counts(data)`: all customers, one row per period.

    Returns
    -------
    Ledger
        One row per period.

    Raises
    ------
    DataError
        If opening + new + reactivated - churned is not closing, or closing is not the next opening.
    """
    table = churn_rates(counts.frame.sort_values("period", kind="stable").reset_index(drop=True))
    closing = table["n_opening"] + table["n_new"] + table["n_reactivated"] - table["n_churned"]
    wrong = (closing != table["n_closing"]) | (table["n_opening"].shift(-1, fill_value=-1) != table["n_closing"])
    wrong.iloc[-1] = closing.iloc[-1] != table["n_closing"].iloc[-1]
    if wrong.any():
        raise text.DataError("ledger.does_not_balance", period=table.loc[wrong, "period"].iloc[0])
    return Ledger(about=counts.about, table=table, name="ledger")


@dataclass(frozen=True, kw_only=True)
class TrackingTable(Result):
    """The operations tracking table: each figure beside the previous period and the year before.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per figure: `figure`, `value`, `previous`, `change` (环比), `year_ago`, `year_change` (同比), `kind`.
        Changes of shares are in shares (shown in points), changes of all else relative (shown in per cent).
    """

    module = "ledger"
    columns = table_columns(
        Column("figure", "term", prefix="ledger.figure"),
        "value:by_row previous:by_row change:change_by_row year_ago:by_row year_change:change_by_row",
        Column("figure_note", "term", prefix="ledger.figure_note"),
    )

    @property
    def shown(self) -> pd.DataFrame:
        return self.table.assign(figure_note=self.table["figure"])

    @property
    def subtitle(self) -> Statement:
        return Statement("ledger.tracking_subtitle", {"period": self.about.period})

    @property
    def notes(self) -> tuple[Statement, ...]:
        has_money = "revenue" in set(self.table["figure"])
        return (Statement("ledger.tracking_note", {"revenue": self.about.revenue_note}),) if has_money else ()


def tracking_table(counts, tracked=None) -> TrackingTable:
    """Set the figures of the operations tracking table beside the previous period and the year before.

    Parameters
    ----------
    counts : Counts
        From `period_counts(data)`.
    tracked : Counts, optional
        From `tracking_counts(data)`: the sums behind satisfaction, conversion and return on investment.

    Returns
    -------
    TrackingTable
        One row per figure; figures that the data set cannot give are left out.
    """
    about = counts.about
    frame = without_handfuls(churn_rates(counts.frame), about)
    if tracked is not None:
        frame = frame.merge(tracked.frame, on="period", how="left", validate="one_to_one")
    figures = _figures(frame, about.period.unit).set_index("period")
    kinds = {figure: kind for kind, those in _TRACKED.items() for figure in those.split()}
    periods = [str(p) for p in (about.period, about.period.shift(-1), about.period.year_before())]
    rows = []
    for figure in figures.columns:
        value, previous, year_ago = (figures[figure].get(p, np.nan) for p in periods)
        if pd.notna(value):
            kind = kinds[figure]
            rows.append(
                (figure, value, previous, _moved(value, previous, kind), year_ago, _moved(value, year_ago, kind), kind)
            )
    names = ["figure", "value", "previous", "change", "year_ago", "year_change", "kind"]
    return TrackingTable(about=about, table=pd.DataFrame(rows, columns=names), name="tracking_table")


def _figures(frame: pd.DataFrame, unit: str) -> pd.DataFrame:
    """One row per period, one column per figure: domain formulas, nothing else."""
    out = frame[["period"]].copy()
    opening = frame["n_opening"].where(frame["n_opening"] > 0)
    mean_base = (frame["n_opening"] + frame["n_closing"]) / 2
    for column in ("n_opening", "n_new", "n_reactivated", "n_churned", "n_churned_new", "n_closing"):
        out[column] = frame[column].astype(float)
    out["retention_rate"] = (frame["n_closing"] - frame["n_new"]) / opening
    out["churn_rate"], out["net_rate"] = frame["churn_rate"], frame["net_rate"]
    if "exposure_days" in frame:  # flat under a constant risk, whatever the growth and the month's length
        out["hazard"] = 30_000 * frame["n_churned"] / frame["exposure_days"].where(frame["exposure_days"] > 0)
    if "fee_opening" in frame:
        fee = frame["fee_opening"].where(frame["fee_opening"] > 0)
        out["money_rate"] = frame["fee_churned_opening"] / fee
        out["net_money_rate"] = (frame["fee_churned"] - frame["fee_reactivated"]) / fee
    if "revenue" in frame and frame["revenue"].notna().any():
        out["revenue"] = frame["revenue"].astype(float)
        out["arpu"] = frame["revenue"] / mean_base.where(mean_base > 0)
    if "n_new_judged" in frame and (later := REGULAR_AFTER.get(unit)):
        # judged when three months have passed: the figure of a period is about those who joined three months earlier
        name, regular = next(item for item in _REGULAR.items() if item[1] in frame)
        judged = frame["n_new_judged"].shift(later)
        out[name] = frame[regular].shift(later) / judged.where(judged > 0)
    if "n_scores" in frame:
        out["csi"] = frame["score_sum"] / frame["n_scores"].where(frame["n_scores"] > 0)
    if "n_asked" in frame:
        out["csi_response"] = frame["n_scores"] / frame["n_asked"].where(frame["n_asked"] > 0)
    if "n_complaints" in frame:
        out["complaints"] = 1000 * frame["n_complaints"] / mean_base.where(mean_base > 0)
    if "campaign_cost" in frame:
        out["romi"] = _romi(frame)
    return out


def _romi(frame: pd.DataFrame) -> pd.Series:
    """Return on the campaigns begun in a period: revenue beyond what control would have brought, against cost."""
    treated, control = frame["campaign_n_treated"], frame["campaign_n_control"]
    due = frame["campaign_revenue_treated"] - frame["campaign_revenue_control"] * treated / control.where(control > 0)
    return (due - frame["campaign_cost"]) / frame["campaign_cost"].where(frame["campaign_cost"] > 0)


def _moved(value: float, earlier: float, kind: str) -> float:
    """Change in points for a share, relative for all else; none on a base of nothing."""
    if kind == "pct":
        return value - earlier
    return value / earlier - 1 if earlier else np.nan
