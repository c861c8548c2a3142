"""The provider's errors as Airflow's ``AirflowFailException``, which fails a task without retries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_catalog import errors
from airflow_provider_catalog.errors import forget_locals

__all__ = ["fail_at_once"]


@contextmanager
def fail_at_once() -> Iterator[None]:
    """
    Let errors that a retry cannot mend fail the task without Airflow's retries.

    They stay of their own class, so that callbacks and tests catch them by it, and are an ``AirflowFailException`` as
    well. No error of any kind takes rows along in the local variables of its traceback.

    :raises AirflowFailException: in place of a :class:`~airflow_provider_catalog.errors.CatalogError` that is not
        ``retryable``; of the class of the same name in this module.
    """
    try:
        yield
    except BaseException as error:
        forget_locals(error)
        if not isinstance(error, errors.CatalogError) or error.retryable:
            raise
        kind = next(_FAILURES[base] for base in type(error).__mro__ if base in _FAILURES)
        failure = kind(*error.args)
        failure.__dict__.update(error.__dict__)
        raise failure from error.__cause__


class CatalogError(errors.CatalogError, AirflowFailException):
    """A ``CatalogError`` without retries."""


class CatalogParameterError(errors.CatalogParameterError, AirflowFailException):
    """A ``CatalogParameterError`` without retries."""


class CatalogFilterError(errors.CatalogFilterError, AirflowFailException):
    """A ``CatalogFilterError`` without retries."""


class CatalogAuthError(errors.CatalogAuthError, AirflowFailException):
    """A ``CatalogAuthError`` without retries."""


class CatalogRequestError(errors.CatalogRequestError, AirflowFailException):
    """A ``CatalogRequestError`` without retries."""


class CatalogUnavailableError(errors.CatalogUnavailableError, AirflowFailException):
    """A ``CatalogUnavailableError`` without retries."""


class CatalogResponseError(errors.CatalogResponseError, AirflowFailException):
    """A ``CatalogResponseError`` without retries."""


class CatalogPaginationError(errors.CatalogPaginationError, AirflowFailException):
    """A ``CatalogPaginationError`` without retries."""


class CatalogDataMovedError(errors.CatalogDataMovedError, AirflowFailException):
    """A ``CatalogDataMovedError`` without retries."""


class CatalogStorageError(errors.CatalogStorageError, AirflowFailException):
    """A ``CatalogStorageError`` without retries."""


_FAILURES = {
    failure.__mro__[1]: failure
    for failure in AirflowFailException.__subclasses__()
    if issubclass(failure, errors.CatalogError)
}
