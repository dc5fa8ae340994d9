"""The run that operators trust: what it makes, when it makes it, and what it refuses before anything starts."""

import json
import os
import re
import shutil

import pytest
import report_home
from report_home import QUICK, command, files, notebook, page_of, report, work_done, write

from churnlib import text
from churnlib.reporting import fingerprint, run
from churnlib.reporting.request import read_request


@pytest.fixture
def home(tmp_path):
    return report_home.home(tmp_path)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Give a home whose report has been made, with what the run said."""
    home = report_home.home(tmp_path_factory.mktemp("published"))
    return home, *report(home)


@pytest.fixture
def copied(published, tmp_path):
    """Give a copy of the published home, to be changed."""
    return shutil.copytree(published[0], tmp_path / "home", symlinks=True)


# --- what is made ---------------------------------------------------------------------------------------------------


def test_the_last_line_is_the_path_of_the_report(published):
    home, code, out, err = published
    assert code == 0, err
    assert out[-1] == str(home / "reports/shop/2025-12/r1/churn_2025-12.zh.html")
    assert os.readlink(home / "reports/shop/latest") == "2025-12/r1"


def test_the_run_tells_each_step_with_seconds_and_memory_and_nothing_else(published):
    err = published[3].splitlines()
    assert len(err) == 6 and all(line.endswith("MB)") and " s, " in line for line in err)
    assert "notebook 1-trend run" in published[3] and "\r" not in published[3]


def test_a_revision_holds_pages_figures_tables_and_a_manifest(published):
    revision = published[0] / "reports/shop/latest/"
    forms = ("churn_{}.html", "churn_{}.xlsx", "mail_{}.html")
    names = {form.format(f"2025-12.{language}") for form in forms for language in ("zh", "en")}
    names |= {"kpis.json", "manifest.json", "tables/columns.csv"}
    assert set(files(revision)) == names | {"tables/1-trend/churn_rate.csv", "tables/0-data-check/files.csv"}
    manifest = json.loads((revision / "manifest.json").read_text())
    assert set(manifest["outputs"]) == set(files(revision)) - {"manifest.json"}
    assert manifest["ingredients"]["tables"]["customers"].keys() == {"customers.csv"}
    assert manifest["chapters"] == ["trend", "quality"] and manifest["reason"] == ["first"]
    assert str(published[0]) not in (revision / "manifest.json").read_text()


def test_the_figures_are_those_of_the_notebooks(published):
    told = json.loads((published[0] / "reports/shop/latest/kpis.json").read_text())
    assert [(k["id"], k["value"], k["n"], k["unit"]) for k in told["kpis"]] == [("churn_rate", 0.0231, 12000, "share")]
    for language, words in (("zh", "比上期（1.80%）上升 0.51"), ("en", "up 0.51 percentage points")):
        assert words in re.sub("</?b>", "", page_of(published[0], language))


def test_tables_open_in_excel_and_their_columns_are_explained(published):
    tables = published[0] / "reports/shop/latest/tables"
    assert (tables / "1-trend/churn_rate.csv").read_bytes().startswith(b"\xef\xbb\xbflevel,churn_rate")
    columns = (tables / "columns.csv").read_text("utf-8-sig").splitlines()
    assert columns[0] == "file,column,label_zh,label_en,unit"
    assert "1-trend/churn_rate.csv,churn_rate,列1,Column 1,text" in columns


def test_each_language_has_its_own_prose(published):
    zh, en = (page_of(published[0], language) for language in ("zh", "en"))
    assert "一段说明。" in zh and "A paragraph." not in zh and "走势" in zh and "Course" not in zh
    assert "A paragraph." in en and "一段说明。" not in en and "Course" in en


def test_two_runs_with_the_same_clock_give_identical_bytes(published, home):
    code, _, err = report(home, PYTHONHASHSEED="7", TZ="Asia/Shanghai", LC_ALL="C", LANG="C", OMP_NUM_THREADS="2")
    assert code == 0, err
    one, other = (files(h / "reports/shop/2025-12/r1") for h in (published[0], home))
    assert {name: one[name] == other[name] for name in one} == {name: name != "manifest.json" for name in one}


# --- up to date -----------------------------------------------------------------------------------------------------


def test_a_second_run_says_up_to_date_at_once_and_writes_nothing(copied):
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*")}
    begun = work_done()
    code, out, err = report(copied)
    assert code == 0 and out[0].startswith("up to date") and out[1].endswith("r1/churn_2025-12.zh.html")
    assert work_done() - begun < QUICK
    assert {path: path.stat().st_mtime_ns for path in copied.rglob("*")} == before and err == ""


CHANGES = {
    "data": lambda home: (home / "data/shop/customers.csv").open("a").write("C9999,2025-01-05,,华南\n"),
    "the description": lambda home: (home / "data/shop/dataset.yml").open("a").write("targets: {churn_rate: 0.02}\n"),
    "notes": lambda home: write(home / "data/shop/notes/2025-12.md", "## 流失趋势\n说明\n"),
    "a notebook": lambda home: (home / "notebooks/1-trend.ipynb").open("a").write("\n"),
    "a published page": lambda home: write(home / "reports/shop/2025-12/r1/churn_2025-12.en.html", "edited"),
}


def is_current(home, *args):
    from churnlib.reporting.report import up_to_date
    from churnlib.reporting.request import read_request

    request = read_request("shop", *args)
    return up_to_date(request) is not None


@pytest.mark.parametrize("change", CHANGES)
def test_a_report_is_no_longer_up_to_date_after_a_change_of(change, copied, monkeypatch):
    monkeypatch.setenv("CHURN_HOME", str(copied))
    assert is_current(copied)
    CHANGES[change](copied)
    assert not is_current(copied)


def test_a_module_beside_the_data_set_that_its_script_imports_counts_too(copied, monkeypatch):
    monkeypatch.setenv("CHURN_HOME", str(copied))
    write(copied / "data/shop/simulate.py", "import os\nfrom helper import rows\n")
    write(copied / "data/helper.py", "rows = 1\n")
    write(copied / "data/other.py", "rows = 1\n")
    request = read_request("shop")
    before = fingerprint.data_hashes(request)["description"]
    assert set(before) == {"dataset.yml", "simulate.py", "../helper.py"}
    write(copied / "data/helper.py", "rows = 2\n")
    assert fingerprint.data_hashes(request)["description"] != before


def test_the_answer_that_is_kept_of_a_query_counts(copied, monkeypatch):
    monkeypatch.setenv("CHURN_HOME", str(copied))
    described = copied / "data/shop/dataset.yml"
    sql = "sql: {url_env: CRM, table: customers}"
    described.write_text(described.read_text("utf-8").replace("file: customers.csv", sql), "utf-8")
    request, keys = read_request("shop"), []
    kept = copied / "data/shop/.cache/queries/CRM.customers-0-abc.parquet"
    kept.parent.mkdir(exist_ok=True)
    for answer in (None, b"one", b"two"):
        if answer:
            kept.write_bytes(answer)
        keys.append(fingerprint.run_key(fingerprint.ingredients(request)))
    assert len(set(keys)) == 3


def test_fewer_notebooks_run_at_once_where_memory_is_short(monkeypatch):
    for free, expected in ((0, 1), (run.NOTEBOOK_BYTES, 1)):
        monkeypatch.setattr(run.doctor, "free_memory", lambda free=free: free)
        assert run.at_once() == expected
    monkeypatch.setattr(run.doctor, "free_memory", lambda: 10**15)
    assert run.at_once() >= 1


def test_other_notes_and_files_nobody_declared_change_nothing(copied, monkeypatch):
    monkeypatch.setenv("CHURN_HOME", str(copied))
    write(copied / "data/shop/notes/2025-11.md", "old")
    write(copied / "data/shop/~$customers.xlsx", "lock of a spreadsheet")
    assert is_current(copied)


def test_new_data_make_a_revision_and_say_why(copied):
    CHANGES["data"](copied)
    code, out, err = report(copied)
    assert code == 0 and "/r2/" in out[-1], err
    manifest = json.loads((copied / "reports/shop/latest/manifest.json").read_text())
    assert manifest["revision"] == 2 and manifest["reason"] == ["tables"]
    assert (copied / "reports/shop/2025-12/r1/manifest.json").exists()


# --- what is refused before anything starts -------------------------------------------------------------------------

REFUSED = {
    "an unknown data set": (["--dataset", "shpo"], 2, "did you mean shop?"),
    "an unknown option": (["--perod", "2025-12"], 2, "did you mean --period"),
    "a period that is none": (["--period", "2025-13"], 2, "2025-13"),
    "a period that is not over": (["--period", "2026-01"], 4, "the last complete period is 2025-12"),
    "a period before the records": (["--period", "2023-05"], 2, "2024-01-01"),
    "an unknown segment": (["--by", "regoin"], 2, "did you mean region?"),
    "an unknown definition": (["--definition", "inactive"], 2, "contract_end"),
    "an unknown language": (["--languages", "zh,fr"], 2, "fr"),
    "an unknown parameter": (["--set", "horizn=3"], 2, "did you mean horizon?"),
    "a parameter of the wrong type": (["--set", "horizon=soon"], 2, "a whole number"),
    "a parameter without a value": (["--set", "horizon"], 2, "name=value"),
    "a number that is none": (["--jobs", "many"], 2, "many"),
    "a time that is none": (["--clock", "yesterday"], 2, "yesterday"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_one_line_and_no_kernel_for(what, home):
    args, expected, words = REFUSED[what]
    begun = work_done()
    code, out, err = report(home, *args)
    assert (code, out) == (expected, []) and len(err.splitlines()) == 1 and words in err
    assert work_done() - begun < QUICK
    assert not (home / "reports").exists()


TYPED = """\
branch: str = ""
level = 0.5
wide: bool = False
regions: list[str] | None = None
months: int | None = None
"""


def test_text_parameters_stay_as_they_were_typed(tmp_path):
    found = run.Notebook(notebook(tmp_path / "a.ipynb", "trend", [], parameters=TYPED)).parameters
    typed = {"branch": "001", "level": "0.25", "wide": "true", "regions": "华南，华北", "months": "12"}
    read = {name: found[name].read(value) for name, value in typed.items()}
    assert read == {"branch": "001", "level": 0.25, "wide": True, "regions": ["华南", "华北"], "months": 12}


@pytest.mark.parametrize("source", ["a = open('x')", "a = (", "import os", "a = b"])
def test_a_parameters_cell_holds_constants_only(source, tmp_path):
    book = run.Notebook(notebook(tmp_path / "a.ipynb", "trend", [], parameters=source))
    with pytest.raises(text.UsageError, match="a.ipynb"):
        book.parameters  # noqa: B018


def test_data_that_cannot_be_used_are_told_in_one_line(home):
    (home / "data/shop/customers.csv").unlink()
    code, out, err = report(home)
    assert (code, out) == (3, []) and len(err.splitlines()) == 1 and "customers.csv" in err
    assert files(home / "reports") == {}


def test_no_complete_period_yet_is_an_exit_that_cron_retries(home):
    described = home / "data/shop/dataset.yml"
    described.write_text(described.read_text("utf-8").replace("2024-01-01", "2026-01-02"), "utf-8")
    code, out, err = report(home)
    assert (code, out) == (4, []) and "no complete period" in err
    code, out, err = command(home, "check", "--dataset", "shop")  # the files can be looked at all the same
    assert code == 0 and "no period is complete yet" in out[0] and "customers.csv" in "\n".join(out)
