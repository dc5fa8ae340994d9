"""Several features in one model, strata and robust errors: equal to R, and told in words."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving_cases import day, random_changes
from survival_cases import about, oracle, simulate
from toy import BARE, canonical

from churnlib import text
from churnlib.about import Segment
from churnlib.counts import tenure_counts
from churnlib.counts.recent import features
from churnlib.survival.cox import block_errors, fit_cox, number_patterns, proportionality_test
from churnlib.survival.hazardratios import proportional_hazards
from churnlib.survival.ratios import ratios_by_tenure
from churnlib.text import Label

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


spells = st.lists(
    st.tuples(st.sampled_from("uv"), st.sampled_from("pqr"), st.integers(0, 3), st.integers(1, 9), st.booleans()),
    min_size=1,
    max_size=25,
)


@pytest.mark.filterwarnings("error")
@settings(max_examples=30, deadline=None)
@given(spells)
def test_however_few_customers_there_are_no_number_is_broken(spells):
    rows = pd.DataFrame(spells, columns=["a", "b", "entry", "more", "event"]).assign(n=1)
    rows = rows.assign(exit=rows["entry"] + rows["more"], outcome=np.where(rows["event"], "voluntary", "censored"))
    frame, patterns = cells(rows)
    segments = tuple(
        Segment(k, Label.of(f"feature {k}"), v, tuple(map(Label.of, v))) for k, v in (("a", "uv"), ("b", "pqr"))
    )
    few = about(min_denominator=1, privacy_k=1)
    model = proportional_hazards(SimpleNamespace(frame=frame, patterns=patterns, segments=segments, about=few))
    for result in (model, ratios_by_tenure(model)):
        cells_shown = result.summary("en").to_numpy().ravel().tolist()
        for words in (*said(result), *map(str, cells_shown)):
            assert "nan" not in words and "inf" not in words and "e+" not in words
    estimated = model.table.dropna(subset="p_value")
    assert (estimated["ci_lower"] > 0).all() and np.isfinite(estimated["ci_upper"]).all()


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
