"""One connection's client and threads, shared by all its triggers in this process; none of it in the event loop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async

from airflow_provider_catalog.client.retry import Gate
from airflow_provider_catalog.client.workers import Workers
from airflow_provider_catalog.errors import CatalogError, forget_locals

if TYPE_CHECKING:
    from airflow_provider_catalog.client.client import CatalogClient

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_THREADS = 100
"""Polls of one connection at the same time: a thousand triggers that are due at once are through in some seconds."""
LIFETIME = 60.0
"""Seconds after which the connection is looked up again, in case it was changed."""


class SharedCatalog:
    """Polls the Catalog of one connection for all its triggers."""

    def __init__(self, catalog_conn_id: str) -> None:
        self._catalog_conn_id = catalog_conn_id
        # For each connection: a Catalog that does not answer must not keep the polls of another one waiting.
        self._workers = Workers(MAX_THREADS, "triggers")
        self._gate = Gate()  # of the next client, too: what the server has asked for does not end with this one
        self._looking_up = threading.Lock()
        self._client: CatalogClient | None = None
        self._expires_at = 0.0

    async def run(self, work: Callable[[CatalogClient], T]) -> T:
        """
        Run a function in a worker thread.

        When this is cancelled, a function that already runs goes on, and its result is dropped.

        :raises CatalogError: for a connection that is wrong, and what ``work`` raises.
        """
        # asgiref's, for in its threads Airflow 3.0 and 3.1 can look up a connection; in others they can't. It hands on
        # the context, too, by which Airflow tells to which trigger's log a line belongs.
        executor: Any = self._workers  # only its submit() is called
        in_thread = sync_to_async(lambda: work(self._current_client()), thread_sensitive=False, executor=executor)
        try:
            return await in_thread()
        except Exception as error:
            forget_locals(error)
            raise

    def _current_client(self) -> CatalogClient:
        """Return the client; the same one as long as the connection stays as it is."""
        # Imported here and not at the top: the first import takes a while, and the event loop imports the triggers.
        from airflow_provider_catalog.client.client import CatalogClient
        from airflow_provider_catalog.hooks.catalog import CatalogHook

        with self._looking_up:
            client = self._client
            if client and time.monotonic() < self._expires_at:
                return client
            try:
                settings = CatalogHook(self._catalog_conn_id).settings
            except Exception as error:
                # A secrets backend that is away for a moment looks like a connection that is not there.
                if client is None or isinstance(error, CatalogError):
                    raise
                problem = type(error).__name__
                log.warning(
                    "Connection %r can't be looked up now (%s); going on as before", self._catalog_conn_id, problem
                )
            else:
                if client is None or client.settings != settings:
                    # One that is replaced still serves the polls that are under way; then it closes by itself.
                    client = CatalogClient(settings, self._gate, max_tries=1, pool_size=MAX_THREADS)
            self._client, self._expires_at = client, time.monotonic() + LIFETIME
            return client


@cache
def shared_catalog(catalog_conn_id: str) -> SharedCatalog:
    """Return what all triggers of the connection share."""
    return SharedCatalog(catalog_conn_id)
