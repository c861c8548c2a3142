"""A real HTTP server for tests, told what to answer; written from the API's contract, independent of the sandbox."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

TOKEN = "stand-in-token"


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    client: tuple[str, int]

    @property
    def page(self) -> int | None:
        return int(self.query["page"]) if "page" in self.query else None

    @property
    def filters(self) -> dict[str, Any]:
        if self.headers["content-type"] == "application/json":
            return json.loads(self.body)
        return parse_qs(self.body.decode())


@dataclass
class Answer:
    """
    :param body: bytes as they are, anything else as JSON.
    :param cut: send only so many bytes of the body, then close the connection.
    :param drop: close the connection without any answer.
    :param delay: seconds before the answer.
    :param stall: send nothing more than so many bytes of the body (-1: no answer at all) until the client hangs up.
    """

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    drop: bool = False
    delay: float = 0
    stall: int | None = None


@dataclass
class Stalled:
    """
    A request that gets no (whole) answer.

    :param ended: when its client hung up, as ``time.time()`` has it; None as long as it waits.
    """

    request: Request
    ended: float | None = None


@dataclass
class StandIn:
    url: str
    requests: list[Request] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    stalled: list[Stalled] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """How many clients wait for an answer that does not come."""
        return sum(each.ended is None for each in self.stalled)

    @property
    def connections(self) -> int:
        return len({request.client for request in self.requests})

    @property
    def pages(self) -> list[int | None]:
        return [request.page for request in self.requests]


@contextmanager
def stand_in(answer: Callable[[Request], Answer], tls: ssl.SSLContext | None = None) -> Iterator[StandIn]:
    """Serve ``answer`` on a free port of this machine, with TLS where there is a context for it."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            parts = urlsplit(self.path)
            request = Request(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query)),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(int(self.headers.get("Content-Length", 0))),
                self.client_address,
            )
            with lock:
                catalog.requests.append(request)
                catalog.in_flight += 1
                catalog.most_in_flight = max(catalog.most_in_flight, catalog.in_flight)
            try:
                reply = answer(request)
                time.sleep(reply.delay)
            finally:
                with lock:
                    catalog.in_flight -= 1
            self.send(request, reply)

        do_GET = do_POST  # noqa: N815 - the name that http.server asks for

        def send(self, request: Request, reply: Answer) -> None:
            if reply.drop:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if reply.stall == -1:
                self.stall(request)
                return
            content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            headers = {"Content-Type": "application/json", **reply.headers}
            if headers.get("Content-Encoding") == "gzip" and not content.startswith(b"\x1f\x8b"):
                content = gzip.compress(content)
            self.send_response(reply.status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if reply.stall is not None:
                self.wfile.write(content[: reply.stall])
                self.stall(request)
                return
            if reply.cut is not None:
                content = content[: reply.cut]
                self.close_connection = True
            self.wfile.write(content)

        def stall(self, request: Request) -> None:
            stalled = Stalled(request)
            catalog.stalled.append(stalled)
            self.close_connection = True
            with suppress(OSError):  # a connection that is reset has ended, too
                self.connection.recv(1)
            stalled.ended = time.time()

        def log_message(self, *args: Any) -> None:
            """Keep the tests' output clean."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that went away is what some tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        catalog = StandIn(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield catalog
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Paging:
    """
    How the stand-in pages.

    :param mode: ``link`` (next, prev, first and last), ``next-only``, ``page-only`` or ``none``.
    :param first: the number of the first page.
    :param most: the most rows in a page, whatever is asked for.
    :param relative: whether links are relative.
    """

    mode: str = "link"
    first: int = 1
    most: int = 100
    relative: bool = False


def paged(rows: list[Any], paging: Paging, root_key: str) -> Callable[[Request], Answer]:
    """Return an answer that serves rows the way that the contract describes."""

    def answer(request: Request) -> Answer:
        if request.headers.get("authorization") != f'Token token="{TOKEN}"':
            return Answer(b"HTTP Token: Access denied.", 401, {"Content-Type": "text/plain"})
        if paging.mode == "none":
            return Answer({root_key: rows})
        size = min(int(request.query.get("per_page", 20)), paging.most)
        index = (request.page if request.page is not None else paging.first) - paging.first
        content = rows[index * size : (index + 1) * size] if index >= 0 else []
        return Answer({root_key: content}, headers=links(request, size, index, paging, len(rows)))

    return answer


def links(request: Request, size: int, index: int, paging: Paging, count: int) -> dict[str, str]:
    if paging.mode == "page-only":
        return {}
    last = max(-(-count // size) - 1, 0)
    origin = "" if paging.relative else f"http://{request.headers['host']}"
    wanted = {}
    if index < last:
        wanted["next"] = index + 1
    if paging.mode == "link":
        if index < last:
            wanted["last"] = last
        if index > 0:
            wanted |= {"first": 0, "prev": index - 1}
    parts = [
        f'<{origin}{request.path}?page={number + paging.first}&per_page={size}>; rel="{relation}"'
        for relation, number in wanted.items()
    ]
    return {"Link": ", ".join(parts)} if parts else {}
