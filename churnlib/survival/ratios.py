"""Does one hazard ratio hold for the whole life: the ratios of a Cox model by stretch of tenure, as an effect size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from churnlib import text
from churnlib.show import plots
from churnlib.show.results import Column, Finding, Statement, table_columns
from churnlib.survival.base import LINES, by_tenure, curve_of
from churnlib.survival.cox import WINDOWS
from churnlib.survival.hazardratios import FeatureResult, HazardRatios
from churnlib.survival.logrank import holm

DRAWN_TO = 48  # months: the open last stretch would fill the figure
MATTERS = 1.25  # largest over smallest ratio from which one number for the whole life would mislead


@dataclass(frozen=True, kw_only=True)
class RatiosByTenure(FeatureResult):
    """HR(t): hazard ratios of each stretch of tenure.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per covariate, level and stretch of tenure (from `months`): `n_events` of the level in it,
        `hazard_ratio` against the covariate's `reference` with `ci_lower`, `ci_upper`; missing where it cannot be
        estimated.
    p_value : float
        Of the test that no ratio changes with tenure.
    p_covariate : dict of str to float
        The same for each covariate, adjusted for their number (Holm).
    end : float
        Months at which the last stretch ends.
    """

    p_value: float
    p_covariate: dict[str, float]
    end: float

    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "covariate:text level stretch:text hazard_ratio:ratio ci_lower:ratio ci_upper:ratio"
    )

    @property
    def shown(self) -> pd.DataFrame:
        table = self.table
        keep = table["n_events"] >= max(self.about.privacy_k, 1)
        hides = ("n_events", "hazard_ratio", "ci_lower", "ci_upper")
        shown = table.assign(stretch=stretches(table["months"]), **{c: table[c].where(keep) for c in hides})
        return shown.drop(columns="covariate") if self.is_one else shown

    def spreads(self) -> pd.DataFrame:
        """Measure how far each level's ratio changes.

        Returns
        -------
        pandas.DataFrame
            One row per covariate and level with at least two stretches: its two extreme ratios in the order of tenure,
            `first` and `last`, with their stretches, and `spread`, the larger over the smaller. The largest change
            first, covariates that clearly change (where there are several) before all others.
        """
        told = self.shown.assign(covariate=self.table["covariate"]).dropna(subset="hazard_ratio")
        rows, limit = [], 1 - self.about.conf_level
        for (covariate, level), part in told.groupby(["covariate", "level"], sort=False):
            if len(part) < 2:
                continue
            extremes = part.loc[[part["hazard_ratio"].idxmin(), part["hazard_ratio"].idxmax()]]
            first, last = (row for _, row in extremes.sort_values("months").iterrows())
            row = {"covariate": covariate, "level": level, "first": first.hazard_ratio, "first_months": first.stretch}
            row |= {"last": last.hazard_ratio, "last_months": last.stretch}
            row |= {"changes": not self.is_one and self.p_covariate.get(covariate, 1.0) < limit}
            rows.append(row | {"spread": float(np.exp(abs(np.log(last.hazard_ratio / first.hazard_ratio))))})
        names = ["covariate", "level", "first", "first_months", "last", "last_months", "changes", "spread"]
        found = pd.DataFrame(rows, columns=names)
        return found.sort_values(["changes", "spread"], ascending=False, ignore_index=True, kind="stable")

    @property
    def findings(self) -> tuple[Finding, ...]:
        spreads = self.spreads()
        if spreads.empty or np.isnan(self.p_value):
            return (Finding("survival.ratios.too_few", {"segment": self.about.segment.label}),)
        far = spreads.iloc[0].to_dict()
        values = far | {"level": self.named(far["covariate"], far["level"]), "p": self.p_value}
        if self.p_value >= 1 - self.about.conf_level:
            return (Finding("survival.ratios.steady", values),)
        key = "change" if far["spread"] >= MATTERS else "small"
        return (Finding(f"survival.ratios.{key}", values, grade="weak" if key == "change" else "descriptive"),)

    @property
    def subtitle(self) -> Statement:
        features = self.about.segment.label if self.is_one else text.label("survival.ratios.features")
        return Statement("survival.ratios.subtitle", {"segment": features})

    @property
    def notes(self) -> tuple[Statement, ...]:
        return (Statement("survival.note.ratios", {"p": self.p_value, "matters": MATTERS}),)

    def plot(self, ax=None):
        """The levels whose ratio changes most, and the reference at 1."""
        shown, drawn = self.shown.assign(covariate=self.table["covariate"]), self.spreads().head(LINES - 1)
        if drawn.empty:
            return None
        end, one = min(self.end, DRAWN_TO), self.table.iloc[0]
        reference = self.named(one.covariate, one.reference) if self.is_one else text.say("survival.ratios.reference")
        curves = [plots.Curve(f"{reference} = 1", (0.0, end), (1.0, 1.0), role="mute")]
        for row in drawn.itertuples():
            rows = shown[(shown["covariate"] == row.covariate) & (shown["level"] == row.level)]
            known = np.flatnonzero(rows["hazard_ratio"].notna())
            after = rows["months"].iloc[known[-1] + 1] if known[-1] + 1 < len(rows) else end
            # the last stretch is drawn to its end: a step has to be repeated there
            rows = rows.iloc[[*range(known[0], known[-1] + 1), known[-1]]]
            rows = rows.assign(months=[*rows["months"].iloc[:-1], after])
            # several bands over each other could not be told apart: the level that changes most has one
            curves.append(curve_of(rows, "hazard_ratio", str(self.named(row.covariate, row.level)), row.Index == 0))
        return by_tenure(curves, end, ax, kind="ratio", zero=False)


def stretches(months: pd.Series) -> list[str]:
    """Name stretches by their months: 0–3, 3–12, 12–24, 24+."""
    ends = dict(zip(WINDOWS, (*(f"–{m}" for m in WINDOWS[1:]), "+"), strict=True))
    return [f"{m}{ends[m]}" for m in months]


def ratios_by_tenure(model: HazardRatios) -> RatiosByTenure:
    """Set the hazard ratios of every stretch of tenure beside each other: how far from proportional the hazards are.

    Parameters
    ----------
    model : HazardRatios
        From `proportional_hazards(counts)`.

    Returns
    -------
    RatiosByTenure
        One row per covariate, level and stretch of tenure.
    """
    references = model.table[model.table["is_reference"]].set_index("covariate")["level"]
    table = model.checks.assign(reference=model.checks["covariate"].map(references))
    name = model.name.replace("hazard_ratios", "ratios_by_tenure")
    tests = model.proportional.iloc[:-1]
    adjusted = dict(zip(tests["covariate"], holm(tests["p_value"].to_numpy(float)), strict=True))
    p_value = float(model.proportional.iloc[-1]["p_value"])
    has = {"p_value": p_value, "p_covariate": adjusted, "end": model.end, "segments": model.segments}
    return RatiosByTenure(about=model.about, table=table, name=name, **has)
