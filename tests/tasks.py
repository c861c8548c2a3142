"""Operators and sensors, and what Airflow does with them: runs them in each mode, loads triggers, sends signals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from unittest import mock

from airflow_provider_catalog.operators import analytics as operators
from airflow_provider_catalog.sensors import analytics as sensors
from tests.airflow_names import AIRFLOW, AirflowRescheduleException, TaskDeferred

ENDPOINTS = ("products", "enrollments", "orders", "users")
OPERATORS = {name: getattr(operators, f"Catalog{name.title()}AnalyticsOperator") for name in ENDPOINTS}
SENSORS = {name: getattr(sensors, f"Catalog{name.title()}AnalyticsSensor") for name in ENDPOINTS}


@contextmanager
def signalled(handler: Callable[[], object], when: Callable[[], object]) -> Iterator[None]:
    """Send this process a signal, as Airflow does, as soon as ``when()``; the block is over when it was handled."""

    handled = threading.Event()

    def handle(*_):
        handled.set()
        handler()

    def send():
        while not when():
            time.sleep(0.01)
        while not handled.is_set():  # one that comes right before a system call is handled after that
            os.kill(os.getpid(), signal.SIGTERM)
            handled.wait(1)

    before = signal.signal(signal.SIGTERM, handle)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        sender.join()
        signal.signal(signal.SIGTERM, before)


def run_sensor(sensor: Any, on_pause: Callable[[], None] = lambda: None, timeout: float = 120.0) -> Any:
    """Do what Airflow does with a sensor in any mode; ``on_pause`` is called whenever no worker slot is taken."""
    started: list[Any] = []
    # As much of a task instance as a sensor asks for in reschedule mode.
    ti = SimpleNamespace(dag_id="d", task_id="wait", run_id="r", map_index=-1, max_tries=0)
    ti.get_first_reschedule_date = lambda context: started[0] if started else None
    step = lambda: sensor.execute({"ti": ti})  # noqa: E731
    end = time.monotonic() + timeout
    with _first_reschedule(started):
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


def _first_reschedule(started: list[Any]) -> AbstractContextManager[Any]:
    """Let Airflow 2, whose sensors look into the database for it, know when a sensor began."""
    if AIRFLOW >= (3, 0):
        return nullcontext()
    return mock.patch("airflow.sensors.base._orig_start_date", side_effect=lambda **_: started[0] if started else None)


async def first_payload(trigger: Any, timeout: float = 120.0) -> Any:
    """Return the payload of the first event that a trigger fires."""
    async with asyncio.timeout(timeout):
        return (await anext(trigger.run())).payload


async def until(condition: Callable[[], object], timeout: float = 120.0) -> None:
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.01)


def loaded(trigger: Any) -> Any:
    """Return the trigger as Airflow makes it again from what it has stored of it."""
    from airflow.models.trigger import Trigger

    row = Trigger.from_object(trigger)
    module, _, name = row.classpath.rpartition(".")
    return getattr(import_module(module), name)(**row.kwargs)


def operator(endpoint: str = "orders", **parameters: Any) -> Any:
    """Return an operator; of orders where it makes no difference, for all four are one class with other names."""
    return OPERATORS[endpoint](task_id="pull", **parameters)


def sensor(endpoint: str = "orders", **parameters: Any) -> Any:
    return SENSORS[endpoint](**{"task_id": "wait", "poke_interval": 0.05, "timeout": 60, **parameters})
