"""Tasks that Airflow ends while the Catalog keeps them waiting; ``account_ids`` tell them apart."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator
from airflow_provider_catalog.sensors.analytics import CatalogOrdersAnalyticsSensor
from tests.live import cases

# Long enough for a busy machine to get to the requests, which would wait for longer still.
TIMEOUT = timedelta(seconds=25)

with DAG("live_kills", schedule=None, default_args={"catalog_conn_id": "catalog_patient"}):
    for how, account in cases.KILLED_OPERATORS.items():
        CatalogOrdersAnalyticsOperator(
            task_id=f"operator_{how}",
            filters={"account_ids": [account]},
            drop_fields=["student"],
            output_path=f"{os.environ[cases.KILLS_FOLDER]}/{how}/rows.csv",
            execution_timeout=TIMEOUT if how == "timeout" else None,
        )
    for how, account in cases.KILLED_SENSORS.items():
        CatalogOrdersAnalyticsSensor(
            task_id=f"sensor_{how}",
            filters={"account_ids": [account]},
            deferrable=how == "deferred",
            poke_interval=1,
            execution_timeout=TIMEOUT if how == "timeout" else None,
        )
