"""All reports together: the index over them, the one that is meant, and how many are kept."""

import json
import re

import pytest
import report_home
from report_home import command, report

from churnlib import text
from churnlib.reporting import archive, fingerprint, publish
from churnlib.reporting.request import read_request
from churnlib.reporting.verify import Page


def put(reports, name, period, revision, **manifest):
    """Publish a report that holds one figure."""
    folder = reports / name / period / f"r{revision}"
    folder.mkdir(parents=True)
    told = {"period": period, "revision": revision, "generated": "2026-01-13T06:00:00+00:00", "reason": ["tables"]}
    (folder / "manifest.json").write_text(json.dumps(told | {"title": {"zh": "店", "en": "Shop"}} | manifest), "utf-8")
    kpis = {"currency": "CNY", "kpis": [report_home.kpi()]}
    (folder / "kpis.json").write_text(json.dumps(kpis), "utf-8")
    for language in text.LANGUAGES:
        (folder / f"churn_{period}.{language}.html").touch()
    (reports / name / f"{period}.private").mkdir(exist_ok=True)
    return folder


@pytest.fixture
def reports(tmp_path):
    for name, period, revision in [
        ("a", "2025-11", 1),
        ("a", "2025-12", 1),
        ("a", "2025-12", 2),
        ("b/南 部", "2025", 1),
    ]:
        put(tmp_path, name, period, revision, note="late file <b>" if revision == 2 else "")
    return tmp_path


def test_the_index_lists_every_report_with_status_figures_revision_and_reason(reports):
    html = archive.write_index(reports).read_text("utf-8")
    page = Page(html)
    assert page.faults == [] and page.levels == [1, 2, 2]
    rows = [re.sub(r"<[^>]*>|\s+", " ", row) for row in re.findall(r"<tr><th scope=\"row\">.*?</tr>", html, re.S)]
    assert len(rows) == 3 and "2025-12" in rows[0] and "2.31%" in rows[0] and "late file &lt;b&gt;" in rows[0]
    assert "a/2025-12/r2/churn_2025-12.zh.html" in html and "a/2025-12/r1/" not in html
    for href in re.findall(r'href="([^"]+\.html)"', html):
        from urllib.parse import unquote

        assert (reports / unquote(href)).is_file()


def test_the_index_says_in_both_languages_what_a_revision_is_made_for(reports):
    put(reports, "a", "2025-12", 3, reason=["tables", "previous", "something of old"])
    html = archive.write_index(reports).read_text("utf-8")
    lost = report_home.kpi("n_churned_opening", 1514, unit="customers")
    kpis = {"currency": "CNY", "kpis": [report_home.kpi(), lost]}
    (reports / "a/2025-12/r3/kpis.json").write_text(json.dumps(kpis), "utf-8")
    assert ">1,514</td>" in archive.write_index(reports).read_text("utf-8")  # its heading says of what
    assert '数据有更新、上期报告有更新 · <span lang="en">new data, the report before it changed</span>' in html


def test_every_ingredient_of_a_report_is_a_reason_in_words(home):
    names = fingerprint.ingredients(read_request("shop"))
    assert all(text.known(f"archive.reason.{name}") for name in (*names, "first", "forced"))


def test_a_manifest_that_says_too_little_spoils_nothing(reports):
    (reports / "a/2025-12/r2/manifest.json").write_text("{}", "utf-8")
    html = archive.write_index(reports).read_text("utf-8")
    assert "a/2025-11/r1/" in html and "a/2025-12/r2/" not in html


def test_a_report_with_a_broken_manifest_spoils_nothing(reports):
    (reports / "a/2025-12/r2/manifest.json").write_text("{", "utf-8")
    assert "a/2025-12/r1/" in archive.write_index(reports).read_text("utf-8")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CHURN_HOME", str(report_home.home(tmp_path / "home")))


NAMED = {"a/2025-12": "a/2025-12/r2", "a/2025-12/r1": "a/2025-12/r1", "b/南 部/2025": "b/南 部/2025/r1"}


@pytest.mark.parametrize("wanted", NAMED)
def test_a_report_is_found_by_name(wanted, reports):
    assert archive.find_revision(reports, wanted) == reports / NAMED[wanted]


def test_a_report_that_is_not_there_is_told_with_near_misses(reports):
    with pytest.raises(text.UsageError, match="a/2025-12"):
        archive.find_revision(reports, "a/2025-13")


def test_only_the_newest_are_kept(reports):
    publish.point_to(reports / "a/latest", reports / "a/2025-12/r2")
    removed = archive.clean(reports, 1)
    gone = {"a/2025-11", "a/2025-11.private", "a/2025-12/r1"}
    assert {path.relative_to(reports).as_posix() for path in removed} == gone
    assert publish.latest(reports / "a") == reports / "a/2025-12/r2" and (reports / "b/南 部/2025/r1").is_dir()
    assert "2025-11" not in (reports / "index.html").read_text("utf-8")
    assert archive.clean(reports, 1) == []


def test_a_report_that_is_being_made_is_left_alone(reports):
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    with publish.lock(reports / "a"):
        other = context.Process(target=archive.clean, args=(reports, 1))  # locks belong to processes
        other.start()
        other.join()
    assert (reports / "a/2025-11").is_dir()


def test_a_run_writes_the_index_and_one_line_of_json_a_step(tmp_path):
    home = report_home.home(tmp_path)
    log = tmp_path / "log.jsonl"
    code, out, err = report(home, "--log", str(log))
    assert code == 0, err
    assert report(home, "--log", str(log))[0] == 0
    (home / "notebooks/1-trend.ipynb").write_text("{}", "utf-8")
    assert report(home, "--log", str(log))[0] == 2  # refused before it was a run
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    steps = [line["step"] for line in lines]
    assert sorted(steps[:2]) == ["notebook", "prepare"] or steps[0] == "prepare"
    assert [line.get("outcome") for line in lines if line["step"] == "end"] == ["published", "up to date"]
    assert all(line["seconds"] >= 0 and line["megabytes"] > 0 and "T" in line["time"] for line in lines)
    assert "shop/2025-12/r1/churn_2025-12.en.html" in (home / "reports/index.html").read_text("utf-8")
    code, out, err = command(home, "clean", "--keep", "0")
    assert (code, out) == (2, []) and "--keep" in err


@pytest.mark.slow
def test_fifty_runs_in_a_row_leave_no_process_and_a_disk_that_does_not_grow(tmp_path):
    """About four minutes: each run is forced, so that it executes, renders, verifies and publishes."""
    import subprocess

    home = report_home.home(tmp_path)

    def sizes():
        return sum(path.stat().st_size for path in (home / "reports").rglob("*") if path.is_file())

    def kernels():
        told = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
        return [line for line in told.splitlines() if str(tmp_path) in line and "ps -eo" not in line]

    grown = []
    for i in range(50):
        code, out, err = report(home, "--force")
        assert code == 0, (i, err)
        assert command(home, "clean", "--keep", "3")[0] == 0
        assert kernels() == [] and not list((home / "reports/shop").glob(".staging*"))
        grown.append(sizes())
    assert max(grown[5:]) <= min(grown[5:]) * 1.02, grown
    assert len(list((home / "reports/shop/2025-12.private").glob("ledger.*"))) <= 3
