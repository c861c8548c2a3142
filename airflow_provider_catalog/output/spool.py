"""Rows on disk as JSON Lines, until all are there and their columns are known: files and tables are made from it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from airflow_provider_catalog.client.endpoints import Endpoint, Row
from airflow_provider_catalog.output.columns import Column, Kinds, check_clashes, suggested_type, typed_columns
from airflow_provider_catalog.output.flatten import Block, check_column_count, flatten, leaf_paths
from airflow_provider_catalog.output.paths import FieldPath
from airflow_provider_catalog.output.temporary import spool_file
from airflow_provider_catalog.output.transform import RowTransform

CHUNK_ROWS = 500
"""Rows that are spooled or written at once while they come."""
BATCH_ROWS = 1_000
"""Rows that are converted and written at once: more are slower, since Python's garbage collection goes through them;"""
BATCH_CELLS = 500_000
"""or fewer where there are many columns,"""
BATCH_BYTES = 2 * 1024 * 1024
"""or where rows are large, measured as JSON."""


class RowSpool:
    """Rows on disk, in a file without a name, which is gone once it is closed."""

    def __init__(self, folder: Path) -> None:
        self.row_count = 0
        self.kinds: dict[FieldPath, Kinds] = {}
        """The kinds of the values at each path."""
        self._objects: set[FieldPath] = set()
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(dict[str, Any])
        self._file = spool_file(folder)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows, and note their kinds."""
        iterator = iter(rows)
        while chunk := list(islice(iterator, CHUNK_ROWS)):
            self.append(chunk)
            self.note(chunk)

    def append(self, rows: list[Row]) -> int:
        """Add some rows, whose kinds are still to be noted; return their size in bytes of JSON."""
        self.row_count += len(rows)
        return self._file.write(self._encoder.encode_lines(rows))

    def note(self, rows: list[Row]) -> Block:
        """Take account of the kinds of values in the rows that were added last, or in others; return them flattened."""
        block = flatten(rows, self.row_count - len(rows) + 1)
        self._objects |= block.objects
        is_new = bool(block.columns.keys() - self.kinds.keys())
        if is_new:
            check_column_count(len(self.kinds.keys() | block.columns.keys()))
            # Row by row, so that the order does not depend on how rows were cut into blocks.
            for path in chain.from_iterable(map(leaf_paths, rows)):
                if path not in self.kinds:
                    self.kinds[path] = Kinds(suggested_type(path))
        for path, values in block.columns.items():
            self.kinds[path].add(values, block.types[path])
        if is_new:
            # Long before the last row, and anew then: a null may yet turn out to be an object.
            check_clashes(path for path, kinds in self.kinds.items() if kinds.has_values)
        return block

    def columns(
        self, endpoint: Endpoint, transform: RowTransform, field_types: Mapping[str, str], known: Mapping[str, str]
    ) -> list[Column]:
        """Return the columns of the rows, as :func:`typed_columns` does."""
        return typed_columns(self.kinds, self._objects, endpoint, transform, field_types=field_types, known=known)

    def blocks(self, column_count: int) -> Iterator[Block]:
        """Yield all rows in order, in blocks that bound memory."""
        max_rows = max(1, min(BATCH_ROWS, BATCH_CELLS // max(1, column_count)))
        first_row, size = 1, 0
        lines: list[bytes] = []
        self._file.seek(0)
        for line in self._file:
            if lines and (len(lines) >= max_rows or size + len(line) > BATCH_BYTES):
                yield flatten(self._decoder.decode_lines(b"".join(lines)), first_row)
                first_row, lines, size = first_row + len(lines), [], 0
            lines.append(line)
            size += len(line)
        if lines:
            yield flatten(self._decoder.decode_lines(b"".join(lines)), first_row)
        self._file.seek(0, os.SEEK_END)
