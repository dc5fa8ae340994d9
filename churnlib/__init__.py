"""The churn workbook: one declared definition of churn -> counts -> statistics -> a story -> a report to be trusted.

The verbs that notebooks use, in the order in which data flow; each is loaded when it is first used. A result shows
itself: finding, figure, notes, table.

- data: `open_dataset` with `.where(...)`, `set_language`; `print_form`, the churn form of one customer to be filled in
- counts, from data: `..._counts`; what to count by beside segments: `recently`, `features`
- 0-data-check: `files_read`, `rules_applied`, `what_is_counted`
- 1-trend, 1-why: `churn_trend`, `control_chart`, `change_points`, `event_effects`, `churn_forecast`, `segment_rates`,
  `tracking_table`, `customer_ledger`; `decompose_change`, `find_slices`, `unit_funnel`, `companion_signals`,
  `market_comparison`
- 2-survival: `length_of_stay`, `kaplan_meier`, `survival_table`, `hazard_by_tenure`, `cumulative_incidence`,
  `ways_of_leaving`, `proportional_hazards`, `months_stayed`, `money_survival`, `project_survival` and their tests
- 3-cohort: `cohort_retention`, `retention_curves`, `money_retention`, `cohort_departures`, `project_retention`,
  `residual_lifetime`
- 4-reasons: `attributable_reasons`, `stated_reasons`, `reasons_across`, `reasons_together`, `reconcile_levels`,
  `reconcile_changes`, `follow_up`, `lost_to`, `coded_texts`, `leaving_profile`, `holder_changes`
- 5-definitions, 5-inactivity: `rival_definitions`, `rival_rankings`; `limit_evidence`, `still_active`
- 6-value: `revenue_bridge`, `quiet_customers`, `value_migration`, `lost_money`, `fee_concentration`, `service_cost`,
  `customer_value`, `expected_value`
"""

from importlib import import_module

_VERBS = {
    "text": ["set_language"],
    "model.dataset": ["open_dataset"],
    "model.form_print": ["print_form"],
    "counts.definitions": ["excluded"],
    "counts.evidence": ["gap_evidence"],
    "counts.recent": ["recently", "features"],
    "counts": [
        "period_counts",
        "legible_counts",
        "divided_counts",
        "tracking_counts",
        "tenure_counts",
        "origin_counts",
        "cohort_counts",
        "cohort_mode",
        "cohort_unit",
        "cohort_period_counts",
        "reason_counts",
        "response_counts",
        "answer_counts",
        "reason_pair_counts",
        "lost_to_counts",
        "text_counts",
        "reason_leavers",
        "repeat_counts",
        "crossed_counts",
        "scope_counts",
        "slice_counts",
        "unit_counts",
        "companion_counts",
        "benchmark_rows",
        "worth_counts",
        "band_counts",
        "band_window",
        "bridge_counts",
        "purchase_counts",
        "loss_counts",
        "money_counts",
        "panel_counts",
        "profile_counts",
        "holder_attribute",
        "holder_counts",
        "quiet_counts",
    ],
    "trend.trend": ["churn_trend"],
    "trend.control": ["control_chart"],
    "trend.changepoint": ["change_points"],
    "trend.impact": ["event_effects"],
    "trend.forecast": ["churn_forecast"],
    "trend.segmentrates": ["segment_rates"],
    "trend.decompose": ["decompose_change"],
    "trend.slices": ["find_slices"],
    "trend.units": ["unit_funnel"],
    "trend.companions": ["companion_signals"],
    "trend.market": ["market_comparison"],
    "trend.ledger": ["tracking_table", "customer_ledger"],
    "survival.staying": ["length_of_stay", "ways_of_leaving"],
    "survival.projected": ["project_survival"],
    "survival.survival": ["kaplan_meier"],
    "survival.milestones": ["survival_table", "conditional_survival"],
    "survival.quantiles": ["tenure_quantiles"],
    "survival.logrank": ["logrank_test"],
    "survival.hazard": ["hazard_by_tenure"],
    "survival.incidence": ["cumulative_incidence"],
    "survival.gray": ["gray_test"],
    "survival.moneysurvival": ["money_survival"],
    "survival.restricted": ["months_stayed"],
    "survival.hazardratios": ["proportional_hazards"],
    "survival.ratios": ["ratios_by_tenure"],
    "survival.discrete": ["discrete_hazard"],
    "survival.returns": ["survival_after_return"],
    "cohorts.cohort": ["cohort_retention"],
    "cohorts.cohortcurves": ["retention_curves"],
    "cohorts.departures": ["cohort_departures"],
    "cohorts.moneyretention": ["money_retention"],
    "cohorts.projection": ["project_retention", "residual_lifetime"],
    "value.value": ["revenue_bridge", "customer_value"],
    "value.concentration": ["fee_concentration", "service_cost"],
    "value.valuebands": ["value_migration"],
    "value.bridge": ["billed_bridge"],
    "value.quiet": ["quiet_customers"],
    "value.losses": ["lost_money"],
    "value.buying": ["still_active"],
    "value.purchases": ["expected_value"],
    "reasons.attributable": ["attributable_reasons"],
    "reasons.leaving": ["leaving_profile"],
    "reasons.holders": ["holder_changes", "holder_units"],
    "reasons.reasons": ["stated_reasons", "enough_periods"],
    "reasons.followup": ["follow_up", "lost_to"],
    "reasons.across": ["reasons_across", "follow_up_across", "lost_to_across"],
    "reasons.together": ["reasons_together"],
    "reasons.texts": ["coded_texts", "text_agreement"],
    "reasons.reconcile": ["reconcile_levels"],
    "reasons.reasonchanges": ["reconcile_changes"],
    "quality.rivals": ["rival_definitions", "rival_rankings"],
    "quality.limits": ["limit_evidence"],
    "quality.quality": ["files_read", "rules_applied", "what_is_counted"],
}
_HOME = {verb: module for module, verbs in _VERBS.items() for verb in verbs}

__all__ = sorted(_HOME)  # noqa: PLE0604


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"churnlib.{_HOME[name]}"), name)
    raise AttributeError(f"churnlib has no verb {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
