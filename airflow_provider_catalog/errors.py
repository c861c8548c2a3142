"""Every error that the provider raises of its own accord.

Messages name the parameter, endpoint, status or path at fault and the remedy; never a token, never a row.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator

__all__ = [
    "CatalogAuthError",
    "CatalogDataMovedError",
    "CatalogError",
    "CatalogFilterError",
    "CatalogPaginationError",
    "CatalogParameterError",
    "CatalogRequestError",
    "CatalogResponseError",
    "CatalogStorageError",
    "CatalogUnavailableError",
]


class CatalogError(Exception):
    """
    Base of all the provider's errors.

    :param message: what went wrong and what to do about it.
    :param endpoint: the endpoint that was being read, where there is one.
    :param status: the HTTP status of the response, where there is one.
    :param retryable: whether trying again later may help; the default is the class's own. An error that a
        retry cannot mend fails an Airflow task at once, whatever its ``retries``.
    """

    retryable = True

    def __init__(
        self,
        message: str = "",
        *,
        endpoint: str | None = None,
        status: int | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.endpoint = endpoint
        self.status = status
        if retryable is not None:
            self.retryable = retryable


class CatalogParameterError(CatalogError, ValueError):
    """A parameter of an operator, a sensor or the connection is wrong."""

    retryable = False


class CatalogFilterError(CatalogParameterError):
    """A filter is unknown, or its value is not one that the API takes."""


class CatalogAuthError(CatalogError):
    """The Catalog refuses the token, or the token lacks analytics rights (401, 403)."""

    retryable = False


class CatalogRequestError(CatalogError):
    """The Catalog refuses the request (a 4xx other than 401 and 403 that a retry cannot mend)."""

    retryable = False


class CatalogUnavailableError(CatalogError):
    """The Catalog did not answer properly, however often it was asked."""


class CatalogResponseError(CatalogError):
    """The Catalog answered with something that the API does not promise."""

    retryable = False


class CatalogPaginationError(CatalogError):
    """Links go in circles, pages can't be told apart, or there is more than came."""


class CatalogDataMovedError(CatalogPaginationError):
    """The pages don't fit together, as when the data changed between two of them; reading again may mend that."""


class CatalogStorageError(CatalogError):
    """The output can't be written: a full disk, a folder without write permission, a store that refuses."""


def forget_locals(error: BaseException) -> None:
    """
    Clear the local variables in the tracebacks of an error and of what led to it.

    Tools that show them (Sentry, rich) would show rows and headers. Frames that still run keep theirs; so call this
    where an error leaves the code that has such variables. What was suppressed with ``from None`` is dropped.

    :param error: an error that is being handled.
    """
    for each in causes(error):
        if each.__suppress_context__ and each.__cause__ is None:
            each.__context__ = None
        traceback.clear_frames(each.__traceback__)


def is_timeout(error: BaseException) -> bool:
    """Return whether an error came of waiting too long, for a connection or an answer."""
    return any(isinstance(each, TimeoutError) for each in causes(error))


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it; urllib3's hold it as an argument."""
    seen: set[int] = set()
    queue: list[object] = [error]
    while queue:
        each = queue.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            queue += [each.__cause__, each.__context__, *each.args, getattr(each, "reason", None)]
