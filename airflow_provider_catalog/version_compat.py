"""What has another place in different versions of Airflow, and how our errors meet Airflow's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_catalog.errors import CatalogError, forget_locals

if TYPE_CHECKING:
    from airflow.sdk import BaseHook
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
    from airflow.sdk.observability.stats import Stats
else:
    try:
        from airflow.sdk import BaseHook
    except ImportError:  # Airflow 3.0
        from airflow.hooks.base import BaseHook
    try:
        from airflow.sdk.configuration import conf
        from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
    except ImportError:  # Airflow 3.0 and 3.1
        from airflow.configuration import conf
        from airflow.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
    try:
        from airflow.sdk.observability.stats import Stats
    except ImportError:  # Airflow 3.0 and 3.1
        from airflow.stats import Stats

__all__ = [
    "AirflowFailException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "BaseHook",
    "Stats",
    "conf",
    "fail_at_once",
]


@contextmanager
def fail_at_once() -> Iterator[None]:
    """
    Let errors that a retry cannot mend fail the task without Airflow's retries.

    They stay of their own class, so that callbacks and tests catch them by it; they are Airflow's
    ``AirflowFailException`` as well. No error of any kind takes rows along in the local variables of its traceback.
    """
    try:
        yield
    except BaseException as error:
        forget_locals(error)
        if not isinstance(error, CatalogError) or error.retryable:
            raise
        kind = type(error)
        failure = type(kind.__name__, (kind, AirflowFailException), {"__module__": kind.__module__})(*error.args)
        failure.__dict__.update(error.__dict__)
        raise failure from error.__cause__
