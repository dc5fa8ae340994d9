"""The churn form of one customer as an Excel sheet to be filled in: what the data know stands in it already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnlib import text
from churnlib.model.vocabulary import EVALUATIONS, FOLLOW_UPS, MEASURES, RELATIONSHIPS

if TYPE_CHECKING:
    from churnlib.model.dataset import Dataset

BOX = "□"
REASONS = (  # ten to tick where the data set declares none of its own
    "price.too_high product.quality product.range service.attitude service.delivery relationship.no_contact "
    "trust.promise_broken competitor.offer access.distance natural.closed"
).split()
_PAIRS = (  # two fields a row
    ("customer_id", "name"),
    ("legal_representative", "phone"),
    ("address", "manager"),
    ("start_date", "end_date"),
    ("monthly_fee", "business_condition"),
)
_BLANKS = ("lost_to", "follow_up", "text")
_ATTRIBUTES = ("name", "legal_representative", "phone", "address", "manager", "business_condition")


def print_form(data: Dataset, customer_id: str, path: Path) -> Path:
    """Write the churn form of one customer; it holds personal data, so only its owner may read it.

    Parameters
    ----------
    data : Dataset
    customer_id : str
    path : Path
        The xlsx file to write; given back.

    Raises
    ------
    UsageError
        The data set has no such customer.
    """
    import openpyxl
    from openpyxl.styles import Alignment, Border, Font, Side

    known, words = _known(data, customer_id), _choices(data)
    sheet = (book := openpyxl.Workbook()).active
    sheet.title = text.say("churn_form.title")
    rows = [[text.say("churn_form.title"), "", "", ""]]
    for left, right in _PAIRS:
        rows.append([_label(left), known.get(left, ""), _label(right), known.get(right, "")])
    rows += [[_label(name), "\n".join(f"{BOX} {word}" for word in words[name]), "", ""] for name in words]
    rows += [[_label(name), "", "", ""] for name in _BLANKS if name not in words]
    rows.append([_label("author"), "", _label("date"), ""])
    line = Side(style="thin")
    for i, row in enumerate(rows, 1):
        for j, value in enumerate(row, 1):
            cell = sheet.cell(i, j, value)
            cell.data_type = "s"  # a name that begins with = is a name and no formula
            cell.border = Border(line, line, line, line)
            cell.alignment = Alignment(wrap_text=True, vertical="center")
        if not row[2] and i > 1:
            sheet.merge_cells(start_row=i, end_row=i, start_column=2, end_column=4)
            sheet.row_dimensions[i].height = 15 * max(2, str(row[1]).count("\n") + 1)
    sheet.merge_cells("A1:D1")
    sheet["A1"].font, sheet["A1"].alignment = Font(bold=True, size=14), Alignment(horizontal="center")
    for column, width in zip("ABCD", (22, 30, 22, 30), strict=True):
        sheet.column_dimensions[column].width = width
    sheet.page_setup.paperSize, sheet.page_setup.fitToWidth = sheet.PAPERSIZE_A4, 1
    sheet.sheet_properties.pageSetUpPr = openpyxl.worksheet.properties.PageSetupProperties(fitToPage=True)
    path.touch(mode=0o600)
    book.save(path)
    return path


def _known(data: Dataset, customer_id: str) -> dict[str, str]:
    """What the data say about the customer: field of the form -> text."""
    sql = "SELECT c.* FROM customers AS c JOIN ids AS i ON i.customer = c.customer WHERE i.customer_id = $customer"
    found = data.con.frame(sql, {"customer": customer_id})
    if found.empty:
        raise text.UsageError("churn_form.unknown_customer", customer=customer_id, dataset=data.name)
    row: dict[str, Any] = found.iloc[0].to_dict()
    shown = {name: row[name] for name in _ATTRIBUTES if isinstance(row.get(name), str)}
    for name in ("start_date", "end_date"):
        shown[name] = text.show(row[name], "date").replace(text.MISSING, "")
    if (fee := row.get("monthly_fee")) is not None and fee == fee:
        shown["monthly_fee"] = f"{fee / 100:.2f}"
    return {"customer_id": customer_id, **shown}


def _choices(data: Dataset) -> dict[str, list[str]]:
    """Field -> the words to tick; reasons in the company's own words where it declares them."""
    own = list(dict.fromkeys([*data.spec.reasons.columns, *data.spec.reasons.values]))
    reasons = own[:12] or [text.say(f"reasons.code.{code}") for code in REASONS]
    other = text.say("churn_form.measures.other")
    lists = {"churn_form.relationship": RELATIONSHIPS, "reasons": (), "churn_form.measures": MEASURES}
    lists |= {"churn_form.evaluation": EVALUATIONS, "reasons.follow_up": FOLLOW_UPS}
    choices = {key.split(".")[-1]: [text.say(f"{key}.{code}") for code in codes] for key, codes in lists.items()}
    return choices | {"reasons": [*(reason for reason in reasons if reason != other), other]}


def _label(name: str) -> str:
    return text.say(f"churn_form.label.{name}")
