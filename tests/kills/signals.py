"""What Airflow does to a task that shall end: here, with the same signals, to this very process."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.airflow_names import AirflowTaskTimeout, timeout
from tests.catalog_server import Answer, Paging, Request, StandIn, paged

IN_FLIGHT = 4
LAST = 20
"""The number of the last page, which is asked for before those between."""
ROWS = [{"id": n, "student": {"email": f"s{n}@example.edu"}} for n in range(200)]


def stalls(endpoint: str, where: str) -> Callable[[Request], Answer]:
    """Return an answer that stalls: before the first page, in its body, in all between it and the last, or in that."""
    answer = paged(ROWS, Paging(most=10, relative=True), endpoint)

    def stalling(request: Request) -> Answer:
        reply = answer(request)
        if where == "body":
            reply.stall = 50
        elif where == "first" or (request.page and (request.page == LAST) == (where == "last")):
            reply.stall = -1
        return reply

    return stalling


def requests_under_way(where: str) -> int:
    return IN_FLIGHT if where == "later" else 1


@contextmanager
def ended_by(number: int, on_kill: Callable[[], None], catalog: StandIn, waiting: int) -> Iterator[Callable[[], float]]:
    """
    Send this process a signal as soon as so many requests wait; its handler does what Airflow's does.

    :return: a function that tells how many seconds have passed since the signal.
    """
    sent = []

    def send() -> None:
        deadline = time.monotonic() + 20
        while catalog.waiting < waiting and time.monotonic() < deadline:
            time.sleep(0.01)
        sent.append(time.time())
        os.kill(os.getpid(), number)

    def seconds() -> float:
        assert len(catalog.stalled) == waiting, "none was made after the signal"
        return time.time() - sent[0]

    handler = signal.signal(number, lambda *_: on_kill())
    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield seconds
    finally:
        sender.join()
        signal.signal(number, handler)


def timed_out(execute: Callable[[], object], catalog: StandIn, waiting: int) -> float:
    """
    Let Airflow's own execution timeout expire as soon as so many requests wait.

    :return: for how many seconds after that the longest of them went on.
    """
    limit = timeout(60)

    def expire() -> None:
        limit.handle_timeout(signal.SIGALRM, None)

    def run() -> None:
        with limit:
            with ended_by(signal.SIGALRM, expire, catalog, waiting) as seconds:
                try:
                    execute()
                finally:
                    taken.append(seconds())

    taken: list[float] = []
    with pytest.raises(AirflowTaskTimeout):
        run()
    return taken[0]
