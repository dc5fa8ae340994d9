"""The pages under test: the sample report, and with CHURN_PAGES=<folder> a real one instead."""

import os
from pathlib import Path

import pytest

from .look import ARGS, pages


@pytest.fixture(scope="session")
def report(tmp_path_factory) -> dict[str, Path]:
    """The report's HTML file in each language."""
    folder = os.environ.get("CHURN_PAGES")
    if folder:
        return {path.stem.rpartition(".")[2]: path for path in sorted(Path(folder).glob("churn_*.html"))}
    return pages(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        yield made
        made.close()


@pytest.fixture(params=["zh", "en"])
def lang(request, report) -> str:
    if request.param not in report:
        pytest.skip(f"the report has no {request.param} page")
    return request.param


def _opened(browser, path: Path, options: dict):
    """A tab that shows the page, and remembers in `seen` what it asked of the network and what it complained about."""
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
    tab = context.new_page()
    tab.seen = []
    tab.on("request", lambda r: r.url.startswith(("data:", "file:")) or tab.seen.append(r.url))
    tab.on("console", lambda m: tab.seen.append(m.text))
    tab.on("pageerror", lambda e: tab.seen.append(str(e)))
    tab.goto(path.resolve().as_uri())
    return tab


@pytest.fixture(scope="session")
def tabs(browser, report):
    """Tabs that were opened for looking only, by language and options."""
    return {}


@pytest.fixture
def look_at(browser, report, lang, tabs):
    """Give the page with some options of the browser's context, for tests that leave it as it is."""

    def shown(**options):
        key = (lang, repr(sorted(options.items())))
        if key not in tabs:
            tabs[key] = _opened(browser, report[lang], options)
        return tabs[key]

    return shown


@pytest.fixture
def open_page(browser, report, lang):
    """Open a page of its own for a test that changes it."""
    opened = []

    def fresh(**options):
        opened.append(_opened(browser, report[lang], options))
        return opened[-1]

    yield fresh
    for tab in opened:
        tab.context.close()
