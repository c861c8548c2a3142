"""A Catalog that costs next to nothing: its pages are rendered beforehand, so that it is the client that is measured.

``python -m benchmarks.server --rows 50000 --latency 0.05`` prints its URL. ``GET /stats`` tells what it has served.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import mmap
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from airflow_provider_catalog.sandbox.options import Options
from airflow_provider_catalog.sandbox.store import Store

DATA = Path(__file__).parent / ".data"
PAGE_ROWS = 100
HEAD, TAIL = b'{"enrollments":[', b"]}"


def render(rows: int) -> tuple[Path, list[int]]:
    """Return a file with the pages of so many enrollments, rendered by the sandbox, and where each page begins."""
    path = DATA / f"enrollments-{rows}.pages"
    index = path.with_suffix(".json")
    if not index.exists():
        DATA.mkdir(exist_ok=True)
        store = Store(Options(enrollments=rows))
        ids, offsets = store.matching("enrollments"), [0]
        with path.open("wb") as file:
            for start in range(0, rows, PAGE_ROWS):
                page = b",".join(store.rows("enrollments", ids[start : start + PAGE_ROWS]))
                file.write(HEAD + page + TAIL)
                offsets.append(file.tell())
        store.close()
        index.write_text(json.dumps(offsets))
    return path, json.loads(index.read_text())


class Catalog:
    """
    What is served.

    :param rows: how many enrollments there are.
    :param latency: seconds before every answer.
    :param paginated: whether there are pages; else all rows are one answer.
    """

    def __init__(self, rows: int, latency: float, *, paginated: bool) -> None:
        path, self.offsets = render(rows)
        with path.open("rb") as file:
            self.content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self.latency = latency
        self.paginated = paginated
        self.connections = 0
        self.requests = 0

    @property
    def last(self) -> int:
        """The number of the last page."""
        return len(self.offsets) - 1

    def page(self, number: int) -> memoryview:
        """Return a page's body."""
        return self.content[self.offsets[number - 1] : self.offsets[number]]

    def all_pages(self) -> Iterator[bytes]:
        """Yield the body that has all rows, in pieces."""
        for number in range(1, self.last + 1):
            page = self.page(number)
            start = HEAD if number == 1 else b","
            yield start + page[len(HEAD) : -len(TAIL)]
        yield TAIL

    def links(self, number: int, url: str) -> str:
        """Return the Link header of a page."""
        numbers = {"next": number + 1, "last": self.last} if number < self.last else {}
        if number > 1:
            numbers |= {"prev": number - 1, "first": 1}
        return ", ".join(f'<{url}?per_page={PAGE_ROWS}&page={n}>; rel="{name}"' for name, n in numbers.items())


class Connection(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._received = b""
        self._may_write = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._may_write.set()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if not end or len(rest) < (int(length[1]) if length else 0):
            return
        self._received = b""
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        if method == "GET":
            catalog = self._catalog
            stats = {"connections": catalog.connections, "requests": catalog.requests}
            self._send(json.dumps(stats).encode(), "X-Stats: yes")
            return
        if not self._catalog.requests or not getattr(self, "_known", False):
            self._known = True
            self._catalog.connections += 1
        self._catalog.requests += 1
        host = re.search(rb"(?i)host: ([^\r]+)", head)
        url = f"http://{host[1].decode() if host else ''}{target.partition('?')[0]}"
        number = re.search(r"[?&]page=(\d+)", target)
        answer = self._answer if self._catalog.paginated else self._answer_all
        asyncio.get_running_loop().call_later(self._catalog.latency, answer, int(number[1]) if number else 1, url)

    def _answer(self, number: int, url: str) -> None:
        body = self._catalog.page(number) if number <= self._catalog.last else memoryview(HEAD + TAIL)
        self._send(body, f"Link: {self._catalog.links(number, url)}")

    def _answer_all(self, number: int, url: str) -> None:
        task = asyncio.get_running_loop().create_task(self._send_all())
        self._tasks.add(task)

    async def _send_all(self) -> None:
        length = sum(map(len, self._catalog.all_pages()))
        self._transport.write(self._head(length, "X-Paging: none"))  # type: ignore[attr-defined]
        for piece in self._catalog.all_pages():
            await self._may_write.wait()
            self._transport.write(piece)  # type: ignore[attr-defined]

    def _send(self, body: bytes | memoryview, header: str) -> None:
        self._transport.write(self._head(len(body), header) + body)  # type: ignore[attr-defined]

    @staticmethod
    def _head(length: int, header: str) -> bytes:
        return (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{header}\r\n\r\n"
        ).encode()


async def serve(catalog: Catalog) -> None:
    """Serve on a free port until stopped."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(catalog), "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Read the command line, and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before every answer")
    parser.add_argument("--unpaginated", action="store_true", help="all rows in one answer")
    options = parser.parse_args()
    import uvloop

    uvloop.run(serve(Catalog(options.rows, options.latency, paginated=not options.unpaginated)))


if __name__ == "__main__":
    main()
