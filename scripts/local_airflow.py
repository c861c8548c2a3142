"""A real Airflow on this machine, for as long as a ``with`` block lasts: scheduler, DAG processor and API server.

It has a folder and an SQLite database of its own, listens on loopback only, and knows nothing of any other Airflow that
the machine may have.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import requests

PARTS = {
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "api-server": ["api-server"],
}
NOT_INHERITED = ("AIRFLOW", "_AIRFLOW", "COVERAGE")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL = 0.5  # seconds
GRACE = 5.0  # seconds that Airflow has to end when it is told to
LOG_LINES = 25


class LocalAirflowError(Exception):
    """Airflow, or something that it ran, failed; the message says what, with the end of the log."""


class LocalAirflow:
    """
    Run Airflow; a context manager. Leaving the ``with`` block, in whatever way, stops all that was started.

    :param home: an empty folder for its database, settings and logs.
    :param dags_folder: the folder with the DAGs.
    :param dag_ids: the DAGs that it must know before it counts as up.
    :param variables: more environment variables, such as ``AIRFLOW_CONN_...``.
    :param say: is called with each line of progress.
    :param limit: seconds from now after which :meth:`wait` gives up.
    :raises LocalAirflowError: on entry, when a part of it does not start, or a DAG can't be imported.
    """

    def __init__(
        self,
        *,
        home: Path,
        dags_folder: Path,
        dag_ids: Collection[str],
        variables: Mapping[str, str],
        say: Callable[[str], None],
        limit: float,
    ) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._home = home
        self._dag_ids = set(dag_ids)
        self._environment = environment(home, dags_folder, self.url) | variables
        self._say = say
        self._deadline = time.monotonic() + limit
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no .netrc

    def __enter__(self) -> Self:
        try:
            self._say("Airflow makes its database")
            migration = self._start("db-migrate", ["db", "migrate"])
            while migration.poll() is None:
                self.wait()
            self._check_alive()
            self._say(f"Airflow starts {', '.join(PARTS)}")
            self._start_parts()
            while not self._is_up():
                self.wait()
        except BaseException:
            stop(self._processes.values())
            raise
        self._say(f"Airflow is up at {self.url}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stop(self._processes.values())

    def wait(self) -> None:
        """
        Wait a moment.

        :raises LocalAirflowError: when the time is up, or a part of Airflow has ended.
        """
        self._check_alive()
        if time.monotonic() > self._deadline:
            raise LocalAirflowError(f"not done in time; Airflow's logs are in {self._home}")
        time.sleep(POLL)

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON that a path of the REST API answers with."""
        return self._ask("GET", path, params=query)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send JSON to a path of the REST API; return the JSON that it answers with."""
        return self._ask("POST", path, json=body)

    def _ask(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            response = self._session.request(method, self.url + path, timeout=30, **arguments)
        except requests.RequestException as error:
            raise LocalAirflowError(f"Airflow does not answer {method} {path}: {error}") from error
        if not response.ok:
            raise LocalAirflowError(
                f"Airflow answered {response.status_code} to {method} {path}: {response.text[:300]}"
            )
        return response.json()

    def _start_parts(self) -> None:
        for name, arguments in PARTS.items():
            self._start(name, arguments)

    def _start(
        self, name: str, arguments: list[str], variables: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with self._log(name).open("wb") as log:
            self._processes[name] = subprocess.Popen(  # noqa: S603 - our own arguments
                [sys.executable, "-m", "airflow", *arguments],
                cwd=self._home,
                env={**self._environment, **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that all that it starts can be found and stopped
            )
        return self._processes[name]

    def _log(self, name: str) -> Path:
        return self._home / f"{name}.log"

    def _check_alive(self) -> None:
        for name, process in self._processes.items():
            status = process.poll()
            if status or (status is not None and name in PARTS):
                lines = self._log(name).read_text(errors="replace").splitlines()[-LOG_LINES:]
                raise LocalAirflowError("\n".join([f"Airflow's {name} ended with status {status}:", *lines]))

    def _is_up(self) -> bool:
        """Tell whether Airflow answers and knows the DAGs."""
        try:
            self._session.get(self.url, timeout=30)
        except requests.ConnectionError:
            return False  # nothing listens yet
        token = self.get("/auth/token")["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"
        for error in self.get("/api/v2/importErrors")["import_errors"]:
            raise LocalAirflowError(f"{error['filename']} can't be imported:\n{error['stack_trace']}")
        return self._dag_ids <= {dag["dag_id"] for dag in self.get("/api/v2/dags")["dags"]}


def free_port() -> int:
    """
    Return a port of this machine that nothing listens on.

    It is below those that the system gives to whoever asks for any port: Airflow takes seconds to start, and in these
    another process could be given the same one.
    """
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def environment(home: Path, dags_folder: Path, url: str) -> dict[str, str]:
    """
    Return the environment for Airflow: this process's, less what is meant for another Airflow.

    Nor is coverage measured in it, where tests are: Airflow's own code would be a fifth slower.
    """
    host, _, port = url.removeprefix("http://").partition(":")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
    return inherited | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": host,
        "AIRFLOW__API__PORT": port,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",  # only the runs that are asked for
        "NO_PROXY": "*",  # it is all on this machine
        "no_proxy": "*",
    }


def stop(processes: Collection[subprocess.Popen[bytes]]) -> None:
    """
    Stop processes, and every process that they started.

    :param processes: each the leader of a session of its own.
    """
    # An impatient second Ctrl-C must not leave half of them running.
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        sessions = {process.pid for process in processes}
        for process in processes:
            process.terminate()
        psutil.wait_procs(members(sessions), timeout=GRACE)
        while left := members(sessions):
            for member in left:
                member.kill()
            psutil.wait_procs(left, timeout=GRACE)
        for process in processes:
            process.wait()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def members(sessions: set[int]) -> list[psutil.Process]:
    """Return the living processes of sessions; Airflow's tasks have process groups of their own, but no sessions."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) in sessions and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            continue  # it ended just now, or is not ours
    return found
