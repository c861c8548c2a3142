"""Which names the rows have, and which of them a misspelt one may mean."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Any

Path = tuple[str, ...]
_LEVELS = 8
"""Levels of a row whose names are noted; the deepest known is ``custom_fields.NAME``."""
_ALIKE = 0.8


def note_paths(node: Any, paths: dict[Path, None], parents: Path = ()) -> None:
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


def is_null(paths: Collection[Path], path: Path) -> bool:
    """Tell whether a parent on the path has nothing below it in any row, as when it is always ``null``."""
    parents = [path[:length] for length in range(1, len(path)) if path[:length] in paths]
    return any(all(other[: len(parent)] != parent or other == parent for other in paths) for parent in parents)


def words(path: Path) -> list[str]:
    """Return the words that names are made of, in lower case: ``student.e-mail`` has three."""
    return [word for word in re.split(r"[\W_]+", ".".join(path).casefold()) if word]


def is_alike(path: Path, other: Path) -> bool:
    """
    Tell whether two paths are spelt alike: but for case, dots and underscores, or for a letter or two of one word.

    ``address1`` and ``address2`` are not: fields are often numbered.

    :param path: may have ``*`` in it, which stands for any name.
    :param other: has none.
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
