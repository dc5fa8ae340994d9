"""Counting: spells, activity, surveys in; small additive frames out. The only place that knows SQL.

- what churn is, as spells: `definitions` (`contracts`, `inactivity`, `decline`)
- what all counts share: `base`; what is revenue: `revenue`; few customers: `legible`
- by period: `periods` (the ledger), `crossed` (several segments), `scopes` (whom an event touched), `states`,
  `tracking`, `benchmarks`
- by tenure: `tenure`, `recent` (by what happened lately), `origins` (cut at earlier days)
- by start: `cohorts` (`cohortages`, `cohortsteps`, `cohortmoney`), `cohortperiods`
- money and buying: `bridge`, `worth`, `losses`, `repeats` (`histories`: what each customer brought month by month)
- reasons: `reasons`, `answers`, `texts` (`masking`), `leavers`; what goes with losses: `panel` (`drivers`,
  `exposures`), `leaving`, `holders`; the evidence for a limit: `evidence`
"""

from churnlib.counts.answers import answer_counts
from churnlib.counts.base import Counts
from churnlib.counts.benchmarks import benchmark_rows
from churnlib.counts.bridge import bridge_counts
from churnlib.counts.cohortmoney import money_counts
from churnlib.counts.cohortperiods import cohort_period_counts
from churnlib.counts.cohorts import cohort_counts, cohort_mode, cohort_unit
from churnlib.counts.crossed import crossed_counts, slice_counts, unit_counts
from churnlib.counts.holders import holder_attribute, holder_counts
from churnlib.counts.leavers import reason_leavers
from churnlib.counts.leaving import profile_counts
from churnlib.counts.legible import divided_counts, legible_counts
from churnlib.counts.losses import loss_counts
from churnlib.counts.origins import origin_counts
from churnlib.counts.panel import panel_counts
from churnlib.counts.periods import period_counts
from churnlib.counts.reasons import lost_to_counts, reason_counts, reason_pair_counts, response_counts
from churnlib.counts.repeats import purchase_counts, repeat_counts
from churnlib.counts.scopes import scope_counts
from churnlib.counts.states import state_counts
from churnlib.counts.tenure import tenure_counts
from churnlib.counts.texts import text_counts
from churnlib.counts.tracking import campaign_counts, companion_counts, tracking_counts
from churnlib.counts.worth import band_counts, band_window, quiet_counts, worth_counts

__all__ = [
    "Counts",
    "answer_counts",
    "band_counts",
    "band_window",
    "benchmark_rows",
    "bridge_counts",
    "campaign_counts",
    "cohort_counts",
    "cohort_mode",
    "cohort_unit",
    "cohort_period_counts",
    "companion_counts",
    "crossed_counts",
    "loss_counts",
    "money_counts",
    "divided_counts",
    "legible_counts",
    "lost_to_counts",
    "origin_counts",
    "holder_attribute",
    "holder_counts",
    "panel_counts",
    "period_counts",
    "profile_counts",
    "purchase_counts",
    "quiet_counts",
    "reason_counts",
    "reason_leavers",
    "reason_pair_counts",
    "repeat_counts",
    "response_counts",
    "scope_counts",
    "slice_counts",
    "state_counts",
    "tenure_counts",
    "text_counts",
    "tracking_counts",
    "unit_counts",
    "worth_counts",
]
