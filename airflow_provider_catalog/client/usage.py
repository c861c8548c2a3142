"""Counts what reading costs: rows, requests and retries."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class Usage:
    """
    Counters that only grow; safe to use from several threads.

    :param rows: rows that were handed out.
    :param requests: requests for rows, retries included.
    :param retries: requests that repeat a failed one.
    """

    rows: int = 0
    requests: int = 0
    retries: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, *, rows: int = 0, requests: int = 0, retries: int = 0) -> None:
        """Count some more."""
        with self._lock:
            self.rows += rows
            self.requests += requests
            self.retries += retries
