"""A trigger that does nothing but look at the clock, for ``triggerer.py``."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import FrameType
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

TICK = 0.005
NOTED = 0.02
"""Seconds; less is what any busy machine does to any loop."""


class LoopClock(BaseTrigger):
    """
    Tells for how long the event loop was held up at most, in seconds: by anything, and by the provider's own code.

    :param path: of a JSON file, which is written anew every second.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments."""
        return "benchmarks.loop_clock.LoopClock", {"path": self.path}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at the clock for ever."""
        self.last_tick = time.monotonic()
        threading.Thread(target=self._watch, args=(threading.get_ident(),), daemon=True).start()
        while True:
            await asyncio.sleep(TICK)
            self.last_tick = time.monotonic()
        yield TriggerEvent(None)

    def _watch(self, loop_thread: int) -> None:
        """From another thread, look at what the event loop's is doing whenever that looks at no clock."""
        most = {"anything": 0.0, "provider": 0.0}
        written = 0.0
        while True:
            time.sleep(TICK)
            held_up = time.monotonic() - self.last_tick - TICK
            if held_up > NOTED:
                most["anything"] = max(most["anything"], held_up)
                if is_ours(sys._current_frames().get(loop_thread)):
                    most["provider"] = max(most["provider"], held_up)
            if time.monotonic() - written > 1:
                written = time.monotonic()
                Path(self.path).write_text(json.dumps(most))


def is_ours(frame: FrameType | None) -> bool:
    """Return whether the provider's code is running, or its import."""
    while frame:
        code = frame.f_code
        if "airflow_provider_catalog" in code.co_filename or code.co_name == "get_trigger_by_classpath":
            return True
        frame = frame.f_back
    return False
