"""Many triggers that are due at once leave the event loop to others; ``benchmarks/triggerer.py`` measures how much."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest

from tests.stand_in import Answer, stand_in

COUNT = 200
LATENCY = 0.4
HELD_UP = 0.15
"""Seconds, three times what is promised: a machine that is busy with other things may hold up any loop."""
TRIES = 4
"""A machine is not busy all the time, but code that holds up the loop does so each time."""


def run_many(count, poke_interval, seconds):
    command = [sys.executable, "-m", "tests.triggers.many", *map(str, (count, poke_interval, seconds))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_event_loop_is_not_held_up(connection):
    """The first import, the look-up of the connection and the start of threads included."""
    held_up = []
    for _ in range(TRIES):
        with stand_in(lambda request: Answer({"orders": []}, delay=LATENCY)) as catalog:
            connection(catalog.url)
            result = run_many(COUNT, poke_interval=10, seconds=2.5)
        assert result["statuses"] == {"timeout": COUNT}
        polls = Counter(request.filters["account_ids"][0] for request in catalog.requests)
        assert polls == dict.fromkeys(range(COUNT), 2), "when it was due, and at the deadline"
        assert catalog.most_in_flight > 10, "or they did not wait side by side"
        held_up.append(result["held_up"])
        if held_up[-1] < HELD_UP:
            return
    pytest.fail(f"the event loop was held up for {held_up} s")
