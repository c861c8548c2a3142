"""How tasks are ended that wait for the Catalog, and how it keeps them waiting."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.leaks.canaries import STUDENT
from tests.live import cases
from tests.stand_in import Answer, Paging, Request, Stalled, paged

if TYPE_CHECKING:
    from tests.live.conftest import Catalog, LiveAirflow

ROWS = 1000
LAST = ROWS // 100
"""The number of the last page, which is asked for before those between."""
IN_FLIGHT = 4
ACCOUNTS = {*cases.KILLED_OPERATORS.values(), *cases.KILLED_SENSORS.values()}


def account_of(request: Request) -> int | None:
    return request.filters.get("account_ids", [None])[0]


def answer(request: Request, times: int, goes_on: bool) -> Answer:
    """
    Keep an operator waiting for all pages but the first and the last; a sensor from its first poll on, or its second.

    :param times: how often the account was asked for, with this request.
    :param goes_on: whether the task, being tried again, gets all that it asks for.
    """
    account = account_of(request)
    is_operator = account in cases.KILLED_OPERATORS.values()
    rows = [{"id": n, "student": STUDENT} for n in range(ROWS if is_operator else 0)]
    reply = paged(rows, Paging(), "orders")(request)
    is_answered = (
        request.page in (None, LAST) if is_operator else account == cases.KILLED_SENSORS["deferred"] and times == 1
    )
    if not goes_on and not is_answered:
        reply.stall = -1
    return reply


def stalled(catalog: Catalog, account: int) -> list[Stalled]:
    return [each for each in catalog.server.stalled if account_of(each.request) == account]


def end_all(airflow: LiveAirflow, catalog: Catalog) -> None:
    """Wait until all wait; then clear one, and mark the others as failed. Timeouts come by themselves."""
    operators, sensors = cases.KILLED_OPERATORS, cases.KILLED_SENSORS
    airflow.until(lambda: all(len(stalled(catalog, operators[how])) >= IN_FLIGHT for how in ("cleared", "failed")))
    airflow.until(lambda: all(stalled(catalog, sensors[how]) for how in ("failed", "deferred")))
    catalog.goes_on.add(operators["cleared"])
    run = f"/api/v2/dags/live_kills/dagRuns/{airflow.kills_run}"
    airflow.killed_at = time.time()
    for task_id in ("operator_failed", "sensor_failed", "sensor_deferred"):
        airflow.patch(f"{run}/taskInstances/{task_id}", {"new_state": "failed"})
    cleared = {"dag_run_id": airflow.kills_run, "task_ids": ["operator_cleared"]}
    airflow.post("/api/v2/dags/live_kills/clearTaskInstances", {"dry_run": False, "only_failed": False, **cleared})


def all_have_hung_up(catalog: Catalog) -> bool:
    return all(each.ended for account in ACCOUNTS for each in stalled(catalog, account))


def seconds_under_way(catalog: Catalog, account: int, log: str, event: str) -> float:
    """Return for how many seconds requests went on after an event that is in the task's log."""
    records: list[dict[str, Any]] = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    [told, *_] = [record["timestamp"] for record in records if event in record["event"]]
    return (
        max(each.ended or time.time() for each in stalled(catalog, account)) - datetime.fromisoformat(told).timestamp()
    )
