"""Giving up: what ends requests while they are under way, rather than when their timeout has passed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from airflow_provider_catalog.client.retry import AbandonedError

_thread = threading.local()


class Abandonment(threading.Event):
    """Is set when nobody wants an answer any more; the requests that are under way for it end at that moment."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._sockets: dict[int, Any] = {}  # of each thread, which makes one request at a time

    @classmethod
    def of_this_thread(cls) -> Abandonment | None:
        """Return the one that ends the request which this thread makes, if there is one."""
        return getattr(_thread, "abandonment", None)

    def set(self) -> None:
        """Give up, and end what is under way."""
        super().set()
        with self._lock:
            for sock in self._sockets.values():
                _shut_down(sock)

    @contextmanager
    def ends_requests(self) -> Iterator[None]:
        """Within the block, a request that this thread makes ends as soon as nobody wants its answer any more."""
        _thread.abandonment = self
        try:
            yield
        finally:
            _thread.abandonment = None
            self.forget()

    def note(self, sock: Any) -> None:
        """
        Note through which socket this thread makes its request.

        :raises AbandonedError: when nobody wants the answer any more.
        """
        with self._lock:
            if self.is_set():
                raise AbandonedError
            self._sockets[threading.get_ident()] = sock

    def forget(self) -> None:
        """Note that this thread's socket is free for the requests of others."""
        with self._lock:
            self._sockets.pop(threading.get_ident(), None)


def _shut_down(sock: Any) -> None:
    """Let whoever waits for the socket see its end; closing it, which isn't safe from here, is left to them."""
    with suppress(OSError):  # closed already
        # Not TLS's own way, which would change what the other thread works with. TLS within TLS is no socket itself.
        socket.socket.shutdown(getattr(sock, "socket", sock), socket.SHUT_RDWR)
