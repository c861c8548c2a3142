"""A pool of daemon threads: neither its user nor the end of the process waits for what it does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """
    Run functions in up to ``size`` threads, until it is closed.

    ``concurrent.futures.ThreadPoolExecutor`` waits for its threads when the process ends: up to a request's timeout,
    for a page that nobody needs any more.

    :param size: how many threads there are at most; each is started when it is first needed.
    """

    def __init__(self, size: int, name: str = "catalog") -> None:
        self._size = size
        self._name = name
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._free = 0

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return the future of the function's result; jobs begin in the order in which they are submitted."""
        future: Future[T] = Future()
        self._jobs.put((future, lambda: function(*args, **kwargs)))
        with self._lock:
            self._free -= 1
            if self._free < 0 and self._threads < self._size:
                self._threads += 1
                self._free += 1
                threading.Thread(target=self._work, name=f"{self._name}_{self._threads}", daemon=True).start()
        return future

    def close(self) -> None:
        """Drop the jobs that have not begun, and let each thread end after the one that it is busy with."""
        with suppress(Empty):
            while True:
                if job := self._jobs.get_nowait():
                    job[0].cancel()
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while job := self._jobs.get():
            future, call = job
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)
            del job, future, call  # a thread that waits must not keep a page in memory
            with self._lock:
                self._free += 1
