"""The rendered report in a real browser, in both languages: on screen, in the dark, on a phone, on paper."""

import os
import re
import shutil
import subprocess

import pytest

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "device_scale_factor": 2}
SHEET = {"viewport": {"width": 695, "height": 1000}}  # what 13 mm margins leave of A4, in CSS pixels
SHEET_HEIGHT = (297 - 14 - 18) / 25.4 * 96

TEXTS = """() => [...document.querySelectorAll("svg.chart")].map(svg => {
  const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
  const texts = [...svg.querySelectorAll("text")].map(t => ({said: t.textContent, box: t.getBoundingClientRect(),
    size: parseFloat(getComputedStyle(t).fontSize) * scale, fill: getComputedStyle(t).fill})).filter(t => t.box.width);
  const out = texts.filter(t => t.box.left < box.left - 1 || t.box.right > box.right + 1 ||
    t.box.top < box.top - 1 || t.box.bottom > box.bottom + 1).map(t => t.said);
  const meet = [];
  texts.forEach((a, i) => texts.slice(i + 1).forEach(b => {
    const w = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
    const h = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
    if (w > 1 && h > 5 * scale) meet.push(a.said + " | " + b.said);
  }));
  return {figure: svg.closest("figure").id, n: texts.length, smallest: Math.min(...texts.map(t => t.size)), out, meet,
          fills: [...new Set(texts.map(t => t.fill))]};
})"""
OVERFLOW = "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
CLIPPED = """() => [...document.querySelectorAll(".scroll")].filter(e => e.scrollWidth > e.clientWidth + 1)
  .map(e => e.closest("figure, section").id + " " + e.scrollWidth + " > " + e.clientWidth)"""
BOTTOM = "selector => document.querySelector(selector).getBoundingClientRect().bottom"


def test_it_asks_for_nothing_and_complains_of_nothing(open_page):
    page = open_page()
    page.wait_for_timeout(200)
    assert page.seen == []


def test_nothing_that_is_injected_runs_or_reports_home(open_page):
    page = open_page()
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.ran = 1";
        const image = new Image();
        image.src = "https://example.invalid/x.png";
        document.body.append(script, image);
        document.body.setAttribute("onclick", "window.ran = 2");
        document.body.click();
    }""")
    page.wait_for_timeout(200)
    assert page.evaluate("() => window.ran") is None
    assert sum("Content Security Policy" in seen for seen in page.seen) >= 3


def test_no_link_leaves_the_report(report, lang):
    html = report[lang].read_text("utf-8")
    assert not re.findall(r'(?:src|href|action)="(?:https?:)?//[^"]*"', html)


def test_it_is_small(report, lang):
    html = report[lang].read_text("utf-8")
    drawn = [len(svg.encode()) for svg in re.findall(r'<svg class="chart".*?</svg>', html, re.S)]
    assert len(html.encode()) <= (1_000_000 if len(drawn) <= 15 else 1_500_000) and max(drawn) <= 150_000


def test_it_is_complete_without_its_script(open_page):
    words = [open_page(java_script_enabled=on).locator("body").inner_text() for on in (True, False)]
    assert words[0] == words[1]


def test_no_code_and_no_warning_is_shown(look_at):
    page = look_at()
    assert page.locator("pre, code, .traceback, .stderr").count() == 0
    assert not re.search(r"Traceback|Warning:|In \[\d", page.locator("body").inner_text())


def test_ids_are_unique_anchors_lead_somewhere_and_headings_nest(look_at):
    page = look_at()
    ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
    assert len(ids) == len(set(ids))
    anchors = page.eval_on_selector_all("a[href^='#']", "all => all.map(e => decodeURIComponent(e.hash.slice(1)))")
    used = page.eval_on_selector_all("[href^='#']", "all => all.map(e => e.getAttribute('href').slice(1))")
    assert anchors and set(anchors) | set(used) <= set(ids)
    levels = page.eval_on_selector_all("h1, h2, h3, h4, h5, h6", "all => all.map(e => +e.tagName[1])")
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False))


@pytest.mark.parametrize("width", [1440, 1280, 1024, 390])
def test_the_page_never_scrolls_sideways(look_at, width):
    page = look_at(viewport={"width": width, "height": 900})
    full, seen = page.evaluate(OVERFLOW)
    assert full <= seen
    if width >= 1024:  # no table or figure hides columns on a desk; a phone may scroll them
        assert page.evaluate(CLIPPED) == []


def test_the_first_screen_holds_verdict_tiles_and_findings(look_at):
    page = look_at()
    warned = page.eval_on_selector_all(".warning", "all => all.reduce((sum, e) => sum + e.offsetHeight + 12, 0)")
    assert page.evaluate(BOTTOM, ".verdict") < 330 + warned
    assert page.evaluate(BOTTOM, ".tiles") < 640 + warned
    last = "first" if os.environ.get("CHURN_PAGES") else "last"  # a real finding may be long: its top at least
    assert page.evaluate(BOTTOM, f".findings li:{last}-child") <= 900
    assert last == "first" or page.evaluate(BOTTOM, ".decisions") <= 900


def test_on_paper_the_summary_is_one_sheet_and_nothing_is_cut(open_page):
    page = open_page(**SHEET)
    page.emulate_media(media="print")
    assert page.evaluate(BOTTOM, ".summary") <= SHEET_HEIGHT
    assert page.evaluate(CLIPPED) == []
    full, seen = page.evaluate(OVERFLOW)
    assert full <= seen
    tall = "all => all.map(e => e.getBoundingClientRect().height)"
    assert max(page.eval_on_selector_all("figure svg.chart", tall)) < SHEET_HEIGHT * 0.85
    assert page.locator("thead").first.evaluate("e => getComputedStyle(e).display") == "table-header-group"


def test_on_paper_every_sheet_is_numbered(open_page, tmp_path):
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not on this machine")
    page = open_page()
    page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True, print_background=True)
    said = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "report.pdf", "-"], capture_output=True, text=True, check=True
    )
    sheets = said.stdout.split("\f")[:-1]
    for number, sheet in enumerate(sheets, start=1):
        assert re.search(rf"\b{number} ?/ ?{len(sheets)}\b", sheet)
    assert sheets[1].lstrip().startswith("2 ")  # the second chapter begins the second sheet


@pytest.mark.parametrize(
    "options",
    [{}, {"viewport": {"width": 1024, "height": 800}}, PHONE, {"color_scheme": "dark"}],
    ids=["screen", "small screen", "phone", "dark"],
)
def test_every_text_of_every_figure_is_inside_apart_and_readable(look_at, options):
    for figure in look_at(**options).evaluate(TEXTS):
        assert figure["n"] > 0
        assert figure["out"] == [], figure["figure"]
        assert figure["meet"] == [], figure["figure"]
        assert figure["smallest"] >= 10, figure["figure"]


def test_figures_have_room_for_wider_fonts_than_ours(open_page):
    page = open_page(bypass_csp=True)
    page.add_style_tag(content="svg.chart text { letter-spacing: .025em }")
    for figure in page.evaluate(TEXTS):
        assert figure["out"] == [], figure["figure"]
        assert figure["meet"] == [], figure["figure"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_violation(open_page, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True)
    page.eval_on_selector_all("details", "all => all.forEach(e => e.open = true)")
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:160]) for v in found] == []


def contrast(one: str, other: str) -> float:
    def luminance(color):
        parts = [int(c) / 255 for c in re.findall(r"\d+", color)[:3]]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_can_be_read_in_both_schemes(look_at, scheme):
    page = look_at(color_scheme=scheme)
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    for figure in page.evaluate(TEXTS):
        for fill in figure["fills"]:
            assert contrast(fill, ground) >= 4.5, (figure["figure"], fill)


def test_every_figure_says_what_it_shows_and_has_its_numbers(look_at):
    page = look_at()
    for figure in page.locator("figure.block:has(.label)").all():
        assert figure.locator("table").count() == 1
        assert figure.locator("table caption").text_content().strip()
        for drawing in figure.locator("svg.chart, img").all():
            said = drawing.get_attribute("aria-label") or drawing.get_attribute("alt") or ""
            assert figure.locator(".finding").text_content().strip() in said  # with its key number
        scopes = figure.locator("th").evaluate_all("all => all.map(e => e.getAttribute('scope'))")
        assert scopes and set(scopes) <= {"col", "row"}


def test_every_figure_and_table_is_numbered_in_order_with_measure_and_notes(look_at, lang):
    page = look_at()
    labels = page.locator("figure.block .label").all_text_contents()
    words = {"zh": ("图", "表"), "en": ("Figure", "Table")}[lang]
    for word in words:
        numbers = [int(label.split()[1]) for label in labels if label.split()[0] == word]
        assert numbers == list(range(1, len(numbers) + 1))
    assert len(labels) == page.locator("figure.block:has(table)").count()  # a sentence alone has no number
    assert page.locator("figure.block .finding").count() == page.locator("figure.block").count()
    drawn = page.locator("figure.block:has(svg.chart)")
    for part in (".subtitle", ".notes p"):  # measure, coverage, period; definition, n, method
        assert drawn.filter(has=page.locator(part)).count() == drawn.count() > 0, part


def test_meaning_never_depends_on_colour_alone(look_at):
    page = look_at()
    for kind, word in ((".verdict", ".tone"), (".tile .change", ".word"), (".findings .proof", ".grade")):
        assert page.locator(kind).count() > 0
        for place in page.locator(kind).all():
            assert place.locator(word).inner_text().strip()


def test_tiles_say_value_interval_or_base_and_both_comparisons(look_at):
    page = look_at()
    for tile in page.locator(".tile").all():
        assert re.search(r"\d|—", tile.locator(".value").inner_text())
        assert re.search(r"\d", tile.locator(".interval").inner_text())
        assert tile.locator(".change").count() == 2
    numbers = " ".join(page.locator(".tile, td, svg.chart text").all_text_contents())
    assert not re.search(r"\b(inf|nan|NaT|None)\b|[-−]0(\.0+)?%", numbers)


def test_the_run_record_closes_the_page(look_at):
    assert look_at().locator("#record ~ div table tr").count() >= 3


def test_the_language_is_declared_and_kept(look_at, lang):
    page = look_at()
    assert page.evaluate("() => document.documentElement.lang") == {"zh": "zh-CN", "en": "en"}[lang]
    # names that users gave are marked on an English page; on a Chinese one they may hold other punctuation
    named = ", td, tbody th, svg, .finding, .findings" if os.environ.get("CHURN_PAGES") and lang == "zh" else ""
    words = page.evaluate(
        """others => { const copy = document.body.cloneNode(true);
        copy.querySelectorAll("[lang], script, style" + others).forEach(e => e.remove()); return copy.textContent }""",
        named,
    )
    assert not re.search(r"\b(?:template|results|kpi|plots)\.[a-z_]+", words)
    if lang == "en":
        assert not re.search(r"[\u4e00-\u9fff]", words)
    else:
        assert not re.findall(r"[\u4e00-\u9fff][,;:?!(]|[,;:?!)][\u4e00-\u9fff]", words)


def test_minus_signs_are_minus_signs(look_at):
    shown = " ".join(look_at().locator(".tile, svg.chart text, td.number").all_text_contents())
    assert not re.search(r"(?<![\d\w])-\d", shown)


def test_both_languages_show_the_same_figures(browser, report):
    if len(report) < 2:
        pytest.skip("the report has one language")
    counts = []
    for path in report.values():
        page = browser.new_page()
        page.goto(path.resolve().as_uri())
        counts.append(
            page.evaluate("""() => ["figure", "svg.chart", "table", "tr", ".tile", "section", "h2", "h3"]
                .map(s => document.querySelectorAll(s).length)
                .concat([...document.querySelectorAll("figure")].map(e => e.id))""")
        )
        page.close()
    assert counts[0] == counts[1]


def test_the_link_to_the_other_language_leads_to_it(open_page, report, lang):
    if len(report) < 2:
        pytest.skip("the report has one language")
    page = open_page()
    page.locator(".facts .other a").click()
    assert page.evaluate("() => document.documentElement.lang") == {"zh": "en", "en": "zh-CN"}[lang]


def test_keyboard_readers_can_skip_to_the_report(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.url.endswith("#summary")
