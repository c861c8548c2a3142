"""What reading has cost so far: counted by the client, read by who reports it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class Usage:
    """
    Counters that only grow; many threads may count at once.

    :param rows: rows that were handed out.
    :param requests: requests for rows that were made, retries among them.
    :param retries: requests that were made anew because one failed.
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
