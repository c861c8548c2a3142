"""What docs/storage.md says of columns and types, in the plainest way and without the package, to hold files to."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

Path = tuple[str, ...]
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


def shared_columns(rows: list[dict[str, Any]], *, filled: bool) -> set[str]:
    """Return the columns that several fields would be; either those with values, or all."""
    paths = {path for row in rows for path, value in leaves(row) if value is not None or not filled}
    return {name for name, count in Counter(map(column, paths)).items() if count > 1}


def parquet_type(values: list[Any]) -> str:
    """Return the type, as pyarrow prints it, of a column with these values."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {list}:
        items = [item for value in values if value is not None for item in value if item is not None]
        item_type = scalar_type(items)
        return f"list<element: {item_type}>" if item_type else "string"
    return scalar_type(values) or "string"


def scalar_type(values: list[Any]) -> str | None:
    """Return the narrowest type that holds all values exactly; ``None`` where only text does."""
    values = [value for value in values if value is not None]
    kinds = {type(value) for value in values}
    if kinds == {int} and not all(value in INT64 for value in values):
        digits = max(len(str(abs(value))) for value in values)
        return f"decimal128({digits}, 0)" if digits <= 38 else None
    if kinds == {int, float}:
        return "double" if all(map(is_exact_float, values)) else None
    plain = {"bool": "bool", "int": "int64", "float": "double", "str": "string"}
    if len(kinds) == 1:
        return plain.get(kinds.pop().__name__)
    return None if kinds else "string"


def is_exact_float(value: float) -> bool:
    try:
        return Decimal(float(value)) == Decimal(value)
    except OverflowError:
        return False


def holds(found: Any, value: Any, type_name: str) -> bool:
    """Tell whether a Parquet file has a value in a column of the type."""
    if value is None or found is None:
        return value is found
    if type_name == "string" and not isinstance(value, str):
        return is_json_of(found, value)
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
