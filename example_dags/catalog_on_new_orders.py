"""
### Runs when new orders appear.

Nobody starts this DAG, and no clock: a watcher of the asset `catalog_new_orders` asks the Catalog every minute, in the
triggerer, and each time there are more paid orders than it has reported, it starts a run. The run learns from the
event how many are new, and loads the orders of the last two days, the ones it has seen among them: the API has no
filter for what is new, and a file that is replaced as a whole needs none.

From Airflow 3.3 on, the watcher remembers in the asset's state store what it has reported, so that a restart neither
reports old orders again nor misses new ones. In earlier versions it begins anew with each start of the triggerer:
orders that come while no triggerer runs start no run, but the next run loads them.

Filters of a watcher are not rendered: Airflow has no run yet whose dates could be put in.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, Param, task

from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator
from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsEventTrigger

# [START howto_asset_watcher]
NEW_ORDERS = Asset(
    "catalog_new_orders",
    watchers=[
        AssetWatcher(
            name="paid_orders",
            trigger=CatalogAnalyticsEventTrigger(
                "catalog_default", "orders", {"order_fee": ["PAID"]}, poke_interval=60
            ),
        )
    ],
)
# [END howto_asset_watcher]

with DAG(
    dag_id="catalog_on_new_orders",
    doc_md=__doc__,
    schedule=[NEW_ORDERS],
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,  # two runs at once would write the same file
    params={"folder": Param("~/catalog", type="string", description="Where the file goes: a folder or a URL")},
    tags=["catalog", "example"],
) as dag:
    # [START howto_asset_watcher_payload]
    @task
    def what_is_new(*, triggering_asset_events: Any = None) -> dict[str, Any]:
        """
        Return how many orders are new, by the events that have started this run; several may have gathered.

        :param triggering_asset_events: given by Airflow: asset → its events. None in a run that was started by hand.
        """
        payloads = [event.extra.get("payload", {}) for event in triggering_asset_events.get(NEW_ORDERS, [])]
        return {
            "new_rows": sum(payload.get("new_rows", 0) for payload in payloads),
            "filters": payloads[-1].get("filters", {}) if payloads else {},  # Airflow 3.0 takes no None here
        }

    # [END howto_asset_watcher_payload]

    # Of a run that an asset has started there is no logical date: its time is `run_after`.
    orders = CatalogOrdersAnalyticsOperator(
        task_id="orders",
        filters={
            "order_fee": ["PAID"],
            "purchase_date_from": "{{ macros.ds_add(dag_run.run_after | ds, -2) }}",
        },
        output_path="{{ params.folder }}/new_orders/day={{ dag_run.run_after | ds }}/orders.parquet",
    )

    what_is_new() >> orders


if __name__ == "__main__":
    dag.test()
