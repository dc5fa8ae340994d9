"""Nobody gets back from a whole report what one of its tables hides: small companies, attacked (see attacker.py)."""

from datetime import date, timedelta

import attacker
import numpy as np
import pandas as pd
import pytest
from counted import ABOUT, months
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from churnlib.handfuls import hidden_in_books

FIRST, LAST = date(2023, 1, 1), date(2026, 1, 12)
SPEC = """\
title: {zh: 示例公司（模拟数据）, en: Sample (simulated data)}
as_of: 2026-01-12
observed_from: 2023-01-01
tables:
  customers:
    file: customers.csv
    columns: {customer_id: id, start_date: start, region: region, monthly_fee: fee%s}
%sdefinitions:
  %s
segments:
  region: {label: {zh: 大区, en: Region}, column: region}
"""
CONTRACTS = """\
  contracts: {file: contracts.csv, columns: {customer_id: id, contract_id: contract, start_date: start, end_date: end}}
  exit_survey: {file: left.csv, columns: {customer_id: id, date: date, follow_up: told, reasons: why}}
"""
ACTIVITY = "  activity: {file: activity.csv, columns: {customer_id: id, date: date, amount: amount}}\n"
ENDS = "contract_end: {kind: contract_end}"
SILENT = "silent: {kind: inactivity, at_risk: 60 days, limit: 90 days}"
ASKED = ["answered"] * 12 + ["no_answer"] * 3 + ["wrong_number"]
WHY = ["price.too_high"] * 5 + ["service.attitude"] * 3 + ["natural.moved"]


def company(folder, seed, there=400, new=35, hazard=0.008, back=0.0, silent=False):
    """Write a company whose customers leave at a constant rate; a share comes back after a while."""
    rng, files = np.random.default_rng(seed), {"customers": ["id,start,region,fee,end"], "activity": ["id,date,amount"]}
    files |= {"contracts": ["id,contract,start,end"], "left": ["id,date,told,why"]}
    ages = np.r_[-rng.integers(1, 900, there), rng.integers(0, (LAST - FIRST).days, 36 * new)]
    for i, start in enumerate(FIRST + timedelta(int(age)) for age in ages):
        first, since = "", max(start, FIRST)
        while since <= LAST:
            begin, end = (since if first else start), since + timedelta(int(rng.exponential(30 / hazard)))
            told = end if end <= LAST else ""
            first, since = first or told, end + timedelta(int(rng.integers(100, 250) if rng.random() < back else 9999))
            files["contracts"].append(f"C{i},K{i}-{begin},{begin},{told}")
            if told:
                files["left"].append(f"C{i},{end},{rng.choice(ASKED)},{rng.choice(WHY)}")
            while silent and begin <= min(end, LAST):
                files["activity"] += [f"C{i},{begin},{10 + i % 5}"] if begin >= FIRST else []
                begin += timedelta(int(rng.integers(15, 45)))
        files["customers"].append(f"C{i},{start},{'AAABBC'[i % 6]},{100 + i % 7},{first}")
    folder.mkdir(parents=True)
    for name, lines in files.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", "utf-8")
    kind = (ACTIVITY, SILENT) if silent else (CONTRACTS, ENDS) if back else ("", ENDS)
    (folder / "dataset.yml").write_text(SPEC % (", end_date: end" if not (back or silent) else "", *kind), "utf-8")
    return folder


COMPANIES = {
    "nobody comes back, hidden months": {"seed": 1},
    "many come back, few of the new leave at once": {"seed": 8, "there": 1500, "new": 60, "hazard": 0.04, "back": 0.3},
    "young, cohorts by quarter": {"seed": 9, "there": 0, "new": 60, "hazard": 0.02},
    "silence": {"seed": 6, "silent": True, "new": 25, "hazard": 0.02},
}


FLOWS = {"open": "n_opening", "old": "n_churned_opening", "fresh": "n_churned_new", "lost": "n_churned"}
FLOWS |= {"new": "n_new", "back": "n_reactivated"}


@pytest.mark.parametrize("name", [*list(COMPANIES)[:3], pytest.param("silence", marks=pytest.mark.slow)])
def test_no_hidden_count_comes_back_from_the_whole_report(name, tmp_path):
    results = attacker.published(company(tmp_path / "small", **COMPANIES[name]))
    kinds = {type(result).__name__ for result in results}
    assert kinds <= {*attacker.SAYS, *attacker.SUMS, *attacker.ESTIMATES}, "say in attacker.py what the table counts"
    hidden = attacker.books(results)[2]
    assert {"SegmentRates", "CohortRetention", "Departures", "TenureHazard"} <= kinds and len(hidden) > 10
    assert attacker.recovered(results) == {}
    assert not attacker.hidden_rates(results) & set(attacker.numbers(results))


@settings(max_examples=20, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(st.tuples(*[st.integers(0, 12)] * 4), min_size=12, max_size=12))
def test_no_flow_of_any_books_comes_back_from_openings_quarters_and_windows(flows):
    books = pd.DataFrame(flows, columns=["n_churned_opening", "n_churned_new", "n_new", "n_reactivated"])
    books["n_new"] += books["n_churned_new"] + 30  # with nobody new, openings tell who left
    books["n_churned"] = books["n_churned_opening"] + books["n_churned_new"]
    closing = 300 + (books["n_new"] + books["n_reactivated"] - books["n_churned"]).cumsum()
    opening = closing.shift(fill_value=300)
    books = books.assign(period=months(12), is_complete=True, n_opening=opening, n_closing=closing)
    equal, less, truth = attacker.of_ledger(books)
    hidden, said = hidden_in_books(books, ABOUT), []
    for name, flow in FLOWS.items():
        shown = books[~hidden[flow]] if flow in hidden else books
        said += [({(name, t): 1}, n) for t, n in zip(shown["period"], shown[flow], strict=True)]
        for last in {"lost": (3, 6, 12), "old": (12,), "new": (3, 6, 9, 12), "back": (12,)}.get(name, ()):
            said += [({(name, t): 1 for t in books["period"].tail(last)}, books[flow].tail(last).sum())]
    few = {name for name, n in truth.items() if 0 < n < ABOUT.privacy_k}
    ends = attacker.solved([*said, *((sums, 0) for sums in equal)], less, few)
    assert not {name: end for name, end in ends.items() if end[0] == end[1]}
