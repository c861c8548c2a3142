"""A CSV or Parquet file: rows are spooled, and written while they come, in the columns that are known by then."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow_provider_catalog.client.endpoints import Endpoint, Row
from airflow_provider_catalog.client.filter_values import shown
from airflow_provider_catalog.errors import CatalogError, CatalogParameterError
from airflow_provider_catalog.output.columns import Column, Kinds, column_name, documented_types
from airflow_provider_catalog.output.destination import Destination
from airflow_provider_catalog.output.paths import FieldPath
from airflow_provider_catalog.output.spool import BATCH_BYTES, CHUNK_ROWS, RowSpool
from airflow_provider_catalog.output.temporary import TemporaryFile
from airflow_provider_catalog.output.transform import RowTransform
from airflow_provider_catalog.output.write_csv import CsvWriter
from airflow_provider_catalog.output.write_parquet import ParquetWriter

Sample = Callable[[], list[Row]]
Writer = CsvWriter | ParquetWriter
NewWriter = Callable[[Any, list[Column], dict[FieldPath, Kinds]], Writer]


class ColumnarFile:
    """
    Writes rows as a table.

    Which columns there are, and of what type, is only known after the last row. What was written before another column
    turned up is written again, from the spool: at the latest at the end, and earlier when there are twice as many rows.

    :param new_writer: returns a writer of the file's format; the other parameters are those of :class:`OutputFile`.
    """

    def __init__(
        self,
        file: TemporaryFile,
        folder: Path,
        *,
        destination: Destination,
        endpoint: Endpoint,
        transform: RowTransform,
        field_types: dict[str, str],
        new_writer: NewWriter,
        sample: Sample | None = None,
    ) -> None:
        self._file = file
        self._destination = destination
        self._endpoint = endpoint
        self._transform = transform
        self._field_types = field_types
        self._new_writer = new_writer
        self._sample = sample
        self._writer: Writer | None = None
        self._pending: list[Row] = []
        self._pending_bytes = 0
        self._next_start = 0
        self.columns: list[Column] = []
        self.names: list[str] = []
        """The names of the columns, as they are in the file."""
        self.null_columns: list[str] = []
        """The columns that are null in every row, and that nothing tells the type of."""
        self._schema_file = destination.schema_file()
        self.known_columns = self._schema_file.types() if self._schema_file else {}
        """Those of the dataset's earlier files, with their types."""
        self._check_parameters()
        with ExitStack() as cleanup:
            self._spool = cleanup.enter_context(RowSpool(folder))
            if self._schema_file and not self.known_columns and sample:
                self._spool.note(sample())
                self._columns()  # raises for what contradicts the Hive folders
            cleanup.pop_all()

    def close(self) -> None:
        """Remove the spool."""
        self._abandon()
        self._spool.close()

    def write(self, rows: list[Row]) -> None:
        """Add some rows."""
        self._pending += rows
        self._pending_bytes += self._spool.append(rows)
        if self._pending_bytes >= BATCH_BYTES or len(self._pending) >= CHUNK_ROWS:
            self._write_ahead()

    def finish(self) -> None:
        """Write what is still to be written, and add new columns to the dataset's schema file."""
        if self._pending:
            self._write_ahead()
        if not (self._spool.row_count or self.known_columns) and self._sample:
            self._spool.note(self._sample())
        columns = self._columns()
        self._check_any(columns)
        writer = self._write_all(columns)
        if self._schema_file:
            self.known_columns = self._schema_file.remember({column.name: column.type for column in columns})
            # Another pull may have added columns, or been the first to give one a type.
            writer = self._write_all(self._columns())
        writer.finish()
        self.columns, self.names = writer.columns, writer.names

    def _check_parameters(self) -> None:
        """Check what contradicts what is known before there are rows."""
        for key, wanted in self._field_types.items():
            name = key if key in self.known_columns else key.replace(".", "_")
            if self.known_columns.get(name, wanted).replace(" ", "") != wanted.replace(" ", ""):
                raise CatalogParameterError(
                    f"field_types: leave out {shown(key)}, or rewrite the dataset's files as docs/storage.md shows: "
                    f"they have the type {self.known_columns[name]!r}, not {wanted!r}"
                )
        if dataset := self._destination.dataset:
            named = [*self._transform.fields, *documented_types(self._endpoint, self._transform)]
            pinned = [name.replace(".", "_") for name in self._field_types]
            dataset.check_keys([*self.known_columns, *pinned, *map(column_name, named)])

    def _columns(self) -> list[Column]:
        """Return the columns, as far as they are known by now: in a dataset, those of earlier files first."""
        columns = self._spool.columns(self._endpoint, self._transform, self._field_types, self.known_columns)
        self.null_columns = [column.name for column in columns if not column.type and column.path in self._spool.kinds]
        if self._schema_file:
            columns = [column for column in columns if column.type]
        else:
            columns = [column if column.type else replace(column, type="string") for column in columns]
        if dataset := self._destination.dataset:
            dataset.check_keys(column.name for column in columns)
        return columns

    def _check_any(self, columns: list[Column]) -> None:
        if columns:
            return
        path = self._destination.path
        if self._spool.row_count:
            raise CatalogParameterError(
                f"no field of the {self._spool.row_count} rows is left to be a column of {path!r}; drop fewer fields, "
                "or write JSON Lines"
            )
        raise CatalogError(
            f"set on_empty='skip', or name columns with field_types: there is no row for {path!r} yet, on no day, "
            "and many readers refuse a file without columns, and all files of its folder with it"
        )

    def _write_ahead(self) -> None:
        block = self._spool.note(self._pending)
        self._pending, self._pending_bytes = [], 0
        try:
            columns = self._columns()
        except CatalogParameterError:  # it may not be one in the end; if it is, it is raised then
            columns = []
        if self._writer and self._writer.columns == columns:
            self._writer.write(block)
            return
        self._abandon()
        if columns and self._spool.row_count >= self._next_start:
            self._write_all(columns)

    def _write_all(self, columns: list[Column]) -> Writer:
        """Write all rows that there are so far, in these columns, unless that was done already."""
        if self._writer and self._writer.columns == columns:
            return self._writer
        stream = self._file.begin(is_gzipped=self._destination.is_gzipped)
        self._writer = self._new_writer(stream, columns, self._spool.kinds)
        for block in self._spool.blocks(len(columns)):
            self._writer.write(block)
        self._next_start = 2 * self._spool.row_count
        return self._writer

    def _abandon(self) -> None:
        self._file.drop()
        self._writer = None
