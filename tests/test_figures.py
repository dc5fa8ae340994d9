"""The linter over what is said: a number that was not worked out, or is rounded otherwise than shown, is found."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_home import block, both, finding, kpi

from churnlib import text
from churnlib.about import Period
from churnlib.reporting import figures, summary
from churnlib.reporting.collect import Chapter
from churnlib.show import display
from churnlib.show.results import Finding
from churnlib.text import Label, Money

DECEMBER = Period.parse("2025-12")


def told(made, kpis=()):
    chapters = [Chapter("trend", Label("a", "a"), "1-trend", [{"block": block("b", [made], kpis)}])]
    return figures.unfounded(chapters, summary.summarise(chapters, DECEMBER), DECEMBER)


def said(words, *numbers, key="quality.files.none"):
    return finding(key, both(words, words)) | {"numbers": list(numbers)}


RIGHT = {
    "a share": ("2.31%", 0.02314),
    "points": ("up 0.51 percentage points", -0.0051),
    "thousands": ("12,345 customers", 12345),
    "ten thousands": ("16.48 万", 164_849),
    "money in minor units": ("7.47 万元", 7_465_000),
    "money in English": ("¥74.7K", 7_465_001),
    "a ratio": ("1.16 times", 1.1649),
    "a tiny p": ("p < 0.001", 1e-70),
    "nothing to check": ("4G and p < x",),
}


@pytest.mark.parametrize("case", RIGHT)
def test_a_number_may_stand_as_it_is_rounded(case):
    words, *numbers = RIGHT[case]
    assert told(said(words, *numbers)) == []


WRONG = {
    "another number": ("2.32%", 0.0231),
    "rounded the wrong way": ("2.31%", 0.02316),
    "a share that is shown as it is": ("0.02%", 0.0231),
    "typed into the words": ("about 30 of them", 12.0),
    "a p-value that is not so small": ("p < 0.001", 0.2),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_number_that_nothing_vouches_for_is_found(case):
    words, *numbers = WRONG[case]
    assert "trend/b" in [where for where, _ in told(said(words, *numbers))]


def test_subtitles_and_notes_are_read_as_well():
    whole = display._source(Finding("x", {"n": 1200, "conf": 0.95, "level": Label("25–34 岁", "25–34")}))
    right, wrong = both("1,200 位，25–34 岁，95%", "1,200, 25–34, 95%"), both("1,300 位", "1,300")
    for words, expected in ((right, []), (wrong, [("trend/b", "1,300")])):
        for said in ({"subtitle": words | whole}, {"notes": [words | whole]}):
            chapter = Chapter("trend", Label("a", "a"), "n", [{"block": block("b", []) | said}])
            assert figures.unfounded([chapter], summary.summarise([chapter], DECEMBER), DECEMBER) == expected


def test_the_verdict_says_the_figures_of_the_period():
    figure = kpi(value=0.0231, previous=0.0180)
    assert told(said("", 1.0), [figure]) == []
    chapters = [Chapter("trend", Label("a", "a"), "n", [{"block": block("b", [said("")], [figure])}])]
    made = summary.summarise(chapters, DECEMBER)
    made.verdict["en"] = made.verdict["en"].replace("2.31", "2.13")
    assert ("summary", "2.13%") in figures.unfounded(chapters, made, DECEMBER)


@given(st.floats(0, 1), st.integers(0, 10**9), st.floats(0, 1e13), st.sampled_from(text.LANGUAGES))
def test_what_the_catalogue_says_of_its_own_numbers_is_never_doubted(rate, n, minor, language):
    values = {"period": DECEMBER, "then": rate, "now": rate / 3, "lost": n, "n": 2, "of": n, "since": Label("4G", "4G")}
    statement = Finding("between.restated.more", values)
    made = display._finding(statement)
    assert told(made) == []
    money = Finding("x", {"amount": Money(minor), "names": ["25–34", Label("第 3 组", "group 3")]})
    assert set(display._numbers(list(money.values.values()))) >= {25.0, 34.0, 3.0, minor}


def test_no_result_is_typed_into_the_prose_of_a_notebook():
    books = (Path(__file__).parent.parent / "notebooks").glob("*.ipynb")
    cells = [c for book in books for c in json.loads(book.read_text("utf-8"))["cells"] if c["cell_type"] == "markdown"]
    typed = [found for c in cells for found in re.findall(r"\d+\.\d+|\d+(?= ?%)", "".join(c["source"]))]
    assert cells and set(typed) <= {"95", "100"}  # the usual interval, and the whole
