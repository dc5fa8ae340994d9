"""Print the sample report, or a real one, to pictures for the eye.

PYTHONPATH=tests python -m browser.look OUT [REPORT_FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from churnlib.reporting import page

from . import sample

ARGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
VIEWS = {
    "screen": {"viewport": {"width": 1280, "height": 900}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True},
}


def pages(folder: Path) -> dict[str, Path]:
    """Write the sample report in both languages."""
    made = {}
    for lang in ("zh", "en"):
        made[lang] = folder / f"churn_2025-12.{lang}.html"
        made[lang].write_text(page.render(sample.report(lang)), "utf-8")
    return made


def main(out: Path, report: Path | None = None) -> None:
    out.mkdir(parents=True, exist_ok=True)
    files = {f.stem.rpartition(".")[2]: f for f in report.glob("churn_*.html")} if report else pages(out)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        for lang, path in files.items():
            for view, options in VIEWS.items():
                tab = browser.new_context(**options).new_page()
                tab.on("console", lambda message: print("console:", message.text))
                tab.goto(path.resolve().as_uri())
                tab.screenshot(path=out / f"{lang}_{view}_first.png")
                tab.screenshot(path=out / f"{lang}_{view}.png", full_page=True)
                if view == "screen":
                    tab.pdf(path=out / f"{lang}.pdf", prefer_css_page_size=True, print_background=True)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
