"""A JSON document too large for memory, cut into pieces that are each a JSON list of whole rows.

Where a row ends is found by trying: a piece that is cut between two rows decodes, one that is cut anywhere else has
an open bracket or string and does not. So msgspec, which decodes whole documents only, does all the decoding. Where
some tries fail, rows being full of other objects, the rows are gone through one by one.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

import msgspec

PIECE = 1024 * 1024
"""Bytes of a piece, as long as rows are smaller than that."""
LARGEST_ROW = 16 * 1024 * 1024
"""Bytes; no row may be larger than this. As Python's objects it takes up to thirty times as much memory."""
_TRIES = 8
"""How many of the last places in a piece that look like the end of a row are tried."""

_END = 64 * 1024
"""Bytes at the end of a piece where a place to cut is looked for first."""
_BETWEEN_ROWS = re.compile(rb"\}\s*,\s*(?=\{)")
_SPACE = re.compile(r"[ \t\r\n]*")
_HEAD = 8 * 1024 * 1024
"""Bytes at the start of the document within which the list of rows has to begin."""


class Piece(NamedTuple):
    """
    Some successive rows.

    :param start: where in the document the first of them begins.
    :param content: a JSON list of them.
    :param row_count: how many there are.
    """

    start: int
    content: bytes
    row_count: int


class _Object(msgspec.Struct):
    """Any JSON object; what is in it is looked at for its syntax only."""


_objects_decoder = msgspec.json.Decoder(list[_Object])
_root_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class NoRowsError(Exception):
    """
    The document is JSON, but there is no telling which of its lists holds the rows.

    :param keys: the keys at its top level.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        names = [key[:50] for key in keys]
        shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        super().__init__(f"no list of rows in the answer; its keys are: {shown or '(none)'}")


class UnreadableError(Exception):
    """The document may be JSON, but its rows can't be read; the message says why."""


def pieces(document: IO[bytes], root_key: str) -> Iterator[Piece]:
    """
    Cut the list of rows in a JSON object into pieces, each a JSON list of one or more whole rows.

    Their syntax is checked, except for the encoding of strings and the range of numbers.

    :param document: the whole document; read from its start.
    :param root_key: the key of the list; a list too large for the start of the document is taken, too.
    :raises NoRowsError: when there is no such list, or another one with an equal claim.
    :raises UnreadableError: when a row, or what stands before the list, is too large, or the list stands there twice.
    :raises msgspec.ValidationError: when a row is not an object.
    :raises msgspec.DecodeError: when the document is not JSON.
    """
    document.seek(0)
    key, buffer = _skip_to_list(document, root_key)
    start = document.tell() - len(buffer)
    while block := document.read(max(PIECE, len(buffer))):
        buffer += block
        if len(buffer) > 2 * LARGEST_ROW:
            raise UnreadableError(f"a row in the answer has more than {LARGEST_ROW >> 20} MiB")
        found = _cut(buffer, start)
        if found:
            piece, length = found
            yield piece
            buffer = buffer[length:]
            start += length
    content = _last_content(buffer, key, root_key)
    yield Piece(start, content, len(_objects_decoder.decode(content)))


def content_at(document: IO[bytes], start: int, length: int) -> bytes:
    """Return the content of a piece once more, a JSON list, of which only the place and the length were kept."""
    document.seek(start)
    return b"[" + document.read(length - 2) + b"]"


def refuse_two_lists(document: bytes, key: str) -> None:
    """
    Refuse a document that has the list of rows twice, of which a decoder would drop one without a word.

    :param key: the key of the list.
    :raises UnreadableError: when the key stands twice at the top level.
    """
    name = json.dumps(key, ensure_ascii=False).encode()
    if document.count(name) == 1:
        return  # the rule; in the others the name stands in a row as well
    members: list[tuple[str, object]] = json.loads(document, object_pairs_hook=list, parse_int=str)
    if [each for each, _ in members].count(key) > 1:
        raise UnreadableError(f"the answer has two lists of rows, both {key[:50]!r}")


def _cut(buffer: bytes, start: int) -> tuple[Piece, int] | None:
    """Return the whole rows in the buffer, and where in it the next row starts."""
    place = None
    for place in _places(buffer):
        content = b"[" + buffer[: place.start() + 1] + b"]"
        try:
            return Piece(start, content, len(_objects_decoder.decode(content))), place.end()
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            continue  # inside a row
    if place and (length := _whole_rows(buffer)):
        content = b"[" + buffer[:length] + b"]"
        return Piece(start, content, len(_objects_decoder.decode(content))), buffer.index(b",", length) + 1
    return None


def _whole_rows(buffer: bytes) -> int:
    """Return how many bytes of the buffer are rows that are followed by another one."""
    # Digits stay text: Python takes no integer of more than 4300.
    decode = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
    text = buffer.decode("utf-8", "surrogateescape")
    position = end = 0
    try:
        while True:
            _, after = decode(text, _after(text, position))
            position = _after(text, after, ",")
            end = after
    except (ValueError, IndexError):
        return len(text[:end].encode("utf-8", "surrogateescape"))


def _places(buffer: bytes) -> Iterator[re.Match[bytes]]:
    """Yield the last places that look like being between two rows, from the end."""
    for start in (len(buffer) - _END, 0):
        yield from reversed(deque(_BETWEEN_ROWS.finditer(buffer, max(0, start)), _TRIES))


def _last_content(buffer: bytes, key: str, root_key: str) -> bytes:
    """Return the rows in the last part of the document, which holds the list's end and the keys after it."""
    tail = b"{" + json.dumps(key).encode() + b":[" + buffer
    rest = _root_decoder.decode(tail)
    refuse_two_lists(tail, key)
    others = [name for name, value in rest.items() if name != key and bytes(memoryview(value)[:1]) == b"["]
    if key != root_key and others:
        raise NoRowsError(rest)
    return bytes(rest[key])


def _skip_to_list(document: IO[bytes], root_key: str) -> tuple[str, bytes]:
    """Return the key of the list of rows, and what was read of the document after the list's opening bracket."""
    head = b""
    while block := document.read(max(PIECE, len(head))):
        head += block
        # Escapes what is not UTF-8, such as a character that the end of the block cuts in two.
        text = head.decode("utf-8", "surrogateescape")
        found = _find_list(text, root_key, whole=len(head) < _HEAD)
        if found:
            key, start = found
            return key, head[len(text[:start].encode("utf-8", "surrogateescape")) :]
        if len(head) >= _HEAD:
            raise UnreadableError(f"the list of rows in the answer does not begin within the first {_HEAD >> 20} MiB")
    raise msgspec.DecodeError("no list of rows at the start of the document")


def _find_list(text: str, root_key: str, *, whole: bool) -> tuple[str, int] | None:
    """
    Find the list of rows among the top-level members that begin in the text.

    :param whole: whether a list under another key has to end within the text to be told from the list of rows.
    :return: its key and the index after its opening bracket; ``None`` when more has to be read.
    """
    decode = json.JSONDecoder().raw_decode
    keys: list[str] = []
    lists = 0
    try:
        position = _after(text, 0, "{")
        while True:
            key, position = decode(text, position)
            position = _after(text, position, ":")
            keys.append(key)
            is_list = text[position] == "["
            if is_list and key == root_key:
                return key, position + 1
            try:
                _, position = decode(text, position)
            except ValueError:
                if is_list and not whole and not lists:
                    return key, position + 1
                raise
            lists += is_list
            if text[_after(text, position)] == "}":
                raise NoRowsError(keys)
            position = _after(text, position, ",")
    except (ValueError, IndexError):
        return None


def _after(text: str, position: int, expected: str = "") -> int:
    """Return the index of the next character that is no space, after the expected one."""
    position = _SPACE.match(text, position).end()  # type: ignore[union-attr]  # it matches nothing, too
    if not expected:
        return position
    if text[position] != expected:
        raise ValueError
    return _after(text, position + 1)
