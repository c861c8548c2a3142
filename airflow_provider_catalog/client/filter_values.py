"""The kinds of filter values: what a DAG may give, and what is sent to the API.

A template gives text (``"1,2"``, ``"[1, 2]"``, ``"true"``), an XCom gives Python values; both are accepted. Each kind
is an ``Annotated`` type: type checkers see what may be written in a DAG, pydantic runs the function behind it, which
returns what is sent, or ``None`` for a filter that is not set, or raises ``ValueError`` saying what is allowed.
"""

from __future__ import annotations

import ast
import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Protocol

from pydantic import PlainValidator, TypeAdapter, ValidationError


class ResolvedLater(Protocol):
    """What has no value yet when the DAG is parsed: an ``XComArg``, such as another task's ``.output``."""

    def resolve(self, context: Any) -> Any:
        """Return the value."""


def shown(value: object) -> str:
    """Return a value as an error message shows it: its ``repr``, cut to 80 characters."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more than 4300 digits
        return f"a very large {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


NOTHING = ("None", "null")
"""What a template makes of a value that is not there."""


def parse_literal(text: str) -> Any:
    """Return the value that a text is of, as JSON or as Python writes it; the text itself where it is of neither."""
    for parse in (json.loads, ast.literal_eval):
        with suppress(ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return parse(text)
    return text


# What converting a wrong value raises; ArithmeticError covers infinities and Decimal's signals.
_NOT_ALLOWED = (ValueError, TypeError, ArithmeticError)


def _optional(parse: Callable[[Any], Any], allowed: str) -> PlainValidator:
    def validate(value: Any) -> Any:
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        try:
            return parse(value)
        except _NOT_ALLOWED as error:
            reason = f" ({error})" if isinstance(error, _RefusedError) else ""
            if isinstance(value, str) and value.strip() in NOTHING:
                reason = " (write {{ params.x or '' }} in the template, for a filter that may not be set)"
            raise ValueError(f"{shown(value)}{reason}; allowed: {allowed}") from None

    return PlainValidator(validate)


class _RefusedError(ValueError):
    """A refusal whose text says more than the value alone does."""


def _items(value: Any) -> list[Any]:
    """Return the items of a list that may be written as text, or be a single value."""
    if isinstance(value, str):
        text = value.strip()
        value = parse_literal(text) if text[0] in "[(" else [item.strip() for item in text.split(",")]
    if isinstance(value, Mapping | bytes | bytearray):
        raise TypeError
    items = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    if not items:
        # To send it would ask for everything, or for nothing: the API doesn't say which.
        raise _RefusedError("an empty list; leave the filter out, or give None, to ask without it")
    return items


def _list_of(parse: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def parse_items(value: Any) -> list[Any]:
        parsed = []
        for item in _items(value):
            try:
                parsed.append(parse(item))
            except _NOT_ALLOWED:
                raise _RefusedError(f"its item {shown(item)} is not allowed") from None
        return parsed

    return parse_items


_INTEGER = re.compile(r"[+-]?[0-9]+")
_MAX_DIGITS = 1000
_MAX_BITS = 3400
"""Of an integer, a thousand digits or so. Python itself refuses to print one of more than 4300."""


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, str) and not _INTEGER.fullmatch(value.strip()):
        raise ValueError
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() > _MAX_DIGITS:
        raise ValueError  # before it is made an integer, for which there may not be enough memory
    if isinstance(value, float | Decimal) and value != int(value):
        raise ValueError
    number = int(value) if isinstance(value, str | float | Decimal) else operator.index(value)
    if number.bit_length() > _MAX_BITS:
        raise ValueError
    return number


def _count(value: Any) -> int:
    count = _integer(value)
    if count < 0:
        raise ValueError
    return count


def _number(value: Any) -> int | float:
    try:
        return _integer(value)
    except (ValueError, TypeError):
        if isinstance(value, bool) or not isinstance(value, float | Decimal | str):
            raise
    number = float(value)
    if not math.isfinite(number) or (isinstance(value, str) and not value.isascii()) or "_" in str(value):
        raise ValueError
    if Decimal(repr(number)) != Decimal(str(value)):
        raise _RefusedError("more digits than a float holds")
    return number


def _choice(*allowed: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not isinstance(value, str) or value.strip().upper() not in allowed:
            raise ValueError
        return value.strip().upper()

    return parse


_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}|[0-9]{4}-?W[0-9]{2}(-?[0-9])?)([Tt ][0-9:.,]+([Zz]|[+-][0-9:.]+)?)?"
)
"""Dates and times as ISO 8601 has them; Python also takes them with any other character before the time."""


def _date(value: Any) -> str:
    if isinstance(value, datetime):
        instant = value if value.tzinfo else value.replace(tzinfo=UTC)
        text = instant.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
    elif isinstance(value, date):
        text = value.isoformat()
    elif isinstance(value, str | int) and not isinstance(value, bool):
        text = str(value).strip()  # 20260131 is what render_template_as_native_obj makes of a day
    else:
        raise TypeError
    if not _ISO.fullmatch(text):
        raise ValueError
    datetime.fromisoformat(text)
    return text


_BOOLEAN: TypeAdapter[bool] = TypeAdapter(bool)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool | int | str):
        raise TypeError
    try:
        return _BOOLEAN.validate_python(value.strip() if isinstance(value, str) else value)
    except ValidationError:
        raise ValueError from None


def _choices(*allowed: str) -> PlainValidator:
    return _optional(_list_of(_choice(*allowed)), f"one or more of {', '.join(allowed)}, in any case")


Ids = Annotated[
    int | str | Sequence[int] | Sequence[str] | ResolvedLater | None,
    _optional(_list_of(_integer), 'one or more integers, such as [1, 2] or "1,2"'),
]
Count = Annotated[int | str | ResolvedLater | None, _optional(_count, "an integer of 0 or more")]
Number = Annotated[
    int | float | Decimal | str | ResolvedLater | None,
    _optional(_number, "a finite number, such as 10 or 19.99"),
]
Date = Annotated[
    date | datetime | str | ResolvedLater | None,
    _optional(
        _date,
        'a date, a datetime (UTC where it has no time zone), or ISO text such as "2026-01-31T00:00:00Z"',
    ),
]
Flag = Annotated[bool | str | ResolvedLater | None, _optional(_flag, "true or false")]

_Words = str | Sequence[str] | ResolvedLater | None
ProductStatuses = Annotated[_Words, _choices("OPEN", "CLOSED", "DELETED")]
EnrollmentStatuses = Annotated[_Words, _choices("ACTIVE", "COMPLETED", "DROPPED", "CONCLUDED")]
PromoCodes = Annotated[_Words, _choices("APPLIED", "NOT_APPLIED")]
OrderFees = Annotated[_Words, _choices("FREE", "PAID")]
RegistrationSources = Annotated[_Words, _choices("CANVAS", "CATALOG")]
