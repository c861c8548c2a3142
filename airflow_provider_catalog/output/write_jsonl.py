"""JSON Lines: one row a line, nested as the API sent it."""

from __future__ import annotations

from typing import IO

import msgspec

from airflow_provider_catalog.output.columns import Column
from airflow_provider_catalog.output.temporary import discard, gzipped
from airflow_provider_catalog.output.transform import Row


class JsonLinesFile:
    """
    Writes rows as they come.

    :param file: where to; somebody else closes it.
    :param is_gzipped: whether it is compressed.
    """

    columns: tuple[Column, ...] = ()
    known_columns: tuple[str, ...] = ()
    null_columns: tuple[str, ...] = ()

    def __init__(self, file: IO[bytes], *, is_gzipped: bool) -> None:
        self._file = gzipped(file) if is_gzipped else file
        self._is_gzipped = is_gzipped
        self._encoder = msgspec.json.Encoder()
        self._names: dict[str, None] = {}

    @property
    def names(self) -> list[str]:
        """The keys of the rows, in order of first appearance, without those of nested objects."""
        return list(self._names)

    def write(self, rows: list[Row]) -> None:
        """Write some rows."""
        self._file.write(self._encoder.encode_lines(rows))
        if not self._names.keys() >= set().union(*rows):
            for row in rows:
                self._names.update(dict.fromkeys(row))

    def finish(self) -> None:
        """Write what is still to be written."""
        if self._is_gzipped:
            self._file.close()

    def close(self) -> None:
        """Write nothing more."""
        if self._is_gzipped:
            discard(self._file)
