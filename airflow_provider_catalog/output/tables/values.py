"""Values as drivers and ``COPY`` take them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from airflow_provider_catalog.errors import CatalogParameterError

Values = list[Any]

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def copy_texts(type_name: str, values: Values) -> Iterable[str]:
    """
    Return values as the text format of PostgreSQL's ``COPY`` has them.

    :param type_name: their type, as ``field_types`` names it.
    """
    if type_name == "list<string>":
        values = [None if value is None else _array(value) for value in values]
    if type_name in ("string", "list<string>"):
        content = "".join(filter(None, values))
        escapes = str.maketrans(_ESCAPES)
        if any(map(content.__contains__, _ESCAPES)):
            return ["\\N" if value is None else value.translate(escapes) for value in values]
        return ["\\N" if value is None else value for value in values]
    return ["\\N" if value is None else str(value) for value in values]


def _array(items: list[str | None]) -> str:
    quoted = (item and item.replace("\\", "\\\\").replace('"', '\\"') for item in items)
    return "{" + ",".join("NULL" if item is None else f'"{item}"' for item in quoted) + "}"


def sqlite_values(name: str, type_name: str, values: Values) -> Values:
    """
    Return values as SQLite stores them: times in UTC and dates as text, decimals as floats.

    :param name: the column's name, for errors.
    :param type_name: their type, as ``field_types`` names it.
    :raises CatalogParameterError: for a decimal that a float does not hold.
    """
    if type_name == "timestamp":
        return [value and value.isoformat(" ", "microseconds")[:26] for value in values]
    if type_name == "date":
        return [value and value.isoformat() for value in values]
    if type_name.startswith("decimal"):
        return [None if value is None else _sqlite_number(name, value) for value in values]
    return values


def _sqlite_number(name: str, value: Decimal) -> int | float:
    number = float(value)
    if Decimal(repr(number)) != value or len(value.normalize().as_tuple().digits) > 15:
        raise CatalogParameterError(
            f"store the column as text with field_types={{{name!r}: 'string'}}: SQLite has no decimals, and a value "
            "has more than 15 digits"
        )
    return number
