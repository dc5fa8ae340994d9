"""Value churn: customers who are still there but bring less than a year ago, by bands of what they are billed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtri

from churnlib import text
from churnlib.show import plots
from churnlib.show.results import Column, Finding, Result, Statement

BANDS = ("high", "middle", "low", "none")
GONE = "left"


@dataclass(frozen=True, kw_only=True)
class ValueMigration(Result):
    """Bands of the amount billed, a year ago and now.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per band of a year ago: `band`, `n_customers`, and the shares of them that are now in each band (`high`,
        `middle`, `low`, `none`: nothing billed) or have `left`.
    moves : pandas.DataFrame
        The customers behind the shares: one row per band before, one column per band now.
    months : int
        Length of either window.
    """

    moves: pd.DataFrame
    months: int
    module: ClassVar[str] = "value"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("band", "term", prefix="value.band"),
        Column("n_customers", "whole"),
        *(Column(band, "pct", 1) for band in (*BANDS, GONE)),
    )

    @property
    def shown(self) -> pd.DataFrame:
        """Without empty bands, bands of too few customers, and cells of a handful with a second one of their row."""
        shown, k = self.table.copy(), self.about.privacy_k
        for i, row in enumerate(self.moves.to_numpy()):
            hidden = (row > 0) & (row < k)
            if hidden.sum() == 1 and (row >= k).any():
                hidden[np.where(row >= k, row, np.inf).argmin()] = True
            hidden |= row.sum() < self.about.min_denominator
            shown.loc[i, list(self.moves.columns[hidden])] = np.nan
        return shown[shown["n_customers"] > 0].reset_index(drop=True)

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.moves.empty or self.moves.to_numpy().sum() < self.about.min_denominator:
            return (Finding("value.bands.unknown", {"months": self.months}),)
        down, up, stayed = self._moved()
        if min(down, up) < self.about.privacy_k or not stayed:
            return (Finding("value.bands.not_shown", {"months": self.months}),)
        z = ndtri((1 + self.about.conf_level) / 2)
        word = "level" if abs(down - up) <= z * np.sqrt(down + up) else "down" if down > up else "up"
        values = {"down": down, "up": up, "n": stayed, "down_share": down / stayed, "up_share": up / stayed}
        values |= {"months": self.months}
        tone = {"level": "steady", "down": "worse", "up": "better"}[word]
        grade = "descriptive" if word == "level" else "moderate"
        head = Finding(f"value.bands.{word}", values, grade=grade, tone=tone, weight=self._equivalent())
        return (head, *self._best())

    def _equivalent(self) -> float:
        """What the moves amount to in customers: who falls from the highest band to none is one."""
        place = np.arange(len(BANDS))
        return abs(float((self.moves[list(BANDS)].to_numpy() * (place - place[:, None])).sum())) / place[-1]

    def _moved(self) -> tuple[int, int, int]:
        """Customers still here who are in a lower band, in a higher one, and all who are still here."""
        here = self.moves[list(BANDS)].to_numpy()
        return int(np.triu(here, 1).sum()), int(np.tril(here, -1).sum()), int(here.sum())

    def _best(self) -> tuple[Finding, ...]:
        """Say what became of the high band: lower though still here, and left."""
        high = self.shown.set_index("band").loc["high"]
        lower = high[["middle", "low", "none"]].astype(float).sum(skipna=False)
        if pd.isna(lower) or pd.isna(high[GONE]):
            return ()
        values = {"n": int(high.n_customers), "lower": lower, "left": high[GONE]}
        return (Finding("value.bands.best", values),)

    @property
    def subtitle(self) -> Statement:
        return Statement("value.bands.subtitle", {"period": self.about.period, "months": self.months})

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("value.bands.note", {"months": self.months}),)

    def plot(self, ax=None):
        shown = self.shown
        if shown.empty:
            return None
        columns = [*BANDS, GONE]
        values = shown[columns].astype(float)
        return plots.heat_map(
            [text.say(f"value.band.{band}") for band in shown["band"]],
            [text.say(f"value.band.{band}") for band in columns],
            values.to_numpy().tolist(),
            np.where(values.isna(), "small", "complete").tolist(),
            n=shown["n_customers"].tolist(),
            row_header=text.say("value.band_before"),
            column_header=text.say("value.band_now"),
            ax=ax,
        )


def value_migration(counts, *, months: int = 3) -> ValueMigration:
    """Set the band of each customer a year ago against the band now.

    Parameters
    ----------
    counts : Counts
        From `band_counts(data, months=months)`.

    Returns
    -------
    ValueMigration
        One row per band of a year ago.
    """
    frame = counts.frame.astype({"n_customers": "int64"})
    moves = frame.pivot_table(index="band_before", columns="band_now", values="n_customers", aggfunc="sum")
    moves = moves.reindex(index=list(BANDS), columns=[*BANDS, GONE]).fillna(0).astype("int64")
    n = moves.sum(axis=1)
    shares = moves.div(n.where(n > 0), axis=0)
    table = shares.assign(n_customers=n).rename_axis(None, axis=1).rename_axis("band").reset_index()
    return ValueMigration(about=counts.about, table=table, name="value_bands", moves=moves, months=months)
