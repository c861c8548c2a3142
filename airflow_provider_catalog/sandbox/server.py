"""Runs a sandbox in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Thread

import uvicorn

from airflow_provider_catalog.sandbox import SandboxCatalog
from airflow_provider_catalog.sandbox.app import Service, create_app
from airflow_provider_catalog.sandbox.options import Options
from airflow_provider_catalog.sandbox.store import Store

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to listen on, but not to connect to


@contextmanager
def running(options: Options) -> Iterator[SandboxCatalog]:
    """Run a sandbox as long as the context lasts."""
    with _listen(options.host, options.port) as listener, closing(Store(options)) as store:
        service = Service(options, store)
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(service),
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
        # Not Server.run: older versions of uvicorn set the event loop policy of the whole process.
        thread = Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listener])), name="catalog-sandbox", daemon=True
        )
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.002)
            yield SandboxCatalog(f"http://{f'[{host}]' if ':' in host else host}:{port}", options.token, service)
        finally:
            server.should_exit = True
            thread.join()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=1_024)
    except OSError as error:
        raise OSError(error.errno, f"can't listen on {host} port {port}: {error.strerror}") from error
    # asyncio does so only for sockets made with IPPROTO_TCP; without, a small answer waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
