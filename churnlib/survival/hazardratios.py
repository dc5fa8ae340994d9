"""Which features go with a higher risk of leaving, all of them looked at together: Cox's proportional hazards model.

A hazard ratio says "associated with", never "causes". It is one number for the whole life; `checks` say how far the
ratio changes with tenure, and by how much that matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtri

from churnlib import text
from churnlib.about import Segment
from churnlib.show import disclosure, plots
from churnlib.show.results import Column, Finding, Statement, table_columns
from churnlib.survival import cox
from churnlib.survival.base import SurvivalResult
from churnlib.survival.efron import Fit
from churnlib.survival.lifetable import ALL, per_month
from churnlib.text import Label, UsageError

DRAWN = 14  # rows of the figure at most: the clearest
YES_NO = ("no", "yes", "unknown")  # levels of a feature that says whether something happened


@dataclass(frozen=True, kw_only=True)
class FeatureResult(SurvivalResult):
    """A result with a row per feature and level, of one or several features.

    Attributes
    ----------
    segments : tuple of Segment
        The features; their names are the column `covariate` of `table`.
    """

    segments: tuple[Segment, ...] = ()

    @property
    def is_one(self) -> bool:
        return len(self.segments) < 2

    def named(self, covariate: str, level: str) -> Label:
        """Name a level for a sentence or a figure: with its feature where there are several."""
        segment = next((s for s in self.segments if s.name == covariate), self.about.segment)
        if segment.levels == YES_NO and level != "unknown":
            return segment.label if level == "yes" else text.label("counts.recent.without")
        label = text.label("survival.all") if level == ALL else segment.label_of(level)
        return label if self.is_one else text.label("survival.model.level", feature=segment.label, level=label)

    def names_of(self, rows: pd.DataFrame) -> list[Label]:
        """Name the levels of rows by covariate and level."""
        return [self.named(*row) for row in zip(rows["covariate"], rows["level"], strict=True)]

    def _column_text(self, column: Column, values: pd.Series, language: str) -> tuple[str, list[str]]:
        heading, cells = super()._column_text(column, values, language)
        features = {s.name: s for s in self.segments}
        if column.name == "covariate":
            cells = [features[name].label.to(language) for name in values]
        elif column.kind == "level" and set(values) != {ALL}:
            names = self.table.loc[values.index, "covariate"]
            cells = [features[n].label_of(v).to(language) for n, v in zip(names, values, strict=True)]
        return heading, cells


@dataclass(frozen=True, kw_only=True)
class HazardRatios(FeatureResult):
    """Hazard ratios of a Cox model with categorical covariates.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per covariate and level, the reference first: `n_customers` who were ever in the level, `n_events`,
        `hazard_ratio` against the reference with `ci_lower`, `ci_upper`, `log_ratio` with `std_error`, `p_value`;
        missing where the coefficient `is_separated` or `is_aliased` (cannot be told apart from the others).
    checks : pandas.DataFrame
        One row per covariate, level and window of tenure (from `months`): `n_events` of the level and `hazard_ratio`
        with its interval in it (see `churnlib.survival.ratios`).
    proportional : pandas.DataFrame
        One row per covariate and "" (all): the score test that the ratios do not change with tenure, `statistic`,
        `df`, `p_value`. With very many customers the smallest change is significant: read `checks` with it.
    fit : Fit
    n_customers, n_events : float
        Of all levels together, each customer once.
    strata : tuple of Label
        Features within whose levels customers are compared.
    end : float
        Months of tenure at which the last customer was seen to leave.
    by_blocks, has_moves : bool
        Whether the errors allow for several spells of one customer; whether customers changed level.
    """

    checks: pd.DataFrame
    proportional: pd.DataFrame
    fit: Fit
    n_customers: float = 0.0
    n_events: float = 0.0
    strata: tuple[Label, ...] = ()
    end: float = 0.0
    by_blocks: bool = False
    has_moves: bool = False

    columns: ClassVar[tuple[Column, ...]] = table_columns(
        "covariate:text level n_customers n_events hazard_ratio:ratio ci_lower:ratio ci_upper:ratio p_value flag"
    )
    folded: ClassVar[bool] = False

    @property
    def shown(self) -> pd.DataFrame:
        hides = ("n_events", "hazard_ratio", "ci_lower", "ci_upper", "log_ratio", "std_error", "p_value")
        table = self.table
        if not self.fit.converged:
            table = table.assign(**{c: np.nan for c in hides[1:]})
        how = {"count": "n_events", "base": "n_customers", "hides": hides, "within": ("covariate",)}
        shown = disclosure.protect(table, self.about, **how)
        return shown.drop(columns="covariate") if self.is_one else shown

    def _told(self) -> pd.DataFrame:
        """The levels with a ratio that may be shown, with their names."""
        told = self.shown.assign(covariate=self.table["covariate"]).dropna(subset="p_value")
        return told.assign(named=pd.Series(self.names_of(told), told.index, dtype=object))

    @property
    def findings(self) -> tuple[Finding, ...]:
        told = self._told()
        if not any(segment.name for segment in self.segments):
            return (Finding("survival.model.none"),)
        if not self.fit.converged:
            return (Finding("survival.model.not_converged"),)
        if told.empty:
            return (Finding("survival.model.too_few", {"n": self.about.min_denominator}), *self._left_out())
        # many levels are looked at: intervals widened for their number decide who is named
        z = ndtri(1 - (1 - self.about.conf_level) / 2 / len(told))
        clear = told[told["log_ratio"].abs() > z * told["std_error"]]
        if clear.empty:
            return (Finding("survival.ratio.alike", {"n": len(told)}), *self._left_out())
        far = clear.loc[clear["log_ratio"].abs().idxmax()]
        values = {"level": far.named, "ratio": far.hazard_ratio, "lower": far.ci_lower, "upper": far.ci_upper}
        is_reference = (self.table["covariate"] == far.covariate) & self.table["is_reference"]
        values |= {"reference": self.names_of(self.table[is_reference])[0]}
        tone, key = ("worse", "higher") if far.log_ratio > 0 else ("better", "lower")
        weight = float(far.n_events * abs(1 - 1 / far.hazard_ratio)) / self.about.years
        main = Finding(f"survival.ratio.{key}", values, grade="weak", tone=tone, weight=weight)
        return (main, *self._others(clear.drop(far.name), len(told)), *self._left_out())

    def _others(self, clear: pd.DataFrame, n: int) -> tuple[Finding, ...]:
        """What else goes with leaving sooner, the strongest first."""
        sooner = clear[clear["log_ratio"] > 0].sort_values("log_ratio", ascending=False)
        if self.is_one or sooner.empty:
            return ()
        values = {"levels": sooner["named"].tolist()[:5], "clear": len(clear) + 1, "n": n}
        return (Finding("survival.model.others", values),)

    def _left_out(self) -> tuple[Finding, ...]:
        """Say which ratios cannot be given, and why."""
        large = self.table[self.table["n_customers"] >= self.about.min_denominator]
        gone = {key: self.names_of(large[large[f"is_{key}"]]) for key in ("separated", "aliased")}
        return tuple(Finding(f"survival.ratio.{key}", {"levels": names}) for key, names in gone.items() if names)

    @property
    def subtitle(self) -> Statement:
        values = {"n": self.n_customers, "lost": self.n_events, "segment": self.about.segment.label}
        return Statement("survival.ratio.subtitle" if self.is_one else "survival.model.subtitle", values)

    @property
    def notes(self) -> tuple[Statement, ...]:
        told = self.checks[self.checks["n_events"] >= max(self.about.privacy_k, 1)]
        ratios = told.dropna(subset="hazard_ratio").groupby(["covariate", "level"])["hazard_ratio"]
        spread = float((ratios.max() / ratios.min()).max()) if len(ratios) else np.nan
        notes = [Statement("survival.note.cox")]
        left_out = len(self._told()) - DRAWN
        notes += [] if self.is_one else [Statement("survival.note.model")]
        notes += [Statement("survival.note.strata", {"names": list(self.strata)})] if self.strata else []
        notes += [Statement("survival.note.recent")] if any(s.levels == YES_NO for s in self.segments) else []
        notes += self._move_notes() if self.has_moves else ()
        notes += [Statement("survival.note.jackknife")] if self.by_blocks else []
        notes += [Statement("survival.note.clearest", {"n": DRAWN, "left_out": left_out})] if left_out > 0 else []
        return (
            *notes,
            Statement("survival.note.proportional", {"p": self.proportional["p_value"].iloc[-1], "spread": spread}),
        )

    def plot(self, ax=None):
        told = self._told()
        if told.empty:
            return None
        order = (told["log_ratio"].abs() / told["std_error"]).sort_values(ascending=False).index[:DRAWN]
        told = told.loc[sorted(order)]
        labels = [str(name) for name in told["named"]]
        tones = np.select([told["ci_lower"] > 1, told["ci_upper"] < 1], ["worse", "better"], "steady")
        columns = [
            (text.say(f"results.column.{name}"), [text.show(n, "number", digits=0) for n in told[name]])
            for name in ("n_customers", "n_events")
        ]
        how = {"sides": (text.say("survival.ratio.fewer"), text.say("survival.ratio.more")), "tones": list(tones)}
        how |= {"reference": 1, "kind": "ratio", "digits": 2, "log": True, "columns": columns}
        return plots.forest(labels, told["hazard_ratio"], told["ci_lower"], told["ci_upper"], **how, ax=ax)


def proportional_hazards(
    counts, *, references: dict[str, str] | None = None, strata: str | Sequence[str] = ()
) -> HazardRatios:
    """Fit Cox's model on features with levels, from counts per pattern of levels and tenure.

    Exact for tied tenures (Efron's way), late entry and levels that change with time. Assumes proportional hazards: see
    `checks` and `proportional`. Counts by block (`tenure_counts(..., blocks=True)`) give errors that allow for several
    spells of one customer, as after a return. The pieces of one spell need none: they never overlap, and only the last
    can end in churn.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=...)`, by one segment or feature or by several at once.
    references : dict of str to str, optional
        Feature to the level that the others are set against; the one with most customers if not given.
    strata : str or sequence of str
        Features of the counts whose levels each have a risk by tenure of their own, and no ratio.

    Returns
    -------
    HazardRatios
        One row per feature and level.
    """
    about = counts.about
    segments = getattr(counts, "segments", None) or (about.segment,)
    frame, patterns = _patterns(counts, segments)
    strata = [strata] if isinstance(strata, str) else list(strata)
    _check_names(segments, patterns, references or {}, strata)
    orders = {s.name: s.levels for s in segments}
    model = cox.fit_cox(frame, patterns, references=references, orders=orders, strata=strata)
    by_blocks = "block" in frame
    std_error = cox.block_errors(frame, patterns, model, strata) if by_blocks else model.fit.std_error
    table = _table(frame, patterns, model, std_error, getattr(counts, "sizes", None), about.conf_level)
    left = frame.loc[frame["n_events"] > 0, "tenure"].max()
    has = {
        "segments": tuple(s for s in segments if s.name not in strata),
        "checks": cox.ratios_by_window(model, about),
        "proportional": cox.proportionality_test(model.likelihood, model.fit, [c for c, _ in model.terms]),
        "fit": model.fit,
        "n_customers": float(frame["n_entered"].sum()),
        "n_events": float(frame["n_events"].sum()),
        "strata": tuple(s.label for s in segments if s.name in strata),
        "end": float(left / per_month(about.time_unit)) if pd.notna(left) else 0.0,
        "by_blocks": by_blocks,
        "has_moves": "n_moved_in" in frame and bool(frame["n_moved_in"].any()),
    }
    return HazardRatios(about=about, table=table, name=about.named("hazard_ratios"), **has)


def _patterns(counts, segments: tuple[Segment, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The counts with numbered patterns; with one segment its levels are the patterns."""
    if getattr(counts, "patterns", None) is not None:
        return counts.frame, counts.patterns
    frame = counts.frame.astype({"level": str})
    if frame.empty:  # nobody: one level without customers, so that the result can say so
        frame = pd.DataFrame([{"level": ALL} | dict.fromkeys(cox.MOVES, 0)])
    frame, patterns = cox.number_patterns(frame, ["level"])
    return frame, patterns.set_axis([segments[0].name], axis=1)


def _check_names(segments, patterns: pd.DataFrame, references: dict[str, str], strata: list[str]) -> None:
    known = [s.name for s in segments]
    for name in (*references, *strata):
        if name not in known:
            raise UsageError("survival.model.unknown", name=name, known=known)
    for name, level in references.items():
        if level not in set(patterns[name]):
            raise UsageError("survival.model.unknown", name=level, known=sorted(set(patterns[name])))


def _table(frame, patterns, model: cox.CoxModel, std_error, sizes, conf_level: float) -> pd.DataFrame:
    """One row per covariate and level, each reference first."""
    of_pattern = frame.groupby("pattern")[["n_entered", "n_events"]].sum()
    found, tables = cox.estimates(model, std_error, conf_level), []
    for name, reference in model.references.items():
        sums = of_pattern.groupby(patterns[name].reindex(of_pattern.index).to_numpy()).sum()
        customers = sizes.loc[name, "n_customers"] if sizes is not None and name in sizes.index else sums["n_entered"]
        levels = [reference, *(level for covariate, level in model.terms if covariate == name)]
        table = pd.DataFrame({"covariate": name, "level": levels, "n_customers": customers[levels].to_numpy()})
        table = table.assign(n_events=sums["n_events"][levels].to_numpy(), is_reference=table["level"] == reference)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True).join(found, on=["covariate", "level"])
    of_reference = {"log_ratio": 0.0, "std_error": 0.0, "hazard_ratio": 1.0, "is_separated": False, "is_aliased": False}
    for column, value in of_reference.items():
        table[column] = table[column].where(~table["is_reference"], value)
    return table
