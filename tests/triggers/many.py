"""
Many triggers in an event loop of their own, for ``test_many.py``; prints what they have found, and how the loop fared.

A process of its own, as a triggerer is: nothing of the provider has been imported when the loop's clock begins to tick.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import Counter
from typing import Any

import airflow.jobs.triggerer_job_runner  # noqa: F401 - what a triggerer has imported before the first trigger

TICK = 0.005


class Clock:
    """Ticks in the event loop; notes for how many seconds it could not, at most."""

    def __init__(self) -> None:
        self.held_up = 0.0

    async def run(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK)
            self.held_up = max(self.held_up, time.monotonic() - before - TICK)


async def main(count: int, poke_interval: float, seconds: float) -> dict[str, Any]:
    clock = Clock()
    ticking = asyncio.create_task(clock.run())
    await asyncio.sleep(0)
    from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsTrigger

    now = time.time()
    triggers = [
        CatalogAnalyticsTrigger(
            "catalog_default",
            "orders",
            {"account_ids": [n]},
            poke_interval=poke_interval,
            started_at=now - poke_interval + 0.2,  # all are due in a moment
            deadline=now + seconds,
        )
        for n in range(count)
    ]
    payloads = await asyncio.gather(*(first_payload(trigger) for trigger in triggers))
    ticking.cancel()
    return {"held_up": clock.held_up, "statuses": Counter(payload["status"] for payload in payloads)}


async def first_payload(trigger: Any) -> dict[str, Any]:
    return (await anext(trigger.run())).payload


if __name__ == "__main__":
    gc.freeze()  # to go through all that Airflow has imported takes Python 0.1 s, whoever happens to start it
    count, poke_interval, seconds = sys.argv[1:]
    result = asyncio.run(main(int(count), float(poke_interval), float(seconds)))
    sys.stdout.write(json.dumps(result))
