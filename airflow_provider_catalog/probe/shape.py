"""What rows look like: names of fields and kinds of values, never a value.

A name can be personal, too: objects such as custom fields may be keyed by anything. So a key is shown only if it looks
like a field's name, is no free-form object's, and either is one that the API's documentation and admin pages lead to
expect, or stands in row after row. Of all others only the number is told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from airflow_provider_catalog.client.endpoints import ENDPOINTS

_KNOWN = {
    *(name for path in ENDPOINTS["products"].columns for name in path.split(".")),
    *("canvas_section_id", "enrollment_id", "enrollment_status", "enrollment_date", "completion_date", "student"),
    *("custom_fields", "customFields", "purchaser", "bulk_purchase", "purchase_date", "order_id", "email"),
    *("registration_date", "registered_through", "last_enrollment_date", "canvas_user_id"),
}
"""Names of fields that are documented for products, or inferred from the admin pages for the others."""
_NAME = re.compile(r"(?!.*\d{3})(?!custom)[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", re.IGNORECASE)
_LONGEST_NAME = 40
_FREE_FORM = re.compile(
    r"custom|metadata|extra|additional|answer|response|preference|setting|propert|attribute|note|question|survey"
)
_FEWEST = 5
"""So many rows must have a key that nobody expects."""
_COMMON = 0.2
"""The share of rows that must have it; an object within a row must have it always."""
_DEEPEST = 4
_TIME = re.compile(r"\d{4}[-/]\d\d[-/]\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?( ?(Z|[+-]\d\d:?\d\d))?", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,12}\.\d{1,9}", re.ASCII)


def describe(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the fields of rows as the API sent them, the way that the report shows them."""
    row, *fields = _fields((), list(rows))
    return [row, *fields] if row["hidden"] else fields


def _fields(place: tuple[str, ...], values: list[Any], objects: int = 0) -> Iterator[dict[str, Any]]:
    """
    Yield the field at a place, and those within it.

    :param place: the keys that lead there; ``[]`` stands for the items of a list.
    :param values: all that stand there.
    :param objects: in how many objects the field might stand.
    """
    inside: dict[str, list[Any]] = {}
    for value in values if len(place) < _DEEPEST else ():
        if isinstance(value, dict):
            for key, item in value.items():
                inside.setdefault(key, []).append(item)
        elif value and isinstance(value, list):
            inside.setdefault("[]", []).extend(value)
    kinds = Counter(map(_kind, values))
    shown = [key for key in inside if key == "[]" or _may_be_shown(key, place, len(inside[key]), kinds["object"])]
    yield {
        "path": ".".join(place).replace(".[]", "[]") or "(row)",
        "kinds": sorted(kinds),  # JSON types; of text that is a time or a number, that it is
        "missing": len(values) < objects,  # whether some objects are without it
        "hidden": len(inside) - len(shown),  # how many different keys it has that are not shown
    }
    for key in shown:
        yield from _fields((*place, key), inside[key], 0 if key == "[]" else kinds["object"])


def _kind(value: Any) -> str:
    if isinstance(value, str):
        time, decimal = _TIME.fullmatch(value), _DECIMAL.fullmatch(value)
        return "string (a time)" if time else "string (a decimal)" if decimal else "string"
    if isinstance(value, bool):
        return "boolean"
    names = {dict: "object", list: "array", int: "integer", float: "number", type(None): "null"}
    return names[type(value)]


def _may_be_shown(name: str, parents: tuple[str, ...], count: int, objects: int) -> bool:
    """Return whether the name of a key may be told that so many of the objects at its place have."""
    if any(_FREE_FORM.search(each.lower()) for each in parents):
        return False
    if name in _KNOWN:
        return True
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        return False
    return count >= _FEWEST and count >= (1 if parents else _COMMON) * objects
