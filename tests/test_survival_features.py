"""Features that change with time, several at once, strata and robust errors: equal to R, and free of immortal time."""

from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from survival_cases import about, oracle, simulate
from toy import BARE, canonical, toy

from churnlib import text
from churnlib.about import Event, Segment
from churnlib.counts import tenure_counts
from churnlib.counts.recent import features, recently
from churnlib.tenure.cox import block_errors, fit_cox, number_patterns, proportionality_test
from churnlib.tenure.estimators import product_limit
from churnlib.tenure.hazard import proportional_hazards
from churnlib.tenure.lifetable import life_table
from churnlib.tenure.logrank import logrank_test
from churnlib.tenure.ratios import ratios_by_tenure
from churnlib.tenure.survival import kaplan_meier
from churnlib.text import DataError, Label, UsageError

FIRST = date(2024, 1, 1)
SEGMENTS = {"region": {"column": "region"}, "plan": {"assignment": "plan"}, "tenure": {"tenure_months": [0, 6]}}


def day(n) -> str:
    return str(FIRST + timedelta(days=int(n)))


def moving(rows: pd.DataFrame, as_of=4_000, contacts=()):
    """Make a data set: `exit` is the last day of tenure, `change` the day of tenure on which plan a becomes b (or 0).

    All start on the first day; `entry` is the tenure at which they came under observation.
    """
    customers, given = [], []
    for i, row in enumerate(rows.to_dict("records")):
        entry = int(row.get("entry", 0))
        end = day(row["exit"] - 1) if row["event"] else None
        customers.append((i, day(0), end, "voluntary" if end else None, 100, str(row.get("region", "x"))))
        given.append((i, "plan", "a", day(-10 - entry), day(row["change"] - 2) if row["change"] else None))
        if row["change"]:
            given.append((i, "plan", "b", day(row["change"] - 1), None))
    spec = BARE | {"observed_from": day(0), "as_of": day(as_of), "segments": SEGMENTS}
    tables = {"customers": customers, "assignments": given}
    spec["tables"] = spec["tables"] | {"assignments": {"file": "a", "columns": dict.fromkeys(
        ("customer_id", "attribute", "value", "from_date"), "x")}}  # fmt: skip
    return canonical(tables | ({"contacts": list(contacts)} if contacts else {}), spec)


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
    tenure_counts(data)  # makes the spells
    data.con.run(f"UPDATE spells SET outcome = 'censored' WHERE customer IN ({', '.join(censored)})")  # noqa: S608
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
    assert life.total().n_customers == 103


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


# strata, whole months, aliasing, errors by block


def cells(rows, names=("a", "b"), also=()):
    """Counts per pattern of levels (and what else is named) and tenure, of spells with entry, exit, outcome and n."""
    rows = rows.astype(dict.fromkeys(names, str))
    keys, event = rows[[*names, *also]], (rows["outcome"] != "censored").astype(int)
    came = keys.assign(tenure=rows["entry"], n_entered=rows["n"], n_events=0, n_censored=0)
    went = keys.assign(tenure=rows["exit"], n_entered=0, n_events=rows["n"] * event)
    went["n_censored"] = rows["n"] * (1 - event)
    return number_patterns(pd.concat([came, went], ignore_index=True), names)


STRATA = oracle("cox_strata")


@pytest.mark.parametrize(("name", "strata"), STRATA[["case", "strata"]].drop_duplicates().to_numpy().tolist())
def test_strata_and_tied_months_are_those_of_coxph_and_cox_zph(name, strata):
    rows = oracle("cox_mgus2" if name == "mgus2" else "cox_rows")
    frame, patterns = cells(rows[rows["case"] == name])
    first = {c: sorted(set(patterns[c]))[0] for c in ("a", "b")}  # R's reference
    model = fit_cox(frame, patterns, references=first, strata=["b"] if strata == "strata" else [])
    r = STRATA[(STRATA["case"] == name) & (STRATA["strata"] == strata)].set_index("term")
    r = r.loc[["".join(term) for term in model.terms]]
    np.testing.assert_allclose(model.fit.beta, r["beta"], rtol=1e-7)
    np.testing.assert_allclose(model.fit.std_error, r["std_error"], rtol=1e-7)
    answers = r[["loglik", "loglik_null"]].iloc[0].astype(float)
    np.testing.assert_allclose([model.fit.loglik, model.fit.loglik_null], answers, rtol=1e-10)
    test = proportionality_test(model.likelihood, model.fit, [c for c, _ in model.terms]).iloc[-1]
    np.testing.assert_allclose(test.statistic, r["zph"].iloc[0], rtol=1e-4)


def test_a_feature_that_goes_with_another_exactly_has_no_ratio_and_changes_none():
    rows = oracle("cox_rows").query("case == 'lung'")
    alone = fit_cox(*cells(rows.assign(b="x")))
    both = fit_cox(*cells(rows.assign(b=rows["a"])))  # b tells nothing new
    np.testing.assert_allclose(both.fit.beta, np.r_[alone.fit.beta, 0, 0], rtol=1e-9)
    assert both.fit.aliased.tolist() == [False, False, True, True] and both.fit.converged
    np.testing.assert_allclose(both.fit.std_error[:2], alone.fit.std_error, rtol=1e-9)
    assert np.isnan(both.fit.std_error[2:]).all()


def test_errors_without_each_block_are_those_of_refitting_in_r():
    g = oracle("cgd_spells").rename(columns={"treat": "a", "sex": "b"}).assign(entry=0, n=1)
    g["outcome"] = np.where(g["event"] == 1, "voluntary", "censored")
    frame, patterns = cells(g, also=["block"])
    model = fit_cox(frame, patterns, references={"a": "0", "b": "0"})
    r = oracle("cgd_cox")
    np.testing.assert_allclose(model.fit.beta, r["beta"], rtol=1e-7)
    t = 2.0930240544082634 / 1.959963984540054  # qt(.975, 19) / qnorm(.975): few blocks call for a t interval
    np.testing.assert_allclose(block_errors(frame, patterns, model), t * r["jackknife"], rtol=1e-5)


def test_a_level_lost_in_one_block_only_has_no_error_and_spoils_no_other():
    frame, patterns = many_spells(np.random.default_rng(52))
    frame = pd.concat([frame, frame[frame["block"] == 3].assign(pattern=2)], ignore_index=True)
    patterns = pd.DataFrame({"a": ["0", "1", "2"]})
    others = (frame["pattern"] == 2) & (frame["tenure"] > 0)
    quiet = frame[others].assign(block=4, n_censored=frame["n_events"] + frame["n_censored"], n_events=0)
    entered = frame[(frame["pattern"] == 2) & ~others].assign(block=4)
    frame = pd.concat([frame, quiet, entered], ignore_index=True)  # level 2: lost in block 3, only censored in block 4
    errors = block_errors(frame, patterns, fit_cox(frame, patterns, references={"a": "0"}))
    assert np.isfinite(errors[0]) and np.isnan(errors[1])


def many_spells(rng, customers=400, blocks=20):
    """Customers with several spells each and a risk of their own; the feature, a coin a customer, does nothing."""
    n = rng.integers(1, 8, customers)
    who = np.repeat(np.arange(customers), n)
    risk = rng.gamma(1.5, 1 / 1.5, customers)[who] * 0.02
    life = np.ceil(rng.exponential(1 / risk)).clip(1, 400)
    rows = pd.DataFrame({"a": rng.integers(0, 2, customers)[who], "entry": 0, "exit": life, "n": 1})
    rows["outcome"] = np.where(life < 400, "voluntary", "censored")
    return cells(rows.assign(block=who % blocks), names=["a"], also=["block"])


def draws(seed, replicates):
    """Coefficient, usual error and error by blocks, one row a replicate."""
    rng, out = np.random.default_rng(seed), []
    for _ in range(replicates):
        frame, patterns = many_spells(rng)
        model = fit_cox(frame, patterns)
        out.append((model.fit.beta[0], model.fit.std_error[0], block_errors(frame, patterns, model)[0]))
    return np.array(out)


def test_several_spells_of_a_customer_do_not_make_the_errors_too_small():
    beta, usual, robust = draws(50, 25).T
    spread = np.sqrt(np.mean(beta**2))  # the truth is 0
    assert usual.mean() < 0.8 * spread
    assert 0.75 * spread < robust.mean() < 1.5 * spread


@pytest.mark.calibrate
def test_the_size_of_the_test_with_errors_by_block():
    beta, _, robust = draws(51, 1_000).T
    assert 0.035 <= np.mean(np.abs(beta / robust) > 1.959964) <= 0.065


# immortal time


def random_changes(n, seed, ratio=1.0):
    """Customers who leave at 0.0015 a day, and `ratio` times that once a change has happened, unrelated otherwise."""
    rng = np.random.default_rng(seed)
    change, first = np.ceil(rng.exponential(500, n)).astype(int), np.ceil(rng.exponential(1 / 0.0015, n)).astype(int)
    later = change + np.ceil(rng.exponential(1 / (0.0015 * ratio), n)).astype(int)
    life = np.where(first <= change, first, later)
    end = rng.integers(300, 1500, n)
    rows = pd.DataFrame({"exit": np.minimum(life, end), "event": life <= end})
    return rows.assign(change=np.where(change < rows["exit"], change, 0))


def censored_counts(rows, by):
    """Count with ends of observation of their own: spells of those who did not leave end as censored."""
    data = moving(rows.assign(event=True))
    tenure_counts(data)
    gone = ", ".join(str(i) for i in np.flatnonzero(~rows["event"]))
    data.con.run(f"UPDATE spells SET outcome = 'censored' WHERE customer IN ({gone})")  # noqa: S608
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


@pytest.mark.calibrate
@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_the_interval_of_a_feature_that_changes_holds_the_truth(ratio):
    held = []
    for seed in range(2_000):
        rows = random_changes(500, 70_000 + seed, ratio)
        before = rows.assign(a="a", entry=0, exit=np.where(rows["change"] > 0, rows["change"], rows["exit"]))
        before["outcome"] = np.where(rows["event"] & (rows["change"] == 0), "voluntary", "censored")
        after = rows[rows["change"] > 0].assign(a="b", entry=rows["change"])
        after["outcome"] = np.where(after["event"], "voluntary", "censored")
        fit = fit_cox(*cells(pd.concat([before, after]).assign(n=1), ["a"]), references={"a": "a"}).fit
        held.append(abs(fit.beta[0] - np.log(ratio)) <= 1.959964 * fit.std_error[0])
    assert 0.935 <= np.mean(held) <= 0.965


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
    for wrong in ((counted, "colour"), (tenure_counts(data, "plan"), "region")):
        with pytest.raises(UsageError, match="plan"):
            logrank_test(wrong[0], strata=wrong[1])


def test_hostile_names_are_data_and_never_code():
    hostile = "x'; DROP TABLE customers; --\""
    data = moving(random_changes(60, 66), contacts=[(1, day(30), hostile), (2, day(31), hostile)])
    counted = tenure_counts(data, [recently(hostile), "plan"])
    assert counted.sizes.loc[recently(hostile).name, "n_customers"]["yes"] == 2
    assert proportional_hazards(counted).table["n_customers"].notna().all()


# what readers see


def two_features(n=8_000, seed=67):
    """Feature f leaves at 1.0 and 1.8 times a risk, g at 1.0, 1.0 and 0.6 times; a third of g's c never leave."""
    rng = np.random.default_rng(seed)
    rows = [
        simulate(n // 6, rng, monthly_risk=0.04 * f * g, level=f"{a}{b}").assign(a=a, b=b)
        for a, f in (("u", 1), ("v", 1.8))
        for b, g in (("p", 1), ("q", 1), ("r", 0.6))
    ]
    frame, patterns = cells(pd.concat(rows, ignore_index=True).assign(n=1))
    pairs = [("a", ("u", "v")), ("b", ("p", "q", "r"))]
    segments = tuple(Segment(k, Label(f"特征{k}", f"feature {k}"), v, tuple(map(Label.of, v))) for k, v in pairs)
    return SimpleNamespace(frame=frame, patterns=patterns, segments=segments, about=about())


def said(result):
    statements = [s for s in (*result.findings, *result.notes, result.subtitle) if s]
    return [statement.say(language) for statement in statements for language in text.LANGUAGES]


def test_several_features_are_told_with_names_counts_and_reference_levels():
    model = proportional_hazards(two_features(), references={"b": "q"})
    ours = model.table.set_index(["covariate", "level"])
    assert list(ours.index[ours["is_reference"]]) == [("a", ours.index[0][1]), ("b", "q")]
    row = ours.loc[("b", "r")]
    assert row.ci_lower < 0.6 < row.ci_upper
    english = model.summary("en")
    assert list(english.columns[:2]) == ["Feature", "Group"] and "feature b" in set(english["Feature"])
    assert any("feature a: " in words for words in said(model)) and not any("nan" in words for words in said(model))
    assert model.findings[0].key in ("survival.ratio.higher", "survival.ratio.lower")
    assert model.plot() is not None and ratios_by_tenure(model).findings
    assert not any("nan" in words for words in said(ratios_by_tenure(model)))


def test_a_stratum_has_no_ratio_and_is_named():
    model = proportional_hazards(two_features(), strata="b")
    assert set(model.table["covariate"]) == {"a"}
    assert any("feature b" in words for words in said(model))
    assert list(model.summary("en")["Group"]) == list(model.table["level"]) and "Feature" not in model.summary("en")


def test_levels_that_cannot_be_estimated_are_named_with_the_reason():
    counted = two_features()
    patterns = counted.patterns.assign(c=np.where(counted.patterns["b"] == "r", "s", "t"))
    c = Segment("c", Label("特征c", "feature c"), ("s", "t"), (Label.of("s"), Label.of("t")))
    counted.patterns, counted.segments = patterns, (*counted.segments, c)
    model = proportional_hazards(counted)
    assert model.findings[-1].key == "survival.ratio.aliased"
    assert any("feature c: s" in words for words in said(model))
    nobody = counted.frame["pattern"].isin(np.flatnonzero(counted.patterns["b"] == "r"))
    frame = counted.frame.copy()
    frame.loc[nobody, "n_censored"] += frame.loc[nobody, "n_events"]
    frame.loc[nobody, "n_events"] = 0
    counted.frame, counted.segments, counted.patterns = frame, counted.segments[:2], patterns.drop(columns="c")
    model = proportional_hazards(counted)
    assert model.findings[-1].key == "survival.ratio.separated" and model.fit.converged
    assert any("feature b: r" in words for words in said(model))


def test_a_model_that_does_not_converge_gives_no_numbers():
    model = proportional_hazards(two_features())
    model = replace(model, fit=model.fit._replace(converged=False))
    assert model.findings[0].key == "survival.model.not_converged" and model.plot() is None
    assert model.shown["hazard_ratio"].isna().all() and said(model)


def test_data_without_features_say_so():
    data = canonical({"customers": [(i, day(0), None) for i in range(40)]}, BARE | {"as_of": day(99), "segments": {}})
    assert features(data) == []
    model = proportional_hazards(tenure_counts(data, features(data)))
    assert [f.key for f in model.findings] == ["survival.model.none"] and model.plot() is None
    assert said(model)
