"""Levels that change on the way, and what happened lately: counted day by day, equal to R, free of immortal time."""

import re
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving_cases import SEGMENTS, day, moving, random_changes
from survival_cases import oracle
from toy import BARE, canonical, toy

import churnlib as churn
from churnlib.about import Event
from churnlib.counts import tenure_counts
from churnlib.counts.recent import recently
from churnlib.survival.estimators import product_limit
from churnlib.survival.hazardratios import proportional_hazards
from churnlib.survival.lifetable import life_table
from churnlib.survival.logrank import logrank_test
from churnlib.survival.survival import kaplan_meier
from churnlib.text import DataError, Label, UsageError

# the transplant programme of R's heart data, as a business: a transplant is a change of plan


@pytest.fixture(scope="module")
def heart():
    """Patients whose transplant is a change of plan; who is censored early stays on in a plan that is left out."""
    pieces = oracle("heart_pieces")
    one = pieces.groupby("id").agg(exit=("stop", "max"), event=("event", "max"), region=("surgery", "first"))
    one["change"] = pieces[pieces["transplant"] == 1].groupby("id")["start"].min()
    one = one.fillna({"change": 0}).astype(int)
    data = moving(one.assign(event=1))  # everybody's last day is known ...
    # ... and an end without event is a censored one: R's data have no common last day
    censored = [str(i) for i in np.flatnonzero(one["event"] == 0)]
    data.con.run(f"UPDATE customers SET outcome = 'censored' WHERE customer IN ({', '.join(censored)})")  # noqa: S608
    return data


def test_curves_by_a_changing_level_are_those_of_survfit_with_start_and_stop(heart):
    life = life_table(tenure_counts(heart, "plan"))
    r = oracle("heart_curves")
    for g, level in enumerate(("a", "b")):
        answer = r[r["level"] == str(g)]
        at = np.searchsorted(life.tenure, answer["tenure"])
        np.testing.assert_array_equal(life.n_at_risk[g, at], answer["n_at_risk"])
        np.testing.assert_array_equal(life.n_events[g, at], answer["n_events"])
        steps = product_limit(life.n_events[g], life.n_at_risk[g])
        np.testing.assert_allclose(steps.survival[at], answer["survival"], rtol=1e-12)
        np.testing.assert_allclose(steps.std_error[at], answer["std_error"], rtol=1e-10, atol=1e-14)
        assert life.levels[g] == level
    assert life.n_customers.tolist() == [103 - 0, 69]  # all begin without; customers, not the 172 pieces
    assert life.n_entered.sum() == 103


def test_tests_and_ratios_of_a_changing_level_are_those_of_r(heart):
    r = oracle("heart_cox").set_index("term")["beta"]
    assert logrank_test(tenure_counts(heart, "plan")).statistic == pytest.approx(r["logrank"], rel=1e-10)
    counted = tenure_counts(heart, ["plan", "region"])
    stratified = logrank_test(counted, strata="region")
    assert stratified.statistic == pytest.approx(r["stratified"], rel=1e-10)
    assert stratified.table["n_customers"].tolist() == [103, 69] and stratified.df == 1
    model = proportional_hazards(counted)
    ours = model.table.set_index(["covariate", "level"])
    assert ours.loc[("plan", "b"), "log_ratio"] == pytest.approx(r["transplant"], rel=1e-8)
    assert ours.loc[("region", "1"), "log_ratio"] == pytest.approx(r["surgery"], rel=1e-8)
    errors = oracle("heart_cox").set_index("term")["std_error"]
    assert ours.loc[("plan", "b"), "std_error"] == pytest.approx(errors["transplant"], rel=1e-8)
    assert (ours.loc[("plan", "a"), "n_customers"], ours.loc[("plan", "b"), "n_customers"]) == (103, 69)
    assert model.n_customers == 103 and model.n_events == 75 and model.has_moves


# immortal time


def censored_counts(rows, by):
    """Count with ends of observation of their own: spells of those who did not leave end as censored."""
    data = moving(rows.assign(event=True))
    gone = ", ".join(str(i) for i in np.flatnonzero(~rows["event"]))
    data.con.run(f"UPDATE customers SET outcome = 'censored' WHERE customer IN ({gone})")  # noqa: S608
    return tenure_counts(data, by)


def test_a_change_that_does_nothing_has_ratio_one_though_those_who_changed_stayed_longer():
    rows = random_changes(6_000, 60)
    ours = proportional_hazards(censored_counts(rows, "plan")).table.set_index("level").loc["b"]
    assert ours.ci_lower < 1 < ours.ci_upper and ours.ci_upper / ours.ci_lower < 1.2
    ever = censored_counts(rows.assign(region=np.where(rows["change"] > 0, "ever", "never"), change=0), "region")
    naive = proportional_hazards(ever, references={"region": "never"}).table.set_index("level").loc["ever"]
    assert naive.ci_upper < 0.7  # the mistake: time before the change is credited to the change


def test_a_change_that_doubles_the_risk_is_recovered_in_ratio_and_curve():
    counted = censored_counts(random_changes(6_000, 61, ratio=2.0), "plan")
    ours = proportional_hazards(counted).table.set_index("level").loc["b"]
    assert ours.ci_lower < 2 < ours.ci_upper
    read = kaplan_meier(counted).curves[0].read(np.array([365.0]))  # plan a: moved customers are not lost customers
    assert read["ci_lower"][0] < np.exp(-0.0015 * 365) < read["ci_upper"][0]


# what is counted


def test_moves_by_hand():
    rows = pd.DataFrame({"exit": [10, 10, 10, 7], "event": True, "change": [4, 10, 0, 1]})
    frame = tenure_counts(moving(rows), "plan").frame.set_index(["level", "tenure"])
    assert frame.loc[("a", 0), "n_entered"] == 3 and frame.loc[("b", 0), "n_entered"] == 1  # the last begins in b
    assert frame.loc[("a", 4), "n_moved_out"] == frame.loc[("b", 4), "n_moved_in"] == 1
    assert frame.loc[("b", 10), "n_events"] == 1 and frame.loc[("b", 7), "n_events"] == 1
    assert frame.loc[("a", 10), "n_events"] == 2  # who leaves on the day of the change leaves from the level before
    assert frame["n_moved_in"].sum() == 1


@pytest.mark.parametrize("by", ["plan", ["plan", "region"], [recently("complaint", 1), "plan"]])
def test_whatever_divides_customers_the_levels_add_up_to_the_whole(by):
    rng = np.random.default_rng(62)
    rows = random_changes(300, 62).assign(region=rng.choice(["x", "y"], 300), entry=rng.integers(0, 50, 300))
    contacts = [(i, day(n), "complaint") for i, n in zip(rng.integers(0, 300, 200), rng.integers(0, 900, 200))]  # noqa: B905
    data = moving(rows, contacts=contacts)
    whole, split = tenure_counts(data, blocks=True), tenure_counts(data, by, blocks=True)
    together = split.total("block").total(split.grain[0]).frame.set_index("tenure")
    plain = whole.total("block").total("level").frame.set_index("tenure")
    added = together[plain.columns].reindex(plain.index, fill_value=0)
    pd.testing.assert_frame_equal(added, plain)
    assert (together["n_moved_in"] == together["n_moved_out"]).all() and together["n_moved_in"].sum() > 50
    extra = together.index.difference(plain.index)  # tenures at which customers only moved
    assert not together.loc[extra, list(plain.columns)].to_numpy().any()
    for _, part in split.total("block").frame.groupby(split.grain[0]):
        net = part["n_entered"] + part["n_moved_in"] - part["n_moved_out"] - part["n_events"] - part["n_censored"]
        assert (net.cumsum() >= 0).all() and net.sum() == 0


lives = st.lists(
    st.tuples(
        st.integers(-20, 40),  # start
        st.one_of(st.none(), st.integers(0, 50)),  # life, or still there
        st.lists(st.tuples(st.integers(-30, 60), st.sampled_from("abc"), st.integers(0, 30)), max_size=4),  # plans
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=15, deadline=None)
@given(lives)
def test_who_is_at_risk_in_which_level_is_what_looking_at_every_day_shows(lives):
    last = 60  # plans may overlap and leave gaps; observed since day 0
    customers = [
        (i, day(s), day(s + n) if n is not None and s + n <= last else None) for i, (s, n, _) in enumerate(lives)
    ]
    given = [(i, "plan", v, day(f), day(f + n)) for i, (*_, plans) in enumerate(lives) for f, v, n in plans]
    data = canonical({"customers": customers, "assignments": given}, BARE | {"as_of": day(last), "segments": SEGMENTS})
    life = life_table(tenure_counts(data, "plan"))
    rows = data.con.frame('SELECT * FROM "segment plan"').astype({"from_date": str, "to_date": str})
    stretches = [rows[rows["customer"] == i][["from_date", "to_date", "level"]].to_numpy() for i in range(len(lives))]
    expected = {}
    for i, (start, n, _) in enumerate(lives):
        end = start + n if n is not None and start + n <= last else None
        if end is not None and end < 0:
            continue  # left before ends were recorded
        for d in range(max(start, 0), (last if end is None else end) + 1):
            known = day(d if d == max(start, 0) else d - 1)  # the level of the day before, but for the first one
            (own,) = [level for first, until, level in stretches[i] if first <= known <= until]
            cell = expected.setdefault((own, d - start + 1), [0, 0])
            cell[0] += 1
            cell[1] += d == end
    for g, level in enumerate(life.levels):
        for t, tenure in enumerate(life.tenure):
            if tenure > 0:
                found = [life.n_at_risk[g, t], life.n_events[g, t]]
                assert found == expected.pop((level, tenure), [0, 0]), (level, tenure)
    assert not any(n for _, n in expected.values())  # what is left are tenures at which nothing happened


def test_a_level_that_could_change_but_does_not_counts_like_one_that_cannot():
    rows = random_changes(200, 63).assign(change=0)
    data = moving(rows.assign(region="a"))
    fixed, free = tenure_counts(data, "region"), tenure_counts(data, "plan")
    pd.testing.assert_frame_equal(free.frame[fixed.frame.columns], fixed.frame)
    assert not free.frame[["n_moved_in", "n_moved_out"]].to_numpy().any() and fixed.sizes is None


def test_where_only_months_are_known_the_last_change_of_a_month_counts_from_the_next():
    customers = [(1, "2024-01-01", "2024-06-01", "voluntary"), (2, "2024-01-01", None)]
    given = [
        (1, "plan", "a", "2023-01-01", "2024-02-01"),
        (1, "plan", "b", "2024-02-02", "2024-02-20"),
        (1, "plan", "c", "2024-02-21", None),
        (2, "plan", "a", "2024-01-01", "2024-01-15"),
        (2, "plan", "b", "2024-01-16", None),
    ]
    spec = BARE | {"as_of": "2024-07-31", "time_unit": "month", "segments": SEGMENTS, "observed_from": "2024-01-01"}
    counted = tenure_counts(canonical({"customers": customers, "assignments": given}, spec), "plan")
    life = life_table(counted)
    at_risk = {level: dict(zip(life.tenure, life.n_at_risk[g], strict=True)) for g, level in enumerate(life.levels)}
    assert at_risk["a"] == {0: 2, 1: 1, 5: 0, 6: 0} and at_risk["b"] == {0: 0, 1: 1, 5: 1, 6: 1}
    assert at_risk["c"] == {0: 0, 1: 0, 5: 1, 6: 0}


# what happened a short while ago


def stretches(data, recent, customer):
    """The days on which a customer is in each level, from the tables that counting uses."""
    from churnlib.counts.recent import recent_levels

    table, _ = recent_levels(data, recent)
    rows = data.con.frame(f"SELECT * FROM {table} WHERE customer = {customer} ORDER BY from_date")  # noqa: S608
    return [(row.level, str(row.from_date.date()), str(row.to_date.date())) for row in rows.itertuples()]


def test_windows_by_hand():
    contacts = [(1, "2024-03-10", "complaint", None, False), (1, "2024-03-10", "complaint", None, True)]
    contacts += [(1, "2024-04-01", "complaint", None, False), (2, "2024-01-05", "satisfaction", 3.0, None)]
    data = toy(tables={"contacts": contacts})
    assert stretches(data, recently("complaint", 1), 1) == [
        ("unknown", "0001-01-01", "2023-12-31"),
        ("no", "2024-01-01", "2024-03-09"),
        ("yes", "2024-03-10", "2024-03-31"),
        ("yes", "2024-04-01", "2024-04-30"),
        ("no", "2024-05-01", "9999-12-31"),
    ]
    assert stretches(data, recently("complaint", 1, resolved=True), 1)[-2:] == [
        ("yes", "2024-03-10", "2024-04-09"),
        ("no", "2024-04-10", "9999-12-31"),
    ]
    changed = stretches(data, recently("manager", 2, table="assignments"), 1)
    assert changed[1:] == [
        ("no", "2024-01-01", "2024-02-29"),
        ("yes", "2024-03-01", "2024-04-30"),
        ("no", "2024-05-01", "9999-12-31"),
    ]


def test_before_contacts_were_kept_nobody_is_called_one_without():
    data = toy(tables={"contacts": [(1, "2024-06-01", "complaint"), (2, "2024-09-01", "call")]})
    assert stretches(data, recently("complaint", 1), 2)[:2] == [
        ("unknown", "0001-01-01", "2024-05-31"),
        ("no", "2024-06-01", "9999-12-31"),
    ]


def test_an_event_touches_whom_its_scope_names_while_it_is_in_force():
    data = toy()
    events = (
        Event(date(2024, 3, 1), Label("", ""), "price", scope="region=north; manager=Li"),
        Event(date(2024, 9, 1), Label("", ""), "price", date(2024, 9, 30), scope="region=south"),
        Event(date(2024, 12, 31), Label("", ""), "price", scope="age=45+"),
        Event(date(2024, 9, 1), Label("", ""), "price", scope="galaxy=far"),  # nobody known
        Event(date(2024, 6, 1), Label("", ""), "price", date(2024, 5, 1)),  # ends before it begins
    )
    data = replace(data, about=replace(data.about, events=events))
    price = recently("price", 2, table="events")
    seven = stretches(data, price, 7)  # north, Li, 50 years old
    assert [row for row in seven if row[0] == "yes"] == [
        ("yes", "2024-03-01", "2024-04-30"),
        ("yes", "2024-12-31", "2025-02-27"),  # two months from the 31st: to the day before the 28th
    ]
    assert [level for level, *_ in stretches(data, price, 1)] == ["unknown", "no"]  # Wang's by then
    assert ("yes", "2024-09-01", "2024-09-30") in stretches(data, price, 6)


def test_a_complaint_that_triples_the_risk_for_three_months_is_recovered():
    rng, n, risk = np.random.default_rng(65), 5_000, 0.0015
    told = np.ceil(rng.exponential(300, n)).astype(int)
    until = told + 91
    first, second, last = (np.ceil(rng.exponential(1 / r, n)).astype(int) for r in (risk, 3 * risk, risk))
    life = np.where(first <= told, first, np.where(told + second <= until, told + second, until + last))
    rows = pd.DataFrame({"exit": np.minimum(life, 1_000), "event": life <= 1_000, "change": 0})
    heard = np.flatnonzero(told <= rows["exit"])
    contacts = [(int(i), day(told[i] - 1), "complaint", None, False) for i in heard]
    data = moving(rows, as_of=999, contacts=contacts)
    complaint = recently("complaint", 3, resolved=False)
    ours = proportional_hazards(tenure_counts(data, complaint)).table.set_index("level").loc["yes"]
    assert ours.ci_lower < 3 < ours.ci_upper and ours.n_customers <= len(heard)
    naive = rows.assign(region=np.where(told <= rows["exit"], "ever", "never"))
    ever = proportional_hazards(tenure_counts(moving(naive, as_of=999), "region"), references={"region": "never"})
    assert ever.table.set_index("level").loc["ever", "hazard_ratio"] < 0.8  # the mistake would even call it protection


def test_what_cannot_be_asked_is_refused_in_words():
    data = moving(random_changes(50, 65))
    for wrong in ({"table": "customers"}, {"months": 0}, {"table": "events", "resolved": True}):
        with pytest.raises(UsageError):
            recently("complaint", **wrong)
    with pytest.raises(DataError, match="complaint"):
        tenure_counts(data, recently("complaint"))
    with pytest.raises(UsageError, match="tenure"):
        tenure_counts(data, ["plan", "tenure"])
    counted = tenure_counts(data, ["plan", "region"])
    for wrong in ({"references": {"plan": "z"}}, {"strata": "colour"}):
        with pytest.raises(UsageError, match="z|colour"):
            proportional_hazards(counted, **wrong)
    with pytest.raises(UsageError, match="strata"):
        kaplan_meier(counted)
    for wrong in ((counted, "colour"), (tenure_counts(data, "plan"), "region")):
        with pytest.raises(UsageError, match="plan"):
            logrank_test(wrong[0], strata=wrong[1])


def test_hostile_names_are_data_and_never_code():
    hostile = "x'; DROP TABLE customers; --\""
    data = moving(random_changes(60, 66), contacts=[(1, day(30), hostile), (2, day(31), hostile)])
    counted = tenure_counts(data, [recently(hostile), "plan"])
    assert counted.sizes.loc[recently(hostile).name, "n_customers"]["yes"] == 2
    assert proportional_hazards(counted).table["n_customers"].notna().all()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_happened_lately_is_named_by_itself_where_nothing_else_divides(language):
    rng = np.random.default_rng(65)
    rows = random_changes(2_000, 65).assign(change=0)
    contacts = [(i, day(n), "complaint") for i, n in enumerate(rng.integers(30, 300, 600))]
    counted = tenure_counts(moving(rows, contacts=contacts), recently("complaint"))
    named, without = (
        ("近 3 个月有投诉", "没有这种情况") if language == "zh" else ("complaint in the last 3 months", "without it")
    )
    for verb in (
        "kaplan_meier",
        "months_stayed",
        "survival_table",
        "cumulative_incidence",
        "logrank_test",
        "discrete_hazard",
    ):
        result = getattr(churn, verb)(counted)
        said = " ".join(f.say(language) for f in (*result.findings, *result.notes))
        assert not re.search(r"\*\*(是|否|yes|no)\*\*|比否|than no |\b1 groups|（1 组|没有收敛|not converge", said), (
            said
        )
        levels = result.summary(language).iloc[:, 0]
        assert verb in ("kaplan_meier", "discrete_hazard") or any(without in level for level in levels)
        assert any(named in level for level in levels)
