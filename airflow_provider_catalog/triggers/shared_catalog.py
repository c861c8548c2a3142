"""One connection's client and threads, shared by all its triggers in this process; none of it in the event loop."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async

from airflow_provider_catalog.api.endpoints import get_endpoint
from airflow_provider_catalog.api.retry import MAX_BACKOFF, Gate

if TYPE_CHECKING:
    from airflow_provider_catalog.api.client import CatalogClient
    from airflow_provider_catalog.api.poll import Poll

T = TypeVar("T")

MAX_THREADS = 100
"""Polls of one connection at the same time: a thousand triggers that are due at once are through in some seconds."""
LIFETIME = 60.0
"""Seconds after which the connection is looked up again, in case it was changed."""
LONGEST_SPREAD = 60.0
"""Seconds over which the polls that have waited for a throttling server are spread afterwards, at most."""


class GrowingGate(Gate):
    """A gate that stays closed for longer each time the server asks for patience again, up to a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._counting = threading.Lock()
        self._closed_in_a_row = 0

    def close(self, seconds: float) -> None:
        """Let nobody pass for so many seconds, or longer."""
        with self._counting:
            if not self.seconds_left():  # requests that were under way together count once
                seconds = max(seconds, min(MAX_BACKOFF, 2.0 ** min(self._closed_in_a_row, 10)))
                self._closed_in_a_row += 1
            super().close(seconds)

    def reset(self) -> None:
        """Note that the server has answered properly."""
        if not self.seconds_left():
            self._closed_in_a_row = 0


class SharedCatalog:
    """
    Asks the Catalog of one connection, on behalf of all triggers.

    :param catalog_conn_id: id of the connection.
    """

    def __init__(self, catalog_conn_id: str) -> None:
        self._catalog_conn_id = catalog_conn_id
        # A pool for each connection: a Catalog that does not answer must not keep the polls of another one waiting.
        self._threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="triggers")
        self._gate = GrowingGate()
        self._lock = threading.Lock()
        self._client: CatalogClient | None = None
        self._expires_at = 0.0

    async def until_open(self, spread: float) -> None:
        """
        Wait while the server asks for patience.

        :param spread: seconds over which those who have waited go on.
        """
        while seconds := self._gate.seconds_left():
            await asyncio.sleep(seconds + random.uniform(0, min(spread, LONGEST_SPREAD)))  # noqa: S311 - no secret

    async def poll(self, endpoint: str, filters: Mapping[str, Any], min_rows: int, *, exact: bool = False) -> Poll:
        """
        Poll once, see :func:`~airflow_provider_catalog.api.poll.poll`.

        :raises CatalogError: for what will last.
        """
        abandoned = threading.Event()
        try:
            return await self._in_thread(self._poll, endpoint, filters, min_rows, exact, abandoned)
        finally:
            abandoned.set()

    async def report(self, result: Poll, next_poll: float | None = None) -> None:
        """
        Log what was found, see :meth:`~airflow_provider_catalog.api.poll.Poll.report`.

        Not in the event loop: the triggerer's log goes to another process, for which it may have to wait.
        """
        await self._in_thread(result.report, next_poll)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        # asgiref's, for in its threads Airflow 3.0 and 3.1 can look up a connection; in others they can't.
        return await sync_to_async(function, thread_sensitive=False, executor=self._threads)(*arguments)

    def _poll(
        self, endpoint: str, filters: Mapping[str, Any], min_rows: int, exact: bool, abandoned: threading.Event
    ) -> Poll:
        client = self._get_client()
        from airflow_provider_catalog.api.poll import poll

        result = poll(client, get_endpoint(endpoint), filters, min_rows=min_rows, exact=exact, abandoned=abandoned)
        if result.row_count is not None:
            self._gate.reset()
        return result

    def _get_client(self) -> CatalogClient:
        """Return the client; the same one as long as the connection stays as it is."""
        with self._lock:
            # The first import takes a while: under the lock, so that not a hundred threads are at it at once.
            from airflow_provider_catalog.api.client import CatalogClient
            from airflow_provider_catalog.hooks.catalog import CatalogHook

            if self._client is None or time.monotonic() >= self._expires_at:
                settings = CatalogHook(self._catalog_conn_id).settings
                if self._client is None or self._client.settings != settings:
                    # One that is replaced still serves the polls that are under way; then it closes by itself.
                    self._client = CatalogClient(settings, self._gate, max_tries=1, pool_size=MAX_THREADS)
                self._expires_at = time.monotonic() + LIFETIME
            return self._client


@cache
def shared_catalog(catalog_conn_id: str) -> SharedCatalog:
    """
    Return what all triggers of the connection share.

    :param catalog_conn_id: id of the connection.
    """
    return SharedCatalog(catalog_conn_id)
