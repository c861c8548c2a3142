"""
### Four tables that follow the Catalog, every night.

Into any database that Airflow has a connection to: orders and enrollments of the last 60 days are merged by their key,
so that late refunds and completions arrive; products and users, which have no date of their last change, are replaced.
On Sundays everything is replaced: that is when changes to older rows, and rows that were deleted in the Catalog, are
seen. Each table changes in one transaction, and whoever reads it meanwhile sees the old rows.

It keeps no state: what to load follows from when the run was due, which manual, asset-triggered and backfilled runs
have as well. A night that was missed is made up for by the next one.

The names of the keys are parameters: the fields of orders, enrollments and users are not documented, and a wrong key
is an error that says so. `python -m airflow_provider_catalog.probe` shows what yours are called.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_catalog.transfers.analytics_to_sql import (
    CatalogEnrollmentsAnalyticsToSqlOperator,
    CatalogOrdersAnalyticsToSqlOperator,
    CatalogProductsAnalyticsToSqlOperator,
    CatalogUsersAnalyticsToSqlOperator,
)

# [START howto_warehouse]
with DAG(
    dag_id="catalog_warehouse",
    doc_md=__doc__,
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={
        "sql_conn_id": Param("warehouse", type="string", description="A connection to an SQL database"),
        "look_back_days": Param(60, type="integer", minimum=1, description="How old a row is that may still change"),
        "order_key": Param("order_id", type="string"),
        "enrollment_key": Param("enrollment_id", type="string"),
        "user_key": Param("student_id", type="string"),
    },
    tags=["catalog", "example"],
) as dag:

    @task(multiple_outputs=True)
    def what_to_load(dag_run: Any = None, params: Any = None) -> dict[str, Any]:
        """Return what to do, and the filters for it: everything on Sundays, else what may have changed lately."""
        if dag_run.run_after.weekday() == 6:
            return {"write_disposition": "replace", "orders": {}, "enrollments": {}}
        since = (dag_run.run_after - timedelta(days=params["look_back_days"])).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "write_disposition": "merge",
            "orders": {"purchase_date_from": since},
            "enrollments": {"enrollment_date_from": since},
        }

    todo = what_to_load()

    orders = CatalogOrdersAnalyticsToSqlOperator(
        task_id="orders",
        sql_conn_id="{{ params.sql_conn_id }}",
        table="orders",
        write_disposition=todo["write_disposition"],
        primary_key="{{ params.order_key }}",
        filters=todo["orders"],
    )

    enrollments = CatalogEnrollmentsAnalyticsToSqlOperator(
        task_id="enrollments",
        sql_conn_id="{{ params.sql_conn_id }}",
        table="enrollments",
        write_disposition=todo["write_disposition"],
        primary_key="{{ params.enrollment_key }}",
        filters=todo["enrollments"],
    )

    products = CatalogProductsAnalyticsToSqlOperator(
        task_id="products",
        sql_conn_id="{{ params.sql_conn_id }}",
        table="products",
        write_disposition="replace",
        primary_key="product_id",
    )

    users = CatalogUsersAnalyticsToSqlOperator(
        task_id="users",
        sql_conn_id="{{ params.sql_conn_id }}",
        table="users",
        write_disposition="replace",
        primary_key="{{ params.user_key }}",
    )
    # [END howto_warehouse]


if __name__ == "__main__":
    dag.test()
