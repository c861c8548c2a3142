"""One operator for each endpoint of the Analytics API: filtered rows into XCom, or into a file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Generic, Literal

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_catalog.assets.events import add_to_events
from airflow_provider_catalog.client.filters import EnrollmentsFilters, OrdersFilters, ProductsFilters, UsersFilters
from airflow_provider_catalog.client.settings import OnDataMoved
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.output.destination import Destination, check_format
from airflow_provider_catalog.output.output import OutputFile
from airflow_provider_catalog.output.spec import COMPRESSIONS, Compression, FileSpec
from airflow_provider_catalog.output.transform import RowTransform
from airflow_provider_catalog.utils.analytics_task import Filters, Templated, Untyped
from airflow_provider_catalog.utils.failures import fail_at_once
from airflow_provider_catalog.utils.openlineage import WrittenFile
from airflow_provider_catalog.utils.parameters import TEMPLATE, is_known, rendered_text, rendered_value
from airflow_provider_catalog.utils.reading_task import ReadingTask
from airflow_provider_catalog.utils.xcom import xcom_size

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

__all__ = [
    "CatalogAnalyticsBaseOperator",
    "CatalogEnrollmentsAnalyticsOperator",
    "CatalogOrdersAnalyticsOperator",
    "CatalogProductsAnalyticsOperator",
    "CatalogUsersAnalyticsOperator",
]


OutputFormat = Literal["jsonl", "csv", "parquet"]
OnEmpty = Literal["write", "skip", "fail"]

MAX_XCOM_BYTES = 1_000_000

_ENDS_IN_TEMPLATE = re.compile(r"[%}]\}[^./]*$")
"""A path whose suffix is not known before it is rendered."""


class CatalogAnalyticsBaseOperator(ReadingTask, BaseOperator, Generic[Filters]):
    """
    Reads one endpoint of the Analytics API; its subclasses say which.

    Without ``output_path`` the rows are the task's XCom: a list of dicts exactly as the API sent them, less what
    ``fields``, ``drop_fields`` and ``hash_fields`` say. With it, the rows are written to a file, whole or not at all,
    and the XCom is a manifest of under 4 KB: ``endpoint``, ``path``, ``format``, ``row_count``, ``size_bytes``,
    ``sha256``, ``columns``, ``filters`` as sent, ``pages``, ``moved``, ``started_at``, ``finished_at``. Where the task
    has outlets, their events carry these figures, less ``columns`` and ``filters``.

    :param catalog_conn_id: id of a connection of the type ``instructure_catalog``. (templated)
    :param filters: the endpoint's filters, a dict of name and value; all rows where ``None``. An unknown name fails
        when the DAG is parsed, a value that is not allowed before the first request. (templated at any depth)
    :param output_path: where to write the rows: an absolute local path, a URL that ``ObjectStoragePath`` takes
        (``s3://conn@bucket/key``, ``gs://``, ``abfs://``, ``file://``), or an ``ObjectStoragePath``. A file that is
        there is replaced in one step. Mapped tasks need one each, such as with ``{{ ti.map_index }}`` in it. XCom where
        ``None``. (templated)
    :param output_format: ``"jsonl"``, ``"csv"`` or ``"parquet"``; told from the suffix of ``output_path`` where
        ``None``. A suffix ``.gz`` compresses the first two. (templated)
    :param fields: the only fields to keep, dotted (``"product.id"``), in the order of the columns; all where ``None``.
        An error when no row has any of them. (templated)
    :param drop_fields: fields to leave out, dotted; ``*`` matches one level. A path that no row has is a WARNING, and
        an error when rows have one that is spelt much like it; a path into a text is one, too. (templated)
    :param hash_fields: fields to replace by a keyed HMAC-SHA-256, dotted; ``*`` matches one level. The key is the
        connection's ``hash_secret``. Equal values have equal hashes, whichever endpoint they come from.
        A path that no row has is treated as in ``drop_fields``. (templated)
    :param field_types: column (``"product_id"``) or dotted path (``"product.id"``) → type (``"timestamp"``, ``"date"``,
        ``"decimal(12,2)"``, ``"int64"``, ``"float64"``, ``"string"``, ``"bool"``, ``"list<string>"``), for CSV and
        Parquet. The column is in the file even if no row has it. Where there are Hive folders
        (``.../orders/day=2026-06-30/orders.parquet``), types are remembered beside them, and can't be changed later.
        (templated)
    :param csv_escape_formulas: whether, in CSV, a ``'`` is put before every text and column name that a spreadsheet
        would run as a formula: that begins with ``=``, ``+``, ``-``, ``@``, a tab, a line break or NUL. Numbers stay
        numbers. For files that people open; it changes the data for all others.
    :param csv_for_excel: CSV: the same, and a byte order mark, without which Excel garbles accents.
    :param compression: of Parquet: ``"zstd"``, ``"snappy"``, ``"gzip"`` or ``"none"``; ``"zstd"`` where ``None``.
    :param on_empty: when no row matches: ``"write"`` an empty, readable file (or push an empty list; CSV and Parquet
        fail where no column is known), ``"skip"`` the task, or ``"fail"`` it; failing and skipping leave an earlier
        file as it is. (templated)
    :param page_size: rows asked for in one request, 1 to 100; the connection's where ``None``. (templated)
    :param max_concurrency: requests in flight at once, 1 to 32; the connection's where ``None``. (templated)
    :param max_xcom_bytes: bytes of JSON beyond which rows are not pushed to XCom, but the task fails. (templated)
    :param on_data_moved: what to do when rows entered or left while they were read, three times over: ``"fail"``, or
        ``"accept"`` it with a WARNING and ``"moved": true`` in the manifest. (templated)
    :raises CatalogParameterError: for a parameter that is wrong; ``CatalogFilterError`` for a filter.
    :raises CatalogAuthError: when the token is refused, or lacks analytics rights.
    :raises CatalogRequestError: when the request is refused.
    :raises CatalogUnavailableError: when tries are used up.
    :raises CatalogResponseError: for an answer without rows.
    :raises CatalogPaginationError: when links go in circles, or the server says that there is more than it gives.
    :raises CatalogDataMovedError: when rows kept entering or leaving while they were read.
    :raises CatalogStorageError: when the file can't be written.
    """

    template_fields: Sequence[str] = (
        "catalog_conn_id", "filters", "output_path", "output_format", "fields", "drop_fields", "hash_fields",
        "field_types", "on_empty", "page_size", "max_concurrency", "max_xcom_bytes",
        "on_data_moved",
    )  # fmt: skip
    ui_color = "#f9e6d8"

    def __init__(
        self,
        *,
        catalog_conn_id: str = CatalogHook.default_conn_name,
        filters: Filters | dict[str, Untyped] | Templated | None = None,
        output_path: os.PathLike[str] | ObjectStoragePath | Templated | None = None,
        output_format: OutputFormat | Templated | None = None,
        fields: list[str] | Templated | None = None,
        drop_fields: list[str] | Templated | None = None,
        hash_fields: list[str] | Templated | None = None,
        field_types: dict[str, str] | Templated | None = None,
        csv_escape_formulas: bool = False,
        csv_for_excel: bool = False,
        compression: Compression | None = None,
        on_empty: OnEmpty | Templated = "write",
        page_size: int | Templated | None = None,
        max_concurrency: int | Templated | None = None,
        max_xcom_bytes: int | Templated = MAX_XCOM_BYTES,
        on_data_moved: OnDataMoved | Templated = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**self._with_doc(kwargs))
        self.catalog_conn_id = catalog_conn_id
        self.filters = filters
        # Airflow renders text and ObjectStoragePaths, but no pathlib.Path.
        is_local = isinstance(output_path, PurePath) and not hasattr(output_path, "conn_id")
        self.output_path: Any = str(output_path) if is_local else output_path
        self.output_format: Any = output_format
        self.fields = fields
        self.drop_fields = drop_fields
        self.hash_fields = hash_fields
        self.field_types: Any = field_types
        self.csv_escape_formulas = csv_escape_formulas
        self.csv_for_excel = csv_for_excel
        self.compression = compression
        self.on_empty: Any = on_empty
        self.page_size: Any = page_size
        self.max_concurrency: Any = max_concurrency
        self.max_xcom_bytes: Any = max_xcom_bytes
        self.on_data_moved: Any = on_data_moved
        self._check_parameters()

    def _check_parameters(self) -> None:
        """Check what is known when the DAG is parsed: all but what templates and XComs will give."""
        self._check_names()
        self._check_reading()
        self._check_choice("on_empty", ("write", "skip", "fail"))
        limit = self.max_xcom_bytes
        if is_known(limit) and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 2):
            raise CatalogParameterError(f"max_xcom_bytes is {limit!r}; allowed: an integer of 2 or more")
        for name in ("csv_escape_formulas", "csv_for_excel"):
            if not isinstance(value := getattr(self, name), bool):
                raise CatalogParameterError(f"{name} is {value!r}; allowed: True, False")
        if self.compression not in (None, *COMPRESSIONS):
            allowed = ", ".join(map(repr, COMPRESSIONS))
            raise CatalogParameterError(f"compression is {self.compression!r}; allowed: {allowed}")
        self._check_format(self._known_format())

    def _take_rendered(self) -> None:
        """Read what templates and XComs gave, and check it as what is known when the DAG is parsed."""
        super()._take_rendered()
        self.output_path = rendered_text("output_path", self.output_path)
        self.output_format = rendered_text("output_format", self.output_format)
        self.on_empty = rendered_text("on_empty", self.on_empty) or "write"
        self.max_xcom_bytes = rendered_value("max_xcom_bytes", self.max_xcom_bytes) or MAX_XCOM_BYTES
        self._check_parameters()

    def _known_format(self) -> str | None:
        """Return the format, ``"XCom"`` without a file, or ``None`` where it is known only when rendered."""
        path: Any = self.output_path
        if isinstance(path, str):
            # Of what begins with a template, all paths are thought to be absolute.
            path = None if _ENDS_IN_TEMPLATE.search(path) else TEMPLATE.sub("-", re.sub(r"^(?=\{[{%])", "/", path))
        elif hasattr(path, "resolve") or hasattr(path, "conn_id"):
            path = None  # an XComArg, or an ObjectStoragePath, which may have templates in it
        if path is not None:
            return Destination.parse(path, self.output_format).format
        known = check_format(self.output_format) if self.output_format and is_known(self.output_format) else None
        return "XCom" if self.output_path is None else known

    def _check_format(self, output_format: str | None) -> None:
        for name, only, label in (
            ("csv_escape_formulas", "csv", "CSV"),
            ("csv_for_excel", "csv", "CSV"),
            ("compression", "parquet", "Parquet"),
        ):
            if getattr(self, name) and output_format not in (None, only):
                raise CatalogParameterError(
                    f"{name} is for {label} alone, and the rows go to {output_format}; leave it out, or write {label}"
                )

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """
        Read the rows, and return them or the manifest of the file that holds them.

        :raises CatalogError: as the class says; what a retry cannot mend fails the task at once.
        """
        with self._killable(), fail_at_once():
            self._take_rendered()
            self._refuse_shared(context, "output_path")
            filters = self._checked_filters()
            if self.output_path is None:
                return self._read(filters, partial(self._collect, filters))
            destination = Destination.parse(self.output_path, self.output_format)
            self._check_format(destination.format)
            destination.check()
            manifest = self._read(filters, partial(self._write, filters, destination))
            add_to_events(self.outlets, context, manifest, destination.uri)
            return manifest

    def _collect(self, filters: dict[str, Any], accept_moved: bool) -> list[dict[str, Any]]:
        """Return the rows for XCom; stops reading as soon as they are too large for it."""
        transform = self._transform()
        rows: list[dict[str, Any]] = []
        size = 1  # the brackets around the rows, less the comma that the last one lacks
        with self._reading(filters, accept_moved) as reading:
            for page in reading.pages():
                for row in map(transform, page.rows):
                    rows.append(row)
                    size += xcom_size(row, self.endpoint) + 1
                    if size > self.max_xcom_bytes:
                        raise CatalogParameterError(
                            f"{self.endpoint}: the first {len(rows):,} rows are {size:,} bytes of JSON, over "
                            f"max_xcom_bytes={self.max_xcom_bytes:,}; nothing was pushed. Set output_path to write "
                            "rows to a file, or ask for less with filters, fields or drop_fields",
                            endpoint=self.endpoint,
                        )
        self._check_matched(transform)
        self._check_empty(len(rows), self.on_empty)
        self.log.info("Catalog %s: %d rows to XCom, %d bytes as JSON", self.endpoint, len(rows), size)
        return rows

    def _write(self, filters: dict[str, Any], destination: Destination, accept_moved: bool) -> dict[str, Any]:
        """Write the rows, and return the manifest of the file."""
        started_at = datetime.now(UTC)
        transform = self._transform()
        spec = FileSpec(
            destination,
            self._spec,
            transform,
            self.field_types or {},
            csv_escape_formulas=self.csv_escape_formulas,
            csv_for_excel=self.csv_for_excel,
            compression=self.compression,
            sample=self._sample_of_all_days(filters, transform),
        )
        with self._reading(filters, accept_moved) as reading, OutputFile(spec) as output:
            for page in reading.pages():
                output.write(map(transform, page.rows))
            self._check_empty(reading.row_count, self.on_empty)
            self._check_matched(transform, output.known_columns)
            info = output.publish()
        self._written = WrittenFile(destination.uri, info.columns, info.row_count, info.size_bytes)
        if info.unmatched_field_types:
            names = ", ".join(info.unmatched_field_types)
            self.log.warning("Catalog %s: field_types that are no columns: %s", self.endpoint, names)
        if info.null_columns:
            self.log.warning(
                "Catalog %s: null in every row, so that nothing tells their types: %s; give those that you need a "
                "type, as in field_types={%r: 'timestamp'}",
                self.endpoint,
                ", ".join(info.null_columns[:20]),
                info.null_columns[0],
            )
        self.log.info(
            "Catalog %s: %d rows, %d bytes to %s", self.endpoint, info.row_count, info.size_bytes, destination.path
        )
        written = {
            "path": destination.path,
            "format": destination.format,
            "row_count": info.row_count,
            "size_bytes": info.size_bytes,
            "sha256": info.sha256,
            "columns": list(info.columns),
        }
        return self._manifest(written, filters, reading, started_at)

    def _sample_of_all_days(
        self, filters: dict[str, Any], transform: RowTransform
    ) -> Callable[[], list[dict[str, Any]]] | None:
        """Return what reads a page of all days, to learn the columns of a day that lacks them; None without dates."""
        undated = {name: value for name, value in filters.items() if not name.endswith(("_date_from", "_date_to"))}
        if undated == filters:
            return None

        def sample() -> list[dict[str, Any]]:
            with self._reading(undated, False) as reading:
                page = next(reading.pages())
            return list(map(transform, page.rows))

        return sample


class CatalogProductsAnalyticsOperator(CatalogAnalyticsBaseOperator[ProductsFilters]):
    """
    Reads products: what is sold, with its enrollments and its revenue.

    For the parameters see :class:`CatalogAnalyticsBaseOperator`.
    """

    endpoint = "products"


class CatalogEnrollmentsAnalyticsOperator(CatalogAnalyticsBaseOperator[EnrollmentsFilters]):
    """
    Reads enrollments: which student is in which product, and how far.

    For the parameters see :class:`CatalogAnalyticsBaseOperator`.
    """

    endpoint = "enrollments"


class CatalogOrdersAnalyticsOperator(CatalogAnalyticsBaseOperator[OrdersFilters]):
    """
    Reads orders: who bought what for whom, when and for how much.

    For the parameters see :class:`CatalogAnalyticsBaseOperator`.
    """

    endpoint = "orders"


class CatalogUsersAnalyticsOperator(CatalogAnalyticsBaseOperator[UsersFilters]):
    """
    Reads users: the students of the Catalog.

    For the parameters see :class:`CatalogAnalyticsBaseOperator`.
    """

    endpoint = "users"
