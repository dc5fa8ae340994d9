"""What events did: rate ratios as published, excess that covers the truth, placebo dates, and careful words."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from counted import by_level, months, period_counts
from noise import LIKENESS, SIZES, noise

from churnlib import text
from churnlib.about import BETWEEN, Event, Segment
from churnlib.show.results import period_values
from churnlib.text import Label
from churnlib.trend.impact import event_effects
from churnlib.trend.interrupted import DRIFT, Series, effect_of, fit_counts
from churnlib.trend.season import season_terms

ORACLES = Path(__file__).parent / "oracles"


def event(day, scope="", name="事件", end=None):
    return Event(date.fromisoformat(day), Label(name, name), scope=scope, end=end)


def crossed(levels: dict):
    """Counts by region and plan at once: "south|a" -> (lost a period, opening)."""
    counts = by_level({name.replace("|", BETWEEN): value for name, value in levels.items()})
    codes = {"region": {}, "plan": {}}
    for name in levels:
        for part, code in zip(codes.values(), name.split("|"), strict=True):
            part[code] = Label(code, code)
    parts = tuple(Segment(name, Label(name, name), tuple(c), tuple(c.values())) for name, c in codes.items())
    segment = replace(counts.about.segment, name="region × plan", parts=parts)
    return SimpleNamespace(frame=counts.frame, about=counts.about.by(segment))


def with_events(counts, *events):
    counts.about, counts.event = replace(counts.about, events=events), None
    return counts


def market(rng, n=36, at=27, ratio=1.0, size=20_000, spread=0.1, likeness=0.0):
    """Two groups that share a market's noise; from `at` on the first loses `ratio` times as many."""
    common = noise(rng, n, likeness, spread)
    touched = rng.poisson(size * 0.018 * np.exp(common) * np.where(np.arange(n) >= at, ratio, 1.0))
    return {"south": (list(touched), size), "north": (list(rng.poisson(size * 0.016 * np.exp(common))), size)}


def effects(levels, *events):
    groups = with_events(by_level(levels), *events)
    whole = [int(sum(values)) for values in zip(*(lost for lost, _ in levels.values()), strict=True)]
    return event_effects(with_events(period_counts(whole, opening=40_000), *events), [groups])


@pytest.mark.parametrize("case", ["plain", "seasonal", "compared"])
def test_rate_ratios_of_the_sicilian_smoking_ban_are_those_published(case):
    # Lopez Bernal et al. (2017): .894 plain, .885 (.839 to .933) with season; and base R's quasi-binomial
    r = pd.read_csv(ORACLES / "series_its.csv").set_index("case").loc[case]
    sicily = pd.read_csv(ORACLES / "series_sicily.csv")
    periods = period_values(f"{row.year}-{row.month:02d}" for row in sicily.itertuples())
    season = season_terms(periods)[:, :4] if case == "seasonal" else np.empty((len(sicily), 0))
    design = np.column_stack([np.ones(len(sicily)), sicily["time"], season, sicily["smokban"]])
    control = pd.read_csv(ORACLES / "series_control.csv")["control"] if case == "compared" else None
    offset = np.zeros(len(sicily)) if case == "compared" else np.log(sicily["stdpop"])
    fit = fit_counts(sicily["aces"], design, offset, None if control is None else control.to_numpy(float))
    np.testing.assert_allclose(fit.ratio(design.shape[1] - 1), r[["ratio", "lower", "upper"]], rtol=1e-6)
    assert fit.dispersion == pytest.approx(r["dispersion"], rel=1e-5)  # R takes the weights of the step before the last


def test_an_event_is_judged_against_customers_whom_it_did_not_touch():
    result = effects(market(np.random.default_rng(1), ratio=1.5), event("2025-04-02", "region=south"))
    row = result.table.iloc[0]
    truth = 20_000 * 0.018 * 0.5 * 9
    assert row["state"] == "consistent" and row.ci_lower <= truth <= row.ci_upper
    assert (row["first"], row["last"], bool(row.has_control)) == ("2025-04", "2025-12", True)
    head = result.findings[0]
    assert head.key == "impact.consistent.more" and head.tone == "worse" and head.weight == abs(row.excess)


def test_a_fall_is_told_as_a_fall():
    # mistake 33
    result = effects(market(np.random.default_rng(2), ratio=0.6), event("2025-04-02", "region=south"))
    assert result.findings[0].key == "impact.consistent.less" and result.findings[0].tone == "better"
    assert "fewer" in result.findings[0].say("en") and "少流失" in result.findings[0].say("zh")


def test_what_meets_everybody_is_no_effect_of_an_event_that_touched_some():
    # mistake 19: before and after would call this an effect
    rng = np.random.default_rng(3)
    levels = {k: ([int(d * (1.5 if i >= 27 else 1)) for i, d in enumerate(v[0])], v[1]) for k, v in market(rng).items()}
    result = effects(levels, event("2025-04-02", "region=south"))
    assert result.table["state"].iloc[0] == "unclear"
    # nor is it said to have done nothing
    assert [f.key for f in result.findings] == ["impact.none_clear", "impact.unclear"]
    assert "holds 0" in result.findings[1].say("en") and "也不能说没有" in result.findings[1].say("zh")


def test_without_a_comparison_it_only_coincides():
    lost = np.random.default_rng(4).poisson(np.where(np.arange(36) >= 27, 600, 360))
    counts = with_events(period_counts(list(lost), opening=20_000), event("2025-04-02"))
    result = event_effects(counts)
    assert result.table["state"].iloc[0] == "coincides" and result.findings[0].key == "impact.coincides.more"
    assert "重合" in result.findings[0].say("zh") and "不能归因" in result.findings[0].say("zh")
    assert result.findings[0].grade == "moderate"  # that more were lost is beyond chance, whatever the reason


def test_no_sentence_says_caused():
    words = text.catalogue()
    told = [key for key in words if key.startswith(("impact.consistent", "impact.coincides"))]
    assert told and not any("caused" in words[k]["en"] or "导致" in words[k]["zh"] for k in told)


def test_events_a_month_apart_on_the_same_customers_are_one_joint_effect():
    levels = market(np.random.default_rng(5), ratio=1.4)
    result = effects(levels, event("2025-04-02", "region=south", "甲"), event("2025-05-10", "region=south", "乙"))
    assert len(result.table) == 1 and str(result.table["event"].iloc[0]) == "甲 + 乙"


def test_a_later_event_on_the_same_customers_ends_the_first_one_s_window():
    levels = market(np.random.default_rng(6), ratio=1.4)
    result = effects(levels, event("2025-04-02", "region=south", "甲"), event("2025-09-10", "region=south", "乙"))
    first = result.table.set_index("first").loc["2025-04"]
    assert first["last"] == "2025-08" and first["is_cut"]


def test_customers_touched_by_another_event_are_no_comparison():
    levels = market(np.random.default_rng(7)) | {"east": ([320] * 36, 20_000)}
    result = effects(levels, event("2025-04-02", "region=south"), event("2025-05-10", "region=north"))
    alone = effects({k: levels[k] for k in ("south", "east")}, event("2025-04-02", "region=south"))
    pick = result.table.set_index("first").loc["2025-04"]
    assert pick["excess"] == pytest.approx(alone.table["excess"].iloc[0])


@pytest.mark.parametrize(
    ("day", "scope", "state"),
    [
        ("2023-03-01", "region=south", "short"),
        ("2025-12-20", "region=south", "recent"),
        ("2025-04-02", "x=y", "nobody"),
    ],
)
def test_events_that_cannot_be_judged_say_why(day, scope, state):
    result = effects(market(np.random.default_rng(8)), event(day, scope))
    assert result.table["state"].iloc[0] == state and result.findings[0].key == "impact.none_estimated.one"


def test_churn_that_is_counted_a_limit_later_is_looked_for_a_limit_later():
    # an event of 2 April, 90 days of silence, a usual gap of 22: counted from the middle of June on
    levels = market(np.random.default_rng(1), at=29, ratio=1.5)
    groups = with_events(by_level(levels), event("2025-04-02", "region=south"))
    whole = with_events(period_counts([360] * 36, opening=40_000), event("2025-04-02", "region=south"))
    for counts in (groups, whole):
        counts.about = replace(counts.about, delay=(46, 68, 90))
    result = event_effects(whole, [groups])
    row = result.table.iloc[0]
    assert (row["first"], row["last"], row["state"]) == ("2025-06", "2025-12", "consistent")
    assert row.ci_lower <= 20_000 * 0.018 * 0.5 * 7 <= row.ci_upper
    assert result.notes[0].key == "impact.note.delay" and "68 days" in result.notes[0].say("en")
    whole.about = replace(whole.about, delay=(270, 300, 330))
    late = event_effects(whole, [groups]).table.iloc[0]  # nothing of it can be counted yet
    assert (late["state"], late["first"]) == ("recent", "2026-01")


def test_the_window_ends_where_the_last_comparison_is_touched():
    # two sides of a platform: an event for the one, and five months later one for the other
    levels = market(np.random.default_rng(12), at=24, ratio=1.5)
    events = event("2025-01-02", "region=south"), event("2025-06-10", "region=north")
    row = effects(levels, *events).table.set_index("first").loc["2025-01"]
    assert (row["last"], bool(row.has_control), row["state"]) == ("2025-05", True, "consistent")
    assert row.ci_lower <= 20_000 * 0.018 * 0.5 * 5 <= row.ci_upper


def test_customers_held_from_the_event_on_are_those_judged():
    # who was with south at the event is now counted with its successor: by openings alone south has nobody left
    levels = market(np.random.default_rng(13), ratio=1.6)
    leaves = event("2025-04-02", "region=south")
    gone = {"south": (levels["south"][0][:27] + [0] * 9, [20_000] * 27 + [0] * 9), "north": levels["north"]}
    groups, held = with_events(by_level(gone), leaves), with_events(by_level(levels), leaves)
    held.event = leaves
    whole = with_events(period_counts([700] * 36, opening=40_000), leaves)
    row = event_effects(whole, [groups, held]).table.iloc[0]
    assert row["state"] == "consistent" and row.ci_lower <= 20_000 * 0.018 * 0.6 * 9 <= row.ci_upper
    assert event_effects(whole, [groups]).table["state"].iloc[0] == "small"


def test_an_estimate_that_says_nothing_is_not_printed_but_explained():
    rng = np.random.default_rng(14)
    few = {"south": (list(rng.poisson(1.0, 36)), 60), "north": (list(rng.poisson(300, 36)), 20_000)}
    row = effects(few, event("2025-04-02", "region=south")).table.iloc[0]
    assert row["state"] == "few" and np.isnan(row.excess) and row.n_lost > 0
    wild = {"south": (list(rng.poisson(300 * np.exp(rng.normal(0, 0.9, 36)))), 20_000), "north": ([300] * 36, 20_000)}
    result = effects(wild, event("2025-04-02", "region=south"))
    assert result.table["state"].iloc[0] in ("few", "course", "placebo") and result.plot() is None
    assert "not identified" in result.summary("en")["Conclusion"].iloc[0]


def test_an_event_that_names_two_segments_is_judged_where_they_meet_against_those_it_cancels_with():
    # an earlier event meets the whole south: plan b of the south, which it met alike, is the comparison
    rng, at = np.random.default_rng(15), np.arange(36)
    common = noise(rng, 36, 0.0, 0.1)
    south, offer = np.where(at >= 20, 1.6, 1.0), np.where(at >= 27, 1.4, 1.0)
    rates = {"south|a": south * offer, "south|b": south, "north|a": np.ones(36), "north|b": np.ones(36)}
    levels = {k: (list(rng.poisson(300 * np.exp(common) * rate)), 20_000) for k, rate in rates.items()}
    events = event("2024-09-02", "region=south", "甲"), event("2025-04-02", "region=south; plan=a", "乙")
    wholes = {k: (list(np.add(levels[f"{k}|a"][0], levels[f"{k}|b"][0])), 40_000) for k in ("south", "north")}
    scopes = [with_events(counts, *events) for counts in (by_level(wholes), crossed(levels))]
    whole = with_events(period_counts(list(np.sum([v[0] for v in levels.values()], axis=0)), opening=80_000), *events)
    row = event_effects(whole, scopes).table.set_index("first").loc["2025-04"]
    truth = 300 * 1.6 * 0.4 * 9
    assert row["state"] == "consistent" and row["ci_lower"] <= truth <= row["ci_upper"]
    assert row["n_lost"] == sum(levels["south|a"][0][27:])
    assert str(row["touched"].en) == "region: south; plan: a" and "且" in row["touched"].zh


def test_events_of_one_kind_that_say_little_one_by_one_are_told_together():
    rng, at = np.random.default_rng(16), {"a": 20, "b": 22, "c": 25, "d": 28}
    lost = {k: rng.poisson(np.where(np.arange(36) >= start, 1.0, 0.4)) for k, start in at.items()}
    levels = {k: (list(v), 40) for k, v in lost.items()} | {"rest": (list(rng.poisson(10, 36)), 800)}
    days = {k: f"{2023 + start // 12}-{start % 12 + 1:02d}-02" for k, start in at.items()}
    leaves = [replace(event(days[k], f"region={k}", f"{k}离职"), kind="staff_departure") for k in at]
    result = effects(levels, *leaves)
    table, told = result.table, [f for f in result.findings if f.key.startswith("impact.consistent")]
    assert len(told) == 1 and told[0].values["event"].en.startswith("4 events")  # and not again one by one
    joint = table[[str(name.en).startswith("4 events of one kind") for name in table["event"]]].iloc[0]
    truth = sum(min(12, 36 - start) for start in at.values()) * 0.6
    assert joint["state"] == "consistent" and joint["ci_lower"] <= truth <= joint["ci_upper"]
    assert "few" in set(table["state"]) and joint["n_lost"] == sum(
        lost[k][start : start + 12].sum() for k, start in at.items()
    )
    various = effects(levels, *(replace(e, kind="other") for e in leaves)).table
    assert len(various) == 4  # what they have in common nobody has said


def test_an_event_with_an_end_is_judged_to_its_end_but_half_a_year():
    levels = market(np.random.default_rng(17), ratio=1.5, at=20)
    for end, last in (("2024-09-20", "2025-02"), ("2025-03-20", "2025-03"), (None, "2025-08")):
        day = end and date.fromisoformat(end)
        assert effects(levels, event("2024-09-02", "region=south", end=day)).table["last"].iloc[0] == last


def test_an_event_soon_after_another_on_the_same_customers_is_only_a_coincidence():
    # the first effect fades by itself: the fall after the second event is no effect of that
    rng, i = np.random.default_rng(18), np.arange(36)
    fading = 1 + np.where(i >= 24, np.exp(-(i - 24) / 4), 0.0)
    levels = market(rng) | {"south": (list(rng.poisson(360 * fading)), 20_000)}
    table = effects(levels, event("2025-01-02", "region=south", "甲"), event("2025-07-02", "region=south", "乙")).table
    assert table.set_index("first").loc["2025-07", "state"] == "coincides"


def test_an_event_for_all_amid_others_cannot_be_told_apart():
    result = effects(market(np.random.default_rng(9)), event("2025-06-02", "region=south"), event("2025-07-15"))
    assert result.table.set_index("first").loc["2025-07", "state"] == "entangled"


def test_without_events_it_says_so():
    result = event_effects(period_counts([200] * 36))
    assert result.findings[0].key == "impact.no_events" and result.plot() is None


def test_scopes_are_read_as_people_write_them():
    assert event("2025-04-02", "region=华东，西南；age=25-34").named == {"region": ("华东", "西南"), "age": ("25-34",)}
    assert event("2025-04-02").named == {}


def test_every_sentence_can_be_said_in_both_languages():
    result = effects(market(np.random.default_rng(10), ratio=1.5), event("2025-04-02", "region=south"))
    for statement in (*result.findings, *result.notes, result.subtitle):
        for language in text.LANGUAGES:
            assert not any(bad in statement.say(language) for bad in ("nan", "inf", "None", "{"))
    assert len(months(3)) == 3 and result.plot() is not None


def judged(size, likeness, has_control, ratio, replicates, seed=17, drift=0.0):
    """How often an effect is called one, and how often its interval holds the truth."""
    rng, n, at, n_rejected, n_held = np.random.default_rng(seed), 36, 27, 0, 0
    after = np.where(np.arange(n) >= at, ratio, 1.0)
    years = np.arange(n) / 12
    for _ in range(replicates):
        common = noise(rng, n, likeness)
        course = np.exp(common + rng.normal(0, drift) * years)
        lost = rng.poisson(size * 0.018 * course * after).astype(float)
        truth = size * 0.018 * (ratio - 1) * (course[at:] / np.exp(common[at:])).sum()
        control = rng.poisson(size * 0.016 * np.exp(common + noise(rng, n, likeness, 0.05))).astype(float)
        sizes = np.full(n, float(size))
        chosen = (control, sizes) if has_control else (None, None)
        effect = effect_of(Series(lost, sizes, *chosen, np.empty((n, 0))), at, n - 1)
        n_rejected += effect.p_value < 0.05
        n_held += effect.ci_lower <= truth <= effect.ci_upper
    return n_rejected / replicates, n_held / replicates


@pytest.mark.parametrize("has_control", [True, False])
def test_placebo_calibrated_effects_are_rarely_false(has_control):
    rejected, held = judged(20_000, 0.0, has_control, 1.0, 200)
    assert rejected <= 0.1 and 0.895 <= held <= 0.995


@pytest.mark.calibrate
@pytest.mark.parametrize("size", SIZES)
def test_customers_who_drift_apart_by_themselves_are_no_effect(size):
    # as far as it is taken for known: 10 % a year, once in three times more
    rejected, held = judged(size, 0.0, True, 1.0, 2_000, drift=DRIFT)
    assert held >= 0.925 and rejected <= 0.06


@pytest.mark.calibrate
@pytest.mark.parametrize("ratio", [1.0, 1.3])
@pytest.mark.parametrize("has_control", [True, False])
@pytest.mark.parametrize("likeness", LIKENESS)
@pytest.mark.parametrize("size", SIZES)
def test_excess_intervals_hold_and_false_effects_are_rare(size, likeness, has_control, ratio):
    rejected, held = judged(size, likeness, has_control, ratio, 2_000)
    assert held >= 0.925 and (ratio != 1.0 or rejected <= 0.06)
