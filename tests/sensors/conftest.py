from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from airflow_provider_catalog.sensors.analytics import (
    CatalogEnrollmentsAnalyticsSensor,
    CatalogOrdersAnalyticsSensor,
    CatalogProductsAnalyticsSensor,
    CatalogUsersAnalyticsSensor,
)
from airflow_provider_catalog.triggers.shared_catalog import shared_catalog
from tests.airflow_names import AIRFLOW, AirflowRescheduleException, TaskDeferred
from tests.operators.conftest import connection, serve  # noqa: F401 - fixtures
from tests.triggers.conftest import first_payload, loaded, said  # noqa: F401 - a fixture

SENSORS = {
    "products": CatalogProductsAnalyticsSensor,
    "enrollments": CatalogEnrollmentsAnalyticsSensor,
    "orders": CatalogOrdersAnalyticsSensor,
    "users": CatalogUsersAnalyticsSensor,
}


@pytest.fixture
def sensor():
    """Return a function that makes a sensor, of orders unless another endpoint is named."""

    def make(endpoint="orders", **parameters):
        return SENSORS[endpoint](**{"task_id": "wait", "poke_interval": 0.05, "timeout": 60, **parameters})

    return make


@pytest.fixture(autouse=True)
def new_clients():
    shared_catalog.cache_clear()


def students(count):
    return [{"key": n, "student": {"id": n, "email": f"s{n}@example.edu"}} for n in range(count)]


def mode_of(name):
    return {"deferrable": True} if name == "deferrable" else {"mode": name}


def run_sensor(sensor: Any, on_pause: Callable[[], None] = lambda: None, timeout: float = 120.0) -> Any:
    """Do what Airflow does with a sensor in any mode; ``on_pause`` is called whenever no worker slot is taken."""
    started: list[Any] = []
    context = {"ti": task_instance(started)}
    step = lambda: sensor.execute(context)  # noqa: E731
    end = time.monotonic() + timeout
    with first_reschedule(started):
        while time.monotonic() < end:
            try:
                return step()
            except AirflowRescheduleException as pause:
                started.append(pause.reschedule_date - timedelta(seconds=sensor.poke_interval))
                on_pause()
            except TaskDeferred as deferred:
                on_pause()
                payload = asyncio.run(first_payload(loaded(deferred.trigger)))
                kwargs = {**(deferred.kwargs or {}), "event": json.loads(json.dumps(payload))}
                step = lambda kwargs=kwargs: sensor.resume_execution("execute_complete", kwargs, {})  # noqa: E731
    raise AssertionError("the sensor does not end")


def task_instance(started: list[Any]) -> SimpleNamespace:
    """Return as much of a task instance as a sensor asks for in reschedule mode."""
    first = lambda context: started[0] if started else None  # noqa: E731
    identity = {"dag_id": "d", "task_id": "wait", "run_id": "r", "map_index": -1, "max_tries": 0}
    return SimpleNamespace(get_first_reschedule_date=first, **identity)


def first_reschedule(started: list[Any]) -> AbstractContextManager[Any]:
    """Let Airflow 2, whose sensors look into the database for it, know when a sensor began."""
    if AIRFLOW >= (3, 0):
        return nullcontext()
    return mock.patch("airflow.sensors.base._orig_start_date", side_effect=lambda **_: started[0] if started else None)
