"""
### XCom rows that decide what is loaded.

Asks for the products that are open and have enough enrollments, as rows in XCom, and loads the enrollments of each
into a JSON Lines file of its own: one mapped task for each product.

XCom is for a few rows that steer other tasks. A task whose rows are larger than `max_xcom_bytes` (1 MB) fails and says
so: such data belongs into files, with `output_path`.

**Students' data.** Names and custom fields are left out here, and e-mails and ids replaced by a keyed hash: the same
student has the same hash in all files, and nobody without the key can tell who that is. The key is "Hash key" in
the connection. The columns of enrollments are not documented, so check which ones your own Catalog sends. A path in
`drop_fields` or `hash_fields` that matches nothing is a WARNING in the task's log. Stricter is `fields`: only what it
names is kept, whatever else the Catalog sends one day.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_catalog.operators.analytics import (
    CatalogEnrollmentsAnalyticsOperator,
    CatalogProductsAnalyticsOperator,
)

with DAG(
    dag_id="catalog_to_xcom",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    params={
        "folder": Param("~/catalog", type="string", description="Where the files go: a folder or a URL"),
        "enrollment_count_min": Param(100, type="integer", minimum=0, description="Leave smaller products out"),
    },
    tags=["catalog", "example"],
) as dag:
    # [START howto_operator_xcom]
    products = CatalogProductsAnalyticsOperator(
        task_id="products",
        filters={"product_statuses": ["OPEN"], "enrollment_count_min": "{{ params.enrollment_count_min }}"},
        fields=["product.id", "product.name"],
    )
    # [END howto_operator_xcom]

    # [START howto_map_over_rows]
    @task
    def one_load_a_product(rows: list[dict[str, Any]], folder: str) -> list[dict[str, Any]]:
        """
        Return what differs between the mapped tasks: the arguments of each.

        :param rows: the products, as ``[{"product": {"id": 5, "name": "..."}}]``.
        :param folder: where the files go.
        """
        ids = [row["product"]["id"] for row in rows]
        return [
            {
                "filters": {"product_ids": [product_id]},
                "output_path": f"{folder}/enrollments_by_product/product={product_id}/enrollments.jsonl",
            }
            for product_id in ids
        ]

    enrollments = CatalogEnrollmentsAnalyticsOperator.partial(
        task_id="enrollments",
        drop_fields=["student.name", "custom_fields"],
        hash_fields=["student.id", "student.canvas_user_id", "student.email"],
        max_active_tis_per_dag=4,  # the Catalog has other users, too
    ).expand_kwargs(one_load_a_product(products.output, "{{ params.folder }}"))
    # [END howto_map_over_rows]

    @task
    def add_up(manifests: list[dict[str, Any]]) -> dict[str, int]:
        """
        Return how many files and rows were written.

        :param manifests: the XComs of the mapped tasks.
        """
        row_counts = [manifest["row_count"] for manifest in manifests]
        return {"files": len(row_counts), "rows": sum(row_counts)}

    add_up(enrollments.output)


if __name__ == "__main__":
    dag.test()
