"""A response's body into rows: bounded in memory, whatever its size.

The API may not paginate at all, so one body may hold a million rows. A body is first received whole (a large one on
disk), so that one that breaks off is noticed before any of its rows is handed over. A small one is decoded at once,
a large one piece by piece, see :mod:`airflow_provider_catalog.api.large_body`.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any

import msgspec

from airflow_provider_catalog.api import large_body
from airflow_provider_catalog.api.endpoints import Endpoint
from airflow_provider_catalog.errors import CatalogResponseError

Row = dict[str, Any]

MEMORY_LIMIT = 8 * 1024 * 1024
"""Bytes; a body beyond this is kept on disk and decoded piece by piece."""

_rows_decoder = msgspec.json.Decoder(list[Row])
_root_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class NotJsonError(Exception):
    """The body is not (all of) a JSON document."""


@dataclass(frozen=True)
class Rows:
    """
    The rows of one response.

    :param count: how many there are.
    :param fingerprint: equal for two responses with the same rows in the same order.
    :param rows: the rows, each a fresh dict; may be iterated again.
    """

    count: int
    fingerprint: bytes
    rows: Iterable[Row]


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
                rows = _rows_decoder.decode(large_body.content_at(self._body, start, length))
            except (msgspec.DecodeError, RecursionError):
                message = f"{self._endpoint.name}: the answer has a number or a text that can't be read"
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
    with body, _decoding(endpoint):
        raw = _find_rows(_root_decoder.decode(body.read()), endpoint)
        rows = _rows_decoder.decode(raw)
        return Rows(len(rows), _digest(raw).digest(), rows)


def _read_large(body: SpooledTemporaryFile[bytes], endpoint: Endpoint) -> Rows:
    # Twice: what is wrong with a body must be known before the first of its rows is handed over.
    count, digest, places = 0, _digest(), []
    try:
        with _decoding(endpoint):
            for piece in large_body.pieces(body, endpoint.root_key):
                piece.content.decode()  # raises unless it is UTF-8
                digest.update(piece.content)
                count += piece.row_count
                places.append((piece.start, len(piece.content)))
    except BaseException:
        body.close()
        raise
    return Rows(count, digest.digest(), _LargeRows(body, places, endpoint))


def _digest(content: bytes | msgspec.Raw = b"") -> hashlib.blake2b:
    return hashlib.blake2b(content, digest_size=16)


def _find_rows(root: dict[str, msgspec.Raw], endpoint: Endpoint) -> msgspec.Raw:
    """Return the list under the expected key, or else the only list (root keys other than products' are inferred)."""
    lists = [key for key, value in root.items() if bytes(memoryview(value)[:1]) == b"["]
    if endpoint.root_key in lists:
        return root[endpoint.root_key]
    if len(lists) == 1 and lists != ["errors"]:
        return root[lists[0]]
    raise large_body.NoRowsError(root)


@contextmanager
def _decoding(endpoint: Endpoint) -> Iterator[None]:
    """Translate decoding errors, whose own texts may hold parts of a row, into ours, which don't."""
    try:
        yield
    except large_body.NoRowsError as error:
        raise CatalogResponseError(f"{endpoint.name}: {error}", endpoint=endpoint.name, status=200) from None
    except (msgspec.ValidationError, RecursionError) as error:
        reason = "not an object that holds a list of rows"
        if isinstance(error, RecursionError):
            reason = "nested too deeply to be read"
        elif "out of range" in str(error):
            reason = "a number in it is beyond what a float holds"
        message = f"{endpoint.name}: the answer is JSON, but {reason}"
        raise CatalogResponseError(message, endpoint=endpoint.name, status=200) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotJsonError from None
