"""A run that fails or is stopped publishes nothing, says why in one line, and is in nobody's way."""

import io
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import report_home
from report_home import block, cell, files, kpi, notebook, report, show, start

from churnlib.reporting import steps, worker


@pytest.fixture
def home(tmp_path):
    return report_home.home(tmp_path)


@pytest.fixture
def earlier(home):
    """Give a home with a report of an earlier day."""
    revision = home / "reports/shop/2025-12/r1"
    revision.mkdir(parents=True)
    (revision / "manifest.json").write_text('{"key": "of an earlier day"}')
    (home / "reports/shop/latest").symlink_to("2025-12/r1")
    return home


def test_a_failing_notebook_publishes_nothing_and_is_kept(earlier):
    before = files(earlier / "reports/shop/2025-12")
    failing = [show(block()), cell("1 / 0  # a fault"), cell("print('never reached')")]
    notebook(earlier / "notebooks/1-trend.ipynb", "trend", failing)
    code, out, err = report(earlier)
    assert code == 1 and len(out) == 1
    assert "notebook 1-trend failed in cell 3: ZeroDivisionError: division by zero" in out[0]
    kept = earlier / "reports/shop/failed/1-trend.ipynb"
    assert str(kept) in out[0] and "ZeroDivisionError" in kept.read_text()
    assert files(earlier / "reports/shop/2025-12") == before
    assert os.readlink(earlier / "reports/shop/latest") == "2025-12/r1"
    assert not list((earlier / "reports/shop").glob(".staging*"))


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


SLOW = "import pathlib, time; pathlib.Path('started').touch(); time.sleep(60)"


def _at_work(home, process):
    """Wait until the slow notebook's kernel runs; give the process ids of the run and of what it has started."""
    for _ in range(300):
        if (home / "notebooks/started").exists():
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
def at_work(earlier):
    """Give a home, a run that is busy in a slow notebook, and the ids of all its processes."""
    notebook(earlier / "notebooks/1-trend.ipynb", "trend", [cell(SLOW)])
    (earlier / "temporary").mkdir()
    process = start(earlier, "report", "--dataset", "shop", TMPDIR=str(earlier / "temporary"))
    yield earlier, process, _at_work(earlier, process)
    process.kill()
    process.communicate()


def test_a_killed_run_leaves_nothing_half_published_and_is_not_in_the_way(at_work):
    home, process, family = at_work
    before = files(home / "reports/shop/2025-12")
    code, _, err = report(home)
    assert code == 75 and "Another run" in err  # two at once
    process.send_signal(signal.SIGKILL)
    assert _are_gone(family) and len(family) > 2
    assert files(home / "reports/shop/2025-12") == before
    assert list((home / "reports/shop").glob(".staging*")) and not list((home / "temporary").iterdir())
    notebook(home / "notebooks/1-trend.ipynb", "trend", [show(block(kpis=[kpi()]))])
    code, out, err = report(home)
    assert code == 0 and "/r2/" in out[-1], err
    assert not list((home / "reports/shop").glob(".staging*")) and not list((home / "temporary").iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_clears_everything_away(how, at_work):
    home, process, family = at_work
    before = files(home / "reports/shop/2025-12")
    process.send_signal(how)
    _, err = process.communicate(timeout=30)
    assert process.returncode in (130, 143) and "Traceback" not in err and _are_gone(family)
    assert files(home / "reports/shop/2025-12") == before
    assert not list((home / "reports/shop").glob(".staging*")) and not list((home / "temporary").iterdir())
