"""Rival definitions on the same data: does the story change?"""

from dataclasses import replace

import pytest
from counted import by_level, period_counts

from churnlib import text
from churnlib.quality.rivals import rival_definitions, rival_rankings
from churnlib.text import Label
from churnlib.trend.trend import churn_trend


def named(counts, name):
    counts.about = replace(counts.about, definition=name, definition_label=Label(name, name))
    return counts


def rivals(**last):
    """Two years of 200 lost a month, then one month with another number, under each definition."""
    return rival_definitions({name: named(period_counts([200] * 24 + [n]), name) for name, n in last.items()})


@pytest.mark.parametrize(
    ("contract", "silence", "story"),
    [
        (300, 320, "rivals.same_rise"),
        (100, 90, "rivals.same_fall"),
        (200, 201, "rivals.same_flat"),
        (300, 100, "rivals.opposed"),
        (300, 200, "rivals.partly"),
    ],
)
def test_the_story_is_told_from_where_each_rate_went(contract, silence, story):
    result = rivals(contract=contract, silence=silence)
    assert result.findings[1].key == story
    for language in text.LANGUAGES:
        assert "{" not in result.findings[1].say(language)


@pytest.mark.parametrize("n", range(120, 300, 20))
def test_a_clear_change_is_one_in_the_trend_chapter_too(n):
    """Months of 170 to 230 lost set wide limits: what the chart calls usual is clear in neither chapter."""
    rates = named(period_counts([200 + 30 * (-1) ** (i % 3) for i in range(24)] + [n]), "contract")
    row = churn_trend(rates).table.iloc[-1]
    move = rival_definitions({"contract": rates}).table["move"].iloc[0]
    assert (move != "flat") == bool(row.previous_clear)


def test_the_range_of_the_headline_is_given():
    values = rivals(contract=300, silence=100).findings[0].values
    assert (values["low"], values["high"]) == (0.01, 0.03)


def test_one_definition_alone_has_no_rival():
    assert rivals(contract=200).findings[0].key == "rivals.only_one"


def test_rankings_agree_or_do_not():
    one = named(by_level({"a": ([100] * 14, 5_000), "b": ([50] * 14, 5_000), "c": ([20] * 14, 5_000)}), "one")
    other = named(by_level({"a": ([20] * 14, 5_000), "b": ([50] * 14, 5_000), "c": ([100] * 14, 5_000)}), "other")
    same, turned = rival_rankings({"one": one, "two": one}), rival_rankings({"one": one, "other": other})
    assert same.agreement == 1 and same.findings[0].key == "rivals.same_top"
    assert turned.agreement == -1 and turned.findings[0].key == "rivals.other_top"
    shaken = named(by_level({"a": ([98] * 14, 5_000), "b": ([99] * 14, 5_000), "c": ([20] * 14, 5_000)}), "shaken")
    assert rival_rankings({"one": one, "shaken": shaken}).findings[0].key == "rivals.unclear_top"
    assert one is not shaken and same.n_periods == 12
    assert list(turned.summary("en").columns) == ["Region", "one", "one: rank", "other", "other: rank"]
