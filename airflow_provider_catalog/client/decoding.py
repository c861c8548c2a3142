"""A response's body into rows, in bounded memory whatever its size.

The API may not paginate at all, so one body may hold a million rows. A body is received whole before any of its rows is
handed out, so that one that breaks off can be asked for again; a large one on disk, where ijson goes through it.
"""

from __future__ import annotations

import json
import re
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import Any

import ijson
import msgspec

from airflow_provider_catalog.client.endpoints import Row
from airflow_provider_catalog.errors import CatalogResponseError

Body = SpooledTemporaryFile[bytes]

MEMORY_LIMIT = 8 * 1024 * 1024
"""Bytes; a larger body is kept on disk and decoded row by row."""
_ODD_LIMIT = 128 * 1024 * 1024
"""Bytes; a body that ijson does not read is decoded in memory if it is not larger."""
HEAD_ROWS = 100
"""Rows of a large body by which it is known again, where only its start was received;"""
MOST_COMPARED = 1000
"""and rows of any other body that are compared with those of another one."""
_BOM = b"\xef\xbb\xbf"
_NAME = re.compile(r"[\w.-]{1,50}")
"""A key that is the name of a field; another one, such as an e-mail address, is not shown."""
_BUFFER = 256 * 1024
_SMALL = 200
"""Events of ijson of a member that is kept whole."""
_NOT_ROWS = ("error", "errors", "links", "warnings")
"""Keys of lists that are never the rows."""


class NotJsonError(Exception):
    """The body is not (all of) a JSON document; the message says why, without anything of the body."""


class _OddJsonError(Exception):
    """ijson does not read what Python's own decoder may: NaN, text that is not UTF-8, numbers of many digits."""


class NoRowsError(CatalogResponseError):
    """The body is JSON, but there are no rows in it."""


@dataclass(frozen=True)
class Content:
    """
    What one body holds.

    :param fingerprint: equal for two bodies that are equal, within this process.
    :param rows: the rows; whoever gets them may change them.
    :param head: returns the first rows, or all, decoded anew: to be compared with others, and not to be changed.
    :param first: the first row of these.
    :param members: what stands beside the rows at the top level.
    :param is_cut: whether the rest of the body was not received, as its first rows are enough.
    """

    count: int
    fingerprint: int
    rows: Iterable[Row] = field(repr=False)
    members: Mapping[str, Any] = field(repr=False)
    head: Callable[[], list[Row]] = field(default=list, repr=False)
    first: Row = field(default_factory=dict, repr=False)
    key: str = ""
    is_cut: bool = False


def new_body() -> Body:
    """Return a file for a body: in memory while it is small, else on disk without a name."""
    return SpooledTemporaryFile(max_size=MEMORY_LIMIT)


def decode(body: Body, root_key: str, charset: str | None = None, *, is_cut: bool = False) -> Content:
    """
    Decode a body that was received whole; it is closed when its rows are no longer needed.

    :param root_key: the key under which the rows are expected (confirmed for products, inferred for the others).
    :param charset: the body's encoding, where its header names one.
    :param is_cut: whether only the start of a large body is there.
    :raises NotJsonError: when it is no JSON document, or a part of one.
    """
    size = body.tell()
    if size > MEMORY_LIMIT:
        try:
            return _decode_large(body, root_key, is_cut=is_cut)
        except _OddJsonError as error:
            if size > _ODD_LIMIT:
                body.close()
                raise CatalogResponseError(f"ask for less with filters: it is large, and has an {error}") from None
    body.seek(0)
    with body:
        content = body.read()
    members, key = _members(content, root_key, charset)
    value = members.pop(key)
    rows = value or []
    if not all(type(row) is dict for row in rows):
        raise NoRowsError(
            f"check the Catalog URL and `paths`: the answer's list {key[:50]!r} holds something else than rows"
        )
    _refuse_error(value, members)
    first = msgspec.json.decode(msgspec.json.encode(rows[0])) if rows else {}
    return Content(
        count=len(rows),
        fingerprint=hash(content),
        rows=rows,
        members=members,
        head=lambda: (_members(content, root_key, charset)[0][key] or [])[:MOST_COMPARED],
        first=first,
        key=key,
    )


def _members(content: bytes, root_key: str, charset: str | None) -> tuple[dict[str, Any], str]:
    """Return what stands at the top level, and the key of the rows."""
    value = _parse(content.removeprefix(_BOM), charset)
    members = {root_key: value} if isinstance(value, list) else value
    if not isinstance(members, dict):
        raise NoRowsError(
            "check the Catalog URL and `paths`: the answer is JSON, but not an object with a list of rows in it"
        )
    return members, _rows_key({name: _kind(each) for name, each in members.items()}, root_key)


def _parse(content: bytes, charset: str | None) -> Any:
    try:
        return msgspec.json.decode(content)
    except RecursionError:
        raise CatalogResponseError("the answer is nested too deeply to be read; ask for less with filters") from None
    except UnicodeDecodeError:
        reason = "not UTF-8"
    except msgspec.DecodeError as error:  # its text says what was expected and at which byte, nothing of the body
        reason = str(error).removeprefix("JSON is malformed: ")
    try:
        # What Python's own decoder takes, a plain loop would have read: NaN, 1e999, half a surrogate pair, Latin-1.
        text = json.dumps(json.loads(content.decode(charset or "utf-8"), parse_constant=_nothing), ensure_ascii=False)
        return json.loads(text.encode("utf-8", "replace"), parse_constant=_nothing)
    except (ValueError, LookupError, RecursionError):
        raise NotJsonError(reason) from None


def _nothing(_constant: str) -> None:
    """Stand in for NaN and the infinities, which no format of the output has."""


def _kind(value: object) -> str:
    return "list" if isinstance(value, list) else "null" if value is None else "other"


def _rows_key(kinds: Mapping[str, str], root_key: str) -> str:
    """
    Return the key of the rows: the expected one, or else the only one whose value is a list.

    :param kinds: key → ``"list"``, ``"null"`` or ``"other"``.
    :raises NoRowsError: when there is no telling; it names the keys.
    """
    if kinds.get(root_key) == "list":
        return root_key
    lists = [key for key, kind in kinds.items() if kind == "list" and key not in _NOT_ROWS]
    if len(lists) == 1:
        return lists[0]
    if kinds.get(root_key) == "null":
        return root_key
    names = ", ".join(key if _NAME.fullmatch(key) else "..." for key in islice(kinds, 20)) or "(none)"
    more = " and more" if len(kinds) > 20 else ""
    raise NoRowsError(f"check the Catalog URL and `paths`: no list of rows in the answer; its keys are: {names}{more}")


def _refuse_error(rows: list[Row] | None, members: Mapping[str, Any]) -> None:
    """Refuse an answer without rows that tells of an error, which is not "no row matches"."""
    said = ("error", "errors") if rows is not None else ("error", "errors", "message", "detail", "exception")
    if not rows and any(members.get(key) for key in said):
        raise NoRowsError("try again later, or check the filters: the answer has an error in place of rows")


def _decode_large(body: Body, root_key: str, *, is_cut: bool) -> Content:
    """Look through the whole document, which says whether it is one, then leave it to decode it row by row."""
    try:
        members, prefix, count = _look_through(body, root_key, is_cut=is_cut)
    except _OddJsonError:
        raise
    except BaseException:
        body.close()
        raise
    _refuse_error([{}] * min(count, 1), members)
    rows, key = _LargeRows(body, prefix), prefix.removesuffix("item").removesuffix(".")
    head = list(islice(rows, max(0, min(count - is_cut, HEAD_ROWS))))  # the last row may be cut, too
    fingerprint = hash((count, msgspec.json.encode(head)))
    return Content(
        count=count,
        fingerprint=fingerprint,
        rows=head if is_cut else rows,
        members=members,
        head=lambda: head if is_cut else list(islice(rows, MOST_COMPARED)),
        first=head[0] if head else {},
        key=key or root_key,
        is_cut=is_cut,
    )


class _LargeRows:
    """The rows of a large body, decoded anew each time they are iterated."""

    def __init__(self, body: Body, prefix: str) -> None:
        self._body = body
        self._prefix = prefix
        weakref.finalize(self, body.close)

    def __iter__(self) -> Iterator[Row]:
        rows = ijson.items(_Reader(self._body), self._prefix, use_float=True, buf_size=_BUFFER)
        for row in rows:
            if type(row) is not dict:
                raise NoRowsError("check the Catalog URL and `paths`: the answer's list holds something else than rows")
            yield row


class _Reader:
    """Reads a body from its start, whoever else reads it at the same time."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        self._body.seek(self._position)
        data = self._body.read(size)
        if not self._position:
            self._position = len(data)
            return data.removeprefix(_BOM)
        self._position += len(data)
        return data


def _look_through(body: Body, root_key: str, *, is_cut: bool) -> tuple[dict[str, Any], str, int]:
    """Return the small members other than the rows, ijson's prefix of the rows, and how many rows there are."""
    name, item = "", "item"  # the member that is being read, and the prefix of its items, should it be a list
    kinds: dict[str, str] = {}
    counts: Counter[str] = Counter()
    starts: dict[str, list[tuple[str, Any]]] = {"": []}  # the first events of each member
    for prefix, event, value in _events(body, is_cut=is_cut):
        if not prefix:
            if event == "map_key":
                name, item = value, f"{value}.item"
                starts[name] = []
            continue
        if not starts[name]:
            kinds[name] = {"start_array": "list", "null": "null"}.get(event, "other")
        if prefix == item and event not in ("map_key", "end_map", "end_array"):
            counts[name] += 1
        if len(starts[name]) < _SMALL:
            starts[name].append((event, value))
    if not name:
        return {}, item, counts[name]
    key = _rows_key(kinds, root_key)
    small = {name: _built(events) for name, events in starts.items() if name not in ("", key) and len(events) < _SMALL}
    return small, f"{key}.item", counts[key]


def _events(body: Body, *, is_cut: bool) -> Iterator[tuple[str, str, Any]]:
    """Yield prefix, event and value, as ijson parses a body, to its end or to where it was cut."""
    try:
        yield from ijson.parse(_Reader(body), use_float=True, buf_size=_BUFFER)
    except ijson.JSONError as error:
        text = error.args[0] if isinstance(error.args[0], bytes) else str(error).encode()
        # Its first line says what is wrong; those after it show a part of the body.
        reason = text.partition(b"\n")[0].decode("ascii", "replace").partition(": ")[2]
        if not is_cut:
            raise (NotJsonError if "premature EOF" in reason else _OddJsonError)(reason) from None


def _built(events: list[tuple[str, Any]]) -> Any:
    builder = ijson.ObjectBuilder()
    for event, value in events:
        builder.event(event, value)
    return getattr(builder, "value", None)
