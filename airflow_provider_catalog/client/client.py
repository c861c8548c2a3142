"""The HTTP client: one request with the token and retries; from that, pages and counts."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import requests

from airflow_provider_catalog.client.abandonment import Abandonment
from airflow_provider_catalog.client.body import OtherShapeError
from airflow_provider_catalog.client.endpoints import Endpoint
from airflow_provider_catalog.client.interrupts import not_in_main_thread
from airflow_provider_catalog.client.numbered_pages import NumberedPages
from airflow_provider_catalog.client.page import FIRST, Page, page_name, paging_links, shown_page
from airflow_provider_catalog.client.pagination import count_rows, follow_pages, read_pages
from airflow_provider_catalog.client.progress import Progress
from airflow_provider_catalog.client.responses import check_is_json, check_status, receive_rows, transport_errors
from airflow_provider_catalog.client.retry import MAX_TRIES, Gate, TransientError, again_when_data_moved, with_retries
from airflow_provider_catalog.client.settings import MAX_CONCURRENCY, CatalogSettings
from airflow_provider_catalog.client.transport import new_session
from airflow_provider_catalog.client.usage import Usage
from airflow_provider_catalog.client.window import Window
from airflow_provider_catalog.errors import (
    CatalogError,
    CatalogPaginationError,
    CatalogParameterError,
    CatalogResponseError,
    forget_locals,
)

CONNECT_TIMEOUT = 10.0
"""Seconds to connect, where the timeout for a request is not shorter."""
_FEW_PAGES = 20
"""Up to so many are read one after the other, when that is enough to count."""
SHORTEST_ECHO = 8
"""Characters of a token that tell it in a URL; a shorter one may be in any."""


class CatalogClient:
    """
    Reads one Catalog's analytics. Knows nothing of Airflow; may be used from several threads at once.

    :param settings: which Catalog, and how to talk to it.
    :param gate: closed while the server asks for patience; share one among clients that should wait together.
    :param max_tries: how often a request is made before it counts as failed; 1 for whoever asks again later anyway.
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
        self._max_tries = max_tries
        self._gate = gate or Gate()
        self.usage = Usage()
        self._session = new_session(settings, pool_size)
        # Proxies and CA bundle, from the connection and the environment: the same for all URLs, which have one origin.
        # The connection's own are named here: HTTPS_PROXY and REQUESTS_CA_BUNDLE would go before those of a session.
        proxies = dict.fromkeys(("http", "https"), settings.proxy.get_secret_value()) if settings.proxy else {}
        self._environment = self._session.merge_environment_settings(
            settings.base_url, proxies, True, settings.verify, None
        )
        token = settings.token.get_secret_value()
        self._echo = re.compile("|".join({re.escape(token), re.escape(quote(token, safe=""))}), re.IGNORECASE)

    def __repr__(self) -> str:
        return f"CatalogClient({self.settings.base_url!r})"

    def read_pages(
        self,
        endpoint: Endpoint,
        filters: Mapping[str, Any],
        *,
        page_size: int | None = None,
        max_concurrency: int | None = None,
    ) -> Generator[Page, None, None]:
        """
        Yield every page that matches, in order. Closing the generator ends the requests that are under way.

        :param filters: as :func:`~airflow_provider_catalog.client.filter_check.check_filters` returns them.
        :param page_size: rows asked for in one page; the settings' where ``None``.
        :param max_concurrency: requests in flight at once; the settings' where ``None``.
        :raises CatalogAuthError: when the token is refused, or lacks analytics rights.
        :raises CatalogRequestError: when the request is refused.
        :raises CatalogUnavailableError: when tries are used up.
        :raises CatalogResponseError: for an answer without rows.
        :raises CatalogPaginationError: when pages go in circles, lead to another host, or the data moved.
        """
        abandoned = Abandonment()
        max_concurrency = max_concurrency or self.settings.max_concurrency
        window = Window(max_concurrency, self._gate)
        fetch = not_in_main_thread(partial(self._fetch, endpoint, self._question(filters), abandoned, window=window))
        progress = Progress(endpoint.name)
        try:
            with self._naming(endpoint):
                first = fetch(self._url(endpoint, page_size))
                pages = read_pages(fetch, first, max_concurrency=max_concurrency)
                with closing(pages):
                    for page in pages:
                        progress.add(page)
                        self.usage.add(rows=page.content.count)
                        yield page
        finally:
            abandoned.set()

    def count_rows(self, endpoint: Endpoint, filters: Mapping[str, Any]) -> int:
        """
        Return the exact number of rows that match, in as few requests as the links allow.

        With a link to the last page these are two: all pages but the last have as many rows as the first. Else the last
        page is searched; only where links have no numbers, every page is read.

        :raises CatalogError: as :meth:`read_pages` does.
        """
        return self._count(endpoint, filters, 0, math.inf, Abandonment())[1]

    def look(
        self,
        endpoint: Endpoint,
        filters: Mapping[str, Any],
        *,
        wanted: int,
        exact: bool = True,
        abandoned: Abandonment | None = None,
        usage: Usage | None = None,
    ) -> tuple[Page, int]:
        """
        Return the first page, and how many rows match; for whoever looks again and again whether there are enough.

        One request when all the rows are on the first page, two when links tell the last one. Without links a page may
        be all there is, or the first of many: it is taken for all when it is shorter than was asked for, and of no
        round size. Else the last page is searched.

        :param wanted: how many rows are enough.
        :param exact: whether the number has to be exact when there are more rows than that; else it may be too small.
        :param abandoned: set when nobody wants the answer any more; then, the requests under way end.
        :param usage: counts the requests of this look, too.
        :raises CatalogError: as :meth:`read_pages` does; data that moves is counted again, at most twice.
        """
        limit = math.inf if exact else wanted
        page_size = self.settings.page_size
        return self._count(endpoint, filters, page_size, limit, abandoned or Abandonment(), usage=usage)

    def _count(
        self,
        endpoint: Endpoint,
        filters: Mapping[str, Any],
        full_page: int,
        limit: float,
        abandoned: Abandonment,
        *,
        usage: Usage | None = None,
    ) -> tuple[Page, int]:
        """Count until the limit; a first page without links that looks shorter than a full page is taken for all."""
        fetch = not_in_main_thread(partial(self._fetch, endpoint, self._question(filters), abandoned, usage=usage))

        def count_once() -> tuple[Page, int]:
            first = fetch(self._url(endpoint, None))
            count = first.content.count
            if count >= limit or (not first.links and _is_short(count, full_page)):
                return first, count
            # The last page is worth a search where many would have to be read.
            if NumberedPages.after(first) or limit > _FEW_PAGES * count:
                return first, count_rows(fetch, first)
            with closing(follow_pages(fetch, first)) as pages:
                next(pages)  # the first one, which is counted
                for page in pages:
                    count += page.content.count
                    if count >= limit:
                        break
            return first, count

        try:
            with self._naming(endpoint):
                return again_when_data_moved(count_once, endpoint.name)
        finally:
            abandoned.set()

    def ask(self, method: str, path: str, *, timeout: float) -> None:
        """
        Make one small request, without retries, to see whether it is answered with 200.

        :param timeout: seconds without a byte after which it is given up.
        :raises TransientError: when there is no proper answer.
        :raises CatalogError: as :meth:`read_pages` does.
        """
        request = self._question({}) if method == "POST" else self._prepare(method)
        with transport_errors(timeout), self._send(request, f"{path}?per_page=1", timeout) as response:
            check_status(response, path, self._redacted)
            check_is_json(response, path)

    def send(
        self, method: str, path: str, body: bytes | None = None, content_type: str | None = None, *, timeout: float
    ) -> requests.Response:
        """
        Make one request of any kind and return the response as it is, unread, whatever its status.

        For finding out how a Catalog behaves; rows are read with :meth:`read_pages`. Close the response after use.

        :param path: with its query, such as ``/api/v1/analytics/orders?page=2``.
        :param timeout: seconds without a byte after which it is given up.
        :raises CatalogParameterError: for a path that doesn't start with ``/``: it might lead to another host.
        :raises requests.RequestException: when there is no answer.
        """
        if not path.startswith("/"):
            raise CatalogParameterError("path does not start with /; give one such as /api/v1/analytics/orders")
        return self._send(self._prepare(method, body, content_type), path, timeout)

    @property
    def throttled_seconds(self) -> float:
        """For how long the server has held back all slots so far; of a gate that is shared, all its clients."""
        return self._gate.closed_seconds

    def take_throttled_seconds(self) -> float:
        """Return by how much :attr:`throttled_seconds` has grown since this was last asked, by any of these clients."""
        return self._gate.take_closed_seconds()

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _url(self, endpoint: Endpoint, page_size: int | None) -> str:
        path = self.settings.paths.get(endpoint.name, endpoint.path)
        return f"{self.settings.base_url}{path}?per_page={page_size or self.settings.page_size}"

    def _fetch(
        self,
        endpoint: Endpoint,
        request: requests.PreparedRequest,
        abandoned: Abandonment,
        url: str,
        *,
        window: Window | None = None,
        usage: Usage | None = None,
    ) -> Page:
        self._check_origin(endpoint, url)
        tries = itertools.count()

        def attempt() -> Page:
            retries = int(next(tries) > 0)
            for each in (self.usage, usage):
                if each:
                    each.add(requests=1, retries=retries)
            with abandoned.ends_requests():
                return self._try(endpoint, request, url)

        return with_retries(
            window.guard(attempt, abandoned) if window else attempt,
            what=f"{endpoint.name}, page {shown_page(url)}",
            endpoint=endpoint.name,
            gate=self._gate,
            abandoned=abandoned,
            max_tries=self._max_tries,
        )

    def _try(self, endpoint: Endpoint, request: requests.PreparedRequest, url: str) -> Page:
        timeout = self.settings.timeout
        with transport_errors(timeout), self._send(request, _target(url), timeout) as response:
            check_status(response, endpoint.name, self._redacted)
            links = paging_links(url, response.links)
            try:
                return Page(url, receive_rows(response, endpoint), links)
            except OtherShapeError as error:
                if page_name(url) == FIRST:
                    raise CatalogResponseError(str(error), endpoint=error.endpoint, status=error.status) from None
                # There were rows before, so this will not last.
                raise TransientError(f"200, {error}".replace(f"{endpoint.name}: ", ""), status=200) from None

    def _check_origin(self, endpoint: Endpoint, url: str) -> None:
        """
        Refuse a URL that leads elsewhere, or shows the token.

        :raises CatalogPaginationError: before any request is made.
        """
        scheme, host, port = _origin(url)
        if (scheme, host, port) == _origin(self.settings.base_url):
            if len(self.settings.token) < SHORTEST_ECHO or self._echo.search(url) is None:
                return
            problem = "has the token in it; it is not followed, since URLs are logged"
        else:
            problem = (
                f"leads to {scheme}://{host}:{port}, not to {self.settings.base_url}; it is not followed, since the "
                "token would go along"
            )
        raise CatalogPaginationError(
            f"{endpoint.name}: the link to the next page {problem}", endpoint=endpoint.name, retryable=False
        )

    def _redacted(self, text: str) -> str:
        """Return a text of the server's without the token, should it be echoed."""
        return self._echo.sub("***", text)

    @contextmanager
    def _naming(self, endpoint: Endpoint) -> Iterator[None]:
        """Add the endpoint's name to what paging, which doesn't know it, raises; take out a token that is echoed."""
        try:
            yield
        except CatalogError as error:
            forget_locals(error)
            message = self._redacted(str(error))
            error.args = (message if error.endpoint else f"{endpoint.name}: {message}",)
            error.endpoint = endpoint.name
            raise

    def _send(self, request: requests.PreparedRequest, target: str, timeout: float) -> requests.Response:
        """Ask the Catalog's own origin, whatever a link says: the token goes nowhere else."""
        request = request.copy()
        request.prepare_url(f"{self.settings.base_url}{target}", None)
        return self._session.send(
            request,
            timeout=(min(CONNECT_TIMEOUT, timeout), timeout),
            allow_redirects=False,
            **self._environment,
        )

    def _question(self, filters: Mapping[str, Any]) -> requests.PreparedRequest:
        """Return what asks an endpoint for the rows that match; all pages are asked for with the same."""
        if self.settings.request_encoding == "json":
            return self._prepare("POST", msgspec.json.encode(filters), "application/json")
        form = urlencode(list(_form_fields(filters))).encode()
        return self._prepare("POST", form, "application/x-www-form-urlencoded")

    def _prepare(
        self, method: str, body: bytes | None = None, content_type: str | None = None
    ) -> requests.PreparedRequest:
        """Return a request that is complete but for its URL: preparing it takes a tenth of the time of a page."""
        headers = {"Content-Type": content_type}
        request = requests.Request(method, self.settings.base_url, headers=headers, data=body)
        with transport_errors(self.settings.timeout):
            return self._session.prepare_request(request)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port, which say whether two URLs lead to the same server."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _target(url: str) -> str:
    """Return path and query of a URL."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _form_fields(filters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a form, lists the way that Rails, which the Catalog is written in, reads them (inferred)."""
    for name, value in filters.items():
        if isinstance(value, list):
            yield from ((f"{name}[]", item) for item in value)
        elif isinstance(value, bool):
            yield name, str(value).lower()
        else:
            # Not every reader of forms knows that 1e-05 is a number.
            yield name, f"{Decimal(repr(value)):f}" if isinstance(value, float) else value


def _is_short(count: int, full_page: int) -> bool:
    """
    Return whether so many rows are less than a page.

    A server that gives fewer rows a page than it is asked for gives a round number of them, such as 20, the default.
    """
    return count < full_page and (count < 10 or count % 5 != 0)
