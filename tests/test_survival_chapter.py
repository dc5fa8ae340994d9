"""What the chapter adds to the curves: the share of a snapshot, hazard ratios by tenure, customers who came back."""

import numpy as np
import pandas as pd
import pytest
from survival_cases import OUTCOMES, counts, simulate

from churnlib import text
from churnlib.survival.hazard import hazard_by_tenure
from churnlib.survival.hazardratios import proportional_hazards
from churnlib.survival.incidence import cumulative_incidence
from churnlib.survival.logrank import logrank_test
from churnlib.survival.milestones import survival_table
from churnlib.survival.ratios import ratios_by_tenure
from churnlib.survival.restricted import months_stayed
from churnlib.survival.returns import survival_after_return
from churnlib.survival.staying import length_of_stay, ways_of_leaving
from churnlib.survival.survival import kaplan_meier


def said(result):
    """Every sentence in both languages."""
    statements = [s for s in (*result.findings, *result.notes, result.subtitle) if s]
    return [statement.say(language) for statement in statements for language in text.LANGUAGES]


def three_groups(n=3_000, seed=47):
    """Groups a and b leave at 0.04 a month, c at 0.08."""
    rng = np.random.default_rng(seed)
    return pd.concat(
        [simulate(n, rng, monthly_risk=r, level=v) for v, r in zip("abc", (0.04, 0.04, 0.08), strict=True)]
    )


def test_one_block_holds_what_the_curve_its_readings_the_means_and_the_tests_say_apart():
    made = counts(three_groups())
    both = length_of_stay(made)
    readings, means, test = survival_table(made), months_stayed(made), logrank_test(made)
    pd.testing.assert_frame_equal(both.shown, kaplan_meier(made).shown)
    summary = both.summary("en").set_index("Group")
    assert [c for c in summary if c.startswith("month ")] == ["month 12", "month 24", "month 60"]
    assert summary.loc["group c", "month 12"] == readings.summary("en").set_index("Group").loc["group c", "month 12"]
    stayed = means.table[means.table["part"] == "stayed"].set_index("level")["mean"]
    cell = summary.loc["group c", f"Mean months stayed of the first {means.horizon}"]
    assert cell.startswith(f"{stayed['c']:.1f} (")
    assert summary["Churned ÷ expected"].tolist() == [text.show(r, "ratio", "en") for r in test.table["ratio"]]
    assert [f.key for f in both.findings] == ["survival.rank.clear", "survival.mean.shorter"]
    keys = [note.key for note in both.notes]
    assert {"survival.note.logrank", "survival.note.pairs_named", "survival.note.gray_clear"} <= set(keys)
    pairs = next(note for note in both.notes if note.key == "survival.note.pairs_named")
    assert "group a – group c, group b – group c" in pairs.say("en") and "a组 – b组" not in pairs.say("zh")
    assert not any("nan" in words for words in said(both)) and both.plot() is not None


def test_the_whole_is_read_at_the_months_that_matter_and_gives_the_figures_of_the_period():
    made = counts(simulate(4_000, np.random.default_rng(48)))
    both = length_of_stay(made)
    assert both.summary("zh").equals(survival_table(made).summary("zh"))
    assert [kpi.id for kpi in both.kpis] == ["retention_12"] and both.findings[0].key == "survival.median.reached"
    snapshot = length_of_stay(counts(simulate(4_000, np.random.default_rng(48)), snapshot=True))
    assert snapshot.findings[0].key == "survival.snapshot.share"


def test_ways_of_leaving_add_up_to_the_horizon_and_say_what_each_costs():
    made = counts(simulate(4_000, np.random.default_rng(49)))
    ways = ways_of_leaving(made)
    assert [f.key for f in ways.findings] == ["survival.incidence.main", "survival.mean.lost"]
    assert ways.means.table["mean"].sum() == pytest.approx(ways.means.horizon, abs=1 / 30)  # read at a whole day
    assert list(ways.summary("en").columns)[-1] == f"Months lost of the first {ways.means.horizon}"
    unknown = simulate(900, np.random.default_rng(50)).replace({"outcome": dict.fromkeys(OUTCOMES, "unknown")})
    assert ways_of_leaving(counts(unknown)).plot() is None  # the survival curve has said it


@pytest.mark.parametrize("verb", [length_of_stay, ways_of_leaving])
@pytest.mark.parametrize("levels", [("",), ("a", "b")])
def test_too_few_customers_are_told_in_one_sentence(verb, levels):
    rows = pd.concat([simulate(20, np.random.default_rng(51), level=level) for level in levels])
    result = verb(counts(rows))
    assert all(words and "nan" not in words for words in said(result)) and result.plot() is None
    assert all(len(result.summary(language)) for language in text.LANGUAGES)


def silent_for_a_year(n=6_000, seed=45, level=""):
    """Customers of a rule that calls nobody lost within the first 12 months (366 days)."""
    rows = simulate(n, np.random.default_rng(seed), level=level)
    return rows.assign(exit=rows["exit"] + 366, entry=np.where(rows["entry"] > 0, rows["entry"] + 366, 0))


def test_what_an_inactivity_rule_makes_certain_is_no_reading_and_no_finding():
    rows = silent_for_a_year()
    plain, ruled = counts(rows), counts(rows, earliest_churn=12.0)
    assert list(survival_table(ruled).table["months"]) == [24, 36, 60]
    assert [k.id for k in kaplan_meier(plain).kpis + kaplan_meier(ruled).kpis] == ["retention_12", "retention_24"]
    assert kaplan_meier(plain).kpis[0].value == 1 and kaplan_meier(ruled).kpis[0].value < 0.7
    keys = [f.key for f in kaplan_meier(ruled).findings]
    assert not any(key.startswith("survival.early") for key in keys)
    assert cumulative_incidence(ruled).findings[0].values["months"] == 24
    two = pd.concat([rows.assign(level="a"), silent_for_a_year(seed=46, level="b")])
    assert kaplan_meier(counts(two, earliest_churn=12.0)).findings[0].values["months"] == 24
    for result in (kaplan_meier(ruled), survival_table(ruled), hazard_by_tenure(ruled)):
        assert any("12 months after the start" in words for words in said(result))


def test_months_before_the_rule_has_run_are_no_measure_of_the_peak():
    steady = hazard_by_tenure(counts(silent_for_a_year(), earliest_churn=12.0))
    assert steady.findings[0].key == "survival.hazard.even"
    assert hazard_by_tenure(counts(silent_for_a_year())).findings[0].key == "survival.hazard.peak"


def two_groups(n, late_risk, seed=41):
    """Group b leaves at 0.08 a month in its first year and at `late_risk` afterwards; a always at 0.05."""
    rng, day, year = np.random.default_rng(seed), 30.4375, 365.25
    life = rng.exponential(day / 0.08, n)
    life = np.where(life > year, year + rng.exponential(day / late_risk, n), life)
    rows = pd.DataFrame({"level": ["a"] * 2 * n + ["b"] * n, "exit": np.r_[rng.exponential(day / 0.05, 2 * n), life]})
    end = rng.integers(900, 1500, 3 * n)
    rows["outcome"] = np.where(rows["exit"] <= end, "voluntary", "censored")
    return counts(rows.assign(exit=np.minimum(np.ceil(rows["exit"]), end)))


def test_a_snapshot_table_tells_the_share_churned_before_the_curve():
    rows = pd.DataFrame({"exit": [9, 30], "outcome": ["voluntary", "censored"], "n": [40, 160]})
    whole = survival_table(counts(rows, unit="month", snapshot=True))
    assert whole.findings[0].key == "survival.snapshot.share" and whole.kpis[0].value == 0.2
    groups = pd.concat([rows.assign(level="a"), rows.assign(level="b", n=[80, 120])])
    table = survival_table(counts(groups, unit="month", snapshot=True))
    assert table.findings[0].key == "survival.snapshot.share_range" and not table.kpis
    assert list(table.summary("en")["Share churned"]) == ["20.00%", "40.00%"]
    assert "Share churned" not in survival_table(counts(groups, unit="month")).summary("en")


def test_a_ratio_that_changes_with_tenure_is_named_with_its_size():
    result = ratios_by_tenure(proportional_hazards(two_groups(4_000, 0.03)))
    assert result.findings[0].key == "survival.ratios.change"
    ratios = result.table.set_index("months")["hazard_ratio"]
    assert ratios[[0, 3]].to_numpy() == pytest.approx([1.6, 1.6], rel=0.1)
    assert ratios[[12, 24]].to_numpy() == pytest.approx([0.6, 0.6], rel=0.2)
    assert result.plot() is not None and not any("nan" in words for words in said(result))


def test_a_ratio_that_holds_is_not_said_to_change():
    result = ratios_by_tenure(proportional_hazards(two_groups(4_000, 0.08)))
    assert result.findings[0].key in ("survival.ratios.steady", "survival.ratios.small")


def test_ratios_of_too_few_losses_are_not_shown():
    rows = simulate(400, np.random.default_rng(42), monthly_risk=0.02)
    few = rows.assign(level=np.where(np.arange(len(rows)) % 40 == 0, "b", "a"))
    result = ratios_by_tenure(proportional_hazards(counts(few)))
    hidden = result.table["n_events"] < 5
    assert hidden.any() and result.shown.loc[hidden, "hazard_ratio"].isna().all()
    assert not any("nan" in words for words in said(result))


def in_blocks(rows):
    """Count spells by block, as the engine does for later spells."""
    rows = rows.assign(level=[f"{i % 50}" for i in range(len(rows))])
    made = counts(rows, by="", levels=())
    made.frame = made.frame.rename(columns={"level": "block"}).assign(level="")
    return made


def test_later_spells_have_a_block_of_their_own_and_no_figure_of_the_period():
    result = survival_after_return(in_blocks(simulate(3_000, np.random.default_rng(43))))
    assert result.name == "survival_after_return" and result.kpis == () and result.by_blocks
    (finding,) = result.findings
    assert finding.key == "survival.returned.stay"
    assert finding.values["lower"] < np.exp(-0.04 * 12) < finding.values["upper"]
    assert result.plot() is not None and not any("nan" in words for words in said(result))


@pytest.mark.parametrize(("n", "key"), [(0, "survival.returned.none"), (10, "survival.returned.few")])
def test_no_or_few_returns_are_said_in_one_sentence(n, key):
    rows = simulate(200, np.random.default_rng(44)).head(n)
    columns = ["level", "block", "tenure", "n_entered", *(f"n_{o}" for o in OUTCOMES), "n_events", "n_censored"]
    made = in_blocks(simulate(200, np.random.default_rng(44)).head(max(n, 1)))
    made.frame = made.frame if len(rows) else pd.DataFrame(columns=columns)
    result = survival_after_return(made)
    assert [finding.key for finding in result.findings] == [key]
    assert result.plot() is None and all(words and "nan" not in words for words in said(result))
    assert result.summary("en").empty


def test_returns_of_whom_nobody_left_again_are_told_without_an_interval():
    rows = pd.DataFrame({"entry": 0, "exit": 400, "outcome": "censored", "n": 1}, index=range(100))
    (finding,) = survival_after_return(in_blocks(rows)).findings
    assert finding.key == "survival.returned.all" and "nan" not in finding.say("en")


def test_the_returned_of_several_groups_are_ranked_and_not_told_in_the_numbers_of_the_last_one():
    (finding,) = survival_after_return(counts(three_groups())).findings
    assert finding.key == "survival.rank.clear" and finding.values["worst"].en == "group c"


def test_a_retention_of_all_is_not_known_exactly():
    """Of 100 customers none has left by month 12: the exact binomial interval, as at that reading of the curve."""
    rows = pd.DataFrame({"entry": 0, "exit": 400, "outcome": "censored", "n": 1}, index=range(100))
    (kpi,) = kaplan_meier(counts(rows, by="", levels=())).kpis
    assert (kpi.id, kpi.value, kpi.ci_upper) == ("retention_12", 1.0, 1.0)
    assert kpi.ci_lower == pytest.approx(0.025 ** (1 / 100))


def test_the_first_month_that_a_rule_can_count_is_told_as_the_start_of_the_silence():
    """Half never come back after their first day: a rule of six months counts them all in the first month it can."""
    rng, n = np.random.default_rng(5), 2_000
    leaving = np.where(rng.random(n) < 0.5, 184, 190 + rng.exponential(900, n)).astype(int)
    rows = pd.DataFrame({"exit": np.minimum(leaving, 900), "outcome": np.where(leaving < 900, "voluntary", "censored")})
    hazard = hazard_by_tenure(counts(rows, earliest_churn=6.0))
    assert (hazard.findings[0].key, hazard.findings[0].values["months"]) == ("survival.hazard.first", 7)
    assert hazard.findings[0].values["hazard"] > 0.5 and not any("最高" in words for words in said(hazard))
