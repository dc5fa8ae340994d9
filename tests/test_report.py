"""The run that operators trust: checked before it starts, all or nothing, and told in one line."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import report_home
from report_home import block, both, cell, kpi, notebook, show

from churnlib import collect, notes, run, steps, text, worker

CLOCK = ["--clock", "2026-01-13T06:00"]
QUICK = 2.0  # seconds of work within which errors and "up to date" are told, however busy the machine is


def start(home, *args, **environment):
    """Start the command as cron does: no terminal, an English message, some other working folder."""
    told = {"CHURN_HOME": str(home), "CHURN_LANGUAGE": "en", **environment}
    command = [sys.executable, "-m", "churnlib", *args]
    package = str(report_home.PACKAGE)
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=home, env={**os.environ, **told, "PYTHONPATH": paths}, **pipes)


def report(home, *args, **environment):
    """Run `report` on the data set shop; give exit code, lines of standard output, standard error."""
    process = start(home, "report", "--dataset", "shop", *CLOCK, *args, **environment)
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
    names = {"churn_2025-12.zh.html", "churn_2025-12.en.html", "kpis.json", "manifest.json", "tables/columns.csv"}
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
    "notes": lambda home: _write(home / "data/shop/notes/2025-12.md", "## 流失趋势\n说明\n"),
    "a notebook": lambda home: (home / "notebooks/1-trend.ipynb").open("a").write("\n"),
    "a published page": lambda home: _write(home / "reports/shop/2025-12/r1/churn_2025-12.en.html", "edited"),
}


def _write(path, words):
    path.parent.mkdir(exist_ok=True)
    path.write_text(words, "utf-8")


def is_current(home, *args):
    from churnlib.report import up_to_date
    from churnlib.request import read_request

    request = read_request("shop", *args)
    return up_to_date(request) is not None


@pytest.mark.parametrize("change", CHANGES)
def test_a_report_is_no_longer_up_to_date_after_a_change_of(change, copied, monkeypatch):
    monkeypatch.setenv("CHURN_HOME", str(copied))
    assert is_current(copied)
    CHANGES[change](copied)
    assert not is_current(copied)


def test_other_notes_and_files_nobody_declared_change_nothing(copied, monkeypatch):
    monkeypatch.setenv("CHURN_HOME", str(copied))
    _write(copied / "data/shop/notes/2025-11.md", "old")
    _write(copied / "data/shop/~$customers.xlsx", "lock of a spreadsheet")
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
    "an unknown data set": (["--dataset", "shpo"], 2, "Did you mean shop?"),
    "an unknown option": (["--perod", "2025-12"], 2, "Did you mean --period?"),
    "a period that is none": (["--period", "2025-13"], 2, "2025-13"),
    "a period that is not over": (["--period", "2026-01"], 4, "the last complete period is 2025-12"),
    "a period before the records": (["--period", "2023-05"], 2, "2024-01-01"),
    "an unknown segment": (["--by", "regoin"], 2, "Did you mean region?"),
    "an unknown definition": (["--definition", "inactive"], 2, "contract_end"),
    "an unknown language": (["--languages", "zh,fr"], 2, "fr"),
    "an unknown parameter": (["--set", "horizn=3"], 2, "Did you mean horizon?"),
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


# --- what goes wrong on the way -------------------------------------------------------------------------------------


def test_a_failing_notebook_publishes_nothing_and_is_kept(copied):
    before = files(copied / "reports/shop/2025-12")
    failing = [show(block()), cell("1 / 0  # a fault"), cell("print('never reached')")]
    notebook(copied / "notebooks/1-trend.ipynb", "trend", failing)
    code, out, err = report(copied)
    assert code == 1 and len(out) == 1
    assert "notebook 1-trend failed in cell 3: ZeroDivisionError: division by zero" in out[0]
    kept = copied / "reports/shop/failed/1-trend.ipynb"
    assert str(kept) in out[0] and "ZeroDivisionError" in kept.read_text()
    assert files(copied / "reports/shop/2025-12") == before
    assert os.readlink(copied / "reports/shop/latest") == "2025-12/r1"
    assert not list((copied / "reports/shop").glob(".staging*"))


def test_a_kernel_that_dies_is_told_like_any_failure(home):
    notebook(home / "notebooks/1-trend.ipynb", "trend", [cell("import os; os._exit(9)")])
    code, out, _ = report(home)
    assert code == 1 and "notebook 1-trend failed in cell 2: DeadKernelError" in out[-1]


def test_a_page_that_is_not_fit_is_not_published(home):
    notebook(home / "notebooks/1-trend.ipynb", "trend", [cell("未翻译", "markdown", ["en"]), show(block())])
    code, out, err = report(home)
    assert (code, out) == (1, []) and "未翻译" in err.splitlines()[-1]
    assert files(home / "reports") == {}


def _papermill_that(*outcomes):
    """Give a stand-in for papermill whose executions end in the given ways, one after the other."""
    left = list(outcomes)

    class Failed(Exception):
        cell_index, ename, evalue = 2, "KeyError", "'x'"

    def execute_notebook(*args, **kwargs):
        outcome = left.pop(0)
        if outcome == "cell":
            raise Failed
        if outcome == "no kernel":
            raise RuntimeError("Kernel didn't respond in 60 seconds")

    return SimpleNamespace(execute_notebook=execute_notebook, PapermillExecutionError=Failed), left


ATTEMPTS = {
    "a kernel that did not start is tried again": (["no kernel", "fine"], None, 0),
    "but not for ever": (["no kernel"] * 4, "RuntimeError", 1),
    "a notebook that failed is not": (["cell", "fine"], "KeyError", 1),
}


@pytest.mark.parametrize("case", ATTEMPTS)
def test_attempts(case, tmp_path, monkeypatch):
    outcomes, expected, n_left = ATTEMPTS[case]
    papermill, left = _papermill_that(*outcomes)
    monkeypatch.setattr(worker, "load_papermill", lambda: papermill)
    source = notebook(tmp_path / "a.ipynb", "trend", [cell("1")])
    error = worker.execute(source, tmp_path / "out.ipynb", {})
    assert (error and error["name"]) == expected and len(left) == n_left


def test_the_progress_bar_is_for_terminals_only():
    for is_terminal in (True, False):
        stream = io.StringIO()
        stream.isatty = lambda answer=is_terminal: answer
        told = steps.Steps(stream)
        told.bar(1, 2, "1-trend")
        with told.step("render", languages=["zh"]):
            pass
        assert ("1/2 1-trend" in stream.getvalue()) == is_terminal == ("\r" in stream.getvalue())
        assert stream.getvalue().count("\n") == 1


SLOW = "import time; time.sleep(60)"


def _at_work(home, process):
    """Wait until the slow notebook's kernel runs; give the process ids of the run and of what it has started."""
    for _ in range(300):
        staged = list((home / "reports/shop").glob(".staging-*/1-trend.ipynb"))
        if staged and '"status": "running"' in staged[0].read_text("utf-8"):
            return _family(process.pid)
        time.sleep(0.1)
    raise AssertionError(process.communicate(timeout=5))


def _family(pid):
    told = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = [tuple(map(int, line.split())) for line in told.splitlines()]
    family = {pid}
    for _ in range(4):
        family |= {child for child, parent in parents if parent in family}
    return family


def _are_gone(family):
    for _ in range(100):
        told = subprocess.run(["ps", "-eo", "pid=,stat="], capture_output=True, text=True, check=True).stdout
        alive = {int(line.split()[0]) for line in told.splitlines() if not line.split()[1].startswith("Z")}
        if not family & alive:
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def at_work(copied):
    """Give a home, a run that is busy in a slow notebook, and the ids of all its processes."""
    notebook(copied / "notebooks/1-trend.ipynb", "trend", [cell(SLOW)])
    process = start(copied, "report", "--dataset", "shop")
    yield copied, process, _at_work(copied, process)
    process.kill()


def test_a_killed_run_leaves_nothing_half_published_and_is_not_in_the_way(at_work):
    home, process, family = at_work
    before = files(home / "reports/shop/2025-12")
    code, _, err = report(home)
    assert code == 75 and "Another run" in err  # two at once
    process.send_signal(signal.SIGKILL)
    assert _are_gone(family) and len(family) > 2
    assert files(home / "reports/shop/2025-12") == before
    assert list((home / "reports/shop").glob(".staging*"))
    notebook(home / "notebooks/1-trend.ipynb", "trend", [show(block(kpis=[kpi()]))])
    code, out, err = report(home)
    assert code == 0 and "/r2/" in out[-1], err
    assert not list((home / "reports/shop").glob(".staging*"))


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_clears_everything_away(how, at_work):
    home, process, family = at_work
    before = files(home / "reports/shop/2025-12")
    process.send_signal(how)
    _, err = process.communicate(timeout=30)
    assert process.returncode in (130, 143) and "Traceback" not in err and _are_gone(family)
    assert files(home / "reports/shop/2025-12") == before
    assert not list((home / "reports/shop").glob(".staging*"))


# --- chapters and notes ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Give a home whose data serve one chapter less, and whose notes have a stray heading; with what the run said."""
    home = report_home.home(tmp_path_factory.mktemp("odd"))
    needs = {"needs": ["exit_survey"], "title": both("流失原因", "Reasons")}
    notebook(home / "notebooks/4-reasons.ipynb", "reasons", [cell("1 / 0")], **needs)
    _write(home / "data/shop/notes/2025-12.md", "## 流失趋式\n写错标题的说明\n")
    return home, *report(home)


def test_a_chapter_whose_table_is_lacking_is_left_out_in_one_sentence(odd):
    page = page_of(odd[0], "en")
    assert "Reasons" in page and "the data set has no exit survey table (exit_survey)" in page
    assert json.loads((odd[0] / "reports/shop/latest/manifest.json").read_text())["left_out"] == ["exit_survey"]


def test_a_note_that_belongs_to_no_chapter_is_a_warning(odd):
    _, code, out, err = odd
    assert code == 5 and out[-1].endswith("churn_2025-12.zh.html") and "流失趋式" in err.splitlines()[-1]


HOSTILE = (
    '<script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }} $(touch /tmp/x) `id` "quoted" &amp; =1+1 **b**'
)


def test_everything_that_users_wrote_is_text(home):
    written = f"## 流失趋势\n{HOSTILE}\n\n- 一 {HOSTILE}\n- 二\n\n## 决定\n- {HOSTILE} | 王五 | 2026-02-15\n"
    _write(home / "data/shop/notes/2025-12.md", written)
    described = home / "data/shop/dataset.yml"
    title = json.dumps({"zh": f"公司{HOSTILE}", "en": f"Company {HOSTILE}"}, ensure_ascii=False)
    described.write_text(f"title: {title}\n" + described.read_text("utf-8").split("\n", 1)[1], "utf-8")
    rows = [(HOSTILE, "=1+1")]
    notebook(home / "notebooks/1-trend.ipynb", "trend", [cell(HOSTILE, "markdown", ["en"]), show(block(rows=rows))])
    code, out, err = report(home)
    assert code == 0, (out, err)
    for language in ("zh", "en"):
        page = page_of(home, language)
        assert "<script>alert" not in page and "<img src=x" not in page and "&lt;script&gt;alert" in page
        assert "49" not in page.split("</style>")[1].split("<script")[0] and "$(touch /tmp/x)" in page
        assert "王五" in page and "2026-02-15" in page


def test_notes_are_a_small_part_of_markdown_and_never_markup():
    assert (
        notes.to_html("一\n二\n\n- **甲** <b>\n- 乙")
        == "<p>一<br>二</p>\n<ul><li><b>甲</b> &lt;b&gt;</li><li>乙</li></ul>"
    )
    assert notes.to_html("1. a\n2. b", "en") == '<ol lang="en"><li>a</li><li>b</li></ol>'


def test_a_chapter_is_found_by_its_title_in_either_language_or_by_its_code():
    title = text.Label("流失趋势", "Churn trend")
    for heading in ("流失趋势", "churn trend", "2 流失趋势", "流失趋势 · Churn trend", "trend"):
        assert notes.Notes(sections={heading: "x"}).of_chapter("trend", title) == "x"


def test_prose_comes_in_pairs_and_cells_for_the_workbook_stay_there(tmp_path):
    cells = [
        cell("# 流失趋势 · Churn trend\n\nHow to use this workbook.", "markdown"),
        cell("## 空标题 · Nothing below", "markdown"),
        cell("## 走势 · Course", "markdown"),
        cell("中文", "markdown", ["zh"]),
        cell("English", "markdown", ["en"]),
        cell("for whoever opens the notebook", "markdown"),
        {**show(block()), "outputs": [{"output_type": "display_data", "data": {collect.BLOCK: block()}}]},
        {**cell("x"), "outputs": [{"output_type": "stream", "name": "stdout", "text": "printed"}]},
        {**cell("x"), "outputs": [{"output_type": "display_data", "data": {collect.BLOCK: block()}}]},
        cell("## 最后的空标题 · Nothing", "markdown"),
    ]
    book = run.Notebook(notebook(tmp_path / "1-trend.ipynb", "trend", cells))
    made = collect.chapter(book, book.path)
    assert made.items == [
        {"prose": both("## 走势", "## Course")},
        {"prose": both("中文", "English")},
        {"block": block()},
    ]


def test_chapters_come_in_managements_order(tmp_path):
    for name, chapter in (("0-data", "quality"), ("3-cohort", "cohort"), ("4-x", "other"), ("1-trend", "trend")):
        notebook(tmp_path / f"{name}.ipynb", chapter, [])
    notebook(tmp_path / "scratch.ipynb", "", [])
    assert [book.chapter for book in run.notebooks(tmp_path)] == ["trend", "cohort", "other", "quality"]
