"""Asks for single pages, the way that tasks do, and counts and times the requests."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import requests

from airflow_provider_catalog.client.endpoints import Endpoint
from airflow_provider_catalog.client.fetch import PageFetcher
from airflow_provider_catalog.client.hints import Params
from airflow_provider_catalog.client.http import CatalogSession
from airflow_provider_catalog.client.page import Page
from airflow_provider_catalog.client.retry import Gate, Retries, RetryLog, TransientError
from airflow_provider_catalog.client.settings import MAX_PAGE_SIZE, CatalogSettings
from airflow_provider_catalog.errors import (
    CatalogError,
    CatalogParameterError,
    CatalogResponseError,
    CatalogStorageError,
)

Encoding = Literal["json", "form"]

TRIES = 3
"""How often a question is asked that gets no proper answer; each time counts as a request."""
PATIENCE = 60.0
"""Seconds for which a server that asks for fewer requests is waited for."""
TIMEOUT = 30.0
"""Seconds without a byte after which a request is given up, where the connection's timeout is not shorter."""
RATE_HEADER = re.compile(
    "Retry-After|X-Request-Cost|RateLimit|RateLimit-Policy|(X-Rate-?|Rate)Limit-(Limit|Remaining|Reset)", re.IGNORECASE
)
"""No others, so that the name of a header can't tell anything either."""
NUMBER = re.compile(r"\d{1,10}(\.\d{1,20})?", re.ASCII)


class OutOfRequestsError(Exception):
    """As many requests have been made as were allowed."""


class NotReachedError(Exception):
    """The Catalog can't be asked; the text says why, for the person who asks."""


@dataclass(frozen=True)
class Answer:
    """What came of a question. Its text and its ``repr`` show nothing of what the Catalog holds."""

    seen: str  # status and outcome, in our words
    status: int | None
    page: Page | None = field(default=None, repr=False)

    @property
    def is_refused(self) -> bool:
        """Whether the server says that the body of the request is wrong."""
        return self.status in (400, 406, 415, 422)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the server says that there is nothing at the path."""
        return self.status in (404, 405, 410)


def say(text: str) -> None:
    """Tell the person; the report alone goes to standard output."""
    sys.stderr.write(f"{text}\n")


class _Teller(RetryLog):
    def warn(self, what: str, error: TransientError, outlook: str) -> None:
        """Tell the person that there is a wait, without what the server says about it."""
        say(f"{what}: {error.status or 'no answer'}; {outlook}")


class Asker(CatalogSession):
    """Asks one Catalog, one request at a time, repeated ones included no more than ``max_requests``; to be closed."""

    def __init__(self, settings: CatalogSettings, max_requests: int) -> None:
        self.settings = settings.model_copy(update={"timeout": min(TIMEOUT, settings.timeout)})
        super().__init__(self.settings, pool_size=1)
        self.max_requests = max_requests
        self.count = 0
        self.is_complete = True  # whether no question had to be left out
        self.throttled = 0
        self.seconds: list[float] = []
        self.rate_headers: dict[str, str] = {}
        self._gate = Gate()

    def send(self, request: requests.PreparedRequest, target: str, timeout: float) -> requests.Response:
        """Make a request, if one more may be made, and take note of the answer."""
        if self.count >= self.max_requests:
            self.is_complete = False
            raise OutOfRequestsError
        self.count += 1
        started = time.monotonic()
        response = super().send(request, target, timeout)
        self.seconds.append(time.monotonic() - started)
        self.throttled += response.status_code == 429
        for name, value in response.headers.items():
            if RATE_HEADER.fullmatch(name):
                # A number tells the limit; what else may stand there is not known, so it is not told.
                self.rate_headers[name] = value if NUMBER.fullmatch(value) else "not a number"
        return response

    def ask(
        self,
        endpoint: Endpoint,
        path: str,
        encoding: Encoding,
        filters: Mapping[str, Any] | None = None,
        *,
        per_page: int = MAX_PAGE_SIZE,
        params: Params | None = None,
    ) -> Answer:
        """Ask for one page, the first one unless ``params`` are those of another."""
        fetch = PageFetcher(
            settings=self.settings.model_copy(update={"paths": {endpoint.name: path}, "request_encoding": encoding}),
            session=self,
            endpoint=endpoint,
            filters=filters or {},
            page_size=per_page,
            retries=Retries(self._gate, _Teller(), TRIES, PATIENCE),
        )
        try:
            page = fetch(params or fetch.first_params, head_only=True)
        except (CatalogError, OutOfRequestsError) as error:
            if not self.seconds or isinstance(error, (CatalogParameterError, CatalogStorageError)):
                raise NotReachedError(self.settings.redacted(str(error)) or "no answer") from None
            if isinstance(error, OutOfRequestsError):
                raise
            return Answer(_seen(error), error.status)
        return Answer("rows" if page.count else "no rows", 200, page)


def _seen(error: CatalogError) -> str:
    """Return what came in place of a page; never the error's own text, which may quote the server."""
    if error.status is None:
        return "no answer"
    if 200 <= error.status < 300:
        if isinstance(error, CatalogResponseError):
            return f"{error.status} without a list of rows"
        return f"{error.status}, but {'an HTML page' if 'an HTML page' in str(error) else 'no whole JSON'}"
    return f"{error.status}, a redirect" if 300 <= error.status < 400 else str(error.status)
