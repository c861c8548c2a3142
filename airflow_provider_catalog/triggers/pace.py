"""When a trigger polls next; times are seconds since the epoch, so that they mean the same after a restart."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

SHORTEST_INTERVAL = 0.1
"""Seconds between two polls, at least: an interval of 0 must not keep the triggerer busy."""
SPREAD = 7.0
"""Seconds over which polls that are due at the same moment are spread, at most."""


@dataclass(frozen=True)
class Pace:
    """
    The times of a trigger's polls: without backoff, ``started_at`` plus a whole number of intervals.

    So they stay where they are when the triggerer is started again, and sensors that began at different moments don't
    all poll at once then. With backoff, the waits grow as those of Airflow's own sensors do: from half the interval on
    they double, each with up to as much again on top at random, up to ``max_wait``.
    """

    poke_interval: float
    started_at: float
    exponential_backoff: bool = False
    max_wait: float | None = None
    deadline: float | None = None

    def next_poll(self, now: float) -> float:
        """Return when to poll after ``now``, the time of a poll or of a start; at the deadline, if that comes first."""
        elapsed = max(0.0, now - self.started_at)
        if self.exponential_backoff:
            due = now + self._backoff(elapsed)
        else:
            interval = max(self.poke_interval, SHORTEST_INTERVAL)
            due = self.started_at + (math.floor(elapsed / interval) + 1) * interval
        return due if self.deadline is None else min(due, self.deadline)

    def delay(self) -> float:
        """Return by how many seconds to delay a poll, at random: thousands at one moment would block the event loop."""
        longest = min(SPREAD, self.poke_interval / 8)
        if self.deadline is not None:
            longest = min(longest, (self.deadline - self.started_at) / 20)
        return random.uniform(0, max(0.0, longest))  # noqa: S311 - no secret

    def _backoff(self, elapsed: float) -> float:
        # Airflow's n-th wait is poke_interval * 2 ** (n - 2) plus a random part, 0.75 * poke_interval * 2 ** (n - 1)
        # on average. Those before it add up to `elapsed`, which tells n without counting, and so after a restart, too.
        shortest = max(1.0, self.poke_interval / 2 + elapsed / 1.5)
        wait = random.uniform(shortest, 2 * shortest)  # noqa: S311 - no secret
        return wait if self.max_wait is None else min(wait, self.max_wait)
