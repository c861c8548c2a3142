"""The 53 filters, strictly: what each takes, and the SQL that it means.

This table is written from the API's documentation and shares nothing with the provider's own, so that a slip in
either shows when the provider is tested against the sandbox.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Literal
from urllib.parse import parse_qsl

MOST = 2**63 - 1  # the largest integer that SQLite (and the API's own database) knows
DATE = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<time>\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?) ?(?P<zone>Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)

Kind = Literal["ids", "states", "count", "amount", "date", "flag"]


class QueryError(Exception):
    """
    A request that the Catalog would refuse.

    :param errors: what is wrong with it, a sentence for each mistake.
    """

    def __init__(self, *errors: str) -> None:
        super().__init__("; ".join(errors))
        self.errors = list(errors)


@dataclass(frozen=True)
class Filter:
    """
    One filter of one endpoint.

    :param kind: what values it takes.
    :param column: SQL for what it looks at.
    :param operator: how the column must stand to the value; unused for ``ids`` and ``states``.
    :param states: the words that a filter of kind ``states`` takes.
    """

    kind: Kind
    column: str
    operator: str = "="
    states: tuple[str, ...] = ()

    @property
    def is_list(self) -> bool:
        """Whether it takes a list of values rather than one."""
        return self.kind in {"ids", "states"}

    def schema(self, *, form: bool) -> dict[str, Any]:
        """
        Return what it takes as JSON schema.

        :param form: whether it is sent in a form, where a list without items can't be told from none.
        """
        integer = {"type": "integer", "minimum": -MOST, "maximum": MOST}
        if self.kind == "ids":
            return {"type": "array", "minItems": int(not form), "items": integer}
        if self.kind == "states":
            items = {"type": "string", "enum": list(self.states)}
            return {"type": "array", "minItems": int(not form), "items": items}
        if self.kind == "date":
            return {
                "type": "string",
                "anyOf": [{"format": "date"}, {"format": "date-time"}],
                "description": "YYYY-MM-DD or ISO 8601; UTC unless it says otherwise",
            }
        return integer if self.kind == "count" else {"type": {"amount": "number", "flag": "boolean"}[self.kind]}


def _range(name: str, kind: Kind, column: str) -> dict[str, Filter]:
    low, high = ("from", "to") if kind == "date" else ("min", "max")
    return {f"{name}_{low}": Filter(kind, column, ">="), f"{name}_{high}": Filter(kind, column, "<=")}


def _states(column: str, *states: str) -> Filter:
    return Filter("states", column, states=states)


def _promo_codes(table: str) -> Filter:
    return _states(f"iif({table}.promo_codes = '[]', 'NOT_APPLIED', 'APPLIED')", "APPLIED", "NOT_APPLIED")


_OF_A_PRODUCT = {
    "account_ids": Filter("ids", "p.account_id"),
    "product_ids": Filter("ids", "p.id"),
    "product_statuses": _states("p.status", "OPEN", "CLOSED", "DELETED"),
}
_OF_A_STUDENT = {
    "student_ids": Filter("ids", "s.id"),
    "student_canvas_user_ids": Filter("ids", "s.canvas_user_id"),
}

# The letters are the tables of store.SOURCES.
FILTERS: dict[str, dict[str, Filter]] = {
    "products": {
        **_OF_A_PRODUCT,
        **_range("creation_date", "date", "p.created_at"),
        **_range("enrollment_count", "count", "p.enrollment_count"),
        **_range("completion_count", "count", "p.completion_count"),
        **_range("dropped_count", "count", "p.dropped_count"),
        **_range("listing_price", "amount", "p.list_price"),
        "promo_codes": _promo_codes("p"),
        **_range("revenue", "amount", "p.revenue"),
        "certificate_offered": Filter("flag", "p.certificate_offered"),
    },
    "enrollments": {
        **_OF_A_PRODUCT,
        **_OF_A_STUDENT,
        **_range("enrollment_date", "date", "e.enrolled_at"),
        "enrollment_statuses": _states("e.status", "ACTIVE", "COMPLETED", "DROPPED", "CONCLUDED"),
        **_range("completion_date", "date", "e.completed_at"),
    },
    "orders": {
        **_OF_A_PRODUCT,
        **_range("listing_price", "amount", "p.list_price"),
        "promo_codes": _promo_codes("o"),
        **_range("revenue", "amount", "o.revenue"),
        **_OF_A_STUDENT,
        "purchaser_ids": Filter("ids", "b.id"),
        "purchaser_canvas_user_ids": Filter("ids", "b.canvas_user_id"),
        # "Only" when true; false leaves the others in.
        "bulk_purchases_only": Filter("flag", "(o.seats > 1)", ">="),
        **_range("purchase_date", "date", "o.purchased_at"),
        "order_fee": _states("iif(o.revenue = 0, 'FREE', 'PAID')", "FREE", "PAID"),
    },
    "users": {
        "account_ids": Filter("ids", "s.account_id"),
        **_range("enrollment_count", "count", "s.enrollment_count"),
        **_OF_A_STUDENT,
        **_range("last_enrollment_date", "date", "s.last_enrolled_at"),
        **_range("registration_date", "date", "s.registered_at"),
        "registered_through": _states("s.registered_through", "CANVAS", "CATALOG"),
    },
}


def is_form(content_type: str) -> bool:
    """
    Say whether a body is a form.

    :param content_type: the ``Content-Type`` header.
    """
    return _media_type(content_type) == "application/x-www-form-urlencoded"


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def read_body(body: bytes, content_type: str) -> dict[str, Any]:
    """
    Return the body's filters by name; a form's values are lists of strings.

    :param body: as it came.
    :param content_type: its ``Content-Type``; JSON when empty.
    :raises QueryError: when the body is not what its type says.
    """
    if not body:
        return {}
    if is_form(content_type):
        return _read_form(body)
    if _media_type(content_type) not in {"", "application/json"}:
        raise QueryError("the Content-Type is neither application/json nor application/x-www-form-urlencoded")
    try:
        filters = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise QueryError("the body is not JSON") from None
    if not isinstance(filters, dict):
        raise QueryError("the body is not a JSON object")
    return filters


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _read_form(body: bytes) -> dict[str, Any]:
    form: dict[str, Any] = {}
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        raise QueryError("the body is not a form") from None
    for name, value in pairs:
        form.setdefault(name.removesuffix("[]"), []).append(value)
    return form


def to_sql(
    endpoint: str, body: dict[str, Any], *, form: bool, inclusive: bool
) -> tuple[tuple[str, ...], tuple[object, ...]]:
    """
    Return the filters as SQL conditions, and the values of their question marks.

    :param endpoint: ``"products"``, ``"enrollments"``, ``"orders"`` or ``"users"``.
    :param body: what :func:`read_body` gave.
    :param form: whether the values are a form's: lists of strings.
    :param inclusive: whether a ``..._to`` filter includes the instant that it names.
    :raises QueryError: naming every filter that is unknown or has a wrong value.
    """
    conditions: list[str] = []
    values: list[object] = []
    errors: list[str] = []
    for name, sent in sorted(body.items()):
        filter_ = FILTERS[endpoint].get(name)
        if filter_ is None:
            errors.append(f"{name} is not a filter of {endpoint}")
            continue
        try:
            condition, value = _condition(filter_, _from_form(filter_, sent) if form else sent, inclusive)
        except ValueError as error:
            errors.append(f"{name} {error}")
        else:
            conditions.append(condition)
            values.append(value)
    if errors:
        raise QueryError(*errors)
    return tuple(conditions), tuple(values)


def _condition(filter_: Filter, value: Any, inclusive: bool) -> tuple[str, object]:
    """Return the filter as SQL with one question mark, and what that stands for."""
    checked = CHECKS[filter_.kind](filter_, value)
    if filter_.is_list:
        return f"{filter_.column} IN (SELECT value FROM json_each(?))", checked  # noqa: S608 - our own columns
    operator = filter_.operator
    if filter_.kind == "date" and operator == "<=":
        if not inclusive:
            operator = "<"
        elif len(value) == len("YYYY-MM-DD"):  # through the end of the day
            checked = checked.replace("T00:00:00.000000Z", "T23:59:59.999999Z")
    return f"{filter_.column} {operator} ?", checked


def _from_form(filter_: Filter, values: list[str]) -> Any:
    """Return what JSON would have said; text that can't be it stays text, for the check to refuse."""
    converted = [_from_text(filter_.kind, value) for value in values]
    if filter_.is_list:
        return converted
    if len(converted) > 1:
        raise ValueError("is given more than once")
    return converted[0]


def _from_text(kind: Kind, text: str) -> Any:
    if kind in {"ids", "count"} and re.fullmatch(r"-?\d{1,30}", text, re.ASCII):
        return int(text)
    if kind == "amount" and re.fullmatch(r"-?\d{1,400}(\.\d{1,30})?([eE][+-]?\d{1,3})?", text, re.ASCII):
        return float(text)
    if kind == "flag":
        return {"true": True, "false": False}.get(text, text)
    return text


def _is_integer(value: Any) -> bool:
    """Tell whether a JSON number is an integer, however it is written: 5.0 is one."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and abs(value) <= MOST and value == int(value)


def _check_ids(_: Filter, value: Any) -> str:
    if not isinstance(value, list) or not value or not all(map(_is_integer, value)):
        raise ValueError("must be a list of integers, with at least one")
    return json.dumps(sorted(set(map(int, value))))


def _check_states(filter_: Filter, value: Any) -> str:
    if not isinstance(value, list) or not value or not all(item in filter_.states for item in value):
        raise ValueError(f"must be a list of {', '.join(filter_.states)}, with at least one")
    return json.dumps(sorted(set(value)))


def _check_count(_: Filter, value: Any) -> int:
    if not _is_integer(value):
        raise ValueError("must be an integer")
    return int(value)


def _check_amount(filter_: Filter, value: Any) -> int:
    """Return whole cents, rounded inwards: the data has nothing finer."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value in (math.inf, -math.inf):
        raise ValueError("must be a number")
    rounding = ROUND_CEILING if filter_.operator == ">=" else ROUND_FLOOR
    # Decimal(str()) because 19.99 * 100 is not 1999 in floating point.
    cents = int((Decimal(str(value)) * 100).to_integral_value(rounding))
    return max(-MOST, min(MOST, cents))


def _check_flag(_: Filter, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _check_date(filter_: Filter, value: Any) -> str:
    """Return the instant in the form that the database holds."""
    match = DATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a date, YYYY-MM-DD or ISO 8601")
    try:
        instant = datetime.fromisoformat(f"{match['day']}T{match['time'] or '00:00'}{match['zone'] or 'Z'}").astimezone(
            UTC
        )
    except (ValueError, OverflowError):
        raise ValueError("is not a date of the calendar") from None
    return instant.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


CHECKS: dict[Kind, Callable[[Filter, Any], Any]] = {
    "ids": _check_ids,
    "states": _check_states,
    "count": _check_count,
    "amount": _check_amount,
    "date": _check_date,
    "flag": _check_flag,
}
