"""The operating system's errors in terms of the output."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_catalog.errors import CatalogParameterError, CatalogStorageError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def storage_errors(path: str, folder: Path) -> Iterator[None]:
    """
    Turn an ``OSError`` into a ``CatalogStorageError``, and a ``RecursionError`` into a ``CatalogParameterError``.

    :param path: where the output goes.
    :param folder: where it is being written.
    :raises CatalogStorageError: instead of ``OSError``.
    :raises CatalogParameterError: instead of ``RecursionError``.
    """
    try:
        yield
    except RecursionError:
        raise CatalogParameterError(
            f"can't write {path!r}: a row is nested too deeply; leave the field out with drop_fields"
        ) from None
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise CatalogStorageError(
                f"no room for {path!r}: the disk of {str(folder)!r} is full, or a limit on file sizes reached "
                f"({error.strerror}); free some space. While it is written, CSV and Parquet take about twice the "
                "room of the rows; for an object store that is in the folder that TMPDIR names"
            ) from error
        raise CatalogStorageError(f"can't write {path!r}: {error.strerror or error} (in {str(folder)!r})") from error
