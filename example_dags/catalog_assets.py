"""
### A DAG that runs when a file is there.

Loads the orders and says so by an asset event, which carries the manifest's figures: path, format, rows, bytes and
SHA-256. The DAG below it is scheduled by that asset. It has no schedule, no sensor and no path of its own: all it needs
to know stands on the event that triggered it.

The task has two outlets. The `Asset` is the orders in general; it has the same name every day, so a DAG can be
scheduled by it. The `AssetAlias` makes an asset of each file, by its URL, so that the *Assets* page shows which files
there are and which run wrote them.

**Students' data.** An event never has a row on it, nor the filters, which may name students: events stay in Airflow's
database when XComs are long gone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import DAG, Asset, AssetAlias, Param, task

from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator

# [START howto_asset_outlets]
ORDERS = Asset("catalog_orders")
FILES = AssetAlias("catalog_files")

with DAG(
    dag_id="catalog_assets",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    params={"folder": Param("~/catalog", type="string", description="Where the file goes: a folder or a URL")},
    tags=["catalog", "example"],
) as dag:
    CatalogOrdersAnalyticsOperator(
        task_id="orders",
        output_path="{{ params.folder }}/orders_asset/orders.parquet",
        outlets=[ORDERS, FILES],
    )
# [END howto_asset_outlets]

# [START howto_asset_consumer]
with DAG(
    dag_id="catalog_assets_report",
    schedule=[ORDERS],
    start_date=datetime(2026, 1, 1),
    tags=["catalog", "example"],
) as report_dag:

    @task
    def report(*, triggering_asset_events: Any = None) -> dict[str, Any]:
        """
        Return what the events tell of the files; one run may have been triggered by several.

        :param triggering_asset_events: given by Airflow: asset → its events.
        """
        figures = [event.extra for event in triggering_asset_events[ORDERS]]
        return {
            "paths": [each["path"] for each in figures],
            "rows": sum(each["row_count"] for each in figures),
            "bytes": sum(each["size_bytes"] for each in figures),
        }

    report()
# [END howto_asset_consumer]


if __name__ == "__main__":
    dag.test()
