"""The tables of a stored data set as views of an engine: all rows, those of chosen customers, or one part of a cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnlib.engine import Engine, literal, quote
from churnlib.model.scope import Cut
from churnlib.model.segments import ALWAYS, make_levels, matching_customers
from churnlib.model.vocabulary import TABLES

if TYPE_CHECKING:
    from churnlib.model.dataset import Dataset

Chosen = Sequence[tuple[str, tuple[str, ...]]]
TOGETHER = 20_480  # rows of a cut table that are read, or passed over, at once

# One row per customer: the level of a segment on the last day covered, as if it had held always.
LEVELS = "SELECT customer, level, {always} FROM levels WHERE $as_of BETWEEN from_date AND to_date"
PARTS = "SELECT customer, level, dense_rank() OVER (ORDER BY level NULLS LAST) AS _part FROM {levels}"
CUT = "SELECT t.*, p._part FROM {table} AS t JOIN parts AS p ON p.customer = t.customer ORDER BY p._part NULLS LAST"


def opened(
    path: Path, spec: Any, chosen: Chosen = (), cut: Cut | None = None, beside: Iterable[Path] = ()
) -> tuple[Engine, list]:
    """Open an engine with the views of a stored data set; give it and the names of what was chosen.

    `chosen` names attributes or segments, and the values of which a customer must have one; `cut` tells where the rows
    of these customers (and perhaps of some others) stand together; `beside` names folders that statements may write.
    """
    con = Engine([path, *beside, *([cut.folder] if cut else [])])
    names = [p.stem for p in sorted(path.glob("*.parquet")) if p.stem in TABLES or p.stem in ("ids", "exit_reasons")]
    files = {name: path / f"{name}.parquet" for name in names}
    files |= {"activity": path / "activity/*.parquet"} if (path / "activity").is_dir() else {}
    _views(con, files)
    theirs = {name: file for name, file in files.items() if "customer" in con.columns(name)}
    only = []
    if cut:
        theirs, only = {name: Path(cut.folder) / f"{name}.parquet" for name in theirs}, [f"_part = {cut.part:d}"]
        _views(con, theirs, "* EXCLUDE (_part)", only)
    if not chosen:
        return con, []
    words = matching_customers(con, spec, chosen, into="chosen_customers")
    only = [*only, "customer IN (SELECT customer FROM chosen_customers)"]
    _views(con, theirs, "* EXCLUDE (_part)" if cut else "*", only)
    return con, words


def _views(con: Engine, files: dict[str, Path], columns: str = "*", only: Iterable[str] = ("true",)) -> None:
    for name, file in files.items():
        rows = f"SELECT {columns} FROM read_parquet({literal(file)}) WHERE {' AND '.join(only)}"  # noqa: S608
        con.run(f"CREATE OR REPLACE VIEW {quote(name)} AS {rows}")


def cut(data: Dataset, by: str, folder: Path) -> tuple[Dataset, dict[str, Cut]]:
    """Write the rows of all customers again in order of their levels of a segment: a level is then read by itself.

    Parameters
    ----------
    data : Dataset
        Let go of: use the one that is given back.
    by : str
        Name of a declared segment.
    folder : Path
        Where the tables are written; made here.

    Returns
    -------
    Dataset
        The same, but by this segment customers are for ever what they are on its last day, as `Dataset.where` takes
        them: what it counts by level is what stands in the parts.
    dict
        One entry a level: its part.
    """
    data.close()
    folder.mkdir()
    con, _ = opened(data.stored.path, data.spec, data.chosen, beside=[folder])
    make_levels(con, data.spec, data.spec.segments[by], "levels")
    levels = quote(f"segment {by}")
    con.run(f"CREATE TABLE {levels} AS {LEVELS.format(always=ALWAYS)}", {"as_of": data.as_of})
    con.run(f"CREATE TABLE parts AS {PARTS.format(levels=levels)}")
    views = "SELECT table_name AS name FROM information_schema.tables WHERE table_type = 'VIEW' ORDER BY table_name"
    for name in con.frame(views)["name"]:
        if "customer" in con.columns(name):
            how = f"FORMAT parquet, ROW_GROUP_SIZE {TOGETHER}"
            con.run(f"COPY ({CUT.format(table=quote(name))}) TO {literal(folder / f'{name}.parquet')} ({how})")
    found = con.frame("SELECT DISTINCT level, _part FROM parts ORDER BY _part NULLS LAST")
    parts = {level: Cut(str(folder), int(part)) for level, part in found.itertuples(index=False)}
    return replace(data, con=con), parts
