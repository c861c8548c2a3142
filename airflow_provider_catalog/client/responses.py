"""What a response means: rows, something worth another try, or an error that says what to do.

Error bodies are not documented for these endpoints: JSON, text and HTML are all expected.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec
import requests
from urllib3.exceptions import LocationParseError

from airflow_provider_catalog.client.body import NotJsonError, Rows, new_body, read_rows
from airflow_provider_catalog.client.endpoints import Endpoint
from airflow_provider_catalog.client.progress import Interval
from airflow_provider_catalog.client.retry import RETRIED_STATUSES, TlsError, TransientError, retry_after_seconds
from airflow_provider_catalog.errors import (
    CatalogAuthError,
    CatalogParameterError,
    CatalogRequestError,
    CatalogResponseError,
    CatalogStorageError,
    forget_locals,
)

log = logging.getLogger(__name__)

MESSAGE_LENGTH = 200
"""Characters of the server's own message that an error carries."""
_ERROR_BODY = 64 * 1024
"""Bytes of an error's body that are read."""
_CHUNK = 256 * 1024
"""Bytes of a body that are received at once."""
_OBJECT = re.compile(r"\{|#<")
"""Where a message begins to quote an object, as JSON or as Ruby shows one."""
_EMAIL = re.compile(r"[^\s\"'<>=&/,;:(]+(@|%40)[^\s\"'<>=&/,;:)]+")


@contextmanager
def transport_errors(timeout: float) -> Iterator[None]:
    """
    Translate what goes wrong below HTTP into :class:`TransientError`.

    :param timeout: seconds that were waited for a byte, for the message.
    """
    try:
        yield
    except (requests.RequestException, LocationParseError) as error:
        forget_locals(error)  # among those of requests and urllib3 are the headers, with the token
        failure = _translated(error, timeout)
        raise failure from (error if isinstance(failure, TransientError) else None)


def _translated(error: Exception, timeout: float) -> Exception:
    timed_out = f"no answer within the timeout ({timeout:g} s)"
    match error:
        case requests.exceptions.ContentDecodingError():
            return TransientError("the compressed body is damaged")
        case requests.exceptions.ChunkedEncodingError():
            return TransientError(f"the body broke off ({_root_cause(error)})")
        case requests.Timeout():
            return TransientError(timed_out)
        case requests.exceptions.SSLError():
            return TlsError(f"TLS failed ({_root_cause(error)})")
        case requests.ConnectionError():
            # "Read timed out" is how requests says it when it happens inside a body.
            is_timeout = "Read timed out" in str(error)
            return TransientError(timed_out if is_timeout else f"the connection failed ({_root_cause(error)})")
    # An URL that can't be asked: of the connection or its proxy, for links were looked at before.
    return CatalogParameterError(
        f"the Catalog URL, or the proxy, can't be used ({type(error).__name__}); check the connection"
    )


def check_status(response: requests.Response, what: str, redacted: Callable[[str], str]) -> None:
    """
    Pass a 200, and raise for all else.

    :param what: the endpoint or path that was asked, for the message.
    :param redacted: takes the token out of what the server says, should it be in there.
    :raises TransientError: for what is worth another try.
    :raises CatalogAuthError: for 401 and 403.
    :raises CatalogRequestError: for another 4xx.
    :raises CatalogResponseError: for what the API doesn't promise, redirects among it.
    """
    status = response.status_code
    if status == 200:
        return
    content = _error_body(response)
    text = redacted(server_message(response, content))[:MESSAGE_LENGTH]
    rate_limited = status == 429 or (status == 403 and b"rate limit exceeded" in content.lower())
    if status in RETRIED_STATUSES or rate_limited:
        wait = retry_after_seconds(response.headers.get("Retry-After"))
        raise TransientError(f"{status}, {text}", status=status, retry_after=wait, throttled=rate_limited)
    asked = f"{response.request.method} {urlsplit(response.url).path}"
    message = f"{what}: the Catalog answers {status} to {asked}: {text}"
    if status in (401, 403):
        remedy = (
            "check the API token of the connection"
            if status == 401
            else "the token lacks the rights to this; make one with analytics rights at /admin/api_keys"
        )
        raise CatalogAuthError(f"{message} ({remedy})", endpoint=what, status=status)
    if 300 <= status < 400:
        target = redacted(_redirect_target(response))
        raise CatalogResponseError(
            f"{what}: the Catalog redirects ({status}) to {target}, which is not followed, since the token would go "
            "along; check the Catalog URL",
            endpoint=what,
            status=status,
        )
    if 400 <= status < 500:
        remedy = (
            " (if the path differs on your Catalog, set `paths` in the connection's extra)" if status == 404 else ""
        )
        raise CatalogRequestError(message + remedy, endpoint=what, status=status)
    raise CatalogResponseError(message, endpoint=what, status=status)


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
    if _is_html(content) or "html" in response.headers.get("Content-Type", "").lower():
        return "an HTML page"
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return " ".join(content.decode("utf-8", "replace").split()) or "(no message)"
    for key in ("errors", "error", "message"):
        if isinstance(body, dict) and body.get(key):
            return _flat_text(body[key])
    return body if isinstance(body, str) else "(JSON without an error message)"


def _without_data(text: str) -> str:
    said, *quoted = _OBJECT.split(text, maxsplit=1)
    return _EMAIL.sub("***", said) + ("..." if quoted else "")


def check_is_json(response: requests.Response, what: str) -> None:
    """
    Look at the start of a 200's body only: without pagination, all of it may be very long.

    :raises CatalogResponseError: when it is not a JSON object.
    """
    start = next(response.iter_content(_CHUNK), b"")
    if not start.lstrip().startswith(b"{"):
        kind = "an HTML page" if _is_html(start) else "something"
        raise CatalogResponseError(
            f"{what}: the Catalog answers 200 with {kind} that is not JSON", endpoint=what, status=200
        )


def receive_rows(response: requests.Response, endpoint: Endpoint) -> Rows:
    """
    Receive the body whole and decode it.

    :raises TransientError: when it breaks off, or is not JSON.
    :raises CatalogResponseError: when it is JSON without rows.
    :raises CatalogStorageError: when a large body doesn't fit on the disk.
    """
    body = new_body()
    interval = Interval()
    try:
        for chunk in response.iter_content(_CHUNK):
            with _spooling(endpoint):
                body.write(chunk)
            if interval.is_over():
                log.info("Catalog %s: %d MB of one response received", endpoint.name, body.tell() // 1_000_000)
        with _spooling(endpoint):
            body.seek(0)  # which writes what was still in a buffer
        is_html = _is_html(body.read(_CHUNK))
        body.seek(0, 2)
        return read_rows(body, endpoint)
    except NotJsonError as error:
        body.close()
        kind = "an HTML page" if is_html else f"a body that is not JSON ({error})"
        raise TransientError(f"200, {kind}", status=200) from None
    except BaseException:
        with suppress(OSError):  # of a buffer that can't be written any more, and that nobody wants
            body.close()
        raise


@contextmanager
def _spooling(endpoint: Endpoint) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CatalogStorageError(
            f"{endpoint.name}: a response does not fit into {tempfile.tempdir!r}, the folder of temporary files "
            f"({error.strerror or error}); free some space there, or set TMPDIR to another folder",
            endpoint=endpoint.name,
        ) from error


def _is_html(content: bytes) -> bool:
    start = content[:1024].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html"))


def _flat_text(value: Any) -> str:
    if isinstance(value, dict):
        if "message" in value:
            return _flat_text(value["message"])
        return "; ".join(f"{key}: {_flat_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "; ".join(map(_flat_text, value))
    return str(value)


def _wrapped(error: BaseException) -> Iterator[BaseException]:
    """Yield what an error of urllib3's has for its text, which is all it tells of a failure behind a proxy."""
    return (each for each in error.args if isinstance(each, BaseException))


def _root_cause(error: BaseException) -> str:
    """Return what is at the bottom of a chain of wrapped errors, in the operating system's words where it has any."""
    while inner := error.__cause__ or error.__context__ or next(_wrapped(error), None):
        error = inner
    return getattr(error, "strerror", None) or getattr(error, "verify_message", None) or type(error).__name__
