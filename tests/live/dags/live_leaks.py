"""Operators whose rows are searched for in all that Airflow keeps: some that succeed, some that fail."""

from __future__ import annotations

import os

from airflow.sdk import DAG, Asset

from airflow_provider_catalog.operators.analytics import (
    CatalogEnrollmentsAnalyticsOperator,
    CatalogOrdersAnalyticsOperator,
    CatalogProductsAnalyticsOperator,
    CatalogUsersAnalyticsOperator,
)
from tests.live import cases

FOLDER = os.environ["LIVE_FILES"]
OPERATORS = {
    "products.jsonl": CatalogProductsAnalyticsOperator,
    "enrollments.csv": CatalogEnrollmentsAnalyticsOperator,
    "users.parquet": CatalogUsersAnalyticsOperator,
}
LOADED = {"account_ids": [cases.LOADED]}

with DAG("live_leaks", schedule=None, default_args={"retries": 0}):
    for name, operator in OPERATORS.items():
        operator(
            task_id=f"load_{name}", filters=LOADED, output_path=f"{FOLDER}/{name}", outlets=[Asset(f"leaks_{name}")]
        )
    CatalogOrdersAnalyticsOperator(task_id="asked_for_rows", filters=LOADED)
    CatalogOrdersAnalyticsOperator(
        task_id="hashed", filters=LOADED, drop_fields=["student.name"], hash_fields=["student.email"]
    )
    CatalogOrdersAnalyticsOperator(task_id="refused", filters={"account_ids": [cases.REFUSED]})
    CatalogOrdersAnalyticsOperator(
        task_id="unfit", filters=LOADED, output_path=f"{FOLDER}/unfit.csv", field_types={"student_name": "timestamp"}
    )
