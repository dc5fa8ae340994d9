"""A query or table on the user's own database -> columns of text, through SQLAlchemy.

The address comes from an environment variable and goes nowhere else: no message, file or log holds a part of it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from churnlib import text

ROWS = 50_000  # fetched at a time


class Query:
    """An open query.

    Parameters
    ----------
    declared
        `url_env` and either `query` or `table`, as in dataset.yml.

    Attributes
    ----------
    shown : str
        What messages and records call it: the table, or the variable's name.
    names, kinds : list of str
        Its columns, and the engine's type of each: all come as text.

    Raises
    ------
    DataError
        The variable is not set, the driver is missing, the database or the statement fails; or the statement is more
        than one SELECT.
    """

    def __init__(self, declared: Any):
        import sqlalchemy

        self.shown = f"{declared.url_env}:{declared.table}" if declared.table else declared.url_env
        self._variable = declared.url_env
        self._url = self._address()
        try:
            self._engine = sqlalchemy.create_engine(self._url, poolclass=sqlalchemy.pool.NullPool)
            self._connection = self._engine.connect().execution_options(
                stream_results=True, max_row_buffer=ROWS, postgresql_readonly=True
            )
            if self._engine.dialect.driver == "psycopg":
                _read_dates_as_text(self._connection.connection.driver_connection)
            failed = None
        except Exception as problem:  # drivers raise errors of their own
            failed = type(problem).__name__
        if failed:  # outside of the except block: the driver's error carries the address
            raise text.DataError("reading.no_connection", variable=self._variable, reason=failed)
        statement = self._statement(declared, sqlalchemy)
        self._result = self._told(lambda: self._connection.execute(statement))
        self.names = [*map(str, self._result.keys())]
        self.kinds = ["VARCHAR"] * len(self.names)

    def batches(self) -> Iterator[tuple[list[pa.Array], np.ndarray]]:
        """Give the rows as columns of text, with their numbers from 1."""
        first = 1
        try:
            while rows := self._told(lambda: self._result.fetchmany(ROWS)):
                columns = [pa.array([_text(row[j]) for row in rows], pa.string()) for j in range(len(self.names))]
                yield columns, np.arange(first, first + len(rows))
                first += len(rows)
        finally:
            self._close()

    def _close(self) -> None:
        """Undo whatever the statement did; a connection that is lost has done nothing."""
        with contextlib.suppress(Exception):
            self._connection.rollback()
        with contextlib.suppress(Exception):
            self._connection.close()

    def _address(self) -> Any:
        import sqlalchemy

        address = os.environ.get(self._variable, "").strip()
        if not address:
            raise text.DataError("reading.no_address", variable=self._variable)
        try:
            url = sqlalchemy.engine.make_url(address)
            # SQLAlchemy's default is another driver than the one that is installed with us
            return url.set(drivername="postgresql+psycopg") if url.drivername.startswith("postgres") else url
        except Exception:  # its message would quote the address
            address = ""
        raise text.DataError("reading.bad_address", variable=self._variable)

    def _statement(self, declared: Any, sqlalchemy: Any) -> Any:
        if declared.table:
            schema, _, name = declared.table.rpartition(".")
            table = sqlalchemy.table(
                sqlalchemy.quoted_name(name, True), schema=sqlalchemy.quoted_name(schema, True) if schema else None
            )
            return sqlalchemy.select(sqlalchemy.text("*")).select_from(table)
        if not is_one_select(declared.query):
            raise text.DataError("reading.not_a_select", variable=self._variable)
        return sqlalchemy.text(declared.query.strip().rstrip(";").replace(":", r"\:"))

    def _told(self, act: Any) -> Any:
        """Run a step; a failure is told in one line that holds no part of the address."""
        try:
            return act()
        except Exception as problem:
            said = str(getattr(problem, "orig", None) or type(problem).__name__).strip().partition("\n")[0]
            kind = type(problem).__name__
        self._close()
        parts = (self._url.password, self._url.username, self._url.host, self._url.database)
        secrets = [str(part).lower() for part in parts if part]
        reason = kind if any(part in said.lower() for part in secrets) else said
        raise text.DataError("reading.query_failed", variable=self._variable, reason=reason)


def is_one_select(query: str) -> bool:
    """Tell whether a query is a single SELECT that changes nothing."""
    import sqlglot
    from sqlglot import exp

    try:
        parsed = sqlglot.parse(query)
    except sqlglot.errors.SqlglotError:  # a dialect that sqlglot does not know: the plain form only
        return bool(re.match(r"\s*(?:select|with)\b", query, re.IGNORECASE)) and ";" not in query.strip().rstrip(";")
    changes = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Drop, exp.Create, exp.Alter, exp.Command, exp.Into)
    return len(parsed) == 1 and isinstance(parsed[0], exp.Query) and not any(parsed[0].find(kind) for kind in changes)


def _read_dates_as_text(connection: Any) -> None:
    """Have PostgreSQL write dates itself: psycopg stops at the first infinity or year 10000, and the table with it."""
    from psycopg.types.string import TextLoader

    connection.execute("SET LOCAL datestyle TO 'ISO'")
    for kind in ("date", "timestamp", "timestamptz"):
        connection.adapters.register_loader(kind, TextLoader)


def _text(value: Any) -> str | None:
    """Write a database value exactly, as the parsers of `values` read it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return str(value)
