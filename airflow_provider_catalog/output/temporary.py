"""Files on this machine that are not finished yet: made so that nobody else reads them, put in place in one step."""

from __future__ import annotations

import errno
import gzip
import hashlib
import logging
import os
import re
import secrets
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from airflow_provider_catalog.errors import CatalogParameterError, CatalogStorageError

log = logging.getLogger(__name__)

ABANDONED_AFTER = 24 * 60 * 60.0
"""Seconds without a change after which another machine's temporary file counts as left behind."""
_MAX_NAME = 64
"""Characters of the target's name that stand in the temporary file's."""
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Sink:
    """Takes what is written to a file, and counts and hashes it, until it is told to drop it."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file: IO[bytes] | None = file
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write bytes."""
        if self._file:
            self._file.write(data)
            self.digest.update(data)
            self.size += len(data)
        return len(data)

    def drop(self) -> None:
        """Write nothing more."""
        self._file = None

    def flush(self) -> None:
        """Leave it to the file when to write to the disk."""

    def close(self) -> None:
        """Leave the file open."""


class TemporaryFile:
    """
    An unfinished file that nobody but this user can read. Close it in any case; that removes what was not moved.

    It is called ``.NAME.MACHINE-PID.RANDOM.tmp``. What a task that was killed has left is removed by the next one that
    writes a file of the same name in the same folder; a writer that lives keeps its own.
    """

    def __init__(self, folder: Path, name: str) -> None:
        _remove_leftovers(folder, name)
        self.path = folder / f"{_prefix(name)}{_machine()}-{os.getpid()}.{secrets.token_hex(4)}.tmp"
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        self.file: IO[bytes] = os.fdopen(descriptor, "w+b")
        self._sink = Sink(self.file)
        self._gzip: gzip.GzipFile | None = None

    def begin(self, *, is_gzipped: bool = False) -> Sink | gzip.GzipFile:
        """Return what its content is to be written to; what was written before is dropped."""
        self.drop()
        self.file.seek(0)
        self.file.truncate()
        self._sink = Sink(self.file)
        stream: Any = self._sink
        # Without a name and a time, so that equal rows give equal bytes.
        self._gzip = gzip.GzipFile("", "wb", compresslevel=6, fileobj=stream, mtime=0) if is_gzipped else None
        return self._gzip or self._sink

    def drop(self) -> None:
        """Write nothing of what still comes: Arrow and gzip end what they have begun, even when it is forgotten."""
        self._sink.drop()

    def finish(self) -> tuple[int, str]:
        """Write what the compression still holds; return the size in bytes, and the SHA-256."""
        if self._gzip:
            self._gzip.close()
        return self._sink.size, self._sink.digest.hexdigest()

    def close(self) -> None:
        """Remove it, unless it was moved to its place."""
        self.drop()
        with suppress(OSError):  # of a buffer that can't be written any more
            self.file.close()
        self.path.unlink(missing_ok=True)

    def move_to(self, target: Path) -> None:
        """Put the finished file in its place, in one step, with the rights that a file there would have."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()  # some mounts refuse to rename a file that is open
        with suppress(OSError):  # some mounts decide on the rights alone
            self.path.chmod(_mode_of(target))
        with _folders_of(target):
            self.path.replace(target)


def check_folder(folder: Path, name: str) -> None:
    """Check that a file can be made in a folder and renamed there, by doing so."""
    file = TemporaryFile(folder, name)
    moved = file.path.with_suffix(".new.tmp")
    try:
        file.move_to(moved)
    finally:
        moved.unlink(missing_ok=True)
        file.close()


def spool_file(folder: Path) -> IO[bytes]:
    """Return a file without a name, which goes with the process."""
    with suppress(OSError):  # a mount that has no such files
        return tempfile.TemporaryFile(dir=folder)
    return tempfile.TemporaryFile()


@contextmanager
def storage_errors(path: str, folder: Path) -> Iterator[None]:
    """Tell errors of writing a file in a folder as ours, and those of rows that are nested too deeply."""
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


def _remove_leftovers(folder: Path, name: str) -> None:
    """Remove what writers of the same file that were killed have left."""
    pattern = re.compile(rf"{re.escape(_prefix(name))}([0-9a-f]+)-([0-9]+)\.[0-9a-f]+(\.new)?\.tmp")
    with suppress(OSError):  # a folder that can't be listed
        for path in folder.iterdir():
            match = pattern.fullmatch(path.name)
            with suppress(OSError):  # another user's, or gone by now
                if match and not _is_being_written(path, match[1], int(match[2])):
                    path.unlink()
                    log.info("Removed %s, left by a task that was killed", path)


def _is_being_written(path: Path, machine: str, pid: int) -> bool:
    import psutil

    changed = path.stat().st_mtime
    if machine != _machine():
        return time.time() - changed < ABANDONED_AFTER
    try:
        # A process that is younger than the file has only got the same number.
        return bool(psutil.Process(pid).create_time() <= changed + 1)
    except psutil.NoSuchProcess:
        return False


def _prefix(name: str) -> str:
    return f".{name[:_MAX_NAME]}."


def _machine() -> str:
    return hashlib.blake2b(socket.gethostname().encode(), digest_size=4).hexdigest()


def _mode_of(target: Path) -> int:
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    umask = os.umask(0o077)  # it can't be read without being set
    os.umask(umask)
    return 0o666 & ~umask


@contextmanager
def _folders_of(target: Path) -> Iterator[None]:
    """Make the folders of a file that are missing, and remove them when the block fails."""
    with ExitStack() as undo:
        for folder in reversed([parent for parent in target.parents if not parent.exists()]):
            folder.mkdir(exist_ok=True)
            undo.callback(_remove_if_empty, folder)
        yield
        undo.pop_all()


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # another task's file may be in it by now
        folder.rmdir()
