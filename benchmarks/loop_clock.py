"""A trigger that does nothing but look at the clock, for ``triggerer.py``."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

TICK = 0.005
NOTED = 0.02
"""Seconds; less is what any busy machine does to any loop."""


class LoopClock(BaseTrigger):
    """
    Tells for how many seconds the event loop was held up, each time.

    :param path: of a JSON file, a list of the times, which is written anew every second.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments."""
        return "benchmarks.loop_clock.LoopClock", {"path": self.path}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at the clock for ever."""
        held_up: list[float] = []
        written = 0.0
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK)
            now = time.monotonic()
            if now - before - TICK > NOTED:
                held_up.append(now - before - TICK)
            if now - written > 1:
                written = now
                await asyncio.to_thread(Path(self.path).write_text, json.dumps(held_up))
        yield TriggerEvent(None)
