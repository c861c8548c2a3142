"""A backfill over several months of all endpoints, spread over two Celery workers, of which one is killed half-way."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import requests

from airflow_provider_catalog.sandbox import SandboxCatalog, sandbox
from scripts.celery_airflow import CeleryAirflow, services
from tests.real_airflow import RealAirflow
from tests.stores.servers import BUCKET, Store, s3

PROJECT = Path(__file__).parents[2]
MONTHS = int(os.environ.get("BACKFILL_MONTHS", "3"))
"""Windows of each endpoint: 3 make 12 loads, 24 make 96."""
FIRST_MONTH = 2024 * 12 + 6
TIME_LIMIT = 300 + 30 * MONTHS
PAGE_SIZE = 4
IN_FLIGHT = 2
POOL_SLOTS = 3
WORKER_SLOTS = 2
DATA = {"products": 300, "users": 2_000, "enrollments": 10_000, "as_of": "2026-07-01"}
LATENCY = 0.3

SETTINGS = {
    "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
}
"""With these, a worker's death is noticed within seconds, not minutes."""

DATES = {
    "products": ("creation_date", "created_at"),
    "enrollments": ("enrollment_date", "enrollment_date"),
    "orders": ("purchase_date", "purchase_date"),
    "users": ("registration_date", "registration_date"),
}
"""endpoint → what its filters begin with, and the field that they look at."""


class Load(NamedTuple):
    """One mapped task: an endpoint and a month."""

    endpoint: str
    month: str

    @property
    def key(self) -> str:
        return f"by_month/{self.endpoint}/month={self.month}/{self.endpoint}.csv"


def day(month: int) -> str:
    return f"{month // 12}-{month % 12 + 1:02}-01"


BORDERS = [day(FIRST_MONTH + n) for n in range(MONTHS + 1)]
LOADS = [Load(endpoint, start[:7]) for endpoint in DATES for start in BORDERS[:-1]]


class Cluster(CeleryAirflow, RealAirflow):
    """Airflow on several workers, with what tests ask it."""

    def wait(self) -> None:
        super().wait()
        time.sleep(0.5)  # each look costs the API server, which all tasks need, too


@dataclass
class Backfill:
    """
    :param expected: the rows of each load, by a plain loop over all rows.
    :param killed: the loads that were at work on the worker that was killed.
    """

    airflow: Cluster
    catalog: SandboxCatalog
    store: Store
    expected: dict[Load, list[dict[str, Any]]]
    run_id: str = ""
    killed: list[Load] = field(default_factory=list)

    def tasks(self) -> dict[Load, dict[str, Any]]:
        found = self.airflow.tasks("catalog_backfill", self.run_id).items()
        return {Load(task_id, BORDERS[index][:7]): task for (task_id, index), task in found if index >= 0}

    def pages_read(self) -> Counter[Load]:
        """Return how many pages of each load the Catalog has served."""
        return Counter(
            Load(endpoint, request.body[f"{when}_from"][:7])
            for request in self.catalog.requests
            for endpoint, (when, _) in DATES.items()
            if request.path.endswith(endpoint) and f"{when}_from" in request.body  # others learn the columns
        )

    def play(self) -> None:
        conf = {"folder": f"s3://store@{BUCKET}", "first_day": BORDERS[0], "end_day": BORDERS[-1]}
        self.run_id = self.airflow.start_run("catalog_backfill", **conf)
        has_ended = partial(self.airflow.has_ended, "catalog_backfill", self.run_id)
        self.airflow.until(lambda: self.kill_a_worker_in_the_middle() or has_ended())
        self.airflow.until(has_ended)

    def kill_a_worker_in_the_middle(self) -> bool:
        """Kill a worker when a third of the loads is done and it is in the middle of one; tell whether that was now."""
        if sum(task["state"] == "success" for task in self.tasks().values()) < len(LOADS) / 3 or not self.caught():
            return False
        processes = self.airflow.processes_of("first")
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()  # so that nothing changes between the look and the kill
        time.sleep(0.5)
        self.killed = self.caught()
        if self.killed:
            self.airflow.kill_worker("first")
            return True
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        return False

    def caught(self) -> list[Load]:
        """Return the loads that the first worker is at, if one of them has read some of its pages and not all."""
        pids = {process.pid for process in self.airflow.processes_of("first")}
        running = [load for load, task in self.tasks().items() if task["state"] == "running" and task["pid"] in pids]
        read = self.pages_read()
        half_done = any(0 < read[load] < math.ceil(len(self.expected[load]) / PAGE_SIZE) for load in running)
        return running if half_done else []


def plain_loop(catalog: SandboxCatalog) -> dict[Load, list[dict[str, Any]]]:
    """Return the rows of each load: ask for everything, look at every row's date, and no filter."""
    found: dict[Load, list[dict[str, Any]]] = defaultdict(list)
    borders = [datetime.fromisoformat(border).replace(tzinfo=UTC) for border in BORDERS]
    for endpoint, (_, name) in DATES.items():
        url = f"{catalog.url}/api/v1/analytics/{endpoint}"
        headers = {"Authorization": f'Token token="{catalog.token}"'}
        page = 1
        while rows := requests.post(f"{url}?page={page}&per_page=100", headers=headers, timeout=30).json()[endpoint]:
            for row in rows:
                when = datetime.fromisoformat(row[name])
                for start, end in itertools.pairwise(borders):
                    if start <= when <= end:
                        found[Load(endpoint, f"{start:%Y-%m}")].append(row)
            page += 1
    return found


def pool_policy() -> str:
    """Return the cluster policy that the documentation gives."""
    page = (PROJECT / "docs/scaling.md").read_text()
    [policy] = [code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def task_policy" in code]
    return policy


@contextmanager
def played(home: Path) -> Iterator[Backfill]:
    """Play the whole of it; the target is what came of it, in an Airflow that is still up."""
    dags = home / "dags"
    dags.mkdir()
    # Alone: the other examples would be parsed all the time, too.
    shutil.copy(PROJECT / "example_dags/catalog_backfill.py", dags)
    (home / "config").mkdir()
    (home / "config/airflow_local_settings.py").write_text(pool_policy())
    with sandbox(**DATA) as same_data:  # the same seed, and so the same rows, without the waiting
        expected = plain_loop(same_data)
    with (
        services() as variables,
        s3() as store,
        sandbox(**DATA, latency=LATENCY) as catalog,
        Cluster(
            home=home,
            dags_folder=dags,
            dag_ids=("catalog_backfill",),
            variables={**variables, **SETTINGS},
            workers={"first": WORKER_SLOTS, "second": WORKER_SLOTS},
            limit=TIME_LIMIT,
        ) as airflow,
    ):
        extra = {"page_size": PAGE_SIZE, "max_concurrency": IN_FLIGHT}
        for conn_id, connection in {
            "catalog_default": {**json.loads(catalog.connection_json), "extra": extra},
            "store": store.connection(),
        }.items():
            value = {"connection_id": conn_id, **connection, "extra": json.dumps(connection["extra"])}
            airflow.post("/api/v2/connections", value)
        airflow.post("/api/v2/pools", {"name": "catalog", "slots": POOL_SLOTS})
        backfill = Backfill(airflow, catalog, store, expected)
        backfill.play()
        yield backfill
