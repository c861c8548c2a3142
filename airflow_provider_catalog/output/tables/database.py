"""The database of an Airflow connection, reached as its hook reaches it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from airflow.providers.common.compat.sdk import BaseHook
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from airflow_provider_catalog.errors import CatalogParameterError, CatalogStorageError
from airflow_provider_catalog.output.tables.dialects import DIALECTS, Dialect

log = logging.getLogger(__name__)

_DRIVERS = {
    "psycopg": "postgresql+psycopg",
    "psycopg2": "postgresql+psycopg2",
    "MySQLdb": "mysql+mysqldb",
    "mysql": "mysql+mysqlconnector",
    "sqlite3": "sqlite",
}
"""The package of a driver → SQLAlchemy's name of dialect and driver."""
_BIGQUERY = (
    "write files with output_path='gs://…' and load them with GCSToBigQueryOperator",
    "BigQuery, which has no transaction to load a table in",
)
_ORACLE = ("write files and load them with SQL*Loader", "Oracle, whose temporary tables can't be altered")
_PORTS = {"postgres": 5432, "mysql": 3306}


class Database:
    """A database that Airflow has a connection to."""

    def __init__(self, conn_id: str) -> None:
        self.conn_id = conn_id
        try:
            self.connection = BaseHook.get_connection(conn_id)
        except Exception as error:  # Airflow's own classes of it differ from version to version
            name = type(error).__name__
            raise CatalogParameterError(
                f"make the connection that sql_conn_id={conn_id!r} names, such as with the environment variable "
                f"AIRFLOW_CONN_{conn_id.upper()} ({name})",
                retryable=name != "AirflowNotFoundException",  # what Airflow asks for it may only be down
            ) from None
        kind = str(self.connection.conn_type)
        is_bigquery = "bigquery" in kind or kind == "google_cloud_platform"
        if is_bigquery or kind == "oracle":
            remedy, reason = _BIGQUERY if is_bigquery else _ORACLE
            raise CatalogParameterError(f"{remedy}: sql_conn_id={conn_id!r} is {reason}")
        self.hook = self._hook(kind)

    def _hook(self, kind: str) -> Any:
        try:
            from airflow.providers.common.sql.hooks.sql import DbApiHook

            hook = self.connection.get_hook()  # type: ignore[no-untyped-call] # Airflow's
        except Exception as error:
            raise CatalogParameterError(
                f"install the provider of connections of the type {kind!r}, such as pip install "
                f"apache-airflow-providers-{kind}: sql_conn_id={self.conn_id!r} can't be used ({type(error).__name__})"
            ) from None
        if not isinstance(hook, DbApiHook):
            raise CatalogParameterError(
                f"give sql_conn_id a connection to an SQL database: {self.conn_id!r} is of the type {kind!r}"
            )
        return hook

    @contextmanager
    def connect(self, schema: str | None, table: str) -> Iterator[Dialect]:
        """Connect within the block; what was not committed is rolled back at its end."""
        # The hook's own connection, with all that its extras say of TLS and the session. Its engine leaves most of them
        # out, and logs its URL.
        raw = self._raw_connection()
        package = type(raw).__module__.partition(".")[0]
        try:
            driver = _DRIVERS.get(package) or sa.engine.make_url(self.hook.get_uri()).drivername
            # SQLAlchemy 1.4, which Airflow 2.11 and 3.0 have, has what 2 has where it is told future.
            options = {"poolclass": NullPool, "hide_parameters": True, "future": True}
            engine = sa.create_engine(f"{driver}://", creator=lambda: raw, **options)
            dialect = DIALECTS.get(engine.dialect.name, Dialect)
            dialect.prepare(raw)
            connection: Connection = engine.connect()
        except BaseException:
            raw.close()
            raise
        with connection:
            if not dialect.is_verified:
                log.warning("Tables in %s are not verified: see docs/into-a-database.md", engine.dialect.name)
            yield dialect(connection, schema, table)

    def _raw_connection(self) -> Any:
        try:
            return self.hook.get_conn()
        except Exception as error:
            text = str(error).strip()
            if password := self.connection.password:
                text = text.replace(password, "***")
            remedy = "make the folder of the file, or " if self.connection.conn_type == "sqlite" else ""
            raise CatalogStorageError(
                f"{remedy}check the connection {self.conn_id!r}, the database can't be reached "
                f"({type(error).__name__}): {text}"
            ) from None

    def uri(self, dialect: Dialect) -> str:
        """Return the URI of the table, as assets and OpenLineage name it, without login and password."""
        connection = self.connection
        kind = connection.conn_type or ""
        host = connection.host or ""
        if port := connection.port or _PORTS.get(kind):
            host += f":{port}"
        schema = dialect.schema or (
            None if dialect.is_schema_database else dialect.connection.dialect.default_schema_name
        )
        database = None if dialect.is_schema_database and schema else connection.schema
        return f"{kind}://{host}/" + "/".join(part for part in (database, schema, dialect.table) if part)
