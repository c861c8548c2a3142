"""
CSV by RFC 4180: CRLF, quotes doubled, UTF-8, always with a header.

Null is an empty cell, a time is ISO 8601 in UTC, an amount has two decimal places or more, and what is no text in a
column of text is JSON.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from airflow_provider_catalog.output.columns import Column
from airflow_provider_catalog.output.convert import NUMBER, to_text
from airflow_provider_catalog.output.flatten import Block
from airflow_provider_catalog.output.spec import FileSpec

_FORMULA = re.compile("[=+\\-@\t\r\n\0\uff1d\uff0b\uff0d\uff20]")
"""What a cell begins with that a spreadsheet may run, by OWASP's rule: in full width, too."""
_MIN_PLACES = 2


class CsvWriter:
    """Writes blocks of rows as CSV, to a file that somebody else closes."""

    def __init__(self, file: Any, columns: list[Column], spec: FileSpec) -> None:
        self.columns = columns
        self.names = [column.name for column in columns]
        self._file = file
        self._escape = without_formula if spec.csv_escape_formulas or spec.csv_for_excel else None
        if self._escape:
            self.names = list(map(self._escape, self.names))
        if spec.csv_for_excel:
            self._file.write("\ufeff".encode())
        _write_lines(self._file, [self.names])

    def write(self, block: Block) -> None:
        """Write some rows."""
        cells = [self._cells(block, column) for column in self.columns]
        # Rows without a field left are lines all the same.
        _write_lines(self._file, zip(*cells, strict=True) if cells else [()] * block.row_count)

    def finish(self) -> None:
        """Do nothing: all is written."""

    def _cells(self, block: Block, column: Column) -> list[Any]:
        to_cell = _TO_CELL.get(column.type, _decimal_cell if column.type.startswith("decimal") else None)
        values = block.converted(column)
        if to_cell:
            return [None if value is None else to_cell(value) for value in values]
        if self._escape and column.type == "string":
            return [None if value is None else self._escape(value) for value in values]
        return values


def without_formula(text: str) -> str:
    """Return a text that no spreadsheet runs as a formula; that of a number, such as ``-5.00``, is none."""
    return f"'{text}" if _FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def _write_lines(file: Any, lines: Any) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    file.write(text.getvalue().encode())


def _timestamp_cell(value: datetime) -> str:
    return f"{value.replace(tzinfo=None).isoformat()}Z"


def _decimal_cell(value: Decimal) -> str:
    """Return an amount without an exponent, and with a point, so that no reader takes a file's amounts for integers."""
    whole, _, places = f"{value:f}".partition(".")
    return f"{whole}.{places.rstrip('0').ljust(_MIN_PLACES, '0')}" if places else whole


_TO_CELL: dict[str, Callable[[Any], str]] = {
    "timestamp": _timestamp_cell,
    "date": date.isoformat,
    "bool": to_text,
    "list<string>": to_text,
}
