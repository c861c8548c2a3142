"""Asks, within a bounded number of requests, and keeps of an answer what the questions are about."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec
import requests

from airflow_provider_catalog.client.client import CatalogClient
from airflow_provider_catalog.client.responses import transport_errors
from airflow_provider_catalog.client.retry import RETRIED_STATUSES, TlsError, TransientError, retry_after_seconds

TRIES = 5
"""How often a question is asked that gets no proper answer; each time counts as a request."""
FEW_TRIES = 2
"""The same, as long as the Catalog has not answered at all, and after it failed that often until it does better."""
BACKOFF = 0.5
"""Seconds before a question is asked again; twice as many before each further time."""
MAX_WAIT = 60.0
"""Seconds; a server that asks for more patience is asked again after this."""
TIMEOUT = 30.0
"""Seconds without a byte after which a request is given up, where the connection's timeout is not shorter."""
BODY_LIMIT = 2 * 1024 * 1024
"""Bytes of an answer that are read: a Catalog that does not page sends all its rows."""

# Fixed, so that the name of a header can't tell anything either.
RATE_HEADERS = (
    "Retry-After",
    "X-Request-Cost",
    "X-Rate-Limit-Limit",
    "X-Rate-Limit-Remaining",
    "X-Rate-Limit-Reset",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "RateLimit",
    "RateLimit-Policy",
)

Kind = Literal["JSON", "an HTML page", "text", "an empty body", "a damaged body", "no answer"]
Encoding = Literal["json", "form", "form without []"]


class OutOfRequestsError(Exception):
    """As many requests have been made as were allowed."""


class NotReachedError(Exception):
    """The Catalog has not answered anything yet; the text says why, for the person who asks."""


@dataclass(frozen=True)
class Answer:
    """
    What an answer tells. Its ``repr`` shows nothing of what the Catalog holds.

    :param status: the HTTP status; 0 for none.
    :param kind: what the body is.
    :param root: the body, where it is a JSON object: of a body that is cut off only the first key, with its rows.
    :param cut: whether there is more of the body than was read.
    :param links: the parsed ``Link`` header, as ``requests.Response.links`` gives it.
    :param throttled: whether the server asked for fewer requests.
    """

    status: int = 0
    kind: Kind = "no answer"
    root: Mapping[str, Any] = field(default_factory=dict, repr=False)
    cut: bool = False
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    throttled: bool = False

    @property
    def is_good(self) -> bool:
        """Whether it is a 200 with a JSON object."""
        return self.status == 200 and bool(self.root)

    @property
    def is_refused(self) -> bool:
        """Whether the server says that the request is wrong, rather than that it can't answer now."""
        return 400 <= self.status < 500 and not self.may_pass

    @property
    def may_pass(self) -> bool:
        """Whether asking again may help."""
        broken = self.status == 200 and self.kind not in ("JSON", "text")
        return self.throttled or broken or self.status in RETRIED_STATUSES or self.status == 0

    def rows(self, expected: str) -> list[Any] | None:
        """
        Return the rows as the provider finds them, or ``None``.

        :param expected: the key under which they are expected.
        """
        key = self.rows_key(expected)
        return None if key is None else self.root[key]

    def rows_key(self, expected: str) -> str | None:
        """Return the key under which rows are: the expected one, or else the only one with a list."""
        if self.status != 200:
            return None
        lists = [key for key, value in self.root.items() if isinstance(value, list)]
        if expected in lists:
            return expected
        return lists[0] if len(lists) == 1 and lists != ["errors"] else None

    def __str__(self) -> str:
        return f"{self.status}, {self.kind}" if self.status else self.kind


class Asker:
    """
    Asks one Catalog, one request at a time.

    :param client: the Catalog.
    :param max_requests: how many requests are made at most, those that are repeated included.
    :param say: told, in words without anything of the Catalog's, when the person has to wait.
    """

    def __init__(self, client: CatalogClient, max_requests: int, say: Callable[[str], None]) -> None:
        self.client = client
        self.max_requests = max_requests
        self.count = 0
        self.throttled = 0
        self.html = 0
        self.gzip = False
        self.rate_headers: dict[str, str] = {}
        self._reached = False
        self._patience = TRIES
        self._say = say

    def post(
        self,
        path: str,
        filters: Mapping[str, Any] | None = None,
        *,
        encoding: Encoding = "json",
        page: int | None = None,
        per_page: int = 1,
    ) -> Answer:
        """
        Ask for one page of rows.

        :raises OutOfRequestsError: when no more requests are allowed.
        :raises NotReachedError: when nothing has been answered so far, this time included.
        """
        numbers = {"per_page": per_page} if page is None else {"page": page, "per_page": per_page}
        return self._ask("POST", f"{path}?{urlencode(numbers)}", *encode(filters or {}, encoding))

    def get(self, path: str) -> Answer:
        """Ask the path with GET, for one row."""
        return self._ask("GET", f"{path}?per_page=1")

    def _ask(self, method: str, path: str, body: bytes | None = None, content_type: str | None = None) -> Answer:
        tries = 0
        while True:
            answer, wait, problem = self._once(method, path, body, content_type)
            tries += 1
            self._reached = self._reached or bool(answer.status)
            if not answer.may_pass:
                self._patience = TRIES
                return answer
            if tries >= (self._patience if self._reached else FEW_TRIES):
                if not self._reached:
                    raise NotReachedError(problem)
                self._patience = FEW_TRIES
                return answer
            seconds = BACKOFF * 2 ** (tries - 1) if wait is None else min(wait, MAX_WAIT)
            if seconds >= 5:
                self._say(f"The Catalog asks for patience; going on in {seconds:.0f} s.")
            time.sleep(seconds)

    def _once(
        self, method: str, path: str, body: bytes | None, content_type: str | None
    ) -> tuple[Answer, float | None, str]:
        """Return the answer, the wait that the server asks for, and why there is no answer."""
        if self.count >= self.max_requests:
            raise OutOfRequestsError
        self.count += 1
        timeout = min(TIMEOUT, self.client.settings.timeout)
        try:
            with transport_errors(timeout):
                response = self.client.send(method, path, body, content_type, timeout=timeout)
        except TlsError as error:
            raise NotReachedError(str(error)) from None
        except TransientError as error:
            return Answer(), None, str(error)
        with response:
            answer = self._read(response, timeout)
        self._note(response, answer)
        return answer, retry_after_seconds(response.headers.get("Retry-After")), ""

    def _read(self, response: requests.Response, timeout: float) -> Answer:
        try:
            with transport_errors(timeout):
                content, cut = _start_of(response)
        except TransientError:
            return Answer(response.status_code, "a damaged body")
        kind, root = _decoded(content, cut)
        throttled = response.status_code == 429 or (
            response.status_code == 403 and b"rate limit exceeded" in content[:1000].lower()
        )
        return Answer(response.status_code, kind, root, cut, response.links, throttled)

    def _note(self, response: requests.Response, answer: Answer) -> None:
        self.throttled += answer.throttled
        self.html += answer.status == 200 and answer.kind == "an HTML page"
        self.gzip = self.gzip or "gzip" in response.headers.get("Content-Encoding", "")
        for name in RATE_HEADERS:
            if (value := response.headers.get(name)) is not None:
                # A number tells the limit; what else may stand there is not known, so it is not told.
                self.rate_headers[name] = value if re.fullmatch(r"\d{1,10}(\.\d{1,20})?", value) else "not a number"


def encode(filters: Mapping[str, Any], encoding: Encoding) -> tuple[bytes, str]:
    """Return a body with the filters, and its ``Content-Type``."""
    if encoding == "json":
        return msgspec.json.encode(filters), "application/json"
    suffix = "[]" if encoding == "form" else ""
    fields = [
        (f"{name}{suffix}", item) if isinstance(value, list) else (name, item)
        for name, value in filters.items()
        for item in (value if isinstance(value, list) else [value])
    ]
    return urlencode(fields).encode(), "application/x-www-form-urlencoded"


def _start_of(response: requests.Response) -> tuple[bytes, bool]:
    content = bytearray()
    for chunk in response.iter_content(64 * 1024):
        content += chunk
        if len(content) > BODY_LIMIT:
            return bytes(content), True
    return bytes(content), False


def _decoded(content: bytes, cut: bool) -> tuple[Kind, Mapping[str, Any]]:
    start = content[:1024].lstrip().lower()
    if not start:
        return "an empty body", {}
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page", {}
    if cut:
        return "JSON", _first_rows(content.decode("utf-8", "replace"))
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ("a damaged body" if start.startswith((b"{", b"[")) else "text"), {}
    return "JSON", body if isinstance(body, dict) else {}


_FIRST_LIST = re.compile(r'\s*\{\s*"([^"\\]*)"\s*:\s*\[\s*')
_COMMA = re.compile(r"\s*,\s*")


def _first_rows(text: str) -> dict[str, Any]:
    """Return the whole rows at the start of a body that is cut off."""
    match = _FIRST_LIST.match(text)
    if not match:
        return {}
    rows: list[Any] = []
    decoder = json.JSONDecoder()
    comma: re.Match[str] | None = match
    while comma:
        try:
            row, end = decoder.raw_decode(text, comma.end())
        except (ValueError, RecursionError):
            break
        rows.append(row)
        comma = _COMMA.match(text, end)
    return {match[1]: rows}
