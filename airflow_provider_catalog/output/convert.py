"""The types that ``field_types`` and the documented columns name, and values into them.

A converter takes a value as JSON gave it, never ``None``, and raises ``ValueError`` when it does not fit. Its message
is not for users: it may hold the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from difflib import get_close_matches
from types import NoneType
from typing import Any

import msgspec

from airflow_provider_catalog.errors import CatalogParameterError

Converter = Callable[[Any], Any]

INT64 = range(-(2**63), 2**63)
EXACT_IN_FLOAT = 2**53
"""Up to here, every integer is one of float64."""
_PLAIN: dict[str, set[type]] = {"string": {str}, "bool": {bool}, "int64": {int}, "float64": {float}}
"""The Python types that a column of the type holds as they are."""

_DECIMAL_TYPE = re.compile(r"decimal\((\d+), ?(\d+)\)")
_INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MAX_PRECISION = 38


def check_field_types(field_types: object) -> None:
    """Check the parameter ``field_types``; cheap enough for when a DAG is parsed."""
    if field_types is None:
        return
    if not isinstance(field_types, dict):
        raise CatalogParameterError(
            f"field_types must be a dict such as {{'created_at': 'timestamp'}}, not {type(field_types).__name__}"
        )
    for column, name in field_types.items():
        if not isinstance(column, str):
            raise CatalogParameterError(f"field_types: the column {column!r} must be a string")
        check_type("field_types", column, name)
        if field_types.get(column.replace(".", "_"), name) != name:
            raise CatalogParameterError(f"field_types: {column!r} is the same column as {column.replace('.', '_')!r}")


def check_type(where: str, column: str, name: object) -> None:
    """Check the name of a column's type."""
    if not isinstance(name, str) or (name not in _CONVERTERS and decimal_type(name) is None):
        raise CatalogParameterError(f"{where}: {column!r} has the type {name!r}, {_advice(name)}")


def decimal_type(name: str) -> tuple[int, int] | None:
    """Return precision and scale of a decimal type's name, or None when it names no (possible) decimal type."""
    match = _DECIMAL_TYPE.fullmatch(name)
    if match is None:
        return None
    precision, scale = int(match[1]), int(match[2])
    return (precision, scale) if 1 <= precision <= _MAX_PRECISION and scale <= precision else None


def convert(values: list[Any], type_name: str, column: str, first_row: int) -> list[Any]:
    """Return a column's values as a type's Python values; ``None`` stays ``None``, an empty text is ``None``, too."""
    types = set(map(type, values)) - {NoneType}
    largest = max(map(abs, filter(None, values)), default=0) if int in types and types <= {int, float} else 0
    if types <= _PLAIN.get(type_name, set()) and largest < INT64.stop:
        return values
    if type_name == "float64" and types <= {int, float} and largest <= EXACT_IN_FLOAT:
        return [None if value is None else float(value) for value in values]
    to_type = _to_decimal_of(*size) if (size := decimal_type(type_name)) else _CONVERTERS[type_name]
    if type_name != "string":
        values = [None if value == "" else value for value in values]
    try:
        return [None if value is None else to_type(value) for value in values]
    except ValueError:
        unfit = next(number for number, value in enumerate(values, first_row) if not _fits(value, to_type))
    # Out of the except block: there, the first error would be shown too, and with it the value.
    raise CatalogParameterError(
        f"row {unfit}: the value of column {column!r} does not fit its type {type_name!r}; "
        f"keep the column as text with field_types={{{column!r}: 'string'}}"
    )


def are_times(values: list[Any]) -> bool:
    """Tell whether all values are the text of a time, or ``None``."""
    if not set(map(type, values)) <= {str, NoneType}:
        return False
    texts = [value for value in values if value]
    try:
        years = {time.year for time in map(datetime.fromisoformat, texts)}
    except ValueError:
        years = {MAXYEAR}
    # Not every time of the first and the last year is one in UTC.
    return not years & {MINYEAR, MAXYEAR} or all(_fits(text, to_timestamp) for text in texts)


def are_amounts(values: list[Any]) -> bool:
    """Tell whether all values are numbers, or texts of numbers, that ``decimal(38,9)`` has room for, or ``None``."""
    types = set(map(type, values))
    if not types <= {int, float, str, NoneType}:
        return False
    if str in types and not all(_fits(value, _TO_AMOUNT) for value in values if type(value) is str):
        return False
    numbers = [value for value in values if type(value) in (int, float)]
    return not numbers or (max(numbers) < _MAX_AMOUNT and -min(numbers) < _MAX_AMOUNT)


def rounds_as_float(value: int) -> bool:
    """Tell whether an integer would not be the same as a float64."""
    try:
        return int(float(value)) != value
    except OverflowError:
        return True


def _fits(value: Any, to_type: Converter) -> bool:
    try:
        return value is None or to_type(value) is not None
    except ValueError:
        return False


def to_text(value: Any) -> str:
    """Return a string as it is, any other value as JSON text."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def to_timestamp(value: Any) -> datetime:
    """Return a time in UTC; without an offset it is taken as UTC, without a time of day as midnight."""
    text = _only(str, value)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        # As Rails prints times: "2025/06/10 13:42:06 +0000", "2025-06-10 13:42:06 UTC".
        head, tail = text[:10].replace("/", "-"), text[10:].replace(" UTC", "Z")
        time = datetime.fromisoformat(head + tail.replace(" +", "+").replace(" -", "-"))
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the years 1 to 9999") from None


def to_date(value: Any) -> date:
    """Return a date; of a time, the date in UTC."""
    return to_timestamp(value).date()


def to_int64(value: Any) -> int:
    """Return an integer: from ``7``, ``"7"`` or ``7.0``."""
    is_text = isinstance(value, str) and _INTEGER.fullmatch(value)
    if is_text or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    number: int = _only(int, value)
    if number not in INT64:
        raise ValueError("out of range")
    return number


def to_float64(value: Any) -> float:
    """Return a float: from a number that it holds exactly, or the text of a number."""
    if isinstance(value, str):
        if not NUMBER.fullmatch(value):
            raise ValueError("not a number")
        value = float(value)
    if type(value) is int:
        if rounds_as_float(value):
            raise ValueError("not exact")
        value = float(value)
    number: float = _only(float, value)
    if number in (float("inf"), float("-inf")):
        raise ValueError("out of range")
    return number


def to_bool(value: Any) -> bool:
    """Return a truth value: from ``true``, ``false``, ``"true"`` or ``"false"``."""
    if value in ("true", "false"):
        return bool(value == "true")
    return bool(_only(bool, value))


def _to_decimal_of(precision: int, scale: int) -> Converter:
    context, unit = Context(prec=precision), Decimal(1).scaleb(-scale)

    def to_decimal(value: Any) -> Decimal:
        """Return a decimal, rounded half to even to the scale: from a number, or the text of one."""
        kind = type(value)
        if not (NUMBER.fullmatch(value) if kind is str else kind in (int, float)):
            raise ValueError("not a number")
        try:
            return Decimal(repr(value) if kind is float else value).quantize(unit, ROUND_HALF_EVEN, context)
        except InvalidOperation:
            raise ValueError("more digits than the precision") from None

    return to_decimal


def to_list(value: Any) -> list[str | None]:
    """Return a list of texts; an item that is no text stands as JSON."""
    return [None if item is None else to_text(item) for item in _only(list, value)]


def _only(kind: type, value: Any) -> Any:
    # Not isinstance: True is no integer here.
    if type(value) is not kind:
        raise ValueError(f"not a {kind.__name__}")
    return value


_TO_AMOUNT = _to_decimal_of(38, 9)
_MAX_AMOUNT = 10**29
_CONVERTERS: dict[str, Converter] = {
    "string": to_text,
    "bool": to_bool,
    "int64": to_int64,
    "float64": to_float64,
    "timestamp": to_timestamp,
    "date": to_date,
    "list<string>": to_list,
}
_ALIASES = {"datetime": "timestamp", "int": "int64", "integer": "int64", "float": "float64", "number": "float64"}
_ALIASES |= {"double": "float64", "str": "string", "text": "string", "boolean": "bool"}


def _advice(name: object) -> str:
    allowed = f"use one of {', '.join(map(repr, _CONVERTERS))} or 'decimal(12,2)' (precision up to {_MAX_PRECISION})"
    if not isinstance(name, str):
        return f"which is not a string; {allowed}"
    nearest = get_close_matches(name.lower(), [*_CONVERTERS, "decimal", *_ALIASES], n=1)
    hint = _ALIASES.get(nearest[0], nearest[0]) if nearest else None
    meant = f"did you mean {hint!r}? " if hint and hint != "decimal" else ""
    return f"which does not exist; {meant}{allowed}"
