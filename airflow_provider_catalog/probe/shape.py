"""What rows look like: names of fields and kinds of values, never a value.

A name can be personal, too: objects such as custom fields may be keyed by anything. So a key is shown only if it looks
like a field's name, is no free-form object's, and either is one that the API's documentation and admin pages lead to
expect, or stands in row after row. Of all others only the number is told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow_provider_catalog.client.endpoints import ENDPOINTS

_KNOWN = {
    *(name for column in ENDPOINTS["products"].columns for name in column.path.split(".")),
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


Place = tuple[str, ...]
"""The keys that lead to a value; ``[]`` stands for the items of a list."""


@dataclass
class Field:
    """One field, as the report shows it."""

    path: str  # dotted; [] stands for the items of a list
    kinds: list[str]  # JSON types; of text that is a time or a number, that it is
    missing: bool = False  # whether some objects are without it
    hidden: int = 0  # how many different keys it has that are not shown


def describe(rows: Iterable[Any]) -> list[Field]:
    """Return the fields of rows as the API sent them, in the order in which they came."""
    seen: dict[Place, Counter[str]] = {}
    for row in rows:
        _look_at(row, (), seen)
    fields: dict[Place, Field] = {}
    for place, kinds in seen.items():  # an object comes before what is in it
        parent, count = place[:-1], kinds.total()
        if place and parent not in fields:
            continue
        objects = seen[parent]["object"]
        if not place or place[-1] == "[]" or _may_be_shown(place, count, objects):
            path = ".".join(place).replace(".[]", "[]") or "(row)"
            fields[place] = Field(path, sorted(kinds), missing=bool(place) and place[-1] != "[]" and count < objects)
        else:
            fields[parent].hidden += 1
    order = {place: number for number, place in enumerate(fields)}
    places = sorted(fields, key=lambda place: [order[place[:depth]] for depth in range(len(place) + 1)])
    return [fields[place] for place in places if place or fields[place].hidden]


def _look_at(value: Any, place: Place, seen: dict[Place, Counter[str]]) -> None:
    seen.setdefault(place, Counter())[_kind(value)] += 1
    if len(place) >= _DEEPEST:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            _look_at(item, (*place, key), seen)
    elif isinstance(value, list):
        for item in value:
            _look_at(item, (*place, "[]"), seen)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        time, decimal = _TIME.fullmatch(value), _DECIMAL.fullmatch(value)
        return "string (a time)" if time else "string (a decimal)" if decimal else "string"
    if isinstance(value, bool):
        return "boolean"
    names = {dict: "object", list: "array", int: "integer", float: "number", type(None): "null"}
    return names[type(value)]


def _may_be_shown(place: Place, count: int, objects: int) -> bool:
    """Return whether the name of a key may be told that so many of the objects at its place have."""
    *parents, name = place
    if any(_FREE_FORM.search(each.lower()) for each in parents):
        return False
    if name in _KNOWN:
        return True
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        return False
    return count >= _FEWEST and count >= (1 if parents else _COMMON) * objects
