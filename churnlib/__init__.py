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
        "panel_counts",
        "profile_counts",
        "holder_attribute",
        "holder_counts",
        "quiet_counts",
    ],
    "statistics.trend": ["churn_trend"],
    "statistics.control": ["control_chart"],
    "statistics.changepoint": ["change_points"],
    "statistics.impact": ["event_effects"],
    "statistics.forecast": ["churn_forecast"],
    "statistics.segmentrates": ["segment_rates"],
    "statistics.decompose": ["decompose_change"],
    "statistics.slices": ["find_slices"],
    "statistics.units": ["unit_funnel"],
    "statistics.companions": ["companion_signals"],
    "statistics.market": ["market_comparison"],
    "statistics.ledger": ["tracking_table", "customer_ledger"],
    "tenure.staying": ["length_of_stay", "ways_of_leaving"],
    "tenure.projected": ["project_survival"],
    "tenure.survival": ["kaplan_meier"],
    "tenure.milestones": ["survival_table", "tenure_quantiles"],
    "tenure.logrank": ["logrank_test"],
    "tenure.tenure_risk": ["hazard_by_tenure", "conditional_survival"],
    "tenure.incidence": ["cumulative_incidence"],
    "tenure.gray": ["gray_test"],
    "tenure.moneysurvival": ["money_survival"],
    "tenure.restricted": ["months_stayed"],
    "tenure.hazard": ["proportional_hazards"],
    "tenure.ratios": ["ratios_by_tenure"],
    "statistics.discrete": ["discrete_hazard"],
    "tenure.returns": ["survival_after_return"],
    "statistics.cohort": ["cohort_retention"],
    "statistics.departures": ["cohort_departures"],
    "statistics.moneyretention": ["money_retention"],
    "statistics.projection": ["project_retention", "residual_lifetime"],
    "statistics.value": ["revenue_bridge", "customer_value"],
    "statistics.concentration": ["fee_concentration", "service_cost"],
    "statistics.valuebands": ["value_migration"],
    "statistics.bridge": ["billed_bridge"],
    "statistics.quiet": ["quiet_customers"],
    "statistics.losses": ["lost_money"],
    "statistics.purchases": ["expected_value"],
    "statistics.attributable": ["attributable_reasons"],
    "statistics.leaving": ["leaving_profile"],
    "statistics.holders": ["holder_changes", "holder_units"],
    "statistics.reasons": ["stated_reasons", "enough_periods"],
    "statistics.followup": ["follow_up", "lost_to"],
    "statistics.across": ["reasons_across", "follow_up_across", "lost_to_across"],
    "statistics.together": ["reasons_together"],
    "statistics.texts": ["coded_texts", "text_agreement"],
    "statistics.reconcile": ["reconcile_levels"],
    "statistics.reasonchanges": ["reconcile_changes"],
    "statistics.rivals": ["rival_definitions", "rival_rankings"],
    "statistics.limits": ["limit_evidence"],
    "statistics.buying": ["still_active"],
    "statistics.quality": ["files_read", "rules_applied", "what_is_counted"],
}
_HOME = {verb: module for module, verbs in _VERBS.items() for verb in verbs}

__all__ = sorted(_HOME)  # noqa: PLE0604


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"churnlib.{_HOME[name]}"), name)
    raise AttributeError(f"churnlib has no verb {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
