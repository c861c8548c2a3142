"""A file that is being written, of which nothing stays when its writer is killed.

On Linux it has no name until it is moved to its place, so the system itself removes it with the process. Where the
file system knows no such files (NFS, FUSE, macOS) it has a name, and a lock that lasts as long as its writer lives;
the next writer in the same folder removes those that nobody has locked.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import secrets
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)

ABANDONED_AFTER = 24 * 60 * 60.0
"""Seconds without a change after which an unlocked spool of another machine counts as left behind."""

_DESCRIPTORS = Path("/proc/self/fd")
_PREFIX = ".airflow-catalog-"
_SUFFIX = ".tmp"


class Spool:
    """
    An unfinished file that nobody but this user can read. Close it in any case; that removes what was not moved.

    :param folder: where it is made; moving it to its place is one step only on the same file system.
    :raises OSError: when there can't be a file in the folder.
    """

    def __init__(self, folder: Path) -> None:
        _remove_leftovers(folder)
        self._folder = folder
        self._name: Path | None = None
        descriptor = _open_nameless(folder)
        if descriptor is None:
            descriptor, self._name = _open_named(folder)
        self.file = os.fdopen(descriptor, "w+b")

    def close(self) -> None:
        """Remove it, unless it was moved to its place."""
        try:
            if self._name:
                self._name.unlink(missing_ok=True)
        finally:
            with suppress(OSError):  # of a buffer that can't be written any more, and that nobody wants
                self.file.close()

    def move_to(self, target: Path) -> None:
        """
        Put the finished file in its place, in one step, with the rights that a file there would have.

        :param target: its place; folders that are missing are made.
        :raises OSError: when it can't be put there.
        """
        os.fchmod(self.file.fileno(), _mode_of(target))
        with ExitStack() as undo:
            for folder in reversed([parent for parent in target.parents if not parent.exists()]):
                folder.mkdir(exist_ok=True)
                undo.callback(_remove_if_empty, folder)
            if self._name is None:
                # A file without a name can't replace another one, so there is one for a moment.
                self._name = _new_name(self._folder)
                _give_name(self.file.fileno(), self._name)
            self._name.replace(target)
            undo.pop_all()
        self._name = None

    @contextmanager
    def path(self) -> Iterator[str]:
        """Within the block, a path under which this process, in any of its threads, can open the file."""
        if self._name:
            yield str(self._name)
            return
        copy = os.dup(self.file.fileno())
        try:
            yield str(_DESCRIPTORS / str(copy))
        except Exception:
            os.close(copy)
            raise
        # After an interrupt (a task that is killed) it stays open: a thread of the store's client may be about to open
        # the path, and must not find another file there, which has got the number meanwhile.
        os.close(copy)


def _open_nameless(folder: Path) -> int | None:
    """Open a file that has no name, and that can get one later; return None where there is no such thing."""
    if not (hasattr(os, "O_TMPFILE") and _DESCRIPTORS.is_dir()):
        return None
    with suppress(OSError):  # the one that has a name tells what is wrong, if it is not just this
        trial = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
        try:
            name = _new_name(folder)
            _give_name(trial, name)
            name.unlink(missing_ok=True)
        finally:
            os.close(trial)
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
    return None


def _give_name(descriptor: int, name: Path) -> None:
    _lock(descriptor)
    # With src_dir_fd, Python calls linkat, which alone follows this link. Since the path is absolute, it says no more.
    os.link(_DESCRIPTORS / str(descriptor), name, src_dir_fd=descriptor, follow_symlinks=True)


def _open_named(folder: Path) -> tuple[int, Path]:
    while True:
        descriptor, name = tempfile.mkstemp(prefix=_own_prefix(), suffix=_SUFFIX, dir=folder)
        _lock(descriptor)
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(name)
        os.close(descriptor)  # another writer took it for left behind, before it was locked


def _lock(descriptor: int) -> None:
    with suppress(OSError):  # where there are no locks, nobody else gets one either, and so nobody removes it
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed have left in the folder."""
    with suppress(OSError):  # a folder that can't be listed
        for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            with suppress(OSError):  # another user's, or still being written, or gone by now
                _remove_if_left(path)


def _remove_if_left(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Some network file systems keep locks to themselves on each machine, so another machine's tell nothing.
        if path.name.startswith(_own_prefix()) or time.time() - os.fstat(descriptor).st_mtime > ABANDONED_AFTER:
            path.unlink()
            log.info("Removed %s, left by a task that was killed", path)
    finally:
        os.close(descriptor)


def _new_name(folder: Path) -> Path:
    return folder / f"{_own_prefix()}{secrets.token_hex(8)}{_SUFFIX}"


def _own_prefix() -> str:
    """Return how the names of all spools of this machine begin."""
    host = hashlib.blake2b(socket.gethostname().encode(), digest_size=4).hexdigest()
    return f"{_PREFIX}{host}-"


def _mode_of(target: Path) -> int:
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    umask = os.umask(0o077)  # it can't be read without being set
    os.umask(umask)
    return 0o666 & ~umask


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # another task's file may be in it by now
        folder.rmdir()
