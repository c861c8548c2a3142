"""One query of an endpoint: the request for its pages, made with retries."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
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
from airflow_provider_catalog.client.retry import (
    MAX_TRIES,
    CancelledError,
    Gate,
    RetryPolicy,
    TransientError,
    with_retries,
)
from airflow_provider_catalog.client.settings import CatalogSettings
from airflow_provider_catalog.client.usage import Usage
from airflow_provider_catalog.errors import CatalogResponseError


class Query:
    """
    Gets pages of one endpoint with the same filters; called from several threads at once.

    :param settings: the Catalog's.
    :param session: what the requests are made with.
    :param endpoint: the endpoint that is asked.
    :param filters: what is asked for, as it is sent.
    :param page_size: rows asked for in one page.
    :param gate: closed while the server asks for patience.
    :param policy: how often and for how long requests that fail are made again.
    :param usage: what counts the requests.
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
        gate: Gate,
        policy: RetryPolicy,
        usage: Sequence[Usage] = (),
        max_concurrency: int = 1,
    ) -> None:
        self.settings = settings
        self.endpoint = endpoint
        self.page_size = page_size
        self.max_concurrency = max_concurrency
        self.first: Params = (("per_page", str(page_size)),)
        """The parameters of the first page, which has no number."""
        self.cancelled = threading.Event()
        """Set when no more requests are to be made."""
        self._session = session
        self._path = settings.paths.get(endpoint.name, endpoint.path)
        self._request = build_request(session, settings, filters)
        self._filter_names = frozenset(filter_names(endpoint))
        self._gate = gate
        self._policy = policy
        self._usage = usage
        self._slots = threading.Semaphore(max_concurrency)

    def __call__(self, params: Params, *, max_tries: int = MAX_TRIES, head_only: bool = False) -> Page:
        """
        Return a page.

        :param params: the parameters of its URL.
        :param max_tries: how many tries may fail, if that is less than the policy says.
        :param head_only: whether the first rows of a large page are enough.
        :raises CatalogError: when it can't be had.
        """
        tries = 0

        def attempt() -> Page:
            nonlocal tries
            try:
                with self._slots:
                    if self.cancelled.is_set():
                        raise CancelledError
                    tries += 1
                    for usage in self._usage:
                        usage.add(requests=1, retries=int(tries > 1))
                    return self._try(params, head_only=head_only)
            except NoRowsError as error:
                if params == self.first:
                    raise CatalogResponseError(str(error), status=200) from None
                # There were rows before, so it may pass.
                raise TransientError(f"200, but {error}", status=200) from None

        return with_retries(
            attempt,
            what=f"{self.endpoint.name}, {shown_page(params)}",
            gate=self._gate,
            policy=self._policy,
            cancelled=self.cancelled,
            max_tries=min(max_tries, self._policy.max_tries),
        )

    def release(self) -> None:
        """Let another request be made, as nobody waits any more for one that is in flight."""
        self._slots.release()

    def _try(self, params: Params, *, head_only: bool) -> Page:
        target = f"{self._path}?{urlencode(params)}"
        with (
            transport_errors(self.settings),
            self._session.send(self._request, target, self.settings.timeout) as response,
        ):
            check_status(response, self.settings.redacted)
            content = receive(response, self.endpoint, head_only=head_only)
            hints = read_hints(response.headers, content.members)
        names, secret = self._filter_names, self.settings.redactable_token
        links = {relation: lay_over(self.first, link, names, secret) for relation, link in hints.links.items()}
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
