"""Ways in which a server may fail. To add one: a method of Answers, and its name in fault_plan.FAULTS."""

from __future__ import annotations

import gzip
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from random import Random
from typing import TYPE_CHECKING, Literal, Protocol

from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from airflow_provider_catalog.sandbox.fault_plan import parse_fault_kinds, parse_faults

if TYPE_CHECKING:
    from airflow_provider_catalog.sandbox.options import Options
    from airflow_provider_catalog.sandbox.paging import Page

HELD_BACK = 10
"""Rows that a plan without an end may insert."""


class Wire(Protocol):
    """What lies below HTTP: the connection that a request came by."""

    async def write(self, scope: Scope, content: bytes) -> None:
        """Send some bytes as they are."""

    def close(self, scope: Scope) -> None:
        """Close the connection; what was sent before still arrives."""

    def reset(self, scope: Scope) -> None:
        """Break the connection off with an RST."""


@dataclass(frozen=True)
class Asked:
    """
    A request that could be answered.

    :param endpoint: the endpoint's name.
    :param page: the page that is asked for.
    :param last: the number of the last page.
    :param answer: makes the right answer to a page's number; a second number replaces that of the next page.
    """

    endpoint: str
    page: Page
    last: int
    answer: Callable[[int, int | None], Response]


class Faults:
    """
    Makes requests fail: those that were planned, and others at random, each independently.

    :param options: what is planned, and how often the others fail; the same seed gives the same in the same order.
    :param wire: the connections.
    """

    def __init__(self, options: Options, wire: Wire) -> None:
        self._rate = options.fault_rate
        self._kinds = parse_fault_kinds(options.fault_kinds)
        self._random = Random(f"{options.seed} {options.fault_seed}")  # noqa: S311 - no secret
        self._planned = parse_faults(options.faults)
        self._happened: Counter[tuple[int, str]] = Counter()
        self._answers = Answers(wire)
        inserted = sum(min(each.times, HELD_BACK) for each in self._planned if each.fault == "row-inserted")
        self._held_back = HELD_BACK if "row-inserted" in self._kinds else int(inserted)
        self._missing: Counter[str] = Counter()

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
        # Made before the data moves.
        response = ANSWERS[fault](self._answers, asked)
        self._missing[asked.endpoint] += {"row-inserted": -1, "row-deleted": 1}.get(fault, 0)
        return response

    def _next_planned(self, asked: Asked) -> str | None:
        for index, planned in enumerate(self._planned):
            key = (index, asked.endpoint)
            if (
                planned.concerns(asked.page.number, asked.page.first, asked.last)
                and self._happened[key] < planned.times
            ):
                self._happened[key] += 1
                return planned.fault
        return None


class BrokenResponse(Response):
    """
    A response that is sent past HTTP, byte by byte, and never complete.

    :param wire: the connections.
    :param sent: the bytes, status line and all; there may be none.
    :param then: what happens next: the connection is closed or reset, or nothing.
    """

    def __init__(self, wire: Wire, sent: bytes, then: Literal["close", "reset", "stall"]) -> None:
        super().__init__(status_code=200 if sent else 0)
        self._wire = wire
        self._sent = sent
        self._then = then

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and wait until the connection has gone."""
        if self._sent:
            await self._wire.write(scope, self._sent)
        if self._then == "close":
            self._wire.close(scope)
        elif self._then == "reset":
            self._wire.reset(scope)
        await receive()  # the request has been read: what comes next is that its client has gone


class Answers:
    """
    The failures. Each method takes the request and returns the answer to it.

    :param wire: the connections.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def internal_error(self, _asked: Asked) -> Response:
        """Return what Rails sends when it breaks."""
        return HTMLResponse("<html><title>We're sorry, but something went wrong (500)</title></html>", 500)

    def unavailable(self, _asked: Asked) -> Response:
        """Return a 503 that does not say for how long."""
        return PlainTextResponse("Service Unavailable", 503)

    def unavailable_no_wait(self, _asked: Asked) -> Response:
        """Return a 503 after which one may come back at once."""
        return PlainTextResponse("Service Unavailable", 503, {"Retry-After": "0"})

    def unavailable_until(self, _asked: Asked) -> Response:
        """Return a 503 with the other form of Retry-After, a date."""
        return PlainTextResponse("Service Unavailable", 503, {"Retry-After": formatdate(time.time() + 1, usegmt=True)})

    def too_many_requests(self, _asked: Asked) -> Response:
        """Return a 429 that does not say for how long."""
        return PlainTextResponse("Rate Limit Exceeded", 429)

    def too_many_requests_wait(self, _asked: Asked) -> Response:
        """Return a 429 after which one may come back in a second."""
        return PlainTextResponse("Rate Limit Exceeded", 429, {"Retry-After": "1"})

    def dropped(self, _asked: Asked) -> Response:
        """Return nothing: the connection closes."""
        return BrokenResponse(self._wire, b"", "close")

    def reset_before_headers(self, _asked: Asked) -> Response:
        """Return nothing: the connection is reset."""
        return BrokenResponse(self._wire, b"", "reset")

    def reset_in_headers(self, asked: Asked) -> Response:
        """Return half of the headers."""
        return BrokenResponse(self._wire, _half(asked).partition(b"content-length")[0], "reset")

    def reset_after_headers(self, asked: Asked) -> Response:
        """Return the headers, without the body that they promise."""
        headers, empty_line, _ = _half(asked).partition(b"\r\n\r\n")
        return BrokenResponse(self._wire, headers + empty_line, "reset")

    def cut_off(self, asked: Asked) -> Response:
        """Return a body that ends before its Content-Length."""
        return BrokenResponse(self._wire, _half(asked), "close")

    def stalled(self, asked: Asked) -> Response:
        """Return half a body, and keep the client waiting for the rest."""
        return BrokenResponse(self._wire, _half(asked), "stall")

    def html(self, _asked: Asked) -> Response:
        """Return a page for people, with a 200, as a proxy or an expired login may."""
        return HTMLResponse("<html><title>Log in</title></html>")

    def broken_json(self, asked: Asked) -> Response:
        """Return a body that is complete for HTTP, but not for JSON."""
        return Response(_half_body(asked), media_type="application/json")

    def broken_gzip(self, asked: Asked) -> Response:
        """Return a body that says it is compressed, and can't be unpacked."""
        packed = bytearray(gzip.compress(_half_body(asked) * 10, mtime=0))
        packed[len(packed) // 2] ^= 0xFF
        return Response(bytes(packed), media_type="application/json", headers={"Content-Encoding": "gzip"})

    def other_json(self, _asked: Asked) -> Response:
        """Return JSON that is not what was asked for."""
        return JSONResponse({"status": "maintenance", "until": None})

    def page_twice(self, asked: Asked) -> Response:
        """Return the page before the one that is asked for, as a cache may; the one after it for the first page."""
        number = asked.page.number
        return asked.answer(number - 1 if number > asked.page.first else number + 1, None)

    def page_missing(self, asked: Asked) -> Response:
        """Return the page after the one that is asked for."""
        return asked.answer(asked.page.number + 1, None)

    def page_empty(self, asked: Asked) -> Response:
        """Return the page with its links, but without its rows."""
        response = asked.answer(asked.page.number, None)
        headers = {name: value for name, value in response.headers.items() if name == "link"}
        return JSONResponse({asked.endpoint: []}, headers=headers)

    def circles(self, asked: Asked) -> Response:
        """Return the page with the first one as its next; where there are no links, the first one in its place."""
        first = asked.page.first
        response = asked.answer(asked.page.number, first)
        return response if "link" in response.headers else asked.answer(first, None)

    def well(self, asked: Asked) -> Response:
        """Return what is right; a row enters or leaves afterwards."""
        return asked.answer(asked.page.number, None)


ANSWERS: dict[str, Callable[[Answers, Asked], Response]] = {
    "500": Answers.internal_error,
    "503": Answers.unavailable,
    "503-retry-now": Answers.unavailable_no_wait,
    "503-retry-date": Answers.unavailable_until,
    "429": Answers.too_many_requests,
    "429-retry-after": Answers.too_many_requests_wait,
    "dropped": Answers.dropped,
    "reset-before-headers": Answers.reset_before_headers,
    "reset-in-headers": Answers.reset_in_headers,
    "reset-after-headers": Answers.reset_after_headers,
    "cut-off": Answers.cut_off,
    "stalled": Answers.stalled,
    "html": Answers.html,
    "broken-json": Answers.broken_json,
    "broken-gzip": Answers.broken_gzip,
    "other-json": Answers.other_json,
    "page-twice": Answers.page_twice,
    "page-missing": Answers.page_missing,
    "page-empty": Answers.page_empty,
    "circles": Answers.circles,
    "row-inserted": Answers.well,
    "row-deleted": Answers.well,
}


def _half_body(asked: Asked) -> bytes:
    """Return one whole row and a bit of another, which no reader may take for data."""
    return f'{{"{asked.endpoint}":[{{"account_id":0,"account_name":"cut off"}},{{"account_id":0,"acc'.encode()


def _half(asked: Asked) -> bytes:
    body = _half_body(asked)
    lines = ("HTTP/1.1 200 OK", "content-type: application/json", f"content-length: {len(body) + 1_000}", "", "")
    return "\r\n".join(lines).encode() + body
