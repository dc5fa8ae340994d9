"""Before leaving, and who holds the relationship: every outcome has its sentence, in both languages, and its numbers.

The counts are made by hand: 50 blocks of customers that all behave alike but for a regular wobble.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from counted import ABOUT

from churnlib import text
from churnlib.about import Segment
from churnlib.reasons.holders import holder_changes, holder_units
from churnlib.reasons.leaving import leaving_profile
from churnlib.show import display
from churnlib.text import Label

BLOCKS, BACKS = 50, range(1, 7)
MANAGER = replace(ABOUT, segment=Segment("manager", Label("客户经理", "Account manager")))


def profile(left: dict[int, float], n_left=10, measure="n_active"):
    """Count customers who do 10 a month, and those who left with so much of it: months back -> share."""
    rows = []
    for block in range(BLOCKS):
        wobble = 1 + 0.1 * ((block % 5) - 2)
        for back in BACKS:
            for churned, n, share in ((True, n_left, left.get(back, 1.0)), (False, 40, 1.0)):
                done = {measure: n * 10 * wobble * share}
                row = {"n_active": 0, "amount": 0, "n_complaints": 0, "n_returns": 0} | done
                rows.append({"number": 0, "band": 0, "churned": churned, "block": block, "back": back, "n": n, **row})
    return SimpleNamespace(frame=pd.DataFrame(rows), about=ABOUT)


def held(rates: dict[str, float], n=40, holder="A", size="large"):
    """Count customer-months by phase -> share lost in each block, beside 10 % of those whose holder stayed."""
    rows = []
    for phase, rate in {"neither": 0.1, **rates}.items():
        for block in range(BLOCKS):
            lost = round(n * rate) + (block % 2 and 0 < rate < 1) - (block % 4 == 0 and rate > 0)
            row = {"number": 0, "band": 0, "size": size, "phase": phase, "block": block}
            name = "" if phase == "neither" else holder
            rows.append({**row, "holder": name, "n_at_risk": n, "n_churned": max(lost, 0)})
    return SimpleNamespace(frame=pd.DataFrame(rows), about=MANAGER)


def said(result, language):
    """Everything that a reader is told, which must hold no gap."""
    told = [*result.findings, *result.notes, *([result.subtitle] if result.subtitle else [])]
    words = " ".join(statement.say(language) for statement in told)
    assert "{" not in words and "nan" not in words and "None" not in words, words
    display.block(result)
    return words


@pytest.mark.parametrize("language", text.LANGUAGES)
@pytest.mark.parametrize(
    ("left", "n_left", "key", "words"),
    [
        ({1: 0.4, 2: 0.7}, 10, "leaving.less", {"en": "60% less", "zh": "少 60%"}),
        ({1: 1.5}, 10, "leaving.more", {"en": "50% more", "zh": "多 50%"}),
        ({}, 10, "leaving.alike", {"en": "no evidence", "zh": "没有证据"}),
        ({1: 0.98}, 10, "leaving.alike", {"en": "no evidence", "zh": "没有证据"}),  # clear, and too small to matter
        ({1: 0.4}, 0, "leaving.few", {"en": "too few", "zh": "太少"}),
    ],
)
def test_every_outcome_before_leaving_has_its_sentence(left, n_left, key, words, language):
    result = leaving_profile(profile(left, n_left))
    assert [f.key for f in result.findings] == [key]
    assert words[language] in said(result, language)


def test_a_difference_counts_for_as_long_as_it_lasted_up_to_the_end():
    (finding,) = leaving_profile(profile({1: 0.4, 2: 0.7, 4: 0.5})).findings
    assert finding.values["back"] == 2 and "last 2 months" in finding.say("en")  # the fourth month stands alone


def test_measures_that_nobody_has_are_left_out_and_amounts_are_in_whole_money():
    result = leaving_profile(profile({1: 0.5}, measure="amount"))
    assert set(result.table["measure"]) == {"amount"}
    assert result.shown["stayed"].iloc[0] == pytest.approx(result.table["stayed"].iloc[0] / 100)
    assert result.table["ratio"].iloc[-1] == pytest.approx(0.5)


@pytest.mark.parametrize("language", text.LANGUAGES)
@pytest.mark.parametrize("phase", ["after_departure", "after_change"])
@pytest.mark.parametrize(("rate", "outcome"), [(0.3, "more"), (0.02, "less"), (0.1, "none")])
def test_every_outcome_of_a_change_of_holder_has_its_sentence(phase, rate, outcome, language):
    result = holder_changes(held({phase: rate}))
    assert [f.key for f in result.findings] == [f"holders.{phase}.{outcome}"]
    words = said(result, language)
    told = {"more": ("more lost", "多流失"), "less": ("fewer lost", "少流失"), "none": ("no evidence", "没有证据")}
    assert told[outcome][language == "zh"] in words
    row = result.table[result.table["size"] == "all"].iloc[0]
    assert row["excess"] == pytest.approx((row["churn_rate"] - row["matched"]) * row["n_at_risk"])


@pytest.mark.parametrize("language", text.LANGUAGES)
def test_without_a_change_or_with_few_lost_nothing_is_compared(language):
    few = held({"after_departure": 0.5}, n=1)
    few.frame = few.frame[(few.frame["phase"] == "neither") | (few.frame["block"] < 20)]
    for counts in (held({}), held({"before_departure": 0.3}), few):
        result = holder_changes(counts)
        assert [f.key for f in result.findings] == ["holders.few"], result.table
        assert ("too few" if language == "en" else "太少") in said(result, language)


def units(**rates):
    """Holders with the rate lost after they were followed by another: all of 2,000 customer-months."""
    parts = [held({"after_change": rate}, holder=name).frame for name, rate in rates.items()]
    later = [part[part["phase"] != "neither"] for part in parts[1:]]
    return SimpleNamespace(frame=pd.concat([*parts[:1], *later], ignore_index=True), about=MANAGER)


@pytest.mark.parametrize("language", text.LANGUAGES)
def test_only_a_holder_whose_customers_were_clearly_lost_more_often_is_named(language):
    alike = holder_units(units(Li=0.1, Wang=0.1, Zhao=0.1, Qian=0.1))
    assert alike.findings[0].key == "holders.units.none" and "Li" not in said(alike, language)
    high = holder_units(units(Li=0.3, Wang=0.1, Zhao=0.1, Qian=0.1))
    assert high.findings[0].key == "holders.units.high"
    words = said(high, language)
    assert "Li" in words and "Wang" not in words
    rows = high.table.set_index("holder")
    assert 0.1 < rows.loc["Li", "shrunk"] < rows.loc["Li", "churn_rate"]  # shrunk towards the others
    nobody = holder_units(held({}))
    assert nobody.findings[0].key == "holders.few" and said(nobody, language)


def test_the_matched_rate_is_that_of_the_same_month_tenure_and_size():
    counts = held({"after_change": 0.1})
    elsewhere = held({}, size="small").frame.assign(n_churned=40)  # others of another size, all lost
    counts.frame = pd.concat([counts.frame, elsewhere], ignore_index=True)
    rows = holder_changes(counts).table.set_index("size")
    assert rows.loc["all", "matched"] == rows.loc["large", "matched"] < 0.2 and "small" not in rows.index
    assert np.isclose(rows.loc["all", "matched"], holder_units(counts).table["matched"].iloc[0])
