"""Every sentence of the chapter on reasons is said by some result, in both languages, and by nothing but numbers.

Agreement, disagreement, no evidence and small numbers are all among the cases: the test fails for a sentence that no
case says, so none can be written that was never looked at.
"""

import re
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import test_leaving_holders as held
import test_reasons_across as across
import test_reconcile as reconciled
from attributable_cases import simulated
from counted import ABOUT, months
from test_reasons import counted
from test_response import CHANCE, CUSTOMERS, SAYS
from test_response import counted as answers
from test_texts import coded

from churnlib import text
from churnlib.reasons.attributable import attributable_reasons
from churnlib.reasons.followup import follow_up, lost_to
from churnlib.reasons.holders import holder_changes, holder_units
from churnlib.reasons.leaving import leaving_profile
from churnlib.reasons.reasonchanges import reconcile_changes
from churnlib.reasons.reasons import stated_reasons
from churnlib.reasons.reconcile import reconcile_levels
from churnlib.reasons.texts import coded_texts, text_agreement

MODULES = ("reasons", "attributable", "reconcile", "leaving", "holders", "texts", "across", "together")
NO_FINDINGS = re.compile(r"\.(note|action|subtitle|no_attribute)(\.|$)|subtitle$")


def of_reasons():
    yield stated_reasons(*counted({"price": 90, "service": 30}, 100, {"no_answer": 50}, months(6)))
    yield stated_reasons(*counted({"price": 52, "service": 50}, 100, {}))
    yield stated_reasons(*counted({"price": 9}, 12, {"no_answer": 88}))
    for second in (20, 58):
        yield stated_reasons(*counted({"price.too_high": 60, "service.attitude": second}, 100, {}), level="reason")
    yield from (reconciled.moved(price=shares) for shares in ((30, 50), (50, 30)))
    halves = [
        counted({"price": 30}, 50, {}, months(3, last), list_) for last, list_ in (("2025-09", "a"), ("2025-12", "b"))
    ]
    yield stated_reasons(
        *(SimpleNamespace(frame=pd.concat([a.frame, b.frame]), about=ABOUT) for a, b in zip(*halves, strict=True))
    )
    yield costly()
    for share in (SAYS["price"], np.full((3, 2), 0.4)):
        answered = np.rint(CUSTOMERS * CHANCE).astype(int)
        named = np.rint(answered * share).astype(int)
        mentions, response = counted(
            {"price": named.sum()}, answered.sum(), {"no_answer": (CUSTOMERS - answered).sum()}
        )
        yield stated_reasons(mentions, response, answers(CUSTOMERS, answered, {"price": named}))
    yield from (follow_up(counted({}, n, {"no_answer": n // 2})[1]) for n in (50, 0))
    columns = ["level", "period", "lost_to", "n_customers", "fee_lost"]
    for n in (60, 3):
        yield lost_to(across.counts([("", "2025-12", "甲", n, 1), ("", "2025-12", "", 20, 1)], columns))


def costly():
    """The dearest customers name another reason than most do."""
    mentions, response = counted({"price": 60, "service": 40}, 100, {})
    fees = np.where(mentions.frame["reason"] == "service", 900_00, 100_00)
    n = mentions.frame["n_named"]
    mentions.frame = mentions.frame.assign(fee_lost=n * fees, fee_lost2=n * fees.astype(float) ** 2)
    told = {"fee_told": (n * fees).sum(), "fee_told2": (n * fees.astype(float) ** 2).sum()}
    response.frame = response.frame.assign(**told)
    return stated_reasons(mentions, response)


def of_drivers():
    cases = [((1.5, 1.0), 40), ((-0.7, 0), 400), ((2.0, -0.8), 400), ((0, 0), 40), ((1.0,), 0.02), ((), 40)]
    for excess, size in cases:
        counts = simulated(np.random.default_rng(8), excess, size=size)[0]
        yield attributable_reasons(counts)
        given = tuple(replace(factor, modifiable=False) for factor in counts.factors)
        yield attributable_reasons(replace(counts, factors=given))


def of_both():
    loud, quiet, few = ({"price": n} for n in (164, 8, 9))
    for shown in (
        (0.12, 0.09, 0.15, True),
        (0.01, -0.02, 0.04, False),
        (-0.08, -0.12, -0.04, True),
        (0.4, 0.3, 0.5, True),
    ):
        yield reconcile_levels(reconciled.stated(loud), reconciled.revealed(price=shown))
    silent = reconciled.stated({"price": 40}, answered=100, silent=900)
    for shown in ((0.12, 0.09, 0.15, True), (0.01, -0.02, 0.04, False)):
        yield reconcile_levels(silent, reconciled.revealed(price=shown))
    for mute in (0, 400):
        yield reconcile_levels(reconciled.stated(quiet, silent=mute), reconciled.revealed(price=(0.3, 0.2, 0.4, True)))
    price = reconciled.revealed(price=(0.12, 0.09, 0.15, True))
    yield reconcile_levels(reconciled.stated(loud), None)
    yield reconcile_levels(None, price)
    yield reconcile_levels(reconciled.stated(few, answered=12), None)
    yield reconcile_levels(reconciled.stated({"natural": 164}), price)
    events, effect, effects = reconciled.EVENTS, reconciled.effect, reconciled.effects
    for shares, excess, state in (
        ((30, 50), 90, ""),
        ((50, 30), 90, ""),
        ((40, 41), -90, ""),
        ((30, 50), 90, "unclear"),
        ((40, 41), 90, "unclear"),
    ):
        happened = effects(effect(events[0], excess, state or "consistent"))
        yield reconcile_changes(reconciled.moved(price=shares), happened)
    yield reconcile_changes(reconciled.moved(price=(40, 41)), effects(effect(events[2], -90)))


def of_texts():
    for counts in (coded(60, 40), coded(2, 1)):
        yield coded_texts(counts)
        yield text_agreement(counts)
        frames = {name: getattr(counts, name).assign(source="exit_survey") for name in ("frame", "quotes", "words")}
        yield coded_texts(SimpleNamespace(**frames, about=ABOUT), "exit_survey")


def of_columns():
    for over, (a, b) in (("level", "sn"), ("version", ("1", "2")), ("period", months(2))):
        for first, second in (
            ((200, 120), (200, 40)),
            ((100, 10), (400, 240)),
            ((200, 62), (200, 55)),
            ((200, 62), (9, 8)),
        ):
            shares = {c: (n, {"price": k}) for c, (n, k) in ((a, first), (b, second))}
            yield across.reasons_across(*across.stated(shares, over), over)
    for n_both in (45, 21, 2):
        yield across.reasons_together(*across.pairs_of(n_both, 60, 70, 200))


def of_customers():
    yield from (leaving_profile(held.profile(*case)) for case in (({1: 0.4},), ({1: 1.5},), ({},), ({}, 0)))
    for phase in ("after_departure", "after_change"):
        yield from (holder_changes(held.held({phase: rate})) for rate in (0.3, 0.02, 0.1))
    yield holder_changes(held.held({}))
    yield from (holder_units(held.units(Li=rate, Wang=0.1, Zhao=0.1, Qian=0.1)) for rate in (0.3, 0.1))


@cache
def findings():
    """Every finding of every case, by its key."""
    told = {}
    for cases in (of_reasons, of_drivers, of_both, of_texts, of_columns, of_customers):
        for result in cases():
            for finding in result.findings:
                told.setdefault(finding.key, []).append(finding)
    return told


SENTENCES = sorted(
    key
    for key, entry in text.catalogue().items()
    if key.partition(".")[0] in MODULES and entry["zh"].endswith("。") and not NO_FINDINGS.search(key)
)


@pytest.mark.parametrize("key", SENTENCES)
def test_every_sentence_of_the_chapter_is_said_in_both_languages(key):
    assert key in findings(), "no case says this sentence"
    for finding in findings()[key]:
        zh, en = (finding.say(language) for language in text.LANGUAGES)
        for said in (zh, en):
            assert not re.search(r"[{}]|nan|None|inf\b|−0\b", said), said
            assert "caused" not in said and "导致" not in said, said
        assert re.search("[一-鿿]", zh) and zh != en
        numbers = [re.findall(r"\d+(?:\.\d+)?(?=%)", said) for said in (zh, en)]
        assert sorted(numbers[0]) == sorted(numbers[1])  # one number, two languages
