"""Run the example DAGs with a real Airflow against the sandbox, and show what came of it: ``make demo``.

Everything happens in ``.demo/``, which is made anew each time, and on loopback. Nothing is left running.
"""
# ruff: noqa: T201 - what it is for is to print

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from local_airflow import LOG_LINES, LocalAirflow, LocalAirflowError
from rich import box
from rich.console import Console
from rich.table import Table

from airflow_provider_catalog.sandbox import SandboxCatalog, sandbox

PROJECT = Path(__file__).resolve().parent.parent
DEMO = PROJECT / ".demo"
HOME = DEMO / "airflow"
DATA = DEMO / "data"
LIMIT = 150  # seconds; on two cores it takes less than one minute

AS_OF = "2026-07-01"  # so that the runs below, and what comes of them, are the same each time
RUNS: dict[str, dict[str, Any]] = {
    "catalog_daily_load": {
        "logical_date": "2026-05-20T00:00:00Z",
        "data_interval_start": "2026-05-20T00:00:00Z",
        "data_interval_end": "2026-05-21T00:00:00Z",
        "conf": {"folder": str(DATA)},
    },
    "catalog_to_xcom": {
        "logical_date": "2026-07-01T00:00:00Z",
        "conf": {"folder": str(DATA), "enrollment_count_min": 450},
    },
    "catalog_backfill": {
        "logical_date": "2026-07-01T00:00:00Z",
        "conf": {"folder": str(DATA), "first_day": "2025-06-01", "end_day": "2025-08-01"},
    },
}
ENDPOINTS = {
    "CatalogProductsAnalyticsOperator": "products",
    "CatalogEnrollmentsAnalyticsOperator": "enrollments",
    "CatalogOrdersAnalyticsOperator": "orders",
    "CatalogUsersAnalyticsOperator": "users",
}

started = time.monotonic()


class Output(NamedTuple):
    """What a task of an operator gave: a line of the table."""

    endpoint: str
    filters: dict[str, Any]
    row_count: int
    where: str


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"{time.monotonic() - started:5.0f} s  {text}", flush=True)


def main() -> int:
    """Run the demo; return its exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    try:
        with only_one(), sandbox(enrollments=30_000, users=5_000, as_of=AS_OF) as catalog:
            make_folder()
            counts = ", ".join(f"{count:,} {endpoint}" for endpoint, count in catalog.row_counts.items())
            say(f"the sandbox, a Catalog with made-up data, is up: {counts}")
            with LocalAirflow(
                home=HOME,
                dags_folder=PROJECT / "example_dags",
                dag_ids=RUNS,
                variables={"AIRFLOW_CONN_CATALOG_DEFAULT": connection(catalog)},
                say=say,
                limit=LIMIT,
            ) as airflow:
                run_dags(airflow)
                outputs = list(read_outputs(airflow))
                answer = xcom(airflow, "catalog_daily_load", "top_products")
                for dag_id, task_id in (("catalog_to_xcom", "add_up"), ("catalog_backfill", "check")):
                    say(f"{dag_id}: its last task, {task_id}, returned {xcom(airflow, dag_id, task_id)}")
        say("all runs succeeded; nothing is left running")
    except LocalAirflowError as error:
        say(f"FAILED: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped; nothing is left running")
        return 130
    show(outputs, answer)
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


def connection(catalog: SandboxCatalog) -> str:
    """Return the connection to the sandbox, with a key for ``hash_fields``."""
    return json.dumps(json.loads(catalog.connection_json) | {"extra": {"hash_secret": "a hash secret for the demo"}})


# --- The runs -----------------------------------------------------------------------------------------------------


def run_path(dag_id: str) -> str:
    """Return where the REST API has the demo's run of a DAG."""
    return f"/api/v2/dags/{dag_id}/dagRuns/demo"


def run_dags(airflow: LocalAirflow) -> None:
    """Run the example DAGs, all at once, and wait until all have succeeded."""
    for dag_id, run in RUNS.items():
        airflow.post(f"/api/v2/dags/{dag_id}/dagRuns", {"dag_run_id": "demo", **run})
        say(f"{dag_id}: started")
    running = dict.fromkeys(RUNS, "")
    while running:
        airflow.wait()
        for dag_id, shown in list(running.items()):
            tasks = task_instances(airflow, dag_id)
            check_tasks(dag_id, tasks)
            running[dag_id] = f"{sum(task['state'] == 'success' for task in tasks)} of {len(tasks)} tasks done"
            if running[dag_id] != shown:
                say(f"{dag_id}: {running[dag_id]}")
            state = airflow.get(run_path(dag_id))["state"]
            if state == "failed":
                raise LocalAirflowError(f"the run of {dag_id} failed; Airflow's logs are in {HOME}")
            if state == "success":
                del running[dag_id]


def task_instances(airflow: LocalAirflow, dag_id: str) -> list[dict[str, Any]]:
    """Return the task instances of the demo's run of a DAG."""
    instances: list[dict[str, Any]] = airflow.get(f"{run_path(dag_id)}/taskInstances", limit=100)["task_instances"]
    return instances


def check_tasks(dag_id: str, tasks: list[dict[str, Any]]) -> None:
    """Raise when a task has failed, with the end of its log; no second try is waited for."""
    for task in tasks:
        if task["state"] in ("failed", "up_for_retry"):
            raise LocalAirflowError("\n".join([f"task {task['task_id']} of {dag_id} failed:", *log_tail(dag_id, task)]))


def log_tail(dag_id: str, task: dict[str, Any]) -> list[str]:
    """Return the last lines of a task's log, of all its tries."""
    folder = HOME / "logs" / f"dag_id={dag_id}" / "run_id=demo" / f"task_id={task['task_id']}"
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


def read_outputs(airflow: LocalAirflow) -> Iterator[Output]:
    """Yield what the operators' tasks gave, as their XComs tell."""
    for dag_id in RUNS:
        for task in task_instances(airflow, dag_id):
            endpoint = ENDPOINTS.get(task["operator_name"])
            if endpoint and task["state"] == "success":
                value = xcom(airflow, dag_id, task["task_id"], task["map_index"])
                yield of_rows(endpoint, value, dag_id, task) if isinstance(value, list) else of_file(value)


def xcom(airflow: LocalAirflow, dag_id: str, task_id: str, map_index: int = -1) -> Any:
    """Return what a task returned."""
    path = f"{run_path(dag_id)}/taskInstances/{task_id}/xcomEntries/return_value"
    return airflow.get(path, map_index=map_index)["value"]


def of_rows(endpoint: str, rows: list[dict[str, Any]], dag_id: str, task: dict[str, Any]) -> Output:
    """Return the line for rows in XCom."""
    return Output(endpoint, task["rendered_fields"]["filters"] or {}, len(rows), f"XCom of {dag_id}.{task['task_id']}")


def of_file(manifest: dict[str, Any]) -> Output:
    """Return the line for a file, after a look at whether it is the one that its manifest tells of."""
    path = Path(manifest["path"])
    if hashlib.sha256(path.read_bytes()).hexdigest() != manifest["sha256"]:
        raise LocalAirflowError(f"{path} is not the file that its manifest tells of")
    return Output(manifest["endpoint"], manifest["filters"], manifest["row_count"], str(path.relative_to(DATA)))


def show(outputs: list[Output], answer: list[dict[str, Any]]) -> None:
    """Print the table and the answer."""
    table = Table("endpoint", "filters", box=box.SIMPLE)
    table.add_column("rows", justify="right")
    table.add_column("where", overflow="fold")
    for output in outputs:
        filters = [f"{name}={filter_text(value)}" for name, value in output.filters.items()] or ["(none)"]
        table.add_row(output.endpoint, "\n".join(filters), f"{output.row_count:,}", output.where)
    title = "The ten products with the most revenue, each in its own currency"
    best = Table("product", box=box.SIMPLE, title=title, title_justify="left")
    for column in ("revenue", "enrollments completed"):
        best.add_column(column, justify="right")
    for product in answer:
        rate = product["completion_rate"]
        revenue = f"{product['revenue']:,.2f} {product['currency']}"
        best.add_row(product["product"], revenue, "-" if rate is None else f"{rate:.0%}")
    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 130)
    console.print(table, best)
    print(f"The files are in {DATA}, Airflow's logs in {HOME}.")


def filter_text(value: Any) -> str:
    """Return a filter's value for the table."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    sys.exit(main())
