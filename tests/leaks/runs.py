"""Everything that reads a Catalog, run the way that Airflow runs it; what is told of each run, as text."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_catalog.hooks.catalog import CatalogHook
from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsEventTrigger, CatalogAnalyticsTrigger
from tests.tasks import OPERATORS, SENSORS, first_payload, run_sensor

Told = dict[str, Any]
"""What a run tells, and whom: ``xcom``, ``error``, ``events``, ..."""


def operator(suffix: str | None) -> Callable[..., Told]:
    def run(endpoint: str, folder: Path, **parameters: Any) -> Told:
        context = {"outlet_events": OutletEventAccessors()}
        outlets = [Asset(f"{endpoint}_rows"), AssetAlias(f"{endpoint}_files")]
        path = str(folder / f"{endpoint}.{suffix}") if suffix else None
        task = OPERATORS[endpoint](task_id="pull", outlets=outlets, **{"output_path": path, **parameters})
        told = outcome(lambda: task.execute(context))
        # An operator without outlets has no events at all.
        return told | {"events": repr([context["outlet_events"][each] for each in outlets]), "task": repr(task)}

    return run


def sensor(**mode: Any) -> Callable[..., Told]:
    def run(endpoint: str, folder: Path, **parameters: Any) -> Told:
        task = SENSORS[endpoint](task_id="wait", poke_interval=0.01, timeout=0.02, **mode, **parameters)
        return outcome(lambda: run_sensor(task)) | {"task": repr(task)}

    return run


def trigger(endpoint: str, folder: Path, **parameters: Any) -> Told:
    waiting = CatalogAnalyticsTrigger(
        "catalog_default", endpoint, poke_interval=0.01, deadline=time.time() + 0.02, **parameters
    )
    return outcome(lambda: asyncio.run(first_payload(waiting))) | {"arguments": json.dumps(waiting.serialize())}


def watcher(endpoint: str, folder: Path, **parameters: Any) -> Told:
    watching = CatalogAnalyticsEventTrigger("catalog_default", endpoint, report_existing=True, **parameters)
    return outcome(lambda: asyncio.run(first_payload(watching, 0.05))) | {"arguments": json.dumps(watching.serialize())}


def hook(endpoint: str, folder: Path, **parameters: Any) -> Told:
    asked = CatalogHook()
    told = outcome(lambda: asked.count_rows(endpoint, parameters.get("filters")))
    tested = outcome(asked.test_connection)
    return told | {"test": tested.get("xcom"), "hook": repr(asked), **{f"test {key}": tested[key] for key in tested}}


STORED = {suffix: operator(suffix) for suffix in ("jsonl", "csv", "csv.gz", "parquet")}
OPERATED = {"xcom": operator(None), **STORED}
SENSED = {
    "poke": sensor(mode="poke"),
    "reschedule": sensor(mode="reschedule"),
    "deferrable": sensor(deferrable=True),
}
TASKS = (*OPERATED, *SENSED)
COLUMNS = ("csv", "csv.gz", "parquet")
TRIGGERED = {"trigger": trigger, "watcher": watcher}
ALL = {**OPERATED, **SENSED, **TRIGGERED, "hook": hook}


def one_of_each(number: int) -> list[str]:
    """Return an operator's way, a sensor's, the triggers and the hook; other ways for another number."""
    return [[*OPERATED][number % len(OPERATED)], [*SENSED][number % len(SENSED)], *TRIGGERED, "hook"]


def outcome(step: Callable[[], Any]) -> Told:
    """Take a step; tell what it returned, or all that can be made of its error."""
    try:
        return {"xcom": step()}
    except TimeoutError:
        return {}  # of a watcher that has nothing to tell
    except Exception as error:
        return {
            "failed": error,
            "error": "".join(traceback.format_exception(error)),
            "error's parts": "\n".join(f"{each!r} {each.args} {vars(each)}" for each in chain(error)),
            # What Sentry sends, and what Airflow prints where DEV is set.
            "locals": "\n".join("".join(shown_with_locals(each)) for each in chain(error)),
        }


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its causes and its contexts, also those that a traceback does not show."""
    seen, errors = set(), [error]
    while errors:
        each = errors.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            errors += [each.__cause__, each.__context__]


def shown_with_locals(error: BaseException) -> Iterator[str]:
    return traceback.TracebackException.from_exception(error, capture_locals=True).format()
