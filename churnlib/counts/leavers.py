"""Who is behind a reason: lost customers by name - masked on the screen, unmasked in a private file when asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from churnlib import text
from churnlib.counts import definitions
from churnlib.counts.base import about, has_fee, segment, unit_of
from churnlib.counts.reasons import lost_customers
from churnlib.engine import quote
from churnlib.model.places import home
from churnlib.yamlfile import hint

SHOWN = 20  # rows on the screen
CLOSED_FOLDER, CLOSED_FILE = 0o700, 0o600

# One row per lost customer of the window who named the reason, and reason that they named.
NAMED_BY = """
SELECT i.customer_id, l.customer, l.level, l.lost_on, l.fee, l.lost_to, r.reason
FROM lost AS l
JOIN exit_reasons AS r ON r.survey = l.survey
JOIN ids AS i ON i.customer = l.customer
WHERE l.follow_up = 'answered' AND l.number BETWEEN $first AND $last AND (l.level = $level OR $level = '')
  AND l.survey IN (
    SELECT e.survey FROM exit_reasons AS e JOIN reason_lists AS g ON g.reason = e.reason WHERE g.code = $reason
  )
ORDER BY lost_on NULLS LAST, customer_id NULLS LAST, reason NULLS LAST
"""


@dataclass(frozen=True)
class Leavers:
    """Customers by name: shown masked, exported on demand.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per lost customer who named the reason, the latest last: `customer_id`, personal columns, `level`,
        `lost_on`, `monthly_fee` (minor units), `lost_to`, `reasons` (all that they named). Not masked: not for pages.
    personal : tuple of str
        Columns that only the private file has.
    name : str
        Of the file.
    folder : Path
        Where private files of this data set and period go.
    """

    frame: pd.DataFrame
    personal: tuple[str, ...]
    name: str
    folder: Path

    @property
    def masked(self) -> pd.DataFrame:
        """The list as it may be looked at: identifiers masked, without names and phones, headed in words."""
        rows = self.frame.drop(columns=list(self.personal))
        rows = rows.assign(customer_id=[_masked(i) for i in rows["customer_id"]])
        if "monthly_fee" in rows:
            rows["monthly_fee"] = rows["monthly_fee"] / 100
        rows = rows.rename(columns={name: text.say(f"counts.list.{name}") for name in rows})
        return rows.astype(object).where(rows.notna(), text.MISSING)

    def export(self) -> Path:
        """Write the unmasked list as CSV where only its owner can read it; gives its path.

        The folder is the period's private one: who may enter it is a matter of the operating system.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(CLOSED_FOLDER)
        path = self.folder / f"list.{self.name}.csv"
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, CLOSED_FILE)  # at no moment open to others
        with os.fdopen(handle, "w", encoding="utf-8-sig", newline="") as file:
            _harmless(self.frame).to_csv(file, index=False, lineterminator="\n")
        return path

    def _repr_html_(self) -> str:
        return self.masked.head(SHOWN).to_html(index=False, escape=True)

    def __repr__(self) -> str:
        return self.masked.head(SHOWN).to_string(index=False)


def reason_leavers(data: Any, reason: str, by: str | None = None, level: str | None = None, window: int = 3) -> Leavers:
    """List the lost customers who named a reason: the last step from a reason over a segment to customers.

    Parameters
    ----------
    data : Dataset
    reason : str
        A reason ("price.too_high"), a group ("price"), or a code of the company's own groups.
    by, level : str, optional
        A segment and one of its levels (by its code or its name).
    window : int
        Periods of the churn, ending with the report's.

    Returns
    -------
    Leavers
        One row per lost customer; masked wherever it is shown.

    Raises
    ------
    UsageError
        Unknown reason or level, with near misses.
    """
    if not data.has("exit_survey"):
        raise text.DataError("counts.no_survey")
    unit, name = unit_of(data, None), definitions.spells(data)
    source, division = segment(data, by)
    level = _level(division, level)
    last = about(data, division, unit, name).period
    with lost_customers(data, source, unit, name) as periods:
        known = data.con.frame("SELECT DISTINCT code FROM reason_lists ORDER BY code NULLS LAST")["code"].tolist()
        if reason not in known:
            raise text.UsageError("counts.unknown_reason", reason=reason, hint=hint(reason, known))
        inside = periods.loc[periods["period"].between(str(last.shift(1 - window)), str(last)), "number"]
        ends = {"first": int(inside.min()), "last": int(inside.max())}
        rows = data.con.frame(NAMED_BY, ends | {"reason": reason, "level": level})
    keys = ["customer_id", "customer", "level", "lost_on", "fee", "lost_to"]
    rows["reason"] = [text.say(key) if text.known(key := f"reasons.code.{r}") else r for r in rows["reason"]]
    frame = rows.groupby(keys, sort=False, dropna=False)["reason"].agg("；".join).reset_index(name="reasons")
    frame["level"] = [division.label_of(code).to(text.language()) for code in frame["level"]]
    personal = [column for column in data.spec.roles.personal if column in data.con.columns("customers")]
    frame = frame.merge(_personal(data, personal), on="customer", how="left").drop(columns="customer")
    frame = frame.rename(columns={"fee": "monthly_fee"})
    frame = frame[["customer_id", *personal, "level", "lost_on", "monthly_fee", "lost_to", "reasons"]]
    frame = frame.drop(columns=([] if has_fee(data) else ["monthly_fee"]) + ([] if by else ["level"]))
    frame = frame.drop(columns=[] if frame["lost_to"].notna().any() else ["lost_to"])
    file = "-".join(filter(None, ["reason", reason.replace(".", "-"), by, level]))
    folder = home() / "reports" / data.name / f"{last}.private"
    return Leavers(frame, tuple(personal), _file_name(file), folder)


def _level(division: Any, wanted: str | None) -> str:
    if wanted is None:
        return ""
    names = {
        name: code for code, label in zip(division.levels, division.labels, strict=True) for name in (code, *label)
    }
    if wanted not in names:
        raise text.UsageError("counts.unknown_level", level=wanted, hint=hint(wanted, names))
    return names[wanted]


def _personal(data: Any, columns: list[str]) -> pd.DataFrame:
    names = ", ".join(["customer", *map(quote, columns)])
    return data.con.frame(f"SELECT {names} FROM customers")  # noqa: S608 (quoted)


def _file_name(name: str) -> str:
    """Keep letters, digits and a few signs: a level may be called anything."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:80]


def _masked(identifier: str) -> str:
    """Hide an identifier but for its first two and last two characters."""
    n = len(identifier)
    return identifier[:1] + "*" * (n - 1) if n <= 4 else identifier[:2] + "*" * (n - 4) + identifier[-2:]


def _harmless(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep text that begins like a formula from being run by a spreadsheet."""
    out = frame.copy()
    for name in out.select_dtypes("object").columns:
        out[name] = [f"'{v}" if isinstance(v, str) and v[:1] in tuple("=+-@\t\r") else v for v in out[name]]
    return out
