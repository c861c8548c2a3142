"""Sensors in every mode, a watcher, and operators of all kinds; ``account_ids`` tell the cases apart."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsEventTrigger
from tests.live import cases
from tests.tasks import OPERATORS, SENSORS

FOLDER = os.environ[cases.FOLDER]
# Airflow may take a task for lost that is back in the queue a moment after it has left a worker, so 2 s are for a task
# that stays there.
MODES = {
    "poke": {"mode": "poke", "poke_interval": 2},
    "reschedule": {"mode": "reschedule", "poke_interval": 8},
    "deferrable": {"deferrable": True, "poke_interval": 8},
}
LOADED = {"account_ids": [cases.LOADED]}

with DAG("live_sensors", schedule=None, default_args={"retries": 3, "retry_delay": timedelta(seconds=1)}):
    for (endpoint, mode), account in cases.WAIT.items():
        SENSORS[endpoint](
            task_id=f"wait_{endpoint}",
            # A template of both kinds: one that Airflow renders, and numbers that come out as text.
            filters={"account_ids": "{{ params.get('nothing', %d) }}" % account},  # noqa: UP031
            min_rows=2,
            drop_fields=["student.name"],
            hash_fields=["student.email"],
            timeout=300,
            **MODES[mode],
        )
    waiting = {"timeout": 300, **MODES["deferrable"]}
    sensor = SENSORS["orders"]
    sensor.partial(task_id="mapped", **waiting).expand(filters=[{"account_ids": [each]} for each in cases.MAPPED])
    sensor(task_id="timeout", filters={"account_ids": [cases.TIMEOUT]}, deferrable=True, poke_interval=4, timeout=8)
    sensor(task_id="bad_token", catalog_conn_id="catalog_bad_token", **MODES["poke"])
    sensor(task_id="revoked", filters={"account_ids": [cases.REVOKED]}, **waiting)

with DAG("live_restart", schedule=None):
    waiting = {"deferrable": True, "poke_interval": 4, "timeout": 300}
    SENSORS["users"](task_id="goes_on", filters={"account_ids": [cases.RESTART]}, **waiting)

with DAG("live_kills", schedule=None, default_args={"catalog_conn_id": "catalog_patient"}):
    for how, account in cases.KILLED_OPERATORS.items():
        filters = {"account_ids": [account]}
        path = f"{FOLDER}/{how}/rows.csv"
        OPERATORS["orders"](task_id=f"operator_{how}", filters=filters, drop_fields=["student"], output_path=path)
    for how, account in cases.KILLED_SENSORS.items():
        filters, is_deferred = {"account_ids": [account]}, how == "deferred"
        SENSORS["orders"](task_id=f"sensor_{how}", filters=filters, deferrable=is_deferred, poke_interval=1)

with DAG("live_leaks", schedule=None):
    for name in ("products.jsonl", "enrollments.csv", "users.parquet"):
        operator, path = OPERATORS[name.partition(".")[0]], f"{FOLDER}/loaded/{name}"
        operator(task_id=f"load_{name}", filters=LOADED, output_path=path, outlets=[Asset(f"leaks_{name}")])
    operator, path = OPERATORS["orders"], f"{FOLDER}/loaded/unfit.csv"
    operator(task_id="asked_for_rows", filters=LOADED)
    operator(task_id="hashed", filters=LOADED, drop_fields=["student.name"], hash_fields=["student.email"])
    operator(task_id="refused", filters={"account_ids": [cases.REFUSED]})
    operator(task_id="unfit", filters=LOADED, output_path=path, field_types={"student_name": "timestamp"})

filters = {"account_ids": [cases.WATCHED]}
trigger = CatalogAnalyticsEventTrigger("catalog_default", "orders", filters, poke_interval=1)
new_orders = Asset("new_orders", watchers=[AssetWatcher(name="orders", trigger=trigger)])

with DAG("live_watcher", schedule=[new_orders]):

    @task
    def payloads(triggering_asset_events):
        """Return what the events say."""
        return [event.extra["payload"] for event in triggering_asset_events[new_orders]]

    payloads()
