"""The 53 filters, strictly: what each takes, and the SQL that it means.

This table is written from the API's documentation and shares nothing with the provider's own, so that a slip in
either shows when the provider is tested against the sandbox.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import parse_qsl

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    WithJsonSchema,
    create_model,
)

MOST = 2**63 - 1  # the largest integer that SQLite (and the API's own database) knows
DATE = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<time>\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?) ?(?P<zone>Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
COMPLETED_AT = "iif(e.status = 'COMPLETED', e.ends_at, NULL)"
FORM = "application/x-www-form-urlencoded"


class QueryError(Exception):
    """A request that the Catalog would refuse, with a sentence for each mistake."""

    def __init__(self, *errors: str) -> None:
        super().__init__("; ".join(errors))
        self.errors = list(errors)


def _whole(value: Any) -> Any:
    """Turn a whole number that is written as 5.0 into an integer, as JSON schema has it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _cents(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not -math.inf < value < math.inf:
        raise ValueError("must be a number")
    # Rounded, for 19.99 * 100 is not 1999 in floating point; beyond 1e15 no amount is any more.
    return round(float(max(-1e15, min(1e15, value))) * 100, 6)


def _instant(value: Any) -> str:
    """Return the instant in the form that the database holds."""
    match = DATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a date, YYYY-MM-DD or ISO 8601")
    try:
        instant = datetime.fromisoformat(f"{match['day']}T{match['time'] or '00:00'}{match['zone'] or 'Z'}")
        return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    except (ValueError, OverflowError):
        raise ValueError("is not a date of the calendar") from None


Count = Annotated[int, Field(ge=-MOST, le=MOST), BeforeValidator(_whole)]
Ids = Annotated[list[Count], Field(min_length=1)]
Amount = Annotated[float, BeforeValidator(_cents), WithJsonSchema({"type": "number"})]
DATE_SCHEMA = {
    "type": "string",
    "anyOf": [{"format": "date"}, {"format": "date-time"}],
    "description": "YYYY-MM-DD or ISO 8601; UTC unless it says otherwise",
}
Date = Annotated[str, BeforeValidator(_instant), WithJsonSchema(DATE_SCHEMA)]


def _in(column: str) -> str:
    return f"{column} IN (SELECT value FROM json_each(?))"  # noqa: S608 - our own columns


def _range(name: str, kind: Any, column: str) -> dict[str, tuple[Any, str]]:
    low, high = ("from", "to") if kind is Date else ("min", "max")
    return {f"{name}_{low}": (kind, f"{column} >= ?"), f"{name}_{high}": (kind, f"{column} <= ?")}


def _some_of(column: str, *words: str) -> tuple[Any, str]:
    return Annotated[list[Literal[words]], Field(min_length=1)], _in(column)  # type: ignore[valid-type]


def _promo_codes(table: str) -> tuple[Any, str]:
    return _some_of(f"iif({table}.promo_codes = '[]', 'NOT_APPLIED', 'APPLIED')", "APPLIED", "NOT_APPLIED")


_OF_A_PRODUCT = {
    "account_ids": (Ids, _in("p.account_id")),
    "product_ids": (Ids, _in("p.id")),
    "product_statuses": _some_of("p.status", "OPEN", "CLOSED", "DELETED"),
}
_OF_A_STUDENT = {"student_ids": (Ids, _in("s.id")), "student_canvas_user_ids": (Ids, _in("s.canvas_user_id"))}

# Name → what it takes, and its SQL with a question mark for the value. The letters are the tables of store.SOURCES.
FILTERS: dict[str, dict[str, tuple[Any, str]]] = {
    "products": {
        **_OF_A_PRODUCT,
        **_range("creation_date", Date, "p.created_at"),
        **_range("enrollment_count", Count, "p.enrollment_count"),
        **_range("completion_count", Count, "p.completion_count"),
        **_range("dropped_count", Count, "p.dropped_count"),
        **_range("listing_price", Amount, "p.list_price"),
        "promo_codes": _promo_codes("p"),
        **_range("revenue", Amount, "p.revenue"),
        "certificate_offered": (StrictBool, "p.certificate_offered = ?"),
    },
    "enrollments": {
        **_OF_A_PRODUCT,
        **_OF_A_STUDENT,
        **_range("enrollment_date", Date, "e.enrolled_at"),
        "enrollment_statuses": _some_of("e.status", "ACTIVE", "COMPLETED", "DROPPED", "CONCLUDED"),
        **_range("completion_date", Date, COMPLETED_AT),
    },
    "orders": {
        **_OF_A_PRODUCT,
        **_range("listing_price", Amount, "p.list_price"),
        "promo_codes": _promo_codes("o"),
        **_range("revenue", Amount, "o.revenue"),
        **_OF_A_STUDENT,
        "purchaser_ids": (Ids, _in("b.id")),
        "purchaser_canvas_user_ids": (Ids, _in("b.canvas_user_id")),
        # "Only" when true; false leaves the others in.
        "bulk_purchases_only": (StrictBool, "(o.seats > 1) >= ?"),
        **_range("purchase_date", Date, "o.purchased_at"),
        "order_fee": _some_of("iif(o.revenue = 0, 'FREE', 'PAID')", "FREE", "PAID"),
    },
    "users": {
        "account_ids": (Ids, _in("s.account_id")),
        **_range("enrollment_count", Count, "s.enrollment_count"),
        **_OF_A_STUDENT,
        **_range("last_enrollment_date", Date, "s.last_enrolled_at"),
        **_range("registration_date", Date, "s.registered_at"),
        "registered_through": _some_of("s.registered_through", "CANVAS", "CATALOG"),
    },
}
MODELS: dict[str, type[BaseModel]] = {
    endpoint: create_model(  # type: ignore[call-overload] # mypy takes what is unpacked for anything
        f"{endpoint.title()}Filters",
        __config__=ConfigDict(extra="forbid", strict=True),
        # A factory: a default of null would be part of the schema.
        **{name: (kind, Field(default_factory=lambda: None)) for name, (kind, _) in filters.items()},
    )
    for endpoint, filters in FILTERS.items()
}


def body_schemas(endpoint: str) -> dict[str, dict[str, Any]]:
    """Return what an endpoint takes as JSON schema, by media type."""
    schema = MODELS[endpoint].model_json_schema()
    # A list without items can't be told from none in a form.
    fields = {
        name: {**field, "minItems": 0} if "items" in field else field for name, field in schema["properties"].items()
    }
    return {"application/json": schema, FORM: {**schema, "properties": fields}}


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def read_body(body: bytes, content_type: str) -> dict[str, Any]:
    """Return the body's filters by name; a form's values are lists of strings."""
    if not body:
        return {}
    if _media_type(content_type) == FORM:
        return _read_form(body)
    if _media_type(content_type) not in {"", "application/json"}:
        raise QueryError(f"the Content-Type is neither application/json nor {FORM}")
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
    endpoint: str, body: dict[str, Any], content_type: str, *, inclusive: bool
) -> tuple[tuple[str, ...], tuple[object, ...]]:
    """
    Return the filters of a body as SQL conditions, and the values of their question marks.

    :param inclusive: whether a ``..._to`` filter includes the instant that it names.
    :raises QueryError: naming every filter that is unknown or has a wrong value.
    """
    filters = FILTERS[endpoint]
    errors = {name: f"is not a filter of {endpoint}" for name in body if name not in filters}
    known = {name: value for name, value in sorted(body.items()) if name in filters}
    if _media_type(content_type) == FORM:
        known = {name: _from_form(filters[name][0], values) for name, values in known.items()}
    try:
        checked = dict(MODELS[endpoint].model_validate(known))
    except ValidationError as error:
        for each in error.errors(include_input=False, include_url=False):
            message = each["msg"].removeprefix("Value error, ").removeprefix("Input ")
            errors.setdefault(str(each["loc"][0]), message)
    if errors:
        raise QueryError(*(f"{name} {message}" for name, message in sorted(errors.items())))
    conditions = [_condition(filters[name][1], value, checked[name], inclusive) for name, value in known.items()]
    return tuple(sql for sql, _ in conditions), tuple(value for _, value in conditions)


def _condition(sql: str, sent: Any, checked: Any, inclusive: bool) -> tuple[str, object]:
    if isinstance(checked, list):
        return sql, json.dumps(sorted(set(checked)))
    if isinstance(checked, str) and "<=" in sql:
        if not inclusive:
            return sql.replace("<=", "<"), checked
        if len(sent) == len("YYYY-MM-DD"):  # through the end of the day
            return sql, checked.replace("T00:00:00.000000Z", "T23:59:59.999999Z")
    return sql, checked


def _from_form(kind: Any, values: list[str]) -> Any:
    """Return what JSON would have said; text that can't be it stays text, for the check to refuse."""
    converted = values if kind is Date else [_from_text(value) for value in values]
    is_list = get_origin(get_args(kind)[0]) is list
    return converted if is_list or len(values) > 1 else converted[0]


def _from_text(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text
