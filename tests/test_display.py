"""From a result to what readers meet: block, notebook output, page, Excel workbook."""

import json
import re
from dataclasses import dataclass
from datetime import date

import numpy as np
import openpyxl
import pandas as pd
import pytest
from browser import sample

from churnlib import text
from churnlib.about import About, Period, Segment
from churnlib.reporting import page
from churnlib.show import display, excel_out, plots, svg
from churnlib.show.results import Column, Finding, Kpi, Result, Statement
from churnlib.text import Label

EVIL = '=HYPERLINK("http://example.invalid")<script>alert(1)</script>'
ABOUT = About(
    dataset="shop",
    title=Label("示例电信（模拟数据）", "Sample telecom (simulated data)"),
    as_of=date(2026, 1, 12),
    observed_from=date(2024, 1, 1),
    period=Period(date(2025, 12, 1)),
    segment=Segment("region", Label("大区", "Region"), ("华南", EVIL), (Label("华南", "South"), Label(EVIL, EVIL))),
)


@dataclass(frozen=True, kw_only=True)
class Rates(Result):
    """The churn rate of two regions, one of them too small to be shown."""

    module = "trend"
    columns = (
        Column("level", "level"),
        Column("n_opening", "whole"),
        Column("churn_rate", "pct"),
        Column("fee_lost", "money"),
        Column("since", "date"),
    )
    draws: bool = True

    @property
    def findings(self):
        return (Finding("summary.verdict.no_figure", {"period": self.about.period}, "weak", "worse", 12.0),)

    @property
    def subtitle(self):
        return Statement("summary.verdict.no_figure", {"period": self.about.period})

    @property
    def kpis(self):
        return (Kpi("churn_rate", 0.0231, 800, "share", previous=np.float64(0.018), change_clear=np.True_),)

    def plot(self, ax=None):
        labels = [str(self.level(level)) for level in self.shown["level"]]
        return plots.bars(labels, self.shown["churn_rate"], ax=ax) if self.draws else None


@pytest.fixture
def rates() -> Rates:
    table = pd.DataFrame(
        {
            "level": ["华南", EVIL],
            "n_opening": [800, 12],
            "churn_rate": [0.0231, np.nan],
            "fee_lost": [1_234_567, 0],
            "since": pd.to_datetime(["2024-02-29", None]),
            "undeclared": [1, 3],
        }
    )
    return Rates(about=ABOUT, table=table, name="rates")


def test_a_block_is_plain_data_in_both_languages(rates):
    made = json.loads(json.dumps(display.block(rates), allow_nan=False))
    assert made["findings"][0]["text"]["zh"] != made["findings"][0]["text"]["en"]
    assert made["table"]["rows"]["en"][0][:3] == ["South", "800", "2.31%"]
    assert made["table"]["rows"]["zh"][1][2] == "—"
    assert made["svg"]["zh"] != made["svg"]["en"]
    assert made["kpis"][0]["previous"] == 0.018
    assert made["kpis"][0]["year_ago"] is None and made["kpis"][0]["change_clear"] is True
    assert made["kpis"][0]["label"] == {"zh": "流失率", "en": "Churn rate"}


def test_a_block_is_the_same_whatever_language_is_set_and_leaves_it_as_it_was(rates):
    zh = display.block(rates)
    text.set_language("en")
    assert display.block(rates) == zh
    assert text.language() == "en"


def test_only_declared_columns_leave_a_result(rates):
    csv = display.block(rates)["data"]["csv"]
    assert csv.splitlines()[0] == "level,n_opening,churn_rate,fee_lost,since"
    assert "undeclared" not in json.dumps(display.block(rates))


def test_formulas_in_the_data_are_text_in_a_csv(rates):
    assert "'=HYPERLINK" in display.block(rates)["data"]["csv"]


def test_markup_in_the_data_is_text_in_html(rates):
    for lang in text.LANGUAGES:
        html = display.notebook_html(display.block(rates), lang)
        assert "<script" not in html
        assert "&lt;script&gt;" in html


def test_a_notebook_shows_the_block_in_its_language_with_its_own_style(rates):
    bundle = display.mimebundle(rates)
    assert set(bundle) == {"text/html", "text/plain", display.MIME}
    assert 'lang="zh-CN"' in bundle["text/html"] and "<style>" in bundle["text/html"]
    assert svg.ANCHOR not in bundle["text/html"]
    body = re.sub(r"<style>.*?</style>", "", bundle["text/html"], flags=re.S)
    assert "style=" not in body
    selectors = re.findall(r"(?:^|})\s*([^{}@]+){", re.search(r"<style>(.*?)</style>", bundle["text/html"], re.S)[1])
    assert selectors and all(".churn" in selector for selector in selectors)  # no rule touches the rest of the notebook


def test_a_result_without_a_figure_is_a_table(rates):
    made = display.block(Rates(about=ABOUT, table=rates.table, name="rates", draws=False))
    assert made["svg"] is None
    assert "<details" not in display.notebook_html(made, "zh")


def test_a_drawing_that_would_be_too_large_becomes_a_picture(rates, monkeypatch):
    monkeypatch.setattr(svg, "LIMIT", 100)
    made = display.block(rates)
    assert made["svg"] is None and made["png"]["zh"].startswith("iVBOR")
    assert "data:image/png;base64," in display.notebook_html(made, "zh")


def test_a_very_long_table_is_cut_and_says_so(rates):
    table = pd.concat([rates.table] * 100, ignore_index=True)
    made = display.block(Rates(about=ABOUT, table=table, name="rates", draws=False))
    assert len(made["table"]["rows"]["zh"]) == display.MAX_ROWS
    assert "80" in display.notebook_html(made, "en")
    assert made["data"]["csv"].count("\n") == 201


# The page


def render(**changes) -> str:
    report = sample.report("zh")
    return page.render(report | changes)


def test_the_same_report_gives_the_same_page():
    assert render() == render()


def test_chapters_figures_and_tables_are_numbered_and_findings_point_at_them():
    html = render()
    assert re.findall(r'class="label">([图表] \d+)', html)[:3] == ["表 1", "图 1", "图 2"]
    assert '<a href="#trend-rate_by_region">见第 2 章图 2</a>' in html


def test_long_tables_are_linked_and_short_ones_are_inside():
    chapters = sample.report("zh")["chapters"]
    block = chapters[0]["items"][0]["block"]
    long = block | {"data": block["data"] | {"csv": "a\n" * 9000}}
    html = render(chapters=[chapters[0] | {"items": [{"block": block}, {"block": long | {"id": "long"}}]}])
    assert 'href="data:text/csv' in html
    assert 'href="tables/1-trend/ledger.csv"' in html


def test_a_block_shown_twice_keeps_its_names_apart():
    chapters = sample.report("zh")["chapters"]
    item = chapters[0]["items"][1]
    ids = re.findall(r' id="([^"]+)"', render(chapters=[chapters[0] | {"items": [item, item, item]}]))
    assert len(ids) == len(set(ids))


def test_texts_from_users_are_escaped_everywhere():
    meta = sample.report("zh")["meta"] | {"org": EVIL, "title": EVIL, "classification": "</style><script>1</script>"}
    html = render(meta=meta, summary=sample.report("zh")["summary"] | {"verdict": {"text": EVIL, "tone": "worse"}})
    assert html.count("<script") == 1 and html.count("</style>") == 1


def test_prose_is_markdown_below_the_chapters_heading_without_raw_html():
    html = page.prose("## 留存\n\n一段 **话**。\n\n|a|b|\n|-|-:|\n|1|2|\n\n<script>1</script>")
    assert "<h3>留存</h3>" in html and "<strong>话</strong>" in html
    assert 'class="right"' in html and "style=" not in html
    assert "<script" not in html


@pytest.mark.parametrize(
    ("now", "before", "clear", "rise_is", "sign", "tone"),
    [
        (0.02, 0.018, True, "worse", "▲", "worse"),
        (0.016, 0.018, True, "worse", "▼", "better"),
        (0.82, 0.80, True, "better", "▲", "better"),
        (0.78, 0.80, True, "better", "▼", "worse"),
        (0.0181, 0.018, False, "worse", "≈", "steady"),
        (0.02, 0.018, None, "worse", "≈", "steady"),
        (0.02, 0.018, True, "steady", "▲", "steady"),
        (0.02, None, None, "worse", "", "none"),
        (None, 0.018, None, "worse", "", "none"),
        (0.02, 0.0, True, "worse", "▲", "worse"),
    ],
)
def test_a_tile_takes_its_words_from_sign_interval_and_meaning(now, before, clear, rise_is, sign, tone):
    kpi = sample.kpis()[0] | {"value": now, "previous": before, "change_clear": clear, "rise_is": rise_is}
    change = page.tile(kpi, "zh")["changes"][0]
    assert (change["sign"], change["tone"]) == (sign, tone)
    assert change["word"] and not re.search(r"nan|inf|None", str(page.tile(kpi, "en")))


def test_a_change_from_nothing_is_no_percentage():
    kpi = sample.kpis()[1] | {"previous": 0.0}
    assert page.tile(kpi, "zh")["changes"][0]["size"] == text.MISSING


def test_a_tile_sets_value_and_unit_apart():
    money = page.tile(sample.kpis()[2], "zh")
    assert (money["value"], money["unit"]) == ("18.12", "万元")
    rate = page.tile(sample.kpis()[0], "en")
    assert (rate["value"], rate["unit"], rate["interval"]) == ("1.71", "%", "95% interval 1.65–1.77%")


def test_a_spark_line_leaves_gaps_and_needs_two_points():
    assert page._spark([None, 0.5, None], "steady") == ""
    assert page._spark([0.1, None, 0.3, 0.2], "worse").count("M") == 3  # two pieces and the end point


# The workbook


def read(path):
    return openpyxl.load_workbook(path)


def test_a_workbook_is_typed_and_has_notes(rates, tmp_path):
    book = read(rates.to_excel(tmp_path / "rates.xlsx"))
    assert book.sheetnames == ["说明", "rates"]
    sheet = book["rates"]
    assert sheet.freeze_panes == "B2"
    assert [cell.value for cell in sheet[1]] == ["客户群", "期初客户", "流失率", "流失月收入（CNY）", "日期"][:4] + [
        sheet["E1"].value
    ]
    assert sheet["A2"].value == "华南"
    assert (sheet["B2"].value, sheet["B2"].number_format) == (800, "#,##0")
    assert (sheet["C2"].value, sheet["C2"].number_format) == (0.0231, "0.00%")
    assert sheet["C3"].value is None
    assert sheet["D2"].value == 12345.67
    assert sheet["E2"].value.date() == date(2024, 2, 29) and sheet["E3"].value is None
    said = " ".join(str(cell.value) for row in book["说明"].iter_rows() for cell in row)
    assert "示例电信（模拟数据）" in said and "2026-01-12" in said


def test_a_workbook_never_holds_a_formula_and_is_the_same_on_every_run(rates, tmp_path):
    first = excel_out.write_workbook(tmp_path / "a.xlsx", [rates, rates])
    assert first.read_bytes() == excel_out.write_workbook(tmp_path / "b.xlsx", [rates, rates]).read_bytes()
    book = read(first)
    assert book.sheetnames == ["说明", "rates", "rates_2"]
    assert all(cell.data_type != "f" for sheet in book for row in sheet.iter_rows() for cell in row)


def test_a_figure_can_be_written_as_a_picture(rates, tmp_path):
    from dataclasses import dataclass

    from churnlib.show.results import Result

    assert rates.to_png(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")

    @dataclass(frozen=True, kw_only=True)
    class OnlyATable(Result):
        pass

    with pytest.raises(text.UsageError, match="only"):
        OnlyATable(about=rates.about, table=rates.table, name="only").to_png(tmp_path / "b.png")


def test_a_workbook_speaks_the_language_that_is_set(rates, tmp_path):
    text.set_language("en")
    book = read(rates.to_excel(tmp_path / "rates.xlsx"))
    assert book.sheetnames[0] == "Notes"
    assert book["rates"]["A2"].value == "South"
