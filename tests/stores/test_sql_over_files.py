"""The example that runs SQL over a folder of files, with Airflow's own operator."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator
from airflow_provider_catalog.sandbox import sandbox
from tests.example_dags.conftest import load_dag


def test_all_days_are_one_table(monkeypatch, tmp_path):
    monkeypatch.setenv("CATALOG_FOLDER", str(tmp_path))
    with sandbox(products=30, users=80, enrollments=1500, as_of="2026-07-01") as catalog:
        monkeypatch.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", catalog.connection_json)
        for number in range(20):
            day = date(2026, 6, 1) + timedelta(number)
            CatalogOrdersAnalyticsOperator(
                task_id="orders",
                filters={"purchase_date_from": f"{day}T00:00:00Z", "purchase_date_to": f"{day}T23:59:59Z"},
                output_path=tmp_path / f"orders/day={day}/orders.parquet",
            ).execute({})
        window = {"purchase_date_from": "2026-06-01T00:00:00Z", "purchase_date_to": "2026-06-20T23:59:59Z"}
        orders = list(CatalogHook().iter_rows("orders", window))
    [answer] = json.loads(load_dag("catalog_sql_over_files").get_task("revenue_by_month").execute({}))
    assert {row["month"] for row in answer["data"]} == {"2026-06-01 00:00:00+00:00"}
    assert sum(row["orders"] for row in answer["data"]) == len(orders) > 0
    revenue = sum(Decimal(str(order["revenue"])) for order in orders)
    assert sum(Decimal(row["revenue"]) for row in answer["data"]) == revenue
