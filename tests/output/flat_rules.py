"""What docs/storage.md says of columns and types, in the plainest way and without the package, to hold files to."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

Path = tuple[str, ...]
TIMES = {
    "2026-06-30": datetime(2026, 6, 30, tzinfo=UTC),
    "2026-06-30T02:00:00.5+02:00": datetime(2026, 6, 30, microsecond=500_000, tzinfo=UTC),
}
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
INT64 = range(-(2**63), 2**63)


def leaves(row: dict[str, Any], parents: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the values of a row that are no objects, with the keys that lead to them."""
    for key, value in row.items():
        if isinstance(value, dict):
            yield from leaves(value, (*parents, key))
        else:
            yield (*parents, key), value


def column(path: Path) -> str:
    return "_".join(path)


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows flat: column to value; a null says nothing that its absence does not."""
    return [{column(path): value for path, value in leaves(row) if value is not None} for row in rows]


def columns(rows: list[dict[str, Any]]) -> list[str]:
    """Return the columns that hold anything, in the order in which their fields first turn up."""
    filled = {path for row in rows for path, value in leaves(row) if value is not None}
    return list(dict.fromkeys(column(path) for row in rows for path, _ in leaves(row) if path in filled))


def null_columns(rows: list[dict[str, Any]]) -> set[str]:
    """Return the columns that a null alone may make."""
    return {column(path) for row in rows for path, value in leaves(row) if value is None}


def paths(rows: list[dict[str, Any]]) -> dict[str, Path]:
    """Return where the values of each column that holds anything stand."""
    return {column(path): path for row in rows for path, value in leaves(row) if value is not None}


def shared_columns(rows: list[dict[str, Any]], *, filled: bool) -> set[str]:
    """Return the columns that several fields would be; either those with values, or all. Case makes no difference."""
    paths = {path for row in rows for path, value in leaves(row) if value is not None or not filled}
    return {name for name, count in Counter(column(path).casefold() for path in paths).items() if count > 1}


def parquet_type(path: Path, values: list[Any]) -> str:
    """Return the type, as pyarrow prints it, of a column with these values."""
    word = path[-1].rpartition("_")[2]
    filled = [value for value in values if value is not None and (value != "" or word not in ("id", "at", "price"))]
    kinds = set(map(type, filled))
    if word == "id" and kinds == {int} and all(value in INT64 for value in filled):
        return "int64"
    if word == "at" and kinds == {str} and all(map(is_time, filled)):
        return "timestamp[us, tz=UTC]"
    if word == "price" and filled and kinds <= {int, float, str} and all(map(is_amount, filled)):
        return "decimal128(38, 9)"
    if kinds == {bool}:
        return "bool"
    if kinds == {int} and all(value in INT64 for value in filled) and not all(map(is_exact_float, filled)):
        return "int64"
    return "double" if kinds and kinds <= {int, float} and all(map(is_exact_float, filled)) else "string"


def is_time(text: str) -> bool:
    return text in TIMES


def is_amount(value: float | str) -> bool:
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        return False
    return abs(Decimal(str(value))) < 10**29


def is_exact_float(value: float) -> bool:
    try:
        return Decimal(float(value)) == Decimal(value)
    except OverflowError:
        return False


def holds(found: Any, value: Any, type_name: str) -> bool:
    """Tell whether a file has a value in a column of the type."""
    if value is None or found is None:
        return found is None and (value is None or (value == "" and type_name != "string"))
    if type_name == "string" and not isinstance(value, str):
        return is_json_of(found, value)
    if type_name.startswith("timestamp"):
        return found == TIMES[value]
    if type_name.startswith("decimal"):
        return abs(found - Decimal(str(value))) <= Decimal("5e-10")
    return same(found, value)


def is_json_of(text: str, value: Any) -> bool:
    """Tell whether a text is the JSON of a value, without a space that needs not be there."""
    return same(json.loads(text), value) and not re.search(r"\s", re.sub(r'"(\\.|[^"\\])*"', "", text))


def same(found: Any, value: Any) -> bool:
    """Tell whether values are equal and of one kind; an integer may stand in a column of floats or decimals."""
    if isinstance(value, list) and isinstance(found, list):
        return len(found) == len(value) and all(map(same, found, value))
    if isinstance(value, dict) and isinstance(found, dict):
        return found.keys() == value.keys() and all(same(found[key], value[key]) for key in value)
    if isinstance(value, float) and isinstance(found, float):
        return repr(found) == repr(value)
    numbers = isinstance(found, int | float | Decimal) and isinstance(value, int | float)
    kinds_agree = type(found) is type(value) or (numbers and bool not in (type(found), type(value)))
    return kinds_agree and found == value
