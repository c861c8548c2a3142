"""The databases that loads are tested with: each empty, with an Airflow connection to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.errors import CatalogError
from airflow_provider_catalog.transfers import analytics_to_sql
from tests.catalog_server import TOKEN, Answer, Pages, Request, catalog_server

Answers = Callable[[Request], Answer]

OPERATORS = {
    endpoint: getattr(analytics_to_sql, f"Catalog{endpoint.title()}AnalyticsToSqlOperator") for endpoint in ENDPOINTS
}


@dataclass
class Database:
    """
    :param kind: ``sqlite``, ``postgres`` or ``mysql``.
    :param connection: the fields of the Airflow connection.
    :param set_connection: sets an Airflow connection.
    """

    kind: str
    connection: dict[str, Any]
    set_connection: Any
    conn_id: str = "warehouse"

    def connect(self) -> Any:
        return BaseHook.get_connection(self.conn_id).get_hook().get_conn()

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Execute statements, as the test's own user; return the rows of the last one."""
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
            connection.commit()
            return rows

    def q(self, name: str) -> str:
        mark = "`" if self.kind == "mysql" else '"'
        return mark + name.replace(mark, mark * 2) + mark

    def tables(self) -> list[str]:
        queries = {
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
            "postgres": "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename",
            "mysql": "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1",
        }
        return [row[0] for row in self.run(queries[self.kind])]

    def rows(self, columns: str, table: str = "orders") -> list[tuple[Any, ...]]:
        return self.run(f"SELECT {columns} FROM {table} ORDER BY 1")

    @contextmanager
    def catalog(
        self, rows: list[dict[str, Any]] | Answers, endpoint: str = "orders", conn_id: str = "catalog_default"
    ) -> Iterator[None]:
        """Serve rows, or what a function answers, with a connection to it."""
        with catalog_server(rows if callable(rows) else Pages(rows, endpoint)) as catalog:
            connection = {"conn_type": "instructure_catalog", "host": catalog.url, "password": TOKEN}
            self.set_connection(conn_id, {**connection, "extra": {"hash_secret": "k" * 32}})
            self.asked = catalog.requests
            yield

    def task(self, endpoint: str = "orders", *, changes: dict[str, Any] | None = None, **parameters: Any) -> Any:
        """Return an operator of an endpoint, by a connection with some changes where told so."""
        conn_id = self.conn_id
        if changes:
            conn_id = "changed"
            self.set_connection(conn_id, {**self.connection, **changes})
        common = {"task_id": "load", "sql_conn_id": conn_id, "table": "orders", "write_disposition": "replace"}
        return OPERATORS[endpoint](**{**common, **parameters})

    def load(
        self,
        rows: list[dict[str, Any]] | Answers,
        *,
        endpoint: str = "orders",
        run: str = "r",
        attempt: int = 1,
        catalog_conn_id: str = "catalog_default",
        **parameters: Any,
    ) -> dict[str, Any]:
        """Load rows with the operator of an endpoint, as one try of a task; return the manifest."""
        with self.catalog(rows, endpoint, catalog_conn_id):
            task = self.task(endpoint, catalog_conn_id=catalog_conn_id, **parameters)
            return task.execute(context(run, attempt))

    def refuse(self, says: str, rows: list[dict[str, Any]], **parameters: Any) -> CatalogError:
        """Check that a load fails before its first request to the Catalog; return the error."""
        with pytest.raises(CatalogError, match=says) as caught:
            self.load(rows, **parameters)
        assert not self.asked
        return caught.value


def context(run: str = "r", attempt: int = 1, map_index: int = -1) -> dict[str, Any]:
    instance = SimpleNamespace(dag_id="warehouse", run_id=run, task_id="load", map_index=map_index, try_number=attempt)
    return {"ti": instance}


def setter(monkeypatch: Any) -> Any:
    return lambda conn_id, value: monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))
