"""Simulated companies drawn again with another seed, as files, and taken through the whole chain to their intervals.

Every simulator writes, beside its files, what was true of them: `truth.json`. What the chapter on reasons says of the
files is set against it: stated shares, attributable losses, what events did. Looked at with 20 seeds by calibrate,
with one by tests/test_companies.py. Not there: the driver "neglected" of the distributor, which is a size. Small
customers order rarely and leave for every other reason, too: what goes with it is more than neglect.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from simulated import company

import churnlib as churn

SHARES = {"telecom": 0.2, "bank": 0.5, "dealer": 0.5, "distributor": 1.0}  # of the company: enough to say something
YEAR = ("2025-01", "2025-12")


# of the losses to solvency: ten times the hazard in the 15 % in middling business, less what the others have
MIDDLING = 0.9 * 10 * 0.15 / (0.85 + 10 * 0.15)


class Truth(NamedTuple):
    """The truth of one company, with the sums that tests ask for."""

    told: dict

    def lost(self, causes: str, segment: str = "all", level: str = "all", span: tuple[str, str] = YEAR) -> float:
        """The losses that the simulation puts down to some causes in some months."""
        first, last = (self.told["months"].index(month) for month in span)
        row = self.told["expected"][segment][level]
        return float(sum(sum(row[cause][first : last + 1]) for cause in causes.split()))

    def more(self, causes: str, segment: str, level: str, first: str, last: str) -> float:
        """The same above the year that ended half a year before, in which nothing of an event can have been counted."""
        start, end = (self.told["months"].index(month) for month in (first, last))
        n = end - start + 1
        row = self.told["expected"][segment][level]
        usual = [np.mean(row[cause][max(start - 18, 0) : start - 6]) for cause in causes.split()]
        return self.lost(causes, segment, level, (first, last)) - float(n * sum(usual))


def attributable(name: str, truth: Truth) -> dict[str, float]:
    """The losses of 2025 due to each driver that dataset.yml declares, where the simulation knows them."""
    if name == "telecom":
        causes = {name: name for name in "outage competitor outdated price_rise contract_end manager_left".split()}
        return {k: truth.lost(c) for k, c in causes.items()} | {"complaint": truth.lost("complaint complaint_wave")}
    if name == "bank":
        avoided = {name: -truth.told["avoided"][name] for name in ("training", "products")}
        return avoided | {"rate": truth.lost("rate", "loan", "100+"), "new": truth.lost("new"), "complaint": 0.0}
    if name == "dealer":  # SUV-C has three times the usual losses to quality; of the chain see `_visible`
        return {"chain": np.nan, "complaint": 0.0, "model": truth.lost("quality", "model", "SUV-C") * 2 / 3}
    due = {"rep_left": "staff_left", "rebate": "rebate", "pushed": "pushed", "grey_market": "grey_market"}
    return {k: truth.lost(c) for k, c in due.items()} | {"condition": truth.lost("solvency") * MIDDLING}


def _visible(truth: Truth, driver: str, n_exposed: int, due: float) -> float:
    """What of a cause meets those whom its driver marks as exposed, where the two are not the same customers."""
    if driver == "chain":  # the chain takes those who will be out of warranty half a year on: not all of them are yet
        return n_exposed * 0.13 * (1 - 0.75 * 0.675 * 0.16)  # chance of a visit, less those whom the lists bring back
    if driver == "contract_end":  # the contract still holds them in the first half of its last month, one of three
        free = truth.told["expected"]["contract"]["无合约"]
        year = slice(truth.told["months"].index(YEAR[0]), truth.told["months"].index(YEAR[1]) + 1)
        return due - n_exposed / 3 * (1 - 0.35) / 2 * sum(free["ordinary"][year]) / sum(free["n_opening"][year])
    return due


# company -> groups whose silence goes with the reason itself, which no weights can see; elsewhere all of it does
HEARD = {"distributor": (), "dealer": ("natural",)}
EVENTS = {  # company -> beginning of an event's name -> the losses due to it: causes, segment, level
    "telecom": {
        "core network outage": ("outage complaint_wave", "region", "华南"),
        "competitor's half-price": ("competitor", "age", "25-35"),
        "prepaid prices up": ("price_rise", "payment", "预付费"),
    },
    "bank": {"a rival lends": ("rate", "loan", "100+")},
    "dealer": {"labour prices": ("price", "warranty", "保外")},
    "distributor": {
        "rebates": ("rebate", "kind", "连锁药店"),
        "year-end stock": ("pushed", "region", "华南"),
    },
}


def drawn(name: str, seed: int, folder: Path, share: float | None = None) -> pd.DataFrame:
    """Draw a company with another seed, read its files, and set the chapter's intervals against its truth.

    Returns
    -------
    pandas.DataFrame
        One row per number: `kind` ("said", "weighted", "bounds", "attributable", "event"), `item`, `estimate`,
        `ci_lower`, `ci_upper`, `truth`, `state`.
    """
    small = company(name, share or SHARES[name], folder, (), {}, seed=seed)
    data, truth = small.data, Truth(small.truth)
    rows = [*_stated(name, data, truth), *_attributable(name, data, truth), *_events(name, data, truth)]
    columns = ["kind", "item", "estimate", "ci_lower", "ci_upper", "truth", "state"]
    return pd.DataFrame(rows, columns=columns).assign(name=name, seed=seed)


def _stated(name: str, data, truth: Truth):
    window, said = len(truth.told["months"]), truth.told["reasons"]["all"]
    counts = churn.reason_counts(data), churn.response_counts(data), churn.answer_counts(data, window)
    for row in churn.stated_reasons(*counts, level="reason", window=window).table.itertuples():
        if row.reason not in said["if_all_answered"]:
            continue
        everybody = said["if_all_answered"][row.reason]
        yield "bounds", row.reason, row.share, row.bound_lower, row.bound_upper, everybody, ""
        if name in HEARD and not row.reason.startswith(HEARD[name]):
            yield "weighted", row.reason, row.weighted, row.weighted_lower, row.weighted_upper, everybody, ""
        if "among_respondents_expected" in said:
            told = said["among_respondents_expected"][row.reason]
            yield "said", row.reason, row.share, row.ci_lower, row.ci_upper, told, ""


def _attributable(name: str, data, truth: Truth):
    known = attributable(name, truth)
    table = churn.attributable_reasons(churn.panel_counts(data)).table
    for row in table[table["driver"].isin(list(known))].itertuples():
        due = _visible(truth, row.driver, row.n_exposed, known[row.driver])
        yield "attributable", row.driver, row.attributable, row.ci_lower, row.ci_upper, due, row.state


def _events(name: str, data, truth: Truth):
    table = churn.event_effects(churn.period_counts(data), churn.scope_counts(data)).table
    for row in table.itertuples():
        for told, (causes, segment, level) in EVENTS[name].items():
            if str(row.event.en).startswith(told):
                due = truth.more(causes, segment, level, row.first, row.last)
                yield "event", told, row.excess, row.ci_lower, row.ci_upper, due, row.state
