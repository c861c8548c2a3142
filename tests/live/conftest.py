"""A real Airflow, started once, with scheduler, API server and triggerer; and a Catalog that tests control."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from scripts.local_airflow import members
from tests.catalog_server import Answer, Pages, Request, Stalled, StandIn, catalog_server
from tests.leaks.canaries import HASH_KEY, LOCAL_PART, STUDENT, TOKEN
from tests.live import cases
from tests.real_airflow import RealAirflow

DAGS = Path(__file__).parent / "dags"
DAG_IDS = ("live_sensors", "live_restart", "live_watcher", "live_leaks", "live_kills")
TIME_LIMIT = 550.0
"""Seconds after which the whole of it has failed; less than requests wait that only an end of their task ends."""
ROWS = 1000
"""Those of an operator that is killed: ten pages."""
IN_FLIGHT = 4


class LiveAirflow(RealAirflow):
    """Airflow with a triggerer, which may be killed; ``commands`` has the arguments of all processes that were seen."""

    def __init__(self, **arguments: Any) -> None:
        self.commands: set[str] = set()
        super().__init__(**arguments)

    def start_triggerer(self) -> None:
        self._start("triggerer", ["triggerer", "--skip-serve-logs"])

    def kill_triggerer(self) -> None:
        """As ``kill -9`` does, its helper process included."""
        process = self._processes.pop("triggerer")
        for member in members({process.pid}):
            member.kill()
        process.wait()

    def wait(self) -> None:
        super().wait()
        started = members({process.pid for process in self._processes.values()})
        with suppress(psutil.Error):
            self.commands.update(" ".join(process.cmdline()) for process in started)

    def database(self) -> dict[str, str]:
        """Return all that is in the database, table by table."""
        with closing(sqlite3.connect(f"file:{self._home}/airflow.db?mode=ro", uri=True)) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            # The names are the database's own.
            return {name: as_text(database.execute(f'SELECT * FROM "{name}"')) for name in tables}  # noqa: S608

    def files(self) -> dict[str, str]:
        """Return the content of all files that it has made, but for the database."""
        paths = [path for path in self._home.rglob("*") if path.is_file() and ".db" not in path.name]
        return {str(path.relative_to(self._home)): path.read_text(errors="replace") for path in paths}

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        return self._ask("PATCH", path, json=body)

    def remembered(self, asset: str) -> list[Any]:
        """Return the values in the asset's state store."""
        [found] = self.get("/api/v2/assets", name_pattern=asset)["assets"]
        entries = self.get(f"/api/v2/assets/{found['id']}/state-store")["asset_state_store"]
        return [entry["value"] for entry in entries]

    def task_log(self, task: dict[str, Any]) -> str:
        folder = self._home / "logs" / f"dag_id={task['dag_id']}" / f"run_id={task['dag_run_id']}"
        logs = folder.glob(f"task_id={task['task_id']}/**/*.log*")
        return "\n".join(path.read_text(errors="replace") for path in sorted(logs))


def as_text(rows: Iterable[tuple[Any, ...]]) -> str:
    """Return a line for each row, of what can be read in its columns."""

    def text(cell: Any) -> str:
        return (cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)).replace("\n", " ")

    return "\n".join("\t".join(map(text, row)) for row in rows)


class Catalog:
    """A Catalog in which each account has the rows that the test has put there."""

    server: StandIn

    def __init__(self) -> None:
        self.rows: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self.requests: Counter[int | None] = Counter()
        self.goes_on: set[int | None] = set()  # tasks that were ended, and get all when they are tried again
        for account in cases.KILLED_OPERATORS.values():
            self.add(account, ROWS)

    def add(self, account: int, count: int) -> None:
        start = len(self.rows[account])
        self.rows[account].extend(row(n) for n in range(start, start + count))

    def answer(self, request: Request) -> Answer:
        account = account_of(request)
        self.requests[account] += 1
        if account == cases.REVOKED and self.requests[account] > 1:
            return Answer(b"HTTP Token: Access denied.", 401)
        if account == cases.REFUSED:
            return Answer({"errors": [f"{TOKEN} may not see: {json.dumps(row(1))}"], "rows": [row(1)]}, 422)
        reply = Pages(self.rows[account], request.path.rpartition("/")[2], size=100, token=TOKEN)(request)
        if account in cases.KILLED - self.goes_on:
            # Operators get their first page, a deferrable sensor the answer to its first poll: the worker's.
            of_first = account in cases.KILLED_OPERATORS.values() and request.page is None
            of_worker = account == cases.KILLED_SENSORS["deferred"] and self.requests[account] == 1
            reply.stall = None if of_first or of_worker else -1
        return reply

    def stalled(self, account: int) -> list[Stalled]:
        return [each for each in self.server.stalled if account_of(each.request) == account]


def account_of(request: Request) -> int | None:
    return request.filters.get("account_ids", [None])[0]


def row(number: int) -> dict[str, Any]:
    return {"id": number, "student": {"name": STUDENT["name"], "email": email(number)}}


def email(number: int) -> str:
    return f"{LOCAL_PART}.{number}@schule.example"


@contextmanager
def running_airflow(home: Path, catalog: Catalog):
    connection = {"conn_type": "instructure_catalog", "host": catalog.server.url, "password": TOKEN}
    variables = {
        "AIRFLOW_CONN_CATALOG_BAD_TOKEN": json.dumps({**connection, "password": f"{TOKEN}-that-is-bad"}),
        "AIRFLOW_CONN_CATALOG_PATIENT": json.dumps({**connection, "extra": json.dumps({"timeout": 600})}),
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",  # a watcher starts runs nobody asks for
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
        "PYTHONPATH": str(DAGS.parents[2]),
        cases.FOLDER: str(home / "output"),
    }
    for how in cases.KILLED_OPERATORS:
        (home / "output" / how).mkdir(parents=True)
        (home / "output" / how / "rows.csv").write_text("earlier")
    with LiveAirflow(home=home, dags_folder=DAGS, dag_ids=DAG_IDS, variables=variables, limit=TIME_LIMIT) as airflow:
        # In Airflow's database, which workers and triggerer have to ask other processes for.
        good = {"connection_id": "catalog_default", **connection, "extra": json.dumps({"hash_secret": HASH_KEY})}
        airflow.post("/api/v2/connections", good)
        airflow.start_triggerer()
        yield airflow


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """Play all cases at the same time; return the Airflow in which they have ended, and the Catalog."""
    catalog = Catalog()
    with catalog_server(catalog.answer) as catalog.server:
        with running_airflow(tmp_path_factory.mktemp("airflow"), catalog) as airflow:
            airflow.catalog = catalog
            play(airflow, catalog)
            yield airflow


def play(airflow: LiveAirflow, catalog: Catalog) -> None:
    def polled(account: int) -> bool:
        # The first poll of a deferrable sensor is made by a worker, the second one by the triggerer.
        return catalog.requests[account] >= 2

    catalog.add(cases.LOADED, 30)
    airflow.run_ids = {dag_id: airflow.start_run(dag_id) for dag_id in ("live_kills", "live_restart", "live_leaks")}
    airflow.until(lambda: polled(cases.WATCHED))
    catalog.add(cases.WATCHED, 3)
    airflow.until(lambda: polled(cases.RESTART) and len(airflow.runs("live_watcher")) == 1)
    end_tasks(airflow, catalog)
    airflow.run_ids["live_sensors"] = airflow.start_run("live_sensors")
    airflow.until(lambda: airflow.remembered("new_orders") == [{"row_count": 3}])
    # By their own doing: the Catalog would let them wait for longer than this test. A trigger drops a poll's result.
    ended = cases.KILLED - {cases.KILLED_SENSORS["deferred"]}
    airflow.until(lambda: all(each.ended for account in ended for each in catalog.stalled(account)))

    airflow.while_deferred = airflow.database()
    airflow.kill_triggerer()
    before = catalog.requests[cases.RESTART]
    catalog.add(cases.WATCHED, 2)
    time.sleep(4.5)  # an interval, and a little more
    airflow.polls_while_killed = catalog.requests[cases.RESTART] - before
    catalog.add(cases.RESTART, 1)
    airflow.start_triggerer()

    waiting = [*cases.WAIT.values(), *cases.MAPPED]
    airflow.until(lambda: all(map(polled, waiting)))
    for account in waiting:
        catalog.add(account, 2)
    for dag_id, run_id in airflow.run_ids.items():
        airflow.until(lambda dag_id=dag_id, run_id=run_id: airflow.has_ended(dag_id, run_id))
    airflow.until(lambda: len(airflow.runs("live_watcher")) >= 2)
    for run_id in airflow.runs("live_watcher"):
        airflow.until(lambda run_id=run_id: airflow.has_ended("live_watcher", run_id))


def end_tasks(airflow: LiveAirflow, catalog: Catalog) -> None:
    """Wait until all wait; then clear one, and mark the others as failed."""
    operators, sensors = cases.KILLED_OPERATORS.values(), cases.KILLED_SENSORS.values()
    airflow.until(lambda: all(len(catalog.stalled(account)) >= IN_FLIGHT for account in operators))
    airflow.until(lambda: all(map(catalog.stalled, sensors)))
    catalog.goes_on.add(cases.KILLED_OPERATORS["cleared"])
    run_id = airflow.run_ids["live_kills"]
    for task_id in ("operator_failed", "sensor_failed", "sensor_deferred"):
        path = f"/api/v2/dags/live_kills/dagRuns/{run_id}/taskInstances/{task_id}"
        airflow.patch(path, {"new_state": "failed"})
    cleared = {"dag_run_id": run_id, "task_ids": ["operator_cleared"], "dry_run": False, "only_failed": False}
    airflow.post("/api/v2/dags/live_kills/clearTaskInstances", cleared)
