"""The columns of files and tables: their names, and the types that follow from a name and the kind of the values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import eq
from types import NoneType
from typing import Any

from airflow_provider_catalog.client.endpoints import MONEY, Endpoint
from airflow_provider_catalog.client.filter_values import shown
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.convert import EXACT_IN_FLOAT, INT64, are_amounts, are_times, rounds_as_float
from airflow_provider_catalog.output.paths import FieldPath, dotted
from airflow_provider_catalog.output.transform import RowTransform

WORDS: dict[str, tuple[str, ...]] = {
    "timestamp": ("at", "date", "datetime", "on", "time", "timestamp"),
    "int64": ("count", "id", "index", "number", "position", "quantity", "rank", "seats", "year"),
    MONEY: ("amount", "balance", "cost", "discount", "fee", "price", "refund", "revenue", "subtotal", "tax", "total"),
}
"""Type → the last words of the names of the columns that have it, where all their values are of its kind."""

CUSTOM_FIELDS = re.compile("custom_?fields?", re.IGNORECASE)
"""The object whose fields people name as they like, so that their names say nothing."""

_TYPES = {word: type_name for type_name, words in WORDS.items() for word in words}
_WORD = re.compile("[A-Z]*[a-z0-9]+|[A-Z]+")


@dataclass(frozen=True)
class Column:
    """A column of a file or a table: its name is that of the keys that lead to its values, joined with ``_``."""

    name: str
    path: FieldPath
    type: str
    """As ``field_types`` names it; ``""`` where nothing tells it."""


@dataclass(slots=True)
class Kinds:
    """What is known of a column's values, noted while rows are spooled; as small however many there are."""

    suggestion: str | None = None
    """The type that the column's name suggests, if any. An empty text counts as null then."""
    types: set[type] = field(default_factory=set)
    are_int64: bool = True
    """Whether all integers are within the range."""
    rounds: bool = False
    """Whether a float64 would round some integer."""
    fits: bool = True
    """Whether all values fit the suggested type."""

    def add(self, values: list[Any], types: set[type]) -> None:
        """Take account of values, and of their Python types."""
        if self.suggestion and str in types and "" in values:
            values = [value for value in values if value != ""]
            types = {NoneType, *map(type, values)}
        self.types |= types
        if int in types:
            ints = values if len(types) == 1 else [value for value in values if type(value) is int]
            low, high = min(ints), max(ints)
            self.are_int64 = self.are_int64 and low in INT64 and high in INT64
            if not self.rounds and max(-low, high) > EXACT_IN_FLOAT:
                self.rounds = any(map(rounds_as_float, ints))
        if self.suggestion and self.fits and types != {NoneType}:
            if self.suggestion == "int64":
                self.fits = self.are_int64 and types <= {int, NoneType}
            else:
                self.fits = are_times(values) if self.suggestion == "timestamp" else are_amounts(values)

    @property
    def has_values(self) -> bool:
        """Whether there was anything but nulls."""
        return bool(self.types - {NoneType})

    def type_name(self) -> str:
        """Return the column's type, as far as name and values tell it; ``"string"`` where only text holds them all."""
        types = self.types - {NoneType}
        if self.suggestion and types and self.fits:
            return self.suggestion
        if types == {bool}:
            return "bool"
        if types == {int} and self.rounds and self.are_int64:
            return "int64"
        return "float64" if types and types <= {int, float} and not self.rounds else "string"


def column_name(path: FieldPath) -> str:
    """Return the name of the column whose values stand at a path."""
    return "_".join(path)


def suggested_type(path: FieldPath) -> str | None:
    """
    Return the type that the last word of a name suggests, if it does.

    >>> suggested_type(("student", "createdAt")), suggested_type(("order_fee",)), suggested_type(("name",))
    ('timestamp', 'decimal(38,9)', None)
    """
    if any(map(CUSTOM_FIELDS.fullmatch, path[:-1])):
        return None
    words = _WORD.findall(path[-1])
    return _TYPES.get(words[-1].lower()) if words else None


def documented_types(endpoint: Endpoint, transform: RowTransform) -> dict[FieldPath, str]:
    """Return the path and the type of the documented fields of an endpoint that are kept."""
    paths = {tuple(path.split(".")): type_name for path, type_name in endpoint.columns.items()}
    return {path: type_name for path, type_name in paths.items() if transform.keeps(path)}


def typed_columns(
    kinds: Mapping[FieldPath, Kinds],
    objects: set[FieldPath],
    endpoint: Endpoint,
    transform: RowTransform,
    *,
    field_types: Mapping[str, str],
    known: Mapping[str, str],
) -> list[Column]:
    """
    Return the columns of some rows, with their types; first those that are known.

    What tells a column's type, the first that does: ``known`` (as earlier files or a database table have it),
    ``field_types``, the API's documentation, its name and the kind of its values. A column that one of the first three
    names is there even if no row has it. What is null in every row, and what nothing tells the type of, has ``""``.
    """
    documented = documented_types(endpoint, transform)
    pinned, pinned_paths = _pinned(field_types, [*documented, *kinds, *transform.fields])
    paths = list(dict.fromkeys((*documented, *kinds, *transform.fields, *filter(transform.keeps, pinned_paths))))
    if transform.fields:
        paths.sort(key=lambda path: _rank(path, transform.fields))
    filled = {path for path, each in kinds.items() if each.has_values}
    filled_names = set(map(column_name, filled))
    columns = [
        Column(
            name := column_name(path),
            path,
            known.get(name)
            or pinned.get(name)
            or _hashed(documented.get(path), transform.hashes(path))
            or (kinds[path].type_name() if path in filled else ""),
        )
        for path in paths
        # Rows may hold the same column flat (product_id) as is documented nested (product.id).
        if path in filled or column_name(path) not in filled_names
    ]
    lists = {path for path, each in kinds.items() if list in each.types}
    columns = _without_parents(columns, known, objects, lists)
    names = {column.name for column in columns}
    columns += [Column(name, (name,), type_name) for name, type_name in known.items() if name not in names]
    check_clashes(column.path for column in columns)
    order = {name: place for place, name in enumerate(known)}
    return sorted(columns, key=lambda column: order.get(column.name, len(order)))


def _pinned(field_types: Mapping[str, str], paths: Iterable[FieldPath]) -> tuple[dict[str, str], list[FieldPath]]:
    """Return column → type, and the paths of the columns that are none of those given."""
    names = set(map(column_name, paths))
    pinned, others = {}, []
    for key, type_name in field_types.items():
        name = key if key in names else key.replace(".", "_")
        pinned[name] = type_name.replace(" ", "")
        if name not in names:
            others.append(tuple(key.split(".")))
    return pinned, others


def _without_parents(
    columns: list[Column], known: Mapping[str, str], objects: set[FieldPath], lists: set[FieldPath]
) -> list[Column]:
    """Leave out what is null everywhere, where other rows or days have an object or a list."""
    told = {column.name for column in columns if column.type} | known.keys()
    parents = {name[:end] for name in told for end, letter in enumerate(name) if letter == "_"}
    return [
        column
        for column in columns
        if column.type or not (column.path in objects or column.name in parents or _is_within(column.path, lists))
    ]


def _is_within(path: FieldPath, others: set[FieldPath]) -> bool:
    return any(path[:length] in others for length in range(1, len(path)))


def _hashed(documented_type: str | None, is_hashed: bool) -> str | None:
    if not is_hashed:
        return documented_type
    return "list<string>" if documented_type == "list<string>" else "string"


def _rank(path: FieldPath, fields: tuple[FieldPath, ...]) -> int:
    ranks = (rank for rank, field in enumerate(fields) if all(map(eq, field, path)))
    return next(ranks, len(fields))


def check_clashes(paths: Iterable[FieldPath]) -> None:
    """Check that no two fields share a column; names that differ in case alone do, as most databases see it."""
    seen: dict[str, FieldPath] = {}
    for path in paths:
        other = seen.setdefault(column_name(path).casefold(), path)
        if other != path:
            names = {column_name(other), column_name(path)}
            case = " (to most databases, names that differ in case alone are one)" if len(names) > 1 else ""
            raise CatalogParameterError(
                f"the fields {shown(dotted(other))} and {shown(dotted(path))} would both be the column "
                f"{shown(column_name(path))}{case}; leave one of them out, for example "
                f"drop_fields=[{shown(dotted(path))}], or choose with fields"
            )
