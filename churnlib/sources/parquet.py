"""Parquet files -> columns that keep their types: what a program wrote needs no parser."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from churnlib import text

ROWS = 1 << 20  # read at a time

_KINDS = {
    pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE",
    pa.date64(): "DATE",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.uint64(): "VARCHAR",
}


class ParquetTable:
    """One Parquet file.

    Attributes
    ----------
    names : list of str
    kinds : list of str
        The engine's type of each column; VARCHAR for everything that is no plain number, date or flag.

    Raises
    ------
    DataError
        The file is damaged.
    """

    def __init__(self, path: Path, shown: str):
        self._shown = shown
        with self._told():
            self._file = pq.ParquetFile(path, memory_map=True)
            schema = self._file.schema_arrow
        self.names, self.kinds = schema.names, [_kind(field.type) for field in schema]

    def batches(self) -> Iterator[tuple[list[pa.Array], np.ndarray]]:
        """Give the rows as columns, with their numbers from 1."""
        first = 1
        with self._told(), self._file:
            for rows in self._file.iter_batches(ROWS):
                yield [_column(column) for column in rows.columns], np.arange(first, first + rows.num_rows)
                first += rows.num_rows

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as problem:
            raise text.DataError("reading.broken_parquet", file=self._shown, reason=type(problem).__name__) from None


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP WITH TIME ZONE" if kind.tz else "TIMESTAMP"
    if pa.types.is_decimal(kind) and kind.precision <= 38:
        return f"DECIMAL({kind.precision}, {kind.scale})"
    return _KINDS.get(kind, "BIGINT" if pa.types.is_integer(kind) else "VARCHAR")


def _column(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if _kind(column.type) != "VARCHAR":
        return column
    if pa.types.is_nested(column.type):
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    return column.cast(pa.string(), safe=False)
