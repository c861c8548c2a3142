"""What the operators and the sensors of the four endpoints have in common: filters, and what is kept of a row."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import msgspec
from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_catalog.client.endpoints import ENDPOINTS, Endpoint, EndpointName
from airflow_provider_catalog.client.filter_check import check_filter_names, check_filters
from airflow_provider_catalog.client.filter_values import shown
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.links.analytics import CatalogAnalyticsLink
from airflow_provider_catalog.output.transform import RowTransform

log = logging.getLogger(__name__)


def _is_told_later(value: object) -> bool:
    """Tell whether a value is an ``XComArg``, or the like, which has none when the DAG is parsed."""
    return hasattr(value, "resolve")


MAX_XCOM_DEPTH = 100
"""Levels of a row in an XCom. Airflow goes through XComs recursively, and fails at some hundreds of levels."""

Filters = TypeVar("Filters")
"""The ``TypedDict`` of an endpoint's filters."""


class AnalyticsTask:
    """A task that reads one endpoint; stands before Airflow's own class among the bases."""

    endpoint: ClassVar[EndpointName]

    template_fields_renderers: ClassVar[dict[str, str]] = {"filters": "json"}
    operator_extra_links: Collection[BaseOperatorLink] = (CatalogAnalyticsLink(),)

    catalog_conn_id: str
    filters: Any
    fields: list[str] | None
    drop_fields: list[str] | None
    hash_fields: list[str] | None

    _executing_thread: int | None = None

    def on_kill(self) -> None:
        """
        End the task where it is, when Airflow does not want it any more: it was cleared, or marked failed or success.

        Leaving ``execute`` ends the requests that are under way and removes what was written so far. After
        ``execution_timeout`` this has happened already.

        :raises SystemExit: in the thread that executes the task, which is where Airflow calls this: in the handler of
            a signal, on top of whatever the task does at that moment. Airflow tries such a task again if it still may.
        """
        if self._executing_thread == threading.get_ident():
            self._executing_thread = None  # once: a second signal must not disturb the tidying up
            raise SystemExit(f"Catalog {self.endpoint}: Airflow has ended the task")

    @contextmanager
    def _killable(self) -> Iterator[None]:
        """Let :meth:`on_kill` end the block."""
        self._executing_thread = threading.get_ident()
        try:
            yield
        finally:
            self._executing_thread = None

    @property
    def _spec(self) -> Endpoint:
        return ENDPOINTS[self.endpoint]

    @cached_property
    def hook(self) -> CatalogHook:
        """The hook, with its connection."""
        return CatalogHook(self.catalog_conn_id)

    def _check_names(self) -> None:
        """Check what is known when the DAG is parsed: names of filters, and paths of fields."""
        if isinstance(self.filters, Mapping):
            check_filter_names(self._spec, self.filters)
        elif not (self.filters is None or isinstance(self.filters, str) or _is_told_later(self.filters)):
            raise CatalogParameterError(f"filters is {shown(self.filters)}; allowed: a dict of filter name and value")
        conn_id: Any = self.catalog_conn_id
        if not (isinstance(conn_id, str) or _is_told_later(conn_id)):
            raise CatalogParameterError(f"catalog_conn_id is {shown(conn_id)}; allowed: a connection's id")
        RowTransform(fields=self.fields, drop_fields=self.drop_fields, hash_fields=self.hash_fields)

    def _checked_filters(self) -> dict[str, Any]:
        """Check the rendered filters, and return them as they are sent."""
        return check_filters(self._spec, self.filters)

    def _transform(self) -> RowTransform:
        key = self.hook.settings.hash_key
        transform = RowTransform(
            fields=self.fields,
            drop_fields=self.drop_fields,
            hash_fields=self.hash_fields,
            hash_key=key.get_secret_value() if key else None,
        )
        transform.check_hash_key()
        return transform

    def _xcom_size(self, row: dict[str, Any]) -> int:
        """
        Return how many bytes of JSON a row is.

        :raises CatalogParameterError: when it is nested too deeply for an XCom.
        """
        try:
            content = msgspec.json.encode(row)
            # Few rows have as many brackets as they may have levels; only those are walked through.
            brackets = content.count(b"{") + content.count(b"[")
            is_too_deep = brackets > MAX_XCOM_DEPTH and _is_deeper(row, MAX_XCOM_DEPTH)
        except RecursionError:
            is_too_deep = True
        if is_too_deep:
            raise CatalogParameterError(
                f"{self.endpoint}: a row has more than {MAX_XCOM_DEPTH} levels, too many for an XCom; leave the field "
                "out with drop_fields, or let an operator write JSON Lines",
                endpoint=self.endpoint,
            )
        return len(content)

    def _warn_of_unmatched(self, unmatched: list[tuple[str, str]]) -> None:
        if unmatched:
            names = ", ".join(f"{parameter} {path!r}" for parameter, path in unmatched)
            log.warning("Catalog %s: matched nothing in any row: %s", self.endpoint, names)


def _is_deeper(value: object, levels: int) -> bool:
    """Tell whether objects and lists are nested in more than so many levels."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in value)
