"""Tasks that are killed while they overwrite a file: the real operator, in a process of its own."""

from __future__ import annotations

import os
import random
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

KILLS = int(os.environ.get("CATALOG_KILLS", "2"))
"""How many tasks of each kind are killed; ``make kills`` kills more."""
OLD = {"order_fee": "PAID"}
"""The filters that give the earlier file; without them there are more rows."""
AFTERWARDS = 0.1
"""Seconds that the process of a task still lives when it has published; Airflow's does, to push the XCom."""

# Forked from a process that has all imports, or that is what most kills would meet.
PROCESSES: Any = get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        *("airflow_provider_catalog.client.client", "pyarrow.compute", "pyarrow.parquet", "tests.kills.killer"),
        *("airflow.providers.amazon.aws.hooks.s3", "s3fs"),  # where they are installed
    ]
)


def kill_tasks(url: str, fs: AbstractFileSystem, path: str, connections: dict[str, str], temporary: Path) -> None:
    """
    Kill tasks at random moments; look at what each leaves, and let another one try again.

    :param url: the file's, for the operator.
    :param fs: where it is, under the path, and nothing else in its folder.
    :param connections: of Airflow: id → JSON.
    :param temporary: the tasks' folder for temporary files.
    """

    def start(filters: dict[str, str] | None = None) -> Any:
        begun = PROCESSES.Event()
        arguments = (url, filters, connections, str(temporary), begun)
        process = PROCESSES.Process(target=_task, args=arguments, daemon=True)
        process.start()
        begun.wait()
        return process

    def run(filters: dict[str, str] | None = None) -> float:
        """Let a task write the file; return how long it took."""
        process, started = start(filters), time.monotonic()
        process.join()
        assert process.exitcode == 0
        return time.monotonic() - started

    run(OLD)
    old = fs.cat_file(path)
    seconds = run()
    new = fs.cat_file(path)
    assert old != new, "they can be told apart"
    moments, kills = random.Random(1), 0  # noqa: S311 - no secret
    while kills < KILLS:
        fs.pipe_file(path, old)
        # Half of them near the end, where the file is put in its place.
        moment = moments.uniform(moments.choice([0.0, 0.7]), 1.0) * seconds
        process = start()
        time.sleep(moment)
        process.kill()
        process.join()
        if process.exitcode == 0:  # it had ended: the machine is less busy than it was
            seconds *= 0.9
            continue
        kills += 1
        assert fs.cat_file(path) in (old, new), f"neither the earlier file nor the new one, after {moment:.3f} s"
        seconds = run()
        assert fs.cat_file(path) == new
        fs.invalidate_cache()
        assert [each.rpartition("/")[2] for each in fs.find(path.rpartition("/")[0])] == [path.rpartition("/")[2]]
        assert list(temporary.iterdir()) == []


def _task(url: str, filters: dict[str, str] | None, connections: dict[str, str], temporary: str, begun: Any) -> None:
    from airflow_provider_catalog.operators.analytics import CatalogOrdersAnalyticsOperator

    tempfile.tempdir = temporary
    os.environ.update({f"AIRFLOW_CONN_{name.upper()}": value for name, value in connections.items()})
    pull = CatalogOrdersAnalyticsOperator(task_id="pull", filters=filters, output_path=url)
    begun.set()
    pull.execute({})
    time.sleep(AFTERWARDS)
