"""One connection's client and threads, shared by all its triggers in this process; none of it in the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async

from airflow_provider_catalog.client.endpoints import get_endpoint
from airflow_provider_catalog.client.retry import MAX_BACKOFF, Gate
from airflow_provider_catalog.errors import CatalogError, forget_locals

if TYPE_CHECKING:
    from airflow_provider_catalog.client.client import CatalogClient
    from airflow_provider_catalog.client.poll import Poll

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_THREADS = 100
"""Polls of one connection at the same time: a thousand triggers that are due at once are through in some seconds."""
SHORTEST_GAP = 0.005
"""Seconds between the beginnings of two polls of this process."""
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


class Turns:
    """
    Lets polls of this process begin one after another.

    Polls that could begin at the same moment, such as those that have waited for the look-up of their connection, would
    be as many threads that all want to run; the event loop is one thread among them.
    """

    def __init__(self) -> None:
        self._next = 0.0

    async def take(self) -> None:
        """Wait for a turn."""
        now = time.monotonic()
        turn = max(now, self._next)
        self._next = turn + SHORTEST_GAP
        if turn > now:
            await asyncio.sleep(turn - now)


_turns = Turns()


class SharedCatalog:
    """
    Asks the Catalog of one connection, on behalf of all triggers.

    :param catalog_conn_id: id of the connection.
    """

    def __init__(self, catalog_conn_id: str) -> None:
        self._catalog_conn_id = catalog_conn_id
        # A pool for each connection: a Catalog that does not answer must not keep the polls of another one waiting.
        self._threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="triggers")
        # What takes a while before a poll is under way: the look-up, and starting a thread, which waits until it runs.
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="triggers_helper")
        self._gate = GrowingGate()
        self._looking_up = asyncio.Lock()
        self._client: CatalogClient | None = None
        self._expires_at = 0.0

    async def until_open(self, spread: float) -> None:
        """
        Wait while the server asks for patience.

        :param spread: seconds over which those who have waited go on.
        """
        while seconds := self._gate.seconds_left():
            await asyncio.sleep(seconds + random.uniform(0, min(spread, LONGEST_SPREAD)))  # noqa: S311 - no secret

    async def poll(
        self,
        endpoint: str,
        filters: Mapping[str, Any],
        min_rows: int,
        next_poll: Callable[[float], float | None],
        *,
        exact: bool = False,
    ) -> tuple[Poll, float | None]:
        """
        Poll once, see :func:`~airflow_provider_catalog.client.poll.poll`, and log what was found; to cancel it
        ends its requests.

        :param next_poll: tells when the next poll is, from the time of this one; ``None`` when this was the last. It is
            not asked when there are enough rows.
        :return: what was found, and what ``next_poll`` has said.
        :raises CatalogError: for what will last.
        """
        try:
            client = await self._current_client()
            look = partial(_look, client, endpoint, filters, min_rows=min_rows, exact=exact)
            await _turns.take()
            return await self._in_thread(partial(self._poll, look, next_poll))
        except Exception as error:
            forget_locals(error)
            raise

    def _poll(self, look: Callable[[], Poll], next_poll: Callable[[float], float | None]) -> tuple[Poll, float | None]:
        result = look()
        if result.row_count is not None:
            self._gate.reset()
        now = time.time()
        due = None if result.is_done else next_poll(now)
        # Not in the event loop: the triggerer's log goes to another process, for which it may have to wait.
        result.report(None if due is None else due - now)
        return result, due

    async def _in_thread(self, work: Callable[[], T]) -> T:
        context = contextvars.copy_context()

        def start() -> Future[T]:
            return self._threads.submit(context.run, work)

        return await asyncio.wrap_future(await asyncio.get_running_loop().run_in_executor(self._helper, start))

    async def _current_client(self) -> CatalogClient:
        """Return the client; the same one as long as the connection stays as it is."""
        client = self._fresh_client()
        if client is None:
            async with self._looking_up:
                # asgiref's, for in its threads Airflow 3.0 and 3.1 can look up a connection; in others they can't.
                look_up = sync_to_async(self._look_up, thread_sensitive=False, executor=self._helper)
                client = self._fresh_client() or await look_up()
        return client

    def _fresh_client(self) -> CatalogClient | None:
        return self._client if time.monotonic() < self._expires_at else None

    def _look_up(self) -> CatalogClient:
        # Imported here and not at the top, for the first import takes a while; and all of it, in this one thread rather
        # than by the hundred threads of the first polls.
        from airflow_provider_catalog.client import poll  # noqa: F401 # for the first poll
        from airflow_provider_catalog.client.client import CatalogClient
        from airflow_provider_catalog.hooks.catalog import CatalogHook
        from airflow_provider_catalog.utils import metrics  # noqa: F401 # for the first poll

        client = self._client
        try:
            settings = CatalogHook(self._catalog_conn_id).settings
        except CatalogError:
            raise  # it was changed into what is none
        except Exception as error:
            # A secrets backend that is away for a moment looks like a connection that is not there.
            if client is None:
                raise
            log.warning(
                "Connection %r can't be looked up now (%s); going on with what is known of it",
                self._catalog_conn_id,
                type(error).__name__,
            )
        else:
            if client is None or client.settings != settings:
                # One that is replaced still serves the polls that are under way; then it closes by itself.
                client = CatalogClient(settings, self._gate, max_tries=1, pool_size=MAX_THREADS)
        self._client, self._expires_at = client, time.monotonic() + LIFETIME
        return client


def _look(client: CatalogClient, endpoint: str, filters: Mapping[str, Any], **how: Any) -> Poll:
    # What looked up the connection has imported them already.
    from airflow_provider_catalog.client.poll import poll
    from airflow_provider_catalog.utils.metrics import reported_poll

    return reported_poll(endpoint, client, partial(poll, client, get_endpoint(endpoint), filters, **how))


@cache
def shared_catalog(catalog_conn_id: str) -> SharedCatalog:
    """
    Return what all triggers of the connection share.

    :param catalog_conn_id: id of the connection.
    """
    return SharedCatalog(catalog_conn_id)
