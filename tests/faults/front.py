"""A stretch of network before a sandbox, for what it can't do itself: refuse connections, fail at TLS or DNS."""

from __future__ import annotations

import re
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from tests.certificates import HOST, make_certificate

FAULTS = ("refused", "tls", "dns")
DOWN = 0.03
"""Seconds for which connections are refused, when that is not to last."""
FAILURES = 2
"""Handshakes or look-ups that fail, when that is not to last."""

_ASKED = re.compile(rb"POST [^ ]*?[?&]page=(\d+)")
_TOO_LATE = (OSError, ValueError)  # of a socket that another thread has closed


class Front:
    """
    Passes on what comes to a port of its own, until a page is asked for; then no connection works for a while.

    :param target: the port to which it passes on.
    :param fault: what then goes wrong with new connections, one of :data:`FAULTS`.
    :param page: the number of the page; ``None`` for a network that does not work at first.
    :param lasting: whether it never works again.
    """

    def __init__(self, target: int, fault: str, page: int | None, *, lasting: bool) -> None:
        self._target = target
        self._fault = fault
        self._page = page
        self._lasting = lasting
        self._failures_left: float = 0
        self._tripped = False
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._timers: list[threading.Timer] = []
        self._listener = self._bind(0)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}" if fault == "refused" else f"https://{HOST}:{self.port}"

    def start(self) -> None:
        if self._page is None:
            self._trip()
        if self._page is not None or self._fault != "refused":
            self._listen()

    def stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
            timer.join()
        self._close(self._listener)
        for each in list(self._open):
            self._close(each)

    def look_up(self, host: str, *arguments: object, **more: object) -> list[object]:
        """Stand in for ``socket.getaddrinfo``."""
        if host == HOST:
            if self._fault == "dns" and self._fails():
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            host = "127.0.0.1"
        return _getaddrinfo(host, *arguments, **more)  # type: ignore[arg-type]

    def _bind(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        return listener  # as long as it does not listen, the port is ours, and connections are refused

    def _listen(self) -> None:
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(*_TOO_LATE):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(*_TOO_LATE):
            if self._fault == "tls" and self._fails():
                self._close(client)
                return
            if self._fault != "refused":
                client.settimeout(10)
                client = _certificate()[1].wrap_socket(client, server_side=True)
            with client, socket.create_connection(("127.0.0.1", self._target)) as server:
                self._open.add(client)
                if self._tripped and self._lasting:
                    return  # it came while the others were closed
                threading.Thread(target=self._pass_back, args=(server, client), daemon=True).start()
                while chunk := client.recv(65536):
                    asked = _ASKED.match(chunk)
                    if asked and self._page is not None and int(asked[1]) == self._page and self._trip():
                        return
                    server.sendall(chunk)

    def _pass_back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(*_TOO_LATE):
            while chunk := server.recv(65536):
                client.sendall(chunk)
        self._close(client)

    def _trip(self) -> bool:
        """Let the network fail; return whether it does so now."""
        with self._lock:
            if self._tripped:
                return False
            self._tripped = True
            self._failures_left = inf if self._lasting else FAILURES
            if self._fault == "refused":
                self._close(self._listener)
                self._listener = self._bind(self.port)
                if not self._lasting:
                    self._timers.append(threading.Timer(DOWN, self._listen))
                    self._timers[-1].start()
            for each in list(self._open):
                self._close(each)
            return True

    def _fails(self) -> bool:
        with self._lock:
            self._failures_left -= 1
            return self._failures_left >= 0

    def _close(self, connection: socket.socket) -> None:
        self._open.discard(connection)
        with suppress(*_TOO_LATE):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


_getaddrinfo = socket.getaddrinfo


@contextmanager
def front(target: int, fault: str, page: int | None, *, lasting: bool) -> Iterator[Front]:
    """Run a :class:`Front`, with a name server that knows it."""
    running = Front(target, fault, page, lasting=lasting)
    with mock.patch.object(socket, "getaddrinfo", running.look_up):
        running.start()
        try:
            yield running
        finally:
            running.stop()


def ca_bundle() -> Path:
    """Return the path of a CA bundle."""
    return _certificate()[0]


@cache
def _certificate() -> tuple[Path, ssl.SSLContext]:
    """Return the path of a certificate that :func:`ca_bundle` trusts, and a server's TLS with it."""
    return make_certificate(Path(tempfile.mkdtemp(dir=_folder().name)))


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="front-", ignore_cleanup_errors=True)
