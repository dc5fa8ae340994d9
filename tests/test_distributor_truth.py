"""The simulated distributor: few large customers, two rules of silence, representatives who leave."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import churnlib as churn
from churnlib.show import display

DISTRIBUTOR = Path(__file__).parent.parent / "data" / "distributor"
RULES = {  # rule of the reader -> what the simulation calls the same rows
    ("customers", "duplicate_customer"): "duplicate customers",
    ("activity", "unknown_customer"): "shipments to unknown customers",
    ("activity", "duplicate_activity"): "duplicate shipments",
}
SEGMENTS = {"annual_band": "band", "region": "region", "kind": "kind", "representative": "representative"}


def simulate(folder: Path, **environment: str) -> None:
    """Simulate half of the distributor into a folder."""
    command = [sys.executable, str(DISTRIBUTOR / "simulate.py"), "7", "0.5"]
    subprocess.run(command, cwd=folder, env=os.environ | environment, check=True)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Half of the distributor: the data set as the workbook reads it, and the truth behind it."""
    folder = tmp_path_factory.mktemp("distributor")
    simulate(folder)
    spec = yaml.safe_load((DISTRIBUTOR / "dataset.yml").read_text("utf-8"))
    del spec["make"]
    (folder / "dataset.yml").write_text(yaml.safe_dump(spec, allow_unicode=True, sort_keys=False), "utf-8")
    return churn.open_dataset(folder), json.loads((folder / "truth.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def truth(small):
    return small[1]


def causes(row: dict) -> dict[str, list[float]]:
    """The expected losses of one level by cause."""
    return {name: values for name, values in row.items() if not name.startswith("n_")}


def test_the_same_seed_gives_the_same_bytes_anywhere(small, tmp_path):
    simulate(tmp_path, PYTHONHASHSEED="5", TZ="America/Lima", LC_ALL="C")
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    assert len(made) == 13
    assert all((tmp_path / path).read_bytes() == (small[0].folder / path).read_bytes() for path in made)


@pytest.mark.parametrize("definition", ["inactive", "sell_through"])
def test_the_ledger_of_each_rule_of_silence_is_the_one_that_happened(small, definition):
    data, truth = small
    counted = churn.period_counts(data, definition=definition).frame
    assert counted["period"].tolist() == truth["months"]
    for column, happened in truth["ledger"][definition].items():
        assert counted[column].tolist() == happened, column


@pytest.mark.parametrize("segment", SEGMENTS)
def test_the_opening_base_and_its_losses_of_every_segment_are_the_ones_that_happened(small, segment):
    data, truth = small
    counted = churn.period_counts(data, by=segment).frame
    for level, happened in truth["expected"][SEGMENTS[segment]].items():
        rows = counted[counted["level"] == level]
        assert rows["n_opening"].tolist() == happened["n_opening"], level
        assert rows["n_churned_opening"].tolist() == happened["n_churned_opening"], level


def test_losses_differ_from_the_expected_ones_by_chance_alone(truth):
    for segment, levels in truth["expected"].items():
        for level, row in levels.items():
            expected, happened = np.sum(list(causes(row).values())), sum(row["n_churned_opening"])
            assert abs(happened - expected) < 4 * np.sqrt(expected + 1), (segment, level)


def test_opening_plus_new_plus_returned_less_churned_is_closing(truth):
    for book in truth["ledger"].values():
        book = {column: np.array(values) for column, values in book.items()}
        closing = book["n_opening"] + book["n_new"] + book["n_reactivated"] - book["n_churned"]
        assert (closing == book["n_closing"]).all()
        assert (book["n_opening"][1:] == closing[:-1]).all()


def test_every_planted_defect_is_met_by_its_rule_and_nothing_else_is_set_aside(small):
    data, truth = small
    met = data.rules[(data.rules["severity"] == "set_aside") & (data.rules["rule"] != "footer")]
    found = {(row.table, row.rule): row.n_rows for row in met.itertuples()}
    assert found == {rule: truth["dirt"][name] for rule, name in RULES.items()}
    assert data.tables["customers"] == truth["n_customers"]


def test_the_largest_fifth_brings_four_fifths_of_the_sales(small):
    data, truth = small
    sold = data.con.frame(
        "SELECT customer, sum(amount) AS amount FROM activity"
        " WHERE kind = 'sale' AND date BETWEEN DATE '2025-01-01' AND DATE '2025-12-31' GROUP BY customer"
    )["amount"].sort_values()
    share = sold.iloc[-round(len(sold) / 5) :].sum() / sold.sum()
    assert round(share, 4) == truth["share_of_largest_fifth"]
    assert 0.7 < share < 0.9


def test_small_customers_leave_most_and_bring_the_better_margin(small):
    data, truth = small
    band = truth["expected"]["band"]
    rate = {level: sum(row["n_churned_opening"]) / sum(row["n_opening"]) for level, row in band.items()}
    margin = data.con.frame("SELECT annual_band, avg(margin) AS margin FROM customers GROUP BY annual_band")
    margin = margin.set_index("annual_band")["margin"]
    assert max(rate, key=rate.get) == margin.idxmax() == "10万元以下"


def test_stock_pushed_in_december_looks_like_churn_in_march_and_is_none(truth):
    at = truth["months"].index("2025-03")
    pushed = truth["expected"]["region"]["华南"]["pushed"]
    assert pushed[at] == sum(pushed) > 5
    bought, sold = truth["ledger"]["inactive"], truth["ledger"]["sell_through"]
    usual = np.mean(bought["n_churned"][:at])
    assert bought["n_churned"][at] > 2 * usual > sold["n_churned"][at] * 0.8
    assert sum(bought["n_reactivated"][at + 1 : at + 3]) > 5


def test_who_leaves_takes_customers_along_and_who_swaps_does_not(truth):
    for name, row in truth["departures"].items():
        assert row["n_lost"] >= row["n_taken"], name
        assert abs(row["n_taken"] - row["n_taken_expected"]) < 4 * np.sqrt(row["n_taken_expected"] + 1), name
    reps = truth["expected"]["representative"]
    taken = {level for level, row in reps.items() if sum(row["staff_left"]) > 0}
    assert taken == {"代表25", "代表26", "代表27", "代表28"}  # counted three months on, with the successor
    rate = {
        level: sum(np.sum(list(causes(reps[level]).values()), axis=0)) / sum(reps[level]["n_opening"]) for level in reps
    }
    assert min(rate[level] for level in taken) > 1.5 * np.mean([rate["代表05"], rate["代表06"]])


def test_lasting_falls_of_the_sales_are_value_churn_in_their_third_month(small):
    data, truth = small
    counted = churn.period_counts(data, definition="value").frame.set_index("period")["n_churned"]
    for begins, n in truth["declines"].items():
        dated = str(np.datetime64(begins, "M") + 2)
        if dated in counted.index:
            assert counted[dated] >= n, begins


def test_the_reasons_ticked_in_columns_are_the_ones_that_were_ticked(small):
    data, truth = small
    counted = churn.reason_counts(data).frame.query("level_of_list == 'reason' and period < '2025-12'")
    named = counted[counted["period"].str[:4] == "2024"].groupby("reason")["n_named"].sum()
    said = truth["reasons"]["2024"]
    for reason, share in said["among_respondents"].items():
        assert named.get(reason, 0) == round(share * said["n_answered"]), reason


def test_what_is_too_small_to_show_stops_no_chapter(small):
    data, _ = small
    by_definition = {
        name: churn.period_counts(data, by="annual_band", definition=name) for name in ("inactive", "value")
    }
    for result in (churn.cohort_retention(churn.cohort_counts(data)), churn.rival_rankings(by_definition)):
        made = display.block(result)
        assert made["findings"] and all(made["alt"].values())
