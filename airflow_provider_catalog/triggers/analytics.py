"""What waits for rows in the triggerer, so that no worker has to."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_catalog.client.endpoints import EndpointName
from airflow_provider_catalog.errors import CatalogError
from airflow_provider_catalog.triggers.pace import Pace
from airflow_provider_catalog.triggers.shared_catalog import shared_catalog
from airflow_provider_catalog.triggers.watch import CatalogAnalyticsEventTrigger

__all__ = ["CatalogAnalyticsEventTrigger", "CatalogAnalyticsTrigger"]

log = logging.getLogger(__name__)

SPREAD = 7.0
"""Seconds over which polls that are due at the same moment are spread, at most."""
LAST_POLL = 30.0
"""Seconds that the last poll, made at the deadline, may take."""

_turns = itertools.count()
_GOLDEN = 0.618034
"""Multiples of it, less whole numbers, lie evenly between 0 and 1, however many there are."""


class CatalogAnalyticsTrigger(BaseTrigger):
    """
    Waits until enough rows match, then fires once; a sensor with ``deferrable=True`` uses it.

    The event's payload is ``{"status": "done"}``, ``{"status": "timeout"}``, or ``{"status": "error", "kind": ...,
    "message": ...}`` for an error that will last. There are no rows in it: Airflow writes payloads into its logs and
    its database. The sensor asks for them once more when it resumes.

    A restart of the triggerer changes nothing: polls go on at the same times, and the deadline is the same.

    :param catalog_conn_id: id of a connection of the type ``instructure_catalog``.
    :param endpoint: ``"products"``, ``"enrollments"``, ``"orders"`` or ``"users"``.
    :param filters: the endpoint's filters, as they are sent; all rows where ``None``.
    :param min_rows: how many rows have to match.
    :param poke_interval: seconds between two polls.
    :param exponential_backoff: whether waits between polls grow, as they do for Airflow's own sensors.
    :param max_wait: seconds that a wait with backoff lasts at most; no limit where ``None``.
    :param started_at: seconds since the epoch when the first poll was made, by the sensor; the next one is made an
        interval later. Where ``None``, the first poll is made as soon as the trigger runs.
    :param deadline: seconds since the epoch when the last poll is made; no end where ``None``.
    """

    def __init__(
        self,
        catalog_conn_id: str,
        endpoint: EndpointName,
        filters: Mapping[str, Any] | None = None,
        *,
        min_rows: int = 1,
        poke_interval: float = 60.0,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        started_at: float | None = None,
        deadline: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Airflow's
        self.catalog_conn_id = catalog_conn_id
        self.endpoint = endpoint
        self.filters = dict(filters or {})
        self.min_rows = min_rows
        self.poke_interval = poke_interval
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.started_at = started_at
        self.deadline = deadline

    @property
    def pace(self) -> Pace:
        """When to poll."""
        started_at = time.time() if self.started_at is None else self.started_at
        return Pace(self.poke_interval, started_at, self.exponential_backoff, self.max_wait, self.deadline)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments to make this trigger again; plain values, and no secret among them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "catalog_conn_id": self.catalog_conn_id,
                "endpoint": self.endpoint,
                "filters": self.filters,
                "min_rows": self.min_rows,
                "poke_interval": self.poke_interval,
                "exponential_backoff": self.exponential_backoff,
                "max_wait": self.max_wait,
                "started_at": self.started_at,
                "deadline": self.deadline,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there are enough rows, the deadline has passed or an error will last; then fire."""
        yield TriggerEvent(await self._payload())  # type: ignore[no-untyped-call] # Airflow's

    async def _payload(self) -> dict[str, Any]:
        end = None if self.deadline is None else self.deadline + LAST_POLL - time.time()
        try:
            async with asyncio.timeout(end) as limit:
                return {"status": "done" if await self._wait() else "timeout"}
        except TimeoutError:
            if not limit.expired():
                raise
            log.warning("Catalog %s: the last poll has taken too long", self.endpoint)
            return {"status": "timeout"}
        except CatalogError as error:
            return {"status": "error", "kind": type(error).__name__, "message": str(error)}

    async def _wait(self) -> bool:
        """Poll until there are enough rows; return false when the deadline came first."""
        catalog = shared_catalog(self.catalog_conn_id)
        pace = self._shifted_pace()

        def next_poll(now: float) -> float | None:
            return None if pace.deadline is not None and now >= pace.deadline else pace.next_poll(now)

        now = time.time()
        due: float | None = now if self.started_at is None else pace.next_poll(now)
        while due is not None:
            await asyncio.sleep(max(0.0, due - time.time()))
            await catalog.until_open(self.poke_interval)
            result, due = await catalog.poll(self.endpoint, self.filters, self.min_rows, next_poll)
            if result.is_done:
                return True
        return False

    def _shifted_pace(self) -> Pace:
        """
        Return when to poll, a little later than due: each trigger by another time.

        Polls of a thousand sensors that began, or end, at the same moment would keep the event loop busy for longer
        than other triggers should have to wait, and the Catalog, too.
        """
        turn = next(_turns) * _GOLDEN % 1
        pace = self.pace
        shift = turn * min(SPREAD, self.poke_interval / 8)
        deadline = pace.deadline
        if deadline is not None:
            deadline += min(shift, turn * max(0.0, deadline - pace.started_at) / 20)
        return replace(pace, started_at=pace.started_at + shift, deadline=deadline)
