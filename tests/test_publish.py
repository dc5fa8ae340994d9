"""Publishing is all or nothing: one run at a time, verified pages only, and the link always shows a whole report."""

import multiprocessing
import os
import stat
from datetime import date

import pytest

from churnlib import text
from churnlib.about import Period
from churnlib.reporting import publish
from churnlib.reporting.publish import Locked
from churnlib.reporting.verify import Unfit, verify

NOVEMBER, DECEMBER = Period(date(2025, 11, 1)), Period(date(2025, 12, 1))
PAGE = '<!DOCTYPE html>\n<html lang="{lang}"><head><title>t</title></head><body><h1>{h1}</h1>{body}</body></html>\n'


def made(folder, words="report"):
    """Make a finished folder."""
    folder.mkdir(parents=True)
    (folder / "churn.html").write_text(words, "utf-8")
    (folder / "manifest.json").write_text('{"outputs": {}}', "utf-8")
    return folder


def test_a_period_is_published_again_as_the_next_revision(tmp_path):
    first = publish.publish(made(tmp_path / ".a", "one"), tmp_path, DECEMBER)
    second = publish.publish(made(tmp_path / ".b", "two"), tmp_path, DECEMBER)
    assert [first.name, second.name] == ["r1", "r2"]
    assert (first / "churn.html").read_text() == "one"  # never over an old one
    assert publish.latest(tmp_path) == second and os.readlink(tmp_path / "latest") == "2025-12/r2"


def test_a_tenth_revision_comes_after_the_ninth(tmp_path):
    for n in range(11):
        publish.publish(made(tmp_path / f".{n}"), tmp_path, DECEMBER)
    assert list(publish.revisions(tmp_path, DECEMBER)) == list(range(1, 12))
    assert publish.latest(tmp_path).name == "r11"


def test_a_report_on_an_older_period_leaves_the_link_alone(tmp_path):
    newest = publish.publish(made(tmp_path / ".a"), tmp_path, DECEMBER)
    publish.publish(made(tmp_path / ".b"), tmp_path, NOVEMBER)
    assert publish.latest(tmp_path) == newest


def test_a_link_that_leads_nowhere_is_mended(tmp_path):
    (tmp_path / "latest").symlink_to("2026-01/r1")
    assert publish.latest(tmp_path) is None
    assert publish.latest(tmp_path) is None or publish.publish(made(tmp_path / ".a"), tmp_path, DECEMBER)
    publish.publish(made(tmp_path / ".b"), tmp_path, DECEMBER)
    assert publish.latest(tmp_path).parent.name == "2025-12"


def test_where_links_are_not_allowed_a_text_file_names_the_report(tmp_path, monkeypatch):
    def refused(*args, **kwargs):
        raise OSError("privilege not held")

    monkeypatch.setattr("pathlib.Path.symlink_to", refused)
    revision = publish.publish(made(tmp_path / ".a"), tmp_path, DECEMBER)
    assert (tmp_path / "latest.txt").read_text() == "2025-12/r1\n"
    assert publish.latest(tmp_path) == revision


def _try_lock(folder, answers):
    try:
        with publish.lock(folder):
            answers.put("taken")
    except Locked as problem:
        answers.put(problem.exit_code)


def _second_run(folder):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    other = context.Process(target=_try_lock, args=(folder, answers))
    other.start()
    other.join()
    return answers.get(timeout=5)


def test_of_two_runs_at_once_one_is_told_so(tmp_path):
    with publish.lock(tmp_path / "shop"):
        assert _second_run(tmp_path / "shop") == 75
    assert _second_run(tmp_path / "shop") == "taken"


def test_what_a_killed_run_left_is_swept_away_by_the_next(tmp_path):
    (tmp_path / ".staging-dead").mkdir()
    (tmp_path / ".staging-dead" / "half.html").write_text("half")
    with publish.staging(tmp_path) as work:
        assert stat.S_IMODE(work.stat().st_mode) == 0o700
        assert [p.name for p in tmp_path.iterdir()] == [work.name]
    assert list(tmp_path.iterdir()) == []


def test_rows_set_aside_are_for_their_owner_only(tmp_path):
    for words in ("one", "two"):
        private = tmp_path / ".staging-x" / "set-aside"
        private.mkdir(parents=True)
        (private / "customers.csv").write_text(words)
        publish.put_private(private.parent, tmp_path, DECEMBER)
    folder = tmp_path / "2025-12.private"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "set-aside" / "customers.csv").stat().st_mode) == 0o600
    assert (folder / "set-aside" / "customers.csv").read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["2025-12.private"]
    assert publish.revisions(tmp_path, DECEMBER) == {}


def test_a_report_that_was_changed_by_hand_is_not_whole(tmp_path):
    revision = publish.publish(made(tmp_path / ".a"), tmp_path, DECEMBER)
    told = {"outputs": {"churn.html": publish.digest(revision / "churn.html")}}
    assert publish.is_whole(revision, told)
    (revision / "churn.html").write_text("changed")
    assert not publish.is_whole(revision, told)
    (revision / "churn.html").unlink()
    assert not publish.is_whole(revision, told)


def page(body="", lang="en", h1="Report"):
    return PAGE.format(lang=lang, h1=h1, body=body)


FAULTS = {
    "an open tag": ("<p>half", "not_whole"),
    "a picture from the network": ('<img alt="x" src="https://example.org/x.png">', "remote"),
    "a protocol-relative address": ('<img alt="x" src="//example.org/x.png">', "remote"),
    "a font from the network": ("<style>@font-face{src:url(http://x)}</style>", "remote"),
    "a link that runs": ('<a href="javascript:alert(1)">x</a>', "remote"),
    "a handler": ('<p onclick="x()">x</p>', "script"),
    "one identifier twice": ('<p id="a">x</p><p id="a">y</p>', "id_twice"),
    "a link to nowhere": ('<a href="#there">x</a>', "dangling"),
    "a skipped heading level": ("<h3>x</h3>", "headings"),
    "two first headings": ("<h1>x</h1>", "headings"),
    "nan": ("<td>nan</td>", "broken_number"),
    "infinity": ("<p>rose by inf%</p>", "broken_number"),
    "None": ("<td>None</td>", "broken_number"),
    "a negative zero": ("<p>−0.00%</p>", "broken_number"),
    "an untranslated key": ("<p>trend.rate.rise</p>", "key"),
    "an unfilled field": ("<p>{rate:pct}</p>", "key"),
    "Chinese in English": ("<p>流失率</p>", "han"),
    "full-width punctuation in English": ("<p>up（down）</p>", "han"),
    "Chinese in a hidden text": ('<svg aria-label="流失率"></svg>', "han"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_page_is_published_with(fault):
    body, key = FAULTS[fault]
    with pytest.raises(Unfit) as problem:
        verify({"en": page(body)}, names=["华南"])
    assert problem.value.key == f"render.unfit.{key}" and problem.value.exit_code == 1
    assert "\n" not in str(problem.value)


def test_a_whole_page_is_fit():
    body = '<h2 id="a">One</h2><p><a href="#a">x</a> 0.00% <a href="churn.zh.html" lang="zh-CN">中文版</a></p><br>'
    verify({"en": page(body)}, names=[])


def test_what_users_named_may_stand_as_they_named_it():
    body = "<td>华南大区</td><td>nan</td><td>trend.rate.rise</td><td>{x}</td>"
    verify({"en": page(body)}, names=["华南", "华南大区", "nan", "trend.rate.rise", "{x}"])


def test_a_long_name_may_be_broken_into_lines_and_cut():
    body = "<svg><text>%s {0}</text><text>{name}</text><text>华南及西…</text></svg>"
    verify({"en": page(body)}, names=["%s {0} {name}", "华南及西南大区"])
    with pytest.raises(Unfit):
        verify({"en": page("<text>华北…</text>")}, names=["华南及西南大区"])


def test_of_a_label_in_both_languages_only_the_english_half_may_stand_in_english():
    from churnlib.reporting.verify import names_in

    assert list(names_in({"a": [text.Label("华南", "South")], "b": "华北"})) == ["a", "South", "b", "华北"]


def test_pages_of_two_languages_hold_the_same():
    with pytest.raises(Unfit, match="<table>"):
        verify({"zh": page("<table></table>", "zh-CN"), "en": page()}, names=[])


def test_a_page_that_is_too_large_is_not_published():
    with pytest.raises(Unfit) as problem:
        verify({"en": page("<p>" + "x" * 1_500_000 + "</p>")}, names=[])
    assert problem.value.key == "render.unfit.too_large"
