"""A report in its other forms: the workbook of all tables, the body of a mail, and the page on paper."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from churnlib import text
from churnlib.about import About
from churnlib.text import Label

FORMATS = ("xlsx", "mail", "pdf")
USUAL = ("xlsx", "mail")  # paper needs a browser: on demand
NAMES = {"html": "churn_{}.{}.html", "xlsx": "churn_{}.{}.xlsx", "mail": "mail_{}.{}.html", "pdf": "churn_{}.{}.pdf"}
PRINT_SECONDS = 120
_DATE = re.compile(rb"\(D:\d{14}\+00'00'\)")
_KPI_COLUMNS = ("value", "ci_lower", "ci_upper", "previous", "year_ago", "target")
_KPI_FORMATS = {"share": "0.00%", "customers": "#,##0", "months": "0.0", "money": "#,##0.00"}


def name(kind: str, period: Any, language: str) -> str:
    """Name the file of one form in one language."""
    return NAMES[kind].format(period, language)


def write_workbook(path: Path, report: dict[str, Any], kpis: list[dict[str, Any]], about: About) -> None:
    """Write all figures and tables of a report (as `template/index.html.j2` takes it) as one typed workbook.

    It is in the report's language, and its first table holds every figure of the period.
    """
    from churnlib.show import excel_out

    language = report["meta"]["language"]
    blocks = [{"id": text.say("excel.kpis", language), "sheet": _kpi_sheet(kpis), "notes": _kpi_notes(kpis)}]
    for chapter in report["chapters"]:
        for block in (item["block"] for item in chapter["items"] if "block" in item):
            said = [f["text"] for f in block["findings"]] + ([block["subtitle"]] if block["subtitle"] else [])
            blocks.append({"id": block["id"], "sheet": block["sheet"], "notes": said + block["notes"]})
    excel_out.write_blocks(path, blocks, excel_out.about_rows(about, language), language)


def _kpi_sheet(kpis: list[dict[str, Any]]) -> dict[str, Any]:
    own = [_KPI_FORMATS[kpi["unit"]] + (f' "{kpi["currency"]}"' if kpi["unit"] == "money" else "") for kpi in kpis]
    formats = {"kpi": [None], **dict.fromkeys(_KPI_COLUMNS, own or [None]), "n": ["#,##0"]}
    columns = [{"label": text.label(f"excel.{head}")._asdict(), "formats": of} for head, of in formats.items()]
    rows = [
        [kpi["label"], *(_major(kpi.get(column), kpi["unit"]) for column in _KPI_COLUMNS), kpi["n"]] for kpi in kpis
    ]
    return {"columns": columns, "rows": rows}


def _kpi_notes(kpis: list[dict[str, Any]]) -> list[dict[str, str]]:
    words = ((Label.of(kpi["label"]), Label.of(kpi["note"])) for kpi in kpis)
    return [text.label("excel.kpi_note", label=label, note=note)._asdict() for label, note in words]


def _major(value: float | None, unit: str) -> float | None:
    return value / 100 if value is not None and unit == "money" else value


def mail(report: dict[str, Any], files: list[str]) -> str:
    """Give the body of a mail in the report's language: what the first page says, with inline styles, nothing drawn.

    It names the files that are published with it.
    """
    from churnlib.reporting import page
    from churnlib.show import display

    tiles = [page.tile(kpi, report["meta"]["language"]) for kpi in report["summary"]["kpis"]]
    made = display.templates().get_template("mail.html.j2").render(report=report, tiles=tiles, files=files)
    return page.tight(made) + "\n"


def browser() -> str:
    """Give the browser that prints; raises UsageError, before anything starts, where there is none."""
    from churnlib.reporting import doctor

    found = doctor.find_browser()
    if found is None:
        raise text.UsageError("report.no_browser")
    return found


def print_page(html: Path, pdf: Path, moment: datetime) -> None:
    """Print a page on A4 through the browser; the file's dates are the report's, so that the same report gives the
    same bytes.

    Raises
    ------
    ChurnError
        The browser failed or took too long.
    """
    with tempfile.TemporaryDirectory(dir=html.parent, prefix=".browser-", ignore_cleanup_errors=True) as profile:
        command = [
            *(browser(), "--headless", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
            *(f"--user-data-dir={profile}", "--no-pdf-header-footer", f"--print-to-pdf={pdf}", html.as_uri()),
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # chromium's own refuses to work for root
        told = _run(command)
    if not pdf.is_file():
        raise text.ChurnError("report.not_printed", why=(told.strip().splitlines() or [text.MISSING])[-1][:200])
    stamp = f"(D:{moment.astimezone(UTC):%Y%m%d%H%M%S}+00'00')".encode()
    pdf.write_bytes(_DATE.sub(stamp, pdf.read_bytes()))  # as long as before: the file's table of places still holds


def _run(command: list[str]) -> str:
    """Run the browser and give what it complained of; it and its children end in any case."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, errors="replace", start_new_session=True, **quiet) as process:
        try:
            return process.communicate(timeout=PRINT_SECONDS)[1]
        except subprocess.TimeoutExpired:
            return f"{PRINT_SECONDS} s"
        finally:
            with suppress(OSError, AttributeError):  # all gone, or Windows
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
