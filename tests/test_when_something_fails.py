"""The messages that docs/when-something-fails.md shows are those that people get, and begin with what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_catalog.errors import CatalogError
from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator, CatalogUsersAnalyticsOperator
from airflow_provider_catalog.transfers.analytics_to_sql import CatalogOrdersAnalyticsToSqlOperator
from tests.catalog_server import AT_ONCE, TOKEN, Answer, catalog_server
from tests.tables.databases import context

PAGE = Path(__file__).parents[1] / "docs" / "when-something-fails.md"
ROWS = [{"order_id": n, "student": {"name": "A. Student", "email": "a@example.edu"}} for n in range(3)]
SHOWN = 120
"""Characters of a message that the page shows, and about as many as user interfaces do."""


def pull(folder: Path, **parameters: Any) -> None:
    parameters = {"output_path": str(folder / "orders.jsonl"), **parameters}
    CatalogOrdersAnalyticsOperator(task_id="orders", **parameters).execute({})


def load(folder: Path, **parameters: Any) -> None:
    parameters = {"sql_conn_id": "warehouse", "table": "orders", "write_disposition": "replace", **parameters}
    CatalogOrdersAnalyticsToSqlOperator(task_id="orders", **parameters).execute(context())


OF_THE_DAG: dict[str, Callable[[Path], Any]] = {
    "a filter's name is wrong": lambda folder: pull(folder, filters={"purchase_dat_from": "2026-01-01"}),
    "a filter of another endpoint": lambda folder: CatalogUsersAnalyticsOperator(
        task_id="users",
        filters={"order_fee": "PAID"},
    ),
    "a filter's value is not allowed": lambda folder: pull(folder, filters={"order_fee": "CHEAP"}),
    "a template for a filter gives None": lambda folder: pull(folder, filters={"account_ids": "None"}),
    "a window is the wrong way round": lambda folder: pull(
        folder, filters={"purchase_date_from": "2026-02-01", "purchase_date_to": "2026-01-01"}
    ),
    "a window is empty": lambda folder: pull(
        folder, filters={"purchase_date_from": "2026-01-01T00:00:00Z", "purchase_date_to": "2026-01-01T00:00:00Z"}
    ),
    "too many requests at once": lambda folder: pull(folder, max_concurrency=100),
    "a relative path": lambda folder: pull(folder, output_path="orders.jsonl"),
    "a format that is not known": lambda folder: pull(folder, output_path=str(folder / "orders.xlsx")),
    "a misspelt field to drop": lambda folder: pull(folder, drop_fields=["student.nam"]),
    "a field to drop whose parent is misspelt": lambda folder: pull(folder, drop_fields=["studnet.name"]),
    "fields that no row has": lambda folder: pull(folder, fields=["price"]),
    "hash_fields without a secret": lambda folder: pull(folder, hash_fields=["student.email"]),
    "a merge without a key": lambda folder: load(folder, write_disposition="merge"),
    "a partition that is empty": lambda folder: load(folder, partition={"day": ""}),
}
OF_THE_DATABASE: dict[str, Callable[[Path], Any]] = {
    "no connection to the database": lambda folder: load(folder, sql_conn_id="nowhere"),
    "a schema in a database without it": lambda folder: load(folder, table="analytics.orders"),
    "a file of SQLite in a folder that is not there": lambda folder: load(folder, sql_conn_id="elsewhere"),
    "a connection that is of no SQL database": lambda folder: load(folder, sql_conn_id="catalog_default"),
}
OF_THE_CONNECTION: dict[str, dict[str, Any]] = {
    "http in the Catalog URL": {"host": "http://learn.uni.edu"},
    "a path in the Catalog URL": {"host": "https://learn.uni.edu:8443/catalog/"},
    "no token": {"password": ""},
    "a short hash_secret": {"extra": {"hash_secret": "short"}},
    "a CA bundle that is not there": {"extra": {"verify": "/no/such/bundle.pem"}},
    "https to a port that speaks http": {"host": "https://127.0.0.1:{port}"},
}
HTML = {"Content-Type": "text/html"}
OF_THE_CATALOG: dict[str, Answer] = {
    "the token is refused": Answer(b"HTTP Token: Access denied.", 401),
    "the token has no analytics rights": Answer({"error": "forbidden"}, 403),
    "a firewall in front of the Catalog": Answer(b"<html>Request blocked</html>", 403, HTML),
    "another path, or another host": Answer({"error": "Not Found"}, 404),
    "a redirect": Answer(b"", 301, {"Location": "https://other.uni.edu/"}),
    "the Catalog refuses a filter's value": Answer({"errors": ["purchase_date_from is invalid"]}, 422),
    "JSON without rows": Answer({"status": "ok"}),
    "the Catalog is down": Answer(b"", 503, AT_ONCE),
    "the Catalog says that there are more rows": Answer({"orders": ROWS}, 200, {"X-Total": "5"}),
}

EVERY = [*OF_THE_DAG, *OF_THE_CONNECTION, *OF_THE_DATABASE, *OF_THE_CATALOG]


def message_of(name: str, folder: Path, environment: pytest.MonkeyPatch) -> str:
    """Make a mistake, and return the message that comes, with the names of this test's server taken out."""
    with catalog_server(lambda request: OF_THE_CATALOG.get(name, Answer({"orders": ROWS}))) as catalog:
        connection = {"conn_type": "instructure_catalog", "host": catalog.url, "password": TOKEN}
        port = catalog.url.rpartition(":")[2]
        given = json.dumps(connection | OF_THE_CONNECTION.get(name, {})).replace("{port}", port)
        environment.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", given)
        for conn_id, path in {"WAREHOUSE": folder / "db", "ELSEWHERE": "/no/such/folder/warehouse.db"}.items():
            environment.setenv(f"AIRFLOW_CONN_{conn_id}", json.dumps({"conn_type": "sqlite", "host": str(path)}))
        with pytest.raises(CatalogError) as caught:
            (OF_THE_DAG | OF_THE_DATABASE).get(name, pull)(folder)
    text = str(caught.value).replace(catalog.url, "URL").replace(f"https://127.0.0.1:{port}", "URL")
    if name in OF_THE_CONNECTION or name in OF_THE_CATALOG:
        assert "'catalog_default'" in text
    return text.replace(str(folder), "/data").replace("`", "'")


def shown_messages() -> dict[str, str]:
    rows = re.findall(r"^\| ([^|]+) \| `([^`]+) …` \|$", PAGE.read_text(), re.MULTILINE)
    return {name: message.replace("\\|", "|") for name, message in rows}


@pytest.mark.parametrize("name", EVERY)
def test_a_mistake(name, tmp_path, monkeypatch, no_backoff):
    assert message_of(name, tmp_path, monkeypatch)[:SHOWN].rstrip() == shown_messages().get(name)
    assert "example.edu" not in shown_messages()[name]


def test_the_page_shows_no_others():
    assert set(shown_messages()) == set(EVERY)


def test_a_connection_that_is_not_there_is_named(monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_CATALOG_DEFAULT", raising=False)
    with pytest.raises(Exception, match="no_such_catalog"):
        CatalogHook("no_such_catalog").get_conn()
