"""A real Airflow, started once, with scheduler, API server and triggerer; and a Catalog that tests control."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.local_airflow import LocalAirflow, members
from tests.live import cases
from tests.stand_in import TOKEN, Answer, Paging, Request, StandIn, paged, stand_in

DAGS = Path(__file__).parent / "dags"
TIME_LIMIT = 200.0
"""Seconds after which the whole of it has failed; it takes about half as long."""


class LiveAirflow(LocalAirflow):
    """Airflow with a triggerer, which may be killed."""

    def start_triggerer(self) -> None:
        self._start("triggerer", ["triggerer", "--skip-serve-logs"])

    def kill_triggerer(self) -> None:
        """As ``kill -9`` does, its helper process included."""
        process = self._processes.pop("triggerer")
        for member in members({process.pid}):
            member.kill()
        process.wait()

    def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.wait()

    def start_run(self, dag_id: str) -> str:
        return self.post(f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"]

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        return self.get(f"/api/v2/dags/{dag_id}/dagRuns", order_by="run_after")["dag_runs"]

    def tasks(self, dag_id: str, run_id: str) -> dict[tuple[str, int], dict[str, Any]]:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found = self.get(path, limit=100)["task_instances"]
        return {(each["task_id"], each["map_index"]): each for each in found}

    def xcom(self, task: dict[str, Any]) -> Any:
        path = (
            f"/api/v2/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}"
            f"/xcomEntries/return_value?map_index={task['map_index']}"
        )
        value = self.get(path)["value"]
        return json.loads(value) if isinstance(value, str) else value

    def logs(self) -> str:
        """Return all that any part of it has logged, the tasks included."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self._home.rglob("*.log")))

    def task_log(self, task: dict[str, Any]) -> str:
        folder = self._home / "logs" / f"dag_id={task['dag_id']}" / f"run_id={task['dag_run_id']}"
        logs = folder.glob(f"task_id={task['task_id']}/**/*.log*")
        return "\n".join(path.read_text(errors="replace") for path in sorted(logs))


class Catalog:
    """
    A Catalog in which each account has the rows that the test has put there.

    :param server: where it listens.
    """

    server: StandIn

    def __init__(self) -> None:
        self.rows: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self.requests: Counter[int | None] = Counter()

    def add(self, account: int, count: int) -> None:
        start = len(self.rows[account])
        self.rows[account].extend(row(n) for n in range(start, start + count))

    def answer(self, request: Request) -> Answer:
        account = request.filters.get("account_ids", [None])[0]
        self.requests[account] += 1
        if account == cases.REVOKED and self.requests[account] > 1:
            return Answer(b"HTTP Token: Access denied.", 401)
        return paged(self.rows[account], Paging(), request.path.rpartition("/")[2])(request)


def row(number: int) -> dict[str, Any]:
    return {"id": number, "student": {"name": f"Student {number}", "email": f"s{number}@example.edu"}}


@contextmanager
def running_airflow(home: Path, catalog: Catalog):
    connection = {"conn_type": "instructure_catalog", "host": catalog.server.url, "password": TOKEN}
    good = {**connection, "extra": json.dumps({"hash_key": "a-hash-key-of-the-tests"})}
    variables = {
        "AIRFLOW_CONN_CATALOG_BAD_TOKEN": json.dumps({**connection, "password": "a-bad-token-of-the-tests"}),
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",  # a watcher starts runs nobody asks for
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
        "PYTHONPATH": str(DAGS.parents[2]),
    }
    with LiveAirflow(
        home=home,
        dags_folder=DAGS,
        dag_ids=("live_sensors", "live_restart", "live_watcher"),
        variables=variables,
        say=lambda line: None,
        limit=TIME_LIMIT,
    ) as airflow:
        # In Airflow's database, which workers and triggerer have to ask other processes for.
        airflow.post("/api/v2/connections", {"connection_id": "catalog_default", **good})
        airflow.start_triggerer()
        yield airflow


@pytest.fixture(scope="session")
def live(tmp_path_factory):
    """Play all cases at the same time; return the Airflow in which they have ended, and the Catalog."""
    catalog = Catalog()
    with stand_in(catalog.answer) as catalog.server:
        with running_airflow(tmp_path_factory.mktemp("airflow"), catalog) as airflow:
            airflow.catalog = catalog
            play(airflow, catalog)
            yield airflow


def play(airflow: LiveAirflow, catalog: Catalog) -> None:
    def polled(account: int, times: int) -> bool:
        return catalog.requests[account] >= times

    airflow.restart_run = airflow.start_run("live_restart")
    airflow.until(lambda: polled(cases.WATCHED, 2))
    catalog.add(cases.WATCHED, 3)
    # The first poll of a deferrable sensor is made by a worker, the second one by the triggerer.
    airflow.until(lambda: polled(cases.RESTART, 2) and polled(cases.RESTART_TIMEOUT, 2))
    airflow.until(lambda: len(airflow.runs("live_watcher")) == 1)
    airflow.sensors_run = airflow.start_run("live_sensors")
    time.sleep(6)  # what was reported is remembered some seconds later

    airflow.kill_triggerer()
    before = catalog.requests[cases.RESTART]
    catalog.add(cases.WATCHED, 2)
    time.sleep(6)
    airflow.polls_while_killed = catalog.requests[cases.RESTART] - before
    catalog.add(cases.RESTART, 1)
    airflow.start_triggerer()

    airflow.until(lambda: all(polled(account, 2) for account in [*cases.WAIT.values(), *cases.MAPPED]))
    for account in [*cases.WAIT.values(), *cases.MAPPED]:
        catalog.add(account, 2)

    def has_ended(dag_id: str, run_id: str) -> bool:
        return airflow.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"] in ("success", "failed")

    airflow.until(lambda: has_ended("live_sensors", airflow.sensors_run))
    airflow.until(lambda: has_ended("live_restart", airflow.restart_run))
    if cases.AIRFLOW_REMEMBERS:
        airflow.until(lambda: len(airflow.runs("live_watcher")) >= 2)
    airflow.until(lambda: all(has_ended("live_watcher", run["dag_run_id"]) for run in airflow.runs("live_watcher")))
