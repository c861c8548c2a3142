"""One output file: rows in, a finished file at its destination, or nothing."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from airflow_provider_catalog.client.endpoints import Endpoint
from airflow_provider_catalog.errors import CatalogParameterError, CatalogStorageError
from airflow_provider_catalog.output.convert import check_field_types
from airflow_provider_catalog.output.destination import Destination
from airflow_provider_catalog.output.errors import storage_errors
from airflow_provider_catalog.output.spool_old import ColumnSpool
from airflow_provider_catalog.output.store_check import store_message
from airflow_provider_catalog.output.temporary import Spool
from airflow_provider_catalog.output.transform import Row, RowTransform
from airflow_provider_catalog.output.write_csv import CsvWriter
from airflow_provider_catalog.output.write_jsonl import JsonLinesWriter
from airflow_provider_catalog.output.write_parquet import write_parquet

CHUNK_ROWS = 500
"""Rows that are handed to a writer at once."""
_GZIP_LEVEL = 6
_MIB = 1024 * 1024
# An upload is made of parts, some of them at once. What the clients choose themselves takes up to a gigabyte of memory.
_UPLOAD_OPTIONS: dict[str | None, dict[str, Any]] = {
    # Ten at once. S3 takes 10,000 parts, so a file may have 80 GB.
    **{scheme: {"chunksize": 8 * _MIB} for scheme in ("s3", "s3a")},
    # One at once.
    **{scheme: {"chunksize": 16 * _MIB} for scheme in ("gs", "gcs")},
    # 4 MiB each; adlfs would have 128 of them at once. Older clients refuse to replace a file unless told so.
    **{scheme: {"max_concurrency": 8, "overwrite": True} for scheme in ("abfs", "abfss", "adl")},
}


@dataclass(frozen=True)
class FileInfo:
    """
    A published file.

    :param row_count: how many rows it has.
    :param size_bytes: its size.
    :param sha256: the SHA-256 of its bytes, hexadecimal.
    :param columns: the names of its columns; of JSON Lines, the keys of the rows, not those of nested objects.
    :param types: column → type name, as ``field_types`` takes it; none of JSON Lines, which has no types.
    """

    row_count: int
    size_bytes: int
    sha256: str
    columns: list[str]
    types: dict[str, str] = field(default_factory=dict)


class OutputFile:
    """
    Write rows, then publish the file in one step; a context manager.

    Until :meth:`publish`, rows are in spool files that nobody but this user can read. Leaving the ``with`` block, in
    whatever way, removes them, and so does killing the process (where the file system has no files without a name, the
    next writer in the same folder does). A file that was there before stays as it is until it is replaced.

    :param destination: where the file goes.
    :param endpoint: the endpoint that the rows are of.
    :param transform: what was done to the rows.
    :param field_types: flattened column → type name, for CSV and Parquet.
    :param csv_escape_formulas: whether a ``'`` is put before what a spreadsheet would run as a formula; CSV only.
    :raises CatalogParameterError: when ``field_types`` is malformed.
    :raises CatalogStorageError: from all methods, when the disk is full or the destination refuses.
    """

    def __init__(
        self,
        destination: Destination,
        endpoint: Endpoint,
        transform: RowTransform,
        field_types: dict[str, str] | None = None,
        *,
        csv_escape_formulas: bool = False,
    ) -> None:
        check_field_types(field_types)
        self._destination = destination
        self._endpoint = endpoint
        self._transform = transform
        self._field_types = field_types or {}
        self._csv_escape_formulas = csv_escape_formulas
        self._unmatched_types = list(self._field_types)
        self._row_count = 0
        self._columns: list[str] = []
        self._types: dict[str, str] = {}
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        path = self._destination.path
        with storage_errors(path, Path(path).parent):
            self._folder = self._destination.spool_folder()
        with ExitStack() as cleanup, storage_errors(path, self._folder):
            self._spool = Spool(self._folder)
            cleanup.callback(self._spool.close)
            self._file = self._spool.file
            self._stream = self._new_stream()
            cleanup.callback(_discard, self._stream)
            self._writer = self._new_writer()
            if not isinstance(self._writer, JsonLinesWriter):
                cleanup.callback(_discard, self._writer)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def write(self, rows: Iterable[Row]) -> None:
        """
        Add rows; may be called many times.

        :param rows: rows after the transform.
        :raises CatalogParameterError: when two fields of different paths would share a column.
        """
        iterator = iter(rows)
        # An error of the iterator itself is not the storage's.
        while chunk := list(islice(iterator, CHUNK_ROWS)):
            with storage_errors(self._destination.path, self._folder):
                self._writer.write(chunk)
            self._row_count += len(chunk)

    def publish(self) -> FileInfo:
        """
        Finish the file and put it at its destination, in one step; nothing can be written afterwards.

        :raises CatalogParameterError: when a value does not fit the type of its column.
        """
        with storage_errors(self._destination.path, self._folder):
            self._columns = self._finish()
            if self._row_count and not self._columns and self._destination.format != "jsonl":
                raise CatalogParameterError(
                    f"no field of the {self._row_count} rows is left to be a column of {self._destination.path!r}; "
                    "drop fewer fields, or write JSON Lines"
                )
            if self._stream is not self._file:
                self._stream.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            size = self._file.seek(0, os.SEEK_END)
            self._file.seek(0)
            digest = hashlib.file_digest(self._file, "sha256").hexdigest()
            if self._destination.scheme is None:
                self._spool.move_to(self._destination.local_path())
        if self._destination.scheme is not None:
            _upload(self._spool, self._destination)
        self._cleanup.close()
        return FileInfo(self._row_count, size, digest, self._columns, self._types)

    def unmatched_field_types(self) -> list[str]:
        """
        Return the names in ``field_types`` that are no columns of the published file.

        Of JSON Lines, which has no types, these are all of them.
        """
        return self._unmatched_types

    def _new_stream(self) -> IO[bytes]:
        if not self._destination.is_gzipped:
            return self._file
        # Without a name and a time, the same rows give the same bytes.
        stream = gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=self._file, mtime=0)
        return cast("IO[bytes]", stream)

    def _new_writer(self) -> JsonLinesWriter | CsvWriter | ColumnSpool:
        if self._destination.format == "jsonl":
            return JsonLinesWriter(self._stream)
        spool = ColumnSpool(self._folder, self._endpoint, self._transform, self._field_types)
        if self._destination.format == "csv":
            return CsvWriter(
                self._stream,
                spool,
                may_start_over=self._stream is self._file,
                escape_formulas=self._csv_escape_formulas,
            )
        return spool

    def _finish(self) -> list[str]:
        """Write what is still to be written; return the names of the columns, as they are in the file."""
        if isinstance(self._writer, JsonLinesWriter):
            return self._writer.columns()
        columns = self._writer.columns()
        if isinstance(self._writer, CsvWriter):
            names = self._writer.finish()
        else:
            names = write_parquet(self._stream, self._writer, self._endpoint.name)
        self._types = {name: column.type_name for name, column in zip(names, columns, strict=True)}
        self._unmatched_types = [name for name in self._field_types if name not in {each.name for each in columns}]
        return names


def _discard(file: IO[bytes] | CsvWriter | ColumnSpool) -> None:
    """Close a file whose content nobody wants any more, so that it does not matter whether its buffer gets written."""
    with suppress(OSError):
        file.close()


def _upload(spool: Spool, destination: Destination) -> None:
    """Upload a finished file in one step; a store shows an upload when it is complete, or not at all."""
    path = destination.object_path()
    try:
        with spool.path() as name:
            path.fs.put_file(name, path.path, **_UPLOAD_OPTIONS.get(destination.scheme, {}))
    except Exception as error:  # each store has errors of its own
        raise CatalogStorageError(f"can't upload {destination.path!r}: {store_message(error)}") from error
