"""A small home for reports: one data set, and notebooks that show ready-made blocks instead of computing."""

import json
import os
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
CLOCK = ["--clock", "2026-01-13T06:00"]
QUICK = 2.0  # seconds of work within which errors and "up to date" are told, however busy the machine is
DATASET = """\
title: {zh: 示例公司（模拟数据）, en: Sample company (simulated data)}
as_of: 2026-01-12
observed_from: 2024-01-01
tables:
  customers:
    file: customers.csv
    columns: {customer_id: 客户编号, start_date: 入网日期, end_date: 离网日期, region: 大区}
definitions:
  contract_end: {kind: contract_end, label: {zh: 合约终止, en: contract end}}
segments:
  region: {label: {zh: 大区, en: Region}, column: region, values: {华南: South, 华北: North}}
"""
PARAMETERS = """\
dataset: str = "shop"  # the data set
period: str | None = None  # the period
by: str | None = None  # the segment
horizon: int = 24  # months ahead
"""


def both(zh, en):
    return {"zh": zh, "en": en}


def kpi(name="churn_rate", value=0.0231, previous=0.0180, clear=True, **other):
    """Give a figure as a block holds it."""
    words = {"label": both("流失率", "Churn rate"), "note": both("口径", "definition"), "currency": "CNY"}
    numbers = {"value": value, "previous": previous, "ci_lower": None, "ci_upper": None, "n": 12000, "unit": "share"}
    rest = {"year_ago": None, "change_clear": clear, "year_change_clear": None, "rise_is": "worse", "series": []}
    return {"id": name, **words, **numbers, **rest, "target": None, "flag": "", **other}


def finding(key="trend.segment.highest", text=None, grade="moderate", tone="worse", weight=10.0, asks=None):
    """Give a finding as a block holds it."""
    return {
        "key": key,
        "text": text or both("华南最高。", "South is highest."),
        "grade": grade,
        "tone": tone,
        "weight": weight,
        "asks": asks,
    }


def block(name="churn_rate", findings=None, kpis=(), rows=(("华南", "2.31%"),), columns=("level", "churn_rate")):
    """Give a block with a table and no drawing."""
    labels = [{"name": c, "label": both(f"列{i}", f"Column {i}"), "kind": "text"} for i, c in enumerate(columns)]
    csv = "\n".join([",".join(columns), *(",".join(f'"{cell}"' for cell in row) for row in rows)]) + "\n"
    return {
        "id": name,
        "module": "trend",
        "findings": [finding()] if findings is None else findings,
        "subtitle": both("按大区的流失率", "Churn rate by region"),
        "notes": [],
        "alt": both("流失率", "Churn rate"),
        "svg": None,
        "png": None,
        "table": {
            "columns": labels,
            "rows": {"zh": [list(r) for r in rows], "en": [[c.replace("华南", "South") for c in r] for r in rows]},
            "folded": False,
            "more": 0,
        },
        "sheet": {
            "columns": [{"label": label["label"], "formats": [None]} for label in labels],
            "rows": [list(row) for row in rows],
        },
        "data": {"name": f"{name}.csv", "columns": [{**label, "unit": "text"} for label in labels], "csv": csv},
        "kpis": list(kpis),
    }


def cell(source, kind="code", tags=()):
    """Give a cell of a notebook."""
    made = {
        "cell_type": kind,
        "id": f"c{abs(hash((source, kind))) % 10**8}",
        "metadata": {"tags": list(tags)},
        "source": source,
    }
    return made | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def show(made):
    """Give a cell that shows a block."""
    bundle = {"application/vnd.churn.block+json": made, "text/plain": "block"}
    return cell(f"from IPython.display import display\ndisplay({bundle!r}, raw=True)")


def notebook(path, chapter, cells, title=None, needs=("customers",), parameters=PARAMETERS):
    """Write a notebook of one chapter."""
    title = title or both("流失趋势", "Churn trend")
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    churn = {"chapter": chapter, "title": title, "needs": list(needs)}
    cells = [cell(parameters, tags=["parameters"]), *cells]
    content = {"cells": cells, "metadata": {"churn": churn, "kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 4}
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    return path


def home(folder: Path) -> Path:
    """Make a home with the data set `shop` and two notebooks."""
    data, books = folder / "data" / "shop", folder / "notebooks"
    data.mkdir(parents=True)
    books.mkdir()
    (data / "dataset.yml").write_text(DATASET, "utf-8")
    rows = [f"C{i:04d},2024-{i % 12 + 1:02d}-05,{_end(i)},{'华南' if i % 2 else '华北'}\n" for i in range(400)]
    (data / "customers.csv").write_text("客户编号,入网日期,离网日期,大区\n" + "".join(rows), "utf-8")
    trend = [
        cell("# 流失趋势 · Churn trend", "markdown"),
        cell("## 走势 · Course", "markdown"),
        cell("一段说明。", "markdown", ["zh"]),
        cell("A paragraph.", "markdown", ["en"]),
        show(block(kpis=[kpi()])),
    ]
    notebook(books / "1-trend.ipynb", "trend", trend)
    said = finding("quality.files.set_aside", both("两行未采用。", "Two rows set aside."), "descriptive", "steady", 0.0)
    notebook(books / "0-data-check.ipynb", "quality", [show(block("files", [said]))], both("数据质量", "Data quality"))
    return folder


def _end(i):
    return "2025-12-09" if i % 9 == 0 else ""


def start(home, *args, **environment):
    """Start the command as cron does: no terminal, an English message, some other working folder."""
    told = {"CHURN_HOME": str(home), "CHURN_LANGUAGE": "en", **environment}
    command = [sys.executable, "-m", "churnlib", *args]
    package = str(PACKAGE)
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=home, env={**os.environ, **told, "PYTHONPATH": paths}, **pipes)


def report(home, *args, **environment):
    """Run `report` on the data set shop; give exit code, lines of standard output, standard error."""
    return command(home, "report", "--dataset", "shop", *CLOCK, *args, **environment)


def command(home, *args, **environment):
    """Run any command; give exit code, lines of standard output, standard error."""
    process = start(home, *args, **environment)
    out, err = process.communicate(timeout=120)
    return process.returncode, out.splitlines(), err


def work_done():
    """Give the seconds that the processors have spent on the runs so far."""
    spent = os.times()
    return spent.children_user + spent.children_system


def page_of(home, language):
    """Give the newest page in one language."""
    return (home / f"reports/shop/latest/churn_2025-12.{language}.html").read_text("utf-8")


def files(folder):
    """Give path -> bytes of everything published."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def write(path, words):
    """Write a file, and its folder if need be."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(words, "utf-8")
