"""
CSV by RFC 4180: CRLF, quotes doubled, UTF-8 without a byte order mark, always with a header.

Null is an empty cell, a list is JSON text, all else stands as it was sent, unless ``field_types`` gives its column a
type.
"""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any

from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.rows import Path, Row
from airflow_provider_catalog.storage.columns import Batch, Column, ColumnSpool, Values
from airflow_provider_catalog.storage.convert import convert, to_text
from airflow_provider_catalog.storage.kinds import NULL

_PLAIN = {str, int, float, NULL}
"""Types that ``csv`` writes as they are."""


class CsvWriter:
    """
    Writes rows while they come, in the columns that are known by then.

    Which columns there are is only known after the last row. When another one turns up, the file is written again from
    the spool, at the end. It is so from the start where the file can't be started over, being compressed.

    :param file: where to; somebody else closes it.
    :param spool: keeps the rows.
    :param may_start_over: whether what was written to the file can be taken back.
    """

    def __init__(self, file: IO[bytes], spool: ColumnSpool, *, may_start_over: bool) -> None:
        self._spool = spool
        self._file = file
        self._is_ahead = may_start_over
        self._columns: list[Path] | None = None

    def write(self, rows: list[Row]) -> None:
        """
        Add some rows.

        :raises CatalogParameterError: when two fields of different paths would share a column.
        """
        batch = self._spool.write(rows)
        if self._is_ahead:
            self._write_ahead(batch)

    def close(self) -> None:
        """Remove the spool."""
        self._spool.close()

    def columns(self) -> list[Column]:
        """Return the columns of the file, all rows being written."""
        return self._spool.columns()

    def finish(self) -> list[str]:
        """
        Write what is still to be written.

        :returns: the names of the columns.
        :raises CatalogParameterError: when a value does not fit the type that ``field_types`` gives its column.
        """
        columns = self._spool.columns()
        if self._columns != [column.path for column in columns]:
            self._start_over()
            _write_all(self._file, self._spool, columns)
        return [column.name for column in columns]

    def _write_ahead(self, batch: Batch) -> None:
        try:
            columns = self._spool.columns()
            lines = _lines(columns, batch)
        except CatalogParameterError:  # it may not be one in the end; if it is, it is raised then
            self._start_over()
            return
        paths = [column.path for column in columns]
        if self._columns is None:
            self._columns = paths
            _write_lines(self._file, [[column.name for column in columns]])
        if paths == self._columns:
            _write_lines(self._file, lines)
        else:
            self._start_over()

    def _start_over(self) -> None:
        if self._is_ahead:
            self._file.seek(0)
            self._file.truncate()
        self._is_ahead = False
        self._columns = None


def _write_all(file: IO[bytes], spool: ColumnSpool, columns: list[Column]) -> None:
    _write_lines(file, [[column.name for column in columns]])
    for batch in spool.batches(len(columns)):
        _write_lines(file, _lines(columns, batch))


def _lines(columns: list[Column], batch: Batch) -> list[tuple[Any, ...]]:
    return list(zip(*(_cells(column, batch) for column in columns), strict=True))


def _write_lines(file: IO[bytes], lines: Any) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    file.write(text.getvalue().encode())


def _cells(column: Column, batch: Batch) -> Values:
    """Return what ``csv`` writes as wanted: strings, numbers and ``None``."""
    values = batch.column(column.path)
    if column.wanted_type:
        converted = convert(values, column.wanted_type, column.name, batch.first_row)
        return [None if value is None else _converted_text(value) for value in converted]
    if column.kinds.types <= _PLAIN:
        return values
    return [value if type(value) in _PLAIN else to_text(value) for value in values]


def _converted_text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value.replace(tzinfo=None).isoformat()}Z"
    if isinstance(value, Decimal):
        return f"{value:f}"  # never 0E-9
    return value.isoformat() if isinstance(value, date) else to_text(value)
