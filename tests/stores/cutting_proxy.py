"""A TCP proxy that cuts connections which have sent too much: a network that fails in the middle of an upload."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any


class Proxy(ThreadingTCPServer):
    daemon_threads = True
    target = max_sent = cut = 0

    @property
    def port(self) -> int:
        return self.server_address[1]


class Relay(BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.target)) as store:
            threading.Thread(target=self.pump, args=(store, self.request), daemon=True).start()
            left = self.pump(self.request, store, self.server.max_sent)
            self.server.cut += left <= 0

    @staticmethod
    def pump(source: Any, sink: Any, most: float = float("inf")) -> float:
        with suppress(OSError):
            while most > 0 and (chunk := source.recv(65536)):
                most -= len(chunk)
                sink.sendall(chunk)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        return most


@contextmanager
def cutting_proxy(target: int, max_sent: int) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", 0), Relay) as proxy:
        proxy.target, proxy.max_sent = target, max_sent
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()
