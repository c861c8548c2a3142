"""The columns of files and tables: their names, and the types that follow from a name and the kind of the values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_catalog.client.endpoints import MONEY
from airflow_provider_catalog.client.filter_values import shown
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.transform import Path, dotted

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
    :param type: its type, as ``field_types`` names it.
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
