"""Both chapters on records that lack something: every verb answers in words, none falls over."""

from dataclasses import replace

import matplotlib.pyplot as plt
import pytest
from toy import ACTIVITY, BARE, CUSTOMERS, canonical, toy

import churnlib as churn
from churnlib import text

NO_FEES = [(*c[:4], None, *c[5:]) for c in CUSTOMERS]
LATE = [(i, "2024-12-20", None) for i in (1, 2)]
ONE = [(1, "2022-03-01", None)]
ODD = {
    "no activity": lambda: toy(tables={"activity": None}),
    "no fees": lambda: toy(tables={"customers": NO_FEES}),
    "neither": lambda: toy(tables={"customers": NO_FEES, "activity": None, "exit_survey": None}),
    "no amounts": lambda: toy(tables={"activity": [(a[0], a[1], None) for a in ACTIVITY]}),
    "amounts of nothing": lambda: toy(tables={"activity": [(a[0], a[1], 0) for a in ACTIVITY]}),
    "all refunds": lambda: toy(tables={"activity": [(a[0], a[1], -5, "refund") for a in ACTIVITY]}),
    "nobody new": lambda: canonical(
        {"customers": ONE, "activity": [(1, "2024-02-01", 5)]}, {**BARE, "as_of": "2024-04-30"}
    ),
    "everybody new": lambda: canonical({"customers": LATE}, {**BARE, "as_of": "2025-01-12"}),
    "silence": lambda: toy(definition="silent"),
    "silence, own gaps": lambda: toy(definition="silent_months", tables={"customers": NO_FEES}),
    "activity of one day": lambda: toy(tables={"activity": [(1, "2024-12-05", 100), (6, "2024-12-05", 100)]}),
}


def cohorts(data):
    unit = churn.cohort_unit(data)
    yield churn.cohort_retention(churn.cohort_counts(data, None, unit, mode=churn.cohort_mode(data)))
    yield churn.money_retention(churn.money_counts(data, None, unit))
    yield churn.cohort_departures(churn.cohort_period_counts(data, unit))
    projection = churn.project_retention(churn.cohort_counts(data, unit="month"), horizon=12)
    yield from (projection, projection.backtest, churn.residual_lifetime(projection))


def worth(data):
    ledger, bills = churn.period_counts(data, unit="month"), churn.bridge_counts(data)
    if len(bills.frame) or "fee_closing" in ledger.frame:
        yield churn.revenue_bridge(ledger, bills)
    months = churn.band_window(data)
    yield churn.quiet_customers(churn.quiet_counts(data, months=months), months=months)
    yield churn.value_migration(churn.band_counts(data, months=months), months=months)
    yield churn.lost_money(churn.loss_counts(data))
    paid = churn.worth_counts(data)
    yield from (churn.fee_concentration(paid, churn.worth_counts(data, years_back=1)), churn.service_cost(paid))
    projection = churn.project_retention(churn.cohort_counts(data, unit="month"), horizon=12)
    yield churn.customer_value(ledger, projection, paid)
    yield churn.expected_value(churn.purchase_counts(data))


def told(result):
    for shown in (result, replace(result, about=replace(result.about, min_denominator=1, privacy_k=1))):
        assert shown.findings
        for statement in (*shown.findings, *shown.notes, *([shown.subtitle] if shown.subtitle else [])):
            assert all(statement.say(language) for language in text.LANGUAGES)
        assert len(shown.summary("zh")) == len(shown.shown)
        shown.plot()
        plt.close("all")


@pytest.mark.parametrize("odd", ODD)
def test_the_cohort_chapter_always_answers(odd):
    for result in cohorts(ODD[odd]()):
        told(result)


# without fees and amounts the chapter is left out
@pytest.mark.parametrize("odd", [odd for odd in ODD if odd not in ("neither", "everybody new")])
def test_the_value_chapter_always_answers(odd):
    for result in worth(ODD[odd]()):
        told(result)


def test_without_fees_and_amounts_the_value_chapter_says_what_it_needs():
    with pytest.raises(text.DataError, match="monthly_fee"):
        churn.worth_counts(ODD["neither"]())
