"""A trigger that does nothing but look at the clock, for ``triggerer.py``."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from traceback import extract_stack
from types import FrameType
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

TICK = 0.005
NOTED = 0.02
"""Seconds; less is what any busy machine does to any loop."""


class LoopClock(BaseTrigger):
    """
    Tells for how long the event loop was held up at most, in seconds, and what it was doing meanwhile.

    There are three figures: ``provider``, when the provider's own code was running in it; ``start``, by anything until
    all triggers had started, and ``polling``, by anything from then on. Python's garbage collection, which stops all
    threads alike, is not in them; how long it took at most is ``collection``.

    :param path: of a JSON file, which is written anew every second.
    :param polling_at: seconds since the epoch when all triggers have started.
    """

    def __init__(self, path: str, polling_at: float) -> None:
        super().__init__()
        self.path = path
        self.polling_at = polling_at
        self.collects = False
        self.collected = self.longest_collection = self.collection_began = 0.0

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments."""
        return "benchmarks.loop_clock.LoopClock", {"path": self.path, "polling_at": self.polling_at}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at the clock for ever."""
        self.last_tick = time.monotonic()
        gc.callbacks.append(self._note_collection)
        threading.Thread(target=self._watch, args=(threading.get_ident(),), daemon=True).start()
        while True:
            await asyncio.sleep(TICK)
            self.last_tick, self.collected = time.monotonic(), 0.0
        yield TriggerEvent(None)

    def _note_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self.collection_began, self.collects = time.monotonic(), True
        else:
            seconds = time.monotonic() - self.collection_began
            self.longest_collection = max(self.longest_collection, seconds)
            self.collected, self.collects = self.collected + seconds, False

    def _watch(self, loop_thread: int) -> None:
        """From another thread, look at what the event loop's is doing whenever that looks at no clock."""
        most = dict.fromkeys(("provider", "start", "polling"), 0.0)
        stacks: dict[str, list[str]] = {}
        written = 0.0

        def note(what: str, seconds: float, frame: FrameType | None) -> None:
            if seconds > most[what]:
                most[what] = seconds
                stacks[what] = [f"{each.filename}:{each.lineno} {each.name}" for each in extract_stack(frame)][-12:]

        while True:
            time.sleep(TICK)
            if self.collects:
                continue
            held_up = time.monotonic() - self.last_tick - self.collected - TICK
            if held_up > NOTED:
                frame = sys._current_frames().get(loop_thread)
                note("start" if time.time() < self.polling_at else "polling", held_up, frame)
                if is_ours(frame):
                    note("provider", held_up, frame)
            if time.monotonic() - written > 1:
                written = time.monotonic()
                Path(self.path).write_text(
                    json.dumps({**most, "collection": self.longest_collection, "stacks": stacks})
                )


def is_ours(frame: FrameType | None) -> bool:
    """Return whether the provider's code is running, or its import."""
    while frame:
        code = frame.f_code
        if "airflow_provider_catalog" in code.co_filename or code.co_name == "get_trigger_by_classpath":
            return True
        frame = frame.f_back
    return False
