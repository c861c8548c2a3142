"""A real Airflow with its web interface, on free ports of this machine, for as long as a ``with`` block lasts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from scripts.local_airflow import free_port

START_SECONDS = 180


@dataclass(frozen=True)
class Airflow:
    """A running Airflow: where it listens, and where it writes what it says."""

    url: str
    log: Path

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        """Ask its REST API, as an administrator."""
        token = requests.get(f"{self.url}/auth/token", timeout=60).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        response = requests.request(method, f"{self.url}/api/v2/{path}", headers=headers, timeout=60, **kwargs)
        response.raise_for_status()
        return response.json()

    def wait_for_dag(self, dag_id: str) -> None:
        """Return when the DAG has been parsed."""
        wait(lambda: dag_id in [dag["dag_id"] for dag in self.call("GET", "dags")["dags"]], f"DAG {dag_id}", self.log)

    def run(self, dag_id: str, **conf: str) -> tuple[str, str]:
        """Run the DAG, and return the run's id and the state that it ends in."""
        self.call("PATCH", f"dags/{dag_id}", json={"is_paused": False})
        body = {"logical_date": None, "conf": conf}
        run_id = self.call("POST", f"dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
        path = f"dags/{dag_id}/dagRuns/{run_id}"
        wait(lambda: self.call("GET", path)["state"] in ("success", "failed"), f"run {run_id}", self.log)
        return run_id, self.call("GET", path)["state"]


def wait(done: Any, what: str, log: Path, seconds: float = START_SECONDS) -> None:
    """Return when ``done()`` is true; fail with the end of Airflow's own log when it takes too long."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s\n" + log.read_text()[-6000:])
        time.sleep(0.3)


@contextmanager
def airflow_standalone(home: Path, dags: Path, *, python: str = sys.executable) -> Iterator[Airflow]:
    """Run ``airflow standalone`` on SQLite, small, with the connection test enabled and no log-in."""
    port, worker_log_port, trigger_log_port = free_port(), free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    # Coverage is not measured in it: Airflow's own code would be a fifth slower.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment = inherited | {
        "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",  # it starts its parts as "airflow"
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_log_port),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_log_port),
    }
    log = home / "standalone.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-m", "airflow", "standalone"],
            env=environment,
            cwd=home,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, so that all of it can be stopped
        )
        try:
            wait(lambda: process.poll() is not None or is_healthy(url), "Airflow's start", log)
            if process.poll() is not None:
                raise RuntimeError("Airflow did not start:\n" + log.read_text()[-6000:])
            yield Airflow(url, log)
        finally:
            stop(process)


def is_healthy(url: str) -> bool:
    """Return whether the web server, the scheduler and the DAG processor run."""
    try:
        health = requests.get(f"{url}/api/v2/monitor/health", timeout=5).json()
    except (requests.RequestException, ValueError):
        return False
    return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and group_runs(process):
            time.sleep(0.2)
    process.wait()


def group_runs(process: subprocess.Popen[bytes]) -> bool:
    """Return whether anything of the process group is left."""
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True
