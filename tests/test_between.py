"""Between reports: restated months, changed rules, scored forecasts; and what must not be told by them."""

import re
from datetime import date

import pandas as pd
import pytest
import report_home
from hypothesis import given
from hypothesis import strategies as st
from report_home import command, kpi, page_of, report

from churnlib import text
from churnlib.about import About, Period
from churnlib.reporting import differences
from churnlib.text import Label

ABOUT = About("shop", Label("店", "Shop"), date(2026, 1, 12), date(2024, 1, 1), Period.parse("2025-12"))


def ledger(*rows):
    """Give a ledger of (period, opening, lost); the last row is open."""
    names = ["period", "n_opening", "n_churned_opening"]
    return pd.DataFrame(rows, columns=names).assign(is_complete=[True] * (len(rows) - 1) + [False])


def side(name="r1", rows=(), kpis=(), declared=None, definition="contract_end", forecast=None):
    frame = ledger(*rows) if rows else None
    return differences.Side(Label(name, name), list(kpis), declared or {"a": "1"}, definition, frame, forecast)


THEN = [("2025-02", 10_000, 210), ("2025-03", 10_000, 231), ("2025-04", 9_900, 0)]


def test_a_month_that_was_booked_late_is_told_with_both_rates_and_the_customers():
    # by hand: 231 of 10,000 is 2.31 %, with 41 more 2.72 %
    now = [THEN[0], ("2025-03", 10_000, 272), ("2025-04", 9_859, 180), ("2025-05", 9_700, 0)]
    found = differences.restated(ABOUT, side(rows=THEN), side("r2", now))
    assert found.table[["period", "more_lost"]].to_numpy().tolist() == [["2025-03", 41]] and found.n_compared == 2
    said = found.findings[0].say("en")
    assert "March 2025: it was 2.31%, now 2.72%, 41 late cancellations" in said
    assert "补记流失 41 户" in found.findings[0].say("zh")


CASES = {
    "more": ((10_000, 300), "late cancellations"),
    "fewer": ((10_000, 200), "withdrawn"),
    "base": ((11_000, 231), "another opening base"),
    "few": ((10_000, 233), "too few customers to show"),
    "none": ((10_000, 231), "History is unchanged"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_words_follow_the_numbers(case):
    (opening, lost), words = CASES[case]
    found = differences.restated(ABOUT, side(rows=THEN), side("r2", [THEN[0], ("2025-03", opening, lost), THEN[2]]))
    assert words in found.findings[0].say("en")
    assert found.findings[0].key == f"between.restated.{case}"


@given(st.integers(0, 60), st.integers(0, 60), st.integers(20, 80), st.integers(20, 80))
def test_no_small_count_can_be_told_from_a_restatement(lost, lost_now, opening, opening_now):
    then = [("2025-03", opening, lost), ("2025-04", 50, 0)]
    now = [("2025-03", opening_now, lost_now), ("2025-04", 50, 0)]
    found = differences.restated(ABOUT, side(rows=then), side("r2", now))
    for row in found.shown.itertuples():
        assert pd.isna(row.rate_then) or (lost == 0 or lost >= ABOUT.privacy_k) and opening >= ABOUT.min_denominator
        assert pd.isna(row.more_lost) or row.more_lost == 0 or abs(row.more_lost) >= ABOUT.privacy_k
    for language in text.LANGUAGES:
        assert not re.search(r"nan|None|\{", " ".join(f.say(language) for f in found.findings))


def test_another_definition_or_a_ledger_that_was_not_kept_is_no_restatement():
    assert differences.restated(ABOUT, side(rows=THEN, definition="inactive"), side(rows=THEN)) is None
    assert differences.restated(ABOUT, side(), side(rows=THEN)) is None


def test_changed_rules_are_named():
    now = side("r2", declared={"a": "2", "definitions.x.grace_days": "3"})
    found = differences.changed_definitions(ABOUT, side(), now)
    assert found.table.to_numpy().tolist() == [["a", "1", "2"], ["definitions.x.grace_days", "—", "3"]]
    assert "a, definitions.x" in found.findings[0].say("en")


def test_forecasts_are_scored_when_their_period_has_closed():
    forecast = pd.DataFrame(
        {"period": ["2025-04", "2025-05"], "churn_rate": 0.02, "ci_lower": 0.015, "ci_upper": 0.025}
    )
    now = [*THEN[:2], ("2025-04", 10_000, 260), ("2025-05", 9_700, 0)]
    found = differences.scored_forecasts(ABOUT, side(rows=THEN, forecast=forecast), side("r2", now))
    (row,) = found.table.itertuples()
    assert (row.period, row.actual, row.is_inside) == ("2025-04", 0.026, "no")
    assert "0 within the interval" in text.strip_marks(found.findings[0].say("en"))
    assert differences.scored_forecasts(ABOUT, side(rows=THEN, forecast=forecast), side(rows=THEN)) is None


def test_figures_that_differ_are_set_side_by_side():
    then = side(kpis=[kpi("a", 0.02), kpi("b", 5.0, unit="customers"), kpi("gone", 1.0)])
    now = side("r2", kpis=[kpi("a", 0.0231), kpi("b", 5.0, unit="customers"), kpi("new", 1.0)])
    found = differences.kpi_changes(ABOUT, then, now)
    assert len(found.table) == 1 and found.n_same == 1
    assert found.summary("en").iloc[0].tolist() == ["Churn rate", "2.00%", "2.31%", "+0.31 pp"]


def late(home, n):
    """Book the ends of some customers in November late."""
    path = home / "data/shop/customers.csv"
    rows = path.read_text("utf-8").splitlines()
    open_rows = [i for i, row in enumerate(rows) if row.split(",")[2] == ""][:n]
    for i in open_rows:
        rows[i] = rows[i].replace(",,", ",2025-11-20,")
    path.write_text("\n".join(rows) + "\n", "utf-8")


def test_a_revision_tells_what_was_restated_and_keeps_both_ledgers(tmp_path):
    home = report_home.home(tmp_path)
    assert report(home)[0] == 0
    late(home, 20)
    code, out, err = report(home, "--reason", "late file of the billing system")
    assert code == 0 and "/r2/" in out[-1], err
    said = re.sub("<.*?>", "", page_of(home, "en"))
    assert "Restated: 2 of 24 closed periods" in said and "it was 0.00%, now 5.00%, 20 late cancellations" in said
    assert "late file of the billing system" in said
    private = home / "reports/shop/2025-12.private"
    assert {path.name for path in private.glob("*.json")} == {"ledger.r1.json", "ledger.r2.json"}
    # the same two by hand
    code, out, err = command(home, "diff", "shop/2025-12/r1", "shop/2025-12/r2")
    assert code == 0 and "20 late cancellations" in "\n".join(out), err
    code, out, err = command(home, "diff", "shop/2025-12/r1", "shop/2025-11")
    assert code == 2 and out == [] and "did you mean shop/2025-12" in err
