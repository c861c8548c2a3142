"""Ways in which a server may fail. To add one: a function that returns a response, and its place in FAULTS."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from random import Random

from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

# Closes the connection of a request; what was sent before still arrives.
Hangup = Callable[[Scope], None]


class Faults:
    """
    Makes requests fail, each independently of the others.

    :param rate: probability, 0 to 1, that a request fails.
    :param seed: the same seed gives the same faults in the same order.
    :param hangup: closes the connection of a request.
    """

    def __init__(self, rate: float, seed: int, hangup: Hangup) -> None:
        self._rate = rate
        self._random = Random(seed)  # noqa: S311 - no secret
        self._hangup = hangup

    def draw(self, endpoint: str) -> Response | None:
        """
        Return the failure that is to be the answer, or none when all is well.

        :param endpoint: the endpoint that was asked for.
        """
        if self._random.random() >= self._rate:
            return None
        # Half a body: one whole row and a bit of another, which no reader may take for data.
        half = f'{{"{endpoint}":[{{"account_id":0,"account_name":"cut off"}},{{"account_id":0,"acc'.encode()
        fault = FAULTS[int(self._random.random() * len(FAULTS))]
        return fault(half, self._hangup)


class BrokenOffResponse(Response):
    """
    A response whose connection is closed before it is complete.

    :param body: the part that is sent; when empty, not even a status is.
    :param hangup: closes the connection.
    """

    def __init__(self, body: bytes, hangup: Hangup) -> None:
        super().__init__(body, status_code=200 if body else 0)
        self._hangup = hangup

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the part, hang up, and wait until the connection has gone."""
        if self.body:
            length = str(len(self.body) + 1_000).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", length)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": self.body, "more_body": True})
        self._hangup(scope)
        await receive()  # the request has been read: what comes next is that its client has gone


def internal_error(_half: bytes, _hangup: Hangup) -> Response:
    """Return what Rails sends when it breaks."""
    return HTMLResponse("<html><title>We're sorry, but something went wrong (500)</title></html>", 500)


def unavailable(_half: bytes, _hangup: Hangup) -> Response:
    """Return a 503 that does not say for how long."""
    return PlainTextResponse("Service Unavailable", 503)


def unavailable_no_wait(_half: bytes, _hangup: Hangup) -> Response:
    """Return a 503 after which one may come back at once."""
    return PlainTextResponse("Service Unavailable", 503, {"Retry-After": "0"})


def unavailable_until(_half: bytes, _hangup: Hangup) -> Response:
    """Return a 503 with the other form of Retry-After, a date."""
    return PlainTextResponse("Service Unavailable", 503, {"Retry-After": formatdate(time.time() + 1, usegmt=True)})


def too_many_requests(_half: bytes, _hangup: Hangup) -> Response:
    """Return a 429 that does not say for how long."""
    return PlainTextResponse("Rate Limit Exceeded", 429)


def cut_off(half: bytes, hangup: Hangup) -> Response:
    """Return a body that ends before its Content-Length."""
    return BrokenOffResponse(half, hangup)


def dropped(_half: bytes, hangup: Hangup) -> Response:
    """Return nothing: the connection closes."""
    return BrokenOffResponse(b"", hangup)


def html(_half: bytes, _hangup: Hangup) -> Response:
    """Return a page for people, with a 200, as a proxy or an expired login may."""
    return HTMLResponse("<html><title>Log in</title></html>")


def broken_json(half: bytes, _hangup: Hangup) -> Response:
    """Return a body that is complete for HTTP, but not for JSON."""
    return Response(half, media_type="application/json")


FAULTS: tuple[Callable[[bytes, Hangup], Response], ...] = (
    internal_error,
    unavailable,
    unavailable_no_wait,
    unavailable_until,
    too_many_requests,
    cut_off,
    dropped,
    html,
    broken_json,
)
