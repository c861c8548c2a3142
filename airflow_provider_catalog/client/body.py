"""A response's body into rows: bounded in memory, whatever its size.

The API may not paginate at all, so one body may hold a million rows. A body is first received whole (a large one on
disk), so that one that breaks off is noticed before any of its rows is handed over. A small one is decoded at once,
a large one piece by piece, see :mod:`airflow_provider_catalog.client.large_body`.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import Any

import msgspec

from airflow_provider_catalog.client import large_body
from airflow_provider_catalog.client.endpoints import Endpoint
from airflow_provider_catalog.errors import CatalogResponseError

Row = dict[str, Any]

MEMORY_LIMIT = 8 * 1024 * 1024
"""Bytes; a body beyond this is kept on disk and decoded piece by piece."""

_rows_decoder = msgspec.json.Decoder(list[Row])
_root_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


_HALF_PAIR = re.compile(
    rb"(?<!\\)(?:\\\\)*(?:\\u[dD][89abAB]..(?:[^\\]|\\[^u]|\\u[^dD]|\\u[dD][^c-fC-F])"
    rb"|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F])",
    re.DOTALL,
)


class OtherShapeError(CatalogResponseError):
    """The body is JSON, but there is no list of rows in it."""


class NotJsonError(Exception):
    """
    The body is not (all of) a JSON document.

    :param reason: why not, without anything of the body; may be empty.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)


@dataclass(frozen=True)
class Rows:
    """
    The rows of one response.

    :param count: how many there are.
    :param fingerprint: equal for two responses with the same rows in the same order, and for others once in 2⁶⁴; within
        this process only, since it is Python's own hash, which takes a tenth of the time that decoding takes.
    :param rows: the rows, each a fresh dict; may be iterated again.
    """

    count: int
    fingerprint: int
    rows: Iterable[Row] = field(repr=False)


class _LargeRows:
    """
    The rows of a large body, decoded anew each time they are asked for.

    :param body: closed when the rows are no longer needed.
    :param places: where the pieces of the body start, and their lengths.
    """

    def __init__(self, body: SpooledTemporaryFile[bytes], places: list[tuple[int, int]], endpoint: Endpoint) -> None:
        self._body = body
        self._places = places
        self._endpoint = endpoint
        weakref.finalize(self, body.close)

    def __iter__(self) -> Iterator[Row]:
        for start, length in self._places:
            try:
                with _decoding(self._endpoint):
                    rows = _rows_decoder.decode(large_body.content_at(self._body, start, length))
            except NotJsonError:
                message = f"{self._endpoint.name}: the answer has a text that can't be read"
                raise CatalogResponseError(message, endpoint=self._endpoint.name, status=200) from None
            yield from rows


def new_body() -> SpooledTemporaryFile[bytes]:
    """Return a file for a body: in memory while it is small, else on disk without a name."""
    return SpooledTemporaryFile(max_size=MEMORY_LIMIT)


def read_rows(body: SpooledTemporaryFile[bytes], endpoint: Endpoint) -> Rows:
    """
    Decode a body that was received whole; it is closed when the rows are no longer needed.

    :raises NotJsonError: when it is no JSON document, or a part of one.
    :raises CatalogResponseError: when it is JSON without the endpoint's rows.
    """
    if body.tell() > MEMORY_LIMIT:
        return _read_large(body, endpoint)
    body.seek(0)
    with body:
        content = body.read()
    try:
        with _decoding(endpoint):
            key, raw = _find_rows(_root_decoder.decode(content), endpoint)
            large_body.refuse_two_lists(content, key)
            rows = _rows_decoder.decode(raw)
            return Rows(len(rows), hash(bytes(raw)), rows)
    except NotJsonError:
        _refuse_half_pair([content], endpoint)
        raise


def _read_large(body: SpooledTemporaryFile[bytes], endpoint: Endpoint) -> Rows:
    # Twice: what is wrong with a body must be known before the first of its rows is handed over.
    count, fingerprint, places = 0, 0, []
    try:
        with _decoding(endpoint):
            for piece in large_body.pieces(body, endpoint.root_key):
                piece.content.decode()  # raises unless it is UTF-8
                fingerprint = hash((fingerprint, piece.content))
                count += piece.row_count
                places.append((piece.start, len(piece.content)))
    except NotJsonError:
        with body:
            body.seek(0)
            _refuse_half_pair(iter(partial(body.read, large_body.PIECE), b""), endpoint)
        raise
    except BaseException:
        body.close()
        raise
    return Rows(count, fingerprint, _LargeRows(body, places, endpoint))


def _refuse_half_pair(blocks: Iterable[bytes], endpoint: Endpoint) -> None:
    """
    Tell the reason why a body is not taken for JSON that its sender takes for it.

    :raises CatalogResponseError: when it has half of a surrogate pair.
    """
    end = b""
    for block in blocks:
        if _HALF_PAIR.search(end + block, len(end) // 2):
            message = f"{endpoint.name}: a text in the answer has half of a surrogate pair, which is no character"
            raise CatalogResponseError(message, endpoint=endpoint.name, status=200)
        end = block[-32:]


def _find_rows(root: dict[str, msgspec.Raw], endpoint: Endpoint) -> tuple[str, msgspec.Raw]:
    """Return the list under the expected key, or else the only list (root keys other than products' are inferred)."""
    lists = [key for key, value in root.items() if bytes(memoryview(value)[:1]) == b"["]
    if endpoint.root_key in lists:
        return endpoint.root_key, root[endpoint.root_key]
    if len(lists) == 1 and lists != ["errors"]:
        return lists[0], root[lists[0]]
    raise large_body.NoRowsError(root)


@contextmanager
def _decoding(endpoint: Endpoint) -> Iterator[None]:
    """Translate decoding errors, whose own texts may hold parts of a row, into ours, which don't."""
    try:
        yield
    except large_body.NoRowsError as error:
        raise OtherShapeError(f"{endpoint.name}: {error}", endpoint=endpoint.name, status=200) from None
    except large_body.UnreadableError as error:
        raise CatalogResponseError(f"{endpoint.name}: {error}", endpoint=endpoint.name, status=200) from None
    except (msgspec.ValidationError, RecursionError) as error:
        kind: type[CatalogResponseError]
        kind, reason = OtherShapeError, "not an object that holds a list of rows"
        if isinstance(error, RecursionError):
            kind, reason = CatalogResponseError, "nested too deeply to be read"
        elif "out of range" in str(error):
            kind, reason = CatalogResponseError, "a number in it is beyond what a float holds"
        message = f"{endpoint.name}: the answer is JSON, but {reason}"
        raise kind(message, endpoint=endpoint.name, status=200) from None
    except UnicodeDecodeError:
        raise NotJsonError("not UTF-8") from None
    except msgspec.DecodeError as error:
        # Its text says what was expected and at which byte, nothing of the body.
        raise NotJsonError(str(error).removeprefix("JSON is malformed: ")) from None
