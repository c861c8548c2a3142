"""The client: asks an endpoint for rows with the token and retries, page by page."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow_provider_catalog.client.answers import check_status, receive
from airflow_provider_catalog.client.endpoints import Endpoint
from airflow_provider_catalog.client.fetch import PageFetcher, Usage, build_request
from airflow_provider_catalog.client.http import CatalogSession, transport_errors
from airflow_provider_catalog.client.reading import Reading
from airflow_provider_catalog.client.retry import MAX_TRIES, PATIENCE, Gate, Retries, RetryLog
from airflow_provider_catalog.client.settings import MAX_CONCURRENCY, CatalogSettings
from airflow_provider_catalog.errors import CatalogError, forget_locals


class CatalogClient:
    """
    Reads one Catalog's analytics. Knows nothing of Airflow; safe to use from several threads.

    :param settings: which Catalog, and how to talk to it.
    :param gate: closed while the server asks for patience; share one among clients that should wait together.
    :param max_tries: how often a request is made before it counts as failed; 1 for whoever asks again later anyway,
        who then does not wait for a server that asks for patience either.
    :param pool_size: connections that are kept open for the next request.
    """

    def __init__(
        self,
        settings: CatalogSettings,
        gate: Gate | None = None,
        *,
        max_tries: int = MAX_TRIES,
        pool_size: int = MAX_CONCURRENCY,
    ) -> None:
        self.settings = settings
        self.usage = Usage()
        self._max_tries = max_tries
        self._gate = gate or Gate()
        self._retry_log = RetryLog()
        with self._in_context(None):
            self._session = CatalogSession(settings, pool_size)

    def __repr__(self) -> str:
        return f"CatalogClient({self.settings.base_url!r})"

    def iter_rows(
        self, endpoint: Endpoint, filters: Mapping[str, Any], **parameters: Any
    ) -> Generator[dict[str, Any], None, None]:
        """
        Yield every row, in order; to close the generator ends the read.

        :param parameters: those of :meth:`reading`, and so are the errors.
        """
        with self.reading(endpoint, filters, **parameters) as reading:
            for page in reading.pages():
                yield from page.rows

    @contextmanager
    def reading(
        self,
        endpoint: Endpoint,
        filters: Mapping[str, Any],
        *,
        page_size: int | None = None,
        max_concurrency: int | None = None,
        accept_moved: bool = False,
    ) -> Iterator[Reading]:
        """
        Return a read of an endpoint, which ends with the block; nobody waits for requests that are under way then.

        :param filters: as :func:`~airflow_provider_catalog.client.filter_check.check_filters` returns them.
        :param page_size: rows asked for in one page; the settings' where ``None``.
        :param max_concurrency: requests in flight at once; the settings' where ``None``.
        :param accept_moved: whether to go on, rather than fail, when rows moved from page to page meanwhile.
        :raises CatalogError: as :meth:`~airflow_provider_catalog.hooks.catalog.CatalogHook.iter_rows` says.
        """
        with self._in_context(endpoint):
            fetch = PageFetcher(
                settings=self.settings,
                session=self._session,
                endpoint=endpoint,
                filters=filters,
                page_size=page_size or self.settings.page_size,
                retries=Retries(self._gate, self._retry_log, self._max_tries, PATIENCE),
                max_concurrency=max_concurrency or self.settings.max_concurrency,
            )
            reading = Reading(fetch, accept_moved=accept_moved)
            try:
                yield reading
            finally:
                reading.close()
                used = fetch.usage
                self.usage.add(rows=used.rows, requests=used.requests, retries=used.retries)

    def ping(self, method: str, path: str, endpoint: Endpoint | None = None) -> None:
        """
        Make one small request, without retries, to see whether it is answered with 2xx.

        :param endpoint: whose rows have to be in the answer; any answer will do where ``None``.
        :raises TransientError: when there is no proper answer.
        :raises CatalogError: as :meth:`reading` does.
        """
        request = build_request(self._session, self.settings, {}) if method == "POST" else self._session.prepare(method)
        request.headers["Connection"] = "close"  # so that others can be answered that are made at the same time
        with (
            self._in_context(None),
            transport_errors(self.settings),
            self._session.send(request, f"{path}?per_page=1", self.settings.timeout) as response,
        ):
            check_status(response, self.settings.redacted)
            if endpoint:
                receive(response, endpoint, head_only=True)

    def take_throttled_seconds(self) -> float:
        """
        Return for how many seconds the server has held back all requests since this was last asked.

        Of a gate that is shared, those of all its clients.
        """
        return self._gate.take_closed_seconds()

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._session.close()

    @contextmanager
    def _in_context(self, endpoint: Endpoint | None) -> Iterator[None]:
        """Add endpoint, connection and URL to an error's message; take out a token that is echoed."""
        try:
            yield
        except CatalogError as error:
            forget_locals(error)
            where: list[str] = [endpoint.name] if endpoint else []
            where += [f"connection {self.settings.conn_id!r}"] if self.settings.conn_id else []
            error.args = (f"{self.settings.redacted(str(error))} ({', '.join([*where, self.settings.base_url])})",)
            error.endpoint = endpoint.name if endpoint else None
            raise
