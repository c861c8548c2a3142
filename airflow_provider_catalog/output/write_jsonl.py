"""JSON Lines: one row a line, nested as the API sent it, written as they come."""

from __future__ import annotations

import msgspec

from airflow_provider_catalog.client.endpoints import Row
from airflow_provider_catalog.output.spec import FileSpec
from airflow_provider_catalog.output.temporary import TemporaryFile


class JsonLinesFile:
    """Writes rows as JSON Lines; its columns are the keys of the rows, without those of nested objects."""

    known_columns: tuple[str, ...] = ()
    null_columns: tuple[str, ...] = ()

    def __init__(self, file: TemporaryFile, spec: FileSpec) -> None:
        self._stream = file.begin(is_gzipped=spec.destination.is_gzipped)
        self._encoder = msgspec.json.Encoder()
        self._names: dict[str, None] = {}
        self.unmatched_field_types = list(spec.field_types)

    def write(self, rows: list[Row]) -> None:
        """Write some rows."""
        self._stream.write(self._encoder.encode_lines(rows))
        if not self._names.keys() >= set().union(*rows):
            for row in rows:
                self._names.update(dict.fromkeys(row))

    def finish(self) -> dict[str, None]:
        """Return the columns, which have no types."""
        return self._names
