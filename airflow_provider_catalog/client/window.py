"""How many requests of one pull are made: few at first, more while the server keeps up, fewer when it does not."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from airflow_provider_catalog.client.retry import AbandonedError, Gate, TransientError

T = TypeVar("T")

FIRST_SIZE = 4
"""Requests in flight at first."""
ROUNDS = 4
"""Round trips in which the window grows by one after a refusal."""
CAUTIOUS_SECONDS = 30.0
"""After so long without being throttled, requests come twice as fast as the server is known to take them."""
MEASURED_REQUESTS = 10
"""Requests that have to succeed before it is known how many a second the server takes."""
LOWEST_RATE = 1.5
"""Requests a second below which no rhythm is kept: ``Retry-After``, which has whole seconds, is rhythm enough."""
_LONGEST_WAIT = 0.2
"""Seconds after which one who waits looks whether anybody still wants the answer."""


class Window:
    """
    Lets requests through, those of earlier pages first; as TCP does, it finds out how many the server takes.

    Each request that succeeds while others wait widens the window by one, so it doubles in each round trip. A request
    that the server refuses with 429 or 503 halves it, together with all others that were in flight then; from then on
    it grows by one in every four round trips only.

    When :data:`MEASURED_REQUESTS` or more have succeeded between two 429s, it is known how many requests a second the
    server takes: as many as these, the waits included. Requests then start in that rhythm, which becomes faster as long
    as there is no further 429: hardly so at first, then ever more.

    :param most: the most requests at once.
    :param gate: closed while the server asks for patience.
    """

    def __init__(self, most: int, gate: Gate) -> None:
        self._most = most
        self._gate = gate
        self._changed = threading.Condition()
        self._tickets = itertools.count()
        self._waiting: set[int] = set()
        self._size = float(min(FIRST_SIZE, most))
        self._in_flight = 0
        self._refused_at = 0.0
        self._throttled_at = 0.0
        self._succeeded = 0  # since then
        self._rate = 0.0  # requests a second that the server takes; 0 while that is unknown
        self._next_start = 0.0

    @property
    def size(self) -> int:
        """How many requests may be in flight now."""
        return int(self._size)

    def guard(self, attempt: Callable[[], T], abandoned: threading.Event) -> Callable[[], T]:
        """
        Return a function that calls ``attempt`` when it is its turn; if it has to be called again, it keeps its place.

        :param attempt: makes one request; raises :class:`~airflow_provider_catalog.client.retry.TransientError`.
        :param abandoned: set when nobody wants the answer any more.
        """
        ticket = next(self._tickets)

        def guarded() -> T:
            with self._place(ticket, abandoned):
                self._gate.pass_through(abandoned)
                started_at = time.monotonic()
                try:
                    answer = attempt()
                except TransientError as error:
                    if error.throttled or error.status == 503:
                        self._slow_down(ticket, started_at, throttled=error.throttled)
                    raise
                self._grow()
                return answer

        return guarded

    @contextmanager
    def _place(self, ticket: int, abandoned: threading.Event) -> Iterator[None]:
        with self._changed:
            self._waiting.add(ticket)
            while wait := self._wait(ticket):
                if abandoned.is_set():
                    raise AbandonedError
                self._changed.wait(wait)
            self._waiting.remove(ticket)
            self._in_flight += 1
            self._changed.notify_all()  # there may be a place for the next one, too
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def _wait(self, ticket: int) -> float:
        """Return for how many seconds to wait before looking again; 0 when it is the ticket's turn."""
        if self._in_flight >= self.size or ticket != min(self._waiting):
            return _LONGEST_WAIT
        if self._rate < LOWEST_RATE:
            return 0.0
        now = time.monotonic()
        if now < self._next_start:
            return min(_LONGEST_WAIT, self._next_start - now)
        faster = 2 ** ((now - self._throttled_at) / CAUTIOUS_SECONDS) ** 2
        interval = 1 / (self._rate * faster)
        self._next_start = max(self._next_start, now - interval) + interval
        return 0.0

    def _grow(self) -> None:
        with self._changed:
            self._succeeded += 1
            if self._waiting:
                step = 1 / (ROUNDS * self._size) if self._refused_at else 1.0
                self._size = min(self._most, self._size + step)

    def _slow_down(self, ticket: int, started_at: float, *, throttled: bool) -> None:
        with self._changed:
            if throttled:
                self._waiting.add(ticket)  # already, so that no later one uses up what the server takes next
            if started_at < self._refused_at:
                return  # it was in flight when another one was refused
            now = self._refused_at = time.monotonic()
            self._size = max(1.0, self._size / 2)
            if throttled and not self._throttled_at:
                self._throttled_at, self._succeeded = now, 0
            elif throttled and self._succeeded >= MEASURED_REQUESTS:
                self._rate = self._succeeded / (now - self._throttled_at)
                self._throttled_at, self._succeeded = now, 0
