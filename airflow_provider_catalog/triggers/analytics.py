"""Triggers that wait for rows in the triggerer, so that no worker has to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_catalog.client.endpoints import EndpointName
from airflow_provider_catalog.errors import CatalogError
from airflow_provider_catalog.triggers.pace import Pace
from airflow_provider_catalog.triggers.shared_catalog import shared_catalog
from airflow_provider_catalog.triggers.watch import CatalogAnalyticsEventTrigger
from airflow_provider_catalog.utils.polls import poll_once

if TYPE_CHECKING:
    from airflow_provider_catalog.client.client import CatalogClient

__all__ = ["CatalogAnalyticsEventTrigger", "CatalogAnalyticsTrigger"]

LAST_POLL = 30.0
"""Seconds that the last poll, made at the deadline, may take."""


class CatalogAnalyticsTrigger(BaseTrigger):
    """
    Waits until enough rows match, then fires once; a sensor with ``deferrable=True`` uses it.

    The event's payload is ``{"status": "done"}``, ``{"status": "timeout", "last_poll": "3 of 10 rows"}``, or
    ``{"status": "error", "kind": ..., "message": ...}`` for an error that will last. There are no rows in it: Airflow
    writes payloads into its logs and its database. A restart of the triggerer changes neither polls nor deadline.

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
        self._seen: str | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments to make this trigger again; plain values, and no secret among them."""
        names = (
            "catalog_conn_id", "endpoint", "filters", "min_rows", "poke_interval", "exponential_backoff", "max_wait",
            "started_at", "deadline",
        )  # fmt: skip
        arguments = {name: getattr(self, name) for name in names}
        return "airflow_provider_catalog.triggers.analytics.CatalogAnalyticsTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there are enough rows, the deadline has passed or an error will last; then fire."""
        yield TriggerEvent(await self._payload())  # type: ignore[no-untyped-call] # Airflow's

    async def _payload(self) -> dict[str, Any]:
        end = None if self.deadline is None else max(0.0, self.deadline - time.time()) + LAST_POLL
        try:
            async with asyncio.timeout(end) as limit:
                is_done = await self._wait()
        except TimeoutError:
            if not limit.expired():
                raise
            self._seen = f"never reached: no answer within {LAST_POLL:.0f} s"
            is_done = False
        except CatalogError as error:
            return {"status": "error", "kind": type(error).__name__, "message": str(error)}
        return {"status": "done"} if is_done else {"status": "timeout", "last_poll": self._seen}

    async def _wait(self) -> bool:
        """Poll until there are enough rows; return false when the deadline came first."""
        now = time.time()
        started_at = now if self.started_at is None else self.started_at
        pace = Pace(self.poke_interval, started_at, self.exponential_backoff, self.max_wait, self.deadline)
        due = now if self.started_at is None else pace.next_poll(now)
        while True:
            await asyncio.sleep(max(0.0, due + pace.delay() - time.time()))
            if await shared_catalog(self.catalog_conn_id).run(self._poll):
                return True
            now = max(due, time.time())
            if self.deadline is not None and now >= self.deadline:
                return False
            due = pace.next_poll(now)

    def _poll(self, client: CatalogClient) -> bool:
        # In a worker thread, for logging may have to wait, too.
        result = poll_once(client, self.endpoint, self.filters, min_rows=self.min_rows, exact=False, log=self.log)
        self._seen = str(result)
        return result.is_done
