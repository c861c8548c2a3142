"""The example DAGs keep tables in step with a Catalog that lives; tests/tables_servers runs them on real servers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from operator import getitem

import pytest

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.sandbox import sandbox
from tests.example_dags.conftest import BUNDLES, airflow_database, load_dag  # noqa: F401 - a fixture
from tests.example_dags.test_examples import pytestmark as warnings_of_airflow

pytestmark = warnings_of_airflow
COLUMNS = {
    "orders": ("order_id", "revenue", "seats"),
    "enrollments": ("enrollment_id", "enrollment_status", "requirement_completion"),
    "products": ("product.id", "revenue", "enrollment_count"),
    "users": ("student.id", "student.name", "enrollment_count"),
}


@pytest.fixture
def catalog(database, monkeypatch):
    with sandbox(products=20, users=60, enrollments=800) as running:
        database.set_connection("catalog_default", json.loads(running.connection_json))
        monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps(BUNDLES))
        yield running


def comparable(rows):
    plain = (tuple(value if isinstance(value, str | None) else float(value) for value in row) for row in rows)
    return sorted(plain, key=repr)


def in_catalog():
    rows = {endpoint: list(CatalogHook().iter_rows(endpoint)) for endpoint in COLUMNS}
    return {
        endpoint: comparable([reduce(getitem, path.split("."), row) for path in paths] for row in rows[endpoint])
        for endpoint, paths in COLUMNS.items()
    }


def in_tables(database):
    names = {table: ", ".join(path.replace(".", "_") for path in paths) for table, paths in COLUMNS.items()}
    return {table: comparable(database.rows(columns, table)) for table, columns in names.items()}


def run(dag_id, **arguments):
    done = load_dag(dag_id).test(**arguments)
    assert str(done.state) == "success", [str(each) for each in done.get_task_instances()]


def test_the_warehouse_follows_the_catalog(airflow_database, catalog, database, tmp_path):  # noqa: F811
    # Runs without a logical date or a data interval, as those of an asset or by hand: of a Sunday, then of a Monday.
    sunday = catalog.advance(days=6 - catalog.now.weekday())
    run("catalog_warehouse", logical_date=None, run_after=sunday)
    first = in_catalog()
    assert in_tables(database) == first

    monday = catalog.advance(days=1)
    run("catalog_warehouse", logical_date=None, run_after=monday, run_conf={"look_back_days": 5000})
    second = in_catalog()
    assert all(second[endpoint] != first[endpoint] for endpoint in COLUMNS)
    assert in_tables(database) == second

    run("catalog_report", run_conf={"path": str(tmp_path / "report.html")})
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    orders = list(CatalogHook().iter_rows("orders"))
    for currency in {row["currency"] for row in orders}:
        revenue = sum(Decimal(str(row["revenue"])) for row in orders if row["currency"] == currency)
        assert f"Revenue, {currency}</span><strong>{revenue:,.2f}<" in text


def test_by_day(airflow_database, catalog, database):  # noqa: F811
    orders = [datetime.fromisoformat(row["purchase_date"]) for row in CatalogHook().iter_rows("orders")]
    days = sorted({time.astimezone(UTC).date() for time in orders})[-3:]
    for day in [*days, days[0]]:
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        run("catalog_warehouse_by_day", logical_date=midnight + timedelta(days=1))
    found = database.run("SELECT day, COUNT(*) FROM orders_by_day GROUP BY day ORDER BY day")
    expected = [(str(day), sum(time.astimezone(UTC).date() == day for time in orders)) for day in days]
    assert [(str(day), count) for day, count in found] == expected
