"""One operator for each endpoint of the Analytics API: filtered rows into a database table."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_catalog.assets.events import add_to_events
from airflow_provider_catalog.client.filters import EnrollmentsFilters, OrdersFilters, ProductsFilters, UsersFilters
from airflow_provider_catalog.client.settings import OnDataMoved
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.output.temporary import storage_errors
from airflow_provider_catalog.output.transform import RowTransform
from airflow_provider_catalog.utils.analytics_task import Filters, Templated, Untyped
from airflow_provider_catalog.utils.failures import fail_at_once
from airflow_provider_catalog.utils.openlineage import WrittenFile
from airflow_provider_catalog.utils.parameters import is_known, rendered_list, rendered_text, rendered_value
from airflow_provider_catalog.utils.reading_task import ReadingTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_catalog.output.tables.load import TableLoad

__all__ = [
    "CatalogAnalyticsToSqlBaseOperator",
    "CatalogEnrollmentsAnalyticsToSqlOperator",
    "CatalogOrdersAnalyticsToSqlOperator",
    "CatalogProductsAnalyticsToSqlOperator",
    "CatalogUsersAnalyticsToSqlOperator",
]


WriteDisposition = Literal["replace", "append", "merge"]
DISPOSITIONS = ("replace", "append", "merge")


class CatalogAnalyticsToSqlBaseOperator(ReadingTask, BaseOperator, Generic[Filters]):
    """
    Loads the rows of one endpoint into a database table; its subclasses say which.

    All or nothing: the rows are read to the end, then loaded in one transaction. Whoever reads the table sees the old
    rows or the new ones. The table is never dropped, truncated or swapped, so views, grants and triggers stay. It is
    created when it is not there, and gets columns that it does not have.

    The XCom is a manifest of under 4 KB: ``endpoint``, ``table``, ``write_disposition``, ``row_count``, ``inserted``,
    ``updated``, ``deleted``, ``columns_added``, ``filters`` as sent, ``pages``, ``moved``, ``started_at`` and
    ``finished_at``.
    Where the task has outlets, their events carry these figures, less ``columns_added`` and ``filters``.

    PostgreSQL, MySQL, MariaDB and SQLite are tested; other databases that SQLAlchemy knows are not, and a WARNING says
    so.

    :param catalog_conn_id: id of a connection of the type ``instructure_catalog``. (templated)
    :param sql_conn_id: id of a connection to an SQL database, of another provider. (templated)
    :param table: where the rows go: ``"orders"``, or ``"analytics.orders"`` with a schema. (templated)
    :param write_disposition: ``"replace"`` all rows of the table (or of the partition); ``"append"`` the rows;
        ``"merge"``: rows whose ``primary_key`` is known get new values, others are added. (templated)
    :param primary_key: the columns that tell rows apart, or one of them; needed by ``"merge"``. A new table gets them
        as its primary key. (templated)
    :param on_duplicate_key: when rows of one pull share a key and differ: ``"fail"``, or take the ``"last"``. Equal
        rows always count once.
    :param partition: column → value, added to each row; with ``"replace"``, only the rows that have these values are
        replaced. Rendering to nothing is an error. (templated)
    :param on_new_columns: what to do with columns that the table does not have: ``"add"``, ``"ignore"`` or ``"fail"``.
    :param load_columns: whether each row gets ``_loaded_at``, a time, and ``_load_id``, which names the DAG, run, task
        and try. With it, an ``"append"`` that is tried again replaces its own rows.
    :param on_empty: when no row matches: ``"write"`` that, ``"skip"`` the task, or ``"fail"`` it; the latter two leave
        the table as it is. ``None`` is ``"fail"`` where all rows of the table would go, else ``"write"``.
    :param filters: the endpoint's filters, a dict of name and value; all rows where ``None``. An unknown name fails
        when the DAG is parsed, a value that is not allowed before the first request. (templated at any depth)
    :param fields: the only fields to keep, dotted (``"product.id"``), in the order of the columns; all where ``None``.
    :param drop_fields: fields to leave out, dotted; ``*`` matches one level.
    :param hash_fields: fields to replace by a keyed HMAC-SHA-256, dotted; ``*`` matches one level. The key is the
        connection's ``hash_secret``.
    :param field_types: column → type (``"timestamp"``, ``"date"``, ``"decimal(12,2)"``, ``"int64"``, ``"float64"``,
        ``"string"``, ``"bool"``), for columns that the table does not have yet.
    :param page_size: rows asked for in one request, 1 to 100; the connection's where ``None``.
    :param max_concurrency: requests in flight at once, 1 to 32; the connection's where ``None``.
    :param on_data_moved: when rows kept moving while they were read: ``"fail"`` or ``"accept"``.
    :raises CatalogParameterError: for a parameter that is wrong, or when the table is not as the load needs it, a row
        does not fit it, or a key is null or not unique; ``CatalogFilterError`` for a filter.
    :raises CatalogStorageError: when the database can't be reached, fails or refuses, or the spool can't be written.
    :raises CatalogError: as the other operators, when reading fails.
    """

    template_fields: Sequence[str] = (
        "catalog_conn_id", "filters", "sql_conn_id", "table", "write_disposition", "primary_key", "partition",
        "on_duplicate_key", "on_new_columns", "on_empty", "fields", "drop_fields", "hash_fields", "field_types",
        "page_size", "max_concurrency", "on_data_moved",
    )  # fmt: skip
    template_fields_renderers: ClassVar[dict[str, str]] = {"filters": "json", "partition": "json"}
    ui_color = "#f9e6d8"

    def __init__(
        self,
        *,
        sql_conn_id: str,
        table: str,
        write_disposition: WriteDisposition | Templated,
        primary_key: Sequence[str] | Templated | None = None,
        on_duplicate_key: Literal["fail", "last"] | Templated = "fail",
        partition: Mapping[str, Any] | Templated | None = None,
        on_new_columns: Literal["add", "ignore", "fail"] | Templated = "add",
        load_columns: bool = True,
        on_empty: Literal["write", "skip", "fail"] | Templated | None = None,
        catalog_conn_id: str = CatalogHook.default_conn_name,
        filters: Filters | dict[str, Untyped] | Templated | None = None,
        fields: list[str] | Templated | None = None,
        drop_fields: list[str] | Templated | None = None,
        hash_fields: list[str] | Templated | None = None,
        field_types: dict[str, str] | Templated | None = None,
        page_size: int | Templated | None = None,
        max_concurrency: int | Templated | None = None,
        on_data_moved: OnDataMoved | Templated = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**self._with_doc(kwargs))
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.write_disposition: Any = write_disposition
        self.primary_key: Any = primary_key
        self.on_duplicate_key: Any = on_duplicate_key
        self.partition: Any = partition
        self.on_new_columns: Any = on_new_columns
        self.load_columns = load_columns
        self.on_empty: Any = on_empty
        self.catalog_conn_id = catalog_conn_id
        self.filters = filters
        self.fields = fields
        self.drop_fields = drop_fields
        self.hash_fields = hash_fields
        self.field_types = field_types
        self.page_size: Any = page_size
        self.max_concurrency: Any = max_concurrency
        self.on_data_moved: Any = on_data_moved
        self._check_parameters()

    def _check_parameters(self) -> None:
        """Check what is known when the DAG is parsed: all but what templates and XComs will give."""
        self._check_names()
        self._check_reading()
        self._check_choice("on_duplicate_key", ("fail", "last"))
        self._check_choice("on_new_columns", ("add", "ignore", "fail"))
        if self.on_empty is not None:
            self._check_choice("on_empty", ("write", "skip", "fail"))
        if not isinstance(self.load_columns, bool):
            raise CatalogParameterError(f"load_columns is {self.load_columns!r}; allowed: True, False")
        self._check_choice("write_disposition", DISPOSITIONS)
        if self.write_disposition == "merge" and is_known(self.primary_key) and not self._keys():
            raise CatalogParameterError("primary_key is missing: write_disposition='merge' needs the columns of it")

    def _take_rendered(self) -> None:
        """Read what templates and XComs gave, and check it as what is known when the DAG is parsed."""
        super()._take_rendered()
        for name in ("sql_conn_id", "table", "write_disposition", "on_duplicate_key", "on_new_columns", "on_empty"):
            setattr(self, name, rendered_text(name, getattr(self, name)))
        self.primary_key = rendered_list("primary_key", self.primary_key)
        self.partition = rendered_value("partition", self.partition)
        self._check_parameters()
        self._check_table()

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Load the rows, and return the manifest.

        :raises CatalogError: as the class says; what a retry cannot mend fails the task at once.
        """
        with self._killable(), fail_at_once():
            started_at = datetime.now(UTC)
            self._take_rendered()
            if self.write_disposition == "replace" and not self.partition:
                self._refuse_shared(context, "table")
            filters = self._checked_filters()
            load = self._table_load(self._transform(), context)
            load.check()
            manifest, uri = self._read(filters, partial(self._load, filters, load, started_at))
            add_to_events(self.outlets, context, manifest, uri)
            return manifest

    def _check_table(self) -> None:
        if self.write_disposition not in DISPOSITIONS:
            raise CatalogParameterError(f"write_disposition is {self.write_disposition!r}, which was not rendered")
        for name in ("sql_conn_id", "table"):
            if not isinstance(getattr(self, name), str):
                raise CatalogParameterError(f"{name} is {getattr(self, name)!r}; allowed: a name")
        if self.table.count(".") > 1 or not all(self.table.split(".")):
            raise CatalogParameterError(f"table is {self.table!r}; allowed: 'table' or 'schema.table'")
        if self.partition is not None and (not isinstance(self.partition, Mapping) or not self.partition):
            raise CatalogParameterError(
                f"partition is {self.partition!r}; allowed: a dict of column and value, or None"
            )
        for column, value in (self.partition or {}).items():
            if value is None or (isinstance(value, str) and value.strip() in ("", "None")):
                raise CatalogParameterError(
                    "take {{ dag_run.run_after | ds }}, for example, where a run has no data interval and so no "
                    f"{{{{ ds }}}}: partition[{column!r}] is {value!r}, which would replace other rows than are meant"
                )

    def _keys(self) -> tuple[str, ...]:
        keys = [self.primary_key] if isinstance(self.primary_key, str) else self.primary_key or ()
        return tuple(key.replace(".", "_") for key in keys if key)

    def _table_load(self, transform: RowTransform, context: Context) -> TableLoad:
        from airflow_provider_catalog.output.tables.database import Database
        from airflow_provider_catalog.output.tables.load import TableLoad
        from airflow_provider_catalog.output.tables.plan import TablePlan

        schema, _, table = self.table.rpartition(".")
        hashed = {path.replace(".", "_"): "string" for path in self.hash_fields or () if "*" not in path}
        types = {column.replace(".", "_"): kind for column, kind in (self.field_types or {}).items()}
        instance = context["ti"]
        return TableLoad(
            Database(self.sql_conn_id),
            TablePlan(
                endpoint=self._spec,
                transform=transform,
                schema=schema or None,
                table=table,
                write_disposition=self.write_disposition,
                primary_key=self._keys(),
                on_duplicate_key=self.on_duplicate_key,
                partition=self.partition or {},
                on_new_columns=self.on_new_columns,
                field_types={**types, **hashed},
                load_id="/".join((instance.dag_id, instance.run_id, instance.task_id, str(instance.map_index)))
                if self.load_columns
                else None,
                try_number=instance.try_number,
            ),
        )

    def _load(
        self, filters: dict[str, Any], load: TableLoad, started_at: datetime, accept_moved: bool
    ) -> tuple[dict[str, Any], str]:
        """Read all rows, then load them; return the manifest and the table's URI."""
        from airflow_provider_catalog.output.spool import RowSpool

        folder, transform = Path(tempfile.gettempdir()), self._transform()
        with storage_errors(self.table, folder), closing(RowSpool(folder)) as spool:
            with self._reading(filters, accept_moved) as reading:
                for page in reading.pages():
                    spool.write(map(transform, page.rows))
            is_full_replace = self.write_disposition == "replace" and not self.partition
            self._check_empty(spool.row_count, self.on_empty or ("fail" if is_full_replace else "write"))
            self._check_matched(transform, load.known_columns)
            loaded = load.load(spool)
        self._written = WrittenFile(loaded.uri, loaded.columns, loaded.row_count, None)
        self.log.info(
            "Catalog %s: %d rows to table %s: %d inserted, %d updated, %d deleted",
            self.endpoint, loaded.row_count, self.table, loaded.inserted, loaded.updated, loaded.deleted,
        )  # fmt: skip
        written = {
            "table": self.table,
            "write_disposition": self.write_disposition,
            "row_count": loaded.row_count,
            "inserted": loaded.inserted,
            "updated": loaded.updated,
            "deleted": loaded.deleted,
            "columns_added": loaded.columns_added,
        }
        return self._manifest(written, filters, reading, started_at), loaded.uri


class CatalogProductsAnalyticsToSqlOperator(CatalogAnalyticsToSqlBaseOperator[ProductsFilters]):
    """
    Loads products into a table: what is sold, with its enrollments and its revenue.

    For the parameters see :class:`CatalogAnalyticsToSqlBaseOperator`.
    """

    endpoint = "products"


class CatalogEnrollmentsAnalyticsToSqlOperator(CatalogAnalyticsToSqlBaseOperator[EnrollmentsFilters]):
    """
    Loads enrollments into a table: which student is in which product, and how far.

    For the parameters see :class:`CatalogAnalyticsToSqlBaseOperator`.
    """

    endpoint = "enrollments"


class CatalogOrdersAnalyticsToSqlOperator(CatalogAnalyticsToSqlBaseOperator[OrdersFilters]):
    """
    Loads orders into a table: who bought what for whom, when and for how much.

    For the parameters see :class:`CatalogAnalyticsToSqlBaseOperator`.
    """

    endpoint = "orders"


class CatalogUsersAnalyticsToSqlOperator(CatalogAnalyticsToSqlBaseOperator[UsersFilters]):
    """
    Loads users into a table: the students of the Catalog.

    For the parameters see :class:`CatalogAnalyticsToSqlBaseOperator`.
    """

    endpoint = "users"
