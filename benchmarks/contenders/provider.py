"""The provider's operator; how many requests are in flight is told by the environment."""

from __future__ import annotations

import json
import os

import airflow.sdk.execution_time.supervisor  # noqa: F401 - in a real task they are there; nobody's imports are measured

import airflow_provider_catalog.client.client  # noqa: F401
from airflow_provider_catalog.operators.analytics import CatalogEnrollmentsAnalyticsOperator
from benchmarks.contenders.measured import run


def pull(url: str, path: str) -> int:
    """Run the task."""
    connection = {"conn_type": "instructure_catalog", "host": url, "password": "token"}
    os.environ["AIRFLOW_CONN_CATALOG_DEFAULT"] = json.dumps(connection)
    task = CatalogEnrollmentsAnalyticsOperator(
        task_id="pull", output_path=path, max_concurrency=int(os.environ.get("IN_FLIGHT", "8"))
    )
    return len(json.dumps(task.execute({})))


if __name__ == "__main__":
    if os.environ.get("IMPORT_PYARROW"):  # memory is measured above the state after imports
        import pyarrow.parquet  # noqa: F401
    run(pull)
