"""Several audiences from one description: recipes say who gets what, and what all get together gives nobody away."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import report_home
from hypothesis import given, settings
from hypothesis import strategies as st
from report_home import command, write

from churnlib import open_dataset
from churnlib.counts import legible_counts, period_counts, tenure_counts
from churnlib.model.scope import VARIABLE, Scope
from churnlib.model.views import cut
from churnlib.reporting import packs, publish, recipe, request

HOME = Path(__file__).parents[1]


@pytest.fixture
def home(tmp_path):
    return report_home.home(tmp_path)


def cook(home, recipe, *args):
    write(home / "reports/tried.yml", recipe)
    return command(home, "report", "--recipe", "tried", "--dataset", "shop", *report_home.CLOCK, *args)


WRONG = {
    "a misspelt key": ("chapter: [trend]", 'line 1: there is no key "chapter"', "did you mean chapters?"),
    "an unknown chapter": ("languages: [en]\nchapters: [trend, survivl]", "line 2", "survivl"),
    "an unknown segment": ("title: A\neach: regoin", "line 2", "did you mean region?"),
    "an unknown language": ("languages: [fr]", "line 1", "fr"),
    "a definition that is none": ("definition: inactive", "line 1", "contract_end"),
    "a limit that is none": ("thresholds:\n  privacy_k: none", "line 2", "privacy_k"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_recipe_is_checked_before_anything_starts(what, home):
    words, *expected = WRONG[what]
    code, out, err = cook(home, words)
    assert (code in (2, 3), out) == (True, []) and "tried.yml" in err and all(part in err for part in expected), err


def test_an_unknown_recipe_is_told_with_near_misses(home):
    write(home / "reports/branches.yml", "each: region")
    code, _, err = command(home, "report", "--recipe", "branchs", "--dataset", "shop")
    assert code == 2 and "did you mean branches?" in err


@pytest.mark.parametrize("name", sorted(path.stem for path in (HOME / "reports").glob("*.yml")))
def test_every_recipe_that_comes_with_the_project_can_be_cooked(name, monkeypatch):
    monkeypatch.setenv("CHURN_HOME", str(HOME))
    made, asked = recipe.read_recipe(name, None, "telecom", settings=(), languages=None)
    assert asked.recipe == name and [book.chapter for book in asked.notebooks]
    assert made.title is None or made.title.zh != made.title.en


def test_a_recipe_chooses_chapters_languages_title_and_forms(home):
    recipe = "title: {zh: 摘要, en: Summary}\nchapters: [quality]\nlanguages: [en]\nformats: [mail]\n"
    code, out, err = cook(home, recipe)
    assert code == 0, (out, err)
    folder = home / "reports/shop-tried/2025-12/r1"
    assert out[-1] == str(folder / "churn_2025-12.en.html")
    page = (folder / "churn_2025-12.en.html").read_text("utf-8")
    assert "<h1>Summary" in page and 'id="quality"' in page and 'id="trend"' not in page
    assert {path.name for path in folder.glob("*2025-12*")} == {"churn_2025-12.en.html", "mail_2025-12.en.html"}
    code, out, _ = cook(home, recipe)
    assert code == 0 and out[0].startswith("up to date")
    code, out, err = cook(home, recipe + "thresholds: {privacy_k: 9}\n")
    assert code == 5 and "/r2/" in out[-1] and "rules of counting differ" in err  # of the first revision


OPENED = """\
from churnlib import open_dataset
data = open_dataset(dataset, period=period)
assert len(data.filters) == 1 and list(data.spec.segments) == [], data.spec.segments
assert (data.about.privacy_k, data.about.min_denominator) == (7, 30)
n = data.con.value("SELECT count(*) FROM customers")
"""


def test_one_report_for_each_region_from_one_run(home):
    shown = report_home.show(report_home.block(kpis=[report_home.kpi()]))
    report_home.notebook(home / "notebooks/1-trend.ipynb", "trend", [report_home.cell(OPENED), shown])
    recipe = "chapters: [trend]\neach: region\nsegments: []\nthresholds: {privacy_k: 7, min_denominator: 10}\n"
    code, out, err = cook(home, recipe)
    assert code == 0, (out, err)
    assert err.count("the report of") == 2 and out[-1] == str(home / "reports/index.html")
    for region, name in (("华南", "South"), ("华北", "North")):
        revision = home / f"reports/shop-tried/{region}/latest"
        assert f"Sample company (simulated data) · {name}" in (revision / "churn_2025-12.en.html").read_text("utf-8")
        assert json.loads((revision / "manifest.json").read_text())["parameters"]["where"] == {"region": [region]}
    index = (home / "reports/index.html").read_text("utf-8")
    assert "shop-tried/华南" in index and "shop-tried/%E5%8D%8E%E5%8D%97/2025-12/r1/churn_2025-12.zh.html" in index
    code, out, err = cook(home, recipe)
    assert code == 0 and out[0].startswith("up to date")


def test_two_runs_of_one_recipe_do_not_get_in_each_others_way(home):
    with publish.lock(home / "reports/shop-tried"):
        code, out, err = cook(home, "chapters: [trend]\neach: region\n")
    assert (code, out) == (75, []) and "Another run" in err
    assert not list((home / "reports/shop-tried").glob(".staging*"))


MASKED = """\
from churnlib import open_dataset, period_counts
counts = period_counts(open_dataset(dataset, period=period), by="region")
assert counts.about.segment.levels == ("#001", "#002"), counts.about.segment
assert set(counts.frame["level"]) == {"#001", "#002"} and counts.frame["n_churned"].sum() == 45
"""


def test_a_recipe_can_number_what_must_not_be_named(home):
    shown = report_home.show(report_home.block(kpis=[report_home.kpi()]))
    report_home.notebook(home / "notebooks/1-trend.ipynb", "trend", [report_home.cell(MASKED), shown])
    code, out, err = cook(home, "chapters: [trend]\nmask: [region]\n")
    assert code == 0, (out, err)


def test_of_several_reports_one_that_fails_stops_no_other(home):
    failing = [
        report_home.cell("from churnlib import open_dataset\nfilters = open_dataset(dataset).filters"),
        report_home.cell("assert '华北' not in str(filters)"),
        report_home.show(report_home.block()),
    ]
    report_home.notebook(home / "notebooks/1-trend.ipynb", "trend", failing)
    code, out, err = cook(home, "chapters: [trend]\neach: region\nsegments: []\n")
    assert code == 1 and "1 of 2 reports failed: 华北" in out[-1], err
    assert (home / "reports/shop-tried/华南/latest/kpis.json").exists()
    assert not (home / "reports/shop-tried/华北/latest").exists()


def test_folders_are_named_after_levels_and_never_leave_the_reports():
    names = ["华南", "../x", "a/b", "a b", "", "A" * 60, "..", "a_b"]
    slugs = [request.slug(name) for name in names]
    assert len(set(slugs)) == len(names) and slugs[0] == "华南" and slugs[-1] == "a_b"
    assert all("/" not in slug and not slug.startswith(".") and len(slug) < 60 for slug in slugs)


K = 5


def tables(losses, opening):
    """Give the two tables of `withheld`: units, and units by levels, in one period."""
    rows = [(f"u{i}", f"l{j}", "2025-12", opening, int(d)) for (i, j), d in np.ndenumerate(losses)]
    crossed = pd.DataFrame(rows, columns=["unit", "plan", "period", "n_opening", "n_churned_opening"])
    return [crossed.drop(columns="plan"), crossed]


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(0, 14), min_size=3, max_size=3), min_size=3, max_size=5))
def test_no_single_hidden_count_comes_back_by_subtraction(losses):
    losses = np.array(losses)
    hidden = packs.withheld(tables(losses, 400), "unit", ["plan"], K)
    units = range(len(losses))
    is_hidden = np.array([[("plan", f"l{j}", "2025-12") in hidden.get(f"u{i}", ()) for j in range(3)] for i in units])
    totals = np.array([("", "", "2025-12") in hidden.get(f"u{i}", ()) for i in units])
    risky = (losses > 0) & (losses < K)
    assert (is_hidden | ~risky).all()
    assert (totals | ~((losses.sum(1) > 0) & (losses.sum(1) < K))).all()
    # every published equation (a unit's levels and its total; a level over the units and its total in the full report;
    # the units' totals and the grand total) has none or at least two unknowns, unless nothing else could be hidden
    for i, j in product(units, range(3)):
        row, column = is_hidden[i].sum() + totals[i], is_hidden[:, j].sum()
        assert row != 1 and (column != 1 or len(losses) == 1)
    assert totals.sum() != 1


PLANS = """\
  assignments:
    file: plans.csv
    columns: {customer_id: customer, attribute: what, value: value, from_date: start, to_date: end}
definitions:"""


def test_a_part_of_a_cut_counts_what_the_whole_counts_of_its_customers(home, monkeypatch):
    folder = home / "data/shop"
    rows = [
        f"C{i:04d},plan,{'AB'[i % 2]},2024-01-01,2025-06-30\nC{i:04d},plan,B,2025-07-01,\n" for i in range(0, 400, 3)
    ]
    write(folder / "plans.csv", "customer,what,value,start,end\n" + "".join(rows))
    described = report_home.DATASET.replace("definitions:", PLANS) + "  plan: {assignment: plan}\n"
    write(folder / "dataset.yml", described)
    for by, levels in (("region", {"华南", "华北"}), ("plan", {"B", "unknown"})):  # no plan A on the last day
        data, parts = cut(open_dataset(folder), by, home / by)
        together = period_counts(data, by=by).frame
        assert set(parts) == set(together["level"]) == levels
        for level, part in parts.items():
            whole = open_dataset(folder).where(**{by: level})
            Scope({by: (level,)}, cut=part).write(home / "scope.json")
            monkeypatch.setenv(VARIABLE, str(home / "scope.json"))
            alone = open_dataset(folder)
            monkeypatch.delenv(VARIABLE)
            assert alone.filters == whole.filters and alone.con.columns("customers") == whole.con.columns("customers")
            of_all = together[together["level"] == level].set_index("period")
            for count in (period_counts, tenure_counts, legible_counts):
                pd.testing.assert_frame_equal(count(alone).frame, count(whole).frame)
            its, flows = period_counts(whole).frame.set_index("period"), ["n_opening", "n_churned", "n_closing"]
            pd.testing.assert_frame_equal(of_all.loc[its.index, flows], its[flows])
