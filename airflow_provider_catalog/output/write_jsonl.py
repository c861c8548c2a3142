"""JSON Lines: one row a line, nested as the API sent it."""

from __future__ import annotations

from typing import IO

import msgspec

from airflow_provider_catalog.output.transform import Row


class JsonLinesWriter:
    """
    Writes rows as they come.

    :param file: where to; somebody else closes it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
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
