"""What counts as revenue: which kinds of activity bring money, said in a note, and given as one view.

A shipment to a customer is only moved stock, a deposit stays the customer's, arrears are not paid: none is revenue
unless the data set says so. Returns and refunds are deducted, whichever sign they were recorded with.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from churnlib import text
from churnlib.model.vocabulary import ACTIVITY_KINDS
from churnlib.text import Label

DEDUCTED = ("return", "refund")
NEVER = ("arrears", "deposit")
LAST_RESORT = ("payment", "shipment")  # in this order, only where nothing else records what customers bring

# One row per activity of a kind that is revenue: amounts in minor units, returns negative. Its few words are in the
# text, because a view takes no parameters.
REVENUE = """
CREATE TEMP VIEW revenue AS
SELECT customer, date, {amount} AS amount FROM activity WHERE {counted}
"""
KINDS = "SELECT DISTINCT kind FROM activity ORDER BY kind NULLS LAST"
ANY = "SELECT count(*) FROM (SELECT 1 FROM activity WHERE {what} LIMIT 1) AS one"


def make_revenue(data: Any) -> None:
    """Make the view `revenue`, once: one row per activity that is revenue (see REVENUE)."""
    con = data.con
    if con.table_exists("revenue"):
        return
    # what filters nothing is left out: to look at every row costs as much as to read another column
    amount, counted = "amount", ["amount IS NOT NULL"] if con.value(ANY.format(what="amount IS NULL")) else []
    if "kind" in con.columns("activity"):
        kinds = revenue_kinds(data)
        back = among([kind for kind in kinds if kind in DEDUCTED])
        amount = f"CASE WHEN {back} THEN -abs(amount) ELSE amount END" if back else amount
        if len(kinds) < len(_present(data)):
            counted.append(f"({among(kinds) or 'FALSE'})")
    con.run(REVENUE.format(amount=amount, counted=" AND ".join(counted) or "TRUE"))


def _present(data: Any) -> tuple[str | None, ...]:
    """The kinds of activity with an amount, looked for once."""

    def look() -> tuple[str | None, ...]:
        kinds = [kind if isinstance(kind, str) else None for kind in data.con.frame(KINDS)["kind"]]
        told = "({}) AND amount IS NOT NULL".format
        return tuple(kind for kind in kinds if data.con.value(ANY.format(what=told(among([kind])))))

    return data.con.once("kinds with amounts", look)


def revenue_kinds(data: Any) -> tuple[str | None, ...]:
    """Give the kinds of activity in the data that are revenue or deducted from it; None stands for rows without a kind.

    Raises
    ------
    DataError
        dataset.yml declares a kind that no activity can have.
    """
    present = _present(data)
    declared = data.spec.revenue_kinds
    if declared is not None:
        known = {*ACTIVITY_KINDS, *DEDUCTED, *(kind for kind in present if kind)}
        for kind in declared:
            if kind not in known:
                raise text.DataError("revenue.unknown_kind", kind=kind, known=sorted(known))
        return tuple(kind for kind in present if kind in declared or kind in DEDUCTED)
    told = [kind for kind in present if kind not in (*NEVER, *LAST_RESORT)]
    if not [kind for kind in told if kind not in DEDUCTED]:
        told += [kind for kind in LAST_RESORT if kind in present][:1]
    return tuple(told)


def revenue_note(data: Any) -> Label:
    """Say which kinds of activity are revenue, and which of those recorded are not."""
    if not data.has("activity.amount") or "kind" not in data.con.columns("activity"):
        return text.label("revenue.note.all")
    kinds = revenue_kinds(data)
    groups = {
        "counted": [kind for kind in kinds if kind not in DEDUCTED],
        "deducted": [kind for kind in kinds if kind in DEDUCTED],
        "left_out": [kind for kind in _present(data) if kind not in kinds],
    }
    return Label(*(_note(groups, language) for language in text.LANGUAGES))


def _note(groups: dict[str, list], language: str) -> str:
    told = [
        text.say(f"revenue.note.{group}", language, kinds=[_name(kind, language) for kind in kinds])
        for group, kinds in groups.items()
        if kinds
    ]
    return ("" if language == "zh" else " ").join(told)


def _name(kind: str | None, language: str) -> str:
    if kind and not text.known(f"revenue.kind.{kind}"):  # the company's own word
        return kind
    return text.say(f"revenue.kind.{kind or 'none'}", language)


def among(kinds: Iterable[str | None]) -> str:
    """Give a condition on the kind, in SQL; empty if there is none to name."""
    words = ", ".join("'" + kind.replace("'", "''") + "'" for kind in kinds if kind)
    told = [f"kind IN ({words})"] if words else []
    return " OR ".join(told + (["kind IS NULL"] if None in kinds else []))
