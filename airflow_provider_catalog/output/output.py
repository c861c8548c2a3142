"""One output file: rows in, a finished file at its destination, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from airflow_provider_catalog.client.endpoints import Row
from airflow_provider_catalog.errors import CatalogStorageError
from airflow_provider_catalog.output.columnar import ColumnarFile
from airflow_provider_catalog.output.destination import Destination
from airflow_provider_catalog.output.spec import FileSpec
from airflow_provider_catalog.output.spool import CHUNK_ROWS
from airflow_provider_catalog.output.store_check import store_message
from airflow_provider_catalog.output.temporary import TemporaryFile, storage_errors
from airflow_provider_catalog.output.write_jsonl import JsonLinesFile

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
    """A published file."""

    row_count: int
    size_bytes: int
    sha256: str
    columns: Mapping[str, str | None]
    """Name → type, as ``field_types`` takes it; ``None`` in JSON Lines, which have no types."""
    null_columns: Sequence[str]
    """Those that are null in every row, and that nothing tells the type of."""
    unmatched_field_types: Sequence[str]
    """The names in ``field_types`` that are no columns."""


class OutputFile:
    """
    Write rows, then publish the file in one step; a context manager.

    Until :meth:`publish`, rows are in files that nobody but this user can read. Leaving the ``with`` block, in whatever
    way, removes them; those of a process that is killed are removed by the next one that writes the same file. A file
    that was there before stays as it is until it is replaced.

    :raises CatalogStorageError: from all methods, when the disk is full or the destination refuses.
    """

    def __init__(self, spec: FileSpec) -> None:
        self._spec = spec
        self._destination = spec.destination
        self._row_count = 0
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        path = self._destination.path
        with storage_errors(path, Path(path).parent):
            self._folder = self._destination.unfinished_folder()
        with ExitStack() as cleanup, storage_errors(path, self._folder):
            self._temporary = cleanup.enter_context(closing(TemporaryFile(self._folder, Path(path).name)))
            self._file: JsonLinesFile | ColumnarFile
            if self._destination.format == "jsonl":
                self._file = JsonLinesFile(self._temporary, self._spec)
            else:
                self._file = cleanup.enter_context(closing(ColumnarFile(self._temporary, self._folder, self._spec)))
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
            columns = self._file.finish()
            size, digest = self._temporary.finish()
            if self._destination.scheme is None:
                self._temporary.move_to(self._destination.local_path())
            else:
                self._temporary.file.close()
        if self._destination.scheme is not None:
            _upload(self._temporary.path, self._destination)
        self._cleanup.close()
        return FileInfo(
            self._row_count, size, digest, columns, self._file.null_columns, self._file.unmatched_field_types
        )


def _upload(file: Path, destination: Destination) -> None:
    """Upload a finished file in one step; a store shows an upload when it is complete, or not at all."""
    path = destination.object_path()
    try:
        path.fs.put_file(str(file), path.path, **_UPLOAD_OPTIONS.get(destination.scheme, {}))
    except Exception as error:  # each store has errors of its own
        raise CatalogStorageError(f"can't upload {destination.path!r}: {store_message(error)}") from error
