"""
CSV by RFC 4180: CRLF, quotes doubled, UTF-8 without a byte order mark, always with a header.

Null is an empty cell, a list is JSON text, all else stands as it was sent, unless ``field_types`` gives its column a
type, or it would be a formula and is to be none.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any

from airflow_provider_catalog.client.filter_values import shown
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.convert_old import NUMBER, convert, to_text
from airflow_provider_catalog.output.kinds_old import NULL
from airflow_provider_catalog.output.spool_old import Batch, Column, ColumnSpool, Values
from airflow_provider_catalog.output.transform import Path, Row

_PLAIN = {str, int, float, NULL}
"""Types that ``csv`` writes as they are."""
_FORMULA = re.compile("[=+\\-@\t\r\n\0\uff1d\uff0b\uff0d\uff20]")
"""What a cell begins with that a spreadsheet may run, by OWASP's rule: in full width, too."""


class CsvWriter:
    """
    Writes rows while they come, in the columns that are known by then.

    Which columns there are is only known after the last row. When another one turns up, the file is written again from
    the spool, at the end. It is so from the start where the file can't be started over, being compressed.

    :param file: where to; somebody else closes it.
    :param spool: keeps the rows.
    :param may_start_over: whether what was written to the file can be taken back.
    :param escape_formulas: whether a ``'`` is put before what a spreadsheet would run as a formula.
    """

    def __init__(
        self, file: IO[bytes], spool: ColumnSpool, *, may_start_over: bool, escape_formulas: bool = False
    ) -> None:
        self._spool = spool
        self._file = file
        self._escape_formulas = escape_formulas
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

        :returns: the names of the columns, as they are in the file.
        :raises CatalogParameterError: when a value does not fit the type that ``field_types`` gives its column, or two
            columns get the same name by the escape.
        """
        columns = self._spool.columns()
        header = self._header(columns)
        if self._columns != [column.path for column in columns]:
            self._start_over()
            _write_lines(self._file, [header])
            for batch in self._spool.batches(len(columns)):
                _write_lines(self._file, self._lines(columns, batch))
        return header

    def _write_ahead(self, batch: Batch) -> None:
        try:
            columns = self._spool.columns()
            header, lines = self._header(columns), self._lines(columns, batch)
        except CatalogParameterError:  # it may not be one in the end; if it is, it is raised then
            self._start_over()
            return
        paths = [column.path for column in columns]
        if self._columns is None:
            self._columns = paths
            _write_lines(self._file, [header])
        if paths == self._columns:
            _write_lines(self._file, lines)
        else:
            self._start_over()

    def _header(self, columns: list[Column]) -> list[str]:
        names = [column.name for column in columns]
        if not self._escape_formulas:
            return names
        header = list(map(without_formula, names))
        if len(set(header)) < len(header):
            twice = next(name for name in header if header.count(name) > 1)
            raise CatalogParameterError(
                f"csv_escape_formulas makes two columns {shown(twice)}; leave one of them out with drop_fields"
            )
        return header

    def _lines(self, columns: list[Column], batch: Batch) -> list[tuple[Any, ...]]:
        cells = (_cells(column, batch) for column in columns)
        if self._escape_formulas:
            cells = ([without_formula(cell) if type(cell) is str else cell for cell in each] for each in cells)
        return list(zip(*cells, strict=True))

    def _start_over(self) -> None:
        if self._is_ahead:
            self._file.seek(0)
            self._file.truncate()
        self._is_ahead = False
        self._columns = None


def without_formula(text: str) -> str:
    """
    Return a text that no spreadsheet runs as a formula: with a ``'`` before it, if it might.

    The text of a number, such as ``-5.00``, is no formula.
    """
    return f"'{text}" if _FORMULA.match(text) and not NUMBER.fullmatch(text) else text


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
