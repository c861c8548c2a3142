"""CSV by RFC 4180: CRLF, quotes doubled, UTF-8 without a byte order mark, always with a header."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any

from airflow_provider_catalog.storage.columns import Batch, Column, ColumnSpool, Values
from airflow_provider_catalog.storage.convert import convert, to_text
from airflow_provider_catalog.storage.kinds import NULL


def write_csv(file: IO[bytes], spool: ColumnSpool) -> list[str]:
    """
    Write all rows of a spool.

    Null is an empty cell, a list is JSON text, all else stands as it was sent, unless ``field_types`` gives its
    column a type.

    :param file: where to; somebody else closes it.
    :param spool: the rows.
    :returns: the names of the columns.
    :raises CatalogParameterError: when a value does not fit the type that ``field_types`` gives its column.
    """
    columns = spool.columns()
    names = [column.name for column in columns]
    _write_lines(file, [names])
    for batch in spool.batches(len(columns)):
        _write_lines(file, zip(*(_cells(column, batch) for column in columns), strict=True))
    return names


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
    if column.kinds.types <= {str, int, float, NULL}:
        return values
    return [None if value is None else to_text(value) for value in values]


def _converted_text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value.replace(tzinfo=None).isoformat()}Z"
    if isinstance(value, Decimal):
        return f"{value:f}"  # never 0E-9
    return value.isoformat() if isinstance(value, date) else to_text(value)
