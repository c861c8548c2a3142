"""Waiting in a way that a signal can interrupt.

Python handles a signal in its main thread, and one that comes just before that thread waits for the network is handled
when the wait is over: with a server that stalls, a minute later. Airflow ends tasks with signals, and kills what does
not end within five seconds. So the main thread makes no requests itself, and waits a little at a time only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_LONGEST_WAIT = 0.2
"""Seconds."""


def result_of(future: Future[T]) -> T:
    """Return the result of a future, or raise its error."""
    while not future.done():
        with suppress(TimeoutError):
            future.exception(_LONGEST_WAIT)
    return future.result()


def not_in_main_thread(function: Callable[P, T]) -> Callable[P, T]:
    """Return a function that does the same, in a thread of its own if it is called in the main thread."""

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if threading.current_thread() is not threading.main_thread():
            return function(*args, **kwargs)
        thread = ThreadPoolExecutor(1, thread_name_prefix="catalog")
        try:
            return result_of(thread.submit(function, *args, **kwargs))
        finally:
            thread.shutdown(wait=False)

    return call
