"""What churn is: spells by every definition, checked by hand on the toy customers and against plain Python."""

from __future__ import annotations

import statistics
from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy import ACTIVITY, CONTRACTS, CUSTOMERS, SPEC, canonical, toy

from churnlib.counts import definitions
from churnlib.counts.evidence import gap_evidence
from churnlib.text import DataError, UsageError

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def spells_of(data, definition=None) -> list[tuple]:
    """(customer, spell, start, entry, end, outcome, provisional) in order, dates as ISO text."""
    name = definitions.spells(data, definition)
    frame = data.con.frame(
        "SELECT customer, spell, CAST(start_date AS VARCHAR) AS start, CAST(entry_date AS VARCHAR) AS entry,"
        " CAST(end_date AS VARCHAR) AS end, outcome, provisional"
        " FROM spells WHERE definition = ? ORDER BY customer, spell",
        [name],
    )
    return [tuple(None if pd.isna(v) else v for v in row) for row in frame.itertuples(index=False)]


def of(rows: list[tuple], customer: int) -> list[tuple]:
    return [row[1:6] for row in rows if row[0] == customer]


# contract end


def test_contracts_make_spells_with_entry_end_and_outcome():
    rows = spells_of(toy())
    assert of(rows, 1) == [(1, "2023-03-15", "2024-01-01", None, None)]  # late entry: observed since 2024-01-01
    assert of(rows, 2) == [(1, "2023-06-01", "2024-01-01", "2024-02-10", "voluntary")]
    assert of(rows, 11) == [(1, "2024-11-15", "2024-11-15", "2025-01-05", "unknown")]


def test_a_customer_who_ended_on_the_first_observed_day_is_seen():
    assert of(spells_of(toy()), 3) == [(1, "2023-12-31", "2024-01-01", "2024-01-01", "involuntary")]


def test_a_customer_of_one_day_is_not_lost():
    assert of(spells_of(toy()), 5) == [(1, "2024-01-01", "2024-01-01", "2024-01-01", "voluntary")]


def test_a_return_opens_the_next_spell():
    assert of(spells_of(toy()), 7) == [
        (1, "2024-02-10", "2024-02-10", "2024-05-09", "involuntary"),
        (2, "2024-07-01", "2024-07-01", "2024-09-30", "voluntary"),
    ]


def test_a_move_between_plans_is_not_churn():
    assert of(spells_of(toy()), 8) == [(1, "2024-02-29", "2024-02-29", None, None)]


def test_a_transfer_reaches_to_the_next_contract_however_long_it_takes():
    moved = [(8, "c", "130", "2024-02-29", "2024-04-15", None, "d"), (8, "d", "133", "2024-05-20", None)]
    assert of(spells_of(toy(tables={"contracts": moved})), 8) == [(1, "2024-02-29", "2024-02-29", None, None)]
    left = [(8, "c", "130", "2024-02-29", "2024-04-15", None, "d")]  # announced, never followed
    assert of(spells_of(toy(tables={"contracts": left})), 8)[0][3] == "2024-04-15"


@pytest.mark.parametrize(("grace", "n_spells"), [(0, 2), (51, 2), (52, 1)])
def test_contracts_within_the_grace_days_are_one_spell(grace, n_spells):
    data = toy(definitions={"contract_end": {"kind": "contract_end", "grace_days": grace}})
    assert len(of(spells_of(data), 7)) == n_spells  # 52 days lie between 05-09 and 07-01


def test_overlapping_contracts_are_one_spell():
    contracts = [
        (6, "a", "x", "2024-01-31", "2024-12-30", "natural"),
        (6, "b", "x", "2024-03-01", "2024-04-01", "voluntary"),
        (6, "c", "x", "2024-12-31", "2025-01-03", "involuntary"),
    ]
    rows = of(spells_of(toy(tables={"contracts": contracts})), 6)
    assert rows == [(1, "2024-01-31", "2024-01-31", "2025-01-03", "involuntary")]


def test_an_end_that_a_next_contract_may_still_undo_is_provisional():
    data = toy(as_of="2024-10-05", definitions={"contract_end": {"kind": "contract_end", "grace_days": 10}})
    provisional = {row[0]: row[6] for row in spells_of(data) if row[1] == 2 or row[0] == 2}
    assert provisional == {2: False, 7: True}  # 7 ended on 09-30, a contract until 10-11 would undo it


def test_without_contracts_the_customers_own_dates_count():
    assert of(spells_of(toy(tables={"contracts": None})), 7) == [
        (1, "2024-02-10", "2024-02-10", "2024-09-30", "voluntary")
    ]


def test_planned_ends_have_not_happened_yet():
    assert of(spells_of(toy(as_of="2024-09-29")), 7)[1] == (2, "2024-07-01", "2024-07-01", None, None)


# what is left out


def test_what_is_left_out_is_counted():
    frame = definitions.excluded(toy()).set_index("why")
    assert frame["n_customers"].to_dict() == {
        "all_exclusions": 1,
        "ended_before_observation": 1,  # customer 4
        "test_accounts": 1,  # customer 10
    }
    assert frame.label["test_accounts"].en == "test accounts"


def test_early_losses_are_reported_apart_and_everybody_else_enters_at_the_start_tenure():
    data = toy(start_tenure_days=30)
    rows = spells_of(data)
    assert of(rows, 9) == [] and of(rows, 5) == []  # lost after 19 and 0 days
    assert of(rows, 6)[0][2] == "2024-03-01"  # 30 days after 2024-01-31
    assert of(rows, 2)[0][2] == "2024-01-01"  # long past the start tenure when observation began
    frame = definitions.excluded(data).set_index("why")
    assert frame.n_customers["early_loss"] == 3  # 3 too: it ended on day 1 of observation, one day old
    assert frame.n_customers["ended_before_observation"] == 1


def test_every_customer_is_somewhere():
    for name in toy().spec.definitions:
        data = toy()
        followed = {row[0] for row in spells_of(data, name)}
        left_out = set(data.con.frame("SELECT DISTINCT customer FROM spells_left_out")["customer"])
        no_records = definitions.excluded(data, name).set_index("why").n_customers.get("no_records", 0)
        assert len(followed | left_out | {10}) + no_records == 12, name


def test_spells_are_made_once():
    data = toy()
    definitions.spells(data)
    definitions.spells(data)
    assert data.con.value("SELECT count(*) FROM spells") == 11
    definitions.spells(data, "silent")
    assert data.con.value("SELECT count(DISTINCT definition) FROM spells") == 2


def test_an_unknown_definition_is_named():
    with pytest.raises(UsageError, match="contract_end"):
        definitions.spells(toy(), "inactive")


def test_when_nobody_is_left_it_is_said():
    with pytest.raises(DataError, match="observed_from"):
        definitions.spells(toy(exclusions={"all": {"where": {"customer_type": ["test", "person"]}}}))


# inactivity


def test_silence_is_dated_at_the_last_activity_plus_the_limit():
    rows = of(spells_of(toy(), "silent"), 6)  # active 01-31, 03-01, 09-01; limit 90 days
    assert rows == [
        (1, "2024-01-31", "2024-01-31", "2024-05-30", "unknown"),
        (2, "2024-09-01", "2024-09-01", "2024-11-30", "unknown"),
    ]


def test_entry_is_the_first_activity_on_or_after_observed_from():
    assert of(spells_of(toy(), "silent"), 2)[0][1:3] == ("2023-06-01", "2024-01-20")


def test_a_customer_silent_for_longer_than_the_limit_before_being_seen_had_already_churned():
    activity = [(1, "2024-03-30", 1), (2, "2024-03-31", 1)]  # observed from 2024-01-01, limit 90 days
    rows = spells_of(toy(tables={"activity": activity}), "silent")
    assert of(rows, 1)[0][:3] == (1, "2023-03-15", "2024-03-30")
    assert of(rows, 2)[0][:3] == (2, "2024-03-31", "2024-03-31")


def test_activity_on_the_last_day_of_the_limit_keeps_the_customer():
    for day, n_spells in (("2024-04-30", 1), ("2024-05-01", 2)):
        activity = [(6, "2024-01-31", 1), (6, day, 1)]  # 90 and 91 days later
        assert len(of(spells_of(toy(tables={"activity": activity}), "silent"), 6)) == n_spells


def test_a_silence_may_still_be_undone_for_another_limit_length():
    end, provisional = {}, {}
    for row in spells_of(toy(), "silent"):
        end[row[0], row[1]], provisional[row[0], row[1]] = row[4], row[6]
    assert end[6, 2] == "2024-11-30" and provisional[6, 2]  # until 2025-02-28
    assert not provisional[6, 1]  # came back: settled


def test_months_are_calendar_months():
    rows = of(spells_of(toy(tables={"activity": [(6, "2024-11-30", 1)]}), "silent_months"), 6)
    assert [row[3] for row in rows] == ["2024-04-30", None]  # 31 January + 3 months, as no 31 April exists


def test_only_the_declared_kinds_of_activity_count():
    activity = [(6, "2024-02-01", 1, "sale"), (6, "2024-04-01", 1, "shipment"), (6, "2024-06-01", 1, "sale")]
    silent = {"kind": "inactivity", "at_risk": "30 days", "limit": "100 days", "activity": ["sale"]}
    data = toy(tables={"activity": activity}, definitions={"silent": silent}, definition="silent")
    assert len(of(spells_of(data), 6)) == 2


def test_the_own_gap_is_known_from_the_past_only():
    weekly = [(1, str(date(2024, 1, 5) + timedelta(days=7 * i)), 1) for i in range(10)]
    later = [(1, "2024-12-01", 1)]
    rows = of(spells_of(toy(tables={"activity": weekly + later}), "own_gap"), 1)
    assert rows[0][3] == str(date(2024, 1, 5) + timedelta(days=63 + 21))  # 3 times 7 days after the last weekly visit


def test_inactivity_without_activity_is_told():
    with pytest.raises(DataError, match="activity"):
        definitions.spells(toy(tables={"activity": None}), "silent")


def silences_in_python(start, days, observed_from, as_of, limit):
    """Spells of one customer by a limit in days, in the order of the definition's words."""
    active = sorted({d for d in days if d <= as_of} | ({start} if observed_from <= start <= as_of else set()))
    if not active:
        return []
    spells, first = [], active[0]
    unseen = start < active[0] and active[0] >= observed_from + timedelta(days=limit)
    begin = start if start < active[0] and not unseen else active[0]
    for day, following in zip(active, [*active[1:], None], strict=True):
        if following is None or (following - day).days > limit:
            spells.append((begin, first, day, following))
            begin = first = following
    rows = []
    for number, (begin, first, last, _) in enumerate(spells, 2 if unseen else 1):
        seen = [d for d in active if first <= d <= last and d >= observed_from]
        entry = begin if begin >= observed_from else min(seen, default=None)
        end = last + timedelta(days=limit)
        if entry is not None and entry <= as_of:
            rows.append((number, str(begin), str(entry), str(end) if end <= as_of else None))
    return rows


days_of_a_year = st.integers(-60, 300).map(lambda n: date(2024, 1, 1) + timedelta(days=n))


@FEW
@given(
    st.lists(st.tuples(days_of_a_year, st.lists(days_of_a_year, max_size=8)), min_size=1, max_size=8),
    st.integers(5, 90),
    st.integers(60, 300),
)
def test_inactivity_agrees_with_plain_python(customers, limit, length):
    as_of, observed_from = date(2024, 1, 1) + timedelta(days=length), date(2024, 1, 1)
    spec = {
        "title": "t",
        "as_of": str(as_of),
        "observed_from": str(observed_from),
        "definitions": {"silent": {"kind": "inactivity", "at_risk": "1 days", "limit": f"{limit} days"}},
        "definition": "silent",
        "tables": {"customers": {"file": "c", "columns": {"customer_id": "id"}}},
    }
    tables = {
        "customers": [(i, start) for i, (start, _) in enumerate(customers)],
        "activity": [(i, day, 100) for i, (_, days) in enumerate(customers) for day in days if day <= as_of],
    }
    expected = [
        (i, *row)
        for i, (start, days) in enumerate(customers)
        for row in silences_in_python(start, days, observed_from, as_of, limit)
    ]
    if not expected or not tables["activity"]:
        return
    found = [row[:5] for row in spells_of(canonical(tables, spec))]
    assert found == expected


# evidence for the limit


def test_the_evidence_for_a_limit_counts_returns_and_false_alarms():
    evidence = gap_evidence(toy(), ["1 months"])
    assert evidence.limits["limit"].tolist() == ["1 months", "90 days"] and evidence.declared == "90 days"
    row = evidence.limits.iloc[1]
    # silent for over 90 days: 6 twice, 7 twice, 2, 5, 8, 9, 12, and not the test account; back are 6 and 7, once each
    assert (row.n_flagged, row.n_returned) == (9, 2)
    assert (row.n_alive, row.n_alive_flagged) == (2, 0)  # 1 and 11
    assert evidence.gaps["n_gaps"].sum() == 16
    gaps = [r for r in evidence.gaps.itertuples() for _ in range(r.n_gaps)]
    assert evidence.percentile(0.5) == statistics.median_low([g.days for g in gaps])
    assert evidence.medians.to_dict("list") == {"days": [31], "n_customers": [1]}


def test_the_evidence_is_about_the_activity_that_the_definition_counts():
    # a sale every 50 days and a shipment every 10: the shipments keep nobody
    days = [date(2024, 1, 31) + timedelta(days=10 * i) for i in range(31)]
    activity = [(6, day, 1, "shipment" if i % 5 else "sale") for i, day in enumerate(days)]
    rule = {"kind": "inactivity", "at_risk": "30 days", "limit": "100 days"}
    for kinds, gap in ((None, 10), (["shipment"], 10), (["sale"], 50)):
        silent = rule if kinds is None else rule | {"activity": kinds}
        data = toy(tables={"activity": activity}, definitions={"silent": silent}, definition="silent")
        assert gap_evidence(data, []).percentile(0.5) == gap


def test_a_limit_in_gaps_is_judged_by_the_customers_own_gap():
    weekly = [(1, str(date(2024, 1, 5) + timedelta(days=7 * i)), 1) for i in range(20)]
    monthly = [(2, str(date(2024, 1, 5) + timedelta(days=30 * i)), 1) for i in range(12)]
    tables = {"activity": weekly + monthly, "customers": [(1, "2024-01-05"), (2, "2024-01-05")]}
    row = gap_evidence(toy(tables=tables), ["2 gaps"]).limits.set_index("limit").loc["2 gaps"]
    # the end of the weekly one, and three gaps of 30 days while the usual gap is still that of all, 7 days
    assert (row.n_judged, row.n_confirmed_wrong) == (4, 0)


# falling value


def declining(amounts, **rule):
    """Customer 1, there since 2023, with one amount (in yuan) a month from January 2024."""
    activity = [(1, f"2024-{month:02d}-15", 100 * amount) for month, amount in enumerate(amounts, 1)]
    rule = {"kind": "value_decline", "base_months": 3, "sustained": "2 months", **rule}
    data = toy(as_of="2024-12-31", tables={"activity": activity}, definitions={"value": rule}, definition="value")
    return [row[2:6] for row in spells_of(data)]


def test_value_churn_is_a_lasting_fall_below_a_share_of_the_own_base():
    rows = declining([100, 110, 90, 40, 100, 30, 30, 30, 30, 30, 30, 30], below=0.5)
    assert rows == [("2023-03-15", "2024-04-01", "2024-07-31", "unknown")]  # April was one month only


def test_the_base_is_frozen_at_the_fall_and_a_recovery_opens_the_next_spell():
    rows = declining([100, 100, 100, 30, 30, 30, 30, 30, 30, 60, 60, 60], below=0.5)
    assert rows == [
        ("2023-03-15", "2024-04-01", "2024-05-31", "unknown"),
        ("2024-10-31", "2024-10-31", None, None),
    ]


def test_months_without_any_activity_count_as_zero():
    activity = [(1, f"2024-{month:02d}-15", 10000) for month in (1, 2, 3, 4)]
    rule = {"kind": "value_decline", "base_months": 3, "sustained": "2 months", "below": 0.5}
    data = toy(as_of="2024-12-31", tables={"activity": activity}, definitions={"value": rule}, definition="value")
    assert [row[4] for row in spells_of(data)] == ["2024-06-30"]


def test_bands_count_a_fall_to_a_lower_band_and_the_lowest_cannot_fall():
    bands = [0, 50, 100]
    assert [r[2] for r in declining([120, 120, 120, 99, 99, 120, 0, 0, 0, 0, 0, 0], bands=bands)] == [
        "2024-05-31",
        None,
    ]
    assert declining([120, 120, 120, *[101] * 9], bands=bands) == [("2023-03-15", "2024-04-01", None, None)]
    with pytest.raises(DataError):
        declining([40] * 12, bands=bands)  # nobody is at risk


def test_a_fall_in_the_unfinished_month_is_not_known_yet():
    activity = [(1, f"2024-{month:02d}-15", 10000) for month in range(1, 12)]
    rule = {"kind": "value_decline", "base_months": 3, "sustained": "1 months", "below": 0.5}
    for as_of, n_churned in (("2024-12-30", 0), ("2024-12-31", 1)):
        data = toy(as_of=as_of, tables={"activity": activity}, definitions={"value": rule}, definition="value")
        assert sum(row[4] is not None for row in spells_of(data)) == n_churned


# a closed product


def test_a_closed_product_is_churn_of_that_product_only():
    data = toy(definitions={"p": {"kind": "partial", "product": "130"}}, definition="p")
    assert spells_of(data) == [(8, 1, "2024-02-29", "2024-02-29", "2024-04-15", "unknown", False)]


def test_a_product_definition_without_products_is_told():
    with pytest.raises(DataError, match="product"):
        definitions.spells(toy(tables={"contracts": None}), "mobile")


# the ledger's first day, and the note


def test_the_first_limit_length_can_show_no_churn():
    data = toy()
    assert definitions.countable_from(data) == date(2024, 1, 1)
    assert definitions.countable_from(data, "silent") == date(2024, 3, 31)
    assert definitions.countable_from(data, "silent_months") == date(2024, 4, 1)
    assert definitions.countable_from(data, "value") == date(2024, 5, 1)
    assert data.con.value("SELECT min(end_date) FROM spells WHERE definition = 'silent'") >= date(2024, 3, 31)


@pytest.mark.parametrize("name", list(SPEC["definitions"]))
def test_the_note_says_what_is_counted_in_both_languages(name):
    spec = toy(start_tenure_days=90).spec
    note = definitions.definition_note(spec, name)
    assert "流失" in note.zh and "测试账户" in note.zh and "90" in note.zh
    assert "Churn" in note.en and "test accounts" in note.en and "90 days" in note.en
    assert not any(mark in note.en for mark in "。，；")


# nothing depends on the order of rows


def test_the_order_of_rows_does_not_matter():
    turned = {"customers": CUSTOMERS[::-1], "contracts": CONTRACTS[::-1], "activity": ACTIVITY[::-1]}
    for name in toy().spec.definitions:
        assert spells_of(toy(), name) == spells_of(toy(tables=turned), name), name
