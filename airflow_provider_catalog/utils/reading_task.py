"""What the operators have in common that read an endpoint to its end."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowSkipException, Stats

from airflow_provider_catalog.client.settings import check_reading_parameters
from airflow_provider_catalog.errors import CatalogDataMovedError, CatalogError, CatalogParameterError
from airflow_provider_catalog.get_provider_info import API_DOCS
from airflow_provider_catalog.output.convert import check_field_types
from airflow_provider_catalog.utils.analytics_task import AnalyticsTask
from airflow_provider_catalog.utils.openlineage import WrittenFile, operator_lineage
from airflow_provider_catalog.utils.parameters import is_known, rendered_text, rendered_value

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_catalog.client.reading import Reading

T = TypeVar("T")

READS = 3
"""How often everything is read when rows keep moving from page to page."""
MAX_MANIFEST_BYTES = 4096
"""Bytes of JSON that a manifest stays under, whatever the size of the data."""


class ReadingTask(AnalyticsTask):
    """A task that reads all rows that match; stands before Airflow's own class among the bases."""

    field_types: Any
    page_size: Any
    max_concurrency: Any
    on_data_moved: Any

    _origin: str | None = None
    _written: WrittenFile | None = None

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage:
        """Return what OpenLineage is told: the Catalog's endpoint, and the file or table with its columns and rows."""
        return operator_lineage(self._origin, self.endpoint, self._written)

    @classmethod
    def _with_doc(cls, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Add what the task's page says of it, where the DAG says nothing: the class's first line, and a link."""
        if not any(name in kwargs for name in ("doc", "doc_md", "doc_rst", "doc_json", "doc_yaml")):
            first_line = (inspect.getdoc(cls) or "").partition("\n")[0]
            kwargs["doc_md"] = f"{first_line} [API documentation]({API_DOCS})"
        return kwargs

    def _check_choice(self, parameter: str, allowed: tuple[str, ...]) -> None:
        value = getattr(self, parameter)
        if is_known(value) and value not in allowed:
            choices = ", ".join(f'"{each}"' for each in allowed)
            raise CatalogParameterError(f"{parameter} is {value!r}; allowed: {choices}")

    def _check_reading(self) -> None:
        """Check what says how to read, as far as it is known when the DAG is parsed."""
        if is_known(self.field_types):
            check_field_types(self.field_types)
        given = (self.page_size, self.max_concurrency, self.on_data_moved)
        check_reading_parameters(*(value if is_known(value) else None for value in given))

    def _take_rendered(self) -> None:
        """Read what templates and XComs gave."""
        super()._take_rendered()
        self.field_types = rendered_value("field_types", self.field_types)
        self.on_data_moved = rendered_text("on_data_moved", self.on_data_moved) or "fail"
        self.page_size = rendered_value("page_size", self.page_size)
        self.max_concurrency = rendered_value("max_concurrency", self.max_concurrency)

    def _read(self, filters: dict[str, Any], read: Callable[[bool], T]) -> T:
        """
        Read everything, and again, at most twice, when rows moved from page to page meanwhile.

        :param read: keeps nothing of a read that failed; gets whether movement is accepted.
        """
        # Kept for OpenLineage, whose listener runs in a process that must not ask for the connection.
        self._origin = self.hook.settings.base_url
        # Names only: values may come from rows, such as the ids of students.
        self.log.info("Catalog %s: asking %s, filters: %s", self.endpoint, self._origin, ", ".join(filters) or "none")
        with self._metrics():
            for _ in range(READS - 1):
                try:
                    return read(False)
                except CatalogDataMovedError:
                    self.log.warning(
                        "Catalog %s: rows entered or left while they were read; reading again from the start",
                        self.endpoint,
                    )
            return read(self.on_data_moved == "accept")

    @contextmanager
    def _metrics(self) -> Iterator[None]:
        """
        Send what the block has cost through Airflow's own metrics, when it ends, whether or not it went well.

        These are the counters ``catalog.<endpoint>.rows``, ``.requests`` and ``.retries``, and the timings
        ``.throttled`` (how long the server made all requests wait) and ``.duration`` (writing included). Airflow puts
        its own prefix before them, ``airflow.`` unless configured.
        """
        client = self.hook.get_conn()
        before, started = replace(client.usage), time.monotonic()
        client.take_throttled_seconds()  # of what was read before
        try:
            yield
        finally:
            for name in ("rows", "requests", "retries"):
                Stats.incr(f"catalog.{self.endpoint}.{name}", getattr(client.usage, name) - getattr(before, name))
            for name, seconds in (
                ("throttled", client.take_throttled_seconds()),
                ("duration", time.monotonic() - started),
            ):
                Stats.timing(f"catalog.{self.endpoint}.{name}", timedelta(seconds=seconds))

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

    def _manifest(
        self, written: Mapping[str, Any], filters: Mapping[str, Any], reading: Reading, started_at: datetime
    ) -> dict[str, Any]:
        """
        Return the XCom of a task that has written a file or a table: what was asked for and what was written.

        There is no row in it. Long lists of columns and filter values are cut, and end in how many there are more.

        :param filters: as they were sent.
        :param reading: that has ended.
        """
        manifest = whole = {
            "endpoint": self.endpoint,
            **written,
            "filters": dict(filters),
            "pages": reading.page_count,
            "moved": reading.moved,
            "started_at": started_at.isoformat(),
            "finished_at": datetime.now(UTC).isoformat(),
        }
        for kept in (1000, 100, 30, 10, 3, 1, 0):
            if len(json.dumps(manifest)) < MAX_MANIFEST_BYTES:
                break
            manifest = {name: _cut(value, kept) for name, value in whole.items()}
            manifest["filters"] = {name: _cut(value, kept) for name, value in filters.items()}
        return manifest


def _cut(value: Any, kept: int) -> Any:
    more = len(value) - kept if isinstance(value, list) else 0
    return [*value[:kept], f"... and {more} more"] if more > 0 else value
