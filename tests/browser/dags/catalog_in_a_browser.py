"""The smallest DAG that a person would try a new connection with."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_catalog.operators.analytics import (
    CatalogEnrollmentsAnalyticsOperator,
    CatalogProductsAnalyticsOperator,
)

with DAG("catalog_in_a_browser", schedule=None, params={"folder": ""}):
    CatalogProductsAnalyticsOperator(
        task_id="products",
        filters={"product_statuses": ["OPEN"], "revenue_min": 1},
        output_path="{{ params.folder }}/products.csv",
    )
    CatalogEnrollmentsAnalyticsOperator(
        task_id="enrollments",
        filters={"enrollment_statuses": ["COMPLETED"]},
        fields=["enrollment_id", "product"],
        max_xcom_bytes=10_000_000,
    )
