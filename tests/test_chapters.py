"""From executed notebooks and the analyst's notes to chapters: blocks, prose in pairs, and text that stays text."""

import json

import pytest
import report_home
from report_home import block, both, cell, notebook, page_of, report, show, write

from churnlib import text
from churnlib.reporting import collect, notes, run


@pytest.fixture
def home(tmp_path):
    return report_home.home(tmp_path)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Give a home whose data serve one chapter less, and whose notes have a stray heading; with what the run said."""
    home = report_home.home(tmp_path_factory.mktemp("odd"))
    needs = {"needs": ["exit_survey"], "title": both("流失原因", "Reasons")}
    notebook(home / "notebooks/4-reasons.ipynb", "reasons", [cell("1 / 0")], **needs)
    write(home / "data/shop/notes/2025-12.md", "## 流失趋式\n写错标题的说明\n")
    return home, *report(home)


def test_a_chapter_whose_table_is_lacking_is_left_out_in_one_sentence(odd):
    page = page_of(odd[0], "en")
    assert "Reasons" in page and "The data set has no exit survey table (exit_survey)" in page
    assert json.loads((odd[0] / "reports/shop/latest/manifest.json").read_text())["left_out"] == ["exit_survey"]


def test_each_language_names_the_owner_of_a_decision_in_its_own_words(home):
    write(home / "data/shop/notes/2025-12.zh.md", "## 决定\n- 查华南 | 网络部 | 2026-02-15\n")
    write(home / "data/shop/notes/2025-12.en.md", "## Decisions\n- Look at South | Network | 2026-02-15\n")
    code, _, err = report(home)
    assert code == 0, err
    for language, said, other in (("zh", "网络部", "Network"), ("en", "Network", "网络部")):
        page = page_of(home, language)
        assert said in page and other not in page


def test_a_note_that_belongs_to_no_chapter_is_a_warning(odd):
    _, code, out, err = odd
    assert code == 5 and out[-1].endswith("churn_2025-12.zh.html") and "流失趋式" in err.splitlines()[-1]


HOSTILE = (
    '<script>alert(1)</script><img src=x onerror=alert(2)>{{ 7777*777 }} $(touch /tmp/x) `id` "quoted" &amp; =1+1 **b**'
)


def test_everything_that_users_wrote_is_text(home):
    written = f"## 流失趋势\n{HOSTILE}\n\n- 一 {HOSTILE}\n- 二\n\n## 决定\n- {HOSTILE} | 王五 | 2026-02-15\n"
    write(home / "data/shop/notes/2025-12.md", written)
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
        assert "6042729" not in page.split("</style>")[1].split("<script")[0] and "$(touch /tmp/x)" in page
        assert "王五" in page and "2026-02-15" in page


def test_notes_are_a_small_part_of_markdown_and_never_markup():
    assert (
        notes.to_html("一，\n二 a\nb\n\n- **甲** <b>\n- 乙")
        == "<p>一，二 a b</p>\n<ul><li><b>甲</b> &lt;b&gt;</li><li>乙</li></ul>"
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


def shown(*blocks):
    """Give an executed cell that shows blocks."""
    outputs = [{"output_type": "display_data", "data": {collect.BLOCK: made}} for made in blocks]
    return {**cell("x"), "outputs": outputs}


def test_what_the_data_cannot_answer_is_told_at_the_end_and_its_section_goes(tmp_path):
    lacking = report_home.finding("market.none", both("没有对比表。", "No benchmarks."), "descriptive", "steady", 0.0)
    cells = [
        cell("## 走势 · Course", "markdown"),
        shown(block("rate"), block("again")),  # two tables under one headline: the second says nothing new
        cell("## 市场 · The market", "markdown"),
        cell("怎么看。", "markdown", ["zh"]),
        cell("How to read it.", "markdown", ["en"]),
        shown(block("market", [lacking])),
        cell("## 方法 · Method", "markdown"),
        cell("方法。", "markdown", ["zh"]),
        cell("Method.", "markdown", ["en"]),
    ]
    book = run.Notebook(notebook(tmp_path / "1-trend.ipynb", "trend", cells))
    made = collect.chapter(book, book.path)
    assert made.items == [
        {"prose": both("## 走势", "## Course")},
        {"block": block("rate")},
        {"prose": both("## 方法", "## Method")},
        {"prose": both("方法。", "Method.")},
    ]
    assert made.unanswered == [(both("市场", "The market"), both("没有对比表。", "No benchmarks."))]


def test_a_figure_in_which_nothing_stands_out_is_folded_away_in_the_report(tmp_path):
    quiet = report_home.finding("units.none", both("都在漏斗之内。", "All within."), "descriptive", "steady", 0.0)
    book = run.Notebook(notebook(tmp_path / "1-why.ipynb", "why", [shown(block("units", [quiet]), block("rate"))]))
    assert [made.get("tucked", False) for made in collect.chapter(book, book.path).blocks] == [True, False]


@pytest.mark.parametrize("key", [*collect.UNANSWERED, *collect.QUIET])
def test_what_is_told_otherwise_is_a_sentence_of_the_catalogue(key):
    assert text.known(key)


def test_chapters_come_in_managements_order(tmp_path):
    for name, chapter in (("0-data", "quality"), ("3-cohort", "cohort"), ("4-x", "other"), ("1-trend", "trend")):
        notebook(tmp_path / f"{name}.ipynb", chapter, [])
    notebook(tmp_path / "scratch.ipynb", "", [])
    assert [book.chapter for book in run.notebooks(tmp_path)] == ["trend", "cohort", "other", "quality"]
