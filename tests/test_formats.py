"""The report's other forms say what the page says: the mail's body, the workbook's first table, the page on paper."""

import re
from datetime import UTC, date, datetime

import openpyxl
import pytest
import report_home
from report_home import both, kpi

from churnlib import text
from churnlib.about import About, Period
from churnlib.reporting import formats
from churnlib.reporting.verify import Page
from churnlib.text import Label

MOMENT = datetime(2026, 1, 13, 6, 0, tzinfo=UTC)
ABOUT = About("shop", Label("店", "Shop"), date(2026, 1, 12), date(2024, 1, 1), Period.parse("2025-12"))
HOSTILE = '<script>alert(1)</script>=1+1 "&'


def report(language, **meta):
    """Give what the templates take."""
    told = {"language": language, "title": both("月报", "Report"), "org": both("公司", "Company"), "status": "final"}
    told |= {"period": "2025-12", "data_through": "2026-01-12", "warnings": [], "run_id": "r", "classification": "x"}
    finding = {"text": both(f"**发现** {HOSTILE}", f"**finding** {HOSTILE}"), "grade": "moderate", "tone": "worse"}
    summary = {
        "verdict": {"text": both("**2.31%**", "**2.31%**"), "beside": "", "tone": "worse"},
        "kpis": [kpi(target=0.018), kpi("lost", 1_234_500, unit="money", label=both("收入", "Revenue"))],
        "findings": [finding],
        "decisions": [{"text": both("查", "Look"), "owner": "A", "due": ""}],
    }
    blocks = [{"block": report_home.block(rows=(("=1+1", "2.31%"),))}]
    chapters = [{"id": "trend", "title": "t", "notebook": "1", "items": blocks}]
    return {"meta": told | meta, "summary": summary, "chapters": chapters}


@pytest.mark.parametrize("language", text.LANGUAGES)
def test_a_mail_has_the_verdict_and_the_figures_and_nothing_that_mail_programs_drop(language):
    html = formats.mail(report(language), ["churn.html"])
    page = Page(html)
    assert page.faults == [] and page.levels == [1, 2, 2]
    assert not re.search(r"<(?:svg|script|style|img|link|form)\b|\bclass=|\bvar\(|<a ", html)
    words = " ".join(page.words)
    assert "2.31" in words and "1.80%" in words and "churn.html" in words and "alert(1)" in words
    assert html == formats.mail(report(language), ["churn.html"]) and len(html) < 20_000


def test_a_mail_warns_where_the_page_does():
    assert "rules differ" in formats.mail(report("en", warnings=["rules differ"]), [])


def test_the_workbook_begins_with_the_figures_of_the_period(tmp_path):
    told = report("en")
    formats.write_workbook(tmp_path / "a.xlsx", told, told["summary"]["kpis"], ABOUT)
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert book.sheetnames == ["Notes", "Figures", "churn_rate"]
    rate, lost = list(book["Figures"].iter_rows(min_row=2))
    assert (rate[0].value, rate[1].value, rate[1].number_format) == ("Churn rate", 0.0231, "0.00%")
    assert (lost[1].value, lost[1].number_format) == (12345.00, '#,##0.00 "CNY"')  # minor units in, major out
    assert rate[2].value is None and rate[-1].value == 12000
    assert book["churn_rate"]["A2"].value == "'=1+1" and book["churn_rate"]["A2"].data_type == "s"
    links = [cell.hyperlink.location or cell.hyperlink.ref for cell in book["Notes"]["A"] if cell.hyperlink]
    assert len(links) == 2


def test_a_page_printed_twice_gives_the_same_bytes_with_the_reports_date(chromium, tmp_path):
    (tmp_path / "a.html").write_text("<!DOCTYPE html><html lang='en'><title>t</title><p>流失 churn</p></html>", "utf-8")
    made = []
    for name in ("one.pdf", "other.pdf"):
        formats.print_page(tmp_path / "a.html", tmp_path / name, MOMENT)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1] and made[0].startswith(b"%PDF")
    assert set(re.findall(rb"\(D:(\d{14})", made[0])) == {b"20260113060000"}
    assert {path.name for path in tmp_path.iterdir()} == {"a.html", "one.pdf", "other.pdf"}  # no browser's profile


def test_a_browser_that_prints_nothing_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("CHROMIUM", "/bin/false")
    (tmp_path / "a.html").write_text("x")
    with pytest.raises(text.ChurnError) as problem:
        formats.print_page(tmp_path / "a.html", tmp_path / "a.pdf", MOMENT)
    assert problem.value.key == "report.not_printed"


def test_without_a_browser_a_pdf_is_refused_before_anything_starts(tmp_path):
    home = report_home.home(tmp_path)
    code, out, err = report_home.report(home, "--pdf", CHROMIUM="/nowhere")
    assert (code, out) == (2, []) and "CHROMIUM" in err
