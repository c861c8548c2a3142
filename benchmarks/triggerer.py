"""
What a thousand sensors cost that wait in one triggerer: ``python -m benchmarks.triggerer``.

Starts a real ``airflow triggerer`` (SQLite, nothing else running) with 1,000 deferred sensors of one connection, which
poll every 60 s a server that takes 500 ms to answer, and tells:

* how late the polls were: when a request arrived at the server, less when it was due,
* for how long the triggerer's event loop was held up at most, by the clock of one more trigger, which does nothing but
  look at it: when the provider's code was running in it, from the triggerer's start on, and so with imports, the
  look-up of the connection and the creation of all triggers; by anything while Airflow starts the triggers; and by
  anything from then on, the provider's threads included (``--stacks`` tells what was running in the loop); Python's
  garbage collection, which stops everything, is told apart,
* how much memory the triggerer's processes have.

``--at-once`` lets all polls be due at the same moment, which is the worst case. ``--idle`` gives the sensors an
interval of a day, and ``--count 0`` leaves them out: they tell what Airflow alone costs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import uvicorn

LATENCY = 0.5
INTERVAL = 60.0
START = 45.0
"""Seconds that a triggerer gets to start and to take up all triggers."""

DAG = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

with DAG("benchmark", schedule=None):
    EmptyOperator(task_id="wait")
"""


class Catalog:
    """A server without rows, which notes when each account was asked for."""

    def __init__(self) -> None:
        self.arrivals: dict[int, list[float]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, after a while."""
        now = time.time()
        body = json.loads((await receive())["body"])
        self.arrivals.setdefault(body["account_ids"][0], []).append(now)
        await asyncio.sleep(LATENCY)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"13")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"orders":[]}'})

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Serve in a thread; the target is the URL."""
        config = uvicorn.Config(self, port=0, lifespan="off", log_config=None, access_log=False, backlog=2048)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True
        thread.join()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="sensors")
    parser.add_argument("--rounds", type=int, default=3, help="polls of each sensor")
    parser.add_argument("--at-once", action="store_true", help="all polls due at the same moment")
    parser.add_argument("--idle", action="store_true", help="sensors that never poll")
    parser.add_argument("--stacks", action="store_true", help="what was running when the loop was held up longest")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536), most))  # Airflow has a log open for each trigger
    catalog = Catalog()
    with tempfile.TemporaryDirectory() as home, catalog.serving() as url:
        prepare(Path(home), url, options.count)
        first_due = time.time() + START
        loop_file = Path(home, "loop.json")
        defer(options, first_due, loop_file)
        memory = run_triggerer(Path(home), first_due + options.rounds * INTERVAL)
        held_up = json.loads(loop_file.read_text())
    polls = sum(map(len, catalog.arrivals.values()))
    late = max(lateness(catalog.arrivals, options, first_due), default=0)
    table = {
        "sensors": f"{options.count:,}",
        "polls": f"{polls:,}",
        "latest poll, after it was due": f"{late:.1f} s",
        "event loop held up at most, by the provider": milliseconds(held_up["provider"]),
        "... by anything while sensors poll": milliseconds(held_up["polling"]),
        "... by anything while triggers start": milliseconds(held_up["start"]),
        "Python's garbage collection at most": f"{1000 * held_up['collection']:.0f} ms",
        **{f"memory at most, {name}": f"{peak / 2**20:.0f} MB" for name, peak in memory.items()},
    }
    lines = [f"{name:<46} {value:>10}" for name, value in table.items()]
    for what, stack in held_up["stacks"].items() if options.stacks else ():
        lines += ["", f"{what}, {1000 * held_up[what]:.0f} ms:", *stack]
    print("\n".join(lines))  # noqa: T201


def milliseconds(held_up: float) -> str:
    """Return for how long the loop was held up, as a text."""
    from benchmarks.loop_clock import NOTED

    return f"{1000 * held_up:.0f} ms" if held_up else f"< {1000 * NOTED:.0f} ms"


def prepare(home: Path, url: str, count: int) -> None:
    """Make the database, with a run of a DAG."""
    dags = home / "dags"
    dags.mkdir()
    (dags / "benchmark.py").write_text(DAG)
    connection = {"conn_type": "instructure_catalog", "host": url, "password": "benchmark"}
    os.environ.update(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__DAGS_FOLDER=str(dags),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT="300",
        AIRFLOW__TRIGGERER__CAPACITY=str(count + 1),
        AIRFLOW_CONN_CATALOG_DEFAULT=json.dumps(connection),
        PYTHONPATH=str(Path(__file__).parents[1]),
        no_proxy="*",
    )
    for command in (["db", "migrate"], ["dags", "reserialize"], ["dags", "unpause", "benchmark"]):
        subprocess.run([sys.executable, "-m", "airflow", *command], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own arguments
    subprocess.run(
        [sys.executable, "-m", "airflow", "dags", "trigger", "benchmark"], check=True, stdout=subprocess.DEVNULL
    )


def defer(options: argparse.Namespace, first_due: float, loop_file: Path) -> None:
    """Let every task be deferred, as if its sensor had just polled for the first time."""
    from airflow.models.dagbag import DBDagBag
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    from airflow_provider_catalog.triggers.analytics import CatalogAnalyticsTrigger
    from benchmarks.loop_clock import LoopClock

    with create_session() as session:
        first = session.scalars(select(TaskInstance)).one()
        operator = DBDagBag().get_dag(first.dag_version_id, session).get_task("wait")
        tasks = [first]
        for n in range(options.count):  # what a mapped task is expanded to
            tasks.append(TaskInstance(operator, first.dag_version_id, first.run_id, map_index=n))
            session.add(tasks[-1])
        for n, task in enumerate(tasks, start=-1):
            trigger: Any = CatalogAnalyticsTrigger(
                "catalog_default",
                "orders",
                {"account_ids": [n]},
                poke_interval=86_400 if options.idle else INTERVAL,
                started_at=due(n, options, first_due) - INTERVAL,
                deadline=first_due + 86_400 * 7,
            )
            if n == -1:  # the first, so that it sees all others start
                trigger = LoopClock(str(loop_file), first_due - 1)
            row = Trigger.from_object(trigger)
            session.add(row)
            session.flush()
            task.trigger_id, task.state = row.id, TaskInstanceState.DEFERRED


def due(n: int, options: argparse.Namespace, first_due: float) -> float:
    """Return when a sensor's first poll in the triggerer is due."""
    return first_due + (0 if options.at_once else n * INTERVAL / max(options.count, 1))


def run_triggerer(home: Path, end: float) -> dict[str, int]:
    """Run a triggerer until then; return the most memory of its two processes."""
    peaks: dict[str, int] = {}

    def note(name: str, size: int) -> None:
        peaks[name] = max(peaks.get(name, 0), size)

    with (home / "triggerer.log").open("wb") as log:
        command = [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs"]
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own arguments
        try:
            supervisor = psutil.Process(process.pid)
            while time.time() < end:
                time.sleep(1)
                runners = supervisor.children()
                note("supervisor (RSS)", supervisor.memory_info().rss)
                note("runner of the triggers (RSS)", sum(runner.memory_info().rss for runner in runners))
                note("both (PSS)", sum(one.memory_full_info().pss for one in [supervisor, *runners]))
        finally:
            process.terminate()
            process.wait()
    errors = [line for line in (home / "triggerer.log").read_text().splitlines() if "[error" in line]
    if errors:
        raise RuntimeError(f"the triggerer has logged {len(errors)} errors, such as: {errors[0]}")
    return peaks


def lateness(arrivals: dict[int, list[float]], options: argparse.Namespace, first_due: float) -> list[float]:
    """Return the seconds by which each poll was late; those that never came, by how long ago they were due."""
    late = []
    for n in range(0 if options.idle else options.count):
        for k in range(options.rounds - 1):
            at = due(n, options, first_due) + k * INTERVAL
            came = [arrival for arrival in arrivals.get(n, []) if at - 0.05 <= arrival < at + INTERVAL - 0.05]
            late.append(min(came, default=at + INTERVAL) - at)
    return late


if __name__ == "__main__":
    main()
