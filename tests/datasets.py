"""Small data sets for tests: files and a dataset.yml written into a folder."""

from pathlib import Path

import yaml

CUSTOMERS = ["客户编号", "入网日期", "离网日期", "离网类型", "大区", "年龄", "手机"]
ACTIVITY = ["客户编号", "日期", "金额", "类型", "单号"]
SPEC = {
    "title": {"zh": "示例公司（模拟数据）", "en": "Sample company (simulated data)"},
    "as_of": "2026-01-12",
    "observed_from": "2023-01-01",
    "tables": {
        "customers": {
            "file": "客户档案.csv",
            "columns": {
                "customer_id": "客户编号",
                "start_date": "入网日期",
                "end_date": "离网日期",
                "outcome": "离网类型",
                "region": "大区",
                "age": {"column": "年龄", "type": "number"},
                "phone": "手机",
            },
        },
        "activity": {
            "file": "账单.csv",
            "columns": {"customer_id": "客户编号", "date": "日期", "amount": "金额", "kind": "类型"},
        },
    },
    "segments": {
        "region": {"label": {"zh": "大区", "en": "Region"}, "column": "region", "values": {"华南": "South China"}},
        "age": {"label": {"zh": "年龄段", "en": "Age band"}, "column": "age", "bins": [0, 25, 45]},
    },
    "roles": {"personal": ["phone"]},
}
GOOD_CUSTOMERS = [
    ["C0001", "2021-03-31", "2024-02-29", "主动离网", "华南", "30", "13800000001"],
    ["C0002", "2022-05-01", "", "", "华南", "51", "13800000002"],
    ["C0003", "2024-05-01", "", "", "华北", "", "13800000003"],
]
GOOD_ACTIVITY = [
    ["C0001", "2023-02-01", "120.50", "账单", "1"],
    ["C0002", "2023-02-01", "80", "账单", "2"],
    ["C0003", "2024-06-01", "￥1200.50", "账单", "3"],
]


def write_table(path: Path, header: list[str], rows: list[list[str]]) -> None:
    """Write a CSV as an export would, without any quoting."""
    lines = [",".join(row) for row in [header, *rows]]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def write_dataset(folder: Path, customers=GOOD_CUSTOMERS, activity=GOOD_ACTIVITY, **changes) -> Path:
    """Write a data set of customers and (if not None) activity; `changes` replace keys of its dataset.yml."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = {**SPEC, "tables": dict(SPEC["tables"]), **changes}
    if "tables" not in changes:
        for table, rows in (("customers", customers), ("activity", activity)):
            if rows is None:
                del spec["tables"][table]
    if customers is not None:
        write_table(folder / "客户档案.csv", CUSTOMERS, customers)
    if activity is not None:
        write_table(folder / "账单.csv", ACTIVITY, activity)
    (folder / "dataset.yml").write_text(yaml.safe_dump(spec, allow_unicode=True, sort_keys=False), "utf-8")
    return folder
