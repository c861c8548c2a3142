"""Two nights of a warehouse in a real Airflow, against the sandbox, and a report: ``make demo``.

Everything happens in ``.demo/``, which is made anew each time, and on loopback. Nothing is left running, but with
``--open``, which keeps all of it running until Ctrl-C.
"""
# ruff: noqa: T201 - what it is for is to print

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import requests
from local_airflow import LOG_LINES, LocalAirflow, LocalAirflowError

from airflow_provider_catalog.sandbox import SandboxCatalog, sandbox

PROJECT = Path(__file__).resolve().parent.parent
DEMO = PROJECT / ".demo"
HOME = DEMO / "airflow"
FILES = DEMO / "files"
WAREHOUSE = DEMO / "warehouse.db"
REPORT = DEMO / "report.html"
LIMIT = 300  # seconds; on two cores it takes about one minute

SUNDAY = datetime(2026, 6, 28, tzinfo=UTC)  # on Sundays, catalog_warehouse loads everything
DAYS = 6  # so many that some of the orders that are there are refunded
SATURDAY = SUNDAY + timedelta(days=DAYS)
DAGS = ("catalog_warehouse", "catalog_daily_load", "catalog_report")

started = time.monotonic()

Orders = dict[int, tuple[str, int]]
"""Order id → currency and revenue, in cents."""


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"{time.monotonic() - started:5.0f} s  {text}", flush=True)


def main() -> int:
    """Run the demo; return its exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    try:
        with only_one(), sandbox(as_of=f"{SUNDAY:%F}") as catalog:
            make_folder()
            counts = ", ".join(f"{count:,} {endpoint}" for endpoint, count in catalog.row_counts.items())
            say(f"the sandbox, a Catalog with made-up data, is up: {counts}")
            with LocalAirflow(
                home=HOME,
                dags_folder=PROJECT / "example_dags",
                dag_ids=DAGS,
                variables=connections(catalog),
                say=say,
                limit=LIMIT,
            ) as airflow:
                two_nights(airflow, catalog)
                run(airflow, {"catalog_report": {"conf": {"path": str(REPORT)}}}, "report", SATURDAY)
                say(f"the report is {REPORT.as_uri()}")
                if "--open" in sys.argv:
                    leave_open(airflow, catalog)
        say(f"done; nothing is left running. Files, warehouse and Airflow's logs are in {DEMO}")
    except LocalAirflowError as error:
        say(f"FAILED: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped; nothing is left running")
        return 130
    return 0


@contextmanager
def only_one() -> Iterator[None]:
    """Refuse to run twice at once in the same folder."""
    with Path(__file__).open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalAirflowError("the demo is already running; wait for it, or stop it with Ctrl-C") from None
        yield


def make_folder() -> None:
    """Make an empty folder that nobody else can look into."""
    if DEMO.exists():
        shutil.rmtree(DEMO)
    DEMO.mkdir(mode=0o700)
    HOME.mkdir()


def connections(catalog: SandboxCatalog) -> dict[str, str]:
    """Return the environment variables with the connections to the sandbox and to the warehouse."""
    warehouse = {"conn_type": "sqlite", "host": str(WAREHOUSE)}
    secret = {"extra": {"hash_secret": "a hash secret for the demo"}}
    return {
        "AIRFLOW_CONN_CATALOG_DEFAULT": json.dumps(json.loads(catalog.connection_json) | secret),
        "AIRFLOW_CONN_WAREHOUSE": json.dumps(warehouse),
    }


def leave_open(airflow: LocalAirflow, catalog: SandboxCatalog) -> None:
    """Say where to click, and wait for Ctrl-C."""
    print(
        f"""
        Everything goes on until Ctrl-C.
        The report              {REPORT.as_uri()}
        A task that loads       {airflow.url}/dags/catalog_warehouse/runs/night-2/tasks/orders
        The connection's form   {airflow.url}/connections  (Add Connection, type Instructure Catalog)
        The Catalog's own page  {catalog.url}/new_analytics/orders
        Another day passes      curl -X POST '{catalog.url}/sandbox/advance?days=1'
        Then run it again       {airflow.url}/dags/catalog_warehouse  (Trigger)
        """,
        flush=True,
    )
    while True:
        signal.pause()


# --- The runs -----------------------------------------------------------------------------------------------------


def two_nights(airflow: LocalAirflow, catalog: SandboxCatalog) -> None:
    """Load, let days pass in the Catalog, load again; after each night, compare the warehouse with the Catalog."""
    say(f"night 1, {SUNDAY:%A, %d %B}: everything into {WAREHOUSE.name}, and the day before into a folder of days")
    run(airflow, night(SUNDAY), "night-1", SUNDAY)
    before, statuses_before = orders_of_warehouse(), statuses_of_warehouse()
    compare(before, orders_of_catalog(catalog))

    catalog.advance(days=DAYS)
    say(f"night 2, {SATURDAY:%A, %d %B}: {DAYS} days have passed in the Catalog; the last 60 are merged")
    run(airflow, night(SATURDAY), "night-2", SATURDAY)
    after, statuses_after = orders_of_warehouse(), statuses_of_warehouse()
    late = [order for order, paid in before.items() if after.get(order) != paid]
    moved = [key for key, status in statuses_before.items() if statuses_after.get(key) != status]
    say(f"orders: {len(after.keys() - before.keys())} new, {len(late)} of earlier days refunded since")
    say(
        f"enrollments: {len(statuses_after.keys() - statuses_before.keys())} new, and {len(moved)} of earlier days "
        "completed, dropped or concluded since"
    )
    compare(after, orders_of_catalog(catalog))
    for day, orders in orders_of_files().items():
        say(f"the folder orders/day={day} has {total(orders)}, as they were that night")


def night(day: datetime) -> dict[str, dict[str, Any]]:
    """Return the runs of a night: DAG → what the REST API takes."""
    interval = {"data_interval_start": f"{day - timedelta(days=1):%FT%TZ}", "data_interval_end": f"{day:%FT%TZ}"}
    return {"catalog_warehouse": {}, "catalog_daily_load": {**interval, "conf": {"folder": str(FILES)}}}


def run_path(dag_id: str, run_id: str) -> str:
    """Return where the REST API has a run."""
    return f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"


def run(airflow: LocalAirflow, runs: dict[str, dict[str, Any]], run_id: str, due: datetime) -> None:
    """Run DAGs, all at once, as if it were the time when they are due; wait until all have succeeded."""
    for dag_id, body in runs.items():
        when = {"logical_date": f"{due:%FT%TZ}", "run_after": f"{due:%FT%TZ}"}
        airflow.post(f"/api/v2/dags/{dag_id}/dagRuns", {"dag_run_id": run_id, **when, **body})
    running = set(runs)
    while running:
        airflow.wait()
        for dag_id in sorted(running):
            tasks = task_instances(airflow, dag_id, run_id)
            check_tasks(dag_id, run_id, tasks)
            state = airflow.get(run_path(dag_id, run_id))["state"]
            if state == "failed":
                raise LocalAirflowError(f"the run of {dag_id} failed; Airflow's logs are in {HOME}")
            if state == "success":
                say(f"{dag_id}: {sum(task['state'] == 'success' for task in tasks)} tasks succeeded")
                running.remove(dag_id)


def task_instances(airflow: LocalAirflow, dag_id: str, run_id: str) -> list[dict[str, Any]]:
    """Return the task instances of a run of a DAG."""
    instances: list[dict[str, Any]] = airflow.get(f"{run_path(dag_id, run_id)}/taskInstances", limit=100)[
        "task_instances"
    ]
    return instances


def check_tasks(dag_id: str, run_id: str, tasks: list[dict[str, Any]]) -> None:
    """Raise when a task has failed, with the end of its log; no second try is waited for."""
    for task in tasks:
        if task["state"] in ("failed", "up_for_retry"):
            raise LocalAirflowError(
                "\n".join([f"task {task['task_id']} of {dag_id} failed:", *log_tail(dag_id, run_id, task)])
            )


def log_tail(dag_id: str, run_id: str, task: dict[str, Any]) -> list[str]:
    """Return the last lines of a task's log, of all its tries."""
    folder = HOME / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task['task_id']}"
    if task["map_index"] >= 0:
        folder /= f"map_index={task['map_index']}"
    lines = [line for file in sorted(folder.glob("attempt=*.log")) for line in file.read_text().splitlines()]
    return [readable(line) for line in lines[-LOG_LINES:]] or [f"(no log in {folder})"]


def readable(line: str) -> str:
    """Return a line of a task's log, which is JSON, as people read it: its level, its text, and its error if any."""
    try:
        entry = json.loads(line)
    except ValueError:
        return f"    {line}"
    errors = [f"\n    {error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or ()]
    return f"    {entry.get('level', '').upper():8}{entry.get('event')}{''.join(errors)}"


# --- What came of it ----------------------------------------------------------------------------------------------


def query(sql: str) -> list[tuple[Any, ...]]:
    """Return the rows that the warehouse answers with."""
    with closing(sqlite3.connect(WAREHOUSE)) as connection:
        return connection.execute(sql).fetchall()


def orders_of_warehouse() -> Orders:
    """Return the orders that the table has."""
    found = query("SELECT order_id, currency, revenue FROM orders")
    return {order_id: (currency, round(revenue * 100)) for order_id, currency, revenue in found}


def orders_of_files() -> dict[str, Orders]:
    """Return the orders of each day that the folder has."""
    files = duckdb.read_parquet(f"{FILES}/orders/*/*.parquet", hive_partitioning=True)
    days: dict[str, Orders] = {}
    for day, order_id, currency, revenue in (
        files.project("day::text, order_id, currency, revenue").order("1").fetchall()
    ):
        days.setdefault(day, {})[order_id] = (currency, round(revenue * 100))
    return days


def statuses_of_warehouse() -> dict[int, str]:
    """Return the status of each enrollment that the table has."""
    return dict(query("SELECT enrollment_id, enrollment_status FROM enrollments"))


def orders_of_catalog(catalog: SandboxCatalog) -> Orders:
    """Return the orders that the Catalog has now, read by a plain loop that has nothing of the provider's."""
    orders: Orders = {}
    url: str | None = f"{catalog.url}/api/v1/analytics/orders?per_page=100"
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f'Token token="{catalog.token}"'
        while url:
            response = session.post(url, json={}, timeout=30)
            response.raise_for_status()
            [rows] = response.json().values()
            orders |= {row["order_id"]: (row["currency"], round(row["revenue"] * 100)) for row in rows}
            url = response.links.get("next", {}).get("url")
    return orders


def compare(table: Orders, catalog: Orders) -> None:
    """
    Say what the table and the Catalog sum up to.

    :raises LocalAirflowError: when they do not agree, order by order and to the cent.
    """
    if table != catalog:
        different = [order for order in table.keys() | catalog.keys() if table.get(order) != catalog.get(order)]
        raise LocalAirflowError(f"the table and the Catalog differ in {len(different)} orders, such as {different[:3]}")
    say(f"the table has    {total(table)}")
    say(f"the Catalog has  {total(catalog)}: the same, order by order, to the cent")


def total(orders: Orders) -> str:
    """Return how many orders there are, and their revenue in each currency."""
    sums: dict[str, int] = {}
    for currency, cents in orders.values():
        sums[currency] = sums.get(currency, 0) + cents
    return f"{len(orders):,} orders, " + " and ".join(f"{sums[each] / 100:,.2f} {each}" for each in sorted(sums))


if __name__ == "__main__":
    sys.exit(main())
