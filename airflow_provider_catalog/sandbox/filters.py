"""The 53 filters, strictly: what each takes, and the SQL that it means.

This table is written from the API's documentation and shares nothing with the provider's own, so that a slip in
either shows when the provider is tested against the sandbox.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

from fastapi import HTTPException
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from pydantic_core import from_json

MOST = 2**63 - 1  # the largest integer that SQLite (and the API's own database) knows
DATE = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<time>\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?) ?(?P<zone>Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
COMPLETED_AT = "iif(e.status = 'COMPLETED', e.ends_at, NULL)"
FORM = "application/x-www-form-urlencoded"


def _instant(text: str) -> str:
    """Return the instant in the form that the database holds."""
    match = DATE.fullmatch(text)
    if match is None:
        raise ValueError("must be a date, YYYY-MM-DD or ISO 8601")
    try:
        instant = datetime.fromisoformat(f"{match['day']}T{match['time'] or '00:00'}{match['zone'] or 'Z'}")
        return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    except (ValueError, OverflowError):
        raise ValueError("is not a date of the calendar") from None


def _whole(value: Any) -> Any:
    """Turn a whole number that is written as 5.0 into an integer, as JSON schema has it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int, Field(ge=-MOST, le=MOST), BeforeValidator(_whole)]
Ids = Annotated[list[Count], Field(min_length=1)]
# In cents, rounded, for 19.99 * 100 is not 1999 in floating point.
Amount = Annotated[float, Field(allow_inf_nan=False), AfterValidator(lambda amount: round(amount * 100, 6))]
DATE_SCHEMA = {
    "type": "string",
    "anyOf": [{"format": "date"}, {"format": "date-time"}],
    "description": "YYYY-MM-DD or ISO 8601; UTC unless it says otherwise",
}
Date = Annotated[str, AfterValidator(_instant), WithJsonSchema(DATE_SCHEMA)]


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
        "certificate_offered": (bool, "p.certificate_offered = ?"),
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
        "bulk_purchases_only": (bool, "(o.seats > 1) >= ?"),
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


def check(model: type[BaseModel], values: dict[str, Any], if_unknown: str, *, strict: bool) -> dict[str, Any]:
    """Return values as a model reads them, out of text where not ``strict``; refuse by name all that are wrong."""
    try:
        return model.model_validate(values, strict=strict).model_dump(exclude_unset=True)
    except ValidationError as error:
        wrong: dict[str, str] = {}
        for each in error.errors(include_input=False, include_url=False):
            message = if_unknown if each["type"] == "extra_forbidden" else each["msg"]
            wrong.setdefault(str(each["loc"][0]), message.removeprefix("Value error, ").removeprefix("Input "))
        raise HTTPException(422, [f"{name} {message}" for name, message in sorted(wrong.items())]) from None


def read_body(body: bytes, content_type: str) -> tuple[dict[str, Any], bool]:
    """Return the body's filters by name, and whether it is a form, whose values are lists of strings."""
    if not body:
        return {}, False
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in ("", "application/json", FORM):
        raise HTTPException(422, [f"the Content-Type is neither application/json nor {FORM}"])
    filters: Any = {}
    try:
        if media_type == FORM:
            for name, value in parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict"):
                filters.setdefault(name.removesuffix("[]"), []).append(value)
        else:
            filters = from_json(body, allow_inf_nan=False)
    except ValueError:
        raise HTTPException(422, ["the body can't be read as its Content-Type says"]) from None
    if not isinstance(filters, dict):
        raise HTTPException(422, ["the body is not a JSON object"])
    return filters, media_type == FORM


def to_sql(
    endpoint: str, body: dict[str, Any], *, is_form: bool, inclusive: bool
) -> tuple[tuple[str, ...], tuple[object, ...]]:
    """Return the filters of a body as SQL; ``inclusive``: a ``..._to`` filter includes the instant that it names."""
    filters = FILTERS[endpoint]
    if is_form:  # which does not tell a value from a list that has one
        body = {
            name: values if len(values) > 1 or "json_each" in filters.get(name, ("", ""))[1] else values[0]
            for name, values in body.items()
        }
    checked = check(MODELS[endpoint], body, f"is not a filter of {endpoint}", strict=not is_form)
    conditions, values = [], []
    for name, value in sorted(checked.items()):
        condition = filters[name][1]
        if isinstance(value, list):
            values.append(json.dumps(sorted(set(value))))
        elif name.endswith("_to") and inclusive and len(body[name]) == len("YYYY-MM-DD"):
            values.append(f"{value[:10]}T23:59:59.999999Z")  # through the end of the day
        else:
            values.append(value)
            condition = condition if inclusive or not name.endswith("_to") else condition.replace("<=", "<")
        conditions.append(condition)
    return tuple(conditions), tuple(values)
