"""Ways in which a server may fail. Their names are in ``options.FAULTS``; which page is shown says ``Service``."""

from __future__ import annotations

import gzip
import socket
import struct
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from email.utils import formatdate
from random import Random
from typing import Literal

from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from airflow_provider_catalog.sandbox.options import Options, parse_fault_kinds, parse_faults

HELD_BACK = 10
"""Rows that a plan without an end may insert."""
NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Faults:
    """Says which requests fail: those that were planned, and others at random; the same seed, the same ones."""

    def __init__(self, options: Options) -> None:
        self._rate = options.fault_rate
        self._kinds = parse_fault_kinds(options.fault_kinds)
        self._random = Random(f"{options.seed} {options.fault_seed}")  # noqa: S311 - no secret
        self.plan(options.faults)

    def plan(self, faults: str) -> None:
        """Forget what was planned and what came of it, and plan anew."""
        planned = parse_faults(faults)
        self._planned = [(*each, Counter[str]()) for each in planned]  # with how often it happened to an endpoint
        inserted = sum(min(times, HELD_BACK) for fault, _, times in planned if fault == "row-inserted")
        held_back = HELD_BACK if "row-inserted" in self._kinds else int(inserted)
        self._missing: defaultdict[str, int] = defaultdict(lambda: held_back)

    def rows_missing(self, endpoint: str) -> int:
        """Return how many rows at the start are not there: not yet, or no longer."""
        return max(0, self._missing[endpoint])

    def draw(self, endpoint: str, page: int, first: int, last: int) -> str:
        """Return how the request for a page fails, empty if not; the numbers of pages go from ``first`` to ``last``."""
        fault = self._next_planned(endpoint, page, {"first": first, "middle": (first + last) // 2, "last": last})
        if not fault and self._random.random() < self._rate:
            fault = self._kinds[int(self._random.random() * len(self._kinds))]
        self._missing[endpoint] += {"row-inserted": -1, "row-deleted": 1}.get(fault, 0)
        return fault

    def _next_planned(self, endpoint: str, page: int, places: dict[str, int]) -> str:
        for fault, place, times, happened in self._planned:
            if page == int(places.get(place, place)) and happened[endpoint] < times:
                happened[endpoint] += 1
                return fault
        return ""


class BrokenResponse(Response):
    """
    Half of an answer that is sent past HTTP, status line and all; then the connection ends, or hangs.

    :param until: bytes after which it ends already.
    """

    def __init__(self, body: bytes, then: Literal["close", "reset", "stall"], until: bytes | None = None) -> None:
        lines = ("HTTP/1.1 200 OK", "content-type: application/json", f"content-length: {len(body) + 1_000}", "", "")
        whole = "\r\n".join(lines).encode() + body
        self._sent = whole if until is None else whole[: whole.index(until) + len(until)]
        self._then = then
        super().__init__(status_code=200 if self._sent else 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and wait until the connection has gone."""
        transport = receive.__self__.transport  # type: ignore[attr-defined] # uvicorn's: ASGI has no way to break off
        transport.write(self._sent)
        if self._then == "close":
            transport.close()
        elif self._then == "reset":
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            transport.abort()
        await receive()  # the request has been read: what comes next is that its client has gone


def failure(fault: str, endpoint: str) -> Response | None:
    """Return what comes in place of an answer, where a fault is such a one."""
    # One whole row and a bit of another, which no reader may take for data.
    half = f'{{"{endpoint}":[{{"account_id":0,"account_name":"cut off"}},{{"account_id":0,"acc'
    return ANSWERS[fault](half.encode()) if fault in ANSWERS else None


def _broken_gzip(half: bytes) -> Response:
    packed = bytearray(gzip.compress(half * 10, mtime=0))
    packed[len(packed) // 2] ^= 0xFF
    return Response(bytes(packed), media_type="application/json", headers={"Content-Encoding": "gzip"})


def _in_a_second() -> str:
    return formatdate(time.time() + 1, usegmt=True)


ANSWERS: dict[str, Callable[[bytes], Response]] = {
    "500": lambda _: HTMLResponse("<html><title>We're sorry, but something went wrong (500)</title></html>", 500),
    "503": lambda _: PlainTextResponse("Service Unavailable", 503),
    "503-retry-now": lambda _: PlainTextResponse("Service Unavailable", 503, {"Retry-After": "0"}),
    "503-retry-date": lambda _: PlainTextResponse("Service Unavailable", 503, {"Retry-After": _in_a_second()}),
    "429": lambda _: PlainTextResponse("Rate Limit Exceeded", 429),
    "429-retry-after": lambda _: PlainTextResponse("Rate Limit Exceeded", 429, {"Retry-After": "1"}),
    "dropped": lambda half: BrokenResponse(half, "close", until=b""),
    "reset-before-headers": lambda half: BrokenResponse(half, "reset", until=b""),
    "reset-in-headers": lambda half: BrokenResponse(half, "reset", until=b"application/"),
    "reset-after-headers": lambda half: BrokenResponse(half, "reset", until=b"\r\n\r\n"),
    "cut-off": lambda half: BrokenResponse(half, "close"),
    "stalled": lambda half: BrokenResponse(half, "stall"),
    "html": lambda _: HTMLResponse("<html><title>Log in</title></html>"),  # as a proxy or an expired login may send
    "broken-json": lambda half: Response(half, media_type="application/json"),
    "broken-gzip": _broken_gzip,
    "other-json": lambda _: JSONResponse({"status": "maintenance", "until": None}),
}
"""Those in place of an answer; with the others, a page comes, if not always the right one."""
