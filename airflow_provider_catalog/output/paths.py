"""Paths of fields in a row: how people write them, which ones rows have, and which of these a misspelt one may mean."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from itertools import product
from typing import Any

from airflow_provider_catalog.errors import CatalogParameterError

FieldPath = tuple[str, ...]
"""The keys that lead to a field, such as ``("product", "id")``."""
_LEVELS = 8
"""Levels of a row whose names are noted; the deepest known is ``custom_fields.NAME``."""
_ALIKE = 0.8


def dotted(path: FieldPath) -> str:
    """Return a path as users write it."""
    return ".".join(path)


def parse_paths(parameter: str, value: object) -> tuple[FieldPath, ...]:
    """Return dotted paths split; of ``drop_fields`` and ``hash_fields``, those that no other one covers."""
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise CatalogParameterError(
            f"{parameter} must be a list of dotted paths such as ['product.id'], not {type(value).__name__} {value!r}"
        )
    for text in value:
        if not isinstance(text, str) or not all(text.split(".")):
            raise CatalogParameterError(
                f"{parameter}: {text!r} is not a dotted path such as 'product.id' (names with one dot between them)"
            )
    paths = tuple(dict.fromkeys(tuple(text.split(".")) for text in value))
    if parameter == "fields":
        return paths
    return tuple(path for path in paths if not any(other != path and covers(other, path) for other in paths))


def field_paths(fields: object) -> tuple[FieldPath, ...]:
    """Return the dotted paths of ``fields`` split, in order."""
    paths = parse_paths("fields", fields)
    if fields is not None and not paths:
        raise CatalogParameterError("fields is empty, which would keep nothing; leave it out to keep every field")
    for path in paths:
        if "*" in path:
            raise CatalogParameterError(
                f"fields: {dotted(path)!r} has a '*', which only drop_fields and hash_fields take; name the fields"
            )
    for path, other in product(paths, paths):
        if other != path and covers(other, path):
            raise CatalogParameterError(
                f"fields: {dotted(path)!r} is already part of {dotted(other)!r}; leave one of them out"
            )
    return paths


def refuse_dropped(drop: Iterable[FieldPath], parameter: str, paths: Iterable[FieldPath]) -> None:
    """Refuse the paths of a parameter that ``drop_fields`` would leave out."""
    for path, dropped in product(paths, drop):
        if covers(dropped, path):
            raise CatalogParameterError(
                f"{parameter}: {dotted(path)!r} is left out by drop_fields ({dotted(dropped)!r}); "
                "take it out of one of the two"
            )


def covers(pattern: FieldPath, path: FieldPath) -> bool:
    """Tell whether everything at ``path`` is at or below what ``pattern`` matches."""
    return len(pattern) <= len(path) and all(mine in ("*", theirs) for mine, theirs in zip(pattern, path, strict=False))


def note_paths(node: Any, paths: dict[FieldPath, None], parents: FieldPath = ()) -> None:
    """Add the paths of the fields of a row, or of a part of it; the items of a list have no name."""
    if isinstance(node, list):
        for item in node:
            if isinstance(item, dict | list):
                note_paths(item, paths, parents)
    elif len(parents) < _LEVELS:
        for name, value in node.items():
            path = (*parents, name)
            paths[path] = None
            if isinstance(value, dict | list):
                note_paths(value, paths, path)


def is_null(paths: Collection[FieldPath], path: FieldPath) -> bool:
    """Tell whether a parent on the path has nothing below it in any row, as when it is always ``null``."""
    parents = [path[:length] for length in range(1, len(path)) if path[:length] in paths]
    return any(all(other[: len(parent)] != parent or other == parent for other in paths) for parent in parents)


def words(path: FieldPath) -> list[str]:
    """Return the words that names are made of, in lower case: ``student.e-mail`` has three."""
    return [word for word in re.split(r"[\W_]+", ".".join(path).casefold()) if word]


def is_alike(path: FieldPath, other: FieldPath) -> bool:
    """
    Tell whether two paths are spelt alike: but for case, dots and underscores, or for a letter or two of one word.

    ``address1`` and ``address2`` are not: fields are often numbered. A ``*`` in the first one stands for any name.
    """
    if len(path) == len(other):
        path = tuple(theirs if mine == "*" else mine for mine, theirs in zip(path, other, strict=True))
    else:
        path = tuple(name for name in path if name != "*")  # the item of a list has no name
    mine, theirs = words(path), words(other)
    for end in (0, -1):
        while mine and theirs and mine[end] == theirs[end]:
            del mine[end], theirs[end]
    left, right = "".join(mine), "".join(theirs)
    if left != right and re.sub(r"\d", "", left) == re.sub(r"\d", "", right):
        return False
    return sorted(left) == sorted(right) or difflib.SequenceMatcher(None, left, right).ratio() >= _ALIKE
