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


def _failing(kind: type[errors.CatalogError]) -> type[errors.CatalogError]:
    """Return a class of the same name that Airflow takes for a failure without retries."""
    return type(kind.__name__, (kind, AirflowFailException), {"__doc__": kind.__doc__, "__module__": __name__})


_FAILURES = {
    kind: _failing(kind)
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.CatalogError)
}
globals().update({kind.__name__: failure for kind, failure in _FAILURES.items()})  # where pickle looks for them
