"""Data with nothing to say: every chapter shows what there is, or stops with one sentence; none breaks."""

import ast
import json
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from churnlib import text

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
ENDS = ("id,start,end,plan", "customers: {file: a.csv, columns: {customer_id: id, start_date: start, end_date: end}}")
VISITS = ("id,day,amount", "activity: {file: a.csv, columns: {customer_id: id, date: day, amount: amount}}")
PARTS = ("id,start,end,plan", ENDS[1].replace("customers:", "contracts:").replace("end}", "end, product: plan}"))
CASES = {
    "nobody leaves": (ENDS, [f"{i},2023-0{i % 9 + 1}-05,,{'AB'[i % 2]}" for i in range(200)]),
    "everybody leaves": (ENDS, [f"{i},2023-0{i % 9 + 1}-05,2024-0{i % 3 + 1}-1{i % 9},A" for i in range(200)]),
    "one customer": (ENDS, ["1,2023-01-05,,A"]),
    "everything in one month": (ENDS, [f"{i},2024-03-0{i % 9 + 1},{'2024-03-25' * (i % 2)},A" for i in range(200)]),
    "one visit": (VISITS, ["1,2024-01-05,3"]),
    "one customer who comes every month": (VISITS, [f"1,2023-{month:02d}-05,3" for month in range(1, 13)]),
    "only returns": (VISITS, [f"{i % 60},2023-{i % 12 + 1:02d}-05,-3" for i in range(900)]),
    "contracts alone": (PARTS, [f"{i % 150},2023-0{i % 9 + 1}-05,{'2024-02-11' * (i % 2)},A" for i in range(300)]),
}


def shown(cells, dataset):
    """Run a notebook's cells; gives how many results were shown, and the sentence that ended it."""
    names, n = {"display": lambda *_: None}, 0
    try:
        for cell in cells:
            tree = ast.parse("".join(cell["source"]))
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, "cell", "exec"), names)  # noqa: S102 (our own notebooks)
            if "parameters" in cell["metadata"].get("tags", ()):
                names["dataset"] = dataset
            if last and hasattr(result := eval(compile(ast.Expression(last.value), "cell", "eval"), names), "findings"):  # noqa: S307
                n += bool(result._repr_mimebundle_())
    except text.ChurnError as told:
        return n, str(told)
    finally:
        plt.close("all")
    return n, ""


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_chapter_of_data_with_nothing_to_say_ends_in_results_or_a_sentence(case, tmp_path, monkeypatch):
    (header, tables), rows = CASES[case]
    folder = tmp_path / "data" / "odd"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("\n".join([header, *rows]) + "\n", "utf-8")
    dates = "as_of: 2024-03-31\nobserved_from: 2023-01-01\n"
    (folder / "dataset.yml").write_text(f"title: odd\nlanguage: en\n{dates}tables:\n  {tables}\n", "utf-8")
    monkeypatch.setenv("CHURN_HOME", str(tmp_path))
    for path in NOTEBOOKS:
        cells = [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
        n, told = shown(cells, "odd")
        assert n or told, path.stem
        assert "\n" not in told
