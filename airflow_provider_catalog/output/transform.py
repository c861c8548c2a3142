"""What of a row is kept, left out or hashed before it goes anywhere: to XCom, a file or a sensor's result.

Paths are dotted (``"product.id"``). In ``drop_fields`` and ``hash_fields`` a ``*`` matches one level: any key of an
object or any item of a list. A name also reaches through lists: ``"learners.email"`` is the e-mail of every learner.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from airflow_provider_catalog.errors import CatalogParameterError

Row = dict[str, Any]
Path = tuple[str, ...]
Tree = dict[str, "Tree | None"]
"""The paths of ``fields`` as nested dicts; ``None`` where everything below is kept."""

_ABSENT = object()


class RowTransform:
    """
    Select, drop and hash fields of rows.

    Dropping and hashing come first, whatever ``fields`` says. A value is replaced by the hexadecimal HMAC-SHA-256 of
    its text, so that an id hashes the same whether it was sent as ``5`` or ``"5"``; ``null`` stays ``null``, and of an
    object or a list every value in it is hashed.

    :param fields: the only fields to keep, in this order; ``None`` keeps all. A row that lacks one simply lacks it.
    :param drop_fields: fields to leave out.
    :param hash_fields: fields to hash.
    :param hash_key: the key of the hash. It may be unknown when the DAG is parsed; see :meth:`check_hash_key`.
    :raises CatalogParameterError: when a path is malformed, or the parameters contradict each other.
    """

    def __init__(
        self,
        fields: list[str] | tuple[str, ...] | None = None,
        drop_fields: list[str] | tuple[str, ...] | None = None,
        hash_fields: list[str] | tuple[str, ...] | None = None,
        hash_key: str | None = None,
    ) -> None:
        self.fields = _field_paths(fields)
        self._drop = _without_covered(_paths("drop_fields", drop_fields))
        self._hash = _without_covered(_paths("hash_fields", hash_fields))
        self._key = _key(hash_key)
        _refuse_dropped(self._drop, "fields", self.fields)
        _refuse_dropped(self._drop, "hash_fields", self._hash)
        self._tree = _tree(self.fields)
        self._is_identity = not (self.fields or self._drop or self._hash)
        self._saw_a_row = False
        self._unmatched = {
            (parameter, path)
            for parameter, paths in (
                ("fields", self.fields),
                ("drop_fields", self._drop),
                ("hash_fields", self._hash),
            )
            for path in paths
        }
        # The hashes made for the current row: where two paths lead to one value, it is hashed once.
        self._made: set[str] = set()

    def __repr__(self) -> str:
        """Show the paths, never the key."""
        parts = (("fields", self.fields), ("drop_fields", self._drop), ("hash_fields", self._hash))
        return f"RowTransform({', '.join(f'{name}={list(map(dotted, paths))}' for name, paths in parts)})"

    def check_hash_key(self) -> None:
        """
        Check that there is a key where one is needed; call it before the first request.

        :raises CatalogParameterError: when there are ``hash_fields`` and no key.
        """
        if self._hash and not self._key:
            raise CatalogParameterError(
                f'hash_fields={list(map(dotted, self._hash))} needs a key: set "Hash key" in the connection '
                "(extra 'hash_key')"
            )

    def __call__(self, row: Row) -> Row:
        """
        Return what is to be kept of a row.

        :param row: a row as the API sent it; it may be changed in place.
        :raises CatalogParameterError: when there are ``hash_fields`` and no key, or a row is nested too deeply.
        """
        if self._is_identity:
            return row
        self._saw_a_row = True
        try:
            return self._changed(row)
        except RecursionError:
            raise CatalogParameterError(
                "a row is nested too deeply for fields, drop_fields and hash_fields to reach into it; leave out the "
                "whole field with drop_fields"
            ) from None

    def _changed(self, row: Row) -> Row:
        for path in self._drop:
            if _apply(row, path, _delete):
                self._unmatched.discard(("drop_fields", path))
        if self._hash:
            self._hash_row(row)
        if self._tree:
            self._note_fields(row)
            kept = _select(row, self._tree)
            return {} if kept is _ABSENT else kept
        return row

    def unmatched(self) -> list[tuple[str, str]]:
        """
        Return the paths that matched nothing in any row so far, as (parameter, path); none while there was no row.

        A field that is there with the value ``null`` counts as matched.
        """
        if not self._saw_a_row:
            return []
        return sorted((parameter, dotted(path)) for parameter, path in self._unmatched)

    def keeps(self, path: Path) -> bool:
        """Tell whether a value at that path of a row survives."""
        selected = not self.fields or any(_covers(field, path) for field in self.fields)
        return selected and not any(_covers(drop, path) for drop in self._drop)

    def hashes(self, path: Path) -> bool:
        """Tell whether a value at that path of a row is replaced by its hash."""
        return any(_covers(pattern, path) for pattern in self._hash)

    def _hash_row(self, row: Row) -> None:
        self.check_hash_key()
        self._made.clear()
        for path in self._hash:
            if _apply(row, path, self._replace_by_hash):
                self._unmatched.discard(("hash_fields", path))

    def _replace_by_hash(self, container: Any, key: Any) -> None:
        container[key] = self._hashed(container[key])

    def _hashed(self, value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, dict):
            return {key: self._hashed(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._hashed(item) for item in value]
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        if text in self._made:
            return text
        digest = hmac.digest(self._key, text.encode(), "sha256").hex()
        self._made.add(digest)
        return digest

    def _note_fields(self, row: Row) -> None:
        for path in self.fields:
            if ("fields", path) in self._unmatched and _apply(row, path, _leave):
                self._unmatched.discard(("fields", path))


def dotted(path: Path) -> str:
    """Return a path as users write it."""
    return ".".join(path)


def _key(hash_key: object) -> bytes:
    if hash_key is not None and not isinstance(hash_key, str):
        raise CatalogParameterError(f"hash_key must be a string, not {type(hash_key).__name__}")
    return (hash_key or "").encode()


def _paths(parameter: str, value: object) -> tuple[Path, ...]:
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
    return tuple(dict.fromkeys(tuple(text.split(".")) for text in value))


def _field_paths(fields: object) -> tuple[Path, ...]:
    paths = _paths("fields", fields)
    if fields is not None and not paths:
        raise CatalogParameterError("fields is empty, which would keep nothing; leave it out to keep every field")
    for path in paths:
        if "*" in path:
            raise CatalogParameterError(
                f"fields: {dotted(path)!r} has a '*', which only drop_fields and hash_fields take; name the fields"
            )
        for other in paths:
            if other != path and _covers(other, path):
                raise CatalogParameterError(
                    f"fields: {dotted(path)!r} is already part of {dotted(other)!r}; leave one of them out"
                )
    return paths


def _refuse_dropped(drop: Iterable[Path], parameter: str, paths: Iterable[Path]) -> None:
    for path in paths:
        for dropped in drop:
            if _covers(dropped, path):
                raise CatalogParameterError(
                    f"{parameter}: {dotted(path)!r} is left out by drop_fields ({dotted(dropped)!r}); "
                    "take it out of one of the two"
                )


def _covers(pattern: Path, path: Path) -> bool:
    """Tell whether everything at ``path`` is at or below what ``pattern`` matches."""
    return len(pattern) <= len(path) and all(mine in ("*", theirs) for mine, theirs in zip(pattern, path, strict=False))


def _without_covered(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(path for path in paths if not any(other != path and _covers(other, path) for other in paths))


def _tree(paths: Iterable[Path]) -> Tree:
    root: Tree = {}
    for *parents, last in paths:
        node = root
        for name in parents:
            node = node.setdefault(name, {})  # type: ignore[assignment] # no leaf: paths within others were refused
        node[last] = None
    return root


def _apply(node: Any, path: Path, change: Callable[[Any, Any], None]) -> bool:
    """Call ``change(container, key)`` wherever the path leads from a node; tell whether it led anywhere."""
    name, rest = path[0], path[1:]
    matched = False
    if isinstance(node, list) and name != "*":
        for item in node:
            matched |= _apply(item, path, change)
        return matched
    if rest and isinstance(node, dict):
        matched = _apply_dotted(node, path, change)
    for key in _matching_keys(node, name):
        if not rest:
            change(node, key)
            matched = True
        else:
            matched |= _apply(node[key], rest, change)
    return matched


def _apply_dotted(node: Row, path: Path, change: Callable[[Any, Any], None]) -> bool:
    """Do the same where a key has dots itself (``{"student.email": ...}``): nothing private may slip through."""
    matched = False
    for length in range(2, len(path) + 1):
        key, rest = dotted(path[:length]), path[length:]
        if key in node:
            if rest:
                matched |= _apply(node[key], rest, change)
            else:
                change(node, key)
                matched = True
    return matched


def _matching_keys(node: Any, name: str) -> Iterable[Any]:
    if isinstance(node, dict):
        if name == "*":
            return list(node)
        return (name,) if name in node else ()
    # From the end, so that deleting an item moves none of those still to come.
    return reversed(range(len(node))) if isinstance(node, list) else ()


def _delete(container: Any, key: Any) -> None:
    del container[key]


def _leave(container: Any, key: Any) -> None:
    """Change nothing: only whether the path leads anywhere is asked."""


def _select(node: Any, tree: Tree) -> Any:
    """Return what the tree keeps of a node; of a list, what it keeps of each item."""
    if isinstance(node, list):
        return [kept for item in node if (kept := _select(item, tree)) is not _ABSENT]
    if not isinstance(node, dict):
        return _ABSENT
    selected = {}
    for name, subtree in tree.items():
        if name in node:
            value = node[name] if subtree is None else _select(node[name], subtree)
            if value is not _ABSENT:
                selected[name] = value
    return selected or _ABSENT
