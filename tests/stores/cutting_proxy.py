"""A TCP proxy that cuts connections which have sent too much: a network that fails in the middle of an upload."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


@dataclass
class Proxy:
    """
    :param port: where it listens.
    :param max_sent: bytes that a connection may send before it is cut.
    :param cut: how many were.
    """

    port: int
    max_sent: int
    cut: int = 0


@contextmanager
def cutting_proxy(target: int, max_sent: int) -> Iterator[Proxy]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(listener.getsockname()[1], max_sent)
        threading.Thread(target=accept, args=(listener, target, proxy), daemon=True).start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)


def accept(listener: socket.socket, target: int, proxy: Proxy) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=connect, args=(client, target, proxy), daemon=True).start()


def connect(client: socket.socket, target: int, proxy: Proxy) -> None:
    with client, socket.create_connection(("127.0.0.1", target)) as server:
        back = threading.Thread(target=pump, args=(server, client, None), daemon=True)
        back.start()
        pump(client, server, proxy)
        back.join()


def pump(source: socket.socket, sink: socket.socket, proxy: Proxy | None) -> None:
    """Pass bytes on; with a proxy, until they are too many."""
    sent = 0
    with suppress(OSError):
        while chunk := source.recv(65536):
            sent += len(chunk)
            if proxy and sent > proxy.max_sent:
                proxy.cut += 1
                break
            sink.sendall(chunk)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
