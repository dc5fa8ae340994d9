"""Texts coded by words: the rules by example, the table's mistakes told, agreement with people, nobody named."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from counted import ABOUT
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import toy

from churnlib import text
from churnlib.counts import text_counts
from churnlib.model.reasonwords import coder
from churnlib.reasons.agreement import cohens_kappa
from churnlib.reasons.texts import coded_texts, text_agreement
from churnlib.show import display


@pytest.fixture(scope="module")
def shipped():
    return coder()


@pytest.mark.parametrize(
    ("written", "reasons"),
    [
        ("月租太贵", "price.too_high"),
        ("不贵", ""),
        ("并不算太贵，信号也不错", ""),
        ("贵州的信号不好", "access.network"),  # 贵 is no word here, 信号 is not good
        ("贵公司态度好", ""),
        ("今年费用", ""),  # 年费 lies across two words
        ("手机没有信号", "access.network"),
        ("投诉三次没人处理，客服态度差", "service.attitude service.complaint_unresolved"),
        ("价格不高，就是搬家了", "natural.moved"),
        ("It isn't too expensive, but we moved away", "natural.moved"),
        ("ＴＯＯ ＥＸＰＥＮＳＩＶＥ", "price.too_high"),
        ("Not expensive. The staff were rude!", "service.attitude"),
        ("没有特别的原因", ""),
    ],
)
def test_words_and_negations(shipped, written, reasons):
    assert shipped.code(written)[0] == frozenset(reasons.split())


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=60))
def test_any_text_can_be_coded(written):
    reasons, words = coder().code(written)
    assert len(reasons) < 30 and all(isinstance(word, str) for word in words)


def table(folder, content):
    (folder / "reason_words.yml").write_text(content, "utf-8")
    return coder(folder)


def test_a_companys_own_words_add_to_the_shipped_ones(tmp_path):
    own = table(tmp_path, "reasons:\n  access.network: [五级信号, 蓝牙+断]\n")
    assert own.code("蓝牙老是断")[0] == {"access.network"} and own.code("没信号")[0] == set()
    assert own.code("太贵")[0] == {"price.too_high"}
    alone = table(tmp_path, "replace: true\nreasons:\n  trust.brand: [丢人]\n")
    assert alone.code("太贵，丢人")[0] == {"trust.brand"}
    scoped = table(tmp_path, "reasons:\n  trust.brand: {words: [丢人], scope: complaint}\n")
    assert scoped.code("丢人", "complaint")[0] and not scoped.code("丢人", "exit_survey")[0]


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("reasons:\n  price.to_high: [贵]\n", 2, ("price.to_high", "price.too_high")),
        ("reasons:\n  price.too_high: [贵]\n  price.fees: [年费, 贵]\n", 3, ("贵", "price.too_high")),
        ("reasons:\n  price.fees: [年费, '+']\n", 2, ("+",)),
        ("reasons:\n  price.fees:\n    words: [年费]\n    unless: [费]\n", 4, ("年费",)),
        ("reasons:\n  price.fees: {words: [年费], scop: all}\n", 2, ("scop", "scope")),
        ("reasons:\n  price.fees: {words: [年费], scope: complaints}\n", 2, ("complaints", "complaint")),
    ],
)
def test_a_mistake_in_the_table_is_told_with_its_line(tmp_path, content, line, words):
    with pytest.raises(text.DataError) as told:
        table(tmp_path, content)
    for language in text.LANGUAGES:
        text.set_language(language)
        said = str(told.value)
        assert "reason_words.yml" in said and str(line) in said and all(word in said for word in words), said
    text.set_language("zh")


# agreement


def test_kappa_of_cohens_example():
    # Cohen (1960), table 1: two psychiatrists, 200 patients; observed .70, expected .41, kappa .492
    cohen = 200 * np.array([[0.44, 0.07, 0.09], [0.05, 0.20, 0.05], [0.01, 0.03, 0.06]])
    assert cohens_kappa(cohen)[0] == pytest.approx(0.29 / 0.59)


def test_standard_error_of_fleiss_cohen_and_everitts_example():
    # Fleiss, Cohen and Everitt (1969): kappa .429, n = 200
    published = 200 * np.array([[0.53, 0.05, 0.02], [0.11, 0.14, 0.05], [0.01, 0.06, 0.03]])
    kappa, lower, upper = cohens_kappa(published)
    assert kappa == pytest.approx(0.429, abs=5e-4)
    error = (upper - lower) / 2 / 1.959964
    # the formula against the delta method by differences: the variance of kappa over the multinomial's covariance
    p, step = published / 200, 1e-6
    value = lambda q: cohens_kappa(q / q.sum() * 200)[0]  # noqa: E731
    slope = np.array([(value(p + step * e) - value(p)) / step for e in np.eye(9).reshape(9, 3, 3)])
    flat = p.ravel()
    delta = np.sqrt(((flat * slope**2).sum() - (flat @ slope) ** 2) / 200)
    assert error == pytest.approx(delta, rel=1e-4)


def test_kappa_intervals_cover():
    rng, p = np.random.default_rng(1), np.array([0.20, 0.06, 0.04, 0.70])
    truth = cohens_kappa(p.reshape(2, 2) * 1e6)[0]
    draws = [cohens_kappa(rng.multinomial(300, p).reshape(2, 2)) for _ in range(300)]
    assert np.mean([lower <= truth <= upper for _, lower, upper in draws]) > 0.91


def test_perfect_and_hopeless_agreement():
    assert cohens_kappa([[30, 0], [0, 70]])[0] == 1 and cohens_kappa([[25, 25], [25, 25]])[0] == 0
    assert np.isnan(cohens_kappa([[50, 50], [0, 0]])[0]) and np.isnan(cohens_kappa([[0, 0], [0, 0]])[0])


# counting


@pytest.fixture(scope="module")
def counts():
    complaints = [(1, "2024-02-03", "complaint", None, False, "信号差，请回电13800000001", "网络")] * 1
    complaints += [(c, "2024-02-03", "complaint", None, False, "信号很差", "网络") for c in (2, 6, 7, 8, 12)]
    complaints += [
        (1, "2024-03-03", "complaint", None, False, "积分兑换不了", "其他"),
        (6, "2024-03-04", "satisfaction"),
    ]
    reasons = {"categories": {"网络": "access", "其他": "unknown.other"}}
    return text_counts(toy(tables={"contacts": complaints}, reasons=reasons), 12)


def sums(counts, **key):
    frame = counts.frame
    for column, value in key.items():
        frame = frame[frame[column] == value]
    return frame.groupby("reason")["n_texts"].sum().to_dict()


def test_texts_are_counted_by_hand(counts):
    assert sums(counts, source="complaint", level_of_list="group") == {"access": 6, "uncoded": 1}
    assert sums(counts, source="complaint", level_of_list="") == {"": 7}
    remarks = sums(counts, source="exit_survey", level_of_list="reason")
    assert remarks == {"price.too_high": 1, "service.attitude": 1, "natural.moved": 2}
    assert counts.words["word"].tolist() == ["不了", "兑换", "积分"]


def test_people_and_words_are_compared_by_hand(counts):
    found = counts.agreement[counts.agreement["level_of_list"] == "group"].set_index(["source", "reason"])
    columns = ["n_judged", "n_both", "n_human", "n_words"]
    assert found.loc[("complaint", "access"), columns].tolist() == [7, 6, 0, 0]
    # 2 ticked price (twice) and service, and said both; 7 ticked price and said moved; 9 ticked and said moved
    assert found.loc[("exit_survey", "price"), columns].tolist() == [3, 1, 1, 0]
    assert found.loc[("exit_survey", "natural"), columns].tolist() == [3, 1, 0, 1]


def test_quotations_name_nobody(counts):
    quotes = " ".join(counts.quotes["quote"])
    assert "信号" in quotes and "1380000" not in quotes


HOSTILE = ["信号差，{}", "{}说信号很差", "信号差，找{}", "no signal, said {}", "信号差（{}）", "{}：信号差"]


@pytest.mark.parametrize("name", ["Li", "LI", "张伟", "李小明", "王先生", "John Smith", "13800000001", "Ｌｉ"])
def test_of_texts_that_name_people_no_name_is_quoted(name):
    customers = (1, 2, 6, 7, 8, 12)
    texts = [
        (customer, "2024-02-03", "complaint", None, False, line.format(name))
        for customer, line in zip(customers, HOSTILE, strict=True)
    ]
    manager = {"m": {"group": "relationship", "assignment": "manager"}}  # Li holds the relationship, says assignments
    quotes = text_counts(toy(tables={"contacts": texts}, drivers=manager), 12).quotes
    assert list(quotes.columns) == ["source", "reason", "quote"]
    written = " ".join(quotes.loc[quotes["source"] == "complaint", "quote"]).lower()
    assert name.lower() not in written and "li" not in written and not any(c in written for c in "伟明王张")


def test_a_data_set_without_texts_is_told():
    bare = text_counts(toy(tables={"contacts": None, "exit_survey": None, "exit_reasons": None}))
    for result in (coded_texts(bare), coded_texts(bare, "exit_survey"), text_agreement(bare)):
        assert result.findings and all("{" not in f.say(lang) for f in result.findings for lang in text.LANGUAGES)


# results


def coded(n_access, n_uncoded, quote="信号差"):
    rows = [
        ("2025-12", "complaint", "", "", n_access + n_uncoded),
        ("2025-12", "complaint", "group", "access", n_access),
    ]
    rows += [("2025-12", "complaint", "group", "uncoded", n_uncoded)]
    agreement = [("complaint", "group", "access", n_access + n_uncoded, n_access - 2, 5, 2)]
    columns = ["source", "level_of_list", "reason", "n_judged", "n_both", "n_human", "n_words"]
    return SimpleNamespace(
        frame=pd.DataFrame(rows, columns=["period", "source", "level_of_list", "reason", "n_texts"]),
        about=ABOUT,
        quotes=pd.DataFrame([("complaint", "access", quote)], columns=["source", "reason", "quote"]),
        words=pd.DataFrame([("complaint", "积分", 9), ("complaint", "公平", 2)], columns=["source", "word", "n_texts"]),
        agreement=pd.DataFrame(agreement, columns=columns),
    )


def test_uncoded_texts_are_counted_and_their_words_listed():
    result = coded_texts(coded(60, 40))
    assert result.findings[1].values == {"n": 40, "share": 0.4} and result.words == ("积分",)
    assert coded_texts(coded(9, 4)).findings[0].key == "texts.few.complaint"


def test_words_of_too_few_are_not_quoted():
    counts = coded(60, 40)
    counts.frame.loc[1, "n_texts"] = 3
    assert str(coded_texts(counts).shown.iloc[0].quote) == ""


def test_precision_and_recall_by_hand():
    row = text_agreement(coded(60, 40)).table.iloc[0]
    assert (row.precision, row.recall) == (58 / 60, 58 / 63)
    assert row.kappa == pytest.approx(cohens_kappa([[58, 5], [2, 35]])[0])


def test_a_quotation_has_no_effect_on_the_page():
    made = display.block(coded_texts(coded(60, 40, quote='"><b onclick="x()">&amp;{{ 1 }}')))
    page = display.notebook_html(made, "zh")
    assert "<b onclick" not in page and "&lt;b onclick" in page
