"""What explains the change: exact, adding up, and equal to the published figures."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from crossed_cases import SEGMENTS, counts, simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from churnlib import text
from churnlib.about import Period
from churnlib.trend.comparison import Cells, own_sigma, two_periods
from churnlib.trend.decompose import decompose_change, whole
from churnlib.trend.standardise import decompose, shapley

ORACLES = Path(__file__).parent / "oracles"
TWO = {name: SEGMENTS[name] for name in ("region", "tenure")}


def two_months(rows, segments, now="2025-12", before="2024-12"):
    """Counts of two periods: rows of (*levels, n1, d1, n0, d0)."""
    frames = []
    for period, at in ((now, -4), (before, -2)):
        frame = pd.DataFrame([row[:-4] for row in rows], columns=list(segments))
        frame["period"], frame["n_opening"] = period, [row[at] for row in rows]
        frame["n_churned_opening"] = [row[at + 1] for row in rows]
        frames.append(frame[frame["n_opening"] > 0])
    return counts(pd.concat(frames, ignore_index=True), segments)


def part(result, kind, item=""):
    rows = result.table[(result.table["kind"] == kind) & (result.table["item"] == item)]
    return float(rows["contribution"].iloc[0])


# published figures, and those of R


def test_kitagawas_two_factors_are_das_guptas_example():
    case = json.loads((ORACLES / "kitagawa_dasgupta_5_1.json").read_text())
    inputs, expected = case["inputs"], case["expected"]
    share1, rate1, share0, rate0 = (np.array(inputs[f"{what}_{when}"]) for when in "BA" for what in ("share", "rate"))
    groups = np.arange(len(share1))[:, None]
    *rates, mix, _ = (
        1000 * decompose(Cells(groups, share1, share1 * rate1 / 1000, share0, share0 * rate0 / 1000)).effects
    )
    assert sum(rates) == pytest.approx(expected["rate_effect"], abs=5e-5)
    assert mix == pytest.approx(expected["mix_effect"], abs=5e-5)
    assert sum(rates) + mix == pytest.approx(expected["total"], abs=5e-5)


@pytest.mark.parametrize("example", ["births", "pregnancies"])
def test_products_of_three_and_four_factors_are_das_guptas_examples(example):
    rows = pd.read_csv(ORACLES / "dasgupta_products.csv", comment="#").query("example == @example")
    now, before = rows["now"].to_numpy(), rows["before"].to_numpy()
    effects = shapley(
        lambda changed: np.prod([(now if i in changed else before)[i] for i in range(len(rows))]), len(rows)
    )
    assert effects == pytest.approx(rows["effect"].tolist(), abs=5e-7)


def test_two_crossed_segments_are_das_guptas_example():
    rows = pd.read_csv(ORACLES / "dasgupta_cross.csv", comment="#")
    counted = (rows["n1"], rows["n1"] * rows["rate1"] / 100, rows["n0"], rows["n0"] * rows["rate0"] / 100)
    cells = Cells(rows[["first", "second"]].to_numpy(), *(x.to_numpy(float) for x in counted))
    *rates, first, second, _ = 100 * decompose(cells).effects
    assert sum(rates) == pytest.approx(-2.2277254, abs=5e-8)
    # he takes geometric means where we take arithmetic ones: 4e-5 of a change of 1.54
    assert [first, second] == pytest.approx([0.0197749, 1.5217347], abs=5e-5)


def test_three_segments_agree_with_r_over_all_orders():
    rows = pd.read_csv(ORACLES / "decompose_cells.csv")
    keys = ["region", "plan", "tenure"]
    levels = np.column_stack([pd.factorize(rows[key], sort=True)[0] for key in keys])
    parts = decompose(Cells(levels, *(rows[c].to_numpy(float) for c in ("n1", "d1", "n0", "d0"))))
    expected = pd.read_csv(ORACLES / "decompose_parts.csv")["value"].to_numpy()
    assert parts.effects[:-1] == pytest.approx(expected[:-1], abs=1e-15) and parts.effects[-1] == 0
    assert parts.effects.sum() == pytest.approx(expected[-1], abs=1e-15)


# identities

CELLS = st.lists(st.tuples(*[st.integers(0, 500)] * 2, *[st.floats(0, 1)] * 2), min_size=12, max_size=12)


@settings(max_examples=50)
@given(CELLS, st.sampled_from([(31, 31), (31, 28), (30, 31)]))
def test_the_parts_add_up_to_the_change(cells, days):
    levels = np.array([[a, b, c] for a in range(3) for b in range(2) for c in range(2)])
    n1, n0 = (np.array([row[i] for row in cells], float) for i in (0, 1))
    d1, d0 = np.round(n1 * [row[2] for row in cells]), np.round(n0 * [row[3] for row in cells])
    if not n1.sum() or not n0.sum():
        return
    made = Cells(levels, n1, d1, n0, d0, *days)
    parts = decompose(made)
    assert parts.effects.sum() == pytest.approx(made.rates[0] - made.rates[1], abs=1e-12)
    turned = decompose(Cells(levels, n0, d0, n1, d1, *days[::-1]))
    assert turned.effects == pytest.approx(-parts.effects, abs=1e-12)  # no direction is preferred


@settings(max_examples=30)
@given(st.lists(st.tuples(*[st.integers(1, 900)] * 2), min_size=8, max_size=8))
def test_equal_rates_give_no_mix_effect(sizes):
    levels = np.array([[a, b] for a in range(4) for b in range(2)])
    n1, n0 = (np.array([row[i] for row in sizes], float) for i in (0, 1))
    parts = decompose(Cells(levels, n1, n1 * 0.03, n0, n0 * 0.02))  # a group of one period only counts as mix
    assert parts.effects[4:] == pytest.approx(0, abs=1e-15)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=9))
def test_whole_customers_still_add_up(parts):
    values = np.array([*parts, round(sum(parts))], float)
    found = whole(values)
    assert found[:-1].sum() == found[-1] == round(sum(parts)) and np.abs(found[:-1] - values[:-1]).max() < 1.5


def test_contributions_add_up_to_the_last_customer():
    made, _ = simulate(np.random.default_rng(1), segments=TWO)
    shown = decompose_change(made, "previous").shown
    total = shown.iloc[-1]
    assert shown["contribution"].iloc[:-1].sum() == pytest.approx(total.contribution, abs=1e-12)
    assert shown["n_lost"].iloc[:-1].sum() == total.n_lost == total.n_churned_opening - total.n_churned_before


def test_the_customers_that_are_told_add_up_with_small_groups_too():
    rows = [("a", 9_000, 180, 9_000, 220), ("b", 900, 3, 900, 14), ("c", 800, 2, 800, 12)]
    made = two_months(rows, {"region": ("a", "b", "c")})
    result = decompose_change(made)
    assert "others" in set(result.shown["kind"])
    told = next(f for f in result.findings if f.key.startswith("decompose.customers")).values
    assert told["rate"] + told["mix"] + told["days"] + told["size"] == told["n_change"] == 185 - 246


# edges


def test_a_new_segment_is_mix_and_not_a_change_of_rate():
    made = two_months([("a", 900, 18, 1000, 20), ("new", 100, 10, 0, 0)], {"region": ("a", "new")})
    result = decompose_change(made)
    assert [part(result, "rate", level) for level in ("new", "a")] == pytest.approx([0, 0], abs=1e-15)
    assert part(result, "mix", "region") == pytest.approx(0.008)
    assert "new" not in [str(row.part) for row in result.shown.itertuples()]  # folded into the other groups


def test_a_longer_month_is_no_change_of_risk():
    # the same daily risk in February and March: all of the change comes from the days
    hazard = 0.02 / 30
    rows = [
        (f"r{i}", 100_000, 100_000 * (1 - (1 - hazard) ** 31), 100_000, 100_000 * (1 - (1 - hazard) ** 28))
        for i in (0, 1)
    ]
    made = two_months(rows, {"region": ("r0", "r1")}, "2025-12", "2025-02")
    result = decompose_change(made, "2025-02")
    assert part(result, "days") == pytest.approx(result.change, abs=1e-12) and result.change > 0.001
    assert result.findings[0].key == "decompose.rise.days"


def test_a_rise_in_one_segment_is_found_there():
    made, _ = simulate(
        np.random.default_rng(5), extra=lambda ago, row: 4.0 if ago == 0 and row["region"] == "south" else 1
    )
    head, level, customers = decompose_change(made).findings
    assert head.key == "decompose.rise" and level.key == "decompose.level.up" and "south" in level.say("en")
    assert level.values["part"] > 0.5 * head.values["change"]
    assert sum(customers.values[k] for k in ("rate", "mix", "size")) == customers.values["n_change"]


def test_a_change_of_mix_alone_is_told_as_mix():
    rows = [("a", 5000, 50, 8000, 80), ("b", 5000, 250, 2000, 100)]
    result = decompose_change(two_months(rows, {"region": ("a", "b")}))
    assert part(result, "mix", "region") == pytest.approx(0.012) and part(result, "rate", "b") == pytest.approx(0)


@pytest.mark.parametrize(
    ("against", "key"), [("previous", "previous"), ("year_ago", "year_ago"), ("2020-01", "period")]
)
def test_a_first_report_says_that_there_is_nothing_to_compare_with(against, key):
    made = two_months([("a", 900, 18, 0, 0)], {"region": ("a",)})
    result = decompose_change(made, against)
    assert [f.key for f in result.findings] == [f"decompose.none.{key}"] and result.plot() is None


def test_a_base_too_small_is_not_taken_apart():
    result = decompose_change(two_months([("a", 20, 2, 25, 3)], {"region": ("a",)}))
    assert [f.key for f in result.findings] == ["decompose.not_shown"] and result.shown.empty and result.plot() is None


def test_a_small_level_is_shown_with_the_others_only():
    rows = [("a", 5000, 100, 5000, 100), ("b", 4000, 90, 4000, 80), ("tiny", 40, 2, 40, 1), ("c", 3000, 60, 3000, 70)]
    result = decompose_change(two_months(rows, {"region": ("a", "b", "c", "tiny")}))
    told = [str(p) for p in result.shown["part"]]
    assert "tiny" not in told and result.shown["contribution"].iloc[:-1].sum() == pytest.approx(result.change)
    assert len(set(told) & {"a", "b", "c"}) == 2  # a second one too: subtraction would give the small one away


def test_the_peak_is_the_highest_complete_month_before():
    made, _ = simulate(np.random.default_rng(2), segments=TWO, extra=lambda ago, row: 2.0 if ago == 5 else 1.0)
    result = decompose_change(made, "peak")
    assert result.before == Period.parse("2025-07") and result.findings[0].key.startswith("decompose.fall")


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(0, 3000), st.integers(0, 3000), st.floats(0, 0.2), st.floats(0, 0.2)),
        min_size=3,
        max_size=3,
    )
)
def test_every_sentence_can_be_said_and_has_the_right_sign(cells):
    # mistake 33: rise, fall, flat, zero base, small n
    rows = [(f"r{i}", n1, round(n1 * p), n0, round(n0 * q)) for i, (n1, n0, p, q) in enumerate(cells)]
    result = decompose_change(two_months(rows, {"region": ("r0", "r1", "r2")}))
    for finding in result.findings:
        for language in text.LANGUAGES:
            said = finding.say(language)
            assert not any(bad in said for bad in ("nan", "inf", "{", "NaT", "−0.00"))
        if ".rise" in finding.key or ".level.up" in finding.key:
            assert finding.values.get("change", finding.values.get("part")) > 0
        if ".fall" in finding.key or ".level.down" in finding.key:
            assert finding.values.get("change", finding.values.get("part")) < 0
    result.summary("zh"), result.summary("en")


def test_months_that_differ_for_everybody_are_no_levels_own_doing():
    rng = np.random.default_rng(3)
    n = np.full((6, 24), 50_000.0)
    shared = rng.binomial(50_000, 0.02 * np.exp(rng.normal(0, 0.15, 24)), (6, 24))
    assert (
        own_sigma(n, shared).max() < 1.6
        and own_sigma(n, rng.binomial(50_000, 0.02 * np.exp(rng.normal(0, 0.15, (6, 24))))).min() > 2
    )


# coverage, and speed


def coverage(replicates, seed, **options):
    rng, hits = np.random.default_rng(seed), []
    for _ in range(replicates):
        made, frame = simulate(rng, segments=TWO, **options)
        expected = frame.assign(n_churned_opening=frame["expected"]).drop(columns="expected")
        period = made.about.period
        parts = decompose(two_periods(counts(expected, TWO), period, period.shift(-1))).effects
        found = decompose_change(made, "previous").table.query("kind != 'size'")
        truth = np.append(parts, parts.sum())
        inside = (found["ci_lower"] <= truth) & (truth <= found["ci_upper"])
        hits.append(inside.set_axis(found["kind"] + ":" + found["item"]))
    return pd.DataFrame(hits).mean()


def test_intervals_of_contributions_cover():
    found = coverage(200, seed=11)
    assert found.drop("total:").mean() > 0.925 and found.min() >= 0.88, found.to_dict()


@pytest.mark.calibrate
@pytest.mark.parametrize("options", [{}, {"customers": 2_000}, {"customers": 200_000, "own": 0.05}, {"noise": 0.0}])
def test_intervals_of_contributions_hold_their_coverage(options):
    found = coverage(2_000, seed=12, **options)
    print(options, found.to_dict())
    rates = found[[name for name in found.index if name.startswith("rate")]]
    assert (rates >= 0.925).all() and (found.drop("total:") >= 0.92).all(), found.to_dict()
