"""A second server, which must never hear the token: it keeps every byte that it is sent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\n" + b'{"orders": []}'


@dataclass
class Eavesdropper:
    """
    :param port: where it listens, on 127.0.0.1.
    :param tunnel: where to it connects those who ask for a tunnel, as a proxy does; else it answers everything with
        a 200.
    :param heard: the bytes of each connection, both ways where it is a tunnel.
    """

    port: int
    tunnel: int | None = None
    heard: list[bytearray] = field(default_factory=list)

    @property
    def netloc(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.netloc}"

    @property
    def all_heard(self) -> bytes:
        return b"\n".join(map(bytes, self.heard))


@contextmanager
def eavesdropper(tunnel: int | None = None) -> Iterator[Eavesdropper]:
    """Listen on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ears = Eavesdropper(server.getsockname()[1], tunnel)
        threading.Thread(target=_listen, args=(server, ears), daemon=True).start()
        yield ears
        with suppress(OSError):  # wakes up accept()
            server.shutdown(socket.SHUT_RDWR)


def _listen(server: socket.socket, ears: Eavesdropper) -> None:
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            ears.heard.append(bytearray())
            threading.Thread(target=_hear, args=(connection, ears, ears.heard[-1]), daemon=True).start()


def _hear(connection: socket.socket, ears: Eavesdropper, heard: bytearray) -> None:
    with connection, suppress(OSError):
        connection.settimeout(10)
        while b"\r\n\r\n" not in heard and (received := connection.recv(65536)):
            heard += received
            if heard[:1] == b"\x16":
                return  # TLS begins: nothing that could be read will follow
        if not ears.tunnel or not heard.startswith(b"CONNECT "):
            connection.sendall(ANSWER)
            return
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", ears.tunnel)) as target:
            back = threading.Thread(target=_relay, args=(target, connection, heard), daemon=True)
            back.start()
            _relay(connection, target, heard)
            back.join()


def _relay(source: socket.socket, target: socket.socket, heard: bytearray) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            heard += received
            target.sendall(received)
        target.shutdown(socket.SHUT_WR)
