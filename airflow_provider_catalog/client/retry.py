"""The retry policy: what is tried again, after how long, and how all requests wait when the server says so."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from airflow_provider_catalog.errors import CatalogError, CatalogUnavailableError

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_TRIES = 8
MAX_BACKOFF = 60.0
"""Seconds; waits grow 1, 2, 4, ... up to this, each drawn evenly from zero to that (full jitter)."""
PATIENCE = 15 * 60.0
"""Seconds without a page, from the first 429 on, after which a server that keeps answering so is unavailable."""
LOG_INTERVAL = 60.0
"""Seconds between two log lines about the same cause."""


class TransientError(Exception):
    """
    A request failed in a way that may pass by itself.

    :param status: the HTTP status, where there was a response.
    :param retry_after: seconds that the server asks to wait, where it does.
    :param throttled: whether the server asks for fewer requests, which uses up patience, not tries.
    """

    def __init__(
        self, reason: str, *, status: int | None = None, retry_after: float | None = None, throttled: bool = False
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after = retry_after
        self.throttled = throttled


class CancelledError(Exception):
    """The read was ended before this request was made."""


class Gate:
    """Holds back all requests of a client while the server has asked one of them to wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opens_at = 0.0
        self._closed_seconds = 0.0

    def close(self, seconds: float) -> None:
        """Hold back requests for so many seconds."""
        with self._lock:
            now = time.monotonic()
            opens_at = max(self._opens_at, now + seconds)
            self._closed_seconds += opens_at - max(self._opens_at, now)
            self._opens_at = opens_at

    def take_closed_seconds(self) -> float:
        """Return for how many seconds it was closed since the last call, up to when it opens next."""
        with self._lock:
            seconds, self._closed_seconds = self._closed_seconds, 0.0
            return seconds

    def seconds_left(self) -> float:
        """Return for how many seconds the gate stays closed; 0 when it is open."""
        return max(0.0, self._opens_at - time.monotonic())

    def wait(self, cancelled: threading.Event) -> None:
        """
        Wait until the gate is open.

        :raises CancelledError: when the event is set.
        """
        waited_until = 0.0
        # Once for each time it was closed, not until the clock says so: users' tests may have stopped the clock.
        while self._opens_at > waited_until and (seconds := self.seconds_left()):
            waited_until = self._opens_at
            cancelled.wait(seconds)
        if cancelled.is_set():
            raise CancelledError


class RetryLog:
    """Logs retries, one line a minute for the same cause, however many requests fail of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[float, int]] = {}

    def warn(self, what: str, error: TransientError, outlook: str) -> None:
        """
        Log a failed try at WARNING, unless the same cause was logged within :data:`LOG_INTERVAL`.

        :param what: what was asked for, such as ``"orders, page 3"``.
        """
        cause, now = str(error.status or error), time.monotonic()
        with self._lock:
            logged_at, unlogged = self._seen.get(cause, (now - LOG_INTERVAL, 0))
            if now - logged_at < LOG_INTERVAL:
                self._seen[cause] = (logged_at, unlogged + 1)
                return
            self._seen[cause] = (now, 0)
        more = f"; {unlogged} more like it in the last minute" if unlogged else ""
        log.warning("Catalog %s: %s; %s%s", what, error, outlook, more)


class Retries:
    """
    Makes the failed requests of one read again.

    :param max_tries: how often a request is made; 429 does not count. 1 is for whoever asks again later anyway: then no
        request waits at all.
    :param patience: seconds without a page for which 429 is put up with.
    """

    def __init__(self, gate: Gate, log: RetryLog, max_tries: int, patience: float) -> None:
        self.cancelled = threading.Event()
        """Set when no more requests are to be made."""
        self._gate = gate
        self._log = log
        self._max_tries = max_tries
        self._patience = patience if max_tries > 1 else 0.0
        self._throttled_at: float | None = None
        """When the first 429 came since the last page."""

    def call(self, attempt: Callable[[int], T], *, what: str, max_tries: int) -> T:
        """
        Call ``attempt`` until it returns, or there have been too many tries.

        :param attempt: makes one request; gets the number of the try; raises :class:`TransientError` for what is worth
            another one.
        :param what: what is asked for, for the log: ``"orders, page 3"``.
        :param max_tries: how many tries may fail, if that is less than the read allows.
        :raises CatalogUnavailableError: when it gives up.
        :raises CancelledError: when the read ends before there is an answer.
        """
        max_tries = min(max_tries, self._max_tries)
        failures = throttles = 0
        while True:
            if not self._patience and (seconds := self._gate.seconds_left()):
                raise CatalogUnavailableError(f"the server has asked for patience, for {seconds:.0f} s more")
            self._gate.wait(self.cancelled)
            try:
                result = attempt(failures + throttles + 1)
            except TransientError as failure:
                error = failure
            else:
                self._throttled_at = None
                return result
            throttles += error.throttled
            failures += not error.throttled
            wait = self._wait_after(error, failures, throttles, max_tries)
            if error.throttled or error.retry_after is not None:
                self._gate.close(wait if wait is not None else min(error.retry_after or 0.0, PATIENCE))
            if wait is None:
                raise _gave_up(what, error, failures + throttles) from error
            outlook = f"trying again in {wait:.1f} s (try {failures} of {max_tries} failed)"
            self._log.warn(what, error, f"waiting {wait:.1f} s" if error.throttled else outlook)
            if self.cancelled.wait(wait):
                raise CancelledError

    def is_beyond_patience(self, error: CatalogError) -> bool:
        """Return whether the server has asked for a wait that is too long, so that another try is in vain."""
        cause = error.__cause__
        return isinstance(cause, TransientError) and (cause.retry_after or 0.0) > self._patience

    def _wait_after(self, error: TransientError, failures: int, throttles: int, max_tries: int) -> float | None:
        """Return how many seconds to wait before the next try; ``None`` to give up."""
        wait = error.retry_after
        if wait is None or (wait < 1 and failures + throttles > 1):  # "at once" has not helped
            wait = random.uniform(0, min(MAX_BACKOFF, 2.0 ** min(failures + throttles - 1, 10)))  # noqa: S311 - no secret
        if error.throttled:
            now = time.monotonic()
            since = self._throttled_at = self._throttled_at or now  # a page that comes in another thread forgets it
            return wait if now - since + wait <= self._patience else None
        return wait if failures < max_tries and wait <= self._patience else None


def retry_after_seconds(header: str | None) -> float | None:
    """
    Return the wait that a ``Retry-After`` header asks for, in seconds.

    :param header: seconds, a date, or an epoch time stamp in seconds or milliseconds; ``None`` for anything else.
    """
    try:
        seconds = float(header or "")
    except ValueError:
        try:
            when = parsedate_to_datetime(header or "")
        except ValueError:
            return None
        return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    if not math.isfinite(seconds):
        return None
    if seconds > 1e11:
        seconds /= 1000
    return min(max(0.0, seconds - time.time() if seconds > 1e9 else seconds), 1e9)


def _gave_up(what: str, error: TransientError, tries: int) -> CatalogUnavailableError:
    asked = f", which asks for a wait of {error.retry_after:,.0f} s" if error.retry_after else ""
    return CatalogUnavailableError(
        f"try again later: no proper answer to {what} in {tries} {'try' if tries == 1 else 'tries'}; the last one: "
        f"{error}{asked}",
        status=error.status,
    )
