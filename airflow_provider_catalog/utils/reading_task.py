"""What the operators have in common that read an endpoint to its end."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_catalog.client.retry import OnDataMoved, retry_on_drift
from airflow_provider_catalog.errors import CatalogError, CatalogParameterError
from airflow_provider_catalog.get_provider_info import API_DOCS
from airflow_provider_catalog.utils.analytics_task import AnalyticsTask
from airflow_provider_catalog.utils.metrics import reported
from airflow_provider_catalog.version_compat import AirflowSkipException

if TYPE_CHECKING:
    from airflow_provider_catalog.client.reading import Reading

log = logging.getLogger(__name__)

T = TypeVar("T")


class ReadingTask(AnalyticsTask):
    """A task that reads all rows that match; stands before Airflow's own class among the bases."""

    page_size: int | None
    max_concurrency: int | None
    on_data_moved: OnDataMoved

    _origin: str | None = None

    @classmethod
    def _with_doc(cls, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Add what the task's page says of it, where the DAG says nothing: the class's first line, and a link."""
        if not any(name in kwargs for name in ("doc", "doc_md", "doc_rst", "doc_json", "doc_yaml")):
            first_line = (inspect.getdoc(cls) or "").partition("\n")[0]
            kwargs["doc_md"] = f"{first_line} [API documentation]({API_DOCS})"
        return kwargs

    def _check_choice(self, parameter: str, allowed: tuple[str, ...]) -> None:
        value = getattr(self, parameter)
        if value not in allowed:
            choices = ", ".join(f'"{each}"' for each in allowed)
            raise CatalogParameterError(f"{parameter} is {value!r}; allowed: {choices}")

    def _read(self, filters: dict[str, Any], read: Callable[[bool], T]) -> T:
        # Kept for OpenLineage, whose listener runs in a process that must not ask for the connection.
        self._origin = self.hook.settings.base_url
        # Names only: values may come from rows, such as the ids of students.
        log.info("Catalog %s: asking %s, filters: %s", self.endpoint, self._origin, ", ".join(filters) or "none")
        with reported(self.endpoint, self.hook.get_conn()):
            return retry_on_drift(read, self.endpoint, self.on_data_moved)

    def _reading(self, filters: dict[str, Any], accept_moved: bool) -> AbstractContextManager[Reading]:
        return self.hook.get_conn().reading(
            self._spec,
            filters,
            page_size=self.page_size,
            max_concurrency=self.max_concurrency,
            accept_moved=accept_moved,
        )

    def _check_empty(self, row_count: int, on_empty: str) -> None:
        if row_count or on_empty == "write":
            return
        message = f"{self.endpoint}: no row matches the filters (on_empty={on_empty!r})"
        if on_empty == "skip":
            raise AirflowSkipException(message)
        raise CatalogError(message, endpoint=self.endpoint)
