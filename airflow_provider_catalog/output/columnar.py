"""A CSV or Parquet file: rows are spooled, and written while they come, in the columns that are known by then."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from airflow_provider_catalog.client.endpoints import Row
from airflow_provider_catalog.client.filter_values import shown
from airflow_provider_catalog.errors import CatalogError, CatalogParameterError
from airflow_provider_catalog.output.columns import Column, column_name, documented_types
from airflow_provider_catalog.output.spec import FileSpec
from airflow_provider_catalog.output.spool import BATCH_BYTES, CHUNK_ROWS, RowSpool
from airflow_provider_catalog.output.temporary import TemporaryFile
from airflow_provider_catalog.output.write_csv import CsvWriter
from airflow_provider_catalog.output.write_parquet import ParquetWriter

Writer = CsvWriter | ParquetWriter


class ColumnarFile:
    """
    Writes rows as a table.

    Which columns there are, and of what type, is only known after the last row. What was written before another column
    turned up is written again, from the spool: at the latest at the end, and earlier when there are twice as many rows.
    """

    def __init__(self, file: TemporaryFile, folder: Path, spec: FileSpec) -> None:
        self._file = file
        self._spec = spec
        self._dataset = spec.destination.dataset
        self._schema_file = spec.destination.schema_file()
        self._writer: Writer | None = None
        self._pending: list[Row] = []
        self._pending_bytes = 0
        self._next_start = 0
        self.known_columns = self._schema_file.types() if self._schema_file else {}
        """Those of the dataset's earlier files, with their types."""
        self.null_columns: list[str] = []
        """The columns that are null in every row, and that nothing tells the type of."""
        self.unmatched_field_types: list[str] = []
        """The names in ``field_types`` that turned out to be no columns."""
        self._check_parameters()
        with ExitStack() as cleanup:
            self._spool = cleanup.enter_context(closing(RowSpool(folder)))
            if self._schema_file and not self.known_columns and spec.sample:
                self._spool.note(spec.sample())
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

    def finish(self) -> dict[str, str]:
        """Write what is still to be written, and the dataset's schema file; return column → type."""
        if self._pending:
            self._write_ahead()
        if not (self._spool.row_count or self.known_columns) and self._spec.sample:
            self._spool.note(self._spec.sample())
        columns = self._columns()
        self._check_any(columns)
        writer = self._write_all(columns)
        if self._schema_file:
            self.known_columns = self._schema_file.remember({column.name: column.type for column in columns})
            # Another pull may have added columns, or been the first to give one a type.
            writer = self._write_all(self._columns())
        writer.finish()
        there = {column.name for column in writer.columns}
        self.unmatched_field_types = [
            name for name in self._spec.field_types if not {name, name.replace(".", "_")} & there
        ]
        return {name: column.type for name, column in zip(writer.names, writer.columns, strict=True)}

    def _check_parameters(self) -> None:
        """Check what contradicts what is known before there are rows."""
        field_types, transform = self._spec.field_types, self._spec.transform
        for key, wanted in field_types.items():
            name = key if key in self.known_columns else key.replace(".", "_")
            if self.known_columns.get(name, wanted).replace(" ", "") != wanted.replace(" ", ""):
                raise CatalogParameterError(
                    f"field_types: leave out {shown(key)}, or rewrite the dataset's files as docs/storage.md shows: "
                    f"they have the type {self.known_columns[name]!r}, not {wanted!r}"
                )
        if self._dataset:
            named = [*transform.fields, *documented_types(self._spec.endpoint, transform)]
            pinned = [name.replace(".", "_") for name in field_types]
            self._dataset.check_keys([*self.known_columns, *pinned, *map(column_name, named)])

    def _columns(self) -> list[Column]:
        """Return the columns, as far as they are known by now: in a dataset, those of earlier files first."""
        spec = self._spec
        columns = self._spool.columns(spec.endpoint, spec.transform, spec.field_types, self.known_columns)
        self.null_columns = [column.name for column in columns if not column.type and column.path in self._spool.kinds]
        if self._schema_file:
            columns = [column for column in columns if column.type]
        else:
            columns = [column if column.type else replace(column, type="string") for column in columns]
        if self._dataset:
            self._dataset.check_keys(column.name for column in columns)
        return columns

    def _check_any(self, columns: list[Column]) -> None:
        if columns:
            return
        path = self._spec.destination.path
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
        stream = self._file.begin(is_gzipped=self._spec.destination.is_gzipped)
        if self._spec.destination.format == "parquet":
            self._writer = ParquetWriter(stream, columns, self._spec, self._spool.kinds)
        else:
            self._writer = CsvWriter(stream, columns, self._spec)
        for block in self._spool.blocks(len(columns)):
            self._writer.write(block)
        self._next_start = 2 * self._spool.row_count
        return self._writer

    def _abandon(self) -> None:
        self._file.drop()
        self._writer = None
