"""What rows look like: names of fields and JSON types, never a value.

A name can be personal, too: objects such as custom fields may be keyed by anything. So a key is shown only if it looks
like a field's name, is no free-form object's, and either is one that the API's documentation and admin pages lead to
expect, or stands in row after row. Of all others only the number is told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_catalog.client.endpoints import ENDPOINTS

EXPECTED: dict[str, tuple[str, ...]] = {
    "products": tuple(column.path for column in ENDPOINTS["products"].columns),
    "enrollments": (
        "product", "product_status", "canvas_course_id", "canvas_section_id", "enrollment_id", "enrollment_status",
        "enrollment_date", "completion_date", "certificate_offered", "student", "custom_fields",
    ),
    "orders": (
        "product", "student", "purchaser", "bulk_purchase", "purchase_date", "promo_codes", "list_price", "discount",
        "revenue", "currency", "order_id",
    ),
    "users": (
        "student", "registration_date", "registered_through", "enrollment_count", "last_enrollment_date",
        "custom_fields",
    ),
}  # fmt: skip
"""The fields of each endpoint's rows: documented for products, inferred from the admin pages for the others."""

_KNOWN = {name for paths in EXPECTED.values() for path in paths for name in path.split(".")} | {
    "email",
    "canvas_user_id",
    "customFields",
}
_NAME = re.compile(r"(?!.*\d{3})[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")
_LONGEST_NAME = 40
_FREE_FORM = re.compile(
    r"custom|metadata|extra|additional|answer|response|preference|setting|propert|attribute|note|question|survey"
)
_FEWEST = 5
"""So many rows must have a key that nobody expects."""
_ROOT_WORD = (
    "analytics|data|included|items?|rows?|results?|records?|entries|list|content|report|response|body|meta|metadata|links|"
    "pages?|paging|pagination|per|next|prev|previous|first|last|total|counts?|size|errors?|messages?|status|code|"
    "success|products?|enrollments?|orders?|purchases?|users?|students?|learners?|courses?|listings?|catalog"
)
_USUAL_ROOT = re.compile(f"({_ROOT_WORD})(_({_ROOT_WORD}))*")
_COMMON = 0.2
"""The share of rows that must have it; an object within a row must have it always."""
_DEEPEST = 4
_DATE = re.compile(
    r"\d{4}(?P<separator>[-/])\d\d[-/]\d\d"
    r"((?P<between>[T ])\d\d:\d\d(?P<seconds>:\d\d)?(\.(?P<fraction>\d+))?(?P<space> ?)(?P<zone>Z|[+-]\d\d:?\d\d)?)?"
)


@dataclass
class Field:
    """
    One field, as the report shows it.

    :param path: dotted; ``[]`` stands for the items of a list.
    :param types: its JSON types, ``null`` among them; of text that is a time its layout, too.
    :param missing: whether some objects are without it.
    :param hidden: how many different keys it has that are not shown.
    """

    path: str
    types: list[str]
    missing: bool = False
    hidden: int = 0


@dataclass
class _Place:
    """What was seen at one place of all rows."""

    types: Counter[str] = field(default_factory=Counter)
    keys: dict[str, _Place] = field(default_factory=dict)
    items: _Place | None = None

    @property
    def count(self) -> int:
        return self.types.total()

    def add(self, value: Any, depth: int = 0) -> None:
        self.types[type_name(value)] += 1
        if depth >= _DEEPEST:
            return
        if isinstance(value, dict):
            for key, item in value.items():
                self.keys.setdefault(key, _Place()).add(item, depth + 1)
        elif isinstance(value, list):
            self.items = self.items or _Place()
            for item in value:
                self.items.add(item, depth + 1)


def type_name(value: Any) -> str:
    """Return a value's JSON type; of text that is a time or a number, that it is."""
    if isinstance(value, str):
        return _text_type(value)
    if isinstance(value, bool):
        return "boolean"
    names = {dict: "object", list: "array", int: "integer", float: "number", type(None): "null"}
    return names[type(value)]


def _text_type(text: str) -> str:
    if re.fullmatch(r"-?\d{1,12}\.\d{1,9}", text, re.ASCII):
        return "string (a decimal)"
    found = _DATE.fullmatch(text)
    if not found:
        return "string"
    layout = f"YYYY{found['separator']}MM{found['separator']}DD"
    if found["between"]:
        layout += f"{found['between']}HH:MM{':SS' if found['seconds'] else ''}"
        layout += f".{'f' * len(found['fraction'])}" if found["fraction"] else ""
        zone = found["zone"] or ""
        layout += found["space"] + ("Z" if zone == "Z" else "+HH:MM" if ":" in zone else "+HHMM" if zone else "")
    return f"string ({layout})"


def describe(rows: Iterable[Any]) -> list[Field]:
    """
    Return the fields of rows, in the order in which they came.

    :param rows: rows as the API sent them.
    """
    place = _Place()
    for row in rows:
        place.add(row)
    return list(_fields(place, "", free_form=False))


def _fields(place: _Place, path: str, *, free_form: bool) -> Iterator[Field]:
    objects = place.types["object"]
    shown = (
        {}
        if free_form
        else {name: at for name, at in place.keys.items() if _may_be_shown(name, at.count, objects, top=not path)}
    )
    hidden = len(place.keys) - len(shown)
    if path or hidden:
        yield Field(path or "(row)", sorted(place.types), hidden=hidden)
    for name, at in shown.items():
        first, *rest = _fields(at, f"{path}.{name}" if path else name, free_form=bool(_FREE_FORM.search(name.lower())))
        first.missing = at.count < objects
        yield first
        yield from rest
    if place.items and place.items.count:
        yield from _fields(place.items, f"{path}[]", free_form=free_form)


def _may_be_shown(name: str, count: int, objects: int, *, top: bool) -> bool:
    if name in _KNOWN:
        return True
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name) or name.lower().startswith("custom"):
        return False
    return count >= _FEWEST and count >= (_COMMON if top else 1) * objects


def root_keys(root: Mapping[str, Any], expected: str) -> dict[str, str]:
    """
    Return the keys of an answer with their types; the number of those that are no usual word under ``"…"``.

    :param root: the answer.
    :param expected: the key under which rows are expected.
    """
    shown = {
        name: type_name(value).split(" ")[0]
        for name, value in root.items()
        if name == expected or _USUAL_ROOT.fullmatch(name)
    }
    hidden = len(root) - len(shown)
    return shown | ({"…": f"{hidden} not shown"} if hidden else {})
