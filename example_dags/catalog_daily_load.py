"""
### Catalog analytics, once a day.

Loads the day's orders, enrollments and new users, and all products, into Parquet files in folders by day
(`orders/day=2026-06-30/orders.parquet`). The types of their columns are remembered beside each folder, in
`orders.schema.json`, so that DuckDB, Polars, pandas and pyarrow read a folder as one table; once a column has turned up
on a later day, with `union_by_name` and its like (see docs/storage.md). Then it works out the ten products with the
most revenue, and how many of their enrollments were completed.

**What a window does not see.** The API has no filter on when a row last changed. A day's file holds what was bought or
registered on that day, as it stood when the task ran: a refund or a completion of a later day never reaches it. Ways
out:

* windows that overlap: the last 30 days each day, of which the newest row of each id is kept,
* everything once a week (see `catalog_backfill`),
* completions by `completion_date_from` and `completion_date_to` as well.

A product changes with each of its orders, so all products are loaded every day: the file is a snapshot of the moment
when the task ran. (`creation_date_from` and `creation_date_to` would give new products only.)

It is not documented whether a `..._to` filter includes the instant that it names. If it does, a row of midnight sharp
is in the files of two days; its id tells.

To run it by hand, give a logical date: the run loads the last whole day before it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, ObjectStoragePath, Param, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_catalog.operators.analytics import (
    CatalogEnrollmentsAnalyticsOperator,
    CatalogOrdersAnalyticsOperator,
    CatalogProductsAnalyticsOperator,
    CatalogUsersAnalyticsOperator,
)

# [START howto_daily_load_dag]
with DAG(
    dag_id="catalog_daily_load",
    doc_md=__doc__,
    # A cron string alone gives Airflow 3 data intervals without length, and so windows without rows.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "folder": Param(
            "~/catalog",
            type="string",
            description="Where the files go: a folder, or a URL such as s3://aws@bucket/catalog",
        )
    },
    tags=["catalog", "example"],
) as dag:
    # [END howto_daily_load_dag]
    # [START howto_operator_orders_parquet]
    orders = CatalogOrdersAnalyticsOperator(
        task_id="orders",
        filters={
            "purchase_date_from": "{{ data_interval_start | ts }}",
            "purchase_date_to": "{{ data_interval_end | ts }}",
        },
        output_path="{{ params.folder }}/orders/day={{ data_interval_start | ds }}/orders.parquet",
    )
    # [END howto_operator_orders_parquet]

    enrollments = CatalogEnrollmentsAnalyticsOperator(
        task_id="enrollments",
        filters={
            "enrollment_date_from": "{{ data_interval_start | ts }}",
            "enrollment_date_to": "{{ data_interval_end | ts }}",
        },
        output_path="{{ params.folder }}/enrollments/day={{ data_interval_start | ds }}/enrollments.parquet",
    )

    users = CatalogUsersAnalyticsOperator(
        task_id="users",
        filters={
            "registration_date_from": "{{ data_interval_start | ts }}",
            "registration_date_to": "{{ data_interval_end | ts }}",
        },
        output_path="{{ params.folder }}/users/day={{ data_interval_start | ds }}/users.parquet",
    )

    # [START howto_operator_products_full_load]
    products = CatalogProductsAnalyticsOperator(
        task_id="products",
        output_path="{{ params.folder }}/products/day={{ data_interval_start | ds }}/products.parquet",
        on_empty="fail",  # a Catalog without a product is more likely a token without rights to see them
    )
    # [END howto_operator_products_full_load]

    # [START howto_use_the_file]
    @task
    def top_products(manifest: dict[str, Any]) -> list[dict[str, Any]]:
        """
        Return the ten products with the most revenue, best first.

        Revenues are compared as they are: nothing here knows exchange rates.

        :param manifest: the XCom of the task that wrote the products' file.
        """
        import pyarrow.compute as pc  # heavy: only where it is used, so that the file is parsed fast
        import pyarrow.parquet as pq

        columns = ["product_name", "currency", "revenue", "enrollment_count", "completion_count"]
        with ObjectStoragePath(manifest["path"]).open("rb") as file:
            table = pq.read_table(file, columns=columns).filter(pc.field("revenue").is_valid())
        best = table.sort_by([("revenue", "descending")]).slice(0, 10).to_pylist()
        answer = []
        for row in best:
            enrolled, completed = row["enrollment_count"], row["completion_count"]
            answer.append(
                {
                    "product": row["product_name"],
                    "currency": row["currency"],
                    "revenue": float(row["revenue"]),
                    "completion_rate": completed / enrolled if enrolled and completed is not None else None,
                }
            )
        return answer

    top_products(products.output)
    # [END howto_use_the_file]


if __name__ == "__main__":
    dag.test()
