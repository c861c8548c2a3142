"""One output file: rows in, a finished file at its destination, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from airflow_provider_catalog.client.endpoints import Endpoint, Row
from airflow_provider_catalog.errors import CatalogStorageError
from airflow_provider_catalog.output.columnar import ColumnarFile, Sample
from airflow_provider_catalog.output.columns import Column
from airflow_provider_catalog.output.convert import check_field_types
from airflow_provider_catalog.output.destination import Destination
from airflow_provider_catalog.output.spool import CHUNK_ROWS
from airflow_provider_catalog.output.store_check import store_message
from airflow_provider_catalog.output.temporary import TemporaryFile, storage_errors
from airflow_provider_catalog.output.transform import RowTransform
from airflow_provider_catalog.output.write_csv import CsvWriter
from airflow_provider_catalog.output.write_parquet import Compression, ParquetWriter

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

    :param columns: the names of its columns; of JSON Lines, the keys of the rows, not those of nested objects.
    :param types: column → type name, as ``field_types`` takes it; none of JSON Lines, which has no types.
    :param null_columns: the columns that are null in every row, and that nothing tells the type of.
    :param unmatched_field_types: the names in ``field_types`` that are no columns.
    """

    row_count: int
    size_bytes: int
    sha256: str
    columns: list[str]
    types: dict[str, str] = field(default_factory=dict)
    null_columns: list[str] = field(default_factory=list)
    unmatched_field_types: list[str] = field(default_factory=list)


class JsonLinesFile:
    """JSON Lines: one row a line, nested as the API sent it, written as they come."""

    columns: tuple[Column, ...] = ()
    known_columns: tuple[str, ...] = ()
    null_columns: tuple[str, ...] = ()

    def __init__(self, file: TemporaryFile, *, is_gzipped: bool) -> None:
        self._stream = file.begin(is_gzipped=is_gzipped)
        self._encoder = msgspec.json.Encoder()
        self._names: dict[str, None] = {}

    @property
    def names(self) -> list[str]:
        """The keys of the rows, in order of first appearance, without those of nested objects."""
        return list(self._names)

    def write(self, rows: list[Row]) -> None:
        """Write some rows."""
        self._stream.write(self._encoder.encode_lines(rows))
        if not self._names.keys() >= set().union(*rows):
            for row in rows:
                self._names.update(dict.fromkeys(row))

    def finish(self) -> None:
        """Do nothing: all is written."""

    def close(self) -> None:
        """Do nothing: nothing is kept."""


class OutputFile:
    """
    Write rows, then publish the file in one step; a context manager.

    Until :meth:`publish`, rows are in files that nobody but this user can read. Leaving the ``with`` block, in whatever
    way, removes them; those of a process that is killed are removed by the next one that writes the same file. A file
    that was there before stays as it is until it is replaced.

    :param destination: where the file goes.
    :param endpoint: the endpoint that the rows are of.
    :param transform: what was done to the rows.
    :param field_types: column or dotted path → type name, for CSV and Parquet.
    :param csv_escape_formulas: whether a ``'`` is put before what a spreadsheet would run as a formula; CSV only.
    :param csv_for_excel: the same, and a byte order mark; CSV only.
    :param compression: of Parquet; ``"zstd"`` where ``None``.
    :param sample: returns some transformed rows of other days. It is called for the first file of a dataset, and for a
        file without rows.
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
        csv_for_excel: bool = False,
        compression: Compression | None = None,
        sample: Sample | None = None,
    ) -> None:
        check_field_types(field_types)
        self._destination = destination
        self._field_types = field_types or {}
        self._row_count = 0
        self._cleanup = ExitStack()
        self._new_file: Callable[[TemporaryFile, Path], JsonLinesFile | ColumnarFile]
        if destination.format == "jsonl":
            self._new_file = lambda file, _: JsonLinesFile(file, is_gzipped=destination.is_gzipped)
            return
        self._new_file = partial(
            ColumnarFile,
            destination=destination,
            endpoint=endpoint,
            transform=transform,
            field_types=self._field_types,
            new_writer=partial(ParquetWriter, endpoint=endpoint.name, compression=compression or "zstd")
            if destination.format == "parquet"
            else partial(
                CsvWriter,
                escape_formulas=csv_escape_formulas or csv_for_excel,
                with_bom=csv_for_excel,
            ),
            sample=sample,
        )

    def __enter__(self) -> Self:
        path = self._destination.path
        with storage_errors(path, Path(path).parent):
            self._folder = self._destination.unfinished_folder()
        with ExitStack() as cleanup, storage_errors(path, self._folder):
            self._temporary = TemporaryFile(self._folder, Path(path).name)
            cleanup.callback(self._temporary.close)
            self._file = self._new_file(self._temporary, self._folder)
            cleanup.callback(self._file.close)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._cleanup.close()

    @property
    def known_columns(self) -> Iterable[str]:
        """The columns of earlier files, where the file belongs to a dataset."""
        return self._file.known_columns

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows; may be called many times."""
        iterator = iter(rows)
        # An error of the iterator itself is not the storage's.
        while chunk := list(islice(iterator, CHUNK_ROWS)):
            with storage_errors(self._destination.path, self._folder):
                self._file.write(chunk)
            self._row_count += len(chunk)

    def publish(self) -> FileInfo:
        """Finish the file and put it at its destination, in one step; nothing can be written afterwards."""
        with storage_errors(self._destination.path, self._folder):
            self._file.finish()
            info = self._info(*self._temporary.finish())
            if self._destination.scheme is None:
                self._temporary.move_to(self._destination.local_path())
            else:
                self._temporary.file.close()
        if self._destination.scheme is not None:
            _upload(self._temporary.path, self._destination)
        self._cleanup.close()
        return info

    def _info(self, size: int, digest: str) -> FileInfo:
        columns = {column.name: column.type for column in self._file.columns}
        return FileInfo(
            self._row_count,
            size,
            digest,
            self._file.names,
            dict(zip(self._file.names, columns.values(), strict=False)),
            list(self._file.null_columns),
            [name for name in self._field_types if name not in columns and name.replace(".", "_") not in columns],
        )


def _upload(file: Path, destination: Destination) -> None:
    """Upload a finished file in one step; a store shows an upload when it is complete, or not at all."""
    path = destination.object_path()
    try:
        path.fs.put_file(str(file), path.path, **_UPLOAD_OPTIONS.get(destination.scheme, {}))
    except Exception as error:  # each store has errors of its own
        raise CatalogStorageError(f"can't upload {destination.path!r}: {store_message(error)}") from error
