"""
A Catalog for tests: a real HTTP server that answers what a test says; written from the API's contract alone.

``catalog_server(answer)`` asks a function for every answer. :class:`Pages` is such a function: it pages rows in one of
the ways that servers do, and ``answers={2: Answer(status=503)}`` says what a page answers instead.
"""

from __future__ import annotations

import gzip
import json
import math
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

TOKEN = "stand-in-token"
AT_ONCE = {"Retry-After": "0"}
"""Headers of an answer after which a client may try again without a wait."""
MAX_LINE = 8192
"""Bytes that a request's first line may have, as with Apache and nginx."""


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
    :param headers: a list of pairs where a name comes more than once.
    :param cut: send only so many bytes of the body, then close the connection.
    :param drop: close the connection without any answer.
    :param delay: seconds before the answer.
    :param stall: send nothing more than so many bytes of the body (-1: no answer at all) until the client hangs up.
    :param before: bytes that are sent before the answer, such as another one with the status 103.
    :param chunked: whether the body comes in chunks, without a length.
    :param stale: how the connection's next request fails, as one does that a firewall has forgotten: ``"close"``,
        ``"reset"``, or ``"early"`` to close it as soon as the answer is sent.
    :param tunnel: the port to which a CONNECT is let through.
    """

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = field(default_factory=dict)
    cut: int | None = None
    drop: bool = False
    delay: float = 0
    stall: int | None = None
    before: bytes = b""
    chunked: bool = False
    stale: str | None = None
    tunnel: int | None = None


@dataclass
class Stalled:
    """A request that gets no (whole) answer, and whether its client has hung up."""

    request: Request
    ended: bool = False


@dataclass
class StandIn:
    """
    :param requests: all of them, in the order in which they came.
    :param sent: bytes of bodies that clients took.
    :param accepted: connections, those that never made a request included.
    """

    url: str
    requests: list[Request] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    stalled: list[Stalled] = field(default_factory=list)
    sent: int = 0
    accepted: int = 0

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def connection(self, **extra: Any) -> str:
        """Return an Airflow connection to it, as JSON."""
        value = {"conn_type": "instructure_catalog", "host": self.url, "password": TOKEN, "extra": extra}
        return json.dumps(value)

    @property
    def waiting(self) -> int:
        """How many clients wait for an answer that does not come."""
        return sum(not each.ended for each in self.stalled)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    stale: str | None = None

    def do_POST(self) -> None:
        catalog, lock = self.server.catalog, self.server.lock
        parts = urlsplit(self.path)
        request = Request(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("Content-Length", 0))),
            self.client_address,
        )
        if self.stale:
            self.hang_up(self.stale == "reset")
            return
        with lock:
            catalog.requests.append(request)
            catalog.in_flight += 1
            catalog.most_in_flight = max(catalog.most_in_flight, catalog.in_flight)
        try:
            too_long = len(self.requestline) > MAX_LINE
            reply = Answer(b"Request-URI Too Long", 414) if too_long else self.server.answer(request)
            time.sleep(reply.delay)
        finally:
            with lock:
                catalog.in_flight -= 1
        if reply.drop:
            self.hang_up()
        elif reply.stall == -1:
            self.stall(request)
        elif reply.tunnel:
            self.tunnel(reply.tunnel)
        else:
            self.send(request, reply)

    do_GET = do_HEAD = do_PUT = do_CONNECT = do_POST  # noqa: N815 - the names that http.server asks for

    def send(self, request: Request, reply: Answer) -> None:
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        given = list(reply.headers.items() if isinstance(reply.headers, Mapping) else reply.headers)
        names = {name.title() for name, _ in given}
        if ("Content-Encoding", "gzip") in given and not content.startswith(b"\x1f\x8b"):
            content = gzip.compress(content)
        if "Content-Type" not in names:
            given.insert(0, ("Content-Type", "application/json"))
        if reply.chunked:
            content = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in _parts(content)) + b"0\r\n\r\n"
            given.append(("Transfer-Encoding", "chunked"))
        elif "Content-Length" not in names:
            given.append(("Content-Length", str(len(content))))
        self.wfile.write(reply.before)
        self.send_response(reply.status)
        for name, value in given:
            self.send_header(name, value)
        self.end_headers()
        if reply.stall is not None:
            self.wfile.write(content[: reply.stall])
            self.stall(request)
            return
        if reply.cut is not None:
            content = content[: reply.cut]
            self.close_connection = True
        for part in _parts(content):
            self.wfile.write(part)
            self.server.catalog.sent += len(part)
        self.stale = reply.stale
        if reply.stale == "early":
            self.hang_up()

    def hang_up(self, reset: bool = False) -> None:
        self.close_connection = True
        if reset:  # to linger for no time is to send RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)

    def stall(self, request: Request) -> None:
        stalled = Stalled(request)
        self.server.catalog.stalled.append(stalled)
        self.close_connection = True
        with suppress(OSError):  # a connection that is reset has ended, too
            self.connection.recv(1)
        stalled.ended = True

    def tunnel(self, port: int) -> None:
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port)) as target:
            threading.Thread(target=relay, args=(target, self.connection), daemon=True).start()
            relay(self.connection, target)

    def log_message(self, *args: Any) -> None:
        """Keep the tests' output clean."""


def _parts(content: bytes) -> Iterator[bytes]:
    return (content[start : start + 65536] for start in range(0, len(content), 65536))


def relay(source: socket.socket, target: socket.socket, most: float = math.inf) -> bool:
    """Pass on what comes, and end both when there is no more, or after so many bytes; return whether it was those."""
    with suppress(OSError):
        while most > 0 and (received := source.recv(65536)):
            most -= len(received)
            target.sendall(received)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
    return most <= 0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    answer: Callable[[Request], Answer]
    catalog: StandIn

    def __init__(self, has_one_worker: bool) -> None:
        self.lock = threading.Lock()
        self.has_one_worker = has_one_worker
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.catalog.accepted += 1
        if self.has_one_worker:
            request.settimeout(5)  # that of the next request; so long it takes nothing from others
            return HTTPServer.process_request(self, request, client_address)
        return super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


@contextmanager
def catalog_server(
    answer: Callable[[Request], Answer], tls: ssl.SSLContext | None = None, *, has_one_worker: bool = False
) -> Iterator[StandIn]:
    """
    Serve ``answer`` on a free port of this machine, with TLS where there is a context.

    :param has_one_worker: whether one connection is served to its end before the next one.
    """
    with _Server(has_one_worker) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.answer = answer
        server.catalog = StandIn(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.catalog
        finally:
            server.shutdown()
            thread.join()


NO_PAGE = 10**6
"""The index of what is none of the pages."""


@dataclass
class Pages:
    """
    Rows in pages, for those who have the token. Pages are counted from 0 here, whatever number the server gives them.

    :param rows: all rows; a test may change the list while it is read.
    :param size: rows in a page at most, whatever is asked for.
    :param sizes: rows in each page, where they differ; the last of them for all that follow.
    :param by: what tells a page: its ``"number"``, an ``"offset"``, a ``"cursor"``, or ``"nothing"``: every request
        gets the first page.
    :param first: the number of the first page.
    :param step: by how much the number grows from page to page.
    :param before: what page 0 is where pages are counted from 1: ``"first"`` or an answer; no rows where ``None``.
    :param beyond: what comes after the last page: ``"last"``, ``"first"``, or an answer; no rows where ``None``.
    :param links: ``"header"``, ``"none"``, or where in the body ``next`` is, such as ``"meta.next"``.
    :param relations: those of the header.
    :param form: how one of them is written there.
    :param more: which pages have a ``next`` though no row follows: ``"full"`` last ones, ``"last"`` ones, ``"all"``.
    :param last: the index of the page to which ``last`` leads; that of the last one where ``None``.
    :param link: makes of a link what the server says instead.
    :param query: what links have beside the page; ``per_page``, as the server understands it, where ``None``.
    :param total: where the server says how many rows there are, such as ``"X-Total"`` or ``"meta.total"``.
    :param values: other headers and members of the body, by name, or functions of pages and index that say them; a dot
        is a step into the body.
    :param answers: what a page answers instead: an answer, or a list of them, each given once.
    :param changes: what to do when a page has been asked for the first time, after it is answered.
    :param token: the one that is accepted.
    """

    rows: list[Any]
    endpoint: str = "orders"
    size: int = 10
    sizes: Sequence[int] = ()
    by: str = "number"
    first: int = 1
    step: int = 1
    before: str | Answer | None = "first"
    beyond: str | Answer | None = None
    links: str = "header"
    relations: Sequence[str] = ("next", "prev", "first", "last")
    form: str = '<{}>; rel="{}"'
    more: str | None = None
    last: int | Callable[[int], int | None] | None = None
    link: Callable[[str], str] = str
    query: dict[str, str] | None = None
    total: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    answers: Mapping[int, Answer | Sequence[Answer]] = field(default_factory=dict)
    changes: dict[int, Callable[[list[Any]], Any]] = field(default_factory=dict)
    token: str = TOKEN
    asked: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f'Token token="{self.token}"':
            return Answer(b"HTTP Token: Access denied.", 401, {"Content-Type": "text/plain"})
        with self._lock:
            index = self._index(request)
            before = self.asked.count(index)
            self.asked.append(index)
            instead = self.answers.get(index)
            if isinstance(instead, Sequence):
                instead = instead[before] if before < len(instead) else None
            answer = instead or self._page(index, request)
            if before == 0 and index in self.changes:
                self.changes[index](self.rows)
            return answer

    def _index(self, request: Request) -> int:
        if self.by == "nothing":
            return 0
        if self.by == "number":
            index, rest = divmod(int(request.query.get("page", self.first)) - self.first, self.step)
            return NO_PAGE if rest else index
        start = request.query.get(self.by, "0").rpartition("from-")[2]
        return next((index for index, (begin, _) in enumerate(self._bounds(request)) if begin == int(start)), NO_PAGE)

    def _size(self, request: Request) -> int:
        return min(int(request.query.get("per_page", 20)), self.size)

    def _bounds(self, request: Request) -> list[tuple[int, int]]:
        """Where each page begins and ends; one that would begin at the end of the rows is the last."""
        bounds, begin = [], 0
        while begin <= len(self.rows):
            size = self.sizes[min(len(bounds), len(self.sizes) - 1)] if self.sizes else self._size(request)
            bounds.append((begin, begin + size))
            begin += size
        return bounds

    def _page(self, index: int, request: Request) -> Answer:
        bounds = [each for each in self._bounds(request) if each[0] < len(self.rows)] or [(0, 0)]
        last = len(bounds) - 1
        out = (self.before if index < 0 else self.beyond) if not 0 <= index <= last else None
        if isinstance(out, Answer):
            return out
        index = {"first": 0, "last": last}.get(str(out), index)
        begin, end = bounds[index] if 0 <= index <= last else (0, 0)
        following = self._following(index, last, full=end <= len(self.rows))
        body: dict[str, Any] = {self.endpoint: self.rows[begin:end]}
        headers: dict[str, str] = {}
        targets = {"next": following, "last": self._last(index, last)}
        if index > 0:
            targets |= {"prev": index - 1, "first": 0}
        urls = {name: self._url(target, request) for name, target in targets.items() if target is not None}
        if self.links == "header":
            shown = [self.form.format(urls[name], name) for name in self.relations if name in urls]
            headers |= {"Link": ", ".join(shown)} if shown else {}
        elif self.links != "none":
            _put(body, self.links, urls.get("next"))
        values = self.values | ({self.total: len(self.rows)} if self.total else {})
        for name, value in values.items():
            said = value(self, index) if callable(value) else value
            if name[0].isupper():
                headers[name] = str(said)
            else:
                _put(body, name, said)
        return Answer(body, headers=headers)

    def _following(self, index: int, last: int, *, full: bool) -> int | None:
        more = {"full": full and index == last, "last": index == last, "all": True}.get(str(self.more), False)
        return index + 1 if index < last or more else None

    def _last(self, index: int, last: int) -> int | None:
        if callable(self.last):
            return self.last(index)
        if self.last is not None:
            return self.last
        return last if index < last or self.more else None

    def _url(self, index: int, request: Request) -> str:
        if self.by == "number":
            place: dict[str, Any] = {"page": index * self.step + self.first}
        elif self.by == "nothing":
            place = {"page": index + 1}
        else:
            bounds = self._bounds(request)
            begin = bounds[index][0] if index < len(bounds) else len(self.rows) + index
            place = {self.by: f"from-{begin}" if self.by == "cursor" else begin}
        rest = {"per_page": self._size(request)} if self.query is None else self.query
        return self.link(f"http://{request.headers['host']}{request.path}?{urlencode(place | rest)}")


def _put(body: dict[str, Any], place: str, value: Any) -> None:
    *steps, name = place.split(".")
    for step in steps:
        body = body.setdefault(step, {})
    body[name] = value


PAGINGS: dict[str, dict[str, Any]] = {
    "link": {},
    "next-only": {"relations": ("next",)},
    "page-only": {"links": "none"},
    "none": {"by": "nothing", "links": "none", "sizes": (10**6,)},
}
"""What :class:`Pages` is told for each of the ways that the sandbox, too, knows by these names."""
