"""
### A table of orders, day by day, without a key.

Each run loads the orders of one day, and replaces those of that day and no others: a run that is tried again, cleared
or backfilled gives the same rows, not twice as many. The column `day` says which run a row belongs to. For rows that
have no key, or a table that is partitioned by day.

What it does not see is a change of an order of an earlier day, such as a refund: for that, clear the days in question,
or see `catalog_warehouse`. A run without a data interval has no day, and fails before it asks for anything.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_catalog.transfers.analytics_to_sql import CatalogOrdersAnalyticsToSqlOperator

with DAG(
    dag_id="catalog_warehouse_by_day",
    doc_md=__doc__,
    # A cron string alone gives Airflow 3 data intervals without length, and so windows without rows.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={"sql_conn_id": Param("warehouse", type="string", description="A connection to an SQL database")},
    tags=["catalog", "example"],
) as dag:
    # [START howto_partition]
    orders = CatalogOrdersAnalyticsToSqlOperator(
        task_id="orders",
        sql_conn_id="{{ params.sql_conn_id }}",
        table="orders_by_day",
        write_disposition="replace",
        partition={"day": "{{ data_interval_start | ds }}"},
        field_types={"day": "date"},
        filters={
            "purchase_date_from": "{{ data_interval_start | ts }}",
            "purchase_date_to": "{{ data_interval_end | ts }}",
        },
    )
    # [END howto_partition]


if __name__ == "__main__":
    dag.test()
