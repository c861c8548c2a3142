"""One sensor for each endpoint of the Analytics API: waits until enough rows match."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Generic

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_catalog import errors
from airflow_provider_catalog.client.filters import EnrollmentsFilters, OrdersFilters, ProductsFilters, UsersFilters
from airflow_provider_catalog.errors import CatalogError, CatalogParameterError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.utils.analytics_task import AnalyticsTask, Filters, Templated, Untyped
from airflow_provider_catalog.utils.metrics import reported_poll
from airflow_provider_catalog.version_compat import AirflowSensorTimeout, conf, fail_at_once

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_catalog.client.client import CatalogClient
    from airflow_provider_catalog.client.poll import Poll


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
    :param min_rows: how many rows have to match, 1 or more.
    :param fields: the only fields to keep, dotted (``"product.id"``); all where ``None``.
    :param drop_fields: fields to leave out, dotted; ``*`` matches one level.
    :param hash_fields: fields to replace by a keyed HMAC-SHA-256, dotted; ``*`` matches one level. The key is the
        connection's ``hash_secret``.
    :param deferrable: wait in the triggerer, without a worker slot; then ``mode`` has no meaning. The default is
        Airflow's ``[operators] default_deferrable``.
    :param poke_interval: and ``timeout``, ``mode``, ``soft_fail``, ``exponential_backoff``, ``max_wait``, ...: as in
        Airflow's ``BaseSensorOperator``.
    :raises CatalogParameterError: for a parameter that is wrong; ``CatalogFilterError`` for a filter.
    :raises CatalogAuthError: when the token is refused, or lacks analytics rights.
    :raises CatalogRequestError: when the request is refused.
    :raises CatalogResponseError: for an answer without rows.
    :raises CatalogPaginationError: when pages go in circles or lead to another host.
    :raises AirflowSensorTimeout: when there are not enough rows within ``timeout``.
    """

    template_fields: Sequence[str] = ("catalog_conn_id", "filters")
    ui_color = "#f9e6d8"

    _last_poll: Poll | None = None
    """What the last poke found, as long as the log does not yet say so."""

    def __init__(
        self,
        *,
        catalog_conn_id: str = CatalogHook.default_conn_name,
        filters: Filters | dict[str, Untyped] | Templated | None = None,
        min_rows: int = 1,
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
        if isinstance(min_rows, bool) or not isinstance(min_rows, int) or min_rows < 1:
            raise CatalogParameterError(f"min_rows is {min_rows!r}; allowed: an integer of 1 or more")

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
        finally:
            if self._last_poll:
                self._last_poll.report()  # no poke follows

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
        status = event.get("status") if isinstance(event, Mapping) else None
        if status == "timeout":
            raise self._timed_out()
        with fail_at_once():
            if status == "error" and event is not None:
                raise _error_of(event)
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
        from airflow_provider_catalog.client.poll import poll

        with fail_at_once():
            filters = self._checked_filters()
            transform = self._transform()
            look = partial(poll, self._client, self._spec, filters, min_rows=self.min_rows)
            result = reported_poll(self.endpoint, self._client, look)
            if result.is_done:
                result.report()
                return PokeReturnValue(
                    True, {"row_count": result.row_count, "rows": self._first_rows(transform, result.rows)}
                )
        if self.deferrable:
            self._defer(filters, result)
        self._last_poll = result
        return PokeReturnValue(False)

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        # Airflow asks for this between two pokes: only now the line about the last poke can say when the next one is.
        seconds = super()._get_next_poke_interval(*args, **kwargs)
        if self._last_poll:
            self._last_poll.report(seconds)
            self._last_poll = None
        return seconds

    def _defer(self, filters: dict[str, Any], result: Poll) -> None:
        from airflow_provider_catalog.triggers.analytics import LAST_POLL, CatalogAnalyticsTrigger

        trigger = CatalogAnalyticsTrigger(
            catalog_conn_id=self.catalog_conn_id,
            endpoint=self.endpoint,
            filters=filters,
            min_rows=self.min_rows,
            poke_interval=self.poke_interval,
            exponential_backoff=self.exponential_backoff,
            max_wait=self.max_wait.total_seconds() if self.max_wait else None,
            started_at=self._started_at,
            deadline=self._started_at + self.timeout,
        )
        now = time.time()
        if now >= self._started_at + self.timeout:
            result.report()
            raise self._timed_out()
        result.report(trigger.pace.next_poll(now) - now)
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            kwargs={"started_at": self._started_at},
            # The trigger minds the deadline itself; this is for when no triggerer runs.
            timeout=timedelta(seconds=self._started_at + self.timeout + 2 * LAST_POLL - now),
        )

    def _timed_out(self) -> AirflowSensorTimeout:
        return AirflowSensorTimeout(
            f"{self.endpoint}: fewer than min_rows={self.min_rows} rows match after "
            f"{time.time() - self._started_at:.0f} s (timeout={self.timeout:g})"
        )


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
