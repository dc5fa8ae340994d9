"""Whole reports of the demo data through the real notebooks: slow, a minute for each data set."""

import csv
import json
import re
import stat
from pathlib import Path

import openpyxl
import pytest
from report_home import CLOCK, command

from churnlib import text
from churnlib.reporting.verify import Page

REPO = Path(__file__).parent.parent
SLOWEST = 60  # seconds of one notebook, from a fresh kernel
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["telecom", "telco"])
def made(request, tmp_path_factory):
    """Give the newest revision of a demo data set, made in an empty archive, and what the run said."""
    if not list((REPO / "data" / request.param).glob("*.csv")):
        pytest.skip("its files are not here: make report DATASET=... fetches or makes them")
    home = tmp_path_factory.mktemp(request.param)
    for name in ("data", "notebooks"):
        (home / name).symlink_to(REPO / name, target_is_directory=True)
    code, out, err = command(home, "report", "--dataset", request.param, *CLOCK)
    assert code in (0, 5), (out, err)
    return Path(out[-1]).parent, err


def manifest(made):
    return json.loads((made[0] / "manifest.json").read_text("utf-8"))


def test_no_notebook_takes_longer_than_a_minute_and_no_page_is_large(made):
    steps = manifest(made)["seconds"]
    books = {name: seconds for name, seconds in steps.items() if re.match(r"\d", name)}
    assert len(books) >= 2 and max(books.values()) < SLOWEST, books  # of a list without dates only two chapters
    for page in made[0].glob("churn_*.html"):
        html = page.read_text("utf-8")
        assert len(html.encode()) <= 1_500_000
        assert max(len(svg.encode()) for svg in re.findall(r'<svg class="chart".*?</svg>', html, re.S)) <= 150_000


def test_every_number_that_is_said_was_worked_out(made):
    assert not [w for w in manifest(made)["warnings"] if "vouches" in w["en"]]


def test_tiles_show_the_figures_of_kpis_json(made):
    kpis = {k["id"]: k for k in json.loads((made[0] / "kpis.json").read_text("utf-8"))["kpis"]}
    headline = next(kpis[name] for name in ("churn_rate", "share_churned") if name in kpis)
    for language in text.LANGUAGES:
        (page,) = made[0].glob(f"churn_*.{language}.html")
        assert f'<span class="value">{100 * headline["value"]:.2f}<small>%' in page.read_text("utf-8")


def test_the_workbook_holds_what_the_csv_files_hold_and_hides_what_they_hide(made):
    (path,) = made[0].glob("churn_*.en.xlsx")
    book = openpyxl.load_workbook(path, read_only=False)
    tables = {p.stem: list(csv.reader(p.open(encoding="utf-8-sig"))) for p in made[0].glob("tables/*/*.csv")}
    seen = 0
    for name, rows in tables.items():
        if name not in book.sheetnames:  # a name that Excel had to shorten, or of two chapters
            continue
        seen += 1
        cells = [[cell.value for cell in row] for row in book[name].iter_rows()]
        assert len(cells) == len(rows), name
        for shown, kept in zip(cells[1:], rows[1:], strict=True):
            alike = [(v is None) == (k == "") or (v is None and k == "False") for v, k in zip(shown, kept, strict=True)]
            assert all(alike), (name, kept)  # a verdict that does not hold is said by no word
    assert seen >= 0.8 * len(tables)


def test_no_customer_can_be_told_from_what_is_published(made):
    published = [p for p in made[0].rglob("*") if p.suffix in (".html", ".csv", ".json")]
    words = "\n".join(p.read_text("utf-8") for p in published)
    assert not re.search(r"(?<![\d.])1[3-9]\d{9}(?!\d)", words)  # a mobile number
    private = made[0].parent.with_name(f"{made[0].parent.name}.private")
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in private.rglob("*") if p.is_file())
    assert private.name not in words


def test_both_languages_hold_the_same_and_declare_themselves(made):
    pages = {language: next(made[0].glob(f"churn_*.{language}.html")).read_text("utf-8") for language in text.LANGUAGES}
    read = {language: Page(html) for language, html in pages.items()}
    assert read["zh"].ids == read["en"].ids and read["zh"].tags == read["en"].tags
    assert '<html lang="zh-CN">' in pages["zh"] and '<html lang="en">' in pages["en"]
    for name in ("run_id", "period"):
        assert manifest(made)[name] in pages["en"] or name == "period"
