"""The columns of files and tables: their names, and the types that follow from a name and the kind of the values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import eq

from airflow_provider_catalog.client.endpoints import MONEY, Endpoint
from airflow_provider_catalog.client.filter_values import shown
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.kinds import Kinds
from airflow_provider_catalog.output.transform import Path, RowTransform, dotted

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
    """
    A column of a file or a table.

    :param name: its name: the keys that lead to it, joined with ``_``.
    :param path: the keys that lead to its values in a row.
    :param type: its type, as ``field_types`` names it; ``""`` where nothing tells it.
    """

    name: str
    path: Path
    type: str


def column_name(path: Path) -> str:
    """Return the name of the column whose values stand at a path."""
    return "_".join(path)


def suggested_type(path: Path) -> str | None:
    """
    Return the type that the last word of a name suggests, if it does.

    >>> suggested_type(("student", "createdAt")), suggested_type(("order_fee",)), suggested_type(("name",))
    ('timestamp', 'decimal(38,9)', None)
    """
    if any(map(CUSTOM_FIELDS.fullmatch, path[:-1])):
        return None
    words = _WORD.findall(path[-1])
    return _TYPES.get(words[-1].lower()) if words else None


def types_of_paths(
    kinds: Mapping[Path, Kinds],
    objects: set[Path],
    endpoint: Endpoint,
    transform: RowTransform,
    *,
    field_types: Mapping[str, str],
    known: Mapping[str, str],
) -> dict[Path, str | None]:
    """
    Return the path of each column and its type; ``None`` where that can't be told.

    :param kinds: the kinds of the values at each path.
    :param objects: the paths where objects stand.
    :raises CatalogParameterError: when two fields of different paths would share a column.
    """
    documented = {
        path: column.type for column in endpoint.columns if transform.keeps(path := tuple(column.path.split(".")))
    }
    paths = list(dict.fromkeys((*documented, *kinds, *transform.fields)))
    names = set(map(column_name, paths))
    pinned = {name if name in names else name.replace(".", "_"): name for name in field_types}
    paths += [
        path for name, key in pinned.items() if name not in names and transform.keeps(path := tuple(key.split(".")))
    ]
    if transform.fields:
        paths.sort(key=lambda path: _rank(path, transform.fields))
    filled = {path for path, each in kinds.items() if each.has_values}
    filled_names = set(map(column_name, filled))
    types: dict[Path, str | None] = {}
    for path in paths:
        name = column_name(path)
        # Rows may hold the same column flat (product_id) as is documented nested (product.id).
        if path in filled or name not in filled_names:
            types[path] = (
                known.get(name)
                or field_types.get(pinned.get(name, name), "").replace(" ", "")
                or _hashed(documented.get(path), transform.hashes(path))
                or (kinds[path].type_name() if path in filled else None)
            )
    told = {column_name(path) for path, type_name in types.items() if type_name} | known.keys()
    # What is null everywhere, where other rows or days have an object or a list, is no column.
    parents = {name[:end] for name in told for end, letter in enumerate(name) if letter == "_"}
    lists = {path for path, each in kinds.items() if list in each.types}
    types = {
        path: type_name
        for path, type_name in types.items()
        if type_name or not (path in objects or column_name(path) in parents or _is_within(path, lists))
    }
    check_clashes(types)
    return types


def _is_within(path: Path, others: set[Path]) -> bool:
    return any(path[:length] in others for length in range(1, len(path)))


def _hashed(documented_type: str | None, is_hashed: bool) -> str | None:
    if not is_hashed:
        return documented_type
    return "list<string>" if documented_type == "list<string>" else "string"


def _rank(path: Path, fields: tuple[Path, ...]) -> int:
    ranks = (rank for rank, field in enumerate(fields) if all(map(eq, field, path)))
    return next(ranks, len(fields))


def check_clashes(paths: Iterable[Path]) -> None:
    """
    Check that no two fields share a column; names that differ in case alone do, as most databases see it.

    :raises CatalogParameterError: when some do.
    """
    seen: dict[str, Path] = {}
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
