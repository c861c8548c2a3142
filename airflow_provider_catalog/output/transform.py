"""What of a row is kept, left out or hashed before it goes anywhere: to XCom, a file or a sensor's result.

Paths are dotted (``"product.id"``). In ``drop_fields`` and ``hash_fields`` a ``*`` matches one level: any key of an
object or any item of a list. A name also reaches through lists: ``"learners.email"`` is the e-mail of every learner.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import msgspec

from airflow_provider_catalog.client.endpoints import Row
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.paths import (
    FieldPath,
    covers,
    dotted,
    field_paths,
    is_alike,
    is_null,
    note_paths,
    parse_paths,
    refuse_dropped,
    words,
)

Change = Callable[[Any, Any], None]
"""Changes the value at a key of a dict, or at an index of a list."""
Tree = dict[str, "Tree | None"]
"""The paths of ``fields`` as nested dicts; ``None`` where everything below is kept."""

_ABSENT = object()


class _TextError(Exception):
    """A path leads through a text: its first argument is the part of the path that is left there."""


class RowTransform:
    """
    Select, drop and hash fields of rows.

    Dropping and hashing come first, whatever ``fields`` says. A value is replaced by the hexadecimal HMAC-SHA-256 of
    its text, so that an id hashes the same whether it was sent as ``5`` or ``"5"``; ``null`` stays ``null``, and of an
    object or a list every value in it is hashed. What a path names never stays for want of a match: a path into a text
    (JSON text, for one) is an error, and so is one that is misspelt, see :meth:`check_matched`. The hash's key may be
    unknown when the DAG is parsed, see :meth:`check_hash_secret`.
    """

    def __init__(
        self,
        fields: list[str] | tuple[str, ...] | None = None,
        drop_fields: list[str] | tuple[str, ...] | None = None,
        hash_fields: list[str] | tuple[str, ...] | None = None,
        hash_secret: str | None = None,
    ) -> None:
        if hash_secret is not None and not isinstance(hash_secret, str):
            raise CatalogParameterError(f"hash_secret must be a string, not {type(hash_secret).__name__}")
        self.fields = field_paths(fields)
        self._drop = parse_paths("drop_fields", drop_fields)
        self._hash = parse_paths("hash_fields", hash_fields)
        self._paths = {"fields": self.fields, "drop_fields": self._drop, "hash_fields": self._hash}
        for parameter in ("fields", "hash_fields"):
            refuse_dropped(self._drop, parameter, self._paths[parameter])
        self._secret = (hash_secret or "").encode()
        self._tree = _tree(self.fields)
        self._seen: dict[FieldPath, None] = {}  # the paths of all rows, as long as some parameter has matched none
        self._has_paths = any(self._paths.values())
        self._unmatched = {(parameter, path) for parameter, paths in self._paths.items() for path in paths}
        # The hashes made for the current row: where two paths lead to one value, it is hashed once.
        self._made: set[str] = set()

    def __repr__(self) -> str:
        """Show the paths, never the secret."""
        return f"RowTransform({', '.join(f'{name}={list(map(dotted, paths))}' for name, paths in self._paths.items())})"

    def check_hash_secret(self) -> None:
        """Check that there is a secret where one is needed; call it before the first request."""
        if self._hash and not self._secret:
            raise CatalogParameterError(
                "set \"Hash secret\" in the connection (extra 'hash_secret'), a random text of 16 characters or more: "
                f"hash_fields={list(map(dotted, self._hash))} needs it"
            )

    def __call__(self, row: Row) -> Row:
        """Return what is to be kept of a row as the API sent it, which may be changed in place."""
        if not self._has_paths:
            return row
        try:
            if self._unmatched:
                note_paths(row, self._seen)
            return self._changed(row)
        except RecursionError:
            raise CatalogParameterError(
                "a row is nested too deeply for fields, drop_fields and hash_fields to reach into it; leave out the "
                "whole field with drop_fields"
            ) from None

    def _changed(self, row: Row) -> Row:
        self._apply_all("drop_fields", row, _delete)
        if self._hash:
            self.check_hash_secret()
            self._made.clear()
            self._apply_all("hash_fields", row, self._replace_by_hash)
        if not self._tree:
            return row
        if self._unmatched:
            self._apply_all("fields", row, _leave)
        try:
            kept = _select(row, self._tree)
        except _TextError:
            self._apply_all("fields", row, _leave)  # says which
            raise
        return {} if kept is _ABSENT else kept

    def _apply_all(self, parameter: str, row: Row, change: Change) -> None:
        for path in self._paths[parameter]:
            try:
                if _apply(row, path, change):
                    self._unmatched.discard((parameter, path))
            except _TextError as error:
                whole = dotted(path[: len(path) - len(error.args[0])])
                raise CatalogParameterError(
                    f"{parameter}: name the whole field, {whole!r}, instead of {dotted(path)!r}: in a row it is text, "
                    "and nothing in a text has a path"
                ) from None

    def check_matched(self, known_columns: Iterable[str] = ()) -> list[str]:
        """
        Check that paths are spelt as rows are; call it after the last row, and before anything is published.

        A path that no row has is an error in ``drop_fields`` and ``hash_fields`` when the rows have one that is spelt
        much like it and would stay as it is, and in ``fields`` when no other one has matched either. What is merely
        absent, or within a parent that is always ``null``, is not: it is returned, to be warned of. The known columns
        are those that earlier rows had: of the dataset or the table.
        """
        columns: list[FieldPath] = [(column,) for column in known_columns]
        warnings = []
        for parameter, path in sorted(self._unmatched):
            near = self._nearest(parameter, path, columns)
            if near and parameter != "fields":
                raise CatalogParameterError(
                    f"{parameter}: no row has {dotted(path)!r}; did you mean {dotted(near)!r}? Nothing was published: "
                    f"it would have been kept as it is. If it is to be kept, take {dotted(path)!r} out of {parameter}"
                )
            warnings.append(f"{parameter} {dotted(path)!r}" + (f" (did you mean {dotted(near)!r}?)" if near else ""))
        if not self._seen:
            return []  # there was no row
        missing = [path for parameter, path in self._unmatched if parameter == "fields"]
        if missing and len(missing) == len(self.fields) and not any(is_null(self._seen, path) for path in missing):
            there = ", ".join(dotted(path) for path in islice(self._seen, 10))
            raise CatalogParameterError(f"no row has any of {', '.join(warnings)}; rows have {there}, ...")
        return warnings

    def _nearest(self, parameter: str, path: FieldPath, columns: list[FieldPath]) -> FieldPath | None:
        """Return a path of the rows, or else a known column, that is spelt much like another one and would stay."""
        if any(words(column) == words(path) for column in columns):
            return None  # rows of other days have it
        others = list(self._seen)
        for length in range(len(path) - 1, 0, -1):
            if siblings := [other for other in others if covers(path[:length], other)]:
                others = siblings
                break
        for other in (*others, *columns):
            is_parent = other == path[: len(other)]
            if not is_parent and is_alike(path, other) and (parameter == "fields" or self._stays(other)):
                return other
        return None

    def _stays(self, path: FieldPath) -> bool:
        """Tell whether a value at that path, or a part of it, is kept as it is."""
        for parameter in ("drop_fields", "hash_fields"):
            for pattern in self._paths[parameter]:
                is_it = covers(pattern, path) or words(pattern) == words(path)
                if is_it and (parameter, pattern) not in self._unmatched:
                    return False
        return not self.fields or any(covers(field, path) or covers(path, field) for field in self.fields)

    def keeps(self, path: FieldPath) -> bool:
        """Tell whether a value at that path of a row survives."""
        selected = not self.fields or any(covers(field, path) for field in self.fields)
        return selected and not any(covers(drop, path) for drop in self._drop)

    def hashes(self, path: FieldPath) -> bool:
        """Tell whether a value at that path of a row is replaced by its hash."""
        return any(covers(pattern, path) for pattern in self._hash)

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
        digest = hmac.digest(self._secret, text.encode(), "sha256").hex()
        self._made.add(digest)
        return digest


def _tree(paths: Iterable[FieldPath]) -> Tree:
    root: Tree = {}
    for *parents, last in paths:
        node = root
        for name in parents:
            node = node.setdefault(name, {})  # type: ignore[assignment] # no leaf: paths within others were refused
        node[last] = None
    return root


def _apply(node: Any, path: FieldPath, change: Change, *, is_named: bool = True) -> bool:
    """Call ``change`` wherever the path leads from a node; tell whether it led anywhere. A ``*`` names no node."""
    if isinstance(node, str):
        if node.strip() and (is_named or _is_json(node)):
            raise _TextError(path)
        return False
    name, rest = path[0], path[1:]
    matched = False
    if isinstance(node, list) and name != "*":
        for item in node:
            matched |= _apply(item, path, change, is_named=is_named)
        return matched
    if isinstance(node, dict):
        # A key may have dots itself ({"student.email": ...}): nothing private may slip through.
        for length in range(2, len(path) + 1):
            if (key := dotted(path[:length])) in node:
                matched |= _apply_at(node, key, path[length:], change)
    for key in _matching_keys(node, name):
        matched |= _apply_at(node, key, rest, change, is_named=name != "*")
    return matched


def _apply_at(node: Any, key: Any, rest: FieldPath, change: Change, *, is_named: bool = True) -> bool:
    if rest:
        return _apply(node[key], rest, change, is_named=is_named)
    change(node, key)
    return True


def _is_json(text: str) -> bool:
    """Tell whether a text is JSON of an object or a list."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


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
    if isinstance(node, str) and node.strip():
        raise _TextError
    if not isinstance(node, dict):
        return _ABSENT
    selected = {}
    for name, subtree in tree.items():
        if name in node:
            value = node[name] if subtree is None else _select(node[name], subtree)
            if value is not _ABSENT:
                selected[name] = value
    return selected or _ABSENT
