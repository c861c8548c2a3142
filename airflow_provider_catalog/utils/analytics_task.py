"""What the operators and the sensors of the four endpoints have in common: filters, and what is kept of a row."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_catalog.client.endpoints import ENDPOINTS, Endpoint, EndpointName
from airflow_provider_catalog.client.filter_check import check_filter_names, check_filters
from airflow_provider_catalog.client.filter_values import ResolvedLater, shown
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.links.analytics import CatalogAnalyticsLink
from airflow_provider_catalog.output.transform import RowTransform
from airflow_provider_catalog.utils.parameters import (
    is_known,
    is_shared_by_mapped_tasks,
    is_told_later,
    rendered_list,
    without_sets,
)
from airflow_provider_catalog.utils.xcom import xcom_size

if TYPE_CHECKING:
    from airflow.sdk import Context

Filters = TypeVar("Filters")
"""The ``TypedDict`` of an endpoint's filters."""
Templated = str | ResolvedLater
"""What may stand for any value: text, likely with a template in it, or an ``XComArg``."""


class Untyped:
    """
    Stands for ``Any`` as the value of a dict of filters, for type checkers.

    A ``dict[str, Any]`` is a ``dict[str, Untyped]``; a dict that is written out is none, and so has its names checked.
    """


class AnalyticsTask:
    """A task that reads one endpoint; stands before Airflow's own class among the bases."""

    endpoint: ClassVar[EndpointName]

    template_fields_renderers: ClassVar[dict[str, str]] = {"filters": "json"}
    operator_extra_links: Collection[BaseOperatorLink] = (CatalogAnalyticsLink(),)

    catalog_conn_id: str
    filters: Any
    fields: Any
    drop_fields: Any
    hash_fields: Any
    log: Any

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
        self.filters = without_sets(self.filters)
        if isinstance(self.filters, Mapping):
            check_filter_names(self._spec, self.filters)
        elif not (self.filters is None or isinstance(self.filters, str) or is_told_later(self.filters)):
            raise CatalogParameterError(f"filters is {shown(self.filters)}; allowed: a dict of filter name and value")
        conn_id: Any = self.catalog_conn_id
        if not (isinstance(conn_id, str) or is_told_later(conn_id)):
            raise CatalogParameterError(f"catalog_conn_id is {shown(conn_id)}; allowed: a connection's id")
        paths = {"fields": self.fields, "drop_fields": self.drop_fields, "hash_fields": self.hash_fields}
        RowTransform(**{name: value for name, value in paths.items() if is_known(value)})

    def _checked_filters(self) -> dict[str, Any]:
        """Check the rendered filters, and return them as they are sent."""
        return check_filters(self._spec, self.filters)

    def _take_rendered(self) -> None:
        """Read the paths that templates and XComs gave."""
        self.fields = rendered_list("fields", self.fields)
        self.drop_fields = rendered_list("drop_fields", self.drop_fields)
        self.hash_fields = rendered_list("hash_fields", self.hash_fields)

    def _transform(self) -> RowTransform:
        secret = self.hook.settings.hash_secret
        transform = RowTransform(
            fields=self.fields,
            drop_fields=self.drop_fields,
            hash_fields=self.hash_fields,
            hash_secret=secret.get_secret_value() if secret else None,
        )
        transform.check_hash_secret()
        return transform

    def _first_rows(self, transform: RowTransform, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the rows for a sensor's XCom. In a frame of its own, whose variables an error clears."""
        kept = [transform(row) for row in rows]
        for row in kept:
            xcom_size(row, self.endpoint)
        self._check_matched(transform)
        return kept

    def _check_matched(self, transform: RowTransform, known_columns: Iterable[str] = ()) -> None:
        """
        Check, after the last row and before anything is published, that the transform has found what it was to find.

        :param known_columns: flattened columns of the dataset's or table's earlier rows.
        :raises CatalogParameterError: when a path is likely misspelt.
        """
        if unmatched := transform.check_matched(known_columns):
            self.log.warning("Catalog %s: matched nothing in any row: %s", self.endpoint, ", ".join(unmatched))

    def _refuse_shared(self, context: Context, parameter: str) -> None:
        """
        Refuse a place that all tasks of a mapping would write to: each would replace what the one before has written.

        :raises CatalogParameterError: when it has the same value in each of them.
        """
        ti, dag = context.get("ti"), context.get("dag")
        if ti is None or dag is None or (ti.map_index or 0) < 0 or ti.map_index is None:
            return
        if is_shared_by_mapped_tasks(dag.get_task(ti.task_id), parameter):
            raise CatalogParameterError(
                f"put {{{{ ti.map_index }}}} into {parameter}, or give it in expand_kwargs: all the mapped tasks "
                f"would write to {str(getattr(self, parameter))!r}, each over the one before",
                endpoint=self.endpoint,
            )
