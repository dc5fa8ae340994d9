"""What every simulated company has to keep: its files say exactly what its truth says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import churnlib as churn

DATA = Path(__file__).parent.parent / "data"
COUNTS = ("n_opening", "n_churned_opening", "expected", "expected_without_noise")  # the rest are causes


@dataclass(frozen=True)
class Company:
    """A small copy of a simulated company.

    Attributes
    ----------
    name, share : str, float
        Its folder under data/, and how much of it was simulated.
    segments : dict
        Segment of its dataset.yml -> the truth's name of it.
    rules : dict
        (table, rule of the reader) -> the truth's names of the defects that this rule has to meet.
    data : Dataset
        As the workbook reads it.
    truth : dict
        What happened: truth.json.
    """

    name: str
    share: float
    segments: dict[str, str]
    rules: dict[tuple[str, str], tuple[str, ...]]
    data: Any
    truth: dict[str, Any]

    @property
    def ledgers(self) -> dict[str | None, dict[str, list[int]]]:
        """The books by definition; by the data set's own where the truth has one book."""
        book = self.truth["ledger"]
        return book if isinstance(next(iter(book.values())), dict) else {None: book}

    @property
    def n_customers(self) -> int:
        """The customers on file."""
        if "n_regular" in self.truth:
            return self.truth["n_regular"] + self.truth["n_pass_by"]
        return self.truth["n_customers"] + self.truth["dirt"].get("test accounts", 0)


def simulate(name: str, share: float, folder: Path, seed: int = 7, **environment: str) -> None:
    """Simulate a part of a company into a folder."""
    command = [sys.executable, str(DATA / name / "simulate.py"), str(seed), str(share)]
    subprocess.run(command, cwd=folder, env=os.environ | environment, check=True)


def company(name: str, share: float, folder: Path, segments, rules: dict, seed: int = 7) -> Company:
    """Simulate a part of a company, and read it as the workbook does."""
    simulate(name, share, folder, seed)
    spec = yaml.safe_load((DATA / name / "dataset.yml").read_text("utf-8"))
    del spec["make"]
    (folder / "dataset.yml").write_text(yaml.safe_dump(spec, allow_unicode=True, sort_keys=False), "utf-8")
    truth = json.loads((folder / "truth.json").read_text("utf-8"))
    named = {at: (names,) if isinstance(names, str) else tuple(names) for at, names in rules.items()}
    segments = segments if isinstance(segments, dict) else dict(zip(segments, segments, strict=True))
    return Company(name, share, segments, named, churn.open_dataset(folder), truth)


def causes(row: dict) -> dict[str, list[float]]:
    """The expected losses of one level by cause."""
    return {name: values for name, values in row.items() if name not in COUNTS}


def closed(frame, truth: dict):
    """The months of the truth, in their order, one row each; the truth's months that the ledger can show."""
    rows = frame[frame["period"].isin(truth["months"])]
    return rows, [truth["months"].index(month) for month in rows["period"]]


class Truths:
    """Tests of every company; the module has a fixture `small` that gives it."""

    def test_the_ledger_counted_from_the_files_is_the_one_that_happened(self, small):
        for definition, book in small.ledgers.items():
            counted, at = closed(churn.period_counts(small.data, definition=definition).frame, small.truth)
            assert len(at) >= len(small.truth["months"]) - 1  # the first one may not be countable yet
            for column, happened in book.items():
                if column != "month":
                    assert counted[column].tolist() == [happened[i] for i in at], (definition, column)

    def test_the_opening_base_and_its_losses_of_every_segment_are_the_ones_that_happened(self, small):
        for segment, named in small.segments.items():
            counted = churn.period_counts(small.data, by=segment).frame
            for level, happened in small.truth["expected"][named].items():
                rows, at = closed(counted[counted["level"] == level], small.truth)
                for column in ("n_opening", "n_churned_opening"):
                    assert rows[column].tolist() == [happened[column][i] for i in at], (segment, level, column)

    def test_opening_plus_new_plus_returned_less_churned_is_closing(self, small):
        for book in small.ledgers.values():
            book = {column: np.array(values) for column, values in book.items() if column != "month"}
            closing = book["n_opening"] + book["n_new"] + book["n_reactivated"] - book["n_churned"]
            assert (closing == book["n_closing"]).all()
            assert (book["n_opening"][1:] == closing[:-1]).all()

    def test_losses_differ_from_the_expected_ones_by_chance_alone(self, small):
        for segment, levels in small.truth["expected"].items():
            for level, row in levels.items():
                expected, happened = np.sum(list(causes(row).values())), sum(row["n_churned_opening"])
                assert abs(happened - expected) < 4 * np.sqrt(expected + 1), (segment, level)

    def test_every_planted_defect_is_met_by_its_rule_and_nothing_else_is_set_aside(self, small):
        data, dirt = small.data, small.truth["dirt"]
        met = data.rules[(data.rules["severity"] == "set_aside") & (data.rules["rule"] != "footer")]
        found = {(row.table, row.rule): row.n_rows for row in met.itertuples()}
        assert found == {at: sum(dirt[name] for name in names) for at, names in small.rules.items()}
        assert data.tables["customers"] == small.n_customers
        assert (data.files["n_rows_in"] == data.files["n_rows_used"] + data.files["n_rows_set_aside"]).all()

    def test_the_same_seed_gives_the_same_bytes_anywhere(self, small, tmp_path):
        simulate(small.name, small.share, tmp_path, PYTHONHASHSEED="5", TZ="America/Lima", LC_ALL="C")
        made = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(made) > 3
        assert all(path.read_bytes() == (small.data.folder / path.relative_to(tmp_path)).read_bytes() for path in made)
