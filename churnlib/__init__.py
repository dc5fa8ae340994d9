"""The churn workbook: one declared definition of churn -> counts -> statistics -> a story -> a report to be trusted.

Verbs, in the order in which data flow (each is loaded when it is first used):

- data: `open_dataset`, `set_language`; `print_form`, the churn form of one customer to be filled in
- counts: `period_counts`, `legible_counts`, `divided_counts`, `scope_counts`, `crossed_counts`, `tracking_counts`,
  `tenure_counts`, `cohort_counts`, `reason_counts`, `response_counts`; what to count by beside segments:
  `recently`, `features`
- results: `tracking_table`, `customer_ledger`, `churn_trend`, `segment_rates`, `control_chart`, `change_points`,
  `event_effects`, `churn_forecast`; `decompose_change`, `find_slices`, `unit_funnel`, `companion_signals`,
  `market_comparison`; `kaplan_meier` ...; `cohort_retention`;
  `stated_reasons`, `reasons_across`, `reasons_together`, `follow_up`, `lost_to`, `coded_texts`, `reconcile_levels`,
  `reconcile_changes`; `files_read`, `rules_applied`, `what_is_counted`
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
    "value.buying": ["still_active"],
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
