"""Types of columns as databases have them: which a new column gets, what an existing one takes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Context, Decimal
from itertools import repeat
from operator import contains
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql, postgresql

from airflow_provider_catalog.client.endpoints import MONEY
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.convert import decimal_type

Fits = Callable[[Any], bool]

_TEXT_BYTES = {"TINYTEXT": 255, "TEXT": 65_535, "MEDIUMTEXT": 16_777_215}
_INTEGER_BITS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INTEGER": 32, "INT": 32}
_TAKES = {"decimal": {"int64", "float64"}, "float64": {"int64", "decimal"}}
"""Kind of a column → what it takes besides values of its own kind; text takes everything."""


def new_type(type_name: str, text_keys: int = 0) -> Any:
    """Return the type of a new column; of one of the key, that has as many columns, which share what an index takes."""
    if type_name == "string" and text_keys:
        length = min(255, 700 // text_keys)
        key = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
        return sa.Text().with_variant(key, "mysql").with_variant(sa.Unicode(length), "mssql")
    if size := decimal_type(type_name):
        return sa.Numeric(*size)
    return _NEW_TYPES[type_name]


def known_type(column_type: Any) -> str:
    """Return what values an existing column takes, as ``field_types`` names it; text where the database decides."""
    if isinstance(column_type, sa.Boolean) or getattr(column_type, "display_width", None) == 1:
        return "bool"
    if isinstance(column_type, postgresql.ARRAY):
        return "list<string>"
    return next((name for kind, name in _KINDS if isinstance(column_type, kind)), "string")


def takes(column_type: Any, type_name: str) -> bool:
    """Tell whether an existing column may take values of a type, as far as can be told without them."""
    known = known_type(column_type).partition("(")[0]
    wanted = type_name.partition("(")[0]
    return wanted == known or known in ("string", "list<string>") or wanted in _TAKES.get(known, ())


def check_fit(values: list[Any], column_type: Any, column: str, first_row: int, *, refuses_nul: bool = False) -> None:
    """Check that a column holds values as they are: databases clip and round. An error never shows the value."""
    limits = _limits(column_type)
    if refuses_nul and str in set(map(type, values)) and any(map(contains, filter(None, values), repeat("\0"))):
        limits.append((_has_no_nul, "NUL"))
    for fits, limit in limits:
        if not all(value is None or fits(value) for value in values):
            row = next(row for row, value in enumerate(values, first_row) if value is not None and not fits(value))
            raise CatalogParameterError(
                f"alter the column {column!r}, or leave the field out with drop_fields: row {row} has a value that it "
                f"does not hold, {limit}; nothing was loaded"
            )


def _limits(column_type: Any) -> list[tuple[Fits, str]]:
    name = type(column_type).__name__.upper()
    if isinstance(column_type, sa.Numeric) and not isinstance(column_type, sa.Float):
        return _decimal_limits(column_type)
    if name in _INTEGER_BITS or getattr(column_type, "unsigned", False):
        return [_integer_limit(name, getattr(column_type, "unsigned", False))]
    if isinstance(column_type, sa.DateTime):
        return _time_limits(column_type)
    length = getattr(column_type, "length", None)
    if isinstance(column_type, sa.String) and isinstance(length, int):
        return [(lambda value: len(value) <= length, f"{length} characters")]
    if isinstance(column_type, mysql.TEXT | mysql.TINYTEXT | mysql.MEDIUMTEXT):
        size = _TEXT_BYTES[name]
        return [(lambda value: len(value) * 4 <= size or len(value.encode()) <= size, f"{size:,} bytes")]
    return []


def _has_no_nul(value: Any) -> bool:
    return type(value) is not str or "\0" not in value


def _integer_limit(name: str, is_unsigned: bool) -> tuple[Fits, str]:
    bits = _INTEGER_BITS.get(name, 64)
    allowed = range(2**bits) if is_unsigned else range(-(2 ** (bits - 1)), 2 ** (bits - 1))
    return (lambda value: value in allowed), f"{allowed[0]:,} to {allowed[-1]:,}"


def _decimal_limits(column_type: Any) -> list[tuple[Fits, str]]:
    if column_type.precision is None:
        return []
    scale = column_type.scale or 0
    bound, unit = Decimal(10) ** (column_type.precision - scale), Decimal(1).scaleb(-scale)
    limits: list[tuple[Fits, str]] = []
    if column_type.precision < _DIGITS or scale > _SCALE:
        limits.append((lambda value: abs(value) < bound, f"digits before the point: {bound.adjusted()}"))
    if scale < _SCALE:
        limits.append((lambda value: not _EXACT.remainder(value, unit), f"digits after the point: {scale}"))
    return limits


def _time_limits(column_type: Any) -> list[tuple[Fits, str]]:
    limits: list[tuple[Fits, str]] = []
    if isinstance(column_type, mysql.TIMESTAMP):
        limits.append((_is_in_mysql_timestamp, "1970 to 2038, make it DATETIME(6)"))
    elif isinstance(column_type, mysql.DATETIME):
        limits.append((lambda value: value.year >= 1000, "the years 1000 to 9999"))
    digits = (column_type.fsp or 0) if limits else getattr(column_type, "precision", None)
    if digits is not None and digits < 6:
        step = 10 ** (6 - digits)
        limits.append((lambda value: not value.microsecond % step, f"digits of a second's fraction: {digits}"))
    return limits


def _is_in_mysql_timestamp(value: datetime) -> bool:
    return 0 < value.timestamp() < 2**31


_EXACT = Context(prec=100)
_DIGITS, _SCALE = 38, 9  # of the decimals that come
_KINDS: tuple[tuple[Any, str], ...] = (
    (sa.Integer, "int64"),
    (sa.Float, "float64"),
    (sa.Numeric, MONEY),
    (sa.DateTime, "timestamp"),
    (sa.Date, "date"),
)
_TEXT = (
    sa.Text()
    .with_variant(mssql.NVARCHAR(), "mssql")
    .with_variant(sa.VARCHAR(65_535), "redshift")  # whose TEXT has room for 256 bytes
)
_NEW_TYPES: dict[str, Any] = {
    "string": _TEXT.with_variant(mysql.LONGTEXT(charset="utf8mb4"), "mysql"),
    "bool": sa.Boolean(),
    "int64": sa.BigInteger(),
    "float64": sa.Float(53),
    "timestamp": sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql"),
    "date": sa.Date(),
    "list<string>": _TEXT.with_variant(postgresql.JSONB(), "postgresql").with_variant(mysql.JSON(), "mysql"),
}
