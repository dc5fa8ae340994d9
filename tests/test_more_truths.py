"""The simulated bank, dairy shop and freight platform: their files say exactly what their truths say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import churnlib as churn

DATA = Path(__file__).parent.parent / "data"
SEGMENTS = {
    "bank": ("age", "loan", "value", "risk"),
    "dairy": ("line", "region", "channel"),
    "logistics": ("side", "route"),
}
RULES = {  # rule of the reader -> what the simulations call the same rows
    "bank": {
        ("customers", "duplicate_customer"): ["duplicate customers"],
        ("contracts", "end_before_start"): ["accounts that end before they start"],
    },
    "dairy": {
        ("customers", "duplicate_customer"): ["duplicate members"],
        ("activity", "unknown_customer"): ["purchases of unknown members"],
        ("activity", "duplicate_activity"): ["purchases entered twice"],
    },
    "logistics": {
        ("customers", "duplicate_customer"): ["duplicate users"],
        ("activity", "unknown_customer"): ["orders of unknown users, 货主", "orders of unknown users, 车主"],
        ("activity", "duplicate_activity"): ["orders entered twice, 货主", "orders entered twice, 车主"],
    },
}


def simulate(name: str, folder: Path, **environment: str) -> None:
    """Simulate a tenth of a company into a folder."""
    command = [sys.executable, str(DATA / name / "simulate.py"), "7", "0.1"]
    subprocess.run(command, cwd=folder, env=os.environ | environment, check=True)


@pytest.fixture(scope="module", params=list(SEGMENTS))
def small(request, tmp_path_factory):
    """A small company: its name, the data set as the workbook reads it, and the truth behind it."""
    folder = tmp_path_factory.mktemp(request.param)
    simulate(request.param, folder)
    spec = yaml.safe_load((DATA / request.param / "dataset.yml").read_text("utf-8"))
    del spec["make"]
    (folder / "dataset.yml").write_text(yaml.safe_dump(spec, allow_unicode=True, sort_keys=False), "utf-8")
    return request.param, churn.open_dataset(folder), json.loads((folder / "truth.json").read_text("utf-8"))


def closed(frame, truth: dict):
    """The months of the truth, in their order, one row each; the truth's months that the ledger can show."""
    rows = frame[frame["period"].isin(truth["months"])]
    return rows, [truth["months"].index(month) for month in rows["period"]]


def test_the_ledger_counted_from_the_files_is_the_one_that_happened(small):
    _, data, truth = small
    counted, at = closed(churn.period_counts(data).frame, truth)
    assert len(at) >= len(truth["months"]) - 1  # the first one may not be countable yet
    for column, happened in truth["ledger"].items():
        assert counted[column].tolist() == [happened[i] for i in at], column


def test_the_opening_base_and_its_losses_of_every_segment_are_the_ones_that_happened(small):
    name, data, truth = small
    for segment in SEGMENTS[name]:
        counted = churn.period_counts(data, by=segment).frame
        for level, happened in truth["expected"][segment].items():
            rows, at = closed(counted[counted["level"] == level], truth)
            for column in ("n_opening", "n_churned_opening"):
                assert rows[column].tolist() == [happened[column][i] for i in at], (segment, level, column)


def test_every_planted_defect_is_met_by_its_rule_and_nothing_else_is_set_aside(small):
    name, data, truth = small
    met = data.rules[(data.rules["severity"] == "set_aside") & (data.rules["rule"] != "footer")]
    found = {(row.table, row.rule): row.n_rows for row in met.itertuples()}
    assert found == {rule: sum(truth["dirt"][n] for n in names) for rule, names in RULES[name].items()}
    assert data.tables["customers"] == truth["n_customers"]
    assert (data.files["n_rows_in"] == data.files["n_rows_used"] + data.files["n_rows_set_aside"]).all()


def test_opening_plus_new_plus_returned_less_churned_is_closing(small):
    book = {column: np.array(values) for column, values in small[2]["ledger"].items()}
    closing = book["n_opening"] + book["n_new"] + book["n_reactivated"] - book["n_churned"]
    assert (closing == book["n_closing"]).all()
    assert (book["n_opening"][1:] == closing[:-1]).all()


def test_losses_differ_from_the_expected_ones_by_chance_alone(small):
    for segment, levels in small[2]["expected"].items():
        for level, row in levels.items():
            causes = [values for name, values in row.items() if not name.startswith("n_")]
            expected, happened = np.sum(causes), sum(row["n_churned_opening"])
            assert abs(happened - expected) < 4 * np.sqrt(expected + 1), (segment, level)


def test_the_same_seed_gives_the_same_bytes_anywhere(small, tmp_path):
    name, data, _ = small
    simulate(name, tmp_path, PYTHONHASHSEED="5", TZ="America/Lima", LC_ALL="C")
    made = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert made
    assert all(path.read_bytes() == (data.folder / path.relative_to(tmp_path)).read_bytes() for path in made)


def rate(row: dict, truth: dict, first: str, last: str) -> float:
    """The churn rate of some months, as the chances have it."""
    at = slice(truth["months"].index(first), truth["months"].index(last) + 1)
    causes = [sum(values[at]) for name, values in row.items() if not name.startswith("n_")]
    return sum(causes) / sum(row["n_opening"][at])


def test_each_story_is_in_its_truth(small):
    name, _, truth = small
    expected = truth["expected"]
    if name == "bank":
        large = [
            rate(expected["loan"]["100+"], truth, *year) for year in (("2023-01", "2023-12"), ("2024-04", "2025-03"))
        ]
        assert large[1] > 2 * large[0]  # the rival's rates
        assert expected["risk"]["C"]["rate"] == [0] * 60  # who takes only good risks
        fee = truth["fee"]
        lost = sum(fee["fee_churned_opening"][39:]) / sum(fee["fee_opening"][39:])
        assert lost > rate(expected["all"]["all"], truth, "2024-04", "2025-12")  # more money than heads
    elif name == "dairy":
        before, worst, after = (
            rate(expected["all"]["all"], truth, *span)
            for span in (("2023-09", "2024-08"), ("2024-11", "2024-12"), ("2025-07", "2025-12"))
        )
        assert worst > 2 * before
        assert after < 1.2 * before  # the rate recovers, the number of members does not
        book = dict(zip(truth["months"], truth["ledger"]["n_closing"], strict=True))
        assert book["2025-12"] < book["2024-08"]
    else:
        drivers, shippers = (
            [rate(expected["side"][side], truth, *span) for span in (("2023-07", "2024-06"), ("2024-09", "2025-06"))]
            for side in ("车主", "货主")
        )
        assert drivers[1] > 1.5 * drivers[0]
        assert shippers[1] < 1.3 * shippers[0]
