"""The churn workbook: one declared definition of churn -> counts -> statistics -> a story -> a report to be trusted.

Verbs, in the order in which data flow (each is loaded when it is first used):

- data: `open_dataset`, `set_language`
- counts: `period_counts`, `tracking_counts`, `tenure_counts`, `cohort_counts`, `reason_counts`, `response_counts`
- results: `tracking_table`, `customer_ledger`, `churn_trend`, `segment_rates`, `control_chart`, `change_points`,
  `event_effects`, `churn_forecast`; `kaplan_meier` ...; `cohort_retention`;
  `stated_reasons`, `follow_up`; `files_read`, `rules_applied`, `what_is_counted`
"""

from importlib import import_module

_VERBS = {
    "text": ["set_language"],
    "dataset": ["open_dataset"],
    "definitions": ["excluded"],
    "inactivity": ["gap_evidence"],
    "counts": [
        "period_counts",
        "tracking_counts",
        "tenure_counts",
        "cohort_counts",
        "reason_counts",
        "response_counts",
        "repeat_counts",
        "crossed_counts",
        "slice_counts",
        "unit_counts",
        "companion_counts",
        "benchmark_rows",
        "worth_counts",
        "band_counts",
        "band_window",
    ],
    "trend": ["churn_trend"],
    "control": ["control_chart"],
    "changepoint": ["change_points"],
    "impact": ["event_effects"],
    "forecast": ["churn_forecast"],
    "segmentrates": ["segment_rates"],
    "decompose": ["decompose_change"],
    "slices": ["find_slices"],
    "units": ["unit_funnel"],
    "companions": ["companion_signals"],
    "market": ["market_comparison"],
    "ledger": ["tracking_table", "customer_ledger"],
    "survival": ["kaplan_meier"],
    "milestones": ["survival_table", "tenure_quantiles"],
    "logrank": ["logrank_test"],
    "tenure_risk": ["hazard_by_tenure", "conditional_survival"],
    "incidence": ["cumulative_incidence"],
    "gray": ["gray_test"],
    "moneysurvival": ["money_survival"],
    "restricted": ["months_stayed"],
    "hazard": ["proportional_hazards"],
    "ratios": ["ratios_by_tenure"],
    "discrete": ["discrete_hazard"],
    "returns": ["survival_after_return"],
    "cohort": ["cohort_retention"],
    "projection": ["project_retention", "residual_lifetime"],
    "value": ["revenue_bridge", "customer_value"],
    "concentration": ["fee_concentration", "service_cost"],
    "valuebands": ["value_migration"],
    "reasons": ["stated_reasons", "follow_up"],
    "rivals": ["rival_definitions", "rival_rankings"],
    "limits": ["limit_evidence"],
    "buying": ["still_active"],
    "quality": ["files_read", "rules_applied", "what_is_counted"],
}
_HOME = {verb: module for module, verbs in _VERBS.items() for verb in verbs}

__all__ = sorted(_HOME)  # noqa: PLE0604


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"churnlib.{_HOME[name]}"), name)
    raise AttributeError(f"churnlib has no verb {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
