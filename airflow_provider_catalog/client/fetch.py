"""Gets pages of one endpoint: the request for them, made with retries."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec
import requests

from airflow_provider_catalog.client.answers import check_status, receive
from airflow_provider_catalog.client.decoding import NoRowsError
from airflow_provider_catalog.client.endpoints import Endpoint
from airflow_provider_catalog.client.filter_check import filter_names
from airflow_provider_catalog.client.hints import Params, lay_over, read_hints, shown_page
from airflow_provider_catalog.client.http import CatalogSession, transport_errors
from airflow_provider_catalog.client.page import Page
from airflow_provider_catalog.client.retry import MAX_TRIES, CancelledError, Retries, TransientError
from airflow_provider_catalog.client.settings import CatalogSettings
from airflow_provider_catalog.errors import CatalogError, CatalogResponseError


@dataclass
class Usage:
    """
    What reading costs: counters that only grow; safe to use from several threads.

    :param rows: rows that were handed out.
    :param requests: requests for rows, retries included.
    :param retries: requests that repeat a failed one.
    """

    rows: int = 0
    requests: int = 0
    retries: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, *, rows: int = 0, requests: int = 0, retries: int = 0) -> None:
        """Count some more."""
        with self._lock:
            self.rows += rows
            self.requests += requests
            self.retries += retries


class PageFetcher:
    """
    Gets pages of one endpoint with the same filters; called from several threads at once.

    :param max_concurrency: how many requests may be in flight, whichever threads make them.
    """

    def __init__(
        self,
        *,
        settings: CatalogSettings,
        session: CatalogSession,
        endpoint: Endpoint,
        filters: Mapping[str, Any],
        page_size: int,
        retries: Retries,
        max_concurrency: int = 1,
    ) -> None:
        self.settings = settings
        self.endpoint = endpoint
        self.page_size = page_size
        self.max_concurrency = max_concurrency
        self.first_params: Params = (("per_page", str(page_size)),)
        """The parameters of the first page, which has no number."""
        self.usage = Usage()
        self._session = session
        self._path = settings.path_of(endpoint)
        self._request = build_request(session, settings, filters)
        self._filter_names = frozenset(filter_names(endpoint))
        self._retries = retries
        self._slots = threading.Semaphore(max_concurrency)
        self._key: str | None = None
        """The key under which the first page has its rows."""

    def __call__(self, params: Params, *, max_tries: int = MAX_TRIES, head_only: bool = False) -> Page:
        """
        Return a page, with retries.

        :param max_tries: how many tries may fail, if that is less than the client allows.
        :param head_only: whether the first rows of a large page are enough.
        :raises CatalogError: when it can't be had.
        """
        return self._retries.call(
            lambda number: self._try(params, is_retry=number > 1, head_only=head_only),
            what=f"{self.endpoint.name}, {shown_page(params)}",
            max_tries=max_tries,
        )

    def is_beyond_patience(self, error: CatalogError) -> bool:
        """Return whether a page failed with a wait that is longer than the read may take."""
        return self._retries.is_beyond_patience(error)

    def cancel(self) -> None:
        """Make no more requests."""
        self._retries.cancelled.set()

    def forget_in_flight(self) -> None:
        """Let others be made at once: nobody waits for the requests that are in flight any more."""
        self._slots = threading.Semaphore(self.max_concurrency)

    def _try(self, params: Params, *, is_retry: bool, head_only: bool) -> Page:
        target = f"{self._path}?{urlencode(params)}"
        try:
            with self._slots:
                if self._retries.cancelled.is_set():
                    raise CancelledError
                self.usage.add(requests=1, retries=int(is_retry))
                with (
                    transport_errors(self.settings),
                    self._session.send(self._request, target, self.settings.timeout) as response,
                ):
                    check_status(response, self.settings.redacted)
                    content = receive(response, self.endpoint, head_only=head_only)
            if self._key is None and content.count:
                self._key = content.key
            elif content.count and content.key != self._key:
                raise NoRowsError(f"its rows are under {content.key[:50]!r}, not under {self._key!r} as before")
        except NoRowsError as error:
            if params == self.first_params:
                raise CatalogResponseError(str(error), status=200) from None
            # There were rows before, so it may pass.
            raise TransientError(f"200, but {error}", status=200) from None
        hints = read_hints(response.headers, content.members)
        names, secret = self._filter_names, self.settings.redactable_token
        links = {relation: lay_over(self.first_params, link, names, secret) for relation, link in hints.links.items()}
        return Page(params, content, replace(hints, links=links))


def build_request(
    session: CatalogSession, settings: CatalogSettings, filters: Mapping[str, Any]
) -> requests.PreparedRequest:
    """Return the request for the rows that match, in the encoding that the settings say."""
    if settings.request_encoding == "json":
        return session.prepare("POST", msgspec.json.encode(filters), "application/json")
    form = urlencode(list(_form_fields(filters))).encode()
    return session.prepare("POST", form, "application/x-www-form-urlencoded")


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
