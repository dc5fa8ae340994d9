"""A folder of files -> a proposed data set: files copied, a dataset.yml with comments on what was guessed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from churnlib import text
from churnlib.model import places, schema, synonyms
from churnlib.model.crosscheck import is_slip
from churnlib.model.looking import Column, Found, look
from churnlib.model.matching import CAMEL, NUMBERED, Match, bare, match_tables, worded
from churnlib.model.reasoncells import known_words, split_cell
from churnlib.model.vocabulary import CHURN_MARKS, OTHER_REASON, OUTCOMES, STILL_HERE, TABLES, codes_of
from churnlib.sources.values import parse_amount, parse_flag
from churnlib.sources.written import fold

MARK = "# ?"  # begins every comment on something guessed
_PLAIN = re.compile(r"[^\W\d_][\w\u3000-\u9fff./ -]*[\w\u3000-\u9fff.]|[^\W\d_]")
_TELLS = re.compile(r"churn|流失|attrition|reason|原因")  # what is known only of those who left divides nothing
_SIGNS = {"$": "USD", "£": "GBP", "€": "EUR"}
_UNSURE = re.compile(r"\d{1,2}[-/.](\d{1,2}[-/.]\d{2}(\d\d)?|[A-Za-z]+[-/.]\d\d)(\D|$)|\d\d年")
_WORDS_OF_YAML = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
_SEPARATORS = ("；", "、", "，", "|", "/")


def propose(name: str, folder: Path | str) -> Path:
    """Make data/<name>/ from a folder of files: copies of them and a proposed dataset.yml.

    Parameters
    ----------
    name : str
        Of the new data set: letters, digits, underscores and hyphens.
    folder : Path
        With CSV, Excel and Parquet files; may be data/<name>/ itself.

    Returns
    -------
    Path
        The new dataset.yml. Its comments that begin with "# ?" say what was guessed; `what_to_check` lists them.

    Raises
    ------
    UsageError
        The name cannot be used, there is such a data set already, or no such folder.
    DataError
        No file can be read, or none looks like customers or activity.
    """
    folder, home = Path(folder), places.home() / "data" / name
    if not re.fullmatch(r"[^\W_][\w-]{0,59}", name):
        raise text.UsageError("propose.bad_name", name=name)
    if (home / "dataset.yml").exists():
        raise text.UsageError("propose.exists", name=name)
    if not folder.is_dir():
        raise text.UsageError("propose.no_folder", folder=folder)
    found = look(folder)
    if not any(not one.problem for one in found):
        problem = next((one.problem for one in found), text.say("propose.no_files"))
        raise text.DataError("propose.nothing_read", folder=folder.name, problem=problem)
    matches = match_tables(found)
    if not {"customers", "contracts", "activity"} & {m.table for m in matches}:
        seen = [f"{one.name}: {one.problem or ' | '.join([*one.columns][:8])}" for one in found]
        raise text.DataError("propose.no_customers", folder=folder.name, files=seen)
    content = "\n".join(_description(name, matches, [one for one in found if one.problem])) + "\n"
    home.mkdir(parents=True, exist_ok=True)
    if folder.resolve() != home.resolve():
        for file in dict.fromkeys(file for m in matches if m.table for file in m.found.files):
            (home / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / file, home / file)
    path = home / "dataset.yml"
    path.write_text(content, "utf-8")
    schema.load(path)  # what is proposed can be opened
    return path


def what_to_check(path: Path) -> str:
    """List what was guessed in a proposed dataset.yml, with its lines, and what to do next."""
    lines = enumerate(path.read_text("utf-8").splitlines(), 1)
    doubts = [f"  {path.name}:{i}  {line.partition(MARK)[2].strip()}" for i, line in lines if MARK in line]
    head, then = text.say("propose.check", n=len(doubts)), text.say("propose.next", name=path.parent.name)
    return "\n".join([head, *doubts, then])


def _description(name: str, matches: list[Match], unread: list[Found]) -> Iterator[str]:
    by_table = {table: [match for match in matches if match.table == table] for table in TABLES}
    attributes = _attributes(by_table["customers"])
    yield "# " + text.say("propose.head")
    yield f"title: {_q(name)}  {_doubt('title')}"
    if all(header.isascii() for m in matches for header in m.found.columns):
        yield "language: en"
    yield from _dates(by_table)
    yield from _time_unit(by_table)
    yield f"currency: {_currency(matches)}  {_doubt('currency')}"
    yield "tables:"
    for table, group in by_table.items():
        if group:
            yield from _table(table, group, attributes)
    for match in matches:
        if match.table is None:
            yield f"  {_doubt('not_used', file=match.found.name, headers=list(match.found.columns)[:12])}"
    for one in unread:
        yield f"  {_doubt('not_read', file=one.name, problem=one.problem)}"
    yield from _definition(by_table)
    yield from _segments(by_table, attributes)
    yield from _reasons(by_table)
    personal = [n for n in attributes if n in synonyms.PERSONAL]
    if personal:
        yield f"roles: {{personal: [{', '.join(map(_q, personal))}]}}  {_doubt('roles')}"


def _dates(by_table: dict[str, list[Match]]) -> Iterator[str]:
    """The last day covered and since when ends were recorded, as the files show them."""
    ends = _spans(by_table, ("customers",), "end_date") or _spans(by_table, ("contracts",), "end_date")
    days = _spans(by_table, ("activity", "contacts"), "date")
    starts = _spans(by_table, ("customers", "contracts"), "start_date")
    if not (ends or days or starts):  # one extract: its day is for the analyst to say
        yield f"as_of: {date.today()}  {_doubt('snapshot')}"
        return
    as_of = max(last for _, last in [*ends, *days, *starts])
    observed_from = min(first for first, _ in ends or days or starts)
    yield f"as_of: {as_of}  {_doubt('as_of')}"
    yield f"observed_from: {observed_from}  {_doubt('observed_from')}"


def _currency(matches: list[Match]) -> str:
    """The currency whose sign stands in the columns; yuan where none does."""
    columns = [c for m in matches if m.table for c in m.found.columns.values()]
    seen = "".join(t for c in columns for t in [c.header, *c.texts][:9])
    return next((code for sign, code in _SIGNS.items() if sign in seen), "CNY")


def _time_unit(by_table: dict[str, list[Match]]) -> Iterator[str]:
    """The unit of a tenure that stands for dates: whole months, unless its name speaks of days."""
    for match in by_table["customers"]:
        if "tenure" in match.columns:
            column = match.found.columns[match.columns["tenure"]]
            unit = "day" if re.search("day|天|account.?length", column.header, re.IGNORECASE) else "month"
            yield f"time_unit: {unit}  {_doubt('tenure', header=column.header, longest=column.largest)}"


def _spans(by_table: dict[str, list[Match]], tables: Iterable[str], name: str) -> list[tuple[date, date]]:
    columns = [m.found.columns[m.columns[name]] for t in tables for m in by_table[t] if name in m.columns]
    spans = [column.first_and_last(date.today()) for column in columns]
    return [span for span in spans if span]


def _table(table: str, group: list[Match], attributes: dict[str, Column]) -> Iterator[str]:
    first, indent = ("    - ", "      ") if len(group) > 1 else ("    ", "    ")
    yield f"  {table}:"
    for match in group:
        lines = list(_source(match, attributes if table == "customers" else {}))
        yield from (f"{indent if i else first}{line}" for i, line in enumerate(lines))


def _source(match: Match, attributes: dict[str, Column]) -> Iterator[str]:
    files = match.found.files
    yield f"file: {_q(files[0])}" if len(files) == 1 else f"files: [{', '.join(map(_q, files))}]  {_doubt('files')}"
    if match.found.is_form:
        yield f"layout: churn_form  {_doubt('form', n=match.found.n_rows)}"
        return
    if match.found.sheet:
        yield f"sheet: {_q(match.found.sheet)}"
    if match.found.encoding:
        words = [word for column in match.found.columns.values() for word in (column.header, *column.texts)]
        word = next((word for word in words if not word.isascii()), text.MISSING)
        yield f"encoding: {match.found.encoding}  {_doubt('encoding', word=word)}"
    yield "columns:"
    for name, header in match.columns.items():
        yield f"  {name}: {_declared(match, name, match.found.columns[header])}"
    for name, value in match.constants.items():
        told = ("{numbered: true}", "numbered") if value == NUMBERED else (f"{{value: {value}}}", "constant")
        yield f"  {name}: {told[0]}  {_doubt(told[1])}"
    own = {name: column for name, column in attributes.items() if match.found.columns.get(column.header) is column}
    for name, column in own.items():
        kind = _type(column) if name not in synonyms.PERSONAL else None
        order = f", order: {column.order}" if kind == "date" and _needs_order(column) else ""
        yield f"  {name}: " + (f"{{column: {_q(column.header)}, type: {kind}{order}}}" if kind else _q(column.header))
    if match.unused:
        yield f"  {_doubt(match.unused[0], header=match.unused[1])}"
    used = {*match.columns.values(), *(c.header for c in own.values()), *(match.unused or ())}
    if left := [header for header in match.found.columns if header not in used]:
        yield f"  {_doubt('left', headers=left[:12])}"


def _declared(match: Match, name: str, column: Column) -> str:
    """What is declared of one canonical column, with its doubt."""
    canonical, header = TABLES[match.table][name], _q(column.header)
    is_price = re.search("unit.?price|^price|单价", column.header, re.IGNORECASE)
    if name == "amount" and "quantity" in match.columns and is_price:
        return f"{{column: {header}, times: quantity}}  {_doubt('times')}"
    if name == "tenure" and re.search("year|年", column.header, re.IGNORECASE):
        return f"{{column: {header}, unit: 12}}"
    if name == "outcome" and canonical.kind == "category":
        return f"{{column: {header}, values: {{{_outcomes(column, match.table)}}}}}  {_doubt('outcome')}"
    known = {fold(word) for words in (canonical.codes or {}).values() for word in words}
    if known and all(fold(written) in known for written in column.texts):
        return header
    if canonical.kind == "flag" and 2 <= column.n_distinct <= 4 and column.share(parse_flag) < 1:
        answers = {word: "否" if re.match("未|不|没|否|no|un", word, re.IGNORECASE) else "是" for word in column.texts}
        values = ", ".join(f"{_q(word)}: {answer}" for word, answer in answers.items())
        return f"{{column: {header}, values: {{{values}}}}}  {_doubt('flag')}"
    if canonical.kind == "date" and _needs_order(column):
        return f"{{column: {header}, order: {column.order}}}  {_doubt('date_order')}"
    return header


def _needs_order(column: Column) -> bool:
    """Tell whether some date could be another day: 03/04/2024, or a year of two digits."""
    return any(_UNSURE.match(written.strip()) for written in column.texts)


def _outcomes(column: Column, table: str) -> str:
    words = {fold(word): code for word, code in (codes_of(OUTCOMES) | dict.fromkeys(STILL_HERE, "null")).items()}
    pairs = [(t, words.get(fold(t), "unknown")) for t in column.texts]
    if table == "contracts":  # a transfer inside the company is no outcome
        pairs = [(t, "null" if code == "unknown" and t.startswith("转") else code) for t, code in pairs]
    return ", ".join(f"{_q(written)}: {code}" for written, code in pairs[:30])


def _attributes(lists: Iterable[Match]) -> dict[str, Column]:
    """Name of the attribute -> column, for all columns of the customer lists that are nothing else."""
    found: dict[str, Column] = {}
    known = {bare(word): name for word, name in synonyms.ATTRIBUTES.items()}
    for match in {tuple(m.found.columns): m for m in lists}.values():  # files of one layout say the same
        before = set(found)
        for header, column in match.found.columns.items():
            used = header in match.columns.values() or match.unused and header == match.unused[1]
            name = known.get(bare(header)) or worded(header).replace(" ", "_")
            if used or _tells(name, column) or name in before:
                continue
            if not re.fullmatch(r"[^\W\d]\w{0,59}", name):
                name = f"column_{len(found) + 1}"
            if name in found or name in TABLES["customers"] or is_slip(name, TABLES["customers"]):
                name = f"column_{len(found) + 1}_{name}"[:60]
            found[name] = column
    return found


def _tells(name: str, column: Column) -> bool:
    """Tell whether a column is another mark of churn (销户, 正常), or known of the lost only."""
    marks = {fold(word) for words in CHURN_MARKS.values() for word in words}
    return bool(_TELLS.search(name)) or bool(column.n) and {fold(written) for written in column.texts} <= marks


def _type(column: Column) -> str | None:
    """Text needs no type; numbers that are few, long or begin with 0 are codes (brand 130, level 3) and stay text."""
    if not column.n or any(len(t) > 1 and t[0] == "0" and t.isdigit() or len(t) > 12 for t in column.texts):
        return None
    if column.n_distinct <= 3 and column.share(parse_flag) == 1:
        return "flag"
    if column.share_of_numbers > 0.98:
        return "number" if column.n_distinct > 8 else None
    if column.n_distinct > 8 and column.share(parse_amount) > 0.98:
        return "money"
    return "date" if column.share_of_dates > 0.98 else None


def _definition(by_table: dict[str, list[Match]]) -> Iterator[str]:
    lists, activity = by_table["customers"], by_table["activity"]
    ends = any({"end_date", "churned"} & set(m.columns) for m in lists + by_table["contracts"])
    if not ends and not activity:
        yield _doubt("no_churn")
        return
    marked = any("churned" in m.columns for m in lists)
    doubt = _doubt("marked" if marked else "contract_end" if ends else "inactive")
    yield f"definition: {'contract_end' if ends else 'inactive'}  {doubt}"
    yield "definitions:"
    if ends:
        label = ", label: {zh: 已流失（名单标记）, en: Churned (as marked)}" if marked else ""
        yield f"  contract_end: {{kind: contract_end{label}}}"
    if activity:
        yield f"  inactive: {{kind: inactivity, {_limits(by_table)}}}"


def _limits(by_table: dict[str, list[Match]]) -> str:
    """Limits to start from: a car dealer's 6 and 12 months, or less where the record is shorter than three years."""
    spans = _spans(by_table, ("activity",), "date") or [(date.min, date.max)]
    days = (max(last for _, last in spans) - min(first for first, _ in spans)).days
    limit = min(max(days // 90, 2), 12)  # a quarter of the record, in months of 30 days
    return f"at_risk: {max(limit // 2, 1)} months, limit: {limit} months"


def _segments(by_table: dict[str, list[Match]], attributes: dict[str, Column]) -> Iterator[str]:
    chosen: dict[str, str] = {}
    for name, column in attributes.items():
        if name in synonyms.PERSONAL or not column.n:
            continue
        written = CAMEL.sub(" ", column.header).replace("_", " ").strip()
        zh, en = synonyms.LABELS.get(name, (written, written.capitalize() if written.isascii() else written))
        label = f"label: {{zh: {_q(zh)}, en: {_q(en)}}}"
        if name == "age" and _type(column) == "number":
            chosen[name] = f"{{{label}, column: {name}, bins: [0, 25, 35, 45, 60]}}"
        elif _type(column) in (None, "flag") and 2 <= column.n_distinct <= 12:
            chosen[name] = f"{{{label}, column: {name}}}"
    for match in by_table["assignments"]:
        for value in match.found.columns[match.columns["attribute"]].texts:
            if re.fullmatch(r"[^\W\d]\w{0,59}", value) and value not in chosen:
                chosen[value] = f"{{assignment: {_q(value)}}}"
    lists = by_table["customers"]
    if by_table["activity"] or lists and {"start_date", "tenure"} & set(lists[0].columns):
        label = "label: {zh: 在网时长, en: Tenure}"
        chosen.setdefault("tenure", f"{{{label}, tenure_months: [0, 6, 12, 24]}}")
    if first := next((name for name in synonyms.FIRST_SEGMENTS if name in chosen), None):
        yield f"segment: {first}  {_doubt('segment')}"
    if chosen:
        yield f"segments:  {_doubt('segments')}"
        yield from (f"  {name}: {declared}" for name, declared in chosen.items())


def _reasons(by_table: dict[str, list[Match]]) -> Iterator[str]:
    """The company's words for reasons, those that are known by name mapped."""
    cells = [m.found.columns[m.columns["reasons"]] for m in by_table["exit_survey"] if "reasons" in m.columns]
    if not cells:
        return
    texts = [written for column in cells for written in column.texts]
    separator = max(_SEPARATORS, key=lambda s: sum(len(split_cell(t, s)) > 1 for t in texts))
    words = dict.fromkeys(word for written in texts for word in split_cell(written, separator))
    yield f"reasons:  {_doubt('reasons')}"
    yield f"  separator: {_q(separator)}"
    yield "  values:"
    known = known_words(None)
    for word in list(words)[:60]:
        near = next((code for part, code in synonyms.REASONS.items() if part in fold(word)), None)
        code = known.get(fold(word)) or near or OTHER_REASON
        doubt = "" if fold(word) in known else f"  {_doubt('near' if near else 'no_reason', word=word)}"
        yield f"    {_q(word)}: {code}{doubt}"


def _doubt(key: str, **values: object) -> str:
    return f"{MARK} " + text.say(f"propose.doubt.{key}", **values).replace("\n", " ")


def _q(written: str) -> str:
    """A text as YAML reads it back: plain if it is harmless, else in double quotes."""
    plain = bool(_PLAIN.fullmatch(written)) and written.casefold() not in _WORDS_OF_YAML and " #" not in written
    return written if plain else json.dumps(written, ensure_ascii=False)
