"""Those who came back: how long customers stay after a return, with the clock restarted.

Later spells never enter the curves of first spells. One customer can return several times, so the intervals come from
leaving out one block of customers at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from churnlib.show.results import Finding, Kpi, Statement
from churnlib.survival.curves import LevelCurve
from churnlib.survival.lifetable import anniversary
from churnlib.survival.survival import SurvivalCurve, grown, kaplan_meier, main_month


@dataclass(frozen=True, kw_only=True)
class ReturnSurvival(SurvivalCurve):
    """The survival curve of later spells; `table` as in `SurvivalCurve`, tenure counted from the return."""

    @property
    def n_returned(self) -> float:
        """Spells after a return."""
        return float(self.life.n_entered.sum())

    @property
    def findings(self) -> tuple[Finding, ...]:
        values = {"n": self.n_returned, "minimum": self.about.min_denominator}
        if not self.n_returned:
            return (Finding("survival.returned.none", values),)
        told = [curve for curve in self.curves if len(curve.tenure) and curve.start == 0]
        return tuple(self._stay_finding(curve, values) for curve in told) or (Finding("survival.returned.few", values),)

    def _stay_finding(self, curve: LevelCurve, values: dict) -> Finding:
        """The share that stays, at the main reading or the last month before it that the curve reaches."""
        for months in range(main_month(self.about), int(self.about.earliest_churn), -1):
            tenure = anniversary(months, self.life.unit)
            if tenure <= curve.tenure[-1]:
                read = {name: float(value) for name, value in curve.read(tenure).items()}
                values |= {"months": months, "rate": read["survival"]}
                known = 0 < read["survival"] < 1  # the log-log interval has no value at the ends
                values |= {"lower": read["ci_lower"], "upper": read["ci_upper"]} if known else {}
                key = "stay" if known else "all"
                return Finding(f"survival.returned.{key}", values)
        return Finding("survival.returned.few", values)

    @property
    def subtitle(self) -> Statement | None:
        values = {"as_of": self.about.as_of, "n": self.n_returned, "lost": self.life.n_events.sum()}
        return Statement("survival.returned.subtitle", values) if self.n_returned else None

    @property
    def notes(self) -> tuple[Statement, ...]:
        if not self.n_returned:
            return ()
        cut = Statement("survival.note.cut", {"n": self.about.min_denominator})
        return Statement("survival.note.returned"), Statement("survival.note.jackknife"), cut, *self._rule_notes()

    @property
    def kpis(self) -> tuple[Kpi, ...]:
        return ()  # retention after 12 months is a figure of first spells


def survival_after_return(counts) -> ReturnSurvival:
    """Estimate how long customers stay after they came back, with the clock restarted at the return.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, spells="later", blocks=True)`.

    Returns
    -------
    ReturnSurvival
        One row per tenure at which somebody left; where nobody has returned, a result that says so.
    """
    return grown(ReturnSurvival, kaplan_meier(counts), name="survival_after_return")
