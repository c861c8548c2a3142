"""Ways in which a server may fail. Their names are in ``options.FAULTS``; which page is shown says ``Service``."""

from __future__ import annotations

import gzip
import socket
import struct
import sys
import time
from collections import defaultdict
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
        self._planned = parse_faults(faults)
        inserted = sum(min(each.times, HELD_BACK) for each in self._planned if each.fault == "row-inserted")
        held_back = HELD_BACK if "row-inserted" in self._kinds else int(inserted)
        self._missing: defaultdict[str, int] = defaultdict(lambda: held_back)

    def rows_missing(self, endpoint: str) -> int:
        """Return how many rows at the start are not there: not yet, or no longer."""
        return max(0, self._missing[endpoint])

    def draw(self, endpoint: str, page: int, first: int, last: int) -> str | None:
        """Return how the request for a page fails; the pages have the numbers from ``first`` to ``last``."""
        fault = self._next_planned(endpoint, page, {"first": first, "middle": (first + last) // 2, "last": last})
        if fault is None and self._random.random() < self._rate:
            fault = self._kinds[int(self._random.random() * len(self._kinds))]
        self._missing[endpoint] += {"row-inserted": -1, "row-deleted": 1}.get(fault or "", 0)
        return fault

    def _next_planned(self, endpoint: str, page: int, places: dict[str, int]) -> str | None:
        for planned in self._planned:
            is_meant = page == (places[planned.page] if planned.page in places else int(planned.page))
            if is_meant and planned.happened[endpoint] < planned.times:
                planned.happened[endpoint] += 1
                return planned.fault
        return None


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


def failure(fault: str | None, endpoint: str) -> Response | None:
    """Return what comes in place of an answer, where a fault is such a one."""
    if fault not in ANSWERS:
        return None
    # One whole row and a bit of another, which no reader may take for data.
    half = f'{{"{endpoint}":[{{"account_id":0,"account_name":"cut off"}},{{"account_id":0,"acc'
    return ANSWERS[fault](half.encode())


def _html(title: str, status: int) -> Response:
    return HTMLResponse(f"<html><title>{title}</title></html>", status)


def _refusal(status: int, retry_after: str | None = None) -> Response:
    text = {429: "Rate Limit Exceeded", 503: "Service Unavailable"}[status]
    return PlainTextResponse(text, status, {"Retry-After": retry_after} if retry_after else None)


def _broken_gzip(half: bytes) -> Response:
    packed = bytearray(gzip.compress(half * 10, mtime=0))
    packed[len(packed) // 2] ^= 0xFF
    return Response(bytes(packed), media_type="application/json", headers={"Content-Encoding": "gzip"})


ANSWERS: dict[str, Callable[[bytes], Response]] = {
    "500": lambda _: _html("We're sorry, but something went wrong (500)", 500),
    "503": lambda _: _refusal(503),
    "503-retry-now": lambda _: _refusal(503, "0"),
    "503-retry-date": lambda _: _refusal(503, formatdate(time.time() + 1, usegmt=True)),
    "429": lambda _: _refusal(429),
    "429-retry-after": lambda _: _refusal(429, "1"),
    "dropped": lambda half: BrokenResponse(half, "close", until=b""),
    "reset-before-headers": lambda half: BrokenResponse(half, "reset", until=b""),
    "reset-in-headers": lambda half: BrokenResponse(half, "reset", until=b"application/"),
    "reset-after-headers": lambda half: BrokenResponse(half, "reset", until=b"\r\n\r\n"),
    "cut-off": lambda half: BrokenResponse(half, "close"),
    "stalled": lambda half: BrokenResponse(half, "stall"),
    "html": lambda _: _html("Log in", 200),  # as a proxy or an expired login may send
    "broken-json": lambda half: Response(half, media_type="application/json"),
    "broken-gzip": _broken_gzip,
    "other-json": lambda _: JSONResponse({"status": "maintenance", "until": None}),
}
"""Those in place of an answer; with the others, a page comes, if not always the right one."""
