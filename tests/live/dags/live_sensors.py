"""Every sensor in every mode, and what else is tested in a real Airflow; ``account_ids`` tell the cases apart."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_catalog.sensors.analytics import (
    CatalogEnrollmentsAnalyticsSensor,
    CatalogOrdersAnalyticsSensor,
    CatalogProductsAnalyticsSensor,
    CatalogUsersAnalyticsSensor,
)
from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsEventTrigger
from tests.live import cases

SENSORS = {
    "products": CatalogProductsAnalyticsSensor,
    "enrollments": CatalogEnrollmentsAnalyticsSensor,
    "orders": CatalogOrdersAnalyticsSensor,
    "users": CatalogUsersAnalyticsSensor,
}
# Airflow may take a task for lost that is back in the queue a moment after it has left a worker, so 2 s are for a task
# that stays there.
MODES = {
    "poke": {"mode": "poke", "poke_interval": 2},
    "reschedule": {"mode": "reschedule", "poke_interval": 8},
    "deferrable": {"deferrable": True, "poke_interval": 8},
}

with DAG("live_sensors", schedule=None, default_args={"retries": 3, "retry_delay": timedelta(seconds=1)}):
    for (endpoint, mode), account in cases.WAIT.items():
        SENSORS[endpoint](
            task_id=f"wait_{endpoint}_{mode}",
            # A template of both kinds: one that Airflow renders, and numbers that come out as text.
            filters={"account_ids": "{{ params.get('nothing', %d) }}" % account},  # noqa: UP031
            min_rows=2,
            drop_fields=["student.name"],
            hash_fields=["student.email"],
            timeout=300,
            **MODES[mode],
        )
    CatalogOrdersAnalyticsSensor.partial(task_id="mapped", timeout=300, **MODES["deferrable"]).expand(
        filters=[{"account_ids": [account]} for account in cases.MAPPED]
    )
    for mode, parameters in MODES.items():
        CatalogOrdersAnalyticsSensor(
            task_id=f"timeout_{mode}", filters={"account_ids": [cases.TIMEOUT[mode]]}, timeout=12, **parameters
        )
        CatalogOrdersAnalyticsSensor(task_id=f"bad_token_{mode}", catalog_conn_id="catalog_bad_token", **parameters)
    CatalogOrdersAnalyticsSensor(
        task_id="soft_fail",
        filters={"account_ids": [cases.SOFT_FAIL]},
        timeout=12,
        soft_fail=True,
        **MODES["deferrable"],
    )
    CatalogOrdersAnalyticsSensor(task_id="revoked", filters={"account_ids": [cases.REVOKED]}, **MODES["deferrable"])

with DAG("live_restart", schedule=None, default_args={"poke_interval": 4, "deferrable": True, "retries": 0}):
    CatalogUsersAnalyticsSensor(task_id="goes_on", filters={"account_ids": [cases.RESTART]}, timeout=300)
    CatalogUsersAnalyticsSensor(task_id="times_out", filters={"account_ids": [cases.RESTART_TIMEOUT]}, timeout=40)

new_orders = Asset(
    "new_orders",
    watchers=[
        AssetWatcher(
            name="orders",
            trigger=CatalogAnalyticsEventTrigger(
                "catalog_default", "orders", {"account_ids": [cases.WATCHED]}, poke_interval=1
            ),
        )
    ],
)

with DAG("live_watcher", schedule=[new_orders]):

    @task
    def payloads(triggering_asset_events):
        """Return what the events say."""
        return [event.extra["payload"] for event in triggering_asset_events[new_orders]]

    payloads()
