"""The trigger of an ``AssetWatcher``, which starts a DAG run when rows appear."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.triggers.base import TriggerEvent

from airflow_provider_catalog.client.endpoints import EndpointName, get_endpoint
from airflow_provider_catalog.client.filter_check import check_filters
from airflow_provider_catalog.errors import CatalogError, CatalogParameterError
from airflow_provider_catalog.triggers.pace import Pace
from airflow_provider_catalog.triggers.shared_catalog import shared_catalog
from airflow_provider_catalog.utils.polls import Poll, poll_once

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger

    from airflow_provider_catalog.client.client import CatalogClient
else:
    try:
        from airflow.triggers.base import BaseEventTrigger
    except ImportError:  # Airflow 2.11

        class BaseEventTrigger:
            """Can be imported, but not made."""

            def __init__(self) -> None:
                raise CatalogParameterError(
                    "CatalogAnalyticsEventTrigger needs Airflow 3.0 or later, for Airflow 2 has no asset watchers; "
                    "use a sensor with deferrable=True in a DAG with a schedule"
                )


T = TypeVar("T")

HAND_OVER = 5.0
"""Seconds in which Airflow takes over an event that was fired; only then is it remembered as reported."""


class CatalogAnalyticsEventTrigger(BaseEventTrigger):
    """
    Fires an event each time there are more matching rows than it has reported; for an ``AssetWatcher``.

    The event's payload, which a DAG finds in ``triggering_asset_events[asset][0].extra["payload"]``, is
    ``{"catalog_conn_id": ..., "endpoint": ..., "filters": {...}, "new_rows": N, "row_count": N}``, without any row.

    It goes by the number of rows: the API has neither a sort nor a filter for what is new. A poll costs one request,
    or two where there is more than a page and links tell the last one; where they don't, every page is read, so set
    filters that leave few rows. When rows have gone, the number that counts as reported goes down with them; a row
    that has gone and one that is new between two polls look like none.

    **What it remembers.** From Airflow 3.3 on, the number reported is kept in the asset's state store: after a restart
    it reports the rows that have come meanwhile. Before Airflow 3.3, what is there when the triggerer starts counts as
    reported. An event is remembered some seconds after it was fired; a triggerer killed in between fires it again when
    it is back, rather than never.

    **Errors.** Airflow starts a watcher that ends again at once. So it goes on at its pace whatever happens: with a
    WARNING in the triggerer's log while the server is down or throttles, with an ERROR for what will last.

    Needs Airflow 3.0 or later.

    :param catalog_conn_id: id of a connection of the type ``instructure_catalog``.
    :param endpoint: ``"products"``, ``"enrollments"``, ``"orders"`` or ``"users"``.
    :param filters: the endpoint's filters; all rows where ``None``. Airflow renders no templates here.
    :param poke_interval: seconds between two polls.
    :param report_existing: whether the rows that are there when it begins to watch are reported as new. (Before
        Airflow 3.3 this is so after every restart.)
    :raises CatalogFilterError: for a filter that is unknown or has a value that is not allowed.
    :raises CatalogParameterError: for another parameter that is wrong.
    """

    def __init__(
        self,
        catalog_conn_id: str,
        endpoint: EndpointName,
        filters: Mapping[str, Any] | None = None,
        *,
        poke_interval: float = 60.0,
        report_existing: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Airflow's
        self.catalog_conn_id = catalog_conn_id
        self.endpoint = endpoint
        self.filters = check_filters(get_endpoint(endpoint), filters)
        if isinstance(poke_interval, bool) or not isinstance(poke_interval, int | float) or not poke_interval >= 1:
            raise CatalogParameterError(f"poke_interval is {poke_interval!r}; allowed: seconds, 1 or more")
        self.poke_interval = poke_interval
        self.report_existing = report_existing
        self._has_recalled = False
        self._reported: int | None = None
        self._remembered: int | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments to make this trigger again; plain values, and no secret among them."""
        names = ("catalog_conn_id", "endpoint", "filters", "poke_interval", "report_existing")
        arguments = {name: getattr(self, name) for name in names}
        return "airflow_provider_catalog.triggers.analytics.CatalogAnalyticsEventTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for ever; fire an event whenever there are more rows than reported."""
        pace = Pace(self.poke_interval, time.time())
        while True:
            now = time.time()
            event = await self._guarded(self._look())
            if event:
                yield event
                await asyncio.sleep(HAND_OVER)
            await self._guarded(self._remember())
            await asyncio.sleep(max(0.0, pace.next_poll(now) - time.time()))

    async def _look(self) -> TriggerEvent | None:
        """Poll once; return an event when there are more rows than reported."""
        if not self._has_recalled:
            self._reported = self._remembered = await self._recall()
            self._has_recalled = True
        result = await shared_catalog(self.catalog_conn_id).run(self._poll)
        if result.row_count is None:
            return None
        if self._reported is None:
            self._reported = 0 if self.report_existing else result.row_count
        new_rows, self._reported = result.row_count - self._reported, result.row_count
        if new_rows <= 0:
            return None
        watched = {name: getattr(self, name) for name in ("catalog_conn_id", "endpoint", "filters")}
        payload = {**watched, "new_rows": new_rows, "row_count": result.row_count}
        return TriggerEvent(payload)  # type: ignore[no-untyped-call] # Airflow's

    def _poll(self, client: CatalogClient) -> Poll:
        # In a worker thread, for logging may have to wait, too.
        return poll_once(client, self.endpoint, self.filters, min_rows=(self._reported or 0) + 1, log=self.log)

    async def _guarded(self, step: Awaitable[T]) -> T | None:
        """Do a step; when it fails, say so and go on: Airflow would start a watcher that ends again at once."""
        try:
            return await step
        except CatalogError as error:
            self.log.error("Catalog watcher: %s", error)
        except Exception:
            self.log.exception("Catalog watcher of %s, connection %r, failed", self.endpoint, self.catalog_conn_id)
        return None

    @property
    def _key(self) -> str:
        """Tell this watcher's number from those of other watchers of the same asset."""
        what = json.dumps([self.catalog_conn_id, self.endpoint, self.filters], sort_keys=True)
        return f"catalog_rows_reported_{hashlib.sha256(what.encode()).hexdigest()[:16]}"

    async def _recall(self) -> int | None:
        store = getattr(self, "asset_state_store", None)  # Airflow 3.3 and later
        if store is None:
            return None
        try:
            value = await store.aget(self._key)
        except ValueError:
            self.log.warning(
                "Catalog watcher of %s: several assets have this same watcher, so it has no place for what it has "
                "reported; let one asset have it",
                self.endpoint,
            )
            self.asset_state_store = None
            return None
        return value["row_count"] if value else None

    async def _remember(self) -> None:
        store = getattr(self, "asset_state_store", None)
        if store is not None and self._remembered != self._reported:
            await store.aset(self._key, {"row_count": self._reported})
        self._remembered = self._reported
