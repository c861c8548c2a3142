"""A bounded pool of daemon threads, for work that neither an event loop nor the end of the process may wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """
    Runs functions in up to ``size`` daemon threads, in the order in which they were submitted.

    ``concurrent.futures.ThreadPoolExecutor`` has the same interface, but a process waits for its threads when it ends.

    :param size: threads, at most; they are started when they are needed.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._started = 0

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return a future of what the function returns; one that is cancelled before its turn is not run."""
        future: Future[T] = Future()
        self._tasks.put((future, lambda: function(*args, **kwargs)))
        with self._lock:
            if not self._idle.acquire(blocking=False) and self._started < self._size:
                self._started += 1
                threading.Thread(target=self._work, name=f"catalog_{self._started}", daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            future, function = self._tasks.get()
            if future.set_running_or_notify_cancel():
                try:
                    result = function()
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)
                    del result
            del future, function  # not kept until the next task comes
            self._idle.release()
