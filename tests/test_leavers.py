"""From a reason to customers: masked on the screen, unmasked only in a file of their owner's."""

import stat

import pandas as pd
import pytest
from datasets import SPEC, write_dataset, write_table

from churnlib import text
from churnlib.counts import reason_leavers
from churnlib.model.dataset import open_dataset

CUSTOMERS = [
    ["C000001", "2021-03-31", "2025-12-05", "主动离网", "华南", "30", "13800000001"],
    ["C000002", "2022-05-01", "2025-12-20", "主动离网", "华北", "51", "13800000002"],
    ["C000003", "2022-05-01", "2025-06-20", "主动离网", "华南", "51", "=HYPERLINK(1)"],
    ["C000004", "2022-05-01", "", "", "华北", "51", "13800000004"],
]
FORMS = [
    ["C000001", "2025-12-08", "价格偏高；态度差"],
    ["C000002", "2025-12-28", "手续费高"],
    ["C000003", "2025-07-01", "价格偏高"],
]


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("CHURN_HOME", str(tmp_path))
    folder = tmp_path / "data/mine"
    folder.mkdir(parents=True)
    write_table(folder / "回访.csv", ["客户", "日期", "原因"], FORMS)
    columns = {"customer_id": "客户", "date": "日期", "reasons": "原因"}
    tables = {**SPEC["tables"], "exit_survey": {"file": "回访.csv", "columns": columns}}
    del tables["activity"]
    return open_dataset(write_dataset(folder, customers=CUSTOMERS, activity=None, tables=tables))


def test_a_group_leads_to_those_who_named_a_reason_of_it(data):
    listed = reason_leavers(data, "price")
    assert listed.frame["customer_id"].tolist() == ["C000001", "C000002"]
    assert listed.frame["reasons"].tolist() == ["价格偏高；态度差", "手续费高"]
    assert len(reason_leavers(data, "price", window=12).frame) == 3
    assert reason_leavers(data, "price", "region", "South China").frame["customer_id"].tolist() == ["C000001"]
    assert reason_leavers(data, "price.fees", "region", "华南").frame.empty


def test_nobody_is_named_on_the_screen(data):
    listed = reason_leavers(data, "price", "region", window=12)
    for shown in (repr(listed), listed._repr_html_()):
        assert "C000001" not in shown and "138000" not in shown and "C0***01" in shown


def test_the_file_is_its_owners_alone(data, tmp_path):
    path = reason_leavers(data, "price", window=12).export()
    assert path == tmp_path / "reports/mine/2025-12.private/list.reason-price.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    rows = pd.read_csv(path, dtype=str)
    assert set(rows["phone"]) == {"13800000001", "13800000002", "'=HYPERLINK(1)"}
    path.chmod(0o644)
    assert stat.S_IMODE(reason_leavers(data, "price", window=12).export().stat().st_mode) == 0o600


def test_misspelt_names_are_told_with_near_misses(data):
    with pytest.raises(text.UsageError, match=r"price\.too_high"):
        reason_leavers(data, "price.to_high")
    with pytest.raises(text.UsageError, match="华南"):
        reason_leavers(data, "price", "region", "华难")
