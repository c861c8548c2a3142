"""One sensor for each endpoint of the Analytics API: waits until enough rows match."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_catalog import errors
from airflow_provider_catalog.client.filters import EnrollmentsFilters, OrdersFilters, ProductsFilters, UsersFilters
from airflow_provider_catalog.errors import CatalogError, CatalogParameterError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.utils.analytics_task import AnalyticsTask, Filters, Templated, Untyped
from airflow_provider_catalog.utils.failures import fail_at_once
from airflow_provider_catalog.utils.parameters import is_known, rendered_value
from airflow_provider_catalog.utils.polls import poll_once

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_catalog.client.client import CatalogClient

__all__ = [
    "CatalogAnalyticsBaseSensor",
    "CatalogEnrollmentsAnalyticsSensor",
    "CatalogOrdersAnalyticsSensor",
    "CatalogProductsAnalyticsSensor",
    "CatalogUsersAnalyticsSensor",
]


class CatalogAnalyticsBaseSensor(AnalyticsTask, BaseSensorOperator, Generic[Filters]):
    """
    Waits until at least ``min_rows`` rows of one endpoint match; its subclasses say which endpoint.

    The XCom is ``{"row_count": N, "rows": [...]}``: the exact number of rows that match, and those of the first page,
    less what ``fields``, ``drop_fields`` and ``hash_fields`` say. It is the same in every mode.

    A server that is down or throttles is "not yet", with a WARNING for each poke, until ``timeout``. What will last,
    such as a token or a filter that is refused, fails the task at once, without Airflow's retries; ``soft_fail`` and
    ``never_fail`` skip it then, as they do for every sensor.

    :param catalog_conn_id: id of a connection of the type ``instructure_catalog``. (templated)
    :param filters: the endpoint's filters, a dict of name and value; all rows where ``None``. An unknown name fails
        when the DAG is parsed, a value that is not allowed before the first request. (templated at any depth)
    :param min_rows: how many rows have to match, 1 or more. (templated)
    :param fields: the only fields to keep, dotted (``"product.id"``); all where ``None``. (templated)
    :param drop_fields: fields to leave out, dotted; ``*`` matches one level. (templated)
    :param hash_fields: fields to replace by a keyed HMAC-SHA-256, dotted; ``*`` matches one level. The key is the
        connection's ``hash_secret``. (templated)
    :param deferrable: wait in the triggerer, without a worker slot; then ``mode`` has no meaning. The default is
        Airflow's ``[operators] default_deferrable``.
    :param poke_interval: and ``timeout``, ``mode``, ``soft_fail``, ``exponential_backoff``, ``max_wait``, ...: as in
        Airflow's ``BaseSensorOperator``.
    :raises CatalogParameterError: for a parameter that is wrong; ``CatalogFilterError`` for a filter.
    :raises CatalogAuthError: when the token is refused, or lacks analytics rights.
    :raises CatalogRequestError: when the request is refused.
    :raises CatalogResponseError: for an answer without rows.
    :raises CatalogPaginationError: when links go in circles. That a server promises more than it gives is "not yet".
    :raises AirflowSensorTimeout: when there are not enough rows within ``timeout``; says what the last poke saw.
    """

    template_fields: Sequence[str] = ("catalog_conn_id", "filters", "min_rows", "fields", "drop_fields", "hash_fields")
    ui_color = "#f9e6d8"

    _seen: str | None = None
    """What the last poke saw."""

    def __init__(
        self,
        *,
        catalog_conn_id: str = CatalogHook.default_conn_name,
        filters: Filters | dict[str, Untyped] | Templated | None = None,
        min_rows: int | Templated = 1,
        fields: list[str] | Templated | None = None,
        drop_fields: list[str] | Templated | None = None,
        hash_fields: list[str] | Templated | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.catalog_conn_id = catalog_conn_id
        self.filters = filters
        self.min_rows = min_rows
        self.fields = fields
        self.drop_fields = drop_fields
        self.hash_fields = hash_fields
        self.deferrable = deferrable
        self._check_names()
        if is_known(min_rows):
            _checked_min_rows(min_rows)

    @cached_property
    def _client(self) -> CatalogClient:
        from airflow_provider_catalog.client.client import CatalogClient

        return CatalogClient(self.hook.settings, max_tries=1)  # the next poke is the next try

    def execute(self, context: Context) -> Any:
        """
        Wait for the rows, or defer to the triggerer after the first poke.

        :raises CatalogError: as the class says.
        """
        self._started_at = time.time()
        try:
            with self._killable():
                return super().execute(context)
        except (AirflowSensorTimeout, AirflowSkipException) as error:
            if self._seen is None or error.__cause__ is not None:  # soft_fail skips for other reasons, too
                raise
            raise type(error)(self._timeout_message(self._seen)) from None

    def execute_complete(
        self, context: Context, event: Mapping[str, Any] | None = None, started_at: float | None = None
    ) -> Any:
        """
        Go on after the trigger has fired: look once more, for it brings no rows, and defer again if some have gone.

        :param event: the trigger's payload.
        :param started_at: when the sensor began to wait, in seconds since the epoch.
        :raises CatalogError: for what the trigger failed of, and for an event that is not one of its own.
        :raises AirflowSensorTimeout: when the time was up.
        """
        self._started_at = time.time() if started_at is None else started_at
        fired = event if isinstance(event, Mapping) else {}
        status = fired.get("status")
        if status == "timeout":
            raise AirflowSensorTimeout(self._timeout_message(fired.get("last_poll")))
        with fail_at_once():
            if status == "error":
                raise _error_of(fired)
            if status != "done":
                raise CatalogError(
                    f"{self.endpoint}: the trigger fired an unexpected event (a {type(event).__name__} with the status "
                    f"{status!r}); are triggerer and workers of one version of the provider?",
                    endpoint=self.endpoint,
                    retryable=False,
                )
        self.deferrable = True  # it was when it deferred, whatever the DAG says by now
        with self._killable():
            return self.poke(context).xcom_value

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Look once how many rows match.

        :raises CatalogError: for what will last.
        """
        with fail_at_once():
            min_rows = _checked_min_rows(self.min_rows)
            filters = self._checked_filters()
            self._take_rendered()
            transform = self._transform()
            result = poll_once(self._client, self.endpoint, filters, min_rows=min_rows, log=self.log)
            self._seen = str(result)
            if result.is_done:
                rows = self._first_rows(transform, result.rows)
                return PokeReturnValue(True, {"row_count": result.row_count, "rows": rows})
        if self.deferrable:
            self._defer(filters, min_rows)
        return PokeReturnValue(False)

    def _defer(self, filters: dict[str, Any], min_rows: int) -> None:
        from airflow_provider_catalog.triggers.analytics import LAST_POLL, CatalogAnalyticsTrigger

        trigger = CatalogAnalyticsTrigger(
            catalog_conn_id=self.catalog_conn_id,
            endpoint=self.endpoint,
            filters=filters,
            min_rows=min_rows,
            poke_interval=self.poke_interval,
            exponential_backoff=self.exponential_backoff,
            max_wait=self.max_wait.total_seconds() if self.max_wait else None,
            started_at=self._started_at,
            deadline=self._started_at + self.timeout,
        )
        now = time.time()
        if now >= self._started_at + self.timeout:
            raise AirflowSensorTimeout(self._timeout_message(self._seen))
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            kwargs={"started_at": self._started_at},
            # The trigger minds the deadline itself; this is for when no triggerer runs.
            timeout=timedelta(seconds=self._started_at + self.timeout + 2 * LAST_POLL - now),
        )

    def _timeout_message(self, last_poll: str | None) -> str:
        return (
            f"{self.endpoint}: timed out (timeout={self.timeout:g} s); last poll: {last_poll or 'none'}; "
            f"raise timeout, lower min_rows, or check connection {self.catalog_conn_id!r}"
        )


def _checked_min_rows(value: object) -> int:
    """Return ``min_rows`` as a number; templates give text."""
    number = rendered_value("min_rows", value)
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise CatalogParameterError(f"min_rows is {value!r}; allowed: an integer of 1 or more, or a template of one")
    return number


def _error_of(event: Mapping[str, Any]) -> CatalogError:
    """Return the error that the trigger has met, of the same class as there."""
    kind = getattr(errors, str(event.get("kind")), CatalogError)
    return kind(str(event.get("message")), retryable=False)


class CatalogProductsAnalyticsSensor(CatalogAnalyticsBaseSensor[ProductsFilters]):
    """
    Waits for products.

    For the parameters see :class:`CatalogAnalyticsBaseSensor`.
    """

    endpoint = "products"


class CatalogEnrollmentsAnalyticsSensor(CatalogAnalyticsBaseSensor[EnrollmentsFilters]):
    """
    Waits for enrollments.

    For the parameters see :class:`CatalogAnalyticsBaseSensor`.
    """

    endpoint = "enrollments"


class CatalogOrdersAnalyticsSensor(CatalogAnalyticsBaseSensor[OrdersFilters]):
    """
    Waits for orders.

    For the parameters see :class:`CatalogAnalyticsBaseSensor`.
    """

    endpoint = "orders"


class CatalogUsersAnalyticsSensor(CatalogAnalyticsBaseSensor[UsersFilters]):
    """
    Waits for users.

    For the parameters see :class:`CatalogAnalyticsBaseSensor`.
    """

    endpoint = "users"
