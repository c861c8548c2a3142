"""The HTTP client: one request with the token and retries; from that, pages and counts."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from airflow_provider_catalog import __version__
from airflow_provider_catalog.api.endpoints import Endpoint
from airflow_provider_catalog.api.pagination import NumberedPages, Page, page_name, paging_links, read_pages
from airflow_provider_catalog.api.progress import Progress
from airflow_provider_catalog.api.responses import check_is_json, check_status, receive_rows, transport_errors
from airflow_provider_catalog.api.retry import MAX_TRIES, Gate, again_when_data_moved, with_retries
from airflow_provider_catalog.api.settings import MAX_CONCURRENCY, CatalogSettings
from airflow_provider_catalog.api.usage import Usage
from airflow_provider_catalog.api.window import Window
from airflow_provider_catalog.errors import CatalogError, CatalogPaginationError, CatalogParameterError

CONNECT_TIMEOUT = 10.0
"""Seconds to connect, where the timeout for a request is not shorter."""


class TokenAuth(AuthBase):
    """
    Puts the token into the one header that carries it (confirmed), and keeps ``requests`` from asking ``.netrc``.

    :param token: the API token.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        request.headers["Authorization"] = f'Token token="{self._token}"'
        return request


class _Session(requests.Session):
    """A session that follows no redirect; ``requests`` would look where one leads even when told not to follow it."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Say that there is nowhere to go."""


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
        self._pool_size = pool_size
        self._token = settings.token.get_secret_value()
        self._gate = gate or Gate()
        self.usage = Usage()
        self._session = self._new_session()

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
        Yield every page that matches, in order. Closing the generator ends the requests that it makes ahead.

        :param filters: as :func:`~airflow_provider_catalog.api.filter_check.check_filters` returns them.
        :param page_size: rows asked for in one page; the settings' where ``None``.
        :param max_concurrency: requests in flight at once; the settings' where ``None``.
        :raises CatalogAuthError: when the token is refused, or lacks analytics rights.
        :raises CatalogRequestError: when the request is refused.
        :raises CatalogUnavailableError: when tries are used up.
        :raises CatalogResponseError: for an answer without rows.
        :raises CatalogPaginationError: when pages go in circles, lead to another host, or the data moved.
        """
        abandoned = threading.Event()
        max_concurrency = max_concurrency or self.settings.max_concurrency
        window = Window(max_concurrency, self._gate)
        fetch = partial(self._fetch, endpoint, self._encode(filters), abandoned, window=window)
        progress = Progress(endpoint.name)
        try:
            with _naming(endpoint, self._token):
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

        With a link to the last page these are two: all pages but the last have as many rows as the first. Else every
        page is read.

        :raises CatalogError: as :meth:`read_pages` does.
        """
        count = partial(self._count_once, endpoint, filters, 0, math.inf, threading.Event())
        return again_when_data_moved(count, endpoint.name)[1]

    def look(
        self,
        endpoint: Endpoint,
        filters: Mapping[str, Any],
        *,
        wanted: int,
        exact: bool = True,
        abandoned: threading.Event | None = None,
    ) -> tuple[Page, int]:
        """
        Return the first page, and how many rows match; for whoever looks again and again whether there are enough.

        One request when all the rows are on the first page, two when links tell the last one. Without links a page may
        be all there is, or the first of many: it is taken for all when it is shorter than was asked for, and of no
        round size. Else every page is read.

        :param wanted: how many rows are enough.
        :param exact: whether the number has to be exact when there are more rows than that; else it may be too small.
        :param abandoned: set when nobody wants the answer any more.
        :raises CatalogError: as :meth:`read_pages` does; data that moves is counted again, at most twice.
        """
        limit = math.inf if exact else wanted
        page_size = self.settings.page_size
        count = partial(self._count_once, endpoint, filters, page_size, limit, abandoned or threading.Event())
        return again_when_data_moved(count, endpoint.name)

    def _count_once(
        self,
        endpoint: Endpoint,
        filters: Mapping[str, Any],
        full_page: int,
        limit: float,
        abandoned: threading.Event,
    ) -> tuple[Page, int]:
        """Count until the limit; a first page without links that looks shorter than a full page is taken for all."""
        fetch = partial(self._fetch, endpoint, self._encode(filters), abandoned)
        with _naming(endpoint, self._token):
            first = fetch(self._url(endpoint, None))
            count = first.content.count
            if count >= limit or (not first.links and _is_short(count, full_page)):
                return first, count
            if numbered := NumberedPages.after(first):
                last = fetch(numbered.last_url)
                numbered.check(last)
                return first, count * len(numbered) + last.content.count
            with closing(read_pages(fetch, first, max_concurrency=1)) as pages:
                next(pages)  # the first one, which is counted
                for page in pages:
                    count += page.content.count
                    if count >= limit:
                        break
            return first, count

    def ask(self, method: str, path: str, *, timeout: float) -> None:
        """
        Make one small request, without retries, to see whether it is answered with 200.

        :param timeout: seconds without a byte after which it is given up.
        :raises TransientError: when there is no proper answer.
        :raises CatalogError: as :meth:`read_pages` does.
        """
        url = f"{self.settings.base_url}{path}?per_page=1"
        content = self._encode({}) if method == "POST" else None
        with transport_errors(timeout), self._send(method, url, content, timeout) as response:
            check_status(response, path, self._token)
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
        content = None if body is None or content_type is None else (body, content_type)
        return self._send(method, f"{self.settings.base_url}{path}", content, timeout)

    @property
    def throttled_seconds(self) -> float:
        """For how long the server has held back all slots so far; of a gate that is shared, all its clients."""
        return self._gate.closed_seconds

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _url(self, endpoint: Endpoint, page_size: int | None) -> str:
        path = self.settings.paths.get(endpoint.name, endpoint.path)
        return f"{self.settings.base_url}{path}?per_page={page_size or self.settings.page_size}"

    def _fetch(
        self,
        endpoint: Endpoint,
        content: _Content,
        abandoned: threading.Event,
        url: str,
        *,
        window: Window | None = None,
    ) -> Page:
        if _origin(url) != _origin(self.settings.base_url):
            scheme, host, port = _origin(url)
            raise CatalogPaginationError(
                f"{endpoint.name}: the link to the next page leads to {scheme}://{host}:{port}, not to "
                f"{self.settings.base_url}; it is not followed, since the token would go along",
                endpoint=endpoint.name,
                retryable=False,
            )
        tries = itertools.count()

        def attempt() -> Page:
            return self._try(endpoint, content, url, is_retry=next(tries) > 0)

        return with_retries(
            window.guard(attempt, abandoned) if window else attempt,
            what=f"{endpoint.name}, page {page_name(url)}".replace(self._token, "***"),
            endpoint=endpoint.name,
            gate=self._gate,
            abandoned=abandoned,
            max_tries=self._max_tries,
        )

    def _try(self, endpoint: Endpoint, content: _Content, url: str, *, is_retry: bool) -> Page:
        self.usage.add(requests=1, retries=int(is_retry))
        timeout = self.settings.timeout
        with transport_errors(timeout), self._send("POST", url, content, timeout) as response:
            check_status(response, endpoint.name, self._token)
            links = paging_links(url, response.links)
            return Page(url, receive_rows(response, endpoint), links)

    def _send(self, method: str, url: str, content: _Content | None, timeout: float) -> requests.Response:
        body, content_type = content or (None, None)
        return self._session.request(
            method,
            url,
            data=body,
            headers={"Content-Type": content_type},
            timeout=(min(CONNECT_TIMEOUT, timeout), timeout),
            allow_redirects=False,
            stream=True,
        )

    def _encode(self, filters: Mapping[str, Any]) -> _Content:
        if self.settings.request_encoding == "json":
            return msgspec.json.encode(filters), "application/json"
        return urlencode(list(_form_fields(filters))).encode(), "application/x-www-form-urlencoded"

    def _new_session(self) -> requests.Session:
        session = _Session()
        session.auth = TokenAuth(self._token)
        session.headers.update(
            {
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
                "User-Agent": f"airflow-provider-catalog/{__version__}",
            }
        )
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # A connection to this machine is plain http: it must not go by way of a proxy from the environment.
        session.trust_env = not self.settings.is_loopback
        session.verify = self.settings.verify
        if self.settings.proxy:
            session.proxies = dict.fromkeys(("http", "https"), self.settings.proxy.get_secret_value())
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=self._pool_size)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session


_Content = tuple[bytes, str]


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port, which say whether two URLs lead to the same server."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _form_fields(filters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a form, lists the way that Rails, which the Catalog is written in, reads them (inferred)."""
    for name, value in filters.items():
        if isinstance(value, list):
            yield from ((f"{name}[]", item) for item in value)
        else:
            yield name, str(value).lower() if isinstance(value, bool) else value


def _is_short(count: int, full_page: int) -> bool:
    """
    Return whether so many rows are less than a page.

    A server that gives fewer rows a page than it is asked for gives a round number of them, such as 20, the default.
    """
    return count < full_page and (count < 10 or count % 5 != 0)


@contextmanager
def _naming(endpoint: Endpoint, token: str) -> Iterator[None]:
    """Add the endpoint's name to what paging, which doesn't know it, raises; take out a token that a server echoes."""
    try:
        yield
    except CatalogError as error:
        message = str(error).replace(token, "***")
        if error.endpoint and message == str(error):
            raise
        if not error.endpoint:
            message = f"{endpoint.name}: {message}"
        raise type(error)(message, endpoint=endpoint.name, status=error.status, retryable=error.retryable) from None
