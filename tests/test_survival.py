"""How long customers stay: what the curves, tables and sentences have to get right."""

import numpy as np
import pandas as pd
import pytest
from survival_cases import OUTCOMES, case, counts, oracle, simulate

from churnlib import text
from churnlib.survival.curves import level_curves
from churnlib.survival.lifetable import anniversary, life_table
from churnlib.survival.logrank import logrank_test
from churnlib.survival.milestones import survival_table
from churnlib.survival.quantiles import tenure_quantiles
from churnlib.survival.suppression import merge_small_steps
from churnlib.survival.survival import kaplan_meier

VERBS = (kaplan_meier, survival_table, tenure_quantiles, logrank_test)


def at_month(result, months):
    return result.table.set_index("months").loc[months]


def spells(*rows):
    return pd.DataFrame(rows, columns=["entry", "exit", "outcome", "n"])


# ---- late entry ------------------------------------------------------------------------------------------------------


def test_late_entry_recovers_the_survival_that_ignoring_it_overstates():
    rows = simulate(20_000, np.random.default_rng(1), monthly_risk=0.04)
    truth = np.exp(-0.04 * 24)
    read = at_month(survival_table(counts(rows)), 24)
    assert read.ci_lower < truth < read.ci_upper
    naive = at_month(survival_table(counts(rows.assign(entry=0))), 24)
    assert naive.survival > truth + 0.15


def test_entries_change_the_risk_set_and_the_test():
    rows = simulate(2_000, np.random.default_rng(2)).assign(level=lambda d: np.where(d.index % 2, "a", "b"))
    with_entry, without = logrank_test(counts(rows)), logrank_test(counts(rows.assign(entry=0)))
    assert with_entry.p_value != without.p_value
    assert life_table(counts(rows)).n_at_risk.sum() < life_table(counts(rows.assign(entry=0))).n_at_risk.sum()


def test_a_tiny_early_risk_set_does_not_pull_the_curve_down_for_good():
    # two old customers are seen from day 3 on, one leaves at once; 500 more come under observation at day 400
    rows = spells(
        (3, 5, "voluntary", 1), (3, 900, "censored", 1), (400, 500, "natural", 50), (400, 900, "censored", 450)
    )
    curve = kaplan_meier(counts(rows))
    assert curve.table["survival"].min() > 0.85
    assert curve.curves[0].start == 400
    assert "survival.note.conditional" in [note.key for note in curve.notes]
    assert survival_table(counts(rows)).table["survival"].isna().all()  # no share of all who ever started


def test_an_early_curve_with_enough_losses_is_kept_though_the_old_customers_are_more():
    new = spells((0, 100, "voluntary", 60), (0, 300, "censored", 440))
    old = spells((3000, 3100, "voluntary", 900), (3000, 3600, "censored", 9_000))
    curve = kaplan_meier(counts(pd.concat([new, old])))
    assert curve.curves[0].start == 0
    assert curve.table["tenure"].max() == 300


# ---- conventions -----------------------------------------------------------------------------------------------------


def test_customers_who_leave_in_their_first_month_are_counted():
    rows = spells((0, 0, "voluntary", 95), (0, 5, "censored", 9_905))
    curve = kaplan_meier(counts(rows, unit="month"))
    assert curve.table["survival"].iloc[-1] == pytest.approx(1 - 95 / 10_000)


def test_twelve_months_are_read_at_day_365():
    assert anniversary([1, 3, 6, 12, 24, 36, 60], "day").tolist() == [30, 91, 182, 365, 730, 1095, 1826]
    leaves = spells((0, 365, "voluntary", 100), (0, 800, "censored", 100))
    assert at_month(survival_table(counts(leaves)), 12).survival == pytest.approx(0.5)
    stays = spells((0, 366, "voluntary", 100), (0, 800, "censored", 100))
    assert at_month(survival_table(counts(stays)), 12).survival == 1


def test_segments_add_up_to_the_whole():
    rows = oracle("survival_rows")
    ties = rows[rows["case"] == "ties"].drop(columns="case")
    whole, total = life_table(counts(ties)), life_table(counts(ties.assign(level="")))
    np.testing.assert_array_equal(whole.n_at_risk.sum(axis=0), total.n_at_risk[0])
    np.testing.assert_array_equal(sum(whole.outcomes[o] for o in OUTCOMES), whole.n_events)
    assert whole.n_entered.sum() == whole.n_events.sum() + whole.n_censored.sum()


def test_row_order_and_grouping_change_nothing():
    rows = simulate(3_000, np.random.default_rng(3))
    shuffled = rows.sample(frac=1, random_state=4)
    pd.testing.assert_frame_equal(kaplan_meier(counts(rows)).table, kaplan_meier(counts(shuffled)).table)


def test_lifelines_agrees_with_late_entry():
    lifelines = pytest.importorskip("lifelines")
    rows = simulate(2_000, np.random.default_rng(5))
    fit = lifelines.KaplanMeierFitter().fit(rows["exit"], rows["outcome"] != "censored", entry=rows["entry"])
    curve = level_curves(life_table(counts(rows)))[0]
    days = anniversary([6, 12, 24, 36], "day")
    np.testing.assert_allclose(curve.read(days)["survival"], fit.predict(days), rtol=1e-10)


# ---- what is shown ---------------------------------------------------------------------------------------------------


def test_curves_end_where_too_few_are_at_risk():
    curve = kaplan_meier(counts(simulate(1_500, np.random.default_rng(6))))
    assert curve.table["n_at_risk"].min() >= 30
    assert curve.shown["n_at_risk"].min() >= 30


def test_the_at_risk_row_of_the_figure_is_the_life_table():
    rows = simulate(5_000, np.random.default_rng(7))
    shown = kaplan_meier(counts(rows)).shown
    for day, n in zip(shown["tenure"], shown["n_at_risk"], strict=True):
        assert n == ((rows["entry"] <= day) & (rows["exit"] > day)).sum()


def test_no_reading_tells_of_one_to_four_churned_customers():
    rng = np.random.default_rng(8)
    rows = pd.concat([simulate(900, rng, level="a"), simulate(400, rng, level="b"), simulate(300, rng, level="c")])
    curve = kaplan_meier(counts(rows, privacy_k=5))
    assert not curve.shown["n_events"].between(1, 4).any()
    assert len(curve.shown) < len(curve.table)


def test_the_one_withheld_level_does_not_follow_from_the_others():
    lost = np.array([[0.0, 10, 20], [0, 2, 30], [0, 40, 50]])
    keep = merge_small_steps(lost, 5)
    assert keep.tolist() == [[True, False, True], [True, False, True], [True, True, True]]


def test_what_is_read_by_itself_is_shown_alike_wherever_it_is_shown():
    rng = np.random.default_rng(13)
    lost = rng.poisson(2.5, (3, 40)).cumsum(axis=1).astype(float)
    anchors = np.arange(40) % 6 == 5
    keep = merge_small_steps(lost, 5, anchors=anchors)
    np.testing.assert_array_equal(keep[:, anchors], merge_small_steps(lost[:, anchors], 5))
    assert keep[:, ~anchors].any()
    for row, kept in zip(lost, keep, strict=True):
        steps = np.diff(np.r_[0.0, row[kept]])
        assert not ((steps > 0) & (steps < 5)).any()


def test_a_curve_says_nothing_of_too_few_customers():
    rows = spells((0, 50, "voluntary", 5), (0, 90, "censored", 12))
    for verb in VERBS:
        result = verb(counts(rows))
        assert result.plot() is None
        assert all(v in (None, text.MISSING) or "%" not in v for v in result.summary("en").to_numpy().ravel())


# ---- words -----------------------------------------------------------------------------------------------------------

STEADY = spells((0, 700, "censored", 300))


@pytest.mark.parametrize(
    ("rows", "key"),
    [
        (spells((0, 100, "voluntary", 400), (0, 700, "censored", 300)), "survival.median.reached"),
        (spells((0, 100, "voluntary", 151), (0, 700, "censored", 149)), "survival.median.reached_open"),
        (spells((0, 100, "voluntary", 60), (0, 700, "censored", 300)), "survival.median.not_reached"),
        (STEADY, "survival.no_events"),
        (spells((0, 100, "voluntary", 5), (0, 700, "censored", 5)), "survival.too_small"),
        (spells((0, 20, "voluntary", 60), (0, 300, "voluntary", 20), (0, 700, "censored", 300)), "survival.early.high"),
        (spells((0, 20, "voluntary", 10), (0, 300, "voluntary", 90), (0, 700, "censored", 300)), "survival.early.low"),
        (spells((0, 20, "voluntary", 25), (0, 300, "voluntary", 75), (0, 700, "censored", 300)), "survival.early.even"),
    ],
)
def test_the_sentence_fits_the_numbers(rows, key):
    assert key in [finding.key for finding in kaplan_meier(counts(rows)).findings]


def test_a_segment_is_named_only_when_it_is_clearly_different():
    def two(lost):
        a = spells((0, 200, "voluntary", 100), (0, 700, "censored", 400)).assign(level="a")
        b = spells((0, 200, "voluntary", lost), (0, 700, "censored", 500 - lost)).assign(level="b")
        return pd.concat([a, b])

    assert kaplan_meier(counts(two(200))).findings[0].key == "survival.rank.clear"
    assert kaplan_meier(counts(two(110))).findings[0].key == "survival.rank.alike"
    assert logrank_test(counts(two(200))).findings[0].key == "survival.logrank.differ"
    assert logrank_test(counts(two(110))).findings[0].key == "survival.logrank.alike"


@pytest.mark.parametrize("name", ["veteran", "heart", "ties", "months"])
@pytest.mark.parametrize("verb", VERBS)
def test_every_statement_can_be_said_in_both_languages(name, verb):
    for snapshot in (False, True):
        result = verb(case(name, snapshot=snapshot, unit="month" if name == "months" else "day"))
        said = [s for s in (*result.findings, *result.notes, result.subtitle) if s]
        for statement in said:
            for language in text.LANGUAGES:
                words = statement.say(language)
                assert words and "nan" not in words and "{" not in words
        assert all(not result.summary(language).empty for language in text.LANGUAGES)


def test_a_snapshot_gives_its_share_churned_and_a_warning():
    result = kaplan_meier(
        counts(spells((0, 9, "voluntary", 40), (0, 30, "censored", 160)), unit="month", snapshot=True)
    )
    assert result.findings[-1].key == "survival.snapshot"
    share = tenure_quantiles(
        counts(spells((0, 9, "voluntary", 40), (0, 30, "censored", 160)), unit="month", snapshot=True)
    )
    assert share.kpis[0].id == "share_churned" and share.kpis[0].value == 0.2


def test_twelve_month_retention_is_a_figure_of_the_period():
    (kpi,) = kaplan_meier(counts(simulate(5_000, np.random.default_rng(9)))).kpis
    assert kpi.ci_lower < np.exp(-0.04 * 12) < kpi.ci_upper
    assert kpi.rise_is == "better"
