"""Those who came back: how long customers stay after a return, with the clock restarted.

Later spells never enter the curves of first spells. One customer can return several times, so the intervals come from
leaving out one block of customers at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from churnlib.show.results import Finding, Kpi, Statement
from churnlib.survival.base import grown, main_month
from churnlib.survival.curves import LevelCurve
from churnlib.survival.lifetable import anniversary
from churnlib.survival.survival import SurvivalCurve, kaplan_meier


@dataclass(frozen=True, kw_only=True)
class ReturnSurvival(SurvivalCurve):
    """The survival curve of later spells; `table` as in `SurvivalCurve`, tenure counted from the return."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        values = {"n": self.n_followed, "minimum": self.about.min_denominator}
        if not self.n_followed:
            return (Finding("survival.returned.none", values),)
        if len(self.curves) > 1:
            return super().findings
        return (self._stay_finding(self.curves[0], values),)

    def _stay_finding(self, curve: LevelCurve, values: dict) -> Finding:
        """The share that stays, at the main reading or the last month before it that the curve reaches."""
        reached = curve.tenure[-1] if len(curve.tenure) and curve.start == 0 else -1.0
        for months in range(main_month(self.about), int(self.about.earliest_churn), -1):
            tenure = anniversary(months, self.life.unit)
            if tenure <= reached:
                read = {name: float(value) for name, value in curve.read(tenure).items()}
                values |= {"months": months, "rate": read["survival"]}
                if not 0 < read["survival"] < 1:  # the log-log interval has no value at the ends
                    return Finding("survival.returned.all", values)
                values |= {"lower": read["ci_lower"], "upper": read["ci_upper"]}
                return Finding("survival.returned.stay", values)
        return Finding("survival.returned.few", values)

    @property
    def subtitle(self) -> Statement | None:
        values = {"as_of": self.about.as_of, "n": self.n_followed, "lost": self.life.n_events.sum()}
        return Statement("survival.returned.subtitle", values) if self.n_followed else None

    @property
    def notes(self) -> tuple[Statement, ...]:
        if not self.n_followed:
            return ()
        how = Statement("survival.note.returned"), Statement("survival.note.jackknife")
        return (*how, self._cut_note(), *self._rule_notes())

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
