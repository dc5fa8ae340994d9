"""What the simulated data sets share: files as a company has them, a little dirt, and the truth of an inactivity rule.

Each data set's own script says what happens; nothing here draws a number that it is not asked for. Text is GBK by
default, and equal tables give equal bytes on every run.
"""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

NEVER = 10**6  # a day (since 1970) that never comes
LEDGER = ("n_opening", "n_new", "n_reactivated", "n_churned", "n_churned_opening", "n_closing")
EXCEL_DAY_0 = -25569  # Excel counts days from 1899-12-30
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINK = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_LINKS = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {  # the smallest workbook that Excel opens; SHEETS stands for one entry per sheet
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>SHEETS</Types>',
    "_rels/.rels": f'<Relationships xmlns="{_LINKS}"><Relationship Id="rId1" Type="{_LINK}/officeDocument" '
    'Target="xl/workbook.xml"/></Relationships>',
    "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts>'
    '<fills count="1"><fill><patternFill/></fill></fills><borders count="1"><border/></borders>'
    '<cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="2"><xf/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs>'  # the second one is a date
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0"/></cellStyles></styleSheet>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_LINK}"><sheets>SHEETS</sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_LINKS}">SHEETS'
    f'<Relationship Id="rId0" Type="{_LINK}/styles" Target="styles.xml"/></Relationships>',
}
_PER_SHEET = {
    "[Content_Types].xml": f'<Override PartName="/xl/worksheets/sheet{{i}}.xml" ContentType="{_TYPE}.worksheet+xml"/>',
    "xl/workbook.xml": '<sheet name="{name}" sheetId="{i}" r:id="rId{i}"/>',
    "xl/_rels/workbook.xml.rels": f'<Relationship Id="rId{{i}}" Type="{_LINK}/worksheet" '
    'Target="worksheets/sheet{i}.xml"/>',
}


def write_csv(path: str, table: pd.DataFrame, encoding: str = "gb18030", broken: tuple[str, ...] = ()) -> None:
    """Write a frame of text; `broken` lines are added as they are, spread over the file."""
    columns = [_quoted(pa.array(table[name], pa.string())) for name in table.columns]
    lines = pc.binary_join_element_wise(*columns, ",").to_pylist()
    for k, line in enumerate(broken):
        lines.insert((k + 1) * len(lines) // (len(broken) + 1), line)
    _replace(path, "\r\n".join([",".join(table.columns), *lines, ""]).encode(encoding))


def _quoted(column: pa.Array) -> pa.Array:
    column = pc.fill_null(column, "")
    special = pc.match_substring_regex(column, '[",\r\n]')
    if not pc.any(special).as_py():
        return column
    inner = pc.replace_substring(column, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise('"', inner, '"', ""), column)


def write_xlsx(path: str, sheets: dict[str, tuple[list[str], pd.DataFrame, list[list[str]]]]) -> None:
    """Write sheets: for each name the title lines above the header, the table, and the rows below it (合计, 制表人).

    Dates (datetime64) become true Excel dates, numbers true numbers, everything else text. The time stamps in the file
    are fixed, and strings stand in the cells, so that equal tables give equal bytes.
    """
    names = [{"i": i, "name": escape(name)} for i, name in enumerate(sheets, 1)]
    parts = dict(_PARTS)
    for part, row in _PER_SHEET.items():
        parts[part] = parts[part].replace("SHEETS", "".join(row.format(**name) for name in names))
    for i, (titles, table, footer) in enumerate(sheets.values(), 1):
        parts[f"xl/worksheets/sheet{i}.xml"] = _sheet(titles, table, footer)
    part_file = Path(path + ".part")
    with zipfile.ZipFile(part_file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, xml in parts.items():
            info = zipfile.ZipInfo(name, (2026, 1, 12, 8, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n' + xml)
    os.replace(part_file, path)


def write_files(texts: dict[str, pd.DataFrame], books: dict[str, tuple]) -> dict[str, int]:
    """Write CSV files (name -> table) and workbooks (name -> sheet, titles, table, footer); return the rows of each."""
    for name, table in texts.items():
        write_csv(name, table)
    for name, (sheet, titles, table, footer) in books.items():
        write_xlsx(name, {sheet: (titles, table, footer)})
    return {name: len(table) for name, table in texts.items()} | {name: len(book[2]) for name, book in books.items()}


def _sheet(titles: list[str], table: pd.DataFrame, footer: list[list[str]]) -> str:
    rows = [f"<row>{_text(title)}</row>" for title in titles]
    rows.append(f"<row>{''.join(map(_text, table.columns))}</row>")
    cells = zip(*(_cells(table[name]) for name in table.columns), strict=True)
    rows += [f"<row>{''.join(row)}</row>" for row in cells]
    rows += [f"<row>{''.join(map(_text, row))}</row>" for row in footer]
    last = chr(ord("A") + len(table.columns) - 1)
    merged = "".join(f'<mergeCell ref="A{i}:{last}{i}"/>' for i in range(1, len(titles) + 1))
    merges = f'<mergeCells count="{len(titles)}">{merged}</mergeCells>' if titles else ""
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(rows)}</sheetData>{merges}</worksheet>'


def _cells(column: pd.Series) -> list[str]:
    """Return the cells of one column as XML; each distinct value is formatted once."""
    codes, values = pd.factorize(column, use_na_sentinel=True)
    if np.issubdtype(values.dtype, np.datetime64):
        serial = np.asarray(values, "datetime64[D]").astype(int) - EXCEL_DAY_0
        xml = [f'<c s="1"><v>{day}</v></c>' for day in serial]
    elif np.issubdtype(values.dtype, np.number):
        xml = [f"<c><v>{value}</v></c>" for value in values]
    else:
        xml = [_mixed(value) for value in values]
    return np.array([*xml, "<c/>"], object)[codes].tolist()


def _mixed(value) -> str:
    if isinstance(value, np.datetime64 | pd.Timestamp):
        return f'<c s="1"><v>{int(np.datetime64(value, "D").astype(int)) - EXCEL_DAY_0}</v></c>'
    return _text(str(value))


def _text(value: str) -> str:
    return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>' if value else "<c/>"


def _replace(path: str, content: bytes) -> None:
    part = Path(path + ".part")  # an interrupted run leaves no half file under the declared name
    part.parent.mkdir(exist_ok=True)  # a folder of yearly files
    part.write_bytes(content)
    os.replace(part, path)


def days(day: np.ndarray, pattern: str = "%Y-%m-%d", never: int | None = None) -> np.ndarray:
    """Return days since 1970 as text, "" where the day is `never` or later."""
    day = np.asarray(day)
    known = np.ones(len(day), bool) if never is None else day < never
    distinct, codes = np.unique(np.where(known, day, 0), return_inverse=True)
    words = pd.to_datetime(distinct, unit="D").strftime(pattern).to_numpy(object)
    return np.where(known, words[codes], "")


def words(rng: np.random.Generator, shares: dict[str, float], n: int) -> np.ndarray:
    """Draw n words with these shares, which need not add up to 1."""
    edges = np.cumsum(list(shares.values()))
    place = np.searchsorted(edges / edges[-1], rng.random(n), side="right").clip(max=len(edges) - 1)
    return np.array(list(shares), object)[place]


def yuan(fen: np.ndarray) -> np.ndarray:
    """Write amounts as a ledger does: 1200.50."""
    return np.array([f"{v / 100:.2f}" for v in np.asarray(fen)], object)


def rewrite(
    rng: np.random.Generator, table: pd.DataFrame, column: str, n: int, how: Callable, counts: dict, name: str
) -> None:
    """Write n cells of a column in another way, in place, and count them."""
    rows = np.sort(rng.choice(len(table), n, replace=False))
    table.loc[rows, column] = [how(v) for v in table[column].iloc[rows]]
    counts[name] = n


def repeat(rng: np.random.Generator, table: pd.DataFrame, n: int, counts: dict, name: str) -> pd.DataFrame:
    """Return the table with n rows entered twice, the second time some lines further down."""
    rows = np.sort(rng.choice(len(table), n, replace=False))
    order = np.argsort(np.concatenate([np.arange(len(table)), rows + rng.integers(1, 40, n) + 0.5]), kind="stable")
    counts[name] = n
    return table.iloc[np.concatenate([np.arange(len(table)), rows])[order]].reset_index(drop=True)


def day_of(date: str) -> int:
    """Return a date as days since 1970."""
    return int(np.datetime64(date, "D").astype(int))


def month_of(day: np.ndarray) -> np.ndarray:
    """Return the months of days, both counted since 1970."""
    return np.asarray(day).astype("datetime64[D]").astype("datetime64[M]").astype(int)


def first_of(month: np.ndarray) -> np.ndarray:
    """Return the first days of months, both counted since 1970."""
    return np.asarray(month).astype("datetime64[M]").astype("datetime64[D]").astype(int)


def add_months(day: np.ndarray, n: int) -> np.ndarray:
    """Return the days n calendar months later; the 31st becomes the last day of a shorter month."""
    month = month_of(day)
    of_month = np.asarray(day) - first_of(month)
    return np.minimum(first_of(month + n) + of_month, first_of(month + n + 1) - 1)


def silent_spells(
    active: pd.DataFrame, limit: int | Callable, observed: int, as_of: int, start: np.ndarray
) -> pd.DataFrame:
    """Return the spells of customers who churn by a silence of more than a limit: the rule, in plain Python.

    Parameters
    ----------
    active : pandas.DataFrame
        One row per customer and day of activity: customer (0, 1, ...), day (since 1970).
    limit : int or callable
        Months, or a function that gives the last day as a customer from the days of activity.
    observed, as_of : int
        Days between which activity is recorded.
    start : numpy.ndarray
        Each customer's start; counts as activity where it was observed.

    Returns
    -------
    pandas.DataFrame
        One row per spell: customer, entry (first day in the ledger), is_first, end (NEVER while it lasts). Who started
        before `observed` and was silent for the first limit-length had churned unseen, and comes back.
    """
    signed = pd.DataFrame({"customer": np.arange(len(start)), "day": start})
    days_ = pd.concat([active[["customer", "day"]], signed])
    days_ = days_[(days_["day"] >= observed) & (days_["day"] <= as_of)]
    days_ = days_.drop_duplicates().sort_values(["customer", "day"], ignore_index=True)
    due_of = limit if callable(limit) else lambda day: add_months(day, limit)
    due = due_of(days_["day"].to_numpy())
    who, day = days_["customer"].to_numpy(), days_["day"].to_numpy()
    follows = np.append(who[1:] == who[:-1], False)
    ends = ~follows | (np.append(day[1:], 0) > due)
    begins = np.append(True, ends[:-1])
    first = np.append(True, who[1:] != who[:-1])[begins]
    entry, unseen = day[begins], start[who[begins]] < day[begins]
    late = first & unseen & (entry >= due_of(np.array([observed]))[0])
    table = {"customer": who[begins], "entry": entry, "is_first": first & ~late}
    return pd.DataFrame(table | {"end": np.where(due[ends] <= as_of, due[ends], NEVER)})


def silent_ledger(spells: pd.DataFrame, months: np.ndarray) -> dict[str, list[int]]:
    """Return the ledger of months (since 1970), one number each: opening + new + back - churned = closing."""
    came, left = month_of(spells["entry"]), month_of(spells["end"])
    is_first = spells["is_first"].to_numpy()
    book: dict[str, list[int]] = {name: [] for name in LEDGER}
    for m in months:
        there, lost = (came < m) & (left >= m), left == m
        row = (there.sum(), (is_first & (came == m)).sum(), (~is_first & (came == m)).sum(), lost.sum())
        row = (*row, (lost & there).sum(), ((came <= m) & (left > m)).sum())
        for name, n in zip(LEDGER, row, strict=True):
            book[name].append(int(n))
    return book


def expected_losses(spells: pd.DataFrame, chances: pd.DataFrame, months: np.ndarray, levels: dict) -> dict:
    """Return by segment, level and month: the opening base, its losses, and the losses expected from the chances.

    Parameters
    ----------
    spells : pandas.DataFrame
        From `silent_spells`.
    chances : pandas.DataFrame
        One row per customer and possible churn: customer, m (its month), and one column per cause.
    months : numpy.ndarray
    levels : dict
        Segment -> each customer's level, or a function that gives them as of the first day of a month.
    """
    causes = [name for name in chances if name not in ("customer", "m")]
    at = {
        segment: given if callable(given) else (lambda first, given=given: given) for segment, given in levels.items()
    }
    names = {segment: sorted(set().union(*(given(first_of(m)) for m in months))) for segment, given in at.items()}
    out: dict = {segment: {} for segment in levels}
    for m in months:
        first = first_of(m)
        there = spells[(spells["entry"] < first) & (spells["end"] >= first)]
        lost, rows = month_of(there["end"]) == m, chances[chances["m"] == m]
        for segment, given in at.items():
            level = given(first)
            of_there, of_rows = level[there["customer"]], level[rows["customer"]]
            for name in names[segment]:
                here = of_there == name
                line = {"n_opening": int(here.sum()), "n_churned_opening": int((here & lost).sum())}
                for column, value in (line | rows.loc[of_rows == name, causes].sum().round(3).to_dict()).items():
                    out[segment].setdefault(str(name), {}).setdefault(column, []).append(value)
    return out


def tick(rng: np.random.Generator, cause: np.ndarray, main: np.ndarray, extra: np.ndarray) -> np.ndarray:
    """Draw the reasons that customers tick: a main one by their true cause, and others beside it.

    Parameters
    ----------
    cause : numpy.ndarray
        Index of each customer's true cause.
    main : numpy.ndarray
        Share of main reasons for each true cause: causes x reasons, rows add up to 1.
    extra : numpy.ndarray
        Chance of ticking each reason beside the main one.

    Returns
    -------
    numpy.ndarray of bool
        Customers x reasons.
    """
    chosen = (rng.random((len(cause), 1)) > main[cause].cumsum(1)).sum(1).clip(max=main.shape[1] - 1)
    ticked = rng.random((len(cause), main.shape[1])) < extra
    ticked[np.arange(len(cause)), chosen] = True
    return ticked


def main_reasons(told: dict[str, dict[str, float]], ordinary: dict[str, float]) -> np.ndarray:
    """Return the matrix `main` of `tick`: what those of each cause say, the rest of them whatever people say."""
    usual = np.array(list(ordinary.values())) / sum(ordinary.values())
    own = np.array([[said.get(reason, 0.0) for reason in ordinary] for said in told.values()])
    return own + (1 - own.sum(1, keepdims=True)) * usual


def stated_truth(reasons: list[str], ticked: np.ndarray, answered: np.ndarray) -> dict:
    """Return what those who left would have ticked, all of them, and what those who answered did tick."""
    shares = {"if_all_answered": ticked.mean(0), "among_respondents": ticked[answered].mean(0)}
    told = {name: dict(zip(reasons, share.round(4).tolist(), strict=True)) for name, share in shares.items()}
    return {"n_left": len(ticked), "n_answered": int(answered.sum()), **told}


def stated_by_year(lost: pd.DataFrame, reasons: dict[str, str], causes: list[str]) -> dict:
    """Return by year of the churn the true causes (`true_cause`), and what was ticked (`reasons`, see `stated_truth`).

    Parameters
    ----------
    lost : pandas.DataFrame
        One row per lost customer: due, cause (index), follow_up ("已回访": answered), one column per reason: ticked.
    reasons : dict
        Column -> reason.
    causes : list of str
    """
    out: dict = {"true_cause": {}, "reasons": {}}
    year = lost["due"].to_numpy().astype("datetime64[D]").astype("datetime64[Y]").astype(str)
    for name in ("all", *np.unique(year).tolist()):
        rows = lost[(year == name) | (name == "all")]
        ticked, answered = rows[list(reasons)].to_numpy(bool), (rows["follow_up"] == "已回访").to_numpy()
        out["reasons"][name] = stated_truth(list(reasons.values()), ticked, answered)
        out["true_cause"][name] = rows["cause"].map(lambda c: causes[int(c)]).value_counts().to_dict()
    return out


def by_arm(treated: np.ndarray, happened: np.ndarray) -> dict:
    """Return n and events of a campaign's treated and control customers."""
    arms = {"treated": treated, "control": ~treated}
    return {arm: {"n": int(who.sum()), "n_events": int(happened[who].sum())} for arm, who in arms.items()}
