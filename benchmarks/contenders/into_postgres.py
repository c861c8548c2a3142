"""The provider's operator that loads a table; it writes no file."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import airflow.providers.postgres.hooks.postgres
import airflow.sdk.execution_time.supervisor  # noqa: F401 - as for the provider

import airflow_provider_catalog.client.client
import airflow_provider_catalog.output.tables.load  # noqa: F401
from airflow_provider_catalog.transfers.analytics_to_sql import CatalogEnrollmentsAnalyticsToSqlOperator
from benchmarks.contenders.measured import run


def pull(url: str, path: str) -> int:
    """Run the task."""
    connection = {"conn_type": "instructure_catalog", "host": url, "password": "token"}
    os.environ["AIRFLOW_CONN_CATALOG_DEFAULT"] = json.dumps(connection)
    task = CatalogEnrollmentsAnalyticsToSqlOperator(
        task_id="pull",
        sql_conn_id="warehouse",
        table="enrollments",
        write_disposition="replace",
        max_concurrency=int(os.environ["IN_FLIGHT"]),
    )
    instance = SimpleNamespace(dag_id="d", run_id="r", task_id="pull", map_index=-1, try_number=1)
    return len(json.dumps(task.execute({"ti": instance})))


if __name__ == "__main__":
    run(pull)
