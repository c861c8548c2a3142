"""
The backfill of ``example_dags/`` on one to four Celery workers: ``make benchmark-workers``.

Needs Redis and PostgreSQL. Each worker runs one task at a time, which asks with four requests at once a Catalog that
takes 200 ms to answer: 20 requests a second. The Catalog allows 60 requests a second, all of them together. The
table goes into ``docs/scaling.md``.
"""
# ruff: noqa: T201 - what it is for is to print

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psutil

from airflow_provider_catalog.sandbox import SandboxCatalog, sandbox
from scripts.celery_airflow import CeleryAirflow, services

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs/scaling.md"
START, END = "<!-- celery-workers -->", "<!-- end -->"
RUNS = "/api/v2/dags/catalog_backfill/dagRuns"
RATE = 60
PAGE_SIZE = 10
DAYS = {"first_day": "2025-01-01", "end_day": "2025-07-01"}
MIB = 1024 * 1024


def main() -> None:
    """Run the backfill once with each number of workers, in one Airflow; put the table into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4, help="the most of them")
    parser.add_argument("--enrollments", type=int, default=100_000, help="how much there is to load")
    parser.add_argument("--dry", action="store_true", help="leave the documentation as it is")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    table = [
        "| workers | seconds | requests a second | rows a second | refused | memory of a task | of its supervisor |",
        "|---|---|---|---|---|---|---|",
    ]
    for count, found in enumerate(measured(options.workers, options.enrollments), 1):
        table.append(
            f"| {count} | {found['seconds']:.0f} | {found['requests'] / found['seconds']:.1f} "
            f"| {found['rows'] / found['seconds']:.0f} | {found['refused']} "
            f"| {found['task'] / MIB:.0f} MB | {found['supervisor'] / MIB:.0f} MB |"
        )
    table += [
        "",
        f"`make benchmark-workers`, {date.today()}: {os.cpu_count()} cores for all of it, load before: {load:.1f}.",
    ]
    print(*table, sep="\n")
    if not options.dry:
        page = PAGE.read_text()
        before, rest = page.split(START)
        PAGE.write_text("\n".join([before + START, *table, END + rest.partition(END)[2]]))


def measured(workers: int, enrollments: int) -> Iterator[dict[str, Any]]:
    """Yield what was measured with one worker, with two, and so on."""
    with (
        tempfile.TemporaryDirectory() as folder,
        services() as variables,
        sandbox(enrollments=enrollments, as_of="2026-07-01", latency=0.2, rate_limit=RATE) as catalog,
        CeleryAirflow(
            home=Path(folder),
            dags_folder=PROJECT / "example_dags",
            dag_ids=("catalog_backfill",),
            variables=variables,
            workers={},
            say=lambda line: print(line, file=sys.stderr),
            limit=3_600,
        ) as airflow,
    ):
        extra = json.dumps({"page_size": PAGE_SIZE, "max_concurrency": 4})
        connection = json.loads(catalog.connection_json) | {"connection_id": "catalog_default", "extra": extra}
        airflow.post("/api/v2/connections", connection)
        for count in range(1, workers + 1):
            airflow.start_worker(f"worker{count}", slots=1)
            yield measure(airflow, catalog, {"folder": f"{folder}/{count}", **DAYS})


def measure(airflow: CeleryAirflow, catalog: SandboxCatalog, conf: dict[str, str]) -> dict[str, Any]:
    """Run the DAG; return how long its loads took, from the first one's start to the last one's end."""
    catalog.served.clear()
    run_id = airflow.post(RUNS, {"logical_date": None, "conf": conf})["dag_run_id"]
    memory: list[tuple[int, int]] = [(0, 0)]
    while (state := airflow.get(f"{RUNS}/{run_id}")["state"]) not in ("success", "failed"):
        memory += map(memory_of, tasks(airflow, run_id, "running"))
        airflow.wait()
    if state != "success":
        raise RuntimeError(f"the backfill has failed; its conf was {conf}")
    loads = [task for task in tasks(airflow, run_id, "success") if task["map_index"] >= 0]
    start, end = (pick(datetime.fromisoformat(load[name]) for load in loads) for pick, name in ENDS)
    statuses = Counter(request.status for request in catalog.requests)
    check = airflow.get(f"{RUNS}/{run_id}/taskInstances/check/xcomEntries/return_value")["value"]
    return {
        "seconds": (end - start).total_seconds(),
        "requests": statuses[200],
        "refused": statuses[429],
        "rows": sum(counted["rows"] for counted in check.values()),
        "task": max(task for task, _ in memory),
        "supervisor": max(supervisor for _, supervisor in memory),
    }


ENDS = ((min, "start_date"), (max, "end_date"))


def tasks(airflow: CeleryAirflow, run_id: str, state: str) -> list[dict[str, Any]]:
    """Return the task instances in a state."""
    answer = airflow.get(f"{RUNS}/{run_id}/taskInstances", limit=100, state=state)
    found: list[dict[str, Any]] = answer["task_instances"]
    return found


def memory_of(task: dict[str, Any]) -> tuple[int, int]:
    """Return the bytes that a task's process has for itself, and those of the process that supervises it."""
    try:
        process = psutil.Process(task["pid"])
        return process.memory_full_info().uss, process.parent().memory_info().rss
    except (psutil.NoSuchProcess, AttributeError, TypeError):
        return 0, 0  # it has just begun, or ended


if __name__ == "__main__":
    main()
