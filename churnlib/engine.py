"""SQL in, frames out: the only module that knows DuckDB.

Everything left of a frame is a statement in DuckDB's dialect, written so that sqlglot can translate it for another
engine (tests/test_sql.py refuses the idioms that translate silently wrong); another engine only has to offer the few
methods below. Everything right of a frame is small.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from churnlib import text

Params = Sequence[Any] | Mapping[str, Any] | None

MEMORY_LIMIT = "3GB"  # of one engine; larger statements spill to its temporary directory

BATCH = 122_880  # rows at a time: a sum over batches of a million takes a quarter longer

_NARROW = {"TINYINT", "SMALLINT", "INTEGER", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"}


def quote(identifier: str) -> str:
    """Quote a name that comes from a user (a column, a table), so that it can only ever be a name.

    Examples
    --------
    >>> quote('a"; drop table customers; --')
    '"a""; drop table customers; --"'
    """
    if not identifier or "\0" in identifier:
        raise text.DataError("engine.bad_name", name=identifier.replace("\0", "?"))
    return '"' + identifier.replace('"', '""') + '"'


def literal(written: object) -> str:
    """Write a text (or a path) as an SQL literal, where a parameter cannot stand."""
    return "'" + str(written).replace("'", "''") + "'"


class Engine:
    """One DuckDB connection that reads only the folders it was given.

    Extensions are never installed or loaded, nothing else on the disk or the network can be reached from SQL, and the
    settings are locked.

    Parameters
    ----------
    folders : iterable of path
        The only folders whose files statements may read or write.
    memory_limit : str, optional
        For instance "3GB"; else the environment's CHURN_MEMORY_LIMIT, else 3 GB.
    threads : int, optional
        Else as many as the cores this process may use.

    Attributes
    ----------
    con : duckdb.DuckDBPyConnection
        For loading (registering frames, appending rows); counting goes through `frame` and `run`.
    """

    def __init__(self, folders: Iterable[str | Path] = (), memory_limit: str | None = None, threads: int | None = None):
        self.memory_limit = memory_limit or os.environ.get("CHURN_MEMORY_LIMIT", MEMORY_LIMIT)
        self._made: dict[Any, Any] = {}
        self._temp = tempfile.TemporaryDirectory(prefix="churn-")  # one an engine: two processes must not share it
        self.con = duckdb.connect(
            config={
                "memory_limit": self.memory_limit,
                "threads": threads or _cores(),
                "temp_directory": self._temp.name,
                "preserve_insertion_order": False,  # the order of rows never means anything: every frame says ORDER BY
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        allowed = ", ".join(literal(Path(folder).resolve()) for folder in folders)
        self.con.execute(f"SET allowed_directories = [{allowed}]")
        self.con.execute("SET enable_external_access = false")  # in this order: DuckDB refuses the other one
        self.con.execute("SET lock_configuration = true")

    def frame(self, sql: str, params: Params = None) -> pd.DataFrame:
        """Run a query and give its rows.

        Parameters
        ----------
        sql : str
            One SELECT; values are parameters (``$name`` or ``?``), never part of the text.
        params : mapping or sequence, optional

        Returns
        -------
        pandas.DataFrame
            Integers of any width as int64 (a sum of BIGINT is a HUGEINT, which pandas would get as float64), dates as
            datetime64, texts as object. An integer column that holds NULL is float64: counts coalesce theirs to 0.
        """
        with _told(self):
            rows = self.con.sql(sql, params=params)
            columns = [
                f"CAST({quote(name)} AS BIGINT) AS {quote(name)}" if str(kind) in _NARROW else quote(name)
                for name, kind in zip(rows.columns, rows.types, strict=True)
            ]
            if any(column.startswith("CAST") for column in columns):
                rows = rows.project(", ".join(columns))
            return rows.df()

    def batches(self, sql: str, params: Params = None) -> Iterator[list[np.ndarray]]:
        """Run a query of many rows of numbers and give its columns, as many rows at a time as stay in a core's cache,
        without the cost of a frame: days count from 1970-01-01, a number that is missing is 0. All have to be taken."""
        with _told(self):
            for batch in self.con.sql(sql, params=params).to_arrow_reader(BATCH):
                columns = [c.view(pa.int32()) if pa.types.is_date32(c.type) else c for c in batch.columns]
                yield [(c.fill_null(0) if c.null_count else c).to_numpy(zero_copy_only=False) for c in columns]

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Give what was made under this key before: what several counts share is made once for one engine."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def run(self, sql: str, params: Params = None) -> None:
        """Run one statement that gives no rows (CREATE, INSERT, DROP ...)."""
        with _told(self):
            self.con.execute(sql, params).fetchall()  # an unfetched statement would block the next one

    def value(self, sql: str, params: Params = None) -> Any:
        """Run a query of one row and one column and give its value."""
        with _told(self):
            return self.con.execute(sql, params).fetchall()[0][0]

    def load(self, name: str, rows: pd.DataFrame | pa.Table) -> None:
        """Make (or replace) a table of a small frame; an Arrow table keeps its types also when it has no rows."""
        self.con.register("_loading", rows)
        self.run(f"CREATE OR REPLACE TABLE {quote(name)} AS SELECT * FROM _loading")  # noqa: S608 (quoted)
        self.con.unregister("_loading")

    def table_exists(self, name: str) -> bool:
        """Tell whether there is a table or view of this name."""
        return bool(self.columns(name))

    def columns(self, name: str) -> tuple[str, ...]:
        """Give the column names of a table or view in their order; none if there is no such table."""
        try:
            return tuple(self.con.sql(f"SELECT * FROM {quote(name)}").columns)  # noqa: S608 (quoted; nothing is read)
        except duckdb.CatalogException:
            return ()

    def close(self) -> None:
        """Close the connection and remove what was spilled to disk."""
        self.con.close()
        self._temp.cleanup()


class _told:
    """Turn the failures that a reader can do something about into one line; let the others pass."""

    def __init__(self, engine: Engine):
        self.engine = engine

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, problem: BaseException | None, trace: Any) -> None:
        if isinstance(problem, duckdb.OutOfMemoryException):
            raise text.DataError("engine.out_of_memory", limit=self.engine.memory_limit) from problem


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
