"""One retry policy: what is tried again, after how long, and how all slots wait when the server says so."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import tenacity

from airflow_provider_catalog.errors import CatalogDataMovedError, CatalogUnavailableError

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_TRIES = 8
MAX_BACKOFF = 60.0
"""Seconds; waits grow 1, 2, 4, ... up to this, each drawn evenly from zero to that (full jitter)."""
MAX_RETRY_AFTER = 300.0
"""Seconds; a server that asks for more is asked again after this."""
RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})

_backoff = tenacity.wait_random_exponential(multiplier=1, max=MAX_BACKOFF)


class TransientError(Exception):
    """
    A try that failed in a way that may not last.

    :param reason: what happened, for the log and the final error.
    :param status: the HTTP status, where there was a response.
    :param retry_after: seconds that the server asks to wait, where it does.
    :param throttled: whether the server asks for fewer requests, so that all slots should slow down.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        throttled: bool = False,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after = retry_after
        self.throttled = throttled


class TlsError(TransientError):
    """The connection was made, but not encrypted; a certificate that is renewed late may still come."""


class AbandonedError(Exception):
    """Nobody wants the answer any more; ends a slot."""


class Gate:
    """Holds back all slots of a client while the server has asked one of them to wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opens_at = 0.0
        self.closed_seconds = 0.0
        """How long it has been closed, or will have been when it opens next."""
        self._taken_seconds = 0.0

    def close(self, seconds: float) -> None:
        """Let nobody pass for so many seconds."""
        with self._lock:
            now = time.monotonic()
            opens_at = max(self._opens_at, now + seconds)
            self.closed_seconds += opens_at - max(self._opens_at, now)
            self._opens_at = opens_at

    def take_closed_seconds(self) -> float:
        """Return by how much :attr:`closed_seconds` has grown since this was last asked, by whomever."""
        with self._lock:
            taken, self._taken_seconds = self._taken_seconds, self.closed_seconds
            return self.closed_seconds - taken

    def seconds_left(self) -> float:
        """Return for how many seconds the gate stays closed; 0 when it is open."""
        return max(0.0, self._opens_at - time.monotonic())

    def pass_through(self, abandoned: threading.Event) -> None:
        """
        Wait until the gate is open.

        :raises AbandonedError: when ``abandoned`` is set.
        """
        while seconds := self.seconds_left():
            abandoned.wait(seconds)
            if abandoned.is_set():
                break
        if abandoned.is_set():
            raise AbandonedError


def retry_after_seconds(header: str | None) -> float | None:
    """
    Return the wait that a ``Retry-After`` header asks for, in seconds, at most :data:`MAX_RETRY_AFTER`.

    :param header: seconds or an HTTP date; ``None`` for a header that is missing or neither.
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            when = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    # min() and max() in this order turn "nan" into the maximum.
    return max(0.0, min(MAX_RETRY_AFTER, seconds))


def with_retries(
    attempt: Callable[[], T],
    *,
    what: str,
    endpoint: str,
    gate: Gate,
    abandoned: threading.Event,
    max_tries: int = MAX_TRIES,
) -> T:
    """
    Call ``attempt`` until it returns, up to ``max_tries`` times.

    :param attempt: raises :class:`TransientError` for what is worth another try.
    :param what: what is asked for, for the log: ``"orders, page 3"``.
    :param endpoint: the endpoint's name, for the error.
    :param gate: shared by all slots of a client.
    :param abandoned: set when nobody wants the answer any more.
    :param max_tries: 1 for whoever asks again later anyway: then nobody waits, not even for the gate.
    :raises CatalogUnavailableError: when the tries are used up.
    :raises AbandonedError: when ``abandoned`` is set before there is an answer.
    """

    def wait(state: tenacity.RetryCallState) -> float:
        error = _error(state)
        seconds = _backoff(state) if error.retry_after is None else error.retry_after
        if error.throttled or error.retry_after is not None:
            gate.close(seconds)
        return seconds

    def warn(state: tenacity.RetryCallState) -> None:
        seconds = state.next_action.sleep if state.next_action else 0.0
        log.warning(
            "Catalog %s: %s; trying again in %.1f s (try %d of %d failed)",
            what, _error(state), seconds, state.attempt_number, max_tries,
        )  # fmt: skip

    def guarded() -> T:
        if max_tries == 1 and (seconds := gate.seconds_left()):
            raise TransientError(f"the server has asked for patience, for {seconds:.0f} s more")
        gate.pass_through(abandoned)
        try:
            return attempt()
        except TransientError:
            if abandoned.is_set():  # which ends requests that are under way
                raise AbandonedError from None
            raise

    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(max_tries),
        wait=wait,
        retry=tenacity.retry_if_exception_type(TransientError),
        sleep=tenacity.sleep_using_event(abandoned),
        before_sleep=warn,
        reraise=True,
    )
    try:
        return retrying(guarded)
    except TransientError as error:
        tries = f" in {max_tries} tries; the last one" if max_tries > 1 else ""
        raise CatalogUnavailableError(
            f"{what}: no proper answer{tries}: {error}",
            endpoint=endpoint,
            status=error.status,
        ) from error


def _error(state: tenacity.RetryCallState) -> TransientError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TransientError):
        raise TypeError("the retry policy was asked about a try that did not fail")
    return error


def again_when_data_moved(read: Callable[[], T], endpoint: str) -> T:
    """
    Read from the start again, at most twice, when the data moved meanwhile.

    :param read: reads everything, and keeps nothing of a read that failed.
    :param endpoint: the endpoint's name, for the log.
    :raises CatalogDataMovedError: when the data moved in the third read, too.
    """

    def warn(state: tenacity.RetryCallState) -> None:
        log.warning(
            "Catalog %s: %s; reading again from the start",
            endpoint,
            state.outcome and state.outcome.exception(),
        )

    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(3),
        retry=tenacity.retry_if_exception_type(CatalogDataMovedError),
        before_sleep=warn,
        reraise=True,
    )
    return retrying(read)
