"""Cohort cells from the records on: they never change once complete, estimates are right, activity equals a recount."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import BARE, canonical, toy

from churnlib import text
from churnlib.cohorts.cohort import cohort_retention
from churnlib.cohorts.cohortcells import COMPLETE, PARTLY
from churnlib.cohorts.moneyretention import money_retention
from churnlib.counts import cohort_counts, money_counts

FIRST = date(2024, 1, 1)


def people(lives, as_of, **spec):
    """A data set of customers as known on a day: (start, days until the last one or None), later ends unknown."""
    rows = []
    for i, (start, days) in enumerate(lives):
        first = FIRST + timedelta(days=start)
        last = first + timedelta(days=days) if days is not None else None
        if first <= as_of:
            rows.append((i + 1, str(first), str(last) if last and last <= as_of else None))
    thresholds = {"min_denominator": 1, "privacy_k": 1}
    return canonical({"customers": rows}, {**BARE, "as_of": str(as_of), "thresholds": thresholds, **spec})


def retention(data, **how):
    counts = cohort_counts(data, **how)
    about = replace(counts.about, min_denominator=1, privacy_k=1)
    return cohort_retention(replace(counts, about=about)).table.set_index(["cohort", "age"])


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 80), st.one_of(st.none(), st.integers(0, 120))), min_size=1, max_size=12),
    st.integers(31, 150),
    st.integers(1, 40),
    st.sampled_from(["month", "week"]),
)
def test_a_published_cell_never_changes_when_as_of_moves_on(lives, day, more, unit):
    # mistakes 5 and 6, from the records on: new ends, new customers and later days
    data, later = (people(lives, FIRST + timedelta(days=d)) for d in (day, day + more))
    if not data.con.value("SELECT count(*) FROM customers"):
        return
    before, after = retention(data, unit=unit), retention(later, unit=unit)
    told = before[before["state"] == COMPLETE]
    columns = ["n_start", "n_retained", "retention", "ci_lower", "ci_upper"]
    pd.testing.assert_frame_equal(after.loc[told.index, columns], told[columns])


@pytest.mark.parametrize(("unit", "grace"), [("week", 0), ("month", 9)])
def test_nor_day_by_day_when_customers_come_back_and_contracts_follow_each_other(unit, grace):
    # 300 customers with and without a contract in turn; a new one within the grace days undoes the end of the last
    rng, contracts = np.random.default_rng(5), []
    for i in range(300):
        days = np.cumsum([rng.integers(0, 45), *rng.integers(1, 25, 8)])
        spans = zip(days[::2], days[1::2], strict=False)
        contracts += [(i, FIRST + timedelta(days=int(a)), FIRST + timedelta(days=int(b) - 1)) for a, b in spans]

    def cells(as_of):
        known = [(i, f"{i}-{a}", "line", str(a), str(b) if b <= as_of else None) for i, a, b in contracts if a <= as_of]
        customers = [(i, str(min(a for who, a, _ in contracts if who == i))) for i in {row[0] for row in known}]
        rule = {"kind": "contract_end", "grace_days": grace}
        spec = {**BARE, "as_of": str(as_of), "definition": "end", "definitions": {"end": rule}}
        return retention(canonical({"customers": customers, "contracts": known}, spec), unit=unit)

    last, columns = cells(date(2024, 5, 31)), ["n_start", "n_retained", "n_returned", "retention"]
    for day in range(8):
        before = cells(date(2024, 3, 26) + timedelta(days=day))
        told = before[before["state"] == COMPLETE]
        assert len(told) and told["n_returned"].any()
        pd.testing.assert_frame_equal(last.loc[told.index, columns], told[columns])


def test_a_partly_observed_cell_is_estimated_from_the_days_of_all_members():
    # 4 started on January 1, 4 on January 31; on February 20 the first four have completed a month. Complete: age 0.
    # days 5 and 10 saw one of 8 leave each; day 25 one of the three early ones: 7/8 x 6/7 x 2/3 (late ones at day 20)
    lives = [(0, 5), (0, 25), (0, None), (0, None), (30, 10), (30, None), (30, None), (30, None)]
    cell = retention(people(lives, date(2024, 2, 20))).loc[("2024-01", 1)]
    assert cell["state"] == PARTLY and cell["retention"] == pytest.approx(7 / 8 * 6 / 7 * 2 / 3)
    assert np.isnan(cell["n_retained"]) and 0 < cell["ci_lower"] < cell["retention"] < cell["ci_upper"] < 1


def test_estimates_of_partly_observed_cells_are_unbiased_and_their_intervals_cover():
    rng, errors, inside = np.random.default_rng(11), [], []
    for _ in range(40):
        lives = [(int(s), int(d)) for s, d in zip(rng.integers(0, 31, 300), rng.geometric(0.01, 300), strict=True)]
        cell = retention(people(lives, date(2024, 3, 15))).loc[("2024-01", 2)]
        truth = 0.99 ** np.mean([(date(2024, 3, 1) - date(2024, 1, 1)).days] * 1)
        errors.append(cell["retention"] - truth)
        inside.append(cell["ci_lower"] <= truth <= cell["ci_upper"])
    assert abs(np.mean(errors)) < 0.012  # standard error .004, months of 28 to 31 days .006
    assert np.mean(inside) >= 0.85


def cdnow(as_of="1998-06-30"):
    """The CDNOW purchases as known on a day."""
    import churnlib

    data = churnlib.open_dataset("cdnow")
    day = date.fromisoformat(as_of)
    return replace(data, spec=data.spec.model_copy(update={"as_of": day}))


@pytest.fixture(scope="module")
def purchases():
    import churnlib

    return churnlib.open_dataset("cdnow").con.frame("SELECT customer, date, amount FROM activity")


def steps_since_start(rows):
    """Calendar months completed since the first purchase, counted with pandas' own month arithmetic."""
    start = rows.groupby("customer")["date"].transform("min")
    step = np.zeros(len(rows), int)
    for months in range(1, 19):
        step[(rows["date"] >= start + pd.DateOffset(months=months)).to_numpy()] = months
    return start.dt.strftime("%Y-%m"), step


def test_the_monthly_cohort_matrix_of_cdnow_equals_an_independent_count(purchases):
    cohort, step = steps_since_start(purchases)
    cells = purchases.assign(cohort=cohort, step=step)
    active = cells.groupby(["cohort", "step"])["customer"].nunique()
    spent = cells.groupby(["cohort", "step"])["amount"].sum()
    counts = cohort_counts(cdnow(), measure="revenue").frame.set_index(["cohort", "age"])
    complete = counts[counts["is_complete"]]
    assert len(complete) > 40 and complete["n_start"].groupby("cohort").first().sum() == 23_570  # the whole data set
    for (month, age), row in complete.iterrows():
        assert row["amount"] == spent.get((month, age), 0), (month, age)
    visits = cohort_counts(cdnow(), mode="in").frame.set_index(["cohort", "age"])
    for key in complete.index:
        assert visits.loc[key, "n_active"] == active.get(key, 0), key


def test_partly_observed_activity_is_the_share_of_those_whose_step_is_over(purchases):
    # as of the middle of February 1998: members who started early in a month have been watched for one step more
    as_of = pd.Timestamp("1998-02-15")
    told = purchases[purchases["date"] <= as_of]
    cohort, step = steps_since_start(told)
    cells = told.assign(cohort=cohort, step=step)
    starts = cells.groupby("customer").agg(start=("date", "min"), cohort=("cohort", "first"))
    result = cohort_retention(cohort_counts(cdnow("1998-02-15"), mode="in"))
    partly = result.table[result.table["state"] == PARTLY].dropna(subset="retention").set_index(["cohort", "age"])
    assert len(partly) == 3 and (partly["ci_lower"] < partly["retention"]).all() and partly["n_retained"].isna().all()
    for (month, age), row in partly.iterrows():
        members = starts[starts["cohort"] == month]
        over = members[members["start"] + pd.DateOffset(months=int(age) + 1) <= as_of + pd.Timedelta(days=1)]
        active = cells[(cells["step"] == age) & cells["customer"].isin(over.index)]["customer"].nunique()
        assert 0 < len(over) < len(members) and row["retention"] == pytest.approx(active / len(over), abs=1e-12)
    assert not set(partly.index) & set(result.cells.set_index(["cohort", "age"]).index)  # in no sum, no comparison


def test_in_or_after_never_completes_and_says_so():
    # January 1997, month 3: about a fifth is seen again as of June 1997, twice as many a year later
    shares = {}
    for as_of in ("1997-06-30", "1998-06-30"):
        counts = cohort_counts(cdnow(as_of), mode="after")
        cell = counts.frame.set_index(["cohort", "age"]).loc[("1997-01", 3)]
        shares[as_of] = cell.n_active / cell.n_start
        result = cohort_retention(counts)
        assert not (result.table["state"] == COMPLETE).any() and result.pooled.empty
        assert result.findings[0].key == "cohort.after_open"
    assert shares["1997-06-30"] == pytest.approx(0.2, abs=0.03) and shares["1998-06-30"] == pytest.approx(0.4, abs=0.03)


def test_followed_equally_long_in_or_after_is_complete_and_does_not_move():
    early, late = (
        cohort_retention(cohort_counts(cdnow(day), mode="after", follow_up=2)).table.set_index(["cohort", "age"])
        for day in ("1997-06-30", "1998-06-30")
    )
    told = early[early["state"] == COMPLETE]
    assert len(told) >= 6 and late.loc[told.index, "retention"].equals(told["retention"])


def test_brackets_hold_who_was_active_in_any_of_their_steps():
    whole = cohort_counts(cdnow(), mode="1-3, 4-6, 7-12").frame
    assert whole.loc[whole["cohort"] == "1997-01", ["first_step", "age"]].to_numpy().tolist() == [
        [1, 2],
        [4, 5],
        [7, 11],
    ]
    single = cohort_counts(cdnow(), mode="1,2,3,4,5,6").frame.set_index(["cohort", "age"])["n_active"]
    assert single.equals(cohort_counts(cdnow(), mode="in").frame.set_index(["cohort", "age"])["n_active"][single.index])
    middle = whole.set_index(["cohort", "age"]).loc[("1997-02", 5)]
    assert single.loc["1997-02"][3:6].max() <= middle.n_active <= single.loc["1997-02"][3:6].sum()
    head = cohort_retention(cohort_counts(cdnow(), mode="1-3, 4-6, 7-12")).findings[0]  # once: observed for no period
    assert head.values["age"] == 12 and "7–12" in head.values["mode"].en and 0.2 < head.values["retention"] < 0.3
    assert cohort_counts(cdnow(), unit="year", mode="4-6, 7-9").frame.empty  # longer than the data
    for bad in ("3-1", "0-2", "monthly", "1-x"):
        with pytest.raises(text.UsageError):
            cohort_counts(toy(), mode=bad)


def test_every_mode_and_segment_speaks_both_languages_and_draws():
    data = toy()
    for how in ({}, {"mode": "in"}, {"mode": "after"}, {"mode": "1-2, 3-6"}, {"by": "region"}):
        counts = cohort_counts(data, **how)
        shown = replace(counts.about, min_denominator=1, privacy_k=1, withheld=frozenset())
        result = cohort_retention(replace(counts, about=shown))
        for statement in (*result.findings, *result.notes, result.subtitle):
            assert all(statement.say(language) for language in text.LANGUAGES)
        assert result.plot() is not None and len(result.summary("zh")) == len(result.table)


def test_money_retention_by_hand():
    # 1 and 2 are billed 100 and 50 a month after half a first bill; 1 goes up to 120 in the third month, 2 leaves
    bills = [(1, "2024-01-31", 50), (2, "2024-01-31", 25), (1, "2024-02-29", 100), (2, "2024-02-29", 50)]
    bills += [(1, "2024-03-31", 120), (1, "2024-04-30", 120), (1, "2024-05-31", 90)]
    customers = [(1, "2024-01-15", None), (2, "2024-01-15", "2024-03-10")]
    data = canonical({"customers": customers, "activity": bills}, {**BARE, "as_of": "2024-06-30"})
    counts = cohort_counts(data, measure="money")
    cells = counts.frame.set_index("age")
    assert cells["amount_base"].unique().tolist() == [150]  # the second month: the first bill is for half of one
    assert cells["amount"].tolist()[:5] == [75, 150, 120, 120, 90]
    assert cells["amount_kept"].tolist()[1:5] == [150, 100, 100, 90]  # what 1 pays more keeps nothing of 2
    result = money_retention(replace(counts, about=replace(counts.about, min_denominator=1)))
    told = result.table.set_index("age").loc[2]
    assert (told["gross"], told["net"]) == pytest.approx((100 / 150, 120 / 150)) and told["state"] == COMPLETE
    assert result.pooled.set_index("age").loc[4, ["gross", "net"]].tolist() == pytest.approx([90 / 150] * 2)


def test_who_pays_once_a_year_is_counted_by_the_year():
    customers = [(i, "2020-01-10", "2022-06-01" if i == 1 else None) for i in range(1, 5)]
    yearly = [(i, f"{year}-01-10", 90 + 10 * (year > 2020)) for i in range(1, 5) for year in range(2020, 2024)]
    yearly = [row for row in yearly if row[0] > 1 or row[1] < "2022-06-01"]
    monthly = [(i, f"2023-{month:02d}-10", 5) for i in range(1, 5) for month in range(1, 13)]
    spec = {**BARE, "as_of": "2023-12-31", "observed_from": "2020-01-01"}
    counts, usual = (money_counts(canonical({"customers": customers, "activity": b}, spec)) for b in (yearly, monthly))
    assert (counts.about.period.unit, usual.about.period.unit) == ("year", "month") and counts.is_regular
    assert counts.frame["amount"].tolist()[:4] == [360, 400, 400, 300]
    assert counts.frame["amount_base"].tolist() == [360] * len(counts.frame)  # the first year is whole


def test_what_is_returned_is_lost_in_gross_retention_too():
    # 1 brings 100, sends goods of 30 back in the second month and buys for 80 in the third; 2 brings 50 each month
    bills = [(1, "2024-01-10", 100), (1, "2024-02-12", -30), (1, "2024-03-12", 80)]
    bills += [(2, f"2024-{month:02d}-11", 50) for month in range(1, 5)]
    customers = [(1, "2024-01-10", None), (2, "2024-01-10", None)]
    data = canonical({"customers": customers, "activity": bills}, {**BARE, "as_of": "2024-04-30"})
    cells = cohort_counts(data, measure="money").frame.set_index("age")
    base = cells["amount_base"].iloc[0]  # the second step where bills are regular, never below nothing
    assert base == 50 and cells["amount"].tolist()[:3] == [150, 20, 130]
    assert cells["amount_kept"].tolist()[:3] == [50, 20, 50]  # never more than all that was brought


def test_quantities_by_month_and_quarter_of_the_customer_by_hand():
    # who joined on the 31st begins the second month on 29 February, the fourth (and second quarter) on 30 April
    days = [("2024-02-28", 1.5), ("2024-02-29", 2.25), ("2024-04-29", None), ("2024-04-29", 4), ("2024-04-30", 8)]
    bills = [(1, "2024-01-30", 1, "bill", 64), *((1, day, 1, "bill", quantity) for day, quantity in days)]
    tables = {"customers": [(1, "2024-01-31", None)], "activity": bills}
    data = canonical(tables, {**BARE, "as_of": "2024-06-30"})
    for unit, thousandths in (("month", [1500, 2250, 4000, 8000]), ("quarter", [7750, 8000])):
        cells = cohort_counts(data, unit=unit, measure="quantity").frame
        assert cells["amount"].tolist()[: len(thousandths)] == thousandths  # nothing from before the start


@pytest.mark.parametrize("name", ["toy", "bank", "dairy"])
def test_gross_never_exceeds_net_nor_the_whole_and_every_word_is_there(name):
    import churnlib

    data = toy() if name == "toy" else churnlib.open_dataset(name)
    result = money_retention(cohort_counts(data, measure="money"))
    told = result.table.dropna(subset=["gross", "net"])
    assert (told["gross"] <= np.minimum(told["net"], 1) + 1e-12).all()
    for statement in (*result.findings, *result.notes, result.subtitle):
        assert all(statement.say(language) for language in text.LANGUAGES)
