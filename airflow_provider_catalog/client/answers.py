"""What a response means: rows, something worth another try, or an error that says what to do.

Error bodies are not documented for these endpoints: JSON, text and HTML are all expected.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec
import requests

from airflow_provider_catalog.client.decoding import MEMORY_LIMIT, Content, NotJsonError, decode, new_body
from airflow_provider_catalog.client.endpoints import Endpoint
from airflow_provider_catalog.client.retry import TransientError, retry_after_seconds
from airflow_provider_catalog.errors import (
    CatalogAuthError,
    CatalogRequestError,
    CatalogResponseError,
    CatalogStorageError,
)

MESSAGE_LENGTH = 200
"""Characters of the server's own message that an error carries."""
_ERROR_BODY = 64 * 1024
"""Bytes of an error's body that are read."""
_CHUNK = 256 * 1024
"""Bytes of a body that are received at once."""
_PASSING = frozenset({408, 425, 429})
"""Statuses under 500 that pass by themselves."""
_WRONG_BODY = frozenset({400, 406, 413, 414, 415, 422})
"""Statuses that speak of what was sent."""
_LIMITED = re.compile(rb"rate.?limit|too many requests|throttl", re.IGNORECASE)
"""What a 403 says that is a rate limit's."""
_OBJECT = re.compile(r"\{|#<")
"""Where a message begins to quote an object, as JSON or as Ruby shows one."""
_TEXTS = ("message", "code", "type", "title", "detail", "description", "reason", "field", "error", "status")
"""Members of an object that is an error."""
_EMAIL = re.compile(r"[^\s\"'<>=&/,;:(]+(@|%40)[^\s\"'<>=&/,;:)]+")


def check_status(response: requests.Response, redacted: Callable[[str], str]) -> None:
    """
    Raise for any status but 2xx.

    :param redacted: takes the token out of what the server says, should it be in there.
    :raises TransientError: for what is worth another try.
    :raises CatalogAuthError: for 401 and 403.
    :raises CatalogRequestError: for another 4xx, or the 403 of a firewall.
    :raises CatalogResponseError: for a redirect.
    """
    status = response.status_code
    if 200 <= status < 300:
        return
    content = _error_body(response)
    text = redacted(server_message(response, content))[:MESSAGE_LENGTH]
    throttled = status == 429 or (status == 403 and _is_rate_limit(response, content))
    if status in _PASSING or status >= 500 or throttled:
        wait = retry_after_seconds(response.headers.get("Retry-After"))
        raise TransientError(f"{status}, {text}", status=status, retry_after=wait, throttled=throttled)
    said = f"the Catalog answers {status} to {response.request.method} {urlsplit(response.url).path}: {text}"
    keys_page = urljoin(response.url, "/admin/api_keys")
    if status == 401:
        raise CatalogAuthError(
            f"make a new API token at {keys_page} and put it into the connection: {said}", status=401
        )
    if status == 403 and _is_html(response, content):
        remedy = "ask whoever runs the firewall or proxy in front of the Catalog to let this machine's address through"
        raise CatalogRequestError(f"{remedy}: {said}", status=403)
    if status == 403:
        raise CatalogAuthError(f"make an API token with analytics rights at {keys_page}: {said}", status=403)
    if status < 400:
        target = redacted(_redirect_target(response))
        raise CatalogResponseError(
            f"correct the Catalog URL: the Catalog redirects ({status}) to {target}, which is not followed, since the "
            "token would go along",
            status=status,
        )
    elsewhere = "check the Catalog URL, and `paths` in the connection's extra"
    remedy = "check the filters" if status in _WRONG_BODY else elsewhere
    raise CatalogRequestError(f"{remedy}: {said}", status=status)


def receive(response: requests.Response, endpoint: Endpoint, *, head_only: bool = False) -> Content:
    """
    Receive a body whole and decode it.

    :param head_only: whether the first rows of a large body are enough; the rest is then not received.
    :raises TransientError: when it breaks off, or is not JSON.
    :raises CatalogResponseError: when it is JSON without rows, or something else that lasts.
    :raises CatalogStorageError: when a large body does not fit on the disk.
    """
    if response.status_code in (204, 205):
        return Content(0, 0, [], {})
    body = new_body()
    is_cut = False
    try:
        for chunk in response.iter_content(_CHUNK):
            with _on_disk():
                body.write(chunk)
            if head_only and body.tell() > MEMORY_LIMIT:
                is_cut = True
                break
        with _on_disk():
            body.seek(0)  # which writes what was still in a buffer
            start = body.read(1024)
            body.seek(0, 2)
        return decode(body, endpoint.root_key, response.encoding, is_cut=is_cut)
    except NotJsonError as error:
        body.close()
        raise _not_json(response, start, error) from None
    except BaseException:
        with suppress(OSError):  # of a buffer that can't be written any more
            body.close()
        raise


def _not_json(response: requests.Response, start: bytes, error: NotJsonError) -> Exception:
    status = response.status_code
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        return CatalogResponseError(
            "configure the proxy in front of the Catalog to compress with gzip, or not at all: the answer is encoded "
            f"as {encoding[:20]!r}",
            status=status,
        )
    if not start and status != 200:
        return CatalogResponseError(
            "ask whoever runs the firewall in front of the Catalog to let this machine's address through: the answer "
            f"is an empty {status}",
            status=status,
        )
    kind = "an HTML page, as of a login or a firewall" if _is_html(response, start) else f"not JSON ({error})"
    return TransientError(f"{status}, but {kind}", status=status)


def _is_rate_limit(response: requests.Response, content: bytes) -> bool:
    """Return whether a 403 is a rate limit's, as Canvas had it (confirmed for Canvas, inferred here)."""
    remaining = response.headers.get("X-Rate-Limit-Remaining", "")
    wait = retry_after_seconds(response.headers.get("Retry-After"))
    return bool(_LIMITED.search(content) or wait) or remaining.startswith("0")


def _error_body(response: requests.Response) -> bytes:
    try:
        return next(response.iter_content(_ERROR_BODY), b"")
    except requests.RequestException:
        return b"(the error's body broke off)"


def _redirect_target(response: requests.Response) -> str:
    """Return where a redirect leads, without its query, which may hold secrets."""
    try:
        target = urlsplit(urljoin(response.url, response.headers.get("Location", "")))
    except ValueError:
        return "something that is no URL"
    return _without_data(f"{target.scheme}://{target.hostname}{target.path}")


def server_message(response: requests.Response, content: bytes) -> str:
    """
    Return what an error response says: its JSON message or its text, never other parts of its JSON.

    A message ends where it begins to quote an object, which may be a row, and has no e-mail address.
    """
    return _without_data(_message(response, content))


def _message(response: requests.Response, content: bytes) -> str:
    if _is_html(response, content):
        return "an HTML page"
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return " ".join(content.decode("utf-8", "replace").split()) or "(no message)"
    for key in ("errors", "error", "message"):
        if isinstance(body, dict) and body.get(key):
            return _flat_text(body[key]) or "(JSON without a message)"
    return body if isinstance(body, str) else "(JSON without an error message)"


def _without_data(text: str) -> str:
    said, *quoted = _OBJECT.split(text, maxsplit=1)
    return _EMAIL.sub("***", said) + ("..." if quoted else "")


@contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CatalogStorageError(
            f"free some space in {tempfile.gettempdir()!r}, or set TMPDIR to another folder: a response does not fit "
            f"there ({error.strerror or error})"
        ) from error


def _is_html(response: requests.Response, content: bytes) -> bool:
    start = content[:1024].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html")) or "html" in response.headers.get("Content-Type", "").lower()


def _flat_text(value: Any) -> str:
    """Return a message, several, or those of several fields; any other part of the JSON may be a row's."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(filter(None, (each if isinstance(each, str) else _said_by(each) for each in value)))
    fields = value.items() if isinstance(value, dict) else ()
    of_fields = [f"{key}: {'; '.join(each)}" for key, each in fields if _is_texts(each)]
    return "; ".join(filter(None, [_said_by(value), *of_fields]))


def _said_by(value: Any) -> str:
    """Return what an error says that is an object."""
    if not isinstance(value, dict):
        return ""
    texts = {name: value[name] for name in _TEXTS if isinstance(value.get(name), str)}
    return texts.get("message") or "; ".join(f"{name}: {text}" for name, text in texts.items())


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
