"""Runs a sandbox in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Thread
from typing import Any

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from airflow_provider_catalog.sandbox import SandboxCatalog, ServedRequest
from airflow_provider_catalog.sandbox.app import RateLimit, Service, create_app
from airflow_provider_catalog.sandbox.faults import Faults
from airflow_provider_catalog.sandbox.options import Options
from airflow_provider_catalog.sandbox.store import Store

REMEMBERED_REQUESTS = 10_000
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to listen on, but not to connect to
LINGER_NOT = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


@contextmanager
def running(options: Options) -> Iterator[SandboxCatalog]:
    """Run a sandbox as long as the context lasts."""
    with _listen(options.host, options.port) as listener, closing(Store(options)) as store:
        connections = Connections()
        served: deque[ServedRequest] = deque(maxlen=REMEMBERED_REQUESTS)
        faults = Faults(options)
        service = Service(options, store, faults, connections, served, RateLimit(options.rate_limit))
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(service),
                http=connections.protocol(),
                ws="none",
                lifespan="off",
                proxy_headers=False,
                access_log=False,
                log_config=None,  # the logging of the program around it is not ours to set up
                log_level=None,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=1,
            )
        )
        host, port = listener.getsockname()[:2]
        host = ANYWHERE.get(host, host)
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        with _in_thread(server, listener):
            yield SandboxCatalog(url, options.token, store, faults, served)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1_024)
    except OSError as error:
        raise OSError(error.errno, f"can't listen on {host} port {port}: {error.strerror}") from error


@contextmanager
def _in_thread(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    def run() -> None:
        # Not Server.run: older versions of uvicorn set the event loop policy of the whole process.
        asyncio.run(server.serve(sockets=[listener]))

    thread = Thread(target=run, name="catalog-sandbox", daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.002)
        yield
    finally:
        server.should_exit = True
        thread.join()


class Connections:
    """The open connections, so that a fault can send what is no HTTP, or break one: ASGI itself has no way to."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}

    def protocol(self) -> type[asyncio.Protocol]:
        """Return uvicorn's HTTP protocol, made to note its connections."""
        transports = self._transports
        base: Any = AutoHTTPProtocol  # one of two classes, whichever can be imported

        class NotedProtocol(base):  # type: ignore[misc] # known only here
            def connection_made(self, transport: asyncio.Transport) -> None:
                self.peer = tuple(transport.get_extra_info("peername")[:2])
                transports[self.peer] = transport
                super().connection_made(transport)

            def connection_lost(self, error: Exception | None) -> None:
                transports.pop(self.peer, None)
                super().connection_lost(error)

        return NotedProtocol

    async def write(self, scope: Scope, content: bytes) -> None:
        """Send bytes as they are, by the connection of a request."""
        transport = self._transports[tuple(scope["client"])]
        transport.write(content)
        while transport.get_write_buffer_size():
            await asyncio.sleep(0)

    def close(self, scope: Scope) -> None:
        """Close the connection of a request, after what was already sent to it."""
        self._transports[tuple(scope["client"])].close()

    def reset(self, scope: Scope) -> None:
        """Break the connection of a request off with an RST."""
        transport = self._transports[tuple(scope["client"])]
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        transport.abort()
