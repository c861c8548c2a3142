"""Ways in which a server may fail. To add one: an entry of ANSWERS, and its name in ``fault_plan.FAULTS``."""

from __future__ import annotations

import gzip
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from random import Random
from typing import Literal

from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from airflow_provider_catalog.sandbox.fault_plan import parse_fault_kinds, parse_faults
from airflow_provider_catalog.sandbox.options import Options
from airflow_provider_catalog.sandbox.paging import Page

HELD_BACK = 10
"""Rows that a plan without an end may insert."""
NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


@dataclass(frozen=True)
class Asked:
    """A request that could be answered."""

    endpoint: str
    page: Page
    last: int  # the number of the last page
    answer: Callable[[int, int | None], Response]  # of a page's number; a second one replaces that of the next page


class Faults:
    """Makes requests fail: those that were planned, and others at random; the same seed, the same ones."""

    def __init__(self, options: Options) -> None:
        self._rate = options.fault_rate
        self._kinds = parse_fault_kinds(options.fault_kinds)
        self._random = Random(f"{options.seed} {options.fault_seed}")  # noqa: S311 - no secret
        self.plan(options.faults)

    def plan(self, faults: str) -> None:
        """Forget what was planned and what came of it, and plan anew."""
        self._planned = parse_faults(faults)
        inserted = sum(min(each.times, HELD_BACK) for each in self._planned if each.fault == "row-inserted")
        self._held_back = HELD_BACK if "row-inserted" in self._kinds else int(inserted)
        self._missing: Counter[str] = Counter()
        self._happened: Counter[tuple[int, str]] = Counter()

    def rows_missing(self, endpoint: str) -> int:
        """Return how many rows at the start are not there: not yet, or no longer."""
        return max(0, self._held_back + self._missing[endpoint])

    def draw(self, asked: Asked) -> Response | None:
        """Return the failure that is to be the answer, or none when all is well."""
        fault = self._next_planned(asked)
        if fault is None and self._random.random() < self._rate:
            fault = self._kinds[int(self._random.random() * len(self._kinds))]
        if fault is None:
            return None
        response = ANSWERS[fault](asked)
        # Only now: the answer shows the rows as they were before.
        self._missing[asked.endpoint] += {"row-inserted": -1, "row-deleted": 1}.get(fault, 0)
        return response

    def _next_planned(self, asked: Asked) -> str | None:
        for index, planned in enumerate(self._planned):
            key = (index, asked.endpoint)
            is_meant = planned.concerns(asked.page.number, asked.page.first, asked.last)
            if is_meant and self._happened[key] < planned.times:
                self._happened[key] += 1
                return planned.fault
        return None


class BrokenResponse(Response):
    """A response that is sent past HTTP: some bytes, status line and all, and then the connection ends, or hangs."""

    def __init__(self, sent: bytes, then: Literal["close", "reset", "stall"]) -> None:
        super().__init__(status_code=200 if sent else 0)
        self._sent = sent
        self._then = then

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and wait until the connection has gone."""
        transport = scope["transport"]
        transport.write(self._sent)
        if self._then == "close":
            transport.close()
        elif self._then == "reset":
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            transport.abort()
        await receive()  # the request has been read: what comes next is that its client has gone


Answer = Callable[[Asked], Response]


def _status(status: int, retry_after: Callable[[], str] | None = None) -> Answer:
    text = {429: "Rate Limit Exceeded", 503: "Service Unavailable"}[status]
    return lambda _: PlainTextResponse(text, status, {"Retry-After": retry_after()} if retry_after else None)


def _html(status: int, title: str) -> Answer:
    return lambda _: HTMLResponse(f"<html><title>{title}</title></html>", status)


def _broken(then: Literal["close", "reset", "stall"], until: bytes | None = None) -> Answer:
    """Return an answer that ends after half of its body, or after the first of some bytes, or before all."""

    def answer(asked: Asked) -> Response:
        body = _half_body(asked)
        lines = ("HTTP/1.1 200 OK", "content-type: application/json", f"content-length: {len(body) + 1_000}", "", "")
        sent = "\r\n".join(lines).encode() + body
        return BrokenResponse(sent if until is None else sent[: sent.index(until) + len(until)], then)

    return answer


def _half_body(asked: Asked) -> bytes:
    """Return one whole row and a bit of another, which no reader may take for data."""
    return f'{{"{asked.endpoint}":[{{"account_id":0,"account_name":"cut off"}},{{"account_id":0,"acc'.encode()


def _broken_gzip(asked: Asked) -> Response:
    packed = bytearray(gzip.compress(_half_body(asked) * 10, mtime=0))
    packed[len(packed) // 2] ^= 0xFF
    return Response(bytes(packed), media_type="application/json", headers={"Content-Encoding": "gzip"})


def _page_twice(asked: Asked) -> Response:
    """Return the page before the one that is asked for, as a cache may; the one after it for the first page."""
    is_first = asked.page.number == asked.page.first
    return asked.answer(asked.page.number + (1 if is_first else -1), None)


def _page_empty(asked: Asked) -> Response:
    """Return the page with its links, but without its rows."""
    link = _well(asked).headers.get("link")
    return JSONResponse({asked.endpoint: []}, headers={"link": link} if link else None)


def _circles(asked: Asked) -> Response:
    """Return the page with the first one as its next; where there are no links, the first one in its place."""
    response = asked.answer(asked.page.number, asked.page.first)
    return response if "link" in response.headers else asked.answer(asked.page.first, None)


def _well(asked: Asked) -> Response:
    return asked.answer(asked.page.number, None)


ANSWERS: dict[str, Answer] = {
    "500": _html(500, "We're sorry, but something went wrong (500)"),
    "503": _status(503),
    "503-retry-now": _status(503, lambda: "0"),
    "503-retry-date": _status(503, lambda: formatdate(time.time() + 1, usegmt=True)),
    "429": _status(429),
    "429-retry-after": _status(429, lambda: "1"),
    "dropped": _broken("close", b""),
    "reset-before-headers": _broken("reset", b""),
    "reset-in-headers": _broken("reset", b"application/"),
    "reset-after-headers": _broken("reset", b"\r\n\r\n"),
    "cut-off": _broken("close"),
    "stalled": _broken("stall"),
    "html": _html(200, "Log in"),  # as a proxy or an expired login may send
    "broken-json": lambda asked: Response(_half_body(asked), media_type="application/json"),
    "broken-gzip": _broken_gzip,
    "other-json": lambda _: JSONResponse({"status": "maintenance", "until": None}),
    "page-twice": _page_twice,
    "page-missing": lambda asked: asked.answer(asked.page.number + 1, None),
    "page-empty": _page_empty,
    "circles": _circles,
    "row-inserted": _well,
    "row-deleted": _well,
}
